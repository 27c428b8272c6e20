//! The log: appended by one writer, replayed at start.

use crate::{Disk, Frame};
use repr::{CollectionId, Diff, Row, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Limits and sizes; every field has a default that production uses.
#[derive(Clone, Debug)]
pub struct LogOptions {
    pub segment_bytes_max: u64,
    /// Compaction starts when the frames not yet in parts exceed this and exceed the size of the parts.
    pub compact_bytes_min: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk is full: the append did not happen and may be tried again.
    #[error("could not write to file \"{file}\": no space left on device")]
    DiskFull { file: String },
    /// The operator must look at the disk; the log refuses further appends.
    #[error("could not {operation} file \"{file}\": {source}")]
    Io { operation: &'static str, file: String, source: std::io::Error },
    #[error("file \"{file}\" is corrupted at offset {offset}: {what}")]
    Corrupted { file: String, offset: u64, what: String },
    #[error("data directory \"{directory}\" is in use by another server (pid {pid})")]
    Locked { directory: String, pid: String },
    #[error("the data directory has format {found}, and this server reads formats up to {supported}")]
    Format { found: u32, supported: u32 },
    #[error("the log refuses appends because an earlier one failed: {0}")]
    Stopped(String),
}

/// What was found at start. Contents are streamed by [`Log::replay`].
pub struct Recovery {
    /// The newest resume state of each source.
    pub positions: BTreeMap<CollectionId, Vec<u8>>,
    /// Contents at `since` come from the snapshot parts; every frame after it follows.
    pub since: Timestamp,
    /// Every timestamp below this one is closed; the clock resumes at or after it (the reservation included).
    pub upper: Timestamp,
    /// Timestamp of the last frame.
    pub last: Timestamp,
}

pub struct Log {}

impl Log {
    /// Opens (or creates) the log in `directory` of `disk`, checks it, cuts off a torn tail.
    pub fn open(_disk: Arc<dyn Disk>, _options: LogOptions) -> Result<(Log, Recovery), StorageError> {
        todo!()
    }
    /// Streams the live collections: first each snapshot part's rows (all at `since`), then the frames' updates in order of time, in batches.
    pub fn replay(&self, _visit: &mut dyn FnMut(CollectionId, Timestamp, Vec<(Row, Diff)>)) -> Result<(), StorageError> {
        todo!()
    }
    /// Makes the frame durable. On `DiskFull` nothing happened; every other error is final.
    pub fn append(&mut self, _frame: &Frame) -> Result<(), StorageError> {
        todo!()
    }
    /// Bytes on disk: (segments, parts).
    pub fn size_bytes(&self) -> (u64, u64) {
        todo!()
    }
    /// Rewrites history up to `since` in the background if it is worth it; at most one runs at a time. Appends go on meanwhile.
    pub fn maybe_compact(&mut self, _since: Timestamp) -> Result<(), StorageError> {
        todo!()
    }
}

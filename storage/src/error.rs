//! What can go wrong, by who must act.

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk is full: the append did not happen and may be tried again.
    #[error("could not write to file \"{file}\": no space left on device")]
    DiskFull { file: String },
    /// The frame cannot be written; it did not happen, and the log goes on with smaller ones.
    #[error("a frame of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge { bytes: u64, limit: u64 },
    /// The operator must look at the disk; the log refuses further appends. Whether the failed append is durable shows at the next start.
    #[error("could not {operation} file \"{file}\": {source}")]
    Io { operation: &'static str, file: String, source: io::Error },
    #[error("file \"{file}\" is corrupted at offset {offset}: {what}")]
    Corrupted { file: String, offset: u64, what: String },
    #[error("data directory \"{directory}\" is in use by another server (pid {pid})")]
    Locked { directory: String, pid: String },
    #[error("the data directory has format {found}, and this server reads formats up to {supported}")]
    Format { found: u32, supported: u32 },
    #[error("the log refuses appends because an earlier one failed: {0}")]
    Stopped(String),
}

impl StorageError {
    pub(crate) fn corrupted(file: &str, offset: u64, what: impl Into<String>) -> StorageError {
        StorageError::Corrupted { file: file.to_string(), offset, what: what.into() }
    }
    /// An error of anything but a write.
    pub(crate) fn io(operation: &'static str, file: &str) -> impl FnOnce(io::Error) -> StorageError {
        let file = file.to_string();
        move |source| StorageError::Io { operation, file, source }
    }
    /// An error of a write or of making a file, which a full disk is a harmless reason for. Not of a sync: what failed there may be lost for good.
    pub(crate) fn write(file: &str) -> impl FnOnce(io::Error) -> StorageError {
        let file = file.to_string();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::DiskFull { file },
            _ => StorageError::Io { operation: "write to", file, source },
        }
    }
    /// An error of opening a file that must be there.
    pub(crate) fn open(file: &str) -> impl FnOnce(io::Error) -> StorageError {
        let file = file.to_string();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => StorageError::Corrupted { file, offset: 0, what: "the file is missing".to_string() },
            _ => StorageError::Io { operation: "open", file, source },
        }
    }
}

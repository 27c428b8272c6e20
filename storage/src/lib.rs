//! What is durable: one log, one clock, one writer.
//!
//! # What this crate promises
//! * A [`Frame`] is durable whole or not at all once [`Log::append`] has returned; frames are recovered in order, each once.
//! * Rows and the source positions they came from are in the same frame.
//! * A torn frame at the end of the newest segment is the append nobody was told about: it is cut off. Anything else that does not check out (a flipped bit, a missing or
//!   truncated file, a gap) is an error that names file and offset. Nothing is guessed.
//! * Disk stays within about twice the live data: [`compaction`] rewrites history older than `since` into per-collection snapshot parts and drops frames.
//! * Timestamps of the [`Clock`] grow strictly, over restarts and clock jumps too.
//!
//! # What it does not promise
//! It keeps no collection in memory and answers no reads: contents are replayed once, at start. A failed `fsync` is final: the log refuses all further
//! appends, because the kernel may have dropped the pages (the lesson of Postgres' fsync).
//!
//! This is the only crate that calls `fsync`.
//!
//! # Format
//! See `docs/design/0002-the-log.md`.

pub mod clock;
pub mod compaction;
pub mod disk;
pub mod error;
pub mod frame;
mod header;
pub mod log;
mod manifest;
mod merge;
mod part;
mod recovery;
pub mod segment;
pub mod sim_disk;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use compaction::CompactionReport;
pub use disk::{Disk, DiskFile, FileDisk};
pub use error::StorageError;
pub use frame::Frame;
pub use header::FORMAT_VERSION;
pub use log::{Log, LogOptions};
pub use recovery::Recovery;
pub use segment::FRAME_BYTES_MAX;
pub use sim_disk::SimDisk;

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
pub mod frame;
pub mod log;
pub mod sim_disk;

pub use clock::Clock;
pub use disk::{Disk, FileDisk};
pub use frame::Frame;
pub use log::{Log, LogOptions, Recovery, StorageError};

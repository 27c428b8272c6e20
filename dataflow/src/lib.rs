//! What is maintained: plans kept up to date for ever, on timely and differential dataflow.
//!
//! What this crate promises:
//! * **Incremental = evaluate.** At every timestamp at which a relation can be read, its published snapshot holds exactly what
//!   [`plan::evaluate`] returns for its plan over its inputs at that timestamp, errors included.
//! * **Reads never enter a worker's queue.** Relations are read from immutable, shared snapshots ([`Published`]), on the reader's thread.
//! * **One moment.** All relations are published together, and none forgets the time `min(upper) - 1` at which all of them can be read.
//! * **No IO, no clock.** The engine is fed frames and commands and answers events; a [`Stepper`] runs all of it in one thread, for tests.
//! * **Everything is bounded**: frames in flight ([`Config::frames_behind_max`]), what a slow subscriber may leave unread ([`Config::tap_updates_max`]).
//!
//! What it leaves to others: choosing timestamps and holds, waiting, durability, planning. Operator state is never stored: it is
//! rebuilt from the log.
//!
//! * [`engine`]: commands in, events out; worker threads and back-pressure.
//! * [`published`]: the snapshots readers use; [`tap`]: the changes of a relation as a stream.
//! * [`render`]: plans as dataflows; the only module that names `timely` or `differential_dataflow`.

mod config;
mod describe;
pub mod engine;
mod layout;
pub mod published;
mod render;
mod shared;
pub mod tap;

pub use config::Config;
pub use describe::{EngineError, Event, Frame, IndexDescription, InputBatch, InputDescription, OnEvent, ViewDescription};
pub use engine::{Control, Engine, Stepper};
pub use published::{Published, RelationMetrics, RelationSnapshot, SnapshotInputs};
pub use tap::{Tap, TapError, TapEvent};

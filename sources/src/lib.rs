//! The outside in: messages of Kafka topics become updates of collections.
//!
//! # What this crate promises
//! * **Exactly one of** a change, a tombstone, a boundary or an error comes of each message; never a gap. What cannot be decoded is an [`ErrorRow`].
//! * **Whole transactions.** With a transaction topic, an upstream transaction is in one [`SourceBatch`] or in none, in commit order.
//! * **Nothing lost, nothing doubled.** A batch carries the position that follows it. Resumed at the position of the last durable batch, a source
//!   goes on as if it had never stopped, wherever it was cut. What the connector sends twice is dropped by its position upstream.
//! * **No guess.** A unit, a scale or an encoding comes from the schema in the message, from the declared type, or from an option; else it is an error.
//! * **Bounded.** The channel to the coordinator, open transactions and the held snapshot have limits in bytes. A full channel stops the reading.
//!
//! # What it leaves to others
//! It keeps no copy of a relation: the current row of a key comes from the published snapshot ([`KeyState`]), overlaid with the batches which that
//! does not show yet. Durability, timestamps and reading belong to the coordinator.
//!
//! # The way of a message
//! `broker` (poll) -> `decode` (bytes to a change) -> `gather` (whole transactions) -> `apply` (key state to updates) -> [`SourceBatch`]. All but the
//! first are pure and step by step; `sim_broker` is the broker's simulated twin. Only `kafka/` names `rdkafka`.
//!
//! # What is missing in a message
//! A field that is absent is NULL in a nullable column (a column added or dropped upstream) and an error (23502) in one that is NOT NULL.

mod apply;
pub mod broker;
mod channel;
mod complete;
mod decode;
mod duplicates;
mod error;
mod error_row;
mod gather;
mod json;
pub mod kafka;
mod key_state;
mod pipeline;
mod position;
mod progress;
mod run;
#[cfg(test)]
mod sim_broker;
mod spec;
mod status;
pub mod trace;

pub use channel::{SourceBatch, SourceReceiver, SourceSender, channel};
pub use error::SourceError;
pub use error_row::{ErrorRow, errors_schema};
pub use kafka::{start, validate};
pub use key_state::{KeyState, MemoryKeyState};
pub use spec::{
    BinaryHandling, BrokerConfig, ColumnOrigin, DecimalHandling, Discovered, Envelope, Format,
    Include, IncludeKind, RelationSpec, SourceOptions, SourceSpec, StartAt, TimePrecision, Topics,
};
pub use status::{
    NewestPosition, PartitionStatus, SourceCounters, SourceHandle, SourceState, SourceStatus,
};

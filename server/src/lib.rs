//! The edge: coordinator, sessions, the Postgres wire, HTTP, and the `tidemark` binary.
//!
//! * [`coordinator`]: the one writer. Owns the catalog, the log, the clock and the sources; one thread, one closed set of events.
//! * [`session`]: what a statement does: plans against the catalog value it holds, reads published snapshots on its own side, asks the coordinator to write.
//! * [`pgwire`]: the Postgres protocol over TCP and TLS; the only module that names the `pgwire` crate.
//! * [`system`]: the built-in relations (`pg_catalog`, `information_schema`, `tm_catalog`) and the names the binder sees.
//! * [`http`]: metrics, health.
//! * [`serving`]: all of it on two ports; [`demo`]: the same, with a small shop behind a Kafka topic.
//!
//! Invariants: nothing of a read enters the coordinator's or a worker's queue; nothing is visible before it is durable; every queue has a limit.

pub mod coordinator;
pub mod demo;
pub mod error;
pub mod execution;
pub mod flags;
pub mod http;
pub mod metrics;
pub mod pgwire;
pub mod serving;
pub mod session;
pub mod shared;
pub mod system;

pub use error::{Error, Severity};
pub use shared::Shared;

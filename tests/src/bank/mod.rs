//! The bank: transfers between ten accounts, committed upstream in a known order, and what each prefix of that order looks like.
//!
//! # Promises
//! - [`Upstream`] writes what Debezium's Postgres connector writes: two tables, a transaction topic, and what restarts of the connector repeat.
//! - [`History`] knows the state after each transaction, so that whatever was read is some prefix of the commit order, or wrong.
//!
//! # What it leaves to others
//! Reading (`tests/tests/bank.rs`), and what a failed check means.

mod history;
mod upstream;

pub use history::{ACCOUNTS, History, Look, State};
pub use upstream::{TABLES, Upstream, UpstreamCounters};

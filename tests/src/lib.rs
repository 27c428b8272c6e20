//! What the system tests stand on: the real Kafka, Debezium, Postgres, MariaDB and Tidemark, each as a process a test starts, kills and
//! starts again.
//!
//! # Promises
//! - Every call blocks, has a deadline, and when it fails says what was waited for and shows the end of the component's log.
//! - What is not installed is a failed test whose message names `scripts/fetch-components`; nothing is skipped.
//! - No process outlives the test process, however that ends (`kill -9` included).
//! - Tests may run beside each other, in one process and in several: every component has its own folder and its own ports.
//!
//! # What it leaves to others
//! The tests themselves (`tests/tests/`). Nothing here knows what Tidemark should answer.

pub mod bank;
pub mod components;
pub mod judge;
pub mod psql;
pub mod random;
pub mod sql;
pub mod wait;
pub mod wire;

pub use components::{
    Component, Database, Debezium, DebeziumOptions, Directory, Kafka, MariaDb, Postgres,
    PostgresOptions, Tidemark, TidemarkOptions,
};
pub use sql::simple;
pub use wait::wait_until;

//! The real components as processes: started, waited for, killed and started again by a test.
//!
//! Everything is fetched by `scripts/fetch-components` beforehand; here nothing is downloaded. [`Component`] is the process (log, deadline,
//! signals), the other types say how one kind of component is set up and when it is ready.
//!
//! Starting one costs seconds, so a test which does not kill it uses the one of its test process: [`Kafka::shared`], [`Postgres::shared`],
//! [`MariaDb::shared`], with topic names and databases of its own.

mod debezium;
mod directory;
pub mod drivers;
mod http;
mod installed;
mod java;
mod kafka;
mod mariadb;
mod ports;
mod postgres;
mod process;
mod tidemark;

pub use debezium::{Debezium, DebeziumOptions};
pub use directory::Directory;
pub use http::http_get;
pub use installed::components_directory;
pub use kafka::{Kafka, KafkaRecord, ReceivedRecord};
pub use mariadb::MariaDb;
pub use ports::free_port;
pub use postgres::{Database, Postgres, PostgresOptions};
pub use process::{Component, Recipe};
pub use tidemark::{Tidemark, TidemarkOptions, binary as tidemark_binary};

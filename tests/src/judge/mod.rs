//! Postgres as the judge: the same SQL asked of Postgres and of a subject, every answer compared, every disagreement reported.
//!
//! # Promises
//! - A corpus file (`tests/slt/*.slt`, see [`corpus`]) holds no expected answers. What Postgres says at that moment is right.
//! - Each query is asked in three ways ([`Way`]): as a SELECT (text and binary formats, column names, type OIDs), of a view created before the
//!   data came (after every batch of changes), and of a view created when all data was there.
//! - An error is an answer: both sides must fail with the same SQLSTATE. But a query which nobody marked as failing must succeed in the end,
//!   so that a slip of the pen is not taken for agreement.
//! - All of a file is judged before anything is reported; a subject that hangs, drops the connection or dies costs one answer, not the rest.
//!
//! # What it leaves to others
//! Starting the servers: a [`Subject`] says where to connect and how to come back after a crash.

pub mod corpus;
mod endpoint;
mod report;
mod run;

pub use corpus::{Corpus, Kind, Mark, Record};
pub use endpoint::{Answer, Endpoint};
pub use report::{Mismatch, Report};
pub use run::{Subject, Way, judge};

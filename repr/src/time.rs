//! Logical time and the change of a collection at a time.

use crate::Row;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Logical time: milliseconds since the Unix epoch, strictly increasing from tick to tick, also over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub const MIN: Timestamp = Timestamp(0);
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// The next timestamp. Panics at the end of time, which a clock in milliseconds does not reach.
    pub fn next(self) -> Timestamp {
        Timestamp(self.0.checked_add(1).expect("the logical clock overflowed"))
    }

    /// The timestamp before, or `None` at the beginning of time.
    pub fn previous(self) -> Option<Timestamp> {
        self.0.checked_sub(1).map(Timestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Change of a row's multiplicity.
pub type Diff = i64;

/// `row` changes its multiplicity by `diff` at `time`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Update {
    pub row: Row,
    pub time: Timestamp,
    pub diff: Diff,
}

/// Names a collection (a table, a source's relation, a view, an index) for ever: ids are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CollectionId(pub u64);

impl CollectionId {
    /// The collection of catalog changes, in the same log as the data.
    pub const CATALOG: CollectionId = CollectionId(0);
    /// Ids below this one belong to built-in relations (`pg_catalog`, `information_schema`, the system views).
    pub const FIRST_USER: CollectionId = CollectionId(1 << 20);

    pub fn is_system(self) -> bool {
        self < Self::FIRST_USER
    }
}

impl fmt::Display for CollectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_system() { write!(formatter, "s{}", self.0) } else { write!(formatter, "u{}", self.0 - Self::FIRST_USER.0) }
    }
}

//! The changes of a relation as a stream: the batches of its published arrangement are the stream, so a tap costs no dataflow.

use crate::RelationSnapshot;
use repr::{Diff, EvalError, Row, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A subscription to one relation: what it holds at `as_of`, then every change after it.
///
/// What is not read is kept as shared batches, up to [`crate::Config::tap_updates_max`] updates; then the tap is closed with [`TapError::Lagged`].
pub struct Tap {}

/// All changes up to `upper` that were not returned before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapEvent {
    pub upper: Timestamp,
    /// Ordered by time, then row; each row once a time, with a difference that is not zero.
    pub updates: Vec<(Row, Timestamp, Diff)>,
    pub errors: Vec<(EvalError, Timestamp, Diff)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapError {
    /// The relation has forgotten the asked time: it can be read from `since` on.
    NotReadable { since: Timestamp },
    /// The reader was too slow. Everything before the time was returned: a new tap can go on from there while it is readable.
    Lagged { at: Timestamp },
    /// The relation was dropped or the engine shut down.
    Closed,
}

impl Tap {
    pub fn as_of(&self) -> Timestamp {
        todo!()
    }
    /// The relation as of `as_of`: read it at exactly that time. `None` while `as_of` is not complete; afterwards always the first thing to take.
    pub fn snapshot(&mut self) -> Result<Option<Arc<RelationSnapshot>>, TapError> {
        todo!()
    }
    /// The next changes, all after `as_of`; `None` if there is no progress since the last call. An event without updates is progress.
    pub fn next_ready(&mut self) -> Result<Option<TapEvent>, TapError> {
        todo!()
    }
}

impl fmt::Display for TapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TapError::NotReadable { since } => write!(formatter, "the relation can be read from timestamp {since} on"),
            TapError::Lagged { at } => write!(formatter, "the subscriber was too slow and lost its place at timestamp {at}"),
            TapError::Closed => formatter.write_str("the relation was dropped"),
        }
    }
}

impl std::error::Error for TapError {}

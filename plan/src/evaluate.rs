//! A plan run once.

use crate::Plan;
use repr::{CollectionId, Diff, EvalError, Row, SqlTimestampTz, Timestamp, text::TextContext};

/// What a plan may depend on beside its inputs. A maintained view keeps the context it was created with (and no `now`).
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub text: TextContext,
    /// What `now()` says.
    pub now: Option<SqlTimestampTz>,
    /// What `mz_now()` says.
    pub timestamp: Option<Timestamp>,
    /// More rows than this in an intermediate result, or more bytes than `memory_bytes_max`, is an error (53200). `None`: no limit.
    pub memory_bytes_max: Option<usize>,
    /// Checked between batches; set by cancel.
    pub cancelled: Option<std::sync::Arc<std::sync::atomic::AtomicBool>>,
}

/// The collections a plan reads, all at one timestamp.
pub trait Inputs {
    /// Calls `visit` with every row of a collection and its positive multiplicity (in no particular order), or returns the collection's error.
    /// `visit` returns false to stop early.
    fn scan(&self, id: CollectionId, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError>;

    /// The rows whose key in `index` equals `key` (a row of the index's key columns, canonical).
    fn lookup(&self, id: CollectionId, index: CollectionId, key: &Row, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError>;

    /// The rows whose key in `index` lies between two encoded bounds (lower inclusive, upper exclusive, as byte strings), in key order.
    fn range(
        &self,
        id: CollectionId,
        index: CollectionId,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        descending: bool,
        visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) -> Result<(), EvalError>;
}

/// Runs a plan. The result is consolidated: each row once, with a multiplicity that is not zero.
pub fn evaluate(_plan: &Plan, _inputs: &dyn Inputs, _context: &Context) -> Result<Vec<(Row, Diff)>, EvalError> {
    todo!()
}

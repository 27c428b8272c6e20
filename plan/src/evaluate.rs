//! A plan run once.
//!
//! Rows are pushed from the leaves through the operators as encoded bytes; map, filter and project run over batches. An operator that must see all
//! of its input (reduce, top-k, window, the build side of a join) keeps it, and what it keeps is counted against [`Context::memory_bytes_max`].
//!
//! # Errors
//! A plan fails when any row that reaches an operator fails in it, whether or not that row, or the operator's result, has an effect on the result:
//! * a map, filter or project fails for a row that [`crate::vector::Transform`] fails for. A maximal chain of them is one transform ([`fuse`]), and
//!   what leaves the chain is computed, used later or not; what the chain itself drops is not;
//! * every operator computes all of its scalars for all rows of its input: the keys of a join also for rows without a partner, also when another
//!   input is empty. Only the arguments of an aggregate are not computed for rows its FILTER drops ([`crate::Aggregate::inputs`]);
//! * a group whose aggregate has no result (`bigint out of range`) fails, whatever happens to the group above;
//! * neither TopK nor Threshold nor anything else hides an error of its input. An ordered read stops early only where nothing it skips could fail;
//! * a binding of `Let` that is never read does not fail: it is not computed. One that is read is computed whole, and so are all bindings of a
//!   `LetRec`, which fails when any of its iterations does;
//! * a collection that has an error fails every plan that reads it.
//!
//! Which of several errors is reported depends on the order in which the inputs give their rows, and on nothing else.
//!
//! # Multiplicities
//! Inputs give positive ones; `Negate` makes negative ones. Before an operator that is not linear its input is consolidated. A group exists while its
//! number of rows is positive; TopK, Window and the aggregates that are not sums see the rows with a positive multiplicity only.
//!
//! # LetRec
//! Iteration `i` computes every binding from the values *all* bindings had after iteration `i - 1`; all are empty at first. It ends when no value
//! has changed, or after `limit` iterations with the values reached.

mod fuse;
mod guard;
mod hash;
mod join;
mod mapper;
mod node;
mod prepare;
mod reduce;
#[cfg(test)]
pub(crate) mod tests;
mod top_k;
pub mod window;

pub use fuse::{Fused, fuse};
pub use prepare::PreparedPlan;

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
    /// The server the plan runs in, for functions that act on it. `None`: there is nothing to act on.
    pub host: Option<std::sync::Arc<dyn Host>>,
}

/// What functions may ask of the server they run in.
pub trait Host: std::fmt::Debug + Send + Sync {
    /// Cancels what a session runs, or ends the session. Whether there is such a session.
    fn signal_session(&self, pid: i32, ends: bool) -> bool;
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

    /// The columns of the collection that the keys of `index` are made of, in order, if each is a plain column. With it, ORDER BY ... LIMIT over a
    /// [`Inputs::range`] stops as soon as it can.
    fn index_columns(&self, _id: CollectionId, _index: CollectionId) -> Option<Vec<usize>> {
        None
    }
}

/// Runs a plan. The result is consolidated: each row once, with a multiplicity that is not zero, ascending.
///
/// A plan with parameters must be prepared and bound instead ([`PreparedPlan`]).
pub fn evaluate(plan: &Plan, inputs: &dyn Inputs, context: &Context) -> Result<Vec<(Row, Diff)>, EvalError> {
    PreparedPlan::new(plan, context).run(inputs)
}

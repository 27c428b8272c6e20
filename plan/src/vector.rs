//! Columns of a batch: typed vectors with a null mask, decoded from rows, and the selection that narrows what is evaluated.

use crate::{Context, Scalar};
use repr::{ColumnType, EvalError};

/// One step of a [`Transform`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Appends a column per scalar (each sees the columns before it).
    Map(Vec<Scalar>),
    /// Keeps the rows for which every predicate is true.
    Filter(Vec<Scalar>),
}

/// Map, filter and project fused and compiled: encoded rows in, encoded rows out, a batch at a time. Planned once, buffers used again.
///
/// An error in a mapped column fails the row when the column is used (by a later filter that is reached, or in the output); a row that a filter
/// drops before an error is reached does not fail. Both interpreters run this code, so they cannot differ in it.
pub struct Transform {}

impl Transform {
    /// `outputs` are positions among the input's columns followed by the mapped ones.
    pub fn new(_input: &[ColumnType], _steps: &[Step], _outputs: &[usize], _context: &Context) -> Transform {
        todo!()
    }
    /// Adds an encoded row to the batch.
    pub fn push(&mut self, _row: &[u8]) {
        todo!()
    }
    /// Adds a row given as several encoded parts, one after the other (such as the key and value of an arrangement, or the sides of a join).
    pub fn push_parts(&mut self, _parts: &[&[u8]]) {
        todo!()
    }
    /// Rows in the batch so far.
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Runs the batch and empties it. `emit` gets the position of the row within the batch and its output row or error; filtered rows are not emitted.
    pub fn flush(&mut self, _emit: &mut dyn FnMut(usize, Result<&[u8], EvalError>)) {
        todo!()
    }
}

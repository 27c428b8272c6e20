//! Expressions over batches: typed columns with a flag per row, and the selection that narrows what is evaluated.
//!
//! * [`column`]: the vectors. They are our own rather than Arrow arrays because a batch is often one row: our buffers are used again from batch
//!   to batch, where Arrow allocates and counts references per array; and they carry an error per row and numerics, which Arrow lacks.
//! * `program`: scalars compiled to a graph of nodes, evaluated lazily under selections.
//! * `batch`: the encoded rows. Only the columns an expression reaches are decoded, only for the rows that reach it; columns that pass
//!   through are copied as bytes.
//! * [`Transform`]: map, filter and project fused, which is what both interpreters run.

mod batch;
pub mod column;
pub(crate) mod program;

use crate::{Context, Scalar};
use batch::Batch;
use column::{ERROR, Selection, VALUE};
use program::{Compiler, NodeId, Program};
use repr::{ColumnType, EvalError, RowBuilder};

/// One step of a [`Transform`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Appends a column per scalar (each sees the columns before it).
    Map(Vec<Scalar>),
    /// Keeps the rows for which every predicate is true.
    Filter(Vec<Scalar>),
}

/// Takes the position of a row within its batch, and its output row or error.
pub type Emit<'a> = &'a mut dyn FnMut(usize, Result<&[u8], EvalError>);

/// Where a part of an output row comes from.
enum Output {
    /// The encoded input between two boundaries; without an end, up to the end of the row.
    Copied {
        from: usize,
        to: Option<usize>,
    },
    Computed(NodeId),
}

/// Map, filter and project fused and compiled: encoded rows in, encoded rows out, a batch at a time. Planned once, buffers used again.
///
/// An error in a mapped column fails the row when the column is used (by a later filter that is reached, or in the output); a row that a filter
/// drops before an error is reached does not fail. Both interpreters run this code, so they cannot differ in it.
pub struct Transform {
    program: Program,
    batch: Batch,
    predicates: Vec<NodeId>,
    outputs: Vec<Output>,
    /// The output row is the input row.
    whole: bool,
    builder: RowBuilder,
    failed: Vec<(u32, EvalError)>,
}

impl Transform {
    /// `outputs` are positions among the input's columns followed by the mapped ones.
    pub fn new(input: &[ColumnType], steps: &[Step], outputs: &[usize], context: &Context) -> Transform {
        let mut compiler = Compiler::new(input, context);
        let mut predicates = Vec::new();
        for step in steps {
            match step {
                Step::Map(scalars) => {
                    for scalar in scalars {
                        let node = compiler.compile(scalar);
                        compiler.append(node);
                    }
                }
                Step::Filter(scalars) => {
                    for scalar in scalars {
                        compile_predicate(scalar, &mut compiler, &mut predicates);
                    }
                }
            }
        }
        let whole = outputs.len() == input.len() && outputs.iter().enumerate().all(|(position, &output)| position == output);
        let outputs = if whole { Vec::new() } else { compile_outputs(input.len(), outputs, &mut compiler) };
        let batch = Batch::new(&compiler.boundaries);
        Transform { program: compiler.finish(), batch, predicates, outputs, whole, builder: RowBuilder::new(), failed: Vec::new() }
    }
    /// Adds an encoded row to the batch.
    pub fn push(&mut self, row: &[u8]) {
        self.batch.push_part(row);
        self.batch.end_row();
    }
    /// Adds a row given as several encoded parts, one after the other (such as the key and value of an arrangement, or the sides of a join).
    pub fn push_parts(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.batch.push_part(part);
        }
        self.batch.end_row();
    }
    /// Rows in the batch so far.
    pub fn len(&self) -> usize {
        self.batch.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes of the rows in the batch so far: a caller flushes before they are too many for its caches, and long before 4 GB.
    pub fn bytes(&self) -> usize {
        self.batch.bytes()
    }
    /// Runs the batch and empties it. `emit` gets the position of the row within the batch and its output row or error, in ascending order of
    /// position; filtered rows are not emitted.
    pub fn flush(&mut self, emit: Emit<'_>) {
        if self.batch.len() == 0 {
            return;
        }
        self.batch.locate();
        self.program.begin(self.batch.len());
        let kept = self.filter();
        let rows = kept.as_ref().map_or(Selection::All(self.batch.len()), |rows| Selection::Rows(rows));
        for output in &self.outputs {
            if let Output::Computed(node) = output {
                self.program.compute(&self.batch, *node, rows);
            }
        }
        let (outputs, program, batch, builder, whole) = (&self.outputs, &self.program, &self.batch, &mut self.builder, self.whole);
        let mut emit_row = |row: usize, emit: Emit<'_>| {
            if whole {
                return emit(row, Ok(batch.row(row)));
            }
            builder.clear();
            match write_row(outputs, program, batch, row, builder) {
                Ok(()) => emit(row, Ok(builder.as_bytes())),
                Err(error) => emit(row, Err(error)),
            }
        };
        if self.failed.is_empty() {
            rows.for_each(|row| emit_row(row, emit));
        } else {
            self.failed.sort_unstable_by_key(|(row, _)| *row);
            let mut failed = self.failed.drain(..).peekable();
            rows.for_each(|row| {
                while let Some((failed_row, error)) = failed.next_if(|(failed_row, _)| (*failed_row as usize) < row) {
                    emit(failed_row as usize, Err(error));
                }
                emit_row(row, emit);
            });
            for (failed_row, error) in failed {
                emit(failed_row as usize, Err(error));
            }
        }
        if let Some(kept) = kept {
            self.program.give_rows(kept);
        }
        self.batch.clear();
    }

    /// The rows that pass every predicate; `None` is all of them. Rows whose predicate fails go to `failed`.
    fn filter(&mut self) -> Option<Vec<u32>> {
        let mut remaining: Option<Vec<u32>> = None;
        for &predicate in &self.predicates {
            let selected = remaining.as_ref().map_or(Selection::All(self.batch.len()), |rows| Selection::Rows(rows));
            if selected.is_empty() {
                break;
            }
            self.program.compute(&self.batch, predicate, selected);
            let mut kept = self.program.take_rows();
            let value = self.program.vector(predicate);
            let failed = &mut self.failed;
            selected.for_each(|row| match value.flag(row) {
                VALUE if value.bool(row) => kept.push(row as u32),
                ERROR => failed.push((row as u32, value.error(row))),
                _ => {}
            });
            if kept.len() < selected.len() {
                self.program.open_frame();
            }
            if let Some(previous) = remaining.replace(kept) {
                self.program.give_rows(previous);
            }
        }
        remaining
    }
}

/// A filter by a conjunction is a filter by each operand in turn, which stops at false *and* at NULL (as Postgres' WHERE does).
fn compile_predicate(scalar: &Scalar, compiler: &mut Compiler<'_>, predicates: &mut Vec<NodeId>) {
    match scalar {
        Scalar::And(operands) => operands.iter().for_each(|operand| compile_predicate(operand, compiler, predicates)),
        other => predicates.push(compiler.compile(other)),
    }
}

/// Neighbours in the input that are neighbours in the output are copied as one piece.
fn compile_outputs(arity: usize, outputs: &[usize], compiler: &mut Compiler<'_>) -> Vec<Output> {
    let mut compiled = Vec::new();
    let mut next = 0;
    while let Some(&first) = outputs.get(next) {
        next += 1;
        if first >= arity {
            compiled.push(Output::Computed(compiler.compile(&Scalar::Column(first))));
            continue;
        }
        let mut end = first + 1;
        while end < arity && outputs.get(next) == Some(&end) {
            end += 1;
            next += 1;
        }
        let to = (end < arity).then(|| compiler.boundary(end));
        compiled.push(Output::Copied { from: compiler.boundary(first), to });
    }
    compiled
}

fn write_row(outputs: &[Output], program: &Program, batch: &Batch, row: usize, builder: &mut RowBuilder) -> Result<(), EvalError> {
    for output in outputs {
        match output {
            Output::Copied { from, to } => builder.push_encoded(batch.between(row, *from, *to)),
            Output::Computed(node) => program.vector(*node).write(row, builder)?,
        }
    }
    Ok(())
}

/// The value of a scalar without columns.
pub fn evaluate_constant(scalar: &Scalar, context: &Context) -> Result<repr::Row, EvalError> {
    let mut transform = Transform::new(&[], &[Step::Map(vec![scalar.clone()])], &[0], context);
    transform.push(&[]);
    let mut result = Err(EvalError::new(repr::SqlState::INTERNAL_ERROR, "a constant expression has no value"));
    transform.flush(&mut |_, row| result = row.map(repr::Row::from_bytes));
    result
}

#[cfg(test)]
mod tests;

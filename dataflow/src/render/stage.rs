//! Map, filter and project, fused into the operator that produces or consumes the rows.

use super::Time;
use plan::vector::{Step, Transform};
use plan::{Context, Scalar};
use repr::{ColumnType, Datum, EvalError, Row, RowRef};
use std::hash::Hasher;

/// Rows a stage computes at once.
const BATCH_ROWS_MAX: usize = 1024;
/// Bytes of them.
const BATCH_BYTES_MAX: usize = 1 << 18;

/// A pending chain of Map, Filter and Project over some input columns.
#[derive(Clone, Debug)]
pub struct Linear {
    input_arity: usize,
    /// The input's columns and the mapped ones.
    types: Vec<ColumnType>,
    steps: Vec<Step>,
    /// The output columns, as positions in `types`.
    columns: Vec<usize>,
    /// Pairs of positions whose values must be identical, compared as bytes; checked last.
    equal: Vec<(usize, usize)>,
}

impl Linear {
    pub fn identity(types: Vec<ColumnType>) -> Linear {
        Linear { input_arity: types.len(), columns: (0..types.len()).collect(), types, steps: Vec::new(), equal: Vec::new() }
    }
    pub fn input_types(&self) -> &[ColumnType] {
        &self.types[..self.input_arity]
    }
    pub fn output_types(&self) -> Vec<ColumnType> {
        self.columns.iter().map(|&column| self.types[column].clone()).collect()
    }
    /// The output columns, as positions among the input's columns followed by the mapped ones.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }
    pub fn is_identity(&self) -> bool {
        self.is_projection() && self.columns.len() == self.input_arity && self.columns.iter().enumerate().all(|(at, &column)| at == column)
    }
    /// Only moves columns.
    pub fn is_projection(&self) -> bool {
        self.steps.is_empty() && self.equal.is_empty()
    }
    fn resolve(&self, scalar: &Scalar) -> Scalar {
        let mut scalar = scalar.clone();
        scalar.remap_columns(&mut |column| self.columns[column]);
        scalar
    }
    fn append(&mut self, scalar: Scalar) -> usize {
        if let Scalar::Column(column) = scalar {
            return column;
        }
        self.types.push(scalar.column_type(&self.types));
        match self.steps.last_mut() {
            Some(Step::Map(scalars)) => scalars.push(scalar),
            _ => self.steps.push(Step::Map(vec![scalar])),
        }
        self.types.len() - 1
    }
    pub fn map(&mut self, scalars: &[Scalar]) {
        for scalar in scalars {
            let position = self.append(self.resolve(scalar));
            self.columns.push(position);
        }
    }
    pub fn filter(&mut self, predicates: &[Scalar]) {
        if !predicates.is_empty() {
            self.steps.push(Step::Filter(predicates.iter().map(|predicate| self.resolve(predicate)).collect()));
        }
    }
    pub fn project(&mut self, outputs: &[usize]) {
        self.columns = outputs.iter().map(|&column| self.columns[column]).collect();
    }
    /// Keeps the rows in which two scalars over the output columns have identical values.
    pub fn require_equal(&mut self, left: &Scalar, right: &Scalar) {
        let (left, right) = (self.append(self.resolve(left)), self.append(self.resolve(right)));
        if left != right {
            self.equal.push((left, right));
        }
    }
    /// The same, yielding `scalars` over the output columns and then some of those columns.
    pub fn keyed(&self, scalars: &[Scalar], columns: &[usize]) -> Linear {
        let mut keyed = self.clone();
        let key: Vec<usize> = scalars.iter().map(|scalar| keyed.append(keyed.resolve(scalar))).collect();
        keyed.columns = key.into_iter().chain(columns.iter().map(|&column| self.columns[column])).collect();
        keyed
    }
    /// This work and then more, over its output columns.
    pub fn then(&self, following: &Linear) -> Linear {
        let mut both = self.clone();
        let mut positions = self.columns.clone();
        for step in &following.steps {
            match step {
                Step::Map(scalars) => {
                    for scalar in scalars {
                        let mut scalar = scalar.clone();
                        scalar.remap_columns(&mut |column| positions[column]);
                        positions.push(both.append(scalar));
                    }
                }
                Step::Filter(predicates) => {
                    let mut predicates = predicates.clone();
                    predicates.iter_mut().for_each(|predicate| predicate.remap_columns(&mut |column| positions[column]));
                    both.steps.push(Step::Filter(predicates));
                }
            }
        }
        both.columns = following.columns.iter().map(|&column| positions[column]).collect();
        both.equal.extend(following.equal.iter().map(|&(left, right)| (positions[left], positions[right])));
        both
    }
    /// The same over an input whose columns are stored elsewhere: column `i` at `positions[i]` of `stored`.
    pub fn over(&self, stored: Vec<ColumnType>, positions: &[usize]) -> Linear {
        let shift = |column: usize| if column < self.input_arity { positions[column] } else { column - self.input_arity + stored.len() };
        let shift_all = |scalars: &[Scalar]| -> Vec<Scalar> {
            let shifted = scalars.iter().cloned().map(|mut scalar| {
                scalar.remap_columns(&mut |column| shift(column));
                scalar
            });
            shifted.collect()
        };
        Linear {
            input_arity: stored.len(),
            steps: self
                .steps
                .iter()
                .map(|step| match step {
                    Step::Map(scalars) => Step::Map(shift_all(scalars)),
                    Step::Filter(predicates) => Step::Filter(shift_all(predicates)),
                })
                .collect(),
            columns: self.columns.iter().map(|&column| shift(column)).collect(),
            equal: self.equal.iter().map(|&(left, right)| (shift(left), shift(right))).collect(),
            types: stored.iter().cloned().chain(self.types[self.input_arity..].iter().cloned()).collect(),
        }
    }
    /// The input columns anything here looks at.
    pub fn demand(&self) -> std::collections::BTreeSet<usize> {
        let mut demand = std::collections::BTreeSet::new();
        let mut add = |column: usize| {
            if column < self.input_arity {
                demand.insert(column);
            }
        };
        for step in &self.steps {
            let (Step::Map(scalars) | Step::Filter(scalars)) = step;
            scalars.iter().for_each(|scalar| scalar.for_each_column(&mut add));
        }
        self.columns.iter().for_each(|&column| add(column));
        self.equal.iter().for_each(|&(left, right)| {
            add(left);
            add(right);
        });
        demand
    }
    /// Whether an output column, or what is required of rows, may fail.
    pub fn has_fallible_column(&self) -> bool {
        let mut next = self.input_arity;
        let mut fallible = Vec::new();
        for step in &self.steps {
            if let Step::Map(scalars) = step {
                for scalar in scalars {
                    let mut fails = scalar.can_fail();
                    scalar.for_each_column(&mut |column| fails |= fallible.contains(&column));
                    if fails {
                        fallible.push(next);
                    }
                    next += 1;
                }
            }
        }
        self.columns.iter().any(|column| fallible.contains(column))
    }
    fn can_fail(&self) -> bool {
        self.steps.iter().any(|step| {
            let (Step::Map(scalars) | Step::Filter(scalars)) = step;
            scalars.iter().any(Scalar::can_fail)
        })
    }
    pub fn stage<T: Time>(&self, context: &Context) -> Stage<T> {
        let checks = self.equal.iter().flat_map(|&(left, right)| [left, right]);
        let outputs: Vec<usize> = self.columns.iter().copied().chain(checks).collect();
        Stage {
            transform: Transform::new(self.input_types(), &self.steps, &outputs, context),
            columns: self.columns.len(),
            checks: self.equal.len(),
            can_fail: self.can_fail(),
            updates: Vec::new(),
            origins: Vec::new(),
        }
    }
}

/// A compiled [`Linear`] with the times and diffs of the rows in its batch.
pub struct Stage<T> {
    transform: Transform,
    columns: usize,
    checks: usize,
    can_fail: bool,
    updates: Vec<(T, i64)>,
    /// What tells the input rows apart, while they may fail.
    origins: Vec<u64>,
}

impl<T: Time> Stage<T> {
    #[inline]
    pub fn push(&mut self, parts: &[&[u8]], time: T, diff: i64) {
        self.transform.push_parts(parts);
        self.updates.push((time, diff));
        if self.can_fail {
            self.origins.push(origin(parts));
        }
    }
    #[inline]
    pub fn is_full(&self) -> bool {
        self.updates.len() >= BATCH_ROWS_MAX || self.transform.bytes() >= BATCH_BYTES_MAX
    }
    /// Runs the batch. Each row is handed over encoded.
    pub fn flush(&mut self, on_row: &mut dyn FnMut(&[u8], T, i64), on_error: &mut dyn FnMut(Row, T, i64)) {
        let Stage { transform, columns, checks, updates, origins, .. } = self;
        transform.flush(&mut |position, result| {
            let (time, diff) = &updates[position];
            match result {
                Ok(row) if *checks == 0 => on_row(row, time.clone(), *diff),
                Ok(row) => {
                    let (row, checked) = crate::layout::split(row, *columns);
                    if all_equal(checked) {
                        on_row(row, time.clone(), *diff)
                    }
                }
                Err(error) => on_error(error_row(&error, origins.get(position).copied().unwrap_or_default()), time.clone(), *diff),
            }
        });
        updates.clear();
        origins.clear();
    }
    /// Runs the batch into buffers.
    pub fn flush_into<D: Stored>(&mut self, key_columns: usize, oks: &mut Vec<(D, T, i64)>, errs: &mut Vec<(Row, T, i64)>) {
        oks.reserve(self.updates.len());
        self.flush(&mut |row, time, diff| oks.push((D::from_row(row, key_columns), time, diff)), &mut |row, time, diff| errs.push((row, time, diff)));
    }
}

/// Whether the datums of a row are pairs of identical ones.
fn all_equal(row: &[u8]) -> bool {
    let mut datums = RowRef::new(row).iter();
    while let Some(left) = datums.next_encoded() {
        if datums.next_encoded() != Some(left) {
            return false;
        }
    }
    true
}

/// What a stage makes of an encoded row.
pub trait Stored: Ord + Clone + std::fmt::Debug + timely::ExchangeData {
    fn from_row(row: &[u8], key_columns: usize) -> Self;
}

impl Stored for Row {
    #[inline]
    fn from_row(row: &[u8], _key_columns: usize) -> Row {
        Row::from_bytes(row)
    }
}

impl Stored for (Row, Row) {
    #[inline]
    fn from_row(row: &[u8], key_columns: usize) -> (Row, Row) {
        let (key, value) = crate::layout::split(row, key_columns);
        (Row::from_bytes(key), Row::from_bytes(value))
    }
}

/// Identifies a row beside its error: the errors of two rows must not cancel each other when one of the rows has a negative multiplicity.
pub fn origin(parts: &[&[u8]]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    parts.iter().for_each(|part| hasher.write(part));
    hasher.finish()
}

/// An error as collections of errors hold it.
pub fn error_row(error: &EvalError, origin: u64) -> Row {
    let mut builder = repr::RowBuilder::new();
    builder.push_encoded(error.to_row().as_bytes());
    builder.push(Datum::Int8(origin as i64));
    builder.finish()
}

//! A transform with the multiplicities of its rows, and parameters that can change from run to run.

use super::Context;
use super::node::Sink;
use crate::Scalar;
use crate::vector::{Step, Transform};
use repr::{ColumnType, Diff, EvalError, Row, RowBuilder, SqlState};

/// Rows in a batch: enough to pay for the work per batch, few enough to stay in the cache. The first ones are smaller, so that a read that needs few rows
/// ends early.
const BATCH_ROWS_FIRST: usize = 32;
const BATCH_ROWS_MAX: usize = 1024;
const BATCH_BYTES: usize = 1 << 20;

/// Parameters are columns appended to every row, so that binding them compiles nothing.
pub struct Mapper {
    transform: Transform,
    diffs: Vec<Diff>,
    batch_rows: usize,
    parameters: Parameters,
}

/// The parameters an expression uses and the encoded values they have now.
#[derive(Default)]
struct Parameters {
    used: Vec<(usize, ColumnType)>,
    encoded: Vec<u8>,
    bound: bool,
}

pub fn unbound(parameter: usize) -> EvalError {
    EvalError::new(SqlState(*b"42P02"), format!("there is no parameter ${}", parameter + 1))
}

fn collect_parameters(scalar: &Scalar, used: &mut Vec<(usize, ColumnType)>) {
    if let Scalar::Parameter(number, column_type) = scalar
        && !used.iter().any(|(other, _)| other == number)
    {
        used.push((*number, column_type.clone()));
    }
    scalar.for_each_child(&mut |child| collect_parameters(child, used));
}

fn replace_parameters(scalar: &mut Scalar, replace: &mut dyn FnMut(usize, &ColumnType) -> Scalar) {
    if let Scalar::Parameter(number, column_type) = scalar {
        *scalar = replace(*number, column_type);
        return;
    }
    scalar.for_each_child_mut(&mut |child| replace_parameters(child, replace));
}

impl Mapper {
    /// As [`Transform::new`].
    pub fn new(input: &[ColumnType], mut steps: Vec<Step>, mut outputs: Vec<usize>, context: &Context) -> Mapper {
        let mut used = Vec::new();
        for step in &steps {
            let (Step::Map(scalars) | Step::Filter(scalars)) = step;
            scalars.iter().for_each(|scalar| collect_parameters(scalar, &mut used));
        }
        let mut types = input.to_vec();
        if !used.is_empty() {
            let (arity, added) = (input.len(), used.len());
            // Parameters stand between the input's columns and the mapped ones.
            let moved = |column: usize| {
                if column < arity { column } else { column + added }
            };
            for step in &mut steps {
                let (Step::Map(scalars) | Step::Filter(scalars)) = step;
                for scalar in scalars {
                    scalar.remap_columns(&mut |column| moved(column));
                    replace_parameters(scalar, &mut |number, _| {
                        Scalar::Column(arity + used.iter().position(|(other, _)| *other == number).unwrap_or(0))
                    });
                }
            }
            outputs.iter_mut().for_each(|output| *output = moved(*output));
            types.extend(used.iter().map(|(_, column_type)| column_type.clone().nullable(true)));
        }
        Mapper {
            transform: Transform::new(&types, &steps, &outputs, context),
            diffs: Vec::new(),
            batch_rows: BATCH_ROWS_FIRST,
            parameters: Parameters { used, ..Parameters::default() },
        }
    }

    /// Sets the parameters it uses.
    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        let parameters = &mut self.parameters;
        if parameters.used.is_empty() {
            return Ok(());
        }
        parameters.encoded.clear();
        for (number, _) in &parameters.used {
            parameters.encoded.extend_from_slice(nth_encoded(values, *number)?);
        }
        parameters.bound = true;
        Ok(())
    }

    /// Adds a row; runs the batch when it is full.
    #[inline]
    pub fn push(&mut self, row: &[u8], diff: Diff, emit: Sink<'_>) -> Result<bool, EvalError> {
        if self.parameters.used.is_empty() {
            self.transform.push(row);
        } else {
            if !self.parameters.bound {
                return Err(unbound(self.parameters.used[0].0));
            }
            self.transform.push_parts(&[row, &self.parameters.encoded]);
        }
        self.diffs.push(diff);
        if self.diffs.len() < self.batch_rows && self.transform.bytes() < BATCH_BYTES {
            return Ok(true);
        }
        self.flush(emit)
    }

    /// Runs what is left of the batch. False: the receiver wants no more.
    pub fn flush(&mut self, emit: Sink<'_>) -> Result<bool, EvalError> {
        let mut result = Ok(true);
        let diffs = &self.diffs;
        self.transform.flush(&mut |position, row| {
            // An error in any row of the batch fails the run, also after the receiver has had enough; the first one stands.
            match row {
                Ok(row) if matches!(result, Ok(true)) => result = emit(row, diffs[position]),
                Err(error) if result.is_ok() => result = Err(error),
                _ => {}
            }
        });
        self.diffs.clear();
        self.batch_rows = (self.batch_rows * 2).min(BATCH_ROWS_MAX);
        result
    }

    /// Starts a run: forgets a batch that an error may have left behind.
    pub fn begin(&mut self) {
        self.batch_rows = BATCH_ROWS_FIRST;
        if !self.diffs.is_empty() {
            self.transform.flush(&mut |_, _| {});
            self.diffs.clear();
        }
    }
}

/// The encoded value of a parameter.
pub fn nth_encoded(values: &Row, number: usize) -> Result<&[u8], EvalError> {
    let mut datums = values.iter();
    for _ in 0..number {
        datums.next_encoded();
    }
    datums.next_encoded().ok_or_else(|| unbound(number))
}

/// Scalars without columns, computed when parameters are bound: keys of a lookup, bounds, limits.
pub struct Constants {
    scalars: Vec<Scalar>,
    value: Result<Row, EvalError>,
    kind: ConstantsKind,
}

enum ConstantsKind {
    /// No parameters: computed once.
    Fixed,
    /// Every scalar is a literal or a parameter: bytes are copied.
    Copied,
    Computed(Box<Mapper>),
}

impl Constants {
    pub fn new(scalars: &[Scalar], context: &Context) -> Constants {
        let mut used = Vec::new();
        scalars.iter().for_each(|scalar| collect_parameters(scalar, &mut used));
        let copied = scalars.iter().all(|scalar| matches!(scalar, Scalar::Literal(..) | Scalar::Parameter(..)));
        let mapper = || Mapper::new(&[], vec![Step::Map(scalars.to_vec())], (0..scalars.len()).collect(), context);
        let kind = match (used.is_empty(), copied) {
            (true, _) => ConstantsKind::Fixed,
            (false, true) => ConstantsKind::Copied,
            (false, false) => ConstantsKind::Computed(Box::new(mapper())),
        };
        let value = match (&kind, used.first()) {
            (ConstantsKind::Fixed, _) if copied => Ok(concatenate(scalars)),
            (ConstantsKind::Fixed, _) => compute(&mut mapper()),
            (_, Some((number, _))) => Err(unbound(*number)),
            (_, None) => Ok(Row::empty()),
        };
        Constants { scalars: scalars.to_vec(), value, kind }
    }

    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        match &mut self.kind {
            ConstantsKind::Fixed => {}
            ConstantsKind::Copied => {
                let mut row = RowBuilder::new();
                for scalar in &self.scalars {
                    match scalar {
                        Scalar::Parameter(number, _) => row.push_encoded(nth_encoded(values, *number)?),
                        Scalar::Literal(literal, _) => row.push_encoded(literal.as_bytes()),
                        _ => {}
                    }
                }
                self.value = Ok(row.finish());
            }
            ConstantsKind::Computed(mapper) => {
                mapper.bind(values)?;
                self.value = compute(mapper);
            }
        }
        Ok(())
    }

    /// The values, encoded one after the other.
    pub fn value(&self) -> Result<&Row, EvalError> {
        self.value.as_ref().map_err(EvalError::clone)
    }
}

fn concatenate(scalars: &[Scalar]) -> Row {
    let mut row = RowBuilder::new();
    for scalar in scalars {
        if let Scalar::Literal(literal, _) = scalar {
            row.push_encoded(literal.as_bytes());
        }
    }
    row.finish()
}

fn compute(mapper: &mut Mapper) -> Result<Row, EvalError> {
    let mut value = Row::empty();
    let mut take = |row: &[u8], _| {
        value = Row::from_bytes(row);
        Ok(true)
    };
    mapper.push(&[], 1, &mut take)?;
    mapper.flush(&mut take)?;
    Ok(value)
}

//! Typed columns: values, a flag per row, and a sparse list of errors.

use repr::{Array, Date, Datum, EvalError, Interval, Jsonb, Numeric, RowBuilder, RowRef, SqlState, SqlTimestamp, SqlTimestampTz, Time, Type};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The row has a value.
pub const VALUE: u8 = 0;
/// The row is NULL.
pub const NULL: u8 = 1;
/// The row could not be computed; its error is in the list of errors.
pub const ERROR: u8 = 2;

/// More bytes than this in one column of one batch is an error of the row that exceeds it: positions are 32 bits wide.
const BUFFER_BYTES_MAX: usize = u32::MAX as usize;

/// Which rows of a batch an evaluation is about, ascending.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    All(usize),
    Rows(&'a [u32]),
}

impl Selection<'_> {
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    pub fn len(self) -> usize {
        match self {
            Selection::All(len) => len,
            Selection::Rows(rows) => rows.len(),
        }
    }
    #[inline(always)]
    pub fn for_each(self, mut visit: impl FnMut(usize)) {
        match self {
            Selection::All(len) => (0..len).for_each(visit),
            Selection::Rows(rows) => rows.iter().for_each(|&row| visit(row as usize)),
        }
    }
}

/// Bytes that grow at the end.
pub trait Buffer: Default {
    fn length(&self) -> usize;
    fn shorten(&mut self, length: usize);
}
impl Buffer for String {
    fn length(&self) -> usize {
        self.len()
    }
    fn shorten(&mut self, length: usize) {
        self.truncate(length)
    }
}
impl Buffer for Vec<u8> {
    fn length(&self) -> usize {
        self.len()
    }
    fn shorten(&mut self, length: usize) {
        self.truncate(length)
    }
}

/// Values of varying length in one buffer. Each row knows its start and end, so rows can be set in any order.
#[derive(Debug, Default)]
pub struct Spans<B> {
    spans: Vec<(u32, u32)>,
    buffer: B,
}

impl<B: Buffer> Spans<B> {
    fn begin(&mut self, rows: usize) {
        self.buffer.shorten(0);
        self.spans.clear();
        self.spans.resize(rows, (0, 0));
    }
    /// Lets `write` append the value of a row; what it wrote is taken back when it fails.
    #[inline]
    pub fn write<T>(&mut self, row: usize, write: impl FnOnce(&mut B) -> Result<T, EvalError>) -> Result<T, EvalError> {
        let start = self.buffer.length();
        let written = write(&mut self.buffer);
        let end = self.buffer.length();
        if written.is_err() || end > BUFFER_BYTES_MAX {
            self.buffer.shorten(start);
            return written.and(Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the values of one batch of rows exceed 4 gigabytes")));
        }
        self.spans[row] = (start as u32, end as u32);
        written
    }
}
impl Spans<String> {
    #[inline(always)]
    pub fn get(&self, row: usize) -> &str {
        let (start, end) = self.spans[row];
        &self.buffer[start as usize..end as usize]
    }
}
impl Spans<Vec<u8>> {
    #[inline(always)]
    pub fn get(&self, row: usize) -> &[u8] {
        let (start, end) = self.spans[row];
        &self.buffer[start as usize..end as usize]
    }
}

/// The values of a column. A row without a value (NULL, error, not selected) holds anything.
#[derive(Debug)]
pub enum Values {
    Bool(Vec<bool>),
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Numeric(Vec<Numeric>),
    Text(Spans<String>),
    Bytea(Spans<Vec<u8>>),
    Date(Vec<Date>),
    Time(Vec<Time>),
    Timestamp(Vec<SqlTimestamp>),
    TimestampTz(Vec<SqlTimestampTz>),
    Interval(Vec<Interval>),
    Uuid(Vec<[u8; 16]>),
    Jsonb(Spans<Vec<u8>>),
    Oid(Vec<u32>),
    Array(Spans<Vec<u8>>),
    Record(Spans<Vec<u8>>),
}

impl Default for Values {
    fn default() -> Values {
        Values::Bool(Vec::new())
    }
}

impl Values {
    /// The storage of a type. Several types share one, as they share a [`Datum`] variant.
    pub fn new(scalar: &Type) -> Values {
        match scalar {
            Type::Bool => Values::Bool(Vec::new()),
            Type::Int2 => Values::Int2(Vec::new()),
            Type::Int4 => Values::Int4(Vec::new()),
            Type::Int8 => Values::Int8(Vec::new()),
            Type::Float4 => Values::Float4(Vec::new()),
            Type::Float8 => Values::Float8(Vec::new()),
            Type::Numeric => Values::Numeric(Vec::new()),
            Type::Text | Type::Varchar | Type::Bpchar | Type::InternalChar | Type::Name | Type::Json | Type::Unknown | Type::Void => {
                Values::Text(Spans::default())
            }
            Type::Bytea => Values::Bytea(Spans::default()),
            Type::Date => Values::Date(Vec::new()),
            Type::Time => Values::Time(Vec::new()),
            Type::Timestamp => Values::Timestamp(Vec::new()),
            Type::TimestampTz => Values::TimestampTz(Vec::new()),
            Type::Interval => Values::Interval(Vec::new()),
            Type::Uuid => Values::Uuid(Vec::new()),
            Type::Jsonb => Values::Jsonb(Spans::default()),
            Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace => Values::Oid(Vec::new()),
            Type::Array(_) | Type::AnyArray => Values::Array(Spans::default()),
            Type::Record(_) => Values::Record(Spans::default()),
            Type::Any | Type::AnyElement | Type::AnyNonArray => Values::Text(Spans::default()),
        }
    }

    /// The storage's name, for errors.
    fn name(&self) -> &'static str {
        match self {
            Values::Bool(_) => "boolean",
            Values::Int2(_) => "smallint",
            Values::Int4(_) => "integer",
            Values::Int8(_) => "bigint",
            Values::Float4(_) => "real",
            Values::Float8(_) => "double precision",
            Values::Numeric(_) => "numeric",
            Values::Text(_) => "text",
            Values::Bytea(_) => "bytea",
            Values::Date(_) => "date",
            Values::Time(_) => "time",
            Values::Timestamp(_) => "timestamp",
            Values::TimestampTz(_) => "timestamp with time zone",
            Values::Interval(_) => "interval",
            Values::Uuid(_) => "uuid",
            Values::Jsonb(_) => "jsonb",
            Values::Oid(_) => "oid",
            Values::Array(_) => "an array",
            Values::Record(_) => "a record",
        }
    }

    #[cold]
    fn mismatch(&self, datum: &Datum<'_>) -> EvalError {
        let message = format!("an expression got {datum:?} where its plan promises {}", self.name());
        EvalError::new(SqlState::INTERNAL_ERROR, message)
    }

    /// Empties the column and makes room for so many rows.
    fn begin(&mut self, rows: usize) {
        fn fill<T: Clone>(values: &mut Vec<T>, rows: usize, value: T) {
            values.clear();
            values.resize(rows, value);
        }
        match self {
            Values::Bool(values) => fill(values, rows, false),
            Values::Int2(values) => fill(values, rows, 0),
            Values::Int4(values) => fill(values, rows, 0),
            Values::Int8(values) => fill(values, rows, 0),
            Values::Float4(values) => fill(values, rows, 0.0),
            Values::Float8(values) => fill(values, rows, 0.0),
            // Numerics may own heap: those of the last batch are overwritten in place instead of dropped and filled first.
            Values::Numeric(values) => {
                if values.len() != rows {
                    values.resize(rows, Numeric::zero())
                }
            }
            Values::Date(values) => fill(values, rows, Date(0)),
            Values::Time(values) => fill(values, rows, Time(0)),
            Values::Timestamp(values) => fill(values, rows, SqlTimestamp(0)),
            Values::TimestampTz(values) => fill(values, rows, SqlTimestampTz(0)),
            Values::Interval(values) => fill(values, rows, Interval { months: 0, days: 0, micros: 0 }),
            Values::Uuid(values) => fill(values, rows, [0; 16]),
            Values::Oid(values) => fill(values, rows, 0),
            Values::Text(values) => values.begin(rows),
            Values::Bytea(values) | Values::Jsonb(values) | Values::Array(values) | Values::Record(values) => values.begin(rows),
        }
    }

    #[inline]
    fn datum(&self, row: usize) -> Datum<'_> {
        match self {
            Values::Bool(values) => Datum::Bool(values[row]),
            Values::Int2(values) => Datum::Int2(values[row]),
            Values::Int4(values) => Datum::Int4(values[row]),
            Values::Int8(values) => Datum::Int8(values[row]),
            Values::Float4(values) => Datum::Float4(values[row]),
            Values::Float8(values) => Datum::Float8(values[row]),
            Values::Numeric(values) => Datum::Numeric(values[row].clone()),
            Values::Text(values) => Datum::Text(values.get(row)),
            Values::Bytea(values) => Datum::Bytea(Cow::Borrowed(values.get(row))),
            Values::Date(values) => Datum::Date(values[row]),
            Values::Time(values) => Datum::Time(values[row]),
            Values::Timestamp(values) => Datum::Timestamp(values[row]),
            Values::TimestampTz(values) => Datum::TimestampTz(values[row]),
            Values::Interval(values) => Datum::Interval(values[row]),
            Values::Uuid(values) => Datum::Uuid(values[row]),
            Values::Jsonb(values) => Datum::Jsonb(Jsonb::from_encoded(values.get(row))),
            Values::Oid(values) => Datum::Oid(values[row]),
            Values::Array(values) => Datum::Array(Array::from_encoded(values.get(row))),
            Values::Record(values) => Datum::Record(RowRef::new(values.get(row))),
        }
    }

    /// Sets a row to a datum that is not NULL.
    fn set(&mut self, row: usize, datum: Datum<'_>) -> Result<(), EvalError> {
        fn append(values: &mut Spans<Vec<u8>>, row: usize, bytes: &[u8]) -> Result<(), EvalError> {
            values.write(row, |buffer| {
                buffer.extend_from_slice(bytes);
                Ok(())
            })
        }
        match (self, datum) {
            (Values::Bool(values), Datum::Bool(value)) => values[row] = value,
            (Values::Int2(values), Datum::Int2(value)) => values[row] = value,
            (Values::Int4(values), Datum::Int4(value)) => values[row] = value,
            (Values::Int8(values), Datum::Int8(value)) => values[row] = value,
            (Values::Float4(values), Datum::Float4(value)) => values[row] = value,
            (Values::Float8(values), Datum::Float8(value)) => values[row] = value,
            (Values::Numeric(values), Datum::Numeric(value)) => values[row] = value,
            (Values::Text(values), Datum::Text(text)) => {
                return values.write(row, |buffer| {
                    buffer.push_str(text);
                    Ok(())
                });
            }
            (Values::Bytea(values), Datum::Bytea(bytes)) => return append(values, row, &bytes),
            (Values::Date(values), Datum::Date(value)) => values[row] = value,
            (Values::Time(values), Datum::Time(value)) => values[row] = value,
            (Values::Timestamp(values), Datum::Timestamp(value)) => values[row] = value,
            (Values::TimestampTz(values), Datum::TimestampTz(value)) => values[row] = value,
            (Values::Interval(values), Datum::Interval(value)) => values[row] = value,
            (Values::Uuid(values), Datum::Uuid(value)) => values[row] = value,
            (Values::Jsonb(values), Datum::Jsonb(value)) => return append(values, row, value.as_encoded()),
            (Values::Oid(values), Datum::Oid(value)) => values[row] = value,
            (Values::Array(values), Datum::Array(value)) => return append(values, row, value.as_encoded()),
            (Values::Record(values), Datum::Record(value)) => return append(values, row, value.as_bytes()),
            (values, datum) => return Err(values.mismatch(&datum)),
        }
        Ok(())
    }
}

/// A column of a batch.
#[derive(Debug, Default)]
pub struct Vector {
    values: Values,
    /// Per row [`VALUE`], [`NULL`] or [`ERROR`]; empty when every row has a value.
    flags: Vec<u8>,
    errors: BTreeMap<u32, EvalError>,
    /// Rows there is room for; 1 for a constant.
    rows: usize,
    /// Every row of the batch has the value of row 0.
    constant: bool,
}

/// The parts a kernel writes to.
pub struct Target<'a> {
    pub values: &'a mut Values,
    pub flags: FlagsTarget<'a>,
}

/// Flags and errors of a vector while its values are borrowed.
pub struct FlagsTarget<'a> {
    flags: &'a mut Vec<u8>,
    errors: &'a mut BTreeMap<u32, EvalError>,
    rows: usize,
}

impl FlagsTarget<'_> {
    #[cold]
    pub fn set_null(&mut self, row: usize) {
        self.set(row, NULL)
    }
    #[cold]
    pub fn set_error(&mut self, row: usize, error: EvalError) {
        self.set(row, ERROR);
        self.errors.insert(row as u32, error);
    }
    fn set(&mut self, row: usize, flag: u8) {
        if self.flags.is_empty() {
            self.flags.resize(self.rows, VALUE);
        }
        self.flags[row] = flag;
    }
}

impl Vector {
    pub fn new(scalar: &Type) -> Vector {
        Vector { values: Values::new(scalar), ..Vector::default() }
    }
    /// A vector with one value for every row.
    pub fn constant(scalar: &Type, value: Result<Datum<'_>, EvalError>) -> Vector {
        let mut vector = Vector::new(scalar);
        vector.begin(1, true);
        vector.set(0, value);
        vector
    }
    /// Empties the vector and makes room for so many rows; all have a value until told otherwise.
    pub fn begin(&mut self, rows: usize, constant: bool) {
        debug_assert!(!constant || rows == 1);
        self.values.begin(rows);
        self.flags.clear();
        if !self.errors.is_empty() {
            self.errors.clear();
        }
        self.rows = rows;
        self.constant = constant;
    }
    pub fn rows(&self) -> usize {
        self.rows
    }
    pub fn values(&self) -> &Values {
        &self.values
    }
    pub fn is_constant(&self) -> bool {
        self.constant
    }
    /// `row & mask` is where a row's value is: 0 for constants.
    #[inline(always)]
    pub fn mask(&self) -> usize {
        if self.constant { 0 } else { usize::MAX }
    }
    /// No NULL and no error.
    #[inline(always)]
    pub fn is_clean(&self) -> bool {
        self.flags.is_empty()
    }
    #[inline(always)]
    pub fn flag(&self, row: usize) -> u8 {
        if self.flags.is_empty() { VALUE } else { self.flags[row & self.mask()] }
    }
    /// The error of a row whose flag is [`ERROR`].
    #[cold]
    pub fn error(&self, row: usize) -> EvalError {
        match self.errors.get(&((row & self.mask()) as u32)) {
            Some(error) => error.clone(),
            None => EvalError::new(SqlState::INTERNAL_ERROR, "a failed row without an error"),
        }
    }
    /// The value of a row, NULL included.
    #[inline]
    pub fn datum(&self, row: usize) -> Result<Datum<'_>, EvalError> {
        match self.flag(row) {
            VALUE => Ok(self.values.datum(row & self.mask())),
            NULL => Ok(Datum::Null),
            _ => Err(self.error(row)),
        }
    }
    /// Appends the encoded value of a row, NULL included.
    #[inline]
    pub fn write(&self, row: usize, out: &mut RowBuilder) -> Result<(), EvalError> {
        match self.flag(row) {
            VALUE => out.push(self.values.datum(row & self.mask())),
            NULL => out.push(Datum::Null),
            _ => return Err(self.error(row)),
        }
        Ok(())
    }
    #[inline]
    pub fn set(&mut self, row: usize, value: Result<Datum<'_>, EvalError>) {
        match value {
            Ok(Datum::Null) => self.target().flags.set_null(row),
            Ok(datum) => {
                if let Err(error) = self.values.set(row, datum) {
                    self.set_error(row, error)
                }
            }
            Err(error) => self.set_error(row, error),
        }
    }
    /// Sets the selected rows to datums. Common types take a loop of their own instead of a decision per row.
    pub fn fill<'a>(&mut self, rows: Selection<'_>, datum: impl Fn(usize) -> Result<Datum<'a>, EvalError>) {
        macro_rules! typed_loops {
            ($($variant:ident)*) => {
                match &self.values {
                    $(Values::$variant(_) => {
                        rows.for_each(|row| match (datum(row), &mut self.values) {
                            (Ok(Datum::$variant(value)), Values::$variant(values)) => values[row] = value,
                            (other, _) => self.set(row, other),
                        });
                    })*
                    _ => rows.for_each(|row| self.set(row, datum(row))),
                }
            };
        }
        typed_loops!(Bool Int2 Int4 Int8 Float8 Date Timestamp TimestampTz Uuid);
    }
    pub fn set_null(&mut self, row: usize) {
        self.target().flags.set_null(row)
    }
    pub fn set_error(&mut self, row: usize, error: EvalError) {
        self.target().flags.set_error(row, error)
    }
    /// Makes a row that was NULL a value again.
    pub fn clear_flag(&mut self, row: usize) {
        if let Some(flag) = self.flags.get_mut(row) {
            *flag = VALUE
        }
    }
    pub fn target(&mut self) -> Target<'_> {
        Target { values: &mut self.values, flags: FlagsTarget { flags: &mut self.flags, errors: &mut self.errors, rows: self.rows } }
    }
    /// Sets the selected rows to those of `source`, errors and NULLs included.
    pub fn copy_rows(&mut self, source: &Vector, rows: Selection<'_>) {
        macro_rules! copy_values {
            ($($variant:ident)*) => {
                match (&mut self.values, &source.values) {
                    $((Values::$variant(to), Values::$variant(from)) if source.flags.is_empty() => {
                        let mask = source.mask();
                        return rows.for_each(|row| to[row] = from[row & mask]);
                    })*
                    _ => {}
                }
            };
        }
        copy_values!(Bool Int2 Int4 Int8 Float4 Float8 Date Time Timestamp TimestampTz Interval Uuid Oid);
        rows.for_each(|row| self.set(row, source.datum(row)));
    }
    /// The boolean of a row that has a value.
    #[inline(always)]
    pub fn bool(&self, row: usize) -> bool {
        match &self.values {
            Values::Bool(values) => values[row & self.mask()],
            _ => false,
        }
    }
    /// Sets the boolean of a row; nothing for other vectors.
    #[inline(always)]
    pub fn set_bool(&mut self, row: usize, value: bool) {
        if let Values::Bool(values) = &mut self.values {
            values[row] = value
        }
    }
}

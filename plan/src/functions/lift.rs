//! From one typed Rust function to a batch kernel and an entry of the table.
//!
//! NULL handling, errors per row and selections are settled here, once; a function's author sees values.

use super::typed::{Appended, Arguments, Outcome, Store, Written};
use super::{Kernel, ScalarFunction, Volatility};
use crate::Context;
use crate::vector::column::{NULL, Selection, VALUE, Values, Vector};
use repr::{ColumnType, Datum, EvalError, RowBuilder, SqlState, Type};
use smallvec::SmallVec;
use std::marker::PhantomData;

/// What is known of a call before it runs.
pub struct Call<'a> {
    pub arguments: &'a [ColumnType],
    pub result: &'a ColumnType,
    pub context: &'a Context,
}

/// A function over a batch, with its state. `out` has been begun; rows that are not selected may be left as they are.
pub trait BatchKernel: Send {
    fn run(&mut self, arguments: &[&Vector], rows: Selection<'_>, out: &mut Vector);
}

/// Prepares a kernel for a call.
pub type Prepare = dyn Fn(&Call<'_>) -> Result<Box<dyn BatchKernel>, EvalError> + Send + Sync;

/// Sorts out the rows a function is not called for: an argument's error is the row's error (the first one wins, as Postgres evaluates arguments
/// from the left), NULL of a strict argument is the row's NULL. Returns whether `admitted` holds the rest; else all `rows` remain.
fn admit(arguments: &[&Vector], nullable: &[bool], rows: Selection<'_>, out: &mut Vector, admitted: &mut Vec<u32>) -> bool {
    if arguments.iter().all(|argument| argument.is_clean()) {
        return false;
    }
    admitted.clear();
    rows.for_each(|row| {
        let mut null = false;
        for (position, argument) in arguments.iter().enumerate() {
            match argument.flag(row) {
                VALUE => {}
                NULL => null |= !nullable.get(position).or(nullable.last()).copied().unwrap_or(false),
                _ => return out.set_error(row, argument.error(row)),
            }
        }
        if null { out.set_null(row) } else { admitted.push(row as u32) }
    });
    true
}

/// Types a kernel is made for without holding values of them.
type For<T> = PhantomData<fn() -> T>;

struct Returning<A, S, R, P, F> {
    state: P,
    function: F,
    admitted: Vec<u32>,
    types: For<(A, S, R)>,
}
impl<A, S, R, P, F> BatchKernel for Returning<A, S, R, P, F>
where
    A: Arguments,
    S: Store,
    R: Outcome<S> + 'static,
    P: Send,
    F: for<'a> Fn(&mut P, A::Refs<'a>) -> R + Send,
{
    fn run(&mut self, arguments: &[&Vector], rows: Selection<'_>, out: &mut Vector) {
        let narrowed = admit(arguments, A::nullable(), rows, out, &mut self.admitted);
        let rows = if narrowed { Selection::Rows(&self.admitted) } else { rows };
        let readers = A::readers(arguments);
        let target = out.target();
        let (slots, mut flags) = (S::slots(target.values), target.flags);
        rows.for_each(|row| (self.function)(&mut self.state, A::read(readers, row)).settle(slots, &mut flags, row));
    }
}

struct Writing<A, S, P, F> {
    state: P,
    function: F,
    admitted: Vec<u32>,
    types: For<(A, S)>,
}
impl<A, S, W, P, F> BatchKernel for Writing<(A, W), S, P, F>
where
    A: Arguments,
    S: Appended,
    W: Written + 'static,
    P: Send,
    F: for<'a> Fn(&mut P, A::Refs<'a>, &mut S::Bytes) -> W + Send,
{
    fn run(&mut self, arguments: &[&Vector], rows: Selection<'_>, out: &mut Vector) {
        let narrowed = admit(arguments, A::nullable(), rows, out, &mut self.admitted);
        let rows = if narrowed { Selection::Rows(&self.admitted) } else { rows };
        let readers = A::readers(arguments);
        let target = out.target();
        let (slots, mut flags) = (S::slots(target.values), target.flags);
        rows.for_each(|row| {
            let refs = A::read(readers, row);
            match slots.write(row, |buffer| (self.function)(&mut self.state, refs, buffer).written()) {
                Ok(true) => {}
                Ok(false) => flags.set_null(row),
                Err(error) => flags.set_error(row, error),
            }
        });
    }
}

/// Arguments that fit in line for a call over datums.
const INLINE_ARGUMENTS: usize = 6;

struct OverDatums<P, F> {
    state: P,
    function: F,
    strict: bool,
    admitted: Vec<u32>,
    builder: RowBuilder,
}
impl<P, F> BatchKernel for OverDatums<P, F>
where
    P: Send,
    F: for<'a> Fn(&mut P, &[Datum<'a>], &mut RowBuilder) -> Result<(), EvalError> + Send,
{
    fn run(&mut self, arguments: &[&Vector], rows: Selection<'_>, out: &mut Vector) {
        let narrowed = admit(arguments, &[!self.strict], rows, out, &mut self.admitted);
        let rows = if narrowed { Selection::Rows(&self.admitted) } else { rows };
        rows.for_each(|row| {
            let datums: SmallVec<[Datum<'_>; INLINE_ARGUMENTS]> =
                arguments.iter().map(|argument| argument.datum(row).unwrap_or(Datum::Null)).collect();
            self.builder.clear();
            match (self.function)(&mut self.state, &datums, &mut self.builder) {
                Ok(()) => {
                    let datum = repr::RowRef::new(self.builder.as_bytes()).iter().next();
                    out.set(row, datum.ok_or_else(|| EvalError::new(SqlState::INTERNAL_ERROR, "a function returned no value")));
                }
                Err(error) => out.set_error(row, error),
            }
        });
    }
}

fn check_storages<A: Arguments>(call: &Call<'_>) -> Result<(), EvalError> {
    let storages: Vec<Values> = call.arguments.iter().map(|argument| Values::new(&argument.scalar)).collect();
    if A::fit(&storages) {
        return Ok(());
    }
    let types: Vec<String> = call.arguments.iter().map(|argument| argument.scalar.sql_name(-1)).collect();
    Err(EvalError::new(SqlState::INTERNAL_ERROR, format!("a function was bound to arguments it does not take ({})", types.join(", "))))
}

fn check_result<S: Store>(call: &Call<'_>) -> Result<(), EvalError> {
    let wanted = std::mem::discriminant(&Values::new(&S::sql_type()));
    if wanted == std::mem::discriminant(&Values::new(&call.result.scalar)) {
        return Ok(());
    }
    let name = call.result.scalar.sql_name(-1);
    Err(EvalError::new(SqlState::INTERNAL_ERROR, format!("a function was bound to a result it does not return ({name})")))
}

/// A kernel of a function that returns its result.
pub fn returning<A, S, R, P, F>(call: &Call<'_>, state: P, function: F) -> Result<Box<dyn BatchKernel>, EvalError>
where
    A: Arguments,
    S: Store,
    R: Outcome<S> + 'static,
    P: Send + 'static,
    F: for<'a> Fn(&mut P, A::Refs<'a>) -> R + Send + 'static,
{
    check_storages::<A>(call)?;
    check_result::<S>(call)?;
    Ok(Box::new(Returning::<A, S, R, P, F> { state, function, admitted: Vec::new(), types: PhantomData }))
}

/// A kernel of a function that appends its result to a buffer.
pub fn writing<A, S, W, P, F>(call: &Call<'_>, state: P, function: F) -> Result<Box<dyn BatchKernel>, EvalError>
where
    A: Arguments,
    S: Appended,
    W: Written + 'static,
    P: Send + 'static,
    F: for<'a> Fn(&mut P, A::Refs<'a>, &mut S::Bytes) -> W + Send + 'static,
{
    check_storages::<A>(call)?;
    check_result::<S>(call)?;
    Ok(Box::new(Writing::<(A, W), S, P, F> { state, function, admitted: Vec::new(), types: PhantomData }))
}

/// A kernel of a function over datums, for polymorphic and variadic functions; it appends one datum to the builder.
pub fn over_datums<P, F>(strict: bool, state: P, function: F) -> Result<Box<dyn BatchKernel>, EvalError>
where
    P: Send + 'static,
    F: for<'a> Fn(&mut P, &[Datum<'a>], &mut RowBuilder) -> Result<(), EvalError> + Send + 'static,
{
    Ok(Box::new(OverDatums { state, function, strict, admitted: Vec::new(), builder: RowBuilder::new() }))
}

/// The table while it is built.
#[derive(Default)]
pub struct Table {
    pub entries: Vec<ScalarFunction>,
}

/// An entry while it is built. `A` are its arguments, `S` its result.
pub struct Entry<'t, A, S> {
    table: &'t mut Table,
    name: &'static str,
    description: &'static str,
    volatility: Volatility,
    types: PhantomData<(A, S)>,
}

impl Table {
    pub fn entry<A: Arguments, S: Store>(&mut self, name: &'static str, description: &'static str) -> Entry<'_, A, S> {
        Entry { table: self, name, description, volatility: Volatility::Immutable, types: PhantomData }
    }

    /// A function over datums: for polymorphic and variadic ones. `state` is made once per plan, and sees the types of the call.
    pub fn datums<P, F>(&mut self, shape: Shape, state: impl Fn(&Call<'_>) -> P + Send + Sync + 'static, function: F)
    where
        P: Send + 'static,
        F: for<'a> Fn(&mut P, &[Datum<'a>], &mut RowBuilder) -> Result<(), EvalError> + Copy + Send + Sync + 'static,
    {
        let strict = shape.strict;
        self.entries.push(ScalarFunction {
            name: shape.name,
            arguments: shape.arguments,
            variadic: shape.variadic,
            result: shape.result,
            strict,
            volatility: Volatility::Immutable,
            can_fail: shape.can_fail,
            can_be_null: shape.can_be_null,
            description: shape.description,
            kernel: Kernel { prepare: Box::new(move |call| over_datums(strict, state(call), function)) },
        });
    }

    /// An entry whose kernel is chosen by the types of the call.
    pub fn kernel(&mut self, shape: Shape, prepare: impl Fn(&Call<'_>) -> Result<Box<dyn BatchKernel>, EvalError> + Send + Sync + 'static) {
        self.entries.push(ScalarFunction {
            name: shape.name,
            arguments: shape.arguments,
            variadic: shape.variadic,
            result: shape.result,
            strict: shape.strict,
            volatility: Volatility::Immutable,
            can_fail: shape.can_fail,
            can_be_null: shape.can_be_null,
            description: shape.description,
            kernel: Kernel { prepare: Box::new(prepare) },
        });
    }
}

/// What the table says of a function that is not lifted from a typed one.
pub struct Shape {
    pub name: &'static str,
    pub description: &'static str,
    pub arguments: Vec<Type>,
    pub result: Type,
    pub variadic: bool,
    pub strict: bool,
    pub can_fail: bool,
    pub can_be_null: bool,
}

impl Shape {
    /// A strict function that cannot fail and returns no NULL by itself.
    pub fn new(name: &'static str, description: &'static str, arguments: Vec<Type>, result: Type) -> Shape {
        Shape { name, description, arguments, result, variadic: false, strict: true, can_fail: false, can_be_null: false }
    }
    pub fn variadic(self) -> Shape {
        Shape { variadic: true, ..self }
    }
    pub fn called_on_null(self) -> Shape {
        Shape { strict: false, ..self }
    }
    pub fn can_fail(self) -> Shape {
        Shape { can_fail: true, ..self }
    }
    pub fn can_be_null(self) -> Shape {
        Shape { can_be_null: true, ..self }
    }
}

impl<A: Arguments, S: Store> Entry<'_, A, S> {
    pub fn stable(self) -> Self {
        Entry { volatility: Volatility::Stable, ..self }
    }
    pub fn volatile(self) -> Self {
        Entry { volatility: Volatility::Volatile, ..self }
    }

    /// The function returns its result.
    pub fn returns<R, F>(self, function: F)
    where
        R: Outcome<S> + 'static,
        F: for<'a> Fn(A::Refs<'a>) -> R + Copy + Send + Sync + 'static,
    {
        self.push(
            R::CAN_FAIL,
            R::CAN_BE_NULL,
            Box::new(move |call| returning::<A, S, R, (), _>(call, (), move |_: &mut (), refs: A::Refs<'_>| function(refs))),
        )
    }

    /// As [`Entry::returns`], with a state made once per plan from the types and the context: a time zone, a cache of compiled patterns.
    pub fn returns_with<P, R, F>(self, state: impl Fn(&Call<'_>) -> P + Send + Sync + 'static, function: F)
    where
        P: Send + 'static,
        R: Outcome<S> + 'static,
        F: for<'a> Fn(&mut P, A::Refs<'a>) -> R + Copy + Send + Sync + 'static,
    {
        self.push(R::CAN_FAIL, R::CAN_BE_NULL, Box::new(move |call| returning::<A, S, R, P, F>(call, state(call), function)))
    }

    fn push(self, can_fail: bool, can_be_null: bool, prepare: Box<Prepare>) {
        let strict = !A::nullable().contains(&true);
        self.table.entries.push(ScalarFunction {
            name: self.name,
            arguments: A::types(),
            variadic: false,
            result: S::sql_type(),
            strict,
            volatility: self.volatility,
            can_fail,
            can_be_null,
            description: self.description,
            kernel: Kernel { prepare },
        });
    }
}

impl<A: Arguments, S: Appended> Entry<'_, A, S> {
    /// The function appends its result to a buffer.
    pub fn writes<W, F>(self, function: F)
    where
        W: Written + 'static,
        F: for<'a> Fn(A::Refs<'a>, &mut S::Bytes) -> W + Copy + Send + Sync + 'static,
    {
        self.push(
            W::CAN_FAIL,
            W::CAN_BE_NULL,
            Box::new(move |call| writing::<A, S, W, (), _>(call, (), move |_: &mut (), refs: A::Refs<'_>, out: &mut S::Bytes| function(refs, out))),
        )
    }

    /// As [`Entry::writes`], with a state made once per plan.
    pub fn writes_with<P, W, F>(self, state: impl Fn(&Call<'_>) -> P + Send + Sync + 'static, function: F)
    where
        P: Send + 'static,
        W: Written + 'static,
        F: for<'a> Fn(&mut P, A::Refs<'a>, &mut S::Bytes) -> W + Copy + Send + Sync + 'static,
    {
        self.push(W::CAN_FAIL, W::CAN_BE_NULL, Box::new(move |call| writing::<A, S, W, P, F>(call, state(call), function)))
    }
}

/// The last key and what was made of it: arguments that are constant in a plan (patterns, zones, units) are prepared once.
pub struct Memo<T> {
    key: String,
    value: Option<T>,
}

impl<T> Default for Memo<T> {
    fn default() -> Memo<T> {
        Memo { key: String::new(), value: None }
    }
}

impl<T> Memo<T> {
    pub fn get(&mut self, key: &str, make: impl FnOnce(&str) -> Result<T, EvalError>) -> Result<&T, EvalError> {
        if self.value.is_none() || self.key != key {
            self.value = None;
            let value = make(key)?;
            self.key.clear();
            self.key.push_str(key);
            return Ok(self.value.insert(value));
        }
        match &self.value {
            Some(value) => Ok(value),
            None => Err(EvalError::new(SqlState::INTERNAL_ERROR, "a prepared argument is missing")),
        }
    }
}

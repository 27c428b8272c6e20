//! Casts: which Postgres has, and the kernel of each pair of types.
//!
//! A cast is up to two steps: the conversion to the type, then its modifier (`varchar(3)`, `numeric(5,2)`). Types that are bytes of one text need no
//! conversion at all. Between text and the `reg*` types stands the catalog, which this crate does not know: those casts are errors here, and the binder
//! resolves constant ones.

mod convert;

use super::lift::{self, BatchKernel, Call};
use crate::CastKind;
use crate::vector::column::{Selection, Vector};
use repr::{ArrayBuilder, ColumnType, Datum, EvalError, RowBuilder, SqlState, Type};

/// One kernel of a cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Convert,
    ApplyModifier,
}

/// The steps from one type to another, each with the type it yields.
pub fn steps(from: &ColumnType, to: &ColumnType) -> Vec<(Step, ColumnType)> {
    let mut steps = Vec::new();
    let converted = ColumnType::new(to.scalar.clone());
    if !is_relabeling(&from.scalar, &to.scalar) {
        steps.push((Step::Convert, converted));
    }
    let applied = from.scalar == to.scalar && from.modifier == to.modifier;
    if to.modifier >= 0 && !applied && takes_modifier(&to.scalar) {
        steps.push((Step::ApplyModifier, to.clone()));
    }
    steps
}

fn takes_modifier(scalar: &Type) -> bool {
    match scalar {
        Type::Varchar | Type::Bpchar | Type::Numeric | Type::Time | Type::Timestamp | Type::TimestampTz | Type::Interval => true,
        Type::Array(element) => takes_modifier(element),
        _ => false,
    }
}

/// The values are the same bytes and no function treats them differently. (`json` is not the same as `text` to `to_jsonb`, nor `regclass` as `oid` to
/// a cast to text: those take a step that changes the type alone.)
fn is_relabeling(from: &Type, to: &Type) -> bool {
    let plain = |scalar: &Type| matches!(scalar, Type::Text | Type::Varchar | Type::Unknown | Type::Void);
    from == to || (plain(to) && (plain(from) || matches!(from, Type::Name | Type::InternalChar)))
}

/// `oid` and the types that print it as a name.
fn is_object_id(scalar: &Type) -> bool {
    matches!(scalar, Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace)
}

fn is_text(scalar: &Type) -> bool {
    matches!(scalar, Type::Text | Type::Varchar | Type::Bpchar | Type::Name | Type::Unknown)
}

/// The kernel of one step.
pub fn prepare(step: Step, kind: CastKind, call: &Call<'_>) -> Result<Box<dyn BatchKernel>, EvalError> {
    let from = call.arguments.first().map_or(&Type::Unknown, |argument| &argument.scalar);
    let to = &call.result.scalar;
    if let (Type::Array(from_element), Type::Array(to_element)) = (from, to) {
        return prepare_array(from_element, to_element, kind, step, call);
    }
    match step {
        Step::Convert => convert::prepare(from, to, call),
        Step::ApplyModifier => {
            let (target, explicit) = (call.result.clone(), kind == CastKind::Explicit);
            lift::over_datums(true, (), move |_, datums, out| match datums {
                [datum] => repr::text::apply_modifier(datum.clone(), &target, explicit, out),
                _ => Err(EvalError::new(SqlState::INTERNAL_ERROR, "a cast takes one argument")),
            })
        }
    }
}

/// The array is taken apart, its elements converted as one batch, and put together again with its dimensions.
struct ElementWise {
    kernels: Vec<(Box<dyn BatchKernel>, Vector)>,
    elements: Vector,
    builder: ArrayBuilder,
}

fn prepare_array(from: &Type, to: &Type, kind: CastKind, step: Step, call: &Call<'_>) -> Result<Box<dyn BatchKernel>, EvalError> {
    let modifier = if step == Step::ApplyModifier { call.result.modifier } else { -1 };
    let target = ColumnType::new(to.clone()).with_modifier(modifier);
    let mut current = ColumnType::new(from.clone());
    let mut kernels = Vec::new();
    for (element_step, step_type) in steps(&current.clone(), &target) {
        let from = [current];
        let element_call = Call { arguments: &from, result: &step_type, context: call.context };
        kernels.push((prepare(element_step, kind, &element_call)?, Vector::new(&step_type.scalar)));
        current = step_type;
    }
    Ok(Box::new(ElementWise { kernels, elements: Vector::new(from), builder: ArrayBuilder::new() }))
}

impl BatchKernel for ElementWise {
    fn run(&mut self, arguments: &[&Vector], rows: Selection<'_>, out: &mut Vector) {
        let Some(input) = arguments.first() else { return };
        rows.for_each(|row| {
            let array = match input.datum(row) {
                Ok(Datum::Array(array)) => array,
                other => return out.set(row, other),
            };
            let count = array.len();
            self.elements.begin(count, false);
            for (position, element) in array.elements().enumerate() {
                self.elements.set(position, Ok(element));
            }
            let mut current = &self.elements;
            for (kernel, result) in &mut self.kernels {
                result.begin(count, false);
                kernel.run(&[current], Selection::All(count), result);
                current = result;
            }
            for position in 0..count {
                match current.datum(position) {
                    Ok(datum) => self.builder.push(datum),
                    Err(error) => {
                        self.builder.finish();
                        return out.set_error(row, error);
                    }
                }
            }
            let bytes = self.builder.finish_with(&array.dimensions());
            out.set(row, Ok(Datum::Array(repr::Array::from_encoded(&bytes))));
        });
    }
}

/// Whether a cast can return NULL for a value.
pub fn can_be_null(from: &Type, to: &Type) -> bool {
    // The infinities have no time of day.
    matches!((from, to), (Type::Timestamp | Type::TimestampTz, Type::Time))
}

/// Whether the result depends on the session (its time zone, how it writes floats and bytes, what `now` means in text), so that it is not a constant.
pub fn depends_on_context(from: &Type, to: &Type) -> bool {
    let is_time = |scalar: &Type| matches!(scalar, Type::Date | Type::Time | Type::Timestamp | Type::TimestampTz);
    match (from, to) {
        (Type::Array(from), Type::Array(to)) => depends_on_context(from, to),
        (Type::TimestampTz, to) => is_text(to) || (is_time(to) && *to != Type::TimestampTz),
        (from, Type::TimestampTz) => is_text(from) || is_time(from),
        (from, to) if is_text(from) => is_time(to) || matches!(to, Type::Array(_) | Type::Record(_)),
        (Type::Float4 | Type::Float8 | Type::Bytea | Type::Array(_) | Type::Record(_), to) => is_text(to),
        _ => false,
    }
}

/// Whether a cast can fail. An unknown `from` is judged by the target alone.
pub fn can_fail(from: &Type, to: &ColumnType) -> bool {
    if to.modifier >= 0 && takes_modifier(&to.scalar) {
        // Rounding a time cannot fail inside its range, a string or number that is too long can.
        return true;
    }
    if is_relabeling(from, &to.scalar) && *from != Type::Unknown {
        return false;
    }
    match (from, &to.scalar) {
        (Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace, to) => is_text(to),
        (_, Type::Text | Type::Varchar | Type::Bpchar | Type::Name) => false,
        (Type::Int2, Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric) => false,
        (Type::Int4, Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric | Type::Bool) => false,
        (Type::Int8, Type::Float4 | Type::Float8 | Type::Numeric) => false,
        (Type::Float4, Type::Float8) | (Type::Bool, Type::Int4) => false,
        (Type::Timestamp | Type::TimestampTz, Type::Date | Type::Time) | (Type::Time, Type::Interval) | (Type::Interval, Type::Time) => false,
        (Type::Jsonb, Type::Json) => false,
        (from, to) if is_object_id(from) && is_object_id(to) => false,
        (Type::Array(from), Type::Array(to)) => can_fail(from, &ColumnType::new((**to).clone())),
        _ => true,
    }
}

/// Whether Postgres has a cast between two types, and the weakest context that allows it.
pub fn cast_context(from: &Type, to: &Type) -> Option<CastKind> {
    use CastKind::{Assignment, Explicit, Implicit};
    if from == to || *from == Type::Unknown {
        return Some(Implicit);
    }
    let kind = match (from, to) {
        (Type::Int2, Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric) => Implicit,
        (Type::Int4, Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric) => Implicit,
        (Type::Int8, Type::Float4 | Type::Float8 | Type::Numeric) => Implicit,
        (Type::Int4, Type::Int2) | (Type::Int8, Type::Int2 | Type::Int4) => Assignment,
        (Type::Float4, Type::Float8) | (Type::Numeric, Type::Float4 | Type::Float8) => Implicit,
        (Type::Float4 | Type::Float8 | Type::Numeric, Type::Int2 | Type::Int4 | Type::Int8) => Assignment,
        (Type::Float8, Type::Float4) | (Type::Float4 | Type::Float8, Type::Numeric) => Assignment,
        (Type::Bool, Type::Int4) | (Type::Int4, Type::Bool) => Explicit,
        (Type::InternalChar, Type::Int4) | (Type::Int4, Type::InternalChar) => Explicit,
        (Type::Int2 | Type::Int4 | Type::Int8, to) if is_object_id(to) => Implicit,
        (from, Type::Int4 | Type::Int8) if is_object_id(from) => Assignment,
        (Type::Oid, to) if is_object_id(to) => Implicit,
        (from, Type::Oid) if is_object_id(from) => Implicit,
        (Type::Text | Type::Varchar | Type::Bpchar, Type::Text | Type::Varchar | Type::Bpchar | Type::Name) => Implicit,
        (Type::Name | Type::InternalChar, Type::Text) => Implicit,
        (Type::Text | Type::Varchar | Type::Bpchar, Type::InternalChar) => Assignment,
        (Type::Text | Type::Varchar, Type::Regclass) => Implicit,
        (Type::Date, Type::Timestamp | Type::TimestampTz) | (Type::Timestamp, Type::TimestampTz) | (Type::Time, Type::Interval) => Implicit,
        (Type::Timestamp, Type::Date | Type::Time) | (Type::TimestampTz, Type::Date | Type::Time | Type::Timestamp) => Assignment,
        (Type::Interval, Type::Time) => Assignment,
        (Type::Json, Type::Jsonb) | (Type::Jsonb, Type::Json) => Assignment,
        (Type::Jsonb, Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric) => Explicit,
        (Type::Array(from), Type::Array(to)) => return cast_context(from, to),
        (Type::Record(from), Type::Record(to)) => return record_context(from, to),
        // Casts by text: any type can be assigned to a string, and read from one on demand.
        (_, Type::Text | Type::Varchar | Type::Bpchar | Type::Name) if !is_pseudo(from) => Assignment,
        (Type::Text | Type::Varchar | Type::Bpchar | Type::Name, to) if !is_pseudo(to) && !matches!(to, Type::Record(_)) => Explicit,
        _ => return None,
    };
    Some(kind)
}

fn is_pseudo(scalar: &Type) -> bool {
    matches!(scalar, Type::Void | Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray | Type::Unknown)
}

/// Records convert field by field; the cast is as strong as its strongest field.
fn record_context(from: &[Type], to: &[Type]) -> Option<CastKind> {
    if from.len() != to.len() {
        return None;
    }
    let rank = |kind: &CastKind| match kind {
        CastKind::Implicit => 0,
        CastKind::Assignment => 1,
        CastKind::Explicit => 2,
    };
    let fields: Option<Vec<CastKind>> = from.iter().zip(to).map(|(from, to)| cast_context(from, to)).collect();
    Some(fields?.into_iter().max_by_key(rank).unwrap_or(CastKind::Implicit))
}

/// A cast that writes the value as text.
fn to_text(from: &Type, call: &Call<'_>) -> Result<Box<dyn BatchKernel>, EvalError> {
    let (from, text) = (from.clone(), call.context.text.clone());
    lift::over_datums(true, String::new(), move |buffer: &mut String, datums, out| {
        buffer.clear();
        for datum in datums {
            repr::text::write(datum, &from, &text, buffer);
        }
        out.push(Datum::Text(buffer));
        Ok(())
    })
}

/// A cast that reads the value from text.
fn from_text(to: &Type, call: &Call<'_>) -> Result<Box<dyn BatchKernel>, EvalError> {
    let (to, text) = (to.clone(), call.context.text.clone());
    lift::over_datums(true, (), move |_, datums, out: &mut RowBuilder| match datums {
        [Datum::Text(input)] => repr::text::read(input, &to, &text, out),
        _ => Err(EvalError::new(SqlState::INTERNAL_ERROR, "a text cast takes one text")),
    })
}

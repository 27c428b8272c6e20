//! The kernel of each pair of types.

use super::super::lift::{BatchKernel, Call, over_datums, returning, writing};
use super::super::typed as t;
use super::{from_text, is_object_id, is_relabeling, is_text, to_text};
use repr::{Datum, EvalError, Jsonb, JsonbBuf, JsonbView, Numeric, RowBuilder, SqlState, Type, temporal};

type Prepared = Result<Box<dyn BatchKernel>, EvalError>;

/// Names are cut to this many bytes.
const NAME_BYTES_MAX: usize = 63;

pub fn prepare(from: &Type, to: &Type, call: &Call<'_>) -> Prepared {
    macro_rules! kernel {
        ($from:ident => $to:ident, |$value:ident| $convert:expr) => {
            returning::<(t::$from,), t::$to, _, _, _>(call, (), |_, ($value,)| $convert)
        };
    }
    match (from, to) {
        (Type::Int2, Type::Int4) => kernel!(Int2 => Int4, |value| i32::from(value)),
        (Type::Int2, Type::Int8) => kernel!(Int2 => Int8, |value| i64::from(value)),
        (Type::Int2, Type::Float4) => kernel!(Int2 => Float4, |value| f32::from(value)),
        (Type::Int2, Type::Float8) => kernel!(Int2 => Float8, |value| f64::from(value)),
        (Type::Int2, Type::Numeric) => kernel!(Int2 => Numeric, |value| Numeric::from(value)),
        (Type::Int4, Type::Int2) => kernel!(Int4 => Int2, |value| i16::try_from(value).map_err(|_| out_of_range(Type::Int2))),
        (Type::Int4, Type::Int8) => kernel!(Int4 => Int8, |value| i64::from(value)),
        (Type::Int4, Type::Float4) => kernel!(Int4 => Float4, |value| value as f32),
        (Type::Int4, Type::Float8) => kernel!(Int4 => Float8, |value| f64::from(value)),
        (Type::Int4, Type::Numeric) => kernel!(Int4 => Numeric, |value| Numeric::from(value)),
        (Type::Int4, Type::Bool) => kernel!(Int4 => Bool, |value| value != 0),
        (Type::Bool, Type::Int4) => kernel!(Bool => Int4, |value| i32::from(value)),
        (Type::Int8, Type::Int2) => kernel!(Int8 => Int2, |value| i16::try_from(value).map_err(|_| out_of_range(Type::Int2))),
        (Type::Int8, Type::Int4) => kernel!(Int8 => Int4, |value| i32::try_from(value).map_err(|_| out_of_range(Type::Int4))),
        (Type::Int8, Type::Float4) => kernel!(Int8 => Float4, |value| value as f32),
        (Type::Int8, Type::Float8) => kernel!(Int8 => Float8, |value| value as f64),
        (Type::Int8, Type::Numeric) => kernel!(Int8 => Numeric, |value| Numeric::from(value)),
        (Type::Float4, Type::Int2) => kernel!(Float4 => Int2, |value| float_to_integer(f64::from(value), Type::Int2).map(|value| value as i16)),
        (Type::Float4, Type::Int4) => kernel!(Float4 => Int4, |value| float_to_integer(f64::from(value), Type::Int4).map(|value| value as i32)),
        (Type::Float4, Type::Int8) => kernel!(Float4 => Int8, |value| float_to_integer(f64::from(value), Type::Int8)),
        (Type::Float4, Type::Float8) => kernel!(Float4 => Float8, |value| f64::from(value)),
        (Type::Float4, Type::Numeric) => kernel!(Float4 => Numeric, |value| Numeric::from_f32(value)),
        (Type::Float8, Type::Int2) => kernel!(Float8 => Int2, |value| float_to_integer(value, Type::Int2).map(|value| value as i16)),
        (Type::Float8, Type::Int4) => kernel!(Float8 => Int4, |value| float_to_integer(value, Type::Int4).map(|value| value as i32)),
        (Type::Float8, Type::Int8) => kernel!(Float8 => Int8, |value| float_to_integer(value, Type::Int8)),
        (Type::Float8, Type::Float4) => kernel!(Float8 => Float4, |value| narrow_float(value)),
        (Type::Float8, Type::Numeric) => kernel!(Float8 => Numeric, |value| Numeric::from_f64(value)),
        (Type::Numeric, Type::Int2) => kernel!(Numeric => Int2, |value| value.to_i16()),
        (Type::Numeric, Type::Int4) => kernel!(Numeric => Int4, |value| value.to_i32()),
        (Type::Numeric, Type::Int8) => kernel!(Numeric => Int8, |value| value.to_i64()),
        (Type::Numeric, Type::Float4) => kernel!(Numeric => Float4, |value| value.to_f32_checked()),
        (Type::Numeric, Type::Float8) => kernel!(Numeric => Float8, |value| value.to_f64_checked()),
        (Type::InternalChar, Type::Int4) => kernel!(InternalChar => Int4, |value| value.as_bytes().first().map_or(0, |&byte| i32::from(byte as i8))),
        (Type::Int4, Type::InternalChar) => {
            writing::<(t::Int4,), t::InternalChar, _, _, _>(call, (), |_, (value,), out: &mut String| match u8::try_from(value) {
                Ok(byte) if byte.is_ascii() => {
                    if byte != 0 {
                        out.push(char::from(byte))
                    }
                    Ok(())
                }
                _ => Err(EvalError::out_of_range("\"char\"")),
            })
        }
        (from, to) if is_object_id(from) && is_object_id(to) => kernel!(Oid => Oid, |value| value),
        (Type::Int2, to) if is_object_id(to) => kernel!(Int2 => Oid, |value| i32::from(value) as u32),
        (Type::Int4, to) if is_object_id(to) => kernel!(Int4 => Oid, |value| value as u32),
        (Type::Int8, to) if is_object_id(to) => kernel!(Int8 => Oid, |value| u32::try_from(value).map_err(|_| EvalError::out_of_range("OID"))),
        (from, Type::Int4) if is_object_id(from) => kernel!(Oid => Int4, |value| value as i32),
        (from, Type::Int8) if is_object_id(from) => kernel!(Oid => Int8, |value| i64::from(value)),
        (Type::Oid, to) if is_text(to) => to_text(from, call),
        (from, to) if (is_object_id(from) && is_text(to)) || (is_text(from) && is_object_id(to) && *to != Type::Oid) => Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("a cast from {} to {} is only supported for constants", from.sql_name(-1), to.sql_name(-1)),
        )),
        (Type::Json, Type::Jsonb) => returning::<(t::Json,), t::Jsonb, _, _, _>(call, (), |_, (text,)| JsonbBuf::parse(text)),
        (Type::Jsonb, Type::Json) => writing::<(t::Jsonb,), t::Json, _, _, _>(call, (), |_, (value,), out: &mut String| value.write_text(out)),
        (Type::Jsonb, to) if is_from_jsonb(to) => jsonb_to(to),
        (Type::Bool, to) if is_text(to) => {
            writing::<(t::Bool,), t::Text, _, _, _>(call, (), |_, (value,), out: &mut String| out.push_str(if value { "true" } else { "false" }))
        }
        (Type::Bpchar, Type::Text | Type::Varchar | Type::Name) => {
            writing::<(t::Bpchar,), t::Text, _, _, _>(call, (), |_, (text,), out: &mut String| out.push_str(text.trim_end_matches(' ')))
        }
        (from, Type::Name) if is_text(from) => writing::<(t::Text,), t::Name, _, _, _>(call, (), |_, (text,), out: &mut String| {
            let end = (0..=text.len().min(NAME_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
            out.push_str(&text[..end])
        }),
        (from, Type::InternalChar) if is_text(from) => {
            writing::<(t::Text,), t::InternalChar, _, _, _>(call, (), |_, (text,), out: &mut String| out.extend(text.chars().next()))
        }
        (Type::Text | Type::Varchar | Type::Name | Type::Unknown | Type::InternalChar, Type::Bpchar) => {
            writing::<(t::Text,), t::Bpchar, _, _, _>(call, (), |_, (text,), out: &mut String| out.push_str(text))
        }
        (from, to) if is_text(from) => from_text(to, call),
        (from, to) if is_text(to) => to_text(from, call),
        (Type::Record(from), Type::Record(to)) => record(from, to, call),
        (from, to) => temporal(from, to, call)
            .unwrap_or_else(|| Err(EvalError::new(SqlState(*b"42846"), format!("cannot cast type {} to {}", from.sql_name(-1), to.sql_name(-1))))),
    }
}

fn temporal(from: &Type, to: &Type, call: &Call<'_>) -> Option<Prepared> {
    let zone = call.context.text.time_zone;
    Some(match (from, to) {
        (Type::Date, Type::Timestamp) => returning::<(t::Date,), t::Timestamp, _, _, _>(call, (), |_, (date,)| temporal::date_to_timestamp(date)),
        (Type::Date, Type::TimestampTz) => {
            returning::<(t::Date,), t::TimestampTz, _, _, _>(call, (), move |_, (date,)| temporal::date_to_timestamptz(date, zone))
        }
        (Type::Timestamp, Type::TimestampTz) => {
            returning::<(t::Timestamp,), t::TimestampTz, _, _, _>(call, (), move |_, (local,)| zone.to_instant(local))
        }
        (Type::TimestampTz, Type::Timestamp) => {
            returning::<(t::TimestampTz,), t::Timestamp, _, _, _>(call, (), move |_, (instant,)| zone.to_local(instant))
        }
        (Type::Timestamp, Type::Date) => returning::<(t::Timestamp,), t::Date, _, _, _>(call, (), |_, (local,)| temporal::timestamp_to_date(local)),
        (Type::TimestampTz, Type::Date) => {
            returning::<(t::TimestampTz,), t::Date, _, _, _>(call, (), move |_, (instant,)| temporal::timestamptz_to_date(instant, zone))
        }
        (Type::Timestamp, Type::Time) => returning::<(t::Timestamp,), t::Time, _, _, _>(call, (), |_, (local,)| temporal::timestamp_to_time(local)),
        (Type::TimestampTz, Type::Time) => {
            returning::<(t::TimestampTz,), t::Time, _, _, _>(call, (), move |_, (instant,)| temporal::timestamptz_to_time(instant, zone))
        }
        (Type::Time, Type::Interval) => returning::<(t::Time,), t::Interval, _, _, _>(call, (), |_, (time,)| temporal::time_to_interval(time)),
        (Type::Interval, Type::Time) => {
            returning::<(t::Interval,), t::Time, _, _, _>(call, (), |_, (interval,)| temporal::interval_to_time(interval))
        }
        _ => return None,
    })
}

/// Field by field, through the kernels of the fields.
fn record(from: &[Type], to: &[Type], call: &Call<'_>) -> Prepared {
    use crate::vector::column::{Selection, Vector};
    let mut fields = Vec::new();
    for (from, to) in from.iter().zip(to) {
        let (source, target) = ([repr::ColumnType::new(from.clone())], repr::ColumnType::new(to.clone()));
        let field_call = Call { arguments: &source, result: &target, context: call.context };
        let kernel = if is_relabeling(from, to) { None } else { Some(super::prepare(super::Step::Convert, crate::CastKind::Explicit, &field_call)?) };
        fields.push((kernel, Vector::new(from), Vector::new(to)));
    }
    over_datums(true, (fields, RowBuilder::new()), |(fields, builder), datums, out| {
        let [Datum::Record(record)] = datums else { return Err(EvalError::new(SqlState::INTERNAL_ERROR, "a record cast takes one record")) };
        builder.clear();
        for ((kernel, source, target), datum) in fields.iter_mut().zip(record.iter()) {
            match kernel {
                None => builder.push(datum),
                Some(kernel) => {
                    source.begin(1, false);
                    source.set(0, Ok(datum));
                    target.begin(1, false);
                    kernel.run(&[source], Selection::All(1), target);
                    builder.push(target.datum(0)?);
                }
            }
        }
        out.push(Datum::Record(repr::RowRef::new(builder.as_bytes())));
        Ok(())
    })
}

fn out_of_range(scalar: Type) -> EvalError {
    EvalError::out_of_range(&scalar.sql_name(-1))
}

/// Rounds half to even, as Postgres' `rint` does.
fn float_to_integer(value: f64, to: Type) -> Result<i64, EvalError> {
    let rounded = value.round_ties_even();
    let (low, high) = match to {
        Type::Int2 => (-32_768.0, 32_768.0),
        Type::Int4 => (-2_147_483_648.0, 2_147_483_648.0),
        _ => (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
    };
    if rounded >= low && rounded < high { Ok(rounded as i64) } else { Err(out_of_range(to)) }
}

fn narrow_float(value: f64) -> Result<f32, EvalError> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() {
        return Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
    }
    if narrow == 0.0 && value != 0.0 {
        return Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"));
    }
    Ok(narrow)
}

fn is_from_jsonb(to: &Type) -> bool {
    matches!(to, Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric)
}

fn jsonb_to(to: &Type) -> Prepared {
    over_datums(true, to.clone(), |to, datums, out| {
        let [Datum::Jsonb(value)] = datums else { return Err(EvalError::new(SqlState::INTERNAL_ERROR, "a jsonb cast takes one jsonb")) };
        out.push(jsonb_datum(*value, to)?);
        Ok(())
    })
}

fn jsonb_datum(value: Jsonb<'_>, to: &Type) -> Result<Datum<'static>, EvalError> {
    let kind = match value.view() {
        JsonbView::Bool(value) if *to == Type::Bool => return Ok(Datum::Bool(value)),
        JsonbView::Number(number) if *to != Type::Bool => {
            return Ok(match to {
                Type::Int2 => Datum::Int2(number.to_i16()?),
                Type::Int4 => Datum::Int4(number.to_i32()?),
                Type::Int8 => Datum::Int8(number.to_i64()?),
                Type::Float4 => Datum::Float4(number.to_f32_checked()?),
                Type::Float8 => Datum::Float8(number.to_f64_checked()?),
                _ => Datum::Numeric(number),
            });
        }
        JsonbView::Null => "null",
        JsonbView::Bool(_) => "boolean",
        JsonbView::Number(_) => "numeric",
        JsonbView::String(_) => "string",
        JsonbView::Array(_) => "array",
        JsonbView::Object(_) => "object",
    };
    Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("cannot cast jsonb {kind} to type {}", to.sql_name(-1))))
}

//! What the 3 in `varchar(3)` and `timestamp(3)`, the (5, 2) in `numeric(5, 2)` do to a value.

use crate::temporal::{Interval, SqlTimestamp, SqlTimestampTz, Time};
use crate::{Array, ArrayBuilder, ColumnType, Datum, EvalError, NumericModifier, RowBuilder, SqlState, Type};

/// Postgres adds this to the modifiers of types of variable length.
const HEADER: i32 = 4;
/// Fractional digits of a second at most.
const PRECISION_MAX: i32 = 6;

/// Precision and scale in the modifier of a numeric column; `None` when there is none.
pub fn numeric_modifier(modifier: i32) -> Option<NumericModifier> {
    let bits = modifier.checked_sub(HEADER).filter(|bits| *bits >= 0)?;
    // The scale is a signed number of eleven bits.
    Some(NumericModifier { precision: (bits >> 16) as u16, scale: (((bits & 0x7ff) ^ 0x400) - 0x400) as i16 })
}

/// Rounds half away from zero to a number of fractional digits of a second; a modifier without that number (or with six) changes nothing.
fn round_micros(micros: i64, modifier: i32) -> i64 {
    // An interval's modifier also has the fields in its upper half.
    let precision = modifier & 0xffff;
    if modifier < 0 || precision >= PRECISION_MAX {
        return micros;
    }
    let unit = 10i64.pow((PRECISION_MAX - precision) as u32);
    let magnitude = micros.unsigned_abs();
    let rounded = (magnitude.saturating_add(unit as u64 / 2) / unit as u64 * unit as u64) as i64;
    if micros < 0 { -rounded } else { rounded }
}

/// The first `limit` characters of a text and the rest.
fn split_characters(text: &str, limit: usize) -> (&str, &str) {
    let end = text.char_indices().nth(limit).map_or(text.len(), |(position, _)| position);
    text.split_at(end)
}

fn fit<'a>(text: &'a str, limit: usize, type_name: &str, explicit: bool) -> Result<&'a str, EvalError> {
    let (kept, dropped) = split_characters(text, limit);
    if !explicit && dropped.bytes().any(|byte| byte != b' ') {
        return Err(EvalError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {type_name}({limit})")));
    }
    Ok(kept)
}

/// Applies a modifier (`varchar(3)`, `numeric(5,2)`, `timestamp(3)`) to a datum and appends the result.
/// `explicit`: an explicit cast truncates strings that an assignment refuses (22001).
pub fn apply_modifier(datum: Datum<'_>, column_type: &ColumnType, explicit: bool, out: &mut RowBuilder) -> Result<(), EvalError> {
    let modifier = column_type.modifier;
    if modifier < 0 {
        out.push(datum);
        return Ok(());
    }
    let element = column_type.scalar.element().unwrap_or(&column_type.scalar);
    match datum {
        Datum::Array(array) => return apply_to_elements(array, element, modifier, explicit, out),
        Datum::Numeric(value) => {
            let value = match numeric_modifier(modifier) {
                Some(modifier) => value.apply_modifier(modifier)?,
                None => value,
            };
            out.push(Datum::Numeric(value));
        }
        Datum::Text(text) => {
            let limit = usize::try_from(modifier - HEADER).ok();
            match (element, limit) {
                (Type::Varchar, Some(limit)) => out.push(Datum::Text(fit(text, limit, "character varying", explicit)?)),
                (Type::Bpchar, Some(limit)) => {
                    let kept = fit(text, limit, "character", explicit)?;
                    let length = kept.chars().count();
                    if length == limit {
                        out.push(Datum::Text(kept));
                    } else {
                        let mut padded = String::with_capacity(kept.len() + limit - length);
                        padded.push_str(kept);
                        padded.extend(std::iter::repeat_n(' ', limit - length));
                        out.push(Datum::Text(&padded));
                    }
                }
                _ => out.push(Datum::Text(text)),
            }
        }
        Datum::Time(time) => out.push(Datum::Time(Time(round_micros(time.0, modifier)))),
        Datum::Timestamp(timestamp) if timestamp.is_finite() => out.push(Datum::Timestamp(SqlTimestamp(round_micros(timestamp.0, modifier)))),
        Datum::TimestampTz(instant) if instant.is_finite() => out.push(Datum::TimestampTz(SqlTimestampTz(round_micros(instant.0, modifier)))),
        Datum::Interval(interval) => {
            out.push(Datum::Interval(Interval { micros: round_micros(interval.micros, modifier), ..interval }));
        }
        other => out.push(other),
    }
    Ok(())
}

fn apply_to_elements(array: Array<'_>, element: &Type, modifier: i32, explicit: bool, out: &mut RowBuilder) -> Result<(), EvalError> {
    let element_type = ColumnType::new(element.clone()).with_modifier(modifier);
    let mut builder = ArrayBuilder::new();
    let mut scratch = RowBuilder::new();
    for datum in array.elements() {
        scratch.clear();
        apply_modifier(datum, &element_type, explicit, &mut scratch)?;
        builder.push_encoded(scratch.as_bytes());
    }
    out.push(Datum::Array(Array::from_encoded(&builder.finish_with(&array.dimensions()))));
    Ok(())
}

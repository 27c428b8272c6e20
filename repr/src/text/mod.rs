//! Postgres' text input and output of every type.
//!
//! What is written reads back to the same value. Errors are Postgres' (22P02, 22003, 22007, 22008) with its words. Names behind `oid` and the
//! `reg*` types are looked up elsewhere: here they are numbers.

mod array;
mod bytea;
mod float;
mod modifier;
mod record;
#[cfg(test)]
mod tests;

pub use float::{write_float4, write_float8};
pub use modifier::{apply_modifier, numeric_modifier};

use crate::{ColumnType, Datum, EvalError, JsonbBuf, Numeric, RowBuilder, SqlState, TimeZone, Type, jsonb, temporal};
use std::fmt::Write;

/// The session settings that text output and input depend on.
#[derive(Clone, Debug)]
pub struct TextContext {
    pub time_zone: TimeZone,
    /// `bytea_output = hex` (the default) or `escape`.
    pub bytea_hex: bool,
    /// `extra_float_digits`; 1 and more mean the shortest text that reads back.
    pub extra_float_digits: i32,
    /// What `now`, `today`, `tomorrow`, `yesterday` in date and time input mean; `None` refuses them (maintained views).
    pub now: Option<crate::SqlTimestampTz>,
}

impl Default for TextContext {
    fn default() -> TextContext {
        TextContext { time_zone: TimeZone::UTC, bytea_hex: true, extra_float_digits: 1, now: None }
    }
}

/// Bytes an identifier has at most (`NAMEDATALEN - 1`).
const NAME_BYTES_MAX: usize = 63;
const UNTRANSLATABLE_BYTES: SqlState = SqlState(*b"22021");

/// Appends the text of a datum of type `typ`. The datum must not be NULL (which adds nothing).
pub fn write(datum: &Datum<'_>, typ: &Type, context: &TextContext, out: &mut String) {
    // Writing to a String cannot fail.
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(if *value { 't' } else { 'f' }),
        Datum::Int2(value) => _ = write!(out, "{value}"),
        Datum::Int4(value) => _ = write!(out, "{value}"),
        Datum::Int8(value) => _ = write!(out, "{value}"),
        Datum::Float4(value) => write_float4(*value, context.extra_float_digits, out),
        Datum::Float8(value) => write_float8(*value, context.extra_float_digits, out),
        Datum::Numeric(value) => _ = write!(out, "{value}"),
        Datum::Text(text) => out.push_str(text),
        Datum::Bytea(bytes) => bytea::write(bytes, context.bytea_hex, out),
        Datum::Date(date) => temporal::write_date(*date, out),
        Datum::Time(time) => temporal::write_time(*time, out),
        Datum::Timestamp(timestamp) => temporal::write_timestamp(*timestamp, out),
        Datum::TimestampTz(instant) => temporal::write_timestamptz(*instant, context.time_zone, out),
        Datum::Interval(interval) => temporal::write_interval(*interval, out),
        Datum::Uuid(bytes) => {
            let mut buffer = uuid::Uuid::encode_buffer();
            out.push_str(uuid::Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut buffer));
        }
        Datum::Jsonb(value) => value.write_text(out),
        // Of the types shown as numbers, only the unsigned one has no sign.
        Datum::Oid(value) => _ = write!(out, "{value}"),
        Datum::Array(value) => array::write(*value, typ.element().unwrap_or(&Type::Unknown), context, out),
        Datum::Record(row) => record::write(*row, typ, context, out),
    }
}

/// Reads a datum of `typ` and appends it to `out`; the modifier is *not* applied. On an error nothing is appended.
pub fn read(text: &str, typ: &Type, context: &TextContext, out: &mut RowBuilder) -> Result<(), EvalError> {
    let (zone, now) = (context.time_zone, context.now);
    let datum = match typ {
        Type::Bool => Datum::Bool(read_bool(text)?),
        Type::Int2 => Datum::Int2(read_integer(text, "smallint", i64::from(i16::MIN), i64::from(i16::MAX))? as i16),
        Type::Int4 => Datum::Int4(read_integer(text, "integer", i64::from(i32::MIN), i64::from(i32::MAX))? as i32),
        Type::Int8 => Datum::Int8(read_integer(text, "bigint", i64::MIN, i64::MAX)?),
        Type::Float4 => Datum::Float4(float::read_float4(text)?),
        Type::Float8 => Datum::Float8(float::read_float8(text)?),
        Type::Numeric => Datum::Numeric(Numeric::parse(text)?),
        Type::Text | Type::Varchar | Type::Bpchar | Type::Unknown => Datum::Text(check_string(text)?),
        Type::Name => Datum::Text(truncate_bytes(check_string(text)?, NAME_BYTES_MAX)),
        Type::InternalChar => Datum::Text(text.chars().next().map_or("", |first| &text[..first.len_utf8()])),
        Type::Bytea => Datum::Bytea(bytea::read(text)?.into()),
        Type::Date => Datum::Date(temporal::parse_date(text, now, zone)?),
        Type::Time => Datum::Time(temporal::parse_time(text, now, zone)?),
        Type::Timestamp => Datum::Timestamp(temporal::parse_timestamp(text, now, zone)?),
        Type::TimestampTz => Datum::TimestampTz(temporal::parse_timestamptz(text, now, zone)?),
        Type::Interval => Datum::Interval(temporal::parse_interval(text)?),
        Type::Uuid => Datum::Uuid(read_uuid(text)?),
        Type::Json => {
            jsonb::check_text(text)?;
            Datum::Text(check_string(text)?)
        }
        Type::Jsonb => {
            out.push(Datum::Jsonb(JsonbBuf::parse(text)?.as_ref()));
            return Ok(());
        }
        Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace => Datum::Oid(read_oid(text, &typ.sql_name(-1))?),
        Type::Array(element) => return array::read(text, element, context, out),
        Type::Record(columns) => return record::read(text, columns, context, out),
        Type::Void => Datum::Text(""),
        Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray => {
            return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot accept a value of type {}", typ.pg_name())));
        }
    };
    out.push(datum);
    Ok(())
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Without the blanks C's `isspace` knows.
fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| u8::try_from(letter).is_ok_and(is_space))
}

/// A string may hold everything but the zero character, which ends strings in rows.
pub(crate) fn check_string(text: &str) -> Result<&str, EvalError> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(_) => Err(EvalError::new(UNTRANSLATABLE_BYTES, "invalid byte sequence for encoding \"UTF8\": 0x00")),
    }
}

/// The longest beginning of whole characters within `bytes_max`.
fn truncate_bytes(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn read_bool(text: &str) -> Result<bool, EvalError> {
    let word = trim(text);
    let begins = |whole: &str, shortest: usize| word.len() >= shortest && whole.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(EvalError::invalid_syntax("boolean", text))
    }
}

fn out_of_range(text: &str, type_name: &str) -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {type_name}"))
}

fn read_integer(text: &str, type_name: &str, minimum: i64, maximum: i64) -> Result<i64, EvalError> {
    let invalid = || EvalError::invalid_syntax(type_name, text);
    let (negative, digits) = match trim(text).as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(invalid());
    }
    // Counted downwards, where there is one more number.
    let mut value = 0i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return Err(invalid());
        }
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_sub(i64::from(byte - b'0')))
            .filter(|value| *value >= minimum)
            .ok_or_else(|| out_of_range(text, type_name))?;
    }
    if negative {
        return Ok(value);
    }
    value.checked_neg().filter(|value| *value <= maximum).ok_or_else(|| out_of_range(text, type_name))
}

fn read_oid(text: &str, type_name: &str) -> Result<u32, EvalError> {
    // Postgres takes a negative number for the same bits.
    let value = read_integer(text, type_name, i64::MIN, i64::MAX).map_err(|error| {
        if error.code() == SqlState::NUMERIC_VALUE_OUT_OF_RANGE { out_of_range(text, type_name) } else { EvalError::invalid_syntax(type_name, text) }
    })?;
    u32::try_from(value).or_else(|_| i32::try_from(value).map(|value| value as u32)).map_err(|_| out_of_range(text, type_name))
}

/// 32 hexadecimal digits, perhaps in braces, perhaps with a dash after any group of four.
fn read_uuid(text: &str) -> Result<[u8; 16], EvalError> {
    let invalid = || EvalError::invalid_syntax("uuid", text);
    let mut rest = text.as_bytes();
    if let [b'{', inner @ .., b'}'] = rest {
        rest = inner;
    }
    let mut bytes = [0u8; 16];
    for (position, byte) in bytes.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return Err(invalid()) };
        let digit = |digit: &u8| (*digit as char).to_digit(16).ok_or_else(invalid);
        *byte = (digit(high)? * 16 + digit(low)?) as u8;
        rest = match after {
            [b'-', after @ ..] if position % 2 == 1 && position < 15 => after,
            _ => after,
        };
    }
    if rest.is_empty() { Ok(bytes) } else { Err(invalid()) }
}

/// [`read`] and then [`apply_modifier`] as an assignment does: what `INSERT` and `COPY` make of text for a column.
pub fn read_column(text: &str, column_type: &ColumnType, context: &TextContext, out: &mut RowBuilder) -> Result<(), EvalError> {
    if column_type.modifier < 0 {
        return read(text, &column_type.scalar, context, out);
    }
    let mut plain = RowBuilder::new();
    read(text, &column_type.scalar, context, &mut plain)?;
    let row = plain.finish();
    apply_modifier(row.get(0).unwrap_or(Datum::Null), column_type, false, out)
}

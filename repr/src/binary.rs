//! Postgres' binary format of every type, as the wire and COPY BINARY carry it.
//!
//! Integers are big-endian. Bytes from a client are never trusted: a wrong length is 22P03, text that is not UTF-8 22021.

use crate::array::DIMENSIONS_MAX;
use crate::text::check_string;
use crate::{
    Array, ArrayBuilder, ArrayDimension, Datum, Date, EvalError, Interval, JsonbBuf, Numeric, RowBuilder, RowRef, SqlState, SqlTimestamp, SqlTimestampTz, Time,
    Type, temporal,
};
use bytes::{BufMut, BytesMut};

const UNTRANSLATABLE_BYTES: SqlState = SqlState(*b"22021");
/// The only version of the binary format of jsonb.
const JSONB_VERSION: u8 = 1;
/// The length that means NULL.
const NULL_LENGTH: i32 = -1;

/// Appends the binary format of a datum, without its length. The datum must not be NULL (which adds nothing).
pub fn write(datum: &Datum<'_>, typ: &Type, out: &mut BytesMut) {
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.put_u8(u8::from(*value)),
        Datum::Int2(value) => out.put_i16(*value),
        Datum::Int4(value) => out.put_i32(*value),
        Datum::Int8(value) => out.put_i64(*value),
        Datum::Float4(value) => out.put_f32(*value),
        Datum::Float8(value) => out.put_f64(*value),
        Datum::Numeric(value) => value.write_binary(out),
        Datum::Text(text) if *typ == Type::InternalChar => out.put_u8(text.bytes().next().unwrap_or(0)),
        Datum::Text(text) => out.put_slice(text.as_bytes()),
        Datum::Bytea(bytes) => out.put_slice(bytes),
        Datum::Date(date) => out.put_i32(date.0),
        Datum::Time(time) => out.put_i64(time.0),
        Datum::Timestamp(timestamp) => out.put_i64(timestamp.0),
        Datum::TimestampTz(instant) => out.put_i64(instant.0),
        Datum::Interval(interval) => {
            out.put_i64(interval.micros);
            out.put_i32(interval.days);
            out.put_i32(interval.months);
        }
        Datum::Uuid(bytes) => out.put_slice(bytes),
        Datum::Jsonb(value) => {
            let mut text = String::new();
            value.write_text(&mut text);
            out.put_u8(JSONB_VERSION);
            out.put_slice(text.as_bytes());
        }
        Datum::Oid(value) => out.put_u32(*value),
        Datum::Array(array) => write_array(*array, typ.element().unwrap_or(&Type::Unknown), out),
        Datum::Record(row) => write_record(*row, typ, out),
    }
}

/// A length of four bytes and the datum, or -1 for NULL.
fn write_with_length(datum: &Datum<'_>, typ: &Type, out: &mut BytesMut) {
    if datum.is_null() {
        return out.put_i32(NULL_LENGTH);
    }
    let start = out.len();
    out.put_i32(0);
    write(datum, typ, out);
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn write_array(array: Array<'_>, element: &Type, out: &mut BytesMut) {
    let dimensions = array.dimensions();
    out.put_i32(dimensions.len() as i32);
    out.put_i32(i32::from(array.elements().any(|datum| datum.is_null())));
    out.put_u32(element.oid());
    for dimension in dimensions {
        out.put_u32(dimension.length);
        out.put_i32(dimension.lower_bound);
    }
    array.elements().for_each(|datum| write_with_length(&datum, element, out));
}

fn write_record(row: RowRef<'_>, typ: &Type, out: &mut BytesMut) {
    let columns: &[Type] = if let Type::Record(columns) = typ { columns } else { &[] };
    out.put_i32(row.iter().count() as i32);
    for (position, datum) in row.iter().enumerate() {
        let column = columns.get(position).unwrap_or(&Type::Unknown);
        out.put_u32(column.oid());
        write_with_length(&datum, column, out);
    }
}

fn invalid(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

fn exactly<const LENGTH: usize>(bytes: &[u8]) -> Result<[u8; LENGTH], EvalError> {
    bytes.try_into().map_err(|_| invalid("incorrect binary data format"))
}

/// Takes from the front of a message.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], EvalError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| invalid("insufficient data left in message"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn int4(&mut self) -> Result<i32, EvalError> {
        Ok(i32::from_be_bytes(exactly(self.take(4)?)?))
    }

    /// A datum after its length; `None` is NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, EvalError> {
        match self.int4()? {
            NULL_LENGTH => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| invalid("insufficient data left in message"))?).map(Some),
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, EvalError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let shown: Vec<String> = bytes.iter().skip(error.valid_up_to()).take(error.error_len().unwrap_or(4)).map(|byte| format!("0x{byte:02x}")).collect();
        EvalError::new(UNTRANSLATABLE_BYTES, format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
    })?;
    check_string(text)
}

/// Reads a datum of `typ` and appends it to `out`. Bytes of the wrong length are 22P03. On an error nothing is appended.
pub fn read(bytes: &[u8], typ: &Type, out: &mut RowBuilder) -> Result<(), EvalError> {
    let datum = match typ {
        Type::Bool => Datum::Bool(exactly::<1>(bytes)?[0] != 0),
        Type::Int2 => Datum::Int2(i16::from_be_bytes(exactly(bytes)?)),
        Type::Int4 => Datum::Int4(i32::from_be_bytes(exactly(bytes)?)),
        Type::Int8 => Datum::Int8(i64::from_be_bytes(exactly(bytes)?)),
        Type::Float4 => Datum::Float4(f32::from_be_bytes(exactly(bytes)?)),
        Type::Float8 => Datum::Float8(f64::from_be_bytes(exactly(bytes)?)),
        Type::Numeric => Datum::Numeric(Numeric::read_binary(bytes)?),
        Type::Text | Type::Varchar | Type::Bpchar | Type::Name | Type::Unknown => Datum::Text(utf8(bytes)?),
        Type::InternalChar => match exactly::<1>(bytes)? {
            [0] => Datum::Text(""),
            _ => Datum::Text(utf8(bytes)?),
        },
        Type::Bytea => Datum::Bytea(bytes.into()),
        Type::Date => Datum::Date(temporal::check_date(Date(i32::from_be_bytes(exactly(bytes)?)))?),
        Type::Time => Datum::Time(temporal::check_time(Time(i64::from_be_bytes(exactly(bytes)?)))?),
        Type::Timestamp => Datum::Timestamp(temporal::check_timestamp(SqlTimestamp(i64::from_be_bytes(exactly(bytes)?)))?),
        Type::TimestampTz => {
            let checked = temporal::check_timestamp(SqlTimestamp(i64::from_be_bytes(exactly(bytes)?)))?;
            Datum::TimestampTz(SqlTimestampTz(checked.0))
        }
        Type::Interval => {
            exactly::<16>(bytes)?;
            let mut cursor = Cursor(bytes);
            let micros = i64::from_be_bytes(exactly(cursor.take(8)?)?);
            let (days, months) = (cursor.int4()?, cursor.int4()?);
            Datum::Interval(Interval { months, days, micros })
        }
        Type::Uuid => Datum::Uuid(exactly(bytes)?),
        Type::Json => {
            let text = utf8(bytes)?;
            crate::jsonb::check_text(text)?;
            Datum::Text(text)
        }
        Type::Jsonb => {
            let (version, text) = bytes.split_first().ok_or_else(|| invalid("insufficient data left in message"))?;
            if *version != JSONB_VERSION {
                return Err(EvalError::new(SqlState::INTERNAL_ERROR, format!("unsupported jsonb version number {version}")));
            }
            out.push(Datum::Jsonb(JsonbBuf::parse(utf8(text)?)?.as_ref()));
            return Ok(());
        }
        Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace => Datum::Oid(u32::from_be_bytes(exactly(bytes)?)),
        Type::Array(element) => return read_array(bytes, element, out),
        Type::Record(_) => {
            return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, "input of anonymous composite types is not implemented"));
        }
        Type::Void => Datum::Text(""),
        Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray => {
            return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot accept a value of type {}", typ.pg_name())));
        }
    };
    out.push(datum);
    Ok(())
}

fn read_array(bytes: &[u8], element: &Type, out: &mut RowBuilder) -> Result<(), EvalError> {
    let mut cursor = Cursor(bytes);
    let count = usize::try_from(cursor.int4()?).map_err(|_| invalid("invalid number of dimensions"))?;
    if count > DIMENSIONS_MAX {
        let message = format!("number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})");
        return Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    if !(0..=1).contains(&cursor.int4()?) {
        return Err(invalid("invalid array flags"));
    }
    let oid = cursor.int4()? as u32;
    if oid != element.oid() && element.oid() != 0 {
        let message = format!("binary data has array element type {oid} instead of expected {}", element.oid());
        return Err(EvalError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    let mut dimensions = Vec::with_capacity(count);
    let mut elements = u64::from(count > 0);
    for _ in 0..count {
        let length = u32::try_from(cursor.int4()?).map_err(|_| invalid("invalid array dimension"))?;
        dimensions.push(ArrayDimension { length, lower_bound: cursor.int4()? });
        // Each element takes four bytes at least: more of them than that is a lie, found before it multiplies.
        elements *= u64::from(length);
        if elements > bytes.len() as u64 {
            return Err(invalid("insufficient data left in message"));
        }
    }
    let mut builder = ArrayBuilder::new();
    let mut scratch = RowBuilder::new();
    for _ in 0..elements {
        match cursor.value()? {
            None => builder.push(Datum::Null),
            Some(value) => {
                scratch.clear();
                read(value, element, &mut scratch)?;
                builder.push_encoded(scratch.as_bytes());
            }
        }
    }
    if !cursor.0.is_empty() {
        return Err(invalid("incorrect binary data format"));
    }
    let encoded = if elements == 0 { builder.finish() } else { builder.finish_with(&dimensions) };
    out.push(Datum::Array(Array::from_encoded(&encoded)));
    Ok(())
}

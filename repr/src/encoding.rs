//! The bytes of one datum: a tag and a payload (see `row` for the format in words).
//!
//! Promises: bytes order as SQL does within a type; no datum's encoding is a proper prefix of another's of its type, bytea excepted (the byte that
//! follows tells its end from an escaped zero, and no tag is 0xFF); [`check_row`] accepts nothing that the other functions panic on. Those trust their
//! input: rows are made by [`write`] or have passed [`check_row`].

#[cfg(test)]
mod tests;

use crate::row::SortDirection;
use crate::temporal::MICROS_PER_DAY;
use crate::{Array, Date, Datum, EvalError, Interval, Jsonb, Numeric, RowRef, SqlState, SqlTimestamp, SqlTimestampTz, Time, array, jsonb};
use memchr::memchr;
use std::borrow::Cow;

/// Ends text, bytea, arrays and records: below every tag.
pub(crate) const END: u8 = 0x00;
/// After a 0x00 in bytea: the zero belongs to the value. Above every tag.
const ESCAPED: u8 = 0xFF;

// The tags. They are on disk: never change one, never use one again.
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const FLOAT4: u8 = 0x07;
const FLOAT8: u8 = 0x08;
const NUMERIC: u8 = 0x09;
const TEXT: u8 = 0x0A;
const BYTEA: u8 = 0x0B;
const TIME: u8 = 0x0D;
const TIMESTAMP: u8 = 0x0E;
const TIMESTAMP_TZ: u8 = 0x0F;
const INTERVAL: u8 = 0x10;
const UUID: u8 = 0x11;
const JSONB: u8 = 0x12;
const OID: u8 = 0x13;
const ARRAY: u8 = 0x14;
const RECORD: u8 = 0x15;
// Integers: the tag of zero, and around it those of the widths (see `put_integer`).
const INT2: u8 = 0x23;
const INT2_LOW: u8 = INT2 - 3;
const INT2_HIGH: u8 = INT2 + 2;
const INT4: u8 = 0x2B;
const INT4_LOW: u8 = INT4 - 5;
const INT4_HIGH: u8 = INT4 + 4;
const INT8: u8 = 0x39;
const INT8_LOW: u8 = INT8 - 9;
const INT8_HIGH: u8 = INT8 + 8;
const DATE: u8 = 0x47;
const DATE_LOW: u8 = DATE - 5;
const DATE_HIGH: u8 = DATE + 4;
const NULL: u8 = 0xFE;

/// In sort keys only: a NULL that comes before every value. (0xFE is after every value, also when the values' bytes are inverted.)
const SORT_KEY_NULL_FIRST: u8 = 0x01;

/// How deep arrays and records may stand in one another. SQL types nest by declaration, so no real one comes near.
const NESTING_MAX: usize = 64;

const INTERVAL_LENGTH_BYTES: usize = 10;
/// Makes an interval's length a positive number of 80 bits.
const INTERVAL_LENGTH_BIAS: i128 = 1 << 79;

/// The integer types: the tag of zero and the bytes of the widest value.
const INTEGERS: [(u8, u8); 4] = [(INT2, 2), (INT4, 4), (INT8, 8), (DATE, 4)];
// The tags of no two types meet.
const _: () = assert!(RECORD < INT2_LOW && INT2_HIGH < INT4_LOW && INT4_HIGH < INT8_LOW && INT8_HIGH < DATE_LOW && DATE_HIGH < NULL);

/// Total length of the datums of each tag, 0 where the payload decides.
const FIXED_LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    lengths[FALSE as usize] = 1;
    lengths[TRUE as usize] = 1;
    lengths[NULL as usize] = 1;
    lengths[FLOAT4 as usize] = 5;
    lengths[OID as usize] = 5;
    lengths[FLOAT8 as usize] = 9;
    lengths[TIME as usize] = 9;
    lengths[TIMESTAMP as usize] = 9;
    lengths[TIMESTAMP_TZ as usize] = 9;
    lengths[UUID as usize] = 17;
    lengths[INTERVAL as usize] = 1 + INTERVAL_LENGTH_BYTES as u8 + 8;
    let mut integer = 0;
    while integer < INTEGERS.len() {
        let (zero, width_max) = INTEGERS[integer];
        let mut width = 0;
        while width <= width_max {
            lengths[(zero + width) as usize] = 1 + width;
            lengths[(zero - 1 - width) as usize] = 1 + width;
            width += 1;
        }
        integer += 1;
    }
    lengths
};

/// Decoding met bytes that [`check_row`] refuses. Going on would compute with garbage.
#[cold]
#[inline(never)]
pub(crate) fn corrupt() -> ! {
    panic!("a row holds bytes that are not a row's encoding: it was made without RowRef::check")
}

#[inline(always)]
pub(crate) fn flip32(value: i32) -> [u8; 4] {
    (value as u32 ^ 1 << 31).to_be_bytes()
}
#[inline(always)]
fn flip64(value: i64) -> [u8; 8] {
    (value as u64 ^ 1 << 63).to_be_bytes()
}
#[inline(always)]
pub(crate) fn unflip32(bytes: [u8; 4]) -> i32 {
    (u32::from_be_bytes(bytes) ^ 1 << 31) as i32
}
#[inline(always)]
fn unflip64(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ 1 << 63) as i64
}

// Floats: a positive one gets its sign bit set, a negative one is inverted whole. All NaNs are the positive one, above infinity.
#[inline(always)]
fn float32(value: f32) -> [u8; 4] {
    let bits = if value.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { value.to_bits() };
    (if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }).to_be_bytes()
}
#[inline(always)]
fn float64(value: f64) -> [u8; 8] {
    let bits = if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() };
    (if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }).to_be_bytes()
}
#[inline(always)]
fn unfloat32(bytes: [u8; 4]) -> f32 {
    let bits = u32::from_be_bytes(bytes);
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}
#[inline(always)]
fn unfloat64(bytes: [u8; 8]) -> f64 {
    let bits = u64::from_be_bytes(bytes);
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

#[inline(always)]
fn put<const N: usize>(out: &mut Vec<u8>, tag: u8, payload: [u8; N]) {
    // One reservation for both.
    out.reserve(N + 1);
    out.push(tag);
    out.extend_from_slice(&payload);
}

/// Appends an integer as its significant bytes behind a tag that tells their number: more bytes are further from zero. Small numbers, as most keys and
/// counts are, take few bytes, so that more rows fit inline and the first bytes of the others differ.
#[inline(always)]
fn put_integer(out: &mut Vec<u8>, zero: u8, value: i64) {
    let magnitude = value ^ value >> 63;
    let width = (71 - magnitude.leading_zeros()) / 8;
    let tag = if value < 0 { zero - 1 - width as u8 } else { zero + width as u8 };
    // Eight bytes are written and the insignificant ones taken back: no loop, no branch.
    put(out, tag, value.wrapping_shl(64 - 8 * width).to_be_bytes());
    out.truncate(out.len() - 8 + width as usize);
}

/// Reads what [`put_integer`] wrote behind `tag`.
#[inline(always)]
fn read_integer(tag: u8, zero: u8, bytes: &[u8]) -> (i64, &[u8]) {
    let negative = tag < zero;
    let width = usize::from(if negative { zero - 1 - tag } else { tag - zero });
    let (significant, rest) = split(bytes, width);
    let word = match bytes.first_chunk::<8>() {
        // The usual case: other datums follow, so that one load serves.
        Some(chunk) => u64::from_be_bytes(*chunk).checked_shr(64 - 8 * width as u32).unwrap_or(0),
        None => significant.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    let sign = if negative { u64::MAX.checked_shl(8 * width as u32).unwrap_or(0) } else { 0 };
    ((word | sign) as i64, rest)
}

/// Appends a datum.
#[inline]
pub(crate) fn write(datum: &Datum<'_>, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => out.push(NULL),
        Datum::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Datum::Int2(value) => put_integer(out, INT2, i64::from(*value)),
        Datum::Int4(value) => put_integer(out, INT4, i64::from(*value)),
        Datum::Int8(value) => put_integer(out, INT8, *value),
        Datum::Float4(value) => put(out, FLOAT4, float32(*value)),
        Datum::Float8(value) => put(out, FLOAT8, float64(*value)),
        Datum::Numeric(value) => {
            out.push(NUMERIC);
            value.write_ordered(out);
        }
        Datum::Text(text) => {
            assert!(memchr(END, text.as_bytes()).is_none(), "text with a zero byte: its reader must refuse it (22021)");
            out.reserve(text.len() + 2);
            out.push(TEXT);
            out.extend_from_slice(text.as_bytes());
            out.push(END);
        }
        Datum::Bytea(bytes) => write_bytea(bytes, out),
        Datum::Date(Date(value)) => put_integer(out, DATE, i64::from(*value)),
        Datum::Time(Time(value)) => put(out, TIME, flip64(*value)),
        Datum::Timestamp(SqlTimestamp(value)) => put(out, TIMESTAMP, flip64(*value)),
        Datum::TimestampTz(SqlTimestampTz(value)) => put(out, TIMESTAMP_TZ, flip64(*value)),
        Datum::Interval(interval) => write_interval(interval, out),
        Datum::Uuid(bytes) => put(out, UUID, *bytes),
        Datum::Jsonb(value) => {
            out.push(JSONB);
            out.extend_from_slice(value.as_encoded());
        }
        Datum::Oid(value) => put(out, OID, value.to_be_bytes()),
        Datum::Array(value) => {
            out.push(ARRAY);
            out.extend_from_slice(value.as_encoded());
        }
        Datum::Record(row) => {
            out.push(RECORD);
            out.extend_from_slice(row.as_bytes());
            out.push(END);
        }
    }
}

fn write_bytea(mut bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(BYTEA);
    while let Some(zero) = memchr(END, bytes) {
        out.extend_from_slice(&bytes[..=zero]);
        out.push(ESCAPED);
        bytes = &bytes[zero + 1..];
    }
    out.extend_from_slice(bytes);
    out.push(END);
}

/// The length, then months and days; the microseconds follow from them.
fn write_interval(interval: &Interval, out: &mut Vec<u8>) {
    let length = (interval.length_micros() + INTERVAL_LENGTH_BIAS) as u128;
    out.push(INTERVAL);
    out.extend_from_slice(&length.to_be_bytes()[16 - INTERVAL_LENGTH_BYTES..]);
    out.extend_from_slice(&flip32(interval.months));
    out.extend_from_slice(&flip32(interval.days));
}

#[inline(always)]
fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    match bytes.split_first_chunk::<N>() {
        Some((chunk, rest)) => (*chunk, rest),
        None => corrupt(),
    }
}

#[inline(always)]
fn split(bytes: &[u8], length: usize) -> (&[u8], &[u8]) {
    match bytes.split_at_checked(length) {
        Some(parts) => parts,
        None => corrupt(),
    }
}

/// Splits off what ends with the first `END`, without it.
#[inline(always)]
fn split_end(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr(END, bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => corrupt(),
    }
}

/// The datum at the start of `bytes`, which are not empty, and what follows it.
#[inline]
pub(crate) fn read(bytes: &[u8]) -> (Datum<'_>, &[u8]) {
    let (&tag, bytes) = match bytes.split_first() {
        Some(parts) => parts,
        None => corrupt(),
    };
    macro_rules! fixed {
        ($variant:expr, $decode:expr) => {{
            let (chunk, rest) = take(bytes);
            ($variant($decode(chunk)), rest)
        }};
    }
    match tag {
        NULL => (Datum::Null, bytes),
        FALSE => (Datum::Bool(false), bytes),
        TRUE => (Datum::Bool(true), bytes),
        INT2_LOW..=INT2_HIGH => {
            let (value, rest) = read_integer(tag, INT2, bytes);
            (Datum::Int2(value as i16), rest)
        }
        INT4_LOW..=INT4_HIGH => {
            let (value, rest) = read_integer(tag, INT4, bytes);
            (Datum::Int4(value as i32), rest)
        }
        INT8_LOW..=INT8_HIGH => {
            let (value, rest) = read_integer(tag, INT8, bytes);
            (Datum::Int8(value), rest)
        }
        FLOAT4 => fixed!(Datum::Float4, unfloat32),
        FLOAT8 => fixed!(Datum::Float8, unfloat64),
        NUMERIC => {
            let (value, length) = Numeric::read_ordered(bytes);
            (Datum::Numeric(value), split(bytes, length).1)
        }
        TEXT => {
            let (text, rest) = split_end(bytes);
            match std::str::from_utf8(text) {
                Ok(text) => (Datum::Text(text), rest),
                Err(_) => corrupt(),
            }
        }
        BYTEA => {
            let (escaped, rest) = split(bytes, bytea_length(bytes));
            (Datum::Bytea(unescape(&escaped[..escaped.len() - 1])), rest)
        }
        DATE_LOW..=DATE_HIGH => {
            let (value, rest) = read_integer(tag, DATE, bytes);
            (Datum::Date(Date(value as i32)), rest)
        }
        TIME => fixed!(Datum::Time, |chunk| Time(unflip64(chunk))),
        TIMESTAMP => fixed!(Datum::Timestamp, |chunk| SqlTimestamp(unflip64(chunk))),
        TIMESTAMP_TZ => fixed!(Datum::TimestampTz, |chunk| SqlTimestampTz(unflip64(chunk))),
        INTERVAL => match read_interval(bytes) {
            Some((interval, rest)) => (Datum::Interval(interval), rest),
            None => corrupt(),
        },
        UUID => fixed!(Datum::Uuid, |chunk| chunk),
        JSONB => {
            let (value, rest) = split(bytes, jsonb::skip(bytes));
            (Datum::Jsonb(Jsonb::from_encoded(value)), rest)
        }
        OID => fixed!(Datum::Oid, u32::from_be_bytes),
        ARRAY => {
            let (value, rest) = split(bytes, array::skip(bytes));
            (Datum::Array(Array::from_encoded(value)), rest)
        }
        RECORD => {
            let (fields, rest) = split(bytes, datums_length(bytes));
            (Datum::Record(RowRef::new(fields)), &rest[1..])
        }
        _ => corrupt(),
    }
}

/// The length of the datum at the start of `bytes`, which are not empty.
#[inline]
pub(crate) fn skip(bytes: &[u8]) -> usize {
    let (&tag, payload) = match bytes.split_first() {
        Some(parts) => parts,
        None => corrupt(),
    };
    match FIXED_LENGTHS[tag as usize] {
        0 => 1 + skip_variable(tag, payload),
        length => length as usize,
    }
}

#[inline]
fn skip_variable(tag: u8, payload: &[u8]) -> usize {
    match tag {
        TEXT => split_end(payload).0.len() + 1,
        NUMERIC => Numeric::skip_ordered(payload),
        BYTEA => bytea_length(payload),
        JSONB => jsonb::skip(payload),
        ARRAY => array::skip(payload),
        RECORD => datums_length(payload) + 1,
        _ => corrupt(),
    }
}

/// The length of the datums before the next `END`.
pub(crate) fn datums_length(bytes: &[u8]) -> usize {
    let mut position = 0;
    loop {
        match bytes.get(position) {
            Some(&END) => return position,
            Some(_) => position += skip(&bytes[position..]),
            None => corrupt(),
        }
    }
}

/// The length of an escaped bytea with its end.
fn bytea_length(bytes: &[u8]) -> usize {
    match bytea_length_checked(bytes) {
        Some(length) => length,
        None => corrupt(),
    }
}

fn bytea_length_checked(bytes: &[u8]) -> Option<usize> {
    let mut position = 0;
    loop {
        position += memchr(END, bytes.get(position..)?)? + 1;
        if bytes.get(position) != Some(&ESCAPED) {
            return Some(position);
        }
        position += 1;
    }
}

fn unescape(mut escaped: &[u8]) -> Cow<'_, [u8]> {
    if memchr(END, escaped).is_none() {
        return Cow::Borrowed(escaped);
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    while let Some(zero) = memchr(END, escaped) {
        bytes.extend_from_slice(&escaped[..=zero]);
        escaped = &escaped[zero + 2..];
    }
    bytes.extend_from_slice(escaped);
    Cow::Owned(bytes)
}

/// `None` for too few bytes, or fields that no length fits.
fn read_interval(bytes: &[u8]) -> Option<(Interval, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<INTERVAL_LENGTH_BYTES>()?;
    let (months, rest) = rest.split_first_chunk()?;
    let (days, rest) = rest.split_first_chunk()?;
    let (months, days) = (unflip32(*months), unflip32(*days));
    let mut wide = [0; 16];
    wide[16 - INTERVAL_LENGTH_BYTES..].copy_from_slice(length);
    let length = u128::from_be_bytes(wide) as i128 - INTERVAL_LENGTH_BIAS;
    let micros = length - Interval { months, days, micros: 0 }.length_micros();
    Some((Interval { months, days, micros: i64::try_from(micros).ok()? }, rest))
}

/// The interval that stands for all of its length: as many whole months as fit, then days, then microseconds.
fn canonical_interval(interval: &Interval) -> Interval {
    let day = i128::from(MICROS_PER_DAY);
    // A length at the edge has more months than the field holds; the days take them, and at their edge the microseconds.
    let clamp = |value: i128| value.clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let length = interval.length_micros();
    let months = clamp(length / (30 * day));
    let days = clamp((length - months * 30 * day) / day);
    let micros = length - (months * 30 + days) * day;
    Interval { months: months as i32, days: days as i32, micros: micros as i64 }
}

/// Appends the datum's canonical form: values SQL calls equal get equal bytes.
#[inline]
pub(crate) fn write_canonical(datum: &Datum<'_>, out: &mut Vec<u8>) {
    match datum {
        // Adding zero makes -0.0 to 0.0 and leaves the rest. NaN has one form anyway.
        Datum::Float4(value) => write(&Datum::Float4(*value + 0.0), out),
        Datum::Float8(value) => write(&Datum::Float8(*value + 0.0), out),
        Datum::Numeric(value) => {
            out.push(NUMERIC);
            value.canonical().write_ordered(out);
        }
        Datum::Interval(interval) => write_interval(&canonical_interval(interval), out),
        Datum::Jsonb(value) => {
            out.push(JSONB);
            jsonb::write_canonical(value.as_encoded(), out);
        }
        Datum::Array(value) => {
            out.push(ARRAY);
            let elements = value.elements();
            let trailer = &value.as_encoded()[elements.rest().len()..];
            elements.for_each(|element| write_canonical(&element, out));
            out.extend_from_slice(trailer);
        }
        Datum::Record(row) => {
            out.push(RECORD);
            row.iter().for_each(|field| write_canonical(&field, out));
            out.push(END);
        }
        _ => write(datum, out),
    }
}

/// Appends the datum as part of a sort key. Keys of the same directions compare, byte by byte, as the directions say.
pub(crate) fn write_sort_key(datum: &Datum<'_>, direction: SortDirection, out: &mut Vec<u8>) {
    if datum.is_null() {
        out.push(if direction.nulls_first { SORT_KEY_NULL_FIRST } else { NULL });
        return;
    }
    let start = out.len();
    write_canonical(datum, out);
    if matches!(datum, Datum::Bytea(_)) {
        // The end of bytea alone depends on the byte that follows it, and at the end of a key none does.
        out.push(END);
    }
    if direction.descending {
        // No encoding is a prefix of another one, so the first differing byte decides, and inverted it decides the other way.
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// What is wrong with bytes, and how many bytes before their end.
struct Flaw {
    left: usize,
    what: &'static str,
}

/// Checks that `bytes` are a row: whole datums and nothing else.
pub(crate) fn check_row(bytes: &[u8]) -> Result<(), EvalError> {
    check_datums(bytes, 0)
        .and_then(|rest| if rest.is_empty() { Ok(()) } else { flaw(rest, "an unexpected end mark") })
        .map_err(|flaw| {
            EvalError::new(SqlState::DATA_CORRUPTED, "the bytes of a row are damaged").with_detail(format!("At byte {} of {}: {}.", bytes.len() - flaw.left, bytes.len(), flaw.what))
        })
}

fn flaw<T>(rest: &[u8], what: &'static str) -> Result<T, Flaw> {
    Err(Flaw { left: rest.len(), what })
}

/// Checks datums up to an `END` or the end of the bytes, and returns what is left.
fn check_datums(mut bytes: &[u8], depth: usize) -> Result<&[u8], Flaw> {
    while bytes.first().is_some_and(|&tag| tag != END) {
        bytes = check_datum(bytes, depth)?;
    }
    Ok(bytes)
}

fn check_end(bytes: &[u8]) -> Result<&[u8], Flaw> {
    match bytes.split_first() {
        Some((&END, rest)) => Ok(rest),
        _ => flaw(bytes, "the end mark is missing"),
    }
}

fn check_datum(bytes: &[u8], depth: usize) -> Result<&[u8], Flaw> {
    let Some((&tag, payload)) = bytes.split_first() else { return flaw(bytes, "a datum is missing") };
    if depth > NESTING_MAX {
        return flaw(bytes, "too many arrays and records in one another");
    }
    let after = |length: Option<usize>, what| match length.and_then(|length| payload.get(length..)) {
        Some(rest) => Ok(rest),
        None => flaw(bytes, what),
    };
    match tag {
        TEXT => match memchr(END, payload) {
            Some(end) if std::str::from_utf8(&payload[..end]).is_ok() => Ok(&payload[end + 1..]),
            Some(_) => flaw(bytes, "text is not UTF-8"),
            None => flaw(bytes, "text has no end"),
        },
        BYTEA => after(bytea_length_checked(payload), "bytea has no end"),
        NUMERIC => after(Numeric::check_ordered(payload), "not the encoding of a numeric"),
        INTERVAL => match read_interval(payload) {
            Some((_, rest)) => Ok(rest),
            None => flaw(bytes, "not the encoding of an interval"),
        },
        JSONB => after(jsonb::check(payload), "not the encoding of a jsonb value"),
        ARRAY => {
            let mut count = 0;
            let mut rest = payload;
            while rest.first().is_some_and(|&tag| tag != END) {
                rest = check_datum(rest, depth + 1)?;
                count += 1;
            }
            match array::check_trailer(rest, count) {
                Some(rest) => Ok(rest),
                None => flaw(rest, "not the dimensions of this array"),
            }
        }
        RECORD => check_end(check_datums(payload, depth + 1)?),
        // Equal values must not have two encodings.
        _ if !is_shortest_integer(tag, payload) => flaw(bytes, "an integer has the wrong width"),
        FLOAT4 if payload.first_chunk().is_some_and(|chunk| float32(unfloat32(*chunk)) != *chunk) => flaw(bytes, "not the encoding of NaN"),
        FLOAT8 if payload.first_chunk().is_some_and(|chunk| float64(unfloat64(*chunk)) != *chunk) => flaw(bytes, "not the encoding of NaN"),
        _ => match FIXED_LENGTHS[tag as usize] {
            0 => flaw(bytes, "no datum has this tag"),
            length => after(Some(length as usize - 1), "a datum ends too early"),
        },
    }
}

/// Whether an integer has no byte too many and fits its type. True for the tags of other types.
fn is_shortest_integer(tag: u8, payload: &[u8]) -> bool {
    let Some(&(zero, width_max)) = INTEGERS.iter().find(|(zero, width_max)| (zero - 1 - width_max..=zero + width_max).contains(&tag)) else { return true };
    let negative = tag < zero;
    let width = if negative { zero - 1 - tag } else { tag - zero };
    match payload.first() {
        Some(&first) if width > 0 => {
            let (fill, sign_bit) = (if negative { 0xFF } else { 0 }, first >> 7 == 1);
            first != fill && (width < width_max || sign_bit == negative)
        }
        _ => true,
    }
}

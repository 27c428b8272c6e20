//! One SQL value, borrowed from the row it stands in.

use crate::{Array, Date, Interval, Jsonb, Numeric, RowRef, SqlTimestamp, SqlTimestampTz, Time};
use std::borrow::Cow;

/// A value. Its SQL type is known from the schema; several types share a variant (every string type is `Text`,
/// `oid` and the `reg*` types are `Oid`, `json` is `Text`).
#[derive(Clone, Debug)]
pub enum Datum<'a> {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Numeric(Numeric),
    Text(&'a str),
    Bytea(Cow<'a, [u8]>),
    Date(Date),
    Time(Time),
    Timestamp(SqlTimestamp),
    TimestampTz(SqlTimestampTz),
    Interval(Interval),
    Uuid([u8; 16]),
    Jsonb(Jsonb<'a>),
    Oid(u32),
    Array(Array<'a>),
    Record(RowRef<'a>),
}

impl Datum<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }
}

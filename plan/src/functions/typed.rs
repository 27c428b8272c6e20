//! The SQL types as Rust sees them: one marker per type, which says what a function gets, what it returns, and where a batch keeps it.
//!
//! A function written as `|(text, count)|` with arguments `(t::Text, t::Int4)` gets a `&str` and an `i32`. [`Nullable`] around a marker makes the
//! argument an `Option` and the function responsible for NULL. The pseudo-types get a [`Datum`].

use crate::vector::column::{Buffer, FlagsTarget, Spans, Values, Vector};
use repr::{Array as ArrayRef, Datum, EvalError, Jsonb as JsonbRef, JsonbBuf, RowRef, SqlTimestamp, SqlTimestampTz};
use std::marker::PhantomData;

/// A SQL type as an argument.
pub trait Sql: 'static {
    /// What a function gets.
    type Ref<'a>;
    /// Where the values of a batch are read from.
    type Reader<'a>: Copy;
    /// The function is called for NULL too.
    const NULLABLE: bool = false;
    fn sql_type() -> repr::Type;
    /// Whether a vector holds this type.
    fn fits(values: &Values) -> bool;
    /// Only for vectors that fit.
    fn reader(vector: &Vector) -> Self::Reader<'_>;
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Ref<'a>;
}

/// A SQL type as a result.
pub trait Store: Sql {
    /// What a function returns.
    type Owned;
    /// Where the values of a batch are written to.
    type Slots: 'static;
    /// Only for values that fit.
    fn slots(values: &mut Values) -> &mut Self::Slots;
    fn store(slots: &mut Self::Slots, row: usize, value: Self::Owned) -> Result<(), EvalError>;
}

/// A SQL type whose results are appended to a buffer instead of returned.
pub trait Appended: Store<Slots = Spans<Self::Bytes>> {
    type Bytes: Buffer + 'static;
}

/// The kernel was prepared for other types than it runs over; [`Sql::fits`] is checked when a program is compiled.
#[cold]
fn misfit() -> ! {
    unreachable!("a kernel runs over the vectors it was compiled for")
}

macro_rules! fixed {
    ($($marker:ident $variant:ident $rust:ty, $type:expr;)*) => {$(
        pub struct $marker;
        impl Sql for $marker {
            type Ref<'a> = $rust;
            type Reader<'a> = (&'a [$rust], usize);
            fn sql_type() -> repr::Type { $type }
            fn fits(values: &Values) -> bool { matches!(values, Values::$variant(_)) }
            fn reader(vector: &Vector) -> Self::Reader<'_> {
                match vector.values() { Values::$variant(values) => (values, vector.mask()), _ => misfit() }
            }
            #[inline(always)]
            fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Ref<'a> { reader.0[row & reader.1] }
        }
        impl Store for $marker {
            type Owned = $rust;
            type Slots = Vec<$rust>;
            fn slots(values: &mut Values) -> &mut Self::Slots {
                match values { Values::$variant(values) => values, _ => misfit() }
            }
            #[inline(always)]
            fn store(slots: &mut Self::Slots, row: usize, value: $rust) -> Result<(), EvalError> { slots[row] = value; Ok(()) }
        }
        impl Outcome<$marker> for $rust {
            #[inline(always)]
            fn settle(self, slots: &mut Vec<$rust>, _: &mut FlagsTarget<'_>, row: usize) { slots[row] = self }
        }
    )*};
}

fixed! {
    Bool Bool bool, repr::Type::Bool;
    Int2 Int2 i16, repr::Type::Int2;
    Int4 Int4 i32, repr::Type::Int4;
    Int8 Int8 i64, repr::Type::Int8;
    Float4 Float4 f32, repr::Type::Float4;
    Float8 Float8 f64, repr::Type::Float8;
    Date Date repr::Date, repr::Type::Date;
    Time Time repr::Time, repr::Type::Time;
    Timestamp Timestamp SqlTimestamp, repr::Type::Timestamp;
    TimestampTz TimestampTz SqlTimestampTz, repr::Type::TimestampTz;
    Interval Interval repr::Interval, repr::Type::Interval;
    Uuid Uuid [u8; 16], repr::Type::Uuid;
    Oid Oid u32, repr::Type::Oid;
}

macro_rules! spans {
    ($($marker:ident $variant:ident $bytes:ty, $owned:ty, $type:expr, $ref:ty, $raw:ty, |$raw_name:ident| $read:expr, |$owned_name:ident, $buffer:ident| $write:expr;)*) => {$(
        pub struct $marker;
        impl Sql for $marker {
            type Ref<'a> = $ref;
            type Reader<'a> = (&'a Spans<$bytes>, usize);
            fn sql_type() -> repr::Type { $type }
            fn fits(values: &Values) -> bool { matches!(values, Values::$variant(_)) }
            fn reader(vector: &Vector) -> Self::Reader<'_> {
                match vector.values() { Values::$variant(values) => (values, vector.mask()), _ => misfit() }
            }
            #[inline(always)]
            fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Ref<'a> {
                let $raw_name: &'a $raw = reader.0.get(row & reader.1);
                $read
            }
        }
        impl Store for $marker {
            type Owned = $owned;
            type Slots = Spans<$bytes>;
            fn slots(values: &mut Values) -> &mut Self::Slots {
                match values { Values::$variant(values) => values, _ => misfit() }
            }
            fn store(slots: &mut Self::Slots, row: usize, $owned_name: $owned) -> Result<(), EvalError> {
                slots.write(row, |$buffer| { $write; Ok(()) })
            }
        }
        impl Appended for $marker { type Bytes = $bytes; }
    )*};
}

spans! {
    Text Text String, String, repr::Type::Text, &'a str, str, |text| text, |owned, buffer| buffer.push_str(&owned);
    Bpchar Text String, String, repr::Type::Bpchar, &'a str, str, |text| text, |owned, buffer| buffer.push_str(&owned);
    Name Text String, String, repr::Type::Name, &'a str, str, |text| text, |owned, buffer| buffer.push_str(&owned);
    InternalChar Text String, String, repr::Type::InternalChar, &'a str, str, |text| text, |owned, buffer| buffer.push_str(&owned);
    Json Text String, String, repr::Type::Json, &'a str, str, |text| text, |owned, buffer| buffer.push_str(&owned);
    Bytea Bytea Vec<u8>, Vec<u8>, repr::Type::Bytea, &'a [u8], [u8], |bytes| bytes, |owned, buffer| buffer.extend_from_slice(&owned);
    Jsonb Jsonb Vec<u8>, JsonbBuf, repr::Type::Jsonb, JsonbRef<'a>, [u8], |bytes| JsonbRef::from_encoded(bytes), |owned, buffer| buffer.extend_from_slice(owned.as_ref().as_encoded());
    TextArray Array Vec<u8>, Vec<u8>, repr::Type::Array(Box::new(repr::Type::Text)), ArrayRef<'a>, [u8], |bytes| ArrayRef::from_encoded(bytes), |owned, buffer| buffer.extend_from_slice(&owned);
    AnyArray Array Vec<u8>, Vec<u8>, repr::Type::AnyArray, ArrayRef<'a>, [u8], |bytes| ArrayRef::from_encoded(bytes), |owned, buffer| buffer.extend_from_slice(&owned);
    AnyRecord Record Vec<u8>, Vec<u8>, repr::Type::Record(Vec::new()), RowRef<'a>, [u8], |bytes| RowRef::new(bytes), |owned, buffer| buffer.extend_from_slice(&owned);
}

impl Outcome<Text> for String {
    fn settle(self, slots: &mut Spans<String>, flags: &mut FlagsTarget<'_>, row: usize) {
        if let Err(error) = Text::store(slots, row, self) {
            flags.set_error(row, error)
        }
    }
}
impl Outcome<Jsonb> for JsonbBuf {
    fn settle(self, slots: &mut Spans<Vec<u8>>, flags: &mut FlagsTarget<'_>, row: usize) {
        if let Err(error) = Jsonb::store(slots, row, self) {
            flags.set_error(row, error)
        }
    }
}
macro_rules! encoded_outcomes {
    ($($marker:ident)*) => {$(
        impl Outcome<$marker> for Vec<u8> {
            fn settle(self, slots: &mut Spans<Vec<u8>>, flags: &mut FlagsTarget<'_>, row: usize) {
                if let Err(error) = $marker::store(slots, row, self) { flags.set_error(row, error) }
            }
        }
    )*};
}
encoded_outcomes! { Bytea TextArray AnyArray }

/// `numeric`, passed by reference.
pub struct Numeric;
impl Sql for Numeric {
    type Ref<'a> = &'a repr::Numeric;
    type Reader<'a> = (&'a [repr::Numeric], usize);
    fn sql_type() -> repr::Type {
        repr::Type::Numeric
    }
    fn fits(values: &Values) -> bool {
        matches!(values, Values::Numeric(_))
    }
    fn reader(vector: &Vector) -> Self::Reader<'_> {
        match vector.values() {
            Values::Numeric(values) => (values, vector.mask()),
            _ => misfit(),
        }
    }
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Ref<'a> {
        &reader.0[row & reader.1]
    }
}
impl Store for Numeric {
    type Owned = repr::Numeric;
    type Slots = Vec<repr::Numeric>;
    fn slots(values: &mut Values) -> &mut Self::Slots {
        match values {
            Values::Numeric(values) => values,
            _ => misfit(),
        }
    }
    fn store(slots: &mut Self::Slots, row: usize, value: repr::Numeric) -> Result<(), EvalError> {
        slots[row] = value;
        Ok(())
    }
}
impl Outcome<Numeric> for repr::Numeric {
    fn settle(self, slots: &mut Vec<repr::Numeric>, _: &mut FlagsTarget<'_>, row: usize) {
        slots[row] = self
    }
}

/// Any type: the function gets a datum.
pub struct Any;
impl Sql for Any {
    type Ref<'a> = Datum<'a>;
    type Reader<'a> = &'a Vector;
    fn sql_type() -> repr::Type {
        repr::Type::Any
    }
    fn fits(_: &Values) -> bool {
        true
    }
    fn reader(vector: &Vector) -> Self::Reader<'_> {
        vector
    }
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Ref<'a> {
        reader.datum(row).unwrap_or(Datum::Null)
    }
}

/// An argument that may be NULL: the function gets an `Option` and is called for NULL.
pub struct Nullable<T>(PhantomData<T>);
impl<T: Sql> Sql for Nullable<T> {
    type Ref<'a> = Option<T::Ref<'a>>;
    type Reader<'a> = (&'a Vector, T::Reader<'a>);
    const NULLABLE: bool = true;
    fn sql_type() -> repr::Type {
        T::sql_type()
    }
    fn fits(values: &Values) -> bool {
        T::fits(values)
    }
    fn reader(vector: &Vector) -> Self::Reader<'_> {
        (vector, T::reader(vector))
    }
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Ref<'a> {
        (reader.0.flag(row) == crate::vector::column::VALUE).then(|| T::read(reader.1, row))
    }
}

/// The arguments of a function: tuples of up to seven markers, or none.
pub trait Arguments: 'static {
    type Refs<'a>;
    type Readers<'a>: Copy;
    fn types() -> Vec<repr::Type>;
    fn nullable() -> &'static [bool];
    /// Whether vectors of these storages can be read.
    fn fit(storages: &[Values]) -> bool;
    fn readers<'a>(arguments: &[&'a Vector]) -> Self::Readers<'a>;
    fn read<'a>(readers: Self::Readers<'a>, row: usize) -> Self::Refs<'a>;
}

macro_rules! tuples {
    ($(($count:literal $($marker:ident $position:tt)*))*) => {$(
        #[allow(clippy::unused_unit)] // The empty tuple is one of them.
        impl<$($marker: Sql),*> Arguments for ($($marker,)*) {
            type Refs<'a> = ($($marker::Ref<'a>,)*);
            type Readers<'a> = ($($marker::Reader<'a>,)*);
            fn types() -> Vec<repr::Type> { vec![$($marker::sql_type()),*] }
            fn nullable() -> &'static [bool] { const { &[$($marker::NULLABLE),*] } }
            fn fit(_storages: &[Values]) -> bool { _storages.len() == $count $(&& $marker::fits(&_storages[$position]))* }
            fn readers<'a>(_arguments: &[&'a Vector]) -> Self::Readers<'a> { ($($marker::reader(_arguments[$position]),)*) }
            #[inline(always)]
            fn read<'a>(_readers: Self::Readers<'a>, _row: usize) -> Self::Refs<'a> { ($($marker::read(_readers.$position, _row),)*) }
        }
    )*};
}
tuples! {
    (0)
    (1 A 0)
    (2 A 0 B 1)
    (3 A 0 B 1 C 2)
    (4 A 0 B 1 C 2 D 3)
    (5 A 0 B 1 C 2 D 3 E 4)
    (6 A 0 B 1 C 2 D 3 E 4 F 5)
    (7 A 0 B 1 C 2 D 3 E 4 F 5 G 6)
}

/// What a function may return for a result of type `S`: the value, an `Option` of it (None is NULL), a `Result` of it, or both.
pub trait Outcome<S: Store> {
    const CAN_FAIL: bool = false;
    const CAN_BE_NULL: bool = false;
    fn settle(self, slots: &mut S::Slots, flags: &mut FlagsTarget<'_>, row: usize);
}
impl<S: Store, T: Outcome<S>> Outcome<S> for Option<T> {
    const CAN_FAIL: bool = T::CAN_FAIL;
    const CAN_BE_NULL: bool = true;
    #[inline(always)]
    fn settle(self, slots: &mut S::Slots, flags: &mut FlagsTarget<'_>, row: usize) {
        match self {
            Some(value) => value.settle(slots, flags, row),
            None => flags.set_null(row),
        }
    }
}
impl<S: Store, T: Outcome<S>> Outcome<S> for Result<T, EvalError> {
    const CAN_FAIL: bool = true;
    const CAN_BE_NULL: bool = T::CAN_BE_NULL;
    #[inline(always)]
    fn settle(self, slots: &mut S::Slots, flags: &mut FlagsTarget<'_>, row: usize) {
        match self {
            Ok(value) => value.settle(slots, flags, row),
            Err(error) => flags.set_error(row, error),
        }
    }
}

/// What a function that appends its result to a buffer may return: nothing, an `Option<()>` (None is NULL), a `Result<(), _>`, or both.
pub trait Written {
    const CAN_FAIL: bool = false;
    const CAN_BE_NULL: bool = false;
    /// Whether there is a value.
    fn written(self) -> Result<bool, EvalError>;
}
impl Written for () {
    fn written(self) -> Result<bool, EvalError> {
        Ok(true)
    }
}
impl Written for Option<()> {
    const CAN_BE_NULL: bool = true;
    fn written(self) -> Result<bool, EvalError> {
        Ok(self.is_some())
    }
}
impl<T: Written> Written for Result<T, EvalError> {
    const CAN_FAIL: bool = true;
    const CAN_BE_NULL: bool = T::CAN_BE_NULL;
    fn written(self) -> Result<bool, EvalError> {
        self?.written()
    }
}

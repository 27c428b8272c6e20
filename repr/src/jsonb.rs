//! `jsonb` as bytes whose order is Postgres' order of jsonb values.
//!
//! A value is a kind byte and a payload that delimits itself. Kinds order as Postgres' do: Null < String < Number < Boolean < Array < Object (an empty
//! top-level array sorts below everything, as in Postgres). Arrays and objects start with their number of members; object members are in Postgres' key
//! order (shorter keys first, then bytes), without duplicates: the last one written wins.

use crate::{EvalError, Numeric};

/// A borrowed jsonb value: its encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jsonb<'a>(&'a [u8]);

/// An owned jsonb value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonbBuf(Vec<u8>);

/// One level of a value. Strings are borrowed.
pub enum JsonbView<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    String(&'a str),
    /// The elements in order.
    Array(Vec<Jsonb<'a>>),
    /// The members in Postgres' key order.
    Object(Vec<(&'a str, Jsonb<'a>)>),
}

#[rustfmt::skip]
impl<'a> Jsonb<'a> {
    /// `bytes` must be a valid encoding.
    pub fn from_encoded(bytes: &'a [u8]) -> Jsonb<'a> { Jsonb(bytes) }
    pub fn as_encoded(self) -> &'a [u8] { self.0 }
    pub fn view(self) -> JsonbView<'a> { todo!() }
    /// Postgres' output text: `{"a": 1, "b": [1, 2]}`.
    pub fn write_text(self, _out: &mut String) { todo!() }
    pub fn get_field(self, _key: &str) -> Option<Jsonb<'a>> { todo!() }
    /// Negative positions count from the end.
    pub fn get_element(self, _position: i64) -> Option<Jsonb<'a>> { todo!() }
    /// `@>`.
    pub fn contains(self, _other: Jsonb<'_>) -> bool { todo!() }
    pub fn to_buf(self) -> JsonbBuf { JsonbBuf(self.0.to_vec()) }
}

#[rustfmt::skip]
impl JsonbBuf {
    /// Parses JSON text with Postgres' errors (22P02; `\u0000` is 22P05).
    pub fn parse(_text: &str) -> Result<JsonbBuf, EvalError> { todo!() }
    pub fn from_view(_view: &JsonbView<'_>) -> JsonbBuf { todo!() }
    pub fn from_serde(_value: &serde_json::Value) -> Result<JsonbBuf, EvalError> { todo!() }
    pub fn as_ref(&self) -> Jsonb<'_> { Jsonb(&self.0) }
}

impl std::fmt::Debug for Jsonb<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write_text(&mut text);
        formatter.write_str(&text)
    }
}
impl std::fmt::Debug for JsonbBuf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(formatter)
    }
}

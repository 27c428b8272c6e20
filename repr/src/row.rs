//! Rows as order-preserving bytes.
//!
//! # Encoding
//! A row is the concatenation of its datums; each starts with a tag byte (one tag per `Datum` variant, so that a row describes itself; NULL has the
//! highest tag, 0xFE; 0x00 and 0xFF are never tags) followed by a payload whose byte order is the SQL order and which delimits itself:
//! integers big-endian with the sign bit flipped; floats with Postgres' total order (-0 written as 0 only by `canonical`, NaN highest); text as UTF-8 ended by 0x00
//! (Postgres' text holds no zero byte); bytea with 0x00 escaped as 0x00 0xFF and ended by 0x00; numeric by class, exponent and digits, then its display scale;
//! intervals by their normalised length, then their fields; jsonb, arrays and records by recursion (see their modules).

use crate::Datum;
use std::cmp::Ordering;

/// An owned row. Up to 23 bytes live inline and compare as words; a longer one keeps a comparable prefix inline beside its heap bytes.
///
/// `Row` orders as its bytes do. It is 24 bytes wide.
#[derive(Clone)]
pub struct Row(Vec<u8>);

impl Row {
    /// The row without columns.
    pub fn empty() -> Row {
        todo!()
    }
    pub fn pack<'a>(_datums: impl IntoIterator<Item = Datum<'a>>) -> Row {
        todo!()
    }
    /// `bytes` must be a valid encoding, such as `as_bytes` of another row; use [`RowRef::check`] for bytes from outside.
    pub fn from_bytes(_bytes: &[u8]) -> Row {
        todo!()
    }
    pub fn as_bytes(&self) -> &[u8] {
        todo!()
    }
    pub fn as_ref(&self) -> RowRef<'_> {
        todo!()
    }
    pub fn iter(&self) -> DatumIter<'_> {
        self.as_ref().iter()
    }
    pub fn unpack(&self) -> Vec<Datum<'_>> {
        self.iter().collect()
    }
    /// The datum of a column. Walks over the columns before it.
    pub fn get(&self, column: usize) -> Option<Datum<'_>> {
        self.iter().nth(column)
    }
    /// Bytes of heap this row owns beside its 24.
    pub fn heap_bytes(&self) -> usize {
        todo!()
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for Row {}
impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Row) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Row {
    fn cmp(&self, other: &Row) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl std::hash::Hash for Row {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state)
    }
}
impl Default for Row {
    fn default() -> Row {
        Row::empty()
    }
}
impl std::fmt::Debug for Row {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}
impl serde::Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}
impl<'de> serde::Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(_deserializer: D) -> Result<Row, D::Error> {
        todo!()
    }
}

/// A borrowed row: any slice of a valid encoding on datum boundaries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRef<'a>(&'a [u8]);

impl<'a> RowRef<'a> {
    pub fn new(bytes: &'a [u8]) -> RowRef<'a> {
        RowRef(bytes)
    }
    /// Checks bytes from outside: every datum whole, text UTF-8, nothing left over.
    pub fn check(_bytes: &'a [u8]) -> Result<RowRef<'a>, crate::EvalError> {
        todo!()
    }
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
    pub fn iter(self) -> DatumIter<'a> {
        DatumIter { bytes: self.0 }
    }
    pub fn to_row(self) -> Row {
        Row::from_bytes(self.0)
    }
}
impl std::fmt::Debug for RowRef<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// Iterates over the datums of a row. `rest()` is the undecoded remainder, so that a caller can copy encoded datums without decoding them.
#[derive(Clone)]
pub struct DatumIter<'a> {
    bytes: &'a [u8],
}

impl<'a> DatumIter<'a> {
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
    /// Skips one datum and returns its encoded bytes.
    pub fn next_encoded(&mut self) -> Option<&'a [u8]> {
        if self.bytes.is_empty() {
            return None;
        }
        let (datum, rest) = self.bytes.split_at(skip_datum(self.bytes));
        self.bytes = rest;
        Some(datum)
    }
}
impl<'a> Iterator for DatumIter<'a> {
    type Item = Datum<'a>;
    fn next(&mut self) -> Option<Datum<'a>> {
        todo!()
    }
}

/// The length of the encoded datum at the start of `bytes`, without decoding it.
pub fn skip_datum(_bytes: &[u8]) -> usize {
    todo!()
}

/// How a column takes part in a sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SortDirection {
    pub descending: bool,
    pub nulls_first: bool,
}

/// Builds rows in a buffer that is used again.
#[derive(Clone, Debug, Default)]
pub struct RowBuilder {
    bytes: Vec<u8>,
}

impl RowBuilder {
    pub fn new() -> RowBuilder {
        RowBuilder::default()
    }
    pub fn clear(&mut self) {
        self.bytes.clear()
    }
    pub fn push(&mut self, _datum: Datum<'_>) {
        todo!()
    }
    /// Appends datums that are encoded already.
    pub fn push_encoded(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes)
    }
    /// Appends a datum (canonical where its type needs it) as part of a *sort key*: bytes whose order is the direction's. Such bytes cannot be decoded.
    pub fn push_sort_key(&mut self, _datum: Datum<'_>, _direction: SortDirection) {
        todo!()
    }
    /// Appends the datum's canonical form: values SQL calls equal get equal bytes.
    pub fn push_canonical(&mut self, _datum: Datum<'_>) {
        todo!()
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// The row built so far; the builder is empty afterwards and keeps its buffer.
    pub fn finish(&mut self) -> Row {
        let row = Row::from_bytes(&self.bytes);
        self.bytes.clear();
        row
    }
}

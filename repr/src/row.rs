//! Rows as order-preserving bytes.
//!
//! # Encoding
//! A row is the concatenation of its datums; each starts with a tag byte (so that a row describes itself; NULL has the highest tag, 0xFE; 0x00, 0x01 and
//! 0xFF are never tags) followed by a payload whose byte order is the SQL order and which delimits itself:
//! integers as their significant bytes (the tag tells how many, and the sign); times and timestamps big-endian with the sign bit flipped; floats with Postgres' total order (-0 written as 0 only by `canonical`, NaN highest); text as UTF-8 ended by 0x00
//! (Postgres' text holds no zero byte); bytea with 0x00 escaped as 0x00 0xFF and ended by 0x00; numeric by class, exponent and digits, then its display scale;
//! intervals by their normalised length, then their fields; jsonb, arrays and records by recursion (see their modules). The bytes of one datum are the
//! business of `encoding`; this module is about whole rows.
//!
//! # What the order means
//! Within one column the order of the bytes is SQL's order, and values SQL calls equal but shows differently (1.0 and 1.00) stand beside each other.
//! Over several columns it is SQL's order once those values are canonical: see [`RowBuilder::push_canonical`] and [`RowBuilder::push_sort_key`].

use crate::{Datum, EvalError, encoding};
use std::cell::Cell;
use std::cmp::Ordering;

/// How many bytes a row keeps inside itself.
const INLINE_BYTES_MAX: usize = 23;
/// How many of its first bytes a longer row keeps inside itself.
const HEAP_PREFIX_BYTES: usize = 7;
/// A packing buffer that has grown beyond this is given back, lest one huge row cost its thread that memory for ever.
const PACK_BUFFER_BYTES_MAX: usize = 1 << 16;

/// An owned row. Up to 23 bytes live inline and compare as words; a longer one keeps a comparable prefix inline beside its heap bytes.
///
/// `Row` orders as its bytes do. It is 24 bytes wide, and so is `Option<Row>`.
#[derive(Clone)]
#[repr(align(8))]
pub struct Row(Repr);

/// The compiler tells the variants apart by the values `InlineLength` does not have. For that `Heap` must leave the place of `Inline`'s length free,
/// which it does only if it is 23 bytes wide: hence the packing.
#[derive(Clone)]
enum Repr {
    Inline(Inline),
    Heap(Heap),
}

/// Bytes beyond the length are zero, and the length counts as the 24th byte: then comparing the 24 bytes is comparing the rows. Where one row has ended
/// the other has either a byte above zero, which decides, or only zeros, and then the length decides.
#[derive(Clone, Copy)]
#[repr(C)]
struct Inline {
    bytes: [u8; INLINE_BYTES_MAX],
    length: InlineLength,
}

/// More than 23 bytes, of which `prefix` repeats the first seven.
#[repr(C, packed)]
struct Heap {
    bytes: Box<[u8]>,
    prefix: [u8; HEAP_PREFIX_BYTES],
}

/// A number up to 23 whose other bit patterns the compiler may use.
#[rustfmt::skip]
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum InlineLength { L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23 }

#[rustfmt::skip]
const INLINE_LENGTHS: [InlineLength; INLINE_BYTES_MAX + 1] = {
    use InlineLength::*;
    [L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23]
};

const _: () = assert!(size_of::<Row>() == 24 && size_of::<Option<Row>>() == 24);

thread_local! {
    static PACK_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Inline {
    /// Three words that order as the row does.
    #[inline(always)]
    fn words(&self) -> [u64; 3] {
        let word = |at: usize| {
            let mut chunk = [0; 8];
            chunk.copy_from_slice(&self.bytes[at..at + 8]);
            u64::from_be_bytes(chunk)
        };
        // The last word overlaps the one before it by the byte that is shifted out.
        [word(0), word(8), (word(15) << 8) | self.length as u64]
    }
}

impl Heap {
    #[inline(always)]
    #[allow(clippy::explicit_auto_deref)] // Auto-deref would borrow the packed field.
    fn bytes(&self) -> &[u8] {
        // The field itself may stand at any address, so it cannot be borrowed; what it points to can.
        &*self.bytes
    }
    #[inline(always)]
    fn prefix_word(&self) -> u64 {
        let prefix = self.prefix;
        u64::from_be_bytes([0, prefix[0], prefix[1], prefix[2], prefix[3], prefix[4], prefix[5], prefix[6]])
    }
}

impl Clone for Heap {
    fn clone(&self) -> Heap {
        Heap { bytes: Box::from(self.bytes()), prefix: self.prefix }
    }
}

impl Row {
    /// The row without columns.
    pub const fn empty() -> Row {
        Row(Repr::Inline(Inline { bytes: [0; INLINE_BYTES_MAX], length: InlineLength::L0 }))
    }
    pub fn pack<'a>(datums: impl IntoIterator<Item = Datum<'a>>) -> Row {
        // Taken, not borrowed: the iterator may pack rows itself.
        let mut buffer = PACK_BUFFER.take();
        buffer.clear();
        for datum in datums {
            encoding::write(&datum, &mut buffer);
        }
        let row = Row::from_bytes(&buffer);
        if buffer.capacity() <= PACK_BUFFER_BYTES_MAX {
            PACK_BUFFER.set(buffer);
        }
        row
    }
    /// `bytes` must be a valid encoding, such as `as_bytes` of another row; use [`RowRef::check`] for bytes from outside.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Row {
        match INLINE_LENGTHS.get(bytes.len()) {
            Some(&length) => {
                let mut inline = [0; INLINE_BYTES_MAX];
                inline[..bytes.len()].copy_from_slice(bytes);
                Row(Repr::Inline(Inline { bytes: inline, length }))
            }
            None => Row::on_heap(Box::from(bytes)),
        }
    }
    fn on_heap(bytes: Box<[u8]>) -> Row {
        let mut prefix = [0; HEAP_PREFIX_BYTES];
        prefix.copy_from_slice(&bytes[..HEAP_PREFIX_BYTES]);
        Row(Repr::Heap(Heap { bytes, prefix }))
    }
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(inline) => &inline.bytes[..inline.length as usize],
            Repr::Heap(heap) => heap.bytes(),
        }
    }
    #[allow(clippy::should_implement_trait)] // `AsRef` cannot return a `RowRef`.
    #[inline]
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef(self.as_bytes())
    }
    #[inline]
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
        match &self.0 {
            Repr::Inline(_) => 0,
            Repr::Heap(heap) => heap.bytes().len(),
        }
    }
}

impl PartialEq for Row {
    #[inline]
    fn eq(&self, other: &Row) -> bool {
        match (&self.0, &other.0) {
            (Repr::Inline(left), Repr::Inline(right)) => {
                let (left, right) = (left.words(), right.words());
                // Without branches: which word differs does not matter.
                (left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2]) == 0
            }
            (Repr::Heap(left), Repr::Heap(right)) => left.prefix_word() == right.prefix_word() && left.bytes() == right.bytes(),
            // A row's length decides where it lives.
            _ => false,
        }
    }
}
impl Eq for Row {}
impl PartialOrd for Row {
    #[inline]
    fn partial_cmp(&self, other: &Row) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Row {
    #[inline]
    fn cmp(&self, other: &Row) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Inline(left), Repr::Inline(right)) => {
                let (left, right) = (left.words(), right.words());
                // Word by word: comparing the arrays goes through memory.
                if left[0] != right[0] {
                    left[0].cmp(&right[0])
                } else if left[1] != right[1] {
                    left[1].cmp(&right[1])
                } else {
                    left[2].cmp(&right[2])
                }
            }
            (Repr::Heap(left), Repr::Heap(right)) => left.prefix_word().cmp(&right.prefix_word()).then_with(|| left.bytes().cmp(right.bytes())),
            _ => self.as_bytes().cmp(other.as_bytes()),
        }
    }
}
/// Hashes the bytes, so equal rows hash equally; not the hash of their [`RowRef`].
impl std::hash::Hash for Row {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Inline(inline) => inline.words().into_iter().for_each(|word| state.write_u64(word)),
            Repr::Heap(heap) => state.write(heap.bytes()),
        }
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
/// Checks the bytes, so that no file and no peer can make a row that fails later.
impl<'de> serde::Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Row, D::Error> {
        struct RowVisitor;
        impl<'de> serde::de::Visitor<'de> for RowVisitor {
            type Value = Row;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("the bytes of a row")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Row, E> {
                RowRef::check(bytes).map(RowRef::to_row).map_err(|error| match error.detail() {
                    Some(detail) => E::custom(format_args!("{error}: {detail}")),
                    None => E::custom(error),
                })
            }
            /// Formats without byte strings, such as JSON, write a sequence of numbers.
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Row, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = sequence.next_element::<u8>()? {
                    bytes.push(byte);
                }
                self.visit_bytes(&bytes)
            }
        }
        deserializer.deserialize_bytes(RowVisitor)
    }
}

/// A borrowed row: any slice of a valid encoding on datum boundaries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRef<'a>(&'a [u8]);

impl<'a> RowRef<'a> {
    /// `bytes` must be a valid encoding: reading a datum from anything else may panic.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> RowRef<'a> {
        RowRef(bytes)
    }
    /// Checks bytes from outside: every datum whole, text UTF-8, nothing left over. The error is XX001 and its detail says where and what.
    pub fn check(bytes: &'a [u8]) -> Result<RowRef<'a>, EvalError> {
        encoding::check_row(bytes)?;
        Ok(RowRef(bytes))
    }
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
    #[inline]
    pub fn iter(self) -> DatumIter<'a> {
        DatumIter { bytes: self.0 }
    }
    #[inline]
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
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
    /// Skips one datum and returns its encoded bytes.
    #[inline]
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
    #[inline]
    fn next(&mut self) -> Option<Datum<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        let (datum, rest) = encoding::read(self.bytes);
        self.bytes = rest;
        Some(datum)
    }
    /// Skips without decoding.
    #[inline]
    fn nth(&mut self, count: usize) -> Option<Datum<'a>> {
        for _ in 0..count {
            self.next_encoded()?;
        }
        self.next()
    }
}
impl std::iter::FusedIterator for DatumIter<'_> {}

/// The length of the encoded datum at the start of `bytes`, without decoding it.
#[inline]
pub fn skip_datum(bytes: &[u8]) -> usize {
    encoding::skip(bytes)
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
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear()
    }
    /// Panics if a text holds a zero byte, which no reader of Postgres text lets through (22021).
    #[inline]
    pub fn push(&mut self, datum: Datum<'_>) {
        encoding::write(&datum, &mut self.bytes)
    }
    /// Appends datums that are encoded already.
    #[inline]
    pub fn push_encoded(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes)
    }
    /// Appends a datum (canonical where its type needs it) as part of a *sort key*: bytes whose order is the direction's. Such bytes cannot be decoded.
    pub fn push_sort_key(&mut self, datum: Datum<'_>, direction: SortDirection) {
        encoding::write_sort_key(&datum, direction, &mut self.bytes)
    }
    /// Appends the datum's canonical form: values SQL calls equal get equal bytes.
    #[inline]
    pub fn push_canonical(&mut self, datum: Datum<'_>) {
        encoding::write_canonical(&datum, &mut self.bytes)
    }
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// Takes back what was appended after the builder had `length` bytes, as a reader does that fails in the middle of a value.
    #[inline]
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length)
    }
    /// The row built so far; the builder is empty afterwards and keeps its buffer.
    #[inline]
    pub fn finish(&mut self) -> Row {
        let row = Row::from_bytes(&self.bytes);
        self.bytes.clear();
        row
    }
}

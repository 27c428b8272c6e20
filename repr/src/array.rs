//! Arrays as bytes whose order is Postgres': elements first, then the number of dimensions, then their lengths, then their lower bounds.
//!
//! Encoding: the elements' datums in row-major order, 0x00 (below every tag, so a shorter array is smaller), the number of dimensions, each one's length,
//! each one's lower bound, and the number of dimensions once more, so that the elements can be found without a walk over them.

use crate::encoding::{self, END, flip32, unflip32};
use crate::{Datum, DatumIter, RowRef};

/// Length and lower bound of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayDimension {
    pub length: u32,
    pub lower_bound: i32,
}

/// Postgres' limit, `MAXDIM`.
pub(crate) const DIMENSIONS_MAX: usize = 6;

/// A borrowed array: its encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Array<'a>(&'a [u8]);

/// Bytes after the elements.
fn trailer_length(dimensions: usize) -> usize {
    3 + 8 * dimensions
}

impl<'a> Array<'a> {
    /// `bytes` must be a valid encoding.
    pub fn from_encoded(bytes: &'a [u8]) -> Array<'a> {
        Array(bytes)
    }
    pub fn as_encoded(self) -> &'a [u8] {
        self.0
    }
    fn dimension_count(self) -> usize {
        usize::from(*self.0.last().unwrap_or_else(|| encoding::corrupt()))
    }
    /// All elements in row-major order.
    pub fn elements(self) -> DatumIter<'a> {
        match self.0.len().checked_sub(trailer_length(self.dimension_count())) {
            Some(length) => RowRef::new(&self.0[..length]).iter(),
            None => encoding::corrupt(),
        }
    }
    /// Lengths and lower bounds, unsigned and as they stand in the encoding.
    fn dimension_words(self) -> impl Iterator<Item = [u8; 4]> + 'a {
        let count = self.dimension_count();
        let start = self.0.len().checked_sub(1 + 8 * count).unwrap_or_else(|| encoding::corrupt());
        self.0[start..].chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]])
    }
    /// No dimensions: the empty array.
    pub fn dimensions(self) -> Vec<ArrayDimension> {
        let lower_bounds = self.dimension_words().skip(self.dimension_count());
        let lengths = self.dimension_words();
        lengths.zip(lower_bounds).map(|(length, bound)| ArrayDimension { length: u32::from_be_bytes(length), lower_bound: unflip32(bound) }).collect()
    }
    /// The number of elements of all dimensions together.
    pub fn len(self) -> usize {
        match self.dimension_count() {
            0 => 0,
            count => self.dimension_words().take(count).map(|length| u32::from_be_bytes(length) as usize).product(),
        }
    }
    pub fn is_empty(self) -> bool {
        self.dimension_count() == 0
    }
}

/// The length of the array at the start of `bytes`.
pub(crate) fn skip(bytes: &[u8]) -> usize {
    let elements = encoding::datums_length(bytes);
    match bytes.get(elements + 1) {
        Some(&dimensions) => elements + trailer_length(usize::from(dimensions)),
        None => encoding::corrupt(),
    }
}

/// What follows the array whose `count` elements end where `bytes` start; `None` if they do not fit its dimensions.
pub(crate) fn check_trailer(bytes: &[u8], count: usize) -> Option<&[u8]> {
    let [END, dimensions, ..] = *bytes else { return None };
    let dimensions = usize::from(dimensions);
    let (trailer, rest) = bytes.split_at_checked(trailer_length(dimensions))?;
    if dimensions > DIMENSIONS_MAX || usize::from(*trailer.last()?) != dimensions {
        return None;
    }
    let mut product = usize::from(dimensions > 0);
    for length in trailer[2..2 + 4 * dimensions].chunks_exact(4) {
        product = product.checked_mul(u32::from_be_bytes(length.try_into().ok()?) as usize)?;
    }
    // An empty array has no dimensions at all.
    (product == count && (count > 0) == (dimensions > 0)).then_some(rest)
}

/// Builds an array's encoding.
#[derive(Clone, Default)]
pub struct ArrayBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl ArrayBuilder {
    pub fn new() -> ArrayBuilder {
        ArrayBuilder::default()
    }
    pub fn push(&mut self, datum: Datum<'_>) {
        encoding::write(&datum, &mut self.bytes);
        self.count += 1;
    }
    pub fn push_encoded(&mut self, datum: &[u8]) {
        self.bytes.extend_from_slice(datum);
        self.count += 1;
    }
    /// One dimension, lower bound 1 (no dimension when empty). The builder is empty afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let length = self.count;
        self.finish_with(&[ArrayDimension { length, lower_bound: 1 }])
    }
    /// The product of the lengths must be the number of elements (no dimensions: none), and there are at most six: panics otherwise.
    pub fn finish_with(&mut self, dimensions: &[ArrayDimension]) -> Vec<u8> {
        let count = std::mem::take(&mut self.count);
        // Postgres has one empty array.
        let dimensions = if count == 0 { &[] } else { dimensions };
        let product: u64 = dimensions.iter().map(|dimension| u64::from(dimension.length)).product();
        assert!(dimensions.len() <= DIMENSIONS_MAX, "an array of {} dimensions", dimensions.len());
        assert!(count == 0 || (!dimensions.is_empty() && product == u64::from(count)), "an array of {count} elements with dimensions {dimensions:?}");
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.reserve_exact(trailer_length(dimensions.len()));
        bytes.extend_from_slice(&[END, dimensions.len() as u8]);
        dimensions.iter().for_each(|dimension| bytes.extend_from_slice(&dimension.length.to_be_bytes()));
        dimensions.iter().for_each(|dimension| bytes.extend_from_slice(&flip32(dimension.lower_bound)));
        bytes.push(dimensions.len() as u8);
        bytes
    }
}

impl std::fmt::Debug for Array<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.elements()).finish()
    }
}

//! Arrays as bytes whose order is Postgres': elements first, then the number of dimensions, then their lengths.
//!
//! Encoding: the elements' datums in row-major order, 0x00 (below every tag, so a shorter array is smaller), the number of dimensions, and for
//! each dimension its length and lower bound.

use crate::{Datum, DatumIter};

/// Length and lower bound of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayDimension {
    pub length: u32,
    pub lower_bound: i32,
}

/// A borrowed array: its encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Array<'a>(&'a [u8]);

#[rustfmt::skip]
impl<'a> Array<'a> {
    /// `bytes` must be a valid encoding.
    pub fn from_encoded(bytes: &'a [u8]) -> Array<'a> { Array(bytes) }
    pub fn as_encoded(self) -> &'a [u8] { self.0 }
    /// All elements in row-major order.
    pub fn elements(self) -> DatumIter<'a> { todo!() }
    /// No dimensions: the empty array.
    pub fn dimensions(self) -> Vec<ArrayDimension> { todo!() }
    pub fn len(self) -> usize { todo!() }
    pub fn is_empty(self) -> bool { self.len() == 0 }
}

/// Builds an array's encoding.
#[derive(Default)]
pub struct ArrayBuilder { _bytes: Vec<u8>, _count: u32 }

#[rustfmt::skip]
impl ArrayBuilder {
    pub fn new() -> ArrayBuilder { ArrayBuilder::default() }
    pub fn push(&mut self, _datum: Datum<'_>) { todo!() }
    pub fn push_encoded(&mut self, _datum: &[u8]) { todo!() }
    /// One dimension, lower bound 1 (no dimension when empty). The builder is empty afterwards.
    pub fn finish(&mut self) -> Vec<u8> { todo!() }
    /// The product of the lengths must be the number of elements.
    pub fn finish_with(&mut self, _dimensions: &[ArrayDimension]) -> Vec<u8> { todo!() }
}

impl std::fmt::Debug for Array<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.elements()).finish()
    }
}

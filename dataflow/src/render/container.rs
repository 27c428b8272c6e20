//! Encoded rows, one after the other in one allocation: what keys and values of a batch are kept in.

use differential_dataflow::trace::implementations::BatchContainer;
use repr::Row;
use std::cmp::Ordering;
use timely::container::PushInto;

/// A row in a [`PackedRows`]. Orders as its bytes do, deciding by the first word where it can.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a>(pub &'a [u8]);

impl Packed<'_> {
    #[inline]
    fn word(&self) -> Option<u64> {
        self.0.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
    }
}

impl Ord for Packed<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.word(), other.word()) {
            (Some(left), Some(right)) if left != right => left.cmp(&right),
            (Some(_), Some(_)) => self.0[8..].cmp(&other.0[8..]),
            _ => self.0.cmp(other.0),
        }
    }
}
impl PartialOrd for Packed<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Packed<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Packed<'_> {}
impl PartialEq<&Row> for Packed<'_> {
    #[inline]
    fn eq(&self, other: &&Row) -> bool {
        self.0 == other.as_bytes()
    }
}

/// Ascending offsets: 32 bits each, and 64 from the first one that needs them.
#[derive(Default)]
pub struct Offsets {
    small: Vec<u32>,
    large: Vec<u64>,
}

impl Offsets {
    #[inline(always)]
    pub fn get(&self, index: usize) -> usize {
        if index < self.small.len() { self.small[index] as usize } else { self.large[index - self.small.len()] as usize }
    }
    #[inline(always)]
    fn push(&mut self, offset: usize) {
        match u32::try_from(offset) {
            Ok(offset) if self.large.is_empty() => self.small.push(offset),
            _ => self.large.push(offset as u64),
        }
    }
    pub fn heap_bytes(&self) -> usize {
        self.small.capacity() * size_of::<u32>() + self.large.capacity() * size_of::<u64>()
    }
    pub fn shrink(&mut self) {
        self.small.shrink_to_fit();
        self.large.shrink_to_fit();
    }
}

impl BatchContainer for Offsets {
    type Owned = usize;
    type ReadItem<'a> = usize;
    #[inline(always)]
    fn into_owned(item: usize) -> usize {
        item
    }
    #[inline(always)]
    fn reborrow<'b, 'a: 'b>(item: usize) -> usize {
        item
    }
    #[inline(always)]
    fn push_ref(&mut self, item: usize) {
        self.push(item)
    }
    #[inline(always)]
    fn push_own(&mut self, item: &usize) {
        self.push(*item)
    }
    fn clear(&mut self) {
        self.small.clear();
        self.large.clear();
    }
    fn with_capacity(size: usize) -> Offsets {
        Offsets { small: Vec::with_capacity(size), large: Vec::new() }
    }
    fn merge_capacity(left: &Offsets, right: &Offsets) -> Offsets {
        Offsets::with_capacity(left.len() + right.len())
    }
    #[inline(always)]
    fn index(&self, index: usize) -> usize {
        self.get(index)
    }
    #[inline(always)]
    fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }
}

/// Rows in one allocation. While all are equally long, no offsets are kept.
#[derive(Default)]
pub struct PackedRows {
    bytes: Vec<u8>,
    count: usize,
    /// The length of every row while `ends` is empty.
    stride: usize,
    /// Where each row ends, once two rows had different lengths.
    ends: Option<Offsets>,
}

impl PackedRows {
    #[inline(always)]
    pub fn row(&self, index: usize) -> &[u8] {
        match &self.ends {
            None => {
                assert!(index < self.count, "row {index} of {}", self.count);
                &self.bytes[index * self.stride..(index + 1) * self.stride]
            }
            Some(ends) => {
                let start = if index == 0 { 0 } else { ends.get(index - 1) };
                &self.bytes[start..ends.get(index)]
            }
        }
    }
    #[inline]
    fn append(&mut self, row: &[u8]) {
        if self.count == 0 {
            self.stride = row.len();
        }
        self.bytes.extend_from_slice(row);
        self.count += 1;
        match &mut self.ends {
            Some(ends) => ends.push(self.bytes.len()),
            None if row.len() != self.stride => {
                let mut ends = Offsets::with_capacity(self.count);
                (1..self.count).for_each(|position| ends.push(position * self.stride));
                ends.push(self.bytes.len());
                self.ends = Some(ends);
            }
            None => {}
        }
    }
    /// Memory it owns.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.as_ref().map_or(0, Offsets::heap_bytes)
    }
    /// Gives back what was reserved and not needed.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        if let Some(ends) = &mut self.ends {
            ends.shrink();
        }
    }
    /// The first position in `start..end` whose row is not less than `bound`.
    pub fn lower_bound(&self, bound: &[u8], mut start: usize, mut end: usize) -> usize {
        let bound = Packed(bound);
        while start < end {
            let middle = start + (end - start) / 2;
            if Packed(self.row(middle)) < bound { start = middle + 1 } else { end = middle }
        }
        start
    }
}

impl PushInto<Row> for PackedRows {
    #[inline]
    fn push_into(&mut self, row: Row) {
        self.append(row.as_bytes())
    }
}

impl BatchContainer for PackedRows {
    type Owned = Row;
    type ReadItem<'a> = Packed<'a>;

    #[inline]
    fn into_owned(item: Packed<'_>) -> Row {
        Row::from_bytes(item.0)
    }
    #[inline]
    fn push_ref(&mut self, item: Packed<'_>) {
        self.append(item.0)
    }
    #[inline]
    fn push_own(&mut self, item: &Row) {
        self.append(item.as_bytes())
    }
    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.ends = None;
    }
    fn with_capacity(_rows: usize) -> PackedRows {
        PackedRows::default()
    }
    fn merge_capacity(left: &PackedRows, right: &PackedRows) -> PackedRows {
        PackedRows { bytes: Vec::with_capacity(left.bytes.len() + right.bytes.len()), ..PackedRows::default() }
    }
    #[inline]
    fn reborrow<'b, 'a: 'b>(item: Packed<'a>) -> Packed<'b> {
        item
    }
    #[inline]
    fn index(&self, index: usize) -> Packed<'_> {
        Packed(self.row(index))
    }
    #[inline]
    fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::Datum;

    #[test]
    fn rows_come_back_whatever_their_lengths() {
        let texts = ["", "a", "ab", "longer than what fits inline, by far", "a"];
        for count in 0..=texts.len() {
            for repeat in [1, 3] {
                let rows: Vec<Row> = (0..repeat).flat_map(|_| texts[..count].iter().map(|text| Row::pack([Datum::Text(text)]))).collect();
                let mut packed = PackedRows::with_capacity(0);
                rows.iter().for_each(|row| packed.push_own(row));
                assert_eq!(packed.len(), rows.len());
                for (position, row) in rows.iter().enumerate() {
                    assert_eq!(packed.index(position), row);
                    assert_eq!(PackedRows::into_owned(packed.index(position)), *row);
                }
                packed.clear();
                packed.push_own(&Row::empty());
                packed.push_own(&Row::empty());
                assert_eq!((packed.len(), packed.row(1)), (2, &[][..]));
            }
        }
    }

    #[test]
    fn packed_rows_order_as_their_bytes() {
        let samples: [&[u8]; 8] = [b"", b"a", b"aaaaaaaa", b"aaaaaaab", b"aaaaaaaaa", b"aaaaaaaab", b"aaaaaaa", b"b"];
        for left in samples {
            for right in samples {
                assert_eq!(Packed(left).cmp(&Packed(right)), left.cmp(right), "{left:?} {right:?}");
            }
        }
    }
}

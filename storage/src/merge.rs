//! Merging sorted runs of rows, in bounded memory.
//!
//! A *run* is the updates of some frames, consolidated, as parts per collection: what a compaction reads besides the parts that are there already. The last
//! run needs no file; it is merged from the [`RunBuffer`] it was gathered in.

use crate::StorageError;
use crate::part::{Part, PartNumbers, PartStore, PartsReader, PartsWriter};
use repr::{CollectionId, Diff};
use std::collections::BTreeMap;

/// A run on disk.
pub(crate) type Run = BTreeMap<CollectionId, Vec<Part>>;

/// Updates being gathered: rows side by side in one allocation.
#[derive(Default)]
pub(crate) struct RunBuffer {
    rows: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    collection: CollectionId,
    start: usize,
    length: usize,
    diff: Diff,
}

impl RunBuffer {
    pub fn push(&mut self, collection: CollectionId, row: &[u8], diff: Diff) {
        self.entries.push(Entry { collection, start: self.rows.len(), length: row.len(), diff });
        self.rows.extend_from_slice(row);
    }
    pub fn bytes(&self) -> u64 {
        (self.rows.len() + self.entries.len() * size_of::<Entry>()) as u64
    }
    fn row(&self, entry: &Entry) -> &[u8] {
        &self.rows[entry.start..entry.start + entry.length]
    }
    pub fn clear(&mut self) {
        self.rows.clear();
        self.entries.clear();
    }
    /// Must be called before `collections` and `reader`.
    pub fn sort(&mut self) {
        let rows = &self.rows;
        let row = |entry: &Entry| &rows[entry.start..entry.start + entry.length];
        self.entries.sort_unstable_by(|left, right| left.collection.cmp(&right.collection).then_with(|| row(left).cmp(row(right))));
    }
    pub fn collections(&self) -> impl Iterator<Item = CollectionId> + '_ {
        self.entries.chunk_by(|left, right| left.collection == right.collection).map(|entries| entries[0].collection)
    }
    pub fn reader(&self, collection: CollectionId) -> BufferReader<'_> {
        let start = self.entries.partition_point(|entry| entry.collection < collection);
        let end = self.entries.partition_point(|entry| entry.collection <= collection);
        BufferReader { buffer: self, entries: &self.entries[start..end] }
    }
}

/// Reads one collection of a buffer; equal rows come one after the other.
pub(crate) struct BufferReader<'a> {
    buffer: &'a RunBuffer,
    entries: &'a [Entry],
}

/// One sorted input of a merge.
pub(crate) enum Input<'a> {
    Parts(Box<PartsReader<'a>>),
    Buffer(BufferReader<'a>),
}

impl<'a> Input<'a> {
    pub fn parts(store: PartStore<'a>, parts: &[Part]) -> Result<Input<'a>, StorageError> {
        Ok(Input::Parts(Box::new(PartsReader::new(store, parts)?)))
    }
    fn peek(&self) -> Option<(&[u8], Diff)> {
        match self {
            Input::Parts(reader) => reader.peek(),
            Input::Buffer(reader) => reader.entries.first().map(|entry| (reader.buffer.row(entry), entry.diff)),
        }
    }
    fn advance(&mut self) -> Result<(), StorageError> {
        match self {
            Input::Parts(reader) => reader.advance(),
            Input::Buffer(reader) => {
                reader.entries = reader.entries.get(1..).unwrap_or_default();
                Ok(())
            }
        }
    }
}

/// How many rows are merged between two calls of `pulse`.
const PULSE_ROWS: u64 = 4096;

/// Adds up the inputs: each row once, with the sum of its diffs, unless that is zero. A negative sum is kept: whoever reads it shall see it.
///
/// There are few inputs, so the smallest is found by looking at all of them.
pub(crate) fn merge<'a>(
    mut inputs: Vec<Input<'a>>,
    output: PartStore<'a>,
    numbers: &mut PartNumbers,
    pulse: &mut dyn FnMut() -> Result<(), StorageError>,
) -> Result<Vec<Part>, StorageError> {
    let mut writer = PartsWriter::new(output);
    let mut row = Vec::new();
    let mut count = 0;
    while let Some(smallest) = inputs.iter().filter_map(|input| input.peek().map(|(row, _)| row)).min() {
        row.clear();
        row.extend_from_slice(smallest);
        let mut sum: i128 = 0;
        for input in &mut inputs {
            while let Some((_, diff)) = input.peek().filter(|(candidate, _)| *candidate == row) {
                sum += i128::from(diff);
                input.advance()?;
            }
        }
        if sum != 0 {
            let diff = Diff::try_from(sum).map_err(|_| StorageError::corrupted(&output.disk.name(), 0, format!("a row's multiplicity is {sum}")))?;
            writer.push(&row, diff, numbers)?;
        }
        count += 1;
        if count % PULSE_ROWS == 0 {
            pulse()?;
        }
    }
    writer.finish(numbers)
}

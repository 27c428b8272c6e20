//! The encoded rows of a batch, and where in them the columns start that somebody asked for.

use repr::{Datum, EvalError, RowRef, SqlState, skip_datum};

/// Encoded rows laid end to end.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// The end of each row.
    ends: Vec<u32>,
    /// The columns whose start is wanted, ascending, each with its place among a row's positions.
    wanted: Vec<(usize, usize)>,
    /// Row by row, the positions of the wanted columns.
    positions: Vec<u32>,
}

impl Batch {
    /// `boundaries`: columns in the order in which a program knows them.
    pub fn new(boundaries: &[usize]) -> Batch {
        let mut wanted: Vec<(usize, usize)> = boundaries.iter().enumerate().map(|(place, &column)| (column, place)).collect();
        wanted.sort_unstable();
        Batch { wanted, ..Batch::default() }
    }
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Bytes of the rows so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
    pub fn push_part(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part)
    }
    /// Ends a row. Batches stay far below 4 GB: the callers cut them by bytes.
    pub fn end_row(&mut self) {
        assert!(self.bytes.len() <= u32::MAX as usize, "a batch of rows exceeds 4 gigabytes");
        self.ends.push(self.bytes.len() as u32)
    }
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Finds the wanted columns of every row. A column that a row does not have starts (and ends) at the row's end.
    pub fn locate(&mut self) {
        self.positions.clear();
        if self.wanted.is_empty() {
            return;
        }
        self.positions.resize(self.ends.len() * self.wanted.len(), 0);
        let mut start = 0;
        for (&end, positions) in self.ends.iter().zip(self.positions.chunks_exact_mut(self.wanted.len())) {
            let end = end as usize;
            let (mut position, mut column) = (start, 0);
            for &(wanted, place) in &self.wanted {
                while column < wanted && position < end {
                    position += skip_datum(&self.bytes[position..end]);
                    column += 1;
                }
                positions[place] = position as u32;
            }
            start = end;
        }
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |previous| self.ends[previous] as usize)
    }
    pub fn row(&self, row: usize) -> &[u8] {
        &self.bytes[self.start(row)..self.ends[row] as usize]
    }
    fn position(&self, row: usize, boundary: usize) -> usize {
        self.positions[row * self.wanted.len() + boundary] as usize
    }
    /// The datum that starts at a boundary.
    #[inline]
    pub fn datum(&self, row: usize, boundary: usize) -> Result<Datum<'_>, EvalError> {
        let bytes = &self.bytes[self.position(row, boundary)..self.ends[row] as usize];
        RowRef::new(bytes).iter().next().ok_or_else(|| EvalError::new(SqlState::INTERNAL_ERROR, "a row has fewer columns than its plan promises"))
    }
    /// The encoded datums between two boundaries; without an end, up to the end of the row.
    pub fn between(&self, row: usize, from: usize, to: Option<usize>) -> &[u8] {
        let end = to.map_or(self.ends[row] as usize, |to| self.position(row, to));
        &self.bytes[self.position(row, from)..end]
    }
}

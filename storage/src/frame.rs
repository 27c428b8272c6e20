//! What one tick makes durable, and its bytes.
//!
//! A frame's body is: timestamp (8 bytes, little-endian), positions, dropped collections, updates. Counts, lengths and ids are LEB128; a diff is zigzag
//! LEB128; rows are their bytes. The positions stand before the updates, so that a scan for them reads no row.

use repr::{CollectionId, Diff, Row, Timestamp};

/// The unit of durability: everything that happened at one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Greater than that of every frame before.
    pub timestamp: Timestamp,
    /// Changes per collection; a collection appears at most once.
    pub updates: Vec<(CollectionId, Vec<(Row, Diff)>)>,
    /// New resume states of sources (opaque bytes of the `sources` crate): how far the updates of this frame and all before it have come.
    pub positions: Vec<(CollectionId, Vec<u8>)>,
    /// Collections that ended with this frame: their contents and positions need not be kept.
    pub dropped: Vec<CollectionId>,
}

fn write_number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn write_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    write_number(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

impl Frame {
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.timestamp.0.to_le_bytes());
        write_number(self.positions.len() as u64, to);
        for (id, position) in &self.positions {
            write_number(id.0, to);
            write_bytes(position, to);
        }
        write_number(self.dropped.len() as u64, to);
        for id in &self.dropped {
            write_number(id.0, to);
        }
        write_number(self.updates.len() as u64, to);
        for (id, updates) in &self.updates {
            write_number(id.0, to);
            write_number(updates.len() as u64, to);
            for (row, diff) in updates {
                write_number(((diff << 1) ^ (diff >> 63)) as u64, to);
                write_bytes(row.as_bytes(), to);
            }
        }
    }
}

/// The body of a frame being read. `None` anywhere: the bytes are not those of a frame.
pub(crate) struct FrameReader<'a> {
    pub timestamp: Timestamp,
    pub positions: Vec<(CollectionId, &'a [u8])>,
    pub dropped: Vec<CollectionId>,
    updates: Cursor<'a>,
}

/// One update where it lies in the body.
pub(crate) struct UpdateRef<'a> {
    pub collection: CollectionId,
    pub row: &'a [u8],
    pub diff: Diff,
}

impl<'a> FrameReader<'a> {
    pub fn new(body: &'a [u8]) -> Option<FrameReader<'a>> {
        let mut cursor = Cursor(body);
        let timestamp = Timestamp(u64::from_le_bytes(cursor.take(8)?.try_into().ok()?));
        let mut positions = Vec::new();
        for _ in 0..cursor.number()? {
            positions.push((CollectionId(cursor.number()?), cursor.bytes()?));
        }
        let mut dropped = Vec::new();
        for _ in 0..cursor.number()? {
            dropped.push(CollectionId(cursor.number()?));
        }
        Some(FrameReader { timestamp, positions, dropped, updates: cursor })
    }
    /// Visits all updates, those of one collection in a row. `Some(())` if the body ends where its last update does.
    pub fn updates<E>(&self, mut visit: impl FnMut(UpdateRef<'a>) -> Result<(), E>) -> Result<Option<()>, E> {
        let mut cursor = Cursor(self.updates.0);
        let Some(collections) = cursor.number() else { return Ok(None) };
        for _ in 0..collections {
            let (Some(id), Some(count)) = (cursor.number(), cursor.number()) else { return Ok(None) };
            let collection = CollectionId(id);
            for _ in 0..count {
                let (Some(diff), Some(row)) = (cursor.number(), cursor.bytes()) else { return Ok(None) };
                visit(UpdateRef { collection, row, diff: (diff >> 1) as i64 ^ -((diff & 1) as i64) })?;
            }
        }
        Ok(cursor.0.is_empty().then_some(()))
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::Datum;

    #[test]
    fn a_frame_reads_as_it_was_written() {
        let row = |value: i64| Row::pack([Datum::Int8(value), Datum::Text("a row that does not fit inline")]);
        let frame = Frame {
            timestamp: Timestamp(u64::MAX - 1),
            updates: vec![
                (CollectionId(0), vec![(Row::empty(), 1)]),
                (CollectionId(u64::MAX), vec![(row(1), i64::MIN), (row(2), i64::MAX), (row(3), -1), (row(300), 0)]),
                (CollectionId(7), vec![]),
            ],
            positions: vec![(CollectionId(300), vec![0; 200]), (CollectionId(1), vec![])],
            dropped: vec![CollectionId(128)],
        };
        let mut body = Vec::new();
        frame.write(&mut body);
        let reader = FrameReader::new(&body).unwrap();
        assert_eq!(reader.timestamp, frame.timestamp);
        assert_eq!(reader.dropped, frame.dropped);
        assert_eq!(reader.positions.iter().map(|(id, bytes)| (*id, bytes.to_vec())).collect::<Vec<_>>(), frame.positions);
        let mut updates = Vec::new();
        let whole = reader.updates::<()>(|update| {
            updates.push((update.collection, Row::from_bytes(update.row), update.diff));
            Ok(())
        });
        assert_eq!(whole, Ok(Some(())));
        let expected: Vec<_> = frame.updates.iter().flat_map(|(id, rows)| rows.iter().map(|(row, diff)| (*id, row.clone(), *diff))).collect();
        assert_eq!(updates, expected);
        // No shorter body is a frame, and none of them panics.
        for length in 0..body.len() {
            let whole = FrameReader::new(&body[..length]).and_then(|reader| reader.updates::<()>(|_| Ok(())).unwrap());
            assert_eq!(whole, None, "of {length} bytes");
        }
    }
}

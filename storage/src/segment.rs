//! Segments: files of records, each record checked by itself.
//!
//! A record is a header of 24 bytes (three magic bytes and the kind; the body's length; the sequence number; the CRC-32 of what follows the header; the
//! CRC-32 of the header so far), the body, zeros up to a multiple of eight bytes, and eight bytes of trailer. Numbers are little-endian.
//!
//! # Torn, or broken
//! Only an append that nobody was told about may be cut off. It is the last thing in the newest segment, and it is unfinished in a way a crash can bring
//! about: the file ends within it, or one of the sectors it lies in was never written and reads as zeros. A record whose bytes are all there but do not
//! check out is damage, and so is anything with a record after it. Because records are aligned to eight bytes and begin and end with bytes that are not
//! zero, no flipped byte can make the first or last sector of a record look as if it had never been written.

use crate::disk::{DiskFile, SECTOR_BYTES};
use crate::frame::FrameReader;
use crate::header::{FileKind, HEADER_BYTES, little_endian_u32, little_endian_u64, read_header};
use crate::StorageError;
use repr::Timestamp;
use std::ops::Range;

/// The longest body of a record. A transaction is never split, so this holds what the buffers of transactions may hold (512 MiB unless a source asks for more),
/// each change with the row it replaces, and the length still fits its 32 bits.
pub const FRAME_BYTES_MAX: u64 = 2 << 30;

const RECORD_HEADER_BYTES: u64 = 24;
const TRAILER: [u8; 8] = *b"tideover";
/// How much is read at once where records are short.
const READ_BYTES: u64 = 1 << 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// The body is a frame's.
    Frame = 1,
    /// The body is a timestamp: those up to it may be given away.
    Reserve = 2,
    /// The body is the number of the next segment; this one is complete.
    Seal = 3,
}

fn magic(kind: RecordKind) -> [u8; 4] {
    [b't', b'm', b'r', kind as u8]
}

/// Makes `buffer` one record with the body that `write_body` appends to it. Returns the body's length, which the caller must check against
/// [`FRAME_BYTES_MAX`] before it writes the record anywhere.
pub(crate) fn write_record(buffer: &mut Vec<u8>, kind: RecordKind, sequence: u64, write_body: impl FnOnce(&mut Vec<u8>)) -> u64 {
    const HEADER: usize = RECORD_HEADER_BYTES as usize;
    buffer.clear();
    buffer.resize(HEADER, 0);
    write_body(buffer);
    let length = buffer.len() - HEADER;
    buffer.resize(buffer.len().next_multiple_of(8), 0);
    buffer.extend_from_slice(&TRAILER);
    let checksum = crc32fast::hash(&buffer[HEADER..]);
    buffer[..4].copy_from_slice(&magic(kind));
    buffer[4..8].copy_from_slice(&(length as u32).to_le_bytes());
    buffer[8..16].copy_from_slice(&sequence.to_le_bytes());
    buffer[16..20].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32fast::hash(&buffer[..20]);
    buffer[20..24].copy_from_slice(&checksum.to_le_bytes());
    length as u64
}

struct RecordHeader {
    magic: [u8; 4],
    length: u64,
    sequence: u64,
    checksum: u32,
}

impl RecordHeader {
    /// `None`: these are not the bytes of a header.
    fn read(bytes: &[u8]) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES as usize)?;
        if crc32fast::hash(&bytes[..20]) != little_endian_u32(&bytes[20..]) {
            return None;
        }
        Some(RecordHeader {
            magic: [bytes[0], bytes[1], bytes[2], bytes[3]],
            length: u64::from(little_endian_u32(&bytes[4..])),
            sequence: little_endian_u64(&bytes[8..]),
            checksum: little_endian_u32(&bytes[16..]),
        })
    }
    /// Bytes of the whole record.
    fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES + self.length.next_multiple_of(8) + TRAILER.len() as u64
    }
}

pub(crate) enum Record<'a> {
    Frame(FrameReader<'a>),
    Reserve(Timestamp),
    Seal { next_segment: u64 },
}

impl<'a> Record<'a> {
    fn decode(magic_found: [u8; 4], body: &'a [u8]) -> Option<Record<'a>> {
        let word = || (body.len() == 8).then(|| little_endian_u64(body));
        [RecordKind::Frame, RecordKind::Reserve, RecordKind::Seal].into_iter().find(|&kind| magic(kind) == magic_found).and_then(|kind| match kind {
            RecordKind::Frame => FrameReader::new(body).map(Record::Frame),
            RecordKind::Reserve => word().map(|until| Record::Reserve(Timestamp(until))),
            RecordKind::Seal => word().map(|next_segment| Record::Seal { next_segment }),
        })
    }
}

pub(crate) enum Next<'a> {
    /// A record and where it begins.
    Record(u64, Record<'a>),
    End,
    /// What begins here may be an append that did not finish.
    Torn(u64),
}

/// Reads a segment's records in order and checks all of it.
pub(crate) struct SegmentReader {
    pub path: String,
    file: Box<dyn DiskFile>,
    length: u64,
    offset: u64,
    /// The sequence number the next record must have.
    pub sequence: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl SegmentReader {
    /// Reads the first `length` bytes of the segment `number`, whose first record must be number `sequence`.
    pub fn new(path: String, file: Box<dyn DiskFile>, length: u64, number: u64, sequence: u64) -> Result<SegmentReader, StorageError> {
        let mut reader = SegmentReader { path, file, length, offset: HEADER_BYTES, sequence, window: Vec::new(), window_start: 0 };
        if length < HEADER_BYTES {
            return Err(reader.corrupted(length, format!("the file ends within its header of {HEADER_BYTES} bytes")));
        }
        let mut header = [0; HEADER_BYTES as usize];
        reader.file.read_at(0, &mut header).map_err(StorageError::io("read", &reader.path))?;
        let words = read_header(FileKind::Segment, &reader.path, &header)?;
        if words != [number, sequence, 0] {
            return Err(reader.corrupted(16, format!("the header says {words:?} and should say {:?}", [number, sequence, 0])));
        }
        reader.window_start = HEADER_BYTES;
        Ok(reader)
    }
    /// Where the next record begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }
    fn corrupted(&self, offset: u64, what: String) -> StorageError {
        StorageError::corrupted(&self.path, offset, what)
    }
    /// Where the bytes of `range` lie in the window, which is moved if they do not. The range must end within the file.
    fn window(&mut self, range: Range<u64>) -> Result<Range<usize>, StorageError> {
        if range.start < self.window_start || range.end > self.window_start + self.window.len() as u64 {
            let length = (range.end - range.start).max(READ_BYTES.min(self.length - range.start));
            self.window.resize(length as usize, 0);
            self.window_start = range.start;
            self.file.read_at(range.start, &mut self.window).map_err(StorageError::io("read", &self.path))?;
        }
        let start = (range.start - self.window_start) as usize;
        Ok(start..start + (range.end - range.start) as usize)
    }
    pub fn next(&mut self) -> Result<Next<'_>, StorageError> {
        let start = self.offset;
        if start == self.length {
            return Ok(Next::End);
        }
        if self.length - start < RECORD_HEADER_BYTES {
            return Ok(Next::Torn(start));
        }
        let range = self.window(start..start + RECORD_HEADER_BYTES)?;
        let Some(header) = RecordHeader::read(&self.window[range]) else {
            return self.bad_header(start);
        };
        if header.sequence != self.sequence || header.length > FRAME_BYTES_MAX {
            let what = format!("record {} of {} bytes is where record {} should be", header.sequence, header.length, self.sequence);
            return Err(self.corrupted(start, what));
        }
        let end = start + header.record_bytes();
        if end > self.length {
            return Ok(Next::Torn(start));
        }
        let range = self.window(start..end)?;
        let checked = range.start + RECORD_HEADER_BYTES as usize..range.end;
        let found = crc32fast::hash(&self.window[checked.clone()]);
        if found != header.checksum {
            if end == self.length && self.has_unwritten_sector(start..end, start..end)? {
                return Ok(Next::Torn(start));
            }
            return Err(self.corrupted(start, format!("the checksum of record {} is {found:08x} and should be {:08x}", self.sequence, header.checksum)));
        }
        self.offset = end;
        self.sequence += 1;
        match Record::decode(header.magic, &self.window[checked.start..checked.start + header.length as usize]) {
            Some(record) => Ok(Next::Record(start, record)),
            None => Err(StorageError::corrupted(&self.path, start, format!("record {} has a valid checksum and cannot be read", header.sequence))),
        }
    }
    /// The error for a record that turned out to be wrong inside.
    pub fn unreadable(&self, offset: u64) -> StorageError {
        self.corrupted(offset, "the updates of a frame with a valid checksum cannot be read".to_string())
    }
    fn bad_header(&mut self, start: u64) -> Result<Next<'_>, StorageError> {
        let what = format!("the header of record {} does not have its checksum", self.sequence);
        if !self.has_unwritten_sector(start..start + RECORD_HEADER_BYTES, start..self.length)? {
            return Err(self.corrupted(start, what));
        }
        // The header was never written. Then no later append can have been made either.
        let mut at = start;
        while at + RECORD_HEADER_BYTES <= self.length {
            let range = self.window(at..at + RECORD_HEADER_BYTES)?;
            if let Some(header) = RecordHeader::read(&self.window[range]).filter(|header| header.sequence > self.sequence) {
                return Err(self.corrupted(start, format!("{what}, and record {} follows at offset {at}", header.sequence)));
            }
            at += 8;
        }
        Ok(Next::Torn(start))
    }
    /// Whether one of the sectors that touch `touching` is all zeros in its part within `extent`.
    fn has_unwritten_sector(&mut self, touching: Range<u64>, extent: Range<u64>) -> Result<bool, StorageError> {
        let mut sector = touching.start / SECTOR_BYTES * SECTOR_BYTES;
        while sector < touching.end {
            let part = sector.max(extent.start)..(sector + SECTOR_BYTES).min(extent.end);
            let range = self.window(part)?;
            if self.window[range].iter().all(|&byte| byte == 0) {
                return Ok(true);
            }
            sector += SECTOR_BYTES;
        }
        Ok(false)
    }
}

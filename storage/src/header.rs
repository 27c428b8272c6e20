//! The first bytes of every file, and the names of files.
//!
//! All formats, also those to come, begin with these 40 bytes, so that any server can tell a file it is too old for from a broken one:
//! magic (8 bytes), format version (4), CRC-32 of the other fields (4), then three words of 8 bytes that depend on the kind of file. Little-endian.

use crate::{Disk, StorageError};

/// The format this server writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const HEADER_BYTES: u64 = 40;

/// The kinds of files with a header. (A part is an Arrow file and has Arrow's.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Words: its number, the sequence number of its first record, 0.
    Segment,
    /// Words: its generation, bytes of the body, CRC-32 of the body.
    Manifest,
}

impl FileKind {
    fn magic(self) -> [u8; 8] {
        match self {
            FileKind::Segment => *b"TideSegm",
            FileKind::Manifest => *b"TideMani",
        }
    }
}

fn checksum(header: &[u8; HEADER_BYTES as usize]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..12]);
    hasher.update(&header[16..]);
    hasher.finalize()
}

pub(crate) fn write_header(kind: FileKind, version: u32, words: [u64; 3]) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&kind.magic());
    header[8..12].copy_from_slice(&version.to_le_bytes());
    for (place, word) in header[16..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    let checksum = checksum(&header);
    header[12..16].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Checks the header of `file` and returns its words.
pub(crate) fn read_header(kind: FileKind, file: &str, header: &[u8; HEADER_BYTES as usize]) -> Result<[u64; 3], StorageError> {
    let (found, expected) = (little_endian_u32(&header[12..]), checksum(header));
    if found != expected {
        return Err(StorageError::corrupted(file, 0, format!("the header's checksum is {found:08x} and should be {expected:08x}")));
    }
    if header[..8] != kind.magic() {
        return Err(StorageError::corrupted(file, 0, "this is another kind of file"));
    }
    let version = little_endian_u32(&header[8..]);
    if version > FORMAT_VERSION {
        return Err(StorageError::Format { found: version, supported: FORMAT_VERSION });
    }
    Ok([16, 24, 32].map(|at| little_endian_u64(&header[at..])))
}

/// The first four bytes, of which there must be so many.
pub(crate) fn little_endian_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// The first eight bytes, of which there must be so many.
pub(crate) fn little_endian_u64(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

pub(crate) const SEGMENT_PREFIX: &str = "segment-";
pub(crate) const MANIFEST_PREFIX: &str = "manifest-";
pub(crate) const PART_PREFIX: &str = "part-";
/// A compaction's scratch: of no use to anybody after a crash.
pub(crate) const RUN_PREFIX: &str = "run-";
/// A manifest that has not got its name yet.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// File names sort as their numbers do.
pub(crate) fn file_name(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:016x}")
}

/// The number in the name of a file of that kind.
pub(crate) fn file_number(prefix: &str, name: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (file_name(prefix, number) == name).then_some(number)
}

/// What to call a file in messages.
pub(crate) fn path(disk: &dyn Disk, name: &str) -> String {
    format!("{}/{name}", disk.name())
}

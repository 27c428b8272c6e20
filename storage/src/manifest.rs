//! The manifest: which files the log consists of, as of its newest compaction.
//!
//! A manifest never changes. The next one has the next generation and gets its name once all it speaks of is durable, so the newest name is the truth,
//! and everything it does not speak of is left over from a compaction that did not finish or from the generation before.

use crate::header::{FORMAT_VERSION, FileKind, HEADER_BYTES, MANIFEST_PREFIX, TEMPORARY_SUFFIX, file_name, path, read_header, write_header};
use crate::part::Part;
use crate::{Disk, StorageError};
use repr::{CollectionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub generation: u64,
    /// The time of the parts: every frame up to it is in them, no frame after it is.
    pub since: Timestamp,
    /// Timestamps up to this one may have been given away.
    pub reserved: Timestamp,
    /// The first segment that is still needed, and the sequence number of its first record.
    pub first_segment: u64,
    pub first_sequence: u64,
    /// The sources' resume states at `since`.
    pub positions: BTreeMap<CollectionId, Vec<u8>>,
    /// Each collection's contents at `since`, in order of rows; empty ones are not listed.
    pub collections: BTreeMap<CollectionId, Vec<Part>>,
}

impl Manifest {
    /// The manifest of a log without frames.
    pub fn empty() -> Manifest {
        Manifest {
            generation: 1,
            since: Timestamp::MIN,
            reserved: Timestamp::MIN,
            first_segment: 1,
            first_sequence: 1,
            positions: BTreeMap::new(),
            collections: BTreeMap::new(),
        }
    }
    pub fn name(&self) -> String {
        file_name(MANIFEST_PREFIX, self.generation)
    }
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.collections.values().flatten()
    }
    pub fn parts_bytes(&self) -> u64 {
        self.parts().map(|part| part.length_bytes).sum()
    }
    /// Makes the manifest the newest one. The names of all files it speaks of must be durable.
    pub fn install(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let name = self.name();
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let temporary_path = path(disk, &temporary);
        // Only a type that cannot be written at all fails here.
        let body = postcard::to_stdvec(self).map_err(|error| StorageError::corrupted(&temporary_path, 0, error.to_string()))?;
        let words = [self.generation, body.len() as u64, u64::from(crc32fast::hash(&body))];
        let mut bytes = write_header(FileKind::Manifest, FORMAT_VERSION, words).to_vec();
        bytes.extend_from_slice(&body);
        let mut file = disk.create(&temporary).map_err(StorageError::write(&temporary_path))?;
        file.append(&bytes).map_err(StorageError::write(&temporary_path))?;
        file.sync().map_err(StorageError::io("fsync", &temporary_path))?;
        disk.rename(&temporary, &name).map_err(StorageError::write(&temporary_path))?;
        disk.sync_directory().map_err(StorageError::io("fsync", &disk.name()))
    }
    pub fn read(disk: &dyn Disk, generation: u64) -> Result<Manifest, StorageError> {
        let name = file_name(MANIFEST_PREFIX, generation);
        let file_path = path(disk, &name);
        let file = disk.open(&name).map_err(StorageError::open(&file_path))?;
        let length = file.length().map_err(StorageError::io("read", &file_path))?;
        if length < HEADER_BYTES {
            return Err(StorageError::corrupted(&file_path, length, format!("the file ends within its header of {HEADER_BYTES} bytes")));
        }
        let mut header = [0; HEADER_BYTES as usize];
        file.read_at(0, &mut header).map_err(StorageError::io("read", &file_path))?;
        let [found_generation, body_bytes, checksum] = read_header(FileKind::Manifest, &file_path, &header)?;
        if found_generation != generation {
            return Err(StorageError::corrupted(&file_path, 16, format!("the header says generation {found_generation}")));
        }
        if Some(length) != HEADER_BYTES.checked_add(body_bytes) {
            let what = format!("the file has {length} bytes and should have {}", HEADER_BYTES.saturating_add(body_bytes));
            return Err(StorageError::corrupted(&file_path, length, what));
        }
        let mut body = vec![0; body_bytes as usize];
        file.read_at(HEADER_BYTES, &mut body).map_err(StorageError::io("read", &file_path))?;
        let found = crc32fast::hash(&body);
        if u64::from(found) != checksum {
            return Err(StorageError::corrupted(&file_path, HEADER_BYTES, format!("the body's checksum is {found:08x} and should be {checksum:08x}")));
        }
        postcard::from_bytes(&body).map_err(|error| StorageError::corrupted(&file_path, HEADER_BYTES, format!("the body cannot be read: {error}")))
    }
}

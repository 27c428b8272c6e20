//! Finding out at start what is there: which files, whether they check out, and what they say besides rows.

use crate::disk::{DiskFile, SECTOR_BYTES};
use crate::header::{HEADER_BYTES, MANIFEST_PREFIX, PART_PREFIX, RUN_PREFIX, SEGMENT_PREFIX, TEMPORARY_SUFFIX, file_name, file_number, path};
use crate::manifest::Manifest;
use crate::part::check_present;
use crate::segment::{Next, Record, SegmentReader};
use crate::{Disk, StorageError};
use repr::{CollectionId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

// A segment's header must be in one sector: then it is there or it is not.
const _: () = assert!(HEADER_BYTES <= SECTOR_BYTES);

/// What was found at start. Contents are streamed by [`crate::Log::replay`].
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The newest resume state of each source.
    pub positions: BTreeMap<CollectionId, Vec<u8>>,
    /// Contents at `since` come from the snapshot parts; every frame after it follows.
    pub since: Timestamp,
    /// Every timestamp below this one is closed; the clock resumes at or after it (the reservation included).
    pub upper: Timestamp,
    /// Timestamp of the last frame.
    pub last: Timestamp,
    /// Frames that are still in segments.
    pub frames: u64,
    /// Bytes of an unfinished append that were cut off.
    pub torn_bytes: u64,
}

/// A segment nobody appends to any more.
#[derive(Clone, Debug)]
pub(crate) struct SealedSegment {
    pub number: u64,
    pub first_sequence: u64,
    pub length: u64,
    /// Timestamp of its last frame, if it has one.
    pub last: Option<Timestamp>,
}

/// The newest segment.
pub(crate) struct CurrentSegment {
    pub number: u64,
    pub first_sequence: u64,
    pub length: u64,
    pub last: Option<Timestamp>,
    pub path: String,
    pub file: Box<dyn DiskFile>,
}

/// The state of a log that has been checked and is ready for appends.
pub(crate) struct Found {
    pub manifest: Manifest,
    pub sealed: VecDeque<SealedSegment>,
    pub current: CurrentSegment,
    /// The sequence number of the next record.
    pub sequence: u64,
    pub last: Timestamp,
    pub reserved: Timestamp,
    /// Collections that ended after the manifest's `since`, and when.
    pub dropped: BTreeMap<CollectionId, Timestamp>,
    pub next_part: u64,
    pub recovery: Recovery,
}

struct Files {
    manifests: BTreeSet<u64>,
    segments: BTreeSet<u64>,
    parts: BTreeSet<u64>,
    /// Of no use after a crash.
    scratch: Vec<String>,
}

fn list(disk: &dyn Disk) -> Result<Files, StorageError> {
    let mut files = Files { manifests: BTreeSet::new(), segments: BTreeSet::new(), parts: BTreeSet::new(), scratch: Vec::new() };
    for name in disk.list().map_err(StorageError::io("list", &disk.name()))? {
        if let Some(number) = file_number(MANIFEST_PREFIX, &name) {
            files.manifests.insert(number);
        } else if let Some(number) = file_number(SEGMENT_PREFIX, &name) {
            files.segments.insert(number);
        } else if let Some(number) = file_number(PART_PREFIX, &name) {
            files.parts.insert(number);
        } else if file_number(RUN_PREFIX, &name).is_some() || (name.starts_with(MANIFEST_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)) {
            files.scratch.push(name);
        }
    }
    Ok(files)
}

/// A file that is gone already is as good.
pub(crate) fn remove(disk: &dyn Disk, name: &str) -> Result<(), StorageError> {
    match disk.remove(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StorageError::io("remove", &path(disk, name))(error)),
        _ => Ok(()),
    }
}

pub(crate) fn create_segment(disk: &dyn Disk, number: u64, first_sequence: u64) -> Result<CurrentSegment, StorageError> {
    let name = file_name(SEGMENT_PREFIX, number);
    let path = path(disk, &name);
    let mut file = disk.create(&name).map_err(StorageError::write(&path))?;
    let header = crate::header::write_header(crate::header::FileKind::Segment, crate::FORMAT_VERSION, [number, first_sequence, 0]);
    file.append(&header).map_err(StorageError::write(&path))?;
    file.sync().map_err(StorageError::io("fsync", &path))?;
    disk.sync_directory().map_err(StorageError::io("fsync", &disk.name()))?;
    Ok(CurrentSegment { number, first_sequence, length: HEADER_BYTES, last: None, path, file })
}

/// What the scan of one segment learned.
struct Scanned {
    length: u64,
    last: Option<Timestamp>,
    next_segment: Option<u64>,
    torn: bool,
}

/// Checks everything in the directory, takes away what a crash left behind, and makes an empty log if there is none.
pub(crate) fn recover(disk: &dyn Disk) -> Result<Found, StorageError> {
    let mut files = list(disk)?;
    let manifest = match files.manifests.last() {
        Some(&generation) => Manifest::read(disk, generation)?,
        None => create(disk, &mut files)?,
    };
    for part in manifest.parts() {
        check_present(disk, PART_PREFIX, part)?;
    }
    let mut state = State {
        last: manifest.since,
        reserved: manifest.reserved,
        sequence: manifest.first_sequence,
        positions: manifest.positions.clone(),
        dropped: BTreeMap::new(),
        frames: 0,
    };
    let mut sealed: VecDeque<SealedSegment> = VecDeque::new();
    let mut torn_bytes = 0;
    let mut number = manifest.first_segment;
    let mut current = loop {
        let first_sequence = state.sequence;
        let name = file_name(SEGMENT_PREFIX, number);
        let path = path(disk, &name);
        let open = || disk.open(&name).map_err(StorageError::open(&path));
        let file_bytes = open()?.length().map_err(StorageError::io("read", &path))?;
        let mut reader = SegmentReader::new(path.clone(), open()?, file_bytes, number, first_sequence)?;
        let scanned = scan(&mut reader, &mut state)?;
        if let Some(next) = scanned.next_segment {
            if next != number + 1 || scanned.length != file_bytes {
                return Err(StorageError::corrupted(&path, scanned.length, "the segment goes on after its end"));
            }
            sealed.push_back(SealedSegment { number, first_sequence, length: file_bytes, last: scanned.last });
            number = next;
            continue;
        }
        // This is the newest segment, unless a later one has something in it.
        if let Some(&later) = files.segments.range(number + 1..).next() {
            let later_path = crate::header::path(disk, &file_name(SEGMENT_PREFIX, later));
            let later_file = disk.open(&file_name(SEGMENT_PREFIX, later)).map_err(StorageError::open(&later_path))?;
            if later > number + 1 || later_file.length().map_err(StorageError::io("read", &later_path))? > HEADER_BYTES {
                return Err(StorageError::corrupted(&path, scanned.length, format!("the segment ends here, and yet there is file \"{later_path}\"")));
            }
            // The switch to the next segment was not finished.
            remove(disk, &file_name(SEGMENT_PREFIX, later))?;
        }
        let mut file = open()?;
        if scanned.torn {
            torn_bytes = file_bytes - scanned.length;
            tracing::warn!(file = path, offset = scanned.length, bytes = torn_bytes, "cutting off an append that did not finish");
            file.truncate(scanned.length).map_err(StorageError::io("truncate", &path))?;
            file.sync().map_err(StorageError::io("fsync", &path))?;
        }
        break CurrentSegment { number, first_sequence, length: scanned.length, last: scanned.last, path, file };
    };
    // What was found may have been written and not synced by a process that was killed. What is built on it, and what is removed because of it, must not
    // be more durable than it.
    if let Some(segment) = sealed.back() {
        let name = file_name(SEGMENT_PREFIX, segment.number);
        let path = path(disk, &name);
        disk.open(&name).map_err(StorageError::open(&path))?.sync().map_err(StorageError::io("fsync", &path))?;
    }
    current.file.sync().map_err(StorageError::io("fsync", &current.path))?;
    disk.sync_directory().map_err(StorageError::io("fsync", &disk.name()))?;
    remove_leftovers(disk, &files, &manifest)?;
    state.positions.retain(|id, _| !state.dropped.contains_key(id));
    let upper = match state.last.max(state.reserved) {
        Timestamp::MIN => Timestamp::MIN,
        last => last.next(),
    };
    let recovery = Recovery { positions: state.positions, since: manifest.since, upper, last: state.last, frames: state.frames, torn_bytes };
    Ok(Found {
        next_part: files.parts.last().copied().max(manifest.parts().map(|part| part.number).max()).map_or(1, |number| number + 1),
        manifest,
        sealed,
        current,
        sequence: state.sequence,
        last: state.last,
        reserved: state.reserved,
        dropped: state.dropped,
        recovery,
    })
}

/// The directory has no manifest: then it must be new, or as it is when the making of the first one did not finish.
fn create(disk: &dyn Disk, files: &mut Files) -> Result<Manifest, StorageError> {
    let manifest = Manifest::empty();
    let missing = |beside: String| {
        let what = format!("the file is missing, though there is file \"{beside}\"");
        StorageError::corrupted(&path(disk, &file_name(MANIFEST_PREFIX, manifest.generation)), 0, what)
    };
    if let Some(&part) = files.parts.first() {
        return Err(missing(path(disk, &file_name(PART_PREFIX, part))));
    }
    for number in std::mem::take(&mut files.segments) {
        let name = file_name(SEGMENT_PREFIX, number);
        let path = path(disk, &name);
        let length = disk.open(&name).and_then(|file| file.length()).map_err(StorageError::io("read", &path))?;
        if number != manifest.first_segment || length > HEADER_BYTES {
            return Err(missing(path));
        }
    }
    create_segment(disk, manifest.first_segment, manifest.first_sequence)?;
    manifest.install(disk)?;
    files.segments.insert(manifest.first_segment);
    Ok(manifest)
}

fn remove_leftovers(disk: &dyn Disk, files: &Files, manifest: &Manifest) -> Result<(), StorageError> {
    let used: BTreeSet<u64> = manifest.parts().map(|part| part.number).collect();
    let manifests = files.manifests.iter().filter(|&&generation| generation != manifest.generation).map(|&number| file_name(MANIFEST_PREFIX, number));
    let segments = files.segments.range(..manifest.first_segment).map(|&number| file_name(SEGMENT_PREFIX, number));
    let parts = files.parts.difference(&used).map(|&number| file_name(PART_PREFIX, number));
    for name in files.scratch.iter().cloned().chain(manifests).chain(segments).chain(parts) {
        remove(disk, &name)?;
    }
    Ok(())
}

/// What the records say, added up.
struct State {
    last: Timestamp,
    reserved: Timestamp,
    sequence: u64,
    positions: BTreeMap<CollectionId, Vec<u8>>,
    dropped: BTreeMap<CollectionId, Timestamp>,
    frames: u64,
}

fn scan(reader: &mut SegmentReader, state: &mut State) -> Result<Scanned, StorageError> {
    let mut scanned = Scanned { length: HEADER_BYTES, last: None, next_segment: None, torn: false };
    let path = reader.path.clone();
    loop {
        scanned.length = reader.offset();
        match reader.next()? {
            Next::End => break,
            Next::Torn(_) => {
                scanned.torn = true;
                break;
            }
            Next::Record(offset, Record::Frame(frame)) => {
                if frame.timestamp <= state.last {
                    let what = format!("a frame of time {} follows one of time {}", frame.timestamp, state.last);
                    return Err(StorageError::corrupted(&path, offset, what));
                }
                state.last = frame.timestamp;
                state.frames += 1;
                state.positions.extend(frame.positions.iter().map(|(id, position)| (*id, position.to_vec())));
                state.dropped.extend(frame.dropped.iter().map(|id| (*id, frame.timestamp)));
                scanned.last = Some(frame.timestamp);
            }
            Next::Record(_, Record::Reserve(until)) => state.reserved = state.reserved.max(until),
            Next::Record(_, Record::Seal { next_segment }) => {
                scanned.next_segment = Some(next_segment);
                scanned.length = reader.offset();
                break;
            }
        }
    }
    state.sequence = reader.sequence;
    Ok(scanned)
}

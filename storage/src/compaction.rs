//! Compaction: history up to a time becomes one sorted snapshot per collection, and its frames go.
//!
//! # What it promises
//! * The log means the same before, during and after it, whatever moment a crash picks. It reads only files that nobody changes, writes parts under new
//!   names, and the new manifest is what makes them count; only when that is durable, and the [`crate::Log`] has taken notice, are files removed.
//! * Each row once, with the sum of its diffs; zeros vanish and negative sums do not. Dropped collections vanish. Collections without changes keep their
//!   parts, which are not even read.
//! * Memory is bounded by [`crate::LogOptions::compact_memory_bytes_max`] and a batch per input, however large a collection is: what does not fit is
//!   sorted piece by piece and merged.
//!
//! # Disk
//! It starts when the frames outweigh the parts, so that each byte is rewritten a bounded number of times and the frames that wait are never more than the
//! parts or the minimum. While it runs, the old and the new parts are both there.

use crate::header::{PART_PREFIX, RUN_PREFIX, SEGMENT_PREFIX, file_name, path};
use crate::manifest::Manifest;
use crate::merge::{Input, Run, RunBuffer, merge};
use crate::part::{PartNumbers, PartStore};
use crate::recovery::SealedSegment;
use crate::segment::{Next, Record, SegmentReader};
use crate::{Disk, LogOptions, StorageError};
use repr::{CollectionId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many runs are merged at once; when there are as many, they become one.
const RUNS_MAX: usize = 8;

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionReport {
    /// The new time of the parts.
    pub since: Timestamp,
    pub frames: u64,
    /// Runs that did not fit in memory.
    pub runs_spilled: u64,
    /// Bytes of frames that became needless.
    pub segment_bytes_freed: u64,
    pub parts_bytes_before: u64,
    pub parts_bytes_after: u64,
    /// Rows in the parts now.
    pub rows: u64,
}

/// A compaction to be run, on any thread. It owns what it needs.
pub(crate) struct Compaction {
    pub disk: Arc<dyn Disk>,
    pub options: LogOptions,
    pub old: Manifest,
    /// The first segments of the log, all sealed.
    pub segments: Vec<SealedSegment>,
    /// The segment after them.
    pub first_segment: u64,
    pub first_sequence: u64,
    pub reserved: Timestamp,
    /// Collections known to have ended.
    pub dropped: BTreeSet<CollectionId>,
    pub next_part: u64,
}

/// The new manifest is durable.
#[derive(Debug)]
pub(crate) struct Compacted {
    pub manifest: Manifest,
    pub next_part: u64,
    pub report: CompactionReport,
}

/// Called often; an error ends the compaction with it.
pub(crate) type Pulse<'a> = dyn FnMut() -> Result<(), StorageError> + 'a;

struct Progress {
    manifest: Manifest,
    part_numbers: PartNumbers,
    run_numbers: PartNumbers,
    runs: Vec<Run>,
    buffer: RunBuffer,
    frames: u64,
    runs_spilled: u64,
}

impl Compaction {
    pub fn run(mut self, pulse: &mut Pulse<'_>) -> Result<Compacted, StorageError> {
        let mut progress = Progress {
            manifest: Manifest {
                generation: self.old.generation + 1,
                since: self.segments.iter().filter_map(|segment| segment.last).max().unwrap_or(self.old.since),
                reserved: self.reserved,
                first_segment: self.first_segment,
                first_sequence: self.first_sequence,
                positions: self.old.positions.clone(),
                collections: BTreeMap::new(),
            },
            part_numbers: PartNumbers { next: self.next_part },
            run_numbers: PartNumbers { next: 1 },
            runs: Vec::new(),
            buffer: RunBuffer::default(),
            frames: 0,
            runs_spilled: 0,
        };
        let result = self.prepare(&mut progress, pulse);
        // Runs are read up, or of no use.
        self.remove_numbered(RUN_PREFIX, 1..progress.run_numbers.next);
        let parts = self.next_part..progress.part_numbers.next;
        if let Err(error) = result {
            // Nothing speaks of these parts yet.
            self.remove_numbered(PART_PREFIX, parts);
            return Err(error);
        }
        let manifest = progress.manifest;
        match manifest.install(&*self.disk) {
            Ok(()) => {}
            // It did not get its name. After any other error it may have it, and then the parts count.
            Err(full @ StorageError::DiskFull { .. }) => {
                self.remove_numbered(PART_PREFIX, parts);
                return Err(full);
            }
            Err(error) => return Err(error),
        }
        let report = CompactionReport {
            since: manifest.since,
            frames: progress.frames,
            runs_spilled: progress.runs_spilled,
            segment_bytes_freed: self.segments.iter().map(|segment| segment.length).sum(),
            parts_bytes_before: self.old.parts_bytes(),
            parts_bytes_after: manifest.parts_bytes(),
            rows: manifest.parts().map(|part| part.rows).sum(),
        };
        Ok(Compacted { manifest, next_part: progress.part_numbers.next, report })
    }

    /// All but the manifest.
    fn prepare(&mut self, progress: &mut Progress, pulse: &mut Pulse<'_>) -> Result<(), StorageError> {
        for segment in std::mem::take(&mut self.segments) {
            self.gather(&segment, progress, pulse)?;
            self.segments.push(segment);
        }
        progress.buffer.sort();
        let dropped = &self.dropped;
        progress.manifest.positions.retain(|id, _| !dropped.contains(id));
        let changed: BTreeSet<CollectionId> = progress.buffer.collections().chain(progress.runs.iter().flat_map(|run| run.keys().copied())).collect();
        let all: BTreeSet<CollectionId> = changed.iter().copied().chain(self.old.collections.keys().copied()).collect();
        let store = self.store(PART_PREFIX, true);
        for id in all.difference(&self.dropped).copied() {
            let old_parts = self.old.collections.get(&id).map(Vec::as_slice).unwrap_or_default();
            let parts = if changed.contains(&id) {
                let mut inputs = vec![Input::parts(store, old_parts)?];
                for run in &progress.runs {
                    inputs.push(Input::parts(self.store(RUN_PREFIX, false), run.get(&id).map(Vec::as_slice).unwrap_or_default())?);
                }
                inputs.push(Input::Buffer(progress.buffer.reader(id)));
                merge(inputs, store, &mut progress.part_numbers, pulse)?
            } else {
                old_parts.to_vec()
            };
            if !parts.is_empty() {
                progress.manifest.collections.insert(id, parts);
            }
            pulse()?;
        }
        // The names of the parts, before a manifest speaks of them.
        self.disk.sync_directory().map_err(StorageError::io("fsync", &self.disk.name()))
    }

    /// Reads one segment's frames into the buffer.
    fn gather(&self, segment: &SealedSegment, progress: &mut Progress, pulse: &mut Pulse<'_>) -> Result<(), StorageError> {
        let name = file_name(SEGMENT_PREFIX, segment.number);
        let path = path(&*self.disk, &name);
        let file = self.disk.open(&name).map_err(StorageError::open(&path))?;
        let mut reader = SegmentReader::new(path.clone(), file, segment.length, segment.number, segment.first_sequence)?;
        loop {
            match reader.next()? {
                Next::End => return Ok(()),
                Next::Torn(offset) => return Err(StorageError::corrupted(&path, offset, "the record is not whole")),
                Next::Record(offset, Record::Frame(frame)) => {
                    progress.frames += 1;
                    progress.manifest.positions.extend(frame.positions.iter().map(|(id, position)| (*id, position.to_vec())));
                    let whole = frame.updates(|update| {
                        if !self.dropped.contains(&update.collection) {
                            progress.buffer.push(update.collection, update.row, update.diff);
                            if progress.buffer.bytes() >= self.options.compact_memory_bytes_max {
                                self.spill(progress, pulse)?;
                            }
                        }
                        Ok(())
                    })?;
                    if whole.is_none() {
                        return Err(reader.unreadable(offset));
                    }
                }
                Next::Record(..) => {}
            }
            pulse()?;
        }
    }

    /// Makes the buffer a run on disk.
    fn spill(&self, progress: &mut Progress, pulse: &mut Pulse<'_>) -> Result<(), StorageError> {
        let Progress { buffer, runs, run_numbers, .. } = progress;
        let store = self.store(RUN_PREFIX, false);
        buffer.sort();
        let mut run = Run::new();
        for id in buffer.collections() {
            run.insert(id, merge(vec![Input::Buffer(buffer.reader(id))], store, run_numbers, pulse)?);
        }
        buffer.clear();
        runs.push(run);
        progress.runs_spilled += 1;
        if runs.len() < RUNS_MAX {
            return Ok(());
        }
        let mut merged = Run::new();
        let ids: BTreeSet<CollectionId> = runs.iter().flat_map(|run| run.keys().copied()).collect();
        for id in ids {
            let inputs: Result<Vec<Input<'_>>, StorageError> = runs.iter().filter_map(|run| run.get(&id)).map(|parts| Input::parts(store, parts)).collect();
            merged.insert(id, merge(inputs?, store, run_numbers, pulse)?);
        }
        for part in runs.drain(..).flat_map(Run::into_values).flatten() {
            crate::recovery::remove(&*self.disk, &file_name(RUN_PREFIX, part.number))?;
        }
        runs.push(merged);
        Ok(())
    }

    fn store(&self, prefix: &'static str, durable: bool) -> PartStore<'_> {
        PartStore { disk: &*self.disk, prefix, part_bytes_max: self.options.part_bytes_max, durable }
    }

    /// Removes files that may be there; what stays is removed at the next start.
    fn remove_numbered(&self, prefix: &str, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let _ = self.disk.remove(&file_name(prefix, number));
        }
    }
}

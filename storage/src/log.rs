//! The log: appended by one writer, replayed at start.

use crate::clock::{RESERVATION_AHEAD_MILLIS, RESERVATION_MILLIS};
use crate::compaction::{Compacted, Compaction, CompactionReport};
use crate::disk::LockError;
use crate::header::{HEADER_BYTES, PART_PREFIX, SEGMENT_PREFIX, file_name};
use crate::manifest::Manifest;
use crate::part::{PartStore, PartsReader};
use crate::recovery::{CurrentSegment, Found, SealedSegment, create_segment, recover, remove};
use crate::segment::{FRAME_BYTES_MAX, Next, Record, RecordKind, SegmentReader, write_record};
use crate::{Disk, Frame, Recovery, StorageError};
use repr::{CollectionId, Diff, Row, Timestamp};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

/// Limits and sizes; every field has a default that production uses.
#[derive(Clone, Debug)]
pub struct LogOptions {
    pub segment_bytes_max: u64,
    /// Compaction starts when the frames not yet in parts exceed this and exceed the size of the parts.
    pub compact_bytes_min: u64,
    /// What a compaction sorts in memory at once; the rest goes through scratch files.
    pub compact_memory_bytes_max: u64,
    /// A part ends when its rows have so many bytes, before compression.
    pub part_bytes_max: u64,
    /// A longer frame is refused; at most [`FRAME_BYTES_MAX`], which is what can be read.
    pub frame_bytes_max: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes_max: 32 << 20, compact_bytes_min: 64 << 20, compact_memory_bytes_max: 64 << 20, part_bytes_max: 16 << 20, frame_bytes_max: FRAME_BYTES_MAX }
    }
}

/// Rows handed to a visitor of [`Log::replay`] at once.
pub const REPLAY_ROWS_MAX: usize = 8192;
/// A buffer that one large frame has made larger than this is given back.
const BUFFER_BYTES_KEPT_MAX: usize = 4 << 20;

/// The log of one data directory. Dropping it ends a running compaction and waits for that.
pub struct Log {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    manifest: Manifest,
    /// Segments before the current one, oldest first.
    sealed: VecDeque<SealedSegment>,
    current: CurrentSegment,
    /// The sequence number of the next record.
    sequence: u64,
    last: Timestamp,
    reserved: Timestamp,
    /// Collections that ended after the manifest's `since`, and when.
    dropped: BTreeMap<CollectionId, Timestamp>,
    next_part: u64,
    buffer: Vec<u8>,
    /// Why no append is possible any more.
    stopped: Option<String>,
    compaction: Background,
    counters: Counters,
    _lock: Box<dyn Any + Send + Sync>,
}

#[derive(Default)]
struct Counters {
    frames_appended: u64,
    bytes_appended: u64,
    compactions: u64,
    last_compaction: Option<CompactionReport>,
}

/// The compaction's thread, if there is one.
#[derive(Default)]
struct Background {
    running: Option<Running>,
    /// An error the caller has not been told yet.
    failure: Option<StorageError>,
    /// After a full disk: not before so many bytes have been appended.
    retry_at_bytes: u64,
    /// An error that trying again does not heal.
    broken: Option<String>,
}

struct Running {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    /// `None` once the result was taken; then the thread removes files.
    result: Option<Receiver<Result<Compacted, StorageError>>>,
    /// Names of files that are not needed any more.
    leftovers: Option<Sender<Vec<String>>>,
}

impl Log {
    /// Opens (or creates) the log in `directory` of `disk`, checks it, cuts off a torn tail.
    ///
    /// All frames are checked here; parts are checked for presence and length, and the rest of them when [`Log::replay`] reads them.
    pub fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<(Log, Recovery), StorageError> {
        let lock = disk.lock().map_err(|error| match error {
            LockError::Held { pid } => StorageError::Locked { directory: disk.name(), pid },
            LockError::Io(source) => StorageError::Io { operation: "lock", file: disk.name(), source },
        })?;
        let Found { manifest, sealed, current, sequence, last, reserved, dropped, next_part, recovery } = recover(&*disk)?;
        let log = Log {
            disk,
            options,
            manifest,
            sealed,
            current,
            sequence,
            last,
            reserved,
            dropped,
            next_part,
            buffer: Vec::new(),
            stopped: None,
            compaction: Background::default(),
            counters: Counters::default(),
            _lock: lock,
        };
        Ok((log, recovery))
    }

    /// Streams the live collections: first each snapshot part's rows (all at `since`), then the frames' updates in order of time, in batches.
    ///
    /// A batch has at most [`REPLAY_ROWS_MAX`] rows of one collection at one time, so several batches may have the same. Collections that were dropped at
    /// any time do not appear. After an error what was visited must not be used.
    pub fn replay(&self, visit: &mut dyn FnMut(CollectionId, Timestamp, Vec<(Row, Diff)>)) -> Result<(), StorageError> {
        let mut batches = Batches { visit, dropped: &self.dropped, collection: CollectionId::CATALOG, time: self.manifest.since, rows: Vec::new() };
        let store = PartStore { disk: &*self.disk, prefix: PART_PREFIX, part_bytes_max: self.options.part_bytes_max, durable: true };
        for (id, parts) in self.manifest.collections.iter().filter(|(id, _)| !self.dropped.contains_key(id)) {
            let mut reader = PartsReader::new(store, parts)?;
            while let Some((row, diff)) = reader.peek() {
                batches.push(*id, self.manifest.since, row, diff);
                reader.advance()?;
            }
        }
        let current = (self.current.number, self.current.first_sequence, self.current.length);
        let sealed = self.sealed.iter().map(|segment| (segment.number, segment.first_sequence, segment.length));
        for (number, first_sequence, length) in sealed.chain([current]) {
            let name = file_name(SEGMENT_PREFIX, number);
            let path = crate::header::path(&*self.disk, &name);
            let file = self.disk.open(&name).map_err(StorageError::open(&path))?;
            let mut reader = SegmentReader::new(path.clone(), file, length, number, first_sequence)?;
            loop {
                match reader.next()? {
                    Next::End => break,
                    Next::Torn(offset) => return Err(StorageError::corrupted(&path, offset, "the record is not whole")),
                    Next::Record(offset, Record::Frame(frame)) => {
                        let push = |update: crate::frame::UpdateRef<'_>| {
                            batches.push(update.collection, frame.timestamp, update.row, update.diff);
                            Ok::<(), StorageError>(())
                        };
                        if frame.updates(push)?.is_none() {
                            return Err(reader.unreadable(offset));
                        }
                    }
                    Next::Record(..) => {}
                }
            }
        }
        batches.flush();
        Ok(())
    }

    /// Makes the frame durable. On `DiskFull` and `TooLarge` nothing happened and the log goes on; every other error is final.
    ///
    /// Panics if the frame's time is not after that of the last one: a log whose order is wrong must not be written.
    pub fn append(&mut self, frame: &Frame) -> Result<(), StorageError> {
        assert!(frame.timestamp > self.last, "a frame of time {} after one of time {}", frame.timestamp, self.last);
        self.poll_compaction();
        if self.current.length >= self.options.segment_bytes_max {
            self.roll()?;
        }
        self.write(RecordKind::Frame, |buffer| frame.write(buffer))?;
        self.last = frame.timestamp;
        self.current.last = Some(frame.timestamp);
        self.dropped.extend(frame.dropped.iter().map(|id| (*id, frame.timestamp)));
        self.counters.frames_appended += 1;
        Ok(())
    }

    /// Makes it durable that timestamps up to `until` may be given away: after a restart the clock resumes after it. Less than what is reserved already
    /// does nothing. Errors are those of [`Log::append`].
    pub fn reserve(&mut self, until: Timestamp) -> Result<(), StorageError> {
        if until <= self.reserved {
            return Ok(());
        }
        assert!(until < Timestamp::MAX, "the end of time cannot be reserved");
        self.write(RecordKind::Reserve, |buffer| buffer.extend_from_slice(&until.0.to_le_bytes()))?;
        self.reserved = until;
        Ok(())
    }

    /// To be called before `timestamp` is shown to anybody without a frame of that time. Reserves the next [`RESERVATION_MILLIS`] when half of the
    /// last ones are used up, and so writes once in several seconds at most. On success `timestamp` is reserved.
    pub fn ensure_reserved(&mut self, timestamp: Timestamp, now: Timestamp) -> Result<(), StorageError> {
        // A clock that is ahead of the system's goes on by a millisecond a tick, so little lasts long; and a start after a kill goes on after all of it.
        let reach = if timestamp > now { RESERVATION_AHEAD_MILLIS } else { RESERVATION_MILLIS };
        if timestamp.0.saturating_add(reach / 2) <= self.reserved.0 {
            return Ok(());
        }
        match self.reserve(Timestamp(timestamp.0.saturating_add(reach))) {
            // There is still time to find room.
            Err(StorageError::DiskFull { .. }) if timestamp <= self.reserved => Ok(()),
            result => result,
        }
    }

    /// The greatest reserved timestamp.
    pub fn reserved(&self) -> Timestamp {
        self.reserved
    }

    /// Bytes on disk: (segments, parts).
    pub fn size_bytes(&self) -> (u64, u64) {
        let sealed: u64 = self.sealed.iter().map(|segment| segment.length).sum();
        (sealed + self.current.length, self.manifest.parts_bytes())
    }
    /// Frames appended since the start.
    pub fn frames_appended(&self) -> u64 {
        self.counters.frames_appended
    }
    /// Bytes of records appended since the start.
    pub fn bytes_appended(&self) -> u64 {
        self.counters.bytes_appended
    }
    /// Compactions finished since the start.
    pub fn compactions(&self) -> u64 {
        self.counters.compactions
    }
    pub fn last_compaction(&self) -> Option<&CompactionReport> {
        self.counters.last_compaction.as_ref()
    }
    pub fn is_compacting(&self) -> bool {
        self.compaction.running.is_some()
    }

    /// Rewrites history up to `since` in the background if it is worth it; at most one runs at a time. Appends go on meanwhile.
    ///
    /// It works on whole segments, so it may stop short of `since`. A full disk makes it give up and try again later. Any other error of a compaction is
    /// returned once by a later call, and there are no more compactions then; if writing failed, no more appends either.
    pub fn maybe_compact(&mut self, since: Timestamp) -> Result<(), StorageError> {
        self.poll_compaction();
        if let Some(error) = self.compaction.failure.take() {
            return Err(error);
        }
        if self.compaction.running.is_some() || self.compaction.broken.is_some() || self.counters.bytes_appended < self.compaction.retry_at_bytes {
            return Ok(());
        }
        if let Some(compaction) = self.begin_compaction(since)? {
            self.start_thread(compaction);
        }
        Ok(())
    }

    /// Waits until no compaction is running, and takes over the result. For a clean end, and for tests.
    pub fn wait_for_compaction(&mut self) -> Result<(), StorageError> {
        if let Some(mut running) = self.compaction.running.take() {
            if let Some(result) = running.result.take() {
                let result = result.recv().unwrap_or_else(|_| Err(panicked()));
                self.finish_in_background(result, &mut running);
            }
            let _ = running.thread.join();
        }
        self.compaction.failure.take().map_or(Ok(()), Err)
    }

    fn stop(&mut self, error: StorageError) -> StorageError {
        self.stopped = Some(error.to_string());
        error
    }

    /// Appends one record and syncs it.
    fn write(&mut self, kind: RecordKind, write_body: impl FnOnce(&mut Vec<u8>)) -> Result<(), StorageError> {
        if let Some(why) = &self.stopped {
            return Err(StorageError::Stopped(why.clone()));
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let bytes = write_record(&mut buffer, kind, self.sequence, write_body);
        let limit = self.options.frame_bytes_max.min(FRAME_BYTES_MAX);
        let result = if bytes > limit { Err(StorageError::TooLarge { bytes, limit }) } else { self.write_synced(&buffer) };
        if buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
            self.buffer = buffer;
        }
        result
    }

    fn write_synced(&mut self, record: &[u8]) -> Result<(), StorageError> {
        match self.current.file.append(record).map_err(StorageError::write(&self.current.path)) {
            Ok(()) => {}
            Err(full @ StorageError::DiskFull { .. }) => {
                // Synced as well, lest the next append and what is left of this one get mixed up by a crash.
                let undone = self.current.file.truncate(self.current.length).and_then(|()| self.current.file.sync());
                return Err(match undone.map_err(StorageError::io("truncate", &self.current.path)) {
                    Ok(()) => full,
                    Err(error) => self.stop(error),
                });
            }
            Err(error) => return Err(self.stop(error)),
        }
        if let Err(error) = self.current.file.sync().map_err(StorageError::io("fsync", &self.current.path)) {
            return Err(self.stop(error));
        }
        self.sequence += 1;
        self.current.length += record.len() as u64;
        self.counters.bytes_appended += record.len() as u64;
        Ok(())
    }

    /// Goes on in a new segment. The new one is durable before the old one says that it is complete: so a seal without a next segment is a lost file, and
    /// a next segment without a seal is a switch that did not finish.
    fn roll(&mut self) -> Result<(), StorageError> {
        if let Some(why) = &self.stopped {
            return Err(StorageError::Stopped(why.clone()));
        }
        let number = self.current.number + 1;
        let next = match create_segment(&*self.disk, number, self.sequence + 1) {
            Ok(next) => next,
            Err(full @ StorageError::DiskFull { .. }) => return Err(full),
            Err(error) => return Err(self.stop(error)),
        };
        self.write(RecordKind::Seal, |buffer| buffer.extend_from_slice(&number.to_le_bytes()))?;
        let CurrentSegment { number, first_sequence, length, last, .. } = std::mem::replace(&mut self.current, next);
        self.sealed.push_back(SealedSegment { number, first_sequence, length, last });
        Ok(())
    }

    /// The compaction that is worth running now.
    pub(crate) fn begin_compaction(&mut self, since: Timestamp) -> Result<Option<Compaction>, StorageError> {
        let worth_bytes = self.options.compact_bytes_min.max(self.manifest.parts_bytes());
        let old_enough = |last: Option<Timestamp>| last.is_none_or(|last| last <= since);
        let count = self.sealed.iter().take_while(|segment| old_enough(segment.last)).count();
        let mut bytes: u64 = self.sealed.iter().take(count).map(|segment| segment.length).sum();
        let with_current = count == self.sealed.len() && self.current.length > HEADER_BYTES && old_enough(self.current.last);
        if with_current {
            bytes += self.current.length;
        }
        if bytes <= worth_bytes {
            return Ok(None);
        }
        if with_current {
            match self.roll() {
                Ok(()) => {}
                // No room for a few bytes: certainly none for parts.
                Err(StorageError::DiskFull { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let count = count + usize::from(with_current);
        let (first_segment, first_sequence) =
            self.sealed.get(count).map_or((self.current.number, self.current.first_sequence), |segment| (segment.number, segment.first_sequence));
        Ok(Some(Compaction {
            disk: self.disk.clone(),
            options: self.options.clone(),
            old: self.manifest.clone(),
            segments: self.sealed.iter().take(count).cloned().collect(),
            first_segment,
            first_sequence,
            reserved: self.reserved,
            dropped: self.dropped.keys().copied().collect(),
            next_part: self.next_part,
        }))
    }

    /// Takes notice of a compaction. Returns the names of the files that are not needed any more.
    pub(crate) fn adopt(&mut self, compacted: Compacted) -> Vec<String> {
        let Compacted { manifest, next_part, report } = compacted;
        let kept: BTreeSet<u64> = manifest.parts().map(|part| part.number).collect();
        let mut leftovers = vec![self.manifest.name()];
        while self.sealed.front().is_some_and(|segment| segment.number < manifest.first_segment) {
            leftovers.extend(self.sealed.pop_front().map(|segment| file_name(SEGMENT_PREFIX, segment.number)));
        }
        leftovers.extend(self.manifest.parts().filter(|part| !kept.contains(&part.number)).map(|part| file_name(PART_PREFIX, part.number)));
        self.dropped.retain(|_, time| *time > manifest.since);
        self.manifest = manifest;
        self.next_part = next_part;
        self.counters.compactions += 1;
        tracing::info!(?report, "compacted the log");
        self.counters.last_compaction = Some(report);
        leftovers
    }

    fn start_thread(&mut self, compaction: Compaction) {
        let (send_result, result) = channel();
        let (leftovers, receive_leftovers) = channel::<Vec<String>>();
        let stop = Arc::new(AtomicBool::new(false));
        let stop_of_thread = stop.clone();
        let disk = self.disk.clone();
        let work = move || {
            let mut pulse = || match stop_of_thread.load(Ordering::Relaxed) {
                true => Err(StorageError::Stopped("the server is ending".to_string())),
                false => Ok(()),
            };
            if send_result.send(compaction.run(&mut pulse)).is_err() {
                return;
            }
            // Not before the log has taken notice: it may be asked for a replay.
            for name in receive_leftovers.recv().unwrap_or_default() {
                if let Err(error) = remove(&*disk, &name) {
                    tracing::warn!(%error, "a file that is not needed any more stays until the next start");
                }
            }
        };
        match std::thread::Builder::new().name("compaction".to_string()).spawn(work) {
            Ok(thread) => self.compaction.running = Some(Running { thread, stop, result: Some(result), leftovers: Some(leftovers) }),
            Err(error) => {
                tracing::warn!(%error, "could not start a thread for compaction");
                self.retry_compaction_later();
            }
        }
    }

    fn retry_compaction_later(&mut self) {
        self.compaction.retry_at_bytes = self.counters.bytes_appended + self.options.compact_bytes_min / 4;
    }

    /// Looks at the compaction without waiting for it.
    fn poll_compaction(&mut self) {
        let Some(mut running) = self.compaction.running.take() else { return };
        if let Some(result) = running.result.take() {
            match result.try_recv() {
                Ok(result) => self.finish_in_background(result, &mut running),
                Err(TryRecvError::Empty) => running.result = Some(result),
                Err(TryRecvError::Disconnected) => self.finish_in_background(Err(panicked()), &mut running),
            }
        }
        if running.result.is_some() || !running.thread.is_finished() {
            self.compaction.running = Some(running);
        }
    }

    fn finish_in_background(&mut self, result: Result<Compacted, StorageError>, running: &mut Running) {
        match result {
            Ok(compacted) => {
                let names = self.adopt(compacted);
                if let Some(leftovers) = running.leftovers.take() {
                    // If the thread is gone, the next start removes them.
                    let _ = leftovers.send(names);
                }
            }
            Err(StorageError::DiskFull { file }) => {
                running.leftovers = None;
                tracing::warn!(file, "no room to compact the log; trying again later");
                self.retry_compaction_later();
            }
            Err(error) => {
                running.leftovers = None;
                tracing::error!(%error, "compaction failed");
                if matches!(error, StorageError::Io { .. }) {
                    self.stopped.get_or_insert(error.to_string());
                }
                self.compaction.broken = Some(error.to_string());
                self.compaction.failure = Some(error);
            }
        }
    }
}

fn panicked() -> StorageError {
    StorageError::Stopped("compaction ended without a result".to_string())
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(running) = self.compaction.running.take() {
            let Running { thread, stop, result, leftovers } = running;
            stop.store(true, Ordering::Relaxed);
            drop((result, leftovers));
            let _ = thread.join();
        }
    }
}

/// Gathers rows for a visitor.
struct Batches<'a> {
    visit: &'a mut dyn FnMut(CollectionId, Timestamp, Vec<(Row, Diff)>),
    dropped: &'a BTreeMap<CollectionId, Timestamp>,
    collection: CollectionId,
    time: Timestamp,
    rows: Vec<(Row, Diff)>,
}

impl Batches<'_> {
    fn push(&mut self, collection: CollectionId, time: Timestamp, row: &[u8], diff: Diff) {
        if (collection, time) != (self.collection, self.time) || self.rows.len() >= REPLAY_ROWS_MAX {
            self.flush();
            (self.collection, self.time) = (collection, time);
        }
        if !self.dropped.contains_key(&collection) {
            self.rows.push((Row::from_bytes(row), diff));
        }
    }
    fn flush(&mut self) {
        if !self.rows.is_empty() {
            (self.visit)(self.collection, self.time, std::mem::take(&mut self.rows));
        }
    }
}

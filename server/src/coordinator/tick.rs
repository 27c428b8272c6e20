//! One tick: gather, stamp, make durable, acknowledge, show.

use super::{Answer, Coordinator, now, render};
use crate::Error;
use catalog::{Change, Definition};
use dataflow::InputBatch;
use repr::{CollectionId, Diff, Row, Timestamp};
use sources::{ErrorRow, SourceBatch};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use storage::{Frame, StorageError};

pub type Updates = Vec<(CollectionId, Vec<(Row, Diff)>)>;

/// The changes of one transaction, on their way into a frame.
pub struct Write {
    updates: Updates,
    bytes: usize,
    answer: Answer<Timestamp>,
}

impl Write {
    pub fn new(updates: Updates, answer: Answer<Timestamp>) -> Write {
        const ROW: usize = size_of::<(Row, Diff)>();
        let bytes = updates.iter().flat_map(|(_, rows)| rows).map(|(row, _)| ROW + row.heap_bytes()).sum();
        Write { updates, bytes, answer }
    }

    fn refuse(self, error: &Error) {
        // Who asked may have gone.
        let _ = self.answer.send(Err(error.clone()));
    }
}

/// A frame's content, before it has a timestamp.
#[derive(Default)]
pub struct Pending {
    updates: BTreeMap<CollectionId, Vec<(Row, Diff)>>,
    /// Changes of source errors, which are rows of their collection and errors of the relation they happened to.
    errors: Vec<(ErrorRow, Diff)>,
    positions: BTreeMap<CollectionId, Vec<u8>>,
    /// The newest batch of each source in here.
    sequences: Vec<(CollectionId, u64)>,
    dropped: Vec<CollectionId>,
}

impl Pending {
    fn add(&mut self, updates: Updates) {
        for (id, mut rows) in updates {
            match self.updates.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert(rows);
                }
                Entry::Occupied(mut entry) => entry.get_mut().append(&mut rows),
            }
        }
    }

    fn add_batch(&mut self, batch: SourceBatch, errors_collection: Option<CollectionId>) {
        self.add(batch.updates);
        if let Some(collection) = errors_collection
            && !batch.errors.is_empty()
        {
            let rows = self.updates.entry(collection).or_default();
            rows.extend(batch.errors.iter().map(|(error, diff)| (error.to_row(), *diff)));
        }
        self.errors.extend(batch.errors);
        self.positions.insert(batch.source, batch.position);
        self.sequences.push((batch.source, batch.sequence));
    }

    fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.positions.is_empty() && self.dropped.is_empty()
    }
}

/// Why a frame was not written: nothing happened, and what was to be in it is here again.
struct Refused {
    pending: Pending,
    error: Error,
    /// It will fit when there is room; a frame that is too large never will.
    is_disk_full: bool,
}

/// What became of one frame of a tick.
enum Outcome {
    GoOn,
    DiskFull(Error),
}

impl Coordinator {
    /// Takes what sources have ready and the given writes, makes frames of them, and shows those. With nothing to write, nothing is written.
    ///
    /// A frame holds whole batches and whole transactions, about [`super::TICK_BYTES_MAX`] of each; what is larger than that alone has a frame of its own, so that
    /// nothing else fails with it if it is larger than a frame can be.
    pub(super) fn tick(&mut self, mut writes: VecDeque<Write>) -> Result<(), Error> {
        // A frame that did not fit goes first, alone: it must stay what the sources' positions say it is.
        if let Some(pending) = self.unwritten.take()
            && let Err(Refused { pending, error, .. }) = self.commit(pending)?
        {
            self.unwritten = Some(pending);
            writes.into_iter().for_each(|write| write.refuse(&error));
            return Ok(());
        }
        loop {
            let mut batches = self.sources.take_ready(super::TICK_BYTES_MAX);
            let batches_bytes: usize = batches.iter().map(SourceBatch::size_bytes).sum();
            let is_large = |bytes: usize| bytes > super::TICK_BYTES_MAX;
            if !batches.is_empty()
                && (is_large(batches_bytes) || writes.front().is_some_and(|write| is_large(write.bytes)))
                && let Outcome::DiskFull(error) = self.write_frame(std::mem::take(&mut batches), Vec::new())?
            {
                writes.into_iter().for_each(|write| write.refuse(&error));
                return Ok(());
            }
            let mut together = Vec::new();
            let mut bytes = 0;
            while let Some(write) = writes.pop_front_if(|write| together.is_empty() || bytes + write.bytes <= super::TICK_BYTES_MAX) {
                bytes += write.bytes;
                together.push(write);
            }
            if let Outcome::DiskFull(error) = self.write_frame(batches, together)? {
                writes.into_iter().for_each(|write| write.refuse(&error));
                return Ok(());
            }
            if writes.is_empty() {
                return Ok(());
            }
        }
    }

    /// One frame of batches and writes. Several of them fit a frame for certain; one alone may be too large.
    fn write_frame(&mut self, batches: Vec<SourceBatch>, writes: Vec<Write>) -> Result<Outcome, Error> {
        let mut pending = Pending::default();
        for batch in batches {
            let errors = self.sources.errors_collection(batch.source);
            pending.add_batch(batch, errors);
        }
        let has_sources = !pending.is_empty();
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            // Writers hold the locks of their tables, so a table can not go before its writes; a defect there must not end the server.
            if write.updates.iter().any(|(id, _)| self.catalog.get(*id).is_none()) {
                write.refuse(&Error::new("42P01", "a table that is written to was dropped"));
                continue;
            }
            pending.add(write.updates);
            answers.push(write.answer);
        }
        let result = match pending.is_empty() {
            true => Ok(self.clock.last()),
            false => self.commit(pending)?,
        };
        match result {
            Ok(timestamp) => {
                self.shared.show(timestamp);
                for answer in answers {
                    let _ = answer.send(Ok(timestamp));
                }
                Ok(Outcome::GoOn)
            }
            Err(Refused { mut pending, error, is_disk_full }) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
                match (is_disk_full, has_sources) {
                    (true, true) => {
                        // Writers were told; a source's batch waits.
                        pending.updates.retain(|id, _| self.sources.owns(*id));
                        self.unwritten = Some(pending);
                    }
                    // A transaction is never split: its source cannot go on.
                    (false, true) => pending.sequences.iter().for_each(|(source, _)| self.sources.fail(*source, &error)),
                    (_, false) => {}
                }
                Ok(if is_disk_full { Outcome::DiskFull(error) } else { Outcome::GoOn })
            }
        }
    }

    /// Advances time without writing: an idle heartbeat.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        match self.stamp() {
            Ok(timestamp) => self.feed(timestamp, Vec::new()),
            // Time that could not be reserved must not be shown: it stands still until there is room.
            Err(error) if error.sqlstate() == "53100" => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A change of the catalog, in a frame of its own.
    pub(super) fn define(&mut self, catalog_version: u64, changes: Vec<Change>, initial: Updates, answer: Answer<Timestamp>) -> Result<(), Error> {
        self.tick(VecDeque::new())?;
        if self.unwritten.is_some() {
            let _ = answer.send(Err(disk_full()));
            return Ok(());
        }
        match self.try_define(catalog_version, changes, initial)? {
            Ok(timestamp) => {
                self.shared.show(timestamp);
                let _ = answer.send(Ok(timestamp));
            }
            Err(error) => {
                let _ = answer.send(Err(error));
            }
        }
        Ok(())
    }

    /// The outer error is final, the inner one the user's.
    fn try_define(&mut self, catalog_version: u64, changes: Vec<Change>, initial: Updates) -> Result<Result<Timestamp, Error>, Error> {
        if catalog_version != self.catalog.version() {
            return Ok(Err(Error::new("40001", "the catalog was changed by another session at the same time").with_hint("Try again.")));
        }
        let next = match self.catalog.apply(&changes) {
            Ok(next) => next,
            Err(error) => return Ok(Err(error.into())),
        };
        // Whatever can be refused is refused before anything is durable.
        let mut rendered = Vec::new();
        for change in &changes {
            if let Change::Create(entry) = change {
                match render::plan(&next, entry) {
                    Ok(plan) => rendered.push((entry.clone(), plan)),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        let mut pending = Pending::default();
        pending.add(vec![(CollectionId::CATALOG, self.catalog.updates_to(&next))]);
        pending.add(initial);
        let dropped: Vec<_> = changes.iter().filter_map(|change| if let Change::Drop(id) = change { self.catalog.get(*id).cloned() } else { None }).collect();
        for entry in &dropped {
            pending.dropped.extend(render::collections_of(entry));
        }
        // Inputs must be there before the frame that fills them is handed in.
        for (entry, _) in &rendered {
            render::create_inputs(&self.shared.dataflow, entry, self.clock.last().next()).map_err(internal)?;
        }
        let timestamp = match self.commit(pending)? {
            Ok(timestamp) => timestamp,
            Err(Refused { error, .. }) => {
                for (entry, _) in &rendered {
                    render::drop_relations(&self.shared.dataflow, entry);
                }
                return Ok(Err(error));
            }
        };
        // Nothing of a dropped source enters a tick after this one, as this thread gathers the ticks.
        for entry in &dropped {
            self.sources.drop_source(entry.id);
            render::drop_relations(&self.shared.dataflow, entry);
        }
        for (entry, plan) in rendered {
            render::create_maintained(&self.shared.dataflow, &entry, plan, timestamp).map_err(internal)?;
        }
        self.catalog = next;
        self.shared.publish_catalog(self.catalog.clone());
        for change in &changes {
            if let Change::Create(entry) = change
                && let Definition::Source(_) = &entry.definition
            {
                self.sources.start(&self.catalog, entry.id, None, Vec::new())?;
            }
        }
        Ok(Ok(timestamp))
    }

    /// Stamps, makes durable, shows. The inner error gives everything back.
    fn commit(&mut self, pending: Pending) -> Result<Result<Timestamp, Refused>, Error> {
        let timestamp = match self.stamp() {
            Ok(timestamp) => timestamp,
            Err(error) if error.sqlstate() == "53100" => return Ok(Err(Refused { pending, error, is_disk_full: true })),
            Err(error) => return Err(error),
        };
        let Pending { updates, errors, positions, sequences, dropped } = pending;
        let frame = Frame { timestamp, updates: updates.into_iter().collect(), positions: positions.into_iter().collect(), dropped };
        let refused = match self.log.append(&frame) {
            Ok(()) => None,
            Err(StorageError::DiskFull { file }) => Some((self.disk_is_full(&file), true)),
            Err(StorageError::TooLarge { bytes, limit }) => Some((too_large(bytes, limit), false)),
            Err(error) => return Err(fatal(error)),
        };
        if let Some((error, is_disk_full)) = refused {
            let Frame { updates, positions, dropped, .. } = frame;
            let pending = Pending { updates: updates.into_iter().collect(), errors, positions: positions.into_iter().collect(), sequences, dropped };
            return Ok(Err(Refused { pending, error, is_disk_full }));
        }
        self.disk_has_room();
        self.shared.metrics.frame_written(&frame);
        for (source, sequence) in sequences {
            self.sources.settled_at(source, sequence, timestamp);
        }
        let mut batches: BTreeMap<CollectionId, InputBatch> = BTreeMap::new();
        let batch = |id: CollectionId| InputBatch { id, rows: Vec::new(), errors: Vec::new() };
        for (id, rows) in frame.updates {
            if id != CollectionId::CATALOG && !frame.dropped.contains(&id) {
                batches.entry(id).or_insert_with(|| batch(id)).rows.extend(rows.into_iter().map(|(row, diff)| (row, timestamp, diff)));
            }
        }
        for (error, diff) in errors {
            batches.entry(error.relation).or_insert_with(|| batch(error.relation)).errors.push((error.to_eval_error(), timestamp, diff));
        }
        self.feed(timestamp, batches.into_values().collect())?;
        let since = self.clock.last();
        self.log.maybe_compact(since).or_else(|error| match error {
            StorageError::DiskFull { file } => {
                tracing::warn!(%file, "no room to compact the log");
                Ok(())
            }
            error => Err(fatal(error)),
        })?;
        let (segments, parts) = self.log.size_bytes();
        self.shared.metrics.log_size(segments, parts, self.log.compactions());
        Ok(Ok(timestamp))
    }

    fn feed(&mut self, timestamp: Timestamp, batches: Vec<InputBatch>) -> Result<(), Error> {
        self.shared.dataflow.update(dataflow::Frame { upper: timestamp.next(), batches }).map_err(internal)
    }

    /// The next timestamp, within the durable reservation.
    fn stamp(&mut self) -> Result<Timestamp, Error> {
        let now = now();
        let timestamp = self.clock.tick(now);
        match self.log.ensure_reserved(timestamp, now) {
            Ok(()) => Ok(timestamp),
            Err(StorageError::DiskFull { file }) => Err(self.disk_is_full(&file)),
            Err(error) => Err(fatal(error)),
        }
    }

    /// Says so once, and whenever it is asked for.
    fn disk_is_full(&mut self, file: &str) -> Error {
        if !self.is_disk_full {
            self.is_disk_full = true;
            self.shared.metrics.disk_full(true);
            tracing::error!(%file, "no space left on the disk of the data directory: writes fail and sources wait until there is room; reads go on");
        }
        disk_full()
    }

    fn disk_has_room(&mut self) {
        if self.is_disk_full {
            self.is_disk_full = false;
            self.shared.metrics.disk_full(false);
            tracing::info!("there is room on the disk of the data directory again: writes and sources go on");
        }
    }
}

fn disk_full() -> Error {
    Error::new("53100", "could not write to the log: no space left on device").with_hint("Free space on the disk of the data directory; reads go on, and writes work again when there is room.")
}

fn too_large(bytes: u64, limit: u64) -> Error {
    Error::new("54000", "the transaction is too large for the log")
        .with_detail(format!("Its changes take {bytes} bytes, and a transaction, which is never split, may take {limit} bytes."))
        .with_hint("Commit in between; a source whose upstream transaction is too large must be created again at an offset after it.")
}

fn fatal(error: StorageError) -> Error {
    Error::fatal("58030", error.to_string())
}

fn internal(error: dataflow::EngineError) -> Error {
    Error::internal(error.to_string())
}

//! One tick: gather, stamp, make durable, acknowledge, show.

use super::{Answer, Coordinator, now, render};
use crate::Error;
use catalog::{Change, Definition};
use dataflow::InputBatch;
use repr::{CollectionId, Diff, Row, Timestamp};
use sources::{ErrorRow, SourceBatch};
use std::collections::BTreeMap;
use storage::{Frame, StorageError};

pub type Updates = Vec<(CollectionId, Vec<(Row, Diff)>)>;

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
        for (id, rows) in updates {
            self.updates.entry(id).or_default().extend(rows);
        }
    }

    fn add_batch(&mut self, batch: SourceBatch, errors_collection: Option<CollectionId>) {
        self.add(batch.updates);
        if let Some(collection) = errors_collection {
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

impl Coordinator {
    /// Takes what sources have ready and the given writes, makes one frame of them, and shows it. With nothing to write, nothing is written.
    pub(super) fn tick(&mut self, writes: Vec<(Updates, Answer<Timestamp>)>) -> Result<(), Error> {
        // A frame that did not fit goes first, alone: it must stay what the sources' positions say it is.
        if let Some(pending) = self.unwritten.take() {
            match self.commit(pending)? {
                Ok(_) => {}
                Err((pending, error)) => {
                    self.unwritten = Some(pending);
                    for (_, answer) in writes {
                        let _ = answer.send(Err(error.clone()));
                    }
                    return Ok(());
                }
            }
        }
        let mut pending = Pending::default();
        for batch in self.sources.take_ready(super::TICK_BYTES_MAX) {
            let errors = self.sources.errors_collection(batch.source);
            pending.add_batch(batch, errors);
        }
        let mut written = Pending::default();
        let mut answers = Vec::new();
        for (updates, answer) in writes {
            // Writers hold the locks of their tables, so a table can not go before its writes; a defect there must not end the server.
            if updates.iter().any(|(id, _)| self.catalog.get(*id).is_none()) {
                let _ = answer.send(Err(Error::new("42P01", "a table that is written to was dropped")));
                continue;
            }
            written.add(updates);
            answers.push(answer);
        }
        // Writers can be told that the disk is full; a source's batch must wait. So the two share a frame only when it fits.
        let has_sources = !pending.is_empty();
        if !has_sources {
            pending = written;
        } else {
            pending.add(written.updates.into_iter().collect());
        }
        if pending.is_empty() {
            for answer in answers {
                let _ = answer.send(Ok(self.clock.last()));
            }
            return Ok(());
        }
        match self.commit(pending)? {
            Ok(timestamp) => {
                self.shared.show(timestamp);
                for answer in answers {
                    let _ = answer.send(Ok(timestamp));
                }
            }
            Err((mut pending, error)) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
                if has_sources {
                    pending.updates.retain(|id, _| self.sources.owns(*id));
                    self.unwritten = Some(pending);
                }
            }
        }
        Ok(())
    }

    /// Advances time without writing: an idle heartbeat.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        let timestamp = self.stamp()?;
        self.feed(timestamp, Vec::new())
    }

    /// A change of the catalog, in a frame of its own.
    pub(super) fn define(&mut self, catalog_version: u64, changes: Vec<Change>, initial: Updates, answer: Answer<Timestamp>) -> Result<(), Error> {
        self.tick(Vec::new())?;
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
            Err((_, error)) => {
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

    /// Stamps, makes durable, shows. The inner error gives everything back: it did not fit on the disk.
    fn commit(&mut self, pending: Pending) -> Result<Result<Timestamp, (Pending, Error)>, Error> {
        let timestamp = match self.stamp() {
            Ok(timestamp) => timestamp,
            Err(error) if error.sqlstate() == "53100" => return Ok(Err((pending, error))),
            Err(error) => return Err(error),
        };
        let frame = Frame {
            timestamp,
            updates: pending.updates.iter().map(|(id, rows)| (*id, rows.clone())).collect(),
            positions: pending.positions.iter().map(|(id, position)| (*id, position.clone())).collect(),
            dropped: pending.dropped.clone(),
        };
        match self.log.append(&frame) {
            Ok(()) => {}
            Err(StorageError::DiskFull { file }) => {
                tracing::warn!(%file, "the disk is full: writes wait");
                return Ok(Err((pending, disk_full())));
            }
            Err(error) => return Err(fatal(error)),
        }
        self.shared.metrics.frame_written(&frame);
        for (source, sequence) in &pending.sequences {
            self.sources.settled_at(*source, *sequence, timestamp);
        }
        let mut batches: BTreeMap<CollectionId, InputBatch> = BTreeMap::new();
        let batch = |id: CollectionId| InputBatch { id, rows: Vec::new(), errors: Vec::new() };
        for (id, rows) in frame.updates {
            if id != CollectionId::CATALOG && !pending.dropped.contains(&id) {
                batches.entry(id).or_insert_with(|| batch(id)).rows.extend(rows.into_iter().map(|(row, diff)| (row, timestamp, diff)));
            }
        }
        for (error, diff) in &pending.errors {
            batches.entry(error.relation).or_insert_with(|| batch(error.relation)).errors.push((error.to_eval_error(), timestamp, *diff));
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
        Ok(Ok(timestamp))
    }

    fn feed(&mut self, timestamp: Timestamp, batches: Vec<InputBatch>) -> Result<(), Error> {
        self.shared.dataflow.update(dataflow::Frame { upper: timestamp.next(), batches }).map_err(internal)
    }

    /// The next timestamp, within the durable reservation.
    fn stamp(&mut self) -> Result<Timestamp, Error> {
        let timestamp = self.clock.tick(now());
        match self.log.ensure_reserved(timestamp) {
            Ok(()) => Ok(timestamp),
            Err(StorageError::DiskFull { .. }) => Err(disk_full()),
            Err(error) => Err(fatal(error)),
        }
    }
}

fn disk_full() -> Error {
    Error::new("53100", "could not write to the log: no space left on device").with_hint("Free space on the disk of the data directory; reads go on, and writes work again when there is room.")
}

fn fatal(error: StorageError) -> Error {
    Error::fatal("58030", error.to_string())
}

fn internal(error: dataflow::EngineError) -> Error {
    Error::internal(error.to_string())
}

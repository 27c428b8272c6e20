//! The log, judged from outside: what a model says must be there is there.

mod basics;
mod crash;
mod damage;
mod faults;

use crate::sim_disk::Random;
use crate::{Disk, Frame, Log, LogOptions, Recovery, StorageError};
use repr::{CollectionId, Datum, Diff, Row, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sizes so small that a handful of frames makes segments, parts and runs.
pub fn small_options() -> LogOptions {
    LogOptions { segment_bytes_max: 1_500, compact_bytes_min: 2_000, compact_memory_bytes_max: 2_000, part_bytes_max: 1_500, ..LogOptions::default() }
}

/// What a log must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub collections: BTreeMap<CollectionId, BTreeMap<Row, Diff>>,
    pub positions: BTreeMap<CollectionId, Vec<u8>>,
    pub last: Timestamp,
}

impl Model {
    pub fn apply(&mut self, frame: &Frame) {
        self.last = frame.timestamp;
        for (id, updates) in &frame.updates {
            for (row, diff) in updates {
                self.add(*id, row.clone(), *diff);
            }
        }
        self.positions.extend(frame.positions.iter().cloned());
        for id in &frame.dropped {
            self.collections.remove(id);
            self.positions.remove(id);
        }
    }
    fn add(&mut self, id: CollectionId, row: Row, diff: Diff) {
        let rows = self.collections.entry(id).or_default();
        let sum = rows.get(&row).copied().unwrap_or(0) + diff;
        if sum == 0 { rows.remove(&row) } else { rows.insert(row, sum) };
        if rows.is_empty() {
            self.collections.remove(&id);
        }
    }
}

/// What a log does hold. Checks on the way that parts come first and times never go back.
pub fn contents(log: &Log, recovery: &Recovery) -> Result<Model, StorageError> {
    let mut model = Model { positions: recovery.positions.clone(), last: recovery.last, ..Model::default() };
    let mut time = recovery.since;
    log.replay(&mut |id, at, rows| {
        assert!(at >= time && at <= recovery.last, "time {at} after {time}");
        assert!(!rows.is_empty() && rows.len() <= crate::log::REPLAY_ROWS_MAX);
        time = at;
        rows.into_iter().for_each(|(row, diff)| model.add(id, row, diff));
    })?;
    Ok(model)
}

pub fn open(disk: &(impl Disk + Clone + 'static)) -> Result<(Log, Recovery), StorageError> {
    Log::open(Arc::new(disk.clone()), small_options())
}

/// Makes frames: few collections, rows that come and go and change their multiplicity, some long, positions, now and then a dropped collection.
pub struct Workload {
    pub random: Random,
    pub model: Model,
    next_id: u64,
    live: BTreeSet<u64>,
    value: i64,
}

impl Workload {
    pub fn new(seed: u64) -> Workload {
        Workload { random: Random(seed), model: Model::default(), next_id: 4, live: BTreeSet::from([0, 1, 2, 3]), value: 0 }
    }
    /// From now on with other collections and other rows: `from` is more than there have been of either.
    pub fn avoid(&mut self, from: u64) {
        self.live = (0..4).map(|id| if id == 0 { 0 } else { from + id }).collect();
        self.next_id = from + 4;
        self.value = 1_000 * from as i64;
    }
    fn row(&mut self) -> Row {
        self.value += 1;
        let long = "x".repeat(self.random.below(40) as usize * usize::from(self.random.coin()));
        Row::pack([Datum::Int8(self.value), Datum::Text(&long)])
    }
    /// The next frame; the model has it already.
    pub fn frame(&mut self) -> Frame {
        let timestamp = Timestamp(self.model.last.0 + 1 + self.random.below(3));
        let mut frame = Frame { timestamp, updates: Vec::new(), positions: Vec::new(), dropped: Vec::new() };
        if self.live.len() > 2 && self.random.below(12) == 0 {
            let victim = *self.live.iter().nth(1 + self.random.below(self.live.len() as u64 - 1) as usize).unwrap();
            self.live.remove(&victim);
            frame.dropped.push(CollectionId(victim));
            self.live.insert(self.next_id);
            self.next_id += 1;
        }
        for id in self.live.clone() {
            if self.random.below(3) == 0 {
                continue;
            }
            let mut updates = Vec::new();
            let rows: Vec<Row> = self.model.collections.get(&CollectionId(id)).into_iter().flatten().map(|(row, _)| row.clone()).collect();
            for row in rows {
                // Retracts about as much as it adds, and more than there is every so often.
                match self.random.below(12) {
                    0..=2 => updates.push((row.clone(), -self.model.collections[&CollectionId(id)][&row])),
                    3 => updates.push((row, -1)),
                    4 => updates.push((row, 1)),
                    _ => {}
                }
            }
            for _ in 0..self.random.below(if id == 1 { 20 } else { 4 }) {
                let row = self.row();
                updates.push((row, 1 - 2 * i64::from(self.random.below(9) == 0)));
            }
            frame.updates.push((CollectionId(id), updates));
            if id > 0 && self.random.coin() {
                let position = (0..self.random.below(60)).map(|_| self.random.below(4) as u8).collect();
                frame.positions.push((CollectionId(id), position));
            }
        }
        self.model.apply(&frame);
        frame
    }
}

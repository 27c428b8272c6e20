//! The current row of a key, for sources: read from the published snapshot of the relation itself, so that key state exists once.

use dataflow::Control;
use repr::{CollectionId, Row, Timestamp};
use sources::KeyState;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Answers for one source. Which of its batches the snapshots hold is known from the timestamps their ticks got.
pub struct SnapshotKeyState {
    control: Control,
    relations: Vec<CollectionId>,
    ticks: Mutex<Ticks>,
}

#[derive(Default)]
struct Ticks {
    /// Batches whose tick is not known to be published: (sequence, timestamp), both growing.
    open: VecDeque<(u64, Timestamp)>,
    settled: u64,
}

impl SnapshotKeyState {
    pub fn new(control: Control, relations: Vec<CollectionId>) -> SnapshotKeyState {
        SnapshotKeyState { control, relations, ticks: Mutex::default() }
    }

    /// The batch `sequence` became durable at `timestamp`.
    pub fn ticked(&self, sequence: u64, timestamp: Timestamp) {
        self.ticks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).open.push_back((sequence, timestamp));
    }
}

impl KeyState for SnapshotKeyState {
    fn settled(&self) -> u64 {
        let upper = self.control.published().readable(&self.relations).map_or(Timestamp::MIN, |(_, upper)| upper);
        let mut ticks = self.ticks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while let Some((sequence, timestamp)) = ticks.open.front().copied()
            && timestamp < upper
        {
            ticks.open.pop_front();
            ticks.settled = sequence;
        }
        ticks.settled
    }

    fn lookup(&self, relation: CollectionId, keys: &[Row], found: &mut Vec<Option<Row>>) {
        let published = self.control.published();
        let snapshot = published.get(relation);
        let time = snapshot.and_then(|snapshot| snapshot.upper().previous().filter(|time| *time >= snapshot.since()));
        for key in keys {
            let mut row = None;
            if let (Some(snapshot), Some(time)) = (snapshot, time) {
                snapshot.lookup(time, key, &mut |bytes, diff| {
                    if diff > 0 {
                        row = Some(Row::from_bytes(bytes));
                    }
                    row.is_none()
                });
            }
            found.push(row);
        }
    }

    fn scan(&self, relation: CollectionId, each: &mut dyn FnMut(Row)) {
        let published = self.control.published();
        let Some(snapshot) = published.get(relation) else { return };
        if let Some(time) = snapshot.upper().previous().filter(|time| *time >= snapshot.since()) {
            snapshot.scan(time, &mut |bytes, diff| {
                if diff > 0 {
                    each(Row::from_bytes(bytes));
                }
                true
            });
        }
    }
}

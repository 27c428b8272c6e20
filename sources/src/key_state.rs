//! The current row of a key: read from the published snapshots, never kept twice.

use repr::{CollectionId, Row};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a source may ask about its own relations.
pub trait KeyState: Send + Sync {
    /// Batches with a sequence up to this one are in what a later `lookup` or `scan` sees; 0 before the first.
    fn settled(&self) -> u64;

    /// Pushes, for each key, the row that has it. A key is a row of the primary key's columns in their order, each in its canonical form
    /// ([`RowBuilder::push_canonical`](repr::RowBuilder::push_canonical)).
    fn lookup(&self, relation: CollectionId, keys: &[Row], found: &mut Vec<Option<Row>>);

    /// All rows of a relation with a primary key (a TRUNCATE upstream empties it).
    fn scan(&self, relation: CollectionId, each: &mut dyn FnMut(Row));
}

/// A key state in memory, for tests and benchmarks: what was applied to it is what it shows.
#[derive(Default)]
pub struct MemoryKeyState {
    inner: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    settled: u64,
    rows: BTreeMap<CollectionId, BTreeMap<Row, Row>>,
}

impl MemoryKeyState {
    pub fn new() -> MemoryKeyState {
        MemoryKeyState::default()
    }

    /// Sets or takes away the row of a key.
    pub fn set(&self, relation: CollectionId, key: Row, row: Option<Row>) {
        let mut memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = memory.rows.entry(relation).or_default();
        match row {
            Some(row) => rows.insert(key, row),
            None => rows.remove(&key),
        };
    }

    /// Says that batches up to this sequence are in it.
    pub fn settle(&self, sequence: u64) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settled = sequence;
    }
}

impl KeyState for MemoryKeyState {
    fn settled(&self) -> u64 {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settled
    }

    fn lookup(&self, relation: CollectionId, keys: &[Row], found: &mut Vec<Option<Row>>) {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = memory.rows.get(&relation);
        found.extend(
            keys.iter()
                .map(|key| rows.and_then(|rows| rows.get(key)).cloned()),
        );
    }

    fn scan(&self, relation: CollectionId, each: &mut dyn FnMut(Row)) {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = memory.rows.get(&relation).into_iter().flatten();
        rows.for_each(|(_, row)| each(row.clone()));
    }
}

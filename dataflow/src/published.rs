//! What readers see: immutable snapshots of every relation, published together.
//!
//! A snapshot is the batches of an arrangement, shared by pointer. Reading it touches no lock, no worker and no channel. Batches are sorted by key, then
//! value; a point read is a binary search in each of a handful of batches, everything else is a merge of them.

use crate::layout::{Reassembly, Shape};
use crate::render::{StoredBatch, shard_of};
use plan::Inputs;
use repr::{CollectionId, Diff, EvalError, Row, SqlState, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

/// All relations at one publication. Holding it holds memory, nothing else: bound its life.
#[derive(Default)]
pub struct Published {
    /// Sorted by id.
    pub(crate) relations: Vec<(CollectionId, Arc<RelationSnapshot>)>,
}

impl Published {
    pub fn get(&self, id: CollectionId) -> Option<&Arc<RelationSnapshot>> {
        let position = self.relations.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.relations.get(position).map(|(_, relation)| relation)
    }
    pub fn iter(&self) -> impl Iterator<Item = (CollectionId, &Arc<RelationSnapshot>)> {
        self.relations.iter().map(|(id, relation)| (*id, relation))
    }
    /// The times at which all of `ids` can be read together: `since <= t < upper` of the result; there are none when `since >= upper`.
    /// `None` if one of them is unknown.
    pub fn readable(&self, ids: &[CollectionId]) -> Option<(Timestamp, Timestamp)> {
        let mut window = (Timestamp::MIN, Timestamp::MAX);
        for id in ids {
            let relation = self.get(*id)?;
            window = (window.0.max(relation.since()), window.1.min(relation.upper()));
        }
        Some(window)
    }
}

/// What one worker holds of a relation: all updates before `upper`.
#[derive(Clone, Default)]
pub(crate) struct Shard {
    pub upper: Timestamp,
    /// Batches with something in them, oldest first.
    pub rows: Vec<StoredBatch>,
    pub errors: Vec<StoredBatch>,
}

/// One relation (a base collection, a view or an index) as of one publication.
#[derive(Clone)]
pub struct RelationSnapshot {
    pub(crate) since: Timestamp,
    pub(crate) is_hydrated: bool,
    pub(crate) layout: Arc<RelationLayout>,
    pub(crate) shards: Vec<Arc<Shard>>,
}

/// What does not change between publications.
pub(crate) struct RelationLayout {
    pub shape: Shape,
    pub reassembly: Reassembly,
}

impl RelationSnapshot {
    /// The earliest time that can be read.
    pub fn since(&self) -> Timestamp {
        self.since
    }
    /// Times before it are complete. [`Timestamp::MAX`] once the relation cannot change any more.
    pub fn upper(&self) -> Timestamp {
        self.shards.iter().map(|shard| shard.upper).min().unwrap_or(Timestamp::MIN)
    }
    pub fn arity(&self) -> usize {
        self.layout.shape.arity()
    }
    /// Whether the view or index has caught up with the relations that were there before it.
    pub fn is_hydrated(&self) -> bool {
        self.is_hydrated
    }
    fn check(&self, time: Timestamp) {
        assert!(self.since <= time && time < self.upper(), "a read at {time} of what can be read from {} on and before {}", self.since, self.upper());
    }
    /// Visits every row (in the relation's column order) and its multiplicity at `time`, ordered by key. `visit` returns false to stop.
    /// Panics unless `since <= time < upper`, as all reads do.
    pub fn scan(&self, time: Timestamp, visit: &mut dyn FnMut(&[u8], Diff) -> bool) {
        self.range(time, None, None, false, visit)
    }
    /// Visits the rows of one key. The key is canonical.
    pub fn lookup(&self, time: Timestamp, key: &Row, visit: &mut dyn FnMut(&[u8], Diff) -> bool) {
        self.check(time);
        let Some(shard) = self.shards.get(shard_of(key, self.shards.len())) else { return };
        let mut values: SmallVec<[Values<'_>; 8]> = SmallVec::new();
        for batch in &shard.rows {
            let at = batch.seek_key(key.as_bytes());
            if at < batch.keys() && batch.key(at) == key.as_bytes() {
                values.push(Values::new(batch, at));
            }
        }
        let mut buffer = Vec::new();
        merge_values(&mut values, false, time, &mut |value, count| visit(self.layout.reassembly.row(key.as_bytes(), value, &mut buffer), count));
    }
    /// Visits the rows whose key lies between two encoded bounds (lower inclusive, upper exclusive, as byte strings), in key order.
    pub fn range(
        &self,
        time: Timestamp,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        descending: bool,
        visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) {
        self.check(time);
        let mut keys: SmallVec<[Keys<'_>; 8]> = SmallVec::new();
        for batch in self.shards.iter().flat_map(|shard| &shard.rows) {
            let start = lower.map_or(0, |bound| batch.seek_key(bound));
            let end = upper.map_or(batch.keys(), |bound| batch.seek_key(bound));
            if start < end {
                keys.push(Keys { batch, start, end });
            }
        }
        let mut buffer = Vec::new();
        let mut values: SmallVec<[Values<'_>; 8]> = SmallVec::new();
        while let Some(key) = take_first(&mut keys, descending, &mut values) {
            let go_on = merge_values(&mut values, descending, time, &mut |value, count| visit(self.layout.reassembly.row(key, value, &mut buffer), count));
            if !go_on {
                return;
            }
        }
    }
    /// The error that makes reads at `time` fail, if there is one: the smallest of them.
    pub fn error(&self, time: Timestamp) -> Option<EvalError> {
        self.check(time);
        let mut smallest: Option<EvalError> = None;
        let mut keys: SmallVec<[Keys<'_>; 8]> = SmallVec::new();
        keys.extend(self.shards.iter().flat_map(|shard| &shard.errors).map(|batch| Keys { batch, start: 0, end: batch.keys() }));
        let mut values = SmallVec::new();
        while let Some(key) = take_first(&mut keys, false, &mut values) {
            merge_values(&mut values, false, time, &mut |_, _| {
                let error = EvalError::from_row(&Row::from_bytes(key));
                smallest = Some(smallest.take().map_or(error.clone(), |smallest| smallest.min(error)));
                false
            });
        }
        smallest
    }
    /// Whether nobody else holds what this snapshot holds: not the workers, not another snapshot.
    pub fn is_sole_holder(&self) -> bool {
        let mut batches = self.shards.iter().flat_map(|shard| shard.rows.iter().chain(&shard.errors));
        self.shards.iter().all(|shard| Arc::strong_count(shard) == 1) && batches.all(|batch| batch.holders() == 1)
    }
    pub fn metrics(&self) -> RelationMetrics {
        let mut metrics = RelationMetrics::default();
        for shard in &self.shards {
            metrics.batches += shard.rows.len() + shard.errors.len();
            metrics.errors += shard.errors.iter().map(StoredBatch::updates).sum::<usize>();
            metrics.updates += shard.rows.iter().map(StoredBatch::updates).sum::<usize>();
            metrics.bytes += shard.rows.iter().chain(&shard.errors).map(StoredBatch::heap_bytes).sum::<usize>();
        }
        metrics
    }
}

/// What a relation's published arrangement costs. A view's operators may hold more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationMetrics {
    /// Updates in all batches: at least the number of rows.
    pub updates: usize,
    pub batches: usize,
    pub bytes: usize,
    pub errors: usize,
}

/// Keys of a batch that are still to come.
struct Keys<'a> {
    batch: &'a StoredBatch,
    start: usize,
    end: usize,
}

/// Values of a key in a batch that are still to come.
struct Values<'a> {
    batch: &'a StoredBatch,
    start: usize,
    end: usize,
}

impl<'a> Values<'a> {
    fn new(batch: &'a StoredBatch, key: usize) -> Values<'a> {
        let range = batch.values(key);
        Values { batch, start: range.start, end: range.end }
    }
}

/// Takes the first (or last) key off all batches that have it, and leaves its values in `values`.
fn take_first<'a>(keys: &mut SmallVec<[Keys<'a>; 8]>, descending: bool, values: &mut SmallVec<[Values<'a>; 8]>) -> Option<&'a [u8]> {
    values.clear();
    let at = |keys: &Keys<'a>| if descending { keys.end - 1 } else { keys.start };
    let mut best: Option<&'a [u8]> = None;
    for candidate in keys.iter() {
        let key = candidate.batch.key(at(candidate));
        if best.is_none_or(|best| if descending { key > best } else { key < best }) {
            best = Some(key);
        }
    }
    let best = best?;
    keys.retain(|candidate| {
        let position = at(candidate);
        if candidate.batch.key(position) == best {
            values.push(Values::new(candidate.batch, position));
            if descending { candidate.end -= 1 } else { candidate.start += 1 }
        }
        candidate.start < candidate.end
    });
    Some(best)
}

/// Visits the values of one key with their counts at a time. Returns false if `visit` did.
fn merge_values(values: &mut SmallVec<[Values<'_>; 8]>, descending: bool, time: Timestamp, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> bool {
    if let [only] = &values[..] {
        for step in 0..only.end - only.start {
            let position = if descending { only.end - 1 - step } else { only.start + step };
            let count = only.batch.count(position, time.0);
            if count != 0 && !visit(only.batch.value(position), count) {
                return false;
            }
        }
        return true;
    }
    while !values.is_empty() {
        let at = |values: &Values<'_>| if descending { values.end - 1 } else { values.start };
        let mut best = values[0].batch.value(at(&values[0]));
        for candidate in &values[1..] {
            let value = candidate.batch.value(at(candidate));
            if if descending { value > best } else { value < best } {
                best = value;
            }
        }
        let mut count = 0;
        values.retain(|candidate| {
            let position = at(candidate);
            if candidate.batch.value(position) == best {
                count += candidate.batch.count(position, time.0);
                if descending { candidate.end -= 1 } else { candidate.start += 1 }
            }
            candidate.start < candidate.end
        });
        if count != 0 && !visit(best, count) {
            return false;
        }
    }
    true
}

/// The published relations at one timestamp, as [`plan::evaluate`] wants them.
pub struct SnapshotInputs<'a> {
    pub published: &'a Published,
    /// Must be readable: `since <= timestamp < upper` of everything that is read.
    pub timestamp: Timestamp,
}

impl SnapshotInputs<'_> {
    fn relation(&self, id: CollectionId) -> Result<&RelationSnapshot, EvalError> {
        let unknown = || EvalError::new(SqlState::INTERNAL_ERROR, format!("relation {id} is not maintained"));
        let relation = self.published.get(id).ok_or_else(unknown)?;
        if !(relation.since() <= self.timestamp && self.timestamp < relation.upper()) {
            return Err(EvalError::new(SqlState::INTERNAL_ERROR, format!("relation {id} cannot be read at timestamp {}", self.timestamp)));
        }
        match relation.error(self.timestamp) {
            Some(error) => Err(error),
            None => Ok(relation),
        }
    }
}

impl Inputs for SnapshotInputs<'_> {
    fn scan(&self, id: CollectionId, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.relation(id)?.scan(self.timestamp, visit);
        Ok(())
    }
    fn lookup(&self, _id: CollectionId, index: CollectionId, key: &Row, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.relation(index)?.lookup(self.timestamp, key, visit);
        Ok(())
    }
    fn range(
        &self,
        _id: CollectionId,
        index: CollectionId,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        descending: bool,
        visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) -> Result<(), EvalError> {
        self.relation(index)?.range(self.timestamp, lower, upper, descending, visit);
        Ok(())
    }
    fn index_columns(&self, _id: CollectionId, index: CollectionId) -> Option<Vec<usize>> {
        self.published.get(index)?.layout.shape.key_columns()
    }
}

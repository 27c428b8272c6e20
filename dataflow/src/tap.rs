//! The changes of a relation as a stream: the batches of its published arrangement are the stream, so a tap costs no dataflow.

use crate::RelationSnapshot;
use crate::layout::Reassembly;
use crate::published::Shard;
use crate::render::StoredBatch;
use repr::{Diff, EvalError, Row, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A subscription to one relation: what it holds at `as_of`, then every change after it.
///
/// What is not read is kept as shared batches, up to [`crate::Config::tap_updates_max`] updates; then the tap is closed with [`TapError::Lagged`].
/// Dropping the tap ends it.
pub struct Tap {
    as_of: Timestamp,
    queue: Arc<TapQueue>,
    /// The relation when the tap was made; gone once the snapshot was taken.
    base: Option<RelationSnapshot>,
    reassembly: Reassembly,
    /// Every change before it was returned.
    returned: Timestamp,
    /// Changes of shards that are ahead of others.
    rows: BTreeMap<Timestamp, Vec<(Row, Diff)>>,
    errors: BTreeMap<Timestamp, Vec<(EvalError, Diff)>>,
}

/// All changes up to `upper` that were not returned before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapEvent {
    pub upper: Timestamp,
    /// Ordered by time, then row; each row once a time, with a difference that is not zero.
    pub updates: Vec<(Row, Timestamp, Diff)>,
    pub errors: Vec<(EvalError, Timestamp, Diff)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapError {
    /// The relation has forgotten the asked time: it can be read from `since` on.
    NotReadable { since: Timestamp },
    /// The reader was too slow. Everything before the time was returned: a new tap can go on from there while it is readable.
    Lagged { at: Timestamp },
    /// The relation was dropped or the engine shut down.
    Closed,
}

/// Where workers leave what they sealed.
pub(crate) struct TapQueue {
    state: Mutex<QueueState>,
    updates_max: usize,
    notify: Arc<dyn Fn() + Send + Sync>,
}

struct QueueState {
    /// Worker, its new batches.
    sealed: Vec<(usize, Shard)>,
    uppers: Vec<Timestamp>,
    updates: usize,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lagged,
    Closed,
}

impl TapQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Adds what a worker sealed since it added something last.
    pub fn push(&self, worker: usize, sealed: Shard) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.updates += sealed.rows.iter().chain(&sealed.errors).map(StoredBatch::updates).sum::<usize>();
        if state.updates > self.updates_max {
            state.end = Some(End::Lagged);
            state.sealed = Vec::new();
        } else {
            state.uppers[worker] = sealed.upper;
            state.sealed.push((worker, sealed));
        }
    }
    pub fn close(&self) {
        self.lock().end.get_or_insert(End::Closed);
    }
    pub fn notify(&self) {
        (self.notify)()
    }
}

impl Tap {
    /// A tap on a relation as it is now; what the workers seal from now on must be pushed to its queue.
    pub(crate) fn new(
        relation: &RelationSnapshot,
        as_of: Timestamp,
        updates_max: usize,
        notify: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Tap, Arc<TapQueue>), TapError> {
        if as_of < relation.since() {
            return Err(TapError::NotReadable { since: relation.since() });
        }
        let uppers = relation.shards.iter().map(|shard| shard.upper).collect();
        let state = Mutex::new(QueueState { sealed: Vec::new(), uppers, updates: 0, end: None });
        let queue = Arc::new(TapQueue { state, updates_max, notify });
        let tap = Tap {
            as_of,
            queue: Arc::clone(&queue),
            base: Some(relation.clone()),
            reassembly: relation.layout.reassembly.clone(),
            returned: as_of.next(),
            rows: BTreeMap::new(),
            errors: BTreeMap::new(),
        };
        Ok((tap, queue))
    }
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }
    /// The relation as of `as_of`: read it at exactly that time. `None` while `as_of` is not complete, and once it was taken.
    pub fn snapshot(&mut self) -> Result<Option<Arc<RelationSnapshot>>, TapError> {
        let upper = self.absorb()?;
        if upper <= self.as_of {
            return Ok(None);
        }
        let Some(mut relation) = self.base.take() else { return Ok(None) };
        // All workers are past `as_of` in `base` by now: `absorb` has put what they sealed since into it.
        relation.since = relation.since.max(self.as_of);
        self.split_base(&mut relation);
        Ok(Some(Arc::new(relation)))
    }
    /// The next changes, all after `as_of`; `None` if there is no progress since the last call, or before the snapshot was taken.
    /// An event without updates is progress.
    pub fn next_ready(&mut self) -> Result<Option<TapEvent>, TapError> {
        let upper = self.absorb()?;
        if self.base.is_some() || upper <= self.returned {
            return Ok(None);
        }
        let later = self.rows.split_off(&upper);
        let updates = flatten(std::mem::replace(&mut self.rows, later));
        let later = self.errors.split_off(&upper);
        let errors = flatten(std::mem::replace(&mut self.errors, later));
        self.returned = upper;
        Ok(Some(TapEvent { upper, updates, errors }))
    }
    /// Takes what was sealed; returns up to where all workers are.
    fn absorb(&mut self) -> Result<Timestamp, TapError> {
        let (sealed, upper) = {
            let mut state = self.queue.lock();
            match state.end {
                Some(End::Lagged) => return Err(TapError::Lagged { at: self.returned }),
                Some(End::Closed) if state.sealed.is_empty() => return Err(TapError::Closed),
                _ => {}
            }
            state.updates = 0;
            (std::mem::take(&mut state.sealed), state.uppers.iter().copied().min().unwrap_or(Timestamp::MAX))
        };
        for (worker, shard) in sealed {
            match &mut self.base {
                Some(base) => {
                    let whole = Arc::make_mut(&mut base.shards[worker]);
                    whole.upper = shard.upper;
                    whole.rows.extend(shard.rows);
                    whole.errors.extend(shard.errors);
                }
                None => self.stash(&shard.rows, &shard.errors),
            }
        }
        Ok(upper)
    }
    /// What the base has beyond `as_of` is already a change.
    fn split_base(&mut self, relation: &mut RelationSnapshot) {
        for shard in relation.shards.clone() {
            let is_later = |batch: &&StoredBatch| batch.bounds().1.is_none_or(|upper| upper > self.as_of.0);
            let rows: Vec<StoredBatch> = shard.rows.iter().filter(is_later).cloned().collect();
            let errors: Vec<StoredBatch> = shard.errors.iter().filter(is_later).cloned().collect();
            self.stash(&rows, &errors);
        }
    }
    /// Keeps the changes after `as_of`.
    fn stash(&mut self, rows: &[StoredBatch], errors: &[StoredBatch]) {
        let mut buffer = Vec::new();
        for batch in rows {
            batch.for_each(|key, value, time, diff| {
                if time > self.as_of.0 {
                    let row = Row::from_bytes(self.reassembly.row(key, value, &mut buffer));
                    self.rows.entry(Timestamp(time)).or_default().push((row, diff));
                }
            });
        }
        for batch in errors {
            batch.for_each(|key, _, time, diff| {
                if time > self.as_of.0 {
                    self.errors.entry(Timestamp(time)).or_default().push((EvalError::from_row(&Row::from_bytes(key)), diff));
                }
            });
        }
    }
}

/// Sums the changes of each time up.
fn flatten<D: Ord>(by_time: BTreeMap<Timestamp, Vec<(D, Diff)>>) -> Vec<(D, Timestamp, Diff)> {
    let mut flat = Vec::new();
    for (time, mut changes) in by_time {
        changes.sort();
        let mut sum: Option<(D, Diff)> = None;
        for (data, diff) in changes {
            match &mut sum {
                Some((last, total)) if *last == data => *total += diff,
                _ => flat.extend(sum.replace((data, diff)).filter(|(_, total)| *total != 0).map(|(data, total)| (data, time, total))),
            }
        }
        flat.extend(sum.filter(|(_, total)| *total != 0).map(|(data, total)| (data, time, total)));
    }
    flat
}

impl fmt::Display for TapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TapError::NotReadable { since } => write!(formatter, "the relation can be read from timestamp {since} on"),
            TapError::Lagged { at } => write!(formatter, "the subscriber was too slow and lost its place at timestamp {at}"),
            TapError::Closed => formatter.write_str("the relation was dropped"),
        }
    }
}

impl std::error::Error for TapError {}

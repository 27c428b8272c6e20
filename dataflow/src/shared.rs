//! What workers, callers and readers share: the relations and how far each worker is with them.
//!
//! All of it is behind one lock that is held for microseconds; readers do not take it, they load [`Published`].
//!
//! # Since
//! A relation keeps the last time at which *all* relations can be read together (the least upper of the hydrated ones, minus one), and more if a hold
//! asks for it. The decision is made here, under the lock, and only ever moves forward; workers compact up to what was decided and never beyond. So a
//! time that is granted under the lock ([`State::grant`]) is known to be readable on every worker.

use crate::layout::Shape;
use crate::published::{RelationLayout, Shard};
use crate::tap::TapQueue;
use crate::{Config, EngineError, Event, OnEvent, Published, RelationSnapshot, Tap, TapError};
use arc_swap::ArcSwap;
use repr::{CollectionId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) struct Shared {
    pub config: Config,
    published: ArcSwap<Published>,
    state: Mutex<State>,
    /// Signalled when frames were completed, and at the end.
    caught_up: Condvar,
    on_event: OnEvent,
    stopped: AtomicBool,
}

#[derive(Default)]
pub(crate) struct State {
    pub relations: BTreeMap<CollectionId, Relation>,
    /// The upper of the last frame.
    pub last_upper: Timestamp,
    /// Frames some relation does not show yet: their uppers and numbers of updates.
    frames: VecDeque<(Timestamp, usize)>,
    updates_behind: usize,
}

pub(crate) struct Relation {
    /// What it is made from.
    pub inputs: BTreeSet<CollectionId>,
    pub is_input: bool,
    pub snapshot: RelationSnapshot,
    /// Of an input: changes before it were handed in.
    pub fed: Timestamp,
    as_of: Timestamp,
    /// The time asked for by `allow_compaction`.
    hold: Option<Timestamp>,
    /// Times that relations in the making start from, and how many workers have not imported them yet.
    pins: BTreeMap<Timestamp, usize>,
    taps: Vec<Arc<TapQueue>>,
    /// It was dropped; workers that have not taken notice yet.
    dropping: Option<usize>,
}

/// What one worker has new of one relation.
pub(crate) struct Progress {
    pub id: CollectionId,
    pub shard: Arc<Shard>,
    /// The part of `shard` that was sealed since the last publication.
    pub sealed: Shard,
}

impl Shared {
    pub fn new(config: Config, on_event: OnEvent) -> Shared {
        Shared {
            config,
            published: ArcSwap::default(),
            state: Mutex::default(),
            caught_up: Condvar::new(),
            on_event,
            stopped: AtomicBool::new(false),
        }
    }
    pub fn published(&self) -> Arc<Published> {
        self.published.load_full()
    }
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn tell(&self, event: Event) {
        (self.on_event)(event)
    }
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
    /// Ends everything: commands are refused, waiters and taps return.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let taps: Vec<Arc<TapQueue>> = self.lock().relations.values().flat_map(|relation| relation.taps.clone()).collect();
        self.caught_up.notify_all();
        for tap in taps {
            tap.close();
            tap.notify();
        }
    }

    /// Waits until another frame may be handed in. `Err`: the engine has stopped.
    pub fn wait_until_ready<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, EngineError> {
        loop {
            if self.is_stopped() {
                return Err(EngineError::Stopped);
            }
            if state.is_ready(&self.config) {
                return Ok(state);
            }
            state = self.caught_up.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes the state visible to readers.
    pub fn swap(&self, state: &State) {
        let relations = state.relations.iter().filter(|(_, relation)| relation.dropping.is_none());
        let before = self.published.load();
        let relations = relations.map(|(id, relation)| {
            // What did not change stays the same object.
            match before.get(*id) {
                Some(snapshot) if is_same(snapshot, &relation.snapshot) => (*id, Arc::clone(snapshot)),
                _ => (*id, Arc::new(relation.snapshot.clone())),
            }
        });
        self.published.store(Arc::new(Published { relations: relations.collect() }));
    }

    /// Publishes what a worker has new. Returns how far each relation may be compacted.
    pub fn publish(&self, worker: usize, progress: Vec<Progress>) -> Vec<(CollectionId, Timestamp)> {
        let mut events = vec![Event::Progress];
        let mut taps: Vec<Arc<TapQueue>> = Vec::new();
        let mut garbage = Vec::new();
        let sinces = {
            let mut state = self.lock();
            for Progress { id, shard, sealed } in progress {
                let Some(relation) = state.relations.get_mut(&id).filter(|relation| relation.dropping.is_none()) else { continue };
                relation.taps.retain(|tap| Arc::strong_count(tap) > 1);
                for tap in &relation.taps {
                    tap.push(worker, sealed.clone());
                    taps.push(Arc::clone(tap));
                }
                garbage.push(std::mem::replace(&mut relation.snapshot.shards[worker], shard));
            }
            events.extend(state.settle().into_iter().map(Event::Hydrated));
            if state.retire_frames() {
                self.caught_up.notify_all();
            }
            self.swap(&state);
            state.relations.iter().map(|(id, relation)| (*id, relation.snapshot.since)).collect()
        };
        events.into_iter().for_each(|event| self.tell(event));
        taps.iter().for_each(|tap| tap.notify());
        sinces
    }

    /// A worker has given up a dropped relation.
    pub fn dropped(&self, id: CollectionId) {
        let is_gone = {
            let mut state = self.lock();
            let is_gone = match state.relations.get_mut(&id).and_then(|relation| relation.dropping.as_mut()) {
                Some(workers) => {
                    *workers -= 1;
                    *workers == 0
                }
                None => false,
            };
            if is_gone {
                state.relations.remove(&id);
            }
            is_gone
        };
        if is_gone {
            self.tell(Event::Dropped(id));
        }
    }

    pub fn tap(&self, id: CollectionId, as_of: Timestamp, notify: Arc<dyn Fn() + Send + Sync>) -> Result<Tap, TapError> {
        let mut state = self.lock();
        let relation = state.relations.get_mut(&id).filter(|relation| relation.dropping.is_none()).ok_or(TapError::Closed)?;
        if self.is_stopped() {
            return Err(TapError::Closed);
        }
        let (tap, queue) = Tap::new(&relation.snapshot, as_of, self.config.tap_updates_max, notify)?;
        relation.taps.push(queue);
        Ok(tap)
    }
}

fn is_same(left: &RelationSnapshot, right: &RelationSnapshot) -> bool {
    let shards = left.shards.iter().zip(&right.shards);
    left.since == right.since && left.is_hydrated == right.is_hydrated && shards.into_iter().all(|(left, right)| Arc::ptr_eq(left, right))
}

impl State {
    fn is_ready(&self, config: &Config) -> bool {
        self.frames.len() < config.frames_behind_max && self.updates_behind < config.updates_behind_max
    }
    pub fn behind(&self) -> (usize, usize) {
        (self.frames.len(), self.updates_behind)
    }
    pub fn try_ready(&self, config: &Config) -> bool {
        self.is_ready(config)
    }
    pub fn add_frame(&mut self, upper: Timestamp, updates: usize) {
        self.last_upper = upper;
        self.relations.values_mut().for_each(|relation| relation.fed = relation.fed.max(upper));
        self.frames.push_back((upper, updates));
        self.updates_behind += updates;
    }
    pub fn relation(&self, id: CollectionId) -> Result<&Relation, EngineError> {
        self.relations.get(&id).filter(|relation| relation.dropping.is_none()).ok_or(EngineError::UnknownRelation(id))
    }
    pub fn add(&mut self, id: CollectionId, shape: Shape, inputs: BTreeSet<CollectionId>, is_input: bool, as_of: Timestamp, workers: usize) {
        let layout = Arc::new(RelationLayout { reassembly: shape.reassembly(), shape });
        let shard = Arc::new(Shard { upper: as_of, ..Shard::default() });
        let snapshot = RelationSnapshot { since: as_of, is_hydrated: false, layout, shards: vec![shard; workers] };
        let relation =
            Relation { inputs, is_input, snapshot, fed: as_of, as_of, hold: None, pins: BTreeMap::new(), taps: Vec::new(), dropping: None };
        self.relations.insert(id, relation);
    }
    /// The first time from which all of `inputs` can be followed, not before `as_of`. It stays so until every worker has said [`State::unpin`].
    pub fn grant(&mut self, inputs: &BTreeSet<CollectionId>, as_of: Timestamp, workers: usize) -> Result<Timestamp, EngineError> {
        let mut granted = as_of;
        for id in inputs {
            granted = granted.max(self.relation(*id)?.snapshot.since);
        }
        for id in inputs {
            if let Some(relation) = self.relations.get_mut(id) {
                *relation.pins.entry(granted).or_default() += workers;
            }
        }
        Ok(granted)
    }
    /// A worker has imported what it needs as of `time`.
    pub fn unpin(&mut self, inputs: &BTreeSet<CollectionId>, time: Timestamp) {
        for id in inputs {
            let Some(relation) = self.relations.get_mut(id) else { continue };
            if let Some(workers) = relation.pins.get_mut(&time) {
                *workers -= 1;
                if *workers == 0 {
                    relation.pins.remove(&time);
                }
            }
        }
    }
    /// See [`crate::Control::allow_compaction`].
    pub fn hold(&mut self, id: CollectionId, since: Timestamp) -> Result<Timestamp, EngineError> {
        let relation = self.relations.get_mut(&id).filter(|relation| relation.dropping.is_none()).ok_or(EngineError::UnknownRelation(id))?;
        let held = since.max(relation.snapshot.since);
        relation.hold = (since < Timestamp::MAX).then_some(held);
        Ok(held)
    }
    /// Marks a relation as dropped. Returns its taps.
    pub fn begin_drop(&mut self, id: CollectionId, workers: usize) -> Result<Vec<Arc<TapQueue>>, EngineError> {
        self.relation(id)?;
        let by: Vec<CollectionId> =
            self.relations.iter().filter(|(_, relation)| relation.dropping.is_none() && relation.inputs.contains(&id)).map(|(by, _)| *by).collect();
        if !by.is_empty() {
            return Err(EngineError::StillUsed { id, by });
        }
        let Some(relation) = self.relations.get_mut(&id) else { return Err(EngineError::UnknownRelation(id)) };
        relation.dropping = Some(workers);
        relation.snapshot.shards.iter_mut().for_each(|shard| *shard = Arc::new(Shard { upper: shard.upper, ..Shard::default() }));
        Ok(std::mem::take(&mut relation.taps))
    }

    /// The least upper of the hydrated relations, and of the frames.
    fn common_upper(&self) -> Timestamp {
        let hydrated = self.relations.values().filter(|relation| relation.dropping.is_none() && relation.snapshot.is_hydrated);
        hydrated.map(|relation| relation.snapshot.upper()).min().unwrap_or(self.last_upper).min(self.last_upper)
    }
    /// Decides who is hydrated and who may forget what. Returns the newly hydrated views and indexes.
    pub fn settle(&mut self) -> Vec<CollectionId> {
        let common_upper = self.common_upper();
        let mut hydrated = Vec::new();
        for (id, relation) in &mut self.relations {
            let upper = relation.snapshot.upper();
            if !relation.snapshot.is_hydrated && relation.dropping.is_none() && upper > relation.as_of && upper >= common_upper {
                relation.snapshot.is_hydrated = true;
                if !relation.is_input {
                    hydrated.push(*id);
                }
            }
        }
        let together = common_upper.previous().unwrap_or_default();
        for relation in self.relations.values_mut() {
            let own = relation.snapshot.upper().previous().unwrap_or_default();
            let pinned = relation.pins.keys().next().copied().unwrap_or(Timestamp::MAX);
            let since = together.min(own).min(relation.hold.unwrap_or(Timestamp::MAX)).min(pinned);
            relation.snapshot.since = relation.snapshot.since.max(since);
        }
        hydrated
    }
    /// Forgets the frames every hydrated relation shows. Whether there were any.
    fn retire_frames(&mut self) -> bool {
        let common_upper = self.common_upper();
        let before = self.frames.len();
        while let Some((_, updates)) = self.frames.pop_front_if(|(upper, _)| *upper <= common_upper) {
            self.updates_behind -= updates;
        }
        self.frames.len() < before
    }
}

//! Commands in, events out.

use crate::layout::{Shape, canonical};
use crate::render::{Command, SteppedWorker, Workers, check_maintainable};
use crate::shared::Shared;
use crate::{Config, EngineError, Frame, IndexDescription, InputDescription, OnEvent, Published, Tap, TapError, ViewDescription};
use crossbeam_channel::{Receiver, Sender, unbounded};
use repr::{CollectionId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

/// The handle of an engine: cheap to clone, used from any thread.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
    workers: Arc<Mailboxes>,
}

/// Where commands for the workers go. Every worker sees the same commands in the same order.
pub(crate) struct Mailboxes {
    senders: Mutex<Vec<Sender<Command>>>,
    threads: Vec<OnceLock<Thread>>,
}

impl Mailboxes {
    /// `command` makes each worker's own.
    fn send(&self, command: impl Fn(usize) -> Command) {
        {
            let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            for (worker, sender) in senders.iter().enumerate() {
                // A worker that is gone has said so by an event.
                drop(sender.send(command(worker)));
            }
        }
        self.wake();
    }
    pub fn wake(&self) {
        self.threads.iter().filter_map(OnceLock::get).for_each(Thread::unpark);
    }
    /// Says which thread is to be woken for a worker's commands.
    pub fn set_thread(&self, worker: usize, thread: Thread) {
        drop(self.threads[worker].set(thread));
    }
}

impl Control {
    fn new(config: Config, on_event: OnEvent) -> (Control, Vec<Receiver<Command>>) {
        let (senders, receivers) = (0..config.workers).map(|_| unbounded()).unzip();
        let threads = (0..config.workers).map(|_| OnceLock::new()).collect();
        let shared = Arc::new(Shared::new(config, on_event));
        (Control { shared, workers: Arc::new(Mailboxes { senders: Mutex::new(senders), threads }) }, receivers)
    }
    fn workers(&self) -> usize {
        self.shared.config.workers
    }
    fn check_running(&self) -> Result<(), EngineError> {
        if self.shared.is_stopped() { Err(EngineError::Stopped) } else { Ok(()) }
    }

    /// A base collection, complete up to `as_of` and empty there: its contents at `as_of` arrive with the next frame, at the time `as_of`.
    pub fn create_input(&self, id: CollectionId, description: InputDescription, as_of: Timestamp) -> Result<(), EngineError> {
        self.check_running()?;
        let shape = Shape::by_columns(description.types, &description.key);
        let mut state = self.shared.lock();
        if state.relations.contains_key(&id) {
            return Err(EngineError::DuplicateRelation(id));
        }
        state.add(id, shape.clone(), BTreeSet::new(), true, as_of, self.workers());
        self.shared.swap(&state);
        self.workers.send(|_| Command::CreateInput { id, shape: shape.clone(), as_of });
        Ok(())
    }
    /// A maintained view. Returns the `as_of` it starts from: the one asked for, or the first one its inputs still know.
    /// It is published at once, empty and with an upper of that time, and hydrates from there ([`crate::Event::Hydrated`]).
    pub fn create_view(&self, description: ViewDescription) -> Result<Timestamp, EngineError> {
        self.check_running()?;
        check_maintainable(&description.plan)?;
        let id = description.id;
        let inputs: BTreeSet<CollectionId> = description.plan.global_inputs().into_iter().collect();
        let shape = Shape::by_columns(description.plan.column_types(), &description.key);
        let mut state = self.shared.lock();
        if state.relations.contains_key(&id) {
            return Err(EngineError::DuplicateRelation(id));
        }
        let as_of = state.grant(&inputs, description.as_of, self.workers())?;
        state.add(id, shape.clone(), inputs, false, as_of, self.workers());
        self.shared.swap(&state);
        let description = Arc::new(ViewDescription { as_of, ..description });
        self.workers.send(|_| Command::CreateView { description: Arc::clone(&description), shape: shape.clone() });
        Ok(as_of)
    }
    /// Another arrangement of an existing relation, published under its own id. Returns the `as_of` it starts from.
    pub fn create_index(&self, description: IndexDescription) -> Result<Timestamp, EngineError> {
        self.check_running()?;
        let id = description.id;
        let inputs = BTreeSet::from([description.on]);
        let mut state = self.shared.lock();
        if state.relations.contains_key(&id) {
            return Err(EngineError::DuplicateRelation(id));
        }
        let types = state.relation(description.on)?.snapshot.layout.shape.types.clone();
        let key = description.key.iter().map(|scalar| canonical(scalar.clone(), &types)).collect();
        let mut shape = Shape::new(types, key);
        // An index holds whole rows, so that what reads it needs nothing else.
        shape.value = (0..shape.arity()).collect();
        let as_of = state.grant(&inputs, description.as_of, self.workers())?;
        state.add(id, shape.clone(), inputs, false, as_of, self.workers());
        self.shared.swap(&state);
        let description = Arc::new(IndexDescription { as_of, ..description });
        self.workers.send(|_| Command::CreateIndex { description: Arc::clone(&description), shape: shape.clone() });
        Ok(as_of)
    }
    /// Hands in one frame. Waits while the workers are too far behind; never call it on a worker's thread (in an event).
    pub fn update(&self, frame: Frame) -> Result<(), EngineError> {
        let state = self.shared.wait_until_ready(self.shared.lock())?;
        self.send_frame(state, frame)
    }
    /// Like `update`, but returns the frame instead of waiting.
    pub fn try_update(&self, frame: Frame) -> Result<Option<Frame>, EngineError> {
        self.check_running()?;
        let state = self.shared.lock();
        if !state.try_ready(&self.shared.config) {
            return Ok(Some(frame));
        }
        self.send_frame(state, frame).map(|()| None)
    }
    fn send_frame(&self, mut state: std::sync::MutexGuard<'_, crate::shared::State>, frame: Frame) -> Result<(), EngineError> {
        let (upper, last) = (frame.upper, state.last_upper);
        let out_of_order = EngineError::FrameOutOfOrder { upper, last };
        if upper <= last {
            return Err(out_of_order);
        }
        for batch in &frame.batches {
            let relation = state.relation(batch.id)?;
            if !relation.is_input {
                return Err(EngineError::UnknownRelation(batch.id));
            }
            let times = batch.rows.iter().map(|(_, time, _)| time).chain(batch.errors.iter().map(|(_, time, _)| time));
            if times.into_iter().any(|time| *time < relation.fed || *time >= upper) {
                return Err(out_of_order);
            }
        }
        state.add_frame(upper, frame.updates());
        let shares = Mutex::new(share(frame, self.workers()));
        // Sent under the lock, so that frames and creations reach the workers in the order in which they were checked.
        self.workers.send(|worker| {
            let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
            Command::Update { upper, batches: std::mem::take(&mut shares[worker]) }
        });
        Ok(())
    }
    /// Sets the earliest time a relation keeps readable. Without it (and after `Timestamp::MAX`) a relation keeps the last time at which all
    /// relations can be read together. Returns the time that is really held: later than asked if it was forgotten already.
    pub fn allow_compaction(&self, id: CollectionId, since: Timestamp) -> Result<Timestamp, EngineError> {
        self.shared.lock().hold(id, since)
    }
    /// Ends a relation and frees its memory, once snapshots that readers hold are gone. Refused while other relations are made from it.
    pub fn drop_relation(&self, id: CollectionId) -> Result<(), EngineError> {
        self.check_running()?;
        let taps = {
            let mut state = self.shared.lock();
            let taps = state.begin_drop(id, self.workers())?;
            self.shared.swap(&state);
            self.workers.send(|_| Command::Drop { id });
            taps
        };
        for tap in taps {
            tap.close();
            tap.notify();
        }
        Ok(())
    }
    /// The newest snapshots of all relations; no lock, a few nanoseconds.
    pub fn published(&self) -> Arc<Published> {
        self.shared.published()
    }
    /// Subscribes to a relation. `notify` is called (on worker threads) when the tap may have something new.
    pub fn tap(&self, id: CollectionId, as_of: Timestamp, notify: Arc<dyn Fn() + Send + Sync>) -> Result<Tap, TapError> {
        self.shared.tap(id, as_of, notify)
    }
    /// Frames and updates that were handed in and are not shown by every relation yet.
    pub fn behind(&self) -> (usize, usize) {
        self.shared.lock().behind()
    }
}

/// A worker's part of the updates of a frame.
pub(crate) type Updates = Vec<(CollectionId, crate::InputBatch)>;

/// Divides a frame among the workers, which exchange rows by key afterwards.
fn share(frame: Frame, workers: usize) -> Vec<Updates> {
    let mut shares: Vec<BTreeMap<CollectionId, crate::InputBatch>> = (0..workers).map(|_| BTreeMap::new()).collect();
    for batch in frame.batches {
        let id = batch.id;
        let mut rows = batch.rows;
        let mut errors = batch.errors;
        for worker in (0..workers).rev() {
            let keep = |length: usize| length * worker / (worker + 1);
            let share = shares[worker].entry(id).or_insert_with(|| crate::InputBatch { id, rows: Vec::new(), errors: Vec::new() });
            append(&mut share.rows, &mut rows, keep);
            append(&mut share.errors, &mut errors, keep);
        }
    }
    shares.into_iter().map(|share| share.into_iter().collect()).collect()
}

/// Moves what is beyond `keep` of the length; the whole vector at no cost when that is everything.
fn append<D>(target: &mut Vec<D>, source: &mut Vec<D>, keep: impl Fn(usize) -> usize) {
    let mut tail = match keep(source.len()) {
        0 => std::mem::take(source),
        kept => source.split_off(kept),
    };
    if target.is_empty() { *target = tail } else { target.append(&mut tail) }
}

/// An engine with its worker threads.
pub struct Engine {
    control: Control,
    workers: Option<Workers>,
}

impl Engine {
    /// Starts the worker threads. Panics if the system refuses a thread.
    pub fn start(config: Config, on_event: OnEvent) -> Engine {
        let config = Config { workers: config.workers.max(1), ..config };
        let (control, receivers) = Control::new(config, on_event);
        let workers = Workers::start(Arc::clone(&control.shared), Arc::clone(&control.workers), receivers);
        Engine { control, workers: Some(workers) }
    }
    pub fn control(&self) -> &Control {
        &self.control
    }
    /// Ends the workers and waits for them.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.control.shared.stop();
        self.control.workers.wake();
        if let Some(workers) = self.workers.take() {
            workers.join();
        }
    }
}

impl std::ops::Deref for Engine {
    type Target = Control;
    fn deref(&self) -> &Control {
        &self.control
    }
}

/// An engine of one worker without a thread: the caller steps it. Same commands, same order, same results.
pub struct Stepper {
    control: Control,
    worker: SteppedWorker,
}

impl Stepper {
    pub fn new(config: Config, on_event: OnEvent) -> Stepper {
        let (control, mut receivers) = Control::new(Config { workers: 1, ..config }, on_event);
        let worker = SteppedWorker::new(Arc::clone(&control.shared), receivers.remove(0));
        Stepper { control, worker }
    }
    /// Takes the commands that were given and runs every operator that has something to do, once. Returns whether there may be more to do.
    pub fn step(&mut self) -> bool {
        self.worker.step()
    }
    /// Steps until there is nothing left to do.
    pub fn settle(&mut self) {
        while self.step() {}
    }
}

impl std::ops::Deref for Stepper {
    type Target = Control;
    fn deref(&self) -> &Control {
        &self.control
    }
}

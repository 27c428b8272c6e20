//! Commands in, events out.

use crate::{Config, EngineError, Frame, IndexDescription, InputDescription, OnEvent, Published, Tap, TapError, ViewDescription};
use repr::{CollectionId, Timestamp};
use std::sync::Arc;

/// The handle of an engine: cheap to clone, used from any thread.
#[derive(Clone)]
pub struct Control {}

#[allow(unused_variables)]
impl Control {
    /// A base collection, complete up to `as_of` and empty there: its contents at `as_of` arrive with the next frame, at the time `as_of`.
    pub fn create_input(&self, id: CollectionId, description: InputDescription, as_of: Timestamp) -> Result<(), EngineError> {
        todo!()
    }
    /// A maintained view. Returns the `as_of` it starts from: the one asked for, or the first one its inputs still know.
    /// It is published at once, empty and with an upper of that time, and hydrates from there ([`crate::Event::Hydrated`]).
    pub fn create_view(&self, description: ViewDescription) -> Result<Timestamp, EngineError> {
        todo!()
    }
    /// Another arrangement of an existing relation, published under its own id. Returns the `as_of` it starts from.
    pub fn create_index(&self, description: IndexDescription) -> Result<Timestamp, EngineError> {
        todo!()
    }
    /// Hands in one frame. Waits while the workers are too far behind; never call it on a worker's thread (in an event).
    pub fn update(&self, frame: Frame) -> Result<(), EngineError> {
        todo!()
    }
    /// Like `update`, but returns the frame instead of waiting.
    pub fn try_update(&self, frame: Frame) -> Result<Option<Frame>, EngineError> {
        todo!()
    }
    /// Sets the earliest time a relation keeps readable. Without it (and after `Timestamp::MAX`) a relation keeps the last time at which all
    /// relations can be read together. Returns the time that is really held: later than asked if it was forgotten already.
    pub fn allow_compaction(&self, id: CollectionId, since: Timestamp) -> Result<Timestamp, EngineError> {
        todo!()
    }
    /// Ends a relation and frees its memory, once snapshots that readers hold are gone. Refused while other relations are made from it.
    pub fn drop_relation(&self, id: CollectionId) -> Result<(), EngineError> {
        todo!()
    }
    /// The newest snapshots of all relations; no lock, a few nanoseconds.
    pub fn published(&self) -> Arc<Published> {
        todo!()
    }
    /// Subscribes to a relation. `notify` is called (on worker threads) when the tap may have something new.
    pub fn tap(&self, id: CollectionId, as_of: Timestamp, notify: Arc<dyn Fn() + Send + Sync>) -> Result<Tap, TapError> {
        todo!()
    }
    /// Frames and updates that were handed in and are not shown by every relation yet.
    pub fn behind(&self) -> (usize, usize) {
        todo!()
    }
}

/// An engine with its worker threads.
pub struct Engine {
    control: Control,
}

impl Engine {
    pub fn start(_config: Config, _on_event: OnEvent) -> Engine {
        todo!()
    }
    pub fn control(&self) -> &Control {
        &self.control
    }
    /// Ends the workers and waits for them.
    pub fn shutdown(self) {
        todo!()
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
}

impl Stepper {
    pub fn new(_config: Config, _on_event: OnEvent) -> Stepper {
        todo!()
    }
    /// Takes the commands that were given and runs every operator that has something to do, once. Returns whether there may be more to do.
    pub fn step(&mut self) -> bool {
        todo!()
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

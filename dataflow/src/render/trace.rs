//! One type for every arrangement a dataflow reads: its own, another dataflow's as of a time, or an outer scope's inside of a recursion.
//!
//! Differential wraps a trace in another type for each of these, and every operator would be compiled for every pair of them. Here the difference is
//! a match in the cursor.

use super::Time;
use super::batch::{RowLayout, RowSpine, Shared};
use super::container::{Packed, PackedRows};
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::Cursor;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, val_batch::OrdValCursor};
use differential_dataflow::trace::{BatchReader, Description, Navigable, TraceReader};
use repr::Row;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::{Operator, source};
use timely::dataflow::operators::{CapabilitySet, Enter};
use timely::dataflow::channels::pact::Pipeline;
use timely::progress::{Antichain, frontier::AntichainRef};

/// The times a reader wants to see: earlier ones become `as_of`, later ones vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub as_of: u64,
    /// `u64::MAX`: no end.
    pub until: u64,
}

impl Window {
    pub const ALL: Window = Window { as_of: 0, until: u64::MAX };
}

/// A readable trace with times `T`.
pub enum ReadTrace<T: Time> {
    Own(TraceAgent<RowSpine<T>>),
    Outer { agent: TraceAgent<RowSpine<u64>>, window: Window, outer: Antichain<u64>, inner: Antichain<T> },
}

impl<T: Time> ReadTrace<T> {
    fn outer(agent: TraceAgent<RowSpine<u64>>, window: Window) -> ReadTrace<T> {
        ReadTrace::Outer { agent, window, outer: Antichain::new(), inner: Antichain::new() }
    }
}

impl<T: Time> Clone for ReadTrace<T> {
    fn clone(&self) -> Self {
        match self {
            ReadTrace::Own(agent) => ReadTrace::Own(agent.clone()),
            ReadTrace::Outer { agent, window, .. } => ReadTrace::outer(agent.clone(), *window),
        }
    }
}

fn set_outer<T: Time>(outer: &mut Antichain<u64>, frontier: AntichainRef<'_, T>) {
    outer.clear();
    for time in frontier.iter() {
        outer.insert(time.clone().to_outer());
    }
}

fn set_inner<T: Time>(inner: &mut Antichain<T>, frontier: AntichainRef<'_, u64>) {
    inner.clear();
    for time in frontier.iter() {
        inner.insert(T::to_inner(*time));
    }
}

impl<T: Time> TraceReader for ReadTrace<T> {
    type Time = T;
    type Batch = ReadBatch<T>;

    fn batches_through(&mut self, upper: AntichainRef<T>) -> Option<Vec<ReadBatch<T>>> {
        match self {
            ReadTrace::Own(agent) => Some(agent.batches_through(upper)?.into_iter().map(ReadBatch::Own).collect()),
            ReadTrace::Outer { agent, window, outer, .. } => {
                set_outer(outer, upper);
                let window = *window;
                Some(agent.batches_through(outer.borrow())?.into_iter().map(|batch| ReadBatch::outer(batch, window)).collect())
            }
        }
    }
    fn set_logical_compaction(&mut self, frontier: AntichainRef<T>) {
        match self {
            ReadTrace::Own(agent) => agent.set_logical_compaction(frontier),
            ReadTrace::Outer { agent, outer, .. } => {
                set_outer(outer, frontier);
                agent.set_logical_compaction(outer.borrow())
            }
        }
    }
    fn get_logical_compaction(&mut self) -> AntichainRef<'_, T> {
        match self {
            ReadTrace::Own(agent) => agent.get_logical_compaction(),
            ReadTrace::Outer { agent, inner, .. } => {
                set_inner(inner, agent.get_logical_compaction());
                inner.borrow()
            }
        }
    }
    fn set_physical_compaction(&mut self, frontier: AntichainRef<'_, T>) {
        match self {
            ReadTrace::Own(agent) => agent.set_physical_compaction(frontier),
            ReadTrace::Outer { agent, outer, .. } => {
                set_outer(outer, frontier);
                agent.set_physical_compaction(outer.borrow())
            }
        }
    }
    fn get_physical_compaction(&mut self) -> AntichainRef<'_, T> {
        match self {
            ReadTrace::Own(agent) => agent.get_physical_compaction(),
            ReadTrace::Outer { agent, inner, .. } => {
                set_inner(inner, agent.get_physical_compaction());
                inner.borrow()
            }
        }
    }
    fn map_batches<F: FnMut(&ReadBatch<T>)>(&self, mut visit: F) {
        match self {
            ReadTrace::Own(agent) => agent.map_batches(|batch| visit(&ReadBatch::Own(batch.clone()))),
            ReadTrace::Outer { agent, window, .. } => agent.map_batches(|batch| visit(&ReadBatch::outer(batch.clone(), *window))),
        }
    }
}

/// A batch of a [`ReadTrace`].
#[derive(Clone)]
pub enum ReadBatch<T: Time> {
    Own(Shared<RowLayout<T>>),
    Outer { batch: Shared<RowLayout<u64>>, description: Description<T>, window: Window },
}

impl<T: Time> ReadBatch<T> {
    fn outer(batch: Shared<RowLayout<u64>>, window: Window) -> ReadBatch<T> {
        let convert = |frontier: &Antichain<u64>| frontier.iter().map(|time| T::to_inner(*time)).collect::<Antichain<T>>();
        let from = batch.description();
        let since = if from.since().less_equal(&window.as_of) { Antichain::from_elem(T::to_inner(window.as_of)) } else { convert(from.since()) };
        let description = Description::new(convert(from.lower()), convert(from.upper()), since);
        ReadBatch::Outer { batch, description, window }
    }
}

impl<T: Time> BatchReader for ReadBatch<T> {
    type Time = T;
    fn len(&self) -> usize {
        match self {
            ReadBatch::Own(batch) => batch.len(),
            ReadBatch::Outer { batch, .. } => batch.len(),
        }
    }
    fn description(&self) -> &Description<T> {
        match self {
            ReadBatch::Own(batch) => batch.description(),
            ReadBatch::Outer { description, .. } => description,
        }
    }
}

impl<T: Time> Navigable for ReadBatch<T> {
    type Cursor = ReadCursor<T>;
    fn cursor(&self) -> ReadCursor<T> {
        match self {
            ReadBatch::Own(batch) => ReadCursor::Own(batch.get().cursor()),
            ReadBatch::Outer { batch, .. } => ReadCursor::Outer(batch.get().cursor()),
        }
    }
}

/// Navigates a [`ReadBatch`].
pub enum ReadCursor<T: Time> {
    Own(OrdValCursor<RowLayout<T>>),
    Outer(OrdValCursor<RowLayout<u64>>),
}

enum Pair<'c, 's, T: Time> {
    Own(&'c OrdValCursor<RowLayout<T>>, &'s OrdValBatch<RowLayout<T>>),
    Outer(&'c OrdValCursor<RowLayout<u64>>, &'s OrdValBatch<RowLayout<u64>>),
}

impl<T: Time> ReadCursor<T> {
    #[inline(always)]
    fn pair<'c, 's>(&'c self, storage: &'s ReadBatch<T>) -> Pair<'c, 's, T> {
        match (self, storage) {
            (ReadCursor::Own(cursor), ReadBatch::Own(batch)) => Pair::Own(cursor, batch.get()),
            (ReadCursor::Outer(cursor), ReadBatch::Outer { batch, .. }) => Pair::Outer(cursor, batch.get()),
            _ => unreachable!("a cursor is used with the batch it came from"),
        }
    }
}

macro_rules! look {
    ($self:ident, $storage:ident, $cursor:ident, $batch:ident => $body:expr) => {
        match $self.pair($storage) {
            Pair::Own($cursor, $batch) => $body,
            Pair::Outer($cursor, $batch) => $body,
        }
    };
}
macro_rules! step {
    ($self:ident, $storage:ident, $cursor:ident, $batch:ident => $body:expr) => {
        match ($self, $storage) {
            (ReadCursor::Own($cursor), ReadBatch::Own(batch)) => {
                let $batch = batch.get();
                $body
            }
            (ReadCursor::Outer($cursor), ReadBatch::Outer { batch, .. }) => {
                let $batch = batch.get();
                $body
            }
            _ => unreachable!("a cursor is used with the batch it came from"),
        }
    };
}

impl<T: Time> Cursor for ReadCursor<T> {
    type Storage = ReadBatch<T>;
    type Key<'a> = Packed<'a>;
    type ValOwn = Row;
    type Val<'a> = Packed<'a>;
    type Time = T;
    type TimeGat<'a> = &'a T;
    type Diff = i64;
    type DiffGat<'a> = &'a i64;
    type KeyContainer = PackedRows;
    type ValContainer = PackedRows;
    type TimeContainer = Vec<T>;
    type DiffContainer = Vec<i64>;

    #[inline]
    fn key_valid(&self, storage: &ReadBatch<T>) -> bool {
        look!(self, storage, cursor, batch => cursor.key_valid(batch))
    }
    #[inline]
    fn val_valid(&self, storage: &ReadBatch<T>) -> bool {
        look!(self, storage, cursor, batch => cursor.val_valid(batch))
    }
    #[inline]
    fn key<'a>(&self, storage: &'a ReadBatch<T>) -> Packed<'a> {
        look!(self, storage, cursor, batch => cursor.key(batch))
    }
    #[inline]
    fn val<'a>(&self, storage: &'a ReadBatch<T>) -> Packed<'a> {
        look!(self, storage, cursor, batch => cursor.val(batch))
    }
    #[inline]
    fn get_key<'a>(&self, storage: &'a ReadBatch<T>) -> Option<Packed<'a>> {
        look!(self, storage, cursor, batch => cursor.get_key(batch))
    }
    #[inline]
    fn get_val<'a>(&self, storage: &'a ReadBatch<T>) -> Option<Packed<'a>> {
        look!(self, storage, cursor, batch => cursor.get_val(batch))
    }
    #[inline]
    fn map_times<F: FnMut(&T, &i64)>(&mut self, storage: &ReadBatch<T>, mut logic: F) {
        match (self, storage) {
            (ReadCursor::Own(cursor), ReadBatch::Own(batch)) => cursor.map_times(batch.get(), logic),
            (ReadCursor::Outer(cursor), ReadBatch::Outer { batch, window, .. }) => cursor.map_times(batch.get(), |time, diff| {
                let time = (*time).max(window.as_of);
                if time < window.until {
                    logic(&T::to_inner(time), diff)
                }
            }),
            _ => unreachable!("a cursor is used with the batch it came from"),
        }
    }
    #[inline]
    fn step_key(&mut self, storage: &ReadBatch<T>) {
        step!(self, storage, cursor, batch => cursor.step_key(batch))
    }
    #[inline]
    fn seek_key(&mut self, storage: &ReadBatch<T>, key: Packed<'_>) {
        step!(self, storage, cursor, batch => cursor.seek_key(batch, key))
    }
    #[inline]
    fn step_val(&mut self, storage: &ReadBatch<T>) {
        step!(self, storage, cursor, batch => cursor.step_val(batch))
    }
    #[inline]
    fn seek_val(&mut self, storage: &ReadBatch<T>, val: Packed<'_>) {
        step!(self, storage, cursor, batch => cursor.seek_val(batch, val))
    }
    #[inline]
    fn rewind_keys(&mut self, storage: &ReadBatch<T>) {
        step!(self, storage, cursor, batch => cursor.rewind_keys(batch))
    }
    #[inline]
    fn rewind_vals(&mut self, storage: &ReadBatch<T>) {
        step!(self, storage, cursor, batch => cursor.rewind_vals(batch))
    }
}

/// An arrangement of rows, wherever it lives.
pub type RowsArranged<'scope, T> = Arranged<'scope, ReadTrace<T>>;

/// Reads an arrangement that this dataflow made.
pub fn own<'scope, T: Time>(arranged: Arranged<'scope, TraceAgent<RowSpine<T>>>) -> RowsArranged<'scope, T> {
    let stream = arranged.stream.unary(Pipeline, "Read", |_, _| {
        move |input, output| {
            input.for_each(|capability, batches| {
                output.session(&capability).give_iterator(batches.drain(..).map(ReadBatch::Own));
            });
        }
    });
    Arranged { stream, trace: ReadTrace::Own(arranged.trace) }
}

/// Brings an arrangement of the outer scope into a recursive one.
pub fn enter<'inner, T: Time>(arranged: &RowsArranged<'_, u64>, scope: Scope<'inner, T>) -> RowsArranged<'inner, T> {
    let (agent, window) = match &arranged.trace {
        ReadTrace::Own(agent) => (agent.clone(), Window::ALL),
        ReadTrace::Outer { agent, window, .. } => (agent.clone(), *window),
    };
    let stream = arranged.stream.clone().enter(scope).unary(Pipeline, "Enter", move |_, _| {
        move |input, output| {
            input.for_each(|capability, batches| {
                output.session(&capability).give_iterator(batches.drain(..).map(|batch| match batch {
                    ReadBatch::Own(batch) => ReadBatch::outer(batch, Window::ALL),
                    ReadBatch::Outer { batch, window, .. } => ReadBatch::outer(batch, window),
                }));
            });
        }
    });
    Arranged { stream, trace: ReadTrace::outer(agent, window) }
}

/// What keeps an import alive; dropping it ends the import.
pub type ImportToken = std::rc::Rc<std::cell::RefCell<Option<CapabilitySet<u64>>>>;

/// Follows an arrangement of another dataflow: its contents as of `window.as_of`, then its changes before `window.until`.
pub fn import<'scope>(
    agent: &mut TraceAgent<RowSpine<u64>>,
    scope: Scope<'scope, u64>,
    name: &str,
    window: Window,
) -> (RowsArranged<'scope, u64>, ImportToken) {
    use differential_dataflow::operators::arrange::TraceReplayInstruction;
    let trace = ReadTrace::outer(agent.clone(), window);
    let token: ImportToken = std::rc::Rc::new(std::cell::RefCell::new(Some(CapabilitySet::new())));
    let capabilities = std::rc::Rc::clone(&token);
    let stream = source(scope, name, |capability, info| {
        let queue = agent.new_listener(scope.activator_for(info.address));
        if let Some(capabilities) = capabilities.borrow_mut().as_mut() {
            capabilities.insert(capability);
        }
        // Batches from before `as_of` wait until the contents at `as_of` are complete: operators take what they get for times that are due, and
        // advanced to `as_of` these are not due yet.
        let mut waiting = Vec::new();
        let mut is_past = false;
        move |output| {
            let mut capabilities = capabilities.borrow_mut();
            let Some(capabilities) = capabilities.as_mut() else { return };
            for instruction in queue.1.borrow_mut().drain(..) {
                if capabilities.is_empty() {
                    continue;
                }
                match instruction {
                    TraceReplayInstruction::Frontier(frontier) => {
                        let time = super::batch::only(frontier.borrow());
                        is_past |= time.is_none_or(|time| time > window.as_of);
                        if is_past && !waiting.is_empty() {
                            let capability = capabilities.delayed(&window.as_of);
                            output.session(&capability).give_iterator(waiting.drain(..));
                        }
                        match time {
                            Some(time) if time < window.until => capabilities.downgrade([time.max(window.as_of)]),
                            _ => capabilities.downgrade::<u64, [u64; 0]>([]),
                        }
                    }
                    TraceReplayInstruction::Batch(batch, Some(time)) if !batch.is_empty() => {
                        let read = ReadBatch::outer(batch, window);
                        if is_past {
                            let capability = capabilities.delayed(&time.max(window.as_of));
                            output.session(&capability).give(read);
                        } else {
                            waiting.push(read);
                        }
                    }
                    TraceReplayInstruction::Batch(..) => {}
                }
            }
        }
    });
    (Arranged { stream, trace }, token)
}

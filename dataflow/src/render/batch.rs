//! Batches that readers on other threads may hold: differential's sorted batches behind an `Arc`.
//!
//! Differential shares its batches within a worker by `Rc`; [`Shared`] mirrors that with an `Arc`, so that publishing an arrangement is a copy of
//! pointers. Whoever drops a great batch last hands it to a thread that frees it, because that takes milliseconds.

use super::container::{Offsets, PackedRows};
use differential_dataflow::trace::cursor::Cursor;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::Spine;
use differential_dataflow::trace::implementations::{BatchContainer, Layout, layout};
use differential_dataflow::trace::{Batch, BatchReader, Builder, Description, Merger, Navigable};
use std::any::Any;
use std::sync::{Arc, OnceLock, mpsc};
use timely::progress::{Antichain, frontier::AntichainRef};

/// Keys and values packed, times of `T`, diffs of `R`.
pub type RowLayout<T, R = i64> = (PackedRows, PackedRows, Vec<T>, Vec<R>, Offsets);
/// The trace every arrangement of rows uses.
pub type RowSpine<T, R = i64> = Spine<Shared<RowLayout<T, R>>>;
/// Builds its batches.
pub type RowBuilder<T, R = i64> = SharedBuilder<OrdValBuilder<RowLayout<T, R>, Vec<((repr::Row, repr::Row), T, R)>>>;

/// A batch of at least this many updates is freed elsewhere, and gives back the memory it reserved and did not need.
const GREAT_BATCH_UPDATES_MIN: usize = 1 << 14;

/// What a batch must allow so that it can be shared between threads.
pub trait SharedLayout: Layout<KeyContainer: Send + Sync, ValContainer: Send + Sync, TimeContainer: Send + Sync, DiffContainer: Send + Sync, OffsetContainer: Send + Sync>
where
    layout::Time<Self>: Send + Sync,
    Self: Sized + 'static,
{
    /// Gives back reserved memory.
    fn shrink(batch: &mut OrdValBatch<Self>);
}

impl<T, R> SharedLayout for RowLayout<T, R>
where
    T: differential_dataflow::lattice::Lattice + timely::progress::Timestamp + Send + Sync,
    R: differential_dataflow::difference::Semigroup + Ord + Send + Sync + 'static,
{
    fn shrink(batch: &mut OrdValBatch<Self>) {
        let storage = &mut batch.storage;
        storage.keys.shrink();
        storage.vals.vals.shrink();
        storage.upds.times.shrink_to_fit();
        storage.upds.diffs.shrink_to_fit();
        storage.vals.offs.shrink();
        storage.upds.offs.shrink();
    }
}

/// A batch shared between threads. Cloning copies a pointer.
pub struct Shared<L: SharedLayout>(Arc<Inner<L>>)
where
    layout::Time<L>: Send + Sync;

struct Inner<L: SharedLayout>
where
    layout::Time<L>: Send + Sync,
{
    batch: OrdValBatch<L>,
}

impl<L: SharedLayout> Drop for Inner<L>
where
    layout::Time<L>: Send + Sync,
{
    fn drop(&mut self) {
        if self.batch.len() >= GREAT_BATCH_UPDATES_MIN {
            let (lower, upper) = (self.batch.lower().clone(), self.batch.upper().clone());
            free_elsewhere(Box::new(std::mem::replace(&mut self.batch, OrdValBatch::empty(lower, upper))));
        }
    }
}

/// Hands memory to the thread that frees it; frees it here if there is none.
fn free_elsewhere(garbage: Box<dyn Any + Send>) {
    static DROPPER: OnceLock<Option<mpsc::Sender<Box<dyn Any + Send>>>> = OnceLock::new();
    let dropper = DROPPER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Box<dyn Any + Send>>();
        let thread = std::thread::Builder::new().name("batch-dropper".to_string());
        thread.spawn(move || receiver.into_iter().for_each(drop)).ok().map(|_| sender)
    });
    if let Some(dropper) = dropper {
        // Without a receiver the garbage comes back in the error and is dropped here.
        drop(dropper.send(garbage));
    }
}

impl<L: SharedLayout> Shared<L>
where
    layout::Time<L>: Send + Sync,
{
    fn new(mut batch: OrdValBatch<L>) -> Shared<L> {
        if batch.len() >= GREAT_BATCH_UPDATES_MIN {
            L::shrink(&mut batch);
        }
        Shared(Arc::new(Inner { batch }))
    }
    #[inline]
    pub fn get(&self) -> &OrdValBatch<L> {
        &self.0.batch
    }
    pub fn is_same(&self, other: &Shared<L>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
    /// How many hold it.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl<L: SharedLayout> Clone for Shared<L>
where
    layout::Time<L>: Send + Sync,
{
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<L: SharedLayout> BatchReader for Shared<L>
where
    layout::Time<L>: Send + Sync,
{
    type Time = layout::Time<L>;
    fn len(&self) -> usize {
        self.get().len()
    }
    fn description(&self) -> &Description<Self::Time> {
        self.get().description()
    }
}

impl<L: SharedLayout> Navigable for Shared<L>
where
    layout::Time<L>: Send + Sync,
{
    type Cursor = SharedCursor<<OrdValBatch<L> as Navigable>::Cursor, L>;
    fn cursor(&self) -> Self::Cursor {
        SharedCursor { cursor: self.get().cursor(), layout: std::marker::PhantomData }
    }
}

impl<L: SharedLayout> Batch for Shared<L>
where
    layout::Time<L>: Send + Sync,
{
    type Merger = SharedMerger<L>;
    fn empty(lower: Antichain<Self::Time>, upper: Antichain<Self::Time>) -> Self {
        Shared(Arc::new(Inner { batch: OrdValBatch::empty(lower, upper) }))
    }
}

/// Builds shared batches.
pub struct SharedBuilder<B>(B);

impl<B, L> Builder for SharedBuilder<B>
where
    L: SharedLayout,
    B: Builder<Output = OrdValBatch<L>, Time = layout::Time<L>>,
    layout::Time<L>: Send + Sync,
{
    type Input = B::Input;
    type Time = B::Time;
    type Output = Shared<L>;
    fn with_capacity(keys: usize, values: usize, updates: usize) -> Self {
        SharedBuilder(B::with_capacity(keys, values, updates))
    }
    fn push(&mut self, input: &mut Self::Input) {
        self.0.push(input)
    }
    fn done(self, description: Description<Self::Time>) -> Self::Output {
        Shared::new(self.0.done(description))
    }
    fn seal(chain: &mut Vec<Self::Input>, description: Description<Self::Time>) -> Self::Output {
        Shared::new(B::seal(chain, description))
    }
}

/// Merges shared batches.
pub struct SharedMerger<L: SharedLayout>(<OrdValBatch<L> as Batch>::Merger)
where
    layout::Time<L>: Send + Sync;

impl<L: SharedLayout> Merger<Shared<L>> for SharedMerger<L>
where
    layout::Time<L>: Send + Sync,
{
    fn new(left: &Shared<L>, right: &Shared<L>, compaction_frontier: AntichainRef<layout::Time<L>>) -> Self {
        SharedMerger(left.get().begin_merge(right.get(), compaction_frontier))
    }
    fn work(&mut self, left: &Shared<L>, right: &Shared<L>, fuel: &mut isize) {
        self.0.work(left.get(), right.get(), fuel)
    }
    fn done(self) -> Shared<L> {
        Shared::new(self.0.done())
    }
}

/// Navigates a shared batch.
pub struct SharedCursor<C, L> {
    cursor: C,
    layout: std::marker::PhantomData<L>,
}

/// Forwards the navigation of a cursor to an inner one whose storage is reached by `$inner`.
macro_rules! forward_cursor {
    ($storage:ident => $inner:expr) => {
        #[inline]
        fn key_valid(&self, $storage: &Self::Storage) -> bool {
            self.cursor.key_valid($inner)
        }
        #[inline]
        fn val_valid(&self, $storage: &Self::Storage) -> bool {
            self.cursor.val_valid($inner)
        }
        #[inline]
        fn key<'a>(&self, $storage: &'a Self::Storage) -> Self::Key<'a> {
            self.cursor.key($inner)
        }
        #[inline]
        fn val<'a>(&self, $storage: &'a Self::Storage) -> Self::Val<'a> {
            self.cursor.val($inner)
        }
        #[inline]
        fn get_key<'a>(&self, $storage: &'a Self::Storage) -> Option<Self::Key<'a>> {
            self.cursor.get_key($inner)
        }
        #[inline]
        fn get_val<'a>(&self, $storage: &'a Self::Storage) -> Option<Self::Val<'a>> {
            self.cursor.get_val($inner)
        }
        #[inline]
        fn map_times<F: FnMut(Self::TimeGat<'_>, Self::DiffGat<'_>)>(&mut self, $storage: &Self::Storage, logic: F) {
            self.cursor.map_times($inner, logic)
        }
        #[inline]
        fn step_key(&mut self, $storage: &Self::Storage) {
            self.cursor.step_key($inner)
        }
        #[inline]
        fn seek_key(&mut self, $storage: &Self::Storage, key: Self::Key<'_>) {
            self.cursor.seek_key($inner, key)
        }
        #[inline]
        fn step_val(&mut self, $storage: &Self::Storage) {
            self.cursor.step_val($inner)
        }
        #[inline]
        fn seek_val(&mut self, $storage: &Self::Storage, val: Self::Val<'_>) {
            self.cursor.seek_val($inner, val)
        }
        #[inline]
        fn rewind_keys(&mut self, $storage: &Self::Storage) {
            self.cursor.rewind_keys($inner)
        }
        #[inline]
        fn rewind_vals(&mut self, $storage: &Self::Storage) {
            self.cursor.rewind_vals($inner)
        }
    };
}

impl<C, L> Cursor for SharedCursor<C, L>
where
    L: SharedLayout,
    C: Cursor<Storage = OrdValBatch<L>>,
    layout::Time<L>: Send + Sync,
{
    type Storage = Shared<L>;
    type Key<'a> = C::Key<'a>;
    type ValOwn = C::ValOwn;
    type Val<'a> = C::Val<'a>;
    type Time = C::Time;
    type TimeGat<'a> = C::TimeGat<'a>;
    type Diff = C::Diff;
    type DiffGat<'a> = C::DiffGat<'a>;
    type KeyContainer = C::KeyContainer;
    type ValContainer = C::ValContainer;
    type TimeContainer = C::TimeContainer;
    type DiffContainer = C::DiffContainer;
    forward_cursor!(storage => storage.get());
}

/// A published batch, as readers see it: sorted keys, for each its sorted values, for each its updates.
#[derive(Clone)]
pub struct StoredBatch(pub(super) Shared<RowLayout<u64>>);

impl StoredBatch {
    pub fn keys(&self) -> usize {
        self.0.get().storage.keys.len()
    }
    #[inline]
    pub fn key(&self, index: usize) -> &[u8] {
        self.0.get().storage.keys.row(index)
    }
    /// The first key that is not less than `bound`.
    pub fn seek_key(&self, bound: &[u8]) -> usize {
        self.0.get().storage.keys.lower_bound(bound, 0, self.keys())
    }
    /// The positions of a key's values.
    #[inline]
    pub fn values(&self, key: usize) -> std::ops::Range<usize> {
        let (start, end) = self.0.get().storage.vals.bounds(key);
        start..end
    }
    #[inline]
    pub fn value(&self, index: usize) -> &[u8] {
        self.0.get().storage.vals.vals.row(index)
    }
    /// The sum of a value's updates at or before a time.
    #[inline]
    pub fn count(&self, value: usize, time: u64) -> i64 {
        let updates = &self.0.get().storage.upds;
        let (start, end) = updates.bounds(value);
        (start..end).filter(|&at| updates.times[at] <= time).map(|at| updates.diffs[at]).sum()
    }
    /// Visits every update: key, value, time, diff.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8], u64, i64)) {
        let updates = &self.0.get().storage.upds;
        for key in 0..self.keys() {
            for value in self.values(key) {
                let (start, end) = updates.bounds(value);
                (start..end).for_each(|at| visit(self.key(key), self.value(value), updates.times[at], updates.diffs[at]));
            }
        }
    }
    pub fn updates(&self) -> usize {
        self.0.get().len()
    }
    /// Memory it owns.
    pub fn heap_bytes(&self) -> usize {
        let storage = &self.0.get().storage;
        let offsets = storage.vals.offs.heap_bytes() + storage.upds.offs.heap_bytes();
        let updates = storage.upds.times.capacity() * size_of::<u64>() + storage.upds.diffs.capacity() * size_of::<i64>();
        storage.keys.heap_bytes() + storage.vals.vals.heap_bytes() + offsets + updates
    }
    /// The times it covers: from the first on, and before the second; `None` is the end of time.
    pub fn bounds(&self) -> (Option<u64>, Option<u64>) {
        (only(self.0.lower().borrow()), only(self.0.upper().borrow()))
    }
    pub fn holders(&self) -> usize {
        self.0.holders()
    }
}

/// The one time of a frontier of totally ordered times.
pub fn only(frontier: AntichainRef<'_, u64>) -> Option<u64> {
    frontier.first().copied()
}

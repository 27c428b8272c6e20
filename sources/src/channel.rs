//! The way from sources to the coordinator: a queue with a limit in bytes. Who would overfill it waits, so that reading stops.

use repr::{CollectionId, Diff, Row};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ErrorRow;

/// What becomes durable and visible together. A batch never splits an upstream transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceBatch {
    pub source: CollectionId,
    /// 1, 2, 3, ... since the source was started.
    pub sequence: u64,
    /// A relation appears at most once; a row may appear several times.
    pub updates: Vec<(CollectionId, Vec<(Row, Diff)>)>,
    pub errors: Vec<(ErrorRow, Diff)>,
    /// The whole resume state after this batch; replaces any before.
    pub position: Vec<u8>,
    /// Messages read for this batch, and their bytes.
    pub messages: u64,
    pub bytes: u64,
    /// The upstream's initial snapshot is larger than its buffer and not complete: until a batch without this the relations show a part of it.
    pub snapshot_in_progress: bool,
}

impl SourceBatch {
    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        const ROW: usize = size_of::<(Row, Diff)>();
        let rows: usize = self
            .updates
            .iter()
            .flat_map(|(_, updates)| updates)
            .map(|(row, _)| ROW + row.heap_bytes())
            .sum();
        let errors: usize = self
            .errors
            .iter()
            .map(|(error, _)| {
                size_of::<(ErrorRow, Diff)>()
                    + error.reason.len()
                    + error.key.as_ref().map_or(0, Vec::len)
            })
            .sum();
        rows + errors + self.position.len()
    }
}

struct Shared {
    queue: Mutex<Queue>,
    room: Condvar,
    bytes_max: usize,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<(usize, SourceBatch)>,
    bytes: usize,
    is_closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sources' end. Clones share one queue and its limit.
#[derive(Clone)]
pub struct SourceSender(Arc<Shared>);

/// The coordinator's end.
pub struct SourceReceiver(Arc<Shared>);

/// A queue for about `bytes_max` bytes: a batch is let in while the queue holds less, so one batch of any size always fits an empty queue. `wake` is called after
/// each batch is put in, on the sender's thread; it must not block.
pub fn channel(
    bytes_max: usize,
    wake: impl Fn() + Send + Sync + 'static,
) -> (SourceSender, SourceReceiver) {
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        room: Condvar::new(),
        bytes_max,
        wake: Box::new(wake),
    });
    (SourceSender(shared.clone()), SourceReceiver(shared))
}

/// Why a batch was not sent.
#[derive(Debug)]
pub enum SendRefused {
    /// No room within the time: the batch comes back.
    Full(SourceBatch),
    /// Nobody receives any more.
    Closed,
}

impl SourceSender {
    /// Puts a batch into the queue, waiting for room up to `patience`.
    pub fn send(&self, batch: SourceBatch, patience: Duration) -> Result<(), SendRefused> {
        let end = Instant::now() + patience;
        let mut queue = self.0.lock();
        loop {
            if queue.is_closed {
                return Err(SendRefused::Closed);
            }
            if queue.bytes < self.0.bytes_max || queue.batches.is_empty() {
                break;
            }
            let remaining = end.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(SendRefused::Full(batch));
            }
            let waited = self.0.room.wait_timeout(queue, remaining);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let bytes = batch.size_bytes();
        queue.bytes += bytes;
        queue.batches.push_back((bytes, batch));
        drop(queue);
        (self.0.wake)();
        Ok(())
    }
}

impl SourceReceiver {
    /// The next batch, if there is one.
    pub fn try_receive(&self) -> Option<SourceBatch> {
        let mut queue = self.0.lock();
        let (bytes, batch) = queue.batches.pop_front()?;
        queue.bytes -= bytes;
        drop(queue);
        self.0.room.notify_all();
        Some(batch)
    }

    /// The bytes of the next batch, if there is one.
    pub fn next_bytes(&self) -> Option<usize> {
        self.0.lock().batches.front().map(|(bytes, _)| *bytes)
    }

    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl Drop for SourceReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_closed = true;
        queue.batches.clear();
        queue.bytes = 0;
        drop(queue);
        self.0.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::Datum;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn batch(sequence: u64) -> SourceBatch {
        SourceBatch {
            source: CollectionId(7),
            sequence,
            updates: vec![(CollectionId(7), vec![(Row::pack([Datum::Int8(1)]), 1)])],
            errors: Vec::new(),
            position: vec![0; 100],
            messages: 1,
            bytes: 100,
            snapshot_in_progress: false,
        }
    }

    #[test]
    fn a_full_queue_refuses_until_there_is_room() {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = woken.clone();
        let (sender, receiver) = channel(1, move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        sender.send(batch(1), Duration::ZERO).unwrap();
        let Err(SendRefused::Full(returned)) = sender.send(batch(2), Duration::ZERO) else {
            panic!("the queue holds more than its limit")
        };
        assert!(receiver.queued_bytes() > 1);
        assert_eq!(receiver.next_bytes(), Some(receiver.queued_bytes()));
        let waiting = std::thread::spawn(move || sender.send(returned, Duration::from_secs(60)));
        assert_eq!(receiver.try_receive().map(|batch| batch.sequence), Some(1));
        waiting.join().unwrap().unwrap();
        assert_eq!(receiver.try_receive().map(|batch| batch.sequence), Some(2));
        assert!(receiver.try_receive().is_none());
        assert_eq!(woken.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_dropped_receiver_ends_the_wait() {
        let (sender, receiver) = channel(1, || ());
        sender.send(batch(1), Duration::ZERO).unwrap();
        let waiting = std::thread::spawn(move || sender.send(batch(2), Duration::from_secs(60)));
        drop(receiver);
        assert!(matches!(waiting.join().unwrap(), Err(SendRefused::Closed)));
    }
}

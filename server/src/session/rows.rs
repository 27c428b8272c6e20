//! Rows as a statement gives them: computed on a thread of their own, kept in memory, or cut short.

use crate::Error;
use crate::execution::{BoxFuture, RowSource};
use repr::Row;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Rows in one batch between the thread that computes them and the connection.
pub const BATCH_ROWS: usize = 1024;
/// Batches that wait for the connection before the thread waits.
const BATCHES_AHEAD_MAX: usize = 4;

pub fn timed_out() -> Error {
    Error::new("57014", "canceling statement due to statement timeout")
}

/// Set when nobody wants the result any more; plans look at it between batches.
#[derive(Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The other end of [`ThreadRows`]: gathers rows into batches. `push` returns false when nobody reads any more.
pub struct RowSink {
    batch: Vec<Row>,
    sender: mpsc::Sender<Result<Vec<Row>, Error>>,
}

impl RowSink {
    #[must_use]
    pub fn push(&mut self, row: Row) -> bool {
        self.batch.push(row);
        self.batch.len() < BATCH_ROWS || self.flush()
    }
    fn flush(&mut self) -> bool {
        let batch = std::mem::take(&mut self.batch);
        batch.is_empty() || self.sender.blocking_send(Ok(batch)).is_ok()
    }
}

/// Rows a thread computes while they are read, a few batches ahead.
pub struct ThreadRows {
    receiver: mpsc::Receiver<Result<Vec<Row>, Error>>,
    deadline: Option<Instant>,
    ended: bool,
    _stop: Stop,
}

impl ThreadRows {
    /// Runs `work` on a thread for work that takes its time. `stop` must be what it looks at.
    pub fn spawn(stop: Stop, timeout: Option<Duration>, work: impl FnOnce(&mut RowSink) -> Result<(), Error> + Send + 'static) -> ThreadRows {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        tokio::task::spawn_blocking(move || {
            let mut sink = RowSink { batch: Vec::new(), sender };
            // An empty batch is the end: without it, the thread has panicked.
            let last = match work(&mut sink) {
                Ok(()) if sink.flush() => Ok(Vec::new()),
                Ok(()) => return,
                Err(error) => Err(error),
            };
            let _ = sink.sender.blocking_send(last);
        });
        ThreadRows { receiver, deadline: timeout.map(|timeout| Instant::now() + timeout), ended: false, _stop: stop }
    }

    /// All rows were given.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    fn take(&mut self, received: Option<Result<Vec<Row>, Error>>) -> Result<Option<Vec<Row>>, Error> {
        match received {
            Some(Ok(rows)) if rows.is_empty() => {
                self.ended = true;
                Ok(None)
            }
            Some(result) => {
                self.ended = result.is_err();
                result.map(Some)
            }
            None if self.ended => Ok(None),
            None => Err(Error::internal("the thread that ran the query ended without a result")),
        }
    }
}

impl RowSource for ThreadRows {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Vec<Row>>, Error>> {
        Box::pin(async move {
            if self.ended {
                return Ok(None);
            }
            let received = match self.deadline {
                None => self.receiver.recv().await,
                Some(deadline) => tokio::time::timeout_at(deadline, self.receiver.recv()).await.map_err(|_| timed_out())?,
            };
            self.take(received)
        })
    }
    fn try_next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        match self.receiver.try_recv() {
            Ok(received) => self.take(Some(received)),
            Err(_) => Ok(None),
        }
    }
}

/// All rows of a source.
pub async fn collect(mut source: Box<dyn RowSource>) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    while let Some(batch) = source.next_batch().await? {
        rows.extend(batch);
    }
    Ok(rows)
}

//! What a running source tells about itself, and how it is asked and stopped.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::SourceError;

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Finding its topics.
    Starting,
    /// Reading, or waiting for messages.
    Running,
    /// Waiting for something outside, and going on by itself when that comes.
    Stalled { since: SystemTime, reason: String },
    /// Ended: what would follow would be a gap or a half. Somebody must act.
    Failed(SourceError),
    /// Ended as asked.
    Stopped,
}

impl std::fmt::Display for SourceState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SourceState::Starting => formatter.write_str("starting"),
            SourceState::Running => formatter.write_str("running"),
            SourceState::Stalled { reason, .. } => write!(formatter, "stalled: {reason}"),
            SourceState::Failed(error) => write!(formatter, "failed: {error}"),
            SourceState::Stopped => formatter.write_str("stopped"),
        }
    }
}

/// How far a partition was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub topic: String,
    pub partition: i32,
    /// All before this one is in batches that were sent (or needed none).
    pub applied_offset: i64,
    /// The next one to read.
    pub read_offset: i64,
    /// The offset after the newest message, as far as known.
    pub high_watermark: Option<i64>,
}

impl PartitionStatus {
    /// Messages that are on the broker and not applied.
    pub fn lag(&self) -> Option<i64> {
        self.high_watermark
            .map(|high| (high - self.applied_offset).max(0))
    }
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    pub messages: u64,
    pub bytes: u64,
    pub updates: u64,
    pub errors: u64,
    /// Messages the connector had sent before.
    pub duplicates_dropped: u64,
    pub batches: u64,
    pub transactions: u64,
    /// Not counts but what is held now.
    pub open_transactions: u64,
    pub open_bytes: u64,
}

/// A moment of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    pub state: SourceState,
    pub partitions: Vec<PartitionStatus>,
    pub counters: SourceCounters,
    /// Held or half-shown rows of an initial snapshot that is not complete.
    pub snapshot_rows_held: u64,
}

impl SourceStatus {
    /// Of a source that could not even start.
    pub fn failed(error: SourceError) -> SourceStatus {
        SourceStatus {
            state: SourceState::Failed(error),
            partitions: Vec::new(),
            counters: SourceCounters::default(),
            snapshot_rows_held: 0,
        }
    }
}

pub(crate) enum Command {
    NewestPosition(mpsc::SyncSender<Result<Vec<(String, i32, i64)>, SourceError>>),
    Stop,
}

pub(crate) struct StatusCell(Mutex<SourceStatus>);

impl StatusCell {
    pub(crate) fn new() -> Arc<StatusCell> {
        Arc::new(StatusCell(Mutex::new(SourceStatus {
            state: SourceState::Starting,
            partitions: Vec::new(),
            counters: SourceCounters::default(),
            snapshot_rows_held: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, SourceStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running source. Dropping it stops it without waiting.
pub struct SourceHandle {
    status: Arc<StatusCell>,
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

/// The newest offsets of a source's partitions, as they were when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestPosition(pub(crate) Vec<(String, i32, i64)>);

impl NewestPosition {
    /// Topic, partition and the offset after the newest message.
    pub fn offsets(&self) -> &[(String, i32, i64)] {
        &self.0
    }
}

impl SourceHandle {
    pub(crate) fn new(
        status: Arc<StatusCell>,
        commands: mpsc::Sender<Command>,
        thread: JoinHandle<()>,
    ) -> SourceHandle {
        SourceHandle {
            status,
            commands,
            thread: Some(thread),
        }
    }

    /// A snapshot of how it is.
    pub fn status(&self) -> SourceStatus {
        self.status.lock().clone()
    }

    /// Asks the broker for the newest offsets, for reads that must see all that is upstream now. Blocks up to `patience`.
    pub fn newest_position(&self, patience: Duration) -> Result<NewestPosition, SourceError> {
        let end = Instant::now() + patience;
        let (answer, receiver) = mpsc::sync_channel(1);
        let stopped = || SourceError::new("57P01", "the source has stopped");
        self.commands
            .send(Command::NewestPosition(answer))
            .map_err(|_| stopped())?;
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(result) => result.map(NewestPosition),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(stopped()),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(SourceError::new(
                "57014",
                "the source did not answer in time how far its topics reach",
            )),
        }
    }

    /// Asks it to stop and waits for its thread. A batch being sent is sent or not; either way resuming at the last durable position is right.
    pub fn stop(mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for SourceHandle {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
    }
}

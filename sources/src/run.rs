//! The thread of a running source: polls, lets the pipeline work, sends batches, and keeps the status.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::broker::{Broker, Condition, TopicIndex};
use crate::channel::SendRefused;
use crate::pipeline::Pipeline;
use crate::status::{Command, StatusCell};
use crate::{SourceBatch, SourceError, SourceHandle, SourceSender, SourceState};

/// How long a poll waits for a message: what a command may have to wait for.
const POLL_PATIENCE: Duration = Duration::from_millis(50);
/// Messages and bytes of one poll, and so of one batch, if upstream transactions allow.
const POLL_MESSAGES_MAX: usize = 20_000;
const POLL_BYTES_MAX: usize = 8 << 20;
/// New partitions are looked for this often, one topic at a time.
const DISCOVER_INTERVAL: Duration = Duration::from_secs(1);
/// How long a full queue is waited for before commands are looked at again.
const SEND_PATIENCE: Duration = Duration::from_millis(50);
/// The pause after a request failed for want of a connection.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The status is renewed at most this often.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// A transaction that is not complete for this long is told about.
const WAITING_TOLERATED: Duration = Duration::from_secs(10);

/// A broker that has just started may not know its topics yet: one must be missing for this long to be gone.
const GONE_TOLERATED: Duration = Duration::from_secs(5);

pub(crate) fn spawn<B: Broker + Send + 'static>(
    pipeline: Pipeline,
    broker: B,
    out: SourceSender,
) -> Result<SourceHandle, SourceError> {
    let status = StatusCell::new();
    let (commands, receiver) = mpsc::channel();
    let own_status = status.clone();
    let thread = std::thread::Builder::new()
        .name("source".to_owned())
        .spawn(move || {
            let topics = pipeline.topics().len() as TopicIndex;
            let mut runner = Runner {
                pipeline,
                broker,
                out,
                commands: receiver,
                status: own_status,
                topics,
                next_topic: 0,
                last_discovery: None,
                last_status: None,
                waiting_since: None,
                gone_since: None,
                is_stopped: false,
                was_down: false,
            };
            let state = match runner.run() {
                Ok(()) => SourceState::Stopped,
                Err(error) => {
                    tracing::error!(%error, "a source has failed");
                    SourceState::Failed(error)
                }
            };
            runner.show(state);
            runner.wait_for_stop();
        })
        .map_err(SourceError::client)?;
    Ok(SourceHandle::new(status, commands, thread))
}

struct Runner<B> {
    pipeline: Pipeline,
    broker: B,
    out: SourceSender,
    commands: mpsc::Receiver<Command>,
    status: Arc<StatusCell>,
    topics: TopicIndex,
    next_topic: TopicIndex,
    last_discovery: Option<Instant>,
    last_status: Option<Instant>,
    /// Since when a transaction has been waiting while nothing came.
    waiting_since: Option<Instant>,
    /// Since when a topic has been missing.
    gone_since: Option<Instant>,
    is_stopped: bool,
    was_down: bool,
}

impl<B: Broker> Runner<B> {
    /// Whether an error passes by itself.
    fn passes(&mut self, error: &SourceError) -> bool {
        match error.code {
            "08006" => true,
            "42704" => {
                let now = Instant::now();
                let since = *self.gone_since.get_or_insert(now);
                now.duration_since(since) < GONE_TOLERATED
            }
            _ => false,
        }
    }

    fn run(&mut self) -> Result<(), SourceError> {
        for topic in 0..self.topics {
            self.retried(|runner| {
                runner
                    .pipeline
                    .discover(&mut runner.broker, topic, now_milliseconds())
            })?;
        }
        self.last_discovery = Some(Instant::now());
        while !self.is_stopped {
            self.obey()?;
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), SourceError> {
        let (mut messages, mut bytes) = (0, 0);
        let mut result = Ok(());
        let pipeline = &mut self.pipeline;
        self.broker.poll(POLL_PATIENCE, &mut |message| {
            messages += 1;
            bytes += message.value.map_or(0, <[u8]>::len);
            result = pipeline.message(message);
            result.is_ok() && messages < POLL_MESSAGES_MAX && bytes < POLL_BYTES_MAX
        })?;
        result?;
        let is_down = matches!(self.broker.condition(), Condition::Down(_));
        // What came back may not be what went.
        if self.broker.take_suspicion() || (self.was_down && !is_down) {
            self.retried(|runner| runner.pipeline.verify(&mut runner.broker))?;
        }
        self.was_down = is_down;
        let now = Instant::now();
        if let Err(error) = self.pipeline.settle(&mut self.broker, now) {
            if !self.passes(&error) {
                return Err(error);
            }
            self.stall(&error);
        }
        if let Some(batch) = self.pipeline.finish(now) {
            self.send(batch)?;
        }
        if messages > 0 || self.pipeline.waits_for().is_none() {
            self.waiting_since = None;
        } else {
            self.waiting_since.get_or_insert(now);
        }
        if !is_down
            && self.last_discovery.is_none_or(|last| {
                now.duration_since(last) >= DISCOVER_INTERVAL / self.topics.max(1)
            })
        {
            self.last_discovery = Some(now);
            let topic = self.next_topic;
            self.next_topic = (topic + 1) % self.topics.max(1);
            let found = self
                .pipeline
                .discover(&mut self.broker, topic, now_milliseconds());
            match found {
                Err(error) if !self.passes(&error) => return Err(error),
                Err(_) => {}
                Ok(()) => self.gone_since = None,
            }
        }
        self.refresh(now, messages == 0);
        Ok(())
    }

    /// Tries until it succeeds, fails for good, or the source is stopped.
    fn retried(
        &mut self,
        mut attempt: impl FnMut(&mut Runner<B>) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        while !self.is_stopped {
            match attempt(self) {
                Err(error) if self.passes(&error) => {
                    self.stall(&error);
                    if let Ok(command) = self.commands.recv_timeout(RETRY_PAUSE) {
                        self.handle(command);
                    }
                }
                result => return result,
            }
        }
        Ok(())
    }

    fn stall(&mut self, error: &SourceError) {
        let reason = error.to_string();
        let mut status = self.status.lock();
        set_stalled(&mut status.state, reason);
    }

    fn obey(&mut self) -> Result<(), SourceError> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.handle(command),
                Err(mpsc::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::TryRecvError::Disconnected) => {
                    self.is_stopped = true;
                    return Ok(());
                }
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Stop => self.is_stopped = true,
            Command::NewestPosition(answer) => {
                let newest = self.newest();
                // Who asked may have gone.
                let _ = answer.send(newest);
            }
        }
    }

    fn newest(&mut self) -> Result<Vec<(String, i32, i64)>, SourceError> {
        let partitions: Vec<(TopicIndex, i32)> = self.pipeline.partitions().collect();
        let topics = self.pipeline.topics().to_vec();
        partitions
            .into_iter()
            .map(|(topic, partition)| {
                let (_, high) = self.broker.watermarks(topic, partition)?;
                let name = topics.get(topic as usize).cloned().unwrap_or_default();
                Ok((name, partition, high))
            })
            .collect()
    }

    /// Sends a batch. While the coordinator has no room nothing is read.
    fn send(&mut self, batch: SourceBatch) -> Result<(), SourceError> {
        let mut batch = batch;
        loop {
            match self.out.send(batch, SEND_PATIENCE) {
                Ok(()) => return Ok(()),
                Err(SendRefused::Closed) => {
                    self.is_stopped = true;
                    return Ok(());
                }
                Err(SendRefused::Full(returned)) => {
                    batch = returned;
                    self.obey()?;
                    if self.is_stopped {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn refresh(&mut self, now: Instant, is_idle: bool) {
        let is_due = self
            .last_status
            .is_none_or(|last| now.duration_since(last) >= STATUS_INTERVAL);
        if !is_due && !is_idle {
            return;
        }
        self.last_status = Some(now);
        let state = match self.broker.condition() {
            Condition::Down(reason) => Err(reason),
            Condition::Up => match self.waiting_since {
                Some(since) if now.duration_since(since) >= WAITING_TOLERATED => {
                    Err(self.pipeline.waits_for().unwrap_or_default())
                }
                _ => Ok(()),
            },
        };
        let mut status = self.status.lock();
        match state {
            Ok(()) => status.state = SourceState::Running,
            Err(reason) => set_stalled(&mut status.state, reason),
        }
        status.counters = self.pipeline.counters();
        status.partitions = self.pipeline.partition_status(&self.broker);
        status.snapshot_rows_held = self.pipeline.snapshot_rows();
    }

    fn show(&mut self, state: SourceState) {
        let mut status = self.status.lock();
        status.counters = self.pipeline.counters();
        status.partitions = self.pipeline.partition_status(&self.broker);
        status.snapshot_rows_held = self.pipeline.snapshot_rows();
        status.state = state;
    }

    /// A failed source answers until it is stopped.
    fn wait_for_stop(&mut self) {
        while !self.is_stopped {
            match self.commands.recv() {
                Ok(command) => self.handle(command),
                Err(mpsc::RecvError) => return,
            }
        }
    }
}

/// Keeps the time since when it stalls.
fn set_stalled(state: &mut SourceState, reason: String) {
    let since = match state {
        SourceState::Stalled { since, .. } => *since,
        _ => SystemTime::now(),
    };
    *state = SourceState::Stalled { since, reason };
}

fn now_milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

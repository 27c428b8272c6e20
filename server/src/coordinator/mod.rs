//! The one writer: gathers what is ready into ticks, makes each durable, then shows it.
//!
//! One thread owns the log, the clock, the catalog's next version and the sources. Everything reaches it as one of the closed set of [`Event`]s.
//!
//! Invariants:
//! * Nothing is acknowledged or handed to the dataflow before the frame that holds it is durable.
//! * A batch of a source and the position it came with are in the same frame.
//! * Changes of the catalog have ticks of their own: a definition holds from one timestamp on, for data and readers alike.
//! * A frame that does not fit on the disk is tried again, unchanged, until it does: sources stop, writers are told 53100, reads go on.

mod boot;
mod key_state;
mod render;
mod source_set;
#[cfg(test)]
mod tests;
mod tick;

pub use boot::{Running, start};
pub use source_set::{SourceReport, broker_config};

use crate::Error;
use crate::Shared;
use catalog::{Catalog, Change};
use repr::{CollectionId, Diff, Row, Timestamp};
use source_set::SourceSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use storage::{Clock, Log};
use tokio::sync::{Notify, mpsc, oneshot};

/// Bytes of source batches, and of writes, that share a frame: a bound of a frame's size and so of its latency. What alone is larger has a frame of its own.
pub const TICK_BYTES_MAX: usize = 16 << 20;
/// Time advances at least this often, also when nothing happens: what subscribers see as progress. A frame that did not fit on the disk is tried again as often.
pub const HEARTBEAT: Duration = Duration::from_millis(100);

/// The answer to a write or a definition.
pub type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What sessions ask of the coordinator.
pub enum Request {
    /// Changes of tables. Conflicts are excluded by the tables' write locks, which the sender holds until the answer.
    Write { updates: Vec<(CollectionId, Vec<(Row, Diff)>)>, answer: Answer<Timestamp> },
    /// A change of the catalog planned against version `catalog_version`: refused with `40001` (and planned again by the session) if another change came between.
    /// `initial` are the first rows of tables it creates. Answers the timestamp from which it holds; then the created relations are known to the dataflow
    /// (hydrated or not) and the sources are started.
    Define { catalog_version: u64, changes: Vec<Change>, initial: Vec<(CollectionId, Vec<(Row, Diff)>)>, answer: Answer<Timestamp> },
    /// How each source does, for the system views.
    Sources { answer: oneshot::Sender<Vec<SourceReport>> },
    /// Makes everything that was acknowledged before visible and stops.
    Shutdown { answer: oneshot::Sender<()> },
}

/// Everything that can happen to the coordinator.
enum Event {
    Request(Request),
    /// Some source has batches ready.
    SourceReady,
    Heartbeat,
    /// The sessions are all gone.
    Closed,
}

pub struct Coordinator {
    shared: Arc<Shared>,
    log: Log,
    clock: Clock,
    catalog: Catalog,
    sources: SourceSet,
    requests: mpsc::Receiver<Request>,
    source_ready: Arc<Notify>,
    /// Updates of a tick whose frame did not fit on the disk.
    unwritten: Option<tick::Pending>,
    /// The last append found no room.
    is_disk_full: bool,
}

impl Coordinator {
    /// Runs until shut down. Errors are final: the process must end, and the log says what was durable.
    async fn run(mut self) -> Result<(), Error> {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                biased;
                request = self.requests.recv() => request.map_or(Event::Closed, Event::Request),
                () = self.source_ready.notified() => Event::SourceReady,
                _ = heartbeat.tick() => Event::Heartbeat,
            };
            let last = self.clock.last();
            match event {
                Event::Closed => return Ok(()),
                Event::Request(Request::Shutdown { answer }) => {
                    self.sources.stop();
                    let _ = answer.send(());
                    return Ok(());
                }
                Event::Request(request) => self.handle(request)?,
                Event::SourceReady | Event::Heartbeat => self.tick(VecDeque::new())?,
            }
            if self.clock.last() == last {
                self.advance()?;
            }
        }
    }

    /// One request, and with it all writes that wait behind it: they share a frame.
    fn handle(&mut self, first: Request) -> Result<(), Error> {
        let mut writes = VecDeque::new();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Write { updates, answer } => writes.push_back(tick::Write::new(updates, answer)),
                other => {
                    // Order is kept: what came before the definition is in an earlier frame.
                    if !writes.is_empty() {
                        self.tick(std::mem::take(&mut writes))?;
                    }
                    match other {
                        Request::Define { catalog_version, changes, initial, answer } => self.define(catalog_version, changes, initial, answer)?,
                        Request::Sources { answer } => {
                            let _ = answer.send(self.sources.reports());
                        }
                        Request::Shutdown { answer } => {
                            self.requests.close();
                            let _ = answer.send(());
                        }
                        Request::Write { .. } => {}
                    }
                }
            }
            next = self.requests.try_recv().ok();
        }
        if !writes.is_empty() {
            self.tick(writes)?;
        }
        Ok(())
    }
}

/// Milliseconds since the epoch, from the system's clock: the only place of the server that reads it for a logical time.
fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}

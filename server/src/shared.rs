//! What every session and the coordinator share: the newest catalog, the published snapshots, the freshest time anybody was shown, and the way to the coordinator.

use crate::coordinator::Request;
use crate::metrics::Metrics;
use crate::{Error, flags::Flags};
use arc_swap::ArcSwap;
use catalog::Catalog;
use dataflow::{Control, Published};
use repr::{CollectionId, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Requests which wait for the coordinator before a session must wait to add one.
pub const REQUEST_QUEUE_MAX: usize = 1024;

pub struct Shared {
    pub flags: Flags,
    pub metrics: Metrics,
    /// The newest catalog whose change is durable and rendered.
    catalog: ArcSwap<Catalog>,
    pub dataflow: Control,
    /// Counts publications; readers that must wait for a timestamp wait for it to change.
    progress: watch::Receiver<u64>,
    /// The newest timestamp any session was shown or acknowledged: strict serializability is that nobody is shown less.
    shown: AtomicU64,
    requests: mpsc::Sender<Request>,
    /// Who is connected.
    pub sessions: Arc<crate::session::registry::Sessions>,
    /// Who may write to which table.
    pub table_locks: Arc<crate::session::locks::TableLocks>,
    /// When the server started: what it recovered may not have caught up for some time after it.
    pub started: Instant,
    /// Ids of dataflows that live as long as a subscription, counted from their first one.
    transient_ids: AtomicU64,
    /// True once the server ends.
    ending: watch::Sender<bool>,
}

/// All relations at one timestamp, for as long as a statement or a transaction lives.
#[derive(Clone)]
pub struct ReadAt {
    pub catalog: Arc<Catalog>,
    pub published: Arc<Published>,
    pub timestamp: Timestamp,
}

impl Shared {
    pub fn new(flags: Flags, metrics: Metrics, catalog: Catalog, dataflow: Control, progress: watch::Receiver<u64>, shown: Timestamp, requests: mpsc::Sender<Request>) -> Shared {
        Shared { flags, metrics, catalog: ArcSwap::from_pointee(catalog), dataflow, progress, shown: AtomicU64::new(shown.0), requests, sessions: Arc::default(), table_locks: Arc::default(), started: Instant::now(), transient_ids: AtomicU64::new(0), ending: watch::Sender::new(false) }
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Only the coordinator publishes catalogs.
    pub(crate) fn publish_catalog(&self, catalog: Catalog) {
        self.catalog.store(Arc::new(catalog));
    }

    /// The newest timestamp anybody was shown or acknowledged.
    pub fn shown(&self) -> Timestamp {
        Timestamp(self.shown.load(Ordering::SeqCst))
    }

    /// From now on nobody is shown less than `timestamp`.
    pub fn show(&self, timestamp: Timestamp) {
        self.shown.fetch_max(timestamp.0, Ordering::SeqCst);
    }

    /// Snapshots and the newest timestamp at which all of `relations` can be read, at least `at_least`, and (unless `serializable`) at least what any session was
    /// shown. Waits for publications, never for a worker's queue.
    pub async fn read_at(&self, catalog: Arc<Catalog>, relations: &[CollectionId], at_least: Timestamp, serializable: bool) -> Result<ReadAt, Error> {
        let mut progress = self.progress.clone();
        let required = if serializable { at_least } else { at_least.max(self.shown()) };
        loop {
            progress.mark_unchanged();
            let published = self.dataflow.published();
            let (since, upper) = published
                .readable(relations)
                .ok_or_else(|| Error::new("42P01", "a relation this query reads was dropped while it was planned"))?;
            // Nothing that changes: any moment will do that can still be read, and idle time may have moved `since` past the newest shown one.
            let newest = if upper == Timestamp::MAX { Some(required.max(since)) } else { upper.previous() };
            if let Some(timestamp) = newest.filter(|timestamp| *timestamp >= since && *timestamp >= required) {
                if !serializable {
                    self.show(timestamp);
                }
                return Ok(ReadAt { catalog, published, timestamp });
            }
            progress.changed().await.map_err(|_| Error::shutting_down())?;
        }
    }

    /// Waits until everything up to and including `timestamp` can be read from `relations`.
    pub async fn wait_until_readable(&self, relations: &[CollectionId], timestamp: Timestamp) -> Result<(), Error> {
        let mut progress = self.progress.clone();
        loop {
            progress.mark_unchanged();
            match self.dataflow.published().readable(relations) {
                None => return Err(Error::new("42P01", "the relation was dropped")),
                Some((_, upper)) if upper > timestamp => return Ok(()),
                Some(_) => progress.changed().await.map_err(|_| Error::shutting_down())?,
            }
        }
    }

    /// An id no object of the catalog ever has, for a dataflow that ends with its subscription.
    pub fn transient_id(&self) -> CollectionId {
        CollectionId(crate::session::subscribe::FIRST_TRANSIENT.0 + self.transient_ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells all sessions that the server ends.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Resolves once the server ends.
    pub async fn ended(&self) {
        // The sender is in here: it is not gone.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// A receiver that changes with every publication.
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.progress.clone()
    }

    /// Hands a request to the coordinator; waits while its queue is full.
    pub async fn request(&self, request: Request) -> Result<(), Error> {
        self.requests.send(request).await.map_err(|_| Error::shutting_down())
    }
}

//! From a data directory to a running server: replay the log, render what was defined, resume the sources.

use super::source_set::SourceSet;
use super::{Coordinator, render};
use crate::flags::Flags;
use crate::metrics::Metrics;
use crate::shared::{REQUEST_QUEUE_MAX, Shared};
use anyhow::bail;
use catalog::{Catalog, Definition, Entry, SourceDefinition};
use dataflow::{Config, Control, Engine, Event, Frame, InputBatch};
use repr::{CollectionId, Diff, Row, Timestamp};
use sources::ErrorRow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::{Clock, FileDisk, Log, LogOptions, Recovery, StorageError};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Rows that are handed to the dataflow at a time while the log is replayed.
const REPLAY_ROWS: usize = 100_000;
/// How long a clean stop may take before the process ends all the same: everything acknowledged is durable anyhow.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs.
pub struct Running {
    pub shared: Arc<Shared>,
    failure: mpsc::Receiver<String>,
    engine: Engine,
}

impl Running {
    /// Resolves if the coordinator or a worker fails: the process must end then.
    pub async fn failed(&mut self) -> String {
        match self.failure.recv().await {
            Some(failure) => failure,
            None => "the coordinator ended".to_string(),
        }
    }

    /// Stops taking requests and ends sources and workers.
    pub async fn stop(self) {
        let (answer, stopped) = oneshot::channel();
        if self.shared.request(super::Request::Shutdown { answer }).await.is_ok() {
            let _ = tokio::time::timeout(STOP_PATIENCE, stopped).await;
        }
        let engine = self.engine;
        let ended = tokio::task::spawn_blocking(move || engine.shutdown());
        let _ = tokio::time::timeout(STOP_PATIENCE, ended).await;
    }
}

/// How often a start looks whether the workers have arranged what was replayed.
const REPLAY_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Opens the data directory and brings everything up. Sources run and views hydrate when it returns; reads wait for what they need.
pub async fn start(flags: Flags) -> anyhow::Result<Running> {
    let options = LogOptions { compact_bytes_min: flags.log_compaction_bytes_min, ..LogOptions::default() };
    tokio::task::spawn_blocking(move || start_with(flags, options)).await?
}

fn open_log(directory: &Path, options: LogOptions) -> anyhow::Result<(Log, Recovery)> {
    if directory.exists() && !directory.is_dir() {
        bail!("could not open the data directory \"{}\": it is not a directory\nhint: Name a directory, or a place for a new one, with --data-dir.", directory.display());
    }
    let disk = FileDisk::open(directory).map_err(|source| explained(directory, StorageError::Io { operation: "open", file: directory.display().to_string(), source }))?;
    Log::open(Arc::new(disk), options).map_err(|error| explained(directory, error))
}

/// Why the server cannot start on a directory, and who must do what about it.
fn explained(directory: &Path, error: StorageError) -> anyhow::Error {
    let hint = match &error {
        StorageError::Locked { .. } => "Stop that server first, or name another directory with --data-dir.",
        StorageError::Format { .. } => "Start the version of Tidemark that wrote it, or a newer one. Nothing was changed.",
        StorageError::Corrupted { .. } => "Nothing was changed. Restore the directory from a backup, or start with an empty one and read the sources anew.",
        StorageError::DiskFull { .. } => "Free space on the disk of the data directory.",
        StorageError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => "The directory and the files in it must belong to the user this server runs as.",
        StorageError::Io { .. } => "The operating system's log may say what is wrong with the disk.",
        StorageError::TooLarge { .. } | StorageError::Stopped(_) => "Start the server again.",
    };
    anyhow::anyhow!("could not open the data directory \"{}\": {error}\nhint: {hint}", directory.display())
}

pub(super) fn start_with(flags: Flags, options: LogOptions) -> anyhow::Result<Running> {
    let began = Instant::now();
    let (log, recovery) = open_log(&flags.data_dir, options)?;

    let (failures, mut failure) = mpsc::channel(4);
    let (progress_sender, progress) = watch::channel(0u64);
    let worker_failures = failures.clone();
    let on_event = move |event: Event| match event {
        Event::Progress => progress_sender.send_modify(|count| *count += 1),
        Event::Hydrated(id) => tracing::debug!(%id, "hydrated"),
        Event::Dropped(id) => tracing::debug!(%id, "dropped"),
        Event::WorkerPanicked { worker, message } => {
            tracing::error!(worker, message, "a worker panicked");
            let _ = worker_failures.try_send(format!("worker {worker} panicked: {message}"));
        }
    };
    let engine = Engine::start(Config { workers: flags.workers.max(1), ..Config::default() }, Arc::new(on_event));

    let mut replay = Replay::new(engine.control().clone());
    let mut failed = None;
    log.replay(&mut |collection, _, rows| {
        if failed.is_none()
            && let Err(error) = replay.take(collection, rows)
        {
            failed = Some(error);
        }
    })
    .map_err(|error| explained(&flags.data_dir, error))?;
    if let Some(error) = failed {
        return Err(error);
    }
    // Timestamps up to the reservation may have been shown before: reads begin there.
    let shown = recovery.upper.previous().unwrap_or(Timestamp::MIN);
    let Replayed { catalog, open_errors, rows } = replay.finish(recovery.upper.max(shown.next()))?;
    wait_until_replayed(engine.control(), shown, &mut failure)?;

    let (requests, receiver) = mpsc::channel(REQUEST_QUEUE_MAX);
    let shared = Arc::new(Shared::new(flags, Metrics::new(), catalog.clone(), engine.control().clone(), progress, shown, requests));
    for entry in catalog.entries() {
        let planned = render::plan(&catalog, entry).map_err(|error| anyhow::anyhow!("{} \"{}\" cannot be maintained any more: {error}", entry.definition.kind(), entry.name))?;
        render::create_maintained(engine.control(), entry, planned, shown)?;
    }
    let source_ready = Arc::new(Notify::new());
    let mut sources = SourceSet::new(engine.control().clone(), source_ready.clone());
    for entry in catalog.entries() {
        let errors = match &entry.definition {
            Definition::Source(SourceDefinition { errors: Some(errors), .. }) => open_errors.get(errors).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        sources.start(&catalog, entry.id, recovery.positions.get(&entry.id).cloned(), errors)?;
    }
    tracing::info!(objects = catalog.entries().count(), rows, seconds = began.elapsed().as_secs_f64(), "recovered");

    let coordinator = Coordinator { shared: shared.clone(), log, clock: Clock::resume(shown), catalog, sources, requests: receiver, source_ready, unwritten: None, is_disk_full: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("coordinator".to_string()).stack_size(sql::STACK_BYTES_MIN).spawn(move || {
        if let Err(error) = runtime.block_on(coordinator.run()) {
            tracing::error!(%error, "the coordinator stopped");
            let _ = failures.blocking_send(error.to_string());
        }
    })?;
    Ok(Running { shared, failure, engine })
}

/// Waits until the workers have arranged all that was replayed: sources look up the rows they change in there, and a row that is not shown yet would be one that
/// does not exist.
fn wait_until_replayed(control: &Control, shown: Timestamp, failure: &mut mpsc::Receiver<String>) -> anyhow::Result<()> {
    while control.published().iter().any(|(_, relation)| relation.upper() <= shown) {
        if let Ok(message) = failure.try_recv() {
            bail!("could not replay the log: {message}");
        }
        std::thread::sleep(REPLAY_POLL_INTERVAL);
    }
    Ok(())
}

/// The log's contents on their way into the dataflow.
///
/// History below the newest timestamp is not readable after a restart, so the replayed rows get small timestamps of their own, one per chunk: no chunk waits for another,
/// and the arrangements consolidate as they grow.
struct Replay {
    control: Control,
    next: Timestamp,
    pending: BTreeMap<CollectionId, InputBatch>,
    pending_rows: usize,
    catalog_rows: BTreeMap<Row, Diff>,
    /// Collections the dataflow knows.
    inputs: BTreeSet<CollectionId>,
    /// Collections of source errors, and what is in them.
    errors: BTreeMap<CollectionId, BTreeMap<Row, Diff>>,
    rows: u64,
}

struct Replayed {
    catalog: Catalog,
    open_errors: BTreeMap<CollectionId, Vec<ErrorRow>>,
    rows: u64,
}

impl Replay {
    fn new(control: Control) -> Replay {
        Replay {
            control,
            next: Timestamp(1),
            pending: BTreeMap::new(),
            pending_rows: 0,
            catalog_rows: BTreeMap::new(),
            inputs: BTreeSet::new(),
            errors: BTreeMap::new(),
            rows: 0,
        }
    }

    fn take(&mut self, collection: CollectionId, rows: Vec<(Row, Diff)>) -> anyhow::Result<()> {
        self.rows += rows.len() as u64;
        if collection == CollectionId::CATALOG {
            for (row, diff) in rows {
                let count = self.catalog_rows.entry(row.clone()).or_default();
                *count += diff;
                if *count == 0 {
                    self.catalog_rows.remove(&row);
                }
            }
            return Ok(());
        }
        if !self.inputs.contains(&collection) {
            // A definition comes before the first row of what it defines.
            self.create_inputs(&self.catalog()?)?;
        }
        if !self.inputs.contains(&collection) {
            return Ok(());
        }
        if let Some(errors) = self.errors.get_mut(&collection) {
            for (row, diff) in &rows {
                *errors.entry(row.clone()).or_default() += diff;
                if let Some(error) = ErrorRow::from_row(row) {
                    let (relation, time) = (error.relation, self.next);
                    if self.inputs.contains(&relation) {
                        batch(&mut self.pending, relation).errors.push((error.to_eval_error(), time, *diff));
                    }
                }
            }
        }
        self.pending_rows += rows.len();
        let time = self.next;
        batch(&mut self.pending, collection).rows.extend(rows.into_iter().map(|(row, diff)| (row, time, diff)));
        if self.pending_rows >= REPLAY_ROWS {
            self.feed(self.next.next())?;
        }
        Ok(())
    }

    fn feed(&mut self, upper: Timestamp) -> anyhow::Result<()> {
        let batches = std::mem::take(&mut self.pending).into_values().collect();
        self.pending_rows = 0;
        self.control.update(Frame { upper, batches })?;
        self.next = upper;
        Ok(())
    }

    fn catalog(&self) -> anyhow::Result<Catalog> {
        Ok(Catalog::from_rows(self.catalog_rows.keys())?)
    }

    fn create_inputs(&mut self, catalog: &Catalog) -> anyhow::Result<()> {
        // Inputs begin with a frame of their own.
        if !self.pending.is_empty() {
            self.feed(self.next.next())?;
        }
        for entry in catalog.entries() {
            let collections = render::inputs_of(entry);
            if collections.iter().any(|(id, _)| self.inputs.contains(id)) {
                continue;
            }
            render::create_inputs(&self.control, entry, self.next)?;
            self.inputs.extend(collections.into_iter().map(|(id, _)| id));
            if let Some(errors) = errors_of(entry) {
                self.errors.entry(errors).or_default();
            }
        }
        Ok(())
    }

    fn finish(mut self, upper: Timestamp) -> anyhow::Result<Replayed> {
        let catalog = self.catalog()?;
        self.create_inputs(&catalog)?;
        self.feed(upper)?;
        let live: BTreeSet<CollectionId> = catalog.entries().flat_map(|entry| render::collections_of(entry)).collect();
        for dropped in self.inputs.difference(&live) {
            self.control.drop_relation(*dropped)?;
        }
        let open = |rows: BTreeMap<Row, Diff>| rows.into_iter().filter(|(_, diff)| *diff > 0).filter_map(|(row, _)| ErrorRow::from_row(&row)).collect();
        let open_errors = self.errors.into_iter().map(|(id, rows)| (id, open(rows))).collect();
        Ok(Replayed { catalog, open_errors, rows: self.rows })
    }
}

fn batch(pending: &mut BTreeMap<CollectionId, InputBatch>, id: CollectionId) -> &mut InputBatch {
    pending.entry(id).or_insert_with(|| InputBatch { id, rows: Vec::new(), errors: Vec::new() })
}

fn errors_of(entry: &Entry) -> Option<CollectionId> {
    match &entry.definition {
        Definition::Source(source) => source.errors,
        _ => None,
    }
}

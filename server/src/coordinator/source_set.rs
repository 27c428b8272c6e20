//! The sources that run, and the way from their batches to a tick.

use super::key_state::SnapshotKeyState;
use crate::Error;
use catalog::{Catalog, Definition, RelationRole, SourceDefinition};
use catalog::{ConnectionDefinition, OptionValue};
use dataflow::Control;
use repr::{CollectionId, Timestamp};
use sources::{BrokerConfig, ErrorRow, SourceBatch, SourceError, SourceHandle, SourceReceiver, SourceSpec, SourceStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Batches of one source that wait for a tick, in bytes: a full queue stops the source's reading.
pub const SOURCE_QUEUE_BYTES_MAX: usize = 64 << 20;

/// How a source is, for the system views.
pub struct SourceReport {
    pub source: CollectionId,
    pub status: SourceStatus,
}

struct RunningSource {
    handle: SourceHandle,
    receiver: SourceReceiver,
    key_state: Arc<SnapshotKeyState>,
    relations: Vec<CollectionId>,
    errors: Option<CollectionId>,
}

pub struct SourceSet {
    control: Control,
    ready: Arc<Notify>,
    running: BTreeMap<CollectionId, RunningSource>,
    /// Sources which could not start, most likely because their definition does not fit the broker any more.
    failed: BTreeMap<CollectionId, SourceError>,
    /// The source whose turn it is first, so that a busy one does not keep the others out of ticks.
    next: CollectionId,
}

impl SourceSet {
    pub fn new(control: Control, ready: Arc<Notify>) -> SourceSet {
        SourceSet { control, ready, running: BTreeMap::new(), failed: BTreeMap::new(), next: CollectionId(0) }
    }

    /// Starts the source of an entry; a child of another source has none of its own. A source that cannot start says so in its report: the server goes on.
    pub fn start(&mut self, catalog: &Catalog, id: CollectionId, resume: Option<Vec<u8>>, open_errors: Vec<ErrorRow>) -> Result<(), Error> {
        let Some(entry) = catalog.get(id) else { return Ok(()) };
        let Definition::Source(source @ SourceDefinition { role: RelationRole::Single(_) | RelationRole::Parent, .. }) = &entry.definition else {
            return Ok(());
        };
        match self.try_start(catalog, id, source, resume, open_errors) {
            Ok(running) => {
                self.failed.remove(&id);
                self.running.insert(id, running);
            }
            Err(error) => {
                tracing::error!(source = %entry.name, %error, "the source could not start");
                self.failed.insert(id, error);
            }
        }
        Ok(())
    }

    fn try_start(&mut self, catalog: &Catalog, id: CollectionId, source: &SourceDefinition, resume: Option<Vec<u8>>, open_errors: Vec<ErrorRow>) -> Result<RunningSource, SourceError> {
        let wrong = |message: String| SourceError { code: "XX000", message, detail: None, hint: None };
        let spec: SourceSpec = serde_json::from_str(&source.options).map_err(|error| wrong(format!("the stored definition of the source cannot be read: {error}")))?;
        let broker = broker_config(catalog, source.connection.unwrap_or(CollectionId(0))).map_err(|error| wrong(error.to_string()))?;
        let relations: Vec<CollectionId> = spec.relations.iter().map(|relation| relation.id).collect();
        let key_state = Arc::new(SnapshotKeyState::new(self.control.clone(), relations.clone()));
        let ready = self.ready.clone();
        let (sender, receiver) = sources::channel(SOURCE_QUEUE_BYTES_MAX, move || ready.notify_one());
        let handle = sources::start(spec, broker, resume.as_deref(), open_errors, key_state.clone(), sender)?;
        Ok(RunningSource { handle, receiver, key_state, relations, errors: source.errors })
    }

    /// Whole batches of all sources, in turn, up to `bytes_max`; one that is larger comes alone.
    pub fn take_ready(&mut self, bytes_max: usize) -> Vec<SourceBatch> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let turn: Vec<CollectionId> = self.running.range(self.next..).chain(self.running.range(..self.next)).map(|(id, _)| *id).collect();
        for id in turn {
            let Some(source) = self.running.get(&id) else { continue };
            let mut is_full = bytes >= bytes_max;
            while !is_full && let Some(next) = source.receiver.next_bytes() {
                is_full = !taken.is_empty() && bytes + next > bytes_max;
                if !is_full {
                    bytes += next;
                    taken.extend(source.receiver.try_receive());
                }
            }
            if is_full {
                // There may be more: come back for it.
                self.next = CollectionId(id.0 + 1);
                self.ready.notify_one();
                break;
            }
        }
        taken
    }

    pub fn errors_collection(&self, source: CollectionId) -> Option<CollectionId> {
        self.running.get(&source)?.errors
    }

    /// Whether a collection is filled by one of the sources.
    pub fn owns(&self, collection: CollectionId) -> bool {
        self.running.values().any(|source| source.relations.contains(&collection) || source.errors == Some(collection))
    }

    /// The batch became durable at `timestamp`.
    pub fn settled_at(&mut self, source: CollectionId, sequence: u64, timestamp: Timestamp) {
        if let Some(running) = self.running.get(&source) {
            running.key_state.ticked(sequence, timestamp);
        }
    }

    /// Stops a source that is dropped. Batches it had ready are dropped with it.
    pub fn drop_source(&mut self, id: CollectionId) {
        self.failed.remove(&id);
        if let Some(running) = self.running.remove(&id) {
            running.handle.stop();
        }
    }

    /// Ends a source that cannot go on. What was not durable stays unread.
    pub fn fail(&mut self, id: CollectionId, error: &Error) {
        tracing::error!(source = %id, %error, "the source has failed");
        self.drop_source(id);
        let fields = error.fields();
        // The only error that comes from the writer's side.
        let code = "54000";
        self.failed.insert(id, SourceError { code, message: fields.message.clone(), detail: fields.detail.clone(), hint: fields.hint.clone() });
    }

    pub fn stop(&mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            running.handle.stop();
        }
    }

    pub fn reports(&self) -> Vec<SourceReport> {
        let running = self.running.iter().map(|(id, source)| SourceReport { source: *id, status: source.handle.status() });
        let failed = self.failed.iter().map(|(id, error)| SourceReport { source: *id, status: SourceStatus::failed(error.clone()) });
        running.chain(failed).collect()
    }
}

/// How the cluster of a connection is reached: its options in librdkafka's words, secrets resolved.
pub fn broker_config(catalog: &Catalog, connection: CollectionId) -> Result<BrokerConfig, Error> {
    let entry = catalog.get(connection).ok_or_else(|| Error::internal("the connection of the source does not exist"))?;
    let Definition::Connection(ConnectionDefinition { options, .. }) = &entry.definition else {
        return Err(Error::new("42809", format!("\"{}\" is not a connection", entry.name)));
    };
    let value = |option: &OptionValue| match option {
        OptionValue::Text(text) => Ok(text.clone()),
        OptionValue::Secret(id) => match catalog.get(*id).map(|entry| &entry.definition) {
            Some(Definition::Secret(secret)) => Ok(secret.0.clone()),
            _ => Err(Error::internal("the secret of the connection does not exist")),
        },
    };
    let mut bootstrap = Vec::new();
    let mut properties = Vec::new();
    for (name, option) in options {
        let setting = match name.as_str() {
            "broker" | "brokers" => {
                bootstrap.push(value(option)?);
                continue;
            }
            "security protocol" => "security.protocol",
            "sasl mechanisms" => "sasl.mechanisms",
            "sasl username" => "sasl.username",
            "sasl password" => "sasl.password",
            "ssl certificate authority" => "ssl.ca.pem",
            "ssl certificate" => "ssl.certificate.pem",
            "ssl key" => "ssl.key.pem",
            unknown => return Err(Error::new("22023", format!("unrecognized connection option \"{unknown}\""))),
        };
        properties.push((setting.to_string(), value(option)?));
    }
    if bootstrap.is_empty() {
        return Err(Error::new("22023", "a Kafka connection needs the option BROKER"));
    }
    Ok(BrokerConfig { bootstrap: bootstrap.join(","), properties })
}

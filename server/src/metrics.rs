//! Counters and gauges for `/metrics`, in Prometheus' text format.
//!
//! Counters that are bumped on the way of work live here; what can be read off the state (relations, sources, frontiers) is read when the page is asked for.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Default)]
pub struct Metrics {
    connections: Gauge,
    connections_total: Counter,
    frames: Counter,
    frame_updates: Counter,
    statements: Counter,
    errors: Counter,
    subscriptions: Gauge,
    log_segments: Gauge,
    log_parts: Gauge,
    log_compactions: Gauge,
    log_disk_full: Gauge,
}

/// Counts a connection for as long as it lives.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The label of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RelationLabel {
    pub relation: String,
}

/// The labels of a source's partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartitionLabel {
    pub source: String,
    pub topic: String,
    pub partition: i64,
}

/// One relation as the page shows it.
pub struct RelationSample {
    pub name: String,
    pub updates: i64,
    pub bytes: i64,
    pub upper_millis: i64,
}

/// One partition of a source as the page shows it.
pub struct PartitionSample {
    pub source: String,
    pub topic: String,
    pub partition: i64,
    pub offset: i64,
    pub lag: i64,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics::default()
    }

    pub fn connection_opened(&self) -> OpenConnection {
        self.connections.inc();
        self.connections_total.inc();
        OpenConnection(self.connections.clone())
    }

    /// Clients connected.
    pub fn connections(&self) -> i64 {
        self.connections.get()
    }

    pub fn frame_written(&self, frame: &storage::Frame) {
        self.frames.inc();
        self.frame_updates.inc_by(frame.updates.iter().map(|(_, rows)| rows.len() as u64).sum());
    }

    /// Bytes of the log on disk, and how often it was compacted since the start.
    pub fn log_size(&self, segment_bytes: u64, part_bytes: u64, compactions: u64) {
        self.log_segments.set(segment_bytes as i64);
        self.log_parts.set(part_bytes as i64);
        self.log_compactions.set(compactions as i64);
    }

    /// Whether the last append found no room.
    pub fn disk_full(&self, is_full: bool) {
        self.log_disk_full.set(i64::from(is_full));
    }

    pub fn statement_run(&self) {
        self.statements.inc();
    }

    pub fn statement_failed(&self) {
        self.errors.inc();
    }

    pub fn subscription_opened(&self) -> OpenConnection {
        self.subscriptions.inc();
        OpenConnection(self.subscriptions.clone())
    }

    /// The page.
    pub fn render(&self, relations: &[RelationSample], partitions: &[PartitionSample], resident_bytes: i64) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("tidemark");
        registry.register("connections", "Clients connected", self.connections.clone());
        registry.register("connections_opened", "Clients that connected since the start", self.connections_total.clone());
        registry.register("frames", "Frames appended to the log", self.frames.clone());
        registry.register("frame_updates", "Row changes in those frames", self.frame_updates.clone());
        registry.register("statements", "Statements run", self.statements.clone());
        registry.register("statement_errors", "Statements that failed", self.errors.clone());
        registry.register("subscriptions", "Subscriptions that run", self.subscriptions.clone());
        registry.register_with_unit("log_segments", "Size of the log's frames on disk", Unit::Bytes, self.log_segments.clone());
        registry.register_with_unit("log_parts", "Size of the log's snapshot parts on disk", Unit::Bytes, self.log_parts.clone());
        registry.register("log_compactions_since_start", "Compactions of the log", self.log_compactions.clone());
        registry.register("log_disk_full", "1 while the disk of the data directory has no room: writes fail and sources wait", self.log_disk_full.clone());
        let resident: Gauge = Gauge::default();
        resident.set(resident_bytes);
        registry.register_with_unit("memory_resident", "Resident memory of the process", Unit::Bytes, resident);
        let (updates, bytes, upper): (Family<RelationLabel, Gauge>, Family<RelationLabel, Gauge>, Family<RelationLabel, Gauge>) = Default::default();
        for sample in relations {
            let label = RelationLabel { relation: sample.name.clone() };
            updates.get_or_create(&label).set(sample.updates);
            bytes.get_or_create(&label).set(sample.bytes);
            upper.get_or_create(&label).set(sample.upper_millis);
        }
        registry.register("relation_updates", "Updates in a relation's arrangement", updates);
        registry.register_with_unit("relation_arrangement", "Size of a relation's arrangement", Unit::Bytes, bytes);
        registry.register("relation_upper_milliseconds", "Times below this one are complete in the relation", upper);
        let (offset, lag): (Family<PartitionLabel, Gauge>, Family<PartitionLabel, Gauge>) = Default::default();
        for sample in partitions {
            let label = PartitionLabel { source: sample.source.clone(), topic: sample.topic.clone(), partition: sample.partition };
            offset.get_or_create(&label).set(sample.offset);
            lag.get_or_create(&label).set(sample.lag);
        }
        registry.register("source_offset", "Next offset to read", offset);
        registry.register("source_lag_messages", "Messages in the topic that were not read yet", lag);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

/// Resident memory as the kernel counts it; 0 where it cannot be had.
pub fn resident_bytes() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|statm| statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<i64>().ok()));
    pages.unwrap_or(0) * PAGE_BYTES
}

/// x86-64 and most of aarch64.
const PAGE_BYTES: i64 = 4096;


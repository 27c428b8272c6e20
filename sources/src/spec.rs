//! What a source is: the part of `CREATE SOURCE` that survives a restart, as the JSON text the catalog keeps.

use repr::{CollectionId, ColumnType, Schema, Type};
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::SourceError;

/// How a Kafka cluster is reached: what `CREATE CONNECTION` says, secrets resolved. Not part of the stored specification.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `host:port,host:port`.
    pub bootstrap: String,
    /// Settings in librdkafka's words: `security.protocol`, `sasl.username`, ...
    pub properties: Vec<(String, String)>,
}

impl BrokerConfig {
    /// An unsecured cluster.
    pub fn new(bootstrap: impl Into<String>) -> BrokerConfig {
        BrokerConfig {
            bootstrap: bootstrap.into(),
            properties: Vec::new(),
        }
    }
}

/// Values may be secrets, so they are not shown.
impl fmt::Debug for BrokerConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .properties
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        formatter
            .debug_struct("BrokerConfig")
            .field("bootstrap", &self.bootstrap)
            .field("properties", &names)
            .finish()
    }
}

/// A source. `serde_json` text of it is what the catalog stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The source's own id, which its batches carry.
    pub id: CollectionId,
    pub topics: Topics,
    pub start: StartAt,
    pub key_format: Format,
    pub value_format: Format,
    pub envelope: Envelope,
    /// `INCLUDE ...`, for every relation.
    pub include: Vec<Include>,
    /// One for a single topic.
    pub relations: Vec<RelationSpec>,
    pub options: SourceOptions,
}

/// Where the messages are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topics {
    /// `TOPIC 't'`.
    Single { topic: String },
    /// `TOPIC PREFIX 'p'`: a relation's topic is `p.<upstream name>`.
    Prefix {
        prefix: String,
        /// `TRANSACTION TOPIC`: with it, upstream transactions are visible whole or not at all.
        transaction_topic: Option<String>,
    },
}

/// Where reading starts when there is no position to resume at. Partitions that appear later are read from their beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartAt {
    #[default]
    Beginning,
    /// `START OFFSET (partition 0, partition 1, ...)`; partitions without one start at their beginning.
    Offsets(Vec<i64>),
    /// `START TIMESTAMP`: milliseconds since the epoch, or before now if negative.
    Timestamp(i64),
}

/// How bytes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    #[default]
    Json,
    Text,
    Bytes,
}

/// What messages mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Envelope {
    /// Each message is a row.
    None,
    /// Each message is the newest value of its key; a null value deletes it.
    Upsert,
    /// Debezium's change events.
    Debezium,
}

/// `INCLUDE kind AS name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Include {
    pub kind: IncludeKind,
    /// The column's name; `None` is the kind's own (`key`, `partition`, `offset`, `timestamp`, `headers`).
    pub name: Option<String>,
}

/// What of a message becomes a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncludeKind {
    /// By the key's format: `jsonb`, `text` or `bytea`.
    Key,
    /// `integer`
    Partition,
    /// `bigint`
    Offset,
    /// `timestamp`
    Timestamp,
    /// `jsonb`: an array of `{"key": text, "value": base64 text or null}`, in their order, since names may repeat.
    Headers,
}

/// One relation of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationSpec {
    pub id: CollectionId,
    /// Its table's name upstream (`public.orders`, `shop.orders`), as transaction metadata calls it; the topic's name for a single topic.
    pub upstream_name: String,
    pub topic: String,
    /// The columns. Without any, [`validate`](crate::validate) fills them in. `keys[0]` is the primary key.
    pub schema: Schema,
    /// Where each column of `schema` comes from; filled in by [`validate`](crate::validate) when empty.
    pub origins: Vec<ColumnOrigin>,
}

impl RelationSpec {
    /// A relation with declared columns (or none yet), to be completed by [`validate`](crate::validate).
    pub fn new(
        id: CollectionId,
        upstream_name: impl Into<String>,
        topic: impl Into<String>,
        schema: Schema,
    ) -> RelationSpec {
        RelationSpec {
            id,
            upstream_name: upstream_name.into(),
            topic: topic.into(),
            schema,
            origins: Vec::new(),
        }
    }

    /// Positions of the primary key's columns; empty if there is none.
    pub fn primary_key(&self) -> &[usize] {
        self.schema.keys.first().map_or(&[], Vec::as_slice)
    }
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnOrigin {
    /// A field of the value (for Debezium: of the row in it).
    Field(String),
    /// The whole value.
    Value,
    /// A field of the key.
    KeyField(String),
    /// The whole key.
    Key,
    Partition,
    Offset,
    Timestamp,
    Headers,
}

/// `time.precision.mode` of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimePrecision {
    /// Milliseconds up to three declared fractional digits, else microseconds: Postgres' default.
    Adaptive,
    /// As `Adaptive`, but `time` is always microseconds: MySQL's and MariaDB's default.
    AdaptiveTimeMicroseconds,
    /// Milliseconds throughout.
    Connect,
    Microseconds,
    Nanoseconds,
}

/// `decimal.handling.mode` of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecimalHandling {
    /// Base64 of the unscaled integer; the scale is the declared type's.
    Precise,
    /// A JSON number.
    Double,
    /// Decimal text.
    String,
}

/// `binary.handling.mode` of the connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryHandling {
    /// What Connect's JsonConverter makes of bytes.
    #[default]
    Base64,
    Base64UrlSafe,
    Hex,
}

/// Settings of a source with their defaults: `WITH (...)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceOptions {
    /// Memory for changes of upstream transactions that are not complete. Beyond it the source fails: half a transaction is never shown.
    pub transaction_buffer_bytes_max: u64,
    /// Memory for the rows of an initial snapshot that is not complete. Beyond it batches flow with [`SourceBatch::snapshot_in_progress`](crate::SourceBatch::snapshot_in_progress).
    pub snapshot_buffer_bytes_max: u64,
    /// `before` holds whole rows (`REPLICA IDENTITY FULL`): relations without primary key can be updated.
    pub replica_identity_full: bool,
    /// Needed for times that arrive as numbers in messages without a schema.
    pub time_precision: Option<TimePrecision>,
    /// Needed for numerics that arrive as text in messages without a schema.
    pub decimal_handling: Option<DecimalHandling>,
    pub binary_handling: BinaryHandling,
    /// `unavailable.value.placeholder` of the connector.
    pub unavailable_value_placeholder: String,
    /// Columns (`column` or `table.column`) that are `BIGINT UNSIGNED` upstream: negative numbers are values beyond 2^63 that wrapped around.
    pub unsigned_bigint_columns: Vec<String>,
}

/// Default of [`SourceOptions::transaction_buffer_bytes_max`].
pub const TRANSACTION_BUFFER_BYTES_MAX: u64 = 512 << 20;
/// Default of [`SourceOptions::snapshot_buffer_bytes_max`].
pub const SNAPSHOT_BUFFER_BYTES_MAX: u64 = 512 << 20;

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions {
            transaction_buffer_bytes_max: TRANSACTION_BUFFER_BYTES_MAX,
            snapshot_buffer_bytes_max: SNAPSHOT_BUFFER_BYTES_MAX,
            replica_identity_full: false,
            time_precision: None,
            decimal_handling: None,
            binary_handling: BinaryHandling::Base64,
            unavailable_value_placeholder: "__debezium_unavailable_value".to_owned(),
            unsigned_bigint_columns: Vec::new(),
        }
    }
}

impl SourceOptions {
    /// Sets an option of `WITH (...)` by its name in upper case and its value as text.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SourceError> {
        let invalid =
            || SourceError::invalid_option(name, value, "see the guide's table of source options");
        let boolean = || match value.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" | "" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(invalid()),
        };
        let lower = value.to_ascii_lowercase();
        match name {
            "TRANSACTION BUFFER BYTES" => {
                self.transaction_buffer_bytes_max = value.parse().map_err(|_| invalid())?;
            }
            "SNAPSHOT BUFFER BYTES" => {
                self.snapshot_buffer_bytes_max = value.parse().map_err(|_| invalid())?;
            }
            "REPLICA IDENTITY FULL" => self.replica_identity_full = boolean()?,
            "TIME PRECISION MODE" => {
                self.time_precision = Some(match lower.as_str() {
                    "adaptive" => TimePrecision::Adaptive,
                    "adaptive_time_microseconds" => TimePrecision::AdaptiveTimeMicroseconds,
                    "connect" => TimePrecision::Connect,
                    "microseconds" => TimePrecision::Microseconds,
                    "nanoseconds" => TimePrecision::Nanoseconds,
                    _ => return Err(invalid()),
                });
            }
            "DECIMAL HANDLING MODE" => {
                self.decimal_handling = Some(match lower.as_str() {
                    "precise" => DecimalHandling::Precise,
                    "double" => DecimalHandling::Double,
                    "string" => DecimalHandling::String,
                    _ => return Err(invalid()),
                });
            }
            "BINARY HANDLING MODE" => {
                self.binary_handling = match lower.as_str() {
                    "bytes" | "base64" => BinaryHandling::Base64,
                    "base64-url-safe" => BinaryHandling::Base64UrlSafe,
                    "hex" => BinaryHandling::Hex,
                    _ => return Err(invalid()),
                };
            }
            "UNAVAILABLE VALUE PLACEHOLDER" => {
                self.unavailable_value_placeholder = value.to_owned();
            }
            "UNSIGNED BIGINT COLUMNS" => {
                self.unsigned_bigint_columns = value
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
                    .collect();
            }
            _ => return Err(SourceError::unknown_option(name)),
        }
        Ok(())
    }
}

/// What [`validate`](crate::validate) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The specification with the schema and the origins of every relation: what the catalog stores.
    pub spec: SourceSpec,
    /// Partitions of each topic that is read.
    pub partitions: Vec<(String, usize)>,
}

impl SourceSpec {
    /// Every topic that is read: the relations' and the transaction topic.
    pub fn topic_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let topics = self
            .relations
            .iter()
            .map(|relation| relation.topic.as_str())
            .chain(self.transaction_topic());
        for topic in topics {
            if !names.contains(&topic) {
                names.push(topic);
            }
        }
        names
    }

    /// The topic of transaction boundaries, if there is one.
    pub fn transaction_topic(&self) -> Option<&str> {
        match &self.topics {
            Topics::Prefix {
                transaction_topic, ..
            } => transaction_topic.as_deref(),
            Topics::Single { .. } => None,
        }
    }

    /// The column an `INCLUDE` adds.
    pub(crate) fn include_column(&self, include: &Include) -> (String, ColumnType, ColumnOrigin) {
        let (name, column_type, origin) = match include.kind {
            IncludeKind::Key => {
                let scalar = match self.key_format {
                    Format::Json => Type::Jsonb,
                    Format::Text => Type::Text,
                    Format::Bytes => Type::Bytea,
                };
                ("key", ColumnType::new(scalar), ColumnOrigin::Key)
            }
            IncludeKind::Partition => (
                "partition",
                ColumnType::new(Type::Int4).not_null(),
                ColumnOrigin::Partition,
            ),
            IncludeKind::Offset => (
                "offset",
                ColumnType::new(Type::Int8).not_null(),
                ColumnOrigin::Offset,
            ),
            IncludeKind::Timestamp => (
                "timestamp",
                ColumnType::new(Type::Timestamp),
                ColumnOrigin::Timestamp,
            ),
            IncludeKind::Headers => (
                "headers",
                ColumnType::new(Type::Jsonb),
                ColumnOrigin::Headers,
            ),
        };
        let name = include.name.clone().unwrap_or_else(|| name.to_owned());
        (name, column_type, origin)
    }
}

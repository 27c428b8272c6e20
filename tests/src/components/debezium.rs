//! Debezium as Kafka Connect runs it: one JVM, one connector, standalone, its offsets in a file which survives `kill -9`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::directory::Directory;
use super::http::http_get;
use super::java::{java, properties, write_properties};
use super::kafka::Kafka;
use super::mariadb::{self, MariaDb};
use super::ports::free_port;
use super::postgres::Database;
use super::process::Component;

const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// What a connector captures and how it writes it down.
#[derive(Clone, Debug)]
pub struct DebeziumOptions {
    /// `topic.prefix`: topics are `prefix.schema.table` (Postgres) or `prefix.database.table` (MariaDB), and `prefix.transaction`. The slot and
    /// the publication carry it in their names too, so each connector of a server needs its own.
    pub prefix: String,
    /// `schema.table` (Postgres) or `database.table` (MariaDB).
    pub tables: Vec<String>,
    /// Whether every record carries its schema: `{"schema": ..., "payload": ...}`.
    pub schemas_enable: bool,
    /// How often the connector makes its position durable. With a long time, `kill -9` makes it send whole transactions again.
    pub offset_flush_interval_ms: u64,
    /// Further settings of the connector; they win over ours. `None` as value takes one of ours away.
    pub extra: Vec<(String, Option<String>)>,
    /// Further settings of the worker (converters, producer); they win over ours.
    pub worker_extra: Vec<(String, String)>,
}

impl DebeziumOptions {
    /// Records without schemas, positions durable once a second.
    pub fn new(prefix: &str, tables: &[&str]) -> Self {
        Self {
            prefix: prefix.to_owned(),
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
            schemas_enable: false,
            offset_flush_interval_ms: 1_000,
            extra: Vec::new(),
            worker_extra: Vec::new(),
        }
    }

    /// Adds a setting of the connector.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.extra.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// The prefix as a name in the database: slots take lower-case letters, digits and underscores.
    pub fn slot(&self) -> String {
        self.prefix
            .chars()
            .map(|character| {
                if character.is_ascii_alphanumeric() {
                    character.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .collect()
    }

    /// The publication which the Postgres connector makes and a later table has to be added to.
    pub fn publication(&self) -> String {
        format!("{}_publication", self.slot())
    }
}

/// A running connector.
#[derive(Debug)]
pub struct Debezium {
    component: Component,
    rest_port: u16,
    prefix: String,
    // Last: the process goes before its folder.
    _directory: Directory,
}

impl Debezium {
    /// Starts the Postgres connector and returns when it runs. Its snapshot may still be going on: [`Debezium::wait_streaming`].
    pub fn postgres(
        kafka: &Kafka,
        database: impl AsRef<Database>,
        options: &DebeziumOptions,
    ) -> Result<Self> {
        let database = database.as_ref();
        let connector = properties([
            (
                "connector.class",
                "io.debezium.connector.postgresql.PostgresConnector",
            ),
            ("plugin.name", "pgoutput"),
            ("database.hostname", "127.0.0.1"),
            ("database.port", &database.port().to_string()),
            ("database.user", "postgres"),
            // Refused when it is missing, ignored when everyone is trusted.
            ("database.password", "postgres"),
            ("database.dbname", database.name()),
            ("slot.name", &options.slot()),
            ("publication.name", &options.publication()),
            ("publication.autocreate.mode", "filtered"),
        ]);
        Self::start("kafka-libs", kafka, connector, options)
    }

    /// Starts the MariaDB connector and returns when it runs. Its snapshot may still be going on: [`Debezium::wait_streaming`].
    pub fn mariadb(kafka: &Kafka, server: &MariaDb, options: &DebeziumOptions) -> Result<Self> {
        // To the server a connector is a replica, and two of one number throw each other out: the REST port is unique on this machine.
        let server_number = free_port()?.to_string();
        let connector = properties([
            (
                "connector.class",
                "io.debezium.connector.mariadb.MariaDbConnector",
            ),
            ("database.hostname", "127.0.0.1"),
            ("database.port", &server.port().to_string()),
            ("database.user", mariadb::TCP_USER),
            ("database.password", mariadb::TCP_PASSWORD),
            ("database.server.id", &server_number),
            ("database.ssl.mode", "disable"),
            (
                "schema.history.internal.kafka.bootstrap.servers",
                &kafka.bootstrap(),
            ),
            (
                "schema.history.internal.kafka.topic",
                &format!("{}.schema-history", options.prefix),
            ),
        ]);
        Self::start("kafka-libs-mariadb", kafka, connector, options)
    }

    fn start(
        libraries: &str,
        kafka: &Kafka,
        connector: Vec<(String, String)>,
        options: &DebeziumOptions,
    ) -> Result<Self> {
        let directory = Directory::new("debezium")?;
        let rest_port = free_port()?;
        let worker = write_properties(
            &directory,
            "connect.properties",
            &worker_properties(&directory, rest_port, kafka, options),
        )?;
        let source = write_properties(
            &directory,
            "source.properties",
            &source_properties(connector, options),
        )?;
        let recipe = java(
            "debezium",
            libraries,
            "org.apache.kafka.connect.cli.ConnectStandalone",
            &directory,
        )?
        .argument(&worker)
        .argument(&source);
        let component = Component::start(recipe)?;
        let mut debezium = Self {
            component,
            rest_port,
            prefix: options.prefix.clone(),
            _directory: directory,
        };
        debezium.wait_running()?;
        Ok(debezium)
    }

    /// The topic of transaction boundaries.
    pub fn transaction_topic(&self) -> String {
        format!("{}.transaction", self.prefix)
    }

    /// The topic of a table, named as in the options.
    pub fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.prefix)
    }

    /// The process.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Stops as an operator would: positions are made durable.
    pub fn stop(&mut self) -> Result<()> {
        self.component.stop(STOP_DEADLINE).map(drop)
    }

    /// `kill -9`: what was sent since the positions were last made durable will be sent again.
    pub fn kill9(&mut self) -> Result<()> {
        self.component.kill9()
    }

    /// Starts again where its offsets say, and returns when it runs.
    pub fn start_again(&mut self) -> Result<()> {
        self.component.start_again()?;
        self.wait_running()
    }

    /// Waits until the connector and its task run. A task that failed is an error with its trace.
    pub fn wait_running(&mut self) -> Result<()> {
        let path = format!("/connectors/{CONNECTOR_NAME}/status");
        self.component.wait_ready(START_DEADLINE, |_| {
            // Refused, or 404, until Connect has come so far.
            let Ok((200, body)) = http_get(self.rest_port, &path) else {
                return Ok(None);
            };
            is_running(&body).map(|is_running| is_running.then_some(()))
        })
    }

    /// Waits until the snapshot is over: what is committed from now on is streamed, with its transaction's boundaries.
    pub fn wait_streaming(&mut self) -> Result<()> {
        // The words of Debezium's coordinator of snapshot and streaming, the same for all its connectors.
        self.component.wait_ready(START_DEADLINE, |component| {
            Ok(component
                .log_of_this_start()
                .contains("Starting streaming")
                .then_some(()))
        })
    }
}

const CONNECTOR_NAME: &str = "source";

/// Reads the answer of `/connectors/NAME/status`.
fn is_running(body: &str) -> Result<bool> {
    let status: Value =
        serde_json::from_str(body).with_context(|| format!("Connect answered no JSON: {body}"))?;
    let tasks = status
        .get("tasks")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut all_run = !tasks.is_empty();
    for part in status.get("connector").into_iter().chain(tasks) {
        match part.get("state").and_then(Value::as_str) {
            Some("RUNNING") => {}
            Some("FAILED") => bail!(
                "the connector failed: {}",
                part.get("trace").and_then(Value::as_str).unwrap_or(body)
            ),
            _ => all_run = false,
        }
    }
    Ok(all_run)
}

fn worker_properties(
    directory: &Directory,
    rest_port: u16,
    kafka: &Kafka,
    options: &DebeziumOptions,
) -> Vec<(String, String)> {
    let schemas_enable = options.schemas_enable.to_string();
    let mut all = properties([
        ("bootstrap.servers", &kafka.bootstrap()),
        ("listeners", &format!("http://127.0.0.1:{rest_port}")),
        (
            "offset.storage.file.filename",
            &directory.join("offsets").display().to_string(),
        ),
        (
            "offset.flush.interval.ms",
            &options.offset_flush_interval_ms.to_string(),
        ),
        // All plugins are jars of today which announce themselves: no search through every class.
        ("plugin.discovery", "service_load"),
    ]);
    for side in ["key", "value"] {
        all.extend(properties([
            (
                &format!("{side}.converter"),
                "org.apache.kafka.connect.json.JsonConverter",
            ),
            (&format!("{side}.converter.schemas.enable"), &schemas_enable),
            // Without it a NULL in a column which has a default arrives as the default, and nobody downstream can tell.
            (
                &format!("{side}.converter.replace.null.with.default"),
                "false",
            ),
        ]));
    }
    all.extend(options.worker_extra.iter().cloned());
    all
}

fn source_properties(
    connector: Vec<(String, String)>,
    options: &DebeziumOptions,
) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = connector.into_iter().collect();
    all.extend(properties([
        ("name", CONNECTOR_NAME),
        ("tasks.max", "1"),
        ("topic.prefix", &options.prefix),
        ("table.include.list", &options.tables.join(",")),
        ("provide.transaction.metadata", "true"),
        // The default of half a second is for the sake of the database; tests wait for it.
        ("poll.interval.ms", "20"),
    ]));
    for (name, value) in &options.extra {
        match value {
            Some(value) => all.insert(name.clone(), value.clone()),
            None => all.remove(name),
        };
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_connector() {
        let cases = [
            (
                r#"{"connector":{"state":"RUNNING"},"tasks":[{"state":"RUNNING"}]}"#,
                Some(true),
            ),
            (
                r#"{"connector":{"state":"RUNNING"},"tasks":[]}"#,
                Some(false),
            ),
            (
                r#"{"connector":{"state":"UNASSIGNED"},"tasks":[{"state":"RUNNING"}]}"#,
                Some(false),
            ),
            (
                r#"{"connector":{"state":"RUNNING"},"tasks":[{"state":"FAILED","trace":"no slot"}]}"#,
                None,
            ),
            ("<html>", None),
        ];
        for (body, expected) in cases {
            assert_eq!(is_running(body).ok(), expected, "{body}");
        }
    }

    #[test]
    fn names_in_the_database_are_plain() {
        let options = DebeziumOptions::new("Shop-EU.1", &["public.orders"]);
        assert_eq!(
            (options.slot().as_str(), options.publication().as_str()),
            ("shop_eu_1", "shop_eu_1_publication")
        );
    }

    #[test]
    fn extra_settings_win() {
        let mut options =
            DebeziumOptions::new("p", &["public.a", "public.b"]).with("tasks.max", "2");
        options.extra.push(("plugin.name".to_owned(), None));
        let all = source_properties(
            properties([("plugin.name", "pgoutput"), ("slot.name", "p")]),
            &options,
        );
        let found = |name: &str| {
            all.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(
            [
                found("tasks.max"),
                found("plugin.name"),
                found("slot.name"),
                found("table.include.list")
            ],
            [Some("2"), None, Some("p"), Some("public.a,public.b")]
        );
    }
}

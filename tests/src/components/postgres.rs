//! A Postgres server: the upstream of Debezium, and the judge of what SQL means.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use postgres::Client;
use rustix::process::Signal;

use super::directory::Directory;
use super::installed::{postgres_program, user_instead_of_root};
use super::ports::free_port;
use super::process::{Component, Recipe, run_with_input};
use crate::sql::{connect, simple};

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
const ADMINISTRATOR: &str = "postgres";

/// What may differ from server to server.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Whether the server waits for its disk. It survives `kill -9` either way, only the machine's own crash needs it; it is for measuring.
    pub durable: bool,
    /// Further settings; they win over ours.
    pub settings: Vec<(String, String)>,
}

/// A database of a server: what tests connect to. It costs nothing to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    port: u16,
    name: String,
}

impl Database {
    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For any client: `host=127.0.0.1 port=... user=postgres dbname=...`.
    pub fn connection_string(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user={ADMINISTRATOR} dbname={}",
            self.port, self.name
        )
    }

    /// A new connection.
    pub fn connect(&self) -> Result<Client> {
        connect(self.port, ADMINISTRATOR, &self.name)
    }

    /// Runs a script with psql, each statement by itself as psql does, and returns what it printed: rows alone, columns separated by `|`.
    /// The first error ends the script and is the error of this call.
    pub fn psql(&self, script: &str) -> Result<String> {
        let port = self.port.to_string();
        let mut command = Command::new(postgres_program("psql")?);
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            ADMINISTRATOR,
            "-d",
            &self.name,
            "-f",
            "-",
        ]);
        run_with_input(command, script)
    }
}

impl AsRef<Database> for Database {
    fn as_ref(&self) -> &Database {
        self
    }
}

/// A server with its data: UTF-8, C collation, UTC, logical decoding on, and everyone may do everything.
#[derive(Debug)]
pub struct Postgres {
    component: Component,
    database: Database,
    // Last: the process goes before its folder.
    _directory: Directory,
}

impl Postgres {
    /// A new server with empty databases.
    pub fn start() -> Result<Self> {
        Self::start_with(&PostgresOptions::default())
    }

    /// A new server with settings of its own.
    pub fn start_with(options: &PostgresOptions) -> Result<Self> {
        let directory = Directory::new("postgres")?;
        let user = user_instead_of_root("postgres")?;
        directory.give_to(user)?;
        let data = directory.join("data");

        Recipe::new("initdb", postgres_program("initdb")?, directory.path())
            .arguments([
                "-A",
                "trust",
                "-U",
                ADMINISTRATOR,
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .argument(&data)
            .variable("LC_ALL", "C")
            .user(user)
            .run_to_end()?;

        let port = free_port()?;
        let mut recipe = Recipe::new("postgres", postgres_program("postgres")?, directory.path())
            .argument("-D")
            .argument(&data)
            .variable("LC_ALL", "C")
            .user(user)
            // "Fast": end the sessions and stop. SIGTERM would wait for every client to leave.
            .stop_signal(Signal::INT);
        for (name, value) in settings(&directory, port, options) {
            recipe = recipe.argument("-c").argument(format!("{name}={value}"));
        }
        let component = Component::start(recipe)?;
        let database = Database {
            port,
            name: ADMINISTRATOR.to_owned(),
        };
        let mut postgres = Self {
            component,
            database,
            _directory: directory,
        };
        postgres.wait_ready()?;
        Ok(postgres)
    }

    /// The server of this test process: for tests which use a database of their own ([`Postgres::create_database`]) and leave the server alone.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Postgres>> = OnceLock::new();
        SHARED
            .get_or_init(Self::start)
            .as_ref()
            .map_err(|error| anyhow!("the shared Postgres did not start: {error:#}"))
    }

    /// The database which is there from the start, `postgres`.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A new, empty database, named by nobody else.
    pub fn create_database(&self) -> Result<Database> {
        static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT_NUMBER.fetch_add(1, Ordering::Relaxed));
        // From template0, to which nobody is connected: a copy is refused while someone else makes one.
        simple(
            &mut self.connect()?,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .with_context(|| format!("could not create the database {name}"))?;
        Ok(Database {
            port: self.database.port,
            name,
        })
    }

    /// The port on 127.0.0.1; the same for all starts.
    pub fn port(&self) -> u16 {
        self.database.port
    }

    /// [`Database::connection_string`] of the first database.
    pub fn connection_string(&self) -> String {
        self.database.connection_string()
    }

    /// [`Database::connect`] to the first database.
    pub fn connect(&self) -> Result<Client> {
        self.database.connect()
    }

    /// [`Database::psql`] on the first database.
    pub fn psql(&self, script: &str) -> Result<String> {
        self.database.psql(script)
    }

    /// The process.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Ends all sessions and stops.
    pub fn stop(&mut self) -> Result<()> {
        self.component.stop(STOP_DEADLINE).map(drop)
    }

    /// `kill -9` of the server and all its processes.
    pub fn kill9(&mut self) -> Result<()> {
        self.component.kill9()
    }

    /// Starts again, on the same port with the same data, and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.component.start_again()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let database = &self.database;
        self.component.wait_ready(START_DEADLINE, |_| {
            // Refused while it starts or recovers.
            let answer = database
                .connect()
                .ok()
                .and_then(|mut client| simple(&mut client, "SELECT 1").ok());
            Ok(answer.map(drop))
        })
    }
}

impl AsRef<Database> for Postgres {
    fn as_ref(&self) -> &Database {
        &self.database
    }
}

fn settings(directory: &Directory, port: u16, options: &PostgresOptions) -> Vec<(String, String)> {
    let on_or_off = |on: bool| if on { "on" } else { "off" };
    let mut all: Vec<(String, String)> = [
        ("listen_addresses", "127.0.0.1"),
        ("port", port.to_string().as_str()),
        (
            "unix_socket_directories",
            directory.path().display().to_string().as_str(),
        ),
        ("wal_level", "logical"),
        ("max_wal_senders", "40"),
        ("max_replication_slots", "40"),
        ("max_connections", "200"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("fsync", on_or_off(options.durable)),
        ("full_page_writes", on_or_off(options.durable)),
    ]
    .iter()
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect();
    all.extend(options.settings.iter().cloned());
    all
}

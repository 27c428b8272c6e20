//! A MariaDB server with a row-based binary log: the upstream of Debezium's other connector.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::directory::Directory;
use super::installed::{program, user_instead_of_root};
use super::ports::free_port;
use super::process::{Component, Recipe, run_with_input};

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// The user for connections over TCP; it may do everything.
pub(super) const TCP_USER: &str = "tidemark";
pub(super) const TCP_PASSWORD: &str = "tidemark";

/// A server with its data: utf8mb4, UTC.
#[derive(Debug)]
pub struct MariaDb {
    component: Component,
    port: u16,
    socket: PathBuf,
    // Last: the process goes before its folder.
    _directory: Directory,
}

impl MariaDb {
    /// A new server without databases of ours.
    pub fn start() -> Result<Self> {
        let directory = Directory::new("mariadb")?;
        let user = user_instead_of_root("mysql")?;
        directory.give_to(user)?;
        let data = directory.join("data");

        Recipe::new(
            "mariadb-install-db",
            program("mariadb-install-db")?,
            directory.path(),
        )
        .arguments([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ])
        .argument(format!("--datadir={}", data.display()))
        .user(user)
        .run_to_end()?;

        let port = free_port()?;
        let socket = directory.join("socket");
        let configuration = directory.join("my.cnf");
        let text = CONFIGURATION
            .replace("{data}", &data.display().to_string())
            .replace("{socket}", &socket.display().to_string())
            .replace("{port}", &port.to_string());
        fs::write(&configuration, text)
            .with_context(|| format!("could not write {}", configuration.display()))?;
        let recipe = Recipe::new("mariadbd", program("mariadbd")?, directory.path())
            .argument(format!("--defaults-file={}", configuration.display()))
            .user(user);
        let component = Component::start(recipe)?;
        let mut server = Self {
            component,
            port,
            socket,
            _directory: directory,
        };
        server.wait_ready()?;
        // Debezium's connection is taken for the anonymous user's, and refused, as long as there is one.
        server.sql(&format!(
            "DELETE FROM mysql.global_priv WHERE user = ''; FLUSH PRIVILEGES;
             CREATE USER '{TCP_USER}'@'%' IDENTIFIED BY '{TCP_PASSWORD}'; GRANT ALL ON *.* TO '{TCP_USER}'@'%' WITH GRANT OPTION;"
        ))?;
        Ok(server)
    }

    /// The server of this test process: for tests which use a database of their own and leave the server alone.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<MariaDb>> = OnceLock::new();
        SHARED
            .get_or_init(Self::start)
            .as_ref()
            .map_err(|error| anyhow!("the shared MariaDB did not start: {error:#}"))
    }

    /// The port on 127.0.0.1; the same for all starts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a script as root, each statement by itself, and returns the rows as the client prints them: columns separated by tabs. The first
    /// error ends the script. A script begins with `USE database;` when it needs one.
    pub fn sql(&self, script: &str) -> Result<String> {
        let mut command = Command::new(program("mariadb")?);
        command.args([
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--user=root",
        ]);
        command.arg(format!("--socket={}", self.socket.display()));
        run_with_input(command, script)
    }

    /// The process.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Stops as an operator would.
    pub fn stop(&mut self) -> Result<()> {
        self.component.stop(STOP_DEADLINE).map(drop)
    }

    /// `kill -9`.
    pub fn kill9(&mut self) -> Result<()> {
        self.component.kill9()
    }

    /// Starts again, on the same port with the same data, and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.component.start_again()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let Self {
            component, socket, ..
        } = self;
        let client = program("mariadb")?;
        component.wait_ready(START_DEADLINE, |_| {
            let mut command = Command::new(&client);
            command
                .args(["--no-defaults", "--user=root", "--execute=SELECT 1"])
                .arg(format!("--socket={}", socket.display()));
            let status = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .context("could not run the mariadb client")?;
            Ok(status.success().then_some(()))
        })
    }
}

/// The binary log as Debezium wants it. What was committed survives the death of the process, and the disk is not waited for.
const CONFIGURATION: &str = "\
[mariadbd]
datadir={data}
socket={socket}
port={port}
bind-address=127.0.0.1
pid-file={data}/mariadbd.pid
server-id=1
log-bin=binlog
binlog_format=ROW
binlog_row_image=FULL
sync_binlog=0
innodb_flush_log_at_trx_commit=2
innodb_buffer_pool_size=64M
character-set-server=utf8mb4
collation-server=utf8mb4_bin
default-time-zone=+00:00
skip-name-resolve
";

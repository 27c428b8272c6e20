//! Tidemark itself: the binary as users run it, started on a data directory, killed, and started again.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use postgres::Client;

use super::directory::Directory;
use super::http::http_get;
use super::process::{Component, Recipe};
use crate::sql::connect;

/// Hydration of what a data directory holds included.
const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// What the server says once each of its ports is open.
const PGWIRE_LINE: &str = "pgwire listening on ";
const HTTP_LINE: &str = "http listening on ";

/// Who connects when a test does not say.
const USER: &str = "tidemark";
const DATABASE: &str = "tidemark";

/// How the server is started.
#[derive(Clone, Debug, Default)]
pub struct TidemarkOptions {
    /// `None` is a new directory which goes with this value.
    pub data_directory: Option<PathBuf>,
    /// Further flags, after ours.
    pub flags: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Another binary than the one under test: an older release, say.
    pub binary: Option<PathBuf>,
}

/// A running server.
#[derive(Debug)]
pub struct Tidemark {
    component: Component,
    flags: Vec<String>,
    data_directory: PathBuf,
    pgwire: SocketAddr,
    http: SocketAddr,
    // Last: the process goes before its folder.
    _directory: Directory,
}

impl Tidemark {
    /// Starts the server on ports of its own choice and returns when both are open.
    pub fn start(options: TidemarkOptions) -> Result<Self> {
        let directory = Directory::new("tidemark")?;
        let data_directory = options
            .data_directory
            .unwrap_or_else(|| directory.join("data"));
        let binary = options.binary.map_or_else(binary, Ok)?;
        let mut recipe = Recipe::new("tidemark", binary, directory.path());
        for (name, value) in options.environment {
            recipe = recipe.variable(name, value);
        }
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let recipe = recipe.arguments(arguments(
            &data_directory,
            any_port,
            any_port,
            &options.flags,
        ));
        let mut component = Component::start(recipe)?;
        let (pgwire, http) = wait_ready(&mut component)?;
        Ok(Self {
            component,
            flags: options.flags,
            data_directory,
            pgwire,
            http,
            _directory: directory,
        })
    }

    /// The address for SQL.
    pub fn pgwire(&self) -> SocketAddr {
        self.pgwire
    }

    /// The address for HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it keeps its data.
    pub fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    /// A new connection.
    pub fn connect(&self) -> Result<Client> {
        self.connect_as(USER, DATABASE)
    }

    /// A new connection as somebody.
    pub fn connect_as(&self, user: &str, database: &str) -> Result<Client> {
        connect(self.pgwire.port(), user, database).with_context(|| self.component.describe_log())
    }

    /// For any client: `host=127.0.0.1 port=... user=... dbname=...`.
    pub fn connection_string(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user={USER} dbname={DATABASE}",
            self.pgwire.port()
        )
    }

    /// The status and the body of a page.
    pub fn http_get(&self, path: &str) -> Result<(u16, String)> {
        http_get(self.http.port(), path)
    }

    /// The process.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// The process, for what is not said here (other signals, its exit status).
    pub fn component_mut(&mut self) -> &mut Component {
        &mut self.component
    }

    /// SIGTERM, and waits for the end; how it ended is the answer.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.component.stop(STOP_DEADLINE)
    }

    /// `kill -9`.
    pub fn kill9(&mut self) -> Result<()> {
        self.component.kill9()
    }

    /// Starts again on the same data and the same ports, and returns when both are open.
    pub fn start_again(&mut self) -> Result<()> {
        self.component.set_arguments(arguments(
            &self.data_directory,
            self.pgwire,
            self.http,
            &self.flags,
        ));
        self.component.start_again()?;
        (self.pgwire, self.http) = wait_ready(&mut self.component)?;
        Ok(())
    }

    /// Starts again with other flags.
    pub fn start_again_with(&mut self, flags: &[&str]) -> Result<()> {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.start_again()
    }
}

fn arguments(
    data_directory: &Path,
    pgwire: SocketAddr,
    http: SocketAddr,
    flags: &[String],
) -> Vec<std::ffi::OsString> {
    let mut all = vec![
        "--listen".into(),
        pgwire.to_string().into(),
        "--http-listen".into(),
        http.to_string().into(),
    ];
    all.push("--data-dir".into());
    all.push(data_directory.into());
    all.extend(flags.iter().map(Into::into));
    all
}

fn wait_ready(component: &mut Component) -> Result<(SocketAddr, SocketAddr)> {
    component.wait_ready(START_DEADLINE, |component| {
        let log = component.log_of_this_start();
        Ok(address_after(&log, PGWIRE_LINE).zip(address_after(&log, HTTP_LINE)))
    })
}

/// The address in the line which begins with these words; the line must be whole.
fn address_after(log: &str, words: &str) -> Option<SocketAddr> {
    log.split_inclusive('\n').find_map(|line| {
        line.strip_suffix('\n')?
            .strip_prefix(words)?
            .trim_end()
            .parse()
            .ok()
    })
}

/// The binary under test: `TIDEMARK_BINARY`, or the release build of the target directory which this test runs from.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TIDEMARK_BINARY") {
        let path = PathBuf::from(named);
        if !path.is_file() {
            bail!(
                "TIDEMARK_BINARY names {}, which is not there",
                path.display()
            );
        }
        return Ok(path);
    }
    let mut candidates: Vec<PathBuf> = Vec::new();
    // A test executable is TARGET/PROFILE/deps/NAME.
    let executable = env::current_exe().context("could not find this test's own executable")?;
    candidates.extend(executable.ancestors().nth(3).map(Path::to_owned));
    candidates.extend(env::var_os("CARGO_TARGET_DIR").map(PathBuf::from));
    candidates
        .into_iter()
        .map(|target| target.join("release/tidemark"))
        .find(|path| path.is_file())
        .context("there is no release build of tidemark: run `cargo build --release -p server`, or name a binary in TIDEMARK_BINARY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stay_and_flags_change_from_start_to_start() {
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/components/fake-tidemark");
        let options = TidemarkOptions {
            flags: vec!["--first".to_owned()],
            binary: Some(fake),
            ..TidemarkOptions::default()
        };
        let mut tidemark = Tidemark::start(options).unwrap();
        let expected = |ports: [u16; 2], flag: &str| {
            let [pgwire, http] = ports;
            let data = tidemark.data_directory().display();
            format!(
                "starting with --listen 127.0.0.1:{pgwire} --http-listen 127.0.0.1:{http} --data-dir {data} {flag}"
            )
        };
        let first_words = |tidemark: &Tidemark| {
            tidemark
                .component()
                .log_of_this_start()
                .lines()
                .next()
                .map(str::to_owned)
        };
        let (first, second, third) = (
            expected([0, 0], "--first"),
            expected([7001, 7002], "--first"),
            expected([7001, 7002], "--second"),
        );

        assert_eq!(first_words(&tidemark).unwrap(), first);
        tidemark.kill9().unwrap();
        tidemark.start_again().unwrap();
        assert_eq!(first_words(&tidemark).unwrap(), second);
        assert!(!tidemark.stop().unwrap().success(), "a signal ended it");
        tidemark.start_again_with(&["--second"]).unwrap();
        assert_eq!(first_words(&tidemark).unwrap(), third);
        assert_eq!(
            (tidemark.pgwire().port(), tidemark.http().port()),
            (7001, 7002)
        );
    }

    #[test]
    fn addresses_are_read_from_whole_lines() {
        let cases = [
            (
                "pgwire listening on 127.0.0.1:5433\n",
                Some("127.0.0.1:5433"),
            ),
            (
                "some words\npgwire listening on [::1]:5433\r\nmore\n",
                Some("[::1]:5433"),
            ),
            ("pgwire listening on 127.0.0.1:54", None),
            ("not pgwire listening on 127.0.0.1:5433\n", None),
            ("pgwire listening on somewhere\n", None),
        ];
        for (log, expected) in cases {
            assert_eq!(
                address_after(log, PGWIRE_LINE),
                expected.map(|text| text.parse().unwrap()),
                "{log:?}"
            );
        }
    }
}

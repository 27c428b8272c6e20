//! psql, as a person runs it: the same client against Tidemark and against Postgres.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// A script that takes longer is ended: a subscription in it, most likely.
const SECONDS_MAX: &str = "120";

/// Runs psql with a script as its input; both of its outputs, in the order in which they came.
pub fn run_psql(port: u16, user: &str, database: &str, script: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("script.psql");
    std::fs::write(&file, script)?;
    // One pipe for both outputs, so that errors stand where they happened.
    let output = Command::new("sh")
        .arg("-c")
        .arg("exec timeout \"$5\" psql -X -q -h 127.0.0.1 -p \"$1\" -U \"$2\" -d \"$3\" -f \"$4\" 2>&1")
        .args(["psql", &port.to_string(), user, database])
        .arg(&file)
        .arg(SECONDS_MAX)
        .env("PGCLIENTENCODING", "UTF8")
        .env("PAGER", "")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .context("could not run psql: run scripts/fetch-components")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Names of the script's file and lines of it are our own doing.
    let prefix = format!("psql:{}:", file.display());
    Ok(text
        .lines()
        .map(|line| match line.strip_prefix(&prefix) {
            Some(rest) => rest.split_once(": ").map_or(rest, |(_, message)| message),
            None => line,
        })
        .collect::<Vec<_>>()
        .join("\n"))
}

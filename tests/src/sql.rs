//! SQL over the wire with the blocking `postgres` client: the same calls speak to Postgres and to Tidemark, so that one can judge the other.

use std::time::Duration;

use anyhow::{Context, Result};
use postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// A connection which is not there after this long never will be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A row as text, the way the simple protocol sends it; `None` is NULL.
pub type TextRow = Vec<Option<String>>;

/// Connects to a server on this machine.
pub fn connect(port: u16, user: &str, database: &str) -> Result<Client> {
    Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .dbname(database)
        .connect_timeout(CONNECT_TIMEOUT)
        .connect(NoTls)
        .with_context(|| {
            format!("could not connect to 127.0.0.1:{port} as {user}, database {database}")
        })
}

/// Runs SQL (one statement or several) with the simple protocol and returns the rows of all its statements as text.
///
/// The error is the client's own, so that a test can look at its SQLSTATE.
pub fn simple(client: &mut Client, sql: &str) -> Result<Vec<TextRow>, postgres::Error> {
    let messages = client.simple_query(sql)?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|column| row.get(column).map(str::to_owned))
                .collect(),
        ),
        _ => None,
    });
    Ok(rows.collect())
}

//! The data directory in bad times and good: a full disk, damaged files, a start that is impossible, an end in any state, a long history.

mod disk;
mod full;
mod history;
mod stop;

use anyhow::{Context, Result};
use postgres::Client;
use std::time::Duration;
use tests::{Tidemark, simple};

pub const DEADLINE: Duration = Duration::from_secs(60);

/// The one value of a query.
pub fn value(client: &mut Client, sql: &str) -> Result<String> {
    let rows = simple(client, sql).with_context(|| sql.to_owned())?;
    rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten().with_context(|| format!("{sql} gives no value"))
}

pub fn number(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(value(client, sql)?.parse()?)
}

/// A metric without labels.
pub fn metric(tidemark: &Tidemark, name: &str) -> Result<f64> {
    let page = tidemark.http_get("/metrics")?.1;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("there is no metric {name} in\n{page}"))?.parse()?)
}

/// The SQLSTATE of a refusal, or the answer that should not have been given.
pub fn sqlstate<T: std::fmt::Debug>(result: Result<T, postgres::Error>) -> String {
    match result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned()),
    }
}

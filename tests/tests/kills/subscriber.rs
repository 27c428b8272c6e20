//! A client that follows a view, and comes back to it after each restart.

use anyhow::{Context, Result, ensure};
use postgres::{Client, NoTls};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use tests::sql::TextRow;

use crate::{Seen, sorted};

#[derive(Default)]
pub struct Subscriber {
    /// The rows of the view as of the newest progress.
    rows: BTreeMap<TextRow, i64>,
    /// Below it everything has been received.
    progress: u64,
    pub changes: usize,
    pub starts: usize,
}

/// One subscription.
#[derive(Default)]
struct Following {
    as_of: Option<u64>,
    /// The contents it began with have been received.
    is_complete: bool,
    /// Changes of times that are not complete yet.
    waiting: Vec<(u64, i64, TextRow)>,
}

impl Subscriber {
    /// Follows until the server is gone.
    pub fn run(&mut self, client: Client, seen: &Seen) -> Result<()> {
        self.follow(client, seen, false)
    }

    /// Comes back to a server at rest: its rows are those of the view, though it has seen many servers come and go.
    pub fn check_resumed(&mut self, [to_follow, mut to_read]: [Client; 2], seen: &Seen) -> Result<()> {
        let starts = self.starts;
        self.follow(to_follow, seen, true)?;
        ensure!(self.starts == starts + 1, "the subscription did not start");
        let rows: Vec<TextRow> = self.rows.keys().cloned().collect();
        let shown = sorted(&mut to_read, "SELECT * FROM totals")?;
        ensure!(rows == shown, "the subscriber holds {rows:?} and the view {shown:?}");
        Ok(())
    }

    fn follow(&mut self, mut client: Client, seen: &Seen, until_complete: bool) -> Result<()> {
        let cancel = client.cancel_token();
        // The server may be killed before it answers.
        let Ok(stream) = client.copy_out("COPY (SUBSCRIBE totals WITH (PROGRESS)) TO STDOUT") else { return Ok(()) };
        let mut following = Following::default();
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            self.take(&line, &mut following, seen).with_context(|| line)?;
            if until_complete && following.is_complete {
                // The client waits for the end of its last statement when it is dropped.
                cancel.cancel_query(NoTls)?;
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &str, following: &mut Following, seen: &Seen) -> Result<()> {
        let mut columns = line.split('\t');
        let mut next = || columns.next().context("a column");
        let (timestamp, progressed, diff): (u64, bool, &str) = (next()?.parse()?, next()? == "t", next()?);
        let Some(as_of) = following.as_of else {
            // The first progress is where it begins: not before anything this client has seen.
            ensure!(progressed, "the first line is progress");
            ensure!(timestamp + 1 >= self.progress, "a subscription begins at {timestamp}, after progress to {}", self.progress);
            following.as_of = Some(timestamp);
            self.starts += 1;
            return Ok(());
        };
        if !progressed {
            let is_snapshot = timestamp == as_of && !following.is_complete;
            ensure!(is_snapshot || timestamp >= self.progress.max(as_of + 1), "a change at {timestamp} after progress to {}", self.progress);
            let row = columns.map(|column| (column != "\\N").then(|| column.to_owned())).collect();
            following.waiting.push((timestamp, diff.parse()?, row));
            return Ok(());
        }
        ensure!(timestamp > as_of && timestamp >= self.progress, "progress to {timestamp} after {}", self.progress);
        // What is complete was shown: the newest time which can be read is the one before.
        seen.advance(0, timestamp - 1)?;
        self.progress = timestamp;
        if !std::mem::replace(&mut following.is_complete, true) {
            // The contents of before are replaced by those it began with.
            self.rows.clear();
        }
        for (time, diff, row) in following.waiting.drain(..) {
            ensure!(time < timestamp, "a change at {time} with progress to {timestamp}");
            self.changes += 1;
            *self.rows.entry(row).or_default() += diff;
        }
        self.rows.retain(|_, count| *count != 0);
        ensure!(self.rows.values().all(|count| *count == 1), "a row other than once: {:?}", self.rows);
        Ok(())
    }
}

//! Prepared point selects beside Postgres', with the same client; then again while changes are maintained.

use crate::figures::{Durations, ratio};
use anyhow::{Context, Result, ensure};
use postgres::{Client, Statement};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::{Postgres, Tidemark, TidemarkOptions, simple};

/// Selects in a row on one side before the other has its turn.
const TURN: usize = 500;
const TURNS: usize = 40;
/// Selects while changes are maintained.
const LOADED_SELECTS: usize = 20_000;
const CHANGES_PER_SECOND: u64 = 20_000;
/// Rows one statement of the writer changes.
const CHANGES_PER_STATEMENT: u64 = 400;
const KEY_STEP: u64 = 7919;

struct Side {
    client: Client,
    select: Statement,
}

impl Side {
    fn new(mut client: Client, rows: u64) -> Result<Side> {
        simple(&mut client, "CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, amount bigint NOT NULL, item text NOT NULL)")?;
        let mut copy = client.copy_in("COPY orders FROM STDIN")?;
        for id in 0..rows {
            writeln!(copy, "{id}\t{}\t{}\titem number {}", id % (rows / 20 + 1), id % 1000, id % 5000)?;
        }
        copy.finish()?;
        let select = client.prepare("SELECT id, customer, amount, item FROM orders WHERE id = $1")?;
        Ok(Side { client, select })
    }

    fn turn(&mut self, first: u64, count: usize, rows: u64, taken: &mut Durations) -> Result<()> {
        for number in first..first + count as u64 {
            let id = (number * KEY_STEP % rows) as i64;
            let start = Instant::now();
            let found = self.client.query(&self.select, &[&id])?;
            taken.push(start.elapsed());
            ensure!(found.len() == 1 && found[0].get::<_, i64>(0) == id, "one row with the id {id}");
        }
        Ok(())
    }
}

pub fn run(rows: u64) -> Result<()> {
    let postgres = Postgres::start()?;
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut theirs = Side::new(postgres.connect()?, rows)?;
    simple(&mut theirs.client, "VACUUM ANALYZE orders")?;
    let mut ours = Side::new(tidemark.connect()?, rows)?;
    simple(&mut ours.client, "CREATE MATERIALIZED VIEW spent AS SELECT customer, count(*) AS orders, sum(amount) AS amount FROM orders GROUP BY customer")?;

    let (mut our_taken, mut their_taken) = (Durations::default(), Durations::default());
    for turn in 0..TURNS {
        let first = (turn * TURN) as u64;
        theirs.turn(first, TURN, rows, &mut their_taken)?;
        ours.turn(first, TURN, rows, &mut our_taken)?;
    }
    println!("point select, {rows} rows, prepared, one client: postgres {}", their_taken.summary());
    println!("point select, {rows} rows, prepared, one client: tidemark {}", our_taken.summary());
    println!("point select rate over postgres' (wanted: at least 0.8): {:.2}", ratio(their_taken.total(), our_taken.total()));

    let (stop, changed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (mut client, stop, changed) = (tidemark.connect()?, Arc::clone(&stop), Arc::clone(&changed));
        std::thread::spawn(move || write(&mut client, rows, &stop, &changed))
    };
    let mut loaded = Durations::default();
    let start = Instant::now();
    let selected = ours.turn(0, LOADED_SELECTS, rows, &mut loaded);
    let rate = changed.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    writer.join().ok().context("the writer goes on to its end")??;
    selected?;
    println!("point select while {:.1} k changes/s are maintained: tidemark {}", rate / 1e3, loaded.summary());
    println!("point select p99 over that of a quiet server (wanted: at most 2.0): {:.2}", ratio(loaded.per_mille(990), our_taken.per_mille(990)));
    Ok(())
}

/// Changes amounts at a steady pace.
fn write(client: &mut Client, rows: u64, stop: &AtomicBool, changed: &AtomicU64) -> Result<()> {
    let update = client.prepare("UPDATE orders SET amount = amount + 1 WHERE id >= $1 AND id < $2")?;
    let pause = Duration::from_secs(1) * CHANGES_PER_STATEMENT as u32 / CHANGES_PER_SECOND as u32;
    let start = Instant::now();
    let mut statements: u32 = 0;
    while !stop.load(Ordering::Relaxed) {
        let first = u64::from(statements) * KEY_STEP * CHANGES_PER_STATEMENT % (rows - CHANGES_PER_STATEMENT);
        let count = client.execute(&update, &[&(first as i64), &((first + CHANGES_PER_STATEMENT) as i64)])?;
        changed.fetch_add(count, Ordering::Relaxed);
        statements += 1;
        // What is late is not waited for: the rate is one of all statements together.
        std::thread::sleep((pause * statements).saturating_sub(start.elapsed()));
    }
    Ok(())
}

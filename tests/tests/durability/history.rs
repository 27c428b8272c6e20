//! What a long history costs: the time of a restart, the disk, memory.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::{Duration, Instant};
use tests::{Tidemark, TidemarkOptions, wait_until};

use crate::{DEADLINE, metric, number};

/// `TIDEMARK_ROWS=10000000 cargo test -p tests --release --test durability restart -- --nocapture` is the figure for ten million.
const ROWS: i64 = 1_000_000;
/// From the start of the process to the first right answer.
const RESTART_PER_MILLION_ROWS: Duration = Duration::from_secs(5);

#[test]
fn a_restart_takes_seconds_per_million_rows() -> Result<()> {
    let rows = std::env::var("TIDEMARK_ROWS").map_or(Ok(ROWS), |text| text.parse())?;
    let mut tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, amount bigint NOT NULL, note text)")?;
    client.batch_execute("CREATE MATERIALIZED VIEW per_customer AS SELECT customer, count(*) AS n, sum(amount) AS amount FROM orders GROUP BY customer")?;
    let step = 100_000;
    for first in (0..rows).step_by(step) {
        let last = (first + step as i64).min(rows);
        client.batch_execute(&format!("INSERT INTO orders SELECT a, a % 1000, a % 77, 'a note of some length' FROM generate_series({first}, {last} - 1) AS a"))?;
    }
    let expected = (0..rows).map(|id| id % 77).sum::<i64>();
    ensure!(number(&mut client, "SELECT sum(amount)::bigint FROM per_customer")? == expected);
    drop(client);
    tidemark.kill9()?;
    let began = Instant::now();
    tidemark.start_again()?;
    let open = began.elapsed();
    let mut client = tidemark.connect()?;
    let sum = wait_until("the view is there", DEADLINE, || Ok(number(&mut client, "SELECT sum(amount)::bigint FROM per_customer").ok()))?;
    let took = began.elapsed();
    ensure!(sum == expected);
    ensure!(number(&mut client, "SELECT count(*) FROM orders")? == rows);
    let resident = metric(&tidemark, "tidemark_memory_resident_bytes")? / 1e6;
    println!("restart with {rows} rows and a view: ports open after {open:?}, first right answer after {took:?}, {resident:.0} MB resident");
    let most = RESTART_PER_MILLION_ROWS.mul_f64((rows as f64 / 1e6).max(1.0));
    ensure!(took <= most, "it took {took:?}, more than {most:?}");
    Ok(())
}

const LIVE_ROWS: i64 = 100_000;
const ROUNDS: i64 = 200;
/// Rows that are changed in one round.
const CHANGED_ROWS: i64 = 2_000;
const COMPACTION_BYTES_MIN: u64 = 4 << 20;

/// Rows that change all the time and stay the same in number: neither the disk nor memory grows with history.
#[test]
fn disk_and_memory_stay_while_rows_change() -> Result<()> {
    let flags = ["--log-compaction-bytes-min".to_owned(), COMPACTION_BYTES_MIN.to_string()].to_vec();
    let tidemark = Tidemark::start(TidemarkOptions { flags, ..TidemarkOptions::default() })?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE t (key int PRIMARY KEY, version int, filler text)")?;
    client.batch_execute("CREATE MATERIALIZED VIEW v AS SELECT version % 10 AS digit, count(*) AS n, max(key) AS most FROM t GROUP BY version % 10")?;
    // Text that does not compress, so that parts weigh as much as frames.
    let filler = "md5((key * 1000 + version)::text) || md5((key + version * 7777)::text) || md5((key * 3 + version * 5)::text)";
    client.batch_execute(&format!("INSERT INTO t SELECT key, 0, {} FROM generate_series(0, {LIVE_ROWS} - 1) AS key", filler.replace("version", "0")))?;
    let (mut peak, mut written, mut memory) = (0, 0, Vec::new());
    for round in 0..ROUNDS {
        let first = round * CHANGED_ROWS % LIVE_ROWS;
        let sql = format!("UPDATE t SET version = version + 1, filler = {} WHERE key >= {first} AND key < {first} + {CHANGED_ROWS}", filler.replace("version", "(version + 1)"));
        client.batch_execute(&sql)?;
        written += CHANGED_ROWS;
        peak = peak.max(directory_bytes(&tidemark)?);
        memory.push(metric(&tidemark, "tidemark_memory_resident_bytes")?);
    }
    let settled = wait_until("the compaction has ended", DEADLINE, || {
        let (segments, parts) = (metric(&tidemark, "tidemark_log_segments_bytes")?, metric(&tidemark, "tidemark_log_parts_bytes")?);
        client.batch_execute("UPDATE t SET version = version + 1 WHERE key = 0")?;
        let bytes = directory_bytes(&tidemark)?;
        Ok(((bytes as f64) < (segments + parts) * 1.1).then_some(bytes))
    })?;
    let live = metric(&tidemark, "tidemark_log_parts_bytes")?;
    let compactions = metric(&tidemark, "tidemark_log_compactions_since_start")?;
    let (half, end) = (median(&memory[memory.len() / 2..memory.len() * 3 / 4]), median(&memory[memory.len() * 3 / 4..]));
    println!("{written} changes of {LIVE_ROWS} rows: live {live}, disk at rest {settled}, at most {peak}; {compactions} compactions; memory {:.0} MB, then {:.0} MB", half / 1e6, end / 1e6);
    ensure!(compactions >= 5.0, "only {compactions} compactions");
    ensure!(settled as f64 <= 2.0 * live + 2.0 * COMPACTION_BYTES_MIN as f64, "at rest");
    // Old and new parts are there side by side while a compaction runs, and frames go on.
    ensure!(peak as f64 <= 4.0 * live + 2.0 * COMPACTION_BYTES_MIN as f64, "at most");
    ensure!(end <= half * 1.15, "memory grows");
    Ok(())
}

fn directory_bytes(tidemark: &Tidemark) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(tidemark.data_directory())? {
        // A compaction may remove it meanwhile.
        bytes += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(bytes)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What a view holds is given back when it is dropped.
#[test]
fn dropping_a_view_frees_its_memory() -> Result<()> {
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE t (key int PRIMARY KEY, filler text)")?;
    for n in 0..4 {
        client.batch_execute(&format!("INSERT INTO t SELECT {n} * 50000 + a, md5(a::text) || md5((a + 1)::text) FROM generate_series(1, 50000) AS a"))?;
    }
    let resident = || metric(&tidemark, "tidemark_memory_resident_bytes");
    let (mut before, mut during) = (resident()?, 0.0);
    for round in 0..3 {
        before = if round == 0 { before } else { before.max(resident()?) };
        client.batch_execute("CREATE MATERIALIZED VIEW wide AS SELECT a.key, a.filler || b.filler AS filler FROM t a JOIN t b ON b.key = a.key")?;
        wait_until("the view is there", DEADLINE, || Ok((number(&mut client, "SELECT count(*) FROM wide")? == 200_000).then_some(())))?;
        let view_bytes = number(&mut client, "SELECT bytes FROM tm_catalog.tm_memory WHERE name = 'wide'")? as f64;
        ensure!(view_bytes > 20e6, "the system view says {view_bytes} bytes of 200,000 rows of more than 100");
        during = resident()?.max(during);
        client.batch_execute("DROP MATERIALIZED VIEW wide")?;
        ensure!(number(&mut client, "SELECT count(*) FROM tm_catalog.tm_memory WHERE name = 'wide'")? == 0);
        let freed = wait_until("the memory of the view is given back", DEADLINE, || {
            let freed = during - resident()?;
            Ok((freed >= view_bytes).then_some(freed))
        });
        println!("before {:.0} MB, with the view {:.0} MB, of it {:.0} MB by the system view, now {:.0} MB", before / 1e6, during / 1e6, view_bytes / 1e6, resident()? / 1e6);
        freed.context("dropping freed too little")?;
    }
    Ok(())
}

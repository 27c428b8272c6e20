//! `kill -9` in mid-load, again and again: nothing acknowledged is lost, nothing is doubled, and besides it at most the statements in flight are there.
//!
//! Each round several clients write, define, subscribe and read while an upstream database's transactions arrive through Kafka. At a random moment the
//! server is killed and started again (now and then killed in its recovery too), and then everything it shows is compared with what its clients know:
//! tables with what was acknowledged, views with their queries and with the models, sources with the upstream's order of commits, timestamps with all
//! that were seen before.
//!
//! `TIDEMARK_SEED=7 TIDEMARK_KILLS=200 cargo test -p tests --test kills -- --nocapture` is another and longer run. Threads and disks are not replayed by a seed; what each
//! client does is.

mod definitions;
mod subscriber;
mod upstream;
mod writer;

use anyhow::{Context, Result, ensure};
use definitions::Definitions;
use postgres::Client;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use subscriber::Subscriber;
use tests::sql::TextRow;
use tests::{Kafka, Tidemark, TidemarkOptions, simple, wait_until};
use upstream::Upstream;
use writer::Writer;

const KILLS: usize = 20;
const WRITERS: usize = 4;
/// How long the load runs before a kill, in microseconds. Random, as the moment is what is being tried.
const LOAD_MICROSECONDS: std::ops::Range<u64> = 50_000..1_200_000;
/// How long a recovery runs before it is killed.
const RECOVERY_MICROSECONDS: std::ops::Range<u64> = 0..150_000;
/// In one of so many rounds the recovery is killed too.
const RECOVERY_KILLED_ONE_IN: u32 = 3;
/// Small, so that kills meet compactions.
const COMPACTION_BYTES_MIN: &str = "200000";
const DEADLINE: Duration = Duration::from_secs(60);

/// What makes the run worth something, per hundred kills.
const IN_FLIGHT_MIN: usize = 80;
/// Acknowledged statements between two kills, on average.
const ACKNOWLEDGED_MIN: usize = 10;

/// What was done, and what was met.
#[derive(Debug, Default)]
struct Counters {
    kills: usize,
    kills_with_statements_in_flight: usize,
    recoveries_killed: usize,
    statements_acknowledged: usize,
    in_flight_found_committed: usize,
    in_flight_found_absent: usize,
    definitions_acknowledged: usize,
    reads: usize,
    upstream_transactions: u64,
    restarts_behind_the_upstream: usize,
    subscription_changes: usize,
    subscription_starts: usize,
    compactions: usize,
}

/// The newest timestamp any client has seen: nobody may be shown less from then on.
pub struct Seen(AtomicU64);

impl Seen {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    /// A timestamp that was asked for when `before` had been seen already.
    pub fn advance(&self, before: u64, timestamp: u64) -> Result<()> {
        ensure!(timestamp >= before, "time went back from {before} to {timestamp}");
        self.0.fetch_max(timestamp, Ordering::SeqCst);
        Ok(())
    }
}

fn setting(name: &str) -> Result<Option<u64>> {
    env::var(name).ok().map(|text| text.parse().with_context(|| format!("{name} is {text}"))).transpose()
}

#[test]
fn kills_lose_nothing_and_double_nothing() -> Result<()> {
    let kills = setting("TIDEMARK_KILLS")?.map_or(KILLS, |kills| kills as usize);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let seed = setting("TIDEMARK_SEED")?.unwrap_or(now);
    println!("TIDEMARK_SEED={seed} TIDEMARK_KILLS={kills}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let kafka = Kafka::shared()?;
    let flags = ["--log-compaction-bytes-min", COMPACTION_BYTES_MIN].map(str::to_owned).to_vec();
    let mut tidemark = Tidemark::start(TidemarkOptions { flags, ..TidemarkOptions::default() })?;
    let mut upstream = Upstream::open(kafka, &format!("kills{seed}"))?;
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, seed)).collect();
    let mut definitions = Definitions::new(seed);
    let mut subscriber = Subscriber::default();
    let mut client = tidemark.connect()?;
    set_up(&mut client, &upstream)?;
    drop(client);

    let seen = Seen(AtomicU64::new(0));
    let mut counters = Counters::default();
    for kill in 0..kills {
        let patience = Duration::from_micros(random.random_range(LOAD_MICROSECONDS));
        let in_flight = run_until_killed(&mut tidemark, patience, &mut writers, &mut definitions, &mut subscriber, &mut upstream, &seen, &mut counters)
            .with_context(|| format!("in round {kill}, seed {seed}"))?;
        counters.kills += 1;
        counters.kills_with_statements_in_flight += usize::from(in_flight);
        if random.random_ratio(1, RECOVERY_KILLED_ONE_IN) {
            if kill == 0 {
                // The ports are fixed from the first start again on.
                tidemark.start_again()?;
            } else {
                tidemark.component_mut().start_again()?;
            }
            thread::sleep(Duration::from_micros(random.random_range(RECOVERY_MICROSECONDS)));
            tidemark.kill9()?;
            counters.recoveries_killed += 1;
        }
        tidemark.start_again()?;
        let checked = check(&tidemark, &mut writers, &mut definitions, &upstream, &seen, &mut counters);
        checked.with_context(|| format!("after kill {}, seed {seed}\n{}", kill + 1, tidemark.component().describe_log()))?;
    }
    // With time to catch up everything of the upstream is there, once.
    let mut client = tidemark.connect()?;
    wait_until("all of the upstream has arrived", DEADLINE, || Ok((upstream.check(&mut client)? == upstream.committed()).then_some(())))?;
    subscriber.check_resumed([tidemark.connect()?, client], &seen)?;
    counters.upstream_transactions = upstream.committed();
    counters.subscription_changes = subscriber.changes;
    counters.subscription_starts = subscriber.starts;
    counters.compactions = tidemark.component().log().matches("compacted the log").count();
    println!("{counters:#?}");
    floor("kills with statements in flight", counters.kills_with_statements_in_flight, kills * IN_FLIGHT_MIN / 100)?;
    floor("acknowledged statements", counters.statements_acknowledged, kills * ACKNOWLEDGED_MIN)?;
    floor("acknowledged definitions", counters.definitions_acknowledged, kills)?;
    floor("reads beside the load", counters.reads, kills)?;
    floor("transactions of the upstream", counters.upstream_transactions as usize, kills * ACKNOWLEDGED_MIN)?;
    floor("restarts behind the upstream", counters.restarts_behind_the_upstream, kills / 4)?;
    floor("subscription starts", counters.subscription_starts, kills / 2)?;
    floor("changes that were subscribed to", counters.subscription_changes, kills)?;
    floor("compactions", counters.compactions, 1)
}

fn floor(what: &str, found: usize, least: usize) -> Result<()> {
    ensure!(found >= least, "the run shows too little: {found} {what}, and {least} are the least");
    Ok(())
}

fn set_up(client: &mut Client, upstream: &Upstream) -> Result<()> {
    for number in 0..WRITERS {
        client.batch_execute(&format!("CREATE TABLE items_{number} (key bigint PRIMARY KEY, value bigint NOT NULL, note text)"))?;
    }
    let all: Vec<String> = (0..WRITERS).map(|number| format!("SELECT {number} AS writer, key, value FROM items_{number}")).collect();
    client.batch_execute("CREATE TABLE journal (writer int, key bigint, value bigint NOT NULL, PRIMARY KEY (writer, key))")?;
    client.batch_execute(&format!("CREATE VIEW items AS {}", all.join(" UNION ALL ")))?;
    for (name, query) in VIEWS {
        client.batch_execute(&format!("CREATE MATERIALIZED VIEW {name} AS {query}"))?;
    }
    client.batch_execute("CREATE INDEX pairs_by_value ON pairs (value)")?;
    for definition in upstream.definitions() {
        client.batch_execute(&definition).with_context(|| definition.clone())?;
    }
    Ok(())
}

/// Maintained views; each must equal its query at any time.
const VIEWS: [(&str, &str); 4] = [
    ("totals", "SELECT writer, count(*) AS items, sum(value) AS value FROM items GROUP BY writer"),
    ("pairs", "SELECT j.writer, j.key, j.value, i.value AS item FROM journal j LEFT JOIN items i ON i.writer = j.writer AND i.key = j.key"),
    ("largest", "SELECT writer, key, value FROM items ORDER BY value DESC, writer, key LIMIT 10"),
    ("lonely", "SELECT key, min(value) AS least, max(value) AS most FROM items i WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.key = i.key) GROUP BY key"),
];

/// Whether any client waited for an answer when the server was killed.
#[allow(clippy::too_many_arguments)]
fn run_until_killed(
    tidemark: &mut Tidemark,
    patience: Duration,
    writers: &mut [Writer],
    definitions: &mut Definitions,
    subscriber: &mut Subscriber,
    upstream: &mut Upstream,
    seen: &Seen,
    counters: &mut Counters,
) -> Result<bool> {
    let ended = AtomicBool::new(false);
    let clients: Vec<Client> = (0..writers.len() + 3).map(|_| tidemark.connect()).collect::<Result<_>>()?;
    let mut clients = clients.into_iter();
    let mut next = || clients.next().context("a client for everybody");
    let (for_definitions, for_subscriber, for_reader) = (next()?, next()?, next()?);
    let began = Instant::now();
    thread::scope(|scope| {
        let mut writing = Vec::new();
        for writer in &mut *writers {
            let client = next()?;
            writing.push(scope.spawn(move || writer.run(client)));
        }
        let defining = scope.spawn(|| definitions.run(for_definitions));
        let subscribing = scope.spawn(|| subscriber.run(for_subscriber, seen));
        let committing = scope.spawn(|| upstream.run(&ended));
        let reading = scope.spawn(|| read(for_reader, seen));
        thread::sleep(patience.saturating_sub(began.elapsed()));
        let killed = tidemark.kill9();
        ended.store(true, Ordering::SeqCst);
        for writer in writing {
            counters.statements_acknowledged += writer.join().expect("no panic")?;
        }
        counters.definitions_acknowledged += defining.join().expect("no panic")?;
        counters.reads += reading.join().expect("no panic")?;
        subscribing.join().expect("no panic")?;
        committing.join().expect("no panic")?;
        killed
    })?;
    Ok(writers.iter().any(Writer::is_in_flight) || definitions.is_in_flight())
}

/// Reads at one moment again and again: both halves of each transfer of the upstream are there or neither is, and the views agree with each other.
fn read(mut client: Client, seen: &Seen) -> Result<usize> {
    let mut reads = 0;
    loop {
        let before = seen.get();
        let row = match rows(&mut client, "SELECT mz_now(), (SELECT count(*) FROM halves), (SELECT coalesce(sum(items), 0) FROM totals) - (SELECT count(*) FROM items)") {
            Err(error) if is_gone(&error) => return Ok(reads),
            rows => rows?.pop().context("one row")?,
        };
        let [timestamp, halves, difference] = row.as_slice() else { return Err(anyhow::anyhow!("three columns: {row:?}")) };
        seen.advance(before, timestamp.as_deref().unwrap_or_default().parse()?)?;
        ensure!(halves.as_deref() == Some("0") && difference.as_deref() == Some("0"), "a read of no moment: {row:?}");
        reads += 1;
    }
}

/// Everything the server shows after a restart.
fn check(tidemark: &Tidemark, writers: &mut [Writer], definitions: &mut Definitions, upstream: &Upstream, seen: &Seen, counters: &mut Counters) -> Result<()> {
    wait_until("all views are there again", DEADLINE, || Ok((tidemark.http_get("/readyz")?.0 == 200).then_some(())))?;
    let mut client = tidemark.connect()?;
    let before = seen.get();
    let timestamp = rows(&mut client, "SELECT mz_now(), (SELECT count(*) FROM journal)")?;
    seen.advance(before, timestamp[0][0].as_deref().unwrap_or_default().parse()?)?;
    let arrived = upstream.check(&mut client)?;
    counters.restarts_behind_the_upstream += usize::from(arrived < upstream.committed());
    for writer in &mut *writers {
        match writer.settle(&mut client)? {
            None => {}
            Some(true) => counters.in_flight_found_committed += 1,
            Some(false) => counters.in_flight_found_absent += 1,
        }
    }
    definitions.settle(&mut client)?;
    // The views against their queries, at one moment, and against what the clients know.
    client.batch_execute("BEGIN")?;
    for (name, query) in VIEWS {
        let (maintained, computed) = (sorted(&mut client, &format!("SELECT * FROM {name}"))?, sorted(&mut client, query)?);
        ensure!(maintained == computed, "view {name} holds {maintained:?} and its query gives {computed:?}");
    }
    client.batch_execute("COMMIT")?;
    let totals: Vec<TextRow> = writers.iter().filter_map(Writer::total).collect();
    let shown = sorted(&mut client, "SELECT * FROM totals")?;
    ensure!(shown == totals, "the totals are {shown:?} and should be {totals:?}");
    Ok(())
}

pub fn rows(client: &mut Client, sql: &str) -> Result<Vec<TextRow>> {
    simple(client, sql).with_context(|| sql.to_owned())
}

pub fn sorted(client: &mut Client, sql: &str) -> Result<Vec<TextRow>> {
    let mut rows = rows(client, sql)?;
    rows.sort();
    Ok(rows)
}

/// Whether an error says that the server went away in the middle, and not that it refused something.
pub fn is_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<postgres::Error>().is_some_and(|error| error.code().is_none()) || cause.is::<std::io::Error>())
}

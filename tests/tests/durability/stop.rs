//! SIGTERM: the server ends soon and well whatever it is doing, and what it acknowledged is there at the next start.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tests::{Tidemark, TidemarkOptions, wait_until};

use crate::{DEADLINE, number, sqlstate};

/// What an operator, and any service manager, will wait for without a second thought.
const STOP_WITHIN: Duration = Duration::from_secs(15);
const WRITERS: usize = 3;
const VIEWS_AT_REST: usize = 20;
/// How long it is watched: the figure is an average.
const REST: Duration = Duration::from_secs(5);
const REST_SHARE_MAX: f64 = 0.03;

fn stop(tidemark: &mut Tidemark, state: &str) -> Result<()> {
    let began = Instant::now();
    let status = tidemark.stop()?;
    println!("stopped in {:?} while {state}", began.elapsed());
    ensure!(status.success(), "it ended with {status} while {state}");
    ensure!(began.elapsed() <= STOP_WITHIN, "it took {:?} while {state}", began.elapsed());
    Ok(())
}

#[test]
fn a_stop_under_load_loses_nothing() -> Result<()> {
    let mut tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    for writer in 0..WRITERS {
        client.batch_execute(&format!("CREATE TABLE t{writer} (a int PRIMARY KEY)"))?;
    }
    let all: Vec<String> = (0..WRITERS).map(|writer| format!("SELECT a FROM t{writer}")).collect();
    client.batch_execute(&format!("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM ({}) AS u", all.join(" UNION ALL ")))?;
    // Sessions that wait: in a transaction, at a cursor, in a subscription.
    client.batch_execute("BEGIN; INSERT INTO t0 VALUES (-1); SAVEPOINT s")?;
    drop(client);
    let mut idle = tidemark.connect()?;
    idle.batch_execute("BEGIN; SELECT * FROM counted")?;
    let mut cursor = tidemark.connect()?;
    cursor.batch_execute("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE counted")?;
    let mut subscriber = tidemark.connect()?;
    let writers: Vec<Client> = (0..WRITERS).map(|_| tidemark.connect()).collect::<Result<_>>()?;
    let written: Vec<AtomicUsize> = (0..WRITERS).map(|_| AtomicUsize::new(0)).collect();
    let follows = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let mut endings = Vec::new();
        for (number, mut client) in writers.into_iter().enumerate() {
            let written = &written[number];
            endings.push(scope.spawn(move || {
                loop {
                    let next = written.load(Ordering::SeqCst) as i32;
                    match client.execute(&format!("INSERT INTO t{number} VALUES ({next})"), &[]) {
                        Ok(_) => written.fetch_add(1, Ordering::SeqCst),
                        end => return sqlstate(end),
                    };
                }
            }));
        }
        let subscribing = scope.spawn(|| {
            let mut stream = subscriber.copy_out("COPY (SUBSCRIBE counted) TO STDOUT")?;
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer)? > 0 {
                follows.store(true, Ordering::SeqCst);
            }
            anyhow::Ok(())
        });
        let fetching = scope.spawn(|| cursor.simple_query("FETCH FORWARD 1000000 FROM c WITH (TIMEOUT = '1h')").map(|_| ()));
        wait_until("everybody is at work", DEADLINE, || {
            let works = written.iter().all(|written| written.load(Ordering::SeqCst) >= 50);
            Ok((works && follows.load(Ordering::SeqCst)).then_some(()))
        })?;
        stop(&mut tidemark, "clients write and subscribe")?;
        // All are told; which of them hear it before the connection closes is up to the driver. None is left waiting.
        for ending in endings {
            println!("a writer ended with {}", ending.join().expect("no panic"));
        }
        let subscription = subscribing.join().expect("no panic").expect_err("it is without end");
        println!("the subscription ended with {subscription:?}");
        println!("the cursor ended with {}", sqlstate(fetching.join().expect("no panic")));
        Ok(())
    })?;
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    for (writer, written) in written.iter().enumerate() {
        let (count, written) = (number(&mut client, &format!("SELECT count(*) FROM t{writer}"))?, written.load(Ordering::SeqCst) as i64);
        ensure!(count == written || count == written + 1, "{written} rows were acknowledged, and {count} are there");
    }
    stop(&mut tidemark, "nothing happens")
}

/// Hundredths of a second: more than anything but the query takes.
const BUSY_TICKS: u64 = 50;

fn processor_ticks(tidemark: &Tidemark) -> Result<u64> {
    let process = tidemark.component().process_id().context("it runs")?;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // After the name, which may hold anything, come the state, and as the 12th and 13th field the time in user mode and in the kernel.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).context("a field")?.parse::<u64>().context("a number");
    Ok(ticks(11)? + ticks(12)?)
}

/// A view that would take minutes, a query that would, and a start that has to make the view again.
#[test]
fn a_server_at_rest_uses_next_to_no_processor() -> Result<()> {
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")?;
    for view in 0..VIEWS_AT_REST {
        client.batch_execute(&format!("CREATE MATERIALIZED VIEW v{view} AS SELECT a, count(*) AS n FROM t GROUP BY a"))?;
    }
    let (began, used) = (Instant::now(), processor_ticks(&tidemark)?);
    // Time goes on meanwhile, which is what costs.
    let first = number(&mut client, "SELECT mz_now() FROM v0")?;
    thread::sleep(REST);
    ensure!(number(&mut client, "SELECT mz_now() FROM v0")? - first >= REST.as_millis() as i64 - 1_000, "time stands still");
    let share = (processor_ticks(&tidemark)? - used) as f64 / 100.0 / began.elapsed().as_secs_f64();
    println!("{VIEWS_AT_REST} views at rest use {:.2} % of a processor", 100.0 * share);
    ensure!(share <= REST_SHARE_MAX);
    Ok(())
}

#[test]
fn a_stop_does_not_wait_for_what_takes_long() -> Result<()> {
    let mut tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE t (a int)")?;
    for n in 0..4 {
        client.batch_execute(&format!("INSERT INTO t SELECT {n} * 50000 + a FROM generate_series(1, 50000) AS a"))?;
    }
    let long = "SELECT x.a % 7 AS a, count(*) AS n FROM t x JOIN t y ON x.a % 20 = y.a % 20 GROUP BY x.a % 7";
    let mut querying = tidemark.connect()?;
    let used = processor_ticks(&tidemark)?;
    let query = thread::spawn(move || sqlstate(querying.simple_query(long).map(|_| ())));
    wait_until("the query keeps a processor busy", DEADLINE, || Ok((processor_ticks(&tidemark)? > used + BUSY_TICKS).then_some(())))?;
    stop(&mut tidemark, "a query runs")?;
    println!("the query ended with {}", query.join().expect("no panic"));
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    client.batch_execute(&format!("CREATE MATERIALIZED VIEW v AS {long}"))?;
    ensure!(tidemark.http_get("/readyz")?.0 == 503, "the view is there already: it shows nothing");
    drop(client);
    stop(&mut tidemark, "a new view hydrates")?;
    tidemark.start_again()?;
    ensure!(tidemark.http_get("/readyz")?.0 == 503, "the view is there already: it shows nothing");
    stop(&mut tidemark, "a start hydrates")?;
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    client.batch_execute("DROP MATERIALIZED VIEW v").context("a view that hydrates can be dropped")?;
    ensure!(number(&mut client, "SELECT count(*) FROM t")? == 200_000);
    Ok(())
}

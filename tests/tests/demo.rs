//! The demo as a newcomer runs it: on its embedded broker and on a real one, until Ctrl-C.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tests::components::{Recipe, tidemark_binary};
use tests::sql::connect;
use tests::{Component, Directory, Kafka, simple, wait_until};

const DEADLINE: Duration = Duration::from_secs(120);
/// Lines of totals that are enough to see them grow.
const LINES_MIN: usize = 4;

/// The demo as a process; its own folder for temporary files is `directory`.
fn start_demo(directory: &Directory, arguments: &[&str]) -> Result<Component> {
    let ports = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "demo"];
    let recipe = Recipe::new("demo", tidemark_binary()?, directory.path())
        .variable("TMPDIR", directory.path())
        .stop_signal(Signal::INT)
        .arguments(ports.into_iter().chain(arguments.iter().copied()));
    Component::start(recipe)
}

/// The totals it has printed: orders, open orders, on hand, cents, oversold; `None` where it printed a dash.
fn totals(log: &str) -> Vec<[Option<i64>; 5]> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        let numbers: Option<Vec<Option<i64>>> = words
            .iter()
            .map(|word| match *word {
                "-" => Some(None),
                word => word.parse().ok().map(Some),
            })
            .collect();
        numbers?.try_into().ok()
    };
    log.lines().filter_map(line).collect()
}

fn check_totals(log: &str) -> Result<()> {
    let totals = totals(log);
    for [orders, open, _, cents, oversold] in &totals {
        ensure!(oversold.is_some_and(|oversold| oversold == 0), "oversold items in\n{log}");
        ensure!(orders >= open, "more open orders than orders in\n{log}");
        ensure!(cents.is_some(), "no revenue in\n{log}");
    }
    let orders: Vec<_> = totals.iter().map(|totals| totals[0]).collect();
    ensure!(orders.is_sorted() && orders.first() < orders.last(), "the orders do not grow in\n{log}");
    Ok(())
}

/// The port in the `psql` line it tells people to copy.
fn psql_port(log: &str) -> Option<u16> {
    let line = log.lines().find(|line| line.starts_with("psql "))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "-p");
    words.nth(1)?.parse().ok()
}

fn is_empty(directory: &Directory) -> Result<bool> {
    let left = directory.path().read_dir()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(!left.into_iter().any(|name| name.starts_with("tidemark-demo")))
}

#[test]
fn the_embedded_demo_adds_up_answers_psql_and_ends_on_ctrl_c() -> Result<()> {
    let directory = Directory::new("demo")?;
    let mut demo = start_demo(&directory, &[])?;
    let port = demo.wait_ready(DEADLINE, |demo| {
        let log = demo.log();
        Ok(psql_port(&log).filter(|_| totals(&log).len() >= LINES_MIN))
    })?;
    let mut client = connect(port, "tidemark", "tidemark")?;
    let oversold = simple(&mut client, "SELECT count(*) FROM oversold_items")?;
    assert_eq!(oversold, [[Some("0".to_owned())]]);
    // One statement is one moment, so counting again what the views count must give the same, while orders come in.
    let differences = simple(
        &mut client,
        "SELECT 'orders', t.orders - (SELECT count(*) FROM orders) FROM totals t UNION ALL
         SELECT 'cents', t.cents - (SELECT coalesce(sum(amount_cents), 0) FROM payments) FROM totals t UNION ALL
         SELECT 'stock', t.on_hand - (SELECT sum(received) FROM stock) + (SELECT coalesce(sum(quantity), 0) FROM orders) FROM totals t
         ORDER BY 1",
    )?;
    let expected = ["cents", "orders", "stock"].map(|name| [Some(name.to_owned()), Some("0".to_owned())]);
    assert_eq!(differences, expected);
    let status = demo.stop(DEADLINE)?;
    ensure!(status.success(), "Ctrl-C ended it with {status}\n{}", demo.describe_log());
    ensure!(is_empty(&directory)?, "the demo left its data folder");
    check_totals(&demo.log())
}

#[test]
fn the_demo_on_a_real_broker_runs_twice_and_keeps_its_data_when_asked() -> Result<()> {
    let kafka = Kafka::shared()?;
    let bootstrap = kafka.bootstrap();
    for _ in 0..2 {
        let directory = Directory::new("demo")?;
        let mut demo = start_demo(&directory, &["--kafka", &bootstrap, "--seconds", "4", "--keep"])?;
        let status = wait_until("the demo has ended", DEADLINE, || demo.exit_status())
            .with_context(|| demo.describe_log())?;
        ensure!(status.success(), "it ended with {status}\n{}", demo.describe_log());
        ensure!(!is_empty(&directory)?, "--keep kept nothing");
        check_totals(&demo.log())?;
    }
    Ok(())
}

#[test]
fn a_demo_without_its_broker_says_so_and_leaves_nothing() -> Result<()> {
    let directory = Directory::new("demo")?;
    let nobody = tests::components::free_port()?;
    let mut demo = start_demo(&directory, &["--kafka", &format!("127.0.0.1:{nobody}")])?;
    let status = wait_until("the demo has ended", DEADLINE, || demo.exit_status())?;
    let log = demo.log();
    ensure!(!status.success(), "{log}");
    ensure!(log.contains(&format!("127.0.0.1:{nobody}")), "the broker is not named in\n{log}");
    ensure!(is_empty(&directory)?, "the demo left its data folder");
    Ok(())
}

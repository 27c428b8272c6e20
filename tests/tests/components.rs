//! The components themselves: that the real ones start, do what the other tests rely on, and come back after they were killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::components::{KafkaRecord, ReceivedRecord, drivers};
use tests::{Debezium, DebeziumOptions, Kafka, MariaDb, Postgres, simple, wait_until};

const DEADLINE: Duration = Duration::from_secs(60);

/// The state of each boundary, and of END the counts: `BEGIN`, `END 3 {"public.orders": 2, ...}`.
fn boundaries(records: &[ReceivedRecord]) -> Result<Vec<String>> {
    records
        .iter()
        .map(|record| {
            let value = record.value_json()?;
            let status = value["status"].as_str().context("no status")?;
            let mut counts = BTreeMap::new();
            for collection in value["data_collections"].as_array().into_iter().flatten() {
                counts.insert(
                    collection["data_collection"].to_string(),
                    collection["event_count"].to_string(),
                );
            }
            Ok(match status {
                "END" => format!("END {} {counts:?}", value["event_count"]),
                _ => status.to_owned(),
            })
        })
        .collect()
}

/// `[op, before, after, total_order]`, of an envelope.
fn envelope(record: &ReceivedRecord) -> Result<Value> {
    let value = record.value_json()?;
    Ok(json!([
        value["op"],
        value["before"],
        value["after"],
        value["transaction"]["total_order"]
    ]))
}

fn envelopes(records: &[ReceivedRecord]) -> Result<Value> {
    records.iter().map(envelope).collect()
}

fn has_ends(count: usize) -> impl Fn(&[ReceivedRecord]) -> bool {
    move |records| {
        records
            .iter()
            .filter(|record| matches!(record.value_json(), Ok(value) if value["status"] == "END"))
            .count()
            >= count
    }
}

#[test]
fn postgres_through_debezium_to_kafka() -> Result<()> {
    let kafka = Kafka::shared()?;
    let database = Postgres::shared()?.create_database()?;
    database.psql(
        "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(10,2), quantity int DEFAULT 7);
         CREATE TABLE customers (id int PRIMARY KEY, name text);
         INSERT INTO customers VALUES (1, 'before the snapshot');",
    )?;
    let options = DebeziumOptions::new("smoke-pg", &["public.orders", "public.customers"]);
    let mut debezium = Debezium::postgres(kafka, &database, &options)?;
    debezium.wait_streaming()?;
    database.psql(
        "BEGIN;
         INSERT INTO customers VALUES (2, 'Zoë');
         INSERT INTO orders VALUES (10, 1.50, NULL), (11, 2, 3);
         COMMIT;
         DELETE FROM orders WHERE id = 11;",
    )?;

    let transactions = kafka.read_topic(&debezium.transaction_topic(), DEADLINE, has_ends(2))?;
    assert_eq!(
        boundaries(&transactions)?,
        [
            "BEGIN",
            r#"END 3 {"\"public.customers\"": "1", "\"public.orders\"": "2"}"#,
            "BEGIN",
            r#"END 1 {"\"public.orders\"": "1"}"#,
        ]
    );

    let customers = kafka.read_topic(&debezium.topic("public.customers"), DEADLINE, |records| {
        records.len() >= 2
    })?;
    assert_eq!(
        envelopes(&customers)?,
        json!([["r", null, {"id": 1, "name": "before the snapshot"}, null], ["c", null, {"id": 2, "name": "Zoë"}, 1]])
    );

    // Two creates, a delete and its tombstone.
    let orders = kafka.read_topic(&debezium.topic("public.orders"), DEADLINE, |records| {
        records.len() >= 4
    })?;
    let after = &orders[0].value_json()?["after"];
    assert_eq!(
        after,
        &json!({"id": 10, "amount": "AJY=", "quantity": null}),
        "a NULL stays a NULL although its column has a default"
    );
    assert_eq!(orders[1].key_json()?, json!({"id": 11}));
    assert_eq!(orders[2].value_json()?["op"], "d");
    assert_eq!(
        (orders[3].key_json()?, orders[3].value_json()?),
        (json!({"id": 11}), Value::Null)
    );
    assert!(
        orders[0]
            .header("__debezium.context.connectorName")
            .is_some(),
        "{:?}",
        orders[0].headers
    );

    // Dead and back: what was committed in the meantime arrives.
    debezium.kill9()?;
    database.psql("INSERT INTO customers VALUES (3, 'in the meantime')")?;
    debezium.start_again()?;
    kafka.read_topic(&debezium.topic("public.customers"), DEADLINE, |records| {
        records.iter().any(|record| {
            envelope(record).is_ok_and(|envelope| envelope[2]["name"] == "in the meantime")
        })
    })?;
    Ok(())
}

#[test]
fn mariadb_through_debezium_to_kafka() -> Result<()> {
    let kafka = Kafka::shared()?;
    let mut server = MariaDb::start()?;
    server.sql(
        "CREATE DATABASE shop; USE shop;
         CREATE TABLE orders (id int PRIMARY KEY, amount int DEFAULT 7);
         CREATE TABLE customers (id int PRIMARY KEY, name varchar(40));
         INSERT INTO customers VALUES (1, 'before the snapshot');",
    )?;
    let options = DebeziumOptions::new("smoke-maria", &["shop.orders", "shop.customers"]);
    let mut debezium = Debezium::mariadb(kafka, &server, &options)?;
    debezium.wait_streaming()?;
    server.sql(
        "USE shop;
         START TRANSACTION;
         INSERT INTO customers VALUES (2, 'Zoë');
         INSERT INTO orders VALUES (10, NULL), (11, 3);
         COMMIT;",
    )?;

    let transactions = kafka.read_topic(&debezium.transaction_topic(), DEADLINE, has_ends(1))?;
    assert_eq!(
        boundaries(&transactions)?,
        [
            "BEGIN",
            r#"END 3 {"\"shop.customers\"": "1", "\"shop.orders\"": "2"}"#
        ]
    );
    let customers = kafka.read_topic(&debezium.topic("shop.customers"), DEADLINE, |records| {
        records.len() >= 2
    })?;
    assert_eq!(
        envelopes(&customers)?,
        json!([["r", null, {"id": 1, "name": "before the snapshot"}, null], ["c", null, {"id": 2, "name": "Zoë"}, 1]])
    );
    let orders = kafka.read_topic(&debezium.topic("shop.orders"), DEADLINE, |records| {
        records.len() >= 2
    })?;
    assert_eq!(
        envelopes(&orders)?,
        json!([["c", null, {"id": 10, "amount": null}, 2], ["c", null, {"id": 11, "amount": 3}, 3]])
    );

    server.kill9()?;
    server.start_again()?;
    assert_eq!(
        server.sql("SELECT id, name FROM shop.customers ORDER BY id")?,
        "1\tbefore the snapshot\n2\tZoë\n"
    );
    Ok(())
}

#[test]
fn a_killed_kafka_keeps_its_records() -> Result<()> {
    let mut kafka = Kafka::start()?;
    kafka.create_topic("numbers", 2)?;
    let record = |number: usize| KafkaRecord {
        partition: Some(i32::from(number % 2 == 1)),
        value: Some(number.to_string().into_bytes()),
        ..KafkaRecord::default()
    };
    let positions = kafka.produce_many("numbers", (0..10_000).map(record))?;
    assert_eq!((positions[0], positions[9_999]), ((0, 0), (1, 4_999)));

    kafka.kill9()?;
    kafka.start_again()?;
    assert_eq!(
        kafka.produce(
            "numbers",
            Some(0),
            Some(b"key"),
            None,
            &[("header", b"value")]
        )?,
        (0, 5_000)
    );
    kafka.stop()?;
    kafka.start_again()?;
    let records = kafka.read_topic("numbers", DEADLINE, |records| records.len() >= 10_001)?;
    let last = records
        .iter()
        .find(|record| (record.partition, record.offset) == (0, 5_000))
        .context("the last record")?;
    assert_eq!(
        (
            last.key.as_deref(),
            last.value.as_deref(),
            last.header("header")
        ),
        (Some(&b"key"[..]), None, Some(&b"value"[..]))
    );
    Ok(())
}

#[test]
fn topics_grow_forget_and_go() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic_with("growing", 1, &[("retention.ms", "-1")])?;
    kafka.produce_many(
        "growing",
        (0..10).map(|_| KafkaRecord {
            value: Some(b"x".to_vec()),
            ..KafkaRecord::default()
        }),
    )?;
    assert_eq!(kafka.delete_records("growing", 0, 4)?, 4);
    assert_eq!(kafka.offsets("growing", 0)?, (4, 10));
    assert_eq!(
        kafka.read_topic("growing", DEADLINE, |records| records.len() == 6)?[0].offset,
        4
    );
    kafka.truncate("growing")?;
    assert_eq!(kafka.offsets("growing", 0)?, (10, 10));
    kafka.create_partitions("growing", 3)?;
    assert_eq!(kafka.partitions("growing")?, [0, 1, 2]);
    kafka.delete_topic("growing")?;
    assert_eq!(kafka.partitions("growing")?, [0; 0]);
    assert!(kafka.create_topic("", 1).is_err());
    Ok(())
}

#[test]
fn a_killed_postgres_keeps_what_was_committed() -> Result<()> {
    let mut postgres = Postgres::start()?;
    postgres.psql("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000);")?;
    let mut session = postgres.connect()?;
    simple(&mut session, "BEGIN; DELETE FROM t")?;
    postgres.kill9()?;
    assert!(simple(&mut session, "COMMIT").is_err());
    postgres.start_again()?;
    let rows = simple(
        &mut postgres.connect()?,
        "SELECT count(*), NULL, current_setting('TimeZone'), current_setting('wal_level') FROM t",
    )?;
    assert_eq!(
        rows,
        [[
            Some("1000".to_owned()),
            None,
            Some("UTC".to_owned()),
            Some("logical".to_owned())
        ]]
    );
    let error = postgres
        .psql("SELECT 1;\nSELECT nonsense;")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("column \"nonsense\" does not exist"),
        "{error}"
    );
    postgres.stop()
}

/// Drivers of other languages ask Postgres, so that a test which has them ask Tidemark blames the right one.
#[test]
fn the_drivers_of_other_languages_are_there() -> Result<()> {
    let postgres = Postgres::shared()?;
    let directory = tests::Directory::new("drivers")?;
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = directory.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let port = postgres.port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");

    let script = write(
        "ask.py",
        "import sys, psycopg\nprint(psycopg.connect(sys.argv[1]).execute('SELECT 6 * %s', [7]).fetchone()[0])\n",
    )?;
    assert_eq!(printed(drivers::python()?.arg(&script).arg(&url))?, "42");

    let script = write(
        "ask.js",
        "const { Client } = require('pg'); require('pg-cursor');
         (async () => {
             const client = new Client(process.argv[2]);
             await client.connect();
             console.log((await client.query('SELECT 6 * $1::int AS answer', [7])).rows[0].answer);
             await client.end();
         })();",
    )?;
    assert_eq!(printed(drivers::node()?.arg(&script).arg(&url))?, "42");

    let script = write(
        "ask.go",
        r#"package main
           import ("context"; "fmt"; "os"; "github.com/jackc/pgx/v5")
           func main() {
               connection, err := pgx.Connect(context.Background(), os.Args[1])
               if err != nil { panic(err) }
               var answer int
               if err := connection.QueryRow(context.Background(), "SELECT 6 * $1::int", 7).Scan(&answer); err != nil { panic(err) }
               fmt.Println(answer)
           }"#,
    )?;
    assert_eq!(printed(drivers::go(&script)?.arg(&url))?, "42");

    let script = write(
        "Ask.java",
        r#"import java.sql.*;
           class Ask {
               public static void main(String[] arguments) throws Exception {
                   try (var connection = DriverManager.getConnection(arguments[0]); var statement = connection.prepareStatement("SELECT 6 * ?::int")) {
                       statement.setInt(1, 7);
                       var rows = statement.executeQuery();
                       rows.next();
                       System.out.println(rows.getInt(1));
                   }
               }
           }"#,
    )?;
    assert_eq!(
        printed(drivers::java(&script)?.arg(format!(
            "jdbc:postgresql://127.0.0.1:{port}/postgres?user=postgres"
        )))?,
        "42"
    );
    Ok(())
}

fn printed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What the promise "no process outlives the test process" rests on, for the processes that no destructor ends.
#[test]
fn shared_components_die_with_the_test_process() -> Result<()> {
    const ROLE: &str = "TIDEMARK_TEST_ROLE";
    const NAME: &str = "shared_components_die_with_the_test_process";
    if std::env::var(ROLE).is_ok_and(|role| role == "victim") {
        let id = Postgres::shared()?
            .component()
            .process_id()
            .context("it runs")?;
        println!("the shared Postgres is {id}");
        // As hard an end as there is.
        std::process::abort();
    }
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", NAME, "--nocapture"])
        .env(ROLE, "victim")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let id = text
        .lines()
        .find_map(|line| line.split_once("the shared Postgres is "))
        .with_context(|| format!("no process number in {text}"))?
        .1;
    let process = PathBuf::from("/proc").join(id.trim());
    wait_until("the dead process's Postgres is dead", DEADLINE, || {
        let status = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        Ok((status.is_empty() || status.contains(") Z ")).then_some(()))
    })
}

//! What sources promise, with a real Kafka and the server as its users see it: each envelope and format, bad messages, and a broker in bad times.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use tests::components::{KafkaRecord, free_port};
use tests::sql::TextRow;
use tests::{Kafka, Tidemark, TidemarkOptions, simple, wait_until};

const DEADLINE: Duration = Duration::from_secs(60);

fn connected(kafka: &Kafka) -> Result<(Tidemark, Client)> {
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    simple(&mut client, &format!("CREATE CONNECTION kafka TO KAFKA (BROKER '{}')", kafka.bootstrap()))?;
    Ok((tidemark, client))
}

/// Produces `key value` pairs in order; no value is a tombstone.
fn put(kafka: &Kafka, topic: &str, messages: &[(&str, Option<&str>)]) -> Result<()> {
    let record = |(key, value): &(&str, Option<&str>)| KafkaRecord {
        key: Some(key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        ..KafkaRecord::default()
    };
    kafka.produce_many(topic, messages.iter().map(record)).map(drop)
}

fn text(rows: &[TextRow]) -> String {
    let row = |row: &TextRow| row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|");
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Waits until a query has these rows, `a|b` each; the rows it had last are in the error. A failing query is one with other rows.
fn expect(client: &mut Client, query: &str, rows: &str) -> Result<()> {
    let mut last = String::new();
    wait_until(&format!("{query} gives {rows:?}"), DEADLINE, || {
        last = match simple(client, query) {
            Ok(found) => text(&found),
            Err(error) => format!("{error:?}"),
        };
        Ok((last == rows).then_some(()))
    })
    .with_context(|| format!("it gave {last:?}"))
}

/// The SQLSTATE, message and detail of a statement that must fail.
fn refusal(client: &mut Client, sql: &str) -> Result<(String, String)> {
    let Err(error) = simple(client, sql) else { anyhow::bail!("{sql} succeeded") };
    let error = error.as_db_error().context("not an error of the server")?;
    Ok((error.code().code().to_owned(), format!("{} {}", error.message(), error.detail().unwrap_or(""))))
}

/// Waits until a source is in a state, and returns the reason.
fn state(client: &mut Client, source: &str, state: &str) -> Result<String> {
    let query = format!("SELECT state, reason FROM tm_catalog.tm_source_statuses WHERE name = '{source}'");
    let mut last = Vec::new();
    wait_until(&format!("{source} is {state}"), DEADLINE, || {
        last = simple(client, &query)?;
        Ok(last.first().filter(|row| row[0].as_deref() == Some(state)).map(|row| row[1].clone().unwrap_or_default()))
    })
    .with_context(|| format!("it is {last:?}"))
}

#[test]
fn plain_messages_come_with_what_the_source_includes_and_start_where_it_says() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("plain", 1)?;
    let record = |key: &str, value: &str, time| KafkaRecord {
        key: Some(key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        timestamp_milliseconds: Some(time),
        ..KafkaRecord::default()
    };
    let records = [("a", r#"{"n": 1}"#, 1_700_000_000_000), ("b", r#"{"n": 2}"#, 1_700_000_001_000), ("b", r#"{"n": 3}"#, 1_700_000_002_000)];
    kafka.produce_many("plain", records.map(|(key, value, time)| record(key, value, time)))?;
    let (mut tidemark, mut client) = connected(kafka)?;

    simple(
        &mut client,
        r#"CREATE SOURCE typed (n int) FROM KAFKA CONNECTION kafka (TOPIC 'plain') KEY FORMAT TEXT VALUE FORMAT JSON
           INCLUDE KEY AS k, PARTITION AS p, OFFSET AS o, TIMESTAMP AS t;
           CREATE SOURCE bytes FROM KAFKA CONNECTION kafka (TOPIC 'plain', START OFFSET (2)) FORMAT BYTES;
           CREATE SOURCE late FROM KAFKA CONNECTION kafka (TOPIC 'plain', START TIMESTAMP 1700000001000) FORMAT TEXT INCLUDE OFFSET AS o"#,
    )?;
    let typed = "SELECT n, k, p, o, extract(epoch FROM t)::bigint FROM typed ORDER BY o";
    expect(&mut client, typed, "1|a|0|0|1700000000\n2|b|0|1|1700000001\n3|b|0|2|1700000002")?;
    expect(&mut client, "SELECT * FROM bytes", r"\x7b226e223a20337d")?;
    expect(&mut client, "SELECT o FROM late ORDER BY o", "1\n2")?;

    // After a restart each goes on where it was, with nothing lost and nothing doubled.
    drop(client);
    tidemark.stop()?;
    kafka.produce_many("plain", [record("c", r#"{"n": 4}"#, 1_700_000_003_000)])?;
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    expect(&mut client, typed, "1|a|0|0|1700000000\n2|b|0|1|1700000001\n3|b|0|2|1700000002\n4|c|0|3|1700000003")?;
    expect(&mut client, "SELECT count(*) FROM bytes", "2")?;
    expect(&mut client, "SELECT o FROM late ORDER BY o", "1\n2\n3")?;
    let positions = "SELECT offset_applied, high_watermark, lag FROM tm_catalog.tm_source_positions WHERE name = 'typed'";
    expect(&mut client, positions, "4|4|0")
}

#[test]
fn the_newest_message_of_a_key_is_its_row_under_upsert() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("upsert", 4)?;
    put(kafka, "upsert", &[("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", None), ("c", None)])?;
    let (_tidemark, mut client) = connected(kafka)?;
    simple(&mut client, "CREATE SOURCE upsert FROM KAFKA CONNECTION kafka (TOPIC 'upsert') KEY FORMAT TEXT VALUE FORMAT TEXT ENVELOPE UPSERT")?;
    expect(&mut client, "SELECT key, text FROM upsert ORDER BY key", "a|2")?;
    put(kafka, "upsert", &[("b", Some("3")), ("a", None), ("b", Some("4"))])?;
    expect(&mut client, "SELECT key, text FROM upsert ORDER BY key", "b|4")
}

/// A change of the table `(id, name, big)` as Debezium sends it.
fn change(operation: &str, before: &str, after: &str, lsn: u64) -> String {
    format!(
        r#"{{"before": {before}, "after": {after}, "op": "{operation}", "source": {{"connector": "postgresql", "snapshot": "false", "lsn": {lsn}, "sequence": "[\"{lsn}\",\"{lsn}\"]"}}}}"#
    )
}

#[test]
fn debezium_changes_replace_rows_whatever_before_says() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("debezium", 1)?;
    let (_tidemark, mut client) = connected(kafka)?;
    simple(
        &mut client,
        "CREATE SOURCE changes (id int PRIMARY KEY, name text NOT NULL, big text) FROM KAFKA CONNECTION kafka (TOPIC 'debezium') FORMAT JSON ENVELOPE DEBEZIUM",
    )?;
    let all = "SELECT id, name, big FROM changes ORDER BY id";
    let send = |key: u32, value: &str| put(kafka, "debezium", &[(&format!(r#"{{"id": {key}}}"#), Some(value))]);
    // A snapshot's row, an insert; an update with the placeholder of a large value that did not change.
    send(1, &change("r", "null", r#"{"id": 1, "name": "one", "big": "large"}"#, 10))?;
    send(2, &change("c", "null", r#"{"id": 2, "name": "two", "big": null}"#, 11))?;
    let update = change("u", "null", r#"{"id": 1, "name": "uno", "big": "__debezium_unavailable_value"}"#, 12);
    send(1, &update)?;
    expect(&mut client, all, "1|uno|large\n2|two|NULL")?;
    // The same update again, as after a restart of the connector; a delete whose `before` is invented but for the key, and its tombstone.
    send(1, &update)?;
    send(2, &change("d", r#"{"id": 2, "name": "", "big": null}"#, "null", 13))?;
    put(kafka, "debezium", &[(r#"{"id": 2}"#, None)])?;
    expect(&mut client, all, "1|uno|large")?;
    // A key change: the create carries the placeholder, and its value is in the row of the old key.
    let headers = |name: &str, key: u32| vec![(format!("__debezium.{name}"), Some(format!(r#"{{"id": {key}}}"#).into_bytes()))];
    let record = |key: u32, value: Option<String>, headers| KafkaRecord {
        key: Some(format!(r#"{{"id": {key}}}"#).into_bytes()),
        value: value.map(String::into_bytes),
        headers,
        ..KafkaRecord::default()
    };
    kafka.produce_many(
        "debezium",
        [
            record(1, Some(change("d", r#"{"id": 1, "name": "", "big": null}"#, "null", 14)), headers("newkey", 3)),
            record(1, None, Vec::new()),
            record(3, Some(change("c", "null", r#"{"id": 3, "name": "uno", "big": "__debezium_unavailable_value"}"#, 14)), headers("oldkey", 1)),
        ],
    )?;
    expect(&mut client, all, "3|uno|large")?;
    // TRUNCATE empties the table at its place in the topic.
    send(4, &change("c", "null", r#"{"id": 4, "name": "four", "big": null}"#, 15))?;
    expect(&mut client, "SELECT count(*) FROM changes", "2")?;
    kafka.produce("debezium", None, None, Some(change("t", "null", "null", 16).as_bytes()), &[])?;
    send(5, &change("c", "null", r#"{"id": 5, "name": "five", "big": null}"#, 17))?;
    expect(&mut client, all, "5|five|NULL")
}

#[test]
fn a_message_that_cannot_be_decoded_is_an_error_until_its_key_is_written_again() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("bad", 1)?;
    let (mut tidemark, mut client) = connected(kafka)?;
    simple(
        &mut client,
        "CREATE SOURCE bad (id int, n int, PRIMARY KEY (id)) FROM KAFKA CONNECTION kafka (TOPIC 'bad') FORMAT JSON ENVELOPE UPSERT;
         CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM bad",
    )?;
    put(kafka, "bad", &[(r#"{"id": 1}"#, Some(r#"{"n": 1}"#)), (r#"{"id": 2}"#, Some(r#"{"n": "many"}"#)), (r#"{"id": 3}"#, Some(r#"{"n": 3}"#))])?;
    let errors = r#"SELECT name, topic, partition, "offset", convert_from(key, 'UTF8'), reason <> '' FROM tm_catalog.tm_source_errors"#;
    expect(&mut client, errors, r#"bad|bad|0|1|{"id": 2}|t"#)?;
    expect(&mut client, "SELECT errors, messages FROM tm_catalog.tm_source_statuses WHERE name = 'bad'", "1|3")?;
    for relation in ["bad", "total"] {
        let (code, message) = refusal(&mut client, &format!("SELECT * FROM {relation}"))?;
        ensure!(code == "42804" && message.contains("bad[0]@1"), "{code} {message}");
    }
    // It is there after a restart too.
    drop(client);
    tidemark.stop()?;
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    expect(&mut client, errors, r#"bad|bad|0|1|{"id": 2}|t"#)?;
    refusal(&mut client, "SELECT * FROM total")?;
    // Good rows went on arriving, and the key's next message heals.
    put(kafka, "bad", &[(r#"{"id": 2}"#, Some(r#"{"n": 2}"#))])?;
    expect(&mut client, "SELECT id, n FROM bad ORDER BY id", "1|1\n2|2\n3|3")?;
    expect(&mut client, "SELECT n FROM total", "6")?;
    expect(&mut client, errors, "")
}

#[test]
fn what_cannot_be_read_is_refused_by_name_and_nothing_is_created() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (_tidemark, mut client) = connected(kafka)?;
    let nobody = free_port()?;
    simple(&mut client, &format!("CREATE CONNECTION nobody TO KAFKA (BROKER '127.0.0.1:{nobody}')"))?;
    let source = |connection: &str| format!("CREATE SOURCE s FROM KAFKA CONNECTION {connection} (TOPIC 'absent') FORMAT TEXT");
    let (code, message) = refusal(&mut client, &source("kafka"))?;
    ensure!(code == "42704" && message.contains("\"absent\""), "{code} {message}");
    let (code, message) = refusal(&mut client, &source("nobody"))?;
    ensure!(code == "08006" && message.contains(&format!("127.0.0.1:{nobody}")), "{code} {message}");
    expect(&mut client, "SELECT count(*) FROM tm_catalog.tm_objects WHERE name = 's'", "0")?;
    ensure!(kafka.partitions("absent")?.is_empty(), "the topic was created by asking for it");
    Ok(())
}

#[test]
fn partitions_that_appear_while_running_are_read_from_their_beginning() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("growing", 1)?;
    let (_tidemark, mut client) = connected(kafka)?;
    simple(&mut client, "CREATE SOURCE growing FROM KAFKA CONNECTION kafka (TOPIC 'growing') FORMAT TEXT INCLUDE PARTITION AS p")?;
    put(kafka, "growing", &[("a", Some("first"))])?;
    expect(&mut client, "SELECT text, p FROM growing", "first|0")?;
    kafka.create_partitions("growing", 3)?;
    // A producer that was there before would learn of new partitions minutes later.
    let producer = sources::kafka::Producer::new(&sources::BrokerConfig::new(kafka.bootstrap())).map_err(anyhow::Error::msg)?;
    for partition in [1, 2] {
        producer.send("growing", Some(partition), None, Some(b"later")).map_err(anyhow::Error::msg)?;
    }
    producer.flush(DEADLINE).map_err(anyhow::Error::msg)?;
    expect(&mut client, "SELECT text, p FROM growing ORDER BY p", "first|0\nlater|1\nlater|2")
}

#[test]
fn messages_removed_before_they_were_read_are_a_named_error() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("truncated", 1)?;
    put(kafka, "truncated", &[("a", Some("1"))])?;
    let (mut tidemark, mut client) = connected(kafka)?;
    simple(&mut client, "CREATE SOURCE truncated FROM KAFKA CONNECTION kafka (TOPIC 'truncated') FORMAT TEXT")?;
    expect(&mut client, "SELECT text FROM truncated", "1")?;
    drop(client);
    tidemark.stop()?;
    put(kafka, "truncated", &[("a", Some("2")), ("a", Some("3"))])?;
    kafka.delete_records("truncated", 0, 2)?;
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    let reason = state(&mut client, "truncated", "failed")?;
    ensure!(reason.contains(r#"topic "truncated" partition 0 no longer has offset 1"#), "{reason}");
    expect(&mut client, "SELECT text FROM truncated", "1")
}

#[test]
fn a_topic_created_anew_is_a_named_error() -> Result<()> {
    let kafka = Kafka::shared()?;
    kafka.create_topic("anew", 1)?;
    put(kafka, "anew", &[("a", Some("1")), ("a", Some("2"))])?;
    let (mut tidemark, mut client) = connected(kafka)?;
    simple(&mut client, "CREATE SOURCE anew FROM KAFKA CONNECTION kafka (TOPIC 'anew') FORMAT TEXT")?;
    expect(&mut client, "SELECT text FROM anew ORDER BY 1", "1\n2")?;
    drop(client);
    tidemark.stop()?;
    kafka.delete_topic("anew")?;
    kafka.create_topic("anew", 1)?;
    // As long as the old one was, so that only its messages tell.
    put(kafka, "anew", &[("a", Some("x")), ("a", Some("y")), ("a", Some("z"))])?;
    tidemark.start_again()?;
    let mut client = tidemark.connect()?;
    let reason = state(&mut client, "anew", "failed")?;
    ensure!(reason.contains(r#"topic "anew" partition 0 is not the one that was read before"#), "{reason}");
    expect(&mut client, "SELECT text FROM anew ORDER BY 1", "1\n2")
}

#[test]
fn a_lost_broker_is_told_about_and_the_source_goes_on_when_it_is_back() -> Result<()> {
    let mut kafka = Kafka::start()?;
    kafka.create_topic("lost", 1)?;
    put(&kafka, "lost", &[("a", Some("1"))])?;
    let (_tidemark, mut client) = connected(&kafka)?;
    simple(&mut client, "CREATE SOURCE lost FROM KAFKA CONNECTION kafka (TOPIC 'lost') FORMAT TEXT")?;
    expect(&mut client, "SELECT text FROM lost", "1")?;
    kafka.kill9()?;
    let reason = state(&mut client, "lost", "stalled")?;
    ensure!(!reason.is_empty(), "no reason");
    // Reads go on.
    expect(&mut client, "SELECT text FROM lost", "1")?;
    kafka.start_again()?;
    put(&kafka, "lost", &[("a", Some("2"))])?;
    expect(&mut client, "SELECT text FROM lost ORDER BY 1", "1\n2")?;
    state(&mut client, "lost", "running").map(drop)
}

//! From a change produced to Kafka to the row of a SUBSCRIBE on a view over it, beside what Kafka itself takes from producer to consumer.

use crate::figures::{Durations, ratio};
use anyhow::{Context, Result, ensure};
use postgres::Client;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use sources::kafka::EmbeddedBroker;
use std::time::{Duration, Instant};
use tests::{Kafka, Tidemark, TidemarkOptions, simple};

const TOPIC: &str = "bench.payments";
const DEADLINE: Duration = Duration::from_secs(30);
/// First messages whose times do not count: clients and servers meet for the first time.
const WARM_UP: u64 = 20;

pub fn run(messages: u64) -> Result<()> {
    let embedded = EmbeddedBroker::start(&[(TOPIC.to_owned(), 1)])?;
    measure("embedded broker", embedded.bootstrap(), messages)?;
    drop(embedded);
    let kafka = Kafka::start()?;
    kafka.create_topic(TOPIC, 1)?;
    measure("Kafka", &kafka.bootstrap(), messages)
}

fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

fn measure(name: &str, bootstrap: &str, messages: u64) -> Result<()> {
    // Sent when they are there, and not gathered.
    let producer: BaseProducer = client_config(bootstrap).set("linger.ms", "0").create()?;
    let consumer: BaseConsumer = client_config(bootstrap).set("group.id", "bench").set("fetch.wait.max.ms", "10").create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&assignment)?;

    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    for sql in [
        &format!("CREATE CONNECTION kafka TO KAFKA (BROKER '{bootstrap}')"),
        &format!("CREATE SOURCE payments (id bigint PRIMARY KEY, cents bigint) FROM KAFKA CONNECTION kafka (TOPIC '{TOPIC}') FORMAT JSON ENVELOPE DEBEZIUM"),
        "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS payments, sum(cents) AS cents FROM payments",
        "BEGIN",
        "DECLARE changes CURSOR FOR SUBSCRIBE total",
    ] {
        simple(&mut client, sql).with_context(|| sql.to_owned())?;
    }
    let (mut ours, mut kafkas) = (Durations::default(), Durations::default());
    for id in 1..=messages + WARM_UP {
        let key = format!("{{\"id\": {id}}}");
        let value = format!("{{\"before\": null, \"after\": {{\"id\": {id}, \"cents\": 100}}, \"op\": \"c\", \"source\": {{\"connector\": \"postgresql\"}}}}");
        let start = Instant::now();
        producer.send(BaseRecord::to(TOPIC).key(&key).payload(&value)).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        wait_for_row(&mut client, id)?;
        let taken = start.elapsed();
        if id > WARM_UP {
            ours.push(taken);
        }
    }
    // The same messages again, to the consumer alone.
    let mut read = 0;
    while read < messages + WARM_UP {
        let message = consumer.poll(DEADLINE).context("Kafka gives what was produced")??;
        ensure!(message.payload().is_some(), "no tombstone was produced");
        read += 1;
    }
    for id in 1..=messages {
        let start = Instant::now();
        producer.send(BaseRecord::to(TOPIC).key("{\"id\": 1}").payload("{\"before\": null, \"after\": {\"id\": 1, \"cents\": 100}, \"op\": \"u\"}")).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        consumer.poll(DEADLINE).with_context(|| format!("Kafka gives message {id}"))??;
        kafkas.push(start.elapsed());
    }
    producer.flush(DEADLINE)?;
    println!("freshness, {name}, {messages} messages one by one: producer to plain consumer {}", kafkas.summary());
    println!("freshness, {name}, {messages} messages one by one: producer to SUBSCRIBE row {} (wanted: p50 below 10 ms)", ours.summary());
    println!("freshness, {name}: {:.1} times Kafka's own", ratio(ours.median(), kafkas.median()));
    Ok(())
}

/// Waits until the view says there are so many payments.
fn wait_for_row(client: &mut Client, payments: u64) -> Result<()> {
    let wanted = payments.to_string();
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        let rows = simple(client, "FETCH ALL changes WITH (timeout = '1s')")?;
        // mz_timestamp, mz_diff, payments, cents.
        if rows.iter().any(|row| row.get(1).is_some_and(|diff| diff.as_deref() == Some("1")) && row.get(2).is_some_and(|count| count.as_deref() == Some(&wanted))) {
            return Ok(());
        }
    }
    anyhow::bail!("no row for payment {payments} within {DEADLINE:?}")
}

//! Memory of the server with a source of many narrow rows: what it holds once all are there, and what it held at most.

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};
use tests::{Kafka, Tidemark, TidemarkOptions, simple};

const TOPIC: &str = "bench.readings";
const PARTITIONS: usize = 2;
const LOAD_DEADLINE: Duration = Duration::from_secs(540);
const FLUSH_DEADLINE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub fn run(rows: u64) -> Result<()> {
    let kafka = Kafka::start()?;
    kafka.create_topic(TOPIC, PARTITIONS)?;
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    for sql in [
        &format!("CREATE CONNECTION kafka TO KAFKA (BROKER '{}')", kafka.bootstrap()),
        &format!(
            "CREATE SOURCE readings (id bigint PRIMARY KEY, sensor int NOT NULL, at timestamptz NOT NULL, celsius double precision NOT NULL)
             FROM KAFKA CONNECTION kafka (TOPIC '{TOPIC}') KEY FORMAT JSON VALUE FORMAT JSON ENVELOPE UPSERT"
        ),
    ] {
        simple(&mut client, sql).with_context(|| sql.to_owned())?;
    }
    let start = Instant::now();
    let bootstrap = kafka.bootstrap();
    let producer = std::thread::spawn(move || produce(&bootstrap, rows));
    let deadline = Instant::now() + LOAD_DEADLINE;
    let mut counted = 0;
    while counted < rows {
        anyhow::ensure!(Instant::now() < deadline, "only {counted} of {rows} rows after {LOAD_DEADLINE:?}");
        std::thread::sleep(LOOK_EVERY);
        let answer = simple(&mut client, "SELECT count(*) FROM readings")?;
        counted = answer.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).context("a count")?;
    }
    producer.join().ok().context("the producer goes on to its end")??;
    let took = start.elapsed();
    let process = tidemark.component().process_id().context("the server runs")?;
    let (now, most) = (status_bytes(process, "VmRSS:")?, status_bytes(process, "VmHWM:")?);
    let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    println!("memory, {rows} rows in a source, read in {took:.0?}: {:.2} GiB resident, {:.2} GiB at most (wanted: within 4)", gibibytes(now), gibibytes(most));
    println!("memory: {} bytes a row, resident", now / rows);
    Ok(())
}

fn produce(bootstrap: &str, rows: u64) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", bootstrap).set("linger.ms", "50").set("compression.type", "lz4").create()?;
    for id in 0..rows {
        let key = format!("{{\"id\":{id}}}");
        let (sensor, seconds) = (id % 2000, id / 2000);
        let celsius = (id * 7919 % 4000) as f64 / 100.0;
        let value = format!(
            "{{\"id\":{id},\"sensor\":{sensor},\"at\":\"2026-01-{:02}T{:02}:{:02}:{:02}Z\",\"celsius\":{celsius}}}",
            1 + seconds / 86_400 % 28,
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60
        );
        let mut record = BaseRecord::to(TOPIC).key(&key).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    producer.poll(Duration::from_millis(10));
                    record = returned;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        producer.poll(Duration::ZERO);
    }
    Ok(producer.flush(FLUSH_DEADLINE)?)
}

/// A line of /proc/PID/status, in bytes.
fn status_bytes(process: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("{field} in the status of a process"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

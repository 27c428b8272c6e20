//! A Kafka broker of one node (KRaft: broker and controller in one JVM), and what a test does to it.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::directory::Directory;
use super::java::{java, properties, write_properties};
use super::ports::free_port;
use super::process::Component;
use crate::wait::wait_until;

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// For one request to a broker that is up.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// Longer than a broker takes to start again, so that a producer lives through its `kill -9`.
const DELIVERY_DEADLINE: Duration = Duration::from_secs(60);
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// Records whose delivery is waited for at the same time.
const DELIVERIES_IN_FLIGHT_MAX: usize = 50_000;

/// The name of the cluster: 16 bytes as URL-safe base64, the form in which Kafka wants it.
const CLUSTER_ID: &str = "dGlkZW1hcmstdGVzdC0wMQ";

/// A record to produce. `Default` is a record without key, value and headers, in a partition that the key chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaRecord {
    /// `None` lets the key's hash (the one Java clients use) choose.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch; `None` is now.
    pub timestamp_milliseconds: Option<i64>,
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRecord {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_milliseconds: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl ReceivedRecord {
    /// The key as JSON; a null key is JSON's null.
    pub fn key_json(&self) -> Result<serde_json::Value> {
        json(self.key.as_deref())
    }

    /// The value as JSON; a tombstone is JSON's null.
    pub fn value_json(&self) -> Result<serde_json::Value> {
        json(self.value.as_deref())
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .and_then(|(_, value)| value.as_deref())
    }
}

fn json(bytes: Option<&[u8]>) -> Result<serde_json::Value> {
    let Some(bytes) = bytes else {
        return Ok(serde_json::Value::Null);
    };
    serde_json::from_slice(bytes)
        .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(bytes)))
}

/// One broker with its data, an admin client and a producer.
pub struct Kafka {
    component: Component,
    port: u16,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    // Last: the process goes before its folder.
    _directory: Directory,
}

impl Kafka {
    /// A new broker with no topics, ready.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// A new broker whose `server.properties` ends with these.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let directory = Directory::new("kafka")?;
        let port = free_port()?;
        let server_properties = write_properties(
            &directory,
            "server.properties",
            &server_properties(&directory, port, free_port()?, settings),
        )?;

        java(
            "format",
            "kafka-libs",
            "kafka.tools.StorageTool",
            &directory,
        )?
        .arguments(["format", "--standalone", "-t", CLUSTER_ID, "-c"])
        .argument(&server_properties)
        .run_to_end()
        .context("could not format Kafka's storage")?;
        let component = Component::start(
            java("kafka", "kafka-libs", "kafka.Kafka", &directory)?.argument(&server_properties),
        )?;

        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", format!("127.0.0.1:{port}"));
        // A broker that was killed is back in a second or two: look for it that often.
        client
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500");
        let admin = client
            .create()
            .context("could not create an admin client")?;
        let producer = client
            .set("partitioner", "murmur2_random")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("message.max.bytes", "100000000")
            .set(
                "message.timeout.ms",
                DELIVERY_DEADLINE.as_millis().to_string(),
            )
            .create()
            .context("could not create a producer")?;
        let mut kafka = Self {
            component,
            port,
            admin,
            producer,
            _directory: directory,
        };
        kafka.wait_ready()?;
        Ok(kafka)
    }

    /// The broker of this test process: for tests which use topics of their own and do nothing to the broker itself.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Kafka>> = OnceLock::new();
        SHARED
            .get_or_init(Self::start)
            .as_ref()
            .map_err(|error| anyhow!("the shared Kafka did not start: {error:#}"))
    }

    /// `127.0.0.1:port`; the same for all the life of the broker, starts included.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port alone.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Ends the broker as an operator would.
    pub fn stop(&mut self) -> Result<()> {
        self.component.stop(STOP_DEADLINE).map(drop)
    }

    /// `kill -9`.
    pub fn kill9(&mut self) -> Result<()> {
        self.component.kill9()
    }

    /// Starts the broker again, on the same port with the same data, and waits until it is ready.
    pub fn start_again(&mut self) -> Result<()> {
        self.component.start_again()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let admin = &self.admin;
        self.component.wait_ready(START_DEADLINE, |component| {
            // A client that knew an older run of the broker answers from what it knows: the log says that this one has started.
            let has_started = component
                .log_of_this_start()
                .contains("Kafka Server started");
            let has_brokers = has_started
                && admin
                    .inner()
                    .fetch_metadata(None, METADATA_TIMEOUT)
                    .is_ok_and(|metadata| !metadata.brokers().is_empty());
            Ok(has_brokers.then_some(()))
        })
    }

    /// Creates a topic; it can be written and read when this returns.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// Creates a topic with settings of its own (`cleanup.policy`, `max.message.bytes`, ...).
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: usize,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let mut topic = NewTopic::new(name, i32::try_from(partitions)?, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let results = block_on(self.admin.create_topics([&topic], &admin_options()));
        one_result(results).with_context(|| format!("could not create the topic {name}"))?;
        self.wait_for_partitions(name, partitions, REQUEST_DEADLINE)
            .map(drop)
    }

    /// Deletes a topic; nobody sees it any more when this returns.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let results = block_on(self.admin.delete_topics(&[name], &admin_options()));
        one_result(results).with_context(|| format!("could not delete the topic {name}"))?;
        wait_until(
            &format!("the topic {name} is gone"),
            REQUEST_DEADLINE,
            || Ok(self.partitions(name)?.is_empty().then_some(())),
        )
    }

    /// Makes a topic have this many partitions, which must be more than it has.
    pub fn create_partitions(&self, name: &str, partitions_total: usize) -> Result<()> {
        let results = block_on(self.admin.create_partitions(
            [&NewPartitions::new(name, partitions_total)],
            &admin_options(),
        ));
        one_result(results)
            .with_context(|| format!("could not add partitions to the topic {name}"))?;
        self.wait_for_partitions(name, partitions_total, REQUEST_DEADLINE)
            .map(drop)
    }

    /// Makes the broker forget a partition's records before an offset, as retention does. Returns the partition's new first offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before_offset: i64) -> Result<i64> {
        self.delete_records_until(topic, partition, Offset::Offset(before_offset))
    }

    /// Makes the broker forget all records of a topic; offsets go on where they were.
    pub fn truncate(&self, topic: &str) -> Result<()> {
        for partition in self.partitions(topic)? {
            self.delete_records_until(topic, partition, Offset::End)?;
        }
        Ok(())
    }

    fn delete_records_until(&self, topic: &str, partition: i32, offset: Offset) -> Result<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, offset)?;
        let what =
            || format!("could not delete the records of {topic}[{partition}] before {offset:?}");
        let result =
            block_on(self.admin.delete_records(&list, &admin_options())).with_context(what)?;
        let element = result.find_partition(topic, partition).with_context(what)?;
        element.error().with_context(what)?;
        element.offset().to_raw().with_context(what)
    }

    /// The numbers of a topic's partitions, none when there is no such topic. Asking does not create it.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        // For all topics: asking for one would create it.
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(None, REQUEST_DEADLINE)
            .context("could not ask Kafka for its topics")?;
        let partitions = metadata
            .topics()
            .iter()
            .filter(|found| found.name() == topic)
            .flat_map(|found| found.partitions());
        // One without a leader can be neither written nor read yet.
        Ok(partitions
            .filter(|partition| partition.leader() >= 0 && partition.error().is_none())
            .map(|partition| partition.id())
            .collect())
    }

    /// Waits until a topic has at least this many partitions, and returns their numbers.
    pub fn wait_for_partitions(
        &self,
        topic: &str,
        partitions_min: usize,
        deadline: Duration,
    ) -> Result<Vec<i32>> {
        let what = format!("the topic {topic} has {partitions_min} partitions");
        wait_until(&what, deadline, || {
            Ok(Some(self.partitions(topic)?)
                .filter(|partitions| partitions.len() >= partitions_min))
        })
    }

    /// The first offset of a partition, and the one after its last.
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        self.producer
            .client()
            .fetch_watermarks(topic, partition, REQUEST_DEADLINE)
            .with_context(|| format!("could not ask for the offsets of {topic}[{partition}]"))
    }

    /// Produces one record and returns its partition and offset once the broker has it.
    pub fn produce(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(i32, i64)> {
        let record = KafkaRecord {
            partition,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())))
                .collect(),
            timestamp_milliseconds: None,
        };
        self.produce_many(topic, [record])?
            .pop()
            .context("one record has one position")
    }

    /// Produces records in order, as fast as the broker takes them, and returns the partition and offset of each once the broker has them all.
    pub fn produce_many(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = KafkaRecord>,
    ) -> Result<Vec<(i32, i64)>> {
        let mut positions = Vec::new();
        let mut in_flight: VecDeque<DeliveryFuture> = VecDeque::new();
        for record in records {
            if in_flight.len() >= DELIVERIES_IN_FLIGHT_MAX {
                positions.extend(delivered(in_flight.pop_front(), topic)?);
            }
            let mut message = future_record(topic, &record);
            loop {
                match self.producer.send_result(message) {
                    Ok(delivery) => break in_flight.push_back(delivery),
                    // The client's own queue is full (it has a limit of bytes): one delivered record makes room.
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned))
                        if !in_flight.is_empty() =>
                    {
                        positions.extend(delivered(in_flight.pop_front(), topic)?);
                        message = returned;
                    }
                    Err((error, _)) => {
                        return Err(anyhow!(error).context(format!("could not produce to {topic}")));
                    }
                }
            }
        }
        while !in_flight.is_empty() {
            positions.extend(delivered(in_flight.pop_front(), topic)?);
        }
        Ok(positions)
    }

    /// Reads a topic from its beginning until `is_enough` says so of all that was read; within a partition records are in order. The topic
    /// need not exist yet. At the deadline it is an error which shows the last record.
    pub fn read_topic(
        &self,
        topic: &str,
        deadline: Duration,
        mut is_enough: impl FnMut(&[ReceivedRecord]) -> bool,
    ) -> Result<Vec<ReceivedRecord>> {
        let end = Instant::now() + deadline;
        let partitions = self.wait_for_partitions(topic, 1, deadline)?;
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            // A consumer must have one; nothing is ever committed to it.
            .set("group.id", "tidemark-tests-reader")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()
            .context("could not create a consumer")?;
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer
            .assign(&assignment)
            .with_context(|| format!("could not read {topic}"))?;

        let mut records = Vec::new();
        while !is_enough(&records) {
            let remaining = end.saturating_duration_since(Instant::now());
            match consumer.poll(remaining) {
                Some(Ok(message)) => records.push(received(&message)),
                // While a broker is down a client reports it and goes on trying.
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
                ))) => {}
                Some(Err(error)) => {
                    return Err(anyhow!(error).context(format!("could not read {topic}")));
                }
                None if remaining.is_zero() => {
                    let last = records.last().map(|record| {
                        String::from_utf8_lossy(record.value.as_deref().unwrap_or(b"null"))
                            .into_owned()
                    });
                    bail!(
                        "{topic} had {} records after {deadline:?}, which is not enough; the last is {last:?}",
                        records.len()
                    );
                }
                None => {}
            }
        }
        Ok(records)
    }
}

fn server_properties(
    directory: &Directory,
    port: u16,
    controller_port: u16,
    settings: &[(&str, &str)],
) -> Vec<(String, String)> {
    let controller = format!("127.0.0.1:{controller_port}");
    let mut all = properties([
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.bootstrap.servers", &controller),
        (
            "listeners",
            &format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://{controller}"),
        ),
        (
            "advertised.listeners",
            &format!("PLAINTEXT://127.0.0.1:{port}"),
        ),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        ("log.dirs", &directory.join("data").display().to_string()),
        // One node is all there is.
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        // The defaults are for clusters: 50 partitions of internal topics, and a wait for more consumers.
        ("offsets.topic.num.partitions", "1"),
        ("transaction.state.log.num.partitions", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        // A broker that was killed may register again only when its old session is over, by default after 9 s. Not much shorter: on a busy
        // machine a living broker must not lose its session.
        ("broker.session.timeout.ms", "4000"),
        ("broker.heartbeat.interval.ms", "500"),
    ]);
    all.extend(
        settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
    );
    all
}

fn admin_options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_DEADLINE))
        .operation_timeout(Some(REQUEST_DEADLINE))
}

/// The result of a request about a single topic.
fn one_result(results: Result<Vec<TopicResult>, KafkaError>) -> Result<()> {
    match results?.pop() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(anyhow!(code)),
        None => bail!("Kafka answered nothing about the topic"),
    }
}

fn future_record<'a>(
    topic: &'a str,
    record: &'a KafkaRecord,
) -> FutureRecord<'a, Vec<u8>, Vec<u8>> {
    let headers = record.headers.iter().fold(
        OwnedHeaders::new_with_capacity(record.headers.len()),
        |headers, (name, value)| {
            headers.insert(Header {
                key: name,
                value: value.as_ref(),
            })
        },
    );
    FutureRecord {
        topic,
        partition: record.partition,
        payload: record.value.as_ref(),
        key: record.key.as_ref(),
        timestamp: record.timestamp_milliseconds,
        headers: (!record.headers.is_empty()).then_some(headers),
    }
}

fn delivered(delivery: Option<DeliveryFuture>, topic: &str) -> Result<Option<(i32, i64)>> {
    let Some(delivery) = delivery else {
        return Ok(None);
    };
    let result =
        block_on(delivery).with_context(|| format!("the producer to {topic} has ended"))?;
    let delivery = result
        .map_err(|(error, _)| error)
        .with_context(|| format!("could not produce to {topic}"))?;
    Ok(Some((delivery.partition, delivery.offset)))
}

fn received(message: &impl Message) -> ReceivedRecord {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect()
    });
    ReceivedRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_milliseconds: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}

//! A broker in this process, for the demo and for tests, and a plain producer: here, because only this folder names `rdkafka`.

use crate::{BrokerConfig, SourceError};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// librdkafka's mock cluster: the real protocol on a loopback port, in memory, at most 5 MiB or 100,000 messages a partition.
pub struct EmbeddedBroker {
    bootstrap: String,
    /// Dropped to end the thread: the cluster cannot leave the one that made it.
    _stop: mpsc::Sender<()>,
    _thread: JoinHandle<()>,
}

impl EmbeddedBroker {
    /// Starts a cluster of one broker with these topics and numbers of partitions.
    pub fn start(topics: &[(String, i32)]) -> Result<EmbeddedBroker, SourceError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let (answer, started) = mpsc::channel();
        let topics = topics.to_vec();
        let run = move || {
            let cluster = match MockCluster::new(1) {
                Ok(cluster) => cluster,
                Err(error) => {
                    let _ = answer.send(Err(SourceError::client(error)));
                    return;
                }
            };
            let created = topics
                .iter()
                .try_for_each(|(topic, partitions)| cluster.create_topic(topic, *partitions, 1));
            let _ = answer.send(
                created
                    .map(|()| cluster.bootstrap_servers())
                    .map_err(SourceError::client),
            );
            // Returns when the sender is dropped.
            let _ = stopped.recv();
        };
        let thread = std::thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(run)
            .map_err(SourceError::client)?;
        let bootstrap = started.recv().map_err(SourceError::client)??;
        Ok(EmbeddedBroker {
            bootstrap,
            _stop: stop,
            _thread: thread,
        })
    }

    /// `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

fn config(broker: &BrokerConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.bootstrap);
    for (name, value) in &broker.properties {
        config.set(name, value);
    }
    config
}

/// Creates topics that are not there yet. Blocks up to ten seconds.
pub fn create_topics(broker: &BrokerConfig, topics: &[(String, i32)]) -> Result<(), SourceError> {
    let admin: AdminClient<DefaultClientContext> =
        config(broker).create().map_err(SourceError::client)?;
    let metadata = admin
        .inner()
        .fetch_metadata(None, Duration::from_secs(10))
        .map_err(|error| SourceError::broker_unreachable(&broker.bootstrap, &error.to_string()))?;
    let exists = |name: &str| metadata.topics().iter().any(|topic| topic.name() == name);
    let missing: Vec<NewTopic<'_>> = topics
        .iter()
        .filter(|(name, _)| !exists(name))
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
        .collect();
    let results = futures::executor::block_on(admin.create_topics(&missing, &AdminOptions::new()))
        .map_err(SourceError::client)?;
    for result in results {
        result.map_err(|(topic, code)| SourceError::client(format!("topic {topic}: {code}")))?;
    }
    Ok(())
}

/// Sends messages; errors of delivery come with `flush`.
pub struct Producer(BaseProducer);

impl Producer {
    pub fn new(broker: &BrokerConfig) -> Result<Producer, SourceError> {
        let mut config = config(broker);
        config.set("linger.ms", "0");
        Ok(Producer(config.create().map_err(SourceError::client)?))
    }

    /// Hands a message to the client's queue; waits for room in it.
    pub fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), SourceError> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        record.partition = partition;
        record.key = key;
        record.payload = value;
        loop {
            match self.0.send(record) {
                Ok(()) => {
                    self.0.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((error, rejected))
                    if error.rdkafka_error_code()
                        == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) =>
                {
                    self.0.poll(Duration::from_millis(10));
                    record = rejected;
                }
                Err((error, _)) => return Err(SourceError::client(error)),
            }
        }
    }

    /// Waits until everything is delivered.
    pub fn flush(&self, patience: Duration) -> Result<(), SourceError> {
        self.0.flush(patience).map_err(SourceError::client)
    }
}

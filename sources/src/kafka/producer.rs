//! A producer for what is our own: the demo, benchmarks and tests.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{REQUEST_TIMEOUT, client_config};
use crate::{BrokerConfig, SourceError};

/// Sends messages without waiting for each.
pub struct Producer {
    producer: ThreadedProducer<DefaultProducerContext>,
}

/// How long a full queue is waited for.
const QUEUE_PATIENCE: Duration = Duration::from_secs(30);

impl Producer {
    pub fn new(broker: &BrokerConfig) -> Result<Producer, SourceError> {
        let producer = client_config(broker)
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .create()
            .map_err(SourceError::client)?;
        Ok(Producer { producer })
    }

    /// Hands a message to the client's thread. Without `partition` the key chooses. A full queue is waited for.
    pub fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), SourceError> {
        self.send_with_headers(topic, partition, key, value, &[])
    }

    /// As [`Producer::send`], with headers.
    pub fn send_with_headers(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), SourceError> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        record.partition = partition;
        record.key = key;
        record.payload = value;
        if !headers.is_empty() {
            let list = headers
                .iter()
                .fold(OwnedHeaders::new(), |list, (key, value)| {
                    list.insert(Header {
                        key,
                        value: Some(*value),
                    })
                });
            record.headers = Some(list);
        }
        let end = std::time::Instant::now() + QUEUE_PATIENCE;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned))
                    if std::time::Instant::now() < end =>
                {
                    record = returned;
                    // The thread behind makes room as messages are delivered.
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(SourceError::client(error)),
            }
        }
    }

    /// Waits until everything was delivered.
    pub fn flush(&self, patience: Duration) -> Result<(), SourceError> {
        self.producer.flush(patience).map_err(SourceError::client)
    }
}

/// Makes the topics that do not exist.
pub fn create_topics(broker: &BrokerConfig, topics: &[(String, i32)]) -> Result<(), SourceError> {
    let admin: AdminClient<DefaultClientContext> = client_config(broker)
        .create()
        .map_err(SourceError::client)?;
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT));
    let results = wait(admin.create_topics(&new, &options))
        .map_err(|error| SourceError::broker_unreachable(&broker.bootstrap, &error.to_string()))?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(SourceError::new(
                    "08000",
                    format!("could not create topic \"{topic}\""),
                )
                .detail(code.to_string()));
            }
        }
    }
    Ok(())
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future that another thread completes.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

//! The real broker: a consumer of librdkafka with an assignment of its own.

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, Headers as _, Message as _};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{REQUEST_TIMEOUT, client_config, is_connection, request_error};
use crate::broker::{Broker, Condition, HeaderList, Headers, Message, TopicIndex};
use crate::{BrokerConfig, SourceError};

/// How long an idle broker holds an answer back. Not longer: the mock broker does not wake a waiting fetch.
const FETCH_WAIT: &str = "5";
/// Messages fetched ahead, in bytes: what a stopped source holds at most.
const QUEUED_KIBIBYTES_MAX: &str = "32768";

/// What librdkafka's threads tell about the cluster.
#[derive(Default)]
pub(super) struct Context(Mutex<Known>);

#[derive(Default)]
struct Known {
    high_watermarks: HashMap<String, HashMap<i32, i64>>,
    /// Why the broker cannot be reached; `None` if it can, as far as known.
    down: Option<String>,
    last_error: Option<String>,
}

impl Context {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last complaint, which says more than the failure of a request does.
    pub(super) fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let mut known = self.lock();
        if statistics
            .brokers
            .values()
            .any(|broker| broker.nodeid >= 0 && broker.state == "UP")
        {
            known.down = None;
        }
        for (name, topic) in statistics.topics {
            let partitions = known.high_watermarks.entry(name).or_default();
            for (number, partition) in topic.partitions {
                if number >= 0 && partition.hi_offset >= 0 {
                    partitions.insert(number, partition.hi_offset);
                }
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut known = self.lock();
        known.last_error = Some(reason.to_owned());
        if let KafkaError::Global(RDKafkaErrorCode::AllBrokersDown) = error {
            known.down = Some(reason.to_owned());
        }
        drop(known);
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Context {}

pub(super) fn consumer(broker: &BrokerConfig) -> Result<BaseConsumer<Context>, SourceError> {
    client_config(broker)
        // A consumer must have a group's name even if it never joins it.
        .set("group.id", "tidemark")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", FETCH_WAIT)
        .set("fetch.error.backoff.ms", "100")
        // After a full queue has room again, fetching goes on at once and not after a second.
        .set("fetch.queue.backoff.ms", "2")
        .set("queued.max.messages.kbytes", QUEUED_KIBIBYTES_MAX)
        .set("statistics.interval.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .create_with_context(Context::default())
        .map_err(|error| {
            SourceError::new("22023", "the options of the Kafka connection are not valid")
                .detail(error.to_string())
        })
}

pub(super) struct KafkaBroker {
    consumer: BaseConsumer<Context>,
    bootstrap: String,
    topics: Vec<String>,
    numbers: HashMap<String, TopicIndex>,
    /// The next offset of each partition.
    assigned: BTreeMap<(TopicIndex, i32), i64>,
    is_suspicious: bool,
}

impl KafkaBroker {
    pub(super) fn new(
        broker: &BrokerConfig,
        topics: Vec<String>,
    ) -> Result<KafkaBroker, SourceError> {
        let numbers = topics.iter().enumerate();
        Ok(KafkaBroker {
            consumer: consumer(broker)?,
            bootstrap: broker.bootstrap.clone(),
            numbers: numbers
                .map(|(number, topic)| (topic.clone(), number as TopicIndex))
                .collect(),
            topics,
            assigned: BTreeMap::new(),
            is_suspicious: false,
        })
    }

    fn name(&self, topic: TopicIndex) -> &str {
        self.topics.get(topic as usize).map_or("", String::as_str)
    }

    fn error(&self, error: &KafkaError, topic: TopicIndex) -> SourceError {
        request_error(error, &self.bootstrap, self.name(topic))
    }

    /// librdkafka names no partition with its errors: finds the one whose next offset is not there.
    fn trouble(&mut self) -> Result<(), SourceError> {
        let assigned: Vec<_> = self
            .assigned
            .iter()
            .map(|(partition, next)| (*partition, *next))
            .collect();
        for ((topic, partition), next) in assigned {
            let (low, high) = self.watermarks(topic, partition)?;
            if !(low..=high).contains(&next) {
                let name = self.name(topic);
                return Err(SourceError::truncated(name, partition, next, low, high));
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: KafkaError) -> Result<(), SourceError> {
        let code = error.rdkafka_error_code();
        match code {
            Some(code) if is_connection(code) => {
                let mut known = self.consumer.context().lock();
                let reason = known.last_error.clone();
                known.down = Some(reason.unwrap_or_else(|| error.to_string()));
                Ok(())
            }
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::LogTruncation,
            ) => {
                self.trouble()?;
                // It has moved on since: look at every partition anew and go on.
                self.is_suspicious = true;
                Ok(())
            }
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicId,
            ) => {
                self.is_suspicious = true;
                Ok(())
            }
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed,
            ) => Err(SourceError::new(
                "42501",
                format!(
                    "the broker at {} does not permit reading the source's topics",
                    self.bootstrap
                ),
            )),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(SourceError::client(error))
            }
            _ => {
                tracing::warn!(%error, "a Kafka consumer complains");
                self.consumer.context().lock().last_error = Some(error.to_string());
                Ok(())
            }
        }
    }
}

impl Broker for KafkaBroker {
    fn partitions(&mut self, topic: TopicIndex) -> Result<Vec<i32>, SourceError> {
        let name = self.name(topic);
        let metadata = self
            .consumer
            .fetch_metadata(Some(name), REQUEST_TIMEOUT)
            .map_err(|error| self.error(&error, topic))?;
        let found = metadata.topics().iter().find(|found| found.name() == name);
        Ok(found
            .filter(|found| found.error().is_none())
            .into_iter()
            .flat_map(|found| found.partitions())
            .map(|partition| partition.id())
            .collect())
    }

    fn assign(&mut self, partitions: &[(TopicIndex, i32, i64)]) -> Result<(), SourceError> {
        let partitions = partitions.iter();
        self.assigned
            .extend(partitions.map(|(topic, partition, offset)| ((*topic, *partition), *offset)));
        let mut list = TopicPartitionList::with_capacity(self.assigned.len());
        for ((topic, partition), offset) in &self.assigned {
            list.add_partition_offset(self.name(*topic), *partition, Offset::Offset(*offset))
                .map_err(SourceError::client)?;
        }
        self.consumer.assign(&list).map_err(SourceError::client)
    }

    fn offset_at(
        &mut self,
        topic: TopicIndex,
        partition: i32,
        milliseconds: i64,
    ) -> Result<i64, SourceError> {
        let mut times = TopicPartitionList::new();
        times
            .add_partition_offset(self.name(topic), partition, Offset::Offset(milliseconds))
            .map_err(SourceError::client)?;
        let found = self
            .consumer
            .offsets_for_times(times, REQUEST_TIMEOUT)
            .map_err(|error| self.error(&error, topic))?;
        let found = found.find_partition(self.name(topic), partition);
        match found.map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Ok(self.watermarks(topic, partition)?.1),
        }
    }

    fn watermarks(&mut self, topic: TopicIndex, partition: i32) -> Result<(i64, i64), SourceError> {
        self.consumer
            .fetch_watermarks(self.name(topic), partition, REQUEST_TIMEOUT)
            .map_err(|error| self.error(&error, topic))
    }

    fn known_high_watermark(&self, topic: TopicIndex, partition: i32) -> Option<i64> {
        let known = self.consumer.context().lock();
        let high = known
            .high_watermarks
            .get(self.name(topic))?
            .get(&partition)
            .copied()?;
        let next = self.assigned.get(&(topic, partition)).copied().unwrap_or(0);
        // What was read is there, whatever the statistics of a second ago say.
        Some(high.max(next))
    }

    fn poll(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Message<'_>) -> bool,
    ) -> Result<(), SourceError> {
        let mut patience = patience;
        loop {
            let error = match self.consumer.poll(patience) {
                None => return Ok(()),
                Some(Ok(message)) => {
                    patience = Duration::ZERO;
                    let Some(topic) = self.numbers.get(message.topic()).copied() else {
                        continue;
                    };
                    let (partition, offset) = (message.partition(), message.offset());
                    if let Some(next) = self.assigned.get_mut(&(topic, partition)) {
                        *next = offset + 1;
                    }
                    let headers = message.headers().map(KafkaHeaders);
                    let none = Headers::default();
                    let wants_more = each(Message {
                        topic,
                        partition,
                        offset,
                        timestamp_ms: message.timestamp().to_millis(),
                        key: message.key(),
                        value: message.payload(),
                        headers: headers.as_ref().map_or(&none, |headers| headers),
                    });
                    if !wants_more {
                        return Ok(());
                    }
                    continue;
                }
                Some(Err(error)) => error,
            };
            self.failed(error)?;
            // One complaint is enough for a poll.
            return Ok(());
        }
    }

    fn condition(&self) -> Condition {
        match &self.consumer.context().lock().down {
            Some(reason) => Condition::Down(format!(
                "the broker at {} cannot be reached: {reason}",
                self.bootstrap
            )),
            None => Condition::Up,
        }
    }

    fn take_suspicion(&mut self) -> bool {
        std::mem::take(&mut self.is_suspicious)
    }
}

struct KafkaHeaders<'a>(&'a BorrowedHeaders);

impl std::fmt::Debug for KafkaHeaders<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = (0..).map_while(|position| self.header(position));
        formatter.debug_list().entries(all).finish()
    }
}

impl HeaderList for KafkaHeaders<'_> {
    fn header(&self, position: usize) -> Option<(&str, Option<&[u8]>)> {
        let header = self.0.try_get(position)?;
        Some((header.key, header.value))
    }
}

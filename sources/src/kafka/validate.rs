//! What is looked at when a source is created: the broker, the topics, and some messages.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

use super::consumer::{Context, consumer};
use super::{REQUEST_TIMEOUT, request_error};
use crate::complete::{Sample, check, complete};
use crate::spec::Topics;
use crate::{BrokerConfig, Discovered, SourceError, SourceSpec};

/// Messages at the end of each partition that may be the sample.
const SAMPLE_MESSAGES_MAX: i64 = 50;
const SAMPLE_PATIENCE: Duration = Duration::from_secs(5);

/// At CREATE: reaches the broker, finds the topics, and completes the relations' columns (from a sample of the topic where none are declared). Blocks for some seconds
/// at most for each topic.
///
/// A transaction topic named `<prefix>.transaction` may be missing: the connector makes it with its first transaction.
pub fn validate(broker: &BrokerConfig, spec: &SourceSpec) -> Result<Discovered, SourceError> {
    check(spec)?;
    let consumer = consumer(broker)?;
    let mut spec = spec.clone();
    let mut partitions = Vec::new();
    let topics: Vec<String> = spec.topic_names().into_iter().map(str::to_owned).collect();
    for topic in topics {
        let found = partitions_of(&consumer, broker, &topic)?;
        if found.is_empty() && !may_come_later(&spec, &topic) {
            let error = SourceError::unknown_topic(&topic, &broker.bootstrap);
            return Err(match spec.topics {
                Topics::Prefix { .. } => {
                    error.hint("A connector makes a table's topic with its first row.")
                }
                Topics::Single { .. } => error,
            });
        }
        if spec.transaction_topic() == Some(&topic) && found.len() > 1 {
            return Err(SourceError::unsupported(format!(
                "transaction topic \"{topic}\" has {} partitions",
                found.len()
            ))
            .detail("The order of transactions is known only from a topic with one partition."));
        }
        let relation = spec
            .relations
            .iter()
            .position(|relation| relation.topic == topic);
        if let Some(relation) = relation {
            let sample = sample(&consumer, broker, &topic, &found)?;
            complete(&mut spec, relation, sample.as_ref())?;
        }
        partitions.push((topic, found.len()));
    }
    Ok(Discovered { spec, partitions })
}

fn may_come_later(spec: &SourceSpec, topic: &str) -> bool {
    match &spec.topics {
        Topics::Prefix {
            prefix,
            transaction_topic: Some(transaction_topic),
        } => topic == transaction_topic && *topic == format!("{prefix}.transaction"),
        _ => false,
    }
}

fn partitions_of(
    consumer: &BaseConsumer<Context>,
    broker: &BrokerConfig,
    topic: &str,
) -> Result<Vec<i32>, SourceError> {
    let metadata = consumer
        .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
        .map_err(|error| {
            let error = request_error(&error, &broker.bootstrap, topic);
            match consumer.context().last_error() {
                Some(reason) if error.code == "08006" => {
                    SourceError::broker_unreachable(&broker.bootstrap, &reason)
                }
                _ => error,
            }
        })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    Ok(found
        .filter(|found| found.error().is_none())
        .into_iter()
        .flat_map(|found| found.partitions())
        .map(|partition| partition.id())
        .collect())
}

/// The newest message of the topic that has a value, as far as a short look finds one.
fn sample(
    consumer: &BaseConsumer<Context>,
    broker: &BrokerConfig,
    topic: &str,
    partitions: &[i32],
) -> Result<Option<Sample>, SourceError> {
    let mut list = TopicPartitionList::new();
    let mut ends = std::collections::BTreeMap::new();
    for partition in partitions {
        let (low, high) = consumer
            .fetch_watermarks(topic, *partition, REQUEST_TIMEOUT)
            .map_err(|error| request_error(&error, &broker.bootstrap, topic))?;
        if low < high {
            let from = low.max(high - SAMPLE_MESSAGES_MAX);
            list.add_partition_offset(topic, *partition, Offset::Offset(from))
                .map_err(SourceError::client)?;
            ends.insert(*partition, high);
        }
    }
    consumer.assign(&list).map_err(SourceError::client)?;
    let end = Instant::now() + SAMPLE_PATIENCE;
    let mut newest: Option<(i64, Sample)> = None;
    while !ends.is_empty() {
        let remaining = end.saturating_duration_since(Instant::now());
        // Control records at the end never come: what was found by then is enough.
        let patience = match &newest {
            Some(_) => remaining.min(Duration::from_millis(200)),
            None => remaining,
        };
        let message = match consumer.poll(patience) {
            None => break,
            Some(Err(_)) => continue,
            Some(Ok(message)) => message,
        };
        if ends
            .get(&message.partition())
            .is_some_and(|end| message.offset() + 1 >= *end)
        {
            ends.remove(&message.partition());
        }
        let time = message.timestamp().to_millis().unwrap_or(0);
        if let Some(value) = message.payload()
            && has_row(value)
            && newest.as_ref().is_none_or(|(newest, _)| *newest <= time)
        {
            let sample = Sample {
                key: message.key().map(<[u8]>::to_vec),
                value: value.to_vec(),
            };
            newest = Some((time, sample));
        }
    }
    consumer
        .assign(&TopicPartitionList::new())
        .map_err(SourceError::client)?;
    Ok(newest.map(|(_, sample)| sample))
}

/// A delete shows less than any other event.
fn has_row(value: &[u8]) -> bool {
    let is_delete = [&b"\"op\":\"d\""[..], b"\"op\": \"d\""];
    !is_delete
        .iter()
        .any(|pattern| memchr::memmem::find(value, pattern).is_some())
}

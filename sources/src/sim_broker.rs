//! The simulated twin of Kafka: topics in memory, messages handed over in an order drawn from a seed, and the misfortunes of a broker on request.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::SourceError;
use crate::broker::{Broker, Condition, Headers, Message, TopicIndex};

/// A message that lies in a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimMessage {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub timestamp_ms: i64,
}

impl SimMessage {
    /// A message of text.
    pub fn new(key: Option<&str>, value: Option<&str>) -> SimMessage {
        SimMessage {
            key: key.map(|key| key.as_bytes().to_vec()),
            value: value.map(|value| value.as_bytes().to_vec()),
            ..SimMessage::default()
        }
    }

    /// With a header more.
    pub fn header(mut self, name: &str, value: &str) -> SimMessage {
        let value = Some(value.as_bytes().to_vec());
        self.headers.0.push((name.to_owned(), value));
        self
    }
}

#[derive(Clone, Debug, Default)]
struct Partition {
    low: i64,
    /// `None`: an offset without message (a control record, a compacted message).
    messages: Vec<Option<SimMessage>>,
}

impl Partition {
    fn high(&self) -> i64 {
        self.low + self.messages.len() as i64
    }
}

/// Topics, and one reader's place in them.
#[derive(Clone, Debug)]
pub struct SimBroker {
    names: Vec<String>,
    topics: Vec<BTreeMap<i32, Partition>>,
    /// The next offset of each assigned partition.
    assigned: BTreeMap<(TopicIndex, i32), i64>,
    random: StdRng,
    is_down: bool,
    /// Messages of one poll at most.
    pub poll_messages_max: usize,
}

impl SimBroker {
    /// Empty topics with so many partitions.
    pub fn new(seed: u64, topics: &[(&str, i32)]) -> SimBroker {
        let empty = |count: i32| {
            (0..count)
                .map(|partition| (partition, Partition::default()))
                .collect()
        };
        SimBroker {
            names: topics.iter().map(|(name, _)| (*name).to_owned()).collect(),
            topics: topics.iter().map(|(_, count)| empty(*count)).collect(),
            assigned: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            is_down: false,
            poll_messages_max: 16,
        }
    }

    fn partition(&mut self, topic: &str, partition: i32) -> &mut Partition {
        let index = match self.names.iter().position(|name| name == topic) {
            Some(index) => index,
            None => {
                self.names.push(topic.to_owned());
                self.topics.push(BTreeMap::new());
                self.names.len() - 1
            }
        };
        self.topics[index].entry(partition).or_default()
    }

    /// Appends a message; a partition that does not exist is made.
    pub fn produce(&mut self, topic: &str, partition: i32, message: SimMessage) {
        self.partition(topic, partition)
            .messages
            .push(Some(message));
    }

    /// Appends an offset without message.
    pub fn produce_gap(&mut self, topic: &str, partition: i32) {
        self.partition(topic, partition).messages.push(None);
    }

    /// Adds an empty partition.
    pub fn add_partition(&mut self, topic: &str, partition: i32) {
        self.partition(topic, partition);
    }

    /// Forgets the messages before an offset.
    pub fn truncate(&mut self, topic: &str, partition: i32, before: i64) {
        let partition = self.partition(topic, partition);
        while partition.low < before && !partition.messages.is_empty() {
            partition.messages.remove(0);
            partition.low += 1;
        }
    }

    /// Deletes the topic and makes it anew, empty.
    pub fn recreate(&mut self, topic: &str, partitions: i32) {
        if let Some(index) = self.names.iter().position(|name| name == topic) {
            self.topics[index] = (0..partitions)
                .map(|partition| (partition, Partition::default()))
                .collect();
        }
    }

    /// Deletes the topic.
    pub fn delete(&mut self, topic: &str) {
        self.recreate(topic, 0);
    }

    /// Cannot be reached, or can again.
    pub fn set_down(&mut self, is_down: bool) {
        self.is_down = is_down;
    }

    /// As a new client finds it: nothing assigned.
    pub fn reconnect(&mut self, seed: u64) {
        self.assigned.clear();
        self.random = StdRng::seed_from_u64(seed);
    }

    /// Whether all messages of assigned partitions were handed over.
    pub fn is_drained(&self) -> bool {
        self.assigned.iter().all(|((topic, partition), next)| {
            *next >= self.topics[*topic as usize][partition].high()
        })
    }

    fn reachable(&self) -> Result<(), SourceError> {
        if self.is_down {
            return Err(SourceError::broker_unreachable("sim", "it is down"));
        }
        Ok(())
    }
}

impl Broker for SimBroker {
    fn partitions(&mut self, topic: TopicIndex) -> Result<Vec<i32>, SourceError> {
        self.reachable()?;
        let topic = self.topics.get(topic as usize);
        Ok(topic.into_iter().flatten().map(|(id, _)| *id).collect())
    }

    fn assign(&mut self, partitions: &[(TopicIndex, i32, i64)]) -> Result<(), SourceError> {
        let partitions = partitions.iter();
        self.assigned
            .extend(partitions.map(|(topic, partition, offset)| ((*topic, *partition), *offset)));
        Ok(())
    }

    fn offset_at(
        &mut self,
        topic: TopicIndex,
        partition: i32,
        milliseconds: i64,
    ) -> Result<i64, SourceError> {
        self.reachable()?;
        let partition = &self.topics[topic as usize][&partition];
        let first = partition.messages.iter().position(
            |message| matches!(message, Some(message) if message.timestamp_ms >= milliseconds),
        );
        Ok(first.map_or(partition.high(), |first| partition.low + first as i64))
    }

    fn watermarks(&mut self, topic: TopicIndex, partition: i32) -> Result<(i64, i64), SourceError> {
        self.reachable()?;
        let partition = &self.topics[topic as usize][&partition];
        Ok((partition.low, partition.high()))
    }

    fn known_high_watermark(&self, topic: TopicIndex, partition: i32) -> Option<i64> {
        Some(self.topics.get(topic as usize)?.get(&partition)?.high())
    }

    fn poll(
        &mut self,
        _patience: Duration,
        each: &mut dyn FnMut(Message<'_>) -> bool,
    ) -> Result<(), SourceError> {
        if self.is_down {
            return Ok(());
        }
        for _ in 0..self.poll_messages_max {
            // Partitions are read at different speeds; within one the order holds.
            let open: Vec<(TopicIndex, i32)> = self
                .assigned
                .iter()
                .filter(|((topic, partition), next)| {
                    self.topics[*topic as usize]
                        .get(partition)
                        .is_none_or(|found| **next != found.high())
                })
                .map(|(key, _)| *key)
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            let (topic, number) = open[self.random.random_range(0..open.len())];
            let next = self.assigned[&(topic, number)];
            let name = &self.names[topic as usize];
            let Some(partition) = self.topics[topic as usize].get(&number) else {
                return Err(SourceError::topic_gone(name));
            };
            if next < partition.low || next > partition.high() {
                let (low, high) = (partition.low, partition.high());
                return Err(SourceError::truncated(name, number, next, low, high));
            }
            self.assigned.insert((topic, number), next + 1);
            let Some(message) = &partition.messages[(next - partition.low) as usize] else {
                continue;
            };
            let message = Message {
                topic,
                partition: number,
                offset: next,
                timestamp_ms: Some(message.timestamp_ms),
                key: message.key.as_deref(),
                value: message.value.as_deref(),
                headers: &message.headers,
            };
            if !each(message) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn condition(&self) -> Condition {
        if self.is_down {
            Condition::Down("it is down".to_owned())
        } else {
            Condition::Up
        }
    }
}

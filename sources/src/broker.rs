//! What a source needs of a message broker, so that the simulated one of `sim_broker` can stand in for Kafka.

use crate::SourceError;
use std::time::Duration;

/// The position of a topic in the list the broker was made with.
pub type TopicIndex = u32;

/// A message, borrowed from the broker's buffers.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub topic: TopicIndex,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a dyn HeaderList,
}

/// The headers of a message, looked at only by who needs them.
pub trait HeaderList: std::fmt::Debug {
    /// The header at a position, `None` beyond the last.
    fn header(&self, position: usize) -> Option<(&str, Option<&[u8]>)>;
}

impl<'a> Message<'a> {
    /// The last header of a name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let headers: &'a dyn HeaderList = self.headers;
        let all = (0..).map_while(|position| headers.header(position));
        all.filter(|(found, _)| *found == name)
            .last()
            .and_then(|(_, value)| value)
    }
}

/// Headers in a vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Option<Vec<u8>>)>);

impl HeaderList for Headers {
    fn header(&self, position: usize) -> Option<(&str, Option<&[u8]>)> {
        self.0
            .get(position)
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// Whether a broker can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The broker cannot be reached; reading goes on by itself when it is back.
    Down(String),
    /// It can be reached.
    Up,
}

/// A broker, with an assignment of partitions. Offsets are the caller's: nothing is committed anywhere.
///
/// Contract: the messages of a partition come in the order of their offsets, from the assigned one on; an offset is missing only if the broker has none there (compaction,
/// control records). An error of class 08 (connection) passes by itself; any other is final. If the next offset is no longer there, or not yet there though it should be, `poll` fails with an error that names topic and partition.
pub trait Broker {
    /// The numbers of a topic's partitions; none when there is no such topic. Asking does not create it.
    fn partitions(&mut self, topic: TopicIndex) -> Result<Vec<i32>, SourceError>;

    /// Starts reading partitions that are not being read yet, each at an offset.
    fn assign(&mut self, partitions: &[(TopicIndex, i32, i64)]) -> Result<(), SourceError>;

    /// The offset of the first message that is not older than a time, or the end.
    fn offset_at(
        &mut self,
        topic: TopicIndex,
        partition: i32,
        milliseconds: i64,
    ) -> Result<i64, SourceError>;

    /// The first offset of a partition and the one after its last.
    fn watermarks(&mut self, topic: TopicIndex, partition: i32) -> Result<(i64, i64), SourceError>;

    /// The same from what is known already, without asking.
    fn known_high_watermark(&self, topic: TopicIndex, partition: i32) -> Option<i64>;

    /// Waits up to `patience` for a message, then hands over what there is without waiting, until `each` returns false or nothing is left.
    fn poll(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Message<'_>) -> bool,
    ) -> Result<(), SourceError>;

    /// Whether the broker can be reached, as far as known.
    fn condition(&self) -> Condition;

    /// Whether something happened after which it should be looked whether the partitions are still the same. Says so once.
    fn take_suspicion(&mut self) -> bool {
        false
    }
}

//! What the first steps make of messages, in words: for a topic whose messages do not do what one expects of them, and for the test that follows a row through the house.
//!
//! It decodes and gathers as a running source does, with the same code, and stops there: nothing is applied, nothing is kept.

use std::collections::BTreeMap;

use crate::broker::{Message, TopicIndex};
use crate::decode::{Decoded, Decoder, Operation};
use crate::gather::{Applied, Barrier, Gather, Pending, Place, Reach, Release};
use crate::{SourceError, SourceSpec};

/// What a message is, and what it lets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The change, the boundary, or that it is neither.
    pub decoded: String,
    /// Changes that may be applied now, in their order. With a transaction topic those of whole transactions alone.
    pub released: Vec<String>,
}

/// Messages of a source's topics, taken in one by one. Topics are numbered as in [`SourceSpec::topic_names`].
pub struct Trace {
    decoder: Decoder,
    gather: Option<Gather>,
    seen: Seen,
}

impl Trace {
    /// From the beginning of the topics, or from anywhere before a transaction.
    pub fn new(spec: &SourceSpec) -> Trace {
        let gather = spec
            .transaction_topic()
            .map(|_| Gather::new(spec, Applied::default()));
        Trace {
            decoder: Decoder::new(spec),
            gather,
            seen: Seen::default(),
        }
    }

    /// Takes a message in.
    pub fn message(&mut self, message: Message<'_>) -> Result<Traced, SourceError> {
        let (topic, partition, offset) = (message.topic, message.partition, message.offset);
        let place = Place {
            topic,
            partition,
            offset,
        };
        self.seen.next.insert((topic, partition), offset + 1);
        let decoded = self.decoder.decode(message).map_err(|error| {
            SourceError::new("22000", "a message of the transaction topic is no boundary")
                .detail(error.message().to_owned())
        })?;
        let words = format!("{decoded:?}");
        let mut released = Vec::new();
        let mut take = |release| {
            let (Release::Changes(changes) | Release::Contents(changes, _)) = release else {
                return;
            };
            let changes = changes.into_iter().map(|pending| pending.change);
            let changes = changes.filter(|change| change.operation != Operation::Nothing);
            released.extend(changes.map(|change| format!("{change:?}")));
        };
        match (decoded, &mut self.gather) {
            (Decoded::Change(change), None) => {
                take(Release::Changes(vec![Pending { place, change }]));
            }
            (Decoded::Change(change), Some(gather)) => {
                gather
                    .change(Pending { place, change }, offset)?
                    .map(&mut take);
            }
            (Decoded::Boundary(boundary), Some(gather)) => {
                gather.boundary(boundary, place).map(&mut take);
            }
            (Decoded::Boundary(_), None) | (Decoded::Nothing, _) => {}
        }
        if let Some(gather) = &mut self.gather {
            while let Some(release) = gather.release(&mut self.seen)? {
                take(release);
            }
        }
        Ok(Traced {
            decoded: words,
            released,
        })
    }
}

/// Partitions reach as far as they were shown.
#[derive(Default)]
struct Seen {
    next: BTreeMap<(TopicIndex, i32), i64>,
}

impl Reach for Seen {
    fn next(&self, partition: (TopicIndex, i32)) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    fn resume(&self, partition: (TopicIndex, i32)) -> i64 {
        self.next(partition)
    }

    fn ends(&mut self) -> Result<Barrier, SourceError> {
        Ok(self.next.clone())
    }
}

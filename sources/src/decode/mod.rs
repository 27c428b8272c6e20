//! Bytes to changes. Pure: a [`Decoder`] holds no state but what it has learned of schemas.
//!
//! Of each message comes exactly one [`Decoded`]. A message that is broken is an [`Operation::Broken`] change, with whatever of it (transaction, position) could still be
//! read, so that it takes its place among the others.

pub(crate) mod connect;
pub(crate) mod debezium;
mod plain;
pub(crate) mod row;
mod transaction;
mod value;

pub(crate) use row::key_of;
pub(crate) use transaction::{Boundary, TransactionId};

use repr::{EvalError, Row};

use crate::broker::{Message, TopicIndex};
use crate::spec::{Envelope, SourceSpec};

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decoded {
    Change(Change),
    Boundary(Boundary),
    /// Nothing of ours: a heartbeat, a logical decoding message.
    Nothing,
}

/// A change of one relation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The relation's position in the specification.
    pub relation: usize,
    pub operation: Operation,
    /// Hash of the message's key; 0 if it has none.
    pub key_hash: u64,
    /// The message's key, kept only where an error row may need it.
    pub key: Option<Vec<u8>>,
    /// Where upstream it happened.
    pub position: Option<UpstreamPosition>,
    pub transaction: Option<InTransaction>,
    pub snapshot: Option<Snapshot>,
    /// The connector's run that sent it, as a hash; 0 if the message does not say.
    pub run: u64,
}

/// The place of an event in its upstream transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InTransaction {
    pub id: TransactionId,
    pub total_order: i64,
}

/// What happens to the relation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// A row that was not there.
    Append(Row),
    /// The key now has this row. `old_key` had it before, if it moved.
    Upsert {
        key: Row,
        row: Row,
        /// Columns whose value was not sent; the row has NULL there.
        unavailable: Vec<usize>,
        old_key: Option<Row>,
        /// `old_key`'s row goes with this change. Otherwise its own delete takes it away.
        deletes_old: bool,
    },
    /// The key has no row. `moves`: an upsert of another key follows that may need this row's values.
    Delete {
        key: Row,
        moves: bool,
    },
    /// A null value: the key has no row. After its `Delete` it says nothing new.
    Tombstone {
        key: Row,
    },
    /// Without a key only whole rows say what changed.
    Exchange {
        before: Row,
        after: Option<Row>,
    },
    Truncate,
    /// What cannot be decoded.
    Broken(EvalError),
    /// A null value that concerns no row of ours.
    Nothing,
}

impl Change {
    /// Of a message that concerns no row.
    pub(crate) fn nothing() -> Change {
        Change {
            relation: 0,
            operation: Operation::Nothing,
            key_hash: 0,
            key: None,
            position: None,
            transaction: None,
            snapshot: None,
            run: 0,
        }
    }

    /// About how much memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        let rows = match &self.operation {
            Operation::Append(row) => row.heap_bytes(),
            Operation::Upsert { key, row, .. } => key.heap_bytes() + row.heap_bytes(),
            Operation::Delete { key, .. } | Operation::Tombstone { key } => key.heap_bytes(),
            Operation::Exchange { before, after } => {
                before.heap_bytes() + after.as_ref().map_or(0, Row::heap_bytes)
            }
            Operation::Broken(error) => error.message().len(),
            Operation::Truncate | Operation::Nothing => 0,
        };
        size_of::<Change>() + rows + self.key.as_ref().map_or(0, Vec::len)
    }
}

/// A position in the upstream's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum UpstreamPosition {
    /// The end of the last transaction committed before the event's own (positions are in commit order by it, not by the LSN), and the event's LSN.
    Postgres { committed: Option<u64>, lsn: u64 },
    /// MySQL and MariaDB: the number in the log file's name, the place in it, the row within the event.
    Binlog { file: u64, position: u64, row: u64 },
}

/// A row read by a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snapshot {
    First,
    Middle,
    LastOfTable,
    /// The last row of all tables.
    Last,
    /// Of an incremental snapshot, among the changes.
    Incremental,
}

/// 64 bits of some bytes (FNV-1a): the same in every version, since positions hold them. Never 0.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.max(1)
}

/// The decoder of a source: one per topic.
pub(crate) struct Decoder {
    topics: Vec<TopicDecoder>,
}

enum TopicDecoder {
    Debezium(Box<debezium::DebeziumDecoder>),
    Plain(Box<plain::PlainDecoder>),
    Transaction,
}

impl Decoder {
    /// Topics are numbered as in [`SourceSpec::topic_names`].
    pub(crate) fn new(spec: &SourceSpec) -> Decoder {
        let topics = spec
            .topic_names()
            .iter()
            .map(|topic| {
                let relation = spec
                    .relations
                    .iter()
                    .position(|relation| relation.topic == *topic);
                match (relation, spec.envelope) {
                    (None, _) => TopicDecoder::Transaction,
                    (Some(relation), Envelope::Debezium) => TopicDecoder::Debezium(Box::new(
                        debezium::DebeziumDecoder::new(spec, relation),
                    )),
                    (Some(relation), _) => {
                        TopicDecoder::Plain(Box::new(plain::PlainDecoder::new(spec, relation)))
                    }
                }
            })
            .collect();
        Decoder { topics }
    }

    /// A broken message of the transaction topic is an error: what would follow it cannot be told apart.
    pub(crate) fn decode(&mut self, message: Message<'_>) -> Result<Decoded, EvalError> {
        match self.topics.get_mut(message.topic as usize) {
            Some(TopicDecoder::Debezium(decoder)) => Ok(decoder.decode(message)),
            Some(TopicDecoder::Plain(decoder)) => Ok(Decoded::Change(decoder.decode(message))),
            Some(TopicDecoder::Transaction) => {
                Ok(transaction::decode(message.value)?.map_or(Decoded::Nothing, Decoded::Boundary))
            }
            None => Ok(Decoded::Nothing),
        }
    }

    /// The relation whose messages a topic holds.
    pub(crate) fn relation_of(&self, topic: TopicIndex) -> Option<usize> {
        match self.topics.get(topic as usize)? {
            TopicDecoder::Debezium(decoder) => Some(decoder.relation()),
            TopicDecoder::Plain(decoder) => Some(decoder.relation()),
            TopicDecoder::Transaction => None,
        }
    }
}

//! What a connector sends twice, told by where upstream it happened: for partitions whose changes are not gathered into transactions.
//!
//! Within a partition events come in the order of their positions, so one with a lower position than its predecessor is a repetition. At an equal position several
//! events may stand (both halves of a key change; the rows of one COPY record): those are told apart by operation and key.

use serde::{Deserialize, Serialize};

use crate::decode::{Change, Operation, UpstreamPosition, hash};

/// Events of one position that are told apart.
const SAME_POSITION_MAX: usize = 4096;

/// The position of a partition's newest event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newest {
    /// Postgres: the end of the last commit before the event. Binlog: the file's number.
    major: u64,
    /// Postgres: the event's LSN. Binlog: the place in the file.
    middle: u64,
    /// Binlog: the row.
    minor: u64,
    /// Postgres: the greatest LSN of all events.
    lsn_max: u64,
    /// Hashes of the events at this position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    same: Vec<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_set: bool,
}

impl Newest {
    /// Whether the change was seen before. Otherwise it is the newest now.
    pub(crate) fn is_repeated(&mut self, change: &Change) -> bool {
        let Some(position) = change.position else {
            return false;
        };
        if change.snapshot.is_some() {
            // A row read anew is never a repetition; if it lies before what was seen, the upstream's log began anew.
            if let UpstreamPosition::Postgres { lsn, .. } = position
                && lsn < self.lsn_max
            {
                *self = Newest::default();
            }
            if let UpstreamPosition::Binlog { file, position, .. } = position
                && (file, position) < (self.major, self.middle)
            {
                *self = Newest::default();
            }
            return false;
        }
        let (new, lsn) = match position {
            UpstreamPosition::Postgres {
                committed: Some(committed),
                lsn,
            } => ((committed, lsn, 0), lsn),
            // The connector knows no commit yet: it has just started. What lies beyond all that was seen is new.
            UpstreamPosition::Postgres {
                committed: None,
                lsn,
            } if !self.is_set || lsn > self.lsn_max => ((self.major, lsn, 0), lsn),
            UpstreamPosition::Postgres { lsn, .. } if lsn < self.lsn_max => return true,
            UpstreamPosition::Postgres { lsn, .. } => ((self.major, self.middle, 0), lsn),
            UpstreamPosition::Binlog {
                file,
                position,
                row,
            } => ((file, position, row), 0),
        };
        let old = (self.major, self.middle, self.minor);
        if self.is_set && new < old {
            return true;
        }
        if !self.is_set || new > old {
            (self.major, self.middle, self.minor) = new;
            self.lsn_max = self.lsn_max.max(lsn);
            self.is_set = true;
            self.same.clear();
        }
        let Some(own) = identity(change) else {
            return false;
        };
        if self.same.contains(&own) {
            return true;
        }
        if self.same.len() < SAME_POSITION_MAX {
            self.same.push(own);
        }
        false
    }
}

/// Tells events of one position apart; `None` if nothing does (rows without key, without transaction metadata).
fn identity(change: &Change) -> Option<u64> {
    let operation: u8 = match change.operation {
        Operation::Delete { .. } => 1,
        _ => 2,
    };
    let order = match (change.position, &change.transaction, change.key_hash) {
        // The row's number is in the position; the order in the transaction begins anew with each run of the connector.
        (Some(UpstreamPosition::Binlog { .. }), _, key) => key,
        (_, Some(transaction), _) if transaction.total_order > 0 => transaction.total_order as u64,
        (_, _, 0) => return None,
        (_, _, key) => key,
    };
    let mut bytes = [operation; 9];
    bytes[1..].copy_from_slice(&order.to_be_bytes());
    Some(hash(&bytes))
}

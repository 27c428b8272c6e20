//! Boundaries: the messages of the transaction topic, and what identifies a transaction.

use repr::{EvalError, SqlState};
use serde::{Deserialize, Serialize};

use super::row::utf8;
use super::value::bad_json;
use crate::json::{Elements, Fields, Token, field};

/// What identifies an upstream transaction. Postgres' `txId:LSN` has another LSN in each event: only the part before the colon is the transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum TransactionId {
    /// Postgres' transaction number. Numbers come again after 2^32 transactions.
    Postgres(u64),
    /// A global transaction id, or whatever the connector has.
    Other(Box<str>),
}

impl TransactionId {
    /// The transaction, and Postgres' LSN if it has one.
    pub(crate) fn parse(id: &str) -> (TransactionId, Option<u64>) {
        let (number, lsn) = match id.split_once(':') {
            Some((number, lsn)) => (number.parse().ok(), lsn.parse().ok()),
            None => (id.parse().ok(), None),
        };
        match (number, lsn) {
            (Some(number), Some(lsn)) => (TransactionId::Postgres(number), Some(lsn)),
            _ => (TransactionId::Other(id.into()), None),
        }
    }
}

impl std::fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TransactionId::Postgres(number) => write!(formatter, "{number}"),
            TransactionId::Other(id) => formatter.write_str(id),
        }
    }
}

/// A message of the transaction topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    Begin {
        id: TransactionId,
        /// Postgres: the first event's.
        lsn: Option<u64>,
    },
    End {
        id: TransactionId,
        /// Postgres: where the commit ends; grows strictly in commit order.
        lsn: Option<u64>,
        /// Events per upstream table.
        counts: Vec<(Box<str>, u64)>,
    },
}

/// A tombstone is `None`.
pub(super) fn decode(value: Option<&[u8]>) -> Result<Option<Boundary>, EvalError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let text = utf8(value)?;
    let object = match field(text, "payload").map_err(bad_json)? {
        Some(Token::Object(payload)) => payload,
        _ => text,
    };
    let wrong = |what: &str| {
        EvalError::new(
            SqlState::DATA_EXCEPTION,
            format!("a transaction boundary has no {what}"),
        )
    };
    let (mut status, mut id, mut collections) = (None, None, None);
    let mut fields = Fields::new(object).map_err(bad_json)?;
    while let Some((name, value)) = fields.next().map_err(bad_json)? {
        match name.raw {
            "status" => status = value.text(),
            "id" => id = value.text(),
            "data_collections" => collections = Some(value),
            _ => {}
        }
    }
    let (id, lsn) = TransactionId::parse(&id.ok_or_else(|| wrong("id"))?);
    match status.as_deref() {
        Some("BEGIN") => Ok(Some(Boundary::Begin { id, lsn })),
        Some("END") => {
            let mut counts = Vec::new();
            if let Some(Token::Array(list)) = collections {
                let mut elements = Elements::new(list).map_err(bad_json)?;
                while let Some(element) = elements.next().map_err(bad_json)? {
                    let object = element.object().ok_or_else(|| wrong("table"))?;
                    let table = field(object, "data_collection").map_err(bad_json)?;
                    let count = field(object, "event_count").map_err(bad_json)?;
                    let table = table.and_then(Token::text).ok_or_else(|| wrong("table"))?;
                    let count = count
                        .and_then(Token::integer)
                        .and_then(|count| u64::try_from(count).ok())
                        .ok_or_else(|| wrong("event count"))?;
                    counts.push((table.into(), count));
                }
            }
            Ok(Some(Boundary::End { id, lsn, counts }))
        }
        _ => Err(wrong("status")),
    }
}

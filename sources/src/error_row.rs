//! A message that could not become a row, as a row of the source's errors collection.

use repr::{CollectionId, ColumnType, Datum, EvalError, Row, Schema, SqlState, Type};
use std::borrow::Cow;

/// One message that could not be decoded or applied. Reads of `relation` fail while there is one; writing the message's key again retracts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorRow {
    pub relation: CollectionId,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The message's key as it arrived.
    pub key: Option<Vec<u8>>,
    pub code: SqlState,
    pub reason: String,
}

/// The columns of an errors collection, which [`ErrorRow::to_row`] fills.
pub fn errors_schema() -> Schema {
    Schema::new([
        ("relation", ColumnType::new(Type::Int8).not_null()),
        ("topic", ColumnType::new(Type::Text).not_null()),
        ("partition", ColumnType::new(Type::Int4).not_null()),
        ("offset", ColumnType::new(Type::Int8).not_null()),
        ("key", ColumnType::new(Type::Bytea)),
        ("code", ColumnType::new(Type::Text).not_null()),
        ("reason", ColumnType::new(Type::Text).not_null()),
    ])
}

impl ErrorRow {
    pub fn to_row(&self) -> Row {
        Row::pack([
            // Ids are counted from one: they do not come near the sign bit.
            Datum::Int8(self.relation.0 as i64),
            Datum::Text(&self.topic),
            Datum::Int4(self.partition),
            Datum::Int8(self.offset),
            self.key
                .as_deref()
                .map_or(Datum::Null, |key| Datum::Bytea(Cow::Borrowed(key))),
            Datum::Text(self.code.as_str()),
            Datum::Text(&self.reason),
        ])
    }

    /// What reads of the relation fail with while the row is there: it says where the message is and who must act.
    pub fn to_eval_error(&self) -> EvalError {
        EvalError::new(self.code, format!("message {}[{}]@{} could not be decoded: {}", self.topic, self.partition, self.offset, self.reason))
            .with_hint("Write the message's key again upstream (or delete it) to heal the relation; tm_catalog.tm_source_errors lists all such messages.")
    }

    /// The inverse of [`ErrorRow::to_row`]; `None` for a row of another shape.
    pub fn from_row(row: &Row) -> Option<ErrorRow> {
        let datums = row.unpack();
        let [
            Datum::Int8(relation),
            Datum::Text(topic),
            Datum::Int4(partition),
            Datum::Int8(offset),
            key,
            Datum::Text(code),
            Datum::Text(reason),
        ] = datums.as_slice()
        else {
            return None;
        };
        Some(ErrorRow {
            relation: CollectionId(*relation as u64),
            topic: (*topic).to_owned(),
            partition: *partition,
            offset: *offset,
            key: match key {
                Datum::Bytea(key) => Some(key.to_vec()),
                Datum::Null => None,
                _ => return None,
            },
            code: SqlState(code.as_bytes().try_into().ok()?),
            reason: (*reason).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_and_back() {
        for key in [None, Some(vec![0, 255, 7])] {
            let error = ErrorRow {
                relation: CollectionId(1 << 21),
                topic: "t".to_owned(),
                partition: 3,
                offset: 1 << 40,
                key,
                code: SqlState::INVALID_TEXT_REPRESENTATION,
                reason: "not JSON".to_owned(),
            };
            let row = error.to_row();
            assert_eq!(row.unpack().len(), errors_schema().arity());
            assert_eq!(ErrorRow::from_row(&row), Some(error));
        }
        assert_eq!(ErrorRow::from_row(&Row::empty()), None);
    }
}

//! ENVELOPE NONE and UPSERT: the message is the row.

use repr::{EvalError, RowBuilder};

use super::row::{KeyDecoder, RowDecoder, Surroundings, key_of, utf8};
use super::{Change, Operation, hash};
use crate::broker::Message;
use crate::spec::{Envelope, Format, SourceSpec};

pub(super) struct PlainDecoder {
    relation: usize,
    is_upsert: bool,
    formats: (Format, Format),
    rows: RowDecoder,
    keys: Option<KeyDecoder>,
    primary_key: Vec<usize>,
    builder: RowBuilder,
    scratch: RowBuilder,
    unavailable: Vec<usize>,
}

/// The text of an object in bytes of a format, if there can be one.
fn object(bytes: Option<&[u8]>, format: Format) -> Result<Option<&str>, EvalError> {
    match (bytes, format) {
        (Some(bytes), Format::Json) => utf8(bytes).map(Some),
        _ => Ok(None),
    }
}

impl PlainDecoder {
    pub(super) fn new(spec: &SourceSpec, relation: usize) -> PlainDecoder {
        let formats = (spec.key_format, spec.value_format);
        let own = &spec.relations[relation];
        PlainDecoder {
            relation,
            is_upsert: spec.envelope == Envelope::Upsert,
            formats,
            rows: RowDecoder::new(own, formats, &spec.options, false, None, None),
            keys: KeyDecoder::new(own, formats, &spec.options, false, None),
            primary_key: own.primary_key().to_vec(),
            builder: RowBuilder::new(),
            scratch: RowBuilder::new(),
            unavailable: Vec::new(),
        }
    }

    pub(super) fn relation(&self) -> usize {
        self.relation
    }

    pub(super) fn decode(&mut self, message: Message<'_>) -> Change {
        let operation = self.operation(message).unwrap_or_else(|error| {
            self.builder.clear();
            Operation::Broken(error)
        });
        let is_broken = matches!(operation, Operation::Broken(_));
        Change {
            relation: self.relation,
            key_hash: message.key.map_or(0, hash),
            key: message.key.filter(|_| is_broken).map(<[u8]>::to_vec),
            operation,
            ..Change::nothing()
        }
    }

    fn operation(&mut self, message: Message<'_>) -> Result<Operation, EvalError> {
        let mut surroundings = Surroundings {
            message,
            fields: None,
            key_fields: object(message.key, self.formats.0)?,
        };
        if self.is_upsert && message.key.is_none() {
            return Err(EvalError::new(
                repr::SqlState::NOT_NULL_VIOLATION,
                "ENVELOPE UPSERT needs a key, and the message has none",
            ));
        }
        if message.value.is_none() {
            // Nothing to append; and what UPSERT deletes only the key says.
            return match &mut self.keys {
                Some(keys) if self.is_upsert => Ok(Operation::Delete {
                    key: keys.decode(surroundings)?,
                    moves: false,
                }),
                _ => Ok(Operation::Nothing),
            };
        }
        surroundings.fields = object(message.value, self.formats.1)?;
        self.rows
            .decode(surroundings, &mut self.builder, &mut self.unavailable)?;
        if !self.is_upsert {
            return Ok(Operation::Append(self.builder.finish()));
        }
        Ok(Operation::Upsert {
            key: key_of(
                self.builder.as_bytes(),
                &self.primary_key,
                &mut self.scratch,
            ),
            row: self.builder.finish(),
            unavailable: Vec::new(),
            old_key: None,
            deletes_old: false,
        })
    }
}

//! Whole rows: the fields of an object, or what surrounds a message, into the columns of a relation in their order.

use repr::{Datum, EvalError, Row, RowBuilder, SqlState, SqlTimestamp, Type};
use std::borrow::Cow;

use super::connect::ConnectSchema;
use super::value::{ValueContext, ValueDecoder, bad_json};
use crate::broker::Message;
use crate::json::{Fields, Reader, Token};
use crate::spec::{ColumnOrigin, Format, RelationSpec, SourceOptions};

/// A column with all it takes to fill it.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    origin: ColumnOrigin,
    nullable: bool,
    /// Bytes and text need none; for them only the type counts.
    scalar: Type,
    decoder: ValueDecoder,
}

/// Decodes rows of one relation, written with one schema (or none).
#[derive(Debug)]
pub(crate) struct RowDecoder {
    columns: Vec<Column>,
    key_format: Format,
    value_format: Format,
    has_value_fields: bool,
    has_key_fields: bool,
    /// Emptied after each row; kept for its memory.
    tokens: Vec<Option<Token<'static>>>,
}

/// What of a message a row may need beside the object its fields are in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub message: Message<'a>,
    /// The object with the value's fields (Debezium: `after`), if the value is or has one.
    pub fields: Option<&'a str>,
    /// The key's object.
    pub key_fields: Option<&'a str>,
}

/// An empty vector of another lifetime in the same memory.
fn recycle<'a>(mut tokens: Vec<Option<Token<'_>>>) -> Vec<Option<Token<'a>>> {
    tokens.clear();
    tokens.into_iter().map(|_| None).collect()
}

impl RowDecoder {
    /// `schema` is the struct that the messages say their rows are; `None` if they do not.
    pub(crate) fn new(
        relation: &RelationSpec,
        formats: (Format, Format),
        options: &SourceOptions,
        is_debezium: bool,
        schema: Option<&ConnectSchema>,
        key_schema: Option<&ConnectSchema>,
    ) -> RowDecoder {
        let columns: Vec<Column> = relation
            .schema
            .columns
            .iter()
            .zip(&relation.origins)
            .map(|(column, origin)| {
                let meaning = match origin {
                    ColumnOrigin::Field(name) => schema.and_then(|schema| schema.field_named(name)),
                    ColumnOrigin::KeyField(name) => {
                        key_schema.and_then(|schema| schema.field_named(name))
                    }
                    _ => None,
                }
                .map(ConnectSchema::meaning);
                let is_unsigned = options.unsigned_bigint_columns.iter().any(|name| {
                    *name == column.name
                        || name.strip_suffix(column.name.as_str()).is_some_and(|rest| {
                            rest.strip_suffix('.') == Some(relation.upstream_name.as_str())
                        })
                });
                let context = ValueContext {
                    options,
                    is_debezium,
                    is_unsigned,
                };
                Column {
                    name: column.name.clone(),
                    origin: origin.clone(),
                    nullable: column.column_type.nullable,
                    scalar: column.column_type.scalar.clone(),
                    decoder: ValueDecoder::new(&column.column_type, meaning.as_ref(), context),
                }
            })
            .collect();
        let has = |is: fn(&ColumnOrigin) -> bool| columns.iter().any(|column| is(&column.origin));
        RowDecoder {
            has_value_fields: has(|origin| matches!(origin, ColumnOrigin::Field(_))),
            has_key_fields: has(|origin| matches!(origin, ColumnOrigin::KeyField(_))),
            columns,
            key_format: formats.0,
            value_format: formats.1,
            tokens: Vec::new(),
        }
    }

    /// Appends a row. Positions of columns whose value was not sent (an unchanged large value) go to `unavailable`; the row has NULL in their place.
    pub(crate) fn decode(
        &mut self,
        surroundings: Surroundings<'_>,
        out: &mut RowBuilder,
        unavailable: &mut Vec<usize>,
    ) -> Result<(), EvalError> {
        let mut tokens = recycle(std::mem::take(&mut self.tokens));
        tokens.resize(self.columns.len(), None);
        let result = self.decode_with(surroundings, &mut tokens, out, unavailable);
        self.tokens = recycle(tokens);
        result
    }

    fn decode_with<'a>(
        &self,
        surroundings: Surroundings<'a>,
        tokens: &mut [Option<Token<'a>>],
        out: &mut RowBuilder,
        unavailable: &mut Vec<usize>,
    ) -> Result<(), EvalError> {
        if self.has_value_fields {
            let Some(fields) = surroundings.fields else {
                return Err(EvalError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "the message's value is not a JSON object",
                ));
            };
            self.find(fields, false, tokens).map_err(bad_json)?;
        }
        if self.has_key_fields {
            let Some(fields) = surroundings.key_fields else {
                return Err(EvalError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "the message's key is not a JSON object",
                ));
            };
            self.find(fields, true, tokens).map_err(bad_json)?;
        }
        let start = out.len();
        for (position, (column, token)) in self.columns.iter().zip(tokens).enumerate() {
            let result = match (token, &column.origin) {
                (Some(token), _) if column.decoder.is_unavailable(*token) => {
                    unavailable.push(position);
                    out.push(Datum::Null);
                    Ok(())
                }
                (Some(token), _) => column.decoder.decode(*token, out),
                (None, ColumnOrigin::Field(_) | ColumnOrigin::KeyField(_)) if column.nullable => {
                    out.push(Datum::Null);
                    Ok(())
                }
                (None, ColumnOrigin::Field(_) | ColumnOrigin::KeyField(_)) => Err(EvalError::new(
                    SqlState::NOT_NULL_VIOLATION,
                    "the field is missing and the column is NOT NULL",
                )),
                (None, _) => self.surrounding(column, surroundings.message, out),
            };
            if let Err(error) = result {
                out.truncate(start);
                let message = format!("column \"{}\": {}", column.name, error.message());
                let named = EvalError::new(error.code(), message);
                return Err(match error.hint() {
                    Some(hint) => named.with_hint(hint),
                    None => named,
                });
            }
        }
        Ok(())
    }

    /// Finds the fields' values in one walk. Fields mostly come in the columns' order, so the search begins where the last one was found.
    fn find<'a>(
        &self,
        object: &'a str,
        in_key: bool,
        tokens: &mut [Option<Token<'a>>],
    ) -> Result<(), crate::json::JsonError> {
        let mut fields = Fields::new(object)?;
        let mut expected = 0;
        while let Some(name) = fields.name()? {
            let value = fields.value()?;
            let (before, after) = self.columns.split_at(expected.min(self.columns.len()));
            let is_it = |column: &Column| match &column.origin {
                ColumnOrigin::Field(own) => !in_key && name.is(own),
                ColumnOrigin::KeyField(own) => in_key && name.is(own),
                _ => false,
            };
            let found = after
                .iter()
                .position(is_it)
                .map(|position| position + expected)
                .or_else(|| before.iter().position(is_it));
            if let Some(position) = found {
                expected = position + 1;
                if let Some(token) = tokens.get_mut(position) {
                    *token = Some(value);
                }
            }
        }
        fields.finish()
    }

    /// A column that is not a field.
    fn surrounding(
        &self,
        column: &Column,
        message: Message<'_>,
        out: &mut RowBuilder,
    ) -> Result<(), EvalError> {
        match &column.origin {
            ColumnOrigin::Partition => out.push(Datum::Int4(message.partition)),
            ColumnOrigin::Offset => out.push(Datum::Int8(message.offset)),
            ColumnOrigin::Timestamp => {
                let datum = message
                    .timestamp_ms
                    .and_then(|milliseconds| milliseconds.checked_mul(1000))
                    .and_then(|micros| {
                        micros.checked_sub(repr::temporal::UNIX_TO_POSTGRES_EPOCH_MICROS)
                    })
                    .map_or(Datum::Null, |micros| Datum::Timestamp(SqlTimestamp(micros)));
                out.push(datum);
            }
            ColumnOrigin::Headers => return headers(message, out),
            ColumnOrigin::Value => {
                return whole(column, self.value_format, message.value, out);
            }
            ColumnOrigin::Key => return whole(column, self.key_format, message.key, out),
            ColumnOrigin::Field(_) | ColumnOrigin::KeyField(_) => out.push(Datum::Null),
        }
        Ok(())
    }
}

/// A whole key or value as one column.
fn whole(
    column: &Column,
    format: Format,
    bytes: Option<&[u8]>,
    out: &mut RowBuilder,
) -> Result<(), EvalError> {
    let Some(bytes) = bytes else {
        return column.decoder.decode(Token::Null, out);
    };
    match format {
        Format::Bytes if column.scalar == Type::Bytea => {
            out.push(Datum::Bytea(Cow::Borrowed(bytes)));
            Ok(())
        }
        Format::Bytes => Err(EvalError::new(
            SqlState::DATATYPE_MISMATCH,
            "FORMAT BYTES makes bytea",
        )),
        Format::Text => {
            let mut scratch = RowBuilder::new();
            repr::text::read(
                utf8(bytes)?,
                &column.scalar,
                &repr::text::TextContext::default(),
                &mut scratch,
            )?;
            out.push_encoded(scratch.as_bytes());
            Ok(())
        }
        Format::Json => {
            let mut reader = Reader::new(utf8(bytes)?);
            let token = reader.value().map_err(bad_json)?;
            reader.end().map_err(bad_json)?;
            column.decoder.decode(token, out)
        }
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, EvalError> {
    std::str::from_utf8(bytes).map_err(|error| {
        EvalError::new(
            SqlState(*b"22021"),
            format!(
                "invalid byte sequence for encoding \"UTF8\" at byte {}",
                error.valid_up_to()
            ),
        )
    })
}

fn headers(message: Message<'_>, out: &mut RowBuilder) -> Result<(), EvalError> {
    use base64::Engine;
    let list: Vec<serde_json::Value> = (0..)
        .map_while(|position| message.headers.header(position))
        .map(|(name, value)| {
            let value = value.map(|value| base64::engine::general_purpose::STANDARD.encode(value));
            serde_json::json!({ "key": name, "value": value })
        })
        .collect();
    let document = repr::JsonbBuf::from_serde(&serde_json::Value::Array(list))?;
    out.push(Datum::Jsonb(document.as_ref()));
    Ok(())
}

/// Decodes keys: the primary key's columns out of an object, in their canonical form.
#[derive(Debug)]
pub(crate) struct KeyDecoder {
    rows: RowDecoder,
    scratch: RowBuilder,
    unavailable: Vec<usize>,
}

impl KeyDecoder {
    /// `None` for a relation without primary key.
    pub(crate) fn new(
        relation: &RelationSpec,
        formats: (Format, Format),
        options: &SourceOptions,
        is_debezium: bool,
        schema: Option<&ConnectSchema>,
    ) -> Option<KeyDecoder> {
        let primary_key = relation.primary_key();
        if primary_key.is_empty() {
            return None;
        }
        let mut key = relation.clone();
        key.schema.columns = Vec::new();
        key.origins = Vec::new();
        for position in primary_key {
            let mut column = relation.schema.columns.get(*position)?.clone();
            column.column_type.nullable = false;
            key.schema.columns.push(column);
            key.origins.push(relation.origins.get(*position)?.clone());
        }
        Some(KeyDecoder {
            rows: RowDecoder::new(&key, formats, options, is_debezium, schema, schema),
            scratch: RowBuilder::new(),
            unavailable: Vec::new(),
        })
    }

    /// The key in an object of fields, be it a message's key or a row.
    pub(crate) fn decode(&mut self, surroundings: Surroundings<'_>) -> Result<Row, EvalError> {
        self.scratch.clear();
        self.unavailable.clear();
        self.rows
            .decode(surroundings, &mut self.scratch, &mut self.unavailable)?;
        let row = self.scratch.finish();
        for datum in row.iter() {
            self.scratch.push_canonical(datum);
        }
        Ok(self.scratch.finish())
    }
}

/// The key of a row: the columns at these positions, canonical.
pub(crate) fn key_of(row: &[u8], positions: &[usize], scratch: &mut RowBuilder) -> Row {
    scratch.clear();
    if let [position] = positions {
        if let Some(datum) = repr::RowRef::new(row).iter().nth(*position) {
            scratch.push_canonical(datum);
        }
        return scratch.finish();
    }
    let datums: Vec<Datum<'_>> = repr::RowRef::new(row).iter().collect();
    for datum in positions
        .iter()
        .filter_map(|position| datums.get(*position))
    {
        scratch.push_canonical(datum.clone());
    }
    scratch.finish()
}

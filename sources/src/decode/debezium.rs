//! Debezium's change events as JSON, with or without their schema.

use repr::{EvalError, Row, RowBuilder, SqlState};

use super::connect::ConnectSchema;
use super::row::{KeyDecoder, RowDecoder, Surroundings, key_of, utf8};
use super::transaction::TransactionId;
use super::value::bad_json;
use super::{Change, Decoded, InTransaction, Operation, Snapshot, UpstreamPosition, hash};
use crate::broker::Message;
use crate::json::{Elements, Fields, Reader, Token, field};
use crate::spec::{Format, RelationSpec, SourceOptions, SourceSpec};

/// Says on a delete that the row goes on under another key.
const NEW_KEY_HEADER: &str = "__debezium.newkey";
/// Says on a create which key the row had.
const OLD_KEY_HEADER: &str = "__debezium.oldkey";
/// Tells the connector's runs apart.
const RUN_HEADER: &str = "__debezium.context.runId";

pub(super) struct DebeziumDecoder {
    relation: usize,
    spec: RelationSpec,
    options: SourceOptions,
    /// For messages without a schema, and by the schema last seen.
    plain: Decoders,
    with_schema: Option<(String, Decoders)>,
    with_key_schema: Option<(String, KeyDecoders)>,
    plain_keys: KeyDecoders,
    builder: RowBuilder,
    scratch: RowBuilder,
    unavailable: Vec<usize>,
}

struct Decoders {
    rows: RowDecoder,
    /// The primary key out of a row's fields.
    keys: Option<KeyDecoder>,
}

/// The primary key out of a message's key.
type KeyDecoders = Option<KeyDecoder>;

/// The parts of a change event.
#[derive(Clone, Copy, Default)]
struct Event<'a> {
    schema: Option<&'a str>,
    payload: Option<Token<'a>>,
    before: Option<Token<'a>>,
    after: Option<Token<'a>>,
    source: Option<&'a str>,
    transaction: Option<&'a str>,
    operation: Option<&'a str>,
}

/// The parts of a change event's `source`.
#[derive(Default)]
struct Source<'a> {
    connector: &'a str,
    snapshot: Option<Snapshot>,
    position: Option<UpstreamPosition>,
}

impl Decoders {
    fn new(
        spec: &RelationSpec,
        options: &SourceOptions,
        schema: Option<&ConnectSchema>,
    ) -> Decoders {
        let formats = (Format::Json, Format::Json);
        Decoders {
            rows: RowDecoder::new(spec, formats, options, true, schema, None),
            keys: KeyDecoder::new(spec, formats, options, true, schema),
        }
    }
}

fn broken(code: SqlState, message: impl Into<String>) -> EvalError {
    EvalError::new(code, message)
}

/// What is on top of a message: the event itself, or its schema and payload.
fn read_event<'a>(text: &'a str, known_schema: &'a str) -> Result<Event<'a>, EvalError> {
    let mut event = Event::default();
    let mut fields = Fields::new(text).map_err(bad_json)?;
    while let Some(name) = fields.name().map_err(bad_json)? {
        if name.raw == "schema" && fields.skip_known(known_schema) {
            event.schema = Some(known_schema);
            continue;
        }
        let value = fields.value().map_err(bad_json)?;
        match name.raw {
            "schema" => event.schema = value.object(),
            "payload" => event.payload = Some(value),
            "before" => event.before = Some(value),
            "after" => event.after = Some(value),
            "source" => event.source = value.object(),
            "transaction" => event.transaction = value.object(),
            "op" => {
                event.operation = match value {
                    Token::Text(text) => Some(text.raw),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    fields.finish().map_err(bad_json)?;
    Ok(event)
}

fn read_source(text: &str) -> Result<Source<'_>, EvalError> {
    let mut source = Source::default();
    let (mut sequence, mut file, mut position, mut row) = (None, None, None, None);
    let mut fields = Fields::new(text).map_err(bad_json)?;
    while let Some((name, value)) = fields.next().map_err(bad_json)? {
        match (name.raw, value) {
            ("connector", Token::Text(text)) => source.connector = text.raw,
            ("snapshot", Token::Text(text)) => {
                source.snapshot = match text.raw {
                    "first" => Some(Snapshot::First),
                    "true" | "first_in_data_collection" => Some(Snapshot::Middle),
                    "last_in_data_collection" => Some(Snapshot::LastOfTable),
                    "last" => Some(Snapshot::Last),
                    "incremental" => Some(Snapshot::Incremental),
                    _ => None,
                };
            }
            ("snapshot", Token::Bool(true)) => source.snapshot = Some(Snapshot::Middle),
            ("sequence", Token::Text(text)) => sequence = text.get().ok(),
            ("file", Token::Text(text)) => file = Some(text.raw),
            ("pos", value) => position = value.integer(),
            ("row", value) => row = value.integer(),
            _ => {}
        }
    }
    let unsigned = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    source.position = match (&sequence, file) {
        (Some(sequence), _) => postgres_position(sequence),
        (None, Some(file)) => (|| {
            let number = file.rsplit('.').next()?.parse().ok()?;
            Some(UpstreamPosition::Binlog {
                file: number,
                position: unsigned(position)?,
                row: unsigned(row).unwrap_or(0),
            })
        })(),
        // An LSN alone is no position: transactions come in the order of their commits. Older connectors have nothing better.
        _ => None,
    };
    Ok(source)
}

/// `["<end of the last commit>","<lsn>"]`, either may be null.
fn postgres_position(sequence: &str) -> Option<UpstreamPosition> {
    let mut elements = Elements::new(sequence).ok()?;
    let committed = elements.next().ok()??.integer();
    let lsn = elements.next().ok()??.integer()?;
    Some(UpstreamPosition::Postgres {
        committed: committed.and_then(|committed| u64::try_from(committed).ok()),
        lsn: u64::try_from(lsn).ok()?,
    })
}

fn read_transaction(text: &str) -> Result<Option<InTransaction>, EvalError> {
    let id = field(text, "id").map_err(bad_json)?.and_then(Token::text);
    let order = field(text, "total_order").map_err(bad_json)?;
    Ok(id.map(|id| InTransaction {
        id: TransactionId::parse(&id).0,
        total_order: order.and_then(Token::integer).unwrap_or(0),
    }))
}

impl DebeziumDecoder {
    pub(super) fn new(spec: &SourceSpec, relation: usize) -> DebeziumDecoder {
        let own = spec.relations[relation].clone();
        let plain = Decoders::new(&own, &spec.options, None);
        let plain_keys = KeyDecoder::new(
            &own,
            (Format::Json, Format::Json),
            &spec.options,
            true,
            None,
        );
        DebeziumDecoder {
            relation,
            options: spec.options.clone(),
            plain,
            with_schema: None,
            with_key_schema: None,
            plain_keys,
            spec: own,
            builder: RowBuilder::new(),
            scratch: RowBuilder::new(),
            unavailable: Vec::new(),
        }
    }

    pub(super) fn relation(&self) -> usize {
        self.relation
    }

    pub(super) fn decode(&mut self, message: Message<'_>) -> Decoded {
        let mut change = Change {
            relation: self.relation,
            key_hash: message.key.map_or(0, hash),
            ..Change::nothing()
        };
        match self.fill(message, &mut change) {
            Ok(true) => {}
            Ok(false) => return Decoded::Nothing,
            Err(error) => {
                self.builder.clear();
                change.operation = Operation::Broken(error);
            }
        }
        let may_fail = match &change.operation {
            Operation::Broken(_) | Operation::Truncate => true,
            Operation::Upsert { unavailable, .. } => !unavailable.is_empty(),
            _ => false,
        };
        if may_fail {
            change.key = message.key.map(<[u8]>::to_vec);
        }
        Decoded::Change(change)
    }

    /// Fills what can be read, in an order that leaves as much as possible when something cannot. `false`: the message says nothing about rows.
    fn fill(&mut self, message: Message<'_>, change: &mut Change) -> Result<bool, EvalError> {
        let Some(value) = message.value else {
            if message.key.is_some() && self.plain.keys.is_some() {
                change.operation = Operation::Tombstone {
                    key: self.message_key(message)?,
                };
            }
            return Ok(true);
        };
        let text = utf8(value)?;
        let known = self
            .with_schema
            .as_mut()
            .map_or(String::new(), |(schema, _)| std::mem::take(schema));
        let result = self.fill_value(message, text, &known, change);
        if let Some((schema, _)) = &mut self.with_schema
            && schema.is_empty()
        {
            *schema = known;
        }
        result
    }

    fn fill_value(
        &mut self,
        message: Message<'_>,
        text: &str,
        known_schema: &str,
        change: &mut Change,
    ) -> Result<bool, EvalError> {
        let mut event = read_event(text, known_schema)?;
        let schema = match (event.payload, event.operation) {
            (Some(Token::Object(payload)), None) => {
                let schema = event.schema;
                event = read_event(payload, "")?;
                schema
            }
            (Some(Token::Null), None) => {
                if message.key.is_some() && self.plain.keys.is_some() {
                    change.operation = Operation::Tombstone {
                        key: self.message_key(message)?,
                    };
                }
                return Ok(true);
            }
            _ => None,
        };
        let source = event
            .source
            .map(read_source)
            .transpose()?
            .unwrap_or_default();
        change.snapshot = source.snapshot;
        change.position = source.position;
        if let Some(transaction) = event.transaction {
            change.transaction = read_transaction(transaction)?;
        }
        if change.transaction.is_some() || change.snapshot.is_some() {
            change.run = message.header(RUN_HEADER).map_or(0, hash);
        }
        if let Some(schema) = schema
            && schema != known_schema
        {
            self.learn(schema)?;
        }
        let operation = event.operation.ok_or_else(|| {
            broken(
                SqlState::DATA_EXCEPTION,
                "the message is no change event: it has no \"op\"",
            )
        })?;
        if operation != "r" {
            change.snapshot = None;
        } else if change.snapshot.is_none() {
            // A read row is of a snapshot, whatever the source block says.
            change.snapshot = Some(Snapshot::Incremental);
        }
        let has_schema = schema.is_some();
        change.operation = match operation {
            "c" | "r" => self.create(message, &event, has_schema)?,
            "u" => self.update(message, &event, &source, has_schema)?,
            "d" => self.delete(message, &event, &source, has_schema)?,
            "t" => Operation::Truncate,
            "m" => return Ok(false),
            _ => {
                return Err(broken(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("unknown operation \"{operation}\" of a change event"),
                ));
            }
        };
        Ok(true)
    }

    /// Makes decoders for a schema that differs from the last one.
    fn learn(&mut self, text: &str) -> Result<(), EvalError> {
        let schema: ConnectSchema = serde_json::from_str(text).map_err(|error| {
            broken(
                SqlState::DATA_EXCEPTION,
                format!("the message's schema cannot be read: {error}"),
            )
        })?;
        let row = schema.field_named("after").or(schema.field_named("before"));
        let decoders = Decoders::new(&self.spec, &self.options, row);
        self.with_schema = Some((text.to_owned(), decoders));
        Ok(())
    }

    fn decoders(&mut self, has_schema: bool) -> &mut Decoders {
        match &mut self.with_schema {
            Some((_, decoders)) if has_schema => decoders,
            _ => &mut self.plain,
        }
    }

    fn has_key(&self) -> bool {
        !self.spec.primary_key().is_empty()
    }

    fn create(
        &mut self,
        message: Message<'_>,
        event: &Event<'_>,
        has_schema: bool,
    ) -> Result<Operation, EvalError> {
        self.row(message, event.after, "after", has_schema)?;
        if !self.has_key() {
            self.refuse_unavailable()?;
            return Ok(Operation::Append(self.builder.finish()));
        }
        let old_key = match message.header(OLD_KEY_HEADER) {
            Some(bytes) => Some(self.key_in(message, utf8(bytes)?)?),
            None => None,
        };
        Ok(self.upsert(old_key, false))
    }

    fn update(
        &mut self,
        message: Message<'_>,
        event: &Event<'_>,
        source: &Source<'_>,
        has_schema: bool,
    ) -> Result<Operation, EvalError> {
        if !self.has_key() {
            let before = self.whole_before(message, event, source, has_schema)?;
            self.row(message, event.after, "after", has_schema)?;
            self.refuse_unavailable()?;
            let after = Some(self.builder.finish());
            return Ok(Operation::Exchange { before, after });
        }
        // Of `before` only the key can be trusted, and it is there only if it changed or all is.
        let before_key = match event.before {
            Some(Token::Object(before)) => self.key_of_fields(message, before, has_schema).ok(),
            _ => None,
        };
        self.row(message, event.after, "after", has_schema)?;
        let positions = self.spec.primary_key().to_vec();
        let key = key_of(self.builder.as_bytes(), &positions, &mut self.scratch);
        let old_key = before_key.filter(|before| *before != key);
        let deletes_old = old_key.is_some();
        Ok(self.upsert(old_key, deletes_old))
    }

    fn upsert(&mut self, old_key: Option<Row>, deletes_old: bool) -> Operation {
        let key = key_of(
            self.builder.as_bytes(),
            self.spec.primary_key(),
            &mut self.scratch,
        );
        Operation::Upsert {
            key,
            row: self.builder.finish(),
            unavailable: std::mem::take(&mut self.unavailable),
            old_key,
            deletes_old,
        }
    }

    fn delete(
        &mut self,
        message: Message<'_>,
        event: &Event<'_>,
        source: &Source<'_>,
        has_schema: bool,
    ) -> Result<Operation, EvalError> {
        if !self.has_key() {
            let before = self.whole_before(message, event, source, has_schema)?;
            return Ok(Operation::Exchange {
                before,
                after: None,
            });
        }
        let moves = message.header(NEW_KEY_HEADER).is_some();
        let key = match (message.key, event.before) {
            // What the message's key lacks may be in `before`, whose key columns are true.
            (Some(_), before) => self.message_key(message).or_else(|error| match before {
                Some(Token::Object(before)) => self.key_of_fields(message, before, has_schema),
                _ => Err(error),
            })?,
            (None, Some(Token::Object(before))) => {
                self.key_of_fields(message, before, has_schema)?
            }
            (None, _) => {
                return Err(broken(
                    SqlState::DATA_EXCEPTION,
                    "a delete has neither key nor \"before\": it does not say which row it means",
                ));
            }
        };
        Ok(Operation::Delete { key, moves })
    }

    /// The whole row before a change, for relations without key.
    fn whole_before(
        &mut self,
        message: Message<'_>,
        event: &Event<'_>,
        source: &Source<'_>,
        has_schema: bool,
    ) -> Result<Row, EvalError> {
        // These connectors refuse to work on a log without whole rows.
        let is_whole =
            self.options.replica_identity_full || matches!(source.connector, "mysql" | "mariadb");
        if !is_whole {
            return Err(broken(
                SqlState::FEATURE_NOT_SUPPORTED,
                "an update or delete of a relation without primary key needs the whole row before it",
            )
            .with_hint("Declare a PRIMARY KEY, or set REPLICA IDENTITY FULL upstream and add WITH (REPLICA IDENTITY FULL)."));
        }
        self.row(message, event.before, "before", has_schema)?;
        self.refuse_unavailable()?;
        Ok(self.builder.finish())
    }

    /// Decodes a row into the builder.
    fn row(
        &mut self,
        message: Message<'_>,
        token: Option<Token<'_>>,
        what: &str,
        has_schema: bool,
    ) -> Result<(), EvalError> {
        let Some(Token::Object(fields)) = token else {
            return Err(broken(
                SqlState::DATA_EXCEPTION,
                format!("a change event has no row in \"{what}\""),
            ));
        };
        self.builder.clear();
        self.unavailable.clear();
        let surroundings = Surroundings {
            message,
            fields: Some(fields),
            key_fields: None,
        };
        // Taken for the time of the call: decoders and buffers are both fields.
        let (mut builder, mut unavailable) = (
            std::mem::take(&mut self.builder),
            std::mem::take(&mut self.unavailable),
        );
        let result =
            self.decoders(has_schema)
                .rows
                .decode(surroundings, &mut builder, &mut unavailable);
        self.builder = builder;
        self.unavailable = unavailable;
        result
    }

    fn refuse_unavailable(&mut self) -> Result<(), EvalError> {
        if self.unavailable.is_empty() {
            return Ok(());
        }
        Err(unknown_old_value())
    }

    /// The primary key out of a row's fields.
    fn key_of_fields(
        &mut self,
        message: Message<'_>,
        fields: &str,
        has_schema: bool,
    ) -> Result<Row, EvalError> {
        decode_key(&mut self.decoders(has_schema).keys, message, fields)
    }

    /// The primary key out of the message's key.
    fn message_key(&mut self, message: Message<'_>) -> Result<Row, EvalError> {
        let bytes = message.key.unwrap_or(b"null");
        self.key_in(message, utf8(bytes)?)
    }

    /// The primary key out of a key's text, with or without its schema.
    fn key_in(&mut self, message: Message<'_>, text: &str) -> Result<Row, EvalError> {
        let schema = field(text, "schema").map_err(bad_json)?;
        let payload = field(text, "payload").map_err(bad_json)?;
        let (Some(Token::Object(schema)), Some(payload)) = (schema, payload) else {
            Reader::new(text).value().map_err(bad_json)?;
            return decode_key(&mut self.plain_keys, message, text);
        };
        let Token::Object(fields) = payload else {
            return Err(no_key());
        };
        if self
            .with_key_schema
            .as_ref()
            .is_none_or(|(known, _)| known != schema)
        {
            let parsed: ConnectSchema = serde_json::from_str(schema).map_err(|error| {
                broken(
                    SqlState::DATA_EXCEPTION,
                    format!("the key's schema cannot be read: {error}"),
                )
            })?;
            let formats = (Format::Json, Format::Json);
            let decoder = KeyDecoder::new(&self.spec, formats, &self.options, true, Some(&parsed));
            self.with_key_schema = Some((schema.to_owned(), decoder));
        }
        match &mut self.with_key_schema {
            Some((_, decoder)) => decode_key(decoder, message, fields),
            None => Err(no_key()),
        }
    }
}

fn decode_key(
    decoder: &mut Option<KeyDecoder>,
    message: Message<'_>,
    fields: &str,
) -> Result<Row, EvalError> {
    let decoder = decoder.as_mut().ok_or_else(no_key)?;
    decoder.decode(Surroundings {
        message,
        fields: Some(fields),
        key_fields: None,
    })
}

fn no_key() -> EvalError {
    broken(
        SqlState::DATA_EXCEPTION,
        "the message's key is not an object with the primary key's columns",
    )
}

/// Of a row whose large value was not sent, when nobody knows it.
pub(crate) fn unknown_old_value() -> EvalError {
    broken(
        SqlState::DATA_EXCEPTION,
        "the message leaves out a large value that did not change, and the row before it is not known",
    )
    .with_hint("Set REPLICA IDENTITY FULL upstream, or let the connector take a new snapshot.")
}

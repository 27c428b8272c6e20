//! The streaming definitions: connections, secrets, sources, sinks.

use sqlparser::tokenizer::Token;

use super::cursor::{Cursor, Parsed};
use super::{
    ConnectionKind, CreateConnection, CreateSecret, CreateSink, CreateSource, Envelope, Format,
    Include, IncludeKind, KafkaSource, OptionValue, SourceFormat, SourceKind, SourceTable,
    SourceTables, Statement, WithOption,
};

impl Cursor<'_, '_> {
    pub(super) fn create_connection(&mut self) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        self.expect(&["to"])?;
        let kind = if self.take(&["kafka"]) {
            ConnectionKind::Kafka
        } else if self.take(&["confluent", "schema", "registry"]) {
            ConnectionKind::ConfluentSchemaRegistry
        } else if self.take(&["postgres"]) {
            ConnectionKind::Postgres
        } else if self.take(&["mysql"]) {
            ConnectionKind::MySql
        } else {
            ConnectionKind::Other(self.words()?)
        };
        let options = self.options()?;
        Ok(Statement::CreateConnection(CreateConnection {
            name,
            if_not_exists,
            kind,
            options,
        }))
    }

    pub(super) fn create_secret(&mut self) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        self.expect(&["as"])?;
        let value = self.expression()?;
        Ok(Statement::CreateSecret(CreateSecret {
            name,
            if_not_exists,
            value,
        }))
    }

    /// One or more words, in upper case.
    fn words(&mut self) -> Parsed<String> {
        let mut words = vec![self.identifier()?.value.to_ascii_uppercase()];
        while let Token::Word(word) = self.peek(0) {
            words.push(word.value.to_ascii_uppercase());
            self.next();
        }
        Ok(words.join(" "))
    }

    pub(super) fn create_source(&mut self) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let columns = match self.peek(0) {
            Token::LParen => Some(self.column_list()?),
            _ => None,
        };
        self.expect(&["from"])?;
        let kind = self.source_kind()?;
        let mut source = CreateSource {
            name,
            if_not_exists,
            columns,
            kind,
            format: None,
            include: Vec::new(),
            envelope: None,
            tables: None,
            with: Vec::new(),
        };
        // The clauses are accepted in any order, each once.
        loop {
            if source.format.is_none() && (self.at(&["format"]) || self.at(&["key", "format"])) {
                source.format = self.source_format()?;
            } else if source.include.is_empty() && self.take(&["include"]) {
                source.include = self.list(Self::include)?;
            } else if source.envelope.is_none() && self.take(&["envelope"]) {
                source.envelope = Some(self.envelope()?);
            } else if source.tables.is_none() && self.take(&["for"]) {
                source.tables = Some(self.source_tables()?);
            } else if source.with.is_empty() && self.take(&["with"]) {
                source.with = self.options()?;
            } else if matches!(source.kind, SourceKind::Other { .. }) && !self.at_end() {
                // What such a source may say more (BODY FORMAT, CHECK (...)) is not read yet.
                self.skip_rest();
            } else {
                return Ok(Statement::CreateSource(source));
            }
        }
    }

    fn source_kind(&mut self) -> Parsed<SourceKind> {
        if self.take(&["kafka", "connection"]) {
            return Ok(SourceKind::Kafka(self.kafka_source()?));
        }
        const KINDS: &[&[&str]] = &[
            &["postgres"],
            &["mysql"],
            &["webhook"],
            &["file"],
            &["load", "generator"],
        ];
        let Some(words) = KINDS.iter().find(|words| self.take(words)) else {
            return self.unexpected();
        };
        let mut kind = words.join(" ").to_ascii_uppercase();
        let mut connection = None;
        let mut options = Vec::new();
        match *words {
            ["load", "generator"] => {
                kind = format!("{kind} {}", self.identifier()?.value.to_ascii_uppercase());
                if self.take(&["value"]) {
                    kind.push_str(" VALUE");
                }
            }
            ["file"] => options.push(WithOption {
                name: "PATH".to_owned(),
                value: Some(OptionValue::Text(self.string()?)),
            }),
            _ if self.take(&["connection"]) => connection = Some(self.name()?),
            ["webhook"] => {}
            _ => return self.unexpected(),
        }
        if matches!(self.peek(0), Token::LParen) {
            options.extend(self.options()?);
        }
        Ok(SourceKind::Other {
            kind,
            connection,
            options,
        })
    }

    fn kafka_source(&mut self) -> Parsed<KafkaSource> {
        let mut kafka = KafkaSource {
            connection: self.name()?,
            topic: None,
            topic_prefix: None,
            transaction_topic: None,
            start_offsets: Vec::new(),
            start_timestamp_ms: None,
            other: Vec::new(),
        };
        for option in self.options()? {
            let integers = option.integers();
            match (option.name.as_str(), option.text(), integers.as_deref()) {
                ("TOPIC", Some(topic), _) => kafka.topic = Some(topic),
                ("TOPIC PREFIX", Some(prefix), _) => kafka.topic_prefix = Some(prefix),
                ("TRANSACTION TOPIC", Some(topic), _) => kafka.transaction_topic = Some(topic),
                ("START OFFSET", _, Some(offsets)) => kafka.start_offsets = offsets.to_vec(),
                ("START TIMESTAMP", _, Some([timestamp])) => {
                    kafka.start_timestamp_ms = Some(*timestamp);
                }
                ("TOPIC" | "TOPIC PREFIX" | "TRANSACTION TOPIC", ..) => {
                    return self.refuse("22023", format!("{} requires a string", option.name));
                }
                ("START OFFSET" | "START TIMESTAMP", ..) => {
                    let message = format!("{} requires whole numbers", option.name);
                    return self.refuse("22023", message);
                }
                _ => kafka.other.push(option),
            }
        }
        Ok(kafka)
    }

    fn source_format(&mut self) -> Parsed<Option<SourceFormat>> {
        if self.take(&["key", "format"]) {
            let key = self.format()?;
            self.expect(&["value", "format"])?;
            return Ok(Some(SourceFormat::KeyValue {
                key,
                value: self.format()?,
            }));
        }
        self.expect(&["format"])?;
        Ok(Some(SourceFormat::Both(self.format()?)))
    }

    fn format(&mut self) -> Parsed<Format> {
        Ok(
            match self.take_one_of(&["json", "text", "bytes", "avro", "csv"]) {
                Some("json") => Format::Json,
                Some("text") => Format::Text,
                Some("bytes") => Format::Bytes,
                Some("avro") => {
                    self.expect(&["using", "confluent", "schema", "registry", "connection"])?;
                    let registry = self.name()?;
                    Format::Avro {
                        registry,
                        options: self.optional_options()?,
                    }
                }
                Some(_) => self.csv()?,
                None => {
                    let name = self.identifier()?.value.to_ascii_uppercase();
                    let using =
                        self.take(&["using", "confluent", "schema", "registry", "connection"]);
                    let registry = if using { Some(self.name()?) } else { None };
                    Format::Other {
                        name,
                        registry,
                        options: self.optional_options()?,
                    }
                }
            },
        )
    }

    fn optional_options(&mut self) -> Parsed<Vec<WithOption>> {
        match self.peek(0) {
            Token::LParen => self.options(),
            _ => Ok(Vec::new()),
        }
    }

    fn csv(&mut self) -> Parsed<Format> {
        let (mut columns, mut header, mut names, mut delimiter) = (None, false, Vec::new(), None);
        if self.take(&["with", "header"]) {
            header = true;
            if matches!(self.peek(0), Token::LParen) {
                names = self.parenthesized(Self::identifier)?;
            }
        } else if self.take(&["with"]) {
            columns = Some(self.integer()?);
            self.expect(&["columns"])?;
        }
        if self.take(&["delimited", "by"]) {
            delimiter = Some(self.string()?);
        }
        Ok(Format::Csv {
            columns,
            header,
            names,
            delimiter,
        })
    }

    fn include(&mut self) -> Parsed<Include> {
        const KINDS: &[(&str, IncludeKind)] = &[
            ("key", IncludeKind::Key),
            ("partition", IncludeKind::Partition),
            ("offset", IncludeKind::Offset),
            ("timestamp", IncludeKind::Timestamp),
            ("headers", IncludeKind::Headers),
        ];
        let Some((_, what)) = KINDS.iter().find(|(word, _)| self.take(&[word])) else {
            return self.unexpected();
        };
        let alias = if self.take(&["as"]) {
            Some(self.identifier()?)
        } else {
            None
        };
        Ok(Include { what: *what, alias })
    }

    fn envelope(&mut self) -> Parsed<Envelope> {
        Ok(match self.take_one_of(&["none", "upsert", "debezium"]) {
            Some("none") => Envelope::None,
            Some("debezium") => Envelope::Debezium,
            Some(_) => {
                let mut inline = false;
                if self.take_token(&Token::LParen) {
                    self.expect(&["value", "decoding", "errors"])?;
                    self.take_token(&Token::Eq);
                    let parenthesis = self.take_token(&Token::LParen);
                    self.expect(&["inline"])?;
                    if parenthesis {
                        self.expect_token(&Token::RParen)?;
                    }
                    self.expect_token(&Token::RParen)?;
                    inline = true;
                }
                Envelope::Upsert {
                    value_decoding_errors_inline: inline,
                }
            }
            None => Envelope::Other(self.identifier()?.value.to_ascii_uppercase()),
        })
    }

    fn source_tables(&mut self) -> Parsed<SourceTables> {
        if self.take(&["all", "tables"]) {
            return Ok(SourceTables::All);
        }
        if self.take(&["schemas"]) {
            return Ok(SourceTables::Schemas(self.parenthesized(Self::identifier)?));
        }
        self.expect(&["tables"])?;
        let tables = self.parenthesized(|cursor| {
            let upstream = cursor.name()?;
            let alias = if cursor.take(&["as"]) {
                Some(cursor.name()?)
            } else {
                None
            };
            let columns = match cursor.peek(0) {
                Token::LParen => Some(cursor.column_list()?),
                _ => None,
            };
            Ok(SourceTable {
                upstream,
                alias,
                columns,
            })
        })?;
        Ok(SourceTables::Tables(tables))
    }

    pub(super) fn create_sink(&mut self) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        self.expect(&["from"])?;
        let from = self.name()?;
        self.expect(&["into"])?;
        let kind = self.identifier()?.value.to_ascii_uppercase();
        let connection = if self.take(&["connection"]) {
            Some(self.name()?)
        } else {
            None
        };
        let mut sink = CreateSink {
            name,
            if_not_exists,
            from,
            kind,
            connection,
            options: self.optional_options()?,
            key: Vec::new(),
            format: None,
            envelope: None,
            with: Vec::new(),
        };
        loop {
            if sink.format.is_none() && (self.at(&["format"]) || self.at(&["key", "format"])) {
                sink.format = self.source_format()?;
            } else if sink.key.is_empty() && self.take(&["key"]) {
                sink.key = self.parenthesized(Self::identifier)?;
            } else if sink.envelope.is_none() && self.take(&["envelope"]) {
                sink.envelope = Some(self.envelope()?);
            } else if sink.with.is_empty() && self.take(&["with"]) {
                sink.with = self.options()?;
            } else {
                return Ok(Statement::CreateSink(sink));
            }
        }
    }
}

impl WithOption {
    /// The value as whole numbers: one, or a list of them.
    fn integers(&self) -> Option<Vec<i64>> {
        let number = |value: &OptionValue| match value {
            OptionValue::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        match self.value.as_ref()? {
            OptionValue::List(values) => values.iter().map(number).collect(),
            single => Some(vec![number(single)?]),
        }
    }
}

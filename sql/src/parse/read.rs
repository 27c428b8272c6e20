//! Reading: queries, `SUBSCRIBE`, `COPY`, cursors, prepared statements, `EXPLAIN`.

use sqlparser::tokenizer::Token;

use super::cursor::{Cursor, Parsed};
use super::lex::AS_OF_MARK;
use super::{
    AsOf, CopyFrom, CopyOptions, CopyPlace, CopySource, CopyTo, Declare, Explain, ExplainFormat,
    ExplainStage, ExplainTarget, Fetch, FetchDirection, OptionValue, QueryBody, RecursiveBinding,
    Select, Statement, Subscribe, SubscribeEnvelope, SubscribeRelation, WithOption, ast,
};

impl Cursor<'_, '_> {
    pub(super) fn select_statement(&mut self) -> Parsed<Statement> {
        Ok(Statement::Select(self.select()?))
    }

    fn select(&mut self) -> Parsed<Select> {
        let body = self.query_body()?;
        let as_of = self.as_of()?;
        Ok(Select { body, as_of })
    }

    pub(super) fn query_body(&mut self) -> Parsed<QueryBody> {
        let mut mutually_recursive = Vec::new();
        if self.take(&["with", "mutually", "recursive"]) {
            mutually_recursive = self.list(Self::recursive_binding)?;
        } else if !matches!(self.peek(0), Token::LParen)
            && !["select", "values", "with"]
                .iter()
                .any(|word| self.at(&[word]))
        {
            return self.unexpected();
        }
        Ok(QueryBody {
            mutually_recursive,
            query: self.query()?,
        })
    }

    fn recursive_binding(&mut self) -> Parsed<RecursiveBinding> {
        let name = self.identifier()?;
        let columns =
            self.parenthesized(|cursor| Ok((cursor.identifier()?, cursor.data_type()?)))?;
        self.expect(&["as"])?;
        self.expect_token(&Token::LParen)?;
        let query = self.query()?;
        self.expect_token(&Token::RParen)?;
        Ok(RecursiveBinding {
            name,
            columns,
            query,
        })
    }

    fn as_of(&mut self) -> Parsed<Option<AsOf>> {
        if !self.take_token(&AS_OF_MARK) {
            return Ok(None);
        }
        let at_least = self.take(&["at", "least"]);
        Ok(Some(AsOf {
            at_least,
            moment: self.expression()?,
        }))
    }

    pub(super) fn subscribe(&mut self) -> Parsed<Subscribe> {
        if self.take_one_of(&["subscribe", "tail"]).is_none() {
            return self.unexpected();
        }
        self.take(&["to"]);
        let relation = if self.take_token(&Token::LParen) {
            let body = self.query_body()?;
            self.expect_token(&Token::RParen)?;
            SubscribeRelation::Query(body)
        } else {
            SubscribeRelation::Object(self.name()?)
        };
        let mut subscribe = Subscribe {
            relation,
            envelope: SubscribeEnvelope::None,
            snapshot: true,
            progress: false,
            with: Vec::new(),
            as_of: None,
            up_to: None,
        };
        // The clauses are accepted in any order, each once.
        loop {
            if subscribe.envelope == SubscribeEnvelope::None && self.take(&["envelope"]) {
                subscribe.envelope = self.subscribe_envelope()?;
            } else if subscribe.envelope == SubscribeEnvelope::None
                && self.take(&["within", "timestamp", "order", "by"])
            {
                let keys =
                    self.list(|cursor| cursor.library(|parser| parser.parse_order_by_expr()))?;
                subscribe.envelope = SubscribeEnvelope::WithinTimestampOrderBy(keys);
            } else if self.take(&["with"]) {
                for option in self.options()? {
                    match (option.name.as_str(), option.truth()) {
                        ("SNAPSHOT", Some(snapshot)) => subscribe.snapshot = snapshot,
                        ("PROGRESS", Some(progress)) => subscribe.progress = progress,
                        ("SNAPSHOT" | "PROGRESS", None) => {
                            let name = option.name.to_ascii_lowercase();
                            return self
                                .refuse("22023", format!("{name} requires a Boolean value"));
                        }
                        _ => subscribe.with.push(option),
                    }
                }
            } else if subscribe.as_of.is_none() && *self.peek(0) == AS_OF_MARK {
                subscribe.as_of = self.as_of()?;
            } else if subscribe.up_to.is_none() && self.take(&["up", "to"]) {
                subscribe.up_to = Some(self.expression()?);
            } else {
                return Ok(subscribe);
            }
        }
    }

    fn subscribe_envelope(&mut self) -> Parsed<SubscribeEnvelope> {
        let word = self.take_one_of(&["upsert", "debezium", "none"]);
        if word == Some("none") {
            return Ok(SubscribeEnvelope::None);
        }
        let Some(word) = word else {
            return self.unexpected();
        };
        self.expect_token(&Token::LParen)?;
        self.expect(&["key"])?;
        let key = self.parenthesized(Self::identifier)?;
        self.expect_token(&Token::RParen)?;
        Ok(match word {
            "upsert" => SubscribeEnvelope::Upsert { key },
            _ => SubscribeEnvelope::Debezium { key },
        })
    }

    pub(super) fn copy(&mut self) -> Parsed<Statement> {
        self.expect(&["copy"])?;
        let what = if self.take_token(&Token::LParen) {
            let what = if self.at(&["subscribe"]) || self.at(&["tail"]) {
                CopySource::Subscribe(self.subscribe()?)
            } else if self.at(&["insert"]) || self.at(&["update"]) || self.at(&["delete"]) {
                self.skip_rest();
                return Ok(Statement::Unsupported {
                    what: "COPY of a data change".to_owned(),
                });
            } else {
                CopySource::Query(self.select()?)
            };
            self.expect_token(&Token::RParen)?;
            what
        } else {
            let name = self.name()?;
            let columns = if matches!(self.peek(0), Token::LParen) {
                self.parenthesized(Self::identifier)?
            } else {
                Vec::new()
            };
            CopySource::Table { name, columns }
        };
        let from = match (self.take_one_of(&["from", "to"]), &what) {
            (Some("from"), CopySource::Table { .. }) => true,
            (Some("to"), _) => false,
            _ => return self.unexpected(),
        };
        let place = if self.take(&[if from { "stdin" } else { "stdout" }]) {
            CopyPlace::Client
        } else if self.take(&["program"]) {
            CopyPlace::Program(self.string()?)
        } else {
            CopyPlace::File(self.string()?)
        };
        let options = self.copy_options()?;
        if from && self.at(&["where"]) {
            self.skip_rest();
            return Ok(Statement::Unsupported {
                what: "COPY FROM ... WHERE".to_owned(),
            });
        }
        Ok(match what {
            CopySource::Table { name, columns } if from => Statement::CopyFrom(CopyFrom {
                table: name,
                columns,
                place,
                options,
            }),
            what => Statement::CopyTo(CopyTo {
                what,
                place,
                options,
            }),
        })
    }

    /// `[WITH] (FORMAT csv, ...)`, or the words of Postgres before 9.0: `WITH CSV HEADER`.
    fn copy_options(&mut self) -> Parsed<CopyOptions> {
        let mut options = CopyOptions::default();
        self.take(&["with"]);
        if !matches!(self.peek(0), Token::LParen) {
            while let Some(word) = self.take_one_of(&[
                "binary",
                "csv",
                "header",
                "delimiter",
                "delimiters",
                "null",
                "quote",
                "escape",
                "encoding",
            ]) {
                self.take(&["as"]);
                match word {
                    "binary" | "csv" => options.format = Some(word.to_owned()),
                    "header" => options.header = Some(true),
                    "delimiter" | "delimiters" => options.delimiter = Some(self.string()?),
                    "null" => options.null = Some(self.string()?),
                    "quote" => options.quote = Some(self.string()?),
                    "escape" => options.escape = Some(self.string()?),
                    _ => options.encoding = Some(self.string()?),
                }
            }
            return Ok(options);
        }
        for option in self.options()? {
            let text = option.text();
            match (option.name.as_str(), text) {
                ("FORMAT", Some(text)) => options.format = Some(text.to_ascii_lowercase()),
                ("DELIMITER", Some(text)) => options.delimiter = Some(text),
                ("NULL", Some(text)) => options.null = Some(text),
                ("QUOTE", Some(text)) => options.quote = Some(text),
                ("ESCAPE", Some(text)) => options.escape = Some(text),
                ("ENCODING", Some(text)) => options.encoding = Some(text),
                ("HEADER", _) if option.truth().is_some() => options.header = option.truth(),
                (name, _) => options.other.push(name.to_ascii_lowercase()),
            }
        }
        Ok(options)
    }

    pub(super) fn declare(&mut self) -> Parsed<Statement> {
        self.expect(&["declare"])?;
        let name = self.identifier()?;
        let (mut binary, mut scroll) = (false, None);
        loop {
            if self.take(&["binary"]) {
                binary = true;
            } else if self.take(&["no", "scroll"]) {
                scroll = Some(false);
            } else if self.take(&["scroll"]) {
                scroll = Some(true);
            } else if !self.take(&["insensitive"]) && !self.take(&["asensitive"]) {
                break;
            }
        }
        self.expect(&["cursor"])?;
        let hold = self.take(&["with", "hold"]);
        if !hold {
            self.take(&["without", "hold"]);
        }
        self.expect(&["for"])?;
        let from = self.index();
        let inner = if self.at(&["subscribe"]) || self.at(&["tail"]) {
            Statement::Subscribe(self.subscribe()?)
        } else {
            self.select_statement()?
        };
        let text = self.text(from, self.index());
        Ok(Statement::Declare(Declare {
            name,
            binary,
            hold,
            scroll,
            inner: Box::new(inner),
            text,
        }))
    }

    /// `FETCH` or `MOVE`.
    pub(super) fn fetch(&mut self) -> Parsed<Fetch> {
        self.next();
        let direction = self.fetch_direction()?;
        let _ = self.take_one_of(&["from", "in"]);
        let cursor = self.identifier()?;
        let with = if self.take(&["with"]) {
            self.options()?
        } else {
            Vec::new()
        };
        Ok(Fetch {
            direction,
            cursor,
            with,
        })
    }

    fn fetch_direction(&mut self) -> Parsed<FetchDirection> {
        // A cursor may be called by any of these words: then nothing follows that could be its name.
        let names_cursor = matches!(self.peek(1), Token::EOF) || self.word_is(1, "with");
        if names_cursor && !matches!(self.peek(0), Token::Number(..) | Token::Minus) {
            return Ok(FetchDirection::Forward(1));
        }
        const WORDS: &[&str] = &[
            "next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward",
        ];
        Ok(match self.take_one_of(WORDS) {
            Some("next") => FetchDirection::Forward(1),
            Some("prior") => FetchDirection::Backward(1),
            Some("first") => FetchDirection::Absolute(1),
            Some("last") => FetchDirection::Absolute(-1),
            Some("absolute") => FetchDirection::Absolute(self.integer()?),
            Some("relative") => FetchDirection::Relative(self.integer()?),
            Some("all") => FetchDirection::ForwardAll,
            Some("forward") if self.take(&["all"]) => FetchDirection::ForwardAll,
            Some("forward") => FetchDirection::Forward(self.optional_count()?),
            Some("backward") if self.take(&["all"]) => FetchDirection::BackwardAll,
            Some("backward") => FetchDirection::Backward(self.optional_count()?),
            _ => FetchDirection::Forward(self.optional_count()?),
        })
    }

    fn optional_count(&mut self) -> Parsed<i64> {
        match self.peek(0) {
            Token::Number(..) | Token::Minus | Token::Plus => self.integer(),
            _ => Ok(1),
        }
    }

    pub(super) fn close(&mut self) -> Parsed<Statement> {
        self.expect(&["close"])?;
        let name = if self.take(&["all"]) {
            None
        } else {
            Some(self.identifier()?)
        };
        Ok(Statement::Close { name })
    }

    pub(super) fn prepare(&mut self) -> Parsed<Statement> {
        if self.at(&["prepare", "transaction"]) {
            return Ok(self.unsupported(2));
        }
        self.expect(&["prepare"])?;
        let name = self.identifier()?;
        let types = if matches!(self.peek(0), Token::LParen) {
            self.parenthesized(Self::data_type)?
        } else {
            Vec::new()
        };
        self.expect(&["as"])?;
        let from = self.index();
        let inner = Box::new(self.inner_statement()?);
        let text = self.text(from, self.index());
        Ok(Statement::Prepare {
            name,
            types,
            inner,
            text,
        })
    }

    pub(super) fn execute(&mut self) -> Parsed<Statement> {
        self.expect(&["execute"])?;
        let name = self.identifier()?;
        let arguments = if matches!(self.peek(0), Token::LParen) {
            self.parenthesized(Self::expression)?
        } else {
            Vec::new()
        };
        Ok(Statement::Execute { name, arguments })
    }

    pub(super) fn deallocate(&mut self) -> Parsed<Statement> {
        self.expect(&["deallocate"])?;
        self.take(&["prepare"]);
        let name = if self.take(&["all"]) {
            None
        } else {
            Some(self.identifier()?)
        };
        Ok(Statement::Deallocate { name })
    }

    pub(super) fn explain(&mut self) -> Parsed<Statement> {
        self.expect(&["explain"])?;
        let mut explain = Explain {
            stage: ExplainStage::Default,
            format: ExplainFormat::Text,
            options: Vec::new(),
            target: ExplainTarget::Statement(Box::new(Statement::Unsupported {
                what: String::new(),
            })),
        };
        // `EXPLAIN (SELECT ...)` and `EXPLAIN (FORMAT JSON) ...` both begin with a parenthesis.
        let query_follows = ["select", "values", "with"]
            .iter()
            .any(|word| self.word_is(1, word))
            || matches!(self.peek(1), Token::LParen);
        if matches!(self.peek(0), Token::LParen) && !query_follows {
            for option in self.options()? {
                self.explain_option(&mut explain, option)?;
            }
        } else {
            if self.take(&["analyze"]) {
                explain.stage = ExplainStage::Analyze;
            }
            if self.take(&["verbose"]) {
                explain.options.push("verbose".to_owned());
            }
        }
        const STAGES: &[(&str, ExplainStage)] = &[
            ("raw", ExplainStage::Raw),
            ("decorrelated", ExplainStage::Decorrelated),
            ("optimized", ExplainStage::Optimized),
            ("physical", ExplainStage::Physical),
            ("timestamp", ExplainStage::Timestamp),
        ];
        if let Some((_, stage)) = STAGES.iter().find(|(word, _)| self.take(&[word])) {
            explain.stage = *stage;
            let plan = self.take(&["plan"]);
            self.explain_format(&mut explain)?;
            // `FOR` may be left out before nothing but the plan's name.
            if !self.take(&["for"]) && !plan {
                return self.unexpected();
            }
        } else {
            self.take(&["plan"]);
            self.explain_format(&mut explain)?;
            self.take(&["for"]);
        }
        let kind_follows = ["view", "materialized", "index"]
            .iter()
            .any(|word| self.at(&[word]));
        explain.target = match kind_follows.then(|| self.object_kind()).flatten() {
            Some(kind) => ExplainTarget::Object {
                kind,
                name: self.name()?,
            },
            None => ExplainTarget::Statement(Box::new(self.inner_statement()?)),
        };
        Ok(Statement::Explain(explain))
    }

    fn explain_format(&mut self, explain: &mut Explain) -> Parsed<()> {
        if self.take(&["as"]) {
            explain.format = match self.take_one_of(&["text", "json"]) {
                Some("text") => ExplainFormat::Text,
                Some(_) => ExplainFormat::Json,
                None => return self.unexpected(),
            };
        }
        Ok(())
    }

    fn explain_option(&self, explain: &mut Explain, option: WithOption) -> Parsed<()> {
        let name = option.name.to_ascii_lowercase();
        match name.as_str() {
            "analyze" if option.truth() == Some(true) => explain.stage = ExplainStage::Analyze,
            "format" => {
                let format = option.text().unwrap_or_default().to_ascii_lowercase();
                explain.format = match format.as_str() {
                    "text" => ExplainFormat::Text,
                    "json" => ExplainFormat::Json,
                    _ => {
                        return self.refuse(
                            "22023",
                            format!(
                                "unrecognized value for EXPLAIN option \"format\": \"{format}\""
                            ),
                        );
                    }
                };
            }
            "analyze" => {}
            "verbose" | "costs" | "settings" | "buffers" | "wal" | "timing" | "summary" => {
                explain.options.push(name);
            }
            _ => return self.refuse("42601", format!("unrecognized EXPLAIN option \"{name}\"")),
        }
        Ok(())
    }

    /// `(name [=] value, ...)`.
    pub(super) fn options(&mut self) -> Parsed<Vec<WithOption>> {
        if matches!((self.peek(0), self.peek(1)), (Token::LParen, Token::RParen)) {
            self.next();
            self.next();
            return Ok(Vec::new());
        }
        self.parenthesized(Self::option)
    }

    fn option(&mut self) -> Parsed<WithOption> {
        let mut name = Vec::new();
        while let Token::Word(word) = self.peek(0) {
            // `PASSWORD SECRET s`, `TICK INTERVAL '1s'` but `FORMAT csv`, `HEADER true`: the last word
            // of a row of words is a value where the first one alone names an option that takes one.
            let secret = !name.is_empty() && self.at(&["secret"]);
            let value = name.len() == 1 && takes_word(&name);
            if secret || value {
                break;
            }
            name.push(word.value.to_ascii_uppercase());
            self.next();
        }
        if name.is_empty() {
            return self.unexpected();
        }
        let equals = self.take_token(&Token::Eq);
        let value = match self.peek(0) {
            Token::Comma | Token::RParen if !equals => None,
            _ => Some(self.option_value()?),
        };
        Ok(WithOption {
            name: name.join(" "),
            value,
        })
    }

    fn option_value(&mut self) -> Parsed<OptionValue> {
        if self.take(&["secret"]) {
            return Ok(OptionValue::Secret(self.name()?));
        }
        Ok(match self.peek(0).clone() {
            Token::LParen => OptionValue::List(self.parenthesized(Self::option_value)?),
            Token::Minus | Token::Plus => OptionValue::Number(self.integer()?.to_string()),
            Token::Number(digits, _) => {
                self.next();
                OptionValue::Number(digits)
            }
            Token::Mul => {
                self.next();
                OptionValue::Text("*".to_owned())
            }
            Token::Word(_) if self.at(&["interval"]) => OptionValue::Expr(self.expression()?),
            Token::Word(_) => OptionValue::Name(self.option_word()?),
            _ => OptionValue::Text(self.string()?),
        })
    }

    /// A name, or a word that may be reserved (`true`, `on`, `default`).
    fn option_word(&mut self) -> Parsed<ast::ObjectName> {
        if matches!(self.peek(1), Token::Period) {
            return self.name();
        }
        let token = self.next();
        match token.token {
            Token::Word(word) => Ok(ast::ObjectName::from(vec![word.into_ident(token.span)])),
            _ => self.unexpected(),
        }
    }
}

/// Options whose value may be a bare word without `=`: those of `COPY` and `EXPLAIN`.
fn takes_word(name: &[String]) -> bool {
    const OPTIONS: &[&str] = &[
        "FORMAT", "HEADER", "ENCODING", "FREEZE", "ANALYZE", "VERBOSE", "COSTS", "SETTINGS",
        "BUFFERS", "WAL", "TIMING", "SUMMARY", "SNAPSHOT", "PROGRESS",
    ];
    name.first()
        .is_some_and(|first| OPTIONS.contains(&first.as_str()))
}

impl WithOption {
    /// The value as a boolean, as Postgres reads one; a missing value is true.
    pub fn truth(&self) -> Option<bool> {
        if self.value.is_none() {
            return Some(true);
        }
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Some(true),
            "false" | "off" | "no" | "0" => Some(false),
            _ => None,
        }
    }

    /// The value as text, if it is a literal or a word.
    pub fn text(&self) -> Option<String> {
        match self.value.as_ref()? {
            OptionValue::Text(text) | OptionValue::Number(text) => Some(text.clone()),
            OptionValue::Name(name) => {
                let parts = name.0.iter().map(|part| match part.as_ident() {
                    Some(ident) => super::ident_value(ident),
                    None => part.to_string(),
                });
                Some(parts.collect::<Vec<_>>().join("."))
            }
            OptionValue::Secret(_) | OptionValue::List(_) | OptionValue::Expr(_) => None,
        }
    }
}

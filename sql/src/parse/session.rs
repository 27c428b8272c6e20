//! The statement dispatcher, and the statements about session and transaction.

use sqlparser::ast::Statement as LibraryStatement;
use sqlparser::tokenizer::Token;

use super::cursor::{Cursor, Parsed};
use super::{Set, Show, ShowKind, Statement, TransactionMode};

impl Cursor<'_, '_> {
    /// Any statement.
    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        let first = match self.peek(0) {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            Token::LParen => return self.select_statement(),
            _ => return self.unexpected(),
        };
        match first.as_str() {
            "select" | "values" | "with" => self.select_statement(),
            "insert" | "update" | "delete" => self.change_statement(),
            "copy" => self.copy(),
            "create" => self.create(),
            "drop" => self.drop_statement(),
            "alter" => self.alter(),
            "comment" => self.comment(),
            "show" => self.show(),
            "set" => self.set(),
            "reset" => self.reset(),
            "discard" => self.discard(),
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint"
            | "release" => self.transaction(&first),
            "declare" => self.declare(),
            "fetch" => self.fetch().map(Statement::Fetch),
            "move" => self.fetch().map(Statement::Move),
            "close" => self.close(),
            "prepare" => self.prepare(),
            "execute" => self.execute(),
            "deallocate" => self.deallocate(),
            "subscribe" | "tail" => self.subscribe().map(Statement::Subscribe),
            "explain" => self.explain(),
            "listen" | "unlisten" | "notify" => self.channel(&first),
            "grant" | "revoke" | "analyze" | "vacuum" | "lock" | "do" | "call" | "merge"
            | "truncate" | "refresh" | "reindex" | "cluster" | "checkpoint" | "load"
            | "security" | "reassign" | "import" => Ok(self.unsupported(1)),
            _ => self.unexpected(),
        }
    }

    /// The whole statement is known and not served; `words` of it name it.
    pub(super) fn unsupported(&mut self, words: usize) -> Statement {
        let mut what = Vec::new();
        for ahead in 0..words {
            if let Token::Word(word) = self.peek(ahead) {
                what.push(word.value.to_ascii_uppercase());
            }
        }
        self.skip_rest();
        Statement::Unsupported {
            what: what.join(" "),
        }
    }

    fn change_statement(&mut self) -> Parsed<Statement> {
        let statement = self.library(|parser| parser.parse_statement())?;
        Ok(match statement {
            LibraryStatement::Insert(insert) => Statement::Insert(insert),
            LibraryStatement::Update(update) => Statement::Update(update),
            LibraryStatement::Delete(delete) => Statement::Delete(delete),
            _ => return self.unexpected(),
        })
    }

    fn show(&mut self) -> Parsed<Statement> {
        self.expect(&["show"])?;
        if self.take(&["all"]) {
            return Ok(Statement::Show(Show::All));
        }
        if self.take(&["create"]) {
            let Some(kind) = self.object_kind() else {
                return self.unexpected();
            };
            let name = self.name()?;
            return Ok(Statement::Show(Show::Create { kind, name }));
        }
        if self.take(&["time", "zone"]) {
            return Ok(show_variable("timezone"));
        }
        if self.take(&["transaction", "isolation", "level"]) {
            return Ok(show_variable("transaction_isolation"));
        }
        if self.take(&["session", "authorization"]) {
            return Ok(show_variable("session_authorization"));
        }
        if let Some(kind) = self.show_kind() {
            let from = match self.take_one_of(&["from", "in", "on"]) {
                Some(_) => Some(self.name()?),
                None if kind == ShowKind::Columns => return self.unexpected(),
                None => None,
            };
            let like = if self.take(&["like"]) {
                Some(self.string()?)
            } else {
                None
            };
            return Ok(Statement::Show(Show::Objects { kind, from, like }));
        }
        let name = self.setting_name()?;
        Ok(Statement::Show(Show::Variable { name }))
    }

    fn show_kind(&mut self) -> Option<ShowKind> {
        // `SHOW FULL TABLES` is another dialect's.
        const KINDS: &[(&[&str], ShowKind)] = &[
            (&["sources"], ShowKind::Sources),
            (&["materialized", "views"], ShowKind::MaterializedViews),
            (&["views"], ShowKind::Views),
            (&["tables"], ShowKind::Tables),
            (&["indexes"], ShowKind::Indexes),
            (&["sinks"], ShowKind::Sinks),
            (&["connections"], ShowKind::Connections),
            (&["secrets"], ShowKind::Secrets),
            (&["schemas"], ShowKind::Schemas),
            (&["databases"], ShowKind::Databases),
            (&["columns"], ShowKind::Columns),
            (&["objects"], ShowKind::Objects),
        ];
        KINDS
            .iter()
            .find(|(words, _)| self.take(words))
            .map(|(_, kind)| *kind)
    }

    /// A setting's name, which may have dots, in lower case.
    fn setting_name(&mut self) -> Parsed<String> {
        let mut parts = vec![self.identifier()?];
        while self.take_token(&Token::Period) {
            parts.push(self.identifier()?);
        }
        let parts: Vec<_> = parts
            .iter()
            .map(|part| part.value.to_ascii_lowercase())
            .collect();
        Ok(parts.join("."))
    }

    fn set(&mut self) -> Parsed<Statement> {
        self.expect(&["set"])?;
        if self.take(&["session", "characteristics", "as", "transaction"]) {
            let modes = self.transaction_modes()?;
            if modes.is_empty() {
                return self.unexpected();
            }
            return Ok(Statement::SetTransaction {
                session: true,
                modes,
            });
        }
        if self.take(&["transaction"]) {
            if self.at(&["snapshot"]) {
                self.skip_rest();
                return Ok(Statement::Unsupported {
                    what: "SET TRANSACTION SNAPSHOT".to_owned(),
                });
            }
            let modes = self.transaction_modes()?;
            if modes.is_empty() {
                return self.unexpected();
            }
            return Ok(Statement::SetTransaction {
                session: false,
                modes,
            });
        }
        let local = match self.take_one_of(&["local", "session"]) {
            Some("session") if self.take(&["authorization"]) => {
                let values = Some(vec![self.setting_value()?]);
                let name = "session_authorization".to_owned();
                return Ok(Statement::Set(Set {
                    local: false,
                    name,
                    values,
                }));
            }
            word => word == Some("local"),
        };
        let (name, bare) = if self.take(&["time", "zone"]) {
            ("timezone".to_owned(), true)
        } else if self.take(&["names"]) {
            ("client_encoding".to_owned(), true)
        } else if self.at(&["role"]) && !matches!(self.peek(1), Token::Eq) && !self.word_is(1, "to")
        {
            self.expect(&["role"])?;
            ("role".to_owned(), true)
        } else {
            (self.setting_name()?, false)
        };
        if !bare && !self.take_token(&Token::Eq) && !self.take(&["to"]) {
            return self.unexpected();
        }
        let values = if self.take(&["default"]) || (name == "timezone" && self.take(&["local"])) {
            None
        } else if bare && self.at_end() && name == "client_encoding" {
            None
        } else if self.at(&["interval"]) {
            let from = self.index();
            self.expression()?;
            Some(vec![self.text(from, self.index())])
        } else {
            Some(self.list(Self::setting_value)?)
        };
        Ok(Statement::Set(Set {
            local,
            name,
            values,
        }))
    }

    fn setting_value(&mut self) -> Parsed<String> {
        let sign = if self.take_token(&Token::Minus) {
            "-"
        } else {
            ""
        };
        match self.peek(0).clone() {
            Token::Number(digits, _) => {
                self.next();
                Ok(format!("{sign}{digits}"))
            }
            Token::Word(word) if sign.is_empty() => {
                self.next();
                // Postgres folds a bare word here as it folds a name.
                Ok(match word.quote_style {
                    Some(_) => word.value,
                    None => word.value.to_ascii_lowercase(),
                })
            }
            _ if sign.is_empty() => self.string(),
            _ => self.unexpected(),
        }
    }

    fn reset(&mut self) -> Parsed<Statement> {
        self.expect(&["reset"])?;
        let name = if self.take(&["all"]) {
            None
        } else if self.take(&["time", "zone"]) {
            Some("timezone".to_owned())
        } else if self.take(&["transaction", "isolation", "level"]) {
            Some("transaction_isolation".to_owned())
        } else if self.take(&["session", "authorization"]) {
            Some("session_authorization".to_owned())
        } else {
            Some(self.setting_name()?)
        };
        Ok(Statement::Reset { name })
    }

    fn discard(&mut self) -> Parsed<Statement> {
        self.expect(&["discard"])?;
        match self.take_one_of(&["all", "plans", "sequences", "temp", "temporary"]) {
            Some("all") => Ok(Statement::Discard { what: "ALL" }),
            Some("plans") => Ok(Statement::Discard { what: "PLANS" }),
            Some("sequences") => Ok(Statement::Discard { what: "SEQUENCES" }),
            Some(_) => Ok(Statement::Discard { what: "TEMP" }),
            None => self.unexpected(),
        }
    }

    fn transaction(&mut self, first: &str) -> Parsed<Statement> {
        self.next();
        let work = |cursor: &mut Self| {
            let _ = cursor.take_one_of(&["work", "transaction"]);
        };
        match first {
            "begin" => {
                work(self);
                Ok(Statement::Begin {
                    tag: "BEGIN",
                    modes: self.transaction_modes()?,
                })
            }
            "start" => {
                self.expect(&["transaction"])?;
                Ok(Statement::Begin {
                    tag: "START TRANSACTION",
                    modes: self.transaction_modes()?,
                })
            }
            "savepoint" => Ok(Statement::Savepoint {
                name: self.identifier()?,
            }),
            "release" => {
                self.take(&["savepoint"]);
                Ok(Statement::Release {
                    name: self.identifier()?,
                })
            }
            "commit" | "end" => {
                if self.at(&["prepared"]) {
                    self.skip_rest();
                    return Ok(Statement::Unsupported {
                        what: "COMMIT PREPARED".to_owned(),
                    });
                }
                work(self);
                Ok(Statement::Commit {
                    chain: self.chain()?,
                })
            }
            _ => {
                if self.at(&["prepared"]) {
                    self.skip_rest();
                    return Ok(Statement::Unsupported {
                        what: "ROLLBACK PREPARED".to_owned(),
                    });
                }
                work(self);
                if first == "rollback" && self.take(&["to"]) {
                    self.take(&["savepoint"]);
                    return Ok(Statement::RollbackTo {
                        name: self.identifier()?,
                    });
                }
                Ok(Statement::Rollback {
                    chain: self.chain()?,
                })
            }
        }
    }

    fn chain(&mut self) -> Parsed<bool> {
        if !self.take(&["and"]) {
            return Ok(false);
        }
        let no = self.take(&["no"]);
        self.expect(&["chain"])?;
        Ok(!no)
    }

    fn transaction_modes(&mut self) -> Parsed<Vec<TransactionMode>> {
        let mut modes = Vec::new();
        loop {
            let mode = if self.take(&["isolation", "level"]) {
                TransactionMode::Isolation(self.isolation_level()?)
            } else if self.take(&["read", "only"]) {
                TransactionMode::ReadOnly(true)
            } else if self.take(&["read", "write"]) {
                TransactionMode::ReadOnly(false)
            } else if self.take(&["deferrable"]) {
                TransactionMode::Deferrable(true)
            } else if self.take(&["not", "deferrable"]) {
                TransactionMode::Deferrable(false)
            } else if modes.is_empty() {
                return Ok(modes);
            } else {
                return self.unexpected();
            };
            modes.push(mode);
            // The comma between modes may be left out.
            if !self.take_token(&Token::Comma) && self.at_end() {
                return Ok(modes);
            }
        }
    }

    fn isolation_level(&mut self) -> Parsed<String> {
        const LEVELS: &[&[&str]] = &[
            &["read", "uncommitted"],
            &["read", "committed"],
            &["repeatable", "read"],
            &["strict", "serializable"],
            &["serializable"],
        ];
        match LEVELS.iter().find(|words| self.take(words)) {
            Some(words) => Ok(words.join(" ")),
            None => self.unexpected(),
        }
    }

    fn channel(&mut self, first: &str) -> Parsed<Statement> {
        self.next();
        match first {
            "listen" => Ok(Statement::Listen {
                channel: self.identifier()?,
            }),
            "unlisten" if self.take_token(&Token::Mul) => Ok(Statement::Unlisten { channel: None }),
            "unlisten" => Ok(Statement::Unlisten {
                channel: Some(self.identifier()?),
            }),
            _ => {
                let channel = self.identifier()?;
                let payload = if self.take_token(&Token::Comma) {
                    Some(self.string()?)
                } else {
                    None
                };
                Ok(Statement::Notify { channel, payload })
            }
        }
    }
}

fn show_variable(name: &str) -> Statement {
    Statement::Show(Show::Variable {
        name: name.to_owned(),
    })
}

//! Definitions: tables, views, indexes, schemas, roles; `DROP`, `ALTER ... RENAME`, `COMMENT`.

use sqlparser::ast::{ColumnDef, ColumnOption, Ident, TableConstraint};
use sqlparser::tokenizer::Token;

use super::cursor::{Cursor, Parsed};
use super::{
    Column, ColumnList, CreateIndex, CreateTable, CreateView, Drop, IndexKey, ObjectKind, Statement,
};

impl Cursor<'_, '_> {
    pub(super) fn create(&mut self) -> Parsed<Statement> {
        self.expect(&["create"])?;
        let or_replace = self.take(&["or", "replace"]);
        let temporary = self.take_one_of(&["temp", "temporary"]).is_some();
        if self.at(&["materialized", "view"]) || self.at(&["view"]) {
            return self.create_view(or_replace, temporary);
        }
        if or_replace {
            return self.create_unsupported("CREATE OR REPLACE");
        }
        if self.take(&["unlogged", "table"]) || self.take(&["table"]) {
            return self.create_table(temporary);
        }
        if temporary {
            return self.create_unsupported("CREATE TEMPORARY");
        }
        let unique = self.at(&["unique", "index"]) && self.take(&["unique"]);
        let default = !unique && self.at(&["default", "index"]) && self.take(&["default"]);
        if self.take(&["index"]) {
            return self.create_index(unique, default);
        }
        if self.take(&["connection"]) {
            return self.create_connection();
        }
        if self.take(&["secret"]) {
            return self.create_secret();
        }
        if self.take(&["source"]) {
            return self.create_source();
        }
        if self.take(&["sink"]) {
            return self.create_sink();
        }
        if self.take(&["schema"]) {
            let if_not_exists = self.if_not_exists();
            let name = self.name()?;
            return Ok(Statement::CreateSchema {
                name,
                if_not_exists,
            });
        }
        match self.take_one_of(&["role", "user"]) {
            Some(word) => {
                let name = self.identifier()?;
                let from = self.index();
                self.skip_rest();
                let options = self.text(from, self.index());
                Ok(Statement::CreateRole {
                    name,
                    user: word == "user",
                    options,
                })
            }
            None => self.create_unsupported("CREATE"),
        }
    }

    /// Postgres' other `CREATE`s are not served; any other word is a syntax error.
    fn create_unsupported(&mut self, verb: &str) -> Parsed<Statement> {
        const KINDS: &[&str] = &[
            "access",
            "aggregate",
            "cast",
            "collation",
            "conversion",
            "database",
            "domain",
            "event",
            "extension",
            "foreign",
            "function",
            "group",
            "language",
            "operator",
            "policy",
            "procedure",
            "publication",
            "recursive",
            "rule",
            "sequence",
            "server",
            "statistics",
            "subscription",
            "tablespace",
            "text",
            "transform",
            "trigger",
            "type",
            "cluster",
        ];
        match self.take_one_of(KINDS) {
            Some(kind) => {
                self.skip_rest();
                let what = format!("{verb} {}", kind.to_ascii_uppercase());
                Ok(Statement::Unsupported { what })
            }
            None => self.unexpected(),
        }
    }

    fn create_view(&mut self, or_replace: bool, temporary: bool) -> Parsed<Statement> {
        let materialized = self.take(&["materialized"]);
        self.expect(&["view"])?;
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let columns = if matches!(self.peek(0), Token::LParen) {
            self.parenthesized(Self::identifier)?
        } else {
            Vec::new()
        };
        let with = if self.take(&["with"]) {
            self.options()?
        } else {
            Vec::new()
        };
        self.expect(&["as"])?;
        let from = self.index();
        let query = self.query_body()?;
        let query_text = self.text(from, self.index());
        if self.take(&["with", "no", "data"]) {
            return Ok(Statement::Unsupported {
                what: "WITH NO DATA".to_owned(),
            });
        }
        self.take(&["with", "data"]);
        Ok(Statement::CreateView(CreateView {
            or_replace,
            materialized,
            temporary,
            if_not_exists,
            name,
            columns,
            with,
            query,
            query_text,
        }))
    }

    fn create_table(&mut self, temporary: bool) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        if self.at(&["as"]) {
            self.skip_rest();
            return Ok(Statement::Unsupported {
                what: "CREATE TABLE AS".to_owned(),
            });
        }
        for (words, what) in [
            (&["partition", "of"][..], "CREATE TABLE PARTITION OF"),
            (&["of"][..], "CREATE TABLE OF"),
        ] {
            if self.at(words) {
                self.skip_rest();
                return Ok(Statement::Unsupported {
                    what: what.to_owned(),
                });
            }
        }
        let columns = self.column_list()?;
        if self.at(&["partition", "by"]) || self.at(&["inherits"]) {
            return Ok(self.unsupported(1));
        }
        let with = if self.take(&["with"]) {
            self.options()?
        } else {
            Vec::new()
        };
        if self.at(&["as"]) {
            self.skip_rest();
            return Ok(Statement::Unsupported {
                what: "CREATE TABLE AS".to_owned(),
            });
        }
        Ok(Statement::CreateTable(CreateTable {
            name,
            if_not_exists,
            temporary,
            columns,
            with,
        }))
    }

    /// Column definitions and constraints, parentheses included.
    pub(super) fn column_list(&mut self) -> Parsed<ColumnList> {
        if !matches!(self.peek(0), Token::LParen) {
            return self.unexpected();
        }
        let (definitions, constraints) = self.library(|parser| parser.parse_columns())?;
        let mut list = ColumnList::default();
        for definition in definitions {
            list.add_column(definition);
        }
        for constraint in constraints {
            list.add_constraint(constraint);
        }
        Ok(list)
    }

    fn create_index(&mut self, unique: bool, default: bool) -> Parsed<Statement> {
        self.take(&["concurrently"]);
        let if_not_exists = self.if_not_exists();
        let name = if self.at(&["on"]) {
            None
        } else {
            Some(self.identifier()?)
        };
        self.expect(&["on"])?;
        let on = self.name()?;
        let method = if self.take(&["using"]) {
            Some(self.identifier()?.value.to_ascii_lowercase())
        } else {
            None
        };
        let keys = if default {
            Vec::new()
        } else {
            self.parenthesized(Self::index_key)?
        };
        let mut unsupported = Vec::new();
        for word in ["include", "nulls", "with", "where"] {
            if self.at(&[word]) {
                unsupported.push(word.to_ascii_uppercase());
                self.skip_rest();
            }
        }
        Ok(Statement::CreateIndex(CreateIndex {
            name,
            unique,
            default,
            if_not_exists,
            on,
            method,
            keys,
            unsupported,
        }))
    }

    fn index_key(&mut self) -> Parsed<IndexKey> {
        let key = self.library(|parser| parser.parse_create_index_expr())?;
        Ok(IndexKey {
            expr: key.column.expr,
            descending: key.column.options.asc == Some(false),
            nulls_first: key.column.options.nulls_first,
        })
    }

    /// Takes the words of a kind of object.
    pub(super) fn object_kind(&mut self) -> Option<ObjectKind> {
        const KINDS: &[(&[&str], ObjectKind)] = &[
            (&["table"], ObjectKind::Table),
            (&["materialized", "view"], ObjectKind::MaterializedView),
            (&["view"], ObjectKind::View),
            (&["index"], ObjectKind::Index),
            (&["source"], ObjectKind::Source),
            (&["sink"], ObjectKind::Sink),
            (&["connection"], ObjectKind::Connection),
            (&["secret"], ObjectKind::Secret),
            (&["schema"], ObjectKind::Schema),
            (&["database"], ObjectKind::Database),
            (&["role"], ObjectKind::Role),
            (&["user"], ObjectKind::User),
            (&["column"], ObjectKind::Column),
        ];
        KINDS
            .iter()
            .find(|(words, _)| self.take(words))
            .map(|(_, kind)| *kind)
    }

    pub(super) fn drop_statement(&mut self) -> Parsed<Statement> {
        self.expect(&["drop"])?;
        let kind = match self.object_kind() {
            Some(ObjectKind::Column) => return self.unexpected(),
            Some(kind) => kind,
            None => return self.create_unsupported("DROP"),
        };
        let if_exists = self.if_exists();
        let names = self.list(Self::name)?;
        let cascade = self.take_one_of(&["cascade", "restrict"]) == Some("cascade");
        Ok(Statement::Drop(Drop {
            kind,
            names,
            if_exists,
            cascade,
        }))
    }

    pub(super) fn alter(&mut self) -> Parsed<Statement> {
        self.expect(&["alter"])?;
        let word = match self.peek(0) {
            Token::Word(word) => word.value.to_ascii_uppercase(),
            _ => return self.unexpected(),
        };
        let kind = match self.object_kind() {
            Some(kind) => kind,
            None if word == "SYSTEM" || word == "DEFAULT" => return Ok(self.unsupported(1)),
            None => return self.create_unsupported("ALTER"),
        };
        let if_exists = self.if_exists();
        let name = self.name()?;
        if self.take(&["rename", "to"]) {
            let new_name = self.identifier()?;
            return Ok(Statement::AlterRename {
                kind,
                name,
                if_exists,
                new_name,
            });
        }
        if self.at_end() {
            return self.unexpected();
        }
        self.skip_rest();
        Ok(Statement::Unsupported {
            what: format!("ALTER {word}"),
        })
    }

    pub(super) fn comment(&mut self) -> Parsed<Statement> {
        self.expect(&["comment", "on"])?;
        let Some(kind) = self.object_kind() else {
            return self.create_unsupported("COMMENT ON");
        };
        let name = self.name()?;
        self.expect(&["is"])?;
        let text = if self.take(&["null"]) {
            None
        } else {
            Some(self.string()?)
        };
        Ok(Statement::Comment { kind, name, text })
    }
}

impl ColumnList {
    fn add_column(&mut self, definition: ColumnDef) {
        let mut column = Column {
            name: definition.name,
            data_type: definition.data_type,
            not_null: false,
            default: None,
        };
        for option in definition.options {
            match option.option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => column.not_null = true,
                ColumnOption::Default(value) => column.default = Some(value),
                ColumnOption::PrimaryKey(_) => self.set_primary_key(vec![column.name.clone()]),
                ColumnOption::Unique(_) => self.unsupported.push("UNIQUE".to_owned()),
                other => self.unsupported.push(other.to_string()),
            }
        }
        self.columns.push(column);
    }

    fn add_constraint(&mut self, constraint: TableConstraint) {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let columns = key.columns.into_iter().map(|column| column.column.expr);
                let names = columns.filter_map(|expr| match expr {
                    sqlparser::ast::Expr::Identifier(name) => Some(name),
                    _ => None,
                });
                self.set_primary_key(names.collect());
            }
            TableConstraint::Unique(_) => self.unsupported.push("UNIQUE".to_owned()),
            other => self.unsupported.push(other.to_string()),
        }
    }

    fn set_primary_key(&mut self, key: Vec<Ident>) {
        self.primary_key_repeated |= !self.primary_key.is_empty();
        self.primary_key = key;
    }
}

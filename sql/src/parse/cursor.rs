//! A place in the tokens of one statement, and the small steps from there.
//!
//! Promises: every failure becomes a [`ParseError`] at the token no reading of the text could take,
//! which is where Postgres reports it. The statements themselves are read by the `impl Cursor` blocks
//! of `session.rs`, `read.rs`, `ddl.rs` and `source.rs`; words are compared without regard to case,
//! whether or not the grammar library counts them as keywords.

use std::ops::Range;

use sqlparser::ast::{DataType, Expr, Ident, ObjectName, Query};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::TidemarkDialect;
use super::lex::{Source, too_deep};
use super::{NESTING_MAX, ParseError, Statement};

/// Levels of the library's parser for each level of ours: a parenthesis takes several of its calls.
const PARSER_CALLS_PER_LEVEL: usize = 4;

/// Nesting that the caller's stack is trusted with.
const DEPTH_ON_CALLERS_STACK_MAX: usize = 12;

/// The stack for what nests deeper; pages are only taken when touched.
const DEEP_STACK_BYTES: usize = 256 << 20;

/// `PREPARE p AS EXPLAIN DECLARE ...`: no statement within statements is deeper than this.
const INNER_STATEMENTS_MAX: usize = 4;

pub(super) type Parsed<T> = Result<T, ParseError>;

/// Reads one statement.
pub(super) struct Cursor<'a, 'd> {
    source: &'d Source<'a>,
    chunk: Range<usize>,
    dialect: &'d TidemarkDialect,
    parser: Parser<'d>,
    /// How many statements within statements (`EXPLAIN EXPLAIN ...`) are open.
    pub(super) inner_statements: usize,
}

impl<'a> Cursor<'a, '_> {
    /// Reads a range of tokens with `read`, which must take all of them.
    ///
    /// What nests deeply is read by a thread of its own with a deep stack: the library's calls for one
    /// level of `FROM (SELECT ...)` take tens of kilobytes.
    pub(super) fn parse_with<T: Send>(
        source: &Source<'a>,
        chunk: Range<usize>,
        read: impl FnOnce(&mut Cursor<'a, '_>) -> Parsed<T> + Send,
    ) -> Parsed<T> {
        if source.depth() <= DEPTH_ON_CALLERS_STACK_MAX {
            return Self::parse_here(source, chunk, read);
        }
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("sql-parse".to_owned())
                .stack_size(DEEP_STACK_BYTES)
                .spawn_scoped(scope, || Self::parse_here(source, chunk, read))
                .ok()
                .and_then(|thread| thread.join().ok())
                .unwrap_or_else(|| Err(too_deep(None)))
        })
    }

    fn parse_here<T>(
        source: &Source<'a>,
        chunk: Range<usize>,
        read: impl FnOnce(&mut Cursor<'a, '_>) -> Parsed<T>,
    ) -> Parsed<T> {
        let dialect = TidemarkDialect::new(chunk.len());
        let parser = Parser::new(&dialect)
            .with_recursion_limit(NESTING_MAX * PARSER_CALLS_PER_LEVEL)
            .with_tokens_with_locations(source.tokens(chunk.clone()).to_vec());
        let mut cursor = Cursor {
            source,
            chunk,
            dialect: &dialect,
            parser,
            inner_statements: 0,
        };
        let value = read(&mut cursor)?;
        cursor.end()?;
        Ok(value)
    }

    /// Fails unless every token has been taken.
    fn end(&mut self) -> Parsed<()> {
        if self.at_end() {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.peek(0) == &Token::EOF
    }

    /// The token `ahead` places on, `EOF` past the last.
    pub(super) fn peek(&self, ahead: usize) -> &Token {
        &self.parser.peek_nth_token_ref(ahead).token
    }

    /// The error for the next token.
    pub(super) fn error(&self) -> ParseError {
        let index = self.parser.index().max(self.dialect.farthest());
        self.source
            .error_at(self.chunk.start + index.min(self.chunk.len()))
    }

    pub(super) fn unexpected<T>(&self) -> Parsed<T> {
        Err(self.error())
    }

    /// An error of our own about the token taken last.
    pub(super) fn refuse<T>(
        &self,
        sqlstate: &'static str,
        message: impl Into<String>,
    ) -> Parsed<T> {
        let index = self.chunk.start + self.parser.index().saturating_sub(1);
        Err(ParseError {
            message: message.into(),
            position: Some(self.source.position_of(index)),
            sqlstate,
            hint: None,
        })
    }

    /// The text between two places, as [`Cursor::index`] gave them.
    pub(super) fn text(&self, from: usize, to: usize) -> String {
        let chunk = self.chunk.start + from..self.chunk.start + to;
        self.source.text_of(chunk).0.to_owned()
    }

    pub(super) fn index(&self) -> usize {
        self.parser.index().min(self.chunk.len())
    }

    /// Skips the rest of the statement.
    pub(super) fn skip_rest(&mut self) {
        while !self.at_end() {
            self.parser.advance_token();
        }
    }

    /// Runs a method of the library's parser.
    pub(super) fn library<T>(
        &mut self,
        read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
    ) -> Parsed<T> {
        read(&mut self.parser).map_err(|error| match error {
            ParserError::RecursionLimitExceeded => {
                let index = self.chunk.start + self.dialect.farthest();
                too_deep(Some(self.source.position_of(index)))
            }
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
                let found = match location(&message) {
                    Some((line, column)) => self.source.token_at(line, column),
                    None => self.chunk.end.min(self.chunk.start + self.parser.index()),
                };
                let found = found.max(self.chunk.start + self.dialect.farthest());
                self.source.error_at(found.min(self.chunk.end))
            }
        })
    }

    /// Whether the next tokens are these words, unquoted.
    pub(super) fn at(&self, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(ahead, word)| self.word_is(ahead, word))
    }

    /// Whether the token `ahead` places on is this word, unquoted.
    pub(super) fn word_is(&self, ahead: usize, wanted: &str) -> bool {
        matches!(self.peek(ahead), Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
    }

    /// Takes these words if they come next.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let found = self.at(words);
        if found {
            for _ in words {
                self.parser.advance_token();
            }
        }
        found
    }

    /// Takes the first of these words that comes next.
    pub(super) fn take_one_of<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.iter().copied().find(|word| self.take(&[word]))
    }

    pub(super) fn expect(&mut self, words: &[&str]) -> Parsed<()> {
        for word in words {
            if !self.take(&[word]) {
                return self.unexpected();
            }
        }
        Ok(())
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Parsed<()> {
        if self.take_token(token) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    pub(super) fn next(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// One or more of something, with commas between.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.take_token(&Token::Comma) {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// A list in parentheses.
    pub(super) fn parenthesized<T>(
        &mut self,
        read: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(read)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    pub(super) fn identifier(&mut self) -> Parsed<Ident> {
        match self.peek(0) {
            Token::Word(_) => self.library(|parser| parser.parse_identifier()),
            _ => self.unexpected(),
        }
    }

    pub(super) fn name(&mut self) -> Parsed<ObjectName> {
        match self.peek(0) {
            Token::Word(_) => self.library(|parser| parser.parse_object_name(false)),
            _ => self.unexpected(),
        }
    }

    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.library(|parser| parser.parse_expr())
    }

    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.library(|parser| parser.parse_query().map(|query| *query))
    }

    pub(super) fn data_type(&mut self) -> Parsed<DataType> {
        self.library(|parser| parser.parse_data_type())
    }

    /// A string literal in any of Postgres' notations.
    pub(super) fn string(&mut self) -> Parsed<String> {
        let text = match self.peek(0) {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text) => text.clone(),
            Token::DollarQuotedString(text) => text.value.clone(),
            _ => return self.unexpected(),
        };
        self.parser.advance_token();
        Ok(text)
    }

    /// A whole number, with its sign.
    pub(super) fn integer(&mut self) -> Parsed<i64> {
        let negative = self.take_token(&Token::Minus);
        if !negative {
            self.take_token(&Token::Plus);
        }
        let Token::Number(digits, _) = self.peek(0) else {
            return self.unexpected();
        };
        let sign = if negative { "-" } else { "" };
        match format!("{sign}{digits}").parse() {
            Ok(number) => {
                self.parser.advance_token();
                Ok(number)
            }
            Err(_) => self.unexpected(),
        }
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.take(&["if", "exists"])
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.take(&["if", "not", "exists"])
    }

    /// A statement inside another one.
    pub(super) fn inner_statement(&mut self) -> Parsed<Statement> {
        self.inner_statements += 1;
        if self.inner_statements > INNER_STATEMENTS_MAX {
            return self.unexpected();
        }
        let statement = self.statement();
        self.inner_statements -= 1;
        statement
    }
}

/// The place at the end of the library's messages: `... at Line: 1, Column: 5`.
fn location(message: &str) -> Option<(u64, u64)> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

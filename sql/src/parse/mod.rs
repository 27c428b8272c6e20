//! SQL text to statements.
//!
//! Promises: a text of any number of statements becomes one [`ParsedStatement`] each, or one
//! [`ParseError`] with Postgres' wording, SQLSTATE and character position. No text makes this module
//! panic, overflow the stack or take exponential time: too deep is SQLSTATE 54001. Postgres' statements
//! and the streaming ones (`CREATE SOURCE`, `SUBSCRIBE`, ...) come out as one enum, [`Statement`].
//!
//! Leaves to others: names and types (nothing is looked up here), and saying no. What is known to be SQL
//! but not served is [`Statement::Unsupported`], which the binder turns into SQLSTATE 0A000.
//!
//! Invariant: this is the only module that names `sqlparser`. Queries and expressions are handed on in
//! its syntax tree, re-exported as [`ast`]. `lex.rs` lists the few rewritings that make the tree say
//! things it has no node for.

mod cursor;
mod ddl;
mod dialect;
mod lex;
mod read;
mod session;
mod source;
mod statement;
#[cfg(test)]
mod tests;

pub use sqlparser::ast;
pub use statement::*;

use cursor::Cursor;
use lex::Source;

/// The longest identifier Postgres keeps, in bytes; longer ones are cut (`NAMEDATALEN - 1`).
pub const IDENTIFIER_BYTES_MAX: usize = 63;

/// How many parentheses, brackets, operators of one chain or nested `CASE`s may stand within each
/// other. What comes after the parser walks the tree by recursion; this bounds its stack.
/// Chains of `AND` and `OR` are balanced by the parser, and do not count.
pub const NESTING_MAX: usize = 500;

/// A text that is not SQL, in Postgres' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The primary message, e.g. `syntax error at or near "x"`.
    pub message: String,
    /// Where: a 1-based character (not byte) offset in the whole SQL text.
    pub position: Option<usize>,
    /// SQLSTATE: 42601 (syntax), 54001 (too deep), or the one Postgres has for the case.
    pub sqlstate: &'static str,
    /// What to do about it, where that helps.
    pub hint: Option<String>,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}

/// One statement and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedStatement {
    /// What it says.
    pub statement: Statement,
    /// Its exact text, without the semicolon and the white space or comments around it.
    pub text: String,
    /// 0-based character offset of `text` in the whole string.
    pub offset: usize,
}

/// Parses a text of statements separated by semicolons. Empty statements are dropped, so a text of
/// white space and comments gives an empty list. Postgres reads the whole text before it runs any of
/// it, so one syntax error refuses all.
pub fn parse(sql: &str) -> Result<Vec<ParsedStatement>, ParseError> {
    let source = Source::new(sql)?;
    let mut statements = Vec::new();
    for chunk in source.statements() {
        let (text, offset) = source.text_of(chunk.clone());
        let statement = Cursor::parse_with(&source, chunk, |cursor| cursor.statement())?;
        statements.push(ParsedStatement {
            statement,
            text: text.to_owned(),
            offset,
        });
    }
    Ok(statements)
}

/// Parses exactly one query (`SELECT`, `VALUES`, `TABLE`, `WITH`).
pub fn parse_query(sql: &str) -> Result<ast::Query, ParseError> {
    parse_one(sql, |cursor| cursor.query())
}

/// Parses exactly one query with what may precede it (`WITH MUTUALLY RECURSIVE`).
pub fn parse_body(sql: &str) -> Result<QueryBody, ParseError> {
    parse_one(sql, |cursor| cursor.query_body())
}

/// Parses exactly one expression.
pub fn parse_expression(sql: &str) -> Result<ast::Expr, ParseError> {
    parse_one(sql, |cursor| cursor.expression())
}

/// Parses exactly one type name, with its modifiers: `numeric(10,2)[]`.
pub fn parse_data_type(sql: &str) -> Result<ast::DataType, ParseError> {
    parse_one(sql, |cursor| cursor.data_type())
}

fn parse_one<T: Send>(
    sql: &str,
    read: impl FnOnce(&mut Cursor<'_, '_>) -> Result<T, ParseError> + Send,
) -> Result<T, ParseError> {
    let source = Source::new(sql)?;
    Cursor::parse_with(&source, source.everything(), read)
}

/// The 0-based character offset of a 1-based line and column, as the syntax tree's spans give them.
/// A place past the end of the text gives its length.
pub fn char_offset(sql: &str, line: u64, column: u64) -> usize {
    lex::LineMap::new(sql).char_offset(line, column)
}

/// The name an identifier stands for: folded to lower case unless quoted, and cut to
/// [`IDENTIFIER_BYTES_MAX`] at a character border. Postgres folds ASCII only in a UTF-8 database.
pub fn ident_value(ident: &ast::Ident) -> String {
    let mut value = ident.value.clone();
    if ident.quote_style.is_none() {
        value.make_ascii_lowercase();
    }
    if value.len() > IDENTIFIER_BYTES_MAX {
        let mut end = IDENTIFIER_BYTES_MAX;
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
    }
    value
}

//! What the binder refuses, in Postgres' words.

use repr::{EvalError, SqlState};

/// Where something stands in the text of a statement: line and column as the syntax tree has them, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u64,
    pub column: u64,
    /// The place is the first thing after white space and closing parentheses there: an operator, which the syntax tree does not place.
    pub after: bool,
}

pub type BindResult<T> = Result<T, BindError>;

/// A statement that names what is not there, mixes types that do not mix, or asks for what is not served.
///
/// The user acts: nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindError(Box<Fields>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    sqlstate: SqlState,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    place: Option<Place>,
}

/// Codes of the binder beside those of [`SqlState`].
pub mod codes {
    use repr::SqlState;

    pub const UNDEFINED_COLUMN: SqlState = SqlState(*b"42703");
    pub const UNDEFINED_TABLE: SqlState = SqlState(*b"42P01");
    pub const UNDEFINED_FUNCTION: SqlState = SqlState(*b"42883");
    pub const UNDEFINED_OBJECT: SqlState = SqlState(*b"42704");
    pub const UNDEFINED_PARAMETER: SqlState = SqlState(*b"42P02");
    pub const UNDEFINED_SCHEMA: SqlState = SqlState(*b"3F000");
    pub const AMBIGUOUS_COLUMN: SqlState = SqlState(*b"42702");
    pub const AMBIGUOUS_FUNCTION: SqlState = SqlState(*b"42725");
    pub const AMBIGUOUS_ALIAS: SqlState = SqlState(*b"42P09");
    pub const DUPLICATE_ALIAS: SqlState = SqlState(*b"42712");
    pub const DUPLICATE_COLUMN: SqlState = SqlState(*b"42701");
    pub const GROUPING_ERROR: SqlState = SqlState(*b"42803");
    pub const WINDOWING_ERROR: SqlState = SqlState(*b"42P20");
    pub const WRONG_OBJECT_TYPE: SqlState = SqlState(*b"42809");
    pub const INVALID_COLUMN_REFERENCE: SqlState = SqlState(*b"42P10");
    pub const INVALID_RECURSION: SqlState = SqlState(*b"42P19");
    pub const INDETERMINATE_DATATYPE: SqlState = SqlState(*b"42P18");
    pub const CANNOT_COERCE: SqlState = SqlState(*b"42846");
    pub const SYNTAX_ERROR: SqlState = SqlState(*b"42601");
    pub const INVALID_TABLE_DEFINITION: SqlState = SqlState(*b"42P16");
    pub const STATEMENT_TOO_COMPLEX: SqlState = SqlState(*b"54001");
    pub const TOO_MANY_COLUMNS: SqlState = SqlState(*b"54011");
    pub const INVALID_LIMIT: SqlState = SqlState(*b"2201W");
    pub const INVALID_OFFSET: SqlState = SqlState(*b"2201X");
    pub const GENERATED_ALWAYS: SqlState = SqlState(*b"428C9");
    pub const INVALID_ESCAPE: SqlState = SqlState(*b"22025");
}

impl BindError {
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> BindError {
        BindError(Box::new(Fields { sqlstate, message: message.into(), detail: None, hint: None, place: None }))
    }
    /// SQL that is known and not served.
    pub fn unsupported(message: impl Into<String>) -> BindError {
        BindError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }
    /// A statement or plan that nests deeper than the server follows.
    pub fn too_deep() -> BindError {
        BindError::new(codes::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_hint("Write the statement with fewer levels of nesting.")
    }
    pub fn with_detail(mut self, detail: impl Into<String>) -> BindError {
        self.0.detail = Some(detail.into());
        self
    }
    pub fn with_hint(mut self, hint: impl Into<String>) -> BindError {
        self.0.hint = Some(hint.into());
        self
    }
    /// Keeps a place it has already: the innermost one is the closest.
    pub fn at(mut self, place: Option<Place>) -> BindError {
        self.0.place = self.0.place.or(place);
        self
    }
    pub fn sqlstate(&self) -> SqlState {
        self.0.sqlstate
    }
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
    pub fn place(&self) -> Option<Place> {
        self.0.place
    }
    /// The 1-based character position within `sql`, which must be the text that was parsed.
    pub fn position(&self, sql: &str) -> Option<usize> {
        let place = self.0.place?;
        let offset = crate::parse::char_offset(sql, place.line, place.column);
        let skipped = if place.after { sql.chars().skip(offset).take_while(|c| c.is_whitespace() || *c == ')').count() } else { 0 };
        Some(offset + skipped + 1)
    }
}

impl From<EvalError> for BindError {
    fn from(error: EvalError) -> BindError {
        BindError(Box::new(Fields {
            sqlstate: error.code(),
            message: error.message().to_string(),
            detail: error.detail().map(str::to_string),
            hint: error.hint().map(str::to_string),
            place: None,
        }))
    }
}

impl std::fmt::Display for BindError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for BindError {}

//! One error for the edge: what an ErrorResponse carries.

use repr::{EvalError, SqlState};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    /// The session ends with it.
    Fatal,
}

/// An error as the client sees it. Small, because every `Result` of the edge holds it.
#[derive(Clone, Debug)]
pub struct Error(Box<Fields>);

#[derive(Clone, Debug)]
pub struct Fields {
    pub severity: Severity,
    pub sqlstate: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based character position in the query text.
    pub position: Option<usize>,
    /// Where in what was being done it happened: a line of copied data.
    pub context: Option<String>,
    /// The names in the message by themselves, for applications that tell their users in words of their own.
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

impl Error {
    /// `sqlstate` is five characters of Postgres' appendix A.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Error {
        let code = <[u8; 5]>::try_from(sqlstate.as_bytes()).map_or(SqlState::INTERNAL_ERROR, SqlState);
        Error(Box::new(Fields { severity: Severity::Error, sqlstate: code, message: message.into(), detail: None, hint: None, position: None, context: None, schema: None, table: None, column: None, constraint: None }))
    }
    pub fn fatal(sqlstate: &str, message: impl Into<String>) -> Error {
        let mut error = Error::new(sqlstate, message);
        error.0.severity = Severity::Fatal;
        error
    }
    /// SQL that is known and not served.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new("0A000", message)
    }
    /// A defect of ours.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new("XX000", message)
    }
    pub fn cancelled() -> Error {
        Error::new("57014", "canceling statement due to user request")
    }
    pub fn shutting_down() -> Error {
        Error::fatal("57P01", "terminating connection due to administrator command")
    }
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }
    pub fn with_context(mut self, context: impl Into<String>) -> Error {
        self.0.context = Some(context.into());
        self
    }
    pub fn with_table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Error {
        self.0.schema = Some(schema.into());
        self.0.table = Some(table.into());
        self
    }
    pub fn with_column(mut self, column: impl Into<String>) -> Error {
        self.0.column = Some(column.into());
        self
    }
    pub fn with_constraint(mut self, constraint: impl Into<String>) -> Error {
        self.0.constraint = Some(constraint.into());
        self
    }
    pub fn with_position(mut self, position: Option<usize>) -> Error {
        self.0.position = position;
        self
    }
    pub fn fields(&self) -> &Fields {
        &self.0
    }
    pub fn sqlstate(&self) -> &str {
        self.0.sqlstate.as_str()
    }
    pub fn is_fatal(&self) -> bool {
        self.0.severity == Severity::Fatal
    }
}

impl From<EvalError> for Error {
    fn from(error: EvalError) -> Error {
        let mut fields = Error::new(error.code().as_str(), error.message());
        fields.0.detail = error.detail().map(str::to_string);
        fields.0.hint = error.hint().map(str::to_string);
        fields
    }
}

impl From<catalog::CatalogError> for Error {
    fn from(error: catalog::CatalogError) -> Error {
        let mut fields = Error::new(error.sqlstate(), error.to_string());
        fields.0.detail = error.detail();
        fields.0.hint = error.hint().map(str::to_string);
        fields
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

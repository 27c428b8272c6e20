//! Errors that are data: what a scalar expression, a cast or a decoder makes of a row it cannot compute.

use crate::{Datum, Row};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Five characters of Postgres' appendix A.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    pub const DIVISION_BY_ZERO: SqlState = SqlState(*b"22012");
    pub const NUMERIC_VALUE_OUT_OF_RANGE: SqlState = SqlState(*b"22003");
    pub const INVALID_TEXT_REPRESENTATION: SqlState = SqlState(*b"22P02");
    pub const INVALID_BINARY_REPRESENTATION: SqlState = SqlState(*b"22P03");
    pub const INVALID_DATETIME_FORMAT: SqlState = SqlState(*b"22007");
    pub const DATETIME_FIELD_OVERFLOW: SqlState = SqlState(*b"22008");
    pub const INVALID_PARAMETER_VALUE: SqlState = SqlState(*b"22023");
    pub const INVALID_REGULAR_EXPRESSION: SqlState = SqlState(*b"2201B");
    pub const STRING_DATA_RIGHT_TRUNCATION: SqlState = SqlState(*b"22001");
    pub const SUBSTRING_ERROR: SqlState = SqlState(*b"22011");
    pub const CARDINALITY_VIOLATION: SqlState = SqlState(*b"21000");
    pub const NOT_NULL_VIOLATION: SqlState = SqlState(*b"23502");
    pub const UNIQUE_VIOLATION: SqlState = SqlState(*b"23505");
    pub const INVALID_ARGUMENT_FOR_POWER: SqlState = SqlState(*b"2201F");
    pub const INVALID_ARGUMENT_FOR_LOGARITHM: SqlState = SqlState(*b"2201E");
    pub const ARRAY_SUBSCRIPT_ERROR: SqlState = SqlState(*b"2202E");
    pub const DATA_EXCEPTION: SqlState = SqlState(*b"22000");
    pub const UNTRANSLATABLE_CHARACTER: SqlState = SqlState(*b"22P05");
    pub const STATEMENT_TOO_COMPLEX: SqlState = SqlState(*b"54001");
    pub const DATATYPE_MISMATCH: SqlState = SqlState(*b"42804");
    pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState(*b"0A000");
    pub const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState(*b"54000");
    pub const DATA_CORRUPTED: SqlState = SqlState(*b"XX001");
    pub const INTERNAL_ERROR: SqlState = SqlState(*b"XX000");

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a value could not be computed, with Postgres' code and words. Small, because vectors of results hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EvalError(Box<EvalErrorFields>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct EvalErrorFields {
    code: SqlState,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl EvalError {
    pub fn new(code: SqlState, message: impl Into<String>) -> EvalError {
        EvalError(Box::new(EvalErrorFields { code, message: message.into(), detail: None, hint: None }))
    }
    pub fn with_detail(mut self, detail: impl Into<String>) -> EvalError {
        self.0.detail = Some(detail.into());
        self
    }
    pub fn with_hint(mut self, hint: impl Into<String>) -> EvalError {
        self.0.hint = Some(hint.into());
        self
    }
    pub fn code(&self) -> SqlState {
        self.0.code
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

    pub fn division_by_zero() -> EvalError {
        EvalError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
    }
    /// `integer out of range`: `what` is the SQL name of the type.
    pub fn out_of_range(what: &str) -> EvalError {
        EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
    }
    /// `invalid input syntax for type integer: "x"`.
    pub fn invalid_syntax(type_name: &str, input: &str) -> EvalError {
        EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {type_name}: \"{input}\""))
    }
    pub fn more_than_one_row() -> EvalError {
        EvalError::new(SqlState::CARDINALITY_VIOLATION, "more than one row returned by a subquery used as an expression")
    }

    /// The error as a row (code, message, detail, hint), which is how collections of errors carry it.
    pub fn to_row(&self) -> Row {
        Row::pack([
            Datum::Text(self.0.code.as_str()),
            Datum::Text(&self.0.message),
            self.0.detail.as_deref().map_or(Datum::Null, Datum::Text),
            self.0.hint.as_deref().map_or(Datum::Null, Datum::Text),
        ])
    }
    /// The inverse of [`EvalError::to_row`]. A row of another shape becomes an internal error that shows it.
    pub fn from_row(row: &Row) -> EvalError {
        let mut datums = row.iter();
        let mut text = || match datums.next() {
            Some(Datum::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        let (code, message, detail, hint) = (text(), text(), text(), text());
        let code = code.and_then(|code| <[u8; 5]>::try_from(code.as_bytes()).ok()).map_or(SqlState::INTERNAL_ERROR, SqlState);
        let message = message.unwrap_or_else(|| "an error row without a message".to_string());
        EvalError(Box::new(EvalErrorFields { code, message, detail, hint }))
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for EvalError {}

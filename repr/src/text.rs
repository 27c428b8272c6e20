//! Postgres' text input and output of every type.

use crate::{ColumnType, Datum, EvalError, RowBuilder, TimeZone, Type};

/// The session settings that text output and input depend on.
#[derive(Clone, Debug)]
pub struct TextContext {
    pub time_zone: TimeZone,
    /// `bytea_output = hex` (the default) or `escape`.
    pub bytea_hex: bool,
    /// `extra_float_digits`; 1 and more mean the shortest text that reads back.
    pub extra_float_digits: i32,
    /// What `now`, `today`, `tomorrow`, `yesterday` in date and time input mean; `None` refuses them (maintained views).
    pub now: Option<crate::SqlTimestampTz>,
}

impl Default for TextContext {
    fn default() -> TextContext {
        TextContext { time_zone: TimeZone::UTC, bytea_hex: true, extra_float_digits: 1, now: None }
    }
}

/// Appends the text of a datum of type `typ`. The datum must not be NULL.
pub fn write(_datum: &Datum<'_>, _typ: &Type, _context: &TextContext, _out: &mut String) {
    todo!()
}

/// Reads a datum of `typ` and appends it to `out`; the modifier is *not* applied.
pub fn read(_text: &str, _typ: &Type, _context: &TextContext, _out: &mut RowBuilder) -> Result<(), EvalError> {
    todo!()
}

/// Applies a modifier (`varchar(3)`, `numeric(5,2)`, `timestamp(3)`) to a datum and appends the result.
/// `explicit`: an explicit cast truncates strings that an assignment refuses (22001).
pub fn apply_modifier(_datum: Datum<'_>, _column_type: &ColumnType, _explicit: bool, _out: &mut RowBuilder) -> Result<(), EvalError> {
    todo!()
}

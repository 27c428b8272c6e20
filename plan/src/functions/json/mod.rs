//! `jsonb` and `json`: access, containment, change, and values made JSON.

mod access;
mod build;
mod change;
mod plain;
pub(crate) mod raw;
mod texts;

use super::lift::Table;
use repr::{Array, Datum, EvalError, Jsonb, JsonbBuf, JsonbView, SqlState};

pub fn register(table: &mut Table) {
    access::register(table);
    build::register(table);
    change::register(table);
    plain::register(table);
    texts::register(table);
}

fn invalid(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// What `->>` gives for a value: a string without its quotes, `null` as NULL.
fn write_unquoted(value: Jsonb<'_>, out: &mut String) -> Option<()> {
    match value.view() {
        JsonbView::Null => return None,
        JsonbView::String(text) => out.push_str(text),
        _ => value.write_text(out),
    }
    Some(())
}

/// One step of a path: a key of an object, a position of an array.
fn step<'a>(value: Jsonb<'a>, step: &str) -> Option<Jsonb<'a>> {
    match value.view() {
        JsonbView::Object(_) => value.get_field(step),
        JsonbView::Array(_) => value.get_element(step.parse().ok()?),
        _ => None,
    }
}

/// Follows a path; a NULL in it leads nowhere.
fn follow<'a, 'p>(value: Jsonb<'a>, path: impl Iterator<Item = Datum<'p>>) -> Option<Jsonb<'a>> {
    let mut value = value;
    for datum in path {
        match datum {
            Datum::Text(text) => value = step(value, text)?,
            _ => return None,
        }
    }
    Some(value)
}

/// The texts of a path that may not hold NULL.
fn path_texts(path: Array<'_>) -> Result<Vec<&str>, EvalError> {
    let mut texts = Vec::new();
    for (position, datum) in path.elements().enumerate() {
        match datum {
            Datum::Text(text) => texts.push(text),
            _ => return Err(EvalError::new(SqlState(*b"22004"), format!("path element at position {} is null", position + 1))),
        }
    }
    Ok(texts)
}

fn object(members: Vec<(&str, Jsonb<'_>)>) -> JsonbBuf {
    JsonbBuf::from_view(&JsonbView::Object(members))
}
fn array(elements: Vec<Jsonb<'_>>) -> JsonbBuf {
    JsonbBuf::from_view(&JsonbView::Array(elements))
}

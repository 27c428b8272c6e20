//! `json`: text that is JSON. Access parses it; what comes out is in the normal form of `jsonb`.

use super::super::lift::Table;
use super::super::typed as t;
use super::{follow, invalid, write_unquoted};
use repr::{EvalError, Jsonb, JsonbBuf, JsonbView};

fn with<T>(text: &str, read: impl FnOnce(Jsonb<'_>) -> T) -> Result<T, EvalError> {
    JsonbBuf::parse(text).map(|value| read(value.as_ref()))
}

fn field<'a>(value: Jsonb<'a>, key: &str) -> Option<Jsonb<'a>> {
    matches!(value.view(), JsonbView::Object(_)).then(|| value.get_field(key))?
}
fn element(value: Jsonb<'_>, position: i32) -> Option<Jsonb<'_>> {
    matches!(value.view(), JsonbView::Array(_)).then(|| value.get_element(i64::from(position)))?
}

pub fn register(table: &mut Table) {
    table
        .entry::<(t::Json, t::Text), t::Json>("->", "The member of an object.")
        .writes(|(text, key), out| with(text, |value| field(value, key).map(|found| found.write_text(out))));
    table
        .entry::<(t::Json, t::Int4), t::Json>("->", "The element of an array, counted from 0, or from the end if negative.")
        .writes(|(text, position), out| with(text, |value| element(value, position).map(|found| found.write_text(out))));
    table
        .entry::<(t::Json, t::Text), t::Text>("->>", "The member of an object as text.")
        .writes(|(text, key), out| with(text, |value| write_unquoted(field(value, key)?, out)));
    table
        .entry::<(t::Json, t::Int4), t::Text>("->>", "The element of an array as text.")
        .writes(|(text, position), out| with(text, |value| write_unquoted(element(value, position)?, out)));
    table
        .entry::<(t::Json, t::TextArray), t::Json>("#>", "The value at a path.")
        .writes(|(text, path), out| with(text, |value| follow(value, path.elements()).map(|found| found.write_text(out))));
    table
        .entry::<(t::Json, t::TextArray), t::Text>("#>>", "The value at a path as text.")
        .writes(|(text, path), out| with(text, |value| write_unquoted(follow(value, path.elements())?, out)));
    table.entry::<(t::Json,), t::Text>("json_typeof", "The kind of a value.").writes(|(text,), out| {
        with(text, |value| {
            out.push_str(match value.view() {
                JsonbView::Null => "null",
                JsonbView::Bool(_) => "boolean",
                JsonbView::Number(_) => "number",
                JsonbView::String(_) => "string",
                JsonbView::Array(_) => "array",
                JsonbView::Object(_) => "object",
            })
        })
    });
    table.entry::<(t::Json,), t::Int4>("json_array_length", "How many elements.").returns(|(text,)| {
        with(text, |value| match value.view() {
            JsonbView::Array(elements) => Ok(elements.len() as i32),
            JsonbView::Object(_) => Err(invalid("cannot get array length of a non-array")),
            _ => Err(invalid("cannot get array length of a scalar")),
        })?
    });
}

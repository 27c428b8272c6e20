//! `json`: text that is JSON. What comes out of it is written as it was.

use super::super::lift::{Shape, Table};
use super::super::typed as t;
use super::invalid;
use super::raw::{Kind, Raw};
use repr::{Datum, EvalError, SqlState, Type};

fn follow<'a, 'p>(text: &'a str, path: impl Iterator<Item = Datum<'p>>) -> Result<Option<Raw<'a>>, EvalError> {
    let mut value = Raw::new(text);
    for datum in path {
        let Datum::Text(step) = datum else { return Ok(None) };
        match value.step(step)? {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The value's text in the form of `json`, or (`as_text`) what `->>` gives: a string without its quotes, `null` as NULL.
fn write(found: Option<Raw<'_>>, as_text: bool, out: &mut String) -> Result<Option<()>, EvalError> {
    match found {
        None => return Ok(None),
        Some(found) if as_text && found.kind() == Kind::Null => return Ok(None),
        Some(found) if as_text => out.push_str(&found.unquoted()?),
        Some(found) => out.push_str(found.as_str()),
    }
    Ok(Some(()))
}

fn member<'a>(text: &'a str, key: &str) -> Result<Option<Raw<'a>>, EvalError> {
    let value = Raw::new(text);
    if value.kind() == Kind::Object { value.member(key) } else { Ok(None) }
}

fn element(text: &str, position: i32) -> Option<Raw<'_>> {
    Raw::new(text).element(i64::from(position))
}

pub fn register(table: &mut Table) {
    table
        .entry::<(t::Json, t::Text), t::Json>("->", "The member of an object.")
        .writes(|(text, key), out| write(member(text, key)?, false, out));
    table
        .entry::<(t::Json, t::Int4), t::Json>("->", "The element of an array, counted from 0, or from the end if negative.")
        .writes(|(text, position), out| write(element(text, position), false, out));
    table
        .entry::<(t::Json, t::Text), t::Text>("->>", "The member of an object as text.")
        .writes(|(text, key), out| write(member(text, key)?, true, out));
    table
        .entry::<(t::Json, t::Int4), t::Text>("->>", "The element of an array as text.")
        .writes(|(text, position), out| write(element(text, position), true, out));
    table
        .entry::<(t::Json, t::TextArray), t::Json>("#>", "The value at a path.")
        .writes(|(text, path), out| write(follow(text, path.elements())?, false, out));
    table
        .entry::<(t::Json, t::TextArray), t::Text>("#>>", "The value at a path as text.")
        .writes(|(text, path), out| write(follow(text, path.elements())?, true, out));
    for (name, result) in [("json_extract_path", Type::Json), ("json_extract_path_text", Type::Text)] {
        let as_text = result == Type::Text;
        let shape = Shape::new(name, "The value at the path the arguments spell.", vec![Type::Json, Type::Text], result);
        table.datums(
            shape.variadic().can_fail().can_be_null(),
            |_| String::new(),
            move |buffer, datums, out| {
                let Some((Datum::Text(text), path)) = datums.split_first() else {
                    return Err(EvalError::new(SqlState::INTERNAL_ERROR, "a path is followed in json"));
                };
                buffer.clear();
                out.push(match write(follow(text, path.iter().cloned())?, as_text, buffer)? {
                    Some(()) => Datum::Text(buffer),
                    None => Datum::Null,
                });
                Ok(())
            },
        );
    }
    table.entry::<(t::Json,), t::Text>("json_typeof", "The kind of a value.").writes(|(text,), out| {
        out.push_str(match Raw::new(text).kind() {
            Kind::Null => "null",
            Kind::Bool => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        })
    });
    table.entry::<(t::Json,), t::Int4>("json_array_length", "How many elements.").returns(|(text,)| match Raw::new(text).kind() {
        Kind::Array => Ok(Raw::new(text).elements().count() as i32),
        Kind::Object => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    });
    table
        .entry::<(t::Json,), t::Json>("json_strip_nulls", "The value without the members of objects that are null.")
        .writes(|(text,), out| strip_nulls(Raw::new(text), out));
}

fn strip_nulls(value: Raw<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            out.push('{');
            for (number, (key, member)) in value.members().filter(|(_, member)| member.kind() != Kind::Null).enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                out.push_str(key.as_str());
                out.push(':');
                strip_nulls(member, out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (number, element) in value.elements().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                strip_nulls(element, out);
            }
            out.push(']');
        }
        _ => out.push_str(value.as_str()),
    }
}

//! Reading parts of `jsonb`: `->`, `->>`, `#>`, `#>>`, `@>`, `<@`, `?`, `?|`, `?&`.

use super::super::lift::{Shape, Table};
use super::super::typed as t;
use super::{follow, invalid, step, write_unquoted};
use repr::{Array, Datum, EvalError, Jsonb, JsonbView, SqlState, Type};

fn push(value: Jsonb<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(value.as_encoded())
}

fn has_key(value: Jsonb<'_>, key: &str) -> bool {
    match value.view() {
        JsonbView::Object(_) => value.get_field(key).is_some(),
        JsonbView::Array(elements) => elements.iter().any(|element| matches!(element.view(), JsonbView::String(text) if text == key)),
        JsonbView::String(text) => text == key,
        _ => false,
    }
}

fn texts<'a>(array: Array<'a>) -> impl Iterator<Item = &'a str> {
    array.elements().filter_map(|datum| match datum {
        Datum::Text(text) => Some(text),
        _ => None,
    })
}

fn is_object(value: Jsonb<'_>) -> bool {
    matches!(value.view(), JsonbView::Object(_))
}
fn is_array(value: Jsonb<'_>) -> bool {
    matches!(value.view(), JsonbView::Array(_))
}

pub fn register(table: &mut Table) {
    for name in ["->", "jsonb_object_field"] {
        table
            .entry::<(t::Jsonb, t::Text), t::Jsonb>(name, "The member of an object.")
            .writes(|(value, key), out| if is_object(value) { value.get_field(key).map(|field| push(field, out)) } else { None });
    }
    for name in ["->", "jsonb_array_element"] {
        table.entry::<(t::Jsonb, t::Int4), t::Jsonb>(name, "The element of an array, counted from 0, or from the end if negative.").writes(
            |(value, position), out| if is_array(value) { value.get_element(i64::from(position)).map(|element| push(element, out)) } else { None },
        );
    }
    for name in ["->>", "jsonb_object_field_text"] {
        table
            .entry::<(t::Jsonb, t::Text), t::Text>(name, "The member of an object as text.")
            .writes(|(value, key), out| if is_object(value) { write_unquoted(value.get_field(key)?, out) } else { None });
    }
    for name in ["->>", "jsonb_array_element_text"] {
        table
            .entry::<(t::Jsonb, t::Int4), t::Text>(name, "The element of an array as text, counted from 0, or from the end if negative.")
            .writes(|(value, position), out| if is_array(value) { write_unquoted(value.get_element(i64::from(position))?, out) } else { None });
    }
    table
        .entry::<(t::Jsonb, t::TextArray), t::Jsonb>("#>", "The value at a path.")
        .writes(|(value, path), out| follow(value, path.elements()).map(|found| push(found, out)));
    table
        .entry::<(t::Jsonb, t::TextArray), t::Text>("#>>", "The value at a path as text.")
        .writes(|(value, path), out| write_unquoted(follow(value, path.elements())?, out));
    for (name, result) in [("jsonb_extract_path", Type::Jsonb), ("jsonb_extract_path_text", Type::Text)] {
        let as_text = result == Type::Text;
        let shape = Shape::new(name, "The value at the path the arguments spell.", vec![Type::Jsonb, Type::Text], result).variadic().can_be_null();
        table.datums(
            shape,
            |_| String::new(),
            move |buffer, datums, out| {
                let Some((Datum::Jsonb(value), path)) = datums.split_first() else {
                    return Err(EvalError::new(SqlState::INTERNAL_ERROR, "jsonb_extract_path takes a jsonb and a path"));
                };
                let found = follow(*value, path.iter().cloned());
                buffer.clear();
                out.push(match found {
                    Some(found) if as_text => write_unquoted(found, buffer).map_or(Datum::Null, |()| Datum::Text(buffer)),
                    Some(found) => Datum::Jsonb(found),
                    None => Datum::Null,
                });
                Ok(())
            },
        );
    }
    tests(table);
    measures(table);
}

fn tests(table: &mut Table) {
    table
        .entry::<(t::Jsonb, t::Jsonb), t::Bool>("@>", "Whether the left value contains the right one.")
        .returns(|(left, right)| left.contains(right));
    table
        .entry::<(t::Jsonb, t::Jsonb), t::Bool>("<@", "Whether the right value contains the left one.")
        .returns(|(left, right)| right.contains(left));
    for name in ["?", "jsonb_exists"] {
        table.entry::<(t::Jsonb, t::Text), t::Bool>(name, "Whether the text is a key or an element.").returns(|(value, key)| has_key(value, key));
    }
    for name in ["?|", "jsonb_exists_any"] {
        table
            .entry::<(t::Jsonb, t::TextArray), t::Bool>(name, "Whether one of the texts is a key or an element.")
            .returns(|(value, keys)| texts(keys).any(|key| has_key(value, key)));
    }
    for name in ["?&", "jsonb_exists_all"] {
        table
            .entry::<(t::Jsonb, t::TextArray), t::Bool>(name, "Whether each of the texts is a key or an element.")
            .returns(|(value, keys)| texts(keys).all(|key| has_key(value, key)));
    }
}

fn measures(table: &mut Table) {
    table.entry::<(t::Jsonb,), t::Text>("jsonb_typeof", "The kind of a value.").writes(|(value,), out| {
        out.push_str(match value.view() {
            JsonbView::Null => "null",
            JsonbView::Bool(_) => "boolean",
            JsonbView::Number(_) => "number",
            JsonbView::String(_) => "string",
            JsonbView::Array(_) => "array",
            JsonbView::Object(_) => "object",
        })
    });
    table.entry::<(t::Jsonb,), t::Int4>("jsonb_array_length", "How many elements.").returns(|(value,)| match value.view() {
        JsonbView::Array(elements) => Ok(elements.len() as i32),
        JsonbView::Object(_) => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    });
    table.entry::<(t::Jsonb,), t::Text>("jsonb_pretty", "The value as indented text.").writes(|(value,), out| pretty(value, 0, out));
    // `value['step']...`, the subscript of jsonb.
    table
        .entry::<(t::Jsonb, t::Text), t::Jsonb>("jsonb_subscript", "The member or element a subscript names.")
        .writes(|(value, key), out| step(value, key).map(|found| push(found, out)));
}

const INDENT: usize = 4;

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

fn pretty(value: Jsonb<'_>, depth: usize, out: &mut String) {
    match value.view() {
        JsonbView::Array(elements) => {
            out.push('[');
            for (number, element) in elements.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                new_line(depth + 1, out);
                pretty(*element, depth + 1, out);
            }
            new_line(depth, out);
            out.push(']');
        }
        JsonbView::Object(members) => {
            out.push('{');
            for (number, (key, member)) in members.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                new_line(depth + 1, out);
                repr::JsonbBuf::from_view(&JsonbView::String(key)).as_ref().write_text(out);
                out.push_str(": ");
                pretty(*member, depth + 1, out);
            }
            new_line(depth, out);
            out.push('}');
        }
        _ => value.write_text(out),
    }
}

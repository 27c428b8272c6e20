//! Objects out of arrays of texts, `jsonb_set_lax`, and `VARIADIC` twins that take whole arrays.

use super::super::lift::Table;
use super::super::typed::{self as t, Nullable};
use super::{change, invalid, object};
use repr::{Array, Datum, EvalError, JsonbBuf, JsonbView, SqlState};

const NULL_NOT_ALLOWED: SqlState = SqlState(*b"22004");

fn subscript_error(message: &str) -> EvalError {
    EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

/// Keys and values: alternating, or each pair a row of a two-dimensional array. NULL keys are refused.
fn pairs(array: Array<'_>) -> Result<Vec<(&str, Option<&str>)>, EvalError> {
    match &array.dimensions()[..] {
        [] => {}
        [dimension] if dimension.length % 2 == 1 => return Err(subscript_error("array must have even number of elements")),
        [_] => {}
        [_, columns] if columns.length != 2 => return Err(subscript_error("array must have two columns")),
        [_, _] => {}
        _ => return Err(subscript_error("wrong number of array subscripts")),
    }
    let texts: Vec<Option<&str>> = array.elements().map(text).collect();
    texts.chunks_exact(2).map(|pair| key(pair[0]).map(|key| (key, pair[1]))).collect()
}

/// Keys of one array, values of another.
fn zipped<'a>(keys: Array<'a>, values: Array<'a>) -> Result<Vec<(&'a str, Option<&'a str>)>, EvalError> {
    if keys.dimensions().len() > 1 || values.dimensions().len() > 1 {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    if keys.len() != values.len() {
        return Err(subscript_error("mismatched array dimensions"));
    }
    keys.elements().map(text).zip(values.elements().map(text)).map(|(name, value)| key(name).map(|name| (name, value))).collect()
}

fn text(datum: Datum<'_>) -> Option<&str> {
    if let Datum::Text(text) = datum { Some(text) } else { None }
}

fn key(key: Option<&str>) -> Result<&str, EvalError> {
    key.ok_or_else(|| EvalError::new(NULL_NOT_ALLOWED, "null value not allowed for object key"))
}

fn as_jsonb(pairs: Vec<(&str, Option<&str>)>) -> JsonbBuf {
    let values: Vec<JsonbBuf> = pairs.iter().map(|(_, value)| JsonbBuf::from_view(&value.map_or(JsonbView::Null, JsonbView::String))).collect();
    object(pairs.iter().zip(&values).map(|((key, _), value)| (*key, value.as_ref())).collect())
}

fn write(pairs: Vec<(&str, Option<&str>)>, out: &mut String) {
    out.push('{');
    for (number, (key, value)) in pairs.into_iter().enumerate() {
        out.push_str(if number > 0 { ", " } else { "" });
        repr::write_json_string(key, out);
        out.push_str(" : ");
        match value {
            Some(value) => repr::write_json_string(value, out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}

pub fn register(table: &mut Table) {
    type Two = (t::TextArray, t::TextArray);
    const ONE_ARRAY: &str = "An object of an array's alternating keys and values.";
    const TWO_ARRAYS: &str = "An object of keys and values.";
    table.entry::<(t::TextArray,), t::Jsonb>("jsonb_object", ONE_ARRAY).returns(|(array,)| pairs(array).map(as_jsonb));
    table.entry::<Two, t::Jsonb>("jsonb_object", TWO_ARRAYS).returns(|(keys, values)| zipped(keys, values).map(as_jsonb));
    table.entry::<(t::TextArray,), t::Json>("json_object", ONE_ARRAY).writes(|(array,), out| pairs(array).map(|pairs| write(pairs, out)));
    table.entry::<Two, t::Json>("json_object", TWO_ARRAYS).writes(|(keys, values), out| zipped(keys, values).map(|pairs| write(pairs, out)));
    set_lax(table);
}

fn set_lax(table: &mut Table) {
    type Value = (Nullable<t::Jsonb>, Nullable<t::TextArray>, Nullable<t::Jsonb>);
    type Create = (Nullable<t::Jsonb>, Nullable<t::TextArray>, Nullable<t::Jsonb>, Nullable<t::Bool>);
    type Treatment = (Nullable<t::Jsonb>, Nullable<t::TextArray>, Nullable<t::Jsonb>, Nullable<t::Bool>, Nullable<t::Text>);
    const DESCRIPTION: &str = "As jsonb_set; a new value that is NULL is treated as the last argument says.";
    const DEFAULT: Option<&str> = Some("use_json_null");
    table
        .entry::<Value, t::Jsonb>("jsonb_set_lax", DESCRIPTION)
        .returns(|(value, path, new)| lax(value, path, new, Some(true), DEFAULT));
    table
        .entry::<Create, t::Jsonb>("jsonb_set_lax", DESCRIPTION)
        .returns(|(value, path, new, create)| lax(value, path, new, create, DEFAULT));
    table
        .entry::<Treatment, t::Jsonb>("jsonb_set_lax", DESCRIPTION)
        .returns(|(value, path, new, create, treatment)| lax(value, path, new, create, treatment));
}

fn lax(
    value: Option<repr::Jsonb<'_>>,
    path: Option<Array<'_>>,
    new: Option<repr::Jsonb<'_>>,
    create: Option<bool>,
    treatment: Option<&str>,
) -> Result<Option<JsonbBuf>, EvalError> {
    let (Some(value), Some(path), Some(create)) = (value, path, create) else { return Ok(None) };
    let wrong = "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"";
    let treatment = treatment.ok_or_else(|| invalid(wrong))?;
    if let Some(new) = new {
        return change::set(value, path, new, create).map(Some);
    }
    match treatment {
        "raise_exception" => Err(EvalError::new(NULL_NOT_ALLOWED, "JSON value must not be null")
            .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")),
        "use_json_null" => change::set(value, path, JsonbBuf::from_view(&JsonbView::Null).as_ref(), create).map(Some),
        "delete_key" => change::delete(value, path).map(Some),
        "return_target" => Ok(Some(value.to_buf())),
        _ => Err(invalid(wrong)),
    }
}

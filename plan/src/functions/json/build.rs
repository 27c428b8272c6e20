//! Values made JSON: `to_jsonb`, `jsonb_build_object`, `jsonb_build_array` and their `json` twins.

use super::super::lift::{Call, Shape, Table};
use super::{array, object};
use repr::text::TextContext;
use repr::{Datum, EvalError, Jsonb, JsonbBuf, JsonbView, Numeric, SqlState, Type};

/// What converting any value needs.
struct Converter {
    types: Vec<Type>,
    context: TextContext,
}

impl Converter {
    fn new(call: &Call<'_>) -> Converter {
        Converter { types: call.arguments.iter().map(|argument| argument.scalar.clone()).collect(), context: call.context.text.clone() }
    }
    fn type_of(&self, position: usize) -> &Type {
        self.types.get(position).unwrap_or(&Type::Text)
    }
}

/// How many levels of arrays and records a value may have.
const DEPTH_MAX: usize = 100;

/// A SQL value as JSON; NULL becomes `null`.
pub fn to_jsonb(datum: &Datum<'_>, scalar: &Type, context: &TextContext, depth: usize) -> Result<JsonbBuf, EvalError> {
    if depth > DEPTH_MAX {
        return Err(EvalError::new(SqlState(*b"54001"), "stack depth limit exceeded"));
    }
    let number = |number: Numeric| JsonbBuf::from_view(&JsonbView::Number(number));
    Ok(match datum {
        Datum::Null => JsonbBuf::from_view(&JsonbView::Null),
        Datum::Bool(value) => JsonbBuf::from_view(&JsonbView::Bool(*value)),
        Datum::Int2(value) => number(Numeric::from(*value)),
        Datum::Int4(value) => number(Numeric::from(*value)),
        Datum::Int8(value) => number(Numeric::from(*value)),
        Datum::Numeric(value) if value.is_finite() => number(value.clone()),
        Datum::Float4(value) if value.is_finite() => text_number(datum, scalar, context)?,
        Datum::Float8(value) if value.is_finite() => text_number(datum, scalar, context)?,
        Datum::Jsonb(value) => value.to_buf(),
        Datum::Text(text) if *scalar == Type::Json => JsonbBuf::parse(text)?,
        Datum::Array(value) => {
            let element_type = scalar.element().unwrap_or(&Type::Text);
            let mut level = Vec::new();
            for element in value.elements() {
                level.push(to_jsonb(&element, element_type, context, depth + 1)?);
            }
            nest(level, &value.dimensions().iter().map(|dimension| dimension.length as usize).collect::<Vec<_>>())
        }
        Datum::Record(record) => {
            let types: &[Type] = if let Type::Record(types) = scalar { types } else { &[] };
            let mut fields = Vec::new();
            for (number, field) in record.iter().enumerate() {
                let value = to_jsonb(&field, types.get(number).unwrap_or(&Type::Text), context, depth + 1)?;
                fields.push((format!("f{}", number + 1), value));
            }
            object(fields.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect())
        }
        datum => {
            let mut text = String::new();
            repr::text::write(datum, scalar, context, &mut text);
            // Timestamps in JSON follow ISO 8601.
            if matches!(scalar, Type::Timestamp | Type::TimestampTz) {
                text = iso_timestamp(&text, *scalar == Type::TimestampTz);
            }
            JsonbBuf::from_view(&JsonbView::String(&text))
        }
    })
}

/// `2024-01-02 03:04:05+02` as `2024-01-02T03:04:05+02:00`.
fn iso_timestamp(text: &str, has_zone: bool) -> String {
    let mut iso = text.replacen(' ', "T", 1);
    let (body, era) = match iso.strip_suffix(" BC") {
        Some(body) => (body.to_string(), " BC"),
        None => (iso.clone(), ""),
    };
    if has_zone && body.len() >= 3 && body.as_bytes().get(body.len() - 3).is_some_and(|sign| matches!(sign, b'+' | b'-')) {
        iso = format!("{body}:00{era}");
    }
    iso
}

fn text_number(datum: &Datum<'_>, scalar: &Type, context: &TextContext) -> Result<JsonbBuf, EvalError> {
    let mut text = String::new();
    repr::text::write(datum, scalar, context, &mut text);
    JsonbBuf::parse(&text)
}

/// Elements in row-major order as arrays of arrays.
fn nest(elements: Vec<JsonbBuf>, lengths: &[usize]) -> JsonbBuf {
    let mut level = elements;
    for &length in lengths.iter().skip(1).rev() {
        level = level.chunks(length.max(1)).map(|chunk| array(chunk.iter().map(JsonbBuf::as_ref).collect())).collect();
    }
    array(level.iter().map(JsonbBuf::as_ref).collect())
}

/// A key of an object that is built: the text of any value that is not NULL and no array, record or JSON.
fn key_text(datum: &Datum<'_>, scalar: &Type, context: &TextContext, position: usize) -> Result<String, EvalError> {
    let mut text = String::new();
    match datum {
        Datum::Null => Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("argument {position}: key must not be null"))),
        Datum::Array(_) | Datum::Record(_) | Datum::Jsonb(_) => {
            Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "key value must be scalar, not array, composite, or json"))
        }
        Datum::Bool(value) => Ok(value.to_string()),
        datum => {
            repr::text::write(datum, scalar, context, &mut text);
            Ok(text)
        }
    }
}

fn build_object(converter: &Converter, datums: &[Datum<'_>]) -> Result<JsonbBuf, EvalError> {
    if !datums.len().is_multiple_of(2) {
        let error = EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "argument list must have even number of elements");
        return Err(error.with_hint("The arguments of jsonb_build_object() must consist of alternating keys and values."));
    }
    let mut members = Vec::new();
    for (number, pair) in datums.chunks_exact(2).enumerate() {
        let position = number * 2;
        let key = key_text(&pair[0], converter.type_of(position), &converter.context, position + 1)?;
        members.push((key, to_jsonb(&pair[1], converter.type_of(position + 1), &converter.context, 0)?));
    }
    Ok(object(members.iter().map(|(key, value)| (key.as_str(), value.as_ref())).collect()))
}

fn build_array(converter: &Converter, datums: &[Datum<'_>]) -> Result<JsonbBuf, EvalError> {
    let elements = datums.iter().enumerate().map(|(position, datum)| to_jsonb(datum, converter.type_of(position), &converter.context, 0));
    let elements = elements.collect::<Result<Vec<_>, _>>()?;
    Ok(array(elements.iter().map(JsonbBuf::as_ref).collect()))
}

fn push(value: Jsonb<'_>, as_json: bool, out: &mut repr::RowBuilder) {
    if as_json {
        let mut text = String::new();
        value.write_text(&mut text);
        out.push(Datum::Text(&text));
    } else {
        out.push(Datum::Jsonb(value));
    }
}

pub fn register(table: &mut Table) {
    for (to, build_object_name, build_array_name, result) in
        [("to_jsonb", "jsonb_build_object", "jsonb_build_array", Type::Jsonb), ("to_json", "json_build_object", "json_build_array", Type::Json)]
    {
        let as_json = result == Type::Json;
        let shape = Shape::new(to, "The value as JSON.", vec![Type::Any], result.clone()).can_fail();
        table.datums(shape, Converter::new, move |converter, datums, out| {
            for (position, datum) in datums.iter().enumerate() {
                push(to_jsonb(datum, converter.type_of(position), &converter.context, 0)?.as_ref(), as_json, out);
            }
            Ok(())
        });
        for shape in [
            Shape::new(build_object_name, "An object of alternating keys and values.", vec![], result.clone()).can_fail(),
            Shape::new(build_object_name, "An object of alternating keys and values.", vec![Type::Any], result.clone())
                .variadic()
                .called_on_null()
                .can_fail(),
        ] {
            table.datums(shape, Converter::new, move |converter, datums, out| {
                push(build_object(converter, datums)?.as_ref(), as_json, out);
                Ok(())
            });
        }
        for shape in [
            Shape::new(build_array_name, "An array of the arguments.", vec![], result.clone()).can_fail(),
            Shape::new(build_array_name, "An array of the arguments.", vec![Type::Any], result.clone()).variadic().called_on_null().can_fail(),
        ] {
            table.datums(shape, Converter::new, move |converter, datums, out| {
                push(build_array(converter, datums)?.as_ref(), as_json, out);
                Ok(())
            });
        }
    }
}

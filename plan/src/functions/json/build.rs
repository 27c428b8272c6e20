//! Values made JSON: `to_jsonb`, `jsonb_build_object`, `jsonb_build_array` and their `json` twins.

use super::super::lift::{Call, Shape, Table};
use super::{array, object};
use repr::text::TextContext;
use repr::{Datum, EvalError, JsonbBuf, JsonbView, Numeric, SqlState, Type};

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

fn even(datums: &[Datum<'_>], name: &str) -> Result<(), EvalError> {
    if datums.len().is_multiple_of(2) {
        return Ok(());
    }
    let error = EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "argument list must have even number of elements");
    Err(error.with_hint(format!("The arguments of {name}() must consist of alternating keys and values.")))
}

fn build_object(converter: &Converter, datums: &[Datum<'_>]) -> Result<JsonbBuf, EvalError> {
    even(datums, "jsonb_build_object")?;
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

/// What `json` puts between the members of an object and its keys and values: the builders of one value write no blanks.
struct Style {
    separator: &'static str,
    colon: &'static str,
}
const BUILT: Style = Style { separator: ", ", colon: " : " };
const CONVERTED: Style = Style { separator: ",", colon: ":" };

/// A SQL value as the text of `json`; NULL becomes `null`.
pub fn write_json(datum: &Datum<'_>, scalar: &Type, context: &TextContext, depth: usize, out: &mut String) -> Result<(), EvalError> {
    if depth > DEPTH_MAX {
        return Err(EvalError::new(SqlState(*b"54001"), "stack depth limit exceeded"));
    }
    let element_type = |position: usize| match scalar {
        Type::Record(types) => types.get(position).cloned().unwrap_or(Type::Text),
        scalar => scalar.element().cloned().unwrap_or(Type::Text),
    };
    match datum {
        Datum::Null => out.push_str("null"),
        Datum::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => repr::text::write(datum, scalar, context, out),
        Datum::Numeric(value) if value.is_finite() => repr::text::write(datum, scalar, context, out),
        Datum::Float4(value) if value.is_finite() => repr::text::write(datum, scalar, context, out),
        Datum::Float8(value) if value.is_finite() => repr::text::write(datum, scalar, context, out),
        Datum::Jsonb(value) => value.write_text(out),
        Datum::Text(text) if *scalar == Type::Json => out.push_str(text),
        Datum::Array(value) => {
            let mut elements = Vec::new();
            for element in value.elements() {
                let mut text = String::new();
                write_json(&element, &element_type(0), context, depth + 1, &mut text)?;
                elements.push(text);
            }
            for dimension in value.dimensions().iter().skip(1).rev() {
                elements = elements.chunks((dimension.length as usize).max(1)).map(|chunk| format!("[{}]", chunk.join(CONVERTED.separator))).collect();
            }
            out.push('[');
            out.push_str(&elements.join(CONVERTED.separator));
            out.push(']');
        }
        Datum::Record(record) => {
            out.push('{');
            for (position, field) in record.iter().enumerate() {
                out.push_str(if position > 0 { CONVERTED.separator } else { "" });
                repr::write_json_string(&format!("f{}", position + 1), out);
                out.push_str(CONVERTED.colon);
                write_json(&field, &element_type(position), context, depth + 1, out)?;
            }
            out.push('}');
        }
        datum => {
            let mut text = String::new();
            repr::text::write(datum, scalar, context, &mut text);
            if matches!(scalar, Type::Timestamp | Type::TimestampTz) {
                text = iso_timestamp(&text, *scalar == Type::TimestampTz);
            }
            repr::write_json_string(&text, out);
        }
    }
    Ok(())
}

fn write_object(converter: &Converter, datums: &[Datum<'_>], out: &mut String) -> Result<(), EvalError> {
    even(datums, "json_build_object")?;
    out.push('{');
    for (number, pair) in datums.chunks_exact(2).enumerate() {
        let position = number * 2;
        out.push_str(if number > 0 { BUILT.separator } else { "" });
        repr::write_json_string(&key_text(&pair[0], converter.type_of(position), &converter.context, position + 1)?, out);
        out.push_str(BUILT.colon);
        write_json(&pair[1], converter.type_of(position + 1), &converter.context, 0, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_array(converter: &Converter, datums: &[Datum<'_>], out: &mut String) -> Result<(), EvalError> {
    out.push('[');
    for (position, datum) in datums.iter().enumerate() {
        out.push_str(if position > 0 { BUILT.separator } else { "" });
        write_json(datum, converter.type_of(position), &converter.context, 0, out)?;
    }
    out.push(']');
    Ok(())
}

fn convert(converter: &Converter, datums: &[Datum<'_>]) -> Result<JsonbBuf, EvalError> {
    to_jsonb(datums.first().unwrap_or(&Datum::Null), converter.type_of(0), &converter.context, 0)
}

fn write_converted(converter: &Converter, datums: &[Datum<'_>], out: &mut String) -> Result<(), EvalError> {
    write_json(datums.first().unwrap_or(&Datum::Null), converter.type_of(0), &converter.context, 0, out)
}

type Build = fn(&Converter, &[Datum<'_>]) -> Result<JsonbBuf, EvalError>;
type Write = fn(&Converter, &[Datum<'_>], &mut String) -> Result<(), EvalError>;

fn makes_jsonb(table: &mut Table, shape: Shape, build: Build) {
    table.datums(shape, Converter::new, move |converter, datums, out| {
        out.push(Datum::Jsonb(build(converter, datums)?.as_ref()));
        Ok(())
    });
}

fn makes_json(table: &mut Table, shape: Shape, write: Write) {
    table.datums(
        shape,
        |call| (Converter::new(call), String::new()),
        move |(converter, text), datums, out| {
            text.clear();
            write(converter, datums, text)?;
            out.push(Datum::Text(text));
            Ok(())
        },
    );
}

pub fn register(table: &mut Table) {
    const OBJECT: &str = "An object of alternating keys and values.";
    const ARRAY: &str = "An array of the arguments.";
    let one = |name, argument: Type, result: Type| Shape::new(name, "The value as JSON.", vec![argument], result).can_fail();
    makes_jsonb(table, one("to_jsonb", Type::Any, Type::Jsonb), convert);
    for (name, argument) in [("to_json", Type::Any), ("array_to_json", Type::AnyArray), ("row_to_json", Type::Record(Vec::new()))] {
        makes_json(table, one(name, argument, Type::Json), write_converted);
    }
    for arguments in [vec![], vec![Type::Any]] {
        let built = |name, description, result: Type| {
            let shape = Shape::new(name, description, arguments.clone(), result).can_fail();
            if arguments.is_empty() { shape } else { shape.variadic().called_on_null() }
        };
        makes_jsonb(table, built("jsonb_build_object", OBJECT, Type::Jsonb), build_object);
        makes_jsonb(table, built("jsonb_build_array", ARRAY, Type::Jsonb), build_array);
        makes_json(table, built("json_build_object", OBJECT, Type::Json), write_object);
        makes_json(table, built("json_build_array", ARRAY, Type::Json), write_array);
    }
}

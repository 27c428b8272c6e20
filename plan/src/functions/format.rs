//! Texts made of any values: `concat`, `concat_ws`, `format`, and quoting.

use super::lift::{Call, Shape, Table};
use super::typed::{self as t, Nullable};
use repr::text::TextContext;
use repr::{Datum, EvalError, RowBuilder, SqlState, Type};

/// Words that are not names unless quoted.
const RESERVED_WORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char \
    character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema \
    current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch float for \
    foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join \
    lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only \
    or order out outer overlaps overlay placing position precision primary real references returning right row select session_user setof similar \
    smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic \
    verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";

/// What writing any value as text needs.
struct Writer {
    types: Vec<Type>,
    context: TextContext,
    buffer: String,
}

impl Writer {
    fn new(call: &Call<'_>) -> Writer {
        let types = call.arguments.iter().map(|argument| argument.scalar.clone()).collect();
        Writer { types, context: call.context.text.clone(), buffer: String::new() }
    }
}

/// Appends the text of a value, as its type's output function writes it; nothing for NULL.
fn write(types: &[Type], context: &TextContext, position: usize, datums: &[Datum<'_>], out: &mut String) {
    match (datums.get(position), types.get(position)) {
        (None | Some(Datum::Null), _) | (_, None) => {}
        (Some(datum), Some(scalar)) => repr::text::write(datum, scalar, context, out),
    }
}

pub fn register(table: &mut Table) {
    let shape = Shape::new("concat", "The texts of all arguments that are not NULL.", vec![Type::Any], Type::Text).variadic().called_on_null();
    table.datums(shape, Writer::new, |writer, datums, out: &mut RowBuilder| {
        writer.buffer.clear();
        for position in 0..datums.len() {
            write(&writer.types, &writer.context, position, datums, &mut writer.buffer);
        }
        out.push(Datum::Text(&writer.buffer));
        Ok(())
    });
    let shape = Shape::new(
        "concat_ws",
        "The texts of all arguments that are not NULL, with the first one between them.",
        vec![Type::Text, Type::Any],
        Type::Text,
    )
    .variadic()
    .called_on_null()
    .can_be_null();
    table.datums(shape, Writer::new, |writer, datums, out: &mut RowBuilder| {
        let Some(Datum::Text(separator)) = datums.first() else {
            out.push(Datum::Null);
            return Ok(());
        };
        writer.buffer.clear();
        let mut first = true;
        for position in (1..datums.len()).filter(|&position| !datums[position].is_null()) {
            if !std::mem::take(&mut first) {
                writer.buffer.push_str(separator);
            }
            write(&writer.types, &writer.context, position, datums, &mut writer.buffer);
        }
        out.push(Datum::Text(&writer.buffer));
        Ok(())
    });
    let shape = |arguments| {
        Shape::new("format", "A text made from a template with %s, %I and %L.", arguments, Type::Text).called_on_null().can_fail().can_be_null()
    };
    for shape in [shape(vec![Type::Text]), shape(vec![Type::Text, Type::Any]).variadic()] {
        table.datums(shape, Writer::new, |writer, datums, out: &mut RowBuilder| match datums.first() {
            Some(Datum::Text(template)) => {
                writer.buffer.clear();
                format(template, &writer.types, &writer.context, datums, &mut writer.buffer)?;
                out.push(Datum::Text(&writer.buffer));
                Ok(())
            }
            _ => {
                out.push(Datum::Null);
                Ok(())
            }
        });
    }
    quoting(table);
}

fn invalid(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// One `%[position$][flags][width]type`.
#[derive(Default)]
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
}
#[derive(Default)]
enum Width {
    #[default]
    None,
    Fixed(usize),
    /// The next argument, or the one at a position.
    Argument(Option<usize>),
}

/// More than this is Postgres' `number is out of range` too.
const NUMBER_MAX: usize = i32::MAX as usize;

fn format(template: &str, types: &[Type], context: &TextContext, datums: &[Datum<'_>], out: &mut String) -> Result<(), EvalError> {
    let mut rest = template;
    let mut next = 1;
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let specifier = parse_specifier(&mut rest)?;
        let mut characters = rest.chars();
        let conversion = characters.next().ok_or_else(unterminated)?;
        rest = characters.as_str();
        if !matches!(conversion, 's' | 'I' | 'L') {
            return Err(invalid(&format!("unrecognized format() type specifier \"{conversion}\"")).with_hint("For a single \"%\" use \"%%\"."));
        }
        let mut left = specifier.left;
        let width = match specifier.width {
            Width::None => 0,
            Width::Fixed(width) => width,
            Width::Argument(position) => {
                let position = position.unwrap_or(next);
                next = position + 1;
                let width = match datums.get(position).ok_or_else(|| invalid("too few arguments for format()"))? {
                    Datum::Null => 0,
                    Datum::Int2(width) => i64::from(*width),
                    Datum::Int4(width) => i64::from(*width),
                    Datum::Int8(width) => *width,
                    _ => return Err(invalid("the width argument of format() must be an integer")),
                };
                left |= width < 0;
                usize::try_from(width.unsigned_abs()).ok().filter(|&width| width <= super::text::VALUE_BYTES_MAX).ok_or_else(super::text::too_long)?
            }
        };
        let position = specifier.position.unwrap_or(next);
        next = position + 1;
        let argument = datums.get(position).ok_or_else(|| invalid("too few arguments for format()"))?;
        let start = out.len();
        let mut text = String::new();
        write(types, context, position, datums, &mut text);
        match (conversion, argument) {
            ('I', Datum::Null) => return Err(EvalError::new(SqlState(*b"22004"), "null values cannot be formatted as an SQL identifier")),
            ('I', _) => quote_identifier(&text, out),
            ('L', Datum::Null) => out.push_str("NULL"),
            ('L', _) => quote_literal(&text, out),
            _ => out.push_str(&text),
        }
        let missing = width.saturating_sub(out[start..].chars().count());
        if missing > 0 {
            let blanks = " ".repeat(missing);
            if left { out.push_str(&blanks) } else { out.insert_str(start, &blanks) }
        }
    }
    out.push_str(rest);
    Ok(())
}

fn unterminated() -> EvalError {
    invalid("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
}

fn parse_number(rest: &mut &str) -> Result<Option<usize>, EvalError> {
    let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    if digits == 0 {
        return Ok(None);
    }
    let number = rest[..digits].parse::<usize>().ok().filter(|&number| number <= NUMBER_MAX).ok_or_else(|| invalid("number is out of range"))?;
    *rest = &rest[digits..];
    Ok(Some(number))
}

fn parse_position(rest: &mut &str) -> Result<Option<usize>, EvalError> {
    let mut ahead = *rest;
    let number = parse_number(&mut ahead)?;
    match (number, ahead.strip_prefix('$')) {
        (Some(0), Some(_)) => Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
        (Some(position), Some(after)) => {
            *rest = after;
            Ok(Some(position))
        }
        _ => Ok(None),
    }
}

fn parse_specifier(rest: &mut &str) -> Result<Specifier, EvalError> {
    let mut specifier = Specifier { position: parse_position(rest)?, ..Specifier::default() };
    while let Some(after) = rest.strip_prefix('-') {
        specifier.left = true;
        *rest = after;
    }
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        specifier.width = Width::Argument(parse_position(rest)?);
    } else if let Some(width) = parse_number(rest)? {
        if width > super::text::VALUE_BYTES_MAX {
            return Err(super::text::too_long());
        }
        specifier.width = Width::Fixed(width);
    }
    Ok(specifier)
}

fn quote_identifier(name: &str, out: &mut String) {
    let mut characters = name.chars();
    let plain = characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && characters.all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_')
        && !RESERVED_WORDS.split_ascii_whitespace().any(|word| word == name);
    if plain {
        return out.push_str(name);
    }
    out.push('"');
    for character in name.chars() {
        if character == '"' {
            out.push('"');
        }
        out.push(character);
    }
    out.push('"');
}

fn quote_literal(text: &str, out: &mut String) {
    if text.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('\'');
}

fn quoting(table: &mut Table) {
    table.entry::<(t::Text,), t::Text>("quote_ident", "The text as an SQL identifier.").writes(|(text,), out| quote_identifier(text, out));
    table.entry::<(t::Text,), t::Text>("quote_literal", "The text as an SQL string.").writes(|(text,), out| quote_literal(text, out));
    table.entry::<(Nullable<t::Text>,), t::Text>("quote_nullable", "The text as an SQL string, or NULL as a word.").writes(
        |(text,), out| match text {
            Some(text) => quote_literal(text, out),
            None => out.push_str("NULL"),
        },
    );
}

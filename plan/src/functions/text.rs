//! Strings: length, case, trimming, padding, pieces. Positions and lengths count characters, from 1.

use super::lift::{Shape, Table};
use super::typed as t;
use repr::{Datum, EvalError, SqlState, Type};

/// The longest value Postgres makes.
pub const VALUE_BYTES_MAX: usize = (1 << 30) - 1;

pub fn register(table: &mut Table) {
    lengths(table);
    case(table);
    trimming(table);
    pieces(table);
    padding(table);
    concatenation(table);
    characters(table);
}

pub fn too_long() -> EvalError {
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

fn lengths(table: &mut Table) {
    for name in ["length", "char_length", "character_length"] {
        table.entry::<(t::Text,), t::Int4>(name, "How many characters.").returns(|(text,)| text.chars().count() as i32);
        table
            .entry::<(t::Bpchar,), t::Int4>(name, "How many characters, without the padding.")
            .returns(|(text,)| text.trim_end_matches(' ').chars().count() as i32);
    }
    table.entry::<(t::Bytea,), t::Int4>("length", "How many bytes.").returns(|(bytes,)| bytes.len() as i32);
    table.entry::<(t::Text,), t::Int4>("octet_length", "How many bytes.").returns(|(text,)| text.len() as i32);
    table.entry::<(t::Bpchar,), t::Int4>("octet_length", "How many bytes.").returns(|(text,)| text.len() as i32);
    table.entry::<(t::Bytea,), t::Int4>("octet_length", "How many bytes.").returns(|(bytes,)| bytes.len() as i32);
    table.entry::<(t::Text,), t::Int4>("bit_length", "How many bits.").returns(|(text,)| text.len() as i32 * 8);
    table.entry::<(t::Bytea,), t::Int4>("bit_length", "How many bits.").returns(|(bytes,)| bytes.len() as i32 * 8);
}

/// One character for one: those whose other case is several characters stay as they are, as in Postgres.
pub fn upper(character: char) -> char {
    let mut mapped = character.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}
pub fn lower(character: char) -> char {
    let mut mapped = character.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

fn case(table: &mut Table) {
    table.entry::<(t::Text,), t::Text>("lower", "In lower case.").writes(|(text,), out| out.extend(text.chars().map(lower)));
    table.entry::<(t::Text,), t::Text>("upper", "In upper case.").writes(|(text,), out| out.extend(text.chars().map(upper)));
    table.entry::<(t::Text,), t::Text>("initcap", "The first letter of each word in upper case, the rest in lower case.").writes(|(text,), out| {
        let mut inside = false;
        for character in text.chars() {
            out.push(if inside { lower(character) } else { upper(character) });
            inside = character.is_alphanumeric();
        }
    });
}

fn trimming(table: &mut Table) {
    for name in ["btrim", "trim"] {
        table.entry::<(t::Text,), t::Text>(name, "Without blanks at both ends.").writes(|(text,), out| out.push_str(text.trim_matches(' ')));
        table
            .entry::<(t::Text, t::Text), t::Text>(name, "Without characters of the second argument at both ends.")
            .writes(|(text, set), out| out.push_str(text.trim_matches(|character| set.contains(character))));
    }
    table.entry::<(t::Text,), t::Text>("ltrim", "Without blanks at the start.").writes(|(text,), out| out.push_str(text.trim_start_matches(' ')));
    table
        .entry::<(t::Text, t::Text), t::Text>("ltrim", "Without characters of the second argument at the start.")
        .writes(|(text, set), out| out.push_str(text.trim_start_matches(|character| set.contains(character))));
    table.entry::<(t::Text,), t::Text>("rtrim", "Without blanks at the end.").writes(|(text,), out| out.push_str(text.trim_end_matches(' ')));
    table
        .entry::<(t::Text, t::Text), t::Text>("rtrim", "Without characters of the second argument at the end.")
        .writes(|(text, set), out| out.push_str(text.trim_end_matches(|character| set.contains(character))));
    table.entry::<(t::Bytea, t::Bytea), t::Bytea>("btrim", "Without bytes of the second argument at both ends.").writes(|(bytes, set), out| {
        let start = bytes.iter().position(|byte| !set.contains(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !set.contains(byte)).map_or(start, |last| last + 1);
        out.extend_from_slice(&bytes[start..end]);
    });
}

/// The byte at which the character with this number (from 0) starts; the end if there are fewer.
fn byte_of_character(text: &str, number: usize) -> usize {
    if number >= text.len() {
        // There are at most as many characters as bytes.
        return text.len();
    }
    text.char_indices().nth(number).map_or(text.len(), |(position, _)| position)
}

/// What lies from `start` (counted from 1, maybe before the text) over `length` units, as a range counted from 0.
fn window(start: i32, length: Option<i32>) -> Result<(usize, Option<usize>), EvalError> {
    let start = i64::from(start) - 1;
    let end = match length {
        Some(length) if length < 0 => return Err(EvalError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")),
        Some(length) => Some((start + i64::from(length)).max(0) as usize),
        None => None,
    };
    Ok((start.max(0) as usize, end))
}

fn substring(text: &str, start: i32, length: Option<i32>) -> Result<&str, EvalError> {
    let (start, end) = window(start, length)?;
    let rest = &text[byte_of_character(text, start)..];
    Ok(match end {
        Some(end) => &rest[..byte_of_character(rest, end.saturating_sub(start))],
        None => rest,
    })
}

fn sub_bytes(bytes: &[u8], start: i32, length: Option<i32>) -> Result<&[u8], EvalError> {
    let (start, end) = window(start, length)?;
    let start = start.min(bytes.len());
    Ok(&bytes[start..end.unwrap_or(bytes.len()).clamp(start, bytes.len())])
}

/// The first `count` characters; all but the last ones when it is negative.
fn left(text: &str, count: i32) -> &str {
    let count = if count >= 0 { count as usize } else { text.chars().count().saturating_sub(count.unsigned_abs() as usize) };
    &text[..byte_of_character(text, count)]
}

/// The last `count` characters; all but the first ones when it is negative.
fn right(text: &str, count: i32) -> &str {
    let skipped = if count < 0 { count.unsigned_abs() as usize } else { text.chars().count().saturating_sub(count as usize) };
    &text[byte_of_character(text, skipped)..]
}

fn overlay(text: &str, new: &str, start: i32, length: i32, out: &mut String) -> Result<(), EvalError> {
    if start <= 0 {
        return Err(EvalError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start.checked_add(length).ok_or_else(super::arithmetic::integer_out_of_range)?;
    out.push_str(substring(text, 1, Some(start - 1))?);
    out.push_str(new);
    out.push_str(substring(text, after, None)?);
    Ok(())
}

fn pieces(table: &mut Table) {
    for name in ["substring", "substr"] {
        table
            .entry::<(t::Text, t::Int4), t::Text>(name, "The text from a position on.")
            .writes(|(text, start), out| substring(text, start, None).map(|piece| out.push_str(piece)));
        table
            .entry::<(t::Text, t::Int4, t::Int4), t::Text>(name, "So many characters of the text from a position on.")
            .writes(|(text, start, length), out| substring(text, start, Some(length)).map(|piece| out.push_str(piece)));
        table
            .entry::<(t::Bytea, t::Int4), t::Bytea>(name, "The bytes from a position on.")
            .writes(|(bytes, start), out| sub_bytes(bytes, start, None).map(|piece| out.extend_from_slice(piece)));
        table
            .entry::<(t::Bytea, t::Int4, t::Int4), t::Bytea>(name, "So many bytes from a position on.")
            .writes(|(bytes, start, length), out| sub_bytes(bytes, start, Some(length)).map(|piece| out.extend_from_slice(piece)));
    }
    table.entry::<(t::Text, t::Int4), t::Text>("left", "The first characters.").writes(|(text, count), out| out.push_str(left(text, count)));
    table.entry::<(t::Text, t::Int4), t::Text>("right", "The last characters.").writes(|(text, count), out| out.push_str(right(text, count)));
    table
        .entry::<(t::Text, t::Text, t::Int4), t::Text>("overlay", "Replaces as many characters as the new ones at a position.")
        .writes(|(text, new, start), out| overlay(text, new, start, new.chars().count() as i32, out));
    table
        .entry::<(t::Text, t::Text, t::Int4, t::Int4), t::Text>("overlay", "Replaces so many characters at a position.")
        .writes(|(text, new, start, length), out| overlay(text, new, start, length, out));
    table.entry::<(t::Text,), t::Text>("reverse", "The characters from the last to the first.").writes(|(text,), out| out.extend(text.chars().rev()));
}

/// Cut to `length` characters, or filled up to them: yields the text's part and the fill.
fn pad(text: &str, length: i32, fill: &str, left_side: bool, out: &mut String) -> Result<(), EvalError> {
    let length = length.max(0) as usize;
    if length.saturating_mul(4) > VALUE_BYTES_MAX {
        return Err(too_long());
    }
    let have = text.chars().count();
    if have >= length || fill.is_empty() {
        out.push_str(&text[..byte_of_character(text, length)]);
        return Ok(());
    }
    let filling = fill.chars().cycle().take(length - have);
    if left_side {
        out.extend(filling);
        out.push_str(text);
    } else {
        out.push_str(text);
        out.extend(filling);
    }
    Ok(())
}

fn padding(table: &mut Table) {
    for (name, left_side, description) in
        [("lpad", true, "Filled at the start up to a length, or cut to it."), ("rpad", false, "Filled at the end up to a length, or cut to it.")]
    {
        table.entry::<(t::Text, t::Int4), t::Text>(name, description).writes(move |(text, length), out| pad(text, length, " ", left_side, out));
        table
            .entry::<(t::Text, t::Int4, t::Text), t::Text>(name, description)
            .writes(move |(text, length, fill), out| pad(text, length, fill, left_side, out));
    }
    table.entry::<(t::Text, t::Int4), t::Text>("repeat", "The text so many times.").writes(|(text, count), out| {
        let count = count.max(0) as usize;
        if text.len().saturating_mul(count) > VALUE_BYTES_MAX {
            return Err(too_long());
        }
        for _ in 0..count {
            out.push_str(text);
        }
        Ok(())
    });
}

fn concatenation(table: &mut Table) {
    table.entry::<(t::Text, t::Text), t::Text>("||", "Both texts, one after the other.").writes(|(a, b), out| {
        out.push_str(a);
        out.push_str(b);
    });
    table.entry::<(t::Bytea, t::Bytea), t::Bytea>("||", "Both byte strings, one after the other.").writes(|(a, b), out| {
        out.extend_from_slice(a);
        out.extend_from_slice(b);
    });
    // With one operand of another type, that one is written as a cast to text writes it.
    for arguments in [vec![Type::Text, Type::AnyNonArray], vec![Type::AnyNonArray, Type::Text]] {
        let shape = Shape::new("||", "Text and the text of a value, one after the other.", arguments, Type::Text);
        table.datums(
            shape,
            |call| {
                let types: Vec<Type> = call.arguments.iter().map(|argument| argument.scalar.clone()).collect();
                (types, call.context.text.clone(), String::new())
            },
            |(types, context, buffer), datums, out| {
                buffer.clear();
                for (datum, scalar) in datums.iter().zip(types.iter()) {
                    match datum {
                        Datum::Bool(value) => buffer.push_str(if *value { "true" } else { "false" }),
                        Datum::Text(text) if *scalar == Type::Bpchar => buffer.push_str(text.trim_end_matches(' ')),
                        datum => repr::text::write(datum, scalar, context, buffer),
                    }
                }
                out.push(Datum::Text(buffer));
                Ok(())
            },
        );
    }
}

fn characters(table: &mut Table) {
    table
        .entry::<(t::Text,), t::Int4>("ascii", "The code point of the first character, 0 for the empty text.")
        .returns(|(text,)| text.chars().next().map_or(0, |character| character as i32));
    table.entry::<(t::Int4,), t::Text>("chr", "The character of a code point.").writes(|(code,), out: &mut String| {
        let limit = |message: String| Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        match u32::try_from(code) {
            Err(_) => Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "character number must be positive")),
            Ok(0) => limit("null character not permitted".to_string()),
            Ok(code) => match char::from_u32(code) {
                Some(character) => {
                    out.push(character);
                    Ok(())
                }
                None => limit(format!("requested character not valid for encoding: {code}")),
            },
        }
    });
}

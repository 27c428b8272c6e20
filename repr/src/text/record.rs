//! Text of records: `(1,"a b",)`; nothing between two commas is NULL.

use super::{TextContext, is_space};
use crate::{Datum, EvalError, RowBuilder, RowRef, SqlState, Type};

pub(super) fn write(row: RowRef<'_>, typ: &Type, context: &TextContext, out: &mut String) {
    let columns: &[Type] = if let Type::Record(columns) = typ { columns } else { &[] };
    out.push('(');
    for (position, datum) in row.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        if datum.is_null() {
            continue;
        }
        let start = out.len();
        super::write(&datum, columns.get(position).unwrap_or(&Type::Unknown), context, out);
        let text = &out[start..];
        if text.is_empty() || text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',') || is_space(byte)) {
            let text = out.split_off(start);
            out.push('"');
            for letter in text.chars() {
                if matches!(letter, '"' | '\\') {
                    out.push(letter);
                }
                out.push(letter);
            }
            out.push('"');
        }
    }
    out.push(')');
}

pub(super) fn read(text: &str, columns: &[Type], context: &TextContext, out: &mut RowBuilder) -> Result<(), EvalError> {
    let malformed =
        |detail: &str| EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed record literal: \"{text}\"")).with_detail(detail);
    let body = text.trim_start_matches(|letter: char| u8::try_from(letter).is_ok_and(is_space));
    let mut letters = body.strip_prefix('(').ok_or_else(|| malformed("Missing left parenthesis."))?.chars();
    let mut row = RowBuilder::new();
    let mut closed = columns.is_empty() && letters.next() == Some(')');
    for (position, column) in columns.iter().enumerate() {
        if closed {
            return Err(malformed("Too few columns."));
        }
        let mut field = String::new();
        let (mut quoted, mut given) = (false, false);
        loop {
            match letters.next().ok_or_else(|| malformed("Unexpected end of input."))? {
                '\\' => field.push(letters.next().ok_or_else(|| malformed("Unexpected end of input."))?),
                '"' if quoted && letters.as_str().starts_with('"') => field.extend(letters.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    if position + 1 == columns.len() {
                        return Err(malformed("Too many columns."));
                    }
                    break;
                }
                ')' if !quoted => {
                    closed = true;
                    break;
                }
                letter => field.push(letter),
            }
            given = true;
        }
        if given { super::read(&field, column, context, &mut row)? } else { row.push(Datum::Null) }
    }
    if !closed {
        return Err(malformed("Too many columns."));
    }
    if letters.any(|letter| !u8::try_from(letter).is_ok_and(is_space)) {
        return Err(malformed("Junk after right parenthesis."));
    }
    out.push(Datum::Record(RowRef::new(row.as_bytes())));
    Ok(())
}

//! Finding and replacing fixed strings.

use super::lift::Table;
use super::typed as t;
use repr::{EvalError, SqlState};

pub fn register(table: &mut Table) {
    for name in ["position", "strpos"] {
        table
            .entry::<(t::Text, t::Text), t::Int4>(name, "Where the second text starts in the first, 0 if nowhere.")
            .returns(|(text, searched)| text.find(searched).map_or(0, |byte| text[..byte].chars().count() as i32 + 1));
    }
    table.entry::<(t::Bytea, t::Bytea), t::Int4>("position", "Where the second byte string starts in the first, 0 if nowhere.").returns(
        |(bytes, searched)| {
            let found = if searched.is_empty() { Some(0) } else { bytes.windows(searched.len()).position(|window| window == searched) };
            found.map_or(0, |position| position as i32 + 1)
        },
    );
    for name in ["starts_with", "^@"] {
        table.entry::<(t::Text, t::Text), t::Bool>(name, "Whether the text starts with another.").returns(|(text, prefix)| text.starts_with(prefix));
    }
    table.entry::<(t::Text, t::Text, t::Text), t::Text>("replace", "Every occurrence of the second text replaced by the third.").writes(
        |(text, from, to), out| {
            if from.is_empty() {
                return out.push_str(text);
            }
            let mut rest = text;
            while let Some(position) = rest.find(from) {
                out.push_str(&rest[..position]);
                out.push_str(to);
                rest = &rest[position + from.len()..];
            }
            out.push_str(rest);
        },
    );
    table
        .entry::<(t::Text, t::Text, t::Int4), t::Text>(
            "split_part",
            "A field of a text with a delimiter, counted from 1, or from the end if negative.",
        )
        .writes(|(text, delimiter, field), out| split_part(text, delimiter, field).map(|part| out.push_str(part)));
    table
        .entry::<(t::Text, t::Text, t::Text), t::Text>(
            "translate",
            "Each character of the second text replaced by its counterpart in the third, or removed.",
        )
        .writes(|(text, from, to), out| {
            for character in text.chars() {
                match from.chars().position(|candidate| candidate == character) {
                    None => out.push(character),
                    Some(position) => out.extend(to.chars().nth(position)),
                }
            }
        });
}

fn split_part<'a>(text: &'a str, delimiter: &str, field: i32) -> Result<&'a str, EvalError> {
    if field == 0 {
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "field position must not be zero"));
    }
    if delimiter.is_empty() {
        return Ok(if field.abs() == 1 && !text.is_empty() { text } else { "" });
    }
    let skipped = field.unsigned_abs() as usize - 1;
    Ok(if field > 0 { text.split(delimiter).nth(skipped) } else { text.rsplit(delimiter).nth(skipped) }.unwrap_or(""))
}

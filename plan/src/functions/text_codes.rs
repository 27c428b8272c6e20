//! Texts as other notations write them: identifiers with dots, Unicode escapes and normal forms.

use super::lift::Table;
use super::typed as t;
use repr::{ArrayBuilder, Datum, EvalError, SqlState};
use unicode_normalization::UnicodeNormalization;

pub fn register(table: &mut Table) {
    const IDENTIFIER: &str = "The parts of a qualified name; what follows it is refused unless the second argument is false.";
    table.entry::<(t::Text,), t::TextArray>("parse_ident", IDENTIFIER).returns(|(text,)| parse_identifier(text, true));
    table.entry::<(t::Text, t::Bool), t::TextArray>("parse_ident", IDENTIFIER).returns(|(text, strict)| parse_identifier(text, strict));
    table.entry::<(t::Text,), t::Text>("unistr", "The text with its Unicode escapes replaced.").writes(|(text,), out| unescape(text, out));
    table.entry::<(t::Text,), t::Text>("normalize", "The text in Unicode normal form NFC.").writes(|(text,), out| out.extend(text.nfc()));
    table
        .entry::<(t::Text, t::Text), t::Text>("normalize", "The text in a Unicode normal form: NFC, NFD, NFKC, NFKD.")
        .writes(|(text, form), out| normalize(text, form, out));
    table.entry::<(t::Text,), t::Bool>("is_normalized", "Whether the text is in Unicode normal form NFC.").returns(|(text,)| text.nfc().eq(text.chars()));
    table.entry::<(t::Text, t::Text), t::Bool>("is_normalized", "Whether the text is in a Unicode normal form.").returns(|(text, form)| {
        let mut normalized = String::new();
        normalize(text, form, &mut normalized).map(|()| normalized == text)
    });
}

fn normalize(text: &str, form: &str, out: &mut String) -> Result<(), EvalError> {
    match form.to_ascii_uppercase().as_str() {
        "NFC" => out.extend(text.nfc()),
        "NFD" => out.extend(text.nfd()),
        "NFKC" => out.extend(text.nfkc()),
        "NFKD" => out.extend(text.nfkd()),
        _ => return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid normalization form: {form}"))),
    }
    Ok(())
}

fn parse_identifier(text: &str, strict: bool) -> Result<Vec<u8>, EvalError> {
    let blank = |character: char| character.is_ascii_whitespace();
    let invalid = |detail: Option<String>| {
        let error = EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("string is not a valid identifier: \"{text}\""));
        match detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        }
    };
    let mut parts = ArrayBuilder::new();
    let mut rest = text.trim_start_matches(blank);
    let mut after_dot = false;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut inner = quoted;
            loop {
                let end = inner.find('"').ok_or_else(|| invalid(Some("String has unclosed double quotes.".to_string())))?;
                name.push_str(&inner[..end]);
                inner = &inner[end + 1..];
                match inner.strip_prefix('"') {
                    Some(more) => {
                        name.push('"');
                        inner = more;
                    }
                    None => break,
                }
            }
            if name.is_empty() {
                return Err(invalid(Some("Quoted identifier must not be empty.".to_string())));
            }
            parts.push(Datum::Text(&name));
            rest = inner;
        } else if rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || !first.is_ascii()) {
            let inside = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '$' || !character.is_ascii();
            let end = rest.find(|character| !inside(character)).unwrap_or(rest.len());
            parts.push(Datum::Text(&rest[..end].to_lowercase()));
            rest = &rest[end..];
        } else {
            return Err(match rest.starts_with('.') {
                true => invalid(Some("No valid identifier before \".\".".to_string())),
                false if after_dot => invalid(Some("No valid identifier after \".\".".to_string())),
                false => invalid(None),
            });
        }
        rest = rest.trim_start_matches(blank);
        match rest.strip_prefix('.') {
            Some(more) => {
                after_dot = true;
                rest = more.trim_start_matches(blank);
            }
            None if strict && !rest.is_empty() => return Err(invalid(None)),
            None => return Ok(parts.finish()),
        }
    }
}

/// `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX` and `\\`; a pair of surrogates is one character.
fn unescape(text: &str, out: &mut String) -> Result<(), EvalError> {
    let syntax = |message: &str| EvalError::new(SqlState(*b"42601"), message);
    let bad_pair = || syntax("invalid Unicode surrogate pair");
    let mut rest = text;
    let mut high: Option<u32> = None;
    while let Some(position) = rest.find('\\') {
        if position > 0 && high.is_some() {
            return Err(bad_pair());
        }
        out.push_str(&rest[..position]);
        let escape = &rest[position + 1..];
        if let Some(after) = escape.strip_prefix('\\') {
            if high.is_some() {
                return Err(bad_pair());
            }
            out.push('\\');
            rest = after;
            continue;
        }
        let (skipped, digits) = match escape.bytes().next() {
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            Some(b'+') => (1, 6),
            _ => (0, 4),
        };
        let code = escape
            .get(skipped..skipped + digits)
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .ok_or_else(|| {
                syntax("invalid Unicode escape").with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
            })?;
        rest = &escape[skipped + digits..];
        match (high.take(), code) {
            (Some(first), 0xDC00..=0xDFFF) => out.extend(char::from_u32(0x10000 + ((first & 0x3FF) << 10) + (code & 0x3FF))),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(bad_pair()),
            (None, 0xD800..=0xDBFF) => high = Some(code),
            (None, 0) => return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid Unicode code point: 0000")),
            (None, code) => match char::from_u32(code) {
                Some(character) => out.push(character),
                None => return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid Unicode code point: {code:04X}"))),
            },
        }
    }
    if high.is_some() {
        return Err(bad_pair());
    }
    out.push_str(rest);
    Ok(())
}

//! `bytea`: `\x` and hexadecimal digits, or the older escapes.

use crate::{EvalError, SqlState};

pub(super) fn write(bytes: &[u8], hex: bool, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if hex {
        out.reserve(2 + 2 * bytes.len());
        out.push_str("\\x");
        for byte in bytes {
            out.push(DIGITS[usize::from(byte >> 4)] as char);
            out.push(DIGITS[usize::from(byte & 15)] as char);
        }
        return;
    }
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(*byte as char),
            _ => {
                out.push('\\');
                [byte >> 6, byte >> 3 & 7, byte & 7].into_iter().for_each(|digit| out.push((b'0' + digit) as char));
            }
        }
    }
}

pub(super) fn read(text: &str) -> Result<Vec<u8>, EvalError> {
    match text.strip_prefix("\\x") {
        Some(digits) => read_hex(digits),
        None => read_escaped(text.as_bytes()).ok_or_else(|| EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")),
    }
}

/// Pairs of digits; blanks may stand between pairs.
fn read_hex(text: &str) -> Result<Vec<u8>, EvalError> {
    let refuse = |message: String| EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let digit = |letter: char| letter.to_digit(16).map(|digit| digit as u8).ok_or_else(|| refuse(format!("invalid hexadecimal digit: \"{letter}\"")));
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if matches!(letter, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(letter)?;
        let low = letters.next().ok_or_else(|| refuse("invalid hexadecimal data: odd number of digits".to_string()))?;
        bytes.push(high << 4 | digit(low)?);
    }
    Ok(bytes)
}

fn read_escaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', after @ ..] => {
                bytes.push(b'\\');
                after
            }
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                bytes.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                after
            }
            [b'\\', ..] => return None,
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

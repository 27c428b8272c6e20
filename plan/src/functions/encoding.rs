//! Bytes as text and back, digests, and UUIDs.

use super::lift::Table;
use super::math::Random;
use super::typed as t;
use repr::{EvalError, SqlState};
use std::fmt::Write;

pub fn register(table: &mut Table) {
    table.entry::<(t::Int4,), t::Text>("to_hex", "The number in hexadecimal digits.").writes(|(value,), out: &mut String| {
        let _ = write!(out, "{value:x}");
    });
    table.entry::<(t::Int8,), t::Text>("to_hex", "The number in hexadecimal digits.").writes(|(value,), out: &mut String| {
        let _ = write!(out, "{value:x}");
    });
    table.entry::<(t::Text,), t::Text>("md5", "The MD5 digest in hexadecimal digits.").writes(|(text,), out| write_hex(&md5(text.as_bytes()), out));
    table.entry::<(t::Bytea,), t::Text>("md5", "The MD5 digest in hexadecimal digits.").writes(|(bytes,), out| write_hex(&md5(bytes), out));
    table
        .entry::<(t::Bytea, t::Text), t::Text>("encode", "The bytes as text: base64, hex or escape.")
        .writes(|(bytes, format), out| encode(bytes, format, out));
    table
        .entry::<(t::Text, t::Text), t::Bytea>("decode", "The bytes of a text: base64, hex or escape.")
        .writes(|(text, format), out| decode(text, format, out));
    table.entry::<(t::Bytea, t::Int4), t::Int4>("get_byte", "A byte, counted from 0.").returns(|(bytes, position)| {
        usize::try_from(position).ok().and_then(|position| bytes.get(position)).map(|&byte| i32::from(byte)).ok_or_else(|| {
            let last = bytes.len() as i64 - 1;
            EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, format!("index {position} out of valid range, 0..{last}"))
        })
    });
    table.entry::<(), t::Uuid>("gen_random_uuid", "A random UUID (version 4).").volatile().returns_with(
        |_| Random::default(),
        |random, ()| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&random.next().to_be_bytes());
            bytes[8..].copy_from_slice(&random.next().to_be_bytes());
            bytes[6] = bytes[6] & 0x0F | 0x40;
            bytes[8] = bytes[8] & 0x3F | 0x80;
            bytes
        },
    );
}

fn invalid(message: String) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn write_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters per line of base64.
const BASE64_LINE: usize = 76;

fn encode(bytes: &[u8], format: &str, out: &mut String) -> Result<(), EvalError> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => write_hex(bytes, out),
        "base64" => {
            for (number, group) in bytes.chunks(3).enumerate() {
                if number > 0 && number * 4 % BASE64_LINE == 0 {
                    out.push('\n');
                }
                let word = group.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
                for digit in 0..4 {
                    let index = (word >> (18 - 6 * digit) & 63) as usize;
                    out.push(if digit <= group.len() { char::from(BASE64[index]) } else { '=' });
                }
            }
        }
        "escape" => {
            for &byte in bytes {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    0 | 0x80.. => {
                        let _ = write!(out, "\\{byte:03o}");
                    }
                    plain => out.push(char::from(plain)),
                }
            }
        }
        _ => return Err(unknown_encoding(format)),
    }
    Ok(())
}

fn unknown_encoding(format: &str) -> EvalError {
    invalid(format!("unrecognized encoding: \"{format}\""))
}

fn decode(text: &str, format: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => decode_hex(text, out),
        "base64" => decode_base64(text, out),
        "escape" => decode_escape(text, out),
        _ => Err(unknown_encoding(format)),
    }
}

fn decode_hex(text: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut high = None;
    for character in text.chars().filter(|character| !matches!(character, ' ' | '\n' | '\t' | '\r')) {
        let digit = character.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{character}\"")))? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => out.push(high << 4 | digit),
        }
    }
    if high.is_some() { Err(invalid("invalid hexadecimal data: odd number of digits".to_string())) } else { Ok(()) }
}

fn decode_base64(text: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let incomplete =
        || invalid("invalid base64 end sequence".to_string()).with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.");
    let (mut word, mut digits, mut padding) = (0_u32, 0, 0);
    for character in text.chars().filter(|character| !matches!(character, ' ' | '\n' | '\t' | '\r')) {
        let digit = match character {
            '=' if digits + padding >= 2 => {
                padding += 1;
                0
            }
            '=' => return Err(invalid("unexpected \"=\" while decoding base64 sequence".to_string())),
            other => {
                let found = BASE64.iter().position(|&candidate| char::from(candidate) == other);
                match found {
                    Some(digit) if padding == 0 => {
                        digits += 1;
                        digit as u32
                    }
                    _ => return Err(invalid(format!("invalid symbol \"{other}\" found while decoding base64 sequence"))),
                }
            }
        };
        word = word << 6 | digit;
        if digits + padding == 4 {
            let bytes = word.to_be_bytes();
            out.extend_from_slice(&bytes[1..4 - padding]);
            (word, digits) = (0, 0);
            if padding > 0 {
                padding = 4;
            }
        }
    }
    if digits > 0 { Err(incomplete()) } else { Ok(()) }
}

fn decode_escape(text: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                rest = after;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', _) => return Err(EvalError::invalid_syntax("bytea", text)),
            (plain, after) => {
                out.push(*plain);
                rest = after;
            }
        }
    }
    Ok(())
}

/// The MD5 digest (RFC 1321).
fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut block = |block: &[u8]| {
        let mut words = [0_u32; 16];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64_usize {
            let (mixed, word) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            // The RFC's table of constants: the first 32 bits of |sin(step + 1)|.
            let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word % 16]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (value, add) in state.iter_mut().zip([a, b, c, d]) {
            *value = value.wrapping_add(add);
        }
    };
    let mut chunks = message.chunks_exact(64);
    chunks.by_ref().for_each(&mut block);
    let mut tail = chunks.remainder().to_vec();
    tail.push(0x80);
    while tail.len() % 64 != 56 {
        tail.push(0);
    }
    tail.extend_from_slice(&(message.len() as u64).wrapping_mul(8).to_le_bytes());
    tail.chunks_exact(64).for_each(&mut block);
    let mut digest = [0; 16];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

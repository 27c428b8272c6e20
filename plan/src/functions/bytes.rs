//! `bytea`: bits and bytes by position, pieces, patterns, digests, and the way to and from text in an encoding.

use super::lift::Table;
use super::pattern::Pattern;
use super::typed as t;
use repr::{EvalError, SqlState};
use sha2::Digest;

pub fn register(table: &mut Table) {
    positions(table);
    pieces(table);
    patterns(table);
    digests(table);
    encodings(table);
}

fn out_of_range(position: i64, count: usize) -> EvalError {
    EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, format!("index {position} out of valid range, 0..{}", count as i64 - 1))
}

fn byte_at(bytes: &[u8], position: i32) -> Result<usize, EvalError> {
    usize::try_from(position).ok().filter(|&byte| byte < bytes.len()).ok_or_else(|| out_of_range(i64::from(position), bytes.len()))
}

/// The byte a bit is in, and the bit's number within it.
fn bit_at(bytes: &[u8], position: i64) -> Result<(usize, u32), EvalError> {
    let bits = bytes.len() * 8;
    let bit = usize::try_from(position).ok().filter(|&bit| bit < bits).ok_or_else(|| out_of_range(position, bits))?;
    Ok((bit / 8, (bit % 8) as u32))
}

fn positions(table: &mut Table) {
    table.entry::<(t::Bytea, t::Int4, t::Int4), t::Bytea>("set_byte", "The bytes with one replaced, counted from 0.").returns(
        |(bytes, position, value)| {
            let byte = byte_at(bytes, position)?;
            let mut changed = bytes.to_vec();
            changed[byte] = value as u8;
            Ok::<_, EvalError>(changed)
        },
    );
    table
        .entry::<(t::Bytea, t::Int8), t::Int4>("get_bit", "A bit, counted from 0, each byte from its lowest bit on.")
        .returns(|(bytes, position)| bit_at(bytes, position).map(|(byte, bit)| i32::from(bytes[byte] >> bit & 1)));
    table.entry::<(t::Bytea, t::Int8, t::Int4), t::Bytea>("set_bit", "The bytes with a bit replaced, counted from 0.").returns(
        |(bytes, position, value)| {
            let (byte, bit) = bit_at(bytes, position)?;
            if !(0..=1).contains(&value) {
                return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1"));
            }
            let mut changed = bytes.to_vec();
            changed[byte] = changed[byte] & !(1 << bit) | (value as u8) << bit;
            Ok(changed)
        },
    );
    table
        .entry::<(t::Bytea,), t::Int8>("bit_count", "How many bits are set.")
        .returns(|(bytes,)| bytes.iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>());
}

fn overlay(bytes: &[u8], new: &[u8], start: i32, length: i32) -> Result<Vec<u8>, EvalError> {
    if start <= 0 {
        return Err(EvalError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start.checked_add(length).ok_or_else(super::arithmetic::integer_out_of_range)?;
    let cut = |position: i32| (position.max(1) as usize - 1).min(bytes.len());
    Ok([&bytes[..cut(start)], new, &bytes[cut(after)..]].concat())
}

fn pieces(table: &mut Table) {
    table
        .entry::<(t::Bytea, t::Bytea, t::Int4), t::Bytea>("overlay", "Replaces as many bytes as the new ones at a position.")
        .returns(|(bytes, new, start)| overlay(bytes, new, start, new.len() as i32));
    table
        .entry::<(t::Bytea, t::Bytea, t::Int4, t::Int4), t::Bytea>("overlay", "Replaces so many bytes at a position.")
        .returns(|(bytes, new, start, length)| overlay(bytes, new, start, length));
    table.entry::<(t::Bytea, t::Bytea), t::Bytea>("ltrim", "Without bytes of the second argument at the start.").writes(|(bytes, set), out| {
        let start = bytes.iter().position(|byte| !set.contains(byte)).unwrap_or(bytes.len());
        out.extend_from_slice(&bytes[start..]);
    });
    table.entry::<(t::Bytea, t::Bytea), t::Bytea>("rtrim", "Without bytes of the second argument at the end.").writes(|(bytes, set), out| {
        let end = bytes.iter().rposition(|byte| !set.contains(byte)).map_or(0, |last| last + 1);
        out.extend_from_slice(&bytes[..end]);
    });
}

/// Each byte as the character of its number, so that a pattern of texts matches bytes.
fn as_characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn patterns(table: &mut Table) {
    for (name, wanted, description) in [("~~", true, "LIKE."), ("!~~", false, "NOT LIKE.")] {
        table
            .entry::<(t::Bytea, t::Bytea), t::Bool>(name, description)
            .returns(move |(bytes, pattern)| Pattern::parse(&as_characters(pattern), false).matches(&as_characters(bytes)).map(|found| found == wanted));
    }
}

fn digests(table: &mut Table) {
    const DESCRIPTION: &str = "The SHA-2 digest of so many bits.";
    table.entry::<(t::Bytea,), t::Bytea>("sha224", DESCRIPTION).writes(|(bytes,), out| out.extend_from_slice(&sha2::Sha224::digest(bytes)));
    table.entry::<(t::Bytea,), t::Bytea>("sha256", DESCRIPTION).writes(|(bytes,), out| out.extend_from_slice(&sha2::Sha256::digest(bytes)));
    table.entry::<(t::Bytea,), t::Bytea>("sha384", DESCRIPTION).writes(|(bytes,), out| out.extend_from_slice(&sha2::Sha384::digest(bytes)));
    table.entry::<(t::Bytea,), t::Bytea>("sha512", DESCRIPTION).writes(|(bytes,), out| out.extend_from_slice(&sha2::Sha512::digest(bytes)));
}

/// The encodings texts can be given in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
}

const CHARACTER_NOT_IN_REPERTOIRE: SqlState = SqlState(*b"22021");

impl Encoding {
    /// Names are compared without case and punctuation, as in Postgres.
    fn parse(name: &str, role: &str) -> Result<Encoding, EvalError> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "utf8" | "unicode" => Ok(Encoding::Utf8),
            "latin1" | "iso88591" => Ok(Encoding::Latin1),
            "sqlascii" => Ok(Encoding::Ascii),
            _ => Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid {role} encoding name \"{name}\""))),
        }
    }
}

fn invalid_sequence(bytes: &[u8]) -> EvalError {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    EvalError::new(CHARACTER_NOT_IN_REPERTOIRE, format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
}

/// Bytes in UTF-8 that are a text; NUL is none.
fn valid_text(bytes: &[u8]) -> Result<&str, EvalError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(invalid_sequence(&[0])),
        Ok(text) => Ok(text),
        Err(error) => {
            let rest = &bytes[error.valid_up_to()..];
            let length = match rest.first() {
                Some(0xC2..=0xDF) => 2,
                Some(0xE0..=0xEF) => 3,
                Some(0xF0..=0xF4) => 4,
                _ => 1,
            };
            Err(invalid_sequence(&rest[..length.min(rest.len())]))
        }
    }
}

fn encodings(table: &mut Table) {
    table.entry::<(t::Bytea, t::Text), t::Text>("convert_from", "The text of bytes in an encoding.").writes(|(bytes, name), out| {
        match Encoding::parse(name, "source")? {
            Encoding::Latin1 if bytes.contains(&0) => return Err(invalid_sequence(&[0])),
            Encoding::Latin1 => out.push_str(&as_characters(bytes)),
            Encoding::Utf8 | Encoding::Ascii => out.push_str(valid_text(bytes)?),
        }
        Ok(())
    });
    table.entry::<(t::Text, t::Text), t::Bytea>("convert_to", "The bytes of a text in an encoding.").writes(|(text, name), out| {
        if Encoding::parse(name, "destination")? != Encoding::Latin1 {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for character in text.chars() {
            let byte = u8::try_from(u32::from(character)).map_err(|_| {
                let mut buffer = [0; 4];
                let shown: Vec<String> = character.encode_utf8(&mut buffer).bytes().map(|byte| format!("0x{byte:02x}")).collect();
                let sequence = shown.join(" ");
                let message = format!("character with byte sequence {sequence} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"");
                EvalError::new(SqlState::UNTRANSLATABLE_CHARACTER, message)
            })?;
            out.push(byte);
        }
        Ok(())
    });
}

//! Text of floats: the shortest that reads back, or `extra_float_digits` fewer than that.

use super::trim;
use crate::{EvalError, SqlState};
use std::fmt::Write;

/// Significant digits of each type when `extra_float_digits` is 0.
const FLOAT8_DIGITS: i32 = 15;
const FLOAT4_DIGITS: i32 = 6;
/// Below these a number with so few digits cannot lie halfway between two floats.
const FLOAT8_HALFWAY_MIN: f64 = (1u64 << 52) as f64;
const FLOAT4_HALFWAY_MIN: f32 = (1u32 << 21) as f32;

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        None
    }
}

/// Writes `d.ddde±x` as Postgres shows numbers: plain while the exponent is in -4 and below `digits`, else with an exponent of at least two digits.
fn write_decimal(scientific: &str, digits: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    out.push_str(sign);
    let mut significant: String = mantissa.chars().filter(|letter| *letter != '.').collect();
    significant.truncate(significant.trim_end_matches('0').len().max(1));
    if exponent < -4 || exponent >= digits {
        let (first, rest) = significant.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(&significant);
    } else {
        let whole = exponent as usize + 1;
        if significant.len() <= whole {
            out.push_str(&significant);
            out.extend(std::iter::repeat_n('0', whole - significant.len()));
        } else {
            out.push_str(&significant[..whole]);
            out.push('.');
            out.push_str(&significant[whole..]);
        }
    }
}

/// Whether a text that reads as a float lies exactly halfway to the next one. Postgres does not use such a text, though it reads back: the next
/// longer one is written instead. `reads_back` says whether a text still reads as the float.
fn is_halfway(scientific: &str, reads_back: impl Fn(&str) -> bool) -> bool {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let point = if mantissa.contains('.') { "" } else { "." };
    // A trifle more.
    if !reads_back(&format!("{mantissa}{point}{:0>30}e{exponent}", 1)) {
        return true;
    }
    // A trifle less: the last digit goes down by one and nines follow. Shortest digits do not end in zero, but a single 1 may become 0.
    let (head, last) = mantissa.split_at(mantissa.len() - 1);
    let lower = last.parse::<u8>().unwrap_or(0).saturating_sub(1);
    !reads_back(&format!("{head}{lower}{point}{:9>30}e{exponent}", 9))
}

/// The shortest text strictly nearer to a float than to its neighbours.
fn shortest(candidate: String, halfway_possible: bool, longest: usize, precise: impl Fn(usize) -> String, reads_back: impl Fn(&str) -> bool) -> String {
    if !halfway_possible || !is_halfway(&candidate, &reads_back) {
        return candidate;
    }
    let digits = candidate.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    (digits + 1..longest).map(&precise).find(|text| reads_back(text) && !is_halfway(text, &reads_back)).unwrap_or_else(|| precise(longest))
}

pub fn write_float8(value: f64, extra_float_digits: i32, out: &mut String) {
    if let Some(text) = special(value) {
        return out.push_str(text);
    }
    if extra_float_digits > 0 {
        if value == value.trunc() && value.abs() < 1e15 && (value != 0.0 || value.is_sign_positive()) {
            _ = write!(out, "{}", value as i64);
            return;
        }
        let halfway_possible = value.abs() >= FLOAT8_HALFWAY_MIN;
        let text = shortest(format!("{value:e}"), halfway_possible, 17, |digits| format!("{value:.*e}", digits - 1), |text| text.parse() == Ok(value));
        write_decimal(&text, FLOAT8_DIGITS, out);
    } else {
        let digits = (FLOAT8_DIGITS + extra_float_digits).max(1);
        write_decimal(&format!("{value:.*e}", digits as usize - 1), digits, out);
    }
}

pub fn write_float4(value: f32, extra_float_digits: i32, out: &mut String) {
    if let Some(text) = special(f64::from(value)) {
        return out.push_str(text);
    }
    if extra_float_digits > 0 {
        let halfway_possible = value.abs() >= FLOAT4_HALFWAY_MIN;
        let text = shortest(format!("{value:e}"), halfway_possible, 9, |digits| format!("{value:.*e}", digits - 1), |text| text.parse() == Ok(value));
        write_decimal(&text, FLOAT4_DIGITS, out);
    } else {
        let digits = (FLOAT4_DIGITS + extra_float_digits).max(1);
        write_decimal(&format!("{value:.*e}", digits as usize - 1), digits, out);
    }
}

/// The part of trimmed text that is a number; `None` when it is not one. The flag says that a finite number was written.
fn number(text: &str) -> Option<(&str, bool)> {
    let word = trim(text);
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let is_word = ["nan", "inf", "infinity"].iter().any(|known| unsigned.eq_ignore_ascii_case(known));
    let is_number = unsigned.bytes().any(|byte| byte.is_ascii_digit());
    (is_word || is_number).then_some((word, is_number))
}

fn float_out_of_range(text: &str, type_name: &str) -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{text}\" is out of range for type {type_name}"))
}

/// Whether a number's digits are all zero, so that reading zero lost nothing.
fn is_zero_text(text: &str) -> bool {
    text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).all(|byte| !(b'1'..=b'9').contains(&byte))
}

pub(super) fn read_float8(text: &str) -> Result<f64, EvalError> {
    let invalid = || EvalError::invalid_syntax("double precision", text);
    let (word, finite) = number(text).ok_or_else(invalid)?;
    let value: f64 = word.parse().map_err(|_| invalid())?;
    if finite && (value.is_infinite() || (value == 0.0 && !is_zero_text(word))) {
        return Err(float_out_of_range(word, "double precision"));
    }
    Ok(value)
}

pub(super) fn read_float4(text: &str) -> Result<f32, EvalError> {
    let invalid = || EvalError::invalid_syntax("real", text);
    let (word, finite) = number(text).ok_or_else(invalid)?;
    let value: f32 = word.parse().map_err(|_| invalid())?;
    if finite && (value.is_infinite() || (value == 0.0 && !is_zero_text(word))) {
        return Err(float_out_of_range(word, "real"));
    }
    Ok(value)
}

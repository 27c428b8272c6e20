//! Text, integers and floats, in and out.

use super::{INTEGRAL_DIGITS_MAX, Numeric, Repr, overflow, power_of_ten};
use crate::{EvalError, SqlState};
use num_bigint::BigInt;
use num_traits::ToPrimitive;
use std::fmt;

/// Digits an `i128` takes without a check for overflow.
const SMALL_DIGITS_MAX: usize = 38;
/// The exponents written in text that Postgres considers at all.
const TEXT_EXPONENT_MAX: i64 = (i32::MAX / 2) as i64;
/// Integers up to here, and powers of ten up to 22, are exact as floats: their quotient is correctly rounded.
const EXACT_FLOAT_MAX: u128 = 1 << 53;
const EXACT_FLOAT_POWER_MAX: u16 = 22;
/// Significant digits Postgres keeps of a float.
const FLOAT8_DIGITS: usize = 15;
const FLOAT4_DIGITS: usize = 6;

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

impl Numeric {
    pub fn parse(text: &str) -> Result<Numeric, EvalError> {
        let invalid = || EvalError::invalid_syntax("numeric", text);
        let bytes = text.as_bytes();
        let start = bytes.iter().position(|byte| !is_space(*byte)).ok_or_else(invalid)?;
        let end = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
        let bytes = &bytes[start..end];
        let (negative, unsigned) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, bytes),
        };
        if !unsigned.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
            return match unsigned {
                name if name.eq_ignore_ascii_case(b"infinity") || name.eq_ignore_ascii_case(b"inf") => {
                    Ok(if negative { Numeric::negative_infinity() } else { Numeric::infinity() })
                }
                // NaN takes no sign.
                _ if bytes.eq_ignore_ascii_case(b"nan") => Ok(Numeric::nan()),
                _ => Err(invalid()),
            };
        }

        let mut small = 0i128;
        let mut digits = 0usize;
        let mut significant = 0usize;
        let mut scale = 0i64;
        let mut seen_point = false;
        let mut position = 0;
        while let Some(&byte) = unsigned.get(position) {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    scale += i64::from(seen_point);
                    significant += usize::from(significant > 0 || byte != b'0');
                    if significant <= SMALL_DIGITS_MAX {
                        small = small * 10 + i128::from(byte - b'0');
                    }
                }
                b'.' if !seen_point => seen_point = true,
                _ => break,
            }
            position += 1;
        }
        if digits == 0 {
            return Err(invalid());
        }
        let mantissa = &unsigned[..position];
        let exponent = match unsigned.get(position..) {
            None | Some([]) => 0,
            Some([b'e' | b'E', exponent @ ..]) => parse_exponent(exponent).ok_or_else(invalid)?,
            Some(_) => return Err(invalid()),
        };
        if !(-TEXT_EXPONENT_MAX + 1..TEXT_EXPONENT_MAX).contains(&exponent) {
            return Err(overflow());
        }
        // What the exponent does not take away from the scale, it multiplies by.
        let shift = (exponent - scale).max(0);
        let scale = (scale - exponent).max(0);
        if scale > i64::from(Numeric::MAX_DISPLAY_SCALE) {
            return Err(overflow());
        }
        if significant <= SMALL_DIGITS_MAX {
            if small == 0 {
                return Ok(Numeric::finite(0, scale as u16));
            }
            if let Some(unscaled) = power_of_ten(shift as usize).and_then(|power| small.checked_mul(power)) {
                return Ok(Numeric::finite(if negative { -unscaled } else { unscaled }, scale as u16));
            }
        }
        if significant as i64 + shift - scale > INTEGRAL_DIGITS_MAX {
            return Err(overflow());
        }
        let mut all: Vec<u8> = mantissa.iter().filter(|byte| **byte != b'.').map(|byte| byte - b'0').collect();
        all.resize(all.len() + shift as usize, 0);
        let unscaled = BigInt::from_radix_be(num_bigint::Sign::Plus, &all, 10).ok_or_else(invalid)?;
        Numeric::from_big_checked(if negative { -unscaled } else { unscaled }, scale)
    }

    fn to_integer(&self, type_name: &str) -> Result<i128, EvalError> {
        let out_of_range = || EvalError::out_of_range(type_name);
        match &self.0 {
            Repr::Finite { unscaled, scale: 0 } => Ok(unscaled.get()),
            Repr::Finite { .. } | Repr::Big(_) => match self.round(0).0 {
                Repr::Finite { unscaled, .. } => Ok(unscaled.get()),
                _ => Err(out_of_range()),
            },
            Repr::NaN => Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot convert NaN to {type_name}"))),
            _ => Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot convert infinity to {type_name}"))),
        }
    }

    /// Rounds half away from zero.
    pub fn to_i64(&self) -> Result<i64, EvalError> {
        i64::try_from(self.to_integer("bigint")?).map_err(|_| EvalError::out_of_range("bigint"))
    }

    pub fn to_i32(&self) -> Result<i32, EvalError> {
        i32::try_from(self.to_integer("integer")?).map_err(|_| EvalError::out_of_range("integer"))
    }

    pub fn to_i16(&self) -> Result<i16, EvalError> {
        i16::try_from(self.to_integer("smallint")?).map_err(|_| EvalError::out_of_range("smallint"))
    }

    /// The nearest float; infinite when the value is beyond every float (see [`Numeric::to_f64_checked`]).
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Finite { unscaled, scale } if unscaled.get().unsigned_abs() <= EXACT_FLOAT_MAX && *scale <= EXACT_FLOAT_POWER_MAX => {
                unscaled.get() as f64 / 10f64.powi(i32::from(*scale))
            }
            Repr::Finite { .. } | Repr::Big(_) => self.to_string().parse().unwrap_or(f64::NAN),
            Repr::NaN => f64::NAN,
            Repr::Infinity => f64::INFINITY,
            Repr::NegativeInfinity => f64::NEG_INFINITY,
        }
    }

    /// The cast to `double precision`: a finite value that is beyond every float, or that would become zero, is refused.
    pub fn to_f64_checked(&self) -> Result<f64, EvalError> {
        let value = self.to_f64();
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            let message = format!("\"{self}\" is out of range for type double precision");
            return Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        Ok(value)
    }

    /// The cast to `real`, as [`Numeric::to_f64_checked`].
    pub fn to_f32_checked(&self) -> Result<f32, EvalError> {
        let value = match &self.0 {
            Repr::Finite { .. } | Repr::Big(_) => self.to_string().parse().unwrap_or(f32::NAN),
            _ => self.to_f64() as f32,
        };
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            return Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{self}\" is out of range for type real")));
        }
        Ok(value)
    }

    /// As Postgres' cast: 15 significant digits.
    pub fn from_f64(value: f64) -> Numeric {
        Numeric::from_float(value, FLOAT8_DIGITS)
    }

    /// As Postgres' cast: 6 significant digits.
    pub fn from_f32(value: f32) -> Numeric {
        Numeric::from_float(f64::from(value), FLOAT4_DIGITS)
    }

    fn from_float(value: f64, digits: usize) -> Numeric {
        if value.is_nan() {
            return Numeric::nan();
        }
        if value.is_infinite() {
            return if value > 0.0 { Numeric::infinity() } else { Numeric::negative_infinity() };
        }
        let text = format!("{value:.*e}", digits - 1);
        // No float has so many digits that the format cannot hold it.
        Numeric::parse(&text).unwrap_or_else(|_| Numeric::nan()).canonical()
    }
}

/// The digits after `e`, with a sign; an exponent too long to matter is cut to one that overflows.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    // Blanks before the sign pass, as in Postgres.
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(2 * TEXT_EXPONENT_MAX));
    Some(if negative { -magnitude } else { magnitude })
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::finite(i128::from(value), 0)
    }
}
impl From<i32> for Numeric {
    fn from(value: i32) -> Numeric {
        Numeric::from(i64::from(value))
    }
}
impl From<i16> for Numeric {
    fn from(value: i16) -> Numeric {
        Numeric::from(i64::from(value))
    }
}
impl From<i128> for Numeric {
    fn from(value: i128) -> Numeric {
        Numeric::from_parts(value, 0)
    }
}

/// Room for the digits of an `i128`, a sign and a point.
const SMALL_TEXT_MAX: usize = 42;

impl fmt::Display for Numeric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Finite { unscaled, scale } if usize::from(*scale) < SMALL_DIGITS_MAX => {
                // Digits from the right, without going through the general formatting of 128-bit integers.
                let mut buffer = [b'0'; SMALL_TEXT_MAX];
                let mut position = SMALL_TEXT_MAX;
                let mut rest = unscaled.get().unsigned_abs();
                let mut written = 0;
                while rest > 0 || written <= *scale {
                    if written == *scale && *scale > 0 {
                        position -= 1;
                        buffer[position] = b'.';
                    }
                    position -= 1;
                    let (next, digit) = match u64::try_from(rest) {
                        Ok(word) => (u128::from(word / 10), word % 10),
                        Err(_) => (rest / 10, (rest % 10) as u64),
                    };
                    buffer[position] = b'0' + digit as u8;
                    rest = next;
                    written += 1;
                }
                if unscaled.get() < 0 {
                    position -= 1;
                    buffer[position] = b'-';
                }
                formatter.write_str(std::str::from_utf8(&buffer[position..]).unwrap_or_default())
            }
            Repr::Finite { unscaled, scale } => write_scaled(formatter, unscaled.get() < 0, &unscaled.get().unsigned_abs().to_string(), *scale),
            Repr::Big(big) => write_scaled(formatter, self.signum() < 0, &big.unscaled.magnitude().to_string(), big.scale),
            Repr::NaN => formatter.write_str("NaN"),
            Repr::Infinity => formatter.write_str("Infinity"),
            Repr::NegativeInfinity => formatter.write_str("-Infinity"),
        }
    }
}

fn write_scaled(formatter: &mut fmt::Formatter<'_>, negative: bool, digits: &str, scale: u16) -> fmt::Result {
    if negative {
        formatter.write_str("-")?;
    }
    let scale = usize::from(scale);
    if scale == 0 {
        return formatter.write_str(digits);
    }
    if digits.len() > scale {
        let (integral, fraction) = digits.split_at(digits.len() - scale);
        write!(formatter, "{integral}.{fraction}")
    } else {
        write!(formatter, "0.{digits:0>scale$}")
    }
}

impl Numeric {
    /// The unscaled value at another scale, when that is exact and fits: for formats of fixed scale.
    pub fn unscaled_at(&self, scale: u16) -> Option<i128> {
        let (unscaled, own_scale) = self.canonical().to_big()?;
        if own_scale > scale {
            return None;
        }
        (unscaled * super::big_power_of_ten(u64::from(scale - own_scale))).to_i128()
    }
}

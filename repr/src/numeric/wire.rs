//! Postgres' binary format of numeric: digits in base 10,000.
//!
//! Four 16-bit words, big-endian: the number of digits, the weight of the first (its power of 10,000), the sign or class, the display scale; then
//! the digits.

use super::{Numeric, Repr, big_power_of_ten};
use crate::{EvalError, SqlState};
use bytes::{BufMut, BytesMut};
use num_bigint::{BigInt, Sign};

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;
/// The infinities carry this display scale; readers look no further than their sign.
const INFINITY_SCALE: u16 = 0x20;
const HEADER_BYTES: usize = 8;
const NBASE: u16 = 10_000;
/// Digits in base 10,000 of the longest `i128` aligned to a digit.
const SMALL_DIGITS_MAX: usize = 11;

fn invalid(what: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_BINARY_REPRESENTATION, format!("invalid {what} in external \"numeric\" value"))
}

fn write_words(out: &mut BytesMut, digits: &[u16], negative: bool, scale: u16) {
    let places = i32::from(scale).div_euclid(4) + i32::from(!scale.is_multiple_of(4));
    let first = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len());
    let last = digits.iter().rposition(|digit| *digit != 0).map_or(first, |last| last + 1);
    let weight = if first == last { 0 } else { (digits.len() - first) as i32 - places - 1 };
    out.put_u16((last - first) as u16);
    out.put_i16(weight as i16);
    out.put_u16(if negative { SIGN_NEGATIVE } else { SIGN_POSITIVE });
    out.put_u16(scale);
    digits[first..last].iter().for_each(|digit| out.put_u16(*digit));
}

impl Numeric {
    pub(crate) fn write_binary(&self, out: &mut BytesMut) {
        let class = match &self.0 {
            Repr::Finite { unscaled, scale } => {
                let padding = u32::from((4 - scale % 4) % 4);
                if let Some(mut rest) = unscaled.get().unsigned_abs().checked_mul(10u128.pow(padding)) {
                    let mut digits = [0u16; SMALL_DIGITS_MAX];
                    let mut position = SMALL_DIGITS_MAX;
                    while rest > 0 {
                        position -= 1;
                        digits[position] = (rest % u128::from(NBASE)) as u16;
                        rest /= u128::from(NBASE);
                    }
                    return write_words(out, &digits[position..], unscaled.get() < 0, *scale);
                }
                return write_big(out, BigInt::from(unscaled.get()), *scale);
            }
            Repr::Big(big) => return write_big(out, big.unscaled.clone(), big.scale),
            Repr::NaN => SIGN_NAN,
            Repr::Infinity => SIGN_INFINITY,
            Repr::NegativeInfinity => SIGN_NEGATIVE_INFINITY,
        };
        let scale = if class == SIGN_NAN { 0 } else { INFINITY_SCALE };
        [0, 0, class, scale].into_iter().for_each(|word| out.put_u16(word));
    }

    /// Reads the whole of `bytes`. Digits hidden behind the display scale are cut off, as Postgres does.
    pub(crate) fn read_binary(bytes: &[u8]) -> Result<Numeric, EvalError> {
        let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let [count, weight, sign, scale, digits @ ..] = words.as_slice() else { return Err(invalid("length")) };
        if bytes.len() != HEADER_BYTES + 2 * usize::from(*count) {
            return Err(invalid("length"));
        }
        match *sign {
            SIGN_NAN => return Ok(Numeric::nan()),
            SIGN_INFINITY => return Ok(Numeric::infinity()),
            SIGN_NEGATIVE_INFINITY => return Ok(Numeric::negative_infinity()),
            SIGN_POSITIVE | SIGN_NEGATIVE => {}
            _ => return Err(invalid("sign")),
        }
        if *scale > Numeric::MAX_DISPLAY_SCALE {
            return Err(invalid("scale"));
        }
        if digits.iter().any(|digit| *digit >= NBASE) {
            return Err(invalid("digit"));
        }
        let shift = 4 * (i64::from(*weight as i16) + 1 - digits.len() as i64) + i64::from(*scale);
        let halves: Vec<u8> = digits.iter().flat_map(|digit| [(digit / 100) as u8, (digit % 100) as u8]).collect();
        let sign = if *sign == SIGN_NEGATIVE { Sign::Minus } else { Sign::Plus };
        let integer = BigInt::from_radix_be(sign, &halves, 100).unwrap_or_default();
        let unscaled = if shift >= 0 { integer * big_power_of_ten(shift as u64) } else { integer / big_power_of_ten(shift.unsigned_abs()) };
        Numeric::from_big_checked(unscaled, i64::from(*scale))
    }
}

fn write_big(out: &mut BytesMut, unscaled: BigInt, scale: u16) {
    let (sign, mut halves) = (unscaled * big_power_of_ten(u64::from((4 - scale % 4) % 4))).to_radix_be(100);
    if halves.len() % 2 == 1 {
        halves.insert(0, 0);
    }
    let digits: Vec<u16> = halves.chunks_exact(2).map(|pair| u16::from(pair[0]) * 100 + u16::from(pair[1])).collect();
    write_words(out, &digits, sign == Sign::Minus, scale);
}

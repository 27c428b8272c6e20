//! The order-preserving byte form that rows carry.
//!
//! `lead [exponent] digits scale`, where
//! * `lead` is 0x01 for -Infinity, 0x80 for zero, 0xFE for Infinity, 0xFF for NaN. A positive number has one of 0x82..=0xE3, which holds its
//!   exponent in base 100 when that is in -32..=63; at either end of the range three bytes of exponent follow. (The value is
//!   `0.d1d2d3... * 100^exponent`.)
//! * each digit in base 100 is a byte, `2 * digit + 1` when more follow and `2 * digit` for the last, so that a shorter number sorts before the
//!   longer ones it begins. The last digit is never 0.
//! * a negative number has the complement of the bytes of its absolute value;
//! * `scale` is the display scale, two bytes big-endian, in every class: the last two bytes, which only decide among equal values.
//!
//! An amount such as 1234.50 takes six bytes.

use super::{BigNumeric, Numeric, Repr, big_power_of_ten, power_of_ten};
use num_bigint::{BigInt, BigUint, Sign};

const NEGATIVE_INFINITY: u8 = 0x01;
const ZERO: u8 = 0x80;
const EXPONENT_SMALL: u8 = 0x82;
const EXPONENT_FIRST: u8 = 0x83;
const EXPONENT_LARGE: u8 = 0xE3;
const INFINITY: u8 = 0xFE;
const NAN: u8 = 0xFF;

/// The exponents that fit the lead byte.
const EXPONENT_MIN: i32 = -32;
const EXPONENT_MAX: i32 = EXPONENT_MIN + (EXPONENT_LARGE - EXPONENT_FIRST) as i32 - 1;
/// Added to a three-byte exponent.
const EXPONENT_BIAS: i32 = 1 << 23;
/// Digits in base 100 of the longest `i128`, plus one for the alignment of an odd scale.
const SMALL_DIGITS_MAX: usize = 21;
const SCALE_BYTES: usize = 2;

fn is_special(lead: u8) -> bool {
    matches!(lead, NEGATIVE_INFINITY | ZERO | INFINITY | NAN)
}

/// Where digits start, given the lead byte without its sign.
fn digits_start(lead: u8) -> usize {
    if lead == EXPONENT_SMALL || lead == EXPONENT_LARGE { 4 } else { 1 }
}

fn write_digits(out: &mut Vec<u8>, negative: bool, digits: &[u8], places_after_point: i32, scale: u16) {
    let start = out.len();
    let used = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    let exponent = digits.len() as i32 - places_after_point;
    if (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent) {
        out.push(EXPONENT_FIRST + (exponent - EXPONENT_MIN) as u8);
    } else {
        out.push(if exponent < EXPONENT_MIN { EXPONENT_SMALL } else { EXPONENT_LARGE });
        out.extend_from_slice(&((exponent + EXPONENT_BIAS) as u32).to_be_bytes()[1..]);
    }
    out.extend(digits[..used].iter().map(|digit| 2 * digit + 1));
    if let Some(last) = out.last_mut() {
        *last -= 1;
    }
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    out.extend_from_slice(&scale.to_be_bytes());
}

impl Numeric {
    /// Appends bytes that compare as the values do; equal values differ in the last two bytes alone, their display scale.
    pub(crate) fn write_ordered(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Finite { unscaled, scale } if unscaled.get() == 0 => {
                out.push(ZERO);
                out.extend_from_slice(&scale.to_be_bytes());
            }
            Repr::Finite { unscaled, scale } => {
                let mut digits = [0u8; SMALL_DIGITS_MAX];
                let mut position = SMALL_DIGITS_MAX;
                let mut rest = unscaled.get().unsigned_abs();
                if scale % 2 == 1 {
                    position -= 1;
                    digits[position] = (rest % 10) as u8 * 10;
                    rest /= 10;
                }
                while rest > u128::from(u64::MAX) {
                    position -= 1;
                    digits[position] = (rest % 100) as u8;
                    rest /= 100;
                }
                let mut rest = rest as u64;
                while rest > 0 {
                    position -= 1;
                    digits[position] = (rest % 100) as u8;
                    rest /= 100;
                }
                write_digits(out, unscaled.get() < 0, &digits[position..], (i32::from(*scale) + 1) / 2, *scale);
            }
            Repr::Big(big) => {
                let BigNumeric { unscaled, scale } = &**big;
                let digits = if scale % 2 == 1 { (unscaled.magnitude() * 10u32).to_radix_be(100) } else { unscaled.magnitude().to_radix_be(100) };
                write_digits(out, unscaled.sign() == Sign::Minus, &digits, (i32::from(*scale) + 1) / 2, *scale);
            }
            Repr::NaN => out.extend_from_slice(&[NAN, 0, 0]),
            Repr::Infinity => out.extend_from_slice(&[INFINITY, 0, 0]),
            Repr::NegativeInfinity => out.extend_from_slice(&[NEGATIVE_INFINITY, 0, 0]),
        }
    }

    /// The value at the start of `bytes` and the number of bytes it took. `bytes` must start with a valid encoding (see
    /// [`Numeric::check_ordered`]).
    pub(crate) fn read_ordered(bytes: &[u8]) -> (Numeric, usize) {
        let length = Numeric::skip_ordered(bytes);
        let scale = u16::from_be_bytes([bytes[length - 2], bytes[length - 1]]);
        let mask = match bytes[0] {
            NEGATIVE_INFINITY => return (Numeric::negative_infinity(), length),
            ZERO => return (Numeric::finite(0, scale), length),
            INFINITY => return (Numeric::infinity(), length),
            NAN => return (Numeric::nan(), length),
            lead if lead < ZERO => 0xFF,
            _ => 0,
        };
        let lead = bytes[0] ^ mask;
        let start = digits_start(lead);
        let exponent = if start == 1 {
            i32::from(lead - EXPONENT_FIRST) + EXPONENT_MIN
        } else {
            u32::from_be_bytes([0, bytes[1] ^ mask, bytes[2] ^ mask, bytes[3] ^ mask]) as i32 - EXPONENT_BIAS
        };
        let digits = &bytes[start..length - SCALE_BYTES];
        // The digits as an integer are the unscaled value times a power of ten: at least 10^-1, when an odd scale was aligned.
        let shift = 2 * (exponent - digits.len() as i32) + i32::from(scale);
        let small = if digits.len() < SMALL_DIGITS_MAX - 2 {
            // Up to 36 digits: no overflow.
            let integer = digits.iter().fold(0i128, |integer, byte| integer * 100 + i128::from((byte ^ mask) / 2));
            if shift < 0 { Some(integer / 10) } else { power_of_ten(shift as usize).and_then(|power| integer.checked_mul(power)) }
        } else {
            None
        };
        let value = match small {
            Some(magnitude) => Numeric::finite(if mask == 0 { magnitude } else { -magnitude }, scale),
            None => {
                let digits: Vec<u8> = digits.iter().map(|byte| (byte ^ mask) / 2).collect();
                let integer = BigUint::from_radix_be(&digits, 100).unwrap_or_default();
                let integer = BigInt::from_biguint(if mask == 0 { Sign::Plus } else { Sign::Minus }, integer);
                Numeric::from_big(if shift < 0 { integer / 10 } else { integer * big_power_of_ten(shift as u64) }, scale)
            }
        };
        (value, length)
    }

    /// The number of bytes of the value at the start of `bytes`, which must be a valid encoding.
    pub(crate) fn skip_ordered(bytes: &[u8]) -> usize {
        let lead = bytes[0];
        if is_special(lead) {
            return 1 + SCALE_BYTES;
        }
        let mask = if lead < ZERO { 0xFF } else { 0 };
        let mut position = digits_start(lead ^ mask);
        while (bytes[position] ^ mask) & 1 == 1 {
            position += 1;
        }
        position + 1 + SCALE_BYTES
    }

    /// As [`Numeric::skip_ordered`] for bytes from outside: `None` unless they start with an encoding [`Numeric::write_ordered`] could have made.
    pub(crate) fn check_ordered(bytes: &[u8]) -> Option<usize> {
        let lead = *bytes.first()?;
        let scale_at = |position: usize| {
            let scale = u16::from_be_bytes([*bytes.get(position)?, *bytes.get(position + 1)?]);
            (scale <= Numeric::MAX_DISPLAY_SCALE).then_some(scale)
        };
        if is_special(lead) {
            let scale = scale_at(1)?;
            return (lead == ZERO || scale == 0).then_some(1 + SCALE_BYTES);
        }
        let mask = if lead < ZERO { 0xFF } else { 0 };
        if !(EXPONENT_SMALL..=EXPONENT_LARGE).contains(&(lead ^ mask)) {
            return None;
        }
        let start = digits_start(lead ^ mask);
        let last = start + bytes.get(start..)?.iter().position(|byte| (byte ^ mask) & 1 == 0)?;
        let scale = scale_at(last + 1)?;
        if bytes[start..=last].iter().any(|byte| (byte ^ mask) / 2 > 99) || bytes[last] ^ mask == 0 || bytes[start] ^ mask < 2 {
            return None;
        }
        // Only what the format can hold may be decoded: a wild exponent would ask for gigabytes.
        let exponent = match start {
            1 => i32::from((lead ^ mask) - EXPONENT_FIRST) + EXPONENT_MIN,
            _ => u32::from_be_bytes([0, bytes[1] ^ mask, bytes[2] ^ mask, bytes[3] ^ mask]) as i32 - EXPONENT_BIAS,
        };
        // Equal values must not have two encodings: the long exponent is for what the lead byte cannot hold.
        let fits_lead = match lead ^ mask {
            EXPONENT_SMALL => exponent < EXPONENT_MIN,
            EXPONENT_LARGE => exponent > EXPONENT_MAX,
            _ => true,
        };
        if !fits_lead {
            return None;
        }
        let shift = 2 * (i64::from(exponent) - (last - start + 1) as i64) + i64::from(scale);
        let odd_half = shift == -1 && ((bytes[last] ^ mask) / 2).is_multiple_of(10);
        ((shift >= 0 || odd_half) && i64::from(exponent) * 2 <= super::INTEGRAL_DIGITS_MAX + 1).then_some(last + 1 + SCALE_BYTES)
    }
}

//! Exact sums: integers that grow when they must, and floats as integers times a power of two.
//!
//! Addition here is associative and commutative and has inverses, which sums of floats do not. That is what lets a sum live in a diff.

use num_bigint::{BigInt, Sign};
use num_traits::{ToPrimitive, Zero};

/// An `i128` aligned like a word, which keeps an accumulator at 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wide {
    high: i64,
    low: u64,
}

impl Wide {
    #[inline]
    pub fn new(value: i128) -> Wide {
        Wide { high: (value >> 64) as i64, low: value as u64 }
    }
    #[inline]
    pub fn get(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }
}

impl std::fmt::Debug for Wide {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(formatter)
    }
}

/// The finite float as `mantissa * 2^exponent`, the mantissa odd or zero (then the exponent is 0).
#[inline]
pub fn dyadic(value: f64) -> (i64, i32) {
    let bits = value.to_bits();
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (magnitude, exponent) = match ((bits >> 52) & 0x7FF) as i32 {
        0 => (fraction, -1074),
        biased => (fraction | (1 << 52), biased - 1075),
    };
    if magnitude == 0 {
        return (0, 0);
    }
    let zeros = magnitude.trailing_zeros();
    let mantissa = magnitude >> zeros;
    (if value.is_sign_negative() { -mantissa } else { mantissa }, exponent + zeros as i32)
}

/// The sum of two dyadic numbers if it fits, in lowest terms.
#[inline]
pub fn add_dyadic((left, left_exponent): (i128, i32), (right, right_exponent): (i128, i32)) -> Option<(i128, i32)> {
    if left == 0 {
        return Some((right, right_exponent));
    }
    if right == 0 {
        return Some((left, left_exponent));
    }
    let exponent = left_exponent.min(right_exponent);
    let sum = shift_left(left, left_exponent - exponent)?.checked_add(shift_left(right, right_exponent - exponent)?)?;
    Some(reduce_dyadic(sum, exponent))
}

#[inline]
pub fn reduce_dyadic(mantissa: i128, exponent: i32) -> (i128, i32) {
    if mantissa == 0 {
        return (0, 0);
    }
    let zeros = mantissa.trailing_zeros();
    (mantissa >> zeros, exponent + zeros as i32)
}

fn shift_left(value: i128, count: i32) -> Option<i128> {
    let count = u32::try_from(count).ok().filter(|count| *count < 127)?;
    let shifted = value << count;
    (shifted >> count == value).then_some(shifted)
}

/// As [`add_dyadic`], of any size.
pub fn add_big_dyadic(left: &mut BigInt, left_exponent: &mut i32, right: &BigInt, right_exponent: i32) {
    if right.is_zero() {
        return;
    }
    if left.is_zero() {
        *left = right.clone();
        *left_exponent = right_exponent;
        return;
    }
    if right_exponent >= *left_exponent {
        *left += right << (right_exponent - *left_exponent) as usize;
    } else {
        *left <<= (*left_exponent - right_exponent) as usize;
        *left += right;
        *left_exponent = right_exponent;
    }
    reduce_big_dyadic(left, left_exponent);
}

pub fn reduce_big_dyadic(mantissa: &mut BigInt, exponent: &mut i32) {
    match mantissa.trailing_zeros() {
        None => *exponent = 0,
        Some(0) => {}
        Some(zeros) => {
            *mantissa >>= zeros;
            *exponent += zeros as i32;
        }
    }
}

/// The nearest `f64` of a dyadic number, ties to even; infinite if it is too great.
pub fn nearest_f64(mantissa: &BigInt, exponent: i32) -> f64 {
    let (magnitude, exponent) = leading_bits(mantissa, exponent);
    signed(mantissa, round(magnitude, exponent, 53, -1074))
}

/// The nearest `f64` of a dyadic number divided by a positive integer, rounded once.
pub fn nearest_quotient(mantissa: &BigInt, exponent: i32, divisor: i64) -> f64 {
    // More than any float's precision stays after the division, and one more bit says whether there was a rest.
    const BITS: i32 = 192;
    let shifted = mantissa.magnitude() << BITS as usize;
    let divisor = BigInt::from(divisor.max(1)).magnitude().clone();
    let quotient = &shifted / &divisor;
    let rest = u32::from(&quotient * divisor != shifted);
    let quotient = BigInt::from_biguint(mantissa.sign(), (quotient << 1usize) + rest);
    nearest_f64(&quotient, exponent - BITS - 1)
}

/// The nearest `f32`, rounded once.
pub fn nearest_f32(mantissa: &BigInt, exponent: i32) -> f32 {
    let (magnitude, exponent) = leading_bits(mantissa, exponent);
    // 24 bits within the range of f64: the cast is exact, or becomes infinite where the value is too great for f32.
    signed(mantissa, round(magnitude, exponent, 24, -149)) as f32
}

fn signed(mantissa: &BigInt, magnitude: f64) -> f64 {
    if mantissa.sign() == Sign::Minus { -magnitude } else { magnitude }
}

/// At most 120 leading bits; the last one also stands for everything that was cut off, which is all rounding needs to know.
fn leading_bits(mantissa: &BigInt, exponent: i32) -> (u128, i32) {
    const BITS_MAX: u64 = 120;
    let magnitude = mantissa.magnitude();
    let excess = magnitude.bits().saturating_sub(BITS_MAX);
    let leading = (magnitude >> excess).to_u128().unwrap_or(u128::MAX);
    let sticky = excess > 0 && magnitude.trailing_zeros().is_some_and(|zeros| zeros < excess);
    (leading | u128::from(sticky), exponent.saturating_add(i32::try_from(excess).unwrap_or(i32::MAX)))
}

fn round(magnitude: u128, exponent: i32, precision: i32, exponent_min: i32) -> f64 {
    if magnitude == 0 {
        return 0.0;
    }
    let bits = (128 - magnitude.leading_zeros()) as i32;
    if exponent.saturating_add(bits) > 1024 {
        return f64::INFINITY;
    }
    let shift = (bits - precision).max(exponent_min.saturating_sub(exponent)).max(0);
    let (mut rounded, exponent) = match shift {
        0 => (magnitude, exponent),
        1..=127 => {
            let (kept, half) = (magnitude >> shift, 1u128 << (shift - 1));
            let rest = magnitude & ((half << 1) - 1);
            (kept + u128::from(rest > half || (rest == half && kept & 1 == 1)), exponent + shift)
        }
        _ => return 0.0,
    };
    // A magnitude of few bits may have an exponent beyond what 2^exponent can be; its value is not.
    let mut exponent = exponent;
    while exponent > 960 {
        rounded <<= 1;
        exponent -= 1;
    }
    // Both factors are floats and so is the product: nothing is rounded twice.
    rounded as f64 * power_of_two(exponent)
}

fn power_of_two(exponent: i32) -> f64 {
    if exponent < -1022 { f64::from_bits(1 << (exponent + 1074).clamp(0, 51)) } else { f64::from_bits(((exponent.min(1023) + 1023) as u64) << 52) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back() {
        let values = [
            1.0,
            -1.5,
            0.1,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            -f64::from_bits(0xF_FFFF_FFFF_FFFF),
            1e308,
            3e-310,
            0.0,
            2f64.powi(1000),
        ];
        for value in values {
            let (mantissa, exponent) = dyadic(value);
            assert_eq!(nearest_f64(&BigInt::from(mantissa), exponent), value, "{value:e}");
        }
        for value in [f32::MAX, f32::from_bits(1), 0.1f32, -7.25] {
            let (mantissa, exponent) = dyadic(f64::from(value));
            assert_eq!(nearest_f32(&BigInt::from(mantissa), exponent), value, "{value:e}");
        }
    }

    #[test]
    fn ties_go_to_even_and_a_cut_off_bit_breaks_them() {
        let one = BigInt::from(1);
        let tie = (BigInt::from(1) << 53usize) + &one;
        assert_eq!(nearest_f64(&tie, 0), 9007199254740992.0);
        let above = (&tie << 200usize) + &one;
        assert_eq!(nearest_f64(&above, -200), 9007199254740994.0);
        assert_eq!(nearest_f64(&(BigInt::from(3) << 52usize), 971 + 1), f64::INFINITY);
        assert_eq!(nearest_f32(&BigInt::from((1 << 25) - 1), 103), f32::INFINITY);
    }
}

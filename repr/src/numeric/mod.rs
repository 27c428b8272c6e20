//! Postgres' `numeric`: exact decimals of up to 131,072 digits before and 16,383 after the point, NaN and the infinities.
//!
//! Up to 38 digits live in an `i128`; more in a big integer. Display scale is part of a value but not of its order.
//!
//! Promises: results carry Postgres 15's display scale and, for exact operations, exactly its digits; `exp`, `ln`, `log` and `power` are
//! computed with guard digits and rounded once. Invariant: a value that fits [`Finite`](Repr::Finite) is never kept as a big one.
//!
//! * `arithmetic` adds, multiplies, divides and rounds; `functions` holds roots, logarithms and powers;
//! * `convert` reads and writes text, integers and floats; `ordered` and `wire` are the two byte forms.

mod arithmetic;
mod convert;
mod functions;
mod ordered;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_server;
mod wire;

use crate::{EvalError, SqlState};
use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

/// Precision and scale of `numeric(p, s)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericModifier {
    pub precision: u16,
    pub scale: i16,
}

/// A decimal. `Eq`, `Ord` and `Hash` are SQL's: 1.0 equals 1.00, NaN equals NaN and is greater than everything.
#[derive(Clone, Debug)]
pub struct Numeric(Repr);

/// An `i128` aligned like a word, so that a [`Numeric`] takes 24 bytes and a datum 32.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(8))]
struct Unscaled(i128);

impl Unscaled {
    fn get(self) -> i128 {
        self.0
    }
}

#[derive(Clone, Debug)]
enum Repr {
    /// Never `i128::MIN`: every value can be negated.
    Finite { unscaled: Unscaled, scale: u16 },
    /// Only what does not fit `Finite`.
    Big(Box<BigNumeric>),
    NaN,
    Infinity,
    NegativeInfinity,
}

#[derive(Clone, Debug)]
struct BigNumeric {
    unscaled: BigInt,
    scale: u16,
}

/// Decimal digits Postgres' format holds before the point (32,768 digits in base 10,000).
const INTEGRAL_DIGITS_MAX: i64 = 131_072;
/// The powers of ten an `i128` holds.
const POWER_OF_TEN_MAX: usize = 38;
const POWERS_OF_TEN: [i128; POWER_OF_TEN_MAX + 1] = {
    let mut powers = [1; POWER_OF_TEN_MAX + 1];
    let mut exponent = 1;
    while exponent <= POWER_OF_TEN_MAX {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

fn power_of_ten(exponent: usize) -> Option<i128> {
    POWERS_OF_TEN.get(exponent).copied()
}

fn big_power_of_ten(exponent: u64) -> BigInt {
    match usize::try_from(exponent).ok().and_then(power_of_ten) {
        Some(power) => BigInt::from(power),
        None => num_traits::pow(BigInt::from(10), exponent as usize),
    }
}

fn overflow() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// Number of decimal digits; 0 has none.
fn digits_of(value: u128) -> u32 {
    value.checked_ilog10().map_or(0, |log| log + 1)
}

/// Number of decimal digits; 0 has none.
fn big_digits_of(value: &BigInt) -> u64 {
    if value.is_zero() {
        return 0;
    }
    // 2^(bits-1) <= value < 2^bits bounds the count to two neighbours; one comparison decides.
    let at_least = ((value.bits() - 1) as f64 * std::f64::consts::LOG10_2).floor() as u64;
    let mut digits = at_least.max(1);
    let mut bound = big_power_of_ten(digits);
    while value.magnitude() >= bound.magnitude() {
        digits += 1;
        bound *= 10;
    }
    digits
}

#[rustfmt::skip]
impl Numeric {
    pub const MAX_DISPLAY_SCALE: u16 = 16_383;
    pub fn nan() -> Numeric { Numeric(Repr::NaN) }
    pub fn infinity() -> Numeric { Numeric(Repr::Infinity) }
    pub fn negative_infinity() -> Numeric { Numeric(Repr::NegativeInfinity) }
    pub fn zero() -> Numeric { Numeric::finite(0, 0) }
    pub fn one() -> Numeric { Numeric::finite(1, 0) }
    pub fn is_nan(&self) -> bool { matches!(self.0, Repr::NaN) }
    pub fn is_infinite(&self) -> bool { matches!(self.0, Repr::Infinity | Repr::NegativeInfinity) }
    pub fn is_finite(&self) -> bool { matches!(self.0, Repr::Finite { .. } | Repr::Big(_)) }
    pub fn is_zero(&self) -> bool { matches!(self.0, Repr::Finite { unscaled: Unscaled(0), .. }) }
}

impl Numeric {
    fn finite(unscaled: i128, scale: u16) -> Numeric {
        debug_assert!(unscaled != i128::MIN);
        Numeric(Repr::Finite { unscaled: Unscaled(unscaled), scale })
    }

    /// `unscaled * 10^-scale`, shown with `scale` digits.
    pub fn from_parts(unscaled: i128, scale: u16) -> Numeric {
        if unscaled == i128::MIN { Numeric(Repr::Big(Box::new(BigNumeric { unscaled: unscaled.into(), scale }))) } else { Numeric::finite(unscaled, scale) }
    }

    /// The smallest representation; does not check the limits of the format.
    fn from_big(unscaled: BigInt, scale: u16) -> Numeric {
        match unscaled.to_i128() {
            Some(small) if small != i128::MIN => Numeric::finite(small, scale),
            _ => Numeric(Repr::Big(Box::new(BigNumeric { unscaled, scale }))),
        }
    }

    /// As [`Numeric::from_big`]; too many digits on either side are `value overflows numeric format`.
    pub fn from_big_checked(unscaled: BigInt, scale: i64) -> Result<Numeric, EvalError> {
        let scale = u16::try_from(scale).ok().filter(|scale| *scale <= Numeric::MAX_DISPLAY_SCALE).ok_or_else(overflow)?;
        // Some 3.3 bits make a digit: whatever has fewer bits than digits are allowed needs no count.
        if unscaled.bits() as i64 > INTEGRAL_DIGITS_MAX && big_digits_of(&unscaled) as i64 - i64::from(scale) > INTEGRAL_DIGITS_MAX {
            return Err(overflow());
        }
        Ok(Numeric::from_big(unscaled, scale))
    }

    /// As `from_parts`, from a two's complement big-endian integer: how Connect's Decimal carries it. A negative scale multiplies.
    pub fn from_be_bytes(unscaled: &[u8], scale: i32) -> Result<Numeric, EvalError> {
        let unscaled = BigInt::from_signed_bytes_be(unscaled);
        if scale >= 0 {
            return Numeric::from_big_checked(unscaled, i64::from(scale));
        }
        let zeros = u64::from(scale.unsigned_abs());
        if zeros > INTEGRAL_DIGITS_MAX as u64 {
            return if unscaled.is_zero() { Ok(Numeric::zero()) } else { Err(overflow()) };
        }
        Numeric::from_big_checked(unscaled * big_power_of_ten(zeros), 0)
    }

    /// -1, 0, 1 (NaN: 0).
    pub fn signum(&self) -> i32 {
        match &self.0 {
            Repr::Finite { unscaled, .. } => unscaled.get().signum() as i32,
            Repr::Big(big) => if big.unscaled.is_negative() { -1 } else { 1 },
            Repr::NaN => 0,
            Repr::Infinity => 1,
            Repr::NegativeInfinity => -1,
        }
    }

    /// Digits shown after the point.
    pub fn scale(&self) -> u16 {
        match &self.0 {
            Repr::Finite { scale, .. } => *scale,
            Repr::Big(big) => big.scale,
            _ => 0,
        }
    }

    /// The unscaled value and the scale of a finite number whose unscaled value fits.
    pub fn to_small(&self) -> Option<(i128, u16)> {
        match &self.0 {
            Repr::Finite { unscaled, scale } => Some((unscaled.get(), *scale)),
            _ => None,
        }
    }

    /// The unscaled value and the scale of a finite number; `None` for NaN and the infinities.
    pub fn to_big(&self) -> Option<(BigInt, u16)> {
        match &self.0 {
            Repr::Finite { unscaled, scale } => Some((BigInt::from(unscaled.get()), *scale)),
            Repr::Big(big) => Some((big.unscaled.clone(), big.scale)),
            _ => None,
        }
    }

    /// The same value with the smallest display scale: equal values become identical.
    pub fn canonical(&self) -> Numeric {
        match &self.0 {
            Repr::Finite { unscaled, scale } => {
                let (mut unscaled, mut scale) = (unscaled.get(), *scale);
                if unscaled == 0 {
                    return Numeric::zero();
                }
                while scale > 0 && unscaled % 10 == 0 {
                    unscaled /= 10;
                    scale -= 1;
                }
                Numeric::finite(unscaled, scale)
            }
            Repr::Big(big) => {
                let (mut unscaled, mut scale) = (big.unscaled.clone(), big.scale);
                // Halving steps: a thousand zeros cost ten divisions.
                let mut step = scale.next_power_of_two();
                while step > 0 {
                    if step <= scale {
                        let (quotient, remainder) = num_integer::Integer::div_rem(&unscaled, &big_power_of_ten(u64::from(step)));
                        if remainder.is_zero() {
                            unscaled = quotient;
                            scale -= step;
                        }
                    }
                    step /= 2;
                }
                Numeric::from_big(unscaled, scale)
            }
            _ => self.clone(),
        }
    }

    /// The place of a value's class in the order; within one class only finite values differ.
    fn class(&self) -> i32 {
        match self.0 {
            Repr::NegativeInfinity => -2,
            Repr::NaN => 3,
            Repr::Infinity => 2,
            _ => self.signum(),
        }
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Numeric {}
impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        if let (Repr::Finite { unscaled: left, scale: left_scale }, Repr::Finite { unscaled: right, scale: right_scale }) =
            (&self.0, &other.0)
        {
            let (left, right) = (left.get(), right.get());
            let rescaled = match left_scale.cmp(right_scale) {
                Ordering::Equal => Some((left, right)),
                Ordering::Less => power_of_ten(usize::from(right_scale - left_scale)).and_then(|power| left.checked_mul(power)).map(|left| (left, right)),
                Ordering::Greater => power_of_ten(usize::from(left_scale - right_scale)).and_then(|power| right.checked_mul(power)).map(|right| (left, right)),
            };
            if let Some((left, right)) = rescaled {
                return left.cmp(&right);
            }
        }
        let classes = self.class().cmp(&other.class());
        if classes.is_ne() {
            return classes;
        }
        let (Some((left, left_scale)), Some((right, right_scale))) = (self.to_big(), other.to_big()) else {
            return Ordering::Equal;
        };
        match left_scale.cmp(&right_scale) {
            Ordering::Equal => left.cmp(&right),
            Ordering::Less => (left * big_power_of_ten(u64::from(right_scale - left_scale))).cmp(&right),
            Ordering::Greater => left.cmp(&(right * big_power_of_ten(u64::from(left_scale - right_scale)))),
        }
    }
}

impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self.canonical().0 {
            Repr::Finite { unscaled, scale } => {
                unscaled.get().hash(state);
                scale.hash(state);
            }
            Repr::Big(big) => {
                (big.unscaled.sign() == Sign::Minus).hash(state);
                big.unscaled.magnitude().hash(state);
                big.scale.hash(state);
            }
            Repr::NaN => state.write_u8(1),
            Repr::Infinity => state.write_u8(2),
            Repr::NegativeInfinity => state.write_u8(3),
        }
    }
}

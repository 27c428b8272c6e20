//! Roots, exponentials, logarithms and powers, with Postgres' result scales.
//!
//! Irrational results are computed in binary fixed point with guard bits and rounded once. The series are the textbook ones: Taylor for `exp`
//! after halving the argument, and `ln m = 2 artanh((m - 1) / (m + 1))` after taking out powers of two.

use super::arithmetic::{CHOSEN_SCALE_MAX, SIGNIFICANT_DIGITS_MIN, divide_rounding, rescale};
use super::{Numeric, Repr, big_digits_of, big_power_of_ten, overflow};
use crate::{EvalError, SqlState};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::f64::consts::{LN_10, LOG10_E};

/// Beyond this argument Postgres' `exp` overflows, or is zero.
const EXP_ARGUMENT_MAX: f64 = 6_000.0;
/// `exp` looks no further than this many digits to choose a scale.
const EXP_WEIGHT_MAX: f64 = 2_000.0;
/// Bits beyond the asked precision: they absorb the error of every step.
const GUARD_BITS: u64 = 96;
/// The weight, in base 10,000, past which no number fits the format.
const WEIGHT_MAX: i64 = i16::MAX as i64;

fn bits_of_digits(digits: i64) -> u64 {
    (digits.max(0) as f64 * std::f64::consts::LOG2_10).ceil() as u64
}

/// `value * 2^-bits` as a decimal with `scale` digits after the point.
fn from_fixed(value: BigInt, bits: u64, scale: i64) -> Result<Numeric, EvalError> {
    Numeric::from_big_checked(divide_rounding(&(value * big_power_of_ten(scale as u64)), &(BigInt::one() << bits)), scale)
}

/// `2 artanh(numerator / denominator)`, for quotients up to a third.
fn twice_artanh(numerator: BigInt, denominator: &BigInt, bits: u64) -> BigInt {
    let quotient: BigInt = (numerator << bits) / denominator;
    let square: BigInt = (&quotient * &quotient) >> bits;
    let mut power = quotient.clone();
    let mut sum = quotient;
    let mut divisor = 3u32;
    loop {
        power = (power * &square) >> bits;
        let term = &power / divisor;
        // A negative power never shifts down to zero, only to -1.
        if term.is_zero() || power == BigInt::from(-1) {
            return sum << 1;
        }
        sum += term;
        divisor += 2;
    }
}

/// The logarithm of `unscaled * 10^-scale`, which must be positive, times `2^bits`.
fn ln_fixed(unscaled: &BigInt, scale: u16, bits: u64) -> BigInt {
    let bits_inside = bits + GUARD_BITS;
    let (mut numerator, mut denominator) = (unscaled.clone(), big_power_of_ten(u64::from(scale)));
    // Near one the value stays as it is: nothing may cancel there.
    let near_one = &numerator * 2 > denominator && numerator < &denominator * 2;
    let exponent = if near_one { 0 } else { numerator.bits() as i64 - denominator.bits() as i64 };
    if exponent >= 0 {
        denominator <<= exponent as u64;
    } else {
        numerator <<= exponent.unsigned_abs();
    }
    let fraction = twice_artanh(&numerator - &denominator, &(&numerator + &denominator), bits_inside);
    let whole = if exponent == 0 { BigInt::zero() } else { twice_artanh(BigInt::one(), &BigInt::from(3), bits_inside) * exponent };
    (fraction + whole) >> GUARD_BITS
}

/// `e^argument`, both times `2^bits`; its relative error is below `2^(GUARD_BITS / 2 - bits)` of the larger of itself and its inverse.
fn exp_fixed(argument: &BigInt, bits: u64) -> BigInt {
    let one: BigInt = BigInt::one() << bits;
    // Halved until it is below 2^-8, then squared as often.
    let halvings = (argument.bits() + 8).saturating_sub(bits);
    let reduced: BigInt = argument.magnitude().clone().into();
    let reduced: BigInt = reduced >> halvings;
    let mut term = one.clone();
    let mut sum = one.clone();
    let mut divisor = 1u32;
    while !term.is_zero() {
        term = ((term * &reduced) >> bits) / divisor;
        sum += &term;
        divisor += 1;
    }
    for _ in 0..halvings {
        sum = (&sum * &sum) >> bits;
    }
    if argument.is_negative() { (one << bits) / sum } else { sum }
}

/// A decimal on its way through an integer power: its scale may leave the format's limits.
struct Scaled {
    unscaled: BigInt,
    scale: i64,
}

impl Scaled {
    fn weight(&self) -> i64 {
        (big_digits_of(&self.unscaled) as i64 - 1 - self.scale).div_euclid(4)
    }

    fn multiply(&self, other: &Scaled, significant_digits: i64) -> Scaled {
        let exact = self.scale + other.scale;
        let scale = (significant_digits - 4 * (self.weight() + other.weight())).min(exact).max(0);
        Scaled { unscaled: rescale(&self.unscaled * &other.unscaled, exact, scale), scale }
    }
}

fn negative_logarithm() -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of a negative number")
}

fn zero_logarithm() -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero")
}

impl Numeric {
    /// As [`Numeric::to_f64`], never infinite for a finite number.
    fn to_f64_clamped(&self) -> f64 {
        self.to_f64().clamp(f64::MIN, f64::MAX)
    }

    /// Postgres' estimate of the decimal weight of a positive number's logarithm.
    fn logarithm_weight(&self) -> i64 {
        let near_one = *self >= Numeric::finite(9, 1) && *self <= Numeric::finite(11, 1);
        if near_one {
            let Ok(distance) = self.subtract(&Numeric::one()) else { return 0 };
            let magnitude = distance.magnitude();
            if magnitude.first_digit == 0 {
                return 0;
            }
            return magnitude.weight * 4 + i64::from(magnitude.first_digit.ilog10());
        }
        let (digits, exponent) = self.leading_pair();
        if digits == 0.0 {
            return 0;
        }
        (digits.ln() + exponent as f64 * LN_10).abs().log10() as i64
    }

    /// The first two digits in base 10,000 as a number, and the power of ten it is to be multiplied by.
    fn leading_pair(&self) -> (f64, i64) {
        let magnitude = self.magnitude();
        // As many places as make the pair an integer.
        let places = 4 - 4 * magnitude.weight;
        let Some((unscaled, scale)) = self.absolute().to_big() else { return (0.0, 0) };
        let shift = places - i64::from(scale);
        let pair = if shift >= 0 { unscaled * big_power_of_ten(shift as u64) } else { unscaled / big_power_of_ten(shift.unsigned_abs()) };
        (pair.to_f64().unwrap_or(0.0), -places)
    }

    fn chosen_scale(significant: i64, inputs: &[&Numeric]) -> i64 {
        inputs.iter().fold(significant, |scale, input| scale.max(i64::from(input.scale()))).clamp(0, CHOSEN_SCALE_MAX)
    }

    pub fn sqrt(&self) -> Result<Numeric, EvalError> {
        if self.signum() < 0 {
            return Err(EvalError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, "cannot take square root of a negative number"));
        }
        let Some((unscaled, own_scale)) = self.to_big() else { return Ok(self.clone()) };
        let scale = Numeric::chosen_scale(SIGNIFICANT_DIGITS_MIN - (self.magnitude().weight * 2 + 1), &[self]);
        Numeric::root_to_scale(unscaled, own_scale, scale)
    }

    /// The root of a positive number, rounded to `scale` digits.
    fn root_to_scale(unscaled: BigInt, own_scale: u16, scale: i64) -> Result<Numeric, EvalError> {
        // The root of `square` is the result's unscaled value. Digits of the input beyond the result's precision cannot turn its rounding.
        let square = rescale(unscaled, i64::from(own_scale), 2 * scale);
        let root = square.sqrt();
        // (root + 1/2)^2 = root^2 + root + 1/4: an integer never lies on the half itself.
        let up = square - &root * &root > root;
        Numeric::from_big_checked(if up { root + 1 } else { root }, scale)
    }

    /// The variance (or its root) of `count` values, from their sum and the sum of their squares; each sum comes as unscaled parts with their scales.
    pub fn variance(count: i64, sum: Vec<(BigInt, u16)>, squares: Vec<(BigInt, u16)>, sample: bool, root: bool) -> Result<Numeric, EvalError> {
        let total = |parts: Vec<(BigInt, u16)>| {
            let scale = parts.iter().map(|(_, scale)| *scale).max().unwrap_or(0);
            let total: BigInt = parts.into_iter().map(|(part, own)| rescale(part, own.into(), scale.into())).sum();
            (total, i64::from(scale))
        };
        let ((sum, sum_scale), (squares, squares_scale)) = (total(sum), total(squares));
        // What squaring has cut off beyond the format's scale is beyond the result's as well.
        let scale = squares_scale.min(2 * sum_scale);
        let distances = rescale(squares, squares_scale, scale) * count - rescale(&sum * &sum, 2 * sum_scale, scale);
        if !distances.is_positive() {
            return Ok(Numeric::zero());
        }
        let divisor = BigInt::from(count) * (count - i64::from(sample));
        let (distances, divisor) = (Numeric::from_big(distances, scale as u16), Numeric::from_big(divisor, 0));
        let scale = distances.quotient_scale(&divisor);
        let variance = distances.divide_to_scale(&divisor, scale)?;
        match variance.to_big() {
            Some((unscaled, own_scale)) if root => Numeric::root_to_scale(unscaled, own_scale, scale),
            _ => Ok(variance),
        }
    }

    pub fn exp(&self) -> Result<Numeric, EvalError> {
        let Some((unscaled, own_scale)) = self.to_big() else {
            return Ok(if matches!(self.0, Repr::NegativeInfinity) { Numeric::zero() } else { self.clone() });
        };
        let approximate = self.to_f64_clamped();
        let weight = (approximate * LOG10_E).clamp(-EXP_WEIGHT_MAX, EXP_WEIGHT_MAX) as i64;
        let scale = Numeric::chosen_scale(SIGNIFICANT_DIGITS_MIN - weight, &[self]);
        if approximate.abs() >= EXP_ARGUMENT_MAX {
            return if approximate > 0.0 { Err(overflow()) } else { Ok(Numeric::finite(0, scale as u16)) };
        }
        let bits = bits_of_digits(scale + 2 * weight.abs()) + GUARD_BITS;
        let argument = (unscaled << bits).div_floor(&big_power_of_ten(u64::from(own_scale)));
        from_fixed(exp_fixed(&argument, bits), bits, scale)
    }

    pub fn ln(&self) -> Result<Numeric, EvalError> {
        match self.signum() {
            _ if self.is_nan() => return Ok(Numeric::nan()),
            -1 => return Err(negative_logarithm()),
            0 => return Err(zero_logarithm()),
            _ => {}
        }
        let Some((unscaled, own_scale)) = self.to_big() else { return Ok(self.clone()) };
        let scale = Numeric::chosen_scale(SIGNIFICANT_DIGITS_MIN - self.logarithm_weight(), &[self]);
        let bits = bits_of_digits(scale) + GUARD_BITS;
        from_fixed(ln_fixed(&unscaled, own_scale, bits), bits, scale)
    }

    pub fn log(&self, base: &Numeric) -> Result<Numeric, EvalError> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::nan());
        }
        if self.signum() < 0 || base.signum() < 0 {
            return Err(negative_logarithm());
        }
        if self.is_zero() || base.is_zero() {
            return Err(zero_logarithm());
        }
        let (Some((unscaled, own_scale)), Some((base_unscaled, base_scale))) = (self.to_big(), base.to_big()) else {
            return Ok(match (self.is_infinite(), base.is_infinite()) {
                (true, true) => Numeric::nan(),
                (true, false) => Numeric::infinity(),
                _ => Numeric::zero(),
            });
        };
        let (weight, base_weight) = (self.logarithm_weight(), base.logarithm_weight());
        let scale = Numeric::chosen_scale(SIGNIFICANT_DIGITS_MIN - (weight - base_weight), &[self, base]);
        let bits = bits_of_digits(scale + weight.abs() + 2 * base_weight.abs()) + GUARD_BITS;
        let base_logarithm = ln_fixed(&base_unscaled, base_scale, bits);
        if base_logarithm.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        let logarithm = ln_fixed(&unscaled, own_scale, bits);
        Numeric::from_big_checked(divide_rounding(&(logarithm * big_power_of_ten(scale as u64)), &base_logarithm), scale)
    }

    /// Whether a number has no digits after the point other than zeros; the infinities count as integers.
    fn is_integral(&self) -> bool {
        self.is_infinite() || self.truncate(0) == *self
    }

    fn is_odd(&self) -> bool {
        self.truncate(0).to_big().is_some_and(|(unscaled, _)| unscaled.is_odd())
    }

    pub fn power(&self, exponent: &Numeric) -> Result<Numeric, EvalError> {
        let refuse = |message: &str| Err(EvalError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message));
        if self.is_nan() || exponent.is_nan() {
            let one = (self.is_nan() && exponent.is_zero()) || (exponent.is_nan() && *self == Numeric::one());
            return Ok(if one { Numeric::one() } else { Numeric::nan() });
        }
        if self.is_zero() && exponent.signum() < 0 {
            return refuse("zero raised to a negative power is undefined");
        }
        if self.signum() < 0 && !exponent.is_integral() {
            return refuse("a negative number raised to a non-integer power yields a complex result");
        }
        if self.is_infinite() || exponent.is_infinite() {
            return Ok(self.power_infinite(exponent));
        }
        if exponent.is_integral()
            && let Ok(integer) = exponent.to_i32()
        {
            return self.power_integer(integer);
        }
        if self.is_zero() {
            return Ok(Numeric::finite(0, SIGNIFICANT_DIGITS_MIN as u16));
        }
        self.power_fractional(exponent)
    }

    fn power_infinite(&self, exponent: &Numeric) -> Numeric {
        let absolute = self.absolute();
        if *self == Numeric::one() || exponent.is_zero() {
            return Numeric::one();
        }
        if self.is_zero() {
            return Numeric::zero();
        }
        if exponent.is_infinite() {
            if absolute == Numeric::one() {
                return Numeric::one();
            }
            return if (absolute > Numeric::one()) == (exponent.signum() > 0) { Numeric::infinity() } else { Numeric::zero() };
        }
        match exponent.signum() {
            -1 => Numeric::zero(),
            _ if self.signum() < 0 && exponent.is_odd() => Numeric::negative_infinity(),
            _ => Numeric::infinity(),
        }
    }

    fn power_integer(&self, exponent: i32) -> Result<Numeric, EvalError> {
        let scale = Numeric::chosen_scale(SIGNIFICANT_DIGITS_MIN, &[self]);
        let Some((unscaled, own_scale)) = self.to_big() else { return Ok(Numeric::nan()) };
        let own_scale = i64::from(own_scale);
        match exponent {
            0 => return Ok(Numeric::one().round(scale as i32)),
            1 => return Ok(self.round(scale as i32)),
            -1 => return Numeric::one().divide_to_scale(self, scale),
            2 => return Numeric::from_big_checked(rescale(&unscaled * &unscaled, 2 * own_scale, scale), scale),
            _ if unscaled.is_zero() => return Ok(Numeric::finite(0, scale as u16)),
            _ => {}
        }
        // log10 of the result tells how many digits are worth carrying.
        let (digits, place) = self.leading_pair();
        let weight = f64::from(exponent) * (digits.log10() + place as f64);
        if weight > (3 * WEIGHT_MAX * 4) as f64 {
            return Err(overflow());
        }
        if weight + 1.0 < -(scale as f64) {
            return Ok(Numeric::finite(0, scale as u16));
        }
        let significant = 1 + scale + weight as i64 + f64::from(exponent).abs().ln() as i64 + 24;
        let mut square = Scaled { unscaled: unscaled.clone(), scale: own_scale };
        let mut bits = exponent.unsigned_abs();
        let mut result = if bits & 1 == 1 { Scaled { unscaled, scale: own_scale } } else { Scaled { unscaled: BigInt::one(), scale: 0 } };
        bits >>= 1;
        while bits > 0 {
            square = square.multiply(&square, significant);
            if bits & 1 == 1 {
                result = square.multiply(&result, significant);
            }
            if square.weight() > WEIGHT_MAX || result.weight() > WEIGHT_MAX {
                return if exponent < 0 { Ok(Numeric::finite(0, scale as u16)) } else { Err(overflow()) };
            }
            bits >>= 1;
        }
        if exponent > 0 {
            return Numeric::from_big_checked(rescale(result.unscaled, result.scale, scale), scale);
        }
        if result.unscaled.is_zero() {
            return Err(overflow());
        }
        Numeric::from_big_checked(divide_rounding(&big_power_of_ten((scale + result.scale) as u64), &result.unscaled), scale)
    }

    fn power_fractional(&self, exponent: &Numeric) -> Result<Numeric, EvalError> {
        let base = self.absolute();
        let (Some((unscaled, own_scale)), Some((exponent_unscaled, exponent_scale))) = (base.to_big(), exponent.to_big()) else {
            return Ok(Numeric::nan());
        };
        // A first estimate of ln(result) chooses the scale.
        let estimate_scale = (8 - base.logarithm_weight()).max(0);
        let estimate_bits = bits_of_digits(estimate_scale) + GUARD_BITS;
        let estimate = from_fixed(ln_fixed(&unscaled, own_scale, estimate_bits), estimate_bits, estimate_scale.min(i64::from(Numeric::MAX_DISPLAY_SCALE)))?;
        let estimate = estimate.to_f64_clamped() * exponent.to_f64_clamped();
        if estimate.abs() > EXP_ARGUMENT_MAX / 3.0 * 3.01 {
            return if estimate > 0.0 { Err(overflow()) } else { Ok(Numeric::finite(0, CHOSEN_SCALE_MAX as u16)) };
        }
        let weight = (estimate * LOG10_E) as i64;
        let scale = Numeric::chosen_scale(SIGNIFICANT_DIGITS_MIN - weight, &[&base, exponent]);
        if estimate.abs() >= EXP_ARGUMENT_MAX {
            return if estimate > 0.0 { Err(overflow()) } else { Ok(Numeric::finite(0, scale as u16)) };
        }
        let exponent_digits = big_digits_of(&exponent_unscaled) as i64;
        let bits = bits_of_digits(scale + 2 * weight.abs() + exponent_digits) + GUARD_BITS;
        let argument = (ln_fixed(&unscaled, own_scale, bits) * exponent_unscaled).div_floor(&big_power_of_ten(u64::from(exponent_scale)));
        let result = from_fixed(exp_fixed(&argument, bits), bits, scale)?;
        Ok(if self.signum() < 0 && exponent.is_odd() { result.negate() } else { result })
    }
}

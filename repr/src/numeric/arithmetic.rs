//! Sums, products, quotients and rounding, with Postgres' result scales.
//!
//! The scale of a quotient follows Postgres' rule of 16 significant digits, which it counts in digits of base 10,000: see [`Magnitude`].

use super::{INTEGRAL_DIGITS_MAX, Numeric, NumericModifier, Repr, big_digits_of, big_power_of_ten, digits_of, power_of_ten};
use crate::{EvalError, SqlState};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, Zero};

/// Significant digits a quotient, root or logarithm has at least.
pub(super) const SIGNIFICANT_DIGITS_MIN: i64 = 16;
/// Display scale a quotient, root or logarithm has at most.
pub(super) const CHOSEN_SCALE_MAX: i64 = 1_000;
/// `round` and `trunc` look at no more digits than the format holds, and one before them.
const ROUND_SCALE_MIN: i32 = -(INTEGRAL_DIGITS_MAX as i32) - 1;
const ROUND_SCALE_MAX: i32 = Numeric::MAX_DISPLAY_SCALE as i32;

/// The first digit of a number in base 10,000 and its place, by which Postgres chooses scales. Zero is (0, 0).
pub(super) struct Magnitude {
    pub(super) weight: i64,
    pub(super) first_digit: u32,
}

/// Divides and rounds half away from zero.
pub(super) fn divide_rounding(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let (quotient, remainder) = dividend.div_rem(divisor);
    if (remainder.magnitude() * 2u32) < *divisor.magnitude() {
        quotient
    } else if dividend.is_negative() == divisor.is_negative() {
        quotient + 1
    } else {
        quotient - 1
    }
}

fn divide_rounding_small(dividend: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    // Written without doubling, which could overflow.
    if remainder.unsigned_abs() < divisor.unsigned_abs() - remainder.unsigned_abs() {
        quotient
    } else if (dividend < 0) == (divisor < 0) {
        quotient + 1
    } else {
        quotient - 1
    }
}

/// Brings an unscaled value from one scale to another, rounding half away from zero when digits go.
pub(super) fn rescale(unscaled: BigInt, from: i64, to: i64) -> BigInt {
    match to - from {
        0 => unscaled,
        up if up > 0 => unscaled * big_power_of_ten(up as u64),
        down => {
            // A number with fewer digits than go leaves nothing, not even by rounding.
            if down.unsigned_abs() > big_digits_of(&unscaled) + 1 {
                return BigInt::zero();
            }
            divide_rounding(&unscaled, &big_power_of_ten(down.unsigned_abs()))
        }
    }
}

#[derive(Clone, Copy)]
enum Rounding {
    HalfAwayFromZero,
    TowardZero,
    Up,
    Down,
}

impl Numeric {
    /// What Postgres looks at to choose a scale. Zero and the special values are (0, 0).
    pub(super) fn magnitude(&self) -> Magnitude {
        let (digits, scale) = match &self.0 {
            Repr::Finite { unscaled, scale } => (i64::from(digits_of(unscaled.get().unsigned_abs())), i64::from(*scale)),
            Repr::Big(big) => (big_digits_of(&big.unscaled) as i64, i64::from(big.scale)),
            _ => (0, 0),
        };
        if digits == 0 {
            return Magnitude { weight: 0, first_digit: 0 };
        }
        let exponent = digits - 1 - scale;
        let weight = exponent.div_euclid(4);
        let wanted = exponent.rem_euclid(4) + 1;
        Magnitude { weight, first_digit: self.leading_digits(digits, wanted) }
    }

    /// The first `wanted` (at most nine) of a finite number's `digits` digits, zeros after them as needed.
    fn leading_digits(&self, digits: i64, wanted: i64) -> u32 {
        let dropped = digits - wanted;
        match &self.0 {
            Repr::Finite { unscaled, .. } if dropped >= 0 => (unscaled.get().unsigned_abs() / 10u128.pow(dropped as u32)) as u32,
            Repr::Finite { unscaled, .. } => unscaled.get().unsigned_abs() as u32 * 10u32.pow(-dropped as u32),
            Repr::Big(big) => u32::try_from(big.unscaled.magnitude() / big_power_of_ten(dropped.max(0) as u64).magnitude()).unwrap_or(0),
            _ => 0,
        }
    }

    pub fn add(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (Repr::Finite { unscaled: left, scale: left_scale }, Repr::Finite { unscaled: right, scale: right_scale }) = (&self.0, &other.0) {
            let (left, right, scale) = (left.get(), right.get(), *left_scale.max(right_scale));
            let rescaled = if left_scale == right_scale {
                Some((left, right))
            } else {
                let raise = |value: i128, from: u16| power_of_ten(usize::from(scale - from)).and_then(|power| value.checked_mul(power));
                raise(left, *left_scale).zip(raise(right, *right_scale))
            };
            if let Some(sum) = rescaled.and_then(|(left, right)| left.checked_add(right)).filter(|sum| *sum != i128::MIN) {
                return Ok(Numeric::finite(sum, scale));
            }
        }
        let (Some((left, left_scale)), Some((right, right_scale))) = (self.to_big(), other.to_big()) else {
            return Ok(match (&self.0, &other.0) {
                (Repr::NaN, _) | (_, Repr::NaN) => Numeric::nan(),
                (Repr::Infinity, Repr::NegativeInfinity) | (Repr::NegativeInfinity, Repr::Infinity) => Numeric::nan(),
                (Repr::Infinity | Repr::NegativeInfinity, _) => self.clone(),
                _ => other.clone(),
            });
        };
        let scale = i64::from(left_scale.max(right_scale));
        Numeric::from_big_checked(rescale(left, left_scale.into(), scale) + rescale(right, right_scale.into(), scale), scale)
    }

    pub fn subtract(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        self.add(&other.negate())
    }

    pub fn multiply(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (Repr::Finite { unscaled: left, scale: left_scale }, Repr::Finite { unscaled: right, scale: right_scale }) = (&self.0, &other.0) {
            let scale = u32::from(*left_scale) + u32::from(*right_scale);
            if scale <= u32::from(Numeric::MAX_DISPLAY_SCALE)
                && let Some(product) = left.get().checked_mul(right.get()).filter(|product| *product != i128::MIN)
            {
                return Ok(Numeric::finite(product, scale as u16));
            }
        }
        let (Some((left, left_scale)), Some((right, right_scale))) = (self.to_big(), other.to_big()) else {
            return Ok(match self.signum() * other.signum() {
                _ if self.is_nan() || other.is_nan() => Numeric::nan(),
                0 => Numeric::nan(),
                1 => Numeric::infinity(),
                _ => Numeric::negative_infinity(),
            });
        };
        let scale = i64::from(left_scale) + i64::from(right_scale);
        let kept = scale.min(i64::from(Numeric::MAX_DISPLAY_SCALE));
        Numeric::from_big_checked(rescale(left * right, scale, kept), kept)
    }

    /// The display scale of a quotient.
    pub(super) fn quotient_scale(&self, divisor: &Numeric) -> i64 {
        let (left, right) = (self.magnitude(), divisor.magnitude());
        let weight = left.weight - right.weight - i64::from(left.first_digit <= right.first_digit);
        (SIGNIFICANT_DIGITS_MIN - 4 * weight).max(self.scale().into()).max(divisor.scale().into()).clamp(0, CHOSEN_SCALE_MAX)
    }

    pub fn divide(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::nan());
        }
        if other.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        match (self.is_infinite(), other.is_infinite()) {
            (true, true) => return Ok(Numeric::nan()),
            (true, false) => return Ok(if other.signum() < 0 { self.negate() } else { self.clone() }),
            (false, true) => return Ok(Numeric::zero()),
            (false, false) => {}
        }
        let scale = self.quotient_scale(other);
        self.divide_to_scale(other, scale)
    }

    /// The quotient of finite numbers, rounded to `scale` digits. The divisor must not be zero.
    pub(super) fn divide_to_scale(&self, other: &Numeric, scale: i64) -> Result<Numeric, EvalError> {
        let shift = scale - i64::from(self.scale()) + i64::from(other.scale());
        if let (Repr::Finite { unscaled: left, .. }, Repr::Finite { unscaled: right, .. }) = (&self.0, &other.0)
            && let Some(power) = usize::try_from(shift).ok().and_then(power_of_ten)
            && let Some(dividend) = left.get().checked_mul(power)
        {
            return Ok(Numeric::finite(divide_rounding_small(dividend, right.get()), scale as u16));
        }
        let (Some((left, _)), Some((right, _))) = (self.to_big(), other.to_big()) else {
            return Ok(Numeric::nan());
        };
        let quotient = if shift >= 0 {
            divide_rounding(&(left * big_power_of_ten(shift as u64)), &right)
        } else {
            divide_rounding(&left, &(right * big_power_of_ten(shift.unsigned_abs())))
        };
        Numeric::from_big_checked(quotient, scale)
    }

    /// The remainder, with the sign of the dividend.
    pub fn modulo(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (Repr::Finite { unscaled: left, scale: left_scale }, Repr::Finite { unscaled: right, scale: right_scale }) = (&self.0, &other.0)
            && left_scale == right_scale
            && right.get() != 0
        {
            return Ok(Numeric::finite(left.get() % right.get(), *left_scale));
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::nan());
        }
        if other.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        let (Some((left, left_scale)), Some((right, right_scale))) = (self.to_big(), other.to_big()) else {
            return Ok(if self.is_infinite() { Numeric::nan() } else { self.clone() });
        };
        let scale = i64::from(left_scale.max(right_scale));
        Numeric::from_big_checked(rescale(left, left_scale.into(), scale) % rescale(right, right_scale.into(), scale), scale)
    }

    /// The quotient cut to an integer: `div(y, x)`.
    pub fn integer_quotient(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if self.is_nan() || other.is_nan() || !self.is_finite() || !other.is_finite() || other.is_zero() {
            return self.divide(other);
        }
        let (Some((left, left_scale)), Some((right, right_scale))) = (self.to_big(), other.to_big()) else {
            return Ok(Numeric::nan());
        };
        let scale = i64::from(left_scale.max(right_scale));
        Numeric::from_big_checked(rescale(left, left_scale.into(), scale) / rescale(right, right_scale.into(), scale), 0)
    }

    /// Both values as integers of one scale, if they are finite.
    fn aligned(&self, other: &Numeric) -> Option<(BigInt, BigInt, i64)> {
        let ((left, left_scale), (right, right_scale)) = (self.to_big()?, other.to_big()?);
        let scale = i64::from(left_scale.max(right_scale));
        Some((rescale(left, left_scale.into(), scale), rescale(right, right_scale.into(), scale), scale))
    }

    /// NaN if either is not finite.
    pub fn greatest_common_divisor(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        match self.aligned(other) {
            Some((left, right, scale)) => Numeric::from_big_checked(num_integer::Integer::gcd(&left, &right), scale),
            None => Ok(Numeric::nan()),
        }
    }

    pub fn least_common_multiple(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        match self.aligned(other) {
            Some((left, right, scale)) => Numeric::from_big_checked(num_integer::Integer::lcm(&left, &right), scale),
            None => Ok(Numeric::nan()),
        }
    }

    pub fn negate(&self) -> Numeric {
        match &self.0 {
            Repr::Finite { unscaled, scale } => Numeric::finite(-unscaled.get(), *scale),
            Repr::Big(big) => Numeric::from_big(-&big.unscaled, big.scale),
            Repr::NaN => Numeric::nan(),
            Repr::Infinity => Numeric::negative_infinity(),
            Repr::NegativeInfinity => Numeric::infinity(),
        }
    }

    pub fn absolute(&self) -> Numeric {
        if self.signum() < 0 { self.negate() } else { self.clone() }
    }

    /// -1, 0, 1, NaN as a number: `sign(x)`.
    pub fn sign(&self) -> Numeric {
        if self.is_nan() { Numeric::nan() } else { Numeric::finite(i128::from(self.signum()), 0) }
    }

    /// Rounds half away from zero to `scale` digits (negative: left of the point).
    pub fn round(&self, scale: i32) -> Numeric {
        self.with_scale(scale.clamp(ROUND_SCALE_MIN, ROUND_SCALE_MAX), Rounding::HalfAwayFromZero)
    }

    pub fn truncate(&self, scale: i32) -> Numeric {
        self.with_scale(scale.clamp(ROUND_SCALE_MIN, ROUND_SCALE_MAX), Rounding::TowardZero)
    }

    pub fn ceil(&self) -> Numeric {
        self.with_scale(0, Rounding::Up)
    }

    pub fn floor(&self) -> Numeric {
        self.with_scale(0, Rounding::Down)
    }

    fn with_scale(&self, scale: i32, rounding: Rounding) -> Numeric {
        let shift = scale - i32::from(self.scale());
        let kept = scale.max(0) as u16;
        let small = match &self.0 {
            Repr::Finite { unscaled, .. } if shift == 0 => return Numeric::finite(unscaled.get(), kept),
            Repr::Finite { unscaled, .. } => power_of_ten(shift.unsigned_abs() as usize).and_then(|power| {
                let unscaled = unscaled.get();
                if shift > 0 {
                    return unscaled.checked_mul(power).filter(|raised| *raised != i128::MIN);
                }
                let quotient = match rounding {
                    Rounding::HalfAwayFromZero => divide_rounding_small(unscaled, power),
                    Rounding::TowardZero => unscaled / power,
                    Rounding::Up => -(-unscaled).div_euclid(power),
                    Rounding::Down => unscaled.div_euclid(power),
                };
                quotient.checked_mul(power_of_ten((-scale).max(0) as usize)?).filter(|raised| *raised != i128::MIN)
            }),
            _ => None,
        };
        if let Some(unscaled) = small {
            return Numeric::finite(unscaled, kept);
        }
        let Some((unscaled, _)) = self.to_big() else {
            return self.clone();
        };
        if shift >= 0 {
            return Numeric::from_big(unscaled * big_power_of_ten(shift as u64), kept);
        }
        if i64::from(shift.unsigned_abs()) > big_digits_of(&unscaled) as i64 + 1 && matches!(rounding, Rounding::HalfAwayFromZero | Rounding::TowardZero) {
            return Numeric::finite(0, kept);
        }
        let power = big_power_of_ten(u64::from(shift.unsigned_abs()));
        let quotient = match rounding {
            Rounding::HalfAwayFromZero => divide_rounding(&unscaled, &power),
            Rounding::TowardZero => unscaled / power,
            Rounding::Up => unscaled.div_ceil(&power),
            Rounding::Down => unscaled.div_floor(&power),
        };
        Numeric::from_big(quotient * big_power_of_ten((-scale).max(0) as u64), kept)
    }

    /// Applies `numeric(p, s)`: rounds to the scale, refuses too many digits with Postgres' detail text.
    pub fn apply_modifier(&self, modifier: NumericModifier) -> Result<Numeric, EvalError> {
        let NumericModifier { precision, scale } = modifier;
        let refuse = |detail: String| Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(detail));
        if self.is_nan() {
            return Ok(self.clone());
        }
        if self.is_infinite() {
            return refuse(format!("A field with precision {precision}, scale {scale} cannot hold an infinite value."));
        }
        let rounded = self.with_scale(i32::from(scale), Rounding::HalfAwayFromZero);
        let digits_max = i64::from(precision) - i64::from(scale);
        if !rounded.is_zero() && rounded.digits_before_point() > digits_max {
            let limit = if digits_max == 0 { "1".to_string() } else { format!("10^{digits_max}") };
            return refuse(format!("A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."));
        }
        Ok(rounded)
    }

    /// Digits before the point of a finite number that is not zero; 0.001 has -2.
    fn digits_before_point(&self) -> i64 {
        match &self.0 {
            Repr::Finite { unscaled, scale } => i64::from(digits_of(unscaled.get().unsigned_abs())) - i64::from(*scale),
            Repr::Big(big) => big_digits_of(&big.unscaled) as i64 - i64::from(big.scale),
            _ => 0,
        }
    }
}

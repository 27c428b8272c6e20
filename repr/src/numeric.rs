//! Postgres' `numeric`: exact decimals of up to 131,072 digits before and 16,383 after the point, NaN and the infinities.
//!
//! Up to 38 digits live in an `i128`; more in a big integer. Display scale is part of a value but not of its order.

use crate::EvalError;

/// Precision and scale of `numeric(p, s)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericModifier {
    pub precision: u16,
    pub scale: i16,
}

/// A decimal. `Eq`, `Ord` and `Hash` are SQL's: 1.0 equals 1.00, NaN equals NaN and is greater than everything.
#[derive(Clone, Debug)]
pub struct Numeric {
    _private: (),
}

#[rustfmt::skip]
impl Numeric {
    pub const MAX_DISPLAY_SCALE: u16 = 16_383;
    pub fn nan() -> Numeric { todo!() }
    pub fn infinity() -> Numeric { todo!() }
    pub fn negative_infinity() -> Numeric { todo!() }
    pub fn zero() -> Numeric { todo!() }
    /// `unscaled * 10^-scale`, shown with `scale` digits.
    pub fn from_parts(_unscaled: i128, _scale: u16) -> Numeric { todo!() }
    /// As `from_parts`, from a two's complement big-endian integer: how Connect's Decimal carries it. A negative scale multiplies.
    pub fn from_be_bytes(_unscaled: &[u8], _scale: i32) -> Result<Numeric, EvalError> { todo!() }
    pub fn parse(_text: &str) -> Result<Numeric, EvalError> { todo!() }
    pub fn is_nan(&self) -> bool { todo!() }
    pub fn is_infinite(&self) -> bool { todo!() }
    pub fn is_zero(&self) -> bool { todo!() }
    /// -1, 0, 1 (NaN: 0).
    pub fn signum(&self) -> i32 { todo!() }
    /// Digits shown after the point.
    pub fn scale(&self) -> u16 { todo!() }
    // Arithmetic with Postgres' result scales and errors.
    pub fn add(&self, _other: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn subtract(&self, _other: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn multiply(&self, _other: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn divide(&self, _other: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn modulo(&self, _other: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn negate(&self) -> Numeric { todo!() }
    pub fn absolute(&self) -> Numeric { todo!() }
    /// Rounds half away from zero to `scale` digits (negative: left of the point).
    pub fn round(&self, _scale: i32) -> Numeric { todo!() }
    pub fn truncate(&self, _scale: i32) -> Numeric { todo!() }
    pub fn ceil(&self) -> Numeric { todo!() }
    pub fn floor(&self) -> Numeric { todo!() }
    pub fn power(&self, _exponent: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn sqrt(&self) -> Result<Numeric, EvalError> { todo!() }
    pub fn exp(&self) -> Result<Numeric, EvalError> { todo!() }
    pub fn ln(&self) -> Result<Numeric, EvalError> { todo!() }
    pub fn log(&self, _base: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    /// The same value with the smallest display scale: equal values become identical.
    pub fn canonical(&self) -> Numeric { todo!() }
    /// Applies `numeric(p, s)`: rounds to the scale, refuses too many digits with Postgres' detail text.
    pub fn apply_modifier(&self, _modifier: NumericModifier) -> Result<Numeric, EvalError> { todo!() }
    pub fn to_i64(&self) -> Result<i64, EvalError> { todo!() }
    pub fn to_i32(&self) -> Result<i32, EvalError> { todo!() }
    pub fn to_i16(&self) -> Result<i16, EvalError> { todo!() }
    pub fn to_f64(&self) -> f64 { todo!() }
    /// As Postgres' cast: 15 significant digits.
    pub fn from_f64(_value: f64) -> Numeric { todo!() }
    pub fn from_f32(_value: f32) -> Numeric { todo!() }
}

impl From<i64> for Numeric {
    fn from(_value: i64) -> Numeric {
        todo!()
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
    fn from(_value: i128) -> Numeric {
        todo!()
    }
}
impl std::fmt::Display for Numeric {
    fn fmt(&self, _formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Numeric {}
impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Numeric {
    fn cmp(&self, _other: &Numeric) -> std::cmp::Ordering {
        todo!()
    }
}
impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {
        todo!()
    }
}

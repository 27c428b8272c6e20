//! Mathematical functions beyond the four operations.

use super::arithmetic::{bigint_out_of_range, float_overflow, float_underflow, integer_out_of_range};
use super::lift::Table;
use super::typed as t;
use repr::{EvalError, Numeric, SqlState};
use std::hash::{BuildHasher, RandomState};

pub fn register(table: &mut Table) {
    rounding(table);
    powers(table);
    logarithms(table);
    divisors(table);
    integers(table);
    table
        .entry::<(), t::Float8>("random", "A random number from 0 (included) to 1 (excluded).")
        .volatile()
        .returns_with(|_| Random::default(), |random, ()| (random.next() >> 11) as f64 / (1_u64 << 53) as f64);
}

/// A stream of random words: a keyed hash of a counter, whose key the standard library takes from the system.
#[derive(Default)]
pub struct Random {
    key: RandomState,
    counter: u64,
}
impl Random {
    pub fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        self.key.hash_one(self.counter)
    }
}

fn rounding(table: &mut Table) {
    for name in ["ceil", "ceiling"] {
        table.entry::<(t::Float8,), t::Float8>(name, "The nearest integer not below.").returns(|(a,)| a.ceil());
        table.entry::<(t::Numeric,), t::Numeric>(name, "The nearest integer not below.").returns(|(a,)| a.ceil());
    }
    table.entry::<(t::Float8,), t::Float8>("floor", "The nearest integer not above.").returns(|(a,)| a.floor());
    table.entry::<(t::Numeric,), t::Numeric>("floor", "The nearest integer not above.").returns(|(a,)| a.floor());
    // Floats round half to even, numerics half away from zero.
    table.entry::<(t::Float8,), t::Float8>("round", "The nearest integer.").returns(|(a,)| a.round_ties_even());
    table.entry::<(t::Numeric,), t::Numeric>("round", "The nearest integer.").returns(|(a,)| a.round(0));
    table.entry::<(t::Numeric, t::Int4), t::Numeric>("round", "Rounds to so many decimal places.").returns(|(a, scale)| a.round(scale));
    table.entry::<(t::Float8,), t::Float8>("trunc", "The integer part.").returns(|(a,)| a.trunc());
    table.entry::<(t::Numeric,), t::Numeric>("trunc", "The integer part.").returns(|(a,)| a.truncate(0));
    table.entry::<(t::Numeric, t::Int4), t::Numeric>("trunc", "Cuts to so many decimal places.").returns(|(a, scale)| a.truncate(scale));
    table.entry::<(t::Float8,), t::Float8>("sign", "-1, 0 or 1.").returns(|(a,)| if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 });
    table.entry::<(t::Numeric,), t::Numeric>("sign", "-1, 0 or 1.").returns(|(a,)| a.sign());
    table
        .entry::<(t::Numeric,), t::Int4>("scale", "How many decimal places are shown.")
        .returns(|(a,)| (!a.is_nan() && !a.is_infinite()).then(|| i32::from(a.scale())));
    table
        .entry::<(t::Numeric,), t::Int4>("min_scale", "How many decimal places are needed.")
        .returns(|(a,)| (!a.is_nan() && !a.is_infinite()).then(|| i32::from(a.canonical().scale())));
    table.entry::<(t::Numeric,), t::Numeric>("trim_scale", "The value without trailing zeros.").returns(|(a,)| a.canonical());
}

fn invalid_power(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message)
}
fn invalid_logarithm(of: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, format!("cannot take logarithm of {of}"))
}

fn power(base: f64, exponent: f64) -> Result<f64, EvalError> {
    if base == 0.0 && exponent < 0.0 {
        return Err(invalid_power("zero raised to a negative power is undefined"));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(invalid_power("a negative number raised to a non-integer power yields a complex result"));
    }
    let result = base.powf(exponent);
    if result.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(float_overflow());
    }
    if result == 0.0 && base != 0.0 && base.is_finite() && exponent.is_finite() {
        return Err(float_underflow());
    }
    Ok(result)
}

fn square_root(value: f64) -> Result<f64, EvalError> {
    if value < 0.0 { Err(invalid_power("cannot take square root of a negative number")) } else { Ok(value.sqrt()) }
}

fn powers(table: &mut Table) {
    for name in ["^", "power", "pow"] {
        table.entry::<(t::Float8, t::Float8), t::Float8>(name, "The first argument raised to the second.").returns(|(a, b)| power(a, b));
        table.entry::<(t::Numeric, t::Numeric), t::Numeric>(name, "The first argument raised to the second.").returns(|(a, b)| a.power(b));
    }
    for name in ["|/", "sqrt"] {
        table.entry::<(t::Float8,), t::Float8>(name, "The square root.").returns(|(a,)| square_root(a));
    }
    table.entry::<(t::Numeric,), t::Numeric>("sqrt", "The square root.").returns(|(a,)| a.sqrt());
    for name in ["||/", "cbrt"] {
        table.entry::<(t::Float8,), t::Float8>(name, "The cube root.").returns(|(a,)| a.cbrt());
    }
    table.entry::<(t::Float8,), t::Float8>("exp", "e raised to the argument.").returns(|(a,)| {
        let result = a.exp();
        match result {
            _ if result.is_infinite() && a.is_finite() => Err(float_overflow()),
            _ if result == 0.0 && a.is_finite() => Err(float_underflow()),
            _ => Ok(result),
        }
    });
    table.entry::<(t::Numeric,), t::Numeric>("exp", "e raised to the argument.").returns(|(a,)| a.exp());
}

fn positive(value: f64) -> Result<f64, EvalError> {
    match value {
        0.0 => Err(invalid_logarithm("zero")),
        value if value < 0.0 => Err(invalid_logarithm("a negative number")),
        value => Ok(value),
    }
}

fn logarithms(table: &mut Table) {
    table.entry::<(t::Float8,), t::Float8>("ln", "The natural logarithm.").returns(|(a,)| positive(a).map(f64::ln));
    table.entry::<(t::Numeric,), t::Numeric>("ln", "The natural logarithm.").returns(|(a,)| a.ln());
    for name in ["log", "log10"] {
        table.entry::<(t::Float8,), t::Float8>(name, "The logarithm to base 10.").returns(|(a,)| positive(a).map(f64::log10));
        table.entry::<(t::Numeric,), t::Numeric>(name, "The logarithm to base 10.").returns(|(a,)| a.log(&Numeric::from(10_i32)));
    }
    table
        .entry::<(t::Numeric, t::Numeric), t::Numeric>("log", "The logarithm of the second argument to the base of the first.")
        .returns(|(base, a)| a.log(base));
}

fn divisors(table: &mut Table) {
    fn gcd(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    fn lcm(a: u64, b: u64) -> Option<u64> {
        if a == 0 || b == 0 { Some(0) } else { (a / gcd(a, b)).checked_mul(b) }
    }
    macro_rules! integers {
        ($($marker:ident $rust:ty, $overflow:ident;)*) => {$(
            table.entry::<(t::$marker, t::$marker), t::$marker>("gcd", "The greatest common divisor.").returns(|(a, b)| {
                <$rust>::try_from(gcd(i64::from(a).unsigned_abs(), i64::from(b).unsigned_abs())).map_err(|_| $overflow())
            });
            table.entry::<(t::$marker, t::$marker), t::$marker>("lcm", "The least common multiple.").returns(|(a, b)| {
                lcm(i64::from(a).unsigned_abs(), i64::from(b).unsigned_abs()).and_then(|lcm| <$rust>::try_from(lcm).ok()).ok_or_else($overflow)
            });
        )*};
    }
    integers! {
        Int4 i32, integer_out_of_range;
        Int8 i64, bigint_out_of_range;
    }
    table.entry::<(t::Numeric, t::Numeric), t::Numeric>("gcd", "The greatest common divisor.").returns(|(a, b)| a.greatest_common_divisor(b));
    table.entry::<(t::Numeric, t::Numeric), t::Numeric>("lcm", "The least common multiple.").returns(|(a, b)| a.least_common_multiple(b));
    table
        .entry::<(t::Numeric, t::Numeric), t::Numeric>("div", "The integer quotient, truncated towards zero.")
        .returns(|(a, b)| a.integer_quotient(b));
}

/// Beyond this Postgres' factorial has more digits than numeric holds.
const FACTORIAL_MAX: i64 = 32_177;

fn integers(table: &mut Table) {
    table.entry::<(t::Int8,), t::Numeric>("factorial", "The product of all integers from 1 to the argument.").returns(|(a,)| {
        let out_of_range = |message: &str| EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message);
        if a < 0 {
            return Err(out_of_range("factorial of a negative number is undefined"));
        }
        if a > FACTORIAL_MAX {
            return Err(out_of_range("value overflows numeric format"));
        }
        let product = (2..=a).fold(num_bigint::BigInt::from(1), |product, factor| product * factor);
        Numeric::from_big_checked(product, 0)
    });
}

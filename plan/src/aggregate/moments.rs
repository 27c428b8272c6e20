//! Variances, regressions and bits: results made of several sums, each of which lives in the diff.
//!
//! The sums are exact, so nothing depends on the order of the rows; what Postgres computes in floats step by step is rounded once here.

use super::accumulator::{Accumulator, FloatSum, Special, float, numeric, product};
use super::{AggregateKind, Regression, exact};
use num_bigint::BigInt;
use repr::{Datum, Diff, EvalError, Numeric, SqlState, Type};

/// The values and their squares.
pub(super) fn squares(argument: &Datum<'_>, diff: Diff) -> Accumulator {
    let float_squares = |value: f64| {
        let square = if value.is_finite() { product(value, value, diff) } else { Accumulator::Zero };
        several([float(value, diff), square])
    };
    let integer = |value: i64| numeric_squares(&Numeric::from(value), diff);
    match argument {
        Datum::Int2(value) => integer(i64::from(*value)),
        Datum::Int4(value) => integer(i64::from(*value)),
        Datum::Int8(value) => integer(*value),
        Datum::Numeric(value) => numeric_squares(value, diff),
        Datum::Float4(value) => float_squares(f64::from(*value)),
        Datum::Float8(value) => float_squares(*value),
        _ => Accumulator::Zero,
    }
}

fn several(sums: impl IntoIterator<Item = Accumulator>) -> Accumulator {
    Accumulator::Several(sums.into_iter().collect())
}

fn numeric_squares(value: &Numeric, diff: Diff) -> Accumulator {
    // A square that is beyond the format has no sum either: the special value of the first sum decides.
    let square = if value.is_finite() { value.multiply(value).map_or(Accumulator::Zero, |square| numeric(&square, diff)) } else { Accumulator::Zero };
    several([numeric(value, diff), square])
}

/// x, y, x * x, y * y, x * y; nothing if either is NULL.
pub(super) fn pair(y: &Datum<'_>, x: &Datum<'_>, diff: Diff) -> Accumulator {
    let (Datum::Float8(y), Datum::Float8(x)) = (y, x) else { return Accumulator::Zero };
    if diff == 0 {
        return Accumulator::Zero;
    }
    let times = |left: f64, right: f64| if left.is_finite() && right.is_finite() { product(left, right, diff) } else { Accumulator::Zero };
    several([float(*x, diff), float(*y, diff), times(*x, *x), times(*y, *y), times(*x, *y)])
}

/// How many values, and how many have each bit.
pub(super) fn bits(argument: &Datum<'_>, diff: Diff) -> Accumulator {
    let (value, width) = match argument {
        Datum::Int2(value) => (i64::from(*value), i16::BITS),
        Datum::Int4(value) => (i64::from(*value), i32::BITS),
        Datum::Int8(value) => (*value, i64::BITS),
        _ => return Accumulator::Zero,
    };
    let ones = (0..width).map(|bit| if value >> bit & 1 == 1 { diff } else { 0 });
    Accumulator::Bits(std::iter::once(diff).chain(ones).collect())
}

pub(super) fn finish_bits(kind: AggregateKind, result: &Type, counts: &[i64]) -> Datum<'static> {
    let Some((&count, ones)) = counts.split_first().filter(|(count, _)| **count != 0) else { return Datum::Null };
    let is_set = |ones: i64| match kind {
        AggregateKind::BitAnd => ones == count,
        AggregateKind::BitOr => ones != 0,
        _ => ones & 1 == 1,
    };
    let value = ones.iter().enumerate().fold(0i64, |value, (bit, ones)| value | i64::from(is_set(*ones)) << bit);
    match result {
        Type::Int2 => Datum::Int2(value as i16),
        Type::Int4 => Datum::Int4(value as i32),
        _ => Datum::Int8(value),
    }
}

pub(super) fn finish(kind: AggregateKind, result: &Type, sums: &[Accumulator]) -> Result<Datum<'static>, EvalError> {
    match (kind, sums) {
        (AggregateKind::Variance { sample, root }, [values, squares]) if *result == Type::Numeric => numeric_variance(values, squares, sample, root),
        (AggregateKind::Variance { sample, root }, [values, squares]) => {
            let values = values.float_sum();
            let count = total(&values);
            if count < 1 || (sample && count < 2) {
                return Ok(Datum::Null);
            }
            let distances = central(count, [&values, &values], &squares.float_sum())?;
            let variance = distances / (count - i64::from(sample)) as f64;
            Ok(Datum::Float8(if root { variance.sqrt() } else { variance }))
        }
        (AggregateKind::Regression(regression), [x, y, xx, yy, xy]) => {
            let sums = Pairs { x: x.float_sum(), y: y.float_sum(), xx: xx.float_sum(), yy: yy.float_sum(), xy: xy.float_sum() };
            regress(regression, &sums)
        }
        _ => Ok(Datum::Null),
    }
}

fn numeric_variance(values: &Accumulator, squares: &Accumulator, sample: bool, root: bool) -> Result<Datum<'static>, EvalError> {
    let (values, squares) = (values.numeric_sum(), squares.numeric_sum());
    let count = values.scales.iter().fold(values.specials.count(), |count, (_, more, _)| count.wrapping_add(*more));
    if count < 1 || (sample && count < 2) {
        return Ok(Datum::Null);
    }
    if !values.specials.is_zero() {
        return Ok(Datum::Numeric(Numeric::nan()));
    }
    let parts = |sum: super::accumulator::NumericSum| sum.scales.into_iter().map(|(scale, _, sum)| (sum, scale)).collect::<Vec<_>>();
    Numeric::variance(count, parts(values), parts(squares), sample, root).map(Datum::Numeric)
}

/// How many values are in a sum of floats.
fn total(sum: &FloatSum) -> i64 {
    sum.count.wrapping_add(sum.specials.count())
}

fn overflow() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn finite(value: f64) -> Result<f64, EvalError> {
    if value.is_finite() { Ok(value) } else { Err(overflow()) }
}

/// The sum of the products of two columns' distances from their means: `sum(a * b) - sum(a) * sum(b) / count`. NaN if a value is not finite.
fn central(count: i64, values: [&FloatSum; 2], products: &FloatSum) -> Result<f64, EvalError> {
    if values.iter().any(|sum| !sum.specials.is_zero()) {
        return Ok(f64::NAN);
    }
    let [left, right] = values;
    let (mut mantissa, mut exponent) = (&products.mantissa * BigInt::from(count), products.exponent);
    exact::add_big_dyadic(&mut mantissa, &mut exponent, &-(&left.mantissa * &right.mantissa), left.exponent + right.exponent);
    finite(exact::nearest_quotient(&mantissa, exponent, count))
}

/// A sum as a float.
fn rounded(sum: &FloatSum) -> Result<f64, EvalError> {
    match sum.specials.result() {
        Some(Special::NaN) => Ok(f64::NAN),
        Some(Special::Infinity) => Ok(f64::INFINITY),
        Some(Special::NegativeInfinity) => Ok(f64::NEG_INFINITY),
        None => finite(exact::nearest_f64(&sum.mantissa, sum.exponent)),
    }
}

struct Pairs {
    x: FloatSum,
    y: FloatSum,
    xx: FloatSum,
    yy: FloatSum,
    xy: FloatSum,
}

/// Postgres' formulas, over the exact sums.
fn regress(regression: Regression, sums: &Pairs) -> Result<Datum<'static>, EvalError> {
    let count = total(&sums.x);
    if regression == Regression::Count {
        return Ok(Datum::Int8(count));
    }
    if count < 1 || (regression == Regression::CovarianceSample && count < 2) {
        return Ok(Datum::Null);
    }
    let n = count as f64;
    let sxx = || central(count, [&sums.x, &sums.x], &sums.xx);
    let syy = || central(count, [&sums.y, &sums.y], &sums.yy);
    let sxy = || central(count, [&sums.x, &sums.y], &sums.xy);
    let value = match regression {
        Regression::Count => n,
        Regression::MeanX => rounded(&sums.x)? / n,
        Regression::MeanY => rounded(&sums.y)? / n,
        Regression::SquaresX => sxx()?,
        Regression::SquaresY => syy()?,
        Regression::Products => sxy()?,
        Regression::CovariancePopulation => sxy()? / n,
        Regression::CovarianceSample => sxy()? / (n - 1.0),
        Regression::Correlation => match (sxx()?, syy()?) {
            (sxx, syy) if sxx == 0.0 || syy == 0.0 => return Ok(Datum::Null),
            (sxx, syy) => sxy()? / (sxx * syy).sqrt(),
        },
        Regression::Determination => match (sxx()?, syy()?) {
            (0.0, _) => return Ok(Datum::Null),
            (_, 0.0) => 1.0,
            (sxx, syy) => {
                let sxy = sxy()?;
                (sxy * sxy) / (sxx * syy)
            }
        },
        Regression::Slope => match sxx()? {
            0.0 => return Ok(Datum::Null),
            sxx => sxy()? / sxx,
        },
        Regression::Intercept => match sxx()? {
            0.0 => return Ok(Datum::Null),
            sxx => (rounded(&sums.y)? - rounded(&sums.x)? * sxy()? / sxx) / n,
        },
    };
    Ok(Datum::Float8(value))
}

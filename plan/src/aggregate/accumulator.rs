//! Sums that live in the diff of an update.
//!
//! An [`Accumulator`] is an element of a commutative group: it is added, negated by `multiply(-1)`, and two orders of the same additions give the same
//! value, also under `==`. So a group's aggregate is the sum over its rows and nothing else, whatever the order in which changes arrive.
//!
//! # States that no table has
//! In the middle of an update a group may hold rows with multiplicities below zero, or a row count of zero beside a sum that is not. Nothing here
//! panics on that: counts go below zero, `finish` of a sum over no values is NULL whatever the sum says, and of a negative number of values is
//! computed as it stands. The remaining updates of the same timestamp put it right.

use super::exact::{self, Wide};
use super::{Aggregate, AggregateEntry, AggregateKind, moments};
use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};
use repr::{Datum, DatumIter, Diff, EvalError, Interval, Numeric, RowBuilder, Type};
use smallvec::SmallVec;

/// The state of one aggregate. Equal states are equal values: each has one form only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accumulator {
    /// The neutral element of every aggregate.
    #[default]
    Zero,
    /// Rows, or rows whose argument is not NULL.
    Count(i64),
    Bool {
        trues: i64,
        falses: i64,
    },
    /// Of int2, int4 and int8; modulo 2^128, which no table reaches.
    SumInteger {
        count: i64,
        sum: Wide,
    },
    /// Numerics of one scale whose sum fits: what almost every column of decimals is.
    SumNumeric {
        scale: u16,
        count: i64,
        sum: Wide,
    },
    /// Any other numerics.
    SumNumericWide(Box<NumericSum>),
    /// Finite floats, exactly: `mantissa * 2^exponent`, the mantissa odd or zero.
    SumFloat {
        exponent: i16,
        count: i64,
        mantissa: Wide,
    },
    /// Any other floats.
    SumFloatWide(Box<FloatSum>),
    SumInterval(Box<IntervalSum>),
    /// Sums kept side by side: of values, of their squares, of products.
    Several(Box<[Accumulator]>),
    /// How many values there are, then for each bit how many of them have it.
    Bits(Box<[i64]>),
}

const _: () = assert!(size_of::<Accumulator>() == 32);

/// How often each value that is not finite was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specials {
    pub(super) nan: i64,
    pub(super) infinity: i64,
    pub(super) negative_infinity: i64,
}

/// What the specials make of a sum.
pub(super) enum Special {
    NaN,
    Infinity,
    NegativeInfinity,
}

impl Specials {
    fn add(&mut self, other: &Specials) {
        self.nan = self.nan.wrapping_add(other.nan);
        self.infinity = self.infinity.wrapping_add(other.infinity);
        self.negative_infinity = self.negative_infinity.wrapping_add(other.negative_infinity);
    }
    fn multiply(&mut self, factor: i64) {
        self.nan = self.nan.wrapping_mul(factor);
        self.infinity = self.infinity.wrapping_mul(factor);
        self.negative_infinity = self.negative_infinity.wrapping_mul(factor);
    }
    pub(super) fn is_zero(&self) -> bool {
        *self == Specials::default()
    }
    pub(super) fn count(&self) -> i64 {
        self.nan.wrapping_add(self.infinity).wrapping_add(self.negative_infinity)
    }
    pub(super) fn result(&self) -> Option<Special> {
        match (self.nan != 0, self.infinity != 0, self.negative_infinity != 0) {
            (true, _, _) | (_, true, true) => Some(Special::NaN),
            (_, true, false) => Some(Special::Infinity),
            (_, false, true) => Some(Special::NegativeInfinity),
            (false, false, false) => None,
        }
    }
}

/// Numerics by display scale, because the sum is shown with the greatest scale among the values that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumericSum {
    pub(super) specials: Specials,
    /// Scale, number of values, sum of the unscaled values; ascending, none with neither.
    pub(super) scales: Vec<(u16, i64, BigInt)>,
}

impl NumericSum {
    fn add(&mut self, scale: u16, count: i64, sum: &BigInt) {
        match self.scales.binary_search_by_key(&scale, |(scale, _, _)| *scale) {
            Ok(position) => {
                let entry = &mut self.scales[position];
                entry.1 = entry.1.wrapping_add(count);
                entry.2 += sum;
                if entry.1 == 0 && entry.2.is_zero() {
                    self.scales.remove(position);
                }
            }
            Err(position) if count != 0 || !sum.is_zero() => self.scales.insert(position, (scale, count, sum.clone())),
            Err(_) => {}
        }
    }
}

/// Floats of any range. `mantissa * 2^exponent`, the mantissa odd or zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FloatSum {
    pub(super) specials: Specials,
    pub(super) count: i64,
    pub(super) mantissa: BigInt,
    pub(super) exponent: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntervalSum {
    count: i64,
    months: i64,
    days: i64,
    micros: Wide,
}

impl Accumulator {
    #[inline]
    pub fn is_zero(&self) -> bool {
        matches!(self, Accumulator::Zero)
    }

    /// Adds another state of the same aggregate.
    #[inline]
    pub fn plus_equals(&mut self, other: &Accumulator) {
        use Accumulator::*;
        match (&mut *self, other) {
            (_, Zero) => return,
            (Zero, other) => {
                *self = other.clone();
                return;
            }
            (Count(count), Count(other)) => *count = count.wrapping_add(*other),
            (Bool { trues, falses }, Bool { trues: other_trues, falses: other_falses }) => {
                *trues = trues.wrapping_add(*other_trues);
                *falses = falses.wrapping_add(*other_falses);
            }
            (SumInteger { count, sum }, SumInteger { count: other_count, sum: other_sum }) => {
                *count = count.wrapping_add(*other_count);
                *sum = Wide::new(sum.get().wrapping_add(other_sum.get()));
            }
            (SumInterval(interval), SumInterval(other)) => {
                interval.count = interval.count.wrapping_add(other.count);
                interval.months = interval.months.wrapping_add(other.months);
                interval.days = interval.days.wrapping_add(other.days);
                interval.micros = Wide::new(interval.micros.get().wrapping_add(other.micros.get()));
            }
            (SumNumeric { scale, count, sum }, SumNumeric { scale: other_scale, count: other_count, sum: other_sum })
                if scale == other_scale && sum.get().checked_add(other_sum.get()).is_some() =>
            {
                *count = count.wrapping_add(*other_count);
                *sum = Wide::new(sum.get().wrapping_add(other_sum.get()));
            }
            (SumNumeric { .. } | SumNumericWide(_), SumNumeric { .. } | SumNumericWide(_)) => self.add_numeric(other),
            (SumFloat { exponent, count, mantissa }, SumFloat { exponent: other_exponent, count: other_count, mantissa: other_mantissa }) => {
                let sum = exact::add_dyadic((mantissa.get(), i32::from(*exponent)), (other_mantissa.get(), i32::from(*other_exponent)));
                match sum.and_then(|(sum, exponent)| Some((sum, i16::try_from(exponent).ok()?))) {
                    Some((sum, sum_exponent)) => {
                        *count = count.wrapping_add(*other_count);
                        *mantissa = Wide::new(sum);
                        *exponent = sum_exponent;
                    }
                    None => self.add_float(other),
                }
            }
            (SumFloat { .. } | SumFloatWide(_), SumFloat { .. } | SumFloatWide(_)) => self.add_float(other),
            (Several(sums), Several(others)) => sums.iter_mut().zip(others).for_each(|(sum, other)| sum.plus_equals(other)),
            (Bits(counts), Bits(others)) => counts.iter_mut().zip(others).for_each(|(count, other)| *count = count.wrapping_add(*other)),
            // Two aggregates mixed up: a mistake of the caller, but never a panic in release.
            (left, right) => debug_assert!(false, "states of different aggregates: {left:?} and {right:?}"),
        }
        self.settle();
    }

    /// The state of as many copies; -1 negates.
    pub fn multiply(&self, factor: i64) -> Accumulator {
        use Accumulator::*;
        let mut product = match self {
            _ if factor == 0 => return Zero,
            _ if factor == 1 => return self.clone(),
            Zero => return Zero,
            Count(count) => Count(count.wrapping_mul(factor)),
            Bool { trues, falses } => Bool { trues: trues.wrapping_mul(factor), falses: falses.wrapping_mul(factor) },
            SumInteger { count, sum } => SumInteger { count: count.wrapping_mul(factor), sum: Wide::new(sum.get().wrapping_mul(i128::from(factor))) },
            SumInterval(interval) => SumInterval(Box::new(IntervalSum {
                count: interval.count.wrapping_mul(factor),
                months: interval.months.wrapping_mul(factor),
                days: interval.days.wrapping_mul(factor),
                micros: Wide::new(interval.micros.get().wrapping_mul(i128::from(factor))),
            })),
            SumNumeric { scale, count, sum } if sum.get().checked_mul(i128::from(factor)).is_some() => {
                SumNumeric { scale: *scale, count: count.wrapping_mul(factor), sum: Wide::new(sum.get().wrapping_mul(i128::from(factor))) }
            }
            SumNumeric { .. } | SumNumericWide(_) => {
                let mut sum = self.numeric_sum();
                sum.specials.multiply(factor);
                for (_, count, sum) in &mut sum.scales {
                    *count = count.wrapping_mul(factor);
                    *sum *= factor;
                }
                SumNumericWide(Box::new(sum))
            }
            Several(sums) => Several(sums.iter().map(|sum| sum.multiply(factor)).collect()),
            Bits(counts) => Bits(counts.iter().map(|count| count.wrapping_mul(factor)).collect()),
            SumFloat { .. } | SumFloatWide(_) => {
                let mut sum = self.float_sum();
                sum.specials.multiply(factor);
                sum.count = sum.count.wrapping_mul(factor);
                sum.mantissa *= factor;
                exact::reduce_big_dyadic(&mut sum.mantissa, &mut sum.exponent);
                SumFloatWide(Box::new(sum))
            }
        };
        product.settle();
        product
    }

    fn add_numeric(&mut self, other: &Accumulator) {
        let mut sum = std::mem::take(self).into_numeric_sum();
        match other {
            Accumulator::SumNumeric { scale, count, sum: other } => sum.add(*scale, *count, &BigInt::from(other.get())),
            Accumulator::SumNumericWide(other) => {
                sum.specials.add(&other.specials);
                other.scales.iter().for_each(|(scale, count, other)| sum.add(*scale, *count, other));
            }
            _ => {}
        }
        *self = Accumulator::SumNumericWide(Box::new(sum));
    }

    fn add_float(&mut self, other: &Accumulator) {
        let mut sum = self.float_sum();
        let other = other.float_sum();
        sum.specials.add(&other.specials);
        sum.count = sum.count.wrapping_add(other.count);
        exact::add_big_dyadic(&mut sum.mantissa, &mut sum.exponent, &other.mantissa, other.exponent);
        *self = Accumulator::SumFloatWide(Box::new(sum));
    }

    pub(super) fn numeric_sum(&self) -> NumericSum {
        self.clone().into_numeric_sum()
    }
    fn into_numeric_sum(self) -> NumericSum {
        match self {
            Accumulator::SumNumericWide(sum) => *sum,
            Accumulator::SumNumeric { scale, count, sum } => {
                NumericSum { specials: Specials::default(), scales: vec![(scale, count, BigInt::from(sum.get()))] }
            }
            _ => NumericSum::default(),
        }
    }
    pub(super) fn float_sum(&self) -> FloatSum {
        match self {
            Accumulator::SumFloatWide(sum) => (**sum).clone(),
            Accumulator::SumFloat { exponent, count, mantissa } => {
                FloatSum { specials: Specials::default(), count: *count, mantissa: BigInt::from(mantissa.get()), exponent: i32::from(*exponent) }
            }
            _ => FloatSum::default(),
        }
    }

    /// Brings a state into its one form.
    #[inline]
    fn settle(&mut self) {
        use Accumulator::*;
        let settled = match self {
            Zero => return,
            Count(0) | Bool { trues: 0, falses: 0 } => Zero,
            SumInteger { count: 0, sum } | SumNumeric { count: 0, sum, .. } | SumFloat { count: 0, mantissa: sum, .. } if sum.get() == 0 => Zero,
            Count(_) | Bool { .. } | SumInteger { .. } | SumNumeric { .. } | SumFloat { .. } => {
                return;
            }
            SumInterval(interval) if **interval == IntervalSum::default() => Zero,
            SumInterval(_) => return,
            Several(sums) if sums.iter().all(Accumulator::is_zero) => Zero,
            Bits(counts) if counts.iter().all(|count| *count == 0) => Zero,
            Several(_) | Bits(_) => return,
            SumNumericWide(sum) => match &sum.scales[..] {
                _ if !sum.specials.is_zero() => return,
                [] => Zero,
                [(scale, count, sum)] => match sum.to_i128() {
                    Some(sum) => SumNumeric { scale: *scale, count: *count, sum: Wide::new(sum) },
                    None => return,
                },
                _ => return,
            },
            SumFloatWide(sum) => match (sum.mantissa.to_i128(), i16::try_from(sum.exponent)) {
                _ if !sum.specials.is_zero() => return,
                (Some(0), _) if sum.count == 0 => Zero,
                (Some(mantissa), Ok(exponent)) => SumFloat { exponent, count: sum.count, mantissa: Wide::new(mantissa) },
                _ => return,
            },
        };
        *self = settled;
    }
}

impl AggregateEntry {
    /// What `diff` rows with this argument add to the state. `count(*)` does not look at the argument. Only for [`super::Strategy::Accumulable`].
    pub fn accumulate(&self, argument: &Datum<'_>, diff: Diff) -> Accumulator {
        use Accumulator::*;
        if diff == 0 {
            return Zero;
        }
        let integer = |value: i64| SumInteger { count: diff, sum: Wide::new(i128::from(value) * i128::from(diff)) };
        let float = |value: f64| float(value, diff);
        match (self.kind, argument) {
            (AggregateKind::CountAll, _) => Count(diff),
            (_, Datum::Null) => Zero,
            (AggregateKind::Count, _) => Count(diff),
            (AggregateKind::Variance { .. }, argument) => moments::squares(argument, diff),
            (AggregateKind::BitAnd | AggregateKind::BitOr | AggregateKind::BitXor, argument) => moments::bits(argument, diff),
            (_, Datum::Bool(true)) => Bool { trues: diff, falses: 0 },
            (_, Datum::Bool(false)) => Bool { trues: 0, falses: diff },
            (_, Datum::Int2(value)) => integer(i64::from(*value)),
            (_, Datum::Int4(value)) => integer(i64::from(*value)),
            (_, Datum::Int8(value)) => integer(*value),
            (_, Datum::Float4(value)) => float(f64::from(*value)),
            (_, Datum::Float8(value)) => float(*value),
            (_, Datum::Numeric(value)) => numeric(value, diff),
            (_, Datum::Interval(value)) => SumInterval(Box::new(IntervalSum {
                count: diff,
                months: i64::from(value.months).wrapping_mul(diff),
                days: i64::from(value.days).wrapping_mul(diff),
                micros: Wide::new(i128::from(value.micros) * i128::from(diff)),
            })),
            (kind, other) => {
                debug_assert!(false, "{kind:?} of {other:?}");
                Zero
            }
        }
    }

    /// As [`AggregateEntry::accumulate_into`], with all arguments, which come first in `arguments`.
    #[inline]
    pub fn accumulate_arguments(&self, state: &mut Accumulator, mut arguments: DatumIter<'_>, diff: Diff) {
        let first = arguments.next().unwrap_or(Datum::Null);
        if let AggregateKind::Regression(_) = self.kind {
            return state.plus_equals(&moments::pair(&first, &arguments.next().unwrap_or(Datum::Null), diff));
        }
        self.accumulate_into(state, &first, diff);
    }

    /// Adds `diff` rows with this argument to a state in place: what `plus_equals(accumulate(..))` does, without the detour for the common cases.
    #[inline]
    pub fn accumulate_into(&self, state: &mut Accumulator, argument: &Datum<'_>, diff: Diff) {
        match (&mut *state, argument) {
            (Accumulator::SumInteger { count, sum }, Datum::Int4(value)) => {
                *count = count.wrapping_add(diff);
                *sum = Wide::new(sum.get().wrapping_add(i128::from(*value) * i128::from(diff)));
                state.settle();
            }
            (Accumulator::SumInteger { count, sum }, Datum::Int8(value)) => {
                *count = count.wrapping_add(diff);
                *sum = Wide::new(sum.get().wrapping_add(i128::from(*value) * i128::from(diff)));
                state.settle();
            }
            _ => state.plus_equals(&self.accumulate(argument, diff)),
        }
    }

    /// Appends the result of a state, or says why it has none (`bigint out of range`).
    pub fn finish(&self, state: &Accumulator, out: &mut RowBuilder) -> Result<(), EvalError> {
        let datum = match state {
            Accumulator::Zero if self.empty_is_zero => Datum::Int8(0),
            Accumulator::Zero => Datum::Null,
            Accumulator::Count(count) => Datum::Int8(*count),
            Accumulator::Bool { trues, falses } => match self.kind {
                AggregateKind::BoolAnd => Datum::Bool(*falses == 0),
                _ => Datum::Bool(*trues != 0),
            },
            Accumulator::SumInteger { count, sum } => self.finish_integer(*count, sum.get())?,
            Accumulator::SumNumeric { scale, count, sum } => self.finish_numeric(*count, Numeric::from_parts(sum.get(), *scale))?,
            Accumulator::SumNumericWide(sum) => {
                let count = sum.scales.iter().fold(sum.specials.count(), |count, (_, more, _)| count.wrapping_add(*more));
                match sum.specials.result() {
                    _ if count == 0 => Datum::Null,
                    Some(Special::NaN) => Datum::Numeric(Numeric::nan()),
                    Some(Special::Infinity) => Datum::Numeric(Numeric::infinity()),
                    Some(Special::NegativeInfinity) => Datum::Numeric(Numeric::negative_infinity()),
                    None => {
                        let mut total = Numeric::zero();
                        for (scale, _, sum) in &sum.scales {
                            total = total.add(&Numeric::from_big_checked(sum.clone(), i64::from(*scale))?)?;
                        }
                        self.finish_numeric(count, total)?
                    }
                }
            }
            Accumulator::SumFloat { .. } | Accumulator::SumFloatWide(_) => self.finish_float(&state.float_sum())?,
            Accumulator::SumInterval(sum) => self.finish_interval(sum)?,
            Accumulator::Several(sums) => moments::finish(self.kind, &self.result, sums)?,
            Accumulator::Bits(counts) => moments::finish_bits(self.kind, &self.result, counts),
        };
        out.push(datum);
        Ok(())
    }

    fn finish_integer(&self, count: i64, sum: i128) -> Result<Datum<'static>, EvalError> {
        Ok(match (self.kind, &self.result) {
            _ if count == 0 => Datum::Null,
            (AggregateKind::Average, _) => Datum::Numeric(Numeric::from(sum).divide(&Numeric::from(count))?),
            (_, Type::Numeric) => Datum::Numeric(Numeric::from(sum)),
            _ => Datum::Int8(i64::try_from(sum).map_err(|_| EvalError::out_of_range("bigint"))?),
        })
    }

    fn finish_numeric(&self, count: i64, sum: Numeric) -> Result<Datum<'static>, EvalError> {
        Ok(match self.kind {
            _ if count == 0 => Datum::Null,
            AggregateKind::Average => Datum::Numeric(sum.divide(&Numeric::from(count))?),
            _ => Datum::Numeric(sum),
        })
    }

    /// The exact sum rounded once; a mean is that sum divided by the count, as in Postgres. A sum of zeros is 0, not -0.
    fn finish_float(&self, sum: &FloatSum) -> Result<Datum<'static>, EvalError> {
        let count = sum.count.wrapping_add(sum.specials.count());
        if count == 0 {
            return Ok(Datum::Null);
        }
        let special = sum.specials.result().map(|special| match special {
            Special::NaN => f64::NAN,
            Special::Infinity => f64::INFINITY,
            Special::NegativeInfinity => f64::NEG_INFINITY,
        });
        let overflow = || EvalError::new(repr::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
        let finite = |value: f64| {
            if value.is_finite() { Ok(value) } else { Err(overflow()) }
        };
        if self.result == Type::Float4 {
            let value = match special {
                Some(special) => special as f32,
                None => finite(f64::from(exact::nearest_f32(&sum.mantissa, sum.exponent)))? as f32,
            };
            return Ok(Datum::Float4(value));
        }
        let value = match special {
            Some(special) => special,
            None => finite(exact::nearest_f64(&sum.mantissa, sum.exponent))?,
        };
        Ok(Datum::Float8(if self.kind == AggregateKind::Average { value / count as f64 } else { value }))
    }

    fn finish_interval(&self, sum: &IntervalSum) -> Result<Datum<'static>, EvalError> {
        if sum.count == 0 {
            return Ok(Datum::Null);
        }
        let interval = (|| {
            Some(Interval {
                months: i32::try_from(sum.months).ok()?,
                days: i32::try_from(sum.days).ok()?,
                micros: i64::try_from(sum.micros.get()).ok()?,
            })
        })();
        let interval = interval.ok_or_else(|| EvalError::new(repr::SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
        Ok(Datum::Interval(if self.kind == AggregateKind::Average { divide_interval(&interval, sum.count) } else { interval }))
    }
}

/// `diff` times a float.
pub(super) fn float(value: f64, diff: Diff) -> Accumulator {
    if value.is_finite() {
        let (mantissa, exponent) = exact::dyadic(value);
        // A mantissa has 53 bits and a diff 63: the product fits. Settled because an even diff makes the mantissa even.
        let (mantissa, exponent) = exact::reduce_dyadic(i128::from(mantissa) * i128::from(diff), exponent);
        return Accumulator::SumFloat { exponent: exponent as i16, count: diff, mantissa: Wide::new(mantissa) };
    }
    let count = |is: bool| if is { diff } else { 0 };
    let specials =
        Specials { nan: count(value.is_nan()), infinity: count(value == f64::INFINITY), negative_infinity: count(value == f64::NEG_INFINITY) };
    Accumulator::SumFloatWide(Box::new(FloatSum { specials, ..FloatSum::default() }))
}

/// `diff` times the product of two finite floats, exactly.
pub(super) fn product(left: f64, right: f64, diff: Diff) -> Accumulator {
    let ((left, left_exponent), (right, right_exponent)) = (exact::dyadic(left), exact::dyadic(right));
    let mut sum = FloatSum {
        count: diff,
        mantissa: BigInt::from(i128::from(left) * i128::from(right)) * diff,
        exponent: left_exponent + right_exponent,
        ..FloatSum::default()
    };
    exact::reduce_big_dyadic(&mut sum.mantissa, &mut sum.exponent);
    let mut product = Accumulator::SumFloatWide(Box::new(sum));
    product.settle();
    product
}

pub(super) fn numeric(value: &Numeric, diff: Diff) -> Accumulator {
    if let Some((unscaled, scale)) = value.to_small()
        && let Some(sum) = unscaled.checked_mul(i128::from(diff))
    {
        return Accumulator::SumNumeric { scale, count: diff, sum: Wide::new(sum) };
    }
    let mut sum = NumericSum::default();
    let specials = &mut sum.specials;
    match value.to_big() {
        Some((unscaled, scale)) => sum.scales.push((scale, diff, unscaled * diff)),
        None if value.is_nan() => specials.nan = diff,
        None if value.signum() < 0 => specials.negative_infinity = diff,
        None => specials.infinity = diff,
    }
    Accumulator::SumNumericWide(Box::new(sum))
}

/// Postgres' division of an interval by a number: the fraction of a month becomes days (of 30), that of a day time, rounded to microseconds.
fn divide_interval(interval: &Interval, count: i64) -> Interval {
    const DAYS_PER_MONTH: f64 = 30.0;
    const SECONDS_PER_DAY: f64 = 86_400.0;
    const MICROS_PER_SECOND: f64 = 1_000_000.0;
    let to_micros = |value: f64| (value * MICROS_PER_SECOND).round_ties_even() / MICROS_PER_SECOND;
    let factor = count as f64;
    let (months, days) = (f64::from(interval.months) / factor, f64::from(interval.days) / factor);
    let (whole_months, mut whole_days) = (months as i32, days as i32);
    let month_days = to_micros((months - f64::from(whole_months)) * DAYS_PER_MONTH);
    let mut seconds = to_micros((days - f64::from(whole_days) + month_days - month_days.trunc()) * SECONDS_PER_DAY);
    if seconds.abs() >= SECONDS_PER_DAY {
        let carried = (seconds / SECONDS_PER_DAY).trunc();
        whole_days = whole_days.wrapping_add(carried as i32);
        seconds -= carried * SECONDS_PER_DAY;
    }
    whole_days = whole_days.wrapping_add(month_days as i32);
    let micros = (interval.micros as f64 / factor + seconds * MICROS_PER_SECOND).round_ties_even() as i64;
    Interval { months: whole_months, days: whole_days, micros }
}

/// The states of several aggregates of one group, and how many rows the group has: the diff of a maintained reduction.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Accumulators {
    /// The group exists while this is positive.
    pub rows: Diff,
    /// One per aggregate; empty when all are zero and there are no rows, so that zero has one form.
    pub states: SmallVec<[Accumulator; 2]>,
}

impl Accumulators {
    /// What `diff` rows add: one state per aggregate, made by [`AggregateEntry::accumulate`].
    pub fn new(diff: Diff, states: impl IntoIterator<Item = Accumulator>) -> Accumulators {
        let mut accumulators = Accumulators { rows: diff, states: states.into_iter().collect() };
        accumulators.settle();
        accumulators
    }
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.rows == 0 && self.states.is_empty()
    }
    #[inline]
    pub fn plus_equals(&mut self, other: &Accumulators) {
        self.rows = self.rows.wrapping_add(other.rows);
        if self.states.is_empty() {
            self.states.clone_from(&other.states);
        } else {
            self.states.iter_mut().zip(&other.states).for_each(|(state, other)| state.plus_equals(other));
        }
        self.settle();
    }
    pub fn multiply(&self, factor: i64) -> Accumulators {
        Accumulators::new(self.rows.wrapping_mul(factor), self.states.iter().map(|state| state.multiply(factor)))
    }
    /// Appends the results, one column per aggregate. All of `aggregates` must be those the states were made for.
    pub fn finish(&self, aggregates: &[Aggregate], out: &mut RowBuilder) -> Result<(), EvalError> {
        for (position, aggregate) in aggregates.iter().enumerate() {
            aggregate.function.0.finish(self.states.get(position).unwrap_or(&Accumulator::Zero), out)?;
        }
        Ok(())
    }
    #[inline]
    fn settle(&mut self) {
        if self.rows == 0 && self.states.iter().all(Accumulator::is_zero) {
            self.states.clear();
        }
    }
}

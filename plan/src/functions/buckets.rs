//! `width_bucket`: in which of several equal (or given) intervals a value lies.

use super::arithmetic::integer_out_of_range;
use super::lift::{Shape, Table};
use super::typed as t;
use repr::{Datum, EvalError, Numeric, RowBuilder, SqlState, Type};

const INVALID_ARGUMENT: SqlState = SqlState(*b"2201G");

fn invalid(message: &str) -> EvalError {
    EvalError::new(INVALID_ARGUMENT, message)
}

pub fn register(table: &mut Table) {
    let description = "The number of the interval, of so many equal ones from the first bound to the second, in which a value lies; 0 before them, one more than there are behind.";
    table
        .entry::<(t::Float8, t::Float8, t::Float8, t::Int4), t::Int4>("width_bucket", description)
        .returns(|(value, first, second, count)| float_bucket(value, first, second, count));
    table
        .entry::<(t::Numeric, t::Numeric, t::Numeric, t::Int4), t::Int4>("width_bucket", description)
        .returns(|(value, first, second, count)| numeric_bucket(value, first, second, count));
    let shape = Shape::new(
        "width_bucket",
        "How many of the ascending thresholds are not above a value.",
        vec![Type::AnyElement, Type::AnyArray],
        Type::Int4,
    );
    table.datums(
        shape.can_fail(),
        |_| (RowBuilder::new(), RowBuilder::new()),
        |(left, right), datums, out| {
            let [value, Datum::Array(thresholds)] = datums else {
                return Err(EvalError::new(SqlState::INTERNAL_ERROR, "width_bucket takes a value and an array"));
            };
            if thresholds.dimensions().len() > 1 {
                return Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array"));
            }
            left.clear();
            left.push_canonical(value.clone());
            let mut bucket = 0;
            for threshold in thresholds.elements() {
                if threshold.is_null() {
                    return Err(EvalError::new(SqlState(*b"22004"), "thresholds array must not contain NULLs"));
                }
                right.clear();
                right.push_canonical(threshold);
                bucket += i32::from(right.as_bytes() <= left.as_bytes());
            }
            out.push(Datum::Int4(bucket));
            Ok(())
        },
    );
}

/// What every kind of number refuses, in Postgres' order.
fn check_bounds(count: i32, has_nan: bool, is_unbounded: bool, is_empty: bool) -> Result<(), EvalError> {
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    if has_nan {
        return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
    }
    if is_unbounded {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    if is_empty {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    Ok(())
}

fn float_bucket(value: f64, first: f64, second: f64, count: i32) -> Result<i32, EvalError> {
    check_bounds(count, value.is_nan() || first.is_nan() || second.is_nan(), first.is_infinite() || second.is_infinite(), first == second)?;
    // From the greater to the smaller bound it is the same, mirrored.
    let (value, first, second) = if first < second { (value, first, second) } else { (-value, -first, -second) };
    if value < first {
        return Ok(0);
    }
    if value >= second {
        return count.checked_add(1).ok_or_else(integer_out_of_range);
    }
    let share = if (second - first).is_infinite() {
        (value / 2.0 - first / 2.0) / (second / 2.0 - first / 2.0)
    } else {
        (value - first) / (second - first)
    };
    // The quotient may be rounded up to 1, which it is not.
    Ok(((f64::from(count) * share) as i32).min(count - 1) + 1)
}

fn numeric_bucket(value: &Numeric, first: &Numeric, second: &Numeric, count: i32) -> Result<i32, EvalError> {
    check_bounds(count, value.is_nan() || first.is_nan() || second.is_nan(), first.is_infinite() || second.is_infinite(), first == second)?;
    let (value, first, second) = if first < second { (value.clone(), first.clone(), second.clone()) } else { (value.negate(), first.negate(), second.negate()) };
    if value < first {
        return Ok(0);
    }
    if value >= second {
        return count.checked_add(1).ok_or_else(integer_out_of_range);
    }
    let share = value.subtract(&first)?.multiply(&Numeric::from(count))?.divide(&second.subtract(&first)?)?;
    let share = if share >= Numeric::from(count) { Numeric::from(count) } else { share.add(&Numeric::one())?.floor() };
    share.to_i32()
}

//! `+ - * / % ^` and unary minus and plus over numbers, with Postgres' overflow errors.

use super::lift::Table;
use super::typed as t;
use repr::{EvalError, Numeric, SqlState};

const ADD: &str = "The sum.";
const SUBTRACT: &str = "The difference.";
const MULTIPLY: &str = "The product.";
const DIVIDE: &str = "The quotient; integers truncate towards zero.";
const MODULO: &str = "The remainder, with the sign of the dividend.";

pub fn register(table: &mut Table) {
    integers(table);
    floats(table);
    numerics(table);
}

#[cold]
pub fn smallint_out_of_range() -> EvalError {
    EvalError::out_of_range("smallint")
}
#[cold]
pub fn integer_out_of_range() -> EvalError {
    EvalError::out_of_range("integer")
}
#[cold]
pub fn bigint_out_of_range() -> EvalError {
    EvalError::out_of_range("bigint")
}

fn integers(table: &mut Table) {
    // Operands are widened to the wider of the two types, which is the result's.
    macro_rules! binary {
        ($($left:ident $right:ident $result:ident $rust:ty, $overflow:ident;)*) => {$(
            table.entry::<(t::$left, t::$right), t::$result>("+", ADD)
                .returns(|(a, b)| <$rust>::from(a).checked_add(<$rust>::from(b)).ok_or_else($overflow));
            table.entry::<(t::$left, t::$right), t::$result>("-", SUBTRACT)
                .returns(|(a, b)| <$rust>::from(a).checked_sub(<$rust>::from(b)).ok_or_else($overflow));
            table.entry::<(t::$left, t::$right), t::$result>("*", MULTIPLY)
                .returns(|(a, b)| <$rust>::from(a).checked_mul(<$rust>::from(b)).ok_or_else($overflow));
            table.entry::<(t::$left, t::$right), t::$result>("/", DIVIDE).returns(|(a, b)| match <$rust>::from(b) {
                0 => Err(EvalError::division_by_zero()),
                b => <$rust>::from(a).checked_div(b).ok_or_else($overflow),
            });
        )*};
    }
    binary! {
        Int2 Int2 Int2 i16, smallint_out_of_range;
        Int2 Int4 Int4 i32, integer_out_of_range;
        Int4 Int2 Int4 i32, integer_out_of_range;
        Int4 Int4 Int4 i32, integer_out_of_range;
        Int2 Int8 Int8 i64, bigint_out_of_range;
        Int8 Int2 Int8 i64, bigint_out_of_range;
        Int4 Int8 Int8 i64, bigint_out_of_range;
        Int8 Int4 Int8 i64, bigint_out_of_range;
        Int8 Int8 Int8 i64, bigint_out_of_range;
    }
    macro_rules! unary {
        ($($marker:ident, $overflow:ident;)*) => {$(
            // The smallest integer modulo -1 is 0, not an overflow.
            for name in ["%", "mod"] {
                table.entry::<(t::$marker, t::$marker), t::$marker>(name, MODULO)
                    .returns(|(a, b)| if b == 0 { Err(EvalError::division_by_zero()) } else { Ok(a.wrapping_rem(b)) });
            }
            table.entry::<(t::$marker,), t::$marker>("-", "The negated value.").returns(|(a,)| a.checked_neg().ok_or_else($overflow));
            table.entry::<(t::$marker,), t::$marker>("+", "The value itself.").returns(|(a,)| a);
            for name in ["abs", "@"] {
                table.entry::<(t::$marker,), t::$marker>(name, "The absolute value.").returns(|(a,)| a.checked_abs().ok_or_else($overflow));
            }
        )*};
    }
    unary! {
        Int2, smallint_out_of_range;
        Int4, integer_out_of_range;
        Int8, bigint_out_of_range;
    }
}

#[cold]
pub fn float_overflow() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}
#[cold]
pub fn float_underflow() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

fn floats(table: &mut Table) {
    macro_rules! floats {
        ($($left:ident $right:ident $result:ident $rust:ty;)*) => {$(
            table.entry::<(t::$left, t::$right), t::$result>("+", ADD).returns(|(a, b)| {
                let (a, b) = (<$rust>::from(a), <$rust>::from(b));
                let sum = a + b;
                if sum.is_infinite() && a.is_finite() && b.is_finite() { Err(float_overflow()) } else { Ok(sum) }
            });
            table.entry::<(t::$left, t::$right), t::$result>("-", SUBTRACT).returns(|(a, b)| {
                let (a, b) = (<$rust>::from(a), <$rust>::from(b));
                let difference = a - b;
                if difference.is_infinite() && a.is_finite() && b.is_finite() { Err(float_overflow()) } else { Ok(difference) }
            });
            table.entry::<(t::$left, t::$right), t::$result>("*", MULTIPLY).returns(|(a, b)| {
                let (a, b) = (<$rust>::from(a), <$rust>::from(b));
                let product = a * b;
                if product.is_infinite() && a.is_finite() && b.is_finite() { return Err(float_overflow()) }
                if product == 0.0 && a != 0.0 && b != 0.0 { Err(float_underflow()) } else { Ok(product) }
            });
            table.entry::<(t::$left, t::$right), t::$result>("/", DIVIDE).returns(|(a, b)| {
                let (a, b) = (<$rust>::from(a), <$rust>::from(b));
                if b == 0.0 && !a.is_nan() { return Err(EvalError::division_by_zero()) }
                let quotient = a / b;
                if quotient.is_infinite() && a.is_finite() { return Err(float_overflow()) }
                if quotient == 0.0 && a != 0.0 && b.is_finite() { Err(float_underflow()) } else { Ok(quotient) }
            });
        )*};
    }
    floats! {
        Float4 Float4 Float4 f32;
        Float4 Float8 Float8 f64;
        Float8 Float4 Float8 f64;
        Float8 Float8 Float8 f64;
    }
    macro_rules! unary {
        ($($marker:ident)*) => {$(
            table.entry::<(t::$marker,), t::$marker>("-", "The negated value.").returns(|(a,)| -a);
            table.entry::<(t::$marker,), t::$marker>("+", "The value itself.").returns(|(a,)| a);
            for name in ["abs", "@"] {
                table.entry::<(t::$marker,), t::$marker>(name, "The absolute value.").returns(|(a,)| a.abs());
            }
        )*};
    }
    unary! { Float4 Float8 }
}

fn numerics(table: &mut Table) {
    type Pair = (t::Numeric, t::Numeric);
    table.entry::<Pair, t::Numeric>("+", ADD).returns(|(a, b)| a.add(b));
    table.entry::<Pair, t::Numeric>("-", SUBTRACT).returns(|(a, b)| a.subtract(b));
    table.entry::<Pair, t::Numeric>("*", MULTIPLY).returns(|(a, b)| a.multiply(b));
    table.entry::<Pair, t::Numeric>("/", DIVIDE).returns(|(a, b)| a.divide(b));
    for name in ["%", "mod"] {
        table.entry::<Pair, t::Numeric>(name, MODULO).returns(|(a, b)| a.modulo(b));
    }
    table.entry::<(t::Numeric,), t::Numeric>("-", "The negated value.").returns(|(a,)| a.negate());
    table.entry::<(t::Numeric,), t::Numeric>("+", "The value itself.").returns(|(a,)| Numeric::clone(a));
    for name in ["abs", "@"] {
        table.entry::<(t::Numeric,), t::Numeric>(name, "The absolute value.").returns(|(a,)| a.absolute());
    }
}

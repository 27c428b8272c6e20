//! Trigonometry: in radians, in degrees, and hyperbolic.
//!
//! In degrees the multiples of 30 and 45 are exact: each value is measured against the one at 30, 45 or 60 degrees, as in Postgres.

use super::lift::Table;
use super::typed as t;
use repr::{EvalError, SqlState};

const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

fn out_of_range() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

pub fn register(table: &mut Table) {
    macro_rules! functions {
        ($($name:literal $description:literal |$a:ident| $result:expr, $domain:expr;)*) => {$(
            table.entry::<(t::Float8,), t::Float8>($name, $description).returns(|($a,)| if $domain { Ok($result) } else { Err(out_of_range()) });
        )*};
    }
    functions! {
        "sin" "The sine." |a| a.sin(), !a.is_infinite();
        "cos" "The cosine." |a| a.cos(), !a.is_infinite();
        "tan" "The tangent." |a| a.tan(), !a.is_infinite();
        "cot" "The cotangent." |a| 1.0 / a.tan(), !a.is_infinite();
        "asin" "The inverse sine." |a| a.asin(), a.is_nan() || a.abs() <= 1.0;
        "acos" "The inverse cosine." |a| a.acos(), a.is_nan() || a.abs() <= 1.0;
        "acosh" "The inverse hyperbolic cosine." |a| a.acosh(), a.is_nan() || a >= 1.0;
        "atanh" "The inverse hyperbolic tangent." |a| a.atanh(), a.is_nan() || a.abs() <= 1.0;
        "sind" "The sine of an angle in degrees." |a| sine(a), !a.is_infinite();
        "cosd" "The cosine of an angle in degrees." |a| cosine(a), !a.is_infinite();
        "tand" "The tangent of an angle in degrees." |a| tangent(a, |a| sine_q1(a) / cosine_q1(a)), !a.is_infinite();
        "cotd" "The cotangent of an angle in degrees." |a| tangent(a, |a| cosine_q1(a) / sine_q1(a)), !a.is_infinite();
        "asind" "The inverse sine in degrees." |a| if a < 0.0 { -inverse_sine(-a) } else { inverse_sine(a) }, a.is_nan() || a.abs() <= 1.0;
        "acosd" "The inverse cosine in degrees." |a| if a < 0.0 { 90.0 + inverse_sine(-a) } else { inverse_cosine(a) }, a.is_nan() || a.abs() <= 1.0;
    }
    table.entry::<(t::Float8,), t::Float8>("atan", "The inverse tangent.").returns(|(a,)| a.atan());
    table.entry::<(t::Float8, t::Float8), t::Float8>("atan2", "The angle of a point given as y and x.").returns(|(y, x)| y.atan2(x));
    table.entry::<(t::Float8,), t::Float8>("atand", "The inverse tangent in degrees.").returns(|(a,)| a.atan() / 1f64.atan() * 45.0);
    table
        .entry::<(t::Float8, t::Float8), t::Float8>("atan2d", "The angle in degrees of a point given as y and x.")
        .returns(|(y, x)| y.atan2(x) / 1f64.atan() * 45.0);
    table.entry::<(t::Float8,), t::Float8>("sinh", "The hyperbolic sine.").returns(|(a,)| a.sinh());
    table.entry::<(t::Float8,), t::Float8>("cosh", "The hyperbolic cosine.").returns(|(a,)| a.cosh());
    table.entry::<(t::Float8,), t::Float8>("tanh", "The hyperbolic tangent.").returns(|(a,)| a.tanh());
    table.entry::<(t::Float8,), t::Float8>("asinh", "The inverse hyperbolic sine.").returns(|(a,)| a.asinh());
    table.entry::<(t::Float8,), t::Float8>("degrees", "Radians as degrees.").returns(|(a,)| a / RADIANS_PER_DEGREE);
    table.entry::<(t::Float8,), t::Float8>("radians", "Degrees as radians.").returns(|(a,)| a * RADIANS_PER_DEGREE);
    table.entry::<(), t::Float8>("pi", "The ratio of a circle's circumference to its diameter.").returns(|()| std::f64::consts::PI);
}

/// From 0 to 30 degrees.
fn small_sine(degrees: f64) -> f64 {
    (degrees * RADIANS_PER_DEGREE).sin() / (30.0 * RADIANS_PER_DEGREE).sin() / 2.0
}
/// From 0 to 60 degrees.
fn small_cosine(degrees: f64) -> f64 {
    let distance = |degrees: f64| 1.0 - (degrees * RADIANS_PER_DEGREE).cos();
    1.0 - distance(degrees) / distance(60.0) / 2.0
}
/// In the first quadrant.
fn sine_q1(degrees: f64) -> f64 {
    if degrees <= 30.0 { small_sine(degrees) } else { small_cosine(90.0 - degrees) }
}
fn cosine_q1(degrees: f64) -> f64 {
    if degrees <= 60.0 { small_cosine(degrees) } else { small_sine(90.0 - degrees) }
}

fn sine(degrees: f64) -> f64 {
    let (angle, sign) = odd(degrees);
    if angle > 90.0 { sign * sine_q1(180.0 - angle) } else { sign * sine_q1(angle) }
}

fn cosine(degrees: f64) -> f64 {
    let angle = (degrees % 360.0).abs();
    let angle = if angle > 180.0 { 360.0 - angle } else { angle };
    if angle > 90.0 { -cosine_q1(180.0 - angle) } else { cosine_q1(angle) }
}

/// The angle from 0 to 180 degrees, and the sign an odd function has for it.
fn odd(degrees: f64) -> (f64, f64) {
    let angle = degrees % 360.0;
    let (angle, sign) = if angle < 0.0 { (-angle, -1.0) } else { (angle, 1.0) };
    if angle > 180.0 { (360.0 - angle, -sign) } else { (angle, sign) }
}

/// The tangent or cotangent, measured against the one at 45 degrees; zero has no sign.
fn tangent(degrees: f64, in_first_quadrant: fn(f64) -> f64) -> f64 {
    let (angle, sign) = odd(degrees);
    let (angle, sign) = if angle > 90.0 { (180.0 - angle, -sign) } else { (angle, sign) };
    sign * (in_first_quadrant(angle) / in_first_quadrant(45.0)) + 0.0
}

/// Of 0 to 1.
fn inverse_sine(value: f64) -> f64 {
    if value <= 0.5 { value.asin() / 0.5f64.asin() * 30.0 } else { 90.0 - value.acos() / 0.5f64.acos() * 60.0 }
}
fn inverse_cosine(value: f64) -> f64 {
    if value <= 0.5 { 90.0 - value.asin() / 0.5f64.asin() * 30.0 } else { value.acos() / 0.5f64.acos() * 60.0 }
}

//! Input of intervals: Postgres' words, SQL's `1-2 3 04:05:06`, ISO 8601's `P1Y2M`.

use super::parse::clock_micros;
use super::tokens::{Kind, Token, tokenize};
use super::{Interval, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::{EvalError, SqlState};

const INTERVAL_FIELD_OVERFLOW: SqlState = SqlState(*b"22015");

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

pub(super) fn unit_of(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" | "microsecond" | "microseconds" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" | "millisecond" | "milliseconds" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        _ => return None,
    })
}

enum Refusal {
    Syntax,
    FieldOverflow,
    OutOfRange,
}

/// The parts, wide enough that nothing overflows before it is checked.
#[derive(Default)]
struct Parts {
    months: i128,
    days: i128,
    micros: i128,
    /// Which units were given: each may come once.
    seen: Vec<Unit>,
}

/// Fractions of a unit below a day round half toward zero, ...
fn whole(value: f64) -> i128 {
    let integer = value.trunc();
    let rest = value - integer;
    integer as i128 + i128::from(rest > 0.5) - i128::from(rest < -0.5)
}

/// ... and those of years, as months, half to even.
fn whole_months(value: f64) -> i128 {
    value.round_ties_even() as i128
}

impl Parts {
    fn mark(&mut self, unit: Unit) -> Result<(), Refusal> {
        if self.seen.contains(&unit) {
            return Err(Refusal::Syntax);
        }
        self.seen.push(unit);
        Ok(())
    }

    fn add_fraction_days(&mut self, fraction: f64, scale: i32) -> Result<(), Refusal> {
        let days = fraction * f64::from(scale);
        self.days += days.trunc() as i128;
        self.micros += whole((days - days.trunc()) * MICROS_PER_DAY as f64);
        Ok(())
    }

    /// Adds `value + fraction` units; a fraction goes to the next smaller units.
    fn add(&mut self, unit: Unit, value: i64, fraction: f64) -> Result<(), Refusal> {
        let wide = i128::from(value);
        let mut clock = |micros: i64| -> Result<(), Refusal> {
            self.micros += wide * i128::from(micros) + whole(fraction * micros as f64);
            Ok(())
        };
        match unit {
            Unit::Microsecond => clock(1),
            Unit::Millisecond => clock(1_000),
            Unit::Second => clock(MICROS_PER_SECOND),
            Unit::Minute => clock(60 * MICROS_PER_SECOND),
            Unit::Hour => clock(3_600 * MICROS_PER_SECOND),
            Unit::Day => {
                self.days += wide;
                self.add_fraction_days(fraction, 1)
            }
            Unit::Week => {
                self.days += wide * 7;
                self.add_fraction_days(fraction, 7)
            }
            Unit::Month => {
                self.months += wide;
                self.add_fraction_days(fraction, 30)
            }
            Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium => {
                let years = match unit {
                    Unit::Year => 1,
                    Unit::Decade => 10,
                    Unit::Century => 100,
                    _ => 1_000,
                };
                self.months += wide * 12 * years + whole_months(fraction * 12.0 * years as f64);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Interval, Refusal> {
        let days = self.days.try_into().map_err(|_| Refusal::FieldOverflow)?;
        let micros = self.micros.try_into().map_err(|_| Refusal::FieldOverflow)?;
        // Years and months fit each for itself and only their sum may not.
        let months = self.months.try_into().map_err(|_| Refusal::OutOfRange)?;
        Ok(Interval { months, days, micros })
    }
}

/// `HH:MM[:SS]` as microseconds.
fn clock(text: &str) -> Result<i128, Refusal> {
    let (hours, minutes, micros) = clock_micros(text).ok_or(Refusal::Syntax)?;
    if minutes > 59 || micros > 60 * MICROS_PER_SECOND {
        return Err(Refusal::FieldOverflow);
    }
    Ok((i128::from(hours) * 60 + i128::from(minutes)) * 60 * i128::from(MICROS_PER_SECOND) + i128::from(micros))
}

/// A number with its sign: the whole part and the fraction, both signed.
fn split_number(text: &str) -> Result<(i64, f64), Refusal> {
    let (integral, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = text.starts_with('-');
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Syntax);
    }
    let digits = integral.trim_start_matches(['-', '+']);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || (digits.is_empty() && fraction.is_empty()) {
        return Err(Refusal::Syntax);
    }
    let value: i64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| Refusal::FieldOverflow)? };
    let fraction: f64 = format!("0.{fraction}0").parse().map_err(|_| Refusal::Syntax)?;
    Ok(if negative { (-value, -fraction) } else { (value, fraction) })
}

/// Words and SQL's forms, read from the right, because a unit stands after its number.
fn from_words(tokens: &[Token]) -> Result<Interval, Refusal> {
    let mut parts = Parts::default();
    let mut unit: Option<Unit> = None;
    let mut negate = false;
    for token in tokens.iter().rev() {
        let text = token.text.as_str();
        match token.kind {
            Kind::Time => {
                for unit in [Unit::Hour, Unit::Minute, Unit::Second] {
                    parts.mark(unit)?;
                }
                parts.micros += clock(text)?;
                unit = Some(Unit::Day);
            }
            Kind::Signed if text.contains(':') => {
                for unit in [Unit::Hour, Unit::Minute, Unit::Second] {
                    parts.mark(unit)?;
                }
                let micros = clock(&text[1..])?;
                parts.micros += if text.starts_with('-') { -micros } else { micros };
                unit = Some(Unit::Day);
            }
            Kind::Signed | Kind::Date | Kind::Number => {
                let body = text.trim_start_matches(['-', '+']);
                if let Some((years, months)) = body.split_once('-') {
                    let (Ok(years), Ok(months)) = (years.parse::<i64>(), months.parse::<i64>()) else { return Err(Refusal::Syntax) };
                    if months > 11 {
                        return Err(Refusal::FieldOverflow);
                    }
                    parts.mark(Unit::Month)?;
                    let total = i128::from(years) * 12 + i128::from(months);
                    parts.months += if text.starts_with('-') { -total } else { total };
                    unit = Some(Unit::Month);
                    continue;
                }
                let (value, fraction) = split_number(text)?;
                let this = unit.unwrap_or(Unit::Second);
                parts.mark(this)?;
                parts.add(this, value, fraction)?;
                // A number without a unit before hours counts days.
                unit = Some(if this == Unit::Hour { Unit::Day } else { this });
            }
            Kind::Word if text == "ago" => negate = true,
            Kind::Word => unit = Some(unit_of(text).ok_or(Refusal::Syntax)?),
            Kind::SignedWord => return Err(Refusal::Syntax),
        }
    }
    if parts.seen.is_empty() {
        return Err(Refusal::Syntax);
    }
    if negate {
        (parts.months, parts.days, parts.micros) = (-parts.months, -parts.days, -parts.micros);
    }
    parts.finish()
}

/// `P1Y2M3DT4H5M6S`, `P2W`, `P0001-02-03T04:05:06`.
fn from_iso(text: &str) -> Result<Interval, Refusal> {
    let body = text.strip_prefix('P').filter(|body| !body.is_empty()).ok_or(Refusal::Syntax)?;
    let mut parts = Parts::default();
    let (date, time) = body.split_once('T').map_or((body, None), |(date, time)| (date, Some(time)));
    let alternative = |part: &str, mark: char| part.contains(mark) && !part.ends_with(|byte: char| byte.is_ascii_alphabetic());
    if alternative(date.trim_start_matches('-'), '-') {
        let mut fields = date.split('-');
        for unit in [Unit::Year, Unit::Month, Unit::Day] {
            let Some(field) = fields.next() else { break };
            let (value, fraction) = split_number(field)?;
            parts.add(unit, value, fraction)?;
        }
        if fields.next().is_some() {
            return Err(Refusal::Syntax);
        }
    } else if !date.is_empty() && date.bytes().all(|byte| byte.is_ascii_digit()) {
        // The alternative form without dashes: a year, or year, month and day.
        let number = |text: &str| split_number(text).map(|(value, _)| value);
        match (date.len(), date.get(..4), date.get(4..6), date.get(6..)) {
            (8, Some(year), Some(month), Some(day)) => {
                for (unit, digits) in [(Unit::Year, year), (Unit::Month, month), (Unit::Day, day)] {
                    parts.add(unit, number(digits)?, 0.0)?;
                }
            }
            _ => parts.add(Unit::Year, number(date)?, 0.0)?,
        }
    } else {
        designated(date, &[('Y', Unit::Year), ('M', Unit::Month), ('W', Unit::Week), ('D', Unit::Day)], &mut parts)?;
    }
    match time {
        Some("") => {}
        Some(time) if time.len() == 6 && time.bytes().all(|byte| byte.is_ascii_digit()) => {
            for (unit, digits) in [(Unit::Hour, &time[..2]), (Unit::Minute, &time[2..4]), (Unit::Second, &time[4..])] {
                parts.add(unit, split_number(digits)?.0, 0.0)?;
            }
        }
        Some(time) if alternative(time, ':') => {
            let mut fields = time.split(':');
            for unit in [Unit::Hour, Unit::Minute, Unit::Second] {
                let Some(field) = fields.next() else { break };
                let (value, fraction) = split_number(field)?;
                parts.add(unit, value, fraction)?;
            }
        }
        Some(time) => designated(time, &[('H', Unit::Hour), ('M', Unit::Minute), ('S', Unit::Second)], &mut parts)?,
        None => {}
    }
    parts.finish()
}

/// Numbers, each with its letter.
fn designated(text: &str, letters: &[(char, Unit)], parts: &mut Parts) -> Result<(), Refusal> {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|byte: char| byte.is_ascii_alphabetic()).ok_or(Refusal::Syntax)?;
        let letter = rest[end..].chars().next().unwrap_or(' ');
        let (_, unit) = letters.iter().find(|(known, _)| *known == letter).ok_or(Refusal::Syntax)?;
        let (value, fraction) = split_number(&rest[..end])?;
        parts.add(*unit, value, fraction)?;
        rest = &rest[end + 1..];
    }
    Ok(())
}

/// Reads an `interval`.
pub fn parse_interval(text: &str) -> Result<Interval, EvalError> {
    let words = tokenize(text).ok_or(Refusal::Syntax).and_then(|tokens| from_words(&tokens));
    let result = match words {
        Err(Refusal::Syntax) => from_iso(text),
        other => other,
    };
    result.map_err(|refusal| match refusal {
        Refusal::Syntax => EvalError::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type interval: \"{text}\"")),
        Refusal::FieldOverflow => EvalError::new(INTERVAL_FIELD_OVERFLOW, format!("interval field value out of range: \"{text}\"")),
        Refusal::OutOfRange => EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"),
    })
}

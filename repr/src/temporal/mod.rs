//! Dates and times as Postgres keeps them: days and microseconds from 2000-01-01, proleptic Gregorian, with infinities.
//!
//! * `calendar` turns days into years, months and days and back, and knows the limits of each type;
//! * `zone` is [`TimeZone`]; `tokens`, `parse` and `interval` read text as Postgres does with `DateStyle = ISO, MDY`; `format` writes it;
//! * `arithmetic` and `fields` hold what the SQL operators and functions over these types compute.
//!
//! Nothing here reads a clock: what `now` means in input is a parameter.

mod abbreviations;
mod arithmetic;
mod calendar;
mod fields;
mod format;
mod interval;
mod parse;
#[cfg(test)]
mod tests;
mod tokens;
mod zone;

pub use arithmetic::*;
pub use calendar::{Civil, civil_from_days, days_from_civil, days_in_month, is_leap_year};
pub use fields::*;
pub use format::{write_date, write_interval, write_time, write_timestamp, write_timestamptz};
pub use interval::parse_interval;
pub use parse::{parse_date, parse_time, parse_timestamp, parse_timestamptz};

/// Days since 2000-01-01. `i32::MAX` and `i32::MIN` are the infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);
/// Microseconds since midnight, 24:00:00 included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);
/// `timestamp without time zone`: microseconds since 2000-01-01 00:00. `i64::MAX` and `i64::MIN` are the infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlTimestamp(pub i64);
/// `timestamp with time zone`: microseconds since 2000-01-01 00:00 UTC. `i64::MAX` and `i64::MIN` are the infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlTimestampTz(pub i64);

/// An interval. Compares as Postgres does: by length, with a month of 30 days and a day of 24 hours (`Eq` is SQL's).
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// A time zone: fixed offset or a name of the IANA data base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeZone {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(chrono_tz::Tz),
}

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_TO_POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const UNIX_TO_POSTGRES_EPOCH_MICROS: i64 = UNIX_TO_POSTGRES_EPOCH_DAYS as i64 * MICROS_PER_DAY;

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Interval {}
impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> std::cmp::Ordering {
        self.length_micros().cmp(&other.length_micros())
    }
}
impl std::hash::Hash for Interval {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.length_micros().hash(state)
    }
}
impl Date {
    pub const INFINITY: Date = Date(i32::MAX);
    pub const NEGATIVE_INFINITY: Date = Date(i32::MIN);
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEGATIVE_INFINITY
    }
}
impl SqlTimestamp {
    pub const INFINITY: SqlTimestamp = SqlTimestamp(i64::MAX);
    pub const NEGATIVE_INFINITY: SqlTimestamp = SqlTimestamp(i64::MIN);
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEGATIVE_INFINITY
    }
}
impl SqlTimestampTz {
    pub const INFINITY: SqlTimestampTz = SqlTimestampTz(i64::MAX);
    pub const NEGATIVE_INFINITY: SqlTimestampTz = SqlTimestampTz(i64::MIN);
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEGATIVE_INFINITY
    }
}
impl Interval {
    pub const ZERO: Interval = Interval { months: 0, days: 0, micros: 0 };
    pub fn new(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }
    /// The length by which intervals compare.
    pub fn length_micros(&self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

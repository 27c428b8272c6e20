//! Dates and times as Postgres keeps them: days and microseconds from 2000-01-01, proleptic Gregorian, with infinities.

use crate::EvalError;

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

#[rustfmt::skip]
impl TimeZone {
    pub const UTC: TimeZone = TimeZone::Fixed(0);
    /// `UTC`, `Europe/Berlin`, `+02`, `-05:30`, abbreviations Postgres knows; the error is Postgres' (`time zone "x" not recognized`, 22023).
    pub fn parse(_name: &str) -> Result<TimeZone, EvalError> { todo!() }
    /// Seconds east of UTC at an instant.
    pub fn offset_at(self, _instant: SqlTimestampTz) -> i32 { todo!() }
    /// Local wall clock time at an instant.
    pub fn to_local(self, _instant: SqlTimestampTz) -> SqlTimestamp { todo!() }
    /// The instant of a local wall clock time, with Postgres' choices in gaps and overlaps.
    pub fn to_instant(self, _local: SqlTimestamp) -> Result<SqlTimestampTz, EvalError> { todo!() }
    pub fn name(self) -> String { todo!() }
}

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
impl Interval {
    /// The length by which intervals compare.
    pub fn length_micros(&self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

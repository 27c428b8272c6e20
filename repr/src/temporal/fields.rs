//! `extract`, `date_part` and `date_trunc`: one field of a value, or a value cut down to a field.

use super::arithmetic::timestamp_out_of_range;
use super::calendar::{Civil, EPOCH_JULIAN_DAY, civil_from_days, day_of_week, days_from_civil, join, split};
use super::interval::{Unit, unit_of};
use super::{Date, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, SqlTimestamp, SqlTimestampTz, Time, TimeZone, UNIX_TO_POSTGRES_EPOCH_MICROS};
use crate::{EvalError, Numeric, SqlState};

/// What `extract` and `date_trunc` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Field {
    /// A field by the name a user writes, in any case; `None` for what Postgres does not know.
    pub fn parse(name: &str) -> Option<Field> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "dow" => Field::DayOfWeek,
            "isodow" => Field::IsoDayOfWeek,
            "doy" => Field::DayOfYear,
            "isoyear" => Field::IsoYear,
            "j" | "jd" | "julian" => Field::Julian,
            "epoch" => Field::Epoch,
            "qtr" | "quarter" => Field::Quarter,
            "timezone" => Field::Timezone,
            "timezone_h" | "timezone_hour" => Field::TimezoneHour,
            "timezone_m" | "timezone_minute" => Field::TimezoneMinute,
            other => match unit_of(other)? {
                Unit::Microsecond => Field::Microsecond,
                Unit::Millisecond => Field::Millisecond,
                Unit::Second => Field::Second,
                Unit::Minute => Field::Minute,
                Unit::Hour => Field::Hour,
                Unit::Day => Field::Day,
                Unit::Week => Field::Week,
                Unit::Month => Field::Month,
                Unit::Year => Field::Year,
                Unit::Decade => Field::Decade,
                Unit::Century => Field::Century,
                Unit::Millennium => Field::Millennium,
            },
        })
    }

    /// Fields that only grow with time: those of infinity are infinite, the others NULL.
    fn is_monotonic(self) -> bool {
        use Field::*;
        matches!(self, Year | IsoYear | Decade | Century | Millennium | Julian | Epoch)
    }
}

fn not_recognized(name: &str, type_name: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unit \"{}\" not recognized for type {type_name}", name.to_ascii_lowercase()))
}

fn field_of(name: &str, type_name: &str) -> Result<Field, EvalError> {
    Field::parse(name).ok_or_else(|| not_recognized(name, type_name))
}

/// The field of `date_trunc`, which does not know all of `extract`'s.
fn truncation_field(name: &str, type_name: &str) -> Result<Field, EvalError> {
    use Field::*;
    match field_of(name, type_name)? {
        DayOfWeek | IsoDayOfWeek | DayOfYear | IsoYear | Julian | Epoch => Err(not_recognized(name, type_name)),
        field => Ok(field),
    }
}

fn not_supported(name: &str, type_name: &str) -> EvalError {
    EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("unit \"{}\" not supported for type {type_name}", name.to_ascii_lowercase()))
}

const DATE: &str = "date";
const TIME: &str = "time without time zone";
const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";
const INTERVAL: &str = "interval";

/// The ISO week a day is in: its year and number.
pub fn iso_week(days: i64) -> (i32, i32) {
    // The week belongs to the year of its Thursday.
    let thursday = days - (day_of_week(days) + 6) % 7 + 3;
    let year = civil_from_days(thursday).year;
    (year, ((thursday - days_from_civil(year, 1, 1)) / 7 + 1) as i32)
}

fn decade(year: i32) -> i32 {
    year.div_euclid(10)
}

/// The century or millennium (`length` years) of an astronomical year: the first begins with the year 1, and there is no zeroth.
fn era(year: i32, length: i32) -> i32 {
    if year > 0 { (year + length - 1) / length } else { -((length - 1 - (year - 1)) / length) }
}

/// Years as people write them: 1 BC is -1.
fn shown_year(year: i32) -> i32 {
    if year > 0 { year } else { year - 1 }
}

fn integer(value: impl Into<i64>) -> Numeric {
    Numeric::from(value.into())
}

/// Fields of a day; `None` for those it has not.
fn date_field(field: Field, days: i64) -> Option<Numeric> {
    let Civil { year, month, day } = civil_from_days(days);
    Some(integer(match field {
        Field::Day => day as i32,
        Field::Month => month as i32,
        Field::Quarter => (month as i32 - 1) / 3 + 1,
        Field::Week => iso_week(days).1,
        Field::IsoYear => shown_year(iso_week(days).0),
        Field::Year => shown_year(year),
        Field::Decade => decade(year),
        Field::Century => era(year, 100),
        Field::Millennium => era(year, 1_000),
        Field::DayOfWeek => day_of_week(days) as i32,
        Field::IsoDayOfWeek => (day_of_week(days) as i32 + 6) % 7 + 1,
        Field::DayOfYear => (days - days_from_civil(year, 1, 1)) as i32 + 1,
        _ => return None,
    }))
}

/// Fields of a clock; `None` for those it has not.
fn clock_field(field: Field, micros: i64) -> Option<Numeric> {
    const MINUTE: i64 = 60 * MICROS_PER_SECOND;
    Some(match field {
        Field::Microsecond => integer(micros % MINUTE),
        Field::Millisecond => Numeric::from_parts(i128::from(micros % MINUTE), 3),
        Field::Second => Numeric::from_parts(i128::from(micros % MINUTE), 6),
        Field::Minute => integer(micros / MINUTE % 60),
        Field::Hour => integer(micros / MINUTE / 60),
        _ => return None,
    })
}

fn infinite(field: Field, positive: bool) -> Option<Numeric> {
    field.is_monotonic().then(|| if positive { Numeric::infinity() } else { Numeric::negative_infinity() })
}

/// `extract(field from date)`; `None` is NULL.
pub fn extract_from_date(name: &str, date: Date) -> Result<Option<Numeric>, EvalError> {
    let field = field_of(name, DATE)?;
    use Field::*;
    if matches!(field, Microsecond | Millisecond | Second | Minute | Hour | Timezone | TimezoneHour | TimezoneMinute) {
        return Err(not_supported(name, DATE));
    }
    if !date.is_finite() {
        return Ok(infinite(field, date == Date::INFINITY));
    }
    let days = i64::from(date.0);
    Ok(Some(match field {
        Julian => integer(days + i64::from(EPOCH_JULIAN_DAY)),
        Epoch => integer(days * 86_400 + UNIX_TO_POSTGRES_EPOCH_MICROS / MICROS_PER_SECOND),
        _ => date_field(field, days).ok_or_else(|| not_supported(name, DATE))?,
    }))
}

/// `extract(field from time)`.
pub fn extract_from_time(name: &str, time: Time) -> Result<Numeric, EvalError> {
    match field_of(name, TIME)? {
        Field::Epoch => Ok(Numeric::from_parts(i128::from(time.0), 6)),
        field => clock_field(field, time.0).ok_or_else(|| not_supported(name, TIME)),
    }
}

fn julian(days: i64, micros: i64) -> Result<Numeric, EvalError> {
    integer(days + i64::from(EPOCH_JULIAN_DAY)).add(&integer(micros).divide(&integer(MICROS_PER_DAY))?)
}

fn extract(name: &str, field: Field, timestamp: SqlTimestamp, epoch: i64, type_name: &str) -> Result<Numeric, EvalError> {
    let (days, micros) = split(timestamp);
    match field {
        Field::Julian => julian(days, micros),
        Field::Epoch => Ok(Numeric::from_parts(i128::from(epoch) + i128::from(UNIX_TO_POSTGRES_EPOCH_MICROS), 6)),
        _ => clock_field(field, micros).or_else(|| date_field(field, days)).ok_or_else(|| not_supported(name, type_name)),
    }
}

/// `extract(field from timestamp)`; `None` is NULL.
pub fn extract_from_timestamp(name: &str, timestamp: SqlTimestamp) -> Result<Option<Numeric>, EvalError> {
    let field = field_of(name, TIMESTAMP)?;
    if !timestamp.is_finite() {
        return Ok(infinite(field, timestamp == SqlTimestamp::INFINITY));
    }
    if matches!(field, Field::Timezone | Field::TimezoneHour | Field::TimezoneMinute) {
        return Err(not_supported(name, TIMESTAMP));
    }
    extract(name, field, timestamp, timestamp.0, TIMESTAMP).map(Some)
}

/// `extract(field from timestamptz)`; `None` is NULL.
pub fn extract_from_timestamptz(name: &str, instant: SqlTimestampTz, zone: TimeZone) -> Result<Option<Numeric>, EvalError> {
    let field = field_of(name, TIMESTAMPTZ)?;
    if !instant.is_finite() {
        return Ok(infinite(field, instant == SqlTimestampTz::INFINITY));
    }
    let offset = zone.offset_at(instant);
    Ok(Some(match field {
        Field::Timezone => integer(offset),
        Field::TimezoneHour => integer(offset / 3_600),
        Field::TimezoneMinute => integer(offset / 60 % 60),
        _ => extract(name, field, zone.to_local(instant), instant.0, TIMESTAMPTZ)?,
    }))
}

/// `extract(field from interval)`.
pub fn extract_from_interval(name: &str, interval: Interval) -> Result<Numeric, EvalError> {
    let field = field_of(name, INTERVAL)?;
    let (years, months) = (interval.months / 12, interval.months % 12);
    Ok(match field {
        Field::Day => integer(interval.days),
        Field::Month => integer(months),
        Field::Quarter => integer(months / 3 + 1),
        Field::Year => integer(years),
        Field::Decade => integer(years / 10),
        Field::Century => integer(years / 100),
        Field::Millennium => integer(years / 1_000),
        Field::Epoch => {
            // A year is 365.25 days, a month 30.
            let quarter_days = 1_461 * i128::from(years) + 120 * i128::from(months) + 4 * i128::from(interval.days);
            Numeric::from_parts(quarter_days * 21_600 * i128::from(MICROS_PER_SECOND) + i128::from(interval.micros), 6)
        }
        _ => clock_field(field, interval.micros).ok_or_else(|| not_supported(name, INTERVAL))?,
    })
}

/// Cuts a clock down to a field; `None` when the field is larger than a clock's.
fn truncate_clock(field: Field, micros: i64) -> Option<i64> {
    let unit = match field {
        Field::Microsecond => 1,
        Field::Millisecond => 1_000,
        Field::Second => MICROS_PER_SECOND,
        Field::Minute => 60 * MICROS_PER_SECOND,
        Field::Hour => 3_600 * MICROS_PER_SECOND,
        _ => return None,
    };
    Some(micros / unit * unit)
}

/// The first day of the field a day is in.
fn truncate_days(field: Field, days: i64) -> Option<i64> {
    let Civil { year, month, .. } = civil_from_days(days);
    let first = |length: i32| if year > 0 { (year + length - 1) / length * length - length + 1 } else { -((length - 1 - (year - 1)) / length) * length + 1 };
    Some(match field {
        Field::Day => days,
        Field::Week => days - (day_of_week(days) + 6) % 7,
        Field::Month => days_from_civil(year, month, 1),
        Field::Quarter => days_from_civil(year, (month - 1) / 3 * 3 + 1, 1),
        Field::Year => days_from_civil(year, 1, 1),
        Field::Decade => days_from_civil(decade(year) * 10, 1, 1),
        Field::Century => days_from_civil(first(100), 1, 1),
        Field::Millennium => days_from_civil(first(1_000), 1, 1),
        _ => return None,
    })
}

/// `date_trunc(field, timestamp)`. Infinity stays as it is, whatever the field.
pub fn truncate_timestamp(name: &str, timestamp: SqlTimestamp) -> Result<SqlTimestamp, EvalError> {
    if !timestamp.is_finite() {
        return Ok(timestamp);
    }
    truncate(name, truncation_field(name, TIMESTAMP)?, timestamp, TIMESTAMP)
}

fn truncate(name: &str, field: Field, timestamp: SqlTimestamp, type_name: &str) -> Result<SqlTimestamp, EvalError> {
    let (days, micros) = split(timestamp);
    let cut = match truncate_clock(field, micros) {
        Some(micros) => join(days, micros),
        None => join(truncate_days(field, days).ok_or_else(|| not_supported(name, type_name))?, 0),
    };
    cut.ok_or_else(timestamp_out_of_range)
}

/// `date_trunc(field, timestamptz)` on the zone's calendar.
pub fn truncate_timestamptz(name: &str, instant: SqlTimestampTz, zone: TimeZone) -> Result<SqlTimestampTz, EvalError> {
    if !instant.is_finite() {
        return Ok(instant);
    }
    let field = truncation_field(name, TIMESTAMPTZ)?;
    let local = zone.to_local(instant);
    let cut = truncate(name, field, local, TIMESTAMPTZ)?;
    if truncate_clock(field, 0).is_some() {
        // Within an hour the offset stays, also where the clock is set back.
        return Ok(SqlTimestampTz(instant.0 - (local.0 - cut.0)));
    }
    zone.to_instant(cut)
}

/// `date_trunc(field, interval)`.
pub fn truncate_interval(name: &str, interval: Interval) -> Result<Interval, EvalError> {
    let months = |unit: i32| Ok(Interval::new(interval.months / unit * unit, 0, 0));
    match truncation_field(name, INTERVAL)? {
        Field::Millennium => months(12_000),
        Field::Century => months(1_200),
        Field::Decade => months(120),
        Field::Year => months(12),
        Field::Quarter => months(3),
        Field::Month => months(1),
        Field::Day => Ok(Interval { micros: 0, ..interval }),
        Field::Week => Err(not_supported(name, INTERVAL).with_detail("Months usually have fractional weeks.")),
        field => truncate_clock(field, interval.micros).map(|micros| Interval { micros, ..interval }).ok_or_else(|| not_supported(name, INTERVAL)),
    }
}

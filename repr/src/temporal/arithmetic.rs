//! What the operators over dates, times and intervals compute.
//!
//! Months are added on the calendar and the day is cut to its month; days are added on the calendar of the zone; hours and less are added as time
//! that passes. Results outside the range of a type are 22008.

use super::calendar::{civil_from_days, days_from_civil, days_in_month, is_leap_year, is_valid_date, is_valid_timestamp, join, split};
use super::{Date, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, SqlTimestamp, SqlTimestampTz, Time, TimeZone, UNIX_TO_POSTGRES_EPOCH_MICROS};
use crate::{EvalError, SqlState};

const DAYS_PER_MONTH: i32 = 30;
const SECONDS_PER_DAY: f64 = 86_400.0;

fn overflow(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

pub(super) fn timestamp_out_of_range() -> EvalError {
    overflow("timestamp out of range")
}

pub(super) fn date_out_of_range() -> EvalError {
    overflow("date out of range")
}

pub(super) fn interval_out_of_range() -> EvalError {
    overflow("interval out of range")
}

/// A date within the range of the type, or infinite.
pub fn check_date(date: Date) -> Result<Date, EvalError> {
    if !date.is_finite() || is_valid_date(i64::from(date.0)) { Ok(date) } else { Err(date_out_of_range()) }
}

/// A time from 00:00 to 24:00.
pub fn check_time(time: Time) -> Result<Time, EvalError> {
    if (0..=MICROS_PER_DAY).contains(&time.0) { Ok(time) } else { Err(overflow("time out of range")) }
}

/// A timestamp within the range of the type, or infinite.
pub fn check_timestamp(timestamp: SqlTimestamp) -> Result<SqlTimestamp, EvalError> {
    if !timestamp.is_finite() || is_valid_timestamp(timestamp.0) { Ok(timestamp) } else { Err(timestamp_out_of_range()) }
}

// Casts.

pub fn date_to_timestamp(date: Date) -> Result<SqlTimestamp, EvalError> {
    match date {
        Date::INFINITY => Ok(SqlTimestamp::INFINITY),
        Date::NEGATIVE_INFINITY => Ok(SqlTimestamp::NEGATIVE_INFINITY),
        Date(days) => join(i64::from(days), 0).ok_or_else(|| overflow("date out of range for timestamp")),
    }
}

/// Midnight in the zone.
pub fn date_to_timestamptz(date: Date, zone: TimeZone) -> Result<SqlTimestampTz, EvalError> {
    let out_of_range = |_| overflow("date out of range for timestamp");
    zone.to_instant(date_to_timestamp(date)?).map_err(out_of_range)
}

pub fn timestamp_to_date(timestamp: SqlTimestamp) -> Date {
    match timestamp {
        SqlTimestamp::INFINITY => Date::INFINITY,
        SqlTimestamp::NEGATIVE_INFINITY => Date::NEGATIVE_INFINITY,
        finite => Date(split(finite).0 as i32),
    }
}

pub fn timestamptz_to_date(instant: SqlTimestampTz, zone: TimeZone) -> Date {
    timestamp_to_date(zone.to_local(instant))
}

/// `None`, SQL's NULL, for the infinities.
pub fn timestamp_to_time(timestamp: SqlTimestamp) -> Option<Time> {
    timestamp.is_finite().then(|| Time(split(timestamp).1))
}

pub fn timestamptz_to_time(instant: SqlTimestampTz, zone: TimeZone) -> Option<Time> {
    timestamp_to_time(zone.to_local(instant))
}

/// The part below a day.
pub fn interval_to_time(interval: Interval) -> Time {
    Time(interval.micros.rem_euclid(MICROS_PER_DAY))
}

pub fn time_to_interval(time: Time) -> Interval {
    Interval::new(0, 0, time.0)
}

/// `to_timestamp(double precision)`: seconds since 1970.
pub fn timestamptz_from_epoch(seconds: f64) -> Result<SqlTimestampTz, EvalError> {
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { SqlTimestampTz::INFINITY } else { SqlTimestampTz::NEGATIVE_INFINITY });
    }
    let micros = ((seconds - (UNIX_TO_POSTGRES_EPOCH_MICROS / MICROS_PER_SECOND) as f64) * MICROS_PER_SECOND as f64).round_ties_even();
    let instant = micros as i64;
    if is_valid_timestamp(instant) {
        return Ok(SqlTimestampTz(instant));
    }
    let mut text = String::new();
    crate::text::write_float8(seconds, 0, &mut text);
    Err(overflow(format!("timestamp out of range: \"{text}\"")))
}

// Moments and intervals.

/// Adds months to a day, cutting it to the length of the month reached.
fn add_months(days: i64, months: i32) -> i64 {
    let civil = civil_from_days(days);
    let total = i64::from(civil.year) * 12 + i64::from(civil.month) - 1 + i64::from(months);
    let (year, month) = (total.div_euclid(12) as i32, total.rem_euclid(12) as u32 + 1);
    days_from_civil(year, month, civil.day.min(days_in_month(year, month)))
}

/// The calendar part of an addition.
fn add_calendar(timestamp: SqlTimestamp, interval: Interval) -> Result<SqlTimestamp, EvalError> {
    if interval.months == 0 && interval.days == 0 {
        return Ok(timestamp);
    }
    let (mut days, micros) = split(timestamp);
    if interval.months != 0 {
        days = add_months(days, interval.months);
    }
    join(days + i64::from(interval.days), micros).ok_or_else(timestamp_out_of_range)
}

pub fn timestamp_add_interval(timestamp: SqlTimestamp, interval: Interval) -> Result<SqlTimestamp, EvalError> {
    if !timestamp.is_finite() {
        return Ok(timestamp);
    }
    let moved = add_calendar(timestamp, interval)?.0.checked_add(interval.micros).ok_or_else(timestamp_out_of_range)?;
    if is_valid_timestamp(moved) { Ok(SqlTimestamp(moved)) } else { Err(timestamp_out_of_range()) }
}

pub fn timestamp_subtract_interval(timestamp: SqlTimestamp, interval: Interval) -> Result<SqlTimestamp, EvalError> {
    timestamp_add_interval(timestamp, interval_negate(interval)?)
}

/// Months and days are added on the zone's calendar.
pub fn timestamptz_add_interval(instant: SqlTimestampTz, interval: Interval, zone: TimeZone) -> Result<SqlTimestampTz, EvalError> {
    if !instant.is_finite() {
        return Ok(instant);
    }
    let moved = if interval.months == 0 && interval.days == 0 { instant } else { zone.to_instant(add_calendar(zone.to_local(instant), interval)?)? };
    let moved = moved.0.checked_add(interval.micros).ok_or_else(timestamp_out_of_range)?;
    if is_valid_timestamp(moved) { Ok(SqlTimestampTz(moved)) } else { Err(timestamp_out_of_range()) }
}

pub fn timestamptz_subtract_interval(instant: SqlTimestampTz, interval: Interval, zone: TimeZone) -> Result<SqlTimestampTz, EvalError> {
    timestamptz_add_interval(instant, interval_negate(interval)?, zone)
}

/// Days and time between two moments.
pub fn timestamp_subtract(left: SqlTimestamp, right: SqlTimestamp) -> Result<Interval, EvalError> {
    if !left.is_finite() || !right.is_finite() {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    let micros = left.0.checked_sub(right.0).ok_or_else(interval_out_of_range)?;
    Ok(Interval::new(0, (micros / MICROS_PER_DAY) as i32, micros % MICROS_PER_DAY))
}

pub fn date_add_days(date: Date, days: i32) -> Result<Date, EvalError> {
    if !date.is_finite() {
        return Ok(date);
    }
    let moved = i64::from(date.0) + i64::from(days);
    if is_valid_date(moved) { Ok(Date(moved as i32)) } else { Err(date_out_of_range()) }
}

pub fn date_subtract_days(date: Date, days: i32) -> Result<Date, EvalError> {
    if !date.is_finite() {
        return Ok(date);
    }
    let moved = i64::from(date.0) - i64::from(days);
    if is_valid_date(moved) { Ok(Date(moved as i32)) } else { Err(date_out_of_range()) }
}

pub fn date_subtract(left: Date, right: Date) -> Result<i32, EvalError> {
    if !left.is_finite() || !right.is_finite() {
        return Err(overflow("cannot subtract infinite dates"));
    }
    Ok(left.0.wrapping_sub(right.0))
}

/// Runs round the clock; months and days do not count.
pub fn time_add_interval(time: Time, interval: Interval) -> Time {
    Time((time.0 + interval.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY))
}

pub fn time_subtract_interval(time: Time, interval: Interval) -> Time {
    Time((time.0 - interval.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY))
}

pub fn time_subtract(left: Time, right: Time) -> Interval {
    Interval::new(0, 0, left.0 - right.0)
}

/// `date + time`.
pub fn date_at_time(date: Date, time: Time) -> Result<SqlTimestamp, EvalError> {
    let midnight = date_to_timestamp(date)?;
    if !midnight.is_finite() {
        return Ok(midnight);
    }
    check_timestamp(SqlTimestamp(midnight.0.checked_add(time.0).ok_or_else(timestamp_out_of_range)?))
}

// Intervals.

pub fn interval_negate(interval: Interval) -> Result<Interval, EvalError> {
    interval_subtract(Interval::ZERO, interval)
}

fn combine(months: Option<i32>, days: Option<i32>, micros: Option<i64>) -> Result<Interval, EvalError> {
    match (months, days, micros) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(interval_out_of_range()),
    }
}

pub fn interval_add(left: Interval, right: Interval) -> Result<Interval, EvalError> {
    combine(left.months.checked_add(right.months), left.days.checked_add(right.days), left.micros.checked_add(right.micros))
}

pub fn interval_subtract(left: Interval, right: Interval) -> Result<Interval, EvalError> {
    combine(left.months.checked_sub(right.months), left.days.checked_sub(right.days), left.micros.checked_sub(right.micros))
}

fn to_i32(value: f64) -> Result<i32, EvalError> {
    if value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX) { Ok(value as i32) } else { Err(interval_out_of_range()) }
}

fn round_to_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// Each part is scaled for itself; the fraction of a month becomes days, that of a day time.
fn interval_scale(interval: Interval, scale: impl Fn(f64) -> f64) -> Result<Interval, EvalError> {
    let (exact_months, exact_days) = (scale(f64::from(interval.months)), scale(f64::from(interval.days)));
    let (months, days) = (to_i32(exact_months)?, to_i32(exact_days)?);
    let days_of_months = round_to_micros((exact_months - f64::from(months)) * f64::from(DAYS_PER_MONTH));
    let mut seconds = round_to_micros((exact_days - f64::from(days) + days_of_months - days_of_months.trunc()) * SECONDS_PER_DAY);
    let mut days = days.checked_add(days_of_months as i32).ok_or_else(interval_out_of_range)?;
    if seconds.abs() >= SECONDS_PER_DAY {
        let carried = (seconds / SECONDS_PER_DAY).trunc();
        days = days.checked_add(carried as i32).ok_or_else(interval_out_of_range)?;
        seconds -= carried * SECONDS_PER_DAY;
    }
    let micros = (scale(interval.micros as f64) + seconds * MICROS_PER_SECOND as f64).round_ties_even();
    if !(micros >= i64::MIN as f64 && micros < -(i64::MIN as f64)) {
        return Err(interval_out_of_range());
    }
    Ok(Interval { months, days, micros: micros as i64 })
}

pub fn interval_multiply(interval: Interval, factor: f64) -> Result<Interval, EvalError> {
    interval_scale(interval, |part| part * factor)
}

pub fn interval_divide(interval: Interval, divisor: f64) -> Result<Interval, EvalError> {
    if divisor == 0.0 {
        return Err(EvalError::division_by_zero());
    }
    interval_scale(interval, |part| part / divisor)
}

/// Moves whole units from the smaller part to the larger.
fn carry_days(interval: Interval) -> Result<Interval, EvalError> {
    let days = i64::from(interval.days) + interval.micros / MICROS_PER_DAY;
    let days = i32::try_from(days).map_err(|_| interval_out_of_range())?;
    Ok(Interval { days, micros: interval.micros % MICROS_PER_DAY, ..interval })
}

fn carry_months(interval: Interval) -> Result<Interval, EvalError> {
    let months = interval.months.checked_add(interval.days / DAYS_PER_MONTH).ok_or_else(interval_out_of_range)?;
    Ok(Interval { months, days: interval.days % DAYS_PER_MONTH, ..interval })
}

/// Gives a day or its time the other sign by moving one day.
fn align_time(mut interval: Interval) -> Interval {
    if interval.days > 0 && interval.micros < 0 {
        interval.days -= 1;
        interval.micros += MICROS_PER_DAY;
    } else if interval.days < 0 && interval.micros > 0 {
        interval.days += 1;
        interval.micros -= MICROS_PER_DAY;
    }
    interval
}

fn align_days(mut interval: Interval) -> Interval {
    if interval.months > 0 && (interval.days < 0 || (interval.days == 0 && interval.micros < 0)) {
        interval.months -= 1;
        interval.days += DAYS_PER_MONTH;
    } else if interval.months < 0 && (interval.days > 0 || (interval.days == 0 && interval.micros > 0)) {
        interval.months += 1;
        interval.days -= DAYS_PER_MONTH;
    }
    interval
}

/// 24 hours become a day.
pub fn justify_hours(interval: Interval) -> Result<Interval, EvalError> {
    Ok(align_time(carry_days(interval)?))
}

/// 30 days become a month.
pub fn justify_days(interval: Interval) -> Result<Interval, EvalError> {
    let mut carried = carry_months(interval)?;
    if carried.months > 0 && carried.days < 0 {
        (carried.months, carried.days) = (carried.months - 1, carried.days + DAYS_PER_MONTH);
    } else if carried.months < 0 && carried.days > 0 {
        (carried.months, carried.days) = (carried.months + 1, carried.days - DAYS_PER_MONTH);
    }
    Ok(carried)
}

/// Both, and one sign for all parts.
pub fn justify_interval(interval: Interval) -> Result<Interval, EvalError> {
    // Days of one sign with their time go first, lest they overflow.
    let mut first = interval;
    if (first.days > 0 && first.micros > 0) || (first.days < 0 && first.micros < 0) {
        first = carry_months(first)?;
    }
    Ok(align_time(align_days(carry_months(carry_days(first)?)?)))
}

/// Years, months, days and time between two moments, on the calendar.
pub fn age(left: SqlTimestamp, right: SqlTimestamp) -> Result<Interval, EvalError> {
    if !left.is_finite() || !right.is_finite() {
        return Err(timestamp_out_of_range());
    }
    let negative = left < right;
    let (later, earlier) = if negative { (right, left) } else { (left, right) };
    let ((later_days, later_micros), (earlier_days, earlier_micros)) = (split(later), split(earlier));
    let (late, early) = (civil_from_days(later_days), civil_from_days(earlier_days));
    let mut micros = later_micros - earlier_micros;
    let mut days = late.day as i32 - early.day as i32;
    let mut months = (late.year - early.year) * 12 + late.month as i32 - early.month as i32;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        // The days lent are those of the earlier moment's month.
        let lender = early;
        days += if lender.month == 2 && is_leap_year(lender.year) { 29 } else { days_in_month(lender.year, lender.month) as i32 };
        months -= 1;
    }
    Ok(if negative { Interval::new(-months, -days, -micros) } else { Interval::new(months, days, micros) })
}

/// The start of the stride that a moment lies in, counted from an origin.
pub fn date_bin(stride: Interval, timestamp: SqlTimestamp, origin: SqlTimestamp) -> Result<SqlTimestamp, EvalError> {
    if !timestamp.is_finite() {
        return Ok(timestamp);
    }
    if !origin.is_finite() {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, "timestamps cannot be binned into intervals containing months or years"));
    }
    let width = i64::from(stride.days).checked_mul(MICROS_PER_DAY).and_then(|micros| micros.checked_add(stride.micros)).ok_or_else(interval_out_of_range)?;
    if width <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let distance = timestamp.0.checked_sub(origin.0).ok_or_else(interval_out_of_range)?;
    check_timestamp(SqlTimestamp(origin.0 + distance.div_euclid(width) * width))
}

// Constructors.

/// Negative years are BC; there is no year 0.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<Date, EvalError> {
    let out_of_range = || overflow(format!("date field value out of range: {year}-{month:02}-{day:02}"));
    let astronomical = if year < 0 { year.checked_add(1).ok_or_else(out_of_range)? } else { year };
    let valid = year != 0 && (1..=12).contains(&month) && day >= 1 && day as u32 <= days_in_month(astronomical, month as u32);
    if !valid {
        return Err(out_of_range());
    }
    let days = days_from_civil(astronomical, month as u32, day as u32);
    if is_valid_date(days) { Ok(Date(days as i32)) } else { Err(overflow(format!("date out of range: {astronomical}-{month:02}-{day:02}"))) }
}

fn clock(hour: i32, minute: i32, second: f64) -> Option<i64> {
    let seconds_valid = (0.0..=60.0).contains(&second);
    if !(0..=24).contains(&hour) || !(0..=59).contains(&minute) || !seconds_valid || (hour == 24 && (minute > 0 || second > 0.0)) {
        return None;
    }
    Some((i64::from(hour) * 60 + i64::from(minute)) * 60 * MICROS_PER_SECOND + (second * 1e6).round_ties_even() as i64)
}

pub fn make_time(hour: i32, minute: i32, second: f64) -> Result<Time, EvalError> {
    clock(hour, minute, second).map(Time).ok_or_else(|| overflow(format!("time field value out of range: {hour}:{minute:02}:{}", seconds_text(second))))
}

/// Two digits before the point at least.
fn seconds_text(second: f64) -> String {
    let plain = second.to_string();
    let whole = plain.split('.').next().map_or(0, str::len);
    if whole < 2 { format!("0{plain}") } else { plain }
}

pub fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<SqlTimestamp, EvalError> {
    let date = make_date(year, month, day)?;
    let micros = clock(hour, minute, second)
        .ok_or_else(|| overflow(format!("time field value out of range: {hour}:{minute:02}:{}", seconds_text(second))))?;
    join(i64::from(date.0), micros)
        .ok_or_else(|| overflow(format!("timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{}", seconds_text(second))))
}

#[allow(clippy::too_many_arguments)] // The SQL function has them.
pub fn make_interval(years: i32, months: i32, weeks: i32, days: i32, hours: i32, minutes: i32, seconds: f64) -> Result<Interval, EvalError> {
    let total_months = i64::from(years) * 12 + i64::from(months);
    let total_days = i64::from(weeks) * 7 + i64::from(days);
    let micros = (seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() > i64::MAX as f64 {
        return Err(interval_out_of_range());
    }
    let clock = (i64::from(hours) * 60 + i64::from(minutes)) * 60 * MICROS_PER_SECOND;
    combine(total_months.try_into().ok(), total_days.try_into().ok(), clock.checked_add(micros as i64))
}

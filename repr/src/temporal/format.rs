//! Text output with `DateStyle = ISO` and `IntervalStyle = postgres`.

use super::calendar::{civil_from_days, split};
use super::{Date, Interval, MICROS_PER_SECOND, SqlTimestamp, SqlTimestampTz, Time, TimeZone};
use std::fmt::Write;

fn push_two(out: &mut String, value: u64) {
    out.push((b'0' + (value / 10 % 10) as u8) as char);
    out.push((b'0' + (value % 10) as u8) as char);
}

/// `YYYY-MM-DD` without the era; true when it is BC.
fn push_day(out: &mut String, days: i64) -> bool {
    let civil = civil_from_days(days);
    let before_christ = civil.year <= 0;
    let year = if before_christ { 1 - i64::from(civil.year) } else { i64::from(civil.year) } as u64;
    if year > 9999 {
        let _ = write!(out, "{year}");
    } else {
        push_two(out, year / 100);
        push_two(out, year % 100);
    }
    out.push('-');
    push_two(out, u64::from(civil.month));
    out.push('-');
    push_two(out, u64::from(civil.day));
    before_christ
}

/// `SS[.ffffff]` without trailing zeros.
fn push_seconds(out: &mut String, micros: u64) {
    push_two(out, micros / MICROS_PER_SECOND as u64);
    let mut fraction = micros % MICROS_PER_SECOND as u64;
    if fraction > 0 {
        out.push('.');
        let mut unit = MICROS_PER_SECOND as u64 / 10;
        while fraction > 0 {
            out.push((b'0' + (fraction / unit) as u8) as char);
            fraction %= unit;
            unit = (unit / 10).max(1);
        }
    }
}

fn push_time(out: &mut String, micros: u64) {
    let minutes = micros / (60 * MICROS_PER_SECOND as u64);
    push_two(out, minutes / 60);
    out.push(':');
    push_two(out, minutes % 60);
    out.push(':');
    push_seconds(out, micros % (60 * MICROS_PER_SECOND as u64));
}

pub fn write_date(date: Date, out: &mut String) {
    match date {
        Date::INFINITY => out.push_str("infinity"),
        Date::NEGATIVE_INFINITY => out.push_str("-infinity"),
        Date(days) => {
            if push_day(out, i64::from(days)) {
                out.push_str(" BC");
            }
        }
    }
}

pub fn write_time(time: Time, out: &mut String) {
    push_time(out, time.0.unsigned_abs())
}

/// Also writes the infinities; true when the moment is BC, which the caller writes last.
fn push_timestamp(timestamp: SqlTimestamp, out: &mut String) -> bool {
    match timestamp {
        SqlTimestamp::INFINITY => out.push_str("infinity"),
        SqlTimestamp::NEGATIVE_INFINITY => out.push_str("-infinity"),
        finite => {
            let (days, micros) = split(finite);
            let before_christ = push_day(out, days);
            out.push(' ');
            push_time(out, micros as u64);
            return before_christ;
        }
    }
    false
}

pub fn write_timestamp(timestamp: SqlTimestamp, out: &mut String) {
    if push_timestamp(timestamp, out) {
        out.push_str(" BC");
    }
}

pub fn write_timestamptz(instant: SqlTimestampTz, zone: TimeZone, out: &mut String) {
    if !instant.is_finite() {
        push_timestamp(SqlTimestamp(instant.0), out);
        return;
    }
    let offset = zone.offset_at(instant);
    let before_christ = push_timestamp(SqlTimestamp(instant.0 + i64::from(offset) * MICROS_PER_SECOND), out);
    push_offset(out, offset);
    if before_christ {
        out.push_str(" BC");
    }
}

/// `+02`, `-05:30`, `+00:53:28`.
pub(super) fn push_offset(out: &mut String, offset: i32) {
    out.push(if offset < 0 { '-' } else { '+' });
    let seconds = u64::from(offset.unsigned_abs());
    push_two(out, seconds / 3600);
    if seconds % 3600 != 0 {
        out.push(':');
        push_two(out, seconds / 60 % 60);
    }
    if seconds % 60 != 0 {
        out.push(':');
        push_two(out, seconds % 60);
    }
}

/// `1 year 2 mons 3 days 04:05:06.789`. After a negative part a positive one carries its plus.
pub fn write_interval(interval: Interval, out: &mut String) {
    let start = out.len();
    let mut after_negative = false;
    for (value, unit) in [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        after_negative = value < 0;
    }
    if interval.micros != 0 || out.len() == start {
        if out.len() > start {
            out.push(' ');
        }
        if interval.micros < 0 {
            out.push('-');
        } else if after_negative {
            out.push('+');
        }
        let micros = interval.micros.unsigned_abs();
        let minutes = micros / (60 * MICROS_PER_SECOND as u64);
        let _ = write!(out, "{:02}:", minutes / 60);
        push_two(out, minutes % 60);
        out.push(':');
        push_seconds(out, micros % (60 * MICROS_PER_SECOND as u64));
    }
}

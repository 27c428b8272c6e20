//! Time zones: fixed offsets and the IANA data base.

use super::calendar::{civil_from_days, day_of_week, days_from_civil, is_leap_year, is_valid_timestamp};
use super::{MICROS_PER_DAY, MICROS_PER_SECOND, SqlTimestamp, SqlTimestampTz, TimeZone, UNIX_TO_POSTGRES_EPOCH_MICROS, abbreviations};
use crate::{EvalError, SqlState};
use chrono::{DateTime, Offset, TimeZone as _};
use chrono_tz::Tz;

/// Offsets in text reach this many hours either way.
pub(super) const OFFSET_HOURS_MAX: i32 = 15;
/// A zone given as a number of hours reaches this far (a week).
const HOURS_MAX: f64 = 168.0;
/// The zone data ends with 2099; the rules of its last whole years go on for ever.
const LAST_YEAR_WITH_DATA: i32 = 2098;

fn named(name: &str) -> Option<TimeZone> {
    let zone = name.parse().ok().or_else(|| chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied())?;
    Some(if matches!(zone, Tz::UTC) { TimeZone::UTC } else { TimeZone::Named(zone) })
}

/// `[name|<name>]offset` as POSIX writes it: offsets count to the west.
fn posix(text: &str) -> Option<TimeZone> {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()),
    };
    let (sign, digits) = match rest.as_bytes().first()? {
        b'-' => (1, &rest[1..]),
        b'+' => (-1, &rest[1..]),
        b'0'..=b'9' => (-1, rest),
        _ => return None,
    };
    let mut seconds = 0;
    for (position, part) in digits.split(':').enumerate() {
        let value: i32 = part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        let (unit, limit) = *[(3600, 167), (60, 59), (1, 59)].get(position)?;
        if value > limit {
            return None;
        }
        seconds += value * unit;
    }
    Some(TimeZone::Fixed(sign * seconds))
}

impl TimeZone {
    pub const UTC: TimeZone = TimeZone::Fixed(0);

    fn not_recognized(name: &str) -> EvalError {
        EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
    }

    /// A value of the setting `TimeZone`: `UTC`, `Europe/Berlin`, a number of hours east (`+02`, `-5.5`), abbreviations Postgres knows, or a POSIX
    /// offset, which counts to the *west* (`GMT-3`, `-05:30`); the error is Postgres' (`time zone "x" not recognized`, 22023).
    pub fn parse(name: &str) -> Result<TimeZone, EvalError> {
        let trimmed = name.trim();
        if let Ok(hours) = trimmed.parse::<f64>()
            && hours.abs() <= HOURS_MAX
        {
            return Ok(TimeZone::Fixed((hours * 3600.0) as i32));
        }
        TimeZone::lookup(trimmed).ok_or_else(|| TimeZone::not_recognized(name))
    }

    /// The zone of `AT TIME ZONE` and the functions that take one: as [`TimeZone::parse`], but a bare number is a POSIX offset, to the west.
    pub fn parse_expression(name: &str) -> Result<TimeZone, EvalError> {
        TimeZone::lookup(name).ok_or_else(|| TimeZone::not_recognized(name))
    }

    pub(super) fn lookup(name: &str) -> Option<TimeZone> {
        abbreviations::offset_of(&name.to_ascii_lowercase()).map(TimeZone::Fixed).or_else(|| named(name)).or_else(|| posix(name))
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(self, instant: SqlTimestampTz) -> i32 {
        let zone = match self {
            TimeZone::Fixed(seconds) => return seconds,
            TimeZone::Named(zone) => zone,
        };
        if !instant.is_finite() {
            return 0;
        }
        let days = instant.0.div_euclid(MICROS_PER_DAY);
        let year = civil_from_days(days).year;
        let mut micros = i128::from(instant.0) + i128::from(UNIX_TO_POSTGRES_EPOCH_MICROS);
        if year > LAST_YEAR_WITH_DATA {
            // The same day of a year that starts on the same weekday and is as long; within 28 years there is one.
            let first = |year: i32| days_from_civil(year, 1, 1);
            let like = |candidate: &i32| is_leap_year(*candidate) == is_leap_year(year) && day_of_week(first(*candidate)) == day_of_week(first(year));
            let twin = (LAST_YEAR_WITH_DATA - 27..=LAST_YEAR_WITH_DATA).find(like).unwrap_or(LAST_YEAR_WITH_DATA);
            micros -= i128::from(first(year) - first(twin)) * i128::from(MICROS_PER_DAY);
        }
        match DateTime::from_timestamp_micros(micros as i64) {
            Some(instant) => zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc(),
            None => 0,
        }
    }

    /// Local wall clock time at an instant.
    pub fn to_local(self, instant: SqlTimestampTz) -> SqlTimestamp {
        if !instant.is_finite() {
            return SqlTimestamp(instant.0);
        }
        SqlTimestamp(instant.0 + i64::from(self.offset_at(instant)) * MICROS_PER_SECOND)
    }

    /// The instant of a local wall clock time, with Postgres' choices in gaps and overlaps: in a gap the offset before it, in an overlap the offset
    /// after it.
    pub fn to_instant(self, local: SqlTimestamp) -> Result<SqlTimestampTz, EvalError> {
        if !local.is_finite() {
            return Ok(SqlTimestampTz(local.0));
        }
        let at = |offset: i32| SqlTimestampTz(local.0.saturating_sub(i64::from(offset) * MICROS_PER_SECOND));
        let instant = match self {
            TimeZone::Fixed(offset) => at(offset),
            TimeZone::Named(_) => {
                let before = self.offset_at(SqlTimestampTz(local.0 - MICROS_PER_DAY));
                let after = self.offset_at(SqlTimestampTz(local.0 + MICROS_PER_DAY));
                let holds = |offset: i32| self.offset_at(at(offset)) == offset;
                if before == after || holds(after) || !holds(before) && before > after { at(after) } else { at(before) }
            }
        };
        if is_valid_timestamp(instant.0) { Ok(instant) } else { Err(EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")) }
    }

    /// The name the setting shows.
    pub fn name(self) -> String {
        match self {
            TimeZone::Fixed(0) => "UTC".to_string(),
            TimeZone::Named(zone) => zone.name().to_string(),
            TimeZone::Fixed(seconds) => {
                let part = |sign: char| {
                    let (hours, minutes, rest) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
                    match (minutes, rest) {
                        (0, 0) => format!("{sign}{hours:02}"),
                        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
                        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
                    }
                };
                let (east, west) = if seconds > 0 { ('+', '-') } else { ('-', '+') };
                format!("<{}>{}", part(east), part(west))
            }
        }
    }
}

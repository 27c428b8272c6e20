//! The proleptic Gregorian calendar, in days from 2000-01-01, and the range of each type.

use super::{MICROS_PER_DAY, SqlTimestamp};

/// A day of the calendar. The year is astronomical: 0 is 1 BC, -1 is 2 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    pub year: i32,
    pub month: u32,
    pub day: u32,
}

/// The Julian day number of 2000-01-01.
pub(super) const EPOCH_JULIAN_DAY: i32 = 2_451_545;
/// 4714-11-24 BC, the first day, as date and as timestamp.
pub(super) const FIRST_DAY: i64 = -(EPOCH_JULIAN_DAY as i64);
/// 5874898-01-01, the first day that a date cannot be.
pub(super) const DATE_END: i64 = 2_147_483_494 - EPOCH_JULIAN_DAY as i64;
/// 294277-01-01, the first day that a timestamp cannot be on.
pub(super) const TIMESTAMP_END_MICROS: i64 = 9_223_371_331_200_000_000;
pub(super) const TIMESTAMP_FIRST_MICROS: i64 = -211_813_488_000_000_000;

const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01, where eras begin, to 2000-01-01.
const ERA_TO_EPOCH_DAYS: i64 = 730_425;

pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// `month` is 1 to 12.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap_year(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 2000-01-01. A month beyond 12 or a day beyond its month runs on.
///
/// Years begin in March here, so that the leap day is a year's last and months have a regular length (Hinnant, "chrono-compatible low-level date
/// algorithms").
pub fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - ERA_TO_EPOCH_DAYS
}

/// The inverse of [`days_from_civil`].
pub fn civil_from_days(days: i64) -> Civil {
    let days = days + ERA_TO_EPOCH_DAYS;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    Civil { year: (year_of_era + era * 400 + i64::from(month <= 2)) as i32, month, day }
}

/// Day of the week, Sunday 0.
pub(super) fn day_of_week(days: i64) -> i64 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7)
}

pub(super) fn is_valid_timestamp(micros: i64) -> bool {
    (TIMESTAMP_FIRST_MICROS..TIMESTAMP_END_MICROS).contains(&micros)
}

pub(super) fn is_valid_date(days: i64) -> bool {
    (FIRST_DAY..DATE_END).contains(&days)
}

/// Days and the microseconds of the day.
pub(super) fn split(timestamp: SqlTimestamp) -> (i64, i64) {
    (timestamp.0.div_euclid(MICROS_PER_DAY), timestamp.0.rem_euclid(MICROS_PER_DAY))
}

/// A moment from its day and microseconds; `None` outside the range of timestamps.
pub(super) fn join(days: i64, micros: i64) -> Option<SqlTimestamp> {
    let moment = days.checked_mul(MICROS_PER_DAY)?.checked_add(micros)?;
    is_valid_timestamp(moment).then_some(SqlTimestamp(moment))
}

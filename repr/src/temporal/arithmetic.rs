//! What the operators over dates, times and intervals compute.

use super::calendar::{self, is_valid_date, is_valid_timestamp};
use super::{Date, MICROS_PER_DAY, SqlTimestamp, Time};
use crate::{EvalError, SqlState};

pub(super) fn timestamp_out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

pub(super) fn date_out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

pub(super) fn interval_out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// A date within the range of the type, or infinite.
pub fn check_date(date: Date) -> Result<Date, EvalError> {
    if !date.is_finite() || is_valid_date(i64::from(date.0)) { Ok(date) } else { Err(date_out_of_range()) }
}

/// A time from 00:00 to 24:00.
pub fn check_time(time: Time) -> Result<Time, EvalError> {
    if (0..=MICROS_PER_DAY).contains(&time.0) { Ok(time) } else { Err(EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range")) }
}

/// A timestamp within the range of the type, or infinite.
pub fn check_timestamp(timestamp: SqlTimestamp) -> Result<SqlTimestamp, EvalError> {
    if !timestamp.is_finite() || is_valid_timestamp(timestamp.0) { Ok(timestamp) } else { Err(timestamp_out_of_range()) }
}

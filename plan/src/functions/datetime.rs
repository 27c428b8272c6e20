//! Arithmetic of dates, times, timestamps and intervals, zones, the present, and constructors.

use super::lift::{Call, Table};
use super::typed as t;
use repr::temporal::{self, MICROS_PER_SECOND};
use repr::{Date, EvalError, Interval, SqlState, SqlTimestamp, SqlTimestampTz, TimeZone};

pub fn register(table: &mut Table) {
    sums(table);
    zoned_sums(table);
    intervals(table);
    present(table);
    zones(table);
    constructors(table);
}

/// The session's zone.
pub fn session_zone(call: &Call<'_>) -> TimeZone {
    call.context.text.time_zone
}

const ADD: &str = "The moment so much later.";
const SUBTRACT: &str = "The moment so much earlier.";
const BETWEEN: &str = "What lies between two moments.";

fn add_to_date(date: Date, interval: Interval) -> Result<SqlTimestamp, EvalError> {
    temporal::timestamp_add_interval(temporal::date_to_timestamp(date)?, interval)
}

fn sums(table: &mut Table) {
    table.entry::<(t::Date, t::Int4), t::Date>("+", ADD).returns(|(date, days)| temporal::date_add_days(date, days));
    table.entry::<(t::Int4, t::Date), t::Date>("+", ADD).returns(|(days, date)| temporal::date_add_days(date, days));
    table.entry::<(t::Date, t::Int4), t::Date>("-", SUBTRACT).returns(|(date, days)| temporal::date_subtract_days(date, days));
    table.entry::<(t::Date, t::Date), t::Int4>("-", BETWEEN).returns(|(a, b)| temporal::date_subtract(a, b));
    table.entry::<(t::Date, t::Interval), t::Timestamp>("+", ADD).returns(|(date, interval)| add_to_date(date, interval));
    table.entry::<(t::Interval, t::Date), t::Timestamp>("+", ADD).returns(|(interval, date)| add_to_date(date, interval));
    table
        .entry::<(t::Date, t::Interval), t::Timestamp>("-", SUBTRACT)
        .returns(|(date, interval)| temporal::timestamp_subtract_interval(temporal::date_to_timestamp(date)?, interval));
    table.entry::<(t::Date, t::Time), t::Timestamp>("+", "The date at a time of day.").returns(|(date, time)| temporal::date_at_time(date, time));
    table.entry::<(t::Time, t::Date), t::Timestamp>("+", "The date at a time of day.").returns(|(time, date)| temporal::date_at_time(date, time));
    table.entry::<(t::Time, t::Interval), t::Time>("+", ADD).returns(|(time, interval)| temporal::time_add_interval(time, interval));
    table.entry::<(t::Interval, t::Time), t::Time>("+", ADD).returns(|(interval, time)| temporal::time_add_interval(time, interval));
    table.entry::<(t::Time, t::Interval), t::Time>("-", SUBTRACT).returns(|(time, interval)| temporal::time_subtract_interval(time, interval));
    table.entry::<(t::Time, t::Time), t::Interval>("-", BETWEEN).returns(|(a, b)| temporal::time_subtract(a, b));
    table.entry::<(t::Timestamp, t::Interval), t::Timestamp>("+", ADD).returns(|(a, interval)| temporal::timestamp_add_interval(a, interval));
    table.entry::<(t::Interval, t::Timestamp), t::Timestamp>("+", ADD).returns(|(interval, a)| temporal::timestamp_add_interval(a, interval));
    table
        .entry::<(t::Timestamp, t::Interval), t::Timestamp>("-", SUBTRACT)
        .returns(|(a, interval)| temporal::timestamp_subtract_interval(a, interval));
    table.entry::<(t::Timestamp, t::Timestamp), t::Interval>("-", BETWEEN).returns(|(a, b)| temporal::timestamp_subtract(a, b));
    table
        .entry::<(t::TimestampTz, t::TimestampTz), t::Interval>("-", BETWEEN)
        .returns(|(a, b)| temporal::timestamp_subtract(SqlTimestamp(a.0), SqlTimestamp(b.0)));
}

/// Days and months are added on the calendar of the session's zone.
fn zoned_sums(table: &mut Table) {
    table
        .entry::<(t::TimestampTz, t::Interval), t::TimestampTz>("+", ADD)
        .returns_with(session_zone, |zone, (instant, interval)| temporal::timestamptz_add_interval(instant, interval, *zone));
    table
        .entry::<(t::Interval, t::TimestampTz), t::TimestampTz>("+", ADD)
        .returns_with(session_zone, |zone, (interval, instant)| temporal::timestamptz_add_interval(instant, interval, *zone));
    table
        .entry::<(t::TimestampTz, t::Interval), t::TimestampTz>("-", SUBTRACT)
        .returns_with(session_zone, |zone, (instant, interval)| temporal::timestamptz_subtract_interval(instant, interval, *zone));
}

fn intervals(table: &mut Table) {
    type Pair = (t::Interval, t::Interval);
    table.entry::<Pair, t::Interval>("+", "The sum.").returns(|(a, b)| temporal::interval_add(a, b));
    table.entry::<Pair, t::Interval>("-", "The difference.").returns(|(a, b)| temporal::interval_subtract(a, b));
    table.entry::<(t::Interval,), t::Interval>("-", "The negated value.").returns(|(a,)| temporal::interval_negate(a));
    table
        .entry::<(t::Interval, t::Float8), t::Interval>("*", "The interval so many times.")
        .returns(|(a, factor)| temporal::interval_multiply(a, factor));
    table
        .entry::<(t::Float8, t::Interval), t::Interval>("*", "The interval so many times.")
        .returns(|(factor, a)| temporal::interval_multiply(a, factor));
    table.entry::<(t::Interval, t::Float8), t::Interval>("/", "The interval divided.").returns(|(a, divisor)| temporal::interval_divide(a, divisor));
    table.entry::<(t::Interval,), t::Interval>("justify_hours", "24 hours become a day.").returns(|(a,)| temporal::justify_hours(a));
    table.entry::<(t::Interval,), t::Interval>("justify_days", "30 days become a month.").returns(|(a,)| temporal::justify_days(a));
    table
        .entry::<(t::Interval,), t::Interval>("justify_interval", "Hours become days, days become months, with one sign.")
        .returns(|(a,)| temporal::justify_interval(a));
}

/// What `now()` says in this plan.
fn now(call: &Call<'_>) -> Result<SqlTimestampTz, EvalError> {
    call.context.now.ok_or_else(|| EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, "the current time cannot be used here"))
}

fn local_now(call: &Call<'_>) -> Result<SqlTimestamp, EvalError> {
    now(call).map(|instant| session_zone(call).to_local(instant))
}

fn present(table: &mut Table) {
    for name in ["now", "current_timestamp", "transaction_timestamp", "statement_timestamp"] {
        table.entry::<(), t::TimestampTz>(name, "The time at the start of the statement.").stable().returns_with(now, |now, ()| now.clone());
    }
    table.entry::<(), t::TimestampTz>("clock_timestamp", "The time as the statement knows it.").volatile().returns_with(now, |now, ()| now.clone());
    table
        .entry::<(), t::Timestamp>("localtimestamp", "The time of the session's zone at the start of the statement.")
        .stable()
        .returns_with(local_now, |now, ()| now.clone());
    table
        .entry::<(), t::Date>("current_date", "The date of the session's zone at the start of the statement.")
        .stable()
        .returns_with(local_now, |now, ()| now.clone().map(temporal::timestamp_to_date));
    table
        .entry::<(), t::Time>("localtime", "The time of day of the session's zone at the start of the statement.")
        .stable()
        .returns_with(local_now, |now, ()| now.clone().map(temporal::timestamp_to_time));
    table
        .entry::<(t::Timestamp,), t::Interval>("age", "From a moment to the start of today, on the calendar.")
        .stable()
        .returns_with(local_now, |now, (from,)| temporal::age(temporal::date_to_timestamp(temporal::timestamp_to_date(now.clone()?))?, from));
    table.entry::<(t::TimestampTz,), t::Interval>("age", "From a moment to the start of today, on the calendar.").stable().returns_with(
        |call| (session_zone(call), local_now(call)),
        |(zone, now), (from,)| temporal::age(temporal::date_to_timestamp(temporal::timestamp_to_date(now.clone()?))?, zone.to_local(from)),
    );
    table
        .entry::<(t::Timestamp, t::Timestamp), t::Interval>("age", "Years, months and days between two moments, on the calendar.")
        .returns(|(a, b)| temporal::age(a, b));
    table
        .entry::<(t::TimestampTz, t::TimestampTz), t::Interval>("age", "Years, months and days between two moments, on the calendar.")
        .returns_with(session_zone, |zone, (a, b)| temporal::age(zone.to_local(a), zone.to_local(b)));
}

/// An interval as a zone: its distance from UTC.
fn zone_of_interval(interval: Interval) -> Result<TimeZone, EvalError> {
    if interval.months != 0 || interval.days != 0 {
        let mut text = String::new();
        temporal::write_interval(interval, &mut text);
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, format!("interval time zone \"{text}\" must not include months or days")));
    }
    Ok(TimeZone::Fixed((interval.micros / MICROS_PER_SECOND) as i32))
}

fn zones(table: &mut Table) {
    use super::lift::Memo;
    const DESCRIPTION: &str = "AT TIME ZONE: a local time of a zone as an instant, or an instant as local time of a zone.";
    fn memo(_: &Call<'_>) -> Memo<TimeZone> {
        Memo::default()
    }
    table
        .entry::<(t::Text, t::Timestamp), t::TimestampTz>("timezone", DESCRIPTION)
        .returns_with(memo, |zones, (name, local)| zones.get(name, TimeZone::parse_expression)?.to_instant(local));
    table
        .entry::<(t::Text, t::TimestampTz), t::Timestamp>("timezone", DESCRIPTION)
        .returns_with(memo, |zones, (name, instant)| zones.get(name, TimeZone::parse_expression).map(|zone| zone.to_local(instant)));
    table
        .entry::<(t::Interval, t::Timestamp), t::TimestampTz>("timezone", DESCRIPTION)
        .returns(|(distance, local)| zone_of_interval(distance)?.to_instant(local));
    table
        .entry::<(t::Interval, t::TimestampTz), t::Timestamp>("timezone", DESCRIPTION)
        .returns(|(distance, instant)| zone_of_interval(distance).map(|zone| zone.to_local(instant)));
}

fn constructors(table: &mut Table) {
    type Moment = (t::Int4, t::Int4, t::Int4, t::Int4, t::Int4, t::Float8);
    type ZonedMoment = (t::Int4, t::Int4, t::Int4, t::Int4, t::Int4, t::Float8, t::Text);
    type Parts = (t::Int4, t::Int4, t::Int4, t::Int4, t::Int4, t::Int4, t::Float8);
    table
        .entry::<(t::Int4, t::Int4, t::Int4), t::Date>("make_date", "A date from year, month and day.")
        .returns(|(year, month, day)| temporal::make_date(year, month, day));
    table
        .entry::<(t::Int4, t::Int4, t::Float8), t::Time>("make_time", "A time of day from hour, minute and second.")
        .returns(|(hour, minute, second)| temporal::make_time(hour, minute, second));
    table
        .entry::<Moment, t::Timestamp>("make_timestamp", "A timestamp from its parts.")
        .returns(|(year, month, day, hour, minute, second)| temporal::make_timestamp(year, month, day, hour, minute, second));
    table
        .entry::<Moment, t::TimestampTz>("make_timestamptz", "An instant from its parts in the session's zone.")
        .returns_with(session_zone, |zone, (year, month, day, hour, minute, second)| {
            zone.to_instant(temporal::make_timestamp(year, month, day, hour, minute, second)?)
        });
    table.entry::<ZonedMoment, t::TimestampTz>("make_timestamptz", "An instant from its parts in a zone.").returns(
        |(year, month, day, hour, minute, second, zone)| {
            TimeZone::parse_expression(zone)?.to_instant(temporal::make_timestamp(year, month, day, hour, minute, second)?)
        },
    );
    // Arguments left out are 0; the binder orders named ones.
    const MAKE_INTERVAL: &str = "An interval from years, months, weeks, days, hours, minutes and seconds.";
    table.entry::<(), t::Interval>("make_interval", MAKE_INTERVAL).returns(|()| Interval::ZERO);
    table.entry::<(t::Int4,), t::Interval>("make_interval", MAKE_INTERVAL).returns(|(years,)| temporal::make_interval(years, 0, 0, 0, 0, 0, 0.0));
    table
        .entry::<(t::Int4, t::Int4), t::Interval>("make_interval", MAKE_INTERVAL)
        .returns(|(years, months)| temporal::make_interval(years, months, 0, 0, 0, 0, 0.0));
    table
        .entry::<(t::Int4, t::Int4, t::Int4), t::Interval>("make_interval", MAKE_INTERVAL)
        .returns(|(years, months, weeks)| temporal::make_interval(years, months, weeks, 0, 0, 0, 0.0));
    table
        .entry::<(t::Int4, t::Int4, t::Int4, t::Int4), t::Interval>("make_interval", MAKE_INTERVAL)
        .returns(|(years, months, weeks, days)| temporal::make_interval(years, months, weeks, days, 0, 0, 0.0));
    table
        .entry::<(t::Int4, t::Int4, t::Int4, t::Int4, t::Int4), t::Interval>("make_interval", MAKE_INTERVAL)
        .returns(|(years, months, weeks, days, hours)| temporal::make_interval(years, months, weeks, days, hours, 0, 0.0));
    table
        .entry::<(t::Int4, t::Int4, t::Int4, t::Int4, t::Int4, t::Int4), t::Interval>("make_interval", MAKE_INTERVAL)
        .returns(|(years, months, weeks, days, hours, minutes)| temporal::make_interval(years, months, weeks, days, hours, minutes, 0.0));
    table.entry::<Parts, t::Interval>("make_interval", MAKE_INTERVAL).returns(|(years, months, weeks, days, hours, minutes, seconds)| {
        temporal::make_interval(years, months, weeks, days, hours, minutes, seconds)
    });
    table
        .entry::<(t::Float8,), t::TimestampTz>("to_timestamp", "The instant so many seconds after 1970-01-01 00:00 UTC.")
        .returns(|(seconds,)| temporal::timestamptz_from_epoch(seconds));
}

//! The answers of a real Postgres 15 (`repr/testdata/regenerate` asks again).

use super::*;
use crate::text::{TextContext, write};
use crate::{Datum, EvalError, Type};

fn number<N: std::str::FromStr>(text: &str) -> N
where
    N::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// What `NULL` prints.
fn optional<'a>(value: Option<Datum<'a>>) -> Datum<'a> {
    value.unwrap_or(Datum::Null)
}

fn compute(function: &str, arguments: &[&str], zone: TimeZone) -> Result<Datum<'static>, EvalError> {
    let first = *arguments.first().unwrap();
    let second = arguments.get(1).copied().unwrap_or_default();
    let timestamp = |text: &str| parse_timestamp(text, None, zone);
    let timestamptz = |text: &str| parse_timestamptz(text, None, zone);
    let date = |text: &str| parse_date(text, None, zone);
    let time = |text: &str| parse_time(text, None, zone);
    Ok(match function {
        "timestamp+interval" => Datum::Timestamp(timestamp_add_interval(timestamp(first)?, parse_interval(second)?)?),
        "timestamp-interval" => Datum::Timestamp(timestamp_subtract_interval(timestamp(first)?, parse_interval(second)?)?),
        "timestamptz+interval" => Datum::TimestampTz(timestamptz_add_interval(timestamptz(first)?, parse_interval(second)?, zone)?),
        "timestamp-timestamp" => Datum::Interval(timestamp_subtract(timestamp(first)?, timestamp(second)?)?),
        "age" => Datum::Interval(age(timestamp(first)?, timestamp(second)?)?),
        "date-date" => Datum::Int4(date_subtract(date(first)?, date(second)?)?),
        "extract timestamp" => optional(extract_from_timestamp(first, timestamp(second)?)?.map(Datum::Numeric)),
        "extract timestamptz" => optional(extract_from_timestamptz(first, timestamptz(second)?, zone)?.map(Datum::Numeric)),
        "extract date" => optional(extract_from_date(first, date(second)?)?.map(Datum::Numeric)),
        "extract interval" => Datum::Numeric(extract_from_interval(first, parse_interval(second)?)?),
        "extract time" => Datum::Numeric(extract_from_time(first, time(second)?)?),
        "trunc timestamp" => Datum::Timestamp(truncate_timestamp(first, timestamp(second)?)?),
        "trunc timestamptz" => Datum::TimestampTz(truncate_timestamptz(first, timestamptz(second)?, zone)?),
        "trunc interval" => Datum::Interval(truncate_interval(first, parse_interval(second)?)?),
        "interval_negate" => Datum::Interval(interval_negate(parse_interval(first)?)?),
        "justify_hours" => Datum::Interval(justify_hours(parse_interval(first)?)?),
        "justify_days" => Datum::Interval(justify_days(parse_interval(first)?)?),
        "justify_interval" => Datum::Interval(justify_interval(parse_interval(first)?)?),
        "interval*float" => Datum::Interval(interval_multiply(parse_interval(first)?, number(second))?),
        "interval/float" => Datum::Interval(interval_divide(parse_interval(first)?, number(second))?),
        "interval+interval" => Datum::Interval(interval_add(parse_interval(first)?, parse_interval(second)?)?),
        "interval-interval" => Datum::Interval(interval_subtract(parse_interval(first)?, parse_interval(second)?)?),
        "date+integer" => Datum::Date(date_add_days(date(first)?, number(second))?),
        "date-integer" => Datum::Date(date_subtract_days(date(first)?, number(second))?),
        "date::timestamp" => Datum::Timestamp(date_to_timestamp(date(first)?)?),
        "date::timestamptz" => Datum::TimestampTz(date_to_timestamptz(date(first)?, zone)?),
        "timestamptz::date" => Datum::Date(timestamptz_to_date(timestamptz(first)?, zone)),
        "timestamptz::time" => optional(timestamptz_to_time(timestamptz(first)?, zone).map(Datum::Time)),
        "time+interval" => Datum::Time(time_add_interval(time(first)?, parse_interval(second)?)),
        "time-interval" => Datum::Time(time_subtract_interval(time(first)?, parse_interval(second)?)),
        "date_bin" => Datum::Timestamp(date_bin(parse_interval(first)?, timestamp(second)?, timestamp(arguments[2])?)?),
        "make_date" => Datum::Date(make_date(number(first), number(second), number(arguments[2]))?),
        "make_time" => Datum::Time(make_time(number(first), number(second), number(arguments[2]))?),
        "make_timestamp" => {
            let [year, month, day, hour, minute, second] = arguments else { panic!("make_timestamp takes six") };
            Datum::Timestamp(make_timestamp(number(year), number(month), number(day), number(hour), number(minute), number(second))?)
        }
        "make_interval" => {
            let [years, months, weeks, days, hours, minutes, seconds] = arguments else { panic!("make_interval takes seven") };
            let interval = make_interval(number(years), number(months), number(weeks), number(days), number(hours), number(minutes), number(seconds))?;
            Datum::Interval(interval)
        }
        "to_timestamp" => Datum::TimestampTz(timestamptz_from_epoch(number(first))?),
        "timestamp at zone" => Datum::TimestampTz(TimeZone::parse_expression(second)?.to_instant(timestamp(first)?)?),
        "timestamptz at zone" => Datum::Timestamp(TimeZone::parse_expression(second)?.to_local(timestamptz(first)?)),
        _ => panic!("unknown function {function}"),
    })
}

#[test]
fn functions_are_those_of_the_server() {
    let context = TextContext { time_zone: TimeZone::parse("America/New_York").unwrap(), ..TextContext::default() };
    let mut failures = Vec::new();
    let cases = include_str!("../../testdata/temporal.tsv");
    for (line, case) in cases.lines().enumerate() {
        let fields: Vec<&str> = case.split('\t').collect();
        let [function, arguments, expected] = fields.as_slice() else { panic!("line {} has other fields: {case}", line + 1) };
        let arguments: Vec<&str> = arguments.split('|').collect();
        let got = match compute(function, &arguments, context.time_zone) {
            Ok(datum) => {
                let mut text = String::new();
                write(&datum, &Type::Unknown, &context, &mut text);
                text
            }
            Err(error) => format!("!{} {}", error.code(), error.message()),
        };
        if got != *expected {
            failures.push(format!("{function} {arguments:?}:\n     got {got}\n  server {expected}"));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases differ:\n{}", failures.len(), cases.lines().count(), failures.join("\n"));
}

#[test]
fn days_and_civil_dates_are_inverse() {
    let mut previous = civil_from_days(-3_000_000);
    for days in -2_999_999..3_000_000 {
        let civil = civil_from_days(days);
        assert_eq!(days_from_civil(civil.year, civil.month, civil.day), days);
        assert!(civil > previous && (1..=days_in_month(civil.year, civil.month)).contains(&civil.day));
        previous = civil;
    }
    assert_eq!(civil_from_days(0), Civil { year: 2000, month: 1, day: 1 });
}

#[test]
fn zones_name_themselves() {
    for (input, name) in [("UTC", "UTC"), ("utc", "UTC"), ("europe/berlin", "Europe/Berlin"), ("+02", "<+02>-02"), ("-5.5", "<-05:30>+05:30"), ("GMT-3", "<+03>-03")] {
        assert_eq!(TimeZone::parse(input).unwrap().name(), name, "{input}");
        assert_eq!(TimeZone::parse_expression(name).unwrap(), TimeZone::parse(input).unwrap(), "{input} by its name");
    }
    let error = TimeZone::parse("Nowhere/City").unwrap_err();
    assert_eq!((error.code().as_str(), error.message()), ("22023", "time zone \"Nowhere/City\" not recognized"));
}

#[test]
fn the_clock_is_a_parameter() {
    let now = parse_timestamptz("2024-02-29 23:30:00+00", None, TimeZone::UTC).unwrap();
    let tokyo = TimeZone::parse("Asia/Tokyo").unwrap();
    let show = |date: Date| {
        let mut text = String::new();
        write_date(date, &mut text);
        text
    };
    for (word, expected) in [("today", "2024-03-01"), ("now", "2024-03-01"), ("tomorrow", "2024-03-02"), ("yesterday", "2024-02-29")] {
        assert_eq!(show(parse_date(word, Some(now), tokyo).unwrap()), expected, "{word}");
        assert_eq!(parse_date(word, None, tokyo).unwrap_err().code().as_str(), "22007", "{word} without a clock");
    }
    assert_eq!(parse_timestamptz("now", Some(now), tokyo).unwrap(), now);
}

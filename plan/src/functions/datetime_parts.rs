//! Parts of dates and times: `extract`, `date_part`, `date_trunc`, `date_bin`, `isfinite`.

use super::datetime::session_zone;
use super::lift::{Memo, Table};
use super::typed as t;
use repr::temporal;
use repr::{Numeric, SqlTimestamp, SqlTimestampTz, TimeZone};

pub fn register(table: &mut Table) {
    parts(table);
    truncation(table);
    macro_rules! finite {
        ($($marker:ident)*) => {$(
            table.entry::<(t::$marker,), t::Bool>("isfinite", "Whether the value is no infinity.").returns(|(value,)| value.is_finite());
        )*};
    }
    finite! { Date Timestamp TimestampTz }
    table.entry::<(t::Interval,), t::Bool>("isfinite", "Whether the value is no infinity.").returns(|(_,)| true);
}

fn parts(table: &mut Table) {
    const EXTRACT: &str = "A field of a date or time.";
    const DATE_PART: &str = "A field of a date or time, as a float.";
    let float = |part: Option<Numeric>| part.map(|part| part.to_f64());
    table.entry::<(t::Text, t::Date), t::Numeric>("extract", EXTRACT).returns(|(name, date)| temporal::extract_from_date(name, date));
    table
        .entry::<(t::Text, t::Date), t::Float8>("date_part", DATE_PART)
        .returns(move |(name, date)| temporal::extract_from_timestamp(name, temporal::date_to_timestamp(date)?).map(float));
    table.entry::<(t::Text, t::Time), t::Numeric>("extract", EXTRACT).returns(|(name, time)| temporal::extract_from_time(name, time));
    table
        .entry::<(t::Text, t::Time), t::Float8>("date_part", DATE_PART)
        .returns(|(name, time)| temporal::extract_from_time(name, time).map(|part| part.to_f64()));
    table.entry::<(t::Text, t::Timestamp), t::Numeric>("extract", EXTRACT).returns(|(name, local)| temporal::extract_from_timestamp(name, local));
    table
        .entry::<(t::Text, t::Timestamp), t::Float8>("date_part", DATE_PART)
        .returns(move |(name, local)| temporal::extract_from_timestamp(name, local).map(float));
    table
        .entry::<(t::Text, t::TimestampTz), t::Numeric>("extract", EXTRACT)
        .returns_with(session_zone, |zone, (name, instant)| temporal::extract_from_timestamptz(name, instant, *zone));
    table
        .entry::<(t::Text, t::TimestampTz), t::Float8>("date_part", DATE_PART)
        .returns_with(session_zone, move |zone, (name, instant)| temporal::extract_from_timestamptz(name, instant, *zone).map(float));
    table.entry::<(t::Text, t::Interval), t::Numeric>("extract", EXTRACT).returns(|(name, interval)| temporal::extract_from_interval(name, interval));
    table
        .entry::<(t::Text, t::Interval), t::Float8>("date_part", DATE_PART)
        .returns(|(name, interval)| temporal::extract_from_interval(name, interval).map(|part| part.to_f64()));
}

fn truncation(table: &mut Table) {
    const TRUNCATE: &str = "The start of the unit the value lies in.";
    table.entry::<(t::Text, t::Timestamp), t::Timestamp>("date_trunc", TRUNCATE).returns(|(unit, local)| temporal::truncate_timestamp(unit, local));
    table
        .entry::<(t::Text, t::TimestampTz), t::TimestampTz>("date_trunc", TRUNCATE)
        .returns_with(session_zone, |zone, (unit, instant)| temporal::truncate_timestamptz(unit, instant, *zone));
    table
        .entry::<(t::Text, t::TimestampTz, t::Text), t::TimestampTz>("date_trunc", "The start of the unit the value lies in, in a zone.")
        .returns_with(
            |_| Memo::default(),
            |zones: &mut Memo<TimeZone>, (unit, instant, zone)| {
                let zone = *zones.get(zone, TimeZone::parse_expression)?;
                temporal::truncate_timestamptz(unit, instant, zone)
            },
        );
    table
        .entry::<(t::Text, t::Interval), t::Interval>("date_trunc", TRUNCATE)
        .returns(|(unit, interval)| temporal::truncate_interval(unit, interval));
    const BIN: &str = "The start of the stride the value lies in, counted from an origin.";
    table
        .entry::<(t::Interval, t::Timestamp, t::Timestamp), t::Timestamp>("date_bin", BIN)
        .returns(|(stride, local, origin)| temporal::date_bin(stride, local, origin));
    table.entry::<(t::Interval, t::TimestampTz, t::TimestampTz), t::TimestampTz>("date_bin", BIN).returns(|(stride, instant, origin)| {
        temporal::date_bin(stride, SqlTimestamp(instant.0), SqlTimestamp(origin.0)).map(|start| SqlTimestampTz(start.0))
    });
}

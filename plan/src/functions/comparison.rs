//! `= <> < <= > >=`, IS [NOT] DISTINCT FROM, `least` and `greatest`, for every type, and across the types Postgres compares directly.

use super::lift::{Call, Shape, Table};
use super::typed::{self as t, Nullable};
use repr::temporal::date_to_timestamp;
use repr::{Date, Datum, EvalError, SqlTimestamp, SqlTimestampTz, TimeZone, Type};
use std::cmp::Ordering;

/// The orderings an operator accepts, one bit each: less, equal, greater.
const OPERATORS: [(&str, u8, &str); 6] = [
    ("=", 0b010, "Whether the left value equals the right one."),
    ("<>", 0b101, "Whether the left value differs from the right one."),
    ("<", 0b001, "Whether the left value is less than the right one."),
    ("<=", 0b011, "Whether the left value is less than the right one or equals it."),
    (">", 0b100, "Whether the left value is greater than the right one."),
    (">=", 0b110, "Whether the left value is greater than the right one or equals it."),
];

#[inline(always)]
fn accepts(mask: u8, ordering: Ordering) -> bool {
    mask >> (ordering as i8 + 1) & 1 != 0
}

pub fn register(table: &mut Table) {
    macro_rules! compare {
        ($($left:ident $right:ident, |$a:ident, $b:ident| $compare:expr;)*) => {$(
            for (name, mask, description) in OPERATORS {
                table.entry::<(t::$left, t::$right), t::Bool>(name, description).returns(move |($a, $b)| accepts(mask, $compare));
            }
            distinct!($left $right, |$a, $b| $compare);
        )*};
    }
    macro_rules! distinct {
        ($left:ident $right:ident, |$a:ident, $b:ident| $compare:expr) => {
            for (name, distinct) in [("is_distinct_from", true), ("is_not_distinct_from", false)] {
                table.entry::<(Nullable<t::$left>, Nullable<t::$right>), t::Bool>(name, "Comparison in which NULL equals NULL.").returns(
                    move |(left, right)| match (left, right) {
                        (Some($a), Some($b)) => ($compare != Ordering::Equal) == distinct,
                        (None, None) => !distinct,
                        _ => distinct,
                    },
                );
            }
        };
    }
    compare! {
        Bool Bool, |a, b| a.cmp(&b);
        Int2 Int2, |a, b| a.cmp(&b);
        Int4 Int4, |a, b| a.cmp(&b);
        Int8 Int8, |a, b| a.cmp(&b);
        Int2 Int4, |a, b| i32::from(a).cmp(&b);
        Int4 Int2, |a, b| a.cmp(&i32::from(b));
        Int2 Int8, |a, b| i64::from(a).cmp(&b);
        Int8 Int2, |a, b| a.cmp(&i64::from(b));
        Int4 Int8, |a, b| i64::from(a).cmp(&b);
        Int8 Int4, |a, b| a.cmp(&i64::from(b));
        Float4 Float4, |a, b| compare_floats(f64::from(a), f64::from(b));
        Float8 Float8, |a, b| compare_floats(a, b);
        Float4 Float8, |a, b| compare_floats(f64::from(a), b);
        Float8 Float4, |a, b| compare_floats(a, f64::from(b));
        Numeric Numeric, |a, b| a.cmp(b);
        Text Text, |a, b| a.cmp(b);
        Name Name, |a, b| a.cmp(b);
        Name Text, |a, b| a.cmp(b);
        Text Name, |a, b| a.cmp(b);
        InternalChar InternalChar, |a, b| a.cmp(b);
        Bpchar Bpchar, |a, b| a.trim_end_matches(' ').cmp(b.trim_end_matches(' '));
        Bytea Bytea, |a, b| a.cmp(b);
        Date Date, |a, b| a.cmp(&b);
        Time Time, |a, b| a.cmp(&b);
        Timestamp Timestamp, |a, b| a.cmp(&b);
        TimestampTz TimestampTz, |a, b| a.cmp(&b);
        Date Timestamp, |a, b| widen_date(a).cmp(&b);
        Timestamp Date, |a, b| a.cmp(&widen_date(b));
        Interval Interval, |a, b| a.cmp(&b);
        Uuid Uuid, |a, b| a.cmp(&b);
        Oid Oid, |a, b| a.cmp(&b);
    }
    by_canonical_bytes(table);
    across_zones(table);
    extremes(table);
}

/// NaN equals NaN and is greater than everything else.
#[inline(always)]
pub fn compare_floats(left: f64, right: f64) -> Ordering {
    match left.partial_cmp(&right) {
        Some(ordering) => ordering,
        None => left.is_nan().cmp(&right.is_nan()),
    }
}

/// A date for comparison: one beyond the range of timestamps is as good as an infinity.
fn widen_date(date: Date) -> SqlTimestamp {
    date_to_timestamp(date).unwrap_or(SqlTimestamp(if date.0 < 0 { i64::MIN } else { i64::MAX }))
}

/// jsonb, arrays and records: their encodings order as SQL does once they are canonical.
fn by_canonical_bytes(table: &mut Table) {
    fn compare(builder: &mut repr::RowBuilder, left: Datum<'_>, right: Datum<'_>) -> Ordering {
        builder.clear();
        builder.push_canonical(left);
        let end = builder.len();
        builder.push_canonical(right);
        let (left, right) = builder.as_bytes().split_at(end);
        left.cmp(right)
    }
    macro_rules! compare {
        ($($marker:ident $variant:ident)*) => {$(
            for (name, mask, description) in OPERATORS {
                table.entry::<(t::$marker, t::$marker), t::Bool>(name, description).returns_with(
                    |_| repr::RowBuilder::new(),
                    move |builder, (left, right)| accepts(mask, compare(builder, Datum::$variant(left), Datum::$variant(right))),
                );
            }
            for (name, distinct) in [("is_distinct_from", true), ("is_not_distinct_from", false)] {
                table.entry::<(Nullable<t::$marker>, Nullable<t::$marker>), t::Bool>(name, "Comparison in which NULL equals NULL.").returns_with(
                    |_| repr::RowBuilder::new(),
                    move |builder, (left, right)| match (left, right) {
                        (Some(left), Some(right)) => compare(builder, Datum::$variant(left), Datum::$variant(right)).is_ne() == distinct,
                        (None, None) => !distinct,
                        _ => distinct,
                    },
                );
            }
        )*};
    }
    compare! { Jsonb Jsonb AnyArray Array AnyRecord Record }
}

/// Local times against instants: the local one is an instant of the session's zone.
fn across_zones(table: &mut Table) {
    fn zone(call: &Call<'_>) -> TimeZone {
        call.context.text.time_zone
    }
    fn instant(zone: TimeZone, local: SqlTimestamp) -> SqlTimestampTz {
        zone.to_instant(local).unwrap_or(SqlTimestampTz(local.0))
    }
    macro_rules! compare {
        ($($local:ident, |$value:ident| $widen:expr;)*) => {$(
            for (name, mask, description) in OPERATORS {
                table.entry::<(t::$local, t::TimestampTz), t::Bool>(name, description)
                    .returns_with(zone, move |zone, ($value, right)| accepts(mask, instant(*zone, $widen).cmp(&right)));
                table.entry::<(t::TimestampTz, t::$local), t::Bool>(name, description)
                    .returns_with(zone, move |zone, (left, $value)| accepts(mask, left.cmp(&instant(*zone, $widen))));
            }
            for (name, distinct) in [("is_distinct_from", true), ("is_not_distinct_from", false)] {
                let description = "Comparison in which NULL equals NULL.";
                table.entry::<(Nullable<t::$local>, Nullable<t::TimestampTz>), t::Bool>(name, description)
                    .returns_with(zone, move |zone, (left, right)| (left.map(|$value| instant(*zone, $widen)) != right) == distinct);
                table.entry::<(Nullable<t::TimestampTz>, Nullable<t::$local>), t::Bool>(name, description)
                    .returns_with(zone, move |zone, (left, right)| (left != right.map(|$value| instant(*zone, $widen))) == distinct);
            }
        )*};
    }
    compare! {
        Date, |value| widen_date(value);
        Timestamp, |value| value;
    }
}

/// `least` and `greatest` ignore NULL and are NULL only if every argument is.
fn extremes(table: &mut Table) {
    for (name, wanted, description) in [
        ("least", Ordering::Less, "The smallest argument that is not NULL."),
        ("greatest", Ordering::Greater, "The greatest argument that is not NULL."),
    ] {
        let shape = Shape::new(name, description, vec![Type::AnyElement], Type::AnyElement).variadic().called_on_null().can_be_null();
        table.datums(
            shape,
            |_| (repr::RowBuilder::new(), Vec::new()),
            move |(builder, best), datums, out| {
                let mut chosen: Option<&Datum<'_>> = None;
                for datum in datums.iter().filter(|datum| !datum.is_null()) {
                    builder.clear();
                    builder.push_canonical(datum.clone());
                    if chosen.is_none() || builder.as_bytes().cmp(best.as_slice()) == wanted {
                        chosen = Some(datum);
                        best.clear();
                        best.extend_from_slice(builder.as_bytes());
                    }
                }
                out.push(chosen.cloned().unwrap_or(Datum::Null));
                Ok::<(), EvalError>(())
            },
        );
    }
}

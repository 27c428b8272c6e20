//! States against their definition: whatever is added and taken away in whatever order, the result is that of the values that are left.

use super::*;
use repr::{Datum, Row, RowBuilder, RowRef, text};

fn entry(name: &str, argument: &Type) -> &'static AggregateEntry {
    lookup(name).iter().find(|entry| entry.arguments.first() == Some(argument)).unwrap_or_else(|| panic!("{name}({argument:?})"))
}

fn value(text_value: &str, typ: &Type) -> Row {
    let mut out = RowBuilder::new();
    match text_value {
        "NULL" => out.push(Datum::Null),
        text_value => text::read(text_value, typ, &Default::default(), &mut out).unwrap(),
    }
    out.finish()
}

fn accumulate(entry: &AggregateEntry, value: &Row, diff: i64) -> Accumulator {
    entry.accumulate(&value.get(0).unwrap(), diff)
}

fn finished(entry: &AggregateEntry, state: &Accumulator) -> String {
    let mut out = RowBuilder::new();
    match entry.finish(state, &mut out) {
        Ok(()) => match RowRef::new(out.as_bytes()).iter().next() {
            Some(Datum::Null) => "NULL".to_string(),
            Some(datum) => {
                let mut shown = String::new();
                text::write(&datum, &entry.result, &Default::default(), &mut shown);
                shown
            }
            None => "nothing".to_string(),
        },
        Err(error) => error.message().to_string(),
    }
}

/// What Postgres 15 answers.
#[test]
fn results_are_postgres() {
    let cases = [
        ("sum", Type::Int2, "1 2 NULL", "3"),
        ("sum", Type::Int4, "2147483647 2147483647", "4294967294"),
        ("sum", Type::Int8, "9223372036854775807 9223372036854775807", "18446744073709551614"),
        ("avg", Type::Int4, "1 2 2", "1.6666666666666667"),
        ("avg", Type::Int4, "1 3", "2.0000000000000000"),
        ("avg", Type::Int8, "10000000000 10000000001", "10000000000.50000000"),
        ("sum", Type::Numeric, "1.10 2.200 3", "6.300"),
        ("sum", Type::Numeric, "NULL NULL", "NULL"),
        ("sum", Type::Numeric, "1 NaN", "NaN"),
        ("sum", Type::Numeric, "1 Infinity", "Infinity"),
        ("sum", Type::Numeric, "Infinity -Infinity", "NaN"),
        ("avg", Type::Numeric, "1.5 2.5 3", "2.3333333333333333"),
        ("avg", Type::Numeric, "-Infinity 1", "-Infinity"),
        (
            "sum",
            Type::Numeric,
            "170141183460469231731687303715884105727 170141183460469231731687303715884105727 0.5",
            "340282366920938463463374607431768211454.5",
        ),
        ("sum", Type::Float4, "0.1 0.2", "0.3"),
        ("sum", Type::Float4, "3e38 3e38", "value out of range: overflow"),
        ("sum", Type::Float8, "0.5 0.25", "0.75"),
        ("sum", Type::Float8, "1e308 Infinity", "Infinity"),
        ("sum", Type::Float8, "Infinity -Infinity", "NaN"),
        ("avg", Type::Float4, "1 2", "1.5"),
        ("avg", Type::Float8, "1 2 4", "2.3333333333333335"),
        ("bool_and", Type::Bool, "t t NULL", "t"),
        ("every", Type::Bool, "t f", "f"),
        ("bool_or", Type::Bool, "f f", "f"),
        ("bool_or", Type::Bool, "NULL", "NULL"),
        ("count", Type::Any, "1 NULL 3", "2"),
    ];
    for (name, typ, values, expected) in cases {
        let entry = entry(name, &typ);
        let value_type = if typ == Type::Any { Type::Int4 } else { typ.clone() };
        let mut state = Accumulator::Zero;
        values.split(' ').for_each(|text_value| state.plus_equals(&accumulate(entry, &value(text_value, &value_type), 1)));
        assert_eq!(finished(entry, &state), expected, "{name}({typ:?}) of {values}");
    }
    for (name, values, expected) in [
        ("sum", ["1 day", "2 mons 03:00:00"], "2 mons 1 day 03:00:00"),
        ("avg", ["1 mon", "2 days"], "16 days"),
        ("avg", ["1 year", "00:00:01"], "6 mons 00:00:00.5"),
    ] {
        let entry = entry(name, &Type::Interval);
        let mut state = Accumulator::Zero;
        values.iter().for_each(|text_value| state.plus_equals(&accumulate(entry, &value(text_value, &Type::Interval), 1)));
        assert_eq!(finished(entry, &state), expected, "{name} of {values:?}");
    }
    assert_eq!(finished(entry("sum", &Type::Int4), &Accumulator::Zero), "NULL");
    assert_eq!(finished(entry("count", &Type::Any), &Accumulator::Zero), "0");
}

/// A small generator: these tests need no more than variety that replays.
struct Random(u64);
impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn random_values(typ: &Type) -> Vec<&'static str> {
    match typ {
        Type::Int2 => vec!["1", "-32768", "32767", "NULL"],
        Type::Int4 => vec!["1", "-2147483648", "2147483647", "NULL"],
        Type::Int8 => vec!["1", "-9223372036854775808", "9223372036854775807", "NULL"],
        Type::Numeric => {
            vec!["1", "1.50", "-0.000001", "NaN", "Infinity", "-Infinity", "1e60", "-1e60", "99999999999999999999999999999999999999", "0.00", "NULL"]
        }
        Type::Float4 => vec!["1", "0.1", "-3e38", "1e-45", "NaN", "Infinity", "NULL", "-0"],
        Type::Float8 => vec!["1", "0.1", "-1e308", "5e-324", "NaN", "-Infinity", "1e300", "-1e-300", "NULL"],
        Type::Bool => vec!["t", "f", "NULL"],
        Type::Interval => vec!["1 mon", "-1 day", "00:00:00.000001", "178000000 years", "NULL"],
        _ => vec!["1", "NULL"],
    }
}

/// Adding, taking away, multiplying and regrouping in any order give one and the same state.
#[test]
fn states_form_a_commutative_group() {
    let seed = 0x5EED_1234_ABCDu64;
    let mut random = Random(seed);
    for entry in all().iter().filter(|entry| entry.strategy == Strategy::Accumulable) {
        let typ = match entry.arguments.first() {
            None | Some(Type::Any) => Type::Int4,
            Some(typ) => typ.clone(),
        };
        let values: Vec<Row> = random_values(&typ).into_iter().map(|text_value| value(text_value, &typ)).collect();
        for round in 0..200 {
            let mut changes: Vec<(usize, i64)> =
                (0..random.below(12)).map(|_| (random.below(values.len() as u64) as usize, random.below(7) as i64 - 3)).collect();
            let mut forward = Accumulator::Zero;
            let mut counts = vec![0; values.len()];
            for &(value, diff) in &changes {
                forward.plus_equals(&accumulate(entry, &values[value], diff));
                counts[value] += diff;
            }
            // Taken back one by one, in another order: nothing is left.
            let mut rest = forward.clone();
            while !changes.is_empty() {
                let (value, diff) = changes.swap_remove(random.below(changes.len() as u64) as usize);
                rest.plus_equals(&accumulate(entry, &values[value], diff).multiply(-1));
            }
            assert!(rest.is_zero() && rest == Accumulator::Zero, "seed {seed:#x} {} round {round}: {rest:?} is left", entry.name);
            // What is left counted value by value, in two groups that are added.
            let (mut left, mut right) = (Accumulator::Zero, Accumulator::Zero);
            for (position, &count) in counts.iter().enumerate() {
                entry.accumulate_into(if position % 2 == 0 { &mut left } else { &mut right }, &values[position].get(0).unwrap(), count);
            }
            right.plus_equals(&left);
            assert_eq!(right, forward, "seed {seed:#x} {} {typ:?} round {round}", entry.name);
            // Never a panic, whatever the counts.
            finished(entry, &forward);
            finished(entry, &forward.multiply(-5));
        }
    }
}

#[test]
fn float_sums_do_not_depend_on_the_order() {
    let entry = entry("sum", &Type::Float8);
    let values = [1e16, 1.0, -1e16, 0.1, 1e-300, 3.5e307, -3.5e307, 2.0];
    let mut random = Random(99);
    let sum = |values: &[f64]| {
        let mut state = Accumulator::Zero;
        values.iter().for_each(|value| entry.accumulate_into(&mut state, &Datum::Float8(*value), 1));
        (finished(entry, &state), state)
    };
    let expected = sum(&values);
    assert_eq!(expected.0, "3.1");
    for _ in 0..100 {
        let mut shuffled = values;
        for position in (1..shuffled.len()).rev() {
            shuffled.swap(position, random.below(position as u64 + 1) as usize);
        }
        assert_eq!(sum(&shuffled), expected);
    }
}

/// The scale of a sum is the greatest among the values that are there, not among those that ever were.
#[test]
fn the_scale_of_a_sum_follows_retractions() {
    let entry = entry("sum", &Type::Numeric);
    let mut state = accumulate(entry, &value("1.5", &Type::Numeric), 1);
    state.plus_equals(&accumulate(entry, &value("0.0001", &Type::Numeric), 1));
    assert_eq!(finished(entry, &state), "1.5001");
    state.plus_equals(&accumulate(entry, &value("0.0001", &Type::Numeric), -1));
    assert_eq!(finished(entry, &state), "1.5");
    assert_eq!(state, accumulate(entry, &value("1.5", &Type::Numeric), 1));
}

#[test]
fn accumulators_of_a_group() {
    let (count, sum) = (lookup("count")[0], entry("sum", &Type::Int4));
    let row = |value: Option<i32>, diff| {
        let datum = value.map_or(Datum::Null, Datum::Int4);
        Accumulators::new(diff, [count.accumulate(&datum, diff), sum.accumulate(&datum, diff)])
    };
    let mut state = Accumulators::default();
    assert!(state.is_zero());
    for (value, diff) in [(Some(1), 1), (None, 2), (Some(4), 1)] {
        state.plus_equals(&row(value, diff));
    }
    assert_eq!(state.rows, 4);
    assert_eq!((finished(count, &state.states[0]), finished(sum, &state.states[1])), ("4".to_string(), "5".to_string()));
    state.plus_equals(&state.multiply(-1));
    assert!(state.is_zero() && state == Accumulators::default());
    // No rows, but not nothing: the halves of an update whose other half is to come.
    let mut halves = row(Some(1), 1);
    halves.plus_equals(&row(Some(2), -1));
    assert!(halves.rows == 0 && !halves.is_zero());
    assert_eq!(finished(sum, &halves.states[1]), "NULL");
}

#[test]
fn the_table_names_types_as_postgres_does() {
    for (name, argument, result) in [
        ("sum", Type::Int4, Type::Int8),
        ("sum", Type::Int8, Type::Numeric),
        ("sum", Type::Float4, Type::Float4),
        ("avg", Type::Float4, Type::Float8),
        ("avg", Type::Int2, Type::Numeric),
        ("max", Type::TimestampTz, Type::TimestampTz),
        ("string_agg", Type::Text, Type::Text),
    ] {
        assert_eq!(entry(name, &argument).result, result, "{name}");
    }
    let not_null = ColumnType::new(Type::Uuid).not_null();
    assert_eq!(lookup("array_agg")[0].result_type(std::slice::from_ref(&not_null)).scalar, Type::Array(Box::new(Type::Uuid)));
    assert_eq!(lookup("any_value")[0].result_type(std::slice::from_ref(&not_null)), not_null);
    assert!(!lookup("count")[0].result_type(&[]).nullable);
    assert!(lookup("no_such").is_empty());
}

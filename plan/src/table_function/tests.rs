//! Calls as text: arguments in, rows out.

use super::*;
use repr::{Datum, EvalError, RowBuilder, RowRef, TimeZone, text};

fn call(function: &TableFunction, types: &[Type], arguments: &[&str], time_zone: TimeZone) -> Result<String, EvalError> {
    let mut encoded = RowBuilder::new();
    for (argument, typ) in arguments.iter().zip(types) {
        match *argument {
            "NULL" => encoded.push(Datum::Null),
            argument => text::read(argument, typ, &Default::default(), &mut encoded).unwrap(),
        }
    }
    let columns = function.columns();
    let mut rows = Vec::new();
    function.apply(encoded.as_bytes(), time_zone, &mut |row, diff| {
        let values: Vec<String> = RowRef::new(row)
            .iter()
            .zip(&columns)
            .map(|(datum, (_, column_type))| {
                if datum.is_null() {
                    assert!(column_type.nullable);
                    return "NULL".to_string();
                }
                let mut out = String::new();
                text::write(&datum, &column_type.scalar, &Default::default(), &mut out);
                out
            })
            .collect();
        assert_eq!(values.len(), columns.len());
        rows.push(if diff == 1 { values.join(",") } else { format!("{} * {diff}", values.join(",")) });
        rows.len() < 20
    })?;
    Ok(rows.join("; "))
}

/// A function by name, its arguments separated by `|`.
#[track_caller]
fn check(name: &str, types: &[Type], arguments: &str, expected: &str) {
    let function = lookup(name, types).unwrap_or_else(|| panic!("{name}{types:?}"));
    // A pseudo-type asks for no cast.
    let casts =
        function.arguments(types.len()).into_iter().zip(types).map(|(wanted, given)| if wanted == Type::AnyArray { given.clone() } else { wanted });
    check_function(&function, &casts.collect::<Vec<_>>(), arguments, expected);
}

#[track_caller]
fn check_function(function: &TableFunction, types: &[Type], arguments: &str, expected: &str) {
    let arguments: Vec<&str> = arguments.split('|').collect();
    let result = call(function, types, &arguments, TimeZone::UTC);
    assert_eq!(result.unwrap_or_else(|error| format!("{} {}", error.code(), error.message())), expected, "{function:?} {arguments:?}");
}

#[test]
fn series() {
    use Type::*;
    let cases: [(&[Type], &str, &str); 22] = [
        (&[Int4, Int4], "1|3", "1; 2; 3"),
        (&[Int4, Int4], "3|1", ""),
        (&[Int4, Int4, Int4], "5|1|-2", "5; 3; 1"),
        (&[Int4, Int4, Int4], "1|2|0", "22023 step size cannot equal zero"),
        (&[Int4, Int4], "1|NULL", ""),
        (&[Int4, Int4], "2147483646|2147483647", "2147483646; 2147483647"),
        (&[Int8, Int4], "9223372036854775806|9223372036854775807", "9223372036854775806; 9223372036854775807"),
        (&[Int8, Int8], "1|999999999999", "1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11; 12; 13; 14; 15; 16; 17; 18; 19; 20"),
        (&[Numeric, Numeric], "1.5|3.5", "1.5; 2.5; 3.5"),
        (&[Numeric, Int4, Numeric], "1|2|0.50", "1; 1.50; 2.00"),
        (&[Numeric, Numeric], "NaN|1", "22023 start value cannot be NaN"),
        (&[Numeric, Numeric], "1|infinity", "22023 stop value cannot be infinity"),
        (&[Numeric, Numeric, Numeric], "1|2|0.0", "22023 step size cannot equal zero"),
        (&[Timestamp, Timestamp, Interval], "2020-01-31|2020-04-01|1 month", "2020-01-31 00:00:00; 2020-02-29 00:00:00; 2020-03-29 00:00:00"),
        (&[Timestamp, Timestamp, Interval], "2020-01-01|2019-12-31|-12 hours", "2020-01-01 00:00:00; 2019-12-31 12:00:00; 2019-12-31 00:00:00"),
        (&[Date, Date, Interval], "2020-01-01|2020-01-02|1 day", "2020-01-01 00:00:00+00; 2020-01-02 00:00:00+00"),
        (&[Timestamp, Timestamp, Interval], "2020-01-01|2020-01-02|0", "22023 step size cannot equal zero"),
        (&[Timestamp, Timestamp, Interval], "294276-12-31|infinity|1 day", "22008 timestamp out of range"),
        (&[Timestamp, Timestamp, Interval], "infinity|infinity|1 day", "infinity"),
        (&[Int4, Unknown], "1|2", "1; 2"),
        (&[TimestampTz, Unknown, Interval], "2020-01-01 00:00+00|2020-01-01 01:00+00|1 hour", "2020-01-01 00:00:00+00; 2020-01-01 01:00:00+00"),
        (&[Int2, Int2], "1|2", "1; 2"),
    ];
    for (types, arguments, expected) in cases {
        check("generate_series", types, arguments, expected);
    }
    for types in [&[Text, Text][..], &[Int4], &[Date, Date], &[Unknown, Unknown], &[Float8, Float8]] {
        assert_eq!(lookup("generate_series", types), None, "{types:?}");
    }
    // Days are those of the time zone: the one in which clocks change has 23 hours.
    let zone = TimeZone::parse("Europe/Berlin").unwrap();
    let series = TableFunction::GenerateSeries(TimestampTz);
    let days = call(&series, &[TimestampTz, TimestampTz, Interval], &["2024-03-30 00:00+01", "2024-04-01 00:00+02", "1 day"], zone);
    assert_eq!(days.unwrap(), "2024-03-29 23:00:00+00; 2024-03-30 23:00:00+00; 2024-03-31 22:00:00+00");
}

#[test]
fn arrays_and_strings() {
    use Type::*;
    let array = || Array(Box::new(Int4));
    check("unnest", &[array()], "{1,NULL,3}", "1; NULL; 3");
    check("unnest", &[array()], "{{1,2},{3,4}}", "1; 2; 3; 4");
    check("unnest", &[array()], "{}", "");
    check("unnest", &[array()], "NULL", "");
    check("generate_subscripts", &[array(), Int4], "{7,8,9}|1", "1; 2; 3");
    check("generate_subscripts", &[array(), Int4], "[-1:1]={7,8,9}|1", "-1; 0; 1");
    check("generate_subscripts", &[array(), Int4, Bool], "{{1,2,3},{4,5,6}}|2|t", "3; 2; 1");
    check("generate_subscripts", &[array(), Int4], "{1}|2", "");
    check("string_to_table", &[Text, Text], "a,b,,c|,", "a; b; ; c");
    check("string_to_table", &[Text, Text], "abc|NULL", "a; b; c");
    check("string_to_table", &[Text, Text], "abc|", "abc");
    check("string_to_table", &[Text, Text, Text], "a-b-c|-|b", "a; NULL; c");
    check("string_to_table", &[Text, Text], "|,", "");
    check("regexp_split_to_table", &[Text, Text], "the quick  fox|\\s+", "the; quick; fox");
    check("regexp_split_to_table", &[Text, Text], "fox|\\s*", "f; o; x");
    check("regexp_split_to_table", &[Text, Text, Text], "aXbxc|x|i", "a; b; c");
    check("regexp_split_to_table", &[Text, Text, Text], "a|x|g", "22023 regexp_split_to_table() does not support the \"global\" option");
    check("regexp_split_to_table", &[Text, Text], "a|(", "2201B invalid regular expression");
}

#[test]
fn json() {
    let json = [Type::Jsonb];
    check("jsonb_array_elements", &json, r#"[1, "a", null, {"b": 2}]"#, r#"1; "a"; null; {"b": 2}"#);
    check("jsonb_array_elements_text", &json, r#"[1, "a", null, {"b": 2}]"#, r#"1; a; NULL; {"b": 2}"#);
    check("jsonb_array_elements", &json, r#"{"a": 1}"#, "22023 cannot extract elements from an object");
    check("jsonb_array_elements", &json, "1", "22023 cannot extract elements from a scalar");
    check("jsonb_each", &json, r#"{"b": "x", "a": [1]}"#, r#"a,[1]; b,"x""#);
    check("jsonb_each_text", &json, r#"{"b": "x", "a": null}"#, "a,NULL; b,x");
    check("jsonb_each", &json, "[1]", "22023 cannot call jsonb_each on a non-object");
    check("jsonb_object_keys", &json, r#"{"b": 1, "a": 2}"#, "a; b");
    check("jsonb_object_keys", &json, "[1]", "22023 cannot call jsonb_object_keys on an array");
    check("jsonb_object_keys", &json, "NULL", "");
}

#[test]
fn of_plans() {
    let count = [Type::Int8];
    check_function(&TableFunction::Repeat, &count, "3", " * 3");
    check_function(&TableFunction::Repeat, &count, "0", "");
    check_function(&TableFunction::Repeat, &count, "-1", "XX000 a row was to be repeated -1 times");
    check_function(&TableFunction::AssertOneRow, &count, "1", "");
    check_function(&TableFunction::AssertOneRow, &count, "2", "21000 more than one row returned by a subquery used as an expression");
    let numbered = TableFunction::WithOrdinality(Box::new(TableFunction::JsonbEach { text: true }));
    check_function(&numbered, &[Type::Jsonb], r#"{"k": 1, "l": 2}"#, "k,1,1; l,2,2");
    for name in NAMES {
        assert!(
            [
                &[Type::Jsonb][..],
                &[Type::Array(Box::new(Type::Text))],
                &[Type::Int4, Type::Int4],
                &[Type::Text, Type::Text],
                &[Type::Array(Box::new(Type::Text)), Type::Int4]
            ]
            .iter()
            .any(|types| lookup(name, types).is_some()),
            "{name}"
        );
    }
}

//! The answers of a real Postgres 15 (`repr/testdata/regenerate` asks again), and what it cannot be asked.

use super::*;

fn context(zone: &str) -> TextContext {
    TextContext { time_zone: TimeZone::parse(zone).unwrap(), ..TextContext::default() }
}

/// A type as the test data names it, with its modifier.
fn column_type(name: &str) -> ColumnType {
    if let Some(element) = name.strip_suffix("[]") {
        let element = column_type(element);
        return ColumnType { scalar: Type::Array(Box::new(element.scalar)), ..element };
    }
    let (base, arguments) = name.trim_end_matches(')').split_once('(').unwrap_or((name, ""));
    let numbers: Vec<i32> = arguments.split(',').filter_map(|number| number.parse().ok()).collect();
    let scalar = Type::from_name(base).unwrap_or_else(|| panic!("unknown type {base}"));
    let modifier = match (&scalar, numbers.as_slice()) {
        (_, []) => -1,
        (Type::Numeric, [precision]) => (precision << 16) + 4,
        (Type::Numeric, [precision, scale]) => (precision << 16 | (scale & 0x7ff)) + 4,
        (Type::Varchar | Type::Bpchar, [length]) => length + 4,
        (_, [precision, ..]) => *precision,
    };
    ColumnType { scalar, modifier, nullable: true }
}

fn read_and_write(column_type: &ColumnType, input: &str, context: &TextContext, explicit: bool) -> Result<String, EvalError> {
    let mut plain = RowBuilder::new();
    read(input, &column_type.scalar, context, &mut plain)?;
    let row = plain.finish();
    let mut fitted = RowBuilder::new();
    apply_modifier(row.get(0).unwrap(), column_type, explicit, &mut fitted)?;
    let row = fitted.finish();
    let mut text = String::new();
    write(&row.get(0).unwrap(), &column_type.scalar, context, &mut text);
    check_round_trips(&row, column_type, &text, context);
    Ok(text)
}

/// What was written, as text or in the binary format, is the same value when it is read.
fn check_round_trips(row: &crate::Row, column_type: &ColumnType, text: &str, context: &TextContext) {
    let mut again = RowBuilder::new();
    read(text, &column_type.scalar, context, &mut again).unwrap_or_else(|error| panic!("{text:?} was written and is refused: {error}"));
    assert_eq!(again.as_bytes(), row.as_bytes(), "{text:?} of type {:?} read again", column_type.scalar);

    let mut bytes = bytes::BytesMut::new();
    crate::binary::write(&row.get(0).unwrap(), &column_type.scalar, &mut bytes);
    let mut again = RowBuilder::new();
    crate::binary::read(&bytes, &column_type.scalar, &mut again).unwrap();
    assert_eq!(again.as_bytes(), row.as_bytes(), "{text:?} of type {:?} through the binary format", column_type.scalar);
}

fn unescape(text: &str) -> String {
    let mut letters = text.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => plain.push(letter),
            _ => plain.push(match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
        }
    }
    plain
}

fn compare(cases: &str, context: &TextContext, unescape: impl Fn(&str) -> String) {
    let mut failures = Vec::new();
    for (line, case) in cases.lines().enumerate() {
        let fields: Vec<&str> = case.split('\t').collect();
        let [type_name, input, expected] = fields.as_slice() else { panic!("line {} has other fields: {case}", line + 1) };
        let (input, expected) = (unescape(input), unescape(expected));
        let got = read_and_write(&column_type(type_name), &input, context, true).unwrap_or_else(|error| format!("!{} {}", error.code(), error.message()));
        if got != expected {
            failures.push(format!("{type_name} {input:?}:\n     got {got}\n  server {expected}"));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases differ:\n{}", failures.len(), cases.lines().count(), failures.join("\n"));
}

#[test]
fn text_is_that_of_the_server() {
    compare(include_str!("../../testdata/text.tsv"), &context("UTC"), unescape);
}

#[test]
fn dates_and_times_are_those_of_the_server() {
    compare(include_str!("../../testdata/temporal_text.tsv"), &context("America/New_York"), str::to_string);
}

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

#[test]
fn bytes_are_those_of_the_server() {
    let context = context("UTC");
    for case in include_str!("../../testdata/binary.tsv").lines() {
        let fields: Vec<&str> = case.split('\t').collect();
        let [type_name, input, expected] = fields.as_slice() else { panic!("a line has other fields: {case}") };
        let scalar = column_type(type_name).scalar;
        let mut row = RowBuilder::new();
        read(input, &scalar, &context, &mut row).unwrap();
        let row = row.finish();
        let mut bytes = bytes::BytesMut::new();
        crate::binary::write(&row.get(0).unwrap(), &scalar, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, *expected, "{type_name} {input}");
        let mut again = RowBuilder::new();
        crate::binary::read(&bytes, &scalar, &mut again).unwrap();
        assert_eq!(again.as_bytes(), row.as_bytes(), "{type_name} {input} read again");
        // Every shorter message is refused or is another value, and none brings the reader down.
        let variable = matches!(scalar, Type::Text | Type::Varchar | Type::Bytea | Type::Json | Type::Jsonb);
        for cut in 0..bytes.len() {
            let result = crate::binary::read(&bytes[..cut], &scalar, &mut RowBuilder::new());
            assert!(variable || result.is_err(), "{type_name} {input} cut to {cut} bytes");
        }
    }
}

#[test]
fn wrong_bytes_are_refused() {
    let array = |words: &[i32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let integers = Type::Array(Box::new(Type::Int4));
    let cases: &[(Type, Vec<u8>, &str)] = &[
        (Type::Int4, vec![0, 0, 0, 0, 0], "22P03"),
        (Type::Text, vec![b'a', 0xff], "22021"),
        (Type::Text, vec![b'a', 0], "22021"),
        (Type::Jsonb, vec![2, b'1'], "XX000"),
        (Type::Jsonb, vec![1, b'x'], "22P02"),
        (Type::Time, (-1i64).to_be_bytes().to_vec(), "22008"),
        (Type::Date, (-3_000_000i32).to_be_bytes().to_vec(), "22008"),
        (Type::Timestamp, (i64::MIN + 1).to_be_bytes().to_vec(), "22008"),
        // Three dimensions of two thousand million elements.
        (integers.clone(), array(&[3, 0, 23, i32::MAX, 1, i32::MAX, 1, i32::MAX, 1]), "22P03"),
        (integers.clone(), array(&[7, 0, 23]), "54000"),
        (integers.clone(), array(&[-1, 0, 23]), "22P03"),
        (integers.clone(), array(&[1, 0, 25, 1, 1, -1]), "42804"),
        (integers, array(&[1, 0, 23, 1, 1, -2]), "22P03"),
    ];
    for (typ, bytes, code) in cases {
        let mut out = RowBuilder::new();
        let error = crate::binary::read(bytes, typ, &mut out).unwrap_err();
        assert_eq!(error.code().as_str(), *code, "{typ:?} {bytes:?}: {error}");
        assert!(out.is_empty());
    }
}

#[test]
fn an_assignment_refuses_what_a_cast_cuts() {
    let context = TextContext::default();
    for (type_name, input, assigned) in [
        ("varchar(3)", "abcd", Err("value too long for type character varying(3)")),
        ("varchar(3)", "abc  ", Ok("abc")),
        ("varchar(3)", "abc", Ok("abc")),
        ("character(3)", "abcd", Err("value too long for type character(3)")),
        ("character(3)", "a", Ok("a  ")),
        ("varchar(2)[]", "{abc}", Err("value too long for type character varying(2)")),
    ] {
        let got = read_and_write(&column_type(type_name), input, &context, false);
        match assigned {
            Ok(text) => assert_eq!(got.unwrap(), text),
            Err(message) => {
                let error = got.unwrap_err();
                assert_eq!((error.code().as_str(), error.message()), ("22001", message));
            }
        }
    }
}

#[test]
fn settings_change_the_text() {
    let show = |value: Datum<'_>, context: &TextContext| {
        let mut text = String::new();
        write(&value, &Type::Unknown, context, &mut text);
        text
    };
    let plain = TextContext::default();
    let rounded = TextContext { extra_float_digits: 0, bytea_hex: false, ..TextContext::default() };
    assert_eq!(show(Datum::Float8(1.0 / 3.0), &plain), "0.3333333333333333");
    assert_eq!(show(Datum::Float8(1.0 / 3.0), &rounded), "0.333333333333333");
    assert_eq!(show(Datum::Float8(1e23), &rounded), "1e+23");
    assert_eq!(show(Datum::Float4(123456.78), &rounded), "123457");
    assert_eq!(show(Datum::Bytea((&b"a\\\x00\xff"[..]).into()), &rounded), "a\\\\\\000\\377");
}

#[test]
fn records_read_back() {
    let typ = Type::Record(vec![Type::Int4, Type::Text, Type::Text, Type::Array(Box::new(Type::Int4))]);
    let context = TextContext::default();
    for (input, output) in [("(1,a,,\"{1,2}\")", "(1,a,,\"{1,2}\")"), ("(,\"x \"\"y\"\"\",\"\",{})", "(,\"x \"\"y\"\"\",\"\",{})"), ("(1,a\\,b,c,)", "(1,\"a,b\",c,)")] {
        let mut row = RowBuilder::new();
        read(input, &typ, &context, &mut row).unwrap();
        let row = row.finish();
        let mut text = String::new();
        write(&row.get(0).unwrap(), &typ, &context, &mut text);
        assert_eq!(text, output);
    }
    for input in ["", "(1,a,b)", "(1,a,b,{},x)", "(1,a,b,{}", "(1,a,b,{}) x", "1,a,b,{}"] {
        assert_eq!(read(input, &typ, &context, &mut RowBuilder::new()).unwrap_err().code().as_str(), "22P02", "{input}");
    }
}

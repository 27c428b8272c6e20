//! Jsonb against what a Postgres 15 server answers. (Its order and round trips are tested with the other types, beside `encoding`.)

use super::*;

fn text(value: Jsonb<'_>) -> String {
    let mut out = String::new();
    value.write_text(&mut out);
    out
}

fn parse(input: &str) -> JsonbBuf {
    JsonbBuf::parse(input).unwrap_or_else(|error| panic!("{input}: {error} {:?}", error.detail()))
}

#[test]
fn text_as_postgres_prints_it() {
    let cases = [
        ("[]", "[]"),
        (" {} ", "{}"),
        ("[[],{}]", "[[], {}]"),
        (r#"{"b":1,"aa":[1,2.50,1e3,-0.0],"a":{"x":null}}"#, r#"{"a": {"x": null}, "b": 1, "aa": [1, 2.50, 1000, 0.0]}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
        (r#""\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\\u001f""#, "\"é😀/\\b\\f\\n\\r\\t\\\"\\\\\\u001f\""),
        ("\"\u{7f}\"", "\"\u{7f}\""),
        ("1.10", "1.10"),
        ("123456789012345678901234567890123456789012345", "123456789012345678901234567890123456789012345"),
        ("true", "true"),
        ("1e-3", "0.001"),
    ];
    for (input, expected) in cases {
        let value = parse(input);
        assert_eq!(text(value.as_ref()), expected);
        assert_eq!(JsonbBuf::from_serde(&serde_json::from_str(input).unwrap()).unwrap(), value, "{input}");
        assert_eq!(parse(&text(value.as_ref())), value);
        check_text(input).unwrap();
    }
}

#[test]
fn long_containers_keep_their_count() {
    for count in [254, 255, 256, 70_000] {
        let array = format!("[{}]", vec!["[]"; count].join(", "));
        assert_eq!(text(parse(&array).as_ref()), array);
        assert_eq!(check(parse(&array).as_ref().as_encoded()), Some(parse(&array).as_ref().as_encoded().len()));
        let object = format!("{{{}}}", (0..count).rev().map(|member| format!("\"{member}\": {member}")).collect::<Vec<_>>().join(", "));
        let value = parse(&object);
        for key in [0, 1, 99, 100, count - 1] {
            assert_eq!(text(value.as_ref().get_field(&key.to_string()).unwrap()), key.to_string());
        }
        assert!(value.as_ref().get_field(&count.to_string()).is_none());
    }
    assert!(parse(&format!("[{}1]", "1,".repeat(254))) > parse(&format!("[{}9]", "9,".repeat(253))));
}

/// Code and detail of Postgres 15.
#[test]
fn errors_of_postgres() {
    let cases = [
        ("[}", "22P02", "Expected JSON value, but found \"}\"."),
        ("[1,}", "22P02", "Expected JSON value, but found \"}\"."),
        ("[1,]", "22P02", "Expected JSON value, but found \"]\"."),
        ("[,]", "22P02", "Expected JSON value, but found \",\"."),
        ("{,}", "22P02", "Expected string or \"}\", but found \",\"."),
        ("{\"a\":}", "22P02", "Expected JSON value, but found \"}\"."),
        ("{\"a\" 1}", "22P02", "Expected \":\", but found \"1\"."),
        ("{\"a\":1,}", "22P02", "Expected string, but found \"}\"."),
        ("{\"a\":1 2}", "22P02", "Expected \",\" or \"}\", but found \"2\"."),
        ("[1 2]", "22P02", "Expected \",\" or \"]\", but found \"2\"."),
        ("1 2", "22P02", "Expected end of input, but found \"2\"."),
        ("", "22P02", "The input string ended unexpectedly."),
        ("[", "22P02", "The input string ended unexpectedly."),
        ("\"abc", "22P02", "Token \"\"abc\" is invalid."),
        ("\"a\\u00", "22P02", "Token \"\"a\\u00\" is invalid."),
        ("\"a\\u00\"", "22P02", "\"\\u\" must be followed by four hexadecimal digits."),
        ("\"a\\u00zz\"", "22P02", "\"\\u\" must be followed by four hexadecimal digits."),
        ("\"a\\x\"", "22P02", "Escape sequence \"\\x\" is invalid."),
        ("\"é\\é\"", "22P02", "Escape sequence \"\\é\" is invalid."),
        ("\"a\\", "22P02", "Token \"\"a\\\" is invalid."),
        ("01", "22P02", "Token \"01\" is invalid."),
        ("1.", "22P02", "Token \"1.\" is invalid."),
        ("-", "22P02", "Token \"-\" is invalid."),
        ("1e", "22P02", "Token \"1e\" is invalid."),
        ("1x_y z", "22P02", "Token \"1x_y\" is invalid."),
        ("&", "22P02", "Token \"&\" is invalid."),
        ("nul", "22P02", "Token \"nul\" is invalid."),
        ("é", "22P02", "Token \"é\" is invalid."),
        ("\"\\ud800\"", "22P02", "Unicode low surrogate must follow a high surrogate."),
        ("\"\\ud800x\"", "22P02", "Unicode low surrogate must follow a high surrogate."),
        ("\"\\ud800\\n\"", "22P02", "Unicode low surrogate must follow a high surrogate."),
        ("\"\\udc00\"", "22P02", "Unicode low surrogate must follow a high surrogate."),
        ("\"\\ud800\\ud800\"", "22P02", "Unicode high surrogate must not follow a high surrogate."),
        ("\"\\u0000\"", "22P05", "\\u0000 cannot be converted to text."),
        ("\"a\nb\"", "22P02", "Character with value 0x0a must be escaped."),
    ];
    for (input, code, detail) in cases {
        let error = JsonbBuf::parse(input).unwrap_err();
        assert_eq!((error.code().as_str(), error.detail()), (code, Some(detail)), "{input}");
        // `json` keeps escapes as they are and so does not mind what they mean.
        let meaning = detail.contains("surrogate") || code == "22P05";
        assert_eq!(check_text(input).is_ok(), meaning, "{input}");
    }
    assert_eq!(JsonbBuf::parse("1e400000").unwrap_err().code(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deepest = parse(&nested(DEPTH_MAX));
    assert_eq!(text(deepest.as_ref()), nested(DEPTH_MAX));
    assert!(deepest.as_ref().contains(deepest.as_ref()));
    let mut canonical = Vec::new();
    write_canonical(deepest.as_ref().as_encoded(), &mut canonical);
    assert_eq!(canonical, deepest.as_ref().as_encoded());
    assert_eq!(check(&canonical), Some(canonical.len()));
    assert_eq!(JsonbBuf::parse(&nested(DEPTH_MAX + 1)).unwrap_err().code(), SqlState::STATEMENT_TOO_COMPLEX);
    assert_eq!(check_text(&nested(100_000)).unwrap_err().code(), SqlState::STATEMENT_TOO_COMPLEX);
    assert_eq!(check(&[ARRAY, 1].repeat(100_000)), None);
}

#[test]
fn members() {
    let cases = [("[1,2,[]]", 0, "1"), ("[1,2,[]]", -1, "[]"), ("[1,2,[]]", -3, "1"), ("\"x\"", 0, "\"x\""), ("1", -1, "1")];
    for (value, position, expected) in cases {
        assert_eq!(parse(value).as_ref().get_element(position).map(text).as_deref(), Some(expected), "{value} -> {position}");
    }
    for (value, position) in [("[1,2,[]]", 3), ("[1,2,[]]", -4), ("[]", 0), ("{}", 0), ("\"x\"", 1), ("[1]", i64::MIN), ("[1]", i64::MAX)] {
        assert!(parse(value).as_ref().get_element(position).is_none(), "{value} -> {position}");
    }
    // The empty array taken out of another value is the empty array.
    assert_eq!(parse("[1,[]]").as_ref().get_element(1).unwrap(), parse("[]").as_ref());
    assert_eq!(parse("{\"a\":[]}").as_ref().get_field("a").unwrap(), parse("[]").as_ref());
    assert!(parse("[1]").as_ref().get_field("a").is_none());
}

/// `@>`, each case as Postgres 15 answers.
#[test]
fn containment() {
    let cases = [
        (r#"["foo","bar"]"#, r#""bar""#, true),
        (r#""bar""#, r#"["bar"]"#, false),
        (r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"b":{"c":[2]}}"#, true),
        (r#"{"a":1,"b":2}"#, r#"{"a":1.0}"#, true),
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false),
        (r#"{"a":[1]}"#, r#"{"a":1}"#, false),
        (r#"{"a":1}"#, r#"{"a":[1]}"#, false),
        (r#"{"a":[]}"#, r#"{"a":[]}"#, true),
        (r#"{"a":[1]}"#, r#"{"a":{}}"#, false),
        ("[1,2,3]", "[3,1,1]", true),
        ("[1,[2,3]]", "[[3]]", true),
        ("[1,[2,3]]", "[3]", false),
        ("[1]", "[]", true),
        ("[]", "[]", true),
        ("[]", "1", false),
        ("1", "[]", false),
        ("1", "1.0", true),
        ("{}", "[]", false),
        ("[]", "{}", false),
        ("[{}]", "{}", false),
        (r#"[{"a":1,"b":2}]"#, r#"[{"b":2}]"#, true),
        (r#"{"aa":1,"b":2,"c":3}"#, r#"{"c":3,"aa":1}"#, true),
    ];
    for (value, other, expected) in cases {
        assert_eq!(parse(value).as_ref().contains(parse(other).as_ref()), expected, "{value} @> {other}");
    }
}

/// From the lowest to the highest, as `ORDER BY` of Postgres 15 puts them.
#[test]
fn order_of_postgres() {
    let ordered = [
        "[]", "null", "\"\"", "\"a\"", "\"aa\"", "\"b\"", "-1", "1", "1.5", "10", "false", "true", "[null]", "[[]]", "[{}]", "[1, 2]", "[2, 1]", "[[], 1]", "{}", "{\"a\": 1}", "{\"aa\": 0}",
        "{\"b\": 1}", "{\"b\": [0]}", "{\"a\": 9, \"b\": 1}", "{\"b\": 0, \"aa\": 0}",
    ];
    let values: Vec<JsonbBuf> = ordered.iter().map(|input| parse(input)).collect();
    for (position, pair) in values.windows(2).enumerate() {
        assert!(pair[0] < pair[1], "{} < {}", ordered[position], ordered[position + 1]);
    }
}

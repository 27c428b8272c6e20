//! The cases of `cases/*.txt`: a call on the left of `=>`, Postgres 15's answer on the right (text, `NULL`, or `!SQLSTATE`).
//!
//! Each runs as a constant, and over a column in a batch where it stands between rows of NULLs: the two must agree. `TIDEMARK_CASES_SQL=1` prints the
//! cases as SQL instead; `ask_postgres.py` beside this file asks a real Postgres for the answers and writes them down.

use crate::vector::{Step, Transform};
use crate::{CastKind, Context, Scalar};
use repr::text::TextContext;
use repr::{ColumnType, Datum, EvalError, Row, RowBuilder, SqlTimestampTz, Type};

mod document;
mod properties;
mod table;

fn context() -> Context {
    Context { now: Some(SqlTimestampTz(0)), ..Context::default() }
}

/// `varchar(3)[]` or `numeric(5,2)`: a type with a modifier.
fn parse_type(name: &str) -> ColumnType {
    if let Some(element) = name.strip_suffix("[]") {
        let element = parse_type(element);
        return ColumnType::new(Type::Array(Box::new(element.scalar))).with_modifier(element.modifier);
    }
    let (base, numbers) = match name.split_once('(') {
        Some((base, numbers)) => (base, numbers.trim_end_matches(')').split(',').map(|number| number.parse().expect("a number")).collect()),
        None => (name, Vec::<i32>::new()),
    };
    let scalar = Type::from_name(base).unwrap_or_else(|| panic!("no type {base}"));
    let modifier = match (&scalar, &numbers[..]) {
        (Type::Numeric, [precision, scale]) => (precision << 16 | scale & 0xffff) + 4,
        (Type::Varchar | Type::Bpchar, [length]) => length + 4,
        (_, [digits]) => *digits,
        _ => -1,
    };
    ColumnType::new(scalar).with_modifier(modifier)
}

/// One argument, `type:text`.
fn parse_argument(argument: &str) -> (ColumnType, Row) {
    let (type_name, text) = argument.split_once(':').unwrap_or_else(|| panic!("no type: {argument}"));
    let column_type = parse_type(type_name);
    if text == "NULL" {
        return (column_type, Row::pack([Datum::Null]));
    }
    let mut builder = RowBuilder::new();
    repr::text::read(text, &column_type.scalar, &TextContext::default(), &mut builder).unwrap_or_else(|error| panic!("{argument}: {error}"));
    let mut row = builder.finish();
    if column_type.modifier >= 0 {
        repr::text::apply_modifier(row.iter().next().expect("a datum"), &column_type, true, &mut builder).expect("the modifier fits");
        row = builder.finish();
    }
    (column_type, row)
}

fn show(result: Result<&[u8], EvalError>, scalar: &Type) -> String {
    match result {
        Err(error) => format!("!{}", error.code()),
        Ok(bytes) => match repr::RowRef::new(bytes).iter().next() {
            None | Some(Datum::Null) => "NULL".to_string(),
            Some(datum) => {
                let mut text = String::new();
                repr::text::write(&datum, scalar, &TextContext::default(), &mut text);
                text.replace('\n', "\\n")
            }
        },
    }
}

fn build(name: &str, arguments: Vec<Scalar>, input: &[ColumnType]) -> Scalar {
    match (name.strip_prefix("cast "), &arguments[..]) {
        (Some(target), [only]) => Scalar::Cast { input: Box::new(only.clone()), kind: CastKind::Explicit, column_type: parse_type(target) },
        _ => Scalar::call(name, arguments, input),
    }
}

/// Runs one case both ways.
fn run(call: &str) -> String {
    let mut parts = call.split(" ; ");
    let name = parts.next().expect("a name").trim();
    let (types, rows): (Vec<ColumnType>, Vec<Row>) = parts.map(parse_argument).unzip();

    let literals = types.iter().zip(&rows).map(|(column_type, row)| Scalar::Literal(row.clone(), column_type.clone())).collect();
    let constant = build(name, literals, &[]);
    let result_type = constant.column_type(&[]);
    let mut constant_answer = String::new();
    let mut transform = Transform::new(&[], &[Step::Map(vec![constant.clone()])], &[0], &context());
    transform.push(&[]);
    transform.flush(&mut |_, row| {
        if matches!(row, Ok([0xFE])) {
            assert!(result_type.nullable, "{call}: NULL from an expression that is not nullable");
        }
        assert!(row.is_ok() || constant.can_fail(), "{call}: an error from an expression that cannot fail");
        constant_answer = show(row, &result_type.scalar);
    });

    let columns = build(name, (0..types.len()).map(Scalar::Column).collect(), &types);
    let mut bytes = RowBuilder::new();
    rows.iter().for_each(|row| bytes.push_encoded(row.as_bytes()));
    let nulls = Row::pack(rows.iter().map(|_| Datum::Null));
    let mut transform = Transform::new(&types, &[Step::Map(vec![columns])], &[types.len()], &context());
    for row in [nulls.as_bytes(), bytes.as_bytes(), nulls.as_bytes(), bytes.as_bytes()] {
        transform.push(row);
    }
    let mut answers = Vec::new();
    transform.flush(&mut |_, row| answers.push(show(row, &result_type.scalar)));
    assert_eq!([&answers[1], &answers[3]], [&constant_answer, &constant_answer], "{call}: a column and a constant disagree");
    constant_answer
}

/// The case as SQL.
fn sql(call: &str) -> String {
    let mut parts = call.split(" ; ");
    let name = parts.next().expect("a name").trim();
    let arguments: Vec<String> = parts
        .map(|argument| {
            let (type_name, text) = argument.split_once(':').expect("a type");
            if text == "NULL" { format!("NULL::{type_name}") } else { format!("'{}'::{type_name}", text.replace('\'', "''")) }
        })
        .collect();
    let subscripts = |from: usize, separator: &str, count: usize| -> String {
        arguments[from..]
            .chunks(count)
            .map(|chunk| format!("[{}]", chunk.join(separator)).replace("NULL::int4:", ":").replace(":NULL::int4", ":"))
            .collect()
    };
    match (name, &arguments[..]) {
        (name, [only]) if name.starts_with("cast ") => format!("({only})::{}", &name[5..]),
        ("array_build", _) => format!("ARRAY[{}]", arguments.join(", ")),
        ("array_subscript", [array, ..]) => format!("({array}){}", subscripts(1, "", 1)),
        ("array_slice", [array, ..]) => format!("({array}){}", subscripts(1, ":", 2)),
        ("is_distinct_from", [a, b]) => format!("{a} IS DISTINCT FROM {b}"),
        ("is_not_distinct_from", [a, b]) => format!("{a} IS NOT DISTINCT FROM {b}"),
        (name, [only]) if name.starts_with("is_") => format!("{only} {}", name.replace('_', " ")),
        ("not", [only]) => format!("NOT {only}"),
        ("extract" | "position" | "overlay" | "substring" | "normalize" | "is_normalized", _) => format!("pg_catalog.{name}({})", arguments.join(", ")),
        (name, [only]) if !name.starts_with(|first: char| first.is_ascii_alphabetic()) => format!("{name} {only}"),
        (name, [a, b]) if !name.starts_with(|first: char| first.is_ascii_alphabetic()) => format!("{a} {name} {b}"),
        _ => format!("{name}({})", arguments.join(", ")),
    }
}

fn check(file: &str, cases: &str) {
    let mut failures = Vec::new();
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let (call, expected) = line.split_once(" => ").unwrap_or((line, "?"));
        if std::env::var_os("TIDEMARK_CASES_SQL").is_some() {
            println!("SQL\t{file}\t{call}\t{}", sql(call));
            continue;
        }
        let answer = run(call);
        if answer != expected {
            failures.push(format!("{call} => {answer}\n    Postgres: {expected}"));
        }
    }
    assert!(failures.is_empty(), "{} cases of {file} differ:\n{}", failures.len(), failures.join("\n"));
}

macro_rules! case_files {
    ($($name:ident)*) => {
        /// The files of cases and what is in them.
        fn files() -> Vec<(&'static str, &'static str)> {
            vec![$((stringify!($name), include_str!(concat!("cases/", stringify!($name), ".txt")))),*]
        }
        $(#[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("cases/", stringify!($name), ".txt")));
        })*
    };
}
case_files! { numbers texts casts arrays json times templates }

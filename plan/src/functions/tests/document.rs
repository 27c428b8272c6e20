//! `docs/functions.md` is what the tables say. `UPDATE_EXPECTED=1 cargo test -p plan --lib functions_are_documented` writes it again.
//!
//! Its examples are cases of `cases/*.txt`: their answers are Postgres', and the tests beside this one run them.

use super::super::all;
use super::{files, sql};
use repr::Type;
use std::collections::BTreeMap;
use std::fmt::Write;

/// An example is no longer than this: it shows what a function does, not its limits.
const EXAMPLE_BYTES_MAX: usize = 160;

/// The system types are below.
const OID_MAX: u32 = 16_383;

fn type_name(scalar: &Type) -> String {
    match scalar {
        Type::Any => "any".to_string(),
        Type::Record(_) => "record".to_string(),
        other => other.sql_name(-1),
    }
}

fn list(types: &[Type], variadic: bool) -> String {
    let last = types.len().saturating_sub(1);
    let shown = types.iter().enumerate().map(|(position, scalar)| match variadic && position == last {
        true => format!("{} ...", type_name(scalar)),
        false => type_name(scalar),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The first case of each name that has a value, as SQL with its answer.
fn examples() -> BTreeMap<String, String> {
    let mut examples = BTreeMap::new();
    for (_, cases) in files() {
        for line in cases.lines().filter(|line| !line.starts_with("--")) {
            let Some((call, answer)) = line.split_once(" => ") else { continue };
            let name = call.split(" ; ").next().unwrap_or_default().trim();
            let shown = format!("`{}` → `{answer}`", sql(call));
            if answer.is_empty() || answer == "NULL" || answer.starts_with('!') || shown.len() > EXAMPLE_BYTES_MAX || shown.matches('`').count() > 4 {
                continue;
            }
            examples.entry(name.to_string()).or_insert(shown);
        }
    }
    examples
}

fn document() -> String {
    let mut page = String::from(
        "# Functions, operators, aggregates and types\n\n\
         Written from the tables in `plan/src/functions`, `plan/src/aggregate` and `plan/src/table_function.rs` (`make docs`); a test fails when this page and\n\
         the tables differ. The examples are cases whose answers Postgres 15 gave, run by `cargo test -p plan`.\n",
    );
    let mut write = |text: std::fmt::Arguments<'_>| page.write_fmt(text).expect("a string takes everything");
    let examples = examples();
    let is_operator = |name: &str| !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    for (title, operators) in [("Operators", true), ("Functions", false)] {
        write(format_args!("\n## {title}\n\n| name | arguments | result | |\n|---|---|---|---|\n"));
        let mut entries: Vec<_> = all().iter().filter(|entry| is_operator(entry.name) == operators).collect();
        entries.sort_by_key(|entry| entry.name);
        let mut previous = "";
        for entry in entries {
            let example = match examples.get(entry.name) {
                Some(example) if previous != entry.name => format!(" {example}"),
                _ => String::new(),
            };
            previous = entry.name;
            write(format_args!(
                "| `{}` | {} | {} | {}{} |\n",
                cell(entry.name),
                list(&entry.arguments, entry.variadic),
                type_name(&entry.result),
                entry.description,
                cell(&example)
            ));
        }
    }
    write(format_args!(
        "\n## Aggregates\n\nWhat keeping one up to date costs: *sum*: O(1) per change; *extremum*: O(log n); *group*: the changed group once more.\n\n\
         | name | arguments | result | kept as | |\n|---|---|---|---|---|\n"
    ));
    let mut aggregates: Vec<_> = crate::aggregate::all().iter().collect();
    aggregates.sort_by_key(|entry| entry.name);
    for entry in aggregates {
        let kept = match entry.strategy {
            crate::aggregate::Strategy::Accumulable => "sum",
            crate::aggregate::Strategy::Extremum => "extremum",
            crate::aggregate::Strategy::Recomputed => "group",
        };
        let arguments = if entry.arguments.is_empty() { "*".to_string() } else { list(&entry.arguments, false) };
        write(format_args!("| `{}` | {arguments} | {} | {kept} | {} |\n", entry.name, type_name(&entry.result), entry.description));
    }
    write(format_args!("\n## Functions that return rows\n\nIn FROM (also WITH ORDINALITY) and in select lists: "));
    let names: Vec<String> = crate::table_function::NAMES.iter().map(|name| format!("`{name}`")).collect();
    write(format_args!("{}.\n", names.join(", ")));
    write(format_args!("\n## Types\n\n| name | OID | array's OID |\n|---|---|---|\n"));
    let mut types: Vec<(String, u32, u32)> =
        (1..=OID_MAX).filter_map(Type::from_oid).filter(|scalar| scalar.array_oid() != 0).map(|scalar| (scalar.sql_name(-1), scalar.oid(), scalar.array_oid())).collect();
    types.sort();
    for (name, oid, array_oid) in types {
        write(format_args!("| `{name}` | {oid} | {array_oid} |\n"));
    }
    page
}

#[test]
fn functions_are_documented() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
    let page = document();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &page).expect("docs/functions.md can be written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/functions.md is there");
    let differs = found.lines().zip(page.lines()).find(|(found, page)| found != page);
    assert!(found == page, "docs/functions.md is not what the tables say; run `make docs`. First difference: {differs:?}");
}

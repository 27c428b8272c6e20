//! Queries bound, decorrelated, optimized and run over a small database, against the rows Postgres gives (`queries.txt`), the plans we want
//! (`plans.txt`) and the errors we owe (`errors.txt`).
//!
//! Each file is a list of cases: the text, a line of four dashes, the expectation, a blank line. `UPDATE_EXPECTED=1` rewrites the expectations.
//! Every query also runs unoptimized: the optimizer may change nothing.

use crate::error::{BindError, BindResult, codes};
use crate::parse::{self, Statement};
use crate::{IndexInfo, Mode, Names, Parameters, Relation, RelationKind, SessionContext};
use plan::{Context, Inputs, Plan, Scalar, evaluate};
use repr::{CollectionId, Datum, Diff, EvalError, Row, Schema};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

#[derive(Default)]
struct Database {
    relations: BTreeMap<String, Arc<Relation>>,
    defaults: HashMap<(CollectionId, usize), parse::ast::Expr>,
    rows: HashMap<CollectionId, Vec<(Row, Diff)>>,
}

impl Names for Database {
    fn resolve_relation(&self, parts: &[String], _search_path: &[String]) -> BindResult<Arc<Relation>> {
        let found = parts.last().and_then(|name| self.relations.get(name));
        found.cloned().ok_or_else(|| BindError::new(codes::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", parts.join("."))))
    }
    fn keys_of(&self, id: CollectionId) -> Vec<Vec<usize>> {
        self.relations.values().find(|relation| relation.id == id).map(|relation| relation.schema.keys.clone()).unwrap_or_default()
    }
    fn indexes_of(&self, id: CollectionId) -> Vec<IndexInfo> {
        self.relations.values().find(|relation| relation.id == id).map(|relation| relation.indexes.clone()).unwrap_or_default()
    }
    fn default_of(&self, id: CollectionId, column: usize) -> Option<parse::ast::Expr> {
        self.defaults.get(&(id, column)).cloned()
    }
}

impl Inputs for Database {
    fn scan(&self, id: CollectionId, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        for (row, diff) in self.rows.get(&id).into_iter().flatten() {
            if !visit(row.as_bytes(), *diff) {
                break;
            }
        }
        Ok(())
    }
    fn lookup(&self, id: CollectionId, _index: CollectionId, key: &Row, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        let key_columns = self.keys_of(id).first().cloned().unwrap_or_default();
        for (row, diff) in self.rows.get(&id).into_iter().flatten() {
            let mut own = repr::RowBuilder::new();
            key_columns.iter().for_each(|column| own.push_canonical(row.get(*column).unwrap_or(Datum::Null)));
            if own.as_bytes() == key.as_bytes() && !visit(row.as_bytes(), *diff) {
                break;
            }
        }
        Ok(())
    }
    fn range(
        &self,
        id: CollectionId,
        _index: CollectionId,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        descending: bool,
        visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) -> Result<(), EvalError> {
        let key_columns = self.keys_of(id).first().cloned().unwrap_or_default();
        let mut found: Vec<(Vec<u8>, &Row, Diff)> = Vec::new();
        for (row, diff) in self.rows.get(&id).into_iter().flatten() {
            let mut own = repr::RowBuilder::new();
            key_columns.iter().for_each(|column| own.push_canonical(row.get(*column).unwrap_or(Datum::Null)));
            let key = own.as_bytes().to_vec();
            if lower.is_none_or(|lower| key.as_slice() >= lower) && upper.is_none_or(|upper| key.as_slice() < upper) {
                found.push((key, row, *diff));
            }
        }
        found.sort();
        if descending {
            found.reverse();
        }
        for (_, row, diff) in found {
            if !visit(row.as_bytes(), diff) {
                break;
            }
        }
        Ok(())
    }
}

fn session() -> SessionContext {
    SessionContext::default()
}

fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let mut database = Database::default();
        for parsed in parse::parse(include_str!("setup.sql")).expect("the setup parses") {
            match parsed.statement {
                Statement::CreateTable(create) => create_table(&mut database, &create),
                Statement::Insert(insert) => {
                    let bound = crate::bind_insert(&insert, &database, &session(), &mut Parameters::default()).expect("the setup binds");
                    let rows = evaluate(&bound.plan, &database, &Context::default()).expect("the setup runs");
                    database.rows.entry(bound.table).or_default().extend(rows);
                }
                Statement::CreateView(create) => create_view(&mut database, &create),
                other => panic!("not a setup statement: {other:?}"),
            }
        }
        database
    })
}

fn create_table(database: &mut Database, create: &parse::CreateTable) {
    let bound = crate::bind_columns(&create.columns, database, &session()).expect("the columns bind");
    let name = create.name.to_string();
    let id = CollectionId(CollectionId::FIRST_USER.0 + database.relations.len() as u64);
    for (position, column) in bound.columns.iter().enumerate() {
        if let Some(default) = &column.default {
            database.defaults.insert((id, position), default.clone());
        }
    }
    let indexes = match bound.schema.keys.first() {
        Some(key) => vec![IndexInfo { id, key: key.iter().map(|column| Scalar::Column(*column)).collect(), unique: true }],
        None => Vec::new(),
    };
    let relation = Relation {
        id,
        kind: RelationKind::Table,
        schema_name: "public".to_string(),
        name: name.clone(),
        schema: bound.schema,
        view: None,
        indexes,
        append_only: false,
    };
    database.relations.insert(name, Arc::new(relation));
}

fn create_view(database: &mut Database, create: &parse::CreateView) {
    let bound = crate::bind_body(&create.query, database, &session(), &mut Parameters::default(), Mode::Maintained).expect("the view binds");
    let mut schema = bound.schema;
    for (column, name) in schema.columns.iter_mut().zip(&create.columns) {
        column.name = parse::ident_value(name);
    }
    let name = create.name.to_string();
    let relation = Relation {
        id: CollectionId(CollectionId::FIRST_USER.0 + database.relations.len() as u64),
        kind: RelationKind::View,
        schema_name: "public".to_string(),
        name: name.clone(),
        schema,
        view: Some(Arc::new(crate::ViewDefinition { query: create.query.clone(), search_path: vec!["public".to_string()] })),
        indexes: Vec::new(),
        append_only: false,
    };
    database.relations.insert(name, Arc::new(relation));
}

/// Runs a test on a thread with the stack the crate asks for.
fn with_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(crate::STACK_BYTES_MIN).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn case_path(file: &str) -> String {
    format!("{}/src/tests/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs `answer` over every case of a file and compares, or rewrites the file.
fn check_file(file: &'static str, answer: fn(&str) -> String) {
    with_stack(move || {
        let path = case_path(file);
        let text = std::fs::read_to_string(&path).expect("the cases");
        let (mut rewritten, mut failures) = (String::new(), String::new());
        for case in text.split("\n\n").map(|case| case.trim_matches('\n')).filter(|case| !case.is_empty()) {
            let (query, expected) = case.split_once("\n----").unwrap_or((case, ""));
            let query_text: String = query.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
            if query_text.is_empty() {
                writeln!(rewritten, "{query}\n").expect("writes to a string");
                continue;
            }
            let found = std::panic::catch_unwind(|| answer(&query_text)).unwrap_or_else(|_| "PANIC".to_string());
            if found.trim_end() != expected.trim_matches('\n').trim_end() {
                writeln!(failures, "{query_text}\n---- expected{expected}\n---- found\n{found}\n").expect("writes to a string");
            }
            writeln!(rewritten, "{query}\n----\n{}\n", found.trim_end()).expect("writes to a string");
        }
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, rewritten.trim_end().to_string() + "\n").expect("writes the cases");
        } else {
            assert!(failures.is_empty(), "{failures}");
        }
    });
}

fn bind(query: &str, mode: Mode) -> BindResult<crate::BoundQuery> {
    let mut parameters = Parameters::default();
    match parse::parse(query) {
        Ok(statements) => match statements.into_iter().next().map(|parsed| parsed.statement) {
            Some(Statement::Select(select)) => crate::bind_body(&select.body, database(), &session(), &mut parameters, mode),
            _ => Err(BindError::unsupported("not a query")),
        },
        Err(error) => Err(BindError::new(codes::SYNTAX_ERROR, error.message)),
    }
}

/// Rows as psql shows them unaligned, sorted unless the query sorts them.
fn show(schema: &Schema, order: &[plan::ColumnOrder], rows: Vec<(Row, Diff)>) -> String {
    let mut lines: Vec<(Vec<u8>, String)> = Vec::new();
    for (row, diff) in rows {
        let mut key = repr::RowBuilder::new();
        for column in order {
            key.push_sort_key(row.get(column.column).unwrap_or(Datum::Null), column.direction);
        }
        let values: Vec<String> = row
            .iter()
            .zip(&schema.columns)
            .map(|(datum, column)| {
                let mut out = String::new();
                match datum {
                    Datum::Null => out.push_str("NULL"),
                    datum => repr::text::write(&datum, &column.column_type.scalar, &Default::default(), &mut out),
                }
                out
            })
            .collect();
        for _ in 0..diff {
            lines.push((key.as_bytes().to_vec(), values.join("|")));
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

fn run(plan: &Plan, bound: &crate::BoundQuery) -> String {
    match evaluate(plan, database(), &Context::default()) {
        Ok(rows) => show(&bound.schema, &bound.order, rows),
        Err(error) => format!("ERROR {} {}", error.code(), error.message()),
    }
}

/// The names of the columns, then the rows, of the optimized plan; what the plan as it was bound says must be the same.
fn rows_of(query: &str) -> String {
    let bound = match bind(query, Mode::OneShot) {
        Ok(bound) => bound,
        Err(error) => return format!("BIND ERROR {} {}", error.sqlstate(), error.message()),
    };
    let plain = run(&bound.plan, &bound);
    let optimized = crate::optimize(bound.plan.clone(), database(), Mode::OneShot);
    let optimized_rows = run(&optimized, &bound);
    if plain != optimized_rows {
        return format!("OPTIMIZED DIFFERS\n{plain}---\n{optimized_rows}---\n{}", explain(&optimized));
    }
    let maintained = run(&crate::optimize(bound.plan.clone(), database(), Mode::Maintained), &bound);
    if plain != maintained {
        return format!("MAINTAINED DIFFERS\n{plain}---\n{maintained}");
    }
    let with_access = run(&crate::choose_access(optimized, &|id| database().indexes_of(id)), &bound);
    if plain != with_access {
        return format!("WITH INDEXES DIFFERS\n{plain}---\n{with_access}");
    }
    let names: Vec<&str> = bound.schema.columns.iter().map(|column| column.name.as_str()).collect();
    format!("{}\n{plain}", names.join("|"))
}

fn explain(plan: &Plan) -> String {
    let names = |id: CollectionId| database().relations.values().find(|relation| relation.id == id).map(|relation| relation.name.clone());
    plan::explain::text(plan, &names)
}

fn plan_of(query: &str) -> String {
    match bind(query, Mode::OneShot) {
        Ok(bound) => {
            let optimized = crate::optimize(bound.plan, database(), Mode::OneShot);
            explain(&crate::choose_access(optimized, &|id| database().indexes_of(id)))
        }
        Err(error) => format!("BIND ERROR {} {}", error.sqlstate(), error.message()),
    }
}

fn error_of(query: &str) -> String {
    let (query, mode) = match query.strip_prefix("MAINTAINED ") {
        Some(rest) => (rest, Mode::Maintained),
        None => (query, Mode::OneShot),
    };
    match bind(query, mode) {
        Ok(_) => "no error".to_string(),
        Err(error) => {
            let position = error.position(query).map_or("-".to_string(), |position| position.to_string());
            let mut out = format!("{} {position} {}", error.sqlstate(), error.message());
            if let Some(detail) = error.detail() {
                write!(out, "\nDETAIL {detail}").expect("writes to a string");
            }
            if let Some(hint) = error.hint() {
                write!(out, "\nHINT {hint}").expect("writes to a string");
            }
            out
        }
    }
}

#[test]
fn queries_give_postgres_rows() {
    check_file("queries.txt", rows_of);
}

#[test]
fn plans_are_the_ones_we_want() {
    check_file("plans.txt", plan_of);
}

#[test]
fn errors_are_postgres() {
    check_file("errors.txt", error_of);
}

#[test]
fn parameters_take_their_types_from_use() {
    let query = "SELECT $1 + 1, $2 || 'x', a FROM t WHERE b = $3 AND c IN ($4, 'y') LIMIT $5";
    let mut parameters = Parameters::default();
    let parsed = parse::parse_query(query).expect("parses");
    crate::bind_query(&parsed, database(), &session(), &mut parameters, Mode::OneShot).expect("binds");
    let names: Vec<String> = parameters.types().iter().flatten().map(|found| found.sql_name(-1)).collect();
    assert_eq!(names, ["integer", "text", "integer", "text", "bigint"]);
}

#[test]
fn long_lists_are_linear_and_deep_nesting_is_refused() {
    with_stack(|| {
        let list: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        let found = rows_of(&format!("SELECT count(*) FROM t WHERE a IN ({})", list.join(",")));
        assert_eq!(found, "count\n5\n");
        let rows: Vec<String> = (0..50_000).map(|number| format!("({number},'x')")).collect();
        let found = rows_of(&format!("SELECT count(*) FROM (VALUES {}) v(a, b)", rows.join(",")));
        assert_eq!(found, "count\n50000\n");
        let deep = format!("SELECT {}1{}", "(SELECT ".repeat(400), ")".repeat(400));
        let answer = error_of(&deep);
        assert!(answer == "no error" || answer.contains("54001") || answer.contains("42601"), "{answer}");
    });
}

#[test]
fn rows_are_inserted_updated_and_deleted() {
    with_stack(|| {
        let mut parameters = Parameters::default();
        let statement = |text: &str| parse::parse(text).expect("parses").remove(0).statement;
        let show_rows = |plan: &Plan| {
            let plan = crate::optimize(plan.clone(), database(), Mode::OneShot);
            let rows = evaluate(&plan, database(), &Context::default()).expect("runs");
            rows.iter().map(|(row, diff)| format!("{row:?} * {diff}\n")).collect::<String>()
        };
        let Statement::Insert(insert) = statement("INSERT INTO orders (amount, id) VALUES ('1.5', 1), (DEFAULT, 2)") else { panic!() };
        let bound = crate::bind_insert(&insert, database(), &session(), &mut parameters).expect("binds");
        assert_eq!(evaluate(&bound.plan, database(), &Context::default()).expect("runs").len(), 2);
        assert_eq!(bound.plan.arity(), 5);
        let Statement::Update(update) = statement("UPDATE t SET b = t.b + 1, c = DEFAULT WHERE a = 2 RETURNING a, b AS bb") else { panic!() };
        let bound = crate::bind_update(&update, database(), &session(), &mut parameters).expect("binds");
        assert_eq!(bound.plan.arity(), 6);
        assert_eq!(show_rows(&bound.plan).lines().count(), 2);
        let returning = bound.returning.expect("returns");
        assert_eq!(returning.schema.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "bb"]);
        let Statement::Delete(delete) = statement("DELETE FROM t USING orders o WHERE o.customer_id = t.a") else { panic!() };
        let bound = crate::bind_delete(&delete, database(), &session(), &mut parameters).expect("binds");
        assert_eq!(show_rows(&bound.plan).lines().count(), 4, "{}", show_rows(&bound.plan));
    });
}

//! Random queries over random schemas under random changes: after every batch of changes a maintained view, a SELECT, and Postgres agree.
//!
//! `RANDOM_SQL_SEED`, `RANDOM_SQL_SCHEMAS`, `RANDOM_SQL_QUERIES` (of each schema) and `RANDOM_SQL_BATCHES` make a run longer, or repeat one. A disagreement is
//! shrunk, query and changes both, before it is reported.

use std::env;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tests::judge::{Answer, Endpoint};
use tests::random::{Coverage, Node, Schema, Sort, Ty, query, smaller};
use tests::{Postgres, Tidemark, TidemarkOptions};

const SCHEMAS: u64 = 25;
const QUERIES: usize = 20;
const BATCHES: usize = 5;
/// Candidates tried to make a failing query smaller.
const SHRINKS_MAX: usize = 2000;
/// What a run of the usual length must have had in it, so that it cannot pass by trying little.
const PARTS_MIN: usize = 120;
const PAIRS_MIN: usize = 200;

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The two servers.
struct Pair {
    postgres: Endpoint,
    tidemark: Endpoint,
    /// Views that the last run may have left.
    views: usize,
}

#[derive(Default)]
struct Counts {
    queries: usize,
    comparisons: usize,
    rows: usize,
    /// Queries that Postgres fails to answer.
    failing: usize,
}

/// What makes one query with its changes: enough to run it again.
#[derive(Clone)]
struct Case {
    schema: Schema,
    batches: Vec<Vec<String>>,
    query: Node,
}

/// Two answers that should be the same.
struct Disagreement {
    way: &'static str,
    batch: usize,
    expected: String,
    found: String,
}

impl Case {
    fn types(&self) -> &[Ty] {
        match &self.query.sort {
            Sort::Query(types) => types,
            _ => &[],
        }
    }
}

/// Rows in an order of their own, as one text. A numeric's trailing zeros say which of several equal values was kept, which is the server's choice.
fn shown(answer: &Answer, types: &[Ty]) -> String {
    match answer {
        Answer::Rows { rows, .. } => {
            let value = |(column, value): (usize, &Option<String>)| match (value, types.get(column)) {
                (None, _) => "NULL".to_owned(),
                (Some(text), Some(Ty::Numeric)) if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                (Some(text), _) => text.clone(),
            };
            let mut lines: Vec<String> = rows.iter().map(|row| row.iter().enumerate().map(value).collect::<Vec<_>>().join(" | ")).collect();
            lines.sort();
            lines.join("\n")
        }
        Answer::Error { code, message } => format!("ERROR {code}: {message}"),
        Answer::Lost(reason) => format!("LOST {reason}"),
    }
}

fn is_error(answer: &Answer) -> bool {
    !matches!(answer, Answer::Rows { .. })
}

impl Pair {
    /// Both must do it.
    fn both(&mut self, sql: &str) -> Result<()> {
        for (name, server) in [("Postgres", &mut self.postgres), ("Tidemark", &mut self.tidemark)] {
            let answer = server.simple(sql);
            ensure!(!is_error(&answer), "{name}: {}\n{sql}", shown(&answer, &[]));
        }
        Ok(())
    }

    /// Compares one way of asking; both may fail if they fail alike.
    fn compare(&mut self, case: &Case, way: &'static str, batch: usize, expected: &Answer, found: Answer, counts: &mut Counts) -> Option<Disagreement> {
        counts.comparisons += 1;
        let (expected, found) = match (expected, &found) {
            (Answer::Error { code, .. }, Answer::Error { code: own, .. }) if code == own => return None,
            _ => (shown(expected, case.types()), shown(&found, case.types())),
        };
        (expected != found).then_some(Disagreement { way, batch, expected, found })
    }

    /// Runs queries over one schema with its changes; the first disagreement of each.
    fn run(&mut self, schema: &Schema, batches: &[Vec<String>], queries: &[Node], counts: &mut Counts) -> Result<Vec<(usize, Disagreement)>> {
        // Whatever an earlier run left.
        for server in [&mut self.postgres, &mut self.tidemark] {
            if server.is_lost() {
                server.reconnect()?;
            }
            for number in 0..self.views {
                server.simple(&format!("DROP VIEW IF EXISTS v{number}"));
                server.simple(&format!("DROP MATERIALIZED VIEW IF EXISTS v{number}"));
                server.simple(&format!("DROP MATERIALIZED VIEW IF EXISTS late{number}"));
            }
            for statement in Schema::clear() {
                server.simple(&statement);
            }
        }
        self.views = self.views.max(queries.len());
        for statement in schema.create() {
            self.both(&statement)?;
        }
        let mut found: Vec<(usize, Disagreement)> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for (number, query) in queries.iter().enumerate() {
            counts.queries += 1;
            let sql = query.sql();
            // What Postgres does not take is a slip of the generator's, not a question.
            let refused = self.postgres.simple(&format!("CREATE VIEW v{number} AS {sql}"));
            if is_error(&refused) {
                counts.failing += 1;
                if env::var_os("RANDOM_SQL_SHOW_REFUSED").is_some() {
                    println!("Postgres refuses: {}\n{sql}", shown(&refused, &[]));
                }
                continue;
            }
            let created = self.tidemark.simple(&format!("CREATE MATERIALIZED VIEW v{number} AS {sql}"));
            if is_error(&created) {
                let expected = "a materialized view".to_owned();
                found.push((number, Disagreement { way: "CREATE MATERIALIZED VIEW", batch: 0, expected, found: shown(&created, &[]) }));
                if self.tidemark.is_lost() {
                    return Ok(found);
                }
                continue;
            }
            open.push(number);
        }
        for (batch, statements) in batches.iter().enumerate() {
            for statement in statements {
                self.both(statement)?;
            }
            let is_last = batch + 1 == batches.len();
            open.retain(|number| {
                let case = Case { schema: schema.clone(), batches: batches.to_vec(), query: queries[*number].clone() };
                let sql = case.query.sql();
                let expected = self.postgres.simple(&sql);
                if let Answer::Rows { rows, .. } = &expected {
                    counts.rows += rows.len();
                }
                let mut ways: Vec<(&'static str, String)> = vec![("SELECT", sql.clone()), ("MATERIALIZED VIEW", format!("SELECT * FROM v{number}"))];
                if is_last {
                    let late = self.tidemark.simple(&format!("CREATE MATERIALIZED VIEW late{number} AS {sql}"));
                    if is_error(&late) {
                        found.push((*number, Disagreement { way: "late view", batch, expected: "a view".to_owned(), found: shown(&late, &[]) }));
                        return false;
                    }
                    ways.push(("MATERIALIZED VIEW created after", format!("SELECT * FROM late{number}")));
                }
                for (way, question) in ways {
                    let answer = self.tidemark.simple(&question);
                    if let Some(disagreement) = self.compare(&case, way, batch, &expected, answer, counts) {
                        found.push((*number, disagreement));
                        return false;
                    }
                }
                true
            });
        }
        Ok(found)
    }

    /// Makes a failing case small: fewer batches, fewer changes, a smaller query.
    fn shrink(&mut self, mut case: Case, mut last: Disagreement) -> Result<(Case, Disagreement)> {
        let mut left = SHRINKS_MAX;
        loop {
            let mut candidates: Vec<Case> = Vec::new();
            if !case.batches.is_empty() {
                candidates.push(Case { batches: Vec::new(), ..case.clone() });
            }
            for batch in 0..case.batches.len() {
                if case.batches.len() > 1 {
                    let mut smaller = case.clone();
                    smaller.batches.remove(batch);
                    candidates.push(smaller);
                }
                for statement in 0..case.batches[batch].len() {
                    let mut smaller = case.clone();
                    smaller.batches[batch].remove(statement);
                    candidates.push(smaller);
                }
            }
            candidates.extend(smaller(&case.query).into_iter().map(|query| Case { query, ..case.clone() }));
            let mut is_smaller = false;
            for candidate in candidates {
                if left == 0 {
                    return Ok((case, last));
                }
                left -= 1;
                let found = self.run(&candidate.schema, &candidate.batches, std::slice::from_ref(&candidate.query), &mut Counts::default());
                if let Ok(mut found) = found
                    && let Some((_, disagreement)) = found.pop()
                {
                    (case, last) = (candidate, disagreement);
                    is_smaller = true;
                    break;
                }
            }
            if !is_smaller {
                return Ok((case, last));
            }
        }
    }
}

fn report(case: &Case, disagreement: &Disagreement, seed: u64) -> String {
    let changes: Vec<String> = case.batches.iter().map(|batch| batch.iter().map(|statement| format!("{statement};\n")).collect()).collect();
    format!(
        "{} after batch {}, seed {seed}:\n{};\n{}\n{};\n--- Postgres:\n{}\n--- Tidemark:\n{}\n",
        disagreement.way,
        disagreement.batch,
        case.schema.create().join(";\n"),
        changes.join("-- batch\n"),
        case.query.sql(),
        disagreement.expected,
        disagreement.found
    )
}

#[test]
fn views_and_selects_equal_postgres_after_every_batch() -> Result<()> {
    let first = number("RANDOM_SQL_SEED", 1);
    let schemas: u64 = number("RANDOM_SQL_SCHEMAS", SCHEMAS);
    let (queries, batches): (usize, usize) = (number("RANDOM_SQL_QUERIES", QUERIES), number("RANDOM_SQL_BATCHES", BATCHES));
    let database = Postgres::shared()?.create_database()?;
    let workers = number("RANDOM_SQL_WORKERS", 2);
    let tidemark = Tidemark::start(TidemarkOptions { flags: vec!["--workers".to_owned(), format!("{workers}")], ..TidemarkOptions::default() })?;
    let mut pair = Pair { postgres: Endpoint::connect(&database.connection_string())?, tidemark: Endpoint::connect(&tidemark.connection_string())?, views: 0 };
    let mut coverage = Coverage::default();
    let mut counts = Counts::default();
    let mut reports: Vec<String> = Vec::new();
    for seed in first..first + schemas {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let schema = Schema::generate(&mut random);
        let changes: Vec<Vec<String>> = (0..batches).map(|batch| schema.changes(&mut random, batch)).collect();
        let asked: Vec<Node> = (0..queries).map(|_| query(&schema, &mut random)).collect();
        asked.iter().for_each(|query| coverage.add(query));
        let found = pair.run(&schema, &changes, &asked, &mut counts).with_context(|| format!("seed {seed}"))?;
        for (number, disagreement) in found {
            let case = Case { schema: schema.clone(), batches: changes.clone(), query: asked[number].clone() };
            let (case, disagreement) = pair.shrink(case, disagreement)?;
            let text = report(&case, &disagreement, seed);
            println!("{text}");
            reports.push(text);
        }
    }
    println!(
        "seeds {first}..{}: {} queries ({} refused by Postgres), {} comparisons, {} rows, {} disagreements\n{coverage}",
        first + schemas,
        counts.queries,
        counts.failing,
        counts.comparisons,
        counts.rows,
        reports.len()
    );
    ensure!(reports.is_empty(), "{} disagreements; replay one with RANDOM_SQL_SEED=<seed> RANDOM_SQL_SCHEMAS=1", reports.len());
    ensure!(counts.failing * 10 <= counts.queries, "Postgres refuses {} of {} queries", counts.failing, counts.queries);
    if schemas >= SCHEMAS {
        ensure!(coverage.parts() >= PARTS_MIN && coverage.pairs() >= PAIRS_MIN, "only {} parts and {} pairs", coverage.parts(), coverage.pairs());
    }
    Ok(())
}

/// A planted difference is found and shrunk: the same run against Postgres whose answers are looked at through a glass that drops a row would be the whole
/// machinery again, so the comparison itself is what is tried here.
#[test]
fn a_missing_row_is_a_disagreement() {
    let rows = |values: &[&str]| Answer::Rows { rows: values.iter().map(|value| vec![Some((*value).to_owned())]).collect(), count: values.len() as u64 };
    let types = [Ty::Numeric];
    assert_eq!(shown(&rows(&["2.50", "1"]), &types), shown(&rows(&["1", "2.5"]), &types));
    assert_ne!(shown(&rows(&["1", "1"]), &types), shown(&rows(&["1"]), &types));
    assert_ne!(shown(&rows(&["10"]), &types), shown(&rows(&["1"]), &types));
    let error = Answer::Error { code: "22012".to_owned(), message: String::new() };
    assert_ne!(shown(&error, &types), shown(&rows(&[]), &types));
}

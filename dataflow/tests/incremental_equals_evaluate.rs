//! The main test: at every timestamp, what is maintained equals what is computed anew.
//!
//! `TIDEMARK_CHECKS` raises the number of checks, `TIDEMARK_SEED` replays one case: its seed is printed on failure.

mod support;

use dataflow::{Frame, IndexDescription, InputDescription, RelationSnapshot, ViewDescription};
use plan::{Context, Plan, Scalar, evaluate};
use rand::Rng;
use repr::{CollectionId, ColumnType, Diff, EvalError, Row, Timestamp};
use std::collections::BTreeMap;
use support::drive::Driver;
use support::plans::Generator;
use support::tables::{Contents, Counters, change, table_id, table_types};
use support::{once_in, random, setting};

const CHECKS_MIN: u64 = 20_000;
/// Rows beyond which a plan is not worth its time.
const ROWS_MAX: usize = 3_000;
const MEMORY_BYTES_MAX: usize = 4 << 20;

/// What every run must have seen at least once.
const NODES: &[&str] = &[
    "get", "get local", "constant", "constant error", "map", "filter", "project", "repeat", "assert one row", "with ordinality", "generate_series",
    "linear join of 1", "linear join of 2", "linear join of 3", "linear join of 4", "delta join of 2", "delta join of 3", "delta join of 4", "reduce",
    "distinct", "top-k", "top-k with ties", "window", "window over several partitions", "negate", "negative multiplicities", "union", "threshold", "let",
    "recursion", "nested recursion", "recursion with a limit", "aggregate count", "aggregate count(*)", "aggregate sum", "aggregate avg", "aggregate min",
    "aggregate max", "aggregate bool_and", "aggregate bool_or", "aggregate string_agg", "aggregate array_agg", "aggregate any_value",
    "aggregate sum distinct", "aggregate count distinct", "aggregate stddev", "aggregate var_pop", "aggregate corr", "aggregate regr_count",
    "aggregate regr_intercept", "aggregate covar_samp", "aggregate bit_and", "aggregate bit_or", "aggregate bit_xor", "aggregate json_agg",
    "aggregate jsonb_agg", "aggregate jsonb_object_agg", "aggregate json_object_agg", "aggregate percentile_disc", "aggregate percentile_cont",
    "aggregate mode", "index", "view over a view", "view created later", "view dropped",
];

#[derive(Default)]
struct Totals {
    checks: u64,
    failing: u64,
    rows: u64,
    counters: Counters,
    nodes: BTreeMap<String, usize>,
}

struct View {
    id: CollectionId,
    plan: Plan,
    as_of: Timestamp,
}

#[test]
fn every_timestamp() {
    let mut totals = Totals::default();
    if let Some(seed) = setting("TIDEMARK_SEED") {
        case(seed, &mut totals);
        return;
    }
    let wanted = setting("TIDEMARK_CHECKS").unwrap_or(CHECKS_MIN);
    let mut seed = 1;
    while totals.checks < wanted {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(seed, &mut totals)));
        if let Err(panic) = failed {
            eprintln!("seed {seed} failed; replay with TIDEMARK_SEED={seed} cargo test -p dataflow --test incremental_equals_evaluate");
            std::panic::resume_unwind(panic);
        }
        seed += 1;
    }
    println!("{} checks of {} cases, {} of them errors, {} rows compared", totals.checks, seed - 1, totals.failing, totals.rows);
    println!("{:?}", totals.counters);
    totals.nodes.iter().for_each(|(node, count)| println!("{node}: {count}"));
    for node in NODES {
        assert!(totals.nodes.contains_key(*node), "no plan had: {node}");
    }
    let Counters { insertions, retractions, errors, healed } = totals.counters;
    assert!(insertions > 0 && retractions > 0 && errors > 0 && healed > 0 && totals.failing > 0 && totals.rows > 0);
    assert!(totals.failing * 2 < totals.checks, "most checks compare rows, not errors");
}

fn case(seed: u64, totals: &mut Totals) {
    let mut random = random(seed);
    // Mostly without threads, which is fastest; one case in eight on one, one in eight on two workers.
    let mut driver = Driver::new(match seed % 8 {
        0 => 2,
        1 => 1,
        _ => 0,
    });
    let types = table_types();
    let mut contents = Contents::default();
    let start = Timestamp(random.random_range(1..1000));
    for (number, types) in types.iter().enumerate() {
        let key = match random.random_range(0..3) {
            0 => Vec::new(),
            1 => vec![random.random_range(0..types.len())],
            _ => (0..types.len()).collect(),
        };
        driver.control().create_input(table_id(number), InputDescription { types: types.clone(), key }, start).unwrap();
    }
    let mut collections: Vec<(CollectionId, Vec<ColumnType>)> = types.iter().enumerate().map(|(number, types)| (table_id(number), types.clone())).collect();
    let mut next_id = 100;
    let mut views: Vec<View> = Vec::new();
    let mut lower = start;
    let mut history: Vec<(Timestamp, Contents)> = Vec::new();
    for round in 0..random.random_range(3..7) {
        if once_in(&mut random, 3) {
            create_index(&mut random, &driver, &types, &mut next_id, lower, totals);
        }
        let wanted = if round == 0 { random.random_range(1..4) } else { usize::from(once_in(&mut random, 3)) };
        for _ in 0..wanted {
            let view = create_view(&mut random, &driver, &collections, &history, &mut next_id, lower, totals);
            if round > 0 {
                *totals.nodes.entry("view created later".to_string()).or_default() += 1;
            }
            collections.push((view.id, view.plan.column_types()));
            views.push(view);
        }
        // One frame of one to three timestamps.
        let times: Vec<Timestamp> = (0..random.random_range(1..4)).scan(lower, |time, step| {
            if step > 0 {
                *time = Timestamp(time.0 + random.random_range(1..3));
            }
            Some(*time)
        }).collect();
        let upper = Timestamp(times[times.len() - 1].0 + random.random_range(1..3));
        let mut batches = Vec::new();
        for &time in &times {
            for (number, types) in types.iter().enumerate() {
                batches.push(change(&mut random, table_id(number), types, time, &mut contents, &mut totals.counters));
            }
            let mut at_time = contents.clone();
            for view in &views {
                let result = evaluate(&view.plan, &at_time, &Context::default());
                at_time.set(view.id, &result);
            }
            history.push((time, at_time));
        }
        // Every time of the frame must still be readable when it is checked.
        let all: Vec<CollectionId> = collections.iter().map(|(id, _)| *id).collect();
        for id in &all {
            driver.control().allow_compaction(*id, lower).unwrap();
        }
        driver.control().update(Frame { upper, batches }).unwrap();
        driver.wait(&all, upper);
        check(&driver, &views, &times, &history, totals);
        lower = upper;
        if once_in(&mut random, 4)
            && let Some(view) = views.last()
        {
            *totals.nodes.entry("view dropped".to_string()).or_default() += 1;
            let id = view.id;
            driver.control().drop_relation(id).unwrap();
            driver.wait_for("drop", |control| control.published().get(id).is_none());
            views.pop();
            collections.retain(|(other, _)| *other != id);
        }
    }
}

fn create_index(random: &mut support::Random, driver: &Driver, types: &[Vec<ColumnType>], next_id: &mut usize, as_of: Timestamp, totals: &mut Totals) {
    *totals.nodes.entry("index".to_string()).or_default() += 1;
    let on = random.random_range(0..types.len());
    let key = (0..random.random_range(1..3)).map(|_| Scalar::Column(random.random_range(0..types[on].len()))).collect();
    *next_id += 1;
    let description = IndexDescription { id: table_id(*next_id), on: table_id(on), key, context: Context::default(), as_of };
    driver.control().create_index(description).unwrap();
}

fn create_view(
    random: &mut support::Random,
    driver: &Driver,
    collections: &[(CollectionId, Vec<ColumnType>)],
    history: &[(Timestamp, Contents)],
    next_id: &mut usize,
    as_of: Timestamp,
    totals: &mut Totals,
) -> View {
    *next_id += 1;
    let id = table_id(*next_id);
    let context = Context { memory_bytes_max: Some(MEMORY_BYTES_MAX), ..Context::default() };
    loop {
        let mut nodes = BTreeMap::new();
        let depth = random.random_range(1..4);
        let plan = Generator::new(random, collections.to_vec(), &mut nodes).plan(depth);
        // Plans that explode are not what this test is about.
        let probe = history.last().map(|(_, contents)| contents.clone()).unwrap_or_default();
        match evaluate(&plan, &probe, &context) {
            Ok(rows) if rows.len() > ROWS_MAX => continue,
            Err(error) if error.code().as_str() == "53200" => continue,
            _ => {}
        }
        for (node, count) in nodes {
            *totals.nodes.entry(node).or_default() += count;
        }
        if plan.global_inputs().iter().any(|input| *input >= table_id(100)) {
            *totals.nodes.entry("view over a view".to_string()).or_default() += 1;
        }
        let arity = plan.arity();
        let key = if arity == 0 { Vec::new() } else { (0..random.random_range(0..3)).map(|_| random.random_range(0..arity)).collect() };
        let description = ViewDescription { id, plan: plan.clone(), context: Context::default(), as_of, until: None, key };
        let as_of = driver.control().create_view(description).unwrap();
        return View { id, plan, as_of };
    }
}

fn check(driver: &Driver, views: &[View], times: &[Timestamp], history: &[(Timestamp, Contents)], totals: &mut Totals) {
    let published = driver.control().published();
    for view in views {
        let relation = published.get(view.id).expect("a view is published");
        for (time, contents) in history.iter().filter(|(time, _)| times.contains(time)) {
            if *time < view.as_of || *time < relation.since() {
                continue;
            }
            let expected = evaluate(&view.plan, contents, &Context::default());
            let found = read(relation, *time);
            let is_same = match (&expected, &found) {
                (Ok(expected), Ok(found)) => {
                    totals.rows += found.len() as u64;
                    expected == found
                }
                (Err(_), Err(_)) => {
                    totals.failing += 1;
                    true
                }
                _ => false,
            };
            assert!(is_same, "view {} at {time}\n{}\nexpected {expected:?}\nfound    {found:?}", view.id, plan::explain::text(&view.plan, &|_| None));
            totals.checks += 1;
        }
    }
}

fn read(relation: &RelationSnapshot, time: Timestamp) -> Result<Vec<(Row, Diff)>, EvalError> {
    if let Some(error) = relation.error(time) {
        return Err(error);
    }
    let mut rows = Vec::new();
    relation.scan(time, &mut |row, diff| {
        rows.push((Row::from_bytes(row), diff));
        true
    });
    rows.sort();
    Ok(rows)
}

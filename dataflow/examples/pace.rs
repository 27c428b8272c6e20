//! How fast the engine is on `orders JOIN customers GROUP BY region`: hydration, one-row updates, batches, point reads.
//!
//! `cargo run --release -p dataflow --example pace -- [orders] [workers]`

use dataflow::{Config, Engine, Frame, InputBatch, InputDescription, ViewDescription};
use plan::{Aggregate, AggregateFunction, Context, Plan, Scalar, aggregate};
use repr::{CollectionId, ColumnType, Datum, Row, Timestamp, Type};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let orders = arguments.next().unwrap_or(1_000_000);
    let workers = arguments.next().unwrap_or(1) as usize;
    let customers = orders / 20 + 1;
    let engine = Engine::start(Config { workers, ..Config::default() }, Arc::new(|_| {}));
    let id = |number: u64| CollectionId(CollectionId::FIRST_USER.0 + number);
    let (table_orders, table_customers, view) = (id(0), id(1), id(2));
    // Looking without a pause, so that the figures are the engine's and not those of a wakeup.
    let wait = |upper: u64| {
        while engine.published().readable(&[table_orders, table_customers, view]).is_none_or(|(_, reached)| reached < Timestamp(upper)) {
            std::hint::spin_loop();
        }
    };

    let int8 = || ColumnType::new(Type::Int8).not_null();
    let order_types = vec![int8(), int8(), int8()];
    let customer_types = vec![int8(), int8()];
    engine.create_input(table_orders, InputDescription { types: order_types.clone(), key: vec![0] }, Timestamp(1)).unwrap();
    engine.create_input(table_customers, InputDescription { types: customer_types.clone(), key: vec![0] }, Timestamp(1)).unwrap();
    let order = |at: u64, amount: u64| Row::pack([Datum::Int8(at as i64), Datum::Int8((at * 7919 % customers) as i64), Datum::Int8(amount as i64)]);
    let rows = (0..customers).map(|at| (Row::pack([Datum::Int8(at as i64), Datum::Int8((at % 50) as i64)]), Timestamp(1), 1)).collect();
    let customer_batch = InputBatch { id: table_customers, rows, errors: Vec::new() };
    let rows = (0..orders).map(|at| (order(at, at % 1000), Timestamp(1), 1)).collect();
    let order_batch = InputBatch { id: table_orders, rows, errors: Vec::new() };
    let start = Instant::now();
    engine.update(Frame { upper: Timestamp(2), batches: vec![customer_batch, order_batch] }).unwrap();
    while engine.published().readable(&[table_orders]).is_none_or(|(_, reached)| reached < Timestamp(2)) {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("load: {:.2} M rows/s", orders as f64 / start.elapsed().as_secs_f64() / 1e6);

    let entry = |name: &str, arguments: &[Type]| aggregate::lookup(name).iter().find(|entry| entry.arguments == arguments).copied().expect("an aggregate");
    let aggregate = |entry, arguments: Vec<Scalar>| Aggregate {
        function: AggregateFunction(entry),
        arguments,
        distinct: false,
        filter: None,
        order: Vec::new(),
        column_type: ColumnType::new(Type::Numeric),
    };
    let plan = Plan::join(
        vec![Plan::get(table_orders, order_types), Plan::get(table_customers, customer_types)],
        vec![vec![Scalar::Column(1), Scalar::Column(3)]],
    )
    .project(vec![4, 2])
    .reduce(vec![Scalar::Column(0)], vec![aggregate(entry("count", &[]), vec![]), aggregate(entry("sum", &[Type::Int8]), vec![Scalar::Column(1)])]);
    let start = Instant::now();
    engine.create_view(ViewDescription { id: view, plan, context: Context::default(), as_of: Timestamp(1), until: None, key: vec![0] }).unwrap();
    wait(2);
    println!("hydrate: {:.2} M rows/s", orders as f64 / start.elapsed().as_secs_f64() / 1e6);

    let mut upper = 2;
    for (size, rounds) in [(1, 3000), (100, 1000), (10_000, 50)] {
        let mut taken = Vec::new();
        let begin = Instant::now();
        for round in 0..rounds {
            let mut rows = Vec::new();
            for change in 0..size {
                let at = (round * size + change) * 104_729 % orders;
                // Each round replaces amounts: what an order was before depends on whether it was changed already, so only sums are kept true.
                rows.push((order(at, at % 1000), Timestamp(upper), -1));
                rows.push((order(at, at % 1000 + 1), Timestamp(upper), 1));
            }
            let start = Instant::now();
            upper += 1;
            engine.update(Frame { upper: Timestamp(upper), batches: vec![InputBatch { id: table_orders, rows, errors: Vec::new() }] }).unwrap();
            wait(upper);
            taken.push(start.elapsed());
        }
        taken.sort();
        let rate = 2.0 * (size * rounds) as f64 / begin.elapsed().as_secs_f64() / 1e6;
        println!("batches of {size}: p50 {:?}, p99 {:?}, {rate:.2} M updates/s", taken[taken.len() / 2], taken[taken.len() * 99 / 100]);
    }

    let published = engine.published();
    let relation = published.get(table_orders).unwrap();
    let start = Instant::now();
    let mut found = 0;
    for at in 0..1_000_000u64 {
        let key = Row::pack([Datum::Int8((at * 7919 % orders) as i64)]);
        relation.lookup(relation.since(), &key, &mut |_, _| {
            found += 1;
            true
        });
    }
    println!("point reads: {:.2} M/s ({found} rows), {:?}", 1.0 / start.elapsed().as_secs_f64(), relation.metrics());
    let start = Instant::now();
    let mut rows = 0u64;
    relation.scan(relation.since(), &mut |_, _| {
        rows += 1;
        true
    });
    println!("full scan: {rows} rows in {:?}", start.elapsed());
    // In milliseconds: a worker that does not rest shows here.
    let used = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        stat.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
    };
    let before = used();
    std::thread::sleep(Duration::from_secs(2));
    println!("idle: {} ms of CPU in 2 s", used() - before);
    engine.shutdown();
}

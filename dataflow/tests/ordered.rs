//! min, max and top-k over groups whose first rows come and go: as a queue, where retracted rows pile up before the first one that counts.

mod support;

use dataflow::{Config, Frame, InputBatch, InputDescription, Stepper, ViewDescription};
use plan::{Aggregate, AggregateFunction, ColumnOrder, Context, Plan, Scalar, aggregate, evaluate};
use rand::Rng;
use repr::{ColumnType, Datum, Row, SortDirection, Timestamp, Type};
use std::sync::Arc;
use support::tables::{Contents, table_id};
use support::{once_in, random};

fn types() -> Vec<ColumnType> {
    vec![ColumnType::new(Type::Int4).not_null(), ColumnType::new(Type::Int4).not_null()]
}

fn extremum(name: &str) -> Aggregate {
    let entry = aggregate::lookup(name).iter().find(|entry| matches!(entry.arguments[..], [Type::Int4 | Type::AnyElement | Type::Any])).unwrap();
    Aggregate {
        function: AggregateFunction(entry),
        arguments: vec![Scalar::Column(1)],
        distinct: false,
        filter: None,
        order: Vec::new(),
        column_type: ColumnType::new(Type::Int4),
    }
}

fn top(limit: i64, descending: bool, with_ties: bool) -> Plan {
    Plan::TopK {
        input: Box::new(Plan::get(table_id(0), types())),
        group: vec![0],
        order: vec![ColumnOrder { column: 1, direction: SortDirection { descending, nulls_first: false } }],
        limit: Some(Box::new(Scalar::literal(Datum::Int8(limit), ColumnType::new(Type::Int8).not_null()))),
        offset: 1,
        with_ties,
        append_only: false,
    }
}

#[test]
fn queues() {
    for seed in 0..6 {
        let mut random = random(seed);
        let mut stepper = Stepper::new(Config::default(), Arc::new(|_| {}));
        let table = table_id(0);
        stepper.create_input(table, InputDescription { types: types(), key: vec![0] }, Timestamp(1)).unwrap();
        let plans = [
            Plan::get(table, types()).reduce(vec![Scalar::Column(0)], vec![extremum("min")]),
            Plan::get(table, types()).reduce(vec![Scalar::Column(0)], vec![extremum("max"), extremum("min")]),
            top(2, false, false),
            top(3, true, true),
        ];
        for (number, plan) in plans.iter().enumerate() {
            let description = ViewDescription { id: table_id(1 + number), plan: plan.clone(), context: Context::default(), as_of: Timestamp(1), until: None, key: vec![0] };
            stepper.create_view(description).unwrap();
        }
        let mut contents = Contents::default();
        let mut queues: [Vec<i32>; 2] = Default::default();
        for time in 1..150u64 {
            let mut rows = Vec::new();
            for (group, queue) in queues.iter_mut().enumerate() {
                let row = |value: i32| Row::pack([Datum::Int4(group as i32), Datum::Int4(value)]);
                // Rounds of many arrivals, then the least leave one tick after the other; sometimes one arrives below all of them.
                if time % 50 == 1 {
                    for value in 0..120 {
                        queue.push(value + random.random_range(0..1000));
                    }
                    queue.sort_unstable();
                    rows.extend(queue.iter().map(|value| (row(*value), Timestamp(time), 1)));
                    let before: Vec<(Row, i64)> = contents.rows.get(&table).into_iter().flatten().map(|(row, diff)| (row.clone(), *diff)).collect();
                    let of_group = before.into_iter().filter(|(row, _)| matches!(row.get(0), Some(Datum::Int4(found)) if found == group as i32));
                    rows.extend(of_group.map(|(row, diff)| (row, Timestamp(time), -diff)));
                } else {
                    let leaving = random.random_range(0..6).min(queue.len());
                    rows.extend(queue.drain(..leaving).map(|value| (row(value), Timestamp(time), -1)));
                    if once_in(&mut random, 8) {
                        let value = -random.random_range(0..100);
                        queue.insert(0, value);
                        queue.sort_unstable();
                        rows.push((row(value), Timestamp(time), 1));
                    }
                }
            }
            rows.iter().for_each(|(row, _, diff)| contents.add_row(table, row.clone(), *diff));
            stepper.update(Frame { upper: Timestamp(time + 1), batches: vec![InputBatch { id: table, rows, errors: Vec::new() }] }).unwrap();
            stepper.settle();
            let published = stepper.published();
            for (number, plan) in plans.iter().enumerate() {
                let mut found = Vec::new();
                published.get(table_id(1 + number)).unwrap().scan(Timestamp(time), &mut |row, diff| {
                    found.push((Row::from_bytes(row), diff));
                    true
                });
                found.sort();
                let expected = evaluate(plan, &contents, &Context::default()).unwrap();
                assert_eq!(found, expected, "seed {seed}, time {time}, plan {number}");
            }
        }
    }
}

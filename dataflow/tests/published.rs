//! Snapshots, indexes and taps against a model, while batches come, merge and are compacted.

mod support;

use dataflow::{Config, Control, Engine, Frame, IndexDescription, InputBatch, InputDescription, Stepper, TapError, ViewDescription};
use plan::{Context, Plan, Scalar, aggregate};
use rand::Rng;
use repr::{CollectionId, ColumnType, Datum, Diff, EvalError, Row, SqlState, Timestamp, Type};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::drive::Driver;
use support::tables::table_id;
use support::{random, setting};

fn int_types() -> Vec<ColumnType> {
    vec![ColumnType::new(Type::Int4).not_null(), ColumnType::new(Type::Int4)]
}

fn pair(key: i32, value: i32) -> Row {
    Row::pack([Datum::Int4(key), Datum::Int4(value)])
}

fn key(key: i32) -> Row {
    Row::pack([Datum::Int4(key)])
}

fn input(control: &Control, number: usize, key: Vec<usize>, as_of: u64) -> CollectionId {
    let id = table_id(number);
    control.create_input(id, InputDescription { types: int_types(), key }, Timestamp(as_of)).unwrap();
    id
}

fn frame(id: CollectionId, upper: u64, rows: Vec<(Row, u64, Diff)>) -> Frame {
    let rows = rows.into_iter().map(|(row, time, diff)| (row, Timestamp(time), diff)).collect();
    Frame { upper: Timestamp(upper), batches: vec![InputBatch { id, rows, errors: Vec::new() }] }
}

fn stepper() -> Stepper {
    Stepper::new(Config::default(), Arc::new(|_| {}))
}

fn collect(scan: impl FnOnce(&mut dyn FnMut(&[u8], Diff) -> bool)) -> Vec<(Row, Diff)> {
    let mut rows = Vec::new();
    scan(&mut |row, diff| {
        rows.push((Row::from_bytes(row), diff));
        true
    });
    rows
}

type Rows = BTreeMap<Row, Diff>;

fn add(rows: &mut Rows, row: Row, diff: Diff) {
    let count = rows.entry(row.clone()).or_default();
    *count += diff;
    if *count == 0 {
        rows.remove(&row);
    }
}

/// A random model against point, range and full reads at every readable time, on snapshots new and old. The same model one time off must be caught:
/// otherwise the check could not fail.
#[test]
fn reads_equal_a_model() {
    let seeds = setting("TIDEMARK_SEED").map_or(0..12, |seed| seed..seed + 1);
    let (mut right, mut wrong, mut merged) = (0, 0, 0);
    for seed in seeds {
        let mut random = random(seed);
        let mut driver = Driver::new((seed % 3) as usize);
        let table = input(driver.control(), 0, vec![0], 1);
        let index = table_id(1);
        let by_value = IndexDescription { id: index, on: table, key: vec![Scalar::Column(1)], context: Context::default(), as_of: Timestamp(1) };
        driver.control().create_index(by_value).unwrap();
        let mut history: Vec<Rows> = vec![Rows::new()];
        let mut held = Vec::new();
        let mut upper = 1;
        for round in 0..60 {
            let mut rows = Vec::new();
            let lower = upper;
            upper += random.random_range(1..4);
            for time in lower..upper {
                let mut now = history[history.len() - 1].clone();
                for _ in 0..random.random_range(0..30) {
                    let present: Vec<Row> = now.keys().cloned().collect();
                    let (row, diff) = if !present.is_empty() && random.random_range(0..300) < present.len() {
                        (support::pick(&mut random, &present).clone(), -1)
                    } else {
                        (pair(random.random_range(0..40), random.random_range(0..10)), 1)
                    };
                    add(&mut now, row.clone(), diff);
                    rows.push((row, time, diff));
                }
                history.push(now);
            }
            driver.control().allow_compaction(table, Timestamp(lower)).unwrap();
            driver.control().allow_compaction(index, Timestamp(lower)).unwrap();
            driver.control().update(frame(table, upper, rows)).unwrap();
            driver.wait(&[table, index], Timestamp(upper));
            let published = driver.control().published();
            if round % 10 == 0 {
                held.push((upper, Arc::clone(&published)));
            }
            for (reached, published) in held.iter().map(|(reached, published)| (*reached, published)).chain([(upper, &published)]) {
                let (relation, by_value) = (published.get(table).unwrap(), published.get(index).unwrap());
                let (since, reached_upper) = published.readable(&[table, index]).unwrap();
                assert_eq!(reached_upper, Timestamp(reached));
                merged += usize::from(relation.metrics().batches < (reached / 2) as usize);
                for time in since.0..reached {
                    let model = &history[time as usize];
                    let scanned = collect(|visit| relation.scan(Timestamp(time), visit));
                    assert_eq!(scanned, model.clone().into_iter().collect::<Vec<_>>(), "seed {seed}, scan at {time}");
                    let mut of_index = collect(|visit| by_value.scan(Timestamp(time), visit));
                    of_index.sort();
                    assert_eq!(of_index, scanned, "seed {seed}, index at {time}");
                    let wanted = random.random_range(0..42);
                    let found = collect(|visit| relation.lookup(Timestamp(time), &key(wanted), visit));
                    let of_key = |at: usize, value: i32| -> Vec<(Row, Diff)> {
                        model.iter().filter(|(row, _)| matches!(row.get(at), Some(Datum::Int4(found)) if found == value)).map(|(row, diff)| (row.clone(), *diff)).collect()
                    };
                    assert_eq!(found, of_key(0, wanted), "seed {seed}, key {wanted} at {time}");
                    let found = collect(|visit| by_value.lookup(Timestamp(time), &key(wanted), visit));
                    assert_eq!(found, of_key(1, wanted), "seed {seed}, value {wanted} at {time}");
                    let (low, high) = (random.random_range(0..40), random.random_range(0..45));
                    let mut in_range: Vec<(Row, Diff)> = (low..high).flat_map(|value| of_key(0, value)).collect();
                    for descending in [false, true] {
                        let found = collect(|visit| relation.range(Timestamp(time), Some(key(low).as_bytes()), Some(key(high).as_bytes()), descending, visit));
                        assert_eq!(found, in_range, "seed {seed}, range {low}..{high} at {time}, descending: {descending}");
                        in_range.reverse();
                    }
                    let stop_at_first = |visit: &mut dyn FnMut(&[u8], Diff) -> bool, row: &[u8], diff| {
                        visit(row, diff);
                        false
                    };
                    let first = collect(|visit| relation.range(Timestamp(time), None, None, true, &mut |row, diff| stop_at_first(visit, row, diff)));
                    assert_eq!(first, model.clone().into_iter().next_back().into_iter().collect::<Vec<_>>());
                    right += 1;
                    wrong += usize::from(history[time as usize - 1] != *model);
                }
            }
        }
    }
    assert!(right > 500 && wrong * 2 > right && merged > 0, "{right} checks, {wrong} of them would fail one time earlier, {merged} after merges");
}

/// Reads outside of `since..upper` are refused, not answered wrongly.
#[test]
fn reads_outside_of_the_window_are_refused() {
    let mut stepper = stepper();
    let table = input(&stepper, 0, vec![0], 1);
    for time in 1..5 {
        stepper.update(frame(table, time + 1, vec![(pair(time as i32, 0), time, 1)])).unwrap();
        stepper.settle();
    }
    let published = stepper.published();
    let relation = Arc::clone(published.get(table).unwrap());
    assert_eq!((relation.since(), relation.upper()), (Timestamp(4), Timestamp(5)));
    for time in [0, 3, 5, 6] {
        let relation = Arc::clone(&relation);
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| collect(|visit| relation.scan(Timestamp(time), visit))));
        assert!(read.is_err(), "a read at {time}");
    }
}

/// A tap says exactly what snapshots differ by.
#[test]
fn taps_equal_the_differences_of_snapshots() {
    for workers in 0..3 {
        let mut random = random(workers as u64);
        let mut driver = Driver::new(workers);
        let table = input(driver.control(), 0, vec![0], 1);
        let view = table_id(1);
        let plan = Plan::get(table, int_types()).filter(vec![Scalar::call("<", vec![Scalar::Column(0), Scalar::Column(1)], &int_types())]);
        let description = ViewDescription { id: view, plan, context: Context::default(), as_of: Timestamp(1), until: None, key: vec![1] };
        driver.control().create_view(description).unwrap();
        let notified = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&notified);
        let notify: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let mut tap = None;
        let mut expected = Rows::new();
        let mut state = Rows::new();
        let mut seen_updates = 0;
        for time in 1..80u64 {
            if time == 20 {
                // In the future: the snapshot comes when that time is complete.
                let mut new = driver.control().tap(view, Timestamp(25), Arc::clone(&notify)).unwrap();
                assert!(new.snapshot().unwrap().is_none(), "not complete yet");
                tap = Some(new);
            }
            let rows = (0..random.random_range(0..20)).map(|_| (pair(random.random_range(0..9), random.random_range(0..9)), time, if random.random() { 1 } else { -1 })).collect();
            let change: Frame = frame(table, time + 1, rows);
            for (row, _, diff) in &change.batches[0].rows {
                if matches!((row.get(0), row.get(1)), (Some(Datum::Int4(left)), Some(Datum::Int4(right))) if left < right) {
                    add(&mut expected, row.clone(), *diff);
                }
            }
            driver.control().update(change).unwrap();
            driver.wait(&[table, view], Timestamp(time + 1));
            let Some(tap) = &mut tap else { continue };
            if let Some(relation) = tap.snapshot().unwrap() {
                assert_eq!(time, 25);
                state = collect(|visit| relation.scan(tap.as_of(), visit)).into_iter().collect();
            }
            while let Some(event) = tap.next_ready().unwrap() {
                assert_eq!(event.upper, Timestamp(time + 1));
                assert!(event.updates.windows(2).all(|pair| (pair[0].1, &pair[0].0) < (pair[1].1, &pair[1].0)), "ordered, each row once a time");
                seen_updates += event.updates.len();
                event.updates.into_iter().for_each(|(row, _, diff)| add(&mut state, row, diff));
            }
            if time >= 25 {
                assert_eq!(state, expected, "{workers} workers at {time}");
            }
        }
        assert!(seen_updates > 50 && notified.load(Ordering::Relaxed) > 50, "{seen_updates} updates");
        let published = driver.control().published();
        let relation = published.get(view).unwrap();
        let too_early = driver.control().tap(view, Timestamp(2), Arc::clone(&notify));
        assert_eq!(too_early.err(), Some(TapError::NotReadable { since: relation.since() }));
        driver.control().drop_relation(view).unwrap();
        assert_eq!(tap.unwrap().next_ready(), Err(TapError::Closed));
    }
}

/// Errors travel through taps and snapshots, and heal.
#[test]
fn errors_come_and_go() {
    let mut stepper = stepper();
    let table = input(&stepper, 0, vec![0], 1);
    let view = table_id(1);
    let divide = Scalar::call("/", vec![Scalar::Column(0), Scalar::Column(1)], &int_types());
    let plan = Plan::get(table, int_types()).map(vec![divide]);
    stepper.create_view(ViewDescription { id: view, plan, context: Context::default(), as_of: Timestamp(1), until: None, key: vec![0] }).unwrap();
    stepper.settle();
    let mut tap = stepper.tap(view, Timestamp(1), Arc::new(|| {})).unwrap();
    let mut update = |upper, row, diff| {
        stepper.update(frame(table, upper, vec![(row, upper - 1, diff)])).unwrap();
        stepper.settle();
        let relation = Arc::clone(stepper.published().get(view).unwrap());
        relation.error(Timestamp(upper - 1)).map(|error| error.code().to_string())
    };
    assert_eq!(update(2, pair(4, 2), 1), None);
    assert_eq!(update(3, pair(4, 0), 1), Some("22012".to_string()));
    assert_eq!(update(4, pair(5, 0), 1), Some("22012".to_string()));
    assert_eq!(update(5, pair(4, 0), -1), Some("22012".to_string()));
    assert_eq!(update(6, pair(5, 0), -1), None);
    assert!(tap.snapshot().unwrap().is_some());
    let event = tap.next_ready().unwrap().unwrap();
    let diffs: Vec<(u64, Diff)> = event.errors.iter().map(|(_, time, diff)| (time.0, *diff)).collect();
    assert_eq!(diffs, [(2, 1), (3, 1), (4, -1), (5, -1)]);
    assert_eq!(event.updates, []);
}

#[test]
fn a_slow_tap_is_closed() {
    let mut stepper = Stepper::new(Config { tap_updates_max: 100, ..Config::default() }, Arc::new(|_| {}));
    let table = input(&stepper, 0, vec![0], 1);
    stepper.settle();
    let mut tap = stepper.tap(table, Timestamp(1), Arc::new(|| {})).unwrap();
    for time in 1..30 {
        let rows = (0..10).map(|at| (pair(time as i32, at), time, 1)).collect();
        stepper.update(frame(table, time + 1, rows)).unwrap();
        stepper.settle();
        if time == 5 {
            assert!(tap.snapshot().unwrap().is_some());
            assert_eq!(tap.next_ready().unwrap().unwrap().upper, Timestamp(6));
        }
    }
    assert_eq!(tap.next_ready(), Err(TapError::Lagged { at: Timestamp(6) }));
}

/// What is dropped is freed, on every worker, as soon as no reader holds it.
#[test]
fn drop_frees_memory() {
    for workers in 0..3 {
        let mut driver = Driver::new(workers);
        let table = input(driver.control(), 0, vec![0], 1);
        let view = table_id(1);
        let description = ViewDescription { id: view, plan: Plan::get(table, int_types()), context: Context::default(), as_of: Timestamp(1), until: None, key: vec![1] };
        driver.control().create_view(description).unwrap();
        let rows = (0..50_000).map(|at| (pair(at, at % 100), 1, 1)).collect();
        driver.control().update(frame(table, 2, rows)).unwrap();
        driver.wait(&[table, view], Timestamp(2));
        let published = driver.control().published();
        let relation = Arc::clone(published.get(view).unwrap());
        assert!(relation.metrics().bytes > 50_000 * 10 && relation.metrics().updates == 50_000);
        assert_eq!(driver.control().drop_relation(table).unwrap_err().to_string(), format!("relation {table} is used by {view}"));
        driver.control().drop_relation(view).unwrap();
        driver.wait_for("the drop", |control| control.published().get(view).is_none());
        // A reader that holds it still reads it.
        assert_eq!(collect(|visit| relation.lookup(Timestamp(1), &key(7), visit)).len(), 500);
        drop(published);
        // The worker and the publication have let it go: only the reader's snapshot holds its batches.
        driver.wait_for("the batches", |_| relation.is_sole_holder());
    }
}

/// Commands that make no sense change nothing.
#[test]
fn refusals() {
    let mut stepper = stepper();
    let table = input(&stepper, 0, vec![0], 5);
    stepper.settle();
    let refused = |result: Result<(), dataflow::EngineError>| result.unwrap_err().to_string();
    assert_eq!(refused(stepper.create_input(table, InputDescription { types: int_types(), key: vec![] }, Timestamp(5))), format!("relation {table} is maintained already"));
    assert_eq!(refused(stepper.drop_relation(table_id(9))), format!("relation {} is not maintained", table_id(9)));
    stepper.update(frame(table, 7, vec![(pair(1, 1), 5, 1)])).unwrap();
    assert_eq!(refused(stepper.update(frame(table, 7, vec![]))), "a frame up to 7 cannot follow one up to 7");
    stepper.settle();
    assert_eq!(refused(stepper.update(frame(table, 9, vec![(pair(1, 1), 9, 1)]))), "a frame up to 9 cannot follow one up to 7");
    assert_eq!(refused(stepper.update(frame(table, 9, vec![(pair(1, 1), 6, 1)]))), "a frame up to 9 cannot follow one up to 7");
    let now = Scalar::call("now", vec![], &[]);
    let view = |plan| ViewDescription { id: table_id(3), plan, context: Context::default(), as_of: Timestamp(5), until: None, key: vec![] };
    let error = stepper.create_view(view(Plan::get(table, int_types()).map(vec![now]))).unwrap_err();
    assert!(error.to_string().contains("now"), "{error}");
    assert!(stepper.create_view(view(Plan::get(table_id(9), int_types()))).is_err());
    assert_eq!(stepper.published().iter().count(), 1);
}

/// Frames wait when the workers are behind.
#[test]
fn back_pressure() {
    let mut stepper = Stepper::new(Config { frames_behind_max: 3, ..Config::default() }, Arc::new(|_| {}));
    let table = input(&stepper, 0, vec![0], 1);
    for upper in 2..5 {
        assert!(stepper.try_update(frame(table, upper, vec![(pair(1, 1), upper - 1, 1)])).unwrap().is_none());
    }
    assert_eq!(stepper.behind(), (3, 3));
    let refused = stepper.try_update(frame(table, 5, vec![])).unwrap();
    assert!(refused.is_some());
    stepper.settle();
    assert_eq!(stepper.behind(), (0, 0));
    assert!(stepper.try_update(refused.unwrap()).unwrap().is_none());
}

/// A view that says until when is complete then.
#[test]
fn until_completes_a_view() {
    let mut stepper = stepper();
    let table = input(&stepper, 0, vec![0], 1);
    let view = table_id(1);
    let plan = Plan::get(table, int_types()).distinct();
    stepper.create_view(ViewDescription { id: view, plan, context: Context::default(), as_of: Timestamp(1), until: Some(Timestamp(4)), key: vec![0] }).unwrap();
    for time in 1..8 {
        stepper.update(frame(table, time + 1, vec![(pair(time as i32, 0), time, 1)])).unwrap();
        stepper.settle();
    }
    let published = stepper.published();
    let relation = published.get(view).unwrap();
    assert_eq!(relation.upper(), Timestamp::MAX);
    assert_eq!(collect(|visit| relation.scan(Timestamp(7), visit)).len(), 3);
}

/// The engine ends in good order with work in flight.
#[test]
fn shutdown_with_work_in_flight() {
    for workers in 1..3 {
        let engine = Engine::start(Config { workers, ..Config::default() }, Arc::new(|_| {}));
        let table = input(&engine, 0, vec![0], 1);
        let count = aggregate::lookup("count").iter().find(|entry| entry.arguments.is_empty()).unwrap();
        let count = plan::Aggregate { function: plan::AggregateFunction(count), arguments: vec![], distinct: false, filter: None, order: vec![], column_type: ColumnType::new(Type::Int8) };
        let plan = Plan::get(table, int_types()).reduce(vec![Scalar::Column(1)], vec![count]);
        engine.create_view(ViewDescription { id: table_id(1), plan, context: Context::default(), as_of: Timestamp(1), until: None, key: vec![0] }).unwrap();
        for time in 1..20 {
            let rows = (0..5_000).map(|at| (pair(at, at % 7), time, 1)).collect();
            engine.update(frame(table, time + 1, rows)).unwrap();
        }
        let control = engine.control().clone();
        engine.shutdown();
        assert!(control.update(frame(table, 100, vec![])).is_err());
    }
}

/// An error of a source is an error of what reads it.
#[test]
fn source_errors() {
    let mut stepper = stepper();
    let table = input(&stepper, 0, vec![0], 1);
    let error = EvalError::new(SqlState::DATA_EXCEPTION, "cannot decode");
    let errors = vec![(error.clone(), Timestamp(1), 1), (error.clone(), Timestamp(3), -1)];
    stepper.allow_compaction(table, Timestamp(1)).unwrap();
    stepper.update(Frame { upper: Timestamp(5), batches: vec![InputBatch { id: table, rows: vec![], errors }] }).unwrap();
    stepper.settle();
    let published = stepper.published();
    let relation = published.get(table).unwrap();
    assert_eq!((1..5).map(|time| relation.error(Timestamp(time)).is_some()).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(relation.error(Timestamp(1)), Some(error));
}

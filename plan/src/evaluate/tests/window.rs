//! Window functions and frames, against values Postgres gives.

use super::*;
use crate::relation::{FrameBound, FrameExclusion, FrameUnits, WindowExpression, WindowFrame, WindowFunction};

fn frame(units: FrameUnits, start: FrameBound, end: FrameBound) -> WindowFrame {
    WindowFrame { units, start, end, exclusion: FrameExclusion::NoOthers }
}

/// Over `input`, ordered by its second column (after the first one, the partition).
fn expression(function: WindowFunction, arguments: Vec<Scalar>, frame: WindowFrame, typ: Type) -> WindowExpression {
    WindowExpression {
        function,
        arguments,
        filter: None,
        partition: vec![col(0)],
        order: vec![(col(1), ASCENDING)],
        frame,
        ignore_nulls: false,
        column_type: ColumnType::new(typ),
    }
}

fn default_frame() -> WindowFrame {
    frame(FrameUnits::Range, FrameBound::UnboundedPreceding, FrameBound::CurrentRow)
}

#[test]
fn ranks_and_neighbours() {
    let input = || relation("text int4", "a, 1; a, 2 * 2; a, 4; b, 9; b, NULL");
    let window = |function, arguments, typ| Plan::Window {
        input: Box::new(input()),
        expressions: vec![expression(function, arguments, default_frame(), typ)],
    };
    let cases = [
        (WindowFunction::RowNumber, vec![], Type::Int8, "a, 1, 1; a, 2, 2; a, 2, 3; a, 4, 4; b, 9, 1; b, NULL, 2"),
        (WindowFunction::Rank, vec![], Type::Int8, "a, 1, 1; a, 2, 2 * 2; a, 4, 4; b, 9, 1; b, NULL, 2"),
        (WindowFunction::DenseRank, vec![], Type::Int8, "a, 1, 1; a, 2, 2 * 2; a, 4, 3; b, 9, 1; b, NULL, 2"),
        (WindowFunction::PercentRank, vec![], Type::Float8, "a, 1, 0; a, 2, 0.3333333333333333 * 2; a, 4, 1; b, 9, 0; b, NULL, 1"),
        (WindowFunction::CumeDist, vec![], Type::Float8, "a, 1, 0.25; a, 2, 0.75 * 2; a, 4, 1; b, 9, 0.5; b, NULL, 1"),
        (WindowFunction::Ntile, vec![int4(3)], Type::Int4, "a, 1, 1; a, 2, 1; a, 2, 2; a, 4, 3; b, 9, 1; b, NULL, 2"),
        (WindowFunction::Ntile, vec![int4(0)], Type::Int4, "22014 argument of ntile must be greater than zero"),
        (WindowFunction::Lag, vec![col(1)], Type::Int4, "a, 1, NULL; a, 2, 1; a, 2, 2; a, 4, 2; b, 9, NULL; b, NULL, 9"),
        (WindowFunction::Lead, vec![col(1), int4(2), int4(-1)], Type::Int4, "a, 1, 2; a, 2, -1; a, 2, 4; a, 4, -1; b, 9, -1; b, NULL, -1"),
        (WindowFunction::FirstValue, vec![col(1)], Type::Int4, "a, 1, 1; a, 2, 1 * 2; a, 4, 1; b, 9, 9; b, NULL, 9"),
        (WindowFunction::LastValue, vec![col(1)], Type::Int4, "a, 1, 1; a, 2, 2 * 2; a, 4, 4; b, 9, 9; b, NULL, NULL"),
        (WindowFunction::NthValue, vec![col(1), int4(2)], Type::Int4, "a, 1, NULL; a, 2, 2 * 2; a, 4, 2; b, 9, NULL; b, NULL, NULL"),
        (WindowFunction::NthValue, vec![col(1), int4(0)], Type::Int4, "22016 argument of nth_value must be greater than zero"),
    ];
    for (function, arguments, typ, expected) in cases {
        check(&window(function, arguments, typ), &Tables::default(), expected);
    }
    let mut ignoring = expression(WindowFunction::LastValue, vec![col(1)], default_frame(), Type::Int4);
    ignoring.ignore_nulls = true;
    check(
        &Plan::Window { input: Box::new(input()), expressions: vec![ignoring] },
        &Tables::default(),
        "a, 1, 1; a, 2, 2 * 2; a, 4, 4; b, 9, 9; b, NULL, 9",
    );
}

/// The members of each row's frame, for values that are all different.
#[test]
fn frames() {
    let input = || relation("int4 int4", "0, 1; 0, 2; 0, 4; 0, 5; 0, 8; 0, NULL");
    let preceding = |offset: i32| FrameBound::Preceding(int4(offset));
    let following = |offset: i32| FrameBound::Following(int4(offset));
    use FrameUnits::*;
    let cases = [
        (Rows, preceding(1), following(1), "{1,2} {1,2,4} {2,4,5} {4,5,8} {5,8,NULL} {8,NULL}"),
        (Rows, FrameBound::CurrentRow, FrameBound::UnboundedFollowing, "{1,2,4,5,8,NULL} {2,4,5,8,NULL} {4,5,8,NULL} {5,8,NULL} {8,NULL} {NULL}"),
        (Rows, preceding(2), preceding(1), "NULL {1} {1,2} {2,4} {4,5} {5,8}"),
        (Rows, following(5), following(9), "{NULL} NULL NULL NULL NULL NULL"),
        (Range, preceding(1), following(1), "{1,2} {1,2} {4,5} {4,5} {8} {NULL}"),
        (Range, preceding(3), preceding(1), "NULL {1} {1,2} {2,4} {5} {NULL}"),
        (Range, FrameBound::UnboundedPreceding, following(0), "{1} {1,2} {1,2,4} {1,2,4,5} {1,2,4,5,8} {1,2,4,5,8,NULL}"),
        (Range, following(1), FrameBound::UnboundedFollowing, "{2,4,5,8,NULL} {4,5,8,NULL} {5,8,NULL} {8,NULL} {NULL} {NULL}"),
        (Groups, preceding(1), FrameBound::CurrentRow, "{1} {1,2} {2,4} {4,5} {5,8} {8,NULL}"),
        (Groups, following(1), following(2), "{2,4} {4,5} {5,8} {8,NULL} {NULL} NULL"),
    ];
    for (units, start, end, expected) in cases {
        let array = aggregate(&input(), "array_agg", &[1]);
        let typ = array.column_type.scalar.clone();
        let window = expression(WindowFunction::Aggregate(array), vec![], frame(units, start, end), typ);
        let expected: Vec<String> =
            expected.split(' ').zip(["1", "2", "4", "5", "8", "NULL"]).map(|(frame, value)| format!("0, {value}, {frame}")).collect();
        check(&Plan::Window { input: Box::new(input()), expressions: vec![window] }, &Tables::default(), &expected.join("; "));
    }
    for (units, start, expected) in [
        (Rows, preceding(-1), "22013 frame starting offset must not be negative"),
        (Range, preceding(-1), "22013 invalid preceding or following size in window function"),
        (Groups, FrameBound::Preceding(Scalar::null(Type::Int4)), "22004 frame starting offset must not be null"),
    ] {
        let window = expression(WindowFunction::FirstValue, vec![col(1)], frame(units, start, FrameBound::CurrentRow), Type::Int4);
        check(&Plan::Window { input: Box::new(input()), expressions: vec![window] }, &Tables::default(), expected);
    }
}

#[test]
fn exclusions() {
    let input = || relation("int4 int4", "0, 1; 0, 2 * 2; 0, 3");
    for (exclusion, expected) in [
        (FrameExclusion::NoOthers, "0, 1, 8; 0, 2, 8 * 2; 0, 3, 8"),
        (FrameExclusion::CurrentRow, "0, 1, 7; 0, 2, 6 * 2; 0, 3, 5"),
        (FrameExclusion::Group, "0, 1, 7; 0, 2, 4 * 2; 0, 3, 5"),
        (FrameExclusion::Ties, "0, 1, 8; 0, 2, 6 * 2; 0, 3, 8"),
    ] {
        let sum = aggregate(&input(), "sum", &[1]);
        let whole = WindowFrame { exclusion, ..frame(FrameUnits::Rows, FrameBound::UnboundedPreceding, FrameBound::UnboundedFollowing) };
        let window = expression(WindowFunction::Aggregate(sum), vec![], whole, Type::Int8);
        check(&Plan::Window { input: Box::new(input()), expressions: vec![window] }, &Tables::default(), expected);
    }
}

/// Sums carried from frame to frame are the sums of the frames, also of floats.
#[test]
fn carried_sums_are_exact() {
    let input = || relation("int4 int4 float8", "0, 1, 1e20; 0, 2, 0.1; 0, 3, -1e20; 0, 4, 0.2; 0, 5, NULL; 0, 6, 7");
    let window = |name: &str| {
        let sum = aggregate(&input(), name, &[2]);
        let typ = sum.column_type.scalar.clone();
        expression(WindowFunction::Aggregate(sum), vec![], frame(FrameUnits::Rows, FrameBound::Preceding(int4(2)), FrameBound::CurrentRow), typ)
    };
    let plan = Plan::Window { input: Box::new(input()), expressions: vec![window("sum"), window("count"), window("max")] }.project(vec![1, 3, 4, 5]);
    let expected = "1, 1e+20, 1, 1e+20; 2, 1e+20, 2, 1e+20; 3, 0.1, 3, 1e+20; 4, -1e+20, 3, 0.2; 5, -1e+20, 2, 0.2; 6, 7.2, 2, 7";
    check(&plan, &Tables::default(), expected);
}

#[test]
fn ranges_of_time() {
    let input = || relation("int4 timestamp", "0, 2020-01-31 00:00; 0, 2020-02-29 00:00; 0, 2020-03-01 12:00; 0, infinity");
    let month = Scalar::literal(Datum::Interval(repr::Interval { months: 1, days: 0, micros: 0 }), ColumnType::new(Type::Interval).not_null());
    let count = aggregate(&input(), "count", &[]);
    let range = frame(FrameUnits::Range, FrameBound::Preceding(month), FrameBound::CurrentRow);
    let window = expression(WindowFunction::Aggregate(count), vec![], range, Type::Int8);
    check(
        &Plan::Window { input: Box::new(input()), expressions: vec![window] },
        &Tables::default(),
        "0, 2020-01-31 00:00:00, 1; 0, 2020-02-29 00:00:00, 2; 0, 2020-03-01 12:00:00, 2; 0, infinity, 1",
    );
}

#[test]
fn several_expressions_with_their_own_windows() {
    let input = || relation("int4 int4", "1, 10; 1, 20; 2, 5");
    let number = expression(WindowFunction::RowNumber, vec![], default_frame(), Type::Int8);
    let mut total = expression(WindowFunction::Aggregate(aggregate(&input(), "sum", &[1])), vec![], default_frame(), Type::Int8);
    total.partition.clear();
    total.order.clear();
    let plan = Plan::Window { input: Box::new(input()), expressions: vec![total, number] };
    check(&plan, &Tables::default(), "1, 10, 35, 1; 1, 20, 35, 2; 2, 5, 35, 1");
    check(&Plan::Window { input: Box::new(relation("int4 int4", "")), expressions: vec![] }, &Tables::default(), "");
}

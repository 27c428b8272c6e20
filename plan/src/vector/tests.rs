//! What a batch must promise: laziness, errors per row, and the same answers whatever the size of the batch.

use super::*;
use repr::{Datum, Row, SqlState, Type};

fn int4() -> ColumnType {
    ColumnType::new(Type::Int4)
}
fn integer(value: i32) -> Scalar {
    Scalar::literal(Datum::Int4(value), int4().not_null())
}
fn column(position: usize) -> Scalar {
    Scalar::Column(position)
}
fn call(name: &str, arguments: Vec<Scalar>) -> Scalar {
    Scalar::call(name, arguments, &[int4(), int4(), int4()])
}
fn pairs(rows: &[(Option<i32>, Option<i32>)]) -> Vec<Row> {
    let datum = |value: Option<i32>| value.map_or(Datum::Null, Datum::Int4);
    rows.iter().map(|&(a, b)| Row::pack([datum(a), datum(b)])).collect()
}

/// One line per emitted row: its position and its datums or SQLSTATE.
fn run(transform: &mut Transform, rows: &[Row], batch_rows: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, batch) in rows.chunks(batch_rows).enumerate() {
        for row in batch {
            transform.push(row.as_bytes());
        }
        assert_eq!(transform.len(), batch.len());
        transform.flush(&mut |position, row| {
            let position = number * batch_rows + position;
            lines.push(match row {
                Ok(bytes) => format!("{position} {:?}", repr::RowRef::new(bytes)),
                Err(error) => format!("{position} {}", error.code()),
            })
        });
        assert!(transform.is_empty());
    }
    lines
}

fn check(steps: &[Step], outputs: &[usize], rows: &[(Option<i32>, Option<i32>)], expected: &[&str]) {
    let rows = pairs(rows);
    let mut transform = Transform::new(&[int4(), int4()], steps, outputs, &Context::default());
    for batch_rows in [rows.len().max(1), 1, 2, 3] {
        assert_eq!(run(&mut transform, &rows, batch_rows), expected, "in batches of {batch_rows}");
    }
}

#[test]
fn rows_pass_through_untouched_and_projected() {
    let rows = [(Some(1), Some(2)), (None, Some(-3))];
    check(&[], &[0, 1], &rows, &["0 [Int4(1), Int4(2)]", "1 [Null, Int4(-3)]"]);
    check(&[], &[1, 0, 1], &rows, &["0 [Int4(2), Int4(1), Int4(2)]", "1 [Int4(-3), Null, Int4(-3)]"]);
    check(&[], &[], &rows, &["0 []", "1 []"]);
}

#[test]
fn arithmetic_computes_nulls_and_errors_per_row() {
    let steps = [Step::Map(vec![call("/", vec![column(0), column(1)])])];
    let rows = [(Some(7), Some(2)), (Some(1), Some(0)), (None, Some(0)), (Some(i32::MIN), Some(-1))];
    check(&steps, &[2], &rows, &["0 [Int4(3)]", "1 22012", "2 [Null]", "3 22003"]);
    // The error of a column that nobody looks at is no error.
    check(&steps, &[0], &rows[..2], &["0 [Int4(7)]", "1 [Int4(1)]"]);
}

#[test]
fn a_filter_drops_a_row_before_its_error_is_reached() {
    let quotient = call("/", vec![column(0), column(1)]);
    let nonzero = call("<>", vec![column(1), integer(0)]);
    let rows = [(Some(7), Some(2)), (Some(1), Some(0)), (Some(9), None)];
    let steps = [Step::Map(vec![quotient.clone()]), Step::Filter(vec![nonzero.clone()])];
    check(&steps, &[2], &rows, &["0 [Int4(3)]"]);
    // In the other order the error is reached first.
    let positive = call(">", vec![quotient, integer(0)]);
    let steps = [Step::Filter(vec![positive.clone(), nonzero.clone()])];
    check(&steps, &[0], &rows, &["0 [Int4(7)]", "1 22012"]);
    let steps = [Step::Filter(vec![Scalar::And(vec![nonzero, positive])])];
    check(&steps, &[0], &rows, &["0 [Int4(7)]"]);
}

#[test]
fn branches_are_evaluated_only_for_rows_that_reach_them() {
    let quotient = call("/", vec![column(0), column(1)]);
    let guarded = Scalar::If {
        condition: Box::new(call("<>", vec![column(1), integer(0)])),
        then: Box::new(quotient.clone()),
        otherwise: Box::new(Scalar::null(Type::Int4)),
    };
    let rows = [(Some(7), Some(2)), (Some(1), Some(0)), (Some(9), None)];
    check(&[Step::Map(vec![guarded.clone()])], &[2], &rows, &["0 [Int4(3)]", "1 [Null]", "2 [Null]"]);
    // The same quotient is an error where it stands unguarded, also after it was computed for fewer rows.
    check(&[Step::Map(vec![guarded.clone(), quotient.clone()])], &[2, 3], &rows, &["0 [Int4(3), Int4(3)]", "1 22012", "2 [Null, Null]"]);
    check(&[Step::Map(vec![quotient, guarded])], &[3], &rows, &["0 [Int4(3)]", "1 [Null]", "2 [Null]"]);
}

#[test]
fn both_branches_may_share_a_node() {
    let sum = call("+", vec![column(0), column(1)]);
    let chosen = Scalar::If {
        condition: Box::new(call("<", vec![column(0), integer(5)])),
        then: Box::new(sum.clone()),
        otherwise: Box::new(call("*", vec![sum, integer(10)])),
    };
    let rows = [(Some(1), Some(2)), (Some(7), Some(1)), (Some(2), Some(3)), (None, Some(1))];
    check(&[Step::Map(vec![chosen])], &[2], &rows, &["0 [Int4(3)]", "1 [Int4(80)]", "2 [Int4(5)]", "3 [Null]"]);
}

#[test]
fn connectives_have_three_values_and_stop_early() {
    let is_one = |position| call("=", vec![column(position), integer(1)]);
    let fails = call("=", vec![call("/", vec![integer(1), integer(0)]), integer(1)]);
    let rows = [(Some(1), Some(1)), (Some(1), Some(0)), (Some(1), None), (None, Some(0)), (None, None), (Some(0), Some(0))];
    let and = Scalar::And(vec![is_one(0), is_one(1)]);
    let or = Scalar::Or(vec![is_one(0), is_one(1)]);
    let expected = [
        "0 [Bool(true), Bool(true)]",
        "1 [Bool(false), Bool(true)]",
        "2 [Null, Bool(true)]",
        "3 [Bool(false), Null]",
        "4 [Null, Null]",
        "5 [Bool(false), Bool(false)]",
    ];
    check(&[Step::Map(vec![and, or])], &[2, 3], &rows, &expected);
    let and = Scalar::And(vec![is_one(0), fails.clone()]);
    check(&[Step::Map(vec![and])], &[2], &rows, &["0 22012", "1 22012", "2 22012", "3 22012", "4 22012", "5 [Bool(false)]"]);
    let or = Scalar::Or(vec![is_one(0), fails]);
    check(&[Step::Map(vec![or])], &[2], &rows, &["0 [Bool(true)]", "1 [Bool(true)]", "2 [Bool(true)]", "3 22012", "4 22012", "5 22012"]);
}

#[test]
fn coalesce_evaluates_the_first_that_is_needed() {
    let coalesce = Scalar::Coalesce(vec![column(0), call("/", vec![integer(100), column(1)]), integer(-1)]);
    let rows = [(Some(1), Some(0)), (None, Some(4)), (None, Some(0)), (None, None)];
    check(&[Step::Map(vec![coalesce])], &[2], &rows, &["0 [Int4(1)]", "1 [Int4(25)]", "2 22012", "3 [Int4(-1)]"]);
}

#[test]
fn lists_and_quantifiers() {
    let list = |values: &[i32]| std::sync::Arc::new(values.iter().map(|&value| Row::pack([Datum::Int4(value)])).collect::<Vec<_>>());
    let plain = Scalar::InList { value: Box::new(column(0)), list: list(&[1, 3]), has_null: false };
    let with_null = Scalar::InList { value: Box::new(column(0)), list: list(&[1, 3]), has_null: true };
    let rows = [(Some(1), Some(0)), (Some(2), Some(2)), (None, Some(1))];
    check(&[Step::Map(vec![plain, with_null])], &[2, 3], &rows, &["0 [Bool(true), Bool(true)]", "1 [Bool(false), Null]", "2 [Null, Null]"]);

    let mut elements = repr::ArrayBuilder::new();
    [Datum::Int4(0), Datum::Int4(2), Datum::Null].into_iter().for_each(|datum| elements.push(datum));
    let bytes = elements.finish();
    let array = Scalar::literal(Datum::Array(repr::Array::from_encoded(&bytes)), ColumnType::new(Type::Array(Box::new(Type::Int4))));
    let Scalar::Call { function, .. } = call("=", vec![column(0), column(1)]) else { panic!("a call") };
    let quantified = |all| Scalar::Quantified { function, left: Box::new(column(1)), array: Box::new(array.clone()), all };
    let expected = ["0 [Bool(true), Bool(false)]", "1 [Bool(true), Bool(false)]", "2 [Null, Bool(false)]"];
    check(&[Step::Map(vec![quantified(false), quantified(true)])], &[2, 3], &rows, &expected);
    let Scalar::Call { function, .. } = call("/", vec![column(0), column(1)]) else { panic!("a call") };
    // Not a boolean operator: refused, not run.
    let wrong = Scalar::Quantified { function, left: Box::new(column(1)), array: Box::new(array), all: false };
    check(&[Step::Map(vec![wrong])], &[2], &rows[..1], &["0 XX000"]);
}

#[test]
fn folding_keeps_what_may_not_be_reached() {
    let context = Context::default();
    let fails = call("/", vec![integer(1), integer(0)]);
    assert_eq!(call("+", vec![integer(1), integer(2)]).fold(&context).as_literal().map(|datum| format!("{datum:?}")), Some("Int4(3)".into()));
    assert!(matches!(fails.fold(&context), Scalar::Error(error, _) if error.code() == SqlState::DIVISION_BY_ZERO));
    let guarded = Scalar::If {
        condition: Box::new(call("=", vec![column(0), integer(1)])),
        then: Box::new(fails.clone()),
        otherwise: Box::new(call("+", vec![integer(1), integer(2)])),
    };
    assert!(matches!(guarded.fold(&context), Scalar::If { then, otherwise, .. } if *then == fails && otherwise.as_literal().is_some()));
    let is_one = call("=", vec![column(0), integer(1)]);
    assert_eq!(Scalar::And(vec![Scalar::bool(true), is_one.clone()]).fold(&context), is_one);
    assert!(Scalar::And(vec![Scalar::bool(false), is_one.clone()]).fold(&context).is_literal_false());
    assert!(Scalar::And(vec![]).fold(&context).is_literal_true());
    assert!(Scalar::Or(vec![Scalar::bool(true), call("=", vec![fails, integer(1)])]).fold(&context).is_literal_true());
    assert!(!is_one.is_constant() && !is_one.can_fail());
}

//! Unique keys and types, node by node.

use crate::evaluate::tests::{ASCENDING, aggregate, call, col, int4, int8, relation, types};
use crate::relation::*;
use crate::{Plan, Scalar, TableFunction};
use repr::{CollectionId, Type};

/// Collection 1 has the key (0), collection 2 the keys (0, 1) and (2).
fn table(id: u64) -> Plan {
    Plan::get(CollectionId(id), types("int4! int4 text"))
}

fn keys(plan: &Plan) -> String {
    let keys_of = |id: CollectionId| match id.0 {
        1 => vec![vec![0]],
        2 => vec![vec![0, 1], vec![2]],
        _ => Vec::new(),
    };
    let keys: Vec<String> = plan.unique_keys(&keys_of).iter().map(|key| format!("{key:?}")).collect();
    keys.join(" ")
}

#[test]
fn unique_keys() {
    let on = |plan: Plan, other: Plan, columns: &[(usize, usize)]| {
        Plan::join(vec![plan, other], columns.iter().map(|&(left, right)| vec![col(left), col(right)]).collect())
    };
    let equals = |column: usize, value: i32| call(&table(2), "=", vec![col(column), int4(value)]);
    let top = |group: &[usize], limit: i64| Plan::TopK {
        input: Box::new(table(9)),
        group: group.to_vec(),
        order: vec![],
        limit: Some(Box::new(int8(limit))),
        offset: 0,
        with_ties: false,
        append_only: false,
    };
    let text = relation("text numeric!", "a, 1; a, 2");
    let canonical = call(&text, "canonical", vec![col(1)]);
    let any_value = aggregate(&text, "any_value", &[1]);
    let row_number = WindowExpression {
        function: WindowFunction::RowNumber,
        arguments: vec![],
        filter: None,
        partition: vec![col(1)],
        order: vec![(col(2), ASCENDING)],
        frame: WindowFrame {
            units: FrameUnits::Range,
            start: FrameBound::UnboundedPreceding,
            end: FrameBound::CurrentRow,
            exclusion: FrameExclusion::NoOthers,
        },
        ignore_nulls: false,
        column_type: repr::ColumnType::new(Type::Int8).not_null(),
    };
    let series = || TableFunction::GenerateSeries(Type::Int4);
    let cases = [
        (table(1), "[0]"),
        (table(2), "[2] [0, 1]"),
        (table(9), ""),
        (relation("int4", "1"), "[]"),
        (relation("int4", "1; 2"), ""),
        (relation("int4", "1 * 2"), ""),
        (table(2).project(vec![1, 0]), "[0, 1]"),
        (table(2).project(vec![1]), ""),
        (table(1).map(vec![int4(1)]).filter(vec![]), "[0]"),
        (table(2).filter(vec![equals(1, 5)]), "[0] [2]"),
        (table(2).filter(vec![equals(0, 5), equals(1, 6)]), "[]"),
        (table(1).flat_map(series(), vec![int4(1), col(0)]), ""),
        (table(1).flat_map(TableFunction::WithOrdinality(Box::new(series())), vec![int4(1), col(0)]), "[0, 4]"),
        (table(1).flat_map(TableFunction::AssertOneRow, vec![int8(1)]), "[0]"),
        // The right side's key is covered: a row of the left has at most one partner.
        (on(table(2), table(1), &[(0, 3)]), "[2] [0, 1]"),
        (on(table(1), table(2), &[(0, 5)]), "[0] [5] [3, 4]"),
        (on(table(1), table(1), &[(0, 3)]), "[0] [3]"),
        (on(table(1), table(1), &[(1, 4)]), "[0, 3]"),
        (on(table(1), table(9), &[(0, 3)]), ""),
        (Plan::join(vec![table(1), table(1)], vec![vec![col(3), int4(7)]]), "[0]"),
        (table(9).distinct(), "[0, 1, 2]"),
        (table(1).distinct(), "[0]"),
        (table(9).reduce(vec![], vec![]), "[]"),
        (text.reduce(vec![col(0), canonical], vec![any_value]), "[0, 1] [0, 2]"),
        (top(&[1], 1), "[1]"),
        (top(&[], 1), "[]"),
        (top(&[1], 2), ""),
        (Plan::Window { input: Box::new(table(9)), expressions: vec![row_number] }, "[1, 3]"),
        (Plan::union(vec![table(1), table(1)]), ""),
        (Plan::union(vec![table(1), Plan::empty(types("int4 int4 text"))]), "[0]"),
        (Plan::union(vec![table(1), table(9).negate()]).threshold(), "[0]"),
        (table(1).negate(), ""),
        (
            Plan::Let { id: LocalId(3), value: Box::new(table(1)), body: Box::new(Plan::local(LocalId(3), types("int4 int4 text")).filter(vec![])) },
            "[0]",
        ),
    ];
    for (plan, expected) in cases {
        assert_eq!(keys(&plan), expected, "{plan:?}");
    }
}

#[test]
fn nullability() {
    let shown = |plan: &Plan| -> String {
        assert_eq!(plan.arity(), plan.column_types().len());
        plan.column_types().iter().map(|column_type| if column_type.nullable { '?' } else { '!' }).collect()
    };
    let two = || relation("int4 int4", "");
    let equals = call(&two(), "=", vec![col(0), int4(1)]);
    let sum = call(&two(), "+", vec![col(0), col(1)]);
    let positive = call(&two(), ">", vec![sum.clone(), int4(1)]);
    let cases = [
        (table(1), "!??"),
        (two().filter(vec![equals.clone()]), "!?"),
        (two().filter(vec![positive]), "!!"),
        (two().filter(vec![col(1).is_not_null()]), "?!"),
        (two().filter(vec![col(1).is_null().not()]), "?!"),
        (two().filter(vec![col(1).is_null()]), "??"),
        // NOT (a AND b) is true although b is NULL, when a is false.
        (two().filter(vec![Scalar::And(vec![equals.clone(), col(1).is_null()]).not()]), "??"),
        (two().filter(vec![Scalar::And(vec![equals, col(1).is_not_null()])]), "!!"),
        (two().map(vec![sum, int4(1), col(2).is_null()]), "???!!"),
        (Plan::join(vec![table(1), two()], vec![vec![col(0), col(3)]]), "!??!?"),
        (Plan::union(vec![table(1).project(vec![0]), two().project(vec![0])]), "?"),
        (
            table(1).reduce(
                vec![col(0), col(1)],
                vec![aggregate(&table(1), "count", &[]), aggregate(&table(1), "sum", &[0]), aggregate(&table(1), "any_value", &[0])],
            ),
            "!?!?!",
        ),
    ];
    for (plan, expected) in cases {
        assert_eq!(shown(&plan), expected, "{plan:?}");
    }
}

#[test]
fn inputs_and_children() {
    let mut plan = Plan::join(vec![table(2), table(1).filter(vec![]), table(2)], vec![]).distinct();
    assert_eq!(plan.global_inputs(), [CollectionId(1), CollectionId(2)]);
    let mut nodes = 0;
    plan.for_each_node_mut(&mut |node| {
        nodes += 1;
        if matches!(node, Plan::Filter { .. }) {
            *node = Plan::empty(node.column_types());
        }
    });
    assert_eq!((nodes, plan.global_inputs()), (6, vec![CollectionId(2)]));
    let taken = plan.take_leaving_empty();
    assert!(plan.is_empty_constant() && plan.column_types() == taken.column_types());
}

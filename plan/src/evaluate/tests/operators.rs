//! Map, filter, project, flat map, join, reduce, set operations, bindings; and what fails.

use super::*;
use crate::relation::{Id, JoinImplementation, LocalId, RecursiveBinding};
use crate::table_function::TableFunction;

fn none() -> Tables {
    Tables::default()
}

#[test]
fn map_filter_project_are_one_chain() {
    let input = relation("int4! int4", "1, 10; 2, 0; 3, NULL; 4, 40 * 2");
    let sum = call(&input, "+", vec![col(0), col(1)]);
    let mapped = input.map(vec![sum]);
    let positive = call(&mapped, ">", vec![col(2), int4(5)]);
    check(&mapped.clone().filter(vec![positive]).project(vec![2, 0]), &none(), "11, 1; 44, 4 * 2");
    check(&mapped.clone().filter(vec![col(2).is_null()]), &none(), "3, NULL, NULL");
    check(&mapped.project(vec![]), &none(), " * 5");
}

#[test]
fn an_error_fails_the_plan_unless_the_chain_drops_it() {
    let input = relation("int4 int4", "1, 0; 2, 1");
    let quotient = call(&input, "/", vec![col(0), col(1)]);
    let mapped = input.clone().map(vec![quotient]);
    let error = "22012 division by zero";
    check(&mapped, &none(), error);
    // Dropped by a filter, or not part of what leaves the chain.
    let not_zero = call(&input, "<>", vec![col(1), int4(0)]);
    check(&mapped.clone().filter(vec![not_zero.clone()]), &none(), "2, 1, 2");
    check(&mapped.clone().project(vec![0]), &none(), "1; 2");
    // Whatever happens above does not take it back.
    check(&Plan::union(vec![mapped.clone(), mapped.clone().negate()]), &none(), error);
    check(&Plan::join(vec![mapped.clone(), relation("int4", "")], vec![]), &none(), error);
    let limit = Some(Box::new(int8(0)));
    let top = Plan::TopK { input: Box::new(mapped.clone()), group: vec![], order: vec![], limit, offset: 0, with_ties: false, append_only: false };
    check(&top, &none(), error);
    check(&mapped.reduce(vec![col(0)], vec![]), &none(), error);
    check(&Plan::get(CollectionId(99), types("int4")), &none(), error);
    let key = call(&input, "/", vec![int4(1), col(1)]);
    check(
        &Plan::join(
            vec![relation("int4", "7"), input],
            vec![vec![col(0), {
                let mut key = key;
                key.remap_columns(&mut |column| column + 1);
                key
            }]],
        ),
        &none(),
        error,
    );
}

#[test]
fn joins() {
    let left = || relation("int4 text", "1, a; 2, b * 2; NULL, n; 4, d");
    let right = || relation("int4 text", "1, x; 2, y; 2, z * 3; NULL, m; 5, w");
    let on = |columns: &[usize]| vec![columns.iter().map(|&column| col(column)).collect::<Vec<_>>()];
    check(&Plan::join(vec![left(), right()], on(&[0, 2])), &none(), "1, a, 1, x; 2, b, 2, y * 2; 2, b, 2, z * 6; NULL, n, NULL, m");
    check(&Plan::join(vec![right(), left()], on(&[0, 2])), &none(), "1, x, 1, a; 2, y, 2, b * 2; 2, z, 2, b * 6; NULL, m, NULL, n");
    check(&Plan::join(vec![relation("int4", "1; 2"), relation("text", "a; b")], vec![]), &none(), "1, a; 1, b; 2, a; 2, b");
    check(&Plan::join(vec![], vec![]), &none(), "");
    check(&Plan::join(vec![left()], on(&[0, 0])), &none(), "1, a; 2, b * 2; 4, d; NULL, n");
    // A class with two members over one input, and one with a constant.
    let pairs = relation("int4 int4", "1, 1; 1, 2; 2, 2");
    check(&Plan::join(vec![pairs.clone(), relation("int4", "1; 2")], on(&[0, 1, 2])), &none(), "1, 1, 1; 2, 2, 2");
    check(&Plan::join(vec![pairs.clone(), relation("int4", "1; 2")], vec![vec![col(0), int4(1)], vec![col(1), col(2)]]), &none(), "1, 1, 1; 1, 2, 2");
    // Three inputs in every implementation; the middle one has negative multiplicities.
    let three = |implementation| Plan::Join {
        inputs: vec![relation("int4", "1; 2; 3"), relation("int4 int4", "1, 10; 2, 20 * -1; 3, 30"), relation("int4", "10; 20 * 2")],
        equivalences: vec![vec![col(0), col(1)], vec![col(2), col(3)]],
        implementation,
    };
    let implementations = [
        JoinImplementation::Undecided,
        JoinImplementation::Linear { order: vec![2, 1, 0] },
        JoinImplementation::Linear { order: vec![0, 2, 1] },
        JoinImplementation::Delta { orders: vec![vec![1, 2], vec![0, 2], vec![1, 0]] },
    ];
    for implementation in implementations {
        check(&three(implementation), &none(), "1, 1, 10, 10; 2, 2, 20, 20 * -2");
    }
    // The stored input streams, the constant is built; columns stay where they were.
    let tables = none().with(1, rows(&types("int4 text"), "1, p; 2, q"));
    let stored = Plan::get(CollectionId(1), types("int4 text"));
    check(&Plan::join(vec![relation("int4", "2; 3"), stored], on(&[0, 1])), &tables, "2, 2, q");
}

#[test]
fn reductions() {
    let input = || relation("text int4", "a, 1; a, 2 * 2; b, NULL; a, NULL; c, 7; c, 7 * -1; d, 5 * -1");
    let all = |plan: &Plan, names: &[(&str, &[usize])]| names.iter().map(|(name, arguments)| aggregate(plan, name, arguments)).collect::<Vec<_>>();
    let plan = input();
    let sums = all(&plan, &[("count", &[]), ("count", &[1]), ("sum", &[1]), ("avg", &[1])]);
    check(&plan.clone().reduce(vec![col(0)], sums), &none(), "a, 4, 3, 5, 1.6666666666666667; b, 1, 0, NULL, NULL");
    let mixed = all(&plan, &[("min", &[1]), ("max", &[1]), ("array_agg", &[1]), ("sum", &[1])]);
    check(&plan.clone().reduce(vec![col(0)], mixed), &none(), "a, 1, 2, {1,2,2,NULL}, 5; b, NULL, NULL, {NULL}, NULL");
    check(&plan.clone().distinct(), &none(), "a, 1; a, 2; a, NULL; b, NULL");
    check(&plan.reduce(vec![], vec![]), &none(), "");
    let empty = relation("int4", "");
    let count = all(&empty, &[("count", &[])]);
    check(&empty.reduce(vec![], count), &none(), "");

    let plan = relation("int4 numeric bool text", "1, 1.0, t, x; 1, 1.00, f, y; 1, 2.5, t, x * 2; 1, NULL, NULL, NULL");
    let modified = |name: &str, arguments: &[usize], distinct: bool, filtered: bool| {
        let mut aggregate = aggregate(&plan, name, arguments);
        aggregate.distinct = distinct;
        aggregate.filter = filtered.then(|| col(2));
        aggregate
    };
    let aggregates = vec![
        modified("count", &[0], true, false),
        modified("count", &[], false, true),
        modified("sum", &[1], true, false),
        modified("sum", &[1], false, true),
        modified("max", &[1], true, true),
        modified("bool_and", &[2], false, false),
        modified("bool_or", &[2], false, false),
        modified("any_value", &[3], false, false),
        modified("string_agg", &[3, 3], true, false),
    ];
    let expected = "1, 1, 3, 3.5, 6.0, 2.5, f, t, x, xyy";
    check(&plan.clone().reduce(vec![col(0)], aggregates), &none(), expected);

    let mut ordered = modified("string_agg", &[3, 3], false, false);
    ordered.order = vec![(col(1), DESCENDING), (col(3), ASCENDING)];
    check(&plan.clone().reduce(vec![], vec![ordered]), &none(), "xxxxxyy");
    let mut ordered = modified("array_agg", &[3], false, true);
    ordered.order = vec![(col(3), DESCENDING)];
    check(&plan.reduce(vec![], vec![ordered]), &none(), "\"{x,x,x}\"".trim_matches('"'));
}

#[test]
fn a_filter_keeps_an_aggregate_from_failing() {
    let plan = relation("int4 int4", "1, 0; 1, 2; 1, NULL");
    let not_zero = call(&plan, "<>", vec![col(1), int4(0)]);
    let quotient = call(&plan, "/", vec![int4(10), col(1)]);
    for argument in [quotient.clone(), Scalar::Coalesce(vec![quotient, col(0)])] {
        let mut sum = aggregate(&plan, "sum", &[0]);
        sum.arguments = vec![argument];
        let mut first = sum.clone();
        first.distinct = true;
        let failing = vec![sum.clone(), first.clone()];
        check(&plan.clone().reduce(vec![col(0)], failing), &none(), "22012 division by zero");
        sum.filter = Some(not_zero.clone());
        first.filter = Some(not_zero.clone());
        check(&plan.clone().reduce(vec![col(0)], vec![sum, first]), &none(), "1, 5, 5");
    }
}

#[test]
fn a_sum_out_of_range_is_an_error_of_its_group() {
    let plan = relation("int8", "9223372036854775807; 9223372036854775807");
    let sum = aggregate(&plan, "sum", &[0]);
    check(&plan.reduce(vec![], vec![sum]), &none(), "18446744073709551614");
    let plan = relation("float8", "1e308; 1e308; -1e308");
    let sum = aggregate(&plan, "sum", &[0]);
    check(&plan.reduce(vec![], vec![sum]), &none(), "1e+308");
    let plan = relation("float8", "1e308; 1e308");
    let sum = aggregate(&plan, "sum", &[0]);
    check(&plan.reduce(vec![], vec![sum]), &none(), "22003 value out of range: overflow");
    let plan = relation("int4", "2147483647 * 4294967299; 2147483647 * 4294967299");
    let sum = aggregate(&plan, "sum", &[0]);
    check(&plan.reduce(vec![], vec![sum]), &none(), "22003 bigint out of range");
}

#[test]
fn union_negate_threshold() {
    let left = relation("int4", "1 * 3; 2; 3");
    let right = relation("int4", "1; 2 * 2; 4");
    let difference = Plan::union(vec![left, right.negate()]);
    check(&difference, &none(), "1 * 2; 2 * -1; 3; 4 * -1");
    check(&difference.clone().threshold(), &none(), "1 * 2; 3");
    check(&Plan::union(vec![difference.clone(), difference.clone().negate()]), &none(), "");
    check(&difference.distinct(), &none(), "1; 3");
}

#[test]
fn flat_map() {
    let input = relation("int4 text", "2, a; 0, b; 3, c * 2");
    let series = input.clone().flat_map(TableFunction::GenerateSeries(Type::Int4), vec![int4(1), col(0)]);
    check(&series, &none(), "2, a, 1; 2, a, 2; 3, c, 1 * 2; 3, c, 2 * 2; 3, c, 3 * 2");
    let numbered = TableFunction::WithOrdinality(Box::new(TableFunction::GenerateSeries(Type::Int4)));
    check(
        &input.clone().flat_map(numbered, vec![int4(5), int4(6)]).filter(vec![]).project(vec![0, 2, 3]),
        &none(),
        "0, 5, 1; 0, 6, 2; 2, 5, 1; 2, 6, 2; 3, 5, 1 * 2; 3, 6, 2 * 2",
    );
    let times = Scalar::Cast { input: Box::new(col(0)), kind: crate::CastKind::Implicit, column_type: ColumnType::new(Type::Int8) };
    check(&input.clone().flat_map(TableFunction::Repeat, vec![times.clone()]), &none(), "2, a * 2; 3, c * 6");
    check(&input.flat_map(TableFunction::AssertOneRow, vec![times]), &none(), "21000 more than one row returned by a subquery used as an expression");
}

#[test]
fn let_bindings_are_computed_when_they_are_read() {
    let local = |id: u32| Plan::local(LocalId(id), types("int4"));
    let failing = Plan::Constant { rows: Err(EvalError::division_by_zero()), types: types("int4") };
    let bind = |id: u32, value: Plan, body: Plan| Plan::Let { id: LocalId(id), value: Box::new(value), body: Box::new(body) };
    check(&bind(0, relation("int4", "1; 2"), Plan::union(vec![local(0), local(0)])), &none(), "1 * 2; 2 * 2");
    check(&bind(0, failing.clone(), relation("int4", "1")), &none(), "1");
    check(&bind(0, failing.clone(), bind(1, local(0), relation("int4", "1"))), &none(), "1");
    check(&bind(0, failing, bind(1, local(0), local(1))), &none(), "22012 division by zero");
    check(&bind(0, relation("int4", "1"), bind(1, Plan::union(vec![local(0), local(0)]), local(1))), &none(), "1 * 2");
}

#[test]
fn recursion() {
    // reach(to) = {1} + { edge.to : edge.from in reach }
    let edges = relation("int4 int4", "1, 2; 2, 3; 3, 1; 5, 6; 3, 4");
    let reach = Plan::Get { id: Id::Local(LocalId(0)), types: types("int4"), access: crate::Access::Scan };
    let step = Plan::join(vec![reach.clone(), edges], vec![vec![col(0), col(1)]]).project(vec![2]);
    let value = Plan::union(vec![relation("int4", "1"), step]).distinct();
    let recursive = |limit| Plan::LetRec {
        bindings: vec![RecursiveBinding { id: LocalId(0), types: types("int4"), value: value.clone() }],
        limit,
        body: Box::new(reach.clone()),
    };
    check(&recursive(None), &none(), "1; 2; 3; 4");
    check(&recursive(Some(2)), &none(), "1; 2");
    check(&recursive(Some(0)), &none(), "");
}

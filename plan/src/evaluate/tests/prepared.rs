//! Prepared plans: parameters, lookups, ranges, limits of a run.

use super::*;
use crate::Access;
use crate::relation::Id;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn parameter(number: usize, typ: Type) -> Scalar {
    Scalar::Parameter(number, ColumnType::new(typ))
}

#[test]
fn lookups_with_parameters() {
    let row_types = types("int4 numeric text");
    let tables = Tables::default().with(1, rows(&row_types, "1, 1.0, a; 2, 2.50, b; NULL, 3, c; 2, 2.5, d")).index(8, &[0]).index(9, &[1]);
    let get = |index: u64, keys| Plan::Get {
        id: Id::Global(CollectionId(1)),
        types: row_types.clone(),
        access: Access::Lookup { index: CollectionId(index), keys },
    };
    let run = |prepared: &mut PreparedPlan, parameters: &str, parameter_types: &str| {
        let parameter_types = types(parameter_types);
        prepared.bind(&rows(&parameter_types, parameters)[0].0).unwrap();
        prepared.run(&tables)
    };
    let plan = get(8, vec![vec![parameter(0, Type::Int4)]]).project(vec![2]);
    let mut prepared = PreparedPlan::new(&plan, &Context::default());
    assert_eq!(outcome(&types("text"), prepared.run(&tables)), "42P02 there is no parameter $1");
    for (value, expected) in [("1", "a"), ("2", "b; d"), ("3", ""), ("NULL", ""), ("1", "a")] {
        assert_eq!(outcome(&types("text"), run(&mut prepared, value, "int4")), expected);
    }
    // Canonical keys; a key named twice; a computed key; parameters in the chain above.
    let plan = get(9, vec![vec![parameter(0, Type::Numeric)], vec![parameter(1, Type::Numeric)]]).project(vec![2]);
    let mut prepared = PreparedPlan::new(&plan, &Context::default());
    assert_eq!(outcome(&types("text"), run(&mut prepared, "2.500, 2.5", "numeric numeric")), "b; d");
    let sum = Scalar::call("+", vec![parameter(0, Type::Int4), int4(1)], &[]);
    let base = get(8, vec![vec![sum]]);
    let doubled = call(&base, "*", vec![col(0), parameter(1, Type::Int4)]);
    let mapped = base.map(vec![doubled]);
    let wanted = call(&mapped, "=", vec![col(2), parameter(2, Type::Text)]);
    let mut prepared = PreparedPlan::new(&mapped.filter(vec![wanted]).project(vec![3, 2]), &Context::default());
    assert_eq!(outcome(&types("int4 text"), run(&mut prepared, "1, 100, d", "int4 int4 text")), "200, d");
    assert_eq!(outcome(&types("int4 text"), run(&mut prepared, "0, 7, a", "int4 int4 text")), "7, a");
    assert_eq!(outcome(&types("int4 text"), run(&mut prepared, "2147483647, 7, a", "int4 int4 text")), "22003 integer out of range");
}

#[test]
fn ranges() {
    let row_types = types("int4 int4");
    let tables = Tables::default().with(1, rows(&row_types, "1, 1; 1, 2; 1, 3; 2, 1; 2, 2; NULL, 1; 3, NULL")).index(9, &[0, 1]);
    type Bound = Option<(Vec<i32>, bool)>;
    let range = |lower: Bound, upper: Bound| {
        let bound = |bound: Bound| bound.map(|(values, inclusive)| (values.into_iter().map(int4).collect(), inclusive));
        Plan::Get {
            id: Id::Global(CollectionId(1)),
            types: row_types.clone(),
            access: Access::Range { index: CollectionId(9), lower: bound(lower), upper: bound(upper), descending: false },
        }
    };
    let cases: [(Bound, Bound, &str); 6] = [
        (None, None, "1, 1; 1, 2; 1, 3; 2, 1; 2, 2; 3, NULL; NULL, 1"),
        (Some((vec![1], false)), Some((vec![2], true)), "2, 1; 2, 2"),
        (Some((vec![1], true)), Some((vec![2], false)), "1, 1; 1, 2; 1, 3"),
        (Some((vec![1, 2], true)), Some((vec![2, 1], true)), "1, 2; 1, 3; 2, 1"),
        (Some((vec![1, 2], false)), Some((vec![2, 1], false)), "1, 3"),
        (Some((vec![2, 2], false)), None, "3, NULL; NULL, 1"),
    ];
    for (lower, upper, expected) in cases {
        check(&range(lower, upper), &tables, expected);
    }
    let null = Some((vec![Scalar::null(Type::Int4)], true));
    let plan = Plan::Get {
        id: Id::Global(CollectionId(1)),
        types: row_types.clone(),
        access: Access::Range { index: CollectionId(9), lower: null, upper: None, descending: false },
    };
    check(&plan, &tables, "");
}

#[test]
fn a_run_ends_at_its_memory_limit_and_when_cancelled() {
    let text: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let tables = Tables::default().with(1, rows(&types("int4"), &text.join(";")));
    let scan = || Plan::get(CollectionId(1), types("int4"));
    let limited = Context { memory_bytes_max: Some(100_000), ..Context::default() };
    let sort = Plan::TopK { input: Box::new(scan()), group: vec![], order: vec![], limit: None, offset: 0, with_ties: false, append_only: false };
    let cross = Plan::join(vec![scan(), scan(), scan()], vec![]);
    for plan in [scan(), scan().distinct(), sort, Plan::join(vec![scan(), scan()], vec![vec![col(0), col(1)]]), cross.clone()] {
        assert_eq!(outcome(&types("int4"), evaluate(&plan, &tables, &limited)), "53200 out of memory");
    }
    // What is not kept does not count.
    let count = aggregate(&scan(), "count", &[]);
    let expected = evaluate(&scan().reduce(vec![], vec![count]), &tables, &limited).unwrap();
    assert_eq!(show(&types("int8"), &expected), "20000");
    let flag = Arc::new(AtomicBool::new(true));
    let cancelled = Context { cancelled: Some(flag), ..Context::default() };
    assert_eq!(outcome(&[], evaluate(&cross, &tables, &cancelled)), "57014 canceling statement due to user request");
    // And in the middle of a run that would not end in a lifetime.
    let flag = Arc::new(AtomicBool::new(false));
    let context = Context { cancelled: Some(flag.clone()), ..Context::default() };
    let mut seen = 0u64;
    let result = PreparedPlan::new(&cross, &context).stream(&tables, &mut |_, _| {
        seen += 1;
        if seen == 10_000 {
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        true
    });
    assert_eq!(result.unwrap_err().code().as_str(), "57014");
    assert!(seen < 20_000, "{seen} rows after the cancel");
}

#[test]
fn rows_are_streamed_as_they_come() {
    let tables = Tables::default().with(1, rows(&types("int4"), "3; 1; 2"));
    let scan = || Plan::get(CollectionId(1), types("int4"));
    let mut seen = Vec::new();
    let mut prepared = PreparedPlan::new(&Plan::union(vec![scan(), scan()]), &Context::default());
    prepared
        .stream(&tables, &mut |row, diff| {
            seen.push((Row::from_bytes(row), diff));
            seen.len() < 4
        })
        .unwrap();
    assert_eq!(show(&types("int4"), &seen), "3; 1; 2; 3");
    let bound = Plan::Let { id: crate::LocalId(0), value: Box::new(scan()), body: Box::new(Plan::local(crate::LocalId(0), types("int4"))) };
    let mut seen = 0;
    PreparedPlan::new(&bound, &Context::default())
        .stream(&tables, &mut |_, _| {
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!(seen, 3);
    let mut negative = PreparedPlan::new(&Plan::union(vec![scan(), scan().negate(), scan().negate()]), &Context::default());
    assert_eq!(negative.stream(&tables, &mut |_, _| true).unwrap_err().code().as_str(), "XX000");
}

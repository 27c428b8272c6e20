//! ORDER BY, LIMIT, OFFSET, ties, groups, and reading no more than needed.

use super::*;
use crate::Access;
use crate::relation::ColumnOrder;

fn top(input: Plan, group: &[usize], order: &[(usize, SortDirection)], limit: Option<i64>, offset: u64, with_ties: bool) -> Plan {
    let order = order.iter().map(|&(column, direction)| ColumnOrder { column, direction }).collect();
    let limit = limit.map(|limit| Box::new(int8(limit)));
    Plan::TopK { input: Box::new(input), group: group.to_vec(), order, limit, offset, with_ties, append_only: false }
}

#[test]
fn limits_and_offsets() {
    let input = || relation("int4 text", "3, c; 1, a * 2; NULL, n; 2, b; 2, a");
    let up = [(0, ASCENDING)];
    let cases = [
        (Some(3), 0, false, "1, a * 2; 2, a"),
        (Some(3), 1, false, "1, a; 2, a; 2, b"),
        (Some(1), 2, true, "2, a; 2, b"),
        (Some(2), 0, true, "1, a * 2"),
        (Some(1), 0, true, "1, a * 2"),
        (Some(1), 5, false, "NULL, n"),
        (Some(1), 6, false, ""),
        (Some(0), 0, false, ""),
        (Some(0), 0, true, ""),
        (None, 4, false, "3, c; NULL, n"),
        (None, 0, false, "1, a * 2; 2, a; 2, b; 3, c; NULL, n"),
        (Some(-1), 0, false, "2201W LIMIT must not be negative"),
    ];
    for (limit, offset, with_ties, expected) in cases {
        check(&top(input(), &[], &up, limit, offset, with_ties), &Tables::default(), expected);
    }
    check(&top(input(), &[], &[(0, DESCENDING)], Some(2), 0, false), &Tables::default(), "3, c; NULL, n");
    check(&top(input(), &[], &[(0, SortDirection { descending: true, nulls_first: false })], Some(1), 0, false), &Tables::default(), "3, c");
    // Ties in a sort key that SQL calls equal are broken by the whole row.
    let numbers = relation("numeric int4", "1.0, 2; 1.00, 1; 2, 0");
    check(&top(numbers.clone(), &[], &[(0, ASCENDING), (1, ASCENDING)], Some(1), 0, false), &Tables::default(), "1.00, 1");
    check(&top(numbers, &[], &[(0, ASCENDING)], Some(1), 0, true), &Tables::default(), "1.0, 2; 1.00, 1");
}

#[test]
fn groups() {
    let input = relation("text int4", "a, 3; a, 1; a, 2; b, 5 * 3; c, 1; c, 1 * -1");
    check(&top(input.clone(), &[0], &[(1, DESCENDING)], Some(2), 0, false), &Tables::default(), "a, 2; a, 3; b, 5 * 2");
    check(&top(input, &[0], &[(1, ASCENDING)], Some(1), 1, false), &Tables::default(), "a, 2; b, 5");
}

#[test]
fn an_ordered_range_is_read_no_further_than_needed() {
    let row_types = types("int4! text");
    let text: Vec<String> = (0..5000).map(|number| format!("{}, t{}", number / 2, number % 7)).collect();
    let tables = Tables::default().with(1, rows(&row_types, &text.join(";"))).index(9, &[0]);
    let range = |descending| Plan::Get {
        id: crate::relation::Id::Global(CollectionId(1)),
        types: row_types.clone(),
        access: Access::Range { index: CollectionId(9), lower: None, upper: None, descending },
    };
    let visited = |plan: &Plan, expected: &str| {
        tables.visited.set(0);
        check(plan, &tables, expected);
        tables.visited.get()
    };
    assert_eq!(visited(&top(range(false), &[], &[(0, ASCENDING)], Some(3), 0, false), "0, t0; 0, t1; 1, t2"), 5);
    assert_eq!(visited(&top(range(true), &[], &[(0, DESCENDING)], Some(1), 0, false), "2499, t0"), 3);
    // Below a chain too, if it cannot fail.
    let filter = call(&range(false), ">", vec![col(0), int4(10)]);
    let filtered = range(false).filter(vec![filter]).project(vec![1, 0]);
    assert!(visited(&top(filtered, &[], &[(1, ASCENDING)], Some(1), 0, false), "t1, 11") < 200);
    let quotient = call(&range(false), "/", vec![int4(1), col(0)]);
    let failing = range(false).map(vec![quotient]);
    assert_eq!(visited(&top(failing, &[], &[(0, ASCENDING)], Some(1), 0, false), "22012 division by zero"), 32);
    // Another order reads everything.
    assert_eq!(visited(&top(range(false), &[], &[(0, DESCENDING)], Some(1), 0, false), "2499, t0"), 5000);
    assert_eq!(visited(&top(range(false), &[], &[(1, ASCENDING)], Some(1), 0, false), "0, t0"), 5000);
}

#[test]
fn an_order_behind_a_fixed_key_column_is_read_no_further_than_needed() {
    let row_types = types("int4! int4!");
    let text: Vec<String> = (0..4000).map(|number| format!("{}, {}", number % 4, number / 4)).collect();
    let tables = Tables::default().with(1, rows(&row_types, &text.join(";"))).index(9, &[0, 1]);
    let of_one = |descending| Plan::Get {
        id: crate::relation::Id::Global(CollectionId(1)),
        types: row_types.clone(),
        access: Access::Range { index: CollectionId(9), lower: Some((vec![int4(2)], true)), upper: Some((vec![int4(2)], true)), descending },
    };
    let visited = |plan: &Plan, expected: &str| {
        tables.visited.set(0);
        check(plan, &tables, expected);
        tables.visited.get()
    };
    assert_eq!(visited(&top(of_one(false), &[], &[(1, ASCENDING)], Some(2), 0, false), "2, 0; 2, 1"), 3);
    assert_eq!(visited(&top(of_one(false), &[], &[(0, ASCENDING), (1, ASCENDING)], Some(1), 0, false), "2, 0"), 2);
    // Without NULLs it does not matter where they would be.
    let nulls_last = SortDirection { descending: true, nulls_first: false };
    assert_eq!(visited(&top(of_one(true), &[], &[(1, nulls_last)], Some(1), 0, false), "2, 999"), 2);
}

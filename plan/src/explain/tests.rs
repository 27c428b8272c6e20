//! Golden texts.

use crate::evaluate::tests::{ASCENDING, DESCENDING, aggregate, call, col, int4, int8, relation, types};
use crate::relation::*;
use crate::{Plan, Scalar, TableFunction};
use repr::{CollectionId, ColumnType, Datum, EvalError, Type};

fn names(id: CollectionId) -> Option<String> {
    match id.0 {
        1 => Some("orders".to_string()),
        2 => Some("orders_pkey".to_string()),
        _ => None,
    }
}

fn orders(access: Access) -> Plan {
    Plan::Get { id: Id::Global(CollectionId(1)), types: types("int4! text numeric"), access }
}

#[track_caller]
fn check(plan: &Plan, expected: &str) {
    let lines: Vec<&str> = expected.trim_matches('\n').lines().collect();
    let indent = lines[0].len() - lines[0].trim_start().len();
    let expected: String = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| format!("{}\n", &line[indent..])).collect();
    assert_eq!(super::text(plan, &names), expected);
}

#[test]
fn reads_show_their_index() {
    let index = CollectionId(2);
    let parameter = Scalar::Parameter(0, ColumnType::new(Type::Int4));
    check(&orders(Access::Scan), "Get orders");
    check(&orders(Access::Lookup { index, keys: vec![vec![int4(1)], vec![parameter]] }), "Get orders; index: orders_pkey; lookup: (1), ($1)");
    let range = |lower, upper, descending| orders(Access::Range { index, lower, upper, descending });
    check(
        &range(Some((vec![int4(1)], true)), Some((vec![int4(9)], false)), true),
        "Get orders; index: orders_pkey; range: >= (1), < (9); descending",
    );
    check(&range(None, None, false), "Get orders; index: orders_pkey; range: everything");
    check(&Plan::get(CollectionId((1 << 20) + 5), vec![]), "Get u5");
}

#[test]
fn every_operator() {
    let input = || orders(Access::Scan);
    let text = |text: &str| Scalar::literal(Datum::Text(text), ColumnType::new(Type::Text).not_null());
    let sum = call(&input(), "+", vec![col(0), int4(1)]);
    let mapped = input().map(vec![sum, call(&input(), "lower", vec![col(1)])]);
    let big = call(&mapped, ">", vec![call(&mapped, "*", vec![col(0), col(3)]), int4(5)]);
    let not_it = call(&mapped, "=", vec![col(1), text("it's")]).not();
    let filtered = mapped.filter(vec![big, Scalar::Or(vec![not_it, col(2).is_not_null()])]).project(vec![0, 2, 4]);
    let mut total = aggregate(&filtered, "sum", &[1]);
    total.distinct = true;
    total.filter = Some(col(0).is_null());
    let mut names_of = aggregate(&filtered, "array_agg", &[2]);
    names_of.order = vec![(col(0), DESCENDING)];
    let reduced = filtered.clone().reduce(vec![col(2)], vec![aggregate(&filtered, "count", &[]), total, names_of]);
    let limit = Some(Box::new(int8(3)));
    let order = vec![ColumnOrder { column: 1, direction: DESCENDING }, ColumnOrder { column: 0, direction: ASCENDING }];
    let top = Plan::TopK { input: Box::new(reduced), group: vec![0], order, limit, offset: 2, with_ties: true, append_only: false };
    check(
        &top,
        "
        TopK by: #0; order: #1 DESC, #0; limit: 3 with ties; offset: 2
          Reduce count(*), sum(DISTINCT #1) FILTER (WHERE #0 IS NULL), array_agg(#2 ORDER BY #0 DESC); by: #2
            Project #0, #2, #4
              Filter (#0 * #3) > 5 AND (NOT (#1 = 'it''s')) OR (#2 IS NOT NULL)
                Map #0 + 1, lower(#1)
                  Get orders
        ",
    );
    let join = |implementation| Plan::Join {
        inputs: vec![input(), input()],
        equivalences: vec![vec![col(0), col(3)], vec![col(1), text("x")]],
        implementation,
    };
    check(
        &Plan::union(vec![join(JoinImplementation::Delta { orders: vec![vec![1], vec![0]] }), Plan::join(vec![input(), input()], vec![]).negate()])
            .threshold()
            .distinct(),
        "
        Distinct #0, #1, #2, #3, #4, #5
          Threshold
            Union
              Join on: #0 = #3 AND #1 = 'x'; delta: 0 1, 1 0
                Get orders
                Get orders
              Negate
                Join on: everything
                  Get orders
                  Get orders
        ",
    );
    let local = Plan::local(LocalId(1), types("int4"));
    let bound =
        Plan::Let { id: LocalId(1), value: Box::new(relation("int4 text", "1, a; NULL, b * 2").project(vec![0])), body: Box::new(local.clone()) };
    let recursive = Plan::LetRec {
        bindings: vec![RecursiveBinding { id: LocalId(1), types: types("int4"), value: bound }],
        limit: Some(7),
        body: Box::new(local),
    };
    let numbered = TableFunction::WithOrdinality(Box::new(TableFunction::GenerateSeries(Type::Int4)));
    check(
        &recursive.flat_map(numbered, vec![int4(1), col(0)]),
        "
        FlatMap generate_series(1, #0) WITH ORDINALITY
          LetRec limit: 7
            l1: Let
              l1: Project #0
                Constant (1, 'a'), (NULL, 'b') x 2
              Get l1
            Get l1
        ",
    );
    let failed = Plan::Constant { rows: Err(EvalError::division_by_zero()), types: vec![] };
    check(&Plan::union(vec![failed, Plan::empty(vec![])]), "Union\n  Constant error: 22012 division by zero\n  Constant no rows");
}

#[test]
fn windows() {
    let window = |function, frame| WindowExpression {
        function,
        arguments: vec![col(0)],
        filter: None,
        partition: vec![col(1)],
        order: vec![(col(0), ASCENDING)],
        frame,
        ignore_nulls: false,
        column_type: ColumnType::new(Type::Int4),
    };
    let rows = WindowFrame {
        units: FrameUnits::Rows,
        start: FrameBound::Preceding(int4(1)),
        end: FrameBound::UnboundedFollowing,
        exclusion: FrameExclusion::Ties,
    };
    let default = WindowFrame {
        units: FrameUnits::Range,
        start: FrameBound::UnboundedPreceding,
        end: FrameBound::CurrentRow,
        exclusion: FrameExclusion::NoOthers,
    };
    let sum = aggregate(&orders(Access::Scan), "sum", &[0]);
    let plan = Plan::Window {
        input: Box::new(orders(Access::Scan)),
        expressions: vec![window(WindowFunction::Lag, default), window(WindowFunction::Aggregate(sum), rows)],
    };
    check(
        &plan,
        "
        Window lag(#0) OVER (PARTITION BY #1 ORDER BY #0), sum(#0) OVER (PARTITION BY #1 ORDER BY #0 ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES)
          Get orders
        ",
    );
}

#[test]
fn expressions() {
    let input = orders(Access::Scan);
    let cast =
        |scalar: Scalar, typ: Type| Scalar::Cast { input: Box::new(scalar), kind: crate::CastKind::Explicit, column_type: ColumnType::new(typ) };
    let one_two = std::sync::Arc::new(vec![repr::Row::pack([Datum::Int4(1)]), repr::Row::pack([Datum::Int4(2)])]);
    let case = |condition, then, otherwise| Scalar::If { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) };
    let cases = [
        (cast(call(&input, "+", vec![col(0), int4(1)]), Type::Text), "(#0 + 1)::text"),
        (Scalar::InList { value: Box::new(col(0)), list: one_two, has_null: true }, "#0 IN (1, 2, NULL)"),
        (case(col(0).is_null(), int4(1), case(col(1).is_null(), int4(2), int4(3))), "CASE WHEN #0 IS NULL THEN 1 WHEN #1 IS NULL THEN 2 ELSE 3 END"),
        (Scalar::Coalesce(vec![col(0), int4(0)]), "COALESCE(#0, 0)"),
        (Scalar::And(vec![]), "true"),
        (Scalar::literal(Datum::Date(repr::Date(0)), ColumnType::new(Type::Date)), "'2000-01-01'::date"),
        (Scalar::null(Type::Int4), "NULL"),
        (Scalar::LogicalTimestamp, "mz_now()"),
    ];
    for (scalar, expected) in cases {
        assert_eq!(super::expression(&scalar), expected);
    }
}

#[test]
fn json() {
    let plan = orders(Access::Scan).filter(vec![call(
        &orders(Access::Scan),
        "=",
        vec![col(1), Scalar::literal(Datum::Text("a\"b\n"), ColumnType::new(Type::Text))],
    )]);
    assert_eq!(
        super::json(&plan, &names),
        r##"{"operator":"Filter","predicates":["#1 = 'a\"b\n'"],"inputs":[{"operator":"Get","relation":["orders"]}]}"##
    );
}

#[test]
fn a_maintained_plan_says_what_it_keeps() {
    let input = || orders(Access::Scan);
    let reduce = |aggregates: &[(&str, usize)]| {
        input().reduce(vec![col(1)], aggregates.iter().map(|(name, column)| aggregate(&input(), name, &[*column])).collect())
    };
    let keeps = |plan: &Plan| {
        let text = super::maintained_text(plan, &names);
        assert_eq!(super::text(plan, &names), text.lines().map(|line| line.split("; keeps: ").next().unwrap().to_string() + "\n").collect::<String>());
        text.lines().next().and_then(|line| line.split_once("; keeps: ")).map_or(String::new(), |(_, kept)| kept.to_string())
    };
    assert_eq!(keeps(&input()), "");
    assert_eq!(keeps(&reduce(&[("sum", 0)])), "one sum and one row per group");
    assert_eq!(keeps(&reduce(&[("min", 0)])), "each group's values in order, one row per group");
    assert_eq!(keeps(&reduce(&[("sum", 0), ("min", 0)])), "one sum, each group's values in order, one row per group");
    assert_eq!(keeps(&reduce(&[])), "one counter and one row per value");
    let join = |count: usize| Plan::join((0..count).map(|_| input()).collect(), vec![(0..count).map(|at| col(at * 3)).collect()]);
    assert_eq!(keeps(&join(2)), "each input by its key, unless it is arranged so already");
    let mut delta = join(3);
    if let Plan::Join { implementation, .. } = &mut delta {
        *implementation = JoinImplementation::Delta { orders: vec![vec![1, 2], vec![0, 2], vec![0, 1]] };
    }
    assert_eq!(keeps(&delta), "each input by the keys it is met by, unless it is arranged so already; no intermediate result");
}

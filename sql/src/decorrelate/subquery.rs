//! Subqueries of expressions: lowered against the row they stand in, and joined back to it.

use super::{Binding, Lowered, Lowering};
use crate::equality::{boolean, byte_keys, canonical, null};
use crate::error::{BindError, BindResult};
use crate::hir::{ColumnId, Expression, Query, Relation};
use plan::aggregate::{AggregateEntry, lookup};
use plan::{AggregateFunction, JoinImplementation, Plan, Scalar, TableFunction};
use repr::{ColumnType, Datum, Row, SqlState, Type};

/// A subquery against its row: the row's relation (bound to a name if the subquery reads it), the subquery, and what it carries.
struct Against {
    row: Lowered,
    binding: Binding,
    inner: Lowered,
    carried: Vec<ColumnId>,
}

impl Lowering<'_> {
    /// Lowers a relation against the rows of `lowered`.
    fn against(&mut self, lowered: Lowered, relation: &Relation, outer: &Lowered) -> BindResult<Against> {
        let free = self.free_of(relation);
        let lowered = self.attach(lowered, outer, free.iter().copied());
        if !free.iter().any(|id| lowered.has(*id)) {
            let inner = self.lower(relation, &Lowered::unit())?;
            return Ok(Against { row: lowered, binding: Binding(None), inner, carried: Vec::new() });
        }
        let (row, binding) = self.bind(lowered);
        let inner = self.lower(relation, &row)?;
        let carried = self.carried(&inner, &row);
        Ok(Against { row, binding, inner, carried })
    }

    /// Joins a relation that has at most one row per carried combination to the rows; combinations without one take `defaults` for its other columns.
    fn join_total(&mut self, row: Lowered, table: Lowered, carried: &[ColumnId], defaults: Vec<Scalar>) -> Lowered {
        let (table, binding) = self.bind(table);
        let domain = self.distinct_of(&row, carried);
        let present = table.clone().project(carried).plan;
        let missing = Plan::Union { inputs: vec![domain.plan, present.negate()] }.map(defaults);
        let mut padded_columns = carried.to_vec();
        padded_columns.extend(table.columns.iter().filter(|id| !carried.contains(id)));
        let table = table.project(&padded_columns);
        let total = Lowered { plan: Plan::Union { inputs: vec![table.plan, missing] }, columns: padded_columns };
        let total = binding.around(total);
        self.join_shared(row, total)
    }

    fn column_of(&self, lowered: &Lowered, id: ColumnId) -> BindResult<Scalar> {
        let position = lowered.position(id);
        position.map(Scalar::Column).ok_or_else(|| BindError::new(SqlState::INTERNAL_ERROR, "a subquery's column is not visible where it is used"))
    }

    /// `EXISTS` as a value.
    pub(super) fn exists_column(&mut self, relation: &Relation, lowered: &mut Lowered, outer: &Lowered) -> BindResult<Scalar> {
        let Against { row, binding, inner, carried } = self.against(std::mem::replace(lowered, Lowered::unit()), relation, outer)?;
        let flag = self.columns.add(ColumnType::new(Type::Bool).not_null());
        let present = distinct_on(inner, &carried);
        let mut columns = present.columns;
        columns.push(flag);
        let table = Lowered { plan: present.plan.map(vec![boolean(true)]), columns };
        let joined = self.join_total(row, table, &carried, vec![boolean(false)]);
        *lowered = binding.around(joined);
        self.column_of(lowered, flag)
    }

    /// A scalar subquery as a value.
    pub(super) fn scalar_column(&mut self, query: &Query, lowered: &mut Lowered, outer: &Lowered) -> BindResult<Scalar> {
        let Some(output) = query.outputs.first().copied() else { return Err(BindError::unsupported("a subquery must return a column")) };
        let Against { row, binding, inner, carried } = self.against(std::mem::replace(lowered, Lowered::unit()), &query.relation, outer)?;
        let inner = self.attach(inner, &row, [output]);
        let carried = if row.has(output) && !carried.contains(&output) { self.carried(&inner, &row) } else { carried };
        // The value gets an id of its own: it may be a column of the row itself.
        let value_type = self.columns.column_type(output).clone().nullable(true);
        let value = self.columns.add(value_type.clone());
        let source = self.column_of(&inner, output)?;
        let mut columns = inner.columns.clone();
        columns.push(value);
        let mut wanted = carried.clone();
        wanted.push(value);
        let mut table = Lowered { plan: inner.plan.map(vec![source]), columns }.project(&wanted);
        if !at_most_one(&query.relation) {
            table = self.assert_one(table, carried.len())?;
        }
        let joined = if exactly_one(&query.relation) {
            self.join_shared(row, table)
        } else {
            self.join_total(row, table, &carried, vec![null(&value_type)])
        };
        *lowered = binding.around(joined);
        self.column_of(lowered, value)
    }

    /// One row per combination of the first `carried` columns, or an error.
    fn assert_one(&mut self, table: Lowered, carried: usize) -> BindResult<Lowered> {
        let types = table.types();
        let keys: Vec<Scalar> = (0..carried).map(Scalar::Column).collect();
        let value_type = types.get(carried).cloned().unwrap_or(ColumnType::new(Type::Text));
        let any = aggregate("any_value", &[value_type.scalar.clone()], vec![Scalar::Column(carried)], value_type)?;
        let count = aggregate("count", &[], Vec::new(), ColumnType::new(Type::Int8).not_null())?;
        let reduced = Plan::Reduce { input: Box::new(table.plan), keys, aggregates: vec![any, count], append_only: false };
        let checked = Plan::FlatMap { input: Box::new(reduced), function: TableFunction::AssertOneRow, arguments: vec![Scalar::Column(carried + 1)] };
        Ok(Lowered { plan: checked.project((0..=carried).collect()), columns: table.columns })
    }

    /// `ARRAY(SELECT ...)` as a value.
    pub(super) fn array_column(&mut self, query: &Query, column_type: &ColumnType, lowered: &mut Lowered, outer: &Lowered) -> BindResult<Scalar> {
        let Some(output) = query.outputs.first().copied() else { return Err(BindError::unsupported("a subquery must return a column")) };
        let Against { row, binding, mut inner, .. } = self.against(std::mem::replace(lowered, Lowered::unit()), &query.relation, outer)?;
        let value = self.scalar(&Expression::Column(output), &mut inner, &row)?;
        let mut order = Vec::with_capacity(query.order.len());
        for (id, direction) in &query.order {
            order.push((self.scalar(&Expression::Column(*id), &mut inner, &row)?, *direction));
        }
        let carried = self.carried(&inner, &row);
        let value_type = self.columns.column_type(output).scalar.clone();
        let mut gathered = aggregate("array_agg", &[value_type], vec![value], column_type.clone())?;
        gathered.order = order;
        let keys = carried.iter().filter_map(|id| inner.position(*id)).map(Scalar::Column).collect();
        let id = self.columns.add(column_type.clone());
        let mut columns = carried.clone();
        columns.push(id);
        let table = Lowered { plan: Plan::Reduce { input: Box::new(inner.plan), keys, aggregates: vec![gathered], append_only: false }, columns };
        let bytes = repr::ArrayBuilder::new().finish();
        let empty = Scalar::Literal(Row::pack([Datum::Array(repr::Array::from_encoded(&bytes))]), column_type.clone());
        let joined = self.join_total(row, table, &carried, vec![empty]);
        *lowered = binding.around(joined);
        self.column_of(lowered, id)
    }

    /// `WHERE [NOT] EXISTS (...)`.
    pub(super) fn filter_exists(&mut self, lowered: Lowered, relation: &Relation, negated: bool, outer: &Lowered) -> BindResult<Lowered> {
        if let Some((input, pairs)) = self.exists_by_keys(relation) {
            return self.filter_by_keys(lowered, &input, pairs, negated, outer);
        }
        let Against { row, binding, inner, carried } = self.against(lowered, relation, outer)?;
        let present = distinct_on(inner, &carried);
        let keys = if negated {
            let domain = self.distinct_of(&row, &carried);
            Lowered { plan: Plan::Union { inputs: vec![domain.plan, present.plan.negate()] }, columns: carried }
        } else {
            present
        };
        let joined = join_always(row, keys);
        Ok(binding.around(joined))
    }

    /// `EXISTS (SELECT ... WHERE inner = outer AND ...)` that correlates by nothing but equal keys: the inner relation without them, and the pairs
    /// of outer and inner keys.
    fn exists_by_keys(&self, relation: &Relation) -> Option<(Relation, Vec<(Expression, Expression)>)> {
        let (input, predicates) = match relation {
            // What is selected does not matter, unless computing it could fail or multiply.
            Relation::Map { input, scalars } if scalars.iter().all(|(_, scalar)| matches!(scalar, Expression::Literal(..) | Expression::Column(_))) => {
                return self.exists_by_keys(input);
            }
            Relation::Filter { input, predicates } => (input, predicates),
            _ => return None,
        };
        if !self.free_of(input).is_empty() {
            return None;
        }
        let own: Vec<ColumnId> = input.columns();
        let (mut inner, mut pairs) = (Vec::new(), Vec::new());
        for predicate in predicates {
            let free = predicate.free_columns();
            if free.iter().all(|id| own.contains(id)) {
                inner.push(predicate.clone());
                continue;
            }
            let Expression::Call { function, arguments, .. } = predicate else { return None };
            let ("=", [first, second]) = (function.0.name, arguments.as_slice()) else { return None };
            if predicate.has_subquery() {
                return None;
            }
            let inside = |expression: &Expression| expression.free_columns().iter().all(|id| own.contains(id));
            let outside = |expression: &Expression| !expression.free_columns().iter().any(|id| own.contains(id));
            let (outer_key, inner_key) = if outside(first) && inside(second) {
                (first, second)
            } else if outside(second) && inside(first) {
                (second, first)
            } else {
                return None;
            };
            byte_keys(Scalar::Column(0), &outer_key.column_type(self.columns), Scalar::Column(0), &inner_key.column_type(self.columns))?;
            pairs.push((outer_key.clone(), inner_key.clone()));
        }
        (!pairs.is_empty()).then(|| (input.as_ref().clone().filter(inner), pairs))
    }

    fn filter_by_keys(
        &mut self,
        mut lowered: Lowered,
        input: &Relation,
        pairs: Vec<(Expression, Expression)>,
        negated: bool,
        outer: &Lowered,
    ) -> BindResult<Lowered> {
        let (outer_keys, inner_keys): (Vec<Expression>, Vec<Expression>) = pairs.into_iter().unzip();
        let row_keys = self.scalars(&outer_keys, &mut lowered, outer)?;
        let mut inner = self.lower(input, &Lowered::unit())?;
        let inner_keys = self.scalars(&inner_keys, &mut inner, &Lowered::unit())?;
        if !negated {
            return Ok(self.semi_join(lowered, row_keys, inner, inner_keys, &[]));
        }
        let (row, binding) = self.bind(lowered);
        let matched = self.semi_join(row.clone(), row_keys, inner, inner_keys, &[]);
        let plan = Plan::Union { inputs: vec![row.plan, matched.plan.negate()] };
        Ok(binding.around(Lowered { plan, columns: row.columns }))
    }

    /// `WHERE x IN (...)`, `WHERE x op ANY (...)`: rows for which the condition is true for some row of the query.
    pub(super) fn filter_any(
        &mut self,
        mut lowered: Lowered,
        left: &[(ColumnId, Expression)],
        condition: &Expression,
        query: &Query,
        outer: &Lowered,
    ) -> BindResult<Lowered> {
        self.map_left(left, &mut lowered, outer)?;
        let left_ids: Vec<ColumnId> = left.iter().map(|(id, _)| *id).collect();
        if let Some(pairs) = self.equalities(condition, &left_ids, query) {
            let Against { mut row, binding, mut inner, carried } = self.against(lowered, &query.relation, outer)?;
            let left_expressions: Vec<Expression> = pairs.iter().map(|(left, _)| left.clone()).collect();
            let right_expressions: Vec<Expression> = pairs.iter().map(|(_, right)| right.clone()).collect();
            let left_keys = self.scalars(&left_expressions, &mut row, outer)?;
            let reference = row.clone();
            let right_keys = self.scalars(&right_expressions, &mut inner, &reference)?;
            let joined = self.semi_join(row, left_keys, inner, right_keys, &carried);
            return Ok(binding.around(joined));
        }
        let relation = query.relation.clone().filter(vec![condition.clone()]);
        self.filter_exists(lowered, &relation, false, outer)
    }

    fn map_left(&mut self, left: &[(ColumnId, Expression)], lowered: &mut Lowered, outer: &Lowered) -> BindResult<()> {
        if left.is_empty() {
            return Ok(());
        }
        let expressions: Vec<Expression> = left.iter().map(|(_, expression)| expression.clone()).collect();
        let scalars = self.scalars(&expressions, lowered, outer)?;
        let before = std::mem::replace(lowered, Lowered::unit());
        let mut columns = before.columns;
        columns.extend(left.iter().map(|(id, _)| *id));
        *lowered = Lowered { plan: before.plan.map(scalars), columns };
        Ok(())
    }

    /// The condition as pairs of equal expressions over the left columns and over the query's, if it is nothing else.
    fn equalities(&self, condition: &Expression, left: &[ColumnId], query: &Query) -> Option<Vec<(Expression, Expression)>> {
        let parts: Vec<&Expression> = match condition {
            Expression::And(parts) => parts.iter().collect(),
            single => vec![single],
        };
        let mut pairs = Vec::with_capacity(parts.len());
        for part in parts {
            let Expression::Call { function, arguments, .. } = part else { return None };
            let ("=", [first, second]) = (function.0.name, arguments.as_slice()) else { return None };
            let over = |expression: &Expression, ids: &[ColumnId]| !expression.has_subquery() && expression.free_columns().iter().all(|id| ids.contains(id));
            if !over(first, left) || !over(second, &query.outputs) {
                return None;
            }
            let (first_type, second_type) = (first.column_type(self.columns), second.column_type(self.columns));
            byte_keys(Scalar::Column(0), &first_type, Scalar::Column(0), &second_type)?;
            pairs.push((first.clone(), second.clone()));
        }
        Some(pairs)
    }

    /// `x IN (...)`, `x op ANY (...)` as a value with three truth values.
    pub(super) fn any_column(
        &mut self,
        left: &[(ColumnId, Expression)],
        condition: &Expression,
        query: &Query,
        lowered: &mut Lowered,
        outer: &Lowered,
    ) -> BindResult<Scalar> {
        self.map_left(left, lowered, outer)?;
        let left_ids: Vec<ColumnId> = left.iter().map(|(id, _)| *id).collect();
        if let Some(pairs) = self.equalities(condition, &left_ids, query)
            && let [(left_key, right_key)] = pairs.as_slice()
        {
            return self.membership(left_key, right_key, query, lowered, outer);
        }
        // The condition for every pair of a row and a row of the query.
        let boolean_type = ColumnType::new(Type::Bool);
        let verdict = self.columns.add(boolean_type.clone());
        let relation = query.relation.clone().map(vec![(verdict, condition.clone())]);
        let Against { row, binding, inner, carried } = self.against(std::mem::replace(lowered, Lowered::unit()), &relation, outer)?;
        let verdict = self.column_of(&inner, verdict)?;
        let keys: Vec<Scalar> = carried.iter().filter_map(|id| inner.position(*id)).map(Scalar::Column).collect();
        let some_true = aggregate("bool_or", &[Type::Bool], vec![verdict.clone()], boolean_type.clone())?;
        let some_null = aggregate("bool_or", &[Type::Bool], vec![verdict.is_null()], boolean_type.clone())?;
        let (is_true, is_null) = (self.columns.add(boolean_type.clone()), self.columns.add(boolean_type.clone()));
        let mut columns = carried.clone();
        columns.extend([is_true, is_null]);
        let table = Lowered { plan: Plan::Reduce { input: Box::new(inner.plan), keys, aggregates: vec![some_true, some_null], append_only: false }, columns };
        let joined = self.join_total(row, table, &carried, vec![boolean(false), boolean(false)]);
        *lowered = binding.around(joined);
        let (is_true, is_null) = (self.column_of(lowered, is_true)?, self.column_of(lowered, is_null)?);
        Ok(three_valued(is_true, is_null))
    }

    /// `x IN (SELECT y ...)` as a value, without looking at every pair: whether a `y` equals `x`, and whether the query has rows and NULLs at all.
    fn membership(&mut self, left_key: &Expression, right_key: &Expression, query: &Query, lowered: &mut Lowered, outer: &Lowered) -> BindResult<Scalar> {
        let Against { row, binding, inner, carried } = self.against(std::mem::replace(lowered, Lowered::unit()), &query.relation, outer)?;
        let mut row = row;
        let left_scalar = self.scalar(left_key, &mut row, outer)?;
        let (row, row_binding) = self.bind(row);
        let mut inner = inner;
        let right_scalar = self.scalar(right_key, &mut inner, &row)?;
        let (row_types, inner_types) = (row.types(), inner.types());
        let (left_type, right_type) = (left_scalar.column_type(&row_types), right_scalar.column_type(&inner_types));
        let (left_bytes, right_bytes) = byte_keys(left_scalar.clone(), &left_type, right_scalar.clone(), &right_type)
            .unwrap_or_else(|| (canonical(left_scalar.clone(), &left_type), canonical(right_scalar.clone(), &right_type)));
        let right_null = right_scalar.clone().is_null();
        let (inner, inner_binding) = self.bind(inner);
        let boolean_type = ColumnType::new(Type::Bool).not_null();
        let has_null = self.columns.add(boolean_type.clone());
        let has_rows = self.columns.add(boolean_type.clone());
        let keys = carried.iter().filter_map(|id| inner.position(*id)).map(Scalar::Column).collect();
        let some_null = aggregate("bool_or", &[Type::Bool], vec![right_null], boolean_type.clone())?;
        let facts = Plan::Reduce { input: Box::new(inner.plan.clone()), keys, aggregates: vec![some_null], append_only: false }.map(vec![boolean(true)]);
        let mut fact_columns = carried.clone();
        fact_columns.extend([has_null, has_rows]);
        let facts = Lowered { plan: facts, columns: fact_columns };
        let with_facts = self.join_total(row, facts, &carried, vec![boolean(false), boolean(false)]);

        // Whether the key is among the query's, for each key the rows have.
        let key = self.columns.add(left_type.clone());
        let is_member = self.columns.add(boolean_type);
        let mut keyed_columns = with_facts.columns.clone();
        keyed_columns.push(key);
        let keyed = Lowered { plan: with_facts.plan.map(vec![left_bytes]), columns: keyed_columns };
        let (keyed, keyed_binding) = self.bind(keyed);
        let mut domain_columns = carried.clone();
        domain_columns.push(key);
        let domain = self.distinct_of(&keyed, &domain_columns);
        let shared: Vec<ColumnId> = carried.clone();
        let key_scalar = vec![self.column_of(&domain, key)?];
        let found = {
            let width = inner.columns.len();
            let mut outputs: Vec<usize> = carried.iter().filter_map(|id| inner.position(*id)).collect();
            outputs.push(width);
            let plan = inner.plan.clone().filter(vec![right_scalar.clone().is_not_null()]).map(vec![right_bytes]).project(outputs);
            let mut columns = shared.clone();
            columns.push(key);
            let scalars = vec![Scalar::Column(columns.len() - 1)];
            let columns = rename_last(columns, self.columns.add(left_type.clone()));
            self.semi_join(domain, key_scalar, Lowered { plan, columns }, scalars, &shared)
        };
        let mut found_columns = found.columns;
        found_columns.push(is_member);
        let found = Lowered { plan: found.plan.map(vec![boolean(true)]), columns: found_columns };
        let joined = self.join_total(keyed, found, &domain_columns, vec![boolean(false)]);
        *lowered = binding.around(row_binding.around(inner_binding.around(keyed_binding.around(joined))));

        let (member, rows, nulls) = (self.column_of(lowered, is_member)?, self.column_of(lowered, has_rows)?, self.column_of(lowered, has_null)?);
        let key_null = self.column_of(lowered, key)?.is_null();
        let unknown = Scalar::And(vec![rows, Scalar::Or(vec![key_null, nulls])]);
        Ok(three_valued(member, unknown))
    }
}

/// True if the first is, else NULL if the second is true, else false.
fn three_valued(is_true: Scalar, is_null: Scalar) -> Scalar {
    let unknown = null(&ColumnType::new(Type::Bool));
    let otherwise = Scalar::If { condition: Box::new(is_null), then: Box::new(unknown), otherwise: Box::new(boolean(false)) };
    Scalar::If { condition: Box::new(is_true), then: Box::new(boolean(true)), otherwise: Box::new(otherwise) }
}

fn rename_last(mut columns: Vec<ColumnId>, id: ColumnId) -> Vec<ColumnId> {
    columns.pop();
    columns.push(id);
    columns
}

/// The distinct combinations of some columns of a relation. Of none: one row if there is any.
fn distinct_on(lowered: Lowered, wanted: &[ColumnId]) -> Lowered {
    let projected = lowered.project(wanted);
    Lowered { plan: projected.plan.distinct(), columns: projected.columns }
}

/// Joins on the shared columns; a relation without columns decides by having a row.
fn join_always(row: Lowered, keys: Lowered) -> Lowered {
    let width = row.columns.len();
    let mut equivalences = Vec::new();
    for (position, id) in keys.columns.iter().enumerate() {
        if let Some(other) = row.position(*id) {
            equivalences.push(vec![Scalar::Column(other), Scalar::Column(width + position)]);
        }
    }
    let plan = Plan::Join { inputs: vec![row.plan, keys.plan], equivalences, implementation: JoinImplementation::Undecided };
    Lowered { plan: plan.project((0..width).collect()), columns: row.columns }
}

/// An aggregate the lowering itself needs.
fn aggregate(name: &str, types: &[Type], arguments: Vec<Scalar>, column_type: ColumnType) -> BindResult<plan::Aggregate> {
    let accepts = |entry: &&&'static AggregateEntry| {
        entry.arguments.len() == types.len()
            && entry.arguments.iter().zip(types).all(|(parameter, actual)| match parameter {
                Type::Any | Type::AnyElement => true,
                Type::AnyNonArray => !matches!(actual, Type::Array(_)),
                Type::AnyArray => matches!(actual, Type::Array(_)),
                other => other == actual,
            })
    };
    match lookup(name).iter().find(accepts) {
        Some(entry) => Ok(plan::Aggregate { function: AggregateFunction(entry), arguments, distinct: false, filter: None, order: Vec::new(), column_type }),
        None => Err(BindError::new(SqlState::INTERNAL_ERROR, format!("there is no aggregate {name} for these types"))),
    }
}

/// Whether a relation has at most one row, whatever its inputs hold.
fn at_most_one(relation: &Relation) -> bool {
    match relation {
        Relation::Constant { rows, .. } => rows.len() <= 1,
        Relation::Reduce { keys, .. } => keys.is_empty(),
        Relation::Map { input, .. } | Relation::Window { input, .. } | Relation::Filter { input, .. } | Relation::Distinct { input, .. } => at_most_one(input),
        Relation::TopK { input, group, limit, with_ties, .. } => {
            let one = match limit.as_deref() {
                Some(Expression::Literal(row, _)) => matches!(row.get(0), Some(Datum::Int8(0 | 1))),
                _ => false,
            };
            (one && group.is_empty() && !with_ties) || at_most_one(input)
        }
        Relation::Join { left, right, kind: crate::hir::JoinKind::Inner | crate::hir::JoinKind::Left, .. } => at_most_one(left) && at_most_one(right),
        Relation::Let { body, .. } | Relation::LetRec { body, .. } => at_most_one(body),
        _ => false,
    }
}

/// Whether a relation has exactly one row, whatever its inputs hold.
fn exactly_one(relation: &Relation) -> bool {
    match relation {
        Relation::Constant { rows, .. } => rows.len() == 1,
        Relation::Reduce { keys, .. } => keys.is_empty(),
        Relation::Map { input, .. } | Relation::Window { input, .. } | Relation::Distinct { input, .. } => exactly_one(input),
        Relation::Join { left, right, .. } => exactly_one(left) && exactly_one(right) && matches!(relation, Relation::Join { on, kind: crate::hir::JoinKind::Inner, .. } if on.is_empty()),
        Relation::Let { body, .. } | Relation::LetRec { body, .. } => exactly_one(body),
        _ => false,
    }
}

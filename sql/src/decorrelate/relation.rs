//! The lowering of each kind of relation.

use super::{Local, Lowered, Lowering};
use crate::DEPTH_MAX;
use crate::equality::{canonical, null};
use crate::error::{BindError, BindResult};
use crate::hir::{Aggregate, ColumnId, Expression, FrameBound, Query, Relation, SetKind, WindowExpression, WindowFunction};
use plan::aggregate::lookup;
use plan::{AggregateFunction, ColumnOrder, Id, JoinImplementation, Plan, RecursiveBinding, Scalar, TableFunction};
use repr::{ColumnType, Datum, SortDirection};
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// Lowers a relation against the rows it may refer to.
    pub(super) fn lower(&mut self, relation: &Relation, outer: &Lowered) -> BindResult<Lowered> {
        if self.depth >= 2 * DEPTH_MAX {
            return Err(BindError::too_deep());
        }
        self.depth += 1;
        let result = self.lower_node(relation, outer);
        self.depth -= 1;
        result
    }

    fn lower_node(&mut self, relation: &Relation, outer: &Lowered) -> BindResult<Lowered> {
        match relation {
            Relation::Constant { rows, columns, types } => {
                let rows = rows.iter().map(|row| (row.clone(), 1)).collect();
                Ok(Lowered { plan: Plan::constant(rows, types.clone()), columns: columns.clone() })
            }
            Relation::Get { id, columns, types } => Ok(self.lower_get(*id, columns, types)),
            Relation::Map { input, scalars } => {
                let mut lowered = self.lower(input, outer)?;
                let expressions: Vec<Expression> = scalars.iter().map(|(_, expression)| expression.clone()).collect();
                let mapped = self.scalars(&expressions, &mut lowered, outer)?;
                let mut columns = lowered.columns;
                columns.extend(scalars.iter().map(|(id, _)| *id));
                Ok(Lowered { plan: lowered.plan.map(mapped), columns })
            }
            Relation::Filter { input, predicates } => {
                let lowered = self.lower(input, outer)?;
                self.filter(lowered, predicates, outer)
            }
            Relation::FlatMap { input, function, arguments, columns } => {
                let lowered = self.lower(input, outer)?;
                self.flat_map(lowered, function, arguments, columns, outer)
            }
            Relation::Join { left, right, kind, on } => self.lower_join(left, right, *kind, on, outer),
            Relation::Reduce { input, keys, aggregates } => self.lower_reduce(input, keys, aggregates, outer),
            Relation::Distinct { input, columns } => {
                let lowered = self.lower(input, outer)?;
                let mut wanted = self.carried(&lowered, outer);
                let carried = wanted.len();
                wanted.extend(columns.iter().filter(|id| lowered.has(**id)));
                let lowered = self.attach(lowered, outer, columns.iter().copied());
                wanted.extend(columns.iter().filter(|id| !wanted.contains(id)).copied().collect::<Vec<_>>());
                Ok(distinct(lowered.project(&wanted), carried))
            }
            Relation::TopK { input, group, order, limit, offset, with_ties } => {
                self.lower_top_k(input, group, order, limit.as_deref(), offset.as_deref(), *with_ties, outer)
            }
            Relation::Window { input, expressions } => self.lower_window(input, expressions, outer),
            Relation::SetOperation { kind, all, left, right, columns } => self.lower_set_operation(*kind, *all, left, right, columns, outer),
            Relation::Union { inputs, columns } => {
                let branches = self.lower_branches(&inputs.iter().collect::<Vec<_>>(), outer)?;
                Ok(union(branches, columns))
            }
            Relation::Let { id, value, body } => {
                let (value, carried) = self.lower_value(value, outer)?;
                self.locals.insert(*id, Local { carried, types: value.types() });
                let body = self.lower(body, outer)?;
                Ok(Lowered { plan: Plan::Let { id: *id, value: Box::new(value.plan), body: Box::new(body.plan) }, columns: body.columns })
            }
            Relation::LetRec { bindings, limit, body } => self.lower_recursive(bindings, *limit, body, outer),
        }
    }

    fn lower_get(&self, id: Id, columns: &[ColumnId], types: &[ColumnType]) -> Lowered {
        let access = plan::Access::Scan;
        match id {
            Id::Local(local) => {
                let Some(known) = self.locals.get(&local) else {
                    return Lowered { plan: Plan::Get { id, types: types.to_vec(), access }, columns: columns.to_vec() };
                };
                let mut all = known.carried.clone();
                all.extend(columns);
                Lowered { plan: Plan::Get { id, types: known.types.clone(), access }, columns: all }
            }
            Id::Global(_) => Lowered { plan: Plan::Get { id, types: types.to_vec(), access }, columns: columns.to_vec() },
        }
    }

    /// A query as a binding's value: what it carries, then its outputs.
    fn lower_value(&mut self, value: &Query, outer: &Lowered) -> BindResult<(Lowered, Vec<ColumnId>)> {
        let lowered = self.lower(&value.relation, outer)?;
        let lowered = self.attach(lowered, outer, value.outputs.iter().copied());
        let carried = self.carried(&lowered, outer);
        let mut wanted = carried.clone();
        wanted.extend(&value.outputs);
        Ok((lowered.project(&wanted), carried))
    }

    fn lower_recursive(
        &mut self,
        bindings: &[(plan::LocalId, Query, Vec<ColumnType>)],
        limit: Option<u64>,
        body: &Relation,
        outer: &Lowered,
    ) -> BindResult<Lowered> {
        let mut carried: BTreeSet<ColumnId> = BTreeSet::new();
        for (_, query, _) in bindings {
            carried.extend(self.free_of(&query.relation));
            carried.extend(&query.outputs);
        }
        let carried: Vec<ColumnId> = carried.into_iter().filter(|id| outer.has(*id)).collect();
        let outer_types = outer.types();
        let carried_types: Vec<ColumnType> = carried.iter().filter_map(|id| outer.position(*id).and_then(|position| outer_types.get(position))).cloned().collect();
        for (id, _, types) in bindings {
            let types = carried_types.iter().chain(types).cloned().collect();
            self.locals.insert(*id, Local { carried: carried.clone(), types });
        }
        let mut lowered_bindings = Vec::with_capacity(bindings.len());
        for (id, query, types) in bindings {
            let lowered = self.lower(&query.relation, outer)?;
            let lowered = self.attach(lowered, outer, carried.iter().copied());
            let mut wanted = carried.clone();
            wanted.extend(&query.outputs);
            let types = carried_types.iter().chain(types).cloned().collect();
            lowered_bindings.push(RecursiveBinding { id: *id, types, value: lowered.project(&wanted).plan });
        }
        let body = self.lower(body, outer)?;
        Ok(Lowered { plan: Plan::LetRec { bindings: lowered_bindings, limit, body: Box::new(body.plan) }, columns: body.columns })
    }

    pub(super) fn flat_map(
        &mut self,
        mut lowered: Lowered,
        function: &TableFunction,
        arguments: &[Expression],
        columns: &[ColumnId],
        outer: &Lowered,
    ) -> BindResult<Lowered> {
        let arguments = self.scalars(arguments, &mut lowered, outer)?;
        let mut all = lowered.columns;
        all.extend(columns);
        Ok(Lowered { plan: Plan::FlatMap { input: Box::new(lowered.plan), function: function.clone(), arguments }, columns: all })
    }

    fn lower_reduce(&mut self, input: &Relation, keys: &[(ColumnId, Expression)], aggregates: &[(ColumnId, Aggregate)], outer: &Lowered) -> BindResult<Lowered> {
        let mut lowered = self.lower(input, outer)?;
        let key_expressions: Vec<Expression> = keys.iter().map(|(_, key)| key.clone()).collect();
        let key_scalars = self.scalars(&key_expressions, &mut lowered, outer)?;
        let mut planned = Vec::with_capacity(aggregates.len());
        for (_, aggregate) in aggregates {
            planned.push(self.aggregate(aggregate, &mut lowered, outer)?);
        }
        // Attached columns came at the end, so scalars lowered before still hold.
        let carried = self.carried(&lowered, outer);
        let key_ids: Vec<ColumnId> = keys.iter().map(|(id, _)| *id).collect();
        let extra: Vec<ColumnId> = carried.iter().copied().filter(|id| !key_ids.contains(id)).collect();
        let mut all_keys: Vec<Scalar> = extra.iter().filter_map(|id| lowered.position(*id)).map(Scalar::Column).collect();
        all_keys.extend(key_scalars);
        let mut columns = extra.clone();
        columns.extend(key_ids.iter().copied());
        // What is carried compares by its bytes: it is the same column when it is joined back.
        let exact: Vec<bool> = columns.iter().map(|id| carried.contains(id)).collect();
        let reduced = grouped(lowered.plan, all_keys, &exact, planned);
        columns.extend(aggregates.iter().map(|(id, _)| *id));
        let reduced = Lowered { plan: reduced, columns: columns.clone() };
        if !keys.is_empty() {
            return Ok(reduced);
        }
        // Without keys there is a row for every outer combination, also for those without input.
        let (reading, binding) = self.bind(reduced);
        let domain = self.distinct_of(outer, &carried);
        let present = reading.clone().project(&domain.columns).plan;
        let defaults = aggregates.iter().map(|(_, aggregate)| default_of(aggregate)).collect();
        let missing = Plan::Union { inputs: vec![domain.plan, present.negate()] }.map(defaults);
        let plan = Plan::Union { inputs: vec![reading.plan, missing] };
        Ok(binding.around(Lowered { plan, columns }))
    }

    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, lowered: &mut Lowered, outer: &Lowered) -> BindResult<plan::Aggregate> {
        let arguments = self.scalars(&aggregate.arguments, lowered, outer)?;
        let filter = match &aggregate.filter {
            Some(filter) => Some(self.scalar(filter, lowered, outer)?),
            None => None,
        };
        let mut order = Vec::with_capacity(aggregate.order.len());
        for (key, direction) in &aggregate.order {
            order.push((self.scalar(key, lowered, outer)?, *direction));
        }
        let column_type = aggregate.column_type.clone();
        Ok(plan::Aggregate { function: aggregate.function, arguments, distinct: aggregate.distinct, filter, order, column_type })
    }

    #[allow(clippy::too_many_arguments)] // the node's own fields
    fn lower_top_k(
        &mut self,
        input: &Relation,
        group: &[ColumnId],
        order: &[(ColumnId, SortDirection)],
        limit: Option<&Expression>,
        offset: Option<&Expression>,
        with_ties: bool,
        outer: &Lowered,
    ) -> BindResult<Lowered> {
        let lowered = self.lower(input, outer)?;
        let mut lowered = self.attach(lowered, outer, group.iter().chain(order.iter().map(|(id, _)| id)).copied());
        let limit = match limit {
            Some(limit) => {
                let scalar = self.scalar(limit, &mut Lowered::unit(), &Lowered::unit()).map_err(|_| correlated_limit("LIMIT"))?;
                if has_column(&scalar) {
                    return Err(correlated_limit("LIMIT"));
                }
                Some(Box::new(scalar))
            }
            None => None,
        };
        let offset = match offset {
            None => 0,
            Some(Expression::Literal(row, _)) => match row.get(0) {
                Some(Datum::Int8(count)) => u64::try_from(count).unwrap_or(0),
                _ => 0,
            },
            Some(_) => return Err(correlated_limit("OFFSET")),
        };
        let mut columns = self.carried(&lowered, outer);
        columns.extend(group.iter().filter(|id| !columns.contains(id)).copied().collect::<Vec<_>>());
        let types = lowered.types();
        let mut positions = Vec::with_capacity(columns.len());
        let mut keys = Vec::new();
        for id in &columns {
            let Some(position) = lowered.position(*id) else { continue };
            match types.get(position) {
                Some(column_type) if column_type.scalar.needs_canonical_key() && group.contains(id) => {
                    positions.push(lowered.columns.len() + keys.len());
                    keys.push(canonical(Scalar::Column(position), column_type));
                }
                _ => positions.push(position),
            }
        }
        let order = order
            .iter()
            .filter_map(|(id, direction)| lowered.position(*id).map(|column| ColumnOrder { column, direction: *direction }))
            .collect();
        let width = lowered.columns.len();
        let padded = !keys.is_empty();
        if padded {
            lowered.plan = lowered.plan.map(keys);
        }
        let plan = Plan::TopK { input: Box::new(lowered.plan), group: positions, order, limit, offset, with_ties, append_only: false };
        let plan = if padded { plan.project((0..width).collect()) } else { plan };
        Ok(Lowered { plan, columns: lowered.columns })
    }

    fn lower_window(&mut self, input: &Relation, expressions: &[(ColumnId, WindowExpression)], outer: &Lowered) -> BindResult<Lowered> {
        let mut lowered = self.lower(input, outer)?;
        let mut planned = Vec::with_capacity(expressions.len());
        for (_, window) in expressions {
            planned.push(self.window(window, &mut lowered, outer)?);
        }
        let types = lowered.types();
        let carried: Vec<Scalar> = self.carried(&lowered, outer).iter().filter_map(|id| lowered.position(*id)).map(Scalar::Column).collect();
        for window in &mut planned {
            let own = std::mem::take(&mut window.partition);
            window.partition = carried.clone();
            window.partition.extend(own.into_iter().map(|key| {
                let column_type = key.column_type(&types);
                canonical(key, &column_type)
            }));
        }
        let mut columns = lowered.columns;
        columns.extend(expressions.iter().map(|(id, _)| *id));
        Ok(Lowered { plan: Plan::Window { input: Box::new(lowered.plan), expressions: planned }, columns })
    }

    fn window(&mut self, window: &WindowExpression, lowered: &mut Lowered, outer: &Lowered) -> BindResult<plan::WindowExpression> {
        let function = match &window.function {
            WindowFunction::Named(function) => function.clone(),
            WindowFunction::Aggregate(aggregate) => plan::WindowFunction::Aggregate(self.aggregate(aggregate, lowered, outer)?),
        };
        let arguments = self.scalars(&window.arguments, lowered, outer)?;
        let filter = match &window.filter {
            Some(filter) => Some(self.scalar(filter, lowered, outer)?),
            None => None,
        };
        let partition = self.scalars(&window.partition, lowered, outer)?;
        let mut order = Vec::with_capacity(window.order.len());
        for (key, direction) in &window.order {
            order.push((self.scalar(key, lowered, outer)?, *direction));
        }
        let start = self.frame_bound(&window.start, lowered, outer)?;
        let end = self.frame_bound(&window.end, lowered, outer)?;
        let frame = plan::WindowFrame { units: window.units, start, end, exclusion: window.exclusion };
        Ok(plan::WindowExpression { function, arguments, filter, partition, order, frame, ignore_nulls: window.ignore_nulls, column_type: window.column_type.clone() })
    }

    fn frame_bound(&mut self, bound: &FrameBound, lowered: &mut Lowered, outer: &Lowered) -> BindResult<plan::FrameBound> {
        Ok(match bound {
            FrameBound::UnboundedPreceding => plan::FrameBound::UnboundedPreceding,
            FrameBound::CurrentRow => plan::FrameBound::CurrentRow,
            FrameBound::UnboundedFollowing => plan::FrameBound::UnboundedFollowing,
            FrameBound::Preceding(value) => plan::FrameBound::Preceding(self.scalar(value, lowered, outer)?),
            FrameBound::Following(value) => plan::FrameBound::Following(self.scalar(value, lowered, outer)?),
        })
    }

    /// Queries that will be put together: all carry the same columns, first, and then their outputs.
    fn lower_branches(&mut self, queries: &[&Query], outer: &Lowered) -> BindResult<Vec<(Lowered, usize)>> {
        let mut lowered = Vec::with_capacity(queries.len());
        let mut carried: Vec<ColumnId> = Vec::new();
        for query in queries {
            let branch = self.lower(&query.relation, outer)?;
            let branch = self.attach(branch, outer, query.outputs.iter().copied());
            for id in self.carried(&branch, outer) {
                if !carried.contains(&id) {
                    carried.push(id);
                }
            }
            lowered.push(branch);
        }
        let mut branches = Vec::with_capacity(queries.len());
        for (branch, query) in lowered.into_iter().zip(queries) {
            let branch = self.attach(branch, outer, carried.iter().copied());
            let mut wanted = carried.clone();
            wanted.extend(&query.outputs);
            branches.push((branch.project(&wanted), carried.len()));
        }
        Ok(branches)
    }

    fn lower_set_operation(&mut self, kind: SetKind, all: bool, left: &Query, right: &Query, columns: &[ColumnId], outer: &Lowered) -> BindResult<Lowered> {
        // A chain of UNION ALLs is one union.
        if kind == SetKind::Union && all {
            let mut branches = Vec::new();
            gather_union(left, &mut branches);
            gather_union(right, &mut branches);
            let branches = self.lower_branches(&branches, outer)?;
            return Ok(union(branches, columns));
        }
        let mut branches = self.lower_branches(&[left, right], outer)?.into_iter();
        let (Some((left, carried)), Some((right, _))) = (branches.next(), branches.next()) else {
            return Err(BindError::unsupported("a set operation needs two queries"));
        };
        let mut ids: Vec<ColumnId> = left.columns.iter().take(carried).copied().collect();
        ids.extend(columns);
        let left = Lowered { plan: left.plan, columns: ids.clone() };
        let right = Lowered { plan: right.plan, columns: ids.clone() };
        if kind == SetKind::Union {
            let union = Lowered { plan: Plan::Union { inputs: vec![left.plan, right.plan] }, columns: ids };
            return Ok(distinct(union, carried));
        }
        if all {
            let (left, right) = (canonical_rows(left, carried), canonical_rows(right, carried));
            let (left, binding) = self.bind(left);
            let rest = Plan::Union { inputs: vec![left.plan.clone(), right.plan.negate()] }.threshold();
            let plan = match kind {
                SetKind::Except => rest,
                _ => Plan::Union { inputs: vec![left.plan, rest.negate()] },
            };
            return Ok(binding.around(Lowered { plan, columns: ids }));
        }
        let types = left.types();
        let (left, right) = (distinct(left, carried), distinct(right, carried));
        let keys = |side: &Lowered| -> Vec<Scalar> {
            let key = |(position, column_type)| if position < carried { Scalar::Column(position) } else { canonical(Scalar::Column(position), column_type) };
            types.iter().enumerate().map(key).take(side.columns.len()).collect()
        };
        let (left, binding) = self.bind(left);
        let width = ids.len();
        let mut equivalences = Vec::with_capacity(width);
        for (left_key, mut right_key) in keys(&left).into_iter().zip(keys(&right)) {
            right_key.remap_columns(&mut |column| column + width);
            equivalences.push(vec![left_key, right_key]);
        }
        let both = Plan::Join { inputs: vec![left.plan.clone(), right.plan], equivalences, implementation: JoinImplementation::Undecided };
        let both = both.project((0..width).collect());
        let plan = match kind {
            SetKind::Except => Plan::Union { inputs: vec![left.plan, both.negate()] },
            _ => both,
        };
        Ok(binding.around(Lowered { plan, columns: ids }))
    }
}

fn correlated_limit(what: &str) -> BindError {
    BindError::unsupported(format!("{what} that depends on the outer query is not supported"))
}

fn has_column(scalar: &Scalar) -> bool {
    let mut found = false;
    scalar.for_each_column(&mut |_| found = true);
    found
}

fn gather_union<'q>(query: &'q Query, out: &mut Vec<&'q Query>) {
    if let Relation::SetOperation { kind: SetKind::Union, all: true, left, right, columns } = &query.relation
        && *columns == query.outputs
    {
        gather_union(left, out);
        gather_union(right, out);
    } else {
        out.push(query);
    }
}

fn union(branches: Vec<(Lowered, usize)>, columns: &[ColumnId]) -> Lowered {
    let mut ids = Vec::new();
    let mut inputs = Vec::with_capacity(branches.len());
    for (branch, carried) in branches {
        if inputs.is_empty() {
            ids.extend(branch.columns.iter().take(carried).copied());
        }
        inputs.push(branch.plan);
    }
    ids.extend(columns);
    Lowered { plan: Plan::Union { inputs }, columns: ids }
}

/// Every column in canonical form.
fn canonical_rows(side: Lowered, carried: usize) -> Lowered {
    let types = side.types();
    let width = types.len();
    if !types.iter().skip(carried).any(|column_type| column_type.scalar.needs_canonical_key()) {
        return side;
    }
    let mut outputs: Vec<usize> = (0..width).collect();
    let mut scalars = Vec::new();
    for (position, column_type) in types.iter().enumerate().skip(carried) {
        if column_type.scalar.needs_canonical_key() {
            if let Some(output) = outputs.get_mut(position) {
                *output = width + scalars.len();
            }
            scalars.push(canonical(Scalar::Column(position), column_type));
        }
    }
    Lowered { plan: side.plan.map(scalars).project(outputs), columns: side.columns }
}

/// Each row once, by SQL's equality. The first `carried` columns compare by their bytes.
fn distinct(lowered: Lowered, carried: usize) -> Lowered {
    let types = lowered.types();
    let keys: Vec<Scalar> = (0..types.len()).map(Scalar::Column).collect();
    let needs = types.iter().skip(carried).any(|column_type| column_type.scalar.needs_canonical_key());
    let columns = lowered.columns.clone();
    let exact: Vec<bool> = (0..types.len()).map(|position| position < carried).collect();
    let plan = if needs { grouped(lowered.plan, keys, &exact, Vec::new()) } else { lowered.plan.distinct() };
    Lowered { plan, columns }
}

/// A `Reduce` whose keys group by SQL's equality: keys of types with several encodings of one value group by the canonical one, and the group shows
/// one of the values it has. Keys marked `exact` group by their bytes all the same. Yields the keys, then the aggregates.
fn grouped(input: Plan, keys: Vec<Scalar>, exact: &[bool], aggregates: Vec<plan::Aggregate>) -> Plan {
    let types = input.column_types();
    let key_types: Vec<ColumnType> = keys.iter().map(|key| key.column_type(&types)).collect();
    let any_value = lookup("any_value").first();
    let key_count = keys.len();
    let needs = |position: usize, key_type: &ColumnType| key_type.scalar.needs_canonical_key() && !exact.get(position).copied().unwrap_or(false);
    if !key_types.iter().enumerate().any(|(position, key_type)| needs(position, key_type)) {
        return Plan::Reduce { input: Box::new(input), keys, aggregates, append_only: false };
    }
    let mut outputs: Vec<usize> = (0..key_count).collect();
    let mut shown = Vec::new();
    let mut canonical_keys = Vec::with_capacity(keys.len());
    for (position, (key, key_type)) in keys.into_iter().zip(&key_types).enumerate() {
        if !needs(position, key_type) {
            canonical_keys.push(key);
            continue;
        }
        if let Some(entry) = any_value {
            if let Some(output) = outputs.get_mut(position) {
                *output = key_count + shown.len();
            }
            shown.push(plan::Aggregate {
                function: AggregateFunction(entry),
                arguments: vec![key.clone()],
                distinct: false,
                filter: None,
                order: Vec::new(),
                column_type: key_type.clone(),
            });
        }
        canonical_keys.push(canonical(key, key_type));
    }
    let first_aggregate = key_count + shown.len();
    outputs.extend(first_aggregate..first_aggregate + aggregates.len());
    shown.extend(aggregates);
    Plan::Reduce { input: Box::new(input), keys: canonical_keys, aggregates: shown, append_only: false }.project(outputs)
}

/// The value of an aggregate over no rows.
fn default_of(aggregate: &Aggregate) -> Scalar {
    if aggregate.function.0.empty_is_zero {
        Scalar::literal(Datum::Int8(0), aggregate.column_type.clone())
    } else {
        null(&aggregate.column_type)
    }
}

//! Aggregate calls.

use super::call::{Arguments, no_function};
use super::resolve::{Resolution, Signature, resolve};
use super::{Binder, Clause};
use crate::error::{BindError, BindResult, Place, codes};
use crate::hir::{Aggregate, Expression};
use crate::parse::ast;
use plan::{AggregateFunction, CastKind};
use plan::aggregate::AggregateEntry;
use repr::{ColumnType, SortDirection, SqlState, Type};

/// The direction a sort key asks for: NULLs are last unless the order is descending.
pub(crate) fn direction_of(options: &ast::OrderByOptions) -> SortDirection {
    let descending = options.asc == Some(false);
    SortDirection { descending, nulls_first: options.nulls_first.unwrap_or(descending) }
}

impl Binder<'_> {
    /// A call of an aggregate without OVER.
    pub(crate) fn bind_aggregate_call(&mut self, name: &str, function: &ast::Function, arguments: &Arguments<'_>, place: Option<Place>) -> BindResult<Expression> {
        if self.level().in_aggregate {
            return Err(BindError::new(codes::GROUPING_ERROR, "aggregate function calls cannot be nested").at(place));
        }
        self.level().in_aggregate = true;
        let bound = self.bind_aggregate(name, function, arguments);
        self.level().in_aggregate = false;
        let aggregate = bound?;
        let owner = self.owner_of(&aggregate);
        let owning = match self.levels.get(owner) {
            Some(level) => level.clause,
            None => Clause::Select,
        };
        if !owning.allows_aggregates() {
            let message = match owning {
                Clause::From => "aggregate functions are not allowed in functions in FROM".to_string(),
                other => format!("aggregate functions are not allowed in {}", other.words()),
            };
            return Err(BindError::new(codes::GROUPING_ERROR, message).at(place));
        }
        let column_type = aggregate.column_type.clone();
        if let Some((id, _)) = self.levels.get(owner).and_then(|level| level.aggregates.iter().find(|(_, known)| *known == aggregate)) {
            return Ok(Expression::Column(*id));
        }
        let id = self.columns.add(column_type);
        if let Some(level) = self.levels.get_mut(owner) {
            level.aggregates.push((id, aggregate));
        }
        Ok(Expression::Column(id))
    }

    /// The level an aggregate belongs to: the innermost one whose columns it reads; this one if it reads none.
    fn owner_of(&self, aggregate: &Aggregate) -> usize {
        let innermost = self.levels.len().saturating_sub(1);
        let mut free = std::collections::BTreeSet::new();
        aggregate.for_each_expression(&mut |expression| free.extend(expression.free_columns()));
        if free.is_empty() {
            return innermost;
        }
        let reads = |level: &super::Level| {
            level.scope.columns.iter().any(|column| free.contains(&column.id))
                || level.scope.tables.iter().any(|table| table.columns.iter().any(|(_, id)| free.contains(id)))
        };
        self.levels.iter().rposition(reads).unwrap_or(innermost)
    }

    /// Resolves an aggregate and binds what is within its parentheses.
    pub(crate) fn bind_aggregate(&mut self, name: &str, function: &ast::Function, arguments: &Arguments<'_>) -> BindResult<Aggregate> {
        let mut bound = Vec::with_capacity(arguments.exprs.len());
        for expr in &arguments.exprs {
            let argument = self.bind_expression(expr)?;
            bound.push(self.row_value(argument)?);
        }
        let ordered_set = plan::aggregate::lookup(name).iter().any(|entry| entry.kind.is_ordered_set());
        if ordered_set && function.over.is_some() {
            return Err(BindError::unsupported(format!("OVER is not supported for ordered-set aggregate {name}")));
        }
        // WITHIN GROUP's keys are arguments: without them, or with them where they do not belong, there is no such function.
        if ordered_set == function.within_group.is_empty() {
            let mut actual: Vec<Type> = bound.iter().map(|argument| self.type_of(argument)).collect();
            for key in &function.within_group {
                let key = self.bind_expression(&key.expr)?;
                actual.push(self.type_of(&key));
            }
            return Err(no_function(name, &actual));
        }
        if ordered_set && (arguments.distinct || !arguments.order.is_empty()) {
            let clause = if arguments.distinct { "DISTINCT" } else { "multiple ORDER BY clauses" };
            return Err(BindError::new(codes::SYNTAX_ERROR, format!("cannot use {clause} with WITHIN GROUP")));
        }
        for key in &function.within_group {
            bound.push(self.bind_expression(&key.expr)?);
        }
        let filter = match &function.filter {
            Some(filter) => Some(self.bind_boolean(filter, "FILTER")?),
            None => None,
        };
        let mut order = Vec::with_capacity(arguments.order.len());
        for key in &arguments.order {
            let expression = self.bind_expression(&key.expr)?;
            order.push((self.settle(expression)?, direction_of(&key.options)));
        }
        let mut aggregate = self.build_aggregate(name, bound, arguments.star, arguments.distinct, filter, order)?;
        if let Some(key) = function.within_group.first() {
            if let Some(value) = aggregate.arguments.last() {
                super::types::require_order(&self.type_of(value))?;
            }
            aggregate.order.extend(aggregate.arguments.last().map(|value| (value.clone(), direction_of(&key.options))));
        }
        Ok(aggregate)
    }

    pub(crate) fn build_aggregate(
        &mut self,
        name: &str,
        arguments: Vec<Expression>,
        star: bool,
        distinct: bool,
        filter: Option<Expression>,
        order: Vec<(Expression, SortDirection)>,
    ) -> BindResult<Aggregate> {
        if name == "count" && arguments.is_empty() && !star {
            return Err(BindError::new(codes::WRONG_OBJECT_TYPE, "count(*) must be used to call a parameterless aggregate function"));
        }
        let actual: Vec<Type> = arguments.iter().map(|argument| self.type_of(argument)).collect();
        let entries: &'static [&'static AggregateEntry] = plan::aggregate::lookup(name);
        // What takes any type needs no choice: its entries differ in how they write it.
        let candidates = if entries.iter().any(|entry| entry.kind.takes_json()) { entries.get(..1).unwrap_or(entries) } else { entries };
        let signatures: Vec<Signature<'_>> = candidates.iter().map(|entry| (entry.arguments.as_slice(), false)).collect();
        let (entry, parameters): (&'static AggregateEntry, Vec<Type>) = match resolve(&signatures, &actual, false) {
            Resolution::Found(position, parameters) => match entries.get(position) {
                Some(entry) => (*entry, parameters),
                None => return Err(no_function(name, &actual)),
            },
            Resolution::Missing => return Err(no_function(name, &actual)),
            Resolution::Ambiguous => {
                let types: Vec<String> = actual.iter().map(|found| found.sql_name(-1)).collect();
                return Err(BindError::new(codes::AMBIGUOUS_FUNCTION, format!("function {name}({}) is not unique", types.join(", ")))
                    .with_hint("Could not choose a best candidate function. You might need to add explicit type casts."));
            }
        };
        let mut converted = Vec::with_capacity(arguments.len());
        for (argument, parameter) in arguments.into_iter().zip(&parameters) {
            converted.push(self.coerce_to(argument, parameter)?);
        }
        if distinct && converted.is_empty() {
            return Err(BindError::new(codes::UNDEFINED_FUNCTION, "DISTINCT is not implemented for an aggregate without arguments"));
        }
        if distinct && order.iter().any(|(key, _)| !converted.contains(key)) {
            return Err(BindError::new(
                codes::INVALID_COLUMN_REFERENCE,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            ));
        }
        if distinct {
            for argument in &converted {
                super::types::require_equality(&self.type_of(argument))?;
            }
        }
        for (key, _) in &order {
            super::types::require_order(&self.type_of(key))?;
        }
        let types: Vec<ColumnType> = converted.iter().map(|argument| argument.column_type(&self.columns)).collect();
        let column_type = entry.result_type(&types);
        if !entry.kind.takes_json() {
            return Ok(Aggregate { function: AggregateFunction(entry), arguments: converted, distinct, filter, order, column_type });
        }
        let (entry, converted, order) = self.json_arguments(entry, converted, distinct, order)?;
        Ok(Aggregate { function: AggregateFunction(entry), arguments: converted, distinct, filter, order, column_type })
    }

    /// The arguments of an aggregate that makes JSON, converted; with DISTINCT followed by what they were, by which duplicates are told and sorted.
    fn json_arguments(
        &mut self,
        entry: &'static AggregateEntry,
        arguments: Vec<Expression>,
        distinct: bool,
        mut order: Vec<(Expression, SortDirection)>,
    ) -> BindResult<(&'static AggregateEntry, Vec<Expression>, Vec<(Expression, SortDirection)>)> {
        let convert = if entry.result == Type::Json { "to_json" } else { "to_jsonb" };
        let mut settled = Vec::with_capacity(arguments.len());
        for argument in arguments {
            settled.push(self.settle(argument)?);
        }
        let mut converted = Vec::with_capacity(2 * settled.len());
        for (position, argument) in settled.iter().enumerate() {
            let is_key = position + 1 < settled.len();
            let found = self.type_of(argument);
            if is_key && matches!(found, Type::Array(_) | Type::Record(_) | Type::Json | Type::Jsonb) {
                return Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, "key value must be scalar, not array, composite, or json"));
            }
            converted.push(match is_key {
                // As they stand in JSON, a T between day and time.
                true if matches!(found, Type::Date | Type::Timestamp | Type::TimestampTz) => {
                    let key = self.call_function("to_jsonb", vec![argument.clone()])?;
                    self.call_function("jsonb_extract_path_text", vec![key])?
                }
                true => self.coerce(argument.clone(), &ColumnType::new(Type::Text), CastKind::Explicit)?,
                false => self.call_function(convert, vec![argument.clone()])?,
            });
        }
        // Arrays and rows have entries of their own.
        let entry = match (settled.as_slice(), plan::aggregate::lookup(entry.name)) {
            ([argument], entries) => {
                let found = self.type_of(argument);
                let fits = |entry: &&&'static AggregateEntry| match entry.arguments.first() {
                    Some(Type::AnyArray) => matches!(found, Type::Array(_)),
                    Some(Type::Record(_)) => matches!(found, Type::Record(_)),
                    _ => !matches!(found, Type::Array(_) | Type::Record(_)),
                };
                entries.iter().find(fits).copied().unwrap_or(entry)
            }
            _ => entry,
        };
        if distinct {
            if order.is_empty() {
                order = settled.iter().map(|argument| (argument.clone(), SortDirection { descending: false, nulls_first: false })).collect();
            }
            converted.extend(settled);
        }
        Ok((entry, converted, order))
    }
}

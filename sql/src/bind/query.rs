//! Queries: WITH, set operations, VALUES, ORDER BY, LIMIT.

use super::aggregate::direction_of;
use super::{Binder, Clause, CommonTable, Level, place_of, place_of_ident};
use crate::error::{BindError, BindResult, codes};
use crate::hir::{ColumnId, Expression, Query, Relation, SetKind, WindowExpression, WindowFunction};
use crate::parse::ast::{self, Expr, LimitClause, OrderByExpr, OrderByKind, SetExpr, SetOperator, SetQuantifier, Value};
use crate::parse::{QueryBody, ident_value};
use crate::hir;
use plan::{CastKind, FrameExclusion, FrameUnits, Id};
use repr::{ColumnType, Datum, Row, Schema, Type};

/// A query and the names of its output columns.
pub(crate) type NamedQuery = (Query, Vec<String>);

/// Columns in one list, Postgres' limit.
pub(crate) const COLUMNS_MAX: usize = 1664;

impl Binder<'_> {
    /// A query with its mutually recursive bindings.
    pub(crate) fn bind_body_node(&mut self, body: &QueryBody) -> BindResult<NamedQuery> {
        if body.mutually_recursive.is_empty() {
            return self.bind_settled(&body.query);
        }
        let visible = self.common_tables.len();
        let result = self.bind_mutually_recursive(body);
        self.common_tables.truncate(visible);
        result
    }

    fn bind_mutually_recursive(&mut self, body: &QueryBody) -> BindResult<NamedQuery> {
        let mut ids = Vec::new();
        for binding in &body.mutually_recursive {
            let mut columns = Vec::new();
            for (name, data_type) in &binding.columns {
                columns.push((ident_value(name), self.bind_type(data_type)?));
            }
            let id = self.fresh_local();
            ids.push((id, columns.clone()));
            self.common_tables.push(CommonTable { name: ident_value(&binding.name), id, columns });
        }
        let mut bindings = Vec::new();
        for (binding, (id, columns)) in body.mutually_recursive.iter().zip(ids) {
            let (query, _) = self.bind_settled(&binding.query)?;
            let name = ident_value(&binding.name);
            if query.outputs.len() != columns.len() {
                let message = format!("\"{name}\" declares {} columns but its query has {}", columns.len(), query.outputs.len());
                return Err(BindError::new(codes::SYNTAX_ERROR, message).at(place_of_ident(&binding.name)));
            }
            let types: Vec<ColumnType> = columns.into_iter().map(|(_, column_type)| column_type).collect();
            let query = self.convert_outputs(query, &types, CastKind::Assignment).map_err(|error| error.at(place_of_ident(&binding.name)))?;
            bindings.push((id, query, types));
        }
        let (mut query, names) = self.bind_settled(&body.query)?;
        query.relation = Relation::LetRec { bindings, limit: None, body: Box::new(query.relation) };
        Ok((query, names))
    }

    /// A query whose columns all have a type.
    pub(crate) fn bind_settled(&mut self, query: &ast::Query) -> BindResult<NamedQuery> {
        let (query, names) = self.bind_unsettled(query)?;
        Ok((self.settle_outputs(query)?, names))
    }

    /// As [`Binder::bind_settled`], under the name subqueries in expressions know it by.
    pub(crate) fn bind_query_node(&mut self, query: &ast::Query) -> BindResult<NamedQuery> {
        self.bind_settled(query)
    }

    fn settle_outputs(&mut self, query: Query) -> BindResult<Query> {
        let types: Vec<ColumnType> = query
            .outputs
            .iter()
            .map(|id| match self.columns.column_type(*id) {
                unknown if unknown.scalar == Type::Unknown => ColumnType::new(Type::Text),
                known => known.clone(),
            })
            .collect();
        self.convert_outputs(query, &types, CastKind::Implicit)
    }

    /// Converts the output columns to these types.
    pub(crate) fn convert_outputs(&mut self, mut query: Query, types: &[ColumnType], kind: CastKind) -> BindResult<Query> {
        let mut scalars = Vec::new();
        let mut renamed = Vec::new();
        for (output, target) in query.outputs.iter_mut().zip(types) {
            let converted = self.coerce(Expression::Column(*output), target, kind)?;
            if converted != Expression::Column(*output) {
                let id = self.column_of(converted, &mut scalars);
                renamed.push((*output, id));
                *output = id;
            }
        }
        for (id, _) in &mut query.order {
            if let Some((_, to)) = renamed.iter().find(|(from, _)| from == id)
                && self.columns.column_type(*id).scalar == Type::Unknown
            {
                *id = *to;
            }
        }
        query.relation = query.relation.map(scalars);
        Ok(query)
    }

    /// A query; literals in its select list may still be of unknown type.
    pub(crate) fn bind_unsettled(&mut self, query: &ast::Query) -> BindResult<NamedQuery> {
        self.deeper(|binder| {
            let visible = binder.common_tables.len();
            let result = binder.bind_with(query);
            binder.common_tables.truncate(visible);
            result
        })
    }

    fn bind_with(&mut self, query: &ast::Query) -> BindResult<NamedQuery> {
        if !query.locks.is_empty() {
            return Err(BindError::unsupported("row locks (FOR UPDATE and its kin) are not supported").with_hint("Reads see one moment without locks."));
        }
        if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() || !query.pipe_operators.is_empty() {
            return Err(BindError::unsupported("this clause of a query is not supported"));
        }
        let mut bindings = Vec::new();
        if let Some(with) = &query.with {
            for item in &with.cte_tables {
                let name = ident_value(&item.alias.name);
                let binding = self.bind_common_table(&name, item, with.recursive).map_err(|error| error.at(place_of_ident(&item.alias.name)))?;
                bindings.push(binding);
            }
        }
        let (mut bound, names) = self.bind_ordered(query)?;
        for binding in bindings.into_iter().rev() {
            bound.relation = match binding {
                Binding::Plain(id, value) => Relation::Let { id, value: Box::new(value), body: Box::new(bound.relation) },
                Binding::Recursive(id, value, types) => Relation::LetRec { bindings: vec![(id, value, types)], limit: None, body: Box::new(bound.relation) },
            };
        }
        Ok((bound, names))
    }

    fn bind_common_table(&mut self, name: &str, item: &ast::Cte, recursive: bool) -> BindResult<Binding> {
        let id = self.fresh_local();
        if recursive && mentions_table(&item.query, name) {
            let (value, columns) = self.bind_recursive(name, id, item)?;
            let types = columns.iter().map(|(_, column_type)| column_type.clone()).collect();
            self.common_tables.push(CommonTable { name: name.to_string(), id, columns });
            return Ok(Binding::Recursive(id, value, types));
        }
        let (value, names) = self.bind_settled(&item.query)?;
        let columns = self.common_columns(name, item, &value, names)?;
        self.common_tables.push(CommonTable { name: name.to_string(), id, columns });
        Ok(Binding::Plain(id, value))
    }

    fn common_columns(&self, name: &str, item: &ast::Cte, value: &Query, mut names: Vec<String>) -> BindResult<Vec<(String, ColumnType)>> {
        let renamed = &item.alias.columns;
        if renamed.len() > names.len() {
            let message = format!("WITH query \"{name}\" has {} columns available but {} columns specified", names.len(), renamed.len());
            return Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, message));
        }
        for (slot, column) in names.iter_mut().zip(renamed) {
            *slot = ident_value(&column.name);
        }
        Ok(names.into_iter().zip(value.outputs.iter().map(|output| self.columns.column_type(*output).clone())).collect())
    }

    /// `base UNION [ALL] step`, where the step reads the item itself.
    fn bind_recursive(&mut self, name: &str, id: plan::LocalId, item: &ast::Cte) -> BindResult<(Query, Vec<(String, ColumnType)>)> {
        let shape = || {
            let message = format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term");
            BindError::new(codes::INVALID_RECURSION, message)
        };
        let query = &item.query;
        if query.with.is_some() || query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
            return Err(BindError::unsupported(format!("WITH, ORDER BY and LIMIT in the recursive query \"{name}\" are not supported")));
        }
        let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = query.body.as_ref() else { return Err(shape()) };
        if set_expr_mentions(left, name) {
            let message = format!("recursive reference to query \"{name}\" must not appear within its non-recursive term");
            return Err(BindError::new(codes::INVALID_RECURSION, message));
        }
        let all = matches!(set_quantifier, SetQuantifier::All);
        let (base, names) = self.bind_set_expr(left, &[])?;
        let base = self.settle_outputs(base)?;
        let mut columns = self.common_columns(name, item, &base, names)?;
        for (_, column_type) in &mut columns {
            column_type.nullable = true;
        }
        let visible = self.common_tables.len();
        self.common_tables.push(CommonTable { name: name.to_string(), id, columns: columns.clone() });
        let step = self.bind_set_expr(right, &[]);
        self.common_tables.truncate(visible);
        let (step, _) = step?;
        check_same_width("UNION", &base, &step)?;
        let types: Vec<ColumnType> = columns.iter().map(|(_, column_type)| column_type.clone()).collect();
        for (position, ((column, base_type), output)) in columns.iter().zip(&step.outputs).enumerate() {
            let step_type = self.columns.column_type(*output);
            let matches = step_type.scalar == base_type.scalar || step_type.scalar == Type::Unknown || super::resolve::can_coerce(&step_type.scalar, &base_type.scalar);
            if !matches {
                let message = format!(
                    "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                    position + 1,
                    base_type.scalar.sql_name(base_type.modifier),
                    step_type.scalar.sql_name(step_type.modifier)
                );
                return Err(BindError::new(repr::SqlState::DATATYPE_MISMATCH, message)
                    .with_hint(format!("Cast the output of the non-recursive term's column \"{column}\" to the correct type.")));
            }
        }
        let plain: Vec<ColumnType> = types.iter().map(|column_type| ColumnType::new(column_type.scalar.clone())).collect();
        let step = self.convert_outputs(step, &plain, CastKind::Implicit)?;
        let base = self.convert_outputs(base, &plain, CastKind::Implicit)?;
        let outputs: Vec<ColumnId> = types.iter().map(|column_type| self.columns.add(column_type.clone())).collect();
        let relation =
            Relation::SetOperation { kind: SetKind::Union, all, left: Box::new(base), right: Box::new(step), columns: outputs.clone() };
        Ok((Query { relation, outputs, order: Vec::new() }, columns))
    }

    fn bind_ordered(&mut self, query: &ast::Query) -> BindResult<NamedQuery> {
        let order = order_exprs(query.order_by.as_ref())?;
        let (bound, names) = self.bind_set_expr(&query.body, order)?;
        let bound = self.bind_limit(query, bound)?;
        Ok((bound, names))
    }

    /// The body of a query, sorted.
    pub(crate) fn bind_set_expr(&mut self, body: &SetExpr, order: &[OrderByExpr]) -> BindResult<NamedQuery> {
        self.deeper(|binder| match body {
            SetExpr::Select(select) => binder.bind_select(select, order),
            SetExpr::Query(query) if order.is_empty() => binder.bind_unsettled(query),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(BindError::unsupported("data-modifying statements in WITH are not supported"))
            }
            other => {
                let (mut query, names) = match other {
                    SetExpr::Query(inner) => binder.bind_unsettled(inner)?,
                    SetExpr::SetOperation { left, op, set_quantifier, right } => binder.bind_set_operation(left, *op, *set_quantifier, right)?,
                    SetExpr::Values(values) => binder.bind_values(values)?,
                    SetExpr::Table(table) => binder.bind_table(table)?,
                    _ => return Err(BindError::unsupported("this form of query is not supported")),
                };
                query.order = binder.order_by_output(&query, &names, order)?;
                Ok((query, names))
            }
        })
    }

    /// `TABLE name`.
    fn bind_table(&mut self, table: &ast::Table) -> BindResult<NamedQuery> {
        let fold = |name: &String| name.to_ascii_lowercase();
        let parts: Vec<String> = table.schema_name.iter().chain(&table.table_name).map(fold).collect();
        let search_path = self.search_path.clone();
        let found = self.names.resolve_relation(&parts, &search_path)?;
        let (relation, outputs) = self.read_relation(&found)?;
        let names = found.schema.columns.iter().map(|column| column.name.clone()).collect();
        Ok((Query { relation, outputs, order: Vec::new() }, names))
    }

    /// ORDER BY over the outputs of what is not a SELECT: names and positions only.
    fn order_by_output(&mut self, query: &Query, names: &[String], order: &[OrderByExpr]) -> BindResult<Vec<(ColumnId, repr::SortDirection)>> {
        let mut keys = Vec::new();
        for key in order {
            let position = match &key.expr {
                Expr::Value(value) => match &value.value {
                    Value::Number(digits, _) => Some(output_position(digits, names.len(), "ORDER BY")?),
                    _ => None,
                },
                Expr::Identifier(ident) => {
                    let name = ident_value(ident);
                    Some(names.iter().position(|known| *known == name).ok_or_else(|| {
                        BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")).at(place_of(&key.expr))
                    })?)
                }
                _ => None,
            };
            let Some(id) = position.and_then(|position| query.outputs.get(position)) else {
                return Err(BindError::unsupported("invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .with_detail("Only result column names can be used, not expressions or functions.")
                    .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                    .at(place_of(&key.expr)));
            };
            keys.push((*id, direction_of(&key.options)));
        }
        Ok(keys)
    }

    fn bind_set_operation(&mut self, left: &SetExpr, operator: SetOperator, quantifier: SetQuantifier, right: &SetExpr) -> BindResult<NamedQuery> {
        let (kind, word) = match operator {
            SetOperator::Union => (SetKind::Union, "UNION"),
            SetOperator::Intersect => (SetKind::Intersect, "INTERSECT"),
            SetOperator::Except | SetOperator::Minus => (SetKind::Except, "EXCEPT"),
        };
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::Distinct | SetQuantifier::None => false,
            _ => return Err(BindError::unsupported(format!("{word} BY NAME is not supported"))),
        };
        let (left_query, names) = self.bind_set_expr(left, &[])?;
        let (right_query, _) = self.bind_set_expr(right, &[])?;
        check_same_width(word, &left_query, &right_query).map_err(|error| error.at(output_place(right, 0)))?;
        let mut types = Vec::with_capacity(names.len());
        for (position, (left_id, right_id)) in left_query.outputs.iter().zip(&right_query.outputs).enumerate() {
            let (left_type, right_type) = (self.columns.column_type(*left_id).clone(), self.columns.column_type(*right_id).clone());
            let common = super::resolve::common_type([&left_type.scalar, &right_type.scalar])
                .map_err(|(one, other)| super::coerce::cannot_match(word, &one, &other).at(output_place(right, position)))?;
            if !all {
                super::types::require_equality(&common).map_err(|error| error.at(output_place(right, position)))?;
            }
            let same = left_type.scalar == right_type.scalar && left_type.modifier == right_type.modifier;
            let modifier = if same { left_type.modifier } else { -1 };
            types.push((common, modifier, left_type.nullable || right_type.nullable));
        }
        let targets: Vec<ColumnType> = types.iter().map(|(common, ..)| ColumnType::new(common.clone())).collect();
        let left_query = self.convert_outputs(left_query, &targets, CastKind::Implicit)?;
        let right_query = self.convert_outputs(right_query, &targets, CastKind::Implicit)?;
        let outputs: Vec<ColumnId> = types
            .into_iter()
            .map(|(common, modifier, nullable)| self.columns.add(ColumnType::new(common).with_modifier(modifier).nullable(nullable)))
            .collect();
        let relation = Relation::SetOperation { kind, all, left: Box::new(left_query), right: Box::new(right_query), columns: outputs.clone() };
        Ok((Query { relation, outputs, order: Vec::new() }, names))
    }

    /// `VALUES (...), (...)`.
    fn bind_values(&mut self, values: &ast::Values) -> BindResult<NamedQuery> {
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let mut columns: Vec<Vec<Expression>> = vec![Vec::with_capacity(values.rows.len()); width];
        self.levels.push(Level::new(Default::default(), Clause::Values));
        let result = self.bind_value_rows(values, &mut columns);
        self.levels.pop();
        result?;
        let mut unified = Vec::with_capacity(width);
        for column in columns {
            unified.push(self.unify(column, "VALUES")?);
        }
        let names = (1..=width).map(|position| format!("column{position}")).collect();
        Ok((self.rows_query(unified, values.rows.len()), names))
    }

    fn bind_value_rows(&mut self, values: &ast::Values, columns: &mut [Vec<Expression>]) -> BindResult<()> {
        for row in &values.rows {
            if row.content.len() != columns.len() {
                let place = row.content.first().and_then(place_of);
                return Err(BindError::new(codes::SYNTAX_ERROR, "VALUES lists must all be the same length").at(place));
            }
            for (column, expr) in columns.iter_mut().zip(&row.content) {
                if matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default")) {
                    return Err(BindError::new(codes::SYNTAX_ERROR, "DEFAULT is not allowed in this context").at(place_of(expr)));
                }
                column.push(self.bind_expression(expr)?);
            }
        }
        Ok(())
    }

    /// Rows given column by column as a query: one constant if all are literals.
    pub(crate) fn rows_query(&mut self, columns: Vec<Vec<Expression>>, count: usize) -> Query {
        let types: Vec<ColumnType> = columns
            .iter()
            .map(|column| {
                let all: Vec<ColumnType> = column.iter().map(|value| value.column_type(&self.columns)).collect();
                let first = all.first().cloned().unwrap_or(ColumnType::new(Type::Text));
                let modifier = if all.iter().all(|other| other.modifier == first.modifier) { first.modifier } else { -1 };
                ColumnType { scalar: first.scalar, modifier, nullable: all.iter().any(|other| other.nullable) }
            })
            .collect();
        let ids: Vec<ColumnId> = types.iter().map(|column_type| self.columns.add(column_type.clone())).collect();
        let literal = |value: &Expression| matches!(value, Expression::Literal(..));
        let relation = if columns.iter().flatten().all(literal) {
            let mut builder = repr::RowBuilder::new();
            let mut rows: Vec<Row> = Vec::with_capacity(count);
            for row in 0..count {
                for column in &columns {
                    if let Some(Expression::Literal(value, _)) = column.get(row) {
                        builder.push_encoded(value.as_bytes());
                    }
                }
                rows.push(builder.finish());
            }
            Relation::Constant { rows, columns: ids.clone(), types }
        } else {
            let mut rows: Vec<Vec<(ColumnId, Expression)>> = (0..count).map(|_| Vec::with_capacity(columns.len())).collect();
            for (column, column_type) in columns.into_iter().zip(&types) {
                for (row, value) in rows.iter_mut().zip(column) {
                    row.push((self.columns.add(column_type.clone()), value));
                }
            }
            let inputs = rows
                .into_iter()
                .map(|scalars| {
                    let outputs = scalars.iter().map(|(id, _)| *id).collect();
                    Query { relation: Relation::unit().map(scalars), outputs, order: Vec::new() }
                })
                .collect();
            Relation::Union { inputs, columns: ids.clone() }
        };
        Query { relation, outputs: ids, order: Vec::new() }
    }

    fn bind_limit(&mut self, query: &ast::Query, bound: Query) -> BindResult<Query> {
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => (limit.as_ref(), offset.as_ref().map(|offset| &offset.value)),
            Some(LimitClause::OffsetCommaLimit { .. } | LimitClause::LimitOffset { .. }) => {
                return Err(BindError::new(codes::SYNTAX_ERROR, "LIMIT #,# syntax is not supported").with_hint("Use separate LIMIT and OFFSET clauses."));
            }
        };
        let mut with_ties = false;
        let one = Expr::value(Value::Number("1".to_string(), false));
        let limit = match &query.fetch {
            None => limit,
            Some(fetch) if fetch.percent => return Err(BindError::unsupported("FETCH ... PERCENT is not supported").at(place_of(query))),
            Some(fetch) => {
                with_ties = fetch.with_ties;
                Some(fetch.quantity.as_ref().unwrap_or(&one))
            }
        };
        if with_ties && bound.order.is_empty() {
            return Err(BindError::new(codes::SYNTAX_ERROR, "WITH TIES cannot be specified without ORDER BY clause"));
        }
        let limit = limit.map(|limit| self.bind_count(limit, "LIMIT", codes::INVALID_LIMIT)).transpose()?.flatten();
        let offset = offset.map(|offset| self.bind_count(offset, "OFFSET", codes::INVALID_OFFSET)).transpose()?.flatten();
        self.apply_limit(bound, limit, offset, with_ties)
    }

    fn bind_count(&mut self, expr: &Expr, what: &'static str, code: repr::SqlState) -> BindResult<Option<Expression>> {
        let visible = self.columns.add(ColumnType::new(Type::Unknown));
        self.levels.push(Level::new(Default::default(), Clause::Limit));
        let bound = self.bind_expression(expr).and_then(|bound| self.coerce(bound, &ColumnType::new(Type::Int8), CastKind::Assignment));
        self.levels.pop();
        let bound = bound.map_err(|error| {
            if error.sqlstate() == codes::UNDEFINED_COLUMN { BindError::new(codes::INVALID_COLUMN_REFERENCE, format!("argument of {what} must not contain variables")).at(error.place()) } else { error }
        })?;
        if bound.free_columns().iter().any(|id| *id < visible) {
            return Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, format!("argument of {what} must not contain variables")).at(place_of(expr)));
        }
        let bound = match self.convert_literal_number(&bound) {
            Some(literal) => literal,
            None => bound,
        };
        if bound.is_null_literal() {
            return Ok(None);
        }
        if let Expression::Literal(row, _) = &bound
            && matches!(row.get(0), Some(Datum::Int8(count)) if count < 0)
        {
            return Err(BindError::new(code, format!("{what} must not be negative")));
        }
        Ok(Some(bound))
    }

    /// `10` is an integer literal under a cast to bigint: fold it here, where it is needed as a number.
    fn convert_literal_number(&self, expression: &Expression) -> Option<Expression> {
        let Expression::Cast { input, column_type, .. } = expression else { return None };
        let row = self.convert_literal(input, &column_type.scalar)?;
        Some(Expression::Literal(row, column_type.clone()))
    }

    fn apply_limit(&mut self, bound: Query, limit: Option<Expression>, offset: Option<Expression>, with_ties: bool) -> BindResult<Query> {
        if limit.is_none() && offset.is_none() {
            return Ok(bound);
        }
        let literal_offset = match &offset {
            None => true,
            Some(Expression::Literal(..)) => true,
            Some(_) => false,
        };
        let Query { relation, outputs, order } = bound;
        if literal_offset {
            let (limit, offset) = (limit.map(Box::new), offset.map(Box::new));
            let relation = Relation::TopK { input: Box::new(relation), group: Vec::new(), order: order.clone(), limit, offset, with_ties };
            return Ok(Query { relation, outputs, order });
        }
        if with_ties {
            return Err(BindError::unsupported("WITH TIES with an OFFSET that is not a literal is not supported"));
        }
        // An offset known only later: number the rows.
        let number = self.columns.add(ColumnType::new(Type::Int8).not_null());
        let keys = order.iter().map(|(id, direction)| (Expression::Column(*id), *direction)).collect();
        let window = WindowExpression {
            function: WindowFunction::Named(plan::WindowFunction::RowNumber),
            arguments: Vec::new(),
            filter: None,
            partition: Vec::new(),
            order: keys,
            units: FrameUnits::Range,
            start: hir::FrameBound::UnboundedPreceding,
            end: hir::FrameBound::CurrentRow,
            exclusion: FrameExclusion::NoOthers,
            ignore_nulls: false,
            column_type: ColumnType::new(Type::Int8).not_null(),
        };
        let relation = Relation::Window { input: Box::new(relation), expressions: vec![(number, window)] };
        let zero = super::coerce::literal(Datum::Int8(0), Type::Int8);
        let offset = Expression::Coalesce(vec![offset.unwrap_or_else(|| zero.clone()), zero]);
        let mut predicates = vec![self.binary(">", Expression::Column(number), offset.clone())?];
        if let Some(limit) = limit {
            let seen = self.binary("-", Expression::Column(number), offset)?;
            let within = self.binary("<=", seen, limit.clone())?;
            predicates.push(Expression::Or(vec![Expression::IsNull(Box::new(limit)), within]));
        }
        Ok(Query { relation: relation.filter(predicates), outputs, order })
    }

    /// The names and types of a query's outputs.
    pub(crate) fn schema_of(&self, query: &Query, names: &[String]) -> Schema {
        let types = query.outputs.iter().map(|id| self.columns.column_type(*id).clone());
        Schema::new(names.iter().cloned().zip(types))
    }
}

enum Binding {
    Plain(plan::LocalId, Query),
    Recursive(plan::LocalId, Query, Vec<ColumnType>),
}

/// Where an output column of a query is written.
fn output_place(body: &SetExpr, position: usize) -> Option<crate::Place> {
    match body {
        SetExpr::Select(select) => select.projection.get(position).or(select.projection.first()).and_then(place_of),
        SetExpr::Query(query) => output_place(&query.body, position),
        SetExpr::SetOperation { left, .. } => output_place(left, position),
        other => place_of(other),
    }
}

fn check_same_width(word: &str, left: &Query, right: &Query) -> BindResult<()> {
    if left.outputs.len() == right.outputs.len() {
        return Ok(());
    }
    Err(BindError::new(codes::SYNTAX_ERROR, format!("each {word} query must have the same number of columns")))
}

pub(crate) fn order_exprs(order_by: Option<&ast::OrderBy>) -> BindResult<&[OrderByExpr]> {
    match order_by.map(|order_by| &order_by.kind) {
        None => Ok(&[]),
        Some(OrderByKind::Expressions(exprs)) => Ok(exprs),
        Some(OrderByKind::All(_)) => Err(BindError::unsupported("ORDER BY ALL is not supported")),
    }
}

/// `ORDER BY 2`, `GROUP BY 1`: the 0-based position of an output column.
pub(crate) fn output_position(digits: &str, width: usize, clause: &str) -> BindResult<usize> {
    let Ok(position) = digits.parse::<i64>() else {
        return Err(BindError::new(codes::SYNTAX_ERROR, format!("non-integer constant in {clause}")));
    };
    match usize::try_from(position) {
        Ok(position) if (1..=width).contains(&position) => Ok(position - 1),
        _ => Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, format!("{clause} position {position} is not in select list"))),
    }
}

/// Whether a query may read a relation of this name: used to tell recursive WITH items from others.
fn mentions_table(query: &ast::Query, name: &str) -> bool {
    let mut found = false;
    let _ = ast::visit_relations(query, |relation: &ast::ObjectName| {
        if super::name_parts(relation).as_slice() == [name.to_string()] {
            found = true;
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    });
    found
}

fn set_expr_mentions(body: &SetExpr, name: &str) -> bool {
    let mut found = false;
    let _ = ast::visit_relations(body, |relation: &ast::ObjectName| {
        if super::name_parts(relation).as_slice() == [name.to_string()] {
            found = true;
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    });
    found
}

/// A read of a local binding with columns of its own.
pub(crate) fn read_local(binder: &mut Binder<'_>, id: plan::LocalId, types: &[ColumnType]) -> (Relation, Vec<ColumnId>) {
    let ids: Vec<ColumnId> = types.iter().map(|column_type| binder.columns.add(column_type.clone())).collect();
    (Relation::Get { id: Id::Local(id), columns: ids.clone(), types: types.to_vec() }, ids)
}

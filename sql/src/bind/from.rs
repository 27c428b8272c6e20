//! FROM: relations, subqueries, functions and joins.

use super::call::{is_set_returning, no_function};
use super::scope::{Scope, ScopeColumn, ScopeTable};
use super::{Binder, Clause, name_parts, place_of, place_of_ident};
use crate::error::{BindError, BindResult, codes};
use crate::hir::{self, ColumnId, Expression, JoinKind};
use crate::names::{Relation, RelationKind};
use crate::parse::ast::{self, Expr, FunctionArg, FunctionArgExpr, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableWithJoins};
use crate::parse::{ROWS_FROM_FUNCTION, ident_value};
use plan::{Id, TableFunction};
use repr::ColumnType;

/// Views within views within views: more is a definition nobody meant.
const VIEW_NESTING_MAX: usize = 64;

type Item = (hir::Relation, Scope);

impl Binder<'_> {
    /// Binds a FROM list into the current level, whose scope it becomes.
    pub(crate) fn bind_from(&mut self, from: &[TableWithJoins]) -> BindResult<hir::Relation> {
        let mut relation = hir::Relation::unit();
        for item in from {
            let (right, scope) = self.bind_joins(item)?;
            relation = relation.cross(right);
            self.level().scope.append(scope).map_err(|error| error.at(place_of(item)))?;
        }
        Ok(relation)
    }

    fn bind_joins(&mut self, item: &TableWithJoins) -> BindResult<Item> {
        let mut left = self.bind_factor(&item.relation)?;
        for join in &item.joins {
            left = self.deeper(|binder| binder.bind_join(left, join))?;
        }
        Ok(left)
    }

    fn bind_join(&mut self, (left, left_scope): Item, join: &ast::Join) -> BindResult<Item> {
        let none = JoinConstraint::None;
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinKind::Inner, constraint),
            JoinOperator::CrossJoin(_) => (JoinKind::Inner, &none),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinKind::Left, constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (JoinKind::Right, constraint),
            JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
            _ => return Err(BindError::unsupported("this kind of join is not supported").at(place_of(&join.relation))),
        };
        // LATERAL on the right sees the left side, unless rows of the right may come without one of the left.
        let outside = self.level().scope.clone();
        let unreachable = self.level().unreachable.len();
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            self.level().unreachable.extend(left_scope.tables.iter().cloned());
        } else {
            self.level().scope.append(left_scope.clone()).map_err(|error| error.at(place_of(&join.relation)))?;
        }
        let right = self.bind_factor(&join.relation);
        self.level().unreachable.truncate(unreachable);
        self.level().scope = outside;
        let (right, right_scope) = right?;
        left_scope.check_aliases(&right_scope).map_err(|error| error.at(place_of(&join.relation)))?;
        let shared = match constraint {
            JoinConstraint::Using(names) => names.iter().filter_map(|name| name_parts(name).pop()).collect(),
            JoinConstraint::Natural => {
                let mut shared = Vec::new();
                for column in &left_scope.columns {
                    if right_scope.columns.iter().any(|other| other.name == column.name) && !shared.contains(&column.name) {
                        shared.push(column.name.clone());
                    }
                }
                shared
            }
            _ => Vec::new(),
        };
        let mut on = Vec::new();
        if let JoinConstraint::On(condition) = constraint {
            let mut both = left_scope.clone();
            both.append(right_scope.clone())?;
            let outside = std::mem::replace(&mut self.level().scope, both);
            let bound = self.in_clause(Clause::JoinOn, |binder| binder.bind_boolean(condition, "JOIN/ON"));
            self.level().scope = outside;
            conjuncts(bound?, &mut on);
        }
        let (merged, scalars) = self.merge_columns(kind, &shared, &left_scope, &right_scope, &mut on)?;
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            self.make_nullable(&right);
        }
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            self.make_nullable(&left);
        }
        let relation = hir::Relation::Join { left: Box::new(left), right: Box::new(right), kind, on }.map(scalars);
        let mut scope = Scope { tables: left_scope.tables, columns: merged };
        scope.tables.extend(right_scope.tables);
        let rest = left_scope.columns.into_iter().chain(right_scope.columns).filter(|column| !shared.contains(&column.name));
        scope.columns.extend(rest);
        Ok((relation, scope))
    }

    /// The merged columns of USING and NATURAL, and the conditions they stand for.
    fn merge_columns(
        &mut self,
        kind: JoinKind,
        shared: &[String],
        left_scope: &Scope,
        right_scope: &Scope,
        on: &mut Vec<Expression>,
    ) -> BindResult<(Vec<ScopeColumn>, Vec<(ColumnId, Expression)>)> {
        let (mut merged, mut scalars) = (Vec::new(), Vec::new());
        for name in shared {
            let side = |scope: &Scope, which: &str| {
                scope.find_column(name, None)?.ok_or_else(|| {
                    BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{name}\" specified in USING clause does not exist in {which} table"))
                })
            };
            let (left, right) = (side(left_scope, "left")?, side(right_scope, "right")?);
            on.push(self.binary("=", Expression::Column(left), Expression::Column(right))?);
            let unified = self.unify(vec![Expression::Column(left), Expression::Column(right)], "JOIN/USING")?;
            let value = match (kind, unified.as_slice()) {
                // Without NULLs made by the join either side will do: take the one that has the common type.
                (JoinKind::Inner, [Expression::Cast { .. }, other]) => other.clone(),
                (JoinKind::Inner | JoinKind::Left, [left, _]) => left.clone(),
                (JoinKind::Right, [_, right]) => right.clone(),
                _ => Expression::Coalesce(unified),
            };
            let id = match value {
                Expression::Column(id) => id,
                value => {
                    let mut column_type = value.column_type(&self.columns);
                    column_type.nullable = true;
                    let id = self.columns.add(column_type);
                    scalars.push((id, value));
                    id
                }
            };
            merged.push(ScopeColumn { name: name.clone(), id });
        }
        Ok((merged, scalars))
    }

    fn make_nullable(&mut self, relation: &hir::Relation) {
        for id in relation.columns() {
            self.columns.set_nullable(id);
        }
    }

    fn bind_factor(&mut self, factor: &TableFactor) -> BindResult<Item> {
        self.deeper(|binder| binder.bind_factor_inner(factor))
    }

    fn bind_factor_inner(&mut self, factor: &TableFactor) -> BindResult<Item> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } => self.bind_relation(name, alias.as_ref()),
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => self.bind_from_function(name, &args.args, *with_ordinality, alias.as_ref()),
            TableFactor::Function { name, args, with_ordinality, alias, .. } => self.bind_from_function(name, args, *with_ordinality, alias.as_ref()),
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let calls = array_exprs.iter().map(|expr| ("unnest".to_string(), vec![expr])).collect::<Vec<_>>();
                self.bind_functions(calls, "unnest", *with_ordinality, alias.as_ref())
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let was_hidden = self.level().hidden;
                self.level().hidden = was_hidden || !lateral;
                let bound = self.bind_settled(subquery);
                self.level().hidden = was_hidden;
                let (query, names) = bound?;
                let columns: Vec<(String, ColumnId)> = names.into_iter().zip(query.outputs.iter().copied()).collect();
                let (relation, columns) = self.distinct_ids(query.relation, columns);
                let name = alias.as_ref().map(|alias| ident_value(&alias.name));
                let table = ScopeTable { name: name.unwrap_or_default(), schema: None, columns, keys: Vec::new(), scalar_function: false };
                let item = self.with_alias(table, alias.as_ref())?;
                Ok((relation, item))
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let (relation, scope) = self.bind_joins(table_with_joins)?;
                let Some(alias) = alias else { return Ok((relation, scope)) };
                // An alias of a join hides the names within.
                let columns = scope.columns.into_iter().map(|column| (column.name, column.id)).collect();
                let table = ScopeTable { name: ident_value(&alias.name), schema: None, columns, keys: Vec::new(), scalar_function: false };
                let scope = self.with_alias(table, Some(alias))?;
                Ok((relation, scope))
            }
            other => Err(BindError::unsupported("this form of FROM item is not supported").at(place_of(other))),
        }
    }

    /// Gives a column that is shown twice an id of its own the second time, so that names stay apart.
    fn distinct_ids(&mut self, relation: hir::Relation, columns: Vec<(String, ColumnId)>) -> (hir::Relation, Vec<(String, ColumnId)>) {
        let mut seen = std::collections::HashSet::new();
        let mut copies = Vec::new();
        let columns = columns
            .into_iter()
            .map(|(name, id)| {
                if seen.insert(id) {
                    return (name, id);
                }
                let copy = self.columns.add(self.columns.column_type(id).clone());
                copies.push((copy, Expression::Column(id)));
                (name, copy)
            })
            .collect();
        (relation.map(copies), columns)
    }

    /// Applies `AS alias (columns)`.
    fn with_alias(&mut self, mut table: ScopeTable, alias: Option<&TableAlias>) -> BindResult<Scope> {
        if let Some(alias) = alias {
            table.name = ident_value(&alias.name);
            table.schema = None;
            if alias.columns.len() > table.columns.len() {
                let (has, wants) = (table.columns.len(), alias.columns.len());
                let message = format!("table \"{}\" has {has} columns available but {wants} columns specified", table.name);
                return Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, message).at(place_of_ident(&alias.name)));
            }
            for (column, renamed) in table.columns.iter_mut().zip(&alias.columns) {
                column.0 = ident_value(&renamed.name);
            }
        }
        for (name, id) in &table.columns {
            self.column_names.insert(*id, if table.name.is_empty() { name.clone() } else { format!("{}.{name}", table.name) });
        }
        let mut scope = Scope::of_table(table);
        if scope.tables.iter().any(|table| table.name.is_empty()) {
            // A subquery without an alias: its columns have no qualified names.
            scope.tables.clear();
        }
        Ok(scope)
    }

    fn bind_relation(&mut self, name: &ast::ObjectName, alias: Option<&TableAlias>) -> BindResult<Item> {
        let parts = name_parts(name);
        let place = name.0.first().and_then(|part| part.as_ident()).and_then(place_of_ident);
        if let [single] = parts.as_slice()
            && let Some(common) = self.common_tables.iter().rev().find(|common| common.name == *single).cloned()
        {
            let types: Vec<ColumnType> = common.columns.iter().map(|(_, column_type)| column_type.clone()).collect();
            let ids: Vec<ColumnId> = types.iter().map(|column_type| self.columns.add(column_type.clone())).collect();
            let columns = common.columns.iter().map(|(name, _)| name.clone()).zip(ids.iter().copied()).collect();
            let relation = hir::Relation::Get { id: Id::Local(common.id), columns: ids, types };
            let table = ScopeTable { name: common.name, schema: None, columns, keys: Vec::new(), scalar_function: false };
            return Ok((relation, self.with_alias(table, alias)?));
        }
        let search_path = self.search_path.clone();
        let found = self.names.resolve_relation(&parts, &search_path).map_err(|error| error.at(place))?;
        if matches!(found.kind, RelationKind::Index | RelationKind::Sink) {
            let message = format!("\"{}\" is {} and cannot be read", found.name, if found.kind == RelationKind::Index { "an index" } else { "a sink" });
            return Err(BindError::new(codes::WRONG_OBJECT_TYPE, message).at(place));
        }
        let (relation, ids) = self.read_relation(&found).map_err(|error| error.at(place))?;
        let names = found.schema.columns.iter().map(|column| column.name.clone());
        let keys = match found.kind {
            RelationKind::Table | RelationKind::Source => found.schema.keys.first().cloned().into_iter().collect(),
            _ => Vec::new(),
        };
        let table = ScopeTable {
            name: found.name.clone(),
            schema: Some(found.schema_name.clone()),
            columns: names.zip(ids).collect(),
            keys,
            scalar_function: false,
        };
        Ok((relation, self.with_alias(table, alias)?))
    }

    /// Reads a relation; a plain view becomes its query.
    pub(crate) fn read_relation(&mut self, found: &Relation) -> BindResult<(hir::Relation, Vec<ColumnId>)> {
        let Some(view) = &found.view else { return Ok(self.read_collection(found)) };
        if self.open_views.contains(&found.id) || self.open_views.len() >= VIEW_NESTING_MAX {
            return Err(BindError::new(codes::INVALID_RECURSION, format!("infinite recursion detected in the definition of view \"{}\"", found.name)));
        }
        self.depends_on.insert(found.id);
        self.open_views.push(found.id);
        let levels = std::mem::take(&mut self.levels);
        let common_tables = std::mem::take(&mut self.common_tables);
        let search_path = std::mem::replace(&mut self.search_path, view.search_path.clone());
        let bound = self.bind_body_node(&view.query);
        self.levels = levels;
        self.common_tables = common_tables;
        self.search_path = search_path;
        self.open_views.pop();
        let (query, names) = bound?;
        let columns = names.into_iter().zip(query.outputs).collect();
        let (relation, columns) = self.distinct_ids(query.relation, columns);
        Ok((relation, columns.into_iter().map(|(_, id)| id).collect()))
    }

    /// Reads a collection as it is stored.
    pub(crate) fn read_collection(&mut self, found: &Relation) -> (hir::Relation, Vec<ColumnId>) {
        self.depends_on.insert(found.id);
        let types = found.schema.types();
        let ids: Vec<ColumnId> = types.iter().map(|column_type| self.columns.add(column_type.clone())).collect();
        (hir::Relation::Get { id: Id::Global(found.id), columns: ids.clone(), types }, ids)
    }

    fn bind_from_function(&mut self, name: &ast::ObjectName, args: &[FunctionArg], with_ordinality: bool, alias: Option<&TableAlias>) -> BindResult<Item> {
        let place = name.0.first().and_then(|part| part.as_ident()).and_then(place_of_ident);
        let parts = name_parts(name);
        let function = parts.last().cloned().unwrap_or_default();
        let exprs = args.iter().map(argument_expr).collect::<BindResult<Vec<&Expr>>>()?;
        let calls = if function == ROWS_FROM_FUNCTION {
            let mut calls = Vec::new();
            for expr in exprs {
                let Expr::Function(call) = expr else {
                    return Err(BindError::new(codes::SYNTAX_ERROR, "ROWS FROM takes function calls").at(place_of(expr)));
                };
                let arguments = super::call::arguments_of(call)?;
                calls.push((name_parts(&call.name).pop().unwrap_or_default(), arguments.exprs));
            }
            calls
        } else if function == "unnest" && exprs.len() > 1 {
            exprs.into_iter().map(|expr| (function.clone(), vec![expr])).collect()
        } else {
            vec![(function.clone(), exprs)]
        };
        self.bind_functions(calls, &function, with_ordinality, alias).map_err(|error| error.at(place))
    }

    /// Functions in FROM, in lockstep if there are several.
    fn bind_functions(&mut self, calls: Vec<(String, Vec<&Expr>)>, name: &str, with_ordinality: bool, alias: Option<&TableAlias>) -> BindResult<Item> {
        let mut functions = Vec::new();
        let mut scalars = Vec::new();
        let one = calls.len() == 1;
        for (function, exprs) in calls {
            let bound = self.in_clause(Clause::From, |binder| exprs.iter().map(|expr| binder.bind_expression(expr)).collect::<BindResult<Vec<_>>>())?;
            if is_set_returning(&function) {
                functions.push(self.table_function(&function, bound)?);
            } else if one && !with_ordinality {
                let value = self.scalar_call(&function, bound)?;
                scalars.push(value);
            } else {
                return Err(no_function(&function, &[]));
            }
        }
        let (relation, mut columns) = if let Some(value) = scalars.pop() {
            let id = self.add_column(&value);
            (hir::Relation::unit().map(vec![(id, value)]), vec![(name.to_string(), id)])
        } else {
            self.zip_functions(functions, with_ordinality)
        };
        // A single column takes the alias' name.
        if columns.len() - usize::from(with_ordinality) == 1
            && let (Some(first), Some(alias)) = (columns.first_mut(), alias)
        {
            first.0 = ident_value(&alias.name);
        }
        let scalar_function = columns.len() == 1;
        let table = ScopeTable { name: name.to_string(), schema: None, columns, keys: Vec::new(), scalar_function };
        let scope = self.with_alias(table, alias)?;
        Ok((relation, scope))
    }

    fn scalar_call(&mut self, name: &str, arguments: Vec<Expression>) -> BindResult<Expression> {
        if let Some(expression) = self.catalog_function(name, &arguments)? {
            return Ok(expression);
        }
        self.call_function(name, arguments)
    }

    /// The rows of several table functions side by side, the shorter ones filled up with NULLs.
    pub(crate) fn zip_functions(&mut self, functions: Vec<(TableFunction, Vec<Expression>)>, with_ordinality: bool) -> (hir::Relation, Vec<(String, ColumnId)>) {
        let several = functions.len() > 1;
        let mut result: Option<(hir::Relation, Vec<(String, ColumnId)>, Option<ColumnId>)> = None;
        for (function, arguments) in functions {
            let function = if several || with_ordinality { TableFunction::WithOrdinality(Box::new(function)) } else { function };
            let mut columns: Vec<(String, ColumnId)> =
                function.columns().into_iter().map(|(name, column_type)| (name.to_string(), self.columns.add(column_type))).collect();
            let ids = columns.iter().map(|(_, id)| *id).collect();
            let relation = hir::Relation::FlatMap { input: Box::new(hir::Relation::unit()), function, arguments, columns: ids };
            let ordinal = if several || with_ordinality { columns.pop().map(|(_, id)| id) } else { None };
            result = Some(match result {
                None => (relation, columns, ordinal),
                Some((left, mut left_columns, left_ordinal)) => {
                    self.make_nullable(&left);
                    self.make_nullable(&relation);
                    let pair: Vec<Expression> = left_ordinal.into_iter().chain(ordinal).map(Expression::Column).collect();
                    let on = self.call_operator("=", pair.clone()).into_iter().collect();
                    let joined = hir::Relation::Join { left: Box::new(left), right: Box::new(relation), kind: JoinKind::Full, on };
                    let id = self.columns.add(ColumnType::new(repr::Type::Int8));
                    left_columns.extend(columns);
                    (joined.map(vec![(id, Expression::Coalesce(pair))]), left_columns, Some(id))
                }
            });
        }
        match result {
            None => (hir::Relation::unit(), Vec::new()),
            Some((relation, mut columns, ordinal)) => {
                if with_ordinality && let Some(ordinal) = ordinal {
                    columns.push(("ordinality".to_string(), ordinal));
                }
                (relation, columns)
            }
        }
    }
}

fn argument_expr(argument: &FunctionArg) -> BindResult<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        _ => Err(BindError::unsupported("this form of argument is not supported for functions in FROM")),
    }
}

/// Takes a condition apart at its ANDs.
pub(crate) fn conjuncts(condition: Expression, out: &mut Vec<Expression>) {
    match condition {
        Expression::And(parts) => parts.into_iter().for_each(|part| conjuncts(part, out)),
        other => out.push(other),
    }
}

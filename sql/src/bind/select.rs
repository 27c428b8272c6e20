//! SELECT: the list, grouping, windows, DISTINCT and ORDER BY.

use super::aggregate::direction_of;
use super::coerce::literal;
use super::from::conjuncts;
use super::query::{COLUMNS_MAX, NamedQuery, output_position};
use super::scope::Scope;
use super::{Binder, Clause, Level, SetCall, place_of, place_of_ident};
use crate::error::{BindError, BindResult, codes};
use crate::hir::{ColumnId, Expression, Query, Relation};
use crate::parse::ast::{self, Distinct, Expr, GroupByExpr, OrderByExpr, Select, SelectItem, SelectItemQualifiedWildcardKind, Value};
use crate::parse::ident_value;
use repr::{Datum, SortDirection, Type};
use std::collections::{BTreeSet, HashMap};

/// One entry of a select list.
pub(crate) struct Item {
    pub name: String,
    pub expression: Expression,
}

type SortKeys = Vec<(Expression, SortDirection)>;

/// Everything of a SELECT that is computed after grouping.
struct Parts {
    items: Vec<Item>,
    having: Vec<Expression>,
    order: SortKeys,
    order_places: Vec<Option<crate::Place>>,
    distinct_on: Vec<Expression>,
}

impl Binder<'_> {
    pub(crate) fn bind_select(&mut self, select: &Select, order: &[OrderByExpr]) -> BindResult<NamedQuery> {
        refuse_unsupported(select)?;
        self.levels.push(Level::new(Scope::default(), Clause::From));
        let result = self.bind_select_level(select, order);
        self.levels.pop();
        result
    }

    fn bind_select_level(&mut self, select: &Select, order: &[OrderByExpr]) -> BindResult<NamedQuery> {
        let mut relation = self.bind_from(&select.from)?;
        for definition in &select.named_window {
            let spec = match &definition.1 {
                ast::NamedWindowExpr::WindowSpec(spec) => spec.clone(),
                ast::NamedWindowExpr::NamedWindow(ident) => ast::WindowSpec {
                    window_name: Some(ident.clone()),
                    partition_by: Vec::new(),
                    order_by: Vec::new(),
                    window_frame: None,
                },
            };
            let name = ident_value(&definition.0);
            self.level().named_windows.push((name, spec));
        }
        if let Some(selection) = &select.selection {
            let condition = self.in_clause(Clause::Where, |binder| binder.bind_boolean(selection, "WHERE"))?;
            let mut predicates = Vec::new();
            conjuncts(condition, &mut predicates);
            relation = relation.filter(predicates);
        }
        let items = self.in_clause(Clause::Select, |binder| binder.bind_items(&select.projection))?;
        let keys = self.bind_group_by(&select.group_by, &items, &select.projection)?;
        let mut having = Vec::new();
        if let Some(condition) = &select.having {
            let condition = self.in_clause(Clause::Having, |binder| binder.bind_boolean(condition, "HAVING"))?;
            conjuncts(condition, &mut having);
        }
        let (order, order_places) = self.in_clause(Clause::OrderBy, |binder| binder.bind_sort_keys(order, &items))?;
        let (distinct, distinct_on) = match &select.distinct {
            None | Some(Distinct::All) => (false, Vec::new()),
            Some(Distinct::Distinct) => (true, Vec::new()),
            Some(Distinct::On(exprs)) => {
                let keys = self.in_clause(Clause::DistinctOn, |binder| {
                    exprs.iter().map(|expr| binder.bind_output_reference(expr, &items, "DISTINCT ON")).collect::<BindResult<Vec<_>>>()
                })?;
                (false, keys)
            }
        };
        let names: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        if names.len() > COLUMNS_MAX {
            return Err(BindError::new(codes::TOO_MANY_COLUMNS, format!("target lists can have at most {COLUMNS_MAX} entries")));
        }
        let mut parts = Parts { items, having, order, order_places, distinct_on };
        let grouped = !keys.is_empty() || !self.level().aggregates.is_empty() || select.having.is_some() || is_grouped(&select.group_by);
        if grouped {
            for key in &keys {
                super::types::require_equality(&self.type_of(key))?;
            }
            relation = self.group(relation, keys, &mut parts)?;
        }
        let query = self.finish_select(relation, parts, distinct)?;
        Ok((query, names))
    }

    /// HAVING, windows, set-returning functions, the select list, DISTINCT: in Postgres' order.
    fn finish_select(&mut self, relation: Relation, parts: Parts, distinct: bool) -> BindResult<Query> {
        let mut relation = relation.filter(parts.having);
        let windows = std::mem::take(&mut self.level().windows);
        if !windows.is_empty() {
            relation = Relation::Window { input: Box::new(relation), expressions: windows };
        }
        let sets = std::mem::take(&mut self.level().sets);
        relation = self.apply_sets(relation, sets)?;
        let mut scalars = Vec::new();
        let mut outputs = Vec::with_capacity(parts.items.len());
        for item in parts.items {
            let expression = self.row_value(item.expression)?;
            let undecided = self.type_of(&expression) == Type::Unknown;
            let id = if undecided {
                // Each stands for itself: what they become is decided one by one.
                let id = self.add_column(&expression);
                self.undecided.insert(id, expression.clone());
                scalars.push((id, expression));
                id
            } else {
                self.column_of(expression, &mut scalars)
            };
            outputs.push(id);
        }
        let shown: BTreeSet<ColumnId> = outputs.iter().copied().collect();
        let mut order = Vec::with_capacity(parts.order.len());
        for ((key, direction), place) in parts.order.into_iter().zip(parts.order_places) {
            let key = self.settle(key)?;
            if let Expression::Literal(..) = key {
                continue;
            }
            super::types::require_order(&self.type_of(&key)).map_err(|error| error.at(place))?;
            let id = self.column_of(key, &mut scalars);
            if distinct && !shown.contains(&id) {
                let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                return Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, message).at(place));
            }
            order.push((id, direction));
        }
        let mut on = Vec::with_capacity(parts.distinct_on.len());
        for key in parts.distinct_on {
            let key = self.settle(key)?;
            super::types::require_equality(&self.type_of(&key))?;
            on.push(self.column_of(key, &mut scalars));
        }
        relation = relation.map(scalars);
        if distinct {
            for id in &shown {
                super::types::require_equality(&self.columns.column_type(*id).scalar)?;
            }
            relation = Relation::Distinct { input: Box::new(relation), columns: shown.into_iter().collect() };
        }
        if !on.is_empty() {
            relation = first_of_each(relation, on, &mut order)?;
        }
        Ok(Query { relation, outputs, order })
    }

    /// Set-returning functions of the select list, in lockstep.
    fn apply_sets(&mut self, relation: Relation, mut sets: Vec<SetCall>) -> BindResult<Relation> {
        if sets.len() <= 1 {
            return Ok(match sets.pop() {
                None => relation,
                Some(set) => Relation::FlatMap { input: Box::new(relation), function: set.function, arguments: set.arguments, columns: set.columns },
            });
        }
        // One whose arguments use another's rows comes after it.
        let mut made = BTreeSet::new();
        let nested = sets.iter().any(|set| {
            let uses = set.arguments.iter().any(|argument| argument.free_columns().iter().any(|id| made.contains(id)));
            made.extend(set.columns.iter().copied());
            uses
        });
        if nested {
            return Ok(sets.into_iter().fold(relation, |relation, set| Relation::FlatMap {
                input: Box::new(relation),
                function: set.function,
                arguments: set.arguments,
                columns: set.columns,
            }));
        }
        let wanted: Vec<ColumnId> = sets.iter().flat_map(|set| set.columns.iter().copied()).collect();
        let functions = sets.into_iter().map(|set| (set.function, set.arguments)).collect();
        let (zipped, columns) = self.zip_functions(functions, false);
        for id in &wanted {
            self.columns.set_nullable(*id);
        }
        let renamed = wanted.into_iter().zip(columns).map(|(id, (_, column))| (id, Expression::Column(column))).collect();
        let joined = Relation::Join { left: Box::new(relation), right: Box::new(zipped), kind: crate::hir::JoinKind::Inner, on: Vec::new() };
        Ok(joined.map(renamed))
    }

    /// Binds a select list, stars expanded.
    pub(crate) fn bind_items(&mut self, projection: &[SelectItem]) -> BindResult<Vec<Item>> {
        let mut items = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    if let Some(expanded) = self.expand_row(expr)? {
                        items.extend(expanded);
                        continue;
                    }
                    let expression = self.bind_expression(expr)?;
                    items.push(Item { name: column_name(expr), expression });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let expression = self.bind_expression(expr)?;
                    items.push(Item { name: ident_value(alias), expression });
                }
                SelectItem::Wildcard(options) => {
                    let level = self.level();
                    if level.scope.columns.is_empty() && level.scope.tables.is_empty() {
                        let error = BindError::new(codes::SYNTAX_ERROR, "SELECT * with no tables specified is not valid");
                        return Err(error.at(place_of(options)));
                    }
                    let columns = level.scope.columns.clone();
                    for column in columns {
                        items.push(Item { name: column.name, expression: Expression::Column(column.id) });
                    }
                }
                SelectItem::QualifiedWildcard(kind, _) => items.extend(self.expand_table(kind)?),
                SelectItem::ExprWithAliases { .. } => return Err(BindError::unsupported("several aliases of one expression are not supported")),
            }
        }
        let place = projection.first().and_then(place_of);
        for item in &items {
            if let Expression::Column(id) = &item.expression
                && let Some(place) = place
            {
                self.mentioned.entry(*id).or_insert(place);
            }
        }
        Ok(items)
    }

    /// `table.*`.
    fn expand_table(&mut self, kind: &SelectItemQualifiedWildcardKind) -> BindResult<Vec<Item>> {
        let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
            return Err(BindError::unsupported("expansion of composite values is not supported"));
        };
        let place = name.0.first().and_then(|part| part.as_ident()).and_then(place_of_ident);
        let mut parts = super::name_parts(name);
        let table = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        for level in self.levels.iter().rev().filter(|level| !level.hidden) {
            if let Some(found) = level.scope.find_table(schema.as_deref(), &table, place)? {
                return Ok(found.columns.iter().map(|(name, id)| Item { name: name.clone(), expression: Expression::Column(*id) }).collect());
            }
        }
        Err(BindError::new(codes::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\"")).at(place))
    }

    /// `(f(x)).*` of a set-returning function with several columns.
    fn expand_row(&mut self, expr: &Expr) -> BindResult<Option<Vec<Item>>> {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else { return Ok(None) };
        let [ast::AccessExpr::Dot(Expr::Wildcard(_))] = access_chain.as_slice() else { return Ok(None) };
        match self.bind_expression(root)? {
            Expression::Row(members) => {
                Ok(Some(members.into_iter().enumerate().map(|(position, expression)| Item { name: format!("f{}", position + 1), expression }).collect()))
            }
            _ => Err(BindError::unsupported("expansion of composite values is not supported").at(place_of(expr))),
        }
    }

    fn bind_group_by(&mut self, group_by: &GroupByExpr, items: &[Item], projection: &[SelectItem]) -> BindResult<Vec<Expression>> {
        let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
            return Err(BindError::unsupported("GROUP BY ALL is not supported"));
        };
        if !modifiers.is_empty() {
            return Err(BindError::unsupported("GROUPING SETS, CUBE and ROLLUP are not supported"));
        }
        let mut keys = Vec::new();
        for expr in exprs {
            let key = self.bind_group_key(expr, items)?;
            let members = match key {
                Expression::Row(members) => members,
                other => vec![other],
            };
            for member in members {
                let member = self.settle(member)?;
                if !keys.contains(&member) {
                    keys.push(member);
                }
            }
        }
        let _ = projection;
        Ok(keys)
    }

    /// GROUP BY takes an input column before an output column of the same name.
    fn bind_group_key(&mut self, expr: &Expr, items: &[Item]) -> BindResult<Expression> {
        if let Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) = expr {
            return Err(BindError::unsupported("GROUPING SETS, CUBE and ROLLUP are not supported").at(place_of(expr)));
        }
        if let Expr::Identifier(ident) = expr {
            let name = ident_value(ident);
            if self.level().scope.find_column(&name, place_of_ident(ident))?.is_none() && items.iter().any(|item| item.name == name) {
                return self.group_by_output(expr, items);
            }
        }
        if let Expr::Value(_) = expr {
            return self.group_by_output(expr, items);
        }
        self.in_clause(Clause::GroupBy, |binder| binder.bind_expression(expr))
    }

    fn group_by_output(&mut self, expr: &Expr, items: &[Item]) -> BindResult<Expression> {
        let key = self.bind_output_reference(expr, items, "GROUP BY")?;
        let free = key.free_columns();
        if self.level().aggregates.iter().any(|(id, _)| free.contains(id)) {
            return Err(BindError::new(codes::GROUPING_ERROR, "aggregate functions are not allowed in GROUP BY").at(place_of(expr)));
        }
        if self.level().windows.iter().any(|(id, _)| free.contains(id)) {
            return Err(BindError::new(codes::WINDOWING_ERROR, "window functions are not allowed in GROUP BY").at(place_of(expr)));
        }
        if self.level().sets.iter().any(|set| set.columns.iter().any(|id| free.contains(id))) {
            return Err(BindError::unsupported("set-returning functions in GROUP BY are not supported").at(place_of(expr)));
        }
        Ok(key)
    }

    /// A position or name of the select list, else an expression over the input.
    fn bind_output_reference(&mut self, expr: &Expr, items: &[Item], clause: &str) -> BindResult<Expression> {
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => {
                    let position = output_position(digits, items.len(), clause).map_err(|error| error.at(place_of(expr)))?;
                    return Ok(items.get(position).map_or_else(|| literal(Datum::Null, Type::Unknown), |item| item.expression.clone()));
                }
                Value::Placeholder(_) | Value::Null => {}
                _ => return Err(BindError::new(codes::SYNTAX_ERROR, format!("non-integer constant in {clause}")).at(place_of(expr))),
            },
            Expr::Identifier(ident) => {
                let name = ident_value(ident);
                let mut found: Option<&Item> = None;
                for item in items.iter().filter(|item| item.name == name) {
                    if found.is_some_and(|other| other.expression != item.expression) {
                        return Err(BindError::new(codes::AMBIGUOUS_COLUMN, format!("{clause} \"{name}\" is ambiguous")).at(place_of(expr)));
                    }
                    found = Some(item);
                }
                if let Some(item) = found {
                    return Ok(item.expression.clone());
                }
            }
            _ => {}
        }
        self.bind_expression(expr)
    }

    fn bind_sort_keys(&mut self, order: &[OrderByExpr], items: &[Item]) -> BindResult<(SortKeys, Vec<Option<crate::Place>>)> {
        let mut keys = Vec::with_capacity(order.len());
        let mut places = Vec::with_capacity(order.len());
        for key in order {
            let direction = direction_of(&key.options);
            match self.bind_output_reference(&key.expr, items, "ORDER BY")? {
                Expression::Row(members) => keys.extend(members.into_iter().map(|member| (member, direction))),
                expression => {
                    if !matches!(expression, Expression::Literal(..)) || items.iter().any(|item| item.expression == expression) {
                        keys.push((expression, direction));
                    }
                }
            }
            places.resize(keys.len(), place_of(&key.expr));
        }
        Ok((keys, places))
    }

    /// Groups the input and rewrites everything above in terms of keys and aggregates.
    fn group(&mut self, input: Relation, keys: Vec<Expression>, parts: &mut Parts) -> BindResult<Relation> {
        let from_columns: BTreeSet<ColumnId> = input.columns().into_iter().collect();
        let mut reduce_keys: Vec<(ColumnId, Expression)> = Vec::with_capacity(keys.len());
        let mut replacements: HashMap<Expression, ColumnId> = HashMap::new();
        for key in keys {
            let id = match &key {
                Expression::Column(id) => *id,
                other => {
                    let id = self.add_column(other);
                    replacements.insert(other.clone(), id);
                    id
                }
            };
            reduce_keys.push((id, key));
        }
        self.add_dependent_columns(&mut reduce_keys);
        let mut replace = |expression: &mut Expression| {
            if replacements.is_empty() {
                return;
            }
            expression.visit_mut(&mut |node| {
                if let Some(id) = replacements.get(node) {
                    *node = Expression::Column(*id);
                }
            });
        };
        parts.items.iter_mut().for_each(|item| replace(&mut item.expression));
        parts.having.iter_mut().for_each(&mut replace);
        parts.order.iter_mut().for_each(|(key, _)| replace(key));
        parts.distinct_on.iter_mut().for_each(&mut replace);
        let level = self.level();
        level.windows.iter_mut().for_each(|(_, window)| window.for_each_expression_mut(&mut replace));
        level.sets.iter_mut().for_each(|set| set.arguments.iter_mut().for_each(&mut replace));
        let aggregates = std::mem::take(&mut level.aggregates);

        let grouped: BTreeSet<ColumnId> = reduce_keys.iter().map(|(id, _)| *id).collect();
        let mut free = BTreeSet::new();
        parts.items.iter().for_each(|item| free.extend(item.expression.free_columns()));
        parts.having.iter().for_each(|predicate| free.extend(predicate.free_columns()));
        parts.order.iter().for_each(|(key, _)| free.extend(key.free_columns()));
        parts.distinct_on.iter().for_each(|key| free.extend(key.free_columns()));
        let level = self.level();
        for (_, window) in &level.windows {
            window.for_each_expression(&mut |expression| free.extend(expression.free_columns()));
        }
        level.sets.iter().for_each(|set| set.arguments.iter().for_each(|argument| free.extend(argument.free_columns())));
        // The one written first, as Postgres reports it.
        let ungrouped = free.iter().filter(|id| from_columns.contains(id) && !grouped.contains(id));
        let first = ungrouped.min_by_key(|id| self.mentioned.get(id).map_or((u64::MAX, u64::MAX), |place| (place.line, place.column)));
        if let Some(id) = first {
            let name = self.column_names.get(id).cloned().unwrap_or_else(|| "?column?".to_string());
            let message = format!("column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function");
            return Err(BindError::new(codes::GROUPING_ERROR, message).at(self.mentioned.get(id).copied()));
        }
        Ok(Relation::Reduce { input: Box::new(input), keys: reduce_keys, aggregates })
    }

    /// Grouping by a primary key determines the other columns of its table: they become keys too.
    fn add_dependent_columns(&mut self, keys: &mut Vec<(ColumnId, Expression)>) {
        let grouped: BTreeSet<ColumnId> = keys.iter().map(|(id, _)| *id).collect();
        let mut dependent = Vec::new();
        for table in &self.level().scope.tables {
            let determined = table.keys.iter().any(|key| {
                !key.is_empty() && key.iter().all(|position| table.columns.get(*position).is_some_and(|(_, id)| grouped.contains(id)))
            });
            if determined {
                dependent.extend(table.columns.iter().map(|(_, id)| *id).filter(|id| !grouped.contains(id)));
            }
        }
        keys.extend(dependent.into_iter().map(|id| (id, Expression::Column(id))));
    }
}

/// DISTINCT ON: the first row of each group in the query's order.
fn first_of_each(relation: Relation, on: Vec<ColumnId>, order: &mut [(ColumnId, SortDirection)]) -> BindResult<Relation> {
    let leading: BTreeSet<ColumnId> = order.iter().take(on.len()).map(|(id, _)| *id).collect();
    let wanted: BTreeSet<ColumnId> = on.iter().copied().collect();
    let matches = order.is_empty() || order.iter().take_while(|(id, _)| wanted.contains(id)).count() >= wanted.len().min(order.len());
    if !matches || !leading.is_subset(&wanted) && order.iter().take(wanted.len()).any(|(id, _)| !wanted.contains(id)) {
        let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
        return Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, message));
    }
    let limit = Some(Box::new(literal(Datum::Int8(1), Type::Int8)));
    Ok(Relation::TopK { input: Box::new(relation), group: on, order: order.to_vec(), limit, offset: None, with_ties: false })
}

/// `GROUP BY ()` groups too.
fn is_grouped(group_by: &GroupByExpr) -> bool {
    matches!(group_by, GroupByExpr::Expressions(exprs, _) if !exprs.is_empty())
}

fn refuse_unsupported(select: &Select) -> BindResult<()> {
    let what = if select.into.is_some() {
        "SELECT INTO"
    } else if select.qualify.is_some() {
        "QUALIFY"
    } else if select.top.is_some() {
        "TOP"
    } else if !select.lateral_views.is_empty() || !select.connect_by.is_empty() || select.prewhere.is_some() || !select.sort_by.is_empty() {
        "this clause"
    } else {
        return Ok(());
    };
    Err(BindError::unsupported(format!("{what} is not supported")).at(place_of(select)))
}

/// The name Postgres gives to an output column without an alias.
pub(crate) fn column_name(expr: &Expr) -> String {
    figure_name(expr).map_or_else(|| "?column?".to_string(), |(name, _)| name)
}

/// A name and whether it is a strong one (a column's or function's) or a weak one (a type's).
fn figure_name(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_string(), true));
    let weak = |name: &str| Some((name.to_string(), false));
    match expr {
        Expr::Identifier(ident) => Some((ident_value(ident), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (ident_value(ident), true)),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.iter().rev().find_map(|access| match access {
            ast::AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident_value(ident)),
            _ => None,
        }) {
            Some(name) => Some((name, true)),
            None => figure_name(root),
        },
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure_name(inner),
        Expr::Function(function) => super::name_parts(&function.name).pop().map(|name| (name, true)),
        Expr::Cast { expr, data_type, .. } => match figure_name(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_label(data_type), false)),
        },
        Expr::TypedString(typed) => Some((type_label(&typed.data_type), false)),
        Expr::Interval(_) => weak("interval"),
        Expr::Case { else_result, .. } => match else_result.as_ref().and_then(|otherwise| figure_name(otherwise)) {
            Some((name, true)) => Some((name, true)),
            _ => weak("case"),
        },
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Subquery(query) => first_output_name(&query.body),
        Expr::Extract { .. } => strong("extract"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        _ => None,
    }
}

/// The name of the first column of a query; of a set operation, that of its leftmost query.
fn first_output_name(body: &ast::SetExpr) -> Option<(String, bool)> {
    match body {
        ast::SetExpr::Select(select) => match select.projection.first() {
            Some(SelectItem::ExprWithAlias { alias, .. }) => Some((ident_value(alias), true)),
            Some(SelectItem::UnnamedExpr(expr)) => figure_name(expr),
            _ => None,
        },
        ast::SetExpr::Values(_) => Some(("column1".to_string(), true)),
        ast::SetExpr::SetOperation { left, .. } => first_output_name(left),
        ast::SetExpr::Query(query) => first_output_name(&query.body),
        _ => None,
    }
}

/// The last part of a type's internal name: `int4`, `timestamptz`.
fn type_label(data_type: &ast::DataType) -> String {
    match data_type {
        ast::DataType::Custom(name, _) => super::name_parts(name).pop().unwrap_or_default(),
        ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) => type_label(element),
        other => {
            let text = other.to_string().to_ascii_lowercase();
            let bare = text.split('(').next().unwrap_or("").trim();
            let known = match other {
                ast::DataType::Timestamp(_, ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz) => Some(Type::TimestampTz),
                ast::DataType::Char(_) | ast::DataType::Character(_) => Some(Type::Bpchar),
                ast::DataType::Double(_) => Some(Type::Float8),
                _ => Type::from_name(bare),
            };
            known.map_or_else(|| bare.to_string(), |known| known.pg_name())
        }
    }
}

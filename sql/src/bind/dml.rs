//! INSERT, UPDATE, DELETE: plans for the rows to write.
//!
//! NOT NULL and unique keys are checked by the writer, which knows the rows; types are converted here.

use super::from::conjuncts;
use super::scope::{Scope, ScopeTable};
use super::{Binder, Clause, Level, name_parts, place_of};
use crate::decorrelate;
use crate::error::{BindError, BindResult, codes};
use crate::hir::{self, ColumnId, Expression, Query};
use crate::names::{Mode, Names, Parameters, Relation, RelationKind, SessionContext};
use crate::parse::ast::{self, AssignmentTarget, Expr, FromTable, SelectItem, SetExpr, TableFactor, TableObject, TableWithJoins};
use crate::parse::ident_value;
use plan::{LocalId, Plan};
use repr::{CollectionId, Schema};
use std::sync::Arc;

/// `RETURNING`: a plan over the rows written, which it reads as the local binding `rows` (new rows; for DELETE the old ones).
#[derive(Clone, Debug)]
pub struct BoundReturning {
    pub rows: LocalId,
    pub plan: Plan,
    pub schema: Schema,
}

#[derive(Clone, Debug)]
pub struct BoundInsert {
    pub table: CollectionId,
    /// Yields rows with all columns of the table, in its order.
    pub plan: Plan,
    pub returning: Option<BoundReturning>,
    pub depends_on: Vec<CollectionId>,
}

#[derive(Clone, Debug)]
pub struct BoundUpdate {
    pub table: CollectionId,
    /// Yields the columns of the old row, then those of the new one.
    pub plan: Plan,
    pub returning: Option<BoundReturning>,
    pub depends_on: Vec<CollectionId>,
}

#[derive(Clone, Debug)]
pub struct BoundDelete {
    pub table: CollectionId,
    /// Yields the rows to delete.
    pub plan: Plan,
    pub returning: Option<BoundReturning>,
    pub depends_on: Vec<CollectionId>,
}

/// Binds `INSERT`.
pub fn bind_insert(insert: &ast::Insert, names: &dyn Names, session: &SessionContext, parameters: &mut Parameters) -> BindResult<BoundInsert> {
    let mut binder = Binder::new(names, session, parameters, Mode::OneShot);
    if insert.on.is_some() {
        return Err(BindError::unsupported("INSERT ... ON CONFLICT is not supported")
            .with_hint("Conditions on existing rows are checked in the database upstream."));
    }
    let TableObject::TableName(name) = &insert.table else { return Err(BindError::unsupported("INSERT into this is not supported")) };
    let table = binder.target(name)?;
    let alias = insert.table_alias.as_ref().map(|alias| ident_value(&alias.alias));
    let mut targets = Vec::new();
    for column in &insert.columns {
        let column_name = name_parts(column).pop().unwrap_or_default();
        let position = binder.target_column(&table, &column_name).map_err(|error| error.at(place_of(column)))?;
        if targets.contains(&position) {
            return Err(BindError::new(codes::DUPLICATE_COLUMN, format!("column \"{column_name}\" specified more than once")).at(place_of(column)));
        }
        targets.push(position);
    }
    let named = !targets.is_empty();
    if !named {
        targets = (0..table.schema.arity()).collect();
    }
    let query = match &insert.source {
        None => binder.default_row(&table)?,
        Some(source) => binder.insert_source(source, &table, &targets, named)?,
    };
    let returning = binder.returning(insert.returning.as_deref(), &table, alias)?;
    binder.check_parameters()?;
    let (plan, _) = decorrelate::lower_query(&query, &mut binder.columns, binder.next_local)?;
    Ok(BoundInsert { table: table.id, plan, returning, depends_on: binder.depends_on.into_iter().collect() })
}

/// Binds `UPDATE`.
pub fn bind_update(update: &ast::Update, names: &dyn Names, session: &SessionContext, parameters: &mut Parameters) -> BindResult<BoundUpdate> {
    let mut binder = Binder::new(names, session, parameters, Mode::OneShot);
    let (table, alias) = binder.target_of(&update.table)?;
    let (get, ids, scope) = binder.open_target(&table, alias.clone());
    binder.levels.push(Level::new(scope, Clause::From));
    let from: &[TableWithJoins] = match &update.from {
        None => &[],
        Some(ast::UpdateTableFromKind::BeforeSet(from) | ast::UpdateTableFromKind::AfterSet(from)) => from,
    };
    let other = binder.bind_from(from)?;
    let joined = !other.is_unit();
    let mut relation = get.cross(other);
    if let Some(selection) = &update.selection {
        let condition = binder.in_clause(Clause::Where, |binder| binder.bind_boolean(selection, "WHERE"))?;
        let mut predicates = Vec::new();
        conjuncts(condition, &mut predicates);
        relation = relation.filter(predicates);
    }
    let mut values: Vec<Expression> = ids.iter().map(|id| Expression::Column(*id)).collect();
    let mut assigned = Vec::new();
    for assignment in &update.assignments {
        for (column, value) in binder.assignments(assignment, &table)? {
            if assigned.contains(&column) {
                let name = table.schema.columns.get(column).map_or("", |column| &column.name);
                return Err(BindError::new(codes::SYNTAX_ERROR, format!("multiple assignments to same column \"{name}\"")));
            }
            assigned.push(column);
            if let Some(slot) = values.get_mut(column) {
                *slot = value;
            }
        }
    }
    binder.levels.pop();
    let mut scalars = Vec::new();
    let mut outputs = ids.clone();
    for value in values {
        let id = match value {
            Expression::Column(id) if ids.contains(&id) => id,
            value => {
                let id = binder.add_column(&value);
                scalars.push((id, value));
                id
            }
        };
        outputs.push(id);
    }
    relation = relation.map(scalars);
    if joined {
        // A row that joins several others is updated once.
        let limit = Some(Box::new(super::coerce::literal(repr::Datum::Int8(1), repr::Type::Int8)));
        relation = hir::Relation::TopK { input: Box::new(relation), group: ids, order: Vec::new(), limit, offset: None, with_ties: false };
    }
    let returning = binder.returning(update.returning.as_deref(), &table, alias)?;
    binder.check_parameters()?;
    let query = Query { relation, outputs, order: Vec::new() };
    let (plan, _) = decorrelate::lower_query(&query, &mut binder.columns, binder.next_local)?;
    Ok(BoundUpdate { table: table.id, plan, returning, depends_on: binder.depends_on.into_iter().collect() })
}

/// Binds `DELETE`.
pub fn bind_delete(delete: &ast::Delete, names: &dyn Names, session: &SessionContext, parameters: &mut Parameters) -> BindResult<BoundDelete> {
    let mut binder = Binder::new(names, session, parameters, Mode::OneShot);
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [from] = from.as_slice() else { return Err(BindError::unsupported("DELETE from several tables is not supported")) };
    let (table, alias) = binder.target_of(from)?;
    let (get, ids, scope) = binder.open_target(&table, alias.clone());
    binder.levels.push(Level::new(scope, Clause::From));
    let other = binder.bind_from(delete.using.as_deref().unwrap_or(&[]))?;
    let mut predicates = Vec::new();
    if let Some(selection) = &delete.selection {
        let condition = binder.in_clause(Clause::Where, |binder| binder.bind_boolean(selection, "WHERE"))?;
        conjuncts(condition, &mut predicates);
    }
    binder.levels.pop();
    let relation = if other.is_unit() {
        get.filter(predicates)
    } else {
        get.filter(vec![Expression::Exists(Box::new(other.filter(predicates)))])
    };
    let returning = binder.returning(delete.returning.as_deref(), &table, alias)?;
    binder.check_parameters()?;
    let query = Query { relation, outputs: ids, order: Vec::new() };
    let (plan, _) = decorrelate::lower_query(&query, &mut binder.columns, binder.next_local)?;
    Ok(BoundDelete { table: table.id, plan, returning, depends_on: binder.depends_on.into_iter().collect() })
}

impl Binder<'_> {
    /// The table a statement writes to.
    fn target(&mut self, name: &ast::ObjectName) -> BindResult<Arc<Relation>> {
        let place = place_of(name);
        let search_path = self.search_path.clone();
        let found = self.names.resolve_relation(&name_parts(name), &search_path).map_err(|error| error.at(place))?;
        if found.kind == RelationKind::Table {
            return Ok(found);
        }
        let what = match found.kind {
            RelationKind::View => "view",
            RelationKind::MaterializedView => "materialized view",
            RelationKind::Source => "source",
            RelationKind::System => "system relation",
            RelationKind::Index => "index",
            RelationKind::Sink => "sink",
            RelationKind::Table => "table",
        };
        Err(BindError::new(codes::WRONG_OBJECT_TYPE, format!("cannot change {what} \"{}\"", found.name)).at(place))
    }

    fn target_of(&mut self, table: &TableWithJoins) -> BindResult<(Arc<Relation>, Option<String>)> {
        match &table.relation {
            TableFactor::Table { name, alias, args: None, .. } if table.joins.is_empty() => {
                let found = self.target(name)?;
                Ok((found, alias.as_ref().map(|alias| ident_value(&alias.name))))
            }
            _ => Err(BindError::unsupported("only a table can be changed").at(place_of(table))),
        }
    }

    fn target_column(&self, table: &Relation, name: &str) -> BindResult<usize> {
        table.schema.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{}\" does not exist", table.name))
        })
    }

    fn open_target(&mut self, table: &Relation, alias: Option<String>) -> (hir::Relation, Vec<ColumnId>, Scope) {
        let (get, ids) = self.read_collection(table);
        let scope = table_scope(table, alias, &ids);
        (get, ids, scope)
    }

    /// `INSERT ... DEFAULT VALUES`.
    fn default_row(&mut self, table: &Relation) -> BindResult<Query> {
        let columns = (0..table.schema.arity()).map(|column| self.default_value(table, column).map(|value| vec![value])).collect::<BindResult<Vec<_>>>()?;
        Ok(self.rows_query(columns, 1))
    }

    /// The DEFAULT of a column, else NULL.
    fn default_value(&mut self, table: &Relation, column: usize) -> BindResult<Expression> {
        let Some(definition) = table.schema.columns.get(column) else { return Err(BindError::new(codes::UNDEFINED_COLUMN, "there is no such column")) };
        match self.names.default_of(table.id, column) {
            None => Ok(super::coerce::null_of(definition.column_type.clone())),
            Some(default) => {
                self.levels.push(Level::new(Scope::default(), Clause::Other("DEFAULT expressions")));
                let bound = self.bind_expression(&default);
                self.levels.pop();
                self.assign(bound?, definition)
            }
        }
    }

    fn insert_source(&mut self, source: &ast::Query, table: &Relation, targets: &[usize], named: bool) -> BindResult<Query> {
        let (query, filled) = match source.body.as_ref() {
            SetExpr::Values(values) if source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none() => {
                self.insert_values(values, table, targets, named)?
            }
            _ => {
                let (query, _) = self.bind_unsettled(source)?;
                let width = query.outputs.len();
                check_width(width, targets.len(), named, place_of(source))?;
                let mut scalars = Vec::new();
                let mut outputs = Vec::with_capacity(width);
                for (output, target) in query.outputs.iter().zip(targets) {
                    let Some(column) = table.schema.columns.get(*target) else { continue };
                    let value = self.assign(Expression::Column(*output), column).map_err(|error| error.at(place_of(source)))?;
                    outputs.push(self.column_of(value, &mut scalars));
                }
                (Query { relation: query.relation.map(scalars), outputs, order: Vec::new() }, width)
            }
        };
        // The other columns take their defaults.
        let mut scalars = Vec::new();
        let mut outputs = Vec::with_capacity(table.schema.arity());
        for column in 0..table.schema.arity() {
            match targets.iter().take(filled).position(|target| *target == column).and_then(|position| query.outputs.get(position)) {
                Some(id) => outputs.push(*id),
                None => {
                    let value = self.default_value(table, column)?;
                    let id = self.add_column(&value);
                    scalars.push((id, value));
                    outputs.push(id);
                }
            }
        }
        Ok(Query { relation: query.relation.map(scalars), outputs, order: Vec::new() })
    }

    /// Each value takes the type of its column; DEFAULT is allowed.
    fn insert_values(&mut self, values: &ast::Values, table: &Relation, targets: &[usize], named: bool) -> BindResult<(Query, usize)> {
        let width = values.rows.first().map_or(0, |row| row.content.len());
        check_width(width, targets.len(), named, values.rows.first().and_then(|row| row.content.first()).and_then(place_of))?;
        let mut columns: Vec<Vec<Expression>> = vec![Vec::with_capacity(values.rows.len()); width];
        self.levels.push(Level::new(Scope::default(), Clause::Values));
        let result = self.insert_rows(values, table, targets, &mut columns);
        self.levels.pop();
        result?;
        Ok((self.rows_query(columns, values.rows.len()), width))
    }

    fn insert_rows(&mut self, values: &ast::Values, table: &Relation, targets: &[usize], columns: &mut [Vec<Expression>]) -> BindResult<()> {
        for row in &values.rows {
            if row.content.len() != columns.len() {
                let place = row.content.first().and_then(place_of);
                return Err(BindError::new(codes::SYNTAX_ERROR, "VALUES lists must all be the same length").at(place));
            }
            for ((expr, target), column) in row.content.iter().zip(targets).zip(columns.iter_mut()) {
                let Some(definition) = table.schema.columns.get(*target) else { continue };
                let value = if is_default(expr) {
                    self.default_value(table, *target)?
                } else {
                    let bound = self.bind_expression(expr)?;
                    self.assign(bound, definition).map_err(|error| error.at(place_of(expr)))?
                };
                column.push(value);
            }
        }
        Ok(())
    }

    /// The columns and values of one SET entry.
    fn assignments(&mut self, assignment: &ast::Assignment, table: &Relation) -> BindResult<Vec<(usize, Expression)>> {
        let (names, values): (Vec<&ast::ObjectName>, Vec<&Expr>) = match (&assignment.target, &assignment.value) {
            (AssignmentTarget::ColumnName(name), value) => (vec![name], vec![value]),
            (AssignmentTarget::Tuple(names), Expr::Tuple(values)) if names.len() == values.len() => (names.iter().collect(), values.iter().collect()),
            (AssignmentTarget::Tuple(names), Expr::Nested(value)) if names.len() == 1 => (names.iter().collect(), vec![value]),
            (AssignmentTarget::Tuple(_), Expr::Tuple(_)) => {
                return Err(BindError::new(codes::SYNTAX_ERROR, "number of columns does not match number of values").at(place_of(assignment)));
            }
            (AssignmentTarget::Tuple(_), _) => {
                return Err(BindError::unsupported("this source for a multiple-column UPDATE item is not supported").at(place_of(assignment)));
            }
        };
        let mut bound = Vec::with_capacity(names.len());
        for (name, value) in names.into_iter().zip(values) {
            let column = self.target_column(table, &name_parts(name).pop().unwrap_or_default()).map_err(|error| error.at(place_of(name)))?;
            let Some(definition) = table.schema.columns.get(column) else { continue };
            let expression = if is_default(value) {
                self.default_value(table, column)?
            } else {
                let expression = self.in_clause(Clause::Other("UPDATE"), |binder| binder.bind_expression(value))?;
                self.assign(expression, definition).map_err(|error| error.at(place_of(value)))?
            };
            bound.push((column, expression));
        }
        Ok(bound)
    }

    fn returning(&mut self, items: Option<&[SelectItem]>, table: &Relation, alias: Option<String>) -> BindResult<Option<BoundReturning>> {
        let Some(items) = items else { return Ok(None) };
        let rows = self.fresh_local();
        let (get, ids) = super::query::read_local(self, rows, &table.schema.types());
        let scope = table_scope(table, alias, &ids);
        self.levels.push(Level::new(scope, Clause::Returning));
        let bound = self.bind_items(items);
        self.levels.pop();
        let mut scalars = Vec::new();
        let (mut outputs, mut names) = (Vec::new(), Vec::new());
        for item in bound? {
            let value = self.row_value(item.expression)?;
            let value = self.settle(value)?;
            outputs.push(self.column_of(value, &mut scalars));
            names.push(item.name);
        }
        let query = Query { relation: get.map(scalars), outputs, order: Vec::new() };
        let schema = self.schema_of(&query, &names);
        self.check_parameters()?;
        let (plan, _) = decorrelate::lower_query(&query, &mut self.columns, self.next_local)?;
        Ok(Some(BoundReturning { rows, plan, schema }))
    }
}

fn table_scope(table: &Relation, alias: Option<String>, ids: &[ColumnId]) -> Scope {
    let columns = table.schema.columns.iter().map(|column| column.name.clone()).zip(ids.iter().copied()).collect();
    let schema = if alias.is_some() { None } else { Some(table.schema_name.clone()) };
    Scope::of_table(ScopeTable { name: alias.unwrap_or_else(|| table.name.clone()), schema, columns, keys: Vec::new(), scalar_function: false })
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

fn check_width(given: usize, targets: usize, named: bool, place: Option<crate::Place>) -> BindResult<()> {
    if given > targets {
        return Err(BindError::new(codes::SYNTAX_ERROR, "INSERT has more expressions than target columns").at(place));
    }
    if given < targets && named {
        return Err(BindError::new(codes::SYNTAX_ERROR, "INSERT has more target columns than expressions").at(place));
    }
    Ok(())
}

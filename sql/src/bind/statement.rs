//! What the server asks of the binder, statement by statement.

use super::{Binder, Clause, Level, place_of, place_of_ident};
use crate::decorrelate;
use crate::error::{BindError, BindResult, codes};
use crate::hir;
use crate::names::{Mode, Names, Parameters, SessionContext};
use crate::parse::ast::{self, Expr};
use crate::parse::{self, QueryBody, ident_value};
use plan::{ColumnOrder, Plan, Scalar};
use repr::{CollectionId, Column, ColumnType, Schema, SqlState, Type};

/// A query, bound and without correlation. [`crate::optimize()`] makes it fast.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// Yields the columns of `schema`, then hidden ones that only `order` names.
    pub plan: Plan,
    /// Names and types of the columns shown.
    pub schema: Schema,
    /// How the result is sorted for presentation. LIMIT and OFFSET are in the plan. Empty in maintained mode.
    pub order: Vec<ColumnOrder>,
    /// The relations whose names were read, plain views and what they read included; sorted.
    pub depends_on: Vec<CollectionId>,
    raw: hir::Query,
}

impl BoundQuery {
    /// The plan without hidden columns: what a view keeps.
    pub fn into_plan(self) -> Plan {
        let shown = self.schema.arity();
        if self.plan.arity() == shown { self.plan } else { self.plan.project((0..shown).collect()) }
    }
    /// The query as bound, before decorrelation, for `EXPLAIN RAW PLAN`.
    pub fn raw_text(&self) -> String {
        format!("{:#?}", self.raw)
    }
}

/// A column definition: its type, and its default as written (checked to bind).
#[derive(Clone, Debug)]
pub struct TableColumn {
    pub column: Column,
    pub default: Option<Expr>,
}

/// The columns and key of a table to be created.
#[derive(Clone, Debug)]
pub struct BoundTable {
    pub columns: Vec<TableColumn>,
    pub schema: Schema,
}

/// Binds a query. `parameters` knows all types afterwards.
pub fn bind_query(query: &ast::Query, names: &dyn Names, session: &SessionContext, parameters: &mut Parameters, mode: Mode) -> BindResult<BoundQuery> {
    bind_body(&QueryBody { mutually_recursive: Vec::new(), query: query.clone() }, names, session, parameters, mode)
}

/// Binds a query that may begin with `WITH MUTUALLY RECURSIVE`.
pub fn bind_body(body: &QueryBody, names: &dyn Names, session: &SessionContext, parameters: &mut Parameters, mode: Mode) -> BindResult<BoundQuery> {
    let mut binder = Binder::new(names, session, parameters, mode);
    let (mut query, column_names) = binder.bind_body_node(body)?;
    if mode == Mode::Maintained {
        query.order.clear();
    }
    if mode == Mode::OneShot {
        query = binder.show_names(query)?;
    }
    let schema = binder.schema_of(&query, &column_names);
    binder.finish(query, schema)
}

impl Binder<'_> {
    pub(crate) fn check_parameters(&self) -> BindResult<()> {
        match self.parameters.types().iter().position(Option::is_none) {
            None => Ok(()),
            Some(index) => Err(BindError::new(codes::INDETERMINATE_DATATYPE, format!("could not determine data type of parameter ${}", index + 1))),
        }
    }

    pub(crate) fn finish(mut self, query: hir::Query, mut schema: Schema) -> BindResult<BoundQuery> {
        self.check_parameters()?;
        let (plan, columns) = decorrelate::lower_query(&query, &mut self.columns, self.next_local)?;
        for (column, planned) in schema.columns.iter_mut().zip(plan.column_types()) {
            column.column_type.nullable = planned.nullable;
        }
        let order = query
            .order
            .iter()
            .filter_map(|(id, direction)| columns.iter().position(|column| column == id).map(|column| ColumnOrder { column, direction: *direction }))
            .collect();
        Ok(BoundQuery { plan, schema, order, depends_on: self.depends_on.into_iter().collect(), raw: query })
    }

    /// `reg*` values are shown as the names they stand for.
    fn show_names(&mut self, query: hir::Query) -> BindResult<hir::Query> {
        let named = |scalar: &Type| matches!(scalar, Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace);
        let types: Vec<ColumnType> = query.outputs.iter().map(|id| self.columns.column_type(*id).clone()).collect();
        if !types.iter().any(|column_type| named(&column_type.scalar)) {
            return Ok(query);
        }
        let shown: Vec<ColumnType> = types.into_iter().map(|found| if named(&found.scalar) { ColumnType::new(Type::Text) } else { found }).collect();
        self.convert_outputs(query, &shown, plan::CastKind::Explicit)
    }

    /// Lowers an expression that stands alone or over the columns of one relation, and has no subqueries.
    fn lower_alone(&mut self, expression: hir::Expression, over: hir::Relation) -> BindResult<Scalar> {
        let (plan, _, mut scalars) = decorrelate::lower_expressions(&over, &[expression], &mut self.columns, self.next_local)?;
        let plain = matches!(plan, Plan::Constant { .. } | Plan::Get { .. });
        match scalars.pop() {
            Some(scalar) if plain => Ok(scalar),
            _ => Err(BindError::unsupported("cannot use subquery here")),
        }
    }
}

/// Binds an expression without columns: AS OF, EXECUTE arguments, DEFAULT. `what` is the place as messages say it (`DEFAULT expressions`).
pub fn bind_scalar(
    expr: &Expr,
    target: Option<&ColumnType>,
    names: &dyn Names,
    session: &SessionContext,
    parameters: &mut Parameters,
    what: &'static str,
) -> BindResult<Scalar> {
    let mut binder = Binder::new(names, session, parameters, Mode::OneShot);
    binder.levels.push(Level::new(Default::default(), Clause::Other(what)));
    let bound = binder.bind_expression(expr)?;
    let bound = binder.row_value(bound)?;
    let bound = match target {
        Some(target) => {
            let column = Column { name: what.to_string(), column_type: target.clone() };
            binder.assign(bound, &column).map_err(|error| error.at(place_of(expr)))?
        }
        None => binder.settle(bound)?,
    };
    if bound.has_subquery() {
        return Err(BindError::unsupported(format!("cannot use subquery in {what}")).at(place_of(expr)));
    }
    binder.check_parameters()?;
    binder.lower_alone(bound, hir::Relation::unit())
}

/// Binds the text of a query, as the catalog keeps it for views. Positions in errors are in that text.
pub fn bind_standalone(query_sql: &str, names: &dyn Names, session: &SessionContext, mode: Mode) -> BindResult<BoundQuery> {
    let parsed = parse::parse(query_sql).map_err(from_parse)?;
    match parsed.into_iter().next().map(|parsed| parsed.statement) {
        Some(parse::Statement::Select(select)) => bind_body(&select.body, names, session, &mut Parameters::default(), mode),
        _ => Err(BindError::new(codes::SYNTAX_ERROR, "the text is not a query")),
    }
}

fn from_parse(error: parse::ParseError) -> BindError {
    let mut code = [b'0'; 5];
    for (slot, byte) in code.iter_mut().zip(error.sqlstate.bytes()) {
        *slot = byte;
    }
    let bound = BindError::new(SqlState(code), error.message);
    match error.hint {
        Some(hint) => bound.with_hint(hint),
        None => bound,
    }
}

/// Binds the keys of an index, given as text as the catalog keeps them, over a relation's columns.
pub fn bind_index_keys(keys_sql: &[String], relation_name: &str, schema: &Schema, names: &dyn Names, session: &SessionContext) -> BindResult<Vec<Scalar>> {
    let keys = keys_sql.iter().map(|key| parse::parse_expression(key).map_err(from_parse)).collect::<BindResult<Vec<Expr>>>()?;
    bind_index_expressions(&keys, relation_name, schema, names, session)
}

/// Binds the keys of an index over a relation's columns.
pub fn bind_index_expressions(keys: &[Expr], relation_name: &str, schema: &Schema, names: &dyn Names, session: &SessionContext) -> BindResult<Vec<Scalar>> {
    let mut parameters = Parameters::default();
    let mut binder = Binder::new(names, session, &mut parameters, Mode::Maintained);
    let types = schema.types();
    let ids: Vec<hir::ColumnId> = types.iter().map(|column_type| binder.columns.add(column_type.clone())).collect();
    let columns = schema.columns.iter().map(|column| column.name.clone()).zip(ids.iter().copied()).collect();
    let get = hir::Relation::Get { id: plan::Id::Global(CollectionId::CATALOG), columns: ids, types };
    let table = super::scope::ScopeTable { name: relation_name.to_string(), schema: None, columns, keys: Vec::new(), scalar_function: false };
    binder.levels.push(Level::new(super::scope::Scope::of_table(table), Clause::Other("index expressions")));
    let mut scalars = Vec::with_capacity(keys.len());
    for key in keys {
        let bound = binder.bind_expression(key)?;
        let bound = binder.settle(bound)?;
        if bound.has_subquery() {
            return Err(BindError::unsupported("cannot use subquery in index expression").at(place_of(key)));
        }
        scalars.push(binder.lower_alone(bound, get.clone())?);
    }
    Ok(scalars)
}

/// Binds the column definitions of a table or source.
pub fn bind_columns(list: &parse::ColumnList, names: &dyn Names, session: &SessionContext) -> BindResult<BoundTable> {
    if list.primary_key_repeated {
        return Err(BindError::new(codes::INVALID_TABLE_DEFINITION, "multiple primary keys are not allowed"));
    }
    if let Some(constraint) = list.unsupported.first() {
        return Err(BindError::unsupported(format!("constraint {constraint} is not supported"))
            .with_hint("Conditions on data are checked where it is written: in the database upstream."));
    }
    let mut columns: Vec<TableColumn> = Vec::with_capacity(list.columns.len());
    for definition in &list.columns {
        let name = ident_value(&definition.name);
        let place = place_of_ident(&definition.name);
        if columns.iter().any(|other| other.column.name == name) {
            return Err(BindError::new(codes::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")).at(place));
        }
        let mut parameters = Parameters::default();
        let column_type = Binder::new(names, session, &mut parameters, Mode::OneShot).bind_type(&definition.data_type).map_err(|error| error.at(place))?;
        if matches!(column_type.scalar, Type::Unknown | Type::Void | Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray | Type::Record(_)) {
            let message = format!("column \"{name}\" has pseudo-type {}", column_type.scalar.sql_name(-1));
            return Err(BindError::new(codes::INVALID_TABLE_DEFINITION, message).at(place));
        }
        let column = Column { name, column_type: column_type.nullable(!definition.not_null) };
        if let Some(default) = &definition.default {
            bind_scalar(default, Some(&column.column_type), names, session, &mut parameters, "DEFAULT expressions").map_err(|error| {
                if error.sqlstate() != SqlState::DATATYPE_MISMATCH {
                    return error;
                }
                error.at(place_of(default))
            })?;
        }
        columns.push(TableColumn { column, default: definition.default.clone() });
    }
    let mut key = Vec::new();
    for ident in &list.primary_key {
        let name = ident_value(ident);
        let Some(position) = columns.iter().position(|column| column.column.name == name) else {
            return Err(BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist")).at(place_of_ident(ident)));
        };
        if key.contains(&position) {
            let message = format!("column \"{name}\" appears twice in primary key constraint");
            return Err(BindError::new(codes::DUPLICATE_COLUMN, message).at(place_of_ident(ident)));
        }
        key.push(position);
        if let Some(column) = columns.get_mut(position) {
            column.column.column_type.nullable = false;
        }
    }
    let mut schema = Schema { columns: columns.iter().map(|column| column.column.clone()).collect(), keys: Vec::new() };
    if !key.is_empty() {
        schema.keys.push(key);
    }
    Ok(BoundTable { columns, schema })
}

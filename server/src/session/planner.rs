//! Statements to plans: the session's side of the binder.
//!
//! A [`QueryPlan`] is made for one version of the catalog and one epoch of the settings, and serves any number of runs: what depends on the run itself
//! (parameters, the time) is bound or compiled when it runs.

use crate::Error;
use crate::execution::ResultColumn;
use crate::session::MutexExt;
use crate::system::CatalogNames;
use catalog::Catalog;
use dataflow::Published;
use plan::evaluate::PreparedPlan;
use plan::functions::Volatility;
use plan::{Access, ColumnOrder, Context, Id, Plan, Scalar};
use repr::{CollectionId, EvalError, Row, Schema, Type};
use sql::parse::ast;
use sql::parse::{QueryBody, Statement};
use sql::{BindError, IndexInfo, Mode, Names, Parameters, SessionContext};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The server's words for an error of the binder, without a place in a text.
pub fn bind_error(error: BindError) -> Error {
    let mut converted = Error::new(error.sqlstate().as_str(), error.message());
    if let Some(detail) = error.detail() {
        converted = converted.with_detail(detail);
    }
    if let Some(hint) = error.hint() {
        converted = converted.with_hint(hint);
    }
    converted
}

/// As [`bind_error`], with the place in `text`, which is the text that was parsed.
pub fn bind_error_in(error: BindError, text: &str) -> Error {
    let position = error.position(text);
    bind_error(error).with_position(position)
}

/// What planning may look at.
pub struct Planner<'a> {
    pub catalog: Arc<Catalog>,
    pub names: CatalogNames,
    pub context: SessionContext,
    /// Indexes that have not caught up are not chosen. `None`: no index is.
    pub published: Option<&'a Published>,
    /// The whole query string, for the places of errors.
    pub text: &'a str,
}

/// A plan compiled once. Taken out while it runs: a second run at the same time compiles its own.
#[derive(Default)]
struct Compiled(Mutex<Option<PreparedPlan>>);

/// A read, planned.
pub struct QueryPlan {
    pub columns: Arc<Vec<ResultColumn>>,
    /// How many of the plan's columns are shown; the others only sort.
    pub shown: usize,
    /// Optimized, every collection scanned.
    pub scanning: Plan,
    /// With the indexes chosen.
    pub plan: Plan,
    pub order: Vec<ColumnOrder>,
    pub depends_on: Vec<CollectionId>,
    /// The maintained relations `plan` reads, and the indexes it reads them through.
    pub reads: Vec<CollectionId>,
    /// The built-in relations it reads.
    pub system: Vec<CollectionId>,
    /// It reads keys only: no thread is worth it.
    pub is_point: bool,
    /// An index that would have been used had not caught up: plan again next time.
    pub is_provisional: bool,
    /// Nothing in it depends on the moment of the run, so it is compiled once.
    is_reusable: bool,
    compiled: Compiled,
}

/// Rows of a table to write, planned.
pub struct ChangePlan {
    pub kind: ChangeKind,
    pub table: CollectionId,
    pub table_name: String,
    pub schema: Schema,
    /// New rows; old and new rows side by side; old rows.
    pub query: Arc<QueryPlan>,
    pub returning: Option<Returning>,
    pub skip_conflicts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Insert,
    Update,
    Delete,
}

pub struct Returning {
    pub rows: plan::LocalId,
    pub plan: Plan,
    pub columns: Arc<Vec<ResultColumn>>,
}

/// A statement, planned as far as it can be before it runs.
pub struct PlannedStatement {
    pub parameters: Vec<Type>,
    /// `None`: no rows.
    pub columns: Option<Arc<Vec<ResultColumn>>>,
    pub body: Body,
    /// The arguments of the `set_config` calls it makes.
    pub settings: Vec<Vec<ast::Expr>>,
}

pub enum Body {
    Query(Arc<QueryPlan>),
    Change(Arc<ChangePlan>),
    /// Everything is decided when it runs.
    Other,
}

impl PlannedStatement {
    pub fn is_provisional(&self) -> bool {
        match &self.body {
            Body::Query(query) => query.is_provisional,
            Body::Change(change) => change.query.is_provisional,
            Body::Other => false,
        }
    }
}

pub fn result_columns(schema: &Schema) -> Arc<Vec<ResultColumn>> {
    let column = |column: &repr::Column| ResultColumn { name: column.name.clone(), column_type: column.column_type.clone(), table_oid: 0, column_number: 0 };
    Arc::new(schema.columns.iter().map(column).collect())
}

impl Planner<'_> {
    pub fn error(&self, error: BindError) -> Error {
        bind_error_in(error, self.text)
    }

    pub fn query(&self, body: &QueryBody, parameters: &mut Parameters) -> Result<QueryPlan, Error> {
        let bound = sql::bind_body(body, &self.names, &self.context, parameters, Mode::OneShot).map_err(|error| self.error(error))?;
        let shown = bound.schema.arity();
        Ok(self.read_plan(bound.plan, result_columns(&bound.schema), shown, bound.order, bound.depends_on))
    }

    /// Optimizes a bound plan and chooses its indexes.
    pub fn read_plan(&self, plan: Plan, columns: Arc<Vec<ResultColumn>>, shown: usize, order: Vec<ColumnOrder>, depends_on: Vec<CollectionId>) -> QueryPlan {
        let scanning = sql::optimize(plan, &self.names, Mode::OneShot);
        let skipped = std::cell::Cell::new(false);
        let indexes = |id: CollectionId| -> Vec<IndexInfo> {
            let Some(published) = self.published else { return Vec::new() };
            let mut indexes = self.names.indexes_of(id);
            indexes.retain(|index| {
                let ready = published.get(index.id).is_some_and(|relation| relation.is_hydrated());
                if !ready {
                    skipped.set(true);
                }
                ready
            });
            indexes
        };
        let plan = sql::choose_access(scanning.clone(), &indexes);
        let mut reads = BTreeSet::new();
        let mut system = BTreeSet::new();
        let mut is_point = true;
        plan.for_each_node(&mut |node| match node {
            Plan::Get { id: Id::Global(id), .. } if id.is_system() => {
                system.insert(*id);
                is_point = false;
            }
            Plan::Get { id: Id::Global(id), access, .. } => {
                reads.insert(*id);
                match access {
                    Access::Scan => is_point = false,
                    Access::Lookup { index, .. } => {
                        reads.insert(*index);
                    }
                    Access::Range { index, .. } => {
                        reads.insert(*index);
                        is_point = false;
                    }
                }
            }
            Plan::FlatMap { .. } | Plan::LetRec { .. } => is_point = false,
            _ => {}
        });
        QueryPlan {
            columns,
            shown,
            is_reusable: !depends_on_moment(&plan),
            scanning,
            plan,
            order,
            depends_on,
            reads: reads.into_iter().collect(),
            system: system.into_iter().collect(),
            is_point,
            is_provisional: skipped.get(),
            compiled: Compiled::default(),
        }
    }

    /// INSERT, UPDATE or DELETE.
    pub fn change(&self, statement: &Statement, parameters: &mut Parameters) -> Result<ChangePlan, Error> {
        let (names, context) = (&self.names, &self.context);
        let mut skip_conflicts = false;
        let bound = match statement {
            Statement::Insert(insert) => {
                // DO NOTHING is the writer's: it knows which keys are taken.
                let mut insert = insert.clone();
                if matches!(&insert.on, Some(ast::OnInsert::OnConflict(conflict)) if matches!(conflict.action, ast::OnConflictAction::DoNothing)) {
                    insert.on = None;
                    skip_conflicts = true;
                }
                sql::bind_insert(&insert, names, context, parameters).map(|bound| (ChangeKind::Insert, bound.table, bound.plan, bound.returning, bound.depends_on))
            }
            Statement::Update(update) => {
                sql::bind_update(update, names, context, parameters).map(|bound| (ChangeKind::Update, bound.table, bound.plan, bound.returning, bound.depends_on))
            }
            Statement::Delete(delete) => {
                sql::bind_delete(delete, names, context, parameters).map(|bound| (ChangeKind::Delete, bound.table, bound.plan, bound.returning, bound.depends_on))
            }
            _ => return Err(Error::internal("not a statement that changes rows")),
        };
        let (kind, table, plan, returning, depends_on) = bound.map_err(|error| self.error(error))?;
        let entry = self.catalog.get(table).ok_or_else(|| Error::internal("the table to change is not in the catalog"))?;
        let schema = entry.definition.schema().cloned().unwrap_or_default();
        let returning = returning.map(|returning| Returning { rows: returning.rows, plan: returning.plan, columns: result_columns(&returning.schema) });
        let arity = plan.arity();
        let query = Arc::new(self.read_plan(plan, Arc::default(), arity, Vec::new(), depends_on));
        Ok(ChangePlan { kind, table, table_name: entry.name.clone(), schema, query, returning, skip_conflicts })
    }

    /// An expression without columns and parameters, computed.
    pub fn constant(&self, expr: &ast::Expr, target: Option<&repr::ColumnType>, what: &'static str) -> Result<(Row, Type), Error> {
        let scalar = sql::bind_scalar(expr, target, &self.names, &self.context, &mut Parameters::default(), what).map_err(|error| self.error(error))?;
        let scalar_type = scalar.column_type(&[]).scalar;
        let context = Context { text: self.context.text.clone(), now: self.context.now, ..Context::default() };
        Ok((plan::vector::evaluate_constant(&scalar, &context)?, scalar_type))
    }
}

impl QueryPlan {
    /// Takes the compiled plan, or compiles one. Give it back with [`QueryPlan::put_back`].
    pub fn compile(&self, context: &Context, parameters: &Row) -> Result<PreparedPlan, EvalError> {
        let kept = if self.is_reusable { self.compiled.0.lock_anyway().take() } else { None };
        let mut compiled = match kept {
            Some(mut compiled) => {
                compiled.set_limits(context.memory_bytes_max, context.cancelled.clone());
                compiled
            }
            None => PreparedPlan::new(&self.plan, context),
        };
        compiled.bind(parameters)?;
        Ok(compiled)
    }

    pub fn put_back(&self, compiled: PreparedPlan) {
        if self.is_reusable {
            *self.compiled.0.lock_anyway() = Some(compiled);
        }
    }
}

/// Whether a run at another time, or another timestamp, may give another result over the same rows.
fn depends_on_moment(plan: &Plan) -> bool {
    let mut found = false;
    plan.for_each_node(&mut |node| node.for_each_scalar(&mut |scalar| found = found || scalar_depends_on_moment(scalar)));
    found
}

fn scalar_depends_on_moment(scalar: &Scalar) -> bool {
    if scalar.volatility() != Volatility::Immutable || scalar.has_logical_timestamp() {
        return true;
    }
    // The text of a time may be `now`.
    if let Scalar::Cast { column_type, .. } = scalar
        && matches!(column_type.scalar, Type::Date | Type::Time | Type::Timestamp | Type::TimestampTz)
    {
        return true;
    }
    let mut found = false;
    scalar.for_each_child(&mut |child| found = found || scalar_depends_on_moment(child));
    found
}

/// Puts the values of parameters into a plan that is kept up to date.
pub fn substitute_parameters(plan: &mut Plan, parameters: &Row) {
    fn substitute(scalar: &mut Scalar, parameters: &Row) {
        if let Scalar::Parameter(index, column_type) = scalar {
            let value = Row::pack([parameters.get(*index).unwrap_or(repr::Datum::Null)]);
            *scalar = Scalar::Literal(value, column_type.clone());
        } else {
            scalar.for_each_child_mut(&mut |child| substitute(child, parameters));
        }
    }
    plan.for_each_node_mut(&mut |node| node.for_each_scalar_mut(&mut |scalar| substitute(scalar, parameters)));
}

/// The calls of `set_config` in the select list of a query without FROM, which the session answers by doing it: name, value, whether local.
pub fn set_config_calls(query: &mut ast::Query, apply: &mut dyn FnMut(&[ast::Expr]) -> Result<ast::Expr, Error>) -> Result<bool, Error> {
    let ast::SetExpr::Select(select) = query.body.as_mut() else { return Ok(false) };
    if !select.from.is_empty() {
        return Ok(false);
    }
    let mut found = false;
    for item in &mut select.projection {
        let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let ast::Expr::Function(function) = expr else { continue };
        let name = function.name.0.last().and_then(|part| part.as_ident());
        if !name.is_some_and(|name| name.value.eq_ignore_ascii_case("set_config")) {
            continue;
        }
        let ast::FunctionArguments::List(list) = &function.args else { continue };
        let arguments: Vec<ast::Expr> = list
            .args
            .iter()
            .filter_map(|argument| match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect();
        let value = apply(&arguments)?;
        found = true;
        if let ast::SelectItem::UnnamedExpr(_) = item {
            *item = ast::SelectItem::ExprWithAlias { expr: value, alias: ast::Ident::new("set_config") };
        } else if let ast::SelectItem::ExprWithAlias { expr, .. } = item {
            *expr = value;
        }
    }
    Ok(found)
}

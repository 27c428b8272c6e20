//! Names and types: from the syntax tree to [`hir`](crate::hir).
//!
//! Promises: a name means what it means in Postgres, an operator or function is the one Postgres would choose, and every literal has a type when a
//! query is bound. Leaves to others: subqueries stay inside expressions ([`decorrelate`](crate::decorrelate) takes them out), and nothing is made
//! faster here.

pub mod catalog_functions;
mod aggregate;
mod call;
mod coerce;
pub mod dml;
mod expression;
mod from;
mod literal;
mod operator;
mod query;
mod resolve;
mod scope;
mod select;
pub mod statement;
mod subquery;
mod types;
mod window;

use crate::DEPTH_MAX;
use crate::error::{BindError, BindResult, Place};
use crate::hir::{Aggregate, ColumnId, Columns, Expression, WindowExpression};
use crate::names::{Mode, Names, Parameters, SessionContext};
use crate::parse::ast::{self, ObjectName, Spanned};
use crate::parse::ident_value;
use plan::{LocalId, TableFunction};
use repr::{CollectionId, ColumnType};
use scope::{Scope, ScopeTable};
use std::collections::{BTreeSet, HashMap};

/// The part of a query an expression stands in: some things are not allowed everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    Select,
    OrderBy,
    DistinctOn,
    Where,
    JoinOn,
    GroupBy,
    Having,
    From,
    Values,
    Limit,
    Returning,
    /// DEFAULT, index keys, AS OF and the like, with the words Postgres' messages have for the place.
    Other(&'static str),
}

impl Clause {
    fn words(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Where => "WHERE",
            Clause::JoinOn => "JOIN conditions",
            Clause::GroupBy => "GROUP BY",
            Clause::Having => "HAVING",
            Clause::From => "functions in FROM",
            Clause::Values => "VALUES",
            Clause::Limit => "LIMIT",
            Clause::Returning => "RETURNING",
            Clause::Other(words) => words,
        }
    }
    fn allows_aggregates(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::DistinctOn | Clause::Having)
    }
    fn allows_windows(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::DistinctOn)
    }
    fn allows_sets(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::DistinctOn)
    }
}

/// One level of query nesting: what its names mean, and what its expressions gathered.
pub(crate) struct Level {
    pub scope: Scope,
    pub clause: Clause,
    /// A FROM item that is not LATERAL is being bound: the scope is known, for hints, and not visible.
    pub hidden: bool,
    /// Tables left of a RIGHT or FULL JOIN whose right side is being bound: known, for hints, and out of reach of LATERAL.
    pub unreachable: Vec<ScopeTable>,
    /// Inside an aggregate's arguments.
    pub in_aggregate: bool,
    /// Inside a window function's arguments.
    pub in_window: bool,
    pub aggregates: Vec<(ColumnId, Aggregate)>,
    pub windows: Vec<(ColumnId, WindowExpression)>,
    pub sets: Vec<SetCall>,
    pub named_windows: Vec<(String, ast::WindowSpec)>,
}

/// A set-returning function in a select list.
pub(crate) struct SetCall {
    pub function: TableFunction,
    pub arguments: Vec<Expression>,
    pub columns: Vec<ColumnId>,
}

impl Level {
    pub fn new(scope: Scope, clause: Clause) -> Level {
        Level {
            scope,
            clause,
            hidden: false,
            unreachable: Vec::new(),
            in_aggregate: false,
            in_window: false,
            aggregates: Vec::new(),
            windows: Vec::new(),
            sets: Vec::new(),
            named_windows: Vec::new(),
        }
    }
}

/// A WITH item that is visible.
#[derive(Clone)]
pub(crate) struct CommonTable {
    pub name: String,
    pub id: LocalId,
    pub columns: Vec<(String, ColumnType)>,
}

/// Binds one statement.
pub(crate) struct Binder<'a> {
    pub names: &'a dyn Names,
    pub session: &'a SessionContext,
    pub parameters: &'a mut Parameters,
    pub mode: Mode,
    pub search_path: Vec<String>,
    pub columns: Columns,
    /// `table.column` of each column read from FROM, for messages.
    pub column_names: HashMap<ColumnId, String>,
    /// Where a column was first mentioned outside of an aggregate's arguments.
    pub mentioned: HashMap<ColumnId, Place>,
    pub levels: Vec<Level>,
    pub common_tables: Vec<CommonTable>,
    /// The views being inlined, outermost first.
    pub open_views: Vec<CollectionId>,
    pub depends_on: BTreeSet<CollectionId>,
    /// Output columns that are literals or parameters of unknown type still: whoever reads them may decide.
    pub undecided: HashMap<ColumnId, Expression>,
    /// Where literals of unknown type stand, by their text, for errors found when their type is decided.
    pub literal_places: HashMap<String, Place>,
    pub next_local: u32,
    pub depth: usize,
}

impl<'a> Binder<'a> {
    pub fn new(names: &'a dyn Names, session: &'a SessionContext, parameters: &'a mut Parameters, mode: Mode) -> Binder<'a> {
        Binder {
            names,
            session,
            parameters,
            mode,
            search_path: session.search_path.clone(),
            columns: Columns::default(),
            column_names: HashMap::new(),
            mentioned: HashMap::new(),
            levels: Vec::new(),
            common_tables: Vec::new(),
            open_views: Vec::new(),
            depends_on: BTreeSet::new(),
            undecided: HashMap::new(),
            literal_places: HashMap::new(),
            next_local: 0,
            depth: 0,
        }
    }

    pub fn fresh_local(&mut self) -> LocalId {
        self.next_local += 1;
        LocalId(self.next_local - 1)
    }

    /// Runs `bind` one level deeper, or refuses.
    pub fn deeper<T>(&mut self, bind: impl FnOnce(&mut Binder<'a>) -> BindResult<T>) -> BindResult<T> {
        if self.depth >= DEPTH_MAX {
            return Err(BindError::too_deep());
        }
        self.depth += 1;
        let result = bind(self);
        self.depth -= 1;
        result
    }

    /// The innermost query level; there is always one while an expression is bound.
    pub fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::new(Scope::default(), Clause::Other("this context")));
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Runs `bind` with another clause set.
    pub fn in_clause<T>(&mut self, clause: Clause, bind: impl FnOnce(&mut Binder<'a>) -> BindResult<T>) -> BindResult<T> {
        let before = std::mem::replace(&mut self.level().clause, clause);
        let result = bind(self);
        self.level().clause = before;
        result
    }

    pub fn add_column(&mut self, expression: &Expression) -> ColumnId {
        let column_type = expression.column_type(&self.columns);
        self.columns.add(column_type)
    }

    /// A column that holds an expression: the expression's own if it is one, else a new one that is added to `scalars`.
    pub fn column_of(&mut self, expression: Expression, scalars: &mut Vec<(ColumnId, Expression)>) -> ColumnId {
        if let Expression::Column(id) = expression {
            return id;
        }
        if let Some((id, _)) = scalars.iter().find(|(_, known)| *known == expression) {
            return *id;
        }
        let id = self.add_column(&expression);
        scalars.push((id, expression));
        id
    }
}

/// The folded parts of a dotted name.
pub(crate) fn name_parts(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => ident_value(ident),
            None => part.to_string().to_ascii_lowercase(),
        })
        .collect()
}

pub(crate) fn place_of(node: &impl Spanned) -> Option<Place> {
    let start = node.span().start;
    (start.line > 0).then_some(Place { line: start.line, column: start.column, after: false })
}

/// The place of what follows a node: of an operator after its left operand.
pub(crate) fn place_after(node: &impl Spanned) -> Option<Place> {
    let end = node.span().end;
    (end.line > 0).then_some(Place { line: end.line, column: end.column, after: true })
}

pub(crate) fn place_of_ident(ident: &ast::Ident) -> Option<Place> {
    (ident.span.start.line > 0).then_some(Place { line: ident.span.start.line, column: ident.span.start.column, after: false })
}

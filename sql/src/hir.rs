//! The bound query: names and types are decided, subqueries still stand inside expressions and may refer outwards.
//!
//! Every column of every node has an id that is unique in the statement ([`ColumnId`]), so an outer reference is nothing but an id that the
//! relation does not yield itself, and no node renumbers another's columns. What a column's type is, is said by [`Columns`].
//!
//! Invariant: a relation read twice is two `Get`s with different column ids.

use plan::{CastKind, Function, FrameExclusion, FrameUnits, Id, LocalId, TableFunction};
use repr::{ColumnType, EvalError, Row, SortDirection};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u32);

/// The types of all columns of a statement, by id.
#[derive(Clone, Debug, Default)]
pub struct Columns(Vec<ColumnType>);

impl Columns {
    pub fn add(&mut self, column_type: ColumnType) -> ColumnId {
        self.0.push(column_type);
        ColumnId(self.0.len() as u32 - 1)
    }
    /// Columns are only made by [`Columns::add`], so every id has a type.
    pub fn column_type(&self, id: ColumnId) -> &ColumnType {
        &self.0[id.0 as usize]
    }
    pub fn set_nullable(&mut self, id: ColumnId) {
        self.0[id.0 as usize].nullable = true;
    }
}

/// A query's rows, the columns it shows in which order, and how they are sorted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    pub relation: Relation,
    pub outputs: Vec<ColumnId>,
    /// May name columns that are not shown.
    pub order: Vec<(ColumnId, SortDirection)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetKind {
    Union,
    Intersect,
    Except,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    Constant { rows: Vec<Row>, columns: Vec<ColumnId>, types: Vec<ColumnType> },
    Get { id: Id, columns: Vec<ColumnId>, types: Vec<ColumnType> },
    Map { input: Box<Relation>, scalars: Vec<(ColumnId, Expression)> },
    Filter { input: Box<Relation>, predicates: Vec<Expression> },
    /// A lateral join with a table function.
    FlatMap { input: Box<Relation>, function: TableFunction, arguments: Vec<Expression>, columns: Vec<ColumnId> },
    /// The right side may refer to the left's columns (LATERAL), if the join is inner or left.
    Join { left: Box<Relation>, right: Box<Relation>, kind: JoinKind, on: Vec<Expression> },
    /// Yields its keys and aggregates only. Without keys: exactly one row.
    Reduce { input: Box<Relation>, keys: Vec<(ColumnId, Expression)>, aggregates: Vec<(ColumnId, Aggregate)> },
    /// Yields these columns only, each combination once.
    Distinct { input: Box<Relation>, columns: Vec<ColumnId> },
    TopK { input: Box<Relation>, group: Vec<ColumnId>, order: Vec<(ColumnId, SortDirection)>, limit: Option<Box<Expression>>, offset: Option<Box<Expression>>, with_ties: bool },
    Window { input: Box<Relation>, expressions: Vec<(ColumnId, WindowExpression)> },
    SetOperation { kind: SetKind, all: bool, left: Box<Query>, right: Box<Query>, columns: Vec<ColumnId> },
    /// More than two rows of values: a union of many branches without the depth.
    Union { inputs: Vec<Query>, columns: Vec<ColumnId> },
    Let { id: LocalId, value: Box<Query>, body: Box<Relation> },
    LetRec { bindings: Vec<(LocalId, Query, Vec<ColumnType>)>, limit: Option<u64>, body: Box<Relation> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    pub function: plan::AggregateFunction,
    pub arguments: Vec<Expression>,
    pub distinct: bool,
    pub filter: Option<Expression>,
    pub order: Vec<(Expression, SortDirection)>,
    pub column_type: ColumnType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowExpression {
    pub function: WindowFunction,
    pub arguments: Vec<Expression>,
    pub filter: Option<Expression>,
    pub partition: Vec<Expression>,
    pub order: Vec<(Expression, SortDirection)>,
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
    pub ignore_nulls: bool,
    pub column_type: ColumnType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WindowFunction {
    /// One of the window functions proper.
    Named(plan::WindowFunction),
    Aggregate(Box<Aggregate>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Expression),
    CurrentRow,
    Following(Expression),
    UnboundedFollowing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    Column(ColumnId),
    Literal(Row, ColumnType),
    Error(EvalError, ColumnType),
    Parameter(usize, ColumnType),
    Call { function: Function, arguments: Vec<Expression>, column_type: ColumnType },
    Cast { input: Box<Expression>, kind: CastKind, column_type: ColumnType },
    And(Vec<Expression>),
    Or(Vec<Expression>),
    If { condition: Box<Expression>, then: Box<Expression>, otherwise: Box<Expression> },
    Coalesce(Vec<Expression>),
    InList { value: Box<Expression>, list: Arc<Vec<Row>>, has_null: bool },
    Quantified { function: Function, left: Box<Expression>, array: Box<Expression>, all: bool },
    LogicalTimestamp,
    IsNull(Box<Expression>),
    Not(Box<Expression>),
    /// Whether the relation has a row.
    Exists(Box<Relation>),
    /// The only value of a one-column query; NULL if it has no row; an error if it has more than one.
    Scalar(Box<Query>),
    /// Three-valued: true if the condition is true for any row of the query, else NULL if it is NULL for any, else false. The condition speaks of the
    /// columns of `left` (computed once per outer row) and of the query's outputs.
    Any { left: Vec<(ColumnId, Expression)>, condition: Box<Expression>, query: Box<Query> },
    /// The values of a one-column query, in its order. The type is the array's.
    Array(Box<Query>, ColumnType),
    /// `ROW(a, b)`: only as an operand of comparisons, `IN`, `IS NULL` and whole-row references.
    Row(Vec<Expression>),
}

impl Relation {
    /// One row without columns.
    pub fn unit() -> Relation {
        Relation::Constant { rows: vec![Row::empty()], columns: Vec::new(), types: Vec::new() }
    }
    pub fn is_unit(&self) -> bool {
        matches!(self, Relation::Constant { rows, columns, .. } if columns.is_empty() && rows.len() == 1)
    }
    pub fn map(self, scalars: Vec<(ColumnId, Expression)>) -> Relation {
        if scalars.is_empty() { self } else { Relation::Map { input: Box::new(self), scalars } }
    }
    pub fn filter(self, predicates: Vec<Expression>) -> Relation {
        if predicates.is_empty() { self } else { Relation::Filter { input: Box::new(self), predicates } }
    }
    pub fn cross(self, right: Relation) -> Relation {
        if self.is_unit() {
            right
        } else if right.is_unit() {
            self
        } else {
            Relation::Join { left: Box::new(self), right: Box::new(right), kind: JoinKind::Inner, on: Vec::new() }
        }
    }
    /// The columns this relation yields.
    pub fn columns(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        self.push_columns(&mut columns);
        columns
    }
    fn push_columns(&self, out: &mut Vec<ColumnId>) {
        match self {
            Relation::Constant { columns, .. } | Relation::Get { columns, .. } | Relation::Distinct { columns, .. } => out.extend(columns),
            Relation::SetOperation { columns, .. } | Relation::Union { columns, .. } => out.extend(columns),
            Relation::Map { input, scalars } => {
                input.push_columns(out);
                out.extend(scalars.iter().map(|(id, _)| *id));
            }
            Relation::Window { input, expressions } => {
                input.push_columns(out);
                out.extend(expressions.iter().map(|(id, _)| *id));
            }
            Relation::FlatMap { input, columns, .. } => {
                input.push_columns(out);
                out.extend(columns);
            }
            Relation::Filter { input, .. } | Relation::TopK { input, .. } => input.push_columns(out),
            Relation::Join { left, right, .. } => {
                left.push_columns(out);
                right.push_columns(out);
            }
            Relation::Reduce { keys, aggregates, .. } => {
                out.extend(keys.iter().map(|(id, _)| *id));
                out.extend(aggregates.iter().map(|(id, _)| *id));
            }
            Relation::Let { body, .. } | Relation::LetRec { body, .. } => body.push_columns(out),
        }
    }

    /// Visits the direct inputs.
    pub fn for_each_input<'a>(&'a self, visit: &mut dyn FnMut(&'a Relation)) {
        match self {
            Relation::Constant { .. } | Relation::Get { .. } => {}
            Relation::Map { input, .. }
            | Relation::Filter { input, .. }
            | Relation::FlatMap { input, .. }
            | Relation::Reduce { input, .. }
            | Relation::Distinct { input, .. }
            | Relation::TopK { input, .. }
            | Relation::Window { input, .. } => visit(input),
            Relation::Join { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Relation::SetOperation { left, right, .. } => {
                visit(&left.relation);
                visit(&right.relation);
            }
            Relation::Union { inputs, .. } => inputs.iter().for_each(|input| visit(&input.relation)),
            Relation::Let { value, body, .. } => {
                visit(&value.relation);
                visit(body);
            }
            Relation::LetRec { bindings, body, .. } => {
                bindings.iter().for_each(|(_, query, _)| visit(&query.relation));
                visit(body);
            }
        }
    }
    pub fn for_each_input_mut(&mut self, visit: &mut dyn FnMut(&mut Relation)) {
        match self {
            Relation::Constant { .. } | Relation::Get { .. } => {}
            Relation::Map { input, .. }
            | Relation::Filter { input, .. }
            | Relation::FlatMap { input, .. }
            | Relation::Reduce { input, .. }
            | Relation::Distinct { input, .. }
            | Relation::TopK { input, .. }
            | Relation::Window { input, .. } => visit(input),
            Relation::Join { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Relation::SetOperation { left, right, .. } => {
                visit(&mut left.relation);
                visit(&mut right.relation);
            }
            Relation::Union { inputs, .. } => inputs.iter_mut().for_each(|input| visit(&mut input.relation)),
            Relation::Let { value, body, .. } => {
                visit(&mut value.relation);
                visit(body);
            }
            Relation::LetRec { bindings, body, .. } => {
                bindings.iter_mut().for_each(|(_, query, _)| visit(&mut query.relation));
                visit(body);
            }
        }
    }

    /// Visits the expressions of this node itself, not those of its inputs.
    pub fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        match self {
            Relation::Map { scalars, .. } => scalars.iter().for_each(|(_, scalar)| visit(scalar)),
            Relation::Filter { predicates, .. } => predicates.iter().for_each(visit),
            Relation::FlatMap { arguments, .. } => arguments.iter().for_each(visit),
            Relation::Join { on, .. } => on.iter().for_each(visit),
            Relation::Reduce { keys, aggregates, .. } => {
                keys.iter().for_each(|(_, key)| visit(key));
                aggregates.iter().for_each(|(_, aggregate)| aggregate.for_each_expression(visit));
            }
            Relation::TopK { limit, offset, .. } => {
                limit.iter().for_each(|limit| visit(limit));
                offset.iter().for_each(|offset| visit(offset));
            }
            Relation::Window { expressions, .. } => expressions.iter().for_each(|(_, window)| window.for_each_expression(visit)),
            _ => {}
        }
    }
    pub fn for_each_expression_mut(&mut self, visit: &mut dyn FnMut(&mut Expression)) {
        match self {
            Relation::Map { scalars, .. } => scalars.iter_mut().for_each(|(_, scalar)| visit(scalar)),
            Relation::Filter { predicates, .. } => predicates.iter_mut().for_each(visit),
            Relation::FlatMap { arguments, .. } => arguments.iter_mut().for_each(visit),
            Relation::Join { on, .. } => on.iter_mut().for_each(visit),
            Relation::Reduce { keys, aggregates, .. } => {
                keys.iter_mut().for_each(|(_, key)| visit(key));
                aggregates.iter_mut().for_each(|(_, aggregate)| aggregate.for_each_expression_mut(visit));
            }
            Relation::TopK { limit, offset, .. } => {
                limit.iter_mut().for_each(|limit| visit(limit));
                offset.iter_mut().for_each(|offset| visit(offset));
            }
            Relation::Window { expressions, .. } => expressions.iter_mut().for_each(|(_, window)| window.for_each_expression_mut(visit)),
            _ => {}
        }
    }

    /// Every column mentioned by any expression or list within, and every column made within: free columns are the first minus the second.
    fn mentions_and_makes(&self, mentions: &mut BTreeSet<ColumnId>, makes: &mut BTreeSet<ColumnId>) {
        match self {
            Relation::Constant { columns, .. } | Relation::Get { columns, .. } => makes.extend(columns),
            Relation::Map { scalars, .. } => makes.extend(scalars.iter().map(|(id, _)| *id)),
            Relation::FlatMap { columns, .. } => makes.extend(columns),
            Relation::Reduce { keys, aggregates, .. } => {
                // A key that is a plain column keeps that column's id: it is made by the input, or it comes from outside.
                makes.extend(keys.iter().filter(|(id, key)| *key != Expression::Column(*id)).map(|(id, _)| *id));
                makes.extend(aggregates.iter().map(|(id, _)| *id));
            }
            Relation::Window { expressions, .. } => makes.extend(expressions.iter().map(|(id, _)| *id)),
            Relation::SetOperation { columns, left, right, .. } => {
                makes.extend(columns);
                mentions.extend(left.outputs.iter().chain(&right.outputs));
            }
            Relation::Union { columns, inputs } => {
                makes.extend(columns);
                inputs.iter().for_each(|input| mentions.extend(&input.outputs));
            }
            Relation::Distinct { columns, .. } => mentions.extend(columns),
            Relation::TopK { group, order, .. } => {
                mentions.extend(group);
                mentions.extend(order.iter().map(|(id, _)| *id));
            }
            Relation::Let { value, .. } => mentions.extend(&value.outputs),
            Relation::LetRec { bindings, .. } => bindings.iter().for_each(|(_, query, _)| mentions.extend(&query.outputs)),
            Relation::Filter { .. } | Relation::Join { .. } => {}
        }
        self.for_each_expression(&mut |expression| expression.mentions_and_makes(mentions, makes));
        self.for_each_input(&mut |input| input.mentions_and_makes(mentions, makes));
    }

    /// The columns this relation refers to and does not make itself: its correlation. References through a `Get` of a local binding are not seen here.
    pub fn free_columns(&self) -> BTreeSet<ColumnId> {
        let (mut mentions, mut makes) = (BTreeSet::new(), BTreeSet::new());
        self.mentions_and_makes(&mut mentions, &mut makes);
        mentions.retain(|id| !makes.contains(id));
        mentions
    }

    /// Applies `visit` to every expression within, subqueries included, outermost first.
    pub fn visit_expressions_mut(&mut self, visit: &mut dyn FnMut(&mut Expression)) {
        self.for_each_expression_mut(&mut |expression| expression.visit_mut(visit));
        self.for_each_input_mut(&mut |input| input.visit_expressions_mut(visit));
    }
    /// Calls `visit` with every node within, subqueries included.
    pub fn visit_relations<'a>(&'a self, visit: &mut dyn FnMut(&'a Relation)) {
        visit(self);
        self.for_each_expression(&mut |expression| expression.visit_relations(visit));
        self.for_each_input(&mut |input| input.visit_relations(visit));
    }
}

impl Aggregate {
    pub fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        self.arguments.iter().for_each(&mut *visit);
        self.filter.iter().for_each(&mut *visit);
        self.order.iter().for_each(|(key, _)| visit(key));
    }
    pub fn for_each_expression_mut(&mut self, visit: &mut dyn FnMut(&mut Expression)) {
        self.arguments.iter_mut().for_each(&mut *visit);
        self.filter.iter_mut().for_each(&mut *visit);
        self.order.iter_mut().for_each(|(key, _)| visit(key));
    }
}

impl WindowExpression {
    pub fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        if let WindowFunction::Aggregate(aggregate) = &self.function {
            aggregate.for_each_expression(visit);
        }
        self.arguments.iter().for_each(&mut *visit);
        self.filter.iter().for_each(&mut *visit);
        self.partition.iter().for_each(&mut *visit);
        self.order.iter().for_each(|(key, _)| visit(key));
        for bound in [&self.start, &self.end] {
            if let FrameBound::Preceding(value) | FrameBound::Following(value) = bound {
                visit(value);
            }
        }
    }
    pub fn for_each_expression_mut(&mut self, visit: &mut dyn FnMut(&mut Expression)) {
        if let WindowFunction::Aggregate(aggregate) = &mut self.function {
            aggregate.for_each_expression_mut(visit);
        }
        self.arguments.iter_mut().for_each(&mut *visit);
        self.filter.iter_mut().for_each(&mut *visit);
        self.partition.iter_mut().for_each(&mut *visit);
        self.order.iter_mut().for_each(|(key, _)| visit(key));
        for bound in [&mut self.start, &mut self.end] {
            if let FrameBound::Preceding(value) | FrameBound::Following(value) = bound {
                visit(value);
            }
        }
    }
}

impl Expression {
    /// Visits the direct operands; the relations of subqueries are not operands, the `left` of [`Expression::Any`] is.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        match self {
            Expression::Call { arguments: list, .. }
            | Expression::And(list)
            | Expression::Or(list)
            | Expression::Coalesce(list)
            | Expression::Row(list) => list.iter().for_each(visit),
            Expression::Cast { input, .. } | Expression::InList { value: input, .. } | Expression::IsNull(input) | Expression::Not(input) => visit(input),
            Expression::If { condition, then, otherwise } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
            Expression::Quantified { left, array, .. } => {
                visit(left);
                visit(array);
            }
            Expression::Any { left, .. } => left.iter().for_each(|(_, left)| visit(left)),
            _ => {}
        }
    }
    pub fn for_each_child_mut(&mut self, visit: &mut dyn FnMut(&mut Expression)) {
        match self {
            Expression::Call { arguments: list, .. }
            | Expression::And(list)
            | Expression::Or(list)
            | Expression::Coalesce(list)
            | Expression::Row(list) => list.iter_mut().for_each(visit),
            Expression::Cast { input, .. } | Expression::InList { value: input, .. } | Expression::IsNull(input) | Expression::Not(input) => visit(input),
            Expression::If { condition, then, otherwise } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
            Expression::Quantified { left, array, .. } => {
                visit(left);
                visit(array);
            }
            Expression::Any { left, .. } => left.iter_mut().for_each(|(_, left)| visit(left)),
            _ => {}
        }
    }
    pub fn has_subquery(&self) -> bool {
        let mut found = matches!(self, Expression::Exists(_) | Expression::Scalar(_) | Expression::Any { .. } | Expression::Array(..));
        self.for_each_child(&mut |child| found = found || child.has_subquery());
        found
    }
    fn mentions_and_makes(&self, mentions: &mut BTreeSet<ColumnId>, makes: &mut BTreeSet<ColumnId>) {
        let query = |query: &Query, mentions: &mut BTreeSet<ColumnId>, makes: &mut BTreeSet<ColumnId>| {
            mentions.extend(&query.outputs);
            mentions.extend(query.order.iter().map(|(id, _)| *id));
            query.relation.mentions_and_makes(mentions, makes);
        };
        match self {
            Expression::Column(id) => {
                mentions.insert(*id);
            }
            Expression::Exists(relation) => relation.mentions_and_makes(mentions, makes),
            Expression::Scalar(inner) | Expression::Array(inner, _) => query(inner, mentions, makes),
            Expression::Any { left, condition, query: inner } => {
                makes.extend(left.iter().map(|(id, _)| *id));
                condition.mentions_and_makes(mentions, makes);
                query(inner, mentions, makes);
            }
            _ => {}
        }
        self.for_each_child(&mut |child| child.mentions_and_makes(mentions, makes));
    }
    /// The columns the expression needs from the row it is computed for (or from further outside).
    pub fn free_columns(&self) -> BTreeSet<ColumnId> {
        let (mut mentions, mut makes) = (BTreeSet::new(), BTreeSet::new());
        self.mentions_and_makes(&mut mentions, &mut makes);
        mentions.retain(|id| !makes.contains(id));
        mentions
    }
    /// Applies `visit` to this expression and everything within, subqueries included, outermost first.
    pub fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Expression)) {
        visit(self);
        match self {
            Expression::Exists(relation) => relation.visit_expressions_mut(visit),
            Expression::Scalar(query) | Expression::Array(query, _) => query.relation.visit_expressions_mut(visit),
            Expression::Any { condition, query, .. } => {
                condition.visit_mut(visit);
                query.relation.visit_expressions_mut(visit);
            }
            _ => {}
        }
        self.for_each_child_mut(&mut |child| child.visit_mut(visit));
    }
    pub fn visit_relations<'a>(&'a self, visit: &mut dyn FnMut(&'a Relation)) {
        match self {
            Expression::Exists(relation) => relation.visit_relations(visit),
            Expression::Scalar(query) | Expression::Array(query, _) => query.relation.visit_relations(visit),
            Expression::Any { condition, query, .. } => {
                condition.visit_relations(visit);
                query.relation.visit_relations(visit);
            }
            _ => {}
        }
        self.for_each_child(&mut |child| child.visit_relations(visit));
    }
    pub fn is_null_literal(&self) -> bool {
        matches!(self, Expression::Literal(row, _) if row.get(0).is_some_and(|datum| datum.is_null()))
    }
    /// The type of the expression's value.
    pub fn column_type(&self, columns: &Columns) -> ColumnType {
        let boolean = |nullable| ColumnType::new(repr::Type::Bool).nullable(nullable);
        match self {
            Expression::Column(id) => columns.column_type(*id).clone(),
            Expression::Literal(_, column_type)
            | Expression::Error(_, column_type)
            | Expression::Parameter(_, column_type)
            | Expression::Call { column_type, .. }
            | Expression::Cast { column_type, .. }
            | Expression::Array(_, column_type) => column_type.clone(),
            Expression::And(list) | Expression::Or(list) => boolean(list.iter().any(|item| item.column_type(columns).nullable)),
            Expression::If { then, otherwise, .. } => {
                let (then, otherwise) = (then.column_type(columns), otherwise.column_type(columns));
                let modifier = if then.modifier == otherwise.modifier { then.modifier } else { -1 };
                ColumnType { scalar: then.scalar, modifier, nullable: then.nullable || otherwise.nullable }
            }
            Expression::Coalesce(list) => {
                let types: Vec<ColumnType> = list.iter().map(|item| item.column_type(columns)).collect();
                let first = types.first().cloned().unwrap_or(ColumnType::new(repr::Type::Unknown));
                let modifier = if types.iter().all(|other| other.modifier == first.modifier) { first.modifier } else { -1 };
                ColumnType { scalar: first.scalar, modifier, nullable: types.iter().all(|other| other.nullable) }
            }
            Expression::InList { value, has_null, .. } => boolean(*has_null || value.column_type(columns).nullable),
            Expression::Quantified { .. } | Expression::Any { .. } => boolean(true),
            Expression::LogicalTimestamp => ColumnType::new(repr::Type::Numeric).not_null(),
            Expression::Exists(_) | Expression::IsNull(_) => boolean(false),
            Expression::Not(input) => boolean(input.column_type(columns).nullable),
            Expression::Scalar(query) => match query.outputs.first() {
                Some(id) => columns.column_type(*id).clone().nullable(true),
                None => ColumnType::new(repr::Type::Unknown),
            },
            Expression::Row(list) => ColumnType::new(repr::Type::Record(list.iter().map(|item| item.column_type(columns).scalar).collect())).not_null(),
        }
    }
}

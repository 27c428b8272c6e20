//! The relational nodes.

mod keys;

use crate::{Aggregate, Scalar, TableFunction};
use repr::{CollectionId, ColumnType, Diff, EvalError, Row, SortDirection};

/// A binding of `Let` or `LetRec`; unique within a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u32);

/// What a `Get` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    Global(CollectionId),
    Local(LocalId),
}

/// How a one-shot read reaches a collection. Maintained plans always say `Scan`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Scan,
    /// The rows whose index key equals one of `keys`; each key has one scalar without columns (a literal or parameter) per key column of the index.
    /// A key that evaluates to NULL in any column matches nothing.
    Lookup { index: CollectionId, keys: Vec<Vec<Scalar>> },
    /// The rows whose index key lies in a range, in key order. Bounds are prefixes of the key: (values, inclusive).
    Range { index: CollectionId, lower: Option<(Vec<Scalar>, bool)>, upper: Option<(Vec<Scalar>, bool)>, descending: bool },
}

/// One relation. Every node yields a multiset of rows; columns are positions.
///
/// Types are carried at the leaves and by scalars; [`Plan::column_types`] computes them for any node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Literal rows with multiplicities, or a literal error.
    Constant { rows: Result<Vec<(Row, Diff)>, EvalError>, types: Vec<ColumnType> },
    Get { id: Id, types: Vec<ColumnType>, access: Access },
    /// `value` is computed once and may be read any number of times in `body`.
    Let { id: LocalId, value: Box<Plan>, body: Box<Plan> },
    /// Mutually recursive bindings: all start empty and are recomputed together until nothing changes.
    /// `limit`: an error (`recursion_limit_error`) or a stop after that many iterations.
    LetRec { bindings: Vec<RecursiveBinding>, limit: Option<u64>, body: Box<Plan> },
    /// The columns at `outputs`, in that order.
    Project { input: Box<Plan>, outputs: Vec<usize> },
    /// Appends one column per scalar; a scalar sees the input's columns and the columns appended before it.
    Map { input: Box<Plan>, scalars: Vec<Scalar> },
    /// Keeps the rows for which every predicate is true (not false, not NULL).
    Filter { input: Box<Plan>, predicates: Vec<Scalar> },
    /// Appends the columns of each row the table function returns for the input row (an inner lateral join).
    FlatMap { input: Box<Plan>, function: TableFunction, arguments: Vec<Scalar> },
    /// The concatenation of one row of each input, where the scalars of each equivalence class (over the concatenated columns, each over
    /// columns of one input only) have *identical* values: NULL equals NULL here. SQL's `=` adds `IS NOT NULL` filters and canonical keys.
    Join { inputs: Vec<Plan>, equivalences: Vec<Vec<Scalar>>, implementation: JoinImplementation },
    /// One row per distinct key: keys, then aggregates. No key columns: exactly one row only if the input is not empty
    /// (the binder adds the row of an empty input). No aggregates: DISTINCT.
    Reduce { input: Box<Plan>, keys: Vec<Scalar>, aggregates: Vec<Aggregate>, append_only: bool },
    /// Per group of equal `group` columns, rows in `order` (ties broken by the whole row): skip `offset`, then `limit` rows.
    TopK { input: Box<Plan>, group: Vec<usize>, order: Vec<ColumnOrder>, limit: Option<Box<Scalar>>, offset: u64, with_ties: bool, append_only: bool },
    /// Appends one column per window expression, computed within its partition.
    Window { input: Box<Plan>, expressions: Vec<WindowExpression> },
    Negate { input: Box<Plan> },
    /// Keeps positive multiplicities.
    Threshold { input: Box<Plan> },
    Union { inputs: Vec<Plan> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecursiveBinding {
    pub id: LocalId,
    pub types: Vec<ColumnType>,
    pub value: Plan,
}

/// A column of a sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnOrder {
    pub column: usize,
    pub direction: SortDirection,
}

/// How a join is maintained. `evaluate` is free to ignore it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum JoinImplementation {
    /// Not planned yet; treated as linear in the order written.
    #[default]
    Undecided,
    /// Start with the first input of the order and join the next ones one by one.
    Linear { order: Vec<usize> },
    /// One path of half-joins per input, without intermediate state. `orders[i]` lists the other inputs as input `i`'s changes meet them.
    Delta { orders: Vec<Vec<usize>> },
}

/// A window function with its window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowExpression {
    pub function: WindowFunction,
    pub arguments: Vec<Scalar>,
    pub filter: Option<Scalar>,
    pub partition: Vec<Scalar>,
    /// Sort keys as scalars over the input.
    pub order: Vec<(Scalar, SortDirection)>,
    pub frame: WindowFrame,
    pub ignore_nulls: bool,
    pub column_type: ColumnType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    Aggregate(Aggregate),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowFrame {
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameUnits {
    Rows,
    Range,
    Groups,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Scalar),
    CurrentRow,
    Following(Scalar),
    UnboundedFollowing,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameExclusion {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

impl Plan {
    /// The types of the columns this plan yields: as nullable as this node and its children can tell.
    pub fn column_types(&self) -> Vec<ColumnType> {
        match self {
            Plan::Constant { types, .. } | Plan::Get { types, .. } => types.clone(),
            Plan::Let { body, .. } | Plan::LetRec { body, .. } => body.column_types(),
            Plan::Project { input, outputs } => {
                let types = input.column_types();
                outputs.iter().map(|&column| types[column].clone()).collect()
            }
            Plan::Map { input, scalars } => {
                let mut types = input.column_types();
                for scalar in scalars {
                    types.push(scalar.column_type(&types));
                }
                types
            }
            Plan::Filter { input, predicates } => {
                let mut types = input.column_types();
                for predicate in predicates {
                    forbid_nulls(predicate, &mut types);
                }
                types
            }
            Plan::FlatMap { input, function, .. } => {
                let mut types = input.column_types();
                types.extend(function.columns().into_iter().map(|(_, column_type)| column_type));
                types
            }
            Plan::Join { inputs, equivalences, .. } => {
                let mut types: Vec<ColumnType> = inputs.iter().flat_map(Plan::column_types).collect();
                // Identical values are NULL together or not at all.
                for class in equivalences {
                    if class.iter().any(|scalar| !scalar.column_type(&types).nullable) {
                        for scalar in class {
                            if let Scalar::Column(column) = scalar {
                                types[*column].nullable = false;
                            }
                        }
                    }
                }
                types
            }
            Plan::Reduce { input, keys, aggregates, .. } => {
                let types = input.column_types();
                let keys = keys.iter().map(|key| key.column_type(&types));
                keys.chain(aggregates.iter().map(|aggregate| aggregate.column_type.clone())).collect()
            }
            Plan::Window { input, expressions } => {
                let mut types = input.column_types();
                types.extend(expressions.iter().map(|expression| expression.column_type.clone()));
                types
            }
            Plan::TopK { input, .. } | Plan::Negate { input } | Plan::Threshold { input } => input.column_types(),
            Plan::Union { inputs } => {
                let mut inputs = inputs.iter();
                let mut types = inputs.next().map(Plan::column_types).unwrap_or_default();
                for input in inputs {
                    for (column_type, other) in types.iter_mut().zip(input.column_types()) {
                        column_type.nullable |= other.nullable;
                        if column_type.modifier != other.modifier {
                            column_type.modifier = -1;
                        }
                    }
                }
                types
            }
        }
    }
    pub fn arity(&self) -> usize {
        match self {
            Plan::Constant { types, .. } | Plan::Get { types, .. } => types.len(),
            Plan::Let { body, .. } | Plan::LetRec { body, .. } => body.arity(),
            Plan::Project { outputs, .. } => outputs.len(),
            Plan::Map { input, scalars } => input.arity() + scalars.len(),
            Plan::FlatMap { input, function, .. } => input.arity() + function.columns().len(),
            Plan::Join { inputs, .. } => inputs.iter().map(Plan::arity).sum(),
            Plan::Reduce { keys, aggregates, .. } => keys.len() + aggregates.len(),
            Plan::Window { input, expressions } => input.arity() + expressions.len(),
            Plan::Filter { input, .. } | Plan::TopK { input, .. } | Plan::Negate { input } | Plan::Threshold { input } => input.arity(),
            Plan::Union { inputs } => inputs.first().map_or(0, Plan::arity),
        }
    }
    /// A reference to a global collection.
    pub fn get(id: CollectionId, types: Vec<ColumnType>) -> Plan {
        Plan::Get { id: Id::Global(id), types, access: Access::Scan }
    }
    /// A reference to a binding of an enclosing `Let` or `LetRec`.
    pub fn local(id: LocalId, types: Vec<ColumnType>) -> Plan {
        Plan::Get { id: Id::Local(id), types, access: Access::Scan }
    }
    pub fn constant(rows: Vec<(Row, Diff)>, types: Vec<ColumnType>) -> Plan {
        Plan::Constant { rows: Ok(rows), types }
    }
    /// No rows.
    pub fn empty(types: Vec<ColumnType>) -> Plan {
        Plan::constant(Vec::new(), types)
    }
    pub fn project(self, outputs: Vec<usize>) -> Plan {
        Plan::Project { input: Box::new(self), outputs }
    }
    pub fn map(self, scalars: Vec<Scalar>) -> Plan {
        Plan::Map { input: Box::new(self), scalars }
    }
    pub fn filter(self, predicates: Vec<Scalar>) -> Plan {
        Plan::Filter { input: Box::new(self), predicates }
    }
    pub fn flat_map(self, function: TableFunction, arguments: Vec<Scalar>) -> Plan {
        Plan::FlatMap { input: Box::new(self), function, arguments }
    }
    pub fn join(inputs: Vec<Plan>, equivalences: Vec<Vec<Scalar>>) -> Plan {
        Plan::Join { inputs, equivalences, implementation: JoinImplementation::Undecided }
    }
    pub fn reduce(self, keys: Vec<Scalar>, aggregates: Vec<Aggregate>) -> Plan {
        Plan::Reduce { input: Box::new(self), keys, aggregates, append_only: false }
    }
    pub fn union(inputs: Vec<Plan>) -> Plan {
        Plan::Union { inputs }
    }
    pub fn negate(self) -> Plan {
        Plan::Negate { input: Box::new(self) }
    }
    pub fn threshold(self) -> Plan {
        Plan::Threshold { input: Box::new(self) }
    }
    pub fn distinct(self) -> Plan {
        let keys = (0..self.arity()).map(Scalar::Column).collect();
        Plan::Reduce { input: Box::new(self), keys, aggregates: Vec::new(), append_only: false }
    }
    /// Whether the plan is a constant without rows.
    pub fn is_empty_constant(&self) -> bool {
        matches!(self, Plan::Constant { rows: Ok(rows), .. } if rows.is_empty())
    }
    /// Moves the plan out and leaves an empty relation *without columns*: for a rewrite that puts something in its place at once.
    pub fn take(&mut self) -> Plan {
        std::mem::replace(self, Plan::empty(Vec::new()))
    }
    /// Moves the plan out and leaves an empty relation of the same columns.
    pub fn take_leaving_empty(&mut self) -> Plan {
        let types = self.column_types();
        std::mem::replace(self, Plan::empty(types))
    }
    /// The global collections this plan reads, sorted, each once.
    pub fn global_inputs(&self) -> Vec<CollectionId> {
        let mut ids = Vec::new();
        self.for_each_node(&mut |plan| {
            if let Plan::Get { id: Id::Global(id), .. } = plan {
                ids.push(*id);
            }
        });
        ids.sort();
        ids.dedup();
        ids
    }
    /// Visits the direct children, in the order in which they are evaluated.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Plan)) {
        match self {
            Plan::Constant { .. } | Plan::Get { .. } => {}
            Plan::Let { value, body, .. } => {
                visit(value);
                visit(body);
            }
            Plan::LetRec { bindings, body, .. } => {
                bindings.iter().for_each(|binding| visit(&binding.value));
                visit(body);
            }
            Plan::Join { inputs, .. } | Plan::Union { inputs } => inputs.iter().for_each(visit),
            Plan::Project { input, .. }
            | Plan::Map { input, .. }
            | Plan::Filter { input, .. }
            | Plan::FlatMap { input, .. }
            | Plan::Reduce { input, .. }
            | Plan::TopK { input, .. }
            | Plan::Window { input, .. }
            | Plan::Negate { input }
            | Plan::Threshold { input } => visit(input),
        }
    }
    pub fn for_each_child_mut(&mut self, visit: &mut dyn FnMut(&mut Plan)) {
        match self {
            Plan::Constant { .. } | Plan::Get { .. } => {}
            Plan::Let { value, body, .. } => {
                visit(value);
                visit(body);
            }
            Plan::LetRec { bindings, body, .. } => {
                bindings.iter_mut().for_each(|binding| visit(&mut binding.value));
                visit(body);
            }
            Plan::Join { inputs, .. } | Plan::Union { inputs } => inputs.iter_mut().for_each(visit),
            Plan::Project { input, .. }
            | Plan::Map { input, .. }
            | Plan::Filter { input, .. }
            | Plan::FlatMap { input, .. }
            | Plan::Reduce { input, .. }
            | Plan::TopK { input, .. }
            | Plan::Window { input, .. }
            | Plan::Negate { input }
            | Plan::Threshold { input } => visit(input),
        }
    }
    /// Visits every node, parents first.
    pub fn for_each_node<'a>(&'a self, visit: &mut dyn FnMut(&'a Plan)) {
        visit(self);
        self.for_each_child(&mut |child| child.for_each_node(visit));
    }
    /// Visits every node, children first, so that a visitor may replace what it is given.
    pub fn for_each_node_mut(&mut self, visit: &mut dyn FnMut(&mut Plan)) {
        self.for_each_child_mut(&mut |child| child.for_each_node_mut(visit));
        visit(self);
    }
    /// Visits the scalars of this node alone (not of its children, and not the parts of a scalar).
    pub fn for_each_scalar<'a>(&'a self, visit: &mut dyn FnMut(&'a Scalar)) {
        match self {
            Plan::Get { access, .. } => match access {
                Access::Scan => {}
                Access::Lookup { keys, .. } => keys.iter().flatten().for_each(visit),
                Access::Range { lower, upper, .. } => lower.iter().chain(upper).flat_map(|(values, _)| values).for_each(visit),
            },
            Plan::Map { scalars, .. } => scalars.iter().for_each(visit),
            Plan::Filter { predicates, .. } => predicates.iter().for_each(visit),
            Plan::FlatMap { arguments, .. } => arguments.iter().for_each(visit),
            Plan::Join { equivalences, .. } => equivalences.iter().flatten().for_each(visit),
            Plan::Reduce { keys, aggregates, .. } => {
                keys.iter().for_each(&mut *visit);
                aggregates.iter().for_each(|aggregate| aggregate.for_each_scalar(visit));
            }
            Plan::TopK { limit, .. } => limit.iter().for_each(|limit| visit(limit)),
            Plan::Window { expressions, .. } => expressions.iter().for_each(|expression| expression.for_each_scalar(visit)),
            Plan::Constant { .. }
            | Plan::Let { .. }
            | Plan::LetRec { .. }
            | Plan::Project { .. }
            | Plan::Negate { .. }
            | Plan::Threshold { .. }
            | Plan::Union { .. } => {}
        }
    }
    pub fn for_each_scalar_mut(&mut self, visit: &mut dyn FnMut(&mut Scalar)) {
        match self {
            Plan::Get { access, .. } => match access {
                Access::Scan => {}
                Access::Lookup { keys, .. } => keys.iter_mut().flatten().for_each(visit),
                Access::Range { lower, upper, .. } => lower.iter_mut().chain(upper).flat_map(|(values, _)| values).for_each(visit),
            },
            Plan::Map { scalars, .. } => scalars.iter_mut().for_each(visit),
            Plan::Filter { predicates, .. } => predicates.iter_mut().for_each(visit),
            Plan::FlatMap { arguments, .. } => arguments.iter_mut().for_each(visit),
            Plan::Join { equivalences, .. } => equivalences.iter_mut().flatten().for_each(visit),
            Plan::Reduce { keys, aggregates, .. } => {
                keys.iter_mut().for_each(&mut *visit);
                aggregates.iter_mut().for_each(|aggregate| aggregate.for_each_scalar_mut(visit));
            }
            Plan::TopK { limit, .. } => limit.iter_mut().for_each(|limit| visit(limit)),
            Plan::Window { expressions, .. } => expressions.iter_mut().for_each(|expression| expression.for_each_scalar_mut(visit)),
            Plan::Constant { .. }
            | Plan::Let { .. }
            | Plan::LetRec { .. }
            | Plan::Project { .. }
            | Plan::Negate { .. }
            | Plan::Threshold { .. }
            | Plan::Union { .. } => {}
        }
    }
}

impl WindowExpression {
    pub fn for_each_scalar<'a>(&'a self, visit: &mut dyn FnMut(&'a Scalar)) {
        self.arguments.iter().chain(&self.filter).chain(&self.partition).for_each(&mut *visit);
        self.order.iter().for_each(|(scalar, _)| visit(scalar));
        for bound in [&self.frame.start, &self.frame.end] {
            if let FrameBound::Preceding(scalar) | FrameBound::Following(scalar) = bound {
                visit(scalar);
            }
        }
        if let WindowFunction::Aggregate(aggregate) = &self.function {
            aggregate.for_each_scalar(visit);
        }
    }
    pub fn for_each_scalar_mut(&mut self, visit: &mut dyn FnMut(&mut Scalar)) {
        self.arguments.iter_mut().chain(&mut self.filter).chain(&mut self.partition).for_each(&mut *visit);
        self.order.iter_mut().for_each(|(scalar, _)| visit(scalar));
        for bound in [&mut self.frame.start, &mut self.frame.end] {
            if let FrameBound::Preceding(scalar) | FrameBound::Following(scalar) = bound {
                visit(scalar);
            }
        }
        if let WindowFunction::Aggregate(aggregate) = &mut self.function {
            aggregate.for_each_scalar_mut(visit);
        }
    }
}

/// Marks the columns that cannot be NULL where `predicate` is true.
fn forbid_nulls(predicate: &Scalar, types: &mut [ColumnType]) {
    match predicate {
        Scalar::And(conjuncts) => conjuncts.iter().for_each(|conjunct| forbid_nulls(conjunct, types)),
        Scalar::Call { function, arguments, .. } if function.0.name == "is_not_null" => arguments.iter().for_each(|argument| forbid_null(argument, types)),
        Scalar::Call { function, arguments, .. } if function.0.name == "not" => match &arguments[..] {
            [Scalar::Call { function, arguments, .. }] if function.0.name == "is_null" => arguments.iter().for_each(|argument| forbid_null(argument, types)),
            _ => forbid_null(predicate, types),
        },
        _ => forbid_null(predicate, types),
    }
}

/// Marks the columns that cannot be NULL where `scalar` is not NULL.
fn forbid_null(scalar: &Scalar, types: &mut [ColumnType]) {
    match scalar {
        Scalar::Column(column) => types[*column].nullable = false,
        Scalar::InList { value: input, .. } | Scalar::Cast { input, .. } => forbid_null(input, types),
        Scalar::Call { function, arguments, .. } if function.0.strict => arguments.iter().for_each(|argument| forbid_null(argument, types)),
        _ => {}
    }
}

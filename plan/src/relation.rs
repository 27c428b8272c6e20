//! The relational nodes.

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
    /// The types of the columns this plan yields.
    pub fn column_types(&self) -> Vec<ColumnType> {
        todo!()
    }
    pub fn arity(&self) -> usize {
        todo!()
    }
    /// A reference to a global collection.
    pub fn get(id: CollectionId, types: Vec<ColumnType>) -> Plan {
        Plan::Get { id: Id::Global(id), types, access: Access::Scan }
    }
    pub fn constant(rows: Vec<(Row, Diff)>, types: Vec<ColumnType>) -> Plan {
        Plan::Constant { rows: Ok(rows), types }
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
    /// The global collections this plan reads, sorted, each once.
    pub fn global_inputs(&self) -> Vec<CollectionId> {
        todo!()
    }
    /// Visits the direct children.
    pub fn for_each_child<'a>(&'a self, _visit: &mut dyn FnMut(&'a Plan)) {
        todo!()
    }
    pub fn for_each_child_mut(&mut self, _visit: &mut dyn FnMut(&mut Plan)) {
        todo!()
    }
}

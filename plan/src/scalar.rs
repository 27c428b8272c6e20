//! Expressions over one row.

use crate::functions::ScalarFunction;
use repr::{ColumnType, EvalError, Row};
use std::hash::{Hash, Hasher};

/// An entry of the function table. Two are the same when they are the same entry.
#[derive(Clone, Copy)]
pub struct Function(pub &'static ScalarFunction);

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
impl Eq for Function {}
impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state)
    }
}
impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0.name)
    }
}

/// Who asked for a cast: it decides about truncation and about the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CastKind {
    Implicit,
    Assignment,
    Explicit,
}

/// An expression. What Postgres would not evaluate is not evaluated: the branches of `If` and the tails of `And`, `Or` and `Coalesce` run only
/// for the rows that reach them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    Column(usize),
    /// A row of one datum.
    Literal(Row, ColumnType),
    /// An expression that always fails.
    Error(EvalError, ColumnType),
    /// `$n`, counted from 0. Replaced by a literal before a plan runs.
    Parameter(usize, ColumnType),
    Call { function: Function, arguments: Vec<Scalar>, column_type: ColumnType },
    /// Conversion to another type, modifier included. Which kernel it takes is decided by the two types.
    Cast { input: Box<Scalar>, kind: CastKind, column_type: ColumnType },
    /// Three-valued AND. Empty: true.
    And(Vec<Scalar>),
    /// Three-valued OR. Empty: false.
    Or(Vec<Scalar>),
    /// CASE is nested `If`s. A NULL condition chooses `otherwise`.
    If { condition: Box<Scalar>, then: Box<Scalar>, otherwise: Box<Scalar> },
    Coalesce(Vec<Scalar>),
    /// `value IN (literals)`: `list` is sorted canonical one-datum rows, without NULL; `has_null` says whether NULL was in the list.
    InList { value: Box<Scalar>, list: std::sync::Arc<Vec<Row>>, has_null: bool },
    /// `left op ANY (array)` and `left op ALL (array)`; `function` is a binary operator with a boolean result.
    Quantified { function: Function, left: Box<Scalar>, array: Box<Scalar>, all: bool },
    /// `mz_now()`: the logical timestamp as numeric.
    LogicalTimestamp,
}

impl Scalar {
    pub fn column_type(&self, _input: &[ColumnType]) -> ColumnType {
        todo!()
    }
    /// A call of an entry of the table by exact name and argument types; panics if there is none (for planner code and tests).
    pub fn call(_name: &str, _arguments: Vec<Scalar>, _input: &[ColumnType]) -> Scalar {
        todo!()
    }
    pub fn literal(datum: repr::Datum<'_>, column_type: ColumnType) -> Scalar {
        Scalar::Literal(Row::pack([datum]), column_type)
    }
    pub fn is_null(self) -> Scalar {
        todo!()
    }
    pub fn not(self) -> Scalar {
        todo!()
    }
    pub fn for_each_child<'a>(&'a self, _visit: &mut dyn FnMut(&'a Scalar)) {
        todo!()
    }
    pub fn for_each_child_mut(&mut self, _visit: &mut dyn FnMut(&mut Scalar)) {
        todo!()
    }
    /// Visits every column reference in the tree.
    pub fn for_each_column(&self, _visit: &mut dyn FnMut(usize)) {
        todo!()
    }
    /// Rewrites every column reference.
    pub fn remap_columns(&mut self, _map: &mut dyn FnMut(usize) -> usize) {
        todo!()
    }
    /// Neither columns nor parameters nor volatile or stable calls: its value can be computed now.
    pub fn is_constant(&self) -> bool {
        todo!()
    }
    /// Whether evaluating it may yield an error for some row.
    pub fn can_fail(&self) -> bool {
        todo!()
    }
}

//! Aggregate functions: the table, and how each is kept up to date.

use crate::Scalar;
use repr::{ColumnType, SortDirection, Type};

/// An aggregate over the rows of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    pub function: AggregateFunction,
    pub arguments: Vec<Scalar>,
    pub distinct: bool,
    /// Only rows for which it is true are seen.
    pub filter: Option<Scalar>,
    /// ORDER BY inside the aggregate; ties are broken by the arguments.
    pub order: Vec<(Scalar, SortDirection)>,
    pub column_type: ColumnType,
}

/// An entry of the aggregate table.
#[derive(Clone, Copy)]
pub struct AggregateFunction(pub &'static AggregateEntry);

impl PartialEq for AggregateFunction {
    fn eq(&self, other: &AggregateFunction) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
impl Eq for AggregateFunction {}
impl std::hash::Hash for AggregateFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state)
    }
}
impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0.name)
    }
}

pub struct AggregateEntry {
    pub name: &'static str,
    pub arguments: Vec<Type>,
    pub result: Type,
    /// The result over no rows is not NULL (`count`).
    pub empty_is_zero: bool,
    pub strategy: Strategy,
    pub description: &'static str,
    pub kind: AggregateKind,
}

/// What keeping the aggregate up to date costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The state is a sum that lives in the diff: O(1) per change.
    Accumulable,
    /// min and max: a hierarchy, O(log n) per change; constant on append-only input.
    Extremum,
    /// The group is computed again.
    Recomputed,
}

/// Which aggregate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    CountAll,
    Count,
    Sum,
    Average,
    Minimum,
    Maximum,
    BoolAnd,
    BoolOr,
    StringAgg,
    ArrayAgg,
    /// Any value of the group, the smallest: used by plans that group by canonical keys.
    AnyValue,
}

/// All entries of a name; empty if there is none.
pub fn lookup(_name: &str) -> &'static [&'static AggregateEntry] {
    todo!()
}
pub fn all() -> &'static [&'static AggregateEntry] {
    todo!()
}

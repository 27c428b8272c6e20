//! Aggregate functions: the table, and how each is kept up to date.
//!
//! Three ways, [`Strategy`]: a sum that lives in the diff ([`Accumulator`]), an extremum of encoded values, or the group once more
//! ([`finish_recomputed`]). `evaluate` and `dataflow` share all three, so they cannot differ in a result. No result depends on the order in which
//! rows arrive: sums of floats are exact until they are rounded once.

mod accumulator;
mod exact;
mod folds;
mod moments;
mod recomputed;
mod table;
#[cfg(test)]
mod tests;

pub use accumulator::{Accumulator, Accumulators};
pub(crate) use recomputed::{Fold, is_better};
pub use recomputed::{finish_recomputed, push_sort_key};
pub use table::{all, lookup};

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
    /// May hold pseudo-types; empty for `count(*)`.
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
    /// An array of arrays: one more dimension.
    NestedArrayAgg,
    /// Any value of the group, the smallest: used by plans that group by canonical keys.
    AnyValue,
    /// `var_*` and `stddev_*`: of a sample or of the whole population; the square root or not.
    Variance {
        sample: bool,
        root: bool,
    },
    /// `regr_*`, `corr` and `covar_*`, over pairs (y, x).
    Regression(Regression),
    BitAnd,
    BitOr,
    BitXor,
    /// `json_agg` and `jsonb_agg`. The argument comes as JSON already; `lines` puts each element but the first on a line of its own.
    JsonAgg {
        lines: bool,
    },
    /// `json_object_agg` and `jsonb_object_agg`. The key comes as text, the value as JSON.
    JsonObjectAgg,
    /// `percentile_cont`, `percentile_disc` (WITHIN GROUP): a fraction or an array of them, and the values in the order asked for.
    PercentileContinuous,
    PercentileDiscrete,
    /// `mode()` WITHIN GROUP.
    Mode,
}

/// What is computed from the sums over pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regression {
    Count,
    MeanX,
    MeanY,
    SquaresX,
    SquaresY,
    Products,
    CovariancePopulation,
    CovarianceSample,
    Correlation,
    Determination,
    Slope,
    Intercept,
}

impl AggregateKind {
    /// Called with WITHIN GROUP (ORDER BY ...): its last argument is the sort key.
    pub fn is_ordered_set(self) -> bool {
        matches!(self, AggregateKind::PercentileContinuous | AggregateKind::PercentileDiscrete | AggregateKind::Mode)
    }
    /// Gets JSON (and keys as text) whatever its arguments are: the caller converts them. With DISTINCT the arguments as they were follow, since two
    /// are the same by their own equality, not by that of their texts.
    pub fn takes_json(self) -> bool {
        matches!(self, AggregateKind::JsonAgg { .. } | AggregateKind::JsonObjectAgg)
    }
}

impl AggregateEntry {
    /// The result's type for actual argument types. `count` is never NULL; `any_value` of what is never NULL is not NULL either, since a group has a
    /// row (a caller with a FILTER makes it nullable); everything else is NULL over NULLs alone.
    pub fn result_type(&self, arguments: &[ColumnType]) -> ColumnType {
        let argument = if self.kind.is_ordered_set() { arguments.last() } else { arguments.first() };
        let column_type = match (&self.result, argument) {
            (Type::AnyArray, Some(argument)) if self.kind == AggregateKind::PercentileDiscrete => {
                ColumnType::new(Type::Array(Box::new(argument.scalar.clone())))
            }
            (Type::AnyArray, Some(argument)) if self.kind == AggregateKind::ArrayAgg => {
                ColumnType::new(Type::Array(Box::new(argument.scalar.clone())))
            }
            (Type::AnyArray | Type::AnyElement, Some(argument)) => argument.clone(),
            (result, _) => ColumnType::new(result.clone()),
        };
        match self.kind {
            AggregateKind::CountAll | AggregateKind::Count | AggregateKind::Regression(Regression::Count) => column_type.not_null(),
            AggregateKind::AnyValue => column_type,
            _ => column_type.nullable(true),
        }
    }
}

impl Aggregate {
    /// How this aggregate is kept up to date. DISTINCT changes it for what is not an extremum: the group is computed again, unless the caller removes
    /// duplicates first and asks the entry itself.
    pub fn strategy(&self) -> Strategy {
        match self.function.0.strategy {
            Strategy::Accumulable if self.distinct => Strategy::Recomputed,
            strategy => strategy,
        }
    }
    /// Visits the arguments, the filter and the sort keys.
    pub fn for_each_scalar<'a>(&'a self, visit: &mut dyn FnMut(&'a Scalar)) {
        self.arguments.iter().chain(&self.filter).for_each(&mut *visit);
        self.order.iter().for_each(|(scalar, _)| visit(scalar));
    }
    pub fn for_each_scalar_mut(&mut self, visit: &mut dyn FnMut(&mut Scalar)) {
        self.arguments.iter_mut().chain(&mut self.filter).for_each(&mut *visit);
        self.order.iter_mut().for_each(|(scalar, _)| visit(scalar));
    }
}

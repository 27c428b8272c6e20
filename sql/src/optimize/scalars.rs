//! What the rules ask of expressions.

use plan::Scalar;
use std::collections::BTreeSet;

pub(super) fn columns_of(scalar: &Scalar) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    scalar.for_each_column(&mut |column| {
        columns.insert(column);
    });
    columns
}

/// Replaces column references by expressions.
pub(super) fn substitute(scalar: &mut Scalar, with: &dyn Fn(usize) -> Scalar) {
    if let Scalar::Column(column) = scalar {
        *scalar = with(*column);
        return;
    }
    scalar.for_each_child_mut(&mut |child| substitute(child, with));
}

pub(super) fn shifted(mut scalar: Scalar, by: impl Fn(usize) -> usize) -> Scalar {
    scalar.remap_columns(&mut |column| by(column));
    scalar
}

/// Takes conjunctions apart.
pub(super) fn conjuncts(predicates: Vec<Scalar>) -> Vec<Scalar> {
    let mut out = Vec::with_capacity(predicates.len());
    for predicate in predicates {
        match predicate {
            Scalar::And(parts) => out.extend(conjuncts(parts)),
            other => out.push(other),
        }
    }
    out
}

/// Whether evaluating it once more or elsewhere gives the same value: no `random()`.
pub(super) fn is_repeatable(scalar: &Scalar) -> bool {
    scalar.volatility() != plan::functions::Volatility::Volatile
}

//! Constants are computed now, and filters that are constant decide.

use super::scalars::conjuncts;
use crate::names::Mode;
use plan::{Context, Plan, Scalar};

pub(super) fn fold(mut plan: Plan, mode: Mode) -> Plan {
    // What depends on the session or the moment is not constant here; only immutable calls are.
    let _ = mode;
    let context = Context::default();
    fold_node(&mut plan, &context);
    plan
}

fn fold_node(plan: &mut Plan, context: &Context) {
    plan.for_each_child_mut(&mut |child| fold_node(child, context));
    plan.for_each_scalar_mut(&mut |scalar| *scalar = scalar.fold(context));
    if let Plan::Filter { input, predicates } = plan {
        let parts = conjuncts(std::mem::take(predicates));
        if parts.iter().any(|part| part.is_literal_false() || part.is_literal_null()) && !parts.iter().any(|part| part.can_fail()) {
            *plan = Plan::empty(input.column_types());
            return;
        }
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            if !part.is_literal_true() && !kept.contains(&part) {
                kept.push(part);
            }
        }
        // What a strict comparison says already need not be said: it drops NULLs itself.
        let implied = |predicate: &Scalar| match predicate {
            Scalar::Call { function, arguments, .. } if function.0.name == "is_not_null" => {
                arguments.iter().all(|column| matches!(column, Scalar::Column(_)) && kept.iter().any(|other| drops_null(other, column)))
            }
            _ => false,
        };
        let mut kept: Vec<Scalar> = kept.iter().filter(|predicate| !implied(predicate)).cloned().collect();
        // Those that cannot fail first: fewer rows for those that can.
        kept.sort_by_key(Scalar::can_fail);
        *predicates = kept;
    }
}

/// Whether a predicate is never true where the column is NULL.
fn drops_null(predicate: &Scalar, column: &Scalar) -> bool {
    match predicate {
        Scalar::Call { function, arguments, .. } => function.0.strict && function.0.name != "is_not_null" && arguments.contains(column),
        Scalar::InList { value, .. } => value.as_ref() == column,
        _ => false,
    }
}

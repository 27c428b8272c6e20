//! Constants are computed now, and filters that are constant decide.

use super::scalars::conjuncts;
use crate::names::Mode;
use plan::{Context, Plan};

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
        *predicates = kept;
    }
}

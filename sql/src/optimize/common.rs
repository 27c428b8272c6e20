//! Subplans that occur more than once are computed once.

use plan::{Id, LocalId, Plan};
use std::collections::HashMap;

pub(super) fn share(plan: Plan) -> Plan {
    let mut next = 0;
    plan.for_each_node(&mut |node| match node {
        Plan::Let { id, .. } | Plan::Get { id: Id::Local(id), .. } => next = next.max(id.0 + 1),
        Plan::LetRec { bindings, .. } => bindings.iter().for_each(|binding| next = next.max(binding.id.0 + 1)),
        _ => {}
    });
    let mut counts: HashMap<&Plan, usize> = HashMap::new();
    plan.for_each_node(&mut |node| {
        if is_worth_sharing(node) {
            *counts.entry(node).or_default() += 1;
        }
    });
    let mut repeated: Vec<Plan> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(node, _)| node.clone()).collect();
    // The largest first: what is within it is then no longer repeated elsewhere, or still is.
    repeated.sort_by_key(|node| std::cmp::Reverse(size(node)));
    let mut plan = plan;
    for node in repeated {
        let mut uses = 0;
        plan.for_each_node(&mut |other| uses += usize::from(*other == node));
        if uses < 2 {
            continue;
        }
        let id = LocalId(next);
        next += 1;
        let types = node.column_types();
        replace(&mut plan, &node, &Plan::local(id, types));
        plan = Plan::Let { id, value: Box::new(node), body: Box::new(plan) };
    }
    plan
}

/// Only what does work, and refers to no binding: it is put around the whole plan.
fn is_worth_sharing(node: &Plan) -> bool {
    if !matches!(node, Plan::Join { .. } | Plan::Reduce { .. } | Plan::TopK { .. } | Plan::Window { .. } | Plan::Threshold { .. } | Plan::FlatMap { .. }) {
        return false;
    }
    let mut closed = true;
    node.for_each_node(&mut |inner| match inner {
        Plan::Get { id: Id::Local(_), .. } | Plan::Let { .. } | Plan::LetRec { .. } => closed = false,
        other => other.for_each_scalar(&mut |scalar| closed = closed && super::scalars::is_repeatable(scalar)),
    });
    closed
}

fn size(plan: &Plan) -> usize {
    let mut count = 0;
    plan.for_each_node(&mut |_| count += 1);
    count
}

fn replace(plan: &mut Plan, node: &Plan, with: &Plan) {
    if plan == node {
        *plan = with.clone();
        return;
    }
    plan.for_each_child_mut(&mut |child| replace(child, node, with));
}

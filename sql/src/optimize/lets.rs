//! Bindings: those read once or cheap to compute again vanish; a filter that every reader has moves into the value.

use super::scalars::is_repeatable;
use plan::{Id, LocalId, Plan, Scalar};

pub(super) fn inline(mut plan: Plan) -> Plan {
    inline_node(&mut plan);
    plan
}

fn inline_node(plan: &mut Plan) {
    plan.for_each_child_mut(&mut inline_node);
    let Plan::Let { id, value, body } = plan else { return };
    let (mut uses, mut in_loop) = (0, false);
    count_reads(body, *id, false, &mut uses, &mut in_loop);
    let cheap = match value.as_ref() {
        Plan::Get { .. } => true,
        Plan::Constant { rows: Ok(rows), .. } => rows.len() <= 1,
        _ => false,
    };
    // Within a loop the value would be computed in every round.
    if uses == 0 || cheap || (uses == 1 && !in_loop && is_stable(value)) {
        let (id, value) = (*id, value.take());
        let mut inner = body.take();
        replace_reads(&mut inner, id, &value);
        *plan = inner;
    }
}

/// Whether computing the plan elsewhere gives the same rows.
fn is_stable(plan: &Plan) -> bool {
    let mut stable = true;
    plan.for_each_node(&mut |node| node.for_each_scalar(&mut |scalar| stable = stable && is_repeatable(scalar)));
    stable
}

fn count_reads(plan: &Plan, id: LocalId, looped: bool, uses: &mut usize, in_loop: &mut bool) {
    match plan {
        Plan::Get { id: Id::Local(read), .. } if *read == id => {
            *uses += 1;
            *in_loop = *in_loop || looped;
        }
        Plan::LetRec { bindings, body, .. } => {
            bindings.iter().for_each(|binding| count_reads(&binding.value, id, true, uses, in_loop));
            count_reads(body, id, looped, uses, in_loop);
        }
        other => other.for_each_child(&mut |child| count_reads(child, id, looped, uses, in_loop)),
    }
}

pub(super) fn replace_reads(plan: &mut Plan, id: LocalId, value: &Plan) {
    if matches!(plan, Plan::Get { id: Id::Local(read), .. } if *read == id) {
        *plan = value.clone();
        return;
    }
    plan.for_each_child_mut(&mut |child| replace_reads(child, id, value));
}

/// Moves the filters that all reads of a binding share into its value.
pub(super) fn move_filters(mut plan: Plan) -> Plan {
    move_node(&mut plan);
    plan
}

fn move_node(plan: &mut Plan) {
    if let Plan::Let { id, value, body } = plan {
        let mut shared: Option<Vec<Scalar>> = None;
        gather_filters(body, *id, &[], &mut shared);
        let shared: Vec<Scalar> = shared.unwrap_or_default().into_iter().filter(is_repeatable).collect();
        if !shared.is_empty() {
            **value = value.take().filter(shared.clone());
            remove_filters(body, *id, &shared);
        }
    }
    plan.for_each_child_mut(&mut move_node);
}

fn gather_filters(plan: &Plan, id: LocalId, above: &[Scalar], shared: &mut Option<Vec<Scalar>>) {
    match plan {
        Plan::Get { id: Id::Local(read), .. } if *read == id => {
            *shared = Some(match shared.take() {
                None => above.to_vec(),
                Some(known) => known.into_iter().filter(|predicate| above.contains(predicate)).collect(),
            });
        }
        Plan::Filter { input, predicates } => gather_filters(input, id, predicates, shared),
        other => other.for_each_child(&mut |child| gather_filters(child, id, &[], shared)),
    }
}

fn remove_filters(plan: &mut Plan, id: LocalId, shared: &[Scalar]) {
    if let Plan::Filter { input, predicates } = plan
        && matches!(input.as_ref(), Plan::Get { id: Id::Local(read), .. } if *read == id)
    {
        predicates.retain(|predicate| !shared.contains(predicate));
        if predicates.is_empty() {
            *plan = input.take();
        }
        return;
    }
    plan.for_each_child_mut(&mut |child| remove_filters(child, id, shared));
}

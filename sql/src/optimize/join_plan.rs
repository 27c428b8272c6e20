//! How joins are computed: in which order, and whether incrementally without intermediate state.
//!
//! Linear: start with the input that is reduced most and add inputs that are connected by a key, those whose whole unique key is bound first, so that
//! intermediate results stay small. Delta (maintained plans of three and more inputs): if every arrangement the half-joins need exists already, as a
//! collection's own arrangement or index, or is of the kind the linear plan would build too.

use super::scalars::columns_of;
use crate::names::{Mode, Names};
use plan::{Id, JoinImplementation, Plan, Scalar};
use std::collections::BTreeSet;

pub(super) fn plan_joins(mut plan: Plan, names: &dyn Names, mode: Mode) -> Plan {
    plan_node(&mut plan, names, mode);
    plan
}

fn plan_node(plan: &mut Plan, names: &dyn Names, mode: Mode) {
    plan.for_each_child_mut(&mut |child| plan_node(child, names, mode));
    if let Plan::Join { inputs, equivalences, implementation } = plan
        && *implementation == JoinImplementation::Undecided
    {
        if mode == Mode::Maintained
            && inputs.len() > 2
            && let Some(delta) = delta_join(inputs, equivalences, names)
        {
            *plan = delta;
            return;
        }
        let order = Graph::new(inputs, equivalences, names).linear_order();
        *implementation = JoinImplementation::Linear { order };
    }
}

/// The join over whole collections, whose arrangements exist, as a delta join.
fn delta_join(inputs: &[Plan], equivalences: &[Vec<Scalar>], names: &dyn Names) -> Option<Plan> {
    let mut whole = Vec::with_capacity(inputs.len());
    let mut outputs = Vec::new();
    let mut width = 0;
    for input in inputs {
        let (inner, wanted): (&Plan, Vec<usize>) = match input {
            Plan::Project { input: inner, outputs } if matches!(**inner, Plan::Get { id: Id::Global(_), .. }) => (inner, outputs.clone()),
            other => (other, (0..other.arity()).collect()),
        };
        outputs.extend(wanted.into_iter().map(|output| width + output));
        width += inner.arity();
        whole.push(inner.clone());
    }
    let mut classes = equivalences.to_vec();
    classes.iter_mut().flatten().for_each(|member| member.remap_columns(&mut |column| outputs.get(column).copied().unwrap_or(column)));
    let orders = Graph::new(&whole, &classes, names).delta_orders(&whole, names)?;
    let identity = outputs.len() == width && outputs.iter().enumerate().all(|(position, output)| position == *output);
    let join = Plan::Join { inputs: whole, equivalences: classes, implementation: JoinImplementation::Delta { orders } };
    Some(if identity { join } else { join.project(outputs) })
}

struct Graph {
    /// For each class: which inputs have a member, and the member over the input's own columns.
    classes: Vec<Vec<(usize, Scalar)>>,
    /// The unique keys of each input.
    keys: Vec<Vec<Vec<usize>>>,
    /// A guess of how much each input's own filters leave of it: smaller is better.
    weights: Vec<u32>,
}

impl Graph {
    fn new(inputs: &[Plan], equivalences: &[Vec<Scalar>], names: &dyn Names) -> Graph {
        let mut starts = Vec::with_capacity(inputs.len());
        let mut width = 0;
        for input in inputs {
            starts.push(width);
            width += input.arity();
        }
        let place = |member: &Scalar| -> Option<(usize, Scalar)> {
            let column = columns_of(member).into_iter().next()?;
            let input = starts.iter().rposition(|start| *start <= column)?;
            let start = *starts.get(input)?;
            let mut own = member.clone();
            own.remap_columns(&mut |column| column.saturating_sub(start));
            Some((input, own))
        };
        let classes = equivalences.iter().map(|class| class.iter().filter_map(place).collect()).collect();
        let keys = inputs.iter().map(|input| input.unique_keys(&|id| names.keys_of(id))).collect();
        Graph { classes, keys, weights: inputs.iter().map(weight).collect() }
    }

    /// The members by which `input` is bound once `placed` are there.
    fn bound_by(&self, input: usize, placed: &BTreeSet<usize>) -> Vec<&Scalar> {
        let bound = |class: &&Vec<(usize, Scalar)>| class.iter().any(|(other, _)| placed.contains(other));
        self.classes.iter().filter(bound).filter_map(|class| class.iter().find(|(other, _)| *other == input).map(|(_, member)| member)).collect()
    }

    /// How good it is to add `input` next: bound by a unique key, bound at all, few rows.
    fn score(&self, input: usize, placed: &BTreeSet<usize>) -> (bool, bool, std::cmp::Reverse<u32>, std::cmp::Reverse<usize>) {
        let bound = self.bound_by(input, placed);
        let columns: BTreeSet<usize> = bound.iter().filter_map(|member| if let Scalar::Column(column) = member { Some(*column) } else { None }).collect();
        let unique = self.keys.get(input).is_some_and(|keys| keys.iter().any(|key| key.iter().all(|column| columns.contains(column))));
        let weight = self.weights.get(input).copied().unwrap_or(u32::MAX);
        (!bound.is_empty() && unique, !bound.is_empty(), std::cmp::Reverse(weight), std::cmp::Reverse(input))
    }

    fn order_from(&self, first: usize) -> Vec<usize> {
        let count = self.weights.len();
        let mut placed = BTreeSet::from([first]);
        let mut order = vec![first];
        while order.len() < count {
            let next = (0..count).filter(|input| !placed.contains(input)).max_by_key(|input| self.score(*input, &placed));
            let Some(next) = next else { break };
            placed.insert(next);
            order.push(next);
        }
        order
    }

    fn linear_order(&self) -> Vec<usize> {
        let first = (0..self.weights.len()).min_by_key(|input| (self.weights.get(*input).copied().unwrap_or(u32::MAX), *input));
        first.map(|first| self.order_from(first)).unwrap_or_default()
    }

    /// One order per input, if each step finds its arrangement.
    fn delta_orders(&self, inputs: &[Plan], names: &dyn Names) -> Option<Vec<Vec<usize>>> {
        let mut orders = Vec::with_capacity(inputs.len());
        for first in 0..inputs.len() {
            let mut order = self.order_from(first);
            let mut placed = BTreeSet::new();
            for (step, input) in order.iter().enumerate() {
                if step > 0 {
                    let bound = self.bound_by(*input, &placed);
                    if bound.is_empty() || !has_arrangement(inputs.get(*input)?, &bound, names) {
                        return None;
                    }
                }
                placed.insert(*input);
            }
            order.remove(0);
            orders.push(order);
        }
        Some(orders)
    }
}

/// Whether a collection is already arranged by these expressions.
fn has_arrangement(input: &Plan, key: &[&Scalar], names: &dyn Names) -> bool {
    let Plan::Get { id: Id::Global(id), .. } = input else { return false };
    let same = |index: &crate::IndexInfo| index.key.len() == key.len() && index.key.iter().all(|part| key.contains(&part));
    names.indexes_of(*id).iter().any(same)
}

fn weight(plan: &Plan) -> u32 {
    match plan {
        Plan::Constant { rows, .. } => rows.as_ref().map_or(0, |rows| u32::try_from(rows.len()).unwrap_or(u32::MAX).min(50)),
        Plan::Get { .. } => 1000,
        Plan::Filter { input, predicates } => {
            let equalities = predicates.iter().filter(|predicate| crate::equality::equality_operands(predicate).is_some()).count();
            let others = predicates.len() - equalities;
            let divided = weight(input) / 20_u32.saturating_pow(u32::try_from(equalities).unwrap_or(3).min(3));
            (divided / 2_u32.saturating_pow(u32::try_from(others).unwrap_or(4).min(4))).max(1)
        }
        Plan::Project { input, .. } | Plan::Map { input, .. } | Plan::Window { input, .. } | Plan::Threshold { input } | Plan::Negate { input } => weight(input),
        Plan::Reduce { input, keys, .. } => if keys.is_empty() { 1 } else { (weight(input) / 3).max(1) },
        Plan::TopK { input, group, .. } => if group.is_empty() { 10 } else { (weight(input) / 3).max(1) },
        Plan::Union { inputs } => inputs.iter().map(weight).fold(0, u32::saturating_add),
        Plan::Join { inputs, .. } => inputs.iter().map(weight).max().unwrap_or(1).saturating_mul(2),
        Plan::FlatMap { input, .. } => weight(input).saturating_mul(5),
        Plan::Let { body, .. } | Plan::LetRec { body, .. } => weight(body),
    }
}

//! One shape for what can be written in many: neighbours of a kind are one node, projections rise, empty and unit relations vanish.

use super::scalars::{shifted, substitute};
use plan::{JoinImplementation, Plan, Scalar};

pub(super) fn normalize(mut plan: Plan) -> Plan {
    normalize_node(&mut plan);
    plan
}

fn normalize_node(plan: &mut Plan) {
    plan.for_each_child_mut(&mut normalize_node);
    // A rewrite may make room for another one at the same node.
    while let Some(next) = step(plan) {
        *plan = next;
    }
}

/// One rewrite of this node, if any applies.
fn step(plan: &mut Plan) -> Option<Plan> {
    match plan {
        Plan::Project { .. } => project(plan),
        Plan::Map { .. } => map(plan),
        Plan::Filter { .. } => filter(plan),
        Plan::Union { .. } => union(plan),
        Plan::Negate { input } => match input.as_mut() {
            Plan::Negate { input } => Some(input.take()),
            inner if inner.is_empty_constant() => Some(inner.take()),
            Plan::Constant { rows: Ok(rows), types } => {
                let rows = rows.iter().map(|(row, diff)| (row.clone(), -diff)).collect();
                Some(Plan::constant(rows, types.clone()))
            }
            Plan::Project { input, outputs } => Some(input.take().negate().project(std::mem::take(outputs))),
            _ => None,
        },
        Plan::Threshold { input } | Plan::TopK { input, .. } if input.is_empty_constant() => Some(input.take()),
        Plan::FlatMap { input, .. } | Plan::Window { input, .. } | Plan::Reduce { input, .. } if input.is_empty_constant() => {
            Some(Plan::empty(plan.column_types()))
        }
        Plan::Join { .. } => join(plan),
        Plan::Let { value, body, .. } if body.is_empty_constant() || value.is_empty_constant() && body.is_empty_constant() => Some(body.take()),
        _ => None,
    }
}

fn project(plan: &mut Plan) -> Option<Plan> {
    let Plan::Project { input, outputs } = plan else { return None };
    if outputs.iter().enumerate().all(|(position, output)| position == *output) && outputs.len() == input.arity() {
        return Some(input.take());
    }
    match input.as_mut() {
        Plan::Project { input: inner, outputs: inner_outputs } => {
            let outputs = outputs.iter().filter_map(|output| inner_outputs.get(*output).copied()).collect();
            Some(inner.take().project(outputs))
        }
        Plan::Map { input: inner, scalars } => {
            // A mapped column that is another column is no column of its own.
            let width = inner.arity();
            let resolve = |mut output: usize| {
                while let Some(Scalar::Column(column)) = output.checked_sub(width).and_then(|position| scalars.get(position)) {
                    output = *column;
                }
                output
            };
            let resolved: Vec<usize> = outputs.iter().map(|output| resolve(*output)).collect();
            if resolved.iter().all(|output| *output < width) {
                return Some(inner.take().project(resolved));
            }
            if resolved != *outputs {
                *outputs = resolved;
            }
            None
        }
        Plan::Constant { rows: Ok(rows), types } => {
            let mut projected = Vec::with_capacity(rows.len());
            let mut builder = repr::RowBuilder::new();
            for (row, diff) in rows.iter() {
                let mut parts = Vec::with_capacity(types.len());
                let mut datums = row.iter();
                while let Some(bytes) = datums.next_encoded() {
                    parts.push(bytes);
                }
                for output in outputs.iter() {
                    builder.push_encoded(parts.get(*output)?);
                }
                projected.push((builder.finish(), *diff));
            }
            let types = outputs.iter().map(|output| types.get(*output).cloned()).collect::<Option<Vec<_>>>()?;
            Some(Plan::constant(projected, types))
        }
        Plan::Union { inputs } => {
            let outputs = outputs.clone();
            Some(Plan::union(std::mem::take(inputs).into_iter().map(|input| input.project(outputs.clone())).collect()))
        }
        _ => None,
    }
}

fn map(plan: &mut Plan) -> Option<Plan> {
    let Plan::Map { input, scalars } = plan else { return None };
    if scalars.is_empty() {
        return Some(input.take());
    }
    match input.as_mut() {
        Plan::Map { input: inner, scalars: inner_scalars } => {
            let mut all = std::mem::take(inner_scalars);
            all.append(scalars);
            Some(inner.take().map(all))
        }
        Plan::Project { input: inner, outputs } => {
            let inner_width = inner.arity();
            let width = outputs.len();
            let scalars = std::mem::take(scalars);
            let count = scalars.len();
            let remapped = scalars
                .into_iter()
                .map(|scalar| shifted(scalar, |column| outputs.get(column).copied().unwrap_or(inner_width + column.saturating_sub(width))))
                .collect();
            let mut all = outputs.clone();
            all.extend(inner_width..inner_width + count);
            Some(inner.take().map(remapped).project(all))
        }
        inner if inner.is_empty_constant() => Some(Plan::empty(plan.column_types())),
        Plan::Constant { rows: Ok(rows), types } if scalars.iter().all(|scalar| matches!(scalar, Scalar::Literal(..))) => {
            let mut types = std::mem::take(types);
            let mut builder = repr::RowBuilder::new();
            let mapped = rows
                .iter()
                .map(|(row, diff)| {
                    builder.push_encoded(row.as_bytes());
                    for scalar in scalars.iter() {
                        if let Scalar::Literal(value, _) = scalar {
                            builder.push_encoded(value.as_bytes());
                        }
                    }
                    (builder.finish(), *diff)
                })
                .collect();
            types.extend(scalars.iter().map(|scalar| scalar.column_type(&[])));
            Some(Plan::constant(mapped, types))
        }
        _ => None,
    }
}

fn filter(plan: &mut Plan) -> Option<Plan> {
    let Plan::Filter { input, predicates } = plan else { return None };
    if predicates.is_empty() {
        return Some(input.take());
    }
    match input.as_mut() {
        Plan::Filter { input: inner, predicates: inner_predicates } => {
            let mut all = std::mem::take(inner_predicates);
            for predicate in std::mem::take(predicates) {
                if !all.contains(&predicate) {
                    all.push(predicate);
                }
            }
            Some(inner.take().filter(all))
        }
        Plan::Project { input: inner, outputs } => {
            let predicates = std::mem::take(predicates);
            let moved = predicates.into_iter().map(|predicate| shifted(predicate, |column| outputs.get(column).copied().unwrap_or(column))).collect();
            Some(inner.take().filter(moved).project(std::mem::take(outputs)))
        }
        inner if inner.is_empty_constant() => Some(inner.take()),
        _ => None,
    }
}

fn union(plan: &mut Plan) -> Option<Plan> {
    let Plan::Union { inputs } = plan else { return None };
    let flat = inputs.iter().any(|input| matches!(input, Plan::Union { .. }) || matches!(input, Plan::Negate { input } if matches!(**input, Plan::Union { .. })));
    let empty = inputs.iter().any(Plan::is_empty_constant);
    if !flat && !empty && inputs.len() != 1 {
        return None;
    }
    let types = inputs.first().map(Plan::column_types).unwrap_or_default();
    let mut out = Vec::with_capacity(inputs.len());
    for input in std::mem::take(inputs) {
        match input {
            Plan::Union { inputs } => out.extend(inputs),
            Plan::Negate { input } => match *input {
                Plan::Union { inputs } => out.extend(inputs.into_iter().map(Plan::negate)),
                other => out.push(other.negate()),
            },
            other => out.push(other),
        }
    }
    out.retain(|input| !input.is_empty_constant());
    Some(match out.len() {
        0 => Plan::empty(types),
        1 => out.pop()?,
        _ => Plan::union(out),
    })
}

fn is_unit(plan: &Plan) -> bool {
    matches!(plan, Plan::Constant { rows: Ok(rows), types } if types.is_empty() && matches!(rows.as_slice(), [(_, 1)]))
}

fn join(plan: &mut Plan) -> Option<Plan> {
    let Plan::Join { inputs, equivalences, implementation } = plan else { return None };
    if *implementation != JoinImplementation::Undecided {
        return None;
    }
    if inputs.iter().any(Plan::is_empty_constant) {
        return Some(Plan::empty(plan.column_types()));
    }
    if equivalences.iter().any(|class| class.len() < 2) {
        equivalences.retain(|class| class.len() >= 2);
    }
    if inputs.len() == 1 && equivalences.is_empty() {
        return inputs.pop();
    }
    if inputs.len() > 1 && inputs.iter().any(is_unit) {
        inputs.retain(|input| !is_unit(input));
        return Some(if inputs.is_empty() { Plan::constant(vec![(repr::Row::empty(), 1)], Vec::new()) } else { plan.take() });
    }
    let mergeable = |input: &Plan| matches!(input, Plan::Join { implementation: JoinImplementation::Undecided, .. });
    // Only projections above joins have to make room; others keep inputs narrow where they are.
    let liftable = |input: &Plan| matches!(input, Plan::Project { input, .. } if mergeable(input));
    if !inputs.iter().any(|input| mergeable(input) || liftable(input)) {
        return None;
    }
    let mut new_inputs = Vec::new();
    let mut new_classes: Vec<Vec<Scalar>> = Vec::new();
    // Where each column of the old join is in the new one.
    let mut outputs = Vec::new();
    let mut width = 0;
    for input in std::mem::take(inputs) {
        let (inner, wanted) = match input {
            Plan::Project { input: inner, outputs } if mergeable(&inner) => (*inner, outputs),
            other => {
                let arity = other.arity();
                (other, (0..arity).collect())
            }
        };
        outputs.extend(wanted.iter().map(|output| width + output));
        let arity = inner.arity();
        match inner {
            Plan::Join { inputs, equivalences, implementation: JoinImplementation::Undecided } => {
                new_inputs.extend(inputs);
                new_classes.extend(equivalences.into_iter().map(|class| class.into_iter().map(|member| shifted(member, |column| column + width)).collect()));
            }
            other => new_inputs.push(other),
        }
        width += arity;
    }
    for class in std::mem::take(equivalences) {
        new_classes.push(class.into_iter().map(|member| shifted(member, |column| outputs.get(column).copied().unwrap_or(column))).collect());
    }
    let joined = Plan::Join { inputs: new_inputs, equivalences: merge_classes(new_classes), implementation: JoinImplementation::Undecided };
    Some(if outputs.len() == width && outputs.iter().enumerate().all(|(position, output)| position == *output) { joined } else { joined.project(outputs) })
}

/// Classes that share a member are one.
pub(super) fn merge_classes(classes: Vec<Vec<Scalar>>) -> Vec<Vec<Scalar>> {
    let mut merged: Vec<Vec<Scalar>> = Vec::with_capacity(classes.len());
    for class in classes {
        let mut class = class;
        let mut kept = Vec::with_capacity(merged.len() + 1);
        for other in merged {
            if other.iter().any(|member| class.contains(member)) {
                for member in other {
                    if !class.contains(&member) {
                        class.push(member);
                    }
                }
            } else {
                kept.push(other);
            }
        }
        class.dedup();
        kept.push(class);
        merged = kept;
    }
    merged
}

/// Replaces columns a Map made by what they are, for an expression above it.
pub(super) fn inline_map(scalar: &mut Scalar, width: usize, scalars: &[Scalar]) {
    substitute(scalar, &|column| match column.checked_sub(width).and_then(|position| scalars.get(position)) {
        Some(mapped) => {
            let mut mapped = mapped.clone();
            inline_map(&mut mapped, width, scalars);
            mapped
        }
        None => Scalar::Column(column),
    });
}

//! Groups that hold one row each are no groups; inputs that only grow say so.

use crate::names::Names;
use plan::aggregate::AggregateKind;
use plan::{Id, LocalId, Plan, Scalar, TableFunction};
use repr::Datum;
use std::collections::HashMap;

/// Removes DISTINCTs, and the groups and checks decorrelation made, where the input's keys prove them needless.
pub(super) fn remove_redundant(mut plan: Plan, names: &dyn Names) -> Plan {
    remove_node(&mut plan, names);
    plan
}

fn remove_node(plan: &mut Plan, names: &dyn Names) {
    plan.for_each_child_mut(&mut |child| remove_node(child, names));
    if let Plan::FlatMap { input, function: TableFunction::AssertOneRow, arguments } = plan {
        let certain = match arguments.as_slice() {
            [Scalar::Literal(row, _)] => matches!(row.get(0), Some(Datum::Int8(..=1))),
            [Scalar::Column(column)] => literal_column(input, *column).is_some_and(|value| value <= 1),
            _ => false,
        };
        if certain {
            *plan = input.take();
        }
        return;
    }
    let Plan::Reduce { input, keys, aggregates, .. } = plan else { return };
    let plain: Option<Vec<usize>> = keys.iter().map(|key| if let Scalar::Column(column) = key { Some(*column) } else { None }).collect();
    let Some(plain) = plain else { return };
    // Bindings are opaque to this proof: their keys are not known here.
    let unique = input.unique_keys(&|id| names.keys_of(id));
    if !unique.iter().any(|key| key.iter().all(|column| plain.contains(column))) {
        return;
    }
    let width = input.arity();
    let mut outputs = plain;
    let mut scalars = Vec::new();
    for aggregate in aggregates.iter() {
        let simple = aggregate.filter.is_none();
        let value = match (aggregate.function.0.kind, aggregate.arguments.as_slice()) {
            (AggregateKind::CountAll, _) if simple => Scalar::literal(Datum::Int8(1), aggregate.column_type.clone()),
            (AggregateKind::AnyValue | AggregateKind::Minimum | AggregateKind::Maximum, [argument]) if simple => argument.clone(),
            _ => return,
        };
        outputs.push(width + scalars.len());
        scalars.push(value);
    }
    let input = input.take();
    *plan = if scalars.is_empty() { input.project(outputs) } else { input.map(scalars).project(outputs) };
}

/// The value of a column that a Map made of a literal.
fn literal_column(plan: &Plan, column: usize) -> Option<i64> {
    match plan {
        Plan::Project { input, outputs } => literal_column(input, *outputs.get(column)?),
        Plan::Filter { input, .. } => literal_column(input, column),
        Plan::Map { input, scalars } => match column.checked_sub(input.arity()) {
            None => literal_column(input, column),
            Some(position) => match scalars.get(position)? {
                Scalar::Literal(row, _) => match row.get(0)? {
                    Datum::Int8(value) => Some(value),
                    _ => None,
                },
                _ => None,
            },
        },
        _ => None,
    }
}

/// Says at Reduce and TopK whether their input only ever grows.
pub(super) fn mark_append_only(mut plan: Plan, names: &dyn Names) -> Plan {
    mark(&mut plan, names, &mut HashMap::new());
    plan
}

/// Whether the plan's rows are never retracted.
fn mark(plan: &mut Plan, names: &dyn Names, locals: &mut HashMap<LocalId, bool>) -> bool {
    match plan {
        Plan::Get { id: Id::Global(id), .. } => names.is_append_only(*id),
        Plan::Get { id: Id::Local(id), .. } => locals.get(id).copied().unwrap_or(false),
        Plan::Constant { rows, .. } => rows.as_ref().is_ok_and(|rows| rows.iter().all(|(_, count)| *count > 0)),
        // Rows leave a filter on time by themselves.
        Plan::Filter { input, predicates } if predicates.iter().any(Scalar::has_logical_timestamp) => {
            mark(input, names, locals);
            false
        }
        Plan::Let { id, value, body } => {
            let grows = mark(value, names, locals);
            locals.insert(*id, grows);
            mark(body, names, locals)
        }
        Plan::LetRec { bindings, body, .. } => {
            bindings.iter_mut().for_each(|binding| {
                mark(&mut binding.value, names, locals);
            });
            mark(body, names, locals)
        }
        Plan::Reduce { input, aggregates, append_only, .. } => {
            *append_only = mark(input, names, locals);
            // A new row changes aggregates; a set of keys only grows.
            *append_only && aggregates.is_empty()
        }
        Plan::TopK { input, append_only, .. } => {
            *append_only = mark(input, names, locals);
            false
        }
        Plan::Negate { input } | Plan::Threshold { input } | Plan::Window { input, .. } => {
            mark(input, names, locals);
            false
        }
        other => {
            let mut grows = true;
            other.for_each_child_mut(&mut |child| grows = mark(child, names, locals) && grows);
            grows
        }
    }
}

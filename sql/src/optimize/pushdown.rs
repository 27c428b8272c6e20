//! Filters move towards the data: through projections, joins, unions and groups, as far as they may.
//!
//! A filter that can fail stays above joins, unions of different things and groups: below, it would see rows it does not see now.

use super::normalize::{inline_map, merge_classes};
use super::scalars::{columns_of, conjuncts, is_repeatable, shifted, substitute};
use crate::equality::{byte_keys, equality_operands};
use plan::{JoinImplementation, Plan, Scalar};
use repr::ColumnType;

pub(super) fn push_filters(plan: Plan) -> Plan {
    push(plan, Vec::new())
}

/// Puts predicates above a plan.
fn above(plan: Plan, predicates: Vec<Scalar>) -> Plan {
    if predicates.is_empty() { plan } else { plan.filter(predicates) }
}

/// Splits off the predicates that hold `test`.
fn split(predicates: Vec<Scalar>, test: impl Fn(&Scalar) -> bool) -> (Vec<Scalar>, Vec<Scalar>) {
    predicates.into_iter().partition(|predicate| test(predicate))
}

/// Pushes predicates, which speak of the plan's columns, into it.
fn push(plan: Plan, mut predicates: Vec<Scalar>) -> Plan {
    match plan {
        Plan::Filter { input, predicates: own } => {
            let mut all = conjuncts(own);
            for predicate in predicates {
                if !all.contains(&predicate) {
                    all.push(predicate);
                }
            }
            push(*input, all)
        }
        Plan::Project { input, outputs } => {
            let moved = predicates.into_iter().map(|predicate| shifted(predicate, |column| outputs.get(column).copied().unwrap_or(column))).collect();
            push(*input, moved).project(outputs)
        }
        Plan::Map { input, scalars } => {
            let width = input.arity();
            let types = input.column_types();
            let cheap = |scalar: &Scalar| matches!(scalar, Scalar::Column(_) | Scalar::Literal(..));
            let (mut down, mut stay) = (Vec::new(), Vec::new());
            for predicate in predicates {
                let used = columns_of(&predicate);
                let inlinable = used.iter().all(|column| *column < width || column.checked_sub(width).and_then(|at| scalars.get(at)).is_some_and(|scalar| cheap(scalar) || once(&predicate, *column, scalar, &types)));
                if inlinable && is_repeatable(&predicate) {
                    let mut inlined = predicate;
                    inline_map(&mut inlined, width, &scalars);
                    down.push(inlined);
                } else {
                    stay.push(predicate);
                }
            }
            above(push(*input, down).map(scalars), stay)
        }
        Plan::FlatMap { input, function, arguments } => {
            let width = input.arity();
            let types = input.column_types();
            let (down, stay) = split(predicates, |predicate| columns_of(predicate).iter().all(|column| *column < width) && !predicate.can_fail_over(&types));
            above(push(*input, down).flat_map(function, arguments), stay)
        }
        Plan::Join { inputs, equivalences, implementation: JoinImplementation::Undecided } => push_join(inputs, equivalences, predicates),
        Plan::Reduce { input, keys, aggregates, append_only } => {
            // A predicate over keys alone holds for a whole group or not at all.
            let types = input.column_types();
            let (mut down, mut stay) = (Vec::new(), Vec::new());
            for predicate in predicates {
                let over_keys = !keys.is_empty() && !columns_of(&predicate).is_empty() && columns_of(&predicate).iter().all(|column| *column < keys.len());
                let mut moved = predicate.clone();
                if over_keys {
                    substitute(&mut moved, &|column| keys.get(column).cloned().unwrap_or(Scalar::Column(column)));
                }
                if over_keys && is_repeatable(&moved) && !moved.can_fail_over(&types) {
                    down.push(moved);
                } else {
                    stay.push(predicate);
                }
            }
            above(Plan::Reduce { input: Box::new(push(*input, down)), keys, aggregates, append_only }, stay)
        }
        Plan::TopK { input, group, order, limit, offset, with_ties, append_only } => {
            let types = input.column_types();
            let (down, stay) = split(predicates, |predicate| {
                let used = columns_of(predicate);
                !used.is_empty() && used.iter().all(|column| group.contains(column)) && !predicate.can_fail_over(&types)
            });
            above(Plan::TopK { input: Box::new(push(*input, down)), group, order, limit, offset, with_ties, append_only }, stay)
        }
        Plan::Window { input, expressions } => {
            let types = input.column_types();
            let (down, stay) = split(predicates, |predicate| {
                let used = columns_of(predicate);
                let in_every_partition = |column: &usize| expressions.iter().all(|window| window.partition.contains(&Scalar::Column(*column)));
                !used.is_empty() && used.iter().all(|column| *column < types.len() && in_every_partition(column)) && !predicate.can_fail_over(&types)
            });
            above(Plan::Window { input: Box::new(push(*input, down)), expressions }, stay)
        }
        Plan::Negate { input } => push(*input, predicates).negate(),
        Plan::Threshold { input } => {
            let types = input.column_types();
            let (down, stay) = split(predicates, |predicate| !predicate.can_fail_over(&types));
            above(push(*input, down).threshold(), stay)
        }
        Plan::Union { inputs } => {
            let cancelling = inputs.iter().any(|input| matches!(input, Plan::Negate { .. }));
            let types = inputs.first().map(Plan::column_types).unwrap_or_default();
            let stay = if cancelling {
                // Below, rows would be seen that cancel out above.
                let (stay, down) = split(predicates, |predicate| predicate.can_fail_over(&types));
                predicates = down;
                stay
            } else {
                Vec::new()
            };
            above(Plan::union(inputs.into_iter().map(|input| push(input, predicates.clone())).collect()), stay)
        }
        Plan::Let { id, value, body } => Plan::Let { id, value: Box::new(push(*value, Vec::new())), body: Box::new(push(*body, predicates)) },
        Plan::LetRec { mut bindings, limit, body } => {
            for binding in &mut bindings {
                binding.value = push(binding.value.take(), Vec::new());
            }
            Plan::LetRec { bindings, limit, body: Box::new(push(*body, predicates)) }
        }
        leaf => above(leaf, predicates),
    }
}

/// Whether an expression a Map makes is used once by the predicate, so that computing it there instead costs no more.
fn once(predicate: &Scalar, column: usize, scalar: &Scalar, types: &[ColumnType]) -> bool {
    let mut uses = 0;
    predicate.for_each_column(&mut |used| uses += usize::from(used == column));
    uses == 1 && is_repeatable(scalar) && !scalar.can_fail_over(types)
}

fn push_join(inputs: Vec<Plan>, equivalences: Vec<Vec<Scalar>>, predicates: Vec<Scalar>) -> Plan {
    let types: Vec<ColumnType> = inputs.iter().flat_map(Plan::column_types).collect();
    let mut starts = Vec::with_capacity(inputs.len() + 1);
    let mut width = 0;
    for input in &inputs {
        starts.push(width);
        width += input.arity();
    }
    let input_of = |column: usize| starts.iter().rposition(|start| *start <= column).unwrap_or(0);
    // The only input an expression speaks of.
    let single = |scalar: &Scalar| -> Option<usize> {
        let mut found = None;
        for column in columns_of(scalar) {
            let input = input_of(column);
            if found.is_some_and(|other| other != input) {
                return None;
            }
            found = Some(input);
        }
        found
    };
    let mut pushed: Vec<Vec<Scalar>> = vec![Vec::new(); inputs.len()];
    let mut classes = equivalences;
    let mut local = Vec::new();
    let mut stay = Vec::new();
    for predicate in predicates {
        if let Some((left, right)) = equality_operands(&predicate)
            && let (Some(left_input), Some(right_input)) = (single(left), single(right))
            && left_input != right_input
            && is_repeatable(&predicate)
        {
            let (left_type, right_type) = (left.column_type(&types), right.column_type(&types));
            if let Some((left_key, right_key)) = byte_keys(left.clone(), &left_type, right.clone(), &right_type) {
                for (operand, operand_type) in [(left, &left_type), (right, &right_type)] {
                    if operand_type.nullable {
                        local.push(operand.clone().is_not_null());
                    }
                }
                classes.push(vec![left_key, right_key]);
                continue;
            }
        }
        if single(&predicate).is_some() && is_repeatable(&predicate) && !predicate.can_fail_over(&types) {
            local.push(predicate);
        } else {
            stay.push(predicate);
        }
    }
    let mut classes = merge_classes(classes);
    // Equal within one input: a filter of that input, which compares bytes as the class does.
    for class in &mut classes {
        class.dedup();
    }
    // What is said of one column holds for the columns that equal it.
    let mut derived = Vec::new();
    for predicate in &local {
        let used = columns_of(predicate);
        let mut columns = used.iter();
        let (Some(column), None) = (columns.next(), columns.next()) else { continue };
        for class in classes.iter().filter(|class| class.contains(&Scalar::Column(*column))) {
            for member in class {
                if let Scalar::Column(other) = member
                    && other != column
                    && types.get(*other).map(|found| &found.scalar) == types.get(*column).map(|found| &found.scalar)
                {
                    derived.push(shifted(predicate.clone(), |_| *other));
                }
            }
        }
    }
    for predicate in local.into_iter().chain(derived) {
        let Some(input) = single(&predicate) else { continue };
        if let (Some(slot), Some(start)) = (pushed.get_mut(input), starts.get(input)) {
            let moved = shifted(predicate, |column| column - start);
            let trivial = not_null_of_not_null(&moved, inputs.get(input));
            if !trivial && !slot.contains(&moved) {
                slot.push(moved);
            }
        }
    }
    let inputs = inputs.into_iter().zip(pushed).map(|(input, predicates)| push(input, predicates)).collect();
    let joined = Plan::Join { inputs, equivalences: classes, implementation: JoinImplementation::Undecided };
    above(joined, stay)
}

/// `x IS NOT NULL` of what is never NULL.
fn not_null_of_not_null(predicate: &Scalar, input: Option<&Plan>) -> bool {
    let Scalar::Call { function, arguments, .. } = predicate else { return false };
    let ("is_not_null", [argument], Some(input)) = (function.0.name, arguments.as_slice(), input) else { return false };
    !argument.column_type(&input.column_types()).nullable
}

//! Joins: inner ones on what both sides carry, outer ones as the matched rows and those without a match.

use super::{Lowered, Lowering};
use crate::equality::{byte_keys, canonical, null};
use crate::error::BindResult;
use crate::hir::{ColumnId, Expression, JoinKind, Relation};
use plan::{JoinImplementation, Plan, Scalar};
use std::collections::BTreeSet;

/// The parts of an ON condition, if rows match by keys alone.
struct KeyMatch {
    left_filter: Vec<Expression>,
    right_filter: Vec<Expression>,
    keys: Vec<(Expression, Expression)>,
}

impl Lowering<'_> {
    /// Joins on the columns both sides have. The left side's columns come first; the right's others follow.
    pub(super) fn join_shared(&mut self, left: Lowered, right: Lowered) -> Lowered {
        if left.is_unit() {
            return right;
        }
        if right.is_unit() {
            return left;
        }
        let width = left.columns.len();
        let mut equivalences = Vec::new();
        let mut outputs: Vec<usize> = (0..width).collect();
        let mut columns = left.columns.clone();
        for (position, id) in right.columns.iter().enumerate() {
            match left.position(*id) {
                Some(other) => equivalences.push(vec![Scalar::Column(other), Scalar::Column(width + position)]),
                None => {
                    outputs.push(width + position);
                    columns.push(*id);
                }
            }
        }
        let whole = outputs.len() == width + right.columns.len();
        let plan = Plan::Join { inputs: vec![left.plan, right.plan], equivalences, implementation: JoinImplementation::Undecided };
        Lowered { plan: if whole { plan } else { plan.project(outputs) }, columns }
    }

    pub(super) fn lower_join(&mut self, left: &Relation, right: &Relation, kind: JoinKind, on: &[Expression], outer: &Lowered) -> BindResult<Lowered> {
        if kind == JoinKind::Right {
            return self.lower_join(right, left, JoinKind::Left, on, outer);
        }
        let left_columns: BTreeSet<ColumnId> = left.columns().into_iter().collect();
        let right_free = self.free_of(right);
        let lateral = right_free.iter().any(|id| left_columns.contains(id));
        let lowered_left = self.lower(left, outer)?;
        if !lateral {
            let lowered_right = self.lower(right, outer)?;
            return match kind {
                JoinKind::Inner => {
                    let (lowered_left, lowered_right) = self.agree(lowered_left, lowered_right, outer);
                    let joined = self.join_shared(lowered_left, lowered_right);
                    self.filter(joined, on, outer)
                }
                _ => self.outer_join(lowered_left, lowered_right, kind, on, outer, true),
            };
        }
        if let (JoinKind::Inner, Relation::FlatMap { input, function, arguments, columns }) = (kind, right)
            && input.is_unit()
        {
            let mapped = self.flat_map(lowered_left, function, arguments, columns, outer)?;
            return self.filter(mapped, on, outer);
        }
        // LATERAL: the left side is what the right one is computed against.
        let attached = self.attach(lowered_left, outer, right_free.iter().copied());
        let (reading, binding) = self.bind(attached);
        let lowered_right = self.lower(right, &reading)?;
        let joined = match kind {
            JoinKind::Inner => {
                let joined = self.join_shared(reading, lowered_right);
                self.filter(joined, on, outer)?
            }
            _ => self.outer_join(reading, lowered_right, JoinKind::Left, on, outer, false)?,
        };
        Ok(binding.around(joined))
    }

    /// Lets one side carry all that the other does, unless one carries a part of the other's: the combinations stay those of the outer relation.
    fn agree(&mut self, left: Lowered, right: Lowered, outer: &Lowered) -> (Lowered, Lowered) {
        let (left_carried, right_carried) = (self.carried(&left, outer), self.carried(&right, outer));
        let left_has_all = right_carried.iter().all(|id| left.has(*id));
        let right_has_all = left_carried.iter().all(|id| right.has(*id));
        if left_has_all || right_has_all {
            return (left, right);
        }
        (self.attach(left, outer, right_carried), right)
    }

    /// LEFT and FULL joins. `independent`: the right side does not refer to the left's own columns.
    fn outer_join(&mut self, left: Lowered, right: Lowered, kind: JoinKind, on: &[Expression], outer: &Lowered, independent: bool) -> BindResult<Lowered> {
        let mut needed: BTreeSet<ColumnId> = BTreeSet::new();
        on.iter().for_each(|predicate| needed.extend(predicate.free_columns()));
        needed.extend(self.carried(&left, outer));
        needed.extend(self.carried(&right, outer));
        needed.retain(|id| outer.has(*id));
        let left = self.attach(left, outer, needed.iter().copied());
        let right = if kind == JoinKind::Full { self.attach(right, outer, needed.iter().copied()) } else { right };
        let (left, left_binding) = self.bind(left);
        let (right, right_binding) = self.bind(right);
        let joined = self.join_shared(left.clone(), right.clone());
        let matched = self.filter(joined, on, outer)?;
        let matched = matched.project(&joined_columns(&left, &right));
        let keys = if independent { self.key_match(&left, &right, on) } else { None };
        let (matched, matched_binding) = if keys.is_some() && kind != JoinKind::Full { (matched, super::Binding(None)) } else { self.bind(matched) };
        let mut branches = vec![matched.plan.clone()];
        let unmatched = self.unmatched(&left, &right, &matched, keys.as_ref(), outer)?;
        branches.push(self.pad(unmatched, &matched, &right));
        if kind == JoinKind::Full {
            let swapped = keys.as_ref().map(|keys| KeyMatch {
                left_filter: keys.right_filter.clone(),
                right_filter: keys.left_filter.clone(),
                keys: keys.keys.iter().map(|(left, right)| (right.clone(), left.clone())).collect(),
            });
            let unmatched = self.unmatched(&right, &left, &matched, swapped.as_ref(), outer)?;
            branches.push(self.pad(unmatched, &matched, &left));
        }
        let union = Lowered { plan: Plan::Union { inputs: branches }, columns: matched.columns };
        Ok(left_binding.around(right_binding.around(matched_binding.around(union))))
    }

    /// The rows of `left` that have no match in `right`.
    fn unmatched(&mut self, left: &Lowered, right: &Lowered, matched: &Lowered, keys: Option<&KeyMatch>, outer: &Lowered) -> BindResult<Lowered> {
        let with_match = match keys {
            Some(keys) => self.matched_by_keys(left, right, keys, outer)?,
            None => {
                let seen = self.distinct_of(matched, &left.columns);
                self.join_shared(left.clone(), seen).project(&left.columns)
            }
        };
        Ok(Lowered { plan: Plan::Union { inputs: vec![left.plan.clone(), with_match.plan.negate()] }, columns: left.columns.clone() })
    }

    /// The rows of `left` whose keys are among those of `right`.
    fn matched_by_keys(&mut self, left: &Lowered, right: &Lowered, keys: &KeyMatch, outer: &Lowered) -> BindResult<Lowered> {
        let left_expressions: Vec<Expression> = keys.keys.iter().map(|(left, _)| left.clone()).collect();
        let right_expressions: Vec<Expression> = keys.keys.iter().map(|(_, right)| right.clone()).collect();
        let mut left_side = self.filter(left.clone(), &keys.left_filter, outer)?;
        let mut right_side = self.filter(right.clone(), &keys.right_filter, outer)?;
        let left_scalars = self.scalars(&left_expressions, &mut left_side, outer)?;
        let right_scalars = self.scalars(&right_expressions, &mut right_side, outer)?;
        let shared: Vec<ColumnId> = right.columns.iter().copied().filter(|id| left.has(*id)).collect();
        let semi = self.semi_join(left_side, left_scalars, right_side, right_scalars, &shared);
        Ok(semi.project(&left.columns))
    }

    /// The rows of `left` for which some row of `right` agrees in the `shared` columns and has SQL-equal keys. Keys must pair up ([`byte_keys`]).
    pub(super) fn semi_join(&mut self, left: Lowered, left_keys: Vec<Scalar>, right: Lowered, right_keys: Vec<Scalar>, shared: &[ColumnId]) -> Lowered {
        let (left_types, right_types) = (left.types(), right.types());
        let width = left.columns.len();
        let right_width = right.columns.len();
        let (mut left_bytes, mut right_bytes) = (Vec::new(), Vec::new());
        let (mut left_present, mut right_present) = (Vec::new(), Vec::new());
        for (left_key, right_key) in left_keys.into_iter().zip(right_keys) {
            let (left_type, right_type) = (left_key.column_type(&left_types), right_key.column_type(&right_types));
            if left_type.nullable {
                left_present.push(left_key.clone().is_not_null());
            }
            if right_type.nullable {
                right_present.push(right_key.clone().is_not_null());
            }
            let (left_key, right_key) = byte_keys(left_key.clone(), &left_type, right_key.clone(), &right_type)
                .unwrap_or_else(|| (canonical(left_key, &left_type), canonical(right_key, &right_type)));
            left_bytes.push(left_key);
            right_bytes.push(right_key);
        }
        let key_count = right_bytes.len();
        let mut key_plan = right.plan.clone();
        if !right_present.is_empty() {
            key_plan = key_plan.filter(right_present);
        }
        key_plan = key_plan.map(right_bytes);
        let mut outputs: Vec<usize> = shared.iter().filter_map(|id| right.position(*id)).collect();
        outputs.extend(right_width..right_width + key_count);
        let key_plan = key_plan.project(outputs).distinct();
        let mut left_plan = left.plan.clone();
        if !left_present.is_empty() {
            left_plan = left_plan.filter(left_present);
        }
        let mut equivalences: Vec<Vec<Scalar>> = Vec::new();
        for (position, id) in shared.iter().enumerate() {
            if let Some(other) = left.position(*id) {
                equivalences.push(vec![Scalar::Column(other), Scalar::Column(width + position)]);
            }
        }
        for (position, key) in left_bytes.into_iter().enumerate() {
            equivalences.push(vec![key, Scalar::Column(width + shared.len() + position)]);
        }
        let plan = Plan::Join { inputs: vec![left_plan, key_plan], equivalences, implementation: JoinImplementation::Undecided };
        Lowered { plan: plan.project((0..width).collect()), columns: left.columns }
    }

    /// Takes ON apart into keys and one-sided conditions, if it is nothing else.
    fn key_match(&mut self, left: &Lowered, right: &Lowered, on: &[Expression]) -> Option<KeyMatch> {
        let mut parts = KeyMatch { left_filter: Vec::new(), right_filter: Vec::new(), keys: Vec::new() };
        for predicate in on {
            if predicate.has_subquery() {
                return None;
            }
            let free = predicate.free_columns();
            if free.iter().all(|id| left.has(*id)) {
                parts.left_filter.push(predicate.clone());
                continue;
            }
            if free.iter().all(|id| right.has(*id)) {
                parts.right_filter.push(predicate.clone());
                continue;
            }
            let Expression::Call { function, arguments, .. } = predicate else { return None };
            let ("=", [first, second]) = (function.0.name, arguments.as_slice()) else { return None };
            let within = |expression: &Expression, side: &Lowered| expression.free_columns().iter().all(|id| side.has(*id));
            let (first, second) = if within(first, left) && within(second, right) {
                (first, second)
            } else if within(second, left) && within(first, right) {
                (second, first)
            } else {
                return None;
            };
            let (first_type, second_type) = (first.column_type(self.columns), second.column_type(self.columns));
            byte_keys(Scalar::Column(0), &first_type, Scalar::Column(0), &second_type)?;
            parts.keys.push((first.clone(), second.clone()));
        }
        Some(parts)
    }

    /// NULLs for the columns of `missing_side` that unmatched rows lack, in the order of the matched rows.
    fn pad(&self, unmatched: Lowered, matched: &Lowered, missing_side: &Lowered) -> Plan {
        let types = missing_side.types();
        let width = unmatched.columns.len();
        let mut nulls = Vec::new();
        let mut outputs = Vec::with_capacity(matched.columns.len());
        for id in &matched.columns {
            match (unmatched.position(*id), missing_side.position(*id).and_then(|position| types.get(position))) {
                (Some(position), _) => outputs.push(position),
                (None, Some(column_type)) => {
                    outputs.push(width + nulls.len());
                    nulls.push(null(column_type));
                }
                // Matched rows have the columns of both sides and no others.
                (None, None) => {}
            }
        }
        unmatched.plan.map(nulls).project(outputs)
    }
}

fn joined_columns(left: &Lowered, right: &Lowered) -> Vec<ColumnId> {
    let mut columns = left.columns.clone();
    columns.extend(right.columns.iter().filter(|id| !left.has(**id)));
    columns
}

//! Which index serves a one-shot read: equality on all key columns is a lookup, on a prefix with a range behind it a range. ORDER BY ... LIMIT reads
//! an index whose order it is, from its first or last key, and no further than it must.

use super::scalars::conjuncts;
use crate::equality::equality_operands;
use crate::names::IndexInfo;
use plan::evaluate::fuse;
use plan::{Access, ColumnOrder, Id, Plan, Scalar};
use repr::{CollectionId, ColumnType};

/// More keys than this in one lookup are read by a scan instead.
const LOOKUP_KEYS_MAX: usize = 1000;

/// Chooses access paths for a one-shot read. The filters stay: the index only leaves out rows they would drop.
pub fn choose_access(plan: Plan, indexes_of: &dyn Fn(CollectionId) -> Vec<IndexInfo>) -> Plan {
    let mut plan = plan;
    choose(&mut plan, indexes_of);
    plan
}

fn choose(plan: &mut Plan, indexes_of: &dyn Fn(CollectionId) -> Vec<IndexInfo>) {
    if let Plan::Filter { input, predicates } = plan
        && let Plan::Get { id: Id::Global(id), types, access } = input.as_mut()
        && *access == Access::Scan
    {
        let parts = conjuncts(predicates.clone());
        let mut best: Option<(usize, Access)> = None;
        for index in indexes_of(*id) {
            if let Some((quality, path)) = path_of(&index, &parts, types)
                && best.as_ref().is_none_or(|(other, _)| quality > *other)
            {
                best = Some((quality, path));
            }
        }
        if let Some((_, path)) = best {
            *access = path;
        }
    }
    plan.for_each_child_mut(&mut |child| choose(child, indexes_of));
    // After its input: what serves the filters there is what an order must be better than.
    if let Plan::TopK { input, group, order, limit: Some(_), with_ties: false, .. } = plan
        && group.is_empty()
        && !order.is_empty()
        && let Some(path) = ordered_path(input, order, indexes_of)
        && let Some(Plan::Get { access, .. }) = get_below(input)
    {
        *access = path;
    }
}

/// The collection at the bottom of a chain.
fn get_below(plan: &mut Plan) -> Option<&mut Plan> {
    match plan {
        Plan::Map { input, .. } | Plan::Filter { input, .. } | Plan::Project { input, .. } => get_below(input),
        Plan::Get { id: Id::Global(_), .. } => Some(plan),
        _ => None,
    }
}

/// The range of an index that gives the rows of `input` in an order, if that is no worse than how they are read so far. Evaluation stops early only
/// above what cannot fail, so below anything else the order is of no use.
fn ordered_path(input: &Plan, order: &[ColumnOrder], indexes_of: &dyn Fn(CollectionId) -> Vec<IndexInfo>) -> Option<Access> {
    let fused = fuse(input);
    let Plan::Get { id: Id::Global(id), types, access } = fused.input else { return None };
    if !fused.cannot_fail() {
        return None;
    }
    let mut columns = Vec::with_capacity(order.len());
    for order in order {
        let column = *fused.outputs.get(order.column)?;
        columns.push((column, types.get(column)?, order.direction));
    }
    let descending = columns.first()?.2.descending;
    // NULLs are last in an index, and first when it is read backwards.
    let in_order = |(_, column_type, direction): &(usize, &ColumnType, repr::SortDirection)| {
        direction.descending == descending && (direction.nulls_first == descending || !column_type.nullable)
    };
    if !columns.iter().all(in_order) {
        return None;
    }
    let parts = filters_of(input);
    // Key columns an order may not lose: those that lead to few rows already.
    let held = match access {
        Access::Scan => 0,
        Access::Lookup { keys, .. } => keys.first().map_or(usize::MAX, Vec::len),
        Access::Range { lower, upper, .. } => shared_prefix(lower.as_ref(), upper.as_ref()),
    };
    let has_range = match access {
        Access::Range { lower, upper, .. } => lower.iter().chain(upper).any(|(values, _)| values.len() > held),
        _ => false,
    };
    let mut best: Option<(usize, Access)> = None;
    for index in indexes_of(*id) {
        let key_columns: Option<Vec<usize>> = index.key.iter().map(|key| if let Scalar::Column(column) = key { Some(*column) } else { None }).collect();
        let Some(key_columns) = key_columns else { continue };
        let mut prefix = Vec::new();
        for key in &index.key {
            match equal_values(key, &key.column_type(types), &parts) {
                Some(mut values) if values.len() == 1 => prefix.append(&mut values),
                _ => break,
            }
        }
        // One row at most needs no order.
        if prefix.len() == index.key.len() && index.unique {
            return None;
        }
        let (fixed, rest) = key_columns.split_at(prefix.len());
        let wanted: Vec<usize> = columns.iter().map(|(column, ..)| *column).filter(|column| !fixed.contains(column)).collect();
        if !rest.starts_with(&wanted) {
            continue;
        }
        let (lower, upper) = index.key.get(prefix.len()).map_or((None, None), |next| range_of(next, &next.column_type(types), &parts));
        let is_bounded = lower.is_some() || upper.is_some();
        if prefix.len() < held || (prefix.len() == held && has_range && !is_bounded) {
            continue;
        }
        let quality = prefix.len() * 2 + usize::from(is_bounded);
        if best.as_ref().is_none_or(|(other, _)| quality > *other) {
            best = Some((quality, Access::Range { index: index.id, lower: extend(&prefix, lower), upper: extend(&prefix, upper), descending }));
        }
    }
    best.map(|(_, path)| path)
}

/// The conditions of a filter that stands directly on a collection: over its columns.
fn filters_of(plan: &Plan) -> Vec<Scalar> {
    match plan {
        Plan::Filter { input, predicates } if matches!(**input, Plan::Get { .. }) => conjuncts(predicates.clone()),
        Plan::Map { input, .. } | Plan::Filter { input, .. } | Plan::Project { input, .. } => filters_of(input),
        _ => Vec::new(),
    }
}

/// How many key columns two bounds hold at one value.
fn shared_prefix(lower: Option<&(Vec<Scalar>, bool)>, upper: Option<&(Vec<Scalar>, bool)>) -> usize {
    let (Some((lower, _)), Some((upper, _))) = (lower, upper) else { return 0 };
    lower.iter().zip(upper).take_while(|(lower, upper)| lower == upper).count()
}

/// A bound on the key column after `prefix`, as one on the whole key.
fn extend(prefix: &[Scalar], bound: Option<(Scalar, bool)>) -> Option<(Vec<Scalar>, bool)> {
    match bound {
        Some((value, inclusive)) => Some((prefix.iter().cloned().chain([value]).collect(), inclusive)),
        None if prefix.is_empty() => None,
        None => Some((prefix.to_vec(), true)),
    }
}

/// A value that is the same for every row: no columns, nothing that may differ from call to call.
fn is_fixed(scalar: &Scalar) -> bool {
    let mut columns = false;
    scalar.for_each_column(&mut |_| columns = true);
    !columns && super::scalars::is_repeatable(scalar)
}

/// The bound as the key's type, if it has that type's encoding.
fn bound_for(value: &Scalar, key_type: &ColumnType) -> Option<Scalar> {
    let value_type = value.column_type(&[]);
    crate::equality::byte_keys(Scalar::Column(0), key_type, value.clone(), &value_type).and_then(|(key, bound)| {
        // The index is over the key as it is: a key that had to be widened is another one.
        let plain = matches!(&key, Scalar::Column(0)) || matches!(&key, Scalar::Call { arguments, .. } if matches!(arguments.as_slice(), [Scalar::Column(0)]));
        plain.then_some(bound)
    })
}

/// Quality (more is better) and path.
fn path_of(index: &IndexInfo, parts: &[Scalar], types: &[ColumnType]) -> Option<(usize, Access)> {
    let mut prefixes: Vec<Vec<Scalar>> = vec![Vec::new()];
    let mut matched = 0;
    for key in &index.key {
        let key_type = key.column_type(types);
        let Some(values) = equal_values(key, &key_type, parts) else { break };
        if prefixes.len().saturating_mul(values.len()) > LOOKUP_KEYS_MAX {
            break;
        }
        prefixes = prefixes.iter().flat_map(|prefix| values.iter().map(move |value| prefix.iter().cloned().chain([value.clone()]).collect())).collect();
        matched += 1;
    }
    if matched == index.key.len() {
        let quality = 1000 + matched * 10 + usize::from(index.unique);
        return Some((quality, Access::Lookup { index: index.id, keys: prefixes }));
    }
    // A range needs one prefix; several would be several ranges.
    let [prefix] = prefixes.as_slice() else { return None };
    let next = index.key.get(matched)?;
    let next_type = next.column_type(types);
    let (lower, upper) = range_of(next, &next_type, parts);
    if matched == 0 && lower.is_none() && upper.is_none() {
        return None;
    }
    let bounded = usize::from(lower.is_some()) + usize::from(upper.is_some());
    let path = Access::Range { index: index.id, lower: extend(prefix, lower), upper: extend(prefix, upper), descending: false };
    Some((matched * 100 + bounded * 10, path))
}

/// The values a key is said to equal.
fn equal_values(key: &Scalar, key_type: &ColumnType, parts: &[Scalar]) -> Option<Vec<Scalar>> {
    for part in parts {
        if let Some((left, right)) = equality_operands(part) {
            let value = if left == key && is_fixed(right) {
                right
            } else if right == key && is_fixed(left) {
                left
            } else {
                continue;
            };
            if let Some(bound) = bound_for(value, key_type) {
                return Some(vec![bound]);
            }
        }
        if let Scalar::InList { value, list, .. } = part
            && value.as_ref() == key
            && list.len() <= LOOKUP_KEYS_MAX
        {
            return Some(list.iter().map(|row| Scalar::Literal(row.clone(), key_type.clone().not_null())).collect());
        }
    }
    None
}

type Bound = Option<(Scalar, bool)>;

/// The tightest-looking bounds of a key: the first of each kind.
fn range_of(key: &Scalar, key_type: &ColumnType, parts: &[Scalar]) -> (Bound, Bound) {
    let (mut lower, mut upper) = (None, None);
    for part in parts {
        let Scalar::Call { function, arguments, .. } = part else { continue };
        let [left, right] = arguments.as_slice() else { continue };
        let (value, operator) = if left == key && is_fixed(right) {
            (right, function.0.name)
        } else if right == key && is_fixed(left) {
            let swapped = match function.0.name {
                "<" => ">",
                "<=" => ">=",
                ">" => "<",
                ">=" => "<=",
                _ => continue,
            };
            (left, swapped)
        } else {
            continue;
        };
        let Some(bound) = bound_for(value, key_type) else { continue };
        match operator {
            ">" => lower = lower.or(Some((bound, false))),
            ">=" => lower = lower.or(Some((bound, true))),
            "<" => upper = upper.or(Some((bound, false))),
            "<=" => upper = upper.or(Some((bound, true))),
            _ => {}
        }
    }
    (lower, upper)
}

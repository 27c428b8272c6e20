//! Which index serves a one-shot read: equality on all key columns is a lookup, on a prefix with a range behind it a range.

use super::scalars::conjuncts;
use crate::equality::equality_operands;
use crate::names::IndexInfo;
use plan::{Access, Id, Plan, Scalar};
use repr::CollectionId;

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
}

/// A value that is the same for every row: no columns, nothing that may differ from call to call.
fn is_fixed(scalar: &Scalar) -> bool {
    let mut columns = false;
    scalar.for_each_column(&mut |_| columns = true);
    !columns && super::scalars::is_repeatable(scalar)
}

/// The bound as the key's type, if it has that type's encoding.
fn bound_for(value: &Scalar, key_type: &repr::ColumnType) -> Option<Scalar> {
    let value_type = value.column_type(&[]);
    crate::equality::byte_keys(Scalar::Column(0), key_type, value.clone(), &value_type).and_then(|(key, bound)| {
        // The index is over the key as it is: a key that had to be widened is another one.
        let plain = matches!(&key, Scalar::Column(0)) || matches!(&key, Scalar::Call { arguments, .. } if matches!(arguments.as_slice(), [Scalar::Column(0)]));
        plain.then_some(bound)
    })
}

/// Quality (more is better) and path.
fn path_of(index: &IndexInfo, parts: &[Scalar], types: &[repr::ColumnType]) -> Option<(usize, Access)> {
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
    let extend = |bound: Option<(Scalar, bool)>| match bound {
        Some((value, inclusive)) => Some((prefix.iter().cloned().chain([value]).collect::<Vec<_>>(), inclusive)),
        None if prefix.is_empty() => None,
        None => Some((prefix.clone(), true)),
    };
    let bounded = usize::from(lower.is_some()) + usize::from(upper.is_some());
    let path = Access::Range { index: index.id, lower: extend(lower), upper: extend(upper), descending: false };
    Some((matched * 100 + bounded * 10, path))
}

/// The values a key is said to equal.
fn equal_values(key: &Scalar, key_type: &repr::ColumnType, parts: &[Scalar]) -> Option<Vec<Scalar>> {
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
fn range_of(key: &Scalar, key_type: &repr::ColumnType, parts: &[Scalar]) -> (Bound, Bound) {
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

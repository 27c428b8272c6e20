//! Which sets of columns are unique in a plan's result.
//!
//! Only used where a wrong *no* costs speed and a wrong *yes* would be a wrong answer, so every rule here is a proof: a rule that needs something the
//! plan does not show does not exist.

use super::{Access, Id, LocalId, Plan, WindowFunction};
use crate::Scalar;
use crate::aggregate::AggregateKind;
use repr::{CollectionId, ColumnType};
use std::collections::{BTreeMap, BTreeSet};

/// More keys of one node than this are not followed: the smallest are kept.
const KEYS_MAX: usize = 8;

type Key = BTreeSet<usize>;

impl Plan {
    /// Sets of columns whose values occur at most once in the result (as bytes, NULL being a value like others). The empty set: at most one row.
    ///
    /// No set contains another; smaller sets come first. `keys_of` says what is known of a global collection, such as its [`repr::Schema::keys`].
    pub fn unique_keys(&self, keys_of: &dyn Fn(CollectionId) -> Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        let keys = Inference { keys_of, locals: BTreeMap::new() }.keys(self);
        keys.into_iter().map(|key| key.into_iter().collect()).collect()
    }
}

struct Inference<'a> {
    keys_of: &'a dyn Fn(CollectionId) -> Vec<Vec<usize>>,
    locals: BTreeMap<LocalId, Vec<Key>>,
}

impl Inference<'_> {
    fn keys(&mut self, plan: &Plan) -> Vec<Key> {
        let keys = match plan {
            Plan::Constant { rows, .. } => match rows {
                Ok(rows) if rows.len() <= 1 && rows.iter().all(|(_, diff)| *diff <= 1) => {
                    vec![Key::new()]
                }
                Ok(_) => Vec::new(),
                Err(_) => vec![Key::new()],
            },
            // A lookup of several keys may name one twice.
            Plan::Get { access: Access::Lookup { keys, .. }, .. } if keys.len() > 1 => Vec::new(),
            Plan::Get { id: Id::Global(id), .. } => (self.keys_of)(*id).into_iter().map(Key::from_iter).collect(),
            Plan::Get { id: Id::Local(id), .. } => self.locals.get(id).cloned().unwrap_or_default(),
            Plan::Let { id, value, body } => {
                let keys = self.keys(value);
                self.locals.insert(*id, keys);
                self.keys(body)
            }
            Plan::LetRec { body, .. } => self.keys(body),
            Plan::Project { input, outputs } => {
                let position = |column: &usize| outputs.iter().position(|output| output == column);
                self.keys(input).iter().filter_map(|key| key.iter().map(position).collect()).collect()
            }
            Plan::Map { input, .. } => self.keys(input),
            Plan::Filter { input, predicates } => {
                let mut constants = Key::new();
                let types = input.column_types();
                predicates.iter().for_each(|predicate| constant_columns(predicate, &types, &mut constants));
                self.keys(input).iter().map(|key| key - &constants).collect()
            }
            Plan::FlatMap { input, function, .. } => {
                let keys = self.keys(input);
                if function.rows_max() == Some(1) {
                    keys
                } else if function.has_ordinality() {
                    let ordinality = plan.arity() - 1;
                    keys.into_iter()
                        .map(|mut key| {
                            key.insert(ordinality);
                            key
                        })
                        .collect()
                } else {
                    Vec::new()
                }
            }
            Plan::Join { inputs, equivalences, .. } => self.join_keys(inputs, equivalences),
            Plan::Reduce { input, keys, aggregates, .. } => {
                let all: Key = (0..keys.len()).collect();
                let mut found: Vec<Key> = Vec::new();
                // A key of the input among the grouping columns is a key of the groups.
                for key in self.keys(input) {
                    let position = |column: &usize| keys.iter().position(|scalar| *scalar == Scalar::Column(*column));
                    found.extend(key.iter().map(position).collect::<Option<Key>>());
                }
                found.push(all.clone());
                // Grouping by canonical(x), any_value(x) stands for its group: canonical(any_value(x)) is the key again.
                let shown = |position: usize| match &keys[position] {
                    Scalar::Call { function, arguments, .. } if function.0.name == "canonical" => {
                        let stands_for = |aggregate: &crate::Aggregate| {
                            aggregate.function.0.kind == AggregateKind::AnyValue && aggregate.arguments == *arguments && aggregate.filter.is_none()
                        };
                        aggregates.iter().position(stands_for).map(|at| keys.len() + at)
                    }
                    _ => None,
                };
                let shown: Key = (0..keys.len()).map(|position| shown(position).unwrap_or(position)).collect();
                if shown != all {
                    found.push(shown);
                }
                found
            }
            Plan::TopK { input, group, limit, offset: _, with_ties, .. } => {
                let mut found = self.keys(input);
                if !with_ties && limit.as_deref().is_some_and(is_one) {
                    found.push(group.iter().copied().collect());
                }
                found
            }
            Plan::Window { input, expressions } => {
                let mut found = self.keys(input);
                let arity = plan.arity() - expressions.len();
                for (position, expression) in expressions.iter().enumerate() {
                    if expression.function == WindowFunction::RowNumber {
                        let column = |scalar: &Scalar| {
                            if let Scalar::Column(column) = scalar { Some(*column) } else { None }
                        };
                        let key: Option<Key> = expression.partition.iter().map(column).collect();
                        found.extend(key.map(|mut key| {
                            key.insert(arity + position);
                            key
                        }));
                    }
                }
                found
            }
            Plan::Negate { .. } => Vec::new(),
            Plan::Threshold { input } => match &**input {
                // What EXCEPT makes: no row is more often there than in the first input, if nothing is negative.
                Plan::Union { inputs } if inputs.iter().skip(1).all(|input| matches!(input, Plan::Negate { .. })) => {
                    inputs.first().map(|input| self.keys(input)).unwrap_or_default()
                }
                input => self.keys(input),
            },
            Plan::Union { inputs } => match &inputs[..] {
                [input] => self.keys(input),
                _ => {
                    let mut inputs = inputs.iter().filter(|input| !input.is_empty_constant());
                    match (inputs.next(), inputs.next()) {
                        (Some(input), None) => self.keys(input),
                        (None, _) => vec![Key::new()],
                        _ => Vec::new(),
                    }
                }
            },
        };
        minimal(keys)
    }

    /// A key of some inputs is a key of the join when it determines a row of every other input: through equivalences that cover one of that input's keys.
    fn join_keys(&mut self, inputs: &[Plan], equivalences: &[Vec<Scalar>]) -> Vec<Key> {
        let mut keys = Vec::with_capacity(inputs.len());
        let mut input_of = Vec::new();
        for (position, input) in inputs.iter().enumerate() {
            let offset = input_of.len();
            keys.push(self.keys(input).iter().map(|key| key.iter().map(|column| column + offset).collect()).collect::<Vec<Key>>());
            input_of.extend(std::iter::repeat_n(position, input.arity()));
        }
        if keys.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        // A member known from the rows of the determined inputs (a constant is known from none) gives the columns of its class.
        let is_known = |scalar: &Scalar, determined: &[bool]| {
            let mut known = true;
            scalar.for_each_column(&mut |column| known &= determined[input_of[column]]);
            known
        };
        let close = |determined: &mut [bool]| loop {
            let known: Key = equivalences
                .iter()
                .filter(|class| class.iter().any(|scalar| is_known(scalar, determined)))
                .flatten()
                .filter_map(|scalar| if let Scalar::Column(column) = scalar { Some(*column) } else { None })
                .collect();
            let next = (0..inputs.len()).find(|&input| !determined[input] && keys[input].iter().any(|key| key.is_subset(&known)));
            match next {
                Some(input) => determined[input] = true,
                None => break,
            }
        };
        let mut found = Vec::new();
        for start in 0..inputs.len() {
            for key in &keys[start] {
                let mut determined = vec![false; inputs.len()];
                determined[start] = true;
                let mut key = key.clone();
                close(&mut determined);
                while let Some(next) = determined.iter().position(|determined| !determined) {
                    key.extend(&keys[next][0]);
                    determined[next] = true;
                    close(&mut determined);
                }
                found.push(key);
            }
        }
        found
    }
}

/// Columns that have one and the same value, byte for byte, in every row for which `predicate` is true.
fn constant_columns(predicate: &Scalar, types: &[ColumnType], out: &mut Key) {
    match predicate {
        Scalar::And(conjuncts) => conjuncts.iter().for_each(|conjunct| constant_columns(conjunct, types, out)),
        Scalar::Call { function, arguments, .. } if function.0.name == "=" => {
            if let [Scalar::Column(column), other] | [other, Scalar::Column(column)] = &arguments[..]
                && matches!(other, Scalar::Literal(..) | Scalar::Parameter(..))
                && types.get(*column).is_some_and(|column_type| !column_type.scalar.needs_canonical_key())
            {
                out.insert(*column);
            }
        }
        _ => {}
    }
}

fn is_one(limit: &Scalar) -> bool {
    match limit {
        Scalar::Literal(row, _) => matches!(row.get(0), Some(repr::Datum::Int8(..=1) | repr::Datum::Int4(..=1))),
        _ => false,
    }
}

/// Drops keys that contain another; the smallest first.
fn minimal(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_by(|left, right| left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
    let mut found: Vec<Key> = Vec::new();
    for key in keys {
        if found.len() < KEYS_MAX && !found.iter().any(|smaller| smaller.is_subset(&key)) {
            found.push(key);
        }
    }
    found
}

#[cfg(test)]
mod tests;

//! Columns nobody reads are dropped as early as possible.

use super::scalars::{columns_of, shifted};
use plan::{Id, LocalId, Plan, Scalar};
use std::collections::{BTreeSet, HashMap};

type Demand = BTreeSet<usize>;

pub(super) fn drop_unused(plan: Plan) -> Plan {
    let all = (0..plan.arity()).collect();
    Narrowing::default().narrow(plan, &all)
}

#[derive(Default)]
struct Narrowing {
    /// What the body of a Let reads of its value.
    locals: HashMap<LocalId, Demand>,
}

fn everything(plan: &Plan) -> Demand {
    (0..plan.arity()).collect()
}

/// The position of a column among those that are kept.
fn rank(kept: &Demand, column: usize) -> usize {
    kept.range(..column).count()
}

fn keep(plan: Plan, has: &Demand, wanted: &Demand) -> Plan {
    if has == wanted { plan } else { plan.project(wanted.iter().map(|column| rank(has, *column)).collect()) }
}

fn remap(scalar: Scalar, kept: &Demand) -> Scalar {
    let positions: HashMap<usize, usize> = kept.iter().enumerate().map(|(position, column)| (*column, position)).collect();
    shifted(scalar, |column| positions.get(&column).copied().unwrap_or(column))
}

impl Narrowing {
    /// The plan with exactly the demanded columns, in ascending order.
    fn narrow(&mut self, plan: Plan, demand: &Demand) -> Plan {
        match plan {
            Plan::Get { id: Id::Local(id), types, access } => {
                self.locals.entry(id).or_default().extend(demand);
                // Always with a projection, which is rewritten when the value has been narrowed.
                Plan::Get { id: Id::Local(id), types, access }.project(demand.iter().copied().collect())
            }
            leaf @ (Plan::Get { .. } | Plan::Constant { .. }) => {
                let all = everything(&leaf);
                keep(leaf, &all, demand)
            }
            Plan::Project { input, outputs } => {
                let inner: Demand = demand.iter().filter_map(|column| outputs.get(*column).copied()).collect();
                let narrowed = self.narrow(*input, &inner);
                narrowed.project(demand.iter().filter_map(|column| outputs.get(*column)).map(|output| rank(&inner, *output)).collect())
            }
            Plan::Map { input, scalars } => self.narrow_map(*input, scalars, demand),
            Plan::Filter { input, predicates } => {
                let mut inner = demand.clone();
                predicates.iter().for_each(|predicate| inner.extend(columns_of(predicate)));
                let predicates = predicates.into_iter().map(|predicate| remap(predicate, &inner)).collect();
                let filtered = self.narrow(*input, &inner).filter(predicates);
                keep(filtered, &inner, demand)
            }
            Plan::FlatMap { input, function, arguments } => {
                let width = input.arity();
                let made = function.columns().len();
                let mut inner: Demand = demand.iter().copied().filter(|column| *column < width).collect();
                arguments.iter().for_each(|argument| inner.extend(columns_of(argument)));
                let arguments = arguments.into_iter().map(|argument| remap(argument, &inner)).collect();
                let mut has = inner.clone();
                has.extend(width..width + made);
                keep(self.narrow(*input, &inner).flat_map(function, arguments), &has, demand)
            }
            Plan::Join { inputs, equivalences, implementation } => {
                let mut needed = demand.clone();
                equivalences.iter().flatten().for_each(|member| needed.extend(columns_of(member)));
                let mut start = 0;
                let mut narrowed = Vec::with_capacity(inputs.len());
                for input in inputs {
                    let arity = input.arity();
                    let inner: Demand = needed.range(start..start + arity).map(|column| column - start).collect();
                    narrowed.push(self.narrow(input, &inner));
                    start += arity;
                }
                let equivalences = equivalences.into_iter().map(|class| class.into_iter().map(|member| remap(member, &needed)).collect()).collect();
                keep(Plan::Join { inputs: narrowed, equivalences, implementation }, &needed, demand)
            }
            Plan::Reduce { input, keys, aggregates, append_only } => {
                let key_count = keys.len();
                let mut has: Demand = (0..key_count).collect();
                let mut kept = Vec::new();
                for (position, aggregate) in aggregates.into_iter().enumerate() {
                    if demand.contains(&(key_count + position)) {
                        has.insert(key_count + position);
                        kept.push(aggregate);
                    }
                }
                let mut inner = Demand::new();
                keys.iter().for_each(|key| inner.extend(columns_of(key)));
                kept.iter().for_each(|aggregate| aggregate.for_each_scalar(&mut |scalar| inner.extend(columns_of(scalar))));
                let keys = keys.into_iter().map(|key| remap(key, &inner)).collect();
                for aggregate in &mut kept {
                    aggregate.for_each_scalar_mut(&mut |scalar| *scalar = remap(scalar.clone(), &inner));
                }
                let reduced = Plan::Reduce { input: Box::new(self.narrow(*input, &inner)), keys, aggregates: kept, append_only };
                keep(reduced, &has, demand)
            }
            // Rows that tie are told apart by all of their columns.
            Plan::TopK { input, group, order, limit, offset, with_ties, append_only } => {
                let all = everything(&input);
                let input = Box::new(self.narrow(*input, &all));
                keep(Plan::TopK { input, group, order, limit, offset, with_ties, append_only }, &all, demand)
            }
            Plan::Window { input, expressions } => {
                let width = input.arity();
                let mut has = everything(&input);
                let input = self.narrow(*input, &has);
                let mut kept = Vec::new();
                for (position, window) in expressions.into_iter().enumerate() {
                    if demand.contains(&(width + position)) {
                        has.insert(width + position);
                        kept.push(window);
                    }
                }
                let plan = if kept.is_empty() { input } else { Plan::Window { input: Box::new(input), expressions: kept } };
                keep(plan, &has, demand)
            }
            Plan::Negate { input } => self.narrow(*input, demand).negate(),
            Plan::Threshold { input } => {
                let all = everything(&input);
                keep(self.narrow(*input, &all).threshold(), &all, demand)
            }
            Plan::Union { inputs } => Plan::union(inputs.into_iter().map(|input| self.narrow(input, demand)).collect()),
            Plan::Let { id, value, body } => {
                let mut body = self.narrow(*body, demand);
                let wanted = self.locals.remove(&id).unwrap_or_default();
                let value = self.narrow(*value, &wanted);
                let types = value.column_types();
                narrow_reads(&mut body, id, &wanted, &types);
                Plan::Let { id, value: Box::new(value), body: Box::new(body) }
            }
            Plan::LetRec { mut bindings, limit, body } => {
                let body = self.narrow(*body, demand);
                for binding in &mut bindings {
                    let all = everything(&binding.value);
                    binding.value = self.narrow(binding.value.take(), &all);
                }
                for binding in &bindings {
                    self.locals.remove(&binding.id);
                }
                Plan::LetRec { bindings, limit, body: Box::new(body) }
            }
        }
    }

    fn narrow_map(&mut self, input: Plan, scalars: Vec<Scalar>, demand: &Demand) -> Plan {
        let width = input.arity();
        let mut needed = demand.clone();
        for (position, scalar) in scalars.iter().enumerate().rev() {
            if needed.contains(&(width + position)) {
                needed.extend(columns_of(scalar));
            }
        }
        let inner: Demand = needed.range(..width).copied().collect();
        let mut kept = Vec::new();
        for (position, scalar) in scalars.into_iter().enumerate() {
            if needed.contains(&(width + position)) {
                kept.push(remap(scalar, &needed));
            }
        }
        let narrowed = self.narrow(input, &inner);
        let mapped = if kept.is_empty() { narrowed } else { narrowed.map(kept) };
        keep(mapped, &needed, demand)
    }
}

/// Points the reads of a binding at the columns it has left.
fn narrow_reads(plan: &mut Plan, id: LocalId, kept: &Demand, kept_types: &[repr::ColumnType]) {
    if let Plan::Project { input, outputs } = plan
        && let Plan::Get { id: Id::Local(read), types, .. } = input.as_mut()
        && *read == id
    {
        *types = kept_types.to_vec();
        for output in outputs {
            *output = rank(kept, *output);
        }
        return;
    }
    plan.for_each_child_mut(&mut |child| narrow_reads(child, id, kept, kept_types));
}

//! From a plan to its prepared form.

use super::fuse::fuse;
use super::guard::{Guard, Kept, consolidate};
use super::join::{Join, JoinClass, JoinInput};
use super::mapper::{Constants, Mapper};
use super::node::{Env, FlatMap, Lookup, Node, Range, Source};
use super::reduce::{Method, Reduce, Reducer};
use super::top_k::{OrderedInput, TopK};
use super::window::Window;
use super::{Context, Inputs};
use crate::relation::{Access, ColumnOrder, Id, JoinImplementation, LocalId};
use crate::vector::Step;
use crate::{Plan, Scalar};
use repr::{ColumnType, Diff, EvalError, Row, RowBuilder, SortDirection};
use std::cell::RefCell;
use std::collections::HashMap;

/// A plan compiled once and run any number of times: expressions are compiled, buffers are kept. What depends on the context (`now()`, the
/// time zone) is compiled in, so a plan with such expressions is prepared anew for each statement.
pub struct PreparedPlan {
    root: Node,
    slots: usize,
    context: Context,
    /// Rows of the root come as they are: none has a negative multiplicity.
    positive: bool,
}

impl PreparedPlan {
    pub fn new(plan: &Plan, context: &Context) -> PreparedPlan {
        let mut preparer = Preparer { context, slots: 0, locals: HashMap::new(), uses: HashMap::new() };
        let positive = !preparer.may_be_negative(plan);
        let root = preparer.node(plan);
        PreparedPlan { root, slots: preparer.slots, context: context.clone(), positive }
    }

    /// Sets the parameters, `$1` first. They stay until they are bound again.
    pub fn bind(&mut self, parameters: &Row) -> Result<(), EvalError> {
        self.root.bind(parameters)
    }

    /// Limits of the runs to come; nothing else of a context can change.
    pub fn set_limits(&mut self, memory_bytes_max: Option<usize>, cancelled: Option<std::sync::Arc<std::sync::atomic::AtomicBool>>) {
        self.context.memory_bytes_max = memory_bytes_max;
        self.context.cancelled = cancelled;
    }

    /// Runs the plan: each row once, with a multiplicity that is not zero, ascending.
    pub fn run(&mut self, inputs: &dyn Inputs) -> Result<Vec<(Row, Diff)>, EvalError> {
        let guard = Guard::new(&self.context);
        guard.check_cancelled()?;
        let env = Env { inputs, guard: &guard, locals: RefCell::new(vec![None; self.slots]) };
        let mut kept = Kept::new(&guard);
        self.root.run(&env, &mut |row, diff| kept.push(row, diff).map(|()| true))?;
        let mut rows = std::mem::take(&mut kept.rows);
        consolidate(&mut rows);
        Ok(rows)
    }

    /// Runs the plan and hands rows on as they come: in no particular order, and the same row perhaps more than once, always with a positive
    /// multiplicity. What was handed on before an error came does not count. `emit` returns false when it has enough.
    ///
    /// A plan that subtracts is run whole first; then a row with a negative multiplicity is an internal error.
    pub fn stream(&mut self, inputs: &dyn Inputs, emit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        if !self.positive {
            for (row, diff) in self.run(inputs)? {
                if diff < 0 {
                    return Err(EvalError::new(repr::SqlState::INTERNAL_ERROR, format!("the result has a row {diff} times: {row:?}")));
                }
                if !emit(row.as_bytes(), diff) {
                    break;
                }
            }
            return Ok(());
        }
        let guard = Guard::new(&self.context);
        guard.check_cancelled()?;
        let env = Env { inputs, guard: &guard, locals: RefCell::new(vec![None; self.slots]) };
        self.root.run(&env, &mut |row, diff| Ok(emit(row, diff)))?;
        Ok(())
    }
}

struct Local {
    slot: usize,
    may_be_negative: bool,
}

struct Preparer<'a> {
    context: &'a Context,
    slots: usize,
    locals: HashMap<LocalId, Local>,
    uses: HashMap<LocalId, usize>,
}

impl Preparer<'_> {
    fn node(&mut self, plan: &Plan) -> Node {
        match plan {
            Plan::Constant { rows, .. } => Node::Constant(rows.clone()),
            Plan::Get { id: Id::Local(id), .. } => {
                *self.uses.entry(*id).or_default() += 1;
                Node::Local(self.locals.get(id).map_or(usize::MAX, |local| local.slot))
            }
            Plan::Get { id: Id::Global(id), access, .. } => match access {
                Access::Scan => Node::Scan(*id),
                Access::Lookup { index, keys } => Node::Lookup(Lookup {
                    id: *id,
                    index: *index,
                    canonical: keys.iter().flatten().any(|key| key.column_type(&[]).scalar.needs_canonical_key()),
                    keys: keys.iter().map(|key| Constants::new(key, self.context)).collect(),
                }),
                Access::Range { index, lower, upper, descending } => {
                    let bound = |bound: &Option<(Vec<Scalar>, bool)>| {
                        bound.as_ref().map(|(values, inclusive)| (Constants::new(values, self.context), *inclusive))
                    };
                    Node::Range(Range { id: *id, index: *index, lower: bound(lower), upper: bound(upper), descending: *descending })
                }
            },
            Plan::Let { id, value, body } => {
                let slot = self.slots;
                self.slots += 1;
                let may_be_negative = self.may_be_negative(value);
                self.locals.insert(*id, Local { slot, may_be_negative });
                let body = self.node(body);
                if !self.uses.contains_key(id) {
                    return body;
                }
                Node::Let { slot, value: Box::new(self.node(value)), body: Box::new(body) }
            }
            Plan::LetRec { bindings, limit, body } => {
                let first = self.slots;
                self.slots += bindings.len();
                for (position, binding) in bindings.iter().enumerate() {
                    self.locals.insert(binding.id, Local { slot: first + position, may_be_negative: true });
                }
                let values = bindings.iter().enumerate().map(|(position, binding)| (first + position, self.node(&binding.value))).collect();
                Node::LetRec { bindings: values, limit: *limit, body: Box::new(self.node(body)) }
            }
            Plan::Project { .. } | Plan::Map { .. } | Plan::Filter { .. } => self.chain(plan),
            Plan::FlatMap { input, function, arguments } => Node::FlatMap(Box::new(FlatMap {
                source: self.select(input, arguments, true, false),
                function: function.clone(),
                arguments: arguments.len(),
                time_zone: self.context.text.time_zone,
                out: RowBuilder::new(),
            })),
            Plan::Join { inputs, equivalences, implementation } => self.join(inputs, equivalences, implementation),
            Plan::Reduce { input, keys, aggregates, .. } => {
                let types = input.column_types();
                let argument_is_canonical = |aggregate: &crate::Aggregate| {
                    aggregate.arguments.iter().all(|argument| !argument.column_type(&types).scalar.needs_canonical_key())
                };
                let reducers: Vec<Reducer> = aggregates.iter().map(|aggregate| Reducer::new(aggregate, argument_is_canonical(aggregate))).collect();
                let mut scalars = keys.clone();
                aggregates.iter().for_each(|aggregate| scalars.extend(aggregate.inputs()));
                let linear = reducers.iter().all(|reducer| reducer.method == Method::Sum);
                let source = self.select(input, &scalars, false, !linear);
                Node::Reduce(Box::new(Reduce { source, keys: keys.len(), aggregates: reducers }))
            }
            Plan::TopK { input, group, order, limit, offset, with_ties, .. } => {
                let source = Source { input: self.positive(input), mapper: None };
                let limit = limit.as_ref().map(|limit| Constants::new(std::slice::from_ref(limit), self.context));
                let ordered = if group.is_empty() { ordered_input(input, order) } else { None };
                Node::TopK(Box::new(TopK {
                    source,
                    group: group.clone(),
                    order: order.clone(),
                    limit,
                    offset: *offset,
                    with_ties: *with_ties,
                    ordered,
                }))
            }
            Plan::Window { input, expressions } => {
                let scalars: Vec<Scalar> =
                    expressions.iter().flat_map(|expression| expression.partition.iter().cloned().chain(expression.inputs())).collect();
                let source = self.select(input, &scalars, true, true);
                Node::Window(Box::new(Window::new(source, expressions, self.context)))
            }
            Plan::Negate { input } => Node::Negate(Box::new(self.node(input))),
            Plan::Threshold { input } => Node::Consolidate { input: Box::new(self.node(input)), positive: true },
            Plan::Union { inputs } => Node::Union(inputs.iter().map(|input| self.node(input)).collect()),
        }
    }

    fn chain(&mut self, plan: &Plan) -> Node {
        let fused = fuse(plan);
        if fused.is_identity() {
            return self.node(fused.input);
        }
        let input = if fused.cannot_fail() { self.node(fused.input) } else { self.settled(fused.input) };
        let mapper = Mapper::new(&fused.input.column_types(), fused.steps, fused.outputs, self.context);
        Node::Source(Box::new(Source { input, mapper: Some(mapper) }))
    }

    /// A node for an operator that may fail: rows that are taken away again do not get there.
    fn settled(&mut self, plan: &Plan) -> Node {
        let negative = self.may_be_negative(plan);
        let node = self.node(plan);
        if negative { Node::Consolidate { input: Box::new(node), positive: false } } else { node }
    }

    /// A node whose rows have positive multiplicities, each row once if it would not be positive otherwise.
    fn positive(&mut self, plan: &Plan) -> Node {
        let negative = self.may_be_negative(plan);
        let node = self.node(plan);
        if negative { Node::Consolidate { input: Box::new(node), positive: true } } else { node }
    }

    /// The values of `scalars` over the plan's rows, followed by the row itself if it is wanted.
    fn select(&mut self, plan: &Plan, scalars: &[Scalar], with_row: bool, positive: bool) -> Source {
        let fused = fuse(plan);
        // Into the chain below only where nobody can tell which of its columns are computed.
        let can_fail = !fused.cannot_fail() || scalars.iter().any(Scalar::can_fail);
        let merge = fused.maps_cannot_fail() && !((positive || can_fail) && self.may_be_negative(plan));
        let (input, types, mut steps, chain_outputs, scalars): (Node, Vec<ColumnType>, Vec<Step>, Vec<usize>, Vec<Scalar>) = if merge {
            let scalars = scalars.iter().map(|scalar| fused.over_chain(scalar)).collect();
            (self.node(fused.input), fused.input.column_types(), fused.steps, fused.outputs, scalars)
        } else {
            let node = if positive { self.positive(plan) } else if can_fail { self.settled(plan) } else { self.node(plan) };
            (node, plan.column_types(), Vec::new(), (0..plan.arity()).collect(), scalars.to_vec())
        };
        let mut next = types.len() + steps.iter().map(|step| if let Step::Map(scalars) = step { scalars.len() } else { 0 }).sum::<usize>();
        let mut mapped = Vec::new();
        let mut outputs = Vec::new();
        for scalar in scalars {
            match scalar {
                Scalar::Column(column) => outputs.push(column),
                scalar => {
                    mapped.push(scalar);
                    outputs.push(next);
                    next += 1;
                }
            }
        }
        if !mapped.is_empty() {
            steps.push(Step::Map(mapped));
        }
        if with_row {
            outputs.extend(chain_outputs);
        }
        let identity = steps.is_empty() && outputs.len() == types.len() && outputs.iter().enumerate().all(|(position, &output)| position == output);
        Source { input, mapper: (!identity).then(|| Mapper::new(&types, steps, outputs, self.context)) }
    }

    fn join(&mut self, inputs: &[Plan], equivalences: &[Vec<Scalar>], implementation: &JoinImplementation) -> Node {
        let mut input_of = Vec::new();
        let mut offsets = Vec::new();
        for (position, input) in inputs.iter().enumerate() {
            offsets.push(input_of.len());
            input_of.extend(std::iter::repeat_n(position, input.arity()));
        }
        let owner = |scalar: &Scalar| {
            let mut owner = None;
            scalar.for_each_column(&mut |column| owner = input_of.get(column).copied());
            owner
        };
        // The members of each class by input; what has no columns goes with the first input of its class.
        let mut members: Vec<HashMap<usize, Vec<Scalar>>> = Vec::new();
        for class in equivalences {
            let first = class.iter().find_map(owner).unwrap_or(0);
            let mut by_input: HashMap<usize, Vec<Scalar>> = HashMap::new();
            for scalar in class {
                let input = owner(scalar).unwrap_or(first);
                let mut scalar = scalar.clone();
                scalar.remap_columns(&mut |column| column - offsets[input]);
                by_input.entry(input).or_default().push(scalar);
            }
            members.push(by_input);
        }
        let order = join_order(inputs, &members, implementation);
        let mut met = vec![false; equivalences.len()];
        let mut joined = Vec::with_capacity(inputs.len());
        for position in order {
            let mut classes = Vec::new();
            let mut scalars = Vec::new();
            for (class, by_input) in members.iter().enumerate() {
                if let Some(own) = by_input.get(&position) {
                    classes.push(JoinClass { class, members: own.len(), shared: met[class] });
                    scalars.extend(own.iter().cloned());
                    met[class] = true;
                }
            }
            joined.push(JoinInput { position, source: self.select(&inputs[position], &scalars, true, false), classes });
        }
        Node::Join(Box::new(Join { inputs: joined, classes: equivalences.len() }))
    }

    /// Whether a row of the plan may come with a negative multiplicity, before what belongs to it has been added up.
    fn may_be_negative(&self, plan: &Plan) -> bool {
        self.may_be_negative_under(plan, &mut Vec::new())
    }

    /// `bindings` are those inside the plan that have been seen on the way down.
    fn may_be_negative_under(&self, plan: &Plan, bindings: &mut Vec<(LocalId, bool)>) -> bool {
        match plan {
            Plan::Constant { rows, .. } => rows.as_ref().is_ok_and(|rows| rows.iter().any(|(_, diff)| *diff < 0)),
            Plan::Get { id: Id::Global(_), .. } => false,
            Plan::Get { id: Id::Local(id), .. } => match bindings.iter().rev().find(|(binding, _)| binding == id) {
                Some((_, negative)) => *negative,
                None => self.locals.get(id).is_none_or(|local| local.may_be_negative),
            },
            Plan::Let { id, value, body } => {
                let negative = self.may_be_negative_under(value, bindings);
                bindings.push((*id, negative));
                let negative = self.may_be_negative_under(body, bindings);
                bindings.pop();
                negative
            }
            Plan::Reduce { .. } | Plan::TopK { .. } | Plan::Window { .. } | Plan::Threshold { .. } => false,
            Plan::Negate { .. } | Plan::LetRec { .. } => true,
            _ => {
                let mut negative = false;
                plan.for_each_child(&mut |child| negative = negative || self.may_be_negative_under(child, bindings));
                negative
            }
        }
    }
}

/// How many rows a plan may have, roughly: an order of magnitude between neighbours.
fn size_class(plan: &Plan) -> u32 {
    match plan {
        Plan::Constant { .. } | Plan::Get { access: Access::Lookup { .. }, .. } => 0,
        Plan::Reduce { keys, .. } if keys.is_empty() => 0,
        Plan::TopK { group, limit: Some(_), .. } if group.is_empty() => 1,
        Plan::Get { access: Access::Range { .. }, .. } => 2,
        Plan::Get { .. } => 4,
        Plan::Let { body, .. } | Plan::LetRec { body, .. } => size_class(body),
        _ => {
            let mut class = 0;
            plan.for_each_child(&mut |child| class = class.max(size_class(child)));
            if matches!(plan, Plan::Reduce { .. }) { class.min(3) } else { class }
        }
    }
}

/// The largest input streams (the first of equals); then the planned order, or always an input that shares something with those before it.
fn join_order(inputs: &[Plan], members: &[HashMap<usize, Vec<Scalar>>], implementation: &JoinImplementation) -> Vec<usize> {
    let largest = (0..inputs.len()).rev().max_by_key(|&position| size_class(&inputs[position]));
    let preferred: Vec<usize> = match implementation {
        JoinImplementation::Linear { order } => order.clone(),
        JoinImplementation::Delta { orders } => largest.map(|first| orders.get(first).cloned().unwrap_or_default()).unwrap_or_default(),
        JoinImplementation::Undecided => Vec::new(),
    };
    let mut remaining: Vec<usize> = preferred.into_iter().chain(0..inputs.len()).collect();
    let mut order: Vec<usize> = largest.into_iter().collect();
    remaining.retain(|position| *position < inputs.len() && !order.contains(position));
    while let Some(&first) = remaining.first() {
        let connected =
            |candidate: &usize| members.iter().any(|class| class.contains_key(candidate) && order.iter().any(|joined| class.contains_key(joined)));
        let next = remaining.iter().copied().find(connected).unwrap_or(first);
        order.push(next);
        remaining.retain(|position| *position != next);
    }
    order
}

/// Whether the input of a TopK comes from a range of an index in one direction, through a chain that cannot fail and leaves the sort columns as they are.
fn ordered_input(input: &Plan, order: &[ColumnOrder]) -> Option<OrderedInput> {
    let fused = fuse(input);
    let Plan::Get { id: Id::Global(id), access: Access::Range { index, lower, upper, descending }, types } = fused.input else {
        return None;
    };
    if !fused.cannot_fail() {
        return None;
    }
    let wanted = SortDirection { descending: *descending, nulls_first: *descending };
    let column = |order: &ColumnOrder| {
        let column = fused.outputs[order.column];
        let column_type = types.get(column)?;
        // Where there are no NULLs it does not matter where they would be.
        let fits = order.direction == wanted || (order.direction.descending == *descending && !column_type.nullable);
        fits.then_some(column)
    };
    let columns = order.iter().map(column).collect::<Option<Vec<usize>>>()?;
    let fixed = match (lower, upper) {
        (Some((lower, _)), Some((upper, _))) => lower.iter().zip(upper).take_while(|(lower, upper)| lower == upper).count(),
        _ => 0,
    };
    Some(OrderedInput { id: *id, index: *index, columns, fixed })
}

/// Sessions keep prepared plans and move between threads.
const fn assert_send<T: Send>() {}
const _: () = assert_send::<PreparedPlan>();

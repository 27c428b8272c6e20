//! A plan, node by node.

use super::Time;
use super::bundle::{Arrangement, Bundle};
use super::join::Classes;
use super::operators::{self, Rows};
use super::stage::Linear;
use super::trace::own;
use crate::layout::Shape;
use plan::aggregate::Strategy;
use plan::{Context, Id, JoinImplementation, LocalId, Plan, Scalar};
use repr::{CollectionId, ColumnType, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::source;

/// Renders plans into one scope.
pub struct Renderer<'scope, 'p, T: Time> {
    pub scope: Scope<'scope, T>,
    pub context: &'p Context,
    /// When constants appear.
    pub as_of: u64,
    pub globals: BTreeMap<CollectionId, Bundle<'scope, T>>,
    pub locals: BTreeMap<LocalId, Bundle<'scope, T>>,
    /// Bindings whose rows may have negative multiplicities.
    pub negative: BTreeSet<LocalId>,
    /// How many recursions there are around.
    pub depth: usize,
}

impl<'scope, T: Time> Renderer<'scope, '_, T> {
    pub fn render(&mut self, plan: &Plan) -> Bundle<'scope, T> {
        let mut chain = Vec::new();
        let mut base = plan;
        while let Plan::Map { input, .. } | Plan::Filter { input, .. } | Plan::Project { input, .. } = base {
            chain.push(base);
            base = input;
        }
        let extend = |linear: &mut Linear| {
            for node in chain.iter().rev() {
                match node {
                    Plan::Map { scalars, .. } => linear.map(scalars),
                    Plan::Filter { predicates, .. } => linear.filter(predicates),
                    Plan::Project { outputs, .. } => linear.project(outputs),
                    _ => unreachable!("only linear nodes are in the chain"),
                }
            }
        };
        if let Plan::Join { inputs, equivalences, implementation } = base {
            let mut following = Linear::identity(inputs.iter().flat_map(Plan::column_types).collect());
            extend(&mut following);
            return self.join(inputs, equivalences, implementation, following);
        }
        let mut bundle = self.render_base(base);
        extend(&mut bundle.linear);
        bundle
    }

    fn render_base(&mut self, plan: &Plan) -> Bundle<'scope, T> {
        match plan {
            Plan::Constant { rows, types } => match rows {
                Ok(rows) => Bundle::from_rows(self.constant(rows.clone()), types.clone(), Vec::new()),
                Err(error) => {
                    let errors = self.constant(vec![(super::stage::error_row(error, 0), 1)]);
                    Bundle::from_rows(self.constant(Vec::new()), types.clone(), vec![errors])
                }
            },
            Plan::Get { id: Id::Global(id), .. } => self.globals.get(id).cloned().expect("the inputs of a plan are imported before it is rendered"),
            Plan::Get { id: Id::Local(id), .. } => self.locals.get(id).cloned().expect("a binding is rendered before what reads it"),
            Plan::Let { id, value, body } => {
                let negative = self.may_be_negative(value);
                let value = self.render(value).settled(self.context);
                let before = self.bind(*id, value, negative);
                let body = self.render(body);
                self.unbind(*id, before);
                body
            }
            Plan::LetRec { bindings, limit, body } => T::render_recursion(self, bindings, *limit, body),
            Plan::FlatMap { input, function, arguments } => {
                let input = self.render(input);
                super::flat_map::render(self, input, function, arguments)
            }
            Plan::Reduce { input, keys, aggregates, append_only: _ } => {
                // Sums take negative multiplicities as they are.
                let is_sum = |aggregate: &plan::Aggregate| aggregate.strategy() == Strategy::Accumulable;
                let input = if aggregates.iter().all(is_sum) { self.render(input) } else { self.render_positive(input) };
                self.reduce(input, keys, aggregates)
            }
            Plan::TopK { input, group, order, limit, offset, with_ties, append_only: _ } => {
                let input = self.render(input);
                self.top_k(input, super::top_k::TopK { group, order, limit: limit.as_deref(), offset: *offset, with_ties: *with_ties })
            }
            Plan::Window { input, expressions } => {
                let input = self.render_positive(input);
                self.window(input, expressions)
            }
            Plan::Negate { input } => {
                let input = self.render(input);
                let (rows, errors) = input.rows(self.context);
                Bundle::from_rows(operators::negate(rows), input.types(), errors)
            }
            Plan::Threshold { input } => {
                let input = self.render(input);
                self.threshold(input)
            }
            Plan::Union { inputs } => {
                let (mut rows, mut errors) = (Vec::new(), Vec::new());
                for input in inputs {
                    let (more_rows, more_errors) = self.render(input).rows(self.context);
                    rows.push(more_rows);
                    errors.extend(more_errors);
                }
                Bundle::from_rows(operators::concatenate(self.scope, rows), plan.column_types(), errors)
            }
            Plan::Project { .. } | Plan::Map { .. } | Plan::Filter { .. } | Plan::Join { .. } => unreachable!("rendered by the caller"),
        }
    }

    fn join(&mut self, inputs: &[Plan], equivalences: &[Vec<Scalar>], implementation: &JoinImplementation, following: Linear) -> Bundle<'scope, T> {
        let mut inputs: Vec<Bundle<'scope, T>> = inputs.iter().map(|input| self.render(input)).collect();
        if inputs.is_empty() {
            let unit = self.constant(vec![(Row::empty(), 1)]);
            return self.after(Bundle::from_rows(unit, Vec::new(), Vec::new()), following);
        }
        let classes = Classes::new(&mut inputs, equivalences);
        match implementation {
            JoinImplementation::Delta { orders } if inputs.len() > 1 => T::render_delta_join(self, inputs, &classes, orders, following),
            JoinImplementation::Linear { order } if order.len() == inputs.len() => self.join_linear(inputs, &classes, order, following),
            _ => {
                let order: Vec<usize> = (0..inputs.len()).collect();
                self.join_linear(inputs, &classes, &order, following)
            }
        }
    }

    fn threshold(&mut self, input: Bundle<'scope, T>) -> Bundle<'scope, T> {
        let types = input.types();
        let key: Vec<Scalar> = (0..types.len()).map(Scalar::Column).collect();
        self.counted(input, &key, types, "Threshold", |count| count)
    }

    /// The rows with positive multiplicities: all that an operator sees that is not linear.
    fn render_positive(&mut self, plan: &Plan) -> Bundle<'scope, T> {
        let bundle = self.render(plan);
        if self.may_be_negative(plan) { self.threshold(bundle) } else { bundle }
    }

    /// Whether a row may have a negative multiplicity; no is a proof.
    pub fn may_be_negative(&self, plan: &Plan) -> bool {
        may_be_negative_given(plan, &self.negative)
    }

    /// Brings a binding into scope; what it hides is given back by [`Renderer::unbind`].
    pub fn bind(&mut self, id: LocalId, value: Bundle<'scope, T>, negative: bool) -> Hidden<'scope, T> {
        let was_negative = if negative { !self.negative.insert(id) } else { self.negative.remove(&id) };
        Hidden { value: self.locals.insert(id, value), negative: was_negative }
    }
    pub fn unbind(&mut self, id: LocalId, hidden: Hidden<'scope, T>) {
        match hidden.value {
            Some(value) => drop(self.locals.insert(id, value)),
            None => drop(self.locals.remove(&id)),
        }
        self.negative.remove(&id);
        if hidden.negative {
            self.negative.insert(id);
        }
    }

    /// Adds linear work to what is pending.
    pub fn after(&self, mut bundle: Bundle<'scope, T>, following: Linear) -> Bundle<'scope, T> {
        bundle.linear = bundle.linear.then(&following);
        bundle
    }

    /// Rows that are there from the start.
    pub fn constant(&self, rows: Vec<(Row, i64)>) -> Rows<'scope, T> {
        let time = T::to_inner(self.as_of);
        let mut rows = if self.scope.index() == 0 { rows } else { Vec::new() };
        source(self.scope, "Constant", move |capability, _| {
            let mut capability = Some(capability);
            move |output| {
                if let Some(mut capability) = capability.take() {
                    capability.downgrade(&time);
                    output.session(&capability).give_iterator(rows.drain(..).map(|(row, diff)| (row, time.clone(), diff)));
                }
            }
        })
    }

    /// The distinct values of `key`, each as often as `logic` makes of how often it is there.
    pub fn counted(&mut self, input: Bundle<'scope, T>, key: &[Scalar], types: Vec<ColumnType>, name: &str, logic: impl Fn(i64) -> i64 + 'static) -> Bundle<'scope, T> {
        let (pairs, errors) = input.pairs(key, &[], self.context, name);
        let arranged = own(operators::arrange(pairs, name));
        let counted = operators::reduce(
            arranged,
            name,
            Box::new(move |_, values, output| {
                if let [(_, count)] = values
                    && *count > 0
                {
                    output.push((Row::empty(), logic(*count)));
                }
            }),
        );
        let key = (0..types.len()).map(Scalar::Column).collect();
        let arrangement = Arrangement { shape: Rc::new(Shape::new(types.clone(), key)), arranged: own(counted) };
        Bundle::from_arrangements(vec![arrangement], types, errors)
    }
}

/// A binding of an outer scope with the same name.
pub struct Hidden<'scope, T: Time> {
    value: Option<Bundle<'scope, T>>,
    negative: bool,
}

/// The same, `negative` being the bindings in scope that may.
fn may_be_negative_given(plan: &Plan, negative: &BTreeSet<LocalId>) -> bool {
    match plan {
        Plan::Constant { rows, .. } => rows.as_ref().is_ok_and(|rows| rows.iter().any(|(_, count)| *count < 0)),
        Plan::Get { id: Id::Global(_), .. } | Plan::Reduce { .. } | Plan::TopK { .. } | Plan::Window { .. } | Plan::Threshold { .. } => false,
        Plan::Get { id: Id::Local(id), .. } => negative.contains(id),
        Plan::Negate { .. } => true,
        Plan::Let { id, value, body } => {
            let is_negative = may_be_negative_given(value, negative);
            let mut inside = negative.clone();
            set(&mut inside, *id, is_negative);
            may_be_negative_given(body, &inside)
        }
        Plan::LetRec { bindings, body, .. } => {
            let mut inside = negative.clone();
            bindings.iter().for_each(|binding| set(&mut inside, binding.id, super::recursion::may_be_negative(binding)));
            may_be_negative_given(body, &inside)
        }
        plan => {
            let mut found = false;
            plan.for_each_child(&mut |child| found = found || may_be_negative_given(child, negative));
            found
        }
    }
}

fn set(negative: &mut BTreeSet<LocalId>, id: LocalId, is_negative: bool) {
    if is_negative {
        negative.insert(id);
    } else {
        negative.remove(&id);
    }
}

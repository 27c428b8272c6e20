//! Joins of arrangements, and the order in which inputs are joined.

use super::bundle::{Bundle, Keyed};
use super::operators::{Rows, fallible, give};
use super::render::Renderer;
use super::stage::{Linear, Stage};
use super::trace::RowsArranged;
use super::Time;
use differential_dataflow::operators::join::join_traces;
use plan::{Context, Scalar};
use repr::{ColumnType, Row};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use timely::container::{Accountable, ContainerBuilder};
use timely::dataflow::channels::pact::Pipeline;

/// What a join yields: rows and errors, side by side in one container.
#[derive(Clone)]
pub struct Joined<T> {
    rows: Vec<(Row, T, i64)>,
    errors: Vec<(Row, T, i64)>,
}

impl<T> Default for Joined<T> {
    fn default() -> Self {
        Joined { rows: Vec::new(), errors: Vec::new() }
    }
}

impl<T> Accountable for Joined<T> {
    fn record_count(&self) -> i64 {
        (self.rows.len() + self.errors.len()) as i64
    }
}

/// Stages that are not in use. A join has as many in use as it has pairs of batches it is in the middle of.
type Pool<T> = Rc<RefCell<Vec<Stage<T>>>>;

/// Collects matches in a stage and yields what it makes of them.
pub struct JoinedBuilder<T: Time> {
    stage: Option<(Stage<T>, Pool<T>)>,
    ready: VecDeque<Joined<T>>,
    current: Joined<T>,
}

impl<T: Time> Default for JoinedBuilder<T> {
    fn default() -> Self {
        JoinedBuilder { stage: None, ready: VecDeque::new(), current: Joined::default() }
    }
}

impl<T: Time> JoinedBuilder<T> {
    #[inline]
    fn push(&mut self, pool: &Pool<T>, linear: &Linear, context: &Context, parts: &[&[u8]], time: T, diff: i64) {
        let (stage, _) = self.stage.get_or_insert_with(|| {
            let stage = pool.borrow_mut().pop().unwrap_or_else(|| linear.stage(context));
            (stage, Rc::clone(pool))
        });
        stage.push(parts, time, diff);
        if stage.is_full() {
            self.flush();
        }
    }
    fn flush(&mut self) {
        if let Some((stage, _)) = &mut self.stage {
            let mut joined = Joined::default();
            stage.flush_into(0, &mut joined.rows, &mut joined.errors);
            if joined.record_count() > 0 {
                self.ready.push_back(joined);
            }
        }
    }
}

impl<T: Time> ContainerBuilder for JoinedBuilder<T> {
    type Container = Joined<T>;
    fn extract(&mut self) -> Option<&mut Joined<T>> {
        self.current = self.ready.pop_front()?;
        Some(&mut self.current)
    }
    fn finish(&mut self) -> Option<&mut Joined<T>> {
        self.flush();
        if let Some((stage, pool)) = self.stage.take() {
            pool.borrow_mut().push(stage);
        }
        self.extract()
    }
}

/// Joins two arrangements; `linear` is over the key, the left value's columns and the right value's.
pub fn join_arranged<'scope, T: Time>(
    left: RowsArranged<'scope, T>,
    right: RowsArranged<'scope, T>,
    linear: Linear,
    context: &Context,
) -> (Rows<'scope, T>, Rows<'scope, T>) {
    let pool: Pool<T> = Pool::default();
    let context = context.clone();
    let joined = join_traces::<_, _, super::container::PackedRows, _, JoinedBuilder<T>>(left, right, move |key, left, right, time, left_diff, right_diff, builder| {
        builder.push(&pool, &linear, &context, &[key.0, left.0, right.0], time, left_diff.wrapping_mul(*right_diff));
    });
    fallible(joined, Pipeline, "Joined", |_| {
        move |input, rows_output, errors_output| {
            input.for_each(|capability, joined| {
                give(rows_output, &capability, &mut joined.rows);
                give(errors_output, &capability, &mut joined.errors);
            });
        }
    })
}

/// The equivalence classes of a join, taken apart.
pub struct Classes {
    /// For each class, one scalar per input that has one, over the input's own columns.
    pub members: Vec<BTreeMap<usize, Scalar>>,
    /// How many columns each input has by itself; the values of scalars that may fail are appended to them.
    arities: Vec<usize>,
}

impl Classes {
    /// Scalars of a class over one input, and scalars without columns, become requirements on the inputs.
    pub fn new<T: Time>(inputs: &mut [Bundle<'_, T>], equivalences: &[Vec<Scalar>]) -> Classes {
        let arities: Vec<usize> = inputs.iter().map(|input| input.types().len()).collect();
        let mut starts = vec![0];
        for arity in &arities {
            starts.push(starts[starts.len() - 1] + arity);
        }
        let owner = |scalar: &Scalar| {
            let mut first = None;
            scalar.for_each_column(&mut |column| first = first.or(Some(column)));
            first.map(|column| starts.partition_point(|&start| start <= column) - 1)
        };
        let mut members = Vec::new();
        for class in equivalences {
            let mut of_class: BTreeMap<usize, Scalar> = BTreeMap::new();
            let mut constants = Vec::new();
            for scalar in class {
                let Some(input) = owner(scalar) else {
                    constants.push(scalar);
                    continue;
                };
                let mut local = scalar.clone();
                local.remap_columns(&mut |column| column - starts[input]);
                match of_class.get(&input) {
                    Some(first) => inputs[input].linear.require_equal(first, &local),
                    None => {
                        if local.can_fail() {
                            // Computed for every row of the input, also for those without a partner.
                            inputs[input].linear.map(&[local]);
                            local = Scalar::Column(inputs[input].types().len() - 1);
                        }
                        of_class.insert(input, local);
                    }
                }
            }
            for constant in &constants {
                of_class.iter().for_each(|(&input, scalar)| inputs[input].linear.require_equal(scalar, constant));
            }
            if of_class.is_empty() {
                // Constants alone: every row of the first input is tested.
                for pair in constants.windows(2) {
                    if let Some(first) = inputs.first_mut() {
                        first.linear.require_equal(pair[0], pair[1]);
                    }
                }
            }
            if of_class.len() > 1 {
                members.push(of_class);
            }
        }
        Classes { members, arities }
    }
    /// The columns of the inputs as the plan knows them, among all columns of the (extended) inputs one after the other.
    pub fn original_columns<T: Time>(&self, inputs: &[Bundle<'_, T>]) -> Vec<usize> {
        let mut columns = Vec::new();
        let mut start = 0;
        for (input, &arity) in inputs.iter().zip(&self.arities) {
            columns.extend(start..start + arity);
            start += input.types().len();
        }
        columns
    }
    /// The classes that connect an input with bound ones: its scalar, and a bound input's with that input.
    pub fn connecting(&self, next: usize, bound: &[usize]) -> Vec<(Scalar, usize, Scalar)> {
        let connect = |class: &BTreeMap<usize, Scalar>| {
            let there = class.get(&next)?;
            let (&input, here) = class.iter().find(|(input, _)| bound.contains(input))?;
            Some((there.clone(), input, here.clone()))
        };
        self.members.iter().filter_map(connect).collect()
    }
}

/// Rows of the inputs joined so far; columns are named by input and position.
pub struct Prefix<'scope, T: Time> {
    pub bundle: Bundle<'scope, T>,
    pub columns: Vec<(usize, usize)>,
}

impl<T: Time> Prefix<'_, T> {
    pub fn position(&self, input: usize, column: usize) -> usize {
        self.columns.iter().position(|&at| at == (input, column)).unwrap_or_default()
    }
    pub fn scalar(&self, input: usize, scalar: &Scalar) -> Scalar {
        let mut scalar = scalar.clone();
        scalar.remap_columns(&mut |column| self.position(input, column));
        scalar
    }
}

/// The columns of bound inputs that are looked at later: by the rest of the plan, and by the keys of inputs still to come.
pub fn needed_later(classes: &Classes, demand: &BTreeSet<(usize, usize)>, bound: &[usize], rest: &[usize]) -> BTreeSet<(usize, usize)> {
    let mut needed: BTreeSet<(usize, usize)> = demand.iter().copied().filter(|(input, _)| bound.contains(input)).collect();
    let mut so_far = bound.to_vec();
    for &next in rest {
        for (_, input, scalar) in classes.connecting(next, &so_far) {
            if bound.contains(&input) {
                scalar.for_each_column(&mut |column| {
                    needed.insert((input, column));
                });
            }
        }
        so_far.push(next);
    }
    needed
}

impl<'scope, T: Time> Renderer<'scope, '_, T> {
    /// `following` is over the concatenated columns of the inputs, in the order they are written.
    pub fn join_linear(&mut self, mut inputs: Vec<Bundle<'scope, T>>, classes: &Classes, order: &[usize], following: Linear) -> Bundle<'scope, T> {
        let global: Vec<(usize, usize)> = classes.arities.iter().enumerate().flat_map(|(input, &arity)| (0..arity).map(move |column| (input, column))).collect();
        let demand: BTreeSet<(usize, usize)> = following.demand().into_iter().map(|column| global[column]).collect();
        let first = order[0];
        let mut prefix = Prefix { bundle: inputs[first].clone(), columns: (0..inputs[first].types().len()).map(|column| (first, column)).collect() };
        for (step, &next) in order.iter().enumerate().skip(1) {
            let (bound, rest) = (&order[..step], &order[step + 1..]);
            let mut connections = classes.connecting(next, bound);
            let here = |connections: &[(Scalar, usize, Scalar)]| -> Vec<Scalar> { connections.iter().map(|(_, input, scalar)| prefix.scalar(*input, scalar)).collect() };
            order_by_known_key(&mut connections, &inputs[next], |(there, _, _)| there.clone());
            if !inputs[next].has_arrangement(&connections.iter().map(|(there, _, _)| there.clone()).collect::<Vec<_>>()) {
                order_by_known_key(&mut connections, &prefix.bundle, |(_, input, scalar)| prefix.scalar(*input, scalar));
            }
            let there: Vec<Scalar> = connections.iter().map(|(there, _, _)| there.clone()).collect();
            let bound_after: Vec<usize> = order[..=step].to_vec();
            let needed = needed_later(classes, &demand, &bound_after, rest);
            let local = |wanted: usize| -> BTreeSet<usize> { needed.iter().filter(|(input, _)| *input == wanted).map(|(_, column)| *column).collect() };
            let left_demand = prefix.columns.iter().enumerate().filter(|(_, at)| needed.contains(at)).map(|(position, _)| position).collect();
            let left = prefix.bundle.keyed(&here(&connections), &left_demand, self.context, "JoinLeft");
            let right = inputs[next].keyed(&there, &local(next), self.context, "JoinRight");
            let is_last = rest.is_empty();
            let columns: Vec<(usize, usize)> = needed.into_iter().collect();
            let (stored, left_positions, right_positions) = side_by_side(&left, &right);
            let position = |(input, column): (usize, usize)| {
                if input == next { right_positions[column] } else { left_positions[prefix.position(input, column)] }
            };
            let linear = if is_last {
                let positions: Vec<usize> = global.iter().map(|&at| if columns.contains(&at) { position(at) } else { 0 }).collect();
                following.over(stored, &positions)
            } else {
                let mut linear = Linear::identity(stored);
                linear.project(&columns.iter().map(|&at| position(at)).collect::<Vec<_>>());
                linear
            };
            let types = linear.output_types();
            let (rows, errors) = join_arranged(left.arranged, right.arranged, linear, self.context);
            let errors = left.errors.into_iter().chain(right.errors).chain([errors]).collect();
            prefix = Prefix { bundle: Bundle::from_rows(rows, types, errors), columns };
        }
        if order.len() == 1 {
            let mut bundle = inputs.swap_remove(first).settled(self.context);
            bundle.linear.project(&(0..global.len()).collect::<Vec<_>>());
            return self.after(bundle, following);
        }
        prefix.bundle
    }
}

/// The stored columns of a join's output (key, left value, right value), and where the columns of either side are among them.
fn side_by_side<T: Time>(left: &Keyed<'_, T>, right: &Keyed<'_, T>) -> (Vec<ColumnType>, Vec<usize>, Vec<usize>) {
    let key = left.key_columns;
    let stored: Vec<ColumnType> = left.stored.iter().chain(&right.stored[key..]).cloned().collect();
    let offset = left.stored.len() - key;
    // A column that is not stored is not wanted.
    let left = left.positions.iter().map(|position| position.unwrap_or_default()).collect();
    let right = right.positions.iter().map(|position| match position.unwrap_or_default() {
        position if position < key => position,
        position => position + offset,
    });
    (stored, left, right.collect())
}

/// Brings the parts of a key into the order of an arrangement that is there, if one has the same parts.
pub fn order_by_known_key<T: Time, C: Clone>(connections: &mut Vec<C>, bundle: &Bundle<'_, T>, scalar: impl Fn(&C) -> Scalar) {
    let types = bundle.types();
    for known in bundle.known_keys() {
        if known.len() != connections.len() {
            continue;
        }
        let mut remaining: Vec<C> = connections.clone();
        let mut ordered = Vec::new();
        for part in &known {
            if let Some(at) = remaining.iter().position(|connection| crate::layout::normalize(&scalar(connection), &types) == *part) {
                ordered.push(remaining.remove(at));
            }
        }
        if remaining.is_empty() {
            *connections = ordered;
            return;
        }
    }
}

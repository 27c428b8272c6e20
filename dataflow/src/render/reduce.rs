//! Grouped aggregates: sums that live in the diff, and groups computed again.

use super::Time;
use super::batch::{RowBuilder as BatchBuilder, RowSpine};
use super::bundle::{Arrangement, Bundle};
use super::container::{Packed, PackedRows};
use super::operators::{self, Rows, Updates, push_updates};
use super::render::Renderer;
use super::stage::{error_row, origin};
use super::trace::own;
use crate::layout::{Shape, split};
use differential_dataflow::Hashable;
use differential_dataflow::difference::{Abelian, IsZero, Monoid, Semigroup};
use differential_dataflow::operators::arrange::{Arranged, TraceAgent, arrangement::arrange_core};
use differential_dataflow::trace::implementations::{ContainerChunker, ValBatcher};
use plan::Scalar;
use plan::aggregate::{Accumulator, Accumulators, Aggregate, AggregateKind, Strategy, finish_recomputed};
use repr::{ColumnType, Datum, EvalError, Row, RowBuilder, RowRef};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;

/// The states of a group's aggregates, as a diff.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sums(pub Accumulators);

impl IsZero for Sums {
    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}
impl Semigroup for Sums {
    fn plus_equals(&mut self, other: &Sums) {
        self.0.plus_equals(&other.0)
    }
}
impl Monoid for Sums {
    fn zero() -> Sums {
        Sums::default()
    }
}
impl Abelian for Sums {
    fn negate(&mut self) {
        self.0 = self.0.multiply(-1);
    }
}

/// Groups a worker sums up before it hands them on.
const GROUPS_MAX: usize = 1 << 14;

/// Which aggregates of a reduction are computed together.
struct Part {
    /// Positions among the reduction's aggregates.
    aggregates: Vec<usize>,
    strategy: Strategy,
}

impl<'scope, T: Time> Renderer<'scope, '_, T> {
    pub fn reduce(&mut self, input: Bundle<'scope, T>, keys: &[Scalar], aggregates: &[Aggregate]) -> Bundle<'scope, T> {
        let input_types = input.types();
        let key_types: Vec<ColumnType> = keys.iter().map(|key| key.column_type(&input_types)).collect();
        if aggregates.is_empty() {
            return self.counted(input, keys, key_types, "Distinct", |_| 1);
        }
        let input = if aggregates.len() > 1 { input.settled(self.context) } else { input };
        let mut parts: Vec<Part> = Vec::new();
        for (position, aggregate) in aggregates.iter().enumerate() {
            let strategy = aggregate.strategy();
            // Each extremum has an order of its own.
            match parts.iter_mut().find(|part| part.strategy == strategy && strategy != Strategy::Extremum) {
                Some(part) => part.aggregates.push(position),
                None => parts.push(Part { aggregates: vec![position], strategy }),
            }
        }
        let mut errors = Vec::new();
        let mut types = key_types.clone();
        types.extend(aggregates.iter().map(|aggregate| aggregate.column_type.clone()));
        let shape = Rc::new(Shape::new(types.clone(), (0..keys.len()).map(Scalar::Column).collect()));
        if let [part] = &parts[..] {
            let (arranged, part_errors) = match self.reduce_part(&input, keys, aggregates, part) {
                (PartResult::Arranged(arranged), errors) => (arranged, errors),
                (PartResult::Pairs(pairs), errors) => (operators::arrange(pairs, "Reduced"), errors),
            };
            return Bundle::from_arrangements(vec![Arrangement { shape, arranged: own(arranged) }], types, part_errors);
        }
        let mut pairs = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let (result, part_errors) = self.reduce_part(&input, keys, aggregates, part);
            errors.extend(part_errors);
            let part_pairs = match result {
                PartResult::Pairs(pairs) => pairs,
                PartResult::Arranged(arranged) => {
                    let linear = super::stage::Linear::identity(shape_types(&key_types, part, aggregates));
                    operators::apply_arranged(own(arranged), &linear, keys.len(), self.context, "Part").0
                }
            };
            pairs.push(operators::map_rows(part_pairs, move |(key, value): (Row, Row)| {
                let mut numbered = RowBuilder::new();
                numbered.push(Datum::Int4(number as i32));
                numbered.push_encoded(value.as_bytes());
                (key, numbered.finish())
            }));
        }
        let pairs = operators::concatenate(self.scope, pairs);
        let collated = operators::reduce(own(operators::arrange(pairs, "Collate")), "Collate", collate(parts, aggregates.len()));
        Bundle::from_arrangements(vec![Arrangement { shape, arranged: own(collated) }], types, errors)
    }

    fn reduce_part(&mut self, input: &Bundle<'scope, T>, keys: &[Scalar], aggregates: &[Aggregate], part: &Part) -> (PartResult<'scope, T>, Vec<Rows<'scope, T>>) {
        let aggregates: Vec<Aggregate> = part.aggregates.iter().map(|&position| aggregates[position].clone()).collect();
        let scalars: Vec<Scalar> = keys.iter().cloned().chain(aggregates.iter().flat_map(Aggregate::inputs)).collect();
        let (pairs, mut errors) = input.computed(&scalars, keys.len(), self.context, "ReduceInput");
        match part.strategy {
            Strategy::Accumulable => {
                let can_fail = aggregates.iter().any(can_fail);
                let sums = accumulate(pairs, aggregates.clone());
                if can_fail {
                    let failed = finish_sums(sums.clone(), aggregates.clone(), true);
                    errors.push(operators::stream_values(own(failed)));
                }
                (PartResult::Arranged(finish_sums(sums, aggregates, false)), errors)
            }
            Strategy::Extremum => {
                let kind = aggregates[0].function.0.kind;
                (PartResult::Pairs(T::extremum(self, pairs, &aggregates[0], kind)), errors)
            }
            Strategy::Recomputed => {
                let (pairs, more) = recompute(pairs, aggregates);
                errors.push(more);
                (PartResult::Pairs(pairs), errors)
            }
        }
    }
}

fn shape_types(key_types: &[ColumnType], part: &Part, aggregates: &[Aggregate]) -> Vec<ColumnType> {
    key_types.iter().cloned().chain(part.aggregates.iter().map(|&position| aggregates[position].column_type.clone())).collect()
}

/// Key and results of some aggregates.
enum PartResult<'scope, T: Time> {
    Arranged(Arranged<'scope, TraceAgent<RowSpine<T>>>),
    Pairs(Updates<'scope, T, (Row, Row)>),
}

/// Puts the results of the parts of a reduction side by side, in the order of the aggregates.
fn collate(parts: Vec<Part>, aggregates: usize) -> operators::ReduceLogic {
    Box::new(move |_, values, output| {
        let mut columns: Vec<&[u8]> = vec![&[]; aggregates];
        let mut found = 0;
        for (Packed(value), count) in values {
            let mut datums = RowRef::new(value).iter();
            let Some(Datum::Int4(number)) = datums.next() else { continue };
            let Some(part) = parts.get(number as usize).filter(|_| *count > 0) else { continue };
            found += 1;
            for &position in &part.aggregates {
                columns[position] = datums.next_encoded().unwrap_or_default();
            }
        }
        // A group of which a part failed has an error instead.
        if found == parts.len() {
            output.push((Row::from_bytes(&columns.concat()), 1));
        }
    })
}

/// Whether finishing an aggregate's sum may yield an error.
fn can_fail(aggregate: &Aggregate) -> bool {
    !matches!(aggregate.function.0.kind, AggregateKind::CountAll | AggregateKind::Count | AggregateKind::BoolAnd | AggregateKind::BoolOr)
}

/// Sums the rows of each group up, in the diff of an update without a value.
fn accumulate<'scope, T: Time>(pairs: Updates<'scope, T, (Row, Row)>, aggregates: Vec<Aggregate>) -> Arranged<'scope, TraceAgent<RowSpine<T, Sums>>> {
    let exchange = Exchange::new(|((key, _), _, _): &((Row, Row), T, i64)| key.hashed());
    let sums = pairs.unary::<CapacityContainerBuilder<Vec<((Row, Row), T, Sums)>>, _, _, _>(exchange, "Accumulate", |_, _| {
        let mut groups: HashMap<(Row, T), (i64, Vec<Accumulator>)> = HashMap::new();
        move |input, output| {
            input.for_each(|capability, pairs| {
                let mut session = output.session(&capability);
                for ((key, value), time, diff) in pairs.drain(..) {
                    let (rows, states) = match groups.entry((key, time)) {
                        Entry::Occupied(entry) => entry.into_mut(),
                        Entry::Vacant(entry) => entry.insert((0, vec![Accumulator::Zero; aggregates.len()])),
                    };
                    *rows = rows.wrapping_add(diff);
                    add_row(&aggregates, states, value.as_bytes(), diff);
                    if groups.len() >= GROUPS_MAX {
                        session.give_iterator(groups.drain().map(to_update));
                    }
                }
                session.give_iterator(groups.drain().map(to_update));
            });
        }
    });
    arrange_core::<_, _, ContainerChunker<Vec<((Row, Row), T, Sums)>>, ValBatcher<Row, Row, T, Sums>, BatchBuilder<T, Sums>, RowSpine<T, Sums>>(
        sums,
        Pipeline,
        "Accumulate",
    )
}

fn to_update<T>(((key, time), (rows, states)): ((Row, T), (i64, Vec<Accumulator>))) -> ((Row, Row), T, Sums) {
    ((key, Row::empty()), time, Sums(Accumulators::new(rows, states)))
}

/// Adds a row of all aggregates' inputs.
fn add_row(aggregates: &[Aggregate], states: &mut [Accumulator], row: &[u8], diff: i64) {
    let mut datums = RowRef::new(row).iter();
    for (aggregate, state) in aggregates.iter().zip(states) {
        let arguments = datums.clone();
        for _ in 0..aggregate.arguments.len() + aggregate.order.len() {
            datums.next_encoded();
        }
        let is_seen = aggregate.filter.is_none() || matches!(datums.next(), Some(Datum::Bool(true)));
        if is_seen {
            aggregate.function.0.accumulate_arguments(state, arguments, diff);
        }
    }
}

/// The results of each group, or (`failures`) why there are none.
fn finish_sums<'scope, T: Time>(
    sums: Arranged<'scope, TraceAgent<RowSpine<T, Sums>>>,
    aggregates: Vec<Aggregate>,
    failures: bool,
) -> Arranged<'scope, TraceAgent<RowSpine<T>>> {
    let mut builder = RowBuilder::new();
    let logic: SumsLogic = Box::new(move |key, sums, output| {
        builder.clear();
        match sums.finish(&aggregates, &mut builder) {
            Ok(()) if !failures => output.push((builder.finish(), 1)),
            Err(error) if failures => output.push((error_row(&error, origin(&[key])), 1)),
            _ => {}
        }
    });
    reduce_sums(sums, if failures { "ReduceErrors" } else { "Reduce" }, logic)
}

/// Gets a group's key and sums; appends what the group yields.
type SumsLogic = Box<dyn FnMut(&[u8], &Accumulators, &mut Vec<(Row, i64)>)>;

fn reduce_sums<'scope, T: Time>(
    sums: Arranged<'scope, TraceAgent<RowSpine<T, Sums>>>,
    name: &str,
    mut logic: SumsLogic,
) -> Arranged<'scope, TraceAgent<RowSpine<T>>> {
    sums.reduce_abelian::<_, BatchBuilder<T>, RowSpine<T>, PackedRows, _>(
        name,
        move |Packed(key), values, output| {
            if let [(_, Sums(sums))] = values
                && sums.rows > 0
            {
                logic(key, sums, output);
            }
        },
        push_updates,
    )
}

/// Computes each group again when it changes.
pub fn recompute<'scope, T: Time>(pairs: Updates<'scope, T, (Row, Row)>, aggregates: Vec<Aggregate>) -> (Updates<'scope, T, (Row, Row)>, Rows<'scope, T>) {
    let widths: Vec<usize> = aggregates.iter().map(|aggregate| aggregate.inputs().len()).collect();
    let mut builder = RowBuilder::new();
    operators::reduce_fallible(
        pairs,
        "Recompute",
        Box::new(move |_, values| {
            // A group exists while its number of rows is positive.
            if values.iter().map(|(_, count)| count).sum::<i64>() <= 0 {
                return Ok(Vec::new());
            }
            let mut rest: Vec<(&[u8], i64)> = values.iter().filter(|(_, count)| *count > 0).map(|(value, count)| (value.0, *count)).collect();
            builder.clear();
            for (aggregate, &width) in aggregates.iter().zip(&widths) {
                let inputs: Vec<(&[u8], i64)> = rest.iter().map(|&(row, count)| (split(row, width).0, count)).collect();
                finish_recomputed(aggregate, inputs, &mut builder)?;
                rest.iter_mut().for_each(|(row, _)| *row = split(row, width).1);
            }
            Ok(vec![(builder.finish(), 1)])
        }),
    )
}

/// The rows a group yields, or why it yields none.
pub type FallibleLogic = Box<dyn FnMut(&[u8], &[(Packed<'_>, i64)]) -> Result<Vec<(Row, i64)>, EvalError>>;

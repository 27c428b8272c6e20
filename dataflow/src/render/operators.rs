//! The operators everything is made of: rows through a stage, rows into an arrangement, a reduction of an arrangement.

use super::batch::{RowBuilder, RowSpine};
use super::container::Packed;
use super::stage::{Linear, Stage, Stored};
use super::trace::{ReadBatch, ReadCursor, RowsArranged};
use super::Time;
use differential_dataflow::Hashable;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent, arrangement::arrange_core};
use differential_dataflow::trace::implementations::{ContainerChunker, ValBatcher};
use differential_dataflow::trace::{Cursor, Navigable};
use plan::Context;
use repr::Row;
use std::collections::VecDeque;
use timely::Container;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::{Capability, Concatenate};
use timely::dataflow::operators::generic::{InputHandleCore, OutputBuilder, OutputBuilderSession, builder_rc::OperatorBuilder};
use timely::dataflow::{Scope, Stream};
use timely::scheduling::Activator;

/// A stream of updates.
pub type Updates<'scope, T, D> = Stream<'scope, T, Vec<(D, T, i64)>>;
/// A stream of rows.
pub type Rows<'scope, T> = Updates<'scope, T, Row>;
/// Keyed rows, and the errors of what they are made of.
pub type FalliblePairs<'scope, T> = (Updates<'scope, T, (Row, Row)>, Vec<Rows<'scope, T>>);
type Session<'a, T, D> = OutputBuilderSession<'a, T, CapacityContainerBuilder<Vec<(D, T, i64)>>>;

/// Updates an operator handles before others have their turn.
const FUEL_UPDATES: usize = 1 << 16;

/// An operator with one input and two outputs: what could be computed, and errors.
pub fn fallible<'scope, T, C, D, P, L>(
    stream: Stream<'scope, T, C>,
    pact: P,
    name: &str,
    constructor: impl FnOnce(Activator) -> L,
) -> (Updates<'scope, T, D>, Rows<'scope, T>)
where
    T: Time,
    C: Container,
    D: Clone + 'static,
    P: ParallelizationContract<T, C>,
    L: FnMut(&mut InputHandleCore<T, C, P::Puller>, &mut Session<'_, T, D>, &mut Session<'_, T, Row>) + 'static,
{
    let scope = stream.scope();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let (oks_output, oks) = builder.new_output();
    let (errs_output, errs) = builder.new_output();
    let mut input = builder.new_input(stream, pact);
    let mut logic = constructor(scope.activator_for(builder.operator_info().address));
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut oks_output = OutputBuilder::from(oks_output);
        let mut errs_output = OutputBuilder::from(errs_output);
        move |_frontiers| logic(&mut input, &mut oks_output.activate(), &mut errs_output.activate())
    });
    (oks, errs)
}

/// Rows through a stage.
pub fn apply<'scope, T: Time, D: Stored>(
    rows: Rows<'scope, T>,
    linear: &Linear,
    key_columns: usize,
    context: &Context,
    name: &str,
) -> (Updates<'scope, T, D>, Rows<'scope, T>) {
    let mut stage: Stage<T> = linear.stage(context);
    fallible(rows, Pipeline, name, |_| {
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |input, oks_output, errs_output| {
            input.for_each(|capability, rows| {
                for (row, time, diff) in rows.drain(..) {
                    stage.push(&[row.as_bytes()], time, diff);
                    if stage.is_full() {
                        stage.flush_into(key_columns, &mut oks, &mut errs);
                        give(oks_output, &capability, &mut oks);
                        give(errs_output, &capability, &mut errs);
                    }
                }
                stage.flush_into(key_columns, &mut oks, &mut errs);
                give(oks_output, &capability, &mut oks);
                give(errs_output, &capability, &mut errs);
            });
        }
    })
}

/// Sends a buffer, if there is something in it, and leaves it empty.
pub fn give<T: Time, D: 'static>(
    output: &mut Session<'_, T, D>,
    capability: &impl timely::dataflow::operators::CapabilityTrait<T>,
    buffer: &mut Vec<(D, T, i64)>,
) {
    if !buffer.is_empty() {
        output.session(capability).give_container(buffer);
        buffer.clear();
    }
}

/// The rows of an arrangement through a stage over its stored columns (key, then value).
pub fn apply_arranged<'scope, T: Time, D: Stored>(
    arranged: RowsArranged<'scope, T>,
    linear: &Linear,
    key_columns: usize,
    context: &Context,
    name: &str,
) -> (Updates<'scope, T, D>, Rows<'scope, T>) {
    struct Work<T: Time> {
        oks: Capability<T>,
        errs: Capability<T>,
        batch: ReadBatch<T>,
        cursor: ReadCursor<T>,
    }
    let mut stage: Stage<T> = linear.stage(context);
    fallible(arranged.stream, Pipeline, name, |activator| {
        let mut queue: VecDeque<Work<T>> = VecDeque::new();
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |input, oks_output, errs_output| {
            input.for_each(|capability, batches| {
                for batch in batches.drain(..) {
                    queue.push_back(Work { oks: capability.retain(0), errs: capability.retain(1), cursor: batch.cursor(), batch });
                }
            });
            let mut fuel = FUEL_UPDATES;
            while let Some(Work { oks: oks_capability, errs: errs_capability, batch, cursor }) = queue.front_mut() {
                while fuel > 0 && cursor.key_valid(batch) {
                    while let Some(Packed(value)) = cursor.get_val(batch) {
                        let Packed(key) = cursor.key(batch);
                        cursor.map_times(batch, |time, diff| {
                            stage.push(&[key, value], time.clone(), *diff);
                            fuel = fuel.saturating_sub(1);
                        });
                        cursor.step_val(batch);
                        if stage.is_full() {
                            stage.flush_into(key_columns, &mut oks, &mut errs);
                            give(oks_output, oks_capability, &mut oks);
                            give(errs_output, errs_capability, &mut errs);
                        }
                    }
                    cursor.step_key(batch);
                }
                stage.flush_into(key_columns, &mut oks, &mut errs);
                give(oks_output, oks_capability, &mut oks);
                give(errs_output, errs_capability, &mut errs);
                if cursor.key_valid(batch) {
                    activator.activate();
                    break;
                }
                queue.pop_front();
            }
        }
    })
}

/// Keyed rows into an arrangement.
pub fn arrange<'scope, T: Time>(rows: Updates<'scope, T, (Row, Row)>, name: &str) -> Arranged<'scope, TraceAgent<RowSpine<T>>> {
    let exchange = Exchange::new(|((key, _), _, _): &((Row, Row), T, i64)| key.hashed());
    arrange_core::<_, _, ContainerChunker<Vec<((Row, Row), T, i64)>>, ValBatcher<Row, Row, T, i64>, RowBuilder<T>, RowSpine<T>>(rows, exchange, name)
}

/// Errors into an arrangement.
pub fn arrange_errors<'scope, T: Time>(errors: Rows<'scope, T>, name: &str) -> Arranged<'scope, TraceAgent<RowSpine<T>>> {
    arrange(map_rows(errors, |row| (row, Row::empty())), name)
}

/// Replaces each datum of an update.
pub fn map_rows<'scope, T: Time, D1: 'static, D2: Clone + 'static>(updates: Updates<'scope, T, D1>, mut logic: impl FnMut(D1) -> D2 + 'static) -> Updates<'scope, T, D2> {
    use timely::dataflow::operators::vec::Map;
    updates.map(move |(data, time, diff)| (logic(data), time, diff))
}

/// The same with negated diffs.
pub fn negate<'scope, T: Time>(rows: Rows<'scope, T>) -> Rows<'scope, T> {
    use timely::dataflow::operators::vec::Map;
    rows.map_in_place(|(_, _, diff)| *diff = diff.wrapping_neg())
}

pub fn concatenate<'scope, T: Time, D: Clone + 'static>(scope: Scope<'scope, T>, streams: Vec<Updates<'scope, T, D>>) -> Updates<'scope, T, D> {
    let mut streams = streams;
    match streams.len() {
        1 => streams.remove(0),
        _ => scope.concatenate(streams),
    }
}

/// The current values of a group and their counts; appends what the group yields.
pub type ReduceLogic = Box<dyn FnMut(&[u8], &[(Packed<'_>, i64)], &mut Vec<(Row, i64)>)>;

/// Computes each group of an arrangement again when it changes.
pub fn reduce<'scope, T: Time>(arranged: RowsArranged<'scope, T>, name: &str, mut logic: ReduceLogic) -> Arranged<'scope, TraceAgent<RowSpine<T>>> {
    arranged.reduce_abelian::<_, RowBuilder<T>, RowSpine<T>, super::container::PackedRows, _>(
        name,
        move |key, values, output| logic(key.0, values, output),
        push_updates,
    )
}

/// Hands the changes of a key to a batch builder.
pub fn push_updates<T: Time>(chunk: &mut Vec<((Row, Row), T, i64)>, key: Packed<'_>, changes: &mut Vec<(Row, T, i64)>) {
    chunk.clear();
    let key = Row::from_bytes(key.0);
    chunk.extend(changes.drain(..).map(|(value, time, diff)| ((key.clone(), value), time, diff)));
}

/// The first byte of a reduction's value that is an error: no datum starts with it.
const ERROR_MARK: u8 = 0x01;

/// Like [`reduce`], for logic that may fail. Rows and errors share one arrangement; what comes out is taken apart again.
pub fn reduce_fallible<'scope, T: Time>(
    pairs: Updates<'scope, T, (Row, Row)>,
    name: &str,
    mut logic: super::reduce::FallibleLogic,
) -> (Updates<'scope, T, (Row, Row)>, Rows<'scope, T>) {
    let reduced = reduce(
        super::trace::own(arrange(pairs, name)),
        name,
        Box::new(move |key, values, output| match logic(key, values) {
            Ok(rows) => output.extend(rows),
            Err(error) => {
                let row = super::stage::error_row(&error, super::stage::origin(&[key]));
                output.push((Row::from_bytes(&[&[ERROR_MARK], row.as_bytes()].concat()), 1));
            }
        }),
    );
    fallible(reduced.stream, Pipeline, name, |_| {
        let (mut oks, mut errs) = (Vec::new(), Vec::new());
        move |input, oks_output, errs_output| {
            input.for_each(|capability, batches| {
                for batch in batches.drain(..) {
                    let mut cursor = batch.cursor();
                    while cursor.key_valid(&batch) {
                        while let Some(Packed(value)) = cursor.get_val(&batch) {
                            let Packed(key) = cursor.key(&batch);
                            match value.split_first() {
                                Some((&ERROR_MARK, error)) => cursor.map_times(&batch, |time, diff| errs.push((Row::from_bytes(error), time.clone(), *diff))),
                                _ => cursor.map_times(&batch, |time, diff| oks.push(((Row::from_bytes(key), Row::from_bytes(value)), time.clone(), *diff))),
                            }
                            cursor.step_val(&batch);
                        }
                        cursor.step_key(&batch);
                    }
                }
                give(oks_output, &capability, &mut oks);
                give(errs_output, &capability, &mut errs);
            });
        }
    })
}

/// The values of an arrangement as they are.
pub fn stream_values<'scope, T: Time>(arranged: RowsArranged<'scope, T>) -> Rows<'scope, T> {
    arranged.as_collection(|_, value| Row::from_bytes(value.0)).inner
}

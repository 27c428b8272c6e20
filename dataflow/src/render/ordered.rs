//! Reductions that look at the beginning of each group only: min, max and top-k.
//!
//! The values of a group are arranged in the order in which they are wanted, so the arrangement itself is the hierarchy: a change costs a search in its
//! batches and a walk over the rows that are in the result, before and after. Nothing else is kept. Times must be totally ordered, which they are
//! outside of recursions.

use super::batch::{RowLayout, RowSpine, Shared};
use super::container::Packed;
use super::operators::{self, Updates, map_rows};
use super::top_k::{Wanted, push_order};
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::BatchContainer;
use differential_dataflow::trace::{BatchReader, Cursor, Navigable, TraceReader};
use plan::ColumnOrder;
use plan::aggregate::{Aggregate, AggregateKind};
use repr::{Datum, Row, RowBuilder, RowRef, SortDirection};
use smallvec::SmallVec;
use std::collections::HashMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::progress::{Antichain, Timestamp};

/// A walk that skips more values than this, because they were retracted and not merged away yet, remembers where it found the first one that counts.
const SKIPPED_MAX: usize = 32;

type Trace = TraceAgent<RowSpine<u64>>;
type Stored = Shared<RowLayout<u64>>;

/// The changes of one key in a batch: value, time, diff; ordered by value.
type Changes<'a> = [(Packed<'a>, u64, i64)];

/// The values of a key in a stored batch that are still to come.
#[derive(Clone, Copy)]
struct Source<'a> {
    batch: &'a Stored,
    next: usize,
    end: usize,
}

impl<'a> Source<'a> {
    /// The values of `key` that are not before `first`.
    fn find(batch: &'a Stored, key: &[u8], first: Option<&Row>) -> Option<Source<'a>> {
        let storage = &batch.get().storage;
        let at = storage.keys.lower_bound(key, 0, storage.keys.len());
        if at == storage.keys.len() || storage.keys.row(at) != key {
            return None;
        }
        let (start, end) = storage.vals.bounds(at);
        let next = first.map_or(start, |first| storage.vals.vals.lower_bound(first.as_bytes(), start, end));
        (next < end).then_some(Source { batch, next, end })
    }
    fn value(&self) -> Packed<'a> {
        Packed(self.batch.get().storage.vals.vals.row(self.next))
    }
    fn count(&self) -> i64 {
        let updates = &self.batch.get().storage.upds;
        let (start, end) = updates.bounds(self.next);
        updates.diffs[start..end].iter().sum()
    }
}

/// The values of a group in order with their counts, those that are there.
pub struct Walk<'w, 'a> {
    sources: SmallVec<[Source<'a>; 8]>,
    changes: &'w Changes<'a>,
    /// Changes after this time are not seen; `None`: none are.
    time: Option<u64>,
    skipped: usize,
    /// The first value whose count is not zero.
    first: Option<Packed<'a>>,
}

impl<'a> Iterator for Walk<'_, 'a> {
    type Item = (Packed<'a>, i64);
    fn next(&mut self) -> Option<(Packed<'a>, i64)> {
        loop {
            let changed = self.changes.first().map(|(value, _, _)| *value);
            let value = self.sources.iter().map(Source::value).chain(changed).min()?;
            let mut count = 0;
            self.sources.retain(|source| {
                if source.value() == value {
                    count += source.count();
                    source.next += 1;
                }
                source.next < source.end
            });
            while let Some(((changed, time, diff), rest)) = self.changes.split_first() {
                if *changed != value {
                    break;
                }
                if self.time.is_some_and(|now| *time <= now) {
                    count += diff;
                }
                self.changes = rest;
            }
            if count != 0 {
                self.first.get_or_insert(value);
            } else if self.first.is_none() {
                self.skipped += 1;
            }
            if count > 0 {
                return Some((value, count));
            }
        }
    }
}

/// What a group yields: gets the key and its values in order, and takes as many as it needs.
pub type OrderedLogic = Box<dyn FnMut(&mut Walk<'_, '_>, &mut Vec<(Row, i64)>)>;

/// Keeps the result of `logic` over each group up to date.
pub fn reduce_ordered<'scope>(arranged: Arranged<'scope, Trace>, name: &str, mut logic: OrderedLogic) -> Updates<'scope, u64, (Row, Row)> {
    let mut trace = arranged.trace;
    arranged.stream.unary_frontier::<CapacityContainerBuilder<Vec<((Row, Row), u64, i64)>>, _, _, _>(Pipeline, name, move |_, _| {
        let mut upper = Antichain::from_elem(u64::minimum());
        // Values before the one remembered for a key have counts of zero, now and until one of them changes.
        let mut first_of: HashMap<Row, Row> = HashMap::new();
        let (mut before, mut after, mut difference) = (Vec::new(), Vec::new(), Vec::new());
        move |(input, _frontier), output| {
            input.for_each(|capability, batches| {
                let mut session = output.session(&capability);
                for batch in batches.drain(..) {
                    let stored = trace.batches_through(batch.lower().borrow()).expect("the trace was not merged across a batch that is still to come");
                    upper.clone_from(batch.upper());
                    let mut new = batch.cursor();
                    let (mut changes, mut times) = (Vec::new(), Vec::new());
                    while let Some(key) = new.get_key(&batch) {
                        changes.clear();
                        while let Some(value) = new.get_val(&batch) {
                            new.map_times(&batch, |time, diff| changes.push((value, *time, *diff)));
                            new.step_val(&batch);
                        }
                        times.clear();
                        times.extend(changes.iter().map(|(_, time, _)| *time));
                        times.sort_unstable();
                        times.dedup();
                        let owned_key = Row::from_bytes(key.0);
                        let remembered = match first_of.get_mut(&owned_key) {
                            None => None,
                            Some(first) => {
                                if changes[0].0.0 < first.as_bytes() {
                                    *first = Row::from_bytes(changes[0].0.0);
                                }
                                Some(first.clone())
                            }
                        };
                        let sources: SmallVec<[Source<'_>; 8]> = stored.iter().filter_map(|batch| Source::find(batch, key.0, remembered.as_ref())).collect();
                        let mut run = |time: Option<u64>, result: &mut Vec<(Row, i64)>| {
                            result.clear();
                            let mut walk = Walk { sources: sources.clone(), changes: &changes, time, skipped: 0, first: None };
                            logic(&mut walk, result);
                            (walk.skipped > SKIPPED_MAX).then(|| walk.first.map(|first| Row::from_bytes(first.0))).flatten()
                        };
                        run(None, &mut before);
                        let mut found = None;
                        for &time in &times {
                            found = run(Some(time), &mut after);
                            difference.clear();
                            difference.extend(after.iter().cloned());
                            difference.extend(before.drain(..).map(|(row, count)| (row, -count)));
                            consolidate(&mut difference);
                            for (row, diff) in difference.drain(..) {
                                session.give(((owned_key.clone(), row), time, diff));
                            }
                            std::mem::swap(&mut before, &mut after);
                        }
                        if let Some(first) = found {
                            // Later changes than the last walk saw there are none, so what it skipped stays skipped.
                            first_of.insert(owned_key, first);
                        }
                        new.step_key(&batch);
                    }
                }
            });
            trace.advance_upper(&mut upper);
            trace.set_logical_compaction(upper.borrow());
            trace.set_physical_compaction(upper.borrow());
        }
    })
}

/// The greatest, the least or any value of each group.
pub fn extremum<'scope>(pairs: Updates<'scope, u64, (Row, Row)>, aggregate: &Aggregate, kind: AggregateKind) -> Updates<'scope, u64, (Row, Row)> {
    let width = aggregate.inputs().len();
    let is_filtered = aggregate.filter.is_some();
    let descending = kind == AggregateKind::Maximum;
    let mut builder = RowBuilder::new();
    let ordered = map_rows(pairs, move |(key, inputs): (Row, Row)| {
        let is_seen = !is_filtered || matches!(inputs.iter().nth(width - 1), Some(Datum::Bool(true)));
        let argument = if is_seen { inputs.iter().next_encoded().map(<[u8]>::to_vec) } else { None };
        // What does not count is NULL, and NULL is last in either order.
        let argument = argument.unwrap_or_else(|| Row::pack([Datum::Null]).as_bytes().to_vec());
        if descending && let Some(datum) = RowRef::new(&argument).iter().next() {
            builder.push_sort_key(datum, SortDirection { descending, nulls_first: false });
        }
        (key, finish(&mut builder, &argument))
    });
    reduce_ordered(
        operators::arrange(ordered, "Extremum"),
        "Extremum",
        Box::new(|walk, output| output.extend(walk.next().map(|(value, _)| (Row::from_bytes(parts(value.0).1), 1)))),
    )
}

/// The wanted rows of each group.
pub fn top_k<'scope>(pairs: Updates<'scope, u64, (Row, Row)>, order: Vec<ColumnOrder>, wanted: Wanted) -> operators::Rows<'scope, u64> {
    let mut builder = RowBuilder::new();
    let ordered = map_rows(pairs, move |(key, row): (Row, Row)| {
        push_order(row.as_bytes(), &order, &mut builder);
        (key, finish(&mut builder, row.as_bytes()))
    });
    let logic: OrderedLogic = Box::new(move |walk, output| {
        let in_order = walk.map(|(value, count)| (parts(value.0), count));
        wanted.choose(in_order, |(key, _)| *key, |(_, row), count| output.push((Row::from_bytes(row), count)));
    });
    map_rows(reduce_ordered(operators::arrange(ordered, "TopK"), "TopK", logic), |(_, row)| row)
}

/// A value that sorts by the bytes in `builder`, then by `row`. How long the former are stands at the end.
fn finish(builder: &mut RowBuilder, row: &[u8]) -> Row {
    let length = builder.len() as u32;
    builder.push_encoded(row);
    builder.push_encoded(&length.to_be_bytes());
    builder.finish()
}

/// The sort key and the row of such a value.
fn parts(value: &[u8]) -> (&[u8], &[u8]) {
    let Some((rest, length)) = value.split_last_chunk::<4>() else { return (&[], value) };
    rest.split_at((u32::from_be_bytes(*length) as usize).min(rest.len()))
}

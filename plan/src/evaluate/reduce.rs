//! Hash aggregation.

use super::guard::Charge;
use super::hash::KeyTable;
use super::node::{Env, Sink, Source, prefix_length};
use crate::aggregate::{self, Accumulator, Aggregate, Strategy, finish_recomputed};
use repr::{Datum, Diff, EvalError, Row, RowBuilder, RowRef};

pub struct Reduce {
    /// Gives the keys, then for each aggregate the columns of [`Aggregate::inputs`].
    pub source: Source,
    pub keys: usize,
    pub aggregates: Vec<Reducer>,
}

/// An aggregate and how it is computed.
pub struct Reducer {
    pub aggregate: Aggregate,
    pub inputs: usize,
    pub method: Method,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Sum,
    /// A sum over arguments not seen before in the group.
    DistinctSum,
    Extremum,
    /// Of all rows of the group.
    Rows,
}

impl Reducer {
    pub fn new(aggregate: &Aggregate, argument_is_canonical: bool) -> Reducer {
        let entry = aggregate.function.0;
        let method = match entry.strategy {
            Strategy::Extremum => Method::Extremum,
            Strategy::Accumulable if !aggregate.distinct => Method::Sum,
            Strategy::Accumulable if argument_is_canonical => Method::DistinctSum,
            _ => Method::Rows,
        };
        Reducer { aggregate: aggregate.clone(), inputs: aggregate.inputs().len(), method }
    }
}

enum State {
    Sum(Accumulator),
    Extremum(Option<Row>),
    Rows(Vec<(Row, Diff)>),
}

struct Groups<'a> {
    keys: KeyTable,
    rows: Vec<Diff>,
    /// One per group and aggregate.
    states: Vec<State>,
    /// Group, aggregate and argument of what DISTINCT has seen.
    seen: KeyTable,
    buffer: Vec<u8>,
    charge: Charge<'a>,
}

impl Reduce {
    pub fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let Reduce { source, keys, aggregates } = self;
        let mut groups = Groups {
            keys: KeyTable::new(),
            rows: Vec::new(),
            states: Vec::new(),
            seen: KeyTable::new(),
            buffer: Vec::new(),
            charge: Charge::new(env.guard),
        };
        source.run(env, &mut |row, diff| {
            let (key, inputs) = row.split_at(prefix_length(row, *keys));
            groups.add(key, inputs, diff, aggregates).map(|()| true)
        })?;
        let mut out = RowBuilder::new();
        for group in 0..groups.keys.len() {
            if groups.rows[group] <= 0 {
                continue;
            }
            env.guard.row()?;
            out.clear();
            out.push_encoded(groups.keys.key(group));
            for (position, reducer) in aggregates.iter().enumerate() {
                reducer.finish(&groups.states[group * aggregates.len() + position], &mut out)?;
            }
            if !sink(out.as_bytes(), 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Groups<'_> {
    #[inline]
    fn add(&mut self, key: &[u8], inputs: &[u8], diff: Diff, reducers: &[Reducer]) -> Result<(), EvalError> {
        let (group, is_new) = self.keys.insert(key);
        if is_new {
            self.charge.add(KeyTable::bytes_per_key(key) + size_of::<Diff>() + reducers.len() * size_of::<State>())?;
            self.rows.push(0);
            self.states.extend(reducers.iter().map(|reducer| match reducer.method {
                Method::Sum | Method::DistinctSum => State::Sum(Accumulator::Zero),
                Method::Extremum => State::Extremum(None),
                Method::Rows => State::Rows(Vec::new()),
            }));
        }
        self.rows[group] = self.rows[group].wrapping_add(diff);
        let mut start = 0;
        for (position, reducer) in reducers.iter().enumerate() {
            let end = start + prefix_length(&inputs[start..], reducer.inputs);
            let state = &mut self.states[group * reducers.len() + position];
            let columns = &inputs[start..end];
            start = end;
            let entry = reducer.aggregate.function.0;
            match state {
                State::Rows(rows) if diff > 0 => {
                    let row = Row::from_bytes(columns);
                    self.charge.add(super::guard::row_bytes(&row))?;
                    rows.push((row, diff));
                }
                State::Rows(_) => {}
                _ if !reducer.passes(columns) => {}
                State::Sum(sum) if reducer.method == Method::Sum => entry.accumulate_arguments(sum, RowRef::new(columns).iter(), diff),
                State::Sum(sum) if diff > 0 => {
                    self.buffer.clear();
                    self.buffer.extend_from_slice(&(group as u64).to_le_bytes());
                    self.buffer.extend_from_slice(&(position as u32).to_le_bytes());
                    self.buffer.extend_from_slice(&columns[..prefix_length(columns, reducer.aggregate.arguments.len())]);
                    if self.seen.insert(&self.buffer).1 {
                        self.charge.add(KeyTable::bytes_per_key(&self.buffer))?;
                        entry.accumulate_arguments(sum, RowRef::new(columns).iter(), 1);
                    }
                }
                State::Extremum(best) if diff > 0 => {
                    let datum = &columns[..prefix_length(columns, 1)];
                    if aggregate::is_better(entry.kind, datum, best.as_ref().map(Row::as_bytes)) {
                        let datum = Row::from_bytes(datum);
                        self.charge.add(datum.heap_bytes())?;
                        *best = Some(datum);
                    }
                }
                State::Sum(_) | State::Extremum(_) => {}
            }
        }
        Ok(())
    }
}

impl Reducer {
    /// Whether the aggregate's filter, its last input, is true.
    #[inline]
    fn passes(&self, columns: &[u8]) -> bool {
        self.aggregate.filter.is_none() || matches!(RowRef::new(columns).iter().nth(self.inputs - 1), Some(Datum::Bool(true)))
    }

    fn finish(&self, state: &State, out: &mut RowBuilder) -> Result<(), EvalError> {
        match state {
            State::Sum(sum) => self.aggregate.function.0.finish(sum, out),
            State::Extremum(Some(datum)) => {
                out.push_encoded(datum.as_bytes());
                Ok(())
            }
            State::Extremum(None) => {
                out.push(Datum::Null);
                Ok(())
            }
            State::Rows(rows) => finish_recomputed(&self.aggregate, rows.iter().map(|(row, diff)| (row.as_bytes(), *diff)), out),
        }
    }
}

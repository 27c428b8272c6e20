//! ORDER BY with LIMIT and OFFSET, per group.

use super::Time;
use super::bundle::Bundle;
use super::operators::{self, map_rows};
use super::render::Renderer;
use super::stage::error_row;
use super::trace::own;
use plan::{ColumnOrder, Plan, Scalar, evaluate};
use repr::{CollectionId, Datum, Diff, EvalError, Row, RowBuilder, RowRef, SqlState};

const INVALID_ROW_COUNT_IN_LIMIT_CLAUSE: SqlState = SqlState(*b"2201W");

/// The parameters of a TopK node.
pub struct TopK<'p> {
    pub group: &'p [usize],
    pub order: &'p [ColumnOrder],
    pub limit: Option<&'p Scalar>,
    pub offset: u64,
    pub with_ties: bool,
}

/// Which rows of an ordered group are wanted.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub offset: u64,
    pub limit: Option<u64>,
    pub with_ties: bool,
}

impl Wanted {
    /// Chooses among rows in order. `rank` says which rows rank equal; `take` gets how many copies of a row are in.
    pub fn choose<E, K: PartialEq>(&self, rows: impl Iterator<Item = (E, Diff)>, rank: impl Fn(&E) -> K, mut take: impl FnMut(E, Diff)) {
        let mut skip = self.offset;
        let mut remaining = self.limit.unwrap_or(u64::MAX);
        // The rank of the last row within the limit: the measure of the ties after it.
        let mut last: Option<K> = None;
        for (row, count) in rows {
            let count = count.unsigned_abs();
            let skipped = skip.min(count);
            skip -= skipped;
            let mut taken = (count - skipped).min(remaining);
            remaining -= taken;
            let with_ties = self.with_ties && self.limit != Some(0);
            let key = rank(&row);
            if with_ties && remaining == 0 {
                if last.as_ref().is_none_or(|last| *last == key) {
                    taken = count - skipped;
                }
                if last.is_none() && taken > 0 {
                    last = Some(rank(&row));
                }
            }
            if taken > 0 {
                take(row, taken as Diff);
            }
            if remaining == 0 && (!with_ties || last.as_ref().is_some_and(|last| *last != key)) {
                return;
            }
        }
    }
}

/// Appends the sort key of a row.
pub fn push_order(row: &[u8], order: &[ColumnOrder], out: &mut RowBuilder) {
    let datums: Vec<Datum<'_>> = RowRef::new(row).iter().collect();
    for order in order {
        let datum = datums.get(order.column).cloned().unwrap_or(Datum::Null);
        plan::aggregate::push_sort_key(out, datum, order.direction);
    }
}

/// There are no collections behind a limit.
struct Nothing;

impl plan::Inputs for Nothing {
    fn scan(&self, _: CollectionId, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        Ok(())
    }
    fn lookup(&self, _: CollectionId, _: CollectionId, _: &Row, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        Ok(())
    }
    fn range(&self, _: CollectionId, _: CollectionId, _: Option<&[u8]>, _: Option<&[u8]>, _: bool, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        Ok(())
    }
}

impl<'scope, T: Time> Renderer<'scope, '_, T> {
    fn limit(&self, limit: Option<&Scalar>) -> Result<Option<u64>, EvalError> {
        let Some(limit) = limit else { return Ok(None) };
        let plan = Plan::constant(vec![(Row::empty(), 1)], Vec::new()).map(vec![limit.clone()]);
        let rows = evaluate(&plan, &Nothing, self.context)?;
        let count = match rows.first().and_then(|(row, _)| row.get(0)) {
            Some(Datum::Int8(count)) => count,
            Some(Datum::Int4(count)) => i64::from(count),
            Some(Datum::Int2(count)) => i64::from(count),
            _ => return Ok(None),
        };
        let negative = || EvalError::new(INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT must not be negative");
        u64::try_from(count).map(Some).map_err(|_| negative())
    }

    pub fn top_k(&mut self, input: Bundle<'scope, T>, top_k: TopK<'_>) -> Bundle<'scope, T> {
        let types = input.types();
        let limit = match self.limit(top_k.limit) {
            Ok(limit) => limit,
            Err(error) => {
                let mut errors = input.settled(self.context).errors;
                errors.push(self.constant(vec![(error_row(&error, 0), 1)]));
                return Bundle::from_rows(self.constant(Vec::new()), types, errors);
            }
        };
        let key: Vec<Scalar> = top_k.group.iter().map(|&column| Scalar::Column(column)).collect();
        let columns: Vec<usize> = (0..types.len()).collect();
        let (pairs, errors) = input.pairs(&key, &columns, self.context, "TopKInput");
        let wanted = Wanted { offset: top_k.offset, limit, with_ties: top_k.with_ties };
        let rows = T::top_k(self, pairs, top_k.order.to_vec(), wanted);
        Bundle::from_rows(rows, types, errors)
    }
}

/// Sorts each group again when it changes.
pub fn sort_groups<'scope, T: Time>(pairs: operators::Updates<'scope, T, (Row, Row)>, order: Vec<ColumnOrder>, wanted: Wanted) -> operators::Rows<'scope, T> {
    let mut builder = RowBuilder::new();
    let reduced = operators::reduce(
        own(operators::arrange(pairs, "TopK")),
        "TopK",
        Box::new(move |_, values, output| {
            let mut rows: Vec<(Row, &[u8], Diff)> = Vec::with_capacity(values.len());
            for (value, count) in values.iter().filter(|(_, count)| *count > 0) {
                push_order(value.0, &order, &mut builder);
                rows.push((builder.finish(), value.0, *count));
            }
            rows.sort_unstable();
            let in_order = rows.iter().map(|(key, row, count)| ((key, *row), *count));
            wanted.choose(in_order, |(key, _)| *key, |(_, row), count| output.push((Row::from_bytes(row), count)));
        }),
    );
    map_rows(own(reduced).as_collection(|_, value| Row::from_bytes(value.0)).inner, |row| row)
}

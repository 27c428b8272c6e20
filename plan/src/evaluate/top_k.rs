//! ORDER BY with LIMIT and OFFSET, per group.

use super::guard::Charge;
use super::hash::KeyTable;
use super::mapper::Constants;
use super::node::{Env, Sink, Source};
use crate::aggregate::push_sort_key;
use crate::relation::ColumnOrder;
use repr::{CollectionId, Datum, Diff, EvalError, Row, RowBuilder, RowRef, SqlState, skip_datum};
use std::collections::BinaryHeap;

const INVALID_ROW_COUNT_IN_LIMIT_CLAUSE: SqlState = SqlState(*b"2201W");

pub struct TopK {
    pub source: Source,
    pub group: Vec<usize>,
    pub order: Vec<ColumnOrder>,
    pub limit: Option<Constants>,
    pub offset: u64,
    pub with_ties: bool,
    pub ordered: Option<OrderedInput>,
}

/// The input is a range of an index under a chain that cannot fail: if the index is in the order asked for, reading may stop early.
pub struct OrderedInput {
    pub id: CollectionId,
    pub index: CollectionId,
    /// The columns of the collection in the order asked for.
    pub columns: Vec<usize>,
    /// So many columns of the index's key have one value in the range.
    pub fixed: usize,
}

impl OrderedInput {
    /// Whether the index gives rows in the order asked for. Keys are ascending with NULLs last, read backwards the reverse.
    fn matches(&self, env: &Env<'_>) -> bool {
        env.inputs.index_columns(self.id, self.index).is_some_and(|columns| {
            let (fixed, rest) = columns.split_at(self.fixed.min(columns.len()));
            let mut rest = rest.iter();
            self.columns.iter().filter(|column| !fixed.contains(column)).all(|column| rest.next() == Some(column))
        })
    }
}

/// A row with its sort key. The key is bytes that only compare; `Row` holds them because short ones need no allocation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Row,
    row: Row,
    diff: Diff,
}

/// The greatest of the rows that may still be in the result is on top.
#[derive(Default)]
struct Group {
    heap: BinaryHeap<Entry>,
    rows: u64,
}

/// The value of a limit: `None` is no limit, as is NULL.
pub fn limit_value(limit: Option<&Constants>) -> Result<Option<u64>, EvalError> {
    let Some(limit) = limit else { return Ok(None) };
    let count = match limit.value()?.get(0) {
        Some(Datum::Int8(count)) => count,
        Some(Datum::Int4(count)) => i64::from(count),
        Some(Datum::Int2(count)) => i64::from(count),
        _ => return Ok(None),
    };
    match u64::try_from(count) {
        Ok(count) => Ok(Some(count)),
        Err(_) => Err(EvalError::new(INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT must not be negative")),
    }
}

impl TopK {
    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        self.limit.iter_mut().try_for_each(|limit| limit.bind(values))?;
        self.source.bind(values)
    }

    pub fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let limit = limit_value(self.limit.as_ref())?;
        // Ties are known only when all rows are.
        let needed = limit.filter(|_| !self.with_ties).map(|limit| limit.saturating_add(self.offset));
        let ordered = needed.is_some() && self.ordered.as_ref().is_some_and(|ordered| ordered.matches(env));
        let mut charge = Charge::new(env.guard);
        let mut groups = KeyTable::new();
        let mut kept: Vec<Group> = Vec::new();
        let mut key = Vec::new();
        let mut sort_key = RowBuilder::new();
        let mut ends = Vec::new();
        let (group, order) = (&self.group, &self.order);
        let columns = group.iter().copied().chain(order.iter().map(|order| order.column)).max().map_or(0, |column| column + 1);
        self.source.run(env, &mut |row, diff| {
            if diff <= 0 {
                return Ok(true);
            }
            ends.clear();
            ends.push(0);
            for column in 0..columns {
                ends.push(ends[column] + skip_datum(&row[ends[column]..]));
            }
            key.clear();
            group.iter().for_each(|&column| key.extend_from_slice(&row[ends[column]..ends[column + 1]]));
            let (position, is_new) = groups.insert(&key);
            if is_new {
                charge.add(KeyTable::bytes_per_key(&key) + size_of::<Group>())?;
                kept.push(Group::default());
            }
            sort_key.clear();
            for order in order {
                let datum = RowRef::new(&row[ends[order.column]..ends[order.column + 1]]).iter().next().unwrap_or(Datum::Null);
                push_sort_key(&mut sort_key, datum, order.direction);
            }
            let group = &mut kept[position];
            if let Some(needed) = needed
                && group.rows >= needed
            {
                match group.heap.peek() {
                    // Whatever comes after it in an ordered input is even greater.
                    Some(greatest) if sort_key.as_bytes() > greatest.key.as_bytes() => {
                        return Ok(!ordered);
                    }
                    Some(greatest) if (sort_key.as_bytes(), row) >= (greatest.key.as_bytes(), greatest.row.as_bytes()) => {
                        return Ok(true);
                    }
                    Some(_) => {}
                    None => return Ok(!ordered),
                }
            }
            let entry = Entry { key: Row::from_bytes(sort_key.as_bytes()), row: Row::from_bytes(row), diff };
            if needed.is_none_or(|needed| group.rows < needed) {
                charge.add(size_of::<Entry>() + entry.key.heap_bytes() + entry.row.heap_bytes())?;
            }
            group.rows = group.rows.saturating_add(diff as u64);
            group.heap.push(entry);
            if let Some(needed) = needed {
                while group.heap.peek().is_some_and(|greatest| group.rows - greatest.diff as u64 >= needed) {
                    group.rows -= group.heap.pop().map_or(0, |greatest| greatest.diff as u64);
                }
            }
            Ok(true)
        })?;
        for group in kept {
            if !self.emit(group, limit, sink)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn emit(&self, group: Group, limit: Option<u64>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let mut skip = self.offset;
        let mut remaining = limit.unwrap_or(u64::MAX);
        let mut last: Option<Row> = None;
        for entry in group.heap.into_sorted_vec() {
            let rows = entry.diff as u64;
            let skipped = skip.min(rows);
            skip -= skipped;
            let mut taken = (rows - skipped).min(remaining);
            remaining -= taken;
            if self.with_ties && remaining == 0 && limit != Some(0) {
                // The last row within the limit is the measure of the ties after it.
                if last.as_ref().is_none_or(|last| *last == entry.key) {
                    taken = rows - skipped;
                }
                if last.is_none() && taken > 0 {
                    last = Some(entry.key.clone());
                }
            }
            if taken > 0 && !sink(entry.row.as_bytes(), taken as Diff)? {
                return Ok(false);
            }
            if remaining == 0 && (!self.with_ties || last.as_ref().is_some_and(|last| *last != entry.key)) {
                break;
            }
        }
        Ok(true)
    }
}

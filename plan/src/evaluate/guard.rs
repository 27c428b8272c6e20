//! What one run may use, and when it must end.

use super::Context;
use repr::{Diff, EvalError, Row, SqlState};
use std::cell::Cell;
use std::sync::atomic::Ordering;

/// Rows between two looks at the cancel flag.
const ROWS_PER_CHECK: u32 = 1024;
const OUT_OF_MEMORY: SqlState = SqlState(*b"53200");
const QUERY_CANCELED: SqlState = SqlState(*b"57014");

/// Counts the memory of a run and watches its cancel flag.
pub struct Guard<'a> {
    context: &'a Context,
    bytes: Cell<usize>,
    rows: Cell<u32>,
}

impl<'a> Guard<'a> {
    pub fn new(context: &'a Context) -> Guard<'a> {
        Guard { context, bytes: Cell::new(0), rows: Cell::new(0) }
    }

    /// Called per row wherever rows come from or multiply.
    #[inline]
    pub fn row(&self) -> Result<(), EvalError> {
        let rows = self.rows.get() + 1;
        self.rows.set(rows);
        if rows < ROWS_PER_CHECK {
            return Ok(());
        }
        self.rows.set(0);
        self.check_cancelled()
    }

    #[cold]
    pub fn check_cancelled(&self) -> Result<(), EvalError> {
        match &self.context.cancelled {
            Some(cancelled) if cancelled.load(Ordering::Relaxed) => Err(EvalError::new(QUERY_CANCELED, "canceling statement due to user request")),
            _ => Ok(()),
        }
    }

    /// Counts memory that is kept.
    #[inline]
    pub fn keep(&self, bytes: usize) -> Result<(), EvalError> {
        let total = self.bytes.get() + bytes;
        self.bytes.set(total);
        match self.context.memory_bytes_max {
            Some(limit) if total > limit => Err(out_of_memory(limit)),
            _ => Ok(()),
        }
    }

    pub fn release(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }
}

#[cold]
fn out_of_memory(limit: usize) -> EvalError {
    EvalError::new(OUT_OF_MEMORY, "out of memory")
        .with_detail(format!("The intermediate results of the query exceed {limit} bytes."))
        .with_hint("Read less (a filter, an index, a materialized view), or raise the memory limit of a query.")
}

/// The memory a row takes in a vector.
pub fn row_bytes(row: &Row) -> usize {
    size_of::<(Row, Diff)>() + row.heap_bytes()
}

/// Memory that is counted until this is dropped.
pub struct Charge<'a> {
    guard: &'a Guard<'a>,
    bytes: usize,
}

impl<'a> Charge<'a> {
    pub fn new(guard: &'a Guard<'a>) -> Charge<'a> {
        Charge { guard, bytes: 0 }
    }
    #[inline]
    pub fn add(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.bytes += bytes;
        self.guard.keep(bytes)
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.guard.release(self.bytes);
    }
}

/// Rows a run keeps.
pub struct Kept<'a> {
    pub rows: Vec<(Row, Diff)>,
    charge: Charge<'a>,
}

impl<'a> Kept<'a> {
    pub fn new(guard: &'a Guard<'a>) -> Kept<'a> {
        Kept { rows: Vec::new(), charge: Charge::new(guard) }
    }
    #[inline]
    pub fn push(&mut self, row: &[u8], diff: Diff) -> Result<(), EvalError> {
        let row = Row::from_bytes(row);
        self.charge.add(row_bytes(&row))?;
        self.rows.push((row, diff));
        Ok(())
    }
    pub fn consolidate(&mut self) {
        consolidate(&mut self.rows);
    }
}

/// Sorts the rows and adds up the multiplicities of equal ones; what adds up to zero goes.
pub fn consolidate(rows: &mut Vec<(Row, Diff)>) {
    if rows.iter().all(|(_, diff)| *diff != 0) && rows.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return;
    }
    rows.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    rows.dedup_by(|next, kept| {
        let equal = next.0 == kept.0;
        if equal {
            kept.1 = kept.1.wrapping_add(next.1);
        }
        equal
    });
    rows.retain(|(_, diff)| *diff != 0);
}

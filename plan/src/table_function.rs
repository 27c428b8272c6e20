//! Functions that return rows, used in FROM and in select lists.

use repr::{ColumnType, Type};

/// A table function of the table, with the types it was resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableFunction {
    /// `generate_series(start, stop [, step])` over the type of its arguments.
    GenerateSeries(Type),
    GenerateSubscripts,
    Unnest(Type),
    RegexpSplitToTable,
    StringToTable,
    JsonbArrayElements { text: bool },
    JsonbEach { text: bool },
    JsonbObjectKeys,
    /// The input row, as often as the (single, bigint) argument says; negative is an error of the plan. Used by INTERSECT/EXCEPT ALL.
    Repeat,
    /// Fails with `more than one row returned by a subquery used as an expression` when its argument (a count) is above 1; returns no columns and one row otherwise.
    AssertOneRow,
    /// The function with a trailing bigint column that counts the rows from 1.
    WithOrdinality(Box<TableFunction>),
}

impl TableFunction {
    /// Names and types of the columns it appends.
    pub fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        todo!()
    }
}

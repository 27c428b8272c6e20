//! Which names are visible where.

use crate::error::{BindError, BindResult, Place, codes};
use crate::hir::ColumnId;

/// A FROM item under its correlation name.
#[derive(Clone, Debug)]
pub(crate) struct ScopeTable {
    pub name: String,
    /// The schema of a relation read without an alias: `schema.table.column` names it too.
    pub schema: Option<String>,
    pub columns: Vec<(String, ColumnId)>,
    /// Sets of positions in `columns` which are unique: grouping by one of them determines the other columns.
    pub keys: Vec<Vec<usize>>,
    /// A function that returns one scalar per row: its whole-row reference is that scalar.
    pub scalar_function: bool,
}

/// A column as `*` and unqualified names see it; USING merges two into one.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    pub name: String,
    pub id: ColumnId,
}

/// What FROM offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub tables: Vec<ScopeTable>,
    pub columns: Vec<ScopeColumn>,
}

impl Scope {
    pub fn of_table(table: ScopeTable) -> Scope {
        let columns = table.columns.iter().map(|(name, id)| ScopeColumn { name: name.clone(), id: *id }).collect();
        Scope { tables: vec![table], columns }
    }

    /// Adds the tables and columns of another FROM item beside these.
    pub fn append(&mut self, other: Scope) -> BindResult<()> {
        self.check_aliases(&other)?;
        self.tables.extend(other.tables);
        self.columns.extend(other.columns);
        Ok(())
    }

    pub fn check_aliases(&self, other: &Scope) -> BindResult<()> {
        for table in &other.tables {
            if self.tables.iter().any(|mine| mine.name == table.name && (mine.schema.is_none() || table.schema.is_none() || mine.schema == table.schema)) {
                return Err(BindError::new(codes::DUPLICATE_ALIAS, format!("table name \"{}\" specified more than once", table.name)));
            }
        }
        Ok(())
    }

    /// The column an unqualified name means, if any.
    pub fn find_column(&self, name: &str, place: Option<Place>) -> BindResult<Option<ColumnId>> {
        let mut found = self.columns.iter().filter(|column| column.name == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(ambiguous(name, place));
        }
        Ok(first.map(|column| column.id))
    }

    /// The table a correlation name means, if any.
    pub fn find_table(&self, schema: Option<&str>, name: &str, place: Option<Place>) -> BindResult<Option<&ScopeTable>> {
        let mut found = self.tables.iter().filter(|table| table.name == name && (schema.is_none() || table.schema.as_deref() == schema));
        let first = found.next();
        if found.next().is_some() {
            return Err(BindError::new(codes::AMBIGUOUS_ALIAS, format!("table reference \"{name}\" is ambiguous")).at(place));
        }
        Ok(first)
    }
}

impl ScopeTable {
    pub fn find(&self, column: &str, place: Option<Place>) -> BindResult<Option<ColumnId>> {
        let mut found = self.columns.iter().filter(|(name, _)| name == column);
        let first = found.next();
        if found.next().is_some() {
            return Err(ambiguous(column, place));
        }
        Ok(first.map(|(_, id)| *id))
    }
}

fn ambiguous(name: &str, place: Option<Place>) -> BindError {
    BindError::new(codes::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous")).at(place)
}

/// Changes of single characters that make one word the other, for "perhaps you meant"; above `limit` it is not counted further.
pub(crate) fn edit_distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let replace = previous.get(column).copied().unwrap_or(0) + usize::from(a != b);
            let delete = previous.get(column + 1).copied().unwrap_or(0) + 1;
            let insert = current.last().copied().unwrap_or(0) + 1;
            current.push(replace.min(delete).min(insert));
        }
        previous = current;
    }
    previous.last().copied().filter(|distance| *distance <= limit)
}

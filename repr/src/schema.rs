//! The shape of a relation.

use crate::Type;
use serde::{Deserialize, Serialize};

/// A type with its modifier and nullability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnType {
    pub scalar: Type,
    /// Postgres' `atttypmod`: -1 when there is none; `(precision << 16 | scale & 0xffff) + 4` for numeric, `n + 4` for varchar and bpchar,
    /// the number of fractional digits for time types.
    pub modifier: i32,
    pub nullable: bool,
}

impl ColumnType {
    pub fn new(scalar: Type) -> ColumnType {
        ColumnType { scalar, modifier: -1, nullable: true }
    }
    pub fn not_null(mut self) -> ColumnType {
        self.nullable = false;
        self
    }
    pub fn nullable(mut self, nullable: bool) -> ColumnType {
        self.nullable = nullable;
        self
    }
    pub fn with_modifier(mut self, modifier: i32) -> ColumnType {
        self.modifier = modifier;
        self
    }
}

/// A named column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub column_type: ColumnType,
}

/// Names and types of a relation's columns, and which sets of them are unique in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schema {
    pub columns: Vec<Column>,
    /// Each entry is a set of column positions whose values are unique and not null. The first one is the primary key.
    pub keys: Vec<Vec<usize>>,
}

impl Schema {
    pub fn new(columns: impl IntoIterator<Item = (impl Into<String>, ColumnType)>) -> Schema {
        let columns = columns.into_iter().map(|(name, column_type)| Column { name: name.into(), column_type }).collect();
        Schema { columns, keys: Vec::new() }
    }
    pub fn with_key(mut self, key: Vec<usize>) -> Schema {
        self.keys.push(key);
        self
    }
    pub fn arity(&self) -> usize {
        self.columns.len()
    }
    pub fn types(&self) -> Vec<ColumnType> {
        self.columns.iter().map(|column| column.column_type.clone()).collect()
    }
    /// The columns an arrangement of this relation is keyed by unless asked otherwise: the primary key, else every column.
    pub fn default_key(&self) -> Vec<usize> {
        self.keys.first().cloned().unwrap_or_else(|| (0..self.arity()).collect())
    }
}

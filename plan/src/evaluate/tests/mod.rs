//! Operators over rows written as text.

mod operators;
mod prepared;
mod top_k;
mod window;

use super::*;
use crate::{Aggregate, AggregateFunction, Scalar};
use repr::{ColumnType, Datum, RowBuilder, SortDirection, Type, text};
use std::collections::HashMap;

pub const ASCENDING: SortDirection = SortDirection { descending: false, nulls_first: false };
pub const DESCENDING: SortDirection = SortDirection { descending: true, nulls_first: true };

/// Types by name: `int4 text!`, where `!` is NOT NULL.
pub fn types(names: &str) -> Vec<ColumnType> {
    let column = |name: &str| {
        let (name, not_null) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        ColumnType::new(Type::from_name(name).unwrap_or_else(|| panic!("type {name}"))).nullable(!not_null)
    };
    names.split_whitespace().map(column).collect()
}

/// Rows separated by `;`, values by `,`, a multiplicity after `*`: `1, a; 2, NULL * 3`.
pub fn rows(types: &[ColumnType], rows: &str) -> Vec<(Row, Diff)> {
    rows.split(';')
        .map(str::trim)
        .filter(|row| !row.is_empty())
        .map(|row| {
            let (values, diff) = row.rsplit_once('*').map_or((row, 1), |(values, diff)| (values, diff.trim().parse().unwrap()));
            let mut out = RowBuilder::new();
            for (value, column_type) in values.split(',').map(str::trim).zip(types) {
                match value {
                    "NULL" => out.push(Datum::Null),
                    value => text::read(value, &column_type.scalar, &Default::default(), &mut out).unwrap(),
                }
            }
            (out.finish(), diff)
        })
        .collect()
}

pub fn show(types: &[ColumnType], rows: &[(Row, Diff)]) -> String {
    let show_row = |(row, diff): &(Row, Diff)| {
        let values: Vec<String> = row
            .iter()
            .zip(types)
            .map(|(datum, column_type)| match datum {
                Datum::Null => "NULL".to_string(),
                datum => {
                    let mut out = String::new();
                    text::write(&datum, &column_type.scalar, &Default::default(), &mut out);
                    out
                }
            })
            .collect();
        assert_eq!(row.iter().count(), types.len(), "columns of {row:?}");
        if *diff == 1 { values.join(", ") } else { format!("{} * {diff}", values.join(", ")) }
    };
    rows.iter().map(show_row).collect::<Vec<_>>().join("; ")
}

/// Collections in memory; index `i` of a collection has the key columns in `indexes`.
#[derive(Default)]
pub struct Tables {
    pub rows: HashMap<CollectionId, Vec<(Row, Diff)>>,
    pub indexes: HashMap<CollectionId, Vec<usize>>,
    pub visited: std::cell::Cell<usize>,
}

impl Tables {
    pub fn with(mut self, id: u64, rows: Vec<(Row, Diff)>) -> Tables {
        self.rows.insert(CollectionId(id), rows);
        self
    }
    pub fn index(mut self, id: u64, columns: &[usize]) -> Tables {
        self.indexes.insert(CollectionId(id), columns.to_vec());
        self
    }
    fn key(&self, index: CollectionId, row: &Row) -> Row {
        let mut key = RowBuilder::new();
        self.indexes[&index].iter().for_each(|&column| key.push_canonical(row.get(column).unwrap()));
        key.finish()
    }
}

impl Inputs for Tables {
    fn scan(&self, id: CollectionId, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        let Some(rows) = self.rows.get(&id) else {
            return Err(EvalError::division_by_zero());
        };
        for (row, diff) in rows {
            self.visited.set(self.visited.get() + 1);
            if !visit(row.as_bytes(), *diff) {
                break;
            }
        }
        Ok(())
    }
    fn lookup(&self, id: CollectionId, index: CollectionId, key: &Row, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.scan(id, &mut |row, diff| self.key(index, &Row::from_bytes(row)) != *key || visit(row, diff))
    }
    fn range(
        &self,
        id: CollectionId,
        index: CollectionId,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
        descending: bool,
        visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) -> Result<(), EvalError> {
        let mut found: Vec<(Row, &Row, Diff)> = self.rows[&id].iter().map(|(row, diff)| (self.key(index, row), row, *diff)).collect();
        found.sort();
        if descending {
            found.reverse();
        }
        for (key, row, diff) in found {
            let inside = lower.is_none_or(|lower| key.as_bytes() >= lower) && upper.is_none_or(|upper| key.as_bytes() < upper);
            if inside {
                self.visited.set(self.visited.get() + 1);
                if !visit(row.as_bytes(), diff) {
                    break;
                }
            }
        }
        Ok(())
    }
    fn index_columns(&self, _id: CollectionId, index: CollectionId) -> Option<Vec<usize>> {
        self.indexes.get(&index).cloned()
    }
}

/// Runs a plan and compares the result, written as text; an error is its code and message.
#[track_caller]
pub fn check(plan: &Plan, tables: &Tables, expected: &str) {
    let types = plan.column_types();
    assert_eq!(types.len(), plan.arity());
    let result = evaluate(plan, tables, &Context::default());
    if let Ok(rows) = &result {
        for (row, _) in rows {
            for (datum, column_type) in row.iter().zip(&types) {
                assert!(column_type.nullable || !datum.is_null(), "NULL in a column that has none: {row:?}");
            }
        }
        for key in plan.unique_keys(&|_| Vec::new()) {
            let mut seen = std::collections::HashSet::new();
            for (row, diff) in rows {
                let values: Vec<Datum<'_>> = row.unpack();
                let key_row = Row::pack(key.iter().map(|&column| values[column].clone()));
                assert!(*diff == 1 && seen.insert(key_row), "{key:?} is not unique: {}", show(&types, rows));
            }
        }
    }
    assert_eq!(outcome(&types, result), expected);
}

pub fn outcome(types: &[ColumnType], result: Result<Vec<(Row, Diff)>, EvalError>) -> String {
    match result {
        Ok(rows) => show(types, &rows),
        Err(error) => format!("{} {}", error.code(), error.message()),
    }
}

/// A constant relation.
pub fn relation(names: &str, text: &str) -> Plan {
    let types = types(names);
    let rows = rows(&types, text);
    Plan::constant(rows, types)
}

pub fn col(column: usize) -> Scalar {
    Scalar::Column(column)
}
pub fn int4(value: i32) -> Scalar {
    Scalar::literal(Datum::Int4(value), ColumnType::new(Type::Int4).not_null())
}
pub fn int8(value: i64) -> Scalar {
    Scalar::literal(Datum::Int8(value), ColumnType::new(Type::Int8).not_null())
}
/// A call over the columns of a plan.
pub fn call(plan: &Plan, name: &str, arguments: Vec<Scalar>) -> Scalar {
    Scalar::call(name, arguments, &plan.column_types())
}

/// An aggregate over columns of a plan.
pub fn aggregate(plan: &Plan, name: &str, arguments: &[usize]) -> Aggregate {
    let types = plan.column_types();
    let arguments: Vec<Scalar> = arguments.iter().map(|&column| col(column)).collect();
    let actual: Vec<ColumnType> = arguments.iter().map(|argument| argument.column_type(&types)).collect();
    let accepts = |wanted: &Type, actual: &ColumnType| *wanted == actual.scalar || matches!(wanted, Type::Any | Type::AnyElement | Type::AnyNonArray);
    let entry = crate::aggregate::lookup(name)
        .iter()
        .find(|entry| entry.arguments.len() == actual.len() && entry.arguments.iter().zip(&actual).all(|(wanted, actual)| accepts(wanted, actual)))
        .unwrap_or_else(|| panic!("aggregate {name}"));
    let column_type = entry.result_type(&actual);
    Aggregate { function: AggregateFunction(entry), arguments, distinct: false, filter: None, order: Vec::new(), column_type }
}

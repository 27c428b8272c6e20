//! The rows of a subscription: changes of one timestamp in the shape the subscriber asked for.

use crate::execution::ResultColumn;
use repr::{ColumnType, Datum, Diff, Numeric, Row, RowBuilder, RowRef, Schema, SortDirection, Timestamp, Type};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What becomes of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `mz_diff` and the columns, in this order within a timestamp (by the row, if empty). A column `None` is `mz_diff`.
    Changes { order: Vec<(Option<usize>, SortDirection)> },
    /// `mz_state`, key, values: the newest value of each key.
    Upsert { key: Vec<usize> },
    /// `mz_state`, key, values before and after.
    Debezium { key: Vec<usize> },
}

/// Writes the rows of a subscription to a relation of `arity` columns.
pub struct Writer {
    pub shape: Shape,
    pub progress: bool,
    arity: usize,
    builder: RowBuilder,
}

/// The columns a subscription has.
pub fn columns(schema: &Schema, shape: &Shape, progress: bool) -> Arc<Vec<ResultColumn>> {
    let mut names: Vec<(String, ColumnType)> = vec![("mz_timestamp".to_string(), ColumnType::new(Type::Numeric).not_null())];
    if progress {
        names.push(("mz_progressed".to_string(), ColumnType::new(Type::Bool).not_null()));
    }
    let column = |position: usize| schema.columns.get(position).map(|column| (column.name.clone(), column.column_type.clone().nullable(true)));
    let values = |key: &Vec<usize>| (0..schema.arity()).filter(|position| !key.contains(position)).collect::<Vec<_>>();
    match shape {
        Shape::Changes { .. } => {
            names.push(("mz_diff".to_string(), ColumnType::new(Type::Int8)));
            names.extend((0..schema.arity()).filter_map(column));
        }
        Shape::Upsert { key } => {
            names.push(("mz_state".to_string(), ColumnType::new(Type::Text)));
            names.extend(key.iter().copied().filter_map(column));
            names.extend(values(key).into_iter().filter_map(column));
        }
        Shape::Debezium { key } => {
            names.push(("mz_state".to_string(), ColumnType::new(Type::Text)));
            names.extend(key.iter().copied().filter_map(column));
            for prefix in ["before", "after"] {
                names.extend(values(key).into_iter().filter_map(column).map(|(name, column_type)| (format!("{prefix}_{name}"), column_type)));
            }
        }
    }
    let column = |(name, column_type)| ResultColumn { name, column_type, table_oid: 0, column_number: 0 };
    Arc::new(names.into_iter().map(column).collect())
}

impl Writer {
    pub fn new(shape: Shape, progress: bool, arity: usize) -> Writer {
        Writer { shape, progress, arity, builder: RowBuilder::new() }
    }

    fn begin(&mut self, time: Timestamp, progressed: bool) {
        self.builder.clear();
        self.builder.push(Datum::Numeric(Numeric::from(i128::from(time.0))));
        if self.progress {
            self.builder.push(Datum::Bool(progressed));
        }
    }

    fn nulls(&mut self, count: usize) {
        (0..count).for_each(|_| self.builder.push(Datum::Null));
    }

    /// No more changes at times before `time`.
    pub fn progressed(&mut self, time: Timestamp) -> Row {
        self.begin(time, true);
        let values = match &self.shape {
            Shape::Changes { .. } | Shape::Upsert { .. } => self.arity + 1,
            Shape::Debezium { key } => 1 + self.arity + self.arity - key.len(),
        };
        self.nulls(values);
        self.builder.finish()
    }

    /// One change, in the plain shape and no asked order.
    pub fn change(&mut self, time: Timestamp, row: &[u8], diff: Diff) -> Row {
        self.begin(time, false);
        self.builder.push(Datum::Int8(diff));
        self.builder.push_encoded(row);
        self.builder.finish()
    }

    /// Whether rows of one timestamp must be seen together.
    pub fn gathers(&self) -> bool {
        !matches!(&self.shape, Shape::Changes { order } if order.is_empty())
    }

    /// All changes of one timestamp.
    pub fn changes(&mut self, time: Timestamp, mut changes: Vec<(Row, Diff)>, out: &mut Vec<Row>) {
        match self.shape.clone() {
            Shape::Changes { order } => {
                if !order.is_empty() {
                    let mut builder = RowBuilder::new();
                    changes.sort_by_cached_key(|(row, diff)| {
                        builder.clear();
                        for (column, direction) in &order {
                            let datum = match column {
                                Some(column) => row.get(*column).unwrap_or(Datum::Null),
                                None => Datum::Int8(*diff),
                            };
                            builder.push_sort_key(datum, *direction);
                        }
                        builder.finish()
                    });
                }
                out.extend(changes.into_iter().map(|(row, diff)| self.change(time, row.as_bytes(), diff)));
            }
            Shape::Upsert { key } => {
                for (group, (before, after)) in by_key(&changes, &key) {
                    self.begin(time, false);
                    let (state, value) = match (after.as_slice(), before.as_slice()) {
                        ([], _) => ("delete", None),
                        ([(row, 1)], _) => ("upsert", Some(*row)),
                        _ => ("key_violation", None),
                    };
                    self.builder.push(Datum::Text(state));
                    self.builder.push_encoded(group.as_bytes());
                    self.values(value, &key);
                    out.push(self.builder.finish());
                }
            }
            Shape::Debezium { key } => {
                for (group, (before, after)) in by_key(&changes, &key) {
                    self.begin(time, false);
                    let (state, old, new) = match (before.as_slice(), after.as_slice()) {
                        ([], [(new, 1)]) => ("insert", None, Some(*new)),
                        ([(old, -1)], []) => ("delete", Some(*old), None),
                        ([(old, -1)], [(new, 1)]) => ("upsert", Some(*old), Some(*new)),
                        _ => ("key_violation", None, None),
                    };
                    self.builder.push(Datum::Text(state));
                    self.builder.push_encoded(group.as_bytes());
                    self.values(old, &key);
                    self.values(new, &key);
                    out.push(self.builder.finish());
                }
            }
        }
    }

    /// The columns beside the key.
    fn values(&mut self, row: Option<&Row>, key: &[usize]) {
        let Some(row) = row else { return self.nulls(self.arity - key.len()) };
        let mut datums = RowRef::new(row.as_bytes()).iter();
        for column in 0..self.arity {
            let Some(bytes) = datums.next_encoded() else { break };
            if !key.contains(&column) {
                self.builder.push_encoded(bytes);
            }
        }
    }
}

/// Changes of one row, and the row.
type Side<'a> = Vec<(&'a Row, Diff)>;

/// Retractions and additions of each key, in the order of the keys.
fn by_key<'a>(changes: &'a [(Row, Diff)], key: &[usize]) -> BTreeMap<Row, (Side<'a>, Side<'a>)> {
    let mut groups: BTreeMap<Row, (Side<'a>, Side<'a>)> = BTreeMap::new();
    for (row, diff) in changes {
        let datums = row.unpack();
        let group = Row::pack(key.iter().filter_map(|column| datums.get(*column)).cloned());
        let (before, after) = groups.entry(group).or_default();
        if *diff < 0 { before.push((row, *diff)) } else { after.push((row, *diff)) }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: i32, value: &str) -> Row {
        Row::pack([Datum::Int4(key), Datum::Text(value)])
    }
    fn written(shape: Shape, changes: Vec<(Row, Diff)>) -> Vec<String> {
        let mut out = Vec::new();
        Writer::new(shape, true, 2).changes(Timestamp(7), changes, &mut out);
        out.iter().map(|row| format!("{row:?}")).collect()
    }
    fn expected<const N: usize>(rows: &[[Datum<'_>; N]]) -> Vec<String> {
        let head = || [Datum::Numeric(Numeric::from(7i64)), Datum::Bool(false)];
        rows.iter().map(|datums| format!("{:?}", Row::pack(head().into_iter().chain(datums.iter().cloned())))).collect()
    }

    #[test]
    fn upserts_tell_the_newest_value_of_each_key() {
        use Datum::{Int4, Null, Text};
        let changes = vec![(row(1, "old"), -1), (row(1, "new"), 1), (row(2, "gone"), -1), (row(3, "a"), 1), (row(3, "b"), 1)];
        let rows = [[Text("upsert"), Int4(1), Text("new")], [Text("delete"), Int4(2), Null], [Text("key_violation"), Int4(3), Null]];
        assert_eq!(written(Shape::Upsert { key: vec![0] }, changes), expected(&rows));
    }

    #[test]
    fn debezium_tells_before_and_after() {
        use Datum::{Int4, Null, Text};
        let changes = vec![(row(1, "old"), -1), (row(1, "new"), 1), (row(2, "gone"), -1), (row(3, "a"), 1)];
        let rows =
            [[Text("upsert"), Int4(1), Text("old"), Text("new")], [Text("delete"), Int4(2), Text("gone"), Null], [Text("insert"), Int4(3), Null, Text("a")]];
        assert_eq!(written(Shape::Debezium { key: vec![0] }, changes), expected(&rows));
    }

    #[test]
    fn an_asked_order_holds_within_a_timestamp() {
        let direction = |descending| SortDirection { descending, nulls_first: descending };
        let order = vec![(None, direction(false)), (Some(0), direction(true))];
        let out = written(Shape::Changes { order }, vec![(row(1, "x"), 1), (row(2, "y"), 1), (row(1, "w"), -1)]);
        let rows = [
            [Datum::Int8(-1), Datum::Int4(1), Datum::Text("w")],
            [Datum::Int8(1), Datum::Int4(2), Datum::Text("y")],
            [Datum::Int8(1), Datum::Int4(1), Datum::Text("x")],
        ];
        assert_eq!(out, expected(&rows));
    }
}

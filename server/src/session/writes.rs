//! What a transaction has written and not committed: changes of tables, checked against their constraints as they are made.

use crate::Error;
use crate::session::row_text;
use dataflow::RelationSnapshot;
use repr::text::TextContext;
use repr::{CollectionId, Diff, Row, RowBuilder, Schema, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Bytes of rows one transaction may write: they are one frame of the log, and in memory until then.
pub const TRANSACTION_BYTES_MAX: usize = 512 << 20;
/// What a row costs beside its bytes.
const ROW_OVERHEAD_BYTES: usize = 64;

/// The changes of one table, by the key its rows are arranged by.
#[derive(Clone, Default)]
pub struct TableWrites {
    by_key: HashMap<Row, Vec<(Row, Diff)>>,
}

/// The changes of a transaction. Cheap to copy: savepoints and running queries keep what it was.
#[derive(Clone, Default)]
pub struct Writes {
    tables: BTreeMap<CollectionId, Arc<TableWrites>>,
    bytes: usize,
}

/// A table as its writer sees it: its constraints, and its contents before the transaction.
pub struct Target {
    pub id: CollectionId,
    pub schema_name: String,
    pub name: String,
    pub schema: Schema,
    /// `None` for a table the transaction itself creates.
    pub base: Option<(Arc<RelationSnapshot>, Timestamp)>,
}

impl TableWrites {
    /// The net changes of every row.
    pub fn changes(&self) -> impl Iterator<Item = (&Row, Diff)> {
        self.by_key.values().flatten().filter(|(_, diff)| *diff != 0).map(|(row, diff)| (row, *diff))
    }
    fn add(&mut self, key: Row, row: Row, diff: Diff) {
        let rows = self.by_key.entry(key).or_default();
        match rows.iter_mut().find(|(held, _)| *held == row) {
            Some((_, held)) => *held += diff,
            None => rows.push((row, diff)),
        }
    }
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
    pub fn tables(&self) -> impl Iterator<Item = CollectionId> + '_ {
        self.tables.keys().copied()
    }
    pub fn of(&self, id: CollectionId) -> Option<&Arc<TableWrites>> {
        self.tables.get(&id)
    }
    /// What the coordinator is asked to write.
    pub fn updates(&self) -> Vec<(CollectionId, Vec<(Row, Diff)>)> {
        let tables = self.tables.iter().map(|(id, table)| (*id, table.changes().map(|(row, diff)| (row.clone(), diff)).collect::<Vec<_>>()));
        tables.filter(|(_, rows)| !rows.is_empty()).collect()
    }
    /// A table that is dropped in the transaction that wrote to it.
    pub fn forget(&mut self, id: CollectionId) {
        self.tables.remove(&id);
    }
}

impl Target {
    fn default_key(&self) -> Vec<usize> {
        self.schema.default_key()
    }

    fn key_of(&self, row: &Row, key: &[usize], builder: &mut RowBuilder) -> Row {
        builder.clear();
        if key.iter().copied().eq(0..self.schema.arity()) {
            row.iter().for_each(|datum| builder.push_canonical(datum));
        } else {
            let datums = row.unpack();
            key.iter().filter_map(|column| datums.get(*column)).for_each(|datum| builder.push_canonical(datum.clone()));
        }
        builder.finish()
    }

    /// Rows of a key, with their multiplicities: before the transaction, and by what it has written.
    fn rows_of(&self, key: &Row, writes: [Option<&TableWrites>; 2]) -> Vec<(Row, Diff)> {
        let mut rows: Vec<(Row, Diff)> = Vec::new();
        let mut add = |row: Row, diff: Diff| match rows.iter_mut().find(|(held, _)| *held == row) {
            Some((_, held)) => *held += diff,
            None => rows.push((row, diff)),
        };
        if let Some((snapshot, time)) = &self.base {
            snapshot.lookup(*time, key, &mut |bytes, diff| {
                add(Row::from_bytes(bytes), diff);
                true
            });
        }
        for changes in writes.into_iter().flatten().filter_map(|writes| writes.by_key.get(key)) {
            changes.iter().for_each(|(row, diff)| add(row.clone(), *diff));
        }
        rows.retain(|(_, diff)| *diff != 0);
        rows
    }

    /// NULL in a column that must not be.
    pub fn check_not_null(&self, row: &Row, text: &TextContext) -> Result<(), Error> {
        for (datum, column) in row.iter().zip(&self.schema.columns) {
            if datum.is_null() && !column.column_type.nullable {
                let message = format!("null value in column \"{}\" of relation \"{}\" violates not-null constraint", column.name, self.name);
                let detail = format!("Failing row contains ({}).", row_text(row, &self.schema, text));
                return Err(Error::new("23502", message).with_detail(detail).with_table(&self.schema_name, &self.name).with_column(&column.name));
            }
        }
        Ok(())
    }

    fn already_exists(&self, row: &Row, text: &TextContext) -> Error {
        let key = self.default_key();
        let names: Vec<&str> = key.iter().filter_map(|column| self.schema.columns.get(*column)).map(|column| column.name.as_str()).collect();
        let datums = row.unpack();
        let values = Row::pack(key.iter().filter_map(|column| datums.get(*column)).cloned());
        let columns = Schema { columns: key.iter().filter_map(|column| self.schema.columns.get(*column)).cloned().collect(), keys: Vec::new() };
        let constraint = format!("{}_pkey", self.name);
        Error::new("23505", format!("duplicate key value violates unique constraint \"{constraint}\""))
            .with_detail(format!("Key ({})=({}) already exists.", names.join(", "), row_text(&values, &columns, text)))
            .with_table(&self.schema_name, &self.name)
            .with_constraint(constraint)
    }
}

/// What to do about a row whose key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    Fail,
    /// ON CONFLICT DO NOTHING.
    Skip,
}

impl Writes {
    /// Takes `deleted` out of a table and puts `inserted` in, as one statement: its constraints hold afterwards. Returns which of `inserted` were
    /// written. On an error nothing was.
    pub fn apply(&mut self, target: &Target, deleted: &[Row], inserted: &[Row], on_conflict: OnConflict, text: &TextContext) -> Result<Vec<bool>, Error> {
        for row in inserted {
            target.check_not_null(row, text)?;
        }
        let bytes: usize = deleted.iter().chain(inserted).map(|row| row.as_bytes().len() + ROW_OVERHEAD_BYTES).sum();
        if self.bytes + bytes > TRANSACTION_BYTES_MAX {
            return Err(Error::new("54000", "the transaction writes too much")
                .with_detail(format!("A transaction may write {TRANSACTION_BYTES_MAX} bytes."))
                .with_hint("Commit in between. Tables are for small reference data; bring large data in through a source."));
        }
        let key = target.default_key();
        let written_before = self.tables.get(&target.id).map(Arc::as_ref);
        let mut statement = TableWrites::default();
        let mut builder = RowBuilder::new();
        for row in deleted {
            let key = target.key_of(row, &key, &mut builder);
            statement.add(key, row.clone(), -1);
        }
        let unique = !target.schema.keys.is_empty();
        let mut written = Vec::with_capacity(inserted.len());
        let mut taken: HashSet<Row> = HashSet::new();
        for row in inserted {
            let key = target.key_of(row, &key, &mut builder);
            if unique {
                // A key this statement has written is known without looking.
                let exists = taken.contains(&key) || target.rows_of(&key, [written_before, Some(&statement)]).iter().any(|(_, diff)| *diff > 0);
                if exists {
                    match on_conflict {
                        OnConflict::Fail => return Err(target.already_exists(row, text)),
                        OnConflict::Skip => {
                            written.push(false);
                            continue;
                        }
                    }
                }
                taken.insert(key.clone());
            }
            statement.add(key, row.clone(), 1);
            written.push(true);
        }
        let table = Arc::make_mut(self.tables.entry(target.id).or_default());
        if table.by_key.is_empty() {
            *table = statement;
        } else {
            for (key, rows) in statement.by_key {
                rows.into_iter().for_each(|(row, diff)| table.add(key.clone(), row, diff));
            }
        }
        self.bytes += bytes;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::{ColumnType, Datum, Type};

    fn target() -> Target {
        let schema = Schema::new([("a", ColumnType::new(Type::Int4).not_null()), ("b", ColumnType::new(Type::Text).not_null())]).with_key(vec![0]);
        Target { id: CollectionId::FIRST_USER, schema_name: "public".to_string(), name: "t".to_string(), schema, base: None }
    }
    fn row(a: i32, b: &str) -> Row {
        Row::pack([Datum::Int4(a), Datum::Text(b)])
    }
    fn apply(writes: &mut Writes, deleted: &[Row], inserted: &[Row], on_conflict: OnConflict) -> Result<Vec<bool>, String> {
        writes.apply(&target(), deleted, inserted, on_conflict, &TextContext::default()).map_err(|error| {
            format!("{} {} {}", error.sqlstate(), error, error.fields().detail.clone().unwrap_or_default())
        })
    }

    #[test]
    fn keys_are_unique_within_statement_and_transaction() {
        let mut writes = Writes::default();
        assert_eq!(apply(&mut writes, &[], &[row(1, "x"), row(2, "y")], OnConflict::Fail), Ok(vec![true, true]));
        let taken = "23505 duplicate key value violates unique constraint \"t_pkey\" Key (a)=(2) already exists.".to_string();
        assert_eq!(apply(&mut writes, &[], &[row(3, "z"), row(2, "w")], OnConflict::Fail), Err(taken.clone()));
        assert_eq!(apply(&mut writes, &[], &[row(3, "z"), row(3, "w")], OnConflict::Skip), Ok(vec![true, false]));
        // Keys may change places within a statement.
        assert_eq!(apply(&mut writes, &[row(1, "x"), row(2, "y")], &[row(2, "x"), row(1, "y")], OnConflict::Fail), Ok(vec![true, true]));
        let mut rows: Vec<(Row, Diff)> = writes.updates().into_iter().flat_map(|(_, rows)| rows).collect();
        rows.sort();
        assert_eq!(rows, [(row(1, "y"), 1), (row(2, "x"), 1), (row(3, "z"), 1)]);
    }

    #[test]
    fn nulls_are_refused_with_the_row() {
        let null = Row::pack([Datum::Int4(1), Datum::Null]);
        let refused = "23502 null value in column \"b\" of relation \"t\" violates not-null constraint Failing row contains (1, null).".to_string();
        assert_eq!(apply(&mut Writes::default(), &[], &[null], OnConflict::Fail), Err(refused));
    }
}

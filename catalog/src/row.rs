//! Catalog entries as rows of the catalog's collection.
//!
//! A row is (kind of record, id, JSON). JSON because definitions are few, are read by people when something is wrong, and gain fields over time.

use crate::{Catalog, CatalogError, Change, Entry};
use repr::{CollectionId, Datum, Diff, EvalError, Row, SqlState};
use std::collections::BTreeMap;

const ENTRY: i16 = 1;
const SCHEMA: i16 = 2;
/// The highest id ever given away, so that ids of dropped objects are not used again after a restart.
const NEXT_ID: i16 = 3;

impl Entry {
    /// The row of the catalog's collection which stands for this entry.
    pub fn to_row(&self) -> Row {
        let json = serde_json::to_string(self).expect("definitions have no maps with keys other than text");
        Row::pack([Datum::Int2(ENTRY), Datum::Int8(self.id.0 as i64), Datum::Text(&json)])
    }
}

fn schema_row(name: &str) -> Row {
    Row::pack([Datum::Int2(SCHEMA), Datum::Int8(0), Datum::Text(name)])
}

fn next_id_row(id: CollectionId) -> Row {
    Row::pack([Datum::Int2(NEXT_ID), Datum::Int8(id.0 as i64), Datum::Text("")])
}

impl Catalog {
    /// The updates of the catalog's collection that lead from `self` to `next`.
    pub fn updates_to(&self, next: &Catalog) -> Vec<(Row, Diff)> {
        let (before, after) = (self.to_rows(), next.to_rows());
        let mut updates: BTreeMap<Row, Diff> = BTreeMap::new();
        for row in before {
            *updates.entry(row).or_default() -= 1;
        }
        for row in after {
            *updates.entry(row).or_default() += 1;
        }
        updates.into_iter().filter(|(_, diff)| *diff != 0).collect()
    }

    fn to_rows(&self) -> Vec<Row> {
        let entries = self.entries().map(|entry| entry.to_row());
        let schemas = self.schemas().map(schema_row);
        let next_id = (self.next_id != CollectionId::FIRST_USER).then(|| next_id_row(self.next_id));
        entries.chain(schemas.filter(|row| *row != schema_row(crate::DEFAULT_SCHEMA))).chain(next_id).collect()
    }

    /// The catalog whose rows these are. An unreadable row is an error that shows it: nothing of the catalog is guessed.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<Catalog, EvalError> {
        let corrupted = |what: String| EvalError::new(SqlState::DATA_CORRUPTED, format!("the catalog cannot be read: {what}"));
        let (mut entries, mut schemas, mut next_id) = (Vec::new(), Vec::new(), CollectionId::FIRST_USER);
        for row in rows {
            match row.unpack().as_slice() {
                [Datum::Int2(ENTRY), Datum::Int8(_), Datum::Text(json)] => {
                    let entry: Entry = serde_json::from_str(json).map_err(|error| corrupted(error.to_string()))?;
                    entries.push(entry);
                }
                [Datum::Int2(SCHEMA), _, Datum::Text(name)] => schemas.push(Change::CreateSchema(name.to_string())),
                [Datum::Int2(NEXT_ID), Datum::Int8(id), _] => next_id = next_id.max(CollectionId(*id as u64)),
                _ => return Err(corrupted(format!("unknown record {row:?}"))),
            }
        }
        // In any order: a view that was replaced may depend on objects that are younger than it.
        let mut catalog = Catalog::default().apply(&schemas).map_err(|error: CatalogError| corrupted(error.to_string()))?;
        catalog.load(entries).map_err(|error| corrupted(error.to_string()))?;
        catalog.next_id = catalog.next_id.max(next_id);
        Ok(catalog)
    }
}

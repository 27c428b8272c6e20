//! INSERT, UPDATE, DELETE: computed on the session's side over the newest state of the table, whose lock it holds.

use super::Session;
use super::inputs::SessionInputs;
use super::planner::{ChangeKind, ChangePlan};
use super::read::{Moment, base_tables, ready};
use super::rows::collect;
use super::writes::{OnConflict, Target};
use crate::Error;
use crate::execution::{Execution, RowsTag};
use crate::shared::ReadAt;
use plan::evaluate::PreparedPlan;
use plan::{Context, Inputs, Plan};
use repr::{CollectionId, Diff, EvalError, Row, RowRef, Schema, Timestamp};
use std::collections::BTreeSet;

impl ChangeKind {
    pub fn word(self) -> &'static str {
        match self {
            ChangeKind::Insert => "INSERT",
            ChangeKind::Update => "UPDATE",
            ChangeKind::Delete => "DELETE",
        }
    }
    fn tag(self, count: usize) -> String {
        match self {
            ChangeKind::Insert => format!("INSERT 0 {count}"),
            ChangeKind::Update => format!("UPDATE {count}"),
            ChangeKind::Delete => format!("DELETE {count}"),
        }
    }
}

impl Session {
    pub(super) async fn change(&mut self, change: &ChangePlan, parameters: &Row) -> Result<Execution, Error> {
        self.check_writable(change.kind.word())?;
        let catalog = self.catalog();
        // Rows that depend on no table are written whatever the transaction has read; their keys are checked against the newest state.
        let reads = &change.query.depends_on;
        let decides = change.kind != ChangeKind::Insert || reads.iter().any(|id| *id != change.table && !id.is_system());
        let mut tables: BTreeSet<CollectionId> = reads.iter().flat_map(|id| base_tables(&catalog, *id)).collect();
        tables.insert(change.table);
        self.lock_tables(tables, decides).await?;
        let inputs = if change.query.reads.is_empty() && change.query.system.is_empty() {
            // Constants have no moment: writing them does not decide the transaction's.
            let read = self.shared.read_at(catalog.clone(), &[], Timestamp::MIN, true).await?;
            SessionInputs { shared: self.shared.clone(), read, facts: self.no_facts.clone(), writes: None }
        } else {
            self.open(&change.query, Moment::Newest).await?
        };
        let base = self.base_of(change.table, decides.then_some(&inputs.read)).await?;
        let source = self.start_query(&change.query, parameters, inputs)?;
        let rows = collect(source).await?;
        let (deleted, inserted) = match change.kind {
            ChangeKind::Insert => (Vec::new(), rows),
            ChangeKind::Delete => (rows, Vec::new()),
            ChangeKind::Update => rows.iter().map(|row| split(row, change.schema.arity())).unzip(),
        };
        let schema_name = self.catalog().get(change.table).map(|entry| entry.schema_name.clone()).unwrap_or_default();
        let target = Target { id: change.table, schema_name, name: change.table_name.clone(), schema: change.schema.clone(), base };
        let on_conflict = if change.skip_conflicts { OnConflict::Skip } else { OnConflict::Fail };
        let text = self.settings.text().clone();
        let transaction = self.enter_transaction();
        let written = transaction.writes.apply(&target, &deleted, &inserted, on_conflict, &text)?;
        let affected: Vec<Row> = match change.kind {
            ChangeKind::Delete => deleted,
            _ => inserted.into_iter().zip(written).filter_map(|(row, written)| written.then_some(row)).collect(),
        };
        let tag = change.kind.tag(affected.len());
        match &change.returning {
            None => Ok(Execution::Command { tag }),
            Some(returning) => {
                let types = change.schema.types();
                let value = Plan::constant(affected.into_iter().map(|row| (row, 1)).collect(), types);
                let plan = Plan::Let { id: returning.rows, value: Box::new(value), body: Box::new(returning.plan.clone()) };
                let columns = returning.columns.clone();
                let rows = self.evaluate_alone(&plan, parameters, columns.len())?;
                Ok(ready(columns, rows, RowsTag::Fixed(tag)))
            }
        }
    }

    /// A table's contents before the transaction's own changes: as `read` shows them, else the newest. `None` if the transaction creates it.
    pub(super) async fn base_of(&mut self, table: CollectionId, read: Option<&ReadAt>) -> Result<Option<(std::sync::Arc<dataflow::RelationSnapshot>, Timestamp)>, Error> {
        if self.shared.catalog().get(table).is_none() {
            return Ok(None);
        }
        let newest;
        let read = match read {
            Some(read) => read,
            None => {
                newest = self.shared.read_at(self.catalog(), &[table], Timestamp::MIN, false).await?;
                &newest
            }
        };
        Ok(read.published.get(table).map(|snapshot| (snapshot.clone(), read.timestamp)))
    }

    /// A plan over constants.
    fn evaluate_alone(&self, plan: &Plan, parameters: &Row, arity: usize) -> Result<Vec<Row>, Error> {
        let now = self.transaction.as_ref().map(|transaction| transaction.now);
        let context = Context { text: self.settings.text().clone(), now, memory_bytes_max: Some(super::read::QUERY_MEMORY_BYTES_MAX), ..Context::default() };
        let mut compiled = PreparedPlan::new(plan, &context);
        compiled.bind(parameters)?;
        let mut rows = Vec::new();
        compiled.stream(&Nothing, &mut |bytes, diff| {
            let (row, _) = split_bytes(bytes, arity);
            rows.extend(std::iter::repeat_n(row, usize::try_from(diff).unwrap_or(0)));
            true
        })?;
        Ok(rows)
    }
}

/// The first `arity` columns, and the rest.
fn split(row: &Row, arity: usize) -> (Row, Row) {
    split_bytes(row.as_bytes(), arity)
}

fn split_bytes(bytes: &[u8], arity: usize) -> (Row, Row) {
    let mut datums = RowRef::new(bytes).iter();
    for _ in 0..arity {
        datums.next_encoded();
    }
    let rest = datums.rest();
    (Row::from_bytes(bytes.get(..bytes.len() - rest.len()).unwrap_or_default()), Row::from_bytes(rest))
}

/// What a plan without collections reads.
pub(super) struct Nothing;

impl Nothing {
    fn refuse(&self) -> Result<(), EvalError> {
        Err(EvalError::new(repr::SqlState::FEATURE_NOT_SUPPORTED, "subqueries in RETURNING are not supported"))
    }
}

impl Inputs for Nothing {
    fn scan(&self, _: CollectionId, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.refuse()
    }
    fn lookup(&self, _: CollectionId, _: CollectionId, _: &Row, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.refuse()
    }
    fn range(&self, _: CollectionId, _: CollectionId, _: Option<&[u8]>, _: Option<&[u8]>, _: bool, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.refuse()
    }
}

/// The columns a statement names, by position in the table; all of them if it names none.
pub(super) fn named_columns(schema: &Schema, table: &str, names: &[String]) -> Result<Vec<usize>, Error> {
    if names.is_empty() {
        return Ok((0..schema.arity()).collect());
    }
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let position = schema.columns.iter().position(|column| column.name == *name);
        let position = position.ok_or_else(|| Error::new("42703", format!("column \"{name}\" of relation \"{table}\" does not exist")))?;
        if positions.contains(&position) {
            return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
        }
        positions.push(position);
    }
    Ok(positions)
}

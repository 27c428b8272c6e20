//! Reads: one moment, and the rows of a plan at it.

use super::inputs::{SessionInputs, SystemFacts};
use super::planner::QueryPlan;
use super::rows::{RowSink, Stop, ThreadRows};
use super::{Session, planner::Planner};
use crate::Error;
use crate::coordinator::Request;
use crate::execution::{Execution, ReadyRows, RowSource, RowsExecution, RowsTag};
use crate::shared::ReadAt;
use crate::system;
use catalog::{Catalog, Definition};
use plan::evaluate::PreparedPlan;
use plan::{ColumnOrder, Context, Id, Plan};
use repr::temporal::UNIX_TO_POSTGRES_EPOCH_MICROS;
use repr::{CollectionId, Datum, Diff, Row, RowBuilder, RowRef, Timestamp};
use sql::parse::AsOf;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Memory one query may take for what it keeps.
pub const QUERY_MEMORY_BYTES_MAX: usize = 1 << 30;
/// A query over no more updates than this (multiplied over its inputs) runs at once, without a thread.
const INLINE_UPDATES_MAX: usize = 4096;
/// So long after a start a transaction's first read waits for everything that was recovered to catch up, so that its later reads may ask about any of it.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(10);

/// Which moment a statement asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Newest,
    Exactly(Timestamp),
    AtLeast(Timestamp),
}

impl Session {
    /// A query, with its parameters, as rows.
    pub(super) async fn read(&mut self, query: &Arc<QueryPlan>, parameters: &Row, moment: Moment) -> Result<RowsExecution, Error> {
        let inputs = self.open(query, moment).await?;
        let source = self.start_query(query, parameters, inputs)?;
        Ok(RowsExecution { columns: query.columns.clone(), source, tag: RowsTag::Counted("SELECT") })
    }

    /// What a query reads, at the moment it shall be read.
    pub(super) async fn open(&mut self, query: &QueryPlan, moment: Moment) -> Result<SessionInputs, Error> {
        let writes = self.visible_writes(query)?;
        let created: Vec<CollectionId> = self.created_in_transaction();
        let reads: Vec<CollectionId>;
        let reads = if created.is_empty() {
            &query.reads
        } else {
            reads = query.reads.iter().copied().filter(|id| !created.contains(id)).collect();
            &reads
        };
        let read = self.read_at(reads, moment).await?;
        self.note_tables_read(query, &read.catalog);
        let facts = if query.system.is_empty() { self.no_facts.clone() } else { self.system_facts(query).await? };
        Ok(SessionInputs { shared: self.shared.clone(), read, facts, writes })
    }

    /// Runs a query over its inputs: at once if it is small, else on a thread while its rows are read.
    pub(super) fn start_query(&self, query: &Arc<QueryPlan>, parameters: &Row, inputs: SessionInputs) -> Result<Box<dyn RowSource>, Error> {
        let stop = Stop::default();
        let context = Context {
            text: self.settings.text().clone(),
            now: self.transaction.as_ref().map(|transaction| transaction.now),
            timestamp: Some(inputs.read.timestamp),
            memory_bytes_max: Some(QUERY_MEMORY_BYTES_MAX),
            cancelled: Some(stop.flag()),
            host: Some(self.shared.sessions.clone()),
        };
        let run = Run { compiled: compile(query, &inputs, &context, parameters)?, query: query.clone(), inputs };
        if run.is_small() {
            let mut rows = Vec::new();
            run.finish(&mut |row| {
                rows.push(row);
                true
            })?;
            return Ok(Box::new(ReadyRows::new(rows)));
        }
        let work = move |sink: &mut RowSink| run.finish(&mut |row| sink.push(row));
        Ok(Box::new(ThreadRows::spawn(stop, self.settings.statement_timeout(), work)))
    }

    /// Own writes the query meets. What is maintained does not hold them, so it must not be read together with them.
    fn visible_writes(&self, query: &QueryPlan) -> Result<Option<Arc<super::writes::Writes>>, Error> {
        let Some(transaction) = self.transaction.as_ref().filter(|transaction| !transaction.writes.is_empty()) else { return Ok(None) };
        let catalog = self.catalog();
        let mut meets = false;
        for id in query.scanning.global_inputs() {
            if transaction.writes.of(id).is_some() {
                meets = true;
                continue;
            }
            let written = base_tables(&catalog, id).into_iter().find(|table| transaction.writes.of(*table).is_some());
            if let Some(table) = written {
                let name = |id: CollectionId| catalog.get(id).map_or_else(|| id.to_string(), |entry| entry.name.clone());
                return Err(Error::unsupported(format!("cannot read \"{}\" in a transaction that has changed \"{}\"", name(id), name(table)))
                    .with_detail("What is maintained is kept from committed changes.")
                    .with_hint("Commit first, or read the tables themselves."));
            }
        }
        Ok(meets.then(|| Arc::new(transaction.writes.clone())))
    }

    fn created_in_transaction(&self) -> Vec<CollectionId> {
        let definitions = self.transaction.as_ref().and_then(|transaction| transaction.definitions.as_ref());
        let created = definitions.into_iter().flat_map(|definitions| &definitions.changes).filter_map(|change| match change {
            catalog::Change::Create(entry) if matches!(entry.definition, Definition::Table(_)) => Some(entry.id),
            _ => None,
        });
        created.collect()
    }

    /// COMMIT of a transaction that writes checks that what it read has stayed.
    fn note_tables_read(&mut self, query: &QueryPlan, catalog: &Catalog) {
        if let Some(transaction) = self.transaction.as_mut().filter(|transaction| transaction.explicit) {
            for id in &query.depends_on {
                transaction.tables_read.extend(base_tables(catalog, *id));
            }
        }
    }

    /// Snapshots and the timestamp at which `reads` are read: the transaction's in a block, else the newest.
    pub(super) async fn read_at(&mut self, reads: &[CollectionId], moment: Moment) -> Result<ReadAt, Error> {
        let catalog = self.catalog();
        let serializable = self.settings.is_serializable();
        let explicit = self.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
        if moment != Moment::Newest {
            if explicit {
                return Err(Error::unsupported("AS OF is not supported in a transaction block").with_hint("All reads of a transaction see one moment; ask for another one outside of it."));
            }
            return self.read_in_the_past(catalog, reads, moment).await;
        }
        if !explicit {
            return self.shared.read_at(catalog, reads, Timestamp::MIN, serializable).await;
        }
        if let Some(read) = self.transaction.as_ref().and_then(|transaction| transaction.read.clone()) {
            let unreadable = |detail: String| {
                Error::new("55000", "a relation cannot be read at the transaction's timestamp")
                    .with_detail(detail)
                    .with_hint("The relation was created, or caught up, after the transaction's first read. Begin a new transaction.")
            };
            return match read.published.readable(reads) {
                Some((since, upper)) if since <= read.timestamp && read.timestamp < upper => Ok(read),
                Some((since, upper)) => Err(unreadable(format!("It can be read from {since} up to {upper}; the transaction reads at {}.", read.timestamp))),
                None => Err(unreadable(format!("It did not exist at {}.", read.timestamp))),
            };
        }
        // One moment for everything a later statement may ask about.
        let known = |id: CollectionId| id < super::subscribe::FIRST_TRANSIENT;
        // Just after a start what was recovered has not caught up, and a transaction means it too; not for long, as the largest view may take its time.
        if let Some(patience) = RECOVERY_PATIENCE.checked_sub(self.shared.started.elapsed()) {
            let published = self.shared.dataflow.published();
            let recovering: Vec<CollectionId> = published.iter().filter(|(id, relation)| known(*id) && !relation.is_hydrated()).map(|(id, _)| id).collect();
            drop(published);
            if !recovering.is_empty() {
                // In vain or not: what has caught up by then is read.
                let _ = tokio::time::timeout(patience, self.shared.read_at(catalog.clone(), &recovering, Timestamp::MIN, true)).await;
            }
        }
        let published = self.shared.dataflow.published();
        let mut everything: Vec<CollectionId> = published.iter().filter(|(id, relation)| known(*id) && relation.is_hydrated()).map(|(id, _)| id).collect();
        everything.extend(reads.iter().filter(|id| !published.get(**id).is_some_and(|relation| relation.is_hydrated())));
        drop(published);
        let read = match self.shared.read_at(catalog.clone(), &everything, Timestamp::MIN, serializable).await {
            // Something unrelated was dropped in between.
            Err(error) if error.sqlstate() == "42P01" => self.shared.read_at(catalog, reads, Timestamp::MIN, serializable).await?,
            result => result?,
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.read = Some(read.clone());
        }
        Ok(read)
    }

    async fn read_in_the_past(&self, catalog: Arc<Catalog>, reads: &[CollectionId], moment: Moment) -> Result<ReadAt, Error> {
        let mut progress = self.shared.progress();
        loop {
            progress.mark_unchanged();
            let published = self.shared.dataflow.published();
            let (since, upper) = published.readable(reads).ok_or_else(|| Error::new("42P01", "a relation this query reads was dropped while it was planned"))?;
            let (timestamp, may_wait) = match moment {
                // A moment others have seen is on its way here too.
                Moment::Exactly(timestamp) => (timestamp, timestamp <= self.shared.shown()),
                Moment::AtLeast(timestamp) => (timestamp.max(since), true),
                Moment::Newest => (since, true),
            };
            if timestamp >= since && timestamp < upper {
                return Ok(ReadAt { catalog, published, timestamp });
            }
            if timestamp < since || !may_wait {
                return Err(Error::new("22023", format!("timestamp {timestamp} cannot be read"))
                    .with_detail(format!("The relations of the query can be read from {since} (since) up to, and not including, {upper} (upper).")));
            }
            drop(published);
            progress.changed().await.map_err(|_| Error::shutting_down())?;
        }
    }

    /// What the built-in relations of a query show beside the catalog.
    async fn system_facts(&self, query: &QueryPlan) -> Result<Arc<SystemFacts>, Error> {
        let sources = if query.system.iter().any(|id| system::needs_sources(*id)) {
            let (answer, receiver) = oneshot::channel();
            self.shared.request(Request::Sources { answer }).await?;
            receiver.await.map_err(|_| Error::shutting_down())?
        } else {
            Vec::new()
        };
        let settings = self.settings.all().into_iter().map(|(name, value, _)| (name, value)).collect();
        Ok(Arc::new(SystemFacts { sources, sessions: self.shared.sessions.list(), settings, search_path: self.settings.search_path().to_vec() }))
    }

    /// The moment of an AS OF clause.
    pub(super) fn moment_of(&self, as_of: Option<&AsOf>, planner: &Planner<'_>) -> Result<Moment, Error> {
        let Some(as_of) = as_of else { return Ok(Moment::Newest) };
        let timestamp = timestamp_of(&as_of.moment, planner, "AS OF")?;
        Ok(if as_of.at_least { Moment::AtLeast(timestamp) } else { Moment::Exactly(timestamp) })
    }
}

/// A logical timestamp from a number, its text, or a time.
pub(super) fn timestamp_of(expr: &sql::parse::ast::Expr, planner: &Planner<'_>, what: &'static str) -> Result<Timestamp, Error> {
    let (row, _) = planner.constant(expr, None, what)?;
    let invalid = |value: String| Error::new("22023", format!("invalid timestamp for {what}: {value}")).with_hint("A timestamp is a number of milliseconds since 1970, as mz_now() shows it.");
    let number = |value: i128| u64::try_from(value).map(Timestamp).map_err(|_| invalid(value.to_string()));
    match row.get(0) {
        Some(Datum::Int2(value)) => number(value.into()),
        Some(Datum::Int4(value)) => number(value.into()),
        Some(Datum::Int8(value)) => number(value.into()),
        Some(Datum::Numeric(value)) => value.to_string().parse().map_err(|_| invalid(value.to_string())).and_then(number),
        Some(Datum::Text(value)) => match value.trim().parse() {
            Ok(value) => number(value),
            Err(_) => {
                let text = &planner.context.text;
                let instant = repr::temporal::parse_timestamptz(value, text.now, text.time_zone)?;
                number(millis_of(instant.0))
            }
        },
        Some(Datum::TimestampTz(instant)) => number(millis_of(instant.0)),
        Some(Datum::Timestamp(instant)) => number(millis_of(instant.0)),
        _ => Err(invalid("NULL".to_string())),
    }
}

fn millis_of(postgres_micros: i64) -> i128 {
    (i128::from(postgres_micros) + i128::from(UNIX_TO_POSTGRES_EPOCH_MICROS)).div_euclid(1000)
}

/// The tables whose contents decide those of a relation: itself, or what its definition reads.
pub(super) fn base_tables(catalog: &Catalog, id: CollectionId) -> BTreeSet<CollectionId> {
    let (mut tables, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![id]);
    while let Some(id) = open.pop() {
        if id.is_system() || !seen.insert(id) {
            continue;
        }
        match catalog.get(id) {
            Some(entry) if matches!(entry.definition, Definition::Table(_)) => {
                tables.insert(id);
            }
            Some(entry) => open.extend(&entry.depends_on),
            // The hidden relation of an indexed view.
            None => open.extend(kept_view(catalog, id)),
        }
    }
    tables
}

/// The plain view whose rows an index keeps under the hidden relation `id`.
pub(super) fn kept_view(catalog: &Catalog, id: CollectionId) -> Option<CollectionId> {
    catalog.entries().find_map(|entry| match &entry.definition {
        Definition::Index(index) if index.relation == id && index.on != id => Some(index.on),
        _ => None,
    })
}

fn compile(query: &QueryPlan, inputs: &SessionInputs, context: &Context, parameters: &Row) -> Result<PreparedPlan, Error> {
    if inputs.writes.is_none() {
        return Ok(query.compile(context, parameters)?);
    }
    // Indexes do not hold what the transaction has written.
    let mut compiled = PreparedPlan::new(&query.scanning, context);
    compiled.bind(parameters)?;
    Ok(compiled)
}

/// A query about to run.
struct Run {
    compiled: PreparedPlan,
    query: Arc<QueryPlan>,
    inputs: SessionInputs,
}

impl Run {
    fn is_small(&self) -> bool {
        if self.inputs.writes.is_some() || !self.query.system.is_empty() {
            return false;
        }
        if self.query.is_point {
            return true;
        }
        let mut work: usize = 1;
        self.query.plan.for_each_node(&mut |node| match node {
            Plan::Get { id: Id::Global(id), .. } => {
                let updates = self.inputs.read.published.get(*id).map_or(0, |relation| relation.metrics().updates);
                work = work.saturating_mul(updates.max(1));
            }
            Plan::Constant { rows: Ok(rows), .. } => work = work.saturating_mul(rows.len().max(1)),
            Plan::FlatMap { .. } | Plan::LetRec { .. } => work = usize::MAX,
            _ => {}
        });
        work <= INLINE_UPDATES_MAX
    }

    /// Runs to the end, rows in the order they are shown.
    fn finish(mut self, emit: &mut dyn FnMut(Row) -> bool) -> Result<(), Error> {
        let columns = self.query.shown;
        let hides = self.query.plan.arity() > columns;
        let shown = |bytes: &[u8]| if hides { first_columns(bytes, columns) } else { Row::from_bytes(bytes) };
        if self.query.order.is_empty() {
            self.compiled.stream(&self.inputs, &mut |bytes, diff| {
                let row = shown(bytes);
                (1..diff).all(|_| emit(row.clone())) && emit(row)
            })?;
        } else {
            let mut kept: Vec<(Row, Row, Diff)> = Vec::new();
            let (mut builder, mut bytes_kept) = (RowBuilder::new(), 0);
            let order = &self.query.order;
            self.compiled.stream(&self.inputs, &mut |bytes, diff| {
                let (key, row) = (sort_key(bytes, order, &mut builder), shown(bytes));
                bytes_kept += size_of::<(Row, Row, Diff)>() + key.heap_bytes() + row.heap_bytes();
                kept.push((key, row, diff));
                bytes_kept <= QUERY_MEMORY_BYTES_MAX
            })?;
            if bytes_kept > QUERY_MEMORY_BYTES_MAX {
                return Err(Error::new("53200", "out of memory")
                    .with_detail(format!("The sorted result exceeds {QUERY_MEMORY_BYTES_MAX} bytes."))
                    .with_hint("Add a LIMIT, or read less."));
            }
            kept.sort_unstable();
            'rows: for (_, row, diff) in kept {
                for _ in 1..diff {
                    if !emit(row.clone()) {
                        break 'rows;
                    }
                }
                if !emit(row) {
                    break;
                }
            }
        }
        if self.inputs.writes.is_none() {
            self.query.put_back(self.compiled);
        }
        Ok(())
    }
}

fn first_columns(bytes: &[u8], arity: usize) -> Row {
    let mut datums = RowRef::new(bytes).iter();
    for _ in 0..arity {
        datums.next_encoded();
    }
    let hidden = datums.rest().len();
    Row::from_bytes(bytes.get(..bytes.len() - hidden).unwrap_or(bytes))
}

fn sort_key(bytes: &[u8], order: &[ColumnOrder], builder: &mut RowBuilder) -> Row {
    builder.clear();
    let row = RowRef::new(bytes);
    for column in order {
        builder.push_sort_key(row.iter().nth(column.column).unwrap_or(Datum::Null), column.direction);
    }
    builder.finish()
}

/// An execution of rows that are all at hand.
pub(super) fn ready(columns: Arc<Vec<crate::execution::ResultColumn>>, rows: Vec<Row>, tag: RowsTag) -> Execution {
    Execution::Rows(RowsExecution { columns, source: Box::new(ReadyRows::new(rows)), tag })
}

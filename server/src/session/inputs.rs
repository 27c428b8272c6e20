//! What a query of a session reads: published snapshots, the built-in relations, and over them the changes its own transaction has made.

use super::writes::Writes;
use crate::Shared;
use crate::coordinator::SourceReport;
use crate::shared::ReadAt;
use crate::system;
use dataflow::SnapshotInputs;
use plan::Inputs;
use repr::{CollectionId, Diff, EvalError, Row, SqlState};
use std::collections::HashMap;
use std::sync::Arc;

/// What built-in relations show that is not in the catalog and the snapshots.
#[derive(Default)]
pub struct SystemFacts {
    pub sources: Vec<SourceReport>,
    pub sessions: Vec<Arc<super::registry::SessionEntry>>,
    pub settings: Vec<(String, String)>,
    pub search_path: Vec<String>,
}

/// Everything one query reads, at one timestamp. Owns what it needs, so that a query may run on another thread.
#[derive(Clone)]
pub struct SessionInputs {
    pub shared: Arc<Shared>,
    pub read: ReadAt,
    pub facts: Arc<SystemFacts>,
    /// Changes of the transaction. Plans that meet them scan: indexes do not hold them.
    pub writes: Option<Arc<Writes>>,
}

impl SessionInputs {
    fn snapshots(&self) -> SnapshotInputs<'_> {
        SnapshotInputs { published: &self.read.published, timestamp: self.read.timestamp }
    }

    /// A table's rows with the transaction's changes.
    fn scan_over(&self, id: CollectionId, writes: &Writes, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        let Some(changes) = writes.of(id) else { return self.snapshots().scan(id, visit) };
        let mut open: HashMap<&[u8], Diff> = HashMap::new();
        for (row, diff) in changes.changes() {
            *open.entry(row.as_bytes()).or_default() += diff;
        }
        let mut wants_more = true;
        // A table the transaction has created itself has no snapshot yet.
        if self.read.published.get(id).is_some() {
            self.snapshots().scan(id, &mut |bytes, diff| {
                let diff = diff + open.remove(bytes).unwrap_or(0);
                wants_more = diff <= 0 || visit(bytes, diff);
                wants_more
            })?;
        }
        for (bytes, diff) in open {
            if !wants_more {
                break;
            }
            wants_more = diff <= 0 || visit(bytes, diff);
        }
        Ok(())
    }
}

impl Inputs for SessionInputs {
    fn scan(&self, id: CollectionId, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        if id.is_system() {
            let world = system::World {
                catalog: &self.read.catalog,
                published: Some(&self.read.published),
                sources: &self.facts.sources,
                sessions: &self.facts.sessions,
                settings: &self.facts.settings,
                search_path: &self.facts.search_path,
            };
            for row in system::rows(id, &world) {
                if !visit(row.as_bytes(), 1) {
                    break;
                }
            }
            return Ok(());
        }
        match &self.writes {
            Some(writes) => self.scan_over(id, writes, visit),
            None => self.snapshots().scan(id, visit),
        }
    }

    fn lookup(&self, id: CollectionId, index: CollectionId, key: &Row, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        self.refuse_index()?;
        self.snapshots().lookup(id, index, key, visit)
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
        self.refuse_index()?;
        self.snapshots().range(id, index, lower, upper, descending, visit)
    }

    fn index_columns(&self, id: CollectionId, index: CollectionId) -> Option<Vec<usize>> {
        self.snapshots().index_columns(id, index)
    }
}

impl SessionInputs {
    fn refuse_index(&self) -> Result<(), EvalError> {
        match self.writes {
            None => Ok(()),
            Some(_) => Err(EvalError::new(SqlState::INTERNAL_ERROR, "an index was read in a transaction that has changed tables")),
        }
    }
}

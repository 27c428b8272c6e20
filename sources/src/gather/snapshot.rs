//! The initial snapshot: rows that belong to no transaction and are one state together.

use std::collections::BTreeSet;

use super::{Barrier, Gather, Pending, Place, Reach, Release, is_reached, with_places};
use crate::SourceError;
use crate::decode::{Operation, Snapshot, UpstreamPosition};
use repr::{EvalError, SqlState};

/// Times that a snapshot which says nothing of its end is looked at in vain, once per idle second, before it is taken for complete.
const IDLE_LOOKS_MAX: u32 = 10;

#[derive(Debug)]
pub(super) struct HeldSnapshot {
    rows: Vec<Pending>,
    bytes: u64,
    /// The newest run that takes it; rows of runs before are of a snapshot that was given up.
    run: u64,
    /// Of `run`: the relations whose last row was seen.
    finished: BTreeSet<usize>,
    relations: BTreeSet<usize>,
    position: Option<UpstreamPosition>,
    /// It is over upstream.
    is_over: bool,
    barrier: Option<Barrier>,
    idle_looks: u32,
    /// Rows were let go before it was complete.
    is_split: bool,
}

impl HeldSnapshot {
    fn new(is_split: bool) -> HeldSnapshot {
        HeldSnapshot {
            rows: Vec::new(),
            bytes: 0,
            run: 0,
            finished: BTreeSet::new(),
            relations: BTreeSet::new(),
            position: None,
            is_over: false,
            barrier: None,
            idle_looks: 0,
            is_split,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The connector streams in this run: if it is the snapshot's, that is over.
    pub(super) fn streams(&mut self, run: u64) {
        self.is_over |= run == self.run || run == 0;
    }

    /// A transaction began: if it lies beyond the snapshot, that is over.
    pub(super) fn begins(&mut self, lsn: Option<u64>) {
        if let (Some(lsn), Some(UpstreamPosition::Postgres { lsn: own, .. })) = (lsn, self.position)
        {
            self.is_over |= lsn > own;
        }
    }

    /// Whether the snapshot shows what a transaction did, which may then go before it.
    pub(super) fn comes_after(&self, lsn: Option<u64>, binlog: Option<(u64, u64, u64)>) -> bool {
        match self.position {
            Some(UpstreamPosition::Postgres { lsn: own, .. }) => lsn.is_some_and(|lsn| lsn < own),
            Some(UpstreamPosition::Binlog { file, position, .. }) => {
                binlog.is_some_and(|(own_file, own, _)| (own_file, own) < (file, position))
            }
            None => false,
        }
    }
}

impl Gather {
    /// Holds a row of a snapshot. Beyond the buffer's limit all held rows go, and the rows that follow.
    pub(super) fn hold(&mut self, pending: Pending) -> Option<Release> {
        let is_split = self.applied.snapshot_in_progress;
        let relations_all = self.keyless.len();
        let snapshot = self
            .snapshot
            .get_or_insert_with(|| HeldSnapshot::new(is_split));
        let change = &pending.change;
        if change.run != snapshot.run {
            // A new run starts over.
            snapshot.run = change.run;
            snapshot.finished.clear();
            snapshot.relations.clear();
            snapshot.is_over = false;
        }
        snapshot.position = change.position.or(snapshot.position);
        snapshot.relations.insert(change.relation);
        match change.snapshot {
            Some(Snapshot::Last) => snapshot.is_over = true,
            Some(Snapshot::LastOfTable) => {
                snapshot.finished.insert(change.relation);
                // Of every table of ours the last row was seen: what else is in it does not concern us.
                snapshot.is_over |= snapshot.finished.len() == relations_all;
            }
            _ => {}
        }
        snapshot.barrier = None;
        snapshot.idle_looks = 0;
        snapshot.bytes += change.size_bytes() as u64;
        snapshot.rows.push(pending);
        if !snapshot.is_split && snapshot.bytes <= self.snapshot_bytes_max {
            return None;
        }
        snapshot.is_split = true;
        snapshot.bytes = 0;
        self.applied.snapshot_in_progress = true;
        let rows = std::mem::take(&mut snapshot.rows);
        self.note_keyless(&rows);
        Some(Release::Changes(rows))
    }

    /// A second without messages went by.
    pub(crate) fn idle(&mut self) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.idle_looks += 1;
            snapshot.is_over |= snapshot.idle_looks >= IDLE_LOOKS_MAX;
        }
    }

    /// The snapshot, once it is complete in all partitions.
    pub(super) fn release_snapshot(
        &mut self,
        reach: &mut dyn Reach,
    ) -> Result<Option<Release>, SourceError> {
        let Some(snapshot) = &mut self.snapshot else {
            return Ok(None);
        };
        if !snapshot.is_over {
            return Ok(None);
        }
        let barrier = match &snapshot.barrier {
            Some(barrier) => barrier,
            None => snapshot.barrier.insert(reach.ends()?),
        };
        if !is_reached(barrier, reach) {
            return Ok(None);
        }
        // What was committed before it, and is complete, goes before it.
        let position = snapshot.position;
        if let Some(ended) = self.ended.front() {
            let binlog = self.open.get(&ended.id).and_then(super::Open::binlog);
            let is_before = self
                .snapshot
                .as_ref()
                .is_some_and(|snapshot| snapshot.comes_after(ended.lsn, binlog));
            if is_before {
                let is_complete = self.is_complete(reach)?;
                let Some(ended) = self.ended.pop_front() else {
                    return Ok(None);
                };
                if is_complete {
                    return Ok(Some(self.take(ended)));
                }
                // The snapshot shows all of it; of itself only a part is left.
                return Ok(Some(self.forget(ended.id, ended.place)));
            }
        }
        let Some(snapshot) = self.snapshot.take() else {
            return Ok(None);
        };
        self.applied.snapshot_in_progress = false;
        match position {
            // Of what lies at the position itself one cannot tell; applying a row twice does no harm, losing it does.
            Some(UpstreamPosition::Postgres { lsn, .. }) => {
                self.applied.lsn = Some(lsn.saturating_sub(1));
            }
            Some(UpstreamPosition::Binlog { file, position, .. }) => {
                self.applied.binlog = Some((file, position.saturating_sub(1), u64::MAX));
            }
            None => {}
        }
        Ok(Some(self.finish_snapshot(snapshot)))
    }

    fn forget(&mut self, id: super::TransactionId, place: Place) -> Release {
        let mut places = vec![place];
        self.take_begins(&id);
        if let Some(open) = self.open.remove(&id) {
            self.bytes -= open.bytes;
            places.extend(open.places());
        }
        Release::Done(places)
    }

    fn finish_snapshot(&mut self, snapshot: HeldSnapshot) -> Release {
        let is_new_run = snapshot.run != 0 && snapshot.run != self.applied.run;
        self.applied.run = snapshot.run;
        let (rows, given_up): (Vec<Pending>, Vec<Pending>) = snapshot
            .rows
            .into_iter()
            .partition(|pending| pending.change.run == snapshot.run);
        let given_up = given_up.into_iter().map(|pending| pending.place).collect();
        let (rows, refused) = self.refuse_again(rows);
        self.note_keyless(&rows);
        let mut changes = rows;
        changes.extend(refused);
        let changes = with_places(changes, given_up);
        if !is_new_run || snapshot.is_split {
            return Release::Changes(changes);
        }
        let keyed = |relation: &usize| self.keyless.get(*relation) == Some(&false);
        let relations = snapshot.relations.iter().copied().filter(keyed).collect();
        Release::Contents(changes, relations)
    }

    /// Rows without a key cannot be told from those that are there: a second snapshot of such a relation is an error, once.
    fn refuse_again(&self, rows: Vec<Pending>) -> (Vec<Pending>, Vec<Pending>) {
        let filled = &self.applied.keyless_filled;
        let (again, rows): (Vec<Pending>, Vec<Pending>) = rows
            .into_iter()
            .partition(|pending| filled.contains(&pending.change.relation));
        let mut named = BTreeSet::new();
        let refused = again
            .into_iter()
            .map(|mut pending| {
                pending.change.operation = if named.insert(pending.change.relation) {
                    Operation::Broken(
                        EvalError::new(
                            SqlState::FEATURE_NOT_SUPPORTED,
                            "the connector took a new snapshot of a relation without primary key, whose rows cannot be told from those that are here",
                        )
                        .with_hint("Drop and create the source again."),
                    )
                } else {
                    Operation::Nothing
                };
                pending
            })
            .collect();
        (rows, refused)
    }
}

//! Changes to updates: the current row of each key decides what is retracted.
//!
//! The current row comes from [`KeyState`], which lags behind by the batches that are not settled; those are overlaid here and forgotten as they settle.

use repr::{Diff, Row, RowBuilder};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::decode::debezium::unknown_old_value;
use crate::decode::{Change, Operation, key_of};
use crate::gather::{Pending, Place};
use crate::spec::SourceSpec;
use crate::{ErrorRow, KeyState};
use repr::{CollectionId, EvalError, SqlState};

/// Memory for rows that were deleted under one key and may come back under another.
const MOVED_BYTES_MAX: usize = 1 << 20;

struct Relation {
    id: CollectionId,
    primary_key: Vec<usize>,
    /// Keys changed by batches that are not settled: their row, and the sequence of the last batch that touched them.
    overlay: HashMap<Row, (Option<Row>, u64)>,
    /// Rows deleted under a key that goes on as another, until that is seen.
    moved: BTreeMap<Row, Row>,
    /// Where it cannot be told when a TRUNCATE happens among the others' changes.
    is_unordered: bool,
}

/// What becomes of changes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub updates: Vec<(CollectionId, Vec<(Row, Diff)>)>,
    pub errors: Vec<(ErrorRow, Diff)>,
}

pub(crate) struct Applier {
    relations: Vec<Relation>,
    topics: Vec<String>,
    key_state: Arc<dyn KeyState>,
    /// Overlaid keys by the batch that touched them, oldest first.
    touched: VecDeque<(u64, Vec<(usize, Row)>)>,
    /// Open errors by relation and hash of the message's key (0: none).
    errors: HashMap<(usize, u64), Vec<ErrorRow>>,
    found: Vec<Option<Row>>,
    builder: RowBuilder,
}

impl Applier {
    pub(crate) fn new(
        spec: &SourceSpec,
        key_state: Arc<dyn KeyState>,
        open_errors: Vec<ErrorRow>,
        moved: Vec<(usize, Row, Row)>,
    ) -> Applier {
        let mut relations: Vec<Relation> = spec
            .relations
            .iter()
            .map(|relation| Relation {
                id: relation.id,
                primary_key: relation.primary_key().to_vec(),
                overlay: HashMap::new(),
                moved: BTreeMap::new(),
                is_unordered: false,
            })
            .collect();
        for (position, key, row) in moved {
            if let Some(relation) = relations.get_mut(position) {
                relation.moved.insert(key, row);
            }
        }
        let mut errors: HashMap<(usize, u64), Vec<ErrorRow>> = HashMap::new();
        for error in open_errors {
            let relation = relations
                .iter()
                .position(|relation| relation.id == error.relation);
            if let Some(relation) = relation {
                let key = error.key.as_deref().map_or(0, crate::decode::hash);
                errors.entry((relation, key)).or_default().push(error);
            }
        }
        Applier {
            relations,
            topics: spec.topic_names().into_iter().map(str::to_owned).collect(),
            key_state,
            touched: VecDeque::new(),
            errors,
            found: Vec::new(),
            builder: RowBuilder::new(),
        }
    }

    /// Says whether a relation's messages are in one order.
    pub(crate) fn set_unordered(&mut self, relation: usize, is_unordered: bool) {
        if let Some(relation) = self.relations.get_mut(relation) {
            relation.is_unordered = is_unordered;
        }
    }

    /// Rows that wait for their new key, for the position: relation, old key, row.
    pub(crate) fn moved(&self) -> impl Iterator<Item = (usize, &Row, &Row)> {
        let relations = self.relations.iter().enumerate();
        relations.flat_map(|(position, relation)| {
            relation
                .moved
                .iter()
                .map(move |(key, row)| (position, key, row))
        })
    }

    /// Applies changes in their order, as part of batch `sequence`.
    pub(crate) fn apply(&mut self, changes: &[Pending], sequence: u64, out: &mut Outcome) {
        self.settle();
        self.look_up(changes, sequence);
        let mut updates: Vec<Vec<(Row, Diff)>> = vec![Vec::new(); self.relations.len()];
        for pending in changes {
            self.apply_one(pending, sequence, &mut updates, out);
        }
        self.give(updates, out);
    }

    fn give(&self, updates: Vec<Vec<(Row, Diff)>>, out: &mut Outcome) {
        for (relation, mut updates) in self.relations.iter().zip(updates) {
            if updates.is_empty() {
                continue;
            }
            match out.updates.iter_mut().find(|(id, _)| *id == relation.id) {
                Some((_, all)) => all.append(&mut updates),
                None => out.updates.push((relation.id, updates)),
            }
        }
    }

    /// Takes away the rows of every key the changes do not write: they say all there is.
    pub(crate) fn keep_only(
        &mut self,
        changes: &[Pending],
        relations: &[usize],
        sequence: u64,
        out: &mut Outcome,
    ) {
        let mut updates: Vec<Vec<(Row, Diff)>> = vec![Vec::new(); self.relations.len()];
        for position in relations {
            let written: std::collections::HashSet<&Row> = changes
                .iter()
                .filter(|pending| pending.change.relation == *position)
                .filter_map(|pending| match &pending.change.operation {
                    Operation::Upsert { key, .. } => Some(key),
                    _ => None,
                })
                .collect();
            let gone: Vec<(Row, Row)> = self
                .all_rows(*position)
                .into_iter()
                .filter(|(key, _)| !written.contains(key))
                .collect();
            for (key, row) in gone {
                self.set(*position, key, None, sequence);
                if let Some(updates) = updates.get_mut(*position) {
                    updates.push((row, -1));
                }
            }
        }
        self.give(updates, out);
    }

    /// Forgets what the key state shows by now.
    fn settle(&mut self) {
        let settled = self.key_state.settled();
        while self
            .touched
            .front()
            .is_some_and(|(sequence, _)| *sequence <= settled)
        {
            let Some((sequence, keys)) = self.touched.pop_front() else {
                return;
            };
            for (relation, key) in keys {
                let overlay = self
                    .relations
                    .get_mut(relation)
                    .map(|relation| &mut relation.overlay);
                if let Some(overlay) = overlay
                    && overlay.get(&key).is_some_and(|(_, last)| *last <= sequence)
                {
                    overlay.remove(&key);
                }
            }
        }
    }

    /// Brings the rows of all keys that will be needed into the overlay, with one call per relation.
    fn look_up(&mut self, changes: &[Pending], sequence: u64) {
        let mut wanted: Vec<Vec<Row>> = vec![Vec::new(); self.relations.len()];
        let mut want = |relation: usize, key: &Row| {
            if let (Some(own), Some(wanted)) =
                (self.relations.get_mut(relation), wanted.get_mut(relation))
                && !own.overlay.contains_key(key)
            {
                own.overlay.insert(key.clone(), (None, sequence));
                wanted.push(key.clone());
            }
        };
        for pending in changes {
            let relation = pending.change.relation;
            match &pending.change.operation {
                Operation::Upsert { key, old_key, .. } => {
                    want(relation, key);
                    if let Some(old_key) = old_key {
                        want(relation, old_key);
                    }
                }
                Operation::Delete { key, .. } | Operation::Tombstone { key } => {
                    want(relation, key);
                }
                _ => {}
            }
        }
        for (position, keys) in wanted.into_iter().enumerate() {
            let Some(relation) = self.relations.get_mut(position) else {
                continue;
            };
            if keys.is_empty() {
                continue;
            }
            self.found.clear();
            self.key_state.lookup(relation.id, &keys, &mut self.found);
            assert_eq!(self.found.len(), keys.len(), "one answer for each key");
            for (key, row) in keys.iter().zip(self.found.drain(..)) {
                if let Some(slot) = relation.overlay.get_mut(key) {
                    slot.0 = row;
                }
            }
            let keys = keys.into_iter().map(|key| (position, key));
            self.touch(sequence).extend(keys);
        }
    }

    fn touch(&mut self, sequence: u64) -> &mut Vec<(usize, Row)> {
        if self.touched.back().is_none_or(|(own, _)| *own != sequence) {
            self.touched.push_back((sequence, Vec::new()));
        }
        match self.touched.back_mut() {
            Some((_, keys)) => keys,
            None => unreachable!("one was just pushed"),
        }
    }

    fn current(&self, relation: usize, key: &Row) -> Option<Row> {
        self.relations.get(relation)?.overlay.get(key)?.0.clone()
    }

    /// Sets the row of a key and returns the one it had.
    fn set(&mut self, relation: usize, key: Row, row: Option<Row>, sequence: u64) -> Option<Row> {
        let own = self.relations.get_mut(relation)?;
        match own.overlay.get_mut(&key) {
            Some(slot) => {
                let is_new = slot.1 != sequence;
                slot.1 = sequence;
                let old = std::mem::replace(&mut slot.0, row);
                if is_new {
                    self.touch(sequence).push((relation, key));
                }
                old
            }
            None => {
                own.overlay.insert(key.clone(), (row, sequence));
                self.touch(sequence).push((relation, key));
                None
            }
        }
    }

    fn apply_one(
        &mut self,
        pending: &Pending,
        sequence: u64,
        updates: &mut [Vec<(Row, Diff)>],
        out: &mut Outcome,
    ) {
        let change = &pending.change;
        let position = change.relation;
        let Some(updates) = updates.get_mut(position) else {
            return;
        };
        match &change.operation {
            Operation::Nothing => return,
            Operation::Append(row) => updates.push((row.clone(), 1)),
            Operation::Upsert { .. } => {
                if let Err(error) = self.upsert(change, sequence, updates) {
                    self.refuse(pending, &error, out);
                    return;
                }
            }
            Operation::Delete { key, moves } => {
                let old = self.set(position, key.clone(), None, sequence);
                if let (Some(old), true) = (&old, *moves) {
                    self.keep_moved(position, key, old);
                }
                updates.extend(old.map(|old| (old, -1)));
            }
            Operation::Tombstone { key } => {
                let old = self.set(position, key.clone(), None, sequence);
                updates.extend(old.map(|old| (old, -1)));
            }
            Operation::Exchange { before, after } => {
                updates.push((before.clone(), -1));
                updates.extend(after.clone().map(|after| (after, 1)));
            }
            Operation::Truncate => {
                if let Err(error) = self.truncate(position, sequence, updates, out) {
                    self.refuse(pending, &error, out);
                }
                return;
            }
            Operation::Broken(error) => {
                self.refuse(pending, error, out);
                return;
            }
        }
        if !self.errors.is_empty() && change.key_hash != 0 {
            let healed = self.errors.remove(&(position, change.key_hash));
            out.errors
                .extend(healed.into_iter().flatten().map(|error| (error, -1)));
        }
    }

    fn upsert(
        &mut self,
        change: &Change,
        sequence: u64,
        updates: &mut Vec<(Row, Diff)>,
    ) -> Result<(), EvalError> {
        let Operation::Upsert {
            key,
            row,
            unavailable,
            old_key,
            deletes_old,
        } = &change.operation
        else {
            return Ok(());
        };
        let position = change.relation;
        let moved = old_key
            .as_ref()
            .and_then(|old_key| self.relations.get_mut(position)?.moved.remove(old_key));
        let row = if unavailable.is_empty() {
            row.clone()
        } else {
            // A key that moved has its values under the old one, be that deleted by now or not.
            let known = match old_key {
                Some(old_key) => moved.or_else(|| self.current(position, old_key)),
                None => self.current(position, key),
            };
            self.fill(row, unavailable, &known.ok_or_else(unknown_old_value)?)
        };
        if let (Some(old_key), true) = (old_key, *deletes_old) {
            let old = self.set(position, old_key.clone(), None, sequence);
            updates.extend(old.map(|old| (old, -1)));
        }
        let old = self.set(position, key.clone(), Some(row.clone()), sequence);
        if old.as_ref() != Some(&row) {
            updates.extend(old.map(|old| (old, -1)));
            updates.push((row, 1));
        }
        Ok(())
    }

    /// The row with the columns that were not sent as `known` has them.
    fn fill(&mut self, row: &Row, unavailable: &[usize], known: &Row) -> Row {
        self.builder.clear();
        let (mut new, mut old) = (row.iter(), known.iter());
        let mut column = 0;
        while let (Some(new), Some(old)) = (new.next_encoded(), old.next_encoded()) {
            let is_unavailable = unavailable.contains(&column);
            self.builder
                .push_encoded(if is_unavailable { old } else { new });
            column += 1;
        }
        self.builder.finish()
    }

    fn keep_moved(&mut self, position: usize, key: &Row, row: &Row) {
        let held: usize = self
            .moved()
            .map(|(_, key, row)| key.heap_bytes() + row.heap_bytes() + 2 * size_of::<Row>())
            .sum();
        // Beyond the limit a create that lacks a large value becomes an error row, which says why.
        if held + row.heap_bytes() <= MOVED_BYTES_MAX
            && let Some(relation) = self.relations.get_mut(position)
        {
            relation.moved.insert(key.clone(), row.clone());
        }
    }

    fn truncate(
        &mut self,
        position: usize,
        sequence: u64,
        updates: &mut Vec<(Row, Diff)>,
        out: &mut Outcome,
    ) -> Result<(), EvalError> {
        let Some(relation) = self.relations.get(position) else {
            return Ok(());
        };
        if relation.primary_key.is_empty() || relation.is_unordered {
            let why = if relation.is_unordered {
                "TRUNCATE is not in one order with the changes of a topic with several partitions"
            } else {
                "TRUNCATE of a relation without primary key is not supported"
            };
            return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, why)
                .with_hint("Let the connector skip it (skipped.operations=t), or drop and create the source again."));
        }
        for (key, row) in self.all_rows(position) {
            self.set(position, key, None, sequence);
            updates.push((row, -1));
        }
        // Nothing is left that could be wrong.
        let errors = &mut self.errors;
        let healed: Vec<(usize, u64)> = errors
            .keys()
            .filter(|(relation, _)| *relation == position)
            .copied()
            .collect();
        for key in healed {
            let healed = errors.remove(&key).into_iter().flatten();
            out.errors.extend(healed.map(|error| (error, -1)));
        }
        Ok(())
    }

    /// The rows of a relation by their keys, as they are now.
    fn all_rows(&mut self, position: usize) -> Vec<(Row, Row)> {
        let Some(relation) = self.relations.get(position) else {
            return Vec::new();
        };
        let mut all: HashMap<Row, Row> = HashMap::new();
        let mut scratch = RowBuilder::new();
        self.key_state.scan(relation.id, &mut |row| {
            let key = key_of(row.as_bytes(), &relation.primary_key, &mut scratch);
            all.insert(key, row);
        });
        for (key, (row, _)) in &relation.overlay {
            match row {
                Some(row) => all.insert(key.clone(), row.clone()),
                None => all.remove(key),
            };
        }
        all.into_iter().collect()
    }

    fn refuse(&mut self, pending: &Pending, error: &EvalError, out: &mut Outcome) {
        let Place {
            topic,
            partition,
            offset,
        } = pending.place;
        let Some(relation) = self.relations.get(pending.change.relation) else {
            return;
        };
        let mut reason = error.message().to_owned();
        if let Some(hint) = error.hint() {
            reason = format!("{reason}. {hint}");
        }
        let row = ErrorRow {
            relation: relation.id,
            topic: self.topics.get(topic as usize).cloned().unwrap_or_default(),
            partition,
            offset,
            key: pending.change.key.clone(),
            code: error.code(),
            reason,
        };
        let slot = (pending.change.relation, pending.change.key_hash);
        self.errors.entry(slot).or_default().push(row.clone());
        out.errors.push((row, 1));
    }
}

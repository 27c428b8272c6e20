//! Whole transactions: changes wait here until their transaction is complete in every topic.
//!
//! A step function without IO: changes and boundaries go in ([`Gather::change`], [`Gather::boundary`]), and what may be applied comes out of [`Gather::release`], in the
//! order of the upstream's commits, which is the order of the END boundaries.
//!
//! # When a transaction is complete
//! END counts the events of each table. What connectors do to ids, orders and counts when they are killed decides how events are counted:
//! * Postgres: an event is `total_order` within the transaction number; after a restart the same events have the same order, and END counts the whole transaction.
//!   A transaction whose END lies not beyond the last applied one was applied, and so was an event whose preceding commit lies before that.
//! * Binlogs: an event is its place in the log; after a restart the order begins anew and END counts the events of the last run alone. So a transaction with several
//!   BEGINs (or several runs) is complete when all partitions were read up to where they ended after END was seen (a *barrier*), and one run has the counts of END.
//! * A BEGIN without END was a statement without rows, or a run that died: nothing is waited for.
//!
//! # The initial snapshot
//! Its rows belong to no transaction. They are held until the snapshot is complete and become one release; transactions after it wait. When a connector that lost its
//! offsets takes a new snapshot, that one says what there is: rows of its tables that it does not have go.

mod snapshot;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::SourceError;
use crate::broker::TopicIndex;
use crate::decode::{
    Boundary, Change, InTransaction, Operation, Snapshot, TransactionId, UpstreamPosition,
};
use crate::spec::SourceSpec;
use snapshot::HeldSnapshot;

/// BEGINs without END that are remembered.
const BEGINS_MAX: usize = 1000;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub topic: TopicIndex,
    pub partition: i32,
    pub offset: i64,
}

/// A change and its message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    pub place: Place,
    pub change: Change,
}

/// What tells the events of a transaction apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Identity {
    Order(i64),
    /// Both halves of a key change stand at one place: the delete first.
    Place(UpstreamPosition, bool),
    /// Without position and order: each is its own.
    Message(Place),
}

/// Events of one run of the connector, per relation.
#[derive(Clone, Debug, Default)]
struct Run {
    run: u64,
    counts: BTreeMap<usize, u64>,
}

/// A transaction that is not released.
#[derive(Debug, Default)]
struct Open {
    events: Vec<(Identity, Pending)>,
    identities: HashSet<Identity>,
    /// Repetitions of `events`: read, counted, not done before those are.
    repeated: Vec<Place>,
    distinct: BTreeMap<usize, u64>,
    /// Events of it that were applied before it came again.
    applied_before: BTreeMap<usize, u64>,
    runs: Vec<Run>,
    bytes: u64,
}

/// A transaction whose END was seen.
#[derive(Debug)]
struct Ended {
    id: TransactionId,
    lsn: Option<u64>,
    counts: Vec<(usize, u64)>,
    begins: u32,
    /// It may have been applied before, or its beginning was never read.
    is_suspicious: bool,
    place: Place,
    barrier: Option<Barrier>,
}

/// Offsets that partitions had when something was seen: once they are read, nothing from before it is missing.
pub(crate) type Barrier = BTreeMap<(TopicIndex, i32), i64>;

/// What a release consists of.
#[derive(Debug, PartialEq)]
pub(crate) enum Release {
    /// Changes of one transaction, of a snapshot, or one that belongs to neither.
    Changes(Vec<Pending>),
    /// These messages are done without a change.
    Done(Vec<Place>),
    /// Changes of a snapshot that tells all there is: keys of these relations that it does not have have no row.
    Contents(Vec<Pending>, Vec<usize>),
}

/// How far partitions were read, and how far they reach: what a barrier needs.
pub(crate) trait Reach {
    /// The next offset to read.
    fn next(&self, partition: (TopicIndex, i32)) -> i64;
    /// The first offset that is not done.
    fn resume(&self, partition: (TopicIndex, i32)) -> i64;
    /// The ends of all partitions of relations, asked now.
    fn ends(&mut self) -> Result<Barrier, SourceError>;
}

/// What of it all survives a restart; everything else is read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Applied {
    /// Postgres: the END of the last released transaction.
    pub lsn: Option<u64>,
    /// Binlogs: file, place, row of the last released event.
    pub binlog: Option<(u64, u64, u64)>,
    /// Global transaction ids: the newest number of each scope.
    pub numbers: BTreeMap<String, u64>,
    /// BEGINs whose END was not released.
    pub begins: VecDeque<(TransactionId, u32)>,
    /// The run whose changes were last seen.
    pub run: u64,
    /// Relations without key that have rows of a snapshot or a stream.
    pub keyless_filled: Vec<usize>,
    /// A snapshot was larger than its buffer and is half applied.
    pub snapshot_in_progress: bool,
}

pub(crate) struct Gather {
    tables: HashMap<String, usize>,
    keyless: Vec<bool>,
    open: HashMap<TransactionId, Open>,
    ended: VecDeque<Ended>,
    /// How often each transaction is in `ended`: after a burst of boundaries that is long.
    ended_ids: HashMap<TransactionId, u32>,
    /// The transactions of `applied.begins`.
    begun: HashSet<TransactionId>,
    snapshot: Option<HeldSnapshot>,
    /// Changes outside transactions that must not overtake what is held of their partition.
    waiting: BTreeMap<(TopicIndex, i32), VecDeque<Pending>>,
    /// Messages nobody could read a transaction from, per relation.
    unattributed: BTreeMap<usize, u64>,
    bytes: u64,
    pub(crate) applied: Applied,
    transaction_bytes_max: u64,
    snapshot_bytes_max: u64,
    pub(crate) repeated: u64,
    pub(crate) released: u64,
}

impl Gather {
    pub(crate) fn new(spec: &SourceSpec, applied: Applied) -> Gather {
        let tables = spec.relations.iter().enumerate();
        Gather {
            tables: tables
                .map(|(position, relation)| (relation.upstream_name.clone(), position))
                .collect(),
            keyless: spec
                .relations
                .iter()
                .map(|relation| relation.primary_key().is_empty())
                .collect(),
            open: HashMap::new(),
            ended: VecDeque::new(),
            ended_ids: HashMap::new(),
            begun: applied.begins.iter().map(|(id, _)| id.clone()).collect(),
            snapshot: None,
            waiting: BTreeMap::new(),
            unattributed: BTreeMap::new(),
            bytes: 0,
            applied,
            transaction_bytes_max: spec.options.transaction_buffer_bytes_max,
            snapshot_bytes_max: spec.options.snapshot_buffer_bytes_max,
            repeated: 0,
            released: 0,
        }
    }

    pub(crate) fn open_transactions(&self) -> usize {
        let has_events = |(id, open): &(&TransactionId, &Open)| {
            !open.events.is_empty() && !self.ended_ids.contains_key(*id)
        };
        self.ended.len() + self.open.iter().filter(has_events).count()
    }

    pub(crate) fn open_bytes(&self) -> u64 {
        self.bytes
            + self
                .snapshot
                .as_ref()
                .map_or(0, |snapshot| snapshot.bytes())
    }

    pub(crate) fn snapshot_rows(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.rows())
    }

    /// What the transaction waits for that blocks the others, for people.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let ended = self.ended.front()?;
        let open = self.open.get(&ended.id);
        let (relation, missing) = ended.counts.iter().find_map(|(relation, count)| {
            let have = open.map_or(0, |open| open.seen(*relation));
            (have < *count).then(|| (*relation, count - have))
        })?;
        let table = self
            .tables
            .iter()
            .find(|(_, position)| **position == relation)?
            .0;
        Some(format!(
            "transaction {} lacks {missing} events of {table}",
            ended.id
        ))
    }

    /// Takes a change in. `resume` is the first offset of its partition that is not done. What comes back at once is done.
    pub(crate) fn change(
        &mut self,
        pending: Pending,
        resume: i64,
    ) -> Result<Option<Release>, SourceError> {
        let change = &pending.change;
        match (&change.transaction, change.snapshot) {
            (
                None,
                Some(Snapshot::First | Snapshot::Middle | Snapshot::LastOfTable | Snapshot::Last),
            ) => {
                return Ok(self.hold(pending));
            }
            (None, _) => return Ok(self.outside(pending, resume)),
            (Some(_), _) => {}
        }
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.streams(change.run);
        }
        if self.is_applied(change) {
            self.repeated += 1;
            let place = pending.place;
            if let (Some(transaction), Some(UpstreamPosition::Binlog { .. })) =
                (&change.transaction, change.position)
            {
                // Its transaction comes again, and its END counts it.
                if self.open.len() < BEGINS_MAX {
                    let open = self.open.entry(transaction.id.clone()).or_default();
                    *open.applied_before.entry(change.relation).or_default() += 1;
                }
            }
            return Ok(Some(Release::Done(vec![place])));
        }
        self.add(pending)?;
        Ok(None)
    }

    fn is_applied(&self, change: &Change) -> bool {
        match change.position {
            Some(UpstreamPosition::Postgres { committed, lsn }) => {
                match (committed, self.applied.lsn) {
                    (_, None) => false,
                    (Some(committed), Some(applied)) => committed < applied,
                    (None, Some(applied)) => lsn <= applied,
                }
            }
            Some(UpstreamPosition::Binlog {
                file,
                position,
                row,
            }) => self
                .applied
                .binlog
                .is_some_and(|applied| (file, position, row) <= applied),
            None => false,
        }
    }

    fn add(&mut self, pending: Pending) -> Result<(), SourceError> {
        let change = &pending.change;
        let Some(InTransaction { id, total_order }) = change.transaction.clone() else {
            return Ok(());
        };
        let identity = match change.position {
            Some(position @ UpstreamPosition::Binlog { .. }) => {
                let is_second_half = !matches!(change.operation, Operation::Delete { .. });
                Identity::Place(position, is_second_half)
            }
            _ if total_order > 0 => Identity::Order(total_order),
            _ => Identity::Message(pending.place),
        };
        let open = self.open.entry(id.clone()).or_default();
        match open.runs.iter_mut().find(|run| run.run == change.run) {
            Some(run) => *run.counts.entry(change.relation).or_default() += 1,
            None => open.runs.push(Run {
                run: change.run,
                counts: BTreeMap::from([(change.relation, 1)]),
            }),
        }
        if !open.identities.insert(identity) {
            self.repeated += 1;
            open.repeated.push(pending.place);
            return Ok(());
        }
        *open.distinct.entry(change.relation).or_default() += 1;
        let bytes = change.size_bytes() as u64;
        open.bytes += bytes;
        self.bytes += bytes;
        open.events.push((identity, pending));
        if self.bytes > self.transaction_bytes_max {
            let largest = self.open.iter().max_by_key(|(_, open)| open.bytes);
            let (largest, bytes) = largest.map_or((&id, 0), |(id, open)| (id, open.bytes));
            return Err(SourceError::new(
                "53200",
                format!(
                    "open upstream transactions exceed the source's buffer of {} bytes",
                    self.transaction_bytes_max
                ),
            )
            .detail(format!(
                "The largest is transaction {largest} with {bytes} bytes so far."
            ))
            .hint("Create the source with a larger WITH (TRANSACTION BUFFER BYTES = ...)."));
        }
        Ok(())
    }

    /// A change outside transactions: it goes at once, unless something of its partition before it is held.
    fn outside(&mut self, pending: Pending, resume: i64) -> Option<Release> {
        if matches!(pending.change.operation, Operation::Broken(_)) {
            *self
                .unattributed
                .entry(pending.change.relation)
                .or_default() += 1;
        }
        if pending.place.offset == resume {
            return Some(Release::Changes(vec![pending]));
        }
        let partition = (pending.place.topic, pending.place.partition);
        self.waiting
            .entry(partition)
            .or_default()
            .push_back(pending);
        None
    }

    /// Takes a boundary in. What comes back is done.
    pub(crate) fn boundary(&mut self, boundary: Boundary, place: Place) -> Option<Release> {
        match boundary {
            Boundary::Begin { id, lsn } => {
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.begins(lsn);
                }
                if !self.ended_ids.contains_key(&id) {
                    self.begin(id);
                }
                Some(Release::Done(vec![place]))
            }
            Boundary::End { id, lsn, counts } => self.end(id, lsn, counts, place),
        }
    }

    fn begin(&mut self, id: TransactionId) {
        let begins = &mut self.applied.begins;
        if self.begun.contains(&id)
            && let Some((_, count)) = begins.iter_mut().find(|(own, _)| *own == id)
        {
            *count += 1;
            return;
        }
        if begins.len() >= BEGINS_MAX
            && let Some((oldest, _)) = begins.pop_front()
        {
            self.begun.remove(&oldest);
        }
        self.begun.insert(id.clone());
        begins.push_back((id, 1));
    }

    fn take_begins(&mut self, id: &TransactionId) -> u32 {
        if !self.begun.remove(id) {
            return 0;
        }
        let begins = &mut self.applied.begins;
        let found = begins.iter().position(|(own, _)| own == id);
        found
            .and_then(|position| begins.remove(position))
            .map_or(0, |(_, count)| count)
    }

    fn end(
        &mut self,
        id: TransactionId,
        lsn: Option<u64>,
        counts: Vec<(Box<str>, u64)>,
        place: Place,
    ) -> Option<Release> {
        let is_waiting = |ended: &Ended| ended.id == id && ended.lsn == lsn;
        if self.ended_ids.contains_key(&id) && self.ended.iter().any(is_waiting) {
            self.repeated += 1;
            return Some(Release::Done(vec![place]));
        }
        if let (Some(lsn), Some(applied)) = (lsn, self.applied.lsn)
            && lsn <= applied
        {
            // The whole transaction comes again. What of it is not known by its own position goes with it.
            self.take_begins(&id);
            self.repeated += 1;
            let mut places = vec![place];
            if let Some(open) = self.open.remove(&id) {
                self.bytes -= open.bytes;
                places.extend(open.places());
            }
            return Some(Release::Done(places));
        }
        // Most likely the newest.
        let mut begun = self.applied.begins.iter().rev();
        let begins = begun
            .find(|(own, _)| *own == id)
            .map_or(0, |(_, count)| *count);
        let is_suspicious = begins == 0
            || numbered(&id).is_some_and(|(scope, number)| {
                self.applied
                    .numbers
                    .get(scope)
                    .is_some_and(|newest| number <= *newest)
            });
        let counts = counts
            .iter()
            .filter_map(|(table, count)| Some((*self.tables.get(&**table)?, *count)))
            .filter(|(_, count)| *count > 0)
            .collect();
        *self.ended_ids.entry(id.clone()).or_default() += 1;
        self.ended.push_back(Ended {
            id,
            lsn,
            counts,
            begins,
            is_suspicious,
            place,
            barrier: None,
        });
        None
    }

    /// Whether a step of [`Gather::release`] might get further; cheap.
    pub(crate) fn has_work(&self) -> bool {
        !self.ended.is_empty() || self.snapshot.is_some() || !self.waiting.is_empty()
    }

    /// The next release, if something may be applied now. Call it until it returns `None`, doing each one's work before.
    pub(crate) fn release(
        &mut self,
        reach: &mut dyn Reach,
    ) -> Result<Option<Release>, SourceError> {
        if let Some(release) = self.release_waiting(reach) {
            return Ok(Some(release));
        }
        if let Some(release) = self.release_snapshot(reach)? {
            return Ok(Some(release));
        }
        let Some(ended) = self.ended.front() else {
            return Ok(None);
        };
        if self.snapshot.as_ref().is_some_and(|snapshot| {
            !snapshot.comes_after(ended.lsn, self.open.get(&ended.id).and_then(Open::binlog))
        }) {
            return Ok(None);
        }
        if !self.is_complete(reach)? {
            return Ok(None);
        }
        let Some(ended) = self.ended.pop_front() else {
            return Ok(None);
        };
        if let Some(count) = self.ended_ids.get_mut(&ended.id) {
            *count -= 1;
            if *count == 0 {
                self.ended_ids.remove(&ended.id);
            }
        }
        Ok(Some(self.take(ended)))
    }

    /// Changes outside transactions whose predecessors are done.
    fn release_waiting(&mut self, reach: &dyn Reach) -> Option<Release> {
        let mut ready = Vec::new();
        self.waiting.retain(|partition, waiting| {
            let mut resume = reach.resume(*partition);
            while waiting
                .front()
                .is_some_and(|pending| pending.place.offset == resume)
            {
                ready.extend(waiting.pop_front());
                resume += 1;
            }
            !waiting.is_empty()
        });
        (!ready.is_empty()).then_some(Release::Changes(ready))
    }

    /// Whether the first ended transaction is complete.
    fn is_complete(&mut self, reach: &mut dyn Reach) -> Result<bool, SourceError> {
        let Some(ended) = self.ended.front_mut() else {
            return Ok(false);
        };
        let none = Open::default();
        let open = self.open.get(&ended.id).unwrap_or(&none);
        let is_postgres = ended.lsn.is_some();
        let is_repeated = !is_postgres && ended.begins > 1;
        if !is_repeated
            && ended
                .counts
                .iter()
                .all(|(relation, count)| open.seen(*relation) >= *count)
        {
            return Ok(true);
        }
        // A message that cannot be read at all may be the missing one.
        let unattributed = |(relation, count): &(usize, u64)| {
            let covers = self.unattributed.get(relation).copied().unwrap_or(0);
            open.seen(*relation) + covers >= *count
        };
        let has_broken = !self.unattributed.is_empty() && ended.counts.iter().all(unattributed);
        let came_again = !open.applied_before.is_empty() || open.runs.len() > 1;
        if !(is_repeated || ended.is_suspicious || has_broken || (came_again && !is_postgres)) {
            return Ok(false);
        }
        let barrier = match &ended.barrier {
            Some(barrier) => barrier,
            None => ended.barrier.insert(reach.ends()?),
        };
        if !is_reached(barrier, reach) {
            return Ok(false);
        }
        let run_has_counts = || {
            open.runs.iter().any(|run| {
                ended
                    .counts
                    .iter()
                    .all(|(relation, count)| run.counts.get(relation).unwrap_or(&0) >= count)
            })
        };
        // Everything before END was read. Of a transaction applied before there is nothing to wait for; of one whose beginning was cut off there is no more.
        let nothing_new = open.events.is_empty();
        let is_complete = nothing_new || has_broken || run_has_counts() || ended.begins == 0;
        if is_complete {
            for (relation, count) in &ended.counts {
                let missing = count.saturating_sub(open.seen(*relation));
                if let Some(unattributed) = self.unattributed.get_mut(relation) {
                    *unattributed = unattributed.saturating_sub(missing);
                }
            }
            self.unattributed.retain(|_, count| *count > 0);
        } else {
            // More may have been on its way: look again from here.
            ended.barrier = None;
        }
        Ok(is_complete)
    }

    fn take(&mut self, ended: Ended) -> Release {
        let mut open = self.open.remove(&ended.id).unwrap_or_default();
        self.bytes -= open.bytes;
        self.take_begins(&ended.id);
        self.released += 1;
        if let Some(lsn) = ended.lsn {
            self.applied.lsn = self.applied.lsn.max(Some(lsn));
        }
        self.applied.binlog = self.applied.binlog.max(open.binlog());
        if let Some((scope, number)) = numbered(&ended.id) {
            let newest = self.applied.numbers.entry(scope.to_owned()).or_default();
            *newest = number.max(*newest);
        }
        // If it was read twice, its second END is still to come and counts what was read of it by now.
        if !open.repeated.is_empty() && ended.lsn.is_none() && ended.begins <= 1 {
            let again = open
                .runs
                .iter()
                .skip(1)
                .fold(BTreeMap::new(), |mut sum, run| {
                    for (relation, count) in &run.counts {
                        *sum.entry(*relation).or_default() += count;
                    }
                    sum
                });
            let left = Open {
                applied_before: again,
                ..Open::default()
            };
            self.open.insert(ended.id.clone(), left);
        }
        let mut places: Vec<Place> = open.repeated.clone();
        places.push(ended.place);
        open.events.sort_by_key(|(identity, _)| *identity);
        if let Some((_, last)) = open.events.last()
            && last.change.run != 0
        {
            self.applied.run = last.change.run;
        }
        let changes: Vec<Pending> = open
            .events
            .into_iter()
            .map(|(_, pending)| pending)
            .collect();
        self.note_keyless(&changes);
        Release::transaction(changes, places)
    }

    fn note_keyless(&mut self, changes: &[Pending]) {
        for pending in changes {
            let relation = pending.change.relation;
            if self.keyless.get(relation) == Some(&true)
                && !self.applied.keyless_filled.contains(&relation)
            {
                self.applied.keyless_filled.push(relation);
            }
        }
    }
}

impl Release {
    /// Changes, and messages that are done with them.
    fn transaction(changes: Vec<Pending>, places: Vec<Place>) -> Release {
        Release::Changes(with_places(changes, places))
    }
}

fn with_places(mut changes: Vec<Pending>, places: Vec<Place>) -> Vec<Pending> {
    changes.extend(places.into_iter().map(|place| Pending {
        place,
        change: Change::nothing(),
    }));
    changes
}

impl Open {
    /// Events of a relation that were seen, each once.
    fn seen(&self, relation: usize) -> u64 {
        self.distinct.get(&relation).copied().unwrap_or(0)
            + self.applied_before.get(&relation).copied().unwrap_or(0)
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let events = self.events.iter().map(|(_, pending)| pending.place);
        events.chain(self.repeated.iter().copied())
    }

    /// The greatest position in the binlog.
    fn binlog(&self) -> Option<(u64, u64, u64)> {
        self.events
            .iter()
            .filter_map(|(_, pending)| match pending.change.position {
                Some(UpstreamPosition::Binlog {
                    file,
                    position,
                    row,
                }) => Some((file, position, row)),
                _ => None,
            })
            .max()
    }
}

fn is_reached(barrier: &Barrier, reach: &dyn Reach) -> bool {
    barrier
        .iter()
        .all(|(partition, end)| reach.next(*partition) >= *end)
}

/// Scope and number of a global transaction id: `0-1-9`, `uuid:9`.
fn numbered(id: &TransactionId) -> Option<(&str, u64)> {
    let TransactionId::Other(id) = id else {
        return None;
    };
    let (scope, number) = id.rsplit_once([':', '-'])?;
    Some((scope, number.parse().ok()?))
}

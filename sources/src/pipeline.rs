//! Messages in, batches out: decode, gather and apply, with all that is known of the partitions. No IO but what a [`Broker`] does when it is asked where its
//! partitions end; no clock but the one handed in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::apply::{Applier, Outcome};
use crate::broker::{Broker, Message, TopicIndex};
use crate::decode::{Decoded, Decoder, Operation, hash};
use crate::duplicates::Newest;
use crate::gather::{Applied, Barrier, Gather, Pending, Place, Reach, Release};
use crate::position::{PartitionPosition, Position};
use crate::progress::{Progress, Read};
use crate::spec::{SourceSpec, StartAt};
use crate::{ErrorRow, KeyState, PartitionStatus, SourceBatch, SourceCounters, SourceError};

/// A batch without updates is only worth its position: one in this time is enough.
const POSITION_INTERVAL: Duration = Duration::from_secs(1);
/// Or one after so many messages.
const POSITION_MESSAGES: u64 = 100_000;
/// The message that shows whether a topic is the same is read again if it is no further back than this.
const SEEN_DISTANCE_MAX: i64 = 10_000;
/// How often held things are looked at when no message comes.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// One partition.
#[derive(Default)]
struct Partition {
    progress: Progress,
    /// Of changes that are not gathered.
    newest: Newest,
    last_delete: u64,
    /// Offset and looks of a message before `progress.resume()`.
    seen: Option<(i64, u64)>,
    /// Offset and looks of the last message read.
    last: Option<(i64, u64)>,
    /// Must be seen before anything else is believed.
    expected: Option<(i64, u64)>,
    /// Messages before the next offset come on purpose.
    is_rereading: bool,
}

pub(crate) struct Pipeline {
    spec: SourceSpec,
    topics: Vec<String>,
    decoder: Decoder,
    gather: Option<Gather>,
    applier: Applier,
    partitions: BTreeMap<(TopicIndex, i32), Partition>,
    resumed: BTreeMap<(String, i32), PartitionPosition>,
    /// Changes that may be applied, in their order.
    ready: Vec<Pending>,
    outcome: Outcome,
    sequence: u64,
    messages: u64,
    bytes: u64,
    is_changed: bool,
    last_batch: Option<Instant>,
    last_idle: Option<Instant>,
    counters: SourceCounters,
}

impl Pipeline {
    pub(crate) fn new(
        spec: SourceSpec,
        resume: Option<&[u8]>,
        open_errors: Vec<ErrorRow>,
        key_state: Arc<dyn KeyState>,
    ) -> Result<Pipeline, SourceError> {
        let position = match resume {
            Some(bytes) => Position::from_bytes(bytes)?,
            None => Position::default(),
        };
        let moved = position.moved()?;
        let applied = position.applied.unwrap_or_default();
        let gather = spec
            .transaction_topic()
            .is_some()
            .then(|| Gather::new(&spec, applied));
        let resumed = position.partitions.into_iter();
        Ok(Pipeline {
            topics: spec.topic_names().into_iter().map(str::to_owned).collect(),
            decoder: Decoder::new(&spec),
            gather,
            applier: Applier::new(&spec, key_state, open_errors, moved),
            partitions: BTreeMap::new(),
            resumed: resumed
                .map(|partition| ((partition.topic.clone(), partition.partition), partition))
                .collect(),
            ready: Vec::new(),
            outcome: Outcome::default(),
            sequence: 0,
            messages: 0,
            bytes: 0,
            is_changed: false,
            last_batch: None,
            last_idle: None,
            counters: SourceCounters::default(),
            spec,
        })
    }

    pub(crate) fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Starts to read the partitions that are not read yet; `now_ms` is the time, for a start relative to it. New ones that appear while running begin at their
    /// beginning, and so they do after a restart.
    pub(crate) fn discover(
        &mut self,
        broker: &mut dyn Broker,
        topic: TopicIndex,
        now_ms: i64,
    ) -> Result<(), SourceError> {
        let name = self.topics.get(topic as usize).cloned().unwrap_or_default();
        let found = broker.partitions(topic)?;
        let known = |partition: &i32| self.partitions.contains_key(&(topic, *partition));
        let had_some = self.partitions.keys().any(|(own, _)| *own == topic);
        if found.is_empty() {
            return if had_some || self.resumed.keys().any(|(own, _)| *own == name) {
                Err(SourceError::topic_gone(&name))
            } else {
                // Debezium makes a topic with its first message.
                Ok(())
            };
        }
        let is_transaction_topic = self.decoder.relation_of(topic).is_none();
        if is_transaction_topic && found.len() > 1 {
            return Err(SourceError::unsupported(format!(
                "transaction topic \"{name}\" has {} partitions",
                found.len()
            ))
            .detail("The order of transactions is known only from a topic with one partition."));
        }
        let new: Vec<i32> = found
            .iter()
            .filter(|partition| !known(partition))
            .copied()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let is_resumed = !self.resumed.is_empty() || had_some;
        let mut states = Vec::new();
        let mut assignment = Vec::new();
        for partition in new {
            let (state, from) =
                self.start_of(broker, topic, &name, partition, is_resumed, now_ms)?;
            states.push(((topic, partition), state));
            assignment.push((topic, partition, from));
        }
        broker.assign(&assignment)?;
        self.partitions.extend(states);
        self.is_changed = true;
        if let Some(relation) = self.decoder.relation_of(topic) {
            let is_unordered = found.len() > 1 && self.gather.is_none();
            self.applier.set_unordered(relation, is_unordered);
        }
        Ok(())
    }

    /// Where a partition starts, having looked that nothing is missing before it.
    fn start_of(
        &self,
        broker: &mut dyn Broker,
        topic: TopicIndex,
        name: &str,
        partition: i32,
        is_resumed: bool,
        now_ms: i64,
    ) -> Result<(Partition, i64), SourceError> {
        let (low, high) = broker.watermarks(topic, partition)?;
        let Some(resumed) = self.resumed.get(&(name.to_owned(), partition)) else {
            let from = match &self.spec.start {
                _ if is_resumed => low,
                StartAt::Beginning => low,
                StartAt::Offsets(offsets) => usize::try_from(partition)
                    .ok()
                    .and_then(|partition| offsets.get(partition))
                    .map_or(low, |offset| (*offset).clamp(low, high)),
                StartAt::Timestamp(timestamp) => {
                    let time = if *timestamp < 0 {
                        now_ms.saturating_add(*timestamp)
                    } else {
                        *timestamp
                    };
                    broker.offset_at(topic, partition, time)?
                }
            };
            let state = Partition {
                progress: Progress::resumed(from, &[]),
                ..Partition::default()
            };
            return Ok((state, from));
        };
        if !(low..=high).contains(&resumed.offset) {
            return Err(SourceError::truncated(
                name,
                partition,
                resumed.offset,
                low,
                high,
            ));
        }
        let seen = resumed.seen.filter(|(offset, _)| {
            (low..high).contains(offset) && resumed.offset - offset <= SEEN_DISTANCE_MAX
        });
        let state = Partition {
            progress: resumed.progress(),
            newest: resumed.newest.clone(),
            last_delete: resumed.last_delete,
            seen: resumed.seen,
            last: None,
            expected: seen,
            is_rereading: true,
        };
        let from = seen.map_or(resumed.offset, |(offset, _)| offset);
        Ok((state, from))
    }

    /// Looks whether partitions are still the ones they were, and reads on: each one's last message is read again and must look the same.
    pub(crate) fn verify(&mut self, broker: &mut dyn Broker) -> Result<(), SourceError> {
        let mut assignment = Vec::new();
        let mut expected = Vec::new();
        for ((topic, partition), state) in &self.partitions {
            let name = self.topics.get(*topic as usize).map_or("", String::as_str);
            let next = state.progress.next().unwrap_or(0);
            let (low, high) = broker.watermarks(*topic, *partition)?;
            if !(low..=high).contains(&next) {
                return Err(SourceError::truncated(name, *partition, next, low, high));
            }
            let last = state.last.filter(|(offset, _)| *offset >= low);
            let from = last.map_or(next, |(offset, _)| offset);
            assignment.push((*topic, *partition, from));
            expected.push(last);
        }
        broker.assign(&assignment)?;
        for (state, expected) in self.partitions.values_mut().zip(expected) {
            // One that is not verified yet stays so.
            if state.last.is_some() {
                state.expected = expected;
                state.is_rereading = true;
            }
        }
        Ok(())
    }

    /// Takes a message in.
    pub(crate) fn message(&mut self, message: Message<'_>) -> Result<(), SourceError> {
        let place = Place {
            topic: message.topic,
            partition: message.partition,
            offset: message.offset,
        };
        let partition = self
            .partitions
            .entry((place.topic, place.partition))
            .or_default();
        let looks = looks_of(&message);
        if let Some((offset, expected)) = partition.expected {
            let name = self.topics.get(place.topic as usize);
            let name = name.map_or("", String::as_str);
            if place.offset < offset {
                return Ok(());
            }
            partition.expected = None;
            if place.offset == offset && looks != expected {
                return Err(SourceError::recreated(
                    name,
                    place.partition,
                    format!("The message at offset {offset} is another one than it was."),
                ));
            }
        }
        if partition.is_rereading {
            if partition
                .progress
                .next()
                .is_some_and(|next| place.offset < next)
            {
                return Ok(());
            }
            partition.is_rereading = false;
        }
        match partition.progress.read(place.offset) {
            Read::New => {}
            Read::Done => return Ok(()),
            Read::Back => {
                let name = self.topics.get(place.topic as usize);
                return Err(SourceError::recreated(
                    name.map_or("", String::as_str),
                    place.partition,
                    format!("Offset {} came again after later ones.", place.offset),
                ));
            }
        }
        partition.last = Some((place.offset, looks));
        self.is_changed = true;
        self.messages += 1;
        let bytes = message.value.map_or(0, <[u8]>::len) + message.key.map_or(0, <[u8]>::len);
        self.bytes += bytes as u64;
        let decoded = self.decoder.decode(message).map_err(|error| {
            let name = self.topics.get(place.topic as usize);
            SourceError::new(
                "22000",
                format!(
                    "the message at offset {} of transaction topic \"{}\" is no boundary",
                    place.offset,
                    name.map_or("", String::as_str)
                ),
            )
            .detail(error.message().to_owned())
        })?;
        match decoded {
            Decoded::Nothing => self.done(place),
            Decoded::Boundary(boundary) => {
                let release = self
                    .gather
                    .as_mut()
                    .and_then(|gather| gather.boundary(boundary, place));
                self.take(release);
            }
            Decoded::Change(change) => self.change(Pending { place, change })?,
        }
        Ok(())
    }

    fn change(&mut self, mut pending: Pending) -> Result<(), SourceError> {
        let place = pending.place;
        let Some(partition) = self.partitions.get_mut(&(place.topic, place.partition)) else {
            return Ok(());
        };
        let change = &mut pending.change;
        // A tombstone after the delete of its key says nothing new, even if the delete itself was a repetition.
        let deleted = std::mem::replace(
            &mut partition.last_delete,
            match change.operation {
                Operation::Delete { .. } => change.key_hash,
                _ => 0,
            },
        );
        if matches!(change.operation, Operation::Tombstone { .. }) && deleted == change.key_hash {
            change.operation = Operation::Nothing;
        }
        let Some(gather) = &mut self.gather else {
            if partition.newest.is_repeated(change) {
                self.counters.duplicates_dropped += 1;
                self.done(place);
            } else {
                self.take(Some(Release::Changes(vec![pending])));
            }
            return Ok(());
        };
        let resume = partition.progress.resume().unwrap_or(place.offset);
        let release = gather.change(pending, resume)?;
        self.take(release);
        Ok(())
    }

    fn done(&mut self, place: Place) {
        if let Some(partition) = self.partitions.get_mut(&(place.topic, place.partition)) {
            partition.progress.done(place.offset);
            if partition.progress.is_even() {
                partition.seen = partition.last;
            }
        }
    }

    fn take(&mut self, release: Option<Release>) {
        match release {
            None => {}
            Some(Release::Done(places)) => places.into_iter().for_each(|place| self.done(place)),
            Some(Release::Changes(changes)) => {
                for pending in changes {
                    self.done(pending.place);
                    if pending.change.operation != Operation::Nothing {
                        self.ready.push(pending);
                    }
                }
            }
            Some(Release::Contents(changes, relations)) => {
                // Everything before it is applied first, then it alone.
                self.apply_ready();
                let sequence = self.sequence + 1;
                changes.iter().for_each(|pending| self.done(pending.place));
                self.applier
                    .keep_only(&changes, &relations, sequence, &mut self.outcome);
                self.applier.apply(&changes, sequence, &mut self.outcome);
            }
        }
    }

    fn apply_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        self.applier
            .apply(&ready, self.sequence + 1, &mut self.outcome);
        // Kept for its memory.
        self.ready = ready;
        self.ready.clear();
    }

    /// Releases what has become complete. Call it after a poll.
    pub(crate) fn settle(
        &mut self,
        broker: &mut dyn Broker,
        now: Instant,
    ) -> Result<(), SourceError> {
        let is_idle = self.messages == 0;
        if self.gather.as_ref().is_none_or(|gather| !gather.has_work()) {
            return Ok(());
        }
        if !is_idle || self.last_idle.is_none() {
            self.last_idle = Some(now);
        } else if self
            .last_idle
            .is_some_and(|last| now.duration_since(last) >= IDLE_INTERVAL)
        {
            self.last_idle = Some(now);
            if let Some(gather) = &mut self.gather {
                gather.idle();
            }
        }
        loop {
            let Some(gather) = &mut self.gather else {
                return Ok(());
            };
            let mut reach = PartitionReach {
                partitions: &self.partitions,
                broker,
                transaction_topic: self.topics.len().saturating_sub(1) as TopicIndex,
            };
            let release = gather.release(&mut reach)?;
            if release.is_none() {
                return Ok(());
            }
            self.is_changed = true;
            self.take(release);
        }
    }

    /// The batch of what is ready, if there is any or if it is time to say how far the source has come.
    pub(crate) fn finish(&mut self, now: Instant) -> Option<SourceBatch> {
        if !self.ready.is_empty() {
            self.apply_ready();
        }
        let outcome = &self.outcome;
        let is_empty = outcome.updates.is_empty() && outcome.errors.is_empty();
        let last = *self.last_batch.get_or_insert(now);
        let is_due =
            now.duration_since(last) >= POSITION_INTERVAL || self.messages >= POSITION_MESSAGES;
        if !self.is_changed || (is_empty && !is_due) {
            return None;
        }
        self.last_batch = Some(now);
        self.is_changed = false;
        self.sequence += 1;
        let outcome = std::mem::take(&mut self.outcome);
        let batch = SourceBatch {
            source: self.spec.id,
            sequence: self.sequence,
            updates: outcome.updates,
            errors: outcome.errors,
            position: self.position().to_bytes(),
            messages: std::mem::take(&mut self.messages),
            bytes: std::mem::take(&mut self.bytes),
            snapshot_in_progress: self
                .gather
                .as_ref()
                .is_some_and(|gather| gather.applied.snapshot_in_progress),
        };
        self.counters.messages += batch.messages;
        self.counters.bytes += batch.bytes;
        self.counters.batches += 1;
        self.counters.updates += batch
            .updates
            .iter()
            .map(|(_, updates)| updates.len() as u64)
            .sum::<u64>();
        self.counters.errors += batch.errors.iter().filter(|(_, diff)| *diff > 0).count() as u64;
        Some(batch)
    }

    fn position(&self) -> Position {
        let mut partitions = Vec::with_capacity(self.partitions.len());
        for ((topic, partition), state) in &self.partitions {
            let Some(offset) = state.progress.resume() else {
                continue;
            };
            partitions.push(PartitionPosition {
                topic: self
                    .topics
                    .get(*topic as usize)
                    .cloned()
                    .unwrap_or_default(),
                partition: *partition,
                offset,
                done: state.progress.done_ranges(),
                newest: state.newest.clone(),
                last_delete: state.last_delete,
                seen: state.seen,
            });
        }
        // What was not found again (a topic not looked for yet) keeps its place.
        let known = |partition: &&PartitionPosition| {
            !partitions
                .iter()
                .any(|own| own.topic == partition.topic && own.partition == partition.partition)
        };
        let kept: Vec<PartitionPosition> = self.resumed.values().filter(known).cloned().collect();
        partitions.extend(kept);
        let applied: Option<Applied> = self.gather.as_ref().map(|gather| gather.applied.clone());
        Position::new(partitions, applied, self.applier.moved())
    }

    pub(crate) fn counters(&self) -> SourceCounters {
        let mut counters = self.counters;
        counters.messages += self.messages;
        counters.bytes += self.bytes;
        if let Some(gather) = &self.gather {
            counters.duplicates_dropped += gather.repeated;
            counters.transactions = gather.released;
            counters.open_transactions = gather.open_transactions() as u64;
            counters.open_bytes = gather.open_bytes();
        }
        counters
    }

    pub(crate) fn snapshot_rows(&self) -> u64 {
        self.gather.as_ref().map_or(0, Gather::snapshot_rows)
    }

    /// What blocks transactions, for people.
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.gather.as_ref()?.waits_for()
    }

    pub(crate) fn partition_status(&self, broker: &dyn Broker) -> Vec<PartitionStatus> {
        let partitions = self.partitions.iter();
        partitions
            .map(|((topic, partition), state)| PartitionStatus {
                topic: self
                    .topics
                    .get(*topic as usize)
                    .cloned()
                    .unwrap_or_default(),
                partition: *partition,
                applied_offset: state.progress.resume().unwrap_or(0),
                read_offset: state.progress.next().unwrap_or(0),
                high_watermark: broker.known_high_watermark(*topic, *partition),
            })
            .collect()
    }

    /// The partitions that are read.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (TopicIndex, i32)> {
        self.partitions.keys().copied()
    }
}

struct PartitionReach<'a> {
    partitions: &'a BTreeMap<(TopicIndex, i32), Partition>,
    broker: &'a mut dyn Broker,
    transaction_topic: TopicIndex,
}

impl Reach for PartitionReach<'_> {
    fn next(&self, partition: (TopicIndex, i32)) -> i64 {
        let state = self.partitions.get(&partition);
        state.and_then(|state| state.progress.next()).unwrap_or(0)
    }

    fn resume(&self, partition: (TopicIndex, i32)) -> i64 {
        let state = self.partitions.get(&partition);
        state.and_then(|state| state.progress.resume()).unwrap_or(0)
    }

    fn ends(&mut self) -> Result<Barrier, SourceError> {
        let mut ends = Barrier::new();
        for (topic, partition) in self.partitions.keys() {
            if *topic != self.transaction_topic {
                let (low, high) = self.broker.watermarks(*topic, *partition)?;
                // An emptied partition has nothing to wait for.
                if low < high {
                    ends.insert((*topic, *partition), high);
                }
            }
        }
        Ok(ends)
    }
}

/// A hash of what a message looks like, cheap enough to take of each: its time, its lengths, its end.
fn looks_of(message: &Message<'_>) -> u64 {
    const END_BYTES: usize = 32;
    let value = message.value.unwrap_or(&[]);
    let end = value
        .get(value.len().saturating_sub(END_BYTES)..)
        .unwrap_or(&[]);
    let mut bytes = [0u8; 24 + END_BYTES];
    bytes[..8].copy_from_slice(&message.timestamp_ms.unwrap_or(-1).to_be_bytes());
    bytes[8..16].copy_from_slice(&(value.len() as u64).to_be_bytes());
    bytes[16..24].copy_from_slice(
        &message
            .key
            .map_or(u64::MAX, |key| key.len() as u64)
            .to_be_bytes(),
    );
    bytes[24..24 + end.len()].copy_from_slice(end);
    hash(&bytes)
}

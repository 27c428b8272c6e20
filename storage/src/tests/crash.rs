//! Crash images: a workload runs on a simulated disk, and behind every event of it the power goes off. Whatever the disk then holds, the log must open and
//! hold exactly what was acknowledged, and perhaps the one append in flight.
//!
//! `STORAGE_SEED=7 STORAGE_RUNS=100 cargo test -p storage crash` runs other seeds, and more of them.

use super::{Model, Workload, contents, open};
use crate::sim_disk::{Random, Survival};
use crate::{Log, Recovery, SimDisk, StorageError};
use repr::Timestamp;

/// What an environment variable says, or `default`.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

/// An append and when it happened, counted in events of the disk.
struct Appended {
    started: usize,
    /// `None`: it failed, and whether it is durable is not known.
    ended: Option<usize>,
    after: Model,
}

struct Reserved {
    started: usize,
    ended: Option<usize>,
    until: Timestamp,
}

/// A workload, and what it was told.
pub struct History {
    pub disk: SimDisk,
    pub workload: Workload,
    appended: Vec<Appended>,
    reserved: Vec<Reserved>,
    pub compactions: u64,
    pub spills: u64,
    pub restarts_with_frames: u64,
}

impl History {
    pub fn new(disk: SimDisk, seed: u64) -> History {
        History { disk, workload: Workload::new(seed), appended: Vec::new(), reserved: Vec::new(), compactions: 0, spills: 0, restarts_with_frames: 0 }
    }
    /// Appends the next frame; on a full disk again, which must then succeed if `retry` says so.
    pub fn append(&mut self, log: &mut Log, mut retry: impl FnMut() -> bool) -> Result<(), StorageError> {
        let frame = self.workload.frame();
        let started = self.disk.event_count();
        let mut result = log.append(&frame);
        while matches!(result, Err(StorageError::DiskFull { .. })) && retry() {
            result = log.append(&frame);
        }
        let ended = result.is_ok().then(|| self.disk.event_count());
        self.appended.push(Appended { started, ended, after: self.workload.model.clone() });
        result
    }
    fn reserve(&mut self, log: &mut Log) -> Result<(), StorageError> {
        let until = Timestamp(self.workload.model.last.0 + self.workload.random.below(50));
        let started = self.disk.event_count();
        let result = log.reserve(until);
        let ended = result.is_ok().then(|| self.disk.event_count());
        self.reserved.push(Reserved { started, ended, until });
        result
    }
    /// A compaction of which each step may be followed by appends, and which may be cut short. `true`: the server must end now, with a compaction that is
    /// done and that the log has not taken notice of.
    fn compact(&mut self, log: &mut Log) -> Result<bool, StorageError> {
        let held = self.workload.random.below(4);
        let since = Timestamp(self.workload.model.last.0.saturating_sub(held));
        let Some(compaction) = log.begin_compaction(since)? else { return Ok(false) };
        let cancelled = self.workload.random.below(8) == 0;
        let compacted = compaction.run(&mut || match self.workload.random.below(60) {
            0 => self.append(log, || true),
            1 if cancelled => Err(StorageError::Stopped("cancelled".to_string())),
            _ => Ok(()),
        });
        let compacted = match compacted {
            Ok(compacted) => compacted,
            Err(StorageError::Stopped(why)) if why == "cancelled" => return Ok(false),
            Err(error) => return Err(error),
        };
        self.compactions += 1;
        self.spills += compacted.report.runs_spilled;
        if self.workload.random.coin() {
            self.append(log, || true)?;
        }
        if self.workload.random.below(6) == 0 {
            return Ok(true);
        }
        for name in log.adopt(compacted) {
            crate::recovery::remove(&self.disk, &name)?;
            if self.workload.random.below(6) == 0 {
                self.append(log, || true)?;
            }
        }
        Ok(false)
    }
    /// Runs until the first error that is not a full disk.
    pub fn run(&mut self, operations: u64) -> Result<(), StorageError> {
        let mut log: Option<Log> = None;
        for _ in 0..operations {
            let running = match &mut log {
                Some(running) => running,
                None => {
                    let (opened, recovery) = open(&self.disk)?;
                    self.restarts_with_frames += u64::from(recovery.frames > 0);
                    log.insert(opened)
                }
            };
            let result = match self.workload.random.below(16) {
                0 => self.reserve(running),
                1 => {
                    log = None;
                    Ok(())
                }
                2..=4 => self.compact(running).map(|ends| {
                    if ends {
                        log = None;
                    }
                }),
                _ => self.append(running, || true),
            };
            match result {
                Ok(()) | Err(StorageError::DiskFull { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    /// Whether a log that was found after `event_count` events holds what it must.
    pub fn check(&self, event_count: usize, log: &Log, recovery: &Recovery) -> Result<(), String> {
        let acknowledged = self.appended.iter().rfind(|append| append.ended.is_some_and(|ended| ended <= event_count));
        let started = self.appended.iter().rfind(|append| append.started <= event_count);
        let empty = Model::default();
        let allowed: Vec<&Model> = [acknowledged, started].map(|append| append.map_or(&empty, |append| &append.after)).to_vec();
        let found = contents(log, recovery).map_err(|error| format!("replay: {error}"))?;
        if !allowed.contains(&&found) {
            let times: Vec<Timestamp> = allowed.iter().map(|model| model.last).collect();
            return Err(format!("at time {} of {times:?}, contents or positions differ", found.last));
        }
        let bound = |reservations: &mut dyn Iterator<Item = &Reserved>| reservations.map(|reservation| reservation.until).max().unwrap_or_default();
        let least = bound(&mut self.reserved.iter().filter(|reservation| reservation.ended.is_some_and(|ended| ended <= event_count)));
        let most = bound(&mut self.reserved.iter().filter(|reservation| reservation.started <= event_count));
        let upper = |reserved: Timestamp| match reserved.max(found.last) {
            Timestamp::MIN => Timestamp::MIN,
            last => last.next(),
        };
        if recovery.upper < upper(least) || recovery.upper > upper(most) || recovery.upper != upper(log.reserved()) {
            return Err(format!("upper is {} and should be from {} to {}", recovery.upper, upper(least), upper(most)));
        }
        Ok(())
    }
    /// Opens an image and checks it.
    pub fn check_image(&self, event_count: usize, image: &SimDisk) -> Result<Recovery, String> {
        let (log, recovery) = open(image).map_err(|error| format!("open: {error}"))?;
        self.check(event_count, &log, &recovery)?;
        Ok(recovery)
    }
}

#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    events: u64,
    sync_points: u64,
    images: u64,
    second_crashes: u64,
    torn: u64,
    unacknowledged_survived: u64,
    compactions: u64,
    spills: u64,
    restarts_with_frames: u64,
    continued: u64,
}

/// Everything that can be found at one moment of a history.
fn check_moment(history: &History, event_count: usize, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let mut random = Random(seed ^ event_count as u64);
    let survivals = [
        Survival::None,
        Survival::All,
        Survival::NoEntries,
        Survival::NoBytes,
        Survival::TornLastWrite(random.next_word()),
        Survival::Random(random.next_word()),
        Survival::Random(random.next_word()),
        Survival::Random(random.next_word()),
    ];
    for survival in survivals {
        let context = |error: String| format!("{survival:?}: {error}");
        let image = history.disk.crash(event_count, survival);
        let recovery = history.check_image(event_count, &image).map_err(context)?;
        counts.images += 1;
        counts.torn += u64::from(recovery.torn_bytes > 0);
        let acknowledged = history.appended.iter().rfind(|append| append.ended.is_some_and(|ended| ended <= event_count));
        counts.unacknowledged_survived += u64::from(recovery.last > acknowledged.map_or(Timestamp::MIN, |append| append.after.last));
        if random.below(4) == 0 {
            check_second_crash(history, event_count, &image, &recovery, &mut random, counts).map_err(context)?;
        }
        if random.below(16) == 0 {
            let image = history.disk.crash(event_count, survival);
            check_going_on(history, image, random.next_word(), &recovery).map_err(context)?;
            counts.continued += 1;
        }
    }
    // Killed, not crashed: what the next process finds may be less durable than it looks.
    let image = history.disk.kill(event_count);
    let recovery = history.check_image(event_count, &image).map_err(|error| format!("killed: {error}"))?;
    check_second_crash(history, event_count, &image, &recovery, &mut random, counts).map_err(|error| format!("killed: {error}"))?;
    check_going_on(history, history.disk.kill(event_count), random.next_word(), &recovery).map_err(|error| format!("killed: {error}"))
}

/// The power goes off once more, during or after the recovery.
fn check_second_crash(history: &History, event_count: usize, image: &SimDisk, first: &Recovery, random: &mut Random, counts: &mut Counts) -> Result<(), String> {
    let during = random.below(image.event_count() as u64 + 1) as usize;
    let again = image.crash(during, Survival::Random(random.next_word()));
    history.check_image(event_count, &again).map_err(|error| format!("crashed at event {during} of the recovery: {error}"))?;
    let after = image.crash(image.event_count(), Survival::None);
    let second = history.check_image(event_count, &after).map_err(|error| format!("crashed after the recovery: {error}"))?;
    counts.second_crashes += 2;
    if second.last != first.last || second.upper != first.upper {
        return Err(format!("the recovery said {first:?}, and the next one {second:?}"));
    }
    Ok(())
}

/// The log goes on after the crash as if nothing had been.
fn check_going_on(history: &History, image: SimDisk, seed: u64, recovery: &Recovery) -> Result<(), String> {
    let mut next = History::new(image, seed);
    let started = history.appended.iter().map(|append| &append.after).find(|model| model.last == recovery.last);
    next.workload.model = started.cloned().unwrap_or_default();
    let before = Appended { started: 0, ended: Some(0), after: next.workload.model.clone() };
    next.appended.push(before);
    next.reserved.push(Reserved { started: 0, ended: Some(0), until: recovery.upper.previous().unwrap_or_default() });
    // Its collections may be among those that were dropped before, whose ids are never used again.
    next.workload.avoid(1_000);
    next.run(12).map_err(|error| format!("going on: {error}"))?;
    let end = next.disk.event_count();
    next.check_image(end, &next.disk.crash(end, Survival::None)).map(drop).map_err(|error| format!("after going on: {error}"))
}

/// Runs one history and checks every moment of it.
fn check_history(seed: u64, lying: bool, counts: &mut Counts) -> Result<(), String> {
    let disk = SimDisk::new();
    if lying {
        disk.lie_about_syncs();
    }
    let mut history = History::new(disk, seed);
    history.run(70).map_err(|error| format!("seed {seed}: {error}"))?;
    let events = history.disk.event_count();
    for event_count in 0..=events {
        check_moment(&history, event_count, seed, counts).map_err(|error| format!("STORAGE_SEED={seed}, event {event_count} of {events}, {error}"))?;
    }
    counts.runs += 1;
    counts.events += events as u64;
    counts.sync_points += history.disk.sync_points().len() as u64;
    counts.compactions += history.compactions;
    counts.spills += history.spills;
    counts.restarts_with_frames += history.restarts_with_frames;
    Ok(())
}

#[test]
fn no_crash_loses_or_invents_anything() {
    let (seed, runs) = (setting("STORAGE_SEED", 1), setting("STORAGE_RUNS", 2));
    let mut counts = Counts::default();
    for seed in seed..seed + runs {
        if let Err(error) = check_history(seed, false, &mut counts) {
            panic!("{error}");
        }
    }
    println!("STORAGE_SEED={seed} STORAGE_RUNS={runs}: {counts:?}");
    assert!(counts.images >= 2_500 * runs, "too few images: {counts:?}");
    assert!(counts.torn >= 100 * runs && counts.unacknowledged_survived >= 100 * runs, "too few crashes in the middle of an append: {counts:?}");
    assert!(counts.compactions >= 2 * runs && counts.spills >= runs, "too few compactions: {counts:?}");
    assert!(counts.restarts_with_frames >= runs && counts.continued >= 20 * runs, "too few restarts: {counts:?}");
}

#[test]
fn a_log_that_does_not_sync_is_caught() {
    let caught = (1..=5).filter(|&seed| check_history(seed, true, &mut Counts::default()).is_err()).count();
    assert_eq!(caught, 5);
}

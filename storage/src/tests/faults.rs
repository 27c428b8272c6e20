//! Disks that are full or fail.

use super::crash::{History, setting};
use super::open;
use crate::sim_disk::{Operation, Random, Survival};
use crate::{Frame, Log, LogOptions, SimDisk, StorageError};
use repr::{CollectionId, Datum, Row, Timestamp};
use std::io::ErrorKind;
use std::sync::Arc;

/// The disk fills up and gets room again, time after time; nothing acknowledged is lost, and every append that was refused goes through in the end.
#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    let cycles = setting("STORAGE_CYCLES", 200);
    let (mut refused, mut compactions) = (0, 0);
    let disk = SimDisk::new();
    let mut history = History::new(disk.clone(), setting("STORAGE_SEED", 1));
    let mut random = Random(99);
    let (mut log, _) = open(&disk).unwrap();
    for cycle in 0..cycles {
        disk.set_capacity(Some(disk.used_bytes() + random.below(2_000)));
        for _ in 0..4 {
            let mut refusals = 0;
            history
                .append(&mut log, || {
                    refusals += 1;
                    // The first time there is hardly more room than before.
                    disk.set_capacity((refusals < 2).then(|| disk.used_bytes() + 10));
                    true
                })
                .unwrap();
            refused += refusals;
            log.maybe_compact(history.workload.model.last).unwrap();
            log.wait_for_compaction().unwrap();
        }
        disk.set_capacity(None);
        if cycle % 10 == 9 {
            compactions += log.compactions();
            drop(log);
            let crashed = disk.crash(disk.event_count(), Survival::None);
            history.check_image(disk.event_count(), &crashed).unwrap();
            log = open(&disk).unwrap().0;
        }
    }
    println!("{refused} appends refused in {cycles} cycles, {compactions} compactions");
    assert!(refused >= cycles / 2 && compactions >= cycles / 20, "{refused} refused, {compactions} compactions");
}

#[test]
fn a_full_disk_is_called_so() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    disk.set_capacity(Some(disk.used_bytes() + 20));
    let error = log.reserve(Timestamp(5)).unwrap_err();
    assert_eq!(error.to_string(), "could not write to file \"simulated/segment-0000000000000001\": no space left on device");
    // Time that is reserved already can be given away on a full disk.
    disk.set_capacity(None);
    log.ensure_reserved(Timestamp(10_000), Timestamp(10_000)).unwrap();
    disk.set_capacity(Some(disk.used_bytes()));
    log.ensure_reserved(Timestamp(19_999), Timestamp(19_999)).unwrap();
    assert!(matches!(log.ensure_reserved(Timestamp(20_001), Timestamp(20_001)), Err(StorageError::DiskFull { .. })));
    // A full disk does not keep the server from starting either.
    drop(log);
    let (mut log, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.upper, Timestamp(20_001));
    disk.set_capacity(None);
    log.ensure_reserved(Timestamp(20_001), Timestamp(20_001)).unwrap();
}

/// What is left of a refused append must not mix with the next one, whatever sectors of the two a crash leaves.
#[test]
fn a_refused_append_leaves_nothing_behind() {
    let frame = |time: u64, texts: usize| Frame {
        timestamp: Timestamp(time),
        updates: vec![(CollectionId(1), (0..texts).map(|value| (Row::pack([Datum::Int8(value as i64), Datum::Text(&"tide".repeat(40))]), 1)).collect())],
        positions: vec![],
        dropped: vec![],
    };
    for size in 2..20 {
        let disk = SimDisk::new();
        let (mut log, _) = Log::open(Arc::new(disk.clone()), LogOptions::default()).unwrap();
        log.append(&frame(1, 1)).unwrap();
        disk.set_capacity(Some(disk.used_bytes() + 3_000));
        assert!(matches!(log.append(&frame(2, 25)), Err(StorageError::DiskFull { .. })));
        let refused = disk.event_count();
        disk.set_capacity(None);
        log.append(&frame(2, size)).unwrap();
        let end = disk.event_count();
        for (event_count, seed) in (refused - 3..=end).flat_map(|count| (0..40).map(move |seed| (count, seed))) {
            let (_, recovery) = open(&disk.crash(event_count, Survival::Random(seed))).unwrap_or_else(|error| panic!("{size} {event_count} {seed}: {error}"));
            assert!(recovery.last == Timestamp(2) || event_count < end && recovery.last == Timestamp(1), "{size} {event_count} {seed}");
        }
    }
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimDisk::new();
    let mut history = History::new(disk.clone(), 5);
    let (mut log, _) = open(&disk).unwrap();
    history.append(&mut log, || false).unwrap();
    disk.inject(Operation::Sync, 0, ErrorKind::Other);
    assert!(matches!(history.append(&mut log, || false), Err(StorageError::Io { operation: "fsync", .. })));
    let time = history.workload.model.last;
    for _ in 0..3 {
        // The disk is well again, and that is of no interest.
        assert!(matches!(history.append(&mut log, || false), Err(StorageError::Stopped(_))));
        assert!(matches!(log.reserve(Timestamp(time.0 + 1_000)), Err(StorageError::Stopped(_))));
    }
    let (_, recovery) = open(&disk.crash(disk.event_count(), Survival::None)).unwrap();
    assert!(recovery.last < time, "a frame that was not synced survived");
}

/// A compaction that finds damage says so once; the log goes on.
#[test]
fn damage_found_by_a_compaction_is_reported() {
    let disk = SimDisk::new();
    let mut history = History::new(disk.clone(), 6);
    let (mut log, _) = open(&disk).unwrap();
    while disk.files().iter().filter(|(name, _)| name.starts_with("segment-")).count() < 3 {
        history.append(&mut log, || false).unwrap();
    }
    disk.flip("segment-0000000000000001", 100, 1);
    log.maybe_compact(history.workload.model.last).unwrap();
    let error = log.wait_for_compaction().unwrap_err();
    assert!(matches!(&error, StorageError::Corrupted { file, .. } if file.ends_with("segment-0000000000000001")), "{error}");
    log.maybe_compact(history.workload.model.last).unwrap();
    history.append(&mut log, || false).unwrap();
    assert!(!log.is_compacting());
}

/// Each operation fails once, at each place of a workload, in each way. Whatever happens next, what was acknowledged is there afterwards.
#[test]
fn any_operation_may_fail_anywhere() {
    use Operation::*;
    let (mut runs, mut stopped, mut full) = (0, 0, 0);
    for operation in [Create, Open, Append, Read, Truncate, Sync, Rename, Remove, SyncDirectory] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let mut after = 0;
            loop {
                let disk = SimDisk::new();
                let mut history = History::new(disk.clone(), 1 + after);
                disk.inject(operation, after, kind);
                let failed = history.run(40).err();
                if !disk.faults_are_used_up() {
                    break;
                }
                runs += 1;
                match &failed {
                    None => full += u64::from(kind == ErrorKind::StorageFull),
                    Some(StorageError::Io { .. } | StorageError::DiskFull { .. }) => stopped += 1,
                    Some(_) => panic!("{operation:?} {after} {kind:?}: {failed:?}"),
                }
                let events = disk.event_count();
                for survival in [Survival::None, Survival::All, Survival::Random(after)] {
                    let context = |error: String| panic!("{operation:?} {after} {kind:?} {survival:?}: {error}");
                    history.check_image(events, &disk.crash(events, survival)).unwrap_or_else(context);
                }
                after += 1 + after / 8;
            }
        }
    }
    println!("{runs} runs, {stopped} stopped, {full} went on after a full disk");
    assert!(runs > 200 && stopped > 100 && full > 5, "{runs} runs, {stopped} stopped, {full} went on after a full disk");
}

#[test]
fn a_frame_that_is_too_large_is_refused_and_smaller_ones_go_on() {
    let disk = SimDisk::new();
    let options = LogOptions { frame_bytes_max: 1_000, ..super::small_options() };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), options.clone()).unwrap();
    let frame = |time: u64, bytes: usize| Frame {
        timestamp: Timestamp(time),
        updates: vec![(CollectionId(1), vec![(Row::pack([Datum::Text(&"x".repeat(bytes))]), 1)])],
        positions: Vec::new(),
        dropped: Vec::new(),
    };
    log.append(&frame(1, 10)).unwrap();
    let size = log.size_bytes();
    let error = log.append(&frame(2, 2_000)).unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { bytes, limit: 1_000 } if bytes > 2_000), "{error}");
    assert_eq!(log.size_bytes(), size);
    // The same time may be given to another frame.
    log.append(&frame(2, 900)).unwrap();
    drop(log);
    let (_, recovery) = Log::open(Arc::new(disk), options).unwrap();
    assert_eq!((recovery.last, recovery.frames), (Timestamp(2), 2));
}

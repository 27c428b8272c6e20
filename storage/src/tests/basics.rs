//! What must hold on the simulated disk and on real files alike.

use super::{Model, Workload, contents, open, small_options};
use crate::sim_disk::Survival;
use crate::{Clock, Disk, FileDisk, Frame, Log, LogOptions, SimDisk, StorageError};
use repr::{CollectionId, Datum, Row, Timestamp};
use std::sync::Arc;
use std::time::Instant;

/// Runs a test on both disks.
fn on_both(test: impl Fn(Arc<dyn Disk>)) {
    test(Arc::new(SimDisk::new()));
    let directory = tempfile::tempdir().unwrap();
    test(Arc::new(FileDisk::open(directory.path().join("data")).unwrap()));
}

fn one_row(timestamp: u64, value: i64) -> Frame {
    let updates = vec![(CollectionId(1), vec![(Row::pack([Datum::Int8(value)]), 1)])];
    Frame { timestamp: Timestamp(timestamp), updates, positions: Vec::new(), dropped: Vec::new() }
}

#[test]
fn a_new_log_is_empty() {
    on_both(|disk| {
        for _ in 0..2 {
            let (log, recovery) = Log::open(disk.clone(), LogOptions::default()).unwrap();
            assert_eq!((recovery.since, recovery.upper, recovery.last), (Timestamp::MIN, Timestamp::MIN, Timestamp::MIN));
            assert_eq!(contents(&log, &recovery).unwrap(), Model::default());
        }
    });
}

#[test]
fn a_log_holds_what_was_appended_over_restarts_and_compactions() {
    on_both(|disk| {
        let mut workload = Workload::new(1);
        let (mut compactions, mut replayed) = (0, 0);
        for round in 0..12 {
            let (mut log, recovery) = Log::open(disk.clone(), small_options()).unwrap();
            assert_eq!(contents(&log, &recovery).unwrap(), workload.model, "round {round}");
            replayed += recovery.frames;
            for _ in 0..20 {
                log.append(&workload.frame()).unwrap();
                // Now and then history up to some time before the last one is still in use.
                let held = if workload.random.coin() { 0 } else { workload.random.below(10) };
                log.maybe_compact(Timestamp(workload.model.last.0.saturating_sub(held))).unwrap();
            }
            if round % 2 == 0 {
                log.wait_for_compaction().unwrap();
                assert!(!log.is_compacting());
            }
            assert_eq!(log.frames_appended(), 20);
            compactions += log.compactions();
        }
        assert!(compactions >= 6 && replayed > 20, "{compactions} compactions, {replayed} frames replayed");
    });
}

/// A clock and a log are driven as a server does it, with a system clock that jumps, freezes and goes back, and with crashes.
#[test]
fn timestamps_grow_over_jumps_and_crashes() {
    let (mut crashes, mut backwards) = (0, 0);
    for seed in 1..=20 {
        let mut random = crate::sim_disk::Random(seed);
        let mut disk = SimDisk::new();
        let mut now = 1_000_000_000;
        let mut shown = Timestamp::MIN;
        for _ in 0..6 {
            let (mut log, recovery) = super::open(&disk).unwrap();
            assert!(recovery.upper > shown || recovery.upper == Timestamp::MIN, "seed {seed}: upper {} after {shown}", recovery.upper);
            let mut clock = Clock::resume(recovery.upper.previous().unwrap_or_default());
            for _ in 0..random.below(200) {
                let before = now;
                now = match random.below(40) {
                    0 => now + 3_600_000,
                    1 => now - 3_600_000,
                    2..=9 => now,
                    _ => now + random.below(3_000),
                };
                backwards += u64::from(now < before);
                let timestamp = clock.tick(Timestamp(now));
                log.ensure_reserved(timestamp, Timestamp(now)).unwrap();
                if random.coin() {
                    log.append(&one_row(timestamp.0, 1)).unwrap();
                    log.maybe_compact(timestamp).unwrap();
                    log.wait_for_compaction().unwrap();
                }
                assert!(timestamp > shown && timestamp >= Timestamp(now), "seed {seed}: {timestamp} after {shown}");
                shown = timestamp;
            }
            drop(log);
            disk = disk.crash(disk.event_count(), Survival::None);
            crashes += 1;
        }
    }
    assert!(crashes > 100 && backwards > 100, "{crashes} crashes, {backwards} times back");
}

/// Says how fast it is, and asserts nothing about it.
#[test]
fn throughput_on_real_files() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FileDisk::open(directory.path()).unwrap());
    let (mut log, _) = Log::open(disk.clone(), LogOptions { compact_bytes_min: 1 << 20, ..LogOptions::default() }).unwrap();
    let (frames, rows_per_frame) = (50, 4_000);
    let appending = Instant::now();
    for time in 1..=frames {
        let rows = (0..rows_per_frame).map(|row| (Row::pack([Datum::Int8((time * rows_per_frame + row) as i64), Datum::Text("customer")]), 1)).collect();
        let frame = Frame { timestamp: Timestamp(time), updates: vec![(CollectionId(1), rows)], positions: vec![], dropped: vec![] };
        log.append(&frame).unwrap();
    }
    let appending = appending.elapsed();
    let count_rows = |log: &Log| {
        let replaying = Instant::now();
        let mut rows = 0;
        log.replay(&mut |_, _, batch| rows += batch.len() as u64).unwrap();
        assert_eq!(rows, frames * rows_per_frame);
        replaying.elapsed()
    };
    let frames_replayed = count_rows(&log);
    let compacting = Instant::now();
    log.maybe_compact(Timestamp(frames)).unwrap();
    log.wait_for_compaction().unwrap();
    assert_eq!(log.compactions(), 1);
    let compacting = compacting.elapsed();
    let parts_replayed = count_rows(&log);
    println!(
        "{} rows in {frames} frames: appended in {appending:?}, replayed in {frames_replayed:?}, compacted in {compacting:?}, replayed from parts in {parts_replayed:?}",
        frames * rows_per_frame
    );
}

#[test]
fn a_second_server_is_kept_out() {
    on_both(|disk| {
        let (log, _) = Log::open(disk.clone(), LogOptions::default()).unwrap();
        match Log::open(disk.clone(), LogOptions::default()).map(|_| ()) {
            Err(StorageError::Locked { directory, pid }) => assert_eq!((directory, pid), (disk.name(), std::process::id().to_string())),
            other => panic!("{other:?}"),
        }
        drop(log);
        Log::open(disk, LogOptions::default()).unwrap();
    });
}

#[test]
fn what_is_reserved_stays_reserved() {
    on_both(|disk| {
        let (mut log, _) = Log::open(disk.clone(), small_options()).unwrap();
        log.append(&one_row(100, 1)).unwrap();
        drop(log);
        let (mut log, recovery) = Log::open(disk.clone(), small_options()).unwrap();
        assert_eq!((recovery.last, recovery.upper), (Timestamp(100), Timestamp(101)));
        log.reserve(Timestamp(5_000)).unwrap();
        log.reserve(Timestamp(4_000)).unwrap();
        log.append(&one_row(200, 2)).unwrap();
        drop(log);
        let (mut log, recovery) = Log::open(disk.clone(), small_options()).unwrap();
        assert_eq!((recovery.last, recovery.upper), (Timestamp(200), Timestamp(5_001)));
        // Also when the segment it stands in is gone.
        let mut time = 200;
        while log.compactions() == 0 {
            time += 1;
            log.append(&one_row(time, 1)).unwrap();
            log.maybe_compact(Timestamp(time)).unwrap();
            log.wait_for_compaction().unwrap();
        }
        drop(log);
        let (log, recovery) = Log::open(disk.clone(), small_options()).unwrap();
        assert_eq!((recovery.since, recovery.frames, recovery.upper), (Timestamp(time), 0, Timestamp(5_001)));
        assert_eq!(log.size_bytes().0, crate::header::HEADER_BYTES);
    });
}

#[test]
fn idle_time_costs_few_writes() {
    let disk = SimDisk::new();
    let (mut log, _) = Log::open(Arc::new(disk.clone()), LogOptions::default()).unwrap();
    let mut writes = 0;
    for now in (1_000_000..1_060_000).step_by(10) {
        let before = log.bytes_appended();
        log.ensure_reserved(Timestamp(now), Timestamp(now)).unwrap();
        assert!(log.reserved() >= Timestamp(now));
        writes += u64::from(log.bytes_appended() > before);
    }
    assert!((11..=13).contains(&writes), "{writes} writes in a minute");
}

/// Constant-size churn: every frame replaces rows, so what is live stays the same. It does not compress, so bytes on disk compare with bytes of rows.
#[test]
fn disk_stays_within_about_twice_the_live_data() {
    on_both(|disk| {
        let options = LogOptions { segment_bytes_max: 16 << 10, compact_bytes_min: 32 << 10, compact_memory_bytes_max: 64 << 10, part_bytes_max: 32 << 10, ..LogOptions::default() };
        let (mut log, _) = Log::open(disk.clone(), options).unwrap();
        let mut random = crate::sim_disk::Random(7);
        let mut live = std::collections::VecDeque::new();
        let (mut live_bytes, mut worst) = (0, 0.0);
        for time in 1..=1_500 {
            let mut updates = Vec::new();
            for _ in 0..if time == 1 { 2_000 } else { 20 } {
                let noise: Vec<u8> = (0..12).flat_map(|_| random.next_word().to_le_bytes()).collect();
                let row = Row::pack([Datum::Bytea(noise.into())]);
                live_bytes += row.as_bytes().len() + size_of::<i64>();
                live.push_back(row.clone());
                updates.push((row, 1));
                if time > 1 {
                    let old = live.pop_front().unwrap();
                    live_bytes -= old.as_bytes().len() + size_of::<i64>();
                    updates.push((old, -1));
                }
            }
            log.append(&Frame { timestamp: Timestamp(time), updates: vec![(CollectionId(1), updates)], positions: vec![], dropped: vec![] }).unwrap();
            log.maybe_compact(Timestamp(time)).unwrap();
            log.wait_for_compaction().unwrap();
            let (segments, parts) = log.size_bytes();
            worst = f64::max(worst, (segments + parts) as f64 / live_bytes as f64);
        }
        println!("at most {worst:.2} x live data over {} compactions", log.compactions());
        assert!(log.compactions() > 5 && worst < 2.2, "{worst} x live data over {} compactions", log.compactions());
        let report = log.last_compaction().unwrap();
        assert_eq!((report.rows, report.runs_spilled > 0), (2_000, true));
        // What is counted is what is there.
        let (segments, parts) = log.size_bytes();
        let on_disk: u64 = disk.list().unwrap().iter().filter(|name| name.starts_with("segment") || name.starts_with("part")).map(|name| disk.open(name).unwrap().length().unwrap()).sum();
        assert_eq!(on_disk, segments + parts);
    });
}

#[test]
fn rows_that_cancel_vanish_and_negative_ones_stay() {
    let disk = SimDisk::new();
    let row = |value| Row::pack([Datum::Int8(value)]);
    let (mut log, _) = super::open(&disk).unwrap();
    let updates = (0..400).flat_map(|value| [(row(value), 2), (row(value), if value % 100 == 0 { -3 } else { -2 })]).collect();
    log.append(&Frame { timestamp: Timestamp(1), updates: vec![(CollectionId(1), updates)], positions: vec![], dropped: vec![] }).unwrap();
    log.maybe_compact(Timestamp(1)).unwrap();
    log.wait_for_compaction().unwrap();
    drop(log);
    let (log, _) = super::open(&disk).unwrap();
    let mut found = Vec::new();
    log.replay(&mut |id, time, rows| found.push((id, time, rows))).unwrap();
    assert_eq!(found, [(CollectionId(1), Timestamp(1), [0, 100, 200, 300].map(|value| (row(value), -1)).to_vec())]);
}

#[test]
fn a_frame_that_is_larger_than_a_segment_and_than_memory_is_no_problem() {
    on_both(|disk| {
        let text = "tide ".repeat(100_000);
        let updates = vec![(CollectionId(1), vec![(Row::pack([Datum::Text(&text)]), 1), (Row::empty(), 1)])];
        let frame = Frame { timestamp: Timestamp(1), updates, positions: vec![(CollectionId(1), vec![7; 10_000])], dropped: vec![] };
        let mut model = Model::default();
        model.apply(&frame);
        let (mut log, _) = Log::open(disk.clone(), small_options()).unwrap();
        log.append(&frame).unwrap();
        drop(log);
        for compactions in [1, 0, 0] {
            let (mut log, recovery) = Log::open(disk.clone(), small_options()).unwrap();
            assert_eq!(contents(&log, &recovery).unwrap(), model);
            log.maybe_compact(Timestamp(1)).unwrap();
            log.wait_for_compaction().unwrap();
            assert_eq!(log.compactions(), compactions);
        }
    });
}

#[test]
fn replay_comes_in_bounded_batches() {
    let disk = SimDisk::new();
    let (mut log, _) = super::open(&disk).unwrap();
    let count = 3 * crate::log::REPLAY_ROWS_MAX as i64 / 2;
    let updates = (0..count).map(|value| (Row::pack([Datum::Int8(value)]), 1)).collect();
    log.append(&Frame { timestamp: Timestamp(1), updates: vec![(CollectionId(1), updates)], positions: vec![], dropped: vec![] }).unwrap();
    let lengths = |log: &Log| {
        let mut lengths = Vec::new();
        log.replay(&mut |_, _, rows| lengths.push(rows.len())).unwrap();
        lengths
    };
    assert_eq!(lengths(&log), [8192, 4096]);
    log.maybe_compact(Timestamp(1)).unwrap();
    log.wait_for_compaction().unwrap();
    assert_eq!(log.compactions(), 1);
    assert_eq!(lengths(&log), [8192, 4096]);
}

#[test]
#[should_panic(expected = "a frame of time 5 after one of time 5")]
fn time_does_not_stand_still() {
    let (mut log, _) = super::open(&SimDisk::new()).unwrap();
    log.append(&one_row(5, 1)).unwrap();
    let _ = log.append(&one_row(5, 2));
}

#[test]
fn a_newer_format_is_refused_politely() {
    use crate::header::{FileKind, write_header};
    for (name, kind) in [("manifest-0000000000000001", FileKind::Manifest), ("segment-0000000000000001", FileKind::Segment)] {
        let disk = SimDisk::new();
        drop(super::open(&disk).unwrap());
        let files = disk.files();
        let mut file = disk.create(name).unwrap();
        // Everything behind the header may be different by then.
        file.append(&write_header(kind, 2, [1, 2, 3])).unwrap();
        file.append(b"what nobody knows yet").unwrap();
        drop(file);
        let error = super::open(&disk).map(|_| ()).unwrap_err();
        assert!(matches!(error, StorageError::Format { found: 2, supported: 1 }), "{error:?}");
        assert_eq!(error.to_string(), "the data directory has format 2, and this server reads formats up to 1");
        // And nothing was removed.
        assert_eq!(disk.files().len(), files.len());
    }
}

/// A start goes on after what was reserved, so a server that is killed again and again must reserve little while it is ahead of the system's clock.
#[test]
fn many_kills_in_a_row_do_not_take_the_clock_far_ahead() {
    let disk = SimDisk::new();
    let (now, kills) = (Timestamp(1_000_000), 100);
    let mut last = Timestamp::MIN;
    for _ in 0..=kills {
        let (mut log, recovery) = open(&disk).unwrap();
        let mut clock = crate::Clock::resume(recovery.upper.previous().unwrap_or(Timestamp::MIN));
        for _ in 0..5 {
            let timestamp = clock.tick(now);
            assert!(timestamp > last);
            log.ensure_reserved(timestamp, now).unwrap();
            assert!(timestamp <= log.reserved());
            last = timestamp;
        }
    }
    let ahead = last.0 - now.0;
    assert!(ahead > crate::clock::RESERVATION_MILLIS && ahead < crate::clock::RESERVATION_MILLIS + kills * (crate::clock::RESERVATION_AHEAD_MILLIS + 10), "{ahead} ms ahead");
}

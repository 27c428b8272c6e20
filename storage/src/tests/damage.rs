//! Rot: bytes that change, files that go or shrink, while the server is down. All of it is found, and the message says where.
//!
//! What cannot be found is that the newest segment was cut off at its end: it looks as an append does that a crash cut short.

use super::crash::{History, setting};
use super::{contents, open};
use crate::segment::{Next, SegmentReader};
use crate::sim_disk::Random;
use crate::{SimDisk, StorageError};

/// A disk with all kinds of files, none of them empty.
fn damaged_soon(seed: u64) -> History {
    let mut history = History::new(SimDisk::new(), seed);
    loop {
        history.run(20).unwrap();
        // Opening takes away what a cancelled compaction left.
        let (log, recovery) = open(&history.disk).unwrap();
        history.check(history.disk.event_count(), &log, &recovery).unwrap();
        let names: Vec<String> = history.disk.files().into_iter().map(|(name, _)| name).collect();
        let count = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
        if count("part-") >= 2 && count("segment-") >= 3 && recovery.frames > 5 {
            return history;
        }
    }
}

/// Opens a damaged disk and reads everything.
fn read(disk: &SimDisk) -> Result<super::Model, StorageError> {
    let (log, recovery) = open(disk)?;
    contents(&log, &recovery)
}

fn assert_named(name: &str, context: &str, result: Result<super::Model, StorageError>) -> u64 {
    match result {
        Err(StorageError::Corrupted { file, offset, what }) => {
            assert!(file.ends_with(name) || what.contains(name), "{context}: file {file} at {offset} is named: {what}");
            offset
        }
        other => panic!("{context}: {:?}", other.map(|model| model.last)),
    }
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let seed = setting("STORAGE_SEED", 1);
    let flips = setting("STORAGE_FLIPS", 2_000);
    let mut found_in = std::collections::BTreeMap::<String, u64>::new();
    let mut history = damaged_soon(seed);
    let mut random = Random(seed);
    let mut harmless = 0;
    for flip in 0..flips {
        if flip % 500 == 499 {
            history = damaged_soon(seed + flip);
        }
        let files = history.disk.files();
        let (name, length) = &files[random.below(files.len() as u64) as usize];
        let (offset, mask) = (random.below(*length), 1 + random.below(255) as u8);
        let disk = history.disk.copy();
        disk.flip(name, offset, mask);
        let context = format!("STORAGE_SEED={seed}, flip {flip}: {name} of {length} bytes at {offset} with {mask:02x}");
        let result = read(&disk);
        if let Ok(model) = &result {
            // Nobody reads the parts of a collection that has ended.
            assert!(name.starts_with("part-") && *model == history.workload.model, "{context}");
            harmless += 1;
            continue;
        }
        let named = assert_named(name, &context, result);
        // The place named is where the checksum's extent begins.
        assert!(named <= offset, "{context}: offset {named} is named");
        *found_in.entry(name.split('-').next().unwrap_or_default().to_string()).or_default() += 1;
    }
    println!("STORAGE_SEED={seed} STORAGE_FLIPS={flips}: found in {found_in:?}, {harmless} harmless");
    assert!(harmless < flips / 5 && found_in.len() == 3 && found_in.values().all(|count| *count >= flips / 50), "{found_in:?}");
}

#[test]
fn every_missing_and_every_short_file_is_found() {
    for seed in 1..=6 {
        let history = damaged_soon(seed);
        let files = history.disk.files();
        let newest = files.iter().filter(|(name, _)| name.starts_with("segment-")).map(|(name, _)| name.clone()).max().unwrap();
        for (name, length) in &files {
            let disk = history.disk.copy();
            crate::Disk::remove(&disk, name).unwrap();
            let result = read(&disk);
            let context = format!("seed {seed}, {name} removed");
            if name.starts_with("manifest-") {
                // Which of the files is then called superfluous is a matter of taste; the missing one cannot be known.
                assert!(matches!(result, Err(StorageError::Corrupted { .. })), "{context}");
            } else {
                assert_named(name, &context, result);
            }
            let mut random = Random(seed);
            for cut in [0, 1, 39, random.below(*length), random.below(*length), length - 1].into_iter().filter(|cut| cut < length) {
                let disk = history.disk.copy();
                crate::Disk::open(&disk, name).unwrap().truncate(cut).unwrap();
                let result = read(&disk);
                let context = format!("seed {seed}, {name} cut from {length} to {cut}");
                if *name == newest && cut >= crate::header::HEADER_BYTES {
                    // Then it holds what it held before some append.
                    assert!(result.is_ok_and(|model| model.last <= history.workload.model.last), "{context}");
                } else {
                    assert_named(name, &context, result);
                }
            }
        }
    }
}

/// Where the records of a segment begin.
fn record_offsets(disk: &SimDisk, name: &str, length: u64) -> Vec<u64> {
    let number = crate::header::file_number(crate::header::SEGMENT_PREFIX, name).unwrap();
    let file = || crate::Disk::open(disk, name).unwrap();
    let mut header = [0; 40];
    file().read_at(0, &mut header).unwrap();
    let first_sequence = crate::header::little_endian_u64(&header[24..]);
    let mut reader = SegmentReader::new(name.to_string(), file(), length, number, first_sequence).unwrap();
    let mut offsets = Vec::new();
    while let Next::Record(offset, _) = reader.next().unwrap() {
        offsets.push(offset);
    }
    offsets
}

/// A sector that reads as zeros can be an append that did not finish only if no record begins after it.
#[test]
fn zeroed_sectors_before_the_last_record_are_found() {
    let (mut found, mut followed) = (0, 0);
    for seed in 1..=10 {
        let history = damaged_soon(seed);
        let files = history.disk.files();
        let (newest, newest_bytes) = files.iter().filter(|(name, _)| name.starts_with("segment-")).max().unwrap();
        let records = record_offsets(&history.disk, newest, *newest_bytes);
        let last_record = records.last().copied().unwrap_or_default();
        // The start of a record is lost with the rest of its sector, and records follow.
        for offset in records {
            let sector_end = (offset / 512 + 1) * 512;
            if sector_end <= last_record {
                let disk = history.disk.copy();
                disk.zero(newest, offset, sector_end - offset);
                let named = assert_named(newest, &format!("seed {seed}, from {offset} on"), read(&disk));
                assert_eq!(named, offset);
            }
        }
        for (name, length) in &files {
            let (name, length) = (name.clone(), *length);
            let (log, recovery) = open(&history.disk).unwrap();
            let intact = contents(&log, &recovery).unwrap();
            drop(log);
            for sector in (0..length).step_by(512) {
                let disk = history.disk.copy();
                disk.zero(&name, sector, 512);
                let must_be_found = name.starts_with("segment-") && (name != *newest || sector + 512 <= last_record);
                followed += u64::from(must_be_found && name == *newest);
                match read(&disk) {
                    Err(StorageError::Corrupted { file, .. }) => {
                        assert!(file.ends_with(&name), "seed {seed}, sector {sector} of {name}: {file}");
                        found += 1;
                    }
                    Err(other) => panic!("{other}"),
                    Ok(model) => {
                        assert!(!must_be_found && (model.last < intact.last || model == intact), "seed {seed}, sector {sector} of {name}");
                    }
                }
            }
        }
    }
    assert!(found > 100 && followed > 5, "{found} found, {followed} of them in the newest segment");
}

#[test]
fn messages_say_where() {
    let history = damaged_soon(3);
    let files = history.disk.files();
    let expect = |prefix: &str, offset: u64, expected: &str| {
        let (name, _) = files.iter().find(|(name, _)| name.starts_with(prefix)).unwrap();
        let disk = history.disk.copy();
        disk.flip(name, offset, 1);
        let message = read(&disk).unwrap_err().to_string();
        let start = format!("file \"simulated/{name}\" is corrupted at offset {expected}");
        assert!(message.starts_with(&start), "{message}");
    };
    expect("manifest-", 3, "0: the header's checksum is ");
    expect("manifest-", 45, "40: the body's checksum is ");
    expect("segment-", 8, "0: the header's checksum is ");
    expect("segment-", 41, "40: the header of record ");
    expect("segment-", 70, "40: the checksum of record ");
    expect("part-", 100, "0: the checksum of the block is ");
}

//! The twin of [`crate::FileDisk`]: a disk in memory that can lose what a real one may lose.
//!
//! Every change is an event. [`SimDisk::crash`] gives the disk as it may be found after the power went off behind any of them: what was synced is there, and
//! of the rest as much as the [`Survival`] says. It can also be full, fail with an I/O error, write short, and rot.
//!
//! It is deterministic: the same calls and seeds give the same disks.

use crate::disk::{Disk, DiskFile, LockError, SECTOR_BYTES};
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What of the unsynced changes is found after a crash. Each case is one a real file system may leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// What was synced, and nothing else.
    None,
    /// Everything.
    All,
    /// Each sector, length and directory entry by a coin.
    Random(u64),
    /// Everything, but each file's last unsynced write ends at some byte.
    TornLastWrite(u64),
    /// All bytes, but no directory entry that was not synced.
    NoEntries,
    /// Entries and lengths, but of the bytes only those that were synced: the rest reads as zeros.
    NoBytes,
}

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Open,
    Append,
    Read,
    Truncate,
    Sync,
    Rename,
    Remove,
    SyncDirectory,
}

#[derive(Clone, Debug)]
enum Event {
    Create { name: String },
    Append { file: usize, bytes: Arc<[u8]> },
    Truncate { file: usize, length: usize },
    Sync { file: usize },
    /// A sync that failed: what it should have written will never be.
    SyncFailed { file: usize },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncDirectory,
}

#[derive(Clone, Debug)]
enum Write {
    Bytes { offset: usize, bytes: Arc<[u8]> },
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct Contents {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, usize),
    Gone(String),
}

/// Files by number, and their names as programs see them and as a crash would leave them.
#[derive(Clone, Debug, Default)]
struct World {
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
}

fn rename(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Set(name, file) => {
            names.insert(name.clone(), *file);
        }
        NameChange::Gone(name) => {
            names.remove(name);
        }
    }
}

impl World {
    fn change_name(&mut self, change: NameChange) {
        rename(&mut self.names, &change);
        self.pending_names.push(change);
    }
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { name } => {
                self.files.push(Contents::default());
                self.change_name(NameChange::Set(name.clone(), self.files.len() - 1));
            }
            Event::Append { file, bytes } => {
                let contents = &mut self.files[*file];
                contents.pending.push(Write::Bytes { offset: contents.current.len(), bytes: bytes.clone() });
                contents.current.extend_from_slice(bytes);
            }
            Event::Truncate { file, length } => {
                let contents = &mut self.files[*file];
                contents.current.resize(*length, 0);
                contents.pending.push(Write::Length(*length));
            }
            Event::Sync { file } => {
                let contents = &mut self.files[*file];
                for write in contents.pending.drain(..) {
                    match write {
                        Write::Bytes { offset, bytes } => put(&mut contents.durable, offset, &bytes),
                        Write::Length(length) => contents.durable.resize(length, 0),
                    }
                }
            }
            Event::SyncFailed { file } => self.files[*file].pending.clear(),
            Event::Rename { from, to } => {
                if let Some(&file) = self.names.get(from) {
                    self.change_name(NameChange::Set(to.clone(), file));
                    self.change_name(NameChange::Gone(from.clone()));
                }
            }
            Event::Remove { name } => self.change_name(NameChange::Gone(name.clone())),
            Event::SyncDirectory => {
                for change in self.pending_names.drain(..) {
                    rename(&mut self.durable_names, &change);
                }
            }
        }
    }
    /// What is found after a crash, all of it durable.
    fn survivors(mut self, survival: Survival) -> World {
        let mut random = Random(match survival {
            Survival::Random(seed) | Survival::TornLastWrite(seed) => seed,
            _ => 0,
        });
        let mut names = self.durable_names;
        for change in &self.pending_names {
            let survives = match survival {
                Survival::None | Survival::NoEntries => false,
                Survival::All | Survival::TornLastWrite(_) | Survival::NoBytes => true,
                Survival::Random(_) => random.coin(),
            };
            if survives {
                rename(&mut names, change);
            }
        }
        let mut world = World::default();
        for (name, file) in names {
            let contents = std::mem::take(&mut self.files[file]).survivor(survival, &mut random);
            world.durable_names.insert(name, world.files.len());
            // Two names of one file exist only between the two halves of a rename: the second is a copy here, which nobody can tell.
            self.files[file].durable.clone_from(&contents);
            world.files.push(Contents { current: contents.clone(), durable: contents, pending: Vec::new() });
        }
        world.names = world.durable_names.clone();
        world
    }
}

/// Overwrites `contents` from `offset`, filling a hole before it with zeros.
fn put(contents: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[offset..end].copy_from_slice(bytes);
}

impl Contents {
    fn survivor(self, survival: Survival, random: &mut Random) -> Vec<u8> {
        let mut contents = self.durable;
        let last = self.pending.len().saturating_sub(1);
        for (index, write) in self.pending.iter().enumerate() {
            match (survival, write) {
                (Survival::None, _) => {}
                (Survival::NoBytes, Write::Bytes { offset, bytes }) => contents.resize(contents.len().max(offset + bytes.len()), 0),
                (Survival::Random(_), Write::Bytes { offset, bytes }) => put_some_sectors(&mut contents, *offset, bytes, random),
                (Survival::TornLastWrite(_), Write::Bytes { offset, bytes }) if index == last => {
                    let length = random.below(bytes.len() as u64 + 1) as usize;
                    put(&mut contents, *offset, &bytes[..length]);
                }
                (_, Write::Bytes { offset, bytes }) => put(&mut contents, *offset, bytes),
                (Survival::Random(_), Write::Length(length)) => {
                    if random.coin() {
                        contents.resize(*length, 0)
                    }
                }
                (_, Write::Length(length)) => contents.resize(*length, 0),
            }
        }
        contents
    }
}

/// Writes each sector of `bytes` or leaves it, and then perhaps makes the file as long as if all had been written.
fn put_some_sectors(contents: &mut Vec<u8>, offset: usize, bytes: &[u8], random: &mut Random) {
    let sector = SECTOR_BYTES as usize;
    let mut start = 0;
    while start < bytes.len() {
        let end = bytes.len().min(start + sector - (offset + start) % sector);
        if random.coin() {
            put(contents, offset + start, &bytes[start..end]);
        }
        start = end;
    }
    if random.coin() {
        let length = offset + random.below(bytes.len() as u64 + 1) as usize;
        contents.resize(contents.len().max(length), 0);
    }
}

/// SplitMix64: a small generator that is the same everywhere and for ever.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next_word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_word() % bound
    }
    pub fn coin(&mut self) -> bool {
        self.next_word() & 1 == 1
    }
}

struct Fault {
    operation: Operation,
    /// How many operations of the kind still succeed.
    after: u64,
    kind: io::ErrorKind,
}

#[derive(Default)]
struct State {
    /// The world before the first event.
    base: World,
    world: World,
    events: Vec<Event>,
    faults: Vec<Fault>,
    capacity_bytes: Option<u64>,
    lying: bool,
}

impl State {
    fn happen(&mut self, event: Event) {
        self.world.apply(&event);
        self.events.push(event);
    }
    fn fault(&mut self, operation: Operation) -> io::Result<()> {
        let mut failed = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation || failed.is_some() {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            failed = Some(fault.kind);
            false
        });
        failed.map_or(Ok(()), |kind| Err(io::Error::from(kind)))
    }
    fn used_bytes(&self) -> u64 {
        self.world.names.values().map(|&file| self.world.files[file].current.len() as u64).sum()
    }
    fn file(&self, name: &str) -> io::Result<usize> {
        self.world.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    locked: Arc<AtomicBool>,
}

impl SimDisk {
    pub fn new() -> SimDisk {
        SimDisk::default()
    }
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere has not left a half-made change here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// How many events have happened; `crash` takes numbers up to this one.
    pub fn event_count(&self) -> usize {
        self.state().events.len()
    }
    /// The numbers of events right before and right after each sync of a file or of the directory.
    pub fn sync_points(&self) -> Vec<usize> {
        let state = self.state();
        let mut points: Vec<usize> = Vec::new();
        for (index, event) in state.events.iter().enumerate() {
            if matches!(event, Event::Sync { .. } | Event::SyncDirectory) {
                points.extend([index, index + 1]);
            }
        }
        points.dedup();
        points
    }
    /// Another disk: this one as it may be found if the power goes off when `event_count` events have happened.
    pub fn crash(&self, event_count: usize, survival: Survival) -> SimDisk {
        let state = self.state();
        let mut world = state.base.clone();
        state.events.iter().take(event_count).for_each(|event| world.apply(event));
        SimDisk::of(world.survivors(survival))
    }
    /// Another disk: this one as the next process finds it if the program was killed when `event_count` events had happened. Nothing is lost yet, but what
    /// was not synced may still be by a crash of that disk.
    pub fn kill(&self, event_count: usize) -> SimDisk {
        let state = self.state();
        let mut world = state.base.clone();
        state.events.iter().take(event_count).for_each(|event| world.apply(event));
        SimDisk::of(world)
    }
    /// Another disk with the same files, all of them durable.
    pub fn copy(&self) -> SimDisk {
        SimDisk::of(self.state().world.clone().survivors(Survival::All))
    }
    fn of(world: World) -> SimDisk {
        let state = State { base: world.clone(), world, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)), locked: Arc::default() }
    }
    /// From now on there is room for this many bytes: what goes beyond is written short and fails. `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }
    /// Once `after` more operations of the kind have succeeded, one fails with `kind`. A failing append has written half of its bytes, and what a
    /// failing sync should have made durable never will be.
    pub fn inject(&self, operation: Operation, after: u64, kind: io::ErrorKind) {
        self.state().faults.push(Fault { operation, after, kind });
    }
    /// Whether all that was injected has happened.
    pub fn faults_are_used_up(&self) -> bool {
        self.state().faults.is_empty()
    }
    /// From now on no sync does anything, though all say they did: a log that does not sync, to try the tests on.
    pub fn lie_about_syncs(&self) {
        self.state().lying = true;
    }
    /// Names and lengths of the files.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state();
        state.world.names.iter().map(|(name, &file)| (name.clone(), state.world.files[file].current.len() as u64)).collect()
    }
    /// Zeroes bytes, for good, as far as there are any.
    pub fn zero(&self, name: &str, offset: u64, length: u64) {
        let mut state = self.state();
        let file = state.world.names[name];
        let Contents { current, durable, .. } = &mut state.world.files[file];
        for bytes in [current, durable] {
            bytes.iter_mut().skip(offset as usize).take(length as usize).for_each(|byte| *byte = 0);
        }
    }
    /// Rots one byte, for good. Panics if there is none.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) {
        let mut state = self.state();
        let file = state.world.names[name];
        state.world.files[file].current[offset as usize] ^= mask;
        state.world.files[file].durable[offset as usize] ^= mask;
    }
}

impl Disk for SimDisk {
    fn name(&self) -> String {
        "simulated".to_string()
    }
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        struct Guard(Arc<AtomicBool>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(LockError::Held { pid: std::process::id().to_string() });
        }
        Ok(Box::new(Guard(self.locked.clone())))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().world.names.keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.fault(Operation::Create)?;
        let file = match state.file(name) {
            Ok(file) => {
                state.happen(Event::Truncate { file, length: 0 });
                file
            }
            Err(_) => {
                state.happen(Event::Create { name: name.to_string() });
                state.world.files.len() - 1
            }
        };
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.fault(Operation::Open)?;
        let file = state.file(name)?;
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.fault(Operation::Rename)?;
        state.file(from)?;
        state.happen(Event::Rename { from: from.to_string(), to: to.to_string() });
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.fault(Operation::Remove)?;
        state.file(name)?;
        state.happen(Event::Remove { name: name.to_string() });
        Ok(())
    }
    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.fault(Operation::SyncDirectory)?;
        if !state.lying {
            state.happen(Event::SyncDirectory);
        }
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().world.files[self.file].current.len() as u64)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let mut failure = state.fault(Operation::Append).err();
        let mut length = if failure.is_some() { bytes.len() / 2 } else { bytes.len() };
        if let Some(capacity_bytes) = state.capacity_bytes {
            let free = capacity_bytes.saturating_sub(state.used_bytes());
            if length as u64 > free {
                length = free as usize;
                failure = Some(io::Error::from(io::ErrorKind::StorageFull));
            }
        }
        if length > 0 {
            state.happen(Event::Append { file: self.file, bytes: Arc::from(&bytes[..length]) });
        }
        failure.map_or(Ok(()), Err)
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.fault(Operation::Read)?;
        let contents = &state.world.files[self.file].current;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match contents.get(start..start.saturating_add(buffer.len())) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
        Ok(())
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.fault(Operation::Truncate)?;
        state.happen(Event::Truncate { file: self.file, length: length as usize });
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        if let Err(error) = state.fault(Operation::Sync) {
            state.happen(Event::SyncFailed { file: self.file });
            return Err(error);
        }
        if !state.lying {
            state.happen(Event::Sync { file: self.file });
        }
        Ok(())
    }
}

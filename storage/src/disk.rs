//! The few verbs the log needs of a disk, and the disk that is real files.
//!
//! # What a [`Disk`] promises
//! * What was written before a successful [`DiskFile::sync`] is there after a crash, whatever happens to the rest.
//! * The names made, changed and taken away before a successful [`Disk::sync_directory`] are so after a crash. Syncing a file does not sync its name.
//! * Everything else may or may not be there after a crash, in any combination, except that a sector of [`SECTOR_BYTES`] aligned bytes is written whole or
//!   not at all; a sector that was never written reads as zeros.
//!
//! # What it does not promise
//! That a failed `sync` can be repeated: the kernel may have dropped what it could not write, and say that all is well the second time.

use std::any::Any;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The unit a disk writes whole or not at all. Devices of 4096 bytes keep the promise of 512 too.
pub const SECTOR_BYTES: u64 = 512;

/// The file that keeps a second server out of a directory.
const LOCK_FILE: &str = "lock";

/// Why [`Disk::lock`] failed.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; `pid` is what that one wrote about itself.
    Held { pid: String },
    Io(io::Error),
}

/// One flat directory of files.
pub trait Disk: Send + Sync {
    /// What to call the directory in messages.
    fn name(&self) -> String;
    /// Keeps everybody else out until the result is dropped.
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError>;
    /// The names of the files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// An empty file of that name, in place of the one that was there.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Replaces the file that has the name `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn sync_directory(&self) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    fn length(&self) -> io::Result<u64>;
    /// Writes at the end. After an error any part of `bytes` may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buffer`, or fails with `UnexpectedEof`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Makes contents and length durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
}

impl FileDisk {
    /// Makes the directory if it is not there.
    pub fn open(directory: impl AsRef<Path>) -> io::Result<FileDisk> {
        let directory = directory.as_ref().to_path_buf();
        if !directory.is_dir() {
            std::fs::create_dir_all(&directory)?;
            // A directory whose own name is lost takes everything in it along.
            if let Some(parent) = directory.canonicalize()?.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(FileDisk { directory })
    }
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Disk for FileDisk {
    fn name(&self) -> String {
        self.directory.display().to_string()
    }
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.path(LOCK_FILE)).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The message is as good as what the other one wrote.
                let _ = file.read_to_string(&mut pid);
                let pid = pid.trim();
                return Err(LockError::Held { pid: if pid.is_empty() { "unknown".to_string() } else { pid.to_string() } });
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // The operating system frees the lock when the process ends, however it ends. The pid is for the reader of the message alone, and a disk that is too
        // full for it must not keep the server from starting.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Box::new(file))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        Ok(names)
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        Ok(Box::new(RealFile { file, length: 0 }))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().read(true).write(true).open(self.path(name))?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Box::new(RealFile { file, length }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }
    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

struct RealFile {
    file: File,
    /// Where the next append goes. An append that failed may have left bytes behind it, and `truncate` takes them away.
    length: u64,
}

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.length = length;
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

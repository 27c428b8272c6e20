//! A folder per component, gone when its owner is gone.
//!
//! Folders are named after the process that made them: statics are never dropped and killed processes clean nothing up, so the first folder
//! of a process first removes what dead test processes left. `TIDEMARK_TEST_KEEP=1` keeps every folder, for looking at logs.

use std::env;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::installed::User;

/// A folder which is removed with everything in it when this value is dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes a new, empty folder; `purpose` is only there for the person who looks.
    pub fn new(purpose: &str) -> Result<Self> {
        static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);
        static SWEEP: Once = Once::new();

        let root = env::temp_dir().join(format!(
            "tidemark-tests-{}",
            rustix::process::geteuid().as_raw()
        ));
        fs::create_dir_all(&root)
            .with_context(|| format!("could not create {}", root.display()))?;
        SWEEP.call_once(|| remove_leftovers(&root));
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("{}-{purpose}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("could not create {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside, as text: paths below are made of our own names.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Gives the folder itself (not what is in it) to the user as whom its component runs.
    pub(super) fn give_to(&self, user: Option<User>) -> Result<()> {
        let Some(user) = user else { return Ok(()) };
        chown(&self.path, Some(user.user_id), Some(user.group_id))
            .with_context(|| format!("could not change the owner of {}", self.path.display()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !keeps_directories() {
            // A folder that cannot be removed is swept by a later test process.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn keeps_directories() -> bool {
    env::var_os("TIDEMARK_TEST_KEEP").is_some_and(|value| !value.is_empty() && value != "0")
}

fn remove_leftovers(root: &Path) {
    if keeps_directories() {
        return;
    }
    let Ok(entries) = root.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.split('-').next())
            .and_then(|number| number.parse::<u32>().ok());
        // A folder with our own number was left by an older process which had the same one: we have made none yet.
        let is_leftover = owner.is_some_and(|owner| {
            owner == std::process::id() || !Path::new("/proc").join(owner.to_string()).exists()
        });
        if is_leftover {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

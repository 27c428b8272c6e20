//! Where things were installed, and the one sentence to say when they were not.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

/// What every message about a missing component ends with.
pub(super) const HOW_TO_INSTALL: &str = "run scripts/fetch-components";

/// Where Debian keeps programs which an ordinary user's PATH does not name.
const ADMINISTRATOR_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The folder which `scripts/fetch-components` fills.
pub fn components_directory() -> Result<PathBuf> {
    let cache = match env::var_os("TIDEMARK_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither TIDEMARK_CACHE nor HOME is set")?)
                .join(".cache/tidemark")
        }
    };
    Ok(cache.join("components"))
}

/// A folder of fetched files; it is complete when it has the stamp.
pub(super) fn fetched(name: &str) -> Result<PathBuf> {
    let folder = components_directory()?.join(name);
    if folder.join(".complete").is_file() {
        return Ok(folder);
    }
    Err(anyhow!(
        "{} is missing or incomplete: {HOW_TO_INSTALL}",
        folder.display()
    ))
}

/// A program on PATH, or among the administrator's programs.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ADMINISTRATOR_DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| anyhow!("the program {name} is not installed: {HOW_TO_INSTALL}"))
}

/// A program of the newest Postgres server: Debian keeps one folder per major version, others put them on PATH.
pub(super) fn postgres_program(name: &str) -> Result<PathBuf> {
    let mut candidates: Vec<(u32, PathBuf)> = Vec::new();
    if let Ok(versions) = Path::new("/usr/lib/postgresql").read_dir() {
        for version in versions.flatten() {
            let Some(major) = version
                .file_name()
                .to_str()
                .and_then(|text| text.parse().ok())
            else {
                continue;
            };
            candidates.push((major, version.path().join("bin").join(name)));
        }
    }
    candidates.sort();
    candidates
        .into_iter()
        .map(|(_, candidate)| candidate)
        .rfind(|candidate| candidate.is_file())
        .map_or_else(|| program(name), Ok)
}

/// A user of this machine, as the password file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub user_id: u32,
    pub group_id: u32,
}

/// The user as whom a server runs that refuses to run as root; `None` when this process is not root and it simply runs as this user.
pub(super) fn user_instead_of_root(name: &str) -> Result<Option<User>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwords = std::fs::read_to_string("/etc/passwd").context("could not read /etc/passwd")?;
    user_named(&passwords, name)
        .map(Some)
        .ok_or_else(|| anyhow!("this machine has no user {name}: {HOW_TO_INSTALL}"))
}

fn user_named(passwords: &str, name: &str) -> Option<User> {
    passwords.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_asked_for = fields.next()? == name;
        let _password = fields.next()?;
        let user_id = fields.next()?.parse().ok()?;
        let group_id = fields.next()?.parse().ok()?;
        is_asked_for.then_some(User { user_id, group_id })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwords = "root:x:0:0:root:/root:/bin/bash\nbroken\npostgres2:x:1:2::/:/bin/sh\npostgres:x:105:112::/:/bin/sh\n";
        assert_eq!(
            user_named(passwords, "postgres"),
            Some(User {
                user_id: 105,
                group_id: 112
            })
        );
        assert_eq!(user_named(passwords, "post"), None);
    }

    #[test]
    fn a_missing_program_names_the_script() {
        let error = program("no-such-program-anywhere").unwrap_err().to_string();
        assert_eq!(
            error,
            "the program no-such-program-anywhere is not installed: run scripts/fetch-components"
        );
    }
}

//! The transaction of a session: one moment for its reads, its writes until they are made, its settings until they last.
//!
//! Reads of a block see one timestamp. Writes wait in memory and become one frame at COMMIT. Definitions wait too: [`Definitions`] holds the catalog as the
//! transaction sees it, and COMMIT asks the coordinator for all of it at once.
//!
//! A transaction that wrote is serializable: what it decided on is the state its frame meets. Tables it writes to are locked, and a table it read that
//! somebody else has written to since makes COMMIT fail with 40001.

use super::locks::TableGuard;
use super::settings::SavedSettings;
use super::writes::Writes;
use crate::Error;
use crate::execution::TransactionStatus;
use crate::shared::ReadAt;
use catalog::{Catalog, Change};
use repr::{CollectionId, SqlTimestampTz};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Savepoints a transaction keeps.
pub const SAVEPOINTS_MAX: usize = 1000;

/// Changes of the catalog a transaction wants, and the catalog they lead to.
#[derive(Clone)]
pub struct Definitions {
    /// The version of the catalog they were planned against.
    pub base_version: u64,
    pub changes: Vec<Change>,
    pub catalog: Arc<Catalog>,
}

pub struct Transaction {
    /// BEGIN was said.
    pub explicit: bool,
    /// A statement failed: only its end is accepted.
    pub failed: bool,
    /// What `now()` says.
    pub now: SqlTimestampTz,
    /// The moment of all reads, once there was one in a block.
    pub read: Option<ReadAt>,
    pub writes: Writes,
    pub locks: BTreeMap<CollectionId, TableGuard>,
    /// Tables whose contents went into answers, themselves or through views.
    pub tables_read: BTreeSet<CollectionId>,
    pub definitions: Option<Arc<Definitions>>,
    before: SavedSettings,
    savepoints: Vec<Savepoint>,
}

struct Savepoint {
    name: String,
    writes: Writes,
    definitions: Option<Arc<Definitions>>,
    settings: SavedSettings,
}

impl Transaction {
    pub fn begin(explicit: bool, now: SqlTimestampTz, before: SavedSettings) -> Transaction {
        Transaction {
            explicit,
            failed: false,
            now,
            read: None,
            writes: Writes::default(),
            locks: BTreeMap::new(),
            tables_read: BTreeSet::new(),
            definitions: None,
            before,
            savepoints: Vec::new(),
        }
    }

    pub fn status(&self) -> TransactionStatus {
        match (self.explicit, self.failed) {
            (true, true) => TransactionStatus::Failed,
            (true, false) => TransactionStatus::InBlock,
            (false, _) => TransactionStatus::Idle,
        }
    }

    /// The settings as they were before it.
    pub fn settings_before(&self) -> SavedSettings {
        self.before.clone()
    }

    /// Nothing was read or written yet.
    pub fn is_fresh(&self) -> bool {
        self.read.is_none() && !self.has_changes()
    }
    pub fn has_changes(&self) -> bool {
        !self.writes.is_empty() || self.definitions.is_some()
    }

    pub fn savepoint(&mut self, name: String, settings: SavedSettings) -> Result<(), Error> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(Error::new("54000", format!("a transaction has at most {SAVEPOINTS_MAX} savepoints")));
        }
        self.savepoints.push(Savepoint { name, writes: self.writes.clone(), definitions: self.definitions.clone(), settings });
        Ok(())
    }

    fn position_of(&self, name: &str) -> Result<usize, Error> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| Error::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    pub fn release(&mut self, name: &str) -> Result<(), Error> {
        let position = self.position_of(name)?;
        self.savepoints.truncate(position);
        Ok(())
    }

    /// Returns to a savepoint, which stays. Locks are kept, as the table may have been read under them.
    pub fn rollback_to(&mut self, name: &str) -> Result<SavedSettings, Error> {
        let position = self.position_of(name)?;
        self.savepoints.truncate(position + 1);
        let Some(savepoint) = self.savepoints.last() else { return Err(Error::internal("a savepoint went missing")) };
        self.writes = savepoint.writes.clone();
        self.definitions = savepoint.definitions.clone();
        self.failed = false;
        Ok(savepoint.settings.clone())
    }
}

/// 25P02: what a statement is told in a transaction that failed.
pub fn in_failed_transaction() -> Error {
    Error::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::settings::Settings;

    #[test]
    fn savepoints_nest_and_shadow() {
        let settings = Settings::start(&[], "tidemark").expect("defaults");
        let mut transaction = Transaction::begin(true, SqlTimestampTz(0), settings.save());
        let code = |result: Result<(), Error>| result.map_err(|error| error.sqlstate().to_string());
        for name in ["a", "b", "a"] {
            assert_eq!(code(transaction.savepoint(name.to_string(), settings.save())), Ok(()));
        }
        transaction.failed = true;
        assert!(transaction.rollback_to("b").is_ok());
        assert_eq!(transaction.status(), TransactionStatus::InBlock);
        assert_eq!(code(transaction.release("a")), Ok(()));
        assert_eq!(code(transaction.release("b")), Err("3B001".to_string()));
    }
}

//! The beginning and the end of transactions.

use super::MutexExt;
use super::locks::TableGuard;
use super::transaction::Transaction;
use super::{Session, wall_clock};
use crate::coordinator::Request;
use crate::{Error, Shared};
use repr::{CollectionId, Timestamp};
use sql::parse::TransactionMode;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

fn could_not_serialize() -> Error {
    Error::new("40001", "could not serialize access due to read/write dependencies among transactions")
        .with_detail("A table the transaction has read was changed by another one.")
        .with_hint("The transaction might succeed if retried.")
}

impl Session {
    /// The transaction a statement runs in: the open one, or a new implicit one.
    pub(super) fn enter_transaction(&mut self) -> &mut Transaction {
        if self.transaction.is_none() {
            // A COMMIT that was cancelled while it waited has left what was local to its transaction.
            self.settings.end_transaction();
            self.settings.begin_transaction();
        }
        let settings = &mut self.settings;
        self.transaction.get_or_insert_with(|| {
            let now = wall_clock();
            settings.set_now(Some(now));
            Transaction::begin(false, now, settings.save())
        })
    }

    pub(super) fn begin(&mut self, modes: &[TransactionMode]) -> Result<(), Error> {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.explicit) {
            self.warning("25001", "there is already a transaction in progress");
        }
        self.enter_transaction().explicit = true;
        self.set_modes(modes, true)
    }

    /// SET TRANSACTION and the modes of BEGIN (`local`), or the defaults of the session.
    pub(super) fn set_modes(&mut self, modes: &[TransactionMode], local: bool) -> Result<(), Error> {
        let on = |truth: bool| if truth { "on" } else { "off" }.to_string();
        for mode in modes {
            let (name, value) = match mode {
                TransactionMode::Isolation(level) => ("isolation", level.clone()),
                TransactionMode::ReadOnly(read_only) => ("read_only", on(*read_only)),
                TransactionMode::Deferrable(deferrable) => ("deferrable", on(*deferrable)),
            };
            if local && name == "isolation" && self.transaction.as_ref().is_some_and(|transaction| transaction.read.is_some()) {
                return Err(Error::new("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query"));
            }
            let prefix = if local { "transaction" } else { "default_transaction" };
            self.settings.set(&format!("{prefix}_{name}"), Some(&[value]), local)?;
        }
        Ok(())
    }

    /// Ends the transaction without its changes.
    pub(super) fn roll_back(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.settings.restore(transaction.settings_before());
        }
        self.ended();
    }

    fn ended(&mut self) {
        self.settings.end_transaction();
        self.settings.set_now(None);
        self.copied.lock_anyway().clear();
        self.portals.retain(|_, portal| portal.is_held());
    }

    /// Makes the transaction's changes, durable and visible, and ends it. On an error nothing was changed, unless the error says that it is not known.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        self.absorb_copied();
        let Some(mut transaction) = self.transaction.take() else { return Ok(()) };
        if !transaction.has_changes() {
            drop(transaction);
            self.ended();
            return Ok(());
        }
        let before = transaction.settings_before();
        let result = match self.lock_tables_read(&mut transaction).await {
            Ok(()) => make_durable(self.shared.clone(), transaction).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.settings.restore(before);
        }
        self.ended();
        result
    }

    /// What the transaction decided on must still hold when its changes are made.
    async fn lock_tables_read(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let Some(timestamp) = transaction.read.as_ref().map(|read| read.timestamp) else { return Ok(()) };
        let catalog = self.shared.catalog();
        for id in std::mem::take(&mut transaction.tables_read) {
            if transaction.locks.contains_key(&id) {
                continue;
            }
            let name = catalog.get(id).map_or_else(String::new, |entry| entry.name.clone());
            let guard = self.shared.table_locks.lock(id, &name, self.backend_pid, self.settings.lock_timeout()).await?;
            if guard.last_write() > timestamp {
                return Err(could_not_serialize());
            }
            transaction.locks.insert(id, guard);
        }
        Ok(())
    }

    /// Locks tables, in the order of their ids, until the transaction ends. `decides`: the statement's result depends on what they hold, which
    /// must be what the transaction's moment shows.
    pub(super) async fn lock_tables(&mut self, tables: impl IntoIterator<Item = CollectionId>, decides: bool) -> Result<(), Error> {
        let catalog = self.catalog();
        let timeout = self.settings.lock_timeout();
        for id in tables {
            let read_timestamp = match &self.transaction {
                Some(transaction) if transaction.locks.contains_key(&id) => continue,
                Some(transaction) => transaction.read.as_ref().map(|read| read.timestamp),
                None => return Err(Error::internal("a table is locked outside of a transaction")),
            };
            let name = catalog.get(id).map_or_else(String::new, |entry| entry.name.clone());
            let guard = self.shared.table_locks.lock(id, &name, self.backend_pid, timeout).await?;
            // It may have been dropped while this waited.
            let is_created = self.transaction.as_ref().and_then(|transaction| transaction.definitions.as_ref()).is_some_and(|definitions| definitions.catalog.get(id).is_some());
            if !is_created && self.shared.catalog().get(id).is_none() {
                return Err(Error::new("42P01", format!("relation \"{name}\" does not exist")).with_detail("The table was dropped while this session waited to write to it."));
            }
            if decides && read_timestamp.is_some_and(|read| guard.last_write() > read) {
                return Err(could_not_serialize());
            }
            if let Some(transaction) = &mut self.transaction {
                transaction.locks.insert(id, guard);
            }
        }
        Ok(())
    }
}

/// Hands a transaction's changes to the coordinator and keeps its locks until they can be read, also when nobody waits for it any more.
async fn make_durable(shared: Arc<Shared>, transaction: Transaction) -> Result<(), Error> {
    let Transaction { writes, definitions, locks, .. } = transaction;
    let updates = writes.updates();
    let task = tokio::spawn(async move {
        let (answer, receiver) = oneshot::channel();
        let written: Vec<CollectionId> = updates.iter().map(|(id, _)| *id).collect();
        let request = match &definitions {
            Some(definitions) => {
                Request::Define { catalog_version: definitions.base_version, changes: definitions.changes.clone(), initial: updates, answer }
            }
            None if updates.is_empty() => return Ok(()),
            None => Request::Write { updates, answer },
        };
        shared.request(request).await?;
        let timestamp = receiver.await.map_err(|_| unknown_outcome())??;
        settle(&shared, &written, timestamp, locks).await;
        Ok(())
    });
    task.await.map_err(|_| unknown_outcome())?
}

/// Waits until what was written can be read, then gives the locks back.
async fn settle(shared: &Arc<Shared>, written: &[CollectionId], timestamp: Timestamp, mut locks: BTreeMap<CollectionId, TableGuard>) {
    // A table that is gone by now needs no lock.
    let _ = shared.wait_until_readable(written, timestamp).await;
    for id in written {
        if let Some(guard) = locks.get_mut(id) {
            guard.set_last_write(timestamp);
        }
    }
}

/// The server stopped between the request and its answer.
fn unknown_outcome() -> Error {
    Error::fatal("57P01", "terminating connection due to administrator command")
        .with_detail("It is not known whether the transaction was committed.")
        .with_hint("Look after the server has started again: it was committed whole or not at all.")
}

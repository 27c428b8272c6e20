//! Write locks of tables: who changes a table decides on its newest state, so there is one at a time.
//!
//! A lock is held until what was written under it can be read. Waiting ends with 40P01 as soon as it would never end, and with 55P03 after `lock_timeout`.

use crate::Error;
use repr::{CollectionId, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// Who holds or waits: a session, by its process number.
pub type Owner = i32;

#[derive(Default)]
pub struct TableLocks {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tables: HashMap<CollectionId, Table>,
    waiting: HashMap<Owner, CollectionId>,
}

struct Table {
    /// The timestamp of the table's last write under a lock.
    lock: Arc<tokio::sync::Mutex<Timestamp>>,
    holder: Option<Owner>,
}

impl Default for Table {
    fn default() -> Table {
        Table { lock: Arc::new(tokio::sync::Mutex::new(Timestamp::MIN)), holder: None }
    }
}

/// A held lock; dropping it gives it back.
pub struct TableGuard {
    locks: Arc<TableLocks>,
    id: CollectionId,
    last_write: OwnedMutexGuard<Timestamp>,
}

/// Ends a wait however it ends.
struct Waiting<'a> {
    locks: &'a TableLocks,
    owner: Owner,
}

impl TableLocks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the lock of a table. `name` is for the error.
    pub async fn lock(self: &Arc<TableLocks>, id: CollectionId, name: &str, owner: Owner, timeout: Option<Duration>) -> Result<TableGuard, Error> {
        let lock = self.state().tables.entry(id).or_default().lock.clone();
        let last_write = match lock.clone().try_lock_owned() {
            Ok(guard) => guard,
            Err(_) => {
                let _waiting = self.wait(id, name, owner)?;
                match timeout {
                    None => lock.lock_owned().await,
                    Some(timeout) => tokio::time::timeout(timeout, lock.lock_owned())
                        .await
                        .map_err(|_| Error::new("55P03", "canceling statement due to lock timeout").with_detail(format!("Another session is writing to table \"{name}\".")))?,
                }
            }
        };
        if let Some(table) = self.state().tables.get_mut(&id) {
            table.holder = Some(owner);
        }
        Ok(TableGuard { locks: self.clone(), id, last_write })
    }

    /// Notes that `owner` waits, unless it would wait for itself.
    fn wait(&self, id: CollectionId, name: &str, owner: Owner) -> Result<Waiting<'_>, Error> {
        let mut state = self.state();
        let mut table = id;
        // Each step goes to another session that waits, and there are no more of them than this.
        for _ in 0..=state.waiting.len() {
            let Some(holder) = state.tables.get(&table).and_then(|table| table.holder) else { break };
            if holder == owner {
                return Err(Error::new("40P01", "deadlock detected")
                    .with_detail(format!("The session waits for table \"{name}\", whose writer waits for a table this session has written to."))
                    .with_hint("Try the transaction again; write to tables in the same order in all transactions."));
            }
            let Some(next) = state.waiting.get(&holder) else { break };
            table = *next;
        }
        state.waiting.insert(owner, id);
        Ok(Waiting { locks: self, owner })
    }

    /// The table is gone: nobody will ask for its lock again.
    pub fn forget(&self, id: CollectionId) {
        self.state().tables.remove(&id);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.state().waiting.remove(&self.owner);
    }
}

impl TableGuard {
    /// When the table was last written to, as far as this process knows.
    pub fn last_write(&self) -> Timestamp {
        *self.last_write
    }
    pub fn set_last_write(&mut self, timestamp: Timestamp) {
        *self.last_write = timestamp;
    }
}

impl Drop for TableGuard {
    fn drop(&mut self) {
        if let Some(table) = self.locks.state().tables.get_mut(&self.id) {
            table.holder = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: CollectionId = CollectionId(1 << 20);
    const B: CollectionId = CollectionId((1 << 20) + 1);

    #[tokio::test]
    async fn a_cycle_of_waits_is_refused_and_a_queue_is_not() {
        let locks = Arc::new(TableLocks::default());
        let first = locks.lock(A, "a", 1, None).await.expect("free");
        let second = locks.lock(B, "b", 2, None).await.expect("free");
        let mut waiter = {
            let locks = locks.clone();
            tokio::spawn(async move { locks.lock(B, "b", 1, None).await.map(|guard| guard.last_write()) })
        };
        while !locks.state().waiting.contains_key(&1) {
            tokio::task::yield_now().await;
        }
        let refused = locks.lock(A, "a", 2, None).await.map(|_| ()).expect_err("a deadlock");
        assert_eq!(refused.sqlstate(), "40P01");
        assert!(futures::poll!(&mut waiter).is_pending());
        let mut second = second;
        second.set_last_write(Timestamp(7));
        drop(second);
        assert_eq!(waiter.await.expect("no panic").expect("granted"), Timestamp(7));
        drop(first);
    }

    #[tokio::test]
    async fn a_wait_ends_at_lock_timeout() {
        let locks = Arc::new(TableLocks::default());
        let _held = locks.lock(A, "a", 1, None).await.expect("free");
        let refused = locks.lock(A, "a", 2, Some(Duration::from_millis(50))).await.map(|_| ()).expect_err("a timeout");
        assert_eq!(refused.sqlstate(), "55P03");
        assert!(locks.state().waiting.is_empty());
    }
}

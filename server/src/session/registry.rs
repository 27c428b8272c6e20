//! Who is connected and what each session does: for cancel requests, for the functions that end sessions, and for `pg_stat_activity`.

use super::{Cancel, MutexExt, wall_clock};
use crate::execution::TransactionStatus;
use rand::Rng;
use repr::SqlTimestampTz;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Bytes of a statement's text that are shown.
const QUERY_BYTES_MAX: usize = 1024;

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    entries: Mutex<BTreeMap<i32, Arc<SessionEntry>>>,
}

/// One session, as the others see it.
#[derive(Debug)]
pub struct SessionEntry {
    pub pid: i32,
    pub user: String,
    pub client: SocketAddr,
    pub began: SqlTimestampTz,
    secret: i32,
    cancel: Arc<Cancel>,
    activity: Mutex<Activity>,
}

/// What a session does now, or did last.
#[derive(Clone, Debug)]
pub struct Activity {
    /// `active`, `idle`, `idle in transaction`, as Postgres names them.
    pub state: &'static str,
    pub application_name: String,
    pub query: String,
    pub query_began: Option<SqlTimestampTz>,
    pub transaction_began: Option<SqlTimestampTz>,
    pub changed: SqlTimestampTz,
}

impl Sessions {
    pub fn register(&self, pid: i32, user: &str, client: SocketAddr, cancel: Arc<Cancel>) -> Arc<SessionEntry> {
        let now = wall_clock();
        let activity = Activity { state: "idle", application_name: String::new(), query: String::new(), query_began: None, transaction_began: None, changed: now };
        let entry = Arc::new(SessionEntry { pid, user: user.to_string(), client, began: now, secret: rand::rng().random(), cancel, activity: Mutex::new(activity) });
        self.entries.lock_anyway().insert(pid, entry.clone());
        entry
    }

    pub fn unregister(&self, pid: i32) {
        self.entries.lock_anyway().remove(&pid);
    }

    /// A cancel request. A wrong secret does nothing, and says nothing: the answer would tell who is connected.
    pub fn cancel(&self, pid: i32, secret: i32) {
        if let Some(entry) = self.entries.lock_anyway().get(&pid).filter(|entry| entry.secret == secret) {
            entry.cancel.cancel();
        }
    }

    pub fn list(&self) -> Vec<Arc<SessionEntry>> {
        self.entries.lock_anyway().values().cloned().collect()
    }
}

impl plan::evaluate::Host for Sessions {
    fn signal_session(&self, pid: i32, ends: bool) -> bool {
        let entries = self.entries.lock_anyway();
        let Some(entry) = entries.get(&pid) else { return false };
        if ends { entry.cancel.terminate() } else { entry.cancel.cancel() }
        true
    }
}

impl SessionEntry {
    pub fn secret(&self) -> i32 {
        self.secret
    }

    /// A statement begins; `None`: the one whose text was noted last.
    pub fn begin(&self, query: Option<&str>) {
        let now = wall_clock();
        let mut activity = self.activity.lock_anyway();
        if let Some(query) = query {
            let end = (0..=QUERY_BYTES_MAX.min(query.len())).rev().find(|end| query.is_char_boundary(*end)).unwrap_or(0);
            activity.query.clear();
            activity.query.push_str(&query[..end]);
        }
        activity.state = "active";
        activity.query_began = Some(now);
        activity.changed = now;
    }

    /// Nothing runs any more.
    pub fn rest(&self, status: TransactionStatus, application_name: &str) {
        let now = wall_clock();
        let mut activity = self.activity.lock_anyway();
        activity.state = match status {
            TransactionStatus::Idle => "idle",
            TransactionStatus::InBlock => "idle in transaction",
            TransactionStatus::Failed => "idle in transaction (aborted)",
        };
        activity.transaction_began = match status {
            TransactionStatus::Idle => None,
            _ => activity.transaction_began.or(activity.query_began),
        };
        activity.changed = now;
        if activity.application_name != application_name {
            application_name.clone_into(&mut activity.application_name);
        }
    }

    pub fn activity(&self) -> Activity {
        self.activity.lock_anyway().clone()
    }
}

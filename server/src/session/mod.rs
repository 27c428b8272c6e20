//! What a statement does.
//!
//! A [`Session`] is one client's state: settings, transaction, prepared statements, portals. It plans against the catalog value it holds, reads published
//! snapshots on its own side, and asks the coordinator to write. It knows nothing of messages and formats: see [`crate::execution`].

use crate::execution::{Execution, ResultColumn, TransactionStatus};
use crate::{Error, Shared};
use repr::{Row, Type, text::TextContext};
use sql::parse::ParsedStatement;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Cancels what a session runs, from another connection or when its client goes away.
#[derive(Default)]
pub struct Cancel {
    /// Read by plans between batches.
    pub flag: Arc<AtomicBool>,
    notify: Notify,
}

impl Cancel {
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
    /// Called when a statement begins: a cancel that came before it is not its own.
    pub fn reset(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }
    /// Resolves once cancelled.
    pub async fn cancelled(&self) {
        loop {
            let notified = self.notify.notified();
            if self.flag.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }
}

/// What Describe answers for a statement.
#[derive(Clone, Debug)]
pub struct StatementDescription {
    pub parameters: Vec<Type>,
    /// `None`: the statement returns no rows.
    pub columns: Option<Arc<Vec<ResultColumn>>>,
}

/// One client's state.
pub struct Session {
    shared: Arc<Shared>,
    cancel: Arc<Cancel>,
}

#[allow(unused_variables)]
impl Session {
    /// Begins a session with the startup packet's parameters (`user`, `database`, `TimeZone`, `options`, ...). An unknown setting among them is ignored, as poolers send many;
    /// an unknown database is 3D000.
    pub fn start(shared: Arc<Shared>, startup: &[(String, String)], backend_pid: i32) -> Result<Session, Error> {
        Ok(Session { shared, cancel: Arc::default() })
    }
    pub fn cancel_handle(&self) -> Arc<Cancel> {
        self.cancel.clone()
    }
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
    /// The settings clients are told of at the start (ParameterStatus).
    pub fn reported_settings(&self) -> Vec<(String, String)> {
        todo!()
    }
    /// Reported settings which changed since the last call.
    pub fn take_changed_settings(&mut self) -> Vec<(String, String)> {
        todo!()
    }
    /// Notices and warnings since the last call: (severity, sqlstate, message).
    pub fn take_notices(&mut self) -> Vec<(&'static str, &'static str, String)> {
        todo!()
    }
    pub fn transaction_status(&self) -> TransactionStatus {
        todo!()
    }
    /// How values are written as text.
    pub fn text_context(&self) -> &TextContext {
        todo!()
    }

    // The simple protocol.

    /// Splits and parses a query string. Several statements form one implicit transaction, ended by [`Session::sync`].
    pub fn parse(&mut self, sql: &str) -> Result<Vec<ParsedStatement>, Error> {
        todo!()
    }
    /// Runs one of several statements of a query string; `alone` if it is the only one.
    pub async fn run(&mut self, statement: &ParsedStatement, alone: bool) -> Result<Execution, Error> {
        todo!()
    }

    // The extended protocol. Names are empty for the unnamed statement and portal.

    pub async fn prepare(&mut self, name: &str, sql: &str, parameter_types: &[u32]) -> Result<(), Error> {
        todo!()
    }
    pub fn describe_statement(&mut self, name: &str) -> Result<StatementDescription, Error> {
        todo!()
    }
    /// `parameters` is one row with a datum per parameter, decoded by the protocol from the types of [`Session::describe_statement`].
    pub fn bind(&mut self, portal: &str, statement: &str, parameters: Row, result_formats: Vec<i16>) -> Result<(), Error> {
        todo!()
    }
    /// Columns (`None`: no rows) and the result formats given at bind.
    pub fn describe_portal(&mut self, portal: &str) -> Result<(Option<Arc<Vec<ResultColumn>>>, Vec<i16>), Error> {
        todo!()
    }
    /// Starts a portal (first call), or takes up the rest of its rows: the protocol gives them back with [`Session::suspend`] after `max_rows`.
    pub async fn execute(&mut self, portal: &str) -> Result<(Execution, Vec<i16>), Error> {
        todo!()
    }
    /// Keeps what is left of a portal's rows for the next Execute.
    pub fn suspend(&mut self, portal: &str, rest: Execution) {
        todo!()
    }
    pub fn close_statement(&mut self, name: &str) {
        todo!()
    }
    pub fn close_portal(&mut self, name: &str) {
        todo!()
    }
    /// Ends the implicit transaction (Sync, or the end of a query string): commits it, or rolls it back after an error. Drops the portals that end with it.
    pub async fn sync(&mut self) -> Result<(), Error> {
        todo!()
    }
    /// Tells the session that a statement failed (also while its rows were sent): an open transaction block fails.
    pub fn failed(&mut self) {
        todo!()
    }
}

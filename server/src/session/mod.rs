//! What a statement does.
//!
//! A [`Session`] is one client's state: settings, transaction, prepared statements, portals. It plans against the catalog value it holds, reads published
//! snapshots on its own side, and asks the coordinator to write. It knows nothing of messages and formats: see [`crate::execution`].
//!
//! * [`settings`]: session variables, over the table of [`variables`];
//! * [`transaction`], [`writes`], [`locks`]: one moment for reads, changes until COMMIT, one writer per table;
//! * [`planner`], [`read`], [`inputs`], [`rows`]: queries;
//! * `change`, `copy`, [`copy_parser`]: rows into tables;
//! * `define`, `define_source`, `create_sql`: objects;
//! * [`subscribe`]: changes as they happen; `cursor`: portals of SQL;
//! * [`registry`]: the sessions there are, as others see and end them;
//! * `dispatch`, `prepared`: statements by name and kind; `show`, `explain`: what there is.
//!
//! Every future of a session may be dropped at any await (the client cancelled or left): what must not be left half done runs in a task of its own.

mod change;
mod commit;
mod copy;
pub mod copy_parser;
mod create_sql;
mod cursor;
mod define;
mod define_source;
mod dispatch;
mod explain;
pub mod inputs;
pub mod locks;
pub mod planner;
mod prepared;
pub mod read;
pub mod registry;
pub mod rows;
pub mod settings;
mod show;
pub mod subscribe;
mod subscribe_rows;
pub mod transaction;
pub mod variables;
pub mod writes;

pub use planner::bind_error;

use crate::execution::{Execution, ResultColumn, TransactionStatus};
use crate::{Error, Shared};
use catalog::Catalog;
use copy::CopiedRows;
use cursor::Portal;
use dispatch::RunMode;
use inputs::SystemFacts;
use prepared::Prepared;
use repr::temporal::UNIX_TO_POSTGRES_EPOCH_MICROS;
use repr::text::TextContext;
use repr::{Row, Schema, SqlTimestampTz, Type};
use settings::Settings;
use sql::parse::ParsedStatement;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use transaction::Transaction;

/// The one database.
pub const DATABASE: &str = "tidemark";
/// The one role.
pub const USER: &str = "tidemark";
/// Prepared statements of one session.
pub const PREPARED_STATEMENTS_MAX: usize = 10_000;
/// Portals and cursors of one session.
pub const PORTALS_MAX: usize = 1000;

/// Cancels what a session runs, from another connection or when its client goes away.
#[derive(Debug, Default)]
pub struct Cancel {
    /// Read by plans between batches.
    pub flag: Arc<AtomicBool>,
    /// The session itself shall end.
    terminated: AtomicBool,
    notify: Notify,
}

impl Cancel {
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
    /// Ends the session.
    pub fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.cancel();
    }
    pub fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }
    /// What a cancelled statement is told.
    pub fn error(&self) -> Error {
        if self.is_terminated() { Error::shutting_down() } else { Error::cancelled() }
    }
    /// Called when a statement begins: a cancel that came before it is not its own.
    pub fn reset(&self) {
        self.flag.store(self.is_terminated(), Ordering::SeqCst);
    }
    /// Resolves once the session shall end.
    pub async fn terminated(&self) {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            notified.as_mut().enable();
            if self.is_terminated() {
                return;
            }
            notified.await;
        }
    }
    /// Resolves once cancelled.
    pub async fn cancelled(&self) {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Registered before the flag is read: a cancel in between wakes it.
            notified.as_mut().enable();
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

/// The columns of a result, shared by its descriptions and its rows.
pub type ResultColumns = Arc<Vec<ResultColumn>>;

/// A notice: severity, SQLSTATE, message.
pub type Notice = (&'static str, &'static str, String);

/// One client's state.
pub struct Session {
    shared: Arc<Shared>,
    cancel: Arc<Cancel>,
    backend_pid: i32,
    settings: Settings,
    transaction: Option<Transaction>,
    notices: Vec<Notice>,
    prepared: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    /// The query string being run, for the places of errors.
    query_text: Arc<str>,
    /// Rows of a COPY that has ended since the last statement.
    copied: Arc<Mutex<Vec<CopiedRows>>>,
    no_facts: Arc<SystemFacts>,
    run_mode: RunMode,
}

impl Session {
    /// Begins a session with the startup packet's parameters (`user`, `database`, `TimeZone`, `options`, ...). An unknown setting among them is ignored, as poolers send many;
    /// an unknown database is 3D000.
    pub fn start(shared: Arc<Shared>, startup: &[(String, String)], backend_pid: i32) -> Result<Session, Error> {
        let parameter = |wanted: &str| startup.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let user = parameter("user").unwrap_or(USER);
        let database = parameter("database").filter(|name| !name.is_empty()).unwrap_or(DATABASE);
        if database != DATABASE {
            return Err(Error::fatal("3D000", format!("database \"{database}\" does not exist")).with_hint(format!("There is one database: {DATABASE}.")));
        }
        Ok(Session {
            shared,
            cancel: Arc::default(),
            backend_pid,
            settings: Settings::start(startup, user)?,
            transaction: None,
            notices: Vec::new(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            query_text: Arc::from(""),
            copied: Arc::default(),
            no_facts: Arc::default(),
            run_mode: RunMode::Alone,
        })
    }
    pub fn cancel_handle(&self) -> Arc<Cancel> {
        self.cancel.clone()
    }
    /// The role the session began as.
    pub fn user(&self) -> &str {
        self.settings.user()
    }
    pub fn application_name(&self) -> &str {
        self.settings.application_name()
    }
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
    /// The settings clients are told of at the start (ParameterStatus).
    pub fn reported_settings(&self) -> Vec<(String, String)> {
        self.settings.reported()
    }
    /// Reported settings which changed since the last call.
    pub fn take_changed_settings(&mut self) -> Vec<(String, String)> {
        self.settings.take_changed()
    }
    /// Notices and warnings since the last call: (severity, sqlstate, message).
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
    pub fn transaction_status(&self) -> TransactionStatus {
        self.transaction.as_ref().map_or(TransactionStatus::Idle, Transaction::status)
    }
    /// How values are written as text.
    pub fn text_context(&self) -> &TextContext {
        self.settings.text()
    }

    // The simple protocol.

    /// Splits and parses a query string. Several statements form one implicit transaction, ended by [`Session::sync`].
    pub fn parse(&mut self, sql: &str) -> Result<Vec<ParsedStatement>, Error> {
        self.query_text = Arc::from(sql);
        sql::parse::parse(sql).map_err(parse_error)
    }
    /// Runs one of several statements of a query string; `alone` if it is the only one.
    pub async fn run(&mut self, statement: &ParsedStatement, alone: bool) -> Result<Execution, Error> {
        // The unnamed portal of the extended protocol does not outlive a query string.
        self.portals.remove("");
        let timeout = self.settings.statement_timeout();
        within(timeout, self.run_parsed(statement, alone)).await
    }

    // The extended protocol. Names are empty for the unnamed statement and portal.

    pub async fn prepare(&mut self, name: &str, sql: &str, parameter_types: &[u32]) -> Result<(), Error> {
        self.prepare_text(name, sql, parameter_types)
    }
    pub fn describe_statement(&mut self, name: &str) -> Result<StatementDescription, Error> {
        let prepared = self.find_prepared(name)?;
        let planned = self.planned(&prepared)?;
        Ok(StatementDescription { parameters: planned.parameters.clone(), columns: planned.columns.clone() })
    }
    /// `parameters` is one row with a datum per parameter, decoded by the protocol from the types of [`Session::describe_statement`].
    pub fn bind(&mut self, portal: &str, statement: &str, parameters: Row, result_formats: Vec<i16>) -> Result<(), Error> {
        let prepared = self.find_prepared(statement)?;
        self.open_portal(portal, prepared, parameters, result_formats)
    }
    /// Columns (`None`: no rows) and the result formats given at bind.
    pub fn describe_portal(&mut self, portal: &str) -> Result<(Option<ResultColumns>, Vec<i16>), Error> {
        self.describe_open(portal)
    }
    /// Starts a portal (first call), or takes up the rest of its rows: the protocol gives them back with [`Session::suspend`] after `max_rows`.
    pub async fn execute(&mut self, portal: &str) -> Result<(Execution, Vec<i16>), Error> {
        let timeout = self.settings.statement_timeout();
        within(timeout, self.execute_portal(portal)).await
    }
    /// Keeps what is left of a portal's rows for the next Execute.
    pub fn suspend(&mut self, portal: &str, rest: Execution) {
        if let Some(portal) = self.portals.get_mut(portal) {
            portal.suspend(rest);
        }
    }
    pub fn close_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }
    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }
    /// Ends the implicit transaction (Sync, or the end of a query string): commits it, or rolls it back after an error. Drops the portals that end with it.
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.absorb_copied();
        match &self.transaction {
            None => Ok(()),
            Some(transaction) if transaction.explicit => Ok(()),
            Some(transaction) if transaction.failed => {
                self.roll_back();
                Ok(())
            }
            Some(_) => self.commit().await,
        }
    }
    /// Tells the session that a statement failed (also while its rows were sent): an open transaction block fails.
    pub fn failed(&mut self) {
        self.shared.metrics.statement_failed();
        self.copied.lock_anyway().clear();
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
    }

    // Within the session.

    /// The catalog statements are planned against: the transaction's, with what it has defined itself, else the newest.
    fn catalog(&self) -> Arc<Catalog> {
        match &self.transaction {
            Some(Transaction { definitions: Some(definitions), .. }) => definitions.catalog.clone(),
            Some(Transaction { read: Some(read), .. }) => read.catalog.clone(),
            _ => self.shared.catalog(),
        }
    }

    fn notice(&mut self, sqlstate: &'static str, message: impl Into<String>) {
        self.notices.push(("NOTICE", sqlstate, message.into()));
    }
    fn warning(&mut self, sqlstate: &'static str, message: impl Into<String>) {
        self.notices.push(("WARNING", sqlstate, message.into()));
    }
}

/// Runs a statement's work within its timeout.
async fn within<T>(timeout: Option<std::time::Duration>, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout {
        None => work.await,
        Some(timeout) => tokio::time::timeout(timeout, work).await.map_err(|_| rows::timed_out())?,
    }
}

fn parse_error(error: sql::parse::ParseError) -> Error {
    let converted = Error::new(error.sqlstate, error.message).with_position(error.position);
    match error.hint {
        Some(hint) => converted.with_hint(hint),
        None => converted,
    }
}

/// The wall clock, for `now()`: logical times come from the coordinator alone.
fn wall_clock() -> SqlTimestampTz {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    SqlTimestampTz(i64::try_from(micros).unwrap_or(i64::MAX).saturating_sub(UNIX_TO_POSTGRES_EPOCH_MICROS))
}

/// A row's values as messages show them.
pub(crate) fn row_text(row: &Row, schema: &Schema, text: &TextContext) -> String {
    let mut out = String::new();
    for (position, (datum, column)) in row.iter().zip(&schema.columns).enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        if datum.is_null() {
            out.push_str("null");
        } else {
            repr::text::write(&datum, &column.column_type.scalar, text, &mut out);
        }
    }
    out
}

/// Locks a mutex whose holders cannot leave it inconsistent, whatever became of them.
pub(crate) trait MutexExt<T> {
    fn lock_anyway(&self) -> MutexGuard<'_, T>;
}

impl<T> MutexExt<T> for Mutex<T> {
    fn lock_anyway(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

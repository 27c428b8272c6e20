//! What running a statement gives the protocol: the seam between [`crate::session`] and [`crate::pgwire`].
//!
//! Sessions know nothing of messages and formats; the protocol knows nothing of plans.

use crate::Error;
use repr::{ColumnType, Row};
use std::future::Future;
use std::pin::Pin;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub name: String,
    pub column_type: ColumnType,
    /// OID of the table and number of the column it comes from, 0 if it is computed.
    pub table_oid: u32,
    pub column_number: i16,
}

/// What one statement does when it runs.
pub enum Execution {
    /// Nothing but comments and white space.
    Empty,
    /// Done; the tag of CommandComplete (`INSERT 0 1`).
    Command { tag: String },
    Rows(RowsExecution),
    CopyOut(CopyOut),
    CopyIn(Box<dyn CopyIn>),
}

/// Rows with their description.
pub struct RowsExecution {
    pub columns: std::sync::Arc<Vec<ResultColumn>>,
    pub source: Box<dyn RowSource>,
    /// How the tag begins; the number of rows follows (`SELECT`, `FETCH`), or `None` if the source says the whole tag (INSERT ... RETURNING).
    pub tag: RowsTag,
}

pub enum RowsTag {
    /// `SELECT 5`: the word and the number of rows sent.
    Counted(&'static str),
    /// The tag whatever the number of rows (`SHOW`, `EXPLAIN`, `INSERT 0 3`).
    Fixed(String),
}

/// Rows as they become available.
pub trait RowSource: Send {
    /// The next rows: `Some` of at least one row, `None` at the end. Waits when there are none yet (SUBSCRIBE); the protocol flushes what it has before it waits,
    /// and drops the future when the client goes away or cancels: it must be cancel safe.
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Vec<Row>>, Error>>;
    /// Rows that can be had without waiting. `Ok(None)`: none now (not necessarily the end).
    fn try_next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        Ok(None)
    }
    /// Whether the rows come without end (SUBSCRIBE): they are sent as they come.
    fn is_stream(&self) -> bool {
        false
    }
}

/// Rows in COPY's format.
pub struct CopyOut {
    pub columns: std::sync::Arc<Vec<ResultColumn>>,
    pub source: Box<dyn RowSource>,
    pub format: CopyFormat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    Text { delimiter: u8, null: String, header: bool },
    Csv { delimiter: u8, null: String, header: bool, quote: u8, escape: u8 },
    Binary,
}

/// Takes COPY data and writes it when it is complete.
pub trait CopyIn: Send {
    fn columns(&self) -> &[ResultColumn];
    fn format(&self) -> &CopyFormat;
    /// One chunk as the client sent it, not aligned with lines.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// The client is done: write, and give the tag.
    fn done(self: Box<Self>) -> BoxFuture<'static, Result<String, Error>>;
    // Dropping it without `done` writes nothing (CopyFail).
}

/// `I`, `T`, `E` of ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    Idle,
    InBlock,
    Failed,
}

/// All rows at hand.
pub struct ReadyRows(Option<Vec<Row>>);

impl ReadyRows {
    pub fn new(rows: Vec<Row>) -> ReadyRows {
        ReadyRows((!rows.is_empty()).then_some(rows))
    }
}

impl RowSource for ReadyRows {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Vec<Row>>, Error>> {
        let rows = self.0.take();
        Box::pin(async move { Ok(rows) })
    }
    fn try_next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        Ok(self.0.take())
    }
}

//! What goes into an engine and what comes out of it.

use plan::{Context, Plan, Scalar};
use repr::{CollectionId, ColumnType, Diff, EvalError, Row, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A base collection: a table or a relation of a source.
#[derive(Clone, Debug)]
pub struct InputDescription {
    pub types: Vec<ColumnType>,
    /// The columns it is arranged by; point and range reads of its own snapshot use them. May be empty.
    pub key: Vec<usize>,
}

/// A maintained view.
#[derive(Clone, Debug)]
pub struct ViewDescription {
    pub id: CollectionId,
    pub plan: Plan,
    pub context: Context,
    /// Its inputs are read as of this time and followed from there on. Later than asked when an input has forgotten that time already.
    pub as_of: Timestamp,
    /// Changes at this time and later are not seen any more: the view is complete when its inputs are past it.
    pub until: Option<Timestamp>,
    /// The columns its snapshot is arranged by.
    pub key: Vec<usize>,
}

/// Another arrangement of an existing relation.
#[derive(Clone, Debug)]
pub struct IndexDescription {
    pub id: CollectionId,
    pub on: CollectionId,
    /// The key, as scalars over the columns of the relation; their values are made canonical.
    pub key: Vec<Scalar>,
    pub context: Context,
    pub as_of: Timestamp,
}

/// The changes of one base collection in a frame. All times are in the frame: at or after the upper of the frame before, and before its own.
#[derive(Clone, Debug)]
pub struct InputBatch {
    pub id: CollectionId,
    pub rows: Vec<(Row, Timestamp, Diff)>,
    /// Rows that could not be had: while such an error is present, reads of what depends on the collection fail with it.
    pub errors: Vec<(EvalError, Timestamp, Diff)>,
}

/// What one tick brings, or an idle heartbeat (no batches): afterwards every input is complete up to `upper`.
#[derive(Clone, Debug)]
pub struct Frame {
    pub upper: Timestamp,
    pub batches: Vec<InputBatch>,
}

impl Frame {
    pub(crate) fn updates(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows.len() + batch.errors.len()).sum()
    }
}

/// What an engine tells. Called on worker threads: hand it on, do not work in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// [`crate::Control::published`] has something new.
    Progress,
    /// A view or an index has caught up with the relations that were there before it.
    Hydrated(CollectionId),
    /// A relation is gone from every worker, and its memory with it.
    Dropped(CollectionId),
    /// A worker ended by a panic: the engine is of no further use. Rebuild it from the log.
    WorkerPanicked { worker: usize, message: String },
}

pub type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

/// Why a command was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// There is no such relation.
    UnknownRelation(CollectionId),
    /// The relation exists already.
    DuplicateRelation(CollectionId),
    /// The relation is used by others.
    StillUsed { id: CollectionId, by: Vec<CollectionId> },
    /// A frame whose upper is not beyond the last one's, or which holds a time outside of it.
    FrameOutOfOrder { upper: Timestamp, last: Timestamp },
    /// The plan cannot be maintained.
    NotMaintainable(String),
    /// The engine was shut down or a worker has panicked.
    Stopped,
}

impl fmt::Display for EngineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::UnknownRelation(id) => write!(formatter, "relation {id} is not maintained"),
            EngineError::DuplicateRelation(id) => write!(formatter, "relation {id} is maintained already"),
            EngineError::StillUsed { id, by } => {
                write!(formatter, "relation {id} is used by")?;
                by.iter().try_for_each(|user| write!(formatter, " {user}"))
            }
            EngineError::FrameOutOfOrder { upper, last } => write!(formatter, "a frame up to {upper} cannot follow one up to {last}"),
            EngineError::NotMaintainable(reason) => formatter.write_str(reason),
            EngineError::Stopped => formatter.write_str("the dataflow engine has stopped"),
        }
    }
}

impl std::error::Error for EngineError {}

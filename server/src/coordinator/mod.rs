//! The one writer: gathers what is ready into ticks, makes each durable, then shows it.

use crate::Error;
use catalog::Change;
use repr::{CollectionId, Diff, Row, Timestamp};
use tokio::sync::oneshot;

/// What sessions ask of the coordinator.
pub enum Request {
    /// Changes of tables. Conflicts are excluded by the tables' write locks, which the sender holds until the answer.
    Write { updates: Vec<(CollectionId, Vec<(Row, Diff)>)>, answer: oneshot::Sender<Result<Timestamp, Error>> },
    /// A change of the catalog planned against version `catalog_version`: refused with `40001` (and tried again by the session) if another change came between.
    /// `initial` are the first rows of collections it creates (CREATE TABLE AS). Answers the timestamp from which the new catalog holds; created
    /// relations are readable (hydrated or not) and sources started when it is answered.
    Define { catalog_version: u64, changes: Vec<Change>, initial: Vec<(CollectionId, Vec<(Row, Diff)>)>, answer: oneshot::Sender<Result<Timestamp, Error>> },
    /// A dataflow for one subscription or one-off maintained query; dropped with `Drop`. Ids come from `Transient`.
    Transient { answer: oneshot::Sender<CollectionId> },
    Shutdown,
}

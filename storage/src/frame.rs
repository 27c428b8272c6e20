//! What one tick makes durable.

use repr::{CollectionId, Diff, Row, Timestamp};

/// The unit of durability: everything that happened at one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Greater than that of every frame before.
    pub timestamp: Timestamp,
    /// Changes per collection; a collection appears at most once.
    pub updates: Vec<(CollectionId, Vec<(Row, Diff)>)>,
    /// New resume states of sources (opaque bytes of the `sources` crate): how far the updates of this frame and all before it have come.
    pub positions: Vec<(CollectionId, Vec<u8>)>,
    /// Collections that ended with this frame: their contents and positions need not be kept.
    pub dropped: Vec<CollectionId>,
}

//! What readers see: immutable snapshots of every relation, published together.

use plan::Inputs;
use repr::{CollectionId, Diff, EvalError, Row, Timestamp};
use std::sync::Arc;

/// All relations at one publication. Holding it holds memory, nothing else: bound its life.
#[derive(Default)]
pub struct Published {
    relations: Vec<(CollectionId, Arc<RelationSnapshot>)>,
}

impl Published {
    pub fn get(&self, _id: CollectionId) -> Option<&Arc<RelationSnapshot>> {
        todo!()
    }
    pub fn iter(&self) -> impl Iterator<Item = (CollectionId, &Arc<RelationSnapshot>)> {
        self.relations.iter().map(|(id, relation)| (*id, relation))
    }
    /// The times at which all of `ids` can be read together: `since <= t < upper` of the result; it is empty when `since >= upper`.
    /// `None` if one of them is unknown.
    pub fn readable(&self, _ids: &[CollectionId]) -> Option<(Timestamp, Timestamp)> {
        todo!()
    }
}

/// One relation (a base collection, a view or an index) as of one publication.
pub struct RelationSnapshot {}

impl RelationSnapshot {
    /// The earliest time that can be read.
    pub fn since(&self) -> Timestamp {
        todo!()
    }
    /// Times before it are complete. [`Timestamp::MAX`] once the relation cannot change any more.
    pub fn upper(&self) -> Timestamp {
        todo!()
    }
    pub fn arity(&self) -> usize {
        todo!()
    }
    /// Whether the view or index has caught up.
    pub fn is_hydrated(&self) -> bool {
        todo!()
    }
    /// Visits every row (in the relation's column order) and its multiplicity at `time`, ordered by key. `visit` returns false to stop.
    pub fn scan(&self, _time: Timestamp, _visit: &mut dyn FnMut(&[u8], Diff) -> bool) {
        todo!()
    }
    /// Visits the rows of one key. The key is canonical.
    pub fn lookup(&self, _time: Timestamp, _key: &Row, _visit: &mut dyn FnMut(&[u8], Diff) -> bool) {
        todo!()
    }
    /// Visits the rows whose key lies between two encoded bounds (lower inclusive, upper exclusive, as byte strings), in key order.
    pub fn range(
        &self,
        _time: Timestamp,
        _lower: Option<&[u8]>,
        _upper: Option<&[u8]>,
        _descending: bool,
        _visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) {
        todo!()
    }
    /// The error that makes reads at `time` fail, if there is one: the smallest of them.
    pub fn error(&self, _time: Timestamp) -> Option<EvalError> {
        todo!()
    }
    pub fn metrics(&self) -> RelationMetrics {
        todo!()
    }
}

/// What a relation's published arrangement costs. A view's operators have more; see [`Published`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationMetrics {
    /// Updates in all batches: at least the number of rows.
    pub updates: usize,
    pub batches: usize,
    pub bytes: usize,
    pub errors: usize,
}

/// The published relations at one timestamp, as [`plan::evaluate`] wants them.
pub struct SnapshotInputs<'a> {
    pub published: &'a Published,
    /// Must be readable: `since <= timestamp < upper` of everything that is read.
    pub timestamp: Timestamp,
}

impl Inputs for SnapshotInputs<'_> {
    fn scan(&self, _id: CollectionId, _visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        todo!()
    }
    fn lookup(&self, _id: CollectionId, _index: CollectionId, _key: &Row, _visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        todo!()
    }
    fn range(
        &self,
        _id: CollectionId,
        _index: CollectionId,
        _lower: Option<&[u8]>,
        _upper: Option<&[u8]>,
        _descending: bool,
        _visit: &mut dyn FnMut(&[u8], Diff) -> bool,
    ) -> Result<(), EvalError> {
        todo!()
    }
}

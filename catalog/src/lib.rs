//! What exists: an immutable value.
//!
//! A [`Catalog`] never changes; [`Catalog::apply`] makes the next one, and every reader keeps the one it started with. Its durable form is a list of
//! [`Change`]s, stored as ordinary updates of the collection [`repr::CollectionId::CATALOG`] in the same log as the data: definitions and data share one order and one
//! durability ([`Entry::to_row`], [`Entry::from_row`]).
//!
//! Invariants, checked by `apply`:
//! * an object's name is unique within its schema, whatever its kind;
//! * everything an object depends on exists, and nothing that others depend on is dropped before them;
//! * ids are never used again.

mod definition;
mod error;
mod row;
#[cfg(test)]
mod tests;

pub use definition::{
    ColumnDefault, ConnectionDefinition, Definition, IndexDefinition, Kind, OptionValue, RelationRole, SecretValue, SessionSettings, SourceDefinition, TableDefinition, ViewDefinition,
};
pub use error::CatalogError;

use repr::CollectionId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The schema objects are created in unless their name says otherwise.
pub const DEFAULT_SCHEMA: &str = "public";
/// Schemas which hold the built-in relations. Nothing can be created in them.
pub const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "tm_catalog"];

/// One object: its identity, its name and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: CollectionId,
    pub schema_name: String,
    pub name: String,
    pub definition: Definition,
    /// The statement that makes it again, names qualified: what SHOW CREATE prints.
    pub create_sql: String,
    /// What it was defined over, sorted. Dropping one of these needs CASCADE.
    pub depends_on: Vec<CollectionId>,
    pub comment: Option<String>,
}

impl Entry {
    /// The greatest of the ids the entry takes: its own, and those of hidden collections that belong to it.
    pub fn last_id(&self) -> CollectionId {
        match &self.definition {
            Definition::Source(SourceDefinition { errors: Some(errors), .. }) => self.id.max(*errors),
            Definition::Index(index) => self.id.max(index.relation),
            _ => self.id,
        }
    }
}

/// One step from a catalog to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Create(Entry),
    Drop(CollectionId),
    /// The entry takes the place of the one with its id (rename, comment, a column list learned from a topic).
    Alter(Entry),
    CreateSchema(String),
    DropSchema(String),
}

/// Everything that exists, at one moment.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Counts the changes; a plan made for another version is made again.
    version: u64,
    entries: BTreeMap<CollectionId, Arc<Entry>>,
    names: BTreeMap<String, BTreeMap<String, CollectionId>>,
    dependents: BTreeMap<CollectionId, BTreeSet<CollectionId>>,
    next_id: CollectionId,
}

impl Default for Catalog {
    fn default() -> Catalog {
        Catalog {
            version: 0,
            entries: BTreeMap::new(),
            names: BTreeMap::from([(DEFAULT_SCHEMA.to_string(), BTreeMap::new())]),
            dependents: BTreeMap::new(),
            next_id: CollectionId::FIRST_USER,
        }
    }
}

impl Catalog {
    pub fn version(&self) -> u64 {
        self.version
    }
    /// The id the next created object must take; an object that needs several takes the following ones.
    pub fn next_id(&self) -> CollectionId {
        self.next_id
    }
    pub fn get(&self, id: CollectionId) -> Option<&Arc<Entry>> {
        self.entries.get(&id)
    }
    /// By exact (already folded) schema and name.
    pub fn resolve(&self, schema_name: &str, name: &str) -> Option<&Arc<Entry>> {
        self.entries.get(self.names.get(schema_name)?.get(name)?)
    }
    pub fn has_schema(&self, name: &str) -> bool {
        SYSTEM_SCHEMAS.contains(&name) || self.names.contains_key(name)
    }
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }
    /// All objects in the order of their creation.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
    /// The objects defined directly over this one.
    pub fn dependents(&self, id: CollectionId) -> impl Iterator<Item = &Arc<Entry>> {
        self.dependents.get(&id).into_iter().flatten().filter_map(|dependent| self.entries.get(dependent))
    }
    /// The indexes on a relation.
    pub fn indexes_on(&self, id: CollectionId) -> impl Iterator<Item = (&Arc<Entry>, &IndexDefinition)> {
        self.dependents(id).filter_map(move |entry| match &entry.definition {
            Definition::Index(index) if index.on == id => Some((entry, index)),
            _ => None,
        })
    }
    /// Everything that must go when `roots` go, dependents before what they depend on, `roots` included.
    pub fn drop_order(&self, roots: &[CollectionId]) -> Vec<CollectionId> {
        fn visit(catalog: &Catalog, id: CollectionId, seen: &mut BTreeSet<CollectionId>, order: &mut Vec<CollectionId>) {
            // Views over views can be deep, but each level is a statement somebody wrote; `seen` bounds the walk.
            if !seen.insert(id) {
                return;
            }
            for dependent in catalog.dependents.get(&id).into_iter().flatten() {
                visit(catalog, *dependent, seen, order);
            }
            order.push(id);
        }
        let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
        for root in roots {
            visit(self, *root, &mut seen, &mut order);
        }
        order
    }

    /// The next catalog, or why there is none. `self` is unchanged either way. O(objects) in the worst case: definitions are rare.
    pub fn apply(&self, changes: &[Change]) -> Result<Catalog, CatalogError> {
        let mut next = self.clone();
        for change in changes {
            next.apply_one(change)?;
        }
        next.version += 1;
        Ok(next)
    }

    /// Puts in objects that existed together.
    fn load(&mut self, entries: Vec<Entry>) -> Result<(), CatalogError> {
        for entry in entries {
            self.insert_name(&entry)?;
            self.next_id = self.next_id.max(CollectionId(entry.last_id().0 + 1));
            let id = entry.id;
            if self.entries.insert(id, Arc::new(entry)).is_some() {
                return Err(CatalogError::IdUsedAgain(id));
            }
        }
        for entry in self.entries.values() {
            for id in &entry.depends_on {
                if !id.is_system() && !self.entries.contains_key(id) {
                    return Err(CatalogError::MissingDependency { name: entry.name.clone(), missing: *id });
                }
                self.dependents.entry(*id).or_default().insert(entry.id);
            }
        }
        Ok(())
    }

    fn apply_one(&mut self, change: &Change) -> Result<(), CatalogError> {
        match change {
            Change::Create(entry) => {
                if self.entries.contains_key(&entry.id) || entry.id < self.next_id {
                    return Err(CatalogError::IdUsedAgain(entry.id));
                }
                for id in &entry.depends_on {
                    if !id.is_system() && !self.entries.contains_key(id) {
                        return Err(CatalogError::MissingDependency { name: entry.name.clone(), missing: *id });
                    }
                }
                self.insert_name(entry)?;
                for id in &entry.depends_on {
                    self.dependents.entry(*id).or_default().insert(entry.id);
                }
                self.next_id = CollectionId(entry.last_id().0 + 1);
                self.entries.insert(entry.id, Arc::new(entry.clone()));
            }
            Change::Drop(id) => {
                let Some(entry) = self.entries.get(id).cloned() else {
                    return Err(CatalogError::UnknownId(*id));
                };
                if self.dependents.get(id).is_some_and(|dependents| !dependents.is_empty()) {
                    let dependents = self.dependents(*id).map(|dependent| (**dependent).clone()).collect();
                    return Err(CatalogError::DependentObjectsStillExist { entry: Box::new((*entry).clone()), dependents });
                }
                self.entries.remove(id);
                self.remove_name(&entry);
                self.dependents.remove(id);
                for dependency in &entry.depends_on {
                    if let Some(dependents) = self.dependents.get_mut(dependency) {
                        dependents.remove(id);
                    }
                }
            }
            Change::Alter(entry) => {
                let Some(old) = self.entries.get(&entry.id).cloned() else {
                    return Err(CatalogError::UnknownId(entry.id));
                };
                for id in &entry.depends_on {
                    if !id.is_system() && !self.entries.contains_key(id) {
                        return Err(CatalogError::MissingDependency { name: entry.name.clone(), missing: *id });
                    }
                }
                self.remove_name(&old);
                self.insert_name(entry)?;
                for id in &old.depends_on {
                    if let Some(dependents) = self.dependents.get_mut(id) {
                        dependents.remove(&entry.id);
                    }
                }
                for id in &entry.depends_on {
                    self.dependents.entry(*id).or_default().insert(entry.id);
                }
                self.entries.insert(entry.id, Arc::new(entry.clone()));
            }
            Change::CreateSchema(name) => {
                if self.has_schema(name) {
                    return Err(CatalogError::DuplicateSchema(name.clone()));
                }
                self.names.insert(name.clone(), BTreeMap::new());
            }
            Change::DropSchema(name) => match self.names.get(name) {
                None => return Err(CatalogError::UnknownSchema(name.clone())),
                Some(objects) if !objects.is_empty() => return Err(CatalogError::SchemaNotEmpty(name.clone())),
                Some(_) => {
                    self.names.remove(name);
                }
            },
        }
        Ok(())
    }

    fn insert_name(&mut self, entry: &Entry) -> Result<(), CatalogError> {
        let Some(objects) = self.names.get_mut(&entry.schema_name) else {
            return Err(CatalogError::UnknownSchema(entry.schema_name.clone()));
        };
        if objects.contains_key(&entry.name) {
            return Err(CatalogError::DuplicateName { name: entry.name.clone(), kind: entry.definition.kind() });
        }
        objects.insert(entry.name.clone(), entry.id);
        Ok(())
    }

    fn remove_name(&mut self, entry: &Entry) {
        if let Some(objects) = self.names.get_mut(&entry.schema_name) {
            objects.remove(&entry.name);
        }
    }
}

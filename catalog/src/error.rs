//! Why a change cannot be applied, with Postgres' codes and words.

use crate::{Entry, Kind};
use repr::CollectionId;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogError {
    DuplicateName { name: String, kind: Kind },
    DuplicateSchema(String),
    UnknownSchema(String),
    SchemaNotEmpty(String),
    DependentObjectsStillExist { entry: Box<Entry>, dependents: Vec<Entry> },
    UnknownId(CollectionId),
    MissingDependency { name: String, missing: CollectionId },
    IdUsedAgain(CollectionId),
}

impl CatalogError {
    pub fn sqlstate(&self) -> &'static str {
        match self {
            CatalogError::DuplicateName { .. } => "42P07",
            CatalogError::DuplicateSchema(_) => "42P06",
            CatalogError::UnknownSchema(_) => "3F000",
            CatalogError::SchemaNotEmpty(_) | CatalogError::DependentObjectsStillExist { .. } => "2BP01",
            CatalogError::UnknownId(_) => "42704",
            CatalogError::MissingDependency { .. } | CatalogError::IdUsedAgain(_) => "XX000",
        }
    }

    /// One line per dependent object, as Postgres' DETAIL lists them.
    pub fn detail(&self) -> Option<String> {
        match self {
            CatalogError::DependentObjectsStillExist { entry, dependents } => {
                let line = |dependent: &Entry| {
                    format!("{} {} depends on {} {}", dependent.definition.kind(), dependent.name, entry.definition.kind(), entry.name)
                };
                Some(dependents.iter().map(line).collect::<Vec<_>>().join("\n"))
            }
            _ => None,
        }
    }

    pub fn hint(&self) -> Option<&'static str> {
        match self {
            CatalogError::DependentObjectsStillExist { .. } | CatalogError::SchemaNotEmpty(_) => Some("Use DROP ... CASCADE to drop the dependent objects too."),
            _ => None,
        }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogError::DuplicateName { name, kind: Kind::Connection | Kind::Secret } => write!(formatter, "object \"{name}\" already exists"),
            CatalogError::DuplicateName { name, .. } => write!(formatter, "relation \"{name}\" already exists"),
            CatalogError::DuplicateSchema(name) => write!(formatter, "schema \"{name}\" already exists"),
            CatalogError::UnknownSchema(name) => write!(formatter, "schema \"{name}\" does not exist"),
            CatalogError::SchemaNotEmpty(name) => write!(formatter, "cannot drop schema {name} because other objects depend on it"),
            CatalogError::DependentObjectsStillExist { entry, .. } => {
                write!(formatter, "cannot drop {} {} because other objects depend on it", entry.definition.kind(), entry.name)
            }
            CatalogError::UnknownId(id) => write!(formatter, "object {id} does not exist"),
            CatalogError::MissingDependency { name, missing } => write!(formatter, "\"{name}\" depends on {missing}, which does not exist"),
            CatalogError::IdUsedAgain(id) => write!(formatter, "object id {id} was used before"),
        }
    }
}

impl std::error::Error for CatalogError {}

//! What an object is.

use repr::{CollectionId, Schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What kind of object an entry is, as DROP and SHOW name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Table,
    Source,
    View,
    MaterializedView,
    Index,
    Connection,
    Secret,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Table => "table",
            Kind::Source => "source",
            Kind::View => "view",
            Kind::MaterializedView => "materialized view",
            Kind::Index => "index",
            Kind::Connection => "connection",
            Kind::Secret => "secret",
        })
    }
}

/// What an object is made of. Queries are kept as text and bound again at start: no plan format can be wrong on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Definition {
    Table(TableDefinition),
    Source(SourceDefinition),
    View(ViewDefinition),
    MaterializedView(ViewDefinition),
    Index(IndexDefinition),
    Connection(ConnectionDefinition),
    /// Never shown, logged or returned again.
    Secret(SecretValue),
}

/// A secret's bytes, which no `Debug` output shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretValue(pub String);

impl fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<secret>")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDefinition {
    pub schema: Schema,
    pub defaults: Vec<ColumnDefault>,
}

/// The DEFAULT of a column, as SQL text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefault {
    pub column: usize,
    pub expression_sql: String,
}

/// What part an entry plays in a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationRole {
    /// The source is one relation: its own.
    Single(Schema),
    /// The source only carries others (`FOR TABLES`): it cannot be read itself.
    Parent,
    /// One of the relations of the source `parent`; `upstream_name` is its table's name there (`public.orders`).
    Child { parent: CollectionId, upstream_name: String, schema: Schema },
}

/// A source or one relation of it. How bytes are decoded is described by `options`, whose meaning belongs to the `sources` crate: it is kept as
/// the JSON text that crate reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDefinition {
    pub role: RelationRole,
    pub connection: Option<CollectionId>,
    /// Empty for a child.
    pub options: String,
    /// The collection of this source's undecodable messages (a parent's or single source's; `None` for a child).
    pub errors: Option<CollectionId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDefinition {
    pub query_sql: String,
    pub schema: Schema,
    pub settings: SessionSettings,
}

/// The session settings a query's meaning depends on, as they were at CREATE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettings {
    pub search_path: Vec<String>,
    pub time_zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    pub on: CollectionId,
    /// The maintained relation it arranges: `on` itself, or, if that is a plain view, a hidden relation which keeps the view's rows.
    pub relation: CollectionId,
    /// Key expressions as SQL text over the columns of `on`.
    pub keys_sql: Vec<String>,
    pub unique: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionDefinition {
    /// `kafka`.
    pub connection_type: String,
    /// Option names in lower case.
    pub options: BTreeMap<String, OptionValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptionValue {
    Text(String),
    Secret(CollectionId),
}

impl Definition {
    pub fn kind(&self) -> Kind {
        match self {
            Definition::Table(_) => Kind::Table,
            Definition::Source(_) => Kind::Source,
            Definition::View(_) => Kind::View,
            Definition::MaterializedView(_) => Kind::MaterializedView,
            Definition::Index(_) => Kind::Index,
            Definition::Connection(_) => Kind::Connection,
            Definition::Secret(_) => Kind::Secret,
        }
    }

    /// The shape of the relation, if the object can stand in FROM.
    pub fn schema(&self) -> Option<&Schema> {
        match self {
            Definition::Table(table) => Some(&table.schema),
            Definition::Source(SourceDefinition { role: RelationRole::Single(schema) | RelationRole::Child { schema, .. }, .. }) => Some(schema),
            Definition::View(view) | Definition::MaterializedView(view) => Some(&view.schema),
            Definition::Source(_) | Definition::Index(_) | Definition::Connection(_) | Definition::Secret(_) => None,
        }
    }
}

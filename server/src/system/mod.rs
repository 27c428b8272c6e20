//! The built-in relations: `pg_catalog`, `information_schema`, and `tm_catalog` with what only Tidemark knows.
//!
//! They are computed from the catalog value and the published snapshots a reader holds, whenever they are read: nothing is stored, so nothing can be out of step.
//! Names and types of Postgres' relations are data (`postgres_15_relations.tsv`, read off a Postgres 15); the modules fill the columns they know, by name,
//! and every other column has the empty value of its type.
//!
//! The identity of a built-in relation is its place in the list: such ids are never stored.

mod filler;
mod information_schema;
mod names;
mod pg_catalog;
mod postgres_types;
mod tm_catalog;
#[cfg(test)]
mod tests;

pub use names::CatalogNames;

use crate::coordinator::SourceReport;
use catalog::{Catalog, Entry};
use dataflow::Published;
use filler::Filler;
use repr::{CollectionId, ColumnType, Row, Schema, Type};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// OIDs of user objects begin where Postgres' do.
const FIRST_USER_OID: u32 = 16_384;
/// OIDs of built-in relations that Postgres does not have.
const FIRST_TM_OID: u32 = 15_000;
/// The one role, and the one database.
pub const ROLE_OID: u32 = 10;
pub const DATABASE_OID: u32 = 5;
pub const PG_CATALOG_OID: u32 = 11;
pub const INFORMATION_SCHEMA_OID: u32 = 13;
pub const TM_CATALOG_OID: u32 = 14;
pub const PUBLIC_OID: u32 = 2200;
/// Schemas the user made: from here on, in the order of their names.
const FIRST_SCHEMA_OID: u32 = 100_000_000;

/// What a built-in relation may be computed from.
pub struct World<'a> {
    pub catalog: &'a Catalog,
    /// `None`: nothing runs (tests of definitions).
    pub published: Option<&'a Published>,
    pub sources: &'a [SourceReport],
    pub sessions: &'a [Arc<crate::session::registry::SessionEntry>],
    pub settings: &'a [(String, String)],
    pub search_path: &'a [String],
}

type Fill = fn(&World<'_>, &mut Filler<'_>);

/// A built-in relation.
pub struct SystemRelation {
    pub id: CollectionId,
    pub oid: u32,
    pub schema_name: &'static str,
    pub name: &'static str,
    pub schema: Schema,
    pub is_view: bool,
    /// `None`: always empty.
    fill: Option<Fill>,
}

static RELATIONS: LazyLock<Vec<SystemRelation>> = LazyLock::new(|| {
    let mut relations = Vec::new();
    let postgres = include_str!("postgres_15_relations.tsv").lines().filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()? == "v", fields.next()?))
    });
    let own = tm_catalog::DEFINITIONS.iter().enumerate().map(|(position, (schema, name, columns))| (*schema, *name, FIRST_TM_OID + position as u32, true, *columns));
    for (schema_name, name, oid, is_view, columns) in postgres.chain(own) {
        let column = |text: &str| {
            let (column, scalar) = text.split_once(' ').unwrap_or((text, "text"));
            (column.to_string(), ColumnType::new(scalar_of(scalar)))
        };
        let fill = match schema_name {
            "pg_catalog" => pg_catalog::fill(name).or_else(|| tm_catalog::fill(name)),
            "information_schema" => information_schema::fill(name),
            _ => tm_catalog::fill(name),
        };
        relations.push(SystemRelation {
            id: CollectionId(relations.len() as u64 + 1),
            oid,
            schema_name,
            name,
            schema: Schema::new(columns.split(',').map(column)),
            is_view,
            fill,
        });
    }
    relations
});

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), usize>> =
    LazyLock::new(|| RELATIONS.iter().enumerate().map(|(position, relation)| ((relation.schema_name, relation.name), position)).collect());

fn scalar_of(name: &str) -> Type {
    match name {
        "char" => Type::InternalChar,
        "_char" => Type::Array(Box::new(Type::InternalChar)),
        other => match other.strip_prefix('_') {
            Some(element) => Type::Array(Box::new(scalar_of(element))),
            None => Type::from_name(other).unwrap_or(Type::Text),
        },
    }
}

/// All built-in relations.
pub fn relations() -> &'static [SystemRelation] {
    &RELATIONS
}

/// A built-in relation by schema and name.
pub fn find(schema_name: &str, name: &str) -> Option<&'static SystemRelation> {
    RELATIONS.get(*BY_NAME.get(&(schema_name, name))?)
}

/// A built-in relation by its id.
pub fn get(id: CollectionId) -> Option<&'static SystemRelation> {
    RELATIONS.get(usize::try_from(id.0).ok()?.checked_sub(1)?)
}

/// Whether reading the relation needs the sources' reports, which the coordinator must be asked for.
pub fn needs_sources(id: CollectionId) -> bool {
    get(id).is_some_and(|relation| relation.name.starts_with("tm_source"))
}

/// The rows of a built-in relation.
pub fn rows(id: CollectionId, world: &World<'_>) -> Vec<Row> {
    let Some(relation) = get(id) else { return Vec::new() };
    let mut filler = Filler::new(&relation.schema);
    if let Some(fill) = relation.fill {
        fill(world, &mut filler);
    }
    filler.finish()
}

/// The OID of an object of the catalog.
pub fn oid_of(id: CollectionId) -> u32 {
    match get(id) {
        Some(relation) => relation.oid,
        None => FIRST_USER_OID + (id.0 - CollectionId::FIRST_USER.0.min(id.0)) as u32,
    }
}

/// The OID of a schema, 0 if there is none.
pub fn schema_oid(catalog: &Catalog, name: &str) -> u32 {
    match name {
        "pg_catalog" => PG_CATALOG_OID,
        "information_schema" => INFORMATION_SCHEMA_OID,
        "tm_catalog" => TM_CATALOG_OID,
        "public" => PUBLIC_OID,
        other => catalog.schemas().filter(|schema| *schema != "public").position(|schema| schema == other).map_or(0, |position| FIRST_SCHEMA_OID + position as u32),
    }
}

/// All schemas with their OIDs, in a stable order.
fn schemas(catalog: &Catalog) -> Vec<(String, u32)> {
    catalog::SYSTEM_SCHEMAS.iter().copied().chain(catalog.schemas()).map(|name| (name.to_string(), schema_oid(catalog, name))).collect()
}

/// `relkind`: a source is a foreign thing, but every tool knows how to show a table.
fn relkind(entry: &Entry) -> Option<char> {
    use catalog::Definition;
    match &entry.definition {
        Definition::Table(_) => Some('r'),
        Definition::Source(_) => entry.definition.schema().map(|_| 'r'),
        Definition::View(_) => Some('v'),
        Definition::MaterializedView(_) => Some('m'),
        Definition::Index(_) => Some('i'),
        Definition::Connection(_) | Definition::Secret(_) => None,
    }
}

/// Entries that are relations, with their kind.
fn relation_entries<'a>(catalog: &'a Catalog) -> impl Iterator<Item = (&'a Arc<Entry>, char)> {
    catalog.entries().filter_map(|entry| Some((entry, relkind(entry)?)))
}

/// `name`, quoted if an identifier must be.
pub fn quoted(name: &str) -> String {
    let plain = name.chars().enumerate().all(|(position, character)| {
        character == '_' || character.is_ascii_lowercase() || (position > 0 && (character.is_ascii_digit() || character == '$'))
    });
    if plain && !name.is_empty() { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The name a session sees: qualified unless its search path finds it.
fn visible_name(schema_name: &str, name: &str, search_path: &[String]) -> String {
    if search_path.iter().any(|schema| schema == schema_name) || schema_name == "pg_catalog" {
        quoted(name)
    } else {
        format!("{}.{}", quoted(schema_name), quoted(name))
    }
}

/// `CREATE INDEX i ON public.t USING btree (a, lower(b))`.
fn index_definition(entry: &Entry, index: &catalog::IndexDefinition, on: &Entry) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}INDEX {} ON {}.{} USING btree ({})", quoted(&entry.name), quoted(&on.schema_name), quoted(&on.name), index.keys_sql.join(", "))
}

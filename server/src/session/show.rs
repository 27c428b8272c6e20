//! SHOW: settings, objects, and the statements that make them.

use super::Session;
use super::create_sql::parts_of;
use super::define::{kind_of, resolve, resolve_kind};
use super::read::ready;
use crate::Error;
use crate::execution::{Execution, ResultColumn, RowsTag};
use catalog::{Catalog, Definition, Entry, RelationRole, SYSTEM_SCHEMAS, SourceDefinition};
use repr::{ColumnType, Datum, Row, Type};
use sql::parse::{ObjectKind, Show, ShowKind};
use std::sync::Arc;

pub(super) fn text_columns(names: &[&str]) -> Arc<Vec<ResultColumn>> {
    let column = |name: &&str| ResultColumn { name: name.to_string(), column_type: ColumnType::new(Type::Text), table_oid: 0, column_number: 0 };
    Arc::new(names.iter().map(column).collect())
}

pub(super) fn text_row(values: &[Option<String>]) -> Row {
    Row::pack(values.iter().map(|value| value.as_deref().map_or(Datum::Null, Datum::Text)))
}

pub(super) fn columns(show: &Show) -> Arc<Vec<ResultColumn>> {
    match show {
        Show::Variable { name } => {
            let shown = super::variables::find(name).and_then(|position| super::variables::VARIABLES.get(position)).map_or(name.as_str(), |variable| variable.name);
            text_columns(&[shown])
        }
        Show::All => text_columns(&["name", "setting", "description"]),
        Show::Create { .. } => text_columns(&["name", "create_sql"]),
        Show::Objects { kind, .. } => text_columns(match kind {
            ShowKind::Columns => &["name", "nullable", "type"],
            ShowKind::Indexes => &["name", "on", "key", "schema"],
            ShowKind::Connections => &["name", "type", "schema"],
            ShowKind::Schemas | ShowKind::Databases => &["name"],
            ShowKind::Objects => &["name", "type", "schema"],
            ShowKind::Sources => &["name", "type", "schema", "comment"],
            _ => &["name", "schema", "comment"],
        }),
    }
}

impl Session {
    pub(super) async fn show(&mut self, show: &Show, text: &str) -> Result<Execution, Error> {
        let rows = match show {
            Show::Variable { name } => vec![text_row(&[Some(self.settings.show(name)?)])],
            Show::All => self.settings.all().into_iter().map(|(name, value, description)| text_row(&[Some(name), Some(value), Some(description)])).collect(),
            Show::Create { kind, name } => {
                let planner = self.planner(None, text);
                let found = match (kind, kind_of(*kind)) {
                    // SHOW CREATE TABLE of a relation of a source is what tools ask for.
                    (ObjectKind::Table, _) | (_, None) => resolve(&planner, name)?,
                    (_, Some(kind)) => resolve_kind(&planner, kind, name)?,
                };
                vec![text_row(&[Some(super::create_sql::qualified(&found.schema_name, &found.name)), Some(found.create_sql.clone())])]
            }
            Show::Objects { kind: ShowKind::Columns, from: Some(name), like } => {
                let planner = self.planner(None, text);
                let relation = sql::Names::resolve_relation(&planner.names, &parts_of(name), &planner.context.search_path).map_err(|error| planner.error(error))?;
                let shown = relation.schema.columns.iter().filter(|column| matches_like(&column.name, like.as_deref()));
                let row = |column: &repr::Column| {
                    let column_type = column.column_type.scalar.sql_name(column.column_type.modifier);
                    text_row(&[Some(column.name.clone()), Some(column.column_type.nullable.to_string()), Some(column_type)])
                };
                shown.map(row).collect()
            }
            Show::Objects { kind, from, like } => {
                let catalog = self.catalog();
                let on = match (kind, from) {
                    (ShowKind::Indexes, Some(name)) => Some(resolve(&self.planner(None, text), name)?.id),
                    _ => None,
                };
                let schema = from.as_ref().filter(|_| on.is_none()).map(|name| parts_of(name).pop().unwrap_or_default());
                if let Some(schema) = &schema
                    && !catalog.has_schema(schema)
                {
                    return Err(Error::new("3F000", format!("schema \"{schema}\" does not exist")));
                }
                let mut rows: Vec<Vec<Option<String>>> = match kind {
                    ShowKind::Schemas => catalog.schemas().chain(SYSTEM_SCHEMAS).map(|name| vec![Some(name.to_string())]).collect(),
                    ShowKind::Databases => vec![vec![Some(super::DATABASE.to_string())]],
                    _ => {
                        let entries = catalog.entries().filter(|entry| schema.as_ref().is_none_or(|schema| entry.schema_name == *schema));
                        entries.filter_map(|entry| object_row(*kind, entry, on, &catalog)).collect()
                    }
                };
                rows.retain(|row| matches_like(row.first().and_then(Option::as_deref).unwrap_or_default(), like.as_deref()));
                rows.sort();
                rows.iter().map(|row| text_row(row)).collect()
            }
        };
        Ok(ready(columns(show), rows, RowsTag::Fixed("SHOW".to_string())))
    }
}

fn object_row(kind: ShowKind, entry: &Entry, on: Option<repr::CollectionId>, catalog: &Catalog) -> Option<Vec<Option<String>>> {
    let name = Some(entry.name.clone());
    let schema = Some(entry.schema_name.clone());
    let comment = entry.comment.clone();
    match (kind, &entry.definition) {
        (ShowKind::Tables, Definition::Table(_))
        | (ShowKind::Views, Definition::View(_))
        | (ShowKind::MaterializedViews, Definition::MaterializedView(_))
        | (ShowKind::Secrets, Definition::Secret(_)) => Some(vec![name, schema, comment]),
        (ShowKind::Sources, Definition::Source(SourceDefinition { role, .. })) => {
            let what = match role {
                RelationRole::Single(_) | RelationRole::Parent => "kafka",
                RelationRole::Child { .. } => "table of a source",
            };
            Some(vec![name, Some(what.to_string()), schema, comment])
        }
        (ShowKind::Connections, Definition::Connection(connection)) => Some(vec![name, Some(connection.connection_type.clone()), schema]),
        (ShowKind::Indexes, Definition::Index(index)) if on.is_none_or(|on| on == index.on) => {
            let on = catalog.get(index.on).map(|on| on.name.clone());
            Some(vec![name, on, Some(index.keys_sql.join(", ")), schema])
        }
        (ShowKind::Objects, definition) => Some(vec![name, Some(definition.kind().to_string()), schema]),
        _ => None,
    }
}

/// LIKE with `%` and `_`, as SHOW's patterns are.
fn matches_like(name: &str, pattern: Option<&str>) -> bool {
    fn matches(name: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['%', rest @ ..] => (0..=name.len()).any(|skipped| matches(name.get(skipped..).unwrap_or_default(), rest)),
            ['_', rest @ ..] => name.split_first().is_some_and(|(_, name)| matches(name, rest)),
            ['\\', letter, rest @ ..] | [letter, rest @ ..] => name.split_first().is_some_and(|(first, name)| first == letter && matches(name, rest)),
        }
    }
    let Some(pattern) = pattern else { return true };
    // Runs of `%` are one: the search stays short.
    let mut letters: Vec<char> = pattern.chars().collect();
    letters.dedup_by(|next, before| *next == '%' && *before == '%');
    matches(&name.chars().collect::<Vec<_>>(), &letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [("orders", "ord%", true), ("orders", "%e_s", true), ("orders", "orders", true), ("orders", "o", false), ("a%b", "a\\%b", true), ("axb", "a\\%b", false), ("", "%%", true)];
        for (name, pattern, expected) in cases {
            assert_eq!(matches_like(name, Some(pattern)), expected, "{name} LIKE {pattern}");
        }
    }
}

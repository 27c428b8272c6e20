//! The catalog as the binder sees it.

use super::{oid_of, quoted, relations, schema_oid, visible_name};
use catalog::{Catalog, Definition, Entry};
use repr::{CollectionId, Type};
use sql::{BindError, BindResult, IndexInfo, Names, Relation, RelationKind, SessionContext, ViewDefinition, codes};
use std::sync::Arc;

/// One catalog value, and the built-in relations beside it.
#[derive(Clone)]
pub struct CatalogNames {
    catalog: Arc<Catalog>,
}

impl CatalogNames {
    pub fn new(catalog: Arc<Catalog>) -> CatalogNames {
        CatalogNames { catalog }
    }

    /// The entry a name means: found in its schema, or along the search path.
    pub fn entry(&self, parts: &[String], search_path: &[String]) -> Option<&Arc<Entry>> {
        match parts {
            [name] => search_path.iter().find_map(|schema| self.catalog.resolve(schema, name)),
            [.., schema, name] => self.catalog.resolve(schema, name),
            [] => None,
        }
    }

    fn system(&self, parts: &[String], search_path: &[String]) -> Option<&'static super::SystemRelation> {
        match parts {
            // `pg_catalog` is searched first, as in Postgres, wherever the path has it.
            [name] => super::find("pg_catalog", name).or_else(|| search_path.iter().find_map(|schema| super::find(schema, name))),
            [.., schema, name] => super::find(schema, name),
            [] => None,
        }
    }

    fn relation(&self, entry: &Entry) -> Option<Relation> {
        let schema = entry.definition.schema()?.clone();
        let indexes = self.indexes_of(entry.id);
        let mut relation = Relation {
            id: entry.id,
            kind: RelationKind::Table,
            schema_name: entry.schema_name.clone(),
            name: entry.name.clone(),
            schema,
            view: None,
            indexes,
            append_only: self.is_append_only(entry.id),
        };
        match &entry.definition {
            Definition::Table(_) => {}
            Definition::Source(_) => relation.kind = RelationKind::Source,
            Definition::MaterializedView(_) => relation.kind = RelationKind::MaterializedView,
            Definition::View(view) => {
                // A view somebody indexed is kept: it is read from there.
                let kept = self.catalog.indexes_on(entry.id).map(|(_, index)| index.relation).find(|kept| *kept != entry.id);
                if let Some(kept) = kept {
                    relation.kind = RelationKind::MaterializedView;
                    relation.id = kept;
                    relation.indexes = self.indexes_of(kept);
                } else {
                    relation.kind = RelationKind::View;
                    let query = sql::parse::parse_body(&view.query_sql).ok()?;
                    relation.view = Some(Arc::new(ViewDefinition { query, search_path: view.settings.search_path.clone() }));
                }
            }
            Definition::Index(_) | Definition::Connection(_) | Definition::Secret(_) => return None,
        }
        Some(relation)
    }

    /// The plain view whose rows a hidden relation keeps.
    fn kept_view(&self, id: CollectionId) -> Option<&Arc<Entry>> {
        self.catalog.entries().find_map(|entry| match &entry.definition {
            Definition::Index(index) if index.relation == id && index.on != id => self.catalog.get(index.on),
            _ => None,
        })
    }
}

fn undefined(parts: &[String]) -> BindError {
    BindError::new(codes::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", parts.join(".")))
}

impl Names for CatalogNames {
    fn resolve_relation(&self, parts: &[String], search_path: &[String]) -> BindResult<Arc<Relation>> {
        if let [database, _, _] = parts
            && database != "tidemark"
        {
            return Err(BindError::unsupported(format!("cross-database references are not implemented: \"{}\"", parts.join("."))));
        }
        if let [.., schema, _] = parts
            && !self.catalog.has_schema(schema)
        {
            return Err(undefined(parts));
        }
        if let Some(relation) = self.system(parts, search_path) {
            return Ok(Arc::new(Relation {
                id: relation.id,
                kind: RelationKind::System,
                schema_name: relation.schema_name.to_string(),
                name: relation.name.to_string(),
                schema: relation.schema.clone(),
                view: None,
                indexes: Vec::new(),
                append_only: false,
            }));
        }
        let entry = self.entry(parts, search_path).ok_or_else(|| undefined(parts))?;
        match self.relation(entry) {
            Some(relation) => Ok(Arc::new(relation)),
            None => {
                let kind = entry.definition.kind();
                let article = if matches!(kind, catalog::Kind::Index) { "an" } else { "a" };
                let error = BindError::new(codes::WRONG_OBJECT_TYPE, format!("\"{}\" is {article} {kind}", entry.name));
                Err(match &entry.definition {
                    Definition::Source(_) => error.with_hint("The source carries other relations: read those."),
                    _ => error,
                })
            }
        }
    }

    fn oid_of(&self, reg_type: &Type, parts: &[String], search_path: &[String]) -> Option<u32> {
        match reg_type {
            Type::Regclass => self.system(parts, search_path).map(|relation| relation.oid).or_else(|| self.entry(parts, search_path).map(|entry| oid_of(entry.id))),
            Type::Regnamespace => match parts {
                [name] if self.catalog.has_schema(name) => Some(schema_oid(&self.catalog, name)),
                _ => None,
            },
            Type::Regproc => super::postgres_types::IO_FUNCTIONS.iter().find(|(_, name)| parts.last().is_some_and(|part| part == name)).map(|(oid, _)| *oid),
            _ => None,
        }
    }

    fn name_of(&self, reg_type: &Type, oid: u32, search_path: &[String]) -> Option<String> {
        match reg_type {
            Type::Regclass => {
                let system = relations().iter().find(|relation| relation.oid == oid).map(|relation| visible_name(relation.schema_name, relation.name, search_path));
                system.or_else(|| self.catalog.entries().find(|entry| oid_of(entry.id) == oid).map(|entry| visible_name(&entry.schema_name, &entry.name, search_path)))
            }
            Type::Regtype => Type::from_oid(oid).map(|scalar| scalar.sql_name(-1)),
            Type::Regnamespace => super::schemas(&self.catalog).into_iter().find(|(_, schema)| *schema == oid).map(|(name, _)| quoted(&name)),
            Type::Regproc => super::postgres_types::IO_FUNCTIONS.iter().find(|(function, _)| *function == oid).map(|(_, name)| name.to_string()),
            _ => None,
        }
    }

    fn indexes_of(&self, id: CollectionId) -> Vec<IndexInfo> {
        let on = self.kept_view(id).map_or(id, |view| view.id);
        let Some(entry) = self.catalog.get(on) else { return Vec::new() };
        let mut indexes = Vec::new();
        // A table's or source relation's own arrangement. How a view is arranged is the renderer's choice.
        if matches!(entry.definition, Definition::Table(_) | Definition::Source(_))
            && let Some(schema) = entry.definition.schema()
        {
            let key = schema.default_key().into_iter().map(plan::Scalar::Column).collect();
            indexes.push(IndexInfo { id, key, unique: !schema.keys.is_empty() });
        }
        for (index_entry, index) in self.catalog.indexes_on(on) {
            let schema = entry.definition.schema().cloned().unwrap_or_default();
            if let Ok(key) = sql::bind_index_keys(&index.keys_sql, &entry.name, &schema, self, &SessionContext::default()) {
                indexes.push(IndexInfo { id: index_entry.id, key, unique: false });
            }
        }
        indexes
    }

    fn keys_of(&self, id: CollectionId) -> Vec<Vec<usize>> {
        let entry = self.catalog.get(id).or_else(|| self.kept_view(id));
        entry.and_then(|entry| entry.definition.schema()).map(|schema| schema.keys.clone()).unwrap_or_default()
    }

    fn is_append_only(&self, id: CollectionId) -> bool {
        // ENVELOPE NONE without a key: rows are never retracted.
        match self.catalog.get(id).map(|entry| &entry.definition) {
            Some(Definition::Source(source)) => serde_json::from_str::<sources::SourceSpec>(&source.options).is_ok_and(|spec| spec.envelope == sources::Envelope::None),
            _ => false,
        }
    }

    fn default_of(&self, id: CollectionId, column: usize) -> Option<sql::parse::ast::Expr> {
        let Definition::Table(table) = &self.catalog.get(id)?.definition else { return None };
        let default = table.defaults.iter().find(|default| default.column == column)?;
        // It was bound when the table was made.
        sql::parse::parse_expression(&default.expression_sql).ok()
    }

    fn similar_relation(&self, name: &str) -> Option<String> {
        let candidates = self.catalog.entries().filter(|entry| entry.definition.schema().is_some()).map(|entry| entry.name.as_str());
        candidates.map(|candidate| (distance(candidate, name), candidate)).filter(|(distance, _)| *distance <= 2).min().map(|(_, candidate)| candidate.to_string())
    }
}

/// Edits from one name to another (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (position, character) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = position + 1;
        for column in 0..right.len() {
            let substitution = diagonal + usize::from(character != right[column]);
            diagonal = row[column + 1];
            row[column + 1] = substitution.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

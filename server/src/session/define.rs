//! CREATE, DROP, ALTER, COMMENT: changes of the catalog.
//!
//! Each statement is planned against one catalog value and becomes a list of changes. Outside of a block the coordinator makes them at once, and the statement is
//! planned anew if another change came first; in a block they wait for COMMIT with the writes.

use super::create_sql::{self, parts_of, qualified};
use super::dispatch::RunMode;
use super::planner::Planner;
use super::read::kept_view;
use super::transaction::Definitions;
use super::Session;
use crate::Error;
use crate::coordinator::Request;
use crate::execution::Execution;
use crate::system::CatalogNames;
use catalog::{
    Catalog, CatalogError, Change, ColumnDefault, ConnectionDefinition, Definition, Entry, IndexDefinition, Kind, RelationRole, SYSTEM_SCHEMAS, SecretValue, SessionSettings, SourceDefinition,
    TableDefinition, ViewDefinition,
};
use repr::{CollectionId, Datum, Schema, Type};
use sql::parse::ast::ObjectName;
use sql::parse::{ConnectionKind, CreateConnection, CreateIndex, CreateTable, CreateView, Drop, ObjectKind, OptionValue, Statement, ident_value};
use sql::{Mode, Parameters, RelationKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How often a definition is planned again because another one came first.
const DEFINE_TRIES_MAX: usize = 10;

/// What a statement wants to change.
#[derive(Default)]
pub struct Planned {
    pub changes: Vec<Change>,
    pub notices: Vec<(&'static str, String)>,
}

impl Planned {
    fn notice(sqlstate: &'static str, message: String) -> Planned {
        Planned { changes: Vec::new(), notices: vec![(sqlstate, message)] }
    }
}

impl From<Vec<Change>> for Planned {
    fn from(changes: Vec<Change>) -> Planned {
        Planned { changes, notices: Vec::new() }
    }
}

impl Session {
    pub(super) async fn define(&mut self, statement: &Statement, text: &str) -> Result<Execution, Error> {
        let tag = tag_of(statement);
        self.check_writable(tag)?;
        let transaction = self.enter_transaction();
        let waits = transaction.explicit || transaction.has_changes() || self.run_mode == RunMode::OneOfMany;
        let mut tries = 0;
        loop {
            let pending = self.transaction.as_ref().and_then(|transaction| transaction.definitions.clone());
            let catalog = pending.as_ref().map_or_else(|| self.shared.catalog(), |pending| pending.catalog.clone());
            let planned = self.plan_definition(statement, &catalog, text).await?;
            self.lock_dropped(&planned.changes).await?;
            if !planned.changes.is_empty() {
                if waits {
                    self.remember(pending.as_deref(), &catalog, &planned.changes)?;
                } else {
                    match self.define_now(&catalog, planned.changes.clone()).await {
                        Err(error) if error.sqlstate() == "40001" && tries < DEFINE_TRIES_MAX => {
                            tries += 1;
                            continue;
                        }
                        result => result?,
                    }
                }
            }
            for (sqlstate, message) in planned.notices {
                self.notice(sqlstate, message);
            }
            return Ok(Execution::Command { tag: tag.to_string() });
        }
    }

    async fn define_now(&self, catalog: &Catalog, changes: Vec<Change>) -> Result<(), Error> {
        let dropped: Vec<CollectionId> = changes.iter().filter_map(|change| if let Change::Drop(id) = change { Some(*id) } else { None }).collect();
        let (answer, receiver) = oneshot::channel();
        self.shared.request(Request::Define { catalog_version: catalog.version(), changes, initial: Vec::new(), answer }).await?;
        receiver.await.map_err(|_| Error::shutting_down())??;
        dropped.into_iter().for_each(|id| self.shared.table_locks.forget(id));
        Ok(())
    }

    /// Nobody writes to a table while it goes.
    async fn lock_dropped(&mut self, changes: &[Change]) -> Result<(), Error> {
        let catalog = self.shared.catalog();
        let tables: BTreeSet<CollectionId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Drop(id) if matches!(catalog.get(*id).map(|entry| &entry.definition), Some(Definition::Table(_))) => Some(*id),
                _ => None,
            })
            .collect();
        self.lock_tables(tables, false).await
    }

    /// Keeps changes until COMMIT. What the transaction has created itself and drops again never was.
    fn remember(&mut self, pending: Option<&Definitions>, catalog: &Arc<Catalog>, changes: &[Change]) -> Result<(), Error> {
        let base = self.shared.catalog();
        let base_version = pending.map_or(catalog.version(), |pending| pending.base_version);
        if base.version() != base_version {
            return Err(Error::new("40001", "the catalog was changed by another session at the same time").with_hint("Try the transaction again."));
        }
        let mut all = pending.map(|pending| pending.changes.clone()).unwrap_or_default();
        let transaction = self.enter_transaction();
        for change in changes {
            let is_created = |id: CollectionId| all.iter().any(|earlier| matches!(earlier, Change::Create(entry) if entry.id == id));
            match change {
                Change::Drop(id) if is_created(*id) => {
                    all.retain(|earlier| !matches!(earlier, Change::Create(entry) | Change::Alter(entry) if entry.id == *id));
                    transaction.writes.forget(*id);
                }
                Change::Drop(id) => {
                    transaction.writes.forget(*id);
                    all.push(change.clone());
                }
                Change::Alter(entry) if is_created(entry.id) => {
                    for earlier in &mut all {
                        if let Change::Create(created) = earlier
                            && created.id == entry.id
                        {
                            *created = entry.clone();
                        }
                    }
                }
                _ => all.push(change.clone()),
            }
        }
        let next = base.apply(&all)?;
        transaction.definitions = Some(Arc::new(Definitions { base_version, changes: all, catalog: Arc::new(next) }));
        Ok(())
    }

    pub(super) fn planner_over<'a>(&self, catalog: &Arc<Catalog>, text: &'a str) -> Planner<'a> {
        Planner { names: CatalogNames::new(catalog.clone()), catalog: catalog.clone(), context: self.context(), published: None, text }
    }

    async fn plan_definition(&self, statement: &Statement, catalog: &Arc<Catalog>, text: &str) -> Result<Planned, Error> {
        if let Statement::CreateSource(create) = statement {
            return self.create_source(create, catalog, text).await;
        }
        let planner = self.planner_over(catalog, text);
        match statement {
            Statement::CreateTable(create) => self.create_table(create, &planner),
            Statement::CreateView(create) => self.create_view(create, &planner),
            Statement::CreateIndex(create) => self.create_index(create, &planner),
            Statement::CreateConnection(create) => self.create_connection(create, &planner),
            Statement::CreateSecret(create) => {
                let (schema_name, name) = self.new_name(&create.name, &planner)?;
                if let Some(skipped) = exists(&planner, &schema_name, &name, create.if_not_exists, Kind::Secret)? {
                    return Ok(skipped);
                }
                let target = repr::ColumnType::new(Type::Text);
                let (value, _) = planner.constant(&create.value, Some(&target), "CREATE SECRET")?;
                let Some(Datum::Text(value)) = value.get(0) else { return Err(Error::new("22004", "the value of a secret must not be null")) };
                let create_sql = create_sql::secret(&qualified(&schema_name, &name));
                Ok(vec![Change::Create(entry(catalog.next_id(), schema_name, name, Definition::Secret(SecretValue(value.to_string())), create_sql, Vec::new()))].into())
            }
            Statement::CreateSchema { name, if_not_exists } => {
                let parts = parts_of(name);
                let [name] = parts.as_slice() else { return Err(Error::unsupported("a schema's name has one part")) };
                if name.starts_with("pg_") {
                    return Err(Error::new("42939", format!("unacceptable schema name \"{name}\"")).with_detail("The prefix \"pg_\" is reserved for system schemas."));
                }
                if catalog.has_schema(name) && *if_not_exists {
                    return Ok(Planned::notice("42P06", format!("schema \"{name}\" already exists, skipping")));
                }
                Ok(vec![Change::CreateSchema(name.clone())].into())
            }
            Statement::Drop(drop) => self.drop_objects(drop, &planner),
            Statement::AlterRename { kind, name, if_exists, new_name } => self.rename(*kind, name, *if_exists, &ident_value(new_name), &planner),
            Statement::Comment { kind, name, text } => {
                let Some(kind) = kind_of(*kind) else { return Err(Error::unsupported("comments on this kind of object are not supported")) };
                let found = resolve_kind(&planner, kind, name)?;
                let mut entry = (*found).clone();
                entry.comment = text.clone();
                Ok(vec![Change::Alter(entry)].into())
            }
            Statement::CreateSink(_) => Err(Error::unsupported("sinks are not supported yet").with_hint("SUBSCRIBE gives the changes of any relation.")),
            Statement::CreateRole { .. } => Err(Error::unsupported("roles are not supported yet")),
            _ => Err(Error::unsupported("this statement is not supported")),
        }
    }

    /// Where a new object goes: its schema, which exists and is not built in, and its name.
    pub(super) fn new_name(&self, name: &ObjectName, planner: &Planner<'_>) -> Result<(String, String), Error> {
        let mut parts = parts_of(name);
        let Some(object) = parts.pop() else { return Err(Error::new("42601", "an object needs a name")) };
        let schema_name = match parts.as_slice() {
            [] => match self.settings.search_path().iter().find(|schema| *schema != "pg_catalog" && planner.catalog.has_schema(schema)) {
                Some(schema) => schema.clone(),
                None => return Err(Error::new("3F000", "no schema has been selected to create in")),
            },
            [schema] => schema.clone(),
            [database, schema] if database == super::DATABASE => schema.clone(),
            _ => return Err(Error::unsupported(format!("cross-database references are not implemented: \"{name}\""))),
        };
        if !planner.catalog.has_schema(&schema_name) {
            return Err(Error::new("3F000", format!("schema \"{schema_name}\" does not exist")));
        }
        if SYSTEM_SCHEMAS.contains(&schema_name.as_str()) {
            return Err(Error::new("42501", format!("permission denied to create \"{schema_name}.{object}\"")).with_detail("System catalog modifications are currently disallowed."));
        }
        Ok((schema_name, object))
    }

    fn create_table(&self, create: &CreateTable, planner: &Planner<'_>) -> Result<Planned, Error> {
        if create.temporary {
            return Err(Error::unsupported("temporary tables are not supported"));
        }
        if let Some(option) = create.with.first() {
            return Err(Error::new("22023", format!("unrecognized parameter \"{}\"", option.name.to_ascii_lowercase())));
        }
        let (schema_name, name) = self.new_name(&create.name, planner)?;
        if let Some(skipped) = exists(planner, &schema_name, &name, create.if_not_exists, Kind::Table)? {
            return Ok(skipped);
        }
        let bound = sql::bind_columns(&create.columns, &planner.names, &planner.context).map_err(|error| planner.error(error))?;
        let defaults = bound.columns.iter().enumerate();
        let defaults: Vec<ColumnDefault> =
            defaults.filter_map(|(column, bound)| bound.default.as_ref().map(|default| ColumnDefault { column, expression_sql: default.to_string() })).collect();
        let create_sql = create_sql::table(&qualified(&schema_name, &name), &bound.schema, &defaults);
        let definition = Definition::Table(TableDefinition { schema: bound.schema, defaults });
        Ok(vec![Change::Create(entry(planner.catalog.next_id(), schema_name, name, definition, create_sql, Vec::new()))].into())
    }

    fn create_view(&self, create: &CreateView, planner: &Planner<'_>) -> Result<Planned, Error> {
        if create.temporary {
            return Err(Error::unsupported("temporary views are not supported"));
        }
        let catalog = &planner.catalog;
        let (schema_name, name) = self.new_name(&create.name, planner)?;
        let kind = if create.materialized { Kind::MaterializedView } else { Kind::View };
        let replaced = catalog.resolve(&schema_name, &name).filter(|_| create.or_replace).cloned();
        if replaced.is_none()
            && let Some(skipped) = exists(planner, &schema_name, &name, create.if_not_exists, kind)?
        {
            return Ok(skipped);
        }
        let mode = if create.materialized { Mode::Maintained } else { Mode::OneShot };
        let mut parameters = Parameters::default();
        let bound = sql::bind_body(&create.query, &planner.names, &planner.context, &mut parameters, mode).map_err(|error| planner.error(error))?;
        if !parameters.types().is_empty() {
            return Err(Error::new("42P02", "there is no parameter $1"));
        }
        let mut schema = bound.schema.clone();
        let depends_on = dependencies(catalog, &bound.depends_on);
        let plan = sql::optimize(bound.into_plan(), &planner.names, mode);
        let keys = plan.unique_keys(&|id| sql::Names::keys_of(&planner.names, id));
        let is_key = |key: &Vec<usize>| !key.is_empty() && key.iter().all(|column| schema.columns.get(*column).is_some_and(|column| !column.column_type.nullable));
        let mut keys: Vec<Vec<usize>> = keys.into_iter().filter(is_key).collect();
        keys.sort_by_key(Vec::len);
        let query_sql = rename_columns(create, &name, &mut schema)?;
        let mut seen = BTreeSet::new();
        if let Some(column) = schema.columns.iter().find(|column| !seen.insert(column.name.as_str())) {
            return Err(Error::new("42701", format!("column \"{}\" specified more than once", column.name)));
        }
        schema.keys = keys;
        let settings = SessionSettings { search_path: self.settings.search_path().to_vec(), time_zone: self.settings.time_zone_name().to_string() };
        let create_sql = create_sql::view(&qualified(&schema_name, &name), create.materialized, &query_sql);
        let view = ViewDefinition { query_sql, schema, settings };
        let definition = if create.materialized { Definition::MaterializedView(view) } else { Definition::View(view) };
        let Some(old) = replaced else {
            return Ok(vec![Change::Create(entry(catalog.next_id(), schema_name, name, definition, create_sql, depends_on))].into());
        };
        if !matches!(old.definition, Definition::View(_)) {
            return Err(Error::new("42809", format!("\"{name}\" is not a view")));
        }
        if create.materialized || catalog.dependents(old.id).next().is_some() {
            return Err(Error::unsupported(format!("cannot replace view \"{name}\" because other objects depend on it")).with_hint("Drop them first, or create a view of another name."));
        }
        if depends_on.iter().any(|id| catalog.drop_order(&[old.id]).contains(id)) {
            return Err(Error::new("42P17", format!("infinite recursion detected in rules for relation \"{name}\"")));
        }
        let mut new = entry(old.id, schema_name, name, definition, create_sql, depends_on);
        new.comment.clone_from(&old.comment);
        Ok(vec![Change::Alter(new)].into())
    }

    fn create_index(&self, create: &CreateIndex, planner: &Planner<'_>) -> Result<Planned, Error> {
        let catalog = &planner.catalog;
        if let Some(clause) = create.unsupported.first() {
            return Err(Error::unsupported(format!("{clause} in CREATE INDEX is not supported")));
        }
        if let Some(method) = create.method.as_deref().filter(|method| !matches!(*method, "btree" | "hash")) {
            return Err(Error::new("42704", format!("access method \"{method}\" does not exist")).with_hint("Indexes are ordered: leave USING out."));
        }
        let on = resolve(planner, &create.on)?;
        let Some(schema) = on.definition.schema().cloned() else {
            return Err(Error::new("42809", format!("\"{}\" is not a table, view, materialized view or source", on.name)));
        };
        let key = schema.keys.first().cloned().unwrap_or_else(|| (0..schema.arity()).collect());
        let keys_sql: Vec<String> = if create.default {
            key.iter().filter_map(|column| schema.columns.get(*column)).map(|column| super::variables::quote_name(&column.name)).collect()
        } else {
            create.keys.iter().map(|key| key.expr.to_string()).collect()
        };
        let bound = sql::bind_index_keys(&keys_sql, &on.name, &schema, &planner.names, &planner.context).map_err(super::bind_error)?;
        if create.unique {
            let has = |column: &usize| bound.contains(&plan::Scalar::Column(*column));
            if !schema.keys.iter().any(|key| key.iter().all(has)) {
                return Err(Error::unsupported(format!("cannot create unique index: \"{}\" is not known to have unique values there", on.name))
                    .with_hint("Create it without UNIQUE, or declare a PRIMARY KEY."));
            }
        }
        let name = match &create.name {
            Some(name) => ident_value(name),
            None => {
                let columns: Vec<String> = bound
                    .iter()
                    .map(|scalar| match scalar {
                        plan::Scalar::Column(column) => schema.columns.get(*column).map_or_else(String::new, |column| column.name.clone()),
                        _ => "expr".to_string(),
                    })
                    .collect();
                let base = if create.default { format!("{}_primary_idx", on.name) } else { format!("{}_{}_idx", on.name, columns.join("_")) };
                free_name(catalog, &on.schema_name, base)
            }
        };
        if let Some(skipped) = exists(planner, &on.schema_name, &name, create.if_not_exists, Kind::Index)? {
            return Ok(skipped);
        }
        let id = catalog.next_id();
        let kept = catalog.indexes_on(on.id).map(|(_, index)| index.relation).find(|relation| *relation != on.id);
        let relation = match &on.definition {
            Definition::View(_) => kept.unwrap_or(CollectionId(id.0 + 1)),
            _ => on.id,
        };
        let index = IndexDefinition { on: on.id, relation, keys_sql, unique: create.unique };
        let create_sql = create_sql::index(&name, &qualified(&on.schema_name, &on.name), &index);
        Ok(vec![Change::Create(entry(id, on.schema_name.clone(), name, Definition::Index(index), create_sql, vec![on.id]))].into())
    }

    fn create_connection(&self, create: &CreateConnection, planner: &Planner<'_>) -> Result<Planned, Error> {
        if create.kind != ConnectionKind::Kafka {
            return Err(Error::unsupported("only connections to KAFKA are supported yet"));
        }
        let (schema_name, name) = self.new_name(&create.name, planner)?;
        if let Some(skipped) = exists(planner, &schema_name, &name, create.if_not_exists, Kind::Connection)? {
            return Ok(skipped);
        }
        let mut options = BTreeMap::new();
        let mut depends_on = Vec::new();
        for option in &create.options {
            let key = option.name.to_ascii_lowercase();
            let invalid = || Error::new("22023", format!("option {} of a connection needs a value", option.name));
            let value = match option.value.as_ref().ok_or_else(invalid)? {
                OptionValue::Secret(name) => {
                    let secret = resolve_kind(planner, Kind::Secret, name)?;
                    depends_on.push(secret.id);
                    catalog::OptionValue::Secret(secret.id)
                }
                OptionValue::List(values) => {
                    let texts: Vec<String> = values
                        .iter()
                        .filter_map(|value| match value {
                            OptionValue::Text(text) => Some(text.clone()),
                            _ => None,
                        })
                        .collect();
                    catalog::OptionValue::Text(texts.join(","))
                }
                _ => catalog::OptionValue::Text(option.text().ok_or_else(invalid)?),
            };
            if options.insert(key, value).is_some() {
                return Err(Error::new("42601", format!("conflicting or redundant options: {} is given twice", option.name)));
            }
        }
        depends_on.sort_unstable();
        depends_on.dedup();
        let create_sql = create_sql::connection(&qualified(&schema_name, &name), create);
        let definition = Definition::Connection(ConnectionDefinition { connection_type: "kafka".to_string(), options });
        let changes = vec![Change::Create(entry(planner.catalog.next_id(), schema_name, name, definition, create_sql, depends_on))];
        // Options are checked by who will use them.
        crate::coordinator::broker_config(&planner.catalog.apply(&changes)?, planner.catalog.next_id())?;
        Ok(changes.into())
    }

    fn drop_objects(&self, drop: &Drop, planner: &Planner<'_>) -> Result<Planned, Error> {
        let catalog = &planner.catalog;
        if drop.kind == ObjectKind::Schema {
            return drop_schemas(drop, catalog);
        }
        let Some(kind) = kind_of(drop.kind) else { return Err(Error::unsupported("DROP of this kind of object is not supported")) };
        let mut planned = Planned::default();
        let mut roots: Vec<Arc<Entry>> = Vec::new();
        for name in &drop.names {
            match resolve_kind(planner, kind, name) {
                Ok(found) => {
                    if let Definition::Source(SourceDefinition { role: RelationRole::Child { parent, .. }, .. }) = &found.definition
                        && let Some(parent) = catalog.get(*parent)
                    {
                        return Err(Error::new("2BP01", format!("cannot drop source {} because source {} requires it", found.name, parent.name))
                            .with_hint(format!("You can drop source {} instead.", parent.name)));
                    }
                    roots.push(found);
                }
                Err(error) if drop.if_exists && matches!(error.sqlstate(), "42P01" | "42704" | "3F000") => {
                    planned.notices.push(("00000", format!("{error}, skipping")));
                }
                Err(error) => return Err(error),
            }
        }
        planned.changes = drop_changes(catalog, &roots, drop.cascade, &mut planned.notices)?;
        Ok(planned)
    }

    fn rename(&self, kind: ObjectKind, name: &ObjectName, if_exists: bool, new_name: &str, planner: &Planner<'_>) -> Result<Planned, Error> {
        let Some(kind) = kind_of(kind) else { return Err(Error::unsupported("ALTER of this kind of object is not supported")) };
        let found = match resolve_kind(planner, kind, name) {
            Ok(found) => found,
            Err(error) if if_exists && matches!(error.sqlstate(), "42P01" | "42704") => return Ok(Planned::notice("00000", format!("{error}, skipping"))),
            Err(error) => return Err(error),
        };
        let catalog = &planner.catalog;
        exists(planner, &found.schema_name, new_name, false, kind)?;
        // Their queries are kept as text, which names it.
        let named_by: Vec<Entry> =
            catalog.dependents(found.id).filter(|dependent| matches!(dependent.definition, Definition::View(_) | Definition::MaterializedView(_))).map(|entry| (**entry).clone()).collect();
        if !named_by.is_empty() {
            let detail: Vec<String> = named_by.iter().map(|dependent| format!("{} {} depends on {kind} {}", dependent.definition.kind(), dependent.name, found.name)).collect();
            return Err(Error::new("2BP01", format!("cannot rename {kind} {} because other objects depend on it", found.name)).with_detail(detail.join("\n")));
        }
        let mut entry = (*found).clone();
        let (old, new) = match kind {
            Kind::Index => (super::variables::quote_name(&found.name), super::variables::quote_name(new_name)),
            _ => (qualified(&found.schema_name, &found.name), qualified(&found.schema_name, new_name)),
        };
        entry.create_sql = found.create_sql.replacen(&old, &new, 1);
        entry.name = new_name.to_string();
        Ok(vec![Change::Alter(entry)].into())
    }
}

/// Names given to a view's columns become part of its query.
fn rename_columns(create: &CreateView, name: &str, schema: &mut Schema) -> Result<String, Error> {
    if create.columns.is_empty() {
        return Ok(create.query_text.clone());
    }
    if create.columns.len() > schema.arity() {
        return Err(Error::new("42601", "CREATE VIEW specifies more column names than columns"));
    }
    if !create.query.mutually_recursive.is_empty() {
        return Err(Error::unsupported("a column list is not supported with WITH MUTUALLY RECURSIVE").with_hint("Name the columns in the query."));
    }
    for (column, name) in schema.columns.iter_mut().zip(&create.columns) {
        column.name = ident_value(name);
    }
    let names: Vec<String> = schema.columns.iter().map(|column| super::variables::quote_name(&column.name)).collect();
    Ok(format!("SELECT * FROM ({}) AS {} ({})", create.query_text, super::variables::quote_name(name), names.join(", ")))
}

/// The objects a query depends on: what it names; an indexed view's rows also need the index that keeps them.
fn dependencies(catalog: &Catalog, depends_on: &[CollectionId]) -> Vec<CollectionId> {
    let mut ids = BTreeSet::new();
    for id in depends_on.iter().copied().filter(|id| !id.is_system()) {
        match kept_view(catalog, id) {
            Some(view) if catalog.get(id).is_none() => {
                ids.insert(view);
                ids.extend(catalog.indexes_on(view).find(|(_, index)| index.relation == id).map(|(entry, _)| entry.id));
            }
            _ => {
                ids.insert(id);
            }
        }
    }
    ids.into_iter().collect()
}

/// Drops `roots` and what belongs to them; what merely depends on them only with CASCADE.
fn drop_changes(catalog: &Catalog, roots: &[Arc<Entry>], cascade: bool, notices: &mut Vec<(&'static str, String)>) -> Result<Vec<Change>, Error> {
    let mut own: BTreeSet<CollectionId> = roots.iter().map(|entry| entry.id).collect();
    let mut open: Vec<CollectionId> = own.iter().copied().collect();
    while let Some(id) = open.pop() {
        for dependent in catalog.dependents(id) {
            let belongs = match &dependent.definition {
                Definition::Index(index) => index.on == id,
                Definition::Source(SourceDefinition { role: RelationRole::Child { parent, .. }, .. }) => *parent == id,
                _ => false,
            };
            if belongs && own.insert(dependent.id) {
                open.push(dependent.id);
            }
        }
    }
    let ids: Vec<CollectionId> = own.iter().copied().collect();
    let order = catalog.drop_order(&ids);
    let others: Vec<&Arc<Entry>> = order.iter().filter(|id| !own.contains(id)).filter_map(|id| catalog.get(*id)).collect();
    if let Some(first) = others.first() {
        if !cascade {
            let root = first.depends_on.iter().find(|id| own.contains(id)).or(ids.first());
            let entry = root.and_then(|id| catalog.get(*id)).cloned();
            let Some(entry) = entry else { return Err(Error::internal("a dependent of nothing")) };
            let dependents = others.iter().map(|dependent| (***dependent).clone()).collect();
            return Err(CatalogError::DependentObjectsStillExist { entry: Box::new((*entry).clone()), dependents }.into());
        }
        notices.push(match others.as_slice() {
            [one] => ("00000", format!("drop cascades to {} {}", one.definition.kind(), one.name)),
            many => ("00000", format!("drop cascades to {} other objects", many.len())),
        });
    }
    Ok(order.into_iter().map(Change::Drop).collect())
}

fn drop_schemas(drop: &Drop, catalog: &Catalog) -> Result<Planned, Error> {
    let mut planned = Planned::default();
    for name in &drop.names {
        let name = parts_of(name).pop().unwrap_or_default();
        if SYSTEM_SCHEMAS.contains(&name.as_str()) {
            return Err(Error::new("2BP01", format!("cannot drop schema {name} because it is required by the database system")));
        }
        if !catalog.has_schema(&name) {
            if drop.if_exists {
                planned.notices.push(("00000", format!("schema \"{name}\" does not exist, skipping")));
                continue;
            }
            return Err(Error::new("3F000", format!("schema \"{name}\" does not exist")));
        }
        let inside: Vec<Arc<Entry>> = catalog.entries().filter(|entry| entry.schema_name == name).cloned().collect();
        if !inside.is_empty() {
            if !drop.cascade {
                return Err(CatalogError::SchemaNotEmpty(name).into());
            }
            planned.changes.extend(drop_changes(catalog, &inside, true, &mut planned.notices)?);
        }
        planned.changes.push(Change::DropSchema(name));
    }
    Ok(planned)
}

pub(super) fn entry(id: CollectionId, schema_name: String, name: String, definition: Definition, create_sql: String, depends_on: Vec<CollectionId>) -> Entry {
    Entry { id, schema_name, name, definition, create_sql, depends_on, comment: None }
}

/// A name that is free, by a number behind it.
fn free_name(catalog: &Catalog, schema_name: &str, base: String) -> String {
    let mut name: String = base.chars().take(sql::parse::IDENTIFIER_BYTES_MAX).collect();
    let mut number = 0;
    while catalog.resolve(schema_name, &name).is_some() {
        number += 1;
        name = format!("{base}{number}");
    }
    name
}

/// The notice of IF NOT EXISTS, or the error without it; `None` if the name is free.
pub(super) fn exists(planner: &Planner<'_>, schema_name: &str, name: &str, if_not_exists: bool, kind: Kind) -> Result<Option<Planned>, Error> {
    if planner.catalog.resolve(schema_name, name).is_none() {
        return Ok(None);
    }
    let noun = if matches!(kind, Kind::Connection | Kind::Secret) { "object" } else { "relation" };
    let message = format!("{noun} \"{name}\" already exists");
    if if_not_exists { Ok(Some(Planned::notice("42P07", format!("{message}, skipping")))) } else { Err(Error::new("42P07", message)) }
}

/// An object by its name, whatever its kind.
pub(super) fn resolve(planner: &Planner<'_>, name: &ObjectName) -> Result<Arc<Entry>, Error> {
    let parts = parts_of(name);
    if let Some(found) = planner.names.entry(&parts, &planner.context.search_path) {
        return Ok(found.clone());
    }
    // The binder's error for what is not there; what it finds and we do not is built in.
    match sql::Names::resolve_relation(&planner.names, &parts, &planner.context.search_path) {
        Ok(relation) if relation.kind == RelationKind::System => Err(Error::new("42809", format!("\"{}\" is a system relation", relation.name))),
        Ok(_) => Err(Error::new("42P01", format!("relation \"{}\" does not exist", parts.join(".")))),
        Err(error) => Err(super::bind_error(error)),
    }
}

/// An object of a kind by its name, with Postgres' errors for DROP and its like.
pub(super) fn resolve_kind(planner: &Planner<'_>, kind: Kind, name: &ObjectName) -> Result<Arc<Entry>, Error> {
    let parts = parts_of(name);
    let Some(found) = planner.names.entry(&parts, &planner.context.search_path) else {
        let code = if matches!(kind, Kind::Index | Kind::Connection | Kind::Secret) { "42704" } else { "42P01" };
        return Err(Error::new(code, format!("{kind} \"{}\" does not exist", parts.join("."))));
    };
    let actual = found.definition.kind();
    if actual != kind {
        let article = |kind: Kind| if matches!(kind, Kind::Index) { "an" } else { "a" };
        return Err(Error::new("42809", format!("\"{}\" is not {} {kind}", found.name, article(kind)))
            .with_hint(format!("It is {} {actual}: say {} instead.", article(actual), actual.to_string().to_ascii_uppercase())));
    }
    Ok(found.clone())
}

pub(super) fn kind_of(kind: ObjectKind) -> Option<Kind> {
    Some(match kind {
        ObjectKind::Table => Kind::Table,
        ObjectKind::View => Kind::View,
        ObjectKind::MaterializedView => Kind::MaterializedView,
        ObjectKind::Index => Kind::Index,
        ObjectKind::Source => Kind::Source,
        ObjectKind::Connection => Kind::Connection,
        ObjectKind::Secret => Kind::Secret,
        ObjectKind::Sink | ObjectKind::Schema | ObjectKind::Database | ObjectKind::Role | ObjectKind::User | ObjectKind::Column => return None,
    })
}

fn tag_of(statement: &Statement) -> &'static str {
    match statement {
        Statement::CreateTable(_) => "CREATE TABLE",
        Statement::CreateView(create) if create.materialized => "CREATE MATERIALIZED VIEW",
        Statement::CreateView(_) => "CREATE VIEW",
        Statement::CreateIndex(_) => "CREATE INDEX",
        Statement::CreateConnection(_) => "CREATE CONNECTION",
        Statement::CreateSecret(_) => "CREATE SECRET",
        Statement::CreateSource(_) => "CREATE SOURCE",
        Statement::CreateSink(_) => "CREATE SINK",
        Statement::CreateSchema { .. } => "CREATE SCHEMA",
        Statement::CreateRole { .. } => "CREATE ROLE",
        Statement::Comment { .. } => "COMMENT",
        Statement::Drop(drop) => match drop.kind {
            ObjectKind::Table => "DROP TABLE",
            ObjectKind::View => "DROP VIEW",
            ObjectKind::MaterializedView => "DROP MATERIALIZED VIEW",
            ObjectKind::Index => "DROP INDEX",
            ObjectKind::Source => "DROP SOURCE",
            ObjectKind::Sink => "DROP SINK",
            ObjectKind::Connection => "DROP CONNECTION",
            ObjectKind::Secret => "DROP SECRET",
            ObjectKind::Schema => "DROP SCHEMA",
            ObjectKind::Database => "DROP DATABASE",
            ObjectKind::Role | ObjectKind::User => "DROP ROLE",
            ObjectKind::Column => "DROP",
        },
        Statement::AlterRename { kind, .. } => match kind {
            ObjectKind::Table => "ALTER TABLE",
            ObjectKind::View => "ALTER VIEW",
            ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
            ObjectKind::Index => "ALTER INDEX",
            ObjectKind::Source => "ALTER SOURCE",
            ObjectKind::Connection => "ALTER CONNECTION",
            ObjectKind::Secret => "ALTER SECRET",
            _ => "ALTER",
        },
        _ => "COMMAND",
    }
}

//! Postgres' own catalog, as clients read it.

use super::filler::{Filler, Value};
use super::*;
use catalog::Definition;

pub fn fill(name: &str) -> Option<Fill> {
    Some(match name {
        "pg_namespace" => namespaces,
        "pg_class" => classes,
        "pg_attribute" => attributes,
        "pg_attrdef" => defaults,
        "pg_index" => indexes,
        "pg_constraint" => constraints,
        "pg_type" => types,
        "pg_proc" => procedures,
        "pg_am" => access_methods,
        "pg_database" => databases,
        "pg_roles" => roles,
        "pg_authid" => auth_ids,
        "pg_user" => users,
        "pg_description" => descriptions,
        "pg_collation" => collations,
        "pg_settings" => settings,
        "pg_tables" => tables,
        "pg_views" => views,
        "pg_matviews" => materialized_views,
        "pg_indexes" => index_list,
        "pg_tablespace" => tablespaces,
        "pg_language" => languages,
        "pg_stat_user_tables" => user_tables,
        "pg_stat_activity" => activity,
        _ => return None,
    })
}

fn namespaces(world: &World<'_>, out: &mut Filler<'_>) {
    for (name, oid) in schemas(world.catalog) {
        out.row(&[("oid", oid.into()), ("nspname", name.into()), ("nspowner", ROLE_OID.into())]);
    }
}

fn classes(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, kind) in relation_entries(world.catalog) {
        let natts = match &entry.definition {
            Definition::Index(index) => index.keys_sql.len(),
            definition => definition.schema().map_or(0, |schema| schema.arity()),
        };
        let has_key = entry.definition.schema().is_some_and(|schema| !schema.keys.is_empty());
        let rows = world.published.and_then(|published| published.get(entry.id)).map_or(-1.0, |relation| relation.metrics().updates as f64);
        out.row(&[
            ("oid", oid_of(entry.id).into()),
            ("relname", entry.name.clone().into()),
            ("relnamespace", schema_oid(world.catalog, &entry.schema_name).into()),
            ("relowner", ROLE_OID.into()),
            ("relam", if kind == 'i' { BTREE_OID } else if kind == 'v' { 0 } else { HEAP_OID }.into()),
            ("reltuples", Value::Float(rows)),
            ("relhasindex", (has_key || world.catalog.indexes_on(entry.id).next().is_some()).into()),
            ("relpersistence", 'p'.into()),
            ("relkind", kind.into()),
            ("relnatts", natts.into()),
            ("relhasrules", (kind == 'v').into()),
            ("relispopulated", true.into()),
            ("relreplident", 'd'.into()),
        ]);
        // The primary key is a constraint with an index in Postgres; tools look for both.
        if let Some(key) = primary_key(entry) {
            out.row(&[
                ("oid", primary_key_oid(entry).into()),
                ("relname", primary_key_name(entry).into()),
                ("relnamespace", schema_oid(world.catalog, &entry.schema_name).into()),
                ("relowner", ROLE_OID.into()),
                ("relam", BTREE_OID.into()),
                ("relpersistence", 'p'.into()),
                ("relkind", 'i'.into()),
                ("relnatts", key.len().into()),
                ("relispopulated", true.into()),
                ("relreplident", 'n'.into()),
            ]);
        }
    }
    for relation in relations() {
        out.row(&[
            ("oid", relation.oid.into()),
            ("relname", relation.name.into()),
            ("relnamespace", schema_oid(world.catalog, relation.schema_name).into()),
            ("relowner", ROLE_OID.into()),
            ("relam", if relation.is_view { 0 } else { HEAP_OID }.into()),
            ("reltuples", Value::Float(-1.0)),
            ("relpersistence", 'p'.into()),
            ("relkind", if relation.is_view { 'v' } else { 'r' }.into()),
            ("relnatts", relation.schema.arity().into()),
            ("relispopulated", true.into()),
            ("relreplident", 'n'.into()),
        ]);
    }
}

const HEAP_OID: u32 = 2;
const BTREE_OID: u32 = 403;
/// Primary keys have no entries of their own; their OIDs are the relation's, moved up.
const PRIMARY_KEY_OIDS: u32 = 1_000_000_000;

pub(super) fn primary_key(entry: &Entry) -> Option<&Vec<usize>> {
    match &entry.definition {
        Definition::Table(_) | Definition::Source(_) => entry.definition.schema()?.keys.first(),
        _ => None,
    }
}

fn primary_key_oid(entry: &Entry) -> u32 {
    PRIMARY_KEY_OIDS + oid_of(entry.id)
}

fn primary_key_name(entry: &Entry) -> String {
    format!("{}_pkey", entry.name)
}

fn attributes(world: &World<'_>, out: &mut Filler<'_>) {
    // NOT NULL is a constraint of a table; what is merely known of a view's columns is none.
    let mut columns = |relation: u32, schema: &Schema, defaults: &[usize], is_constrained: bool| {
        for (position, column) in schema.columns.iter().enumerate() {
            let scalar = &column.column_type.scalar;
            out.row(&[
                ("attrelid", relation.into()),
                ("attname", column.name.clone().into()),
                ("atttypid", scalar.oid().into()),
                ("attstattarget", (-1).into()),
                ("attlen", i32::from(scalar.length()).into()),
                ("attnum", (position + 1).into()),
                ("attndims", usize::from(scalar.element().is_some()).into()),
                ("attcacheoff", (-1).into()),
                ("atttypmod", column.column_type.modifier.into()),
                ("attalign", 'i'.into()),
                ("attstorage", 'p'.into()),
                ("attnotnull", (is_constrained && !column.column_type.nullable).into()),
                ("atthasdef", defaults.contains(&position).into()),
                ("attislocal", true.into()),
                ("attcollation", if scalar.category() == 'S' { 100 } else { 0 }.into()),
            ]);
        }
    };
    for (entry, _) in relation_entries(world.catalog) {
        let defaults: Vec<usize> = match &entry.definition {
            Definition::Table(table) => table.defaults.iter().map(|default| default.column).collect(),
            _ => Vec::new(),
        };
        if let Some(schema) = entry.definition.schema() {
            columns(oid_of(entry.id), schema, &defaults, matches!(entry.definition, Definition::Table(_) | Definition::Source(_)));
        }
        if let Definition::Index(index) = &entry.definition
            && let Some(on) = world.catalog.get(index.on).and_then(|on| on.definition.schema())
        {
            let key = index.keys_sql.iter().map(|key| {
                let column = on.columns.iter().find(|column| quoted(&column.name) == *key);
                column.map_or_else(|| ("expr".to_string(), ColumnType::new(Type::Text)), |column| (column.name.clone(), column.column_type.clone()))
            });
            columns(oid_of(entry.id), &Schema::new(key), &[], false);
        }
        if let (Some(key), Some(schema)) = (primary_key(entry), entry.definition.schema()) {
            let key = key.iter().filter_map(|column| schema.columns.get(*column)).map(|column| (column.name.clone(), column.column_type.clone()));
            columns(primary_key_oid(entry), &Schema::new(key), &[], false);
        }
    }
    for relation in relations() {
        columns(relation.oid, &relation.schema, &[], true);
    }
}

fn defaults(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::Table(table) = &entry.definition {
            for default in &table.defaults {
                out.row(&[
                    ("oid", (oid_of(entry.id) + PRIMARY_KEY_OIDS / 2 + default.column as u32).into()),
                    ("adrelid", oid_of(entry.id).into()),
                    ("adnum", (default.column + 1).into()),
                    ("adbin", default.expression_sql.clone().into()),
                ]);
            }
        }
    }
}

fn indexes(world: &World<'_>, out: &mut Filler<'_>) {
    let mut index = |oid: u32, on: u32, columns: Vec<i64>, unique: bool, primary: bool| {
        let zeros = vec![0; columns.len()];
        out.row(&[
            ("indexrelid", oid.into()),
            ("indrelid", on.into()),
            ("indnatts", columns.len().into()),
            ("indnkeyatts", columns.len().into()),
            ("indisunique", unique.into()),
            ("indisprimary", primary.into()),
            ("indimmediate", true.into()),
            ("indisvalid", true.into()),
            ("indisready", true.into()),
            ("indislive", true.into()),
            ("indkey", Value::Numbers(columns)),
            ("indcollation", Value::Numbers(zeros.clone())),
            ("indclass", Value::Numbers(zeros.clone())),
            ("indoption", Value::Numbers(zeros)),
        ]);
    };
    for entry in world.catalog.entries() {
        if let Some(key) = primary_key(entry) {
            index(primary_key_oid(entry), oid_of(entry.id), key.iter().map(|column| *column as i64 + 1).collect(), true, true);
        }
        if let Definition::Index(definition) = &entry.definition {
            let schema = world.catalog.get(definition.on).and_then(|on| on.definition.schema());
            let number = |key: &String| schema.and_then(|schema| schema.columns.iter().position(|column| quoted(&column.name) == *key)).map_or(0, |position| position as i64 + 1);
            index(oid_of(entry.id), oid_of(definition.on), definition.keys_sql.iter().map(number).collect(), definition.unique, false);
        }
    }
}

fn constraints(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Some(key) = primary_key(entry) {
            out.row(&[
                ("oid", primary_key_oid(entry).into()),
                ("conname", primary_key_name(entry).into()),
                ("connamespace", schema_oid(world.catalog, &entry.schema_name).into()),
                ("contype", 'p'.into()),
                ("convalidated", true.into()),
                ("conrelid", oid_of(entry.id).into()),
                ("conindid", primary_key_oid(entry).into()),
                ("conislocal", true.into()),
                ("connoinherit", true.into()),
                ("conkey", Value::Numbers(key.iter().map(|column| *column as i64 + 1).collect())),
            ]);
        }
    }
}

fn types(_: &World<'_>, out: &mut Filler<'_>) {
    for scalar in postgres_types::all() {
        let is_array = scalar.element().is_some();
        out.row(&[
            ("oid", scalar.oid().into()),
            ("typname", scalar.pg_name().into()),
            ("typnamespace", PG_CATALOG_OID.into()),
            ("typowner", ROLE_OID.into()),
            ("typlen", i32::from(scalar.length()).into()),
            ("typbyval", (scalar.length() > 0 && scalar.length() <= 8).into()),
            ("typtype", if scalar.category() == 'P' { 'p' } else { 'b' }.into()),
            ("typcategory", scalar.category().into()),
            ("typispreferred", scalar.is_preferred().into()),
            ("typisdefined", true.into()),
            ("typdelim", ','.into()),
            ("typelem", scalar.element().map_or(0, Type::oid).into()),
            ("typarray", scalar.array_oid().into()),
            // Clients tell arrays by their input function.
            ("typinput", if is_array { postgres_types::ARRAY_IN_OID } else { 0 }.into()),
            ("typreceive", if is_array { postgres_types::ARRAY_RECV_OID } else { 0 }.into()),
            ("typalign", 'i'.into()),
            ("typstorage", 'x'.into()),
            ("typtypmod", (-1).into()),
            ("typcollation", if scalar.category() == 'S' { 100 } else { 0 }.into()),
        ]);
    }
}

fn procedures(_: &World<'_>, out: &mut Filler<'_>) {
    for (oid, name) in postgres_types::IO_FUNCTIONS {
        out.row(&[("oid", oid.into()), ("proname", name.into()), ("pronamespace", PG_CATALOG_OID.into()), ("proowner", ROLE_OID.into()), ("prokind", 'f'.into()), ("prorettype", 0.into())]);
    }
    for (position, function) in plan::functions::all().iter().enumerate() {
        if !function.name.starts_with(|character: char| character.is_ascii_alphabetic()) {
            continue;
        }
        out.row(&[
            ("oid", (postgres_types::FIRST_FUNCTION_OID + position as u32).into()),
            ("proname", function.name.into()),
            ("pronamespace", PG_CATALOG_OID.into()),
            ("proowner", ROLE_OID.into()),
            ("prokind", 'f'.into()),
            ("proisstrict", function.strict.into()),
            ("pronargs", function.arguments.len().into()),
            ("prorettype", function.result.oid().into()),
            ("proargtypes", Value::Numbers(function.arguments.iter().map(|argument| i64::from(argument.oid())).collect())),
            ("prosrc", function.name.into()),
        ]);
    }
}

fn access_methods(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&[("oid", HEAP_OID.into()), ("amname", "heap".into()), ("amtype", 't'.into())]);
    out.row(&[("oid", BTREE_OID.into()), ("amname", "btree".into()), ("amtype", 'i'.into())]);
}

fn databases(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&[
        ("oid", DATABASE_OID.into()),
        ("datname", "tidemark".into()),
        ("datdba", ROLE_OID.into()),
        ("encoding", 6.into()),
        ("datlocprovider", 'c'.into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", 1663.into()),
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
    ]);
}

fn roles(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&role("oid"));
}

fn auth_ids(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&role("oid"));
}

fn role(oid: &'static str) -> Vec<(&'static str, Value)> {
    vec![
        (oid, ROLE_OID.into()),
        ("rolname", crate::session::USER.into()),
        ("rolsuper", true.into()),
        ("rolinherit", true.into()),
        ("rolcreaterole", true.into()),
        ("rolcreatedb", true.into()),
        ("rolcanlogin", true.into()),
        ("rolconnlimit", (-1).into()),
    ]
}

fn users(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&[("usename", crate::session::USER.into()), ("usesysid", ROLE_OID.into()), ("usecreatedb", true.into()), ("usesuper", true.into())]);
}

fn descriptions(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Some(comment) = &entry.comment {
            out.row(&[("objoid", oid_of(entry.id).into()), ("classoid", 1259.into()), ("objsubid", 0.into()), ("description", comment.clone().into())]);
        }
    }
}

fn collations(_: &World<'_>, out: &mut Filler<'_>) {
    for (oid, name) in [(100, "default"), (950, "C"), (951, "POSIX")] {
        out.row(&[("oid", oid.into()), ("collname", name.into()), ("collnamespace", PG_CATALOG_OID.into()), ("collowner", ROLE_OID.into()), ("collprovider", 'c'.into()), ("collisdeterministic", true.into()), ("collencoding", (-1).into())]);
    }
}

fn settings(world: &World<'_>, out: &mut Filler<'_>) {
    for (name, value) in world.settings {
        out.row(&[("name", name.clone().into()), ("setting", value.clone().into()), ("context", "user".into()), ("vartype", "string".into()), ("source", "default".into())]);
    }
}

fn tables(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, kind) in relation_entries(world.catalog) {
        if kind == 'r' {
            let indexed = primary_key(entry).is_some() || world.catalog.indexes_on(entry.id).next().is_some();
            out.row(&[("schemaname", entry.schema_name.clone().into()), ("tablename", entry.name.clone().into()), ("tableowner", crate::session::USER.into()), ("hasindexes", indexed.into())]);
        }
    }
    for relation in relations().iter().filter(|relation| !relation.is_view) {
        out.row(&[("schemaname", relation.schema_name.into()), ("tablename", relation.name.into()), ("tableowner", crate::session::USER.into())]);
    }
}

fn views(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::View(view) = &entry.definition {
            out.row(&[("schemaname", entry.schema_name.clone().into()), ("viewname", entry.name.clone().into()), ("viewowner", crate::session::USER.into()), ("definition", view.query_sql.clone().into())]);
        }
    }
}

fn materialized_views(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::MaterializedView(view) = &entry.definition {
            let indexed = world.catalog.indexes_on(entry.id).next().is_some();
            let populated = world.published.and_then(|published| published.get(entry.id)).is_some_and(|relation| relation.is_hydrated());
            out.row(&[
                ("schemaname", entry.schema_name.clone().into()),
                ("matviewname", entry.name.clone().into()),
                ("matviewowner", crate::session::USER.into()),
                ("hasindexes", indexed.into()),
                ("ispopulated", populated.into()),
                ("definition", view.query_sql.clone().into()),
            ]);
        }
    }
}

fn index_list(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::Index(index) = &entry.definition
            && let Some(on) = world.catalog.get(index.on)
        {
            out.row(&[
                ("schemaname", entry.schema_name.clone().into()),
                ("tablename", on.name.clone().into()),
                ("indexname", entry.name.clone().into()),
                ("indexdef", index_definition(entry, index, on).into()),
            ]);
        }
    }
}

fn tablespaces(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&[("oid", 1663.into()), ("spcname", "pg_default".into()), ("spcowner", ROLE_OID.into())]);
}

fn languages(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&[("oid", 12.into()), ("lanname", "internal".into()), ("lanowner", ROLE_OID.into())]);
}

fn user_tables(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, kind) in relation_entries(world.catalog) {
        if kind == 'r' {
            let rows = world.published.and_then(|published| published.get(entry.id)).map_or(0, |relation| relation.metrics().updates);
            out.row(&[("relid", oid_of(entry.id).into()), ("schemaname", entry.schema_name.clone().into()), ("relname", entry.name.clone().into()), ("n_live_tup", rows.into())]);
        }
    }
}

/// The definition of a primary key's index and constraint, for `\d`.
pub(super) fn primary_key_definitions(entry: &Entry) -> Option<(u32, String, String)> {
    let schema = entry.definition.schema()?;
    let columns: Vec<String> = primary_key(entry)?.iter().filter_map(|column| schema.columns.get(*column)).map(|column| quoted(&column.name)).collect();
    let list = columns.join(", ");
    let index = format!("CREATE UNIQUE INDEX {} ON {}.{} USING btree ({list})", quoted(&primary_key_name(entry)), quoted(&entry.schema_name), quoted(&entry.name));
    Some((primary_key_oid(entry), index, format!("PRIMARY KEY ({list})")))
}

pub(super) fn primary_key_class(entry: &Entry) -> Option<(u32, String)> {
    primary_key(entry).map(|_| (primary_key_oid(entry), primary_key_name(entry)))
}

fn activity(world: &World<'_>, out: &mut Filler<'_>) {
    for session in world.sessions {
        let now = session.activity();
        out.row(&[
            ("datid", DATABASE_OID.into()),
            ("datname", crate::session::DATABASE.into()),
            ("pid", session.pid.into()),
            ("leader_pid", Value::Null),
            ("usesysid", ROLE_OID.into()),
            ("usename", session.user.clone().into()),
            ("application_name", now.application_name.into()),
            ("client_addr", session.client.ip().to_string().into()),
            ("client_port", i32::from(session.client.port()).into()),
            ("backend_start", session.began.into()),
            ("xact_start", now.transaction_began.into()),
            ("query_start", now.query_began.into()),
            ("state_change", now.changed.into()),
            ("state", now.state.into()),
            ("backend_xid", Value::Null),
            ("backend_xmin", Value::Null),
            ("query_id", Value::Null),
            ("query", now.query.into()),
            ("backend_type", "client backend".into()),
        ]);
    }
}

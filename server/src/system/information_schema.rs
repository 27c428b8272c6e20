//! The SQL standard's catalog.

use super::filler::{Filler, Value};
use super::*;
use catalog::Definition;

pub fn fill(name: &str) -> Option<Fill> {
    Some(match name {
        "schemata" => schemata,
        "tables" => tables,
        "columns" => columns,
        "views" => views,
        "table_constraints" => table_constraints,
        "key_column_usage" => key_columns,
        "enabled_roles" | "applicable_roles" => return None,
        _ => return None,
    })
}

const DATABASE: &str = "tidemark";

fn schemata(world: &World<'_>, out: &mut Filler<'_>) {
    for (name, _) in schemas(world.catalog) {
        out.row(&[("catalog_name", DATABASE.into()), ("schema_name", name.into()), ("schema_owner", crate::session::USER.into())]);
    }
}

fn tables(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, kind) in relation_entries(world.catalog) {
        let table_type = match kind {
            'v' => "VIEW",
            // Postgres hides materialized views here; tools that know nothing else find them as what they are read like.
            'm' => "MATERIALIZED VIEW",
            'r' => "BASE TABLE",
            _ => continue,
        };
        let writable = matches!(entry.definition, Definition::Table(_));
        out.row(&[
            ("table_catalog", DATABASE.into()),
            ("table_schema", entry.schema_name.clone().into()),
            ("table_name", entry.name.clone().into()),
            ("table_type", table_type.into()),
            ("is_insertable_into", if writable { "YES" } else { "NO" }.into()),
            ("is_typed", "NO".into()),
        ]);
    }
    for relation in relations() {
        out.row(&[
            ("table_catalog", DATABASE.into()),
            ("table_schema", relation.schema_name.into()),
            ("table_name", relation.name.into()),
            ("table_type", if relation.is_view { "VIEW" } else { "BASE TABLE" }.into()),
            ("is_insertable_into", "NO".into()),
            ("is_typed", "NO".into()),
        ]);
    }
}

fn columns(world: &World<'_>, out: &mut Filler<'_>) {
    let mut list = |schema_name: &str, name: &str, schema: &Schema, defaults: &[(usize, String)]| {
        for (position, column) in schema.columns.iter().enumerate() {
            let (scalar, modifier) = (&column.column_type.scalar, column.column_type.modifier);
            let data_type = if scalar.element().is_some() { "ARRAY".to_string() } else { scalar.sql_name(-1) };
            let numeric = matches!(scalar, Type::Numeric) && modifier >= 4;
            let bits = match scalar {
                Type::Int2 => Some(16),
                Type::Int4 => Some(32),
                Type::Int8 => Some(64),
                _ => None,
            };
            out.row(&[
                ("table_catalog", DATABASE.into()),
                ("table_schema", schema_name.to_string().into()),
                ("table_name", name.to_string().into()),
                ("column_name", column.name.clone().into()),
                ("ordinal_position", (position + 1).into()),
                ("column_default", defaults.iter().find(|(of, _)| *of == position).map(|(_, text)| text.clone()).into()),
                ("is_nullable", if column.column_type.nullable { "YES" } else { "NO" }.into()),
                ("data_type", data_type.into()),
                ("character_maximum_length", (matches!(scalar, Type::Varchar | Type::Bpchar) && modifier >= 4).then(|| modifier - 4).map_or(Value::Null, Value::from)),
                ("numeric_precision", if numeric { ((modifier - 4) >> 16).into() } else { Value::from(bits) }),
                ("numeric_precision_radix", if numeric { 10.into() } else { Value::from(bits.map(|_| 2)) }),
                ("numeric_scale", if numeric { ((modifier - 4) & 0xffff).into() } else { Value::from(bits.map(|_| 0)) }),
                ("udt_catalog", DATABASE.into()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", scalar.pg_name().into()),
                ("is_identity", "NO".into()),
                ("is_generated", "NEVER".into()),
                ("is_updatable", "YES".into()),
            ]);
        }
    };
    for (entry, _) in relation_entries(world.catalog) {
        let defaults: Vec<(usize, String)> = match &entry.definition {
            Definition::Table(table) => table.defaults.iter().map(|default| (default.column, default.expression_sql.clone())).collect(),
            _ => Vec::new(),
        };
        if let Some(schema) = entry.definition.schema() {
            list(&entry.schema_name, &entry.name, schema, &defaults);
        }
    }
    for relation in relations() {
        list(relation.schema_name, relation.name, &relation.schema, &[]);
    }
}

fn views(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::View(view) = &entry.definition {
            out.row(&[
                ("table_catalog", DATABASE.into()),
                ("table_schema", entry.schema_name.clone().into()),
                ("table_name", entry.name.clone().into()),
                ("view_definition", view.query_sql.clone().into()),
                ("check_option", "NONE".into()),
                ("is_updatable", "NO".into()),
                ("is_insertable_into", "NO".into()),
            ]);
        }
    }
}

fn primary_keys<'a>(catalog: &'a Catalog) -> impl Iterator<Item = (&'a Arc<Entry>, &'a Schema, &'a Vec<usize>)> {
    catalog.entries().filter_map(|entry| {
        let schema = matches!(entry.definition, Definition::Table(_) | Definition::Source(_)).then(|| entry.definition.schema()).flatten()?;
        Some((entry, schema, schema.keys.first()?))
    })
}

fn table_constraints(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, _, _) in primary_keys(world.catalog) {
        out.row(&[
            ("constraint_catalog", DATABASE.into()),
            ("constraint_schema", entry.schema_name.clone().into()),
            ("constraint_name", format!("{}_pkey", entry.name).into()),
            ("table_catalog", DATABASE.into()),
            ("table_schema", entry.schema_name.clone().into()),
            ("table_name", entry.name.clone().into()),
            ("constraint_type", "PRIMARY KEY".into()),
            ("is_deferrable", "NO".into()),
            ("initially_deferred", "NO".into()),
            ("enforced", "YES".into()),
        ]);
    }
}

fn key_columns(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, schema, key) in primary_keys(world.catalog) {
        for (position, column) in key.iter().filter_map(|column| schema.columns.get(*column)).enumerate() {
            out.row(&[
                ("constraint_catalog", DATABASE.into()),
                ("constraint_schema", entry.schema_name.clone().into()),
                ("constraint_name", format!("{}_pkey", entry.name).into()),
                ("table_catalog", DATABASE.into()),
                ("table_schema", entry.schema_name.clone().into()),
                ("table_name", entry.name.clone().into()),
                ("column_name", column.name.clone().into()),
                ("ordinal_position", (position + 1).into()),
            ]);
        }
    }
}

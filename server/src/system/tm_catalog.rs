//! What only Tidemark knows (`tm_catalog`), and the helper relations behind Postgres' catalog functions (`pg_catalog.tm_*`, see `sql::bind::catalog_functions`).

use super::filler::Filler;
use super::*;
use catalog::{Definition, Kind};

/// Schema, name, columns.
pub const DEFINITIONS: &[(&str, &str, &str)] = &[
    ("pg_catalog", "tm_visible", "oid oid"),
    ("pg_catalog", "tm_viewdef", "oid oid,definition text"),
    ("pg_catalog", "tm_indexdef", "oid oid,definition text"),
    ("pg_catalog", "tm_index_column", "oid oid,attnum int4,definition text"),
    ("pg_catalog", "tm_constraintdef", "oid oid,definition text"),
    ("pg_catalog", "tm_description", "oid oid,description text"),
    ("pg_catalog", "tm_column_description", "oid oid,attnum int4,description text"),
    ("pg_catalog", "tm_role_name", "oid oid,name text"),
    ("pg_catalog", "tm_type_name", "oid oid,name text"),
    ("pg_catalog", "tm_class_name", "oid oid,name text"),
    ("pg_catalog", "tm_namespace_name", "oid oid,name text"),
    ("pg_catalog", "tm_proc_name", "oid oid,name text"),
    ("pg_catalog", "tm_relation_size", "oid oid,bytes int8"),
    ("tm_catalog", "tm_objects", "id text,oid oid,schema_name text,name text,type text,create_sql text,comment text"),
    ("tm_catalog", "tm_dependencies", "object_id text,depends_on_id text"),
    ("tm_catalog", "tm_frontiers", "object_id text,schema_name text,name text,since int8,upper int8,hydrated bool"),
    ("tm_catalog", "tm_memory", "object_id text,schema_name text,name text,updates int8,batches int8,bytes int8"),
    ("tm_catalog", "tm_source_statuses", "source_id text,name text,state text,reason text,messages int8,bytes int8,updates int8,errors int8,duplicates_dropped int8,open_transactions int8"),
    ("tm_catalog", "tm_source_positions", "source_id text,name text,topic text,partition int4,offset_applied int8,offset_read int8,high_watermark int8,lag int8"),
    ("tm_catalog", "tm_source_errors", "source_id text,name text,relation text,topic text,partition int4,offset int8,key bytea,code text,reason text"),
    ("tm_catalog", "tm_functions", "name text,arguments text,result text,description text"),
];

pub fn fill(name: &str) -> Option<Fill> {
    Some(match name {
        "tm_visible" => visible,
        "tm_viewdef" => view_definitions,
        "tm_indexdef" => index_definitions,
        "tm_index_column" => index_columns,
        "tm_constraintdef" => constraint_definitions,
        "tm_description" => descriptions,
        "tm_role_name" => role_names,
        "tm_type_name" => type_names,
        "tm_class_name" => class_names,
        "tm_namespace_name" => namespace_names,
        "tm_proc_name" => procedure_names,
        "tm_relation_size" => relation_sizes,
        "tm_objects" => objects,
        "tm_dependencies" => dependencies,
        "tm_frontiers" => frontiers,
        "tm_memory" => memory,
        "tm_source_statuses" => source_statuses,
        "tm_source_positions" => source_positions,
        "tm_source_errors" => source_errors,
        "tm_functions" => functions,
        _ => return None,
    })
}

fn visible(world: &World<'_>, out: &mut Filler<'_>) {
    let is_on_path = |schema: &str| schema == "pg_catalog" || world.search_path.iter().any(|on_path| on_path == schema);
    for (entry, _) in relation_entries(world.catalog) {
        if is_on_path(&entry.schema_name) {
            out.row(&[("oid", oid_of(entry.id).into())]);
            if let Some((oid, _)) = pg_catalog::primary_key_class(entry) {
                out.row(&[("oid", oid.into())]);
            }
        }
    }
    for relation in relations().iter().filter(|relation| is_on_path(relation.schema_name)) {
        out.row(&[("oid", relation.oid.into())]);
    }
}

fn view_definitions(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::View(view) | Definition::MaterializedView(view) = &entry.definition {
            out.row(&[("oid", oid_of(entry.id).into()), ("definition", format!(" {};", view.query_sql).into())]);
        }
    }
}

fn index_definitions(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Definition::Index(index) = &entry.definition
            && let Some(on) = world.catalog.get(index.on)
        {
            out.row(&[("oid", oid_of(entry.id).into()), ("definition", index_definition(entry, index, on).into())]);
        }
        if let Some((oid, index, _)) = pg_catalog::primary_key_definitions(entry) {
            out.row(&[("oid", oid.into()), ("definition", index.into())]);
        }
    }
}

/// The definitions of indexes (number 0) and of their columns.
fn index_columns(world: &World<'_>, out: &mut Filler<'_>) {
    let mut add = |oid: u32, whole: String, columns: &[String]| {
        for (number, definition) in std::iter::once(&whole).chain(columns).enumerate() {
            out.row(&[("oid", oid.into()), ("attnum", number.into()), ("definition", definition.clone().into())]);
        }
    };
    for entry in world.catalog.entries() {
        if let Definition::Index(index) = &entry.definition
            && let Some(on) = world.catalog.get(index.on)
        {
            add(oid_of(entry.id), index_definition(entry, index, on), &index.keys_sql);
        }
        if let (Some((oid, whole, _)), Some(key), Some(schema)) = (pg_catalog::primary_key_definitions(entry), pg_catalog::primary_key(entry), entry.definition.schema()) {
            let columns: Vec<String> = key.iter().filter_map(|column| schema.columns.get(*column)).map(|column| quoted(&column.name)).collect();
            add(oid, whole, &columns);
        }
    }
}

fn constraint_definitions(world: &World<'_>, out: &mut Filler<'_>) {
    for (oid, _, constraint) in world.catalog.entries().filter_map(|entry| pg_catalog::primary_key_definitions(entry)) {
        out.row(&[("oid", oid.into()), ("definition", constraint.into())]);
    }
}

fn descriptions(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        if let Some(comment) = &entry.comment {
            out.row(&[("oid", oid_of(entry.id).into()), ("description", comment.clone().into())]);
        }
    }
}

fn role_names(_: &World<'_>, out: &mut Filler<'_>) {
    out.row(&[("oid", ROLE_OID.into()), ("name", crate::session::USER.into())]);
}

fn type_names(_: &World<'_>, out: &mut Filler<'_>) {
    for scalar in postgres_types::all() {
        out.row(&[("oid", scalar.oid().into()), ("name", scalar.sql_name(-1).into())]);
    }
}

fn class_names(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, _) in relation_entries(world.catalog) {
        out.row(&[("oid", oid_of(entry.id).into()), ("name", visible_name(&entry.schema_name, &entry.name, world.search_path).into())]);
        if let Some((oid, name)) = pg_catalog::primary_key_class(entry) {
            out.row(&[("oid", oid.into()), ("name", visible_name(&entry.schema_name, &name, world.search_path).into())]);
        }
    }
    for relation in relations() {
        out.row(&[("oid", relation.oid.into()), ("name", visible_name(relation.schema_name, relation.name, world.search_path).into())]);
    }
}

fn namespace_names(world: &World<'_>, out: &mut Filler<'_>) {
    for (name, oid) in schemas(world.catalog) {
        out.row(&[("oid", oid.into()), ("name", quoted(&name).into())]);
    }
}

fn procedure_names(_: &World<'_>, out: &mut Filler<'_>) {
    for (oid, name) in postgres_types::IO_FUNCTIONS {
        out.row(&[("oid", oid.into()), ("name", name.into())]);
    }
}

fn relation_sizes(world: &World<'_>, out: &mut Filler<'_>) {
    for (entry, _) in relation_entries(world.catalog) {
        let bytes = world.published.and_then(|published| published.get(entry.id)).map_or(0, |relation| relation.metrics().bytes);
        out.row(&[("oid", oid_of(entry.id).into()), ("bytes", bytes.into())]);
    }
}

fn objects(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        let create_sql = if entry.definition.kind() == Kind::Secret { None } else { Some(entry.create_sql.clone()) };
        out.row(&[
            ("id", entry.id.to_string().into()),
            ("oid", oid_of(entry.id).into()),
            ("schema_name", entry.schema_name.clone().into()),
            ("name", entry.name.clone().into()),
            ("type", entry.definition.kind().to_string().into()),
            ("create_sql", create_sql.into()),
            ("comment", entry.comment.clone().into()),
        ]);
    }
}

fn dependencies(world: &World<'_>, out: &mut Filler<'_>) {
    for entry in world.catalog.entries() {
        for on in &entry.depends_on {
            out.row(&[("object_id", entry.id.to_string().into()), ("depends_on_id", on.to_string().into())]);
        }
    }
}

fn frontiers(world: &World<'_>, out: &mut Filler<'_>) {
    let Some(published) = world.published else { return };
    for entry in world.catalog.entries() {
        if let Some(relation) = published.get(entry.id) {
            out.row(&[
                ("object_id", entry.id.to_string().into()),
                ("schema_name", entry.schema_name.clone().into()),
                ("name", entry.name.clone().into()),
                ("since", (relation.since().0 as i64).into()),
                ("upper", (relation.upper().0 as i64).into()),
                ("hydrated", relation.is_hydrated().into()),
            ]);
        }
    }
}

fn memory(world: &World<'_>, out: &mut Filler<'_>) {
    let Some(published) = world.published else { return };
    for entry in world.catalog.entries() {
        if let Some(relation) = published.get(entry.id) {
            let metrics = relation.metrics();
            out.row(&[
                ("object_id", entry.id.to_string().into()),
                ("schema_name", entry.schema_name.clone().into()),
                ("name", entry.name.clone().into()),
                ("updates", metrics.updates.into()),
                ("batches", metrics.batches.into()),
                ("bytes", metrics.bytes.into()),
            ]);
        }
    }
}

fn source_name(world: &World<'_>, id: CollectionId) -> String {
    world.catalog.get(id).map(|entry| entry.name.clone()).unwrap_or_default()
}

fn source_statuses(world: &World<'_>, out: &mut Filler<'_>) {
    use sources::SourceState;
    for report in world.sources {
        let (state, reason) = match &report.status.state {
            SourceState::Starting => ("starting", None),
            SourceState::Running => ("running", None),
            SourceState::Stalled { reason, .. } => ("stalled", Some(reason.clone())),
            SourceState::Failed(error) => ("failed", Some(error.to_string())),
            SourceState::Stopped => ("stopped", None),
        };
        let counters = &report.status.counters;
        out.row(&[
            ("source_id", report.source.to_string().into()),
            ("name", source_name(world, report.source).into()),
            ("state", state.into()),
            ("reason", reason.into()),
            ("messages", (counters.messages as i64).into()),
            ("bytes", (counters.bytes as i64).into()),
            ("updates", (counters.updates as i64).into()),
            ("errors", (counters.errors as i64).into()),
            ("duplicates_dropped", (counters.duplicates_dropped as i64).into()),
            ("open_transactions", (counters.open_transactions as i64).into()),
        ]);
    }
}

fn source_positions(world: &World<'_>, out: &mut Filler<'_>) {
    for report in world.sources {
        for partition in &report.status.partitions {
            out.row(&[
                ("source_id", report.source.to_string().into()),
                ("name", source_name(world, report.source).into()),
                ("topic", partition.topic.clone().into()),
                ("partition", partition.partition.into()),
                ("offset_applied", partition.applied_offset.into()),
                ("offset_read", partition.read_offset.into()),
                ("high_watermark", partition.high_watermark.into()),
                ("lag", partition.lag().into()),
            ]);
        }
    }
}

/// Undecodable messages, straight from the sources' errors collections.
fn source_errors(world: &World<'_>, out: &mut Filler<'_>) {
    let Some(published) = world.published else { return };
    for entry in world.catalog.entries() {
        let Definition::Source(catalog::SourceDefinition { errors: Some(errors), .. }) = &entry.definition else { continue };
        let Some(relation) = published.get(*errors) else { continue };
        let Some(time) = relation.upper().previous().filter(|time| *time >= relation.since()) else { continue };
        let mut found = Vec::new();
        relation.scan(time, &mut |bytes, diff| {
            if diff > 0 {
                found.extend(sources::ErrorRow::from_row(&Row::from_bytes(bytes)));
            }
            true
        });
        for error in found {
            out.row(&[
                ("source_id", entry.id.to_string().into()),
                ("name", entry.name.clone().into()),
                ("relation", source_name(world, error.relation).into()),
                ("topic", error.topic.into()),
                ("partition", error.partition.into()),
                ("offset", error.offset.into()),
                ("key", error.key.into()),
                ("code", error.code.as_str().to_string().into()),
                ("reason", error.reason.into()),
            ]);
        }
    }
}

fn functions(_: &World<'_>, out: &mut Filler<'_>) {
    for function in plan::functions::all() {
        let arguments: Vec<String> = function.arguments.iter().map(|argument| argument.sql_name(-1)).collect();
        out.row(&[
            ("name", function.name.into()),
            ("arguments", arguments.join(", ").into()),
            ("result", function.result.sql_name(-1).into()),
            ("description", function.description.into()),
        ]);
    }
}

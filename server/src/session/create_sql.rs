//! Statements that make an object again, as SHOW CREATE prints them. Secrets are never in them.

use super::variables::quote_name;
use catalog::{ColumnDefault, IndexDefinition};
use repr::Schema;
use sql::parse::ast;
use sql::parse::{CreateConnection, CreateSource, Envelope, Format, IncludeKind, KafkaSource, OptionValue, SourceFormat, SourceTables, WithOption, ident_value};
use std::fmt::Write;

/// `schema.name`, quoted where it must be.
pub fn qualified(schema_name: &str, name: &str) -> String {
    format!("{}.{}", quote_name(schema_name), quote_name(name))
}

pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The column list of a table or source, in parentheses.
pub fn columns(schema: &Schema, defaults: &[ColumnDefault]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (position, column) in schema.columns.iter().enumerate() {
        let mut part = format!("{} {}", quote_name(&column.name), column.column_type.scalar.sql_name(column.column_type.modifier));
        if !column.column_type.nullable {
            part.push_str(" NOT NULL");
        }
        if let Some(default) = defaults.iter().find(|default| default.column == position) {
            _ = write!(part, " DEFAULT {}", default.expression_sql);
        }
        parts.push(part);
    }
    if let Some(key) = schema.keys.first() {
        let names: Vec<String> = key.iter().filter_map(|column| schema.columns.get(*column)).map(|column| quote_name(&column.name)).collect();
        parts.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    format!("({})", parts.join(", "))
}

pub fn table(name: &str, schema: &Schema, defaults: &[ColumnDefault]) -> String {
    format!("CREATE TABLE {name} {}", columns(schema, defaults))
}

pub fn view(name: &str, materialized: bool, query: &str) -> String {
    format!("CREATE {}VIEW {name} AS {query}", if materialized { "MATERIALIZED " } else { "" })
}

pub fn index(name: &str, on: &str, index: &IndexDefinition) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}INDEX {} ON {on} ({})", quote_name(name), index.keys_sql.join(", "))
}

pub fn secret(name: &str) -> String {
    format!("CREATE SECRET {name} AS '<redacted>'")
}

pub fn connection(name: &str, statement: &CreateConnection) -> String {
    format!("CREATE CONNECTION {name} TO KAFKA ({})", options(&statement.options))
}

fn options(options: &[WithOption]) -> String {
    let parts = options.iter().map(|option| match &option.value {
        None => option.name.clone(),
        Some(value) => format!("{} {}", option.name, option_value(value)),
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn option_value(value: &OptionValue) -> String {
    match value {
        OptionValue::Text(text) => literal(text),
        OptionValue::Number(digits) => digits.clone(),
        OptionValue::Name(name) => name.to_string(),
        OptionValue::Secret(name) => format!("SECRET {name}"),
        OptionValue::List(values) => format!("({})", values.iter().map(option_value).collect::<Vec<_>>().join(", ")),
        OptionValue::Expr(expr) => expr.to_string(),
    }
}

/// A source with the columns it was given or has learned.
pub fn source(name: &str, statement: &CreateSource, kafka: &KafkaSource, connection: &str, relations: &[(String, Schema)]) -> String {
    let mut out = format!("CREATE SOURCE {name}");
    if statement.tables.is_none()
        && let Some((_, schema)) = relations.first()
    {
        // What INCLUDE adds is said by INCLUDE.
        let mut declared = schema.clone();
        declared.columns.truncate(schema.columns.len().saturating_sub(statement.include.len()));
        if statement.columns.is_some() {
            _ = write!(out, " {}", columns(&declared, &[]));
        }
    }
    let mut inside = Vec::new();
    let mut text = |name: &str, value: &Option<String>| inside.extend(value.iter().map(|value| format!("{name} {}", literal(value))));
    text("TOPIC", &kafka.topic);
    text("TOPIC PREFIX", &kafka.topic_prefix);
    text("TRANSACTION TOPIC", &kafka.transaction_topic);
    if !kafka.start_offsets.is_empty() {
        inside.push(format!("START OFFSET ({})", kafka.start_offsets.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")));
    }
    inside.extend(kafka.start_timestamp_ms.map(|millis| format!("START TIMESTAMP {millis}")));
    _ = write!(out, " FROM KAFKA CONNECTION {connection} ({})", inside.join(", "));
    match &statement.format {
        None => {}
        Some(SourceFormat::Both(format)) => _ = write!(out, " FORMAT {}", format_name(format)),
        Some(SourceFormat::KeyValue { key, value }) => _ = write!(out, " KEY FORMAT {} VALUE FORMAT {}", format_name(key), format_name(value)),
    }
    for (position, include) in statement.include.iter().enumerate() {
        let word = match include.what {
            IncludeKind::Key => "KEY",
            IncludeKind::Partition => "PARTITION",
            IncludeKind::Offset => "OFFSET",
            IncludeKind::Timestamp => "TIMESTAMP",
            IncludeKind::Headers => "HEADERS",
        };
        out.push_str(if position == 0 { " INCLUDE " } else { ", " });
        out.push_str(word);
        if let Some(alias) = &include.alias {
            _ = write!(out, " AS {}", quote_name(&ident_value(alias)));
        }
    }
    match &statement.envelope {
        None => {}
        Some(Envelope::None) => out.push_str(" ENVELOPE NONE"),
        Some(Envelope::Debezium) => out.push_str(" ENVELOPE DEBEZIUM"),
        Some(Envelope::Upsert { .. }) => out.push_str(" ENVELOPE UPSERT"),
        Some(Envelope::Other(word)) => _ = write!(out, " ENVELOPE {word}"),
    }
    if let Some(SourceTables::Tables(tables)) = &statement.tables {
        let parts = tables.iter().zip(relations).map(|(table, (name, schema))| format!("{} AS {name} {}", table.upstream, columns(schema, &[])));
        _ = write!(out, " FOR TABLES ({})", parts.collect::<Vec<_>>().join(", "));
    }
    if !statement.with.is_empty() {
        _ = write!(out, " WITH ({})", options(&statement.with));
    }
    out
}

fn format_name(format: &Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Text => "TEXT",
        Format::Bytes => "BYTES",
        Format::Avro { .. } => "AVRO",
        Format::Csv { .. } => "CSV",
        Format::Other { .. } => "OTHER",
    }
}

/// The folded parts of a dotted name.
pub fn parts_of(name: &ast::ObjectName) -> Vec<String> {
    name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), ident_value)).collect()
}

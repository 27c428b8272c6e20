//! CREATE SOURCE: from the statement to what the `sources` crate reads, checked against the broker before anything is created.

use super::Session;
use super::create_sql::{self, parts_of, qualified};
use super::define::{Planned, entry, exists, resolve_kind};
use super::planner::Planner;
use crate::Error;
use catalog::{Catalog, Change, Definition, Kind, RelationRole, SourceDefinition};
use repr::{CollectionId, Schema};
use sources::{Discovered, RelationSpec, SourceError, SourceOptions, SourceSpec, StartAt, Topics};
use sql::parse::{ColumnList, CreateSource, Envelope, Format, IncludeKind, KafkaSource, SourceFormat, SourceKind, SourceTables, ident_value};
use std::sync::Arc;

/// Relations of one source.
const SOURCE_TABLES_MAX: usize = 1000;

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Error {
        let mut converted = Error::new(error.code, error.message);
        if let Some(detail) = error.detail {
            converted = converted.with_detail(detail);
        }
        if let Some(hint) = error.hint {
            converted = converted.with_hint(hint);
        }
        converted
    }
}

/// A relation the source will have, and the name it gets here.
struct Relation {
    schema_name: String,
    name: String,
    spec: RelationSpec,
}

impl Session {
    pub(super) async fn create_source(&self, create: &CreateSource, catalog: &Arc<Catalog>, text: &str) -> Result<Planned, Error> {
        let (schema_name, name, kafka, connection, spec, relations, broker) = {
            let planner = self.planner_over(catalog, text);
            let (schema_name, name) = self.new_name(&create.name, &planner)?;
            if let Some(skipped) = exists(&planner, &schema_name, &name, create.if_not_exists, Kind::Source)? {
                return Ok(skipped);
            }
            let SourceKind::Kafka(kafka) = &create.kind else { return Err(Error::unsupported("only sources FROM KAFKA CONNECTION are supported yet")) };
            if let Some(option) = kafka.other.first() {
                return Err(Error::new("22023", format!("unrecognized source option \"{}\"", option.name)));
            }
            let connection = resolve_kind(&planner, Kind::Connection, &kafka.connection)?;
            let broker = crate::coordinator::broker_config(catalog, connection.id)?;
            let id = catalog.next_id();
            let relations = self.source_relations(create, kafka, id, (&schema_name, &name), &planner)?;
            let spec = spec_of(create, kafka, id, &relations)?;
            (schema_name, name, kafka, connection, spec, relations, broker)
        };
        let validated = tokio::task::spawn_blocking(move || sources::validate(&broker, &spec)).await;
        let Discovered { spec, .. } = validated.map_err(|_| Error::internal("the check of the source ended without a result"))??;
        let id = spec.id;
        let options = serde_json::to_string(&spec).map_err(|error| Error::internal(error.to_string()))?;
        let found: Vec<Schema> = relations.iter().map(|relation| spec.relations.iter().find(|spec| spec.id == relation.spec.id).map(|spec| spec.schema.clone()).unwrap_or_default()).collect();
        let named: Vec<(String, Schema)> = relations.iter().zip(&found).map(|(relation, schema)| (qualified(&relation.schema_name, &relation.name), schema.clone())).collect();
        let connection_name = qualified(&connection.schema_name, &connection.name);
        let create_sql = create_sql::source(&qualified(&schema_name, &name), create, kafka, &connection_name, &named);
        let errors = Some(CollectionId(id.0 + 1));
        let role = match (&create.tables, found.first()) {
            (None, Some(schema)) => RelationRole::Single(schema.clone()),
            _ => RelationRole::Parent,
        };
        let definition = Definition::Source(SourceDefinition { role, connection: Some(connection.id), options, errors });
        let mut changes = vec![Change::Create(entry(id, schema_name, name.clone(), definition, create_sql, vec![connection.id]))];
        if create.tables.is_some() {
            for (relation, schema) in relations.into_iter().zip(found) {
                let role = RelationRole::Child { parent: id, upstream_name: relation.spec.upstream_name, schema };
                let definition = Definition::Source(SourceDefinition { role, connection: None, options: String::new(), errors: None });
                let create_sql = format!("-- {} is a relation of source {name}: SHOW CREATE SOURCE {name}", relation.name);
                changes.push(Change::Create(entry(relation.spec.id, relation.schema_name, relation.name, definition, create_sql, vec![id])));
            }
        }
        Ok(changes.into())
    }

    fn source_relations(&self, create: &CreateSource, kafka: &KafkaSource, id: CollectionId, own: (&str, &str), planner: &Planner<'_>) -> Result<Vec<Relation>, Error> {
        let (schema_name, name) = own;
        match (&create.tables, &kafka.topic, &kafka.topic_prefix) {
            (None, Some(topic), None) => {
                if kafka.transaction_topic.is_some() {
                    return Err(Error::new("42601", "TRANSACTION TOPIC needs TOPIC PREFIX and FOR TABLES"));
                }
                let schema = columns_of(create.columns.as_ref(), planner)?;
                let spec = RelationSpec::new(id, topic.clone(), topic.clone(), schema);
                Ok(vec![Relation { schema_name: schema_name.to_string(), name: name.to_string(), spec }])
            }
            (Some(SourceTables::Tables(tables)), None, Some(prefix)) => {
                if create.columns.is_some() {
                    return Err(Error::new("42601", "the columns of a source with FOR TABLES are declared per table"));
                }
                if tables.len() > SOURCE_TABLES_MAX {
                    return Err(Error::new("54000", format!("a source has at most {SOURCE_TABLES_MAX} tables")));
                }
                let mut relations: Vec<Relation> = Vec::new();
                for (position, table) in tables.iter().enumerate() {
                    let upstream = parts_of(&table.upstream);
                    let (schema_name, name) = match &table.alias {
                        Some(alias) => self.new_name(alias, planner)?,
                        None => (schema_name.to_string(), upstream.last().cloned().unwrap_or_default()),
                    };
                    let taken = (schema_name == own.0 && name == own.1) || relations.iter().any(|other| other.schema_name == schema_name && other.name == name);
                    if taken {
                        return Err(Error::new("42P07", format!("relation \"{name}\" already exists")).with_hint("Give the table another name with AS."));
                    }
                    exists(planner, &schema_name, &name, false, Kind::Source)?;
                    let upstream_name = upstream.join(".");
                    let topic = format!("{prefix}.{upstream_name}");
                    let schema = columns_of(table.columns.as_ref(), planner)?;
                    // The source itself and its errors come first.
                    let spec = RelationSpec::new(CollectionId(id.0 + 2 + position as u64), upstream_name, topic, schema);
                    relations.push(Relation { schema_name, name, spec });
                }
                Ok(relations)
            }
            (Some(SourceTables::All | SourceTables::Schemas(_)), ..) => {
                Err(Error::unsupported("FOR ALL TABLES and FOR SCHEMAS are not supported for Kafka").with_hint("Name the tables: FOR TABLES (...)."))
            }
            (Some(_), ..) => Err(Error::new("42601", "FOR TABLES needs TOPIC PREFIX")),
            (None, _, Some(_)) => Err(Error::new("42601", "TOPIC PREFIX needs FOR TABLES")),
            (None, None, None) => Err(Error::new("42601", "a Kafka source needs TOPIC, or TOPIC PREFIX and FOR TABLES")),
        }
    }
}

fn columns_of(list: Option<&ColumnList>, planner: &Planner<'_>) -> Result<Schema, Error> {
    let Some(list) = list else { return Ok(Schema::default()) };
    let bound = sql::bind_columns(list, &planner.names, &planner.context).map_err(|error| planner.error(error))?;
    if bound.columns.iter().any(|column| column.default.is_some()) {
        return Err(Error::unsupported("DEFAULT is not supported in the columns of a source"));
    }
    Ok(bound.schema)
}

fn spec_of(create: &CreateSource, kafka: &KafkaSource, id: CollectionId, relations: &[Relation]) -> Result<SourceSpec, Error> {
    let topics = match (&kafka.topic, &kafka.topic_prefix) {
        (Some(topic), _) => Topics::Single { topic: topic.clone() },
        (None, prefix) => Topics::Prefix { prefix: prefix.clone().unwrap_or_default(), transaction_topic: kafka.transaction_topic.clone() },
    };
    let start = match (kafka.start_offsets.as_slice(), kafka.start_timestamp_ms) {
        ([], None) => StartAt::Beginning,
        (offsets, None) => StartAt::Offsets(offsets.to_vec()),
        ([], Some(millis)) => StartAt::Timestamp(millis),
        _ => return Err(Error::new("42601", "START OFFSET and START TIMESTAMP exclude each other")),
    };
    let (key_format, value_format) = match &create.format {
        None => return Err(Error::new("42601", "a Kafka source needs FORMAT").with_hint("Say FORMAT JSON, TEXT or BYTES.")),
        Some(SourceFormat::Both(format)) => (format_of(format)?, format_of(format)?),
        Some(SourceFormat::KeyValue { key, value }) => (format_of(key)?, format_of(value)?),
    };
    let envelope = match &create.envelope {
        None | Some(Envelope::None) => sources::Envelope::None,
        Some(Envelope::Upsert { value_decoding_errors_inline: false }) => sources::Envelope::Upsert,
        Some(Envelope::Upsert { .. }) => return Err(Error::unsupported("VALUE DECODING ERRORS = INLINE is not supported")),
        Some(Envelope::Debezium) => sources::Envelope::Debezium,
        Some(Envelope::Other(word)) => return Err(Error::unsupported(format!("ENVELOPE {word} is not supported"))),
    };
    let include = create.include.iter().map(|include| {
        let kind = match include.what {
            IncludeKind::Key => sources::IncludeKind::Key,
            IncludeKind::Partition => sources::IncludeKind::Partition,
            IncludeKind::Offset => sources::IncludeKind::Offset,
            IncludeKind::Timestamp => sources::IncludeKind::Timestamp,
            IncludeKind::Headers => sources::IncludeKind::Headers,
        };
        sources::Include { kind, name: include.alias.as_ref().map(ident_value) }
    });
    let mut options = SourceOptions::default();
    for option in &create.with {
        options.set(&option.name, &option.text().unwrap_or_default())?;
    }
    Ok(SourceSpec {
        id,
        topics,
        start,
        key_format,
        value_format,
        envelope,
        include: include.collect(),
        relations: relations.iter().map(|relation| relation.spec.clone()).collect(),
        options,
    })
}

fn format_of(format: &Format) -> Result<sources::Format, Error> {
    match format {
        Format::Json => Ok(sources::Format::Json),
        Format::Text => Ok(sources::Format::Text),
        Format::Bytes => Ok(sources::Format::Bytes),
        Format::Avro { .. } => Err(Error::unsupported("FORMAT AVRO is not supported yet")),
        Format::Csv { .. } => Err(Error::unsupported("FORMAT CSV is not supported for Kafka yet")),
        Format::Other { name, .. } => Err(Error::unsupported(format!("FORMAT {name} is not supported"))),
    }
}

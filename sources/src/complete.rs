//! From what `CREATE SOURCE` says to a complete specification: columns, where each comes from, keys. Pure: the sample was read before.

use repr::{Column, ColumnType, Schema, Type};

use crate::SourceError;
use crate::broker::{Headers, Message};
use crate::decode::connect::ConnectSchema;
use crate::decode::row::{RowDecoder, Surroundings};
use crate::json::{Token, field};
use crate::spec::{ColumnOrigin, Envelope, Format, IncludeKind, SourceSpec, Topics};

/// A message of a relation's topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
}

/// Refuses what cannot work whatever the topics hold.
pub(crate) fn check(spec: &SourceSpec) -> Result<(), SourceError> {
    if spec.relations.is_empty() {
        return Err(SourceError::definition("the source has no relation"));
    }
    for (position, relation) in spec.relations.iter().enumerate() {
        let earlier = spec.relations.get(..position).unwrap_or(&[]);
        if earlier.iter().any(|other| other.topic == relation.topic) {
            return Err(SourceError::definition(format!(
                "two tables of the source read topic \"{}\"",
                relation.topic
            )));
        }
    }
    if matches!(spec.topics, Topics::Prefix { .. }) && spec.envelope != Envelope::Debezium {
        return Err(SourceError::unsupported(
            "TOPIC PREFIX needs ENVELOPE DEBEZIUM",
        ));
    }
    if spec.envelope == Envelope::Debezium && spec.value_format != Format::Json {
        return Err(SourceError::unsupported(
            "ENVELOPE DEBEZIUM needs FORMAT JSON",
        ));
    }
    Ok(())
}

/// Fills in schema and origins of the relation at `position`.
pub(crate) fn complete(
    spec: &mut SourceSpec,
    position: usize,
    sample: Option<&Sample>,
) -> Result<(), SourceError> {
    let include: Vec<(IncludeKind, (String, ColumnType, ColumnOrigin))> = spec
        .include
        .iter()
        .map(|include| (include.kind, spec.include_column(include)))
        .collect();
    let (envelope, formats) = (spec.envelope, (spec.key_format, spec.value_format));
    let Some(relation) = spec.relations.get_mut(position) else {
        return Ok(());
    };
    if relation.schema.columns.is_empty() {
        (relation.schema, relation.origins) = match envelope {
            Envelope::Debezium => discovered(sample, &relation.topic)?,
            Envelope::None | Envelope::Upsert => whole_value(formats.1),
        };
    } else if relation.origins.is_empty() {
        let columns = &relation.schema.columns;
        relation.origins = match formats.1 {
            Format::Json => columns
                .iter()
                .map(|column| ColumnOrigin::Field(column.name.clone()))
                .collect(),
            // Of text and bytes there is one column, unless the key is another.
            Format::Text | Format::Bytes => columns.iter().map(|_| ColumnOrigin::Value).collect(),
        };
    }
    let has_key_column = include.iter().any(|(kind, _)| *kind == IncludeKind::Key);
    for (_, (name, column_type, origin)) in include {
        add_column(
            &mut relation.schema,
            &mut relation.origins,
            name,
            column_type,
            origin,
        )?;
    }
    match envelope {
        Envelope::None if !relation.schema.keys.is_empty() => {
            return Err(SourceError::definition(
                "a source with ENVELOPE NONE cannot have a PRIMARY KEY: it keeps every message",
            )
            .hint("Use ENVELOPE UPSERT to keep the newest message of each key."));
        }
        Envelope::None => {}
        Envelope::Upsert => complete_upsert(relation, formats, has_key_column, sample)?,
        Envelope::Debezium => {
            let has_surroundings = relation
                .origins
                .iter()
                .any(|origin| !matches!(origin, ColumnOrigin::Field(_)));
            if relation.schema.keys.is_empty() && has_surroundings {
                return Err(SourceError::unsupported(
                    "INCLUDE needs a PRIMARY KEY with ENVELOPE DEBEZIUM",
                ));
            }
        }
    }
    for key in &relation.schema.keys {
        for column in key {
            if let Some(column) = relation.schema.columns.get_mut(*column) {
                column.column_type.nullable = false;
            }
        }
    }
    if matches!(formats.1, Format::Text | Format::Bytes)
        && relation
            .origins
            .iter()
            .filter(|origin| matches!(origin, ColumnOrigin::Value))
            .count()
            > 1
    {
        return Err(SourceError::definition(
            "FORMAT TEXT and FORMAT BYTES make one column of the value",
        ));
    }
    match (envelope, sample) {
        (Envelope::Debezium, Some(sample)) => check_against(spec, position, sample),
        _ => Ok(()),
    }
}

fn add_column(
    schema: &mut Schema,
    origins: &mut Vec<ColumnOrigin>,
    name: String,
    column_type: ColumnType,
    origin: ColumnOrigin,
) -> Result<(), SourceError> {
    if schema.columns.iter().any(|column| column.name == name) {
        return Err(SourceError::new(
            "42701",
            format!("column \"{name}\" specified more than once"),
        )
        .hint("Give the INCLUDE column another name with AS."));
    }
    schema.columns.push(Column { name, column_type });
    origins.push(origin);
    Ok(())
}

/// One column of the whole value.
fn whole_value(format: Format) -> (Schema, Vec<ColumnOrigin>) {
    let (name, scalar) = match format {
        Format::Json => ("data", Type::Jsonb),
        Format::Text => ("text", Type::Text),
        Format::Bytes => ("data", Type::Bytea),
    };
    let schema = Schema::new([(name, ColumnType::new(scalar).not_null())]);
    (schema, vec![ColumnOrigin::Value])
}

/// The key's columns come from the message's key, which a deletion has too.
fn complete_upsert(
    relation: &mut crate::RelationSpec,
    formats: (Format, Format),
    has_key_column: bool,
    sample: Option<&Sample>,
) -> Result<(), SourceError> {
    let key: Vec<usize> = match relation.schema.keys.first() {
        Some(key) => key.clone(),
        None => {
            if !has_key_column {
                let scalar = match formats.0 {
                    Format::Json => Type::Jsonb,
                    Format::Text => Type::Text,
                    Format::Bytes => Type::Bytea,
                };
                add_column(
                    &mut relation.schema,
                    &mut relation.origins,
                    "key".to_owned(),
                    ColumnType::new(scalar).not_null(),
                    ColumnOrigin::Key,
                )?;
            }
            let position = relation
                .origins
                .iter()
                .position(|origin| *origin == ColumnOrigin::Key);
            let key: Vec<usize> = position.into_iter().collect();
            relation.schema.keys.push(key.clone());
            key
        }
    };
    // A key that is no object is the one column itself.
    let key_is_object = match (formats.0, sample.and_then(|sample| sample.key.as_deref())) {
        (Format::Json, Some(bytes)) => {
            let text = std::str::from_utf8(bytes).unwrap_or("");
            text.trim_start().starts_with('{')
        }
        (Format::Json, None) => true,
        _ => false,
    };
    if !key_is_object && key.len() > 1 {
        return Err(SourceError::definition(
            "the messages' key is one value, and the PRIMARY KEY has several columns",
        ));
    }
    for column in key {
        if let Some(origin @ (ColumnOrigin::Field(_) | ColumnOrigin::Value)) =
            relation.origins.get_mut(column)
        {
            let name = relation.schema.columns[column].name.clone();
            *origin = if key_is_object {
                ColumnOrigin::KeyField(name)
            } else {
                ColumnOrigin::Key
            };
        }
    }
    Ok(())
}

fn schema_of(bytes: &[u8]) -> Option<ConnectSchema> {
    let text = std::str::from_utf8(bytes).ok()?;
    let schema = field(text, "schema").ok()??.object()?;
    field(text, "payload").ok()??;
    serde_json::from_str(schema).ok()
}

/// The columns that the messages themselves describe.
fn discovered(
    sample: Option<&Sample>,
    topic: &str,
) -> Result<(Schema, Vec<ColumnOrigin>), SourceError> {
    let hint = "Declare the columns, or let the connector send schemas (value.converter.schemas.enable=true).";
    let sample = sample.ok_or_else(|| {
        SourceError::definition(format!(
            "the columns of topic \"{topic}\" are not known: it has no message yet"
        ))
        .hint(hint)
    })?;
    let unknown = || {
        SourceError::definition(format!(
            "the columns of topic \"{topic}\" are not known: its messages carry no schema"
        ))
        .hint(hint)
    };
    let schema = schema_of(&sample.value).ok_or_else(unknown)?;
    let row = schema.field_named("after").ok_or_else(unknown)?;
    let mut found = Schema::default();
    let mut origins = Vec::new();
    for column in &row.fields {
        let Some(name) = &column.field else { continue };
        found.columns.push(Column {
            name: name.clone(),
            column_type: column.meaning().column_type().nullable(column.optional),
        });
        origins.push(ColumnOrigin::Field(name.clone()));
    }
    if let Some(key) = sample.key.as_deref().and_then(schema_of) {
        let key: Option<Vec<usize>> = key
            .fields
            .iter()
            .map(|field| {
                let name = field.field.as_deref()?;
                found.columns.iter().position(|column| column.name == name)
            })
            .collect();
        found.keys.extend(key.filter(|key| !key.is_empty()));
    }
    Ok((found, origins))
}

/// Holds the declared columns against a message: a name that is not there, a number without unit and a type that cannot hold what arrives are errors now and not
/// one in every row.
fn check_against(spec: &SourceSpec, position: usize, sample: &Sample) -> Result<(), SourceError> {
    let Some(relation) = spec.relations.get(position) else {
        return Ok(());
    };
    let Ok(text) = std::str::from_utf8(&sample.value) else {
        return Ok(());
    };
    let schema = schema_of(&sample.value);
    let payload = match field(text, "payload") {
        Ok(Some(Token::Object(payload))) if schema.is_some() => payload,
        _ => text,
    };
    let Ok(Some(Token::Object(after))) = field(payload, "after") else {
        return Ok(());
    };
    for origin in &relation.origins {
        if let ColumnOrigin::Field(name) = origin
            && matches!(field(after, name), Ok(None))
        {
            return Err(SourceError::new(
                "42703",
                format!(
                    "column \"{name}\" is not in the messages of topic \"{}\"",
                    relation.topic
                ),
            ));
        }
    }
    let row = schema
        .as_ref()
        .and_then(|schema| schema.field_named("after"));
    let formats = (Format::Json, Format::Json);
    let mut decoder = RowDecoder::new(relation, formats, &spec.options, true, row, None);
    let none = Headers::default();
    let surroundings = Surroundings {
        message: Message {
            topic: 0,
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: sample.key.as_deref(),
            value: Some(&sample.value),
            headers: &none,
        },
        fields: Some(after),
        key_fields: None,
    };
    let mut builder = repr::RowBuilder::new();
    match decoder.decode(surroundings, &mut builder, &mut Vec::new()) {
        // What only this message has is its own error.
        Err(error)
            if error.code() == repr::SqlState::INVALID_PARAMETER_VALUE
                || error.code() == repr::SqlState::DATATYPE_MISMATCH =>
        {
            let found = SourceError::definition(error.message().to_owned())
                .detail(format!("In a message of topic \"{}\".", relation.topic));
            Err(match error.hint() {
                Some(hint) => found.hint(hint),
                None => found,
            })
        }
        _ => Ok(()),
    }
}

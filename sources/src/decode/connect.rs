//! The schema that Connect's JsonConverter puts into messages: what the values beside it mean, and which columns they make.

use repr::{ColumnType, Type};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A schema as it stands in a message.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ConnectSchema {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub optional: bool,
    /// The semantic type: `io.debezium.time.Date`, ...
    pub name: Option<String>,
    #[serde(default)]
    pub parameters: Option<BTreeMap<String, String>>,
    /// The field's own name within a struct.
    pub field: Option<String>,
    #[serde(default)]
    pub fields: Vec<ConnectSchema>,
    pub items: Option<Box<ConnectSchema>>,
}

/// What an integer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// What a value in JSON stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Boolean,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytes,
    /// Base64 of the unscaled integer.
    Decimal {
        precision: Option<u16>,
        scale: i32,
    },
    /// `{"scale": 2, "value": base64}`.
    VariableDecimal,
    /// Days since 1970-01-01.
    Days,
    Time(Unit),
    Timestamp(Unit),
    ZonedTimestamp,
    /// SQL's or ISO's text of a date, a time, a timestamp or an interval.
    DateText,
    TimeText,
    TimestampText,
    IntervalText,
    Interval(Unit),
    Uuid,
    /// A document as text.
    Json,
    /// Base64 of little-endian bits.
    Bits {
        length: u32,
    },
    /// A JSON value of its own: a struct, a map, a geometry.
    Structure,
    Array(Box<Meaning>),
}

impl ConnectSchema {
    /// The schema of a field of a struct.
    pub(crate) fn field_named(&self, name: &str) -> Option<&ConnectSchema> {
        self.fields
            .iter()
            .find(|field| field.field.as_deref() == Some(name))
    }

    fn parameter<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.parameters.as_ref()?.get(name)?.parse().ok()
    }

    pub(crate) fn meaning(&self) -> Meaning {
        let by_name = match self.name.as_deref() {
            Some("org.apache.kafka.connect.data.Decimal") => {
                self.parameter("scale").map(|scale| Meaning::Decimal {
                    precision: self.parameter("connect.decimal.precision"),
                    scale,
                })
            }
            Some("io.debezium.data.VariableScaleDecimal") => Some(Meaning::VariableDecimal),
            Some("io.debezium.time.Date" | "org.apache.kafka.connect.data.Date") => {
                Some(Meaning::Days)
            }
            Some("io.debezium.time.Time" | "org.apache.kafka.connect.data.Time") => {
                Some(Meaning::Time(Unit::Milliseconds))
            }
            Some("io.debezium.time.MicroTime") => Some(Meaning::Time(Unit::Microseconds)),
            Some("io.debezium.time.NanoTime") => Some(Meaning::Time(Unit::Nanoseconds)),
            Some("io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp") => {
                Some(Meaning::Timestamp(Unit::Milliseconds))
            }
            Some("io.debezium.time.MicroTimestamp") => Some(Meaning::Timestamp(Unit::Microseconds)),
            Some("io.debezium.time.NanoTimestamp") => Some(Meaning::Timestamp(Unit::Nanoseconds)),
            Some("io.debezium.time.ZonedTimestamp") => Some(Meaning::ZonedTimestamp),
            Some("io.debezium.time.IsoDate") => Some(Meaning::DateText),
            Some("io.debezium.time.IsoTime") => Some(Meaning::TimeText),
            Some("io.debezium.time.IsoTimestamp") => Some(Meaning::TimestampText),
            Some("io.debezium.time.MicroDuration") => Some(Meaning::Interval(Unit::Microseconds)),
            Some("io.debezium.time.NanoDuration") => Some(Meaning::Interval(Unit::Nanoseconds)),
            Some("io.debezium.time.Interval") => Some(Meaning::IntervalText),
            Some("io.debezium.data.Uuid") => Some(Meaning::Uuid),
            Some("io.debezium.data.Json") => Some(Meaning::Json),
            Some("io.debezium.data.Bits") => Some(Meaning::Bits {
                length: self.parameter("length").unwrap_or(0),
            }),
            _ => None,
        };
        by_name.unwrap_or_else(|| match self.kind.as_str() {
            "boolean" => Meaning::Boolean,
            "int8" | "int16" => Meaning::Int2,
            "int32" => Meaning::Int4,
            "int64" => Meaning::Int8,
            "float" | "float32" => Meaning::Float4,
            "double" | "float64" => Meaning::Float8,
            "string" => Meaning::Text,
            "bytes" => Meaning::Bytes,
            "array" => match &self.items {
                Some(items) => Meaning::Array(Box::new(items.meaning())),
                None => Meaning::Structure,
            },
            _ => Meaning::Structure,
        })
    }
}

/// Postgres adds this to the modifiers of types of variable length.
const MODIFIER_HEADER: i32 = 4;

impl Meaning {
    /// The SQL type of a column nobody declared.
    pub(crate) fn column_type(&self) -> ColumnType {
        ColumnType::new(match self {
            Meaning::Boolean => Type::Bool,
            Meaning::Int2 => Type::Int2,
            Meaning::Int4 => Type::Int4,
            Meaning::Int8 => Type::Int8,
            Meaning::Float4 => Type::Float4,
            Meaning::Float8 => Type::Float8,
            Meaning::Text | Meaning::Bits { .. } => Type::Text,
            Meaning::Bytes => Type::Bytea,
            Meaning::Decimal { precision, scale } => {
                let column_type = ColumnType::new(Type::Numeric);
                return match precision {
                    Some(precision) => {
                        let modifier = (i32::from(*precision) << 16) | (scale & 0x7ff);
                        column_type.with_modifier(modifier + MODIFIER_HEADER)
                    }
                    None => column_type,
                };
            }
            Meaning::VariableDecimal => Type::Numeric,
            Meaning::Days | Meaning::DateText => Type::Date,
            Meaning::Time(_) | Meaning::TimeText => Type::Time,
            Meaning::Timestamp(Unit::Milliseconds) => {
                return ColumnType::new(Type::Timestamp).with_modifier(3);
            }
            Meaning::Timestamp(_) | Meaning::TimestampText => Type::Timestamp,
            Meaning::ZonedTimestamp => Type::TimestampTz,
            Meaning::Interval(_) | Meaning::IntervalText => Type::Interval,
            Meaning::Uuid => Type::Uuid,
            Meaning::Json | Meaning::Structure => Type::Jsonb,
            Meaning::Array(element) => {
                let element = element.column_type();
                // An array of arrays is one array of more dimensions.
                let array = match element.scalar {
                    Type::Array(inner) => Type::Array(inner),
                    scalar => Type::Array(Box::new(scalar)),
                };
                return ColumnType::new(array).with_modifier(element.modifier);
            }
        })
    }
}

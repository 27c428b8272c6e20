//! Type names to types.

use super::Binder;
use crate::error::{BindError, BindResult, codes};
use crate::parse::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo};
use repr::{ColumnType, SqlState, Type};

/// The longest `varchar(n)` and `char(n)`.
const CHARACTERS_MAX: u64 = 10_485_760;
/// The greatest precision of `numeric(p, s)`.
const NUMERIC_PRECISION_MAX: u64 = 1000;
/// The greatest precision of times: microseconds.
const TIME_PRECISION_MAX: u64 = 6;

/// Refuses what DISTINCT, GROUP BY and their kin need `=` for and has none: `json`, also within arrays and rows.
pub(crate) fn require_equality(scalar: &Type) -> BindResult<()> {
    match without_order(scalar) {
        Some(found) => {
            let message = format!("could not identify an equality operator for type {}", found.sql_name(-1));
            Err(BindError::new(codes::UNDEFINED_FUNCTION, message))
        }
        None => Ok(()),
    }
}

/// As [`require_equality`], for sort keys.
pub(crate) fn require_order(scalar: &Type) -> BindResult<()> {
    match without_order(scalar) {
        Some(found) => {
            let message = format!("could not identify an ordering operator for type {}", found.sql_name(-1));
            Err(BindError::new(codes::UNDEFINED_FUNCTION, message).with_hint("Use an explicit ordering operator or modify the query."))
        }
        None => Ok(()),
    }
}

fn without_order(scalar: &Type) -> Option<&Type> {
    match scalar {
        Type::Json => Some(scalar),
        Type::Array(element) => without_order(element).map(|_| scalar),
        _ => None,
    }
}

impl Binder<'_> {
    /// The type a type name means, with its modifier.
    pub(crate) fn bind_type(&self, data_type: &DataType) -> BindResult<ColumnType> {
        let plain = |scalar: Type| Ok(ColumnType::new(scalar));
        match data_type {
            DataType::Int2(_) | DataType::SmallInt(_) => plain(Type::Int2),
            DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => plain(Type::Int4),
            DataType::Int8(_) | DataType::BigInt(_) => plain(Type::Int8),
            DataType::Real | DataType::Float4 => plain(Type::Float4),
            DataType::Float8 | DataType::DoublePrecision | DataType::Double(_) => plain(Type::Float8),
            DataType::Float(info) => match info {
                ExactNumberInfo::None => plain(Type::Float8),
                ExactNumberInfo::Precision(0) => {
                    Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, "precision for type float must be at least 1 bit"))
                }
                ExactNumberInfo::Precision(1..=24) => plain(Type::Float4),
                ExactNumberInfo::Precision(25..=53) => plain(Type::Float8),
                _ => Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, "precision for type float must be less than 54 bits")),
            },
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info),
            DataType::Text => plain(Type::Text),
            DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => characters(Type::Varchar, "varchar", length, -1),
            DataType::Char(length) | DataType::Character(length) => characters(Type::Bpchar, "char", length, 5),
            DataType::Bool | DataType::Boolean => plain(Type::Bool),
            DataType::Uuid => plain(Type::Uuid),
            DataType::Bytea => plain(Type::Bytea),
            DataType::Date => plain(Type::Date),
            DataType::JSON => plain(Type::Json),
            DataType::JSONB => plain(Type::Jsonb),
            DataType::Regclass => plain(Type::Regclass),
            DataType::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Ok(timed(Type::Time, precision)),
            DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Ok(timed(Type::Timestamp, precision)),
            DataType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => Ok(timed(Type::TimestampTz, precision)),
            DataType::Interval { .. } => plain(Type::Interval),
            DataType::Array(ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::AngleBracket(element) | ArrayElemTypeDef::Parenthesis(element)) => {
                let element = self.bind_type(element)?;
                Ok(match element.scalar {
                    // Arrays of arrays are arrays of more dimensions, which is the same type.
                    Type::Array(_) => element,
                    scalar => ColumnType::new(Type::Array(Box::new(scalar))).with_modifier(element.modifier),
                })
            }
            DataType::Custom(name, modifiers) => self.named_type(name, modifiers),
            other => self.type_by_name(&[other.to_string().to_ascii_lowercase()]),
        }
    }

    fn named_type(&self, name: &ObjectName, modifiers: &[String]) -> BindResult<ColumnType> {
        let quoted = name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.quote_style.is_some());
        let parts = super::name_parts(name);
        if quoted && parts.last().is_some_and(|last| last == "char") {
            return Ok(ColumnType::new(Type::InternalChar));
        }
        let found = self.type_by_name(&parts)?;
        let number = |text: &String| text.trim().parse::<u64>().ok();
        let numbers: Vec<u64> = modifiers.iter().filter_map(number).collect();
        match (&found.scalar, numbers.as_slice()) {
            (_, []) => Ok(found),
            (Type::Varchar, [length]) => characters(Type::Varchar, "varchar", &Some(CharacterLength::IntegerLength { length: *length, unit: None }), -1),
            (Type::Bpchar, [length]) => characters(Type::Bpchar, "char", &Some(CharacterLength::IntegerLength { length: *length, unit: None }), 5),
            (Type::Numeric, [precision]) => numeric(&ExactNumberInfo::Precision(*precision)),
            (Type::Numeric, [precision, scale]) => numeric(&ExactNumberInfo::PrecisionAndScale(*precision, i64::try_from(*scale).unwrap_or(i64::MAX))),
            (Type::Time | Type::Timestamp | Type::TimestampTz, [precision]) => Ok(timed(found.scalar, &Some(*precision))),
            (Type::Interval, _) => Ok(found),
            (scalar, _) => {
                Err(BindError::new(codes::SYNTAX_ERROR, format!("type modifier is not allowed for type \"{}\"", scalar.sql_name(-1))))
            }
        }
    }

    /// A type by its name alone: built in, else the catalog's.
    pub(crate) fn type_by_name(&self, parts: &[String]) -> BindResult<ColumnType> {
        let found = match parts {
            [name] => Type::from_name(name).or_else(|| self.names.resolve_type(parts)),
            [schema, name] if schema == "pg_catalog" => Type::from_name(name).or_else(|| self.names.resolve_type(parts)),
            _ => self.names.resolve_type(parts),
        };
        found.map(ColumnType::new).ok_or_else(|| BindError::new(codes::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", parts.join("."))))
    }
}

fn timed(scalar: Type, precision: &Option<u64>) -> ColumnType {
    match precision {
        Some(digits) => ColumnType::new(scalar).with_modifier(i32::try_from((*digits).min(TIME_PRECISION_MAX)).unwrap_or(6)),
        None => ColumnType::new(scalar),
    }
}

fn characters(scalar: Type, name: &str, length: &Option<CharacterLength>, absent: i32) -> BindResult<ColumnType> {
    match length {
        None | Some(CharacterLength::Max) => Ok(ColumnType::new(scalar).with_modifier(absent)),
        Some(CharacterLength::IntegerLength { length: 0, .. }) => {
            Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, format!("length for type {name} must be at least 1")))
        }
        Some(CharacterLength::IntegerLength { length, .. }) if *length > CHARACTERS_MAX => {
            Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, format!("length for type {name} cannot exceed {CHARACTERS_MAX}")))
        }
        Some(CharacterLength::IntegerLength { length, .. }) => {
            Ok(ColumnType::new(scalar).with_modifier(i32::try_from(*length).unwrap_or(i32::MAX - 4) + 4))
        }
    }
}

fn numeric(info: &ExactNumberInfo) -> BindResult<ColumnType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(ColumnType::new(Type::Numeric)),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=NUMERIC_PRECISION_MAX).contains(&precision) {
        let message = format!("NUMERIC precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}");
        return Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(BindError::new(SqlState::INVALID_PARAMETER_VALUE, format!("NUMERIC scale {scale} must be between -1000 and 1000")));
    }
    let modifier = ((precision as i32) << 16 | (scale as i32 & 0xffff)) + 4;
    Ok(ColumnType::new(Type::Numeric).with_modifier(modifier))
}

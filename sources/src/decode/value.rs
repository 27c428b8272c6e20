//! One value: JSON to an SQL datum, by the column's type and by what the value is known to mean.
//!
//! A [`ValueDecoder`] is made once per column (and once more per schema that messages carry). Where neither the schema nor the declared type nor an option says
//! what a number or a string means, decoding it is an error that names the option.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use repr::temporal::{MICROS_PER_DAY, UNIX_TO_POSTGRES_EPOCH_DAYS, UNIX_TO_POSTGRES_EPOCH_MICROS};
use repr::text::{TextContext, apply_modifier, numeric_modifier};
use repr::{
    Array, ArrayBuilder, ArrayDimension, ColumnType, Date, Datum, EvalError, Interval, Numeric,
    RowBuilder, SqlState, SqlTimestamp, SqlTimestampTz, Time, Type,
};
use std::borrow::Cow;

use super::connect::{Meaning, Unit};
use crate::json::{Elements, JsonError, Token};
use crate::spec::{BinaryHandling, DecimalHandling, SourceOptions, TimePrecision};

/// Decodes the values of one column.
#[derive(Clone, Debug)]
pub(crate) struct ValueDecoder {
    column_type: ColumnType,
    kind: Kind,
    /// `unavailable.value.placeholder`, for types that can be stored out of line.
    placeholder: Option<Placeholder>,
}

#[derive(Clone, Debug)]
struct Placeholder {
    text: String,
    base64: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Bool,
    Integer,
    Float4,
    Float8,
    Numeric {
        text: NumericText,
        is_unsigned: bool,
    },
    Text,
    Bytea(BinaryHandling),
    /// The bits as text of zeros and ones.
    BitsText {
        length: u32,
    },
    BitsBool,
    Date,
    /// `None`: what a number counts is not known.
    Time(Option<Unit>),
    Timestamp(Option<Unit>),
    TimestampTz(Option<Unit>),
    Interval(Option<Unit>),
    /// A string is a document (`true`) or itself a JSON value.
    Json {
        text_is_document: bool,
    },
    Array(Box<ValueDecoder>),
    /// Through the type's SQL text.
    SqlText,
    /// The declared type cannot hold what arrives.
    Mismatch(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum NumericText {
    Unknown,
    Decimal,
    Base64 { scale: i32 },
}

/// What decides about values beside their column's type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueContext<'a> {
    pub options: &'a SourceOptions,
    pub is_debezium: bool,
    pub is_unsigned: bool,
}

const TIME_HINT: &str = "Messages without a schema do not say what their numbers count: add WITH (TIME PRECISION MODE = '...') as in the connector's time.precision.mode.";
const DECIMAL_HINT: &str = "Messages without a schema do not say how their decimals are written: add WITH (DECIMAL HANDLING MODE = '...') as in the connector's decimal.handling.mode.";

impl ValueDecoder {
    pub(crate) fn new(
        column_type: &ColumnType,
        meaning: Option<&Meaning>,
        context: ValueContext<'_>,
    ) -> ValueDecoder {
        let kind = match meaning {
            Some(meaning) => kind_of(column_type, meaning, context),
            None => kind_without_schema(column_type, context),
        };
        let can_be_out_of_line = matches!(
            column_type.scalar,
            Type::Text
                | Type::Varchar
                | Type::Bpchar
                | Type::Bytea
                | Type::Json
                | Type::Jsonb
                | Type::Numeric
                | Type::Array(_)
        );
        let text = &context.options.unavailable_value_placeholder;
        let placeholder = (context.is_debezium && can_be_out_of_line).then(|| Placeholder {
            text: text.clone(),
            base64: base64::engine::general_purpose::STANDARD.encode(text),
        });
        ValueDecoder {
            column_type: column_type.clone(),
            kind,
            placeholder,
        }
    }

    /// Whether the value stands for "not sent because it did not change".
    #[inline]
    pub(crate) fn is_unavailable(&self, token: Token<'_>) -> bool {
        let Some(placeholder) = &self.placeholder else {
            return false;
        };
        let is_placeholder = |token: Token<'_>| match token {
            Token::Text(text) => {
                (text.raw.len() == placeholder.text.len() && text.raw == placeholder.text)
                    || (text.raw.len() == placeholder.base64.len()
                        && text.raw == placeholder.base64)
            }
            _ => false,
        };
        match token {
            // An array of it alone, for an array that was not sent.
            Token::Array(text) if matches!(self.kind, Kind::Array(_)) => {
                let only = Elements::new(text).ok().and_then(|mut elements| {
                    let first = elements.next().ok()??;
                    elements.next().ok()?.is_none().then_some(first)
                });
                only.is_some_and(is_placeholder)
            }
            _ => is_placeholder(token),
        }
    }

    /// Appends the datum of a value. On an error nothing is appended.
    #[inline]
    pub(crate) fn decode(&self, token: Token<'_>, out: &mut RowBuilder) -> Result<(), EvalError> {
        // The common kinds without a detour.
        match (&self.kind, token) {
            (_, Token::Null) => {
                if !self.column_type.nullable {
                    return Err(not_null());
                }
                out.push(Datum::Null);
                Ok(())
            }
            (Kind::Integer, Token::Number(digits)) => {
                match (digits.parse::<i64>(), &self.column_type.scalar) {
                    (Ok(value), Type::Int8) => {
                        out.push(Datum::Int8(value));
                        Ok(())
                    }
                    (Ok(value), scalar) => push_integer(value, scalar, out),
                    (Err(_), scalar) => push_integer(
                        Numeric::parse(digits).and_then(|value| whole(&value))?,
                        scalar,
                        out,
                    ),
                }
            }
            (Kind::Text, Token::Text(text)) => {
                let text = text.get().map_err(bad_json)?;
                self.push(Datum::Text(&text), out)
            }
            (Kind::Bool, Token::Bool(value)) => {
                out.push(Datum::Bool(value));
                Ok(())
            }
            _ => self.decode_other(token, out),
        }
    }

    /// With the column's modifier applied.
    fn push(&self, datum: Datum<'_>, out: &mut RowBuilder) -> Result<(), EvalError> {
        if self.column_type.modifier < 0 {
            out.push(datum);
            return Ok(());
        }
        apply_modifier(datum, &self.column_type, false, out)
    }

    fn decode_other(&self, token: Token<'_>, out: &mut RowBuilder) -> Result<(), EvalError> {
        match (&self.kind, token) {
            // MySQL's booleans are numbers.
            (Kind::Bool, Token::Number("0")) => self.push(Datum::Bool(false), out),
            (Kind::Bool, Token::Number("1")) => self.push(Datum::Bool(true), out),
            (Kind::Float4, Token::Number(digits)) => match digits.parse::<f32>() {
                Ok(value) if value.is_finite() => self.push(Datum::Float4(value), out),
                _ => Err(EvalError::out_of_range(&self.name())),
            },
            (Kind::Float8, Token::Number(digits)) => match digits.parse::<f64>() {
                Ok(value) if value.is_finite() => self.push(Datum::Float8(value), out),
                _ => Err(EvalError::out_of_range(&self.name())),
            },
            // NaN and the infinities, which JSON has no numbers for.
            (Kind::Float4, Token::Text(text)) => match text.raw.parse::<f32>() {
                Ok(value) if !value.is_finite() => self.push(Datum::Float4(value), out),
                _ => Err(self.unexpected(token)),
            },
            (Kind::Float8, Token::Text(text)) => match text.raw.parse::<f64>() {
                Ok(value) if !value.is_finite() => self.push(Datum::Float8(value), out),
                _ => Err(self.unexpected(token)),
            },
            (Kind::Numeric { text, is_unsigned }, _) => {
                let mut value = self.numeric(*text, token)?;
                if *is_unsigned && value.signum() < 0 {
                    value = value.add(&Numeric::from_parts(1 << 64, 0))?;
                }
                self.push(Datum::Numeric(value), out)
            }
            (Kind::Bytea(handling), Token::Text(text)) => {
                let bytes = binary(&text.get().map_err(bad_json)?, *handling)?;
                self.push(Datum::Bytea(Cow::Owned(bytes)), out)
            }
            (Kind::BitsText { length }, Token::Text(text)) => {
                let bytes = binary(&text.get().map_err(bad_json)?, BinaryHandling::Base64)?;
                let bit = |position: u32| {
                    let byte = bytes.get(position as usize / 8).copied().unwrap_or(0);
                    if byte >> (position % 8) & 1 == 1 {
                        '1'
                    } else {
                        '0'
                    }
                };
                // A limit Postgres has too; the schema of a message is outside input.
                let bits: String = (0..(*length).min(BITS_MAX)).rev().map(bit).collect();
                self.push(Datum::Text(&bits), out)
            }
            (Kind::BitsBool, Token::Bool(value)) => self.push(Datum::Bool(value), out),
            (Kind::Date, Token::Number(digits)) => {
                out.push(Datum::Date(date(integer(digits)?)?));
                Ok(())
            }
            (Kind::Time(unit), Token::Number(digits)) => {
                let micros = self.micros(*unit, integer(digits)?)?;
                if !(0..=MICROS_PER_DAY).contains(&micros) {
                    return Err(EvalError::new(
                        SqlState::DATETIME_FIELD_OVERFLOW,
                        "time out of range",
                    )
                    .with_hint(
                        "MySQL's TIME holds durations: declare such a column as interval.",
                    ));
                }
                self.push(Datum::Time(Time(micros)), out)
            }
            (Kind::Timestamp(unit), Token::Number(digits)) => {
                let micros = timestamp(self.micros(*unit, integer(digits)?)?)?;
                self.push(Datum::Timestamp(SqlTimestamp(micros)), out)
            }
            (Kind::TimestampTz(unit), Token::Number(digits)) => {
                let micros = timestamp(self.micros(*unit, integer(digits)?)?)?;
                self.push(Datum::TimestampTz(SqlTimestampTz(micros)), out)
            }
            (Kind::Interval(unit), Token::Number(digits)) => {
                let micros = self.micros(*unit, integer(digits)?)?;
                self.push(Datum::Interval(Interval::new(0, 0, micros)), out)
            }
            (Kind::Json { text_is_document }, _) => self.json(*text_is_document, token, out),
            (Kind::Array(element), Token::Array(text)) => {
                let mut builder = ArrayBuilder::new();
                let mut dimensions = Vec::new();
                element.elements(text, 0, &mut dimensions, &mut builder)?;
                let bytes = builder.finish_with(&dimensions);
                out.push(Datum::Array(Array::from_encoded(&bytes)));
                Ok(())
            }
            (
                Kind::Date
                | Kind::Time(_)
                | Kind::Timestamp(_)
                | Kind::TimestampTz(_)
                | Kind::Interval(_)
                | Kind::SqlText,
                Token::Text(text),
            ) => {
                let text = text.get().map_err(bad_json)?;
                let start = out.len();
                repr::text::read(
                    &text,
                    &self.column_type.scalar,
                    &TextContext::default(),
                    out,
                )?;
                if self.column_type.modifier < 0 {
                    return Ok(());
                }
                let read = repr::Row::from_bytes(out.as_bytes().get(start..).unwrap_or(&[]));
                out.truncate(start);
                read.iter().try_for_each(|datum| self.push(datum, out))
            }
            (Kind::Mismatch(upstream), _) => Err(EvalError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("the declared type {} cannot hold {upstream}", self.name()),
            )),
            _ => Err(self.unexpected(token)),
        }
    }

    fn name(&self) -> String {
        self.column_type.scalar.sql_name(self.column_type.modifier)
    }

    fn unexpected(&self, token: Token<'_>) -> EvalError {
        EvalError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("{} is not a value of type {}", token.kind(), self.name()),
        )
    }

    fn micros(&self, unit: Option<Unit>, count: i64) -> Result<i64, EvalError> {
        let overflow = || {
            EvalError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("{} out of range", self.name()),
            )
        };
        match unit {
            Some(Unit::Milliseconds) => count.checked_mul(1_000).ok_or_else(overflow),
            Some(Unit::Microseconds) => Ok(count),
            Some(Unit::Nanoseconds) => Ok(count.div_euclid(1_000)),
            None => Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("a number for type {} has no known unit", self.name()),
            )
            .with_hint(TIME_HINT)),
        }
    }

    fn numeric(&self, text_means: NumericText, token: Token<'_>) -> Result<Numeric, EvalError> {
        match (token, text_means) {
            (Token::Number(digits), _) => Numeric::parse(digits),
            (Token::Text(text), NumericText::Decimal) => {
                let text = text.get().map_err(bad_json)?;
                Numeric::parse(match &*text {
                    "NAN" => "NaN",
                    "POSITIVE_INFINITY" => "Infinity",
                    "NEGATIVE_INFINITY" => "-Infinity",
                    other => other,
                })
            }
            (Token::Text(text), NumericText::Base64 { scale }) => {
                let bytes = binary(&text.get().map_err(bad_json)?, BinaryHandling::Base64)?;
                Numeric::from_be_bytes(&bytes, scale)
            }
            (Token::Text(_), NumericText::Unknown) => Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "a numeric as a string has no known encoding",
            )
            .with_hint(DECIMAL_HINT)),
            (Token::Object(text), _) => {
                let scale = crate::json::field(text, "scale").map_err(bad_json)?;
                let value = crate::json::field(text, "value").map_err(bad_json)?;
                let scale = scale
                    .and_then(Token::integer)
                    .and_then(|scale| i32::try_from(scale).ok());
                match (scale, value) {
                    (Some(scale), Some(Token::Text(value))) => {
                        let bytes =
                            binary(&value.get().map_err(bad_json)?, BinaryHandling::Base64)?;
                        Numeric::from_be_bytes(&bytes, scale)
                    }
                    _ => Err(self.unexpected(token)),
                }
            }
            _ => Err(self.unexpected(token)),
        }
    }

    fn json(
        &self,
        text_is_document: bool,
        token: Token<'_>,
        out: &mut RowBuilder,
    ) -> Result<(), EvalError> {
        let document: Cow<'_, str> = match token {
            Token::Text(text) if text_is_document => text.get().map_err(bad_json)?,
            Token::Text(text) => Cow::Owned(format!("\"{}\"", text.raw)),
            Token::Object(text) | Token::Array(text) | Token::Number(text) => Cow::Borrowed(text),
            Token::Bool(true) => Cow::Borrowed("true"),
            Token::Bool(false) => Cow::Borrowed("false"),
            Token::Null => Cow::Borrowed("null"),
        };
        repr::text::read(
            &document,
            &self.column_type.scalar,
            &TextContext::default(),
            out,
        )
    }

    /// The elements of a (nested) array in row-major order, with the lengths of its dimensions.
    fn elements(
        &self,
        text: &str,
        depth: usize,
        dimensions: &mut Vec<ArrayDimension>,
        builder: &mut ArrayBuilder,
    ) -> Result<(), EvalError> {
        let ragged = || {
            EvalError::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "multidimensional arrays must have array expressions with matching dimensions",
            )
        };
        if depth >= ARRAY_DIMENSIONS_MAX {
            return Err(EvalError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "number of array dimensions exceeds the maximum allowed ({ARRAY_DIMENSIONS_MAX})"
                ),
            ));
        }
        let is_first = dimensions.len() == depth;
        if is_first {
            dimensions.push(ArrayDimension {
                length: 0,
                lower_bound: 1,
            });
        }
        let deepest = dimensions.len();
        let mut count = 0u32;
        let mut scratch = RowBuilder::new();
        let mut elements = Elements::new(text).map_err(bad_json)?;
        while let Some(token) = elements.next().map_err(bad_json)? {
            match token {
                // Documents may be arrays themselves.
                Token::Array(inner) if !matches!(self.kind, Kind::Json { .. }) => {
                    if deepest == depth + 1 && count > 0 && dimensions.len() == deepest {
                        return Err(ragged());
                    }
                    self.elements(inner, depth + 1, dimensions, builder)?;
                }
                _ if dimensions.len() > depth + 1 => return Err(ragged()),
                _ => {
                    scratch.clear();
                    self.decode(token, &mut scratch)?;
                    builder.push_encoded(scratch.as_bytes());
                }
            }
            count += 1;
        }
        match dimensions.get_mut(depth) {
            Some(dimension) if is_first => dimension.length = count,
            Some(dimension) if dimension.length == count => {}
            _ => return Err(ragged()),
        }
        Ok(())
    }
}

/// Postgres' `MAXDIM`.
const ARRAY_DIMENSIONS_MAX: usize = 6;
/// Bits of one value, as in Postgres' `bit(n)`.
const BITS_MAX: u32 = 83_886_080;

fn kind_of(column_type: &ColumnType, meaning: &Meaning, context: ValueContext<'_>) -> Kind {
    use Meaning as M;
    let text_means_decimal = Kind::Numeric {
        text: NumericText::Decimal,
        is_unsigned: false,
    };
    match (&column_type.scalar, meaning) {
        (Type::Bool, M::Boolean | M::Int2) => Kind::Bool,
        (Type::Bool, M::Bits { length: 0 | 1 }) => Kind::BitsBool,
        (Type::Int2, M::Int2)
        | (Type::Int4, M::Int2 | M::Int4)
        | (Type::Int8, M::Int2 | M::Int4 | M::Int8) => Kind::Integer,
        (Type::Float4, M::Float4) => Kind::Float4,
        (Type::Float8, M::Float4 | M::Float8) => Kind::Float8,
        (Type::Numeric, M::Int8) => Kind::Numeric {
            text: NumericText::Decimal,
            is_unsigned: context.is_unsigned,
        },
        (
            Type::Numeric,
            M::Int2 | M::Int4 | M::Float4 | M::Float8 | M::Text | M::VariableDecimal,
        ) => text_means_decimal,
        (Type::Numeric, M::Decimal { scale, .. }) => Kind::Numeric {
            text: NumericText::Base64 { scale: *scale },
            is_unsigned: false,
        },
        (Type::Text | Type::Varchar | Type::Bpchar, M::Bits { length }) => {
            Kind::BitsText { length: *length }
        }
        (
            Type::Text | Type::Varchar | Type::Bpchar | Type::Name,
            M::Text
            | M::Json
            | M::Uuid
            | M::ZonedTimestamp
            | M::DateText
            | M::TimeText
            | M::TimestampText
            | M::IntervalText,
        ) => Kind::Text,
        (Type::Bytea, M::Bytes | M::Bits { .. }) => Kind::Bytea(BinaryHandling::Base64),
        (Type::Bytea, M::Text) if context.options.binary_handling != BinaryHandling::Base64 => {
            Kind::Bytea(context.options.binary_handling)
        }
        (Type::Date, M::Days | M::DateText) => Kind::Date,
        (Type::Time, M::Time(unit)) => Kind::Time(Some(*unit)),
        (Type::Time, M::TimeText) => Kind::Time(None),
        (Type::Timestamp, M::Timestamp(unit)) => Kind::Timestamp(Some(*unit)),
        (Type::Timestamp, M::TimestampText | M::ZonedTimestamp) => Kind::Timestamp(None),
        (Type::TimestampTz, M::ZonedTimestamp) => Kind::TimestampTz(None),
        (Type::Interval, M::Interval(unit) | M::Time(unit)) => Kind::Interval(Some(*unit)),
        (Type::Interval, M::IntervalText) => Kind::Interval(None),
        (Type::Uuid, M::Uuid | M::Text) => Kind::SqlText,
        (Type::Json | Type::Jsonb, M::Json | M::Text | M::Structure | M::Array(_)) => Kind::Json {
            text_is_document: matches!(meaning, M::Json | M::Text),
        },
        (Type::Array(element), M::Array(inner)) => {
            // The innermost element type holds at every depth.
            let mut inner: &Meaning = inner;
            while let M::Array(deeper) = inner {
                inner = deeper;
            }
            let element = ColumnType::new((**element).clone()).with_modifier(column_type.modifier);
            Kind::Array(Box::new(ValueDecoder::new(&element, Some(inner), context)))
        }
        (_, M::Structure) => Kind::Mismatch("a struct"),
        _ => Kind::Mismatch(describe(meaning)),
    }
}

fn describe(meaning: &Meaning) -> &'static str {
    match meaning {
        Meaning::Boolean => "the boolean it is upstream",
        Meaning::Int2 => "the smallint it is upstream",
        Meaning::Int4 => "the integer it is upstream",
        Meaning::Int8 => "the bigint it is upstream",
        Meaning::Float4 => "the real it is upstream",
        Meaning::Float8 => "the double precision it is upstream",
        Meaning::Text => "the text it is upstream",
        Meaning::Bytes => "the bytea it is upstream",
        Meaning::Decimal { .. } | Meaning::VariableDecimal => "the numeric it is upstream",
        Meaning::Days | Meaning::DateText => "the date it is upstream",
        Meaning::Time(_) | Meaning::TimeText => "the time it is upstream",
        Meaning::Timestamp(_) | Meaning::TimestampText => "the timestamp it is upstream",
        Meaning::ZonedTimestamp => "the timestamp with time zone it is upstream",
        Meaning::Interval(_) | Meaning::IntervalText => "the interval it is upstream",
        Meaning::Uuid => "the uuid it is upstream",
        Meaning::Json => "the JSON document it is upstream",
        Meaning::Bits { .. } => "the bit string it is upstream",
        Meaning::Structure => "the structure it is upstream",
        Meaning::Array(_) => "the array it is upstream",
    }
}

fn kind_without_schema(column_type: &ColumnType, context: ValueContext<'_>) -> Kind {
    let options = context.options;
    let milliseconds_up_to_3 = if (0..=3).contains(&column_type.modifier) {
        Unit::Milliseconds
    } else {
        Unit::Microseconds
    };
    let timestamp = options.time_precision.map(|precision| match precision {
        TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds => milliseconds_up_to_3,
        TimePrecision::Connect => Unit::Milliseconds,
        TimePrecision::Microseconds => Unit::Microseconds,
        TimePrecision::Nanoseconds => Unit::Nanoseconds,
    });
    match &column_type.scalar {
        Type::Bool => Kind::Bool,
        Type::Int2 | Type::Int4 | Type::Int8 => Kind::Integer,
        Type::Float4 => Kind::Float4,
        Type::Float8 => Kind::Float8,
        Type::Numeric => Kind::Numeric {
            text: match options.decimal_handling {
                Some(DecimalHandling::Precise) => match numeric_modifier(column_type.modifier) {
                    Some(modifier) => NumericText::Base64 {
                        scale: i32::from(modifier.scale),
                    },
                    // Without declared scale they arrive as objects, which say theirs.
                    None => NumericText::Unknown,
                },
                Some(DecimalHandling::String) => NumericText::Decimal,
                Some(DecimalHandling::Double) => NumericText::Decimal,
                // Outside Debezium a decimal in quotes is a decimal.
                None if !context.is_debezium => NumericText::Decimal,
                None => NumericText::Unknown,
            },
            is_unsigned: context.is_unsigned,
        },
        Type::Text | Type::Varchar | Type::Bpchar | Type::Name => Kind::Text,
        Type::Bytea => Kind::Bytea(options.binary_handling),
        Type::Date => Kind::Date,
        Type::Time => Kind::Time(match options.time_precision {
            Some(TimePrecision::AdaptiveTimeMicroseconds) => Some(Unit::Microseconds),
            _ => timestamp,
        }),
        Type::Timestamp => Kind::Timestamp(timestamp),
        // Connectors send text; a number would have no known unit.
        Type::TimestampTz => Kind::TimestampTz(match options.time_precision {
            Some(_) if !context.is_debezium => timestamp,
            _ => None,
        }),
        // One unit in every mode.
        Type::Interval if context.is_debezium => Kind::Interval(Some(Unit::Microseconds)),
        Type::Interval => Kind::Interval(None),
        Type::Json | Type::Jsonb => Kind::Json {
            text_is_document: context.is_debezium,
        },
        Type::Array(element) => {
            let element = ColumnType::new((**element).clone()).with_modifier(column_type.modifier);
            Kind::Array(Box::new(ValueDecoder::new(&element, None, context)))
        }
        _ => Kind::SqlText,
    }
}

fn not_null() -> EvalError {
    EvalError::new(
        SqlState::NOT_NULL_VIOLATION,
        "null value violates not-null constraint",
    )
}

pub(super) fn bad_json(error: JsonError) -> EvalError {
    EvalError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid JSON: {error}"),
    )
}

fn integer(digits: &str) -> Result<i64, EvalError> {
    match digits.parse() {
        Ok(value) => Ok(value),
        Err(_) => whole(&Numeric::parse(digits)?),
    }
}

/// 1.0 and 1e3 are whole numbers, 1.5 is none.
fn whole(value: &Numeric) -> Result<i64, EvalError> {
    if value.truncate(0) != *value {
        return Err(EvalError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("{value} is not a whole number"),
        ));
    }
    value.to_i64()
}

fn push_integer(value: i64, scalar: &Type, out: &mut RowBuilder) -> Result<(), EvalError> {
    let datum = match scalar {
        Type::Int2 => i16::try_from(value).ok().map(Datum::Int2),
        Type::Int4 => i32::try_from(value).ok().map(Datum::Int4),
        _ => Some(Datum::Int8(value)),
    };
    match datum {
        Some(datum) => {
            out.push(datum);
            Ok(())
        }
        None => Err(EvalError::out_of_range(&scalar.sql_name(-1))),
    }
}

/// Of days since 1970.
fn date(days: i64) -> Result<Date, EvalError> {
    // Postgres' dates: 4714-11-24 BC to 5874897-12-31.
    const FIRST: i64 = -2_451_545;
    const LAST: i64 = 2_145_031_948;
    let days = days.saturating_sub(i64::from(UNIX_TO_POSTGRES_EPOCH_DAYS));
    match i32::try_from(days) {
        Ok(days) if (FIRST..=LAST).contains(&i64::from(days)) => Ok(Date(days)),
        _ => Err(EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range").with_hint(
            "Debezium sends Postgres' infinite dates as numbers which it computes wrongly; they cannot be told from others.",
        )),
    }
}

/// Of microseconds since 1970; the connector's two numbers for Postgres' infinities are those.
fn timestamp(micros: i64) -> Result<i64, EvalError> {
    const INFINITY: i64 = 9_223_372_036_825_200_000;
    const NEGATIVE_INFINITY: i64 = -9_223_372_036_832_400_000;
    // Postgres' timestamps: 4714-11-24 BC to 294276-12-31, in its own epoch.
    const FIRST: i64 = -211_813_488_000_000_000;
    const END: i64 = 9_223_371_331_200_000_000;
    match micros {
        INFINITY => return Ok(SqlTimestamp::INFINITY.0),
        NEGATIVE_INFINITY => return Ok(SqlTimestamp::NEGATIVE_INFINITY.0),
        _ => {}
    }
    micros
        .checked_sub(UNIX_TO_POSTGRES_EPOCH_MICROS)
        .filter(|micros| (FIRST..END).contains(micros))
        .ok_or_else(|| EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
}

/// Base64 with or without its padding.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn binary(text: &str, handling: BinaryHandling) -> Result<Vec<u8>, EvalError> {
    let bytes = match handling {
        BinaryHandling::Base64 => STANDARD.decode(text).ok(),
        BinaryHandling::Base64UrlSafe => URL_SAFE.decode(text).ok(),
        BinaryHandling::Hex => text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    Some((digit(*high)? << 4 | digit(*low)?) as u8)
                }
                _ => None,
            })
            .collect(),
    };
    bytes.ok_or_else(|| {
        let encoding = match handling {
            BinaryHandling::Base64 | BinaryHandling::Base64UrlSafe => "base64",
            BinaryHandling::Hex => "hexadecimal",
        };
        EvalError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid {encoding} text"),
        )
    })
}

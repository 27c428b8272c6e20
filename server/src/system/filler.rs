//! Rows of a wide relation, filled by column name.

use repr::{ArrayBuilder, Datum, Row, RowBuilder, Schema, SqlTimestampTz, Type};
use std::borrow::Cow;
use std::collections::HashMap;

/// A value of a column; text goes into any string type, numbers into the column's own width.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(i64),
    Float(f64),
    Text(Cow<'static, str>),
    Instant(SqlTimestampTz),
    Numbers(Vec<i64>),
    Bytes(Vec<u8>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Number(i64::from(value))
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Number(i64::from(value))
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Number(value)
    }
}
impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Number(value as i64)
    }
}
impl From<&'static str> for Value {
    fn from(value: &'static str) -> Value {
        Value::Text(Cow::Borrowed(value))
    }
}
impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(Cow::Owned(value))
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Value {
        Value::Bytes(value)
    }
}
impl From<SqlTimestampTz> for Value {
    fn from(value: SqlTimestampTz) -> Value {
        Value::Instant(value)
    }
}
impl From<char> for Value {
    fn from(value: char) -> Value {
        Value::Text(Cow::Owned(value.to_string()))
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// Collects rows of one relation.
pub struct Filler<'a> {
    schema: &'a Schema,
    positions: HashMap<&'a str, usize>,
    builder: RowBuilder,
    rows: Vec<Row>,
}

impl<'a> Filler<'a> {
    pub fn new(schema: &'a Schema) -> Filler<'a> {
        let positions = schema.columns.iter().enumerate().map(|(position, column)| (column.name.as_str(), position)).collect();
        Filler { schema, positions, builder: RowBuilder::new(), rows: Vec::new() }
    }

    /// Adds a row: the named columns have these values, every other one its type's empty value (0, false, empty name; NULL for text and arrays).
    /// A column the relation does not have is a defect of the caller, which the tests of this module find.
    pub fn row(&mut self, values: &[(&str, Value)]) {
        let mut cells: Vec<Option<&Value>> = vec![None; self.schema.arity()];
        for (name, value) in values {
            match self.positions.get(name) {
                Some(position) => cells[*position] = Some(value),
                None => debug_assert!(false, "no column {name}"),
            }
        }
        for (cell, column) in cells.into_iter().zip(&self.schema.columns) {
            push(&mut self.builder, cell, &column.column_type.scalar);
        }
        self.rows.push(self.builder.finish());
    }

    pub fn finish(self) -> Vec<Row> {
        self.rows
    }
}

fn push(builder: &mut RowBuilder, value: Option<&Value>, scalar: &Type) {
    let number = |value: i64| match scalar {
        Type::Int2 => Datum::Int2(value as i16),
        Type::Int4 => Datum::Int4(value as i32),
        Type::Oid | Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace => Datum::Oid(value as u32),
        Type::Float4 => Datum::Float4(value as f32),
        Type::Float8 => Datum::Float8(value as f64),
        Type::Numeric => Datum::Numeric(value.into()),
        _ => Datum::Int8(value),
    };
    match value {
        Some(Value::Null) => builder.push(Datum::Null),
        Some(Value::Bool(value)) => builder.push(Datum::Bool(*value)),
        Some(Value::Number(value)) => builder.push(number(*value)),
        Some(Value::Float(value)) if *scalar == Type::Float4 => builder.push(Datum::Float4(*value as f32)),
        Some(Value::Float(value)) => builder.push(Datum::Float8(*value)),
        Some(Value::Text(value)) => builder.push(Datum::Text(value)),
        Some(Value::Instant(value)) => builder.push(Datum::TimestampTz(*value)),
        Some(Value::Numbers(values)) => {
            let mut array = ArrayBuilder::new();
            for value in values {
                array.push(match scalar.element() {
                    Some(Type::Int2) => Datum::Int2(*value as i16),
                    Some(Type::Oid) => Datum::Oid(*value as u32),
                    Some(Type::Int4) => Datum::Int4(*value as i32),
                    _ => Datum::Int8(*value),
                });
            }
            builder.push(Datum::Array(repr::Array::from_encoded(&array.finish())));
        }
        Some(Value::Bytes(value)) => builder.push(Datum::Bytea(value.as_slice().into())),
        None => builder.push(match scalar {
            Type::Bool => Datum::Bool(false),
            Type::Name | Type::InternalChar => Datum::Text(""),
            scalar if scalar.is_integer() || matches!(scalar, Type::Oid | Type::Regproc | Type::Regclass | Type::Float4 | Type::Float8) => number(0),
            _ => Datum::Null,
        }),
    }
}

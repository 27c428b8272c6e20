//! Literals as written.

use super::coerce::{literal, null_of};
use super::Binder;
use crate::error::{BindError, BindResult, codes};
use crate::hir::Expression;
use crate::parse::ast::{self, DateTimeField, Value};
use plan::CastKind;
use repr::{ColumnType, Datum, Type};

impl Binder<'_> {
    pub(crate) fn bind_value(&mut self, value: &Value) -> BindResult<Expression> {
        match value {
            Value::Number(digits, _) => self.bind_number(digits),
            Value::Boolean(value) => Ok(literal(Datum::Bool(*value), Type::Bool)),
            Value::Null => Ok(null_of(ColumnType::new(Type::Unknown))),
            Value::Placeholder(name) => self.bind_placeholder(name),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => Ok(literal(Datum::Text(text), Type::Unknown)),
            Value::DollarQuotedString(quoted) => Ok(literal(Datum::Text(&quoted.value), Type::Unknown)),
            other => Err(BindError::unsupported(format!("literal {other} is not supported"))),
        }
    }

    /// `integer` if it fits, else `bigint`, else `numeric`; `numeric` with a point or exponent.
    pub(crate) fn bind_number(&mut self, digits: &str) -> BindResult<Expression> {
        let digits = digits.replace('_', "");
        if let Ok(value) = digits.parse::<i32>() {
            return Ok(literal(Datum::Int4(value), Type::Int4));
        }
        if let Ok(value) = digits.parse::<i64>() {
            return Ok(literal(Datum::Int8(value), Type::Int8));
        }
        self.read_literal(&digits, &ColumnType::new(Type::Numeric), CastKind::Explicit)
    }

    fn bind_placeholder(&mut self, name: &str) -> BindResult<Expression> {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<u16>().ok()).filter(|number| *number > 0);
        let Some(number) = number else {
            return Err(BindError::new(codes::UNDEFINED_PARAMETER, format!("there is no parameter {name}")));
        };
        let index = usize::from(number) - 1;
        self.parameters.mention(index);
        let known = self.parameters.get(index).cloned().unwrap_or(Type::Unknown);
        Ok(Expression::Parameter(index, ColumnType::new(known)))
    }

    /// `date '2020-01-01'`.
    pub(crate) fn bind_typed_string(&mut self, typed: &ast::TypedString) -> BindResult<Expression> {
        let target = self.bind_type(&typed.data_type)?;
        match self.bind_value(&typed.value.value)? {
            Expression::Literal(row, _) => match row.get(0) {
                Some(Datum::Text(text)) => self.read_literal(text, &target, CastKind::Explicit),
                _ => Ok(null_of(target)),
            },
            other => self.coerce(other, &target, CastKind::Explicit),
        }
    }

    /// `INTERVAL '1' DAY`, `INTERVAL '1 day'`.
    pub(crate) fn bind_interval(&mut self, interval: &ast::Interval) -> BindResult<Expression> {
        let target = ColumnType::new(Type::Interval);
        let value = self.bind_expression(&interval.value)?;
        let Expression::Literal(row, _) = &value else {
            return self.coerce(value, &target, CastKind::Explicit);
        };
        let Some(Datum::Text(text)) = row.get(0) else {
            return self.coerce(value.clone(), &target, CastKind::Explicit);
        };
        let bare = !text.is_empty() && text.trim().chars().all(|character| character.is_ascii_digit() || ".-+".contains(character));
        let unit = interval.last_field.as_ref().or(interval.leading_field.as_ref());
        match unit {
            Some(field) if bare && !text.trim().get(1..).unwrap_or("").contains('-') => {
                self.read_literal(&format!("{text} {}", field_name(field)), &target, CastKind::Explicit)
            }
            _ => self.read_literal(text, &target, CastKind::Explicit),
        }
    }
}

/// The field of EXTRACT or an interval, in lower case.
pub(crate) fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => crate::parse::ident_value(ident),
        other => other.to_string().trim_matches(|character| character == '"' || character == '\'').to_ascii_lowercase(),
    }
}

//! Expressions as text.

use crate::{Aggregate, Scalar};
use repr::{ColumnType, Datum, Row, SortDirection, Type, text::TextContext};

/// An expression as Postgres would write it, columns as `#0`.
pub fn expression(scalar: &Scalar) -> String {
    let mut out = String::new();
    write(scalar, false, &mut out);
    out
}

pub fn list(scalars: &[Scalar]) -> Vec<String> {
    scalars.iter().map(expression).collect()
}

/// A value with a cast where its type would not be known without.
pub fn datum(datum: &Datum<'_>, typ: &Type) -> String {
    if datum.is_null() {
        return "NULL".to_string();
    }
    let mut text = String::new();
    repr::text::write(datum, typ, &TextContext::default(), &mut text);
    match typ {
        Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 | Type::Oid => text,
        Type::Numeric | Type::Float4 | Type::Float8 if !text.contains(|character: char| character.is_alphabetic() && character != 'e') => text,
        _ => {
            let quoted = format!("'{}'", text.replace('\'', "''"));
            if matches!(typ, Type::Text | Type::Unknown) { quoted } else { format!("{quoted}::{}", typ.sql_name(-1)) }
        }
    }
}

/// The values of a row.
pub fn row(row: &Row, types: &[ColumnType]) -> String {
    let values: Vec<String> = row.iter().zip(types).map(|(value, column_type)| datum(&value, &column_type.scalar)).collect();
    format!("({})", values.join(", "))
}

pub fn direction(direction: SortDirection) -> &'static str {
    // NULLs are greatest: last when ascending, first when descending, unless said otherwise.
    match (direction.descending, direction.nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

pub fn order(order: &[(Scalar, SortDirection)]) -> String {
    let keys: Vec<String> = order.iter().map(|(scalar, key)| format!("{}{}", expression(scalar), direction(*key))).collect();
    keys.join(", ")
}

pub fn aggregate(aggregate: &Aggregate) -> String {
    let mut out = format!("{}(", aggregate.function.0.name);
    if aggregate.distinct {
        out.push_str("DISTINCT ");
    }
    out.push_str(&if aggregate.function.0.kind == crate::aggregate::AggregateKind::CountAll {
        "*".to_string()
    } else {
        list(&aggregate.arguments).join(", ")
    });
    if !aggregate.order.is_empty() {
        out.push_str(" ORDER BY ");
        out.push_str(&order(&aggregate.order));
    }
    out.push(')');
    if let Some(filter) = &aggregate.filter {
        out.push_str(&format!(" FILTER (WHERE {})", expression(filter)));
    }
    out
}

fn write(scalar: &Scalar, nested: bool, out: &mut String) {
    let (open, close) = if nested { ("(", ")") } else { ("", "") };
    match scalar {
        Scalar::Column(column) => out.push_str(&format!("#{column}")),
        Scalar::Literal(row, column_type) => out.push_str(&datum(&row.get(0).unwrap_or(Datum::Null), &column_type.scalar)),
        Scalar::Error(error, _) => out.push_str(&format!("error({:?})", error.message())),
        Scalar::Parameter(number, _) => out.push_str(&format!("${}", number + 1)),
        Scalar::LogicalTimestamp => out.push_str("mz_now()"),
        Scalar::Call { function, arguments, .. } => write_call(function.0.name, arguments, nested, out),
        Scalar::Cast { input, column_type, .. } => {
            write(input, true, out);
            out.push_str("::");
            out.push_str(&column_type.scalar.sql_name(column_type.modifier));
        }
        Scalar::And(operands) if operands.is_empty() => out.push_str("true"),
        Scalar::Or(operands) if operands.is_empty() => out.push_str("false"),
        Scalar::And(operands) => write_joined(operands, " AND ", nested, out),
        Scalar::Or(operands) => write_joined(operands, " OR ", nested, out),
        Scalar::If { .. } => write_case(scalar, out),
        Scalar::Coalesce(operands) => write_function("COALESCE", operands, out),
        Scalar::InList { value, list, has_null } => {
            let typ = value_type(value);
            out.push_str(open);
            write(value, true, out);
            let mut values: Vec<String> =
                list.iter().map(|row| datum(&row.get(0).unwrap_or(Datum::Null), typ.as_ref().unwrap_or(&guess(row)))).collect();
            if *has_null {
                values.push("NULL".to_string());
            }
            out.push_str(&format!(" IN ({})", values.join(", ")));
            out.push_str(close);
        }
        Scalar::Quantified { function, left, array, all } => {
            out.push_str(open);
            write(left, true, out);
            out.push_str(&format!(" {} {} (", function.0.name, if *all { "ALL" } else { "ANY" }));
            write(array, false, out);
            out.push(')');
            out.push_str(close);
        }
    }
}

/// The type of a value where the expression itself tells it.
fn value_type(value: &Scalar) -> Option<Type> {
    match value {
        Scalar::Column(_) => None,
        other => Some(other.column_type(&[]).scalar).filter(|typ| *typ != Type::Unknown),
    }
}

/// A type a datum can be shown as.
fn guess(row: &Row) -> Type {
    match row.get(0) {
        Some(Datum::Bool(_)) => Type::Bool,
        Some(Datum::Int2(_)) => Type::Int2,
        Some(Datum::Int4(_)) => Type::Int4,
        Some(Datum::Int8(_)) => Type::Int8,
        Some(Datum::Float4(_)) => Type::Float4,
        Some(Datum::Float8(_)) => Type::Float8,
        Some(Datum::Numeric(_)) => Type::Numeric,
        Some(Datum::Bytea(_)) => Type::Bytea,
        Some(Datum::Date(_)) => Type::Date,
        Some(Datum::Time(_)) => Type::Time,
        Some(Datum::Timestamp(_)) => Type::Timestamp,
        Some(Datum::TimestampTz(_)) => Type::TimestampTz,
        Some(Datum::Interval(_)) => Type::Interval,
        Some(Datum::Uuid(_)) => Type::Uuid,
        Some(Datum::Jsonb(_)) => Type::Jsonb,
        Some(Datum::Oid(_)) => Type::Oid,
        _ => Type::Text,
    }
}

fn write_call(name: &str, arguments: &[Scalar], nested: bool, out: &mut String) {
    let (open, close) = if nested { ("(", ")") } else { ("", "") };
    let is_operator = !name.starts_with(|first: char| first.is_alphabetic() || first == '_');
    match arguments {
        [left, right] if is_operator => {
            out.push_str(open);
            write(left, true, out);
            out.push_str(&format!(" {name} "));
            write(right, true, out);
            out.push_str(close);
        }
        [operand] if is_operator => {
            out.push_str(name);
            write(operand, true, out);
        }
        [operand] if matches!(name, "is_null" | "is_not_null") => {
            out.push_str(open);
            write(operand, true, out);
            out.push_str(if name == "is_null" { " IS NULL" } else { " IS NOT NULL" });
            out.push_str(close);
        }
        [operand] if name == "not" => {
            out.push_str(open);
            out.push_str("NOT ");
            write(operand, true, out);
            out.push_str(close);
        }
        arguments => write_function(name, arguments, out),
    }
}

fn write_function(name: &str, arguments: &[Scalar], out: &mut String) {
    out.push_str(name);
    out.push('(');
    for (position, argument) in arguments.iter().enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        write(argument, false, out);
    }
    out.push(')');
}

fn write_joined(operands: &[Scalar], operator: &str, nested: bool, out: &mut String) {
    out.push_str(if nested { "(" } else { "" });
    for (position, operand) in operands.iter().enumerate() {
        if position > 0 {
            out.push_str(operator);
        }
        write(operand, true, out);
    }
    out.push_str(if nested { ")" } else { "" });
}

fn write_case(scalar: &Scalar, out: &mut String) {
    out.push_str("CASE");
    let mut rest = scalar;
    while let Scalar::If { condition, then, otherwise } = rest {
        out.push_str(" WHEN ");
        write(condition, false, out);
        out.push_str(" THEN ");
        write(then, false, out);
        rest = otherwise;
    }
    out.push_str(" ELSE ");
    write(rest, false, out);
    out.push_str(" END");
}

//! The table itself: every entry can be found, is documented, and keeps what it says of itself.

use super::super::{Call, Volatility, all, cast_context, lookup};
use super::{context, show};
use crate::vector::{Step, Transform};
use crate::{CastKind, Context, Function, Scalar};
use repr::{ColumnType, Datum, Row, SqlTimestampTz, TimeZone, Type};
use std::collections::HashSet;

fn is_pseudo(scalar: &Type) -> bool {
    matches!(scalar, Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray) || *scalar == Type::Record(Vec::new())
}

#[test]
fn entries_are_unique_and_documented() {
    let mut seen = HashSet::new();
    assert!(all().len() > 500, "only {} entries", all().len());
    for entry in all() {
        assert!(lookup(entry.name).iter().any(|found| std::ptr::eq(*found, *entry)), "{} is not found by its name", entry.name);
        assert!(entry.description.ends_with('.'), "{} has no sentence: {:?}", entry.name, entry.description);
        assert!(!entry.name.chars().any(char::is_uppercase), "{} is not lower case", entry.name);
        assert!(seen.insert((entry.name, entry.arguments.clone())), "{}({:?}) stands there twice", entry.name, entry.arguments);
    }
    assert!(lookup("no such function").is_empty());
}

#[test]
fn strict_entries_answer_null_with_null() {
    for entry in all().iter().filter(|entry| !entry.arguments.iter().any(is_pseudo) && !is_pseudo(&entry.result)) {
        let types: Vec<ColumnType> = entry.arguments.iter().cloned().map(ColumnType::new).collect();
        let column_type = entry.result_type(&types);
        let prepared = (entry.kernel.prepare)(&Call { arguments: &types, result: &column_type, context: &context() });
        assert!(prepared.is_ok(), "{}({:?}): {}", entry.name, entry.arguments, prepared.err().map_or(String::new(), |error| error.to_string()));
        if !entry.strict || types.is_empty() {
            continue;
        }
        assert!(column_type.nullable && entry.volatility == Volatility::Immutable || ["age", "pg_cancel_backend", "pg_terminate_backend"].contains(&entry.name), "{}", entry.name);
        let call = Scalar::Call { function: Function(entry), arguments: (0..types.len()).map(Scalar::Column).collect(), column_type };
        let mut transform = Transform::new(&types, &[Step::Map(vec![call])], &[types.len()], &context());
        transform.push(Row::pack(types.iter().map(|_| Datum::Null)).as_bytes());
        transform.flush(&mut |_, row| assert_eq!(show(row, &entry.result), "NULL", "{}({:?})", entry.name, entry.arguments));
    }
}

#[test]
fn polymorphic_calls_are_resolved() {
    let int4s = || ColumnType::new(Type::Array(Box::new(Type::Int4)));
    let result = |name: &str, types: &[ColumnType]| {
        let call = Scalar::call(name, (0..types.len()).map(Scalar::Column).collect(), types);
        call.column_type(types).scalar
    };
    let (int4, text) = (ColumnType::new(Type::Int4), ColumnType::new(Type::Text));
    assert_eq!(result("array_append", &[int4s(), int4.clone()]), int4s().scalar);
    assert_eq!(result("array_subscript", &[int4s(), int4.clone()]), Type::Int4);
    assert_eq!(result("array_build", &[text.clone(), text.clone()]), Type::Array(Box::new(Type::Text)));
    assert_eq!(result("record_build", &[text.clone(), int4.clone()]), Type::Record(vec![Type::Text, Type::Int4]));
    assert_eq!(result("canonical", std::slice::from_ref(&text)), Type::Text);
    assert!(Scalar::try_call("array_append", vec![Scalar::Column(0), Scalar::Column(1)], &[int4s(), text.clone()]).is_none());
    assert!(Scalar::try_call("+", vec![Scalar::Column(0), Scalar::Column(1)], &[int4, text]).is_none());
}

#[test]
fn casts_are_allowed_as_postgres_allows_them() {
    let cases = [
        (Type::Int4, Type::Int8, Some(CastKind::Implicit)),
        (Type::Int8, Type::Int4, Some(CastKind::Assignment)),
        (Type::Int4, Type::Bool, Some(CastKind::Explicit)),
        (Type::Int4, Type::Text, Some(CastKind::Assignment)),
        (Type::Text, Type::Int4, Some(CastKind::Explicit)),
        (Type::Varchar, Type::Text, Some(CastKind::Implicit)),
        (Type::Date, Type::TimestampTz, Some(CastKind::Implicit)),
        (Type::TimestampTz, Type::Date, Some(CastKind::Assignment)),
        (Type::Jsonb, Type::Int4, Some(CastKind::Explicit)),
        (Type::Array(Box::new(Type::Int4)), Type::Array(Box::new(Type::Int8)), Some(CastKind::Implicit)),
        (Type::Uuid, Type::Int4, None),
        (Type::Bool, Type::Int8, None),
        (Type::Date, Type::Int4, None),
    ];
    for (from, to, expected) in cases {
        assert_eq!(cast_context(&from, &to), expected, "{from:?} to {to:?}");
    }
}

/// Casts of names of catalog objects need the catalog, which is not here.
#[test]
fn casts_that_need_the_catalog_say_so() {
    let cast = |input: Scalar, scalar: Type| Scalar::Cast { input: Box::new(input), kind: CastKind::Explicit, column_type: ColumnType::new(scalar) };
    let name = Scalar::literal(Datum::Text("t"), ColumnType::new(Type::Text));
    let id = Scalar::literal(Datum::Oid(5), ColumnType::new(Type::Oid));
    // The type is not forgotten on the way: what was json is text to `to_jsonb` after a cast.
    let json = cast(cast(Scalar::literal(Datum::Text("[1]"), ColumnType::new(Type::Json)), Type::Text), Type::Varchar);
    let row = crate::vector::evaluate_constant(&Scalar::call("to_jsonb", vec![json], &[]), &Context::default());
    assert_eq!(show(row.as_ref().map(|row| row.as_bytes()).map_err(Clone::clone), &Type::Jsonb), "\"[1]\"");
    for (scalar, expected) in [
        (cast(name, Type::Regclass), "0A000"),
        (cast(cast(id.clone(), Type::Regclass), Type::Text), "0A000"),
        (cast(cast(id, Type::Regclass), Type::Int8), "5"),
    ] {
        match crate::vector::evaluate_constant(&scalar, &Context::default()) {
            Ok(row) => assert_eq!(format!("{:?}", row.unpack()), format!("[Int8({expected})]")),
            Err(error) => assert_eq!(error.code().as_str(), expected),
        }
    }
}

#[test]
fn local_times_meet_instants_in_the_zone_of_the_session() {
    let mut context = Context { now: Some(SqlTimestampTz(0)), ..Context::default() };
    context.text.time_zone = TimeZone::parse("Europe/Berlin").expect("a zone");
    let literal = |text: &str, scalar: Type| Scalar::Cast {
        input: Box::new(Scalar::literal(Datum::Text(text), ColumnType::new(Type::Text))),
        kind: CastKind::Explicit,
        column_type: ColumnType::new(scalar),
    };
    let local = || literal("2024-07-01 12:00", Type::Timestamp);
    let instant = || literal("2024-07-01 10:00+00", Type::TimestampTz);
    let mut cases = vec![(Scalar::call("=", vec![local(), instant()], &[]), "t"), (Scalar::call("=", vec![instant(), local()], &[]), "t")];
    let text = |input: Scalar| Scalar::Cast { input: Box::new(input), kind: CastKind::Explicit, column_type: ColumnType::new(Type::Text) };
    cases.push((text(instant()), "2024-07-01 12:00:00+02"));
    cases.push((text(Scalar::call("localtimestamp", vec![], &[])), "2000-01-01 01:00:00"));
    cases.push((text(Scalar::call("current_date", vec![], &[])), "2000-01-01"));
    for (scalar, expected) in cases {
        let scalar_type = scalar.column_type(&[]).scalar;
        let row = crate::vector::evaluate_constant(&scalar, &context);
        assert_eq!(show(row.as_ref().map(|row| row.as_bytes()).map_err(Clone::clone), &scalar_type), expected, "{scalar:?}");
    }
    // Without a time, as in a maintained view, there is no now().
    let refused = crate::vector::evaluate_constant(&Scalar::call("now", vec![], &[]), &Context::default());
    assert_eq!(refused.err().map(|error| error.code().as_str().to_string()).as_deref(), Some("0A000"));
}

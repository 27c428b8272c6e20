//! Tests for NULL and truth, NULL counts, canonical forms, and values made of values (`ROW(...)`).

use super::lift::{Shape, Table};
use super::typed::{self as t, Nullable};
use repr::{Datum, EvalError, RowBuilder, Type};

pub fn register(table: &mut Table) {
    for (name, wanted, description) in [("is_null", true, "Whether the value is NULL."), ("is_not_null", false, "Whether the value is not NULL.")] {
        table.entry::<(Nullable<t::Any>,), t::Bool>(name, description).returns(move |(value,)| value.is_none() == wanted);
    }
    table.entry::<(t::Bool,), t::Bool>("not", "The opposite truth value.").returns(|(value,)| !value);
    for (name, wanted, negated) in [
        ("is_true", Some(true), false),
        ("is_not_true", Some(true), true),
        ("is_false", Some(false), false),
        ("is_not_false", Some(false), true),
        ("is_unknown", None, false),
        ("is_not_unknown", None, true),
    ] {
        table
            .entry::<(Nullable<t::Bool>,), t::Bool>(name, "A test of a truth value that is never NULL itself.")
            .returns(move |(value,)| (value == wanted) != negated);
    }
    for (name, count_nulls, description) in
        [("num_nulls", true, "How many arguments are NULL."), ("num_nonnulls", false, "How many arguments are not NULL.")]
    {
        let shape = Shape::new(name, description, vec![Type::Any], Type::Int4).variadic().called_on_null();
        table.datums(
            shape,
            |_| (),
            move |_, datums, out| {
                let count = datums.iter().filter(|datum| datum.is_null() == count_nulls).count();
                out.push(Datum::Int4(count as i32));
                Ok(())
            },
        );
    }
    let shape = Shape::new("canonical", "The value in the form in which SQL's equality is equality of bytes.", vec![Type::Any], Type::Any);
    table.datums(
        shape,
        |call| call.arguments.first().is_some_and(|argument| argument.scalar == Type::Bpchar),
        |blanks_do_not_count, datums, out| {
            match datums {
                [Datum::Text(text)] if *blanks_do_not_count => out.push(Datum::Text(text.trim_end_matches(' '))),
                [datum] => out.push_canonical(datum.clone()),
                _ => out.push(Datum::Null),
            }
            Ok(())
        },
    );
    let shape = Shape::new("record_build", "A row of the arguments.", vec![Type::Any], Type::Record(Vec::new())).variadic().called_on_null();
    table.datums(
        shape,
        |_| RowBuilder::new(),
        |fields, datums, out| {
            fields.clear();
            for datum in datums {
                fields.push(datum.clone());
            }
            out.push(Datum::Record(repr::RowRef::new(fields.as_bytes())));
            Ok(())
        },
    );
    let shape = Shape::new("record_field", "A field of a row, counted from 1.", vec![Type::Record(Vec::new()), Type::Int4], Type::Any).can_be_null();
    table.datums(
        shape,
        |_| (),
        |_, datums, out| match datums {
            [Datum::Record(record), Datum::Int4(field)] => {
                let field = usize::try_from(*field).ok().and_then(|field| field.checked_sub(1));
                out.push(field.and_then(|field| record.iter().nth(field)).unwrap_or(Datum::Null));
                Ok(())
            }
            _ => Err(EvalError::new(repr::SqlState::INTERNAL_ERROR, "record_field takes a record and a position")),
        },
    );
}

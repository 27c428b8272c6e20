//! The table of aggregates: one entry per name and argument types, with Postgres' result types.

use super::{AggregateEntry, AggregateKind, Strategy};
use repr::Type;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The types min and max are defined over: every type with an order.
const ORDERED: [Type; 18] = [
    Type::Int2,
    Type::Int4,
    Type::Int8,
    Type::Float4,
    Type::Float8,
    Type::Numeric,
    Type::Text,
    Type::Bpchar,
    Type::Bytea,
    Type::Bool,
    Type::Date,
    Type::Time,
    Type::Timestamp,
    Type::TimestampTz,
    Type::Interval,
    Type::Uuid,
    Type::Jsonb,
    Type::Oid,
];

struct Table {
    all: Vec<&'static AggregateEntry>,
    by_name: HashMap<&'static str, Vec<&'static AggregateEntry>>,
}

/// The entries live as long as the process: an [`super::AggregateFunction`] is a reference to one.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let all: Vec<&'static AggregateEntry> = entries().into_iter().map(|entry| &*Box::leak(Box::new(entry))).collect();
    let mut by_name: HashMap<&'static str, Vec<&'static AggregateEntry>> = HashMap::new();
    for entry in &all {
        by_name.entry(entry.name).or_default().push(entry);
    }
    Table { all, by_name }
});

/// All entries of a name, in a stable order; empty if there is none. Names are lower case.
pub fn lookup(name: &str) -> &'static [&'static AggregateEntry] {
    TABLE.by_name.get(name).map_or(&[], Vec::as_slice)
}

/// Every entry, for documentation, `pg_aggregate` and "did you mean".
pub fn all() -> &'static [&'static AggregateEntry] {
    &TABLE.all
}

fn entries() -> Vec<AggregateEntry> {
    use AggregateKind::*;
    use Strategy::*;
    let mut entries = Vec::new();
    let mut add = |name, arguments: &[Type], result: Type, strategy, kind, description| {
        let empty_is_zero = matches!(kind, CountAll | Count);
        entries.push(AggregateEntry { name, arguments: arguments.to_vec(), result, empty_is_zero, strategy, description, kind });
    };
    add("count", &[], Type::Int8, Accumulable, CountAll, "The number of rows.");
    add("count", &[Type::Any], Type::Int8, Accumulable, Count, "The number of rows whose argument is not NULL.");
    let sums = [
        (Type::Int2, Type::Int8, Type::Numeric),
        (Type::Int4, Type::Int8, Type::Numeric),
        (Type::Int8, Type::Numeric, Type::Numeric),
        (Type::Numeric, Type::Numeric, Type::Numeric),
        (Type::Float4, Type::Float4, Type::Float8),
        (Type::Float8, Type::Float8, Type::Float8),
        (Type::Interval, Type::Interval, Type::Interval),
    ];
    for (argument, sum, average) in &sums {
        add("sum", std::slice::from_ref(argument), sum.clone(), Accumulable, Sum, "The sum of the values that are not NULL.");
        add("avg", std::slice::from_ref(argument), average.clone(), Accumulable, Average, "The mean of the values that are not NULL.");
    }
    for typ in ORDERED.into_iter().chain([Type::AnyArray]) {
        add("min", std::slice::from_ref(&typ), typ.clone(), Extremum, Minimum, "The smallest of the values that are not NULL.");
        add("max", std::slice::from_ref(&typ), typ.clone(), Extremum, Maximum, "The greatest of the values that are not NULL.");
    }
    let all_true = "Whether all values that are not NULL are true.";
    add("bool_and", &[Type::Bool], Type::Bool, Accumulable, BoolAnd, all_true);
    add("every", &[Type::Bool], Type::Bool, Accumulable, BoolAnd, all_true);
    add("bool_or", &[Type::Bool], Type::Bool, Accumulable, BoolOr, "Whether any of the values is true.");
    for typ in [Type::Text, Type::Bytea] {
        let description = "The values that are not NULL, one after the other, each but the first after its delimiter.";
        add("string_agg", &[typ.clone(), typ.clone()], typ, Recomputed, StringAgg, description);
    }
    add("array_agg", &[Type::AnyNonArray], Type::AnyArray, Recomputed, ArrayAgg, "All values, NULL included, as an array.");
    add("any_value", &[Type::AnyElement], Type::AnyElement, Extremum, AnyValue, "One of the values that are not NULL: the smallest.");
    entries
}

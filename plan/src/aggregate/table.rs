//! The table of aggregates: one entry per name and argument types, with Postgres' result types.

use super::{AggregateEntry, AggregateKind, Regression, Strategy};
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
        let empty_is_zero = matches!(kind, CountAll | Count | Regression(self::Regression::Count));
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
    statistics(&mut add);
    for typ in [Type::Int2, Type::Int4, Type::Int8] {
        let integers = std::slice::from_ref(&typ);
        add("bit_and", integers, typ.clone(), Accumulable, BitAnd, "The bits set in all values that are not NULL.");
        add("bit_or", integers, typ.clone(), Accumulable, BitOr, "The bits set in any of the values that are not NULL.");
        add("bit_xor", integers, typ.clone(), Accumulable, BitXor, "The bits set in an odd number of the values that are not NULL.");
    }
    for (name, object, result) in [("json_agg", "json_object_agg", Type::Json), ("jsonb_agg", "jsonb_object_agg", Type::Jsonb)] {
        let description = "All values, NULL included, as an array of JSON.";
        add(name, &[Type::Any], result.clone(), Recomputed, JsonAgg { lines: false }, description);
        let lines = result == Type::Json;
        for argument in [Type::AnyArray, Type::Record(Vec::new())] {
            add(name, &[argument], result.clone(), Recomputed, JsonAgg { lines }, description);
        }
        add(object, &[Type::Any, Type::Any], result, Recomputed, JsonObjectAgg, "An object of keys and values.");
    }
    for value in [Type::Float8, Type::Interval] {
        let fractions = Type::Array(Box::new(Type::Float8));
        let description = "WITHIN GROUP (ORDER BY value): the value at a fraction of the order, between two values if need be.";
        add("percentile_cont", &[Type::Float8, value.clone()], value.clone(), Recomputed, PercentileContinuous, description);
        let values = Type::Array(Box::new(value.clone()));
        let description = "WITHIN GROUP (ORDER BY value): the values at several fractions of the order.";
        add("percentile_cont", &[fractions, value], values, Recomputed, PercentileContinuous, description);
    }
    let description = "WITHIN GROUP (ORDER BY value): the first value at or behind a fraction of the order.";
    add("percentile_disc", &[Type::Float8, Type::AnyElement], Type::AnyElement, Recomputed, PercentileDiscrete, description);
    let fractions = Type::Array(Box::new(Type::Float8));
    let description = "WITHIN GROUP (ORDER BY value): the first values at or behind several fractions of the order.";
    add("percentile_disc", &[fractions, Type::AnyElement], Type::AnyArray, Recomputed, PercentileDiscrete, description);
    add("mode", &[Type::AnyElement], Type::AnyElement, Recomputed, Mode, "WITHIN GROUP (ORDER BY value): the most frequent value.");
    add("array_agg", &[Type::AnyNonArray], Type::AnyArray, Recomputed, ArrayAgg, "All values, NULL included, as an array.");
    let nested = "All arrays, which must have the same dimensions, as an array of one more dimension.";
    add("array_agg", &[Type::AnyArray], Type::AnyArray, Recomputed, NestedArrayAgg, nested);
    add("any_value", &[Type::AnyElement], Type::AnyElement, Extremum, AnyValue, "One of the values that are not NULL: the smallest.");
    entries
}

type Add<'a> = &'a mut dyn FnMut(&'static str, &[Type], Type, Strategy, AggregateKind, &'static str);

fn statistics(add: Add<'_>) {
    use self::Regression::*;
    let numbers = [Type::Int2, Type::Int4, Type::Int8, Type::Numeric, Type::Float4, Type::Float8];
    for typ in numbers {
        let result = if matches!(typ, Type::Float4 | Type::Float8) { Type::Float8 } else { Type::Numeric };
        for (name, sample, root, description) in [
            ("variance", true, false, "The variance of a sample: `var_samp`."),
            ("var_samp", true, false, "The variance of a sample."),
            ("var_pop", false, false, "The variance of the whole population."),
            ("stddev", true, true, "The standard deviation of a sample: `stddev_samp`."),
            ("stddev_samp", true, true, "The standard deviation of a sample."),
            ("stddev_pop", false, true, "The standard deviation of the whole population."),
        ] {
            let kind = AggregateKind::Variance { sample, root };
            add(name, std::slice::from_ref(&typ), result.clone(), Strategy::Accumulable, kind, description);
        }
    }
    for (name, kind, description) in [
        ("regr_count", Count, "How many pairs have no NULL."),
        ("regr_avgx", MeanX, "The mean of the second argument over pairs without NULL."),
        ("regr_avgy", MeanY, "The mean of the first argument over pairs without NULL."),
        ("regr_sxx", SquaresX, "The sum of the squares of the second argument's distances from their mean."),
        ("regr_syy", SquaresY, "The sum of the squares of the first argument's distances from their mean."),
        ("regr_sxy", Products, "The sum of the products of both arguments' distances from their means."),
        ("covar_pop", CovariancePopulation, "The covariance of the whole population."),
        ("covar_samp", CovarianceSample, "The covariance of a sample."),
        ("corr", Correlation, "The coefficient of correlation."),
        ("regr_r2", Determination, "The square of the coefficient of correlation."),
        ("regr_slope", Slope, "The slope of the least-squares line through the pairs (second argument, first argument)."),
        ("regr_intercept", Intercept, "Where the least-squares line meets the axis of the first argument."),
    ] {
        let result = if kind == Count { Type::Int8 } else { Type::Float8 };
        add(name, &[Type::Float8, Type::Float8], result, Strategy::Accumulable, AggregateKind::Regression(kind), description);
    }
}

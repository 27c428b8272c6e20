//! Functions that return rows, used in FROM and in select lists.
//!
//! A table function is called once per input row with its arguments computed, and emits rows one by one; nothing is collected, and the one who
//! receives them says when it has enough. A NULL argument yields no rows, as Postgres' (all strict) functions do.

mod apply;
#[cfg(test)]
mod tests;

pub(crate) use apply::add_interval;
pub use apply::{Emit, ROWS_MAX};

use repr::{ColumnType, Type};

/// A table function of the table, with the types it was resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableFunction {
    /// `generate_series(start, stop [, step])` over the type of its arguments.
    GenerateSeries(Type),
    GenerateSubscripts,
    Unnest(Type),
    RegexpSplitToTable,
    StringToTable,
    JsonbArrayElements {
        text: bool,
    },
    JsonbEach {
        text: bool,
    },
    JsonbObjectKeys,
    /// The input row, as often as the (single, bigint) argument says; negative is an error of the plan. Used by INTERSECT/EXCEPT ALL.
    Repeat,
    /// Fails with `more than one row returned by a subquery used as an expression` when its argument (a count) is above 1; returns no columns and one row otherwise.
    AssertOneRow,
    /// The function with a trailing bigint column that counts the rows from 1.
    WithOrdinality(Box<TableFunction>),
}

/// The names [`lookup`] knows.
pub const NAMES: [&str; 10] = [
    "generate_series",
    "generate_subscripts",
    "unnest",
    "regexp_split_to_table",
    "string_to_table",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
];

impl TableFunction {
    /// Names and types of the columns it appends.
    pub fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        let column = |name, typ: Type| vec![(name, ColumnType::new(typ).not_null())];
        let json = |text| {
            if text { ColumnType::new(Type::Text) } else { ColumnType::new(Type::Jsonb).not_null() }
        };
        match self {
            TableFunction::GenerateSeries(typ) => column("generate_series", typ.clone()),
            TableFunction::GenerateSubscripts => column("generate_subscripts", Type::Int4),
            TableFunction::Unnest(element) => vec![("unnest", ColumnType::new(element.clone()))],
            TableFunction::RegexpSplitToTable => column("regexp_split_to_table", Type::Text),
            TableFunction::StringToTable => vec![("string_to_table", ColumnType::new(Type::Text))],
            TableFunction::JsonbArrayElements { text } => vec![("value", json(*text))],
            TableFunction::JsonbEach { text } => vec![("key", ColumnType::new(Type::Text).not_null()), ("value", json(*text))],
            TableFunction::JsonbObjectKeys => column("jsonb_object_keys", Type::Text),
            TableFunction::Repeat | TableFunction::AssertOneRow => Vec::new(),
            TableFunction::WithOrdinality(function) => {
                let mut columns = function.columns();
                columns.push(("ordinality", ColumnType::new(Type::Int8).not_null()));
                columns
            }
        }
    }

    /// The most rows one call can return, where that is known.
    pub fn rows_max(&self) -> Option<u64> {
        match self {
            TableFunction::AssertOneRow => Some(1),
            TableFunction::WithOrdinality(function) => function.rows_max(),
            _ => None,
        }
    }
    /// Whether the last column numbers the rows of one call.
    pub fn has_ordinality(&self) -> bool {
        matches!(self, TableFunction::WithOrdinality(_))
    }
    /// Whether a call can fail for arguments of the right types.
    pub fn can_fail(&self) -> bool {
        match self {
            TableFunction::GenerateSubscripts | TableFunction::Unnest(_) | TableFunction::StringToTable => false,
            TableFunction::WithOrdinality(function) => function.can_fail(),
            _ => true,
        }
    }
    /// The types the arguments must be cast to, for the binder. Of `generate_series` over times the step is an interval.
    pub fn arguments(&self, count: usize) -> Vec<Type> {
        let mut types = match self {
            TableFunction::GenerateSeries(typ @ (Type::Timestamp | Type::TimestampTz)) => {
                vec![typ.clone(), typ.clone(), Type::Interval]
            }
            TableFunction::GenerateSeries(typ) => vec![typ.clone(), typ.clone(), typ.clone()],
            TableFunction::GenerateSubscripts => vec![Type::AnyArray, Type::Int4, Type::Bool],
            TableFunction::Unnest(element) => vec![Type::Array(Box::new(element.clone()))],
            TableFunction::RegexpSplitToTable | TableFunction::StringToTable => {
                vec![Type::Text, Type::Text, Type::Text]
            }
            TableFunction::JsonbArrayElements { .. } | TableFunction::JsonbEach { .. } | TableFunction::JsonbObjectKeys => vec![Type::Jsonb],
            TableFunction::Repeat | TableFunction::AssertOneRow => vec![Type::Int8],
            TableFunction::WithOrdinality(function) => return function.arguments(count),
        };
        types.truncate(count);
        types
    }
}

/// The function of a (lower case) name that takes arguments of these types, after the casts [`TableFunction::arguments`] asks for. `Unknown`
/// arguments fit anything.
pub fn lookup(name: &str, arguments: &[Type]) -> Option<TableFunction> {
    let is_text = |typ: &Type| typ.is_string() || *typ == Type::Unknown;
    let single_json = || matches!(arguments, [Type::Jsonb | Type::Unknown]);
    let function = match name {
        "generate_series" => TableFunction::GenerateSeries(series_type(arguments)?),
        "generate_subscripts" => match arguments {
            [Type::Array(_), Type::Int2 | Type::Int4 | Type::Unknown] | [Type::Array(_), Type::Int2 | Type::Int4 | Type::Unknown, Type::Bool] => {
                TableFunction::GenerateSubscripts
            }
            _ => return None,
        },
        "unnest" => match arguments {
            [Type::Array(element)] => TableFunction::Unnest((**element).clone()),
            _ => return None,
        },
        "regexp_split_to_table" if (2..=3).contains(&arguments.len()) && arguments.iter().all(is_text) => TableFunction::RegexpSplitToTable,
        "string_to_table" if (2..=3).contains(&arguments.len()) && arguments.iter().all(is_text) => TableFunction::StringToTable,
        "jsonb_array_elements" if single_json() => TableFunction::JsonbArrayElements { text: false },
        "jsonb_array_elements_text" if single_json() => TableFunction::JsonbArrayElements { text: true },
        "jsonb_each" if single_json() => TableFunction::JsonbEach { text: false },
        "jsonb_each_text" if single_json() => TableFunction::JsonbEach { text: true },
        "jsonb_object_keys" if single_json() => TableFunction::JsonbObjectKeys,
        _ => return None,
    };
    Some(function)
}

/// The widest of the argument types of `generate_series`; text decides nothing, dates become timestamps with time zone as in Postgres.
fn series_type(arguments: &[Type]) -> Option<Type> {
    let (bounds, step) = match arguments {
        [_, _] => (arguments, None),
        [_, _, step] => (&arguments[..2], Some(step)),
        _ => return None,
    };
    let is_time = |typ: &Type| matches!(typ, Type::Timestamp | Type::TimestampTz | Type::Date);
    if bounds.iter().any(is_time) {
        // Without a step there is no such function.
        let fits = bounds.iter().all(|typ| is_time(typ) || *typ == Type::Unknown) && matches!(step?, Type::Interval | Type::Unknown);
        let zoned = bounds.iter().all(|typ| *typ != Type::Timestamp) || bounds.contains(&Type::TimestampTz);
        return fits.then_some(if zoned { Type::TimestampTz } else { Type::Timestamp });
    }
    let rank = |typ: &Type| match typ {
        Type::Unknown => Some(0),
        Type::Int2 | Type::Int4 => Some(1),
        Type::Int8 => Some(2),
        Type::Numeric => Some(3),
        _ => None,
    };
    let ranks: Vec<i32> = arguments.iter().map(rank).collect::<Option<_>>()?;
    match ranks.into_iter().max()? {
        3 => Some(Type::Numeric),
        2 => Some(Type::Int8),
        1 => Some(Type::Int4),
        _ => None,
    }
}

//! The table of scalar functions and operators.
//!
//! One entry is one typed scalar Rust function, lifted to a batch kernel by generics ([`lift`]); its signature gives the binder its types and the
//! documentation its row. Operators are entries whose name is the operator (`+`, `||`, `~`), unary ones with one argument.
//!
//! The entries stand in one file per theme; casts, which are chosen by two types instead of a name, in [`casts`].

mod arithmetic;
mod array;
mod bits;
mod buckets;
mod bytes;
pub(crate) mod casts;
mod comparison;
mod conditional;
mod datetime;
mod datetime_parts;
mod encoding;
mod format;
pub(crate) mod json;
pub(crate) mod lift;
mod math;
mod pattern;
pub(crate) mod regexp;
mod sessions;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod text_codes;
mod text_search;
mod trigonometry;
pub(crate) mod typed;

pub(crate) use lift::{BatchKernel, Call};

use repr::{ColumnType, Type};
use std::collections::HashMap;
use std::sync::OnceLock;

/// When a function may be computed in advance or kept in a maintained view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Depends on its arguments alone (and on the session settings a [`crate::Context`] carries).
    Immutable,
    /// Constant within one statement (`now()`, `current_user`): refused in maintained views.
    Stable,
    /// `random()`: never folded, refused in maintained views.
    Volatile,
}

/// An entry of the table.
pub struct ScalarFunction {
    pub name: &'static str,
    /// Argument types; may hold pseudo-types (`AnyElement`, `AnyArray`, `Any`). `Record(vec![])` stands for every record type.
    pub arguments: Vec<Type>,
    /// The last argument may be repeated (VARIADIC).
    pub variadic: bool,
    pub result: Type,
    /// NULL in, NULL out, without calling the kernel.
    pub strict: bool,
    pub volatility: Volatility,
    /// Whether it can return an error.
    pub can_fail: bool,
    /// Whether it can return NULL when no argument is NULL (or, if it is not strict, at all).
    pub can_be_null: bool,
    /// One sentence for the generated documentation.
    pub description: &'static str,
    pub kernel: Kernel,
}

/// How it is computed over a batch.
pub struct Kernel {
    pub(crate) prepare: Box<lift::Prepare>,
}

struct Index {
    all: Vec<&'static ScalarFunction>,
    by_name: HashMap<&'static str, Vec<&'static ScalarFunction>>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut table = lift::Table::default();
        arithmetic::register(&mut table);
        array::register(&mut table);
        bits::register(&mut table);
        buckets::register(&mut table);
        bytes::register(&mut table);
        comparison::register(&mut table);
        conditional::register(&mut table);
        datetime::register(&mut table);
        datetime_parts::register(&mut table);
        encoding::register(&mut table);
        format::register(&mut table);
        json::register(&mut table);
        math::register(&mut table);
        pattern::register(&mut table);
        regexp::register(&mut table);
        sessions::register(&mut table);
        template::register(&mut table);
        text::register(&mut table);
        text_codes::register(&mut table);
        text_search::register(&mut table);
        trigonometry::register(&mut table);
        // The table lives as long as the process; entries are compared by address.
        let entries: &'static [ScalarFunction] = Vec::leak(table.entries);
        let mut by_name: HashMap<&'static str, Vec<&'static ScalarFunction>> = HashMap::new();
        for entry in entries {
            by_name.entry(entry.name).or_default().push(entry);
        }
        Index { all: entries.iter().collect(), by_name }
    })
}

/// All entries of a name, in a stable order; empty if there is none. Names are lower case.
pub fn lookup(name: &str) -> &'static [&'static ScalarFunction] {
    index().by_name.get(name).map_or(&[], Vec::as_slice)
}

/// Every entry, for documentation, `pg_proc` and "did you mean".
pub fn all() -> &'static [&'static ScalarFunction] {
    &index().all
}

impl ScalarFunction {
    /// The result's type for actual argument types: polymorphic results resolved, nullability and modifier decided.
    pub fn result_type(&self, arguments: &[ColumnType]) -> ColumnType {
        let (scalar, modifier) = match &self.result {
            Type::Any => arguments.first().map_or((Type::Text, -1), |first| (first.scalar.clone(), first.modifier)),
            Type::AnyElement | Type::AnyNonArray => (self.element_type(arguments), -1),
            Type::AnyArray => (Type::Array(Box::new(self.element_type(arguments))), -1),
            Type::Record(fields) if fields.is_empty() => (Type::Record(arguments.iter().map(|argument| argument.scalar.clone()).collect()), -1),
            other => (other.clone(), -1),
        };
        let nullable = self.can_be_null || (self.strict && arguments.iter().any(|argument| argument.nullable));
        ColumnType { scalar, modifier, nullable }
    }

    /// What `AnyElement` stands for in a call.
    fn element_type(&self, arguments: &[ColumnType]) -> Type {
        let mut decided = None;
        for (position, argument) in arguments.iter().enumerate() {
            let found = match self.argument_at(position) {
                Some(Type::AnyElement | Type::AnyNonArray) => Some(argument.scalar.clone()),
                Some(Type::AnyArray) => argument.scalar.element().cloned(),
                _ => None,
            };
            match found {
                Some(Type::Unknown) | None => {}
                Some(found) => {
                    decided.get_or_insert(found);
                }
            }
        }
        decided.unwrap_or(Type::Text)
    }

    /// The declared type of an argument, the repeated one included.
    fn argument_at(&self, position: usize) -> Option<&Type> {
        match self.arguments.get(position) {
            None if self.variadic => self.arguments.last(),
            found => found,
        }
    }

    /// Whether a call with exactly these types is this entry's; pseudo-types take what they stand for.
    pub fn accepts(&self, arguments: &[Type]) -> bool {
        let fits = arguments.len() == self.arguments.len() || (self.variadic && arguments.len() + 1 >= self.arguments.len());
        let element = {
            let types: Vec<ColumnType> = arguments.iter().cloned().map(ColumnType::new).collect();
            self.element_type(&types)
        };
        fits && arguments.iter().enumerate().all(|(position, actual)| match self.argument_at(position) {
            Some(Type::Any) => true,
            Some(Type::AnyElement) => *actual == element || *actual == Type::Unknown,
            Some(Type::AnyNonArray) => !matches!(actual, Type::Array(_)),
            Some(Type::AnyArray) => actual.element() == Some(&element),
            Some(Type::Record(fields)) if fields.is_empty() => matches!(actual, Type::Record(_)),
            Some(declared) => declared == actual,
            None => false,
        })
    }
}

pub use casts::cast_context;

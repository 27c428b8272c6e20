//! The table of scalar functions and operators.
//!
//! One entry is one typed scalar Rust function, lifted to a batch kernel by generics; its signature gives the binder its types and the documentation its
//! row. Operators are entries whose name is the operator (`+`, `||`, `~`), unary ones with one argument.

use repr::{ColumnType, Type};

/// When a function may be computed in advance or kept in a maintained view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Depends on its arguments alone.
    Immutable,
    /// Constant within one statement (`now()`, `current_user`): refused in maintained views.
    Stable,
    /// `random()`: never folded, refused in maintained views.
    Volatile,
}

/// An entry of the table.
pub struct ScalarFunction {
    pub name: &'static str,
    /// Argument types; may hold pseudo-types (`AnyElement`, `AnyArray`, `Any`).
    pub arguments: Vec<Type>,
    /// The last argument may be repeated (VARIADIC).
    pub variadic: bool,
    pub result: Type,
    /// NULL in, NULL out, without calling the kernel.
    pub strict: bool,
    pub volatility: Volatility,
    /// Whether it can return an error.
    pub can_fail: bool,
    /// One sentence for the generated documentation.
    pub description: &'static str,
    pub kernel: Kernel,
}

/// How it is computed over a batch.
pub struct Kernel {}

/// All entries of a name, in a stable order; empty if there is none. Names are lower case.
pub fn lookup(_name: &str) -> &'static [&'static ScalarFunction] {
    todo!()
}

/// Every entry, for documentation, `pg_proc` and "did you mean".
pub fn all() -> &'static [&'static ScalarFunction] {
    todo!()
}

impl ScalarFunction {
    /// The result's type for actual argument types: polymorphic results resolved, nullability and modifier decided.
    pub fn result_type(&self, _arguments: &[ColumnType]) -> ColumnType {
        todo!()
    }
}

/// Whether Postgres has a cast between two types, and the weakest context that allows it.
pub fn cast_context(_from: &Type, _to: &Type) -> Option<crate::CastKind> {
    todo!()
}

//! SQL text to plans: [`parse`], [`bind`], [`decorrelate`], [`optimize`](mod@optimize).
//!
//! What this crate promises:
//! * **Postgres' meaning.** Names, types, operators and functions are resolved by Postgres' rules; what is refused carries Postgres' SQLSTATE,
//!   words and position.
//! * **Any correlated subquery, in any clause, at any depth** becomes a plan without correlation, by one mechanism ([`decorrelate`]).
//! * **The optimizer changes cost, never the result**, errors included: a plan before and after [`optimize()`] yields the same rows, and fails for no
//!   row for which it did not fail before.
//!
//! What it leaves to others: what a collection holds, when, and who may read it. Nothing here does IO or reads a clock.
//!
//! Binding and optimizing walk trees by recursion; the parser bounds their depth, and [`DEPTH_MAX`] does so again. Callers give the thread
//! [`STACK_BYTES_MIN`] of stack.

pub mod bind;
pub mod decorrelate;
mod equality;
mod error;
pub mod hir;
mod names;
pub mod optimize;
pub mod parse;
#[cfg(test)]
mod tests;

pub use bind::dml::{BoundDelete, BoundInsert, BoundReturning, BoundUpdate, bind_delete, bind_insert, bind_update};
pub use bind::statement::{
    BoundQuery, BoundTable, TableColumn, bind_body, bind_columns, bind_index_expressions, bind_index_keys, bind_query, bind_scalar, bind_standalone,
};
pub use error::{BindError, BindResult, Place, codes};
pub use names::{IndexInfo, Mode, Names, Parameters, Relation, RelationKind, SessionContext, ViewDefinition};
pub use optimize::{choose_access, optimize};

/// Levels of nesting the binder follows before it answers 54001.
pub const DEPTH_MAX: usize = 600;

/// The stack a thread needs that binds or optimizes (unoptimized builds have large frames).
pub const STACK_BYTES_MIN: usize = 16 << 20;

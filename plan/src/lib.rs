//! The meaning of a query: [`Plan`] (relations), [`Scalar`] (expressions over a row), [`Aggregate`], and [`evaluate`]: a plan run once.
//!
//! `evaluate` is the definition of every operator, errors included. `dataflow` keeps the same plan up to date for ever, and at every
//! timestamp the two are equal.
//!
//! Invariants:
//! * A plan never panics and never drops a row in silence: what cannot be computed is an [`repr::EvalError`].
//! * Expressions run over batches ([`vector`]), never row by row through an enum of datums.
//! * Adding a function is one entry in one table ([`functions`]).
//! * Nothing here reads a clock or does IO: what `now()` is, is in the [`Context`].

pub mod aggregate;
pub mod evaluate;
pub mod explain;
pub mod functions;
mod relation;
mod scalar;
pub mod table_function;
pub mod vector;

pub use aggregate::{Aggregate, AggregateFunction};
pub use evaluate::{Context, Host, Inputs, evaluate};
pub use relation::{Access, ColumnOrder, Id, JoinImplementation, LocalId, Plan, RecursiveBinding, WindowExpression, WindowFrame, FrameBound, FrameExclusion, FrameUnits, WindowFunction};
pub use scalar::{CastKind, Function, Scalar};
pub use table_function::TableFunction;

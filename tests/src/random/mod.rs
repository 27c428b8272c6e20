//! Random SQL: schemas, contents, changes and queries over them, every one of which Postgres should accept, and what makes a failing one small.
//!
//! A query is a tree of text ([`Node`]): each node knows what it stands for ([`Sort`]), so a part of it can be replaced by a smaller one of the same sort. Whether
//! the result still is a query is not known here, and need not be: Postgres says so.
//!
//! What is generated has one answer: no row's place, and no choice among equals, is left to the server.

mod coverage;
mod generate;
mod node;
mod schema;
mod shrink;

pub use coverage::Coverage;
pub use generate::query;
pub use node::{Node, Part, Sort};
pub use schema::{Schema, Ty};
pub use shrink::smaller;

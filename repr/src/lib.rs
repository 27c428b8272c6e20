//! The nouns every other crate speaks: [`Row`], [`Datum`], [`Type`], [`Schema`], [`Timestamp`], [`Diff`], [`Update`], [`CollectionId`].
//!
//! What this crate promises:
//! * **Order.** Comparing the bytes of two rows of one schema compares their SQL values, column by column, NULLs last
//!   (floats, numerics, text under the C collation and intervals included). Sorting is `memcmp`; hashing needs no decoding.
//! * **Totality.** Every value of every [`Type`] can be written as text and as Postgres' binary format and read back unchanged.
//! * **No policy.** Nothing here reads a clock, a file or the environment.
//!
//! What it leaves to others: which operators exist (`plan`), what names mean (`sql`), what is durable (`storage`).

pub mod binary;
mod array;
mod datum;
mod encoding;
mod error;
mod jsonb;
mod numeric;
mod row;
mod schema;
pub mod temporal;
pub mod text;
mod time;
mod types;

pub use array::{Array, ArrayBuilder, ArrayDimension};
pub use datum::Datum;
pub use error::{EvalError, SqlState};
pub use jsonb::{Jsonb, JsonbBuf, JsonbView, write_string_text as write_json_string};
pub use numeric::{Numeric, NumericModifier};
pub use row::{DatumIter, Row, RowBuilder, RowRef, SortDirection, skip_datum};
pub use schema::{Column, ColumnType, Schema};
pub use temporal::{Date, Interval, SqlTimestamp, SqlTimestampTz, Time, TimeZone};
pub use time::{CollectionId, Diff, Timestamp, Update};
pub use types::Type;

//! The types `pg_type` lists, and the functions `pg_type` and clients refer to.

use repr::Type;

pub const ARRAY_IN_OID: u32 = 750;
pub const ARRAY_RECV_OID: u32 = 2400;
/// Functions of our table have no OIDs of Postgres; these do not meet any of them.
pub const FIRST_FUNCTION_OID: u32 = 50_000;
pub const IO_FUNCTIONS: [(u32, &str); 2] = [(ARRAY_IN_OID, "array_in"), (ARRAY_RECV_OID, "array_recv")];

/// Every type a value can have, and its array type.
pub fn all() -> Vec<Type> {
    let scalars = [
        Type::Bool,
        Type::Int2,
        Type::Int4,
        Type::Int8,
        Type::Float4,
        Type::Float8,
        Type::Numeric,
        Type::Text,
        Type::Varchar,
        Type::Bpchar,
        Type::InternalChar,
        Type::Name,
        Type::Bytea,
        Type::Date,
        Type::Time,
        Type::Timestamp,
        Type::TimestampTz,
        Type::Interval,
        Type::Uuid,
        Type::Json,
        Type::Jsonb,
        Type::Oid,
        Type::Regclass,
        Type::Regtype,
        Type::Regproc,
        Type::Regnamespace,
    ];
    let arrays = scalars.iter().filter(|scalar| scalar.array_oid() != 0).map(|scalar| Type::Array(Box::new(scalar.clone()))).collect::<Vec<_>>();
    let others = [Type::Record(Vec::new()), Type::Unknown, Type::Void, Type::Any, Type::AnyElement, Type::AnyArray, Type::AnyNonArray];
    scalars.into_iter().chain(arrays).chain(others).collect()
}

//! The SQL types, without their modifiers: `varchar(3)` and `varchar` are one [`Type`]; the 3 is in [`crate::ColumnType`].

use serde::{Deserialize, Serialize};

/// A Postgres type. Two types are the same when Postgres gives them the same OID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Type {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    /// `char(n)`, Postgres' `bpchar`: padded with blanks which do not count in comparisons.
    Bpchar,
    /// `"char"`: one byte, used by the system catalogs.
    InternalChar,
    Name,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    /// Text that was checked to be JSON, kept as written. Its datum is `Datum::Text`.
    Json,
    Jsonb,
    Oid,
    Regclass,
    Regtype,
    Regproc,
    Regnamespace,
    /// Arrays of any number of dimensions of the element type.
    Array(Box<Type>),
    /// An anonymous row type.
    Record(Vec<Type>),
    /// `int2vector` and `oidvector` are `Array`s here; this is the type of a literal or parameter nobody has decided yet.
    Unknown,
    Void,
    // Pseudo-types, only in the signatures of functions.
    Any,
    AnyElement,
    AnyArray,
    AnyNonArray,
}

impl Type {
    /// Postgres' OID of the type (`Record(_)` is 2249; an array of an element without array type is 0).
    pub fn oid(&self) -> u32 {
        todo!()
    }
    /// The type of an OID, arrays included; `None` for OIDs we do not know.
    pub fn from_oid(_oid: u32) -> Option<Type> {
        todo!()
    }
    /// The OID of the array type over this type, 0 if there is none.
    pub fn array_oid(&self) -> u32 {
        todo!()
    }
    /// `pg_type.typname`: `int4`, `_int4`, `bpchar`.
    pub fn pg_name(&self) -> String {
        todo!()
    }
    /// `format_type(oid, modifier)`: `integer`, `character varying(3)`, `integer[]`. A modifier of -1 means none.
    pub fn sql_name(&self, _modifier: i32) -> String {
        todo!()
    }
    /// A type by a name a user may write, `pg_catalog` qualification removed, lower case: `int`, `int4`, `integer`, `character varying`, `_int4`.
    pub fn from_name(_name: &str) -> Option<Type> {
        todo!()
    }
    /// `pg_type.typlen`, also sent in RowDescription.
    pub fn length(&self) -> i16 {
        todo!()
    }
    /// `pg_type.typcategory` (`N`, `S`, `B`, `D`, `T`, `A`, `U`, `X`, `P`), which steers operator resolution.
    pub fn category(&self) -> char {
        todo!()
    }
    /// Whether the type is the preferred one of its category.
    pub fn is_preferred(&self) -> bool {
        todo!()
    }
    /// Whether values that SQL calls equal may have different bytes (numeric scale, -0.0, interval '1 mon' = '30 days', jsonb numbers, bpchar blanks):
    /// keys of such types must pass through the `canonical` function before their bytes are compared.
    pub fn needs_canonical_key(&self) -> bool {
        todo!()
    }
    pub fn is_string(&self) -> bool {
        matches!(self, Type::Text | Type::Varchar | Type::Bpchar | Type::Name)
    }
    pub fn is_integer(&self) -> bool {
        matches!(self, Type::Int2 | Type::Int4 | Type::Int8)
    }
    pub fn element(&self) -> Option<&Type> {
        match self {
            Type::Array(element) => Some(element),
            _ => None,
        }
    }
}

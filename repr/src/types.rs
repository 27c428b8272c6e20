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

/// What the system catalogs say about a type without parameters.
struct Facts {
    typ: Type,
    oid: u32,
    array_oid: u32,
    /// `pg_type.typname`.
    name: &'static str,
    /// What `format_type` calls it, without modifier.
    sql_name: &'static str,
    /// Further names SQL has for it, and that only the parser of Postgres knows.
    aliases: &'static [&'static str],
    length: i16,
    category: char,
    preferred: bool,
}

const fn facts(typ: Type, oid: u32, array_oid: u32, name: &'static str, sql_name: &'static str, length: i16, category: char) -> Facts {
    Facts { typ, oid, array_oid, name, sql_name, aliases: &[], length, category, preferred: false }
}

impl Facts {
    const fn aliases(mut self, aliases: &'static [&'static str]) -> Facts {
        self.aliases = aliases;
        self
    }
    const fn preferred(mut self) -> Facts {
        self.preferred = true;
        self
    }
}

const RECORD: Type = Type::Record(Vec::new());

/// `pg_type`, as far as we know it. [`Type::facts`] indexes it.
#[rustfmt::skip]
static FACTS: [Facts; 33] = [
    facts(Type::Bool, 16, 1000, "bool", "boolean", 1, 'B').preferred(),
    facts(Type::Int2, 21, 1005, "int2", "smallint", 2, 'N'),
    facts(Type::Int4, 23, 1007, "int4", "integer", 4, 'N').aliases(&["int"]),
    facts(Type::Int8, 20, 1016, "int8", "bigint", 8, 'N'),
    facts(Type::Float4, 700, 1021, "float4", "real", 4, 'N'),
    facts(Type::Float8, 701, 1022, "float8", "double precision", 8, 'N').aliases(&["float"]).preferred(),
    facts(Type::Numeric, 1700, 1231, "numeric", "numeric", -1, 'N').aliases(&["decimal", "dec"]),
    facts(Type::Text, 25, 1009, "text", "text", -1, 'S').preferred(),
    facts(Type::Varchar, 1043, 1015, "varchar", "character varying", -1, 'S')
        .aliases(&["char varying", "national character varying", "national char varying", "nchar varying"]),
    facts(Type::Bpchar, 1042, 1014, "bpchar", "character", -1, 'S').aliases(&["char", "nchar", "national character", "national char"]),
    // Its catalog name is `char` too, which in SQL without quotes is the one above.
    facts(Type::InternalChar, 18, 1002, "char", "\"char\"", 1, 'Z'),
    facts(Type::Name, 19, 1003, "name", "name", 64, 'S'),
    facts(Type::Bytea, 17, 1001, "bytea", "bytea", -1, 'U'),
    facts(Type::Date, 1082, 1182, "date", "date", 4, 'D'),
    facts(Type::Time, 1083, 1183, "time", "time without time zone", 8, 'D'),
    facts(Type::Timestamp, 1114, 1115, "timestamp", "timestamp without time zone", 8, 'D'),
    facts(Type::TimestampTz, 1184, 1185, "timestamptz", "timestamp with time zone", 8, 'D').preferred(),
    facts(Type::Interval, 1186, 1187, "interval", "interval", 16, 'T').preferred(),
    facts(Type::Uuid, 2950, 2951, "uuid", "uuid", 16, 'U'),
    facts(Type::Json, 114, 199, "json", "json", -1, 'U'),
    facts(Type::Jsonb, 3802, 3807, "jsonb", "jsonb", -1, 'U'),
    facts(Type::Oid, 26, 1028, "oid", "oid", 4, 'N').preferred(),
    facts(Type::Regclass, 2205, 2210, "regclass", "regclass", 4, 'N'),
    facts(Type::Regtype, 2206, 2211, "regtype", "regtype", 4, 'N'),
    facts(Type::Regproc, 24, 1008, "regproc", "regproc", 4, 'N'),
    facts(Type::Regnamespace, 4089, 4090, "regnamespace", "regnamespace", 4, 'N'),
    facts(RECORD, 2249, 2287, "record", "record", -1, 'P'),
    facts(Type::Unknown, 705, 0, "unknown", "unknown", -2, 'X'),
    facts(Type::Void, 2278, 0, "void", "void", 4, 'P'),
    facts(Type::Any, 2276, 0, "any", "\"any\"", 4, 'P'),
    facts(Type::AnyElement, 2283, 0, "anyelement", "anyelement", 4, 'P'),
    facts(Type::AnyArray, 2277, 0, "anyarray", "anyarray", -1, 'P'),
    facts(Type::AnyNonArray, 2776, 0, "anynonarray", "anynonarray", 4, 'P'),
];

/// Vectors of the system catalogs, which are arrays to us: OID, array's OID, name, element.
#[rustfmt::skip]
const VECTORS: [(u32, u32, &str, Type); 2] = [
    (22, 1006, "int2vector", Type::Int2),
    (30, 1013, "oidvector", Type::Oid),
];

/// What Postgres adds to a modifier that stands for a length, so that 0 is not one.
const MODIFIER_HEADER: i32 = 4;

impl Type {
    /// The row of [`FACTS`]; `None` for arrays, which have none of their own.
    #[rustfmt::skip]
    fn facts(&self) -> Option<&'static Facts> {
        let position = match self {
            Type::Bool => 0, Type::Int2 => 1, Type::Int4 => 2, Type::Int8 => 3, Type::Float4 => 4, Type::Float8 => 5, Type::Numeric => 6,
            Type::Text => 7, Type::Varchar => 8, Type::Bpchar => 9, Type::InternalChar => 10, Type::Name => 11, Type::Bytea => 12,
            Type::Date => 13, Type::Time => 14, Type::Timestamp => 15, Type::TimestampTz => 16, Type::Interval => 17, Type::Uuid => 18,
            Type::Json => 19, Type::Jsonb => 20, Type::Oid => 21, Type::Regclass => 22, Type::Regtype => 23, Type::Regproc => 24,
            Type::Regnamespace => 25, Type::Record(_) => 26, Type::Unknown => 27, Type::Void => 28, Type::Any => 29, Type::AnyElement => 30,
            Type::AnyArray => 31, Type::AnyNonArray => 32,
            Type::Array(_) => return None,
        };
        Some(&FACTS[position])
    }

    /// Postgres' OID of the type (`Record(_)` is 2249; an array of an element without array type is 0).
    pub fn oid(&self) -> u32 {
        match self {
            Type::Array(element) => element.array_oid(),
            _ => self.facts().map_or(0, |facts| facts.oid),
        }
    }
    /// The type of an OID, arrays included; `None` for OIDs we do not know.
    pub fn from_oid(oid: u32) -> Option<Type> {
        if oid == 0 {
            return None;
        }
        let vector = |typ: &Type| Type::Array(Box::new(typ.clone()));
        FACTS
            .iter()
            .find_map(|facts| match oid {
                _ if facts.oid == oid => Some(facts.typ.clone()),
                _ if facts.array_oid == oid => Some(Type::Array(Box::new(facts.typ.clone()))),
                _ => None,
            })
            .or_else(|| VECTORS.iter().find(|(own, ..)| *own == oid).map(|(.., element)| vector(element)))
            .or_else(|| VECTORS.iter().find(|(_, array, ..)| *array == oid).map(|(.., element)| Type::Array(Box::new(vector(element)))))
    }
    /// The OID of the array type over this type, 0 if there is none.
    pub fn array_oid(&self) -> u32 {
        self.facts().map_or(0, |facts| facts.array_oid)
    }
    /// `pg_type.typname`: `int4`, `_int4`, `bpchar`.
    pub fn pg_name(&self) -> String {
        match self {
            Type::Array(element) => format!("_{}", element.pg_name()),
            _ => self.facts().map_or("", |facts| facts.name).to_string(),
        }
    }
    /// `format_type(oid, modifier)`: `integer`, `character varying(3)`, `integer[]`. A modifier of -1 means none.
    pub fn sql_name(&self, modifier: i32) -> String {
        if let Type::Array(element) = self {
            return format!("{}[]", element.sql_name(modifier));
        }
        let name = self.facts().map_or("", |facts| facts.sql_name);
        if modifier < 0 {
            return name.to_string();
        }
        match self {
            Type::Varchar | Type::Bpchar if modifier > MODIFIER_HEADER => format!("{name}({})", modifier - MODIFIER_HEADER),
            Type::Numeric if modifier >= MODIFIER_HEADER => {
                let packed = modifier - MODIFIER_HEADER;
                // The scale is a signed number of eleven bits.
                let scale = ((packed & 0x7ff) ^ 1024) - 1024;
                format!("{name}({},{scale})", packed >> 16 & 0xffff)
            }
            Type::Time | Type::Timestamp | Type::TimestampTz => {
                let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
                format!("{first}({modifier}) {rest}")
            }
            Type::Interval => format!("{name}{}", interval_modifier(modifier)),
            _ => name.to_string(),
        }
    }
    /// A type by a name a user may write, `pg_catalog` qualification removed, lower case: `int`, `int4`, `integer`, `character varying`, `_int4`.
    ///
    /// `[]` after a name makes an array of it, as often as one likes, since an array has no fixed number of dimensions. `char` is `character`; the
    /// one-byte type of the catalogs is `"char"`, with its quotes.
    pub fn from_name(name: &str) -> Option<Type> {
        let name = name.trim();
        if let Some(element) = name.strip_suffix("[]") {
            return match Type::from_name(element)? {
                Type::Array(element) => Some(Type::Array(element)),
                element if element.array_oid() == 0 => None,
                element => Some(Type::Array(Box::new(element))),
            };
        }
        if let Some((.., element)) = VECTORS.iter().find(|(_, _, vector, _)| *vector == name) {
            return Some(Type::Array(Box::new(element.clone())));
        }
        if let Some(element) = name.strip_prefix('_') {
            let facts = FACTS.iter().find(|facts| facts.name == element && facts.array_oid != 0)?;
            return Some(Type::Array(Box::new(facts.typ.clone())));
        }
        let matches = |facts: &&Facts| facts.sql_name == name || facts.aliases.contains(&name) || facts.name == name;
        FACTS.iter().find(matches).map(|facts| facts.typ.clone())
    }
    /// `pg_type.typlen`, also sent in RowDescription.
    pub fn length(&self) -> i16 {
        self.facts().map_or(-1, |facts| facts.length)
    }
    /// `pg_type.typcategory` (`N`, `S`, `B`, `D`, `T`, `A`, `U`, `X`, `P`, `Z`), which steers operator resolution.
    pub fn category(&self) -> char {
        match self {
            // As in Postgres, an array of anonymous rows cannot be a column.
            Type::Array(element) if matches!(**element, Type::Record(_)) => 'P',
            _ => self.facts().map_or('A', |facts| facts.category),
        }
    }
    /// Whether the type is the preferred one of its category.
    pub fn is_preferred(&self) -> bool {
        self.facts().is_some_and(|facts| facts.preferred)
    }
    /// Whether values that SQL calls equal may have different bytes (numeric scale, -0.0, interval '1 mon' = '30 days', jsonb numbers, bpchar blanks):
    /// keys of such types must pass through the `canonical` function before their bytes are compared.
    pub fn needs_canonical_key(&self) -> bool {
        match self {
            Type::Float4 | Type::Float8 | Type::Numeric | Type::Interval | Type::Jsonb | Type::Bpchar => true,
            Type::Array(element) => element.needs_canonical_key(),
            // Without known fields anything may be in it.
            Type::Record(fields) => fields.is_empty() || fields.iter().any(Type::needs_canonical_key),
            Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray => true,
            _ => false,
        }
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

/// What `format_type` shows after `interval`: its fields and its precision.
fn interval_modifier(modifier: i32) -> String {
    const MONTH: i32 = 1 << 1;
    const YEAR: i32 = 1 << 2;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    const FULL_PRECISION: i32 = 0xffff;
    const PRECISION_MAX: i32 = 6;
    let fields = match modifier >> 16 {
        YEAR => " year",
        MONTH => " month",
        DAY => " day",
        HOUR => " hour",
        MINUTE => " minute",
        SECOND => " second",
        range if range == YEAR | MONTH => " year to month",
        range if range == DAY | HOUR => " day to hour",
        range if range == DAY | HOUR | MINUTE => " day to minute",
        range if range == DAY | HOUR | MINUTE | SECOND => " day to second",
        range if range == HOUR | MINUTE => " hour to minute",
        range if range == HOUR | MINUTE | SECOND => " hour to second",
        range if range == MINUTE | SECOND => " minute to second",
        // Every field, or a bare precision.
        _ => "",
    };
    match modifier & FULL_PRECISION {
        precision @ 0..=PRECISION_MAX => format!("{fields}({precision})"),
        _ => fields.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_oid_and_its_names() {
        for facts in &FACTS {
            let typ = &facts.typ;
            assert!(std::ptr::eq(typ.facts().unwrap(), facts), "{typ:?} stands elsewhere in the table");
            assert_eq!(Type::from_oid(facts.oid).as_ref(), Some(typ));
            assert_eq!(Type::from_name(facts.sql_name).as_ref(), Some(typ));
            if *typ != Type::InternalChar {
                assert_eq!(Type::from_name(facts.name).as_ref(), Some(typ));
            }
            if facts.array_oid != 0 {
                let array = Type::Array(Box::new(typ.clone()));
                assert_eq!(array.oid(), facts.array_oid);
                assert_eq!(Type::from_oid(facts.array_oid).as_ref(), Some(&array));
                assert_eq!(Type::from_name(&array.pg_name()).as_ref(), Some(&array));
                assert_eq!(Type::from_name(&array.sql_name(-1)).as_ref(), Some(&array));
            }
        }
        assert_eq!(Type::from_oid(0), None);
        assert_eq!(Type::from_oid(1), None);
    }

    #[test]
    fn names_a_user_may_write() {
        let cases = [
            ("int", Some(Type::Int4)),
            ("char", Some(Type::Bpchar)),
            ("\"char\"", Some(Type::InternalChar)),
            ("decimal", Some(Type::Numeric)),
            ("timestamp without time zone", Some(Type::Timestamp)),
            ("timestamp", Some(Type::Timestamp)),
            ("float", Some(Type::Float8)),
            ("integer[][]", Some(Type::Array(Box::new(Type::Int4)))),
            ("_char", Some(Type::Array(Box::new(Type::InternalChar)))),
            ("int2vector", Some(Type::Array(Box::new(Type::Int2)))),
            ("record", Some(RECORD)),
            ("integer2", None),
            ("void[]", None),
            ("__int4", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Type::from_name(name), expected, "{name}");
        }
    }

    /// Expectations are what Postgres 15 answers to `format_type(oid, modifier)`.
    #[test]
    fn names_with_modifiers() {
        let cases = [
            (Type::Varchar, 7, "character varying(3)"),
            (Type::Bpchar, 7, "character(3)"),
            (Type::Numeric, ((5 << 16) | 2) + 4, "numeric(5,2)"),
            (Type::Numeric, ((5 << 16) | (-2 & 0x7ff)) + 4, "numeric(5,-2)"),
            (Type::Timestamp, 3, "timestamp(3) without time zone"),
            (Type::TimestampTz, 0, "timestamp(0) with time zone"),
            (Type::Time, 6, "time(6) without time zone"),
            (Type::Interval, (0x7fff << 16) | 3, "interval(3)"),
            (Type::Interval, ((1 << 3 | 1 << 10 | 1 << 11 | 1 << 12) << 16) | 2, "interval day to second(2)"),
            (Type::Interval, ((1 << 2) << 16) | 0xffff, "interval year"),
            (Type::Interval, 3, "interval(3)"),
            (Type::Text, 9, "text"),
            (Type::Array(Box::new(Type::Varchar)), 7, "character varying(3)[]"),
        ];
        for (typ, modifier, expected) in cases {
            assert_eq!(typ.sql_name(modifier), expected);
        }
    }
}

//! The one table of session variables: Postgres' names, types, defaults and checks.

use crate::Error;
use repr::TimeZone;

/// The Postgres version whose behaviour clients may expect.
pub const SERVER_VERSION: &str = "15.18";
const SERVER_VERSION_NUMBER: &str = "150018";

/// What values a variable takes.
#[derive(Clone, Copy)]
pub enum Kind {
    Bool,
    /// Between the two, in the unit values without one have.
    Integer(i64, i64, Unit),
    Enum(&'static [&'static str]),
    Text,
    /// An identifier list: `search_path`.
    Names,
    TimeZone,
    DateStyle,
    Encoding,
    Isolation,
    /// Shown, never set.
    Preset,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    None,
    Milliseconds,
    Kilobytes,
}

pub struct Variable {
    /// As Postgres writes it; found in any case.
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    /// Clients are told when it changes.
    pub reported: bool,
    pub description: &'static str,
}

const fn variable(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Variable {
    Variable { name, kind, default, reported: false, description }
}
const fn reported(name: &'static str, kind: Kind, default: &'static str, description: &'static str) -> Variable {
    Variable { name, kind, default, reported: true, description }
}

const MILLISECONDS: Kind = Kind::Integer(0, i32::MAX as i64, Unit::Milliseconds);
const KILOBYTES: Kind = Kind::Integer(64, i32::MAX as i64, Unit::Kilobytes);
const LEVELS: &[&str] = &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];

/// Sorted by lower-case name.
#[rustfmt::skip]
pub static VARIABLES: &[Variable] = &[
    reported("application_name", Kind::Text, "", "Sets the application name to be reported in statistics and logs."),
    variable("auto_route_introspection_queries", Kind::Bool, "on", "Accepted and without effect."),
    variable("backslash_quote", Kind::Enum(&["safe_encoding", "on", "off"]), "safe_encoding", "Sets whether \"\\'\" is allowed in string literals."),
    variable("bytea_output", Kind::Enum(&["escape", "hex"]), "hex", "Sets the output format for bytea."),
    variable("check_function_bodies", Kind::Bool, "on", "Accepted and without effect."),
    reported("client_encoding", Kind::Encoding, "UTF8", "Sets the client's character set encoding."),
    variable("client_min_messages", Kind::Enum(LEVELS), "notice", "Sets the message levels that are sent to the client."),
    variable("cluster", Kind::Text, "default", "Accepted and without effect."),
    reported("DateStyle", Kind::DateStyle, "ISO, MDY", "Sets the display format for date and time values."),
    variable("default_transaction_deferrable", Kind::Bool, "off", "Accepted and without effect."),
    variable("default_transaction_isolation", Kind::Isolation, "strict serializable", "Sets the transaction isolation level of each new transaction."),
    reported("default_transaction_read_only", Kind::Bool, "off", "Sets the default read-only status of new transactions."),
    variable("escape_string_warning", Kind::Bool, "on", "Accepted and without effect."),
    variable("extra_float_digits", Kind::Integer(-15, 3, Unit::None), "1", "Sets the number of digits displayed for floating-point values."),
    variable("geqo", Kind::Bool, "on", "Accepted and without effect."),
    variable("idle_in_transaction_session_timeout", MILLISECONDS, "0", "Accepted and without effect."),
    variable("idle_session_timeout", MILLISECONDS, "0", "Accepted and without effect."),
    reported("in_hot_standby", Kind::Preset, "off", "Shows whether hot standby is currently active."),
    reported("integer_datetimes", Kind::Preset, "on", "Shows whether datetimes are integer based."),
    reported("IntervalStyle", Kind::Enum(&["postgres"]), "postgres", "Sets the display format for interval values."),
    reported("is_superuser", Kind::Preset, "on", "Shows whether the current user is a superuser."),
    variable("jit", Kind::Bool, "off", "Accepted and without effect."),
    variable("lc_collate", Kind::Preset, "C", "Shows the collation order locale."),
    variable("lc_ctype", Kind::Preset, "C", "Shows the character classification and case conversion locale."),
    variable("lc_messages", Kind::Text, "C", "Accepted and without effect."),
    variable("lc_monetary", Kind::Text, "C", "Accepted and without effect."),
    variable("lc_numeric", Kind::Text, "C", "Accepted and without effect."),
    variable("lc_time", Kind::Text, "C", "Accepted and without effect."),
    variable("lock_timeout", MILLISECONDS, "0", "Sets the maximum allowed duration of any wait for a lock."),
    variable("maintenance_work_mem", KILOBYTES, "65536", "Accepted and without effect."),
    variable("max_connections", Kind::Preset, "512", "Shows the maximum number of concurrent connections."),
    variable("max_identifier_length", Kind::Preset, "63", "Shows the maximum identifier length."),
    variable("max_index_keys", Kind::Preset, "32", "Shows the maximum number of index keys."),
    variable("plan_cache_mode", Kind::Enum(&["auto", "force_generic_plan", "force_custom_plan"]), "auto", "Accepted and without effect."),
    variable("quote_all_identifiers", Kind::Bool, "off", "Accepted and without effect."),
    variable("real_time_recency", Kind::Bool, "off", "Makes reads wait for the newest data of the upstreams they depend on."),
    variable("role", Kind::Text, "none", "Sets the current role."),
    variable("row_security", Kind::Bool, "on", "Accepted and without effect."),
    variable("search_path", Kind::Names, "\"$user\", public", "Sets the schema search order for names that are not schema-qualified."),
    reported("server_encoding", Kind::Preset, "UTF8", "Shows the server (database) character set encoding."),
    reported("server_version", Kind::Preset, SERVER_VERSION, "Shows the server version."),
    variable("server_version_num", Kind::Preset, SERVER_VERSION_NUMBER, "Shows the server version as an integer."),
    reported("session_authorization", Kind::Preset, "tidemark", "Shows the current session user name."),
    reported("standard_conforming_strings", Kind::Enum(&["on"]), "on", "Causes '...' strings to treat backslashes literally."),
    variable("statement_timeout", MILLISECONDS, "0", "Sets the maximum allowed duration of any statement."),
    variable("synchronous_commit", Kind::Enum(&["on", "off", "local", "remote_write", "remote_apply"]), "on", "Accepted and without effect: every commit is durable."),
    variable("synchronize_seqscans", Kind::Bool, "on", "Accepted and without effect."),
    variable("tcp_keepalives_idle", Kind::Integer(0, i32::MAX as i64, Unit::None), "0", "Accepted and without effect."),
    reported("TimeZone", Kind::TimeZone, "UTC", "Sets the time zone for displaying and interpreting time stamps."),
    variable("transaction_deferrable", Kind::Bool, "off", "Accepted and without effect."),
    variable("transaction_isolation", Kind::Isolation, "strict serializable", "Sets the current transaction's isolation level."),
    variable("transaction_read_only", Kind::Bool, "off", "Sets the current transaction's read-only status."),
    variable("vacuum_cost_delay", Kind::Integer(0, 100, Unit::None), "0", "Accepted and without effect."),
    variable("work_mem", KILOBYTES, "4096", "Accepted and without effect."),
    variable("xmloption", Kind::Enum(&["content", "document"]), "content", "Accepted and without effect."),
];

/// The position of a variable in [`VARIABLES`].
pub fn find(name: &str) -> Option<usize> {
    VARIABLES.iter().position(|variable| variable.name.eq_ignore_ascii_case(name))
}

pub fn unrecognized(name: &str) -> Error {
    Error::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

fn invalid(name: &str, value: &str) -> Error {
    Error::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
}

impl Variable {
    /// The value as it is kept: canonical, without units.
    pub fn check(&self, values: &[String]) -> Result<String, Error> {
        if let Kind::Names = self.kind {
            return Ok(values.iter().map(|name| quote_name(name)).collect::<Vec<_>>().join(", "));
        }
        if let Kind::DateStyle = self.kind {
            return check_date_style(values);
        }
        let [value] = values else {
            return Err(Error::new("22023", format!("SET {} takes only one argument", self.name)));
        };
        match self.kind {
            Kind::Bool => match read_bool(value) {
                Some(true) => Ok("on".to_string()),
                Some(false) => Ok("off".to_string()),
                None => Err(Error::new("22023", format!("parameter \"{}\" requires a Boolean value", self.name))),
            },
            Kind::Integer(minimum, maximum, unit) => {
                let number = read_integer(value, unit).ok_or_else(|| invalid(self.name, value))?;
                if !(minimum..=maximum).contains(&number) {
                    let suffix = match unit {
                        Unit::None => "",
                        Unit::Milliseconds => " ms",
                        Unit::Kilobytes => "kB",
                    };
                    let message = format!("{number}{suffix} is outside the valid range for parameter \"{}\" ({minimum} .. {maximum})", self.name);
                    return Err(Error::new("22023", message));
                }
                Ok(number.to_string())
            }
            Kind::Enum(choices) => match choices.iter().find(|choice| choice.eq_ignore_ascii_case(value)) {
                Some(choice) => Ok((*choice).to_string()),
                // Words for on and off, where those are choices.
                None => match read_bool(value).map(|truth| if truth { "on" } else { "off" }).filter(|word| choices.contains(word)) {
                    Some(word) => Ok(word.to_string()),
                    None => Err(invalid(self.name, value).with_hint(format!("Available values: {}.", choices.join(", ")))),
                },
            },
            Kind::Isolation => check_isolation(self.name, value),
            Kind::TimeZone => Ok(TimeZone::parse(value).map_err(|_| invalid(self.name, value))?.name()),
            Kind::Encoding => match value.to_ascii_uppercase().replace(['-', '_'], "").as_str() {
                "UTF8" | "UNICODE" => Ok("UTF8".to_string()),
                _ => Err(invalid(self.name, value).with_hint("The server speaks UTF8 only.")),
            },
            Kind::Text => Ok(value.clone()),
            Kind::Preset => Err(Error::new("55P02", format!("parameter \"{}\" cannot be changed", self.name))),
            Kind::Names | Kind::DateStyle => Err(Error::internal("a list was checked as one value")),
        }
    }

    /// The value as SHOW prints it.
    pub fn shown(&self, value: &str) -> String {
        let (Kind::Integer(_, _, unit), Ok(number)) = (self.kind, value.parse::<i64>()) else { return value.to_string() };
        let units: &[(i64, &str)] = match unit {
            Unit::None => return value.to_string(),
            Unit::Milliseconds => &[(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")],
            Unit::Kilobytes => &[(1 << 30, "TB"), (1 << 20, "GB"), (1 << 10, "MB"), (1, "kB")],
        };
        match units.iter().find(|(size, _)| number > 0 && number % size == 0) {
            Some((size, name)) => format!("{}{name}", number / size),
            None => value.to_string(),
        }
    }
}

fn read_bool(value: &str) -> Option<bool> {
    let word = value.trim().to_ascii_lowercase();
    let begins = |whole: &str, shortest: usize| word.len() >= shortest && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || word == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Some(false)
    } else {
        None
    }
}

fn read_integer(value: &str, unit: Unit) -> Option<i64> {
    let value = value.trim();
    let split = value.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(value.len());
    let (digits, suffix) = value.split_at(split);
    let number: f64 = digits.trim().parse().ok()?;
    let factor = match (unit, suffix) {
        (_, "") => 1.0,
        (Unit::Milliseconds, "us") => 0.001,
        (Unit::Milliseconds, "ms") => 1.0,
        (Unit::Milliseconds, "s") => 1e3,
        (Unit::Milliseconds, "min") => 6e4,
        (Unit::Milliseconds, "h") => 3.6e6,
        (Unit::Milliseconds, "d") => 8.64e7,
        (Unit::Kilobytes, "B") => 1.0 / 1024.0,
        (Unit::Kilobytes, "kB") => 1.0,
        (Unit::Kilobytes, "MB") => 1024.0,
        (Unit::Kilobytes, "GB") => 1_048_576.0,
        (Unit::Kilobytes, "TB") => 1_073_741_824.0,
        _ => return None,
    };
    let scaled = (number * factor).round();
    (scaled.abs() < 9e15).then_some(scaled as i64)
}

/// Only ISO output is served; the order of day and month in input is always that of MDY.
fn check_date_style(values: &[String]) -> Result<String, Error> {
    let words: Vec<String> = values.iter().flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_uppercase()).collect();
    for word in &words {
        match word.as_str() {
            "ISO" | "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => {}
            "SQL" | "POSTGRES" | "GERMAN" | "DMY" | "EURO" | "EUROPEAN" | "YMD" => {
                return Err(Error::new("0A000", format!("DateStyle \"{}\" is not supported", values.join(", "))).with_hint("Use \"ISO, MDY\"."));
            }
            _ => return Err(invalid("DateStyle", &values.join(", "))),
        }
    }
    Ok("ISO, MDY".to_string())
}

/// The levels we keep, and those weaker ones we strengthen: a client that asks for less gets at least that.
fn check_isolation(name: &str, value: &str) -> Result<String, Error> {
    let level = value.to_ascii_lowercase();
    match level.as_str() {
        "strict serializable" | "serializable" | "repeatable read" | "read committed" | "read uncommitted" => Ok(level),
        _ => Err(invalid(name, value)
            .with_hint("Available values: strict serializable, serializable, repeatable read, read committed, read uncommitted.")),
    }
}

/// A name as it must be written to mean itself.
pub fn quote_name(name: &str) -> String {
    let mut letters = name.chars();
    let plain = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        && !RESERVED_WORDS.contains(&name);
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that name nothing unless quoted.
#[rustfmt::skip]
const RESERVED_WORDS: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between", "bigint", "binary", "bit", "boolean", "both",
    "case", "cast", "char", "character", "check", "coalesce", "collate", "collation", "column", "concurrently", "constraint", "create", "cross",
    "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal", "default",
    "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract", "false", "fetch", "float", "for", "foreign", "freeze", "from",
    "full", "grant", "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect", "interval",
    "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime", "localtimestamp", "national", "natural", "nchar",
    "none", "normalize", "not", "notnull", "null", "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay",
    "placing", "position", "precision", "primary", "real", "references", "returning", "right", "row", "select", "session_user", "setof", "similar",
    "smallint", "some", "substring", "symmetric", "table", "tablesample", "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union",
    "unique", "user", "using", "values", "varchar", "variadic", "verbose", "when", "where", "window", "with",
];

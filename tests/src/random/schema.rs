//! Tables, what is in them, and changes of it.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// The types of generated columns and expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ty {
    Int,
    Big,
    Numeric,
    Float,
    Text,
    Bool,
    Date,
    Timestamp,
    Interval,
    Jsonb,
}

impl Ty {
    pub const ALL: [Ty; 10] = [Ty::Int, Ty::Big, Ty::Numeric, Ty::Float, Ty::Text, Ty::Bool, Ty::Date, Ty::Timestamp, Ty::Interval, Ty::Jsonb];

    pub fn sql(&self) -> &'static str {
        match self {
            Ty::Int => "int",
            Ty::Big => "bigint",
            Ty::Numeric => "numeric",
            Ty::Float => "float8",
            Ty::Text => "text",
            Ty::Bool => "boolean",
            Ty::Date => "date",
            Ty::Timestamp => "timestamp",
            Ty::Interval => "interval",
            Ty::Jsonb => "jsonb",
        }
    }

    /// Values that meet often, and some at the edges. No two are equal and look different (`1` and `1.0`, a day and 24 hours): which of them DISTINCT keeps is
    /// the server's choice.
    fn values(&self) -> &'static [&'static str] {
        match self {
            Ty::Int => &["0", "1", "2", "3", "5", "-1", "7", "10", "100", "-100", "2147483647", "-2147483648"],
            Ty::Big => &["0", "1", "2", "3", "-1", "10", "4000000000", "-4000000000", "9007199254740993"],
            Ty::Numeric => &["0", "1", "1.50", "-2.25", "0.001", "10", "99999999999999999999.5", "'NaN'"],
            Ty::Float => &["0", "1", "-1", "0.5", "1e10", "-2.25", "'NaN'", "'Infinity'"],
            Ty::Text => &["''", "'a'", "'b'", "'ab'", "'A'", "'abc'", "'ünï'", "'a b'", "'%'", "'10'", "E'x\\ny'"],
            Ty::Bool => &["true", "false"],
            Ty::Date => &["'2024-01-01'", "'2024-02-29'", "'1999-12-31'", "'2024-12-31'", "'0001-01-01'"],
            Ty::Timestamp => &["'2024-01-01 00:00:00'", "'2024-02-29 23:59:59.999999'", "'1999-12-31 12:00:00'", "'2024-01-01 00:00:01'"],
            Ty::Interval => &["'0'", "'1 day'", "'1 month'", "'-2 hours'", "'1 year 2 mons 3 days 04:05:06.789'"],
            Ty::Jsonb => &["'null'", "'1'", "'\"a\"'", "'[]'", "'{}'", "'[1, 2, null]'", "'{\"a\": 1}'", "'{\"a\": {\"b\": [true]}, \"c\": 1.50}'"],
        }
    }

    /// A literal of the type.
    pub fn literal(&self, random: &mut ChaCha8Rng) -> String {
        let value = self.values().choose(random).expect("there are values");
        format!("{}::{}", parenthesized(value), self.sql())
    }

    /// The literal a shrunk query has.
    pub fn simplest(&self) -> String {
        format!("{}::{}", parenthesized(self.values()[1]), self.sql())
    }

    fn contents(&self, random: &mut ChaCha8Rng) -> String {
        if random.random_bool(0.15) { "NULL".to_owned() } else { self.literal(random) }
    }
}

/// A minus sign binds looser than a cast.
fn parenthesized(value: &str) -> String {
    if value.starts_with('-') { format!("({value})") } else { value.to_owned() }
}

/// A table: its columns are `c0`, `c1`, ... by their types; the first one may be its primary key.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Ty>,
    pub has_key: bool,
}

/// Tables for queries, and the changes that happen to them.
#[derive(Clone, Debug)]
pub struct Schema {
    pub tables: Vec<Table>,
}

const TABLES_MIN: usize = 2;
const TABLES_MAX: usize = 4;
const COLUMNS_MAX: usize = 5;
const ROWS_MAX: usize = 4;

impl Schema {
    pub fn generate(random: &mut ChaCha8Rng) -> Schema {
        let tables = (0..random.random_range(TABLES_MIN..=TABLES_MAX)).map(|number| {
            let has_key = random.random_bool(0.4);
            let mut columns: Vec<Ty> = (0..random.random_range(1..=COLUMNS_MAX)).map(|_| *Ty::ALL.choose(random).expect("types")).collect();
            // Something to join and to group by.
            columns[0] = Ty::Int;
            Table { name: format!("t{number}"), columns, has_key }
        });
        Schema { tables: tables.collect() }
    }

    pub fn create(&self) -> Vec<String> {
        let table = |table: &Table| {
            let column = |(number, ty): (usize, &Ty)| format!("c{number} {}{}", ty.sql(), if number == 0 && table.has_key { " PRIMARY KEY" } else { "" });
            let columns: Vec<String> = table.columns.iter().enumerate().map(column).collect();
            format!("CREATE TABLE {} ({})", table.name, columns.join(", "))
        };
        self.tables.iter().map(table).collect()
    }

    /// Drops whatever tables an earlier schema may have made.
    pub fn clear() -> impl Iterator<Item = String> {
        (0..TABLES_MAX).map(|number| format!("DROP TABLE IF EXISTS t{number} CASCADE"))
    }

    /// A batch of changes: statements that Postgres accepts. The first batches fill more than they take away.
    pub fn changes(&self, random: &mut ChaCha8Rng, batch: usize) -> Vec<String> {
        (0..random.random_range(1..=3 + self.tables.len())).map(|_| self.change(random, batch)).collect()
    }

    fn change(&self, random: &mut ChaCha8Rng, batch: usize) -> String {
        let table = self.tables.choose(random).expect("tables");
        let place = random.random_range(0..table.columns.len());
        let ty = table.columns[place];
        let condition = match random.random_range(0..4) {
            0 => format!("c{place} IS NULL"),
            1 if ty != Ty::Jsonb => format!("c{place} < {}", ty.literal(random)),
            2 => format!("c0 % 2 = {}", random.random_range(0..2)),
            _ => format!("c{place} = {}", ty.literal(random)),
        };
        match random.random_range(0..if batch == 0 { 4 } else { 7 }) {
            0..=3 => self.insert(table, random),
            4 => format!("DELETE FROM {} WHERE {condition}", table.name),
            _ if table.columns.len() > 1 || !table.has_key => {
                // A key's new values could meet the old ones.
                let first = usize::from(table.has_key);
                let target = random.random_range(first..table.columns.len());
                format!("UPDATE {} SET c{target} = {} WHERE {condition}", table.name, table.columns[target].contents(random))
            }
            _ => self.insert(table, random),
        }
    }

    fn insert(&self, table: &Table, random: &mut ChaCha8Rng) -> String {
        let mut keys: Vec<i32> = Vec::new();
        let rows: Vec<String> = (0..random.random_range(1..=ROWS_MAX))
            .filter_map(|_| {
                let mut values: Vec<String> = table.columns.iter().map(|ty| ty.contents(random)).collect();
                if table.has_key {
                    let key = random.random_range(-3..40);
                    if keys.contains(&key) {
                        return None;
                    }
                    keys.push(key);
                    values[0] = key.to_string();
                }
                Some(format!("({})", values.join(", ")))
            })
            .collect();
        let conflict = if table.has_key { " ON CONFLICT DO NOTHING" } else { "" };
        format!("INSERT INTO {} VALUES {}{conflict}", table.name, rows.join(", "))
    }
}

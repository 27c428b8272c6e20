//! Queries over a schema.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::node::{Node, Sort};
use super::schema::{Schema, Ty};

/// How deep expressions nest.
const EXPRESSION_DEPTH: u32 = 3;
/// How deep queries nest.
const QUERY_DEPTH: u32 = 3;
/// How many columns a query has at most.
const COLUMNS_MAX: usize = 4;

/// A pattern for an expression: its type, the coverage's name, the text, the types of its children.
type Pattern = (Ty, &'static str, &'static str, &'static [Ty]);

use Ty::{Big, Bool, Date, Float, Int, Interval, Jsonb, Numeric, Text, Timestamp};

/// Expressions that fail for no value of their children, so that it does not matter whether a server evaluates them for rows which it drops later.
const PATTERNS: &[Pattern] = &[
    (Int, "% int", "({0} % 7)", &[Int]),
    (Int, "/ int", "({0} / 3)", &[Int]),
    (Int, "& int", "({0} & {1})", &[Int, Int]),
    (Int, "| int", "({0} | {1})", &[Int, Int]),
    (Int, "length", "length({0})", &[Text]),
    (Int, "strpos", "strpos({0}, {1})", &[Text, Text]),
    (Int, "position", "position({1} IN {0})", &[Text, Text]),
    (Int, "ascii", "ascii({0})", &[Text]),
    (Int, "extract year", "extract(year FROM {0})::int", &[Timestamp]),
    (Int, "extract dow", "extract(dow FROM {0})::int", &[Date]),
    (Int, "bool to int", "({0})::int", &[Bool]),
    (Int, "date - date", "(({0} - {1}) % 1000)", &[Date, Date]),
    (Int, "sign", "sign({0}::numeric)::int", &[Int]),
    (Big, "int to bigint", "{0}::bigint", &[Int]),
    (Big, "* bigint", "({0}::bigint * {1}::bigint)", &[Int, Int]),
    (Big, "+ bigint", "({0}::bigint + {1}::bigint)", &[Int, Int]),
    (Big, "- bigint", "({0}::bigint - {1}::bigint)", &[Int, Int]),
    (Numeric, "int to numeric", "{0}::numeric", &[Int]),
    (Numeric, "+ numeric", "({0} + {1})", &[Numeric, Numeric]),
    (Numeric, "- numeric", "({0} - {1})", &[Numeric, Numeric]),
    (Numeric, "* numeric", "({0} * {1})", &[Numeric, Int]),
    (Numeric, "/ numeric", "({0} / 3)", &[Numeric]),
    (Numeric, "round", "round({0}, 1)", &[Numeric]),
    (Numeric, "trunc", "trunc({0})", &[Numeric]),
    (Numeric, "abs", "abs({0})", &[Numeric]),
    (Numeric, "- sign", "(- {0})", &[Numeric]),
    (Numeric, "bigint to numeric", "({0}::numeric * 10)", &[Big]),
    (Float, "int to float", "{0}::float8", &[Int]),
    (Float, "* float", "({0} * 0.5)", &[Float]),
    (Float, "floor", "floor({0})", &[Float]),
    (Float, "abs float", "abs({0})", &[Float]),
    (Text, "||", "({0} || {1})", &[Text, Text]),
    (Text, "upper", "upper({0})", &[Text]),
    (Text, "lower", "lower({0})", &[Text]),
    (Text, "substr", "substr({0}, 2, 2)", &[Text]),
    (Text, "replace", "replace({0}, 'a', {1})", &[Text, Text]),
    (Text, "left", "left({0}, 2)", &[Text]),
    (Text, "lpad", "lpad({0}, 4, '*')", &[Text]),
    (Text, "trim", "trim({0})", &[Text]),
    (Text, "reverse", "reverse({0})", &[Text]),
    (Text, "split_part", "split_part({0}, 'a', 1)", &[Text]),
    (Text, "md5", "md5({0})", &[Text]),
    (Text, "concat", "concat({0}, {1}, {2})", &[Text, Int, Bool]),
    (Text, "int to text", "{0}::text", &[Int]),
    (Text, "bool to text", "{0}::text", &[Bool]),
    (Text, "date to text", "{0}::text", &[Date]),
    (Text, "timestamp to text", "{0}::text", &[Timestamp]),
    (Text, "to_char", "to_char({0}, 'YYYY-MM-DD HH24:MI')", &[Timestamp]),
    (Text, "->>", "({0} ->> 'a')", &[Jsonb]),
    (Text, "jsonb_typeof", "jsonb_typeof({0})", &[Jsonb]),
    (Text, "regexp_replace", "regexp_replace({0}, '[a-b]+', '<\\&>')", &[Text]),
    (Date, "date + int", "(DATE '2000-01-01' + ({0} % 1000))", &[Int]),
    (Date, "timestamp to date", "({0})::date", &[Timestamp]),
    (Timestamp, "date to timestamp", "({0})::timestamp", &[Date]),
    (Timestamp, "timestamp + interval", "({0} + {1})", &[Timestamp, Interval]),
    (Timestamp, "date_trunc", "date_trunc('month', {0})", &[Timestamp]),
    (Jsonb, "->", "({0} -> 'a')", &[Jsonb]),
    (Jsonb, "#>", "({0} #> ARRAY['a', 'b'])", &[Jsonb]),
    (Jsonb, "to_jsonb", "to_jsonb({0})", &[Text]),
    (Jsonb, "jsonb_build_array", "jsonb_build_array({0}, {1})", &[Int, Text]),
    (Jsonb, "jsonb_build_object", "jsonb_build_object('k', {0})", &[Bool]),
    (Bool, "AND", "({0} AND {1})", &[Bool, Bool]),
    (Bool, "OR", "({0} OR {1})", &[Bool, Bool]),
    (Bool, "NOT", "(NOT {0})", &[Bool]),
    (Bool, "IS TRUE", "({0} IS TRUE)", &[Bool]),
    (Bool, "IS UNKNOWN", "({0} IS UNKNOWN)", &[Bool]),
    (Bool, "LIKE", "({0} LIKE {1} || '%')", &[Text, Text]),
    (Bool, "ILIKE", "({0} ILIKE '%A%')", &[Text]),
    (Bool, "~", "({0} ~ '^a')", &[Text]),
    (Bool, "BETWEEN", "({0} BETWEEN {1} AND {2})", &[Int, Int, Int]),
    (Bool, "@>", "({0} @> {1})", &[Jsonb, Jsonb]),
    (Bool, "?", "({0} ? 'a')", &[Jsonb]),
    (Bool, "starts_with", "starts_with({0}, {1})", &[Text, Text]),
];

/// Over a type of any kind, written `$`.
const ANY_PATTERNS: &[(&str, &str, usize)] = &[("coalesce", "coalesce({0}, {1})", 2), ("nullif", "nullif({0}, {1})", 2), ("greatest", "greatest({0}, {1})", 2), ("least", "least({0}, {1})", 2)];

const COMPARISONS: &[(&str, &str)] = &[
    ("=", "({0} = {1})"),
    ("<>", "({0} <> {1})"),
    ("<", "({0} < {1})"),
    (">=", "({0} >= {1})"),
    ("IS DISTINCT FROM", "({0} IS DISTINCT FROM {1})"),
    ("IS NULL", "({0} IS NULL)"),
    ("IN list", "({0} IN ({1}, {0}, {1}))"),
];

/// Aggregates: result, name, pattern, argument. None of them depends on the order of its rows.
const AGGREGATES: &[Pattern] = &[
    (Big, "count(*)", "count(*)", &[]),
    (Big, "count", "count({0})", &[Int]),
    (Big, "count text", "count({0})", &[Text]),
    (Big, "count distinct", "count(DISTINCT {0})", &[Text]),
    (Big, "sum int", "sum({0})", &[Int]),
    (Numeric, "sum bigint", "sum({0})", &[Big]),
    (Numeric, "sum numeric", "sum({0})", &[Numeric]),
    (Numeric, "sum distinct", "sum(DISTINCT {0})", &[Numeric]),
    (Numeric, "avg int", "avg({0})", &[Int]),
    (Numeric, "avg numeric", "round(avg({0}), 4)", &[Numeric]),
    (Bool, "bool_and", "bool_and({0})", &[Bool]),
    (Bool, "bool_or", "bool_or({0})", &[Bool]),
    (Int, "min int", "min({0})", &[Int]),
    (Int, "max int", "max({0})", &[Int]),
    (Text, "min text", "min({0})", &[Text]),
    (Text, "max text", "max({0})", &[Text]),
    (Date, "max date", "max({0})", &[Date]),
    (Timestamp, "min timestamp", "min({0})", &[Timestamp]),
    (Numeric, "max numeric", "max({0})", &[Numeric]),
    (Float, "min float", "min({0})", &[Float]),
    (Text, "string_agg", "string_agg({0}, ',' ORDER BY {0})", &[Text]),
    (Text, "array_agg", "array_agg({0} ORDER BY {0})::text", &[Int]),
    (Text, "array_agg distinct", "array_agg(DISTINCT {0} ORDER BY {0})::text", &[Text]),
];

/// Window functions that give equal rows equal answers.
const WINDOWS: &[Pattern] = &[
    (Big, "rank", "rank() OVER (PARTITION BY {0} ORDER BY {1})", &[Int, Int]),
    (Big, "dense_rank", "dense_rank() OVER (ORDER BY {0} DESC)", &[Text]),
    (Big, "count over", "count(*) OVER (PARTITION BY {0})", &[Text]),
    (Big, "running sum", "sum({0}) OVER (PARTITION BY {1} ORDER BY {2})", &[Int, Bool, Int]),
    (Int, "max over", "max({0}) OVER (ORDER BY {1} NULLS FIRST)", &[Int, Date]),
    (Text, "min over", "min({0}) OVER (PARTITION BY {1})", &[Text, Int]),
    (Text, "first_value", "first_value({0}) OVER (PARTITION BY {1} ORDER BY {0})", &[Text, Bool]),
    (Int, "last_value", "last_value({0}) OVER (ORDER BY {0})", &[Int]),
    (Float, "percent_rank", "percent_rank() OVER (ORDER BY {0})", &[Int]),
    (Float, "cume_dist", "cume_dist() OVER (ORDER BY {0})", &[Int]),
    (Big, "range frame", "count(*) OVER (ORDER BY {0} RANGE BETWEEN 2 PRECEDING AND CURRENT ROW)", &[Big]),
    (Big, "groups frame", "sum({0}) OVER (ORDER BY {1} GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING)", &[Int, Int]),
];

/// A column that may be named.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    ty: Ty,
}

/// Columns of one level; outer levels are further left.
type Scopes<'a> = &'a [Vec<Column>];

struct Generator<'a> {
    schema: &'a Schema,
    random: &'a mut ChaCha8Rng,
    aliases: usize,
}

/// A random query.
pub fn query(schema: &Schema, random: &mut ChaCha8Rng) -> Node {
    let mut generator = Generator { schema, random, aliases: 0 };
    let types = generator.types();
    generator.query(&types, &[], QUERY_DEPTH)
}

impl Generator<'_> {
    fn types(&mut self) -> Vec<Ty> {
        (0..self.random.random_range(1..=COLUMNS_MAX)).map(|_| *Ty::ALL.choose(self.random).expect("types")).collect()
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("q{}", self.aliases)
    }

    fn query(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let sort = Sort::Query(types.to_vec());
        if depth == 0 {
            return self.select(types, scopes, 0);
        }
        match self.random.random_range(0..16) {
            0 | 1 => self.set_operation(types, scopes, depth),
            2 => self.top(types, scopes, depth),
            3 => self.with(types, scopes, depth),
            4 => self.values(types, scopes),
            5 => {
                let inner = self.query(types, scopes, depth - 1);
                let alias = self.alias();
                Node::filled(sort, "DISTINCT", &format!("SELECT DISTINCT * FROM ({{0}}) AS {alias}"), &[inner])
            }
            6 => self.distinct_on(types, scopes, depth),
            7..=9 => self.grouped(types, scopes, depth),
            10 | 11 => self.windowed(types, scopes, depth),
            _ => self.select(types, scopes, depth),
        }
    }

    fn list(nodes: usize, first: usize) -> String {
        (first..first + nodes).map(|number| format!("{{{number}}}")).collect::<Vec<_>>().join(", ")
    }

    /// `c0, c1, ...` as names of a query's columns.
    fn names(count: usize) -> String {
        (0..count).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ")
    }

    fn named_list(nodes: usize, first: usize) -> String {
        (0..nodes).map(|number| format!("{{{}}} AS c{number}", first + number)).collect::<Vec<_>>().join(", ")
    }

    fn select(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let (from, columns) = self.from(scopes, depth);
        let mut inner = scopes.to_vec();
        inner.push(columns);
        let mut children = vec![from, self.filter("WHERE", &inner, depth)];
        children.extend(types.iter().map(|ty| self.expression(*ty, &inner, EXPRESSION_DEPTH, depth)).collect::<Vec<_>>());
        let pattern = format!("SELECT {} FROM {{0}}{{1}}", Self::named_list(types.len(), 2));
        Node::filled(Sort::Query(types.to_vec()), "SELECT", &pattern, &children)
    }

    fn filter(&mut self, word: &'static str, scopes: Scopes<'_>, depth: u32) -> Node {
        if self.random.random_bool(0.5) {
            return Node::text(Sort::Clause, "nothing", "");
        }
        let condition = self.expression(Bool, scopes, EXPRESSION_DEPTH, depth);
        Node::filled(Sort::Clause, word, &format!(" {word} {{0}}"), &[condition])
    }

    fn grouped(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let (from, columns) = self.from(scopes, depth);
        let mut inner = scopes.to_vec();
        inner.push(columns);
        let keys: Vec<Ty> = (0..self.random.random_range(0..=2)).map(|_| *[Int, Text, Bool, Date, Big].choose(self.random).expect("types")).collect();
        let mut children = vec![from, self.filter("WHERE", &inner, depth)];
        for key in &keys {
            let key = self.expression(*key, &inner, 1, 0);
            children.push(key);
        }
        // Outputs are keys and aggregates, and expressions over them: a query over a query keeps the two apart.
        let mut middle: Vec<Column> = keys.iter().enumerate().map(|(number, ty)| Column { name: format!("k{number}"), ty: *ty }).collect();
        let mut items: Vec<String> = (0..keys.len()).map(|number| format!("{{{}}} AS k{number}", 2 + number)).collect();
        for number in 0..self.random.random_range(1..=3) {
            let (ty, aggregate) = self.aggregate(&inner);
            items.push(format!("{{{}}} AS a{number}", children.len()));
            children.push(aggregate);
            middle.push(Column { name: format!("a{number}"), ty });
        }
        let having = if self.random.random_bool(0.3) {
            let (ty, aggregate) = self.aggregate(&inner);
            let bound = Node::text(Sort::Expression(ty), "literal", ty.literal(self.random));
            let condition = Node::filled(Sort::Expression(Bool), "<>", "({0} <> {1})", &[aggregate, bound]);
            Node::filled(Sort::Clause, "HAVING", " HAVING {0}", &[condition])
        } else {
            Node::text(Sort::Clause, "nothing", "")
        };
        children.push(having);
        let group = match keys.len() {
            0 => String::new(),
            // A literal among the keys would be a position, so keys are named by their position themselves.
            count => format!(" GROUP BY {}", (1..=count).map(|number| number.to_string()).collect::<Vec<_>>().join(", ")),
        };
        let pattern = format!("SELECT {} FROM {{0}}{{1}}{group}{{{}}}", items.join(", "), children.len() - 1);
        let grouped = Node::filled(Sort::Query(middle.iter().map(|column| column.ty).collect()), if keys.is_empty() { "aggregate" } else { "GROUP BY" }, &pattern, &children);
        let alias = self.alias();
        let middle = middle.into_iter().map(|column| Column { name: format!("{alias}.{}", column.name), ty: column.ty }).collect();
        let mut outer = scopes.to_vec();
        outer.push(middle);
        let mut children = vec![grouped];
        children.extend(types.iter().map(|ty| self.expression(*ty, &outer, 1, 0)).collect::<Vec<_>>());
        let pattern = format!("SELECT {} FROM ({{0}}) AS {alias}", Self::named_list(types.len(), 1));
        Node::filled(Sort::Query(types.to_vec()), "SELECT over groups", &pattern, &children)
    }

    fn aggregate(&mut self, scopes: Scopes<'_>) -> (Ty, Node) {
        let (ty, name, pattern, arguments) = *AGGREGATES.choose(self.random).expect("aggregates");
        let mut children: Vec<Node> = arguments.iter().map(|ty| self.expression(*ty, scopes, 1, 0)).collect();
        let is_plain = !pattern.contains("DISTINCT") && !pattern.contains("::") && !pattern.contains("round");
        if is_plain && self.random.random_bool(0.2) {
            children.push(self.expression(Bool, scopes, 1, 0));
            let pattern = format!("{pattern} FILTER (WHERE {{{}}})", arguments.len());
            return (ty, Node::filled(Sort::Expression(ty), "FILTER", &pattern, &children));
        }
        (ty, Node::filled(Sort::Expression(ty), name, pattern, &children))
    }

    fn windowed(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let (from, columns) = self.from(scopes, depth);
        let mut inner = scopes.to_vec();
        inner.push(columns.clone());
        let (ty, name, pattern, arguments) = *WINDOWS.choose(self.random).expect("windows");
        // Keys must be columns: the same expression must not be a constant, and has to be cheap to repeat.
        let arguments: Vec<Node> = arguments.iter().map(|ty| self.leaf(*ty, &inner)).collect();
        let function = Node::filled(Sort::Expression(ty), name, pattern, &arguments);
        let mut children = vec![from, self.filter("WHERE", &inner, 0), function];
        let items: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(number, wanted)| {
                if *wanted == ty {
                    return format!("{{2}} AS c{number}");
                }
                let expression = self.expression(*wanted, &inner, 1, 0);
                children.push(expression);
                format!("{{{}}} AS c{number}", children.len() - 1)
            })
            .collect();
        Node::filled(Sort::Query(types.to_vec()), "window", &format!("SELECT {} FROM {{0}}{{1}}", items.join(", ")), &children)
    }

    fn set_operation(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let word = *["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"].choose(self.random).expect("words");
        let sides = [self.query(types, scopes, depth - 1), self.query(types, scopes, depth - 1)];
        Node::filled(Sort::Query(types.to_vec()), word, &format!("({{0}}) {word} ({{1}})"), &sides)
    }

    /// Ordered by every column, so that only equal rows could take each other's place.
    fn top(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let inner = self.query(types, scopes, depth - 1);
        let alias = self.alias();
        let order: Vec<String> = (1..=types.len())
            .map(|number| format!("{number}{}", ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"].choose(self.random).expect("orders")))
            .collect();
        let offset = if self.random.random_bool(0.3) { " OFFSET 1" } else { "" };
        let limit = self.random.random_range(1..=4);
        let pattern = format!("SELECT {} FROM ({{0}}) AS {alias}({}) ORDER BY {} LIMIT {limit}{offset}", Self::names(types.len()), Self::names(types.len()), order.join(", "));
        Node::filled(Sort::Query(types.to_vec()), "LIMIT", &pattern, &[inner])
    }

    fn distinct_on(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let inner = self.query(types, scopes, depth - 1);
        let alias = self.alias();
        let names = Self::names(types.len());
        let pattern = format!("SELECT DISTINCT ON (c0) {names} FROM ({{0}}) AS {alias}({names}) ORDER BY {names}");
        Node::filled(Sort::Query(types.to_vec()), "DISTINCT ON", &pattern, &[inner])
    }

    fn with(&mut self, types: &[Ty], scopes: Scopes<'_>, depth: u32) -> Node {
        let inner = self.types();
        let named = self.query(&inner, scopes, depth - 1);
        let (alias, first, second) = (self.alias(), self.alias(), self.alias());
        let columns = |of: &str| inner.iter().enumerate().map(|(number, ty)| Column { name: format!("{of}.c{number}"), ty: *ty }).collect::<Vec<_>>();
        let mut scope = scopes.to_vec();
        scope.push([columns(&first), columns(&second)].concat());
        let condition = self.expression(Bool, &scope, 2, 0);
        let mut children = vec![named, condition];
        children.extend(types.iter().map(|ty| self.expression(*ty, &scope, 1, 0)).collect::<Vec<_>>());
        let pattern = format!(
            "WITH {alias}({}) AS ({{0}}) SELECT {} FROM {alias} AS {first} JOIN {alias} AS {second} ON {{1}}",
            Self::names(inner.len()),
            Self::named_list(types.len(), 2)
        );
        Node::filled(Sort::Query(types.to_vec()), "WITH", &pattern, &children)
    }

    fn values(&mut self, types: &[Ty], scopes: Scopes<'_>) -> Node {
        let mut children = Vec::new();
        let rows: Vec<String> = (0..self.random.random_range(1..=3))
            .map(|_| {
                let first = children.len();
                children.extend(types.iter().map(|ty| self.expression(*ty, scopes, 1, 0)).collect::<Vec<_>>());
                format!("({})", Self::list(types.len(), first))
            })
            .collect();
        Node::filled(Sort::Query(types.to_vec()), "VALUES", &format!("VALUES {}", rows.join(", ")), &children)
    }

    fn from(&mut self, scopes: Scopes<'_>, depth: u32) -> (Node, Vec<Column>) {
        let choice = if depth == 0 { 0 } else { self.random.random_range(0..10) };
        match choice {
            0..=3 => self.table(),
            4 | 5 => self.derived(scopes, depth, false),
            _ => self.join(scopes, depth),
        }
    }

    fn table(&mut self) -> (Node, Vec<Column>) {
        let table = self.schema.tables.choose(self.random).expect("tables");
        let alias = self.alias();
        let columns = table.columns.iter().enumerate().map(|(number, ty)| Column { name: format!("{alias}.c{number}"), ty: *ty });
        (Node::text(Sort::From, "table", format!("{} AS {alias}", table.name)), columns.collect())
    }

    fn derived(&mut self, scopes: Scopes<'_>, depth: u32, lateral: bool) -> (Node, Vec<Column>) {
        let types = self.types();
        let inner = self.query(&types, scopes, depth - 1);
        let alias = self.alias();
        let pattern = format!("{}({{0}}) AS {alias}({})", if lateral { "LATERAL " } else { "" }, Self::names(types.len()));
        let columns = types.iter().enumerate().map(|(number, ty)| Column { name: format!("{alias}.c{number}"), ty: *ty });
        (Node::filled(Sort::From, if lateral { "LATERAL" } else { "derived table" }, &pattern, &[inner]), columns.collect())
    }

    fn join(&mut self, scopes: Scopes<'_>, depth: u32) -> (Node, Vec<Column>) {
        let (left, left_columns) = self.from(scopes, depth - 1);
        if depth > 1 && self.random.random_bool(0.2) {
            let mut inner = scopes.to_vec();
            inner.push(left_columns.clone());
            let (right, right_columns) = self.derived(&inner, depth - 1, true);
            let columns = [left_columns, right_columns].concat();
            let word = if self.random.random_bool(0.5) { "CROSS JOIN {1}" } else { "LEFT JOIN {1} ON true" };
            return (Node::filled(Sort::From, "lateral join", &format!("({{0}} {word})"), &[left, right]), columns);
        }
        let (right, right_columns) = self.from(scopes, depth - 1);
        let columns = [left_columns.clone(), right_columns.clone()].concat();
        let word = *["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"].choose(self.random).expect("words");
        if word == "CROSS JOIN" {
            return (Node::filled(Sort::From, word, "({0} CROSS JOIN {1})", &[left, right]), columns);
        }
        let mut inner = scopes.to_vec();
        inner.push(columns.clone());
        let condition = match self.equality(&left_columns, &right_columns) {
            // Postgres joins FULL by equality alone.
            Some(equal) if word == "FULL JOIN" || self.random.random_bool(0.6) => equal,
            None if word == "FULL JOIN" => Node::text(Sort::Expression(Bool), "literal", "true"),
            _ => self.expression(Bool, &inner, 2, 0),
        };
        (Node::filled(Sort::From, word, &format!("({{0}} {word} {{1}} ON {{2}})"), &[left, right, condition]), columns)
    }

    fn equality(&mut self, left: &[Column], right: &[Column]) -> Option<Node> {
        let pairs: Vec<(&Column, &Column)> = left.iter().flat_map(|left| right.iter().map(move |right| (left, right))).filter(|(left, right)| left.ty == right.ty).collect();
        let (left, right) = pairs.choose(self.random)?;
        let column = |column: &Column| Node::text(Sort::Expression(column.ty), "column", column.name.clone());
        Some(Node::filled(Sort::Expression(Bool), "join =", "({0} = {1})", &[column(left), column(right)]))
    }

    fn leaf(&mut self, ty: Ty, scopes: Scopes<'_>) -> Node {
        // The innermost level first; what is further out makes it correlated.
        for (distance, level) in scopes.iter().rev().enumerate() {
            let fitting: Vec<&Column> = level.iter().filter(|column| column.ty == ty).collect();
            if let Some(column) = fitting.choose(self.random)
                && self.random.random_bool(if distance == 0 { 0.8 } else { 0.6 })
            {
                let name = if distance == 0 { "column" } else { "outer column" };
                return Node::text(Sort::Expression(ty), name, column.name.clone());
            }
        }
        match self.random.random_bool(0.1) {
            true => Node::text(Sort::Expression(ty), "NULL", format!("NULL::{}", ty.sql())),
            false => Node::text(Sort::Expression(ty), "literal", ty.literal(self.random)),
        }
    }

    /// `depth` bounds the nesting of expressions, `queries` that of subqueries in them.
    fn expression(&mut self, ty: Ty, scopes: Scopes<'_>, depth: u32, queries: u32) -> Node {
        if depth == 0 || self.random.random_bool(0.3) {
            return self.leaf(ty, scopes);
        }
        let sort = Sort::Expression(ty);
        match self.random.random_range(0..20) {
            0 | 1 => {
                let (name, pattern, count) = *ANY_PATTERNS.choose(self.random).expect("patterns");
                let children: Vec<Node> = (0..count).map(|_| self.expression(ty, scopes, depth - 1, queries)).collect();
                Node::filled(sort, name, pattern, &children)
            }
            2 | 3 => {
                let children = [self.expression(Bool, scopes, depth - 1, queries), self.expression(ty, scopes, depth - 1, queries), self.expression(ty, scopes, depth - 1, queries)];
                Node::filled(sort, "CASE", "CASE WHEN {0} THEN {1} ELSE {2} END", &children)
            }
            4 | 5 if queries > 0 => self.scalar_subquery(ty, scopes, queries - 1),
            6..=8 if ty == Bool && queries > 0 => self.predicate_subquery(scopes, queries - 1),
            9..=13 if ty == Bool => {
                let of = *Ty::ALL.choose(self.random).expect("types");
                let (name, pattern) = *COMPARISONS.choose(self.random).expect("comparisons");
                let children = [self.expression(of, scopes, depth - 1, queries), self.expression(of, scopes, depth - 1, queries)];
                Node::filled(sort, name, pattern, &children)
            }
            _ => {
                let fitting: Vec<&Pattern> = PATTERNS.iter().filter(|pattern| pattern.0 == ty).collect();
                let Some((_, name, pattern, arguments)) = fitting.choose(self.random).copied() else { return self.leaf(ty, scopes) };
                let children: Vec<Node> = arguments.iter().map(|ty| self.expression(*ty, scopes, depth - 1, queries)).collect();
                Node::filled(sort, name, pattern, &children)
            }
        }
    }

    /// An aggregate without keys has one row.
    fn scalar_subquery(&mut self, ty: Ty, scopes: Scopes<'_>, queries: u32) -> Node {
        let fitting: Vec<&Pattern> = AGGREGATES.iter().filter(|aggregate| aggregate.0 == ty).collect();
        let Some((_, name, pattern, arguments)) = fitting.choose(self.random).copied() else { return self.leaf(ty, scopes) };
        let (from, columns) = self.from(scopes, queries.min(1));
        let mut inner = scopes.to_vec();
        inner.push(columns.clone());
        let mut children = vec![from, self.filter("WHERE", &inner, queries)];
        // An aggregate of nothing but outer columns would belong to the outer query.
        let own = vec![columns];
        children.extend(arguments.iter().map(|ty| self.own_leaf(*ty, &own)).collect::<Vec<_>>());
        let shifted = (0..arguments.len()).rev().fold((*pattern).to_owned(), |text, number| text.replace(&format!("{{{number}}}"), &format!("{{{}}}", number + 2)));
        Node::filled(Sort::Expression(ty), "scalar subquery", &format!("(SELECT {shifted} FROM {{0}}{{1}})"), &children).named(name)
    }

    fn own_leaf(&mut self, ty: Ty, own: Scopes<'_>) -> Node {
        self.leaf(ty, own)
    }

    fn predicate_subquery(&mut self, scopes: Scopes<'_>, queries: u32) -> Node {
        let sort = Sort::Expression(Bool);
        let ty = *[Int, Text, Big, Date, Bool].choose(self.random).expect("types");
        let query = self.query(&[ty], scopes, queries.min(1));
        match self.random.random_range(0..5) {
            0 => Node::filled(sort, "EXISTS", "(EXISTS ({0}))", &[query]),
            1 => Node::filled(sort, "NOT EXISTS", "(NOT EXISTS ({0}))", &[query]),
            2 => Node::filled(sort, "IN", "({1} IN ({0}))", &[query, self.expression(ty, scopes, 1, 0)]),
            3 => Node::filled(sort, "NOT IN", "({1} NOT IN ({0}))", &[query, self.expression(ty, scopes, 1, 0)]),
            _ => {
                let (name, pattern) = *[("< ANY", "({1} < ANY ({0}))"), (">= ALL", "({1} >= ALL ({0}))"), ("= ANY", "({1} = ANY ({0}))")].choose(self.random).expect("words");
                Node::filled(sort, name, pattern, &[query, self.expression(ty, scopes, 1, 0)])
            }
        }
    }
}

impl Node {
    /// A scalar subquery keeps its aggregate's name in the coverage as a child without text.
    fn named(mut self, aggregate: &'static str) -> Node {
        self.parts.push(super::node::Part::Node(Node::text(Sort::Clause, aggregate, "")));
        self
    }
}

//! What parses, into what; what does not, with Postgres' own message and position.

use super::*;

/// Text, and what the `Debug` form of its statements must contain, piece by piece.
const GOOD: &[(&str, &[&str])] = &[
    ("", &["[]"]),
    (" ; -- nothing\n /* at /* all */ */ ;", &["[]"]),
    ("select 1 as of 5", &["as_of: Some(AsOf { at_least: false"]),
    ("select 1 as of at least 5", &["at_least: true"]),
    ("select 1 as of", &["as_of: None"]),
    (
        "subscribe t",
        &["Subscribe", "snapshot: true, progress: false"],
    ),
    (
        "tail t with (snapshot = false, progress) up to 5",
        &["snapshot: false, progress: true", "up_to: Some"],
    ),
    ("fetch 10 c", &["Forward(10)"]),
    (
        "fetch all from c with (timeout = '1s')",
        &["ForwardAll", "TIMEOUT", "Text(\"1s\")"],
    ),
    ("fetch all", &["Forward(1)", "value: \"all\""]),
    ("move backward 3 in c", &["Move", "Backward(3)"]),
    (
        "set time zone 'UTC'",
        &["name: \"timezone\", values: Some([\"UTC\"])"],
    ),
    (
        "set session x.y to default",
        &["name: \"x.y\", values: None"],
    ),
    ("set search_path = a, B, \"C\"", &["[\"a\", \"b\", \"C\"]"]),
    (
        "show transaction isolation level",
        &["Variable { name: \"transaction_isolation\" }"],
    ),
    (
        "begin isolation level repeatable read, read only",
        &["[Isolation(\"repeatable read\"), ReadOnly(true)]"],
    ),
    ("create default index on v", &["default: true", "keys: []"]),
    (
        "create index on v (a desc nulls last)",
        &["descending: true, nulls_first: Some(false)"],
    ),
    (
        "create secret s as 'hidden'",
        &["CreateSecret { name", ".. }"],
    ),
    (
        "create connection k to kafka (security protocol 'x', sasl password secret s)",
        &[
            "\"SECURITY PROTOCOL\"",
            "\"SASL PASSWORD\", value: Some(Secret(",
        ],
    ),
    (
        "create source s from kafka connection k (topic 't', start offset (0,10), start timestamp -5) format text include offset as o envelope none",
        &[
            "topic: Some(\"t\")",
            "start_offsets: [0, 10], start_timestamp_ms: Some(-5)",
            "Both(Text)",
            "what: Offset, alias: Some",
            "envelope: Some(None)",
        ],
    ),
    (
        "create source s from kafka connection k (topic prefix 'p', transaction topic 'p.tx') format json envelope debezium for tables (public.a as a (id int primary key))",
        &[
            "topic_prefix: Some(\"p\"), transaction_topic: Some(\"p.tx\")",
            "Tables([SourceTable",
            "primary_key: [Ident",
        ],
    ),
    (
        "create source a from load generator auction (tick interval '1s') for all tables",
        &["LOAD GENERATOR AUCTION", "tables: Some(All)"],
    ),
    (
        "create table t (a int, a2 int unique, primary key (a, a2))",
        &["unsupported: [\"UNIQUE\"]"],
    ),
    (
        "create view v as with mutually recursive a (x int) as (select 1) select * from a",
        &["RecursiveBinding"],
    ),
    ("explain optimized plan for select 1", &["stage: Optimized"]),
    ("explain (format json) select 1", &["format: Json"]),
    (
        "explain materialized view v",
        &["Object { kind: MaterializedView"],
    ),
    ("copy (subscribe t) to stdout", &["what: Subscribe("]),
    (
        "copy t from stdin with (format csv, header, null '')",
        &[
            "format: Some(\"csv\")",
            "null: Some(\"\"), header: Some(true)",
        ],
    ),
    (
        "drop materialized view if exists a, b cascade",
        &["kind: MaterializedView", "if_exists: true, cascade: true"],
    ),
    (
        "grant select on t to u",
        &["Unsupported { what: \"GRANT\" }"],
    ),
    (
        "create extension x",
        &["Unsupported { what: \"CREATE EXTENSION\" }"],
    ),
    (
        "select f(variadic a), x from rows from (g(1)) as h",
        &["value: \"variadic\"", "rows from"],
    ),
];

#[test]
fn good_statements_say_what_they_say() {
    for (sql, pieces) in GOOD {
        let parsed = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let statements: Vec<_> = parsed.iter().map(|parsed| &parsed.statement).collect();
        let text = format!("{statements:?}");
        for piece in *pieces {
            assert!(text.contains(piece), "{sql}\n has no {piece}\n in {text}");
        }
    }
}

#[test]
fn every_form_in_the_corpora_parses() {
    let corpora = [
        include_str!("testdata/psql_15_queries.sql"),
        include_str!("testdata/postgres_queries.sql"),
        include_str!("testdata/statements.sql"),
    ];
    for sql in corpora.iter().flat_map(|corpus| corpus.split("\n-- @@\n")) {
        if let Err(error) = parse(sql) {
            panic!("{sql}\n{error:?}");
        }
    }
}

/// Text, and the message and position that Postgres 15 gives for it.
const BAD: &[(&str, &str, usize)] = &[
    ("selec 1", r#"syntax error at or near "selec""#, 1),
    ("select 1 +", "syntax error at end of input", 11),
    ("select * from t where", "syntax error at end of input", 22),
    ("select * from", "syntax error at end of input", 14),
    (
        "select 1 from t foo bar",
        r#"syntax error at or near "bar""#,
        21,
    ),
    (
        "create table t (a int b int)",
        r#"syntax error at or near "b""#,
        23,
    ),
    (
        "select 'abc",
        r#"unterminated quoted string at or near "'abc""#,
        8,
    ),
    (
        r#"select "abc"#,
        r#"unterminated quoted identifier at or near ""abc""#,
        8,
    ),
    (
        "select $$abc",
        r#"unterminated dollar-quoted string at or near "$$abc""#,
        8,
    ),
    (
        "select 1 /* x",
        r#"unterminated /* comment at or near "/* x""#,
        10,
    ),
    ("select (1", "syntax error at end of input", 10),
    ("select 1)", r#"syntax error at or near ")""#, 9),
    (
        "insert into t values (1",
        "syntax error at end of input",
        24,
    ),
    ("update t set", "syntax error at end of input", 13),
    (
        "select 1; selec 2",
        r#"syntax error at or near "selec""#,
        11,
    ),
    ("select 1 +; select 2", r#"syntax error at or near ";""#, 11),
    (
        "select 'é', 'ü' x y z",
        r#"syntax error at or near "y""#,
        19,
    ),
    ("create view v as", "syntax error at end of input", 17),
    ("drop table", "syntax error at end of input", 11),
    ("set x", "syntax error at end of input", 6),
    ("begin foo", r#"syntax error at or near "foo""#, 7),
    (
        "select case when 1 then 2",
        "syntax error at end of input",
        26,
    ),
    ("select f(1,", "syntax error at end of input", 12),
    ("select a b c", r#"syntax error at or near "c""#, 12),
    (
        r#"select E'a\'"#,
        r#"unterminated quoted string at or near "E'a\'""#,
        8,
    ),
    ("declare c cursor for", "syntax error at end of input", 21),
    ("select 1 union", "syntax error at end of input", 15),
    ("select * from a join", "syntax error at end of input", 21),
    (
        "insert into t (a,) values (1)",
        r#"syntax error at or near ")""#,
        18,
    ),
    ("alter table t", "syntax error at end of input", 14),
    ("show", "syntax error at end of input", 5),
    ("fetch from", "syntax error at end of input", 11),
    ("prepare x as", "syntax error at end of input", 13),
    ("copy t form stdin", r#"syntax error at or near "form""#, 8),
];

#[test]
fn errors_are_those_of_postgres() {
    let mut wrong = Vec::new();
    for (sql, message, position) in BAD {
        match parse(sql) {
            Ok(_) => wrong.push(format!("{sql:?} parses")),
            Err(error) => {
                if error.message != *message
                    || error.position != Some(*position)
                    || error.sqlstate != "42601"
                {
                    wrong.push(format!("{sql:?}: {error:?}, not {message} at {position}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_too_deep_is_refused_and_nothing_overflows() {
    let many = 100_000;
    let refused = [
        format!("select {}1{}", "(".repeat(many), ")".repeat(many)),
        format!("select {}", "(".repeat(many)),
        format!("select 1{}", "+1".repeat(50_000)),
        format!("select {} 1", "not ".repeat(50_000)),
        format!("select {} 1", "- ".repeat(50_000)),
        format!("select 1{}", "::int".repeat(50_000)),
        format!("select 1::int{}", "[]".repeat(50_000)),
        format!("select 1{}", " union select 1".repeat(50_000)),
        format!("select {}", "case when ".repeat(50_000)),
        format!("select {}", "array[".repeat(50_000)),
        format!("select 1{}", " is null".repeat(50_000)),
        format!("select * from {}t{}", "(".repeat(many), ")".repeat(many)),
        format!("select {}1{}", "f(".repeat(many), ")".repeat(many)),
        // Well under the depth limit, but read twice at each level.
        format!(
            "select * from {}select 1{}",
            "(select * from (".repeat(40),
            ") x) y".repeat(40)
        ),
    ];
    for sql in refused {
        let start: String = sql.chars().take(30).collect();
        match parse(&sql) {
            Err(error) => assert_eq!(error.sqlstate, "54001", "{start}: {error:?}"),
            Ok(_) => panic!("{start} parses"),
        }
    }
}

#[test]
fn long_and_moderately_deep_statements_parse() {
    let accepted = [
        format!("select * from t where a = 0{}", " or a = 1".repeat(20_000)),
        format!(
            "select * from t where a = 0{}",
            " and a = 1 or b = 2".repeat(5_000)
        ),
        format!("insert into t values (1){}", ", (1)".repeat(20_000)),
        format!("select 1{}", ", 1 + 1".repeat(20_000)),
        format!("select {}1{}", "(".repeat(100), ")".repeat(100)),
        format!("select {}1{}", "f(".repeat(60), ")".repeat(60)),
        format!("select {}1{}", "(select ".repeat(60), ")".repeat(60)),
        format!(
            "{}select 1{}",
            "select * from (".repeat(60),
            ") x".repeat(60)
        ),
        format!("select 1{}", " union all select 1".repeat(300)),
    ];
    for sql in accepted {
        let start: String = sql.chars().take(40).collect();
        assert!(parse(&sql).is_ok(), "{start}: {:?}", parse(&sql).err());
    }
}

#[test]
fn statements_keep_their_text_and_place() {
    let parsed = parse("  select 'é' ; -- x\n\n select\n 2 /* y */;;").unwrap();
    let found: Vec<_> = parsed
        .iter()
        .map(|parsed| (parsed.text.as_str(), parsed.offset))
        .collect();
    assert_eq!(found, [("select 'é'", 2), ("select\n 2", 22)]);
    assert_eq!(char_offset("é\nab", 2, 2), 3);
    assert_eq!(char_offset("é", 9, 9), 1);
}

#[test]
fn views_and_cursors_keep_the_text_of_their_query() {
    let parsed = parse("create view v as  select a  from t ;").unwrap();
    assert!(matches!(&parsed[0].statement,
        Statement::CreateView(view) if view.query_text == "select a  from t"));
    let parsed = parse("declare c cursor for select 1 as of 3").unwrap();
    assert!(matches!(&parsed[0].statement,
        Statement::Declare(declare) if declare.text == "select 1 as of 3"));
}

#[test]
fn identifiers_fold_and_are_cut_as_in_postgres() {
    assert_eq!(ident_value(&ast::Ident::new("AbÉ")), "abÉ");
    assert_eq!(ident_value(&ast::Ident::with_quote('"', "Ab")), "Ab");
    let long = format!("{}é", "a".repeat(62));
    assert_eq!(ident_value(&ast::Ident::new(long)), "a".repeat(62));
}

#[test]
fn pieces_parse_alone() {
    assert_eq!(parse_expression("a + $1").unwrap().to_string(), "a + $1");
    assert_eq!(
        parse_data_type("numeric(10,2)[]").unwrap().to_string(),
        "NUMERIC(10,2)[]"
    );
    assert!(parse_query("values (1)").is_ok());
    assert_eq!(parse_expression("1 2").unwrap_err().position, Some(3));
    assert_eq!(
        parse_query("").unwrap_err().message,
        "syntax error at end of input"
    );
}

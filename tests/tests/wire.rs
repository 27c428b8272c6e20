//! The Postgres protocol, message by message. Postgres is the judge: the same bytes go to both, and the answers must be the same, fields of errors included.
//! What Postgres cannot judge (a server that is full, clients that send nonsense, TLS, cancels) is tested by itself.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::wire::{
    Raw, bind, cancel, close, copy_data, copy_done, copy_fail, describe, execute, flush, message, parse, query,
    show, ssl_request, startup, sync, tags, terminate, transcript, within,
};
use tests::{Database, Postgres, Tidemark, TidemarkOptions};

/// Long for a server's answer, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

fn tidemark() -> Result<Tidemark> {
    Tidemark::start(TidemarkOptions::default())
}

fn session(tidemark: &Tidemark) -> Result<Raw> {
    Raw::connect(tidemark.pgwire(), "tidemark", "tidemark")
}

/// Postgres and Tidemark, and a way to say the same to both.
struct Judged {
    tidemark: Tidemark,
    database: Database,
}

impl Judged {
    fn start() -> Result<Self> {
        Ok(Self {
            database: Postgres::shared()?.create_database()?,
            tidemark: tidemark()?,
        })
    }

    fn sessions(&self) -> Result<[Raw; 2]> {
        let postgres = SocketAddr::from(([127, 0, 0, 1], self.database.port()));
        Ok([
            Raw::connect(postgres, "postgres", self.database.name())?,
            session(&self.tidemark)?,
        ])
    }

    fn run(&self, sql: &str) -> Result<()> {
        for mut raw in self.sessions()? {
            let answer = raw.query(sql)?;
            ensure!(!tags(&answer).contains('E'), "{sql}: {}", transcript(&answer));
        }
        Ok(())
    }
}

/// A burst of messages, sent at once; the answers to it are read up to as many ReadyForQuery as it asks for.
fn burst(parts: &[Vec<u8>]) -> (Vec<u8>, usize) {
    let asks = |part: &Vec<u8>| matches!(part.first(), Some(b'S' | b'Q'));
    (parts.concat(), parts.iter().filter(|part| asks(part)).count())
}

fn int(value: i32) -> [u8; 4] {
    value.to_be_bytes()
}

/// Every script is one session.
#[allow(clippy::too_many_lines)]
fn scripts() -> Vec<(&'static str, Vec<(Vec<u8>, usize)>)> {
    let q = |sql: &str| burst(&[query(sql)]);
    vec![
        (
            "the simple protocol",
            vec![
                q("SELECT 1 AS one, 'a' AS a, NULL AS nothing"),
                q("SELECT 1; SELECT 2 AS two; SELECT 'x'::varchar(5), 1.50::numeric(5,2), '{1,2}'::int[]"),
                q(""),
                q(";;"),
                q("-- a comment alone"),
                q("SELECT id, name FROM shop ORDER BY id"),
                q("INSERT INTO shop VALUES (50, 'fifty', 5) RETURNING id, name; UPDATE shop SET price = 1 WHERE id = 50; DELETE FROM shop WHERE id = 50"),
                // Several statements are one transaction.
                q("INSERT INTO shop VALUES (51, 'gone', 1); SELECT 1 / 0; SELECT 2"),
                q("SELECT count(*) FROM shop"),
                q("BEGIN; INSERT INTO shop VALUES (52, 'gone', 1); ROLLBACK; SELECT count(*) FROM shop"),
                q("SELECT nosuch FROM shop"),
                q("SELECT 'é', nosuch"),
                q("SELEC 1"),
                q("SELECT * FROM nosuch"),
                q("SELECT nosuch(1)"),
                q("INSERT INTO shop VALUES (1, 'again', 1)"),
                q("INSERT INTO shop VALUES (98, NULL, 1)"),
                q("SELECT 'x'::int"),
                q("SELECT 2147483647 + 1"),
                q("DROP TABLE IF EXISTS nosuch"),
                q("CREATE TABLE shop (a int)"),
                q("CREATE TABLE IF NOT EXISTS shop (a int)"),
                q("DROP TABLE nosuch"),
                q("COMMIT"),
                q("SHOW nosuch"),
                q("SHOW server_encoding"),
            ],
        ),
        (
            "the extended protocol",
            vec![
                burst(&[parse("", "SELECT $1::int + 1 AS n, $2::text", &[]), describe('S', ""), bind("", "", &[], &[Some(b"41"), Some(b"x")], &[]), describe('P', ""), execute("", 0), sync()]),
                burst(&[bind("", "", &[1, 0], &[Some(&int(7)), None], &[1, 0]), describe('P', ""), execute("", 0), sync()]),
                burst(&[parse("named", "SELECT name FROM shop WHERE id = $1", &[]), describe('S', "named"), sync()]),
                burst(&[bind("", "named", &[1], &[Some(&int(2))], &[1]), execute("", 0), bind("", "named", &[0], &[Some(b"3")], &[0]), execute("", 0), sync()]),
                burst(&[parse("named", "SELECT 1", &[]), sync()]),
                burst(&[close('S', "named"), close('S', "nosuch"), close('P', "nosuch"), bind("", "named", &[], &[], &[]), sync()]),
                // Types from where the parameters stand, and types the client gives.
                burst(&[parse("", "SELECT id FROM shop WHERE id = $1 AND price > $2 OR name LIKE $3", &[]), describe('S', ""), sync()]),
                burst(&[parse("", "SELECT $1, $2", &[20, 0]), describe('S', ""), sync()]),
                burst(&[parse("", "SELECT $1 + $2", &[23, 23]), describe('S', ""), sync()]),
                burst(&[parse("", "INSERT INTO shop (id, name, price) VALUES ($1, $2, $3)", &[]), describe('S', ""), sync()]),
                burst(&[parse("", "SELECT 1 LIMIT $1", &[]), describe('S', ""), sync()]),
                // Nothing to say.
                burst(&[parse("", "", &[]), describe('S', ""), bind("", "", &[], &[], &[]), describe('P', ""), execute("", 0), sync()]),
                burst(&[parse("", "-- nothing", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                burst(&[parse("", "SELECT 1; SELECT 2", &[]), sync()]),
                burst(&[sync(), sync()]),
                burst(&[parse("", "SELECT 5 AS five", &[]), bind("", "", &[], &[], &[]), execute("", 0), query("SELECT 6 AS six"), sync()]),
            ],
        ),
        (
            "errors of the extended protocol skip to Sync",
            vec![
                burst(&[parse("", "SELECT nosuch", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                burst(&[parse("", "SELECT id / $1::int FROM shop", &[]), bind("", "", &[], &[Some(b"0")], &[]), execute("", 0), bind("", "", &[], &[Some(b"1")], &[]), execute("", 0), sync(), parse("", "SELECT 3", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                burst(&[describe('S', "nosuch"), sync()]),
                burst(&[describe('P', "nosuch"), sync()]),
                burst(&[execute("nosuch", 0), sync()]),
                burst(&[bind("", "nosuch", &[], &[], &[]), sync()]),
                burst(&[parse("one", "SELECT $1::int", &[]), sync()]),
                burst(&[bind("", "one", &[], &[], &[]), sync()]),
                burst(&[bind("", "one", &[], &[Some(b"1"), Some(b"2")], &[]), sync()]),
                burst(&[bind("", "one", &[], &[Some(b"x")], &[]), sync()]),
                burst(&[bind("", "one", &[1], &[Some(b"12345678")], &[]), sync()]),
                burst(&[bind("", "one", &[0, 0], &[Some(b"1")], &[]), sync()]),
                burst(&[bind("", "one", &[0], &[Some(b"1")], &[0, 1]), execute("", 0), sync()]),
                // What came before the error in the same implicit transaction is undone.
                burst(&[parse("", "INSERT INTO shop VALUES (53, 'gone', 1)", &[]), bind("", "", &[], &[], &[]), execute("", 0), parse("", "SELECT 1 / (id - 1) FROM shop", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                q("SELECT count(*) FROM shop"),
            ],
        ),
        (
            "portals",
            vec![
                q("BEGIN"),
                burst(&[parse("", "SELECT n FROM generate_series(1, 5) n", &[]), bind("p", "", &[], &[], &[]), execute("p", 2), execute("p", 2), sync()]),
                burst(&[execute("p", 2), execute("p", 2), sync()]),
                burst(&[close('P', "p"), execute("p", 1), sync()]),
                q("ROLLBACK"),
                // Portions that end with the rows.
                burst(&[parse("", "SELECT n FROM generate_series(1, 4) n", &[]), bind("", "", &[], &[], &[1]), execute("", 2), execute("", 2), execute("", 2), sync()]),
                burst(&[execute("", 2), sync()]),
                // A portal of the statement's end: the implicit transaction took it along.
                burst(&[parse("", "SELECT 1", &[]), bind("p", "", &[], &[], &[]), execute("p", 0), sync()]),
                burst(&[execute("p", 0), sync()]),
                q("BEGIN"),
                burst(&[parse("", "SELECT 1", &[]), bind("p", "", &[], &[], &[]), bind("p", "", &[], &[], &[]), sync()]),
                q("ROLLBACK"),
                burst(&[parse("", "INSERT INTO shop VALUES (60, 'a', 1), (61, 'b', 2), (62, 'c', 3) RETURNING id", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                burst(&[parse("", "DELETE FROM shop WHERE id >= 60", &[]), bind("", "", &[], &[], &[]), execute("", 1), sync()]),
                // Portals of SQL and of the protocol are the same.
                q("BEGIN; DECLARE c CURSOR FOR SELECT n FROM generate_series(1, 5) n"),
                burst(&[describe('P', "c"), execute("c", 2), sync()]),
                q("FETCH 2 FROM c"),
                q("CLOSE c; COMMIT"),
                q("FETCH 1 FROM c"),
            ],
        ),
        (
            "transactions that failed",
            vec![
                q("BEGIN"),
                q("SELECT 1 / 0"),
                q("SELECT 1"),
                q(""),
                burst(&[parse("", "SELECT 1", &[]), sync()]),
                burst(&[parse("", "ROLLBACK", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                q("BEGIN; SELECT nosuch"),
                q("COMMIT"),
                q("BEGIN; INSERT INTO shop VALUES (70, 'kept', 1); SAVEPOINT a"),
                q("SELECT 1 / 0"),
                q("ROLLBACK TO a"),
                q("SELECT count(*) FROM shop WHERE id = 70"),
                q("RELEASE a; ROLLBACK"),
                q("RELEASE nosuch"),
                q("BEGIN; BEGIN"),
                q("ROLLBACK TO nosuch"),
                q("ROLLBACK"),
                q("ROLLBACK"),
                q("START TRANSACTION READ ONLY"),
                q("INSERT INTO shop VALUES (71, 'no', 1)"),
                q("ROLLBACK AND CHAIN"),
                q("COMMIT"),
            ],
        ),
        (
            "copy in",
            vec![
                burst(&[query("COPY shop FROM STDIN"), copy_data(b"80\ta\t1\n81\t"), copy_data(b"b\t\\N\n"), copy_done()]),
                burst(&[query("COPY shop (name, id) FROM STDIN (FORMAT csv)"), copy_data(b"\"x, y\",82\n"), copy_done()]),
                q("SELECT * FROM shop WHERE id >= 80 ORDER BY id"),
                burst(&[query("COPY shop FROM STDIN"), copy_data(b"90\ta\t1\nx\tb\t1\n"), copy_data(b"91\tc\t1\n"), copy_done()]),
                burst(&[query("COPY shop FROM STDIN"), copy_data(b"90\ta\n"), copy_done()]),
                burst(&[query("COPY shop FROM STDIN"), copy_data(b"90\ta\t1\textra\n"), copy_done()]),
                burst(&[query("COPY shop FROM STDIN"), copy_data(b"90\t\\N\t1\n"), copy_done()]),
                burst(&[query("COPY nosuch FROM STDIN")]),
                burst(&[query("COPY shop (id, nosuch) FROM STDIN")]),
                // By the extended protocol, the Sync behind it included.
                burst(&[parse("", "COPY shop FROM STDIN", &[]), bind("", "", &[], &[], &[]), describe('P', ""), execute("", 0), copy_data(b"83\td\t2\n"), copy_done(), sync()]),
                burst(&[parse("", "COPY shop FROM STDIN", &[]), bind("", "", &[], &[], &[]), execute("", 0), copy_data(b"oops\n"), copy_done(), sync()]),
                // Not within a COPY it is ignored.
                burst(&[copy_data(b"x"), copy_done(), query("SELECT 7")]),
                q("DELETE FROM shop WHERE id >= 80"),
                burst(&[query("BEGIN; COPY shop FROM STDIN; SELECT count(*) FROM shop WHERE id = 84; ROLLBACK"), copy_data(b"84\te\t1\n"), copy_done()]),
            ],
        ),
        (
            "copy out",
            vec![
                q("COPY (SELECT id, name, price FROM shop ORDER BY id) TO STDOUT"),
                q("COPY (SELECT id, name, price FROM shop ORDER BY id) TO STDOUT (FORMAT csv, HEADER, DELIMITER '|', NULL 'null')"),
                q("COPY (SELECT id, name, price FROM shop ORDER BY id) TO STDOUT (FORMAT binary)"),
                q("COPY (SELECT E'tab\\there', E'line\\nbreak', E'back\\\\slash', '', NULL) TO STDOUT"),
                q("COPY (SELECT 'quote \" here', 'comma, here', '', NULL) TO STDOUT (FORMAT csv)"),
                q("COPY (SELECT 1 WHERE false) TO STDOUT"),
                q("COPY (SELECT 1 / 0) TO STDOUT"),
                q("COPY nosuch TO STDOUT"),
                burst(&[parse("", "COPY (SELECT 1, 'x') TO STDOUT", &[]), describe('S', ""), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
            ],
        ),
        (
            "settings a client is told of",
            vec![
                q("SET application_name = 'one'"),
                q("SET TIME ZONE 'America/New_York'"),
                q("SELECT '2024-06-01 12:00Z'::timestamptz"),
                q("BEGIN; SET application_name = 'two'; ROLLBACK"),
                q("BEGIN; SET LOCAL application_name = 'three'; COMMIT"),
                q("SELECT set_config('application_name', 'four', false)"),
                burst(&[parse("", "SET application_name = 'five'", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()]),
                q("RESET application_name"),
                q("RESET ALL"),
                q("SET nosuch = 1"),
                q("SET TIME ZONE 'Nowhere'"),
                q("SET extra_float_digits = 9"),
                q("SET search_path = public, nosuch; SHOW search_path"),
            ],
        ),
    ]
}

#[test]
fn messages_are_answered_as_postgres_answers_them() -> Result<()> {
    let judged = Judged::start()?;
    judged.run("CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, price numeric)")?;
    judged.run("INSERT INTO shop VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, 'three', 3)")?;
    let (mut asked, mut wrong) = (0, 0);
    for (name, bursts) in scripts() {
        let [mut postgres, mut tidemark] = judged.sessions()?;
        for (number, (bytes, ready)) in bursts.iter().enumerate() {
            let answer = |raw: &mut Raw| -> Result<String> {
                raw.send(bytes)?;
                let mut messages = Vec::new();
                for _ in 0..*ready {
                    messages.extend(raw.until_ready()?);
                }
                Ok(transcript(&messages))
            };
            let expected = answer(&mut postgres).with_context(|| format!("postgres, {name}, {number}"))?;
            let found = answer(&mut tidemark).unwrap_or_else(|error| format!("no answer: {error:#}"));
            asked += 1;
            if expected != found {
                wrong += 1;
                let sent = String::from_utf8_lossy(bytes).replace('\0', "·");
                println!("== {name}, burst {number}: {sent}\n-- postgres\n{expected}\n-- tidemark\n{found}\n");
            }
        }
    }
    println!("{asked} bursts of messages judged");
    ensure!(wrong == 0, "{wrong} of {asked} bursts are answered in another way than by Postgres");
    Ok(())
}

#[test]
fn a_copy_the_client_gives_up_leaves_nothing() -> Result<()> {
    let tidemark = tidemark()?;
    let mut raw = session(&tidemark)?;
    raw.query("CREATE TABLE t (id int PRIMARY KEY)")?;
    for (end, sqlstate) in [(copy_fail("no more"), "57014"), ([copy_data(b"1\n"), copy_done()].concat(), "23505"), (query("SELECT 1"), "08P01")] {
        raw.send(&[query("COPY t FROM STDIN"), copy_data(b"1\n2\n"), end].concat())?;
        let answer = raw.until_ready()?;
        ensure!(answer.len() == 3 && answer[1].sqlstate() == sqlstate, "{}", transcript(&answer));
        let count = raw.query("SELECT count(*) FROM t")?;
        ensure!(count[1].texts() == [Some("0".to_owned())], "{}", transcript(&count));
    }
    Ok(())
}

/// Functions that act on other sessions, and the view that shows whom they can act on.
#[test]
fn sessions_are_seen_cancelled_and_ended() -> Result<()> {
    let tidemark = tidemark()?;
    let mut watcher = session(&tidemark)?;
    let mut other = Raw::connect_with(tidemark.pgwire(), &[("user", "tidemark"), ("application_name", "the other")])?;
    let seen = |watcher: &mut Raw, wanted: &str| -> Result<()> {
        within(SOON, || {
            let answer = watcher.query("SELECT state, query FROM pg_stat_activity WHERE application_name = 'the other'")?;
            let row = answer.get(1).filter(|message| message.tag == 'D').with_context(|| transcript(&answer))?;
            let state = row.texts()[0].clone().unwrap_or_default();
            Ok((state == wanted).then_some(()))
        })
        .with_context(|| wanted.to_owned())
    };
    seen(&mut watcher, "idle")?;
    other.query("BEGIN")?;
    seen(&mut watcher, "idle in transaction")?;
    other.query("SELECT nosuch")?;
    seen(&mut watcher, "idle in transaction (aborted)")?;
    other.query("ROLLBACK")?;
    other.send(&query(SLOW))?;
    seen(&mut watcher, "active")?;
    let answer = watcher.query("SELECT query, pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()")?;
    ensure!(answer[1].texts() == [Some(SLOW.to_owned()), Some("t".to_owned())], "{}", transcript(&answer));
    let cancelled = other.until_ready()?;
    ensure!(cancelled.iter().any(|message| message.tag == 'E' && message.sqlstate() == "57014"), "{}", transcript(&cancelled));
    // Idle or busy, the client is told why its session ends.
    let mut idle = Raw::connect_with(tidemark.pgwire(), &[("user", "tidemark"), ("application_name", "the idle")])?;
    other.send(&query(SLOW))?;
    seen(&mut watcher, "active")?;
    watcher.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")?;
    for raw in [&mut idle, &mut other] {
        let answer = raw.until_closed()?;
        let last = answer.last().context("an error")?;
        ensure!(last.tag == 'E' && last.sqlstate() == "57P01", "{}", transcript(&answer));
    }
    within(SOON, || Ok((watcher.query("SELECT pid FROM pg_stat_activity")?.len() == 4).then_some(())))?;
    let answer = watcher.query("SELECT pg_cancel_backend(999999), pg_terminate_backend(NULL)")?;
    ensure!(answer[1].texts() == [Some("f".to_owned()), None], "{}", transcript(&answer));
    Ok(())
}

/// A server that is stopped says so to its clients.
#[test]
fn clients_are_told_that_the_server_stops() -> Result<()> {
    let mut tidemark = tidemark()?;
    let mut idle = session(&tidemark)?;
    let mut busy = session(&tidemark)?;
    busy.send(&query(SLOW))?;
    ensure!(tidemark.stop()?.success());
    for raw in [&mut idle, &mut busy] {
        let answer = raw.until_closed()?;
        let last = answer.last().context("an error")?;
        ensure!(last.tag == 'E' && last.sqlstate() == "57P01", "{}", transcript(&answer));
    }
    Ok(())
}

/// Values of every type, as literals.
const VALUES: &[(&str, &[&str])] = &[
    ("smallint", &["0", "-32768", "32767"]),
    ("int", &["0", "-2147483648", "2147483647"]),
    ("bigint", &["0", "-9223372036854775808", "9223372036854775807"]),
    ("real", &["0", "-0", "1.5", "1e-40", "3.4028235e38", "NaN", "Infinity", "-Infinity"]),
    ("double precision", &["0", "-0", "0.1", "1e-310", "1.7976931348623157e308", "NaN", "Infinity"]),
    ("numeric", &["0", "-1.50", "0.000001", "12345678901234567890.123456789", "1e100", "-1e-50", "NaN", "Infinity", "-Infinity", "10000", "9999.9999"]),
    ("numeric(10,2)", &["1", "-99999999.99"]),
    ("text", &["", "a", "naïve ☃ 😀", "line\nbreak"]),
    ("varchar(5)", &["", "abc"]),
    ("char(3)", &["", "ab", "abc"]),
    ("\"char\"", &["a", ""]),
    ("name", &["a_name"]),
    ("boolean", &["true", "false"]),
    ("bytea", &["", "\\x00ff7f", "\\x5c"]),
    ("date", &["1970-01-01", "2000-01-01", "0001-01-01", "4713-01-01 BC", "5874897-12-31", "infinity", "-infinity"]),
    ("time", &["00:00", "23:59:59.999999", "24:00"]),
    ("timestamp", &["2000-01-01", "1969-12-31 23:59:59.999999", "0001-01-01 BC", "294276-12-31 23:59:59", "infinity", "-infinity"]),
    ("timestamptz", &["2000-01-01 00:00Z", "2024-06-01 12:34:56.7+05:30", "infinity"]),
    ("interval", &["0", "1 year 2 mons -3 days 04:05:06.7", "-1 day", "178000000 years"]),
    ("uuid", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("json", &["{\"a\":  [1, null]}", "1"]),
    ("jsonb", &["{\"b\": [1, null, 1.50], \"a\": \"x\"}", "null", "[]"]),
    ("oid", &["0", "4294967295"]),
    ("int[]", &["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={5,6}"]),
    ("text[]", &["{a,\"b c\",NULL,\"NULL\",\"\"}"]),
    ("numeric[]", &["{1.5,NaN}"]),
    ("timestamptz[]", &["{2000-01-01 00:00Z}"]),
    ("boolean[]", &["{t,f}"]),
    ("uuid[]", &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": 1}\"}"]),
    ("bytea[]", &["{\"\\\\x01\"}"]),
    ("date[]", &["{2000-01-01}"]),
    ("interval[]", &["{1 day}"]),
];

/// Results in both formats, and what came out in one format given in again as a parameter.
#[test]
fn values_of_every_type_travel_in_both_formats() -> Result<()> {
    let judged = Judged::start()?;
    let [mut postgres, mut tidemark] = judged.sessions()?;
    let (mut asked, mut wrong) = (0, 0);
    for (type_name, values) in VALUES {
        for value in *values {
            let literal = value.replace('\'', "''");
            let sql = format!("SELECT '{literal}'::{type_name} AS v");
            for format in [0, 1] {
                let bytes = [parse("", &sql, &[]), bind("", "", &[], &[], &[format]), describe('P', ""), execute("", 0), sync()].concat();
                let mut rows = BTreeMap::new();
                let mut answers = Vec::new();
                for (name, raw) in [("postgres", &mut postgres), ("tidemark", &mut tidemark)] {
                    raw.send(&bytes)?;
                    let answer = raw.until_ready()?;
                    rows.insert(name, answer.iter().find(|message| message.tag == 'D').map(tests::wire::Message::values));
                    answers.push(transcript(&answer));
                }
                asked += 1;
                if answers[0] != answers[1] {
                    wrong += 1;
                    println!("== {sql}, format {format}\n-- postgres\n{}\n-- tidemark\n{}\n", answers[0], answers[1]);
                    continue;
                }
                // What Postgres sends, Tidemark takes.
                let Some(Some(row)) = rows.remove("postgres") else { continue };
                let Some(Some(given)) = row.first().cloned() else { continue };
                let again = format!("SELECT $1::{type_name} AS v");
                let bytes = [parse("", &again, &[]), bind("", "", &[format], &[Some(&given)], &[format]), execute("", 0), sync()].concat();
                tidemark.send(&bytes)?;
                let answer = tidemark.until_ready()?;
                let returned = answer.iter().find(|message| message.tag == 'D').map(tests::wire::Message::values);
                asked += 1;
                if returned != Some(row) {
                    wrong += 1;
                    println!("== {again} with {value}, format {format}\n{}\n", transcript(&answer));
                }
            }
        }
    }
    println!("{asked} values judged");
    ensure!(wrong == 0, "{wrong} of {asked} values differ");
    Ok(())
}

/// The binary formats of all types refuse what is too short, too long or nonsense, and the session goes on.
#[test]
fn malformed_binary_parameters_are_errors() -> Result<()> {
    let seed = seed();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tidemark = tidemark()?;
    let mut raw = session(&tidemark)?;
    let mut refused = 0;
    for (type_name, _) in VALUES {
        for _ in 0..60 {
            let length = random.random_range(0..24);
            let bytes: Vec<u8> = (0..length).map(|_| if random.random_bool(0.5) { 0 } else { random.random() }).collect();
            let sql = format!("SELECT $1::{type_name}");
            raw.send(&[parse("", &sql, &[]), bind("", "", &[1], &[Some(&bytes)], &[1]), execute("", 0), sync()].concat())?;
            let answer = raw.until_ready()?;
            ensure!(tags(&answer).ends_with('Z'), "seed {seed}: {type_name} of {bytes:02x?} ended the session: {}", transcript(&answer));
            if let Some(error) = answer.iter().find(|message| message.tag == 'E') {
                refused += 1;
                let class = error.sqlstate();
                ensure!(class.starts_with("22") || class.starts_with("42") || ["08P01", "54000"].contains(&class.as_str()) || show(error).contains("unsupported jsonb version number"), "seed {seed}: {type_name} of {bytes:02x?}: {}", show(error));
            }
        }
    }
    ensure!(refused > 100, "only {refused} were refused");
    Ok(())
}

fn seed() -> u64 {
    let seed = std::env::var("TIDEMARK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("seed {seed} (TIDEMARK_SEED={seed} replays it)");
    seed
}

/// A pipeline costs one write of the server: its answer arrives whole in one read.
#[test]
fn a_pipeline_is_answered_in_one_piece() -> Result<()> {
    const BATCHES: usize = 200;
    let tidemark = tidemark()?;
    let mut raw = session(&tidemark)?;
    raw.query("CREATE TABLE points (id int PRIMARY KEY, v text); INSERT INTO points SELECT n, 'v' || n FROM generate_series(1, 100) n")?;
    raw.send(&[parse("point", "SELECT v FROM points WHERE id = $1", &[]), sync()].concat())?;
    raw.until_ready()?;
    let mut reads = 0;
    for batch in 0..BATCHES {
        let id = int((batch % 100 + 1) as i32);
        let one = [parse("", "SELECT 1", &[]), bind("", "point", &[1], &[Some(&id)], &[0]), describe('P', ""), execute("", 0)].concat();
        raw.send(&[one.clone(), one, sync()].concat())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 64 << 10];
        while !answer.ends_with(b"Z\0\0\0\x05I") {
            let count = raw.stream().read(&mut buffer)?;
            ensure!(count > 0, "the connection ended");
            answer.extend_from_slice(&buffer[..count]);
            reads += 1;
        }
        let expected = format!("v{}", batch % 100 + 1);
        let found = String::from_utf8_lossy(&answer);
        ensure!(found.matches(&expected).count() >= 2, "{found:?}");
    }
    ensure!(reads == BATCHES, "{BATCHES} pipelines were answered in {reads} pieces");
    Ok(())
}

/// Flush brings what there is before the transaction ends.
#[test]
fn flush_is_answered_before_sync() -> Result<()> {
    let tidemark = tidemark()?;
    let mut raw = session(&tidemark)?;
    raw.send(&[parse("", "SELECT n FROM generate_series(1, 3) n", &[]), bind("", "", &[], &[], &[]), execute("", 2), flush()].concat())?;
    for tag in ['1', '2', 'D', 'D', 's'] {
        raw.expect(tag)?;
    }
    ensure!(raw.is_silent_for(Duration::from_millis(50))?);
    raw.send(&[execute("", 2), flush()].concat())?;
    for tag in ['D', 'C'] {
        raw.expect(tag)?;
    }
    raw.send(&sync())?;
    raw.expect('Z')?;
    Ok(())
}

const SLOW: &str = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13";

/// Sends cancel requests until the answer is there, as the first may come before the statement has begun.
fn cancelled(raw: &mut Raw) -> Result<String> {
    let (address, pid, secret) = (raw.stream().peer_addr()?, raw.pid, raw.secret);
    within(SOON, || {
        cancel(address, pid, secret)?;
        Ok((!raw.is_silent_for(Duration::from_millis(100))?).then_some(()))
    })?;
    let answer = raw.until_ready()?;
    Ok(tags(&answer))
}

#[test]
fn cancels_end_the_statement_and_not_the_session() -> Result<()> {
    let tidemark = tidemark()?;
    let mut raw = session(&tidemark)?;
    // Nothing runs: nothing happens, now or to the next statement.
    raw.cancel()?;
    ensure!(tags(&raw.query("SELECT 1")?) == "TDCZ");

    raw.send(&query(SLOW))?;
    ensure!(cancelled(&mut raw)? == "TEZ" || tags(&raw.query("SELECT 1")?) == "TDCZ");
    raw.send(&[parse("", SLOW, &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()].concat())?;
    let answer = cancelled(&mut raw)?;
    ensure!(answer == "12EZ", "{answer}");

    // Of somebody else: a wrong secret does nothing.
    raw.send(&query(SLOW))?;
    cancel(tidemark.pgwire(), raw.pid, raw.secret.wrapping_add(1))?;
    cancel(tidemark.pgwire(), raw.pid.wrapping_add(1), raw.secret)?;
    let mut seen = Vec::new();
    while !raw.is_silent_for(Duration::from_millis(300))? {
        let message = raw.read()?.context("the session ended")?;
        ensure!(message.tag == 'T', "a wrong cancel request ended the query: {}", show(&message));
        seen.push(message);
    }
    ensure!(cancelled(&mut raw)?.ends_with("EZ"));

    // In a block, the block fails.
    raw.query("BEGIN")?;
    raw.send(&query(SLOW))?;
    ensure!(cancelled(&mut raw)?.ends_with("EZ"));
    let answer = raw.query("SELECT 1")?;
    ensure!(answer[0].sqlstate() == "25P02", "{}", transcript(&answer));
    raw.query("ROLLBACK")?;

    // While COPY waits for data.
    raw.query("CREATE TABLE t (a int)")?;
    raw.send(&query("COPY t FROM STDIN"))?;
    raw.expect('G')?;
    ensure!(cancelled(&mut raw)? == "EZ");
    ensure!(tags(&raw.query("SELECT count(*) FROM t")?) == "TDCZ");

    // While rows are sent faster than they are read.
    raw.send(&query("SELECT repeat('x', 1000) FROM generate_series(1, 100000000)"))?;
    raw.expect('T')?;
    raw.cancel()?;
    let answer = raw.until_ready()?;
    let last = answer.iter().rev().nth(1).context("an error")?;
    ensure!(last.sqlstate() == "57014", "{}", show(last));
    ensure!(tags(&raw.query("SELECT 1")?) == "TDCZ");

    // By time.
    raw.query("SET statement_timeout = '100ms'")?;
    let answer = raw.query(SLOW)?;
    let error = answer.iter().find(|message| message.tag == 'E').context("an error")?;
    ensure!(error.sqlstate() == "57014" && error.fields()[&'M'].contains("statement timeout"), "{}", show(error));
    Ok(())
}

/// A client that goes away ends what it runs, without a write to it.
#[test]
fn a_client_that_left_is_noticed() -> Result<()> {
    let tidemark = tidemark()?;
    let mut watcher = session(&tidemark)?;
    let connections = |watcher: &mut Raw| -> Result<Option<i64>> {
        let _ = watcher;
        metric(&tidemark, "tidemark_connections")
    };
    watcher.query("CREATE TABLE t (a int)")?;
    ensure!(connections(&mut watcher)? == Some(1));
    for statement in [SLOW, "SUBSCRIBE t", "COPY t FROM STDIN", "SELECT repeat('x', 1000) FROM generate_series(1, 100000000)"] {
        let mut raw = session(&tidemark)?;
        raw.send(&query(statement))?;
        // It has begun, or it is about to.
        raw.is_silent_for(Duration::from_millis(200))?;
        ensure!(connections(&mut watcher)? == Some(2));
        drop(raw);
        within(SOON, || Ok((connections(&mut watcher)? == Some(1)).then_some(()))).with_context(|| statement.to_owned())?;
        within(SOON, || Ok((metric(&tidemark, "tidemark_subscriptions")? == Some(0)).then_some(()))).with_context(|| statement.to_owned())?;
    }
    Ok(())
}

/// The value of a metric without labels.
fn metric(tidemark: &Tidemark, name: &str) -> Result<Option<i64>> {
    let (status, page) = tidemark.http_get("/metrics")?;
    ensure!(status == 200, "/metrics: {status} {page}");
    Ok(page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok()))
}

#[test]
fn too_many_clients_are_told_so() -> Result<()> {
    let tidemark = tidemark()?;
    let mut clients = Vec::new();
    let refusal = loop {
        let mut raw = Raw::open(tidemark.pgwire())?;
        raw.send(&startup(&[("user", "tidemark"), ("database", "tidemark")]))?;
        let first = raw.read()?.context("an answer")?;
        if first.tag == 'E' {
            break first;
        }
        raw.until_ready()?;
        clients.push(raw);
        ensure!(clients.len() < 10_000, "there is no limit");
    };
    ensure!(refusal.sqlstate() == "53300", "{}", show(&refusal));
    let mut raw = clients.pop().context("nobody was served")?;
    let answer = raw.query("SHOW max_connections")?;
    let maximum = answer[1].texts()[0].clone();
    ensure!(maximum == Some((clients.len() + 1).to_string()), "max_connections is {maximum:?}, {} were served", clients.len() + 1);
    // A place that becomes free can be taken, and the others are served on.
    raw.send(&terminate())?;
    ensure!(raw.until_closed()?.is_empty());
    within(SOON, || Ok(session(&tidemark).ok()))?;
    ensure!(tags(&clients[0].query("SELECT 1")?) == "TDCZ");
    Ok(())
}

#[test]
fn nonsense_ends_in_an_error_and_leaves_neighbours_alone() -> Result<()> {
    let seed = seed();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tidemark = tidemark()?;
    let mut neighbour = session(&tidemark)?;
    neighbour.query("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")?;
    let random_bytes = |random: &mut ChaCha8Rng, most: usize| -> Vec<u8> { (0..random.random_range(0..most)).map(|_| random.random()).collect() };

    // Before a session: a packet that is none.
    let mut packets: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 8],
        [8_u32, 0].into_iter().flat_map(u32::to_be_bytes).collect(),
        [u32::MAX, 196_608].into_iter().flat_map(u32::to_be_bytes).collect(),
        [9_u32, 196_608].into_iter().flat_map(u32::to_be_bytes).collect(),
        // Protocols of the past and of the future.
        [8_u32, 131_072].into_iter().flat_map(u32::to_be_bytes).collect(),
        [9_u32, 4 << 16].into_iter().flat_map(u32::to_be_bytes).chain([0]).collect(),
        startup(&[("database", "tidemark")]),
        startup(&[("user", "nobody"), ("database", "tidemark")]),
        startup(&[("user", "tidemark"), ("database", "nosuch")]),
        startup(&[("user", "tidemark"), ("options", "-c nosuch=1")]),
    ];
    packets.extend((0..60).map(|_| random_bytes(&mut random, 64)));
    for packet in packets {
        let mut raw = Raw::open(tidemark.pgwire())?;
        raw.send(&packet)?;
        raw.stream().shutdown(std::net::Shutdown::Write)?;
        let answer = raw.until_closed().with_context(|| format!("seed {seed}: {packet:02x?}"))?;
        for message in &answer {
            ensure!("EvRZSKN".contains(message.tag), "seed {seed}: {packet:02x?} was answered {}", transcript(&answer));
        }
    }

    // Within a session: kinds and bodies at random, and lengths that lie.
    for round in 0..200 {
        let mut raw = session(&tidemark)?;
        let kind = if random.random_bool(0.7) { *b"QPBDECHSFdcfpX".get(random.random_range(0..14)).unwrap_or(&b'Q') } else { random.random() };
        let body = random_bytes(&mut random, 40);
        let mut bytes = message(kind, &body);
        if random.random_bool(0.3) {
            let length: u32 = [0, 3, 5, 1 << 30, u32::MAX, body.len() as u32][random.random_range(0..6)];
            bytes[1..5].copy_from_slice(&length.to_be_bytes());
        }
        // What the server makes of it may be anything but silence or a crash.
        raw.send(&bytes)?;
        raw.stream().shutdown(std::net::Shutdown::Write)?;
        raw.until_closed().with_context(|| format!("seed {seed}, round {round}: {bytes:02x?}"))?;
        if round % 20 == 0 {
            ensure!(tags(&neighbour.query("SELECT a FROM t")?) == "TDCZ", "seed {seed}, round {round}: the neighbour suffers");
        }
    }
    ensure!(tags(&neighbour.query("SELECT a FROM t")?) == "TDCZ");
    let answer = neighbour.query("SELECT 1 AS still")?;
    ensure!(tags(&answer) == "TDCZ");
    Ok(())
}

/// What a session must know of itself when it begins.
#[test]
fn a_session_begins_with_what_drivers_need() -> Result<()> {
    let judged = Judged::start()?;
    let [postgres, _] = judged.sessions()?;
    let parameters = [("user", "tidemark"), ("database", "tidemark"), ("application_name", "the test"), ("options", "-c TimeZone=Asia/Kolkata"), ("DateStyle", "ISO")];
    let raw = Raw::connect_with(judged.tidemark.pgwire(), &parameters)?;
    for (name, value) in &postgres.parameters {
        let found = raw.parameters.get(name);
        ensure!(found.is_some(), "{name} is not reported");
        let expected = match name.as_str() {
            "application_name" => "the test",
            "TimeZone" => "Asia/Kolkata",
            "DateStyle" => "ISO, MDY",
            "session_authorization" => "tidemark",
            "server_version" => continue,
            _ => value,
        };
        ensure!(found.map(String::as_str) == Some(expected), "{name} is {found:?}, not {expected:?}");
    }
    let version = |raw: &Raw| raw.parameters["server_version"].split('.').next().map(str::to_owned);
    ensure!(version(&raw) == version(&postgres), "{:?}", raw.parameters["server_version"]);
    ensure!(raw.pid != 0);
    Ok(())
}

/// Passwords and certificates, with libpq on the other side.
mod safety {
    use std::process::Command;

    use super::{Raw, Result, SOON, Tidemark, TidemarkOptions, ensure, ssl_request, startup, transcript};
    use tests::Directory;

    const PASSWORD: &str = "it's a secret";

    /// A certificate for `localhost` that signs itself, and its key.
    fn certificate(folder: &Directory) -> Result<(String, String)> {
        let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        Ok((certificate.display().to_string(), key.display().to_string()))
    }

    fn start(flags: &[&str], environment: &[(&str, &str)]) -> Result<Tidemark> {
        Tidemark::start(TidemarkOptions {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..TidemarkOptions::default()
        })
    }

    /// What psql says to `SELECT 40 + 2`.
    fn ask(tidemark: &Tidemark, password: Option<&str>, options: &str) -> Result<(bool, String)> {
        let place = format!("host=127.0.0.1 port={} dbname=tidemark {options}", tidemark.pgwire().port());
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-w", "-c", "SELECT 40 + 2"]).arg(place).env_remove("PGPASSWORD").env("PGCONNECT_TIMEOUT", SOON.as_secs().to_string());
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        let output = command.output()?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text.trim().to_owned()))
    }

    #[test]
    fn a_password_is_asked_for_and_checked() -> Result<()> {
        let tidemark = start(&[], &[("TIDEMARK_PASSWORD", PASSWORD)])?;
        ensure!(ask(&tidemark, Some(PASSWORD), "user=tidemark")? == (true, "42".to_owned()));
        for (user, password) in [("tidemark", "wrong"), ("tidemark", ""), ("nobody", PASSWORD)] {
            let (served, text) = ask(&tidemark, Some(password).filter(|password| !password.is_empty()), &format!("user={user}"))?;
            ensure!(!served, "{user} got in with {password:?}");
            ensure!(password.is_empty() || text.contains(&format!("password authentication failed for user \"{user}\"")), "{text}");
        }
        // The SQLSTATE, which psql does not show.
        let mut raw = Raw::open(tidemark.pgwire())?;
        raw.send(&startup(&[("user", "tidemark")]))?;
        let request = raw.expect('R')?;
        ensure!(request.body.starts_with(&10_i32.to_be_bytes()), "SASL is asked for: {request:?}");
        // A first message that is well formed, and a proof that is not: nonces differ.
        let first = "n,,n=,r=abcdefghijklmnopqrstuvwx";
        let mut body = b"SCRAM-SHA-256\0".to_vec();
        body.extend(u32::to_be_bytes(first.len() as u32));
        body.extend(first.as_bytes());
        raw.send(&super::message(b'p', &body))?;
        let challenge = raw.expect('R')?;
        let challenge = String::from_utf8_lossy(&challenge.body[4..]).into_owned();
        let nonce = challenge.split(',').next().unwrap_or_default();
        let last = format!("c=biws,{nonce},p={}", "A".repeat(43) + "=");
        raw.send(&super::message(b'p', last.as_bytes()))?;
        let answer = raw.until_closed()?;
        ensure!(answer.len() == 1 && answer[0].sqlstate() == "28P01", "{}", transcript(&answer));
        let fields = answer[0].fields();
        ensure!(fields[&'S'] == "FATAL", "{fields:?}");
        // Nothing but SASL is taken.
        for nonsense in [super::query("SELECT 1"), super::message(b'p', b"MD5\0\0\0\0\0"), super::message(b'p', b"secret\0")] {
            let mut raw = Raw::open(tidemark.pgwire())?;
            raw.send(&startup(&[("user", "tidemark")]))?;
            raw.expect('R')?;
            raw.send(&nonsense)?;
            let answer = raw.until_closed()?;
            ensure!(answer.len() == 1 && answer[0].sqlstate() == "08P01", "{nonsense:02x?}: {}", transcript(&answer));
        }
        Ok(())
    }

    #[test]
    fn tls_is_spoken_and_can_be_required() -> Result<()> {
        let folder = Directory::new("certificate")?;
        let (certificate, key) = certificate(&folder)?;
        let flags = ["--tls-cert", &certificate, "--tls-key", &key];
        let mut tidemark = start(&flags, &[("TIDEMARK_PASSWORD", PASSWORD)])?;
        let full = format!("user=tidemark sslmode=verify-full sslrootcert={certificate}");
        for options in [full.as_str(), "user=tidemark sslmode=require channel_binding=require", "user=tidemark sslmode=disable"] {
            let answer = ask(&tidemark, Some(PASSWORD), options)?;
            ensure!(answer == (true, "42".to_owned()), "{options}: {answer:?}");
        }
        ensure!(!ask(&tidemark, Some("wrong"), "user=tidemark sslmode=require channel_binding=require")?.0);
        // Bytes behind SSLRequest, sent before TLS has begun, must not pass as if they had been encrypted.
        let mut raw = Raw::open(tidemark.pgwire())?;
        raw.send(&[ssl_request(), startup(&[("user", "tidemark")])].concat())?;
        let answer = raw.until_closed()?;
        ensure!(answer.len() == 1 && answer[0].sqlstate() == "08P01", "{}", transcript(&answer));

        tidemark.kill9()?;
        let required = [&flags[..], &["--tls-required"]].concat();
        tidemark.start_again_with(&required)?;
        ensure!(ask(&tidemark, Some(PASSWORD), "user=tidemark sslmode=require")? == (true, "42".to_owned()));
        let (served, text) = ask(&tidemark, Some(PASSWORD), "user=tidemark sslmode=disable")?;
        ensure!(!served && text.contains("TLS"), "{text}");
        let mut raw = Raw::open(tidemark.pgwire())?;
        raw.send(&startup(&[("user", "tidemark")]))?;
        let answer = raw.until_closed()?;
        ensure!(answer.len() == 1 && answer[0].sqlstate() == "28000", "{}", transcript(&answer));
        Ok(())
    }

    /// Without a password only this machine is served, unless the danger is named.
    #[test]
    fn other_machines_are_served_with_a_password_only() -> Result<()> {
        let anyone = |flags: &[&str]| -> Result<(bool, String)> {
            let folder = Directory::new("anyone")?;
            let mut command = Command::new("timeout");
            command.arg("--signal=TERM").arg("5").arg(tests::components::tidemark_binary()?).args(["--data-dir"]).arg(folder.join("data"));
            let output = command.args(flags).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            Ok((text.contains("pgwire listening on"), text))
        };
        let wide = ["--listen", "0.0.0.0:0", "--http-listen", "127.0.0.1:0"];
        let (serves, text) = anyone(&wide)?;
        ensure!(!serves && text.contains("--password") && text.contains("--insecure"), "{text}");
        let (serves, text) = anyone(&["--listen", "127.0.0.1:0", "--http-listen", "0.0.0.0:0"])?;
        ensure!(!serves && text.contains("--password"), "{text}");
        for allowed in [["--insecure"].as_slice(), &["--password", "x"]] {
            let (serves, text) = anyone(&[&wide[..], allowed].concat())?;
            ensure!(serves, "{text}");
        }
        // Files that are not what they should be are named.
        for (flags, named) in [
            (&["--tls-cert", "/nosuch.crt", "--tls-key", "/nosuch.key"][..], "/nosuch.crt"),
            (&["--tls-cert", "/nosuch.crt"], "--tls-key"),
        ] {
            let (serves, text) = anyone(&[&["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"][..], flags].concat())?;
            ensure!(!serves && text.contains(named), "{text}");
        }
        Ok(())
    }
}

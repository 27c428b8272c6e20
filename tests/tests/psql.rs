//! psql against Tidemark and against Postgres: what a person sees must be the same, to the letter.
//!
//! `tests/psql/judged.psql` lists the commands. Each is run in one session of each server, and its output (errors and carets included) is
//! compared. What cannot be the same by its nature (times, lists of a server's own databases) is looked at for its shape below.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::psql::run_psql;
use tests::{Postgres, Tidemark, TidemarkOptions, simple};

/// The same on both: owners and the database's name are shown.
const USER: &str = "tidemark";
const DATABASE: &str = "tidemark";

/// Put before each command's output.
const MARK: &str = ">>>>> ";

const SETUP: &str = r#"
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, joined date DEFAULT '2024-01-01', note varchar(20));
CREATE TABLE orders (id bigint PRIMARY KEY, customer int, amount numeric(10,2));
CREATE TABLE "Mixed Case" (a smallint, b real, c timestamptz, d jsonb, e int[], f uuid, g interval, h boolean, i char(3), j numeric);
INSERT INTO customers VALUES (1, 'ann', '2023-05-06', NULL), (2, 'bob', DEFAULT, E'two\nlines');
INSERT INTO orders VALUES (1, 1, 10), (2, 1, 2.50), (3, 2, 7);
CREATE VIEW open_orders AS SELECT id, customer FROM orders;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
CREATE INDEX totals_by_customer ON totals (customer, total);
CREATE INDEX orders_by_customer ON orders (customer);
"#;

/// The output of each command.
fn outputs(port: u16, commands: &[&str]) -> Result<Vec<String>> {
    let mut script = String::new();
    for command in commands {
        script.push_str(&format!("\\echo '{MARK}'\n{command}\n"));
    }
    let text = run_psql(port, USER, DATABASE, &script)?;
    Ok(text
        .split(MARK)
        .skip(1)
        .map(|block| block.trim_matches('\n').to_owned())
        .collect())
}

fn postgres_port() -> Result<u16> {
    let postgres = Postgres::shared()?;
    let mut client = postgres.connect()?;
    simple(&mut client, &format!("CREATE ROLE {USER} SUPERUSER LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS"))?;
    simple(&mut client, &format!("CREATE DATABASE {DATABASE} OWNER {USER} TEMPLATE template0"))?;
    Ok(postgres.port())
}

#[test]
fn psql_shows_what_it_shows_of_postgres() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("psql/judged.psql");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("could not read {}", path.display()))?;
    let explained = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md"),
    )?;
    let mut commands: Vec<&str> = Vec::new();
    let mut marked: Vec<usize> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("-- differs=") {
            ensure!(
                explained.contains(&format!("| `{name}` |")),
                "docs/differences.md does not explain `{name}`"
            );
            marked.push(commands.len());
        } else if !line.starts_with("--") {
            commands.push(line);
        }
    }
    let judge = postgres_port()?;
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let subject = tidemark.pgwire().port();
    for port in [judge, subject] {
        let complaints = run_psql(port, USER, DATABASE, SETUP)?;
        ensure!(complaints.is_empty(), "the setup: {complaints}");
    }
    // In Postgres a materialized view is as old as its last refresh.
    let commands_of_judge: Vec<String> = commands
        .iter()
        .map(|command| {
            if command.contains("FROM totals") {
                format!("REFRESH MATERIALIZED VIEW totals;\n{command}")
            } else {
                (*command).to_owned()
            }
        })
        .collect();
    let commands_of_judge: Vec<&str> = commands_of_judge.iter().map(String::as_str).collect();
    let expected = outputs(judge, &commands_of_judge)?;
    let found = outputs(subject, &commands)?;
    ensure!(expected.len() == commands.len(), "psql lost commands");
    let mut wrong = 0;
    for (number, command) in commands.iter().enumerate() {
        let (expected, found) = (
            mask(expected.get(number), judge),
            mask(found.get(number), subject),
        );
        let is_meant = marked.contains(&number);
        if (expected != found) != is_meant {
            wrong += 1;
            if is_meant {
                println!("this is marked as different and is not: take the mark away");
            }
            println!("{command}\n--- postgres\n{expected}\n--- tidemark\n{found}\n");
        }
    }
    println!(
        "{} commands of psql judged, {} known differences",
        commands.len(),
        marked.len()
    );
    ensure!(
        wrong == 0,
        "{wrong} of {} commands differ",
        commands.len()
    );
    Ok(())
}

/// Ports differ by nature.
fn mask(text: Option<&String>, port: u16) -> String {
    text.map_or_else(
        || "psql did not get here".to_owned(),
        |text| text.replace(&port.to_string(), "PORT"),
    )
}

/// What lists the server's own things, or times, has Postgres' shape.
#[test]
fn lists_of_the_servers_own_things_have_the_known_shape() -> Result<()> {
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let port = tidemark.pgwire().port();
    for (command, lines) in [
        ("\\l", &["List of databases", "tidemark", "UTF8"][..]),
        ("\\dn", &["List of schemas", "public"]),
        ("\\du", &["List of roles", "tidemark"]),
        ("\\dn+", &["List of schemas", "Access privileges"]),
        ("\\dS pg_class", &["pg_catalog"]),
        ("\\d pg_catalog.pg_namespace", &["nspname"]),
        ("\\timing on\nSELECT 1;", &["(1 row)", "Time: "]),
        ("SELECT version();", &["PostgreSQL "]),
        ("\\dx", &["List of installed extensions"]),
        ("\\db", &["List of tablespaces"]),
        ("\\dp", &["Access privileges"]),
        ("SHOW ALL;", &["server_version"]),
        ("SHOW TABLES;", &[]),
        ("SHOW SOURCES;", &[]),
        ("SHOW MATERIALIZED VIEWS;", &[]),
        ("EXPLAIN SELECT 1;", &[]),
    ] {
        let text = run_psql(port, USER, DATABASE, command)?;
        ensure!(!text.contains("ERROR"), "{command}: {text}");
        for line in lines {
            ensure!(text.contains(line), "{command} does not show {line:?}:\n{text}");
        }
    }
    Ok(())
}

/// Ctrl-C in psql is a cancel request: the query ends, the session stays.
#[test]
fn interrupts_end_a_query_and_not_the_session() -> Result<()> {
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let output = Command::new("sh")
        .arg("-c")
        // A pipe and no terminal: `timeout` sends what Ctrl-C would.
        .arg("printf 'SUBSCRIBE (SELECT 1 AS a, mz_now() AS t);\\nSELECT 40 + 2 AS after;\\n' | timeout --signal INT 3 psql -X -h 127.0.0.1 -p \"$1\" -U tidemark -d tidemark 2>&1")
        .args(["psql", &tidemark.pgwire().port().to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        !text.contains("server closed the connection"),
        "the session was lost: {text}"
    );
    Ok(())
}

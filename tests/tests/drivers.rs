//! Every driver we promise runs a real script (`tests/drivers/`), against Tidemark and, to prove the script, against Postgres.
//!
//! A script prints `ok PART` or `BROKEN PART ...` for each of its parts and goes on, so that one run shows all that is wrong.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tests::components::{Tidemark, TidemarkOptions, drivers};
use tests::{Postgres, wait_until};

/// Starting a JVM or a Go compiler on a busy machine included.
const SCRIPT_DEADLINE: Duration = Duration::from_secs(300);

/// Who is spoken to.
#[derive(Clone, Debug)]
struct Server {
    name: &'static str,
    port: u16,
    user: &'static str,
    database: String,
}

impl Server {
    fn connection_string(&self) -> String {
        let Self {
            port,
            user,
            database,
            ..
        } = self;
        format!("host=127.0.0.1 port={port} user={user} dbname={database}")
    }

    fn url(&self) -> String {
        let Self {
            port,
            user,
            database,
            ..
        } = self;
        format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    fn jdbc_url(&self) -> String {
        let Self {
            port,
            user,
            database,
            ..
        } = self;
        format!("jdbc:postgresql://127.0.0.1:{port}/{database}?user={user}")
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("drivers")
        .join(name)
}

/// Runs a driver's script on a new database of Postgres, then on a new Tidemark.
fn on_both(command: impl Fn(&Server) -> Result<Command>) -> Result<()> {
    let database = Postgres::shared()?.create_database()?;
    let postgres = Server {
        name: "postgres",
        port: database.port(),
        user: "postgres",
        database: database.name().to_owned(),
    };
    run(command(&postgres)?).context("the script is wrong: it fails on Postgres")?;
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let server = Server {
        name: "tidemark",
        port: tidemark.pgwire().port(),
        user: "tidemark",
        database: "tidemark".to_owned(),
    };
    run(command(&server)?).with_context(|| tidemark.component().describe_log())
}

fn run(mut command: Command) -> Result<()> {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not run {command:?}"))?;
    let outputs = [
        process
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        process
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    let readers = outputs.map(|pipe| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                // What was read before an error is what there is to show.
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    });
    let ended = wait_until("the script ends", SCRIPT_DEADLINE, || {
        Ok(process.try_wait()?)
    });
    if ended.is_err() {
        process.kill()?;
        process.wait()?;
    }
    let [printed, complaints] = readers.map(|reader| reader.join().unwrap_or_default());
    print!("{printed}");
    match ended {
        Ok(status) if status.success() && printed.contains("ok ") => Ok(()),
        Ok(status) => bail!("{command:?} ended with {status}\n{printed}{complaints}"),
        Err(error) => Err(error.context(format!("{command:?}\n{printed}{complaints}"))),
    }
}

#[test]
fn psycopg() -> Result<()> {
    on_both(|server| {
        let mut command = drivers::python()?;
        command
            .arg(script("psycopg.py"))
            .arg(server.connection_string())
            .arg(server.name);
        Ok(command)
    })
}

#[test]
fn node_postgres() -> Result<()> {
    on_both(|server| {
        let mut command = drivers::node()?;
        command
            .arg(script("node.js"))
            .arg(server.url())
            .arg(server.name);
        Ok(command)
    })
}

#[test]
fn pgx() -> Result<()> {
    on_both(|server| {
        let mut command = drivers::go(&script("pgx/main.go"))?;
        command.arg(server.url()).arg(server.name);
        Ok(command)
    })
}

#[test]
fn jdbc() -> Result<()> {
    on_both(|server| {
        let mut command = drivers::java(&script("Jdbc.java"))?;
        command.arg(server.jdbc_url()).arg(server.name);
        Ok(command)
    })
}

/// tokio-postgres needs no script of another language.
mod tokio_postgres_driver {
    use std::pin::pin;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use bytes::Bytes;
    use futures::{SinkExt, StreamExt, TryStreamExt, future};
    use tests::components::{Tidemark, TidemarkOptions};
    use tests::{Database, Postgres};
    use tokio::time::timeout;
    use tokio_postgres::error::SqlState;
    use tokio_postgres::types::{ToSql, Type};
    use tokio_postgres::{Client, NoTls};

    /// What would otherwise be a hang.
    const DEADLINE: Duration = Duration::from_secs(60);

    async fn connect(connection_string: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(connection_string, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    #[tokio::test]
    async fn on_postgres() -> Result<()> {
        let database: Database =
            tokio::task::spawn_blocking(|| Postgres::shared()?.create_database()).await??;
        timeout(DEADLINE, common(&database.connection_string())).await?
    }

    #[tokio::test]
    async fn on_tidemark() -> Result<()> {
        let tidemark =
            tokio::task::spawn_blocking(|| Tidemark::start(TidemarkOptions::default())).await??;
        let place = tidemark.connection_string();
        timeout(DEADLINE, common(&place)).await??;
        timeout(DEADLINE, subscription(&place)).await??;
        tokio::task::spawn_blocking(move || drop(tidemark)).await?;
        Ok(())
    }

    async fn round_trip<T>(client: &Client, type_name: &str, value: T) -> Result<()>
    where
        T: ToSql
            + Sync
            + PartialEq
            + std::fmt::Debug
            + for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let sql = format!("SELECT $1::{type_name}");
        let found: T = client
            .query_one(&sql, &[&value])
            .await
            .with_context(|| sql.clone())?
            .try_get(0)
            .with_context(|| sql.clone())?;
        ensure!(found == value, "{type_name}: {found:?} is not {value:?}");
        let none: Option<T> = client.query_one(&sql, &[&None::<T>]).await?.try_get(0)?;
        ensure!(none.is_none(), "{type_name}: NULL became {none:?}");
        Ok(())
    }

    async fn common(place: &str) -> Result<()> {
        let mut client = connect(place).await?;
        client
            .batch_execute(
                "CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, price numeric);
                 INSERT INTO shop VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, 'three', 3)",
            )
            .await?;

        round_trip(&client, "smallint", -5_i16).await?;
        round_trip(&client, "int", i32::MIN).await?;
        round_trip(&client, "bigint", i64::MAX).await?;
        round_trip(&client, "real", 1.5_f32).await?;
        round_trip(&client, "float8", -0.25_f64).await?;
        round_trip(&client, "text", "naïve ☃ 😀".to_owned()).await?;
        round_trip(&client, "boolean", true).await?;
        round_trip(&client, "bytea", vec![0_u8, 255, 1]).await?;
        round_trip(&client, "jsonb", serde_json::json!({"a": [1, null]})).await?;
        round_trip(&client, "int[]", vec![Some(1), None, Some(3)]).await?;
        round_trip(&client, "text[]", vec!["a".to_owned(), String::new()]).await?;
        round_trip(
            &client,
            "timestamptz",
            std::time::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        )
        .await?;

        // Parameters get their types from where they stand.
        let statement = client
            .prepare("SELECT name FROM shop WHERE id = $1 AND price > $2 OR name = $3")
            .await?;
        ensure!(statement.params() == [Type::INT4, Type::NUMERIC, Type::TEXT]);
        let typed = client
            .prepare_typed("SELECT $1 AS v", &[Type::INT8])
            .await?;
        let found: i64 = client.query_one(&typed, &[&7_i64]).await?.get(0);
        ensure!(found == 7);

        // Pipelining: all are on the way before the first answer is read.
        let by_id = client.prepare("SELECT id, name FROM shop WHERE id = $1").await?;
        let ids: Vec<i32> = (0..60).map(|number| number % 3 + 1).collect();
        let rows = future::try_join_all(ids.iter().map(|id| {
            let (client, by_id) = (&client, &by_id);
            async move { client.query_one(by_id, &[id]).await }
        }))
        .await?;
        ensure!(rows.iter().map(|row| row.get::<_, i32>(0)).eq(ids));

        // A portal, read in portions inside a transaction.
        let transaction = client.transaction().await?;
        let portal = transaction
            .bind("SELECT n FROM generate_series(1, 25) n", &[])
            .await?;
        let mut sizes = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, 10).await?;
            if rows.is_empty() {
                break;
            }
            sizes.push(rows.len());
        }
        ensure!(sizes == [10, 10, 5], "portions of {sizes:?}");
        let error = transaction
            .execute("SELECT 1 / 0", &[])
            .await
            .expect_err("it divides by zero");
        ensure!(error.code() == Some(&SqlState::DIVISION_BY_ZERO));
        let error = transaction
            .execute("SELECT 1", &[])
            .await
            .expect_err("the transaction has failed");
        ensure!(error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        transaction.rollback().await?;

        // COPY both ways.
        let mut sink = pin!(client.copy_in("COPY shop FROM STDIN").await?);
        sink.send(Bytes::from_static(b"10\tten\t\\N\n11\tel")).await?;
        sink.send(Bytes::from_static(b"even\t2.50\n")).await?;
        ensure!(sink.as_mut().finish().await? == 2);
        let text: Vec<Bytes> = client
            .copy_out("COPY (SELECT * FROM shop WHERE id >= 10 ORDER BY id) TO STDOUT")
            .await?
            .try_collect()
            .await?;
        ensure!(text.concat() == b"10\tten\t\\N\n11\televen\t2.50\n");
        ensure!(client.execute("DELETE FROM shop WHERE id >= $1", &[&10]).await? == 2);

        // A cancel goes over a connection of its own.
        let token = client.cancel_token();
        let slow = client.query(
            "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13",
            &[],
        );
        let cancelling = async {
            // Again and again, because the first may come before the query has begun.
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                token.cancel_query(NoTls).await?;
            }
            #[allow(unreachable_code)]
            anyhow::Ok(())
        };
        let error = tokio::select! {
            answer = slow => answer.expect_err("it was cancelled"),
            failure = cancelling => return failure.context("could not cancel"),
        };
        ensure!(error.code() == Some(&SqlState::QUERY_CANCELED), "{error:?}");
        Ok(())
    }

    async fn subscription(place: &str) -> Result<()> {
        let (reader, writer) = (connect(place).await?, connect(place).await?);
        let statement = reader
            .prepare("SUBSCRIBE (SELECT id, name FROM shop)")
            .await?;
        let names: Vec<&str> = statement.columns().iter().map(|column| column.name()).collect();
        ensure!(names == ["mz_timestamp", "mz_diff", "id", "name"], "{names:?}");
        let mut rows = pin!(reader.query_raw(&statement, Vec::<i32>::new()).await?);
        let mut ids = Vec::new();
        for _ in 0..3 {
            let row = rows.next().await.context("the snapshot ended early")??;
            ids.push(row.get::<_, i32>("id"));
        }
        ids.sort_unstable();
        ensure!(ids == [1, 2, 3]);
        writer
            .execute("UPDATE shop SET name = 'uno' WHERE id = 1", &[])
            .await?;
        let mut changes = Vec::new();
        for _ in 0..2 {
            let row = rows.next().await.context("the stream ended")??;
            changes.push((row.get::<_, i64>("mz_diff"), row.get::<_, String>("name")));
        }
        changes.sort();
        ensure!(changes == [(-1, "one".to_owned()), (1, "uno".to_owned())]);
        reader.cancel_token().cancel_query(NoTls).await?;
        let error = rows
            .next()
            .await
            .context("the stream ended without an error")?
            .expect_err("it was cancelled");
        ensure!(error.code() == Some(&SqlState::QUERY_CANCELED), "{error:?}");
        Ok(())
    }
}

//! Transactions that are larger than a frame can be, with a log whose frames can be small.

use super::Running;
use super::boot::start_with;
use crate::Error;
use crate::execution::Execution;
use crate::flags::Flags;
use crate::session::{Session, USER};
use clap::Parser;
use sources::BrokerConfig;
use sources::kafka::{EmbeddedBroker, Producer};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use storage::LogOptions;

const FRAME_BYTES_MAX: u64 = 20_000;
const DEADLINE: Duration = Duration::from_secs(60);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("tidemark-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(directory: &Path) -> Running {
    let flags = Flags::parse_from(["tidemark", "--data-dir", directory.to_str().expect("UTF-8")]);
    let options = LogOptions { frame_bytes_max: FRAME_BYTES_MAX, ..LogOptions::default() };
    tokio::task::spawn_blocking(move || start_with(flags, options)).await.expect("no panic").expect("started")
}

struct Client(Session);

impl Client {
    fn new(running: &Running) -> Client {
        Client(Session::start(running.shared.clone(), &[("user".to_string(), USER.to_string())], 0).expect("a session"))
    }

    /// The rows of one statement, as text; its transaction ends with it.
    async fn run(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let result = self.rows(sql).await;
        if result.is_err() {
            self.0.failed();
        }
        self.0.sync().await?;
        result
    }

    async fn rows(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let mut rows = Vec::new();
        for statement in &self.0.parse(sql)? {
            if let Execution::Rows(mut execution) = self.0.run(statement, true).await? {
                while let Some(batch) = execution.source.next_batch().await? {
                    rows.extend(batch.iter().map(|row| format!("{:?}", row.unpack())));
                }
            }
        }
        Ok(rows)
    }
}

/// Neither a transaction that is too large nor those that commit beside it disturb each other, and the log is as good as before after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_larger_than_a_frame_fails_alone() {
    let folder = Folder::new("large-write");
    let running = start(&folder.0).await;
    let mut client = Client::new(&running);
    client.run("CREATE TABLE t (a int, b text)").await.expect("created");
    let refused = client.run("INSERT INTO t SELECT a, repeat('x', 1000) FROM generate_series(1, 30) AS a").await.expect_err("30 rows of 1000 bytes are more than a frame");
    assert_eq!((refused.sqlstate(), refused.to_string().as_str()), ("54000", "the transaction is too large for the log"));
    let detail = refused.fields().detail.clone().unwrap_or_default();
    assert!(detail.contains(&FRAME_BYTES_MAX.to_string()), "{detail}");
    let beside = (0..8).map(|n| {
        let mut client = Client::new(&running);
        tokio::spawn(async move { client.run(&format!("CREATE TABLE t{n} (a int)")).await.or_else(|error| if error.sqlstate() == "40001" { Ok(Vec::new()) } else { Err(error) }) })
    });
    let beside: Vec<_> = beside.collect();
    assert_eq!(client.run("INSERT INTO t SELECT 1, repeat('x', 40000)").await.expect_err("too large").sqlstate(), "54000");
    for task in beside {
        task.await.expect("no panic").expect("done");
    }
    client.run("INSERT INTO t VALUES (7, 'fits')").await.expect("written");
    assert_eq!(client.run("SELECT * FROM t").await.expect("read"), ["[Int4(7), Text(\"fits\")]"]);
    drop(client);
    running.stop().await;
    let running = start(&folder.0).await;
    let mut client = Client::new(&running);
    assert_eq!(client.run("SELECT * FROM t").await.expect("read"), ["[Int4(7), Text(\"fits\")]"]);
    drop(client);
    running.stop().await;
}

/// A source cannot leave a transaction out nor split it: it stops there and says so, also after a restart; everything else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_fails_at_a_transaction_larger_than_a_frame() {
    let folder = Folder::new("large-batch");
    let broker = EmbeddedBroker::start(&[("words".to_string(), 1)]).expect("a broker");
    let producer = Producer::new(&BrokerConfig::new(broker.bootstrap().to_string())).expect("a producer");
    let mut running = start(&folder.0).await;
    let mut client = Client::new(&running);
    client.run("CREATE TABLE t (a int)").await.expect("created");
    client.run(&format!("CREATE CONNECTION k TO KAFKA (BROKER '{}')", broker.bootstrap())).await.expect("created");
    client.run("CREATE SOURCE words FROM KAFKA CONNECTION k (TOPIC 'words') FORMAT TEXT ENVELOPE NONE").await.expect("created");
    producer.send("words", None, None, Some(b"small")).expect("sent");
    wait_for(&mut client, "SELECT count(*) FROM words", "[Int8(1)]").await;
    producer.send("words", None, None, Some("x".repeat(2 * FRAME_BYTES_MAX as usize).as_bytes())).expect("sent");
    for restart in [true, false] {
        wait_for(&mut client, "SELECT state, reason LIKE '%too large for the log%' FROM tm_catalog.tm_source_statuses", "[Text(\"failed\"), Bool(true)]").await;
        assert_eq!(client.run("SELECT count(*) FROM words").await.expect("read"), ["[Int8(1)]"]);
        client.run("INSERT INTO t VALUES (1)").await.expect("written");
        if restart {
            drop(client);
            running.stop().await;
            running = start(&folder.0).await;
            client = Client::new(&running);
        }
    }
    client.run("DROP SOURCE words").await.expect("dropped");
    drop(client);
    running.stop().await;
}

async fn wait_for(client: &mut Client, sql: &str, expected: &str) {
    let began = Instant::now();
    loop {
        let rows = client.run(sql).await.expect("read");
        if rows == [expected] {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "{sql}: {rows:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

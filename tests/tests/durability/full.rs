//! A disk that is full: a small file system in memory of its own, filled up beside the server and freed again.

use crate::{DEADLINE, metric, number, sqlstate};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tests::components::KafkaRecord;
use tests::{Directory, Kafka, Tidemark, TidemarkOptions, wait_until};

const DISK_BYTES: u64 = 16 << 20;
/// Longer than the time that is reserved ahead: reads must go on after it as well.
const FULL_FOR: Duration = Duration::from_secs(12);
const RESUMED_WITHIN: Duration = Duration::from_secs(10);
const CYCLES: usize = 2;

/// A file system of a fixed size, which goes with this value.
struct SmallDisk {
    path: PathBuf,
    _directory: Directory,
}

impl SmallDisk {
    fn mount() -> Result<SmallDisk> {
        let directory = Directory::new("small-disk")?;
        let path = directory.path().to_owned();
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tidemark-test"]).arg(&path).output()?;
        ensure!(output.status.success(), "this test needs root to mount a small tmpfs: {}", String::from_utf8_lossy(&output.stderr));
        Ok(SmallDisk { path, _directory: directory })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Leaves so many bytes.
    fn fill(&self, left: u64) -> Result<()> {
        fs::remove_file(self.ballast()).or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        let free = free_bytes(&self.path)?;
        fs::write(self.ballast(), vec![1; free.saturating_sub(left) as usize])?;
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("could not unmount {}", self.path.display());
        }
    }
}

fn free_bytes(path: &Path) -> Result<u64> {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(path).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.lines().nth(1).context("df prints two lines")?.trim().parse().context("df prints a number")
}

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() -> Result<()> {
    let disk = SmallDisk::mount()?;
    let kafka = Kafka::shared()?;
    let topic = format!("full-disk-{}", std::process::id());
    kafka.create_topic(&topic, 1)?;
    let options = TidemarkOptions { data_directory: Some(disk.path.join("data")), ..TidemarkOptions::default() };
    let mut tidemark = Tidemark::start(options)?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE t (key int PRIMARY KEY, filler text)")?;
    client.batch_execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM t")?;
    client.batch_execute(&format!("CREATE CONNECTION k TO KAFKA (BROKER '{}')", kafka.bootstrap()))?;
    client.batch_execute(&format!("CREATE SOURCE words FROM KAFKA CONNECTION k (TOPIC '{topic}') FORMAT TEXT ENVELOPE NONE"))?;
    client.batch_execute("CREATE MATERIALIZED VIEW distinct_words AS SELECT count(*) AS n, count(DISTINCT text) AS different FROM words")?;
    let filler = "x".repeat(20_000);
    let (mut key, mut acknowledged, mut refused, mut produced) = (0, 0, 0, 0);
    for cycle in 0..CYCLES {
        disk.fill(150_000)?;
        // Writes until there is no room.
        let mut insert = |client: &mut postgres::Client| {
            key += 1;
            client.execute("INSERT INTO t VALUES ($1, $2)", &[&key, &filler])
        };
        loop {
            match insert(&mut client) {
                Ok(_) => acknowledged += 1,
                refusal => break ensure!(sqlstate(refusal) == "53100", "cycle {cycle}"),
            }
            ensure!(acknowledged < 1_000, "the disk never got full");
        }
        refused += 1;
        ensure!(metric(&tidemark, "tidemark_log_disk_full")? == 1.0);
        // Messages of a source arrive in vain, and more than the little room that was left.
        let words = (0..2_000).map(|n| KafkaRecord { value: Some(format!("word {} {}", produced + n, "y".repeat(100)).into_bytes()), ..KafkaRecord::default() });
        kafka.produce_many(&topic, words)?;
        produced += 2_000;
        // Reads go on, and time does not go back, longer than any time that was reserved ahead.
        let began = Instant::now();
        let (mut timestamp, mut reads) = (0, 0);
        while began.elapsed() < FULL_FOR {
            let now = number(&mut client, "SELECT mz_now() FROM counted")?;
            ensure!(now >= timestamp, "time went back from {timestamp} to {now}");
            timestamp = now;
            ensure!(number(&mut client, "SELECT n FROM counted")? == acknowledged);
            ensure!(number(&mut client, "SELECT n FROM distinct_words")? < produced, "there was room for the source");
            reads += 1;
            if reads % 100 == 0 {
                ensure!(sqlstate(insert(&mut client)) == "53100");
                refused += 1;
                let definition = sqlstate(client.batch_execute(&format!("CREATE MATERIALIZED VIEW never{reads} AS SELECT * FROM t")));
                ensure!(definition == "53100", "{definition}");
            }
        }
        println!("cycle {cycle}: {acknowledged} acknowledged, {refused} refused, {reads} reads while the disk was full");
        ensure!(tidemark.component_mut().is_running()?);
        disk.free()?;
        let began = Instant::now();
        wait_until("the source has gone on", DEADLINE, || Ok((number(&mut client, "SELECT n FROM distinct_words")? == produced).then_some(())))?;
        insert(&mut client)?;
        acknowledged += 1;
        println!("cycle {cycle}: gone on after {:?}", began.elapsed());
        ensure!(began.elapsed() <= RESUMED_WITHIN);
        ensure!(metric(&tidemark, "tidemark_log_disk_full")? == 0.0);
        if cycle + 1 == CYCLES {
            // The next start finds the disk full: it comes up, and serves what there is.
            disk.fill(0)?;
        }
        drop(client);
        tidemark.kill9()?;
        tidemark.start_again()?;
        client = tidemark.connect()?;
        wait_until("all views are there again", DEADLINE, || Ok((tidemark.http_get("/readyz")?.0 == 200).then_some(())))?;
        ensure!(number(&mut client, "SELECT n FROM counted")? == acknowledged);
        ensure!(number(&mut client, "SELECT count(*) FROM t")? == acknowledged);
        ensure!(number(&mut client, "SELECT different FROM distinct_words")? == produced);
        ensure!(number(&mut client, "SELECT n FROM distinct_words")? == produced);
        ensure!(number(&mut client, "SELECT count(*) FROM tm_catalog.tm_objects WHERE name LIKE 'never%'")? == 0);
    }
    ensure!(refused > 2 * CYCLES, "only {refused} refusals");
    Ok(())
}

//! The user guide and the README, run: every block of SQL is typed into psql, in order, and what the page shows must be what psql shows.
//!
//! Blocks of a page, by the word after the fence:
//! * `sql`: run with psql against a server of the page's own. Without a `text` block after it, no statement may fail.
//! * `text`: what psql shows for the block before it, errors included.
//! * `kafka TOPIC`: messages, one a line, key and value divided by two blanks or more; they are produced, to a topic made for it.
//!
//! `localhost:9092` in a page is the real broker of the tests. Rows of a source need a moment to arrive, so a block that only reads is asked again until it
//! shows what the page shows, up to a deadline. `UPDATE_EXPECTED=1` writes what psql shows into the pages.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tests::components::KafkaRecord;
use tests::psql::run_psql;
use tests::{Kafka, Tidemark, TidemarkOptions, wait_until};

const DEADLINE: Duration = Duration::from_secs(20);
const BROKER: &str = "localhost:9092";
/// The guide shows at least this many blocks of SQL: a page whose fences were broken would run none.
const BLOCKS_MIN: usize = 35;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = vec![root().join("README.md")];
    for entry in root().join("docs/guide").read_dir().context("docs/guide")? {
        pages.push(entry?.path());
    }
    pages.sort();
    Ok(pages)
}

/// A fenced block: its words, its lines, and the line of its opening fence.
struct Block {
    words: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => open = Some(Block { words: words.trim().to_owned(), text: String::new(), line: number + 1 }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Lines without the blanks psql pads them with.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn only_reads(sql: &str) -> bool {
    let reading = ["SELECT", "TABLE", "SHOW", "EXPLAIN", "WITH", "VALUES", "\\"];
    let statements = sql.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '-']));
    statements.into_iter().all(|line| reading.iter().any(|word| line.starts_with(word)))
}

fn produce(kafka: &Kafka, topic: &str, text: &str) -> Result<()> {
    if kafka.partitions(topic)?.is_empty() {
        kafka.create_topic(topic, 1)?;
    }
    let record = |line: &str| {
        let (key, value) = line.split_once("  ").with_context(|| format!("no key and value in {line}"))?;
        let bytes = |text: &str| (text != "null").then(|| text.trim().as_bytes().to_vec());
        Ok(KafkaRecord { key: bytes(key), value: bytes(value), ..KafkaRecord::default() })
    };
    let records: Result<Vec<KafkaRecord>> = text.lines().map(record).collect();
    kafka.produce_many(topic, records?)?;
    Ok(())
}

/// Runs a page, and returns it with what psql showed, and how many blocks of SQL it has.
fn run(page: &str, name: &str) -> Result<(String, usize)> {
    let kafka = Kafka::shared()?;
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let port = tidemark.pgwire().port();
    let broker = kafka.bootstrap();
    let blocks = blocks(page);
    let mut shown: Vec<(usize, String)> = Vec::new();
    let mut count = 0;
    for (position, block) in blocks.iter().enumerate() {
        let place = || format!("{name}:{}", block.line);
        if let Some(topic) = block.words.strip_prefix("kafka ") {
            produce(kafka, topic, &block.text).with_context(place)?;
        }
        if block.words != "sql" {
            continue;
        }
        count += 1;
        let sql = block.text.replace(BROKER, &broker);
        let ask = || -> Result<String> { Ok(trimmed(&run_psql(port, "tidemark", "tidemark", &sql)?.replace(&broker, BROKER))) };
        let Some(expected) = blocks.get(position + 1).filter(|next| next.words == "text") else {
            let text = ask().with_context(place)?;
            ensure!(!text.contains("ERROR:"), "{}: {text}", place());
            continue;
        };
        let wanted = trimmed(&expected.text);
        let mut text = ask().with_context(place)?;
        if text != wanted && only_reads(&block.text) {
            // Nothing to wait for is known when the page is being written anew.
            let asked = wait_until("psql shows what the page shows", DEADLINE, || {
                text = ask()?;
                Ok((text == wanted || is_updating()).then_some(()))
            });
            // The difference itself says more than that time was over.
            drop(asked);
        }
        if is_updating() {
            shown.push((expected.line, text));
        } else if text != wanted {
            bail!("{}: the page shows\n{wanted}\n--- but psql shows\n{text}", place());
        }
    }
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (line, text) in shown.into_iter().rev() {
        let end = (line..lines.len()).find(|at| lines[*at].starts_with("```")).unwrap_or(lines.len());
        lines.splice(line..end, text.lines().map(str::to_owned));
    }
    Ok((lines.join("\n") + "\n", count))
}

fn is_updating() -> bool {
    env::var_os("UPDATE_EXPECTED").is_some()
}

#[test]
fn psql_shows_what_the_guide_shows() -> Result<()> {
    let chosen = env::var("TIDEMARK_GUIDE").unwrap_or_default();
    let mut count = 0;
    for path in pages()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&chosen) {
            continue;
        }
        let page = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        let (updated, blocks) = run(&page, &name)?;
        println!("{name}: {blocks} blocks of SQL");
        count += blocks;
        if is_updating() && updated != page {
            std::fs::write(&path, updated)?;
        }
    }
    ensure!(!chosen.is_empty() || count >= BLOCKS_MIN, "only {count} blocks of SQL were found");
    Ok(())
}

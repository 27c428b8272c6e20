//! Corpus files: blocks separated by empty lines; a header line says what the block is, SQL follows, each statement ended by a `;` at a line's end.
//!
//! | header | meaning |
//! |---|---|
//! | `statement` | run at this place on both sides; rows, counts of rows and SQLSTATEs are compared |
//! | `batch` | statements which are one step of the data's history: after them every query of the file is judged |
//! | `query` | a query which stands for the whole file, wherever it is written |
//!
//! Words after the header hold for the whole block:
//!
//! | word | meaning |
//! |---|---|
//! | `error` | Postgres must fail in the end |
//! | `heals` | Postgres may fail after some batch, but not in the end |
//! | `only=select` | asked as SELECT only: it cannot be maintained |
//! | `differs=name` | a meant difference, explained under that name in docs/differences.md; it must really differ |
//! | `later=name` | not there yet, listed under that name in docs/differences.md; it must really differ too, so the mark goes when the work is done |
//!
//! Lines which begin with `#` are comments. A line which begins with `#!` has such words for the next statement alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Run once, at its place.
    Statement,
    /// Run once, at its place; the last of its block has `ends_batch`.
    Change {
        /// Whether the queries are judged after it.
        ends_batch: bool,
    },
    /// Judged after every batch and at the end.
    Query,
}

/// One statement of a corpus file and how to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its first line is.
    pub line: u32,
    pub kind: Kind,
    /// Without the `;`.
    pub sql: String,
    /// Postgres must fail in the end.
    pub is_error: bool,
    /// Postgres may fail on the way.
    pub heals: bool,
    /// No views.
    pub is_select_only: bool,
    /// What the judge and the subject are known to disagree about.
    pub mark: Option<Mark>,
}

/// Why a record differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its entry in docs/differences.md.
    pub name: String,
    /// Meant to stay so, or not there yet.
    pub is_meant: bool,
}

/// A file of records.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The file's name, for messages: `joins.slt`.
    pub name: String,
    pub records: Vec<Record>,
}

impl Corpus {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("could not read {}", path.display()))?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self::parse(&name, &text)
    }

    /// Understands a file's text.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut records = Vec::new();
        let mut block: Option<Record> = None;
        let mut words_of_next: Option<String> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end();
            if let Some(words) = line.strip_prefix("#!") {
                words_of_next = Some(words.to_owned());
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            if line.is_empty() {
                finish_block(name, block.take(), &mut records)?;
                continue;
            }
            let Some(record) = &mut block else {
                block = Some(
                    header(line).with_context(|| format!("{name}:{number}: bad header: {line}"))?,
                );
                continue;
            };
            if record.sql.is_empty() {
                record.line = number;
            } else {
                record.sql.push('\n');
            }
            if let Some(last_line) = line.strip_suffix(';') {
                record.sql.push_str(last_line);
                let mut whole = record.clone();
                if let Some(words) = words_of_next.take() {
                    mark(&mut whole, words.split_whitespace())
                        .with_context(|| format!("{name}:{number}: bad mark: {words}"))?;
                }
                records.push(whole);
                record.sql.clear();
            } else {
                record.sql.push_str(line);
            }
        }
        finish_block(name, block, &mut records)?;
        Ok(Self {
            name: name.to_owned(),
            records,
        })
    }
}

/// All corpus files of a folder whose name contains `pattern`, in the order of their names.
pub fn files(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("could not read {}", folder.display()))?
    {
        let path = entry?.path();
        let is_chosen = path
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().contains(pattern));
        if is_chosen && path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn header(line: &str) -> Result<Record> {
    let mut words = line.split_whitespace();
    let kind = match words.next() {
        Some("statement") => Kind::Statement,
        Some("batch") => Kind::Change { ends_batch: false },
        Some("query") => Kind::Query,
        _ => bail!("it is none of statement, batch, query"),
    };
    let mut record = Record {
        line: 0,
        kind,
        sql: String::new(),
        is_error: false,
        heals: false,
        is_select_only: false,
        mark: None,
    };
    mark(&mut record, words)?;
    Ok(record)
}

fn mark<'a>(record: &mut Record, words: impl Iterator<Item = &'a str>) -> Result<()> {
    for word in words {
        match word.split_once('=') {
            None if word == "error" => record.is_error = true,
            None if word == "heals" => record.heals = true,
            Some(("only", "select")) => record.is_select_only = true,
            Some((kind @ ("differs" | "later"), name)) => {
                record.mark = Some(Mark {
                    name: name.to_owned(),
                    is_meant: kind == "differs",
                });
            }
            _ => bail!("unknown word {word}"),
        }
    }
    Ok(())
}

fn finish_block(name: &str, block: Option<Record>, records: &mut [Record]) -> Result<()> {
    let Some(block) = block else { return Ok(()) };
    if !block.sql.is_empty() {
        bail!("{name}:{}: no ; at the end of: {}", block.line, block.sql);
    }
    if let (Kind::Change { .. }, Some(last)) = (block.kind, records.last_mut()) {
        last.kind = Kind::Change { ends_batch: true };
    }
    Ok(())
}

/// Whether a query says in which order its rows come: `ORDER BY` outside of all parentheses, quotes and comments.
pub fn is_ordered(sql: &str) -> bool {
    let mut depth = 0_u32;
    let mut words: Vec<String> = vec![String::new()];
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' => {
                // A doubled quote ends one quoted part and begins the next: the same for this purpose.
                for inner in characters.by_ref() {
                    if inner == character {
                        break;
                    }
                }
                words.push(String::new());
            }
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                words.push(String::new());
            }
            _ if depth > 0 => {}
            _ if character.is_alphanumeric() || character == '_' => {
                if let Some(word) = words.last_mut() {
                    word.push(character.to_ascii_uppercase());
                }
            }
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
        .windows(2)
        .any(|pair| pair[0] == "ORDER" && pair[1] == "BY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_several_statements() {
        let text = "# theme\n\nstatement\nCREATE TABLE t (a int);\n\nbatch\nINSERT INTO t\nVALUES (1);\n# in between\nDELETE FROM t;\n\nquery error only=select differs=x\nSELECT 1;\n";
        let corpus = Corpus::parse("a.slt", text).unwrap();
        let seen: Vec<(u32, Kind, &str)> = corpus
            .records
            .iter()
            .map(|record| (record.line, record.kind, record.sql.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (4, Kind::Statement, "CREATE TABLE t (a int)"),
                (
                    7,
                    Kind::Change { ends_batch: false },
                    "INSERT INTO t\nVALUES (1)"
                ),
                (10, Kind::Change { ends_batch: true }, "DELETE FROM t"),
                (13, Kind::Query, "SELECT 1"),
            ]
        );
        let last = corpus.records.last().unwrap();
        assert!(last.is_error && last.is_select_only && !last.heals);
        assert_eq!(last.mark.as_ref().unwrap().name, "x");
    }

    #[test]
    fn slips_are_named_with_their_line() {
        for (text, message) in [
            ("query\nSELECT 1\n", "a.slt:2: no ; at the end of: SELECT 1"),
            ("quary\nSELECT 1;\n", "a.slt:1: bad header: quary"),
            (
                "query erorr\nSELECT 1;\n",
                "a.slt:1: bad header: query erorr",
            ),
        ] {
            assert_eq!(
                Corpus::parse("a.slt", text).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn only_the_outermost_order_counts() {
        for (sql, expected) in [
            ("SELECT a FROM t ORDER BY a", true),
            ("SELECT a FROM t order\n by a LIMIT 1", true),
            ("(SELECT 1) ORDER BY 1", true),
            ("SELECT * FROM (SELECT a FROM t ORDER BY a) x", false),
            ("SELECT array_agg(a ORDER BY a) FROM t", false),
            ("SELECT ' ORDER BY ', \" ORDER BY \" FROM t", false),
            ("SELECT border BY", false),
        ] {
            assert_eq!(is_ordered(sql), expected, "{sql}");
        }
    }
}

//! One corpus file from beginning to end.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::corpus::{Corpus, Kind, Record, is_ordered};
use super::endpoint::{Answer, Described, Endpoint};
use super::report::{Mismatch, Report};
use crate::sql::TextRow;

/// How many rows of a disagreement are shown.
const ROWS_SHOWN: usize = 6;

/// The server that is judged.
pub trait Subject {
    /// Where it is, as libpq says it.
    fn connection_string(&self) -> String;
    /// `CREATE MATERIALIZED VIEW`, or what stands for it.
    fn create_view(&self) -> &'static str;
    /// Called when a connection was lost: makes sure that one can connect again.
    fn recover(&mut self) -> Result<()>;
    /// Whether the marks of the corpus are about this subject: what they mark must differ then.
    fn is_on_trial(&self) -> bool;
}

/// How a query is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// As it stands, simple protocol, text.
    Text,
    /// As it stands, extended protocol: columns and binary rows.
    Binary,
    /// A view created before the first batch.
    Early,
    /// A view created after the last batch.
    Late,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "select, text",
            Self::Binary => "select, binary",
            Self::Early => "view from before the data",
            Self::Late => "view from after the data",
        }
    }
}

/// Judges a file. The error of this call is the judge's own trouble; the subject's is in the report.
pub fn judge(corpus: &Corpus, judge: &str, subject: &mut dyn Subject) -> Result<Report> {
    let mut trial = Trial {
        corpus,
        judge: Endpoint::connect(judge).context("the judge")?,
        accused: Endpoint::connect(&subject.connection_string()).context("the subject")?,
        subject,
        report: Report::default(),
        refused: Vec::new(),
        differing: BTreeSet::new(),
        batches: 0,
    };
    trial.run()?;
    Ok(trial.report)
}

/// A view that could not be created, with the error it was refused with.
struct Refused {
    line: u32,
    way: Way,
    answer: Answer,
}

struct Trial<'a> {
    corpus: &'a Corpus,
    judge: Endpoint,
    accused: Endpoint,
    subject: &'a mut dyn Subject,
    report: Report,
    refused: Vec<Refused>,
    /// Lines of the meant differences that were seen to differ.
    differing: BTreeSet<u32>,
    batches: usize,
}

impl Trial<'_> {
    fn run(&mut self) -> Result<()> {
        let corpus = self.corpus;
        let queries: Vec<&Record> = corpus
            .records
            .iter()
            .filter(|record| record.kind == Kind::Query)
            .collect();
        let first_change = corpus
            .records
            .iter()
            .position(|record| matches!(record.kind, Kind::Change { .. }));
        for (position, record) in corpus.records.iter().enumerate() {
            if Some(position) == first_change {
                self.create_views(&queries, Way::Early);
            }
            match record.kind {
                Kind::Query => {}
                Kind::Statement => self.statement(record),
                Kind::Change { ends_batch } => {
                    self.statement(record);
                    if ends_batch {
                        self.batches += 1;
                        self.judge_all(&queries, &[Way::Text, Way::Early], false);
                    }
                }
            }
        }
        self.create_views(&queries, Way::Late);
        let mut ways = vec![Way::Text, Way::Binary, Way::Late];
        if first_change.is_some() {
            ways.push(Way::Early);
        }
        self.judge_all(&queries, &ways, true);
        self.report.queries += queries.len();
        self.settle_differences();
        Ok(())
    }

    fn statement(&mut self, record: &Record) {
        self.report.statements += 1;
        let expected = self.judge.simple(&record.sql);
        let found = self.ask(&record.sql);
        if let Some(slip) = slip(record, &expected, true) {
            self.disagree(record, None, slip, String::new());
        }
        self.compare(record, None, &expected, &found, is_ordered(&record.sql));
    }

    /// Asks the subject; after a loss, it is brought back for the next question.
    fn ask(&mut self, sql: &str) -> Answer {
        self.bring_back();
        let answer = self.accused.simple(sql);
        self.bring_back();
        answer
    }

    fn bring_back(&mut self) {
        if self.judge.is_lost() {
            // If this fails, the answers say so.
            let _ = self.judge.reconnect();
        }
        if self.accused.is_lost() && self.subject.recover().is_ok() {
            let _ = self.accused.reconnect();
        }
    }

    fn create_views(&mut self, queries: &[&Record], way: Way) {
        for record in queries {
            if record.is_select_only {
                continue;
            }
            // Names that come twice are fine in a SELECT and not in a view: there the columns get names of ours.
            let columns = match self.judge.described(&record.sql) {
                Described::Rows { columns, .. } => columns_of_view(&columns),
                _ => String::new(),
            };
            let create = format!(
                "{} {}{columns} AS {}",
                self.subject.create_view(),
                view_name(way, record.line),
                record.sql
            );
            let answer = self.ask(&create);
            if !matches!(answer, Answer::Rows { .. }) {
                self.refused.push(Refused {
                    line: record.line,
                    way,
                    answer,
                });
            }
        }
    }

    fn judge_all(&mut self, queries: &[&Record], ways: &[Way], is_end: bool) {
        for record in queries {
            let expected = self.judge.simple(&record.sql);
            if let Some(slip) = slip(record, &expected, is_end) {
                self.disagree(record, None, slip, String::new());
                continue;
            }
            for way in ways {
                match way {
                    Way::Text => {
                        let found = self.ask(&record.sql);
                        let is_ordered = is_ordered(&record.sql);
                        self.compare(record, Some(Way::Text), &expected, &found, is_ordered);
                    }
                    Way::Binary => self.compare_described(record),
                    Way::Early | Way::Late if record.is_select_only => {}
                    Way::Early | Way::Late => {
                        let refused = self
                            .refused
                            .iter()
                            .find(|refused| refused.line == record.line && refused.way == *way)
                            .map(|refused| refused.answer.clone());
                        let found = match refused {
                            Some(answer) => answer,
                            None => {
                                self.ask(&format!("SELECT * FROM {}", view_name(*way, record.line)))
                            }
                        };
                        self.compare(record, Some(*way), &expected, &found, false);
                    }
                }
            }
        }
    }

    fn compare_described(&mut self, record: &Record) {
        let mut expected = self.judge.described(&record.sql);
        self.bring_back();
        let mut found = self.accused.described(&record.sql);
        self.bring_back();
        if !is_ordered(&record.sql) {
            for answer in [&mut expected, &mut found] {
                if let Described::Rows { rows, .. } = answer {
                    rows.sort();
                }
            }
        }
        let is_same = match (&expected, &found) {
            (Described::Error { code, .. }, Described::Error { code: other, .. }) => code == other,
            _ => expected == found,
        };
        if !is_same {
            let (expected, found) = show_described(&expected, &found);
            self.disagree(record, Some(Way::Binary), expected, found);
        }
    }

    fn compare(
        &mut self,
        record: &Record,
        way: Option<Way>,
        expected: &Answer,
        found: &Answer,
        is_ordered: bool,
    ) {
        let is_same = match (expected, found) {
            (
                Answer::Rows { rows, count },
                Answer::Rows {
                    rows: other_rows,
                    count: other_count,
                },
            ) => count == other_count && same_rows(rows, other_rows, is_ordered),
            (Answer::Error { code, .. }, Answer::Error { code: other, .. }) => code == other,
            _ => false,
        };
        if !is_same {
            let (expected, found) = show_both(expected, found, is_ordered);
            self.disagree(record, way, expected, found);
        }
    }

    fn disagree(&mut self, record: &Record, way: Option<Way>, expected: String, found: String) {
        if record.mark.is_some() {
            self.differing.insert(record.line);
            return;
        }
        // The first disagreement of a way says it all; later batches repeat it.
        let place = format!("{}:{}", self.corpus.name, record.line);
        let is_known = self
            .report
            .mismatches
            .iter()
            .any(|mismatch| mismatch.place == place && mismatch.way == way);
        if !is_known {
            self.report.mismatches.push(Mismatch {
                place,
                way,
                batches: self.batches,
                sql: record.sql.clone(),
                expected,
                found,
            });
        }
    }

    fn settle_differences(&mut self) {
        for record in &self.corpus.records {
            let Some(mark) = &record.mark else { continue };
            if mark.is_meant {
                self.report.differences += 1;
            } else {
                self.report.later += 1;
            }
            if !self.differing.contains(&record.line) && self.subject.is_on_trial() {
                self.report.mismatches.push(Mismatch {
                    place: format!("{}:{}", self.corpus.name, record.line),
                    way: None,
                    batches: self.batches,
                    sql: record.sql.clone(),
                    expected: format!("a difference: {}", mark.name),
                    found: "none: take the mark away".to_owned(),
                });
            }
        }
    }
}

/// What is wrong with the record itself, when Postgres does not do what its marks say.
fn slip(record: &Record, answer: &Answer, is_end: bool) -> Option<String> {
    match answer {
        Answer::Lost(reason) => Some(format!("the judge: {reason}")),
        Answer::Error { .. } if record.is_error || (record.heals && !is_end) => None,
        Answer::Error { code, message } => Some(format!(
            "not marked as an error, but Postgres says {code}: {message}"
        )),
        Answer::Rows { .. } if record.is_error && is_end => {
            Some("marked as an error, but Postgres answers".to_owned())
        }
        Answer::Rows { .. } => None,
    }
}

fn view_name(way: Way, line: u32) -> String {
    let prefix = if way == Way::Early { "early" } else { "late" };
    format!("{prefix}_{line}")
}

/// A list of names when some come twice, else nothing.
fn columns_of_view(columns: &[(String, u32)]) -> String {
    let names: BTreeSet<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() == columns.len() {
        return String::new();
    }
    let names: Vec<String> = (1..=columns.len())
        .map(|number| format!("c{number}"))
        .collect();
    format!(" ({})", names.join(", "))
}

fn same_rows<T: Ord + Clone>(left: &[T], right: &[T], is_ordered: bool) -> bool {
    if is_ordered {
        return left == right;
    }
    let (mut left, mut right) = (left.to_vec(), right.to_vec());
    left.sort();
    right.sort();
    left == right
}

/// The rows of each side which the other has not; all of them when only their order differs.
fn only_here<'a, T: Ord>(here: &'a [T], there: &[T]) -> Vec<&'a T> {
    let mut others: Vec<&T> = there.iter().collect();
    others.sort();
    let mut taken = vec![false; others.len()];
    here.iter()
        .filter(|row| {
            let start = others.partition_point(|other| other < row);
            for position in start..others.len() {
                if others[position] != *row {
                    break;
                }
                if !taken[position] {
                    taken[position] = true;
                    return false;
                }
            }
            true
        })
        .collect()
}

fn show_both(expected: &Answer, found: &Answer, is_ordered: bool) -> (String, String) {
    match (expected, found) {
        (
            Answer::Rows { rows, count },
            Answer::Rows {
                rows: other_rows,
                count: other_count,
            },
        ) => {
            let show = |here: &[TextRow], there: &[TextRow], count: u64| {
                let mut rows = only_here(here, there);
                let mut text = format!("{count} rows");
                if rows.is_empty() && is_ordered && here.len() == there.len() {
                    text.push_str(", in another order");
                    rows = here.iter().collect();
                }
                show_rows(&mut text, &rows);
                text
            };
            (
                show(rows, other_rows, *count),
                show(other_rows, rows, *other_count),
            )
        }
        _ => (show_answer(expected), show_answer(found)),
    }
}

fn show_answer(answer: &Answer) -> String {
    match answer {
        Answer::Rows { rows, count } => {
            let mut text = format!("{count} rows");
            show_rows(&mut text, &rows.iter().collect::<Vec<_>>());
            text
        }
        Answer::Error { code, message } => format!("{code}: {message}"),
        Answer::Lost(reason) => reason.clone(),
    }
}

fn show_rows(text: &mut String, rows: &[&TextRow]) {
    for row in rows.iter().take(ROWS_SHOWN) {
        let values: Vec<String> = row
            .iter()
            .map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned()))
            .collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}", values.join(" | "));
    }
    if rows.len() > ROWS_SHOWN {
        let _ = write!(text, "\n... and {} more", rows.len() - ROWS_SHOWN);
    }
}

fn show_described(expected: &Described, found: &Described) -> (String, String) {
    if let (
        Described::Rows { columns, rows },
        Described::Rows {
            columns: other_columns,
            rows: other_rows,
        },
    ) = (expected, found)
    {
        if columns != other_columns {
            return (format!("{columns:?}"), format!("{other_columns:?}"));
        }
        let show = |here: &[Vec<Option<Vec<u8>>>], there: &[Vec<Option<Vec<u8>>>]| {
            let mut text = format!("{} rows in binary", here.len());
            for row in only_here(here, there).iter().take(ROWS_SHOWN) {
                let values: Vec<String> = row
                    .iter()
                    .map(|value| {
                        value.as_ref().map_or_else(
                            || "NULL".to_owned(),
                            |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
                        )
                    })
                    .collect();
                let _ = write!(text, "\n{}", values.join(" | "));
            }
            text
        };
        return (show(rows, other_rows), show(other_rows, rows));
    }
    let show = |described: &Described| match described {
        Described::Rows { rows, columns } => format!("{} rows of {columns:?}", rows.len()),
        Described::Error { code, message } => format!("{code}: {message}"),
        Described::Lost(reason) => reason.clone(),
    };
    (show(expected), show(found))
}

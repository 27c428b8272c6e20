//! SQL means what Postgres says it means: the corpus of `tests/slt/` asked of Postgres and of Tidemark, side by side.
//!
//! `TIDEMARK_SLT=joins` judges only the files whose name contains `joins`.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use tests::judge::{Corpus, Kind, Report, Subject, corpus, judge};
use tests::{Database, Postgres, Tidemark, TidemarkOptions};

/// Corpus files judged at once.
const THREADS: usize = 2;

/// Threads that maintain views: 1, 2, 3, 1, ...
const WORKERS_MAX: usize = 3;

/// The corpus is worth its name only while it is this broad.
const QUERIES_MIN: usize = 1200;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("slt")
}

fn chosen_files() -> Result<Vec<PathBuf>> {
    let pattern = env::var("TIDEMARK_SLT").unwrap_or_default();
    let files = corpus::files(&folder(), &pattern)?;
    if files.is_empty() {
        bail!("no corpus file's name contains {pattern:?}");
    }
    Ok(files)
}

/// Judges all chosen files, each with a subject of its own, and fails with every disagreement there is.
fn judge_files<S: Subject>(new_subject: impl Fn() -> Result<S> + Sync) -> Result<()> {
    let files = chosen_files()?;
    let next = AtomicUsize::new(0);
    let outcome: Mutex<Result<Report>> = Mutex::new(Ok(Report::default()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = judge_file(file, &new_subject)
                        .with_context(|| format!("could not judge {}", file.display()));
                    let mut outcome = outcome.lock().unwrap();
                    match (&mut *outcome, report) {
                        (Ok(all), Ok(report)) => {
                            let lines: Vec<String> =
                                report.mismatches.iter().map(ToString::to_string).collect();
                            println!("{}\n{}: {report}", lines.join("\n\n"), file.display());
                            all.add(report);
                        }
                        (Ok(_), Err(error)) => *outcome = Err(error),
                        (Err(_), _) => {}
                    }
                }
            });
        }
    });
    let report = outcome.into_inner().unwrap()?;
    println!("{report}");
    // The list itself is above, file by file: a long run can be watched.
    assert!(report.mismatches.is_empty(), "{report}");
    Ok(())
}

fn judge_file<S: Subject>(file: &Path, new_subject: impl Fn() -> Result<S>) -> Result<Report> {
    let corpus = Corpus::read(file)?;
    let database = Postgres::shared()?.create_database()?;
    let mut subject = new_subject()?;
    judge(&corpus, &database.connection_string(), &mut subject)
}

struct JudgedTidemark(Tidemark);

impl Subject for JudgedTidemark {
    fn connection_string(&self) -> String {
        self.0.connection_string()
    }

    fn create_view(&self) -> &'static str {
        "CREATE MATERIALIZED VIEW"
    }

    fn recover(&mut self) -> Result<()> {
        if self.0.component_mut().is_running()? {
            return Ok(());
        }
        self.0.start_again()
    }

    fn is_on_trial(&self) -> bool {
        true
    }
}

/// Postgres beside itself, with plain views in the place of maintained ones: they are always fresh too.
struct JudgedPostgres(Database);

impl Subject for JudgedPostgres {
    fn connection_string(&self) -> String {
        self.0.connection_string()
    }

    fn create_view(&self) -> &'static str {
        "CREATE VIEW"
    }

    fn recover(&mut self) -> Result<()> {
        Ok(())
    }

    fn is_on_trial(&self) -> bool {
        false
    }
}

#[test]
fn postgres_is_the_judge() -> Result<()> {
    // Answers must not depend on how many threads maintain the views: file by file the number changes.
    let servers = AtomicUsize::new(0);
    judge_files(|| {
        let workers = 1 + servers.fetch_add(1, Ordering::Relaxed) % WORKERS_MAX;
        let flags = vec!["--workers".to_owned(), workers.to_string()];
        Ok(JudgedTidemark(Tidemark::start(TidemarkOptions { flags, ..TidemarkOptions::default() })?))
    })
}

/// The corpus itself: every record does in Postgres what its marks say, and asked twice answers the same.
#[test]
fn postgres_agrees_with_itself() -> Result<()> {
    judge_files(|| {
        let database = Postgres::shared()?.create_database()?;
        Ok(JudgedPostgres(database))
    })
}

/// Breadth, and that every meant difference is explained.
#[test]
fn the_corpus_is_broad_and_its_differences_are_explained() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
    let explained = std::fs::read_to_string(&path)
        .with_context(|| format!("could not read {}", path.display()))?;
    let mut queries = 0;
    for file in corpus::files(&folder(), "")? {
        for record in Corpus::read(&file)?.records {
            queries += usize::from(record.kind == Kind::Query);
            if let Some(mark) = record.mark {
                assert!(
                    explained.contains(&format!("| `{}` |", mark.name)),
                    "{}:{}: docs/differences.md does not explain `{}`",
                    file.display(),
                    record.line,
                    mark.name
                );
            }
        }
    }
    assert!(queries >= QUERIES_MIN, "only {queries} queries");
    Ok(())
}

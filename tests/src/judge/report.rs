//! What was judged, and where the subject disagreed.

use std::fmt::{self, Display};

use super::run::Way;

/// One disagreement.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// `file.slt:line`.
    pub place: String,
    /// `None` for a statement.
    pub way: Option<Way>,
    /// After how many batches.
    pub batches: usize,
    pub sql: String,
    /// What Postgres said, or what the corpus promises of it.
    pub expected: String,
    pub found: String,
}

impl Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = self.way.map_or("statement", Way::name);
        writeln!(
            formatter,
            "{} ({way}, after {} batches)",
            self.place, self.batches
        )?;
        writeln!(formatter, "    {}", self.sql.replace('\n', "\n    "))?;
        writeln!(
            formatter,
            "  postgres: {}",
            self.expected.replace('\n', "\n            ")
        )?;
        write!(
            formatter,
            "  tidemark: {}",
            self.found.replace('\n', "\n            ")
        )
    }
}

/// The outcome of one corpus file, or of several.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub queries: usize,
    pub statements: usize,
    /// Records which differ and are meant to.
    pub differences: usize,
    /// Records which differ because something is not there yet.
    pub later: usize,
    pub mismatches: Vec<Mismatch>,
}

impl Report {
    /// Takes another file's outcome in.
    pub fn add(&mut self, other: Self) {
        self.queries += other.queries;
        self.statements += other.statements;
        self.differences += other.differences;
        self.later += other.later;
        self.mismatches.extend(other.mismatches);
    }

    /// How many records disagree in at least one way.
    pub fn places(&self) -> usize {
        let mut places: Vec<&str> = self
            .mismatches
            .iter()
            .map(|mismatch| mismatch.place.as_str())
            .collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} queries, {} statements judged, {} meant differences, {} not there yet, {} records disagree",
            self.queries,
            self.statements,
            self.differences,
            self.later,
            self.places()
        )
    }
}

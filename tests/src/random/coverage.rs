//! What the generated queries had in them, so that a run says what it has shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::node::{Node, Sort};

/// Counts of parts, and pairs of relational parts one of which stood directly within the other.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    parts: BTreeMap<&'static str, usize>,
    pairs: BTreeSet<(&'static str, &'static str)>,
    types: BTreeSet<&'static str>,
}

impl Coverage {
    /// Counts a query.
    pub fn add(&mut self, query: &Node) {
        self.descend(query, None);
    }

    fn descend(&mut self, node: &Node, relation: Option<&'static str>) {
        *self.parts.entry(node.name).or_default() += 1;
        let mut relation = relation;
        match &node.sort {
            Sort::Expression(ty) => {
                self.types.insert(ty.sql());
            }
            Sort::Query(_) | Sort::From | Sort::Clause => {
                if let Some(outer) = relation {
                    self.pairs.insert((outer, node.name));
                }
                relation = Some(node.name);
            }
        }
        for child in node.children() {
            self.descend(child, relation);
        }
    }

    /// How many different parts there were.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// How many different pairs of relational parts.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), **name));
        let parts: Vec<String> = parts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(formatter, "{} operators and functions: {}", self.parts.len(), parts.join(", "))?;
        writeln!(formatter, "{} pairs of relational operators; types: {}", self.pairs.len(), self.types.iter().copied().collect::<Vec<_>>().join(", "))
    }
}

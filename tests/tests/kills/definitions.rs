//! A client that defines and drops, and knows which of its objects must be there.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

use crate::{is_gone, rows};

const OBJECTS_MAX: usize = 4;

/// What an object is, and so how it is dropped and looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    View,
    Table,
    Index,
}

pub struct Definitions {
    random: ChaCha8Rng,
    next: u64,
    acknowledged: BTreeMap<String, Kind>,
    in_flight: Option<BTreeMap<String, Kind>>,
}

impl Definitions {
    pub fn new(seed: u64) -> Definitions {
        Definitions { random: ChaCha8Rng::seed_from_u64(!seed), next: 1, acknowledged: BTreeMap::new(), in_flight: None }
    }

    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Defines and drops until the server is gone. Returns how many definitions were acknowledged.
    pub fn run(&mut self, mut client: Client) -> Result<usize> {
        let mut acknowledged = 0;
        loop {
            let (sql, after) = self.next_step();
            self.in_flight = Some(after);
            match client.batch_execute(&sql).with_context(|| sql.clone()) {
                Ok(()) => {
                    self.acknowledged = self.in_flight.take().unwrap_or_default();
                    acknowledged += 1;
                }
                Err(error) if is_gone(&error) => return Ok(acknowledged),
                Err(error) => return Err(error),
            }
        }
    }

    fn next_step(&mut self) -> (String, BTreeMap<String, Kind>) {
        let mut after = self.acknowledged.clone();
        if after.len() >= OBJECTS_MAX
            && let Some((name, kind)) = after.clone().into_iter().nth(self.random.random_range(0..after.len()))
        {
            after.remove(&name);
            let word = match kind {
                Kind::View => "MATERIALIZED VIEW",
                Kind::Table => "TABLE",
                Kind::Index => "INDEX",
            };
            return (format!("DROP {word} {name}"), after);
        }
        let (kind, name) = ([Kind::View, Kind::Table, Kind::Index][self.random.random_range(0..3)], format!("extra_{}", self.next));
        self.next += 1;
        let sql = match kind {
            Kind::View => format!("CREATE MATERIALIZED VIEW {name} AS SELECT writer, count(*) AS n FROM items GROUP BY writer"),
            Kind::Table => format!("CREATE TABLE {name} (a int, b text DEFAULT 'here')"),
            Kind::Index => format!("CREATE INDEX {name} ON totals (items)"),
        };
        after.insert(name, kind);
        (sql, after)
    }

    /// Compares which objects are there with which must be, uses them, and goes on from there.
    pub fn settle(&mut self, client: &mut Client) -> Result<()> {
        let mut names = Vec::new();
        for row in rows(client, "SELECT name FROM tm_catalog.tm_objects WHERE name LIKE 'extra%' ORDER BY name")? {
            names.push(row.into_iter().next().flatten().context("a name")?);
        }
        let is_found = |objects: &BTreeMap<String, Kind>| objects.keys().eq(names.iter());
        let in_flight = self.in_flight.take();
        if !is_found(&self.acknowledged) {
            let in_flight = in_flight.filter(is_found);
            ensure!(in_flight.is_some(), "objects {names:?} are there, acknowledged were {:?}", self.acknowledged);
            self.acknowledged = in_flight.unwrap_or_default();
        }
        for (name, kind) in &self.acknowledged {
            match kind {
                Kind::View => {
                    let different = rows(client, &format!("(SELECT * FROM {name} EXCEPT ALL SELECT writer, items FROM totals) UNION ALL (SELECT writer, items FROM totals EXCEPT ALL SELECT * FROM {name})"))?;
                    ensure!(different.is_empty(), "{name} differs in {different:?}");
                }
                Kind::Table => client.batch_execute(&format!("INSERT INTO {name} (a) VALUES (1); DELETE FROM {name} WHERE b = 'here'"))?,
                Kind::Index => {}
            }
        }
        Ok(())
    }
}

//! A client that writes, and knows exactly what must be there: each of its rows as of its last acknowledged statement, or as of the one in flight.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io::Write as _;
use tests::sql::TextRow;

use crate::{is_gone, rows};

/// Refusals that may happen to anybody who writes beside others: nothing was changed.
const REFUSALS: [&str; 2] = ["40001", "40P01"];

/// The contents of its table, and its part of the table that all share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    items: BTreeMap<i64, i64>,
    journal: BTreeMap<i64, i64>,
}

pub struct Writer {
    number: usize,
    random: ChaCha8Rng,
    next_key: i64,
    /// Values are never used twice.
    next_value: i64,
    acknowledged: State,
    in_flight: Option<State>,
}

enum Step {
    Sql(Vec<String>),
    Copy(String),
}

impl Writer {
    pub fn new(number: usize, seed: u64) -> Writer {
        let random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(1 + number as u64));
        Writer { number, random, next_key: 1, next_value: 1, acknowledged: State::default(), in_flight: None }
    }

    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Writes until the server is gone. Returns how many statements and transactions were acknowledged.
    pub fn run(&mut self, mut client: Client) -> Result<usize> {
        let mut acknowledged = 0;
        loop {
            let (step, after) = self.next_step();
            self.in_flight = Some(after);
            match perform(&mut client, self.number, &step) {
                Ok(()) => {
                    self.acknowledged = self.in_flight.take().unwrap_or_default();
                    acknowledged += 1;
                }
                Err(error) if is_gone(&error) => return Ok(acknowledged),
                Err(error) if is_refused(&error) => {
                    self.in_flight = None;
                    client.batch_execute("ROLLBACK")?;
                }
                Err(error) => return Err(error.context(format!("writer {}", self.number))),
            }
        }
    }

    fn next_step(&mut self) -> (Step, State) {
        let number = self.number;
        let mut after = self.acknowledged.clone();
        let step = match self.random.random_range(0..8) {
            0 | 1 => {
                let count = self.random.random_range(1..=5);
                Step::Sql(vec![self.insert(&mut after, count)])
            }
            2 => {
                let mut lines = String::new();
                for _ in 0..self.random.random_range(10..=40) {
                    let (key, value) = self.row(&mut after);
                    lines.push_str(&format!("{key}\t{value}\tcopied\n"));
                }
                Step::Copy(lines)
            }
            3 => Step::Sql(vec![self.update(&mut after)]),
            4 => {
                let rest = self.random.random_range(0..3);
                after.items.retain(|key, _| key % 3 != rest);
                Step::Sql(vec![format!("DELETE FROM items_{number} WHERE key % 3 = {rest}")])
            }
            5 => {
                let inserted = self.insert(&mut after, 2);
                let noted = self.note(&mut after);
                let updated = self.update(&mut after);
                Step::Sql(vec!["BEGIN".to_owned(), inserted, noted, updated, "COMMIT".to_owned()])
            }
            6 => {
                // Whatever is done before it, a rollback changes nothing.
                let mut dropped = after.clone();
                let statements = vec!["BEGIN".to_owned(), self.insert(&mut dropped, 3), self.note(&mut dropped), self.update(&mut dropped), "ROLLBACK".to_owned()];
                Step::Sql(statements)
            }
            _ => {
                // From one table to the other, which is the only place it is in at any moment.
                let Some((key, value)) = after.items.pop_first() else { return (Step::Sql(vec![self.insert(&mut after, 1)]), after) };
                after.journal.insert(key, value);
                let insert = format!("INSERT INTO journal SELECT {number}, key, value FROM items_{number} WHERE key = {key}");
                let mut statements = vec!["BEGIN".to_owned(), insert, format!("DELETE FROM items_{number} WHERE key = {key}")];
                if after.journal.len() > 50 {
                    let until = key - 25;
                    after.journal.retain(|key, _| *key > until);
                    statements.push(format!("DELETE FROM journal WHERE writer = {number} AND key <= {until}"));
                }
                statements.push("COMMIT".to_owned());
                Step::Sql(statements)
            }
        };
        (step, after)
    }

    fn row(&mut self, after: &mut State) -> (i64, i64) {
        let row = (self.next_key, self.next_value);
        self.next_key += 1;
        self.next_value += 1;
        after.items.insert(row.0, row.1);
        row
    }

    fn insert(&mut self, after: &mut State, count: usize) -> String {
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let (key, value) = self.row(after);
                format!("({key}, {value}, 'a note which does not fit into a short row')")
            })
            .collect();
        format!("INSERT INTO items_{} VALUES {}", self.number, rows.join(", "))
    }

    fn note(&mut self, after: &mut State) -> String {
        let (key, value) = (self.next_key, self.next_value);
        self.next_key += 1;
        self.next_value += 1;
        after.journal.insert(key, value);
        format!("INSERT INTO journal VALUES ({}, {key}, {value})", self.number)
    }

    fn update(&mut self, after: &mut State) -> String {
        let (rest, more) = (self.random.random_range(0..4), self.next_value);
        self.next_value += 1;
        after.items.iter_mut().filter(|(key, _)| **key % 4 == rest).for_each(|(_, value)| *value += more);
        format!("UPDATE items_{} SET value = value + {more} WHERE key % 4 = {rest}", self.number)
    }

    /// Compares what is there with what must be there, and goes on from it. Whether the statement in flight was made, if there was one.
    pub fn settle(&mut self, client: &mut Client) -> Result<Option<bool>> {
        let number = self.number;
        client.batch_execute("BEGIN")?;
        let found = State {
            items: self.read(client, &format!("SELECT key, value FROM items_{number}"))?,
            journal: self.read(client, &format!("SELECT key, value FROM journal WHERE writer = {number}"))?,
        };
        client.batch_execute("COMMIT")?;
        let in_flight = self.in_flight.take();
        if found == self.acknowledged {
            return Ok(in_flight.map(|in_flight| in_flight == found));
        }
        ensure!(in_flight.as_ref() == Some(&found), "writer {number} finds {found:?}\nacknowledged was {:?}\nin flight was {in_flight:?}", self.acknowledged);
        self.acknowledged = found;
        Ok(Some(true))
    }

    fn read(&self, client: &mut Client, sql: &str) -> Result<BTreeMap<i64, i64>> {
        let mut found = BTreeMap::new();
        for row in rows(client, sql)? {
            let number = |column: usize| -> Result<i64> { Ok(row.get(column).cloned().flatten().context("no NULL")?.parse()?) };
            ensure!(found.insert(number(0)?, number(1)?).is_none(), "{sql}: {row:?} twice");
        }
        Ok(found)
    }

    /// Its row of the view of totals.
    pub fn total(&self) -> Option<TextRow> {
        let items = &self.acknowledged.items;
        let text = |number: i64| Some(number.to_string());
        (!items.is_empty()).then(|| vec![text(self.number as i64), text(items.len() as i64), text(items.values().sum())])
    }
}

fn perform(client: &mut Client, number: usize, step: &Step) -> Result<()> {
    match step {
        Step::Sql(statements) => {
            for statement in statements {
                client.batch_execute(statement).with_context(|| statement.clone())?;
            }
        }
        Step::Copy(lines) => {
            let mut copy = client.copy_in(&format!("COPY items_{number} FROM STDIN"))?;
            copy.write_all(lines.as_bytes())?;
            copy.finish()?;
        }
    }
    Ok(())
}

fn is_refused(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<postgres::Error>().and_then(postgres::Error::code);
    code.is_some_and(|code| REFUSALS.contains(&code.code()))
}

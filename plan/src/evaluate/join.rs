//! Hash joins of any number of inputs.
//!
//! All inputs but one are built into tables keyed by what they share with the inputs before them; the rows of the one stream through the tables, one
//! after the other, without an intermediate result.

use super::guard::Charge;
use super::hash::KeyTable;
use super::node::{Env, Sink, Source, multiply, prefix_length};
use repr::{Diff, EvalError, Row, skip_datum};

pub struct Join {
    /// In the order in which they are joined; the first one streams.
    pub inputs: Vec<JoinInput>,
    pub classes: usize,
}

pub struct JoinInput {
    /// Its place in the plan, which is the place of its columns in the result.
    pub position: usize,
    /// Gives the members of the equivalence classes followed by the row.
    pub source: Source,
    /// The classes with members over this input, and how many; in the order in which the source gives them.
    pub classes: Vec<JoinClass>,
}

pub struct JoinClass {
    pub class: usize,
    pub members: usize,
    /// An input joined earlier has members too: the class is part of the key.
    pub shared: bool,
}

/// A piece of a row: level 0 is the streamed row, level n the n-th table.
#[derive(Clone, Copy, Default)]
struct Piece {
    level: usize,
    start: usize,
    end: usize,
}

struct Table<'a> {
    keys: KeyTable,
    /// The newest entry of each key.
    heads: Vec<u32>,
    entries: Vec<Entry>,
    /// Per entry the values of the classes that are not shared, then the row.
    bytes: Vec<u8>,
    charge: Charge<'a>,
}

struct Entry {
    start: usize,
    end: usize,
    diff: Diff,
    /// The entry of the same key added before, plus one.
    next: u32,
}

impl Join {
    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        self.inputs.iter_mut().try_for_each(|input| input.source.bind(values))
    }

    pub fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let Some((streamed, built)) = self.inputs.split_first_mut() else {
            return sink(&[], 1);
        };
        let mut tables = Vec::with_capacity(built.len());
        for input in built.iter_mut() {
            tables.push(input.build(env)?);
        }
        let JoinInput { position, source, classes } = streamed;
        let mut prober = Prober {
            inputs: built,
            tables: &tables,
            classes: vec![Piece::default(); self.classes],
            parts: vec![Piece::default(); tables.len() + 1],
            key: Vec::new(),
            out: Vec::new(),
        };
        source.run(env, &mut |row, diff| {
            let mut start = 0;
            for class in classes.iter() {
                let Some(end) = first_member(row, start, class.members) else {
                    return Ok(true);
                };
                prober.classes[class.class] = Piece { level: 0, start, end };
                start += prefix_length(&row[start..], class.members);
            }
            prober.parts[*position] = Piece { level: 0, start, end: row.len() };
            prober.probe(1, row, diff, env, sink)
        })
    }
}

/// The end of the first of several members if all are identical.
#[inline]
fn first_member(row: &[u8], start: usize, members: usize) -> Option<usize> {
    let first = start + skip_datum(&row[start..]);
    let mut next = first;
    for _ in 1..members {
        let end = next + skip_datum(&row[next..]);
        if row[next..end] != row[start..first] {
            return None;
        }
        next = end;
    }
    Some(first)
}

impl JoinInput {
    fn build<'a>(&mut self, env: &Env<'a>) -> Result<Table<'a>, EvalError> {
        let mut table = Table { keys: KeyTable::new(), heads: Vec::new(), entries: Vec::new(), bytes: Vec::new(), charge: Charge::new(env.guard) };
        let mut key = Vec::new();
        let classes = &self.classes;
        self.source.run(env, &mut |row, diff| {
            key.clear();
            let rollback = table.bytes.len();
            let mut start = 0;
            for class in classes {
                let Some(end) = first_member(row, start, class.members) else {
                    table.bytes.truncate(rollback);
                    return Ok(true);
                };
                if class.shared { &mut key } else { &mut table.bytes }.extend_from_slice(&row[start..end]);
                start += prefix_length(&row[start..], class.members);
            }
            table.bytes.extend_from_slice(&row[start..]);
            let (position, is_new) = table.keys.insert(&key);
            let entry = table.entries.len() as u32 + 1;
            let next = if is_new {
                table.heads.push(entry);
                table.charge.add(KeyTable::bytes_per_key(&key))?;
                0
            } else {
                std::mem::replace(&mut table.heads[position], entry)
            };
            table.charge.add(size_of::<Entry>() + table.bytes.len() - rollback)?;
            table.entries.push(Entry { start: rollback, end: table.bytes.len(), diff, next });
            Ok(true)
        })?;
        Ok(table)
    }
}

struct Prober<'t, 'a> {
    inputs: &'t [JoinInput],
    tables: &'t [Table<'a>],
    /// The value of each class met so far.
    classes: Vec<Piece>,
    /// The row of each input, by its place in the plan.
    parts: Vec<Piece>,
    key: Vec<u8>,
    out: Vec<u8>,
}

impl Prober<'_, '_> {
    fn probe(&mut self, level: usize, streamed: &[u8], diff: Diff, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let tables = self.tables;
        let bytes = |piece: Piece| {
            if piece.level == 0 { &streamed[piece.start..piece.end] } else { &tables[piece.level - 1].bytes[piece.start..piece.end] }
        };
        let Some(table) = tables.get(level - 1) else {
            self.out.clear();
            for part in &self.parts {
                self.out.extend_from_slice(bytes(*part));
            }
            env.guard.row()?;
            return sink(&self.out, diff);
        };
        let inputs = self.inputs;
        let input = &inputs[level - 1];
        self.key.clear();
        for class in input.classes.iter().filter(|class| class.shared) {
            self.key.extend_from_slice(bytes(self.classes[class.class]));
        }
        let mut next = table.keys.get(&self.key).map_or(0, |position| table.heads[position]);
        while let Some(entry) = (next as usize).checked_sub(1).map(|entry| &table.entries[entry]) {
            let mut start = entry.start;
            for class in input.classes.iter().filter(|class| !class.shared) {
                let end = start + skip_datum(&table.bytes[start..]);
                self.classes[class.class] = Piece { level, start, end };
                start = end;
            }
            self.parts[input.position] = Piece { level, start, end: entry.end };
            if !self.probe(level + 1, streamed, multiply(diff, entry.diff)?, env, sink)? {
                return Ok(false);
            }
            next = entry.next;
        }
        Ok(true)
    }
}

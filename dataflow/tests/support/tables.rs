//! Base tables of small domains, and their histories.

use super::{Random, once_in, pick};
use dataflow::InputBatch;
use plan::Inputs;
use rand::Rng;
use repr::{CollectionId, ColumnType, Datum, Diff, EvalError, Row, RowBuilder, SqlState, Timestamp, Type};
use std::collections::BTreeMap;

pub fn table_id(number: usize) -> CollectionId {
    CollectionId(CollectionId::FIRST_USER.0 + number as u64)
}

/// The columns of the base tables.
pub fn table_types() -> Vec<Vec<ColumnType>> {
    let column = ColumnType::new;
    vec![
        vec![column(Type::Int4), column(Type::Int4), column(Type::Text)],
        vec![column(Type::Int4).not_null(), column(Type::Numeric)],
        vec![column(Type::Int4), column(Type::Float8), column(Type::Bool)],
    ]
}

pub fn push_datum(random: &mut Random, column_type: &ColumnType, out: &mut RowBuilder) {
    if column_type.nullable && once_in(random, 6) {
        return out.push(Datum::Null);
    }
    match column_type.scalar {
        Type::Int4 => out.push(Datum::Int4(if once_in(random, 40) { i32::MAX } else { random.random_range(0..5) })),
        Type::Int8 => out.push(Datum::Int8(random.random_range(0..5))),
        Type::Bool => out.push(Datum::Bool(random.random())),
        Type::Text => out.push(Datum::Text(pick::<&str>(random, &["", "a", "b", "a text too long to be kept inside of a row"]))),
        Type::Float8 => out.push(Datum::Float8(*pick(random, &[0.0, -0.0, 0.1, 0.2, 1e300, f64::NAN, f64::INFINITY]))),
        // 1 and 1.0 are equal and look different.
        Type::Numeric => {
            let text = *pick(random, &["0", "1", "1.0", "-2.50", "NaN", "123456789012345678901234567890123456789012.5"]);
            repr::text::read(text, &Type::Numeric, &Default::default(), out).unwrap()
        }
        _ => out.push(Datum::Null),
    }
}

pub fn row(random: &mut Random, types: &[ColumnType]) -> Row {
    let mut out = RowBuilder::new();
    types.iter().for_each(|column_type| push_datum(random, column_type, &mut out));
    out.finish()
}

/// What the collections hold at one time.
#[derive(Clone, Default)]
pub struct Contents {
    pub rows: BTreeMap<CollectionId, BTreeMap<Row, Diff>>,
    pub errors: BTreeMap<CollectionId, BTreeMap<EvalError, Diff>>,
}

impl Contents {
    pub fn set(&mut self, id: CollectionId, result: &Result<Vec<(Row, Diff)>, EvalError>) {
        let (rows, errors) = match result {
            Ok(rows) => (rows.iter().cloned().collect(), BTreeMap::new()),
            Err(error) => (BTreeMap::new(), BTreeMap::from([(error.clone(), 1)])),
        };
        self.rows.insert(id, rows);
        self.errors.insert(id, errors);
    }
    pub fn add_row(&mut self, id: CollectionId, row: Row, diff: Diff) {
        let rows = self.rows.entry(id).or_default();
        let count = rows.entry(row.clone()).or_default();
        *count += diff;
        if *count == 0 {
            rows.remove(&row);
        }
    }
    pub fn add_error(&mut self, id: CollectionId, error: EvalError, diff: Diff) {
        let errors = self.errors.entry(id).or_default();
        let count = errors.entry(error.clone()).or_default();
        *count += diff;
        if *count == 0 {
            errors.remove(&error);
        }
    }
}

impl Inputs for Contents {
    fn scan(&self, id: CollectionId, visit: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        if let Some((error, _)) = self.errors.get(&id).and_then(|errors| errors.iter().next()) {
            return Err(error.clone());
        }
        for (row, diff) in self.rows.get(&id).into_iter().flatten() {
            if !visit(row.as_bytes(), *diff) {
                break;
            }
        }
        Ok(())
    }
    fn lookup(&self, _: CollectionId, _: CollectionId, _: &Row, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        unreachable!("maintained plans scan")
    }
    fn range(&self, _: CollectionId, _: CollectionId, _: Option<&[u8]>, _: Option<&[u8]>, _: bool, _: &mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError> {
        unreachable!("maintained plans scan")
    }
}

/// How much a history has of what must not be missing from it.
#[derive(Default, Debug)]
pub struct Counters {
    pub insertions: usize,
    pub retractions: usize,
    pub errors: usize,
    pub healed: usize,
}

/// Random changes of one table at one time; rows and errors stay at or above zero.
pub fn change(random: &mut Random, id: CollectionId, types: &[ColumnType], time: Timestamp, contents: &mut Contents, counters: &mut Counters) -> InputBatch {
    let mut batch = InputBatch { id, rows: Vec::new(), errors: Vec::new() };
    for _ in 0..random.random_range(0..4) {
        let present: Vec<Row> = contents.rows.get(&id).into_iter().flatten().map(|(row, _)| row.clone()).collect();
        if !present.is_empty() && random.random_range(0..10) < 2 + present.len() {
            let row = pick(random, &present).clone();
            contents.add_row(id, row.clone(), -1);
            batch.rows.push((row, time, -1));
            counters.retractions += 1;
        } else {
            let row = row(random, types);
            let diff = if once_in(random, 5) { 2 } else { 1 };
            contents.add_row(id, row.clone(), diff);
            batch.rows.push((row, time, diff));
            counters.insertions += 1;
        }
    }
    let present: Vec<EvalError> = contents.errors.get(&id).into_iter().flatten().map(|(error, _)| error.clone()).collect();
    if !present.is_empty() && once_in(random, 2) {
        let error = pick(random, &present).clone();
        contents.add_error(id, error.clone(), -1);
        batch.errors.push((error, time, -1));
        counters.healed += 1;
    } else if once_in(random, 40) {
        let error = EvalError::new(SqlState::DATA_EXCEPTION, "a message cannot be decoded");
        contents.add_error(id, error.clone(), 1);
        batch.errors.push((error, time, 1));
        counters.errors += 1;
    }
    batch
}


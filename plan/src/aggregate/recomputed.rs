//! Aggregates computed from all rows of a group: what DISTINCT, ORDER BY and the aggregates without a sum need.

use super::folds::Built;
use super::{Accumulator, Aggregate, AggregateEntry, AggregateKind, Strategy};
use crate::Scalar;
use repr::{ArrayBuilder, Datum, Diff, EvalError, RowBuilder, RowRef, SqlState};
use std::collections::HashSet;

/// The longest string and the greatest array an aggregate may build, as encoded bytes: Postgres' limit of one value.
pub const RESULT_BYTES_MAX: usize = 1 << 30;

impl Aggregate {
    /// What the aggregate needs from a row, in the order [`finish_recomputed`] expects: the arguments, the sort keys, the filter if there is one.
    ///
    /// What could fail is computed only for the rows the filter keeps, as in Postgres: `sum(1 / x) FILTER (WHERE x <> 0)` never divides by zero.
    pub fn inputs(&self) -> Vec<Scalar> {
        let guarded = |scalar: &Scalar| match &self.filter {
            Some(filter) if scalar.can_fail() => Scalar::If {
                condition: Box::new(filter.clone()),
                then: Box::new(scalar.clone()),
                otherwise: Box::new(Scalar::null(scalar.column_type(&[]).scalar)),
            },
            _ => scalar.clone(),
        };
        let keys = self.order.iter().map(|(scalar, _)| scalar);
        self.arguments.iter().chain(keys).map(guarded).chain(self.filter.clone()).collect()
    }
}

/// Appends the aggregate of a group. Each row holds the columns of [`Aggregate::inputs`], encoded; rows may come in any order.
///
/// Without ORDER BY the values are taken in the order of their bytes, so that the result does not depend on how the rows came. Rows with a
/// multiplicity below 1 are as if they were not there: they are in the middle of an update.
pub fn finish_recomputed<'a>(aggregate: &Aggregate, rows: impl IntoIterator<Item = (&'a [u8], Diff)>, out: &mut RowBuilder) -> Result<(), EvalError> {
    let entry = aggregate.function.0;
    let mut fold = Fold::new(entry);
    // Sums and extrema do not care about order.
    if entry.strategy != Strategy::Recomputed && !aggregate.distinct {
        for (row, diff) in rows {
            if let Some(arguments) = split(aggregate, row, None).filter(|_| diff > 0) {
                fold.add(entry, arguments, diff)?;
            }
        }
        return fold.finish(entry, out);
    }
    let mut key = RowBuilder::new();
    let mut sorted = Vec::new();
    for (row, diff) in rows {
        key.clear();
        if let Some(arguments) = split(aggregate, row, Some(&mut key)).filter(|_| diff > 0) {
            sorted.push((key.as_bytes().to_vec(), arguments, diff));
        }
    }
    sorted.sort_unstable();
    let mut seen = HashSet::new();
    let rendered = if entry.kind.takes_json() { aggregate.arguments.len().saturating_sub(entry.arguments.len()) } else { 0 };
    for (_, arguments, diff) in sorted {
        if !aggregate.distinct {
            fold.add(entry, arguments, diff)?;
            continue;
        }
        key.clear();
        RowRef::new(arguments).iter().skip(rendered).for_each(|datum| key.push_canonical(datum));
        if !seen.contains(key.as_bytes()) {
            seen.insert(key.as_bytes().to_vec());
            fold.add(entry, arguments, 1)?;
        }
    }
    fold.finish(entry, out)
}

/// The encoded arguments of a row of [`Aggregate::inputs`] if the filter keeps it; appends the sort key.
fn split<'a>(aggregate: &Aggregate, row: &'a [u8], key: Option<&mut RowBuilder>) -> Option<&'a [u8]> {
    if aggregate.order.is_empty() && aggregate.filter.is_none() {
        return Some(row);
    }
    let mut datums = RowRef::new(row).iter();
    for _ in &aggregate.arguments {
        datums.next_encoded();
    }
    let arguments = &row[..row.len() - datums.rest().len()];
    match key {
        Some(key) => aggregate.order.iter().for_each(|(_, direction)| push_sort_key(key, datums.next().unwrap_or(Datum::Null), *direction)),
        None => aggregate.order.iter().for_each(|_| _ = datums.next_encoded()),
    }
    match aggregate.filter.is_none() || matches!(datums.next(), Some(Datum::Bool(true))) {
        true => Some(arguments),
        false => None,
    }
}

/// Appends a sort key under which values SQL calls equal are equal.
pub fn push_sort_key(out: &mut RowBuilder, datum: Datum<'_>, direction: repr::SortDirection) {
    match datum {
        // The common ones without a detour over bytes: zero has one sign, a number one scale.
        Datum::Float4(value) => out.push_sort_key(Datum::Float4(value + 0.0), direction),
        Datum::Float8(value) => out.push_sort_key(Datum::Float8(value + 0.0), direction),
        Datum::Numeric(value) => out.push_sort_key(Datum::Numeric(value.canonical()), direction),
        Datum::Interval(_) | Datum::Jsonb(_) | Datum::Array(_) | Datum::Record(_) => {
            let mut canonical = RowBuilder::new();
            canonical.push_canonical(datum);
            if let Some(datum) = RowRef::new(canonical.as_bytes()).iter().next() {
                out.push_sort_key(datum, direction);
            }
        }
        datum => out.push_sort_key(datum, direction),
    }
}

/// An aggregate in the making.
#[derive(Clone)]
pub(crate) enum Fold<'a> {
    Sum(Accumulator),
    /// The encoded datum that is the best so far.
    Extremum(Option<&'a [u8]>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Array(Option<ArrayBuilder>, usize),
    Built(Built<'a>),
}

impl<'a> Fold<'a> {
    pub fn new(entry: &AggregateEntry) -> Fold<'a> {
        if let Some(built) = Built::new(entry) {
            return Fold::Built(built);
        }
        match (entry.kind, &entry.result) {
            (AggregateKind::Minimum | AggregateKind::Maximum | AggregateKind::AnyValue, _) => Fold::Extremum(None),
            (AggregateKind::StringAgg, repr::Type::Bytea) => Fold::Bytes(None),
            (AggregateKind::StringAgg, _) => Fold::Text(None),
            (AggregateKind::ArrayAgg, _) => Fold::Array(None, 0),
            _ => Fold::Sum(Accumulator::Zero),
        }
    }

    /// Adds `diff` (at least 1; for sums any) rows with these encoded arguments.
    pub fn add(&mut self, entry: &AggregateEntry, arguments: &'a [u8], diff: Diff) -> Result<(), EvalError> {
        let mut datums = RowRef::new(arguments).iter();
        match self {
            Fold::Sum(accumulator) => entry.accumulate_arguments(accumulator, datums, diff),
            Fold::Built(built) => built.add(entry.kind, datums, diff)?,
            Fold::Extremum(best) => {
                let Some(datum) = datums.next_encoded() else {
                    return Ok(());
                };
                if is_better(entry.kind, datum, *best) {
                    *best = Some(datum);
                }
            }
            Fold::Text(text) => {
                if let (Some(Datum::Text(value)), delimiter) = (datums.next(), datums.next()) {
                    let delimiter = if let Some(Datum::Text(delimiter)) = delimiter { delimiter } else { "" };
                    for _ in 0..diff {
                        match text {
                            None => *text = Some(value.to_string()),
                            Some(text) => {
                                check_size(text.len() + delimiter.len() + value.len())?;
                                text.push_str(delimiter);
                                text.push_str(value);
                            }
                        }
                    }
                }
            }
            Fold::Bytes(bytes) => {
                if let (Some(Datum::Bytea(value)), delimiter) = (datums.next(), datums.next()) {
                    let delimiter = if let Some(Datum::Bytea(delimiter)) = &delimiter { &delimiter[..] } else { &[] };
                    for _ in 0..diff {
                        match bytes {
                            None => *bytes = Some(value.to_vec()),
                            Some(bytes) => {
                                check_size(bytes.len() + delimiter.len() + value.len())?;
                                bytes.extend_from_slice(delimiter);
                                bytes.extend_from_slice(&value);
                            }
                        }
                    }
                }
            }
            Fold::Array(array, bytes) => {
                let Some(datum) = datums.next_encoded() else {
                    return Ok(());
                };
                let array = array.get_or_insert_default();
                for _ in 0..diff {
                    *bytes += datum.len();
                    check_size(*bytes)?;
                    array.push_encoded(datum);
                }
            }
        }
        Ok(())
    }

    pub fn finish(self, entry: &AggregateEntry, out: &mut RowBuilder) -> Result<(), EvalError> {
        match self {
            Fold::Sum(accumulator) => return entry.finish(&accumulator, out),
            Fold::Built(built) => return built.finish(entry, out),
            Fold::Extremum(Some(datum)) => out.push_encoded(datum),
            Fold::Text(Some(text)) => out.push(Datum::Text(&text)),
            Fold::Bytes(Some(bytes)) => out.push(Datum::Bytea(bytes.into())),
            Fold::Array(Some(mut array), _) => out.push(Datum::Array(repr::Array::from_encoded(&array.finish()))),
            Fold::Extremum(None) | Fold::Text(None) | Fold::Bytes(None) | Fold::Array(None, _) => out.push(Datum::Null),
        }
        Ok(())
    }
}

/// Whether an encoded datum takes the place of the best one so far. NULL never does.
pub(crate) fn is_better(kind: AggregateKind, datum: &[u8], best: Option<&[u8]>) -> bool {
    let is_null = matches!(RowRef::new(datum).iter().next(), None | Some(Datum::Null));
    match best {
        None => !is_null,
        Some(best) if kind == AggregateKind::Maximum => datum > best && !is_null,
        Some(best) => datum < best,
    }
}

pub(super) fn check_size(bytes: usize) -> Result<(), EvalError> {
    if bytes <= RESULT_BYTES_MAX {
        return Ok(());
    }
    Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the result of an aggregate is too large")
        .with_detail(format!("It exceeds {RESULT_BYTES_MAX} bytes."))
        .with_hint("Aggregate smaller groups, or filter the rows."))
}

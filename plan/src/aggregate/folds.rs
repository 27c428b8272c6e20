//! Aggregates that build one value out of all rows in their order: JSON, arrays of arrays, and those WITHIN GROUP.

use super::recomputed::check_size;
use super::{AggregateEntry, AggregateKind};
use repr::{Array, ArrayBuilder, ArrayDimension, Datum, DatumIter, Diff, EvalError, JsonbBuf, JsonbView, RowBuilder, RowRef, SqlState, Type, temporal};

/// What stands between the elements of `json_agg`.
const SEPARATOR: &str = ", ";
/// What it puts before arrays and rows, but the first.
const NEW_LINE: &str = "\n ";
/// Postgres' limit of dimensions.
const DIMENSIONS_MAX: usize = 6;

/// A value in the making; nothing until the first row.
#[derive(Clone)]
pub enum Built<'a> {
    JsonText(Option<String>),
    /// Keys (none in an array) and values.
    Jsonb(Option<Vec<(String, JsonbBuf)>>, usize),
    Arrays(Option<Arrays>),
    /// The value of each row that is not NULL, encoded, and how often; and the direct argument.
    Ordered {
        direct: Option<Datum<'a>>,
        values: Vec<(&'a [u8], Diff)>,
    },
}

#[derive(Clone)]
pub struct Arrays {
    elements: ArrayBuilder,
    bytes: usize,
    count: u32,
    inner: Vec<ArrayDimension>,
}

impl<'a> Built<'a> {
    /// For the kinds that are built so.
    pub fn new(entry: &AggregateEntry) -> Option<Built<'a>> {
        Some(match entry.kind {
            AggregateKind::JsonAgg { .. } | AggregateKind::JsonObjectAgg if entry.result == Type::Json => Built::JsonText(None),
            AggregateKind::JsonAgg { .. } | AggregateKind::JsonObjectAgg => Built::Jsonb(None, 0),
            AggregateKind::NestedArrayAgg => Built::Arrays(None),
            kind if kind.is_ordered_set() => Built::Ordered { direct: None, values: Vec::new() },
            _ => return None,
        })
    }

    /// Adds `diff` (at least 1) rows with these encoded arguments.
    pub fn add(&mut self, kind: AggregateKind, mut arguments: DatumIter<'a>, diff: Diff) -> Result<(), EvalError> {
        match self {
            Built::Ordered { direct, values } => {
                if kind != AggregateKind::Mode {
                    let fraction = arguments.next();
                    *direct = direct.take().or(fraction);
                }
                let value = arguments.next_encoded().unwrap_or_default();
                if !matches!(RowRef::new(value).iter().next(), None | Some(Datum::Null)) {
                    values.push((value, diff));
                }
                Ok(())
            }
            Built::Arrays(arrays) => match arguments.next() {
                Some(Datum::Array(array)) => (0..diff).try_for_each(|_| add_array(arrays, array)),
                _ => Err(EvalError::new(NULL_NOT_ALLOWED, "cannot accumulate null arrays")),
            },
            Built::JsonText(text) => {
                let key = match kind {
                    AggregateKind::JsonObjectAgg => Some(key_of(arguments.next())?),
                    _ => None,
                };
                let value = arguments.next();
                let value = if let Some(Datum::Text(value)) = value { value } else { "null" };
                for _ in 0..diff {
                    let is_first = text.is_none();
                    let text = text.get_or_insert_with(|| if key.is_some() { "{ ".to_string() } else { "[".to_string() });
                    check_size(text.len() + value.len())?;
                    text.push_str(if is_first { "" } else { SEPARATOR });
                    if let Some(key) = key {
                        JsonbBuf::from_view(&JsonbView::String(key)).as_ref().write_text(text);
                        text.push_str(" : ");
                    } else if !is_first && kind == (AggregateKind::JsonAgg { lines: true }) && value != "null" {
                        text.push_str(NEW_LINE);
                    }
                    text.push_str(value);
                }
                Ok(())
            }
            Built::Jsonb(members, bytes) => {
                let key = match kind {
                    AggregateKind::JsonObjectAgg => key_of(arguments.next())?,
                    _ => "",
                };
                let value = match arguments.next() {
                    Some(Datum::Jsonb(value)) => value.to_buf(),
                    _ => JsonbBuf::from_view(&JsonbView::Null),
                };
                let members = members.get_or_insert_default();
                // A key that comes again has no more effect the second time.
                for _ in 0..if kind == AggregateKind::JsonObjectAgg { 1 } else { diff } {
                    *bytes += key.len() + value.as_ref().as_encoded().len();
                    check_size(*bytes)?;
                    members.push((key.to_string(), value.clone()));
                }
                Ok(())
            }
        }
    }

    pub fn finish(self, entry: &AggregateEntry, out: &mut RowBuilder) -> Result<(), EvalError> {
        match self {
            Built::JsonText(Some(mut text)) => {
                text.push_str(if entry.kind == AggregateKind::JsonObjectAgg { " }" } else { "]" });
                out.push(Datum::Text(&text));
            }
            Built::Jsonb(Some(members), _) => {
                let view = match entry.kind {
                    AggregateKind::JsonObjectAgg => JsonbView::Object(members.iter().map(|(key, value)| (key.as_str(), value.as_ref())).collect()),
                    _ => JsonbView::Array(members.iter().map(|(_, value)| value.as_ref()).collect()),
                };
                out.push(Datum::Jsonb(JsonbBuf::from_view(&view).as_ref()));
            }
            Built::Arrays(Some(mut arrays)) => {
                let outer = ArrayDimension { length: arrays.count, lower_bound: 1 };
                let dimensions: Vec<ArrayDimension> = std::iter::once(outer).chain(arrays.inner).collect();
                out.push(Datum::Array(Array::from_encoded(&arrays.elements.finish_with(&dimensions))));
            }
            Built::Ordered { direct, values } => return finish_ordered(entry.kind, direct, &values, out),
            Built::JsonText(None) | Built::Jsonb(None, _) | Built::Arrays(None) => out.push(Datum::Null),
        }
        Ok(())
    }
}

const NULL_NOT_ALLOWED: SqlState = SqlState(*b"22004");

fn key_of(key: Option<Datum<'_>>) -> Result<&str, EvalError> {
    match key {
        Some(Datum::Text(key)) => Ok(key),
        _ => Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "field name must not be null")),
    }
}

fn add_array(arrays: &mut Option<Arrays>, array: Array<'_>) -> Result<(), EvalError> {
    let error = |message: &str| Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    let dimensions = array.dimensions();
    if dimensions.is_empty() {
        return error("cannot accumulate empty arrays");
    }
    if dimensions.len() >= DIMENSIONS_MAX {
        let message = format!("number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})", dimensions.len() + 1);
        return Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let arrays = arrays.get_or_insert_with(|| Arrays { elements: ArrayBuilder::new(), bytes: 0, count: 0, inner: dimensions.clone() });
    let lengths = |dimensions: &[ArrayDimension]| dimensions.iter().map(|dimension| dimension.length).collect::<Vec<_>>();
    if lengths(&arrays.inner) != lengths(&dimensions) {
        return error("cannot accumulate arrays of different dimensionality");
    }
    arrays.bytes += array.as_encoded().len();
    check_size(arrays.bytes)?;
    arrays.count += 1;
    let mut elements = array.elements();
    while let Some(element) = elements.next_encoded() {
        arrays.elements.push_encoded(element);
    }
    Ok(())
}

fn finish_ordered(kind: AggregateKind, direct: Option<Datum<'_>>, values: &[(&[u8], Diff)], out: &mut RowBuilder) -> Result<(), EvalError> {
    let total: Diff = values.iter().map(|(_, diff)| diff).sum();
    if kind == AggregateKind::Mode {
        match most_frequent(values) {
            Some(value) => out.push_encoded(value),
            None => out.push(Datum::Null),
        }
        return Ok(());
    }
    let pick = |fraction: &Datum<'_>, out: &mut RowBuilder| {
        let Datum::Float8(fraction) = *fraction else {
            out.push(Datum::Null);
            return Ok(());
        };
        if !(0.0..=1.0).contains(&fraction) {
            let message = format!("percentile value {} is not between 0 and 1", short(fraction));
            return Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        if total == 0 {
            out.push(Datum::Null);
        } else if kind == AggregateKind::PercentileDiscrete {
            let position = (fraction * total as f64).ceil() as Diff;
            out.push_encoded(at(values, (position - 1).clamp(0, total - 1)));
        } else {
            let position = fraction * (total - 1) as f64;
            let (first, second) = (position.floor(), position.ceil());
            let low = at(values, first as Diff);
            if first == second {
                out.push_encoded(low);
            } else {
                let datum = |encoded| RowRef::new(encoded).iter().next().unwrap_or(Datum::Null);
                out.push(between(&datum(low), &datum(at(values, second as Diff)), position - first)?);
            }
        }
        Ok(())
    };
    match direct {
        Some(Datum::Array(fractions)) if total > 0 => {
            let mut built = ArrayBuilder::new();
            let mut row = RowBuilder::new();
            for fraction in fractions.elements() {
                row.clear();
                pick(&fraction, &mut row)?;
                built.push_encoded(row.as_bytes());
            }
            out.push(Datum::Array(Array::from_encoded(&built.finish_with(&fractions.dimensions()))));
            Ok(())
        }
        Some(fraction) => pick(&fraction, out),
        None => {
            out.push(Datum::Null);
            Ok(())
        }
    }
}

/// As C's `%g` shows it.
fn short(value: f64) -> String {
    let mut text = String::new();
    repr::text::write(&Datum::Float4(value as f32), &Type::Float4, &Default::default(), &mut text);
    text
}

/// The value at a position, counted from 0 with its repetitions.
fn at<'a>(values: &[(&'a [u8], Diff)], position: Diff) -> &'a [u8] {
    let mut passed = 0;
    for (value, diff) in values {
        passed += diff;
        if position < passed {
            return value;
        }
    }
    values.last().map_or(&[], |(value, _)| value)
}

fn between(low: &Datum<'_>, high: &Datum<'_>, fraction: f64) -> Result<Datum<'static>, EvalError> {
    Ok(match (low, high) {
        (Datum::Float8(low), Datum::Float8(high)) => Datum::Float8(low + fraction * (high - low)),
        (Datum::Interval(low), Datum::Interval(high)) => {
            let distance = temporal::interval_multiply(temporal::interval_subtract(*high, *low)?, fraction)?;
            Datum::Interval(temporal::interval_add(distance, *low)?)
        }
        _ => Datum::Null,
    })
}

/// Of those that are equally frequent the first one. Equal values stand side by side.
fn most_frequent<'a>(values: &[(&'a [u8], Diff)]) -> Option<&'a [u8]> {
    let mut best: Option<(&[u8], Diff)> = None;
    let (mut run, mut run_key): (Option<(&[u8], Diff)>, Vec<u8>) = (None, Vec::new());
    let mut key = RowBuilder::new();
    for (value, diff) in values {
        key.clear();
        RowRef::new(value).iter().for_each(|datum| key.push_canonical(datum));
        match &mut run {
            Some((_, frequency)) if run_key == key.as_bytes() => *frequency += diff,
            run => {
                *run = Some((value, *diff));
                run_key = key.as_bytes().to_vec();
            }
        }
        if let Some((value, frequency)) = run
            && best.is_none_or(|(_, most)| frequency > most)
        {
            best = Some((value, frequency));
        }
    }
    best.map(|(value, _)| value)
}

//! Window functions.
//!
//! [`PreparedWindow`] is one window expression over one partition, a pure function that both interpreters use; `Window` is the one-shot operator
//! around it. Where SQL leaves the order of rows open (ties in ORDER BY), rows are taken in the order of their bytes.

use super::Context;
use super::guard::{Charge, Kept};
use super::hash::KeyTable;
use super::mapper::Constants;
use super::node::{Env, Sink, Source, prefix_length};
use crate::aggregate::{Aggregate, Fold, Strategy, finish_recomputed, push_sort_key};
use crate::relation::{FrameBound, FrameExclusion, FrameUnits, WindowExpression, WindowFunction};
use crate::table_function::add_interval;
use crate::{CastKind, Scalar};
use repr::{ColumnType, Datum, EvalError, Numeric, Row, RowBuilder, RowRef, SqlState, Type, temporal};
use std::cmp::Ordering;

const INVALID_PRECEDING_OR_FOLLOWING_SIZE: SqlState = SqlState(*b"22013");
const INVALID_ARGUMENT_FOR_NTILE: SqlState = SqlState(*b"22014");
const INVALID_ARGUMENT_FOR_NTH_VALUE: SqlState = SqlState(*b"22016");
const NULL_VALUE_NOT_ALLOWED: SqlState = SqlState(*b"22004");

impl WindowExpression {
    /// The aggregate of an aggregate window function: arguments and filter may be written on either.
    fn aggregate(&self) -> Option<Aggregate> {
        let WindowFunction::Aggregate(aggregate) = &self.function else {
            return None;
        };
        let mut aggregate = aggregate.clone();
        if aggregate.arguments.is_empty() {
            aggregate.arguments = self.arguments.clone();
        }
        aggregate.filter = match (aggregate.filter.take(), self.filter.clone()) {
            (Some(left), Some(right)) if left != right => Some(Scalar::And(vec![left, right])),
            (left, right) => left.or(right),
        };
        Some(aggregate)
    }

    /// What the function needs from a row, in the order [`PreparedWindow::compute_partition`] expects: sort keys, then arguments (and what an
    /// aggregate needs beside them). The partition is not part of it.
    pub fn inputs(&self) -> Vec<Scalar> {
        let mut scalars: Vec<Scalar> = self.order.iter().map(|(scalar, _)| scalar.clone()).collect();
        match self.aggregate() {
            Some(aggregate) => scalars.extend(aggregate.inputs()),
            None => scalars.extend(self.arguments.iter().cloned()),
        }
        scalars
    }
}

/// One window expression, ready to run over partitions.
pub struct PreparedWindow {
    expression: WindowExpression,
    aggregate: Option<Aggregate>,
    start: Option<Constants>,
    end: Option<Constants>,
}

/// One row of a partition.
#[derive(Clone, Copy)]
pub struct PartitionRow<'a> {
    /// The columns of [`WindowExpression::inputs`], encoded.
    pub inputs: &'a [u8],
    /// Breaks ties: the row itself.
    pub row: &'a [u8],
}

/// The partition in order, and who is whose peer.
struct Partition<'a> {
    /// The sort keys of each row, decoded.
    order: Vec<Vec<Datum<'a>>>,
    /// The inputs after the sort keys.
    arguments: Vec<&'a [u8]>,
    /// Per row the number of its peer group.
    group: Vec<usize>,
    /// Where each peer group starts, and at last the number of rows.
    group_starts: Vec<usize>,
}

/// The rows of a frame: up to three ranges, because an exclusion cuts holes.
type Frame = [(usize, usize); 3];

impl PreparedWindow {
    pub fn new(expression: &WindowExpression, context: &Context) -> PreparedWindow {
        let offset = |bound: &FrameBound| match bound {
            FrameBound::Preceding(scalar) | FrameBound::Following(scalar) => {
                // ROWS and GROUPS count in bigint.
                let counted = expression.frame.units != FrameUnits::Range && scalar.column_type(&[]).scalar != Type::Int8;
                let column_type = ColumnType::new(Type::Int8);
                let scalar =
                    if counted { Scalar::Cast { input: Box::new(scalar.clone()), kind: CastKind::Implicit, column_type } } else { scalar.clone() };
                Some(Constants::new(&[scalar], context))
            }
            _ => None,
        };
        PreparedWindow {
            start: offset(&expression.frame.start),
            end: offset(&expression.frame.end),
            aggregate: expression.aggregate(),
            expression: expression.clone(),
        }
    }

    /// Sets the parameters a frame may have.
    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        self.start.iter_mut().chain(&mut self.end).try_for_each(|offset| offset.bind(values))
    }

    /// Computes the function for every row of one partition, given in any order, a row as often as it occurs. `emit` gets the position of a row in
    /// `rows` and the encoded datum, each position once.
    pub fn compute_partition(&self, rows: &[PartitionRow<'_>], emit: &mut dyn FnMut(usize, &[u8])) -> Result<(), EvalError> {
        let (positions, partition) = self.sort(rows);
        let mut out = RowBuilder::new();
        match (&self.aggregate, &self.expression.function) {
            (Some(aggregate), _) => {
                return self.compute_aggregate(aggregate, &partition, &mut |row, datum| emit(positions[row], datum));
            }
            (None, WindowFunction::Ntile) => {
                return compute_ntile(&partition, &mut |row, datum| emit(positions[row], datum));
            }
            _ => {}
        }
        for row in 0..partition.len() {
            out.clear();
            self.compute_row(row, &partition, &mut out)?;
            emit(positions[row], out.as_bytes());
        }
        Ok(())
    }

    fn sort<'a>(&self, rows: &[PartitionRow<'a>]) -> (Vec<usize>, Partition<'a>) {
        let order = &self.expression.order;
        let mut key = RowBuilder::new();
        let mut sorted: Vec<(Row, &[u8], usize)> = Vec::with_capacity(rows.len());
        for (position, row) in rows.iter().enumerate() {
            for (datum, (_, direction)) in RowRef::new(row.inputs).iter().zip(order) {
                push_sort_key(&mut key, datum, *direction);
            }
            sorted.push((key.finish(), row.row, position));
        }
        sorted.sort_unstable();
        let mut partition = Partition {
            order: Vec::with_capacity(rows.len()),
            arguments: Vec::with_capacity(rows.len()),
            group: Vec::new(),
            group_starts: Vec::new(),
        };
        for (position, (key, _, original)) in sorted.iter().enumerate() {
            let inputs = rows[*original].inputs;
            partition.order.push(RowRef::new(inputs).iter().take(order.len()).collect());
            partition.arguments.push(&inputs[prefix_length(inputs, order.len())..]);
            if position == 0 || sorted[position - 1].0 != *key {
                partition.group_starts.push(position);
            }
            partition.group.push(partition.group_starts.len() - 1);
        }
        partition.group_starts.push(rows.len());
        (sorted.into_iter().map(|(_, _, position)| position).collect(), partition)
    }

    fn compute_row(&self, row: usize, partition: &Partition<'_>, out: &mut RowBuilder) -> Result<(), EvalError> {
        let rank = partition.peers(row).0 as i64 + 1;
        let count = partition.len();
        match &self.expression.function {
            WindowFunction::RowNumber => out.push(Datum::Int8(row as i64 + 1)),
            WindowFunction::Rank => out.push(Datum::Int8(rank)),
            WindowFunction::DenseRank => out.push(Datum::Int8(partition.group[row] as i64 + 1)),
            WindowFunction::PercentRank => out.push(Datum::Float8(if count > 1 { (rank - 1) as f64 / (count - 1) as f64 } else { 0.0 })),
            WindowFunction::CumeDist => out.push(Datum::Float8(partition.peers(row).1 as f64 / count as f64)),
            WindowFunction::Lag => self.shifted(row, partition, -1, out),
            WindowFunction::Lead => self.shifted(row, partition, 1, out),
            WindowFunction::FirstValue => {
                self.value_in_frame(self.frame(row, partition)?.into_iter().flat_map(|(start, end)| start..end), 1, partition, out)
            }
            WindowFunction::LastValue => {
                self.value_in_frame(self.frame(row, partition)?.into_iter().rev().flat_map(|(start, end)| (start..end).rev()), 1, partition, out)
            }
            WindowFunction::NthValue => match integer(partition.argument(row, 1)) {
                None => out.push(Datum::Null),
                Some(position) if position <= 0 => {
                    return Err(EvalError::new(INVALID_ARGUMENT_FOR_NTH_VALUE, "argument of nth_value must be greater than zero"));
                }
                Some(position) => self.value_in_frame(
                    self.frame(row, partition)?.into_iter().flat_map(|(start, end)| start..end),
                    position as usize,
                    partition,
                    out,
                ),
            },
            WindowFunction::Ntile | WindowFunction::Aggregate(_) => out.push(Datum::Null),
        }
        Ok(())
    }

    /// lag and lead: the value so many rows away, or the default.
    fn shifted(&self, row: usize, partition: &Partition<'_>, direction: i64, out: &mut RowBuilder) {
        let arguments = RowRef::new(partition.arguments[row]).iter().count();
        let offset = if arguments > 1 { integer(partition.argument(row, 1)) } else { Some(1) };
        let Some(offset) = offset else {
            return out.push(Datum::Null);
        };
        let target = if self.expression.ignore_nulls && offset != 0 {
            let (step, mut remaining) = (direction * offset.signum(), offset.unsigned_abs());
            let mut position = row as i64;
            loop {
                position += step;
                if position < 0 || position >= partition.len() as i64 {
                    break None;
                }
                if !partition.argument(position as usize, 0).is_null() {
                    remaining -= 1;
                    if remaining == 0 {
                        break Some(position as usize);
                    }
                }
            }
        } else {
            let position = i128::from(direction) * i128::from(offset) + row as i128;
            usize::try_from(position).ok().filter(|position| *position < partition.len())
        };
        match target {
            Some(target) => out.push_encoded(partition.encoded_argument(target, 0)),
            None if arguments > 2 => out.push_encoded(partition.encoded_argument(row, 2)),
            None => out.push(Datum::Null),
        }
    }

    fn value_in_frame(&self, mut rows: impl Iterator<Item = usize>, nth: usize, partition: &Partition<'_>, out: &mut RowBuilder) {
        let found = match self.expression.ignore_nulls {
            true => rows.filter(|row| !partition.argument(*row, 0).is_null()).nth(nth - 1),
            false => rows.nth(nth - 1),
        };
        match found {
            Some(row) => out.push_encoded(partition.encoded_argument(row, 0)),
            None => out.push(Datum::Null),
        }
    }

    fn compute_aggregate(&self, aggregate: &Aggregate, partition: &Partition<'_>, emit: &mut dyn FnMut(usize, &[u8])) -> Result<(), EvalError> {
        let entry = aggregate.function.0;
        let inputs = aggregate.inputs().len();
        let passes = |row: usize| aggregate.filter.is_none() || matches!(partition.argument(row, inputs - 1), Datum::Bool(true));
        let mut out = RowBuilder::new();
        // The frame the fold stands for, if it can be carried from row to row.
        let mut previous: Option<Frame> = None;
        let mut fold = Fold::new(entry);
        for row in 0..partition.len() {
            let frame = self.frame(row, partition)?;
            if previous == Some(frame) {
                emit(row, out.as_bytes());
                continue;
            }
            out.clear();
            if aggregate.distinct {
                let rows = frame.iter().flat_map(|&(start, end)| start..end).map(|row| (partition.arguments[row], 1));
                finish_recomputed(aggregate, rows, &mut out)?;
            } else {
                let single = |frame: &Frame| frame[1].0 == frame[1].1 && frame[2].0 == frame[2].1;
                let carried = previous.filter(|previous| {
                    let ((old_start, old_end), (start, end)) = (previous[0], frame[0]);
                    let grows = end >= old_end && single(previous) && single(&frame);
                    match entry.strategy {
                        // What leaves the frame is subtracted; more than the frame has is not worth it.
                        Strategy::Accumulable => grows && start >= old_start && start <= old_end && start - old_start <= end - start,
                        Strategy::Extremum | Strategy::Recomputed => grows && start == old_start,
                    }
                });
                let added = match carried {
                    Some(previous) => {
                        for row in (previous[0].0..frame[0].0).filter(|row| passes(*row)) {
                            fold.add(entry, partition.arguments[row], -1)?;
                        }
                        [(previous[0].1.max(frame[0].0), frame[0].1), (0, 0), (0, 0)]
                    }
                    None => {
                        fold = Fold::new(entry);
                        frame
                    }
                };
                for row in added.into_iter().flat_map(|(start, end)| start..end).filter(|row| passes(*row)) {
                    fold.add(entry, partition.arguments[row], 1)?;
                }
                fold.clone().finish(entry, &mut out)?;
            }
            previous = Some(frame);
            emit(row, out.as_bytes());
        }
        Ok(())
    }

    fn frame(&self, row: usize, partition: &Partition<'_>) -> Result<Frame, EvalError> {
        let frame = &self.expression.frame;
        let start = self.bound(&frame.start, self.start.as_ref(), true, row, partition)?;
        let end = self.bound(&frame.end, self.end.as_ref(), false, row, partition)?.max(start);
        let (peers_start, peers_end) = partition.peers(row);
        let empty = (0, 0);
        let without = |hole_start: usize, hole_end: usize| ((start, end.min(hole_start).max(start)), (start.max(hole_end).min(end), end));
        Ok(match frame.exclusion {
            FrameExclusion::NoOthers => [(start, end), empty, empty],
            FrameExclusion::CurrentRow => {
                let (before, after) = without(row, row + 1);
                [before, after, empty]
            }
            FrameExclusion::Group => {
                let (before, after) = without(peers_start, peers_end);
                [before, after, empty]
            }
            FrameExclusion::Ties => {
                let (before, after) = without(peers_start, peers_end);
                [before, if (start..end).contains(&row) { (row, row + 1) } else { empty }, after]
            }
        })
    }

    /// The first row of the frame, or the row after its last one.
    fn bound(
        &self,
        bound: &FrameBound,
        offset: Option<&Constants>,
        is_start: bool,
        row: usize,
        partition: &Partition<'_>,
    ) -> Result<usize, EvalError> {
        let count = partition.len();
        let preceding = match bound {
            FrameBound::UnboundedPreceding => return Ok(0),
            FrameBound::UnboundedFollowing => return Ok(count),
            FrameBound::CurrentRow => {
                let (start, end) = if self.expression.frame.units == FrameUnits::Rows { (row, row + 1) } else { partition.peers(row) };
                return Ok(if is_start { start } else { end });
            }
            FrameBound::Preceding(_) => true,
            FrameBound::Following(_) => false,
        };
        let which = if is_start { "starting" } else { "ending" };
        let value = offset.map(Constants::value).transpose()?;
        let value = match value.and_then(|value| value.get(0)) {
            None | Some(Datum::Null) => {
                return Err(EvalError::new(NULL_VALUE_NOT_ALLOWED, format!("frame {which} offset must not be null")));
            }
            Some(value) => value,
        };
        if self.expression.frame.units == FrameUnits::Range {
            return self.range_bound(value, preceding, is_start, row, partition);
        }
        let offset = integer(value).and_then(|offset| usize::try_from(offset).ok());
        let offset =
            offset.ok_or_else(|| EvalError::new(INVALID_PRECEDING_OR_FOLLOWING_SIZE, format!("frame {which} offset must not be negative")))?;
        let moved = |from: usize| {
            if preceding { from.checked_sub(offset) } else { from.checked_add(offset) }
        };
        if self.expression.frame.units == FrameUnits::Rows {
            // Before the first row a start is the first row and an end is nothing.
            return Ok(match moved(row) {
                Some(target) => if is_start { target } else { target + 1 }.min(count),
                None if preceding => 0,
                None => count,
            });
        }
        let groups = partition.group_starts.len() - 1;
        Ok(match moved(partition.group[row]) {
            Some(group) if group < groups => partition.group_starts[if is_start { group } else { group + 1 }],
            Some(_) => count,
            None if preceding => 0,
            None => count,
        })
    }

    /// A bound so far in value from the row's: NULLs are as far from values as can be, and at no distance from each other.
    fn range_bound(&self, offset: Datum<'_>, preceding: bool, is_start: bool, row: usize, partition: &Partition<'_>) -> Result<usize, EvalError> {
        let unsupported =
            || EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, "RANGE with offset PRECEDING/FOLLOWING is not supported for these types");
        let [(_, direction)] = &self.expression.order[..] else {
            return Err(EvalError::new(SqlState(*b"42P20"), "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column"));
        };
        if is_negative(&offset).ok_or_else(unsupported)? {
            return Err(EvalError::new(INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"));
        }
        let value = &partition.order[row][0];
        if value.is_null() {
            let (start, end) = partition.peers(row);
            return Ok(if is_start { start } else { end });
        }
        let count = partition.len();
        let is_null = |row: usize| partition.order[row][0].is_null();
        let start = if direction.nulls_first { partition_point(0, count, is_null) } else { 0 };
        let end = if direction.nulls_first { count } else { partition_point(0, count, |row| !is_null(row)) };
        let threshold = shift(value, &offset, preceding != direction.descending).ok_or_else(unsupported)?;
        Ok(partition_point(start, end, |row| {
            let order = RangeValue::new(&partition.order[row][0]).map_or(Ordering::Equal, |value| value.compare(&threshold));
            let order = if direction.descending { order.reverse() } else { order };
            if is_start { order.is_lt() } else { order.is_le() }
        }))
    }
}

/// The first position in a range for which a predicate that is true before it is false.
fn partition_point(mut start: usize, mut end: usize, is_before: impl Fn(usize) -> bool) -> usize {
    while start < end {
        let middle = start + (end - start) / 2;
        if is_before(middle) { start = middle + 1 } else { end = middle }
    }
    start
}

impl<'a> Partition<'a> {
    fn len(&self) -> usize {
        self.arguments.len()
    }
    /// The first row of the row's peer group and the row after its last.
    fn peers(&self, row: usize) -> (usize, usize) {
        let group = self.group[row];
        (self.group_starts[group], self.group_starts[group + 1])
    }
    fn argument(&self, row: usize, argument: usize) -> Datum<'a> {
        RowRef::new(self.arguments[row]).iter().nth(argument).unwrap_or(Datum::Null)
    }
    fn encoded_argument(&self, row: usize, argument: usize) -> &'a [u8] {
        let mut datums = RowRef::new(self.arguments[row]).iter();
        for _ in 0..argument {
            datums.next_encoded();
        }
        datums.next_encoded().unwrap_or(&[])
    }
}

fn integer(datum: Datum<'_>) -> Option<i64> {
    match datum {
        Datum::Int2(value) => Some(i64::from(value)),
        Datum::Int4(value) => Some(i64::from(value)),
        Datum::Int8(value) => Some(value),
        _ => None,
    }
}

/// The partition in as many parts as the argument of its first row says, the larger ones first.
fn compute_ntile(partition: &Partition<'_>, emit: &mut dyn FnMut(usize, &[u8])) -> Result<(), EvalError> {
    if partition.len() == 0 {
        return Ok(());
    }
    let buckets = integer(partition.argument(0, 0));
    if buckets.is_some_and(|buckets| buckets <= 0) {
        return Err(EvalError::new(INVALID_ARGUMENT_FOR_NTILE, "argument of ntile must be greater than zero"));
    }
    let mut out = RowBuilder::new();
    let count = partition.len() as i64;
    for row in 0..count {
        out.clear();
        match buckets {
            None => out.push(Datum::Null),
            Some(buckets) => {
                let (size, larger) = (count / buckets, count % buckets);
                let in_larger = larger * (size + 1);
                let bucket = if row < in_larger { row / (size + 1) } else { larger + (row - in_larger) / size.max(1) };
                out.push(Datum::Int4(i32::try_from(bucket + 1).unwrap_or(i32::MAX)));
            }
        }
        emit(row as usize, out.as_bytes());
    }
    Ok(())
}

/// What RANGE with an offset calculates with.
enum RangeValue {
    Integer(i128),
    Float(f64),
    Numeric(Numeric),
}

impl RangeValue {
    fn new(datum: &Datum<'_>) -> Option<RangeValue> {
        Some(match datum {
            Datum::Int2(value) => RangeValue::Integer(i128::from(*value)),
            Datum::Int4(value) => RangeValue::Integer(i128::from(*value)),
            Datum::Int8(value) => RangeValue::Integer(i128::from(*value)),
            Datum::Float4(value) => RangeValue::Float(f64::from(*value)),
            Datum::Float8(value) => RangeValue::Float(*value),
            Datum::Numeric(value) => RangeValue::Numeric(value.clone()),
            Datum::Date(date) => RangeValue::Integer(match date.0 {
                i32::MAX => i128::from(i64::MAX),
                i32::MIN => i128::from(i64::MIN),
                days => i128::from(days) * i128::from(temporal::MICROS_PER_DAY),
            }),
            Datum::Time(time) => RangeValue::Integer(i128::from(time.0)),
            Datum::Timestamp(timestamp) => RangeValue::Integer(i128::from(timestamp.0)),
            Datum::TimestampTz(timestamp) => RangeValue::Integer(i128::from(timestamp.0)),
            Datum::Interval(interval) => RangeValue::Integer(interval.length_micros()),
            _ => return None,
        })
    }
    fn compare(&self, other: &RangeValue) -> Ordering {
        match (self, other) {
            (RangeValue::Integer(left), RangeValue::Integer(right)) => left.cmp(right),
            (RangeValue::Numeric(left), RangeValue::Numeric(right)) => left.cmp(right),
            // NaN is the greatest and equal to itself.
            (RangeValue::Float(left), RangeValue::Float(right)) => left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())),
            _ => Ordering::Equal,
        }
    }
}

fn is_negative(offset: &Datum<'_>) -> Option<bool> {
    Some(match offset {
        Datum::Interval(interval) => interval.length_micros() < 0,
        Datum::Numeric(value) => value.is_nan() || value.signum() < 0,
        Datum::Float4(value) => value.is_nan() || *value < 0.0,
        Datum::Float8(value) => value.is_nan() || *value < 0.0,
        other => integer(other.clone())? < 0,
    })
}

/// `value - offset` or `value + offset`, without overflow: what is beyond the type is beyond all rows. `None`: no such operation.
fn shift(value: &Datum<'_>, offset: &Datum<'_>, subtract: bool) -> Option<RangeValue> {
    let sign = if subtract { -1 } else { 1 };
    let time = |micros: i64, interval: &repr::Interval| {
        if micros == i64::MAX || micros == i64::MIN {
            return RangeValue::Integer(i128::from(micros));
        }
        let interval = repr::Interval {
            months: interval.months.saturating_mul(sign),
            days: interval.days.saturating_mul(sign),
            micros: interval.micros.saturating_mul(i64::from(sign)),
        };
        RangeValue::Integer(add_interval(micros, &interval).map_or(if subtract { i128::MIN } else { i128::MAX }, i128::from))
    };
    Some(match (RangeValue::new(value)?, value, offset) {
        (RangeValue::Integer(_), Datum::Timestamp(timestamp), Datum::Interval(interval)) => time(timestamp.0, interval),
        (RangeValue::Integer(_), Datum::TimestampTz(timestamp), Datum::Interval(interval)) => time(timestamp.0, interval),
        (RangeValue::Integer(micros), Datum::Date(_), Datum::Interval(interval)) => time(i64::try_from(micros).unwrap_or(i64::MAX), interval),
        (RangeValue::Integer(micros), Datum::Time(_), Datum::Interval(interval)) => {
            RangeValue::Integer(micros + i128::from(sign) * i128::from(interval.micros))
        }
        (RangeValue::Integer(length), Datum::Interval(_), Datum::Interval(interval)) => {
            RangeValue::Integer(length + i128::from(sign) * interval.length_micros())
        }
        (RangeValue::Integer(number), Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_), _) => {
            RangeValue::Integer(number + i128::from(sign) * i128::from(integer(offset.clone())?))
        }
        (RangeValue::Float(number), _, Datum::Float4(_) | Datum::Float8(_)) => {
            let RangeValue::Float(offset) = RangeValue::new(offset)? else {
                return None;
            };
            let moved = number + f64::from(sign) * offset;
            // Infinity less infinity.
            RangeValue::Float(if moved.is_nan() { number } else { moved })
        }
        (RangeValue::Numeric(number), _, Datum::Numeric(offset)) => {
            let moved = if subtract { number.subtract(offset) } else { number.add(offset) };
            RangeValue::Numeric(moved.unwrap_or(if subtract { Numeric::negative_infinity() } else { Numeric::infinity() }))
        }
        _ => return None,
    })
}

/// The one-shot operator: keeps all rows, computes each expression partition by partition, appends the results.
pub(super) struct Window {
    /// Gives for each expression the partition and the inputs, then the row.
    source: Source,
    expressions: Vec<Prepared>,
}

struct Prepared {
    window: PreparedWindow,
    partition: usize,
    inputs: usize,
}

impl Window {
    pub fn new(source: Source, expressions: &[WindowExpression], context: &Context) -> Window {
        let prepare = |expression: &WindowExpression| Prepared {
            window: PreparedWindow::new(expression, context),
            partition: expression.partition.len(),
            inputs: expression.inputs().len(),
        };
        Window { source, expressions: expressions.iter().map(prepare).collect() }
    }

    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        self.expressions.iter_mut().try_for_each(|expression| expression.window.bind(values))?;
        self.source.bind(values)
    }

    pub fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let mut kept = Kept::new(env.guard);
        self.source.run(env, &mut |row, diff| {
            if diff > 0 {
                kept.push(row, diff)?;
            }
            Ok(true)
        })?;
        let mut charge = Charge::new(env.guard);
        // Every occurrence is a row of its own: functions tell equal rows apart.
        let mut occurrences = Vec::new();
        for (position, (_, diff)) in kept.rows.iter().enumerate() {
            let bytes = size_of::<usize>() + self.expressions.len() * size_of::<Row>();
            for _ in 0..*diff {
                env.guard.row()?;
                charge.add(bytes)?;
                occurrences.push(position);
            }
        }
        let mut starts = vec![0; kept.rows.len()];
        let columns: usize = self.expressions.iter().map(|expression| expression.partition + expression.inputs).sum();
        let row_of = |position: usize| {
            let row = kept.rows[position].0.as_bytes();
            &row[prefix_length(row, columns)..]
        };
        let mut results: Vec<Vec<Row>> = Vec::with_capacity(self.expressions.len());
        for Prepared { window, partition, inputs } in &self.expressions {
            let mut partitions = KeyTable::new();
            let mut members: Vec<Vec<usize>> = Vec::new();
            let mut ends = vec![(0, 0); kept.rows.len()];
            for (position, (row, _)) in kept.rows.iter().enumerate() {
                let row = &row.as_bytes()[starts[position]..];
                let key = prefix_length(row, *partition);
                ends[position] = (starts[position] + key, starts[position] + key + prefix_length(&row[key..], *inputs));
            }
            for (occurrence, &position) in occurrences.iter().enumerate() {
                let (number, is_new) = partitions.insert(&kept.rows[position].0.as_bytes()[starts[position]..ends[position].0]);
                if is_new {
                    members.push(Vec::new());
                }
                members[number].push(occurrence);
            }
            let mut result = vec![Row::empty(); occurrences.len()];
            for members in &members {
                env.guard.check_cancelled()?;
                let rows: Vec<PartitionRow<'_>> = members
                    .iter()
                    .map(|&occurrence| {
                        let position = occurrences[occurrence];
                        let (start, end) = ends[position];
                        PartitionRow { inputs: &kept.rows[position].0.as_bytes()[start..end], row: row_of(position) }
                    })
                    .collect();
                let mut heap_bytes = 0;
                window.compute_partition(&rows, &mut |row, datum| {
                    let datum = Row::from_bytes(datum);
                    heap_bytes += datum.heap_bytes();
                    result[members[row]] = datum;
                })?;
                charge.add(heap_bytes)?;
            }
            starts = ends.into_iter().map(|(_, end)| end).collect();
            results.push(result);
        }
        let mut out = RowBuilder::new();
        for (occurrence, &position) in occurrences.iter().enumerate() {
            out.clear();
            out.push_encoded(row_of(position));
            results.iter().for_each(|result| out.push_encoded(result[occurrence].as_bytes()));
            if !sink(out.as_bytes(), 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

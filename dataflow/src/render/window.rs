//! Window functions: each partition is computed again when it changes.

use super::Time;
use super::bundle::Bundle;
use super::operators::{map_rows, reduce_fallible};
use super::render::Renderer;
use crate::layout::split;
use plan::evaluate::window::{PartitionRow, PreparedWindow};
use plan::{Scalar, WindowExpression};
use repr::{ColumnType, Datum, EvalError, Row, RowBuilder, RowRef, Type};

impl<'scope, T: Time> Renderer<'scope, '_, T> {
    /// Expressions with the same partition are computed together, one partition after the other. Equal rows must stay told apart in between, since they
    /// may get different values (`row_number`): each carries how many of its like come before it.
    pub fn window(&mut self, input: Bundle<'scope, T>, expressions: &[WindowExpression]) -> Bundle<'scope, T> {
        let mut groups: Vec<(&[Scalar], Vec<usize>)> = Vec::new();
        for (position, expression) in expressions.iter().enumerate() {
            match groups.iter_mut().find(|(partition, _)| *partition == expression.partition) {
                Some((_, members)) => members.push(position),
                None => groups.push((&expression.partition, vec![position])),
            }
        }
        let columns = input.types().len();
        let mut bundle = input;
        // Where the results of the expressions are, among the columns made so far.
        let mut placed: Vec<usize> = Vec::new();
        for (round, (partition, members)) in groups.iter().enumerate() {
            let expressions: Vec<&WindowExpression> = members.iter().map(|&member| &expressions[member]).collect();
            bundle = self.window_group(bundle, columns, round > 0, partition, &expressions);
            placed.extend(members);
        }
        let result = |expression: usize| placed.iter().position(|&at| at == expression).map(|at| columns + at);
        let outputs: Vec<usize> = (0..columns).chain((0..expressions.len()).filter_map(result)).collect();
        bundle.linear.project(&outputs);
        bundle
    }

    /// Appends the results of expressions over one partition. The last column of the result, and of the input when it is `numbered`, numbers equal rows.
    fn window_group(&mut self, input: Bundle<'scope, T>, original: usize, numbered: bool, partition: &[Scalar], expressions: &[&WindowExpression]) -> Bundle<'scope, T> {
        let types = input.types();
        let results = types.len() - usize::from(numbered);
        let inputs: Vec<Vec<Scalar>> = expressions.iter().map(|expression| expression.inputs()).collect();
        let scalars: Vec<Scalar> =
            partition.iter().cloned().chain(inputs.iter().flatten().cloned()).chain((0..types.len()).map(Scalar::Column)).collect();
        let (pairs, mut errors) = input.computed(&scalars, partition.len(), self.context, "WindowInput");
        let widths: Vec<usize> = inputs.iter().map(Vec::len).collect();
        let prepared: Vec<PreparedWindow> = expressions.iter().map(|expression| PreparedWindow::new(expression, self.context)).collect();
        let (pairs, failed) = reduce_fallible(
            pairs,
            "Window",
            Box::new(move |_, values| {
                let values = values.iter().filter(|(_, count)| *count > 0).map(|(value, count)| (value.0, *count));
                compute(values, &widths, &prepared, original, results, numbered)
            }),
        );
        errors.push(failed);
        let mut types: Vec<ColumnType> = types[..results].to_vec();
        types.extend(expressions.iter().map(|expression| expression.column_type.clone()));
        types.push(ColumnType::new(Type::Int8).not_null());
        Bundle::from_rows(map_rows(pairs, |(_, row)| row), types, errors)
    }
}

/// A row of a partition, taken apart.
struct Item<'a> {
    /// What each expression needs.
    inputs: Vec<&'a [u8]>,
    /// The columns below the window node.
    original: &'a [u8],
    /// Those and earlier results.
    row: &'a [u8],
    number: i64,
}

fn compute<'a>(
    values: impl Iterator<Item = (&'a [u8], i64)>,
    widths: &[usize],
    prepared: &[PreparedWindow],
    original: usize,
    results: usize,
    numbered: bool,
) -> Result<Vec<(Row, i64)>, EvalError> {
    let mut items = Vec::new();
    for (value, count) in values {
        let mut inputs = Vec::with_capacity(widths.len());
        let mut rest = value;
        for &width in widths {
            let (input, after) = split(rest, width);
            inputs.push(input);
            rest = after;
        }
        let (row, number) = split(rest, results);
        let number = match RowRef::new(number).iter().next() {
            Some(Datum::Int8(number)) if numbered => number,
            _ => 0,
        };
        for copy in 0..count {
            items.push(Item { inputs: inputs.clone(), original: split(row, original).0, row, number: number + copy });
        }
    }
    // Equal rows are numbered in the order in which they are given.
    items.sort_by(|left, right| (left.original, left.number).cmp(&(right.original, right.number)));
    let mut columns: Vec<Vec<Row>> = Vec::with_capacity(prepared.len());
    for (position, window) in prepared.iter().enumerate() {
        let rows: Vec<PartitionRow<'_>> = items.iter().map(|item| PartitionRow { inputs: item.inputs[position], row: item.original }).collect();
        let mut column = vec![Row::empty(); rows.len()];
        window.compute_partition(&rows, &mut |row, datum| column[row] = Row::from_bytes(datum))?;
        columns.push(column);
    }
    let mut builder = RowBuilder::new();
    let rows = items.iter().enumerate().map(|(at, item)| {
        builder.push_encoded(item.row);
        columns.iter().for_each(|column| builder.push_encoded(column[at].as_bytes()));
        builder.push(Datum::Int8(item.number));
        (builder.finish(), 1)
    });
    Ok(rows.collect())
}

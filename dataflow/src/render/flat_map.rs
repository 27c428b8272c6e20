//! Table functions.

use super::Time;
use super::bundle::Bundle;
use super::operators::{fallible, give};
use super::render::Renderer;
use super::stage::{error_row, origin};
use plan::{Scalar, TableFunction};
use repr::Row;
use timely::dataflow::channels::pact::Pipeline;

/// More rows than this from one call are sent in several pieces.
const PIECE_ROWS: usize = 4096;

pub fn render<'scope, T: Time>(renderer: &Renderer<'scope, '_, T>, input: Bundle<'scope, T>, function: &TableFunction, arguments: &[Scalar]) -> Bundle<'scope, T> {
    let mut types = input.types();
    let columns: Vec<usize> = (0..types.len()).collect();
    let (pairs, mut errors) = input.pairs(arguments, &columns, renderer.context, "FlatMapArguments");
    types.extend(function.columns().into_iter().map(|(_, column_type)| column_type));
    let function = function.clone();
    let time_zone = renderer.context.text.time_zone;
    let (rows, errs) = fallible(pairs, Pipeline, "FlatMap", |_| {
        let (mut oks, mut errs, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        move |input, oks_output, errs_output| {
            input.for_each(|capability, pairs| {
                for ((arguments, row), time, diff) in pairs.drain(..) {
                    let before = oks.len();
                    let result = function.apply(arguments.as_bytes(), time_zone, &mut |columns, count| {
                        buffer.clear();
                        buffer.extend_from_slice(row.as_bytes());
                        buffer.extend_from_slice(columns);
                        oks.push((Row::from_bytes(&buffer), time.clone(), diff.wrapping_mul(count)));
                        true
                    });
                    if let Err(error) = result {
                        oks.truncate(before);
                        errs.push((error_row(&error, origin(&[arguments.as_bytes(), row.as_bytes()])), time, diff));
                    }
                    if oks.len() >= PIECE_ROWS {
                        give(oks_output, &capability, &mut oks);
                    }
                }
                give(oks_output, &capability, &mut oks);
                give(errs_output, &capability, &mut errs);
            });
        }
    });
    errors.push(errs);
    Bundle::from_rows(rows, types, errors)
}

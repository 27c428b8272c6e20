//! Delta joins: for each input a path that carries its changes past arrangements of all other inputs, without intermediate state.
//!
//! A change meets what the other inputs hold at its time; of two changes at the same time, the one of the input written later meets the other.

use super::bundle::{Bundle, Keyed};
use super::join::Classes;
use super::operators::{self, Rows, Updates};
use super::render::Renderer;
use super::stage::Linear;
use differential_dataflow::AsCollection;
use differential_dogs3::operators::half_join::half_join;
use plan::Scalar;
use repr::{ColumnType, Row};
use std::collections::BTreeSet;
use timely::dataflow::operators::vec::Map;

pub fn render<'scope>(
    renderer: &mut Renderer<'scope, '_, u64>,
    inputs: Vec<Bundle<'scope, u64>>,
    classes: &Classes,
    orders: &[Vec<usize>],
    following: Linear,
) -> Bundle<'scope, u64> {
    let inputs: Vec<Bundle<'scope, u64>> = inputs.into_iter().map(|input| input.settled(renderer.context)).collect();
    let mut paths = Vec::new();
    let mut errors = Vec::new();
    for source in 0..inputs.len() {
        let order = complete_order(source, orders.get(source), inputs.len());
        let (rows, path_errors) = path(renderer, &inputs, classes, source, &order);
        paths.push(rows);
        errors.extend(path_errors);
    }
    let rows = operators::concatenate(renderer.scope, paths);
    let types: Vec<ColumnType> = inputs.iter().flat_map(|input| input.types()).collect();
    // Errors of the inputs are those of each path; those of what follows come with the rows.
    let bundle = Bundle::from_rows(rows, types, errors);
    let columns = classes.original_columns(&inputs);
    let mut bundle = bundle;
    bundle.linear.project(&columns);
    renderer.after(bundle, following)
}

/// The order of a path, whatever a planner left out.
fn complete_order(source: usize, order: Option<&Vec<usize>>, inputs: usize) -> Vec<usize> {
    let mut complete = Vec::new();
    for input in order.into_iter().flatten().copied().chain(0..inputs) {
        if input != source && input < inputs && !complete.contains(&input) {
            complete.push(input);
        }
    }
    complete
}

/// The changes of one input, joined with all others; columns in the order the inputs are written.
fn path<'scope>(
    renderer: &mut Renderer<'scope, '_, u64>,
    inputs: &[Bundle<'scope, u64>],
    classes: &Classes,
    source: usize,
    order: &[usize],
) -> (Rows<'scope, u64>, Vec<Rows<'scope, u64>>) {
    let context = renderer.context;
    let mut bound = vec![source];
    let mut columns: Vec<(usize, usize)> = (0..inputs[source].types().len()).map(|column| (source, column)).collect();
    let (mut rows, mut errors) = inputs[source].rows(context);
    let mut types = inputs[source].types();
    for &next in order {
        let mut connections = classes.connecting(next, &bound);
        super::join::order_by_known_key(&mut connections, &inputs[next], |(there, _, _)| there.clone());
        let there: Vec<Scalar> = connections.iter().map(|(there, _, _)| there.clone()).collect();
        let arity = inputs[next].types().len();
        let keyed = inputs[next].keyed(&there, &(0..arity).collect::<BTreeSet<usize>>(), context, "DeltaJoin");
        errors.extend(keyed.errors.iter().cloned());
        let position = |input: usize, column: usize| columns.iter().position(|&at| at == (input, column)).unwrap_or_default();
        let here: Vec<Scalar> = connections
            .iter()
            .map(|(_, input, scalar)| {
                let mut scalar = scalar.clone();
                scalar.remap_columns(&mut |column| position(*input, column));
                scalar
            })
            .collect();
        let prefix = Bundle::from_rows(rows, types.clone(), Vec::new());
        let (pairs, prefix_errors) = prefix.pairs(&here, &(0..types.len()).collect::<Vec<_>>(), context, "DeltaKey");
        errors.extend(prefix_errors);
        let is_before = next < source;
        rows = meet(pairs, &keyed, is_before);
        bound.push(next);
        columns.extend((0..arity).map(|column| (next, column)));
        types.extend(inputs[next].types());
    }
    let mut sorted: Vec<(usize, usize)> = columns.clone();
    sorted.sort_unstable();
    let mut bundle = Bundle::from_rows(rows, types, Vec::new());
    bundle.linear.project(&sorted.iter().map(|at| columns.iter().position(|column| column == at).unwrap_or_default()).collect::<Vec<_>>());
    let (rows, project_errors) = bundle.rows(context);
    errors.extend(project_errors);
    (rows, errors)
}

/// Changes meet an arrangement: what it held before them, and what it holds at their time if its input is written before theirs.
fn meet<'scope>(pairs: Updates<'scope, u64, (Row, Row)>, keyed: &Keyed<'scope, u64>, is_before: bool) -> Rows<'scope, u64> {
    let changes = pairs.map(|((key, value), time, diff)| ((key, value, time), time, diff)).as_collection();
    let key_columns = keyed.key_columns;
    let stored = keyed.stored.len() - key_columns;
    let positions: Vec<usize> = keyed.positions.iter().map(|position| position.unwrap_or_default()).collect();
    let (mut buffer, mut datums) = (Vec::new(), Vec::new());
    let met = half_join(
        changes,
        keyed.arranged.clone(),
        |time, frontier| {
            frontier.insert(time.saturating_sub(1));
        },
        move |there: &u64, here: &u64| if is_before { there <= here } else { there < here },
        move |key: &Row, here: &Row, there: super::container::Packed<'_>| {
            datums.clear();
            for (part, columns) in [(key.as_bytes(), key_columns), (there.0, stored)] {
                let mut start = 0;
                for _ in 0..columns {
                    let end = start + repr::skip_datum(&part[start..]);
                    datums.push((part.len(), start, end));
                    start = end;
                }
            }
            buffer.clear();
            buffer.extend_from_slice(here.as_bytes());
            for &position in &positions {
                let part = if position < key_columns { key.as_bytes() } else { there.0 };
                if let Some((_, start, end)) = datums.get(position) {
                    buffer.extend_from_slice(&part[*start..*end]);
                }
            }
            Row::from_bytes(&buffer)
        },
    );
    met.inner.map(|((row, time), _, diff)| (row, time, diff))
}

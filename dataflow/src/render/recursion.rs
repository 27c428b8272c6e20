//! Recursive bindings.
//!
//! Iteration `i` computes all bindings from the values they had after iteration `i - 1`, in a scope whose times count iterations. Recursions inside of
//! one another share that scope: each has a coordinate of its own.
//!
//! An error in any iteration is an error of the result, whatever later iterations compute: errors are bindings too, and keep what they had.

use super::bundle::Bundle;
use super::operators::{self, Rows, map_rows};
use super::render::Renderer;
use super::trace::{enter, own};
use super::{Inner, Time};
use differential_dataflow::AsCollection;
use differential_dataflow::dynamic::feedback_summary;
use differential_dataflow::operators::iterate::Variable;
use plan::{Id, LocalId, Plan, RecursiveBinding};
use repr::Row;
use std::collections::BTreeSet;
use timely::dataflow::operators::vec::{Filter, Map};
use timely::dataflow::operators::{Enter, Leave};
use timely::order::Product;

/// The rows of a binding, and the errors of all of them.
struct Fixpoint<'scope, T: Time> {
    rows: Vec<(LocalId, Vec<repr::ColumnType>, Rows<'scope, T>)>,
    errors: Rows<'scope, T>,
}

/// Whether the rows of a binding may have negative multiplicities, whatever it reads.
pub fn may_be_negative(binding: &RecursiveBinding) -> bool {
    !matches!(binding.value, Plan::Reduce { .. } | Plan::TopK { .. } | Plan::Window { .. } | Plan::Threshold { .. })
}

/// The bindings that the body reads, or that one of those reads.
fn read_bindings<'p>(bindings: &'p [RecursiveBinding], body: &Plan) -> Vec<&'p RecursiveBinding> {
    let mut read = BTreeSet::new();
    add_locals(body, &mut read);
    loop {
        let before = read.len();
        for binding in bindings {
            if read.contains(&binding.id) {
                add_locals(&binding.value, &mut read);
            }
        }
        if read.len() == before {
            return bindings.iter().filter(|binding| read.contains(&binding.id)).collect();
        }
    }
}

/// The bindings a plan needs: those it reads, but not those that only a binding reads which is itself not needed.
fn add_locals(plan: &Plan, read: &mut BTreeSet<LocalId>) {
    match plan {
        Plan::Get { id: Id::Local(id), .. } => {
            read.insert(*id);
        }
        Plan::Let { id, value, body } => {
            let mut inner = BTreeSet::new();
            add_locals(body, &mut inner);
            if inner.remove(id) {
                add_locals(value, &mut inner);
            }
            read.extend(inner);
        }
        Plan::LetRec { bindings, body, .. } => {
            let mut inner = BTreeSet::new();
            add_locals(body, &mut inner);
            for binding in read_bindings(bindings, body) {
                add_locals(&binding.value, &mut inner);
            }
            inner.retain(|id| bindings.iter().all(|binding| binding.id != *id));
            read.extend(inner);
        }
        plan => plan.for_each_child(&mut |child| add_locals(child, read)),
    }
}

/// A recursion that is not inside of another.
pub fn render_outermost<'scope>(renderer: &mut Renderer<'scope, '_, u64>, bindings: &[RecursiveBinding], limit: Option<u64>, body: &Plan) -> Bundle<'scope, u64> {
    let outer = renderer.scope;
    let read = read_bindings(bindings, body);
    let fixpoint = outer.iterative(|scope: timely::dataflow::Scope<'_, Inner>| {
        let context = renderer.context;
        let mut inner = Renderer {
            scope,
            context,
            as_of: renderer.as_of,
            globals: renderer.globals.iter().map(|(id, bundle)| (*id, enter_bundle(bundle, scope, context))).collect(),
            locals: renderer.locals.iter().map(|(id, bundle)| (*id, enter_bundle(bundle, scope, context))).collect(),
            negative: renderer.negative.clone(),
            depth: 0,
        };
        let fixpoint = iterate(&mut inner, &read, limit);
        let leave = |rows: Rows<'_, Inner>| rows.map(|(row, time, diff)| (row, time.outer, diff)).leave(outer);
        Fixpoint { rows: fixpoint.rows.into_iter().map(|(id, types, rows)| (id, types, leave(rows))).collect(), errors: leave(fixpoint.errors) }
    });
    render_body(renderer, fixpoint, &read, body)
}

/// A recursion inside of another.
pub fn render_nested<'scope>(renderer: &mut Renderer<'scope, '_, Inner>, bindings: &[RecursiveBinding], limit: Option<u64>, body: &Plan) -> Bundle<'scope, Inner> {
    let read = read_bindings(bindings, body);
    let fixpoint = iterate(renderer, &read, limit);
    let depth = renderer.depth + 1;
    let leave = |rows: Rows<'scope, Inner>| rows.as_collection().leave_dynamic(depth).inner;
    let fixpoint =
        Fixpoint { rows: fixpoint.rows.into_iter().map(|(id, types, rows)| (id, types, leave(rows))).collect(), errors: leave(fixpoint.errors) };
    render_body(renderer, fixpoint, &read, body)
}

fn render_body<'scope, T: Time>(renderer: &mut Renderer<'scope, '_, T>, fixpoint: Fixpoint<'scope, T>, read: &[&RecursiveBinding], body: &Plan) -> Bundle<'scope, T> {
    let is_negative = |id: &LocalId| read.iter().any(|binding| binding.id == *id && may_be_negative(binding));
    let mut hidden = Vec::new();
    for (id, types, rows) in fixpoint.rows {
        let bundle = Bundle::from_rows(rows, types, Vec::new());
        hidden.push((id, renderer.bind(id, bundle, is_negative(&id))));
    }
    let mut result = renderer.render(body);
    for (id, before) in hidden {
        renderer.unbind(id, before);
    }
    result.errors.push(fixpoint.errors);
    result
}

fn enter_bundle<'inner>(bundle: &Bundle<'_, u64>, scope: timely::dataflow::Scope<'inner, Inner>, context: &plan::Context) -> Bundle<'inner, Inner> {
    let enter_rows = |rows: Rows<'_, u64>| rows.enter(scope).map(|(row, time, diff)| (row, Product::new(time, Default::default()), diff));
    let settled = bundle.clone().settled(context);
    settled.transfer(|arranged| enter(arranged, scope), enter_rows)
}

/// Renders the bindings; the rows and errors are those of every iteration.
fn iterate<'scope>(renderer: &mut Renderer<'scope, '_, Inner>, bindings: &[&RecursiveBinding], limit: Option<u64>) -> Fixpoint<'scope, Inner> {
    let scope = renderer.scope;
    if limit == Some(0) {
        let empty = |renderer: &Renderer<'scope, '_, Inner>| renderer.constant(Vec::new());
        let rows = bindings.iter().map(|binding| (binding.id, binding.types.clone(), empty(renderer))).collect();
        return Fixpoint { rows, errors: empty(renderer) };
    }
    let depth = renderer.depth + 1;
    let summary = || Product::new(Default::default(), feedback_summary::<u64>(depth, 1));
    // Updates of the last iteration are not fed back.
    let is_followed = move |time: &Inner| limit.is_none_or(|limit| time.inner.get(depth - 1).copied().unwrap_or(0) + 1 < limit);
    let mut variables = Vec::new();
    let mut hidden = Vec::new();
    for binding in bindings {
        let (variable, rows) = Variable::new(scope, summary());
        let bundle = Bundle::from_rows(rows.inner, binding.types.clone(), Vec::new());
        hidden.push((binding.id, renderer.bind(binding.id, bundle, may_be_negative(binding))));
        variables.push(variable);
    }
    let (errors_variable, previous_errors) = Variable::new(scope, summary());
    renderer.depth = depth;
    let mut rows = Vec::new();
    let mut errors = vec![previous_errors.inner];
    for (binding, variable) in bindings.iter().zip(variables) {
        let (value, value_errors) = renderer.render(&binding.value).rows(renderer.context);
        errors.extend(value_errors);
        let value = consolidate(value, "Iteration");
        variable.set(value.clone().filter(move |(_, time, _)| is_followed(time)).as_collection());
        rows.push((binding.id, binding.types.clone(), value));
    }
    renderer.depth = depth - 1;
    for (id, before) in hidden {
        renderer.unbind(id, before);
    }
    let errors = distinct(operators::concatenate(scope, errors));
    errors_variable.set(errors.clone().filter(move |(_, time, _)| is_followed(time)).as_collection());
    Fixpoint { rows, errors }
}

/// Sums updates up, lest those that cancel go round for ever.
fn consolidate<'scope>(rows: Rows<'scope, Inner>, name: &str) -> Rows<'scope, Inner> {
    let arranged = own(operators::arrange(map_rows(rows, |row| (row, Row::empty())), name));
    arranged.as_collection(|key, _| Row::from_bytes(key.0)).inner
}

fn distinct<'scope>(errors: Rows<'scope, Inner>) -> Rows<'scope, Inner> {
    let arranged = own(operators::arrange_errors(errors, "IterationErrors"));
    let distinct = operators::reduce(
        arranged,
        "IterationErrors",
        Box::new(|_, values, output| {
            if values.iter().any(|(_, count)| *count != 0) {
                output.push((Row::empty(), 1));
            }
        }),
    );
    own(distinct).as_collection(|key, _| Row::from_bytes(key.0)).inner
}

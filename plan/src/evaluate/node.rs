//! The prepared operators and how rows are pushed through them.

use super::guard::{Guard, Kept};
use super::hash::KeyTable;
use super::join::Join;
use super::mapper::{Constants, Mapper};
use super::reduce::Reduce;
use super::top_k::TopK;
use super::window::Window;
use super::{Inputs, guard};
use crate::TableFunction;
use repr::{CollectionId, Diff, EvalError, Row, RowBuilder, SqlState, TimeZone, skip_datum};
use std::cell::RefCell;
use std::rc::Rc;

/// Takes an encoded row and its multiplicity; false: enough.
pub type Sink<'s> = &'s mut dyn FnMut(&[u8], Diff) -> Result<bool, EvalError>;

/// What one run works with.
pub struct Env<'a> {
    pub inputs: &'a dyn Inputs,
    pub guard: &'a Guard<'a>,
    /// The values of the bindings in scope, by slot.
    pub locals: RefCell<Vec<Option<Rc<Kept<'a>>>>>,
}

/// A prepared plan node. Running it twice gives the same rows: what it remembers from one run to the next is buffers.
pub enum Node {
    Constant(Result<Vec<(Row, Diff)>, EvalError>),
    Scan(CollectionId),
    Lookup(Lookup),
    Range(Range),
    Local(usize),
    Let {
        slot: usize,
        value: Box<Node>,
        body: Box<Node>,
    },
    LetRec {
        bindings: Vec<(usize, Node)>,
        limit: Option<u64>,
        body: Box<Node>,
    },
    Source(Box<Source>),
    FlatMap(Box<FlatMap>),
    Join(Box<Join>),
    Reduce(Box<Reduce>),
    TopK(Box<TopK>),
    Window(Box<Window>),
    Negate(Box<Node>),
    /// Rows with the sum of their multiplicities where that is positive or, without the flag, not zero.
    Consolidate {
        input: Box<Node>,
        positive: bool,
    },
    Union(Vec<Node>),
}

/// A node and the transform its rows pass.
pub struct Source {
    pub input: Node,
    /// `None`: rows pass unchanged.
    pub mapper: Option<Mapper>,
}

pub struct Lookup {
    pub id: CollectionId,
    pub index: CollectionId,
    pub keys: Vec<Constants>,
    /// Some key column needs its canonical form.
    pub canonical: bool,
}

pub struct Range {
    pub id: CollectionId,
    pub index: CollectionId,
    pub lower: Option<(Constants, bool)>,
    pub upper: Option<(Constants, bool)>,
    pub descending: bool,
}

pub struct FlatMap {
    /// Gives the arguments followed by the row.
    pub source: Source,
    pub function: TableFunction,
    pub arguments: usize,
    pub time_zone: TimeZone,
    pub out: RowBuilder,
}

/// The length of the first `count` datums.
#[inline]
pub fn prefix_length(row: &[u8], count: usize) -> usize {
    let mut length = 0;
    for _ in 0..count {
        length += skip_datum(&row[length..]);
    }
    length
}

/// The multiplicity of a combination of rows.
#[inline]
pub fn multiply(left: Diff, right: Diff) -> Result<Diff, EvalError> {
    left.checked_mul(right).ok_or_else(|| EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a row is repeated more often than can be counted"))
}

impl Source {
    pub fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        match &mut self.mapper {
            None => self.input.run(env, sink),
            Some(mapper) => {
                mapper.begin();
                // Also after the receiver has had enough: rows that wait in the batch have reached the transform.
                self.input.run(env, &mut |row, diff| mapper.push(row, diff, sink))?;
                mapper.flush(sink)
            }
        }
    }
    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        if let Some(mapper) = &mut self.mapper {
            mapper.bind(values)?;
        }
        self.input.bind(values)
    }
}

impl Node {
    /// Pushes every row of the result, in no particular order and not consolidated. False: the receiver had enough.
    pub fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        match self {
            Node::Constant(rows) => push_rows(rows.as_ref().map_err(|error| error.clone())?, env, sink),
            Node::Scan(id) => from_input(env, sink, |visit| env.inputs.scan(*id, visit)),
            Node::Lookup(lookup) => lookup.run(env, sink),
            Node::Range(range) => range.run(env, sink),
            Node::Local(slot) => {
                let value = env.locals.borrow().get(*slot).cloned().flatten();
                let value = value.ok_or_else(|| EvalError::new(SqlState::INTERNAL_ERROR, "a plan reads a binding that is not in scope"))?;
                push_rows(&value.rows, env, sink)
            }
            Node::Let { slot, value, body } => {
                let kept = collect(value, env)?;
                env.locals.borrow_mut()[*slot] = Some(Rc::new(kept));
                let result = body.run(env, sink);
                env.locals.borrow_mut()[*slot] = None;
                result
            }
            Node::LetRec { bindings, limit, body } => {
                let result = iterate(bindings, *limit, env).and_then(|()| body.run(env, sink));
                for (slot, _) in bindings {
                    env.locals.borrow_mut()[*slot] = None;
                }
                result
            }
            Node::Source(source) => source.run(env, sink),
            Node::FlatMap(flat_map) => flat_map.run(env, sink),
            Node::Join(join) => join.run(env, sink),
            Node::Reduce(reduce) => reduce.run(env, sink),
            Node::TopK(top_k) => top_k.run(env, sink),
            Node::Window(window) => window.run(env, sink),
            Node::Negate(input) => input.run(env, &mut |row, diff| sink(row, diff.wrapping_neg())),
            Node::Consolidate { input, positive } => run_consolidate(input, *positive, env, sink),
            Node::Union(inputs) => {
                let mut wanted = true;
                for input in inputs {
                    wanted = wanted && input.run(env, sink)?;
                }
                Ok(wanted)
            }
        }
    }

    /// Sets the parameters of the whole tree.
    pub fn bind(&mut self, values: &Row) -> Result<(), EvalError> {
        match self {
            Node::Constant(_) | Node::Scan(_) | Node::Local(_) => Ok(()),
            Node::Lookup(lookup) => lookup.keys.iter_mut().try_for_each(|key| key.bind(values)),
            Node::Range(range) => range.lower.iter_mut().chain(&mut range.upper).try_for_each(|(bound, _)| bound.bind(values)),
            Node::Let { value, body, .. } => value.bind(values).and_then(|()| body.bind(values)),
            Node::LetRec { bindings, body, .. } => bindings.iter_mut().try_for_each(|(_, value)| value.bind(values)).and_then(|()| body.bind(values)),
            Node::Source(source) => source.bind(values),
            Node::FlatMap(flat_map) => flat_map.source.bind(values),
            Node::Join(join) => join.bind(values),
            Node::Reduce(reduce) => reduce.source.bind(values),
            Node::TopK(top_k) => top_k.bind(values),
            Node::Window(window) => window.bind(values),
            Node::Negate(input) | Node::Consolidate { input, .. } => input.bind(values),
            Node::Union(inputs) => inputs.iter_mut().try_for_each(|input| input.bind(values)),
        }
    }
}

/// The rows of a node, consolidated, and their memory counted.
pub fn collect<'a>(node: &mut Node, env: &Env<'a>) -> Result<Kept<'a>, EvalError> {
    let mut kept = Kept::new(env.guard);
    node.run(env, &mut |row, diff| kept.push(row, diff).map(|()| true))?;
    kept.consolidate();
    Ok(kept)
}

fn push_rows(rows: &[(Row, Diff)], env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
    for (row, diff) in rows {
        env.guard.row()?;
        if *diff != 0 && !sink(row.as_bytes(), *diff)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Carries errors and stops of the receiver through the callback of an input.
fn from_input(
    env: &Env<'_>,
    sink: Sink<'_>,
    read: impl FnOnce(&mut dyn FnMut(&[u8], Diff) -> bool) -> Result<(), EvalError>,
) -> Result<bool, EvalError> {
    let mut result = Ok(true);
    read(&mut |row, diff| {
        result = env.guard.row().and_then(|()| sink(row, diff));
        matches!(result, Ok(true))
    })?;
    result
}

impl Lookup {
    fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        if let [key] = &self.keys[..] {
            return match self.key(key.value()?) {
                Some(key) => from_input(env, sink, |visit| env.inputs.lookup(self.id, self.index, &key, visit)),
                None => Ok(true),
            };
        }
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            keys.extend(self.key(key.value()?));
        }
        // A row is found once, however often its key is named.
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            if !from_input(env, sink, |visit| env.inputs.lookup(self.id, self.index, key, visit))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key as the index has it; `None` when a column is NULL, which equals nothing.
    fn key(&self, values: &Row) -> Option<Row> {
        if values.iter().any(|datum| datum.is_null()) {
            None
        } else if self.canonical {
            Some(canonical_row(values))
        } else {
            Some(values.clone())
        }
    }
}

fn canonical_row(values: &Row) -> Row {
    let mut row = RowBuilder::new();
    values.iter().for_each(|datum| row.push_canonical(datum));
    row.finish()
}

impl Range {
    fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        /// Greater than every key that starts with the bytes before it: no datum starts with it.
        const AFTER: u8 = 0xFF;
        let bound = |bound: &Option<(Constants, bool)>, after_when_inclusive: bool| -> Result<Option<Option<Vec<u8>>>, EvalError> {
            let Some((values, inclusive)) = bound else {
                return Ok(Some(None));
            };
            let values = values.value()?;
            // Nothing compares with NULL.
            if values.iter().any(|datum| datum.is_null()) {
                return Ok(None);
            }
            let mut bytes = canonical_row(values).as_bytes().to_vec();
            if *inclusive == after_when_inclusive {
                bytes.push(AFTER);
            }
            Ok(Some(Some(bytes)))
        };
        let (Some(lower), Some(upper)) = (bound(&self.lower, false)?, bound(&self.upper, true)?) else {
            return Ok(true);
        };
        from_input(env, sink, |visit| env.inputs.range(self.id, self.index, lower.as_deref(), upper.as_deref(), self.descending, visit))
    }
}

impl FlatMap {
    fn run(&mut self, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
        let FlatMap { source, function, arguments, time_zone, out } = self;
        source.run(env, &mut |row, diff| {
            let (arguments, row) = row.split_at(prefix_length(row, *arguments));
            let mut result = Ok(true);
            function.apply(arguments, *time_zone, &mut |produced, times| {
                out.clear();
                out.push_encoded(row);
                out.push_encoded(produced);
                result = env.guard.row().and_then(|()| sink(out.as_bytes(), multiply(diff, times)?));
                matches!(result, Ok(true))
            })?;
            result
        })
    }
}

fn iterate(bindings: &mut [(usize, Node)], limit: Option<u64>, env: &Env<'_>) -> Result<(), EvalError> {
    for (slot, _) in bindings.iter() {
        env.locals.borrow_mut()[*slot] = Some(Rc::new(Kept::new(env.guard)));
    }
    let mut iterations = 0;
    while limit.is_none_or(|limit| iterations < limit) {
        env.guard.check_cancelled()?;
        let mut values = Vec::with_capacity(bindings.len());
        for (_, value) in bindings.iter_mut() {
            values.push(collect(value, env)?);
        }
        let mut changed = false;
        for ((slot, _), value) in bindings.iter().zip(values) {
            let slot = &mut env.locals.borrow_mut()[*slot];
            changed |= slot.as_ref().is_none_or(|previous| previous.rows != value.rows);
            *slot = Some(Rc::new(value));
        }
        if !changed {
            break;
        }
        iterations += 1;
    }
    Ok(())
}

fn run_consolidate(input: &mut Node, positive: bool, env: &Env<'_>, sink: Sink<'_>) -> Result<bool, EvalError> {
    let mut charge = guard::Charge::new(env.guard);
    let mut table = KeyTable::new();
    let mut diffs: Vec<Diff> = Vec::new();
    input.run(env, &mut |row, diff| {
        let (position, is_new) = table.insert(row);
        if is_new {
            charge.add(KeyTable::bytes_per_key(row) + size_of::<Diff>())?;
            diffs.push(0);
        }
        diffs[position] = diffs[position].wrapping_add(diff);
        Ok(true)
    })?;
    for (position, diff) in diffs.iter().enumerate() {
        let wanted = if positive { *diff > 0 } else { *diff != 0 };
        if wanted && !sink(table.key(position), *diff)? {
            return Ok(false);
        }
    }
    Ok(true)
}

//! Scalars compiled to a graph of nodes: each distinct sub-expression once, computed at most once per row of a batch and only for rows that need it.
//!
//! # Frames
//! A node is computed for a *selection*. Narrowing the selection (a branch, the tail of an AND, what a filter left) opens a frame; leaving the branch
//! closes it. A node remembers the frame it was computed in: while that frame is open, every selection in use is a subset of the node's, so the node's
//! vector serves; when it is closed the node is computed again. Frame numbers are never used twice.

use super::batch::Batch;
use super::column::{ERROR, NULL, Selection, VALUE, Vector};
use crate::functions::{BatchKernel, Call, Volatility, casts};
use crate::{Context, Function, Scalar};
use repr::{ColumnType, Datum, EvalError, Numeric, Row, RowBuilder, SqlState, Type};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) type NodeId = usize;
type FrameId = u64;

/// Not computed.
const NEVER: FrameId = 0;
/// Computed once for all batches: constants.
const FOREVER: FrameId = 1;

enum Operation {
    /// The datum that starts at a boundary of the input row.
    Column {
        boundary: usize,
    },
    /// The vector was filled when the program was compiled.
    Constant,
    Call {
        kernel: Box<dyn BatchKernel>,
        arguments: SmallVec<[NodeId; 4]>,
    },
    And(Vec<NodeId>),
    Or(Vec<NodeId>),
    If {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    Coalesce(Vec<NodeId>),
    InList {
        value: NodeId,
        list: Arc<Vec<Row>>,
        has_null: bool,
        trim_blanks: bool,
        builder: RowBuilder,
    },
    Quantified(Box<Quantified>),
    /// It is being run.
    Taken,
}

/// `left op ANY/ALL (array)`: the pairs of a batch are laid end to end and the operator runs over them once.
struct Quantified {
    kernel: Box<dyn BatchKernel>,
    left: NodeId,
    array: NodeId,
    all: bool,
    lefts: Vector,
    elements: Vector,
    results: Vector,
    ends: Vec<u32>,
}

struct Node {
    operation: Operation,
    column_type: ColumnType,
    /// Has one value for all batches.
    constant: bool,
    /// Computed for whole batches, so that a row has one value however often it is looked at.
    volatile: bool,
}

/// What makes two nodes the same.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Column(usize),
    Literal(Row, Type),
    Call(Function, Vec<NodeId>, ColumnType),
    Cast(NodeId, crate::CastKind, ColumnType),
    And(Vec<NodeId>),
    Or(Vec<NodeId>),
    If(NodeId, NodeId, NodeId),
    Coalesce(Vec<NodeId>),
    InList(NodeId, Arc<Vec<Row>>, bool),
    Quantified(Function, NodeId, NodeId, bool),
}

/// A compiled graph and the vectors of its nodes.
pub(crate) struct Program {
    nodes: Vec<Node>,
    vectors: Vec<Vector>,
    computed_in: Vec<FrameId>,
    open: Vec<FrameId>,
    last_frame: FrameId,
    rows: usize,
    spare: Vec<Vec<u32>>,
}

/// Compiles scalars over one input into one program.
pub(crate) struct Compiler<'a> {
    input: &'a [ColumnType],
    context: &'a Context,
    /// The columns appended by maps, behind those of the input.
    mapped: Vec<NodeId>,
    keys: HashMap<Key, NodeId>,
    /// Input columns whose start must be known, in the order they were asked for.
    pub boundaries: Vec<usize>,
    program: Program,
}

impl<'a> Compiler<'a> {
    pub fn new(input: &'a [ColumnType], context: &'a Context) -> Compiler<'a> {
        let program = Program {
            nodes: Vec::new(),
            vectors: Vec::new(),
            computed_in: Vec::new(),
            open: Vec::new(),
            last_frame: FOREVER,
            rows: 0,
            spare: Vec::new(),
        };
        Compiler { input, context, mapped: Vec::new(), keys: HashMap::new(), boundaries: Vec::new(), program }
    }
    pub fn finish(self) -> Program {
        self.program
    }
    /// The column after the last one is from now on this node.
    pub fn append(&mut self, node: NodeId) {
        self.mapped.push(node)
    }
    /// The place of a column's start among the boundaries of the batch. The arity itself is the end of the row.
    pub fn boundary(&mut self, column: usize) -> usize {
        match self.boundaries.iter().position(|&known| known == column) {
            Some(position) => position,
            None => {
                self.boundaries.push(column);
                self.boundaries.len() - 1
            }
        }
    }

    fn node(&mut self, key: Option<Key>, operation: Operation, column_type: ColumnType, constant: bool, volatile: bool) -> NodeId {
        let id = self.program.nodes.len();
        self.program.vectors.push(Vector::new(&column_type.scalar));
        self.program.nodes.push(Node { operation, column_type, constant, volatile });
        self.program.computed_in.push(NEVER);
        if let Some(key) = key {
            self.keys.insert(key, id);
        }
        id
    }

    fn constant(&mut self, key: Option<Key>, column_type: ColumnType, value: Result<Datum<'_>, EvalError>) -> NodeId {
        let vector = Vector::constant(&column_type.scalar, value);
        let id = self.node(key, Operation::Constant, column_type, true, false);
        self.program.vectors[id] = vector;
        self.program.computed_in[id] = FOREVER;
        id
    }

    fn all_constant(&self, nodes: &[NodeId]) -> bool {
        nodes.iter().all(|&node| self.program.nodes[node].constant)
    }

    fn type_of(&self, node: NodeId) -> ColumnType {
        self.program.nodes[node].column_type.clone()
    }

    pub fn compile_all(&mut self, scalars: &[Scalar]) -> Vec<NodeId> {
        scalars.iter().map(|scalar| self.compile(scalar)).collect()
    }

    pub fn compile(&mut self, scalar: &Scalar) -> NodeId {
        match scalar {
            Scalar::Column(column) => self.compile_column(*column),
            Scalar::Literal(row, column_type) => {
                let key = Key::Literal(row.clone(), column_type.scalar.clone());
                if let Some(&known) = self.keys.get(&key) {
                    return known;
                }
                let datum = row.iter().next().ok_or_else(|| internal("a literal without a value"));
                self.constant(Some(key), column_type.clone(), datum)
            }
            Scalar::Error(error, column_type) => self.constant(None, column_type.clone(), Err(error.clone())),
            Scalar::Parameter(position, column_type) => {
                let error = EvalError::new(SqlState(*b"42P02"), format!("there is no parameter ${}", position + 1));
                self.constant(None, column_type.clone(), Err(error))
            }
            Scalar::LogicalTimestamp => {
                let value = match self.context.timestamp {
                    Some(timestamp) => Ok(Datum::Numeric(Numeric::from(i128::from(timestamp.0)))),
                    None => Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, "mz_now() cannot be used here")),
                };
                self.constant(None, ColumnType::new(Type::Numeric).not_null(), value)
            }
            Scalar::Call { function, arguments, column_type } => self.compile_call(*function, arguments, column_type),
            Scalar::Cast { input, kind, column_type } => {
                let input = self.compile(input);
                self.compile_cast(input, *kind, column_type)
            }
            Scalar::And(children) => self.compile_list(children, Key::And, Operation::And, ColumnType::new(Type::Bool)),
            Scalar::Or(children) => self.compile_list(children, Key::Or, Operation::Or, ColumnType::new(Type::Bool)),
            Scalar::Coalesce(children) => {
                let column_type = children.first().map_or(ColumnType::new(Type::Text), |child| child.column_type(&self.all_types()));
                self.compile_list(children, Key::Coalesce, Operation::Coalesce, column_type)
            }
            Scalar::If { condition, then, otherwise } => {
                let (condition, then, otherwise) = (self.compile(condition), self.compile(then), self.compile(otherwise));
                let key = Key::If(condition, then, otherwise);
                if let Some(&known) = self.keys.get(&key) {
                    return known;
                }
                let (column_type, constant) = (self.common_type(&[then, otherwise]), self.all_constant(&[condition, then, otherwise]));
                self.node(Some(key), Operation::If { condition, then, otherwise }, column_type, constant, false)
            }
            Scalar::InList { value, list, has_null } => {
                let value = self.compile(value);
                let key = Key::InList(value, list.clone(), *has_null);
                if let Some(&known) = self.keys.get(&key) {
                    return known;
                }
                let trim_blanks = self.program.nodes[value].column_type.scalar == Type::Bpchar;
                let operation = Operation::InList { value, list: list.clone(), has_null: *has_null, trim_blanks, builder: RowBuilder::new() };
                let constant = self.all_constant(&[value]);
                self.node(Some(key), operation, ColumnType::new(Type::Bool), constant, false)
            }
            Scalar::Quantified { function, left, array, all } => self.compile_quantified(*function, left, array, *all),
        }
    }

    fn compile_column(&mut self, column: usize) -> NodeId {
        if let Some(mapped) = column.checked_sub(self.input.len()) {
            return match self.mapped.get(mapped) {
                Some(&node) => node,
                None => self.constant(None, ColumnType::new(Type::Text), Err(internal("an expression refers to a column that does not exist"))),
            };
        }
        if let Some(&known) = self.keys.get(&Key::Column(column)) {
            return known;
        }
        let boundary = self.boundary(column);
        self.node(Some(Key::Column(column)), Operation::Column { boundary }, self.input[column].clone(), false, false)
    }

    fn all_types(&self) -> Vec<ColumnType> {
        self.input.iter().cloned().chain(self.mapped.iter().map(|&node| self.type_of(node))).collect()
    }

    /// The type of nodes of which one supplies the value: that of the first one that is decided.
    fn common_type(&self, nodes: &[NodeId]) -> ColumnType {
        let decided = nodes.iter().find(|&&node| self.program.nodes[node].column_type.scalar != Type::Unknown).or(nodes.first());
        decided.map_or(ColumnType::new(Type::Text), |&node| self.type_of(node))
    }

    fn compile_list(
        &mut self,
        children: &[Scalar],
        key: fn(Vec<NodeId>) -> Key,
        operation: fn(Vec<NodeId>) -> Operation,
        column_type: ColumnType,
    ) -> NodeId {
        let children = self.compile_all(children);
        if let [only] = children[..] {
            return only;
        }
        let key = key(children.clone());
        if let Some(&known) = self.keys.get(&key) {
            return known;
        }
        let constant = self.all_constant(&children);
        let column_type = if matches!(key, Key::Coalesce(_)) { self.common_type(&children) } else { column_type };
        self.node(Some(key), operation(children), column_type, constant, false)
    }

    fn compile_call(&mut self, function: Function, arguments: &[Scalar], column_type: &ColumnType) -> NodeId {
        let arguments = self.compile_all(arguments);
        let volatile = function.0.volatility == Volatility::Volatile;
        let key = (!volatile).then(|| Key::Call(function, arguments.clone(), column_type.clone()));
        if let Some(known) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return *known;
        }
        let types: Vec<ColumnType> = arguments.iter().map(|&argument| self.type_of(argument)).collect();
        let call = Call { arguments: &types, result: column_type, context: self.context };
        match (function.0.kernel.prepare)(&call) {
            Ok(kernel) => {
                let constant = !volatile && self.all_constant(&arguments);
                self.node(key, Operation::Call { kernel, arguments: arguments.into() }, column_type.clone(), constant, volatile)
            }
            Err(error) => self.constant(key, column_type.clone(), Err(error)),
        }
    }

    fn compile_cast(&mut self, input: NodeId, kind: crate::CastKind, column_type: &ColumnType) -> NodeId {
        let key = Key::Cast(input, kind, column_type.clone());
        if let Some(&known) = self.keys.get(&key) {
            return known;
        }
        let mut node = input;
        for (step, step_type) in casts::steps(&self.type_of(input), column_type) {
            let from = [self.type_of(node)];
            let call = Call { arguments: &from, result: &step_type, context: self.context };
            let constant = self.all_constant(&[node]);
            node = match casts::prepare(step, kind, &call) {
                Ok(kernel) => self.node(None, Operation::Call { kernel, arguments: [node].into_iter().collect() }, step_type, constant, false),
                Err(error) => self.constant(None, step_type, Err(error)),
            };
        }
        self.keys.insert(key, node);
        node
    }

    fn compile_quantified(&mut self, function: Function, left: &Scalar, array: &Scalar, all: bool) -> NodeId {
        let (left, array) = (self.compile(left), self.compile(array));
        let key = Key::Quantified(function, left, array, all);
        if let Some(&known) = self.keys.get(&key) {
            return known;
        }
        let (left_type, array_type) = (self.type_of(left), self.type_of(array));
        let element_type = ColumnType::new(array_type.scalar.element().cloned().unwrap_or(Type::Text));
        let result = ColumnType::new(Type::Bool);
        let types = [left_type, element_type];
        match (function.0.kernel.prepare)(&Call { arguments: &types, result: &result, context: self.context }) {
            Ok(kernel) => {
                let [lefts, elements] = types.map(|column_type| Vector::new(&column_type.scalar));
                let results = Vector::new(&Type::Bool);
                let operation = Operation::Quantified(Box::new(Quantified { kernel, left, array, all, lefts, elements, results, ends: Vec::new() }));
                let constant = self.all_constant(&[left, array]);
                self.node(Some(key), operation, result, constant, false)
            }
            Err(error) => self.constant(Some(key), result, Err(error)),
        }
    }
}

fn internal(message: &str) -> EvalError {
    EvalError::new(SqlState::INTERNAL_ERROR, message)
}

impl Program {
    /// Starts a batch: what was computed for the last one is forgotten.
    pub fn begin(&mut self, rows: usize) {
        self.rows = rows;
        self.open.clear();
        self.open.push(FOREVER);
        self.open_frame();
    }
    /// From now on, until the frame is closed, selections are subsets of one that is narrower than before.
    pub fn open_frame(&mut self) {
        self.last_frame += 1;
        self.open.push(self.last_frame);
    }
    fn close_frames(&mut self, depth: usize) {
        self.open.truncate(depth)
    }
    pub fn vector(&self, node: NodeId) -> &Vector {
        &self.vectors[node]
    }
    /// An empty list of rows from the pool.
    pub fn take_rows(&mut self) -> Vec<u32> {
        let mut rows = self.spare.pop().unwrap_or_default();
        rows.clear();
        rows
    }
    pub fn give_rows(&mut self, rows: Vec<u32>) {
        self.spare.push(rows)
    }

    /// Makes the node's vector hold the values of the selected rows.
    pub fn compute(&mut self, batch: &Batch, id: NodeId, rows: Selection<'_>) {
        let computed_in = self.computed_in[id];
        if computed_in != NEVER && self.open.contains(&computed_in) {
            return;
        }
        let node = &mut self.nodes[id];
        let (constant, volatile) = (node.constant, node.volatile);
        let mut operation = std::mem::replace(&mut node.operation, Operation::Taken);
        let (count, rows, frame) = match (constant, volatile) {
            (true, _) => (1, Selection::All(1), FOREVER),
            // The frame of the whole batch is the first one after FOREVER.
            (false, true) => (self.rows, Selection::All(self.rows), self.open.get(1).copied().unwrap_or(NEVER)),
            (false, false) => (self.rows, rows, self.open.last().copied().unwrap_or(NEVER)),
        };
        match &mut operation {
            Operation::Column { boundary } => {
                let out = &mut self.vectors[id];
                out.begin(count, false);
                out.fill(rows, |row| batch.datum(row, *boundary));
            }
            Operation::Constant | Operation::Taken => {}
            Operation::Call { kernel, arguments } => {
                for &argument in arguments.iter() {
                    self.compute(batch, argument, rows);
                }
                let (before, after) = self.vectors.split_at_mut(id);
                if let Some(out) = after.first_mut() {
                    out.begin(count, constant);
                    let arguments: SmallVec<[&Vector; 4]> = arguments.iter().map(|&argument| &before[argument]).collect();
                    kernel.run(&arguments, rows, out);
                }
            }
            Operation::And(children) => self.connect(batch, id, children, rows, count, constant, true),
            Operation::Or(children) => self.connect(batch, id, children, rows, count, constant, false),
            Operation::If { condition, then, otherwise } => self.branch(batch, id, (*condition, *then, *otherwise), rows, count, constant),
            Operation::Coalesce(children) => self.coalesce(batch, id, children, rows, count, constant),
            Operation::InList { value, list, has_null, trim_blanks, builder } => {
                self.compute(batch, *value, rows);
                let mut out = std::mem::take(&mut self.vectors[id]);
                out.begin(count, constant);
                let value = &self.vectors[*value];
                rows.for_each(|row| match value.datum(row) {
                    Ok(Datum::Null) => {
                        if list.is_empty() && !*has_null {
                            out.set_bool(row, false)
                        } else {
                            out.set_null(row)
                        }
                    }
                    Ok(datum) => {
                        builder.clear();
                        builder.push_canonical(match datum {
                            Datum::Text(text) if *trim_blanks => Datum::Text(text.trim_end_matches(' ')),
                            other => other,
                        });
                        let found = list.binary_search_by(|row| row.as_bytes().cmp(builder.as_bytes())).is_ok();
                        if !found && *has_null { out.set_null(row) } else { out.set_bool(row, found) }
                    }
                    Err(error) => out.set_error(row, error),
                });
                self.vectors[id] = out;
            }
            Operation::Quantified(quantified) => {
                self.compute(batch, quantified.left, rows);
                self.compute(batch, quantified.array, rows);
                let mut out = std::mem::take(&mut self.vectors[id]);
                out.begin(count, constant);
                quantified.run(&self.vectors[quantified.left], &self.vectors[quantified.array], rows, &mut out);
                self.vectors[id] = out;
            }
        }
        self.nodes[id].operation = operation;
        self.computed_in[id] = frame;
    }

    /// AND (`conjunction`) and OR: a row leaves at the first operand that decides it or fails.
    #[allow(clippy::too_many_arguments)]
    fn connect(&mut self, batch: &Batch, id: NodeId, children: &[NodeId], rows: Selection<'_>, count: usize, constant: bool, conjunction: bool) {
        let mut out = std::mem::take(&mut self.vectors[id]);
        out.begin(count, constant);
        rows.for_each(|row| out.set_bool(row, conjunction));
        let depth = self.open.len();
        let mut remaining: Option<Vec<u32>> = None;
        for &child in children {
            let selected = remaining.as_ref().map_or(rows, |rows| Selection::Rows(rows));
            if selected.is_empty() {
                break;
            }
            self.compute(batch, child, selected);
            let mut kept = self.take_rows();
            let value = &self.vectors[child];
            selected.for_each(|row| match value.flag(row) {
                VALUE if value.bool(row) == conjunction => kept.push(row as u32),
                VALUE => {
                    out.clear_flag(row);
                    out.set_bool(row, !conjunction);
                }
                NULL => {
                    out.set_null(row);
                    kept.push(row as u32);
                }
                _ => out.set_error(row, value.error(row)),
            });
            if kept.len() < selected.len() {
                self.open_frame();
            }
            if let Some(previous) = remaining.replace(kept) {
                self.give_rows(previous);
            }
        }
        if let Some(last) = remaining {
            self.give_rows(last);
        }
        self.close_frames(depth);
        self.vectors[id] = out;
    }

    fn branch(
        &mut self,
        batch: &Batch,
        id: NodeId,
        (condition, then, otherwise): (NodeId, NodeId, NodeId),
        rows: Selection<'_>,
        count: usize,
        constant: bool,
    ) {
        self.compute(batch, condition, rows);
        let mut out = std::mem::take(&mut self.vectors[id]);
        out.begin(count, constant);
        let (mut chosen, mut others) = (self.take_rows(), self.take_rows());
        let value = &self.vectors[condition];
        rows.for_each(|row| match value.flag(row) {
            VALUE if value.bool(row) => chosen.push(row as u32),
            ERROR => out.set_error(row, value.error(row)),
            _ => others.push(row as u32),
        });
        let depth = self.open.len();
        for (node, selected) in [(then, &chosen), (otherwise, &others)] {
            if selected.is_empty() {
                continue;
            }
            if selected.len() < rows.len() {
                self.open_frame();
            }
            self.compute(batch, node, Selection::Rows(selected));
            out.copy_rows(&self.vectors[node], Selection::Rows(selected));
            self.close_frames(depth);
        }
        self.give_rows(chosen);
        self.give_rows(others);
        self.vectors[id] = out;
    }

    fn coalesce(&mut self, batch: &Batch, id: NodeId, children: &[NodeId], rows: Selection<'_>, count: usize, constant: bool) {
        let mut out = std::mem::take(&mut self.vectors[id]);
        out.begin(count, constant);
        let depth = self.open.len();
        let mut remaining = self.take_rows();
        rows.for_each(|row| remaining.push(row as u32));
        for &child in children {
            if remaining.is_empty() {
                break;
            }
            self.compute(batch, child, Selection::Rows(&remaining));
            let (mut valued, mut nulls) = (self.take_rows(), self.take_rows());
            let value = &self.vectors[child];
            for &row in &remaining {
                if value.flag(row as usize) == NULL { nulls.push(row) } else { valued.push(row) }
            }
            out.copy_rows(value, Selection::Rows(&valued));
            if nulls.len() < remaining.len() {
                self.open_frame();
            }
            self.give_rows(valued);
            self.give_rows(std::mem::replace(&mut remaining, nulls));
        }
        for &row in &remaining {
            out.set_null(row as usize);
        }
        self.give_rows(remaining);
        self.close_frames(depth);
        self.vectors[id] = out;
    }
}

impl Quantified {
    fn run(&mut self, left: &Vector, array: &Vector, rows: Selection<'_>, out: &mut Vector) {
        self.ends.clear();
        let mut pairs = 0;
        rows.for_each(|row| {
            if let Ok(Datum::Array(array)) = array.datum(row) {
                pairs += array.len();
            }
            self.ends.push(pairs as u32);
        });
        self.lefts.begin(pairs, false);
        self.elements.begin(pairs, false);
        let mut next = 0;
        rows.for_each(|row| {
            if let Ok(Datum::Array(array)) = array.datum(row) {
                for element in array.elements() {
                    self.lefts.set(next, left.datum(row));
                    self.elements.set(next, Ok(element));
                    next += 1;
                }
            }
        });
        self.results.begin(pairs, false);
        self.kernel.run(&[&self.lefts, &self.elements], Selection::All(pairs), &mut self.results);

        let (mut start, mut ends) = (0, self.ends.iter());
        rows.for_each(|row| {
            let end = ends.next().map_or(start, |&end| end as usize);
            let range = std::mem::replace(&mut start, end)..end;
            match (left.flag(row), array.flag(row)) {
                (ERROR, _) => out.set_error(row, left.error(row)),
                (_, ERROR) => out.set_error(row, array.error(row)),
                (_, NULL) => out.set_null(row),
                _ => self.decide(range, row, out),
            }
        });
    }

    /// From the left: the first pair that decides or fails is the row's.
    fn decide(&self, range: std::ops::Range<usize>, row: usize, out: &mut Vector) {
        let mut null = false;
        for pair in range {
            match self.results.flag(pair) {
                VALUE if self.results.bool(pair) != self.all => return out.set_bool(row, !self.all),
                VALUE => {}
                NULL => null = true,
                _ => return out.set_error(row, self.results.error(pair)),
            }
        }
        if null { out.set_null(row) } else { out.set_bool(row, self.all) }
    }
}

//! What a plan node is rendered to: rows as a stream or as arrangements, pending linear work, and errors.

use super::Time;
use super::operators::{self, Rows};
use super::stage::Linear;
use super::trace::{RowsArranged, own};
use crate::layout::{Shape, normalize};
use plan::{Context, Scalar};
use repr::ColumnType;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// An arrangement and how its rows lie in it.
#[derive(Clone)]
pub struct Arrangement<'scope, T: Time> {
    pub shape: Rc<Shape>,
    pub arranged: RowsArranged<'scope, T>,
}

/// Arrangements of one collection, found by the consumers that come later.
pub type Arrangements<'scope, T> = Rc<RefCell<Vec<Arrangement<'scope, T>>>>;

/// A rendered node.
#[derive(Clone)]
pub struct Bundle<'scope, T: Time> {
    /// The rows as a stream; without it there is an arrangement.
    rows: Option<Rows<'scope, T>>,
    arrangements: Arrangements<'scope, T>,
    /// What is still to be done to each row.
    pub linear: Linear,
    /// The errors of everything it is made of.
    pub errors: Vec<Rows<'scope, T>>,
}

/// A side of a join, or the input of a reduction: an arrangement by the wanted key.
pub struct Keyed<'scope, T: Time> {
    pub arranged: RowsArranged<'scope, T>,
    /// Columns of the key.
    pub key_columns: usize,
    /// The types of the key's columns, then of the value's.
    pub stored: Vec<ColumnType>,
    /// Where the columns of the bundle are among the stored ones.
    pub positions: Vec<Option<usize>>,
    pub errors: Vec<Rows<'scope, T>>,
}

impl<'scope, T: Time> Bundle<'scope, T> {
    pub fn from_rows(rows: Rows<'scope, T>, types: Vec<ColumnType>, errors: Vec<Rows<'scope, T>>) -> Bundle<'scope, T> {
        Bundle { rows: Some(rows), arrangements: Arrangements::default(), linear: Linear::identity(types), errors }
    }
    /// At least one arrangement; all of the same relation.
    pub fn from_arrangements(arrangements: Vec<Arrangement<'scope, T>>, types: Vec<ColumnType>, errors: Vec<Rows<'scope, T>>) -> Bundle<'scope, T> {
        Bundle { rows: None, arrangements: Rc::new(RefCell::new(arrangements)), linear: Linear::identity(types), errors }
    }
    pub fn types(&self) -> Vec<ColumnType> {
        self.linear.output_types()
    }
    /// The same in another scope.
    pub fn transfer<'other, T2: Time>(
        &self,
        arrangement: impl Fn(&RowsArranged<'scope, T>) -> RowsArranged<'other, T2>,
        rows: impl Fn(Rows<'scope, T>) -> Rows<'other, T2>,
    ) -> Bundle<'other, T2> {
        let moved = |known: &Arrangement<'scope, T>| Arrangement { shape: Rc::clone(&known.shape), arranged: arrangement(&known.arranged) };
        Bundle {
            rows: self.rows.clone().map(&rows),
            arrangements: Rc::new(RefCell::new(self.arrangements.borrow().iter().map(moved).collect())),
            linear: self.linear.clone(),
            errors: self.errors.iter().cloned().map(&rows).collect(),
        }
    }
    /// Consumers look at some of the columns only; a column that may fail is computed all the same.
    fn with_failures(&self, context: &Context) -> Option<Bundle<'scope, T>> {
        self.linear.has_fallible_column().then(|| self.clone().settled(context))
    }
    /// The arrangements of exactly these rows.
    pub fn arrangements(&self) -> Vec<Arrangement<'scope, T>> {
        if self.linear.is_identity() { self.arrangements.borrow().clone() } else { Vec::new() }
    }
    fn apply<D: super::stage::Stored>(&self, linear: &Linear, key_columns: usize, context: &Context, name: &str) -> (operators::Updates<'scope, T, D>, Rows<'scope, T>) {
        if let Some(rows) = &self.rows {
            return operators::apply(rows.clone(), linear, key_columns, context, name);
        }
        let arrangement = self.arrangements.borrow()[0].clone();
        let linear = linear.over(arrangement.shape.stored_types(), &arrangement.shape.positions());
        operators::apply_arranged(arrangement.arranged, &linear, key_columns, context, name)
    }
    /// The rows, all pending work done; errors include those of that work.
    pub fn rows(&self, context: &Context) -> (Rows<'scope, T>, Vec<Rows<'scope, T>>) {
        if let Some(rows) = self.rows.as_ref().filter(|_| self.linear.is_identity()) {
            return (rows.clone(), self.errors.clone());
        }
        let (rows, errors) = self.apply(&self.linear, 0, context, "Linear");
        (rows, self.errors.iter().cloned().chain([errors]).collect())
    }
    /// The same with nothing pending, so that it can be read more than once.
    pub fn settled(self, context: &Context) -> Bundle<'scope, T> {
        if self.linear.is_projection() {
            return self;
        }
        let types = self.types();
        let (rows, errors) = self.rows(context);
        Bundle::from_rows(rows, types, errors)
    }
    /// The rows split into the values of `key` and some of the columns.
    pub fn pairs(&self, key: &[Scalar], columns: &[usize], context: &Context, name: &str) -> operators::FalliblePairs<'scope, T> {
        if let Some(settled) = self.with_failures(context) {
            return settled.pairs(key, columns, context, name);
        }
        let (pairs, errors) = self.apply(&self.linear.keyed(key, columns), key.len(), context, name);
        (pairs, self.errors.iter().cloned().chain([errors]).collect())
    }
    /// The values of scalars, split after `key_columns` of them.
    pub fn computed(&self, scalars: &[Scalar], key_columns: usize, context: &Context, name: &str) -> operators::FalliblePairs<'scope, T> {
        if let Some(settled) = self.with_failures(context) {
            return settled.computed(scalars, key_columns, context, name);
        }
        let (pairs, errors) = self.apply(&self.linear.keyed(scalars, &[]), key_columns, context, name);
        (pairs, self.errors.iter().cloned().chain([errors]).collect())
    }
    /// Whether there is an arrangement by exactly these scalars, in this order.
    pub fn has_arrangement(&self, key: &[Scalar]) -> bool {
        self.find(key).is_some()
    }
    fn find(&self, key: &[Scalar]) -> Option<Arrangement<'scope, T>> {
        if !self.linear.is_projection() {
            return None;
        }
        let types = self.linear.input_types();
        let wanted: Vec<Scalar> = key
            .iter()
            .map(|scalar| {
                let mut scalar = scalar.clone();
                scalar.remap_columns(&mut |column| self.linear.columns()[column]);
                normalize(&scalar, types)
            })
            .collect();
        let arrangements = self.arrangements.borrow();
        arrangements.iter().find(|arrangement| arrangement.shape.key.iter().map(|scalar| normalize(scalar, types)).eq(wanted.iter().cloned())).cloned()
    }
    /// The keys there are arrangements by, as scalars over the output columns.
    pub fn known_keys(&self) -> Vec<Vec<Scalar>> {
        if !self.linear.is_projection() {
            return Vec::new();
        }
        let types = self.linear.input_types();
        let outward = |column: usize| self.linear.columns().iter().position(|&from| from == column);
        let translate = |scalar: &Scalar| {
            let mut scalar = normalize(scalar, types);
            let mut is_known = true;
            scalar.for_each_column(&mut |column| is_known &= outward(column).is_some());
            scalar.remap_columns(&mut |column| outward(column).unwrap_or(column));
            is_known.then_some(scalar)
        };
        self.arrangements.borrow().iter().filter_map(|arrangement| arrangement.shape.key.iter().map(translate).collect()).collect()
    }
    /// The rows arranged by `key`, with at least the columns in `demand`. An arrangement that is there already is used.
    pub fn keyed(&self, key: &[Scalar], demand: &BTreeSet<usize>, context: &Context, name: &str) -> Keyed<'scope, T> {
        if let Some(settled) = self.with_failures(context) {
            return settled.keyed(key, demand, context, name);
        }
        if let Some(arrangement) = self.find(key) {
            let positions = arrangement.shape.positions();
            return Keyed {
                arranged: arrangement.arranged.clone(),
                key_columns: key.len(),
                stored: arrangement.shape.stored_types(),
                positions: self.linear.columns().iter().map(|&column| Some(positions[column])).collect(),
                errors: self.errors.clone(),
            };
        }
        let types = self.types();
        let shape = Shape::new(types.clone(), key.to_vec());
        let value: Vec<usize> = shape.value.iter().copied().filter(|column| demand.contains(column)).collect();
        let (pairs, errors) = self.pairs(key, &value, context, name);
        let arranged = own(operators::arrange(pairs, name));
        let in_key = |column: usize| key.iter().position(|scalar| matches!(scalar, Scalar::Column(at) if *at == column));
        let in_value = |column: usize| value.iter().position(|&at| at == column).map(|at| key.len() + at);
        let positions: Vec<Option<usize>> = (0..types.len()).map(|column| in_value(column).or_else(|| in_key(column))).collect();
        if self.linear.is_identity() && value == shape.value {
            self.arrangements.borrow_mut().push(Arrangement { shape: Rc::new(shape.clone()), arranged: arranged.clone() });
        }
        let key_types = key.iter().map(|scalar| scalar.column_type(&types));
        let stored = key_types.chain(value.iter().map(|&column| types[column].clone())).collect();
        Keyed { arranged, key_columns: key.len(), stored, positions, errors }
    }
}

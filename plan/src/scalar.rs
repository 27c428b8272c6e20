//! Expressions over one row.

use crate::Context;
use crate::functions::{ScalarFunction, Volatility};
use repr::{ColumnType, Datum, EvalError, Row, Type};
use std::hash::{Hash, Hasher};

/// An entry of the function table. Two are the same when they are the same entry.
#[derive(Clone, Copy)]
pub struct Function(pub &'static ScalarFunction);

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
impl Eq for Function {}
impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state)
    }
}
impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0.name)
    }
}

/// Who asked for a cast: it decides about truncation and about the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CastKind {
    Implicit,
    Assignment,
    Explicit,
}

/// An expression. What Postgres would not evaluate is not evaluated: the branches of `If` and the tails of `And`, `Or` and `Coalesce` run only
/// for the rows that reach them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    Column(usize),
    /// A row of one datum.
    Literal(Row, ColumnType),
    /// An expression that always fails.
    Error(EvalError, ColumnType),
    /// `$n`, counted from 0. Replaced by a literal before a plan runs.
    Parameter(usize, ColumnType),
    Call { function: Function, arguments: Vec<Scalar>, column_type: ColumnType },
    /// Conversion to another type, modifier included. Which kernel it takes is decided by the two types.
    Cast { input: Box<Scalar>, kind: CastKind, column_type: ColumnType },
    /// Three-valued AND. Empty: true.
    And(Vec<Scalar>),
    /// Three-valued OR. Empty: false.
    Or(Vec<Scalar>),
    /// CASE is nested `If`s. A NULL condition chooses `otherwise`.
    If { condition: Box<Scalar>, then: Box<Scalar>, otherwise: Box<Scalar> },
    Coalesce(Vec<Scalar>),
    /// `value IN (literals)`: `list` is sorted canonical one-datum rows, without NULL; `has_null` says whether NULL was in the list.
    InList { value: Box<Scalar>, list: std::sync::Arc<Vec<Row>>, has_null: bool },
    /// `left op ANY (array)` and `left op ALL (array)`; `function` is a binary operator with a boolean result.
    Quantified { function: Function, left: Box<Scalar>, array: Box<Scalar>, all: bool },
    /// `mz_now()`: the logical timestamp as numeric.
    LogicalTimestamp,
}

impl Scalar {
    /// The type of its value over rows of `input`.
    pub fn column_type(&self, input: &[ColumnType]) -> ColumnType {
        match self {
            Scalar::Column(column) => input.get(*column).cloned().unwrap_or(ColumnType::new(Type::Unknown)),
            Scalar::Literal(row, column_type) => {
                let is_null = row.iter().next().is_none_or(|datum| datum.is_null());
                column_type.clone().nullable(is_null)
            }
            Scalar::Error(_, column_type) | Scalar::Parameter(_, column_type) | Scalar::Call { column_type, .. } => column_type.clone(),
            Scalar::Cast { input: inner, column_type, .. } => {
                // A value of jsonb or of an infinite time may have no counterpart.
                let from = inner.column_type(input);
                let nullable = from.nullable || crate::functions::casts::can_be_null(&from.scalar, &column_type.scalar);
                column_type.clone().nullable(nullable)
            }
            Scalar::And(children) | Scalar::Or(children) => {
                ColumnType::new(Type::Bool).nullable(children.iter().any(|child| child.column_type(input).nullable))
            }
            Scalar::If { then, otherwise, .. } => {
                let (then, otherwise) = (then.column_type(input), otherwise.column_type(input));
                let nullable = then.nullable || otherwise.nullable;
                common_type([then, otherwise]).nullable(nullable)
            }
            Scalar::Coalesce(children) => {
                let types: Vec<ColumnType> = children.iter().map(|child| child.column_type(input)).collect();
                let nullable = types.iter().all(|column_type| column_type.nullable);
                common_type(types).nullable(nullable)
            }
            Scalar::InList { value, has_null, .. } => ColumnType::new(Type::Bool).nullable(*has_null || value.column_type(input).nullable),
            Scalar::Quantified { .. } => ColumnType::new(Type::Bool),
            Scalar::LogicalTimestamp => ColumnType::new(Type::Numeric).not_null(),
        }
    }
    /// A call of an entry of the table by exact name and argument types; panics if there is none (for planner code and tests).
    pub fn call(name: &str, arguments: Vec<Scalar>, input: &[ColumnType]) -> Scalar {
        let types: Vec<ColumnType> = arguments.iter().map(|argument| argument.column_type(input)).collect();
        match Scalar::try_call(name, arguments, input) {
            Some(call) => call,
            None => {
                let types: Vec<String> = types.iter().map(|column_type| column_type.scalar.sql_name(-1)).collect();
                panic!("the function table has no entry {name}({})", types.join(", "))
            }
        }
    }
    /// As [`Scalar::call`]; `None` if the table has no such entry.
    pub fn try_call(name: &str, arguments: Vec<Scalar>, input: &[ColumnType]) -> Option<Scalar> {
        let types: Vec<ColumnType> = arguments.iter().map(|argument| argument.column_type(input)).collect();
        let scalars: Vec<Type> = types.iter().map(|column_type| column_type.scalar.clone()).collect();
        let entries = crate::functions::lookup(name);
        let entry = entries.iter().find(|entry| entry.arguments == scalars).or_else(|| entries.iter().find(|entry| entry.accepts(&scalars)))?;
        let column_type = entry.result_type(&types);
        Some(Scalar::Call { function: Function(entry), arguments, column_type })
    }
    pub fn literal(datum: repr::Datum<'_>, column_type: ColumnType) -> Scalar {
        Scalar::Literal(Row::pack([datum]), column_type)
    }
    /// A boolean that is not NULL.
    pub fn bool(value: bool) -> Scalar {
        Scalar::literal(Datum::Bool(value), ColumnType::new(Type::Bool).not_null())
    }
    /// NULL of a type.
    pub fn null(scalar: Type) -> Scalar {
        Scalar::literal(Datum::Null, ColumnType::new(scalar))
    }
    pub fn is_null(self) -> Scalar {
        Scalar::of_entry("is_null", self)
    }
    pub fn is_not_null(self) -> Scalar {
        Scalar::of_entry("is_not_null", self)
    }
    #[allow(clippy::should_implement_trait)] // It is SQL's NOT, which reads best after its operand.
    pub fn not(self) -> Scalar {
        Scalar::of_entry("not", self)
    }
    /// The only entry of a name, with a boolean result. `not` of what cannot be NULL is not NULL; without the input's types it stays nullable.
    fn of_entry(name: &str, argument: Scalar) -> Scalar {
        match crate::functions::lookup(name) {
            [entry, ..] => {
                let column_type = ColumnType::new(Type::Bool).nullable(entry.strict);
                Scalar::Call { function: Function(entry), arguments: vec![argument], column_type }
            }
            [] => Scalar::Error(EvalError::new(repr::SqlState::INTERNAL_ERROR, format!("the function table has no {name}")), ColumnType::new(Type::Bool)),
        }
    }
    /// The datum of a literal.
    pub fn as_literal(&self) -> Option<Datum<'_>> {
        match self {
            Scalar::Literal(row, _) => row.iter().next(),
            _ => None,
        }
    }
    pub fn is_literal_true(&self) -> bool {
        matches!(self.as_literal(), Some(Datum::Bool(true)))
    }
    pub fn is_literal_false(&self) -> bool {
        matches!(self.as_literal(), Some(Datum::Bool(false)))
    }
    pub fn is_literal_null(&self) -> bool {
        matches!(self.as_literal(), Some(Datum::Null))
    }
    /// Visits the direct children.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Scalar)) {
        match self {
            Scalar::Column(_) | Scalar::Literal(..) | Scalar::Error(..) | Scalar::Parameter(..) | Scalar::LogicalTimestamp => {}
            Scalar::Call { arguments: children, .. } | Scalar::And(children) | Scalar::Or(children) | Scalar::Coalesce(children) => {
                children.iter().for_each(visit)
            }
            Scalar::Cast { input: child, .. } | Scalar::InList { value: child, .. } => visit(child),
            Scalar::If { condition, then, otherwise } => [condition, then, otherwise].into_iter().for_each(|child| visit(child)),
            Scalar::Quantified { left, array, .. } => [left, array].into_iter().for_each(|child| visit(child)),
        }
    }
    pub fn for_each_child_mut(&mut self, visit: &mut dyn FnMut(&mut Scalar)) {
        match self {
            Scalar::Column(_) | Scalar::Literal(..) | Scalar::Error(..) | Scalar::Parameter(..) | Scalar::LogicalTimestamp => {}
            Scalar::Call { arguments: children, .. } | Scalar::And(children) | Scalar::Or(children) | Scalar::Coalesce(children) => {
                children.iter_mut().for_each(visit)
            }
            Scalar::Cast { input: child, .. } | Scalar::InList { value: child, .. } => visit(child),
            Scalar::If { condition, then, otherwise } => [condition, then, otherwise].into_iter().for_each(|child| visit(child)),
            Scalar::Quantified { left, array, .. } => [left, array].into_iter().for_each(|child| visit(child)),
        }
    }
    /// Visits every column reference in the tree.
    pub fn for_each_column(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Scalar::Column(column) => visit(*column),
            other => other.for_each_child(&mut |child| child.for_each_column(visit)),
        }
    }
    /// Rewrites every column reference.
    pub fn remap_columns(&mut self, map: &mut dyn FnMut(usize) -> usize) {
        match self {
            Scalar::Column(column) => *column = map(*column),
            other => other.for_each_child_mut(&mut |child| child.remap_columns(map)),
        }
    }
    fn all(&self, holds: &mut dyn FnMut(&Scalar) -> bool) -> bool {
        if !holds(self) {
            return false;
        }
        let mut result = true;
        self.for_each_child(&mut |child| result = result && child.all(holds));
        result
    }
    /// Neither columns nor parameters nor volatile or stable calls or casts: its value can be computed now.
    pub fn is_constant(&self) -> bool {
        self.all(&mut |scalar| match scalar {
            Scalar::Column(_) | Scalar::Parameter(..) | Scalar::LogicalTimestamp => false,
            Scalar::Call { function, .. } | Scalar::Quantified { function, .. } => function.0.volatility == Volatility::Immutable,
            Scalar::Cast { input, column_type, .. } => !crate::functions::casts::depends_on_context(&input.column_type(&[]).scalar, &column_type.scalar),
            _ => true,
        })
    }
    /// The strongest volatility of the calls in it (`mz_now()` counts as immutable: plans treat it by itself).
    pub fn volatility(&self) -> Volatility {
        let mut strongest = Volatility::Immutable;
        self.all(&mut |scalar| {
            if let Scalar::Call { function, .. } | Scalar::Quantified { function, .. } = scalar {
                match function.0.volatility {
                    Volatility::Volatile => strongest = Volatility::Volatile,
                    Volatility::Stable if strongest == Volatility::Immutable => strongest = Volatility::Stable,
                    _ => {}
                }
            }
            true
        });
        strongest
    }
    /// Whether `mz_now()` stands in it.
    pub fn has_logical_timestamp(&self) -> bool {
        !self.all(&mut |scalar| !matches!(scalar, Scalar::LogicalTimestamp))
    }
    /// Whether evaluating it may yield an error for some row. Casts of columns are judged by their target alone; see [`Scalar::can_fail_over`].
    pub fn can_fail(&self) -> bool {
        self.can_fail_over(&[])
    }
    /// As [`Scalar::can_fail`], knowing the types of the columns.
    pub fn can_fail_over(&self, input: &[ColumnType]) -> bool {
        !self.all(&mut |scalar| match scalar {
            Scalar::Error(..) | Scalar::Parameter(..) => false,
            Scalar::Call { function, .. } | Scalar::Quantified { function, .. } => !function.0.can_fail,
            Scalar::Cast { input: inner, column_type, .. } => !crate::functions::casts::can_fail(&inner.column_type(input).scalar, column_type),
            _ => true,
        })
    }

    /// Computes what is constant. What Postgres would not evaluate stays unevaluated: an error becomes [`Scalar::Error`] only where evaluation is
    /// certain to reach it, and stays a call in the branches of `If` and the tails of `And`, `Or` and `Coalesce`.
    pub fn fold(&self, context: &Context) -> Scalar {
        let mut folded = self.clone();
        folded.fold_in_place(context, true);
        folded
    }

    fn fold_in_place(&mut self, context: &Context, certain: bool) {
        match self {
            Scalar::And(children) => fold_connective(children, context, certain, false),
            Scalar::Or(children) => fold_connective(children, context, certain, true),
            Scalar::Coalesce(children) => {
                let mut first = true;
                for child in children.iter_mut() {
                    child.fold_in_place(context, certain && std::mem::take(&mut first));
                }
                if let Some(end) = children.iter().position(|child| child.as_literal().is_some_and(|datum| !datum.is_null())) {
                    children.truncate(end + 1);
                }
                if children.iter().any(|child| !child.is_literal_null()) {
                    children.retain(|child| !child.is_literal_null());
                }
            }
            Scalar::If { condition, then, otherwise } => {
                condition.fold_in_place(context, certain);
                let decided = condition.as_literal().map(|datum| matches!(datum, Datum::Bool(true)));
                then.fold_in_place(context, certain && decided == Some(true));
                otherwise.fold_in_place(context, certain && decided == Some(false));
            }
            _ => self.for_each_child_mut(&mut |child| child.fold_in_place(context, certain)),
        }
        if let Some(simpler) = self.simplified() {
            *self = simpler;
        }
        if matches!(self, Scalar::Literal(..) | Scalar::Error(..)) || !self.is_constant() {
            return;
        }
        let column_type = self.column_type(&[]);
        match crate::vector::evaluate_constant(self, context) {
            Ok(row) => {
                let is_null = row.iter().next().is_none_or(|datum| datum.is_null());
                *self = Scalar::Literal(row, column_type.nullable(is_null))
            }
            Err(error) if certain => *self = Scalar::Error(error, column_type),
            Err(_) => {}
        }
    }

    /// What an expression with decided parts comes down to.
    fn simplified(&mut self) -> Option<Scalar> {
        match self {
            Scalar::And(children) | Scalar::Or(children) | Scalar::Coalesce(children) if children.len() == 1 => children.pop(),
            Scalar::If { condition, then, otherwise } => {
                let chosen = match condition.as_literal()? {
                    Datum::Bool(true) => then,
                    _ => otherwise,
                };
                Some(std::mem::replace(chosen, Scalar::LogicalTimestamp))
            }
            _ => None,
        }
    }
}

/// Operands that cannot decide are dropped, those behind one that decides are never reached.
fn fold_connective(children: &mut Vec<Scalar>, context: &Context, certain: bool, deciding: bool) {
    let mut first = true;
    for child in children.iter_mut() {
        child.fold_in_place(context, certain && std::mem::take(&mut first));
    }
    let decides = |child: &Scalar| if deciding { child.is_literal_true() } else { child.is_literal_false() };
    if let Some(end) = children.iter().position(decides) {
        children.truncate(end + 1);
    }
    children.retain(|child| if deciding { !child.is_literal_false() } else { !child.is_literal_true() });
}

/// The type of expressions of which one supplies the value: the first decided one, with its modifier only if all agree.
fn common_type(types: impl IntoIterator<Item = ColumnType>) -> ColumnType {
    let mut types = types.into_iter();
    let mut common = types.next().unwrap_or(ColumnType::new(Type::Text));
    for column_type in types {
        if common.scalar == Type::Unknown {
            common = column_type;
        } else if column_type.scalar == common.scalar && column_type.modifier != common.modifier {
            common.modifier = -1;
        }
    }
    common
}

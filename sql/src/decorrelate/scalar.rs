//! Expressions over a lowered relation. Subqueries within become columns of it.

use super::{Lowered, Lowering};
use crate::error::{BindError, BindResult};
use crate::hir::Expression;
use plan::{Plan, Scalar};
use repr::SqlState;

impl Lowering<'_> {
    pub(super) fn scalars(&mut self, expressions: &[Expression], lowered: &mut Lowered, outer: &Lowered) -> BindResult<Vec<Scalar>> {
        expressions.iter().map(|expression| self.scalar(expression, lowered, outer)).collect()
    }

    /// Lowers an expression. `lowered` may gain columns at its end.
    pub(super) fn scalar(&mut self, expression: &Expression, lowered: &mut Lowered, outer: &Lowered) -> BindResult<Scalar> {
        let boxed = |this: &mut Self, inner: &Expression, lowered: &mut Lowered| this.scalar(inner, lowered, outer).map(Box::new);
        Ok(match expression {
            Expression::Column(id) => {
                if !lowered.has(*id) {
                    let before = std::mem::replace(lowered, Lowered::unit());
                    *lowered = self.attach(before, outer, [*id]);
                }
                match lowered.position(*id) {
                    Some(position) => Scalar::Column(position),
                    None => return Err(BindError::new(SqlState::INTERNAL_ERROR, format!("column {} is not visible where it is used", id.0))),
                }
            }
            Expression::Literal(row, column_type) => Scalar::Literal(row.clone(), column_type.clone()),
            Expression::Error(error, column_type) => Scalar::Error(error.clone(), column_type.clone()),
            Expression::Parameter(index, column_type) => Scalar::Parameter(*index, column_type.clone()),
            Expression::Call { function, arguments, column_type } => {
                let arguments = self.scalars(arguments, lowered, outer)?;
                Scalar::Call { function: *function, arguments, column_type: column_type.clone() }
            }
            Expression::Cast { input, kind, column_type } => {
                Scalar::Cast { input: boxed(self, input, lowered)?, kind: *kind, column_type: column_type.clone() }
            }
            Expression::And(list) => Scalar::And(self.scalars(list, lowered, outer)?),
            Expression::Or(list) => Scalar::Or(self.scalars(list, lowered, outer)?),
            Expression::If { condition, then, otherwise } => Scalar::If {
                condition: boxed(self, condition, lowered)?,
                then: boxed(self, then, lowered)?,
                otherwise: boxed(self, otherwise, lowered)?,
            },
            Expression::Coalesce(list) => Scalar::Coalesce(self.scalars(list, lowered, outer)?),
            Expression::InList { value, list, has_null } => {
                Scalar::InList { value: boxed(self, value, lowered)?, list: list.clone(), has_null: *has_null }
            }
            Expression::Quantified { function, left, array, all } => {
                Scalar::Quantified { function: *function, left: boxed(self, left, lowered)?, array: boxed(self, array, lowered)?, all: *all }
            }
            Expression::LogicalTimestamp => Scalar::LogicalTimestamp,
            Expression::IsNull(input) => self.scalar(input, lowered, outer)?.is_null(),
            Expression::Not(input) => self.scalar(input, lowered, outer)?.not(),
            Expression::Exists(relation) => self.exists_column(relation, lowered, outer)?,
            Expression::Scalar(query) => self.scalar_column(query, lowered, outer)?,
            Expression::Any { left, condition, query } => self.any_column(left, condition, query, lowered, outer)?,
            Expression::Array(query, column_type) => self.array_column(query, column_type, lowered, outer)?,
            Expression::Row(_) => return Err(BindError::unsupported("row values are not supported here")),
        })
    }

    /// Keeps the rows for which all predicates hold. `EXISTS` and `IN` at the top become semijoins, their negations antijoins.
    pub(super) fn filter(&mut self, lowered: Lowered, predicates: &[Expression], outer: &Lowered) -> BindResult<Lowered> {
        if predicates.is_empty() {
            return Ok(lowered);
        }
        let mut lowered = lowered;
        // Predicates without subqueries first: fewer rows for the joins, and nothing evaluated that they exclude.
        let (plain, with_subquery): (Vec<&Expression>, Vec<&Expression>) = predicates.iter().partition(|predicate| !predicate.has_subquery());
        let mut scalars = Vec::with_capacity(plain.len());
        for predicate in plain {
            scalars.push(self.scalar(predicate, &mut lowered, outer)?);
        }
        if !scalars.is_empty() {
            lowered.plan = lowered.plan.filter(scalars);
        }
        for predicate in with_subquery {
            lowered = self.filter_subquery(lowered, predicate, outer)?;
        }
        Ok(lowered)
    }

    fn filter_subquery(&mut self, mut lowered: Lowered, predicate: &Expression, outer: &Lowered) -> BindResult<Lowered> {
        match predicate {
            Expression::And(list) => self.filter(lowered, list, outer),
            Expression::Exists(relation) => self.filter_exists(lowered, relation, false, outer),
            Expression::Any { left, condition, query } => self.filter_any(lowered, left, condition, query, outer),
            Expression::Not(inner) => match inner.as_ref() {
                Expression::Exists(relation) => self.filter_exists(lowered, relation, true, outer),
                Expression::Not(inner) => self.filter_subquery(lowered, inner, outer),
                _ => {
                    let scalar = self.scalar(predicate, &mut lowered, outer)?;
                    Ok(Lowered { plan: lowered.plan.filter(vec![scalar]), columns: lowered.columns })
                }
            },
            other => {
                let scalar = self.scalar(other, &mut lowered, outer)?;
                let Lowered { plan, columns } = lowered;
                Ok(Lowered { plan: Plan::Filter { input: Box::new(plan), predicates: vec![scalar] }, columns })
            }
        }
    }
}

//! Subqueries inside expressions.

use super::operator::operator_name;
use super::{Binder, place_after, place_of};
use crate::error::{BindError, BindResult, codes};
use crate::hir::{ColumnId, Expression, Query, Relation};
use crate::parse::ast::{self, BinaryOperator, Expr};
use plan::CastKind;
use repr::{ColumnType, Type};

impl Binder<'_> {
    /// A subquery with its output columns settled. They are columns of its own: a column of an outer query that is selected as it is gets another id, so that what the
    /// subquery depends on can be told from its relation alone.
    fn bind_inner(&mut self, query: &ast::Query) -> BindResult<Query> {
        let mut bound = self.bind_query_node(query)?.0;
        let own = bound.relation.columns();
        let mut copies: Vec<(ColumnId, Expression)> = Vec::new();
        for id in bound.outputs.iter_mut().chain(bound.order.iter_mut().map(|(id, _)| id)).filter(|id| !own.contains(id)) {
            let outer = *id;
            *id = match copies.iter().find(|(_, copied)| matches!(copied, Expression::Column(column) if *column == outer)) {
                Some((copy, _)) => *copy,
                None => {
                    let column_type = self.columns.column_type(outer).clone();
                    let copy = self.columns.add(column_type);
                    copies.push((copy, Expression::Column(outer)));
                    copy
                }
            };
        }
        bound.relation = bound.relation.map(copies);
        Ok(bound)
    }

    pub(crate) fn bind_exists(&mut self, query: &ast::Query, negated: bool) -> BindResult<Expression> {
        let bound = self.bind_inner(query)?;
        let exists = Expression::Exists(Box::new(bound.relation));
        Ok(if negated { Expression::Not(Box::new(exists)) } else { exists })
    }

    pub(crate) fn bind_scalar_subquery(&mut self, query: &ast::Query) -> BindResult<Expression> {
        let bound = self.bind_inner(query)?;
        one_column(&bound, query)?;
        Ok(Expression::Scalar(Box::new(bound)))
    }

    /// `ARRAY(SELECT ...)`.
    pub(crate) fn bind_array_subquery(&mut self, query: &ast::Query) -> BindResult<Expression> {
        let bound = self.bind_inner(query)?;
        one_column(&bound, query)?;
        let element = bound.outputs.first().map_or(Type::Text, |id| self.columns.column_type(*id).scalar.clone());
        let scalar = match element {
            Type::Array(_) => element,
            element => Type::Array(Box::new(element)),
        };
        Ok(Expression::Array(Box::new(bound), ColumnType::new(scalar).not_null()))
    }

    pub(crate) fn bind_in_subquery(&mut self, value: &Expr, query: &ast::Query, negated: bool) -> BindResult<Expression> {
        let left = self.bind_expression(value)?;
        let result = self.any_subquery("=", left, query, false).map_err(|error| error.at(place_after(value)))?;
        Ok(if negated { Expression::Not(Box::new(result)) } else { result })
    }

    /// `left op ANY (right)`, `left op ALL (right)`: a subquery or an array.
    pub(crate) fn bind_quantified(&mut self, left: &Expr, operator: &BinaryOperator, right: &Expr, all: bool) -> BindResult<Expression> {
        let name = operator_name(operator)?;
        let name = match name.as_str() {
            "LIKE" => "~~".to_string(),
            "ILIKE" => "~~*".to_string(),
            _ => name,
        };
        let bound = self.bind_expression(left)?;
        let result = match unnested(right) {
            Expr::Subquery(query) => self.any_subquery(&name, bound, query, all),
            array => {
                let array = self.bind_expression(array)?;
                self.quantified_array(&name, bound, array, all)
            }
        };
        result.map_err(|error| error.at(place_after(left)))
    }

    /// `(a, b) = (SELECT ...)`: the row of the subquery as one row.
    pub(crate) fn bind_row_subquery(&mut self, left: &Expr, operator: &BinaryOperator, query: &ast::Query) -> BindResult<Expression> {
        let name = operator_name(operator)?;
        let Expression::Row(members) = self.bind_expression(left)? else {
            return Err(BindError::unsupported("this comparison with a subquery is not supported").at(place_of(left)));
        };
        let bound = self.bind_inner(query)?;
        check_width(members.len(), bound.outputs.len())?;
        let outputs: Vec<Expression> = bound.outputs.iter().map(|id| Expression::Column(*id)).collect();
        let condition = self.binary(&name, Expression::Row(members), Expression::Row(outputs)).map_err(|error| error.at(place_after(left)))?;
        // The comparison is computed inside the subquery, which then is a scalar one.
        let id = self.add_column(&condition);
        let relation = bound.relation.map(vec![(id, condition)]);
        Ok(Expression::Scalar(Box::new(Query { relation, outputs: vec![id], order: bound.order })))
    }

    pub(crate) fn any_subquery(&mut self, operator: &str, left: Expression, query: &ast::Query, all: bool) -> BindResult<Expression> {
        let bound = self.bind_inner(query)?;
        let members = match left {
            Expression::Row(members) => members,
            value => vec![value],
        };
        check_width(members.len(), bound.outputs.len())?;
        let mut columns = Vec::new();
        let mut operands = Vec::new();
        for (member, output) in members.into_iter().zip(&bound.outputs) {
            let member = if self.type_of(&member) == Type::Unknown {
                let target = self.columns.column_type(*output).clone();
                self.coerce(member, &ColumnType::new(target.scalar), CastKind::Implicit)?
            } else {
                member
            };
            if let Expression::Literal(..) = member {
                operands.push(member);
                continue;
            }
            let id = self.add_column(&member);
            columns.push((id, member));
            operands.push(Expression::Column(id));
        }
        let mut outputs: Vec<Expression> = bound.outputs.iter().map(|id| Expression::Column(*id)).collect();
        let condition = if operands.len() == 1 {
            let (left, right) = (operands.remove(0), outputs.remove(0));
            self.binary(operator, left, right)?
        } else {
            self.binary(operator, Expression::Row(operands), Expression::Row(outputs))?
        };
        if self.type_of(&condition) != Type::Bool {
            return Err(BindError::new(codes::WRONG_OBJECT_TYPE, "op ANY/ALL requires operator to yield boolean"));
        }
        Ok(if all {
            // For all = not for any not.
            let condition = Box::new(Expression::Not(Box::new(condition)));
            Expression::Not(Box::new(Expression::Any { left: columns, condition, query: Box::new(bound) }))
        } else {
            Expression::Any { left: columns, condition: Box::new(condition), query: Box::new(bound) }
        })
    }

    /// `(SELECT value FROM relation WHERE key = argument)` over a helper relation of the system catalog, bound from its parts.
    pub(crate) fn helper_lookup(&mut self, relation_name: &str, argument: Expression, value_column: &str) -> BindResult<Expression> {
        let relation = self.names.resolve_relation(&["pg_catalog".to_string(), relation_name.to_string()], &[])?;
        let (get, columns) = self.read_collection(&relation);
        let find = |name: &str| {
            let position = relation.schema.columns.iter().position(|column| column.name == name);
            position.and_then(|position| columns.get(position).copied()).ok_or_else(|| {
                BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{relation_name}\" does not exist"))
            })
        };
        let (key, value) = (find("oid")?, find(value_column)?);
        let key_type = self.columns.column_type(key).clone();
        let argument = self.coerce(argument, &ColumnType::new(key_type.scalar), CastKind::Explicit)?;
        let condition = self.binary("=", Expression::Column(key), argument)?;
        let relation = Relation::filter(get, vec![condition]);
        Ok(Expression::Scalar(Box::new(Query { relation, outputs: vec![value], order: Vec::new() })))
    }
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

fn one_column(bound: &Query, query: &ast::Query) -> BindResult<()> {
    if bound.outputs.len() == 1 {
        Ok(())
    } else {
        let message = if bound.outputs.is_empty() { "subquery must return a column" } else { "subquery must return only one column" };
        // The parenthesis before it.
        let place = place_of(query).map(|place| crate::Place { column: place.column.saturating_sub(1).max(1), ..place });
        Err(BindError::new(codes::SYNTAX_ERROR, message).at(place))
    }
}

fn check_width(left: usize, right: usize) -> BindResult<()> {
    if right > left {
        Err(BindError::new(codes::SYNTAX_ERROR, "subquery has too many columns"))
    } else if right < left {
        Err(BindError::new(codes::SYNTAX_ERROR, "subquery has too few columns"))
    } else {
        Ok(())
    }
}

//! Expressions.

use super::coerce::{literal, text};
use super::literal::field_name;
use super::operator::{false_literal, operator_name, true_literal};
use super::{Binder, place_after, place_of, place_of_ident};
use crate::error::{BindError, BindResult, codes};
use crate::hir::{ColumnId, Expression};
use crate::parse::ast::{self, AccessExpr, BinaryOperator, Expr, Ident, Subscript, TrimWhereField, UnaryOperator, Value, ValueWithSpan};
use crate::parse::ident_value;
use plan::CastKind;
use repr::{ColumnType, Datum, Type};

/// Longer literals are not remembered by their place.
const PLACED_LITERAL_BYTES_MAX: usize = 256;

impl Binder<'_> {
    /// Binds an expression in the current level.
    pub(crate) fn bind_expression(&mut self, expr: &Expr) -> BindResult<Expression> {
        self.deeper(|binder| binder.bind_any(expr))
    }

    pub(crate) fn bind_expressions(&mut self, exprs: &[Expr]) -> BindResult<Vec<Expression>> {
        exprs.iter().map(|expr| self.bind_expression(expr)).collect()
    }

    /// Binds an expression that must be boolean.
    pub(crate) fn bind_boolean(&mut self, expr: &Expr, what: &str) -> BindResult<Expression> {
        let bound = self.bind_expression(expr)?;
        self.boolean(bound, what).map_err(|error| error.at(place_of(expr)))
    }

    fn bind_any(&mut self, expr: &Expr) -> BindResult<Expression> {
        match expr {
            Expr::Identifier(ident) => self.bind_name(std::slice::from_ref(ident)),
            Expr::CompoundIdentifier(parts) => self.bind_name(parts),
            Expr::Nested(inner) => self.bind_expression(inner),
            Expr::Value(value) => {
                if let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text), Some(place)) = (&value.value, place_of(expr))
                    && text.len() <= PLACED_LITERAL_BYTES_MAX
                {
                    self.literal_places.entry(text.clone()).or_insert(place);
                }
                self.bind_value(&value.value).map_err(|error| error.at(place_of(expr)))
            }
            Expr::BinaryOp { left, op, right } => self.bind_binary(left, op, right),
            Expr::UnaryOp { op, expr: inner } => self.bind_unary(op, inner).map_err(|error| error.at(place_of(expr))),
            Expr::Function(function) => self.bind_function(function),
            Expr::Cast { expr: inner, data_type, kind, .. } => {
                let place = if *kind == ast::CastKind::DoubleColon { place_after(inner.as_ref()) } else { place_of(expr) };
                self.bind_cast(inner, data_type, place)
            }
            Expr::Case { operand, conditions, else_result, .. } => self.bind_case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => self.bind_is(expr),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                let (left_bound, right_bound) = (self.bind_expression(left)?, self.bind_expression(right)?);
                let distinct = self.is_distinct(left_bound, right_bound).map_err(|error| error.at(place_after(left.as_ref())))?;
                Ok(if matches!(expr, Expr::IsDistinctFrom(..)) { distinct } else { Expression::Not(Box::new(distinct)) })
            }
            Expr::InList { expr: value, list, negated } => {
                // More parentheses around a query do not make it a value.
                if let [Expr::Subquery(query)] = list.as_slice() {
                    return self.bind_in_subquery(value, query, *negated);
                }
                let bound = self.bind_expression(value)?;
                let list = self.bind_expressions(list)?;
                self.in_list(bound, list, *negated).map_err(|error| error.at(place_after(value.as_ref())))
            }
            Expr::Between { expr: value, negated, low, high } => self.bind_between(value, *negated, low, high),
            Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } => self.bind_like(expr),
            Expr::AnyOp { left, compare_op, right, .. } => self.bind_quantified(left, compare_op, right, false),
            Expr::AllOp { left, compare_op, right } => self.bind_quantified(left, compare_op, right, true),
            Expr::InSubquery { expr: value, subquery, negated } => self.bind_in_subquery(value, subquery, *negated),
            Expr::Exists { subquery, negated } => self.bind_exists(subquery, *negated),
            Expr::Subquery(query) => self.bind_scalar_subquery(query),
            Expr::Tuple(members) => Ok(Expression::Row(self.bind_expressions(members)?)),
            Expr::Array(array) => self.bind_array(array).map_err(|error| error.at(place_of(expr))),
            Expr::TypedString(typed) => self.bind_typed_string(typed).map_err(|error| error.at(place_of(expr))),
            Expr::Interval(interval) => self.bind_interval(interval).map_err(|error| error.at(place_of(expr))),
            Expr::Collate { expr: inner, collation } => self.bind_collate(inner, collation),
            Expr::CompoundFieldAccess { root, access_chain } => self.bind_access(root, access_chain),
            _ => self.bind_special(expr).map_err(|error| error.at(place_of(expr))),
        }
    }

    /// The forms which are function calls in other words.
    fn bind_special(&mut self, expr: &Expr) -> BindResult<Expression> {
        match expr {
            Expr::AtTimeZone { timestamp, time_zone } => self.bind_call("timezone", &[time_zone, timestamp]),
            Expr::Extract { field, expr, .. } => {
                let value = self.bind_expression(expr)?;
                self.call_function("extract", vec![text(&field_name(field)), value])
            }
            Expr::Ceil { expr, .. } => self.bind_call("ceil", &[expr]),
            Expr::Floor { expr, .. } => self.bind_call("floor", &[expr]),
            Expr::Position { expr, r#in } => self.bind_call("position", &[r#in, expr]),
            Expr::Substring { expr, substring_from, substring_for, .. } => match (substring_from, substring_for) {
                (Some(from), Some(length)) => self.bind_call("substring", &[expr, from, length]),
                (Some(from), None) => self.bind_call("substring", &[expr, from]),
                (None, Some(length)) => {
                    let (value, length) = (self.bind_expression(expr)?, self.bind_expression(length)?);
                    self.call_function("substring", vec![value, literal(Datum::Int4(1), Type::Int4), length])
                }
                (None, None) => self.bind_call("substring", &[expr]),
            },
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let mut arguments = vec![self.bind_expression(expr)?];
                if let Some(what) = trim_what {
                    arguments.push(self.bind_expression(what)?);
                }
                for characters in trim_characters.iter().flatten() {
                    arguments.push(self.bind_expression(characters)?);
                }
                self.call_function(name, arguments)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => match overlay_for {
                Some(length) => self.bind_call("overlay", &[expr, overlay_what, overlay_from, length]),
                None => self.bind_call("overlay", &[expr, overlay_what, overlay_from]),
            },
            Expr::IsNormalized { .. } => Err(BindError::unsupported("IS NORMALIZED is not supported")),
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => Err(BindError::unsupported("GROUPING SETS, CUBE and ROLLUP are not supported")),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => Err(BindError::new(codes::SYNTAX_ERROR, "row expansion via \"*\" is not supported here")),
            other => Err(BindError::unsupported(format!("expression {other} is not supported"))),
        }
    }

    fn bind_call(&mut self, name: &str, arguments: &[&Expr]) -> BindResult<Expression> {
        let arguments = arguments.iter().map(|argument| self.bind_expression(argument)).collect::<BindResult<Vec<_>>>()?;
        self.call_function(name, arguments)
    }

    fn bind_binary(&mut self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> BindResult<Expression> {
        match operator {
            BinaryOperator::And => {
                let (left, right) = (self.bind_boolean(left, "AND")?, self.bind_boolean(right, "AND")?);
                Ok(Expression::And(vec![left, right]))
            }
            BinaryOperator::Or => {
                let (left, right) = (self.bind_boolean(left, "OR")?, self.bind_boolean(right, "OR")?);
                Ok(Expression::Or(vec![left, right]))
            }
            _ => {
                if let Expr::Subquery(query) = right
                    && matches!(left, Expr::Tuple(_))
                {
                    return self.bind_row_subquery(left, operator, query);
                }
                let place = || place_after(left);
                let name = operator_name(operator).map_err(|error| error.at(place()))?;
                let (left_bound, right_bound) = (self.bind_expression(left)?, self.bind_expression(right)?);
                self.binary(&name, left_bound, right_bound).map_err(|error| error.at(place()))
            }
        }
    }

    fn bind_unary(&mut self, operator: &UnaryOperator, inner: &Expr) -> BindResult<Expression> {
        // The sign belongs to the literal: -2147483648 is an integer.
        if let (UnaryOperator::Minus, Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. })) = (operator, inner) {
            return self.bind_number(&format!("-{digits}"));
        }
        let operand = self.bind_expression(inner)?;
        self.unary(operator, operand)
    }

    fn bind_cast(&mut self, inner: &Expr, data_type: &ast::DataType, place: Option<crate::Place>) -> BindResult<Expression> {
        let target = self.bind_type(data_type).map_err(|error| error.at(place))?;
        if let (Expr::Array(array), Type::Array(_)) = (inner, &target.scalar) {
            let bound = self.bind_array_of(array, Some(&target.scalar))?;
            return self.coerce(bound, &target, CastKind::Explicit).map_err(|error| error.at(place));
        }
        let bound = self.bind_expression(inner)?;
        self.coerce(bound, &target, CastKind::Explicit).map_err(|error| error.at(place))
    }

    fn bind_case(&mut self, operand: Option<&Expr>, conditions: &[ast::CaseWhen], otherwise: Option<&Expr>) -> BindResult<Expression> {
        let operand = operand.map(|operand| self.bind_expression(operand)).transpose()?;
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            tests.push(match &operand {
                None => self.bind_boolean(&when.condition, "CASE/WHEN")?,
                Some(operand) => {
                    let value = self.bind_expression(&when.condition)?;
                    self.binary("=", operand.clone(), value).map_err(|error| error.at(place_of(&when.condition)))?
                }
            });
            results.push(self.bind_expression(&when.result)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.bind_expression(otherwise)?,
            None => super::coerce::null_of(ColumnType::new(Type::Unknown)),
        });
        let place = || conditions.first().and_then(|when| place_of(&when.result));
        let mut results = self.unify(results, "CASE").map_err(|error| error.at(place()))?;
        let mut result = results.pop().unwrap_or_else(|| super::coerce::null_of(ColumnType::new(Type::Text)));
        for (condition, then) in tests.into_iter().zip(results).rev() {
            result = Expression::If { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(result) };
        }
        Ok(result)
    }

    fn bind_is(&mut self, expr: &Expr) -> BindResult<Expression> {
        let not = |expression| Expression::Not(Box::new(expression));
        let or_else = |value, default| Expression::Coalesce(vec![value, default]);
        Ok(match expr {
            Expr::IsNull(inner) => self.bind_is_null(inner, false)?,
            Expr::IsNotNull(inner) => self.bind_is_null(inner, true)?,
            Expr::IsTrue(inner) => or_else(self.bind_boolean(inner, "IS TRUE")?, false_literal()),
            Expr::IsNotTrue(inner) => not(or_else(self.bind_boolean(inner, "IS NOT TRUE")?, false_literal())),
            Expr::IsFalse(inner) => not(or_else(self.bind_boolean(inner, "IS FALSE")?, true_literal())),
            Expr::IsNotFalse(inner) => or_else(self.bind_boolean(inner, "IS NOT FALSE")?, true_literal()),
            Expr::IsUnknown(inner) => Expression::IsNull(Box::new(self.bind_boolean(inner, "IS UNKNOWN")?)),
            Expr::IsNotUnknown(inner) => not(Expression::IsNull(Box::new(self.bind_boolean(inner, "IS NOT UNKNOWN")?))),
            other => return Err(BindError::unsupported(format!("expression {other} is not supported"))),
        })
    }

    /// A row is NULL when all members are, and NOT NULL when all are not.
    fn bind_is_null(&mut self, inner: &Expr, negated: bool) -> BindResult<Expression> {
        let test = |expression: Expression| {
            let is_null = Expression::IsNull(Box::new(expression));
            if negated { Expression::Not(Box::new(is_null)) } else { is_null }
        };
        match self.bind_expression(inner)? {
            Expression::Row(members) => Ok(Expression::And(members.into_iter().map(test).collect())),
            value => {
                let value = self.settle(value)?;
                Ok(test(value))
            }
        }
    }

    fn bind_between(&mut self, value: &Expr, negated: bool, low: &Expr, high: &Expr) -> BindResult<Expression> {
        let place = || place_after(value);
        let bound = self.bind_expression(value)?;
        let (low, high) = (self.bind_expression(low)?, self.bind_expression(high)?);
        let above = self.binary(">=", bound.clone(), low).map_err(|error| error.at(place()))?;
        let below = self.binary("<=", bound, high).map_err(|error| error.at(place()))?;
        let within = Expression::And(vec![above, below]);
        Ok(if negated { Expression::Not(Box::new(within)) } else { within })
    }

    fn bind_like(&mut self, expr: &Expr) -> BindResult<Expression> {
        // LIKE ANY (array) in one reading of the grammar library; the other one is below.
        let quantified = match expr {
            Expr::Like { negated, expr, pattern, escape_char: None, any: true } => Some((expr, pattern, if *negated { "!~~" } else { "~~" })),
            Expr::ILike { negated, expr, pattern, escape_char: None, any: true } => Some((expr, pattern, if *negated { "!~~*" } else { "~~*" })),
            _ => None,
        };
        if let Some((value, pattern, operator)) = quantified {
            let value = self.bind_expression(value)?;
            return self.bind_like_quantified(operator, value, pattern, false);
        }
        let (value, pattern, escape, operator, similar) = match expr {
            Expr::Like { negated, expr, pattern, escape_char, any: false } => (expr, pattern, escape_char, if *negated { "!~~" } else { "~~" }, false),
            Expr::ILike { negated, expr, pattern, escape_char, any: false } => (expr, pattern, escape_char, if *negated { "!~~*" } else { "~~*" }, false),
            Expr::SimilarTo { negated, expr, pattern, escape_char } => (expr, pattern, escape_char, if *negated { "!~" } else { "~" }, true),
            other => return Err(BindError::unsupported(format!("expression {other} is not supported"))),
        };
        let bound = self.bind_expression(value)?;
        let mut pattern_bound = match pattern.as_ref() {
            // LIKE ANY (array) in the reading of the grammar library.
            Expr::AnyOp { right, .. } => return self.bind_like_quantified(operator, bound, right, false),
            other => self.bind_expression(other)?,
        };
        let escape = match escape {
            Some(escape) => Some(self.bind_value(&escape.value)?),
            None => None,
        };
        let place = || place_after(value.as_ref());
        if similar {
            let mut arguments = vec![pattern_bound];
            arguments.extend(escape);
            pattern_bound = self.call_function("similar_to_escape", arguments).map_err(|error| error.at(place()))?;
        } else if let Some(escape) = escape {
            pattern_bound = self.call_function("like_escape", vec![pattern_bound, escape]).map_err(|error| error.at(place()))?;
        }
        self.binary(operator, bound, pattern_bound).map_err(|error| error.at(place()))
    }

    fn bind_like_quantified(&mut self, operator: &str, left: Expression, array: &Expr, all: bool) -> BindResult<Expression> {
        let inner = match array {
            Expr::Nested(inner) => inner.as_ref(),
            other => other,
        };
        if let Expr::Subquery(query) = inner {
            return self.any_subquery(operator, left, query, all).map_err(|error| error.at(place_of(array)));
        }
        let array_bound = self.bind_expression(array)?;
        self.quantified_array(operator, left, array_bound, all).map_err(|error| error.at(place_of(array)))
    }

    fn bind_collate(&mut self, inner: &Expr, collation: &ast::ObjectName) -> BindResult<Expression> {
        let parts = super::name_parts(collation);
        match parts.last().map(String::as_str) {
            Some("C" | "POSIX" | "default" | "ucs_basic") => self.bind_expression(inner),
            // Every text compares as under C here.
            Some(other) => {
                let encoding = "collation \"".to_string() + other + "\" for encoding \"UTF8\" does not exist";
                Err(BindError::new(codes::UNDEFINED_OBJECT, encoding).with_hint("Text compares by its bytes: use the collations \"C\" or \"default\"."))
            }
            None => self.bind_expression(inner),
        }
    }

    pub(crate) fn bind_array(&mut self, array: &ast::Array) -> BindResult<Expression> {
        self.bind_array_of(array, None)
    }

    /// `ARRAY[...]`; nested ones are arrays of more dimensions.
    fn bind_array_of(&mut self, array: &ast::Array, target: Option<&Type>) -> BindResult<Expression> {
        if array.elem.is_empty() {
            let Some(target) = target else {
                return Err(BindError::new(codes::INDETERMINATE_DATATYPE, "cannot determine type of empty array")
                    .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
            };
            return self.read_literal("{}", &ColumnType::new(target.clone()), CastKind::Explicit);
        }
        let mut elements = Vec::with_capacity(array.elem.len());
        for element in &array.elem {
            elements.push(match element {
                Expr::Array(inner) => self.bind_array_of(inner, target)?,
                other => self.bind_expression(other)?,
            });
        }
        if let Some(Type::Array(element)) = target {
            for item in &mut elements {
                if !matches!(self.type_of(item), Type::Array(_)) {
                    *item = self.coerce(item.clone(), &ColumnType::new((**element).clone()), CastKind::Explicit)?;
                }
            }
        }
        let elements = self.unify(elements, "ARRAY")?;
        self.build_array(elements)
    }

    /// `a[1]`, `a[1:2]`, `(row).column`.
    fn bind_access(&mut self, root: &Expr, chain: &[AccessExpr]) -> BindResult<Expression> {
        let mut chain = chain;
        let mut root_parts = Vec::new();
        let mut root_inner = root;
        while let Expr::Nested(inner) = root_inner {
            root_inner = inner;
        }
        match root_inner {
            Expr::Identifier(ident) => root_parts.push(ident.clone()),
            Expr::CompoundIdentifier(parts) => root_parts.extend(parts.iter().cloned()),
            _ => {}
        }
        // `(t).column` and `t.column[1]`: names first.
        if !root_parts.is_empty() {
            while let [AccessExpr::Dot(Expr::Identifier(ident)), rest @ ..] = chain {
                root_parts.push(ident.clone());
                chain = rest;
            }
        }
        if let [AccessExpr::Dot(Expr::Identifier(field))] = chain
            && let Some(value) = self.bind_expanded_field(root_inner, &ident_value(field))?
        {
            return Ok(value);
        }
        // `(t.keys).x`, where `keys` was made by _pg_expandarray, which is its value `x` already.
        if let (Expr::CompoundIdentifier(column), [.., field]) = (root_inner, root_parts.as_slice())
            && ident_value(field) == "x"
            && root_parts.len() == column.len() + 1
            && let Ok(value) = self.bind_name(column)
            && self.type_of(&value) == Type::Int2
        {
            return Ok(value);
        }
        let mut value = if root_parts.is_empty() { self.bind_expression(root)? } else { self.bind_name(&root_parts)? };
        let mut rest = chain.iter().peekable();
        while let Some(access) = rest.next() {
            value = match access {
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let mut indexes = vec![self.bind_expression(index)?];
                    while let Some(AccessExpr::Subscript(Subscript::Index { index })) = rest.peek() {
                        indexes.push(self.bind_expression(index)?);
                        rest.next();
                    }
                    self.subscript(value, indexes)?
                }
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) => {
                    let lower = lower_bound.as_ref().map(|bound| self.bind_expression(bound)).transpose()?;
                    let upper = upper_bound.as_ref().map(|bound| self.bind_expression(bound)).transpose()?;
                    self.slice(value, lower, upper)?
                }
                AccessExpr::Dot(field) => {
                    return Err(BindError::unsupported(format!("field selection .{field} from a composite value is not supported")).at(place_of(root)));
                }
            };
        }
        Ok(value)
    }

    /// A column, or a whole row, by its name of one to four parts.
    fn bind_name(&mut self, parts: &[Ident]) -> BindResult<Expression> {
        let place = parts.first().and_then(place_of_ident);
        let names: Vec<String> = parts.iter().map(ident_value).collect();
        match names.as_slice() {
            [column] => self.bind_column(column, place),
            [table, column] => self.bind_qualified(None, table, column, place),
            [schema, table, column] | [_, schema, table, column] => self.bind_qualified(Some(schema), table, column, place),
            _ => Err(BindError::new(codes::SYNTAX_ERROR, format!("improper qualified name (too many dotted names): {}", names.join("."))).at(place)),
        }
    }

    fn bind_column(&mut self, name: &str, place: Option<crate::Place>) -> BindResult<Expression> {
        for level in self.levels.iter().rev().filter(|level| !level.hidden) {
            if let Some(id) = level.scope.find_column(name, place)? {
                return Ok(self.mention(id, place));
            }
        }
        for level in self.levels.iter().rev().filter(|level| !level.hidden) {
            if let Some(table) = level.scope.find_table(None, name, place)? {
                let table = table.clone();
                if table.scalar_function && let [(_, id)] = table.columns.as_slice() {
                    return Ok(self.mention(*id, place));
                }
                return Ok(Expression::Row(table.columns.iter().map(|(_, id)| self.mention(*id, place)).collect()));
            }
        }
        let error = BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")).at(place);
        Err(match self.similar_column(name) {
            Some(similar) => error.with_hint(format!("Perhaps you meant to reference the column \"{similar}\".")),
            None => error,
        })
    }

    fn bind_qualified(&mut self, schema: Option<&str>, table: &str, column: &str, place: Option<crate::Place>) -> BindResult<Expression> {
        for level in self.levels.iter().rev().filter(|level| !level.hidden) {
            if let Some(found) = level.scope.find_table(schema, table, place)? {
                if let Some(id) = found.find(column, place)? {
                    return Ok(self.mention(id, place));
                }
                let error = BindError::new(codes::UNDEFINED_COLUMN, format!("column {table}.{column} does not exist")).at(place);
                let near = found.columns.iter().filter_map(|(name, _)| super::scope::edit_distance(column, name, 3.min(column.len() / 2)).map(|distance| (distance, name)));
                return Err(match near.min() {
                    Some((_, name)) => error.with_hint(format!("Perhaps you meant to reference the column \"{table}.{name}\".")),
                    None => error,
                });
            }
        }
        let is_out_of_reach = |level: &super::Level| {
            let hidden = level.scope.tables.iter().filter(|_| level.hidden);
            hidden.chain(&level.unreachable).any(|other| other.name == table)
        };
        let hidden = self.levels.iter().any(is_out_of_reach);
        let error = if hidden {
            BindError::new(codes::UNDEFINED_TABLE, format!("invalid reference to FROM-clause entry for table \"{table}\""))
                .with_hint(format!("There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."))
        } else {
            BindError::new(codes::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\""))
        };
        Err(error.at(place))
    }

    fn mention(&mut self, id: ColumnId, place: Option<crate::Place>) -> Expression {
        if let Some(place) = place
            && !self.levels.last().is_some_and(|level| level.in_aggregate)
        {
            self.mentioned.entry(id).or_insert(place);
        }
        Expression::Column(id)
    }

    /// `table.column` of the column whose name is closest, if one is close.
    fn similar_column(&self, name: &str) -> Option<String> {
        let mut best: Option<(usize, String)> = None;
        for table in self.levels.iter().rev().filter(|level| !level.hidden).flat_map(|level| &level.scope.tables) {
            for (column, _) in &table.columns {
                if let Some(distance) = super::scope::edit_distance(name, column, 3.min(name.len() / 2))
                    && best.as_ref().is_none_or(|(least, _)| distance < *least)
                {
                    best = Some((distance, format!("{}.{}", table.name, column)));
                }
            }
        }
        best.map(|(_, name)| name)
    }
}

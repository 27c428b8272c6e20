//! Operators: which entry of the table they are, and comparisons of rows.

use super::Binder;
use super::coerce::literal;
use super::resolve::{Resolution, Signature, resolve};
use crate::error::{BindError, BindResult, codes};
use crate::hir::Expression;
use crate::names::Mode;
use crate::parse::ast::{BinaryOperator, UnaryOperator};
use plan::Function;
use plan::functions::{ScalarFunction, Volatility, lookup};
use repr::{ColumnType, Datum, SqlState, Type};

impl Binder<'_> {
    /// `left op right`.
    pub(crate) fn binary(&mut self, operator: &str, left: Expression, right: Expression) -> BindResult<Expression> {
        match (left, right) {
            (Expression::Row(left), Expression::Row(right)) => self.compare_rows(operator, left, right),
            (left, right) => self.call_operator(operator, vec![left, right]),
        }
    }

    /// An operator with one or two operands.
    pub(crate) fn call_operator(&mut self, operator: &str, operands: Vec<Expression>) -> BindResult<Expression> {
        let actual: Vec<Type> = operands.iter().map(|operand| self.type_of(operand)).collect();
        let entries = entries_of(operator);
        let signatures: Vec<Signature<'_>> = entries.iter().map(|entry| (entry.arguments.as_slice(), entry.variadic)).collect();
        let (position, parameters) = match resolve(&signatures, &actual, true) {
            Resolution::Found(position, parameters) => (position, parameters),
            Resolution::Missing => return Err(no_operator(operator, &actual)),
            Resolution::Ambiguous => {
                return Err(BindError::new(codes::AMBIGUOUS_FUNCTION, format!("operator is not unique: {}", signature_of(operator, &actual)))
                    .with_hint("Could not choose a best candidate operator. You might need to add explicit type casts."));
            }
        };
        match entries.get(position) {
            Some(entry) => self.build_call(entry, &parameters, operands),
            None => Err(no_operator(operator, &actual)),
        }
    }

    /// A call of an entry with its arguments converted.
    pub(crate) fn build_call(&mut self, entry: &'static ScalarFunction, parameters: &[Type], arguments: Vec<Expression>) -> BindResult<Expression> {
        self.check_volatility(entry)?;
        let mut converted = Vec::with_capacity(arguments.len());
        for (argument, parameter) in arguments.into_iter().zip(parameters) {
            converted.push(self.coerce_to(argument, parameter)?);
        }
        let types: Vec<ColumnType> = converted.iter().map(|argument| argument.column_type(&self.columns)).collect();
        let column_type = entry.result_type(&types);
        Ok(Expression::Call { function: Function(entry), arguments: converted, column_type })
    }

    fn check_volatility(&self, entry: &ScalarFunction) -> BindResult<()> {
        if self.mode == Mode::Maintained && entry.volatility != Volatility::Immutable {
            return Err(cannot_maintain(&format!("{}()", entry.name)));
        }
        Ok(())
    }

    /// Comparison of two rows of the same width, member by member from the left.
    fn compare_rows(&mut self, operator: &str, left: Vec<Expression>, right: Vec<Expression>) -> BindResult<Expression> {
        if left.len() != right.len() {
            return Err(BindError::new(codes::SYNTAX_ERROR, "unequal number of entries in row expressions"));
        }
        if left.is_empty() {
            return Err(BindError::unsupported("cannot compare rows of zero length"));
        }
        match operator {
            "=" | "<>" => {
                let pairs = left.into_iter().zip(right).map(|(left, right)| self.binary(operator, left, right)).collect::<BindResult<Vec<_>>>()?;
                Ok(if operator == "=" { Expression::And(pairs) } else { Expression::Or(pairs) })
            }
            "<" | "<=" | ">" | ">=" => {
                let strict = &operator[..1];
                let mut members: Vec<(Expression, Expression)> = left.into_iter().zip(right).collect();
                let Some((last_left, last_right)) = members.pop() else {
                    return Err(BindError::unsupported("cannot compare rows of zero length"));
                };
                let mut result = self.binary(operator, last_left, last_right)?;
                for (left, right) in members.into_iter().rev() {
                    let differs = self.binary(strict, left.clone(), right.clone())?;
                    let same = self.binary("=", left, right)?;
                    result = Expression::Or(vec![differs, Expression::And(vec![same, result])]);
                }
                Ok(result)
            }
            other => Err(BindError::unsupported(format!("could not determine interpretation of row comparison operator {other}"))
                .with_hint("Row comparison operators must be associated with btree operator families.")),
        }
    }

    /// `left IS DISTINCT FROM right`: like `<>`, with NULL a value like others.
    pub(crate) fn is_distinct(&mut self, left: Expression, right: Expression) -> BindResult<Expression> {
        if let (Expression::Row(left), Expression::Row(right)) = (&left, &right) {
            if left.len() != right.len() {
                return Err(BindError::new(codes::SYNTAX_ERROR, "unequal number of entries in row expressions"));
            }
            let pairs: Vec<_> = left.iter().cloned().zip(right.iter().cloned()).collect();
            return Ok(Expression::Or(pairs.into_iter().map(|(left, right)| self.is_distinct(left, right)).collect::<BindResult<_>>()?));
        }
        if right.is_null_literal() {
            return Ok(Expression::Not(Box::new(Expression::IsNull(Box::new(self.settle(left)?)))));
        }
        if left.is_null_literal() {
            return Ok(Expression::Not(Box::new(Expression::IsNull(Box::new(self.settle(right)?)))));
        }
        self.call_function("is_distinct_from", vec![left, right])
    }

    /// `value [NOT] IN (list)`.
    pub(crate) fn in_list(&mut self, value: Expression, list: Vec<Expression>, negated: bool) -> BindResult<Expression> {
        let result = match &value {
            Expression::Row(_) => None,
            _ => self.literal_list(&value, &list)?,
        };
        let result = match result {
            Some(result) => result,
            None => {
                let mut comparisons = Vec::with_capacity(list.len());
                for item in list {
                    comparisons.push(self.binary("=", value.clone(), item)?);
                }
                Expression::Or(comparisons)
            }
        };
        Ok(if negated { Expression::Not(Box::new(result)) } else { result })
    }

    /// The sorted form of a list of literals, if all are and have one type with the value.
    fn literal_list(&mut self, value: &Expression, list: &[Expression]) -> BindResult<Option<Expression>> {
        if !list.iter().all(|item| matches!(item, Expression::Literal(..))) {
            return Ok(None);
        }
        let mut types = vec![self.type_of(value)];
        types.extend(list.iter().map(|item| self.type_of(item)));
        let Ok(common) = super::resolve::common_type(&types) else { return Ok(None) };
        if types.iter().any(|from| !super::resolve::can_coerce(from, &common)) {
            return Ok(None);
        }
        let mut rows = Vec::with_capacity(list.len());
        let mut has_null = false;
        let mut builder = repr::RowBuilder::new();
        for item in list {
            let row = if self.type_of(item) == Type::Unknown {
                match self.coerce_to(item.clone(), &common)? {
                    Expression::Literal(row, _) => row,
                    _ => return Ok(None),
                }
            } else {
                match self.convert_literal(item, &common) {
                    Some(row) => row,
                    None => return Ok(None),
                }
            };
            match row.get(0) {
                None | Some(Datum::Null) => has_null = true,
                Some(datum) => {
                    builder.push_canonical(datum);
                    rows.push(builder.finish());
                }
            }
        }
        rows.sort();
        rows.dedup();
        let value = self.coerce_to(value.clone(), &common)?;
        Ok(Some(Expression::InList { value: Box::new(value), list: std::sync::Arc::new(rows), has_null }))
    }

    /// `left op ANY (array)`, `left op ALL (array)`.
    pub(crate) fn quantified_array(&mut self, operator: &str, left: Expression, array: Expression, all: bool) -> BindResult<Expression> {
        let left_type = self.type_of(&left);
        let array = match self.type_of(&array) {
            Type::Unknown => {
                let element = if left_type == Type::Unknown { Type::Text } else { left_type.clone() };
                self.coerce_to(array, &Type::Array(Box::new(element)))?
            }
            Type::Array(_) => array,
            _ => return Err(BindError::new(codes::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side")),
        };
        let Type::Array(element) = self.type_of(&array) else {
            return Err(BindError::new(codes::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side"));
        };
        let actual = vec![left_type, (*element).clone()];
        let entries = entries_of(operator);
        let signatures: Vec<Signature<'_>> = entries.iter().map(|entry| (entry.arguments.as_slice(), entry.variadic)).collect();
        let Resolution::Found(position, parameters) = resolve(&signatures, &actual, true) else { return Err(no_operator(operator, &actual)) };
        let (Some(entry), [left_parameter, element_parameter]) = (entries.get(position), parameters.as_slice()) else {
            return Err(no_operator(operator, &actual));
        };
        if entry.result != Type::Bool {
            return Err(BindError::new(codes::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires operator to yield boolean"));
        }
        self.check_volatility(entry)?;
        let left = self.coerce_to(left, left_parameter)?;
        let array = self.coerce_to(array, &Type::Array(Box::new(element_parameter.clone())))?;
        Ok(Expression::Quantified { function: Function(entry), left: Box::new(left), array: Box::new(array), all })
    }

    /// `- x`, `NOT x`, ...
    pub(crate) fn unary(&mut self, operator: &UnaryOperator, operand: Expression) -> BindResult<Expression> {
        match operator {
            UnaryOperator::Not => {
                let operand = self.boolean(operand, "NOT")?;
                Ok(Expression::Not(Box::new(operand)))
            }
            UnaryOperator::Plus => match self.type_of(&operand) {
                found if found.category() == 'N' => Ok(operand),
                _ => self.call_operator("+", vec![operand]),
            },
            other => self.call_operator(&other.to_string(), vec![operand]),
        }
    }
}

/// The entries of an operator; `!=` is another spelling of `<>`.
fn entries_of(operator: &str) -> &'static [&'static ScalarFunction] {
    lookup(if operator == "!=" { "<>" } else { operator })
}

fn signature_of(operator: &str, actual: &[Type]) -> String {
    match actual {
        [operand] => format!("{operator} {}", operand.sql_name(-1)),
        [left, right] => format!("{} {operator} {}", left.sql_name(-1), right.sql_name(-1)),
        _ => operator.to_string(),
    }
}

fn no_operator(operator: &str, actual: &[Type]) -> BindError {
    let hint = if actual.len() == 1 {
        "No operator matches the given name and argument type. You might need to add an explicit type cast."
    } else {
        "No operator matches the given name and argument types. You might need to add explicit type casts."
    };
    BindError::new(codes::UNDEFINED_FUNCTION, format!("operator does not exist: {}", signature_of(operator, actual))).with_hint(hint)
}

pub(crate) fn cannot_maintain(what: &str) -> BindError {
    BindError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("a maintained view cannot depend on {what}"))
        .with_detail("A maintained view is a function of the data it reads alone; this call depends on when it is evaluated, or by whom.")
        .with_hint("Compute it in the query that reads the view, or make it a column of the data.")
}

/// The name of a binary operator in the function table.
pub(crate) fn operator_name(operator: &BinaryOperator) -> BindResult<String> {
    match operator {
        BinaryOperator::PGCustomBinaryOperator(parts) => match parts.as_slice() {
            [name] => Ok(name.clone()),
            [schema, name] if schema.eq_ignore_ascii_case("pg_catalog") => Ok(name.clone()),
            _ => Err(BindError::new(codes::UNDEFINED_FUNCTION, format!("operator does not exist: {}", parts.join(".")))),
        },
        other => Ok(other.to_string()),
    }
}

pub(crate) fn true_literal() -> Expression {
    literal(Datum::Bool(true), Type::Bool)
}

pub(crate) fn false_literal() -> Expression {
    literal(Datum::Bool(false), Type::Bool)
}

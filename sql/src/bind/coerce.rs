//! Conversions: literals of unknown type, implicit casts, and the common type of several expressions.

use super::Binder;
use super::resolve::common_type;
use crate::error::{BindError, BindResult, codes};
use crate::hir::Expression;
use plan::CastKind;
use plan::functions::cast_context;
use repr::{ColumnType, Datum, Row, RowBuilder, SqlState, Type};

pub(crate) fn null_of(column_type: ColumnType) -> Expression {
    Expression::Literal(Row::pack([Datum::Null]), column_type.nullable(true))
}

pub(crate) fn literal(datum: Datum<'_>, scalar: Type) -> Expression {
    let nullable = datum.is_null();
    Expression::Literal(Row::pack([datum]), ColumnType::new(scalar).nullable(nullable))
}

pub(crate) fn text(value: &str) -> Expression {
    literal(Datum::Text(value), Type::Text)
}

/// Whether a cast of this weakness is allowed where `kind` was asked for.
fn allows(kind: CastKind, context: CastKind) -> bool {
    match kind {
        CastKind::Explicit => true,
        CastKind::Assignment => context != CastKind::Explicit,
        CastKind::Implicit => context == CastKind::Implicit,
    }
}

/// The weakest context in which Postgres converts, conversions through text included.
fn context_of(from: &Type, to: &Type) -> Option<CastKind> {
    if let Some(context) = cast_context(from, to) {
        return Some(context);
    }
    if let (Type::Array(from), Type::Array(to)) = (from, to) {
        return context_of(from, to);
    }
    if matches!(from, Type::Record(_)) || matches!(to, Type::Record(_)) {
        return None;
    }
    if to.category() == 'S' {
        return Some(CastKind::Assignment);
    }
    (from.category() == 'S').then_some(CastKind::Explicit)
}

impl Binder<'_> {
    pub(crate) fn type_of(&self, expression: &Expression) -> Type {
        match expression {
            Expression::Column(id) => self.columns.column_type(*id).scalar.clone(),
            other => other.column_type(&self.columns).scalar,
        }
    }

    /// Converts an expression to a type, or says that it cannot be.
    pub(crate) fn coerce(&mut self, expression: Expression, target: &ColumnType, kind: CastKind) -> BindResult<Expression> {
        let (expression, from) = match self.decide_unknown(expression, target, kind)? {
            Ok(decided) => {
                let from = decided.column_type(&self.columns);
                (decided, from)
            }
            Err(other) => {
                let from = other.column_type(&self.columns);
                (other, from)
            }
        };
        if from.scalar == target.scalar && (target.modifier == -1 || target.modifier == from.modifier) {
            return Ok(expression);
        }
        if from.scalar != target.scalar {
            match context_of(&from.scalar, &target.scalar) {
                Some(context) if allows(kind, context) => {}
                _ => return Err(cannot_cast(&from.scalar, &target.scalar)),
            }
        }
        if let Some(expression) = self.reg_text(&expression, &from.scalar, &target.scalar)? {
            return Ok(expression);
        }
        let column_type = target.clone().nullable(from.nullable);
        Ok(Expression::Cast { input: Box::new(expression), kind, column_type })
    }

    /// Converts to a type without a modifier, implicitly.
    pub(crate) fn coerce_to(&mut self, expression: Expression, target: &Type) -> BindResult<Expression> {
        self.coerce(expression, &ColumnType::new(target.clone()), CastKind::Implicit)
    }

    /// A literal or parameter of unknown type takes the target's (`Ok`); anything else is returned as it is (`Err`).
    fn decide_unknown(&mut self, expression: Expression, target: &ColumnType, kind: CastKind) -> BindResult<Result<Expression, Expression>> {
        match expression {
            Expression::Literal(row, column_type) if column_type.scalar == Type::Unknown => match row.get(0) {
                Some(Datum::Text(text)) => self.read_literal(text, target, kind).map(Ok).map_err(|error| error.at(self.literal_places.get(text).copied())),
                _ => Ok(Ok(null_of(target.clone()))),
            },
            Expression::Parameter(index, column_type) if column_type.scalar == Type::Unknown => {
                let decided = match &target.scalar {
                    Type::Unknown => return Ok(Err(Expression::Parameter(index, column_type))),
                    decided => decided.clone(),
                };
                self.parameters.decide(index, decided);
                let known = self.parameters.get(index).cloned().unwrap_or(Type::Text);
                Ok(Ok(Expression::Parameter(index, ColumnType::new(known))))
            }
            Expression::Column(id) if *target != ColumnType::new(Type::Unknown) => match self.undecided.get(&id).cloned() {
                Some(value) => self.decide_unknown(value, target, kind),
                None => Ok(Err(Expression::Column(id))),
            },
            // A row's members are decided by whoever takes it apart.
            other => Ok(Err(other)),
        }
    }

    /// `'text'::type`.
    pub(crate) fn read_literal(&mut self, text: &str, target: &ColumnType, kind: CastKind) -> BindResult<Expression> {
        if let Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace = &target.scalar {
            return self.read_reg_literal(text, &target.scalar);
        }
        if target.scalar == Type::Unknown {
            return Ok(literal(Datum::Text(text), Type::Unknown));
        }
        let mut builder = RowBuilder::new();
        repr::text::read(text, &target.scalar, &self.session_text(), &mut builder)?;
        let mut row = builder.finish();
        if target.modifier != -1 {
            let datum = row.get(0).unwrap_or(Datum::Null);
            repr::text::apply_modifier(datum, target, kind == CastKind::Explicit, &mut builder)?;
            row = builder.finish();
        }
        Ok(Expression::Literal(row, target.clone().not_null()))
    }

    /// The session's text settings; maintained views know no `now`.
    pub(crate) fn session_text(&self) -> repr::text::TextContext {
        let mut context = self.session.text.clone();
        context.now = match self.mode {
            crate::Mode::OneShot => self.session.now,
            crate::Mode::Maintained => None,
        };
        context
    }

    /// A literal of another type as a literal of `target`, when both are plain values that every reader of text agrees about.
    pub(crate) fn convert_literal(&self, expression: &Expression, target: &Type) -> Option<Row> {
        let Expression::Literal(row, from) = expression else { return None };
        let datum = row.get(0)?;
        if datum.is_null() || from.scalar == *target {
            return Some(row.clone());
        }
        let same_kind = (from.scalar.category() == 'N' && target.category() == 'N') || (from.scalar.is_string() && *target == Type::Text);
        if !same_kind || cast_context(&from.scalar, target) != Some(CastKind::Implicit) {
            return None;
        }
        let context = self.session_text();
        let mut text = String::new();
        repr::text::write(&datum, &from.scalar, &context, &mut text);
        let mut builder = RowBuilder::new();
        repr::text::read(&text, target, &context, &mut builder).ok()?;
        Some(builder.finish())
    }

    /// Brings several expressions to one type, as UNION, CASE, COALESCE, VALUES, ARRAY and IN do. `what` names the construct in the message.
    pub(crate) fn unify(&mut self, expressions: Vec<Expression>, what: &str) -> BindResult<Vec<Expression>> {
        let types: Vec<Type> = expressions.iter().map(|expression| self.type_of(expression)).collect();
        let common = common_type(&types).map_err(|(left, right)| cannot_match(what, &left, &right))?;
        expressions
            .into_iter()
            .map(|expression| {
                let from = self.type_of(&expression);
                self.coerce_to(expression, &common).map_err(|error| {
                    if error.sqlstate() == codes::CANNOT_COERCE { cannot_convert(what, &from, &common) } else { error }
                })
            })
            .collect()
    }

    /// What is still unknown at the end becomes text.
    pub(crate) fn settle(&mut self, expression: Expression) -> BindResult<Expression> {
        if self.type_of(&expression) == Type::Unknown { self.coerce_to(expression, &Type::Text) } else { Ok(expression) }
    }

    /// An expression that must be boolean. `what` is the clause as Postgres' message says it.
    pub(crate) fn boolean(&mut self, expression: Expression, what: &str) -> BindResult<Expression> {
        let from = self.type_of(&expression);
        if from == Type::Bool {
            return Ok(expression);
        }
        if from == Type::Unknown {
            return self.coerce_to(expression, &Type::Bool);
        }
        let message = format!("argument of {what} must be type boolean, not type {}", from.sql_name(-1));
        Err(BindError::new(SqlState::DATATYPE_MISMATCH, message))
    }

    /// Assigns an expression to a column of a table.
    pub(crate) fn assign(&mut self, expression: Expression, column: &repr::Column) -> BindResult<Expression> {
        let from = self.type_of(&expression);
        self.coerce(expression, &column.column_type, CastKind::Assignment).map_err(|error| {
            if error.sqlstate() != codes::CANNOT_COERCE {
                return error;
            }
            let (to, from) = (column.column_type.scalar.sql_name(-1), from.sql_name(-1));
            BindError::new(SqlState::DATATYPE_MISMATCH, format!("column \"{}\" is of type {to} but expression is of type {from}", column.name))
                .with_hint("You will need to rewrite or cast the expression.")
        })
    }
}

fn cannot_cast(from: &Type, to: &Type) -> BindError {
    BindError::new(codes::CANNOT_COERCE, format!("cannot cast type {} to {}", from.sql_name(-1), to.sql_name(-1)))
}

pub(crate) fn cannot_match(what: &str, left: &Type, right: &Type) -> BindError {
    BindError::new(SqlState::DATATYPE_MISMATCH, format!("{what} types {} and {} cannot be matched", left.sql_name(-1), right.sql_name(-1)))
}

fn cannot_convert(what: &str, from: &Type, to: &Type) -> BindError {
    BindError::new(codes::CANNOT_COERCE, format!("{what} could not convert type {} to {}", from.sql_name(-1), to.sql_name(-1)))
}

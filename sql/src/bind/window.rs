//! Window calls: `f(...) OVER (...)`.

use super::aggregate::direction_of;
use super::call::{Arguments, no_function};
use super::{Binder, place_of_ident};
use crate::error::{BindError, BindResult, Place, codes};
use crate::hir::{Expression, FrameBound, WindowExpression, WindowFunction};
use crate::parse::ast::{self, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType};
use crate::parse::ident_value;
use plan::{CastKind, FrameExclusion, FrameUnits, WindowFunction as Named};
use repr::{ColumnType, Datum, SqlState, Type};

/// The window function proper of a name.
pub(crate) fn window_function(name: &str) -> Option<Named> {
    Some(match name {
        "row_number" => Named::RowNumber,
        "rank" => Named::Rank,
        "dense_rank" => Named::DenseRank,
        "percent_rank" => Named::PercentRank,
        "cume_dist" => Named::CumeDist,
        "ntile" => Named::Ntile,
        "lag" => Named::Lag,
        "lead" => Named::Lead,
        "first_value" => Named::FirstValue,
        "last_value" => Named::LastValue,
        "nth_value" => Named::NthValue,
        _ => return None,
    })
}

struct Window {
    partition: Vec<Expression>,
    order: Vec<(Expression, repr::SortDirection)>,
    units: FrameUnits,
    start: FrameBound,
    end: FrameBound,
}

impl Binder<'_> {
    pub(crate) fn bind_window_call(&mut self, name: &str, function: &ast::Function, arguments: &Arguments<'_>, place: Option<Place>) -> BindResult<Expression> {
        let clause = self.level().clause;
        if self.level().in_aggregate {
            return Err(BindError::new(codes::GROUPING_ERROR, "aggregate function calls cannot contain window function calls").at(place));
        }
        if self.level().in_window {
            return Err(BindError::new(codes::WINDOWING_ERROR, "window function calls cannot be nested").at(place));
        }
        if !clause.allows_windows() {
            return Err(BindError::new(codes::WINDOWING_ERROR, format!("window functions are not allowed in {}", clause.words())).at(place));
        }
        let Some(over) = &function.over else { return Err(no_function(name, &[])) };
        self.level().in_window = true;
        let bound = self.bind_window(name, function, arguments, over);
        self.level().in_window = false;
        let expression = bound?;
        if let Some((id, _)) = self.level().windows.iter().find(|(_, known)| *known == expression) {
            return Ok(Expression::Column(*id));
        }
        let id = self.columns.add(expression.column_type.clone());
        self.level().windows.push((id, expression));
        Ok(Expression::Column(id))
    }

    fn bind_window(&mut self, name: &str, function: &ast::Function, arguments: &Arguments<'_>, over: &WindowType) -> BindResult<WindowExpression> {
        let ignore_nulls = matches!(function.null_treatment, Some(ast::NullTreatment::IgnoreNulls));
        if ignore_nulls {
            return Err(BindError::unsupported("IGNORE NULLS is not supported"));
        }
        let (call, bound, column_type) = match window_function(name) {
            Some(named) => self.bind_named_window(name, named, function, arguments)?,
            None => {
                if plan::aggregate::lookup(name).is_empty() {
                    let message = format!("OVER specified, but {name} is not a window function nor an aggregate function");
                    return Err(BindError::new(codes::WRONG_OBJECT_TYPE, message));
                }
                if arguments.distinct {
                    return Err(BindError::unsupported("DISTINCT is not implemented for window functions"));
                }
                if !arguments.order.is_empty() {
                    return Err(BindError::unsupported("aggregate ORDER BY is not implemented for window functions"));
                }
                let aggregate = self.bind_aggregate(name, function, arguments)?;
                // Frames may be empty where groups are not.
                let column_type = aggregate.column_type.clone().nullable(!aggregate.function.0.empty_is_zero);
                (WindowFunction::Aggregate(Box::new(aggregate)), Vec::new(), column_type)
            }
        };
        let window = match over {
            WindowType::NamedWindow(ident) => {
                let spec = self.named_window(ident)?;
                self.bind_spec(&spec)?
            }
            WindowType::WindowSpec(spec) => self.bind_spec(spec)?,
        };
        let Window { partition, order, units, start, end } = window;
        Ok(WindowExpression {
            function: call,
            arguments: bound,
            filter: None,
            partition,
            order,
            units,
            start,
            end,
            exclusion: FrameExclusion::NoOthers,
            ignore_nulls,
            column_type,
        })
    }

    fn bind_named_window(
        &mut self,
        name: &str,
        named: Named,
        function: &ast::Function,
        arguments: &Arguments<'_>,
    ) -> BindResult<(WindowFunction, Vec<Expression>, ColumnType)> {
        if function.filter.is_some() {
            return Err(BindError::unsupported("FILTER is not implemented for non-aggregate window functions"));
        }
        if arguments.distinct {
            return Err(BindError::unsupported("DISTINCT is not implemented for window functions"));
        }
        let mut bound = Vec::with_capacity(arguments.exprs.len());
        for expr in &arguments.exprs {
            let argument = self.bind_expression(expr)?;
            bound.push(argument);
        }
        let actual: Vec<Type> = bound.iter().map(|argument| self.type_of(argument)).collect();
        let whole = |scalar: Type| ColumnType::new(scalar).not_null();
        let column_type = match (&named, bound.len()) {
            (Named::RowNumber | Named::Rank | Named::DenseRank, 0) => whole(Type::Int8),
            (Named::PercentRank | Named::CumeDist, 0) => whole(Type::Float8),
            (Named::Ntile, 1) => {
                bound = bound.into_iter().map(|argument| self.coerce_to(argument, &Type::Int4)).collect::<BindResult<_>>()?;
                ColumnType::new(Type::Int4)
            }
            (Named::Lag | Named::Lead, 1..=3) => {
                let mut operands = bound.into_iter();
                let value = operands.next().map(|value| self.settle(value)).transpose()?;
                let offset = operands.next().map(|offset| self.coerce_to(offset, &Type::Int4)).transpose()?;
                let (value, default) = match (value, operands.next()) {
                    (Some(value), Some(default)) => {
                        let mut unified = self.unify(vec![value, default], "lag")?.into_iter();
                        (unified.next(), unified.next())
                    }
                    (value, _) => (value, None),
                };
                bound = value.into_iter().chain(offset).chain(default).collect();
                ColumnType::new(bound.first().map_or(Type::Text, |value| self.type_of(value)))
            }
            (Named::FirstValue | Named::LastValue, 1) => {
                bound = bound.into_iter().map(|argument| self.settle(argument)).collect::<BindResult<_>>()?;
                ColumnType::new(bound.first().map_or(Type::Text, |value| self.type_of(value)))
            }
            (Named::NthValue, 2) => {
                let mut operands = bound.into_iter();
                let value = operands.next().map(|value| self.settle(value)).transpose()?;
                let position = operands.next().map(|position| self.coerce_to(position, &Type::Int4)).transpose()?;
                bound = value.into_iter().chain(position).collect();
                ColumnType::new(bound.first().map_or(Type::Text, |value| self.type_of(value)))
            }
            _ => return Err(no_function(name, &actual)),
        };
        Ok((WindowFunction::Named(named), bound, column_type))
    }

    fn named_window(&mut self, ident: &ast::Ident) -> BindResult<WindowSpec> {
        let name = ident_value(ident);
        let found = self.level().named_windows.iter().find(|(known, _)| *known == name).map(|(_, spec)| spec.clone());
        found.ok_or_else(|| BindError::new(codes::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")).at(place_of_ident(ident)))
    }

    fn bind_spec(&mut self, spec: &WindowSpec) -> BindResult<Window> {
        let base = match &spec.window_name {
            Some(ident) => {
                let base = self.named_window(ident)?;
                let name = ident_value(ident);
                if !spec.partition_by.is_empty() {
                    return Err(BindError::new(codes::WINDOWING_ERROR, format!("cannot override PARTITION BY clause of window \"{name}\"")));
                }
                if !spec.order_by.is_empty() && !base.order_by.is_empty() {
                    return Err(BindError::new(codes::WINDOWING_ERROR, format!("cannot override ORDER BY clause of window \"{name}\"")));
                }
                Some(base)
            }
            None => None,
        };
        let mut partition = Vec::new();
        let base_partition = base.as_ref().map_or(&[][..], |base| &base.partition_by);
        for expr in base_partition.iter().chain(&spec.partition_by) {
            let key = self.bind_expression(expr)?;
            partition.push(self.settle(key)?);
        }
        let mut order = Vec::new();
        let base_order = base.as_ref().map_or(&[][..], |base| &base.order_by);
        for key in base_order.iter().chain(&spec.order_by) {
            let expression = self.bind_expression(&key.expr)?;
            order.push((self.settle(expression)?, direction_of(&key.options)));
        }
        let (units, start, end) = match &spec.window_frame {
            None => (FrameUnits::Range, FrameBound::UnboundedPreceding, FrameBound::CurrentRow),
            Some(frame) => {
                let units = match frame.units {
                    WindowFrameUnits::Rows => FrameUnits::Rows,
                    WindowFrameUnits::Range => FrameUnits::Range,
                    WindowFrameUnits::Groups => FrameUnits::Groups,
                };
                let start = self.bind_bound(&frame.start_bound, units, &order)?;
                let end = match &frame.end_bound {
                    Some(bound) => self.bind_bound(bound, units, &order)?,
                    None => FrameBound::CurrentRow,
                };
                (units, start, end)
            }
        };
        check_frame(units, &start, &end, order.len())?;
        Ok(Window { partition, order, units, start, end })
    }

    fn bind_bound(&mut self, bound: &WindowFrameBound, units: FrameUnits, order: &[(Expression, repr::SortDirection)]) -> BindResult<FrameBound> {
        let (value, preceding) = match bound {
            WindowFrameBound::CurrentRow => return Ok(FrameBound::CurrentRow),
            WindowFrameBound::Preceding(None) => return Ok(FrameBound::UnboundedPreceding),
            WindowFrameBound::Following(None) => return Ok(FrameBound::UnboundedFollowing),
            WindowFrameBound::Preceding(Some(value)) => (value, true),
            WindowFrameBound::Following(Some(value)) => (value, false),
        };
        let bound = self.bind_expression(value)?;
        if bound.free_columns().iter().next().is_some() {
            return Err(BindError::new(codes::INVALID_COLUMN_REFERENCE, "argument of a window frame bound must not contain variables"));
        }
        let target = match (units, order) {
            (FrameUnits::Range, [(key, _)]) => match self.type_of(key) {
                Type::Date | Type::Timestamp | Type::TimestampTz | Type::Time | Type::Interval => Type::Interval,
                other => other,
            },
            _ => Type::Int8,
        };
        let offset = self.coerce(bound, &ColumnType::new(target), CastKind::Assignment)?;
        if let Expression::Literal(row, _) = &offset {
            let negative = match row.get(0) {
                Some(Datum::Int8(value)) => value < 0,
                Some(Datum::Int4(value)) => value < 0,
                Some(Datum::Null) => {
                    return Err(BindError::new(SqlState(*b"22004"), "frame starting offset must not be null"));
                }
                _ => false,
            };
            if negative {
                let what = if preceding { "starting" } else { "ending" };
                return Err(BindError::new(SqlState(*b"22013"), format!("frame {what} offset must not be negative")));
            }
        }
        Ok(if preceding { FrameBound::Preceding(offset) } else { FrameBound::Following(offset) })
    }
}

fn check_frame(units: FrameUnits, start: &FrameBound, end: &FrameBound, order_keys: usize) -> BindResult<()> {
    let fail = |message: &str| Err(BindError::new(codes::WINDOWING_ERROR, message));
    match (start, end) {
        (FrameBound::UnboundedFollowing, _) => return fail("frame start cannot be UNBOUNDED FOLLOWING"),
        (_, FrameBound::UnboundedPreceding) => return fail("frame end cannot be UNBOUNDED PRECEDING"),
        (FrameBound::CurrentRow, FrameBound::Preceding(_)) => return fail("frame starting from current row cannot have preceding rows"),
        (FrameBound::Following(_), FrameBound::Preceding(_) | FrameBound::CurrentRow) => {
            return fail("frame starting from following row cannot have preceding rows");
        }
        _ => {}
    }
    let offsets = [start, end].iter().any(|bound| matches!(bound, FrameBound::Preceding(_) | FrameBound::Following(_)));
    match units {
        FrameUnits::Range if offsets && order_keys != 1 => fail("RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column"),
        FrameUnits::Groups if order_keys == 0 => fail("GROUPS mode requires an ORDER BY clause"),
        _ => Ok(()),
    }
}

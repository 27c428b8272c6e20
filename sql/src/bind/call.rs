//! Calls: scalar functions by name, the forms that only look like calls, and set-returning functions in select lists.

use super::coerce::{literal, null_of, text};
use super::operator::cannot_maintain;
use super::resolve::{Resolution, Signature, resolve};
use super::{Binder, SetCall, name_parts, place_of, place_of_ident};
use crate::error::{BindError, BindResult, Place, codes};
use crate::hir::{ColumnId, Expression};
use crate::names::Mode;
use crate::parse::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use plan::functions::lookup;
use plan::{CastKind, TableFunction};
use repr::{ColumnType, Datum, SqlState, Type};

/// The arguments of a call as written.
pub(crate) struct Arguments<'e> {
    pub exprs: Vec<&'e Expr>,
    /// `count(*)`.
    pub star: bool,
    pub distinct: bool,
    /// The last argument was marked VARIADIC.
    pub variadic: bool,
    pub order: Vec<&'e ast::OrderByExpr>,
}

pub(crate) fn arguments_of(function: &ast::Function) -> BindResult<Arguments<'_>> {
    let mut arguments = Arguments { exprs: Vec::new(), star: false, distinct: false, variadic: false, order: Vec::new() };
    let FunctionArguments::List(list) = &function.args else { return Ok(arguments) };
    arguments.distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.exprs.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => arguments.star = true,
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } if name.value == "variadic" => {
                arguments.variadic = true;
                arguments.exprs.push(expr);
            }
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
                return Err(BindError::unsupported(format!("{name}.* as an argument is not supported")));
            }
            _ => return Err(BindError::unsupported("named arguments are not supported")),
        }
    }
    for clause in &list.clauses {
        match clause {
            ast::FunctionArgumentClause::OrderBy(order) => arguments.order.extend(order),
            other => return Err(BindError::unsupported(format!("{other} in a function call is not supported"))),
        }
    }
    Ok(arguments)
}

/// The set-returning function of `information_schema` that drivers read the columns of keys with.
const EXPAND_ARRAY: &str = "_pg_expandarray";

impl Binder<'_> {
    /// `(information_schema._pg_expandarray(a)).n`: positions from 1, and `.x`: values.
    pub(crate) fn bind_expanded_field(&mut self, root: &Expr, field: &str) -> BindResult<Option<Expression>> {
        let Expr::Function(function) = root else { return Ok(None) };
        if !matches!(name_parts(&function.name).as_slice(), [schema, name] if schema == "information_schema" && name == EXPAND_ARRAY) {
            return Ok(None);
        }
        let place = place_of(root);
        if field == "x" {
            return self.bind_function(function).map(Some);
        }
        let arguments = arguments_of(function)?;
        let (Some(array), "n") = (arguments.exprs.first(), field) else {
            return Err(BindError::new(codes::UNDEFINED_COLUMN, format!("column \"{field}\" not found in data type record")).at(place));
        };
        let array = self.bind_expression(array)?;
        let one = literal(Datum::Int4(1), Type::Int4);
        let lower = self.call_function("array_lower", vec![array.clone(), one.clone()])?;
        let (function, bound) = self.table_function("generate_subscripts", vec![array, one.clone()])?;
        let columns: Vec<ColumnId> = function.columns().into_iter().map(|(_, column_type)| self.columns.add(column_type)).collect();
        let subscript = columns_as_value(&columns);
        self.level().sets.push(SetCall { function, arguments: bound, columns });
        let from_zero = self.binary("-", subscript, lower)?;
        self.binary("+", from_zero, one).map(Some)
    }

    pub(crate) fn bind_function(&mut self, function: &ast::Function) -> BindResult<Expression> {
        let place = function.name.0.first().and_then(|part| part.as_ident()).and_then(place_of_ident);
        let mut parts = name_parts(&function.name);
        if parts.len() == 2 && parts.first().is_some_and(|schema| schema == "pg_catalog") {
            parts.remove(0);
        }
        let name = match parts.as_slice() {
            [name] => name.clone(),
            [schema, name] if schema == "information_schema" && name == EXPAND_ARRAY => name.clone(),
            _ => return Err(BindError::new(codes::UNDEFINED_FUNCTION, format!("function {}() does not exist", parts.join("."))).at(place)),
        };
        self.bind_named(&name, function, place).map_err(|error| error.at(place))
    }

    fn bind_named(&mut self, name: &str, function: &ast::Function, place: Option<Place>) -> BindResult<Expression> {
        if let FunctionArguments::Subquery(query) = &function.args {
            return match name {
                "array" => self.bind_array_subquery(query),
                _ => {
                    let value = self.bind_scalar_subquery(query)?;
                    self.call_function(name, vec![value])
                }
            };
        }
        let arguments = arguments_of(function)?;
        let is_aggregate = !plan::aggregate::lookup(name).is_empty();
        if function.over.is_some() {
            return self.bind_window_call(name, function, &arguments, place);
        }
        if super::window::window_function(name).is_some() && lookup(name).is_empty() && !is_aggregate {
            return Err(BindError::new(codes::WRONG_OBJECT_TYPE, format!("window function {name} requires an OVER clause")));
        }
        if is_aggregate && lookup(name).is_empty() {
            return self.bind_aggregate_call(name, function, &arguments, place);
        }
        if function.filter.is_some() || arguments.distinct || arguments.star || !arguments.order.is_empty() {
            let what = if function.filter.is_some() {
                format!("FILTER specified, but {name} is not an aggregate function")
            } else if arguments.distinct {
                format!("DISTINCT specified, but {name} is not an aggregate function")
            } else if arguments.star {
                format!("{name}(*) specified, but {name} is not an aggregate function")
            } else {
                format!("ORDER BY specified, but {name} is not an aggregate function")
            };
            if self.is_known(name) || !arguments.star {
                return Err(BindError::new(codes::WRONG_OBJECT_TYPE, what));
            }
            return Err(BindError::new(codes::UNDEFINED_FUNCTION, format!("function {name}() does not exist")));
        }
        if name == EXPAND_ARRAY {
            // A record of position and value, of which a stored one is its value: see `bind_access`.
            return self.bind_set_call("unnest", &arguments, place);
        }
        if is_set_returning(name) {
            return self.bind_set_call(name, &arguments, place);
        }
        if let Some(expression) = self.bind_form(name, &arguments)? {
            return Ok(expression);
        }
        let mut bound = Vec::with_capacity(arguments.exprs.len());
        for expr in &arguments.exprs {
            bound.push(self.bind_expression(expr)?);
        }
        if let Some(expression) = self.session_function(name, &bound)? {
            return Ok(expression);
        }
        if let Some(expression) = self.catalog_function(name, &bound)? {
            return Ok(expression);
        }
        self.call_function(name, bound)
    }

    fn is_known(&self, name: &str) -> bool {
        !lookup(name).is_empty() || is_set_returning(name)
    }

    /// Forms with their own rules for types or evaluation.
    fn bind_form(&mut self, name: &str, arguments: &Arguments<'_>) -> BindResult<Option<Expression>> {
        let count = arguments.exprs.len();
        let form = match name {
            "coalesce" | "nullif" | "greatest" | "least" | "row" | "grouping" => name,
            "mz_now" | "tm_now" if count == 0 => return self.logical_timestamp().map(Some),
            _ => return Ok(None),
        };
        let mut bound = Vec::with_capacity(count);
        for expr in &arguments.exprs {
            bound.push(self.bind_expression(expr)?);
        }
        let place = arguments.exprs.first().and_then(|expr| place_of(*expr));
        Ok(Some(match form {
            "coalesce" if count > 0 => Expression::Coalesce(self.unify(bound, "COALESCE").map_err(|error| error.at(place))?),
            "greatest" | "least" if count > 0 => {
                let unified = self.unify(bound, &form.to_ascii_uppercase()).map_err(|error| error.at(place))?;
                self.call_function(form, unified)?
            }
            "nullif" if count == 2 => {
                let mut operands = bound.into_iter();
                let (Some(left), Some(right)) = (operands.next(), operands.next()) else { return Ok(None) };
                let same = self.binary("=", left.clone(), right)?;
                let left = match &same {
                    // A literal has taken its type from the comparison.
                    // So has a varchar: the comparison is of texts.
                    Expression::Call { arguments, .. } if matches!(self.type_of(&left), Type::Unknown | Type::Varchar) => arguments.first().cloned().unwrap_or(left),
                    _ => left,
                };
                let column_type = ColumnType::new(self.type_of(&left));
                Expression::If { condition: Box::new(same), then: Box::new(null_of(column_type)), otherwise: Box::new(left) }
            }
            "row" => Expression::Row(bound),
            "grouping" => return Err(BindError::unsupported("GROUPING is not supported")),
            _ => return Err(BindError::new(codes::SYNTAX_ERROR, format!("wrong number of arguments of {}", form.to_ascii_uppercase()))),
        }))
    }

    /// The logical timestamp. In a maintained view it would need rows to leave by themselves.
    fn logical_timestamp(&mut self) -> BindResult<Expression> {
        if self.mode == Mode::Maintained {
            return Err(BindError::unsupported("mz_now() in a maintained view is not supported yet")
                .with_hint("Filter by time in the query that reads the view."));
        }
        Ok(Expression::LogicalTimestamp)
    }

    /// Functions of the session: constants while the statement is planned, or calls of entries that know the statement's time.
    fn session_function(&mut self, name: &str, arguments: &[Expression]) -> BindResult<Option<Expression>> {
        let session = self.session;
        let name_of = |value: &str| Ok(Some(literal(Datum::Text(value), Type::Name)));
        if !matches!(
            name,
            "current_user" | "current_role" | "user" | "session_user" | "current_database" | "current_catalog" | "current_schema" | "version"
                | "pg_backend_pid" | "current_setting" | "current_schemas" | "current_date" | "current_timestamp" | "localtimestamp" | "localtime"
                | "transaction_timestamp" | "statement_timestamp" | "now" | "pg_my_temp_schema" | "pg_is_in_recovery" | "txid_current"
                | "inet_server_addr" | "inet_server_port" | "inet_client_addr" | "inet_client_port" | "pg_is_other_temp_schema" | "current_query"
                | "pg_postmaster_start_time" | "pg_conf_load_time" | "clock_timestamp" | "timeofday"
        ) {
            return Ok(None);
        }
        if self.mode == Mode::Maintained {
            return Err(cannot_maintain(&format!("{name}()")));
        }
        let visible_schema = || session.search_path.iter().find(|schema| *schema != "pg_catalog").map(String::as_str);
        match (name, arguments) {
            ("current_user" | "current_role" | "user", []) => name_of(&session.user),
            ("session_user", []) => name_of(&session.session_user),
            ("current_database" | "current_catalog", []) => name_of(&session.database),
            ("current_schema", []) => match visible_schema() {
                Some(schema) => name_of(schema),
                None => Ok(Some(null_of(ColumnType::new(Type::Name)))),
            },
            ("current_schemas", [Expression::Literal(row, _)]) => {
                let implicit = matches!(row.get(0), Some(Datum::Bool(true)));
                let mut builder = repr::ArrayBuilder::new();
                for schema in session.search_path.iter().filter(|schema| implicit || *schema != "pg_catalog") {
                    builder.push(Datum::Text(schema));
                }
                let bytes = builder.finish();
                let row = repr::Row::pack([Datum::Array(repr::Array::from_encoded(&bytes))]);
                Ok(Some(Expression::Literal(row, ColumnType::new(Type::Array(Box::new(Type::Name))).not_null())))
            }
            ("version", []) => Ok(Some(text(&session.version))),
            ("pg_backend_pid", []) => Ok(Some(literal(Datum::Int4(session.backend_pid), Type::Int4))),
            ("pg_my_temp_schema", []) => Ok(Some(literal(Datum::Oid(0), Type::Oid))),
            ("pg_is_other_temp_schema", [_]) | ("pg_is_in_recovery", []) => Ok(Some(literal(Datum::Bool(false), Type::Bool))),
            ("inet_server_addr" | "inet_client_addr" | "current_query", []) => Ok(Some(null_of(ColumnType::new(Type::Text)))),
            ("inet_server_port" | "inet_client_port", []) => Ok(Some(null_of(ColumnType::new(Type::Int4)))),
            ("current_setting", [Expression::Literal(row, _), rest @ ..]) => {
                let Some(Datum::Text(setting)) = row.get(0) else { return Ok(None) };
                match (session.setting)(&setting.to_ascii_lowercase()) {
                    Some(value) => Ok(Some(text(&value))),
                    None if matches!(rest, [Expression::Literal(row, _)] if matches!(row.get(0), Some(Datum::Bool(true)))) => {
                        Ok(Some(null_of(ColumnType::new(Type::Text))))
                    }
                    None => Err(BindError::new(codes::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{setting}\""))),
                }
            }
            ("current_timestamp" | "now" | "transaction_timestamp" | "statement_timestamp" | "pg_postmaster_start_time" | "pg_conf_load_time", _) => {
                self.now(Type::TimestampTz).map(Some)
            }
            ("clock_timestamp", []) if lookup(name).is_empty() => self.now(Type::TimestampTz).map(Some),
            ("localtimestamp", _) => self.now(Type::Timestamp).map(Some),
            ("current_date", _) => self.now(Type::Date).map(Some),
            ("localtime", _) => self.now(Type::Time).map(Some),
            _ => Ok(None),
        }
    }

    /// The statement's time, as a call where the table has one (so that a prepared plan asks anew), converted.
    fn now(&mut self, target: Type) -> BindResult<Expression> {
        let instant = match lookup("now").first() {
            Some(entry) => self.build_call(entry, &[], Vec::new())?,
            None => match self.session.now {
                Some(now) => literal(Datum::TimestampTz(now), Type::TimestampTz),
                None => return Err(BindError::unsupported("there is no current time here")),
            },
        };
        self.coerce(instant, &ColumnType::new(target), CastKind::Explicit)
    }

    /// A function by name over bound arguments.
    pub(crate) fn call_function(&mut self, name: &str, arguments: Vec<Expression>) -> BindResult<Expression> {
        let actual: Vec<Type> = arguments.iter().map(|argument| self.type_of(argument)).collect();
        let arguments = self.build_rows(arguments)?;
        let entries = lookup(name);
        let signatures: Vec<Signature<'_>> = entries.iter().map(|entry| (entry.arguments.as_slice(), entry.variadic)).collect();
        match resolve(&signatures, &actual, false) {
            Resolution::Found(position, parameters) => match entries.get(position) {
                Some(entry) => self.build_call(entry, &parameters, arguments),
                None => Err(no_function(name, &actual)),
            },
            Resolution::Ambiguous => {
                Err(BindError::new(codes::AMBIGUOUS_FUNCTION, format!("function {} is not unique", signature_of(name, &actual)))
                    .with_hint("Could not choose a best candidate function. You might need to add explicit type casts."))
            }
            Resolution::Missing => {
                // `int4(x)` is a cast, as in Postgres.
                if let ([_], Some(target)) = (actual.as_slice(), Type::from_name(name))
                    && let Some(argument) = arguments.into_iter().next()
                {
                    return self.coerce(argument, &ColumnType::new(target), CastKind::Explicit);
                }
                Err(no_function(name, &actual))
            }
        }
    }

    /// Rows as values: `ROW(a, b)` becomes a call that makes a record.
    fn build_rows(&mut self, arguments: Vec<Expression>) -> BindResult<Vec<Expression>> {
        arguments.into_iter().map(|argument| self.row_value(argument)).collect()
    }

    pub(crate) fn row_value(&mut self, expression: Expression) -> BindResult<Expression> {
        match expression {
            Expression::Row(members) => {
                let mut settled = Vec::with_capacity(members.len());
                for member in members {
                    let member = self.row_value(member)?;
                    settled.push(self.settle(member)?);
                }
                let Some(entry) = lookup("record_build").first() else {
                    return Err(BindError::unsupported("row values are not supported"));
                };
                let types: Vec<ColumnType> = settled.iter().map(|member| member.column_type(&self.columns)).collect();
                Ok(Expression::Call { function: plan::Function(entry), column_type: entry.result_type(&types), arguments: settled })
            }
            other => Ok(other),
        }
    }

    /// A set-returning function where a value is expected: in a select list it multiplies the row.
    fn bind_set_call(&mut self, name: &str, arguments: &Arguments<'_>, place: Option<Place>) -> BindResult<Expression> {
        let clause = self.level().clause;
        if !clause.allows_sets() || self.level().in_aggregate {
            return Err(BindError::unsupported(format!("set-returning functions are not allowed in {}", clause.words())).at(place));
        }
        let mut bound = Vec::with_capacity(arguments.exprs.len());
        for expr in &arguments.exprs {
            bound.push(self.bind_expression(expr)?);
        }
        let (function, bound) = self.table_function(name, bound)?;
        let columns: Vec<ColumnId> = function.columns().into_iter().map(|(_, column_type)| self.columns.add(column_type)).collect();
        if let Some(known) = self.level().sets.iter().find(|set| set.function == function && set.arguments == bound) {
            return Ok(columns_as_value(&known.columns));
        }
        let value = columns_as_value(&columns);
        self.level().sets.push(SetCall { function, arguments: bound, columns });
        Ok(value)
    }

    /// A table function by name, with its arguments converted.
    pub(crate) fn table_function(&mut self, name: &str, arguments: Vec<Expression>) -> BindResult<(TableFunction, Vec<Expression>)> {
        let actual: Vec<Type> = arguments.iter().map(|argument| self.type_of(argument)).collect();
        let series = |scalar: Type, step: Type| vec![vec![scalar.clone(), scalar.clone()], vec![scalar.clone(), scalar, step]];
        let signatures: Vec<Vec<Type>> = match name {
            "generate_series" => {
                let mut all = series(Type::Int4, Type::Int4);
                all.extend(series(Type::Int8, Type::Int8));
                all.extend(series(Type::Numeric, Type::Numeric));
                all.push(vec![Type::Timestamp, Type::Timestamp, Type::Interval]);
                all.push(vec![Type::TimestampTz, Type::TimestampTz, Type::Interval]);
                all
            }
            "generate_subscripts" => vec![vec![Type::AnyArray, Type::Int4]],
            "unnest" => vec![vec![Type::AnyArray]],
            "regexp_split_to_table" => vec![vec![Type::Text, Type::Text], vec![Type::Text, Type::Text, Type::Text]],
            "string_to_table" => vec![vec![Type::Text, Type::Text], vec![Type::Text, Type::Text, Type::Text]],
            _ => vec![vec![Type::Jsonb]],
        };
        let candidates: Vec<Signature<'_>> = signatures.iter().map(|signature| (signature.as_slice(), false)).collect();
        let parameters = match resolve(&candidates, &actual, false) {
            Resolution::Found(_, parameters) => parameters,
            Resolution::Missing => return Err(no_function(name, &actual)),
            Resolution::Ambiguous => {
                return Err(BindError::new(codes::AMBIGUOUS_FUNCTION, format!("function {} is not unique", signature_of(name, &actual)))
                    .with_hint("Could not choose a best candidate function. You might need to add explicit type casts."));
            }
        };
        let first = parameters.first().cloned().unwrap_or(Type::Text);
        let function = match name {
            "generate_series" => TableFunction::GenerateSeries(first),
            "generate_subscripts" => TableFunction::GenerateSubscripts,
            "unnest" => TableFunction::Unnest(first.element().cloned().unwrap_or(Type::Text)),
            "regexp_split_to_table" => TableFunction::RegexpSplitToTable,
            "string_to_table" => TableFunction::StringToTable,
            "jsonb_array_elements" => TableFunction::JsonbArrayElements { text: false },
            "jsonb_array_elements_text" => TableFunction::JsonbArrayElements { text: true },
            "jsonb_each" => TableFunction::JsonbEach { text: false },
            "jsonb_each_text" => TableFunction::JsonbEach { text: true },
            "jsonb_object_keys" => TableFunction::JsonbObjectKeys,
            _ => return Err(no_function(name, &actual)),
        };
        let mut converted = Vec::with_capacity(arguments.len());
        for (argument, parameter) in arguments.into_iter().zip(&parameters) {
            converted.push(self.coerce_to(argument, parameter)?);
        }
        Ok((function, converted))
    }

    /// An array of expressions of one type.
    pub(crate) fn build_array(&mut self, elements: Vec<Expression>) -> BindResult<Expression> {
        let nested = elements.first().map(|element| self.type_of(element)).filter(|found| matches!(found, Type::Array(_)));
        let mut array = self.call_function(ARRAY_BUILD, elements)?;
        if let (Some(nested), Expression::Call { column_type, .. }) = (nested, &mut array) {
            // More dimensions, the same type.
            column_type.scalar = nested;
        }
        Ok(array)
    }

    pub(crate) fn subscript(&mut self, value: Expression, indexes: Vec<Expression>) -> BindResult<Expression> {
        match self.type_of(&value) {
            Type::Array(_) => {
                let mut arguments = vec![value];
                for index in indexes {
                    arguments.push(self.coerce(index, &ColumnType::new(Type::Int4), CastKind::Assignment)?);
                }
                self.call_function(ARRAY_SUBSCRIPT, arguments)
            }
            // jsonb takes one key or position at a time.
            Type::Jsonb => indexes.into_iter().try_fold(value, |value, index| {
                let index = if self.type_of(&index) == Type::Unknown { self.coerce_to(index, &Type::Text)? } else { index };
                self.binary("->", value, index)
            }),
            other => Err(cannot_subscript(&other)),
        }
    }

    pub(crate) fn slice(&mut self, value: Expression, lower: Option<Expression>, upper: Option<Expression>) -> BindResult<Expression> {
        let found = self.type_of(&value);
        if !matches!(found, Type::Array(_)) {
            return Err(cannot_subscript(&found));
        }
        let mut arguments = vec![value];
        for (bound, absent) in [(lower, i32::MIN), (upper, i32::MAX)] {
            arguments.push(match bound {
                Some(bound) => self.coerce(bound, &ColumnType::new(Type::Int4), CastKind::Assignment)?,
                None => literal(Datum::Int4(absent), Type::Int4),
            });
        }
        self.call_function(ARRAY_SLICE, arguments)
    }
}

/// `ARRAY[a, b]`; of arrays: an array of one more dimension.
const ARRAY_BUILD: &str = "array_build";
/// `a[1][2]`: the array and its subscripts.
const ARRAY_SUBSCRIPT: &str = "array_subscript";
/// `a[1:2]`: the array and its bounds; the least and the greatest integer stand for those left out.
const ARRAY_SLICE: &str = "array_slice";

fn cannot_subscript(found: &Type) -> BindError {
    let message = format!("cannot subscript type {} because it does not support subscripting", found.sql_name(-1));
    BindError::new(SqlState::DATATYPE_MISMATCH, message)
}

/// One column is the value itself, several are a row.
fn columns_as_value(columns: &[ColumnId]) -> Expression {
    match columns {
        [one] => Expression::Column(*one),
        several => Expression::Row(several.iter().map(|id| Expression::Column(*id)).collect()),
    }
}

pub(crate) fn is_set_returning(name: &str) -> bool {
    plan::table_function::NAMES.contains(&name)
}

fn signature_of(name: &str, actual: &[Type]) -> String {
    let types: Vec<String> = actual.iter().map(|found| found.sql_name(-1)).collect();
    format!("{name}({})", types.join(", "))
}

pub(crate) fn no_function(name: &str, actual: &[Type]) -> BindError {
    BindError::new(codes::UNDEFINED_FUNCTION, format!("function {} does not exist", signature_of(name, actual)))
        .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

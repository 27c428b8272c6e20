//! Calling a table function.

use super::TableFunction;
use repr::{
    Datum, Diff, EvalError, Interval, JsonbView, Numeric, RowBuilder, RowRef, SqlState, SqlTimestamp, SqlTimestampTz, TimeZone, Type, temporal,
};

/// More rows than this from one call is an error (54000): a mistyped bound must not fill the memory of a maintained view.
pub const ROWS_MAX: u64 = 100_000_000;

/// Gets a row of the function's columns, encoded, with its multiplicity; false ends the call.
pub type Emit<'a> = &'a mut dyn FnMut(&[u8], Diff) -> bool;

impl TableFunction {
    /// Calls the function with encoded `arguments` and emits its rows in order, until `emit` returns false.
    ///
    /// On an error the rows emitted before it do not count: the call failed as a whole.
    pub fn apply(&self, arguments: &[u8], time_zone: TimeZone, emit: Emit<'_>) -> Result<(), EvalError> {
        let mut rows = 0u64;
        let mut exceeded = false;
        let mut counted = |row: &[u8], diff: Diff| {
            rows += 1;
            exceeded = rows > ROWS_MAX;
            !exceeded && emit(row, diff)
        };
        self.call(arguments, time_zone, &mut counted)?;
        if exceeded {
            return Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("one call of a table function returns more than {ROWS_MAX} rows")));
        }
        Ok(())
    }

    fn call(&self, arguments: &[u8], time_zone: TimeZone, emit: Emit<'_>) -> Result<(), EvalError> {
        if let TableFunction::WithOrdinality(function) = self {
            let mut ordinality = 0i64;
            let mut numbered = RowBuilder::new();
            return function.call(arguments, time_zone, &mut |row, diff| {
                (0..diff).all(|_| {
                    ordinality += 1;
                    numbered.clear();
                    numbered.push_encoded(row);
                    numbered.push(Datum::Int8(ordinality));
                    emit(numbered.as_bytes(), 1)
                })
            });
        }
        let arguments: Vec<Datum<'_>> = RowRef::new(arguments).iter().collect();
        let mut out = Out { row: RowBuilder::new(), emit };
        match self {
            TableFunction::AssertOneRow => match arguments.first() {
                Some(Datum::Int8(count)) if *count > 1 => {
                    return Err(EvalError::more_than_one_row());
                }
                _ => drop((out.emit)(&[], 1)),
            },
            TableFunction::Repeat => match arguments.first() {
                Some(Datum::Int8(count)) if *count < 0 => {
                    return Err(EvalError::new(SqlState::INTERNAL_ERROR, format!("a row was to be repeated {count} times")));
                }
                Some(Datum::Int8(count)) if *count > 0 => drop((out.emit)(&[], *count)),
                _ => {}
            },
            TableFunction::StringToTable => split_string(&arguments, &mut out),
            _ if arguments.iter().any(Datum::is_null) => {}
            TableFunction::GenerateSeries(typ) => generate_series(typ, &arguments, time_zone, &mut out)?,
            TableFunction::GenerateSubscripts => generate_subscripts(&arguments, &mut out),
            TableFunction::Unnest(_) => {
                if let [Datum::Array(array)] = &arguments[..] {
                    let mut elements = array.elements();
                    while let Some(element) = elements.next_encoded() {
                        if !(out.emit)(element, 1) {
                            break;
                        }
                    }
                }
            }
            TableFunction::RegexpSplitToTable => split_by_regex(&arguments, &mut out)?,
            TableFunction::JsonbArrayElements { text } => json_elements(&arguments, *text, &mut out)?,
            TableFunction::JsonbEach { text } => json_members(&arguments, Some(*text), &mut out)?,
            TableFunction::JsonbObjectKeys => json_members(&arguments, None, &mut out)?,
            TableFunction::WithOrdinality(_) => {}
        }
        Ok(())
    }
}

struct Out<'a> {
    row: RowBuilder,
    emit: Emit<'a>,
}

impl Out<'_> {
    fn row(&mut self, datum: Datum<'_>) -> bool {
        self.row.clear();
        self.row.push(datum);
        (self.emit)(self.row.as_bytes(), 1)
    }
}

fn invalid(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn generate_series(typ: &Type, arguments: &[Datum<'_>], time_zone: TimeZone, out: &mut Out<'_>) -> Result<(), EvalError> {
    match typ {
        Type::Numeric => numeric_series(arguments, out),
        Type::Timestamp | Type::TimestampTz => time_series(arguments, time_zone, out),
        _ => integer_series(arguments, out),
    }
}

fn integer_series(arguments: &[Datum<'_>], out: &mut Out<'_>) -> Result<(), EvalError> {
    let is_int4 = matches!(arguments.first(), Some(Datum::Int4(_)));
    let value = |position: usize| match arguments.get(position) {
        Some(Datum::Int4(value)) => Some(i64::from(*value)),
        Some(Datum::Int8(value)) => Some(*value),
        _ => None,
    };
    let (Some(start), Some(stop), step) = (value(0), value(1), value(2).unwrap_or(1)) else {
        return Ok(());
    };
    if step == 0 {
        return Err(invalid("step size cannot equal zero"));
    }
    let mut current = Some(start);
    // The end of the type ends the series, as in Postgres.
    while let Some(value) = current.filter(|value| if step > 0 { *value <= stop } else { *value >= stop }) {
        if !out.row(if is_int4 { Datum::Int4(value as i32) } else { Datum::Int8(value) }) {
            break;
        }
        current = value.checked_add(step);
    }
    Ok(())
}

fn numeric_series(arguments: &[Datum<'_>], out: &mut Out<'_>) -> Result<(), EvalError> {
    let (start, stop, step) = match arguments {
        [Datum::Numeric(start), Datum::Numeric(stop)] => (start.clone(), stop.clone(), Numeric::from(1i64)),
        [Datum::Numeric(start), Datum::Numeric(stop), Datum::Numeric(step)] => (start.clone(), stop.clone(), step.clone()),
        _ => return Ok(()),
    };
    for (name, value) in [("start", &start), ("stop", &stop), ("step", &step)] {
        let name = if name == "step" { "step size".to_string() } else { format!("{name} value") };
        if value.is_nan() {
            return Err(invalid(format!("{name} cannot be NaN")));
        }
        if value.is_infinite() {
            return Err(invalid(format!("{name} cannot be infinity")));
        }
    }
    if step.is_zero() {
        return Err(invalid("step size cannot equal zero"));
    }
    let mut current = start;
    while if step.signum() > 0 { current <= stop } else { current >= stop } {
        if !out.row(Datum::Numeric(current.clone())) {
            break;
        }
        current = current.add(&step)?;
    }
    Ok(())
}

fn time_series(arguments: &[Datum<'_>], time_zone: TimeZone, out: &mut Out<'_>) -> Result<(), EvalError> {
    let (start, stop, step, zone) = match arguments {
        [Datum::Timestamp(start), Datum::Timestamp(stop), Datum::Interval(step)] => (start.0, stop.0, *step, None),
        [Datum::TimestampTz(start), Datum::TimestampTz(stop), Datum::Interval(step)] => (start.0, stop.0, *step, Some(time_zone)),
        _ => return Ok(()),
    };
    let direction = step.length_micros().signum();
    if direction == 0 {
        return Err(invalid("step size cannot equal zero"));
    }
    let is_infinite = |micros: i64| micros == i64::MIN || micros == i64::MAX;
    let mut current = start;
    while if direction > 0 { current <= stop } else { current >= stop } {
        if !out.row(if zone.is_some() { Datum::TimestampTz(SqlTimestampTz(current)) } else { Datum::Timestamp(SqlTimestamp(current)) }) {
            break;
        }
        if is_infinite(current) {
            // It would be followed by itself for ever.
            break;
        }
        current = match zone {
            None => add_interval(current, &step)?,
            // Months and days move the wall clock, the rest moves the instant.
            Some(zone) => {
                let local = zone.to_local(SqlTimestampTz(current));
                let moved = if step.months == 0 && step.days == 0 {
                    current
                } else {
                    zone.to_instant(SqlTimestamp(add_interval(local.0, &Interval { micros: 0, ..step })?))?.0
                };
                moved.checked_add(step.micros).ok_or_else(out_of_range)?
            }
        };
    }
    Ok(())
}

fn out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// Months first (the day is cut to the month's length), then days, then the rest.
pub(crate) fn add_interval(timestamp: i64, interval: &Interval) -> Result<i64, EvalError> {
    use chrono::Datelike;
    let moved = || {
        let (mut days, micros) = (timestamp.div_euclid(temporal::MICROS_PER_DAY), timestamp.rem_euclid(temporal::MICROS_PER_DAY));
        if interval.months != 0 {
            let epoch = chrono::NaiveDate::from_ymd_opt(2000, 1, 1)?;
            let date = epoch.checked_add_signed(chrono::TimeDelta::try_days(days)?)?;
            let months = chrono::Months::new(interval.months.unsigned_abs());
            let date = if interval.months > 0 { date.checked_add_months(months) } else { date.checked_sub_months(months) }?;
            days = i64::from(date.num_days_from_ce()) - i64::from(epoch.num_days_from_ce());
        }
        let days = days.checked_add(i64::from(interval.days))?;
        days.checked_mul(temporal::MICROS_PER_DAY)?.checked_add(micros)?.checked_add(interval.micros)
    };
    moved().ok_or_else(out_of_range)
}

fn generate_subscripts(arguments: &[Datum<'_>], out: &mut Out<'_>) {
    let (Some(Datum::Array(array)), Some(Datum::Int4(dimension))) = (arguments.first(), arguments.get(1)) else {
        return;
    };
    let dimensions = array.dimensions();
    let Some(dimension) = usize::try_from(*dimension - 1).ok().and_then(|position| dimensions.get(position)) else {
        return;
    };
    let last = i64::from(dimension.lower_bound) + i64::from(dimension.length) - 1;
    let mut subscripts = i64::from(dimension.lower_bound)..=last;
    let reverse = matches!(arguments.get(2), Some(Datum::Bool(true)));
    while let Some(subscript) = if reverse { subscripts.next_back() } else { subscripts.next() } {
        if !out.row(Datum::Int4(subscript as i32)) {
            break;
        }
    }
}

/// Not strict: without a delimiter every character is a row of its own, and the NULL string is optional.
fn split_string(arguments: &[Datum<'_>], out: &mut Out<'_>) {
    let Some(Datum::Text(text)) = arguments.first() else {
        return;
    };
    let null = if let Some(Datum::Text(null)) = arguments.get(2) { Some(*null) } else { None };
    if text.is_empty() {
        return;
    }
    let mut emit = |part: &str| out.row(if Some(part) == null { Datum::Null } else { Datum::Text(part) });
    match arguments.get(1) {
        Some(Datum::Text("")) => drop(emit(text)),
        Some(Datum::Text(delimiter)) => drop(text.split(delimiter).all(emit)),
        _ => drop(text.chars().all(|character| emit(character.encode_utf8(&mut [0; 4])))),
    }
}

fn split_by_regex(arguments: &[Datum<'_>], out: &mut Out<'_>) -> Result<(), EvalError> {
    let (Some(Datum::Text(text)), Some(Datum::Text(pattern))) = (arguments.first(), arguments.get(1)) else {
        return Ok(());
    };
    let flags = if let Some(Datum::Text(flags)) = arguments.get(2) { flags } else { "" };
    let regex = compile_regex(pattern, flags)?;
    let mut start = 0;
    for found in regex.find_iter(text) {
        // An empty match at either end splits nothing off.
        if found.is_empty() && (found.start() == 0 || found.end() == text.len()) {
            continue;
        }
        if !out.row(Datum::Text(&text[start..found.start()])) {
            return Ok(());
        }
        start = found.end();
    }
    out.row(Datum::Text(&text[start..]));
    Ok(())
}

fn compile_regex(pattern: &str, flags: &str) -> Result<regex::Regex, EvalError> {
    let mut builder = regex::RegexBuilder::new(pattern);
    builder.dot_matches_new_line(true);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'n' | 'm' => builder.multi_line(true).dot_matches_new_line(false),
            's' => builder.multi_line(false).dot_matches_new_line(true),
            'p' => builder.dot_matches_new_line(false),
            'w' => builder.multi_line(true),
            'x' => builder.ignore_whitespace(true),
            't' | 'e' => &mut builder,
            'g' => {
                return Err(invalid("regexp_split_to_table() does not support the \"global\" option"));
            }
            other => {
                return Err(invalid(format!("invalid regular expression option: \"{other}\"")));
            }
        };
    }
    builder.build().map_err(|error| {
        EvalError::new(SqlState::INVALID_REGULAR_EXPRESSION, "invalid regular expression").with_detail(error.to_string().replace('\n', " "))
    })
}

/// A member as `jsonb` or, unquoted, as text.
fn push_json(value: repr::Jsonb<'_>, text: bool, row: &mut RowBuilder) {
    if !text {
        return row.push(Datum::Jsonb(value));
    }
    match value.view() {
        JsonbView::Null => row.push(Datum::Null),
        JsonbView::String(string) => row.push(Datum::Text(string)),
        _ => {
            let mut written = String::new();
            value.write_text(&mut written);
            row.push(Datum::Text(&written));
        }
    }
}

fn json_elements(arguments: &[Datum<'_>], text: bool, out: &mut Out<'_>) -> Result<(), EvalError> {
    let [Datum::Jsonb(value)] = arguments else {
        return Ok(());
    };
    match value.view() {
        JsonbView::Array(elements) => {
            for element in elements {
                out.row.clear();
                push_json(element, text, &mut out.row);
                if !(out.emit)(out.row.as_bytes(), 1) {
                    break;
                }
            }
            Ok(())
        }
        JsonbView::Object(_) => Err(invalid("cannot extract elements from an object")),
        _ => Err(invalid("cannot extract elements from a scalar")),
    }
}

/// The members of an object; `values` is `None` for the keys alone.
fn json_members(arguments: &[Datum<'_>], values: Option<bool>, out: &mut Out<'_>) -> Result<(), EvalError> {
    let [Datum::Jsonb(value)] = arguments else {
        return Ok(());
    };
    match (value.view(), values) {
        (JsonbView::Object(members), _) => {
            for (key, value) in members {
                out.row.clear();
                out.row.push(Datum::Text(key));
                if let Some(text) = values {
                    push_json(value, text, &mut out.row);
                }
                if !(out.emit)(out.row.as_bytes(), 1) {
                    break;
                }
            }
            Ok(())
        }
        (JsonbView::Array(_), None) => Err(invalid("cannot call jsonb_object_keys on an array")),
        (_, None) => Err(invalid("cannot call jsonb_object_keys on a scalar")),
        (_, Some(text)) => Err(invalid(format!("cannot call {} on a non-object", if text { "jsonb_each_text" } else { "jsonb_each" }))),
    }
}

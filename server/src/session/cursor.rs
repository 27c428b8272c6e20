//! Portals, of the protocol and of SQL: a cursor is a portal with a name.

use super::prepared::Prepared;
use super::rows::collect;
use super::{PORTALS_MAX, ResultColumns, Session};
use crate::Error;
use crate::execution::{BoxFuture, Execution, ReadyRows, RowSource, RowsExecution, RowsTag};
use repr::Row;
use sql::parse::{Declare, Fetch, FetchDirection, Statement, ident_value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub struct Portal {
    prepared: Option<Arc<Prepared>>,
    parameters: Row,
    formats: Vec<i16>,
    columns: Option<ResultColumns>,
    state: State,
    /// WITH HOLD: it outlives its transaction.
    held: bool,
}

enum State {
    Ready,
    /// Started; its rows are with the protocol, or sent.
    Started,
    /// In a mutex only because a session is shared between threads while it waits, and an execution need not be.
    Suspended(std::sync::Mutex<Execution>),
    Cursor(Arc<Mutex<CursorRows>>),
}

/// What is left of a cursor's rows.
pub struct CursorRows {
    source: Box<dyn RowSource>,
    ready: VecDeque<Row>,
    ended: bool,
    /// SCROLL: all rows, and how many of them lie before the position.
    scroll: Option<(Vec<Row>, usize)>,
}

impl Portal {
    pub fn is_held(&self) -> bool {
        self.held
    }
    pub fn suspend(&mut self, rest: Execution) {
        if let State::Cursor(cursor) = &self.state {
            // Rows that were fetched and not sent are the next ones: FETCH and Execute share the cursor's position.
            if let (Execution::Rows(RowsExecution { mut source, .. }), Ok(mut cursor)) = (rest, cursor.try_lock())
                && let Ok(Some(rows)) = source.try_next_batch()
            {
                rows.into_iter().rev().for_each(|row| cursor.ready.push_front(row));
            }
            return;
        }
        self.state = State::Suspended(std::sync::Mutex::new(rest));
    }
}

fn no_portal(name: &str) -> Error {
    Error::new("34000", format!("portal \"{name}\" does not exist"))
}
fn no_cursor(name: &str) -> Error {
    Error::new("34000", format!("cursor \"{name}\" does not exist"))
}

impl Session {
    pub(super) fn open_portal(&mut self, name: &str, prepared: Arc<Prepared>, parameters: Row, formats: Vec<i16>) -> Result<(), Error> {
        if let Some(statement) = &prepared.statement {
            self.check_allowed(statement)?;
        }
        if !name.is_empty() && self.portals.contains_key(name) {
            return Err(Error::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        self.check_portals()?;
        let columns = self.planned(&prepared)?.columns.clone();
        let portal = Portal { prepared: Some(prepared), parameters, formats, columns, state: State::Ready, held: false };
        self.portals.insert(name.to_string(), portal);
        Ok(())
    }

    fn check_portals(&self) -> Result<(), Error> {
        if self.portals.len() >= PORTALS_MAX {
            return Err(Error::new("54000", format!("a session has at most {PORTALS_MAX} portals and cursors")).with_hint("Close those that are not used any more."));
        }
        Ok(())
    }

    pub(super) fn describe_open(&mut self, name: &str) -> Result<(Option<ResultColumns>, Vec<i16>), Error> {
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        Ok((portal.columns.clone(), portal.formats.clone()))
    }

    pub(super) async fn execute_portal(&mut self, name: &str) -> Result<(Execution, Vec<i16>), Error> {
        self.absorb_copied();
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        let formats = portal.formats.clone();
        match std::mem::replace(&mut portal.state, State::Started) {
            State::Suspended(rest) => Ok((rest.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner), formats)),
            State::Started if portal.columns.is_some() => Ok((Execution::Command { tag: "SELECT 0".to_string() }, formats)),
            State::Started => Err(Error::new("55000", format!("portal \"{name}\" cannot be run"))),
            State::Cursor(rows) => {
                portal.state = State::Cursor(rows.clone());
                let columns = portal.columns.clone().unwrap_or_default();
                let source = Box::new(FetchRows { cursor: rows, left: usize::MAX, deadline: None, sent: false });
                Ok((Execution::Rows(RowsExecution { columns, source, tag: RowsTag::Counted("FETCH") }), formats))
            }
            State::Ready => {
                let Some(prepared) = portal.prepared.clone() else { return Err(no_portal(name)) };
                let parameters = std::mem::take(&mut portal.parameters);
                let Some(statement) = &prepared.statement else { return Ok((Execution::Empty, formats)) };
                self.check_allowed(statement)?;
                self.enter_transaction();
                self.run_mode = super::dispatch::RunMode::Extended;
                let planned = self.planned(&prepared)?;
                let execution = self.execute_statement(statement, &planned, &parameters, &prepared.text).await?;
                Ok((execution, formats))
            }
        }
    }

    // DECLARE, FETCH, MOVE, CLOSE.

    pub(super) async fn declare(&mut self, declare: &Declare, planned: &super::planner::PlannedStatement, parameters: &Row, text: &str) -> Result<Execution, Error> {
        let name = ident_value(&declare.name);
        let in_block = self.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
        if !declare.hold && !in_block && self.run_mode != super::dispatch::RunMode::OneOfMany {
            return Err(Error::new("25P01", "DECLARE CURSOR can only be used in transaction blocks"));
        }
        if self.portals.contains_key(&name) {
            return Err(Error::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        self.check_portals()?;
        let execution = Box::pin(self.execute_statement(&declare.inner, planned, parameters, text)).await?;
        let Execution::Rows(RowsExecution { columns, source, .. }) = execution else {
            return Err(Error::new("42P11", "DECLARE CURSOR must specify a query that returns rows"));
        };
        let scrolls = declare.scroll == Some(true);
        if scrolls && source.is_stream() {
            return Err(Error::unsupported("a cursor for SUBSCRIBE cannot scroll"));
        }
        // Rows that may be read twice are kept.
        let (source, scroll) = if scrolls { (Box::new(ReadyRows::new(Vec::new())) as Box<dyn RowSource>, Some((collect(source).await?, 0))) } else { (source, None) };
        let rows = CursorRows { source, ready: VecDeque::new(), ended: false, scroll };
        let formats = if declare.binary { vec![1] } else { Vec::new() };
        let state = State::Cursor(Arc::new(Mutex::new(rows)));
        self.portals.insert(name, Portal { prepared: None, parameters: Row::empty(), formats, columns: Some(columns), state, held: declare.hold });
        Ok(Execution::Command { tag: "DECLARE CURSOR".to_string() })
    }

    pub(super) fn cursor_columns(&self, name: &str) -> Result<Option<ResultColumns>, Error> {
        Ok(self.portals.get(name).ok_or_else(|| no_cursor(name))?.columns.clone())
    }

    fn cursor(&self, name: &str) -> Result<(Arc<Mutex<CursorRows>>, ResultColumns), Error> {
        match self.portals.get(name) {
            Some(Portal { state: State::Cursor(rows), columns, .. }) => Ok((rows.clone(), columns.clone().unwrap_or_default())),
            Some(_) => Err(Error::new("34000", format!("portal \"{name}\" is not a cursor"))),
            None => Err(no_cursor(name)),
        }
    }

    pub(super) async fn fetch(&mut self, fetch: &Fetch, moves: bool, text: &str) -> Result<Execution, Error> {
        let name = ident_value(&fetch.cursor);
        let (cursor, columns) = self.cursor(&name)?;
        let timeout = self.fetch_timeout(fetch, text)?;
        if cursor.lock().await.scroll.is_some() {
            let rows = cursor.lock().await.scroll_to(fetch.direction)?;
            return Ok(if moves {
                Execution::Command { tag: format!("MOVE {}", rows.len()) }
            } else {
                super::read::ready(columns, rows, RowsTag::Counted("FETCH"))
            });
        }
        let count = match fetch.direction {
            FetchDirection::ForwardAll => usize::MAX,
            FetchDirection::Forward(count) | FetchDirection::Relative(count) if count >= 0 => usize::try_from(count).unwrap_or(usize::MAX),
            _ => {
                return Err(Error::new("55000", "cursor can only scan forward").with_hint("Declare it with SCROLL option to enable backward scan."));
            }
        };
        // RELATIVE n is the n-th row from here alone.
        if let FetchDirection::Relative(_) = fetch.direction
            && count > 1
        {
            collect(Box::new(FetchRows { cursor: cursor.clone(), left: count - 1, deadline: None, sent: false })).await?;
        }
        let left = if matches!(fetch.direction, FetchDirection::Relative(_)) { count.min(1) } else { count };
        let source = Box::new(FetchRows { cursor, left, deadline: timeout.map(|timeout| Instant::now() + timeout), sent: false });
        if moves {
            let moved = collect(source).await?.len();
            return Ok(Execution::Command { tag: format!("MOVE {moved}") });
        }
        Ok(Execution::Rows(RowsExecution { columns, source, tag: RowsTag::Counted("FETCH") }))
    }

    /// `WITH (timeout = '1s')`: an interval, or a number of seconds.
    fn fetch_timeout(&self, fetch: &Fetch, text: &str) -> Result<Option<Duration>, Error> {
        use sql::parse::{OptionValue, ast};
        let mut timeout = None;
        for option in &fetch.with {
            if option.name != "TIMEOUT" {
                return Err(Error::new("22023", format!("unrecognized FETCH option \"{}\"", option.name.to_ascii_lowercase())));
            }
            let invalid = || Error::new("22023", "invalid value for FETCH option \"timeout\"").with_hint("Give an interval, such as '1s'.");
            let written = match &option.value {
                Some(OptionValue::Expr(ast::Expr::Interval(interval))) => interval.value.to_string().trim_matches('\'').to_string(),
                Some(OptionValue::Expr(expr)) => {
                    let target = repr::ColumnType::new(repr::Type::Text);
                    let (row, _) = self.planner(None, text).constant(expr, Some(&target), "FETCH")?;
                    match row.get(0) {
                        Some(repr::Datum::Text(value)) => value.to_string(),
                        _ => return Err(invalid()),
                    }
                }
                _ => option.text().ok_or_else(invalid)?,
            };
            let interval = repr::temporal::parse_interval(&written)?;
            let micros = u64::try_from(interval.length_micros()).map_err(|_| invalid())?;
            timeout = Some(Duration::from_micros(micros));
        }
        Ok(timeout)
    }

    pub(super) fn close_cursors(&mut self, name: Option<&str>) -> Result<Execution, Error> {
        match name {
            Some(name) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                Ok(Execution::Command { tag: "CLOSE CURSOR".to_string() })
            }
            None => {
                self.portals.retain(|_, portal| !matches!(portal.state, State::Cursor(_)));
                Ok(Execution::Command { tag: "CLOSE CURSOR ALL".to_string() })
            }
        }
    }

    /// PREPARE name AS ...
    pub(super) fn prepare_sql(&mut self, name: &str, types: &[sql::parse::ast::DataType], inner: &Statement, inner_text: &str) -> Result<Execution, Error> {
        let planner = self.planner(None, inner_text);
        let mut given = Vec::with_capacity(types.len());
        for data_type in types {
            // A column of that type says what the type's name means.
            let column = sql::parse::Column { name: sql::parse::ast::Ident::new("parameter"), data_type: data_type.clone(), not_null: false, default: None };
            let list = sql::parse::ColumnList { columns: vec![column], ..Default::default() };
            let bound = sql::bind_columns(&list, &planner.names, &planner.context).map_err(|error| planner.error(error))?;
            given.push(bound.schema.columns.first().map(|column| column.column_type.scalar.clone()));
        }
        self.prepare_statement(name, inner_text, Some(inner.clone()), given)?;
        Ok(Execution::Command { tag: "PREPARE".to_string() })
    }

    /// EXECUTE name (arguments).
    pub(super) async fn execute_sql(&mut self, name: &str, arguments: &[sql::parse::ast::Expr], text: &str) -> Result<Execution, Error> {
        let prepared = self.find_prepared(name)?;
        let planned = self.planned(&prepared)?;
        if arguments.len() != planned.parameters.len() {
            return Err(Error::new("42601", format!("wrong number of parameters for prepared statement \"{name}\""))
                .with_detail(format!("Expected {} parameters but got {}.", planned.parameters.len(), arguments.len())));
        }
        let planner = self.planner(None, text);
        let mut parameters = repr::RowBuilder::new();
        for (expr, target) in arguments.iter().zip(&planned.parameters) {
            let (row, _) = planner.constant(expr, Some(&repr::ColumnType::new(target.clone())), "EXECUTE parameters")?;
            parameters.push_encoded(row.as_bytes());
        }
        drop(planner);
        let Some(statement) = &prepared.statement else { return Ok(Execution::Empty) };
        Box::pin(self.execute_statement(statement, &planned, &parameters.finish(), &prepared.text)).await
    }
}

impl CursorRows {
    fn take(&mut self, count: usize) -> Vec<Row> {
        let count = count.min(self.ready.len());
        self.ready.drain(..count).collect()
    }

    /// Rows in the direction; the position moves there.
    fn scroll_to(&mut self, direction: FetchDirection) -> Result<Vec<Row>, Error> {
        let Some((rows, position)) = &mut self.scroll else { return Ok(Vec::new()) };
        let end = rows.len() as i64;
        // `position` rows lie before the cursor, the last of them being its own, up to `end + 1` behind the last one.
        let here = *position as i64;
        let single = |wanted: i64| {
            let row = usize::try_from(wanted - 1).ok().and_then(|index| rows.get(index)).cloned();
            (row.into_iter().collect::<Vec<_>>(), wanted.clamp(0, end + 1))
        };
        let (taken, next) = match direction {
            FetchDirection::Forward(0) | FetchDirection::Relative(0) => single(here),
            FetchDirection::Absolute(number) if number < 0 => single(end + 1 + number),
            FetchDirection::Absolute(number) => single(number),
            FetchDirection::Relative(count) => single(here.saturating_add(count)),
            FetchDirection::ForwardAll => (rows.get(*position..).unwrap_or_default().to_vec(), end + 1),
            FetchDirection::Forward(count) if count > 0 => {
                let last = here.saturating_add(count).min(end);
                let taken = rows.get(*position..usize::try_from(last.max(here)).unwrap_or(*position)).unwrap_or_default().to_vec();
                (taken, if here.saturating_add(count) > end { end + 1 } else { last })
            }
            FetchDirection::Backward(_) | FetchDirection::BackwardAll | FetchDirection::Forward(_) => {
                let count = match direction {
                    FetchDirection::Backward(count) => count,
                    FetchDirection::Forward(count) => count.saturating_neg(),
                    _ => i64::MAX,
                };
                let first = here.saturating_sub(count).max(1);
                let span = usize::try_from(first - 1).unwrap_or(0)..usize::try_from((here - 1).max(0)).unwrap_or(0);
                let mut taken = rows.get(span).unwrap_or_default().to_vec();
                taken.reverse();
                (taken, if here.saturating_sub(count) < 1 { 0 } else { first })
            }
        };
        *position = usize::try_from(next).unwrap_or(0).min(rows.len() + 1);
        Ok(taken)
    }
}

/// Rows of a cursor for one FETCH. Of a subscription: what there is, and at least one row (or what there is at the deadline).
struct FetchRows {
    cursor: Arc<Mutex<CursorRows>>,
    left: usize,
    deadline: Option<Instant>,
    sent: bool,
}

impl FetchRows {
    fn give(&mut self, rows: Vec<Row>) -> Option<Vec<Row>> {
        self.left -= rows.len();
        self.sent = true;
        Some(rows)
    }
}

impl RowSource for FetchRows {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Vec<Row>>, Error>> {
        Box::pin(async move {
            if self.left == 0 {
                return Ok(None);
            }
            let cursor = self.cursor.clone();
            let mut cursor = cursor.lock().await;
            if cursor.ready.is_empty() && !cursor.ended {
                let is_stream = cursor.source.is_stream();
                let ready = match cursor.source.try_next_batch()? {
                    Some(rows) => Some(rows),
                    // Enough for an answer; what comes later is for the next FETCH.
                    None if is_stream && self.sent && (self.deadline.is_none() || self.left == usize::MAX) => return Ok(None),
                    None => match self.deadline {
                        None => cursor.source.next_batch().await?,
                        Some(deadline) if is_stream => match tokio::time::timeout_at(deadline, cursor.source.next_batch()).await {
                            Ok(rows) => rows?,
                            Err(_) => return Ok(None),
                        },
                        Some(_) => cursor.source.next_batch().await?,
                    },
                };
                match ready {
                    Some(rows) => cursor.ready.extend(rows),
                    None => cursor.ended = true,
                }
            }
            let rows = cursor.take(self.left);
            if rows.is_empty() {
                return Ok(None);
            }
            if self.left == usize::MAX {
                self.sent = true;
                return Ok(Some(rows));
            }
            Ok(self.give(rows))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repr::Datum;

    #[test]
    fn scrolling_follows_postgres() {
        use FetchDirection::*;
        let rows: Vec<Row> = (1..=4).map(|number| Row::pack([Datum::Int4(number)])).collect();
        let mut cursor = CursorRows { source: Box::new(ReadyRows::new(Vec::new())), ready: VecDeque::new(), ended: false, scroll: Some((rows, 0)) };
        // One after the other, as psql shows them against Postgres 15.
        let steps: &[(FetchDirection, &[i32])] = &[
            (Forward(2), &[1, 2]),
            (Forward(0), &[2]),
            (Backward(1), &[1]),
            (Backward(1), &[]),
            (ForwardAll, &[1, 2, 3, 4]),
            (Forward(1), &[]),
            (Backward(2), &[4, 3]),
            (Relative(-2), &[1]),
            (Absolute(-1), &[4]),
            (Absolute(2), &[2]),
            (Relative(5), &[]),
            (BackwardAll, &[4, 3, 2, 1]),
            (Forward(9), &[1, 2, 3, 4]),
        ];
        for (step, (direction, expected)) in steps.iter().enumerate() {
            let rows = cursor.scroll_to(*direction).expect("scrolls");
            let numbers: Vec<i32> = rows.iter().filter_map(|row| if let Some(Datum::Int4(number)) = row.get(0) { Some(number) } else { None }).collect();
            assert_eq!(&numbers, expected, "step {step}: {direction:?}");
        }
    }
}

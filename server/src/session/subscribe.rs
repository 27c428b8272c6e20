//! SUBSCRIBE: what a relation holds, then its changes as they happen.
//!
//! A subscription to something maintained taps its published batches and costs no dataflow. Any other query gets a dataflow of its own, which ends with the
//! subscription.

use super::Session;
use super::explain::parse_body;
use super::planner::substitute_parameters;
use super::read::{Moment, timestamp_of};
use super::rows::{Stop, ThreadRows};
use super::subscribe_rows::{Shape, Writer, columns};
use crate::execution::{BoxFuture, ResultColumn, RowSource, RowsExecution, RowsTag};
use crate::metrics::OpenConnection;
use crate::{Error, Shared};
use dataflow::{EngineError, RelationSnapshot, Tap, TapError, TapEvent, ViewDescription};
use plan::{Access, Context, Id, Plan};
use repr::{CollectionId, Diff, EvalError, Row, Schema, SortDirection, Timestamp, Type};
use sql::parse::{Subscribe, SubscribeEnvelope, SubscribeRelation, ast, ident_value};
use sql::{Mode, Parameters};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Notify;

/// Ids of dataflows that live as long as a subscription. No object of the catalog has such an id.
pub const FIRST_TRANSIENT: CollectionId = CollectionId(1 << 60);
/// Between two tries to tap a relation that forgets its past while it is tapped.
const TAP_TRIES_MAX: usize = 100;

/// A subscription, planned.
pub struct SubscribePlan {
    plan: Plan,
    schema: Schema,
    shape: Shape,
    progress: bool,
}

impl SubscribePlan {
    pub fn result_columns(&self) -> Arc<Vec<ResultColumn>> {
        columns(&self.schema, &self.shape, self.progress)
    }
}

/// Ends a subscription's own dataflow.
struct Transient {
    shared: Arc<Shared>,
    id: CollectionId,
}

impl Drop for Transient {
    fn drop(&mut self) {
        match self.shared.dataflow.drop_relation(self.id) {
            Ok(()) | Err(EngineError::UnknownRelation(_) | EngineError::Stopped) => {}
            Err(error) => tracing::error!(id = %self.id, %error, "could not end a subscription's dataflow"),
        }
    }
}

impl Session {
    pub(super) fn plan_subscribe(&self, subscribe: &Subscribe, parameters: &mut Parameters, text: &str) -> Result<SubscribePlan, Error> {
        if let Some(option) = subscribe.with.first() {
            return Err(Error::new("22023", format!("unrecognized SUBSCRIBE option \"{}\"", option.name.to_ascii_lowercase())));
        }
        let planner = self.planner(None, text);
        let body = match &subscribe.relation {
            SubscribeRelation::Query(body) => body.clone(),
            SubscribeRelation::Object(name) => {
                // The name's own error has its place in the statement.
                super::define::resolve(&planner, name)?;
                parse_body(&format!("SELECT * FROM {name}"))?
            }
        };
        let bound = sql::bind_body(&body, &planner.names, &planner.context, parameters, Mode::Maintained).map_err(|error| planner.error(error))?;
        if bound.depends_on.iter().any(|id| id.is_system()) {
            return Err(Error::unsupported("cannot subscribe to a system relation").with_hint("System relations are computed when they are read: SELECT from them."));
        }
        let schema = bound.schema.clone();
        let plan = sql::optimize(bound.into_plan(), &planner.names, Mode::Maintained);
        Ok(SubscribePlan { shape: shape_of(&subscribe.envelope, &schema)?, plan, schema, progress: subscribe.progress })
    }

    pub(super) async fn subscribe(&mut self, subscribe: &Subscribe, types: &[Type], parameters: &Row, text: &str) -> Result<RowsExecution, Error> {
        let (mut planned, moment, up_to) = {
            let given = types.iter().cloned().map(Some).collect();
            let planned = self.plan_subscribe(subscribe, &mut Parameters::new(given), text)?;
            let planner = self.planner(None, text);
            let moment = self.moment_of(subscribe.as_of.as_ref(), &planner)?;
            let up_to = subscribe.up_to.as_ref().map(|up_to| timestamp_of(up_to, &planner, "UP TO")).transpose()?;
            (planned, moment, up_to)
        };
        if self.transaction.as_ref().is_some_and(|transaction| transaction.has_changes()) {
            return Err(Error::unsupported("cannot subscribe in a transaction that has changed data").with_hint("Commit first: a subscription shows committed changes."));
        }
        substitute_parameters(&mut planned.plan, parameters);
        let inputs = planned.plan.global_inputs();
        let wanted = self.subscription_start(&inputs, moment).await?;
        let notify = Arc::new(Notify::new());
        let (tap, transient) = self.tap(&planned, wanted, moment, up_to, &notify).await?;
        let as_of = tap.as_of();
        if up_to.is_some_and(|up_to| up_to < as_of) {
            return Err(Error::new("22023", format!("subscription would end at {} before it begins at {as_of}", up_to.unwrap_or(as_of))).with_hint("UP TO must not be less than AS OF."));
        }
        let result_columns = planned.result_columns();
        let mut writer = Writer::new(planned.shape, planned.progress, planned.schema.arity());
        let mut ready = VecDeque::new();
        if planned.progress {
            ready.push_back(writer.progressed(as_of));
        }
        let source = Subscription {
            shared: self.shared.clone(),
            id: transient.as_ref().map_or(inputs.first().copied(), |transient| Some(transient.id)),
            tap,
            notify,
            writer,
            as_of,
            up_to,
            wants_snapshot: subscribe.snapshot,
            stage: Stage::Waiting,
            ready,
            failing: None,
            errors: BTreeMap::new(),
            _open: self.shared.metrics.subscription_opened(),
            _transient: transient,
        };
        Ok(RowsExecution { columns: result_columns, source: Box::new(source), tag: RowsTag::Counted("SUBSCRIBE") })
    }

    /// The moment a subscription begins at, if its relations still know it when they are tapped.
    async fn subscription_start(&mut self, inputs: &[CollectionId], moment: Moment) -> Result<Timestamp, Error> {
        let of_transaction = self.transaction.as_ref().and_then(|transaction| transaction.read.as_ref()).map(|read| read.timestamp);
        match (moment, of_transaction) {
            (Moment::Exactly(timestamp) | Moment::AtLeast(timestamp), _) | (Moment::Newest, Some(timestamp)) => Ok(timestamp),
            (Moment::Newest, None) => {
                let read = self.shared.read_at(self.catalog(), inputs, Timestamp::MIN, self.settings.is_serializable()).await?;
                Ok(read.timestamp)
            }
        }
    }

    /// Taps the relation, or a dataflow made for the query.
    async fn tap(&self, planned: &SubscribePlan, wanted: Timestamp, moment: Moment, up_to: Option<Timestamp>, notify: &Arc<Notify>) -> Result<(Tap, Option<Transient>), Error> {
        let forgotten = |since: Timestamp| {
            Error::new("22023", format!("timestamp {wanted} cannot be read any more")).with_detail(format!("The relations of the subscription can be read from {since} (since) on."))
        };
        let woken = notify.clone();
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || woken.notify_one());
        let (id, transient, mut as_of) = match &planned.plan {
            Plan::Get { id: Id::Global(id), access: Access::Scan, .. } => (*id, None, wanted),
            plan => {
                let id = self.shared.transient_id();
                let mut text = self.settings.text().clone();
                text.now = None;
                let key = (0..plan.arity()).collect();
                let description = ViewDescription { id, plan: plan.clone(), context: Context { text, ..Context::default() }, as_of: wanted, until: up_to, key };
                let as_of = self.shared.dataflow.create_view(description).map_err(|error| match error {
                    EngineError::NotMaintainable(reason) => Error::unsupported(reason),
                    EngineError::UnknownRelation(_) => Error::new("42P01", "a relation of the subscription was dropped while it was planned"),
                    error => Error::internal(error.to_string()),
                })?;
                (id, Some(Transient { shared: self.shared.clone(), id }), as_of)
            }
        };
        let exact = matches!(moment, Moment::Exactly(_));
        if exact && as_of > wanted {
            return Err(forgotten(as_of));
        }
        for _ in 0..TAP_TRIES_MAX {
            match self.shared.dataflow.tap(id, as_of, wake.clone()) {
                Ok(tap) => return Ok((tap, transient)),
                Err(TapError::NotReadable { since }) if exact => return Err(forgotten(since)),
                // Time has gone on since the moment was chosen.
                Err(TapError::NotReadable { since }) => as_of = since.max(as_of),
                Err(_) => return Err(Error::new("42P01", "the relation of the subscription was dropped")),
            }
        }
        Err(Error::internal("the relation forgets its past faster than it can be tapped"))
    }
}

fn shape_of(envelope: &SubscribeEnvelope, schema: &Schema) -> Result<Shape, Error> {
    let position = |name: &ast::Ident| {
        let name = ident_value(name);
        let found = schema.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| Error::new("42703", format!("column \"{name}\" does not exist")))
    };
    let key = |names: &[ast::Ident]| {
        let mut key = Vec::new();
        for name in names {
            let column = position(name)?;
            if key.contains(&column) {
                return Err(Error::new("42701", format!("column \"{}\" specified more than once", ident_value(name))));
            }
            key.push(column);
        }
        Ok(key)
    };
    Ok(match envelope {
        SubscribeEnvelope::None => Shape::Changes { order: Vec::new() },
        SubscribeEnvelope::Upsert { key: names } => Shape::Upsert { key: key(names)? },
        SubscribeEnvelope::Debezium { key: names } => Shape::Debezium { key: key(names)? },
        SubscribeEnvelope::WithinTimestampOrderBy(exprs) => {
            let mut order = Vec::new();
            for by in exprs {
                let ast::Expr::Identifier(name) = &by.expr else {
                    return Err(Error::unsupported("WITHIN TIMESTAMP ORDER BY takes columns only").with_hint("Compute the value as a column of the query."));
                };
                let column = if ident_value(name) == "mz_diff" { None } else { Some(position(name)?) };
                let descending = by.options.asc == Some(false);
                order.push((column, SortDirection { descending, nulls_first: by.options.nulls_first.unwrap_or(descending) }));
            }
            Shape::Changes { order }
        }
    })
}

enum Stage {
    /// The moment it begins at is not complete yet.
    Waiting,
    /// The contents at that moment are being sent.
    Snapshot(ThreadRows),
    Following,
    Ended,
}

/// A running subscription.
struct Subscription {
    shared: Arc<Shared>,
    id: Option<CollectionId>,
    tap: Tap,
    notify: Arc<Notify>,
    writer: Writer,
    as_of: Timestamp,
    up_to: Option<Timestamp>,
    wants_snapshot: bool,
    stage: Stage,
    ready: VecDeque<Row>,
    /// What it ends with once `ready` is sent.
    failing: Option<Error>,
    /// Errors that are present, with their multiplicity.
    errors: BTreeMap<EvalError, Diff>,
    _open: OpenConnection,
    _transient: Option<Transient>,
}

impl Subscription {
    /// Rows that are there, or `None` if something must be waited for.
    fn advance(&mut self) -> Result<Option<Vec<Row>>, Error> {
        loop {
            if !self.ready.is_empty() {
                return Ok(Some(self.ready.drain(..).collect()));
            }
            if let Some(error) = self.failing.take() {
                self.stage = Stage::Ended;
                return Err(error);
            }
            match &mut self.stage {
                Stage::Ended => return Ok(None),
                Stage::Waiting => match self.tap.snapshot().map_err(|error| self.closed(error))? {
                    None => return Ok(None),
                    Some(snapshot) => self.begin(snapshot),
                },
                Stage::Snapshot(rows) => match rows.try_next_batch()? {
                    Some(rows) => return Ok(Some(rows)),
                    None if rows.is_ended() => self.stage = Stage::Following,
                    None => return Ok(None),
                },
                Stage::Following => match self.tap.next_ready().map_err(|error| self.closed(error))? {
                    None => return Ok(None),
                    Some(event) => self.follow(event),
                },
            }
        }
    }

    fn begin(&mut self, snapshot: Arc<RelationSnapshot>) {
        let as_of = self.as_of;
        if let Some(error) = snapshot.error(as_of) {
            self.failing = Some(error.into());
            return;
        }
        if self.up_to == Some(as_of) {
            self.stage = Stage::Ended;
            return;
        }
        if !self.wants_snapshot {
            self.stage = Stage::Following;
            return;
        }
        let mut writer = Writer::new(self.writer.shape.clone(), self.writer.progress, snapshot.arity());
        let stop = Stop::default();
        let stopped = stop.flag();
        let rows = ThreadRows::spawn(stop, None, move |sink| {
            let is_stopped = || stopped.load(std::sync::atomic::Ordering::Relaxed);
            if !writer.gathers() {
                snapshot.scan(as_of, &mut |row, diff| !is_stopped() && sink.push(writer.change(as_of, row, diff)));
                return Ok(());
            }
            let mut rows = Vec::new();
            snapshot.scan(as_of, &mut |row, diff| {
                rows.push((Row::from_bytes(row), diff));
                !is_stopped()
            });
            let mut out = Vec::new();
            writer.changes(as_of, rows, &mut out);
            let _ = out.into_iter().all(|row| sink.push(row));
            Ok(())
        });
        self.stage = Stage::Snapshot(rows);
    }

    fn follow(&mut self, event: TapEvent) {
        let end = self.up_to.unwrap_or(Timestamp::MAX);
        // The time from which on an error is present.
        let mut failed: Option<(Timestamp, EvalError)> = None;
        let mut errors = event.errors;
        errors.sort_by_key(|(_, time, _)| *time);
        let mut errors = errors.into_iter().peekable();
        while let Some((error, time, diff)) = errors.next() {
            *self.errors.entry(error).or_default() += diff;
            let ends_time = errors.peek().is_none_or(|(_, next, _)| *next > time);
            if ends_time && let Some((error, _)) = self.errors.iter().find(|(_, diff)| **diff > 0) {
                failed = Some((time, error.clone()));
                break;
            }
        }
        self.errors.retain(|_, diff| *diff != 0);
        let limit = failed.as_ref().map_or(end, |(time, _)| end.min(*time));
        let mut updates = event.updates.into_iter().filter(|(_, time, _)| *time < limit).peekable();
        let mut out = Vec::new();
        while let Some((row, time, diff)) = updates.next() {
            let mut changes = vec![(row, diff)];
            while let Some((row, _, diff)) = updates.next_if(|(_, next, _)| *next == time) {
                changes.push((row, diff));
            }
            self.writer.changes(time, changes, &mut out);
        }
        let upper = event.upper.min(limit);
        if self.writer.progress && upper != Timestamp::MAX {
            out.push(self.writer.progressed(upper));
        }
        self.ready.extend(out);
        match failed {
            Some((time, error)) if time < end => self.failing = Some(error.into()),
            _ if event.upper >= end => self.stage = Stage::Ended,
            _ => {}
        }
    }

    fn closed(&self, error: TapError) -> Error {
        match error {
            TapError::Lagged { at } => Error::new("53400", format!("subscription ended: its reader fell behind and lost its place at timestamp {at}"))
                .with_detail("Every change before that timestamp was sent.")
                .with_hint(format!("Resume with AS OF {} WITH (SNAPSHOT = false).", at.previous().unwrap_or(at))),
            TapError::NotReadable { since } => Error::new("22023", format!("timestamp {} cannot be read any more", self.as_of)).with_detail(format!("It can be read from {since} on.")),
            TapError::Closed if self.id.is_some_and(|id| self.shared.dataflow.published().get(id).is_some()) => Error::shutting_down(),
            TapError::Closed => Error::new("42P01", "subscription ended: its relation was dropped"),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended) && self.ready.is_empty() && self.failing.is_none()
    }
}

impl RowSource for Subscription {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Vec<Row>>, Error>> {
        Box::pin(async move {
            loop {
                if let Some(rows) = self.advance()? {
                    return Ok(Some(rows));
                }
                if self.has_ended() {
                    return Ok(None);
                }
                match &mut self.stage {
                    Stage::Snapshot(rows) => {
                        if let Some(rows) = rows.next_batch().await? {
                            return Ok(Some(rows));
                        }
                        self.stage = Stage::Following;
                    }
                    // A wake-up that came since the last look is kept: none is missed.
                    _ => self.notify.notified().await,
                }
            }
        })
    }
    fn try_next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        self.advance()
    }
    fn is_stream(&self) -> bool {
        true
    }
}

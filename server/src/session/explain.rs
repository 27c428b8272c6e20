//! EXPLAIN: the stages of a plan, the moment it would be read at, and what a run took.

use super::Session;
use super::create_sql::qualified;
use super::planner::{Body, QueryPlan};
use super::read::{Moment, kept_view, ready};
use super::rows::collect;
use super::show::{text_columns, text_row};
use crate::Error;
use crate::execution::{Execution, ResultColumn, RowsTag};
use catalog::{Catalog, Definition};
use plan::Plan;
use repr::CollectionId;
use sql::Parameters;
use sql::parse::{CopySource, Explain, ExplainFormat, ExplainStage, ExplainTarget, QueryBody, Select, Statement, SubscribeRelation};
use std::fmt::Write;
use std::sync::Arc;

pub(super) fn columns(_: &Explain) -> Arc<Vec<ResultColumn>> {
    text_columns(&["QUERY PLAN"])
}

/// The name of a collection in plans.
pub(super) fn name_of(catalog: &Catalog, id: CollectionId) -> Option<String> {
    match crate::system::get(id) {
        Some(relation) => Some(format!("{}.{}", relation.schema_name, relation.name)),
        None => {
            // The rows an index keeps of a view are the view's.
            let entry = catalog.get(id).or_else(|| catalog.get(kept_view(catalog, id)?))?;
            Some(qualified(&entry.schema_name, &entry.name))
        }
    }
}

impl Session {
    pub(super) async fn explain(&mut self, explain: &Explain, text: &str) -> Result<Execution, Error> {
        let (body, as_of) = match &explain.target {
            ExplainTarget::Object { name, .. } => return self.explain_object(explain, name, text),
            ExplainTarget::Statement(statement) => match statement.as_ref() {
                Statement::Select(select) => (select.body.clone(), select.as_of.clone()),
                Statement::Declare(declare) => match declare.inner.as_ref() {
                    Statement::Select(select) => (select.body.clone(), select.as_of.clone()),
                    _ => return Err(Error::unsupported("EXPLAIN of this statement is not supported")),
                },
                Statement::Subscribe(subscribe) => match &subscribe.relation {
                    SubscribeRelation::Query(body) => (body.clone(), None),
                    SubscribeRelation::Object(name) => (parse_body(&format!("SELECT * FROM {name}"))?, None),
                },
                Statement::CopyTo(copy) => match &copy.what {
                    CopySource::Query(Select { body, as_of }) => (body.clone(), as_of.clone()),
                    _ => return Err(Error::unsupported("EXPLAIN of this statement is not supported")),
                },
                Statement::CreateView(create) => (create.query.clone(), None),
                change @ (Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)) => {
                    let planned = self.plan_statement(change, Vec::new(), text)?;
                    let Body::Change(change) = &planned.body else { return Err(Error::internal("a change was planned as something else")) };
                    let rendered = self.render(explain, stage_of(explain, &change.query));
                    return Ok(answer(rendered));
                }
                Statement::Unsupported { what } => return Err(Error::unsupported(format!("{what} is not supported"))),
                _ => return Err(Error::unsupported("EXPLAIN of this statement is not supported").with_hint("Statements that only change definitions or settings have no plan.")),
            },
        };
        if matches!(explain.stage, ExplainStage::Raw | ExplainStage::Decorrelated) {
            let planner = self.planner(None, text);
            let bound = sql::bind_body(&body, &planner.names, &planner.context, &mut Parameters::default(), sql::Mode::OneShot).map_err(|error| planner.error(error))?;
            let rendered = if explain.stage == ExplainStage::Raw { bound.raw_text() } else { self.render(explain, &bound.plan) };
            return Ok(answer(rendered));
        }
        let published = self.shared.dataflow.published();
        let query = Arc::new(self.planner(Some(&published), text).query(&body, &mut Parameters::default())?);
        drop(published);
        let moment = self.moment_of(as_of.as_ref(), &self.planner(None, text))?;
        match explain.stage {
            ExplainStage::Timestamp => Ok(answer(self.explain_timestamp(&query, moment, explain.format).await?)),
            ExplainStage::Analyze => {
                let began = std::time::Instant::now();
                let rows = self.read(&query, &repr::Row::empty(), moment).await?;
                let count = collect(rows.source).await?.len();
                let took = began.elapsed();
                let mut rendered = self.render(explain, &query.plan);
                if explain.format == ExplainFormat::Text {
                    _ = write!(rendered, "\nRows: {count}\nExecution Time: {:.3} ms", took.as_secs_f64() * 1e3);
                } else {
                    rendered = format!("{{\"plan\": {rendered}, \"rows\": {count}, \"execution_time_ms\": {:.3}}}", took.as_secs_f64() * 1e3);
                }
                Ok(answer(rendered))
            }
            _ => Ok(answer(self.render(explain, stage_of(explain, &query)))),
        }
    }

    fn explain_object(&self, explain: &Explain, name: &sql::parse::ast::ObjectName, text: &str) -> Result<Execution, Error> {
        let planner = self.planner(None, text);
        let mut found = super::define::resolve(&planner, name)?;
        if let Definition::Index(index) = &found.definition {
            found = planner.catalog.get(index.on).cloned().ok_or_else(|| Error::internal("an index on nothing"))?;
        }
        let (Definition::View(view) | Definition::MaterializedView(view)) = &found.definition else {
            return Err(Error::new("42809", format!("\"{}\" is not a view or materialized view", found.name)));
        };
        let mode = if matches!(found.definition, Definition::View(_)) { sql::Mode::OneShot } else { sql::Mode::Maintained };
        let mut context = planner.context.clone();
        context.search_path.clone_from(&view.settings.search_path);
        let bound = sql::bind_standalone(&view.query_sql, &planner.names, &context, mode).map_err(super::bind_error)?;
        let rendered = match explain.stage {
            ExplainStage::Raw => bound.raw_text(),
            ExplainStage::Decorrelated => self.render(explain, &bound.plan),
            ExplainStage::Optimized => self.render(explain, &sql::optimize(bound.into_plan(), &planner.names, mode)),
            _ if mode == sql::Mode::Maintained => self.render_maintained(explain, &sql::optimize(bound.into_plan(), &planner.names, mode)),
            _ => self.render(explain, &sql::optimize(bound.into_plan(), &planner.names, mode)),
        };
        Ok(answer(rendered))
    }

    fn render(&self, explain: &Explain, plan: &Plan) -> String {
        let catalog = self.catalog();
        let names = |id: CollectionId| name_of(&catalog, id);
        match explain.format {
            ExplainFormat::Text => plan::explain::text(plan, &names),
            ExplainFormat::Json => plan::explain::json(plan, &names),
        }
    }

    /// With what each operator keeps.
    fn render_maintained(&self, explain: &Explain, plan: &Plan) -> String {
        let catalog = self.catalog();
        let names = |id: CollectionId| name_of(&catalog, id);
        match explain.format {
            ExplainFormat::Text => plan::explain::maintained_text(plan, &names),
            ExplainFormat::Json => plan::explain::maintained_json(plan, &names),
        }
    }

    async fn explain_timestamp(&mut self, query: &QueryPlan, moment: Moment, format: ExplainFormat) -> Result<String, Error> {
        let read = self.read_at(&query.reads, moment).await?;
        let relations: Vec<(String, String, String)> = query
            .reads
            .iter()
            .filter_map(|id| {
                let relation = read.published.get(*id)?;
                let upper = if relation.upper() == repr::Timestamp::MAX { "complete".to_string() } else { relation.upper().to_string() };
                Some((name_of(&read.catalog, *id).unwrap_or_else(|| id.to_string()), relation.since().to_string(), upper))
            })
            .collect();
        let isolation = if self.settings.is_serializable() { "serializable" } else { "strict serializable" };
        if format == ExplainFormat::Json {
            let relations: Vec<serde_json::Value> =
                relations.iter().map(|(name, since, upper)| serde_json::json!({ "relation": name, "since": since, "upper": upper })).collect();
            let document = serde_json::json!({ "timestamp": read.timestamp.to_string(), "isolation": isolation, "shown": self.shared.shown().to_string(), "relations": relations });
            return Ok(document.to_string());
        }
        let mut out = format!("timestamp: {}\nisolation: {isolation}\nnewest shown: {}", read.timestamp, self.shared.shown());
        for (name, since, upper) in relations {
            _ = write!(out, "\n{name}: since {since}, upper {upper}");
        }
        Ok(out)
    }
}

fn stage_of<'a>(explain: &Explain, query: &'a QueryPlan) -> &'a Plan {
    match explain.stage {
        ExplainStage::Optimized => &query.scanning,
        _ => &query.plan,
    }
}

pub(super) fn parse_body(query: &str) -> Result<QueryBody, Error> {
    sql::parse::parse_body(query).map_err(super::parse_error)
}

fn answer(rendered: String) -> Execution {
    let lines = if rendered.starts_with('{') || rendered.starts_with('[') { vec![rendered] } else { rendered.trim_end().lines().map(str::to_string).collect() };
    let rows = lines.into_iter().map(|line| text_row(&[Some(line)])).collect();
    ready(text_columns(&["QUERY PLAN"]), rows, RowsTag::Fixed("EXPLAIN".to_string()))
}

//! What a catalog entry is in the dataflow. One way for new definitions and for those found at start: text is bound, planned and rendered.

use crate::Error;
use crate::system::CatalogNames;
use catalog::{Catalog, Definition, Entry, RelationRole, SourceDefinition, ViewDefinition};
use dataflow::{Control, EngineError, IndexDescription, InputDescription, ViewDescription};
use plan::{Context, Plan, Scalar};
use repr::{CollectionId, Schema, Timestamp, TimeZone};
use sql::{Mode, Names, SessionContext};
use std::sync::Arc;

/// A maintained relation, planned but not rendered.
pub enum Planned {
    /// Nothing is maintained for it.
    Nothing,
    View { plan: Plan, context: Context, key: Vec<usize> },
    /// `view`: the plain view's rows, kept under the index's hidden relation, unless another index keeps them already.
    Index { relation: CollectionId, view: Option<(Plan, Context, Vec<usize>)>, key: Vec<Scalar>, context: Context },
}

/// Binds and plans an entry of `catalog`. Errors are the user's: what cannot be maintained is refused here, before anything is durable.
pub fn plan(catalog: &Catalog, entry: &Entry) -> Result<Planned, Error> {
    let catalog = Arc::new(catalog.clone());
    match &entry.definition {
        Definition::MaterializedView(view) => {
            let (plan, context, key) = plan_view(&catalog, view)?;
            Ok(Planned::View { plan, context, key })
        }
        Definition::Index(index) => {
            let on = catalog.get(index.on).ok_or_else(|| Error::internal("an index on nothing"))?;
            let names = CatalogNames::new(catalog.clone());
            let view = match &on.definition {
                Definition::View(view) if index.relation != index.on => Some(plan_view(&catalog, view)?),
                _ => None,
            };
            let session = SessionContext::default();
            let schema = on.definition.schema().cloned().unwrap_or_default();
            let key = sql::bind_index_keys(&index.keys_sql, &on.name, &schema, &names, &session).map_err(crate::session::bind_error)?;
            Ok(Planned::Index { relation: index.relation, view, key, context: Context { text: session.text, ..Context::default() } })
        }
        _ => Ok(Planned::Nothing),
    }
}

/// A view's plan as it is kept up to date, with the columns its rows are arranged by.
fn plan_view(catalog: &Arc<Catalog>, view: &ViewDefinition) -> Result<(Plan, Context, Vec<usize>), Error> {
    let names = CatalogNames::new(catalog.clone());
    let mut session = SessionContext { search_path: view.settings.search_path.clone(), ..SessionContext::default() };
    session.text.time_zone = TimeZone::parse(&view.settings.time_zone)?;
    let bound = sql::bind_standalone(&view.query_sql, &names, &session, Mode::Maintained).map_err(crate::session::bind_error)?;
    let plan = sql::optimize(bound.into_plan(), &names, Mode::Maintained);
    // The smallest key: fewer bytes to compare, and lookups by it are point reads.
    let keys = plan.unique_keys(&|id| names.keys_of(id));
    let key = keys.into_iter().min_by_key(Vec::len).unwrap_or_else(|| (0..plan.arity()).collect());
    Ok((plan, Context { text: session.text, ..Context::default() }, key))
}

/// The base collections an entry brings: rows of a table or source relation, and a source's errors.
pub fn inputs_of(entry: &Entry) -> Vec<(CollectionId, Schema)> {
    match &entry.definition {
        Definition::Table(table) => vec![(entry.id, table.schema.clone())],
        Definition::Source(SourceDefinition { role, errors, .. }) => {
            let errors = errors.map(|id| (id, sources::errors_schema()));
            let own = match role {
                RelationRole::Single(schema) | RelationRole::Child { schema, .. } => Some((entry.id, schema.clone())),
                RelationRole::Parent => None,
            };
            own.into_iter().chain(errors).collect()
        }
        _ => Vec::new(),
    }
}

/// All collections that end with an entry.
pub fn collections_of(entry: &Entry) -> Vec<CollectionId> {
    inputs_of(entry).into_iter().map(|(id, _)| id).chain([entry.id]).collect()
}

/// Creates the inputs of an entry; their first contents arrive with the frame at `as_of`.
pub fn create_inputs(control: &Control, entry: &Entry, as_of: Timestamp) -> Result<(), EngineError> {
    for (id, schema) in inputs_of(entry) {
        control.create_input(id, InputDescription { types: schema.types(), key: schema.default_key() }, as_of)?;
    }
    Ok(())
}

/// Renders what is maintained, from the contents of its inputs as of `as_of`.
pub fn create_maintained(control: &Control, entry: &Entry, planned: Planned, as_of: Timestamp) -> Result<(), EngineError> {
    match planned {
        Planned::Nothing => Ok(()),
        Planned::View { plan, context, key } => {
            control.create_view(ViewDescription { id: entry.id, plan, context, as_of, until: None, key })?;
            Ok(())
        }
        Planned::Index { relation, view, key, context } => {
            if let Some((plan, context, key)) = view
                && control.published().get(relation).is_none()
            {
                control.create_view(ViewDescription { id: relation, plan, context, as_of, until: None, key })?;
            }
            control.create_index(IndexDescription { id: entry.id, on: relation, key, context, as_of })?;
            Ok(())
        }
    }
}

/// Ends what an entry has in the dataflow. Entries are dropped dependents first, so nothing is still used.
pub fn drop_relations(control: &Control, entry: &Entry) {
    let hidden = match &entry.definition {
        Definition::Index(index) if index.relation != index.on => Some(index.relation),
        _ => None,
    };
    for id in collections_of(entry).into_iter().rev().chain(hidden) {
        if let Err(error) = drop_with_subscriptions(control, id) {
            tracing::error!(%id, %error, "could not drop a relation");
        }
    }
}

/// How often subscriptions may come between before a drop gives up.
const DROP_TRIES_MAX: usize = 100;

/// Ends a relation, and with it the dataflows of subscriptions that read it: their subscribers are told that it was dropped.
fn drop_with_subscriptions(control: &Control, id: CollectionId) -> Result<(), EngineError> {
    let mut result = Ok(());
    for _ in 0..DROP_TRIES_MAX {
        result = match control.drop_relation(id) {
            Err(EngineError::StillUsed { id, by }) if by.iter().all(|user| *user >= crate::session::subscribe::FIRST_TRANSIENT) => {
                for subscription in &by {
                    match control.drop_relation(*subscription) {
                        Ok(()) | Err(EngineError::UnknownRelation(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(EngineError::StillUsed { id, by })
            }
            Err(EngineError::UnknownRelation(_)) => return Ok(()),
            result => return result,
        };
    }
    result
}

//! Prepared statements: parsed once, planned once per version of the catalog and epoch of the settings.

use super::planner::{Body, PlannedStatement, Planner, set_config_calls};
use super::transaction::in_failed_transaction;
use super::{MutexExt, PREPARED_STATEMENTS_MAX, Session, parse_error, wall_clock};
use crate::Error;
use crate::execution::ResultColumn;
use crate::session::variables;
use crate::system::CatalogNames;
use dataflow::Published;
use repr::{ColumnType, Type};
use sql::parse::ast;
use sql::parse::{CopySource, ExplainTarget, Select, Statement};
use sql::{Parameters, SessionContext};
use std::sync::{Arc, Mutex};

pub struct Prepared {
    pub text: Arc<str>,
    /// `None`: nothing but comments.
    pub statement: Option<Statement>,
    given: Vec<Option<Type>>,
    planned: Mutex<Option<PlannedAt>>,
}

struct PlannedAt {
    catalog_version: u64,
    epoch: u64,
    planned: Arc<PlannedStatement>,
}

impl Session {
    pub(super) fn prepare_text(&mut self, name: &str, text: &str, parameter_types: &[u32]) -> Result<(), Error> {
        let mut statements = sql::parse::parse(text).map_err(parse_error)?;
        if statements.len() > 1 {
            return Err(Error::new("42601", "cannot insert multiple commands into a prepared statement"));
        }
        let statement = statements.pop().map(|parsed| parsed.statement);
        let mut given = Vec::with_capacity(parameter_types.len());
        for oid in parameter_types {
            given.push(match oid {
                0 => None,
                oid => Some(Type::from_oid(*oid).ok_or_else(|| Error::new("42704", format!("type with OID {oid} does not exist")))?),
            });
        }
        self.prepare_statement(name, text, statement, given)
    }

    pub(super) fn prepare_statement(&mut self, name: &str, text: &str, statement: Option<Statement>, given: Vec<Option<Type>>) -> Result<(), Error> {
        if let Some(statement) = &statement {
            self.check_allowed(statement)?;
        }
        if name.is_empty() {
            self.prepared.remove(name);
        } else if self.prepared.contains_key(name) {
            return Err(Error::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        if self.prepared.len() >= PREPARED_STATEMENTS_MAX {
            return Err(Error::new("54000", format!("a session has at most {PREPARED_STATEMENTS_MAX} prepared statements")).with_hint("DEALLOCATE those that are not used any more."));
        }
        let prepared = Arc::new(Prepared { text: Arc::from(text), statement, given, planned: Mutex::default() });
        self.planned(&prepared)?;
        self.prepared.insert(name.to_string(), prepared);
        Ok(())
    }

    pub(super) fn find_prepared(&self, name: &str) -> Result<Arc<Prepared>, Error> {
        self.prepared.get(name).cloned().ok_or_else(|| match name {
            "" => Error::new("26000", "unnamed prepared statement does not exist"),
            name => Error::new("26000", format!("prepared statement \"{name}\" does not exist")),
        })
    }

    /// The plan of a prepared statement, made anew when what it was made for has changed.
    pub(super) fn planned(&self, prepared: &Prepared) -> Result<Arc<PlannedStatement>, Error> {
        let Some(statement) = &prepared.statement else {
            return Ok(Arc::new(PlannedStatement { parameters: Vec::new(), columns: None, body: Body::Other, settings: Vec::new() }));
        };
        let version = self.catalog().version();
        let epoch = self.settings.epoch();
        let defines = self.transaction.as_ref().is_some_and(|transaction| transaction.definitions.is_some());
        let mut kept = prepared.planned.lock_anyway();
        if !defines
            && let Some(known) = kept.as_ref().filter(|known| known.catalog_version == version && known.epoch == epoch)
        {
            return Ok(known.planned.clone());
        }
        // What the client was told at first stays true.
        let given = match kept.as_ref() {
            Some(known) if matches!(known.planned.body, Body::Query(_) | Body::Change(_)) => known.planned.parameters.iter().cloned().map(Some).collect(),
            _ => prepared.given.clone(),
        };
        let planned = Arc::new(self.plan_statement(statement, given, &prepared.text)?);
        if let Some(known) = kept.as_ref()
            && !same_shape(known.planned.columns.as_deref(), planned.columns.as_deref())
            && !matches!(statement, Statement::Fetch(_) | Statement::Execute { .. })
        {
            return Err(Error::unsupported("cached plan must not change result type").with_hint("Prepare the statement again."));
        }
        if !defines && !planned.is_provisional() {
            *kept = Some(PlannedAt { catalog_version: version, epoch, planned: planned.clone() });
        }
        Ok(planned)
    }

    /// What the binder may know of this session.
    pub(super) fn context(&self) -> SessionContext {
        let now = self.transaction.as_ref().map_or_else(wall_clock, |transaction| transaction.now);
        let mut text = self.settings.text().clone();
        text.now = Some(now);
        SessionContext {
            search_path: self.settings.search_path().to_vec(),
            text,
            user: self.settings.user().to_string(),
            session_user: self.settings.user().to_string(),
            database: super::DATABASE.to_string(),
            now: Some(now),
            backend_pid: self.backend_pid,
            version: format!("PostgreSQL {} (Tidemark {})", variables::SERVER_VERSION, env!("CARGO_PKG_VERSION")),
            setting: self.settings.lookup(),
        }
    }

    pub(super) fn planner<'a>(&self, published: Option<&'a Published>, text: &'a str) -> Planner<'a> {
        let catalog = self.catalog();
        Planner { names: CatalogNames::new(catalog.clone()), catalog, context: self.context(), published, text }
    }

    /// Plans a statement as far as that can be done before it runs.
    pub(super) fn plan_statement(&self, statement: &Statement, given: Vec<Option<Type>>, text: &str) -> Result<PlannedStatement, Error> {
        let published = self.shared.dataflow.published();
        let mut parameters = Parameters::new(given);
        let mut settings = Vec::new();
        let (columns, body) = match statement {
            Statement::Select(select) => {
                let (query, calls) = self.plan_select(select, &self.planner(Some(&published), text), &mut parameters)?;
                settings = calls;
                (Some(query.columns.clone()), Body::Query(query))
            }
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                let change = self.planner(Some(&published), text).change(statement, &mut parameters)?;
                (change.returning.as_ref().map(|returning| returning.columns.clone()), Body::Change(Arc::new(change)))
            }
            Statement::Declare(declare) => {
                let inner = self.plan_statement(&declare.inner, parameters.types().to_vec(), text)?;
                return Ok(PlannedStatement { columns: None, ..inner });
            }
            Statement::CopyTo(copy) => match &copy.what {
                CopySource::Query(select) => {
                    let (query, _) = self.plan_select(select, &self.planner(Some(&published), text), &mut parameters)?;
                    (None, Body::Query(query))
                }
                CopySource::Table { .. } | CopySource::Subscribe(_) => (None, Body::Other),
            },
            Statement::Subscribe(subscribe) => (Some(self.plan_subscribe(subscribe, &mut parameters, text)?.result_columns()), Body::Other),
            Statement::Explain(explain) => {
                let inner = match &explain.target {
                    ExplainTarget::Statement(inner) if !matches!(**inner, Statement::Explain(_)) => self.plan_statement(inner, parameters.types().to_vec(), text)?.parameters,
                    _ => Vec::new(),
                };
                return Ok(PlannedStatement { parameters: inner, columns: Some(super::explain::columns(explain)), body: Body::Other, settings });
            }
            Statement::Show(show) => (Some(super::show::columns(show)), Body::Other),
            Statement::Fetch(fetch) => (self.cursor_columns(&sql::parse::ident_value(&fetch.cursor))?, Body::Other),
            Statement::Execute { name, .. } => (self.planned(&*self.find_prepared(&sql::parse::ident_value(name))?)?.columns.clone(), Body::Other),
            _ => (None, Body::Other),
        };
        let parameters = parameters.types().iter().map(|given| given.clone().unwrap_or(Type::Text)).collect();
        Ok(PlannedStatement { parameters, columns, body, settings })
    }

    fn plan_select(&self, select: &Select, planner: &Planner<'_>, parameters: &mut Parameters) -> Result<(Arc<super::planner::QueryPlan>, Vec<Vec<ast::Expr>>), Error> {
        let mut body = select.body.clone();
        let mut calls = Vec::new();
        // `set_config` returns the value it sets; the session sets it when the statement runs.
        set_config_calls(&mut body.query, &mut |arguments| {
            let [_, value, _] = arguments else {
                return Err(Error::new("42883", "function set_config must have three arguments: a name, a value, and whether it is local"));
            };
            calls.push(arguments.to_vec());
            Ok(value.clone())
        })?;
        Ok((Arc::new(planner.query(&body, parameters)?), calls))
    }

    /// Does what the `set_config` calls of a statement say.
    pub(super) fn apply_set_config(&mut self, calls: &[Vec<ast::Expr>]) -> Result<(), Error> {
        for call in calls {
            let text: Arc<str> = self.query_text.clone();
            let planner = self.planner(None, &text);
            let mut values = Vec::new();
            for (expr, target) in call.iter().zip([Type::Text, Type::Text, Type::Bool]) {
                values.push(planner.constant(expr, Some(&ColumnType::new(target)), "set_config")?.0);
            }
            let [name, value, local] = values.as_slice() else { continue };
            let (Some(repr::Datum::Text(name)), Some(repr::Datum::Text(value))) = (name.get(0), value.get(0)) else {
                return Err(Error::new("22004", "set_config must be given a name and a value"));
            };
            let local = matches!(local.get(0), Some(repr::Datum::Bool(true)));
            let values = if name.eq_ignore_ascii_case("search_path") { super::settings::split_names(value) } else { vec![value.to_string()] };
            self.settings.set(name, Some(&values), local)?;
        }
        Ok(())
    }

    /// 25P02, unless the statement ends the failed transaction.
    pub(super) fn check_allowed(&self, statement: &Statement) -> Result<(), Error> {
        let failed = self.transaction.as_ref().is_some_and(|transaction| transaction.failed && transaction.explicit);
        match statement {
            Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo { .. } => Ok(()),
            _ if failed => Err(in_failed_transaction()),
            _ => Ok(()),
        }
    }
}

fn same_shape(before: Option<&Vec<ResultColumn>>, now: Option<&Vec<ResultColumn>>) -> bool {
    match (before, now) {
        (None, None) => true,
        (Some(before), Some(now)) => {
            before.len() == now.len() && before.iter().zip(now).all(|(before, now)| before.column_type.scalar == now.column_type.scalar && before.name == now.name)
        }
        _ => false,
    }
}

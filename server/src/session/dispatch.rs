//! From a statement to what runs it.

use super::planner::{Body, PlannedStatement};
use super::read::Moment;
use super::{Session, variables};
use crate::Error;
use crate::execution::Execution;
use repr::Row;
use sql::parse::{ParsedStatement, Statement, ident_value};

/// How a statement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// The only statement of a query string: its transaction ends with it.
    Alone,
    /// One of several, which are one transaction.
    OneOfMany,
    /// By Execute: the transaction ends at Sync.
    Extended,
}

fn command(tag: &str) -> Result<Execution, Error> {
    Ok(Execution::Command { tag: tag.to_string() })
}

impl Session {
    pub(super) async fn run_parsed(&mut self, parsed: &ParsedStatement, alone: bool) -> Result<Execution, Error> {
        self.absorb_copied();
        self.check_allowed(&parsed.statement)?;
        self.enter_transaction();
        self.run_mode = if alone { RunMode::Alone } else { RunMode::OneOfMany };
        let text = self.query_text.clone();
        let planned = self.plan_statement(&parsed.statement, Vec::new(), &text)?;
        if !planned.parameters.is_empty() {
            return Err(Error::new("42P02", "there is no parameter $1"));
        }
        let execution = self.execute_statement(&parsed.statement, &planned, &Row::empty(), &text).await?;
        let ends = self.transaction.as_ref().is_some_and(|transaction| !transaction.explicit);
        if alone && ends && !matches!(execution, Execution::CopyIn(_)) {
            self.commit().await?;
        }
        Ok(execution)
    }

    /// Runs a planned statement within the open transaction.
    pub(super) async fn execute_statement(&mut self, statement: &Statement, planned: &PlannedStatement, parameters: &Row, text: &str) -> Result<Execution, Error> {
        self.shared.metrics.statement_run();
        match (statement, &planned.body) {
            (Statement::Select(select), Body::Query(query)) => {
                if !planned.settings.is_empty() {
                    self.apply_set_config(&planned.settings)?;
                }
                let moment = match &select.as_of {
                    None => Moment::Newest,
                    as_of => self.moment_of(as_of.as_ref(), &self.planner(None, text))?,
                };
                Ok(Execution::Rows(self.read(query, parameters, moment).await?))
            }
            (_, Body::Change(change)) => self.change(change, parameters).await,
            (Statement::Declare(declare), _) => self.declare(declare, planned, parameters, text).await,
            (Statement::CopyTo(copy), body) => self.copy_to(copy, body, parameters, text).await,
            (Statement::CopyFrom(copy), _) => self.copy_from(copy, text).await,
            (Statement::Subscribe(subscribe), _) => self.subscribe(subscribe, &planned.parameters, parameters, text).await.map(Execution::Rows),
            (Statement::Explain(explain), _) => self.explain(explain, text).await,
            (Statement::Show(show), _) => self.show(show, text).await,
            (Statement::Fetch(fetch), _) => self.fetch(fetch, false, text).await,
            (Statement::Move(fetch), _) => self.fetch(fetch, true, text).await,
            (Statement::Close { name }, _) => self.close_cursors(name.as_ref().map(ident_value).as_deref()),
            (Statement::Prepare { name, types, inner, text }, _) => self.prepare_sql(&ident_value(name), types, inner, text),
            (Statement::Execute { name, arguments }, _) => self.execute_sql(&ident_value(name), arguments, text).await,
            (Statement::Unsupported { what }, _) => Err(Error::unsupported(format!("{what} is not supported"))),
            (
                Statement::Set(_)
                | Statement::SetTransaction { .. }
                | Statement::Reset { .. }
                | Statement::Discard { .. }
                | Statement::Deallocate { .. }
                | Statement::Listen { .. }
                | Statement::Unlisten { .. }
                | Statement::Notify { .. },
                _,
            ) => self.change_session(statement),
            (
                Statement::Begin { .. }
                | Statement::Commit { .. }
                | Statement::Rollback { .. }
                | Statement::Savepoint { .. }
                | Statement::Release { .. }
                | Statement::RollbackTo { .. },
                _,
            ) => self.control_transaction(statement).await,
            _ => self.define(statement, text).await,
        }
    }

    fn change_session(&mut self, statement: &Statement) -> Result<Execution, Error> {
        match statement {
            Statement::Set(set) => {
                let in_block = self.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
                if set.local && !in_block && self.run_mode != RunMode::OneOfMany {
                    self.warning("25P01", "SET LOCAL can only be used in transaction blocks");
                    return command("SET");
                }
                self.settings.set(&set.name, set.values.as_deref(), set.local)?;
                // Outside of a block there is no transaction it could be about but the following ones.
                if !in_block && let Some(property) = set.name.strip_prefix("transaction_") {
                    let default = format!("default_transaction_{property}");
                    if variables::find(&default).is_some() {
                        self.settings.set(&default, set.values.as_deref(), false)?;
                    }
                }
                command("SET")
            }
            Statement::SetTransaction { session, modes } => {
                let in_block = self.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
                if !session && !in_block {
                    self.warning("25P01", "SET TRANSACTION can only be used in transaction blocks");
                    return command("SET");
                }
                self.set_modes(modes, !session)?;
                command("SET")
            }
            Statement::Reset { name: Some(name) } => {
                self.settings.set(name, None, false)?;
                command("RESET")
            }
            Statement::Reset { name: None } => {
                self.settings.reset_all();
                command("RESET")
            }
            Statement::Discard { what: "ALL" } => {
                if self.transaction.as_ref().is_some_and(|transaction| transaction.explicit) {
                    return Err(Error::new("25001", "DISCARD ALL cannot run inside a transaction block"));
                }
                self.settings.reset_all();
                self.portals.clear();
                self.prepared.clear();
                command("DISCARD ALL")
            }
            Statement::Discard { what } => command(&format!("DISCARD {what}")),
            Statement::Deallocate { name: None } => {
                self.prepared.retain(|name, _| name.is_empty());
                command("DEALLOCATE ALL")
            }
            Statement::Deallocate { name: Some(name) } => {
                let name = ident_value(name);
                self.prepared.remove(&name).ok_or_else(|| Error::new("26000", format!("prepared statement \"{name}\" does not exist")))?;
                command("DEALLOCATE")
            }
            // There are no notifications to wait for; pools say these when they take a connection back.
            Statement::Listen { .. } => command("LISTEN"),
            Statement::Unlisten { .. } => command("UNLISTEN"),
            _ => command("NOTIFY"),
        }
    }

    async fn control_transaction(&mut self, statement: &Statement) -> Result<Execution, Error> {
        let in_block = self.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
        let no_block = |what: &str| Err(Error::new("25P01", format!("{what} can only be used in transaction blocks")));
        match statement {
            Statement::Begin { tag, modes } => {
                self.begin(modes)?;
                command(tag)
            }
            Statement::Commit { chain } => {
                self.warn_without_block(in_block);
                let failed = self.transaction.as_ref().is_some_and(|transaction| transaction.failed);
                let settings = self.settings.save();
                if failed {
                    self.roll_back();
                } else {
                    self.commit().await?;
                }
                self.chain(*chain && in_block, settings)?;
                command(if failed { "ROLLBACK" } else { "COMMIT" })
            }
            Statement::Rollback { chain } => {
                self.warn_without_block(in_block);
                let settings = self.settings.save();
                self.roll_back();
                self.chain(*chain && in_block, settings)?;
                command("ROLLBACK")
            }
            Statement::Savepoint { name } if in_block => {
                let settings = self.settings.save();
                self.enter_transaction().savepoint(ident_value(name), settings)?;
                command("SAVEPOINT")
            }
            Statement::Release { name } if in_block => {
                self.enter_transaction().release(&ident_value(name))?;
                command("RELEASE")
            }
            Statement::RollbackTo { name } if in_block => {
                let settings = self.enter_transaction().rollback_to(&ident_value(name))?;
                self.settings.restore(settings);
                command("ROLLBACK")
            }
            Statement::Savepoint { .. } => no_block("SAVEPOINT"),
            Statement::Release { .. } => no_block("RELEASE SAVEPOINT"),
            _ => no_block("ROLLBACK TO SAVEPOINT"),
        }
    }

    fn warn_without_block(&mut self, in_block: bool) {
        if !in_block {
            self.warning("25P01", "there is no transaction in progress");
        }
    }

    /// AND CHAIN: a new block with the properties of the one before.
    fn chain(&mut self, chain: bool, before: super::settings::SavedSettings) -> Result<(), Error> {
        if chain {
            let properties = before.transaction_properties();
            self.begin(&[])?;
            for (name, value) in properties {
                self.settings.set(name, Some(&[value]), true)?;
            }
        }
        Ok(())
    }

    /// 25006 in a transaction that only reads.
    pub(super) fn check_writable(&self, what: &str) -> Result<(), Error> {
        if self.settings.is_read_only() {
            return Err(Error::new("25006", format!("cannot execute {what} in a read-only transaction")));
        }
        Ok(())
    }
}

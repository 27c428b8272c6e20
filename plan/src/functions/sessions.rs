//! Functions that act on other sessions of the server a plan runs in.
//!
//! Doing it twice is doing it once, so they count as stable: volatile functions are computed for rows that a filter takes away too.

use super::lift::{Call, Table};
use super::typed as t;
use crate::evaluate::Host;
use repr::EvalError;
use std::sync::Arc;

pub fn register(table: &mut Table) {
    table
        .entry::<(t::Int4,), t::Bool>("pg_cancel_backend", "Cancels what a session runs; whether there is such a session.")
        .stable()
        .returns_with(host, |host, (pid,)| signal(host.as_deref(), pid, false));
    table
        .entry::<(t::Int4,), t::Bool>("pg_terminate_backend", "Ends a session; whether there is such a session.")
        .stable()
        .returns_with(host, |host, (pid,)| signal(host.as_deref(), pid, true));
}

fn host(call: &Call<'_>) -> Option<Arc<dyn Host>> {
    call.context.host.clone()
}

/// Fallible, so that it is called for the rows that are left by a filter and for no other: what cannot fail is computed for whole batches.
fn signal(host: Option<&dyn Host>, pid: i32, ends: bool) -> Result<bool, EvalError> {
    Ok(host.is_some_and(|host| host.signal_session(pid, ends)))
}

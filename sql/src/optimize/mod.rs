//! Small rules that change a plan's cost and never its result.
//!
//! Each rule is a function from plans to plans in a file of its own; [`optimize`] runs them in turn until nothing changes. What they must not do:
//! evaluate an expression that can fail for a row for which it would not have been evaluated. So filters that can fail stay above the joins they
//! stand above; everything else moves as far down as it goes.

mod access;
mod common;
mod demand;
mod fold;
mod join_plan;
mod lets;
mod normalize;
mod pushdown;
mod reduce;
mod scalars;

pub use access::choose_access;

use crate::names::{Mode, Names};
use plan::Plan;

/// Rounds of all rules before a plan is taken as it is. Plans settle in two or three.
const ROUNDS_MAX: usize = 6;

/// Makes a plan fast. The result yields the same rows in the same columns.
pub fn optimize(plan: Plan, names: &dyn Names, mode: Mode) -> Plan {
    let mut plan = plan;
    for _ in 0..ROUNDS_MAX {
        let before = plan.clone();
        plan = fold::fold(plan, mode);
        plan = normalize::normalize(plan);
        plan = lets::inline(plan);
        plan = pushdown::push_filters(plan);
        plan = lets::move_filters(plan);
        plan = demand::drop_unused(plan);
        plan = normalize::normalize(plan);
        plan = reduce::remove_redundant(plan, names);
        if plan == before {
            break;
        }
    }
    plan = common::share(plan);
    plan = lets::inline(plan);
    plan = join_plan::plan_joins(plan, names, mode);
    reduce::mark_append_only(plan, names)
}

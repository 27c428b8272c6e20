//! Plans as dataflows. The only module that names `timely` or `differential_dataflow`.
//!
//! * [`worker`]: commands in, dataflows, publication out.
//! * [`render`]: a plan, node by node, into [`bundle`]s; [`join`], [`delta_join`], [`reduce`], [`ordered`], [`top_k`], [`window`], [`flat_map`], [`recursion`].
//! * [`stage`], [`operators`]: the few operators everything is made of. Map, filter and project run inside of them, over batches.
//! * [`container`], [`batch`], [`trace`]: how arrangements are stored, shared and read.
//!
//! # Times
//! Outside of recursions a time is a `u64`; inside it is an [`Inner`], which counts the iterations of any number of nested recursions. Everything is
//! compiled for these two.
//!
//! # Errors
//! Every collection is a pair: rows, and errors. Errors are rows (see [`stage::error_row`]) and flow beside the rows they come from; what is made of a
//! collection has its errors.

mod batch;
mod bundle;
mod container;
mod delta_join;
mod flat_map;
mod join;
mod operators;
mod ordered;
mod recursion;
mod reduce;
#[allow(clippy::module_inception)]
mod render;
mod rendered;
mod stage;
mod top_k;
mod trace;
mod window;
mod worker;

pub use batch::StoredBatch;
pub use worker::{Command, SteppedWorker, Workers};

use crate::EngineError;
use differential_dataflow::Hashable;
use differential_dataflow::dynamic::pointstamp::PointStamp;
use differential_dataflow::lattice::Lattice;
use plan::functions::Volatility;
use plan::{Plan, Scalar};
use repr::Row;
use timely::order::Product;
use timely::progress::Timestamp;
use timely::progress::timestamp::Refines;

/// A time inside of recursions: the outer time, and the iteration of each recursion around.
pub type Inner = Product<u64, PointStamp<u64>>;

/// A time of a dataflow.
pub trait Time: Timestamp + Lattice + Refines<u64> + Ord + std::hash::Hash + Send + Sync + timely::ExchangeData + rendered::Rendered {}
impl Time for u64 {}
impl Time for Inner {}

/// The worker that holds the rows of a key.
pub fn shard_of(key: &Row, workers: usize) -> usize {
    if workers == 1 { 0 } else { (key.hashed() % workers as u64) as usize }
}

/// Whether a plan can be kept up to date: nothing in it changes without its inputs.
pub fn check_maintainable(plan: &Plan) -> Result<(), EngineError> {
    let mut result = Ok(());
    plan.for_each_scalar(&mut |scalar| {
        if result.is_ok() {
            result = check_scalar(scalar);
        }
    });
    plan.for_each_child(&mut |child| {
        if result.is_ok() {
            result = check_maintainable(child);
        }
    });
    result
}

fn check_scalar(scalar: &Scalar) -> Result<(), EngineError> {
    let refuse = |what: &str| Err(EngineError::NotMaintainable(format!("{what} cannot be used in what is kept up to date")));
    let mut result = match scalar {
        Scalar::Call { function, .. } if function.0.volatility != Volatility::Immutable => refuse(&format!("function {}", function.0.name)),
        Scalar::LogicalTimestamp => refuse("mz_now()"),
        Scalar::Parameter(number, _) => refuse(&format!("parameter ${}", number + 1)),
        _ => Ok(()),
    };
    scalar.for_each_child(&mut |child| {
        if result.is_ok() {
            result = check_scalar(child);
        }
    });
    result
}

//! Measurements as ratios against something run beside, never as timed tests: a machine's own speed cancels out.
//!
//! `cargo run --release -p bench -- hydrate|update|freshness|point|memory [size]`; docs/benchmarks.md says what each one measures.

mod by_hand;
mod engine;
mod figures;
mod freshness;
mod memory;
mod point;
mod shop;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let size = arguments.next().map(|size| size.replace('_', "").parse::<u64>()).transpose()?;
    match what.as_str() {
        "hydrate" => engine::hydrate(size.unwrap_or(1_000_000)),
        "update" => engine::update(size.unwrap_or(1_000_000)),
        "freshness" => freshness::run(size.unwrap_or(1_000)),
        "point" => point::run(size.unwrap_or(1_000_000)),
        "memory" => memory::run(size.unwrap_or(10_000_000)),
        _ => bail!("bench hydrate [orders] | update [orders] | freshness [messages] | point [rows] | memory [rows]"),
    }
}

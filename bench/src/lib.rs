//! Measurements as ratios against something run beside, never as timed tests. The pace of the dataflow alone: `cargo run --release -p dataflow --example pace`.

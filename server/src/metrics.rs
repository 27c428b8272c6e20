//! Counters and gauges, rendered for Prometheus by /metrics.
pub struct Metrics {}

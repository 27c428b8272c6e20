//! Durations, summed up.

use std::time::Duration;

/// Durations of the same thing done many times.
#[derive(Default)]
pub struct Durations(Vec<Duration>);

impl Durations {
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }
    /// The duration that so many of a thousand do not exceed; zero if there are none.
    pub fn per_mille(&mut self, per_mille: usize) -> Duration {
        self.0.sort_unstable();
        self.0.get(self.0.len().saturating_sub(1) * per_mille / 1000).copied().unwrap_or_default()
    }
    pub fn median(&mut self) -> Duration {
        self.per_mille(500)
    }
    /// `p50 .., p99 ..`.
    pub fn summary(&mut self) -> String {
        format!("p50 {:.1?}, p99 {:.1?}", self.median(), self.per_mille(990))
    }
}

pub fn ratio(left: Duration, right: Duration) -> f64 {
    left.as_secs_f64() / right.as_secs_f64().max(f64::MIN_POSITIVE)
}

//! The one clock that stamps ticks.

use repr::Timestamp;

/// How far ahead of the last timestamp the durable reservation reaches, in milliseconds.
pub const RESERVATION_MILLIS: u64 = 10_000;

/// Hands out strictly increasing timestamps: `max(last + 1, now)`. It reads no clock: `now` is given.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Timestamp,
}

impl Clock {
    /// Goes on after `last`, the greatest timestamp ever given away or reserved.
    pub fn resume(last: Timestamp) -> Clock {
        Clock { last }
    }
    pub fn last(&self) -> Timestamp {
        self.last
    }
    pub fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.last = now.max(self.last.next());
        self.last
    }
}

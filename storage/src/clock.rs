//! The one clock that stamps ticks.

use repr::Timestamp;

/// How far ahead of the last timestamp the durable reservation reaches, in milliseconds.
pub const RESERVATION_MILLIS: u64 = 10_000;
/// The same while the clock is ahead of the system's, as it is after a kill: many kills in a row must not take it ever further ahead.
pub const RESERVATION_AHEAD_MILLIS: u64 = 200;

/// Hands out strictly increasing timestamps: `max(last + 1, now)`. It reads no clock: `now` is given.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Timestamp,
}

impl Clock {
    /// Goes on after `last`, the greatest timestamp ever given away or reserved: the one before [`crate::Recovery::upper`].
    pub fn resume(last: Timestamp) -> Clock {
        Clock { last }
    }
    /// The timestamp given away last.
    pub fn last(&self) -> Timestamp {
        self.last
    }
    /// The next timestamp. Before it is shown, a frame of that time or [`crate::Log::ensure_reserved`] must have made it durable that it was given away.
    ///
    /// While the system's clock is behind `last`, time goes on by one millisecond a tick: it neither stands still nor goes back.
    pub fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.last = now.max(self.last.next());
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_system_forwards_only() {
        let mut clock = Clock::resume(Timestamp(1_000));
        let hour = 3_600_000;
        // What the system's clock says, and what is given away.
        let cases = [
            (1_500, 1_500),
            (1_500, 1_501), // frozen
            (1_400, 1_502), // back
            (2_000, 2_000),
            (2_000 + hour, 2_000 + hour), // a jump
            (2_001, 2_001 + hour),        // and back
            (2_002, 2_002 + hour),
            (2_003 + hour, 2_003 + hour), // caught up
            (0, 2_004 + hour),
        ];
        for (now, expected) in cases {
            assert_eq!(clock.tick(Timestamp(now)), Timestamp(expected), "at {now}");
            assert_eq!(clock.last(), Timestamp(expected));
        }
    }

    #[test]
    fn a_resumed_clock_is_after_what_was_reserved() {
        assert_eq!(Clock::resume(Timestamp(5_000)).tick(Timestamp(10)), Timestamp(5_001));
        assert_eq!(Clock::resume(Timestamp::MIN).tick(Timestamp::MIN), Timestamp(1));
    }
}

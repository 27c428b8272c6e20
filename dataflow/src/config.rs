//! The limits of an engine.

/// How many workers there are, and how much they may owe.
#[derive(Clone, Debug)]
pub struct Config {
    /// Worker threads.
    pub workers: usize,
    /// Frames that were handed in and that some relation does not show yet. [`crate::Control::update`] waits beyond it.
    pub frames_behind_max: usize,
    /// Updates in those frames.
    pub updates_behind_max: usize,
    /// Updates a [`crate::Tap`] may leave unread before it is closed.
    pub tap_updates_max: usize,
}

impl Config {
    pub const FRAMES_BEHIND_MAX: usize = 256;
    pub const UPDATES_BEHIND_MAX: usize = 4_000_000;
    pub const TAP_UPDATES_MAX: usize = 1_000_000;
}

impl Default for Config {
    fn default() -> Config {
        Config {
            workers: 1,
            frames_behind_max: Config::FRAMES_BEHIND_MAX,
            updates_behind_max: Config::UPDATES_BEHIND_MAX,
            tap_updates_max: Config::TAP_UPDATES_MAX,
        }
    }
}

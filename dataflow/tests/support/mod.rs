//! Random plans over random histories, and a model that recomputes everything.
#![allow(dead_code)]

pub mod drive;
pub mod plans;
pub mod tables;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The source of all randomness of a case.
pub type Random = ChaCha8Rng;

pub fn random(seed: u64) -> Random {
    ChaCha8Rng::seed_from_u64(seed)
}

/// True once in `of` times.
pub fn once_in(random: &mut Random, of: u32) -> bool {
    random.random_range(0..of) == 0
}

pub fn pick<'a, T>(random: &mut Random, choices: &'a [T]) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

/// An environment variable as a number.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text}")))
}

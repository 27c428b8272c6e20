//! A hash table from byte strings to dense positions.
//!
//! Keys stand one after the other in one buffer: no allocation per key, and going through all of them is going through memory.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Differs from process to process, so that nobody can prepare keys that collide.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish() | 1);

const FIRST_MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const SECOND_MULTIPLIER: u64 = 0xD6E8_FEB8_6659_FD93;

fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Multiply-fold hashing of eight bytes at a time.
#[inline]
pub fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(SECOND_MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(u64::from_le_bytes(*word) ^ state, FIRST_MULTIPLIER ^ seed);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(u64::from_le_bytes(last) ^ state, SECOND_MULTIPLIER ^ seed)
}

/// Keys numbered in the order in which they were first seen.
pub struct KeyTable {
    seed: u64,
    bytes: Vec<u8>,
    /// Where each key ends, and its hash.
    keys: Vec<(usize, u64)>,
    /// Position + 1 of a key, 0 for none; linear probing, a power of two long, at most half full.
    slots: Vec<u32>,
}

/// Keys one table can number.
const KEYS_MAX: usize = u32::MAX as usize - 1;

impl KeyTable {
    pub fn new() -> KeyTable {
        KeyTable { seed: *SEED, bytes: Vec::new(), keys: Vec::new(), slots: vec![0; 16] }
    }
    pub fn len(&self) -> usize {
        self.keys.len()
    }
    pub fn key(&self, position: usize) -> &[u8] {
        let start = if position == 0 { 0 } else { self.keys[position - 1].0 };
        &self.bytes[start..self.keys[position].0]
    }
    /// The memory one more key of so many bytes takes.
    pub fn bytes_per_key(key: &[u8]) -> usize {
        key.len() + size_of::<(usize, u64)>() + 2 * size_of::<u32>()
    }

    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<usize> {
        self.find(key, hash_bytes(key, self.seed)).ok()
    }

    /// The position of a key, and whether it is new.
    #[inline]
    pub fn insert(&mut self, key: &[u8]) -> (usize, bool) {
        let hash = hash_bytes(key, self.seed);
        match self.find(key, hash) {
            Ok(position) => (position, false),
            Err(slot) => {
                let position = self.keys.len();
                assert!(position < KEYS_MAX, "a hash table of {KEYS_MAX} keys is full");
                self.bytes.extend_from_slice(key);
                self.keys.push((self.bytes.len(), hash));
                self.slots[slot] = position as u32 + 1;
                if self.keys.len() * 2 > self.slots.len() {
                    self.grow();
                }
                (position, true)
            }
        }
    }

    /// The position of the key, or the free slot where it belongs.
    #[inline]
    fn find(&self, key: &[u8], hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                position => {
                    let position = position as usize - 1;
                    if self.keys[position].1 == hash && self.key(position) == key {
                        return Ok(position);
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots.clear();
        self.slots.resize(mask + 1, 0);
        for (position, (_, hash)) in self.keys.iter().enumerate() {
            let mut slot = *hash as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = position as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_positions_while_the_table_grows() {
        let mut table = KeyTable::new();
        let key = |number: usize| format!("key {}", number * 7919).into_bytes();
        for number in 0..10_000 {
            assert_eq!(table.insert(&key(number)), (number, true));
        }
        assert_eq!(table.insert(b""), (10_000, true));
        for number in 0..10_000 {
            assert_eq!(table.insert(&key(number)), (number, false));
            assert_eq!(table.key(number), key(number));
            assert_eq!(table.get(&key(number)), Some(number));
        }
        assert_eq!(table.get(b"absent"), None);
    }
}

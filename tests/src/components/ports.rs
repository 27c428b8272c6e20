//! Ports for the components, each given out once in the life of the test process.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use rand::Rng;

/// Below the range from which the kernel takes the ports of outgoing connections (it starts at 32768): no such connection can take the
/// port of a component which was killed and is to start again on the same port.
const PORTS: Range<u16> = 12_000..32_000;
const TRIES_MAX: usize = 1_000;

/// A port on 127.0.0.1 on which nobody listens, and which this process has not been given before.
pub fn free_port() -> Result<u16> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut guard = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = guard.get_or_insert_default();
    // Random, and not the next one: several test processes look for ports at the same time.
    let mut random = rand::rng();
    for _ in 0..TRIES_MAX {
        let port = random.random_range(PORTS);
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!(
        "found no free port between {} and {} in {TRIES_MAX} tries",
        PORTS.start,
        PORTS.end
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..200).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 200);
    }
}

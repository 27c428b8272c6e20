//! The state after each committed transaction, found again by what a read shows of it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Numbered from 0.
pub const ACCOUNTS: usize = 10;

/// What the tables add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub credits: [i64; ACCOUNTS],
    pub debits: [i64; ACCOUNTS],
    /// Transfers that are there.
    pub transfers: i64,
}

impl State {
    /// What came less what went.
    pub fn balances(&self) -> [i64; ACCOUNTS] {
        std::array::from_fn(|account| self.credits[account] - self.debits[account])
    }

    /// The sum over all transfers that are there.
    pub fn amount(&self) -> i64 {
        self.credits.iter().sum()
    }
}

/// The part of a state which a read shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    Balances([i64; ACCOUNTS]),
    Credits([i64; ACCOUNTS]),
    Debits([i64; ACCOUNTS]),
    /// How many transfers there are, and the sum of their amounts.
    Transfers(i64, i64),
}

impl Look {
    fn all(state: &State) -> [Look; 4] {
        [
            Look::Balances(state.balances()),
            Look::Credits(state.credits),
            Look::Debits(state.debits),
            Look::Transfers(state.transfers, state.amount()),
        ]
    }
}

/// All states there were. Transaction `n` (from 1) leads to prefix `n`; prefix 0 is the empty bank.
#[derive(Debug)]
pub struct History {
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Amounts are random, so two prefixes that look the same are rare; a list, because a rare one must not fail a run.
    prefixes: HashMap<Look, Vec<usize>>,
    /// When each transaction was about to be sent; that of prefix 0 is the beginning.
    sent: Vec<Instant>,
    last: State,
}

impl Default for History {
    fn default() -> Self {
        let last = State::default();
        let prefixes = Look::all(&last).map(|look| (look, vec![0])).into();
        let inner = Inner { prefixes, sent: vec![Instant::now()], last };
        Self { inner: RwLock::new(inner) }
    }
}

impl History {
    /// Takes note of a transaction, before anyone can see it. Returns its prefix.
    pub fn commit(&self, state: State) -> usize {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let prefix = inner.sent.len();
        for look in Look::all(&state) {
            inner.prefixes.entry(look).or_default().push(prefix);
        }
        inner.sent.push(Instant::now());
        inner.last = state;
        prefix
    }

    /// The first prefix which looks like this and is not before `floor`.
    pub fn find(&self, look: Look, floor: usize) -> Option<usize> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.prefixes.get(&look)?.iter().copied().find(|prefix| *prefix >= floor)
    }

    /// Whether some prefix looks like this: tells a torn read from one that went back.
    pub fn was_ever(&self, look: Look) -> bool {
        self.find(look, 0).is_some()
    }

    /// How long ago the transactions after prefix `from` and up to `to` were sent, in order.
    pub fn ages(&self, from: usize, to: usize) -> Vec<Duration> {
        let now = Instant::now();
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let sent = inner.sent.get(from + 1..=to).unwrap_or_default();
        sent.iter().map(|sent| now.duration_since(*sent)).collect()
    }

    /// The newest prefix and its state.
    pub fn last(&self) -> (usize, State) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        (inner.sent.len() - 1, inner.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_found_by_what_it_looks_like_and_never_before_the_floor() {
        let history = History::default();
        let mut state = State::default();
        state.credits[1] = 5;
        state.debits[2] = 5;
        state.transfers = 1;
        assert_eq!(history.commit(state), 1);
        assert_eq!(history.commit(State::default()), 2);
        assert_eq!(history.commit(state), 3);
        let look = Look::Balances([0, 5, -5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!([0, 1, 2, 3, 4].map(|floor| history.find(look, floor)), [Some(1), Some(1), Some(3), Some(3), None]);
        assert_eq!(history.find(Look::Transfers(1, 5), 0), Some(1));
        assert!(!history.was_ever(Look::Balances([0, 5, -4, 0, 0, 0, 0, 0, 0, 0])), "money from nowhere");
        assert!(!history.was_ever(Look::Transfers(1, 0)), "half a transfer");
        assert_eq!(history.ages(1, 3).len(), 2);
        assert_eq!(history.last(), (3, state));
    }
}

//! The totals, one line a second.

use repr::{Datum, Row};
use std::io::{IsTerminal, Write};
use std::time::Duration;

pub struct Screen {
    is_terminal: bool,
    lines: u64,
}

impl Screen {
    pub fn new() -> Screen {
        Screen { is_terminal: std::io::stdout().is_terminal(), lines: 0 }
    }

    /// `totals` is (orders, open orders, on hand, cents, oversold); `freshness` the time from broker to subscriber of the orders of the last second.
    pub fn show(&mut self, totals: Option<&Row>, freshness: &[Duration]) {
        let Some(totals) = totals else { return };
        let numbers: Vec<String> = totals.iter().map(|datum| number(&datum)).collect();
        let [orders, open, on_hand, cents, oversold] = numbers.as_slice() else { return };
        if self.lines % 20 == 0 {
            println!("{:>10} {:>12} {:>10} {:>16} {:>9}   {}", "orders", "open orders", "on hand", "revenue (cents)", "oversold", "fresh: Kafka to subscriber, p50 / max");
        }
        let mut sorted = freshness.to_vec();
        sorted.sort();
        let fresh = match (sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(median), Some(most)) => format!("{:.1} ms / {:.1} ms", median.as_secs_f64() * 1e3, most.as_secs_f64() * 1e3),
            _ => "-".to_string(),
        };
        println!("{orders:>10} {open:>12} {on_hand:>10} {cents:>16} {oversold:>9}   {fresh}");
        self.lines += 1;
        if self.is_terminal {
            let _ = std::io::stdout().flush();
        }
    }
}

fn number(datum: &Datum<'_>) -> String {
    match datum {
        Datum::Int8(value) => value.to_string(),
        Datum::Numeric(value) => value.to_string(),
        Datum::Null => "-".to_string(),
        other => format!("{other:?}"),
    }
}

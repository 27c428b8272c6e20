//! Templates: `to_char`, `to_date`, `to_timestamp`, `to_number`.

mod moment;
mod number;
mod parse;

use super::lift::Table;

pub fn register(table: &mut Table) {
    moment::register(table);
    number::register(table);
    parse::register(table);
}

/// `st`, `nd`, `rd` or `th` after a number.
fn ordinal(number: i64) -> &'static str {
    match (number.unsigned_abs() % 100, number.unsigned_abs() % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

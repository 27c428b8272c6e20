//! Bit operators over integers.

use super::lift::Table;
use super::typed as t;

pub fn register(table: &mut Table) {
    macro_rules! integers {
        ($($marker:ident)*) => {$(
            table.entry::<(t::$marker, t::$marker), t::$marker>("&", "Bitwise AND.").returns(|(a, b)| a & b);
            table.entry::<(t::$marker, t::$marker), t::$marker>("|", "Bitwise OR.").returns(|(a, b)| a | b);
            table.entry::<(t::$marker, t::$marker), t::$marker>("#", "Bitwise exclusive OR.").returns(|(a, b)| a ^ b);
            table.entry::<(t::$marker,), t::$marker>("~", "Bitwise NOT.").returns(|(a,)| !a);
        )*};
    }
    integers! { Int2 Int4 Int8 }
    // A smallint is shifted as an integer and cut; a shift counts modulo the width, as on the machines Postgres runs on.
    table.entry::<(t::Int2, t::Int4), t::Int2>("<<", "Shifts to the left.").returns(|(a, count)| i32::from(a).wrapping_shl(count as u32) as i16);
    table.entry::<(t::Int2, t::Int4), t::Int2>(">>", "Shifts to the right.").returns(|(a, count)| i32::from(a).wrapping_shr(count as u32) as i16);
    table.entry::<(t::Int4, t::Int4), t::Int4>("<<", "Shifts to the left.").returns(|(a, count)| a.wrapping_shl(count as u32));
    table.entry::<(t::Int4, t::Int4), t::Int4>(">>", "Shifts to the right.").returns(|(a, count)| a.wrapping_shr(count as u32));
    table.entry::<(t::Int8, t::Int4), t::Int8>("<<", "Shifts to the left.").returns(|(a, count)| a.wrapping_shl(count as u32));
    table.entry::<(t::Int8, t::Int4), t::Int8>(">>", "Shifts to the right.").returns(|(a, count)| a.wrapping_shr(count as u32));
}

//! Numbers against the judge's answers and against arithmetic done another way.

use super::Numeric;

/// Ascending values, each class and every kind of exponent among them; values in one entry are equal.
const ASCENDING: &[&[&str]] = &[
    &["-Infinity"],
    &["-1e131071"],
    &["-1e200", "-1e200"],
    &["-170141183460469231731687303715884105729"],
    &["-170141183460469231731687303715884105728"],
    &["-170141183460469231731687303715884105727"],
    &["-12345678901234567890.5", "-12345678901234567890.50"],
    &["-101"],
    &["-100.000001"],
    &["-100", "-100.0", "-100.00", "-1e2"],
    &["-99.99"],
    &["-10", "-10.000"],
    &["-9.99"],
    &["-1.23"],
    &["-1.2", "-1.20"],
    &["-1", "-1.0"],
    &["-0.1"],
    &["-0.01"],
    &["-0.0099"],
    &["-1e-70"],
    &["-1e-16383"],
    &["0", "0.0", "0.000", "-0"],
    &["1e-16383"],
    &["1e-70"],
    &["0.0099"],
    &["0.01", "0.010"],
    &["0.1", "0.10", "0.100"],
    &["0.11"],
    &["1", "1.0", "1.00"],
    &["1.2", "1.20"],
    &["1.23"],
    &["9.99"],
    &["10", "10.0"],
    &["12"],
    &["12.34", "12.340"],
    &["100"],
    &["100.000001"],
    &["12345678901234567890.5"],
    &["170141183460469231731687303715884105727", "170141183460469231731687303715884105727.0"],
    &["170141183460469231731687303715884105728"],
    &["170141183460469231731687303715884105728.000000001"],
    &["1e126"],
    &["1e127"],
    &["1e128"],
    &["1e200", "1.0e200"],
    &["1e131071"],
    &["Infinity"],
    &["NaN"],
];

fn ordered(value: &Numeric) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write_ordered(&mut bytes);
    bytes
}

#[test]
fn bytes_order_as_values_do() {
    let values: Vec<(usize, Numeric)> = ASCENDING
        .iter()
        .enumerate()
        .flat_map(|(rank, texts)| texts.iter().map(move |text| (rank, Numeric::parse(text).unwrap())))
        .collect();
    for (left_rank, left) in &values {
        let left_bytes = ordered(left);
        for (right_rank, right) in &values {
            let right_bytes = ordered(right);
            assert_eq!(left.cmp(right), left_rank.cmp(right_rank), "{left} against {right}");
            if left_rank == right_rank {
                assert_eq!(left_bytes[..left_bytes.len() - 2], right_bytes[..right_bytes.len() - 2], "{left} and {right}");
                assert_eq!(ordered(&left.canonical()), ordered(&right.canonical()));
            } else {
                assert_eq!(left_bytes.cmp(&right_bytes), left_rank.cmp(right_rank), "bytes of {left} against {right}");
            }
        }
    }
}

#[test]
fn bytes_read_back_what_was_written() {
    for text in ASCENDING.iter().flat_map(|texts| texts.iter()) {
        let value = Numeric::parse(text).unwrap();
        let mut bytes = ordered(&value);
        let length = bytes.len();
        assert_eq!(Numeric::check_ordered(&bytes), Some(length), "{text}");
        bytes.extend_from_slice(&[0xFF, 0x01]);
        let (read, taken) = Numeric::read_ordered(&bytes);
        assert_eq!((read.to_string(), read.scale(), taken), (value.to_string(), value.scale(), length), "{text}");
        assert_eq!(Numeric::skip_ordered(&bytes), length);
        for cut in 0..length {
            assert_eq!(Numeric::check_ordered(&bytes[..cut]), None, "{text} cut to {cut} bytes");
        }
    }
    assert_eq!(ordered(&Numeric::parse("1234.50").unwrap()).len(), 6);
}

#[test]
fn bytes_of_every_small_number_read_back() {
    let mut previous: Option<Vec<u8>> = None;
    for unscaled in -2_000i128..2_000 {
        let value = Numeric::from_parts(unscaled, 3);
        let bytes = ordered(&value);
        let (read, _) = Numeric::read_ordered(&bytes);
        assert_eq!((read.to_string(), read.scale()), (value.to_string(), 3));
        assert!(previous.is_none_or(|previous| previous < bytes), "{value} sorts after its predecessor");
        previous = Some(bytes);
    }
}

#[test]
fn a_numeric_is_three_words() {
    assert_eq!(size_of::<Numeric>(), 24);
}

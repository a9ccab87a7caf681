//! Holds the printed numbers against the exact decimal expansion of the double.

use proptest::prelude::*;

use super::*;

fn value(number: f64) -> String {
    let mut out = Vec::new();
    push_value(&mut out, number);
    String::from_utf8(out).unwrap()
}

fn statistic(number: f64) -> String {
    let mut out = Vec::new();
    push_statistic(&mut out, number);
    String::from_utf8(out).unwrap()
}

/// Rounds the exact expansion (no double has more than 1074 decimals) by hand on its digits.
fn oracle(number: f64, decimals: usize) -> String {
    if !number.is_finite() {
        return "null".into();
    }
    let exact = format!("{:.1100}", number.abs());
    let point = exact.find('.').unwrap();
    let mut digits: Vec<u8> =
        exact[..point].bytes().chain(exact[point + 1..=point + decimals].bytes()).collect();
    let rest = &exact.as_bytes()[point + 1 + decimals..];
    let tie_or_above = rest[0] >= b'5';
    let tie = rest[0] == b'5' && rest[1..].iter().all(|&digit| digit == b'0');
    let last_is_odd = digits[digits.len() - 1] % 2 == 1;
    if tie_or_above && (!tie || last_is_odd) {
        let mut at = digits.len();
        loop {
            if at == 0 {
                digits.insert(0, b'1');
                break;
            }
            at -= 1;
            if digits[at] < b'9' {
                digits[at] += 1;
                break;
            }
            digits[at] = b'0';
        }
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let text = String::from_utf8(digits).unwrap();
    let (whole, fraction) = text.split_at(text.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

fn list(numbers: &[f64]) -> String {
    let mut out = b"[".to_vec();
    push_values(&mut out, numbers);
    String::from_utf8(out).unwrap()
}

/// Values in a list are what they are alone, wherever a batch ends.
#[test]
fn lists_have_commas_between_values() {
    assert_eq!(list(&[]), "[");
    let numbers =
        [0.0, -0.0, 9.9994, 9.9996, 12.5, f64::NAN, 999.9996, -1000.25, 1e8, 123_456_789.5, 1e9, -1e15, 1e20];
    for count in [1, 2, 13, 63, 64, 65, 200] {
        let numbers: Vec<f64> = numbers.iter().copied().cycle().take(count).collect();
        let expected: Vec<String> = numbers.iter().map(|&number| oracle(number, 3)).collect();
        assert_eq!(list(&numbers), format!("[{}", expected.join(",")));
    }
}

fn check(number: f64) {
    for number in [number, -number] {
        assert_eq!(list(&[number, number]), format!("[{0},{0}", oracle(number, 3)), "{number:e}");
        assert_eq!(value(number), oracle(number, 3), "{number:e}");
        assert_eq!(statistic(number), oracle(number, 2), "{number:e}");
    }
}

/// The double itself and its neighbours on both sides.
fn check_around(number: f64) {
    for number in [number.next_down(), number, number.next_up()] {
        check(number);
    }
}

#[test]
fn prints_what_the_reference_prints() {
    for (number, expected) in [
        (0.0, "0.000"),
        (-0.0, "-0.000"),
        (-1e-9, "-0.000"),
        (1.5e-3, "0.002"),
        (0.0625, "0.062"),
        (0.1875, "0.188"),
        (0.5, "0.500"),
        (0.9996, "1.000"),
        (9.9995, "9.999"),
        (9.9996, "10.000"),
        (-3.0, "-3.000"),
        (99.9999, "100.000"),
        (1000.0, "1000.000"),
        (123_456_789.123_456, "123456789.123"),
        (4_503_599_627_370_497.5, "4503599627370498.000"),
        (f64::NAN, "null"),
        (f64::INFINITY, "null"),
        (f64::NEG_INFINITY, "null"),
    ] {
        assert_eq!(value(number), expected, "{number:e}");
    }
    for (number, expected) in
        [(2.0 + 1.0 / 3.0, "2.33"), (0.125, "0.12"), (0.375, "0.38"), (-0.001, "-0.00"), (f64::NAN, "null")]
    {
        assert_eq!(statistic(number), expected, "{number:e}");
    }
}

#[test]
fn appends_without_touching_what_is_there() {
    let mut out = b"[".to_vec();
    push_value(&mut out, 1.25);
    out.push(b',');
    push_statistic(&mut out, f64::NAN);
    push_integer(&mut out, -7);
    assert_eq!(out, b"[1.250,null-7");
}

/// The standard formatter rounds alike; it is only slower. Should that change, the oracle above decides.
#[test]
fn the_standard_formatter_also_rounds_ties_to_even() {
    for (number, expected) in [(0.0625, "0.062"), (0.1875, "0.188"), (2.5625, "2.562"), (-0.0625, "-0.062")] {
        assert_eq!(format!("{number:.3}"), expected);
        assert_eq!(value(number), expected);
    }
}

#[test]
fn ties_and_their_neighbours() {
    for sixteenth in 0..200_000u32 {
        check(f64::from(sixteenth) / 16.0);
    }
    for step in 0..20_000u32 {
        check_around(f64::from(step) / 2000.0);
        check_around(f64::from(step) / 200.0 + 1e6);
    }
    for eighth in 0..64 {
        check(f64::from(eighth).mul_add(0.125, 1e12));
    }
}

#[test]
fn every_power_of_two_and_of_ten() {
    for exponent in 0..2047u64 {
        check_around(f64::from_bits(exponent << 52));
        check(f64::from_bits((exponent << 52) | ((1 << 52) - 1)));
    }
    for exponent in -320..=308 {
        check_around(format!("1e{exponent}").parse().unwrap());
    }
    check(f64::from_bits(1));
    check(f64::MAX);
}

#[test]
fn integers_print_as_the_standard_formatter_does() {
    for shift in 0..63 {
        for delta in -2..=2 {
            let number = (1i64 << shift) + delta;
            for number in [number, -number] {
                let mut out = Vec::new();
                push_integer(&mut out, number);
                assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            }
        }
    }
    for number in [i64::MIN, i64::MAX, 0, 9, 10, 99, 100, -9, -10, 1_700_000_040] {
        let mut out = Vec::new();
        push_integer(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_bit_pattern(bits: u64) {
        check(f64::from_bits(bits));
    }

    #[test]
    fn gauges(hundredths in 0i64..100_000_000) {
        check_around(hundredths as f64 / 100.0);
    }

    #[test]
    fn near_ties_at_any_magnitude(thousandths in 0u64..(1 << 53), exponent in 0u32..40) {
        check_around((thousandths >> exponent) as f64 / 2000.0);
    }

    #[test]
    fn magnitudes_with_decimals(mantissa in 0u64..(1 << 52), exponent in 1000u64..1080) {
        check(f64::from_bits((exponent << 52) | mantissa));
    }
}

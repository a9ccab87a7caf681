//! Numbers as text, as Go writes them.

/// The shortest digits that mean the value, without an exponent; infinities have a sign.
///
/// Of two texts that are as short and as near, the one whose last digit is even: Rust takes the larger one.
#[must_use]
pub fn shortest(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => even(value, value.to_string(), |decimals| format!("{value:.decimals$}")),
    }
}

/// The same with an exponent of a sign and two digits or more.
#[must_use]
pub fn with_exponent(value: f64) -> String {
    let text = format!("{value:e}");
    let Some((digits, _)) = text.split_once('e') else { return text };
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let text = even(value, text, |_| format!("{value:.decimals$e}"));
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// The text, or one as long that is rounded half to even, if that means the same value.
fn even(value: f64, text: String, rounded: impl Fn(usize) -> String) -> String {
    // Fewer digits than 16 are never as near as others.
    if text.bytes().filter(u8::is_ascii_digit).count() < 16 {
        return text;
    }
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let other = rounded(decimals);
    if other.len() == text.len() && other.parse() == Ok(value) { other } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_is_even_where_two_are_as_near() {
        // What Prometheus answers for these.
        for (value, text) in [
            (-1015465.0 / 65536.0, "-15.494766235351562"),
            (-2760665.0 / 32768.0, "-84.24880981445312"),
            (-28.0, "-28"),
            (0.1, "0.1"),
            (92.514_526_367_187_5, "92.5145263671875"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(shortest(value), text);
        }
        assert_eq!(with_exponent(1e21), "1e+21");
        assert_eq!(with_exponent(-1.5e-7), "-1.5e-07");
        for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0 / 3.0, 2f64.powi(70) + 2f64.powi(18)] {
            assert_eq!(with_exponent(value).parse(), Ok(value));
            assert_eq!(shortest(value).parse(), Ok(value));
        }
    }
}

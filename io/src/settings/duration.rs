//! Durations as the configuration writes them: `48h`, `1h30m`, `1.5h`, `300ms` (SPEC section 7).
//!
//! The text of a JSON value comes in; the sections keep what goes out. The syntax is that of Go's
//! `time.ParseDuration`, because existing files are written for it.

use std::time::Duration;

/// The longest duration Go can hold, some 292 years; a longer one is a slip of the pen.
const NANOSECONDS_MAX: u128 = i64::MAX as u128;
/// More decimal places than this change nothing: an hour has 3.6·10^12 nanoseconds.
const FRACTION_DIGITS_MAX: u32 = 18;

const UNITS: &str = "h, m, s, ms, us, ns";

/// Why a text is no duration.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    /// Nothing there.
    #[error("it is empty; write for example \"48h\" or \"1h30m\"")]
    Empty,
    /// A minus sign.
    #[error("it is negative")]
    Negative,
    /// A number without unit.
    #[error("the number {number:?} has no unit (one of {UNITS})")]
    MissingUnit {
        /// The number as written.
        number: String,
    },
    /// A unit that does not exist; days and weeks do not.
    #[error("{unit:?} is no unit (one of {UNITS})")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
    },
    /// Something else where a number has to be.
    #[error("a number is missing before {rest:?}")]
    MissingNumber {
        /// What stands there instead.
        rest: String,
    },
    /// Longer than 292 years.
    #[error("it is longer than 292 years")]
    TooLong,
}

/// Reads a duration such as `1h30m`, `1.5h`, `1µs`, `+5s` or `0`.
///
/// # Errors
/// See [`DurationError`]. No input overflows: the sum is checked after every term.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = match text.as_bytes().first() {
        None => return Err(DurationError::Empty),
        Some(b'-') => return Err(DurationError::Negative),
        Some(b'+') => &text[1..],
        Some(_) => text,
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut total_ns: u128 = 0;
    while !rest.is_empty() {
        let (term_ns, after) = parse_term(rest)?;
        total_ns = total_ns.checked_add(term_ns).ok_or(DurationError::TooLong)?;
        if total_ns > NANOSECONDS_MAX {
            return Err(DurationError::TooLong);
        }
        rest = after;
    }
    Ok(Duration::from_nanos(u64::try_from(total_ns).map_err(|_| DurationError::TooLong)?))
}

/// Reads one number with its unit; returns its nanoseconds and what follows.
fn parse_term(text: &str) -> Result<(u128, &str), DurationError> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, after_number) = text.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::MissingNumber { rest: text.to_owned() });
    }
    let unit_end = after_number.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after_number.len());
    let (unit, after) = after_number.split_at(unit_end);
    let unit_ns: u128 = match unit {
        "" => return Err(DurationError::MissingUnit { number: number.to_owned() }),
        "ns" => 1,
        // The micro sign and the Greek letter look alike; Go reads both.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(DurationError::UnknownUnit { unit: unit.to_owned() }),
    };
    let mut whole_ns: u128 = 0;
    for digit in whole.bytes() {
        // Checked digit by digit, so that a thousand digits are refused as soon as they are too many.
        whole_ns = whole_ns * 10 + u128::from(digit - b'0');
        if whole_ns > NANOSECONDS_MAX {
            return Err(DurationError::TooLong);
        }
    }
    let mut numerator: u128 = 0;
    let mut denominator: u128 = 1;
    for digit in fraction.bytes().take(FRACTION_DIGITS_MAX as usize) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    // Neither product overflows: 2^63 · 3.6·10^12 and 10^18 · 3.6·10^12 are both below 2^128.
    Ok((whole_ns * unit_ns + numerator * unit_ns / denominator, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, expected_ns) in [
            ("0", 0u64),
            ("+0", 0),
            ("0s", 0),
            ("48h", 172_800_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5h", 1_800_000_000_000),
            ("1.h", 3_600_000_000_000),
            ("+5s", 5_000_000_000),
            ("300ms", 300_000_000),
            ("1us", 1_000),
            ("1\u{b5}s", 1_000),
            ("1\u{3bc}s", 1_000),
            ("7ns", 7),
            ("1.9ns", 1),
            ("2h45m30.5s", 9_930_500_000_000),
            ("1m1h", 3_660_000_000_000),
            ("0.000000000000000000000000000001h", 0),
            ("0.33333333333333333333h", 1_200_000_000_000 - 1),
            ("9223372036854775807ns", i64::MAX as u64),
            ("000000000000000000000000000000000000000000000001s", 1_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(expected_ns)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("", "it is empty"),
            ("+", "it is empty"),
            ("-1h", "negative"),
            ("48", "\"48\" has no unit"),
            ("1h30", "\"30\" has no unit"),
            ("00", "\"00\" has no unit"),
            ("2d", "\"d\" is no unit"),
            ("1H", "\"H\" is no unit"),
            ("1 h", "\" h\" is no unit"),
            ("1h ", "\"h \" is no unit"),
            ("1h-5m", "\"h-\" is no unit"),
            ("1\u{b5}", "is no unit"),
            ("h", "a number is missing before \"h\""),
            (" 1h", "a number is missing before \" 1h\""),
            (".s", "a number is missing"),
            ("1.2.3s", "a number is missing"),
            ("\u{661}h", "a number is missing"),
            ("9223372036854775808ns", "292 years"),
            ("2562048h", "292 years"),
            ("2562047h2562047h", "292 years"),
            ("99999999999999999999999999999999999999999999999999h", "292 years"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}

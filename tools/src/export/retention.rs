//! `--retention`: a duration as the configuration writes it, in whole seconds (`48h`, `1h30m`).

/// The longest retention taken, a hundred years: a longer one is a slip of the pen.
const RETENTION_SECONDS_MAX: i64 = 100 * 366 * 24 * 3600;

/// Why a text is no retention.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// No number where one should be, or no unit behind it.
    #[error("write whole numbers with the units h, m or s, as in 48h or 1h30m")]
    Form,
    /// Nothing would be left.
    #[error("a retention of zero leaves nothing; leave --retention out to export everything")]
    Zero,
    /// Too long.
    #[error("it is longer than a hundred years; leave --retention out to export everything")]
    TooLong,
}

/// The seconds of a duration such as `1h30m`.
///
/// # Errors
/// [`RetentionError`]; no input overflows.
pub fn parse_seconds(text: &str) -> Result<i64, RetentionError> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let unit_seconds = match behind.chars().next() {
            Some('h') => 3600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(RetentionError::Form),
        };
        if number.is_empty() {
            return Err(RetentionError::Form);
        }
        // Only too many digits can go wrong here.
        let number: i64 = number.parse().map_err(|_| RetentionError::TooLong)?;
        total = number
            .checked_mul(unit_seconds)
            .and_then(|seconds| total.checked_add(seconds))
            .filter(|&seconds| seconds <= RETENTION_SECONDS_MAX)
            .ok_or(RetentionError::TooLong)?;
        rest = &behind[1..];
    }
    match (text.is_empty(), total) {
        (true, _) => Err(RetentionError::Form),
        (false, 0) => Err(RetentionError::Zero),
        (false, total) => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("48h", 172_800), ("1h30m", 5400), ("90s", 90), ("1m1s", 61)] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        for (text, error) in [
            ("", RetentionError::Form),
            ("48", RetentionError::Form),
            ("h", RetentionError::Form),
            ("-1h", RetentionError::Form),
            ("2d", RetentionError::Form),
            ("1h ", RetentionError::Form),
            ("1\u{b5}s", RetentionError::Form),
            ("0h", RetentionError::Zero),
            ("9999999h", RetentionError::TooLong),
            ("99999999999999999999s", RetentionError::TooLong),
            ("9223372036854775807h", RetentionError::TooLong),
        ] {
            assert_eq!(parse_seconds(text), Err(error), "{text}");
        }
    }
}

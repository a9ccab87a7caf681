//! The timestamp at the end of a line (SPEC section 2): its unit is told by its size.

use super::error::Fault;
use crate::limits;

const MILLISECONDS_FROM: u64 = 100_000_000_000;
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
const NANOSECONDS_FROM: u64 = 100_000_000_000_000_000;

const _: () = assert!(limits::TIME_SECONDS_MAX as u64 == MILLISECONDS_FROM);

/// Reads a whole number at the start of `text`: its value in seconds, and how many bytes it takes.
///
/// No bytes at all (the line has no timestamp) are `Ok(None)`.
///
/// # Errors
/// [`Fault::TimestampSyntax`] for a sign without digits, [`Fault::TimestampRange`] beyond 64 bits.
#[inline]
pub fn parse(text: &[u8]) -> Result<Option<(i64, usize)>, Fault> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut magnitude = 0u64;
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        magnitude = magnitude
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit)))
            .filter(|&magnitude| i64::try_from(magnitude).is_ok())
            .ok_or(Fault::TimestampRange)?;
        at += 1;
    }
    if at == start {
        return if negative { Err(Fault::TimestampSyntax) } else { Ok(None) };
    }
    let raw = i64::try_from(magnitude).map_err(|_| Fault::TimestampRange)?;
    Ok(Some((seconds(if negative { -raw } else { raw }), at)))
}

/// Whole seconds (floor) of a timestamp in seconds, milliseconds, microseconds or nanoseconds.
///
/// The result is within ± [`limits::TIME_SECONDS_MAX`].
#[must_use]
pub fn seconds(raw: i64) -> i64 {
    let per_second = match raw.unsigned_abs() {
        magnitude if magnitude < MILLISECONDS_FROM => 1,
        magnitude if magnitude < MICROSECONDS_FROM => 1000,
        magnitude if magnitude < NANOSECONDS_FROM => 1_000_000,
        _ => 1_000_000_000,
    };
    raw.div_euclid(per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_by_size() {
        for (text, expected) in [
            ("1700000000", 1_700_000_000),
            ("1700000000123", 1_700_000_000),
            ("1700000000999999", 1_700_000_000),
            ("1700000000999999999", 1_700_000_000),
            ("99999999999", 99_999_999_999),
            ("100000000000", 100_000_000),
            ("99999999999999", 99_999_999_999),
            ("100000000000000", 100_000_000),
            ("0", 0),
            ("-1", -1),
            ("-1700000000123", -1_700_000_001),
            ("9223372036854775807", 9_223_372_036),
        ] {
            assert_eq!(parse(format!("{text}\n").as_bytes()), Ok(Some((expected, text.len()))), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_timestamp() {
        assert_eq!(parse(b"\n"), Ok(None));
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"-\n"), Err(Fault::TimestampSyntax));
        assert_eq!(parse(b"9223372036854775808\n"), Err(Fault::TimestampRange));
        assert_eq!(parse(b"99999999999999999999999\n"), Err(Fault::TimestampRange));
    }
}

//! The timestamp at the end of a line (SPEC section 2): its unit is told by its size, unless the client names it.

use super::error::Fault;
use crate::limits;

const MILLISECONDS_FROM: u64 = 100_000_000_000;
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
const NANOSECONDS_FROM: u64 = 100_000_000_000_000_000;

const _: () = assert!(limits::TIME_SECONDS_MAX as u64 == MILLISECONDS_FROM);

/// What the numbers of a stream count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Each number tells by its size: SPEC section 2.
    #[default]
    BySize,
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl TimeUnit {
    /// The unit that InfluxDB's parameter `precision` names: 1.x knows two more names than 2.x, 3.x writes them out.
    #[must_use]
    pub fn of_precision(name: &str) -> Option<Self> {
        Some(match name {
            "ns" | "n" | "nanosecond" => Self::Nanoseconds,
            "us" | "u" | "microsecond" => Self::Microseconds,
            "ms" | "millisecond" => Self::Milliseconds,
            "s" | "second" => Self::Seconds,
            "auto" => Self::BySize,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    /// Whole seconds (floor) of a timestamp in this unit, within ± [`limits::TIME_SECONDS_MAX`].
    ///
    /// # Errors
    /// [`Fault::TimestampRange`] beyond that.
    pub fn seconds(self, raw: i64) -> Result<i64, Fault> {
        let seconds = match self {
            Self::BySize => return Ok(seconds(raw)),
            Self::Nanoseconds => Some(raw.div_euclid(1_000_000_000)),
            Self::Microseconds => Some(raw.div_euclid(1_000_000)),
            Self::Milliseconds => Some(raw.div_euclid(1000)),
            Self::Seconds => Some(raw),
            Self::Minutes => raw.checked_mul(60),
            Self::Hours => raw.checked_mul(3600),
        };
        let in_range = |&seconds: &i64| seconds.unsigned_abs() <= limits::TIME_SECONDS_MAX.unsigned_abs();
        seconds.filter(in_range).ok_or(Fault::TimestampRange)
    }
}

/// As [`parse_in`], with [`TimeUnit::BySize`].
///
/// # Errors
/// As there.
#[inline]
pub fn parse(text: &[u8]) -> Result<Option<(i64, usize)>, Fault> {
    parse_in(text, TimeUnit::BySize)
}

/// Reads a whole number at the start of `text`: its value in seconds, and how many bytes it takes.
///
/// No bytes at all (the line has no timestamp) are `Ok(None)`.
///
/// # Errors
/// [`Fault::TimestampSyntax`] for a sign without digits, [`Fault::TimestampRange`] beyond 64 bits, or beyond
/// [`limits::TIME_SECONDS_MAX`].
#[inline]
pub fn parse_in(text: &[u8], unit: TimeUnit) -> Result<Option<(i64, usize)>, Fault> {
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
    Ok(Some((unit.seconds(if negative { -raw } else { raw })?, at)))
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
    fn a_named_unit_is_believed() {
        for (precision, text, expected) in [
            ("ns", "1700000000", Ok(1)),
            ("n", "1700000000999999999", Ok(1_700_000_000)),
            ("us", "1700000000999999", Ok(1_700_000_000)),
            ("u", "-1", Ok(-1)),
            ("ms", "1700000000", Ok(1_700_000)),
            ("s", "99999999999", Ok(99_999_999_999)),
            ("s", "100000000001", Err(Fault::TimestampRange)),
            ("s", "1700000000000", Err(Fault::TimestampRange)),
            ("m", "28333333", Ok(1_699_999_980)),
            ("h", "472222", Ok(1_699_999_200)),
            ("m", "9223372036854775807", Err(Fault::TimestampRange)),
            ("h", "-9223372036854775807", Err(Fault::TimestampRange)),
        ] {
            let unit = TimeUnit::of_precision(precision).unwrap();
            let expected = expected.map(|seconds| Some((seconds, text.len())));
            assert_eq!(parse_in(format!("{text}\n").as_bytes(), unit), expected, "{text} {precision}");
        }
        for (long, short) in
            [("nanosecond", "ns"), ("microsecond", "us"), ("millisecond", "ms"), ("second", "s")]
        {
            assert_eq!(TimeUnit::of_precision(long), TimeUnit::of_precision(short));
        }
        assert_eq!(TimeUnit::of_precision("auto"), Some(TimeUnit::BySize));
        assert_eq!(TimeUnit::of_precision("days"), None);
        assert_eq!(TimeUnit::of_precision(""), None);
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

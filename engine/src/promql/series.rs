//! Series of an answer, and what a value that is missing looks like in them.

use super::labels::Labels;

/// In place of a value that is missing. A NaN that was computed has other bits: it is a value.
pub const MISSING: f64 = f64::from_bits(0x7ff8_0000_6d69_7373);

/// Whether there is no value.
#[must_use]
pub fn is_missing(value: f64) -> bool {
    value.to_bits() == MISSING.to_bits()
}

/// Whether there is a value, be it NaN.
#[must_use]
pub fn is_present(value: f64) -> bool {
    !is_missing(value)
}

/// A series of an answer; a value that is not there is [`MISSING`].
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is called.
    pub labels: Labels,
    /// Time of its first value, in milliseconds since 1970.
    pub first_ms: i64,
    /// Between two values.
    pub period_ms: i64,
    /// Its values.
    pub values: Vec<f64>,
}

impl Series {
    /// Whether it has any value.
    #[must_use]
    pub fn has_values(&self) -> bool {
        self.values.iter().any(|&value| is_present(value))
    }
}

//! What every line says: a pure function of seed, host, line and round, so that nothing sent has to be kept.
//!
//! [`crate::body`] writes these values into lines; [`crate::verify`] computes them again to compare.

/// The shape of a line's value. Its width never changes, so it can be overwritten in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Decimal digits before the point, 1 to 8.
    pub integer_digits: u8,
    /// Two-decimal gauge, or integer without a point.
    pub gauge: bool,
}

/// Most bytes a value can take: eight digits, a point, two decimals.
pub const VALUE_BYTES_MAX: usize = 11;

impl Shape {
    /// The shape of line `line` of every host: mostly gauges below 1000, some integer counters, as
    /// collectors send them; 5.5 bytes on average.
    #[must_use]
    pub fn of_line(line: u32) -> Self {
        let draw = mix(u64::from(line) ^ 0x5a17) % 16;
        let (integer_digits, gauge) = match draw {
            0..=4 => (1, true),
            5..=8 => (2, true),
            9..=11 => (3, true),
            12 | 13 => (4, false),
            14 => (7, false),
            _ => (8, false),
        };
        Self { integer_digits, gauge }
    }

    /// Bytes of the value's text.
    #[must_use]
    pub fn width_bytes(self) -> usize {
        usize::from(self.integer_digits) + if self.gauge { 3 } else { 0 }
    }

    /// Smallest value and one past the largest, in units of the last digit. No leading zeros.
    fn bounds(self) -> (u32, u32) {
        let digits = u32::from(self.integer_digits) + if self.gauge { 2 } else { 0 };
        let low = if self.integer_digits == 1 { 0 } else { 10u32.pow(digits - 1) };
        (low, 10u32.pow(digits))
    }

    /// The number that `units` of the last digit stand for, as a reader of the text gets it.
    #[must_use]
    pub fn number(self, units: u32) -> f64 {
        if self.gauge { f64::from(units) / 100.0 } else { f64::from(units) }
    }

    /// Writes `units` as text over `text`, which has exactly [`Self::width_bytes`] bytes.
    pub fn write(self, mut units: u32, text: &mut [u8]) {
        let point = if self.gauge { usize::from(self.integer_digits) } else { usize::MAX };
        for (index, byte) in text.iter_mut().enumerate().rev() {
            if index == point {
                *byte = b'.';
            } else {
                *byte = b'0' + (units % 10) as u8;
                units /= 10;
            }
        }
    }
}

/// All values of one host in one round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    base: u64,
}

impl Round {
    /// The values of `host` in `round` under `seed`.
    #[must_use]
    pub fn new(seed: u64, host: u32, round: u64) -> Self {
        Self { base: mix(mix(mix(seed) ^ u64::from(host)) ^ round) }
    }

    /// The value of `line`, in units of its last digit.
    #[must_use]
    pub fn units(self, line: u32, shape: Shape) -> u32 {
        let (low, high) = shape.bounds();
        let random = mix(self.base.wrapping_add(u64::from(line))) >> 32;
        low + ((random * u64::from(high - low)) >> 32) as u32
    }
}

/// A 64-bit mixer (the SplitMix64 step): every bit of the input changes about half of the output.
#[must_use]
pub fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back_as_the_number_and_keeps_its_width() {
        for line in 0..64 {
            let shape = Shape::of_line(line);
            let (low, high) = shape.bounds();
            for units in [low, low + 7, high / 2, high - 1] {
                let mut text = vec![0u8; shape.width_bytes()];
                shape.write(units, &mut text);
                let text = String::from_utf8(text).unwrap();
                assert!(text.len() <= VALUE_BYTES_MAX);
                assert_eq!(text.parse::<f64>().unwrap(), shape.number(units), "{text}");
                assert_eq!(text.contains('.'), shape.gauge);
                assert!(!text.starts_with('0') || text.len() == 1 || text.starts_with("0."), "{text}");
            }
        }
    }

    #[test]
    fn values_repeat_for_a_seed_and_change_with_everything_else() {
        let shape = Shape { integer_digits: 8, gauge: false };
        let value = |seed, host, round, line| Round::new(seed, host, round).units(line, shape);
        assert_eq!(value(1, 2, 3, 4), value(1, 2, 3, 4));
        for other in [value(2, 2, 3, 4), value(1, 3, 3, 4), value(1, 2, 4, 4), value(1, 2, 3, 5)] {
            assert_ne!(value(1, 2, 3, 4), other);
        }
    }
}

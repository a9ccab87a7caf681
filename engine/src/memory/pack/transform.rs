//! Values as integers, and back to the very same bits.

/// Most decimals of values that are taken as integers.
pub const DECIMALS_MAX: u8 = 12;

/// 10^0 to 10^[`DECIMALS_MAX`]; each is exact.
const SCALES: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// 1.5 · 2^52: a number of at most ±2^51 added to it is rounded to an integer, which is then the low bits of the sum.
const ROUNDING: f64 = 6_755_399_441_055_744.0;
const ROUNDING_BITS: u64 = ROUNDING.to_bits();
const INTEGER_MAX: u64 = 1 << 51;
/// From -[`INTEGER_MAX`] to below [`INTEGER_MAX`].
const INTEGER_RANGE_BITS: u32 = 52;

const _: () = assert!(1 << INTEGER_RANGE_BITS == 2 * INTEGER_MAX);
const _: () = assert!((DECIMALS_MAX as usize) < SCALES.len());

/// How a value other than NaN becomes an integer. Integers may be negative, in two's complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// A number with so many decimals: `round(value · 10^decimals)`, below 2^51.
    ///
    /// The value is the integer divided by the power of ten, and division rounds correctly: so every number
    /// that was once parsed from so many decimals comes back with all its bits.
    Decimal(u8),
    /// The bits of the `f64` without so many zeros at the end.
    Bits(u8),
}

impl Transform {
    /// The integer of a value; `None` if the value could not be told from it.
    #[inline]
    #[must_use]
    pub fn integer(self, value: f64) -> Option<u64> {
        match self {
            Self::Decimal(decimals) => {
                let scale = SCALES[usize::from(decimals & 15)];
                let rounded = value * scale + ROUNDING;
                let integer = rounded.to_bits().wrapping_sub(ROUNDING_BITS);
                let again = (rounded - ROUNDING) / scale;
                let is_in_range = integer.wrapping_add(INTEGER_MAX) < 2 * INTEGER_MAX;
                (is_in_range && again.to_bits() == value.to_bits()).then_some(integer)
            }
            Self::Bits(shift) => {
                let bits = value.to_bits();
                let integer = bits >> (shift & 63);
                (integer << (shift & 63) == bits).then_some(integer)
            }
        }
    }

    /// The integers of several values; `None` if a value could not be told from its integer, or is NaN.
    ///
    /// One answer for all of them: that is what a compiler makes vector instructions of.
    #[inline]
    #[must_use]
    pub fn integers<const N: usize>(self, values: &[f64; N]) -> Option<[u64; N]> {
        let mut integers = [0; N];
        let mut wrong = 0;
        match self {
            Self::Decimal(decimals) => {
                let scale = SCALES[usize::from(decimals & 15)];
                for (integer, &value) in integers.iter_mut().zip(values) {
                    let rounded = value * scale + ROUNDING;
                    *integer = rounded.to_bits().wrapping_sub(ROUNDING_BITS);
                    let again = (rounded - ROUNDING) / scale;
                    wrong |= (again.to_bits() ^ value.to_bits())
                        | integer.wrapping_add(INTEGER_MAX) >> INTEGER_RANGE_BITS;
                }
            }
            Self::Bits(shift) => {
                let low = (1 << (shift & 63)) - 1;
                for (integer, &value) in integers.iter_mut().zip(values) {
                    *integer = value.to_bits() >> (shift & 63);
                    wrong |= value.to_bits() & low | if value.is_nan() { u64::MAX } else { 0 };
                }
            }
        }
        (wrong == 0).then_some(integers)
    }

    /// The values of integers, in place of them. `codes[i] + base` is the integer; `missing` is the code of a
    /// missing value.
    #[inline]
    pub fn values(self, codes: &[u64], base: u64, missing: Option<u64>, values: &mut [f64]) {
        let pairs = values.iter_mut().zip(codes);
        match self {
            Self::Decimal(decimals) => {
                let scale = SCALES[usize::from(decimals & 15)];
                let base = base.wrapping_add(ROUNDING_BITS);
                for (value, code) in pairs {
                    *value = (f64::from_bits(code.wrapping_add(base)) - ROUNDING) / scale;
                }
            }
            Self::Bits(shift) => {
                for (value, code) in pairs {
                    *value = f64::from_bits(code.wrapping_add(base) << (shift & 63));
                }
            }
        }
        if let Some(missing) = missing {
            for (value, &code) in values.iter_mut().zip(codes) {
                *value = if code == missing { f64::NAN } else { *value };
            }
        }
    }

    /// As one byte.
    #[inline]
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::Decimal(decimals) => decimals,
            Self::Bits(shift) => 64 | shift,
        }
    }

    /// What [`Self::tag`] made.
    #[inline]
    pub(super) fn from_tag(tag: u8) -> Self {
        if tag & 64 == 0 { Self::Decimal(tag & 15) } else { Self::Bits(tag & 63) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(transform: Transform, integer: u64) -> f64 {
        let mut value = [0.0];
        transform.values(&[integer.wrapping_sub(7)], 7, None, &mut value);
        value[0]
    }

    #[test]
    fn every_parsed_decimal_is_an_integer() {
        for decimals in 0..=DECIMALS_MAX {
            for integer in [0, 1, 7, 33, 99_999, 123_456_789, (1i64 << 50) - 1, -1, -(1 << 50)] {
                let digits = integer.unsigned_abs();
                let sign = if integer < 0 { "-" } else { "" };
                let scale = 10u64.pow(decimals.into());
                let (whole, part) = (digits / scale, digits % scale);
                let text = format!("{sign}{whole}.{part:0width$}", width = usize::from(decimals));
                let value: f64 = text.parse().unwrap();
                let transform = Transform::Decimal(decimals);
                assert_eq!(transform.integer(value), Some(integer as u64), "{text}");
                assert_eq!(transform.integers(&[0.0, value]), Some([0, integer as u64]), "{text}");
                assert_eq!(back(transform, integer as u64).to_bits(), value.to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_such_decimal_is_refused() {
        let all = [
            -0.0,
            0.001,
            1.0 / 3.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            9e15,
            -9e15,
            4_503_599_627_370_496.0,
            1e300,
            f64::NAN,
        ];
        for value in all {
            assert_eq!(Transform::Decimal(2).integer(value), None, "{value}");
            assert_eq!(Transform::Decimal(2).integers(&[0.25, value]), None, "{value}");
        }
        assert_eq!(Transform::Bits(29).integer(0.1), None);
        assert_eq!(Transform::Bits(29).integers(&[0.5, 0.1]), None);
        assert_eq!(Transform::Bits(0).integers(&[0.5, f64::NAN]), None);
        assert_eq!(Transform::Bits(0).integers(&[0.5, -0.0]), Some([0.5f64.to_bits(), 1 << 63]));
        assert_eq!(Transform::Bits(29).integer(f64::from(0.1f32)).map(|bits| bits >> 35), Some(0));
    }

    #[test]
    fn tags_are_unique() {
        let all = (0..=DECIMALS_MAX).map(Transform::Decimal).chain((0..64).map(Transform::Bits));
        for transform in all {
            assert_eq!(Transform::from_tag(transform.tag()), transform);
        }
    }
}

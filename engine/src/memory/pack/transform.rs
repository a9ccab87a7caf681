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

/// Integers of so many bits, beside the sign, are multiplied instead of divided, see [`RECIPROCALS`].
pub(super) const NARROW_BITS: u32 = 33;
/// Bits of the first part of a reciprocal: its product with an integer of [`NARROW_BITS`] is exact.
const RECIPROCAL_HIGH_BITS: u32 = 20;

/// 10^-d for a few d as the sum of two numbers, of which the first has few bits. A narrow integer times these is the correctly
/// rounded quotient, as a division would have it, in less of its time.
///
/// Why: the first product is exact; the second is off by at most 2^-71 of the quotient q (2^-19 for its size, 2^-53 for its rounding and as
/// much for the rounding of the second number). So only a sum nearer than that to the middle m · 2^e between two
/// doubles (m odd, of 54 bits) could be rounded to another side than q. But q is n / 10^d, and n · 2^-(e+d) - m · 5^d is odd, so not
/// zero: q is at least 2^e / 5^d away from the middle, which is more than 2^-68 of q for d up to 6.
const RECIPROCALS: [[f64; 2]; 7] = {
    let mut reciprocals = [[0.0; 2]; 7];
    let mut decimals = 0;
    while decimals < reciprocals.len() {
        let scale = SCALES[decimals];
        let cut = (1u64 << (f64::MANTISSA_DIGITS - RECIPROCAL_HIGH_BITS)) - 1;
        let high = f64::from_bits((1.0 / scale).to_bits() & !cut);
        // The product has 40 bits, and one less it is exact as well.
        reciprocals[decimals] = [high, (1.0 - high * scale) / scale];
        decimals += 1;
    }
    reciprocals
};

const _: () = assert!(NARROW_BITS + RECIPROCAL_HIGH_BITS == f64::MANTISSA_DIGITS);

/// What to do with each value that is unpacked, and the place that is its.
pub trait Put: Fn(&mut f64, f64) + Copy {}
impl<P: Fn(&mut f64, f64) + Copy> Put for P {}

/// Loops of their own for data without missing values: a compiler makes vector instructions of both.
#[inline(always)]
fn put_all<'a>(
    pairs: impl Iterator<Item = (&'a mut f64, &'a u64)>,
    missing: Option<u64>,
    put: impl Put,
    value: impl Fn(u64) -> f64,
) {
    match missing {
        None => pairs.for_each(|(place, &code)| put(place, value(code))),
        Some(missing) => {
            pairs.for_each(|(place, &code)| put(place, if code == missing { f64::NAN } else { value(code) }));
        }
    }
}

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

    /// The two parts of a reciprocal, for integers of at most [`NARROW_BITS`] bits beside the sign: see [`RECIPROCALS`].
    pub(super) fn reciprocal(self) -> Option<[f64; 2]> {
        match self {
            Self::Decimal(decimals) => RECIPROCALS.get(usize::from(decimals)).copied(),
            Self::Bits(_) => None,
        }
    }

    /// The values of codes, each handed to `put` with the place that is its: `codes[i] + base` is the integer; `missing` is
    /// the code of a missing value. `is_narrow`: all integers have at most [`NARROW_BITS`] bits, beside the sign.
    #[inline]
    pub(super) fn values(
        self,
        (codes, base, missing): (&[u64], u64, Option<u64>),
        is_narrow: bool,
        values: &mut [f64],
        put: impl Put,
    ) {
        let pairs = values.iter_mut().zip(codes);
        match self {
            Self::Decimal(decimals) => {
                let base = base.wrapping_add(ROUNDING_BITS);
                let integer = move |code: u64| f64::from_bits(code.wrapping_add(base)) - ROUNDING;
                match RECIPROCALS.get(usize::from(decimals)).filter(|_| is_narrow) {
                    _ if decimals == 0 => put_all(pairs, missing, put, integer),
                    Some(&[high, low]) => put_all(pairs, missing, put, move |code| {
                        let integer = integer(code);
                        integer * high + integer * low
                    }),
                    None => {
                        let scale = SCALES[usize::from(decimals & 15)];
                        put_all(pairs, missing, put, move |code| integer(code) / scale);
                    }
                }
            }
            Self::Bits(shift) => {
                put_all(pairs, missing, put, move |code| {
                    f64::from_bits(code.wrapping_add(base) << (shift & 63))
                });
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
        let codes = &[integer.wrapping_sub(7)];
        transform.values((codes, 7, None), false, &mut value, |place, value| *place = value);
        if (integer as i64).unsigned_abs() < 1 << NARROW_BITS {
            let mut narrow = [0.0];
            transform.values((codes, 7, None), true, &mut narrow, |place, value| *place = value);
            assert_eq!(narrow[0].to_bits(), value[0].to_bits(), "{integer} {transform:?}");
        }
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

    /// The hard ones are next to the middle between two doubles: around multiples of odd numbers, and the largest.
    #[test]
    fn a_product_of_two_parts_is_the_quotient() {
        let mut random = 1u64;
        for decimals in 0..RECIPROCALS.len() as u8 {
            let near = |integer: u64| (0..64).map(move |off| integer.saturating_sub(off));
            let powers = (0..=NARROW_BITS).flat_map(|bits| near(1 << bits));
            let random = (0..200_000).map(|_| {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                random >> 31 >> (random % 24)
            });
            for integer in powers.chain(random).filter(|&integer| integer >> NARROW_BITS == 0) {
                for integer in [integer, integer.wrapping_neg()] {
                    let quotient = integer as i64 as f64 / SCALES[usize::from(decimals)];
                    assert_eq!(
                        back(Transform::Decimal(decimals), integer).to_bits(),
                        quotient.to_bits(),
                        "{integer}"
                    );
                }
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

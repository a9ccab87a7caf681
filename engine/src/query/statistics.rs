//! Average, minimum and maximum of the values of one result (SPEC section 4).
//!
//! Before: the data read, combined and resampled. After: [`super::number::push_statistic`]. The order of the
//! additions is part of the contract: the answers must equal the reference's to the last printed digit.

use super::number::prints_alike;

/// The three statistics of a result; NaN is printed as `null`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Sum over count.
    pub avg: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Statistics {
    /// What a request without statistics answers, and every result that is an error.
    pub const ZERO: Self = Self { avg: 0.0, min: 0.0, max: 0.0 };
    /// What data without a single value answers.
    pub const MISSING: Self = Self { avg: f64::NAN, min: f64::NAN, max: f64::NAN };

    /// Over the values of `data` that are not NaN, summed from left to right; [`Self::MISSING`] when there is none.
    #[must_use]
    pub fn of(data: &[f64]) -> Self {
        let mut summary = Summary::EMPTY;
        for &value in data {
            summary.feed(value);
        }
        summary.statistics()
    }

    /// As [`Self::of`], up to what is printed of an average times `factor` (a `scale-by`, 0 is none): several times faster.
    ///
    /// Sums are made in lanes, so they may differ from that from left to right in their last bits. Where that could show, or
    /// the sign of a zero could, it is [`Self::of`].
    #[must_use]
    pub fn to_print(data: &[f64], factor: f64) -> Self {
        let factor = if factor == 0.0 { 1.0 } else { factor };
        Lanes::of(data).statistics(data.len(), factor).unwrap_or_else(|| Self::of(data))
    }

    /// Multiplies all three by the `scale-by` of a query; 0 stands for "not given" and changes nothing.
    ///
    /// [`Self::ZERO`] is to be scaled like any other, so that a negative factor gives `-0.00` as in the reference.
    /// Minimum and maximum do not change places then, either.
    pub fn scale(&mut self, factor: f64) {
        if factor == 0.0 || factor == 1.0 {
            return;
        }
        self.avg *= factor;
        self.min *= factor;
        self.max *= factor;
    }
}

/// Statistics in the making, fed value by value in time order.
#[derive(Clone, Copy, Debug)]
struct Summary {
    /// How many values were not NaN.
    n: u64,
    /// Their sum, in the order fed.
    sum: f64,
    /// The [`rank`] of the smallest so far, at first of the largest finite number.
    min: i64,
    /// The [`rank`] of the largest so far, at first of the smallest finite number.
    max: i64,
}

impl Summary {
    /// Nothing fed yet.
    ///
    /// The limits are finite, as in the reference: values that are all +∞ have the minimum `f64::MAX`.
    const EMPTY: Self = Self { n: 0, sum: 0.0, min: rank(f64::MAX), max: rank(f64::MIN) };

    /// Takes one value in; NaN is skipped.
    #[inline]
    fn feed(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.n += 1;
        self.sum += value;
        self.min = self.min.min(rank(value));
        self.max = self.max.max(rank(value));
    }

    /// The statistics of everything fed; [`Statistics::MISSING`] when that is nothing.
    fn statistics(&self) -> Statistics {
        if self.n == 0 {
            return Statistics::MISSING;
        }
        Statistics { avg: self.sum / self.n as f64, min: value(self.min), max: value(self.max) }
    }
}

/// Two vector registers of two doubles, which every x86-64 has, for each field.
const LANES: usize = 4;

/// Statistics in the making, several values at a time.
#[derive(Clone, Copy, Debug)]
struct Lanes {
    sums: [f64; LANES],
    min: [f64; LANES],
    max: [f64; LANES],
    /// How many values were NaN.
    missing: [u64; LANES],
    /// All bits that any value has.
    bits: [u64; LANES],
}

impl Lanes {
    fn of(data: &[f64]) -> Self {
        let mut lanes = Self {
            sums: [0.0; LANES],
            min: [f64::MAX; LANES],
            max: [f64::MIN; LANES],
            missing: [0; LANES],
            bits: [0; LANES],
        };
        let (whole, rest) = data.as_chunks::<LANES>();
        for values in whole {
            lanes.feed(values);
        }
        let mut last = [f64::NAN; LANES];
        last[..rest.len()].copy_from_slice(rest);
        lanes.feed(&last);
        lanes
    }

    /// Comparisons with NaN are false, and nothing is added for it.
    #[inline]
    fn feed(&mut self, values: &[f64; LANES]) {
        for (lane, &value) in values.iter().enumerate() {
            self.sums[lane] += if value.is_nan() { 0.0 } else { value };
            self.min[lane] = if value < self.min[lane] { value } else { self.min[lane] };
            self.max[lane] = if value > self.max[lane] { value } else { self.max[lane] };
            self.missing[lane] += u64::from(value.is_nan());
            self.bits[lane] |= value.to_bits();
        }
    }

    /// What was fed, which was of this length; `None` if that could be printed differently.
    fn statistics(&self, len: usize, factor: f64) -> Option<Statistics> {
        let padding = LANES - len % LANES;
        let n = len + padding - self.missing.iter().sum::<u64>() as usize;
        if n == 0 {
            return Some(Statistics::MISSING);
        }
        let min = self.min.iter().copied().fold(f64::MAX, f64::min);
        let max = self.max.iter().copied().fold(f64::MIN, f64::max);
        // Of two zeros a comparison does not tell which is the smaller.
        let has_sign = self.bits.iter().any(|bits| bits >> 63 == 1);
        if has_sign && (min == 0.0 || max == 0.0) {
            return None;
        }
        let avg = self.sums.iter().sum::<f64>() / n as f64;
        // Either order of n additions is off by at most n halves of an epsilon of n times the largest; rounding the quotient,
        // the product and the two bounds here by less than one of them each. Twice as much, to be safe.
        let largest = max.abs().max(min.abs());
        let error = 4.0 * (n as f64 + 4.0) * (f64::EPSILON / 2.0) * largest * factor.abs();
        let scaled = avg * factor;
        prints_alike(scaled - error, scaled + error).then_some(Statistics { avg, min, max })
    }
}

/// A number in the place of a double, in the same order; of two zeros the negative one is the smaller.
#[inline]
const fn rank(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (bits >> 63) & i64::MAX
}

/// The double of a [`rank`].
const fn value(rank: i64) -> f64 {
    f64::from_bits((rank ^ (rank >> 63) & i64::MAX) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::number::push_statistic;

    fn bits(statistics: Statistics) -> [u64; 3] {
        [statistics.avg, statistics.min, statistics.max].map(f64::to_bits)
    }

    #[test]
    fn skips_what_is_missing() {
        let statistics = Statistics::of(&[f64::NAN, 1.0, 2.0, f64::NAN, 4.0]);
        assert_eq!(statistics, Statistics { avg: 7.0 / 3.0, min: 1.0, max: 4.0 });
    }

    #[test]
    fn nothing_but_gaps_is_missing() {
        for data in [&[][..], &[f64::NAN], &[f64::NAN, f64::NAN]] {
            let Statistics { avg, min, max } = Statistics::of(data);
            assert!(avg.is_nan() && min.is_nan() && max.is_nan());
        }
    }

    #[test]
    fn adds_from_left_to_right() {
        assert_eq!(Statistics::of(&[1e100, 1.0, -1e100]).avg, 0.0);
        assert_eq!(Statistics::of(&[1e100, -1e100, 1.0]).avg, 1.0 / 3.0);
    }

    #[test]
    fn negative_zero_is_below_zero_in_either_order() {
        for data in [[0.0, -0.0], [-0.0, 0.0]] {
            let statistics = Statistics::of(&data);
            assert!(statistics.min.is_sign_negative() && statistics.max.is_sign_positive());
        }
        assert!(Statistics::of(&[-0.0, -0.0]).max.is_sign_negative());
    }

    #[test]
    fn infinities() {
        assert_eq!(Statistics::of(&[f64::INFINITY]).min, f64::MAX);
        assert_eq!(Statistics::of(&[f64::NEG_INFINITY]).max, f64::MIN);
        assert_eq!(Statistics::of(&[1.0, f64::NEG_INFINITY]).min, f64::NEG_INFINITY);
    }

    #[test]
    fn scales_in_place() {
        let mut statistics = Statistics { avg: 7.0 / 3.0, min: 1.0, max: 4.0 };
        statistics.scale(0.0);
        assert_eq!(statistics, Statistics { avg: 7.0 / 3.0, min: 1.0, max: 4.0 });
        statistics.scale(-1000.0);
        assert_eq!(statistics, Statistics { avg: 7.0 / 3.0 * -1000.0, min: -1000.0, max: -4000.0 });
        let mut zero = Statistics::ZERO;
        zero.scale(-2.0);
        assert!(zero.avg.is_sign_negative());
    }

    /// All three as an answer has them.
    fn printed(mut statistics: Statistics, factor: f64) -> String {
        statistics.scale(factor);
        let mut text = Vec::new();
        for value in [statistics.avg, statistics.min, statistics.max] {
            push_statistic(&mut text, value);
            text.push(b' ');
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn lanes_print_what_is_printed_of_a_sum_from_left_to_right() {
        let third = vec![0.125, 0.125, 0.125];
        let zeros = [[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0], [0.0, 0.0], [-0.0, 5.0], [-5.0, -0.0]].concat();
        let hundredths: Vec<f64> = (0..1440).map(|n| f64::from(n * 919 % 1000) / 100.0).collect();
        // An average on the border between two printed ones, from either side.
        let borders: Vec<f64> =
            (0..1000).flat_map(|n| [0.005 + f64::from(n), 0.005 - f64::from(n)]).collect();
        let large: Vec<f64> = (0..100).map(|n| 1e14 / f64::from(n + 1)).collect();
        let gaps = vec![f64::NAN; 9];
        let infinite = vec![1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY];
        for data in [third, zeros, hundredths, borders, large, gaps, infinite, vec![]] {
            for len in 0..=data.len() {
                for factor in [0.0, 1.0, 0.5, -2.0, 1e-3, 1e9] {
                    let data = &data[data.len() - len..];
                    let expected = printed(Statistics::of(data), factor);
                    assert_eq!(
                        printed(Statistics::to_print(data, factor), factor),
                        expected,
                        "{len} {factor}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn lanes_print_the_same_of_any_data(
            data in proptest::collection::vec(
                prop_oneof![
                    4 => (-1000i32..100_000).prop_map(|n| f64::from(n) / 100.0),
                    2 => -1e6f64..1e6,
                    1 => Just(f64::NAN),
                    1 => (-4i32..4).prop_map(|n| f64::from(n) * 0.0025),
                ],
                0..300,
            ),
            wild in proptest::collection::vec(any::<f64>(), 0..20),
            factor in prop_oneof![Just(0.0), Just(1.0), -10.0f64..10.0],
        ) {
            for data in [data.clone(), wild.clone(), [data, wild].concat()] {
                let expected = printed(Statistics::of(&data), factor);
                prop_assert_eq!(printed(Statistics::to_print(&data, factor), factor), expected);
            }
        }

        #[test]
        fn order_matters_only_to_the_sum(data in proptest::collection::vec(-1e6f64..1e6, 1..50)) {
            let forth = Statistics::of(&data);
            let sorted = { let mut data = data.clone(); data.sort_by(f64::total_cmp); data };
            prop_assert_eq!(forth.min, sorted[0]);
            prop_assert_eq!(forth.max, sorted[sorted.len() - 1]);
            let with_gaps: Vec<f64> = data.iter().flat_map(|&value| [f64::NAN, value]).collect();
            prop_assert_eq!(bits(Statistics::of(&with_gaps)), bits(forth));
        }
    }
}

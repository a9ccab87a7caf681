//! Average, minimum and maximum of the values of one result (SPEC section 4).
//!
//! Before: the data read, combined and resampled. After: [`super::number::push_statistic`]. The order of the
//! additions is part of the contract: the answers must equal the reference's to the last printed digit.

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

    proptest! {
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

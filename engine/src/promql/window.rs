//! What a selector or a function makes of a series' samples at one time.

/// What a leaf computes at every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The last value, if it is no older than the look-back.
    Latest,
    /// Increase per second, of a counter that may start again at zero.
    Rate,
    /// Increase of such a counter.
    Increase,
    /// Mean.
    Avg,
    /// Least.
    Min,
    /// Largest.
    Max,
    /// Sum.
    Sum,
    /// How many.
    Count,
}

impl Function {
    /// The function of this name over a range.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "last_over_time" => Self::Latest,
            _ => return None,
        })
    }
}

/// Samples at even distances. A missing one is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// Time of the first, in milliseconds since 1970.
    pub first_ms: i64,
    /// Distance, in milliseconds; more than 0.
    pub period_ms: i64,
    /// Their values.
    pub values: &'a [f64],
}

impl Samples<'_> {
    /// The indices of the samples in `(time − range, time]`.
    #[must_use]
    pub fn window(&self, time_ms: i64, range_ms: i64) -> std::ops::Range<usize> {
        let before = |time: i64| {
            let index = (time - self.first_ms).div_euclid(self.period_ms).saturating_add(1);
            usize::try_from(index).unwrap_or(0).min(self.values.len())
        };
        before(time_ms - range_ms)..before(time_ms)
    }

    fn time_ms(&self, index: usize) -> i64 {
        self.first_ms + index as i64 * self.period_ms
    }

    /// The value of a function at a time; NaN if there is none.
    #[must_use]
    pub fn at(&self, function: Function, time_ms: i64, range_ms: i64) -> f64 {
        let window = self.window(time_ms, range_ms);
        let values = &self.values[window.clone()];
        let present = values.iter().copied().filter(|value| !value.is_nan());
        match function {
            Function::Latest => {
                values.iter().rev().copied().find(|value| !value.is_nan()).unwrap_or(f64::NAN)
            }
            Function::Min => present.fold(f64::NAN, f64::min),
            Function::Max => present.fold(f64::NAN, f64::max),
            Function::Sum | Function::Avg | Function::Count => {
                let (sum, count) = present.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
                match (function, count) {
                    (_, 0) => f64::NAN,
                    (Function::Avg, _) => sum / f64::from(count),
                    (Function::Count, _) => f64::from(count),
                    _ => sum,
                }
            }
            Function::Rate | Function::Increase => {
                let increase = self.increase(window, time_ms, range_ms);
                if function == Function::Rate { increase / (range_ms as f64 / 1000.0) } else { increase }
            }
        }
    }

    /// What a counter gained, extended to the ends of the range if its samples come close to them, as Prometheus does it.
    fn increase(&self, window: std::ops::Range<usize>, time_ms: i64, range_ms: i64) -> f64 {
        let mut first: Option<(usize, f64)> = None;
        let (mut last, mut gained, mut count) = ((0, 0.0), 0.0, 0);
        for index in window {
            let value = self.values[index];
            if value.is_nan() {
                continue;
            }
            if first.is_none() {
                first = Some((index, value));
            } else {
                // Less than before: it began again at zero.
                gained += if value < last.1 { value } else { value - last.1 };
            }
            last = (index, value);
            count += 1;
        }
        let Some((first_index, first_value)) = first.filter(|_| count > 1) else { return f64::NAN };
        let sampled_ms = (self.time_ms(last.0) - self.time_ms(first_index)) as f64;
        let mean_ms = sampled_ms / f64::from(count - 1);
        let near_ms = mean_ms * 1.1;
        let extension = |gap_ms: f64| if gap_ms >= near_ms { mean_ms / 2.0 } else { gap_ms };
        let mut before_ms = extension((self.time_ms(first_index) - (time_ms - range_ms)) as f64);
        let after_ms = extension((time_ms - self.time_ms(last.0)) as f64);
        if gained > 0.0 && first_value >= 0.0 {
            // A counter was never below zero.
            before_ms = before_ms.min(sampled_ms * (first_value / gained));
        }
        gained * (sampled_ms + before_ms + after_ms) / sampled_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;

    fn at(values: &[f64], function: Function, time: i64, range: i64) -> f64 {
        Samples { first_ms: 60_000, period_ms: 60_000, values }.at(function, time * 1000, range * 1000)
    }

    #[test]
    fn the_window_is_open_at_its_beginning() {
        let values = [1.0, 2.0, NAN, 4.0];
        for (function, time, range, expected) in [
            (Function::Latest, 60, 300, 1.0),
            (Function::Latest, 59, 300, NAN),
            (Function::Latest, 239, 300, 2.0),
            (Function::Latest, 240, 60, 4.0),
            (Function::Latest, 539, 300, 4.0),
            (Function::Latest, 540, 300, NAN),
            (Function::Sum, 240, 180, 6.0),
            (Function::Sum, 240, 181, 7.0),
            (Function::Avg, 240, 241, 7.0 / 3.0),
            (Function::Count, 240, 1000, 3.0),
            (Function::Count, 180, 60, NAN),
            (Function::Min, 180, 1000, 1.0),
            (Function::Max, 1000, 1000, 4.0),
        ] {
            let found = at(&values, function, time, range);
            assert!(
                found == expected || (found.is_nan() && expected.is_nan()),
                "{function:?} {time} {range}: {found}"
            );
        }
    }

    #[test]
    fn counters_may_begin_again() {
        for (values, function, time, range, expected) in [
            // The distance before the first sample is added.
            (&[0.0, 60.0, 120.0, 180.0, 240.0][..], Function::Rate, 300, 240, 1.0),
            (&[60.0, 120.0, 180.0], Function::Increase, 180, 180, 180.0),
            // 100 + 5 + 10 gained in three distances; the fourth, before the first sample, is cut off where the counter was zero.
            (&[0.0, 100.0, 5.0, 15.0], Function::Increase, 240, 240, 115.0),
            // Twice a distance on both sides: half a distance is added on each.
            (&[600.0, 660.0], Function::Increase, 240, 360, 120.0),
            // A gap is a longer distance, so the ends are near.
            (&[NAN, 600.0, NAN, 720.0, NAN], Function::Rate, 300, 240, 1.0),
            (&[5.0, 5.0], Function::Rate, 120, 300, 0.0),
            (&[5.0], Function::Rate, 60, 300, NAN),
            (&[5.0, NAN], Function::Rate, 120, 300, NAN),
        ] {
            let found = at(values, function, time, range);
            assert!(
                (found - expected).abs() < 1e-12 || (found.is_nan() && expected.is_nan()),
                "{values:?}: {found}, not {expected}"
            );
        }
    }
}

//! Samples at even distances, as buffers and subqueries have them, and those of them that a range holds.

use super::series::is_present;

/// Samples at even distances; one that is missing is [`MISSING`].
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
    /// The indices of the samples in `[time − range, time]`.
    #[must_use]
    pub fn window(&self, time_ms: i64, range_ms: i64) -> std::ops::Range<usize> {
        let behind = |time: i64| {
            let index = (time - self.first_ms).div_euclid(self.period_ms).saturating_add(1);
            usize::try_from(index).unwrap_or(0).min(self.values.len())
        };
        behind(time_ms - range_ms - 1)..behind(time_ms)
    }

    /// Time and value of the last sample in `[time − range, time]`.
    #[must_use]
    pub fn latest(&self, time_ms: i64, range_ms: i64) -> Option<(i64, f64)> {
        let index = self.window(time_ms, range_ms).rev().find(|&index| is_present(self.values[index]))?;
        Some((self.time_ms(index), self.values[index]))
    }

    fn time_ms(&self, index: usize) -> i64 {
        self.first_ms + index as i64 * self.period_ms
    }

    /// Puts time and value of the samples in `[time − range, time]` that are there in place of what the list holds.
    pub fn collect(&self, time_ms: i64, range_ms: i64, into: &mut Vec<(i64, f64)>) {
        let found = self.window(time_ms, range_ms).map(|index| (self.time_ms(index), self.values[index]));
        into.clear();
        into.extend(found.filter(|&(_, value)| is_present(value)));
    }
}

/// The samples of a range that are there.
#[derive(Clone, Copy, Debug)]
pub struct Ranged<'a> {
    /// Time and value of each.
    pub samples: &'a [(i64, f64)],
    /// The end of the range, in milliseconds since 1970.
    pub end_ms: i64,
    /// Its length.
    pub range_ms: i64,
}

impl Ranged<'_> {
    /// Their values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = f64> + Clone {
        self.samples.iter().map(|&(_, value)| value)
    }
}

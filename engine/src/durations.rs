//! A histogram of durations in fixed buckets, for metrics: of syncs ([`statistics`](crate::durable::statistics)) and, in the
//! daemon, of requests.
//!
//! Counting is an increment of plain cells; nothing is allocated. One set of bounds for everything, so that histograms of
//! several cores can be added.

use std::cell::Cell;
use std::time::Duration;

/// Upper bounds of the buckets, inclusive, in nanoseconds. What is longer is in a bucket behind them.
pub const BOUNDS_NS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

const _: () = {
    let mut bucket = 1;
    while bucket < BOUNDS_NS.len() {
        assert!(BOUNDS_NS[bucket - 1] < BOUNDS_NS[bucket], "bounds ascend");
        bucket += 1;
    }
};

/// A histogram while it is counted. Belongs to one core.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [Cell<u64>; BOUNDS_NS.len() + 1],
    sum_ns: Cell<u64>,
}

impl Durations {
    /// Counts one.
    pub fn count(&self, duration: Duration) {
        let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = &self.buckets[BOUNDS_NS.partition_point(|bound_ns| *bound_ns < duration_ns)];
        bucket.set(bucket.get() + 1);
        self.sum_ns.set(self.sum_ns.get().saturating_add(duration_ns));
    }

    /// What was counted so far.
    #[must_use]
    pub fn get(&self) -> DurationCounts {
        DurationCounts { buckets: self.buckets.each_ref().map(Cell::get), sum_ns: self.sum_ns.get() }
    }
}

/// What a histogram counted, to be handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationCounts {
    /// By bucket: those within its bound and not within the one before; the last has no bound.
    pub buckets: [u64; BOUNDS_NS.len() + 1],
    /// All durations together.
    pub sum_ns: u64,
}

impl DurationCounts {
    /// Adds those of another core.
    pub fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        let durations = Durations::default();
        for (index, bound_ns) in BOUNDS_NS.into_iter().enumerate() {
            durations.count(Duration::from_nanos(bound_ns));
            durations.count(Duration::from_nanos(bound_ns + 1));
            assert_eq!(durations.get().buckets[index], if index == 0 { 1 } else { 2 }, "{bound_ns}");
        }
        assert_eq!(durations.get().buckets[BOUNDS_NS.len()], 1);
        let sum_ns: u64 = BOUNDS_NS.iter().map(|bound_ns| 2 * bound_ns + 1).sum();
        assert_eq!(durations.get().sum_ns, sum_ns);
    }

    #[test]
    fn nothing_overflows_and_sums_add_up() {
        let durations = Durations::default();
        durations.count(Duration::ZERO);
        durations.count(Duration::MAX);
        let mut sum = durations.get();
        sum.add(&durations.get());
        assert_eq!((sum.count(), sum.buckets[0], sum.buckets[BOUNDS_NS.len()]), (4, 2, 2));
        assert_eq!(sum.sum_ns, u64::MAX);
    }
}

//! Counters of a core's log, for metrics. Times are wall-clock times of the core.

use std::cell::Cell;
use std::time::Duration;

use crate::durations::{DurationCounts, Durations};

/// What the log of one core has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStatistics {
    /// Groups written.
    pub commits: u64,
    /// Blocks in them: `blocks / commits` shared one sync.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Successful syncs, among them writes that are durable without: their time is that of the write.
    pub syncs: u64,
    /// Time all of them took.
    pub sync_ns_total: u64,
    /// Time the slowest took.
    pub sync_ns_max: u64,
    /// Time from the beginning of a write to the acknowledgement of its group, all of them.
    pub commit_ns_total: u64,
    /// The slowest.
    pub commit_ns_max: u64,
    /// Syncs that failed.
    pub sync_failures: u64,
    /// Segments begun.
    pub segments: u64,
    /// How often the log stopped because of an error.
    pub failures: u64,
}

/// The statistics while they are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    statistics: Cell<CommitStatistics>,
    /// Beside them, so that counting does not copy it.
    sync_durations: Durations,
}

impl Counters {
    pub(super) fn get(&self) -> CommitStatistics {
        self.statistics.get()
    }

    /// How long each successful sync took.
    pub(super) fn sync_durations(&self) -> DurationCounts {
        self.sync_durations.get()
    }

    fn update(&self, change: impl FnOnce(&mut CommitStatistics)) {
        let mut statistics = self.statistics.get();
        change(&mut statistics);
        self.statistics.set(statistics);
    }

    pub(super) fn committed(&self, blocks: u64, bytes: u64, time: Duration) {
        let time_ns = nanoseconds(time);
        self.update(|statistics| {
            statistics.commits += 1;
            statistics.blocks += blocks;
            statistics.bytes += bytes;
            statistics.commit_ns_total = statistics.commit_ns_total.saturating_add(time_ns);
            statistics.commit_ns_max = statistics.commit_ns_max.max(time_ns);
        });
    }

    pub(super) fn synced(&self, time: Duration) {
        self.sync_durations.count(time);
        let time_ns = nanoseconds(time);
        self.update(|statistics| {
            statistics.syncs += 1;
            statistics.sync_ns_total = statistics.sync_ns_total.saturating_add(time_ns);
            statistics.sync_ns_max = statistics.sync_ns_max.max(time_ns);
        });
    }

    pub(super) fn sync_failed(&self) {
        self.update(|statistics| statistics.sync_failures += 1);
    }

    pub(super) fn segment_begun(&self) {
        self.update(|statistics| statistics.segments += 1);
    }

    pub(super) fn failed(&self) {
        self.update(|statistics| statistics.failures += 1);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

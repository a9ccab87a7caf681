//! The cap on memory (SPEC section 6): above it, old data is freed before its time.
//!
//! Beside the way of a sample: one task of the daemon asks all cores how much they hold, every so often. Only what
//! snapshots hold is freed, so that nothing acknowledged is ever in neither a snapshot nor a log; that is why a checkpoint
//! comes first.

use std::future::Future;
use std::time::Duration;

/// Buffers older than these parts of the retention are freed, one after the other, until that is enough.
pub const RETENTION_PERCENT: [i64; 3] = [75, 50, 25];
/// Time between two looks of the daemon.
pub const INTERVALS: Intervals =
    Intervals { usual: Duration::from_secs(300), close: Duration::from_secs(30) };
const CLOSE_PERCENT: u64 = 80;

/// Time between two looks.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// Far below the cap.
    pub usual: Duration,
    /// Above four fifths of the cap.
    pub close: Duration,
}

/// All cores of a daemon.
pub trait Cores {
    /// Bytes that all of them hold.
    fn held_bytes(&self) -> impl Future<Output = u64>;
    /// Frees the buffers out of retention that were spared for jobs; returns how many.
    fn free_spared(&self) -> impl Future<Output = u64>;
    /// Makes a checkpoint on every core, as far as the disk lets it.
    fn save(&self) -> impl Future<Output = ()>;
    /// Frees the buffers that end before this time, in seconds, of series whose such buffers are in snapshots.
    fn free_saved_before(&self, to: i64) -> impl Future<Output = u64>;
}

/// What one look found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Bytes held at first.
    pub found_bytes: u64,
    /// Bytes held at last.
    pub left_bytes: u64,
    /// Buffers freed.
    pub freed: u64,
    /// Age above which they were freed, in seconds; none if nothing younger than the retention was.
    pub older_than_seconds: Option<i64>,
}

impl Look {
    /// How long to wait for the next one.
    #[must_use]
    pub fn interval(&self, cap_bytes: u64, intervals: Intervals) -> Duration {
        let is_close = self.left_bytes > cap_bytes / 100 * CLOSE_PERCENT;
        if is_close { intervals.close } else { intervals.usual }
    }
}

/// Looks whether the cores hold more than the cap, and frees until they do not, or nothing is left to be freed.
/// `retention` and `now` are in seconds.
pub async fn look(cores: &impl Cores, cap_bytes: u64, retention: i64, now: i64) -> Look {
    let found_bytes = cores.held_bytes().await;
    let mut look = Look { found_bytes, left_bytes: found_bytes, freed: 0, older_than_seconds: None };
    if found_bytes <= cap_bytes {
        return look;
    }
    look.freed += cores.free_spared().await;
    look.left_bytes = cores.held_bytes().await;
    if look.left_bytes > cap_bytes {
        cores.save().await;
    }
    for percent in RETENTION_PERCENT {
        if look.left_bytes <= cap_bytes {
            break;
        }
        let age = retention / 100 * percent + retention % 100 * percent / 100;
        look.freed += cores.free_saved_before(now.saturating_sub(age)).await;
        look.older_than_seconds = Some(age);
        look.left_bytes = cores.held_bytes().await;
    }
    look
}

#[cfg(test)]
mod tests;

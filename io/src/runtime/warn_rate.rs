//! How often a repeating warning is written.
//!
//! Beside the sample's way: whatever a peer can cause is warned of through this, so that no peer can fill the log.

use std::cell::Cell;

use super::now_ms;

/// Lets one warning through per interval and counts the rest. Of one core.
#[derive(Debug)]
pub struct WarnRate {
    interval_ms: u64,
    next_ms: Cell<u64>,
    suppressed: Cell<u64>,
}

impl WarnRate {
    /// At most one warning per `interval_ms` milliseconds.
    #[must_use]
    pub const fn new(interval_ms: u64) -> Self {
        Self { interval_ms, next_ms: Cell::new(0), suppressed: Cell::new(0) }
    }

    /// Counts one occasion to warn. `Some(n)`: write the warning now, `n` were left out since the last one.
    pub fn admit(&self) -> Option<u64> {
        let now = now_ms();
        if now < self.next_ms.get() {
            self.suppressed.set(self.suppressed.get() + 1);
            return None;
        }
        self.next_ms.set(now + self.interval_ms);
        Some(self.suppressed.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_per_interval_and_the_rest_is_counted() {
        let rate = WarnRate::new(60_000);
        assert_eq!(rate.admit(), Some(0));
        assert_eq!(rate.admit(), None);
        assert_eq!(rate.admit(), None);
        rate.next_ms.set(0);
        assert_eq!(rate.admit(), Some(2));
    }
}

//! Which time a round of the load carries: rounds count what is sent, slots count what the daemon can tell apart.
//!
//! Comes before [`crate::body`], which writes the timestamps, and tells [`crate::verify`] which round a slot
//! must still hold.
//!
//! With `--intervals N` there are N slots and N rounds, the last one at the start of the run. With `--duration`
//! the load lasts longer than its simulated time: slots are a window that ends now, and after its last slot the
//! load starts over at the first one with new values. The default window is 500 slots, which is less than a
//! buffer (512): the daemon's memory stays bounded and every overwrite falls into the newest buffer, which even
//! the reference accepts. A wider `--window-intervals` makes buffers fill, close and receive late samples.

use std::time::{SystemTime, UNIX_EPOCH};

/// Slots of `--duration` unless `--window-intervals` says otherwise.
pub const WINDOW_INTERVALS_DEFAULT: u32 = 500;
/// How far back a run may begin: inside a retention of 48 h, with an hour to run.
pub const SPAN_SECONDS_MAX: i64 = 47 * 3600;

/// Maps rounds to timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Unix seconds of slot 0.
    pub start_seconds: i64,
    /// Seconds from slot to slot: the frequency of every metric.
    pub interval_seconds: i64,
    /// How many slots there are; round `n` writes slot `n % slots`.
    pub slots: u64,
}

impl Timeline {
    /// The timeline of `slots` slots whose last one is `now_seconds`.
    #[must_use]
    pub fn ending_at(now_seconds: i64, interval_seconds: u32, slots: u32) -> Self {
        let interval_seconds = i64::from(interval_seconds);
        let start_seconds = now_seconds - (i64::from(slots) - 1) * interval_seconds;
        Self { start_seconds, interval_seconds, slots: u64::from(slots) }
    }

    /// The timestamp of a slot.
    #[must_use]
    pub fn slot_seconds(&self, slot: u64) -> i64 {
        self.start_seconds + slot as i64 * self.interval_seconds
    }

    /// The timestamp of a round.
    #[must_use]
    pub fn round_seconds(&self, round: u64) -> i64 {
        self.slot_seconds(round % self.slots)
    }

    /// For each slot written by rounds `0..rounds`, the round that wrote it last.
    pub fn last_rounds(&self, rounds: u64) -> impl Iterator<Item = u64> + use<> {
        let slots = self.slots;
        (0..rounds.min(slots)).map(move |slot| slot + (rounds - 1 - slot) / slots * slots)
    }
}

/// The clock, in whole Unix seconds.
#[must_use]
pub fn now_seconds() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since_epoch.as_secs() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_slot_is_now_and_rounds_start_over_after_it() {
        let timeline = Timeline::ending_at(1_700_000_000, 60, 20);
        assert_eq!(timeline.round_seconds(0), 1_700_000_000 - 19 * 60);
        assert_eq!(timeline.round_seconds(19), 1_700_000_000);
        assert_eq!(timeline.round_seconds(20), timeline.round_seconds(0));
    }

    #[test]
    fn a_slot_holds_the_last_round_that_wrote_it() {
        let timeline = Timeline::ending_at(1_700_000_000, 60, 3);
        for rounds in 0..20u64 {
            let mut written = Vec::new();
            for round in 0..rounds {
                let slot = (round % 3) as usize;
                written.resize(written.len().max(slot + 1), 0);
                written[slot] = round;
            }
            assert_eq!(timeline.last_rounds(rounds).collect::<Vec<_>>(), written, "{rounds} rounds");
        }
    }
}

//! When each request is due at a fixed rate, without coordinated omission.
//!
//! Due times depend on the rate alone, never on how long earlier requests took: after a stall the backlog is
//! sent as fast as it goes and each of its requests counts from the time it was due. Used by [`crate::run`].

use std::{
    thread,
    time::{Duration, Instant},
};

/// The due times of one connection.
#[derive(Clone, Debug)]
pub struct Pace {
    first: Instant,
    step_seconds: f64,
    issued: u64,
}

impl Pace {
    /// `requests_per_second` from `first` on.
    #[must_use]
    pub fn new(first: Instant, requests_per_second: f64) -> Self {
        Self { first, step_seconds: 1.0 / requests_per_second, issued: 0 }
    }

    /// When the next request is due, whether that has passed or not.
    pub fn next_due(&mut self) -> Instant {
        let due = self.first + Duration::from_secs_f64(self.issued as f64 * self.step_seconds);
        self.issued += 1;
        due
    }
}

/// Sleeps until `due`; returns at once when that has passed.
pub fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}

/// Makes the sleeps of all threads started later exact to a few microseconds instead of 50.
///
/// Best effort: where the kernel refuses, paced latencies are that much longer.
pub fn sleep_precisely() {
    // A refusal costs precision, not correctness.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_follow_the_rate_and_not_the_clock() {
        let first = Instant::now();
        let mut pace = Pace::new(first, 400.0);
        let mut last = first;
        for _ in 0..=4000 {
            last = pace.next_due();
        }
        let error_seconds = (last - first).as_secs_f64() - 10.0;
        assert!(error_seconds.abs() < 1e-6, "off by {error_seconds} s");
    }

    #[test]
    fn waiting_for_the_past_does_not_wait() {
        let began = Instant::now();
        wait_until(began.checked_sub(Duration::from_secs(5)).unwrap());
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

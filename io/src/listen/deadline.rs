//! How long a stop waits for others: clients, queries, the broker.
//!
//! Beside the sample's way: [`connections`](super::connections) and the [feed](super::nats::feed) of a core look at it. What is cut off
//! at the deadline was never acknowledged. It does not cut off what is ours alone: storing what was handed over, the last
//! checkpoint.

use std::cell::Cell;
use std::time::Duration;

use crate::runtime::{StopFlag, now_ms};

/// The deadline of one core; it is set when somebody looks for the first time after the stop flag was raised, which is soon.
#[derive(Debug)]
pub struct StopDeadline {
    stop: StopFlag,
    timeout_ms: u64,
    until_ms: Cell<Option<u64>>,
}

impl StopDeadline {
    /// So long after `stop` is raised.
    #[must_use]
    pub fn new(stop: StopFlag, timeout: Duration) -> Self {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self { stop, timeout_ms, until_ms: Cell::new(None) }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        if self.until_ms.get().is_none() && self.stop.is_set() {
            self.until_ms.set(Some(now_ms().saturating_add(self.timeout_ms)));
        }
        self.until_ms.get().is_some_and(|until_ms| now_ms() >= until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{next_tick, testing::on_core};

    #[test]
    fn it_is_over_so_long_after_the_stop() {
        let (is_over_before, took_ms) = on_core(async || {
            let stop = StopFlag::new();
            let deadline = StopDeadline::new(stop.clone(), Duration::from_millis(100));
            let is_over_before = deadline.is_over();
            crate::runtime::sleep(Duration::from_millis(150)).await;
            stop.set();
            let begin_ms = now_ms();
            while !deadline.is_over() {
                next_tick().await;
            }
            (is_over_before || deadline.until_ms.get() < Some(begin_ms + 100), now_ms() - begin_ms)
        });
        assert!(!is_over_before && (100..2000).contains(&took_ms), "{took_ms}");
    }
}

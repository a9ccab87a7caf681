//! The stop flag: raised once by a signal, seen by every core within a few milliseconds.
//!
//! Beside the sample's way: listeners stop accepting, connections finish the request in flight, the pump drains.

use std::sync::Arc;

use engine::sync::flag::Flag;

use super::next_tick;

/// A flag that goes from down to up once. Clones share it; any thread may raise or read it.
#[derive(Clone, Debug, Default)]
pub struct StopFlag {
    raised: Arc<Flag>,
}

impl StopFlag {
    /// A flag that is down.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag; raising it again changes nothing.
    pub fn set(&self) {
        self.raised.raise();
    }

    /// Whether the flag is up.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.raised.is_raised()
    }

    /// The flag itself, for the engine.
    #[must_use]
    pub fn flag(&self) -> Arc<Flag> {
        Arc::clone(&self.raised)
    }

    /// Resolves at the first tick of this core after the flag was raised (about 5 ms), at once if it is up.
    /// Looking at every tick instead of being woken from the raising thread: a foreign wake of glommio can be as late
    /// as the next preemption. Costs a wake per tick: wait once per core, not once per connection.
    pub async fn stopped(&self) {
        while !self.is_set() {
            next_tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::runtime::testing::{cpu, start};

    #[test]
    fn every_core_sees_the_flag_soon_after_it_is_raised() {
        let stop = StopFlag::new();
        let (ready_tx, ready) = mpsc::channel();
        let (seen_tx, seen) = mpsc::channel();
        let cores: Vec<_> = (0..2)
            .map(|index| {
                let (stop, ready, seen) = (stop.clone(), ready_tx.clone(), seen_tx.clone());
                start(index, cpu(index), async move || {
                    ready.send(()).unwrap();
                    stop.stopped().await;
                    seen.send(Instant::now()).unwrap();
                })
            })
            .collect();
        ready.recv().unwrap();
        ready.recv().unwrap();
        assert!(!stop.is_set());
        let raised = Instant::now();
        stop.set();
        for _ in 0..2 {
            let latency = seen.recv().unwrap() - raised;
            // 5 ms are meant; the bound leaves room for a loaded test machine.
            assert!(latency < Duration::from_millis(200), "{latency:?}");
        }
        for core in cores {
            core.join().unwrap();
        }
    }
}

//! What systemd is told (`sd_notify`): started, stopping, how far recovery is, and that every core is alive.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// Looks at the cores per watchdog interval: a core that comes late by one look is still in time.
const LOOKS_PER_INTERVAL: u32 = 4;
/// The beat of a core that has ended in order.
const ENDED: u64 = u64::MAX;

/// Tells systemd, if it started us.
pub fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell systemd: {error}");
    }
}

/// By core: how many turns its pump has made. Writer: that pump, once a turn, on a cache line of its own. Reader: the
/// watchdog. Only compared with what was there before, so the order of other memory does not matter.
#[derive(Clone, Debug)]
pub struct Pulses(Arc<[Beats]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Beats(AtomicU64);

/// One core's side.
#[derive(Debug)]
pub struct Pulse {
    pulses: Pulses,
    core: usize,
    turns: u64,
}

impl Pulses {
    /// Those of so many cores, which have made no turn.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self((0..cores).map(|_| Beats::default()).collect())
    }

    /// The side of one core.
    #[must_use]
    pub fn of(&self, core: usize) -> Pulse {
        Pulse { pulses: self.clone(), core, turns: 0 }
    }

    fn get(&self) -> Vec<u64> {
        self.0.iter().map(|beats| beats.0.load(Ordering::Relaxed)).collect()
    }

    /// The first core that has made no turn since `before`.
    fn still(&self, before: &[u64]) -> Option<usize> {
        self.get().iter().zip(before).position(|(now, before)| now == before && *now != ENDED)
    }
}

impl Pulse {
    /// The pump begins a turn.
    pub fn beat(&mut self) {
        self.turns += 1;
        self.pulses.0[self.core].0.store(self.turns, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    /// The pump has ended, and need not turn any more.
    fn drop(&mut self) {
        self.pulses.0[self.core].0.store(ENDED, Ordering::Relaxed);
    }
}

/// Pings systemd's watchdog for as long as the process lives, if it is on (`WatchdogSec`): only when every core's pump has made
/// a turn since the last ping.
///
/// # Errors
/// The system refuses a thread.
pub fn start_watchdog(pulses: Pulses) -> io::Result<()> {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) else {
        return Ok(());
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&pulses, interval)).map(drop)
}

fn watch(pulses: &Pulses, interval: Duration) {
    let mut before = pulses.get();
    let mut still_looks = 0;
    loop {
        thread::sleep(interval / LOOKS_PER_INTERVAL);
        match pulses.still(&before) {
            None => {
                before = pulses.get();
                still_looks = 0;
                notify(&[NotifyState::Watchdog]);
            }
            Some(core) => {
                still_looks += 1;
                if still_looks == LOOKS_PER_INTERVAL / 2 {
                    tracing::error!(
                        "core {core} has not made a turn for half of WatchdogSec; systemd will end this process if it stays so"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_makes_no_turn_is_found_unless_it_has_ended() {
        let pulses = Pulses::new(3);
        let mut cores: Vec<Pulse> = (0..3).map(|core| pulses.of(core)).collect();
        let before = pulses.get();
        assert_eq!(pulses.still(&before), Some(0));
        cores[0].beat();
        cores[2].beat();
        assert_eq!(pulses.still(&before), Some(1));
        cores[1].beat();
        assert_eq!(pulses.still(&before), None);
        let before = pulses.get();
        cores[0].beat();
        cores[1].beat();
        assert_eq!(pulses.still(&before), Some(2));
        drop(cores.pop());
        assert_eq!(pulses.still(&before), None);
        // And it stays out of the way for good.
        let before = pulses.get();
        cores.iter_mut().for_each(Pulse::beat);
        assert_eq!(pulses.still(&before), None);
    }
}

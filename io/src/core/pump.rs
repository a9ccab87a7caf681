//! How a core's pump shares its thread with connections, on this runtime.

use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::pump::turn::Pace;

use super::Core;
use crate::runtime::{next_tick, reactor_turn, yield_if_needed};
use crate::systemd::Pulse;

/// Time a turn may spend on jobs while events wait.
const JOB_SLICE: Duration = Duration::from_micros(250);

/// The pace of the daemon's pumps.
#[derive(Debug)]
pub struct CorePace {
    core: Rc<Core>,
    pulse: Pulse,
    slice_ends: Instant,
}

impl CorePace {
    /// The pace of a core's pump, with which `pulse` beats.
    #[must_use]
    pub fn new(core: &Rc<Core>, pulse: Pulse) -> Self {
        Self { core: Rc::clone(core), pulse, slice_ends: Instant::now() }
    }
}

impl Pace for CorePace {
    fn turn_begins(&mut self) {
        self.core.counters.turns.increment();
        self.pulse.beat();
    }

    fn slice_begins(&mut self) {
        self.slice_ends = Instant::now() + JOB_SLICE;
    }

    fn is_slice_over(&mut self) -> bool {
        Instant::now() >= self.slice_ends
    }

    /// With jobs under way the connections always have their turn, and the disk too, else when they ask for it.
    async fn give_way(&mut self, has_jobs: bool) {
        if has_jobs { reactor_turn().await } else { yield_if_needed().await }
    }

    /// glommio trap: a wake from another core may come late, so mailboxes are looked at on every tick as well.
    async fn look_again(&mut self) {
        next_tick().await;
    }
}

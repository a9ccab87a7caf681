//! How all cores end together: each delivers what it has sent, then each makes its last checkpoint, then the pumps end.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::core::{Additions, Core};
use super::event::Request;
use crate::durable::archive::Progress;
use crate::platform::Clock;
use crate::sync::countdown::Countdown;
use crate::sync::fault::{Fault, is_on};
use crate::sync::flag::Flag;

/// Between two looks at whether the other cores are through.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How far the cores are in their stop.
#[derive(Debug)]
pub struct Stopping {
    /// Up: the daemon stops.
    stop: Arc<Flag>,
    /// Cores that may still send samples. At zero every sample of every connection is in its owner's shard: now
    /// each makes its last checkpoint.
    undelivered: Countdown,
    /// Cores that have not made their last checkpoint. At zero the pumps end.
    unsaved: Countdown,
}

impl Stopping {
    /// So many cores run until `stop` is raised.
    #[must_use]
    pub fn new(cores: usize, stop: Arc<Flag>) -> Arc<Self> {
        Arc::new(Self { stop, undelivered: Countdown::new(cores), unsaved: Countdown::new(cores) })
    }

    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.stop.is_raised()
    }

    /// Whether every core has made its last checkpoint.
    #[must_use]
    pub fn are_all_saved(&self) -> bool {
        self.unsaved.is_over()
    }

    /// Waits until everything that any core has sent is in its owner's shard. Called by each core once, when nothing more
    /// comes to it; `own` resolves when what it has sent itself is there.
    pub async fn deliver(&self, own: impl Future<Output = ()>, clock: &impl Clock) {
        if is_on(Fault::StopArrivesBeforeDelivery) {
            self.undelivered.arrive();
            own.await;
        } else {
            own.await;
            self.undelivered.arrive();
        }
        while !is_on(Fault::StopWithoutBarrier) && !self.undelivered.is_over() {
            clock.sleep(LOOK_INTERVAL).await;
        }
    }

    /// A core has made its last checkpoint.
    pub fn saved(&self) {
        self.unsaved.arrive();
    }
}

/// Waits until everything this core has sent is in its owners' shards.
///
/// A connection that was dropped has not waited for that. Messages keep their order, so an empty batch behind them
/// is replied to when they are done.
pub(super) async fn delivered<A: Additions>(core: &Rc<Core<A>>) {
    let call = Call::new(core);
    for owner in 0..core.cores() {
        core.outgoing.room(owner).await;
        let batch = core.router.borrow_mut().seal(owner, Vec::new());
        call.request_now(owner, Request::Write(batch));
    }
    call.replies().await;
}

/// A round of the archive is not shown, and ends with the daemon.
impl Progress for Stopping {
    fn planned(&self, _bytes: u64) {}

    fn archived(&self, _bytes: u64, _rows: u64) {}

    fn is_cancelled(&self) -> bool {
        self.is_asked_for()
    }
}

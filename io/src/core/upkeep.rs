//! What a core does on its own: checkpoints, cleanup when it is ordered, and the last checkpoint at a stop (SPEC section 6).

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::durable::cleanup::round;
use engine::memory::spared::Spared;
use engine::series::route::core_of;

use super::calls::Call;
use super::checkpoint::{self, Checkpoints};
use super::event::Request;
use super::memory_cap::CheckpointsWanted;
use super::retention::CleanupOrders;
use super::{Core, Stopping};
use crate::cleanup;
use crate::durable::RealPlatform;
use crate::listen::connections::ConnectionTable;
use crate::listen::nats::feed::Fed;
use crate::runtime::{StopFlag, next_tick, sleep};
use crate::settings::MetricStore;

/// Time between two looks at what is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Time from a failed checkpoint to the next attempt; doubled by every further failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Bound of that time.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(300);

/// What is due before its time.
#[derive(Debug)]
pub struct CheckpointsDue {
    /// Logs of an earlier run were replayed, which a checkpoint makes superfluous.
    pub at_once: bool,
    /// The cap on memory asks for one.
    pub wanted: CheckpointsWanted,
    /// Not a checkpoint, but cleanup, between two of them.
    pub cleanup: CleanupOrders,
}

/// Where this core's samples come from.
#[derive(Debug)]
pub struct Sources {
    /// HTTP and TCP.
    pub connections: Rc<ConnectionTable>,
    /// What the NATS bridge hands over.
    pub fed: Fed,
}

impl Sources {
    /// Waits until nothing more comes.
    async fn drained(&self) {
        self.connections.drained().await;
        self.fed.over().await;
    }
}

/// Runs until the daemon stops, no core has connections any more, the NATS bridge is through, and this core's data is in snapshots.
pub async fn run(
    core: Rc<Core>,
    mut checkpoints: Checkpoints,
    store: &MetricStore,
    due: CheckpointsDue,
    sources: Sources,
    stop: StopFlag,
    stopping: Arc<Stopping>,
) {
    let mut checkpoint_due =
        Instant::now() + if due.at_once { Duration::ZERO } else { store.checkpoint_interval };
    // None while checkpoints succeed: after a failure, a full log alone does not start the next one.
    let mut retry_interval = None;
    while !stop.is_set() {
        sleep(LOOK_INTERVAL).await;
        let is_full = retry_interval.is_none() && checkpoints.is_log_full(store.checkpoints.wal_bytes_max);
        let is_wanted = due.wanted.is_wanted(core.index);
        if Instant::now() >= checkpoint_due || is_full || is_wanted {
            let next = if checkpoint::run(&core, &mut checkpoints, false).await {
                retry_interval = None;
                store.checkpoint_interval
            } else {
                let interval = retry_interval.map_or(RETRY_INTERVAL, |last: Duration| last * 2);
                let interval = interval.min(RETRY_INTERVAL_MAX).min(store.checkpoint_interval);
                retry_interval = Some(interval);
                interval
            };
            checkpoint_due = Instant::now() + next;
            if is_wanted {
                due.wanted.done(core.index);
            }
        }
        if let Some(spared) = due.cleanup.wanted(core.index) {
            let failures = clean_up(&core, store, &spared).await;
            due.cleanup.done(core.index, failures);
        }
    }
    sources.drained().await;
    deliver(&core).await;
    stopping.undelivered.arrive();
    while !stopping.undelivered.is_over() {
        next_tick().await;
    }
    checkpoint::run(&core, &mut checkpoints, true).await;
    stopping.unsaved.arrive();
}

/// Waits until everything this core has sent is in its owners' shards.
///
/// A connection that was dropped has not waited for that. Messages keep their order, so an empty batch behind them
/// is replied to when they are done.
async fn deliver(core: &Rc<Core>) {
    let call = Call::new(core);
    for owner in 0..core.cores() {
        core.outgoing.room(owner).await;
        let batch = core.router.borrow_mut().seal(owner, Vec::new());
        call.request_now(owner, Request::Write(batch));
    }
    call.replies().await;
}

/// Deletes this core's snapshots that are out of retention, with an archive only directories it left empty. Beside its checkpoints, never during one: a host's directory
/// does not vanish while a snapshot is written to it.
async fn clean_up(core: &Rc<Core>, store: &MetricStore, spared: &Spared) -> u64 {
    let (index, cores) = (core.index, core.cores());
    let mine =
        |cluster: &str, host: &str| core_of(cluster, host, cores) == index && !spared.contains(cluster, host);
    let outcome = round(&RealPlatform, &cleanup::options(store), mine).await;
    cleanup::report(&format!("core {index}"), &outcome);
    outcome.failures
}

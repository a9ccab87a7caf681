//! What a core does on its own: checkpoints, retention, and the last checkpoint at a stop (SPEC section 6).

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::calls::Call;
use super::checkpoint::Checkpoints;
use super::event::Work;
use super::{Core, clock_seconds};
use crate::listen::connections::ConnectionTable;
use crate::runtime::{StopFlag, sleep};
use crate::settings::MetricStore;

/// Time between two looks at what is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs until the daemon stops and this core's connections are closed and its data is in snapshots.
///
/// `has_logs`: logs of an earlier run were replayed, which a checkpoint makes superfluous, so one is due at once.
pub async fn run(
    core: Rc<Core>,
    mut checkpoints: Checkpoints,
    store: &MetricStore,
    has_logs: bool,
    connections: Rc<ConnectionTable>,
    stop: StopFlag,
) {
    let mut checkpoint_due =
        Instant::now() + if has_logs { Duration::ZERO } else { store.checkpoint_interval };
    let retention_interval = store.retention_in_memory / 2;
    let mut retention_due = Instant::now() + retention_interval;
    while !stop.is_set() {
        sleep(LOOK_INTERVAL).await;
        if Instant::now() >= checkpoint_due || checkpoints.is_log_full(store.checkpoints.wal_bytes_max) {
            checkpoint_due = Instant::now() + store.checkpoint_interval;
            checkpoints.run().await;
        }
        if Instant::now() >= retention_due {
            retention_due = Instant::now() + retention_interval;
            retain(&core, store).await;
        }
    }
    connections.drained().await;
    checkpoints.run().await;
}

/// Frees what is older than the retention.
async fn retain(core: &Rc<Core>, store: &MetricStore) {
    let seconds = i64::try_from(store.retention_in_memory.as_secs()).unwrap_or(i64::MAX);
    let call = Call::new(core);
    call.want(core.index, Work::Retain(clock_seconds().saturating_sub(seconds))).await;
    call.replies().await;
}

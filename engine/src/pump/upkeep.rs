//! What a core does on its own: checkpoints, cleanup when it is ordered, and the last checkpoint at a stop (SPEC section 6).

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint;
use super::core::{Additions, Core};
use super::event::{CallId, Reply};
use super::stop::{Stopping, delivered};
use crate::durable::checkpoint::Checkpoints;
use crate::durable::cleanup::{CleanupOptions, round};
use crate::memory::spared::Spared;
use crate::platform::{Clock, Housekeeping};
use crate::series::route::core_of;

/// When upkeep does what.
#[derive(Clone, Debug)]
pub struct UpkeepOptions {
    /// Time between two looks at what is due.
    pub look_interval: Duration,
    /// Time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Time from a failed checkpoint to the next attempt; doubled by every further failure.
    pub retry_interval: Duration,
    /// Bound of that time.
    pub retry_interval_max: Duration,
    /// Bytes of finished segments from which on a checkpoint is due before its time.
    pub log_bytes_max: Option<u64>,
    /// Logs of an earlier run were replayed, which a checkpoint makes superfluous: it is due at once.
    pub has_logs: bool,
    /// What is out of retention.
    pub cleanup: CleanupOptions,
}

/// The task of one core.
#[derive(Debug)]
pub struct Upkeep<A: Additions> {
    /// Its core.
    pub core: Rc<Core<A>>,
    /// Disk and clock.
    pub platform: A::Platform,
    /// Makes its checkpoints.
    pub checkpoints: Checkpoints<A::Platform>,
    /// When it does what.
    pub options: UpkeepOptions,
}

impl<A: Additions<Platform: Housekeeping>> Upkeep<A> {
    /// Runs until the daemon stops, `drained` says that nothing more comes to this core, all cores have delivered, and this
    /// core's data is in snapshots.
    pub async fn run(mut self, drained: impl Future<Output = ()>, stopping: Arc<Stopping>) {
        let mut due_ns =
            self.after(if self.options.has_logs { Duration::ZERO } else { self.options.checkpoint_interval });
        // None while checkpoints succeed: after a failure, a full log alone does not start the next one.
        let mut retry_interval = None;
        while !stopping.is_asked_for() {
            self.platform.sleep(self.options.look_interval).await;
            let is_full =
                retry_interval.is_none() && self.checkpoints.is_log_full(self.options.log_bytes_max);
            let ordered = std::mem::take(&mut self.core.orders.borrow_mut().checkpoints);
            if self.platform.now_ns() >= due_ns || is_full || !ordered.is_empty() {
                retry_interval = self.checkpoint(retry_interval).await;
                due_ns = self.after(retry_interval.unwrap_or(self.options.checkpoint_interval));
            }
            self.reply(ordered, || Reply::Saved);
            self.clean_up_if_ordered().await;
        }
        drained.await;
        stopping.deliver(delivered(&self.core), &self.platform).await;
        checkpoint::run(&self.core, &self.platform, &mut self.checkpoints, true).await;
        let ordered = std::mem::take(&mut self.core.orders.borrow_mut().checkpoints);
        self.reply(ordered, || Reply::Saved);
        stopping.saved();
        self.core.outgoing.ring_all();
    }

    /// Makes a checkpoint; the time to the next attempt, if it failed.
    async fn checkpoint(&mut self, retry_interval: Option<Duration>) -> Option<Duration> {
        if checkpoint::run(&self.core, &self.platform, &mut self.checkpoints, false).await {
            return None;
        }
        let options = &self.options;
        let interval = retry_interval.map_or(options.retry_interval, |last| last * 2);
        Some(interval.min(options.retry_interval_max).min(options.checkpoint_interval))
    }

    fn after(&self, interval: Duration) -> u64 {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        self.platform.now_ns().saturating_add(interval_ns)
    }

    fn reply(&self, ordered: Vec<(usize, CallId)>, reply: impl Fn() -> Reply<A>) {
        for (from, call) in ordered {
            self.core.outgoing.send_reply(from, call, reply());
        }
    }

    async fn clean_up_if_ordered(&self) {
        let (ordered, spared) = {
            let mut orders = self.core.orders.borrow_mut();
            (std::mem::take(&mut orders.clean_ups), Arc::clone(&orders.spared))
        };
        if !ordered.is_empty() {
            let failures = self.clean_up(&spared).await;
            self.reply(ordered, || Reply::CleanedUp(failures));
        }
    }

    /// Deletes this core's snapshots that are out of retention, with an archive only directories it left empty. Beside its
    /// checkpoints, never during one: a host's directory does not vanish while a snapshot is written to it. How many calls of
    /// the disk failed.
    async fn clean_up(&self, spared: &Spared) -> u64 {
        let (index, cores) = (self.core.index, self.core.cores());
        let is_mine = |cluster: &str, host: &str| {
            core_of(cluster, host, cores) == index && !spared.contains(cluster, host)
        };
        let outcome = round(&self.platform, &self.options.cleanup, is_mine).await;
        outcome.report(&format!("core {index}"));
        outcome.failures
    }
}

//! Retention, archive and cleanup while the daemon runs: one task of the daemon, on the first core (SPEC section 6).
//!
//! Before a pass it asks which hosts to spare; without an answer nothing is freed or removed. It frees through the pumps
//! and archives itself; cleanup it orders from the cores' own [`upkeep`](super::upkeep), where no checkpoint is under way.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::core::{Additions, Core};
use super::event::{Order, Request, Work};
use super::stop::Stopping;
use crate::durable::archive::{self, ArchiveOptions};
use crate::memory::spared::Spared;
use crate::platform::{Archiving, Clock};

/// Who knows which hosts to spare.
pub trait SparesHosts {
    /// The hosts to spare of what is older than `oldest`, in seconds; none if that is not known.
    fn spared(&self, oldest: i64) -> impl Future<Output = Option<Arc<Spared>>>;
}

/// What is kept for how long.
#[derive(Clone, Debug)]
pub struct RetentionOptions {
    /// Time between two looks at what is due.
    pub look_interval: Duration,
    /// How long samples are kept, in seconds.
    pub retention_seconds: i64,
    /// Time between two passes that free what is older.
    pub free_interval: Duration,
    /// Time between two rounds of archive and cleanup.
    pub cleanup_interval: Duration,
    /// Where snapshots go instead of being deleted.
    pub archive: Option<ArchiveOptions>,
}

/// What the task works with.
#[derive(Debug)]
pub struct Retention<A: Additions, S> {
    /// The first core.
    pub core: Rc<Core<A>>,
    /// Disk and clock.
    pub platform: A::Platform,
    /// What is kept for how long.
    pub options: RetentionOptions,
    /// Whom to ask.
    pub sparing: S,
    /// When to end.
    pub stopping: Arc<Stopping>,
}

impl<A: Additions<Platform: Archiving>, S: SparesHosts> Retention<A, S> {
    /// Runs until the daemon stops.
    pub async fn run(self) {
        let RetentionOptions { retention_seconds, free_interval, cleanup_interval, .. } = self.options;
        let after = |now_ns: u64, interval: Duration| now_ns.saturating_add(interval.as_nanos() as u64);
        let began_ns = self.platform.now_ns();
        let mut free_due_ns = after(began_ns, free_interval);
        let mut cleanup_due_ns = after(began_ns, cleanup_interval);
        while !self.stopping.is_asked_for() {
            self.platform.sleep(self.options.look_interval).await;
            let now_ns = self.platform.now_ns();
            let (is_free, is_cleanup) = (now_ns >= free_due_ns, now_ns >= cleanup_due_ns);
            if !is_free && !is_cleanup {
                continue;
            }
            let oldest = self.platform.now_seconds().saturating_sub(retention_seconds);
            let spared = self.sparing.spared(oldest).await;
            if is_free {
                free_due_ns = after(now_ns, free_interval);
            }
            if is_cleanup {
                // Without an answer it is asked for again soon.
                let interval = if spared.is_some() { cleanup_interval } else { free_interval };
                cleanup_due_ns = after(now_ns, interval);
            }
            let Some(spared) = spared else { continue };
            if is_free {
                self.free(oldest, &spared).await;
            }
            if is_cleanup {
                self.archive(&spared).await;
                self.order_cleanup(&spared).await;
            }
        }
    }

    /// Frees on all cores what is older than `oldest`, but of spared hosts.
    async fn free(&self, oldest: i64, spared: &Arc<Spared>) {
        let call = Call::new(&self.core);
        for core in 0..self.core.cores() {
            call.want(core, Work::Retain { to: oldest, spared: Arc::clone(spared) }).await;
        }
        call.replies().await;
    }

    async fn archive(&self, spared: &Spared) {
        if let Some(options) = &self.options.archive {
            let is_wanted = |cluster: &str, host: &str| !spared.contains(cluster, host);
            archive::round(&self.platform, options, is_wanted, &*self.stopping).await.report("archive");
        }
    }

    /// Nobody waits until it is done: the cores have their checkpoints to make.
    async fn order_cleanup(&self, spared: &Arc<Spared>) {
        let call = Call::new(&self.core);
        for core in 0..self.core.cores() {
            call.request(core, Request::Order(Order::CleanUp(Arc::clone(spared)))).await;
        }
    }
}

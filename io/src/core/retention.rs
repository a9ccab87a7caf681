//! Retention, archive and cleanup while the daemon runs: one task of the daemon, on the first core (SPEC section 6).
//!
//! Before a pass it asks the [`backend`](crate::backend), if there is one, which hosts to spare; without an answer nothing
//! is freed or removed. It frees through the pumps and archives itself; cleanup it [orders](CleanupOrders) from the cores'
//! own [`upkeep`](super::upkeep), where no checkpoint is under way.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use engine::memory::spared::Spared;

use super::calls::Call;
use super::event::Work;
use super::{Core, clock_seconds};
use crate::backend::Backend;
use crate::cleanup::{self, progress::UntilStop};
use crate::runtime::{StopFlag, sleep};
use crate::settings::MetricStore;

/// Time between two looks at what is due, and at whether the backend has answered.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Shortest time between two rounds of cleanup, so that a round of nothing does not follow the other.
const CLEANUP_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// By core: whether it is to remove snapshots out of retention, but of hosts that are spared.
///
/// Written by the task of retention, cleared by the core's upkeep before it begins.
#[derive(Clone, Debug)]
pub struct CleanupOrders(Arc<Orders>);

#[derive(Debug)]
struct Orders {
    wanted: Box<[AtomicBool]>,
    spared: Mutex<Arc<Spared>>,
}

impl CleanupOrders {
    /// None for so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let wanted = (0..cores).map(|_| AtomicBool::new(false)).collect();
        Self(Arc::new(Orders { wanted, spared: Mutex::default() }))
    }

    /// Takes this core's order: which hosts to spare.
    pub(super) fn take(&self, core: usize) -> Option<Arc<Spared>> {
        let is_wanted = self.0.wanted[core].swap(false, Ordering::AcqRel);
        is_wanted.then(|| Arc::clone(&self.0.spared.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn give(&self, spared: &Arc<Spared>) {
        *self.0.spared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(spared);
        self.0.wanted.iter().for_each(|wanted| wanted.store(true, Ordering::Release));
    }
}

/// What the task works with.
#[derive(Debug)]
pub struct Retention {
    /// The first core.
    pub core: Rc<Core>,
    /// The settings.
    pub store: MetricStore,
    /// Whom to ask.
    pub backend: Option<Arc<Backend>>,
    /// Whom to order.
    pub orders: CleanupOrders,
    /// When to end.
    pub stop: StopFlag,
}

impl Retention {
    /// Runs until the daemon stops: frees twice per retention, archives and cleans up once.
    pub async fn run(self) {
        let retention_interval = self.store.retention_in_memory / 2;
        let cleanup_interval = self.store.retention_in_memory.max(CLEANUP_INTERVAL_MIN);
        let mut retention_due = Instant::now() + retention_interval;
        let mut cleanup_due = Instant::now() + cleanup_interval;
        while !self.stop.is_set() {
            sleep(LOOK_INTERVAL).await;
            let now = Instant::now();
            let (is_retention, is_cleanup) = (now >= retention_due, now >= cleanup_due);
            if !is_retention && !is_cleanup {
                continue;
            }
            let oldest = clock_seconds().saturating_sub(self.store.retention_seconds());
            let spared = self.ask(oldest).await;
            if is_retention {
                retention_due = now + retention_interval;
            }
            if is_cleanup {
                // Without an answer it is asked for again soon.
                cleanup_due = now + if spared.is_some() { cleanup_interval } else { retention_interval };
            }
            let Some(spared) = spared else { continue };
            if is_retention {
                self.free(oldest, &spared).await;
            }
            if is_cleanup {
                let is_wanted = |cluster: &str, host: &str| !spared.contains(cluster, host);
                let progress = UntilStop(self.stop.clone());
                cleanup::report("archive", &cleanup::archive(&self.store, is_wanted, &progress).await);
                self.orders.give(&spared);
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

    /// The hosts to spare; none if that is not known.
    async fn ask(&self, oldest: i64) -> Option<Arc<Spared>> {
        let Some(backend) = &self.backend else { return Some(Arc::default()) };
        let (backend, (sender, answer)) = (Arc::clone(backend), sync_channel(1));
        let ask = move || {
            // Nobody waits for it when the daemon stops.
            let _ = sender.send(backend.ask(oldest));
        };
        let why = match thread::Builder::new().name("backend".to_owned()).spawn(ask) {
            Err(error) => error.to_string(),
            Ok(_) => loop {
                match answer.try_recv() {
                    Ok(Ok(spared)) => return Some(Arc::new(spared)),
                    Ok(Err(error)) => break error.to_string(),
                    Err(TryRecvError::Disconnected) => break "the asking thread panicked".to_owned(),
                    Err(TryRecvError::Empty) if self.stop.is_set() => return None,
                    Err(TryRecvError::Empty) => sleep(LOOK_INTERVAL).await,
                }
            },
        };
        tracing::warn!(
            "nothing is freed or removed this time, as cc-backend does not say which hosts to spare: {why}"
        );
        None
    }
}

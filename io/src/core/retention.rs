//! Retention, archive and cleanup while the daemon runs: one task of the daemon, on the first core (SPEC section 6).
//!
//! Before a pass it asks the [`backend`](crate::backend), if there is one, which hosts to spare; without an answer nothing
//! is freed or removed. It frees through the pumps and archives itself; cleanup it [orders](CleanupOrders) from the cores'
//! own [`upkeep`](super::upkeep), where no checkpoint is under way.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use engine::durable::{request, rounds::Rounds};
use engine::memory::spared::Spared;

use super::calls::Call;
use super::event::Work;
use super::{Core, clock_seconds};
use crate::backend::Backend;
use crate::cleanup::{self, progress::UntilStop};
use crate::durable::RealPlatform;
use crate::runtime::{StopFlag, sleep};
use crate::settings::MetricStore;

/// Time between two looks at what is due, and at whether the backend has answered.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two looks at whether `-cleanup-checkpoints` asks for a round.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// By core: whether it is to remove snapshots out of retention, but of hosts that are spared.
///
/// Written by the task of retention, cleared by the core's upkeep when it is done.
#[derive(Clone, Debug)]
pub struct CleanupOrders(Arc<Orders>);

#[derive(Debug)]
struct Orders {
    wanted: Box<[AtomicBool]>,
    spared: Mutex<Arc<Spared>>,
    /// Calls of the disk that failed in the rounds since the last order.
    failures: AtomicU64,
}

impl CleanupOrders {
    /// None for so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let wanted = (0..cores).map(|_| AtomicBool::new(false)).collect();
        Self(Arc::new(Orders { wanted, spared: Mutex::default(), failures: AtomicU64::new(0) }))
    }

    /// This core's order: which hosts to spare.
    pub(super) fn wanted(&self, core: usize) -> Option<Arc<Spared>> {
        let is_wanted = self.0.wanted[core].load(Ordering::Acquire);
        is_wanted.then(|| Arc::clone(&self.0.spared.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// This core has done it, and so many calls of the disk failed.
    pub(super) fn done(&self, core: usize, failures: u64) {
        self.0.failures.fetch_add(failures, Ordering::Relaxed);
        self.0.wanted[core].store(false, Ordering::Release);
    }

    fn give(&self, spared: &Arc<Spared>) {
        *self.0.spared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(spared);
        self.0.failures.store(0, Ordering::Relaxed);
        self.0.wanted.iter().for_each(|wanted| wanted.store(true, Ordering::Release));
    }

    fn are_done(&self) -> bool {
        self.0.wanted.iter().all(|wanted| !wanted.load(Ordering::Acquire))
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
    /// Runs until the daemon stops: frees twice per retention, archives and cleans up once, and when it is asked to.
    pub async fn run(self) {
        let directory = &self.store.wal.directory;
        let mut rounds = Rounds::start(RealPlatform, directory, self.store.retention_in_memory).await;
        let mut request_due = Instant::now();
        while !self.stop.is_set() {
            sleep(LOOK_INTERVAL).await;
            if Instant::now() >= request_due {
                request_due = Instant::now() + REQUEST_INTERVAL;
                self.answer_request(&mut rounds).await;
            }
            let Some(due) = rounds.due() else { continue };
            let Some(spared) = self.ask(due.oldest).await else { continue };
            if due.retention {
                self.free(due.oldest, &spared).await;
            }
            if due.cleanup {
                self.clean_up(&spared).await;
                rounds.cleaned().await;
            }
        }
    }

    /// Archives, and orders cleanup; the first failure.
    async fn clean_up(&self, spared: &Arc<Spared>) -> Option<String> {
        let is_wanted = |cluster: &str, host: &str| !spared.contains(cluster, host);
        let progress = UntilStop(self.stop.clone());
        let outcome = cleanup::archive(&self.store, is_wanted, &progress).await;
        cleanup::report("archive", &outcome);
        self.orders.give(spared);
        outcome.first_failure.map(|error| error.to_string())
    }

    /// Does the round that a file in the log's directory asks for, and says in another how it went.
    async fn answer_request(&self, rounds: &mut Rounds<RealPlatform>) {
        let directory = &self.store.wal.directory;
        let word = match request::take(&RealPlatform, directory).await {
            Ok(Some(word)) => word,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!("a request for cleanup cannot be taken: {error}");
                return;
            }
        };
        let oldest = clock_seconds().saturating_sub(self.store.retention_seconds());
        let failure = match self.ask(oldest).await {
            None => Some(
                "nothing is archived or deleted, as cc-backend does not say which hosts to spare".to_owned(),
            ),
            Some(spared) => {
                let failure = self.clean_up(&spared).await;
                while !self.orders.are_done() && !self.stop.is_set() {
                    sleep(LOOK_INTERVAL).await;
                }
                rounds.cleaned().await;
                let failures = self.orders.0.failures.load(Ordering::Relaxed);
                let failed = (failures > 0)
                    .then(|| format!("{failures} calls of the disk failed, see the log of the daemon"));
                failure.or(failed)
            }
        };
        if let Err(error) = request::answer(&RealPlatform, directory, &word, failure.as_deref()).await {
            tracing::warn!("a request for cleanup cannot be answered: {error}");
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

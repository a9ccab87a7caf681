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
use super::event::{Order, Reply, Request, Work};
use super::stop::Stopping;
use crate::durable::archive::{self, ArchiveOptions};
use crate::durable::request;
use crate::durable::rounds::{RoundOptions, Rounds};
use crate::memory::spared::Spared;
use crate::platform::{Archiving, Clock};

/// Time between two looks at whether `-cleanup-checkpoints` asks for a round.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

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
    /// When what is due.
    pub rounds: RoundOptions,
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
    /// Runs until the daemon stops: frees, archives and cleans up when it is due, and when it is asked to.
    pub async fn run(self) {
        let mut rounds = Rounds::start(self.platform.clone(), self.options.rounds.clone()).await;
        let mut request_due_ns = self.platform.now_ns();
        while !self.stopping.is_asked_for() {
            self.platform.sleep(self.options.look_interval).await;
            if self.platform.now_ns() >= request_due_ns {
                request_due_ns = self.platform.now_ns() + REQUEST_INTERVAL.as_nanos() as u64;
                self.answer_request(&mut rounds).await;
            }
            let Some(due) = rounds.due() else { continue };
            let Some(spared) = self.sparing.spared(due.oldest).await else { continue };
            if due.retention {
                self.free(due.oldest, &spared).await;
            }
            if due.cleanup {
                self.archive(&spared).await;
                // Nobody waits until it is done: the cores have their checkpoints to make.
                self.order_cleanup(&spared).await;
                rounds.cleaned().await;
            }
        }
    }

    /// Does the round that a file in the log's directory asks for, and says in another how it went.
    async fn answer_request(&self, rounds: &mut Rounds<A::Platform>) {
        let word = match request::take(&self.platform, rounds.directory()).await {
            Ok(Some(word)) => word,
            Ok(None) => return,
            Err(error) => return tracing::warn!("a request for cleanup cannot be taken: {error}"),
        };
        let failure = match self.sparing.spared(rounds.oldest()).await {
            None => Some(
                "nothing is archived or deleted, as cc-backend does not say which hosts to spare".to_owned(),
            ),
            Some(spared) => self.clean_up_now(&spared, rounds).await,
        };
        let answered = request::answer(&self.platform, rounds.directory(), &word, failure.as_deref()).await;
        if let Err(error) = answered {
            tracing::warn!("a request for cleanup cannot be answered: {error}");
        }
    }

    /// Archives and cleans up, and waits for it; the first failure.
    async fn clean_up_now(&self, spared: &Arc<Spared>, rounds: &mut Rounds<A::Platform>) -> Option<String> {
        let failure = self.archive(spared).await;
        let call = self.order_cleanup(spared).await;
        // A core that stops replies to no further order.
        while !call.is_over() && !self.stopping.is_asked_for() {
            self.platform.sleep(self.options.look_interval).await;
        }
        rounds.cleaned().await;
        let failures = call.take_replies().into_iter().map(|(_, reply)| match reply {
            Reply::CleanedUp(failures) => failures,
            _ => 0,
        });
        let failures: u64 = failures.sum();
        let failed = || format!("{failures} calls of the disk failed, see the log of the daemon");
        failure.or_else(|| (failures > 0).then(failed))
    }

    /// Frees on all cores what is older than `oldest`, but of spared hosts.
    async fn free(&self, oldest: i64, spared: &Arc<Spared>) {
        let call = Call::new(&self.core);
        for core in 0..self.core.cores() {
            call.want(core, Work::Retain { to: oldest, spared: Arc::clone(spared) }).await;
        }
        call.replies().await;
    }

    /// The first failure.
    async fn archive(&self, spared: &Spared) -> Option<String> {
        let options = self.options.archive.as_ref()?;
        let is_wanted = |cluster: &str, host: &str| !spared.contains(cluster, host);
        let outcome = archive::round(&self.platform, options, is_wanted, &*self.stopping).await;
        outcome.report("archive");
        outcome.first_failure.map(|error| error.to_string())
    }

    async fn order_cleanup(&self, spared: &Arc<Spared>) -> Call<A> {
        let call = Call::new(&self.core);
        for core in 0..self.core.cores() {
            call.request(core, Request::Order(Order::CleanUp(Arc::clone(spared)))).await;
        }
        call
    }
}

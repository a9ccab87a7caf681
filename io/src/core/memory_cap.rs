//! The cap on memory: one task of the daemon, on the first core, that asks all pumps (SPEC section 6).
//!
//! When it looks and what it frees is the engine's ([`engine::memory::cap`]).

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::memory::cap::{self, Cores, Look};

use super::calls::Call;
use super::event::{Reply, Work};
use super::{Core, clock_seconds};
use crate::runtime::{StopFlag, sleep};
use crate::settings::MetricStore;

/// Time between two looks at what is due, and at whether checkpoints are done.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// By core: whether it is to make a checkpoint, because memory is short.
///
/// Written by the task of the cap, cleared by the core's upkeep when the checkpoint is over, however it went.
#[derive(Clone, Debug)]
pub struct CheckpointsWanted(Arc<[AtomicBool]>);

impl CheckpointsWanted {
    /// None of so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self((0..cores).map(|_| AtomicBool::new(false)).collect())
    }

    /// Whether this core is to make one.
    pub(super) fn is_wanted(&self, core: usize) -> bool {
        self.0[core].load(Ordering::Acquire)
    }

    /// This core has made one, or tried to.
    pub(super) fn done(&self, core: usize) {
        self.0[core].store(false, Ordering::Release);
    }

    fn want_all(&self) {
        self.0.iter().for_each(|wanted| wanted.store(true, Ordering::Release));
    }

    fn are_done(&self) -> bool {
        self.0.iter().all(|wanted| !wanted.load(Ordering::Acquire))
    }
}

/// Holds all cores below the cap of `store` until the daemon stops.
pub async fn run(core: Rc<Core>, store: &MetricStore, wanted: CheckpointsWanted, stop: StopFlag) {
    let cap_bytes = store.memory_cap_bytes;
    let mut due = Instant::now();
    while !stop.is_set() {
        if Instant::now() >= due {
            let retention_seconds = store.retention_seconds();
            let pumps = Pumps { core: &core, wanted: &wanted, stop: &stop, retention_seconds };
            let look = cap::look(&pumps, cap_bytes, retention_seconds, clock_seconds()).await;
            report(&look, cap_bytes);
            due = Instant::now() + look.interval(cap_bytes);
        }
        sleep(LOOK_INTERVAL).await;
    }
}

fn report(look: &Look, cap_bytes: u64) {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let (found, left, cap) = (megabytes(look.found_bytes), megabytes(look.left_bytes), megabytes(cap_bytes));
    if look.found_bytes <= cap_bytes {
        return tracing::debug!("{found} MB are held, memory-cap is {cap} MB");
    }
    let age = look.older_than_seconds.map_or_else(String::new, |age| format!(" older than {age} s"));
    let freed = look.freed;
    tracing::warn!(
        "memory-cap of {cap} MB exceeded: {found} MB were held; {freed} buffers{age} freed, {left} MB are left"
    );
    if look.left_bytes > cap_bytes {
        tracing::error!(
            "{left} MB are still held, above memory-cap: the rest is young or in no snapshot yet; raise memory-cap or shorten retention-in-memory"
        );
    }
}

/// All cores, asked with messages to their pumps.
struct Pumps<'a> {
    core: &'a Rc<Core>,
    wanted: &'a CheckpointsWanted,
    stop: &'a StopFlag,
    retention_seconds: i64,
}

impl Pumps<'_> {
    /// The sum of what all cores reply.
    async fn sum(&self, work: impl Fn() -> Work) -> u64 {
        let call = Call::new(self.core);
        for core in 0..self.core.cores() {
            call.want(core, work()).await;
        }
        let numbers = call.replies().await.into_iter().map(|(_, reply)| match reply {
            Reply::Held(number) | Reply::Freed(number) => number,
            _ => 0,
        });
        numbers.sum()
    }
}

impl Cores for Pumps<'_> {
    async fn held_bytes(&self) -> u64 {
        self.sum(|| Work::Held).await + self.core.held.taken()
    }

    /// What is out of retention: all of it that retention has not freed was spared, or is to be freed next.
    async fn free_spared(&self) -> u64 {
        let oldest = clock_seconds().saturating_sub(self.retention_seconds);
        self.sum(|| Work::Relieve(oldest)).await
    }

    async fn save(&self) {
        self.wanted.want_all();
        while !self.wanted.are_done() && !self.stop.is_set() {
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn free_saved_before(&self, to: i64) -> u64 {
        self.sum(|| Work::Relieve(to)).await
    }
}

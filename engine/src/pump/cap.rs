//! The cap on memory: one task of the daemon, on the first core, that asks all pumps (SPEC section 6).
//!
//! When it looks and what it frees says [`memory::cap`](crate::memory::cap).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::core::{Additions, Core};
use super::event::{Order, Reply, Request, Work};
use super::stop::Stopping;
use crate::memory::cap::{self, Cores, Intervals, Look};
use crate::platform::Clock;

/// How memory is held below the cap.
#[derive(Clone, Copy, Debug)]
pub struct CapOptions {
    /// Time between two looks at what is due, and at whether checkpoints are done.
    pub look_interval: Duration,
    /// Time between two looks at what is held.
    pub intervals: Intervals,
    /// The cap.
    pub cap_bytes: u64,
    /// How long samples are kept, in seconds.
    pub retention_seconds: i64,
}

/// Holds all cores below the cap until the daemon stops.
pub async fn run<A: Additions>(
    core: Rc<Core<A>>,
    clock: impl Clock,
    options: CapOptions,
    stopping: Arc<Stopping>,
) {
    let mut due_ns = clock.now_ns();
    while !stopping.is_asked_for() {
        if clock.now_ns() >= due_ns {
            let pumps = Pumps { core: &core, clock: &clock, stopping: &stopping, options };
            let CapOptions { cap_bytes, retention_seconds, intervals, .. } = options;
            let look = cap::look(&pumps, cap_bytes, retention_seconds, clock.now_seconds()).await;
            report(&look, cap_bytes);
            due_ns = clock.now_ns() + look.interval(cap_bytes, intervals).as_nanos() as u64;
        }
        clock.sleep(options.look_interval).await;
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
struct Pumps<'a, A: Additions, C> {
    core: &'a Rc<Core<A>>,
    clock: &'a C,
    stopping: &'a Stopping,
    options: CapOptions,
}

impl<A: Additions, C: Clock> Pumps<'_, A, C> {
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

impl<A: Additions, C: Clock> Cores for Pumps<'_, A, C> {
    async fn held_bytes(&self) -> u64 {
        self.sum(|| Work::Held).await + self.core.held_beside_bytes()
    }

    /// What is out of retention: all of it that retention has not freed was spared, or is to be freed next.
    async fn free_spared(&self) -> u64 {
        let oldest = self.clock.now_seconds().saturating_sub(self.options.retention_seconds);
        self.sum(|| Work::Relieve(oldest)).await
    }

    async fn save(&self) {
        let call = Call::new(self.core);
        for core in 0..self.core.cores() {
            call.request(core, Request::Order(Order::Checkpoint)).await;
        }
        // A core that has made its last checkpoint replies to no further order.
        while !call.is_over() && !self.stopping.is_asked_for() {
            self.clock.sleep(self.options.look_interval).await;
        }
    }

    async fn free_saved_before(&self, to: i64) -> u64 {
        self.sum(|| Work::Relieve(to)).await
    }
}

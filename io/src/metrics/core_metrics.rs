//! What a core's pump replies when it is asked for its metrics: a copy of its counters, and what it finds in its shard and log.

use std::array::from_fn;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use engine::durable::commit::{CommitQueue, LogState};
use engine::durable::statistics::CommitStatistics;
use engine::durations::DurationCounts;
use engine::memory::account::MemoryBytes;
use engine::memory::shard::Shard;
use engine::pump::core::PumpState;

use super::counters::{Call, Counter, Rejected, STATUS_CLASSES};
use super::process::thread_cpu;
use crate::core::Core;
use crate::durable::RealPlatform;
use crate::runtime::now_ns;

/// The metrics of one core. Counters are sums since the start.
#[derive(Clone, Debug, Default)]
pub struct CoreMetrics {
    /// Which core.
    pub core: usize,
    /// See [`Counters`](super::counters::Counters).
    pub lines: u64,
    /// Lines of metrics that are not configured.
    pub unconfigured: u64,
    /// As [`Counters::valueless`].
    pub valueless: u64,
    /// By [`Rejected`].
    pub rejected: [u64; Rejected::ALL.len()],
    /// Samples stored.
    pub stored: u64,
    /// By [`Call`] and class of status.
    pub requests: [[u64; STATUS_CLASSES.len()]; Call::ALL.len()],
    /// How long queries took.
    pub queries: DurationCounts,
    /// How long writes took.
    pub writes: DurationCounts,
    /// Queries beyond `metric-store.query-limit`.
    pub queries_too_large: u64,
    /// Calls with too large a body.
    pub bodies_too_large: u64,
    /// CPU time of the core's thread.
    pub cpu: Duration,
    /// Turns of the pump.
    pub turns: u64,
    /// Messages it took.
    pub messages: u64,
    /// Messages in its mailboxes now.
    pub mailbox_messages: u64,
    /// How often somebody on this core waited because a mailbox was full.
    pub mailbox_full: u64,
    /// Queries and the like under way in its pump.
    pub jobs: u64,
    /// Series, also those without data.
    pub series: u64,
    /// Hosts that hold data.
    pub hosts: u64,
    /// Memory of the shard.
    pub memory: MemoryBytes,
    /// Memory of names, and of what finds them in the shard.
    pub names_bytes: u64,
    /// Memory of the keys that connections send.
    pub keys_bytes: u64,
    /// What the log has done.
    pub log: CommitStatistics,
    /// How long its syncs took.
    pub log_syncs: DurationCounts,
    /// It takes writes.
    pub log_is_running: bool,
    /// Finished segments that no checkpoint has covered yet.
    pub log_sealed_bytes: u64,
    /// Complete checkpoints.
    pub checkpoints: u64,
    /// Those that failed.
    pub checkpoints_failed: u64,
    /// How long the last one took.
    pub checkpoint_took: Duration,
    /// Since the last complete one, or the start.
    pub checkpoint_age: Duration,
    /// What the connections of this core do.
    pub connections: ConnectionMetrics,
}

/// The connections of one core.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionMetrics {
    /// Open now.
    pub open: u64,
    /// Accepted here and sent to the core their lines belong to.
    pub moved: u64,
    /// Refused, because there were too many.
    pub refused: u64,
    /// Closed because they stalled.
    pub swept: u64,
    /// Those among them whose head did not come to an end.
    pub slow_heads: u64,
    /// Those among them whose body was too slow.
    pub slow_bodies: u64,
    /// Requests with too large a head.
    pub oversized_heads: u64,
    /// Calls and streams without a valid token.
    pub unauthorized: u64,
    /// TLS handshakes that came to nothing.
    pub handshakes_failed: u64,
    /// Those that were not begun, because too many were under way.
    pub handshakes_refused: u64,
}

/// Parts of a core that are asked for their numbers.
#[derive(Default)]
pub struct Sources(RefCell<Vec<Source>>);

type Source = Box<dyn Fn(&mut CoreMetrics)>;

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sources").field(&self.0.borrow().len()).finish()
    }
}

impl Sources {
    /// Asks `source` from now on. It fills in what is its own, at once.
    pub fn add(&self, source: impl Fn(&mut CoreMetrics) + 'static) {
        self.0.borrow_mut().push(Box::new(source));
    }
}

impl CoreMetrics {
    /// The metrics of this core as they are now. On its thread: the time it has used is that of the caller.
    #[must_use]
    pub fn take(core: &Core, shard: &Shard, log: &CommitQueue<RealPlatform>, pump: PumpState) -> Self {
        let counters = &core.counters;
        let checkpoints = &counters.checkpoints;
        let sealed = log.segments().sealed().len() as u64;
        let mut metrics = Self {
            core: core.index,
            lines: counters.lines.get(),
            unconfigured: counters.unconfigured.get(),
            valueless: counters.valueless.get(),
            rejected: counters.rejected.each_ref().map(Counter::get),
            stored: counters.stored.get(),
            requests: from_fn(|call| from_fn(|class| counters.requests[call][class].get())),
            queries: counters.queries.get(),
            writes: counters.writes.get(),
            queries_too_large: counters.queries_too_large.get(),
            bodies_too_large: counters.bodies_too_large.get(),
            cpu: thread_cpu(),
            turns: counters.turns.get(),
            messages: counters.messages.get(),
            mailbox_messages: pump.mailbox_messages as u64,
            mailbox_full: core.outgoing.times_full(),
            jobs: pump.jobs as u64,
            series: u64::from(shard.tree().series_count()),
            hosts: shard.hosts().len() as u64,
            memory: shard.memory_bytes(),
            names_bytes: shard.names_bytes() as u64,
            keys_bytes: core.router.borrow().bytes() as u64,
            log: log.statistics(),
            log_syncs: log.sync_durations(),
            log_is_running: log.state() == LogState::Running,
            log_sealed_bytes: sealed * log.segments().segment_bytes(),
            checkpoints: checkpoints.complete.get(),
            checkpoints_failed: checkpoints.failed.get(),
            checkpoint_took: Duration::from_nanos(checkpoints.took_ns.get()),
            checkpoint_age: Duration::from_nanos(now_ns().saturating_sub(checkpoints.last_ns.get())),
            connections: ConnectionMetrics { moved: counters.moved.get(), ..ConnectionMetrics::default() },
        };
        core.sources.0.borrow().iter().for_each(|source| source(&mut metrics));
        metrics
    }
}

//! One core: the engine's [pump](engine::pump), with what the daemon adds to it.
//!
//! Connection tasks talk to the pumps of all cores in [`event`]s and wait for replies with [`calls`]; [`ingest`] is the way
//! of lines.

pub mod held;
pub mod ingest;
pub mod pump;
pub mod retention;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::config::Metrics;
use engine::durable::checkpoint::{CheckpointError, Complete};
use engine::durable::commit::CommitQueue;
use engine::memory::shard::{Applied, Shard};
use engine::pump::core::{Additions, PumpState};
use engine::pump::event::ExtraMessages;
use engine::pump::mesh::{CoreEnds, Incoming};
use engine::series::directory::Directory;
use engine::series::route::Router;

use self::held::Held;
use crate::durable::RealPlatform;
use crate::listen::newcomer::{Newcomer, Newcomers};
use crate::metrics::core_metrics::{CoreMetrics, Sources};
use crate::metrics::counters::{Counters, Rejected};
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// What the connections and the pump of one core share.
pub type Core = engine::pump::core::Core<DaemonCore>;

/// Calls to pumps.
pub mod calls {
    /// One call.
    pub type Call = engine::pump::call::Call<super::DaemonCore>;
}

/// What pumps are told, and reply.
pub mod event {
    pub use engine::pump::event::{CallId, Order, Request, Work};

    /// A message between cores.
    pub type CoreEvent = engine::pump::event::CoreEvent<super::DaemonCore>;
    /// What can be replied.
    pub type Reply = engine::pump::event::Reply<super::DaemonCore>;
}

/// What the daemon adds to a core of the engine.
#[derive(Debug)]
pub struct DaemonCore {
    /// Most values a query may answer.
    pub query_values_max: u64,
    /// Whether every result of a query covers all of the range asked for.
    pub full_range: bool,
    /// Those of the configuration.
    pub(crate) metrics: Arc<Metrics>,
    warnings: Warnings,
    /// How many series there may be; 0 = as many as come.
    series_max: usize,
    /// What is counted, for `/metrics`.
    pub(crate) counters: Counters,
    /// Who else is asked for metrics.
    pub(crate) sources: Sources,
    /// What bodies and answers hold, on all cores.
    pub(crate) held: Held,
    /// Connections that other cores sent here.
    pub(crate) newcomers: Newcomers,
}

/// What the configuration says of queries, series and memory.
#[derive(Debug)]
pub struct CoreBounds {
    /// Most values a query may answer.
    pub query_values_max: u64,
    /// Whether every result of a query covers all of the range asked for.
    pub full_range: bool,
    /// How many series there may be; 0 = as many as come.
    pub series_max: usize,
    /// What bodies and answers may hold, on all cores.
    pub held: Held,
}

/// One limiter for each kind of warning that input can cause.
#[derive(Debug)]
struct Warnings {
    unsafe_name: RateLimit,
    future: RateLimit,
    too_old: RateLimit,
    beyond_series_max: RateLimit,
    bad_line: RateLimit,
}

impl DaemonCore {
    /// A core with its bounds: most values a query may answer, and how many series there may be.
    #[must_use]
    pub fn core(
        ends: CoreEnds<Self>,
        metrics: Arc<Metrics>,
        directory: Arc<Directory>,
        seed: u64,
        bounds: CoreBounds,
    ) -> (Rc<Core>, Incoming<Self>) {
        let CoreBounds { query_values_max, full_range, series_max, held } = bounds;
        let mut router = Router::new(Arc::clone(&metrics), ends.cores(), seed);
        router.limit_series(series_max);
        let additions = Self {
            query_values_max,
            full_range,
            metrics,
            warnings: Warnings {
                unsafe_name: RateLimit::new(WARN_INTERVAL),
                future: RateLimit::new(WARN_INTERVAL),
                too_old: RateLimit::new(WARN_INTERVAL),
                beyond_series_max: RateLimit::new(WARN_INTERVAL),
                bad_line: RateLimit::new(WARN_INTERVAL),
            },
            series_max,
            counters: Counters::default(),
            sources: Sources::default(),
            held,
            newcomers: Newcomers::default(),
        };
        Core::new(ends, directory, router, additions)
    }

    /// How many series there may be; 0: as many as come.
    pub(crate) fn series_max(&self) -> usize {
        self.series_max
    }
}

impl ExtraMessages for DaemonCore {
    type Notice = Newcomer;
    type Metrics = CoreMetrics;
}

impl Additions for DaemonCore {
    type Platform = RealPlatform;

    fn notice(&self, newcomer: Newcomer) {
        self.newcomers.push(newcomer);
    }

    fn metrics(core: &Core, shard: &Shard, log: &CommitQueue<RealPlatform>, pump: PumpState) -> CoreMetrics {
        CoreMetrics::take(core, shard, log, pump)
    }

    fn events_taken(&self, count: usize) {
        self.counters.messages.add(count as u64);
    }

    fn written(&self, applied: &Applied) {
        self.counters.applied(applied);
    }

    fn not_written(&self, samples: usize) {
        self.counters.reject(Rejected::NotWritten, samples as u64);
    }

    fn held_beside_bytes(&self) -> u64 {
        self.held.taken()
    }

    fn checkpoint_over(&self, result: &Result<Complete, CheckpointError>, took: Duration) {
        // What is kept in the log alone is saved nowhere: somebody has to look.
        let is_complete = result.as_ref().is_ok_and(|complete| complete.kept_in_log == 0);
        self.counters.checkpoints.count(is_complete, took);
    }
}

/// The time of the clock, in seconds since 1970.
#[must_use]
pub fn clock_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

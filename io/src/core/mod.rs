//! One core: its pump, its side of the mesh, and what its connections share.
//!
//! The [`pump`] alone owns the shard. Connection tasks talk to it, and to the pumps of other cores, in
//! [`event`]s through the [`mesh`], and wait for replies with [`calls`]; [`ingest`] is the way of lines.

pub mod calls;
pub mod checkpoint;
pub mod event;
pub mod held;
pub mod ingest;
pub mod job;
pub mod journal;
pub mod memory_cap;
pub mod mesh;
pub mod pump;
pub mod retention;
pub mod upkeep;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use engine::config::Metrics;
use engine::durable::journal::Free;
use engine::series::directory::Directory;
use engine::series::route::{Router, Sample};
use engine::sync::countdown::Countdown;

use self::calls::Calls;
use self::event::CallId;
use self::held::Held;
use self::mesh::{CoreEnds, Outgoing};
use crate::listen::newcomer::Newcomers;
use crate::metrics::core_metrics::Sources;
use crate::metrics::counters::Counters;
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// Sample lists kept for the next request.
const SPARE_LISTS_MAX: usize = 64;

/// What the connections and the pump of one core share.
#[derive(Debug)]
pub struct Core {
    /// Which one it is.
    pub index: usize,
    /// Most values a query may answer.
    pub query_values_max: u64,
    /// Whether every result of a query covers all of the range asked for.
    pub full_range: bool,
    /// Those of the configuration.
    pub(crate) metrics: Arc<Metrics>,
    /// The hosts of all cores.
    pub(crate) directory: Arc<Directory>,
    pub(crate) router: RefCell<Router>,
    pub(crate) outgoing: Outgoing,
    pub(crate) calls: Calls,
    /// Frees whose record is durable, for the pump to do: who asked, and the call.
    pub(crate) recorded_frees: RefCell<Vec<(usize, CallId, Free)>>,
    spare: RefCell<Vec<Vec<Sample>>>,
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

impl Core {
    /// The shared part of a core, and the ends of its mailboxes for the pump.
    #[must_use]
    pub fn new(
        ends: CoreEnds,
        metrics: Arc<Metrics>,
        directory: Arc<Directory>,
        seed: u64,
        bounds: CoreBounds,
    ) -> (Rc<Self>, mesh::Incoming) {
        let CoreBounds { query_values_max, full_range, series_max, held } = bounds;
        let index = ends.index;
        let cores = ends.cores();
        let (outgoing, incoming) = ends.split();
        let mut router = Router::new(Arc::clone(&metrics), cores, seed);
        router.limit_series(series_max);
        let core = Self {
            index,
            query_values_max,
            full_range,
            metrics,
            directory,
            router: RefCell::new(router),
            outgoing,
            calls: Calls::default(),
            recorded_frees: RefCell::default(),
            spare: RefCell::default(),
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
        (Rc::new(core), incoming)
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.outgoing.cores()
    }

    /// How many series there may be; 0: as many as come.
    pub(crate) fn series_max(&self) -> usize {
        self.series_max
    }

    /// An empty list with memory of an earlier one.
    pub(crate) fn spare_list(&self) -> Vec<Sample> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a list back whose samples were stored.
    pub(crate) fn put_spare_list(&self, mut list: Vec<Sample>) {
        let mut spare = self.spare.borrow_mut();
        if list.capacity() > 0 && spare.len() < SPARE_LISTS_MAX {
            list.clear();
            spare.push(list);
        }
    }
}

/// The time of the clock, in seconds since 1970.
#[must_use]
pub fn clock_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// How far the cores are in their stop.
#[derive(Debug)]
pub struct Stopping {
    /// Cores that may still send samples. At zero every sample of every connection is in its owner's shard: now
    /// each makes its last checkpoint.
    pub(crate) undelivered: Countdown,
    /// Cores that have not made their last checkpoint. At zero the pumps end.
    pub(crate) unsaved: Countdown,
}

impl Stopping {
    /// So many cores run.
    #[must_use]
    pub fn new(cores: usize) -> Arc<Self> {
        Arc::new(Self { undelivered: Countdown::new(cores), unsaved: Countdown::new(cores) })
    }
}

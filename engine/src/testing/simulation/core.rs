//! One core of a simulated life: the parts that the daemon runs ([`crate::pump`]), with an oracle that watches them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{pending, yield_now};

use super::Summary;
use super::client::FUTURE_SECONDS;
use super::life::{LOG, ROOT_DIRECTORY, Setting};
use super::oracle::{Oracle, WriteName};
use super::series::{Population, SeriesIndex};
use crate::durable::checkpoint::{CheckpointError, Checkpoints, Complete, Inherited};
use crate::durable::cleanup::CleanupOptions;
use crate::durable::commit::CommitQueue;
use crate::durable::journal::Free;
use crate::durable::load::LoadedCore;
use crate::durable::rounds::RoundOptions;
use crate::durable::segments::SegmentOptions;
use crate::memory::cap::Intervals;
use crate::memory::shard::Shard;
use crate::memory::spared::Spared;
use crate::platform::Clock;
use crate::pump::acknowledge;
use crate::pump::cap::{self, CapOptions};
use crate::pump::core::{Additions, PumpState};
use crate::pump::event::{CallId, CoreEvent, ExtraMessages, Request, Work};
use crate::pump::mesh::Incoming;
use crate::pump::retention::{Retention, RetentionOptions, SparesHosts};
use crate::pump::stop::Stopping;
use crate::pump::turn::{Pace, Pump};
use crate::pump::upkeep::{Upkeep, UpkeepOptions};
use crate::series::directory::{Directory, HostPublisher};
use crate::series::route::Batch;
use crate::testing::platform::SimPlatform;
use crate::testing::random::Random;

/// Time between two looks of upkeep and retention.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Time between two passes of retention.
const FREE_INTERVAL: Duration = Duration::from_millis(700);
/// Time between two looks of the memory cap.
const CAP_INTERVALS: Intervals =
    Intervals { usual: Duration::from_millis(500), close: Duration::from_millis(200) };
/// Time between two rounds of cleanup.
const CLEANUP_INTERVAL: Duration = Duration::from_millis(900);

/// What the connections and the pump of one core share.
pub(super) type Core = crate::pump::core::Core<SimCore>;

/// What the cores of a life share: the world around them.
pub(super) struct Shared {
    pub(super) platform: SimPlatform,
    pub(super) population: Rc<Population>,
    pub(super) oracle: Rc<RefCell<Oracle>>,
    pub(super) summary: Rc<RefCell<Summary>>,
    pub(super) setting: Setting,
    /// How far the clock was set forward in earlier lives.
    pub(super) forward_seconds_before: i64,
    pub(super) directory: Arc<Directory>,
    pub(super) stopping: Arc<Stopping>,
    /// By the bits of its value: the series of every sample that is sent.
    pub(super) sent: RefCell<BTreeMap<u64, SeriesIndex>>,
    /// By the bits of its value: the write that a sample has become.
    pub(super) applied: RefCell<BTreeMap<u64, WriteName>>,
    /// Frees that pumps have taken, and that nobody was told the end of.
    pub(super) frees: RefCell<BTreeMap<(usize, CallId), Free>>,
    /// By core: requests of its connections that are to be answered.
    pub(super) under_way: Vec<Cell<usize>>,
    /// Cores that have closed their logs.
    pub(super) closed: Cell<usize>,
    /// Something went wrong at the stop, as it may when the disk fails: not all is in snapshots.
    pub(super) is_unclean: Cell<bool>,
    /// A core could not start.
    pub(super) has_failed_start: Cell<bool>,
    /// What somebody was told that is not so.
    pub(super) failure: RefCell<Option<String>>,
    /// Of the cores that have begun.
    pub(super) queues: RefCell<Vec<(usize, CommitQueue<SimPlatform>)>>,
}

impl Shared {
    /// How much time has gone by for the clock of the wall, not counting that it was set back.
    fn gone_by_seconds(&self) -> i64 {
        let seconds = (self.platform.now_ns() / 1_000_000_000) as i64;
        self.forward_seconds_before + self.platform.forward_seconds() + seconds
    }

    /// A pump takes a free: from here on a crash may bring it about.
    fn free_taken(&self, from: usize, call: CallId, free: &Free) {
        self.platform.note(|| format!("-- free {:?} before {}", free.selectors, free.to));
        self.expect(free);
        self.frees.borrow_mut().insert((from, call), free.clone());
    }

    /// Somebody was told that it is done, or will not be.
    pub(super) fn free_over(&self, from: usize, call: CallId) {
        let free = self.frees.borrow_mut().remove(&(from, call));
        free.iter().for_each(|free| self.expect(free));
    }

    fn expect(&self, free: &Free) {
        let mut oracle = self.oracle.borrow_mut();
        for &index in &free.mine {
            oracle.freed(&self.population, &free.selectors[index as usize], free.to);
        }
    }

    /// A pump is about to apply a batch.
    fn batch_taken(&self, core: usize, batch: &Batch) {
        let sent = self.sent.borrow();
        let mut applied = self.applied.borrow_mut();
        let mut future = i64::MIN;
        let mut oracle = self.oracle.borrow_mut();
        for sample in &batch.samples {
            let bits = sample.value.to_bits();
            let series = *sent.get(&bits).expect("only what was sent arrives");
            let write = oracle.applied(series, sample.time, sample.value, self.gone_by_seconds());
            applied.insert(bits, write);
            future = future.max(sample.time);
            self.platform.note(|| {
                format!("-- core {core} takes {series} {} {} as {write:?}", sample.time, sample.value)
            });
        }
        // The clock may have been set back since they were sent.
        let now = self.platform.now_seconds();
        if future > now + FUTURE_SECONDS {
            oracle.doubt_future(now + FUTURE_SECONDS);
        }
        drop(oracle);
        self.frees.borrow().values().for_each(|free| self.expect(free));
    }
}

/// What the simulator adds to a core of the engine: somebody who watches.
pub(super) struct SimCore {
    shared: Rc<Shared>,
    index: usize,
    /// The last write before the checkpoint under way began.
    checkpoint_order: Cell<u64>,
    /// The last checkpoint was complete.
    is_saved: Cell<bool>,
}

impl SimCore {
    pub(super) fn new(shared: Rc<Shared>, index: usize) -> Self {
        Self { shared, index, checkpoint_order: Cell::default(), is_saved: Cell::default() }
    }
}

impl fmt::Debug for SimCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCore").field("index", &self.index).finish_non_exhaustive()
    }
}

impl ExtraMessages for SimCore {
    type Notice = Infallible;
    type Metrics = ();
}

impl Additions for SimCore {
    type Platform = SimPlatform;

    fn notice(&self, notice: Infallible) {
        match notice {}
    }

    fn metrics(_: &Core, _: &Shard, _: &CommitQueue<SimPlatform>, _: PumpState) {}

    fn event(&self, from: usize, event: &CoreEvent<Self>) {
        match event {
            CoreEvent::Request(_, Request::Write(batch)) => self.shared.batch_taken(self.index, batch),
            CoreEvent::Request(call, Request::Work(Work::Free(free))) => {
                self.shared.free_taken(from, *call, free);
            }
            CoreEvent::Request(_, Request::Work(Work::Retain { .. })) => {
                self.shared.summary.borrow_mut().retentions += 1;
            }
            CoreEvent::Request(_, Request::Work(Work::Relieve(_))) => {
                self.shared.summary.borrow_mut().reliefs += 1;
            }
            _ => {}
        }
    }

    fn checkpoint_begins(&self) {
        self.checkpoint_order.set(self.shared.oracle.borrow().order());
        self.shared.platform.note(|| format!("-- core {}: checkpoint", self.index));
    }

    fn checkpoint_over(&self, result: &Result<Complete, CheckpointError>, _took: Duration) {
        let Shared { platform, summary, oracle, population, setting, .. } = &*self.shared;
        platform.note(|| format!("-- core {}: checkpoint {result:?}", self.index));
        // Hosts that could not be saved are kept in the log.
        self.is_saved.set(result.as_ref().is_ok_and(|complete| complete.kept_in_log == 0));
        if result.is_err() {
            summary.borrow_mut().failed_checkpoints += 1;
            return;
        }
        summary.borrow_mut().checkpoints += 1;
        if !self.is_saved.get() {
            // What is kept in the log is no safer than that.
            return;
        }
        let is_owned = |series| population.owner(series, setting.cores) == self.index;
        oracle.borrow_mut().checkpointed(self.checkpoint_order.get(), is_owned);
    }
}

/// What a core is started with.
pub(super) struct CoreStart {
    pub(super) core: Rc<Core>,
    pub(super) incoming: Incoming<SimCore>,
    pub(super) loaded: LoadedCore,
    pub(super) hosts: HostPublisher,
    pub(super) inherited: Arc<Inherited>,
    pub(super) random: Random,
}

/// One core from its start to its end, put together as `io/src/start.rs` does it.
pub(super) async fn run(shared: Rc<Shared>, start: CoreStart) {
    let CoreStart { core, incoming, loaded, hosts, inherited, random } = start;
    let (index, setting, stopping) = (core.index, shared.setting, Arc::clone(&shared.stopping));
    let platform = shared.platform.of_core(index);
    let segments = SegmentOptions {
        segment_bytes: setting.segment_bytes,
        free_files_max: setting.free_files_max,
        ..SegmentOptions::new(LOG.into(), index as u16, setting.cores as u16)
    };
    let commit = if loaded.has_records { setting.commit.beside_records() } else { setting.commit };
    let journal = match acknowledge::start(&core, platform.clone(), segments, commit).await {
        Ok(journal) => journal,
        Err(error) => {
            platform.note(|| format!("-- core {index} cannot start: {error}"));
            shared.has_failed_start.set(true);
            return;
        }
    };
    shared.queues.borrow_mut().push((index, journal.queue()));
    let has_logs = !loaded.segments.is_empty() || !loaded.reference_logs.is_empty();
    let checkpoints = Checkpoints::new(
        platform.clone(),
        journal.queue(),
        ROOT_DIRECTORY.into(),
        setting.kind,
        inherited,
        loaded.reference_logs,
    );
    let upkeep = Upkeep {
        core: Rc::clone(&core),
        platform: platform.clone(),
        checkpoints,
        options: upkeep_options(&setting, has_logs),
    };
    platform.spawn("upkeep", upkeep.run(drained(Rc::clone(&shared), index), Arc::clone(&stopping)));
    if index == 0 {
        let retention = Retention {
            core: Rc::clone(&core),
            platform: platform.clone(),
            options: RetentionOptions {
                look_interval: LOOK_INTERVAL,
                rounds: RoundOptions {
                    directory: LOG.into(),
                    retention_seconds: setting.retention_seconds,
                    free_interval: FREE_INTERVAL,
                    cleanup_interval: CLEANUP_INTERVAL,
                },
                archive: None,
            },
            sparing: NoBackend,
            stopping: Arc::clone(&stopping),
        };
        platform.spawn("retention", retention.run());
        if let Some(cap_bytes) = setting.cap_bytes {
            let options = CapOptions {
                look_interval: LOOK_INTERVAL,
                intervals: CAP_INTERVALS,
                cap_bytes,
                retention_seconds: setting.retention_seconds,
            };
            let clock = platform.clone();
            platform.spawn("cap", cap::run(Rc::clone(&core), clock, options, Arc::clone(&stopping)));
        }
    }
    let pump = Pump::new(Rc::clone(&core), incoming, loaded.shard, journal, hosts);
    let journal = pump.run(stopping, SimPace(random)).await;
    if let Err(error) = journal.close().await {
        platform.note(|| format!("-- core {index} cannot close its log: {error}"));
        shared.is_unclean.set(true);
    }
    if !core.is_saved.get() {
        shared.is_unclean.set(true);
    }
    shared.closed.set(shared.closed.get() + 1);
}

fn upkeep_options(setting: &Setting, has_logs: bool) -> UpkeepOptions {
    let checkpoint_interval = Duration::from_nanos(setting.checkpoint_ns);
    UpkeepOptions {
        look_interval: LOOK_INTERVAL,
        checkpoint_interval,
        retry_interval: checkpoint_interval / 4,
        retry_interval_max: checkpoint_interval,
        log_bytes_max: setting.log_bytes_max,
        has_logs,
        cleanup: CleanupOptions {
            checkpoints: ROOT_DIRECTORY.into(),
            retention_seconds: setting.retention_seconds,
            checkpoint_interval_seconds: checkpoint_interval.as_secs() as i64 + 1,
            keeps_files: false,
        },
    }
}

/// Waits until the connections of a core have their answers.
async fn drained(shared: Rc<Shared>, core: usize) {
    while shared.under_way[core].get() > 0 {
        shared.platform.sleep(Duration::from_millis(1)).await;
    }
}

/// Nobody has hosts to be spared.
#[derive(Debug)]
struct NoBackend;

impl SparesHosts for NoBackend {
    async fn spared(&self, _oldest: i64) -> Option<Arc<Spared>> {
        Some(Arc::default())
    }
}

/// A pump that is never woken but by a ring: a ring that is missing is a life without end.
struct SimPace(Random);

impl Pace for SimPace {
    fn turn_begins(&mut self) {}

    fn slice_begins(&mut self) {}

    fn is_slice_over(&mut self) -> bool {
        self.0.percent(40)
    }

    async fn give_way(&mut self, _has_jobs: bool) {
        yield_now().await;
    }

    async fn look_again(&mut self) {
        pending::<()>().await;
    }
}

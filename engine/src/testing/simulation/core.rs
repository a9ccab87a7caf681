//! One core of a simulated life: its log, its pump, its checkpoints. As the daemon's (`io/src/core/`), without sockets.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_lite::future::yield_now;

use super::Summary;
use super::job::PumpHosts;
use super::life::{LOG, ROOT_DIRECTORY, Setting};
use super::oracle::{Oracle, WriteName};
use super::series::{Population, SeriesIndex};
use crate::durable::checkpoint::{Checkpoints, Inherited};
use crate::durable::commit::CommitQueue;
use crate::durable::journal::{Done, Free, Journal};
use crate::durable::load::LoadedCore;
use crate::durable::segments::SegmentOptions;
use crate::memory::retention::FreeWork;
use crate::memory::shard::Shard;
use crate::platform::Clock;
use crate::series::route::Batch;
use crate::series::tree::ROOT;
use crate::testing::platform::SimPlatform;
use crate::testing::random::Random;

/// Events taken in one turn.
const EVENTS_PER_TURN: usize = 16;

/// Something that a pump does to its shard.
type Job = Box<dyn FnOnce(&mut Shard)>;

/// A sample that is sent: series, time, value.
pub(super) type Sent = (SeriesIndex, i64, f64);

/// Something for a core's pump.
pub(super) enum Event {
    /// Samples from a core, in the order of the batch.
    Write {
        source: usize,
        batch: Batch,
        samples: Vec<Sent>,
    },
    Free(Free),
    Job(Job),
}

/// What is acknowledged: a tag of the journal.
enum Tag {
    Write(Vec<WriteName>),
    Free,
}

/// What the cores of a life share.
pub(super) struct Shared {
    pub(super) platform: SimPlatform,
    pub(super) population: Rc<Population>,
    pub(super) oracle: Rc<RefCell<Oracle>>,
    pub(super) summary: Rc<RefCell<Summary>>,
    pub(super) setting: Setting,
    /// The client is done: last checkpoints are to be made.
    pub(super) is_stopping: Cell<bool>,
    /// Cores whose last checkpoint is still to come.
    pub(super) undrained: Cell<usize>,
    /// Cores that have closed their logs.
    pub(super) closed: Cell<usize>,
    /// Something went wrong at the stop, as it may when the disk fails: not all is in snapshots.
    pub(super) is_unclean: Cell<bool>,
    /// A core could not start.
    pub(super) failed_start: Cell<bool>,
    pub(super) cores: RefCell<Vec<Rc<Core>>>,
    /// Of the cores that have begun.
    pub(super) queues: RefCell<Vec<(usize, CommitQueue<SimPlatform>)>>,
}

/// A core as others see it.
pub(super) struct Core {
    index: usize,
    inbox: RefCell<VecDeque<Event>>,
    waker: Cell<Option<Waker>>,
    recorded_frees: RefCell<Vec<Free>>,
}

impl Core {
    pub(super) fn new(index: usize) -> Self {
        Self { index, inbox: RefCell::default(), waker: Cell::default(), recorded_frees: RefCell::default() }
    }

    pub(super) fn send(&self, event: Event) {
        self.inbox.borrow_mut().push_back(event);
        self.ring();
    }

    pub(super) fn ring(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn rung(&self, shared: &Shared) {
        poll_fn(|context| {
            let is_idle = self.inbox.borrow().is_empty()
                && self.recorded_frees.borrow().is_empty()
                && shared.undrained.get() > 0;
            if is_idle {
                self.waker.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// One core from its start to its end.
pub(super) async fn run(
    shared: Rc<Shared>,
    core: Rc<Core>,
    loaded: LoadedCore,
    inherited: Arc<Inherited>,
    mut random: Random,
) {
    let journal = match start(&shared, &core).await {
        Ok(journal) => journal,
        Err(error) => {
            shared.platform.note(|| format!("-- core {} cannot start: {error}", core.index));
            shared.failed_start.set(true);
            return;
        }
    };
    shared.queues.borrow_mut().push((core.index, journal.queue()));
    let has_logs = !loaded.segments.is_empty() || !loaded.reference_logs.is_empty();
    let checkpoints = Checkpoints::new(
        shared.platform.clone(),
        journal.queue(),
        ROOT_DIRECTORY.into(),
        shared.setting.kind,
        inherited,
        loaded.reference_logs,
    );
    let upkeep_task = upkeep(Rc::clone(&shared), Rc::clone(&core), checkpoints, has_logs, random.fork());
    shared.platform.spawn("upkeep", upkeep_task);
    let journal = pump(&shared, &core, loaded.shard, journal, random).await;
    if let Err(error) = journal.close().await {
        shared.platform.note(|| format!("-- core {} cannot close its log: {error}", core.index));
        shared.is_unclean.set(true);
    }
    shared.closed.set(shared.closed.get() + 1);
}

async fn start(shared: &Rc<Shared>, core: &Rc<Core>) -> io::Result<Journal<SimPlatform, Tag>> {
    let segments = SegmentOptions {
        segment_bytes: shared.setting.segment_bytes,
        free_files_max: shared.setting.free_files_max,
        ..SegmentOptions::new(LOG.into(), core.index as u16, shared.setting.cores as u16)
    };
    let tell = {
        let (shared, core) = (Rc::clone(shared), Rc::clone(core));
        move |tag, done| told(&shared, &core, tag, done)
    };
    Journal::start(shared.platform.clone(), segments, shared.setting.commit, tell).await
}

fn told(shared: &Shared, core: &Core, tag: Tag, done: Done) {
    let mut summary = shared.summary.borrow_mut();
    match (tag, done) {
        (Tag::Write(writes), Done::Written(..)) => {
            summary.acknowledged += writes.len() as u64;
            let mut oracle = shared.oracle.borrow_mut();
            for write in writes {
                oracle.acknowledged(write, shared.platform.now_ns(), shared.setting.commit.sync);
            }
        }
        (Tag::Write(writes), _) => summary.refused += writes.len() as u64,
        (Tag::Free, Done::Recorded(free)) => {
            summary.frees += 1;
            core.recorded_frees.borrow_mut().push(free);
            core.ring();
        }
        (Tag::Free, _) => {}
    }
}

/// The pump, until no core has a checkpoint to make any more.
async fn pump(
    shared: &Shared,
    core: &Core,
    mut shard: Shard,
    mut journal: Journal<SimPlatform, Tag>,
    mut random: Random,
) -> Journal<SimPlatform, Tag> {
    let mut jobs: VecDeque<Job> = VecDeque::new();
    let mut frees: VecDeque<(Free, FreeWork)> = VecDeque::new();
    loop {
        let is_over = shared.undrained.get() == 0;
        journal.begin_turn().await;
        let mut is_busy = false;
        for _ in 0..EVENTS_PER_TURN {
            if !journal.has_room() {
                break;
            }
            let Some(event) = core.inbox.borrow_mut().pop_front() else { break };
            is_busy = true;
            match event {
                Event::Write { source, batch, samples } => {
                    let writes: Vec<WriteName> = {
                        let mut oracle = shared.oracle.borrow_mut();
                        samples
                            .iter()
                            .map(|&(series, time, value)| oracle.applied(series, time, value))
                            .collect()
                    };
                    shared
                        .platform
                        .note(|| format!("-- core {} takes {samples:?} as {writes:?}", core.index));
                    journal.write(&mut shard, source, batch, Tag::Write(writes));
                }
                Event::Free(free) => {
                    // From here on a crash may bring it about.
                    expect_free(shared, &free);
                    journal.free(&shard, free, Tag::Free);
                }
                Event::Job(job) => jobs.push_back(job),
            }
        }
        journal.end_block(&shard);
        for free in core.recorded_frees.take() {
            let levels = free.mine.iter().filter_map(|&index| {
                shard.tree().find(free.selectors[index as usize].iter().map(String::as_str))
            });
            let work = FreeWork::new(levels.collect(), free.to);
            frees.push_back((free, work));
        }
        if let Some((free, mut work)) = frees.pop_front() {
            is_busy = true;
            expect_free(shared, &free);
            if !work.step(&mut shard) {
                frees.push_back((free, work));
            }
        }
        for _ in 0..1 + random.index(4) {
            let Some(job) = jobs.pop_front() else { break };
            is_busy = true;
            job(&mut shard);
        }
        if is_busy || !jobs.is_empty() || !frees.is_empty() {
            yield_now().await;
        } else if is_over {
            return journal;
        } else {
            core.rung(shared).await;
        }
    }
}

fn expect_free(shared: &Shared, free: &Free) {
    shared.platform.note(|| format!("-- free {:?} before {}", free.selectors, free.to));
    let mut oracle = shared.oracle.borrow_mut();
    for &index in &free.mine {
        oracle.freed(&shared.population, &free.selectors[index as usize], free.to);
    }
}

/// Checkpoints and retention, as `io/src/core/upkeep.rs`.
async fn upkeep(
    shared: Rc<Shared>,
    core: Rc<Core>,
    mut checkpoints: Checkpoints<SimPlatform>,
    has_logs: bool,
    mut random: Random,
) {
    let setting = shared.setting;
    let look_ns = 20_000_000;
    let mut due_ns = if has_logs { 0 } else { setting.checkpoint_ns };
    let began_ns = shared.platform.now_ns();
    while !shared.is_stopping.get() {
        shared.platform.sleep(Duration::from_nanos(look_ns)).await;
        let now_ns = shared.platform.now_ns() - began_ns;
        if now_ns >= due_ns || checkpoints.is_log_full(setting.log_bytes_max) {
            let is_complete = checkpoint(&shared, &core, &mut checkpoints, false).await;
            due_ns = now_ns + if is_complete { setting.checkpoint_ns } else { setting.checkpoint_ns / 4 };
        }
        if random.percent(2) {
            let oldest = shared.platform.now_seconds() - setting.retention_seconds;
            let retain = move |shard: &mut Shard| {
                let mut work = FreeWork::saved(vec![ROOT], oldest);
                while !work.step(shard) {}
            };
            core.send(Event::Job(Box::new(retain)));
        }
    }
    // A connection is over when its requests are answered: nothing waits behind the last checkpoint.
    while !core.inbox.borrow().is_empty() {
        shared.platform.sleep(Duration::from_nanos(look_ns)).await;
    }
    if !checkpoint(&shared, &core, &mut checkpoints, true).await {
        shared.is_unclean.set(true);
    }
    shared.undrained.set(shared.undrained.get() - 1);
    shared.cores.borrow().iter().for_each(|core| core.ring());
}

async fn checkpoint(
    shared: &Shared,
    core: &Rc<Core>,
    checkpoints: &mut Checkpoints<SimPlatform>,
    is_last: bool,
) -> bool {
    let order = shared.oracle.borrow().order();
    shared.platform.note(|| format!("-- core {}: checkpoint", core.index));
    let hosts = PumpHosts(Rc::clone(core));
    let result = if is_last { checkpoints.run_last(&hosts).await } else { checkpoints.run(&hosts).await };
    shared.platform.note(|| format!("-- core {}: checkpoint {result:?}", core.index));
    let mut summary = shared.summary.borrow_mut();
    if result.is_err() {
        summary.failed_checkpoints += 1;
        return false;
    }
    summary.checkpoints += 1;
    let cores = shared.setting.cores;
    let is_owned = |series| shared.population.owner(series, cores) == core.index;
    shared.oracle.borrow_mut().checkpointed(order, is_owned);
    true
}

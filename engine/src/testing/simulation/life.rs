//! The lives of a history, one after the other: load, look, run, end.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Summary;
use super::client::Client;
use super::core::{self, Core, CoreStart, Shared, SimCore};
use super::oracle::Oracle;
use super::series::Population;
use crate::checkpoint::Kind;
use crate::durable::checkpoint::Inherited;
use crate::durable::commit::{CommitOptions, WalSync};
use crate::durable::load::{Found, LoadOptions, LoadedCore, inherited};
use crate::durable::names::LogFileName;
use crate::memory::spared::Spared;
use crate::platform::Files;
use crate::pump::mesh::mesh;
use crate::pump::stop::Stopping;
use crate::series::directory::Directory;
use crate::series::route::Router;
use crate::sync::budget::Budget;
use crate::sync::flag::Flag;
use crate::testing::disk::SimDisk;
use crate::testing::executor::{Ended, Executor};
use crate::testing::faults::{Crash, Faults};
use crate::testing::platform::{SimFiles, SimPlatform};
use crate::testing::random::Random;
use crate::wal::replay::{Replayer, Visitor};

/// Directory of the log.
pub(super) const LOG: &str = "/data/wal";
/// Root of the snapshots.
pub(super) const ROOT_DIRECTORY: &str = "/data/checkpoints";
/// The time at which a history begins, in seconds since 1970.
const BEGIN_SECONDS: i64 = 1_700_000_000;
/// The least length of a segment in any life.
const SEGMENT_BYTES_MIN: u64 = 8 * 1024;
/// Turns of tasks a life may take: many times what the longest needs.
const TURNS_MAX: u64 = 300_000;

/// How the daemon is configured in one life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) cores: usize,
    pub(super) commit: CommitOptions,
    pub(super) segment_bytes: u64,
    pub(super) free_files_max: usize,
    pub(super) kind: Kind,
    pub(super) checkpoint_ns: u64,
    pub(super) log_bytes_max: Option<u64>,
    pub(super) retention_seconds: i64,
    pub(super) cap_bytes: Option<u64>,
    pub(super) mailbox_messages: usize,
}

/// What goes on over all lives.
pub(super) struct World {
    disk: SimDisk,
    random: Random,
    population: Rc<Population>,
    oracle: Rc<RefCell<Oracle>>,
    summary: Rc<RefCell<Summary>>,
    now_ns: u64,
    wall_seconds: i64,
    /// The most that it was.
    wall_seconds_max: i64,
    /// How far it was set forward, all in all.
    forward_seconds: i64,
    sync: WalSync,
    /// Whether all lives so far synced before they acknowledged.
    was_always_synced: bool,
}

impl World {
    pub(super) fn new(disk: SimDisk, mut random: Random) -> Self {
        if random.percent(40) {
            disk.mount(Path::new(LOG));
        }
        let sync = any_sync(&mut random);
        Self {
            disk,
            random,
            population: Rc::new(Population::new()),
            oracle: Rc::default(),
            summary: Rc::default(),
            now_ns: 0,
            wall_seconds: BEGIN_SECONDS,
            wall_seconds_max: BEGIN_SECONDS,
            forward_seconds: 0,
            sync,
            was_always_synced: true,
        }
    }

    pub(super) fn summary(&self) -> Summary {
        *self.summary.borrow()
    }

    pub(super) fn run(&mut self) -> Result<(), String> {
        for _ in 0..self.random.within(2..7) {
            self.live()?;
        }
        // Nothing goes wrong at the last start: it tells what is left.
        self.summary.borrow_mut().lives += 1;
        self.disk.stop_after(None);
        self.disk.set_faults(Faults::default());
        let setting = self.setting();
        self.load(&setting, LOG)?.ok_or("the last start failed on a disk without faults")?;
        Ok(())
    }

    fn setting(&mut self) -> Setting {
        let random = &mut self.random;
        let segment_bytes = random.one_of(&[8, 16, 32, 64]) * 1024;
        Setting {
            cores: 1 + random.index(3),
            commit: CommitOptions {
                sync: self.sync,
                pending_bytes_max: random.one_of(&[2048, 16 * 1024, 1024 * 1024]),
                retry_interval: Duration::from_millis(random.one_of(&[1, 20])),
            },
            segment_bytes,
            free_files_max: random.index(4),
            kind: if random.percent(80) { Kind::Binary } else { Kind::Json },
            checkpoint_ns: random.one_of(&[30, 200, 2000]) * 1_000_000,
            log_bytes_max: random.one_of(&[None, Some(2 * segment_bytes)]),
            retention_seconds: 6 * 3600,
            cap_bytes: random.one_of(&[None, None, Some(1), Some(20_000)]),
            mailbox_messages: random.one_of(&[1, 2, 32]),
        }
    }

    fn faults(&mut self) -> Faults {
        Faults {
            error_percent: if self.random.percent(15) { 1 } else { 0 },
            latency_ns_max: self.random.one_of(&[10_000, 300_000, 3_000_000]),
            has_durable_writes: self.random.percent(70),
            ..Faults::default()
        }
    }

    /// When the machine stops in this life, if it does.
    fn stop_after(&mut self) -> Option<u64> {
        match self.random.index(100) {
            0..15 => None,
            15..35 => Some(1 + self.random.within(0..30)),
            35..60 => Some(1 + self.random.within(0..150)),
            _ => Some(1 + self.random.within(0..800)),
        }
    }

    fn live(&mut self) -> Result<(), String> {
        self.summary.borrow_mut().lives += 1;
        if self.random.percent(15) {
            self.sync = any_sync(&mut self.random);
        }
        let setting = self.setting();
        let (faults, stop_after) = (self.faults(), self.stop_after());
        self.disk.set_faults(faults);
        self.disk.note(|| format!("-- life {}: {setting:?}", self.summary.borrow().lives));
        self.disk.stop_after(stop_after);
        let failed_writes = self.disk.failed_writes();
        let shared = match self.load(&setting, LOG)? {
            Some(loaded) => {
                self.was_always_synced &= self.sync == WalSync::Always;
                Some(self.run_cores(&setting, loaded)?)
            }
            None if self.disk.is_stopped() => None,
            None => {
                self.summary.borrow_mut().failed_starts += 1;
                None
            }
        };
        let is_stopped = self.disk.is_stopped();
        let clean =
            shared.filter(|shared| !is_stopped && !shared.is_unclean.get() && !shared.has_failed_start.get());
        match clean {
            Some(shared) => {
                drop(shared);
                self.look_after_stop(&setting, failed_writes)?;
            }
            // A process that cannot start, or go on, ends: as if it were killed.
            None => self.crash(is_stopped),
        }
        if self.random.percent(6) {
            self.damage();
        }
        let pause = self.random.one_of(&[1, 3, 600, 3 * 3600]);
        let pause = self.random.within(0..pause) as i64;
        (self.wall_seconds, self.forward_seconds) = (self.wall_seconds + pause, self.forward_seconds + pause);
        self.wall_seconds_max = self.wall_seconds_max.max(self.wall_seconds);
        Ok(())
    }

    fn crash(&mut self, is_stopped: bool) {
        let crash = if is_stopped && self.random.percent(70) {
            Crash::Power { percent_kept: self.random.one_of(&[0, 20, 50, 80, 100]) }
        } else {
            Crash::Kill
        };
        self.disk.crash(crash);
        match crash {
            Crash::Kill => {
                self.summary.borrow_mut().kills += 1;
                if self.sync == WalSync::Off {
                    // Nothing but snapshots survives the process.
                    self.oracle.borrow_mut().lose_power();
                }
            }
            Crash::Power { .. } => {
                self.summary.borrow_mut().power_losses += 1;
                self.oracle.borrow_mut().lose_power();
            }
        }
    }

    /// Something happens to a file while no process runs. What it held may be lost; nothing may be made up.
    fn damage(&mut self) {
        let files = self.disk.files();
        if files.is_empty() {
            return;
        }
        let path = &files[self.random.index(files.len())];
        self.disk.note(|| format!("-- damage to {}", path.display()));
        let mut random = self.random.fork();
        self.disk.damage(path, &mut random);
        self.oracle.borrow_mut().doubt(|_| true);
        self.summary.borrow_mut().damaged_files += 1;
    }

    /// Loads what the disk holds and looks at it; none if the disk failed or the machine stopped.
    fn load(&mut self, setting: &Setting, log: &str) -> Result<Option<Vec<LoadedCore>>, String> {
        let seconds = (self.now_ns / 1_000_000_000) as i64;
        let now = self.wall_seconds + seconds;
        let failed_reads = self.disk.failed_reads();
        let options = LoadOptions {
            checkpoints: ROOT_DIRECTORY.into(),
            log: log.into(),
            segment_bytes: SEGMENT_BYTES_MIN,
            metrics: self.population.metrics.clone(),
            retention_seconds: setting.retention_seconds,
            now,
            cores: setting.cores,
            spared: Spared::default(),
            series: Budget::new(0),
        };
        let files = SimFiles(self.disk.clone());
        let Ok(found) = Found::find(&files, options) else {
            if !self.was_always_synced {
                self.oracle.borrow_mut().doubt(|_| true);
            }
            return Ok(None);
        };
        let loaded: Vec<LoadedCore> =
            (0..setting.cores).map(|core| found.load_core(&files, core, |_, _| {})).collect();
        if self.disk.is_stopped() {
            return Ok(None);
        }
        if self.disk.failed_reads() > failed_reads {
            // A file that cannot be read is set aside, with what it holds.
            self.oracle.borrow_mut().doubt(|_| true);
        }
        let shards = loaded.iter().map(|core| &core.shard);
        // What was too old once may be gone, even if the clock is set back.
        let oldest = self.wall_seconds_max.max(self.wall_seconds) + seconds - setting.retention_seconds;
        // Or if it goes forward again behind that: what is as old as the retention may be gone.
        let written_since = self.forward_seconds + seconds - setting.retention_seconds;
        let looked_for = self.oracle.borrow().check(&self.population, shards, oldest, written_since)?;
        self.summary.borrow_mut().looked_for += looked_for;
        Ok(Some(loaded))
    }

    fn run_cores(&mut self, setting: &Setting, loaded: Vec<LoadedCore>) -> Result<Rc<Shared>, String> {
        let executor = Executor::new(self.random.fork(), self.now_ns);
        let stop = Arc::new(Flag::default());
        let (directory, hosts) = Directory::new(setting.cores);
        let shared = Rc::new(Shared {
            platform: SimPlatform::new(self.disk.clone(), executor.clone(), self.wall_seconds),
            population: Rc::clone(&self.population),
            oracle: Rc::clone(&self.oracle),
            summary: Rc::clone(&self.summary),
            setting: *setting,
            forward_seconds_before: self.forward_seconds,
            directory: Arc::clone(&directory),
            stopping: Stopping::new(setting.cores, Arc::clone(&stop)),
            sent: RefCell::default(),
            applied: RefCell::default(),
            frees: RefCell::default(),
            under_way: (0..setting.cores).map(|_| Cell::default()).collect(),
            closed: Cell::new(0),
            is_unclean: Cell::new(false),
            has_failed_start: Cell::new(false),
            failure: RefCell::default(),
            queues: RefCell::default(),
        });
        let inherited = Inherited::new(setting.cores, inherited(&loaded));
        let mut cores = Vec::new();
        let parts = mesh(setting.cores, setting.mailbox_messages).into_iter().zip(loaded).zip(hosts);
        for ((ends, mut loaded), mut hosts) in parts {
            hosts.publish(&mut loaded.shard);
            let index = ends.index;
            let router = Router::new(self.population.metrics.clone(), setting.cores, 0);
            let (core, incoming) =
                Core::new(ends, directory.clone(), router, SimCore::new(Rc::clone(&shared), index));
            cores.push(Rc::clone(&core));
            let (inherited, random) = (inherited.clone(), self.random.fork());
            let start = CoreStart { core, incoming, loaded, hosts, inherited, random };
            executor.spawn_on(index, "core", core::run(Rc::clone(&shared), start));
        }
        let client = Client::new(Rc::clone(&shared), cores, stop, self.random.fork());
        let actions = self.random.one_of(&[10, 60, 200]);
        // On a machine of its own.
        executor.spawn_on(setting.cores, "client", async move { client.run(actions).await });

        let is_over = || {
            self.disk.is_stopped()
                || shared.has_failed_start.get()
                || shared.failure.borrow().is_some()
                || shared.closed.get() == setting.cores
        };
        let ended = executor.run(TURNS_MAX, is_over);
        let tasks = executor.tasks();
        self.end(&shared, &executor);
        if let Some(failure) = shared.failure.take() {
            return Err(failure);
        }
        match ended {
            Ended::Done => Ok(shared),
            Ended::Stalled => Err(format!("all tasks wait for ever: {tasks:?}")),
            Ended::TooLong => Err(format!("it does not come to an end: {tasks:?}")),
        }
    }

    /// Ends the tasks of a life, however far they are.
    fn end(&mut self, shared: &Rc<Shared>, executor: &Executor) {
        let cores = shared.setting.cores;
        let queues = shared.queues.take();
        if queues.len() < cores {
            self.summary.borrow_mut().crashes_at_start += 1;
        }
        for (index, queue) in &queues {
            let failures = queue.statistics().failures;
            self.summary.borrow_mut().log_failures += failures;
            let is_owned = |series| self.population.owner(series, cores) == *index;
            if self.sync != WalSync::Always && queue.statistics().sync_failures > 0 {
                self.oracle.borrow_mut().doubt(is_owned);
            }
            if let (WalSync::Interval(interval), 0) = (self.sync, failures) {
                // One sync each interval; it waits for writes under way, and writes for it.
                let bound_ns =
                    interval.as_nanos() as u64 + 60 * self.disk.faults_at(Path::new(LOG)).latency_ns_max;
                let before_ns = executor.now_ns().saturating_sub(bound_ns);
                self.oracle.borrow_mut().synced(self.now_ns..before_ns, is_owned);
            }
        }
        drop(queues);
        executor.kill();
        self.now_ns = executor.now_ns();
        self.wall_seconds = shared.platform.wall_seconds();
        self.forward_seconds += shared.platform.forward_seconds();
        self.wall_seconds_max = self.wall_seconds_max.max(shared.platform.wall_seconds_max());
    }

    /// After a clean stop the log holds no samples, if the disk did not fail, and the snapshots everything.
    fn look_after_stop(&mut self, setting: &Setting, failed_writes: u64) -> Result<(), String> {
        let files = SimFiles(self.disk.clone());
        self.disk.stop_after(None);
        self.disk.set_faults(Faults::default());
        for entry in files.read_dir(Path::new(LOG)).map_err(|error| error.to_string())? {
            let Some(LogFileName::Log(name)) = LogFileName::parse(&entry.name) else { continue };
            let bytes = files.read(&name.log_path(Path::new(LOG))).map_err(|error| error.to_string())?;
            let mut replayer = Replayer::with_id(name.id);
            replayer.feed(&bytes, &mut Nobody);
            let samples = replayer.finish(&mut Nobody).counts.samples;
            // On a disk that fails no segment may have been begun for what comes after the last checkpoint.
            if samples > 0 && self.disk.failed_writes() == failed_writes {
                return Err(format!("after a stop segment {:x} still holds {samples} samples", name.id));
            }
        }
        self.load(setting, "/nowhere").map_err(|error| format!("snapshots alone: {error}"))?;
        self.summary.borrow_mut().clean_stops += 1;
        Ok(())
    }
}

fn any_sync(random: &mut Random) -> WalSync {
    let interval = Duration::from_millis(random.one_of(&[5, 50, 300]));
    random.one_of(&[
        WalSync::Always,
        WalSync::Always,
        WalSync::Always,
        WalSync::Interval(interval),
        WalSync::None,
        WalSync::Off,
    ])
}

/// Looks at nothing.
struct Nobody;

impl Visitor for Nobody {
    fn declare(&mut self, _: u32, _: &[&str], _: &str) {}
    fn sample(&mut self, _: u32, _: i64, _: f64) {}
    fn free(&mut self, _: &[&str], _: i64) {}
}

//! A simulated machine for one test, and one core on it: shard, log, checkpoints.

#![allow(dead_code, reason = "every test file uses another part of the harness")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::checkpoint::Kind;
use engine::config::{Aggregation, Metric, MetricId, Metrics};
use engine::durable::checkpoint::{Checkpoints, HostSnapshots, Hosts, Inherited};
use engine::durable::commit::CommitOptions;
use engine::durable::journal::{Done, Free, Journal};
use engine::durable::load::{Found, LoadOptions, LoadedCore, inherited};
use engine::durable::segments::SegmentOptions;
use engine::memory::save::HostHandedOver;
use engine::memory::shard::Shard;
use engine::memory::snapshot::SnapshotWork;
use engine::memory::spared::Spared;
use engine::memory::work::ShardWork;
use engine::platform::{Clock, Files};
use engine::series::route::{Batch, Sample};
use engine::series::tree::LevelId;
use engine::sync::budget::Budget;
use engine::testing::disk::SimDisk;
use engine::testing::executor::{Ended, Executor};
use engine::testing::platform::SimPlatform;
use engine::testing::random::Random;

/// Directory of the log.
pub(crate) const LOG: &str = "/data/wal";
/// Root of the snapshots.
pub(crate) const CHECKPOINTS: &str = "/data/checkpoints";
/// When a test begins, in seconds since 1970.
pub(crate) const WALL_SECONDS: i64 = 1_700_000_040;
/// How long samples are kept.
pub(crate) const RETENTION_SECONDS: i64 = 48 * 3600;
/// Length of a segment.
pub(crate) const SEGMENT_BYTES: u64 = 64 * 1024;

/// Runs a test on a simulated machine, whose every choice follows from the seed.
pub(crate) fn on_a_machine<F: Future<Output = ()> + 'static>(
    seed: u64,
    test: impl FnOnce(SimPlatform, SimDisk) -> F,
) {
    on_the_machine_of(&SimDisk::new(Random::new(seed), false), seed, WALL_SECONDS, test);
}

/// One life of a process on the machine of this disk.
pub(crate) fn on_the_machine_of<F: Future<Output = ()> + 'static>(
    disk: &SimDisk,
    seed: u64,
    wall_seconds: i64,
    test: impl FnOnce(SimPlatform, SimDisk) -> F,
) {
    let executor = Executor::new(Random::new(seed ^ 1), 0);
    let platform = SimPlatform::new(disk.clone(), executor.clone(), wall_seconds);
    let is_over = Rc::new(Cell::new(false));
    let test = test(platform, disk.clone());
    let over = Rc::clone(&is_over);
    executor.spawn("test", async move {
        test.await;
        over.set(true);
    });
    let ended = executor.run(1_000_000, || is_over.get());
    assert_eq!(ended, Ended::Done, "seed {seed}: {:?}", executor.tasks());
    executor.kill();
}

/// The metrics of every test: `load`, a sample a minute.
pub(crate) fn metrics() -> Arc<Metrics> {
    let metric = Metric { name: "load".into(), frequency: 60, aggregation: Aggregation::Sum };
    Metrics::new(vec![metric]).unwrap()
}

/// What a load of one test reads.
pub(crate) fn load_options(cores: usize, now: i64) -> LoadOptions {
    LoadOptions {
        checkpoints: CHECKPOINTS.into(),
        log: LOG.into(),
        segment_bytes: SEGMENT_BYTES,
        metrics: metrics(),
        retention_seconds: RETENTION_SECONDS,
        now,
        cores,
        spared: Spared::default(),
        series: Budget::new(0),
    }
}

/// Loads what is there for so many cores.
pub(crate) fn load(files: &impl Files, cores: usize, now: i64) -> Vec<LoadedCore> {
    let found = Found::find(files, load_options(cores, now)).unwrap();
    (0..cores).map(|core| found.load_core(files, core, |_, _| {})).collect()
}

/// The values of `load` of a host, by time.
pub(crate) fn values(shard: &Shard, cluster: &str, host: &str) -> Vec<(i64, f64)> {
    let Some(level) = shard.tree().find([cluster, host]) else { return Vec::new() };
    let Some(id) = shard.tree().series(level, MetricId(0)) else { return Vec::new() };
    let mut found = Vec::new();
    for buffer in shard.chain(id).buffers() {
        let times = (0i64..).map(|slot| buffer.first_write(60) + 60 * slot);
        found.extend(times.zip(buffer.values(shard.pool())).filter(|(_, value)| !value.is_nan()));
    }
    found
}

/// What became of what was handed to the log, in order: which, and whether it is acknowledged.
pub(crate) type Told = Rc<RefCell<Vec<(u64, Result<(), String>)>>>;

/// One core, whose pump is the test.
pub(crate) struct Core {
    pub(crate) platform: SimPlatform,
    pub(crate) shard: Rc<RefCell<Shard>>,
    pub(crate) journal: Journal<SimPlatform, u64>,
    pub(crate) checkpoints: Checkpoints<SimPlatform>,
    pub(crate) told: Told,
    frees: Rc<RefCell<Vec<Free>>>,
    links: Vec<[String; 2]>,
    next: u64,
}

impl Core {
    /// A core on what is there.
    pub(crate) async fn start(platform: &SimPlatform, files: &impl Files, options: CommitOptions) -> Self {
        let mut loaded = load(files, 1, platform.now_seconds());
        let inherited = Inherited::new(1, inherited(&loaded));
        let loaded = loaded.pop().unwrap();
        let (told, frees) = (Told::default(), Rc::<RefCell<Vec<Free>>>::default());
        let tell = {
            let (told, frees) = (Rc::clone(&told), Rc::clone(&frees));
            move |tag: u64, done| {
                let result = match done {
                    Done::Written(..) => Ok(()),
                    Done::Recorded(free) => {
                        frees.borrow_mut().push(free);
                        Ok(())
                    }
                    Done::NotWritten(why, _) | Done::NotRecorded(why) => Err(why.into_string()),
                };
                told.borrow_mut().push((tag, result));
            }
        };
        let segments =
            SegmentOptions { segment_bytes: SEGMENT_BYTES, ..SegmentOptions::new(LOG.into(), 0, 1) };
        let journal = Journal::start(platform.clone(), segments, options, tell).await.unwrap();
        let checkpoints = Checkpoints::new(
            platform.clone(),
            journal.queue(),
            CHECKPOINTS.into(),
            Kind::Binary,
            inherited,
            loaded.reference_logs,
        );
        Self {
            platform: platform.clone(),
            shard: Rc::new(RefCell::new(loaded.shard)),
            journal,
            checkpoints,
            told,
            frees,
            links: Vec::new(),
            next: 0,
        }
    }

    /// A batch of samples (cluster, host, time, value).
    pub(crate) fn batch(&mut self, samples: &[(&str, &str, i64, f64)]) -> Batch {
        let mut batch = Batch::default();
        for &(cluster, host, time, value) in samples {
            let link = self.links.iter().position(|known| *known == [cluster, host]).unwrap_or_else(|| {
                batch.declarations.push([[cluster, ""], [host, ""]], MetricId(0));
                self.links.push([cluster.to_owned(), host.to_owned()]);
                self.links.len() - 1
            });
            batch.samples.push(Sample { link: link as u32, time, value });
        }
        batch
    }

    /// Hands a batch to the log, within a turn; its tag.
    pub(crate) fn hand_in(&mut self, samples: &[(&str, &str, i64, f64)]) -> u64 {
        let batch = self.batch(samples);
        let tag = self.next;
        self.next += 1;
        self.journal.write(&mut self.shard.borrow_mut(), 0, batch, tag);
        tag
    }

    /// A turn that stores these samples, and the wait for what became of them.
    pub(crate) async fn write(&mut self, samples: &[(&str, &str, i64, f64)]) -> Result<(), String> {
        self.journal.begin_turn().await;
        let tag = self.hand_in(samples);
        self.journal.end_block(&self.shard.borrow());
        self.outcome(tag).await
    }

    /// What became of a batch.
    pub(crate) async fn outcome(&mut self, tag: u64) -> Result<(), String> {
        loop {
            let told = self.told.borrow().iter().find(|(told, _)| *told == tag).cloned();
            if let Some((_, result)) = told {
                return result;
            }
            self.platform.sleep(Duration::from_millis(1)).await;
            // As the pump, which goes on with what was carried over.
            self.journal.begin_turn().await;
            self.journal.end_block(&self.shard.borrow());
        }
    }

    /// The hosts, as a checkpoint sees them.
    pub(crate) fn hosts(&self) -> ShardHosts {
        ShardHosts(Rc::clone(&self.shard))
    }

    /// Names in a directory.
    pub(crate) fn names(files: &impl Files, directory: &str) -> Vec<String> {
        let entries = files.read_dir(Path::new(directory)).unwrap_or_default();
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A shard without a pump.
pub(crate) struct ShardHosts(pub(crate) Rc<RefCell<Shard>>);

impl Hosts for ShardHosts {
    async fn hosts(&self) -> Vec<LevelId> {
        self.0.borrow().hosts()
    }

    async fn hand_over(&self, host: LevelId, kind: Kind, from: i64, to: i64) -> Option<HostSnapshots> {
        SnapshotWork::new(host, kind, from, to).finish(&mut self.0.borrow_mut())
    }

    async fn take_back(&self, handed_over: HostHandedOver) {
        self.0.borrow_mut().take_back(&handed_over);
    }
}

//! The archive on a simulated disk: the machine stops at every step of a round, and at every moment each sample is in a
//! snapshot or in the archive; when a round has run through, exactly once in the archive.
//!
//! `ARCHIVE_SEED=… cargo test -p engine --test archive_crashes` runs one seed.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use engine::archive::Scope;
use engine::checkpoint::file_name::parse;
use engine::checkpoint::{SnapshotEncoder, SnapshotSeries, SnapshotSink, decode_as};
use engine::durable::archive::{ArchiveOptions, Progress, round};
use engine::durable::cleanup::{CleanupOptions, Outcome};
use engine::platform::{Clock, Files, create_directory_durably, write_atomically};
use engine::testing::disk::SimDisk;
use engine::testing::executor::{Ended, Executor};
use engine::testing::faults::{Crash, Faults};
use engine::testing::platform::{SimFiles, SimPlatform};
use engine::testing::random::Random;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

const NOW: i64 = 1_700_000_000;
const RETENTION: i64 = 100_000;
const INTERVAL: i64 = 10_000;
const CHECKPOINTS: &str = "/data/checkpoints";
const ARCHIVE: &str = "/data/archive";
/// The metrics and levels of every host.
const SERIES: [(&str, &[&str]); 3] = [("power", &[]), ("clock", &["socket0"]), ("power", &["socket0"])];

/// Cluster, host, metric, scope, scope id, time.
type Slot = (String, String, String, String, String, i64);
/// The value of each slot that a load would find.
type Samples = BTreeMap<Slot, u32>;

struct Silent;

impl Progress for Silent {
    fn planned(&self, _: u64) {}
    fn archived(&self, _: u64, _: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A machine with snapshots on its disk.
struct Machine {
    disk: SimDisk,
    random: Random,
    now: i64,
    samples: Samples,
    /// Slots of snapshots that are out of retention.
    expired: BTreeSet<Slot>,
    /// Values that were replaced.
    replaced: BTreeSet<(Slot, u32)>,
    damaged: Vec<String>,
}

fn slot(cluster: &str, host: &str, metric: &str, path: &[&str], time: i64) -> Slot {
    let Scope { scope, id } = Scope::of(path);
    (cluster.to_owned(), host.to_owned(), metric.to_owned(), scope.to_owned(), id.to_owned(), time)
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(random.fork(), false);
        let mut machine = Self {
            disk,
            random,
            now: NOW,
            samples: Samples::new(),
            expired: BTreeSet::new(),
            replaced: BTreeSet::new(),
            damaged: Vec::new(),
        };
        machine.populate();
        machine
    }

    fn populate(&mut self) {
        let mut files = Vec::new();
        let mut values = 0;
        for (cluster, hosts) in [("alex", 2), ("fritz", 3)] {
            for host in 0..hosts {
                let host = format!("h{host}");
                let mut at = NOW - RETENTION - 60_000;
                let expired = self.random.within(0..4);
                for index in 0..expired + 1 {
                    // The last one is young.
                    let from = if index == expired { NOW - 5_000 } else { at };
                    at += 12_000;
                    let is_damaged = index < expired && self.random.percent(8);
                    let to = from + INTERVAL.min(NOW - from);
                    let mut encoder = SnapshotEncoder::new(from, to);
                    let mut is_below = false;
                    for (metric, path) in SERIES {
                        if !path.is_empty() && !is_below {
                            encoder.open_level(path[0]);
                            is_below = true;
                        }
                        // Those of one host overlap a little, but for the young one.
                        let start = from / 60 * 60 - if index < expired { 120 } else { 0 };
                        let start = if index == 0 || index == expired { from / 60 * 60 } else { start };
                        let count = 1 + self.random.within(0..12) as i64;
                        let mut series = Vec::new();
                        for time in (0..count).map(|index| start + index * 60) {
                            values += 1;
                            let value = if self.random.percent(20) { f32::NAN } else { values as f32 };
                            series.push(f64::from(value));
                            if !value.is_nan() && !is_damaged {
                                let slot = slot(cluster, &host, metric, path, time);
                                if index < expired {
                                    self.expired.insert(slot.clone());
                                }
                                if let Some(old) = self.samples.insert(slot.clone(), value.to_bits()) {
                                    self.replaced.insert((slot, old));
                                }
                            }
                        }
                        encoder.series(metric, 60, start, series);
                    }
                    encoder.close_level();
                    let (mut bytes, _) = encoder.finish();
                    let path = format!("{CHECKPOINTS}/{cluster}/{host}/{from}.bin");
                    if is_damaged {
                        bytes.truncate(bytes.len() / 2);
                        self.damaged.push(path.clone());
                    }
                    files.push((path, bytes, to));
                }
            }
        }
        let ended = self.run(move |platform| async move {
            for (path, bytes, to) in files {
                // Files are as old as the time they were written at.
                platform.advance(to - platform.now_seconds());
                let path = Path::new(&path);
                let (directory, name) = (path.parent().unwrap(), path.file_name().unwrap());
                create_directory_durably(&platform, directory).await.unwrap();
                write_atomically(&platform, directory, name.to_str().unwrap(), bytes).await.unwrap();
            }
        });
        assert_eq!(ended, Ended::Done);
    }

    /// Runs a task until it or the machine has ended.
    fn run<F: Future<Output = ()> + 'static>(&mut self, task: impl FnOnce(SimPlatform) -> F) -> Ended {
        let executor = Executor::new(self.random.fork(), 0);
        let platform = SimPlatform::new(self.disk.clone(), executor.clone(), self.now);
        let is_over = Rc::new(RefCell::new(false));
        let (task, over) = (task(platform), Rc::clone(&is_over));
        executor.spawn("task", async move {
            task.await;
            *over.borrow_mut() = true;
        });
        let ended = executor.run(1_000_000, || *is_over.borrow() || self.disk.is_stopped());
        executor.kill();
        ended
    }

    /// One round, ten seconds after the last.
    fn round(&mut self) -> Outcome {
        self.now += 10;
        let outcome = Rc::new(RefCell::new(Outcome::default()));
        let cleanup = CleanupOptions {
            checkpoints: CHECKPOINTS.into(),
            retention_seconds: RETENTION,
            checkpoint_interval_seconds: INTERVAL,
            keeps_files: true,
        };
        let options = ArchiveOptions { cleanup, directory: ARCHIVE.into() };
        let result = Rc::clone(&outcome);
        let ended = self.run(|platform| async move {
            let done = round(&platform, &options, |_, _| true, &Silent).await;
            *result.borrow_mut() = done;
        });
        assert_eq!(ended, Ended::Done);
        outcome.take()
    }

    fn files(&self, root: &str) -> Vec<(String, Vec<u8>)> {
        let files = SimFiles(self.disk.clone());
        let (mut found, mut directories) = (Vec::new(), vec![Path::new(root).to_owned()]);
        while let Some(directory) = directories.pop() {
            for entry in files.read_dir(&directory).into_iter().flatten() {
                let path = directory.join(entry.name);
                if entry.is_directory {
                    directories.push(path);
                } else {
                    found.push((path.to_str().unwrap().to_owned(), files.read(&path).unwrap()));
                }
            }
        }
        found
    }

    /// What the snapshots hold.
    fn in_snapshots(&self) -> BTreeSet<(Slot, u32)> {
        let mut found = BTreeSet::new();
        for (path, bytes) in self.files(CHECKPOINTS) {
            let parts: Vec<&str> = path.split('/').collect();
            let [.., cluster, host, name] = parts[..] else { unreachable!("{path}") };
            let Some((_, kind)) = parse(name) else { continue };
            let visited = decode_as(kind, &bytes, &mut |series: SnapshotSeries<'_>| {
                for (index, value) in (0..).zip(series.values).filter(|(_, value)| !value.is_nan()) {
                    let time = series.start + index * series.frequency;
                    found.insert((slot(cluster, host, series.metric, series.path, time), value.to_bits()));
                }
            });
            assert!(visited.is_ok() || self.damaged.contains(&path), "{path}: {visited:?}");
        }
        found
    }

    /// The rows of all archive files.
    fn in_archive(&self) -> Vec<(Slot, u32)> {
        let mut found = Vec::new();
        for (path, bytes) in self.files(ARCHIVE).into_iter().filter(|(path, _)| path.ends_with(".parquet")) {
            let reader = SerializedFileReader::new(Bytes::from(bytes))
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            for row in reader.get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let text = |column| row.get_string(column).unwrap().clone();
                let slot = (text(0), text(1), text(2), text(3), text(4), row.get_long(5).unwrap());
                found.push((slot, row.get_float(7).unwrap().to_bits()));
            }
        }
        found
    }

    /// Each sample is in a snapshot or in the archive, and nothing else is in the archive.
    fn check(&self) -> Result<(), String> {
        let (snapshots, archive) = (self.in_snapshots(), self.in_archive());
        let archived: BTreeSet<_> = archive.iter().cloned().collect();
        for (slot, value) in &self.samples {
            let sample = (slot.clone(), *value);
            if !snapshots.contains(&sample) && !archived.contains(&sample) {
                return Err(format!("{slot:?} is neither in a snapshot nor in the archive"));
            }
        }
        for sample in archived {
            if self.samples.get(&sample.0) != Some(&sample.1) {
                return Err(format!("{sample:?} is in the archive, but was replaced or never there"));
            }
        }
        Ok(())
    }

    /// How many damaged snapshots were set aside.
    fn set_aside(&self) -> usize {
        self.files(CHECKPOINTS).iter().filter(|(path, _)| path.ends_with(".corrupt")).count()
    }

    /// As [`check`](Self::check), after a round without faults.
    fn check_complete(&self) -> Result<(), String> {
        self.check()?;
        let archive = self.in_archive();
        let distinct: BTreeSet<_> = archive.iter().map(|(slot, _)| slot.clone()).collect();
        if distinct.len() != archive.len() {
            return Err(format!("{} rows are in the archive twice", archive.len() - distinct.len()));
        }
        if distinct != self.expired {
            return Err(format!("{} of {} slots are in the archive", distinct.len(), self.expired.len()));
        }
        let left = self.in_snapshots().into_iter().filter(|(slot, _)| self.expired.contains(slot)).count();
        if left > 0 {
            return Err(format!("{left} archived samples are in snapshots as well"));
        }
        let files = self.files(ARCHIVE).into_iter().map(|(path, _)| path);
        let rest: Vec<_> = files.filter(|path| !path.ends_with(".parquet")).collect();
        if !rest.is_empty() {
            return Err(format!("left in the archive: {rest:?}"));
        }
        let snapshots = self.files(CHECKPOINTS);
        for path in &self.damaged {
            // One that became the last before the retention looks young here, as its header cannot be read.
            let is_it = |other: &str| other == path || other.strip_suffix(".corrupt") == Some(path);
            if !snapshots.iter().any(|(other, _)| is_it(other)) {
                return Err(format!("{path} was damaged and is gone"));
            }
        }
        Ok(())
    }

    fn crash(&mut self) {
        let crash = match self.random.index(3) {
            0 => Crash::Kill,
            _ => Crash::Power { percent_kept: self.random.one_of(&[0, 20, 50, 80, 100]) },
        };
        self.disk.crash(crash);
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("ARCHIVE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..6).collect(),
    }
}

#[test]
fn a_sample_is_never_in_neither_place_wherever_the_machine_stops() {
    let (mut stops, mut archived) = (0, 0);
    for seed in seeds() {
        let mut machine = Machine::new(seed);
        let before = machine.disk.steps();
        let outcome = machine.round();
        assert_eq!(outcome.failures, 0, "seed {seed}: {outcome:?}");
        machine.check_complete().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        assert_eq!(machine.set_aside(), machine.damaged.len(), "seed {seed}");
        archived += outcome.rows;
        for stop in 1..machine.disk.steps() - before {
            let fail = |moment: &str, what: String| -> ! {
                panic!("ARCHIVE_SEED={seed}, stopped at step {stop}, {moment}: {what}")
            };
            let mut machine = Machine::new(seed);
            // Another crash after another history.
            (0..stop).for_each(|_| drop(machine.random.fork()));
            machine.disk.stop_after(Some(stop));
            machine.round();
            machine.crash();
            machine.check().unwrap_or_else(|what| fail("then", what));
            if stop % 2 == 0 {
                let again = 1 + machine.random.within(0..60);
                machine.disk.stop_after(Some(again));
                machine.round();
                machine.crash();
                machine.check().unwrap_or_else(|what| fail("and again", what));
            }
            machine.disk.stop_after(None);
            let outcome = machine.round();
            assert_eq!(outcome.failures, 0, "seed {seed}, stop {stop}: {outcome:?}");
            machine.check_complete().unwrap_or_else(|what| fail("after another round", what));
            stops += 1;
        }
    }
    println!("{stops} stops, {archived} rows");
    assert!(archived > 100 && stops > 200, "{stops} stops, {archived} rows");
}

#[test]
fn a_sample_is_never_in_neither_place_whatever_the_disk_refuses() {
    let mut failures = 0;
    for seed in 0..150 {
        let mut machine = Machine::new(seed);
        for _ in 0..2 {
            let error_percent = machine.random.one_of(&[1, 5, 30]);
            machine.disk.set_faults(Faults { error_percent, ..Faults::default() });
            failures += machine.round().failures;
            machine.disk.set_faults(Faults::default());
            machine.check().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        }
        machine.crash();
        machine.check().unwrap_or_else(|what| panic!("seed {seed}, after a crash: {what}"));
        assert_eq!(machine.round().failures, 0, "seed {seed}");
        machine.check_complete().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    assert!(failures > 100, "only {failures}");
}

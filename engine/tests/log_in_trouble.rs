//! A core's log on a simulated disk, at moments that the simulator's histories seldom hit.

use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use engine::config::{Aggregation, Metric, MetricId, Metrics};
use engine::durable::commit::{CommitOptions, CommitQueue, LogState};
use engine::durable::journal::{Done, Journal};
use engine::durable::names::LogFileName;
use engine::durable::segments::{SegmentOptions, Segments};
use engine::memory::shard::Shard;
use engine::platform::{Clock, Disk, Files, SECTOR_BYTES};
use engine::series::route::{Batch, Sample};
use engine::testing::disk::SimDisk;
use engine::testing::executor::{Ended, Executor};
use engine::testing::faults::Faults;
use engine::testing::platform::{SimFiles, SimPlatform};
use engine::testing::random::Random;
use engine::wal::replay::{End, Replayer, Visitor};

const LOG: &str = "/wal";
const WALL_SECONDS: i64 = 1_700_000_000;

/// Runs a test on a simulated machine, whose every choice follows from the seed.
fn on_a_machine<F: Future<Output = ()> + 'static>(seed: u64, test: impl FnOnce(SimPlatform, SimDisk) -> F) {
    let disk = SimDisk::new(Random::new(seed), false);
    let executor = Executor::new(Random::new(seed ^ 1), 0);
    let platform = SimPlatform::new(disk.clone(), executor.clone(), WALL_SECONDS);
    let is_over = Rc::new(RefCell::new(false));
    let test = test(platform, disk);
    let over = Rc::clone(&is_over);
    executor.spawn("test", async move {
        test.await;
        *over.borrow_mut() = true;
    });
    assert_eq!(
        executor.run(1_000_000, || *is_over.borrow()),
        Ended::Done,
        "seed {seed}: {:?}",
        executor.tasks()
    );
    executor.kill();
}

fn segment_options() -> SegmentOptions {
    SegmentOptions { segment_bytes: 64 * 1024, ..SegmentOptions::new(LOG.into(), 0, 1) }
}

#[test]
fn the_line_of_a_checkpoint_is_right_while_a_segment_is_being_begun() {
    let mut under_way = 0;
    for seed in 0..200 {
        let taken = Rc::new(RefCell::new(0u64));
        let counted = Rc::clone(&taken);
        on_a_machine(seed, |platform, disk| async move {
            platform.create_directory(Path::new(LOG)).await.unwrap();
            let segments = Segments::open(platform.clone(), segment_options()).await.unwrap();
            let options =
                CommitOptions { retry_interval: Duration::from_millis(5), ..CommitOptions::default() };
            let queue = CommitQueue::start(segments, options, |_| {}).await.unwrap();
            let before = queue.segment().unwrap();
            let block = [0; SECTOR_BYTES];
            let ticket = queue.append(before, &block).unwrap();
            queue.wait(ticket).await.unwrap();

            disk.set_faults(Faults { error_percent: 100, ..Faults::default() });
            let ticket = queue.append(before, &block).unwrap();
            queue.wait(ticket).await.unwrap_err();
            // The next attempt succeeds; the line is drawn somewhere in the middle of it.
            disk.set_faults(Faults { latency_ns_max: 8_000_000, ..Faults::default() });
            let mut random = Random::new(seed);
            platform.sleep(Duration::from_nanos(random.within(0..30_000_000))).await;
            let was_failed = matches!(queue.state(), LogState::Failed(_));
            let line = queue.cut().await.unwrap();
            while queue.segment().is_none() {
                platform.sleep(Duration::from_millis(1)).await;
            }
            let after = queue.segment().unwrap();
            assert!(before < line && line <= after, "seed {seed}: {before:x} < {line:x} <= {after:x}");
            *counted.borrow_mut() += u64::from(was_failed);
        });
        under_way += *taken.borrow();
    }
    assert!(under_way > 20, "only {under_way} lines were drawn while the log had failed");
}

/// Looks at nothing.
struct Nobody;

impl Visitor for Nobody {
    fn declare(&mut self, _: u32, _: &[&str], _: &str) {}
    fn sample(&mut self, _: u32, _: i64, _: f64) {}
    fn free(&mut self, _: &[&str], _: i64) {}
}

/// Blocks that were on their way to the disk together may be there in any order after a loss of power: a later one without an
/// earlier one is no damage.
#[test]
fn a_hole_among_blocks_that_were_never_acknowledged_is_no_damage() {
    on_a_machine(3, |platform, disk| async move {
        platform.create_directory(Path::new(LOG)).await.unwrap();
        let metric = Metric { name: "load".into(), frequency: 60, aggregation: Aggregation::None };
        let metrics = Metrics::new(vec![metric]).unwrap();
        let mut shard = Shard::new(metrics, 1, 48 * 3600);
        let told = Rc::new(RefCell::new(Vec::new()));
        let tell = {
            let told = Rc::clone(&told);
            move |turn: u64, done| told.borrow_mut().push((turn, matches!(done, Done::Written(..))))
        };
        let options = CommitOptions::default();
        let mut journal = Journal::start(platform.clone(), segment_options(), options, tell).await.unwrap();
        for turn in 0..2u64 {
            let mut batch = Batch::default();
            if turn == 0 {
                batch.declarations.push([["c", ""], ["h", ""]], MetricId(0));
            }
            batch.samples.push(Sample { link: 0, time: WALL_SECONDS + 60 * turn as i64, value: 1.5 });
            journal.begin_turn().await;
            journal.write(&mut shard, 0, batch, turn);
            journal.end_block(&shard);
        }
        while told.borrow().len() < 2 {
            platform.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*told.borrow(), [(0, true), (1, true)]);

        let files = SimFiles(disk);
        let mut is_found = false;
        for entry in files.read_dir(Path::new(LOG)).unwrap() {
            let Some(LogFileName::Log(name)) = LogFileName::parse(&entry.name) else { continue };
            let mut bytes = files.read(&name.log_path(Path::new(LOG))).unwrap();
            let end = |bytes: &[u8]| {
                let mut replayer = Replayer::with_id(name.id);
                replayer.feed(bytes, &mut Nobody);
                let outcome = replayer.finish(&mut Nobody);
                (outcome.end, outcome.counts.samples)
            };
            if end(&bytes) == (End::Clean, 2) {
                is_found = true;
                // The first block is lost, the second one not.
                bytes[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0);
                assert_eq!(end(&bytes), (End::Torn { at_bytes: SECTOR_BYTES as u64 }, 0));
            }
        }
        assert!(is_found, "a segment holds both samples");
    });
}

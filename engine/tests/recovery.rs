//! What was stored is there again: from snapshots within f32, from the log exactly, from both together.
#![expect(clippy::unwrap_used, reason = "a test fails where something unexpected happens")]

use std::sync::Arc;

use engine::checkpoint::Kind;
use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, LineStream, Outbox};
use engine::memory::shard::Shard;
use engine::memory::snapshot::SnapshotWork;
use engine::memory::work::ShardWork;
use engine::recovery::Recovery;
use engine::series::route::Router;
use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;
use proptest::prelude::*;

const NOW: i64 = 1_700_100_000;
const RETENTION_SECONDS: i64 = 48 * 3600;

fn metrics() -> Arc<Metrics> {
    let metric =
        |name: &str, frequency| Metric { name: name.into(), frequency, aggregation: Aggregation::Sum };
    Metrics::new(vec![metric("load", 60), metric("clock", 1), metric("odd", 7)]).unwrap()
}

/// A store of one core with its log, and what is on its disk.
struct Store {
    metrics: Arc<Metrics>,
    router: Router,
    shard: Shard,
    log: SegmentEncoder,
    /// The segment being written.
    segment: Vec<u8>,
    /// Host, `from`, kind, bytes.
    snapshots: Vec<(String, i64, Kind, Vec<u8>)>,
    checkpoints: i64,
}

fn header(id: u64) -> SegmentHeader {
    SegmentHeader { id, core: 0, cores: 1, created_seconds: NOW }
}

impl Store {
    fn new() -> Self {
        let metrics = metrics();
        Self {
            router: Router::new(Arc::clone(&metrics), 1, 1),
            shard: Shard::new(Arc::clone(&metrics), 1, RETENTION_SECONDS),
            log: SegmentEncoder::new(header(1)),
            segment: header(1).encode().to_vec(),
            snapshots: Vec::new(),
            checkpoints: 0,
            metrics,
        }
    }

    fn write(&mut self, lines: &str) {
        let mut outbox = Outbox::new(1);
        let mut stream = LineStream::new(BadLine::Stop);
        stream.push(&mut self.router, "c", NOW, lines.as_bytes(), &mut outbox).unwrap();
        let batch = self.router.seal(0, std::mem::take(&mut outbox.samples[0]));
        self.shard.apply(0, &batch, NOW, Some(&mut self.log));
        self.segment.extend_from_slice(self.log.seal());
    }

    fn free(&mut self, host: &str, to: i64) {
        if let Some(level) = self.shard.tree().find(["c", host]) {
            self.shard.free_before(level, to);
            self.log.free(&["c", host], to);
            self.segment.extend_from_slice(self.log.seal());
        }
    }

    /// Writes snapshots; the log begins anew unless the snapshots are said to have failed.
    fn checkpoint(&mut self, kind: Kind, fails: bool) {
        let mut written = Vec::new();
        for host in self.shard.hosts() {
            let name = self.shard.tree().level(host).name().to_owned();
            let first = NOW - 100_000 + self.checkpoints * 1000;
            let work = SnapshotWork::new(host, kind, first, NOW);
            let Some(snapshots) = work.finish(&mut self.shard) else { continue };
            for (from, bytes) in (first..).zip(snapshots.files) {
                written.push((name.clone(), from, kind, bytes));
            }
            if fails {
                self.shard.take_back(&snapshots.handed_over);
            }
        }
        self.checkpoints += 1;
        if !fails {
            self.snapshots.append(&mut written);
            let id = self.log.header().id + 1;
            self.log.open(header(id));
            self.segment = header(id).encode().to_vec();
        }
    }

    /// A new shard from what is on disk.
    fn recover(&self) -> Shard {
        let mut shard = Shard::new(Arc::clone(&self.metrics), 1, RETENTION_SECONDS);
        let mut recovery = Recovery::new(&mut shard, 0, 1, NOW - RETENTION_SECONDS);
        let mut snapshots: Vec<_> = self.snapshots.iter().collect();
        snapshots.sort_by_key(|(host, from, ..)| (host, *from));
        for (host, _, kind, bytes) in snapshots {
            recovery.snapshot("c", host, *kind, bytes).unwrap();
            recovery.snapshots_loaded("c", host);
        }
        recovery.segment(self.log.header().id, &self.segment);
        shard
    }
}

/// Start and bits of the values of each buffer.
type Buffers = Vec<(i64, Vec<u64>)>;

/// Every chain as host path, metric and buffers, with values rounded to f32 if asked for.
fn content(shard: &Shard, rounded: bool) -> Vec<(String, String, Buffers)> {
    let mut content = Vec::new();
    let mut levels: Vec<_> = shard.hosts();
    while let Some(level) = levels.pop() {
        levels.extend(shard.tree().children(level));
        for &(metric, id) in shard.tree().level(level).series() {
            let chain = shard.chain(id);
            let bits = |&value: &f64| {
                let value = if rounded { f64::from(value as f32) } else { value };
                if value.is_nan() { u64::MAX } else { value.to_bits() }
            };
            let buffers: Vec<_> = chain
                .buffers()
                .map(|buffer| (buffer.start(), buffer.values(shard.pool()).iter().map(bits).collect()))
                .collect();
            if !buffers.is_empty() {
                let metric = shard.metrics().get(metric).name.to_string();
                content.push((shard.tree().path(level).join("/"), metric, buffers));
            }
        }
    }
    content.sort();
    content
}

#[derive(Clone, Debug)]
enum Action {
    /// Host, scope, metric, seconds before now, value.
    Write(u8, u8, u8, i64, i32),
    /// Many samples in order from there: host, metric, seconds before now, count.
    Series(u8, u8, i64, u16),
    Free(u8, i64),
    Checkpoint(bool),
}

fn action(late: bool) -> impl Strategy<Value = Action> {
    let age = 0..if late { 100_000i64 } else { 1000 };
    prop_oneof![
        4 => (0..3u8, 0..3u8, 0..3u8, age.clone(), any::<i32>())
            .prop_map(|(host, scope, metric, age, value)| Action::Write(host, scope, metric, age, value)),
        2 => (0..3u8, 0..3u8, age, 1..1200u16).prop_map(|(host, metric, age, count)| Action::Series(host, metric, age, count)),
        1 => (0..3u8, 0..90_000i64).prop_map(|(host, age)| Action::Free(host, age)),
        2 => any::<bool>().prop_map(Action::Checkpoint),
    ]
}

fn run(actions: &[Action], with_frees: bool, kind: Kind) -> Store {
    let names = [("load", 60), ("clock", 1), ("odd", 7)];
    let scopes = ["", ",type=socket,type-id=0", ",type=socket,type-id=0,stype=memctrl,stype-id=1"];
    let mut store = Store::new();
    for action in actions {
        match *action {
            Action::Write(host, scope, metric, age, value) => {
                let (name, _) = names[usize::from(metric)];
                let (scope, value) = (scopes[usize::from(scope)], f64::from(value) / 100.0);
                store.write(&format!("{name},hostname=h{host}{scope} value={value} {}\n", NOW - age));
            }
            Action::Series(host, metric, age, count) => {
                let (name, frequency) = names[usize::from(metric)];
                let lines: String = (0..i64::from(count))
                    .map(|slot| (slot, NOW - age - 60_000 + slot * frequency))
                    .filter(|&(_, time)| time <= NOW)
                    .map(|(slot, time)| format!("{name},hostname=h{host} value={slot}.25 {time}\n"))
                    .collect();
                store.write(&lines);
            }
            Action::Free(host, age) if with_frees => store.free(&format!("h{host}"), NOW - age),
            Action::Free(..) => {}
            Action::Checkpoint(fails) => store.checkpoint(kind, fails),
        }
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The log alone brings everything back to the bit, frees included.
    #[test]
    fn the_log_is_exact(actions in proptest::collection::vec(action(true), 1..25)) {
        let actions: Vec<_> =
            actions.into_iter().filter(|action| !matches!(action, Action::Checkpoint(_))).collect();
        let store = run(&actions, true, Kind::Binary);
        prop_assert_eq!(content(&store.shard, false), content(&store.recover(), false));
    }

    /// Snapshots and log together bring every sample back, whatever came late and which checkpoints failed. A snapshot does not
    /// say where one buffer ended and the next began on the same grid: what late samples made of that can be otherwise after a
    /// start, and a sample that came after the snapshot then stand in the slot of another grid, less than a slot away.
    #[test]
    fn nothing_is_lost_and_nothing_moves(actions in proptest::collection::vec(action(true), 1..25), json: bool) {
        let store = run(&actions, false, if json { Kind::Json } else { Kind::Binary });
        let (before, after) = (samples(&store.shard), samples(&store.recover()));
        prop_assert_eq!(before.len(), after.len());
        for ((path, metric, time, bits), found) in before.iter().zip(&after) {
            prop_assert_eq!((path, metric, bits), (&found.0, &found.1, &found.3));
            prop_assert!((time - found.2).abs() < frequency(metric), "{path} {metric} at {time} is at {}", found.2);
        }
    }

    /// Samples that came in order lie in the same buffers again, so that every answer is the same, gaps included.
    #[test]
    fn a_restart_keeps_the_layout(
        steps in proptest::collection::vec((0..2000i64, 1..700i64, any::<bool>()), 1..12),
        jitter in 0..60i64,
    ) {
        let mut store = Store::new();
        let mut time = NOW - RETENTION_SECONDS + 1000;
        for (number, (gap, count, checkpoint)) in steps.into_iter().enumerate() {
            time += gap * 7 + jitter;
            let lines: String = (0..count)
                .map(|slot| (slot, time + slot * 7))
                .filter(|&(_, time)| time <= NOW)
                .map(|(slot, time)| format!("odd,hostname=h value={slot}.5 {time}\nclock,hostname=h value={number} {time}\n"))
                .collect();
            store.write(&lines);
            time += count * 7;
            if checkpoint {
                store.checkpoint(Kind::Binary, false);
            }
        }
        prop_assert_eq!(content(&store.shard, true), content(&store.recover(), true));
    }
}

/// Of [`metrics`].
fn frequency(metric: &str) -> i64 {
    match metric {
        "load" => 60,
        "clock" => 1,
        _ => 7,
    }
}

/// Every sample as path, metric, time of its slot, value.
fn samples(shard: &Shard) -> Vec<(String, String, i64, u64)> {
    let mut samples = Vec::new();
    for (path, metric, buffers) in content(shard, true) {
        let frequency = frequency(&metric);
        for (start, values) in buffers {
            for (slot, &bits) in values.iter().enumerate().filter(|&(_, &bits)| bits != u64::MAX) {
                samples.push((
                    path.clone(),
                    metric.clone(),
                    start + frequency / 2 + slot as i64 * frequency,
                    bits,
                ));
            }
        }
    }
    samples
}

/// A buffer that late samples lengthened at its front begins within the last slot of the full one before it.
#[test]
fn a_buffer_that_overlaps_the_one_before_stays_apart() {
    let (full, behind, late) =
        (Action::Series(2, 0, 91234, 513), Action::Series(2, 0, 5345, 1), Action::Series(2, 0, 30276, 9));
    let save = Action::Checkpoint(false);
    for actions in [
        vec![full.clone(), behind.clone(), late.clone(), save.clone()],
        // The sample that is late twice: in a snapshot of its own, when the buffers around it are loaded.
        vec![full, behind, save.clone(), late, save.clone()],
        // The one before it is loaded as the end of a longer run.
        vec![
            Action::Write(1, 0, 0, 77911, 0),
            Action::Series(1, 0, 4502, 290),
            Action::Series(1, 0, 28773, 694),
            save,
        ],
    ] {
        let store = run(&actions, false, Kind::Binary);
        assert_eq!(samples(&store.shard), samples(&store.recover()));
    }
}

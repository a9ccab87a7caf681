//! Ingest goes on between the slices of a snapshot: nothing is lost, nothing is invented.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::checkpoint::{SnapshotSeries, decode_as};
use crate::config::{Aggregation, Metric, Metrics};

const T: i64 = 1_700_000_040;

fn shard(metrics: usize) -> Shard {
    let metric =
        |index| Metric { name: format!("m{index}").into(), frequency: 60, aggregation: Aggregation::Sum };
    let metrics = Metrics::new((0..metrics).map(metric).collect()).expect("the metrics are valid");
    Shard::new(metrics, 1, 1 << 40)
}

/// Series (names below the host, then the metric) and time → value.
type Samples = BTreeMap<(Vec<String>, i64), f64>;

/// A small deterministic source of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Writes a sample to any of some series, some of which are new; sometimes far from the others.
    fn write(&mut self, shard: &mut Shard, written: &mut Samples) {
        let thread = format!("hwthread{}", self.below(40));
        let below: &[&str] = match self.below(3) {
            0 => &[],
            1 => &[&thread],
            _ => &["socket0", &thread],
        };
        let metric = self.below(4);
        let id = shard.declare_path(
            ["c", "h"].into_iter().chain(below.iter().copied()),
            MetricId(u16::try_from(metric).expect("small")),
        );
        let slot = self.below(30) + 1000 * (self.below(20) / 19);
        let (time, value) = (T + 60 * slot as i64, self.below(1000) as f64);
        shard.load(id, time, value, false);
        let names = below.iter().map(|&name| name.to_owned()).chain([format!("m{metric}")]);
        written.insert((names.collect(), time), value);
    }
}

/// Adds what the files hold.
fn read(kind: Kind, snapshots: Option<HostSnapshots>, found: &mut Samples) {
    for file in snapshots.map(|snapshots| snapshots.files).unwrap_or_default() {
        let mut names_seen = BTreeSet::new();
        decode_as(kind, &file, &mut |series: SnapshotSeries<'_>| {
            let names: Vec<_> =
                series.path.iter().chain([&series.metric]).map(|&name| name.to_owned()).collect();
            assert!(names_seen.insert(names.clone()), "{names:?} twice in one file");
            for (slot, value) in (0_i64..).zip(series.values).filter(|(_, value)| !value.is_nan()) {
                found.insert((names.clone(), series.start + slot * series.frequency), f64::from(value));
            }
        })
        .expect("what was written can be read");
    }
}

#[test]
fn what_arrives_between_two_slices_is_in_this_snapshot_or_in_the_next() {
    for seed in 0..200 {
        println!("seed {seed}");
        let mut choices = Choices(seed);
        let (mut shard, mut written, mut found) = (shard(4), Samples::new(), Samples::new());
        (0..2000).for_each(|_| choices.write(&mut shard, &mut written));
        let kind = if seed % 2 == 0 { Kind::Binary } else { Kind::Json };
        let host = shard.tree().find(["c", "h"]).expect("it has data");
        let mut slices = 0;
        let mut work = SnapshotWork::new(host, kind, T, T + 60);
        let snapshots = loop {
            if let Some(snapshots) = work.step(&mut shard) {
                break snapshots;
            }
            slices += 1;
            (0..choices.below(50)).for_each(|_| choices.write(&mut shard, &mut written));
        };
        assert!(slices > 3, "{slices} slices");
        read(kind, snapshots, &mut found);
        let rest = SnapshotWork::new(host, kind, T + 60, T + 120).finish(&mut shard);
        read(kind, rest, &mut found);
        assert_eq!(found, written);
        assert!(shard.snapshots_needed(host) == 0, "everything is handed over");
    }
}

#[test]
fn a_slice_is_bounded_and_a_failed_snapshot_is_taken_back() {
    let mut shard = shard(1);
    for thread in 0..100 {
        let id = shard.declare_path(["c", "h", &format!("hwthread{thread}")], MetricId(0));
        (0..200).for_each(|slot| shard.load(id, T + 60 * slot, 1.0, false));
    }
    let host = shard.tree().find(["c", "h"]).expect("it has data");
    let make = |shard: &mut Shard| {
        let mut work = SnapshotWork::new(host, Kind::Binary, T, T);
        let mut slices = 1;
        loop {
            if let Some(snapshots) = work.step(shard) {
                return (slices, snapshots);
            }
            slices += 1;
        }
    };
    let (slices, first) = make(&mut shard);
    assert!(slices >= 100 * 200 / (limits::SNAPSHOT_SLOTS_PER_STEP + 200), "{slices} slices");
    let first = first.expect("there was something");
    assert!(make(&mut shard).1.is_none(), "nothing is left");
    shard.take_back(&first.handed_over);
    assert_eq!(make(&mut shard).1.expect("everything is back").files, first.files);
}

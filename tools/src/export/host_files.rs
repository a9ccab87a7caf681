//! One host of a shard as files of the reference (SPEC section 5).
//!
//! Either as snapshots, as many as the runs of its series need, or as a `current.wal`. Values become `f32`.

use engine::checkpoint::{SnapshotEncoder, kept};
use engine::limits::TIME_SECONDS_MAX;
use engine::memory::shard::Shard;
use engine::reference_log::{RecordError, push_header, push_record};
use engine::series::tree::{LevelId, SeriesId};

/// How much of a host there is to be exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// Series with samples.
    pub series: u64,
    /// Samples; several of one slot are one.
    pub samples: u64,
}

/// Samples that a `current.wal` cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub samples: u64,
    /// Why the first was.
    pub why: RecordError,
}

/// Counts what is in the host's series.
#[must_use]
pub fn count(shard: &Shard, host: LevelId) -> HostCounts {
    let (mut counts, mut values) = (HostCounts::default(), Vec::new());
    for_each_series(shard, host, &mut Vec::new(), &mut |_, _, id| {
        let mut samples = 0;
        for run in shard.chain(id).unsaved_runs() {
            run.read(&mut values, shard.pool());
            samples += values.iter().filter(|value| !value.is_nan()).count() as u64;
        }
        counts.samples += samples;
        counts.series += u64::from(samples > 0);
    });
    counts
}

/// A time, in seconds, that a snapshot of the host would hold and nobody could read: slots lie half an interval around
/// their samples, so a log within the limits may lead beyond them.
#[must_use]
pub fn impossible_time(shard: &Shard, host: LevelId) -> Option<i64> {
    let mut found = None;
    for_each_series(shard, host, &mut Vec::new(), &mut |_, _, id| {
        let chain = shard.chain(id);
        for run in chain.unsaved_runs() {
            let last = run.start + (run.len() as i64 - 1) * chain.frequency();
            found = found.or([run.start, last].into_iter().find(|time| time.abs() > TIME_SECONDS_MAX));
        }
    });
    found
}

/// The snapshot of one run of every series, with its span in seconds; there are
/// [`Shard::snapshots_needed`] of them, the oldest first.
///
/// # Panics
/// If the host has an [`impossible_time`].
#[must_use]
pub fn snapshot(shard: &Shard, host: LevelId, run: usize, from: i64, to: i64) -> Vec<u8> {
    shard.write_snapshot(host, run, SnapshotEncoder::new(from, to))
}

/// All samples of a host as a `current.wal`, series after series, each oldest first: the reference takes no sample
/// that is before the newest buffer of its series.
#[must_use]
pub fn reference_log(shard: &Shard, host: LevelId) -> (Vec<u8>, Option<LeftOut>) {
    let mut bytes = Vec::new();
    push_header(&mut bytes);
    let mut left_out: Option<LeftOut> = None;
    let mut values = Vec::new();
    for_each_series(shard, host, &mut Vec::new(), &mut |path, metric, id| {
        let chain = shard.chain(id);
        for run in chain.unsaved_runs() {
            let times = (0_i64..).map(|slot| run.start + slot * chain.frequency());
            run.read(&mut values, shard.pool());
            for (&value, time) in values.iter().zip(times).filter(|(value, _)| !value.is_nan()) {
                if let Err(why) = push_record(&mut bytes, path, metric, time, kept(value)) {
                    left_out.get_or_insert(LeftOut { samples: 0, why }).samples += 1;
                }
            }
        }
    });
    (bytes, left_out)
}

/// Hands on every series at or below a level: names of the levels below the host, metric, number.
fn for_each_series<'a>(
    shard: &'a Shard,
    level: LevelId,
    path: &mut Vec<&'a str>,
    visit: &mut impl FnMut(&[&str], &str, SeriesId),
) {
    let tree = shard.tree();
    for &(metric, id) in tree.level(level).series() {
        visit(path, &shard.metrics().get(metric).name, id);
    }
    for child in tree.children(level) {
        path.push(tree.level(child).name());
        for_each_series(shard, child, path, visit);
        path.pop();
    }
}

//! The snapshots of one host, made in slices between which ingest runs (DESIGN decision 5).
//!
//! Before it: a checkpoint, which has begun a new segment of the log. After it: the bytes of files, to be written.
//!
//! Nothing is lost between the slices. A series is encoded and handed over in one of them: what it held until then is
//! in the files, and what arrives later is unsaved, so the next checkpoint takes it. Whatever arrived since the checkpoint
//! began is also in the new segment, which this checkpoint keeps. A series or level that appears on a side that was
//! passed already waits for the next checkpoint likewise.

use super::save::HostHandedOver;
use super::shard::Shard;
use super::work::ShardWork;
use crate::checkpoint::{JsonSnapshotEncoder, Kind, SnapshotEncoder, SnapshotSink};
use crate::config::MetricId;
use crate::limits;
use crate::series::tree::{LevelId, SeriesId};

/// A host's unsaved data as files.
#[derive(Debug)]
pub struct HostSnapshots {
    /// The cluster.
    pub cluster: String,
    /// The host.
    pub host: String,
    /// The bytes of each snapshot.
    pub files: Vec<Vec<u8>>,
    /// To be taken back if they cannot be written.
    pub handed_over: HostHandedOver,
}

/// The snapshots of one host being made.
#[derive(Debug)]
pub struct SnapshotWork {
    host: LevelId,
    walk: FormatWalk,
}

#[derive(Debug)]
enum FormatWalk {
    Binary(Walk<SnapshotEncoder>),
    Json(Walk<JsonSnapshotEncoder>),
}

impl SnapshotWork {
    /// Files of this kind of a host's unsaved data. The first one's span begins at `from`, that of each further one a
    /// second later, and all end at `to`; seconds.
    #[must_use]
    pub fn new(host: LevelId, kind: Kind, from: i64, to: i64) -> Self {
        let walk = match kind {
            Kind::Binary => FormatWalk::Binary(Walk::new(host, from, to)),
            Kind::Json => FormatWalk::Json(Walk::new(host, from, to)),
        };
        Self { host, walk }
    }
}

/// Takes the next few series a step. The answer: the files; none if nothing was unsaved.
impl ShardWork for SnapshotWork {
    type Answer = Option<HostSnapshots>;

    fn step(&mut self, shard: &mut Shard) -> Option<Self::Answer> {
        let (files, handed_over) = match &mut self.walk {
            FormatWalk::Binary(walk) => walk.step(shard).then(|| walk.take_files())?,
            FormatWalk::Json(walk) => walk.step(shard).then(|| walk.take_files())?,
        };
        let Some(handed_over) = handed_over else { return Some(None) };
        let path: Vec<String> = shard.tree().path(self.host).into_iter().map(str::to_owned).collect();
        let [cluster, host] = path.try_into().expect("a host is two levels below the root");
        Some(Some(HostSnapshots { cluster, host, files, handed_over }))
    }
}

/// The way through the levels of a host.
#[derive(Debug)]
struct Walk<S> {
    from: i64,
    to: i64,
    /// The host's level and those open below it: as many as the tree is deep.
    open: Vec<OpenLevel>,
    /// One for each run of the series that has most of them: what follows a gap goes into a file of its own.
    encoders: Vec<S>,
    host: LevelId,
    /// None until something is.
    handed_over: Option<HostHandedOver>,
    /// The values of one run.
    values: Vec<f64>,
}

/// A level whose end was not reached.
#[derive(Debug)]
struct OpenLevel {
    level: LevelId,
    /// The last of its metrics that was taken. Not an index: series may be added in between.
    last_metric: Option<MetricId>,
    /// The children still to come, the next one last; none until the level's own series are taken.
    children: Option<Vec<LevelId>>,
}

impl OpenLevel {
    fn new(level: LevelId) -> Self {
        Self { level, last_metric: None, children: None }
    }
}

impl<S: SnapshotSink> Walk<S> {
    fn new(host: LevelId, from: i64, to: i64) -> Self {
        Self {
            from,
            to,
            open: vec![OpenLevel::new(host)],
            encoders: Vec::new(),
            host,
            handed_over: None,
            values: Vec::new(),
        }
    }

    fn step(&mut self, shard: &mut Shard) -> bool {
        let mut left = limits::SNAPSHOT_SLOTS_PER_STEP;
        while let Some(open) = self.open.last_mut() {
            left = match open.next_series(shard) {
                Some((metric, id)) => left
                    .saturating_sub(limits::SNAPSHOT_SERIES_COST_SLOTS + self.take_series(shard, metric, id)),
                None => {
                    self.next_level(shard);
                    left.saturating_sub(limits::SNAPSHOT_SERIES_COST_SLOTS)
                }
            };
            if left == 0 {
                break;
            }
        }
        self.open.is_empty()
    }

    /// Encodes what is unsaved of a series and hands it over; returns how many slots that were.
    fn take_series(&mut self, shard: &mut Shard, metric: MetricId, id: SeriesId) -> usize {
        let chain = shard.chain(id);
        let mut slots = 0;
        for (index, run) in chain.unsaved_runs().iter().enumerate() {
            if index == self.encoders.len() {
                self.encoders.push(self.new_encoder(shard, index));
            }
            run.read(&mut self.values, shard.pool());
            let name = &shard.metrics().get(metric).name;
            self.encoders[index].series(name, chain.frequency(), run.start, self.values.iter().copied());
            slots += run.len();
        }
        if slots > 0 {
            let handed_over = self.handed_over.get_or_insert_with(|| shard.begin_hand_over(self.host));
            shard.hand_over_series(id, handed_over);
        }
        slots
    }

    /// Goes down to the next child of the open level, or back up.
    fn next_level(&mut self, shard: &Shard) {
        let open = self.open.last_mut().expect("a level is open");
        let children = open.children.get_or_insert_with(|| {
            let mut children: Vec<_> = shard.tree().children(open.level).collect();
            children.reverse();
            children
        });
        if let Some(child) = children.pop() {
            let name = shard.tree().level(child).name();
            self.encoders.iter_mut().for_each(|encoder| encoder.open_level(name));
            self.open.push(OpenLevel::new(child));
            return;
        }
        self.open.pop();
        if !self.open.is_empty() {
            self.encoders.iter_mut().for_each(SnapshotSink::close_level);
        }
    }

    /// A further file, with the levels open that are open here.
    fn new_encoder(&self, shard: &Shard, index: usize) -> S {
        let mut encoder = S::begin(self.from.saturating_add(index as i64), self.to);
        self.open[1..].iter().for_each(|open| encoder.open_level(shard.tree().level(open.level).name()));
        encoder
    }

    /// What was made, after the last step.
    fn take_files(&mut self) -> (Vec<Vec<u8>>, Option<HostHandedOver>) {
        let files = self.encoders.drain(..).map(|encoder| encoder.finish().0).collect();
        (files, self.handed_over.take())
    }
}

impl OpenLevel {
    /// The next of the level's own series; none once its children have their turn.
    fn next_series(&mut self, shard: &Shard) -> Option<(MetricId, SeriesId)> {
        if self.children.is_some() {
            return None;
        }
        let series = shard.tree().level(self.level).series();
        let next = series.partition_point(|&(metric, _)| self.last_metric.is_some_and(|last| metric <= last));
        let &(metric, id) = series.get(next)?;
        self.last_metric = Some(metric);
        Some((metric, id))
    }
}

#[cfg(test)]
mod tests;

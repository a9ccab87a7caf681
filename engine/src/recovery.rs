//! Recovery: what files hold, back into a shard (SPEC "Loading", DESIGN decision 6).
//!
//! In this order: of every host its snapshots, oldest first, then its reference log; then the segments of our
//! own log, oldest first. Everything goes the way of a live sample, so it lands in the slots where it was.
//! What snapshots held counts as saved; what logs held does not, so the next checkpoint covers it. That is why
//! of logs every sample is loaded, however old: it may be nowhere else. Out of retention it goes by the usual way, through
//! a snapshot.

use crate::checkpoint::{Kind, SnapshotError, SnapshotSeries, decode_as};
use crate::memory::shard::Shard;
use crate::memory::spared::Spared;
use crate::reference_log::{self, LogSample};
use crate::series::route::core_of;
use crate::series::tree::{LevelId, ROOT, SeriesId};
use crate::wal;
use crate::wal::segment::{HeaderError, SegmentHeader};

/// What was found, added up over files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Samples loaded.
    pub samples: u64,
    /// Samples that were left out because of their age.
    pub too_old: u64,
    /// Samples of logs that are older than the retention, among those loaded.
    pub late: u64,
    /// Samples of metrics that are not configured.
    pub unconfigured: u64,
}

/// Loads files into the shard of one core.
#[derive(Debug)]
pub struct Recovery<'a> {
    shard: &'a mut Shard,
    core: usize,
    cores: usize,
    /// Samples of snapshots before this are left out: now − retention, in seconds.
    oldest: i64,
    /// Samples of logs before this are left out.
    oldest_logged: i64,
    /// Hosts of which older samples are loaded as well.
    spared: Option<&'a Spared>,
    recovered: Recovered,
}

impl<'a> Recovery<'a> {
    /// Loads into the shard of core `core` of `cores`; `oldest` is now − retention in seconds.
    pub fn new(shard: &'a mut Shard, core: usize, cores: usize, oldest: i64) -> Self {
        let recovered = Recovered::default();
        Self { shard, core, cores, oldest, oldest_logged: i64::MIN, spared: None, recovered }
    }

    /// Leaves samples of logs out that are before this, in seconds: for those who do not make the log superfluous.
    #[must_use]
    pub fn logs_from(self, oldest_logged: i64) -> Self {
        Self { oldest_logged, ..self }
    }

    /// Loads samples of these hosts however old they are.
    #[must_use]
    pub fn sparing(self, spared: &'a Spared) -> Self {
        Self { spared: Some(spared), ..self }
    }

    /// Samples of a host before this are left out.
    fn oldest_of(&self, cluster: &str, host: &str) -> i64 {
        let is_spared = self.spared.is_some_and(|spared| spared.contains(cluster, host));
        if is_spared { i64::MIN } else { self.oldest }
    }

    /// What was found so far.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Loads a snapshot of a host.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it was loaded then.
    pub fn snapshot(
        &mut self,
        cluster: &str,
        host: &str,
        kind: Kind,
        bytes: &[u8],
    ) -> Result<(), SnapshotError> {
        let oldest = self.oldest_of(cluster, host);
        decode_as(kind, bytes, &mut |series: SnapshotSeries<'_>| {
            let times = (0i64..).map(|slot| series.start + slot * series.frequency);
            let samples = series.values.clone().zip(times).filter(|(value, _)| !value.is_nan());
            let Some(id) = self.series(&[cluster, host], series.path, series.metric) else {
                self.recovered.unconfigured += samples.count() as u64;
                return;
            };
            let mut run_start = series.frequency == self.shard.chain(id).frequency();
            for (value, time) in samples {
                self.load(id, oldest, time, f64::from(value), run_start);
                run_start = false;
            }
        })?;
        Ok(())
    }

    /// All snapshots of a host are loaded: what it holds now needs no other.
    pub fn snapshots_loaded(&mut self, cluster: &str, host: &str) {
        if let Some(host) = self.shard.tree().find([cluster, host]) {
            self.shard.hand_over(host);
        }
    }

    /// Loads the reference's log of a host, as far as it is whole.
    pub fn reference_log(&mut self, cluster: &str, host: &str, bytes: &[u8]) -> reference_log::LogRead {
        reference_log::read(bytes, &mut |sample: LogSample<'_>| match self.series(
            &[cluster, host],
            sample.path,
            sample.metric,
        ) {
            None => self.recovered.unconfigured += 1,
            Some(id) if !sample.value.is_nan() => {
                self.load_logged(id, sample.time, f64::from(sample.value));
            }
            Some(_) => {}
        })
    }

    /// Loads those records of log segment `id` that belong to this core's hosts, as far as it is whole.
    ///
    /// The id comes from the file's name: the blocks can be told by it even if the header is damaged, and a
    /// recycled file whose new header never reached the disk holds nothing of it.
    pub fn segment(&mut self, id: u64, bytes: &[u8]) -> wal::replay::Outcome {
        let mut load = self.begin_segment(id);
        load.feed(bytes);
        load.finish()
    }

    /// As [`segment`](Self::segment), for a file that is read in pieces.
    pub fn begin_segment(&mut self, id: u64) -> SegmentLoad<'_, 'a> {
        let visitor = SegmentVisitor { recovery: self, series: Vec::new(), writer: None };
        SegmentLoad { id, header: None, visitor, replayer: wal::replay::Replayer::with_id(id) }
    }

    /// The series of these names, declared if it is new; `None` for a metric that is not configured.
    fn series(&mut self, host: &[&str], below: &[&str], metric: &str) -> Option<SeriesId> {
        let metric = self.shard.metrics().find(metric.as_bytes())?;
        Some(self.shard.declare_path(host.iter().chain(below).copied(), metric))
    }

    fn load(&mut self, id: SeriesId, oldest: i64, time: i64, value: f64, run_start: bool) {
        if time < oldest {
            self.recovered.too_old += 1;
            return;
        }
        self.recovered.samples += 1;
        self.shard.load(id, time, value, run_start);
    }

    /// A sample that may be in no snapshot: it is loaded whatever its age.
    fn load_logged(&mut self, id: SeriesId, time: i64, value: f64) {
        self.recovered.late += u64::from(time < self.oldest && time >= self.oldest_logged);
        self.load(id, self.oldest_logged, time, value, false);
    }

    /// The hosts at or below a path; a path that goes deeper is that level alone.
    fn hosts_below(&self, path: &[&str]) -> Vec<LevelId> {
        let tree = self.shard.tree();
        let Some(level) = tree.find(path.iter().copied()) else { return Vec::new() };
        match path.len() {
            0 => tree.children(ROOT).flat_map(|cluster| tree.children(cluster)).collect(),
            1 => tree.children(level).collect(),
            _ => vec![level],
        }
    }
}

/// Whose a series of a segment is.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Us(SeriesId),
    OtherCore,
    /// Its metric is not configured.
    Nobody,
    /// Its declaration was lost.
    Unknown,
}

/// A log segment being loaded.
#[derive(Debug)]
pub struct SegmentLoad<'r, 'a> {
    id: u64,
    header: Option<Result<SegmentHeader, HeaderError>>,
    visitor: SegmentVisitor<'r, 'a>,
    replayer: wal::replay::Replayer,
}

impl SegmentLoad<'_, '_> {
    /// Takes the next piece of the file, of any length; the first one holds the header, unless the file is shorter.
    ///
    /// Of a segment in another version of the format nothing is loaded.
    pub fn feed(&mut self, piece: &[u8]) {
        let header = *self.header.get_or_insert_with(|| SegmentHeader::decode(piece));
        if matches!(header, Err(HeaderError::Version { .. })) {
            return;
        }
        self.visitor.writer = header.ok().filter(|header| header.id == self.id);
        self.replayer.feed(piece, &mut self.visitor);
    }

    /// What the segment says about itself.
    ///
    /// # Errors
    /// Why that cannot be read. Its blocks may be whole nevertheless.
    pub fn header(&self) -> Result<SegmentHeader, HeaderError> {
        self.header.unwrap_or_else(|| SegmentHeader::decode(&[]))
    }

    /// The file is over.
    pub fn finish(mut self) -> wal::replay::Outcome {
        self.replayer.finish(&mut self.visitor)
    }
}

/// Takes the records of one segment.
#[derive(Debug)]
struct SegmentVisitor<'r, 'a> {
    recovery: &'r mut Recovery<'a>,
    /// By id in the segment.
    series: Vec<Owner>,
    /// Which core wrote the segment, of how many; none if its header is damaged.
    writer: Option<SegmentHeader>,
}

impl SegmentVisitor<'_, '_> {
    /// Whether the core that wrote the segment owned a host then. Only of such hosts are the samples before and behind a free
    /// in the same core's segments, so only with these it has an order.
    fn owned(&self, cluster: &str, host: &str) -> bool {
        match self.writer {
            Some(SegmentHeader { core, cores, .. }) => {
                core_of(cluster, host, usize::from(cores)) == usize::from(core)
            }
            // The hosts of which it holds samples are the only ones it is sure to have owned.
            None => self.series.iter().any(|owner| match owner {
                Owner::Us(series) => {
                    let path = self.recovery.shard.path(*series);
                    path[0] == cluster && path[1] == host
                }
                Owner::OtherCore | Owner::Nobody | Owner::Unknown => false,
            }),
        }
    }
}

impl wal::replay::Visitor for SegmentVisitor<'_, '_> {
    fn declare(&mut self, id: u32, path: &[&str], metric: &str) {
        let (host, below) = path.split_at(2);
        let mine = core_of(host[0], host[1], self.recovery.cores) == self.recovery.core;
        let owner = if mine {
            self.recovery.series(host, below, metric).map_or(Owner::Nobody, Owner::Us)
        } else {
            Owner::OtherCore
        };
        // Declarations may have been lost before this one.
        self.series.resize(id as usize, Owner::Unknown);
        self.series.push(owner);
    }

    fn sample(&mut self, id: u32, time: i64, value: f64) {
        match self.series[id as usize] {
            Owner::Us(series) => self.recovery.load_logged(series, time, value),
            Owner::OtherCore | Owner::Unknown => {}
            Owner::Nobody => self.recovery.recovered.unconfigured += 1,
        }
    }

    fn free(&mut self, path: &[&str], to: i64) {
        for level in self.recovery.hosts_below(path) {
            let names = self.recovery.shard.tree().path(level);
            let (cluster, host) = (names[0].to_owned(), names[1].to_owned());
            if self.owned(&cluster, &host) {
                self.recovery.shard.free_before(level, to);
            }
        }
    }
}

//! A shard: everything one core owns. Its state changes only through the methods here, called by that
//! core's pump alone.

use std::sync::Arc;

use super::account::MemoryBytes;
use super::chain::{Chain, Written};
use super::pool::Pool;
use super::retention::FreeWork;
use super::save::HostsBeingSaved;
use super::work::ShardWork;
use crate::config::{MetricId, Metrics};
use crate::series::chunks::Chunks;
use crate::series::route::{Batch, Sample};
use crate::series::tree::{LevelId, Path, SeriesId, Tree};
use crate::sync::budget::Budget;
use crate::wal::encode::SegmentEncoder;

/// Where a series hangs in the tree: what a sample mostly does not need.
#[derive(Debug)]
struct Place {
    level: LevelId,
    metric: MetricId,
}

/// What a log needs to declare a series.
struct Names<'a> {
    metrics: &'a Metrics,
    tree: &'a Tree,
    places: &'a Chunks<Place>,
}

impl Names<'_> {
    #[inline]
    fn record_sample(&self, id: SeriesId, sample: &Sample, log: &mut SegmentEncoder) {
        if !log.try_sample(id.0, sample.time, sample.value) {
            self.declare(id, log);
            log.sample(id.0, sample.time, sample.value);
        }
    }

    #[inline(never)]
    fn declare(&self, id: SeriesId, log: &mut SegmentEncoder) {
        let place = &self.places[id.0 as usize];
        log.declare(id.0, &self.tree.path(place.level), &self.metrics.get(place.metric).name);
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Samples stored.
    pub stored: u64,
    /// Late samples older than the retention, dropped.
    pub too_old: u64,
    /// Samples of series that were too many, dropped.
    pub beyond_limit: u64,
}

/// The hosts of one core.
#[derive(Debug)]
pub struct Shard {
    metrics: Arc<Metrics>,
    tree: Tree,
    /// By number of the series, as the next.
    chains: Chunks<Chain>,
    places: Chunks<Place>,
    pool: Pool,
    /// By sending core: the series behind its numbers.
    links: Vec<Chunks<SeriesId>>,
    retention_seconds: i64,
    budget: Budget,
    pub(super) being_saved: HostsBeingSaved,
}

/// In the place of a series that was refused; the tree has none of this number.
const REFUSED: SeriesId = SeriesId(u32::MAX);

impl Shard {
    /// An empty shard that takes batches from so many cores.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, cores: usize, retention_seconds: i64) -> Self {
        Self {
            metrics,
            tree: Tree::default(),
            chains: Chunks::default(),
            places: Chunks::default(),
            pool: Pool::default(),
            links: (0..cores).map(|_| Chunks::default()).collect(),
            retention_seconds,
            budget: Budget::new(0),
            being_saved: HostsBeingSaved::default(),
        }
    }

    /// Takes new series only as long as the budget, which all shards share, is not used up.
    pub fn limit_series(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Bytes of memory of tree and links, those to spare included; not of the buffers.
    #[must_use]
    pub fn names_bytes(&self) -> usize {
        self.tree.bytes() + self.links.iter().map(Chunks::bytes).sum::<usize>()
    }

    /// The configured metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The levels.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Whether a host may have gained its first or lost its last data since [`Self::take_changed_hosts`].
    #[must_use]
    pub(crate) fn have_hosts_changed(&self) -> bool {
        self.tree.have_hosts_changed()
    }

    /// The hosts that may have gained their first or lost their last data since the last call.
    pub(crate) fn take_changed_hosts(&mut self) -> Vec<LevelId> {
        self.tree.take_changed_hosts()
    }

    /// The data of the series of this number.
    #[must_use]
    pub fn chain(&self, id: SeriesId) -> &Chain {
        &self.chains[id.0 as usize]
    }

    /// The names of the levels above a series, the cluster first.
    #[must_use]
    pub fn path(&self, id: SeriesId) -> Vec<&str> {
        self.tree.path(self.places[id.0 as usize].level)
    }

    /// The memory of the series' values: what a read of a chain needs.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many bytes it holds, without tree and links.
    #[must_use]
    pub fn memory_bytes(&self) -> MemoryBytes {
        MemoryBytes {
            series: (self.chains.len() * (size_of::<Chain>() + size_of::<Place>())) as u64,
            ..self.pool.bytes()
        }
    }

    /// How many bytes are in use, for the cap on memory. Pieces of pages that are free do not count: buffers that are freed
    /// seldom empty their pages, but new ones grow into them, so no more pages come as long as this stays below the cap.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        let links: usize = self.links.iter().map(Chunks::bytes).sum();
        let bytes = self.memory_bytes();
        bytes.total() - bytes.pages + bytes.pages_used + (self.tree.bytes() + links) as u64
    }

    /// Stores a batch of core `source`, and records what it stores in `log`; `now` is the time of the clock in
    /// seconds.
    ///
    /// # Panics
    /// If a sample refers to a series that `source` never declared: a bug.
    pub fn apply(
        &mut self,
        source: usize,
        batch: &Batch,
        now: i64,
        log: Option<&mut SegmentEncoder>,
    ) -> Applied {
        self.declare_all(source, batch);
        let oldest = now.saturating_sub(self.retention_seconds);
        // Two loops instead of a question per sample.
        match log {
            Some(log) => self.store(source, &batch.samples, oldest, |names, id, sample| {
                names.record_sample(id, sample, log);
            }),
            None => self.store(source, &batch.samples, oldest, |_, _, _| {}),
        }
    }

    /// Stores samples of core `source`, and hands on those that were.
    #[inline]
    fn store(
        &mut self,
        source: usize,
        samples: &[Sample],
        oldest: i64,
        mut stored: impl FnMut(&Names<'_>, SeriesId, &Sample),
    ) -> Applied {
        let mut applied = Applied::default();
        let mut links = self.links[source].near();
        let mut rest = samples;
        while let Some(sample) = rest.first() {
            // The series of one chunk at a time: mostly all that are left.
            let id = links.item(sample.link as usize);
            let Some((first, chunk)) = self.chains.chunk_mut(id.0 as usize) else {
                applied.beyond_limit += 1;
                rest = &rest[1..];
                continue;
            };
            let mut taken = 0;
            for sample in rest {
                let id = *links.item(sample.link as usize);
                let Some(chain) = chunk.get_mut((id.0 as usize).wrapping_sub(first)) else { break };
                taken += 1;
                if !chain.write_next(sample.time, sample.value, &mut self.pool) {
                    let was_empty = chain.is_empty();
                    if chain.write_elsewhere(sample.time, sample.value, oldest, &mut self.pool)
                        == Written::TooOld
                    {
                        applied.too_old += 1;
                        continue;
                    }
                    if was_empty {
                        self.tree.gained_data(self.places[id.0 as usize].level);
                    }
                }
                stored(&Names { metrics: &self.metrics, tree: &self.tree, places: &self.places }, id, sample);
            }
            rest = &rest[taken..];
        }
        applied.stored = samples.len() as u64 - applied.too_old - applied.beyond_limit;
        applied
    }

    /// Takes the names that a batch declares, and nothing else of it.
    pub fn declare_all(&mut self, source: usize, batch: &Batch) {
        for declared in batch.declarations.iter() {
            let id = self.declare_within_budget(declared.path(), declared.metric);
            self.links[source].push(id.unwrap_or(REFUSED));
        }
    }

    /// Records a batch that was applied before in another segment of the log.
    pub fn record(&self, source: usize, batch: &Batch, log: &mut SegmentEncoder) {
        let names = Names { metrics: &self.metrics, tree: &self.tree, places: &self.places };
        for sample in &batch.samples {
            let id = self.links[source][sample.link as usize];
            if id != REFUSED {
                names.record_sample(id, sample, log);
            }
        }
    }

    /// The series of a metric at a path of names, created if it is missing, whatever the budget: what was
    /// acknowledged in an earlier life is not refused now.
    pub(crate) fn declare_path<'a>(&mut self, path: impl Path<'a>, metric: MetricId) -> SeriesId {
        self.find_or_create(path, metric, |budget| {
            budget.take_always();
            true
        })
        .expect("it is not refused")
    }

    /// The series of a metric at a path of names, created if it is missing and the budget has room for it.
    fn declare_within_budget<'a>(&mut self, path: impl Path<'a>, metric: MetricId) -> Option<SeriesId> {
        self.find_or_create(path, metric, Budget::take)
    }

    /// Stores a sample that was acknowledged in an earlier life, however late it is; `run_start`: it is the first
    /// of a saved run.
    pub(crate) fn load(&mut self, id: SeriesId, time: i64, value: f64, run_start: bool) {
        let chain = &mut self.chains[id.0 as usize];
        let was_empty = chain.is_empty();
        if run_start {
            chain.write_run_start(time, value, &mut self.pool);
        } else {
            chain.write(time, value, i64::MIN, &mut self.pool);
        }
        if was_empty {
            self.tree.gained_data(self.places[id.0 as usize].level);
        }
    }

    pub(super) fn chain_mut(&mut self, id: SeriesId) -> &mut Chain {
        &mut self.chains[id.0 as usize]
    }

    /// A series that is missing is created if `may_create` lets it.
    fn find_or_create<'a>(
        &mut self,
        path: impl Path<'a>,
        metric: MetricId,
        may_create: impl FnOnce(&Budget) -> bool,
    ) -> Option<SeriesId> {
        let level = self.tree.declared(path.clone());
        if let Some(id) = level.and_then(|level| self.tree.series(level, metric)) {
            return Some(id);
        }
        if !may_create(&self.budget) {
            return None;
        }
        let level = level.unwrap_or_else(|| self.tree.declare_level(path));
        let id = self.tree.declare_series(level, metric);
        let frequency = self.metrics.get(metric).frequency;
        self.chains.push(Chain::new(frequency));
        self.places.push(Place { level, metric });
        Some(id)
    }

    /// Frees every buffer at or below a level that ends before `to`; returns how many.
    pub fn free_before(&mut self, level: LevelId, to: i64) -> usize {
        FreeWork::new(vec![level], to).finish(self)
    }

    /// Frees the level's own buffers that end before `to`; returns how many.
    ///
    /// A level left without data is invisible from then on. `saved_only`: series with such a buffer that is in no
    /// snapshot are passed over, and hosts whose snapshots are not durable yet.
    pub(super) fn free_level(&mut self, level: LevelId, to: i64, saved_only: bool) -> usize {
        let mut freed = 0;
        if saved_only && !self.being_saved.is_empty() {
            let host = self.tree.host_of(level);
            if host.is_some_and(|host| self.being_saved.contains(host)) {
                return 0;
            }
        }
        for index in 0..self.tree.level(level).series().len() {
            let (_, id) = self.tree.level(level).series()[index];
            let chain = &mut self.chains[id.0 as usize];
            if chain.is_empty() || (saved_only && chain.has_unsaved_before(to)) {
                continue;
            }
            freed += chain.free_before(to, &mut self.pool);
            if chain.is_empty() {
                self.tree.lost_data(level);
            }
        }
        freed
    }
}

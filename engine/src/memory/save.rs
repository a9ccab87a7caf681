//! What of a shard's hosts is saved (DESIGN decision 5).
//!
//! A checkpoint goes from host to host: [`snapshot`](super::snapshot) encodes what is unsaved and hands it over; here
//! it is taken back if the file did not become durable.

use super::shard::Shard;
use super::unsaved::HandedOver;
use crate::checkpoint::SnapshotSink;
use crate::series::tree::{LevelId, ROOT, SeriesId};

/// What of a host was handed to snapshots.
#[derive(Debug, Default)]
pub struct HostHandedOver(Vec<(SeriesId, HandedOver)>);

impl Shard {
    /// The hosts that hold data, as levels.
    #[must_use]
    pub fn hosts(&self) -> Vec<LevelId> {
        let tree = self.tree();
        tree.children(ROOT).flat_map(|cluster| tree.children(cluster)).collect()
    }

    /// Into how many snapshots the unsaved data of a host goes; 0 if there is none.
    #[must_use]
    pub fn snapshots_needed(&self, host: LevelId) -> usize {
        self.series_below(host).map(|id| self.chain(id).unsaved_runs().len()).max().unwrap_or(0)
    }

    /// The bytes of one snapshot of a host: the run of this number of every series. In one piece and without handing
    /// anything over: for tools, which have no ingest to go on.
    #[must_use]
    pub fn write_snapshot<S: SnapshotSink>(&self, host: LevelId, run: usize, mut sink: S) -> Vec<u8> {
        self.write_level(host, run, &mut Vec::new(), &mut sink);
        sink.finish().0
    }

    fn write_level<S: SnapshotSink>(&self, level: LevelId, run: usize, values: &mut Vec<f64>, sink: &mut S) {
        let tree = self.tree();
        for &(metric, id) in tree.level(level).series() {
            let chain = self.chain(id);
            if let Some(run) = chain.unsaved_runs().get(run) {
                run.read(values, self.pool());
                let name = &self.metrics().get(metric).name;
                sink.series(name, chain.frequency(), run.start, values.iter().copied());
            }
        }
        for child in tree.children(level) {
            sink.open_level(tree.level(child).name());
            self.write_level(child, run, values, sink);
            sink.close_level();
        }
    }

    /// Takes everything of a host as saved.
    pub fn hand_over(&mut self, host: LevelId) -> HostHandedOver {
        let mut handed_over = HostHandedOver::default();
        let below: Vec<SeriesId> = self.series_below(host).collect();
        for id in below {
            self.hand_over_series(id, &mut handed_over);
        }
        handed_over
    }

    /// Takes everything of a series as saved.
    pub(super) fn hand_over_series(&mut self, id: SeriesId, handed_over: &mut HostHandedOver) {
        self.chain_mut(id).hand_over(|slots| handed_over.0.push((id, slots)));
    }

    /// The snapshots failed: what was handed over is unsaved again.
    pub fn take_back(&mut self, handed_over: &HostHandedOver) {
        for &(id, slots) in &handed_over.0 {
            self.chain_mut(id).take_back(slots);
        }
    }

    /// All series at or below a level.
    fn series_below(&self, level: LevelId) -> impl Iterator<Item = SeriesId> {
        let mut levels = vec![level];
        std::iter::from_fn(move || {
            let level = levels.pop()?;
            levels.extend(self.tree().children(level));
            Some(level)
        })
        .flat_map(|level| self.tree().level(level).series().iter().map(|&(_, id)| id))
    }
}

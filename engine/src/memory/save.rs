//! What of a shard's hosts is saved (DESIGN decision 5).
//!
//! A checkpoint goes from host to host: [`snapshot`](super::snapshot) encodes what is unsaved and hands it over; here
//! it is taken back if the file did not become durable.

use std::sync::{Arc, Weak};

use super::shard::Shard;
use super::unsaved::HandedOver;
use crate::checkpoint::SnapshotSink;
use crate::series::tree::{LevelId, ROOT, SeriesId};

/// What of a host was handed to snapshots. As long as it exists, the shard takes the host as one that is being saved: nothing
/// of it is freed for its age, since it may have to be taken back. So whoever makes the snapshots durable drops it then.
#[derive(Debug)]
pub struct HostHandedOver {
    slots: Vec<(SeriesId, HandedOver)>,
    /// Shared with the shard, which looks whether it still exists.
    _being_saved: Arc<LevelId>,
}

/// The hosts whose snapshots are being made.
#[derive(Debug, Default)]
pub(super) struct HostsBeingSaved(Vec<Weak<LevelId>>);

impl HostsBeingSaved {
    fn begin(&mut self, host: LevelId) -> Arc<LevelId> {
        self.0.retain(|other| other.strong_count() > 0);
        let being_saved = Arc::new(host);
        self.0.push(Arc::downgrade(&being_saved));
        being_saved
    }

    /// Whether there are none, as mostly.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|host| host.strong_count() == 0)
    }

    /// Whether this host is one.
    pub(super) fn contains(&self, host: LevelId) -> bool {
        self.0.iter().any(|other| other.upgrade().is_some_and(|other| *other == host))
    }
}

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

    /// Begins to hand a host over; nothing is yet.
    pub(super) fn begin_hand_over(&mut self, host: LevelId) -> HostHandedOver {
        HostHandedOver { slots: Vec::new(), _being_saved: self.being_saved.begin(host) }
    }

    /// Takes everything of a host as saved.
    pub fn hand_over(&mut self, host: LevelId) -> HostHandedOver {
        let mut handed_over = self.begin_hand_over(host);
        let below: Vec<SeriesId> = self.series_below(host).collect();
        for id in below {
            self.hand_over_series(id, &mut handed_over);
        }
        handed_over
    }

    /// Takes everything of a series as saved.
    pub(super) fn hand_over_series(&mut self, id: SeriesId, handed_over: &mut HostHandedOver) {
        self.chain_mut(id).hand_over(|slots| handed_over.slots.push((id, slots)));
    }

    /// The snapshots failed: what was handed over is unsaved again.
    pub fn take_back(&mut self, handed_over: &HostHandedOver) {
        for &(id, slots) in &handed_over.slots {
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

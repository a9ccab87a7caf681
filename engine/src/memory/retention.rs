//! Freeing what is too old, in slices between which ingest runs (SPEC sections 3 and 6).

use super::shard::Shard;
use super::spared::Spared;
use super::work::ShardWork;
use crate::limits;
use crate::series::tree::{LevelId, ROOT};

/// The buffers at or below some levels that end before a time, being freed.
#[derive(Debug)]
pub struct FreeWork {
    /// Levels not visited yet.
    levels: Vec<LevelId>,
    to: i64,
    /// Whether a series keeps its buffers as long as one of them is in no snapshot.
    saved_only: bool,
    freed: usize,
}

impl FreeWork {
    /// Frees at and below these levels what ends before `to`, in seconds.
    #[must_use]
    pub fn new(levels: Vec<LevelId>, to: i64) -> Self {
        Self { levels, to, saved_only: false, freed: 0 }
    }

    /// Frees what ends before `to`, in seconds, and is in snapshots, but of the hosts that are spared: what retention does.
    /// A series with such a buffer that is in no snapshot waits for the next pass.
    #[must_use]
    pub fn sparing(shard: &Shard, to: i64, spared: &Spared) -> Self {
        let tree = shard.tree();
        let mut levels = Vec::new();
        for cluster in tree.children(ROOT) {
            let name = tree.level(cluster).name();
            if spared.concerns(name) {
                let is_spared = |host: &LevelId| spared.contains(name, tree.level(*host).name());
                levels.extend(tree.children(cluster).filter(|host| !is_spared(host)));
            } else {
                levels.push(cluster);
            }
        }
        Self::saved(levels, to)
    }

    /// As [`new`](Self::new), but a series with such a buffer that is in no snapshot is passed over.
    #[must_use]
    pub fn saved(levels: Vec<LevelId>, to: i64) -> Self {
        Self { saved_only: true, ..Self::new(levels, to) }
    }
}

/// Visits a few levels a step. The answer: how many buffers were freed.
impl ShardWork for FreeWork {
    type Answer = usize;

    fn step(&mut self, shard: &mut Shard) -> Option<usize> {
        for _ in 0..limits::FREE_LEVELS_PER_STEP {
            let Some(level) = self.levels.pop() else { break };
            // The children first: a level without data below it has none to list.
            self.levels.extend(shard.tree().children(level));
            self.freed += shard.free_level(level, self.to, self.saved_only);
        }
        self.levels.is_empty().then_some(self.freed)
    }
}

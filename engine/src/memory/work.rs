//! Work on a shard that takes long, done in steps between which ingest runs.

use super::shard::Shard;

/// Something that is asked of a shard.
pub trait ShardWork {
    /// What comes of it.
    type Answer;
    /// Does a small part; the answer, when that was the last.
    fn step(&mut self, shard: &mut Shard) -> Option<Self::Answer>;

    /// All steps at once.
    fn finish(mut self, shard: &mut Shard) -> Self::Answer
    where
        Self: Sized,
    {
        loop {
            if let Some(answer) = self.step(shard) {
                return answer;
            }
        }
    }
}

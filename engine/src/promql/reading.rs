//! A series on its way from its buffers into an answer: read in pieces, between which ingest runs.

use super::labels::Labels;
use super::series::MISSING;
use crate::limits;
use crate::memory::chain::Run;
use crate::memory::shard::Shard;
use crate::series::tree::SeriesId;

/// A series that is being read, and then computed.
#[derive(Debug)]
pub struct Reading {
    /// Which.
    pub series: SeriesId,
    /// What it is called.
    pub labels: Labels,
    /// How many slots are to be read.
    pub slots_wanted: usize,
    /// Time of the first slot, in milliseconds since 1970.
    pub first_ms: i64,
    /// Between two slots.
    pub period_ms: i64,
    /// How far before a step its samples are looked at.
    pub range_ms: i64,
    /// Those read so far.
    pub slots: Vec<f64>,
    /// Those computed so far.
    pub steps: Vec<f64>,
}

impl Reading {
    /// Reads some more slots. What has been freed meanwhile is missing.
    pub fn read_piece(&mut self, shard: &Shard) {
        let (chain, frequency) = (shard.chain(self.series), self.period_ms / 1000);
        let end = self.slots_wanted.min(self.slots.len() + limits::PROMQL_SLOTS_PER_STEP);
        let time_of = |slot: usize| self.first_ms / 1000 + slot as i64 * frequency;
        let (from, to) = (time_of(self.slots.len()), time_of(end));
        if let Some(span) = chain.span(from, to).filter(|span| span.from < to) {
            // To stay on the grid, by whole slots.
            let freed = (span.from - from + frequency - 1) / frequency;
            self.slots.resize((self.slots.len() + freed as usize).min(end), MISSING);
            let slots = &mut self.slots;
            chain.read(from + freed * frequency, to, shard.pool(), |run| match run {
                Run::Missing(count) => slots.extend(std::iter::repeat_n(MISSING, count)),
                Run::Stored(values) => {
                    slots.extend(values.iter().map(|&value| if value.is_nan() { MISSING } else { value }));
                }
            });
        }
        self.slots.resize(end, MISSING);
    }
}

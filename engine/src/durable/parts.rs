//! What a turn of the pump hands to the log, and what becomes of it. Part of the interface of [`journal`](super::journal).

use std::sync::Arc;

use crate::memory::shard::{Applied, Shard};
use crate::series::route::{Batch, Sample};
use crate::wal::encode::SegmentEncoder;

/// A free that is to be recorded before it is done, so that what was freed does not come back after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// Selectors of the request, of which those in `mine` are this core's.
    pub selectors: Arc<Vec<Vec<String>>>,
    /// Indices into `selectors`.
    pub mine: Vec<u32>,
    /// Buffers that end before this time are freed; seconds.
    pub to: i64,
}

impl Free {
    pub(super) fn record(&self, encoder: &mut SegmentEncoder) {
        self.mine.iter().for_each(|&index| encoder.free(&self.selectors[index as usize], self.to));
    }
}

/// What became of what was handed to a [`Journal`](super::journal::Journal).
#[derive(Debug)]
pub enum Done {
    /// The samples are stored, and as durable as `wal.sync` promises. Their list comes back to be used again.
    Written(Applied, Vec<Sample>),
    /// The log does not work: nothing is acknowledged, though a crash may still bring it back.
    NotWritten(Box<str>, Vec<Sample>),
    /// The free is recorded: it can be done.
    Recorded(Free),
    /// The log does not work: the free must not be done.
    NotRecorded(Box<str>),
}

/// A part of the turn's block.
#[derive(Debug)]
pub(super) enum Part {
    /// The batch is kept, should it have to be encoded anew.
    Write {
        source: usize,
        applied: Applied,
        batch: Batch,
    },
    Free(Free),
}

impl Part {
    pub(super) fn record(&self, shard: &Shard, encoder: &mut SegmentEncoder) {
        match self {
            Self::Write { source, batch, .. } => shard.record(*source, batch, encoder),
            Self::Free(free) => free.record(encoder),
        }
    }

    pub(super) fn done(self) -> Done {
        match self {
            Self::Write { applied, batch, .. } => Done::Written(applied, batch.samples),
            Self::Free(free) => Done::Recorded(free),
        }
    }

    pub(super) fn not_done(self, why: &str) -> Done {
        self.done().undone(why)
    }
}

impl Done {
    pub(super) fn undone(self, why: &str) -> Self {
        match self {
            Self::Written(_, samples) | Self::NotWritten(_, samples) => Self::NotWritten(why.into(), samples),
            Self::Recorded(_) | Self::NotRecorded(_) => Self::NotRecorded(why.into()),
        }
    }
}

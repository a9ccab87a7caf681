//! What comes out of a stream of lines: samples by their owner, and how many of its lines came to what.

use crate::line::error::LineError;
use crate::line::key::UnsafeName;
use crate::series::route::Sample;

/// What a stream of lines came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that became samples.
    pub samples: u64,
    /// Lines of metrics that are not configured; fields, where these are metrics.
    pub unconfigured: u64,
    /// Lines whose cluster or host can never become a path.
    pub unsafe_names: u64,
    /// Lines of new series when there are too many already: this core remembers no more keys.
    pub beyond_limit: u64,
    /// Lines further ahead of the clock than [`FUTURE_SECONDS_MAX`](crate::limits::FUTURE_SECONDS_MAX).
    pub future: u64,
    /// Lines older than [`retention_seconds`](super::Dialect::retention_seconds).
    pub too_old: u64,
    /// Bad lines that were skipped.
    pub bad: u64,
    /// The first bad line that was skipped since this was last taken.
    pub first_bad: Option<LineError>,
    /// Which name of the first line counted in `unsafe_names` it was.
    pub first_unsafe: Option<UnsafeName>,
}

impl Counts {
    /// Lines that came to nothing, though they are of a configured metric or of none that can be.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.unsafe_names + self.beyond_limit + self.future + self.too_old + self.bad
    }

    /// Adds what came later.
    pub fn add(&mut self, later: Self) {
        self.samples += later.samples;
        self.unconfigured += later.unconfigured;
        self.unsafe_names += later.unsafe_names;
        self.beyond_limit += later.beyond_limit;
        self.future += later.future;
        self.too_old += later.too_old;
        self.bad += later.bad;
        self.first_bad = self.first_bad.take().or(later.first_bad);
        self.first_unsafe = self.first_unsafe.or(later.first_unsafe);
    }
}

/// Samples on their way to their owners, by core.
#[derive(Debug)]
pub struct Outbox {
    /// One list a core.
    pub samples: Vec<Vec<Sample>>,
}

impl Outbox {
    /// An empty outbox for so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self { samples: (0..cores).map(|_| Vec::new()).collect() }
    }

    /// The length of the longest list.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.samples.iter().map(Vec::len).max().unwrap_or(0)
    }
}

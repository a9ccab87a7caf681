//! What a core counts as it goes: plain cells, written and read on that core alone.

use std::array::from_fn;
use std::cell::Cell;
use std::time::Duration;

use engine::durations::Durations;
use engine::line::decode::Counts;
use engine::memory::shard::Applied;
use hyper::StatusCode;

use crate::runtime::now_ns;

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Why a line, or the sample it became, is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is no line protocol as it should be.
    BadLine,
    /// Its cluster or host is missing, or can never become a path.
    UnsafeName,
    /// Too far ahead of the clock.
    Future,
    /// Older than the retention.
    TooOld,
    /// A new series when there are `metric-store.max-series`.
    BeyondMaxSeries,
    /// The log does not work.
    NotWritten,
}

impl Rejected {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::BadLine,
        Self::UnsafeName,
        Self::Future,
        Self::TooOld,
        Self::BeyondMaxSeries,
        Self::NotWritten,
    ];

    /// Its label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::UnsafeName => "unsafe_name",
            Self::Future => "future",
            Self::TooOld => "too_old",
            Self::BeyondMaxSeries => "beyond_max_series",
            Self::NotWritten => "not_written",
        }
    }
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A write, of any kind.
    Write,
    /// A query, of any kind.
    Query,
    /// `/api/free`.
    Free,
    /// `/api/debug`.
    Debug,
    /// `/api/healthcheck`.
    Healthcheck,
    /// `/metrics`.
    Metrics,
    /// `/health`, `/ready`, `/ping`.
    Probe,
    /// No such path, or not allowed to know.
    Other,
}

impl Call {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Write,
        Self::Query,
        Self::Free,
        Self::Debug,
        Self::Healthcheck,
        Self::Metrics,
        Self::Probe,
        Self::Other,
    ];

    /// Its label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Query => "query",
            Self::Free => "free",
            Self::Debug => "debug",
            Self::Healthcheck => "healthcheck",
            Self::Metrics => "metrics",
            Self::Probe => "probe",
            Self::Other => "other",
        }
    }
}

/// Classes of status codes, by their number.
pub const STATUS_CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

fn status_class(status: StatusCode) -> usize {
    match status.as_u16() {
        ..400 => 0,
        400..500 => 1,
        500.. => 2,
    }
}

/// The checkpoints of a core.
#[derive(Debug)]
pub struct CheckpointCounters {
    /// Complete ones.
    pub complete: Counter,
    /// Those that failed.
    pub failed: Counter,
    /// How long the last one took, however it went.
    pub took_ns: Cell<u64>,
    /// When the last complete one ended, or the core began; of [`now_ns`].
    pub last_ns: Cell<u64>,
}

impl CheckpointCounters {
    /// One ended.
    pub fn count(&self, is_complete: bool, took: Duration) {
        self.took_ns.set(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if is_complete {
            self.complete.increment();
            self.last_ns.set(now_ns());
        } else {
            self.failed.increment();
        }
    }
}

/// Everything a core counts that is counted nowhere else.
#[derive(Debug)]
pub struct Counters {
    /// Lines that connections of this core sent, of whatever becomes of them.
    pub lines: Counter,
    /// Those among them whose metric is not configured.
    pub unconfigured: Counter,
    /// Samples of Prometheus' `remote_write` that are no number.
    pub valueless: Counter,
    /// Those rejected, by [`Rejected`]: what decoding rejects on the connection's core, the rest on the owner's.
    pub rejected: [Counter; Rejected::ALL.len()],
    /// Samples stored by this core.
    pub stored: Counter,
    /// Requests by [`Call`] and class of their answer.
    pub requests: [[Counter; STATUS_CLASSES.len()]; Call::ALL.len()],
    /// How long queries took.
    pub queries: Durations,
    /// How long writes took, from head to answer: the time in which the client sends is part of it.
    pub writes: Durations,
    /// Queries beyond `metric-store.query-limit`.
    pub queries_too_large: Counter,
    /// Calls whose body was larger than a call takes.
    pub bodies_too_large: Counter,
    /// Connections that were accepted here and sent to the core their lines belong to.
    pub moved: Counter,
    /// Turns of the pump.
    pub turns: Counter,
    /// Messages it took.
    pub messages: Counter,
    /// Checkpoints.
    pub checkpoints: CheckpointCounters,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            lines: Counter::default(),
            unconfigured: Counter::default(),
            valueless: Counter::default(),
            rejected: from_fn(|_| Counter::default()),
            stored: Counter::default(),
            requests: from_fn(|_| from_fn(|_| Counter::default())),
            queries: Durations::default(),
            writes: Durations::default(),
            queries_too_large: Counter::default(),
            bodies_too_large: Counter::default(),
            moved: Counter::default(),
            turns: Counter::default(),
            messages: Counter::default(),
            checkpoints: CheckpointCounters {
                complete: Counter::default(),
                failed: Counter::default(),
                took_ns: Cell::new(0),
                last_ns: Cell::new(now_ns()),
            },
        }
    }
}

impl Counters {
    /// Some lines were not stored.
    pub fn reject(&self, why: Rejected, lines: u64) {
        self.rejected[why as usize].add(lines);
    }

    /// What decoding has made of lines. A line that ended its request is not among the counts: see [`Self::bad_line`].
    pub fn decoded(&self, counts: &Counts) {
        let Counts { samples, unconfigured, unsafe_names, beyond_limit, future, too_old, bad, .. } = counts;
        self.lines.add(samples + unconfigured + unsafe_names + beyond_limit + future + too_old + bad);
        self.unconfigured.add(*unconfigured);
        self.reject(Rejected::UnsafeName, *unsafe_names);
        self.reject(Rejected::BeyondMaxSeries, *beyond_limit);
        self.reject(Rejected::Future, *future);
        self.reject(Rejected::TooOld, *too_old);
        self.reject(Rejected::BadLine, *bad);
    }

    /// A bad line ended its request.
    pub fn bad_line(&self) {
        self.lines.increment();
        self.reject(Rejected::BadLine, 1);
    }

    /// A batch is stored by this core.
    pub fn applied(&self, applied: &Applied) {
        self.stored.add(applied.stored);
        self.reject(Rejected::TooOld, applied.too_old);
        self.reject(Rejected::BeyondMaxSeries, applied.beyond_limit);
    }

    /// A request is answered.
    pub fn request(&self, call: Call, status: StatusCode, took: Duration) {
        self.requests[call as usize][status_class(status)].increment();
        match call {
            Call::Query => self.queries.count(took),
            Call::Write => self.writes.count(took),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_lists_of_all() {
        assert!(Rejected::ALL.iter().enumerate().all(|(index, why)| *why as usize == index));
        assert!(Call::ALL.iter().enumerate().all(|(index, call)| *call as usize == index));
    }
}

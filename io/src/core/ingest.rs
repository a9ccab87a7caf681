//! The way of lines: bytes of a transport → samples → owners → acknowledgement.
//!
//! Samples of one request are collected by owner and sent as one message each, not one by one
//! (DESIGN decision 2). A request is acknowledged when all owners have replied.

use std::rc::Rc;

use engine::line::decode::{BadLine, Counts, Dialect, LineStream, Outbox};
use engine::line::error::LineError;
use engine::line::key::UnsafeName;

use super::calls::Call;
use super::event::{Reply, Request};
use super::{Core, DaemonCore, clock_seconds};
use crate::runtime::reactor_turn;

/// A message to an owner has about this many samples at most: what one chunk adds comes on top.
pub const BATCH_SAMPLES_MAX: usize = 4096;

/// Bytes decoded in one turn: about a third of a millisecond.
const TURN_BYTES: usize = 128 * 1024;

/// Samples could not be made durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be stored at the moment: {why}")]
pub struct NotWritten {
    /// What the log says.
    pub why: Box<str>,
}

/// A stream of lines being stored: a request body, a connection, a message.
#[derive(Debug)]
pub struct Ingest {
    core: Rc<Core>,
    cluster_default: Box<str>,
    stream: LineStream,
    outbox: Outbox,
    call: Call,
    too_old: u64,
    beyond_series_max: u64,
    /// What was reported so far, with what owners have dropped.
    reported: Counts,
    /// Why an owner did not store something.
    refused: Option<NotWritten>,
    /// Bytes decoded since the core's other tasks had their turn.
    turn_bytes: usize,
}

impl Ingest {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(core: &Rc<Core>, cluster_default: &str, bad_line: BadLine) -> Self {
        Self::of_dialect(core, cluster_default, bad_line, Dialect::default())
    }

    /// The core it is stored from.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// A stream at its beginning, of a client that speaks this dialect.
    #[must_use]
    pub fn of_dialect(core: &Rc<Core>, cluster_default: &str, bad_line: BadLine, dialect: Dialect) -> Self {
        Self {
            core: Rc::clone(core),
            cluster_default: cluster_default.into(),
            stream: LineStream::of_dialect(bad_line, dialect),
            outbox: Outbox::new(core.cores()),
            call: Call::new(core),
            too_old: 0,
            beyond_series_max: 0,
            reported: Counts::default(),
            refused: None,
            turn_bytes: 0,
        }
    }

    /// Decodes the next bytes. Waits only if an owner cannot keep up.
    ///
    /// # Errors
    /// The first bad line, with [`BadLine::Stop`]; then [`Self::finish`] still stores the lines before it.
    pub async fn push(&mut self, chunk: &[u8]) -> Result<(), LineError> {
        let result = {
            let mut router = self.core.router.borrow_mut();
            self.stream.push(&mut router, &self.cluster_default, clock_seconds(), chunk, &mut self.outbox)
        };
        if result.is_err() {
            self.core.counters.bad_line();
        }
        if self.outbox.longest() >= BATCH_SAMPLES_MAX {
            self.send().await;
        }
        // A client that sends without a pause always has bytes ready, so its task would never wait.
        self.turn_bytes += chunk.len();
        if self.turn_bytes >= TURN_BYTES {
            self.turn_bytes = 0;
            reactor_turn().await;
        }
        result
    }

    /// The bytes are over: decodes an unfinished last line.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn end_of_stream(&mut self) -> Result<(), LineError> {
        let mut router = self.core.router.borrow_mut();
        let result =
            self.stream.finish(&mut router, &self.cluster_default, clock_seconds(), &mut self.outbox);
        if result.is_err() {
            self.core.counters.bad_line();
        }
        result
    }

    /// Sends what was decoded to its owners.
    pub async fn send(&mut self) {
        for owner in 0..self.outbox.samples.len() {
            if self.outbox.samples[owner].is_empty() {
                continue;
            }
            self.core.outgoing.room(owner).await;
            let samples = std::mem::replace(&mut self.outbox.samples[owner], self.core.spare_list());
            let batch = self.core.router.borrow_mut().seal(owner, samples);
            self.call.request_now(owner, Request::Write(batch));
        }
        let replies = self.call.take_replies();
        self.take(replies);
    }

    /// Sends the rest and waits until everything is stored.
    ///
    /// # Errors
    /// Some owner's log does not work: not everything is stored, and nothing must be acknowledged.
    pub async fn finish(&mut self) -> Result<(), NotWritten> {
        self.send().await;
        let replies = self.call.replies().await;
        self.take(replies);
        self.report();
        self.refused.take().map_or(Ok(()), Err)
    }

    /// Whether something was not stored so far.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What was dropped, for whatever reason, up to the last report; [`Self::finish`] makes one.
    #[must_use]
    pub fn dropped(&self) -> &Counts {
        &self.reported
    }

    /// The same, for a caller that warns of them itself; they are still counted.
    pub fn take_bad_lines(&mut self) -> Option<(u64, LineError)> {
        let first = self.stream.counts.first_bad.take()?;
        Some((self.stream.counts.bad, first))
    }

    fn take(&mut self, replies: Vec<(usize, Reply)>) {
        for (_, reply) in replies {
            match reply {
                Reply::Written(applied, list) => {
                    self.too_old += applied.too_old;
                    self.beyond_series_max += applied.beyond_limit;
                    self.core.put_spare_list(list);
                }
                Reply::NotWritten(why, list) => {
                    self.refused.get_or_insert(NotWritten { why });
                    self.core.put_spare_list(list);
                }
                _ => unreachable!("writes are replied to as written or not"),
            }
        }
    }

    /// Warns of what was rejected since the last time.
    pub fn report(&mut self) {
        let mut counts = std::mem::take(&mut self.stream.counts);
        self.core.counters.decoded(&counts);
        // Owners have counted theirs.
        counts.too_old += std::mem::take(&mut self.too_old);
        counts.beyond_limit += std::mem::take(&mut self.beyond_series_max);
        self.core.warn_rejected(&counts);
        self.reported.add(counts);
    }
}

impl Drop for Ingest {
    /// What a broken connection leaves behind was never acknowledged and is not stored; its lists are reused.
    fn drop(&mut self) {
        self.core.counters.decoded(&self.stream.counts);
        for list in self.outbox.samples.drain(..) {
            self.core.put_spare_list(list);
        }
    }
}

impl DaemonCore {
    /// Warns of rejected lines, at most once per kind and interval.
    fn warn_rejected(&self, counts: &Counts) {
        let (too_old, beyond_series_max) = (counts.too_old, counts.beyond_limit);
        let now_ms = crate::runtime::now_ms();
        let warnings = &self.warnings;
        if counts.unsafe_names > 0
            && let Some(more) = warnings.unsafe_name.allow(now_ms)
        {
            let name = match counts.first_unsafe {
                Some(UnsafeName::Cluster) => "cluster",
                _ => "hostname",
            };
            let lines = counts.unsafe_names;
            tracing::warn!(
                "{lines} lines rejected: their {name} is missing or cannot be a file name ({more} such warnings suppressed)"
            );
        }
        if counts.future > 0
            && let Some(more) = warnings.future.allow(now_ms)
        {
            let (lines, limit) = (counts.future, engine::limits::FUTURE_SECONDS_MAX);
            tracing::warn!(
                "{lines} samples rejected: more than {limit} s ahead of the clock ({more} such warnings suppressed)"
            );
        }
        if too_old > 0
            && let Some(more) = warnings.too_old.allow(now_ms)
        {
            tracing::warn!(
                "{too_old} late samples dropped: older than retention-in-memory ({more} such warnings suppressed)"
            );
        }
        if beyond_series_max > 0
            && let Some(more) = warnings.beyond_series_max.allow(now_ms)
        {
            let series_max = self.series_max;
            tracing::warn!(
                "{beyond_series_max} samples of new series dropped: metric-store.max-series is {series_max}; raise it, or look for clients that make names up ({more} such warnings suppressed)"
            );
        }
        if let Some(error) = &counts.first_bad
            && let Some(more) = warnings.bad_line.allow(now_ms)
        {
            let lines = counts.bad;
            tracing::warn!("{lines} bad lines skipped, the first: {error} ({more} such warnings suppressed)");
        }
    }
}

//! Group commit: blocks of one core's log become durable together (DESIGN decisions 4 and 9).
//!
//! Before it: the pump, which appends finished blocks. After it: the acknowledgement. While one write and its sync are
//! under way, blocks that come meanwhile gather; then all of them go in one write and one sync.
//!
//! An error of the disk stops the log: everything not yet acknowledged is lost to its callers, who answer 503, and
//! nothing more is written to that segment. The [`writer`](super) then tries to begin a new segment until it
//! succeeds. The owner hears of both, encodes anew what it needs in the new segment, and goes on.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

pub use super::report::{AppendError, CommitError, CommitEvent, Failure, LogState};
use super::segments::Segments;
use super::signal::Signal;
use super::state::{Group, Item, Shared, State};
use super::statistics::{CommitStatistics, Counters};
pub use super::tickets::Ticket;
use super::tickets::{Fate, Tickets};
use super::writer;
use crate::durations::DurationCounts;
use crate::platform::{LogFile, Platform, SECTOR_BYTES, Writes};

/// When a written block is made durable: `metric-store.wal.sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    /// Before it is acknowledged.
    Always,
    /// Every so often; acknowledged once written.
    Interval(Duration),
    /// When the kernel likes.
    None,
    /// Nothing is logged: what is in no snapshot is in memory only.
    Off,
}

/// How a core's log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitOptions {
    /// `metric-store.wal.sync`.
    pub sync: WalSync,
    /// From this many bytes waiting on, nothing more is taken. One block may exceed it.
    pub pending_bytes_max: usize,
    /// Time between a failure and the first attempt to begin a new segment; doubled after every further one, up to
    /// [`RETRY_INTERVALS_MAX`] times it.
    pub retry_interval: Duration,
}

/// Bound of the time between two attempts, as a multiple of [`CommitOptions::retry_interval`]: an attempt on a full
/// disk writes what fits.
pub const RETRY_INTERVALS_MAX: u32 = 16;

impl CommitOptions {
    /// The same beside logs of earlier runs that hold records: those are loaded on top of snapshots until they are gone, so what is
    /// newer must be in the log as well, also where [nothing is to be logged](WalSync::Off).
    #[must_use]
    pub fn beside_records(self) -> Self {
        let sync = if self.sync == WalSync::Off { WalSync::None } else { self.sync };
        Self { sync, ..self }
    }

    /// How segments are to be opened.
    pub(super) fn writes(&self) -> Writes {
        match self.sync {
            WalSync::Always => Writes::Durable,
            WalSync::Interval(_) | WalSync::None | WalSync::Off => Writes::Cached,
        }
    }
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            sync: WalSync::Always,
            pending_bytes_max: crate::limits::LOG_PENDING_BYTES_MAX,
            retry_interval: Duration::from_secs(1),
        }
    }
}

/// One core's log. Cheap to clone; all clones are the same log.
pub struct CommitQueue<P: Platform>(pub(super) Rc<Shared<P>>);

impl<P: Platform> CommitQueue<P> {
    /// Begins the first segment and starts the writer as a task of this core. `on_event` is called from that task; it
    /// may append, but must not run for long.
    ///
    /// On a full disk it starts as a log that has failed: the first checkpoint may make room.
    ///
    /// # Errors
    /// All others of the disk.
    pub async fn start(
        segments: Segments<P>,
        options: CommitOptions,
        on_event: impl Fn(CommitEvent) + 'static,
    ) -> io::Result<Self> {
        let (first, log) = match segments.begin(options.writes()).await {
            Ok(first) => (Some(first), LogState::Running),
            Err(error) if is_out_of_space(&error) => {
                let failure = Failure::new(segments.platform().now_ns(), &error);
                tracing::error!(
                    "core {}: writes are refused until there is room for the log: {failure}",
                    segments.core()
                );
                (None, LogState::Failed(Rc::new(failure)))
            }
            Err(error) => return Err(error),
        };
        let mut state = State {
            log,
            current: None,
            last_current: None,
            failed_at_id: segments.last_id(),
            offset: 0,
            ready: None,
            unsealed: BTreeSet::new(),
            is_preparing: false,
            prepare_after_ns: 0,
            is_out_of_room: false,
            is_retry_due: false,
            seen_at_ns: segments.platform().now_ns(),
            is_next_wanted: false,
            is_sync_due: false,
            has_sync_failed: false,
            is_closing: false,
            has_ended: false,
            items: VecDeque::new(),
            pending_bytes: 0,
            tickets: Tickets::default(),
            spare: Vec::new(),
        };
        let is_running = first.is_some();
        if let Some(first) = first {
            state.set_current(first);
        }
        let shared = Shared {
            segments,
            options,
            on_event: Box::new(on_event),
            state: state.into(),
            work: Signal::default(),
            done: Signal::default(),
            counters: Counters::default(),
        };
        if is_running {
            shared.counters.segment_begun();
        }
        let shared = Rc::new(shared);
        writer::start(&shared);
        Ok(Self(shared))
    }

    /// The files of the log.
    #[must_use]
    pub fn segments(&self) -> &Segments<P> {
        &self.0.segments
    }

    /// Whether anything is logged at all.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.options.sync == WalSync::Off
    }

    /// Whether blocks are taken.
    #[must_use]
    pub fn state(&self) -> LogState {
        self.0.state.borrow().log.clone()
    }

    /// The segment that blocks are to be encoded for; none unless the log is running.
    #[must_use]
    pub fn segment(&self) -> Option<u64> {
        self.0.state.borrow().current.as_ref().map(|segment| segment.id)
    }

    /// Bytes left in the current segment.
    #[must_use]
    pub fn segment_room_bytes(&self) -> u64 {
        let state = self.0.state.borrow();
        state.current.as_ref().map_or(0, |segment| segment.file.bytes() - state.offset)
    }

    /// Appends a block (or the header, or several) that was encoded for `segment`. Copies it; allocates nothing once
    /// buffers have grown.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was appended then.
    pub fn append(&self, segment: u64, bytes: &[u8]) -> Result<Ticket, AppendError> {
        let shared = &self.0;
        if bytes.is_empty() || !bytes.len().is_multiple_of(SECTOR_BYTES) {
            return Err(AppendError::Misaligned { bytes: bytes.len() });
        }
        let mut guard = shared.state.borrow_mut();
        let state = &mut *guard;
        if state.is_closing {
            return Err(AppendError::Closed);
        }
        let current = match (&state.log, &state.current) {
            (LogState::Running, Some(current)) => Rc::clone(current),
            (LogState::Failed(failure), _) => return Err(AppendError::Failed(Rc::clone(failure))),
            (LogState::Closed | LogState::Running, _) => return Err(AppendError::Closed),
        };
        if current.id != segment {
            return Err(AppendError::OtherSegment { given: segment, current: current.id });
        }
        let room_bytes = current.file.bytes() - state.offset;
        if bytes.len() as u64 > room_bytes {
            return Err(AppendError::SegmentFull { bytes: bytes.len() as u64, room_bytes });
        }
        if state.pending_bytes >= shared.options.pending_bytes_max {
            return Err(AppendError::NoRoom { pending_bytes: state.pending_bytes });
        }
        let ticket = state.tickets.append();
        match state.items.back_mut() {
            // An item for the current segment is the last one: a rotation puts a seal behind it.
            Some(Item::Write(group)) => {
                group.bytes.extend_from_slice(bytes);
                group.blocks += 1;
                group.up_to = ticket;
            }
            _ => {
                let mut buffer = state.spare.pop().unwrap_or_default();
                buffer.extend_from_slice(bytes);
                let group = Group {
                    segment: Rc::clone(&current),
                    offset: state.offset,
                    bytes: buffer,
                    blocks: 1,
                    up_to: ticket,
                };
                state.items.push_back(Item::Write(group));
            }
        }
        state.offset += bytes.len() as u64;
        state.pending_bytes += bytes.len();
        let is_next_due = state.offset > current.file.bytes() / 2
            && state.lacks_next()
            && shared.segments.platform().now_ns() >= state.prepare_after_ns;
        drop(guard);
        shared.work.notify();
        if is_next_due {
            writer::prepare_next(shared);
        }
        Ok(ticket)
    }

    /// Whether [`append`](Self::append) would take a block now, as far as waiting bytes are concerned.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.state.borrow().pending_bytes < self.0.options.pending_bytes_max
    }

    /// Waits until [`has_room`](Self::has_room): callers stop reading meanwhile.
    pub async fn room(&self) {
        self.0.done.until(|| self.has_room().then_some(())).await;
    }

    /// Everything up to this ticket is decided: it can be acknowledged, but for what was lost in a failure.
    #[must_use]
    pub fn durable_up_to(&self) -> Ticket {
        self.0.state.borrow().tickets.acknowledged()
    }

    /// What became of a block, and none while it waits. `Ok` is what `wal.sync` promises: durable, or with
    /// `interval` and `none` written.
    ///
    /// # Errors
    /// The log stopped or was closed before it was acknowledged.
    pub fn outcome(&self, ticket: Ticket) -> Option<Result<(), CommitError>> {
        let state = self.0.state.borrow();
        match state.tickets.fate(ticket) {
            Fate::Acknowledged => Some(Ok(())),
            Fate::Lost => Some(Err(CommitError::Lost)),
            Fate::Waits if state.log == LogState::Closed => Some(Err(CommitError::Closed)),
            Fate::Waits => None,
        }
    }

    /// Waits for [`outcome`](Self::outcome).
    ///
    /// # Errors
    /// As there.
    pub async fn wait(&self, ticket: Ticket) -> Result<(), CommitError> {
        self.0.done.until(|| self.outcome(ticket)).await
    }

    /// Ends the current segment and makes the next one current: the caller begins it with a header. At once if it was
    /// prepared, which begins when half of the current segment is used. Returns its number.
    ///
    /// # Errors
    /// No segment can be begun, which stops the log; or it had stopped or was closed.
    pub async fn next_segment(&self) -> Result<u64, CommitError> {
        let shared = &self.0;
        shared
            .done
            .until(|| {
                let mut state = shared.state.borrow_mut();
                match &state.log {
                    LogState::Failed(failure) => return Some(Err(CommitError::Failed(Rc::clone(failure)))),
                    LogState::Closed => return Some(Err(CommitError::Closed)),
                    LogState::Running => {}
                }
                if let Some(next) = state.ready.take() {
                    let id = next.id;
                    if let Some(old) = state.current.take() {
                        state.unsealed.insert(old.id);
                        state.items.push_back(Item::Seal(old));
                    }
                    state.set_current(next);
                    shared.counters.segment_begun();
                    shared.work.notify();
                    return Some(Ok(id));
                }
                state.is_next_wanted = true;
                shared.work.notify();
                None
            })
            .await
    }

    /// Draws the line of a checkpoint: blocks appended from now on are in segments with the number returned or above, and
    /// whatever is below was appended before. Ends the current segment, unless no block was written to it, or no next one can be begun:
    /// then the line is where it begins. What a checkpoint discards may be what makes room.
    ///
    /// # Errors
    /// The log was closed, or it stops now.
    pub async fn cut(&self) -> Result<u64, CommitError> {
        {
            let state = self.0.state.borrow();
            // Nothing but the header.
            let is_unused = state.offset <= SECTOR_BYTES as u64;
            if state.log != LogState::Running || is_unused {
                drop(state);
                return self.line();
            }
        }
        self.prepare_next().await;
        if self.0.state.borrow().ready.is_none() {
            return self.line();
        }
        self.next_segment().await
    }

    /// The line of a checkpoint that ends no segment: where the current one begins.
    ///
    /// # Errors
    /// The log was closed.
    pub fn line(&self) -> Result<u64, CommitError> {
        let state = self.0.state.borrow();
        match (&state.log, &state.current) {
            // Nothing is open: whatever comes has a number of its own. Not the next one: the attempt to begin a
            // segment may be under way, and have taken that.
            (LogState::Failed(_), _) => Ok(state.failed_at_id.saturating_add(1)),
            (LogState::Running, Some(current)) => Ok(current.id),
            (LogState::Running | LogState::Closed, _) => Err(CommitError::Closed),
        }
    }

    /// Whether the log cannot go on, or soon cannot, for want of something that a checkpoint may give: room, or the directory that
    /// somebody took away with what was in it.
    #[must_use]
    pub fn needs_checkpoint(&self) -> bool {
        let state = self.0.state.borrow();
        match &state.log {
            LogState::Failed(failure) => {
                failure.kind == io::ErrorKind::NotFound || is_room_wanted(failure.kind)
            }
            LogState::Running => state.is_out_of_room && state.ready.is_none(),
            LogState::Closed => false,
        }
    }

    /// Gives the room of recycled files, and of the segment that was begun ahead of time, to whoever needs it more.
    pub(super) async fn release_spares(&self) {
        let begun = {
            let mut state = self.0.state.borrow_mut();
            let retry_ns = u64::try_from(self.0.options.retry_interval.as_nanos()).unwrap_or(u64::MAX);
            state.prepare_after_ns = self.0.now_ns().saturating_add(retry_ns);
            state.ready.take()
        };
        self.0.segments.remove_spares(begun).await;
    }

    /// There may be room now: the writer tries again at once.
    pub fn retry(&self) {
        {
            let mut state = self.0.state.borrow_mut();
            state.is_retry_due = state.log != LogState::Running;
            state.prepare_after_ns = 0;
        }
        self.0.work.notify();
    }

    /// Waits until the next segment is prepared, or could not be. The writer goes on with the current one meanwhile, which it
    /// does not for [`next_segment`](Self::next_segment): whoever calls that mostly has no room left.
    async fn prepare_next(&self) {
        let shared = &self.0;
        let is_due = {
            let state = shared.state.borrow();
            state.log == LogState::Running && state.lacks_next()
        };
        if is_due {
            writer::prepare_next(shared);
        }
        let is_over = |state: &State<P::File>| !state.is_preparing || state.log != LogState::Running;
        shared.done.until(|| is_over(&shared.state.borrow()).then_some(())).await;
    }

    /// Waits until the segments below `id`, which [`cut`](Self::cut) returned, are written, synced and can be discarded.
    pub async fn sealed_before(&self, id: u64) {
        let is_sealed = || {
            let state = self.0.state.borrow();
            (state.has_ended || state.unsealed.range(..id).next().is_none()).then_some(())
        };
        self.0.done.until(is_sealed).await;
    }

    /// Waits until everything appended before is durable, whatever `wal.sync` is, or the log has failed: what was lost then
    /// counts.
    pub async fn synced(&self) {
        let shared = &self.0;
        let appended = shared.state.borrow().tickets.appended();
        let is_synced = || {
            let mut state = shared.state.borrow_mut();
            if state.tickets.synced() >= appended || state.has_ended || state.log != LogState::Running {
                return Some(());
            }
            if state.tickets.acknowledged() >= appended && !state.is_sync_due {
                state.is_sync_due = true;
                shared.work.notify();
            }
            None
        };
        shared.done.until(is_synced).await;
    }

    /// Writes what waits, syncs it whatever `wal.sync` is, seals the segment and ends the writer; returns when that has
    /// happened.
    ///
    /// # Errors
    /// The log had stopped, or stops now.
    pub async fn close(&self) -> Result<(), CommitError> {
        self.0.state.borrow_mut().is_closing = true;
        self.0.work.notify();
        self.0
            .done
            .until(|| {
                let state = self.0.state.borrow();
                state.has_ended.then(|| match &state.log {
                    LogState::Failed(failure) => Err(CommitError::Failed(Rc::clone(failure))),
                    LogState::Closed | LogState::Running => Ok(()),
                })
            })
            .await
    }

    /// What the log has done so far.
    #[must_use]
    pub fn statistics(&self) -> CommitStatistics {
        self.0.counters.get()
    }

    /// How long its successful syncs took, among them writes that are durable without.
    #[must_use]
    pub fn sync_durations(&self) -> DurationCounts {
        self.0.counters.sync_durations()
    }
}

impl<P: Platform> Clone for CommitQueue<P> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<P: Platform> fmt::Debug for CommitQueue<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.borrow();
        formatter
            .debug_struct("CommitQueue")
            .field("core", &self.0.segments.core())
            .field("state", &state.log)
            .field("tickets", &state.tickets)
            .finish_non_exhaustive()
    }
}

/// Whether an error says that there is no room.
pub(super) fn is_out_of_space(error: &io::Error) -> bool {
    is_room_wanted(error.kind())
}

fn is_room_wanted(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

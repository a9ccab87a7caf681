//! What the queue of a core's log and the tasks behind it share.
//!
//! [`commit`](super::commit) puts items in, [`writer`](super::writer) takes them out.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::commit::{CommitEvent, CommitOptions, LogState};
use super::segments::{OpenSegment, Segments};
use super::signal::Signal;
use super::statistics::Counters;
use super::tickets::{Ticket, Tickets};
use crate::platform::Platform;

/// Buffers kept for the next groups.
const SPARE_BUFFERS_MAX: usize = 4;

/// What the queue and its tasks share.
pub(super) struct Shared<P: Platform> {
    pub(super) segments: Segments<P>,
    pub(super) options: CommitOptions,
    pub(super) on_event: Box<dyn Fn(CommitEvent)>,
    pub(super) state: RefCell<State<P::File>>,
    /// Something is to be done.
    pub(super) work: Signal,
    /// Something was done.
    pub(super) done: Signal,
    pub(super) counters: Counters,
}

impl<P: Platform> Shared<P> {
    pub(super) fn now_ns(&self) -> u64 {
        self.segments.platform().now_ns()
    }

    pub(super) fn since(&self, start_ns: u64) -> Duration {
        Duration::from_nanos(self.now_ns().saturating_sub(start_ns))
    }
}

/// Never borrowed across an await, nor while `on_event` is called.
pub(super) struct State<F> {
    pub(super) log: LogState,
    pub(super) current: Option<Rc<OpenSegment<F>>>,
    /// The number of the last one that was current.
    pub(super) last_current: Option<u64>,
    /// The largest number in use when the log stopped last: those of the segments after it are above.
    pub(super) failed_at_id: u64,
    /// Where the next block goes in the current segment.
    pub(super) offset: u64,
    /// The next segment, begun ahead of time.
    pub(super) ready: Option<OpenSegment<F>>,
    /// Segments that were given to the writer to be sealed.
    pub(super) unsealed: BTreeSet<u64>,
    /// A task is beginning it, this one's writer or another: one at a time, so that numbers grow with time.
    pub(super) is_preparing: bool,
    /// The attempt before failed: the next one is not before this time.
    pub(super) prepare_after_ns: u64,
    /// The last attempt found no room on the disk.
    pub(super) is_out_of_room: bool,
    /// There may be room now: the next attempt is due at once.
    pub(super) is_retry_due: bool,
    /// When the current segment was last seen in its directory; nanoseconds.
    pub(super) seen_at_ns: u64,
    /// Somebody waits for it.
    pub(super) is_next_wanted: bool,
    pub(super) is_sync_due: bool,
    /// A sync of the current segment or one before it failed: what it was to make durable never counts as durable.
    pub(super) has_sync_failed: bool,
    pub(super) is_closing: bool,
    /// The writer has ended: all segments are sealed.
    pub(super) has_ended: bool,
    pub(super) items: VecDeque<Item<F>>,
    /// In `items` and being written.
    pub(super) pending_bytes: usize,
    pub(super) tickets: Tickets,
    pub(super) spare: Vec<Vec<u8>>,
}

/// What the writer does next, in order.
pub(super) enum Item<F> {
    Write(Group<F>),
    Seal(Rc<OpenSegment<F>>),
}

/// Consecutive blocks of one segment.
pub(super) struct Group<F> {
    pub(super) segment: Rc<OpenSegment<F>>,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) blocks: u64,
    pub(super) up_to: Ticket,
}

impl<F> State<F> {
    /// Whether there is no next segment, and nobody is beginning one.
    pub(super) fn lacks_next(&self) -> bool {
        self.ready.is_none() && !self.is_preparing
    }

    /// Makes `segment` the current one.
    pub(super) fn set_current(&mut self, segment: OpenSegment<F>) {
        assert!(
            self.last_current < Some(segment.id),
            "segments become current in the order of their numbers"
        );
        self.last_current = Some(segment.id);
        self.current = Some(Rc::new(segment));
        self.offset = 0;
        self.is_next_wanted = false;
        self.is_out_of_room = false;
    }

    pub(super) fn put_spare(&mut self, mut buffer: Vec<u8>, bytes_max: usize) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= bytes_max {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

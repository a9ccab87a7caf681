//! The log of one core as its pump sees it: samples are encoded while they are stored, and acknowledged when
//! their block is durable (DESIGN decision 4).
//!
//! A turn of the pump makes one block of everything it stored; blocks of several turns share one sync. While
//! the log has failed, writes are refused and nothing is stored (decision 9). Who is to be told is a tag `T` of the
//! caller's; it comes back with what became of it.
//!
//! What was recorded in a turn and does not fit into the segment is carried over: it is recorded again, in the same order, in the
//! next one. So only what is larger than a whole segment is ever refused while the disk works.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::commit::{
    AppendError, CommitError, CommitEvent, CommitOptions, CommitQueue, LogState, Ticket, WalSync,
};
use super::parts::Part;
pub use super::parts::{Done, Free};
use super::segments::{SegmentOptions, Segments};
use crate::limits::{LOG_ROOM_BYTES_MIN, LOG_TURN_BLOCK_BYTES};
use crate::memory::shard::Shard;
use crate::platform::{Platform, SECTOR_BYTES};
use crate::series::route::Batch;
use crate::wal::encode::SegmentEncoder;
use crate::wal::segment::SegmentHeader;

/// What the writer's task and the pump share.
struct Acknowledgements<T> {
    /// In the order of their tickets.
    waiting: RefCell<VecDeque<(Ticket, T, Done)>>,
    /// By block appended: its ticket, its segment, and how many blocks that has with it.
    blocks: RefCell<VecDeque<(Ticket, u64, u64)>>,
    /// Segment and number of blocks known to be on disk.
    settled: Cell<Option<(u64, u64)>>,
    tell: Box<dyn Fn(T, Done)>,
}

/// Which core writes a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its number.
    pub core: u16,
    /// How many there are.
    pub cores: u16,
}

/// The log of one core.
pub struct Journal<P: Platform, T> {
    platform: P,
    writer: Writer,
    queue: CommitQueue<P>,
    encoder: SegmentEncoder,
    acknowledgements: Rc<Acknowledgements<T>>,
    /// What was stored in this turn, whose block is not appended yet.
    turn: Vec<(T, Part)>,
    /// The segment into which `turn` did not fit: it waits to be recorded in another.
    carried_from: Option<u64>,
    /// A segment with less room is ended before the next turn: [`LOG_ROOM_BYTES_MIN`], or a quarter of its length.
    room_bytes_min: u64,
    /// Nothing is recorded: the sync is [`WalSync::Off`].
    is_off: bool,
    /// A block of this segment was sealed, but not taken: what came behind it would never be read again.
    has_hole: bool,
}

impl<P: Platform, T> std::fmt::Debug for Journal<P, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("segment", self.encoder.header()).finish_non_exhaustive()
    }
}

impl<P: Platform, T: 'static> Journal<P, T> {
    /// Begins a core's log. `tell` is called with every tag that was handed in, once; from the writer's task or from
    /// within a call of the pump, so it must not run for long.
    ///
    /// # Errors
    /// Those of the disk, see [`CommitQueue::start`].
    pub async fn start(
        platform: P,
        segments: SegmentOptions,
        options: CommitOptions,
        tell: impl Fn(T, Done) + 'static,
    ) -> io::Result<Self> {
        let writer = Writer { core: segments.core, cores: segments.cores };
        let is_off = options.sync == WalSync::Off;
        let room_bytes_min = LOG_ROOM_BYTES_MIN.min(segments.segment_bytes / 4);
        let segments = Segments::open(platform.clone(), segments).await?;
        let acknowledgements = Rc::new(Acknowledgements {
            waiting: RefCell::default(),
            blocks: RefCell::default(),
            settled: Cell::default(),
            tell: Box::new(tell),
        });
        let on_event = {
            let acknowledgements = Rc::clone(&acknowledgements);
            let sync = options.sync;
            move |event| acknowledgements.take(event, sync)
        };
        let queue = CommitQueue::start(segments, options, on_event).await?;
        let encoder = SegmentEncoder::new(header(writer, 0, platform.now_seconds()));
        Ok(Self {
            platform,
            writer,
            queue,
            encoder,
            acknowledgements,
            turn: Vec::new(),
            carried_from: None,
            room_bytes_min,
            is_off,
            has_hole: false,
        })
    }

    /// The files and the writer behind this log.
    #[must_use]
    pub fn queue(&self) -> CommitQueue<P> {
        self.queue.clone()
    }

    /// Prepares for a turn: follows the writer to a new segment, ends a full one, waits if the disk is behind.
    pub async fn begin_turn(&mut self) {
        if !self.queue.has_room() {
            self.queue.room().await;
        }
        let is_used_up = self.has_hole
            || self.carried_from.is_some_and(|segment| self.queue.segment() == Some(segment))
            || self.queue.segment_room_bytes() < self.room_bytes_min;
        if self.queue.segment().is_some() && is_used_up {
            // An error stops the log, which the next lines and every append see.
            let _ = self.queue.next_segment().await;
        }
        self.follow_segment();
        self.settle();
    }

    /// Whether there is room for what [`write`](Self::write) and [`free`](Self::free) add: who goes on without is refused.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.carried_from.is_none() && self.queue.has_room()
    }

    /// Stores a batch of core `source` and encodes it; refuses it while the log has failed.
    pub fn write(&mut self, shard: &mut Shard, source: usize, batch: Batch, tag: T) {
        let now = self.platform.now_seconds();
        // Off: acknowledged at the end of the turn, when its hosts are published. What is carried over comes first in the next segment.
        if self.is_off || self.carried_from.is_some() {
            let applied = shard.apply(source, &batch, now, None);
            self.turn.push((tag, Part::Write { source, applied, batch }));
            return;
        }
        if let Some(why) = self.failure() {
            // The names must not be lost: the sender will not send them again.
            shard.declare_all(source, &batch);
            (self.acknowledgements.tell)(tag, Done::NotWritten(why, batch.samples));
            return;
        }
        let applied = shard.apply(source, &batch, now, Some(&mut self.encoder));
        self.turn.push((tag, Part::Write { source, applied, batch }));
        self.end_long_block(shard);
    }

    /// Records a free, which is to be done when [`Done::Recorded`] says so.
    pub fn free(&mut self, shard: &Shard, free: Free, tag: T) {
        if self.is_off || self.carried_from.is_some() {
            self.turn.push((tag, Part::Free(free)));
            return;
        }
        if let Some(why) = self.failure() {
            (self.acknowledgements.tell)(tag, Done::NotRecorded(why));
            return;
        }
        free.record(&mut self.encoder);
        self.turn.push((tag, Part::Free(free)));
        self.end_long_block(shard);
    }

    fn failure(&self) -> Option<Box<str>> {
        match self.queue.state() {
            LogState::Failed(failure) => Some(failure.to_string().into()),
            LogState::Running if self.has_hole => {
                Some("the log takes no more before its next segment".into())
            }
            LogState::Running | LogState::Closed => None,
        }
    }

    fn end_long_block(&mut self, shard: &Shard) {
        if self.encoder.open_bytes() >= LOG_TURN_BLOCK_BYTES {
            self.end_block(shard);
        }
    }

    /// Ends the turn's block and appends it; what is in it is acknowledged when it is durable. Whoever is told at once, because
    /// nothing is logged, is told here: by then the pump has published the hosts.
    pub fn end_block(&mut self, shard: &Shard) {
        if self.carried_from.is_some() {
            self.record_carried(shard);
        } else if self.encoder.is_empty() {
            // Nothing was stored: only samples too old, or none.
            for (tag, part) in self.turn.drain(..) {
                (self.acknowledgements.tell)(tag, part.done());
            }
        } else if self.overflows() {
            self.refuse_never_fitting(shard);
            self.carry_over();
        } else {
            self.append_turn(shard);
        }
    }

    /// Whether what was recorded does not fit into the segment.
    fn overflows(&self) -> bool {
        self.queue.segment() == Some(self.encoder.header().id)
            && self.encoder.open_bytes() > self.queue.segment_room_bytes()
    }

    /// Everything of the turn waits for another segment.
    fn carry_over(&mut self) {
        self.encoder.abandon();
        self.carried_from = (!self.turn.is_empty()).then_some(self.encoder.header().id);
    }

    /// Records in the segment that is current now what did not fit into the one before.
    fn record_carried(&mut self, shard: &Shard) {
        if let Some(why) = self.failure() {
            self.carried_from = None;
            self.refuse_turn(&why);
            return;
        }
        if self.carried_from == self.queue.segment() {
            // The next turn begins another.
            return;
        }
        self.follow_segment();
        self.carried_from = None;
        let mut left: VecDeque<(T, Part)> = std::mem::take(&mut self.turn).into();
        while let Some((tag, part)) = left.pop_front() {
            part.record(shard, &mut self.encoder);
            if self.overflows() {
                // Those before it fit without it.
                self.encoder.abandon();
                self.turn.iter().for_each(|(_, part)| part.record(shard, &mut self.encoder));
                self.append_turn(shard);
                self.turn.push((tag, part));
                self.turn.extend(left);
                self.refuse_never_fitting(shard);
                self.carry_over();
                return;
            }
            self.turn.push((tag, part));
            if self.encoder.open_bytes() >= LOG_TURN_BLOCK_BYTES {
                self.append_turn(shard);
            }
        }
        self.append_turn(shard);
    }

    /// Refuses those parts of the turn that are larger than a whole segment.
    fn refuse_never_fitting(&mut self, shard: &Shard) {
        let room_bytes = self.queue.segments().segment_bytes() - SECTOR_BYTES as u64;
        let mut alone = SegmentEncoder::new(*self.encoder.header());
        for (tag, part) in std::mem::take(&mut self.turn) {
            part.record(shard, &mut alone);
            let bytes = alone.open_bytes();
            alone.open(*self.encoder.header());
            if bytes <= room_bytes {
                self.turn.push((tag, part));
                continue;
            }
            let why = format!(
                "it needs {bytes} bytes in the log, a segment has room for {room_bytes}: send it in smaller parts"
            );
            (self.acknowledgements.tell)(tag, part.not_done(&why));
        }
    }

    fn append_turn(&mut self, shard: &Shard) {
        if self.encoder.is_empty() {
            for (tag, part) in self.turn.drain(..) {
                (self.acknowledgements.tell)(tag, part.done());
            }
            return;
        }
        let mut appended = self.append();
        if let Err(AppendError::OtherSegment { .. }) = appended {
            // The segment was changed during the turn: everything once more, for the new one.
            self.follow_segment();
            self.turn.iter().for_each(|(_, part)| part.record(shard, &mut self.encoder));
            if self.overflows() {
                self.refuse_never_fitting(shard);
                self.carry_over();
                return;
            }
            appended = self.append();
        }
        match appended {
            Ok(ticket) => {
                let mut waiting = self.acknowledgements.waiting.borrow_mut();
                waiting.extend(self.turn.drain(..).map(|(tag, part)| (ticket, tag, part.done())));
            }
            Err(error) => {
                // The block has a number, and the next one another: only a new segment begins at 0 again.
                self.has_hole = true;
                self.refuse_turn(&error.to_string());
            }
        }
    }

    fn refuse_turn(&mut self, why: &str) {
        for (tag, part) in self.turn.drain(..) {
            (self.acknowledgements.tell)(tag, part.not_done(why));
        }
    }

    fn append(&mut self) -> Result<Ticket, AppendError> {
        let segment = self.encoder.header().id;
        let bytes = self.encoder.seal();
        let ticket = self.queue.append(segment, bytes)?;
        self.acknowledgements.blocks.borrow_mut().push_back((ticket, segment, self.encoder.blocks()));
        Ok(ticket)
    }

    /// Turns to the writer's current segment, if it is another: its header comes first.
    fn follow_segment(&mut self) {
        let Some(id) = self.queue.segment().filter(|id| *id != self.encoder.header().id) else { return };
        let header = header(self.writer, id, self.platform.now_seconds());
        self.encoder.open(header);
        // Of a segment just begun nothing is known to be on disk.
        self.encoder.settle(0);
        self.has_hole = false;
        if let Err(error) = self.queue.append(id, &header.encode()) {
            tracing::debug!("segment {id:016x} not begun: {error}");
        }
    }

    /// Blocks say how many before them are known to be on disk, by which recovery tells a torn end from damage.
    fn settle(&mut self) {
        if let Some((segment, blocks)) = self.acknowledgements.settled.take()
            && segment == self.encoder.header().id
        {
            self.encoder.settle(blocks);
        }
    }

    /// Makes everything durable and ends the writer.
    ///
    /// # Errors
    /// The log has failed.
    pub async fn close(self) -> Result<(), CommitError> {
        self.queue.close().await
    }
}

fn header(writer: Writer, id: u64, created_seconds: i64) -> SegmentHeader {
    SegmentHeader { id, core: writer.core, cores: writer.cores, created_seconds }
}

impl<T> Acknowledgements<T> {
    /// Called from the writer's task.
    fn take(&self, event: CommitEvent, sync: WalSync) {
        match event {
            CommitEvent::Acknowledged(ticket) => {
                while let Some((tag, done)) = self.next_up_to(ticket) {
                    (self.tell)(tag, done);
                }
                let mut blocks = self.blocks.borrow_mut();
                while let Some((_, segment, count)) = blocks.pop_front_if(|(block, ..)| *block <= ticket) {
                    if sync == WalSync::Always {
                        self.settled.set(Some((segment, count)));
                    }
                }
            }
            CommitEvent::Failed { lost_up_to, failure, .. } => {
                // The writer has reported it.
                let Some(lost_up_to) = lost_up_to else { return };
                let why = failure.to_string();
                while let Some((tag, done)) = self.next_up_to(lost_up_to) {
                    (self.tell)(tag, done.undone(&why));
                }
                self.blocks.borrow_mut().clear();
            }
            // The next turn follows; the writer has reported it.
            CommitEvent::NewSegment(_) => {}
        }
    }

    fn next_up_to(&self, up_to: Ticket) -> Option<(T, Done)> {
        let (_, tag, done) = self.waiting.borrow_mut().pop_front_if(|(ticket, ..)| *ticket <= up_to)?;
        Some((tag, done))
    }
}

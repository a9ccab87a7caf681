//! The log of one core as its pump sees it: samples are encoded while they are stored, and acknowledged when
//! their block is durable (DESIGN decision 4).
//!
//! A turn of the pump makes one block of everything it stored; blocks of several turns share one sync. While
//! the log has failed, writes are refused and nothing is stored (decision 9). Who is to be told is a tag `T` of the
//! caller's; it comes back with what became of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::commit::{
    AppendError, CommitError, CommitEvent, CommitOptions, CommitQueue, LogState, Ticket, WalSync,
};
use super::segments::{SegmentOptions, Segments};
use crate::memory::shard::{Applied, Shard};
use crate::platform::Platform;
use crate::series::route::{Batch, Sample};
use crate::wal::encode::SegmentEncoder;
use crate::wal::segment::SegmentHeader;

/// A segment with less room than this is ended before the next turn, or with less than a quarter of its length.
const ROOM_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// The block of a turn is ended when it has this many bytes.
const BLOCK_BYTES: u64 = 512 * 1024;

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

/// What became of what was handed to a [`Journal`].
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
enum Part {
    /// The batch is kept, should it have to be encoded anew.
    Write {
        source: usize,
        applied: Applied,
        batch: Batch,
    },
    Free(Free),
}

impl Part {
    fn done(self) -> Done {
        match self {
            Self::Write { applied, batch, .. } => Done::Written(applied, batch.samples),
            Self::Free(free) => Done::Recorded(free),
        }
    }

    fn not_done(self, why: &str) -> Done {
        self.done().undone(why)
    }
}

impl Done {
    fn undone(self, why: &str) -> Self {
        match self {
            Self::Written(_, samples) | Self::NotWritten(_, samples) => Self::NotWritten(why.into(), samples),
            Self::Recorded(_) | Self::NotRecorded(_) => Self::NotRecorded(why.into()),
        }
    }
}

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
    /// Bytes of the segment when the turn began.
    turn_began_bytes: u64,
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
        let room_bytes_min = ROOM_BYTES_MIN.min(segments.segment_bytes / 4);
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
            turn_began_bytes: 0,
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
        let is_used_up = self.has_hole || self.queue.segment_room_bytes() < self.room_bytes_min;
        if self.queue.segment().is_some() && is_used_up {
            // An error stops the log, which the next lines and every append see.
            let _ = self.queue.next_segment().await;
        }
        self.follow_segment();
        self.settle();
        self.turn_began_bytes = self.encoder.bytes_in_segment();
    }

    /// Whether there is room for what [`write`](Self::write) and [`free`](Self::free) add: who goes on without is refused.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Stores a batch of core `source` and encodes it; refuses it while the log has failed.
    pub fn write(&mut self, shard: &mut Shard, source: usize, batch: Batch, tag: T) {
        if self.is_off {
            // Acknowledged at the end of the turn, when its hosts are published.
            let applied = shard.apply(source, &batch, self.platform.now_seconds(), None);
            self.turn.push((tag, Part::Write { source, applied, batch }));
            return;
        }
        if let Some(why) = self.failure() {
            // The names must not be lost: the sender will not send them again.
            shard.declare_all(source, &batch);
            (self.acknowledgements.tell)(tag, Done::NotWritten(why, batch.samples));
            return;
        }
        let applied = shard.apply(source, &batch, self.platform.now_seconds(), Some(&mut self.encoder));
        self.turn.push((tag, Part::Write { source, applied, batch }));
        self.end_long_block(shard);
    }

    /// Records a free, which is to be done when [`Done::Recorded`] says so.
    pub fn free(&mut self, shard: &Shard, free: Free, tag: T) {
        if self.is_off {
            (self.acknowledgements.tell)(tag, Done::Recorded(free));
            return;
        }
        if let Some(why) = self.failure() {
            (self.acknowledgements.tell)(tag, Done::NotRecorded(why));
            return;
        }
        record_free(&free, &mut self.encoder);
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
        if self.encoder.bytes_in_segment() - self.turn_began_bytes >= BLOCK_BYTES {
            self.end_block(shard);
        }
    }

    /// Ends the turn's block and appends it; what is in it is acknowledged when it is durable.
    pub fn end_block(&mut self, shard: &Shard) {
        if self.encoder.is_empty() {
            // Nothing was stored: only samples too old, or none.
            for (tag, part) in self.turn.drain(..) {
                (self.acknowledgements.tell)(tag, part.done());
            }
            return;
        }
        let mut appended = self.append();
        if let Err(AppendError::OtherSegment { .. }) = appended {
            // The segment was changed during the turn: everything once more, for the new one.
            self.follow_segment();
            for (_, part) in &self.turn {
                match part {
                    Part::Write { source, batch, .. } => shard.record(*source, batch, &mut self.encoder),
                    Part::Free(free) => record_free(free, &mut self.encoder),
                }
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
                let why = error.to_string();
                for (tag, part) in self.turn.drain(..) {
                    (self.acknowledgements.tell)(tag, part.not_done(&why));
                }
            }
        }
        self.turn_began_bytes = self.encoder.bytes_in_segment();
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
        self.turn_began_bytes = self.encoder.bytes_in_segment();
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

fn record_free(free: &Free, encoder: &mut SegmentEncoder) {
    free.mine.iter().for_each(|&index| encoder.free(&free.selectors[index as usize], free.to));
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

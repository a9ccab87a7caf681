//! The log of one core as its pump sees it: samples are encoded while they are stored, and acknowledged when
//! their block is durable (DESIGN decision 4).
//!
//! A turn of the pump makes one block of everything it stored; blocks of several turns share one sync. While
//! the log has failed, writes are refused and nothing is stored (decision 9).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use engine::memory::shard::{Applied, Shard};
use engine::series::route::Batch;
use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;

use super::event::{CallId, Reply};
use super::{Core, clock_seconds};
use crate::durable::commit::{
    AppendError, CommitError, CommitEvent, CommitOptions, CommitQueue, LogState, Ticket,
};
use crate::durable::disk::RealDisk;
use crate::durable::segments::{SegmentOptions, Segments};
use crate::settings::WalSync;

/// A segment with less room than this is ended before the next turn.
const ROOM_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// The block of a turn is ended when it has this many bytes.
const BLOCK_BYTES: u64 = 512 * 1024;

/// What a write waits for, and whom to tell.
#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    from: usize,
    call: CallId,
    reply: Reply,
}

/// What the writer's task and the pump share.
#[derive(Debug, Default)]
struct Acknowledgements {
    waiting: RefCell<VecDeque<Waiting>>,
    /// By block appended: its ticket, its segment, and how many blocks that has with it.
    blocks: RefCell<VecDeque<(Ticket, u64, u64)>>,
    /// Segment and number of blocks known to be on disk.
    settled: Cell<Option<(u64, u64)>>,
}

/// The log of one core.
pub struct Journal {
    core: Rc<Core>,
    queue: CommitQueue,
    encoder: SegmentEncoder,
    acknowledgements: Rc<Acknowledgements>,
    /// Writes stored in this turn, whose block is not appended yet; their batches, should it have to be encoded anew.
    turn: Vec<(usize, CallId, Applied, Batch)>,
    /// Bytes of the segment when the turn began.
    turn_began_bytes: u64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("segment", self.encoder.header()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Begins this core's log.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn start(core: &Rc<Core>, segments: SegmentOptions, sync: WalSync) -> io::Result<Self> {
        let segments = Segments::open(RealDisk, segments).await?;
        let acknowledgements = Rc::new(Acknowledgements::default());
        let on_event = {
            let (core, acknowledgements) = (Rc::clone(core), Rc::clone(&acknowledgements));
            move |event| acknowledgements.take(&core, event, sync)
        };
        let queue =
            CommitQueue::start(segments, CommitOptions { sync, ..CommitOptions::default() }, on_event)
                .await?;
        let encoder = SegmentEncoder::new(header(core, 0));
        Ok(Self {
            core: Rc::clone(core),
            queue,
            encoder,
            acknowledgements,
            turn: Vec::new(),
            turn_began_bytes: 0,
        })
    }

    /// The files and the writer behind this log.
    #[must_use]
    pub fn queue(&self) -> CommitQueue {
        self.queue.clone()
    }

    /// Prepares for a turn: follows the writer to a new segment, ends a full one, waits if the disk is behind.
    pub async fn begin_turn(&mut self) {
        if !self.queue.has_room() {
            self.queue.room().await;
        }
        if self.queue.segment().is_some() && self.queue.segment_room_bytes() < ROOM_BYTES_MIN {
            // An error stops the log, which the next lines and every append see.
            let _ = self.queue.next_segment().await;
        }
        self.follow_segment();
        self.settle();
        self.turn_began_bytes = self.encoder.bytes_in_segment();
    }

    /// Stores a batch and encodes it; refuses it while the log has failed.
    pub fn write(&mut self, shard: &mut Shard, from: usize, call: CallId, batch: Batch) {
        if let LogState::Failed(failure) = self.queue.state() {
            // The names must not be lost: the sender will not send them again.
            shard.declare_all(from, &batch);
            self.refuse(from, call, batch, &failure.to_string());
            return;
        }
        let applied = shard.apply(from, &batch, clock_seconds(), Some(&mut self.encoder));
        self.turn.push((from, call, applied, batch));
        if self.encoder.bytes_in_segment() - self.turn_began_bytes >= BLOCK_BYTES {
            self.end_block(shard);
        }
    }

    /// Records a free.
    pub fn free(&mut self, path: &[String], to: i64) {
        if matches!(self.queue.state(), LogState::Running) {
            self.encoder.free(path, to);
        }
    }

    /// Ends the turn's block and appends it; its writes are acknowledged when it is durable.
    pub fn end_block(&mut self, shard: &mut Shard) {
        if self.encoder.is_empty() {
            // Nothing was stored: only samples too old, or none.
            for (from, call, applied, batch) in self.turn.drain(..) {
                self.core.outgoing.send_reply(from, call, Reply::Written(applied, batch.samples));
            }
            return;
        }
        let mut appended = self.append();
        if let Err(AppendError::OtherSegment { .. }) = appended {
            // The segment was changed during the turn: everything once more, for the new one.
            self.follow_segment();
            for (from, _, _, batch) in &self.turn {
                shard.record(*from, batch, &mut self.encoder);
            }
            appended = self.append();
        }
        match appended {
            Ok(ticket) => {
                let mut waiting = self.acknowledgements.waiting.borrow_mut();
                for (from, call, applied, batch) in self.turn.drain(..) {
                    waiting.push_back(Waiting {
                        ticket,
                        from,
                        call,
                        reply: Reply::Written(applied, batch.samples),
                    });
                }
            }
            Err(error) => {
                let text = error.to_string();
                for (from, call, _, batch) in std::mem::take(&mut self.turn) {
                    self.refuse(from, call, batch, &text);
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

    fn refuse(&self, from: usize, call: CallId, batch: Batch, why: &str) {
        self.core.outgoing.send_reply(from, call, Reply::NotWritten(why.into(), batch.samples));
    }

    /// Turns to the writer's current segment, if it is another: its header comes first.
    fn follow_segment(&mut self) {
        let Some(id) = self.queue.segment().filter(|&id| id != self.encoder.header().id) else { return };
        let header = header(&self.core, id);
        self.encoder.open(header);
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

fn header(core: &Core, id: u64) -> SegmentHeader {
    let number = |number: usize| u16::try_from(number).expect("fewer than 65536 cores");
    SegmentHeader {
        id,
        core: number(core.index),
        cores: number(core.cores()),
        created_seconds: clock_seconds(),
    }
}

impl Acknowledgements {
    /// Called from the writer's task.
    fn take(&self, core: &Core, event: CommitEvent, sync: WalSync) {
        match event {
            CommitEvent::Acknowledged(ticket) => {
                while let Some(waiting) = self.next_up_to(ticket) {
                    core.outgoing.send_reply(waiting.from, waiting.call, waiting.reply);
                }
                let mut blocks = self.blocks.borrow_mut();
                while let Some(&(block, segment, count)) = blocks.front().filter(|block| block.0 <= ticket) {
                    debug_assert!(block <= ticket);
                    if sync == WalSync::Always {
                        self.settled.set(Some((segment, count)));
                    }
                    blocks.pop_front();
                }
            }
            CommitEvent::Failed { lost_up_to, failure, .. } => {
                // The writer has reported it.
                let Some(lost_up_to) = lost_up_to else { return };
                while let Some(waiting) = self.next_up_to(lost_up_to) {
                    let Reply::Written(_, samples) = waiting.reply else { unreachable!("only writes wait") };
                    let reply = Reply::NotWritten(failure.to_string().into(), samples);
                    core.outgoing.send_reply(waiting.from, waiting.call, reply);
                }
                self.blocks.borrow_mut().clear();
            }
            // The next turn follows; the writer has reported it.
            CommitEvent::NewSegment(_) => {}
        }
    }

    fn next_up_to(&self, ticket: Ticket) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.front()?.ticket > ticket { None } else { waiting.pop_front() }
    }
}

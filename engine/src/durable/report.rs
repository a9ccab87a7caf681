//! What the log tells its owner: errors, events, whether it runs.
//!
//! Part of the interface of [`commit`](super::commit), which re-exports all of it.

use std::fmt;
use std::io;
use std::rc::Rc;

use super::tickets::Ticket;
use crate::platform::SECTOR_BYTES;

/// What stopped a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, as [`Clock::now_ns`](crate::platform::Clock::now_ns).
    pub since_ns: u64,
    /// The kind of the first error.
    pub kind: io::ErrorKind,
    /// Operation, path and text of the first error.
    pub text: String,
}

impl Failure {
    /// What an error says.
    pub(super) fn new(since_ns: u64, error: &io::Error) -> Self {
        Self { since_ns, kind: error.kind(), text: error.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Why a block was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log has stopped: answer 503.
    #[error("the log does not work at the moment: {0}")]
    Failed(Rc<Failure>),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The block was encoded for another segment than the current one: encode it anew.
    #[error("the block is for segment {given:016x}, the current one is {current:016x}: encode it anew")]
    OtherSegment {
        /// Of the block.
        given: u64,
        /// To be written to.
        current: u64,
    },
    /// The segment ends before the block would: call [`next_segment`](super::commit::CommitQueue::next_segment) and encode it anew.
    #[error("the block has {bytes} bytes, the segment has room for {room_bytes}: begin the next segment")]
    SegmentFull {
        /// Of the block.
        bytes: u64,
        /// Left in the segment.
        room_bytes: u64,
    },
    /// Too much waits already: call [`room`](super::commit::CommitQueue::room).
    #[error("{pending_bytes} bytes wait to be written: wait for room")]
    NoRoom {
        /// Waiting now.
        pending_bytes: usize,
    },
    /// Not a positive number of whole sectors.
    #[error("a block of {bytes} bytes is not a positive multiple of {SECTOR_BYTES} bytes")]
    Misaligned {
        /// Of the block.
        bytes: usize,
    },
}

/// Why a block is not durable, or no segment was begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The log stopped while the block waited. It may or may not be in the log.
    #[error("the block was not made durable: the log stopped")]
    Lost,
    /// The log has stopped.
    #[error("the log does not work at the moment: {0}")]
    Failed(Rc<Failure>),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// What happens to a log; told to its owner at once, from the task that writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitEvent {
    /// Everything up to this ticket can be acknowledged, but for what was reported lost.
    Acknowledged(Ticket),
    /// The log stopped.
    Failed {
        /// The last of the blocks lost, beginning after the last one acknowledged.
        lost_up_to: Option<Ticket>,
        /// Everything acknowledged up to here is durable; with `wal.sync` = `always` that is everything.
        synced_up_to: Ticket,
        /// Why.
        failure: Rc<Failure>,
    },
    /// The log works again, with this segment; nothing has been written to it.
    NewSegment(u64),
}

/// Whether blocks are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogState {
    /// They are.
    Running,
    /// Not now.
    Failed(Rc<Failure>),
    /// Never again.
    Closed,
}

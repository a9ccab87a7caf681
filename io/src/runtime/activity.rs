//! What a connection has been doing, written by its [`Stream`](super::Stream), read by the idle sweep.
//!
//! Beside the sample's way: the stream stamps it on every read and write, `listen::connections` looks at it once a
//! second. Everything is a plain cell, because stream and sweep live on the same core.

use std::cell::Cell;

use super::now_ms;

/// The shared record of one connection. All times are of [`now_ms`].
#[derive(Debug)]
pub struct Activity {
    moved_ms: Cell<u64>,
    bytes_read: Cell<u64>,
    read_waits: Cell<bool>,
    write_waits: Cell<bool>,
    peer_finished: Cell<bool>,
    answered: Cell<bool>,
}

impl Activity {
    /// A connection that was opened just now.
    pub(super) fn new() -> Self {
        Self {
            moved_ms: Cell::new(now_ms()),
            bytes_read: Cell::new(0),
            read_waits: Cell::new(false),
            write_waits: Cell::new(false),
            peer_finished: Cell::new(false),
            answered: Cell::new(false),
        }
    }

    /// When bytes moved last, in either direction.
    #[must_use]
    pub fn moved_ms(&self) -> u64 {
        self.moved_ms.get()
    }

    /// How many bytes have been read since the connection was opened.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    /// Whether the next move is the peer's: we asked for bytes it has not sent, or offered bytes it does not take.
    /// A connection for which this is false is being worked on by us, however long ago its last byte was.
    #[must_use]
    pub fn waits_for_peer(&self) -> bool {
        self.read_waits.get() || self.write_waits.get()
    }

    /// Whether something is written that the socket has no room for.
    #[must_use]
    pub fn write_waits(&self) -> bool {
        self.write_waits.get()
    }

    /// Whether the peer has closed its sending side and everything it sent has been read.
    #[must_use]
    pub fn peer_finished(&self) -> bool {
        self.peer_finished.get()
    }

    /// The peer is about to be answered what it has asked for, and may ask on.
    pub fn answered(&self) {
        self.answered.set(true);
    }

    /// Whether the peer was answered since this was asked last.
    pub(super) fn take_answered(&self) -> bool {
        self.answered.take()
    }

    /// A read ended with this many bytes; 0 is the end of the peer's stream.
    pub(super) fn read(&self, bytes: usize) {
        self.read_waits.set(false);
        self.moved_ms.set(now_ms());
        self.bytes_read.set(self.bytes_read.get() + bytes as u64);
        if bytes == 0 {
            self.peer_finished.set(true);
        }
    }

    /// A write ended (with bytes taken by the kernel).
    pub(super) fn wrote(&self) {
        self.write_waits.set(false);
        self.moved_ms.set(now_ms());
    }

    /// A read found nothing and waits.
    pub(super) fn read_waits(&self) {
        self.read_waits.set(true);
    }

    /// A write found the socket full and waits.
    pub(super) fn writing_waits(&self) {
        self.write_waits.set(true);
    }
}

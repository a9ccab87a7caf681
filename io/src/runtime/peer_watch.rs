//! Whether the peer of a connection that nobody reads from at the moment is still there.

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

/// Looks at a socket without reading from it. To be used while the [`Stream`](super::Stream) it came from is open.
#[derive(Clone, Copy, Debug)]
pub struct PeerWatch(RawFd);

impl PeerWatch {
    pub(super) fn new(socket: RawFd) -> Self {
        Self(socket)
    }

    /// Whether the peer has closed its sending side, and everything it sent was read, or the connection is broken. A peer that
    /// has closed both sides looks the same until something is sent to it.
    #[must_use]
    pub fn has_finished(self) -> bool {
        match recv(self.0, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(bytes) => bytes == 0,
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Err(_) => true,
        }
    }
}

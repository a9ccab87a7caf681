//! What a connection is read from and written to: a socket, or TLS over one.
//!
//! Before it: the accept loop, and the handshake. After it: [`http`](super::http) and [`tcp`](super::tcp), compiled once for
//! each, so that a plain connection pays nothing for the other kind.

use std::{future::Future, io, rc::Rc};

use crate::runtime::{Activity, PeerWatch, Stream};

/// A connection that is ready for its protocol.
pub trait Transport: hyper::rt::Read + hyper::rt::Write + Unpin + 'static {
    /// The connection's record of activity, in bytes of the socket.
    fn activity(&self) -> &Rc<Activity>;

    /// Who can look at the peer while nobody reads.
    fn watch(&self) -> PeerWatch;

    /// Reads at least one byte into `buffer`; 0 is the end of the peer's stream, and only if the peer has said so. May be
    /// dropped without losing bytes.
    ///
    /// # Errors
    /// The connection is broken.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;

    /// Reads at least one byte and throws it away; 0 as for [`read`](Self::read).
    ///
    /// # Errors
    /// The connection is broken.
    fn discard(&mut self) -> impl Future<Output = io::Result<usize>>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The connection is broken.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Closes the sending side in order.
    ///
    /// # Errors
    /// The connection is already gone.
    fn shutdown_write(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Whether the end of this connection is a reset, whatever ends it, the death of the process included, or an orderly close.
    ///
    /// # Errors
    /// The connection is already gone.
    fn set_reset_on_close(&self, is_reset: bool) -> io::Result<()>;
}

impl Transport for Stream {
    fn activity(&self) -> &Rc<Activity> {
        Self::activity(self)
    }

    fn watch(&self) -> PeerWatch {
        Self::watch(self)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read(self, buffer).await
    }

    async fn discard(&mut self) -> io::Result<usize> {
        Self::discard(self).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Self::write_all(self, bytes).await
    }

    async fn shutdown_write(&mut self) -> io::Result<()> {
        Self::shutdown_write(self).await
    }

    fn set_reset_on_close(&self, is_reset: bool) -> io::Result<()> {
        Self::set_reset_on_close(self, is_reset)
    }
}

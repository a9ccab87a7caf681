//! One TCP connection of a core.
//!
//! Before it: the [`Listener`](super::Listener). After it: the frame reader of the raw TCP listener, which reads straight
//! into its own buffer, and hyper, for which it implements hyper's I/O traits.
//!
//! The library's stream is used unbuffered: it receives straight into the buffer it is given, trying the socket first
//! and polling through the ring only if nothing is there. hyper's buffers are uninitialised memory, which only unsafe
//! code may hand to a read; so for hyper the bytes take one copy more, through a buffer per core that stays in the cache.
//!
//! glommio trap: `set_read_timeout` keeps state beyond the read it was for, and breaks under select and under hyper. No
//! timeouts here: [`Activity`] is stamped instead, and `listen::connections` sweeps.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    os::fd::AsRawFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::ReadBufCursor;
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, SockaddrStorage, recv, sendmsg},
};

use super::{Activity, PeerWatch, busy_poll::BusyPoll};

/// Bytes of the buffer between socket and hyper, and so its largest read. With 256 KiB, bodies of 300 KB cost a third more
/// CPU: the bytes have left the cache before they are copied on.
const SCRATCH_BYTES: usize = 128 * 1024;

thread_local! {
    /// Borrowed within one poll only, so that one per core is enough.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A connected socket, tied to the core that accepted it.
#[derive(Debug)]
pub struct Stream {
    socket: glommio::net::TcpStream,
    activity: Rc<Activity>,
    busy_poll: BusyPoll,
}

impl Stream {
    /// Makes an accepted socket one of this core.
    ///
    /// # Errors
    /// The peer is gone.
    pub(crate) fn adopt(socket: socket2::Socket) -> io::Result<Self> {
        // Answers are written whole; waiting for more to send only delays them.
        socket.set_nodelay(true)?;
        Ok(Self {
            socket: glommio::net::TcpStream::from(socket),
            activity: Rc::new(Activity::new()),
            busy_poll: BusyPoll::default(),
        })
    }

    /// The connection's record of activity.
    #[must_use]
    pub fn activity(&self) -> &Rc<Activity> {
        &self.activity
    }

    /// Who can look at the peer while nobody reads.
    #[must_use]
    pub fn watch(&self) -> PeerWatch {
        PeerWatch::new(self.socket.as_raw_fd())
    }

    /// The other end's address, if it is still connected; of IPv4 as such, also on a socket for both
    /// families.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        let peer = self.socket.peer_addr().ok()?;
        Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }

    /// The first bytes that can be read, as soon as there are any, at most `bytes_max`; none at the end of the peer's stream.
    /// They are still to be read. May be dropped at any time.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn peek(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; bytes_max];
        self.activity.read_waits();
        let length = self.socket.peek(&mut bytes).await.map_err(io::Error::from)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The same connection for another core; this one is to be dropped.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn duplicate(&self) -> io::Result<socket2::Socket> {
        socket2::SockRef::from(&self.socket).try_clone()
    }

    /// Reads at least one byte into `buffer`; 0 is the end of the peer's stream. May be dropped without losing bytes.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_receive(context, buffer)).await
    }

    /// Reads at least one byte and throws it away, like [`read`](Self::read).
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn discard(&mut self) -> io::Result<usize> {
        poll_fn(|context| SCRATCH.with_borrow_mut(|scratch| self.poll_receive(context, scratch))).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The connection is broken, or the peer takes no more.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|context| self.poll_send(context, bytes)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Whether the end of this stream is a reset, whatever ends it, the death of the process included, or an orderly close.
    ///
    /// # Errors
    /// The connection is already gone.
    pub fn set_reset_on_close(&self, is_reset: bool) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).set_linger(is_reset.then_some(Duration::ZERO))
    }

    /// Closes the sending side: the peer reads the end of the stream after everything written.
    ///
    /// # Errors
    /// The connection is already gone.
    pub async fn shutdown_write(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write).await.map_err(io::Error::from)
    }

    /// As [`read`](Self::read), for who polls.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn poll_receive(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.activity.take_answered() {
            self.busy_poll.answered();
        }
        if self.busy_poll.is_on() {
            match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(bytes) => return Poll::Ready(Ok(self.received(bytes))),
                Err(Errno::EAGAIN) if self.busy_poll.goes_on(context) => {
                    self.activity.read_waits();
                    return Poll::Pending;
                }
                // What is wrong, the library's own read says as well.
                Err(_) => {}
            }
        }
        let Poll::Ready(received) = Pin::new(&mut self.socket).poll_read(context, buffer) else {
            self.activity.read_waits();
            return Poll::Pending;
        };
        match received {
            Ok(bytes) => Poll::Ready(Ok(self.received(bytes))),
            Err(error) => self.retry_interrupted(context, error),
        }
    }

    fn received(&mut self, bytes: usize) -> usize {
        self.activity.read(bytes);
        self.busy_poll.received();
        bytes
    }

    /// Writes some of `bytes`; how many.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(sent) = Pin::new(&mut self.socket).poll_write(context, bytes) else {
            self.activity.writing_waits();
            return Poll::Pending;
        };
        match sent {
            Ok(bytes) => {
                self.activity.wrote();
                Poll::Ready(Ok(bytes))
            }
            Err(error) => self.retry_interrupted(context, error),
        }
    }

    /// A signal is not an error of the connection: ask to be polled again.
    fn retry_interrupted<T>(&self, context: &Context<'_>, error: io::Error) -> Poll<io::Result<T>> {
        if error.kind() == io::ErrorKind::Interrupted {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Err(error))
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let limit = buffer.remaining().min(scratch.len());
            let bytes = ready!(self.poll_receive(context, &mut scratch[..limit]))?;
            buffer.put_slice(&scratch[..bytes]);
            Poll::Ready(Ok(()))
        })
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is buffered here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Head and body of an answer leave in one packet without being copied together first.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = slices.iter().find(|slice| !slice.is_empty()) else { return Poll::Ready(Ok(0)) };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // The library offers no vectored write. The direct call never blocks; when the socket is full, the library's
        // own write of the first slice fails the same way and waits for room.
        match sendmsg::<SockaddrStorage>(self.socket.as_raw_fd(), slices, &[], flags, None) {
            Ok(bytes) => {
                self.activity.wrote();
                Poll::Ready(Ok(bytes))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => self.poll_send(context, first),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

#[cfg(test)]
mod tests;

//! Listening sockets: every core has one of its own on the same port.
//!
//! Before it: an address from the configuration. After it: each accepted connection as a [`Stream`], handed to the
//! listener's owner (HTTP or raw TCP), which spawns a task for it. The kernel spreads new connections over the cores'
//! sockets (SO_REUSEPORT).
//!
//! glommio's own listener is not used. Its traps: cancelling `accept` leaks a connection that arrives meanwhile, so a
//! stop could only wait for one more; it hides its descriptor, so it cannot be shut down from outside; `bind` panics on
//! an address it cannot parse; it changes the socket's flags with four system calls per connection; and without
//! SO_REUSEADDR a start fails for a minute after another program has used the port. Here the socket is ours and
//! non-blocking, the ring only tells when it is readable — a wait that can be dropped and loses nothing.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use futures_lite::{AsyncRead, FutureExt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{StopFlag, Stream, next_tick, now_ms, sleep, spawn, yield_if_needed};
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;
/// How long accepting pauses when the process or the machine has run out of something.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A bound, listening TCP socket. Not yet tied to a core: bind all of them on the main thread, then move one to each.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local: SocketAddr,
    /// Another one goes on listening when this one ends.
    is_duplicate: bool,
}

/// Accepting, in a task of its own.
#[derive(Debug, Default)]
pub struct AcceptLoop {
    has_ended: Rc<Cell<bool>>,
}

impl AcceptLoop {
    /// Resolves once no further connection is handed over; looks at every tick.
    pub async fn ended(&self) {
        while !self.has_ended.get() {
            next_tick().await;
        }
    }
}

impl Listener {
    /// Binds and listens. Several listeners of this process may share an address; port 0 takes a free one, see
    /// [`local_addr`](Self::local_addr). A second process of the same user can share it, too, without either noticing:
    /// the caller must hold a lock that excludes a second instance.
    ///
    /// # Errors
    /// As `bind(2)` and `listen(2)`: the address is taken by a foreign program, is not of this machine, or may not be
    /// used without privileges. The text names the address.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::try_bind(addr)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))
    }

    /// Whether nobody listens there: [`bind`](Self::bind) alone would share a port with any other process of the user
    /// that allows it, silently. Never listens, so no client can connect to what is gone in a moment.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn probe(addr: SocketAddr) -> io::Result<()> {
        socket(addr)
            .and_then(|socket| socket.bind(&SockAddr::from(addr)))
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))
    }

    fn try_bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket(addr)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(BACKLOG)?;
        let local = socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("the kernel gave the socket no internet address"))?;
        Ok(Self { socket, local, is_duplicate: false })
    }

    /// A second way to the connections of this socket, in whatever core: each goes to one of both. It may end before the
    /// first, and no connection is lost by that.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn duplicate(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, local: self.local, is_duplicate: true })
    }

    /// The address, with the port that the kernel chose if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts connections in a task of this core until `stop` is raised and hands each to `on_connection`, which must
    /// not block: it spawns the connection's task. At the stop, connections that are complete in the kernel are still
    /// handed over, then the socket is closed and further ones are refused. Running out of descriptors or memory pauses
    /// accepting and is warned of; it never ends it.
    ///
    /// # Panics
    /// On a thread without executor.
    pub fn accept_loop(
        self,
        on_connection: impl Fn(Stream, Option<SocketAddr>) + 'static,
        stop: StopFlag,
    ) -> AcceptLoop {
        let accepting = AcceptLoop::default();
        let has_ended = Rc::clone(&accepting.has_ended);
        spawn("accept", async move {
            let warn_rate = RateLimit::new(WARN_INTERVAL);
            loop {
                let pause = match self.accept_all(&on_connection).await {
                    Ok(()) => None,
                    Err(error) => {
                        if let Some(more) = warn_rate.allow(now_ms()) {
                            let local = self.local;
                            tracing::warn!("cannot accept on {local}: {error} ({more} more not reported)");
                        }
                        Some(BACK_OFF)
                    }
                };
                if stop.is_set() {
                    break;
                }
                let wait = async {
                    if let Some(pause) = pause {
                        sleep(pause).await;
                    } else if self.readable().await.is_err() {
                        sleep(BACK_OFF).await;
                    }
                };
                wait.or(stop.stopped()).await;
            }
            // shutdown and not only close: a wait of the ring may still hold the socket open for a moment.
            if !self.is_duplicate {
                let _ = self.socket.shutdown(Shutdown::Both);
            }
            has_ended.set(true);
        });
        accepting
    }

    /// Accepts until nothing is left.
    async fn accept_all(&self, on_connection: &impl Fn(Stream, Option<SocketAddr>)) -> io::Result<()> {
        loop {
            let (socket, peer) = match self.socket.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    // The peer was gone before we came, or a signal: nothing is wrong with the listener.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                },
            };
            match Stream::adopt(socket) {
                Ok(stream) => on_connection(stream, peer.as_socket()),
                // The peer was gone before the socket could be set up.
                Err(error) => tracing::debug!("connection lost while it was accepted: {error}"),
            }
            yield_if_needed().await;
        }
    }

    /// Waits until a connection can be accepted. May be dropped at any time.
    async fn readable(&self) -> io::Result<()> {
        // The library polls a socket for reading as soon as it becomes one of its streams, and its first read waits for
        // that. Reading a listening socket fails once it is readable; only the waiting matters. The duplicate
        // lives as long as one wait, and there is one wait per burst of connections.
        let mut waiter = glommio::net::TcpStream::from(self.socket.try_clone()?);
        poll_fn(|context| Pin::new(&mut waiter).poll_read(context, &mut [0]).map(|_not_connected| ())).await;
        Ok(())
    }
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Ours or a predecessor's connections in TIME_WAIT must not keep a restart waiting.
    socket.set_reuse_address(true)?;
    // All addresses are those of both families, whatever the system's default (net.ipv6.bindv6only).
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests;

//! One TLS connection over a socket of this core.
//!
//! rustls keeps the state and does no I/O: bytes of the socket are fed to it, and what it has to send is written. Before it:
//! the handshake of [`Handshakes`](super::Handshakes). After it: hyper or the raw line reader, through
//! [`Transport`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use rustls::ServerConnection;

use super::HandshakeError;
use crate::listen::transport::Transport;
use crate::runtime::{Activity, PeerWatch, Stream};

/// Encrypted bytes received at once, and plain bytes handed to hyper at once: a few records.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    /// Borrowed within one poll only, so that one per core is enough: encrypted bytes on their way in, plain ones on their
    /// way to hyper.
    static ENCRYPTED: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
    static PLAIN: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A TLS connection.
#[derive(Debug)]
pub struct TlsStream {
    socket: Stream,
    tls: ServerConnection,
    /// Received, but not taken by `tls` yet, as the reader had no room for what is in it; at most [`SCRATCH_BYTES`].
    unfed: Vec<u8>,
    /// Our end has been announced.
    is_closing: bool,
}

/// Where rustls writes to: the socket, which may be full.
struct Outgoing<'a, 'b> {
    socket: &'a mut Stream,
    context: &'a mut Context<'b>,
}

impl TlsStream {
    /// A connection before its handshake.
    pub(super) fn new(socket: Stream, tls: ServerConnection) -> Self {
        Self { socket, tls, unfed: Vec::new(), is_closing: false }
    }

    /// The socket of a connection that failed.
    pub(super) fn into_socket(self) -> Stream {
        self.socket
    }

    /// Ready once both sides have agreed.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        loop {
            ready!(self.poll_send_encrypted(context))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let fed = ENCRYPTED.with_borrow_mut(|scratch| {
                let is_first = self.socket.activity().bytes_read() == 0;
                let bytes = ready!(self.socket.poll_receive(context, scratch))?;
                if bytes == 0 {
                    return Poll::Ready(Err(HandshakeError::Io(ErrorKind::UnexpectedEof.into())));
                }
                let mut raw = &scratch[..bytes];
                // A record of a handshake begins with 22: no client takes the one for the other.
                if is_first && raw[0].is_ascii_alphabetic() {
                    return Poll::Ready(Err(HandshakeError::PlainText));
                }
                while self.tls.is_handshaking() && !raw.is_empty() {
                    if self.tls.read_tls(&mut raw)? == 0 {
                        return Poll::Ready(Err(HandshakeError::Io(ErrorKind::UnexpectedEof.into())));
                    }
                    self.tls.process_new_packets()?;
                }
                self.unfed.extend_from_slice(raw);
                Poll::Ready(Ok(()))
            });
            if let Err(error) = ready!(fed) {
                // The alert that says why, if there is room for it at once.
                let _ = self.poll_send_encrypted(context);
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Fills `out` as far as what has been received allows; 0 is the end that the peer has announced.
    fn poll_plain(&mut self, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let mut unfed = std::mem::take(&mut self.unfed);
            let mut raw = &unfed[..];
            let result = self.decrypt(&mut raw, out);
            let left = raw.len();
            unfed.drain(..unfed.len() - left);
            self.unfed = unfed;
            if let Some(result) = self.settle(context, result) {
                return Poll::Ready(result);
            }
            // Everything is fed, and it is not enough.
            let received = ENCRYPTED.with_borrow_mut(|scratch| {
                let limit = scratch.len().min(out.len().max(4096));
                let bytes = ready!(self.socket.poll_receive(context, &mut scratch[..limit]))?;
                if bytes == 0 {
                    // Now rustls knows, and its reader tells an announced end from a cut.
                    self.tls.read_tls(&mut io::empty())?;
                }
                let mut raw = &scratch[..bytes];
                let result = self.decrypt(&mut raw, out);
                self.unfed.extend_from_slice(raw);
                Poll::Ready(result)
            });
            let result = ready!(received);
            if let Some(result) = self.settle(context, result) {
                return Poll::Ready(result);
            }
        }
    }

    /// Decrypts from the front of `raw` into `out` until the one is empty or the other full: plain bytes, or `WouldBlock` if
    /// there are none yet.
    fn decrypt(&mut self, raw: &mut &[u8], out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            while filled < out.len() {
                match self.tls.reader().read(&mut out[filled..]) {
                    Ok(0) => return Ok(filled),
                    Ok(bytes) => filled += bytes,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // It comes again, after what was read.
                    Err(error) => return if filled > 0 { Ok(filled) } else { Err(error) },
                }
            }
            if filled == out.len() || raw.is_empty() {
                return if filled > 0 { Ok(filled) } else { Err(ErrorKind::WouldBlock.into()) };
            }
            if self.tls.read_tls(raw)? == 0 {
                // The peer has announced its end; what follows does not count.
                *raw = &[];
            }
            if let Err(error) = self.tls.process_new_packets() {
                // What follows cannot be understood any more.
                *raw = &[];
                return if filled > 0 {
                    Ok(filled)
                } else {
                    Err(io::Error::new(ErrorKind::InvalidData, error))
                };
            }
        }
    }

    /// What a decryption means for a read: its result, or none if more must be received.
    fn settle(&mut self, context: &mut Context<'_>, result: io::Result<usize>) -> Option<io::Result<usize>> {
        // New keys, tickets, alerts. If the socket is full they go with the next write.
        if self.tls.wants_write() {
            let _ = self.poll_send_encrypted(context);
        }
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            result => Some(result),
        }
    }

    /// Encrypts as much as there is room for.
    fn poll_encrypt(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send_encrypted(context))?;
        let bytes = take(&mut self.tls.writer())?;
        // If the socket takes it later, the next write or flush waits for that.
        if let Poll::Ready(Err(error)) = self.poll_send_encrypted(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes))
    }

    /// Ready once everything encrypted is in the socket.
    fn poll_send_encrypted(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut outgoing = Outgoing { socket: &mut self.socket, context };
            match self.tls.write_tls(&mut outgoing) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closing {
            self.is_closing = true;
            self.tls.send_close_notify();
        }
        ready!(self.poll_send_encrypted(context))?;
        hyper::rt::Write::poll_shutdown(Pin::new(&mut self.socket), context)
    }
}

impl Write for Outgoing<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(self.socket.poll_send(self.context, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(hyper::rt::Write::poll_write_vectored(Pin::new(self.socket), self.context, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl hyper::rt::Read for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        PLAIN.with_borrow_mut(|plain| {
            let limit = buffer.remaining().min(plain.len());
            let bytes = ready!(self.poll_plain(context, &mut plain[..limit]))?;
            buffer.put_slice(&plain[..bytes]);
            Poll::Ready(Ok(()))
        })
    }
}

impl hyper::rt::Write for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_encrypt(context, |writer| writer.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_encrypted(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_encrypt(context, |writer| writer.write_vectored(slices))
    }
}

impl Transport for TlsStream {
    fn activity(&self) -> &Rc<Activity> {
        self.socket.activity()
    }

    /// What a peer says at its end is encrypted, and nobody reads it: only one that ends without a word is seen to be gone.
    fn watch(&self) -> PeerWatch {
        self.socket.watch()
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_plain(context, buffer)).await
    }

    async fn discard(&mut self) -> io::Result<usize> {
        poll_fn(|context| PLAIN.with_borrow_mut(|plain| self.poll_plain(context, plain))).await
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|context| self.poll_encrypt(context, |writer| writer.write(bytes))).await?;
            bytes = &bytes[written..];
        }
        poll_fn(|context| self.poll_send_encrypted(context)).await
    }

    async fn shutdown_write(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_close(context)).await
    }

    fn set_reset_on_close(&self, is_reset: bool) -> io::Result<()> {
        self.socket.set_reset_on_close(is_reset)
    }
}

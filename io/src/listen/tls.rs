//! TLS in front of HTTP and raw TCP (SPEC section 3): the configuration of the process, the handshakes of a core.
//!
//! Before it: an accepted socket. After it: a [`TlsStream`], which both protocols take for a connection like
//! any other. The library is rustls with ring, beside which stands P-521 ([`keys`]); TLS 1.2 and newer.

mod certificates;
mod keys;
mod stream;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};

use super::connections::ConnectionHandle;
use super::transport::Transport;
use crate::runtime::{Stream, now_ms};
use crate::telemetry::{RateLimit, WARN_INTERVAL};

pub use certificates::{CertificateError, Certificates};
pub use keys::KeyError;
pub use stream::TlsStream;

/// From the first byte to the end of the handshake, and how long a client may be silent within.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way on one core; a further connection is closed. Each holds some tens of kilobytes and, a few round
/// trips later, costs a signature.
pub const HANDSHAKES_MAX: usize = 1024;
/// What HTTPS clients are told is spoken here.
const ALPN_HTTP: &[u8] = b"http/1.1";
/// Encrypted bytes that wait for the socket, per connection.
const OUTGOING_BYTES_MAX: usize = 64 * 1024;

/// What all cores share: the certificates, and who speaks what.
#[derive(Clone, Debug)]
pub struct Tls {
    certificates: Arc<Certificates>,
    http: Arc<ServerConfig>,
    lines: Arc<ServerConfig>,
}

/// Which protocol comes after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// HTTP/1.1; clients that ask are told.
    Http,
    /// Raw line protocol.
    Lines,
}

impl Tls {
    /// Reads certificate chain and key.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn load(cert_file: &Path, key_file: &Path) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = Arc::new(Certificates::load(cert_file, key_file, Arc::clone(&provider))?);
        let config = || {
            ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13, &TLS12])
                .expect("ring has suites for both versions")
                .with_no_client_auth()
                .with_cert_resolver(Arc::<Certificates>::clone(&certificates))
        };
        let mut http = config();
        http.alpn_protocols = vec![ALPN_HTTP.to_vec()];
        let lines = Arc::new(config());
        Ok(Self { http: Arc::new(http), lines, certificates })
    }

    /// Reads certificate and key again, for connections from now on.
    ///
    /// # Errors
    /// See [`CertificateError`]; then the old ones stay.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.certificates.reload()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// What the client sent is not TLS; the first byte is a letter, as of an HTTP request.
    #[error("the client does not speak TLS, this port does")]
    PlainText,
    /// TLS, but nothing that both sides accept.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The client is gone.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Too slow, or the daemon stops.
    #[error("it took too long, or the daemon stops")]
    Asked,
    /// [`HANDSHAKES_MAX`].
    #[error("{HANDSHAKES_MAX} handshakes are under way on this core")]
    TooMany,
}

/// The handshakes of one core.
#[derive(Debug)]
pub struct Handshakes {
    tls: Tls,
    under_way: Cell<usize>,
    refused: Cell<u64>,
    failed: Cell<u64>,
    refused_rate: RateLimit,
    failed_rate: RateLimit,
}

/// Counts one handshake for as long as it lives.
struct UnderWay<'a>(&'a Cell<usize>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Handshakes {
    /// None so far.
    #[must_use]
    pub fn new(tls: Tls) -> Rc<Self> {
        Rc::new(Self {
            tls,
            under_way: Cell::new(0),
            refused: Cell::new(0),
            failed: Cell::new(0),
            refused_rate: RateLimit::new(WARN_INTERVAL),
            failed_rate: RateLimit::new(WARN_INTERVAL),
        })
    }

    /// Connections closed because of [`HANDSHAKES_MAX`].
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Handshakes that came to nothing.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.get()
    }

    /// Makes a TLS connection of a socket. With an error comes the socket, as far as it is still of use.
    ///
    /// # Errors
    /// See [`HandshakeError`]; it is counted and, at times, warned of.
    pub async fn shake(
        &self,
        socket: Stream,
        inner: Inner,
        connection: &ConnectionHandle,
    ) -> Result<TlsStream, (Stream, HandshakeError)> {
        let peer = socket.peer();
        let shaken = self.shake_counted(socket, inner, connection).await;
        if let Err((_, error)) = &shaken {
            let (count, rate) = match error {
                HandshakeError::TooMany => (&self.refused, &self.refused_rate),
                _ => (&self.failed, &self.failed_rate),
            };
            count.set(count.get() + 1);
            if let Some(more) = rate.allow(now_ms()) {
                let peer = peer.map_or_else(|| "?".to_owned(), |peer| peer.to_string());
                tracing::warn!("no TLS connection with {peer}: {error} ({more} more not reported)");
            }
        }
        shaken
    }

    async fn shake_counted(
        &self,
        socket: Stream,
        inner: Inner,
        connection: &ConnectionHandle,
    ) -> Result<TlsStream, (Stream, HandshakeError)> {
        if self.under_way.get() >= HANDSHAKES_MAX {
            return Err((socket, HandshakeError::TooMany));
        }
        self.under_way.set(self.under_way.get() + 1);
        let _under_way = UnderWay(&self.under_way);
        let config = match inner {
            Inner::Http => &self.tls.http,
            Inner::Lines => &self.tls.lines,
        };
        let mut server = match ServerConnection::new(Arc::clone(config)) {
            Ok(server) => server,
            Err(error) => return Err((socket, error.into())),
        };
        server.set_buffer_limit(Some(OUTGOING_BYTES_MAX));
        let idle_timeout = connection.idle_timeout();
        connection.set_idle_timeout(HANDSHAKE_TIMEOUT.min(idle_timeout));
        connection.head_awaited(HANDSHAKE_TIMEOUT);
        let mut stream = TlsStream::new(socket, server);
        let shaken = {
            let shake = poll_fn(|context| stream.poll_handshake(context));
            let asked = async {
                connection.closing(None).await;
                Err(HandshakeError::Asked)
            };
            shake.or(asked).await
        };
        connection.set_idle_timeout(idle_timeout);
        connection.head_complete();
        match shaken {
            Ok(()) => Ok(stream),
            Err(error) => Err((stream.into_socket(), error)),
        }
    }
}

/// Tells who speaks plain HTTP to the HTTPS port what is wrong.
pub async fn answer_plain_text(mut socket: Stream) {
    const BODY: &str =
        "{\"status\":\"Bad Request\",\"error\":\"this port speaks HTTPS, call https://...\"}\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    if Transport::write_all(&mut socket, answer.as_bytes()).await.is_ok() {
        super::http::linger(socket, super::http::LINGER_MAX).await;
    }
}

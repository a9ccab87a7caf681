//! One connection that carries bodies to the daemon, by HTTP or raw TCP.
//!
//! Takes what [`crate::body`] prepared; [`crate::run`] measures around it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use crate::{
    http::{self, Connection},
    site::CLUSTER,
};

/// How lines travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One `POST` per body; 200 (peers: 204) acknowledges it.
    Http,
    /// A stream of lines; the server's orderly close acknowledges all of them.
    Tcp,
}

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The connection cannot be opened, broke, or was silent for too long.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// An answer that acknowledges nothing.
    #[error("the daemon answered {status}: {text}")]
    Refused {
        /// The status code.
        status: u16,
        /// The beginning of the answer.
        text: String,
    },
    /// Bytes from the server on a stream that carries lines one way.
    #[error("the daemon sent {bytes} bytes on a line stream: {text}")]
    Chatter {
        /// How many.
        bytes: usize,
        /// The beginning of them.
        text: String,
    },
}

/// How much of an unexpected answer an error quotes.
const QUOTE_BYTES_MAX: usize = 200;

/// One connection, opened when first needed.
#[derive(Debug)]
pub struct Sender {
    addr: SocketAddr,
    link: Link,
}

#[derive(Debug)]
enum Link {
    Http(Option<Connection>),
    Tcp(Option<TcpStream>),
}

/// Where a daemon with the reference's API takes lines.
#[must_use]
pub fn write_target() -> String {
    format!("/api/write?cluster={CLUSTER}")
}

/// The head of a request that posts `body_bytes` bytes of lines to `target`; nothing for TCP.
#[must_use]
pub fn head(transport: Transport, addr: SocketAddr, target: &str, body_bytes: usize) -> String {
    match transport {
        Transport::Http => {
            format!("POST {target} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {body_bytes}\r\n\r\n")
        }
        Transport::Tcp => String::new(),
    }
}

impl Sender {
    /// A sender to `addr`, not yet connected.
    #[must_use]
    pub fn new(transport: Transport, addr: SocketAddr) -> Self {
        let link = match transport {
            Transport::Http => Link::Http(None),
            Transport::Tcp => Link::Tcp(None),
        };
        Self { addr, link }
    }

    /// Connects unless connected.
    ///
    /// # Errors
    /// When the daemon does not accept.
    pub fn connect(&mut self) -> Result<(), SendError> {
        let failed = |source| SendError::Io { doing: "connecting", source };
        match &mut self.link {
            Link::Http(connection @ None) => {
                *connection = Some(Connection::open(self.addr).map_err(failed)?);
            }
            Link::Tcp(stream @ None) => *stream = Some(http::connect(self.addr).map_err(failed)?),
            Link::Http(Some(_)) | Link::Tcp(Some(_)) => {}
        }
        Ok(())
    }

    /// Sends one body, head included; by HTTP waits for its acknowledgement. After an error the
    /// connection is closed and the next call opens another.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.connect()?;
        match &mut self.link {
            Link::Http(connection) => {
                let mut open = connection.take().expect("connected above");
                let response = open
                    .exchange(bytes)
                    .map_err(|source| SendError::Io { doing: "posting lines", source })?;
                if !response.closes {
                    *connection = Some(open);
                }
                if !matches!(response.status, 200 | 204) {
                    let text = quote(&response.body);
                    return Err(SendError::Refused { status: response.status, text });
                }
            }
            Link::Tcp(stream) => {
                let mut open = stream.take().expect("connected above");
                open.write_all(bytes).map_err(|source| SendError::Io { doing: "writing lines", source })?;
                *stream = Some(open);
            }
        }
        Ok(())
    }

    /// Waits until everything sent is acknowledged: nothing to do for HTTP; over TCP ends the stream and waits
    /// for the server's close.
    ///
    /// # Errors
    /// When the connection is reset, the server is silent for too long, or sends something.
    pub fn finish(&mut self) -> Result<(), SendError> {
        let Link::Tcp(stream) = &mut self.link else { return Ok(()) };
        let Some(mut open) = stream.take() else { return Ok(()) };
        let failed = |source| SendError::Io { doing: "waiting for the server's close", source };
        open.shutdown(Shutdown::Write).map_err(failed)?;
        let mut unexpected = [0u8; QUOTE_BYTES_MAX];
        loop {
            match open.read(&mut unexpected) {
                Ok(0) => return Ok(()),
                Ok(bytes) => return Err(SendError::Chatter { bytes, text: quote(&unexpected[..bytes]) }),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn quote(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(QUOTE_BYTES_MAX)].escape_ascii().to_string()
}

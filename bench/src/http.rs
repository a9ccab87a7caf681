//! A blocking HTTP/1.1 client of one keep-alive connection: as little as the load needs, so that the measured
//! time is the daemon's.
//!
//! [`crate::sender`] posts lines through it, [`crate::verify`] queries.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A daemon that is silent for longer has failed.
pub const SILENCE_SECONDS_MAX: u64 = 60;
/// Most bytes of a status line and header fields.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most bytes of an answer's body.
const BODY_BYTES_MAX: usize = 256 << 20;
/// Bytes asked of the socket at once.
const READ_BYTES: usize = 64 << 10;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, without transfer encoding.
    pub body: Vec<u8>,
    /// Whether the server closes the connection after this answer.
    pub closes: bool,
}

/// Connects with the timeouts every connection of the load has.
///
/// # Errors
/// When the address does not accept.
pub fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
    let stream = TcpStream::connect_timeout(&addr, silence)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(silence))?;
    stream.set_write_timeout(Some(silence))?;
    Ok(stream)
}

/// One connection; `S` is a socket except in tests.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    stream: S,
    /// Bytes received and not yet used.
    received: Vec<u8>,
}

impl Connection {
    /// Opens a connection to `addr`.
    ///
    /// # Errors
    /// When the address does not accept.
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: connect(addr)?, received: Vec::new() })
    }
}

impl<S: Read + Write> Connection<S> {
    /// Speaks HTTP over a connection that is there already.
    pub fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Sends a complete request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, is silent too long, or the answer is not HTTP/1.1.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Response> {
        let sent = self.stream.write_all(request);
        match (sent, self.read_response()) {
            // A server that refuses a request may answer and close before having read all of it.
            (Err(_), Ok(response)) => Ok(Response { closes: true, ..response }),
            (Err(error), Err(_)) => Err(error),
            (Ok(()), answer) => answer,
        }
    }

    /// As [`Self::exchange`], but keeps nothing of a good answer's body: room for 33 MB, made and given back, takes milliseconds
    /// of the CPU that others wait for.
    ///
    /// # Errors
    /// As [`Self::exchange`], and if the status is not 200.
    pub fn exchange_and_drop(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)?;
        let head = self.read_head()?;
        if head.status != 200 {
            return Err(bad("the status is not 200"));
        }
        let Length::Bytes(mut bytes) = head.length else { return self.read_chunks().map(drop) };
        loop {
            let here = bytes.min(self.received.len());
            self.received.drain(..here);
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            self.receive()?;
        }
    }

    fn read_head(&mut self) -> io::Result<Head> {
        let head_bytes = loop {
            match find(&self.received, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if self.received.len() > HEAD_BYTES_MAX => {
                    return Err(bad("header fields are too long"));
                }
                None => self.receive()?,
            }
        };
        let head = Head::parse(&self.received[..head_bytes])?;
        self.received.drain(..head_bytes);
        Ok(head)
    }

    fn read_response(&mut self) -> io::Result<Response> {
        let head = self.read_head()?;
        let body = match head.length {
            Length::Bytes(0) => Vec::new(),
            Length::Bytes(bytes) => self.take(bytes)?,
            Length::Chunked => self.read_chunks()?,
        };
        Ok(Response { status: head.status, body, closes: head.closes })
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("bad chunk size"))?;
            if size > BODY_BYTES_MAX - body.len() {
                return Err(bad("the body is too long"));
            }
            if size == 0 {
                while !self.take_line()?.is_empty() {}
                return Ok(body);
            }
            body.append(&mut self.take(size)?);
            if !self.take_line()?.is_empty() {
                return Err(bad("a chunk is longer than it says"));
            }
        }
    }

    /// The next line, without its CR LF.
    fn take_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.received, b"\r\n") {
                let line = self.take(at)?;
                self.received.drain(..2);
                return String::from_utf8(line).map_err(|_| bad("a line is not text"));
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err(bad("a line is too long"));
            }
            self.receive()?;
        }
    }

    /// The next `bytes` bytes.
    fn take(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < bytes {
            self.receive()?;
        }
        let rest = self.received.split_off(bytes);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    /// Receives at least one byte.
    fn receive(&mut self) -> io::Result<()> {
        let before = self.received.len();
        self.received.resize(before + READ_BYTES, 0);
        let got = loop {
            match self.stream.read(&mut self.received[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.received.truncate(before + *got.as_ref().unwrap_or(&0));
        match got {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("the server was silent for {SILENCE_SECONDS_MAX} s"),
            )),
            Err(error) => Err(error),
        }
    }
}

/// How the end of a body is known.
enum Length {
    Bytes(usize),
    Chunked,
}

/// What the load needs of a status line and header fields.
struct Head {
    status: u16,
    length: Length,
    closes: bool,
}

impl Head {
    fn parse(head: &[u8]) -> io::Result<Self> {
        let head = std::str::from_utf8(head).map_err(|_| bad("header fields are not text"))?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status =
            status.and_then(|rest| rest.get(..3)?.parse().ok()).ok_or_else(|| bad("bad status line"))?;
        let mut parsed = Self { status, length: Length::Bytes(0), closes: false };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let bytes = value.parse().map_err(|_| bad("bad content length"))?;
                if bytes > BODY_BYTES_MAX {
                    return Err(bad("the body is too long"));
                }
                parsed.length = Length::Bytes(bytes);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                parsed.length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("connection") {
                parsed.closes = value.eq_ignore_ascii_case("close");
            }
        }
        Ok(parsed)
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("bad HTTP answer: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that has said all it will say, handed over one byte at a time.
    struct Script(io::Cursor<Vec<u8>>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn connection(text: &str) -> Connection<Script> {
        Connection { stream: Script(io::Cursor::new(text.into())), received: Vec::new() }
    }

    #[test]
    fn reads_answers_of_every_form_one_after_the_other() {
        let mut connection = connection(concat!(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ));
        let answers: Vec<_> = (0..4).map(|_| connection.exchange(b"x").unwrap()).collect();
        let expected =
            [(200, "", false), (400, "wrong", true), (200, "abc0123456789", false), (204, "", false)];
        for (answer, (status, body, closes)) in answers.into_iter().zip(expected) {
            assert_eq!(answer, Response { status, body: body.into(), closes });
        }
        assert_eq!(connection.exchange(b"x").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_dropped_ends_where_the_next_answer_begins() {
        let mut connection = connection(concat!(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkept",
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        ));
        connection.exchange_and_drop(b"x").unwrap();
        connection.exchange_and_drop(b"x").unwrap();
        assert_eq!(connection.exchange(b"x").unwrap().body, b"kept");
        assert_eq!(connection.exchange_and_drop(b"x").unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(connection.exchange_and_drop(b"x").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        ] {
            let error = connection(text).exchange(b"x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{text:?}");
        }
    }
}

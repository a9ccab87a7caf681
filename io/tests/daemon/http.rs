//! A small HTTP/1.1 client over a plain socket: the outermost end of a sample's way, before the daemon's listeners.
//!
//! It exists instead of a library so that a test can send what no library would: half a header, two requests in
//! one packet, one byte at a time. It reads `Content-Length`, chunked and until-close bodies.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long a test waits for one read before it calls the daemon stuck.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer head that is read before the client gives up.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// One answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case, values as they came.
    pub(crate) headers: Vec<(String, String)>,
    /// The body with its framing removed.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of this (lower case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 shows as U+FFFD.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; fails the test with the body when it is none.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// Asserts that this is an error in the form of SPEC section 3 and returns its text.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let content_type = self.header("content-type").unwrap_or("none");
        assert!(content_type.starts_with("application/json"), "Content-Type of an error: {content_type}");
        let body = self.json();
        let keys: Vec<_> = body.as_object().expect("an error is an object").keys().cloned().collect();
        assert_eq!(keys, ["error", "status"], "{body}");
        assert!(!body["status"].as_str().expect("status is a text").is_empty());
        let text = body["error"].as_str().expect("error is a text").to_owned();
        assert!(!text.is_empty(), "an error says what is wrong");
        text
    }

    /// Whether the daemon closes the connection after this answer.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// One connection, kept open between requests.
#[derive(Debug)]
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    /// Bytes received but not yet part of an answer.
    received: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    #[track_caller]
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the daemon accepts connections");
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a read timeout can be set");
        stream.set_write_timeout(Some(READ_TIMEOUT)).expect("a write timeout can be set");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self::over(stream)
    }

    /// Connects to a port of this machine, if somebody listens there.
    pub(crate) fn connect_if_there(port: u16) -> Option<Self> {
        TcpStream::connect(("127.0.0.1", port)).ok().map(Self::over)
    }

    /// Whether the daemon has sent nothing that was not read yet.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket can be told not to block");
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_nonblocking(false).expect("a socket can be told to block");
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Tells the daemon that nothing more comes; answers can still be read.
    pub(crate) fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl<S: Read + Write> Client<S> {
    /// A client on a connection that is there already.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends bytes in pieces of `piece` bytes, each a packet of its own.
    pub(crate) fn send_in_pieces(&mut self, bytes: &[u8], piece: usize) -> io::Result<()> {
        bytes.chunks(piece).try_for_each(|part| self.stream.write_all(part))
    }

    /// Reads until the daemon closes its side.
    pub(crate) fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.received);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Sends one request with a `Content-Length` and reads its answer.
    ///
    /// A failed send is not an error yet: the daemon may have refused early, and its answer says why.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let sent = self.send(&request_bytes(method, path, headers, body));
        match self.answer(method) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    /// Reads the next answer; `method` is that of the request (an answer to HEAD has no body).
    pub(crate) fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let head_end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at;
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err(malformed("the head of the answer does not end"));
            }
            self.receive()?;
        };
        let head: Vec<u8> = self.received.drain(..head_end + 4).collect();
        let head =
            String::from_utf8(head[..head_end].to_vec()).map_err(|_| malformed("the head is not text"))?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| malformed(status_line))?;
        let headers = lines
            .map(|line| line.split_once(':').ok_or_else(|| malformed(line)))
            .map(|pair| pair.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())))
            .collect::<io::Result<Vec<_>>>()?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if method == "HEAD" || status == 204 || status == 304 || status < 200 {
            return Ok(answer);
        }
        if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            answer.body = self.chunked_body()?;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| malformed("Content-Length"))?;
            answer.body = self.take(length)?;
        } else {
            answer.body = self.read_to_close()?;
        }
        Ok(answer)
    }

    fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
            if length == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(length)?);
            if !self.line()?.is_empty() {
                return Err(malformed("a chunk is longer than it says"));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.received, b"\r\n") {
                let line: Vec<u8> = self.received.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.receive()?;
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.receive()?;
        }
        let rest = self.received.split_off(length);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon closed the connection")),
            length => {
                self.received.extend_from_slice(&piece[..length]);
                Ok(())
            }
        }
    }
}

/// The bytes of a request with a `Content-Length`.
pub(crate) fn request_bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    if !body.is_empty() || method == "POST" {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A body in chunked transfer coding, `chunk` bytes to a chunk, with its final chunk.
pub(crate) fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in body.chunks(chunk) {
        bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}

//! A client of the text protocol of NATS: publish, ask, and wait until the broker has taken it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// No answer in this time: the broker is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest payload that is taken from a broker.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A connection to a broker.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    requests: u64,
}

impl Client {
    /// Connects without a name.
    ///
    /// # Errors
    /// There is no broker, or it refuses.
    pub fn connect(port: u16) -> io::Result<Self> {
        Self::connect_as(port, r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#)
    }

    /// Connects with the options of a `CONNECT`, a JSON object.
    ///
    /// # Errors
    /// There is no broker, or it refuses.
    pub fn connect_as(port: u16, options: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut client = Self { stream: BufReader::new(stream), requests: 0 };
        client.line()?;
        write!(client.stream.get_mut(), "CONNECT {options}\r\n")?;
        client.flush()?;
        Ok(client)
    }

    /// Publishes; [`Self::flush`] tells when the broker has it.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn publish(&mut self, subject: &str, payload: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        write!(stream, "PUB {subject} {}\r\n", payload.len())?;
        stream.write_all(payload)?;
        stream.write_all(b"\r\n")
    }

    /// Waits until the broker has taken everything so far.
    ///
    /// # Errors
    /// The connection is broken, or the broker has refused something.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.get_mut().write_all(b"PING\r\n")?;
        while self.line()? != "PONG" {}
        Ok(())
    }

    /// Publishes and waits for an answer: of JetStream, for example, that the message is kept.
    ///
    /// # Errors
    /// The connection is broken, nobody answers, or the answer is an error.
    pub fn request(&mut self, subject: &str, payload: &[u8]) -> io::Result<Value> {
        self.requests += 1;
        let (inbox, id) = (format!("_INBOX.{}", self.requests), self.requests);
        let stream = self.stream.get_mut();
        write!(stream, "SUB {inbox} {id}\r\nUNSUB {id} 1\r\nPUB {subject} {inbox} {}\r\n", payload.len())?;
        stream.write_all(payload)?;
        stream.write_all(b"\r\n")?;
        loop {
            let line = self.line()?;
            let is_headed = line.starts_with("HMSG ");
            if !is_headed && !line.starts_with("MSG ") {
                continue;
            }
            let bytes = line.rsplit(' ').next().and_then(|bytes| bytes.parse().ok());
            let bytes: usize =
                bytes.filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX).ok_or(io::ErrorKind::InvalidData)?;
            let mut answer = vec![0; bytes + 2];
            self.stream.read_exact(&mut answer)?;
            if is_headed {
                let text = String::from_utf8_lossy(&answer).into_owned();
                return Err(io::Error::other(format!("{subject}: {text}")));
            }
            let answer: Value = serde_json::from_slice(&answer)?;
            return if answer["error"].is_null() {
                Ok(answer)
            } else {
                Err(io::Error::other(answer.to_string()))
            };
        }
    }

    /// Whether the broker has a subscriber for a subject, who gets an empty message by this. For clients that take headers
    /// and want to be told when nobody listens, as [`Self::connect`] makes them.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn is_heard(&mut self, subject: &str) -> io::Result<bool> {
        self.requests += 1;
        let (inbox, id) = (format!("_INBOX.{}", self.requests), self.requests);
        write!(
            self.stream.get_mut(),
            "SUB {inbox} {id}\r\nPUB {subject} {inbox} 0\r\n\r\nUNSUB {id}\r\nPING\r\n"
        )?;
        let mut is_heard = true;
        loop {
            let line = self.line()?;
            // "No responders": a status in headers.
            is_heard &= !line.starts_with("HMSG ");
            if line == "PONG" {
                return Ok(is_heard);
            }
        }
    }

    /// Makes a JetStream stream of these subjects.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn create_stream(&mut self, stream: &str, subjects: &[&str]) -> io::Result<()> {
        let wanted = serde_json::json!({"name": stream, "subjects": subjects, "storage": "file",
            "retention": "limits", "discard": "old", "num_replicas": 1, "max_consumers": -1, "max_msgs": -1,
            "max_bytes": -1, "max_age": 0, "max_msg_size": -1});
        self.request(&format!("$JS.API.STREAM.CREATE.{stream}"), wanted.to_string().as_bytes()).map(drop)
    }

    /// What the broker knows of a consumer.
    ///
    /// # Errors
    /// As [`Self::request`]; also if there is none.
    pub fn consumer(&mut self, stream: &str, durable: &str) -> io::Result<Consumer> {
        let answer = self.request(&format!("$JS.API.CONSUMER.INFO.{stream}.{durable}"), b"")?;
        let number = |key: &str| answer[key].as_u64().unwrap_or(u64::MAX);
        Ok(Consumer {
            undelivered: number("num_pending"),
            unacknowledged: number("num_ack_pending"),
            redelivered: number("num_redelivered"),
        })
    }

    /// The next line; pings are answered meanwhile.
    fn line(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            match line {
                "PING" => self.stream.get_mut().write_all(b"PONG\r\n")?,
                _ if line.starts_with("-ERR") => return Err(io::Error::other(line.to_owned())),
                _ => return Ok(line.to_owned()),
            }
        }
    }
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Messages nobody was given yet.
    pub undelivered: u64,
    /// Messages that were given, and not acknowledged.
    pub unacknowledged: u64,
    /// Of those, how many were given more than once.
    pub redelivered: u64,
}

impl Consumer {
    /// Whether everything is acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.undelivered == 0 && self.unacknowledged == 0
    }
}

//! One raw TCP connection: a stream of line-protocol lines.
//!
//! A bad line is skipped, counted and warned of. When the client closes its sending side, everything it sent is stored before
//! ours is closed: an orderly close is the acknowledgement. Every other end is a reset, also that of a killed process: the socket is
//! told so when it is [accepted](guard), and told otherwise only when everything is stored. A stream may begin with a [`greeting`]:
//! a token, without which the connection is reset where one is needed, and the wish to be told while it streams how much is stored.

mod greeting;

use std::rc::Rc;
use std::time::Duration;

use engine::line::decode::BadLine;
use futures_lite::FutureExt;

use super::connections::ConnectionHandle;
use super::transport::Transport;
use crate::access::{Access, Unauthorized};
use crate::core::ingest::Ingest;
use crate::core::{Core, clock_seconds};
use greeting::{Greeting, Ungreeted, greeting};

/// Size of a connection's buffer at first, and when it is busy.
const BUFFER_BYTES_MIN: usize = 4 * 1024;
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// Until the first line is complete, if one is needed.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);

/// How a read ended.
enum Received {
    Bytes(usize),
    End,
    Broken,
    /// The daemon stops, or the client has stalled.
    Asked,
}

/// Stores the lines of a connection until the client closes it, it breaks or stalls, its token expires, or the daemon stops.
pub async fn serve<T: Transport>(
    mut stream: T,
    core: Rc<Core>,
    cluster_default: Rc<str>,
    access: Option<Rc<Access>>,
    connection: ConnectionHandle,
) {
    let mut ingest = Ingest::new(&core, &cluster_default, BadLine::Skip);
    let mut buffer = Vec::new();
    if access.is_some() {
        connection.head_awaited(GREETING_TIMEOUT);
    }
    let Greeting { validity, counts_back, rest } =
        match greeting(&mut stream, access.as_deref(), &connection, &mut buffer).await {
            Ok(greeting) => greeting,
            Err(why) => return refuse(access.as_deref(), why),
        };
    let mut stored = counts_back.then(Stored::default);
    // What came with the greeting is the first to be stored.
    let mut came = Some(rest.len()).filter(|bytes| *bytes > 0).map(Received::Bytes);
    buffer.drain(..rest.start);
    buffer.resize(BUFFER_BYTES_MIN.max(rest.len()), 0);
    buffer.shrink_to_fit();
    loop {
        let received = match came.take() {
            Some(received) => received,
            None => read(&mut stream, &mut buffer, &connection).await,
        };
        match received {
            Received::Bytes(bytes) => {
                if let Some(access) = access.as_deref()
                    && let Err(why) = validity.check(clock_seconds())
                {
                    refuse(Some(access), why.into());
                    let _ = ingest.finish().await;
                    return;
                }
                let Ok(()) = ingest.push(&buffer[..bytes]).await else {
                    unreachable!("bad lines of a stream are skipped");
                };
                ingest.send().await;
                ingest.report();
                // Whoever counts waits for each part; the others are told at the end.
                if (ingest.is_refused() || stored.is_some())
                    && let Err(error) = ingest.finish().await
                {
                    return dropped(error);
                }
                if let Some(stored) = &mut stored
                    && let Some(line) = stored.add(&buffer[..bytes])
                    && !tell(&mut stream, &line, &connection).await
                {
                    return dropped("its client takes no counts, or the daemon stops");
                }
                // Memory follows the traffic: a quiet connection keeps a small buffer.
                if bytes == buffer.len() && bytes < BUFFER_BYTES_MAX {
                    buffer.resize(bytes * 2, 0);
                } else if bytes < buffer.len() / 8 && buffer.len() > BUFFER_BYTES_MIN {
                    buffer.truncate(buffer.len() / 2);
                    buffer.shrink_to_fit();
                }
            }
            Received::End => {
                let Ok(()) = ingest.end_of_stream() else {
                    unreachable!("bad lines of a stream are skipped");
                };
                if let Err(error) = ingest.finish().await {
                    return dropped(error);
                }
                if let Some(line) = stored.as_mut().and_then(Stored::end)
                    && !tell(&mut stream, &line, &connection).await
                {
                    return dropped("its client takes no counts, or the daemon stops");
                }
                return close_in_order(stream).await;
            }
            // Whole lines are stored; the last one may have been cut, so only an orderly end completes it. The client
            // may still hold back some that it takes for received, so it must not see an orderly close.
            Received::Broken | Received::Asked => {
                let _ = ingest.finish().await;
                return dropped("it broke, stalled, or the daemon stops");
            }
        }
    }
}

/// Makes every end of this connection a reset but [`close_in_order`]. Whether that worked; if not, the peer is gone.
#[must_use]
pub fn guard(stream: &impl Transport) -> bool {
    stream
        .set_reset_on_close(true)
        .inspect_err(|error| tracing::debug!("TCP connection lost: {error}"))
        .is_ok()
}

/// Says why a [guarded](guard) connection is dropped, which resets it.
pub fn dropped(why: impl std::fmt::Display) {
    tracing::debug!("TCP connection reset: {why}");
}

/// Everything is stored: closes our side in order, which says so.
async fn close_in_order(mut stream: impl Transport) {
    let closed = match stream.set_reset_on_close(false) {
        Ok(()) => stream.shutdown_write().await,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tracing::debug!("TCP connection not closed in order: {error}");
    }
}

/// Says why a connection that may not write here is dropped.
fn refuse(access: Option<&Access>, why: Ungreeted) {
    if let Some(access) = access {
        match why {
            Ungreeted::Ended => {}
            Ungreeted::TooLong => access.refuse("a TCP connection", Unauthorized::TooLong),
            Ungreeted::Refused(why) => access.refuse("a TCP connection", why),
        }
    }
    dropped(why);
}

/// How much of a stream is stored, for a client that wants to know.
#[derive(Debug, Default)]
struct Stored {
    /// Bytes behind the greeting that came.
    came: u64,
    /// Up to the end of the last whole line among them.
    whole: u64,
    /// What the client was told last.
    told: u64,
}

impl Stored {
    /// These bytes came, and whole lines of them are stored: what to tell, if it is news.
    fn add(&mut self, bytes: &[u8]) -> Option<String> {
        if let Some(newline) = memchr::memrchr(b'\n', bytes) {
            self.whole = self.came + newline as u64 + 1;
        }
        self.came += bytes.len() as u64;
        self.news()
    }

    /// The stream has ended, so its last line is whole, too.
    fn end(&mut self) -> Option<String> {
        self.whole = self.came;
        self.news()
    }

    fn news(&mut self) -> Option<String> {
        let is_news = self.whole > self.told;
        self.told = self.whole;
        is_news.then(|| format!("# stored: {}\n", self.whole))
    }
}

/// Writes a line to the client; false if it does not take it before the connection is to end.
async fn tell(stream: &mut impl Transport, line: &str, connection: &ConnectionHandle) -> bool {
    let told = async { stream.write_all(line.as_bytes()).await.is_ok() };
    let asked = async {
        connection.closing(None).await;
        false
    };
    told.or(asked).await
}

async fn read(stream: &mut impl Transport, buffer: &mut [u8], connection: &ConnectionHandle) -> Received {
    let read = async {
        match stream.read(buffer).await {
            Ok(0) => Received::End,
            Ok(bytes) => Received::Bytes(bytes),
            Err(error) => {
                tracing::debug!("TCP connection broken: {error}");
                Received::Broken
            }
        }
    };
    let asked = async {
        connection.closing(None).await;
        Received::Asked
    };
    read.or(asked).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_counted_wherever_the_stream_is_cut() {
        let mut stored = Stored::default();
        assert_eq!(stored.add(b"a val"), None);
        assert_eq!(stored.add(b"ue=1\nb "), Some("# stored: 10\n".to_owned()));
        assert_eq!(stored.add(b"value="), None);
        assert_eq!(stored.add(b"2\nc value=3\n"), Some("# stored: 30\n".to_owned()));
        assert_eq!(stored.end(), None);
        assert_eq!(stored.add(b"d value=4"), None);
        assert_eq!(stored.end(), Some("# stored: 39\n".to_owned()));
    }
}

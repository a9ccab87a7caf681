//! One raw TCP connection: a stream of line-protocol lines.
//!
//! Nothing is answered. A bad line is skipped, counted and warned of. When the client closes its sending
//! side, everything it sent is stored before ours is closed: an orderly close is the acknowledgement. Every other end is
//! a reset. When tokens are needed, the first line brings one ([`greeting`]), and the connection lives as long as that is valid.

mod greeting;

use std::rc::Rc;
use std::time::Duration;

use engine::line::decode::BadLine;
use futures_lite::FutureExt;

use super::connections::ConnectionHandle;
use super::transport::Transport;
use crate::access::{Access, Unauthorized, Validity};
use crate::core::ingest::Ingest;
use crate::core::{Core, clock_seconds};
use greeting::{Ungreeted, greeting};

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
    let (mut validity, mut first) = (Validity::default(), 0..0);
    if let Some(access) = &access {
        connection.head_awaited(GREETING_TIMEOUT);
        match greeting(&mut stream, access, &connection, &mut buffer).await {
            Ok(greeted) => (validity, first) = greeted,
            Err(why) => return refuse(&stream, access, why),
        }
        connection.head_complete();
    }
    if !first.is_empty() {
        let Ok(()) = ingest.push(&buffer[first]).await else {
            unreachable!("bad lines of a stream are skipped");
        };
        ingest.send().await;
    }
    buffer.resize(BUFFER_BYTES_MIN, 0);
    loop {
        let received = read(&mut stream, &mut buffer, &connection).await;
        match received {
            Received::Bytes(bytes) => {
                if let Some(access) = &access
                    && let Err(why) = validity.check(clock_seconds())
                {
                    refuse(&stream, access, why.into());
                    let _ = ingest.finish().await;
                    return;
                }
                let Ok(()) = ingest.push(&buffer[..bytes]).await else {
                    unreachable!("bad lines of a stream are skipped");
                };
                ingest.send().await;
                ingest.report();
                if ingest.is_refused()
                    && let Err(error) = ingest.finish().await
                {
                    return reset(&stream, &error);
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
                    return reset(&stream, &error);
                }
                if let Err(error) = stream.shutdown_write().await {
                    tracing::debug!("TCP connection not closed in order: {error}");
                }
                return;
            }
            // Whole lines are stored; the last one may have been cut, so only an orderly end completes it. The client
            // may still hold back some that it takes for received, so it must not see an orderly close.
            Received::Broken | Received::Asked => {
                reset(&stream, "it broke, stalled, or the daemon stops");
                let _ = ingest.finish().await;
                return;
            }
        }
    }
}

/// Ends a connection so that its client cannot take it for an acknowledgement.
pub fn reset(stream: &impl Transport, why: impl std::fmt::Display) {
    tracing::debug!("TCP connection reset: {why}");
    if let Err(error) = stream.reset_on_close() {
        tracing::warn!("a TCP connection could not be reset: {error}");
    }
}

/// Ends a connection that may not write here.
fn refuse(stream: &impl Transport, access: &Access, why: Ungreeted) {
    match why {
        Ungreeted::Ended => {}
        Ungreeted::TooLong => access.refuse("a TCP connection", Unauthorized::TooLong),
        Ungreeted::Refused(why) => access.refuse("a TCP connection", why),
    }
    reset(stream, why);
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

//! One HTTP/1.1 connection: hyper between a [`Transport`] and the [`Service`] that answers.
//!
//! Before it: `runtime`'s accept loop and the table of [connections](super::connections). After it: the service (one file a
//! verb in `api`), which gets each request with its body as a stream of chunks and so reads a body of any size in bounded
//! memory.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, poll_fn},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_lite::FutureExt;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};

use super::connections::{CloseSignal, ConnectionHandle, Stall};
use super::path::cleaned_uri;
use super::transport::Transport;
use crate::runtime::{StopFlag, sleep};

/// How much is read ahead and how much of an answer is queued. hyper's reads start at 8 KiB and double while they come
/// back full. Between 64 and 512 KiB it made no difference that could be measured: a body of 63 KB arrives in one chunk
/// and costs 19 µs of CPU, 3 µs more than a bare loop of reads; the rest is the kernel's receive.
const BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Header fields of one request.
const HEADERS_MAX: usize = 100;
/// How long a connection that ends with unread input is still read from.
pub(super) const LINGER_MAX: Duration = Duration::from_secs(2);
/// The same once the daemon stops.
const LINGER_STOPPING_MAX: Duration = Duration::from_millis(100);
/// How many bytes are read from it.
const LINGER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What answers the requests of a core's connections.
pub trait Service: 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error = Infallible> + 'static;

    /// Answers one request. Called once the head is complete, with a [clean path](super::path); the body
    /// arrives as it is read, and reading stops (back-pressure) when it is not. A body that is dropped unread
    /// ends the connection after the answer, unless its rest has already arrived. A panic ends the process.
    fn call(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;

    /// Whether a request asks something, and changes nothing: nobody misses it when its peer has gone.
    fn is_question(&self, request: &Request<Incoming>) -> bool;
}

/// The bounds of a connection.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Largest head of a request, request line included; a larger one is answered 431.
    pub header_bytes_max: usize,
    /// No byte for this long while the peer is to move: closed.
    pub idle_timeout: Duration,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// What a body must bring on average in every span of the idle timeout; 0: any byte now and then will do.
    pub body_bytes_per_second_min: u32,
}

/// Serves `stream` until the peer closes it, it stalls, it breaks the protocol, or `stop` is raised: then a request in
/// flight is answered, and an idle connection closed at once.
pub async fn serve<T: Transport, S: Service>(
    stream: T,
    service: Rc<S>,
    limits: &HttpLimits,
    connection: ConnectionHandle,
    stop: StopFlag,
) {
    let connection = Rc::new(connection);
    connection.set_idle_timeout(limits.idle_timeout);
    connection.head_awaited(limits.header_timeout);
    let activity = stream.activity().clone();
    let peer = stream.watch();
    // Whether the last request may have left input unread: it had a body, or its head was not understood.
    let unread = Rc::new(Cell::new(false));
    // Whether a request is being worked on, and nothing of its answer is on its way.
    let unanswered = Rc::new(Cell::new(false));

    let answer = {
        let asking = activity.clone();
        let (connection, unread, limits) = (connection.clone(), unread.clone(), limits.clone());
        let unanswered = unanswered.clone();
        service_fn(move |mut request: Request<Incoming>| {
            connection.head_complete();
            if let Some(uri) = cleaned_uri(request.uri()) {
                *request.uri_mut() = uri;
            }
            let has_body = !request.body().is_end_stream();
            unread.set(has_body);
            if has_body && limits.body_bytes_per_second_min > 0 {
                connection.body_awaited(limits.body_bytes_per_second_min);
            }
            let header_timeout = limits.header_timeout;
            if service.is_question(&request) {
                connection.question_begun(peer);
            }
            let call = service.clone().call(request);
            let (connection, activity) = (connection.clone(), asking.clone());
            let unanswered = unanswered.clone();
            unanswered.set(true);
            Box::pin(async move {
                let response = call.await;
                unanswered.set(false);
                connection.question_over();
                connection.head_awaited(header_timeout);
                // Who is told something asks; who writes is answered without a body, and not waited for.
                if !response.body().is_end_stream() {
                    activity.answered();
                }
                Ok::<_, Infallible>(response)
            })
        })
    };
    let mut http = http1::Builder::new()
        // A client may close its sending side and still wait for the answer. It also saves a read per request: hyper
        // would look for the end of the stream while we answer, and then `waits_for_peer` would be true for our own time.
        .half_close(true)
        .keep_alive(true)
        .max_header_size(limits.header_bytes_max)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(stream, answer);

    let mut seen = None;
    let ended = poll_fn(|context| {
        while let Poll::Ready(signal) = connection.poll_signal(context, seen) {
            seen = Some(signal);
            match signal {
                CloseSignal::Finish => std::pin::Pin::new(&mut http).graceful_shutdown(),
                CloseSignal::Now => return Poll::Ready(None),
            }
        }
        http.poll_without_shutdown(context).map(Some)
    })
    .await;
    let Some(result) = ended else {
        // Dropping hyper's state closes the socket. Whose request is given up is told so first, unless an earlier answer is
        // still on its way: hyper keeps what the socket has not taken.
        let last_words = match connection.stalled() {
            Some(Stall::SlowBody) => {
                last_words("408 Request Timeout", "the body came slower than main.min-body-rate asks for")
            }
            Some(Stall::Stop) => last_words(
                "503 Service Unavailable",
                "the daemon stops, and the request was not over in time: send it again",
            ),
            _ => return,
        };
        if unanswered.get() && !activity.write_waits() {
            let mut stream = http.into_parts().io;
            if stream.write_all(last_words.as_bytes()).await.is_ok() {
                linger(stream, LINGER_STOPPING_MAX).await;
            }
        }
        return;
    };
    if let Err(error) = &result {
        tracing::debug!("connection ended: {error}");
        if error.is_parse_too_large() {
            connection.count_oversized_head();
        }
        unread.set(true);
    }
    let mut stream = http.into_parts().io;
    if unread.get() && !activity.peer_finished() {
        let linger_max = if stop.is_set() { LINGER_STOPPING_MAX } else { LINGER_MAX };
        let dropped = async {
            connection.closing(Some(CloseSignal::Finish)).await;
        };
        linger(stream, linger_max).or(dropped).await;
    } else {
        // TLS announces its end; a peer that takes nothing must not keep us.
        let enough = async {
            sleep(LINGER_STOPPING_MAX).await;
            Ok(())
        };
        let _ = stream.shutdown_write().or(enough).await;
    }
}

/// An answer to a request that is given up, the last on its connection.
fn last_words(status: &str, error: &str) -> String {
    let title = &status[4..];
    let body = format!("{{\"status\":\"{title}\",\"error\":\"{error}\"}}\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Closes our side and reads on for a while. Closing a socket that has unread input resets the connection, and a client
/// still sending its body would see that instead of the answer that says why it was refused (it would then try again).
pub(super) async fn linger(mut stream: impl Transport, linger_max: Duration) {
    if stream.shutdown_write().await.is_err() {
        return;
    }
    let drain = async {
        let mut drained = 0;
        while drained < LINGER_BYTES_MAX {
            match stream.discard().await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => drained += bytes,
            }
        }
    };
    drain.or(sleep(linger_max)).await;
}

#[cfg(test)]
mod tests;

//! New connections, and the core that each belongs to.
//!
//! Before it: the accept loop of whichever core the kernel chose, then a [glance](super::placement) at the first bytes. After
//! it: the protocol, on that core or on the one that owns the first host (DESIGN decision 2), which gets the socket in a
//! message. A connection moves at most once, before anything of it was read. Over TLS nothing can be seen, and nothing moves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_lite::FutureExt;
use socket2::Socket;

use super::connections::ConnectionHandle;
use super::placement::Place;
use crate::core::Core;
use crate::core::event::CoreEvent;
use crate::runtime::{Stream, sleep};

/// How much is looked at: the head of a request and its first line.
const GLANCE_BYTES: usize = 4096;
/// Clients that send head and body one after the other have the second ready soon; longer pauses are not worth it.
const PAUSES: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(3), Duration::from_millis(10)];
/// Connections that wait to be taken in, after which further ones are closed: far more than ever wait.
const NEWCOMERS_MAX: usize = 1024;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// Lines.
    Lines,
}

/// A connection on its way to another core.
#[derive(Debug)]
pub struct Newcomer {
    socket: Socket,
    /// What it speaks.
    pub protocol: Protocol,
}

impl Newcomer {
    /// Makes it a stream of this core.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn into_stream(self) -> std::io::Result<Stream> {
        Stream::adopt(self.socket)
    }
}

/// Connections that other cores sent here, until the core's task takes them in.
#[derive(Debug, Default)]
pub struct Newcomers {
    queue: RefCell<VecDeque<Newcomer>>,
    waker: RefCell<Option<Waker>>,
}

impl Newcomers {
    /// One more. Closed if far too many wait.
    pub(crate) fn push(&self, newcomer: Newcomer) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() < NEWCOMERS_MAX {
            queue.push_back(newcomer);
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The next one. One task may wait.
    pub async fn next(&self) -> Newcomer {
        poll_fn(|context| {
            if let Some(newcomer) = self.queue.borrow_mut().pop_front() {
                return Poll::Ready(newcomer);
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Sends the connection to the core it belongs to, if `place_of` its first bytes says another one.
///
/// Returns it if it stays.
pub async fn settle(
    stream: Stream,
    core: &Rc<Core>,
    protocol: Protocol,
    connection: &ConnectionHandle,
    place_of: impl Fn(&[u8]) -> Place,
) -> Option<Stream> {
    if core.cores() == 1 {
        return Some(stream);
    }
    let place = async { find_place(&stream, place_of).await };
    let closing = async {
        connection.closing(None).await;
        Place::Anywhere
    };
    let Place::Core(owner) = place.or(closing).await else { return Some(stream) };
    if owner == core.index {
        return Some(stream);
    }
    core.outgoing.room(owner).await;
    // Without a descriptor left it stays.
    let Ok(socket) = stream.duplicate() else { return Some(stream) };
    core.counters.moved.increment();
    core.outgoing.send(owner, CoreEvent::Notice(Newcomer { socket, protocol }));
    None
}

async fn find_place(stream: &Stream, place_of: impl Fn(&[u8]) -> Place) -> Place {
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let Ok(bytes) = stream.peek(GLANCE_BYTES).await else { return Place::Anywhere };
        let place = place_of(&bytes);
        // At the end of the peer's stream nothing more comes.
        if place != Place::Unknown || bytes.is_empty() {
            return place;
        }
        let Some(pause) = pause.filter(|_| bytes.len() < GLANCE_BYTES) else { break };
        sleep(pause).await;
    }
    Place::Anywhere
}

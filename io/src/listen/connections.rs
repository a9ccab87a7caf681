//! The open connections of one core: how many there may be, which have stalled, how they end.
//!
//! Beside the sample's way: the HTTP and raw TCP listeners register each accepted stream here and obey the
//! [`CloseSignal`] of its handle. A stalled client — half a head, half a body, an answer it does not read — costs only
//! memory until the sweep, once a second, finds that no byte has moved for the idle timeout. (A timer per connection
//! would cost on every read; glommio's read timeouts do not work under select.)
//!
//! A connection is idle only if the next move is the peer's, see [`Activity::waits_for_peer`]: one whose request we are
//! still working on is left alone, however long it takes.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    net::SocketAddr,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_lite::FutureExt;

use super::deadline::StopDeadline;
use crate::runtime::{Activity, PeerWatch, StopFlag, Stream, next_tick, now_ms, sleep, spawn};
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// Time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How long a question is worked on whose peer has closed its sending side: it may still wait for the answer, but mostly it is gone.
const GONE_PATIENCE: Duration = Duration::from_secs(4);
/// Time between two sweeps once the stop flag is up.
const STOP_SWEEP_INTERVAL: Duration = Duration::from_millis(50);

/// The bounds of a [`ConnectionTable`].
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Open connections of this core; a further one is closed as soon as it is accepted.
    pub connections_max: usize,
    /// No byte in either direction for this long, with the peer to move: the connection is closed.
    pub idle_timeout: Duration,
    /// The same once the stop flag is up.
    pub stop_idle_timeout: Duration,
    /// From then until every connection is closed, whatever it does.
    pub stop_timeout: Duration,
}

/// How a connection is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseSignal {
    /// The daemon stops: finish what is in flight, begin nothing new, close.
    Finish,
    /// The connection has stalled: drop it.
    Now,
}

/// The table. One per core, shared by its listeners.
#[derive(Debug)]
pub struct ConnectionTable {
    limits: ConnectionLimits,
    connections_max: Cell<usize>,
    stop: StopFlag,
    deadline: Rc<StopDeadline>,
    open: RefCell<BTreeMap<u64, Rc<Connection>>>,
    next_id: Cell<u64>,
    refused: Cell<u64>,
    swept: Cell<u64>,
    slow_heads: Cell<u64>,
    slow_bodies: Cell<u64>,
    oversized_heads: Cell<u64>,
    /// Those cut off by a stop.
    cut_off: Cell<u64>,
    /// The daemon stops and the last connection is gone.
    closed: Cell<bool>,
    warn_rate: RateLimit,
}

/// The table's side of one connection.
#[derive(Debug)]
struct Connection {
    activity: Rc<Activity>,
    idle_timeout_ms: Cell<u64>,
    peer: Option<SocketAddr>,
    pace: Cell<Pace>,
    /// While a question is worked on: the peer, and since when it has been seen to have closed its sending side.
    asking: Cell<Option<(PeerWatch, Option<u64>)>>,
    /// Why it was told to end at once.
    stalled: Cell<Option<Stall>>,
    signal: Cell<Option<CloseSignal>>,
    waker: RefCell<Option<Waker>>,
}

/// How a connection kept us waiting for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// No byte for the idle timeout.
    Idle,
    /// The head of a request was begun, and not complete in time.
    SlowHead,
    /// The body of a request came slower than `main.min-body-rate`.
    SlowBody,
    /// It has asked something that takes long, and closed its sending side since.
    Gone,
    /// It was not over when a stop had taken `main.stop-timeout`.
    Stop,
}

/// Bounds what a trickling client can do, which is never idle: the time from the first to the last byte of a request's
/// head, and the rate of a body.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Nothing of the kind is awaited, or the protocol has none.
    Off,
    /// A head is awaited; it has begun when more than `bytes_read` have been read.
    Awaited { timeout_ms: u64, bytes_read: u64 },
    /// It had begun when the sweep came by.
    Begun { until_ms: u64 },
    /// A body is read: so many bytes had been read when this window of time began.
    Body { bytes_min: u64, window_ms: u64, began_ms: u64, bytes_read: u64 },
}

/// A connection's membership in the table; ends when it is dropped.
#[derive(Debug)]
pub struct ConnectionHandle {
    id: u64,
    table: Weak<ConnectionTable>,
    connection: Rc<Connection>,
}

impl ConnectionTable {
    /// An empty table, swept by a task of this core for as long as it exists.
    ///
    /// # Panics
    /// On a thread without executor.
    #[must_use]
    pub fn start(limits: ConnectionLimits, stop: StopFlag) -> Rc<Self> {
        let table = Rc::new(Self {
            connections_max: Cell::new(limits.connections_max),
            deadline: Rc::new(StopDeadline::new(stop.clone(), limits.stop_timeout)),
            limits,
            stop: stop.clone(),
            open: RefCell::default(),
            next_id: Cell::new(0),
            refused: Cell::new(0),
            swept: Cell::new(0),
            slow_heads: Cell::new(0),
            slow_bodies: Cell::new(0),
            oversized_heads: Cell::new(0),
            cut_off: Cell::new(0),
            closed: Cell::new(false),
            warn_rate: RateLimit::new(WARN_INTERVAL),
        });
        spawn("connection sweep", sweep_until_gone(Rc::downgrade(&table), stop));
        table
    }

    /// Takes a new connection in. `None`: the table is full, or [drained](Self::drained); drop the stream.
    pub fn register(self: &Rc<Self>, stream: &Stream) -> Option<ConnectionHandle> {
        if self.closed.get() {
            return None;
        }
        if self.open.borrow().len() >= self.connections_max.get() {
            self.refused.set(self.refused.get() + 1);
            if let Some(more) = self.warn_rate.allow(now_ms()) {
                tracing::warn!(
                    "connection from {} refused: {} are open on this core, its share of main.max-connections ({more} more not reported)",
                    stream.peer().map_or_else(|| "?".to_owned(), |peer| peer.to_string()),
                    self.connections_max.get()
                );
            }
            return None;
        }
        let connection = Rc::new(Connection {
            activity: stream.activity().clone(),
            idle_timeout_ms: Cell::new(milliseconds(self.limits.idle_timeout)),
            peer: stream.peer(),
            pace: Cell::new(Pace::Off),
            asking: Cell::new(None),
            stalled: Cell::new(None),
            signal: Cell::new(self.stop.is_set().then_some(CloseSignal::Finish)),
            waker: RefCell::default(),
        });
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        self.open.borrow_mut().insert(id, connection.clone());
        Some(ConnectionHandle { id, table: Rc::downgrade(self), connection })
    }

    /// Takes in so many connections from now on; those that are open stay.
    pub fn set_connections_max(&self, connections_max: usize) {
        self.connections_max.set(connections_max);
    }

    /// Whether more are open than are taken in.
    #[must_use]
    pub fn is_beyond_max(&self) -> bool {
        self.open() > self.connections_max.get()
    }

    /// When a stop cuts off what is left.
    #[must_use]
    pub fn deadline(&self) -> Rc<StopDeadline> {
        Rc::clone(&self.deadline)
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.borrow().len()
    }

    /// Connections refused because the table was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Connections closed because they had stalled, in whatever way.
    #[must_use]
    pub fn swept(&self) -> u64 {
        self.swept.get()
    }

    /// Those among them whose request's head did not come to its end in time.
    #[must_use]
    pub fn slow_heads(&self) -> u64 {
        self.slow_heads.get()
    }

    /// Those among them whose request's body was slower than `main.min-body-rate`.
    #[must_use]
    pub fn slow_bodies(&self) -> u64 {
        self.slow_bodies.get()
    }

    /// Requests whose head was larger than `main.max-header-bytes`.
    #[must_use]
    pub fn oversized_heads(&self) -> u64 {
        self.oversized_heads.get()
    }

    /// Connections that a stop cut off.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.cut_off.get()
    }

    /// Resolves when no connection is open (looks at every tick). From then on none is taken in: the listener may
    /// see the stop flag a moment later than whoever waits here.
    pub async fn drained(&self) {
        while self.open() > 0 {
            next_tick().await;
        }
        self.closed.set(true);
    }

    /// Signals every stalled connection; once the stop flag is up, asks the others to finish.
    fn sweep(&self) {
        let now = now_ms();
        let stopping = self.stop.is_set();
        let is_deadline_over = self.deadline.is_over();
        // Collected first: a signal wakes the connection's task, and nothing may run while the table is borrowed.
        let connections: Vec<_> = self.open.borrow().values().cloned().collect();
        for connection in connections {
            let mut timeout_ms = connection.idle_timeout_ms.get();
            if stopping {
                timeout_ms = timeout_ms.min(milliseconds(self.limits.stop_idle_timeout));
                connection.send(CloseSignal::Finish);
            }
            let stall = is_deadline_over.then_some(Stall::Stop);
            if let Some(stall) = stall.or_else(|| connection.stall(now, timeout_ms)) {
                connection.stalled.set(Some(stall));
                if connection.send(CloseSignal::Now) {
                    self.count(stall, connection.peer, now);
                }
            }
        }
    }
}

impl ConnectionTable {
    fn count(&self, stall: Stall, peer: Option<SocketAddr>, now: u64) {
        self.swept.set(self.swept.get() + 1);
        let (counter, what) = match stall {
            Stall::Idle | Stall::Gone => return,
            Stall::SlowHead => (&self.slow_heads, "the head of its request took too long"),
            Stall::SlowBody => {
                (&self.slow_bodies, "the body of its request was slower than main.min-body-rate")
            }
            Stall::Stop => {
                (&self.cut_off, "it was not over after main.stop-timeout, and what came was not acknowledged")
            }
        };
        counter.set(counter.get() + 1);
        if let Some(more) = self.warn_rate.allow(now) {
            let peer = peer.map_or_else(|| "?".to_owned(), |peer| peer.to_string());
            tracing::warn!("connection from {peer} closed: {what} ({more} more not reported)");
        }
    }
}

/// The table's task.
async fn sweep_until_gone(table: Weak<ConnectionTable>, stop: StopFlag) {
    loop {
        if stop.is_set() {
            sleep(STOP_SWEEP_INTERVAL).await;
        } else {
            sleep(SWEEP_INTERVAL).or(stop.stopped()).await;
        }
        let Some(table) = table.upgrade() else { return };
        table.sweep();
    }
}

impl Connection {
    /// Raises the signal to `signal`; false if it was there already.
    fn send(&self, signal: CloseSignal) -> bool {
        if self.signal.get() >= Some(signal) {
            return false;
        }
        self.signal.set(Some(signal));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        true
    }

    /// How the peer has kept us waiting for too long, if it has.
    fn stall(&self, now: u64, idle_timeout_ms: u64) -> Option<Stall> {
        let read = self.activity.bytes_read();
        match self.pace.get() {
            Pace::Awaited { timeout_ms, bytes_read } if read > bytes_read => {
                self.pace.set(Pace::Begun { until_ms: now + timeout_ms });
            }
            Pace::Begun { until_ms } if now >= until_ms => return Some(Stall::SlowHead),
            Pace::Body { bytes_min, window_ms, began_ms, bytes_read } if now >= began_ms + window_ms => {
                // If it is us who do not read, the rate says nothing about the peer.
                if read - bytes_read < bytes_min && self.activity.waits_for_peer() {
                    return Some(Stall::SlowBody);
                }
                self.pace.set(Pace::Body { bytes_min, window_ms, began_ms: now, bytes_read: read });
            }
            _ => {}
        }
        if let Some((peer, since_ms)) = self.asking.get()
            && peer.has_finished()
        {
            let since_ms = since_ms.unwrap_or(now);
            self.asking.set(Some((peer, Some(since_ms))));
            if now - since_ms >= milliseconds(GONE_PATIENCE) {
                return Some(Stall::Gone);
            }
        }
        let is_idle =
            self.activity.waits_for_peer() && now.saturating_sub(self.activity.moved_ms()) >= idle_timeout_ms;
        is_idle.then_some(Stall::Idle)
    }
}

impl ConnectionHandle {
    /// Replaces the table's idle timeout for this connection.
    pub fn set_idle_timeout(&self, timeout: Duration) {
        self.connection.idle_timeout_ms.set(milliseconds(timeout));
    }

    /// The idle timeout of this connection.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.connection.idle_timeout_ms.get())
    }

    /// A request's head is awaited from now on; once its first byte is here, it must be complete within `timeout`.
    pub fn head_awaited(&self, timeout: Duration) {
        let bytes_read = self.connection.activity.bytes_read();
        self.connection.pace.set(Pace::Awaited { timeout_ms: milliseconds(timeout), bytes_read });
    }

    /// The head is complete.
    pub fn head_complete(&self) {
        self.connection.pace.set(Pace::Off);
    }

    /// A body is read from now on: in every span of the idle timeout it must bring `bytes_per_second_min` on average.
    pub fn body_awaited(&self, bytes_per_second_min: u32) {
        let window_ms = self.connection.idle_timeout_ms.get();
        let bytes_min = (u128::from(bytes_per_second_min) * u128::from(window_ms)).div_ceil(1000);
        self.connection.pace.set(Pace::Body {
            bytes_min: u64::try_from(bytes_min).unwrap_or(u64::MAX),
            window_ms,
            began_ms: now_ms(),
            bytes_read: self.connection.activity.bytes_read(),
        });
    }

    /// A question of the peer is worked on, until [`question_over`](Self::question_over): it is given up when the peer has gone.
    pub fn question_begun(&self, peer: PeerWatch) {
        self.connection.asking.set(Some((peer, None)));
    }

    /// No question is worked on any more.
    pub fn question_over(&self) {
        self.connection.asking.set(None);
    }

    /// Why the signal [`CloseSignal::Now`] was sent.
    #[must_use]
    pub fn stalled(&self) -> Option<Stall> {
        self.connection.stalled.get()
    }

    /// A request's head was larger than `main.max-header-bytes`.
    pub fn count_oversized_head(&self) {
        let Some(table) = self.table.upgrade() else { return };
        table.oversized_heads.set(table.oversized_heads.get() + 1);
        if let Some(more) = table.warn_rate.allow(now_ms()) {
            tracing::warn!(
                "a request was refused: its head is larger than main.max-header-bytes ({more} more not reported)"
            );
        }
    }

    /// The signal, if one was sent.
    #[must_use]
    pub fn signal(&self) -> Option<CloseSignal> {
        self.connection.signal.get()
    }

    /// Ready with the signal once it is higher than `seen`; `context` is woken then. One task may wait.
    pub fn poll_signal(&self, context: &Context<'_>, seen: Option<CloseSignal>) -> Poll<CloseSignal> {
        if let Some(signal) = self.signal().filter(|signal| Some(*signal) > seen) {
            return Poll::Ready(signal);
        }
        let mut waker = self.connection.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Resolves with the signal once it is higher than `seen`.
    pub async fn closing(&self, seen: Option<CloseSignal>) -> CloseSignal {
        poll_fn(|context| self.poll_signal(context, seen)).await
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            table.open.borrow_mut().remove(&self.id);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests;

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
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_lite::FutureExt;

use crate::runtime::{Activity, StopFlag, Stream, next_tick, now_ms, sleep, spawn};
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// Time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
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
    stop: StopFlag,
    open: RefCell<BTreeMap<u64, Rc<Connection>>>,
    next_id: Cell<u64>,
    refused: Cell<u64>,
    swept: Cell<u64>,
    /// The daemon stops and the last connection is gone.
    closed: Cell<bool>,
    warn_rate: RateLimit,
}

/// The table's side of one connection.
#[derive(Debug)]
struct Connection {
    activity: Rc<Activity>,
    idle_timeout_ms: Cell<u64>,
    head: Cell<HeadTimer>,
    signal: Cell<Option<CloseSignal>>,
    waker: RefCell<Option<Waker>>,
}

/// Bounds the time from the first to the last byte of a request's head, in which a trickling client is never idle.
#[derive(Clone, Copy, Debug)]
enum HeadTimer {
    /// No head is awaited, or the protocol has none.
    Off,
    /// A head is awaited; it has begun when more than `bytes_read` have been read.
    Awaited { timeout_ms: u64, bytes_read: u64 },
    /// It had begun when the sweep came by.
    Begun { until_ms: u64 },
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
            limits,
            stop: stop.clone(),
            open: RefCell::default(),
            next_id: Cell::new(0),
            refused: Cell::new(0),
            swept: Cell::new(0),
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
        if self.open.borrow().len() >= self.limits.connections_max {
            self.refused.set(self.refused.get() + 1);
            if let Some(more) = self.warn_rate.allow(now_ms()) {
                tracing::warn!(
                    "connection from {} refused: {} are open on this core ({more} more not reported)",
                    stream.peer().map_or_else(|| "?".to_owned(), |peer| peer.to_string()),
                    self.limits.connections_max
                );
            }
            return None;
        }
        let connection = Rc::new(Connection {
            activity: stream.activity().clone(),
            idle_timeout_ms: Cell::new(milliseconds(self.limits.idle_timeout)),
            head: Cell::new(HeadTimer::Off),
            signal: Cell::new(self.stop.is_set().then_some(CloseSignal::Finish)),
            waker: RefCell::default(),
        });
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        self.open.borrow_mut().insert(id, connection.clone());
        Some(ConnectionHandle { id, table: Rc::downgrade(self), connection })
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

    /// Connections closed because they had stalled.
    #[must_use]
    pub fn swept(&self) -> u64 {
        self.swept.get()
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
        // Collected first: a signal wakes the connection's task, and nothing may run while the table is borrowed.
        let connections: Vec<_> = self.open.borrow().values().cloned().collect();
        for connection in connections {
            let mut timeout_ms = connection.idle_timeout_ms.get();
            if stopping {
                timeout_ms = timeout_ms.min(milliseconds(self.limits.stop_timeout));
                connection.send(CloseSignal::Finish);
            }
            if connection.has_stalled(now, timeout_ms) && connection.send(CloseSignal::Now) {
                self.swept.set(self.swept.get() + 1);
            }
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

    /// Whether the peer has kept us waiting for too long.
    fn has_stalled(&self, now: u64, idle_timeout_ms: u64) -> bool {
        match self.head.get() {
            HeadTimer::Awaited { timeout_ms, bytes_read } if self.activity.bytes_read() > bytes_read => {
                self.head.set(HeadTimer::Begun { until_ms: now + timeout_ms });
            }
            HeadTimer::Begun { until_ms } if now >= until_ms => return true,
            _ => {}
        }
        self.activity.waits_for_peer() && now.saturating_sub(self.activity.moved_ms()) >= idle_timeout_ms
    }
}

impl ConnectionHandle {
    /// Replaces the table's idle timeout for this connection.
    pub fn set_idle_timeout(&self, timeout: Duration) {
        self.connection.idle_timeout_ms.set(milliseconds(timeout));
    }

    /// A request's head is awaited from now on; once its first byte is here, it must be complete within `timeout`.
    pub fn head_awaited(&self, timeout: Duration) {
        let bytes_read = self.connection.activity.bytes_read();
        self.connection.head.set(HeadTimer::Awaited { timeout_ms: milliseconds(timeout), bytes_read });
    }

    /// The head is complete.
    pub fn head_complete(&self) {
        self.connection.head.set(HeadTimer::Off);
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

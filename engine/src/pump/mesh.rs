//! The mesh: a mailbox for every ordered pair of cores, and a bell for each core.
//!
//! A pump is rung only when it sleeps. A full mailbox makes its sender wait: the connection's socket is not
//! read meanwhile, which is the back-pressure the client feels. Replies never wait for room, they queue at
//! their sender: a pump that waited could wait for a pump that waits for it. There are at most as many as
//! there are requests under way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use super::event::{CallId, CoreEvent, ExtraMessages, Reply, Request};
use crate::sync::doorbell::Doorbell;
use crate::sync::fault::{Fault, is_on};
use crate::sync::mailbox::{Receiver, Sender, mailbox};

/// Messages a mailbox of the daemon holds; a write is some thousand samples.
pub const MAILBOX_MESSAGES: usize = 32;

/// What all cores see of each other.
#[derive(Debug)]
struct Shared {
    bells: Vec<Bell>,
    /// By sender · cores + receiver: the sender found the mailbox full and waits for room, of which the receiver tells it.
    starved: Vec<Doorbell>,
}

#[derive(Debug, Default)]
struct Bell {
    doorbell: Doorbell,
    /// Set by the owner's pump before it sleeps for the first time.
    waker: OnceLock<Waker>,
}

impl Shared {
    fn ring(&self, core: usize) {
        let bell = &self.bells[core];
        if bell.doorbell.ring()
            && let Some(waker) = bell.waker.get()
        {
            waker.wake_by_ref();
        }
    }
}

/// One core's ends of the mesh, on their way to its executor.
#[derive(Debug)]
pub struct CoreEnds<X: ExtraMessages> {
    /// Which core.
    pub index: usize,
    senders: Vec<Mailbox<Sender<CoreEvent<X>>>>,
    receivers: Vec<Mailbox<Receiver<CoreEvent<X>>>>,
    shared: Arc<Shared>,
}

/// An end of a mailbox; its messages are not shown.
struct Mailbox<T>(T);

impl<T> std::fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailbox")
    }
}

/// A mesh of so many cores, whose mailboxes hold so many messages: the ends of each.
#[must_use]
pub fn mesh<X: ExtraMessages>(cores: usize, mailbox_messages: usize) -> Vec<CoreEnds<X>> {
    let shared = Arc::new(Shared {
        bells: (0..cores).map(|_| Bell::default()).collect(),
        starved: (0..cores * cores).map(|_| Doorbell::default()).collect(),
    });
    let mut ends: Vec<CoreEnds<X>> = (0..cores)
        .map(|index| CoreEnds {
            index,
            senders: Vec::new(),
            receivers: Vec::new(),
            shared: Arc::clone(&shared),
        })
        .collect();
    for from in 0..cores {
        for to in 0..cores {
            let (sender, receiver) = mailbox(mailbox_messages);
            ends[from].senders.push(Mailbox(sender));
            ends[to].receivers.push(Mailbox(receiver));
        }
    }
    ends
}

impl<X: ExtraMessages> CoreEnds<X> {
    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.senders.len()
    }

    /// Never frees what all cores see of each other: where wakers must be dropped nowhere but on their own core.
    pub fn leak_shared(&self) {
        std::mem::forget(Arc::clone(&self.shared));
    }

    /// The ends that connections share, and those of the pump.
    #[must_use]
    pub fn split(self) -> (Outgoing<X>, Incoming<X>) {
        let cores = self.cores();
        let outgoing = Outgoing {
            index: self.index,
            senders: RefCell::new(self.senders),
            replies: RefCell::new((0..cores).map(|_| VecDeque::new()).collect()),
            replies_waiting: Cell::new(0),
            waiting_for_room: RefCell::default(),
            times_full: Cell::default(),
            shared: Arc::clone(&self.shared),
        };
        (outgoing, Incoming { index: self.index, receivers: self.receivers, shared: self.shared })
    }
}

/// The sending ends of one core.
#[derive(Debug)]
pub struct Outgoing<X: ExtraMessages> {
    index: usize,
    senders: RefCell<Vec<Mailbox<Sender<CoreEvent<X>>>>>,
    /// Replies that found no room, by receiver.
    replies: RefCell<Vec<VecDeque<CoreEvent<X>>>>,
    replies_waiting: Cell<usize>,
    waiting_for_room: RefCell<Vec<Waker>>,
    /// How often somebody began to wait there.
    times_full: Cell<u64>,
    shared: Arc<Shared>,
}

impl<X: ExtraMessages> Outgoing<X> {
    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.shared.bells.len()
    }

    /// Waits until a request to `core` can be sent without waiting.
    pub async fn room(&self, core: usize) {
        poll_fn(|context| self.poll_room(core, context)).await;
    }

    fn poll_room(&self, core: usize, context: &Context<'_>) -> Poll<()> {
        let has_room =
            || self.replies.borrow()[core].is_empty() && self.senders.borrow_mut()[core].0.has_room();
        if has_room() {
            return Poll::Ready(());
        }
        if !self.shared.starved[self.index * self.cores() + core].may_sleep(has_room) {
            // That took back what others had announced who wait for the same mailbox: they look again.
            self.wake_waiting();
            return Poll::Ready(());
        }
        self.times_full.set(self.times_full.get() + 1);
        self.waiting_for_room.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }

    /// How often somebody has waited for room, or looked again in vain.
    #[must_use]
    pub fn times_full(&self) -> u64 {
        self.times_full.get()
    }

    /// Replies that found no room so far.
    #[must_use]
    pub fn replies_waiting(&self) -> usize {
        self.replies_waiting.get()
    }

    /// Sends a request, which must have [room](Self::room).
    ///
    /// # Panics
    /// If there is none: a bug, the caller awaited something in between.
    pub fn send_request(&self, core: usize, call: CallId, request: Request) {
        self.send(core, CoreEvent::Request(call, request));
    }

    /// Sends what is not replied to, which must have [room](Self::room).
    ///
    /// # Panics
    /// As [`send_request`](Self::send_request).
    pub fn send(&self, core: usize, event: CoreEvent<X>) {
        let sent = self.senders.borrow_mut()[core].0.send(event);
        assert!(sent.is_ok(), "requests are sent when there is room");
        self.shared.ring(core);
    }

    /// Sends a reply, now or as soon as there is room.
    pub fn send_reply(&self, core: usize, call: CallId, reply: Reply<X>) {
        let mut queue = self.replies.borrow_mut();
        let event = CoreEvent::Reply(call, reply);
        let refused = if queue[core].is_empty() {
            self.senders.borrow_mut()[core].0.send(event).err()
        } else {
            Some(event)
        };
        match refused {
            None => self.shared.ring(core),
            Some(event) => {
                queue[core].push_back(event);
                self.replies_waiting.set(self.replies_waiting.get() + 1);
                // The log's writer replies while the pump sleeps, and only a pump that flushes is told of room.
                if !is_on(Fault::MeshQueuedReplyNotRung) {
                    self.ring_self();
                }
            }
        }
    }

    /// Makes this core's own pump look again.
    pub fn ring_self(&self) {
        self.shared.ring(self.index);
    }

    /// Makes all pumps look again.
    pub fn ring_all(&self) {
        (0..self.cores()).for_each(|core| self.shared.ring(core));
    }

    /// Called by the pump at every turn: sends queued replies and wakes those who wait for room.
    pub fn flush(&self) {
        if self.replies_waiting.get() > 0 {
            self.flush_replies();
        }
        self.wake_waiting();
    }

    fn wake_waiting(&self) {
        for waker in self.waiting_for_room.borrow_mut().drain(..) {
            waker.wake();
        }
    }

    /// Whether there is room for a queued reply.
    fn can_reply(&self) -> bool {
        self.replies_waiting.get() > 0 && {
            let mut senders = self.senders.borrow_mut();
            let replies = self.replies.borrow();
            replies.iter().zip(&mut *senders).any(|(queue, sender)| !queue.is_empty() && sender.0.has_room())
        }
    }

    fn flush_replies(&self) {
        let mut senders = self.senders.borrow_mut();
        for (core, queue) in self.replies.borrow_mut().iter_mut().enumerate() {
            let sender = &mut senders[core].0;
            let starved = &self.shared.starved[self.index * self.shared.bells.len() + core];
            let mut sent = 0;
            while !queue.is_empty() && (sender.has_room() || !starved.may_sleep(|| sender.has_room())) {
                let event = queue.pop_front().expect("not empty");
                assert!(sender.send(event).is_ok(), "there is room");
                sent += 1;
            }
            if sent > 0 {
                self.replies_waiting.set(self.replies_waiting.get() - sent);
                self.shared.ring(core);
            }
        }
    }
}

/// The receiving ends of one core, owned by its pump.
#[derive(Debug)]
pub struct Incoming<X: ExtraMessages> {
    index: usize,
    receivers: Vec<Mailbox<Receiver<CoreEvent<X>>>>,
    shared: Arc<Shared>,
}

impl<X: ExtraMessages> Incoming<X> {
    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.receivers.len()
    }

    /// The oldest message of a core.
    pub fn receive(&mut self, from: usize) -> Option<CoreEvent<X>> {
        self.receivers[from].0.receive()
    }

    /// Messages that wait in all mailboxes.
    pub fn waiting(&self) -> usize {
        self.receivers.iter().map(|receiver| receiver.0.waiting()).sum()
    }

    /// Messages of `from` were taken: if it waited for room, it is rung.
    pub fn made_room(&self, from: usize) {
        let starved = &self.shared.starved[from * self.cores() + self.index];
        if !is_on(Fault::MeshRoomNotRung) && starved.ring() {
            self.shared.ring(from);
        }
    }

    /// Sleeps until a message is there, a queued reply can be sent, or the bell is rung. May return early.
    ///
    /// To be called right after [`Outgoing::flush`]. Whoever made room in between has rung a bell that nobody slept by, so
    /// the last look before the sleep is for that as well, and for what else `must_look`.
    pub async fn sleep(&mut self, outgoing: &Outgoing<X>, must_look: impl Fn() -> bool) {
        let mut slept = false;
        poll_fn(|context| {
            let bell = &self.shared.bells[self.index];
            if slept {
                bell.doorbell.awake();
                return Poll::Ready(());
            }
            let waker = bell.waker.get_or_init(|| context.waker().clone());
            debug_assert!(waker.will_wake(context.waker()), "a pump is one task for its whole life");
            let has_something = || {
                self.receivers.iter_mut().any(|receiver| !receiver.0.is_empty())
                    || must_look()
                    || (outgoing.can_reply() && !is_on(Fault::MeshSleepsOverReplies))
            };
            if !bell.doorbell.may_sleep(has_something) {
                return Poll::Ready(());
            }
            slept = true;
            Poll::Pending
        })
        .await;
    }
}

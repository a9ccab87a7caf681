//! Calls: requests to one or several cores, and the wait for all replies.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::Core;
use super::event::{CallId, Reply, Request, Work};

/// The calls of one core that are under way.
#[derive(Debug, Default)]
pub struct Calls {
    next: Cell<u64>,
    open: RefCell<HashMap<CallId, Rc<State>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Replies still to come.
    missing: Cell<usize>,
    /// Nobody waits any more.
    abandoned: Cell<bool>,
    replies: RefCell<Vec<(usize, Reply)>>,
    waker: RefCell<Option<Waker>>,
}

impl Calls {
    /// A reply of core `from` arrived.
    ///
    /// # Panics
    /// If nobody asked: a bug.
    pub(super) fn reply(&self, core: &Core, id: CallId, from: usize, reply: Reply) {
        let state = Rc::clone(self.open.borrow().get(&id).expect("replies answer open calls"));
        state.missing.set(state.missing.get() - 1);
        if !state.abandoned.get() {
            state.replies.borrow_mut().push((from, reply));
        } else if let Reply::Written(_, list) | Reply::NotWritten(_, list) = reply {
            core.put_spare_list(list);
        }
        if state.missing.get() > 0 {
            return;
        }
        if state.abandoned.get() {
            self.open.borrow_mut().remove(&id);
        } else if let Some(waker) = state.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// One call. Dropping it loses the replies, not what was requested.
#[derive(Debug)]
pub struct Call {
    core: Rc<Core>,
    id: CallId,
    state: Rc<State>,
}

impl Call {
    /// A call without requests yet.
    #[must_use]
    pub fn new(core: &Rc<Core>) -> Self {
        let calls = &core.calls;
        let id = CallId(calls.next.replace(calls.next.get() + 1));
        let state = Rc::new(State::default());
        calls.open.borrow_mut().insert(id, Rc::clone(&state));
        Self { core: Rc::clone(core), id, state }
    }

    /// Sends a request to a core, when there is room.
    pub async fn request(&self, core: usize, request: Request) {
        self.core.outgoing.room(core).await;
        self.request_now(core, request);
    }

    /// Wants something of a core, when there is room.
    pub async fn want(&self, core: usize, work: Work) {
        self.request(core, Request::Work(work)).await;
    }

    /// Sends a request to a core that has room: nothing was awaited since [`super::mesh::Outgoing::room`].
    pub(super) fn request_now(&self, core: usize, request: Request) {
        self.state.missing.set(self.state.missing.get() + 1);
        self.core.outgoing.send_request(core, self.id, request);
    }

    /// Replies that are already there, with the cores they came from.
    pub fn take_replies(&self) -> Vec<(usize, Reply)> {
        std::mem::take(&mut *self.state.replies.borrow_mut())
    }

    /// Waits until every request is replied to; returns the replies not taken before.
    pub async fn replies(&self) -> Vec<(usize, Reply)> {
        poll_fn(|context| {
            if self.state.missing.get() == 0 {
                return Poll::Ready(());
            }
            *self.state.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.take_replies()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.state.missing.get() == 0 {
            self.core.calls.open.borrow_mut().remove(&self.id);
        } else {
            self.state.abandoned.set(true);
            self.state.replies.borrow_mut().clear();
        }
    }
}

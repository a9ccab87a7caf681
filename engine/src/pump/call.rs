//! Calls: requests to one or several cores, and the wait for all replies.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::calls::OpenCall;
use super::core::{Additions, Core};
use super::event::{CallId, Reply, Request, Work};

/// One call. Dropping it loses the replies, not what was requested; only what was asked ends.
#[derive(Debug)]
pub struct Call<A: Additions> {
    core: Rc<Core<A>>,
    id: CallId,
    state: Rc<OpenCall<A>>,
}

impl<A: Additions> Call<A> {
    /// A call without requests yet.
    #[must_use]
    pub fn new(core: &Rc<Core<A>>) -> Self {
        let (id, state) = core.calls.open();
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

    /// Asks something of a core, when there is room. It is given up when this call is dropped before it is over.
    pub async fn ask(&self, core: usize, question: Work) {
        let flag = self.state.given_up.get_or_init(Arc::default);
        self.request(core, Request::Question(question, Arc::clone(flag))).await;
    }

    /// Sends a request to a core that has room: nothing was awaited since [`super::mesh::Outgoing::room`].
    pub fn request_now(&self, core: usize, request: Request) {
        self.state.missing.set(self.state.missing.get() + 1);
        self.core.outgoing.send_request(core, self.id, request);
    }

    /// Replies that are already there, with the cores they came from.
    pub fn take_replies(&self) -> Vec<(usize, Reply<A>)> {
        std::mem::take(&mut *self.state.replies.borrow_mut())
    }

    /// Its number, by which pumps know it.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Whether every request is replied to.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.missing.get() == 0
    }

    /// Waits until every request is replied to; returns the replies not taken before.
    pub async fn replies(&self) -> Vec<(usize, Reply<A>)> {
        poll_fn(|context| {
            if self.is_over() {
                return Poll::Ready(());
            }
            *self.state.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.take_replies()
    }
}

impl<A: Additions> Drop for Call<A> {
    fn drop(&mut self) {
        if self.is_over() {
            self.core.calls.close(self.id);
        } else {
            self.state.abandoned.set(true);
            if let Some(flag) = self.state.given_up.get() {
                flag.raise();
            }
            self.state.replies.borrow_mut().clear();
        }
    }
}

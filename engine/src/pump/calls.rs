//! The calls of one core that are under way: which replies are missing, and who waits for them.
//!
//! Tasks make them through [`call`](super::call).

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::event::{CallId, ExtraMessages, Reply};
use crate::series::route::Sample;
use crate::sync::flag::Flag;

/// The calls of one core that are under way.
#[derive(Debug)]
pub struct Calls<X: ExtraMessages> {
    next: Cell<u64>,
    open: RefCell<HashMap<CallId, Rc<OpenCall<X>>>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct OpenCall<X: ExtraMessages> {
    /// Replies still to come.
    pub(super) missing: Cell<usize>,
    /// Nobody waits any more.
    pub(super) abandoned: Cell<bool>,
    /// How cores that were asked something learn that; none before.
    pub(super) given_up: OnceCell<Arc<Flag>>,
    pub(super) replies: RefCell<Vec<(usize, Reply<X>)>>,
    pub(super) waker: RefCell<Option<Waker>>,
}

impl<X: ExtraMessages> Default for Calls<X> {
    fn default() -> Self {
        Self { next: Cell::default(), open: RefCell::default() }
    }
}

impl<X: ExtraMessages> Calls<X> {
    /// Begins a call without requests.
    pub(super) fn open(&self) -> (CallId, Rc<OpenCall<X>>) {
        let id = CallId(self.next.replace(self.next.get() + 1));
        let call = Rc::new(OpenCall {
            missing: Cell::default(),
            abandoned: Cell::default(),
            given_up: OnceCell::new(),
            replies: RefCell::default(),
            waker: RefCell::default(),
        });
        self.open.borrow_mut().insert(id, Rc::clone(&call));
        (id, call)
    }

    /// Forgets a call, whose replies are all there.
    pub(super) fn close(&self, id: CallId) {
        self.open.borrow_mut().remove(&id);
    }

    /// A reply of core `from` arrived. Returns the list of a write that nobody waits for any more.
    ///
    /// # Panics
    /// If nobody asked: a bug.
    pub(super) fn reply(&self, id: CallId, from: usize, reply: Reply<X>) -> Option<Vec<Sample>> {
        let mut unused = None;
        let state = Rc::clone(self.open.borrow().get(&id).expect("replies answer open calls"));
        state.missing.set(state.missing.get() - 1);
        if !state.abandoned.get() {
            state.replies.borrow_mut().push((from, reply));
        } else if let Reply::Written(_, list) | Reply::NotWritten(_, list) = reply {
            unused = Some(list);
        }
        if state.missing.get() > 0 {
            return unused;
        }
        if state.abandoned.get() {
            self.open.borrow_mut().remove(&id);
        } else if let Some(waker) = state.waker.borrow_mut().take() {
            waker.wake();
        }
        unused
    }
}

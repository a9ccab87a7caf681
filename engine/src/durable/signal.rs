//! Tasks of one core that wait for something to become true, and the call that makes them look again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Who waits. Each waiter brings its own condition.
#[derive(Debug, Default)]
pub(super) struct Signal {
    waiting: RefCell<Vec<Waker>>,
    /// Grows with every call of [`notify`](Self::notify): a waiter that is polled in between registers once.
    calls: Cell<u64>,
}

impl Signal {
    /// Resolves when `look` finds something; it looks now and after every [`notify`](Self::notify).
    pub(super) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let mut registered: Option<(u64, Waker)> = None;
        poll_fn(move |context| {
            if let Some(found) = look() {
                return Poll::Ready(found);
            }
            let calls = self.calls.get();
            let is_known = registered
                .as_ref()
                .is_some_and(|(at, waker)| *at == calls && waker.will_wake(context.waker()));
            if !is_known {
                self.waiting.borrow_mut().push(context.waker().clone());
                registered = Some((calls, context.waker().clone()));
            }
            Poll::Pending
        })
        .await
    }

    /// Makes everybody look again. Runs nobody within the call.
    pub(super) fn notify(&self) {
        self.calls.set(self.calls.get() + 1);
        let mut woken = self.waiting.take();
        for waker in woken.drain(..) {
            waker.wake();
        }
        // Keep the larger allocation of the two.
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            *waiting = woken;
        }
    }
}

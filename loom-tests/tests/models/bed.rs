//! Where a core of a model sleeps.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};

/// Stands for the executor: a wake before the sleep is not lost. A sleeper that nobody wakes is a deadlock, which loom
/// reports.
#[derive(Default)]
pub(super) struct Bed {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Bed {
    pub(super) fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }

    pub(super) fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Wake for Bed {
    fn wake(self: Arc<Self>) {
        Bed::wake(&self);
    }
}

/// Runs the tasks of a core, put together as one future.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let bed = Arc::new(Bed::default());
    let waker = Waker::from(Arc::clone(&bed));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => bed.sleep(),
        }
    }
}

/// Wakes one of the tasks of a core.
struct TaskWaker {
    core: Waker,
    /// No part of the model: what it tells is told by the core's bed as well.
    is_woken: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, SeqCst);
        self.core.wake_by_ref();
    }
}

/// A task of its own among those of a core: it runs when it was woken, not whenever another one was.
pub(super) fn task<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let mut future = Box::pin(future);
    let mut waker: Option<Arc<TaskWaker>> = None;
    poll_fn(move |context| {
        let new = || Arc::new(TaskWaker { core: context.waker().clone(), is_woken: AtomicBool::new(true) });
        let waker = waker.get_or_insert_with(new);
        if !waker.is_woken.swap(false, SeqCst) {
            return Poll::Pending;
        }
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
    })
}

//! Where a core of a model sleeps.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
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

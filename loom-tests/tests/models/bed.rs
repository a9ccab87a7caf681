//! Where a core of a model sleeps.

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

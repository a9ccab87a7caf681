//! A stop: before a core makes its last checkpoint, everything that other cores sent to it is stored.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use engine::platform::Clock;
use engine::pump::stop::Stopping;
use engine::sync::flag::Flag;
use engine::sync::mailbox::{Receiver, Sender, mailbox};
use loom::thread;

use super::{bed, bounded};

/// Time does not pass: the others have their turn.
struct Yielding;

impl Clock for Yielding {
    fn now_seconds(&self) -> i64 {
        0
    }

    fn now_ns(&self) -> u64 {
        0
    }

    async fn sleep(&self, _: Duration) {
        thread::yield_now();
    }

    fn spawn(&self, _: &'static str, _: impl Future<Output = ()> + 'static) {
        unreachable!("nothing is spawned here")
    }
}

/// A core with a message for the other one in its hands when the stop comes; returns what is in its last checkpoint.
fn core(stopping: &Stopping, mut to_other: Sender<u32>, mut from_other: Receiver<u32>) -> Option<u32> {
    while !stopping.is_asked_for() {
        thread::yield_now();
    }
    let own = async { to_other.send(1).unwrap() };
    bed::run(stopping.deliver(own, &Yielding));
    let saved = from_other.receive();
    stopping.saved();
    saved
}

#[test]
fn a_last_checkpoint_holds_everything_in_flight() {
    bounded(3, 50, || {
        let stop = Arc::new(Flag::default());
        let stopping = Stopping::new(2, Arc::clone(&stop));
        let (there, at_the_other) = mailbox(1);
        let (back, here) = mailbox(1);
        let other = {
            let stopping = Arc::clone(&stopping);
            thread::spawn(move || core(&stopping, back, at_the_other))
        };
        stop.raise();
        assert_eq!(core(&stopping, there, here), Some(1));
        assert_eq!(other.join().unwrap(), Some(1));
        assert!(stopping.are_all_saved());
    });
}

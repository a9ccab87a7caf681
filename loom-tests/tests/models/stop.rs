//! A stop: before a core makes its last checkpoint, everything that other cores sent to it is stored.

use engine::sync::countdown::Countdown;
use engine::sync::flag::Flag;
use engine::sync::mailbox::{Receiver, Sender, mailbox};
use loom::sync::Arc;
use loom::thread;

use super::bounded;
use super::faults::{ProtocolFault, is_on};

/// What the cores share.
struct Shared {
    stop: Flag,
    delivered: Countdown,
}

/// A core with a message for the other one in its hands when the stop comes; returns what is in its last checkpoint.
fn core(shared: &Shared, mut to_other: Sender<u32>, mut from_other: Receiver<u32>) -> Option<u32> {
    while !shared.stop.is_raised() {
        thread::yield_now();
    }
    if is_on(ProtocolFault::ArriveBeforeDelivery) {
        shared.delivered.arrive();
        to_other.send(1).unwrap();
    } else {
        to_other.send(1).unwrap();
        shared.delivered.arrive();
    }
    while !is_on(ProtocolFault::StopWithoutBarrier) && !shared.delivered.is_over() {
        thread::yield_now();
    }
    from_other.receive()
}

#[test]
fn a_last_checkpoint_holds_everything_in_flight() {
    bounded(3, 50, || {
        let shared = Arc::new(Shared { stop: Flag::default(), delivered: Countdown::new(2) });
        let (there, at_the_other) = mailbox(1);
        let (back, here) = mailbox(1);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || core(&shared, back, at_the_other))
        };
        shared.stop.raise();
        assert_eq!(core(&shared, there, here), Some(1));
        assert_eq!(other.join().unwrap(), Some(1));
    });
}

//! The mesh between pumps: nothing is slept over.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use engine::pump::event::{CallId, CoreEvent, ExtraMessages, Reply};
use engine::pump::mesh::{Incoming, Outgoing, mesh};

/// Messages are numbers.
#[derive(Debug)]
struct Numbers;

impl ExtraMessages for Numbers {
    type Notice = u32;
    type Metrics = u32;
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two cores with mailboxes of one message.
fn two_cores() -> [(Outgoing<Numbers>, Incoming<Numbers>); 2] {
    let mut ends = mesh(2, 1).into_iter().map(|ends| ends.split());
    [ends.next().unwrap(), ends.next().unwrap()]
}

fn reply(outgoing: &Outgoing<Numbers>, number: u32) {
    outgoing.send_reply(1, CallId(0), Reply::Metrics(Box::new(number)));
}

fn is_reply(event: Option<CoreEvent<Numbers>>, expected: u32) -> bool {
    matches!(event, Some(CoreEvent::Reply(_, Reply::Metrics(number))) if *number == expected)
}

/// The log's writer replies while the pump sleeps. Only a pump that has looked for room is rung when there is some, so
/// without a ring the second reply would wait for the next tick.
#[test]
fn a_pump_that_sleeps_hears_of_a_reply_that_was_queued() {
    let [(outgoing, mut incoming), (_, mut taking)] = two_cores();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    {
        let mut sleep = pin!(incoming.sleep(&outgoing, || false));
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        reply(&outgoing, 0);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "it is on its way");
        reply(&outgoing, 1);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "it is queued");
        assert!(sleep.as_mut().poll(&mut context).is_ready());
    }
    outgoing.flush();
    let mut sleep = pin!(incoming.sleep(&outgoing, || false));
    assert!(sleep.as_mut().poll(&mut context).is_pending());
    assert!(is_reply(taking.receive(0), 0));
    taking.made_room(0);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "there is room");
    outgoing.flush();
    assert!(is_reply(taking.receive(0), 1));
}

/// Room that comes between the last attempt to send a queued reply and the sleep.
#[test]
fn a_pump_does_not_fall_asleep_with_a_reply_that_could_be_sent() {
    let [(outgoing, mut incoming), (_, mut taking)] = two_cores();
    let waker = Waker::from(Arc::new(Wakes::default()));
    (0..2).for_each(|number| reply(&outgoing, number));
    outgoing.flush();
    assert!(is_reply(taking.receive(0), 0));
    taking.made_room(0);
    let mut sleep = pin!(incoming.sleep(&outgoing, || false));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

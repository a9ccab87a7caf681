//! The mesh that ships, with mailboxes of one message: nobody sleeps over something that can be done.

use engine::pump::event::{CallId, CoreEvent, ExtraMessages, Reply};
use engine::pump::mesh::{Incoming, Outgoing, mesh};
use futures_lite::FutureExt;
use futures_lite::future::zip;
use loom::thread;

use super::bed;
use super::bounded;

const MESSAGES: u32 = 2;

/// Messages are numbers.
#[derive(Debug)]
struct Numbers;

impl ExtraMessages for Numbers {
    type Notice = u32;
    type Metrics = u32;
}

/// The ends of two cores, on their threads.
fn two_cores(
    one: impl FnOnce(Outgoing<Numbers>, Incoming<Numbers>) + Send + 'static,
    other: impl FnOnce(Outgoing<Numbers>, Incoming<Numbers>),
) {
    let mut ends = mesh(2, 1);
    let (second, first) = (ends.pop().unwrap(), ends.pop().unwrap());
    let thread = thread::spawn(move || {
        let (outgoing, incoming) = first.split();
        one(outgoing, incoming);
    });
    let (outgoing, incoming) = second.split();
    other(outgoing, incoming);
    thread.join().unwrap();
}

/// The turns of a pump that takes numbers, until it has them all.
async fn take_numbers(outgoing: Outgoing<Numbers>, mut incoming: Incoming<Numbers>) -> Outgoing<Numbers> {
    let mut next = 0;
    loop {
        let mut is_busy = false;
        while let Some(event) = incoming.receive(0) {
            let number = match event {
                CoreEvent::Notice(number) => number,
                CoreEvent::Reply(_, Reply::Metrics(number)) => *number,
                other => panic!("{other:?}"),
            };
            assert_eq!(number, next, "first in, first out");
            next += 1;
            incoming.made_room(0);
            is_busy = true;
        }
        outgoing.flush();
        if next == MESSAGES {
            return outgoing;
        }
        if !is_busy {
            incoming.sleep(&outgoing, || false).await;
        }
    }
}

/// A connection sends when there is room; its core's pump, which has nothing to do, wakes it.
#[test]
fn a_sender_that_waits_for_room_is_rung() {
    bounded(3, 500, || {
        let send = |outgoing: Outgoing<Numbers>, mut incoming: Incoming<Numbers>| {
            let connection = async {
                for number in 0..MESSAGES {
                    outgoing.room(1).await;
                    outgoing.send(1, CoreEvent::Notice(number));
                }
            };
            let pump = async {
                loop {
                    outgoing.flush();
                    incoming.sleep(&outgoing, || false).await;
                }
            };
            bed::run(bed::task(connection).or(bed::task(pump)));
        };
        two_cores(send, |outgoing, incoming| {
            bed::run(take_numbers(outgoing, incoming));
        });
    });
}

/// A pump never waits for room. What its log replies while it sleeps is queued, and sent when there is room.
#[test]
fn queued_replies_are_sent_when_there_is_room() {
    bounded(3, 500, || {
        let reply = |outgoing: Outgoing<Numbers>, mut incoming: Incoming<Numbers>| {
            let pump = async {
                while incoming.receive(1).is_none() {
                    outgoing.flush();
                    incoming.sleep(&outgoing, || false).await;
                }
            };
            let log = async {
                (0..MESSAGES).for_each(|number| {
                    outgoing.send_reply(1, CallId(0), Reply::Metrics(Box::new(number)));
                });
            };
            bed::run(zip(bed::task(pump), bed::task(log)));
        };
        two_cores(reply, |outgoing, incoming| {
            bed::run(async {
                let outgoing = take_numbers(outgoing, incoming).await;
                // All are there: the other core ends.
                outgoing.send(0, CoreEvent::Notice(0));
            });
        });
    });
}

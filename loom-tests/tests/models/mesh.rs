//! The mesh: a sender that found its mailbox full is rung when there is room, as in `io/src/core/mesh.rs`.

use engine::sync::doorbell::Doorbell;
use engine::sync::mailbox::{Sender, mailbox};
use loom::sync::Arc;
use loom::thread;

use super::bed::Bed;
use super::every;
use super::faults::{ProtocolFault, is_on};

/// What the sender and the receiver of a mailbox see of each other.
#[derive(Default)]
struct Pair {
    /// Where the receiver sleeps, and its bell.
    receiver: (Bed, Doorbell),
    /// Where the sender sleeps, and what says that it waits for room.
    sender: (Bed, Doorbell),
}

fn send_when_there_is_room(sender: &mut Sender<u32>, pair: &Pair, message: u32) {
    while !sender.has_room() {
        if pair.sender.1.may_sleep(|| sender.has_room()) {
            pair.sender.0.sleep();
            pair.sender.1.awake();
        }
    }
    sender.send(message).unwrap();
    if pair.receiver.1.ring() {
        pair.receiver.0.wake();
    }
}

#[test]
fn a_sender_that_waits_for_room_is_rung() {
    const MESSAGES: u32 = 2;
    every(50_000, || {
        let (mut sender, mut receiver) = mailbox(1);
        let pair = Arc::new(Pair::default());
        let producer = {
            let pair = Arc::clone(&pair);
            thread::spawn(move || {
                (0..MESSAGES).for_each(|number| send_when_there_is_room(&mut sender, &pair, number));
            })
        };
        let mut received = 0;
        while received < MESSAGES {
            if let Some(number) = receiver.receive() {
                assert_eq!(number, received, "first in, first out");
                received += 1;
                if !is_on(ProtocolFault::RoomNotRung) && pair.sender.1.ring() {
                    pair.sender.0.wake();
                }
            } else if pair.receiver.1.may_sleep(|| !receiver.is_empty()) {
                pair.receiver.0.sleep();
                pair.receiver.1.awake();
            }
        }
        producer.join().unwrap();
    });
}

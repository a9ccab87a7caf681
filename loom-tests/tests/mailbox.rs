//! The mailbox: nothing lost, in order, bounded, and every message dropped exactly once.
#![cfg(loom)]

use engine::sync::mailbox::mailbox;
use loom::sync::Arc;
use loom::thread;

#[test]
fn messages_arrive_in_order_and_none_is_lost() {
    loom::model(|| {
        let (mut sender, mut receiver) = mailbox(2);
        let producer = thread::spawn(move || {
            for number in 0..3 {
                let mut message = Box::new(number);
                while let Err(refused) = sender.send(message) {
                    message = refused;
                    thread::yield_now();
                }
            }
        });
        for number in 0..3 {
            let message = loop {
                match receiver.receive() {
                    Some(message) => break message,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(*message, number);
        }
        assert!(receiver.receive().is_none());
        producer.join().unwrap();
    });
}

#[test]
fn a_full_mailbox_refuses() {
    loom::model(|| {
        let (mut sender, mut receiver) = mailbox(1);
        let producer = thread::spawn(move || (sender.send(1).is_ok(), sender.send(2).is_ok()));
        let first = receiver.receive();
        let (sent_first, sent_second) = producer.join().unwrap();
        assert!(sent_first);
        assert!(first.is_some() || !sent_second, "two messages in one slot");
        assert_eq!(receiver.receive(), if first.is_none() { Some(1) } else { sent_second.then_some(2) });
    });
}

#[test]
fn messages_in_flight_at_the_end_are_dropped_once() {
    loom::model(|| {
        let message = Arc::new(());
        let (mut sender, mut receiver) = mailbox(2);
        let in_flight = Arc::clone(&message);
        let producer = thread::spawn(move || {
            let _ = sender.send(Arc::clone(&in_flight));
            let _ = sender.send(in_flight);
        });
        drop(receiver.receive());
        drop(receiver);
        producer.join().unwrap();
        assert_eq!(Arc::strong_count(&message), 1);
    });
}

//! The mailbox: nothing lost, in order, bounded, and every message dropped exactly once.

use engine::sync::mailbox::mailbox;
use loom::sync::Arc;
use loom::thread;

use super::every;

#[test]
fn messages_arrive_in_order_and_none_is_lost() {
    every(500, || {
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
    every(2, || {
        let (mut sender, mut receiver) = mailbox(1);
        let consumer = thread::spawn(move || (receiver.receive(), receiver));
        let sent_first = sender.send(1).is_ok();
        let sent_second = sender.send(2).is_ok();
        let (first, mut receiver) = consumer.join().unwrap();
        assert!(sent_first);
        assert!(first.is_some() || !sent_second, "two messages in one slot");
        assert_eq!(receiver.receive(), if first.is_none() { Some(1) } else { sent_second.then_some(2) });
        assert_eq!(receiver.receive(), None);
    });
}

#[test]
fn messages_in_flight_at_the_end_are_dropped_once() {
    every(20, || {
        let message = Arc::new(());
        let (mut sender, mut receiver) = mailbox(2);
        let consumer = thread::spawn(move || {
            drop(receiver.receive());
        });
        let _ = sender.send(Arc::clone(&message));
        let _ = sender.send(Arc::clone(&message));
        drop(sender);
        consumer.join().unwrap();
        assert_eq!(Arc::strong_count(&message), 1);
    });
}

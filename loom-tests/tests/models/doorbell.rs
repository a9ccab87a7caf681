//! The doorbell with a mailbox: no wake-up is lost.

use engine::sync::doorbell::Doorbell;
use engine::sync::mailbox::mailbox;
use loom::sync::Arc;
use loom::thread;

use super::bed::Bed;
use super::note::Note;
use super::{bounded, every};

#[test]
fn a_sleeper_never_misses_a_message() {
    every(3_000, || {
        let (mut sender, mut receiver) = mailbox(2);
        let bell = Arc::new(Doorbell::default());
        let bed = Arc::new(Bed::default());
        let ringer = {
            let (bell, bed) = (Arc::clone(&bell), Arc::clone(&bed));
            thread::spawn(move || {
                for number in 0..2 {
                    sender.send(number).unwrap();
                    if bell.ring() {
                        bed.wake();
                    }
                }
            })
        };
        let mut received = 0;
        while received < 2 {
            while let Some(number) = receiver.receive() {
                assert_eq!(number, received);
                received += 1;
            }
            if received < 2 && bell.may_sleep(|| !receiver.is_empty()) {
                bed.sleep();
                bell.awake();
            }
        }
        ringer.join().unwrap();
    });
}

#[test]
fn two_ringers_wake_one_sleeper() {
    bounded(3, 1_000, || {
        let bell = Arc::new(Doorbell::default());
        let bed = Arc::new(Bed::default());
        let (ringers, mut receivers): (Vec<_>, Vec<_>) = (0..2)
            .map(|sender_number| {
                let (mut sender, receiver) = mailbox(1);
                let (bell, bed) = (Arc::clone(&bell), Arc::clone(&bed));
                let ringer = thread::spawn(move || {
                    sender.send(sender_number).unwrap();
                    if bell.ring() {
                        bed.wake();
                    }
                });
                (ringer, receiver)
            })
            .unzip();
        let mut received = 0;
        while received < 2 {
            received += receivers.iter_mut().filter_map(|receiver| receiver.receive()).count();
            if received < 2 && bell.may_sleep(|| receivers.iter_mut().any(|receiver| !receiver.is_empty())) {
                bed.sleep();
                bell.awake();
            }
        }
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
    });
}

/// A pump leaves its waker behind before it sleeps for the first time.
#[test]
fn whoever_wakes_sees_what_the_sleeper_left_behind() {
    every(2, || {
        let bell = Arc::new(Doorbell::default());
        let waker = Arc::new(Note::default());
        let ringer = {
            let (bell, waker) = (Arc::clone(&bell), Arc::clone(&waker));
            thread::spawn(move || {
                if bell.ring() {
                    assert_eq!(waker.read(), 7);
                }
            })
        };
        waker.write(7);
        let _ = bell.may_sleep(|| false);
        ringer.join().unwrap();
    });
}

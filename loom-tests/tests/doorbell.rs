//! The doorbell with a mailbox: no wake-up is lost.
#![cfg(loom)]

use engine::sync::doorbell::Doorbell;
use engine::sync::mailbox::mailbox;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Stands for the executor: a wake before the sleep is not lost.
#[derive(Default)]
struct Bed {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Bed {
    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }

    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// A lost wake-up is a deadlock, which loom reports.
#[test]
fn a_sleeper_never_misses_a_message() {
    loom::model(|| {
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
            if received == 2 {
                break;
            }
            bell.going_to_sleep();
            if receiver.is_empty() {
                bed.sleep();
            }
            bell.awake();
        }
        ringer.join().unwrap();
    });
}

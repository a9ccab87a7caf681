//! A bounded queue from one core to one other: first in, first out, without locks.
//!
//! Every ordered pair of cores has one, so each end has a single owner: the positions are written by one
//! side and read by the other. A full mailbox refuses; the sender waits, nothing is dropped.

#![expect(unsafe_code, reason = "slots are handed between two threads; see the SAFETY comments")]

use std::mem::MaybeUninit;

use super::atomics::{Arc, AtomicUsize, Ordering, UnsafeCell};
use super::fault::{Fault, is_on, ordering};

/// Keeps the two positions on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

struct Ring<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// How many messages were taken. Writer: the receiver (Release: the slot may be used again).
    /// Readers: the receiver (Relaxed), the sender (Acquire: before it writes the slot).
    taken: Padded<AtomicUsize>,
    /// How many messages were put in. Writer: the sender (Release: the slot is filled).
    /// Readers: the sender (Relaxed), the receiver (Acquire: before it reads the slot).
    put: Padded<AtomicUsize>,
}

// SAFETY: a slot is touched by the sender only while `put - taken < capacity` says that it is free, and by the
// receiver only while `taken < put` says that it is filled; both positions change hands with Release and
// Acquire. So a `T` is moved from thread to thread, never shared, and `T: Send` is enough.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above; the ring owns the messages in it.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    fn slot(&self, position: usize) -> &UnsafeCell<MaybeUninit<T>> {
        // The capacity is a power of two, so positions may wrap around.
        &self.slots[position & (self.slots.len() - 1)]
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        if is_on(Fault::MailboxForgetsItsRest) {
            return;
        }
        let put = self.put.0.load(Ordering::Relaxed);
        let mut taken = self.taken.0.load(Ordering::Relaxed);
        while taken != put {
            // SAFETY: both ends are gone; slots between the positions hold messages nobody took.
            self.slot(taken).with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            taken = taken.wrapping_add(1);
        }
    }
}

/// The sending end.
pub struct Sender<T> {
    ring: Arc<Ring<T>>,
    /// The last value of `taken` seen: while it says there is room, the shared one is not read.
    taken: usize,
}

/// The receiving end.
pub struct Receiver<T> {
    ring: Arc<Ring<T>>,
    /// The last value of `put` seen.
    put: usize,
}

/// A mailbox for `capacity` messages.
///
/// # Panics
/// If the capacity is not a power of two.
#[must_use]
pub fn mailbox<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity.is_power_of_two(), "positions wrap around");
    let ring = Arc::new(Ring {
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        taken: Padded(AtomicUsize::new(0)),
        put: Padded(AtomicUsize::new(0)),
    });
    (Sender { ring: Arc::clone(&ring), taken: 0 }, Receiver { ring, put: 0 })
}

impl<T> Sender<T> {
    /// Whether the next [`Self::send`] will succeed.
    #[must_use]
    pub fn has_room(&mut self) -> bool {
        let capacity = self.ring.slots.len();
        let put = self.ring.put.0.load(Ordering::Relaxed);
        if put.wrapping_sub(self.taken) < capacity {
            return true;
        }
        let order = ordering(Ordering::Acquire, Fault::MailboxTakenReadRelaxed, Ordering::Relaxed);
        self.taken = self.ring.taken.0.load(order);
        put.wrapping_sub(self.taken) < capacity || is_on(Fault::MailboxNotBounded)
    }

    /// Puts a message in.
    ///
    /// # Errors
    /// The message, if the mailbox is full.
    pub fn send(&mut self, message: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(message);
        }
        let put = self.ring.put.0.load(Ordering::Relaxed);
        // SAFETY: there is room, so the receiver is done with this slot and will not look at it before `put` is
        // stored; there is one sender, and it is borrowed exclusively.
        self.ring.slot(put).with_mut(|slot| unsafe { (*slot).write(message) });
        let order = ordering(Ordering::Release, Fault::MailboxPutRelaxed, Ordering::Relaxed);
        self.ring.put.0.store(put.wrapping_add(1), order);
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Takes the oldest message out.
    pub fn receive(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let taken = self.ring.taken.0.load(Ordering::Relaxed);
        // SAFETY: `put` is beyond `taken`, so the sender filled this slot and will not touch it before `taken` is
        // stored; there is one receiver, and it is borrowed exclusively.
        let message = self.ring.slot(taken).with(|slot| unsafe { (*slot).assume_init_read() });
        let order = ordering(Ordering::Release, Fault::MailboxTakenRelaxed, Ordering::Relaxed);
        self.ring.taken.0.store(taken.wrapping_add(1), order);
        Some(message)
    }

    /// How many messages are in it, at least.
    #[must_use]
    pub fn waiting(&self) -> usize {
        // Only counted: no slot is looked at, so the order of other memory does not matter.
        let put = self.ring.put.0.load(Ordering::Relaxed);
        put.wrapping_sub(self.ring.taken.0.load(Ordering::Relaxed))
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&mut self) -> bool {
        let taken = self.ring.taken.0.load(Ordering::Relaxed);
        if taken == self.put {
            let order = ordering(Ordering::Acquire, Fault::MailboxPutReadRelaxed, Ordering::Relaxed);
            self.put = self.ring.put.0.load(order);
        }
        taken == self.put
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_and_bounded() {
        let (mut sender, mut receiver) = mailbox(4);
        for round in 0..10 {
            for number in 0..4 {
                sender.send(round * 4 + number).unwrap();
            }
            assert_eq!(sender.send(99), Err(99));
            assert!(!receiver.is_empty());
            assert_eq!(receiver.waiting(), 4);
            for number in 0..4 {
                assert_eq!(receiver.receive(), Some(round * 4 + number));
            }
            assert_eq!(receiver.receive(), None);
            assert!(receiver.is_empty());
            assert_eq!(receiver.waiting(), 0);
        }
    }

    #[test]
    fn messages_left_in_it_are_dropped_once() {
        let message = std::sync::Arc::new(());
        let (mut sender, mut receiver) = mailbox(4);
        for _ in 0..3 {
            sender.send(std::sync::Arc::clone(&message)).unwrap();
        }
        drop(receiver.receive());
        assert_eq!(std::sync::Arc::strong_count(&message), 3);
        drop((sender, receiver));
        assert_eq!(std::sync::Arc::strong_count(&message), 1);
    }

    #[test]
    fn two_threads() {
        const COUNT: u32 = if cfg!(miri) { 300 } else { 100_000 };
        let (mut sender, mut receiver) = mailbox(8);
        let producer = std::thread::spawn(move || {
            for number in 0..COUNT {
                let mut message = Box::new(number);
                while let Err(refused) = sender.send(message) {
                    message = refused;
                    std::thread::yield_now();
                }
            }
        });
        for number in 0..COUNT {
            let message = loop {
                match receiver.receive() {
                    Some(message) => break message,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(*message, number);
        }
        producer.join().unwrap();
    }
}

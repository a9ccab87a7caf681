//! A value that is replaced as a whole and read by any core without a message, a lock or a wait.
//!
//! A reader pins the epoch and follows the pointer. The writer swaps in a new value; the one before is
//! destroyed when every reader that may have followed the pointer before the swap has unpinned.

#![expect(unsafe_code, reason = "a pointer is followed under an epoch; see the SAFETY comments")]

use super::atomics::{EpochPointer, Guard, Ordering, Owned, pin, unprotected};
use super::fault::{Fault, is_on, ordering};

/// A value and those it replaced, as long as they are looked at.
#[derive(Debug)]
pub struct Published<T: Send + Sync + 'static> {
    /// Never null. Writers: whoever publishes (AcqRel swap: the value is complete before the pointer is seen, and
    /// the one before is taken over from its writer). Readers: any core, pinned (Acquire: the value behind the
    /// pointer is seen complete).
    current: EpochPointer<T>,
}

impl<T: Send + Sync + 'static> Published<T> {
    /// Publishes the first value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { current: EpochPointer::new(value) }
    }

    /// Looks at the current value. What a thread published, or learned of through a message, it sees.
    ///
    /// Values replaced meanwhile are kept until `look` returns: it should be short.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        if is_on(Fault::PublishedUnpinned) {
            // SAFETY: none, this is the fault. Only a model gets here.
            return self.read_under(unsafe { unprotected() }, look);
        }
        self.read_under(&pin(), look)
    }

    fn read_under<R>(&self, guard: &Guard, look: impl FnOnce(&T) -> R) -> R {
        let order = ordering(Ordering::Acquire, Fault::PublishedReadRelaxed, Ordering::Relaxed);
        let current = self.current.load(order, guard);
        // SAFETY: the pointer is never null; what it pointed to when it was loaded is destroyed only after this
        // guard's epoch, and nobody changes it; Acquire pairs with the Release of the swap that stored it.
        look(unsafe { current.deref() })
    }

    /// Replaces the value by what `make` returns. It is seen by everybody who learns of this call through a message
    /// sent after it.
    pub fn publish(&self, make: impl FnOnce() -> T) {
        let guard = pin();
        // Made here and not before, so that a model sees it between the fence of the pin and the swap: the Release is
        // the swap's.
        let value = make();
        let order = ordering(Ordering::AcqRel, Fault::PublishRelaxed, Ordering::Relaxed);
        let before = self.current.swap(Owned::new(value), order, &guard);
        if is_on(Fault::PublishedNeverReclaimed) {
            return;
        }
        if is_on(Fault::PublishedReclaimedEarly) {
            // SAFETY: none, this is the fault. The memory itself stays, so that a model can report what happens.
            unsafe { std::ptr::drop_in_place(before.as_raw().cast_mut()) };
            return;
        }
        // SAFETY: the pointer was swapped out by this call alone, so nobody else destroys it, and no reader that
        // pins from now on can load it.
        unsafe { guard.defer_destroy(before) };
        // Publications are rare: without this, up to 64 old values would wait in this thread's bag for the next ones.
        guard.flush();
    }
}

impl<T: Send + Sync + 'static> Drop for Published<T> {
    fn drop(&mut self) {
        let current = std::mem::replace(&mut self.current, EpochPointer::null());
        // SAFETY: nobody else has a reference to this cell any more, so the pointer is ours alone, and it is not null.
        drop(unsafe { current.into_owned() });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_last_value_is_read() {
        let published = Published::new(vec![1]);
        assert_eq!(published.read(Vec::len), 1);
        published.publish(|| vec![1, 2]);
        published.publish(|| vec![1, 2, 3]);
        assert_eq!(published.read(Clone::clone), [1, 2, 3]);
    }

    /// Counts how many of it there are.
    struct Counted(Arc<AtomicUsize>, usize);

    impl Counted {
        fn new(count: &Arc<AtomicUsize>, number: usize) -> Self {
            count.fetch_add(1, Ordering::AcqRel);
            Self(Arc::clone(count), number)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }

    #[test]
    fn values_replaced_do_not_pile_up() {
        const PUBLICATIONS: usize = if cfg!(miri) { 200 } else { 1_000_000 };
        const KEPT: usize = 10;
        let count = Arc::new(AtomicUsize::new(0));
        let published = Published::new(Counted::new(&count, 0));
        // Other tests pin as well, and may lose their CPU while they do: then a few values are kept for as long.
        let few_are_left = (1..=PUBLICATIONS).any(|number| {
            published.publish(|| Counted::new(&count, number));
            std::thread::yield_now();
            number > 2 * KEPT && count.load(Ordering::Acquire) <= KEPT
        });
        assert!(few_are_left, "{} of {PUBLICATIONS} values are kept", count.load(Ordering::Acquire));
    }

    #[test]
    fn readers_see_values_only_grow() {
        const PUBLICATIONS: usize = if cfg!(miri) { 30 } else { 20_000 };
        let count = Arc::new(AtomicUsize::new(0));
        let published = Arc::new(Published::new(Counted::new(&count, 0)));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let published = Arc::clone(&published);
                std::thread::spawn(move || {
                    let mut last = 0;
                    while last < PUBLICATIONS {
                        let number = published.read(|value| value.1);
                        assert!(number >= last, "{number} after {last}");
                        last = number;
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        for number in 1..=PUBLICATIONS {
            published.publish(|| Counted::new(&count, number));
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

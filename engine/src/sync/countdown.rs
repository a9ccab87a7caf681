//! The last one out: how many cores have still to come to some point.
//!
//! Two uses: whoever arrives last does what needs all others to be through; and a barrier, at which each
//! arrives and then looks (at its next tick, say) whether all have.

use super::atomics::{AtomicUsize, Ordering};
use super::fault::{Fault, is_on, ordering};

/// Counts down to zero, once.
#[derive(Debug)]
pub struct Countdown {
    /// How many have not arrived. Writers: each of them, once (AcqRel: what it did before is released to whoever
    /// comes later, and the last one acquires what all others released; the decrements are one chain).
    /// Readers: any core (Acquire: at zero it sees what all did before they arrived).
    missing: AtomicUsize,
}

impl Countdown {
    /// So many have to arrive.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { missing: AtomicUsize::new(count) }
    }

    /// One has arrived; `true`: it was the last, and what the others did before they arrived is seen.
    ///
    /// # Panics
    /// If more arrive than were announced: a bug.
    pub fn arrive(&self) -> bool {
        let order = ordering(Ordering::AcqRel, Fault::CountdownArriveAcquireOnly, Ordering::Acquire);
        let order = ordering(order, Fault::CountdownArriveReleaseOnly, Ordering::Release);
        let before = if is_on(Fault::CountdownTorn) {
            let before = self.missing.load(Ordering::Acquire);
            self.missing.store(before.wrapping_sub(1), Ordering::Release);
            before
        } else {
            self.missing.fetch_sub(1, order)
        };
        assert!(before > 0, "nobody arrives twice");
        before == 1
    }

    /// Whether all have arrived; then what they did before is seen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.missing.load(ordering(Ordering::Acquire, Fault::CountdownReadRelaxed, Ordering::Relaxed)) == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_last_one_is_told() {
        let countdown = Countdown::new(3);
        assert!(!countdown.arrive());
        assert!(!countdown.arrive());
        assert!(!countdown.is_over());
        assert!(countdown.arrive());
        assert!(countdown.is_over());
    }

    #[test]
    fn nobody_is_over_at_once() {
        assert!(Countdown::new(0).is_over());
    }

    #[test]
    #[should_panic(expected = "nobody arrives twice")]
    fn one_too_many_is_a_bug() {
        let countdown = Countdown::new(1);
        countdown.arrive();
        countdown.arrive();
    }

    #[test]
    fn exactly_one_of_many_threads_is_last() {
        let countdown = Arc::new(Countdown::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let countdown = Arc::clone(&countdown);
                std::thread::spawn(move || countdown.arrive())
            })
            .collect();
        let last = threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>();
        assert_eq!(last, 1);
        assert!(countdown.is_over());
    }
}

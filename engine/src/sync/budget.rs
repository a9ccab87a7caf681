//! A budget that all cores draw on: how many series there may be.
//!
//! Cores take one at a time, when a series is new, and give nothing back.

use super::atomics::{Arc, AtomicUsize, Ordering};
use super::fault::{Fault, is_on};

/// A number that all its clones take from.
#[derive(Clone, Debug)]
pub struct Budget {
    max: usize,
    /// Writers and readers: every core. Relaxed: it is only counted, nothing else is published through it.
    taken: Arc<AtomicUsize>,
}

impl Budget {
    /// A budget of so many; 0 for no limit.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let max = if max == 0 { usize::MAX } else { max };
        Self { max, taken: Arc::new(AtomicUsize::new(0)) }
    }

    /// Takes one, if there is one left.
    #[must_use]
    pub fn take(&self) -> bool {
        if is_on(Fault::BudgetTorn) {
            let taken = self.taken();
            self.taken.store(taken + 1, Ordering::Relaxed);
            return taken < self.max;
        }
        let taken = |taken: usize| (taken < self.max).then(|| taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Takes one, left or not: for what cannot be refused.
    pub fn take_always(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::new(100);
        let got: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..50).filter(|_| budget.take()).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((got, budget.taken()), (100, 100));
        budget.take_always();
        assert_eq!(budget.taken(), 101);
        assert!(!budget.take());
        assert!(Budget::new(0).take());
    }
}

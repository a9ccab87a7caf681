//! Budgets that all cores draw on: how many series there may be, how many bytes of requests and answers.
//!
//! Of series, cores take one at a time, when it is new, and give nothing back. Bytes are taken for as long as they are held.

use super::atomics::{Arc, AtomicU64, AtomicUsize, Ordering};
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

/// Bytes that all its clones take from, and give back.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    max: u64,
    /// Writers and readers: every core. Relaxed: it is only counted, nothing else is published through it.
    taken: Arc<AtomicU64>,
}

impl ByteBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self { max, taken: Arc::new(AtomicU64::new(0)) }
    }

    /// Takes so many, if no more than `limit` are taken then. Who comes for more than there is takes it all, alone.
    #[must_use]
    pub fn take(&self, bytes: u64, limit: u64) -> bool {
        let taken = |taken: u64| taken.checked_add(bytes).filter(|sum| taken == 0 || *sum <= limit);
        if is_on(Fault::ByteBudgetTorn) {
            let sum = taken(self.taken());
            sum.iter().for_each(|sum| self.taken.store(*sum, Ordering::Relaxed));
            return sum.is_some();
        }
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Takes so many, left or not: for what is there already.
    pub fn take_always(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what was taken.
    pub fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many there are in all.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
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

    #[test]
    fn bytes_come_back_and_whoever_is_alone_may_take_more_than_there_is() {
        let budget = ByteBudget::new(100);
        assert!(budget.take(60, 100) && !budget.take(41, 100) && !budget.take(20, 75));
        assert!(budget.take(40, 100));
        budget.give_back(100);
        assert!(budget.take(500, 100) && !budget.take(1, 100));
        budget.take_always(7);
        assert_eq!((budget.taken(), budget.max()), (507, 100));
        budget.give_back(507);
        assert!(budget.take(u64::MAX, 100) && !budget.take(1, u64::MAX));
    }

    #[test]
    fn bytes_are_never_taken_twice() {
        let budget = ByteBudget::new(10);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if budget.take(3, budget.max()) {
                            assert!(budget.taken() <= 10);
                            budget.give_back(3);
                        }
                    }
                });
            }
        });
        assert_eq!(budget.taken(), 0);
    }
}

//! The budget: however many take at once, no more is taken than there is.

use engine::sync::budget::{Budget, ByteBudget};
use loom::thread;

use super::every;

#[test]
fn no_more_is_taken_than_there_is() {
    every(20, || {
        let budget = Budget::new(2);
        let other = budget.clone();
        let taker = thread::spawn(move || (0..2).filter(|_| other.take()).count());
        let taken = (0..2).filter(|_| budget.take()).count() + taker.join().unwrap();
        assert_eq!((taken, budget.taken()), (2, 2));
    });
}

#[test]
fn no_more_bytes_are_held_than_there_are() {
    every(20, || {
        let budget = ByteBudget::new(3);
        let hold = |budget: &ByteBudget| {
            if budget.take(2, budget.max()) {
                assert!(budget.taken() <= 3, "both hold");
                thread::yield_now();
                budget.give_back(2);
            }
        };
        let other = budget.clone();
        let holder = thread::spawn(move || hold(&other));
        hold(&budget);
        holder.join().unwrap();
        assert_eq!(budget.taken(), 0);
    });
}

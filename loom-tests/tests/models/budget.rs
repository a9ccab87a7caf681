//! The budget: however many take at once, no more is taken than there is.

use engine::sync::budget::Budget;
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

//! The countdown: exactly one is last, and whoever finds it over sees what all have done.

use engine::sync::countdown::Countdown;
use loom::sync::Arc;
use loom::thread;

use super::every;
use super::note::Note;

/// Two threads that each leave a note and arrive; they return whether they were told to be the last.
fn arrivals(countdown: &Arc<Countdown>, notes: &Arc<[Note; 3]>) -> Vec<thread::JoinHandle<bool>> {
    (0..2)
        .map(|index| {
            let (countdown, notes) = (Arc::clone(countdown), Arc::clone(notes));
            thread::spawn(move || {
                notes[index].write(1);
                let last = countdown.arrive();
                if last {
                    assert_eq!(notes[1 - index].read(), 1);
                }
                last
            })
        })
        .collect()
}

#[test]
fn one_is_last_and_sees_what_the_others_did() {
    every(30, || {
        let countdown = Arc::new(Countdown::new(3));
        let notes = Arc::new(<[Note; 3]>::default());
        countdown.arrive();
        let arrivals = arrivals(&countdown, &notes);
        let last: usize = arrivals.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum();
        assert_eq!(last, 1);
        assert!(countdown.is_over());
    });
}

#[test]
fn when_it_is_over_everything_done_before_is_seen() {
    every(400, || {
        let countdown = Arc::new(Countdown::new(2));
        let notes = Arc::new(<[Note; 3]>::default());
        let arrivals = arrivals(&countdown, &notes);
        if countdown.is_over() {
            assert_eq!((notes[0].read(), notes[1].read()), (1, 1));
        }
        arrivals.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
    });
}

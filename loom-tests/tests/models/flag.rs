//! The flag: who sees it up sees what came before.

use engine::sync::flag::Flag;
use loom::sync::Arc;
use loom::thread;

use super::every;
use super::note::Note;

#[test]
fn what_was_done_before_the_flag_was_raised_is_seen() {
    every(2, || {
        let flag = Arc::new((Flag::default(), Note::default()));
        let looker = {
            let flag = Arc::clone(&flag);
            thread::spawn(move || {
                if flag.0.is_raised() {
                    assert_eq!(flag.1.read(), 1);
                    assert!(flag.0.is_raised(), "it stays up");
                }
            })
        };
        flag.1.write(1);
        flag.0.raise();
        looker.join().unwrap();
        assert!(flag.0.is_raised());
    });
}

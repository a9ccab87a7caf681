//! The published value, with crossbeam's real reclamation under loom's atomics: readers see a complete value that
//! is not destroyed under them, and every value is destroyed once.

use engine::sync::published::Published;
use loom::sync::Arc;
use loom::thread;

use super::note::Note;
use super::{bounded, every};

/// By value: 1 while it lives.
type Alive = Arc<[Note; 4]>;

/// A value; readers find out by its number whether it is alive, not through a pointer in it.
struct Value {
    number: usize,
    content: Note,
    alive: Alive,
}

impl Value {
    fn new(number: usize, alive: &Alive) -> Self {
        alive[number].write(1);
        let content = Note::default();
        content.write(number);
        Self { number, content, alive: Arc::clone(alive) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert_eq!(self.alive[self.number].read(), 1, "destroyed twice");
        self.alive[self.number].write(2);
    }
}

/// Looks at the value as a query does; returns its number.
fn look(published: &Published<Value>, alive: &Alive) -> usize {
    published.read(|value| {
        let number = value.number;
        assert_eq!(alive[number].read(), 1);
        assert_eq!(value.content.read(), number, "not complete");
        assert_eq!(alive[number].read(), 1, "destroyed while it was looked at");
        number
    })
}

#[test]
fn a_reader_sees_a_complete_value() {
    bounded(2, 2_000, || {
        let alive = Alive::default();
        let published = Arc::new(Published::new(Value::new(0, &alive)));
        let reader = {
            let (published, alive) = (Arc::clone(&published), Arc::clone(&alive));
            thread::spawn(move || look(&published, &alive))
        };
        published.publish(|| Value::new(1, &alive));
        assert!(reader.join().unwrap() <= 1);
        assert_eq!(look(&published, &alive), 1);
    });
}

/// The writer goes on publishing, so that the epoch advances and values are destroyed while the reader looks.
#[test]
fn no_value_is_destroyed_under_a_reader() {
    bounded(2, 20_000, || {
        let alive = Alive::default();
        let published = Arc::new(Published::new(Value::new(0, &alive)));
        let reader = {
            let (published, alive) = (Arc::clone(&published), Arc::clone(&alive));
            thread::spawn(move || look(&published, &alive))
        };
        for number in 1..4 {
            published.publish(|| Value::new(number, &alive));
        }
        reader.join().unwrap();
    });
}

#[test]
fn every_value_is_destroyed_once() {
    every(1, || {
        let alive = Alive::default();
        let published = Published::new(Value::new(0, &alive));
        for number in 1..4 {
            published.publish(|| Value::new(number, &alive));
        }
        // Nobody looks, so by the third publication the first value is gone.
        assert_eq!(alive[0].read(), 2, "kept although nobody looks at it");
        drop(published);
        assert_eq!(alive[3].read(), 2, "the last one is never destroyed");
    });
}

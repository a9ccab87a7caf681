//! What one core of a model writes and another reads, without any ordering of its own.

use loom::sync::atomic::{AtomicUsize, Ordering};

/// A number. A reader who was not told of a write by something else may see the number before, and loom tries both.
#[derive(Debug, Default)]
pub(super) struct Note(AtomicUsize);

impl Note {
    pub(super) fn write(&self, number: usize) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

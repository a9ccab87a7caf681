//! Waking a core that sleeps, and only then.
//!
//! A sender puts its message where the sleeper will find it and then rings. The sleeper says that it is
//! going to sleep, looks once more whether there is something for it, and only then sleeps. Whichever
//! comes second sees the other: no message is slept over, and a core that is awake is never woken.

use super::atomics::{AtomicBool, Ordering};

/// One core's bell.
#[derive(Debug)]
pub struct Doorbell {
    /// Writers: the owner (true before it sleeps, false when it wakes) and ringers (false: one of them wakes it).
    /// Readers: the same. All are AcqRel swaps, so they stand in one order in which each sees what came before
    /// the one ahead of it: a ringer behind "going to sleep" reads true and wakes; one ahead of it has its
    /// message seen by the look that follows.
    asleep: AtomicBool,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self { asleep: AtomicBool::new(false) }
    }
}

impl Doorbell {
    /// The owner is going to sleep; it must look for messages once more after this.
    pub fn going_to_sleep(&self) {
        self.asleep.swap(true, Ordering::AcqRel);
    }

    /// The owner is awake: nobody needs to wake it.
    pub fn awake(&self) {
        self.asleep.swap(false, Ordering::AcqRel);
    }

    /// Something was put where the owner looks. `true`: it sleeps, and the caller is the one to wake it.
    #[must_use]
    pub fn ring(&self) -> bool {
        self.asleep.swap(false, Ordering::AcqRel)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let bell = Doorbell::default();
        assert!(!bell.ring());
        bell.going_to_sleep();
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.going_to_sleep();
        bell.awake();
        assert!(!bell.ring());
    }
}

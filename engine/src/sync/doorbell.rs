//! Waking a core that sleeps, and only then.
//!
//! A sender puts its message where the sleeper will find it and then rings. The sleeper says that it is
//! going to sleep, looks once more whether there is something for it, and only then sleeps. Whichever
//! comes second sees the other: no message is slept over, and a core that is awake is never woken.
//!
//! The same handshake serves a sender that waits for room in a full mailbox: there the receiver rings after it
//! has taken something.

use super::atomics::{AtomicBool, Ordering};
use super::fault::{Fault, is_on, ordering};

/// One sleeper's bell.
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
    /// The owner is going to sleep unless `has_something`, which is asked after the announcement; `true`: it may
    /// sleep, and the next ring will wake it.
    #[must_use]
    pub fn may_sleep(&self, has_something: impl FnOnce() -> bool) -> bool {
        let order = ordering(Ordering::AcqRel, Fault::DoorbellSleepReleaseOnly, Ordering::Release);
        let order = ordering(order, Fault::DoorbellSleepAcquireOnly, Ordering::Acquire);
        self.asleep.swap(true, order);
        if is_on(Fault::DoorbellNoSecondLook) || !has_something() {
            return true;
        }
        self.awake();
        false
    }

    /// The owner is awake: nobody needs to wake it.
    pub fn awake(&self) {
        if is_on(Fault::DoorbellAwakeStores) {
            return self.asleep.store(false, Ordering::Release);
        }
        self.asleep.swap(false, Ordering::AcqRel);
    }

    /// Something was put where the owner looks. `true`: it sleeps, and the caller is the one to wake it.
    #[must_use]
    pub fn ring(&self) -> bool {
        let order = ordering(Ordering::AcqRel, Fault::DoorbellRingReleaseOnly, Ordering::Release);
        let order = ordering(order, Fault::DoorbellRingAcquireOnly, Ordering::Acquire);
        self.asleep.swap(false, order)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let bell = Doorbell::default();
        assert!(!bell.ring());
        assert!(bell.may_sleep(|| false));
        assert!(bell.ring());
        assert!(!bell.ring());
        assert!(bell.may_sleep(|| false));
        bell.awake();
        assert!(!bell.ring());
    }

    #[test]
    fn who_has_something_stays_awake() {
        let bell = Doorbell::default();
        assert!(!bell.may_sleep(|| true));
        assert!(!bell.ring());
    }
}

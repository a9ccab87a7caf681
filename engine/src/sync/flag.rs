//! A flag that is raised once and seen by all: the stop.

use super::atomics::{AtomicBool, Ordering};
use super::fault::{Fault, ordering};

/// Down, then up for good.
#[derive(Debug)]
pub struct Flag {
    /// Writers: any thread, only ever true (Release: what was done before the flag was raised is seen by those who
    /// see it up). Readers: any thread (Acquire).
    raised: AtomicBool,
}

impl Default for Flag {
    fn default() -> Self {
        Self { raised: AtomicBool::new(false) }
    }
}

impl Flag {
    /// Raises the flag; raising it again changes nothing.
    pub fn raise(&self) {
        self.raised.store(true, ordering(Ordering::Release, Fault::FlagRaiseRelaxed, Ordering::Relaxed));
    }

    /// Whether the flag is up.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.raised.load(ordering(Ordering::Acquire, Fault::FlagReadRelaxed, Ordering::Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_goes_up_and_stays() {
        let flag = Flag::default();
        assert!(!flag.is_raised());
        flag.raise();
        flag.raise();
        assert!(flag.is_raised());
    }
}

//! The memory that bodies and answers of all connections hold at once (`main.max-held-bytes`).
//!
//! Beside the sample's way: whoever reads a body as a whole, decompresses one, or makes an answer takes a [`Lease`] first, waits for a
//! while if there is no room, and gives it back when the memory is. What nobody has room for is refused with 503.

use std::time::Duration;

use engine::sync::budget::ByteBudget;

use crate::runtime::{now_ms, sleep};

/// Leases up to this size may take the last quarter of the budget, so that a few large ones cannot keep all others out.
const SMALL_LEASE_BYTES: u64 = 1024 * 1024;
/// Time between two looks for room, at first and at most.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(5);
const LOOK_INTERVAL_MAX: Duration = Duration::from_millis(80);

/// The budget of all cores.
#[derive(Clone, Debug)]
pub struct Held(ByteBudget);

/// There is no room for a body or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bodies and answers hold {taken} bytes of main.max-held-bytes, {max}, at the moment: try again")]
pub struct NoRoom {
    taken: u64,
    max: u64,
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    budget: ByteBudget,
    bytes: u64,
}

impl Held {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self(ByteBudget::new(bytes_max))
    }

    /// Bytes held now.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken()
    }

    /// How many may be held.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// A lease of nothing, to be grown.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { budget: self.0.clone(), bytes: 0 }
    }
}

impl Lease {
    /// Bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes so many more if there is room now.
    ///
    /// # Errors
    /// There is none; the lease is as it was.
    pub fn grow_now(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let max = self.budget.max();
        let limit = if self.bytes.saturating_add(bytes) <= SMALL_LEASE_BYTES { max } else { max / 4 * 3 };
        if bytes > 0 && !self.budget.take(bytes, limit) {
            return Err(NoRoom { taken: self.budget.taken(), max });
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes so many more, and waits for room for so long.
    ///
    /// # Errors
    /// There was none; the lease is as it was.
    pub async fn grow(&mut self, bytes: u64, patience: Duration) -> Result<(), NoRoom> {
        let until_ms = now_ms() + u64::try_from(patience.as_millis()).unwrap_or(u64::MAX / 2);
        let mut interval = LOOK_INTERVAL_MIN;
        loop {
            match self.grow_now(bytes) {
                Err(_) if now_ms() < until_ms => {
                    sleep(interval).await;
                    interval = LOOK_INTERVAL_MAX.min(interval * 2);
                }
                grown => return grown,
            }
        }
    }

    /// As [`grow`](Self::grow), but a lease that would become larger than one may be becomes as large as that.
    ///
    /// # Errors
    /// As there.
    pub async fn grow_up_to(&mut self, bytes: u64, patience: Duration) -> Result<(), NoRoom> {
        let wanted = self.bytes.saturating_add(bytes).min(self.budget.max() / 4 * 3);
        self.grow(wanted.saturating_sub(self.bytes), patience).await
    }

    /// So many bytes are held in fact, however many were taken.
    pub fn set(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.budget.take_always(bytes - self.bytes);
        } else {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::testing::on_core;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn large_leases_leave_room_for_small_ones() {
        let held = Held::new(100 * MIB);
        let mut large = held.lease();
        large.grow_now(75 * MIB).unwrap();
        let mut other = held.lease();
        let error = other.grow_now(2 * MIB).unwrap_err().to_string();
        assert!(error.contains("main.max-held-bytes") && error.contains("104857600"), "{error}");
        let small: Vec<Lease> = (0..25)
            .map(|_| {
                let mut lease = held.lease();
                lease.grow_now(MIB).unwrap();
                lease
            })
            .collect();
        assert_eq!(held.taken(), held.max());
        assert!(other.grow_now(1).is_err());
        drop(small);
        large.set(10 * MIB);
        other.grow_now(2 * MIB).unwrap();
        large.set(300 * MIB);
        assert_eq!(held.taken(), 302 * MIB);
        drop((large, other));
        assert_eq!(held.taken(), 0);
    }

    #[test]
    fn who_waits_gets_room_when_there_is_some() {
        on_core(async || {
            let held = Held::new(100 * MIB);
            let mut first = held.lease();
            first.grow_up_to(u64::MAX, Duration::ZERO).await.unwrap();
            assert_eq!(first.bytes(), 75 * MIB);
            let mut second = held.lease();
            assert!(second.grow(30 * MIB, Duration::from_millis(30)).await.is_err());
            crate::runtime::spawn("holder", async move {
                sleep(Duration::from_millis(50)).await;
                drop(first);
            });
            second.grow(30 * MIB, Duration::from_secs(10)).await.unwrap();
        });
    }
}

//! The buffer pool of one core: memory of freed buffers waits here for new ones.
//!
//! Buffers grow in powers of two, so that a series with 20 samples does not pay for 512 slots; what a
//! buffer outgrows is just right for one that is younger.

use crate::limits;

/// Slots of the smallest buffer.
pub const SLOTS_MIN: usize = 8;
/// Sizes from [`SLOTS_MIN`] to [`limits::BUFFER_SLOTS`], each twice the one before.
const SIZES: usize = (limits::BUFFER_SLOTS / SLOTS_MIN).ilog2() as usize + 1;
/// Free blocks kept of each size; the rest goes back to the system.
const KEPT_MAX: usize = 1024;

const _: () = assert!(SLOTS_MIN << (SIZES - 1) == limits::BUFFER_SLOTS);

/// Free memory for buffers, by size.
#[derive(Debug)]
pub struct Pool {
    free: [Vec<Vec<f64>>; SIZES],
}

impl Default for Pool {
    fn default() -> Self {
        Self { free: [const { Vec::new() }; SIZES] }
    }
}

impl Pool {
    /// An empty vector with room for at least `slots` values.
    ///
    /// # Panics
    /// With more than [`limits::BUFFER_SLOTS`].
    #[must_use]
    pub fn get(&mut self, slots: usize) -> Vec<f64> {
        assert!(slots <= limits::BUFFER_SLOTS, "a buffer has at most {} slots", limits::BUFFER_SLOTS);
        let size = size_of(slots);
        self.free[size].pop().unwrap_or_else(|| Vec::with_capacity(SLOTS_MIN << size))
    }

    /// Takes back what [`Self::get`] gave.
    pub fn put(&mut self, mut values: Vec<f64>) {
        let capacity = values.capacity();
        if !(SLOTS_MIN..=limits::BUFFER_SLOTS).contains(&capacity) || !capacity.is_power_of_two() {
            return;
        }
        let free = &mut self.free[size_of(capacity)];
        if free.len() < KEPT_MAX {
            values.clear();
            free.push(values);
        }
    }

    /// Makes room for `slots` values, keeping those there are.
    pub fn grow(&mut self, values: &mut Vec<f64>, slots: usize) {
        if values.capacity() < slots {
            let mut larger = self.get(slots);
            larger.extend_from_slice(values);
            self.put(std::mem::replace(values, larger));
        }
    }
}

/// The index of the smallest size with at least so many slots.
fn size_of(slots: usize) -> usize {
    (slots.max(SLOTS_MIN).next_power_of_two() / SLOTS_MIN).ilog2() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back() {
        let mut pool = Pool::default();
        for slots in [1, 8, 9, 100, 511, 512] {
            let mut values = pool.get(slots);
            assert!(values.capacity() >= slots && values.capacity() < 2 * slots.max(SLOTS_MIN));
            values.push(1.0);
            let memory = values.as_ptr();
            pool.put(values);
            let again = pool.get(slots);
            assert!(again.is_empty());
            assert_eq!(again.as_ptr(), memory);
        }
    }

    #[test]
    fn growing_keeps_the_values() {
        let mut pool = Pool::default();
        let mut values = pool.get(1);
        for value in 0..limits::BUFFER_SLOTS {
            pool.grow(&mut values, value + 1);
            values.push(value as f64);
        }
        assert_eq!(values, (0..limits::BUFFER_SLOTS).map(|value| value as f64).collect::<Vec<_>>());
    }
}

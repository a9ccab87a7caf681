//! A buffer: up to 512 consecutive slots of one series (SPEC section 1).

use super::pool::Pool;
use crate::limits;

/// Consecutive slots, the first of which begins at `start`. A missing value is NaN.
#[derive(Debug, Default)]
pub struct Buffer {
    /// When slot 0 begins, in seconds.
    pub(super) start: i64,
    pub(super) values: Vec<f64>,
}

impl Buffer {
    /// A buffer whose first sample is at `time`: the sample stands in the middle of slot 0.
    pub(super) fn beginning_with(time: i64, frequency: i64) -> Self {
        Self { start: time - frequency / 2, values: Vec::new() }
    }

    /// When slot 0 begins, in seconds.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The time that stands for slot 0.
    #[must_use]
    pub fn first_write(&self, frequency: i64) -> i64 {
        self.start + frequency / 2
    }

    /// The time that stands for the slot behind the last one.
    #[must_use]
    pub fn end(&self, frequency: i64) -> i64 {
        self.first_write(frequency) + self.values.len() as i64 * frequency
    }

    /// The stored slots.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Writes a slot; those skipped are missing.
    pub(super) fn set(&mut self, slot: usize, value: f64, pool: &mut Pool) {
        debug_assert!(slot < limits::BUFFER_SLOTS);
        if let Some(stored) = self.values.get_mut(slot) {
            *stored = value;
            return;
        }
        if self.values.capacity() <= slot {
            pool.grow(&mut self.values, slot + 1);
        }
        self.values.resize(slot, f64::NAN);
        self.values.push(value);
    }

    /// Puts `slots` missing values before the first one.
    pub(super) fn prepend(&mut self, slots: usize, frequency: i64, pool: &mut Pool) {
        let mut values = pool.get(slots + self.values.len());
        values.resize(slots, f64::NAN);
        values.extend_from_slice(&self.values);
        pool.put(std::mem::replace(&mut self.values, values));
        self.start -= slots as i64 * frequency;
    }
}

//! A buffer: up to 512 consecutive slots of one series (SPEC section 1).

use super::pool::Pool;
use crate::limits;

/// Consecutive slots, the first of which begins at `start`. A missing value is NaN.
#[derive(Debug, Default)]
pub struct Buffer {
    /// When slot 0 begins, in seconds.
    pub(super) start: i64,
    pub(super) values: Vec<f64>,
    pub(super) unsaved: Unsaved,
}

/// The slots of a buffer that no snapshot holds: those between its ends, of which some may be saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    from: u16,
    to: u16,
}

const _: () = assert!(limits::BUFFER_SLOTS < u16::MAX as usize);

impl Unsaved {
    /// The slots from `from` to before `to`.
    #[must_use]
    pub fn new(from: usize, to: usize) -> Self {
        debug_assert!(from <= to && to <= limits::BUFFER_SLOTS);
        Self { from: from as u16, to: to as u16 }
    }

    /// Whether everything is saved.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// The slots.
    #[must_use]
    pub fn slots(self) -> std::ops::Range<usize> {
        usize::from(self.from)..usize::from(self.to)
    }

    /// Adds a slot.
    #[inline]
    pub(super) fn add(&mut self, slot: usize) {
        self.join(Self::new(slot, slot + 1));
    }

    /// Adds the slots of another.
    #[inline]
    pub(super) fn join(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else if !other.is_empty() {
            *self = Self { from: self.from.min(other.from), to: self.to.max(other.to) };
        }
    }
}

impl Buffer {
    /// A buffer whose first sample is at `time`: the sample stands in the middle of slot 0.
    pub(super) fn beginning_with(time: i64, frequency: i64) -> Self {
        Self { start: time - frequency / 2, ..Self::default() }
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

    /// The slots that no snapshot holds.
    #[must_use]
    pub fn unsaved(&self) -> Unsaved {
        self.unsaved
    }

    /// Writes a slot; those skipped are missing.
    pub(super) fn set(&mut self, slot: usize, value: f64, pool: &mut Pool) {
        debug_assert!(slot < limits::BUFFER_SLOTS);
        self.unsaved.add(slot);
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
        if !self.unsaved.is_empty() {
            let unsaved = self.unsaved.slots();
            self.unsaved = Unsaved::new(unsaved.start + slots, unsaved.end + slots);
        }
    }
}

//! The chain of buffers of one series: writing, reading, freeing (SPEC section 1).
//!
//! Buffers are ordered by time and do not share slots: a buffer ends where the next one starts, or after
//! 512 slots. Samples mostly come in order and go to the newest buffer. A late sample goes to the buffer
//! that covers its time; if there is none, the buffer behind the gap is extended towards it as long as
//! it has slots to spare, and otherwise gets a neighbour on the same grid. So late samples never move
//! the times at which other samples are found.

use super::buffer::Buffer;
use super::pool::Pool;
use crate::limits::BUFFER_SLOTS;

/// All samples of one series.
#[derive(Debug)]
pub struct Chain {
    /// Seconds per slot.
    frequency: u32,
    /// The newest buffer; without values if the chain is empty.
    newest: Buffer,
    /// All others, oldest first.
    older: Vec<Buffer>,
}

/// Whether a sample was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Yes.
    Stored,
    /// No: it is late, and older than the retention.
    TooOld,
}

/// A part of what a read finds, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Run<'a> {
    /// So many missing values.
    Missing(usize),
    /// Stored slots.
    Stored(&'a [f64]),
}

impl Run<'_> {
    /// How many values it stands for.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Missing(count) => *count,
            Self::Stored(values) => values.len(),
        }
    }

    /// Whether it stands for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The times a read really covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Time of the first value, in seconds.
    pub from: i64,
    /// Where the read stopped: `from + values · frequency`.
    pub to: i64,
    /// How many values.
    pub values: usize,
}

impl Chain {
    /// A chain without samples.
    ///
    /// # Panics
    /// If the frequency is not in `1..=u32::MAX`; see [`crate::limits::FREQUENCY_SECONDS_MAX`].
    #[must_use]
    pub fn new(frequency: i64) -> Self {
        let frequency =
            u32::try_from(frequency).ok().filter(|&seconds| seconds > 0).expect("checked by Metrics");
        Self { frequency, newest: Buffer::default(), older: Vec::new() }
    }

    /// Seconds per slot.
    #[must_use]
    pub fn frequency(&self) -> i64 {
        i64::from(self.frequency)
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.newest.values.is_empty()
    }

    /// The newest buffer, if there is one.
    #[must_use]
    pub fn newest(&self) -> Option<&Buffer> {
        Some(&self.newest).filter(|buffer| !buffer.values.is_empty())
    }

    /// All buffers, oldest first.
    pub fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.older.iter().chain(self.newest())
    }

    pub(super) fn for_each_buffer_mut(&mut self, f: impl FnMut(&mut Buffer)) {
        let newest = Some(&mut self.newest).filter(|buffer| !buffer.values.is_empty());
        self.older.iter_mut().chain(newest).for_each(f);
    }

    /// Writes a sample. A late one (before the newest buffer) must not be before `oldest`.
    #[inline]
    pub fn write(&mut self, time: i64, value: f64, oldest: i64, pool: &mut Pool) -> Written {
        let frequency = i64::from(self.frequency);
        let stored = self.newest.values.len();
        // The usual case: the slot behind the last one. No division.
        let behind = time - self.newest.start - stored as i64 * frequency;
        if (0..frequency).contains(&behind) && stored < BUFFER_SLOTS && stored > 0 {
            if stored == self.newest.values.capacity() {
                pool.grow(&mut self.newest.values, stored + 1);
            }
            self.newest.values.push(value);
            self.newest.unsaved.add(stored);
            return Written::Stored;
        }
        self.write_elsewhere(time, value, oldest, pool)
    }

    /// Writes the first sample of a run that was saved: one that is behind all others and not on their grid
    /// begins a buffer, as it did when it was received.
    pub fn write_run_start(&mut self, time: i64, value: f64, pool: &mut Pool) {
        let frequency = self.frequency();
        let grid = self.newest.first_write(frequency);
        let behind = time >= self.newest.end(frequency) - frequency / 2;
        if !self.is_empty() && behind && (time - grid) % frequency != 0 {
            let mut buffer = Buffer::beginning_with(time, frequency);
            buffer.set(0, value, pool);
            self.older.push(std::mem::replace(&mut self.newest, buffer));
            return;
        }
        self.write(time, value, i64::MIN, pool);
    }

    #[inline(never)]
    fn write_elsewhere(&mut self, time: i64, value: f64, oldest: i64, pool: &mut Pool) -> Written {
        let frequency = self.frequency();
        if self.is_empty() {
            self.newest = Buffer::beginning_with(time, frequency);
            self.newest.set(0, value, pool);
            return Written::Stored;
        }
        if time < self.newest.start {
            if time < oldest {
                return Written::TooOld;
            }
            self.write_late(time, value, pool);
            return Written::Stored;
        }
        let slot = (time - self.newest.start) / frequency;
        match usize::try_from(slot) {
            Ok(slot) if slot < BUFFER_SLOTS => self.newest.set(slot, value, pool),
            _ => {
                let mut buffer = Buffer::beginning_with(time, frequency);
                buffer.set(0, value, pool);
                self.older.push(std::mem::replace(&mut self.newest, buffer));
            }
        }
        Written::Stored
    }

    /// Writes a sample that is before the newest buffer.
    #[cold]
    fn write_late(&mut self, time: i64, value: f64, pool: &mut Pool) {
        let frequency = self.frequency();
        let next = self.older.partition_point(|buffer| buffer.start <= time);
        if let Some(covering) = next.checked_sub(1).map(|index| &mut self.older[index]) {
            let slot = ((time - covering.start) / frequency) as usize;
            if slot < BUFFER_SLOTS {
                covering.set(slot, value, pool);
                return;
            }
        }
        let behind = self.older.get_mut(next).unwrap_or(&mut self.newest);
        let missing = (behind.start - time + frequency - 1) / frequency;
        match usize::try_from(missing) {
            Ok(missing) if behind.values.len() + missing <= BUFFER_SLOTS => {
                behind.prepend(missing, frequency, pool);
                behind.set(0, value, pool);
            }
            _ => {
                let mut buffer = Buffer { start: behind.start - missing * frequency, ..Buffer::default() };
                buffer.set(0, value, pool);
                self.older.insert(next, buffer);
            }
        }
    }

    /// Frees every buffer that ends before `to`; returns how many.
    pub fn free_before(&mut self, to: i64, pool: &mut Pool) -> usize {
        let frequency = self.frequency();
        let count = self.older.len();
        self.older.retain_mut(|buffer| {
            let kept = buffer.end(frequency) >= to;
            if !kept {
                pool.put(std::mem::take(&mut buffer.values));
            }
            kept
        });
        let mut freed = count - self.older.len();
        if self.older.capacity() > 4 * self.older.len() {
            self.older.shrink_to_fit();
        }
        if !self.is_empty() && self.newest.end(frequency) < to {
            let newest = std::mem::replace(&mut self.newest, self.older.pop().unwrap_or_default());
            pool.put(newest.values);
            freed += 1;
        }
        freed
    }

    /// Which times a read of `[from, to)` covers; `None` if the chain is empty.
    #[must_use]
    pub fn span(&self, from: i64, to: i64) -> Option<Span> {
        self.read(from, to, |_| {})
    }

    /// Reads `[from, to)`: hands on one value per `from, from + frequency, …`, in runs.
    ///
    /// If `from` is before the oldest buffer, the read begins there; it ends behind the last stored slot.
    /// Costs grow with the buffers in the range, not with those outside.
    #[inline]
    pub fn read<'a>(&'a self, from: i64, to: i64, mut run: impl FnMut(Run<'a>)) -> Option<Span> {
        if self.is_empty() {
            return None;
        }
        let frequency = self.frequency();
        let last = self.older.len();
        let buffer = |index: usize| self.older.get(index).unwrap_or(&self.newest);

        let mut index = if self.newest.first_write(frequency) <= from {
            last
        } else {
            self.older.partition_point(|buffer| buffer.first_write(frequency) <= from).saturating_sub(1)
        };
        let from = from.max(buffer(index).first_write(frequency));
        // Nothing is covered from here on. Bounding `to` keeps the arithmetic below in range.
        let covered_end = self.newest.start + BUFFER_SLOTS as i64 * frequency;
        if from >= covered_end {
            return Some(Span { from, to: from, values: 0 });
        }
        let to = to.min(covered_end);
        let mut time = from;
        let mut values = 0;
        // How many steps from `time` stay below `end`.
        let steps = |time: i64, end: i64| (end - time + frequency - 1) / frequency;

        while time < to {
            let mut current = buffer(index);
            let mut slot = (time - current.start) / frequency;
            let mut single = false;
            if slot >= self.slots_of(index) {
                if index == last {
                    break;
                }
                index += 1;
                current = buffer(index);
                if time < current.start {
                    let missing = steps(time, current.start.min(to));
                    run(Run::Missing(missing as usize));
                    values += missing;
                    time += missing * frequency;
                    continue;
                }
                // A read that comes from the buffer before takes slot 0, even if it arrives in slot 1.
                slot = 0;
                single = true;
            }
            let stored = current.values.len() as i64;
            let count = if slot < stored {
                let count = if single { 1 } else { steps(time, to).min(stored - slot) };
                run(Run::Stored(&current.values[slot as usize..(slot + count) as usize]));
                count
            } else {
                if index == last || to <= buffer(index + 1).start {
                    break;
                }
                let count = steps(time, to).min(self.slots_of(index) - slot);
                run(Run::Missing(count as usize));
                count
            };
            values += count;
            time += count * frequency;
        }
        Some(Span { from, to: time, values: values as usize })
    }

    /// How many slots a buffer covers before the next one takes over.
    fn slots_of(&self, index: usize) -> i64 {
        let Some(buffer) = self.older.get(index) else { return BUFFER_SLOTS as i64 };
        let next = self.older.get(index + 1).unwrap_or(&self.newest);
        let frequency = self.frequency();
        ((next.start - buffer.start + frequency - 1) / frequency).min(BUFFER_SLOTS as i64)
    }
}

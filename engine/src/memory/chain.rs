//! The chain of buffers of one series: writing, reading, freeing (SPEC section 1).
//!
//! Buffers are ordered by time and do not share slots: a buffer ends where the next one starts, or after
//! 512 slots. Samples mostly come in order and go to the newest buffer. A late sample goes to the buffer
//! that covers its time; if there is none, the buffer behind the gap is extended towards it as long as
//! it has slots to spare, and otherwise gets a neighbour on the same grid. So late samples never move
//! the times at which other samples are found.

use super::buffer::{Buffer, BufferView, Unsaved};
use super::open::Open;
use super::pool::Pool;
use crate::limits::BUFFER_SLOTS;

/// All samples of one series.
///
/// The next sample in time touches its two cache lines and nothing else: the raw values are the second one.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Chain {
    /// All buffers but the newest, oldest first. They change rarely: no room to spare.
    older: Box<[Buffer]>,
    /// Seconds per slot.
    frequency: u32,
    /// The newest buffer; without slots if the chain is empty.
    open: Open,
}

// Every series pays for it.
const _: () = assert!(size_of::<Chain>() == 128);

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
    /// Stored slots, unpacked for the reader.
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

/// A part of a read, not unpacked yet.
enum Part<'a> {
    Missing(usize),
    Stored { buffer: BufferView<'a>, slot: usize, count: usize },
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
        Self { older: Box::default(), frequency, open: Open::default() }
    }

    /// Seconds per slot.
    #[must_use]
    pub fn frequency(&self) -> i64 {
        i64::from(self.frequency)
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.newest_buffer().is_empty()
    }

    /// The newest buffer, if there is one.
    #[must_use]
    pub fn newest(&self) -> Option<BufferView<'_>> {
        Some(self.open.view()).filter(|buffer| !buffer.is_empty())
    }

    /// All buffers, oldest first.
    pub fn buffers(&self) -> impl Iterator<Item = BufferView<'_>> {
        self.older.iter().map(|buffer| BufferView::new(buffer, &[])).chain(self.newest())
    }

    /// For each buffer, oldest first: start, length, and what is unsaved.
    pub(super) fn for_each_unsaved_mut(&mut self, mut f: impl FnMut(i64, usize, &mut Unsaved)) {
        for buffer in &mut self.older {
            f(buffer.start, buffer.len(), &mut buffer.unsaved);
        }
        let newest = self.open.buffer();
        let (start, slots) = (newest.start, newest.len());
        if slots > 0 {
            f(start, slots, self.open.unsaved_mut());
        }
    }

    #[inline]
    fn newest_buffer(&self) -> &Buffer {
        self.open.buffer()
    }

    /// Writes a sample. A late one (before the newest buffer) must not be before `oldest`.
    #[inline]
    pub fn write(&mut self, time: i64, value: f64, oldest: i64, pool: &mut Pool) -> Written {
        if self.write_next(time, value, pool) {
            return Written::Stored;
        }
        self.write_elsewhere(time, value, oldest, pool)
    }

    /// Writes a sample if it belongs to the slot behind the last one of the newest buffer, as most do; returns whether.
    #[inline]
    pub(super) fn write_next(&mut self, time: i64, value: f64, pool: &mut Pool) -> bool {
        let newest = self.open.buffer();
        let slot = newest.len();
        // No division. Times and frequencies are bounded, see limits.
        let behind = time - newest.start - slot as i64 * i64::from(self.frequency);
        let is_next = (behind as u64) < u64::from(self.frequency) && slot.wrapping_sub(1) < BUFFER_SLOTS - 1;
        if is_next {
            self.open.append(value, pool);
        }
        is_next
    }

    /// Writes the first sample of a run that was saved: one that is behind all others and not on their grid
    /// begins a buffer, as it did when it was received.
    ///
    /// A buffer that was lengthened at its front may begin within the last slot of the one before it, so the time of its
    /// first slot alone does not tell whose it is; its grid does.
    pub fn write_run_start(&mut self, time: i64, value: f64, pool: &mut Pool) {
        if self.is_empty() {
            self.begin_buffer(time, value, pool);
            return;
        }
        let frequency = self.frequency();
        let newest = self.newest_buffer();
        let is_behind = time > newest.end(frequency) - frequency;
        if is_behind && !newest.is_on_grid(time, frequency) {
            self.begin_buffer(time, value, pool);
        } else if time < newest.start {
            self.write_late(time, value, true, pool);
        } else {
            self.write(time, value, i64::MIN, pool);
        }
    }

    /// As [`Self::write`], for a sample that [`Self::write_next`] does not take.
    #[inline(never)]
    pub(super) fn write_elsewhere(&mut self, time: i64, value: f64, oldest: i64, pool: &mut Pool) -> Written {
        let frequency = self.frequency();
        if self.is_empty() {
            self.begin_buffer(time, value, pool);
            return Written::Stored;
        }
        let start = self.newest_buffer().start;
        if time < start {
            if time < oldest {
                return Written::TooOld;
            }
            self.write_late(time, value, false, pool);
            return Written::Stored;
        }
        let slot = (time - start) / frequency;
        match usize::try_from(slot) {
            Ok(slot) if slot < BUFFER_SLOTS => self.write_newest(slot, value, pool),
            _ => self.begin_buffer(time, value, pool),
        }
        Written::Stored
    }

    /// Begins a buffer whose first sample is at `time`: the sample stands in the middle of slot 0.
    fn begin_buffer(&mut self, time: i64, value: f64, pool: &mut Pool) {
        if !self.is_empty() {
            let before = self.open.close(pool);
            self.insert_older(self.older.len(), before, pool);
        }
        self.open.begin(time - self.frequency() / 2, value);
    }

    fn insert_older(&mut self, index: usize, buffer: Buffer, pool: &mut Pool) {
        let before = size_of_val(&*self.older);
        let mut older = std::mem::take(&mut self.older).into_vec();
        older.reserve_exact(1);
        older.insert(index, buffer);
        self.older = older.into_boxed_slice();
        pool.count_list(before, size_of_val(&*self.older));
    }

    /// Writes any slot of the newest buffer; those skipped are missing.
    fn write_newest(&mut self, slot: usize, value: f64, pool: &mut Pool) {
        if slot < self.newest_buffer().len() {
            self.open.set(slot, value, pool);
            return;
        }
        while self.newest_buffer().len() < slot {
            self.open.append(f64::NAN, pool);
        }
        self.open.append(value, pool);
    }

    /// Writes a sample that is before the newest buffer; `is_run_start`: it is the first of a run that was saved, at the time
    /// of its slot.
    #[cold]
    fn write_late(&mut self, time: i64, value: f64, is_run_start: bool, pool: &mut Pool) {
        let frequency = self.frequency();
        let next = self.older.partition_point(|buffer| buffer.start <= time);
        let lengthens_next =
            is_run_start && self.older.get(next).unwrap_or(self.open.buffer()).is_on_grid(time, frequency);
        if let Some(covering) = next.checked_sub(1).map(|index| &mut self.older[index]) {
            let slot = ((time - covering.start) / frequency) as usize;
            let is_covered =
                slot + 1 < covering.len() || !lengthens_next || covering.is_on_grid(time, frequency);
            if slot < BUFFER_SLOTS && is_covered {
                covering.set(slot, value, pool);
                return;
            }
        }
        let behind = self.older.get(next).unwrap_or(self.open.buffer());
        let missing = (behind.start - time + frequency - 1) / frequency;
        match usize::try_from(missing) {
            Ok(missing) if behind.len() + missing <= BUFFER_SLOTS => match self.older.get_mut(next) {
                Some(behind) => behind.prepend(missing, value, frequency, pool),
                None => self.open.prepend(missing, value, frequency, pool),
            },
            _ => {
                let buffer = Buffer::of_value(behind.start - missing * frequency, value, pool);
                self.insert_older(next, buffer, pool);
            }
        }
    }

    /// Frees every buffer that ends before `to`; returns how many.
    pub fn free_before(&mut self, to: i64, pool: &mut Pool) -> usize {
        let frequency = self.frequency();
        let is_old = |buffer: &Buffer| buffer.end(frequency) < to;
        let mut freed = self.older.iter().filter(|buffer| is_old(buffer)).count();
        let frees_newest = !self.is_empty() && is_old(self.newest_buffer());
        if freed == 0 && !frees_newest {
            return 0;
        }
        let before = size_of_val(&*self.older);
        let (old, older): (Vec<_>, Vec<_>) = std::mem::take(&mut self.older).into_iter().partition(is_old);
        old.into_iter().for_each(|buffer| buffer.free(pool));
        if frees_newest {
            assert!(older.is_empty(), "the newest buffer ends last");
            self.open.free(pool);
            freed += 1;
        }
        self.older = older.into_boxed_slice();
        pool.count_list(before, size_of_val(&*self.older));
        freed
    }

    /// Which times a read of `[from, to)` covers; `None` if the chain is empty.
    #[must_use]
    pub fn span(&self, from: i64, to: i64) -> Option<Span> {
        self.walk(self.first_sample(from)?, to, |_| {})
    }

    /// As [`Self::span`], of the times `from, from + frequency, …` alone: if `from` is before the oldest buffer, the read
    /// begins with the first of these times that is not.
    #[must_use]
    pub fn span_on_grid(&self, from: i64, to: i64) -> Option<Span> {
        self.walk(self.first_on_grid(from)?, to, |_| {})
    }

    /// Reads `[from, to)`: hands on one value per `from, from + frequency, …`, in runs.
    ///
    /// If `from` is before the oldest buffer, the read begins there; it ends behind the last stored slot.
    /// Costs grow with the buffers in the range, not with those outside.
    pub fn read(&self, from: i64, to: i64, pool: &Pool, mut run: impl FnMut(Run<'_>)) -> Option<Span> {
        let mut values = [0.0; BUFFER_SLOTS];
        self.walk(self.first_sample(from)?, to, |part| match part {
            Part::Missing(count) => run(Run::Missing(count)),
            Part::Stored { buffer, slot, count } => {
                let values = &mut values[..count];
                buffer.read(slot, values, pool);
                run(Run::Stored(values));
            }
        })
    }

    /// As [`Self::read`], but adds the values to `sums`; what is missing makes its sum missing. The range is one that
    /// [`Self::span`] or [`Self::span_on_grid`] found: it begins with the oldest buffer or later, and `sums` are as many as
    /// the values of that span.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn add(&self, from: i64, to: i64, pool: &Pool, sums: &mut [f64]) {
        let mut rest = sums;
        self.walk(from, to, |part| {
            let count = match part {
                Part::Missing(count) | Part::Stored { count, .. } => count,
            };
            let (sums, after) = std::mem::take(&mut rest).split_at_mut(count);
            rest = after;
            match part {
                Part::Missing(_) => sums.fill(f64::NAN),
                Part::Stored { buffer, slot, .. } => buffer.add(slot, sums, pool),
            }
        });
    }

    /// Begins to bring nearer what a read of `[from, to)` reads.
    pub fn prefetch(&self, from: i64, to: i64, pool: &Pool) {
        let older = &self.older[self.first_index(from)..];
        for buffer in older.iter().chain([self.newest_buffer()]).take_while(|buffer| buffer.start < to) {
            buffer.prefetch(pool);
        }
    }

    /// The index of the buffer that a read from a time on begins with; that of the newest one is the number of the others.
    #[inline]
    fn first_index(&self, from: i64) -> usize {
        let frequency = self.frequency();
        if self.newest_buffer().first_write(frequency) <= from {
            self.older.len()
        } else {
            self.older.partition_point(|buffer| buffer.first_write(frequency) <= from).saturating_sub(1)
        }
    }

    /// Where a read of the times from `from` on begins: not before the first sample. `None` if the chain is empty.
    #[inline]
    fn first_sample(&self, from: i64) -> Option<i64> {
        let oldest = self.older.first().unwrap_or(self.newest_buffer());
        (!oldest.is_empty()).then(|| from.max(oldest.first_write(self.frequency())))
    }

    /// The first of the times `from, from + frequency, …` that is not before the oldest buffer. `None` if the chain is empty.
    fn first_on_grid(&self, from: i64) -> Option<i64> {
        let oldest = self.older.first().unwrap_or(self.newest_buffer());
        if oldest.is_empty() {
            return None;
        }
        let (missing, frequency) = (i128::from(oldest.start) - i128::from(from), i128::from(self.frequency));
        let steps = (missing.max(0) + frequency - 1) / frequency;
        // Less than a slot behind the start of the buffer, or `from` itself.
        Some((i128::from(from) + steps * frequency) as i64)
    }

    /// The buffers' parts of a read from a time on that is not before the oldest buffer.
    #[inline]
    fn walk<'a>(&'a self, from: i64, to: i64, mut part: impl FnMut(Part<'a>)) -> Option<Span> {
        if self.is_empty() {
            return None;
        }
        let frequency = self.frequency();
        let last = self.older.len();
        let newest = self.newest_buffer();
        let buffer = |index: usize| self.older.get(index).unwrap_or(newest);

        let mut index = self.first_index(from);
        debug_assert!(from >= buffer(index).start, "a read begins in a buffer");
        // Nothing is covered from here on. Bounding `to` keeps the arithmetic below in range.
        let covered_end = newest.start + BUFFER_SLOTS as i64 * frequency;
        if from >= covered_end {
            return Some(Span { from, to: from, values: 0 });
        }
        let to = to.min(covered_end);
        let mut time = from;
        let mut values = 0;
        // How many steps from `time` stay below `end`.
        let steps = |time: i64, end: i64| (end - time + frequency - 1) / frequency;

        while time < to {
            let current = buffer(index);
            let missing = if time < current.start {
                // Behind a gap, which the buffer before does not reach across.
                steps(time, current.start.min(to))
            } else {
                let slot = (time - current.start) / frequency;
                let covered = self.slots_of(index);
                if slot >= covered {
                    if index == last {
                        break;
                    }
                    index += 1;
                    continue;
                }
                let stored = current.len() as i64;
                if slot < stored {
                    let count = steps(time, to).min(stored - slot);
                    let buffer = self.view(index);
                    part(Part::Stored { buffer, slot: slot as usize, count: count as usize });
                    values += count;
                    time += count * frequency;
                    continue;
                }
                if index == last || to <= buffer(index + 1).start {
                    break;
                }
                steps(time, to).min(covered - slot)
            };
            part(Part::Missing(missing as usize));
            values += missing;
            time += missing * frequency;
        }
        Some(Span { from, to: time, values: values as usize })
    }

    fn view(&self, index: usize) -> BufferView<'_> {
        self.older.get(index).map_or_else(|| self.open.view(), |buffer| BufferView::new(buffer, &[]))
    }

    /// How many slots a buffer covers before the next one takes over.
    fn slots_of(&self, index: usize) -> i64 {
        let Some(buffer) = self.older.get(index) else { return BUFFER_SLOTS as i64 };
        let next = self.older.get(index + 1).unwrap_or(self.newest_buffer());
        let frequency = self.frequency();
        ((next.start - buffer.start + frequency - 1) / frequency).min(BUFFER_SLOTS as i64)
    }
}

//! A buffer: up to 512 consecutive slots of one series (SPEC section 1).
//!
//! Here are those that are closed. The newest one of a series is [`super::open`].

use std::ops::Deref;

use super::pack::blocks::{self, WORDS_MAX};
use super::pool::{Piece, Pool};
use crate::limits::{self, BUFFER_SLOTS};

/// Consecutive slots, the first of which begins at `start`. A missing value is NaN. The values are packed, in a piece
/// of the pool; of the open buffer only the first ones, see [`BufferView`].
#[derive(Debug, Default)]
pub struct Buffer {
    /// When slot 0 begins, in seconds.
    pub(super) start: i64,
    pub(super) piece: Piece,
    slots: u16,
    pub(super) unsaved: Unsaved,
}

/// A buffer with all its values.
#[derive(Clone, Copy, Debug)]
pub struct BufferView<'a> {
    buffer: &'a Buffer,
    /// The last ones, which are not packed.
    raw: &'a [f64],
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

    /// Adds the slot behind all others.
    #[inline]
    fn add_last(&mut self, slot: usize) {
        *self = Self { from: if self.is_empty() { slot as u16 } else { self.from }, to: slot as u16 + 1 };
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
    /// Begins to bring nearer what is packed.
    pub(super) fn prefetch(&self, pool: &Pool) {
        super::pack::lanes::prefetch(pool.words(&self.piece));
    }

    /// A buffer of so many unsaved slots, the first of which begins at `start`; nothing is packed yet.
    pub(super) fn without_string(start: i64, slots: usize) -> Self {
        Self { start, piece: Piece::default(), slots: slots as u16, unsaved: Unsaved::new(0, slots) }
    }

    /// A buffer whose first slot begins at `start` and has this value.
    pub(super) fn of_value(start: i64, value: f64, pool: &mut Pool) -> Self {
        let mut buffer = Self::without_string(start, 1);
        buffer.pack(&[value], pool);
        let words = buffer.piece.words();
        pool.close(&mut buffer.piece, words);
        buffer
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

    /// Whether the time stands for a slot, stored or not.
    #[must_use]
    pub fn is_on_grid(&self, time: i64, frequency: i64) -> bool {
        (time - self.first_write(frequency)) % frequency == 0
    }

    /// The time that stands for the slot behind the last one.
    #[must_use]
    pub fn end(&self, frequency: i64) -> i64 {
        self.first_write(frequency) + self.len() as i64 * frequency
    }

    /// How many slots are stored.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.into()
    }

    /// Whether there are none: the buffer of an empty chain.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// The slots that no snapshot holds.
    #[must_use]
    pub fn unsaved(&self) -> Unsaved {
        self.unsaved
    }

    /// Has a slot more, unsaved; its value is wherever the caller keeps it.
    #[inline]
    pub(super) fn extend(&mut self) {
        self.unsaved.add_last(self.len());
        self.slots += 1;
    }

    pub(super) fn set_len(&mut self, slots: usize) {
        self.slots = slots as u16;
    }

    /// Begins so many slots earlier, the first of which is unsaved. The values are the caller's matter.
    pub(super) fn begin_earlier(&mut self, slots: usize, frequency: i64) {
        self.start -= slots as i64 * frequency;
        if !self.unsaved.is_empty() {
            let unsaved = self.unsaved.slots();
            self.unsaved = Unsaved::new(unsaved.start + slots, unsaved.end + slots);
        }
        self.unsaved.add(0);
    }

    /// Writes any slot of a closed buffer; those skipped are missing.
    pub(super) fn set(&mut self, slot: usize, value: f64, pool: &mut Pool) {
        debug_assert!(slot < BUFFER_SLOTS);
        self.unsaved.add(slot);
        let slots = self.len();
        if slot < slots && blocks::replace(pool.words_mut(&self.piece), slots, slot, value) {
            return;
        }
        let mut values = [f64::NAN; BUFFER_SLOTS];
        blocks::unpack(pool.words(&self.piece), slots, 0, &mut values[..slots]);
        values[slot] = value;
        self.pack(&values[..slots.max(slot + 1)], pool);
    }

    /// Puts `missing` missing slots before the first one of a closed buffer, and a value into the first of these.
    pub(super) fn prepend(&mut self, missing: usize, value: f64, frequency: i64, pool: &mut Pool) {
        let mut values = [f64::NAN; BUFFER_SLOTS];
        let slots = missing + self.len();
        blocks::unpack(pool.words(&self.piece), self.len(), 0, &mut values[missing..slots]);
        values[0] = value;
        self.pack(&values[..slots], pool);
        self.begin_earlier(missing, frequency);
    }

    /// Gives its memory back.
    pub(super) fn free(mut self, pool: &mut Pool) {
        pool.put(&mut self.piece);
    }

    /// Has these values instead.
    pub(super) fn pack(&mut self, values: &[f64], pool: &mut Pool) {
        self.slots = values.len() as u16;
        if values.is_empty() {
            pool.put(&mut self.piece);
            return;
        }
        let mut words = [0; WORDS_MAX];
        let count = blocks::pack(values, &mut words);
        if count > self.piece.words() {
            pool.grow(&mut self.piece, count);
        } else {
            pool.fit(&mut self.piece, count);
        }
        pool.words_mut(&self.piece)[..count].copy_from_slice(&words[..count]);
    }
}

impl Deref for BufferView<'_> {
    type Target = Buffer;

    #[inline]
    fn deref(&self) -> &Buffer {
        self.buffer
    }
}

impl<'a> BufferView<'a> {
    /// A buffer, the last slots of which are not in its string.
    pub(super) fn new(buffer: &'a Buffer, raw: &'a [f64]) -> Self {
        Self { buffer, raw }
    }

    /// Puts the stored slots from `from` on into `values`, as many as it has room for.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn read(&self, from: usize, values: &mut [f64], pool: &Pool) {
        let packed = self.len() - self.raw.len();
        let (unpacked, rest) = values.split_at_mut(packed.saturating_sub(from).min(values.len()));
        if !unpacked.is_empty() {
            blocks::unpack(pool.words(&self.piece), packed, from, unpacked);
        }
        if !rest.is_empty() {
            rest.copy_from_slice(&self.raw[from.max(packed) - packed..][..rest.len()]);
        }
    }

    /// As [`Self::read`], but adds the values to what is there.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn add(&self, from: usize, sums: &mut [f64], pool: &Pool) {
        let packed = self.len() - self.raw.len();
        let (unpacked, rest) = sums.split_at_mut(packed.saturating_sub(from).min(sums.len()));
        if !unpacked.is_empty() {
            blocks::add(pool.words_from(&self.piece), packed, from, unpacked);
        }
        if !rest.is_empty() {
            let raw = &self.raw[from.max(packed) - packed..][..rest.len()];
            rest.iter_mut().zip(raw).for_each(|(sum, value)| *sum += value);
        }
    }

    /// All stored slots.
    #[must_use]
    pub fn values(&self, pool: &Pool) -> Vec<f64> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values, pool);
        values
    }
}

const _: () = assert!(size_of::<Buffer>() == 24);

//! A buffer: up to 512 consecutive slots of one series (SPEC section 1).

use super::pack::blocks::{self, WORDS_MAX};
use super::pack::plan::{Slack, plan};
use super::pack::tail::Tail;
use super::pool::{Piece, Pool};
use crate::limits::{self, BUFFER_SLOTS};

/// Consecutive slots, the first of which begins at `start`. A missing value is NaN. The values are packed, in a piece
/// of the pool.
#[derive(Debug, Default)]
pub struct Buffer {
    /// When slot 0 begins, in seconds.
    pub(super) start: i64,
    piece: Piece,
    slots: u16,
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
    /// A buffer whose first slot begins at `start` and has this value. Its tail is like that of the buffer before.
    #[must_use]
    pub(super) fn beginning_at(start: i64, value: f64, tail: &mut Tail, pool: &mut Pool) -> Self {
        let patch = tail.begin(value);
        let piece = pool.get(patch.end());
        patch.apply(pool.words_mut(&piece));
        Self { start, piece, slots: 1, unsaved: Unsaved::new(0, 1) }
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

    /// Puts the stored slots from `from` on into `values`, as many as it has room for.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn read(&self, from: usize, values: &mut [f64], pool: &Pool) {
        blocks::unpack(pool.words(&self.piece), self.len(), from, values);
    }

    /// All stored slots.
    #[must_use]
    pub fn values(&self, pool: &Pool) -> Vec<f64> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values, pool);
        values
    }

    /// The slots that no snapshot holds.
    #[must_use]
    pub fn unsaved(&self) -> Unsaved {
        self.unsaved
    }

    /// Writes the slot behind the last one; `tail` is the buffer's.
    #[inline]
    pub(super) fn append(&mut self, value: f64, tail: &mut Tail, pool: &mut Pool) {
        let slot = self.len();
        debug_assert!(0 < slot && slot < BUFFER_SLOTS);
        if let Some(code) = tail.code(value) {
            let words = tail.words(slot + 1);
            if words > self.piece.words() {
                pool.grow(&mut self.piece, words);
            }
            tail.append(pool.words_mut(&self.piece), slot, code);
        } else {
            self.append_reshaped(value, tail, pool);
        }
        self.slots += 1;
        self.unsaved.add(slot);
        if self.len().is_multiple_of(blocks::CHUNK_SLOTS) && tail.may_shrink() {
            self.review(tail, pool);
        }
    }

    #[inline(never)]
    fn append_reshaped(&mut self, value: f64, tail: &mut Tail, pool: &mut Pool) {
        let patch = tail.reshape(pool.words(&self.piece), self.len(), value);
        pool.grow(&mut self.piece, patch.end());
        patch.apply(pool.words_mut(&self.piece));
    }

    #[inline(never)]
    fn review(&mut self, tail: &mut Tail, pool: &mut Pool) {
        if let Some(patch) = tail.review(pool.words(&self.piece), self.len()) {
            pool.grow(&mut self.piece, patch.end());
            patch.apply(pool.words_mut(&self.piece));
        }
    }

    /// Nothing will be appended any more: the memory shrinks to what is needed.
    pub(super) fn close(&mut self, tail: &Tail, pool: &mut Pool) {
        let words = tail.words(self.len());
        if blocks::blocks(pool.words(&self.piece), self.len()).nth(1).is_some() {
            let values = &mut [0.0; BUFFER_SLOTS][..self.len()];
            self.read(0, values, pool);
            let parameters = plan(values, Slack::None);
            let whole = blocks::size_words(parameters, values.len());
            if whole < words {
                blocks::write_block(parameters, 0, values, pool.words_mut(&self.piece));
                pool.fit(&mut self.piece, whole);
                return;
            }
        }
        pool.fit(&mut self.piece, words);
    }

    /// Writes any slot; those skipped are missing. Returns whether the buffer was packed anew, so that its tail is another.
    pub(super) fn set(&mut self, slot: usize, value: f64, pool: &mut Pool) -> bool {
        debug_assert!(slot < BUFFER_SLOTS);
        self.unsaved.add(slot);
        if slot < self.len() && blocks::replace(self.words_mut(pool), self.len(), slot, value) {
            return false;
        }
        let mut values = [f64::NAN; BUFFER_SLOTS];
        self.read(0, &mut values[..self.len()], pool);
        values[slot] = value;
        self.pack(&values[..self.len().max(slot + 1)], pool);
        true
    }

    /// Puts `missing` missing slots before the first one, and a value into the first of these.
    pub(super) fn prepend(&mut self, missing: usize, value: f64, frequency: i64, pool: &mut Pool) {
        let mut values = [f64::NAN; BUFFER_SLOTS];
        let slots = missing + self.len();
        self.read(0, &mut values[missing..slots], pool);
        values[0] = value;
        self.pack(&values[..slots], pool);
        self.start -= missing as i64 * frequency;
        if !self.unsaved.is_empty() {
            let unsaved = self.unsaved.slots();
            self.unsaved = Unsaved::new(unsaved.start + missing, unsaved.end + missing);
        }
        self.unsaved.add(0);
    }

    /// The tail of the buffer, found again.
    pub(super) fn tail(&self, pool: &Pool) -> Tail {
        Tail::of(pool.words(&self.piece), self.len())
    }

    pub(super) fn words_mut<'a>(&self, pool: &'a mut Pool) -> &'a mut [u64] {
        pool.words_mut(&self.piece)
    }

    /// Gives its memory back.
    pub(super) fn free(&mut self, pool: &mut Pool) {
        pool.put(&mut self.piece);
        self.slots = 0;
    }

    fn pack(&mut self, values: &[f64], pool: &mut Pool) {
        let mut words = [0; WORDS_MAX];
        let count = blocks::pack(values, &mut words);
        if count > self.piece.words() {
            pool.grow(&mut self.piece, count);
        } else {
            pool.fit(&mut self.piece, count);
        }
        pool.words_mut(&self.piece)[..count].copy_from_slice(&words[..count]);
        self.slots = values.len() as u16;
    }
}

const _: () = assert!(size_of::<Buffer>() == 24);

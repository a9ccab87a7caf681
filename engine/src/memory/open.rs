//! The open buffer of a series: the newest one, to which samples are appended (SPEC section 1).
//!
//! Its last one to eight slots are raw, in the series itself; those before are packed, in whole groups of eight. So
//! a sample mostly takes a store and a look at the time, and the pool is touched by every eighth one. The last slot is always raw:
//! it is written over most often, by series that send faster than they are stored.

use super::buffer::{Buffer, BufferView, Unsaved};
use super::pack::blocks::{self, CHUNK_SLOTS, size_words};
use super::pack::plan::{Slack, plan};
use super::pack::tail::{GROUP_SLOTS, Tail};
use super::pool::Pool;
use crate::limits::BUFFER_SLOTS;

/// A buffer that grows; without slots if the chain is empty.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Open {
    /// Its string has the packed slots only.
    buffer: Buffer,
    /// The end of the string. While nothing is packed: the parameters of the buffer before.
    tail: Tail,
    /// By slot modulo their number.
    raw: [f64; GROUP_SLOTS],
}

/// A string begins with room for so many.
const FIRST_SLOTS: usize = 4 * GROUP_SLOTS;

const _: () = assert!(BUFFER_SLOTS.is_multiple_of(GROUP_SLOTS));

/// How many of so many slots are packed.
#[inline]
fn packed(slots: usize) -> usize {
    slots.saturating_sub(1) / GROUP_SLOTS * GROUP_SLOTS
}

impl Open {
    /// A buffer whose first slot begins at `start` and has this value takes its place, which must be empty.
    pub(super) fn begin(&mut self, start: i64, value: f64) {
        debug_assert!(self.buffer.is_empty());
        self.buffer = Buffer::without_string(start, 1);
        self.raw[0] = value;
    }

    /// What both kinds of buffers have: times, length, what is unsaved.
    #[inline]
    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    pub(super) fn unsaved_mut(&mut self) -> &mut Unsaved {
        &mut self.buffer.unsaved
    }

    pub(super) fn view(&self) -> BufferView<'_> {
        let slots = self.buffer.len();
        BufferView::new(&self.buffer, &self.raw[..slots - packed(slots)])
    }

    /// Writes the slot behind the last one, of which there is at least one and not the last possible.
    #[inline]
    pub(super) fn append(&mut self, value: f64, pool: &mut Pool) {
        let slot = self.buffer.len();
        debug_assert!(0 < slot && slot < BUFFER_SLOTS);
        if slot.is_multiple_of(GROUP_SLOTS) {
            self.pack_group(pool);
        }
        self.raw[slot % GROUP_SLOTS] = value;
        self.buffer.extend();
    }

    /// Packs the raw slots, a whole group.
    #[inline(never)]
    fn pack_group(&mut self, pool: &mut Pool) {
        let Self { buffer, tail, raw } = self;
        let before = packed(buffer.len());
        if before == 0 {
            begin_string(buffer, tail, raw, pool);
            return;
        }
        let after = before + GROUP_SLOTS;
        if let Some(codes) = tail.codes(pool.words(&buffer.piece), before, raw) {
            let words = tail.words(after);
            if words > buffer.piece.words() {
                pool.grow(&mut buffer.piece, words);
            }
            tail.append(pool.words_mut(&buffer.piece), before, &codes);
        } else {
            reshape(buffer, tail, before, raw, pool);
        }
        if after.is_multiple_of(CHUNK_SLOTS) && tail.may_shrink() {
            review(buffer, tail, after, pool);
        }
    }

    /// Writes over a slot there is.
    pub(super) fn set(&mut self, slot: usize, value: f64, pool: &mut Pool) {
        let slots = self.buffer.len();
        debug_assert!(slot < slots);
        self.buffer.unsaved.add(slot);
        let packed = packed(slots);
        if slot >= packed {
            self.raw[slot % GROUP_SLOTS] = value;
        } else if !blocks::replace(pool.words_mut(&self.buffer.piece), packed, slot, value) {
            let values = &mut [0.0; BUFFER_SLOTS][..slots];
            self.view().read(0, values, pool);
            values[slot] = value;
            self.put(values, pool);
        }
    }

    /// Puts `missing` missing slots before the first one, and a value into the first of these.
    pub(super) fn prepend(&mut self, missing: usize, value: f64, frequency: i64, pool: &mut Pool) {
        let mut values = [f64::NAN; BUFFER_SLOTS];
        let slots = missing + self.buffer.len();
        self.view().read(0, &mut values[missing..slots], pool);
        values[0] = value;
        self.put(&values[..slots], pool);
        self.buffer.begin_earlier(missing, frequency);
    }

    /// Has these values instead.
    fn put(&mut self, values: &[f64], pool: &mut Pool) {
        let packed = packed(values.len());
        self.buffer.pack(&values[..packed], pool);
        self.buffer.set_len(values.len());
        self.raw[..values.len() - packed].copy_from_slice(&values[packed..]);
        self.tail = Tail::of(pool.words(&self.buffer.piece), packed);
    }

    /// Packs all that is raw, in no more memory than is needed, and leaves the place empty.
    pub(super) fn close(&mut self, pool: &mut Pool) -> Buffer {
        let Self { buffer, tail, raw } = self;
        let slots = buffer.len();
        let before = packed(slots);
        if slots - before == GROUP_SLOTS {
            self.pack_group(pool);
        } else if before == 0 {
            begin_string(buffer, tail, &raw[..slots], pool);
        } else {
            let words = tail.words(slots);
            pool.grow(&mut buffer.piece, words);
            let rest = &raw[..slots - before];
            if !tail.append_rest(pool.words_mut(&buffer.piece), before, rest) {
                reshape(buffer, tail, before, rest, pool);
            }
        }
        shrink(&mut self.buffer, &self.tail, pool);
        std::mem::take(&mut self.buffer)
    }

    /// Gives its memory back and leaves the place empty.
    pub(super) fn free(&mut self, pool: &mut Pool) {
        std::mem::take(self).buffer.free(pool);
    }
}

fn begin_string(buffer: &mut Buffer, tail: &mut Tail, values: &[f64], pool: &mut Pool) {
    let parameters = tail.first_parameters(values);
    debug_assert_eq!(buffer.piece.words(), 0);
    buffer.piece = pool.get(size_words(parameters, FIRST_SLOTS));
    tail.begin(parameters, values, pool.words_mut(&buffer.piece));
}

#[inline(never)]
fn reshape(buffer: &mut Buffer, tail: &mut Tail, slots: usize, values: &[f64], pool: &mut Pool) {
    let patch = tail.reshape(pool.words(&buffer.piece), slots, values);
    pool.grow(&mut buffer.piece, patch.end());
    patch.apply(pool.words_mut(&buffer.piece));
}

#[inline(never)]
fn review(buffer: &mut Buffer, tail: &mut Tail, slots: usize, pool: &mut Pool) {
    if let Some(patch) = tail.review(pool.words(&buffer.piece), slots) {
        pool.grow(&mut buffer.piece, patch.end());
        patch.apply(pool.words_mut(&buffer.piece));
    }
}

/// Nothing will be appended any more: one block instead of several, if that is smaller, and no room to spare.
fn shrink(buffer: &mut Buffer, tail: &Tail, pool: &mut Pool) {
    let words = tail.words(buffer.len());
    if blocks::blocks(pool.words(&buffer.piece), buffer.len()).nth(1).is_some() {
        let values = &mut [0.0; BUFFER_SLOTS][..buffer.len()];
        blocks::unpack(pool.words(&buffer.piece), values.len(), 0, values);
        let parameters = plan(values, Slack::None);
        let whole = size_words(parameters, values.len());
        if whole < words {
            blocks::write_block(parameters, 0, values, pool.words_mut(&buffer.piece));
            pool.close(&mut buffer.piece, whole);
            return;
        }
    }
    pool.close(&mut buffer.piece, words);
}

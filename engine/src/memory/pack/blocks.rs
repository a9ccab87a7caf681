//! The packed values of one buffer: blocks one behind the other, in words of 64 bits.
//!
//! A block is a header of one to three words and the codes of one or more chunks of 128 slots; the last chunk of
//! the last block may be shorter. Whole chunks take whole words at every width, so blocks begin at words. The string does
//! not say how many slots it has: the buffer does.

use super::batch::{BATCH_CODES, unpack_batch};
use super::bits::{self, GROUP_CODES, words_for};
use super::lanes::Lanes;
use super::parameters::Parameters;
use super::plan::{Slack, plan};
use super::transform::{NARROW_BITS, Put};
use crate::limits::BUFFER_SLOTS;

/// Slots that share parameters.
pub const CHUNK_SLOTS: usize = 128;
/// Chunks of a buffer.
pub const CHUNKS_MAX: usize = BUFFER_SLOTS / CHUNK_SLOTS;
/// Longest header.
pub const HEADER_WORDS_MAX: usize = 3;
/// Longest string.
pub const WORDS_MAX: usize = BUFFER_SLOTS + CHUNKS_MAX * HEADER_WORDS_MAX;

/// Marks a missing value among integers of differences: no decimal is that low.
const MISSING: u64 = 1 << 63;

/// Fewer codes than these of a batch are read one by one.
const BATCH_COUNT_MIN: usize = 20;

const _: () = assert!(CHUNK_SLOTS.is_multiple_of(BATCH_CODES));
const _: () = assert!(BUFFER_SLOTS.is_multiple_of(CHUNK_SLOTS) && CHUNK_SLOTS.is_multiple_of(64));
const _: () = assert!(WORDS_MAX <= u16::MAX as usize);

/// Where a block lies, and its header.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// How its values are packed.
    pub parameters: Parameters,
    /// The integer before the first one.
    pub before: u64,
    /// Its first slot.
    pub first_slot: usize,
    /// Its slots.
    pub slots: usize,
    /// Where its header begins, in words.
    pub at: usize,
}

impl Block {
    /// The block whose header is at word `at`; the string has `slots` slots in all.
    ///
    /// # Panics
    /// If the string is shorter: a bug.
    #[inline]
    fn read(words: &[u64], at: usize, first_slot: usize, slots: usize) -> Self {
        let (parameters, chunks, before) = Parameters::read_header(&words[at..]);
        let rest = slots - first_slot;
        let slots = if chunks == 0 { rest } else { (chunks * CHUNK_SLOTS).min(rest) };
        Self { parameters, before, first_slot, slots, at }
    }

    /// The first word of the codes.
    #[inline]
    #[must_use]
    pub fn codes_at(&self) -> usize {
        self.at + self.parameters.header_words()
    }

    /// The word behind the last code.
    #[inline]
    #[must_use]
    pub fn end(&self) -> usize {
        self.codes_at() + words_for(self.slots, self.parameters.width.into())
    }

    /// Hands on the values of the slots `from` (of the buffer) and following ones, as many as there are places.
    fn unpack(&self, words: &[u64], from: usize, values: &mut [f64], put: impl Put) {
        let Parameters { transform, is_delta, base, .. } = self.parameters;
        let skipped = from - self.first_slot;
        if is_delta {
            // Differences are added up from the block's beginning, also over slots nobody asked for.
            let before = self.before.wrapping_add(self.sum(words, 0, skipped));
            return self.unpack_differences(words, skipped, before, values, put);
        }
        let (missing, is_narrow) = (self.parameters.missing(), self.parameters.is_narrow());
        let mut rest = values;
        self.for_each_codes(words, skipped, rest.len(), |codes| {
            let (values, after) = std::mem::take(&mut rest).split_at_mut(codes.len());
            rest = after;
            transform.values((codes, base, missing), is_narrow, values, put);
        });
    }

    /// As [`Self::unpack`], but adds them to what is there.
    fn add(&self, words: &[u64], from: usize, sums: &mut [f64]) {
        match self.parameters.decimals().zip(Lanes::find()) {
            Some((decimals, lanes)) => {
                lanes.add(&words[self.codes_at()..], from - self.first_slot, decimals, sums);
            }
            None => self.unpack(words, from, sums, |sum, value| *sum += value),
        }
    }

    /// Unpacks the first slots of the last ones, `slots` of them, as many as there is room for; `last` is the integer of the
    /// last slot of all. Differences are taken back from there, so what is before costs nothing.
    pub(super) fn unpack_near_end(&self, words: &[u64], slots: usize, last: u64, values: &mut [f64]) {
        let first = self.slots - slots;
        if self.parameters.is_delta {
            let before = last.wrapping_sub(self.sum(words, first, slots));
            self.unpack_differences(words, first, before, values, set);
        } else {
            self.unpack(words, self.first_slot + first, values, set);
        }
    }

    /// Hands on the codes of `count` slots from the block's `slot` on, in order, a batch at a time.
    #[inline]
    fn for_each_codes(&self, words: &[u64], slot: usize, count: usize, mut some: impl FnMut(&mut [u64])) {
        let words = &words[self.codes_at()..];
        let width = usize::from(self.parameters.width);
        let mut codes = [0; BATCH_CODES];
        let (mut slot, end) = (slot, slot + count);
        while slot < end {
            let (batch, skipped) = (slot / BATCH_CODES, slot % BATCH_CODES);
            let count = (BATCH_CODES - skipped).min(end - slot);
            let words_of_batch = words.get(batch * width..).unwrap_or(&[]);
            if count >= BATCH_COUNT_MIN && words_of_batch.len() >= width {
                unpack_batch(words_of_batch, width as u32, &mut codes);
                some(&mut codes[skipped..skipped + count]);
            } else {
                bits::unpack(words, slot * width, width as u32, &mut codes[..count]);
                some(&mut codes[..count]);
            }
            slot += count;
        }
    }

    /// What the differences of some slots come to; the first of them is the block's `slot`.
    fn sum(&self, words: &[u64], slot: usize, slots: usize) -> u64 {
        let base = self.parameters.base;
        let mut sum = 0u64;
        let missing = self.parameters.missing();
        self.for_each_codes(words, slot, slots, |codes| {
            for &code in codes.iter().filter(|&&code| missing != Some(code)) {
                sum = sum.wrapping_add(base).wrapping_add(code);
            }
        });
        sum
    }

    /// Hands on what differences come to from the block's `slot` on, before which the integer is this.
    fn unpack_differences(&self, words: &[u64], slot: usize, before: u64, values: &mut [f64], put: impl Put) {
        let Parameters { transform, base, .. } = self.parameters;
        let missing = self.parameters.missing();
        let mut integer = before;
        let mut rest = values;
        self.for_each_codes(words, slot, rest.len(), |codes| {
            let (values, after) = std::mem::take(&mut rest).split_at_mut(codes.len());
            rest = after;
            // Of integers within the range, as of their bits, none has more bits than all together.
            let mut wide = 0;
            for code in codes.iter_mut() {
                if missing == Some(*code) {
                    *code = MISSING;
                } else {
                    integer = integer.wrapping_add(code.wrapping_add(base));
                    wide |= integer ^ (integer as i64 >> 63) as u64;
                    *code = integer;
                }
            }
            let is_narrow = wide >> NARROW_BITS == 0;
            transform.values((codes, 0, missing.map(|_| MISSING)), is_narrow, values, put);
        });
    }

    /// The integer of the last slot that is not missing; 0 unless the codes are of differences.
    #[must_use]
    pub fn last_integer(&self, words: &[u64]) -> u64 {
        if self.parameters.is_delta { self.before.wrapping_add(self.sum(words, 0, self.slots)) } else { 0 }
    }
}

/// The blocks of a string of `slots` slots.
pub fn blocks(words: &[u64], slots: usize) -> impl Iterator<Item = Block> {
    let (mut at, mut first_slot) = (0, 0);
    std::iter::from_fn(move || {
        if first_slot >= slots {
            return None;
        }
        let block = Block::read(words, at, first_slot, slots);
        first_slot += block.slots;
        at = block.end();
        Some(block)
    })
}

/// Unpacks the slots from `from` on, as many as there is room for; the string has `slots` slots in all.
///
/// # Panics
/// If it has not that many slots.
pub fn unpack(words: &[u64], slots: usize, from: usize, values: &mut [f64]) {
    each_block(words, slots, from, values, |block, from, values| block.unpack(words, from, values, set));
}

/// As [`unpack`], but adds them to what is there.
///
/// # Panics
/// If it has not that many slots.
pub fn add(words: &[u64], slots: usize, from: usize, sums: &mut [f64]) {
    each_block(words, slots, from, sums, |block, from, sums| block.add(words, from, sums));
}

fn set(place: &mut f64, value: f64) {
    *place = value;
}

/// Calls `part` for every block with slots among those wanted: with the first of these, and the places of all.
fn each_block(
    words: &[u64],
    slots: usize,
    from: usize,
    values: &mut [f64],
    part: impl Fn(&Block, usize, &mut [f64]),
) {
    assert!(from + values.len() <= slots, "slots {from} and {} more, of {slots}", values.len());
    // Not by the iterator: it hands blocks on through memory.
    let (mut at, mut first_slot, mut done) = (0, 0, 0);
    while done < values.len() {
        let block = Block::read(words, at, first_slot, slots);
        first_slot += block.slots;
        at = block.end();
        let skipped = (from + done).saturating_sub(block.first_slot);
        if skipped < block.slots {
            let count = (block.slots - skipped).min(values.len() - done);
            part(&block, from + done, &mut values[done..done + count]);
            done += count;
        }
    }
}

/// Writes a value over that of a slot, if its block takes it as it is; returns whether.
///
/// A block of differences does not: the value behind would change, too.
#[must_use]
pub fn replace(words: &mut [u64], slots: usize, slot: usize, value: f64) -> bool {
    let block = blocks(words, slots).find(|block| slot < block.first_slot + block.slots);
    let Some(block) = block.filter(|block| !block.parameters.is_delta) else { return false };
    let Some(code) = block.parameters.code(value, &mut 0) else { return false };
    let width = block.parameters.width;
    let at = (slot - block.first_slot) * usize::from(width);
    bits::replace(&mut words[block.codes_at()..], at, width.into(), code);
    true
}

/// Writes one block at the beginning of `words`: header and codes. Returns how many words, and the last integer.
///
/// `chunks` is 0 for the last block. The first of several differences gets code 0, whatever was before.
///
/// # Panics
/// If the parameters are not for these values, or there is no room: a bug.
pub fn write_block(parameters: Parameters, chunks: usize, values: &[f64], words: &mut [u64]) -> (usize, u64) {
    let transform = parameters.transform;
    let first = values.iter().find(|value| !value.is_nan()).and_then(|&value| transform.integer(value));
    let mut before = first.unwrap_or(0).wrapping_sub(parameters.base);
    parameters.write_header(chunks, before, words);
    let codes = &mut words[parameters.header_words()..];
    append(codes, 0, parameters, values, &mut before).expect("the parameters are for these values");
    (size_words(parameters, values.len()), before)
}

/// Writes the codes of values behind others that end at bit `at`; `None` if one does not fit. `before` is the integer
/// before the first one and becomes that of the last.
///
/// # Panics
/// If there is no room: a bug.
pub fn append(
    words: &mut [u64],
    mut at: usize,
    parameters: Parameters,
    values: &[f64],
    before: &mut u64,
) -> Option<()> {
    let width = u32::from(parameters.width);
    let (groups, rest) = values.as_chunks::<GROUP_CODES>();
    for group in groups {
        bits::append_group(words, at, width, &parameters.codes(group, before)?);
        at += width as usize * GROUP_CODES;
    }
    for &value in rest {
        bits::append(words, at, width, parameters.code(value, before)?);
        at += width as usize;
    }
    Some(())
}

/// Says of how many full chunks the block is whose header is at word `at`, now that it is not the last.
pub fn end_block(words: &mut [u64], at: usize, chunks: usize) {
    debug_assert!((1..CHUNKS_MAX).contains(&chunks));
    let (parameters, _, before) = Parameters::read_header(&words[at..]);
    parameters.write_header(chunks, before, &mut words[at..]);
}

/// How many words a block takes.
#[must_use]
pub fn size_words(parameters: Parameters, slots: usize) -> usize {
    parameters.header_words() + words_for(slots, parameters.width.into())
}

/// Packs values from nothing: in one block, or one per chunk if that is smaller. Returns how many words.
///
/// # Panics
/// With more than [`BUFFER_SLOTS`] values.
pub fn pack(values: &[f64], words: &mut [u64; WORDS_MAX]) -> usize {
    assert!(values.len() <= BUFFER_SLOTS);
    let whole = plan(values, Slack::None);
    if values.len() <= CHUNK_SLOTS {
        return write_block(whole, 0, values, words).0;
    }
    let mut plans = [whole; CHUNKS_MAX];
    let mut apart = 0;
    for (parameters, chunk) in plans.iter_mut().zip(values.chunks(CHUNK_SLOTS)) {
        *parameters = plan(chunk, Slack::None);
        apart += size_words(*parameters, chunk.len());
    }
    if size_words(whole, values.len()) <= apart {
        return write_block(whole, 0, values, words).0;
    }
    let mut at = 0;
    let last = (values.len() - 1) / CHUNK_SLOTS;
    for (index, (&parameters, chunk)) in plans.iter().zip(values.chunks(CHUNK_SLOTS)).enumerate() {
        at += write_block(parameters, usize::from(index != last), chunk, &mut words[at..]).0;
    }
    at
}

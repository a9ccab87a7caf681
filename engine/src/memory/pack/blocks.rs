//! The packed values of one buffer: blocks one behind the other, in words of 64 bits.
//!
//! A block is a header of one to three words and the codes of one or more chunks of 128 slots; the last chunk of
//! the last block may be shorter. Whole chunks take whole words at every width, so blocks begin at words. The string does
//! not say how many slots it has: the buffer does.

use super::bits::{self, GROUP_CODES, words_for};
use super::parameters::Parameters;
use super::plan::{Slack, plan};
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
    #[must_use]
    pub fn end(&self) -> usize {
        self.codes_at() + words_for(self.slots, self.parameters.width.into())
    }

    /// Unpacks the slots `from` (of the buffer) and following ones, as many as there is room for.
    fn unpack(&self, words: &[u64], from: usize, values: &mut [f64]) {
        let Parameters { transform, is_delta, width, base, .. } = self.parameters;
        let skipped = from - self.first_slot;
        if is_delta {
            // Differences are added up from the block's beginning, also over slots nobody asked for.
            let before = self.before.wrapping_add(self.sum(words, 0, skipped));
            return self.unpack_differences(words, skipped, before, values);
        }
        let mut codes = [0; CHUNK_SLOTS];
        let words = &words[self.codes_at()..];
        for (chunk, values) in values.chunks_mut(CHUNK_SLOTS).enumerate() {
            let codes = &mut codes[..values.len()];
            bits::unpack(words, (skipped + chunk * CHUNK_SLOTS) * usize::from(width), width.into(), codes);
            transform.values(codes, base, self.parameters.missing(), values);
        }
    }

    /// Unpacks the first slots of the last ones, `slots` of them, as many as there is room for; `last` is the integer of the
    /// last slot of all. Differences are taken back from there, so what is before costs nothing.
    pub(super) fn unpack_near_end(&self, words: &[u64], slots: usize, last: u64, values: &mut [f64]) {
        let first = self.slots - slots;
        if self.parameters.is_delta {
            let before = last.wrapping_sub(self.sum(words, first, slots));
            self.unpack_differences(words, first, before, values);
        } else {
            self.unpack(words, self.first_slot + first, values);
        }
    }

    /// What the differences of some slots come to; the first of them is the block's `slot`.
    fn sum(&self, words: &[u64], slot: usize, slots: usize) -> u64 {
        let Parameters { width, base, .. } = self.parameters;
        let mut codes = [0; CHUNK_SLOTS];
        let mut sum = 0u64;
        for at in (0..slots).step_by(CHUNK_SLOTS) {
            let codes = &mut codes[..(slots - at).min(CHUNK_SLOTS)];
            bits::unpack(&words[self.codes_at()..], (slot + at) * usize::from(width), width.into(), codes);
            let missing = self.parameters.missing();
            for &code in codes.iter().filter(|&&code| missing != Some(code)) {
                sum = sum.wrapping_add(base).wrapping_add(code);
            }
        }
        sum
    }

    /// Unpacks differences from the block's `slot` on, before which the integer is this.
    fn unpack_differences(&self, words: &[u64], slot: usize, before: u64, values: &mut [f64]) {
        let Parameters { transform, width, base, .. } = self.parameters;
        let missing = self.parameters.missing();
        let mut integer = before;
        let mut codes = [0; CHUNK_SLOTS];
        for (chunk, values) in values.chunks_mut(CHUNK_SLOTS).enumerate() {
            let codes = &mut codes[..values.len()];
            let at = (slot + chunk * CHUNK_SLOTS) * usize::from(width);
            bits::unpack(&words[self.codes_at()..], at, width.into(), codes);
            for code in codes.iter_mut() {
                if missing == Some(*code) {
                    *code = MISSING;
                } else {
                    integer = integer.wrapping_add(base).wrapping_add(*code);
                    *code = integer;
                }
            }
            transform.values(codes, 0, missing.map(|_| MISSING), values);
        }
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
    assert!(from + values.len() <= slots, "slots {from} and {} more, of {slots}", values.len());
    let mut done = 0;
    for block in blocks(words, slots) {
        let skipped = (from + done).saturating_sub(block.first_slot);
        if skipped >= block.slots {
            continue;
        }
        let count = (block.slots - skipped).min(values.len() - done);
        if count == 0 {
            return;
        }
        block.unpack(words, from + done, &mut values[done..done + count]);
        done += count;
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

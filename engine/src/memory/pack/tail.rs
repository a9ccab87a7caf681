//! The end of a buffer's string, where values are appended.
//!
//! A tail remembers the parameters of the last block, so that a value is appended without a look at the header. A value that does
//! not fit begins another block at the last border of a chunk, with parameters for what was seen recently. At each border of a
//! chunk it is seen whether narrower parameters do for it.

use super::bits;
use super::blocks::{CHUNK_SLOTS, HEADER_WORDS_MAX, blocks, end_block, size_words, unpack, write_block};
use super::parameters::Parameters;
use super::plan::{Slack, plan};
use super::transform::Transform;
use crate::limits::BUFFER_SLOTS;

/// The last block of a string, as far as appending needs it. Small: every series has one.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    base: u64,
    /// The integer of the last value, for differences.
    last: u64,
    transform_tag: u8,
    is_delta: bool,
    has_missing: bool,
    width: u8,
    codes_at: u16,
    first_slot: u16,
}

/// New words for the end of a string.
#[derive(Debug)]
pub struct Patch {
    /// The block before is at this word and ends after so many chunks.
    ended: Option<(usize, usize)>,
    at: usize,
    count: usize,
    words: [u64; CHUNK_SLOTS + HEADER_WORDS_MAX],
}

impl Patch {
    /// How many words the string has with it.
    #[must_use]
    pub fn end(&self) -> usize {
        self.at + self.count
    }

    /// Writes it into the string, which has room.
    ///
    /// # Panics
    /// If it has not.
    pub fn apply(&self, words: &mut [u64]) {
        if let Some((at, chunks)) = self.ended {
            end_block(words, at, chunks);
        }
        words[self.at..][..self.count].copy_from_slice(&self.words[..self.count]);
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self::new(Parameters::default(), 0, 0, 0)
    }
}

impl Tail {
    fn new(parameters: Parameters, at: usize, first_slot: usize, last: u64) -> Self {
        Self {
            base: parameters.base,
            last,
            transform_tag: parameters.transform.tag(),
            is_delta: parameters.is_delta,
            has_missing: parameters.has_missing,
            width: parameters.width,
            codes_at: (at + parameters.header_words()) as u16,
            first_slot: first_slot as u16,
        }
    }

    /// The end of a string of so many slots.
    #[must_use]
    pub fn of(words: &[u64], slots: usize) -> Self {
        let Some(block) = blocks(words, slots).last() else { return Self::default() };
        Self::new(block.parameters, block.at, block.first_slot, block.last_integer(words))
    }

    #[inline]
    fn parameters(&self) -> Parameters {
        Parameters {
            transform: Transform::from_tag(self.transform_tag),
            is_delta: self.is_delta,
            has_missing: self.has_missing,
            width: self.width,
            base: self.base,
        }
    }

    /// The code that appends a value; `None` if the block's parameters do not fit it.
    #[inline]
    pub fn code(&mut self, value: f64) -> Option<u64> {
        let parameters = self.parameters();
        parameters.code(value, &mut self.last)
    }

    /// How many words the string has when it has so many slots.
    #[inline]
    #[must_use]
    pub fn words(&self, slots: usize) -> usize {
        self.codes_at as usize + bits::words_for(slots - self.first_slot as usize, self.width.into())
    }

    /// Writes the code of the next slot. The string has room for it, see [`Self::words`].
    #[inline]
    pub fn append(&self, words: &mut [u64], slot: usize, code: u64) {
        let at = (slot - self.first_slot as usize) * usize::from(self.width);
        bits::append(&mut words[self.codes_at as usize..], at, self.width.into(), code);
    }

    /// Writes a value over that of the last slot, if the block takes it as it is; returns whether.
    #[must_use]
    pub fn replace_last(&mut self, words: &mut [u64], slots: usize, value: f64) -> bool {
        let parameters = self.parameters();
        let at = (slots - 1 - self.first_slot as usize) * usize::from(self.width);
        let words = &mut words[self.codes_at as usize..];
        let stored = bits::get(words, at, self.width.into());
        let is_missing = parameters.missing() == Some(stored);
        let mut last = self.last;
        if self.is_delta && !is_missing {
            last = last.wrapping_sub(self.base).wrapping_sub(stored);
        }
        let Some(code) = parameters.code(value, &mut last) else { return false };
        bits::replace(words, at, self.width.into(), code);
        self.last = last;
        true
    }

    /// Whether a chunk that is full now is worth a [`Self::review`].
    #[inline]
    #[must_use]
    pub fn may_shrink(&self) -> bool {
        self.width > 0
    }

    /// The first block of a buffer whose first value is this; parameters are as before if they fit.
    #[must_use]
    pub fn begin(&mut self, value: f64) -> Patch {
        let mut parameters = self.parameters();
        let mut before = 0;
        if let Some(integer) = parameters.transform.integer(value).filter(|_| parameters.is_delta) {
            before = integer.wrapping_sub(parameters.base);
        }
        if parameters.code(value, &mut before).is_none() {
            parameters = plan(&[value], Slack::Some);
        }
        self.replace(parameters, None, 0, 0, &[value])
    }

    /// New parameters, so that a value fits behind the `slots` there are.
    #[must_use]
    pub fn reshape(&mut self, words: &[u64], slots: usize, value: f64) -> Patch {
        let mut values = [0.0; CHUNK_SLOTS];
        // What to expect is seen from the last slots, also if they are of the chunk before.
        let chunk = (slots - self.first_slot as usize) % CHUNK_SLOTS;
        let recent = chunk.max(slots.min(CHUNK_SLOTS - 1));
        unpack(words, slots, slots - recent, &mut values[..recent]);
        values[recent] = value;
        let parameters = plan(&values[..=recent], Slack::Some);
        self.put_chunk(parameters, slots - chunk, &values[recent - chunk..=recent])
    }

    /// Narrower parameters for the chunk that ends after `slots`, if they pay.
    #[must_use]
    pub fn review(&mut self, words: &[u64], slots: usize) -> Option<Patch> {
        let mut values = [0.0; CHUNK_SLOTS];
        let first = slots - CHUNK_SLOTS;
        unpack(words, slots, first, &mut values);
        let parameters = plan(&values, Slack::None);
        let is_alone = self.first_slot as usize == first;
        let header = if is_alone { self.parameters().header_words() } else { 0 };
        let now = header + bits::words_for(CHUNK_SLOTS, self.width.into());
        // A word more for the next block, which may not fit as well.
        let margin = usize::from(!is_alone);
        (size_words(parameters, CHUNK_SLOTS) + margin < now)
            .then(|| self.put_chunk(parameters, first, &values))
    }

    /// Replaces the last chunk, which begins at `first` and has these values.
    fn put_chunk(&mut self, parameters: Parameters, first: usize, values: &[f64]) -> Patch {
        let header_at = self.codes_at as usize - self.parameters().header_words();
        let before = first - self.first_slot as usize;
        if before == 0 {
            return self.replace(parameters, None, header_at, first, values);
        }
        let at = self.codes_at as usize + bits::words_for(before, self.width.into());
        self.replace(parameters, Some((header_at, before / CHUNK_SLOTS)), at, first, values)
    }

    fn replace(
        &mut self,
        parameters: Parameters,
        ended: Option<(usize, usize)>,
        at: usize,
        first_slot: usize,
        values: &[f64],
    ) -> Patch {
        let mut patch = Patch { ended, at, count: 0, words: [0; CHUNK_SLOTS + HEADER_WORDS_MAX] };
        let (count, last) = write_block(parameters, 0, values, &mut patch.words);
        patch.count = count;
        *self = Self::new(parameters, at, first_slot, last);
        patch
    }
}

const _: () = assert!(size_of::<Tail>() == 24);
const _: () = assert!(BUFFER_SLOTS <= u16::MAX as usize);

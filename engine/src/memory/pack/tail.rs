//! The end of a buffer's string, where values are appended in groups of eight.
//!
//! A tail remembers the parameters of the last block, so that a group is appended without a look at the header. A group that does
//! not fit begins another block at the last border of a chunk, with parameters for what was seen recently. At each border of a
//! chunk it is seen whether narrower parameters do for it.

use super::bits::{self, GROUP_CODES};
use super::blocks::{
    self, Block, CHUNK_SLOTS, HEADER_WORDS_MAX, WORDS_MAX, end_block, size_words, unpack, write_block,
};
use super::parameters::Parameters;
use super::plan::{Slack, plan};
use super::review;
use super::transform::Transform;

/// Slots that are appended at once. Chunks begin at their borders.
pub const GROUP_SLOTS: usize = GROUP_CODES;

/// In place of a base that needs more bits: it is in the header.
const BASE_LONG: i32 = i32::MIN;
/// Beside the transform's tag.
const IS_DELTA: u8 = 1 << 7;
/// Beside the width.
const HAS_MISSING: u8 = 1 << 7;
/// Values that a [`Tail::review`] looks at first.
const REVIEW_FIRST_SLOTS: usize = 32;

const _: () = assert!(CHUNK_SLOTS.is_multiple_of(GROUP_SLOTS));

/// The last block of a string, as far as appending needs it. Small: every series has one.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    /// The integer of the last value, for differences.
    last: u64,
    base: i32,
    /// The word at which the block's codes would begin if it began at slot 0: chunks take whole words.
    origin: i16,
    transform: u8,
    width: u8,
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
    /// The end of a block whose header is at word `at`.
    fn new(parameters: Parameters, at: usize, first_slot: usize, last: u64) -> Self {
        let width = usize::from(parameters.width);
        let skipped = bits::words_for(first_slot, width as u32);
        Self {
            last,
            base: i32::try_from(parameters.base as i64).unwrap_or(BASE_LONG),
            origin: ((at + parameters.header_words()) as isize - skipped as isize) as i16,
            transform: parameters.transform.tag() | if parameters.is_delta { IS_DELTA } else { 0 },
            width: parameters.width | if parameters.has_missing { HAS_MISSING } else { 0 },
        }
    }

    /// The end of a string of so many slots.
    #[must_use]
    pub fn of(words: &[u64], slots: usize) -> Self {
        let Some(block) = blocks::blocks(words, slots).last() else { return Self::default() };
        Self::new(block.parameters, block.at, block.first_slot, block.last_integer(words))
    }

    #[inline]
    fn width(&self) -> u32 {
        (self.width & !HAS_MISSING).into()
    }

    /// The parameters, unless their base is long.
    #[inline]
    fn parameters(&self) -> Option<Parameters> {
        (self.base != BASE_LONG).then(|| Parameters {
            transform: Transform::from_tag(self.transform & !IS_DELTA),
            is_delta: self.transform & IS_DELTA != 0,
            has_missing: self.width & HAS_MISSING != 0,
            width: self.width & !HAS_MISSING,
            base: i64::from(self.base) as u64,
        })
    }

    /// The parameters of the last block of a string of so many slots, at least one.
    #[inline]
    fn parameters_of(&self, words: &[u64], slots: usize) -> Parameters {
        self.parameters().unwrap_or_else(|| last_block(words, slots).parameters)
    }

    /// How many words the string has when it has so many slots.
    #[inline]
    #[must_use]
    pub fn words(&self, slots: usize) -> usize {
        (isize::from(self.origin) + bits::words_for(slots, self.width()) as isize) as usize
    }

    /// The codes that append a group to a string of so many slots, at least one group; `None` if the block's parameters do not
    /// fit it.
    #[inline]
    pub fn codes(
        &mut self,
        words: &[u64],
        slots: usize,
        values: &[f64; GROUP_SLOTS],
    ) -> Option<[u64; GROUP_SLOTS]> {
        self.parameters_of(words, slots).codes(values, &mut self.last)
    }

    /// Writes the codes of the group behind `slots` slots. The string has room for it, see [`Self::words`].
    #[inline]
    pub fn append(&self, words: &mut [u64], slots: usize, codes: &[u64; GROUP_SLOTS]) {
        bits::append_group(words, self.bit(slots), self.width(), codes);
    }

    /// Where the code of a slot begins.
    #[inline]
    fn bit(&self, slot: usize) -> usize {
        (isize::from(self.origin) * 64 + (slot * self.width() as usize) as isize) as usize
    }

    /// Appends what is less than a group to a string of so many slots, at least one group, which has room for it; `false`
    /// if the block's parameters do not fit it.
    #[must_use]
    pub fn append_rest(&mut self, words: &mut [u64], slots: usize, values: &[f64]) -> bool {
        let parameters = self.parameters_of(words, slots);
        let mut last = self.last;
        let fits = blocks::append(words, self.bit(slots), parameters, values, &mut last).is_some();
        if fits {
            self.last = last;
        }
        fits
    }

    /// Whether a chunk that is full now is worth a [`Self::review`].
    #[inline]
    #[must_use]
    pub fn may_shrink(&self) -> bool {
        self.width() > 0
    }

    /// Parameters for the first values of a buffer, at most a group: those of the buffer before if they fit.
    #[must_use]
    pub fn first_parameters(&self, values: &[f64]) -> Parameters {
        let fits = |parameters: &Parameters| {
            let mut words = [0; GROUP_SLOTS + HEADER_WORDS_MAX];
            let integer = values.iter().find_map(|&value| parameters.transform.integer(value));
            let mut before = integer.unwrap_or(0).wrapping_sub(parameters.base);
            blocks::append(&mut words, 0, *parameters, values, &mut before).is_some()
        };
        // At the beginning of a series there are none.
        let may_fit = |parameters: &Parameters| parameters.width > 0 || !parameters.has_missing;
        self.parameters().filter(may_fit).filter(fits).unwrap_or_else(|| plan(values, Slack::Some))
    }

    /// Begins a string with values that the parameters fit; it has room for [`size_words`].
    pub fn begin(&mut self, parameters: Parameters, values: &[f64], words: &mut [u64]) {
        let (_, last) = write_block(parameters, 0, values, words);
        *self = Self::new(parameters, 0, 0, last);
    }

    /// New parameters, so that values (at most a group) fit behind the `slots` there are, which are whole groups.
    #[must_use]
    pub fn reshape(&mut self, words: &[u64], slots: usize, values: &[f64]) -> Patch {
        let mut recent = [0.0; CHUNK_SLOTS];
        // What to expect is seen from the last slots, also if they are of the chunk before.
        let chunk = slots % CHUNK_SLOTS;
        let count = chunk.max(slots.min(CHUNK_SLOTS - values.len()));
        let end = count + values.len();
        unpack(words, slots, slots - count, &mut recent[..count]);
        recent[count..end].copy_from_slice(values);
        let parameters = plan(&recent[..end], Slack::Some);
        let block = last_block(words, slots);
        self.put_chunk(&block, parameters, slots - chunk, &recent[count - chunk..end])
    }

    /// Narrower parameters for the chunk that ends after `slots`, if they pay.
    #[must_use]
    pub fn review(&mut self, words: &[u64], slots: usize) -> Option<Patch> {
        let mut values = [0.0; CHUNK_SLOTS];
        let first = slots - CHUNK_SLOTS;
        let block = last_block(words, slots);
        if !review::may_be_narrower(&block, words, &mut [0; REVIEW_FIRST_SLOTS]) {
            return None;
        }
        let is_alone = block.first_slot == first;
        let header = if is_alone { block.parameters.header_words() } else { 0 };
        let now = header + bits::words_for(CHUNK_SLOTS, self.width());
        // A word more for the next block, which may not fit as well.
        let margin = usize::from(!is_alone);
        let mut parameters = block.parameters;
        // What the first few need, all need: mostly that says that nothing is to be gained.
        for count in [REVIEW_FIRST_SLOTS, CHUNK_SLOTS] {
            block.unpack_near_end(words, CHUNK_SLOTS, self.last, &mut values[..count]);
            parameters = plan(&values[..count], Slack::None);
            if size_words(parameters, CHUNK_SLOTS) + margin >= now {
                return None;
            }
        }
        Some(self.put_chunk(&block, parameters, first, &values))
    }

    /// Replaces the last chunk, which begins at `first` and has these values; `block` is the last one.
    fn put_chunk(&mut self, block: &Block, parameters: Parameters, first: usize, values: &[f64]) -> Patch {
        let before = first - block.first_slot;
        let (ended, at) = if before == 0 {
            (None, block.at)
        } else {
            let width = block.parameters.width;
            let at = block.codes_at() + bits::words_for(before, width.into());
            (Some((block.at, before / CHUNK_SLOTS)), at)
        };
        let mut patch = Patch { ended, at, count: 0, words: [0; CHUNK_SLOTS + HEADER_WORDS_MAX] };
        let (count, last) = write_block(parameters, 0, values, &mut patch.words);
        patch.count = count;
        *self = Self::new(parameters, at, first, last);
        patch
    }
}

fn last_block(words: &[u64], slots: usize) -> Block {
    blocks::blocks(words, slots).last().expect("a string has a block")
}

const _: () = assert!(size_of::<Tail>() == 16);
const _: () = assert!(WORDS_MAX <= i16::MAX as usize);

//! How the integers of one block become codes of a few bits.

use super::bits::{GROUP_CODES, code_max};
use super::lanes::{self, Decimals};
use super::transform::{NARROW_BITS, Transform};

/// The parameters of a block. The code of a value is its integer, or how much that is more than the integer before, less
/// `base`; the highest code may stand for a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Values to integers.
    pub transform: Transform,
    /// Codes are of differences.
    pub is_delta: bool,
    /// The highest code is that of a missing value.
    pub has_missing: bool,
    /// Bits of a code, 0 to 64.
    pub width: u8,
    /// What is taken from each integer or difference.
    pub base: u64,
}

impl Default for Parameters {
    /// Those of a block without values: nothing but missing ones fit.
    fn default() -> Self {
        Self { transform: Transform::Decimal(0), is_delta: false, has_missing: true, width: 0, base: 0 }
    }
}

impl Parameters {
    /// The code of a missing value, if there is one.
    #[inline]
    #[must_use]
    pub fn missing(self) -> Option<u64> {
        self.has_missing.then(|| code_max(self.width.into()))
    }

    /// Whether every integer has few bits, unless codes are of differences.
    #[inline]
    pub(super) fn is_narrow(self) -> bool {
        let lowest = self.base as i64;
        let highest = u128::from(code_max(self.width.into())) as i128 + i128::from(lowest);
        lowest >= -(1 << NARROW_BITS) && highest <= 1 << NARROW_BITS
    }

    /// How codes become values eight at a time, if they are such.
    pub(super) fn decimals(self) -> Option<Decimals> {
        let width = u32::from(self.width);
        let is_simple = !self.is_delta && self.is_narrow();
        let [high, low] = self.transform.reciprocal().filter(|_| is_simple)?;
        let decimals =
            Decimals { width, has_missing: self.has_missing, base: self.base as i64 as f64, high, low };
        (1..=lanes::WIDTH_MAX).contains(&width).then_some(decimals)
    }

    /// The code of a value; `before` is the integer before it and becomes that of the value. `None` if it does not fit.
    #[inline]
    #[must_use]
    pub fn code(self, value: f64, before: &mut u64) -> Option<u64> {
        let highest = code_max(self.width.into());
        let Some(integer) = self.transform.integer(value) else {
            return (value.is_nan() && self.has_missing).then_some(highest);
        };
        // A NaN is an integer too, in bits.
        if value.is_nan() {
            return self.missing();
        }
        let less = if self.is_delta { before.wrapping_add(self.base) } else { self.base };
        let code = integer.wrapping_sub(less);
        if code < highest || (code == highest && !self.has_missing) {
            *before = integer;
            return Some(code);
        }
        None
    }

    /// The codes of a group; `before` is as with [`Self::code`], but changes only if all fit.
    #[inline]
    #[must_use]
    pub fn codes(self, values: &[f64; GROUP_CODES], before: &mut u64) -> Option<[u64; GROUP_CODES]> {
        let Some(integers) = self.transform.integers(values) else {
            return if self.has_missing { self.codes_one_by_one(values, before) } else { None };
        };
        let mut codes = integers;
        if self.is_delta {
            codes[0] = codes[0].wrapping_sub(*before);
            for (code, pair) in codes[1..].iter_mut().zip(integers.windows(2)) {
                *code = pair[1].wrapping_sub(pair[0]);
            }
        }
        let mut ones = 0;
        for code in &mut codes {
            *code = code.wrapping_sub(self.base);
            ones |= *code;
        }
        let highest = code_max(self.width.into());
        if ones > highest || (self.has_missing && codes.contains(&highest)) {
            return None;
        }
        *before = integers[GROUP_CODES - 1];
        Some(codes)
    }

    #[inline(never)]
    fn codes_one_by_one(self, values: &[f64; GROUP_CODES], before: &mut u64) -> Option<[u64; GROUP_CODES]> {
        let mut last = *before;
        let mut codes = [0; GROUP_CODES];
        for (code, &value) in codes.iter_mut().zip(values) {
            *code = self.code(value, &mut last)?;
        }
        *before = last;
        Some(codes)
    }

    /// Words of a block's header: one, and one each for a base of more than 32 bits and for what differences begin with.
    #[inline]
    #[must_use]
    pub fn header_words(self) -> usize {
        1 + usize::from(!self.has_short_base()) + usize::from(self.is_delta)
    }

    #[inline]
    fn has_short_base(self) -> bool {
        i64::from(self.base as i32) == self.base as i64
    }

    /// Writes the header of a block of so many full chunks, the first integer of which follows `before`.
    pub(super) fn write_header(self, chunks: usize, before: u64, words: &mut [u64]) {
        let is_short = self.has_short_base();
        words[0] = u64::from(self.transform.tag())
            | u64::from(self.is_delta) << 8
            | u64::from(self.has_missing) << 9
            | u64::from(is_short) << 10
            | u64::from(self.width) << 16
            | (chunks as u64) << 24
            | if is_short { self.base << 32 } else { 0 };
        let mut next = 1;
        if !is_short {
            words[next] = self.base;
            next += 1;
        }
        if self.is_delta {
            words[next] = before;
        }
    }

    /// Reads what [`Self::write_header`] wrote: parameters, chunks, the integer before.
    #[inline]
    pub(super) fn read_header(words: &[u64]) -> (Self, usize, u64) {
        let first = words[0];
        let is_short = first >> 10 & 1 == 1;
        let parameters = Self {
            transform: Transform::from_tag(first as u8),
            is_delta: first >> 8 & 1 == 1,
            has_missing: first >> 9 & 1 == 1,
            width: (first >> 16) as u8,
            base: if is_short { (first as i64 >> 32) as u64 } else { words[1] },
        };
        let before = if parameters.is_delta { words[parameters.header_words() - 1] } else { 0 };
        (parameters, (first >> 24) as usize & 0xFF, before)
    }
}

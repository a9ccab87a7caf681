//! Choosing the parameters for given values.

use super::bits::GROUP_CODES;
use super::blocks::CHUNK_SLOTS;
use super::parameters::Parameters;
use super::transform::{DECIMALS_MAX, Transform};

/// Room for values to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slack {
    /// As narrow as it goes.
    None,
    /// An eighth of the range more, or from zero on: a value that is a bit further out should not need another plan.
    Some,
}

/// One decimal less makes integers smaller by this.
pub(super) const DECIMAL_BASE: i64 = 10;

/// Zero becomes the base if that leaves such a part of the range above the highest.
const ZERO_PART: u64 = 32;

/// Integers so wide are compared with the bits of the values, which may be narrower.
const DECIMAL_BITS_GOOD: u32 = 20;

/// The narrowest parameters for these values.
#[must_use]
pub fn plan(values: &[f64], slack: Slack) -> Parameters {
    let (present, has_missing) = {
        let present = values.iter().filter(|value| !value.is_nan()).count();
        (present, present < values.len())
    };
    if present == 0 {
        return Parameters::default();
    }
    let as_bits = || {
        let (transform, range) = survey_bits(values);
        choice(transform, false, range, has_missing, slack)
    };
    let Some((transform, survey)) = survey_decimals(values) else { return as_bits() };
    let mut best = choice(transform, false, survey.integers.unsigned(), has_missing, slack);
    let slots = values.len().max(CHUNK_SLOTS);
    if present > 1 {
        let delta = choice(transform, true, survey.differences.unsigned(), has_missing, slack);
        if size_bits(delta, slots) < size_bits(best, slots) {
            best = delta;
        }
    }
    if u32::from(best.width) > DECIMAL_BITS_GOOD {
        let bits = as_bits();
        if size_bits(bits, slots) < size_bits(best, slots) {
            best = bits;
        }
    }
    best
}

/// What so many slots take.
fn size_bits(parameters: Parameters, slots: usize) -> usize {
    parameters.header_words() * 64 + slots * usize::from(parameters.width)
}

/// The lowest integer, how far the highest is above it, and the lowest there can be.
#[derive(Clone, Copy, Debug)]
struct Unsigned {
    lowest: u64,
    range: u64,
    /// How far below the lowest there may be others: the data does not cross zero by itself.
    below: u64,
}

fn choice(
    transform: Transform,
    is_delta: bool,
    range: Unsigned,
    has_missing: bool,
    slack: Slack,
) -> Parameters {
    // Zero is a bound of many series, and a few values seldom come near enough to either of their bounds.
    let is_near_zero = range.below == range.lowest && range.lowest <= range.range / 2;
    let with_slack = match slack {
        Slack::Some if is_near_zero => {
            let highest = range.lowest + range.range;
            highest.saturating_add(highest / ZERO_PART)
        }
        Slack::Some => range.range.saturating_add(range.range / 8),
        Slack::None => range.range,
    };
    // One code more for what is missing; one alone takes no bits.
    let highest = with_slack.saturating_add(u64::from(has_missing));
    let width = 64 - highest.leading_zeros();
    let spare = super::bits::code_max(width) - range.range - u64::from(has_missing);
    // What the width offers beyond the range is shared by both sides, unless it reaches down to zero.
    let to_zero = range.lowest <= spare.saturating_sub(range.range / ZERO_PART);
    let below = if range.below == range.lowest && to_zero { spare } else { spare / 2 };
    let base = range.lowest.wrapping_sub(below.min(range.below));
    Parameters { transform, is_delta, has_missing, width: width as u8, base }
}

#[derive(Clone, Copy, Debug)]
struct Range {
    min: i64,
    max: i64,
}

impl Range {
    const EMPTY: Self = Self { min: i64::MAX, max: i64::MIN };

    #[inline]
    fn add(&mut self, integer: i64) {
        self.min = self.min.min(integer);
        self.max = self.max.max(integer);
    }

    fn unsigned(self) -> Unsigned {
        let below = if self.min >= 0 { self.min as u64 } else { u64::MAX };
        if self.min > self.max {
            return Unsigned { lowest: 0, range: 0, below: 0 };
        }
        Unsigned { lowest: self.min as u64, range: self.max.wrapping_sub(self.min) as u64, below }
    }
}

/// What integers there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey {
    integers: Range,
    differences: Range,
}

impl Survey {
    pub(super) const EMPTY: Self = Self { integers: Range::EMPTY, differences: Range::EMPTY };

    /// The fewest bits that integers or differences take.
    pub(super) fn bits_min(&self) -> u32 {
        let range = self.integers.unsigned().range.min(self.differences.unsigned().range);
        64 - range.leading_zeros()
    }

    /// Adds one; `before` is the one before it, and becomes this.
    #[inline]
    pub(super) fn add(&mut self, integer: u64, before: &mut Option<i64>) {
        let integer = integer as i64;
        self.integers.add(integer);
        if let Some(before) = before.replace(integer) {
            self.differences.add(integer.wrapping_sub(before));
        }
    }
}

/// The least decimals that all values have, and their integers; `None` if there are none.
fn survey_decimals(values: &[f64]) -> Option<(Transform, Survey)> {
    let first = values.iter().find(|value| !value.is_nan()).copied().unwrap_or(0.0);
    let mut decimals = least_decimals(first, 0)?;
    'again: loop {
        let transform = Transform::Decimal(decimals);
        let mut survey = Survey::EMPTY;
        let mut before = None;
        for group in values.chunks(GROUP_CODES) {
            if let Ok(group) = group.try_into()
                && let Some(integers) = transform.integers::<GROUP_CODES>(group)
            {
                integers.iter().for_each(|&integer| survey.add(integer, &mut before));
                continue;
            }
            for &value in group {
                let Some(integer) = transform.integer(value) else {
                    if value.is_nan() {
                        continue;
                    }
                    decimals = least_decimals(value, decimals + 1)?;
                    continue 'again;
                };
                survey.add(integer, &mut before);
            }
        }
        return Some((transform, survey));
    }
}

/// The least decimals that a value has, at least so many; `None` if it is no decimal.
fn least_decimals(value: f64, at_least: u8) -> Option<u8> {
    (at_least..=DECIMALS_MAX).find(|&decimals| Transform::Decimal(decimals).integer(value).is_some())
}

/// The most zeros that all values end with, and the range of what is before them.
fn survey_bits(values: &[f64]) -> (Transform, Unsigned) {
    let present = || values.iter().filter(|value| !value.is_nan()).map(|value| value.to_bits());
    let (mut all, mut min, mut max) = (0, u64::MAX, 0);
    for bits in present() {
        all |= bits;
        min = min.min(bits);
        max = max.max(bits);
    }
    let shift = all.trailing_zeros().min(63);
    let lowest = min >> shift;
    (Transform::Bits(shift as u8), Unsigned { lowest, range: (max >> shift) - lowest, below: lowest })
}

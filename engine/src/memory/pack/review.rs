//! A quick look at a full chunk: whether planning for it anew can gain anything.
//!
//! It looks at codes, not at values, and only at the first ones: what these need, all need. Mostly the answer is no.

use super::bits;
use super::blocks::{Block, CHUNK_SLOTS};
use super::plan::{DECIMAL_BASE, Survey};
use super::transform::Transform;

/// Whether the last chunk of a block, which is full, may do with fewer bits; `false` is certain as far as its first codes
/// tell, as many as there is room for.
pub(super) fn may_be_narrower(block: &Block, words: &[u64], codes: &mut [u64]) -> bool {
    let parameters = block.parameters;
    // Values that are decimals again would show in another way.
    if matches!(parameters.transform, Transform::Bits(_)) {
        return true;
    }
    let width = u32::from(parameters.width);
    let from = block.slots - CHUNK_SLOTS;
    bits::unpack(&words[block.codes_at()..], from * width as usize, width, codes);
    let missing = parameters.missing();
    let mut survey = Survey::EMPTY;
    let (mut integer, mut before) = (0u64, None);
    let mut has_fewer_decimals = true;
    for &code in codes.iter().filter(|&&code| missing != Some(code)) {
        let step = code.wrapping_add(parameters.base);
        has_fewer_decimals = has_fewer_decimals && (step as i64) % DECIMAL_BASE == 0;
        integer = if parameters.is_delta { integer.wrapping_add(step) } else { step };
        survey.add(integer, &mut before);
    }
    has_fewer_decimals || survey.bits_min() < width
}

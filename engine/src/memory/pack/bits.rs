//! Codes of `width` bits (0 to 64) side by side in 64-bit words, lowest bits first.

/// The highest code of so many bits; 0 for none.
#[inline]
#[must_use]
pub fn code_max(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

/// How many words so many codes take.
#[inline]
#[must_use]
pub fn words_for(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(64)
}

/// Writes a code behind others that end at bit `at`; what was behind it in its words is lost.
///
/// # Panics
/// If the words end before it does.
#[inline]
pub fn append(words: &mut [u64], at: usize, width: u32, code: u64) {
    debug_assert!(code <= code_max(width));
    if width == 0 {
        return;
    }
    let (index, shift) = (at / 64, (at % 64) as u32);
    words[index] = words[index] & code_max(shift) | code << shift;
    if shift + width > 64 {
        words[index + 1] = code >> (64 - shift);
    }
}

/// Writes a code over the one at bit `at`; its neighbours stay.
///
/// # Panics
/// If the words end before it does.
pub fn replace(words: &mut [u64], at: usize, width: u32, code: u64) {
    debug_assert!(code <= code_max(width));
    let (index, shift, ones) = (at / 64, (at % 64) as u32, code_max(width));
    if width == 0 {
        return;
    }
    words[index] = words[index] & !(ones << shift) | code << shift;
    if shift + width > 64 {
        let shift = 64 - shift;
        words[index + 1] = words[index + 1] & !(ones >> shift) | code >> shift;
    }
}

/// Reads as many codes as `codes` has room for, from bit `at` on.
///
/// # Panics
/// If the words end before they do.
#[inline]
pub fn unpack(words: &[u64], at: usize, width: u32, codes: &mut [u64]) {
    if width == 0 {
        codes.fill(0);
        return;
    }
    let ones = code_max(width);
    let words = &words[..(at + codes.len() * width as usize).div_ceil(64)];
    let last = words.len().saturating_sub(1);
    let mut at = at;
    for code in codes {
        let (index, shift) = (at / 64, (at % 64) as u32);
        // If the code ends in its first word, what comes from the next lies above its highest bit.
        let high = words[(index + 1).min(last)] << 1 << (63 - shift);
        *code = (words[index] >> shift | high) & ones;
        at += width as usize;
    }
}

/// Codes that are written at once.
pub const GROUP_CODES: usize = 8;

/// As [`append`], a group at once.
///
/// # Panics
/// If the words end before it does.
#[inline]
pub fn append_group(words: &mut [u64], at: usize, width: u32, codes: &[u64; GROUP_CODES]) {
    debug_assert!(codes.iter().all(|&code| code <= code_max(width)));
    let pair = |index: usize| codes[index] | codes[index + 1] << width;
    match width {
        0 => {}
        1..=16 => {
            let four = |index| pair(index) | pair(index + 2) << (2 * width);
            append_parts(words, at, 4 * width, [four(0), four(4)]);
        }
        17..=32 => append_parts(words, at, 2 * width, [pair(0), pair(2), pair(4), pair(6)]),
        _ => append_parts(words, at, width, *codes),
    }
}

/// Writes parts of as many bits, a whole word at a time.
#[inline]
fn append_parts<const N: usize>(words: &mut [u64], at: usize, width: u32, parts: [u64; N]) {
    let (mut index, mut used) = (at / 64, (at % 64) as u32);
    let mut word = if used == 0 { 0 } else { words[index] & code_max(used) };
    for part in parts {
        word |= part << used;
        used += width;
        if used >= 64 {
            words[index] = word;
            index += 1;
            used -= 64;
            word = if used == 0 { 0 } else { part >> (width - used) };
        }
    }
    if used > 0 {
        words[index] = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few bits of everything, all ones and all zeros among them.
    fn codes(width: u32) -> Vec<u64> {
        (0..130u64)
            .map(|index| match index % 5 {
                0 => 0,
                1 => code_max(width),
                _ => index.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(index as u32) & code_max(width),
            })
            .collect()
    }

    #[test]
    fn every_width_gives_back_what_it_took() {
        for width in 0..=64 {
            let codes = codes(width);
            let mut appended = vec![u64::MAX; words_for(codes.len(), width)];
            for (index, &code) in codes.iter().enumerate() {
                append(&mut appended, index * width as usize, width, code);
            }
            // The first two stand alone, so that groups begin anywhere in a word.
            let mut written = vec![u64::MAX; appended.len()];
            for (index, &code) in codes[..2].iter().enumerate() {
                append(&mut written, index * width as usize, width, code);
            }
            for (index, group) in codes[2..].as_chunks().0.iter().enumerate() {
                append_group(&mut written, (2 + index * GROUP_CODES) * width as usize, width, group);
            }
            for from in [0, 1, 63, 64, 129] {
                let mut found = vec![0; codes.len() - from];
                unpack(&appended, from * width as usize, width, &mut found);
                assert_eq!(found, codes[from..], "width {width}");
                unpack(&written, from * width as usize, width, &mut found);
                assert_eq!(found, codes[from..], "width {width}");
            }
        }
    }

    #[test]
    fn a_code_is_replaced_between_its_neighbours() {
        for width in 0..=64 {
            let mut expected = codes(width);
            let mut words = vec![0; words_for(expected.len(), width)];
            for (index, &code) in expected.iter().enumerate() {
                append(&mut words, index * width as usize, width, code);
            }
            for index in [0, 1, 2, 64, 65, 128, 129] {
                expected[index] = !expected[index] & code_max(width);
                replace(&mut words, index * width as usize, width, expected[index]);
            }
            let mut found = vec![0; expected.len()];
            unpack(&words, 0, width, &mut found);
            assert_eq!(found, expected, "width {width}");
        }
    }
}

//! Codes read 64 at a time: at every width they take whole words, so that all shifts and masks are constants.

use super::bits::code_max;

/// Codes that are read at once.
pub(super) const BATCH_CODES: usize = 64;

/// Reads a batch of codes of 0 to 64 bits from the first `width` words.
///
/// # Panics
/// If there are fewer words.
pub(super) fn unpack_batch(words: &[u64], width: u32, codes: &mut [u64; BATCH_CODES]) {
    macro_rules! of_widths {
        ($($width:literal)*) => {
            match width {
                $($width => unpack::<$width>(words, codes),)*
                _ => codes.fill(0),
            }
        };
    }
    of_widths!(
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
    );
}

fn unpack<const WIDTH: usize>(words: &[u64], codes: &mut [u64; BATCH_CODES]) {
    let words: &[u64; WIDTH] = words.first_chunk().expect("a batch takes as many words as a code bits");
    // A loop of this length would not be unrolled.
    macro_rules! each {
        ($($index:literal)*) => { $(codes[$index] = code::<WIDTH, $index>(words);)* };
    }
    each!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    );
}

#[inline(always)]
fn code<const WIDTH: usize, const INDEX: usize>(words: &[u64; WIDTH]) -> u64 {
    let (word, shift) = (INDEX * WIDTH / 64, INDEX * WIDTH % 64);
    let low = words[word] >> shift;
    let code = if shift + WIDTH > 64 { low | words[word + 1] << (64 - shift) } else { low };
    code & code_max(WIDTH as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pack::bits;

    #[test]
    fn a_batch_is_what_its_codes_are_one_by_one() {
        let mut random = 1u64;
        for width in 0..=64 {
            let words: Vec<u64> = (0..width)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    random.rotate_left(random as u32 % 64)
                })
                .collect();
            let (mut codes, mut expected) = ([u64::MAX; BATCH_CODES], [0; BATCH_CODES]);
            unpack_batch(&words, width, &mut codes);
            bits::unpack(&words, 0, width, &mut expected);
            assert_eq!(codes, expected, "width {width}");
        }
    }
}

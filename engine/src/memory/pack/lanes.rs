//! Sums of packed decimals by vector instructions: eight codes are unpacked, made numbers of and added at once.
//!
//! Only for what most blocks are: integers of few bits, none missing. [`super::blocks`] does the rest, and all of it where
//! there is no AVX2. Eight codes take `width` bytes, so each group begins at a byte, and within all groups of a block
//! a code has the same place: one shuffle brings it to its lane, one shift to its lowest bit.
//!
//! Unsafe code outside `sync`: `docs/decisions/0008-sums-by-vectors.md` says what it is worth.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "AVX2 where the machine has it, and prefetches; see the SAFETY comments")
)]

use super::bits::GROUP_CODES;

/// Widest codes: with up to seven bits before it, a code lies within four bytes.
pub(super) const WIDTH_MAX: u32 = 25;

/// Words of a line of the cache.
#[cfg(target_arch = "x86_64")]
const LINE_WORDS: usize = 8;

/// How codes become values: `(code + base) · (high + low)`, see [`Transform::reciprocal`](super::transform::Transform).
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimals {
    /// Bits of a code, 1 to [`WIDTH_MAX`].
    pub(super) width: u32,
    /// A whole number.
    pub(super) base: f64,
    /// The first part of a reciprocal: products with it are exact.
    pub(super) high: f64,
    /// The rest of it.
    pub(super) low: f64,
}

/// Whether [`add`] works on this machine.
#[inline]
pub(super) fn are_there() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Adds the values of the codes from code `from` on, one to each sum.
///
/// # Panics
/// If `words` end before the codes do, or [there are](are_there) no lanes.
#[inline]
pub(super) fn add(words: &[u64], from: usize, decimals: Decimals, sums: &mut [f64]) {
    assert!(are_there());
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the machine has AVX2 and FMA, see the assertion.
    unsafe {
        avx2::add(bytemuck::cast_slice(words), from, decimals, sums);
    }
}

/// Begins to bring words nearer that are read soon.
#[inline]
pub fn prefetch(words: &[u64]) {
    let _ = words;
    #[cfg(target_arch = "x86_64")]
    for line in words.chunks(LINE_WORDS) {
        // SAFETY: a prefetch reads nothing that the program could see, and the place is that of a reference.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256d, __m256i, _mm256_add_pd, _mm256_and_si256, _mm256_castsi256_si128,
        _mm256_cvtepi32_pd, _mm256_extracti128_si256, _mm256_fmadd_pd, _mm256_mul_pd, _mm256_set_m128i,
        _mm256_set1_epi32, _mm256_set1_pd, _mm256_shuffle_epi8, _mm256_srlv_epi32,
    };

    use super::{Decimals, GROUP_CODES, WIDTH_MAX};

    /// What one load brings.
    const LOAD_BYTES: usize = size_of::<__m128i>();
    /// What the loads of a group touch.
    const GROUP_BYTES_MAX: usize = WIDTH_MAX as usize / 2 + LOAD_BYTES;

    /// Where codes lie within a group, and how they become values.
    struct Groups {
        width: usize,
        /// The first byte of the fifth code.
        upper: usize,
        /// Four bytes for each code, of the load that has it.
        shuffle: __m256i,
        shifts: __m256i,
        ones: __m256i,
        base: __m256d,
        high: __m256d,
        low: __m256d,
    }

    impl Groups {
        #[target_feature(enable = "avx2,fma")]
        fn new(Decimals { width, base, high, low }: Decimals) -> Self {
            let width = width as usize;
            let upper = width / 2;
            let (mut shuffle, mut shifts) = ([0u8; 4 * GROUP_CODES], [0u32; GROUP_CODES]);
            for code in 0..GROUP_CODES {
                let bit = code * width - if code < GROUP_CODES / 2 { 0 } else { upper * 8 };
                shifts[code] = bit as u32 % 8;
                for byte in 0..4 {
                    shuffle[code * 4 + byte] = (bit / 8 + byte) as u8;
                }
            }
            Self {
                width,
                upper,
                shuffle: bytemuck::must_cast(shuffle),
                shifts: bytemuck::must_cast(shifts),
                ones: _mm256_set1_epi32((1 << width) - 1),
                base: _mm256_set1_pd(base),
                high: _mm256_set1_pd(high),
                low: _mm256_set1_pd(low),
            }
        }

        /// The values of a group.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn values(&self, bytes: &[u8], group: usize) -> [__m256d; 2] {
            let bytes = &bytes[group * self.width..];
            let codes = match bytes.first_chunk() {
                Some(bytes) => self.codes(bytes),
                // Behind the last groups of all there is less than a load takes.
                None => self.last_codes(bytes),
            };
            [
                self.decimals(_mm256_castsi256_si128(codes)),
                self.decimals(_mm256_extracti128_si256::<1>(codes)),
            ]
        }

        #[cold]
        #[target_feature(enable = "avx2,fma")]
        fn last_codes(&self, bytes: &[u8]) -> __m256i {
            let mut copy = [0; GROUP_BYTES_MAX];
            copy[..bytes.len()].copy_from_slice(bytes);
            self.codes(&copy)
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn codes(&self, bytes: &[u8; GROUP_BYTES_MAX]) -> __m256i {
            let load = |at: usize| bytemuck::pod_read_unaligned::<__m128i>(&bytes[at..at + LOAD_BYTES]);
            let loads = _mm256_set_m128i(load(self.upper), load(0));
            let windows = _mm256_shuffle_epi8(loads, self.shuffle);
            _mm256_and_si256(_mm256_srlv_epi32(windows, self.shifts), self.ones)
        }

        /// The sum of both products is rounded once only: nearer to the quotient than `transform` needs it.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn decimals(&self, codes: __m128i) -> __m256d {
            let integers = _mm256_add_pd(_mm256_cvtepi32_pd(codes), self.base);
            _mm256_fmadd_pd(integers, self.low, _mm256_mul_pd(integers, self.high))
        }

        /// Adds some values of a group, from that of code `skipped` on.
        #[target_feature(enable = "avx2,fma")]
        fn add_some(&self, bytes: &[u8], group: usize, skipped: usize, sums: &mut [f64]) {
            let values: [f64; GROUP_CODES] = bytemuck::must_cast(self.values(bytes, group));
            sums.iter_mut().zip(&values[skipped..]).for_each(|(sum, value)| *sum += value);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add(bytes: &[u8], from: usize, decimals: Decimals, sums: &mut [f64]) {
        let groups = Groups::new(decimals);
        let (mut group, skipped) = (from / GROUP_CODES, from % GROUP_CODES);
        let mut sums = sums;
        if skipped > 0 {
            let (some, rest) = sums.split_at_mut(sums.len().min(GROUP_CODES - skipped));
            groups.add_some(bytes, group, skipped, some);
            group += 1;
            sums = rest;
        }
        let (whole, rest) = sums.as_chunks_mut::<GROUP_CODES>();
        for sums in whole {
            for (sums, values) in sums.as_chunks_mut::<4>().0.iter_mut().zip(groups.values(bytes, group)) {
                let before: __m256d = bytemuck::must_cast(*sums);
                *sums = bytemuck::must_cast(_mm256_add_pd(before, values));
            }
            group += 1;
        }
        if !rest.is_empty() {
            groups.add_some(bytes, group, 0, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pack::bits::{code_max, unpack, words_for};
    use crate::memory::pack::transform::Transform;

    /// Sums by lanes are those of values one by one, at every width, from anywhere and to anywhere in the last group.
    #[test]
    fn sums_have_the_same_bits() {
        if !are_there() {
            println!("no lanes on this machine: nothing is tried");
            return;
        }
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 16
        };
        let codes_count = if cfg!(miri) { 20 } else { 100 };
        for width in 1..=WIDTH_MAX {
            let words: Vec<u64> =
                (0..words_for(codes_count, width)).map(|_| next() << 32 | next() & 0xFFFF_FFFF).collect();
            for decimals in 0..=6 {
                let transform = Transform::Decimal(decimals);
                let [high, low] = transform.reciprocal().expect("few decimals");
                // The lowest, one that makes zero of a code, the highest.
                let middle = (next() & code_max(width)).wrapping_neg();
                for base in [(1u64 << 33).wrapping_neg(), middle, (1 << 33) - (1 << WIDTH_MAX)] {
                    let from = next() as usize % 17;
                    let count = next() as usize % (codes_count - from + 1);
                    let mut codes = vec![0; count];
                    unpack(&words, from * width as usize, width, &mut codes);
                    let before: Vec<f64> = (0..count).map(|_| next() as f64 / 1000.0).collect();
                    let (mut expected, mut found) = (before.clone(), before);
                    transform.values((&codes, base, None), true, &mut expected, |sum, value| *sum += value);
                    add(&words, from, Decimals { width, base: base as i64 as f64, high, low }, &mut found);
                    let bits = |sums: &[f64]| sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
                    assert_eq!(
                        bits(&found),
                        bits(&expected),
                        "width {width}, {decimals} decimals, base {base}, {count} from {from}"
                    );
                }
            }
        }
    }
}

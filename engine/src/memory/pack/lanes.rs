//! Sums of packed decimals by vector instructions: eight codes are unpacked, made numbers of and added at once.
//!
//! Only for what most blocks are: integers of few bits. [`super::blocks`] does the rest, and all of it where
//! there is no AVX2. Eight codes take `width` bytes, so each group begins at a byte, and within all groups of a block
//! a code has the same place: one shuffle brings it to its lane, one shift to its lowest bit.
//!
//! Prefetches are here as well, also for who searches a hash index.
//!
//! Unsafe code outside `sync`: `docs/decisions/0008-sums-by-vectors.md` says what it is worth.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "AVX2 where the machine has it, and prefetches; see the SAFETY comments")
)]

use super::bits::GROUP_CODES;

/// Widest codes: half a group, and the bits before it, lie within sixteen bytes.
pub(super) const WIDTH_MAX: u32 = 31;

/// Words of a line of the cache.
#[cfg(target_arch = "x86_64")]
const LINE_WORDS: usize = 8;

/// How codes become values: `(code + base) · (high + low)`, see [`Transform::reciprocal`](super::transform::Transform).
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimals {
    /// Bits of a code, 1 to [`WIDTH_MAX`].
    pub(super) width: u32,
    /// The highest code is that of a missing value.
    pub(super) has_missing: bool,
    /// A whole number; with any code added to it it has at most 52 bits.
    pub(super) base: f64,
    /// The first part of a reciprocal: products with it are exact.
    pub(super) high: f64,
    /// The rest of it.
    pub(super) low: f64,
}

/// There is one only where the machine has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes(());

impl Lanes {
    /// Those of this machine, if it has any.
    #[inline]
    pub(super) fn find() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        let are_there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        let are_there = false;
        are_there.then_some(Self(()))
    }

    /// Adds the values of the codes from code `from` on, one to each sum.
    ///
    /// # Panics
    /// If `words` end before the codes do, or codes are too wide.
    #[inline]
    pub(super) fn add(self, words: &[u64], from: usize, decimals: Decimals, sums: &mut [f64]) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has AVX2 and FMA, or there were no lanes.
        unsafe {
            avx2::add(bytemuck::cast_slice(words), from, decimals, sums);
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("no lanes: {words:?} {from} {decimals:?} {sums:?}");
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
        __m128i, __m256d, __m256i, _mm256_add_pd, _mm256_and_si256, _mm256_blendv_pd,
        _mm256_broadcastsi128_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_fmadd_pd, _mm256_mul_pd,
        _mm256_or_si256, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_shuffle_epi8, _mm256_srlv_epi64,
        _mm256_sub_pd,
    };

    use super::{Decimals, GROUP_CODES, WIDTH_MAX};

    /// Codes of one vector.
    const HALF_CODES: usize = GROUP_CODES / 2;
    /// What the load of a half brings.
    const LOAD_BYTES: usize = size_of::<__m128i>();
    /// What the loads of a group touch.
    const GROUP_BYTES_MAX: usize = WIDTH_MAX as usize / 2 + LOAD_BYTES;
    /// 2^52: a whole number below it, put into its lowest bits, is added to it.
    const EXPONENT: f64 = 4_503_599_627_370_496.0;
    /// A byte of a shuffle that becomes zero.
    const ZERO: u8 = 0x80;

    /// Where the codes of half a group lie within its load.
    #[derive(Clone, Copy)]
    struct Half {
        /// The bytes of each code.
        shuffle: [[u8; 8]; HALF_CODES],
        /// Bits before it in the first of them.
        shifts: [u64; HALF_CODES],
    }

    /// The halves of groups of codes of each width. The second one begins at the byte that has the fifth code's first bit.
    static HALVES: [[Half; 2]; WIDTH_MAX as usize + 1] = {
        let mut halves = [[Half { shuffle: [[ZERO; 8]; HALF_CODES], shifts: [0; HALF_CODES] }; 2]; _];
        let mut width = 1;
        while width < halves.len() {
            let mut code = 0;
            while code < GROUP_CODES {
                let half = &mut halves[width][code / HALF_CODES];
                let bit = code * width - code / HALF_CODES * (width / 2 * 8);
                half.shifts[code % HALF_CODES] = bit as u64 % 8;
                let mut byte = bit / 8;
                while byte * 8 < bit + width {
                    half.shuffle[code % HALF_CODES][byte - bit / 8] = byte as u8;
                    byte += 1;
                }
                assert!(byte <= LOAD_BYTES);
                code += 1;
            }
            width += 1;
        }
        halves
    };

    /// How the groups of a block become values; with `MISSING`, the highest code is that of a missing one.
    struct Groups<const MISSING: bool> {
        width: usize,
        shuffles: [__m256i; 2],
        shifts: [__m256i; 2],
        ones: __m256i,
        exponent: __m256i,
        /// The exponent's number without the base.
        less: __m256d,
        high: __m256d,
        low: __m256d,
    }

    impl<const MISSING: bool> Groups<MISSING> {
        #[target_feature(enable = "avx2,fma")]
        fn new(Decimals { width, base, high, low, .. }: Decimals) -> Self {
            let width = width as usize;
            let halves = &HALVES[width];
            Self {
                width,
                shuffles: halves.map(|half| bytemuck::must_cast(half.shuffle)),
                shifts: halves.map(|half| bytemuck::must_cast(half.shifts)),
                ones: _mm256_set1_epi64x((1 << width) - 1),
                exponent: _mm256_set1_epi64x(EXPONENT.to_bits() as i64),
                less: _mm256_set1_pd(EXPONENT - base),
                high: _mm256_set1_pd(high),
                low: _mm256_set1_pd(low),
            }
        }

        /// The values of a group.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn values(&self, bytes: &[u8], group: usize) -> [__m256d; 2] {
            let bytes = &bytes[group * self.width..];
            match bytes.first_chunk() {
                Some(bytes) => self.values_of(bytes),
                // Behind the last groups of all there is less than the loads take.
                None => self.last_values(bytes),
            }
        }

        #[cold]
        #[target_feature(enable = "avx2,fma")]
        fn last_values(&self, bytes: &[u8]) -> [__m256d; 2] {
            let mut copy = [0; GROUP_BYTES_MAX];
            copy[..bytes.len()].copy_from_slice(bytes);
            self.values_of(&copy)
        }

        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn values_of(&self, bytes: &[u8; GROUP_BYTES_MAX]) -> [__m256d; 2] {
            [self.half(bytes, 0), self.half(bytes, 1)]
        }

        /// The sum of both products is rounded once only: nearer to the quotient than `transform` needs it.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn half(&self, bytes: &[u8; GROUP_BYTES_MAX], half: usize) -> __m256d {
            let at = half * (self.width / 2);
            let load = bytemuck::pod_read_unaligned::<__m128i>(&bytes[at..at + LOAD_BYTES]);
            let windows = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load), self.shuffles[half]);
            let codes = _mm256_and_si256(_mm256_srlv_epi64(windows, self.shifts[half]), self.ones);
            let integers =
                _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(codes, self.exponent)), self.less);
            let values = _mm256_fmadd_pd(integers, self.low, _mm256_mul_pd(integers, self.high));
            if !MISSING {
                return values;
            }
            let are_missing = _mm256_castsi256_pd(_mm256_cmpeq_epi64(codes, self.ones));
            _mm256_blendv_pd(values, _mm256_set1_pd(f64::NAN), are_missing)
        }

        /// Adds some values of a group, from that of code `skipped` on.
        #[target_feature(enable = "avx2,fma")]
        fn add_some(&self, bytes: &[u8], group: usize, skipped: usize, sums: &mut [f64]) {
            let values: [f64; GROUP_CODES] = bytemuck::must_cast(self.values(bytes, group));
            sums.iter_mut().zip(&values[skipped..]).for_each(|(sum, value)| *sum += value);
        }

        #[target_feature(enable = "avx2,fma")]
        fn add(&self, bytes: &[u8], from: usize, mut sums: &mut [f64]) {
            let (mut group, skipped) = (from / GROUP_CODES, from % GROUP_CODES);
            if skipped > 0 {
                let (some, rest) = sums.split_at_mut(sums.len().min(GROUP_CODES - skipped));
                self.add_some(bytes, group, skipped, some);
                group += 1;
                sums = rest;
            }
            let (whole, rest) = sums.as_chunks_mut::<GROUP_CODES>();
            for sums in whole {
                for (sums, values) in
                    sums.as_chunks_mut::<HALF_CODES>().0.iter_mut().zip(self.values(bytes, group))
                {
                    let before: __m256d = bytemuck::must_cast(*sums);
                    *sums = bytemuck::must_cast(_mm256_add_pd(before, values));
                }
                group += 1;
            }
            if !rest.is_empty() {
                self.add_some(bytes, group, 0, rest);
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add(bytes: &[u8], from: usize, decimals: Decimals, sums: &mut [f64]) {
        if decimals.has_missing {
            Groups::<true>::new(decimals).add(bytes, from, sums);
        } else {
            Groups::<false>::new(decimals).add(bytes, from, sums);
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
        let Some(lanes) = Lanes::find() else {
            println!("no lanes on this machine: nothing is tried");
            return;
        };
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 16
        };
        let codes_count = if cfg!(miri) { 20 } else { 100 };
        for (width, has_missing) in (1..=WIDTH_MAX).flat_map(|width| [(width, false), (width, true)]) {
            let mut words: Vec<u64> =
                (0..words_for(codes_count, width)).map(|_| next() << 32 | next() & 0xFFFF_FFFF).collect();
            // Some codes are the highest at any width.
            let index = next() as usize % words.len();
            words[index] = u64::MAX;
            let missing = has_missing.then_some(code_max(width));
            // Miri is there for the memory that is touched.
            let decimals = if cfg!(miri) { 2..=2 } else { 0..=6 };
            for decimals in decimals {
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
                    transform
                        .values((&codes, base, missing), true, &mut expected, |sum, value| *sum += value);
                    let decimals = Decimals { width, has_missing, base: base as i64 as f64, high, low };
                    lanes.add(&words, from, decimals, &mut found);
                    // A NaN is a NaN, whatever its bits.
                    let bits = |sums: &[f64]| {
                        sums.iter().map(|sum| (!sum.is_nan()).then(|| sum.to_bits())).collect::<Vec<_>>()
                    };
                    assert_eq!(bits(&found), bits(&expected), "{decimals:?}, {count} from {from}");
                }
            }
        }
    }
}

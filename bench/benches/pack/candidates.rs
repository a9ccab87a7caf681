//! What is compared.

use engine::memory::pack::blocks::{self, CHUNK_SLOTS, WORDS_MAX};
use engine::memory::pack::tail::{GROUP_SLOTS, Tail};

/// A lossless way from values to bytes and back.
pub(crate) trait Candidate {
    /// What the table calls it.
    fn name(&self) -> &'static str;
    /// Appends the packed values to `bytes`.
    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>);
    /// Puts the `count` values into `values`, in place of what is there.
    fn unpack(&mut self, bytes: &[u8], count: usize, values: &mut Vec<f64>);
}

/// All candidates.
pub(crate) fn all() -> Vec<Box<dyn Candidate>> {
    vec![
        Box::new(Ours { words: [0; WORDS_MAX], tail: Tail::default() }),
        Box::new(OursAtOnce([0; WORDS_MAX])),
        Box::new(Raw),
        Box::new(Xor),
        Box::new(Zstd),
        Box::new(Pco),
    ]
}

fn put_words(words: &[u64], bytes: &mut Vec<u8>) {
    words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
}

fn get_words(bytes: &[u8], words: &mut [u64; WORDS_MAX]) -> usize {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight"));
    }
    bytes.len() / 8
}

fn unpack_ours(bytes: &[u8], count: usize, values: &mut Vec<f64>, words: &mut [u64; WORDS_MAX]) {
    let length = get_words(bytes, words);
    values.resize(count, 0.0);
    blocks::unpack(&words[..length], count, 0, values);
}

/// As a buffer does it: group by group.
struct Ours {
    words: [u64; WORDS_MAX],
    tail: Tail,
}

impl Candidate for Ours {
    fn name(&self) -> &'static str {
        "ours, group by group"
    }

    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>) {
        let Self { words, tail } = self;
        for (index, group) in values.as_chunks::<GROUP_SLOTS>().0.iter().enumerate() {
            let slots = index * GROUP_SLOTS;
            if slots == 0 {
                tail.begin(tail.first_parameters(group), group, words);
            } else if let Some(codes) = tail.codes(words, slots, group) {
                tail.append(words, slots, &codes);
            } else {
                tail.reshape(words, slots, group).apply(words);
            }
            let slots = slots + GROUP_SLOTS;
            if slots.is_multiple_of(CHUNK_SLOTS)
                && tail.may_shrink()
                && let Some(patch) = tail.review(words, slots)
            {
                patch.apply(words);
            }
        }
        put_words(&words[..tail.words(values.len())], bytes);
    }

    fn unpack(&mut self, bytes: &[u8], count: usize, values: &mut Vec<f64>) {
        unpack_ours(bytes, count, values, &mut self.words);
    }
}

/// All values at once, as after a late sample.
struct OursAtOnce([u64; WORDS_MAX]);

impl Candidate for OursAtOnce {
    fn name(&self) -> &'static str {
        "ours, at once"
    }

    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>) {
        let length = blocks::pack(values, &mut self.0);
        put_words(&self.0[..length], bytes);
    }

    fn unpack(&mut self, bytes: &[u8], count: usize, values: &mut Vec<f64>) {
        unpack_ours(bytes, count, values, &mut self.0);
    }
}

/// No packing.
struct Raw;

impl Candidate for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>) {
        values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    }

    fn unpack(&mut self, bytes: &[u8], _count: usize, values: &mut Vec<f64>) {
        values.clear();
        values
            .extend(bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight"))));
    }
}

/// zstd over the raw values, its fastest positive level.
struct Zstd;

impl Candidate for Zstd {
    fn name(&self) -> &'static str {
        "zstd 1"
    }

    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>) {
        let mut raw = Vec::with_capacity(8 * values.len());
        Raw.pack(values, &mut raw);
        bytes.extend(zstd::bulk::compress(&raw, 1).expect("it compresses"));
    }

    fn unpack(&mut self, bytes: &[u8], count: usize, values: &mut Vec<f64>) {
        Raw.unpack(&zstd::bulk::decompress(bytes, 8 * count).expect("it decompresses"), count, values);
    }
}

/// pco at its lower default.
struct Pco;

impl Candidate for Pco {
    fn name(&self) -> &'static str {
        "pco 4"
    }

    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>) {
        let config = pco::ChunkConfig::default().with_compression_level(4);
        bytes.extend(pco::standalone::simple_compress(values, &config).expect("it compresses"));
    }

    fn unpack(&mut self, bytes: &[u8], _count: usize, values: &mut Vec<f64>) {
        *values = pco::standalone::simple_decompress(bytes).expect("it decompresses");
    }
}

/// Each value XOR the one before, without its leading and trailing zeros: the scheme of many time-series stores.
struct Xor;

/// Bits, highest first.
#[derive(Default)]
struct Bits {
    word: u64,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u64, width: u32, bytes: &mut Vec<u8>) {
        let mut width = width;
        while width > 0 {
            let taken = width.min(64 - self.used);
            let part = value >> (width - taken) & u64::MAX >> (64 - taken);
            self.word |= part << (64 - self.used - taken);
            self.used += taken;
            width -= taken;
            if self.used == 64 {
                bytes.extend_from_slice(&self.word.to_be_bytes());
                *self = Self::default();
            }
        }
    }

    fn get(bytes: &[u8], at: &mut usize, width: u32) -> u64 {
        let mut value = 0;
        let mut width = width;
        while width > 0 {
            let taken = width.min(8 - (*at % 8) as u32);
            let byte = u64::from(bytes[*at / 8]);
            value = value << taken | byte >> (8 - (*at % 8) as u32 - taken) & ((1 << taken) - 1);
            *at += taken as usize;
            width -= taken;
        }
        value
    }
}

impl Candidate for Xor {
    fn name(&self) -> &'static str {
        "XOR"
    }

    fn pack(&mut self, values: &[f64], bytes: &mut Vec<u8>) {
        let mut bits = Bits::default();
        let (mut before, mut leading, mut length) = (0, 64, 0);
        for value in values {
            let xor = value.to_bits() ^ before;
            before = value.to_bits();
            if xor == 0 {
                bits.put(0, 1, bytes);
                continue;
            }
            let (zeros, end) = (xor.leading_zeros().min(31), xor.trailing_zeros());
            if zeros >= leading && 64 - leading - length <= end {
                bits.put(0b10, 2, bytes);
            } else {
                (leading, length) = (zeros, 64 - zeros - end);
                bits.put(0b11, 2, bytes);
                bits.put(leading.into(), 5, bytes);
                bits.put(u64::from(length - 1), 6, bytes);
            }
            bits.put(xor >> (64 - leading - length), length, bytes);
        }
        bytes.extend_from_slice(&bits.word.to_be_bytes()[..bits.used.div_ceil(8) as usize]);
    }

    fn unpack(&mut self, bytes: &[u8], count: usize, values: &mut Vec<f64>) {
        values.clear();
        let (mut at, mut before, mut leading, mut length) = (0, 0, 0, 0);
        for _ in 0..count {
            if Bits::get(bytes, &mut at, 1) == 1 {
                if Bits::get(bytes, &mut at, 1) == 1 {
                    leading = Bits::get(bytes, &mut at, 5) as u32;
                    length = Bits::get(bytes, &mut at, 6) as u32 + 1;
                }
                before ^= Bits::get(bytes, &mut at, length) << (64 - leading - length);
            }
            values.push(f64::from_bits(before));
        }
    }
}

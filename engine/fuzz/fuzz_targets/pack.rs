//! Any values, packed: they come back with all their bits, one by one or at once, from any slot on, and after any of
//! them was written over (SPEC section 1).
//!
//! The first byte says how many bytes a value has in the input (so that values of all widths are found easily), and where
//! reading begins; the rest are values.

#![no_main]

use engine::limits::BUFFER_SLOTS;
use engine::memory::chain::{Chain, Run};
use engine::memory::pack::blocks::{WORDS_MAX, pack, unpack};
use engine::memory::pool::Pool;
use libfuzzer_sys::fuzz_target;

/// All values with their bits; any NaN is as good as another.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }).collect()
}

fn read(chain: &Chain, pool: &Pool) -> Vec<f64> {
    let mut values = Vec::new();
    chain.read(0, i64::MAX, pool, |run| match run {
        Run::Missing(count) => values.resize(values.len() + count, f64::NAN),
        Run::Stored(stored) => values.extend_from_slice(stored),
    });
    values
}

fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    let width = [8, 1, 2, 4][usize::from(mode % 4)];
    let value = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..width].copy_from_slice(bytes);
        match width {
            8 => f64::from_bits(u64::from_le_bytes(word)),
            4 => f64::from(f32::from_bits(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))),
            _ => u64::from_le_bytes(word) as f64 / 100.0,
        }
    };
    let mut values: Vec<f64> = rest.chunks_exact(width).map(value).take(3 * BUFFER_SLOTS).collect();
    if values.is_empty() {
        return;
    }

    let block = &values[..values.len().min(BUFFER_SLOTS)];
    let mut words = [0; WORDS_MAX];
    let count = pack(block, &mut words);
    let from = usize::from(mode) % block.len();
    let mut found = vec![0.0; block.len() - from];
    unpack(&words[..count], block.len(), from, &mut found);
    assert_eq!(bits(&found), bits(&block[from..]));

    let (mut chain, mut pool) = (Chain::new(1), Pool::default());
    for (time, &value) in (0..).zip(&values) {
        chain.write(time, value, 0, &mut pool);
    }
    assert_eq!(bits(&read(&chain, &pool)), bits(&values));

    for (index, byte) in rest.iter().enumerate().take(8) {
        let slot = usize::from(*byte) * 7 % values.len();
        values[slot] = values[values.len() - 1 - index % values.len()];
        chain.write(slot as i64, values[slot], 0, &mut pool);
    }
    assert_eq!(bits(&read(&chain, &pool)), bits(&values));
    assert_eq!(chain.free_before(i64::MAX, &mut pool), values.len().div_ceil(BUFFER_SLOTS));
    assert_eq!(pool.bytes().pages, 0);
});

//! Every value comes back with all its bits, however it was packed.

use proptest::collection::vec;
use proptest::prelude::*;

use super::blocks::{WORDS_MAX, add, pack, unpack};
use super::tail::{GROUP_SLOTS, Tail};
use crate::limits::BUFFER_SLOTS;

/// All values with their bits; any NaN is as good as another.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }).collect()
}

fn unpacked(words: &[u64], slots: usize, from: usize, to: usize) -> Vec<f64> {
    let mut values = vec![7.0; to - from];
    unpack(words, slots, from, &mut values);
    values
}

/// Appends group after group, as a buffer does, and at the end what is less than one.
fn appended(values: &[f64], mut tail: Tail) -> Vec<u64> {
    let mut words = vec![u64::MAX; WORDS_MAX];
    for (index, group) in values.chunks(GROUP_SLOTS).enumerate() {
        append(&mut words, index * GROUP_SLOTS, group, &mut tail);
    }
    words.truncate(tail.words(values.len()));
    words
}

fn append(words: &mut [u64], before: usize, values: &[f64], tail: &mut Tail) {
    if before == 0 {
        let parameters = tail.first_parameters(values);
        tail.begin(parameters, values, words);
    } else if let Ok(group) = values.try_into() {
        match tail.codes(words, before, group) {
            Some(codes) => tail.append(words, before, &codes),
            None => tail.reshape(words, before, values).apply(words),
        }
    } else if !tail.append_rest(words, before, values) {
        tail.reshape(words, before, values).apply(words);
    }
    let slots = before + values.len();
    if slots.is_multiple_of(super::blocks::CHUNK_SLOTS)
        && tail.may_shrink()
        && let Some(patch) = tail.review(words, slots)
    {
        patch.apply(words);
    }
    assert!(tail.words(slots) <= WORDS_MAX, "{}", tail.words(slots));
}

fn value() -> impl Strategy<Value = f64> {
    let special = prop::sample::select(vec![
        0.0,
        -0.0,
        1.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        2_251_799_813_685_247.0,
        2_251_799_813_685_248.0,
        -2_251_799_813_685_248.0,
        4_503_599_627_370_496.0,
        0.1 + 0.2,
    ]);
    prop_oneof![
        1 => special,
        1 => any::<u64>().prop_map(f64::from_bits),
        2 => (-2000..2000i64).prop_map(|cents| cents as f64 / 100.0),
        1 => any::<f32>().prop_map(f64::from),
        1 => (any::<i64>(), 0..13i32, 0..60u32)
            .prop_map(|(digits, decimals, shift)| (digits >> shift) as f64 / 10f64.powi(decimals)),
    ]
}

/// Runs of one kind, as real series have them, and their borders.
fn run() -> impl Strategy<Value = Vec<f64>> {
    let count = || prop_oneof![1..6usize, 1..150usize, 500..513usize];
    let of = |kind: fn(usize, u64) -> f64| {
        (count(), any::<u64>())
            .prop_map(move |(count, seed)| (0..count).map(|slot| kind(slot, seed)).collect())
    };
    fn mixed(slot: usize, seed: u64) -> u64 {
        (seed ^ slot as u64)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
            .wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }
    prop_oneof![
        2 => vec(value(), 1..20).boxed(),
        1 => (value(), count()).prop_map(|(value, count)| vec![value; count]).boxed(),
        1 => of(|slot, seed| (mixed(slot, seed) >> 40) as f64 / 100.0).boxed(),
        1 => of(|slot, seed| (seed >> 20) as f64 + slot as f64 * 1500.0 + (mixed(slot, seed) >> 54) as f64).boxed(),
        1 => of(|slot, seed| -(slot as f64) * (seed >> 44) as f64).boxed(),
        1 => of(|slot, seed| f64::from_bits(mixed(slot, seed))).boxed(),
        1 => of(|slot, seed| f64::from((mixed(slot, seed) >> 60) as f32 / 3.0)).boxed(),
        1 => of(|slot, seed| if mixed(slot, seed) >> 62 == 0 { f64::NAN } else { slot as f64 }).boxed(),
    ]
}

fn history() -> impl Strategy<Value = Vec<f64>> {
    vec(run(), 1..8).prop_map(|runs| {
        let mut values = runs.concat();
        values.truncate(BUFFER_SLOTS);
        // Often whole groups, behind which others are appended.
        if values.len() > GROUP_SLOTS && values[0].to_bits().is_multiple_of(2) {
            values.truncate(values.len() / GROUP_SLOTS * GROUP_SLOTS);
        }
        values
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_packed_at_once_comes_back(values in history(), from in 0..BUFFER_SLOTS, count in 0..BUFFER_SLOTS) {
        let mut words = [u64::MAX; WORDS_MAX];
        let length = pack(&values, &mut words);
        let words = &words[..length];
        prop_assert_eq!(bits(&unpacked(words, values.len(), 0, values.len())), bits(&values));
        let from = from.min(values.len());
        let to = (from + count).min(values.len());
        prop_assert_eq!(bits(&unpacked(words, values.len(), from, to)), bits(&values[from..to]));
        let mut sums = vec![0.1; to - from];
        add(words, values.len(), from, &mut sums);
        let expected: Vec<f64> = values[from..to].iter().map(|value| 0.1 + value).collect();
        prop_assert_eq!(bits(&sums), bits(&expected));
    }

    #[test]
    fn what_is_appended_comes_back(values in history(), before in vec(value(), 1..9), from in 0..BUFFER_SLOTS, count in 0..BUFFER_SLOTS) {
        let mut tail = Tail::default();
        tail.begin(tail.first_parameters(&before), &before, &mut [0; WORDS_MAX]);
        let words = appended(&values, tail);
        prop_assert_eq!(bits(&unpacked(&words, values.len(), 0, values.len())), bits(&values));
        let from = from.min(values.len());
        let to = (from + count).min(values.len());
        prop_assert_eq!(bits(&unpacked(&words, values.len(), from, to)), bits(&values[from..to]));
        // A tail that is found again goes on like the one that was kept.
        let mut reopened = Tail::of(&words, values.len());
        prop_assert_eq!(reopened.words(values.len()), words.len());
        if values.len() < BUFFER_SLOTS && values.len().is_multiple_of(GROUP_SLOTS) {
            let mut words = words;
            words.resize(WORDS_MAX, 0);
            append(&mut words, values.len(), &before, &mut reopened);
            let expected = [&values[..], &before[..]].concat();
            prop_assert_eq!(bits(&unpacked(&words, expected.len(), 0, expected.len())), bits(&expected));
        }
    }
}

fn random(count: usize) -> impl Iterator<Item = u64> {
    let mut state = 1u64;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    })
}

fn bytes_per_value(values: &[f64]) -> (f64, f64) {
    let mut words = [0; WORDS_MAX];
    let at_once = pack(values, &mut words);
    let one_by_one = appended(values, Tail::default()).len();
    let bytes = |words: usize| words as f64 * 8.0 / values.len() as f64;
    (bytes(at_once), bytes(one_by_one))
}

/// What the targets in resident memory need of the packing itself.
#[test]
fn usual_values_take_few_bytes() {
    let gauges: Vec<f64> = random(512).map(|random| (random % 10_000) as f64 / 100.0).collect();
    let constants = vec![1.37; 512];
    let mut total = 1e9;
    let counters: Vec<f64> = random(512)
        .map(|random| {
            total += (random % 2000) as f64;
            total
        })
        .collect();
    let entropy: Vec<f64> = random(512).map(|random| random as f64 / 3.0 * 0.001).collect();
    for (name, values, most) in [
        ("gauges", gauges, 1.8),
        ("constants", constants, 0.04),
        ("counters", counters, 1.48),
        ("entropy", entropy, 8.04),
    ] {
        let (at_once, one_by_one) = bytes_per_value(&values);
        assert!(at_once <= most && one_by_one <= most, "{name}: {at_once:.3}, {one_by_one:.3}");
    }
}

#[test]
fn a_spike_widens_one_chunk_only() {
    let mut values: Vec<f64> = random(512).map(|random| (random % 10_000) as f64 / 100.0).collect();
    values[200] = 1e7;
    let (at_once, one_by_one) = bytes_per_value(&values);
    assert!(at_once < 2.4 && one_by_one < 2.4, "{at_once:.3}, {one_by_one:.3}");
}

#[test]
fn values_that_lose_their_decimals_take_less() {
    let values: Vec<f64> = random(512)
        .enumerate()
        .map(
            |(slot, random)| {
                if slot < 128 { (random % 10_000) as f64 / 100.0 } else { (random % 100) as f64 }
            },
        )
        .collect();
    let (_, one_by_one) = bytes_per_value(&values);
    assert!(one_by_one < (14.0 + 3.0 * 7.5) / 4.0 / 8.0, "{one_by_one:.3}");
}

/// The plan for the first values of a series mostly holds for the rest; a plan that never looks at zero fails in 137.
#[test]
fn the_first_eight_say_what_comes() {
    let mut replanned = 0;
    for series in 0..400 {
        let values: Vec<f64> =
            random(4000).skip(series * 9).map(|random| (random % 10_000) as f64 / 100.0).collect();
        let (groups, _) = values[..256].as_chunks();
        let mut tail = Tail::default();
        let mut words = [0; WORDS_MAX];
        tail.begin(tail.first_parameters(&groups[0]), &groups[0], &mut words);
        let mut misfits = |group| tail.codes(&words, GROUP_SLOTS, group).is_none();
        replanned += usize::from(groups[1..].iter().any(&mut misfits));
    }
    assert!(replanned < 115, "{replanned} of 400");
}

//! Damage of every sort leaves the other blocks, and the end says what happened.

use super::super::SECTOR_BYTES;
use super::super::encode::SegmentEncoder;
use super::super::replay::{Damage, End};
use super::history::{Random, Record, Segment, header, read, read_pieces};

/// Five blocks of some sectors each.
fn five_blocks(id: u64) -> Segment {
    let path = |host: i64| vec!["c".to_owned(), format!("h{host}")];
    let record =
        |time| Record::Sample { path: path(time % 7), metric: "m".into(), time, bits: time as u64 ^ id };
    let blocks: Vec<_> =
        (0..5).map(|block| (0..200).map(|index| record(1000 * block + index)).collect()).collect();
    Segment::encode(&mut SegmentEncoder::new(header(id)), &blocks)
}

#[test]
fn random_damage_leaves_the_other_blocks_in_order() {
    let (mut shortened, mut behind) = (0, 0);
    for seed in 0..3000 {
        let mut random = Random(seed);
        let mut segment = Segment::encode(
            &mut SegmentEncoder::new(header(1 + random.number() % 1000)),
            &random.history(60),
        );
        for _ in 0..=random.below(3) {
            damage(&mut random, &mut segment.file);
        }
        let (outcome, records) = read(&segment.file).expect("the header is not touched");
        assert!(outcome.counts.blocks <= segment.blocks.len() as u64, "seed {seed}");
        let blocks = segment.ends.iter().take_while(|&&end| end <= outcome.valid_bytes).count();
        // A file cut within the padding has lost nothing.
        let is_cut_in_padding = blocks < segment.blocks.len()
            && outcome.valid_bytes == segment.file.len() as u64
            && segment.extent_end(blocks) <= segment.file.len();
        let blocks = blocks + usize::from(is_cut_in_padding);
        assert!(records.starts_with(&segment.prefix(blocks)), "seed {seed}");
        let mut all = segment.blocks.concat().into_iter();
        assert!(records.iter().all(|record| all.any(|other| other == *record)), "seed {seed}");
        let end = if blocks == 0 { SECTOR_BYTES } else { segment.ends[blocks - 1] as usize };
        assert_eq!(outcome.valid_bytes, end.min(segment.file.len()) as u64, "seed {seed}");
        behind += usize::from(outcome.counts.blocks > blocks as u64);
        if let End::Torn { at_bytes } | End::Corrupt { at_bytes, .. } = outcome.end {
            assert_eq!(at_bytes, outcome.valid_bytes, "seed {seed}");
        }
        let lengths: Vec<_> = (0..20).map(|_| 1 + random.below(2000)).collect();
        assert!(read_pieces(&segment.file, &lengths).unwrap() == (outcome, records), "seed {seed}");
        shortened += usize::from(blocks < segment.blocks.len());
    }
    assert!(shortened > 1000, "only {shortened} histories were hit");
    assert!(behind > 300, "only {behind} histories had blocks behind the damage");
}

/// Damages a file behind its header.
fn damage(random: &mut Random, file: &mut Vec<u8>) {
    let body = file.len() - SECTOR_BYTES;
    if body == 0 {
        return;
    }
    let at = SECTOR_BYTES + random.below(body);
    match random.below(6) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file.truncate(at),
        2 => {
            let end = file.len().min(at + 1 + random.below(2000));
            file[at..end].fill_with(|| random.number() as u8);
        }
        kind => {
            // Whole sectors: never written, written elsewhere, or exchanged.
            let sectors = body / SECTOR_BYTES;
            if sectors == 0 {
                return;
            }
            let (from, to) = (1 + random.below(sectors), 1 + random.below(sectors));
            let (from, to) = (from * SECTOR_BYTES, to * SECTOR_BYTES);
            match kind {
                3 => file[to..to + SECTOR_BYTES].fill(0),
                4 => file.copy_within(from..from + SECTOR_BYTES, to),
                _ => {
                    let kept = file[to..to + SECTOR_BYTES].to_vec();
                    file.copy_within(from..from + SECTOR_BYTES, to);
                    file[from..from + SECTOR_BYTES].copy_from_slice(&kept);
                }
            }
        }
    }
}

#[test]
fn a_hole_in_the_middle_is_corruption_and_the_loss_is_told() {
    let segment = five_blocks(3);
    let (start, end) = (segment.ends[1] as usize, segment.ends[2] as usize);
    for (fill, why) in [
        (vec![0; end - start], Damage::Missing { sequence: 2 }),
        (
            segment.file[segment.ends[2] as usize..][..end - start].to_vec(),
            Damage::Sequence { sequence: 2, found: 3 },
        ),
    ] {
        let mut file = segment.file.clone();
        file[start..end].copy_from_slice(&fill);
        let (outcome, records) = read(&file).unwrap();
        assert!(records == segment.without(|block| block == 2));
        assert_eq!(outcome.end, End::Corrupt { at_bytes: start as u64, why });
        assert_eq!(outcome.lost_bytes, (end - start) as u64);
        let text = outcome.end.to_string();
        assert!(text.contains(&format!("byte {start}")) && text.contains("block 2"), "{text}");
    }
}

#[test]
fn power_loss_that_reorders_an_unsynced_write_is_no_corruption() {
    let mut encoder = SegmentEncoder::new(header(3));
    encoder.declare(0, &["c", "h"], "m");
    let mut file = header(3).encode().to_vec();
    // Blocks 0 and 1 are synced, then 2, 3 and 4 go out in one write.
    for block in 0..5 {
        if block == 2 {
            encoder.settle(2);
        } else if block == 0 {
            encoder.settle(0);
        }
        encoder.sample(0, block, 1.0);
        file.extend_from_slice(encoder.seal());
    }
    let without = |block: usize| {
        let mut file = file.clone();
        file[SECTOR_BYTES * (1 + block)..][..SECTOR_BYTES].fill(0);
        let (outcome, records) = read(&file).unwrap();
        // Without the first one nobody knows whose the samples are.
        assert_eq!(records.len(), if block == 0 { 0 } else { 4 });
        outcome.end
    };
    for unsynced in [2, 3] {
        assert_eq!(without(unsynced), End::Torn { at_bytes: (SECTOR_BYTES * (1 + unsynced)) as u64 });
    }
    assert_eq!(without(4), End::Clean);
    for synced in [0, 1] {
        assert!(matches!(without(synced), End::Corrupt { .. }), "block {synced}");
    }
}

#[test]
fn stale_blocks_of_the_file_s_last_use_never_pass() {
    let old = five_blocks(3);
    let new = five_blocks(4);
    for blocks in 0..=5 {
        // The new segment has the same sequences at the same places.
        let end = if blocks == 0 { SECTOR_BYTES } else { new.ends[blocks - 1] as usize };
        let mut file = new.file[..end].to_vec();
        file.extend_from_slice(&old.file[end..]);
        let (outcome, records) = read(&file).unwrap();
        assert_eq!(outcome.end, End::Clean, "{blocks} blocks");
        assert!(records == new.prefix(blocks), "{blocks} blocks");
        assert_eq!((outcome.valid_bytes, outcome.lost_bytes), (end as u64, 0));
        // A write of several sectors was interrupted: the rest of the block is stale.
        if blocks < 5 {
            file[end..end + SECTOR_BYTES].copy_from_slice(&new.file[end..end + SECTOR_BYTES]);
            let (outcome, records) = read(&file).unwrap();
            assert_eq!(outcome.end, End::Torn { at_bytes: end as u64 });
            assert!(records == new.prefix(blocks));
        }
    }
}

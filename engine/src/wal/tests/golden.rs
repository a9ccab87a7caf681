//! Files of format version 1: encoding gives them, decoding gives what they hold, and every flip of a bit and
//! every truncation has the outcome that `docs/format/log.md` promises.

use std::path::PathBuf;

use super::super::SECTOR_BYTES;
use super::super::encode::SegmentEncoder;
use super::super::format::{BLOCK_SEGMENT, SEGMENT_HEADER_BYTES};
use super::super::replay::End;
use super::history::{Record, Segment, header, read, read_pieces};
use crate::limits::TIME_SECONDS_MAX;

const PLAIN: &[u8] = include_bytes!("../../../tests/golden/log/plain.log");
const RECYCLED: &[u8] = include_bytes!("../../../tests/golden/log/recycled.log");
const SETTLED: &[u8] = include_bytes!("../../../tests/golden/log/settled.log");

fn sample(path: &[&str], metric: &str, time: i64, value: f64) -> Record {
    let path = path.iter().map(|&name| name.to_owned()).collect();
    Record::Sample { path, metric: metric.to_owned(), time, bits: value.to_bits() }
}

fn free(path: &[&str], to: i64) -> Record {
    Record::Free { path: path.iter().map(|&name| name.to_owned()).collect(), to }
}

fn plain_blocks() -> Vec<Vec<Record>> {
    const T: i64 = 1_700_000_000;
    vec![
        vec![
            sample(&["fritz", "f0201"], "cpu_load", T, 71.25),
            sample(&["fritz", "f0201"], "mem_bw", T, -0.0),
            sample(&["fritz", "f0201", "socket0", "memctrl1"], "mem_bw", T, 1e-310),
            sample(&["fritz", "f0201", "hwthread35"], "flops_any", T - 1, 1.23),
            sample(&["alex", "a0603", "accelerator00000000:49:00.0"], "acc_power", T + 60, 301.2),
        ],
        (0..60).map(|minute| sample(&["fritz", "f0201"], "mem_bw", T + 60 * minute, minute as f64)).collect(),
        vec![
            sample(&["alex", "a\u{fc} 2"], "m\u{fc}", -TIME_SECONDS_MAX, f64::INFINITY),
            sample(
                &["alex", "a\u{fc} 2"],
                "m\u{fc}",
                TIME_SECONDS_MAX,
                f64::from_bits(0xfff4_0000_0000_0001),
            ),
            free(&["fritz"], T + 120),
            sample(&["fritz", "f0201"], "cpu_load", T + 60, f64::NAN),
            free(&[], i64::MIN),
            free(&["a", "b", "c", "d"], i64::MAX),
        ],
        vec![sample(&["fritz", "f0201", "hwthread35"], "flops_any", T + 60, 0.1)],
    ]
}

fn plain() -> Segment {
    Segment::encode(&mut SegmentEncoder::new(header(0x1234_5678_9abc_def0)), &plain_blocks())
}

/// The first two blocks as a new segment in the file of the plain one.
fn recycled() -> Segment {
    let mut segment =
        Segment::encode(&mut SegmentEncoder::new(header(0x0fed_cba9_8765_4321)), &plain_blocks()[..2]);
    segment.file.extend_from_slice(&PLAIN[segment.file.len()..]);
    segment
}

/// The plain blocks, each sealed when all but the one before it were on disk.
fn settled() -> Segment {
    let mut encoder = SegmentEncoder::new(header(2));
    let mut whole = plain();
    whole.file = encoder.header().encode().to_vec();
    whole.ends.clear();
    // As Segment::encode does it, but telling the encoder what is on disk.
    let mut numbers = Vec::new();
    for block in &whole.blocks {
        encoder.settle(encoder.blocks().saturating_sub(1));
        for record in block {
            match record {
                Record::Free { path, to } => encoder.free(path, *to),
                Record::Sample { path, metric, time, bits } => {
                    let series =
                        numbers.iter().position(|known| *known == (path, metric)).unwrap_or(numbers.len());
                    if series == numbers.len() {
                        numbers.push((path, metric));
                        encoder.declare(series as u32, path, metric);
                    }
                    encoder.sample(series as u32, *time, f64::from_bits(*bits));
                }
            }
        }
        whole.file.extend_from_slice(encoder.seal());
        whole.ends.push(whole.file.len() as u64);
    }
    whole
}

/// Name, file, and how it is made; of how many blocks, the last ones, nothing proves that they were on disk.
fn all() -> [(&'static str, &'static [u8], Segment, usize); 3] {
    [("plain", PLAIN, plain(), 1), ("recycled", RECYCLED, recycled(), 1), ("settled", SETTLED, settled(), 2)]
}

#[test]
#[ignore = "writes the golden files: once for each version of the format"]
fn write_the_golden_files() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log");
    // The recycled one contains the plain one: run twice.
    for (name, _, segment, _) in all() {
        std::fs::write(directory.join(format!("{name}.log")), segment.file).unwrap();
    }
}

#[test]
fn encoding_and_decoding_agree_with_the_files() {
    for (name, file, segment, _) in all() {
        assert!(file == segment.file, "{name}.log is not what is encoded today");
        let (outcome, records) = read(file).unwrap();
        assert!(records == segment.blocks.concat(), "{name}");
        assert_eq!((outcome.end, outcome.lost_bytes), (End::Clean, 0), "{name}");
        assert_eq!(outcome.valid_bytes, *segment.ends.last().unwrap(), "{name}");
    }
}

#[test]
fn every_flipped_bit() {
    for (name, file, segment, unproven) in all() {
        let blocks = segment.blocks.len();
        let mut damaged = file.to_vec();
        for bit in 0..file.len() * 8 {
            let at = bit / 8;
            damaged[at] ^= 1 << (bit % 8);
            let found = read(&damaged);
            assert!(read_pieces(&damaged, &[700]) == found, "{name}: bit {bit}, in pieces");
            damaged[at] ^= 1 << (bit % 8);
            if at < SEGMENT_HEADER_BYTES {
                assert!(found.is_err(), "{name}: bit {bit}");
                continue;
            }
            let (outcome, records) = found.unwrap();
            let hit = (0..blocks)
                .map(|index| (index, segment.extent(index)))
                .find(|(_, (a, b))| (*a..*b).contains(&at));
            let Some((index, (start, _))) = hit else {
                // Padding, or stale bytes.
                assert_eq!(outcome.end, End::Clean, "{name}: bit {bit}");
                assert!(records == segment.blocks.concat(), "{name}: bit {bit}");
                continue;
            };
            assert!(records == segment.without(|block| block == index), "{name}: bit {bit}");
            assert_eq!(outcome.valid_bytes, start as u64, "{name}: bit {bit}");
            let is_proven = index + unproven < blocks;
            let at_id = (start + BLOCK_SEGMENT.offset..start + BLOCK_SEGMENT.end()).contains(&at);
            let as_promised = match outcome.end {
                End::Corrupt { at_bytes, .. } => is_proven && at_bytes == start as u64,
                End::Torn { at_bytes } => !is_proven && at_bytes == start as u64,
                End::Clean => index + 1 == blocks && at_id,
            };
            assert!(as_promised, "{name}: bit {bit}: {:?}", outcome.end);
            let lost = if index + 1 < blocks { segment.ends[index] - start as u64 } else { 0 };
            assert_eq!(outcome.lost_bytes, lost, "{name}: bit {bit}");
        }
    }
}

#[test]
fn every_truncation() {
    for (name, file, segment, _) in all() {
        for length in 0..file.len() {
            let found = read(&file[..length]);
            if length < SEGMENT_HEADER_BYTES {
                assert!(found.is_err(), "{name}: {length} bytes");
                continue;
            }
            let (outcome, records) = found.unwrap();
            let whole =
                (0..segment.blocks.len()).take_while(|&index| segment.extent(index).1 <= length).count();
            assert!(records == segment.prefix(whole), "{name}: {length} bytes");
            let end = if whole == 0 { SECTOR_BYTES } else { segment.ends[whole - 1] as usize };
            let is_cut = whole < segment.blocks.len() && length > end;
            let expected = if is_cut { End::Torn { at_bytes: end as u64 } } else { End::Clean };
            // The few bytes of a stale header do not tell that it is stale.
            let at_stale = whole == segment.blocks.len() && length.saturating_sub(end) < BLOCK_SEGMENT.end();
            assert!(outcome.end == expected || at_stale, "{name}: {length} bytes: {:?}", outcome.end);
            assert_eq!(outcome.valid_bytes, end.min(length) as u64, "{name}: {length} bytes");
        }
    }
}

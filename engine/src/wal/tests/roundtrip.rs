//! What was recorded comes back, however long it is and in whatever pieces it is read.

use super::super::encode::SegmentEncoder;
use super::super::replay::{Damage, End, Replayer, replay};
use super::super::segment::HeaderError;
use super::super::{RecordDamage, SECTOR_BYTES};
use super::history::{Random, Record, Recorder, Segment, header, read, read_pieces};
use crate::limits;

fn sample(host: &str, scope: &[&str], metric: &str, time: i64, value: f64) -> Record {
    let path = ["c", host].iter().chain(scope).map(|&name| name.to_owned()).collect();
    Record::Sample { path, metric: metric.to_owned(), time, bits: value.to_bits() }
}

#[test]
fn random_histories_come_back() {
    let mut encoder = SegmentEncoder::new(header(0));
    for seed in 0..500 {
        let mut random = Random(seed);
        // The encoder goes on to another segment each time, as it does in the daemon.
        encoder.open(header(1 + random.number() % 1000));
        let segment = Segment::encode(&mut encoder, &random.history(200));
        let (outcome, records) = read(&segment.file).unwrap();
        assert!(records == segment.blocks.concat(), "seed {seed}");
        assert_eq!((outcome.end, outcome.lost_bytes), (End::Clean, 0), "seed {seed}");
        assert_eq!(outcome.valid_bytes, segment.file.len() as u64, "seed {seed}");
        assert_eq!(outcome.counts.blocks, encoder.blocks(), "seed {seed}");
        let lengths: Vec<_> = (0..50).map(|_| 1 + random.below(3000)).collect();
        assert!(read_pieces(&segment.file, &lengths).unwrap() == (outcome, records), "seed {seed}");
    }
}

#[test]
fn the_end_of_the_written_part_is_clean() {
    let mut encoder = SegmentEncoder::new(header(9));
    let segment = Segment::encode(&mut encoder, &Random(1).history(100));
    for (behind, byte) in [(0, 0), (1, 0), (511, 0), (100_000, 0), (7, 0xe5), (100_000, 0xe5)] {
        let mut file = segment.file.clone();
        file.resize(file.len() + behind, byte);
        let (outcome, records) = read(&file).unwrap();
        let expected =
            if behind == 7 { End::Torn { at_bytes: segment.file.len() as u64 } } else { End::Clean };
        assert_eq!(outcome.end, expected, "{behind} bytes {byte}");
        assert!(records == segment.blocks.concat(), "{behind} bytes {byte}");
        assert_eq!(outcome.valid_bytes, segment.file.len() as u64);
    }
}

#[test]
fn a_long_block_is_divided() {
    let mut encoder = SegmentEncoder::new(header(5));
    let name = "y".repeat(limits::SELECTOR_PART_BYTES_MAX);
    let long = |index: i64| sample("h", &[&format!("{index}{}", &name[5..]), &name], "m", index, 0.5);
    let mut block: Vec<_> = (0..30).map(long).collect();
    block.extend((0..300_000).map(|time| sample("h", &[], "m", time, time as f64)));
    let segment = Segment::encode(&mut encoder, &[block]);
    assert!(encoder.blocks() >= 4, "{} blocks", encoder.blocks());
    for (outcome, records) in [read(&segment.file).unwrap(), read_pieces(&segment.file, &[100_000]).unwrap()]
    {
        assert_eq!((outcome.end, outcome.counts.blocks), (End::Clean, encoder.blocks()));
        assert!(records == segment.blocks[0]);
    }
}

#[test]
fn usual_samples_take_ten_bytes() {
    let mut encoder = SegmentEncoder::new(header(5));
    let round =
        |time| (0..740).map(|s| sample("h", &[&format!("hwthread{s}")], "m", time, 1.5)).collect::<Vec<_>>();
    let segment = Segment::encode(&mut encoder, &[round(1_700_000_000), round(1_700_000_060)]);
    let bytes = segment.ends[1] - segment.ends[0];
    assert!(bytes <= 740 * 10 + 600, "{bytes} bytes for 740 samples of declared series");
    let declaring = segment.ends[0];
    assert!(declaring <= 740 * 30 + 1200, "{declaring} bytes for 740 samples that declare their series");
}

#[test]
fn an_empty_block_is_nothing() {
    let mut encoder = SegmentEncoder::new(header(5));
    assert!(encoder.is_empty() && encoder.seal().is_empty());
    // Impossible selectors come from outside: they free nothing.
    encoder.free(&["a"; 5], 1);
    encoder.free(&["x".repeat(limits::SELECTOR_PART_BYTES_MAX + 1)], 1);
    assert!(encoder.is_empty() && encoder.seal().is_empty());
    assert_eq!((encoder.blocks(), encoder.bytes_in_segment()), (0, SECTOR_BYTES as u64));
}

#[test]
fn a_failed_write_is_repeated_in_another_segment() {
    let mut encoder = SegmentEncoder::new(header(5));
    let blocks = Random(3).history(50);
    let fresh = Segment::encode(&mut SegmentEncoder::new(header(6)), &blocks);
    Segment::encode(&mut encoder, &blocks);
    encoder.free(&["not sealed"], 1);
    encoder.open(header(6));
    assert!(encoder.is_empty() && (0..200).all(|series| !encoder.is_declared(series)));
    assert_eq!(Segment::encode(&mut encoder, &blocks).file, fresh.file);
}

#[test]
#[should_panic(expected = "not declared")]
fn a_sample_without_declaration_is_a_bug() {
    let mut encoder = SegmentEncoder::new(header(5));
    encoder.declare(3, &["c", "h"], "m");
    encoder.sample(1, 0, 0.0);
}

#[test]
fn headers_say_what_is_wrong() {
    let good = header(7).encode();
    let decode = |change: fn(&mut [u8])| {
        let mut bytes = good;
        change(&mut bytes);
        replay(&bytes, &mut Recorder::default()).unwrap_err()
    };
    assert_eq!(decode(|bytes| bytes.fill(0)), HeaderError::Empty);
    assert_eq!(decode(|bytes| bytes[0] = b'X'), HeaderError::Magic);
    assert_eq!(decode(|bytes| bytes[8] = 2), HeaderError::Version { found: 2 });
    assert_eq!(decode(|bytes| bytes[16] ^= 1), HeaderError::Checksum);
    assert_eq!(replay(&good[..30], &mut Recorder::default()), Err(HeaderError::Short { bytes: 30 }));
}

#[test]
fn a_damaged_header_costs_nothing_if_the_id_is_known() {
    let mut segment = Segment::encode(&mut SegmentEncoder::new(header(7)), &Random(4).history(50));
    segment.file[..SECTOR_BYTES].fill(0xff);
    assert_eq!(read(&segment.file).unwrap_err(), HeaderError::Magic);
    for (id, expected) in [(7, segment.blocks.concat()), (8, Vec::new())] {
        let mut recorder = Recorder::default();
        let mut replayer = Replayer::with_id(id);
        replayer.feed(&segment.file, &mut recorder);
        assert_eq!(replayer.finish(&mut recorder).end, End::Clean);
        assert_eq!(recorder.records, expected);
    }
}

/// A segment whose only block has this payload and a right checksum.
fn written_wrongly(payload: &[u8]) -> Vec<u8> {
    let mut file = header(7).encode().to_vec();
    let mut block = (payload.len() as u32).to_le_bytes().to_vec();
    block.extend([7_u64, 0, 0].iter().flat_map(|number| number.to_le_bytes()));
    block.extend_from_slice(payload);
    file.extend(crc32fast::hash(&block).to_le_bytes());
    file.extend(block);
    file
}

#[test]
fn records_that_break_the_rules_are_named() {
    let declaration = b"\x01\x20\x01c\x01h\x01m";
    let with = |more: &[u8]| [&declaration[..], more].concat();
    let run = |samples: u8, bytes: &[u8]| with(&[&[2, samples, 0, 0, 0], bytes].concat());
    for (payload, record) in [
        (vec![9], RecordDamage::Kind { kind: 9 }),
        (vec![1], RecordDamage::Cut),
        (declaration[..7].to_vec(), RecordDamage::Cut),
        (b"\x01\x10\x01c\x01m".to_vec(), RecordDamage::Path { shape: 0x10 }),
        (b"\x01\x50\x01c".to_vec(), RecordDamage::Path { shape: 0x50 }),
        (b"\x01\x11\x01c".to_vec(), RecordDamage::Path { shape: 0x11 }),
        (b"\x01\x28\x01c".to_vec(), RecordDamage::Path { shape: 0x28 }),
        (b"\x01\x20\x01c\x02..\x01m".to_vec(), RecordDamage::NameUnsafe),
        (b"\x01\x20\x01\xff\x01h\x01m".to_vec(), RecordDamage::NameText),
        (b"\x01\x20\xff\xff\x7fc".to_vec(), RecordDamage::NameLength { bytes: 0x1f_ffff }),
        (b"\x01\x20\x01c\x01h\x00".to_vec(), RecordDamage::NameLength { bytes: 0 }),
        (run(0, b""), RecordDamage::RunLength { samples: 0 }),
        (run(2, &[0; 19]), RecordDamage::RunLength { samples: 2 }),
        (run(1, &[0xff; 40]), RecordDamage::Cut),
        (run(1, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]), RecordDamage::Undeclared { id: 1, declared: 1 }),
        (run(1, b"\x00\x82\xa0\xb7\x87\xe9\x05aaaaaaaa"), RecordDamage::Time { time: 100_000_000_001 }),
        (with(b"\x03\0\0\0\0\0\0\0\0\x05"), RecordDamage::Path { shape: 5 }),
    ] {
        let (outcome, records) = read(&written_wrongly(&payload)).unwrap();
        let why = Damage::Record { sequence: 0, record };
        assert_eq!(outcome.end, End::Corrupt { at_bytes: 512, why }, "{payload:?}");
        assert!(records.is_empty() && outcome.valid_bytes == 512 && outcome.lost_bytes > 0, "{payload:?}");
    }
    let good = run(1, b"\x00\x80\xa0\xb7\x87\xe9\x05aaaaaaaa");
    let (outcome, records) = read(&written_wrongly(&good)).unwrap();
    assert_eq!((outcome.end, records.len()), (End::Clean, 1));
}

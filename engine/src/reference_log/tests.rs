//! Tests of the reference's log: golden files, damage, random logs.

use proptest::prelude::*;

use super::format::{self, GROUPS, RECORD_HEADER_BYTES};
use super::{Corruption, End, LogRead, LogSample, RecordError, Skip, push_header, push_record, read};
use crate::checkpoint::testing::assert_tables;
use crate::limits;

const SMALL: &[u8] = include_bytes!("../../tests/golden/reference_log/small.wal");
const REFERENCE: &[u8] = include_bytes!("../../tests/golden/reference_log/written-by-the-reference.wal");
const TIME: i64 = 1_700_000_040;

/// A sample with its value by its bits, so that NaN equals NaN.
type Row = (Vec<String>, String, i64, u32);

fn rows(bytes: &[u8]) -> (LogRead, Vec<Row>) {
    let mut rows = Vec::new();
    let found = read(bytes, &mut |sample: LogSample<'_>| {
        let path = sample.path.iter().map(|&name| name.to_owned()).collect();
        rows.push((path, sample.metric.to_owned(), sample.time, sample.value.to_bits()));
    });
    assert_eq!(found.sample_count, rows.len() as u64);
    (found, rows)
}

fn encode(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    push_header(&mut out);
    for (path, metric, time, bits) in rows {
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        push_record(&mut out, &path, metric, *time, f32::from_bits(*bits)).unwrap();
    }
    out
}

/// A log with one record around a payload, its checksum right.
fn around(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_header(&mut out);
    out.extend_from_slice(&format::RECORD_MAGIC_NUMBER.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out
}

#[test]
fn the_document_describes_the_bytes() {
    assert_tables(include_str!("../../../docs/format/reference-log.md"), &GROUPS);
}

#[test]
fn golden_files_decode_and_encode() {
    let row = |path: &[&str], metric: &str, time, value: f32| -> Row {
        (path.iter().map(|&name| name.to_owned()).collect(), metric.to_owned(), time, value.to_bits())
    };
    let (found, samples) = rows(SMALL);
    let expected = [
        row(&[], "clock", TIME, 1.5),
        row(&["socket0"], "mem_bw", TIME, -0.25),
        row(&["socket0", "memctrl1"], "mem_bw", TIME + 60, 7.0),
        row(&[], "clock", TIME - 3600, 0.1),
    ];
    assert_eq!(samples, expected);
    assert_eq!(found, LogRead { sample_count: 4, skipped_count: 0, skipped_first: None, end: End::Clean });
    assert_eq!(encode(&samples), SMALL);

    let (found, samples) = rows(REFERENCE);
    assert_eq!((found.end, samples.len()), (End::Clean, 48));
    assert!(samples.contains(&row(&["cpu0"], "clock", 1_795_225_022, 30.0)));
    assert_eq!(encode(&samples), REFERENCE);
}

/// Where each record of a log begins, and its end.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut at = format::FILE_MAGIC.size_bytes;
    let mut boundaries = vec![at];
    while at < bytes.len() {
        let length = format::PAYLOAD_LENGTH.read(&bytes[at..]) as usize;
        at += RECORD_HEADER_BYTES + length + format::CHECKSUM.size_bytes;
        boundaries.push(at);
    }
    boundaries
}

#[test]
fn every_cut_leaves_the_records_before_it() {
    for file in [SMALL, REFERENCE] {
        let (_, all) = rows(file);
        let boundaries = boundaries(file);
        for length in 0..file.len() {
            let (found, samples) = rows(&file[..length]);
            let whole = boundaries.iter().filter(|&&end| end <= length).count();
            assert_eq!(samples, all[..whole.saturating_sub(1)], "cut at {length}");
            let expected = match boundaries.iter().rfind(|&&end| end <= length) {
                _ if length == 0 => End::Clean,
                Some(&end) if end == length => End::Clean,
                Some(&end) => End::Torn { at: end },
                None => End::Torn { at: 0 },
            };
            assert_eq!(found.end, expected, "cut at {length}");
        }
    }
}

#[test]
fn every_flip_leaves_the_records_before_it() {
    for file in [SMALL, REFERENCE] {
        let (_, all) = rows(file);
        let boundaries = boundaries(file);
        for bit in 0..file.len() * 8 {
            let mut damaged = file.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (found, samples) = rows(&damaged);
            let whole = boundaries.iter().filter(|&&end| end <= bit / 8).count();
            assert_eq!(samples, all[..whole.saturating_sub(1)], "bit {bit}");
            let begin = boundaries.iter().rfind(|&&end| end <= bit / 8).copied().unwrap_or(0);
            let end = match found.end {
                End::Corrupt { at, .. } | End::Torn { at } => at,
                End::Clean => panic!("bit {bit}: the damage was not noticed"),
            };
            assert_eq!((end, found.skipped_count), (begin, 0), "bit {bit}");
        }
    }
}

#[test]
fn corruption_is_named() {
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = SMALL.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        rows(&file).0.end
    };
    let zero = [0; 4];
    assert_eq!(patched(0, &zero), End::Corrupt { at: 0, why: Corruption::FileMagic { found: 0 } });
    assert_eq!(patched(4, &zero), End::Corrupt { at: 4, why: Corruption::RecordMagic { found: 0 } });
    for length in [limits::REFERENCE_LOG_PAYLOAD_BYTES_MAX as u32 + 1, u32::MAX] {
        let why = Corruption::PayloadLength { length };
        assert_eq!(patched(8, &length.to_le_bytes()), End::Corrupt { at: 4, why });
        assert!(why.to_string().contains(&length.to_string()));
    }
    let end = patched(8, &(limits::REFERENCE_LOG_PAYLOAD_BYTES_MAX as u32).to_le_bytes());
    assert_eq!(end, End::Torn { at: 4 });
    assert!(matches!(patched(12, &zero), End::Corrupt { at: 4, why: Corruption::Checksum { .. } }));
    assert!(matches!(rows(b"{\"").0.end, End::Corrupt { at: 0, why: Corruption::FileMagic { .. } }));
    assert_eq!(rows(b"").0.end, End::Clean);
}

/// A payload by its pieces; the lengths need not be those of the names.
fn payload(time: i64, metric: &[u8], part_count: u8, parts: &[u8], value: &[u8]) -> Vec<u8> {
    let metric_length = (metric.len() as u16).to_le_bytes();
    [&time.to_le_bytes()[..], &metric_length, metric, &[part_count], parts, value].concat()
}

#[test]
fn payloads_whose_lengths_do_not_add_up_end_the_reading() {
    let four = [0; 4];
    for bad in [
        vec![],
        vec![0; 14],
        payload(0, b"m", 0, &[], &four[..3]),
        payload(0, b"m", 0, &[], &[0; 5]),
        payload(0, b"m", 1, &[], &four),
        payload(0, b"m", 1, &[200], &four),
        payload(0, b"m", 255, &[0; 200], &four),
        [&[0; 8][..], &[0xff, 0xff], &four].concat(),
    ] {
        let end = rows(&around(&bad)).0.end;
        assert_eq!(end, End::Corrupt { at: 4, why: Corruption::Payload }, "{bad:?}");
    }
}

#[test]
fn whole_records_that_no_sample_can_have_are_left_out_and_counted() {
    let four = [0; 4];
    let far = limits::TIME_SECONDS_MAX + 1;
    for (payload, why) in [
        (payload(0, b"m\xff", 0, &[], &four), Skip::NameNotText),
        (payload(0, b"m", 1, &[1, 0xff], &four), Skip::NameNotText),
        (payload(0, b"m", 17, &[0; 17], &four), Skip::TooManyParts),
        (payload(far, b"m", 0, &[], &four), Skip::TimeRange),
        (payload(i64::MIN, b"m", 0, &[], &four), Skip::TimeRange),
    ] {
        let mut file = around(&payload);
        push_record(&mut file, &["cpu0"], "behind", 5, 1.0).unwrap();
        let (found, samples) = rows(&file);
        assert_eq!((found.end, found.skipped_count, found.skipped_first), (End::Clean, 1, Some((4, why))));
        assert_eq!(samples[0].1, "behind");
    }
    assert_eq!(rows(&around(&payload(0, b"m", 16, &[0; 16], &four))).0.sample_count, 1);
}

#[test]
fn what_the_format_cannot_hold_is_not_written() {
    let long = "x".repeat(256);
    let metric_long = "x".repeat(limits::METRIC_NAME_BYTES_MAX + 1);
    let mut out = Vec::new();
    for (path, metric, time, error) in [
        (vec!["a", &long], "m", 0, RecordError::PartTooLong { length: 256 }),
        (vec!["a"; 17], "m", 0, RecordError::TooManyParts { count: 17 }),
        (vec![], metric_long.as_str(), 0, RecordError::MetricTooLong { length: metric_long.len() }),
        (vec![], "m", i64::MAX, RecordError::TimeRange { time: i64::MAX }),
    ] {
        assert_eq!(push_record(&mut out, &path, metric, time, 1.0), Err(error));
    }
    assert!(out.is_empty());
}

fn any_row() -> impl Strategy<Value = Row> {
    let name = || prop_oneof!["[a-z]{0,10}", any::<String>().prop_filter("length", |name| name.len() < 256)];
    let time = -limits::TIME_SECONDS_MAX..=limits::TIME_SECONDS_MAX;
    (prop::collection::vec(name(), 0..5), name(), time, any::<u32>())
}

proptest! {
    #[test]
    fn a_log_comes_back(samples in prop::collection::vec(any_row(), 0..20)) {
        let (found, read) = rows(&encode(&samples));
        prop_assert_eq!(found.end, End::Clean);
        prop_assert_eq!(read, samples);
    }

    #[test]
    fn random_payloads_do_no_harm(payload in prop::collection::vec(any::<u8>(), 0..64)) {
        rows(&around(&payload));
        rows(&payload);
    }
}

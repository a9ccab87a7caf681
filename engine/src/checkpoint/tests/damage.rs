//! Damaged snapshots: every flip, every cut, and lengths that lie.

use super::super::testing::{Row, encode, rows};
use super::super::{Kind, SnapshotEncoder, SnapshotError, SnapshotSink, format};
use super::golden::{REFERENCE_BIN, SMALL_BIN, SMALL_JSON};
use crate::limits;

const FILES: [(Kind, &[u8]); 3] =
    [(Kind::Binary, SMALL_BIN), (Kind::Binary, REFERENCE_BIN), (Kind::Json, SMALL_JSON)];

/// The error of a file of which nothing may be handed on.
fn refused(kind: Kind, bytes: &[u8]) -> SnapshotError {
    let (result, seen) = rows(kind, bytes);
    assert!(seen.is_empty(), "samples of a damaged file were handed on");
    result.expect_err("the file is damaged")
}

#[test]
fn every_cut_is_noticed_before_a_sample_is_handed_on() {
    for (kind, file) in FILES {
        // The newline at the end of a text is no loss.
        let whole = if kind == Kind::Json { file.len() - 1 } else { file.len() };
        for length in 0..whole {
            let error = refused(kind, &file[..length]);
            let named = match kind {
                Kind::Binary => matches!(error, SnapshotError::CutShort { .. }),
                Kind::Json => matches!(error, SnapshotError::Json { at, .. } if at <= length),
            };
            assert!(named, "cut at {length}: {error:?}");
            assert!(error.to_string().starts_with("byte "), "{error}");
        }
        let mut longer = file.to_vec();
        longer.push(b'x');
        let error = refused(kind, &longer);
        assert_eq!(error, SnapshotError::TrailingBytes { at: file.len(), left: 1 });
    }
}

/// There is no checksum, so a flip may change a value, a name or a time. It must not break anything else: as many values
/// as the file has room for, times that samples can have, nothing handed on of a file that is refused.
#[test]
fn every_flip_is_an_error_or_a_file_of_sane_shape() {
    for (kind, file) in FILES {
        let mut refused_count = 0;
        for bit in 0..file.len() * 8 {
            let mut damaged = file.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (result, seen) = rows(kind, &damaged);
            if result.is_err() {
                assert!(seen.is_empty(), "bit {bit}: samples of a damaged file were handed on");
                refused_count += 1;
            }
            let values: usize = seen.iter().map(|row| row.4.len()).sum();
            assert!(values <= file.len() / 2, "bit {bit}: {values} values");
            seen.iter().for_each(assert_sane);
        }
        assert!(refused_count > file.len(), "{refused_count} of {} flips were noticed", file.len() * 8);
    }
}

fn assert_sane((path, _, frequency, start, values): &Row) {
    assert!(path.len() <= limits::SNAPSHOT_DEPTH_MAX);
    assert!((1..=limits::FREQUENCY_SECONDS_MAX).contains(frequency));
    let last = start + frequency * (values.len() as i64 - 1).max(0);
    assert!([*start, last].iter().all(|time| time.abs() <= limits::TIME_SECONDS_MAX));
}

/// The small file with other bytes at a place.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = SMALL_BIN.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn lengths_that_lie_name_the_byte() {
    let name_at = format::HEADER_BYTES + 4;
    let fields_at = name_at + 2 + "clock".len();
    let count_at = fields_at + format::VALUE_COUNT.offset_bytes;
    let values_at = fields_at + format::SERIES_BYTES;
    let huge = u32::MAX.to_le_bytes();

    let error = refused(Kind::Binary, &patched(0, &huge));
    assert_eq!(error, SnapshotError::WrongMagic { found: u32::MAX });
    for (at, bytes, error_at, needed) in [
        (format::HEADER_BYTES, &huge[..], format::HEADER_BYTES, u64::from(u32::MAX) * 22),
        (name_at, &[0xff, 0xff], name_at + 2, 0xffff),
        (count_at, &huge, values_at, u64::from(u32::MAX) * 4),
    ] {
        let error = refused(Kind::Binary, &patched(at, bytes));
        let cut = matches!(error, SnapshotError::CutShort { at, needed: bytes, .. } if (at, bytes) == (error_at, needed));
        assert!(cut, "{error:?}");
    }
    let children_at = SMALL_BIN.len() - 4;
    let error = refused(Kind::Binary, &patched(children_at, &huge));
    assert!(matches!(error, SnapshotError::CutShort { at, left: 0, .. } if at == children_at), "{error:?}");

    let error = refused(Kind::Binary, &patched(name_at + 2, b"\xff"));
    assert_eq!(error, SnapshotError::NameNotText { at: name_at + 2, what: "metric" });
    for frequency in [0, -1, limits::FREQUENCY_SECONDS_MAX + 1, i64::MIN, i64::MAX] {
        let error = refused(Kind::Binary, &patched(fields_at, &frequency.to_le_bytes()));
        assert_eq!(error, SnapshotError::FrequencyRange { at: fields_at, frequency });
    }
    for time in [limits::TIME_SECONDS_MAX + 1, i64::MIN, i64::MAX] {
        let error = refused(Kind::Binary, &patched(fields_at + 8, &time.to_le_bytes()));
        assert_eq!(error, SnapshotError::TimeRange { at: fields_at, time });
        let error = refused(Kind::Binary, &patched(format::TO.offset_bytes, &time.to_le_bytes()));
        assert_eq!(error, SnapshotError::TimeRange { at: format::FROM.offset_bytes, time });
    }
    // The last of its three values would be too late.
    let time = limits::TIME_SECONDS_MAX - 1;
    let error = refused(Kind::Binary, &patched(fields_at + 8, &time.to_le_bytes()));
    assert_eq!(error, SnapshotError::TimeRange { at: fields_at, time: limits::TIME_SECONDS_MAX + 1 });
}

/// A chain of levels with one series at its end.
fn nested(kind: Kind, depth: usize) -> Vec<u8> {
    match kind {
        Kind::Binary => {
            let mut file = SMALL_BIN[..format::HEADER_BYTES].to_vec();
            for _ in 0..depth {
                file.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0, 1, 0, b'x']);
            }
            file.extend_from_slice(&[0; 8]);
            file
        }
        Kind::Json => {
            format!("{}{{}}{}", r#"{"children":{"x":"#.repeat(depth), "}}".repeat(depth)).into_bytes()
        }
    }
}

#[test]
fn nesting_is_bounded() {
    for kind in [Kind::Binary, Kind::Json] {
        assert!(rows(kind, &nested(kind, limits::SNAPSHOT_DEPTH_MAX)).0.is_ok());
        for depth in [limits::SNAPSHOT_DEPTH_MAX + 1, 100_000] {
            let error = refused(kind, &nested(kind, depth));
            assert!(matches!(error, SnapshotError::TooDeep { .. }), "{error:?}");
        }
    }
    let skipped = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(refused(Kind::Json, skipped.as_bytes()), SnapshotError::TooDeep { .. }));
}

#[test]
fn text_that_is_no_snapshot_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "{",
        "{}}",
        "{,}",
        r#"{"from":1.5}"#,
        r#"{"from":"1"}"#,
        r#"{"from":99999999999999999999}"#,
        r#"{"from":100000000001}"#,
        r#"{"metrics":[]}"#,
        r#"{"metrics":{"m":1}}"#,
        r#"{"metrics":{"m":{}}}"#,
        r#"{"metrics":{"m":{"frequency":0,"start":1,"data":[]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[1,]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":["1"]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[01]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[1.]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[-]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[1e999]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[NaN]}}}"#,
        r#"{"metrics":{"m":{"frequency":1,"start":1,"data":[nul]}}}"#,
        r#"{"a\q":1}"#,
        r#"{"a"#,
        "{\"a\\",
        "{\"a\nb\":1}",
    ] {
        refused(Kind::Json, text.as_bytes());
    }
    assert!(matches!(refused(Kind::Json, b"{\"a\xff\":1}"), SnapshotError::Json { at: 2, .. }));
    let long = format!(r#"{{"children":{{"{}":{{}}}}}}"#, "x".repeat(65536));
    assert!(matches!(refused(Kind::Json, long.as_bytes()), SnapshotError::NameTooLong { length: 65536, .. }));
}

#[test]
#[should_panic(expected = "could not be read back")]
fn what_could_not_be_read_back_is_not_written() {
    SnapshotEncoder::new(0, 1).series("m", 0, 0, [1.0]);
}

#[test]
fn an_empty_snapshot_is_still_one() {
    for kind in [Kind::Binary, Kind::Json] {
        let (bytes, _) = encode(kind, 0, 0, &Default::default());
        assert!(rows(kind, &bytes).0.is_ok());
    }
}

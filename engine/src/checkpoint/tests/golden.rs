//! Files that were written once, by another program, and the byte tables of the documents.

use super::super::testing::{Level, Row, assert_tables, encode, rows, table};
use super::super::{Kind, SnapshotHeader, format, json};

pub(super) const SMALL_BIN: &[u8] = include_bytes!("../../../tests/golden/snapshot/small.bin");
pub(super) const SMALL_JSON: &[u8] = include_bytes!("../../../tests/golden/snapshot/small.json");
pub(super) const REFERENCE_BIN: &[u8] =
    include_bytes!("../../../tests/golden/snapshot/written-by-the-reference.bin");

const FROM: i64 = 1_700_000_040;

/// What the small files hold.
fn small() -> Level {
    let series = |metric: &str, frequency, start, values: &[f64]| {
        (metric.to_owned(), frequency, start, values.to_vec())
    };
    let leaf = |series| Level { series: vec![series], children: Vec::new() };
    let mut socket = leaf(series("mem_bw", 60, FROM, &[1e16, 60.0]));
    socket.children.push(("memctrl1".to_owned(), leaf(series("mem_bw", 60, FROM + 60, &[7.0]))));
    Level {
        series: vec![series("clock", 1, FROM, &[1.5, f64::NAN, -0.25]), series("ipc", 10, FROM, &[0.1])],
        children: vec![
            ("socket0".to_owned(), socket),
            ("cpu3".to_owned(), leaf(series("clock", 1, FROM, &[2.0]))),
        ],
    }
}

#[test]
fn documents_describe_the_bytes() {
    assert_tables(include_str!("../../../../docs/format/snapshot-bin.md"), &format::GROUPS);
    let document = include_str!("../../../../docs/format/snapshot-json.md");
    for (heading, keys) in [("File", &json::FILE_KEYS[..]), ("Series", &json::SERIES_KEYS[..])] {
        let listed: Vec<_> = table(document, heading).into_iter().map(|row| row[0]).collect();
        assert_eq!(listed, keys);
    }
}

#[test]
fn small_files_decode_and_encode() {
    for (kind, file) in [(Kind::Binary, SMALL_BIN), (Kind::Json, SMALL_JSON)] {
        let (header, found) = rows(kind, file);
        assert_eq!(header, Ok(SnapshotHeader { from: FROM, to: FROM + 20 }));
        assert_eq!(found, small().rows());
        let (written, count) = encode(kind, FROM, FROM + 20, &small());
        assert_eq!(written.escape_ascii().to_string(), file.escape_ascii().to_string());
        assert_eq!(count, 5);
    }
}

#[test]
fn the_references_file_decodes_and_is_encoded_as_it_wrote_it() {
    let (header, found) = rows(Kind::Binary, REFERENCE_BIN);
    assert_eq!(header, Ok(SnapshotHeader { from: 1_795_225_011, to: 1_795_225_019 }));
    let expected = |name: Option<&str>, step: f32| -> Row {
        let path = name.map(str::to_owned).into_iter().collect();
        let values = (0..8u8).map(|index| step * f32::from(index));
        (path, "clock".to_owned(), 1, 1_795_225_011, values.map(f32::to_bits).collect())
    };
    assert_eq!(found[0], expected(None, 1.0));
    assert!(found.contains(&expected(Some("cpu0"), 10.0)), "{found:?}");
    assert_eq!(found.len(), 4);

    let mut level = Level::default();
    for (path, metric, frequency, start, values) in found {
        let values = values.into_iter().map(|bits| f64::from(f32::from_bits(bits))).collect();
        let series = (metric, frequency, start, values);
        match path.first() {
            None => level.series.push(series),
            Some(name) => {
                level.children.push((name.clone(), Level { series: vec![series], children: Vec::new() }));
            }
        }
    }
    assert_eq!(encode(Kind::Binary, 1_795_225_011, 1_795_225_019, &level).0, REFERENCE_BIN);
}

#[test]
fn what_is_empty_is_left_out() {
    for kind in [Kind::Binary, Kind::Json] {
        let mut level = small();
        let mut hollow = Level::default();
        hollow.series.push(("clock".to_owned(), 1, FROM, Vec::new()));
        hollow.children.push(("deeper".to_owned(), Level::default()));
        for at in [0, 1, 3] {
            level.children.insert(at, (format!("hollow{at}"), hollow.clone()));
        }
        level.series.insert(1, ("mem_bw".to_owned(), 60, FROM, Vec::new()));
        assert_eq!(encode(kind, FROM, FROM + 20, &level), encode(kind, FROM, FROM + 20, &small()));

        let (bytes, count) = encode(kind, 1, 2, &hollow);
        assert_eq!(count, 0);
        assert_eq!(rows(kind, &bytes), (Ok(SnapshotHeader { from: 1, to: 2 }), Vec::new()));
    }
}

#[test]
fn json_of_other_writers_is_read() {
    let text = br#" { "to" : null, "extra":[{"a":[1,-0.5e+3,true,false,null,"x"]},{}],
        "children":{"a\u0062\n":{"from":1,"to":"x","children":null,"metrics":{
            "m":{"data":[1, null ,2e0,-0, 1e39],"unit":"s","start":7,"frequency":3,"data":[4.25,1e39]}}},
            "empty":null},
        "metrics":{"none":{"frequency":1,"start":0,"data":null}}, "from":5 }  "#;
    let (header, found) = rows(Kind::Json, text);
    assert_eq!(header, Ok(SnapshotHeader { from: 5, to: 0 }));
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let expected: [Row; 2] = [
        (vec!["ab\n".to_owned()], "m".to_owned(), 3, 7, bits(&[4.25, f32::INFINITY])),
        (vec![], "none".to_owned(), 1, 0, vec![]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_value_beyond_the_largest_f32_becomes_that() {
    let values = vec![1e39, -1e300, f64::MAX, f64::NAN, f64::from(f32::MAX)];
    let level = Level { series: vec![("m".to_owned(), 1, 0, values)], children: Vec::new() };
    for kind in [Kind::Binary, Kind::Json] {
        let (_, found) = rows(kind, &encode(kind, 0, 1, &level).0);
        let expected = [f32::MAX, -f32::MAX, f32::MAX, f32::NAN, f32::MAX].map(f32::to_bits);
        assert_eq!(found[0].4, expected, "{kind:?}");
    }
}

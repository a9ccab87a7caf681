//! Archive files are read back with the library's reader and held against a naive merge.

use std::collections::BTreeMap;

use bytes::Bytes;
use parquet::basic::Type as PhysicalType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use super::schema::{COLUMNS, properties};
use super::{ArchiveWriter, HostRows, Scope};
use crate::checkpoint::Kind;
use crate::checkpoint::testing::{Level, any_level, encode, rows as snapshot_rows, table};

/// Cluster, host, metric, scope, scope id, time, frequency, bits of the value.
type ArchiveRow = (String, String, String, String, String, i64, i64, u32);

/// All rows of a file, and how many each row group has.
fn read(file: Vec<u8>) -> (Vec<ArchiveRow>, Vec<i64>) {
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        let text = |column| row.get_string(column).unwrap().clone();
        (
            text(0),
            text(1),
            text(2),
            text(3),
            text(4),
            row.get_long(5).unwrap(),
            row.get_long(6).unwrap(),
            row.get_float(7).unwrap().to_bits(),
        )
    });
    (rows.collect(), groups)
}

/// A host's snapshots.
type Snapshots = Vec<(Kind, Vec<u8>)>;

/// The file of some hosts.
fn archive(cluster: &str, hosts: &[(&str, Snapshots)]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(cluster).unwrap();
    let mut file = Vec::new();
    for (host, snapshots) in hosts {
        let mut rows = HostRows::default();
        for (kind, bytes) in snapshots {
            rows.add(*kind, bytes).unwrap();
        }
        writer.begin_host(host, rows);
        while writer.write_rows().unwrap() {
            file.extend(writer.take_bytes().unwrap());
        }
        file.extend(writer.take_bytes().unwrap());
    }
    file.extend(writer.finish().unwrap());
    file
}

fn level(series: &[(&str, i64, i64, &[f64])], children: Vec<(&str, Level)>) -> Level {
    Level {
        series: series
            .iter()
            .map(|&(metric, frequency, start, values)| (metric.to_owned(), frequency, start, values.to_vec()))
            .collect(),
        children: children.into_iter().map(|(name, level)| (name.to_owned(), level)).collect(),
    }
}

fn bin(level: &Level) -> (Kind, Vec<u8>) {
    (Kind::Binary, encode(Kind::Binary, 0, 0, level).0)
}

#[test]
fn rows_are_sorted_later_snapshots_win_and_missing_values_are_none() {
    let old = level(
        &[("power", 60, 1000, &[1.0, 2.0, f64::NAN, 4.0])],
        vec![("socket0", level(&[("power", 60, 1000, &[10.0]), ("clock", 10, 1000, &[5.0])], vec![]))],
    );
    let new = level(&[("power", 60, 1060, &[f64::NAN, 3.5, 4.5])], vec![]);
    let other = level(&[("power", 60, 0, &[7.0])], vec![]);
    let file =
        archive("c", &[("a", vec![bin(&old), bin(&new)]), ("b", vec![bin(&other)]), ("empty", vec![])]);
    let (rows, groups) = read(file);
    let row = |host: &str, metric: &str, scope: &str, id: &str, time, frequency, value: f32| {
        let text = str::to_owned;
        (text("c"), text(host), text(metric), text(scope), text(id), time, frequency, value.to_bits())
    };
    assert_eq!(
        rows,
        [
            row("a", "clock", "socket", "0", 1000, 10, 5.0),
            row("a", "power", "node", "", 1000, 60, 1.0),
            row("a", "power", "socket", "0", 1000, 60, 10.0),
            row("a", "power", "node", "", 1060, 60, 2.0),
            row("a", "power", "node", "", 1120, 60, 3.5),
            row("a", "power", "node", "", 1180, 60, 4.5),
            row("b", "power", "node", "", 0, 60, 7.0),
        ]
    );
    assert_eq!(groups, [6, 1]);
}

#[test]
fn a_host_of_very_many_rows_has_several_row_groups_in_order() {
    let values: Vec<f64> =
        (0..crate::limits::ARCHIVE_ROW_GROUP_ROWS_MAX + 5).map(|value| value as f64).collect();
    let file = archive("c", &[("a", vec![bin(&level(&[("power", 1, 0, &values)], vec![]))])]);
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let groups = reader.metadata().row_groups();
    assert_eq!(groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(), [4 * 1024 * 1024, 5]);
    assert_eq!(groups[0].sorting_columns().unwrap().len(), 4);
}

#[test]
fn the_document_lists_the_columns_as_they_are() {
    let document = include_str!("../../../docs/format/archive.md");
    let rows = table(document, "Columns");
    assert_eq!(rows.len(), COLUMNS.len());
    let properties = properties().unwrap();
    for (row, (name, physical)) in rows.iter().zip(COLUMNS) {
        let column = ColumnPath::from(name);
        let kind = match physical {
            PhysicalType::BYTE_ARRAY => "string",
            PhysicalType::INT64 => "int64",
            _ => "float",
        };
        let encoding = match properties.encoding(&column) {
            _ if properties.dictionary_enabled(&column) => "dictionary".to_owned(),
            encoding => encoding.unwrap().to_string(),
        };
        assert_eq!(row[..3], [&format!("`{name}`"), kind, &encoding]);
    }
    let rows_max = crate::limits::ARCHIVE_ROW_GROUP_ROWS_MAX;
    let thousands = format!("{},{:03},{:03}", rows_max / 1_000_000, rows_max / 1000 % 1000, rows_max % 1000);
    assert!(document.contains(&format!("more than {thousands} rows")), "{thousands}");
}

proptest! {
    #[test]
    fn rows_are_those_of_a_naive_merge(levels in prop::collection::vec(any_level(), 1..4)) {
        let mut expected = BTreeMap::new();
        for level in &levels {
            for (path, metric, frequency, start, values) in snapshot_rows(Kind::Binary, &bin(level).1).1 {
                for (slot, value) in (0..).zip(values) {
                    if !f32::from_bits(value).is_nan() {
                        let time = start + slot * frequency;
                        expected.insert((metric.clone(), time, path.clone()), (frequency, value));
                    }
                }
            }
        }
        let (rows, _) = read(archive("c", &[("h", levels.iter().map(bin).collect())]));
        let expected: Vec<ArchiveRow> = expected
            .into_iter()
            .map(|((metric, time, path), (frequency, value))| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let Scope { scope, id } = Scope::of(&path);
                ("c".to_owned(), "h".to_owned(), metric, scope.to_owned(), id.to_owned(), time, frequency, value)
            })
            .collect();
        prop_assert_eq!(rows, expected);
    }
}

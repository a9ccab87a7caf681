//! For tests of formats: byte tables of documents, and a snapshot as a list that can be compared.

use proptest::prelude::*;

use super::field::Field;
use super::json::JsonSnapshotEncoder;
use super::{Kind, SnapshotEncoder, SnapshotError, SnapshotHeader, SnapshotSeries, SnapshotSink, decode_as};

/// The cells of the table below a heading, without its two lines of head.
pub(crate) fn table<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let title = format!("## {heading}");
    let lines = document.lines().skip_while(|line| *line != title).skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    let rows = section.filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Holds the byte tables of a document against the fields of a format.
pub(crate) fn assert_tables(document: &str, groups: &[(&str, &[Field])]) {
    for (heading, fields) in groups {
        let rows = table(document, heading);
        let mut next_bytes = 0;
        for (index, field) in fields.iter().enumerate() {
            assert_eq!(field.offset_bytes, next_bytes, "{heading}: {} leaves a gap", field.name);
            next_bytes = field.end_bytes();
            let row = rows.get(index).unwrap_or_else(|| panic!("{heading}: no row for {}", field.name));
            let (offset, size) = (field.offset_bytes.to_string(), field.size_bytes.to_string());
            assert_eq!(row[..4], [&offset, &size, field.kind, field.name], "{heading}");
        }
        match &rows[fields.len()..] {
            [] => {}
            [rest] => {
                assert_eq!(rest[..2], [&next_bytes.to_string(), "…"], "{heading}: what follows the fields");
            }
            rows => panic!("{heading}: rows without fields: {rows:?}"),
        }
    }
    let tables = document.lines().filter(|line| line.starts_with("| offset")).count();
    assert_eq!(tables, groups.len(), "a table without fields, or fields without a table");
}

/// A series of a snapshot, its values by their bits so that NaN equals NaN.
pub(crate) type Row = (Vec<String>, String, i64, i64, Vec<u32>);

/// All series of a snapshot; what the visitor saw of a file that is refused.
pub(crate) fn rows(kind: Kind, bytes: &[u8]) -> (Result<SnapshotHeader, SnapshotError>, Vec<Row>) {
    let mut rows = Vec::new();
    let result = decode_as(kind, bytes, &mut |series: SnapshotSeries<'_>| {
        assert_eq!(series.values.len(), series.values.clone().count());
        rows.push((
            series.path.iter().map(|&name| name.to_owned()).collect(),
            series.metric.to_owned(),
            series.frequency,
            series.start,
            series.values.map(f32::to_bits).collect(),
        ));
    });
    (result, rows)
}

/// A level of the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    pub(crate) series: Vec<(String, i64, i64, Vec<f64>)>,
    pub(crate) children: Vec<(String, Level)>,
}

impl Level {
    pub(crate) fn write(&self, sink: &mut impl SnapshotSink) {
        for (metric, frequency, start, values) in &self.series {
            sink.series(metric, *frequency, *start, values.iter().copied());
        }
        for (name, child) in &self.children {
            sink.open_level(name);
            child.write(sink);
            sink.close_level();
        }
    }

    /// What a decoder should hand on.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.push_rows(&mut Vec::new(), &mut rows);
        rows
    }

    fn push_rows(&self, path: &mut Vec<String>, rows: &mut Vec<Row>) {
        for (metric, frequency, start, values) in self.series.iter().filter(|series| !series.3.is_empty()) {
            let bits = values.iter().map(|&value| match value as f32 {
                rounded if rounded.is_nan() => f32::NAN,
                rounded if rounded.is_infinite() => f32::MAX.copysign(rounded),
                rounded => rounded,
            });
            rows.push((path.clone(), metric.clone(), *frequency, *start, bits.map(f32::to_bits).collect()));
        }
        for (name, child) in &self.children {
            path.push(name.clone());
            child.push_rows(path, rows);
            path.pop();
        }
    }
}

/// The file of a model, and how many series the encoder counted.
pub(crate) fn encode(kind: Kind, from: i64, to: i64, level: &Level) -> (Vec<u8>, u64) {
    match kind {
        Kind::Binary => {
            let mut encoder = SnapshotEncoder::new(from, to);
            level.write(&mut encoder);
            encoder.finish()
        }
        Kind::Json => {
            let mut encoder = JsonSnapshotEncoder::new(from, to);
            level.write(&mut encoder);
            encoder.finish()
        }
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e6..1e6f64,
        2 => Just(f64::NAN),
        1 => any::<f64>().prop_filter("samples are finite or missing", |value| !value.is_infinite()),
        1 => any::<f32>().prop_filter("samples are finite or missing", |value| value.is_finite()).prop_map(f64::from),
        1 => prop::sample::select(vec![0.0, -0.0, 0.1, 1.0, 1e300, -1e300, f64::MIN_POSITIVE, f64::from(f32::MAX), 3.5e38]),
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,8}[0-9]{0,2}",
        1 => any::<String>(),
        1 => prop::sample::select(vec!["", "\"", "\\", "\u{0}\u{1f}", "a\u{2028}b", "00000000:49:00.0", "\u{1f600}"]).prop_map(str::to_owned),
    ]
}

/// A random tree.
pub(crate) fn any_level() -> impl Strategy<Value = Level> {
    let series = || {
        let one =
            (any_name(), 1..3600i64, -1000..4_000_000_000i64, prop::collection::vec(any_value(), 0..20));
        prop::collection::vec(one, 0..4)
    };
    let leaf = series().prop_map(|series| Level { series, children: Vec::new() });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let children = prop::collection::vec((any_name(), inner), 0..4);
        (series(), children).prop_map(|(series, children)| Level { series, children })
    })
}

//! Messages and what becomes of them, up to the lines.

use proptest::prelude::*;

use super::MessageError;
use super::lines::{LabelNames, LineWriter, Skipped};
use super::message::{MessageReader, Sample, TimeSeries, decompress};
use crate::config::{Aggregation, Metric, Metrics};
use crate::limits;
use crate::line::key;

fn series<'a>(labels: &[(&'a str, &'a str)], samples: &[(f64, i64)]) -> TimeSeries<'a> {
    let sample = |&(value, timestamp_ms): &(f64, i64)| Sample { value, timestamp_ms };
    TimeSeries { labels: labels.to_vec(), samples: samples.iter().map(sample).collect() }
}

/// A field that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut field).unwrap();
    field.extend_from_slice(content);
    field
}

fn message(all: &[TimeSeries<'_>]) -> Vec<u8> {
    let mut message = Vec::new();
    for series in all {
        let mut parts = Vec::new();
        for (name, value) in &series.labels {
            parts.extend(field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        for sample in &series.samples {
            let mut part = vec![1 << 3 | 1];
            part.extend(sample.value.to_le_bytes());
            part.push(2 << 3);
            prost::encode_length_delimiter(sample.timestamp_ms as usize, &mut part).unwrap();
            parts.extend(field(2, &part));
        }
        message.extend(field(1, &parts));
    }
    message
}

fn writer(names: LabelNames) -> LineWriter {
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::None };
    let names_of_metrics = ["cpu_load", "nv-temp", "a:b", "nv_temp2", "odd name,x"];
    LineWriter::new(names, &Metrics::new(names_of_metrics.map(metric).to_vec()).unwrap())
}

fn lines_of(writer: &LineWriter, series: &TimeSeries<'_>) -> (String, Skipped) {
    let (mut lines, mut skipped) = (Vec::new(), Skipped::default());
    writer.push_series(series, &mut lines, &mut skipped);
    (String::from_utf8(lines).unwrap(), skipped)
}

fn read_all(message: &[u8]) -> Result<Vec<TimeSeries<'_>>, MessageError> {
    let mut reader = MessageReader::new(message);
    let (mut all, mut series) = (Vec::new(), TimeSeries::default());
    while reader.next_series(&mut series)? {
        all.push(series.clone());
    }
    assert_eq!(reader.bytes_left(), 0);
    Ok(all)
}

#[test]
fn labels_become_metric_cluster_host_and_level() {
    let writer = writer(LabelNames::default());
    for (labels, line) in [
        (
            &[("__name__", "cpu_load"), ("cluster", "c"), ("instance", "n1:9100"), ("job", "node")][..],
            "cpu_load,cluster=c,hostname=n1",
        ),
        (&[("__name__", "cpu_load"), ("host", "n1"), ("instance", "n2:9100")], "cpu_load,hostname=n1"),
        (&[("__name__", "cpu_load"), ("host", "n1"), ("hostname", "n2")], "cpu_load,hostname=n2"),
        (&[("__name__", "cpu_load"), ("instance", "[2001:db8::1]:9100")], "cpu_load,hostname=2001:db8::1"),
        (&[("__name__", "cpu_load"), ("instance", "2001:db8::1")], "cpu_load,hostname=2001:db8::1"),
        (&[("__name__", "cpu_load"), ("instance", "n1:http")], "cpu_load,hostname=n1:http"),
        (&[("__name__", "cpu_load")], "cpu_load"),
        (&[("__name__", "nv_temp"), ("host", "n")], "nv-temp,hostname=n"),
        (&[("__name__", "a:b"), ("host", "n")], "a:b,hostname=n"),
        (&[("__name__", "odd name,x"), ("host", "n")], "odd\\ name\\,x,hostname=n"),
        (&[("__name__", "cpu_load"), ("host", "a b,c=d\\,")], "cpu_load,hostname=a\\ b\\,c\\=d\\\\,"),
        (
            &[("__name__", "cpu_load"), ("host", "n"), ("type", "hwthread"), ("type_id", "3")],
            "cpu_load,hostname=n,type=hwthread,type-id=3",
        ),
        (
            &[
                ("__name__", "cpu_load"),
                ("host", "n"),
                ("type", "socket"),
                ("type-id", "0"),
                ("stype", "dimm"),
                ("stype-id", "1"),
            ],
            "cpu_load,hostname=n,type=socket,type-id=0,stype=dimm,stype-id=1",
        ),
        (&[("__name__", "cpu_load"), ("host", "n"), ("scope", "node")], "cpu_load,hostname=n"),
        (
            &[("__name__", "cpu_load"), ("host", "n"), ("scope", "hwthread"), ("id", "3")],
            "cpu_load,hostname=n,type=hwthread,type-id=3",
        ),
        (
            &[("__name__", "cpu_load"), ("host", "n"), ("scope", "dimm1"), ("parent", "socket0")],
            "cpu_load,hostname=n,type=socket0,stype=dimm1",
        ),
        (&[("__name__", "cpu_load"), ("host", "n"), ("id", "/system.slice")], "cpu_load,hostname=n"),
    ] {
        let (lines, skipped) = lines_of(&writer, &series(labels, &[(1.5, 1_700_000_000_999)]));
        assert_eq!(lines, format!("{line} value=1.5 1700000000\n"), "{labels:?}");
        assert_eq!(skipped, Skipped::default(), "{labels:?}");
    }
    let own = LabelNames { cluster: "site".to_owned(), hosts: vec!["node".to_owned()], keeps_port: true };
    let labels = [("__name__", "cpu_load"), ("site", "s"), ("node", "n:1"), ("host", "h"), ("cluster", "c")];
    let (lines, _) = lines_of(&self::writer(own), &series(&labels, &[(0.0, 1000)]));
    assert_eq!(lines, "cpu_load,cluster=s,hostname=n:1 value=0 1\n");
}

#[test]
fn what_is_no_line_is_counted() {
    let writer = writer(LabelNames::default());
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let samples = [(1.0, 1000), (stale, 2000), (f64::NAN, 3000), (f64::INFINITY, 4000), (-2.5e-300, -1)];
    let (lines, skipped) = lines_of(&writer, &series(&[("__name__", "cpu_load"), ("host", "n")], &samples));
    assert_eq!(lines, "cpu_load,hostname=n value=1 1\ncpu_load,hostname=n value=-2.5e-300 -1\n");
    assert_eq!(skipped, Skipped { valueless: 3, ..Skipped::default() });
    for labels in [&[("__name__", "unknown"), ("host", "n")][..], &[("host", "n")], &[]] {
        let (lines, skipped) = lines_of(&writer, &series(labels, &samples));
        assert_eq!((&*lines, skipped), ("", Skipped { unconfigured: 5, ..Skipped::default() }), "{labels:?}");
    }
    for host in ["a\nb", "a\\", "a\u{0}"] {
        let (lines, skipped) =
            lines_of(&writer, &series(&[("__name__", "cpu_load"), ("host", host)], &samples));
        assert_eq!((&*lines, skipped), ("", Skipped { unnameable: 5, ..Skipped::default() }), "{host:?}");
    }
    let deep = [("__name__", "cpu_load"), ("host", "n"), ("scope", "x"), ("parent", "a/b")];
    assert_eq!(lines_of(&writer, &series(&deep, &samples)).1.unnameable, 5);
}

#[test]
fn messages_are_read_whatever_else_is_in_them() {
    let first = series(&[("__name__", "a")], &[(1.0, 2)]);
    let second = series(&[("__name__", "b"), ("c", "\u{e9}")], &[(1.0, 2), (3.0, -4)]);
    let mut bytes = message(std::slice::from_ref(&first));
    // Metadata, and fields of every kind that nobody knows.
    bytes.extend([
        3 << 3 | 2,
        3,
        8,
        1,
        0,
        4 << 3,
        0x85,
        0x01,
        5 << 3 | 1,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        6 << 3 | 5,
        1,
        2,
        3,
        4,
    ]);
    bytes.extend(message(std::slice::from_ref(&second)));
    assert_eq!(read_all(&bytes).unwrap(), [first, second]);
    assert_eq!(read_all(&[]).unwrap(), []);
    let compressed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    assert_eq!(decompress(&compressed).unwrap(), bytes);
}

#[test]
fn what_is_no_message_is_an_error_that_says_why() {
    let bytes = message(&[series(&[("__name__", "a")], &[(1.0, 2)])]);
    for length in 1..bytes.len() {
        assert!(matches!(read_all(&bytes[..length]), Err(MessageError::Message(_))), "{length}");
    }
    for wrong in
        [&[10, 3, 10, 1, 0][..], &[10, 4, 10, 2, 10, 9], &[11], &[10, 5, 10, 3, 10, 1, 0xff], &[0xff; 12]]
    {
        assert!(matches!(read_all(wrong), Err(MessageError::Message(_))), "{wrong:?}");
    }
    let long = "x".repeat(limits::REMOTE_WRITE_SERIES_BYTES_MAX);
    let huge = series(&[("a", &long)], &[]);
    assert!(matches!(read_all(&message(&[huge])), Err(MessageError::SeriesTooLong { .. })));
    assert!(matches!(decompress(b""), Err(MessageError::Compression(_))));
    assert!(matches!(decompress(b"\x05\x00"), Err(MessageError::Compression(_))));
    // Four gigabytes are announced.
    let announced = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert!(matches!(decompress(&announced), Err(MessageError::TooLong { .. })));
}

proptest! {
    /// Names of any letters come out of the line as they went in.
    #[test]
    fn lines_say_what_labels_said(cluster in "\\PC{1,9}", host in "\\PC{1,9}", kind in "\\PC{1,5}", id in "\\PC{0,5}", value: f64, seconds in 0..2_000_000_000i64) {
        let labels = [("__name__", "cpu_load"), ("cluster", &*cluster), ("hostname", &*host), ("type", &*kind), ("type_id", &*id)];
        let names = LabelNames { keeps_port: true, ..LabelNames::default() };
        let (lines, skipped) = lines_of(&writer(names), &series(&labels, &[(value, seconds * 1000 + 7)]));
        if [&cluster, &host, &kind, &id].iter().any(|text| text.ends_with('\\')) {
            prop_assert_eq!(skipped, Skipped { unnameable: 1, ..Skipped::default() });
            return Ok(());
        }
        if !value.is_finite() {
            prop_assert_eq!(skipped, Skipped { valueless: 1, ..Skipped::default() });
            return Ok(());
        }
        let length = key::key_length(lines.as_bytes());
        let (raw, rest) = lines.split_at(length);
        let key = key::parse(raw.as_bytes(), "").unwrap();
        prop_assert_eq!((&*key.cluster, &*key.host), (&*cluster, &*host));
        if kind != "node" {
            let scope = key.scope.unwrap();
            prop_assert_eq!((&*scope.kind, &*scope.id), (&*kind, &*id));
        }
        let (read, time) = rest.strip_prefix(" value=").unwrap().split_once(' ').unwrap();
        prop_assert_eq!(read.parse::<f64>().unwrap().to_bits(), value.to_bits());
        prop_assert_eq!(time, format!("{seconds}\n"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decompress(&bytes);
        let _ = read_all(&bytes);
    }
}

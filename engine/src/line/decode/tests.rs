//! The decoder against a table of good and bad lines, and against itself over chunk borders.

use proptest::prelude::*;

use super::*;
use crate::config::{Aggregation, Metric, Metrics};

pub(super) const NOW: i64 = 1_700_000_500;

/// One decoded sample with its names: path joined by `/`, metric, time, value.
pub(super) type Row = (String, String, i64, f64);

fn router(cores: usize) -> Router {
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    let names = ["cpu_load", "cpu_user", "cpu_a=b", "flops_any", "mem used", "a,b"];
    Router::new(Metrics::new(names.iter().map(|name| metric(name)).collect()).unwrap(), cores, 1)
}

/// Decodes chunks and resolves what came out, as an owner would.
fn decode(chunks: &[&[u8]], bad_line: BadLine) -> (Vec<Row>, Counts, Option<LineError>) {
    decode_dialect(chunks, bad_line, Dialect::default())
}

/// As [`decode`], from a client that speaks this dialect.
pub(super) fn decode_dialect(
    chunks: &[&[u8]],
    bad_line: BadLine,
    dialect: Dialect,
) -> (Vec<Row>, Counts, Option<LineError>) {
    let mut router = router(3);
    let mut outbox = Outbox::new(3);
    let mut stream = LineStream::of_dialect(bad_line, dialect);
    let mut error = None;
    for chunk in chunks {
        if let Err(found) = stream.push(&mut router, "default", NOW, chunk, &mut outbox) {
            error = Some(found);
            break;
        }
    }
    if error.is_none() {
        error = stream.finish(&mut router, "default", NOW, &mut outbox).err();
    }
    let mut rows = Vec::new();
    for (core, samples) in outbox.samples.into_iter().enumerate() {
        let batch = router.seal(core, samples);
        for sample in batch.samples {
            let declared = batch.declarations.get(sample.link as usize).unwrap();
            let metric = router.metrics.get(declared.metric).name.to_string();
            rows.push((declared.path().collect::<Vec<_>>().join("/"), metric, sample.time, sample.value));
        }
    }
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    (rows, stream.counts, error)
}

fn good(text: &str) -> Vec<Row> {
    let (rows, counts, error) = decode(&[text.as_bytes()], BadLine::Stop);
    assert_eq!(error, None, "{text:?}");
    assert_eq!(counts.samples as usize, rows.len());
    rows
}

pub(super) fn row(path: &str, metric: &str, time: i64, value: f64) -> Row {
    (path.to_owned(), metric.to_owned(), time, value)
}

#[test]
fn good_lines() {
    for (text, expected) in [
        ("cpu_load,cluster=c,hostname=h value=1.5 1700000000\n", row("c/h", "cpu_load", 1_700_000_000, 1.5)),
        ("cpu_load,hostname=h value=1.5 1700000000", row("default/h", "cpu_load", 1_700_000_000, 1.5)),
        ("cpu_load,hostname=h value=1.5 1700000000\r\n", row("default/h", "cpu_load", 1_700_000_000, 1.5)),
        ("cpu_load,hostname=h value=1.5\n", row("default/h", "cpu_load", NOW, 1.5)),
        ("cpu_load,hostname=h value=1.5 \r\n", row("default/h", "cpu_load", NOW, 1.5)),
        (
            "cpu_load,hostname=h   value=1.5   1700000000   \n",
            row("default/h", "cpu_load", 1_700_000_000, 1.5),
        ),
        ("   cpu_load,hostname=h value=4i 1700000000\n", row("default/h", "cpu_load", 1_700_000_000, 4.0)),
        ("cpu_load,hostname=h value=4u 1700000000123\n", row("default/h", "cpu_load", 1_700_000_000, 4.0)),
        (
            "cpu_load,hostname=h value=-1e-1 1700000000999999999\n",
            row("default/h", "cpu_load", 1_700_000_000, -0.1),
        ),
        ("mem\\ used,hostname=h value=1 1\n", row("default/h", "mem used", 1, 1.0)),
        ("a\\,b,hostname=h value=1 1\n", row("default/h", "a,b", 1, 1.0)),
        (
            "flops_any,hostname=h,type=hwthread,type-id=3 value=1 1\n",
            row("default/h/hwthread3", "flops_any", 1, 1.0),
        ),
        (
            "flops_any,hostname=h,type=socket,type-id=0,stype=memctrl,stype-id=1 value=1 -5\n",
            row("default/h/socket0/memctrl1", "flops_any", -5, 1.0),
        ),
    ] {
        assert_eq!(good(text), [expected], "{text:?}");
    }
}

#[test]
fn lines_that_say_nothing() {
    for text in ["", "\n", "\r\n", "   \n", "# comment\n", "  # comment \"\n", "#\n\n\n", "\n\r\n  \r\n"] {
        assert_eq!(good(text), [], "{text:?}");
    }
}

#[test]
fn unconfigured_metrics_are_skipped_whatever_they_look_like() {
    // Once the stream has shown a line.
    let before = "cpu_load,hostname=before value=1 1\n";
    for text in [
        "event,hostname=h message=\"two\nlines\" 1700000000\n",
        "log message=\"quote \\\" and\ncpu_load,hostname=x value=1 1\n\" 17\n",
        "=1\n",
        "foo\n",
        "control,a=b,, x\n",
        "cpu_loadx,hostname=h value=1\n",
        "cpu_loa,hostname=h value=1\n",
    ] {
        for (before, extra) in [(before, 0), ("log text=\"good\"\n", 1)] {
            let text = format!("{before}{text}cpu_load,hostname=h value=2 7\n");
            assert!(good(&text).contains(&row("default/h", "cpu_load", 7, 2.0)), "{text:?}");
            let (_, counts, _) = decode(&[text.as_bytes()], BadLine::Stop);
            assert_eq!(counts.unconfigured, 1 + extra, "{text:?}");
        }
    }
}

#[test]
fn a_first_line_of_another_format_is_bad() {
    for first in ["", "\n", "# comment\n", "  \r\n"] {
        for (text, looks_like) in [
            ("foo\n", None),
            ("=1\n", None),
            ("[{\"metric\":\"cpu_load\",\"value\":1}]", Some("JSON")),
            ("{\n\"metric\": \"cpu_load\"\n}\n", Some("JSON")),
            ("cpu_load{hostname=\"h\"} 1\n", Some("the text format of Prometheus")),
            ("cpu_load.h 1 1700000000\n", Some("the plain text of Graphite or Prometheus")),
            // A configured metric, without a host, but without a value as well.
            ("cpu_load 1 1700000000\n", Some("the plain text of Graphite or Prometheus")),
            ("put cpu_load 1700000000 1 hostname=h\n", Some("OpenTSDB's telnet protocol")),
            ("#group,false\n,result,table\n", Some("CSV")),
            ("\n\x08cpu_load\x12\x01", None),
            ("#\x02\x03\n", None),
        ] {
            let text = format!("{first}{text}");
            let (rows, _, error) = decode(&[text.as_bytes()], BadLine::Stop);
            let error = error.unwrap_or_else(|| panic!("{text:?} was accepted"));
            assert_eq!((rows.len(), error.looks_like), (0, looks_like), "{text:?}: {error}");
            let (_, counts, _) = decode(&[text.as_bytes()], BadLine::Skip);
            assert!(counts.bad > 0 && counts.unconfigured == 0, "{text:?}");
        }
    }
    let (_, _, error) = decode(&[b"{\"a\":1}"], BadLine::Stop);
    let said = error.unwrap().to_string();
    assert!(said.contains("line protocol is expected") && said.contains("looks like JSON"), "{said}");
}

#[test]
fn names_are_text_whether_their_metric_is_configured_or_not() {
    for byte in (0..=31).chain([127]).filter(|&byte| byte != b'\n') {
        let bad = |line: &str| line.bytes().map(|b| if b == b'?' { byte } else { b }).collect::<Vec<_>>();
        for line in [
            "cpu_load,hostname=h? value=1",
            "cpu_load?,hostname=h value=1",
            "event?,hostname=h text=\"a\"",
            "?event text=\"a\"",
            "cpu_load,hostname=h,unit=? value=1",
            "cpu_load,hostname=h,cluster=c? value=1",
        ] {
            let text = [b"cpu_load,hostname=good value=1 1\n", &bad(line)[..], b"\n"].concat();
            for dialect in [Dialect::default(), Dialect { field_metrics: true, ..Dialect::default() }] {
                let (_, counts, error) = decode_dialect(&[&text], BadLine::Skip, dialect);
                assert_eq!((error, counts.samples, counts.bad), (None, 1, 1), "{byte} {line}");
                let fault = counts.first_bad.unwrap().fault;
                assert_eq!(fault, Fault::ControlCharacter, "{byte} {line}");
            }
        }
    }
    let (_, counts, _) = decode(&[b"event\xff text=\"a\"\ncpu_load,hostname=\xe4 value=1\n"], BadLine::Skip);
    assert_eq!((counts.bad, counts.first_bad.unwrap().fault), (2, Fault::NotUtf8));
    assert_eq!(good("\u{e4} text=\"a\"\ncpu_load,hostname=\u{e4} value=1 1\n").len(), 1);
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_start_alone() {
    let text = b"\xef\xbb\xbfcpu_load,hostname=h value=1 1\n";
    for size in 1..8 {
        let (rows, _, error) = decode(&text.chunks(size).collect::<Vec<_>>(), BadLine::Stop);
        assert_eq!((rows, error), (vec![row("default/h", "cpu_load", 1, 1.0)], None), "{size}");
        let (rows, counts, _) =
            decode(&[text, &text[..]].concat().chunks(size).collect::<Vec<_>>(), BadLine::Skip);
        assert_eq!((rows.len(), counts.unconfigured), (1, 1), "in the middle it is a part of a name");
    }
    for text in [&b""[..], b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\n", b"#a"] {
        assert_eq!(decode(&[text], BadLine::Stop).2, None, "{text:?}");
    }
}

#[test]
fn what_is_compressed_or_utf_16_is_told_so() {
    let utf_16 =
        |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let line = "cpu_load,hostname=h value=1 1\n";
    for (text, fault) in [
        (b"\x1f\x8b\x08\x00\x00\n".to_vec(), Fault::Gzip),
        (b"\x28\xb5\x2f\xfd\x20\n".to_vec(), Fault::Zstd),
        (utf_16(&format!("\u{feff}{line}"), u16::to_le_bytes), Fault::Utf16),
        (utf_16(&format!("\u{feff}{line}"), u16::to_be_bytes), Fault::Utf16),
        (utf_16(line, u16::to_le_bytes), Fault::Utf16),
        (utf_16(line, u16::to_be_bytes), Fault::Utf16),
    ] {
        for size in [1, 3, 1000] {
            let chunks: Vec<_> = text.chunks(size).collect();
            let (rows, _, error) = decode(&chunks, BadLine::Stop);
            assert_eq!((rows.len(), error.map(|error| (error.line, error.fault))), (0, Some((1, fault))));
            let (rows, counts, error) = decode(&chunks, BadLine::Skip);
            assert_eq!((rows.len(), error, counts.first_bad.unwrap().fault), (0, None, fault));
            assert!(counts.bad > 0);
        }
    }
}

#[test]
fn an_open_quote_ends_with_its_line() {
    let rows = good("log message=\"open\ncpu_load,hostname=h value=2 7\n");
    assert_eq!(rows, [row("default/h", "cpu_load", 7, 2.0)]);
}

#[test]
fn bad_lines_stop_a_request_and_say_where() {
    for (bad, column, fault) in [
        ("cpu_load,cluster=c,hostname=h", 30, Fault::FieldMissing),
        ("cpu_load,cluster=c,hostname=h 1700000000", 31, Fault::FieldMissing),
        ("cpu_load,cluster=c,hostname=h foo=1 1700000000", 31, Fault::FieldName),
        ("cpu_load,cluster=c,hostname=h value=1,foo=2 17", 38, Fault::FieldSecond),
        ("cpu_load,cluster=c,hostname=h value=1,value=2 17", 38, Fault::FieldSecond),
        ("cpu_load,cluster=c,hostname=h value= 1700000000", 37, Fault::ValueSyntax),
        ("cpu_load,cluster=c,hostname=h value=1x 1700000000", 37, Fault::ValueSyntax),
        ("cpu_load,cluster=c,hostname=h value=\"str\" 1700000000", 37, Fault::ValueType),
        ("cpu_load,cluster=c,hostname=h value=true", 37, Fault::ValueType),
        ("cpu_load,cluster=c,hostname=h value=1e999", 37, Fault::ValueRange),
        ("cpu_load,cluster=c,hostname=h value=1 x", 39, Fault::TimestampSyntax),
        ("cpu_load,cluster=c,hostname=h value=1 17.5", 41, Fault::TimestampSyntax),
        ("cpu_load,cluster=c,hostname=h value=1 1700000000 x", 50, Fault::TextAfterTimestamp),
        ("cpu_load,cluster=c,hostname=h value=1 99999999999999999999", 39, Fault::TimestampRange),
        ("cpu_load,cluster=c,hostname= value=1", 29, Fault::TagEmpty),
        ("cpu_load,cluster=c,hostname value=1", 20, Fault::TagEqualsMissing),
        ("  cpu_load, value=1", 12, Fault::TagMissing),
        (",a=b value=1", 1, Fault::MeasurementMissing),
    ] {
        for prefix in ["", "cpu_load,cluster=c,hostname=h value=0 1\n# comment\n"] {
            let text = format!("{prefix}{bad}\ncpu_load,hostname=after value=1 1\n");
            let (rows, counts, error) = decode(&[text.as_bytes()], BadLine::Stop);
            let error = error.unwrap_or_else(|| panic!("{bad:?} was accepted"));
            let line = prefix.matches('\n').count() as u64 + 1;
            assert_eq!((error.line, error.column, error.fault), (line, column, fault), "{bad:?}");
            assert_eq!(rows.len() as u64, line / 2, "lines before {bad:?} are kept, those after are not");
            assert_eq!(counts.bad, 0);
        }
    }
}

#[test]
fn bad_lines_of_a_stream_are_counted_and_skipped() {
    let text = "cpu_load,hostname=a value=x 1\ncpu_load,hostname=b value=1 1\ncpu_load,hostname=c value=\"\n\" 1\n\
                cpu_load,hostname=d value=2 2\n";
    let (rows, counts, error) = decode(&[text.as_bytes()], BadLine::Skip);
    assert_eq!(error, None);
    assert_eq!(rows, [row("default/b", "cpu_load", 1, 1.0), row("default/d", "cpu_load", 2, 2.0)]);
    assert_eq!(counts.bad, 2);
    assert_eq!(counts.first_bad.unwrap().line, 1);
}

#[test]
fn overlong_lines() {
    let long = format!("cpu_load,hostname={} value=1 1", "x".repeat(limits::LINE_BYTES_MAX));
    let text = format!("cpu_load,hostname=a value=1 1\n{long}\ncpu_load,hostname=b value=1 1\n");
    for chunk in [text.len(), 100_000, 7_777] {
        let chunks: Vec<_> = text.as_bytes().chunks(chunk).collect();
        let (rows, _, error) = decode(&chunks, BadLine::Stop);
        assert_eq!(error.map(|error| (error.line, error.fault)), Some((2, Fault::TooLong)), "{chunk}");
        assert_eq!(rows.len(), 1);
        let (rows, counts, _) = decode(&chunks, BadLine::Skip);
        assert_eq!((rows.len(), counts.bad), (2, 1), "{chunk}");
    }
}

#[test]
fn names_that_cannot_be_paths_are_rejected_and_the_batch_is_kept() {
    for bad in [
        "cluster=..,hostname=h",
        "cluster=c,hostname=a/b",
        "cluster=c",
        "cluster=c,hostname=a\\b",
        "cluster=c,hostname=.",
    ] {
        let text = format!("cpu_load,{bad} value=1 1\ncpu_load,hostname=good value=1 1\n");
        let (rows, counts, error) = decode(&[text.as_bytes()], BadLine::Stop);
        assert_eq!(error, None, "{bad}");
        assert_eq!(rows, [row("default/good", "cpu_load", 1, 1.0)], "{bad}");
        assert_eq!(counts.unsafe_names, 1, "{bad}");
    }
}

#[test]
fn with_a_retention_what_is_older_is_dropped_the_first_sample_of_a_series_too() {
    let dialect = Dialect { retention_seconds: Some(100), ..Dialect::default() };
    let (oldest, newest) = (NOW - 100, NOW + limits::FUTURE_SECONDS_MAX);
    let text: String = [oldest - 1, oldest, newest, newest + 1, -99_999_999_999, 99_999_999_999, oldest - 1]
        .map(|time| format!("cpu_load,hostname=a value=1 {time}\n"))
        .concat();
    let (rows, counts, error) = decode_dialect(&[text.as_bytes()], BadLine::Stop, dialect);
    assert_eq!(error, None);
    assert_eq!(rows.iter().map(|row| row.2).collect::<Vec<_>>(), [oldest, newest]);
    assert_eq!((counts.samples, counts.too_old, counts.future, counts.dropped()), (2, 3, 2, 5));
    let (rows, counts, _) = decode(&[text.as_bytes()], BadLine::Stop);
    assert_eq!((rows.len(), counts.too_old, counts.future), (5, 0, 2), "owners know what is late");
}

#[test]
fn the_far_future_is_rejected() {
    let limit = NOW + limits::FUTURE_SECONDS_MAX;
    let text = format!("cpu_load,hostname=a value=1 {}\ncpu_load,hostname=a value=2 {limit}\n", limit + 1);
    let (rows, counts, _) = decode(&[text.as_bytes()], BadLine::Stop);
    assert_eq!(rows, [row("default/a", "cpu_load", limit, 2.0)]);
    assert_eq!(counts.future, 1);
}

#[test]
fn default_clusters_do_not_mix() {
    let mut router = router(1);
    let mut outbox = Outbox::new(1);
    for cluster in ["a", "b", "a"] {
        let mut stream = LineStream::new(BadLine::Stop);
        stream.push(&mut router, cluster, NOW, b"cpu_load,hostname=h value=1 1\n", &mut outbox).unwrap();
    }
    let batch = router.seal(0, std::mem::take(&mut outbox.samples[0]));
    let clusters: Vec<_> = batch
        .samples
        .iter()
        .map(|sample| batch.declarations.get(sample.link as usize).unwrap().path().next())
        .collect();
    assert_eq!(clusters, [Some("a"), Some("b"), Some("a")]);
}

/// Lines of all kinds, in any order.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..4u8, 0..3u8, 0..1000u32, 0..3i64).prop_map(|(host, id, value, step)| format!(
            "flops_any,cluster=c,hostname=h{host},type=hwthread,type-id={id} value={}.{:02} {}\n",
            value / 100, value % 100, NOW - 120 + 60 * step
        )),
        1 => Just("event,hostname=h text=\"two\nlines\"\n".to_owned()),
        1 => Just("event,hostname=h text=\"open\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just("cpu_load,hostname=x value=1\n".to_owned()),
        1 => Just("cpu_load,hostname=x value=oops 5\n".to_owned()),
        1 => "[ -~\n]{0,20}\n",
    ]
}

proptest! {
    /// However the bytes are cut into chunks: the same samples, counts and error position.
    #[test]
    fn chunk_borders_do_not_matter(
        lines in proptest::collection::vec(any_line(), 0..20),
        size in 1usize..90,
        stop: bool,
    ) {
        let text: String = lines.concat();
        let bad_line = if stop { BadLine::Stop } else { BadLine::Skip };
        let (rows, counts, error) = decode(&[text.as_bytes()], bad_line);
        let (cut_rows, cut_counts, cut_error) = decode(&text.as_bytes().chunks(size).collect::<Vec<_>>(), bad_line);
        prop_assert_eq!(rows, cut_rows);
        prop_assert_eq!(
            error.map(|error| (error.line, error.column, error.fault)),
            cut_error.map(|error| (error.line, error.column, error.fault))
        );
        prop_assert_eq!((counts.samples, counts.bad, counts.unconfigured), (cut_counts.samples, cut_counts.bad, cut_counts.unconfigured));
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        decode(&[&bytes], BadLine::Skip);
        decode(&[&bytes], BadLine::Stop);
    }
}

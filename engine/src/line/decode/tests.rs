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
    for text in [
        "event,hostname=h message=\"two\nlines\" 1700000000\n",
        "log message=\"quote \\\" and\ncpu_load,hostname=x value=1 1\n\" 17\n",
        "=1\n",
        "foo\n",
        "control,a=b,, x\n",
        "cpu_loadx,hostname=h value=1\n",
        "cpu_loa,hostname=h value=1\n",
    ] {
        let text = format!("{text}cpu_load,hostname=h value=2 7\n");
        assert_eq!(good(&text), [row("default/h", "cpu_load", 7, 2.0)], "{text:?}");
        let (_, counts, _) = decode(&[text.as_bytes()], BadLine::Stop);
        assert_eq!(counts.unconfigured, 1, "{text:?}");
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

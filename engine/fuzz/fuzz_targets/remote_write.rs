//! Any bytes as a message of Prometheus' `remote_write`, compressed or not: refused, or lines that the decoder can go through.

#![no_main]

use std::sync::{Arc, LazyLock};

use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, LineStream, Outbox};
use engine::remote_write::lines::{LabelNames, LineWriter, Skipped};
use engine::remote_write::message::{MessageReader, TimeSeries, decompress};
use engine::series::route::Router;
use libfuzzer_sys::fuzz_target;

static METRICS: LazyLock<Arc<Metrics>> = LazyLock::new(|| {
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    Metrics::new(["a", "nv-temp"].map(metric).to_vec()).expect("the metrics are valid")
});

fuzz_target!(|bytes: &[u8]| {
    let _ = decompress(bytes);
    let writer = LineWriter::new(LabelNames::default(), &METRICS);
    let mut reader = MessageReader::new(bytes);
    let (mut lines, mut skipped, mut samples) = (Vec::new(), Skipped::default(), 0);
    let mut series = TimeSeries::default();
    while reader.next_series(&mut series) == Ok(true) {
        samples += series.samples.len() as u64;
        writer.push_series(&series, &mut lines, &mut skipped);
    }
    let written = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert_eq!(written + skipped.unconfigured + skipped.valueless + skipped.unnameable, samples);
    let mut router = Router::new(Arc::clone(&METRICS), 1, 1);
    let (mut stream, mut outbox) = (LineStream::new(BadLine::Skip), Outbox::new(1));
    let _ = stream.push(&mut router, "c", 1_700_000_000, &lines, &mut outbox);
    let _ = stream.finish(&mut router, "c", 1_700_000_000, &mut outbox);
});

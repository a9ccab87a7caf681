//! What messages of Prometheus' `remote_write` cost the engine, from the body of a request to samples for their owners: time a sample
//! by stage, the least of some rounds, as other processes interrupt.
//!
//! `cargo run --release -p engine --example remote_write_cost -- [SERIES]`; Prometheus sends 500 to 2,000 samples at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, Dialect, LineStream, Outbox};
use engine::line::timestamp::TimeUnit;
use engine::remote_write::lines::{LabelNames, LineWriter, Skipped};
use engine::remote_write::message::{MessageReader, TimeSeries, decompress};
use engine::series::route::Router;

const ROUNDS: usize = 50;
const TIME: usize = 1_700_000_000;

/// A field that has a length; all are short.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    // Cannot fail: a list grows.
    let _ = prost::encode_length_delimiter(content.len(), &mut field);
    field.extend_from_slice(content);
    field
}

/// What node exporters look like: seven labels, one sample.
fn series(index: usize, name: &str) -> Vec<u8> {
    let labels = [
        ("__name__", name.to_owned()),
        ("cluster", "fritz".to_owned()),
        ("instance", format!("f{:04}.cluster.example.org:9100", index / 72)),
        ("job", "node".to_owned()),
        ("rack", format!("r{}", index / 1000)),
        ("type", "hwthread".to_owned()),
        ("type_id", (index % 72).to_string()),
    ];
    let mut series = Vec::new();
    for (name, value) in &labels {
        series.extend(field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
    }
    let mut sample = vec![1 << 3 | 1];
    sample.extend((1e9 + index as f64 / 7.0).to_le_bytes());
    sample.push(2 << 3);
    let _ = prost::encode_length_delimiter(TIME * 1000 + 123, &mut sample);
    series.extend(field(2, &sample));
    series
}

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2000);
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    let Ok(metrics) = Metrics::new(vec![metric("flops_any")]) else { return };
    for name in ["flops_any", "nobody_configured_this"] {
        let mut message = Vec::new();
        for index in 0..count {
            message.extend(field(1, &series(index, name)));
        }
        let Ok(body) = snap::raw::Encoder::new().compress_vec(&message) else { return };
        let writer = LineWriter::new(LabelNames::default(), &metrics);
        let mut router = Router::new(Arc::clone(&metrics), 4, 1);
        let mut least = [Duration::MAX; 4];
        for _ in 0..ROUNDS {
            let (mut lines, mut skipped) = (Vec::new(), Skipped::default());
            let begin = Instant::now();
            let Ok(message) = decompress(&body) else { return };
            let decompressed = begin.elapsed();
            let (mut reader, mut series) = (MessageReader::new(&message), TimeSeries::default());
            while reader.next_series(&mut series) == Ok(true) {
                std::hint::black_box(&series);
            }
            let read = begin.elapsed();
            let mut reader = MessageReader::new(&message);
            while reader.next_series(&mut series) == Ok(true) {
                writer.push_series(&series, &mut lines, &mut skipped);
            }
            let written = begin.elapsed();
            let dialect =
                Dialect { time_unit: TimeUnit::Seconds, field_metrics: false, retention_seconds: None };
            let mut stream = LineStream::of_dialect(BadLine::Skip, dialect);
            let mut outbox = Outbox::new(4);
            if stream.push(&mut router, "", TIME as i64, &lines, &mut outbox).is_err() {
                return;
            }
            let stages = [decompressed, read - decompressed, written - read, begin.elapsed() - written];
            for (least, took) in least.iter_mut().zip(stages) {
                *least = (*least).min(took);
            }
        }
        let per_sample = least.map(|took| took.as_nanos() as f64 / count as f64);
        let [decompressed, read, written, decoded] = per_sample;
        println!(
            "{name}: {} bytes, {} compressed; ns a sample: decompress {decompressed:.0}, read {read:.0}, read and write lines {written:.0}, decode lines {decoded:.0}",
            message.len(),
            body.len()
        );
    }
}

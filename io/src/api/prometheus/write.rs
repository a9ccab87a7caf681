//! `POST /api/v1/write`: Prometheus' `remote_write`, version 1.0.
//!
//! The message becomes lines ([`engine::remote_write`]), which go the way of those of `/api/write`. Prometheus repeats a request that is
//! answered with 5xx for as long as it keeps the samples, and drops one that is answered with 4xx: so 503 stands for a log that does not
//! work, 400 for samples that would never be taken, and then names them.

use std::fmt::Write;
use std::rc::Rc;

use engine::config::Metrics;
use engine::limits::REMOTE_WRITE_BYTES_MAX;
use engine::line::decode::{BadLine, Counts, Dialect};
use engine::line::timestamp::TimeUnit;
use engine::remote_write::MessageError;
use engine::remote_write::lines::{LabelNames, LineWriter, Skipped};
use engine::remote_write::message::{MessageReader, TimeSeries, decompress, decompressed_bytes};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Request, StatusCode};

use crate::api::request::{body_within, parameter};
use crate::api::write::ROOM_TIMEOUT;
use crate::api::{ApiResponse, Refusal, reply};
use crate::core::Core;
use crate::core::ingest::Ingest;
use crate::metrics::counters::Rejected;
use crate::runtime::reactor_turn;

/// Bytes of lines that are handed on at once.
const LINES_BYTES: usize = 64 * 1024;
/// Bytes of the message that are read before others get their turn.
const TURN_BYTES: usize = 64 * 1024;

/// The version of the protocol.
const VERSION_HEADER: &str = "x-prometheus-remote-write-version";

/// What the configuration says of `remote_write`.
#[derive(Debug)]
pub struct RemoteWrite {
    lines: LineWriter,
    cluster_default: Box<str>,
}

impl RemoteWrite {
    /// Labels of these names; series without a cluster belong to this one.
    #[must_use]
    pub fn new(labels: LabelNames, cluster_default: &str, metrics: &Metrics) -> Self {
        Self { lines: LineWriter::new(labels, metrics), cluster_default: cluster_default.into() }
    }
}

/// Stores the samples of a message.
///
/// # Errors
/// 415 for another version of the protocol, 413 for a message that is too long, 400 for one that is none and for samples that are not kept
/// (all others are); 503 while the log does not work, or if all bodies together hold too much.
pub(in crate::api) async fn write(
    core: Rc<Core>,
    request: &mut Request<Incoming>,
    settings: &RemoteWrite,
    retention_seconds: i64,
) -> Result<ApiResponse, Refusal> {
    check_headers(request.headers())?;
    let cluster = parameter(request, "cluster").filter(|cluster| !cluster.is_empty());
    let cluster =
        cluster.map_or_else(|| settings.cluster_default.to_string(), |cluster| cluster.into_owned());
    let (body, mut lease) = body_within(&core, request, REMOTE_WRITE_BYTES_MAX).await?;
    lease.grow(decompressed_bytes(&body).map_err(|error| refusal(&error))? as u64, ROOM_TIMEOUT).await?;
    let message = decompress(&body).map_err(|error| refusal(&error))?;
    drop(body);
    lease.set(message.capacity() as u64);
    let retention_seconds = Some(retention_seconds);
    let dialect = Dialect { time_unit: TimeUnit::Seconds, field_metrics: false, retention_seconds };
    let mut ingest = Ingest::of_dialect(&core, &cluster, BadLine::Skip, dialect);
    let mut skipped = Skipped::default();
    let read = push_all(&settings.lines, &message, &mut ingest, &mut skipped).await;
    count(&core, skipped);
    ingest
        .finish()
        .await
        .map_err(|error| Refusal { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() })?;
    read.map_err(|error| refusal(&error))?;
    match dropped(ingest.dropped(), skipped) {
        None => Ok(reply::no_content()),
        Some(text) => Err(Refusal::bad_request(text)),
    }
}

/// Hands on the samples of a message as lines.
async fn push_all(
    writer: &LineWriter,
    message: &[u8],
    ingest: &mut Ingest,
    skipped: &mut Skipped,
) -> Result<(), MessageError> {
    let mut reader = MessageReader::new(message);
    let (mut lines, mut series) = (Vec::new(), TimeSeries::default());
    let mut turn_end = message.len().saturating_sub(TURN_BYTES);
    let result = loop {
        match reader.next_series(&mut series) {
            Ok(true) => writer.push_series(&series, &mut lines, skipped),
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
        if lines.len() >= LINES_BYTES {
            // Bad lines are skipped.
            let _ = ingest.push(&lines).await;
            lines.clear();
        }
        if reader.bytes_left() < turn_end {
            turn_end = reader.bytes_left().saturating_sub(TURN_BYTES);
            reactor_turn().await;
        }
    };
    let _ = ingest.push(&lines).await;
    let _ = ingest.end_of_stream();
    result
}

/// Senders of other versions are told so, that they fall back to this one.
fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase())
    };
    let unsupported = |message| Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message });
    if let Some(coding) = text(CONTENT_ENCODING.as_str())
        && coding != "snappy"
    {
        return unsupported(format!("Content-Encoding is {coding:?}, and must be snappy"));
    }
    if let Some(kind) = text(CONTENT_TYPE.as_str()) {
        let mut parts = kind.split(';').map(str::trim);
        let is_protobuf = parts.next() == Some("application/x-protobuf");
        let is_other = parts
            .any(|part| part.strip_prefix("proto=").is_some_and(|name| name != "prometheus.writerequest"));
        if !is_protobuf || is_other {
            return unsupported(format!(
                "Content-Type is {kind:?}, and must be application/x-protobuf, with prometheus.WriteRequest (remote_write 1.0)"
            ));
        }
    }
    if let Some(version) = text(VERSION_HEADER)
        && !version.starts_with("0.")
        && !version.starts_with("1.")
    {
        return unsupported(format!(
            "version {version:?} of remote_write is not taken: send version 0.1.0 (remote_write 1.0)"
        ));
    }
    Ok(())
}

fn refusal(error: &MessageError) -> Refusal {
    let status = match error {
        MessageError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal { status, message: error.to_string() }
}

/// Counts what became no line.
fn count(core: &Core, skipped: Skipped) {
    let Skipped { unconfigured, valueless, unnameable } = skipped;
    let counters = &core.counters;
    counters.lines.add(unconfigured + valueless + unnameable);
    counters.unconfigured.add(unconfigured);
    counters.valueless.add(valueless);
    counters.reject(Rejected::BadLine, unnameable);
}

/// Which samples were not kept, if any; those of unknown metrics, and those without a value, are no loss.
fn dropped(dropped: &Counts, skipped: Skipped) -> Option<String> {
    let reasons = [
        (dropped.bad, "bad"),
        (skipped.unnameable, "with a name that cannot be stored"),
        (
            dropped.unsafe_names,
            "without a cluster or host that can be a directory (labels, ?cluster=, main.remote-write)",
        ),
        (dropped.future, "too far ahead of the clock"),
        (dropped.too_old, "older than metric-store.retention-in-memory"),
        (dropped.beyond_limit, "of new series beyond metric-store.max-series"),
    ];
    let mut text = String::new();
    for (samples, why) in reasons.into_iter().filter(|(samples, _)| *samples > 0) {
        write!(text, "{}{samples} {why}", if text.is_empty() { "" } else { ", " }).expect("memory takes it");
    }
    if let Some(first) = &dropped.first_bad {
        write!(text, "; the first bad one: {first}").expect("memory takes it");
    }
    let all: u64 = reasons.iter().map(|(samples, _)| samples).sum();
    (all > 0).then(|| format!("partial write: samples dropped: {text} dropped={all}"))
}

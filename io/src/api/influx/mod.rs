//! What senders of InfluxDB call: `POST /write` (1.x), `POST /api/v2/write` (2.x), `POST /api/v3/write_lp` (3.x), and what they
//! ask before ([`query`], [`resources`]).
//!
//! The lines go the way of `/api/write` (`write.rs`), with what such clients take for granted: the unit of the timestamps is named,
//! not guessed; one bad line does not lose the others of its batch; whatever is not kept is told, in the form of the version.

mod databases;
pub mod query;
pub mod resources;

use std::fmt::Write;
use std::rc::Rc;

use engine::limits;
use engine::line::decode::{BadLine, Counts, Dialect, LineStream, Outbox};
use engine::line::key::UnsafeName;
use engine::line::timestamp::TimeUnit;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::{Request, StatusCode};

use super::encoding::{self, BodyDecoder};
use super::request::{cluster_parameter, parameter};
use super::write::{ROOM_TIMEOUT, broken_body, lease_decoder, read_lines};
use super::{ApiResponse, Refusal, reply};
use crate::core::held::Lease;
use crate::core::ingest::Ingest;
use crate::core::{Core, clock_seconds};
use crate::runtime::reactor_turn;
use crate::settings::bounds::BODY_BYTES_MAX;

/// Bytes that are looked at without letting others have their turn.
const TURN_BYTES: usize = 128 * 1024;

/// Whose parameters and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// InfluxDB 1.x: `db`, `rp`, `precision`.
    One,
    /// InfluxDB 2.x: `bucket`, `org`, `precision`.
    Two,
    /// InfluxDB 3.x: `db`, `precision`, `accept_partial`, `no_sync`.
    Three,
}

/// What the configuration says of these calls.
#[derive(Clone, Copy, Debug)]
pub struct InfluxOptions {
    /// `main.influx-fields`: every number among the fields is a sample, else `value` alone.
    pub field_metrics: bool,
    /// Samples older than this, in seconds, are dropped.
    pub retention_seconds: i64,
}

/// Stores the lines of the body.
///
/// # Errors
/// 400 for an unknown precision, a damaged or broken body, and if a line is not kept (all others are stored); 415 for an unknown
/// encoding; 503 while the log does not work.
pub async fn write(
    core: Rc<Core>,
    request: &mut Request<Incoming>,
    version: Version,
    options: InfluxOptions,
) -> Result<ApiResponse, Refusal> {
    let cluster = match version {
        Version::One | Version::Three => cluster_parameter(request, "db")?,
        Version::Two => {
            let bucket = cluster_parameter(request, "bucket")?;
            // Buckets of databases of 1.x are called <database>/<retention policy>.
            bucket.split('/').next().unwrap_or_default().to_owned()
        }
    };
    let time_unit = time_unit(request, version)?;
    let accepts_partial = parameter(request, "accept_partial").is_none_or(|value| &*value != "false");
    let mut decoder = encoding::decoder(request.headers().get_all(CONTENT_ENCODING)).map_err(|error| {
        Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message: error.to_string() }
    })?;
    let InfluxOptions { field_metrics, retention_seconds } = options;
    let dialect = Dialect { time_unit, field_metrics, retention_seconds: Some(retention_seconds) };
    let mut ingest = Ingest::of_dialect(&core, &cluster, BadLine::Skip, dialect);
    let result = if version == Version::Three && !accepts_partial {
        let (lines, _lease) = whole_lines(&core, request, &mut decoder).await?;
        let counts = dry_run(&core, &cluster, dialect, &lines).await;
        refuse_dropped(
            &counts,
            &cluster,
            core.series_max(),
            "nothing is written, for accept_partial is false",
        )?;
        push_all(&mut ingest, &lines).await;
        Ok(())
    } else {
        read_lines(request, &mut decoder, &mut ingest).await
    };
    ingest
        .finish()
        .await
        .map_err(|error| Refusal { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() })?;
    result?;
    // Telegraf looks for these words: it then goes on with its next batch.
    refuse_dropped(ingest.dropped(), &cluster, core.series_max(), "partial write")?;
    Ok(reply::no_content())
}

fn time_unit(request: &Request<Incoming>, version: Version) -> Result<TimeUnit, Refusal> {
    let (default, names) = match version {
        Version::Three => (TimeUnit::BySize, "nanosecond, microsecond, millisecond, second, auto"),
        _ => (TimeUnit::Nanoseconds, "ns, us, ms, s, m, h"),
    };
    match parameter(request, "precision") {
        Some(name) if !name.is_empty() => TimeUnit::of_precision(&name)
            .ok_or_else(|| Refusal::bad_request(format_args!("the precision must be one of {names}"))),
        _ => Ok(default),
    }
}

/// The error of a write of which something was dropped, in InfluxDB's words where it has some.
fn refuse_dropped(counts: &Counts, cluster: &str, series_max: usize, what: &str) -> Result<(), Refusal> {
    let dropped = counts.dropped();
    if dropped == 0 {
        return Ok(());
    }
    let mut reasons = Vec::new();
    if let Some(first) = &counts.first_bad {
        reasons.push(format!("unable to parse: {first}"));
    }
    if counts.too_old > 0 {
        reasons.push("points beyond retention policy".to_owned());
    }
    if counts.future > 0 {
        reasons.push(format!("points more than {} s ahead of the clock", limits::FUTURE_SECONDS_MAX));
    }
    if counts.unsafe_names > 0 {
        reasons.push(match counts.first_unsafe {
            Some(UnsafeName::Cluster) if cluster.is_empty() => {
                "database is required: name the cluster as db or bucket, or in the tag cluster".to_owned()
            }
            Some(UnsafeName::Cluster) => "the cluster cannot be the name of a directory".to_owned(),
            _ => "the tag hostname or host is missing, or cannot be the name of a directory".to_owned(),
        });
    }
    if counts.beyond_limit > 0 {
        reasons.push(format!("max-series limit exceeded: ({series_max})"));
    }
    let mut message = format!("{what}: {}", reasons.join("; "));
    let _ = write!(message, " dropped={dropped}");
    Err(Refusal::bad_request(message))
}

/// The lines of the body, all of them, and their memory.
async fn whole_lines(
    core: &Core,
    request: &mut Request<Incoming>,
    decoder: &mut BodyDecoder,
) -> Result<(Vec<u8>, Lease), Refusal> {
    let _decoder_lease = lease_decoder(core, decoder).await?;
    let (mut lines, mut lease) = (Vec::new(), core.held.lease());
    while let Some(frame) = request.body_mut().frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_body(&error))?.into_data() else { continue };
        let mut pending = decoder.feed(&chunk);
        while let Some(piece) = pending.next().map_err(Refusal::bad_request)? {
            if lines.len() + piece.len() > BODY_BYTES_MAX {
                return Err(Refusal {
                    status: StatusCode::PAYLOAD_TOO_LARGE,
                    message: format!(
                        "with accept_partial=false the body may have {BODY_BYTES_MAX} bytes at most"
                    ),
                });
            }
            if lines.len() + piece.len() > lines.capacity() {
                let wanted = (lines.len() + piece.len()).max(2 * lines.capacity()).min(BODY_BYTES_MAX);
                lease.grow((wanted - lines.capacity()) as u64, ROOM_TIMEOUT).await?;
                lines.reserve_exact(wanted - lines.len());
            }
            lines.extend_from_slice(piece);
        }
    }
    decoder.finish().map_err(Refusal::bad_request)?;
    Ok((lines, lease))
}

/// What lines would come to, as far as it is known before they are with the owners of their series.
async fn dry_run(core: &Rc<Core>, cluster: &str, dialect: Dialect, lines: &[u8]) -> Counts {
    let mut stream = LineStream::of_dialect(BadLine::Skip, dialect);
    let mut outbox = Outbox::new(core.cores());
    for chunk in lines.chunks(TURN_BYTES) {
        // Bad lines are skipped.
        let _ = stream.push(&mut core.router.borrow_mut(), cluster, clock_seconds(), chunk, &mut outbox);
        outbox.samples.iter_mut().for_each(Vec::clear);
        reactor_turn().await;
    }
    let _ = stream.finish(&mut core.router.borrow_mut(), cluster, clock_seconds(), &mut outbox);
    stream.counts
}

async fn push_all(ingest: &mut Ingest, lines: &[u8]) {
    for chunk in lines.chunks(TURN_BYTES) {
        // Bad lines are skipped; there are none.
        let _ = ingest.push(chunk).await;
    }
    let _ = ingest.end_of_stream();
}

//! What senders of InfluxDB call: `POST /write` (1.x), `POST /api/v2/write` (2.x).
//!
//! The lines go the way of `/api/write` (`write.rs`), with what such clients take for granted: the unit of the timestamps is named,
//! not guessed; one bad line does not lose the others of its batch; errors have the form of the version.

use std::rc::Rc;

use engine::line::decode::{BadLine, Dialect};
use engine::line::timestamp::TimeUnit;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::{Request, StatusCode};

use super::request::parameter;
use super::write::read_lines;
use super::{ApiResponse, Refusal, encoding, reply};
use crate::core::Core;
use crate::core::ingest::Ingest;

/// Whose parameters and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// InfluxDB 1.x: `db`, `rp`, `precision`.
    One,
    /// InfluxDB 2.x: `bucket`, `org`, `precision`.
    Two,
}

/// Stores the lines of the body; with `field_metrics` every number among the fields, else `value` alone.
///
/// # Errors
/// 400 for an unknown precision, a damaged or broken body, and bad lines (all others are stored); 415 for an unknown
/// encoding; 503 while the log does not work.
pub async fn write(
    core: Rc<Core>,
    request: &mut Request<Incoming>,
    version: Version,
    field_metrics: bool,
) -> Result<ApiResponse, Refusal> {
    let cluster = match version {
        Version::One => parameter(request, "db").unwrap_or_default().into_owned(),
        Version::Two => {
            let bucket = parameter(request, "bucket").unwrap_or_default();
            // Buckets of databases of 1.x are called <database>/<retention policy>.
            bucket.split('/').next().unwrap_or_default().to_owned()
        }
    };
    let time_unit = match parameter(request, "precision") {
        Some(name) if !name.is_empty() => TimeUnit::of_precision(&name)
            .ok_or_else(|| Refusal::bad_request("the precision must be one of ns, us, ms, s, m, h"))?,
        _ => TimeUnit::Nanoseconds,
    };
    let mut decoder = encoding::decoder(request.headers().get_all(CONTENT_ENCODING)).map_err(|error| {
        Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message: error.to_string() }
    })?;
    let dialect = Dialect { time_unit, field_metrics };
    let mut ingest = Ingest::of_dialect(&core, &cluster, BadLine::Skip, dialect);
    let result = read_lines(request, &mut decoder, &mut ingest).await;
    let bad = ingest.bad_lines();
    ingest
        .finish()
        .await
        .map_err(|error| Refusal { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() })?;
    result?;
    match bad {
        None => Ok(reply::no_content()),
        // Telegraf looks for these words: it then goes on with its next batch.
        Some((lines, first)) => {
            Err(Refusal::bad_request(format_args!("partial write: unable to parse: {first} dropped={lines}")))
        }
    }
}

//! `POST /api/write`: line protocol (SPEC sections 2 and 3).
//!
//! The body is decoded as it arrives; 200 means that all of it is stored.

use std::rc::Rc;
use std::time::Duration;

use engine::line::decode::BadLine;
use engine::line::error::LineError;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::{Request, StatusCode};

use super::encoding::{self, BodyDecoder};
use super::{ApiResponse, Refusal, reply, request::cluster_parameter};
use crate::core::Core;
use crate::core::held::Lease;
use crate::core::ingest::Ingest;

/// How long a compressed body waits for the memory of its decoder; a collector gives up after five seconds.
pub(super) const ROOM_TIMEOUT: Duration = Duration::from_secs(4);

/// Stores the lines of the body.
///
/// # Errors
/// 400 for a bad line (those before it are stored), a damaged or broken body; 415 for an unknown encoding; 503
/// while the log does not work.
pub async fn write(core: Rc<Core>, request: &mut Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let cluster = cluster_parameter(request, "cluster")?;
    let mut decoder = encoding::decoder(request.headers().get_all(CONTENT_ENCODING)).map_err(|error| {
        Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message: error.to_string() }
    })?;
    let mut ingest = Ingest::new(&core, &cluster, BadLine::Stop);
    let result = read_lines(request, &mut decoder, &mut ingest).await;
    // Also after an error: the lines before it are kept.
    ingest
        .finish()
        .await
        .map_err(|error| Refusal { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() })?;
    result.map(|()| reply::empty())
}

/// Hands on the lines of the body as it arrives.
///
/// # Errors
/// 400 for a damaged or broken body, and for the first bad line if the stream stops there; 503 without memory for decompressing.
pub(super) async fn read_lines(
    request: &mut Request<Incoming>,
    decoder: &mut BodyDecoder,
    ingest: &mut Ingest,
) -> Result<(), Refusal> {
    let mut lease = lease_decoder(ingest.core(), decoder).await?;
    while let Some(frame) = request.body_mut().frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_body(&error))?.into_data() else { continue };
        if decoder.is_identity() {
            ingest.push(&chunk).await.map_err(bad_line)?;
            continue;
        }
        let mut encoded = decoder.feed(&chunk);
        while let Some(lines) = encoded.next().map_err(Refusal::bad_request)? {
            ingest.push(lines).await.map_err(bad_line)?;
        }
        let memory_bytes = decoder.memory_bytes();
        if memory_bytes > lease.bytes() {
            lease.grow_now(memory_bytes - lease.bytes())?;
        } else {
            lease.set(memory_bytes);
        }
    }
    decoder.finish().map_err(Refusal::bad_request)?;
    ingest.end_of_stream().map_err(bad_line)
}

/// The memory of a decoder: all it may take, until it is seen what it does.
///
/// # Errors
/// 503 if there is none.
pub(super) async fn lease_decoder(core: &Core, decoder: &BodyDecoder) -> Result<Lease, Refusal> {
    let mut lease = core.held.lease();
    lease.grow(decoder.memory_bytes_max(), ROOM_TIMEOUT).await?;
    Ok(lease)
}

fn bad_line(error: LineError) -> Refusal {
    Refusal::bad_request(error)
}

pub(super) fn broken_body(error: &hyper::Error) -> Refusal {
    Refusal::bad_request(format_args!("the body could not be read: {error}"))
}

//! What the verbs read of a request: parameters and small bodies.

use std::borrow::Cow;
use std::time::Duration;

use engine::line::key::has_control_character;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};

use super::Refusal;
use crate::core::Core;
use crate::core::held::Lease;
use crate::settings::bounds::BODY_BYTES_MAX;

/// First memory of a body.
const BODY_BYTES_MIN: usize = 16 * 1024;
/// How long a body waits for memory.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// What a request takes that was read from a body, in multiples of that.
const PARSED_FACTOR: u64 = 4;

/// The first parameter of this name, URL-decoded.
#[must_use]
pub fn parameter<'a, B>(request: &'a Request<B>, name: &str) -> Option<Cow<'a, str>> {
    let query = request.uri().query()?;
    form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value)
}

/// The parameter that names the cluster of lines without one; empty if it is missing.
///
/// # Errors
/// 400 if it is not UTF-8, or holds control characters (SPEC section 2).
pub fn cluster_parameter<B>(request: &Request<B>, name: &str) -> Result<String, Refusal> {
    let cluster = parameter(request, name).unwrap_or_default();
    if cluster.contains(char::REPLACEMENT_CHARACTER) || has_control_character(cluster.as_bytes()) {
        return Err(Refusal::bad_request(format_args!(
            "the parameter {name} must be UTF-8 without control characters"
        )));
    }
    Ok(cluster.into_owned())
}

/// Whether the body is not said to be something else than JSON. Forms are what `curl -d` calls everything; the other types that a web page
/// can send without being asked are none that our clients send.
#[must_use]
pub fn may_be_json<B>(request: &Request<B>) -> bool {
    let is_other = |value: &[u8]| {
        [&b"text/"[..], b"multipart/"]
            .iter()
            .any(|kind| value.get(..kind.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(kind)))
    };
    !request.headers().get_all(CONTENT_TYPE).iter().any(|value| is_other(value.as_bytes().trim_ascii()))
}

/// The whole body of a call that takes JSON, and the memory of it and of what is made of it, to be held until the call is answered.
///
/// # Errors
/// 413 if it is larger than is sensible, 400 if the connection breaks, 503 if all bodies together hold too much.
pub async fn whole_body(core: &Core, request: &mut Request<Incoming>) -> Result<(Vec<u8>, Lease), Refusal> {
    let (body, mut lease) = body_within(core, request, BODY_BYTES_MAX).await?;
    lease.set(body.len() as u64 * PARSED_FACTOR);
    Ok((body, lease))
}

/// The whole body of a call that takes so many bytes, and the memory of it.
///
/// # Errors
/// As [`whole_body`].
pub async fn body_within(
    core: &Core,
    request: &mut Request<Incoming>,
    bytes_max: usize,
) -> Result<(Vec<u8>, Lease), Refusal> {
    let too_large = || Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: format!("the body may have {bytes_max} bytes at most"),
    };
    let announced = request.body().size_hint().lower();
    if announced > bytes_max as u64 {
        return Err(too_large());
    }
    let announced = usize::try_from(announced).map_err(|_| too_large())?;
    let (mut body, mut lease) = (Vec::new(), core.held.lease());
    while let Some(frame) = request.body_mut().frame().await {
        let Ok(data) = frame.map_err(Refusal::bad_request)?.into_data() else { continue };
        let length = body.len() + data.len();
        if length > bytes_max {
            return Err(too_large());
        }
        if length > body.capacity() {
            // At once what was announced, if that is little: else as it comes, so that nobody holds what he has not sent.
            let wanted = length.max(2 * body.capacity()).max(announced.min(BODY_BYTES_MIN));
            let wanted = if announced >= length { wanted.min(announced) } else { wanted.min(bytes_max) };
            lease.grow((wanted - body.capacity()) as u64, ROOM_TIMEOUT).await?;
            body.reserve_exact(wanted - body.len());
        }
        body.extend_from_slice(&data);
    }
    lease.set(body.capacity() as u64);
    Ok((body, lease))
}

//! What the verbs read of a request: parameters and small bodies.

use std::borrow::Cow;
use std::time::Duration;

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
    let too_large = || Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: format!("the body may have {BODY_BYTES_MAX} bytes at most"),
    };
    let announced = request.body().size_hint().lower();
    if announced > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let announced = usize::try_from(announced).map_err(|_| too_large())?;
    let (mut body, mut lease) = (Vec::new(), core.held.lease());
    while let Some(frame) = request.body_mut().frame().await {
        let Ok(data) = frame.map_err(Refusal::bad_request)?.into_data() else { continue };
        let length = body.len() + data.len();
        if length > BODY_BYTES_MAX {
            return Err(too_large());
        }
        if length > body.capacity() {
            // At once what was announced, if that is little: else as it comes, so that nobody holds what he has not sent.
            let wanted = length.max(2 * body.capacity()).max(announced.min(BODY_BYTES_MIN));
            let wanted = if announced >= length { wanted.min(announced) } else { wanted.min(BODY_BYTES_MAX) };
            lease.grow((wanted - body.capacity()) as u64, ROOM_TIMEOUT).await?;
            body.reserve_exact(wanted - body.len());
        }
        body.extend_from_slice(&data);
    }
    lease.set(body.len() as u64 * PARSED_FACTOR);
    Ok((body, lease))
}

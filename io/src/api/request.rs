//! What the verbs read of a request: parameters and small bodies.

use std::borrow::Cow;

use engine::line::key::has_control_character;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::{Request, StatusCode};

use super::Refusal;

/// Largest body of a query, free or health check: some hundred thousand queries.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

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

/// The whole body of a call that takes JSON.
///
/// # Errors
/// 413 if it is larger than is sensible, 400 if the connection breaks.
pub async fn whole_body(request: Request<Incoming>) -> Result<Vec<u8>, Refusal> {
    body_within(request, BODY_BYTES_MAX).await
}

/// The whole body of a call that takes so many bytes.
///
/// # Errors
/// As [`whole_body`].
pub async fn body_within(mut request: Request<Incoming>, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let too_large = || Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: format!("the body may have {bytes_max} bytes at most"),
    };
    let announced = request.body().size_hint().lower();
    if announced > bytes_max as u64 {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).map_err(|_| too_large())?.min(1024 * 1024));
    while let Some(frame) = request.body_mut().frame().await {
        if let Ok(data) = frame.map_err(Refusal::bad_request)?.into_data() {
            if body.len() + data.len() > bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(body)
}

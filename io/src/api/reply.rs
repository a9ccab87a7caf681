//! Answers: JSON with its headers, and errors as `{"status":…,"error":…}` (SPEC section 3).

use bytes::Bytes;
use engine::query::request::push_json_string;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Response, StatusCode};

use super::ApiResponse;
use super::body::ApiBody;
use crate::access::Unauthorized;
use crate::access::browsers::Stranger;

/// Seconds after which a client may try again what cannot be done now.
pub(super) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 200 without a body.
#[must_use]
pub fn empty() -> ApiResponse {
    Response::new(ApiBody::empty())
}

/// 204.
#[must_use]
pub fn no_content() -> ApiResponse {
    let mut response = empty();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 200 with JSON.
#[must_use]
pub fn json(body: ApiBody) -> ApiResponse {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Who has to understand an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Clients of this API: `{"status":…,"error":…}`.
    Own,
    /// Those of InfluxDB 1.x: `{"error":…}`.
    InfluxOne,
    /// Those of InfluxDB 2.x: `{"code":…,"message":…}`.
    InfluxTwo,
    /// Those of InfluxDB 3.x, which look for either: `{"code":…,"message":…,"error":…}`.
    InfluxThree,
    /// Those of Prometheus: `{"status":"error","errorType":…,"error":…}`.
    Prometheus,
}

/// An error in the API's own form.
#[must_use]
pub fn error(status: StatusCode, message: &str) -> ApiResponse {
    error_in(Form::Own, status, message)
}

/// An error.
#[must_use]
pub fn error_in(form: Form, status: StatusCode, message: &str) -> ApiResponse {
    let mut text = Vec::new();
    match form {
        Form::Own => {
            text.extend_from_slice(b"{\"status\":");
            push_json_string(&mut text, status.canonical_reason().unwrap_or("Error"));
            text.extend_from_slice(b",\"error\":");
        }
        Form::InfluxOne => text.extend_from_slice(b"{\"error\":"),
        Form::InfluxTwo | Form::InfluxThree => {
            let code = match status {
                StatusCode::NOT_FOUND => "not found",
                StatusCode::UNAUTHORIZED => "unauthorized",
                StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
                StatusCode::PAYLOAD_TOO_LARGE => "request too large",
                StatusCode::SERVICE_UNAVAILABLE => "unavailable",
                _ => "invalid",
            };
            text.extend_from_slice(format!("{{\"code\":\"{code}\",\"message\":").as_bytes());
        }
        Form::Prometheus => {
            let kind = match status {
                StatusCode::UNPROCESSABLE_ENTITY => "execution",
                StatusCode::SERVICE_UNAVAILABLE => "unavailable",
                _ => "bad_data",
            };
            text.extend_from_slice(
                format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":").as_bytes(),
            );
        }
    }
    push_json_string(&mut text, message);
    if form == Form::InfluxThree {
        text.extend_from_slice(b",\"error\":");
        push_json_string(&mut text, message);
    }
    text.extend_from_slice(b"}\n");
    let mut response = json(ApiBody::full(Bytes::from(text)));
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// 400 or 403 for whom the daemon does not speak to.
#[must_use]
pub fn stranger(why: &Stranger) -> ApiResponse {
    let status = match why {
        Stranger::NoHost => StatusCode::BAD_REQUEST,
        Stranger::Host(_) | Stranger::Page(_) => StatusCode::FORBIDDEN,
    };
    error(status, &why.to_string())
}

/// 401, with what is needed; `takes_basic`: clients that wait for a challenge before they send a password must get one.
#[must_use]
pub fn unauthorized(why: Unauthorized, takes_basic: bool) -> ApiResponse {
    const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"cc-metric-store\"");
    const NEEDED: HeaderValue = HeaderValue::from_static("Bearer realm=\"cc-metric-store\"");
    const INVALID: HeaderValue =
        HeaderValue::from_static("Bearer realm=\"cc-metric-store\", error=\"invalid_token\"");
    let mut response = error(StatusCode::UNAUTHORIZED, &why.to_string());
    // RFC 6750: no error code for who has not tried.
    let challenge = if why == Unauthorized::Missing { NEEDED } else { INVALID };
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    if takes_basic {
        response.headers_mut().append(WWW_AUTHENTICATE, BASIC);
    }
    response
}

/// 204, with the methods that are allowed.
#[must_use]
pub fn options(methods: &[Method]) -> ApiResponse {
    let mut response = no_content();
    response.headers_mut().insert(ALLOW, allowed(methods));
    response
}

fn allowed(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).expect("method names are header text")
}

/// 405, with the methods that are allowed.
#[must_use]
pub fn method_not_allowed(form: Form, methods: &[Method]) -> ApiResponse {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let mut response = error_in(
        form,
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("this path takes {} only", names.join(" and ")),
    );
    response.headers_mut().insert(ALLOW, allowed(methods));
    response
}

//! `GET /ping`, `/health`, `/ready`: whether somebody is there, and whether recovery is over.
//!
//! `/ping` and `/health` say no more than that the process answers. `/ready` is for load balancers: 503 until everything is
//! loaded.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};

use super::body::ApiBody;
use super::reply::{Form, RETRY_AFTER_SECONDS};
use super::{ApiResponse, reply};
use crate::recover::Loading;

/// Clients of InfluxDB choose by it what they send. 1.8 is the version that knows the calls of `influx/`, those of 2.x among them.
const INFLUX_VERSION: &str = "1.8.10";
/// Where it stands.
const INFLUX_VERSION_HEADER: &str = "x-influxdb-version";
/// Which InfluxDB it is, for clients that ask.
const INFLUX_BUILD_HEADER: &str = "x-influxdb-build";

/// `/ping`: 204; clients of InfluxDB look for its [version](tell_version).
#[must_use]
pub fn ping() -> ApiResponse {
    reply::no_content()
}

/// Adds the version that clients of InfluxDB ask for.
pub(super) fn tell_version(response: &mut ApiResponse) {
    let headers = response.headers_mut();
    headers.insert(INFLUX_VERSION_HEADER, HeaderValue::from_static(INFLUX_VERSION));
    headers.insert(INFLUX_BUILD_HEADER, HeaderValue::from_static("OSS"));
}

/// `/health`: 200, in the form of InfluxDB.
#[must_use]
pub fn health() -> ApiResponse {
    let text = format!(
        "{{\"name\":\"cc-metric-store\",\"message\":\"ready for queries and writes\",\"status\":\"pass\",\"checks\":[],\"version\":\"{INFLUX_VERSION}\"}}\n"
    );
    reply::json(ApiBody::full(Bytes::from(text)))
}

/// `/ready`: 200, or 503 and how far recovery is.
#[must_use]
pub fn ready(loading: &Loading) -> ApiResponse {
    if loading.is_over() {
        return reply::json(ApiBody::full(Bytes::from_static(b"{\"status\":\"ready\"}\n")));
    }
    let (percent, samples) = (loading.percent(), loading.samples());
    let text = format!("{{\"status\":\"recovering\",\"percent\":{percent},\"samples\":{samples}}}\n");
    let mut response = reply::json(ApiBody::full(Bytes::from(text)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

/// 503 for what cannot be answered before everything is loaded.
#[must_use]
pub(super) fn still_loading(form: Form, loading: &Loading) -> ApiResponse {
    let message = format!("the data is being loaded, {} % so far: try again later", loading.percent());
    reply::error_in(form, StatusCode::SERVICE_UNAVAILABLE, &message)
}

//! What clients of InfluxDB 2 look for before they write: `/api/v2/buckets`, `/api/v2/orgs`, `/api/v2/setup`.
//!
//! Whatever bucket or organization is asked for exists: lines may be written to any. Identifiers are made of the names.

use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::databases;
use crate::api::body::ApiBody;
use crate::api::request::{parameter, whole_body};
use crate::api::{ApiResponse, Refusal, reply};
use crate::core::Core;

/// The organization, unless a client names one.
const ORGANIZATION: &str = "cc-metric-store";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Buckets: clusters.
    Buckets,
    /// Organizations: there are none, so any.
    Organizations,
    /// Whether the first user is still to be made.
    Setup,
}

/// Answers a request for a resource.
///
/// # Errors
/// 400 for a bucket that cannot be created: no name, or one that no cluster can have; those of [`whole_body`].
pub async fn answer(
    core: Rc<Core>,
    request: &mut Request<Incoming>,
    resource: Resource,
    retention_seconds: i64,
) -> Result<ApiResponse, Refusal> {
    let named = |request: &Request<Incoming>, name: &str| {
        parameter(request, name).filter(|value| !value.is_empty()).map(std::borrow::Cow::into_owned)
    };
    let organization = named(request, "org").unwrap_or_else(|| ORGANIZATION.to_owned());
    match resource {
        Resource::Setup => Ok(answer_json(StatusCode::OK, &json!({"allowed": false}))),
        Resource::Organizations => {
            let organization = json!({"id": id(&organization), "name": organization, "description": ""});
            Ok(answer_json(
                StatusCode::OK,
                &json!({"links": {"self": "/api/v2/orgs"}, "orgs": [organization]}),
            ))
        }
        Resource::Buckets if request.method() == Method::POST => {
            let (body, _lease) = whole_body(&core, request).await?;
            let wanted: Value = serde_json::from_slice(&body).map_err(Refusal::bad_request)?;
            let name = wanted["name"].as_str().unwrap_or_default();
            databases::create(name).map_err(Refusal::bad_request)?;
            Ok(answer_json(StatusCode::CREATED, &bucket(name, &organization, retention_seconds)))
        }
        Resource::Buckets => {
            let names: Vec<String> = match (named(request, "name"), named(request, "id")) {
                (Some(name), _) => vec![name],
                (None, Some(wanted)) => {
                    databases::names(&core).into_iter().filter(|name| id(name) == wanted).collect()
                }
                (None, None) => databases::names(&core).into_iter().collect(),
            };
            let buckets: Vec<Value> =
                names.iter().map(|name| bucket(name, &organization, retention_seconds)).collect();
            Ok(answer_json(
                StatusCode::OK,
                &json!({"links": {"self": "/api/v2/buckets"}, "buckets": buckets}),
            ))
        }
    }
}

fn bucket(name: &str, organization: &str, retention_seconds: i64) -> Value {
    json!({
        "id": id(name),
        "orgID": id(organization),
        "type": "user",
        "name": name,
        "retentionRules": [{"type": "expire", "everySeconds": retention_seconds}],
    })
}

/// Sixteen hexadecimal digits, as InfluxDB's: FNV-1a of the name.
fn id(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn answer_json(status: StatusCode, value: &Value) -> ApiResponse {
    let mut response = reply::json(ApiBody::full(Bytes::from(format!("{value}\n"))));
    *response.status_mut() = status;
    response
}

//! What there is to look at, for the page at `/`: `GET /api/ui/clusters`, `/api/ui/hosts`, `/api/ui/series`.
//!
//! Clusters and hosts come from the published host directory, without a message; the series of a host from the core that
//! owns it. Readers only: nothing is created by asking.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::config::Aggregation;
use engine::query::number::push_integer;
use engine::query::request::push_json_string;
use engine::series::route::core_of;
use hyper::Request;
use hyper::body::Incoming;

use super::body::ApiBody;
use super::request::parameter;
use super::{ApiResponse, Refusal, reply};
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};

/// Clusters that are listed; a site has a few.
const CLUSTERS_MAX: usize = 1000;
/// Hosts of a cluster that are listed; a large cluster has some thousand.
const HOSTS_MAX: usize = 20_000;

/// `{"clusters":[{"name":…,"hosts":N},…],"metrics":[{"name":…,"frequency":…,"aggregation":…},…]}`, both in name order; the
/// metrics are those of the configuration.
#[must_use]
pub fn clusters(core: &Core) -> ApiResponse {
    let mut json = b"{\"clusters\":[".to_vec();
    for (index, (name, hosts)) in core.directory.clusters(CLUSTERS_MAX).into_iter().enumerate() {
        json.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        push_json_string(&mut json, &name);
        json.extend_from_slice(b",\"hosts\":");
        push_integer(&mut json, hosts as i64);
        json.push(b'}');
    }
    json.extend_from_slice(b"],\"metrics\":[");
    for (index, (_, metric)) in core.metrics.iter().enumerate() {
        json.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        push_json_string(&mut json, &metric.name);
        json.extend_from_slice(b",\"frequency\":");
        push_integer(&mut json, metric.frequency);
        json.extend_from_slice(match metric.aggregation {
            Aggregation::None => b",\"aggregation\":null}".as_slice(),
            Aggregation::Sum => b",\"aggregation\":\"sum\"}",
            Aggregation::Avg => b",\"aggregation\":\"avg\"}",
        });
    }
    json.extend_from_slice(b"]}\n");
    reply::json(ApiBody::full(Bytes::from(json)))
}

/// `{"hosts":["…",…],"complete":…}` in name order; `complete` is false if there are more than are listed. An unknown cluster
/// has none.
///
/// # Errors
/// 400 without a cluster.
pub fn hosts(core: &Core, request: &Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let cluster = needed(request, "cluster")?;
    let lists = (0..core.cores()).map(|owner| core.directory.hosts(owner, &cluster, HOSTS_MAX));
    let mut is_complete = true;
    let mut hosts = BTreeSet::new();
    for list in lists {
        is_complete &= list.is_some();
        hosts.extend(list.unwrap_or_default());
    }
    is_complete &= hosts.len() <= HOSTS_MAX;
    let mut json = b"{\"hosts\":[".to_vec();
    for (index, host) in hosts.iter().take(HOSTS_MAX).enumerate() {
        if index > 0 {
            json.push(b',');
        }
        push_json_string(&mut json, host);
    }
    json.extend_from_slice(if is_complete { b"],\"complete\":true}\n" } else { b"],\"complete\":false}\n" });
    Ok(reply::json(ApiBody::full(Bytes::from(json))))
}

/// The series of a host; the form is that of [`engine::inspect::listing::push_host`].
///
/// # Errors
/// 400 without a cluster or a host.
pub async fn series(core: Rc<Core>, request: &Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let (cluster, host) = (needed(request, "cluster")?, needed(request, "host")?);
    let call = Call::new(&core);
    let owner = core_of(&cluster, &host, core.cores());
    call.ask(owner, Work::ListSeries { cluster, host }).await;
    let mut replies = call.replies().await;
    let Some((_, Reply::Series(json))) = replies.pop() else { unreachable!("series are listed") };
    Ok(reply::json(ApiBody::full(Bytes::from(json))))
}

/// A parameter that must be there.
fn needed(request: &Request<Incoming>, name: &str) -> Result<Arc<str>, Refusal> {
    match parameter(request, name) {
        Some(value) if !value.is_empty() => Ok(value.into()),
        _ => Err(Refusal::bad_request(format_args!("the parameter {name} is missing: ?{name}=…"))),
    }
}

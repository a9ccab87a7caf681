//! `GET /api/healthcheck`: which nodes deliver which metrics (SPEC section 3).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::limits::METRICS_MAX;
use engine::query::request::HealthRequest;
use engine::series::route::core_of;
use hyper::Request;
use hyper::body::Incoming;

use super::body::ApiBody;
use super::request::whole_body;
use super::{ApiResponse, Refusal, reply};
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};
use crate::core::{Core, clock_seconds};

/// Judges the nodes of the request; the answer has them in name order.
///
/// # Errors
/// 400 for a body that is no health check, or has fields nobody knows.
pub async fn health(core: Rc<Core>, request: &mut Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let (body, _lease) = whole_body(&core, request).await?;
    let request = Arc::new(HealthRequest::parse(&body).map_err(Refusal::bad_request)?);
    if request.metric_names.len() > METRICS_MAX {
        return Err(Refusal::bad_request(format_args!(
            "at most {METRICS_MAX} metric-names can be asked for"
        )));
    }
    // A node asked for twice is answered once.
    let nodes: BTreeMap<&str, u32> =
        request.nodes.iter().zip(0u32..).map(|(node, index)| (node.as_str(), index)).collect();
    let mut owners: Vec<Vec<u32>> = vec![Vec::new(); core.cores()];
    for (node, &index) in &nodes {
        owners[core_of(&request.cluster, node, core.cores())].push(index);
    }

    let call = Call::new(&core);
    let now = clock_seconds();
    for (owner, mine) in owners.into_iter().enumerate().filter(|(_, mine)| !mine.is_empty()) {
        call.ask(owner, Work::Health { request: Arc::clone(&request), mine, now }).await;
    }
    let mut entries: Vec<Vec<u8>> = vec![Vec::new(); request.nodes.len()];
    for (_, reply) in call.replies().await {
        let Reply::Judged(judged) = reply else { unreachable!("health checks are judged") };
        for (index, entry) in judged {
            entries[index as usize] = entry;
        }
    }
    let mut json = b"{".to_vec();
    for (position, index) in nodes.into_values().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&entries[index as usize]);
    }
    json.extend_from_slice(b"}\n");
    Ok(reply::json(ApiBody::full(Bytes::from(json))))
}

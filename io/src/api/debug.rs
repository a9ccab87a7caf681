//! `GET /api/debug?selector=a:b:c`: the tree and its buffers as JSON (SPEC section 3).

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::inspect::debug::join;
use engine::series::route::core_of;
use hyper::Request;
use hyper::body::Incoming;

use super::body::ApiBody;
use super::query::ROOM_TIMEOUT;
use super::request::parameter;
use super::{ApiResponse, Refusal, reply};
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};

/// What a dump of many hosts takes while it is made, as far as is known before: a million series.
const DUMP_BYTES_EXPECTED: u64 = 128 * 1024 * 1024;
/// Parts of the selector of a host, a dump of which is small.
const HOST_PARTS: usize = 2;

/// Dumps what the selector leads to; without one, everything.
///
/// # Errors
/// 400 if it leads nowhere.
pub async fn debug(core: Rc<Core>, request: &Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let text = parameter(request, "selector").unwrap_or_default();
    let selector: Arc<Vec<String>> =
        Arc::new(if text.is_empty() { Vec::new() } else { text.split(':').map(str::to_owned).collect() });
    let owners = match selector.as_slice() {
        [cluster, host, ..] => {
            let owner = core_of(cluster, host, core.cores());
            owner..owner + 1
        }
        _ => 0..core.cores(),
    };
    let mut lease = core.held.lease();
    if selector.len() < HOST_PARTS {
        lease.grow_up_to(DUMP_BYTES_EXPECTED, ROOM_TIMEOUT).await?;
    }
    let call = Call::new(&core);
    for owner in owners {
        call.ask(owner, Work::Dump(Arc::clone(&selector))).await;
    }
    let dumps = call.replies().await.into_iter().map(|(_, reply)| match reply {
        Reply::Dumped(dump) => dump,
        _ => unreachable!("dumps are replied to as dumped"),
    });
    match join(selector.len(), dumps) {
        Some(json) => Ok(reply::json(ApiBody::full(Bytes::from(json)).holding(lease))),
        None => Err(Refusal::bad_request(format_args!("there is no data at {text:?}"))),
    }
}

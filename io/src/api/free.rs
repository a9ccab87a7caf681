//! `POST /api/free?to=TS`: frees the buffers of some levels that end before a time (SPEC section 3).

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::durable::journal::Free;
use engine::query::request::parse_selectors;
use engine::series::route::core_of;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::body::ApiBody;
use super::request::{parameter, whole_body};
use super::{ApiResponse, Refusal};
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};

/// Frees; the answer says how many buffers.
///
/// # Errors
/// 400 without a number in `to`, or for a body that is no list of selectors; 503 while the log does not work.
pub async fn free(core: Rc<Core>, request: &mut Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let to = parameter(request, "to").ok_or_else(|| Refusal::bad_request("the parameter to is missing"))?;
    let to: i64 = to
        .parse()
        .map_err(|_| Refusal::bad_request("the parameter to must be a time in seconds since 1970"))?;
    let (body, _lease) = whole_body(&core, request).await?;
    let selectors = Arc::new(parse_selectors(&body).map_err(Refusal::bad_request)?);

    let mut owners: Vec<Vec<u32>> = vec![Vec::new(); core.cores()];
    for (index, selector) in (0u32..).zip(selectors.iter()) {
        match selector.as_slice() {
            [cluster, host, ..] => owners[core_of(cluster, host, core.cores())].push(index),
            _ => owners.iter_mut().for_each(|mine| mine.push(index)),
        }
    }
    let call = Call::new(&core);
    for (owner, mine) in owners.into_iter().enumerate().filter(|(_, mine)| !mine.is_empty()) {
        call.want(owner, Work::Free(Free { selectors: Arc::clone(&selectors), mine, to })).await;
    }
    let (mut freed, mut refused) = (0, None);
    for (_, reply) in call.replies().await {
        match reply {
            Reply::Freed(buffers) => freed += buffers,
            Reply::NotFreed(why) => refused = Some(why),
            _ => unreachable!("frees are replied to as freed or not"),
        }
    }
    if let Some(why) = refused {
        let message = format!("not everything could be freed, try again later: {why}");
        return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, message });
    }
    let mut response = Response::new(ApiBody::full(Bytes::from(format!("buffers freed: {freed}\n"))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

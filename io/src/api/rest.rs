//! What is left of a request's body when its answer is ready.
//!
//! After the verbs, before the answer is sent: a small rest is read and thrown away, so that the connection goes on; with a larger or
//! slower one it ends after the answer, which then says so. A client that is not told sends its next request into a closed
//! connection.

use std::time::Duration;

use futures_lite::FutureExt;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};

use super::ApiResponse;
use crate::runtime::sleep;

/// Most bytes of a rest: more than a usual body of a collector.
const REST_BYTES_MAX: u64 = 1024 * 1024;
/// How long it may take to come.
const REST_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads what is left of the body, or says that the connection ends.
pub(super) async fn settle(request: &mut Request<Incoming>, answer: &mut ApiResponse) {
    if request.body().is_end_stream() {
        return;
    }
    // Whoever asks before it sends must not be told to go on after it was refused.
    let is_held_back = request.headers().contains_key(EXPECT) && !answer.status().is_success();
    let is_large = request.body().size_hint().lower() > REST_BYTES_MAX;
    if is_held_back || is_large || !is_read_to_its_end(request.body_mut()).await {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

async fn is_read_to_its_end(body: &mut Incoming) -> bool {
    let read = async {
        let mut bytes_left = REST_BYTES_MAX;
        loop {
            match body.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(left) = bytes_left.checked_sub(bytes) else { return false };
                    bytes_left = left;
                }
            }
        }
    };
    let too_slow = async {
        sleep(REST_TIMEOUT).await;
        false
    };
    read.or(too_slow).await
}

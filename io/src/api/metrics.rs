//! `GET /metrics`: counters of all cores and the process, as Prometheus text (`docs/operations/metrics.md`).

use std::rc::Rc;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::ApiResponse;
use super::body::ApiBody;
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Request};
use crate::metrics::daemon::DaemonMetrics;
use crate::metrics::{page, text};

/// Asks every core and writes the page.
pub async fn metrics(core: Rc<Core>, daemon: &DaemonMetrics) -> ApiResponse {
    let call = Call::new(&core);
    for owner in 0..core.cores() {
        call.request(owner, Request::Metrics).await;
    }
    let replies = call.replies().await.into_iter();
    let mut cores: Vec<_> = replies
        .map(|(_, reply)| match reply {
            Reply::Metrics(metrics) => *metrics,
            _ => unreachable!("requests for metrics are replied to with metrics"),
        })
        .collect();
    cores.sort_by_key(|metrics| metrics.core);
    let mut page = text::Text::default();
    daemon.write(&mut page);
    page::write(&cores, &mut page);
    answer(page)
}

/// What there is while the cores do not run yet.
pub(super) fn early(daemon: &DaemonMetrics) -> ApiResponse {
    let mut page = text::Text::default();
    daemon.write(&mut page);
    answer(page)
}

/// 200 with the page.
fn answer(page: text::Text) -> ApiResponse {
    let mut response = Response::new(ApiBody::full(Bytes::from(page.into_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(text::CONTENT_TYPE));
    response
}

//! `status/…`, `rules`, `alerts`, `targets`: what clients of Prometheus ask of the daemon itself.

use std::rc::Rc;

use engine::query::request::push_json_string;

use super::parameters::Parameters;
use super::text::AnswerText;
use super::{Absent, Status};
use crate::api::Refusal;
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Request};
use crate::metrics::daemon::DaemonMetrics;

/// The version of Prometheus whose calls these are: Grafana asks `label/…/values` with `match[]` and `limit` of it, and times of
/// ranges are still those of Prometheus 2.
const PROMETHEUS_VERSION: &str = "2.55.1";

/// Answers a list that is always empty.
pub(super) fn absent(what: Absent, parameters: &Parameters, out: &mut AnswerText) -> Result<(), Refusal> {
    if what == Absent::Rules
        && let Some(kind) = parameters.get("type")
        && !["alert", "record"].contains(&kind)
    {
        return Err(Refusal::bad_request("type: neither alert nor record"));
    }
    out.push(match what {
        Absent::Rules => "{\"groups\":[]}",
        Absent::Alerts => "{\"alerts\":[]}",
        Absent::Alertmanagers => "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}",
        Absent::Targets => "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}",
        Absent::TargetsMetadata => "[]",
    });
    Ok(())
}

/// Answers what is asked about the daemon.
pub(super) async fn status(core: &Rc<Core>, what: Status, daemon: &DaemonMetrics, out: &mut AnswerText) {
    match what {
        Status::BuildInfo => {
            out.push(&format!(
                "{{\"version\":\"{PROMETHEUS_VERSION}\",\"revision\":\"cc-metric-store {}\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}}",
                env!("CARGO_PKG_VERSION")
            ));
        }
        Status::RuntimeInfo => {
            // The configuration is read once.
            for key in ["{\"startTime\":", ",\"lastConfigTime\":"] {
                out.push(key);
                push_json_string(&mut out.open, &daemon.started());
            }
            let (threads, series) = (core.cores(), series_count(core).await);
            out.push(&format!(
                ",\"CWD\":\"\",\"reloadConfigSuccess\":true,\"timeSeriesCount\":{series},\"corruptionCount\":0,\"goroutineCount\":{threads},\"GOMAXPROCS\":{threads},\"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":\"\"}}"
            ));
        }
        // Nothing of it is Prometheus' configuration.
        Status::Config => out.push("{\"yaml\":\"\"}"),
        Status::Flags => out.push("{}"),
        Status::Tsdb => {
            let series = series_count(core).await;
            out.push(&format!(
                "{{\"headStats\":{{\"numSeries\":{series},\"numLabelPairs\":0,\"chunkCount\":0,\"minTime\":0,\"maxTime\":0}},\"seriesCountByMetricName\":[],\"labelValueCountByLabelName\":[],\"memoryInBytesByLabelName\":[],\"seriesCountByLabelValuePair\":[]}}"
            ));
        }
    }
}

/// Series of all cores, also those without data.
async fn series_count(core: &Rc<Core>) -> u64 {
    let call = Call::new(core);
    for owner in 0..core.cores() {
        call.request(owner, Request::Metrics).await;
    }
    let series = call.replies().await.into_iter().map(|(_, reply)| match reply {
        Reply::Metrics(metrics) => metrics.series,
        _ => unreachable!("requests for metrics are replied to with metrics"),
    });
    series.sum()
}

//! `metadata`: what the configuration says of the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::config::Aggregation;
use engine::promql::labels::exposed_name;
use engine::query::request::push_json_string;

use super::parameters::Parameters;
use super::text::AnswerText;
use crate::api::Refusal;
use crate::core::Core;

/// Answers `metadata`: every metric is a gauge; how often it is sent, and what becomes of it above its level, is its help.
pub(super) fn metadata(core: &Core, parameters: &Parameters, out: &mut AnswerText) -> Result<(), Refusal> {
    // As for Prometheus, a negative limit is none.
    let number = |name: &str| match parameters.get(name).map(str::parse::<i64>) {
        None => Ok(usize::MAX),
        Some(Ok(number)) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        Some(Err(_)) => Err(Refusal::bad_request(format_args!("{name} must be a number"))),
    };
    let metrics_max = if parameters.get("limit") == Some("0") { 0 } else { number("limit")? };
    let helps_max = match number("limit_per_metric")? {
        0 => usize::MAX,
        number => number,
    };
    let wanted = parameters.get("metric");
    let metrics = Arc::clone(core.router.borrow().metrics());
    let mut helps: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (_, metric) in metrics.iter() {
        let name = exposed_name(&metric.name);
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let combined = match metric.aggregation {
            Aggregation::None => "not combined over the parts of a host",
            Aggregation::Sum => "summed over the parts of a host",
            Aggregation::Avg => "averaged over the parts of a host",
        };
        let help = format!("A sample every {} s, {combined}.", metric.frequency);
        helps.entry(name).or_default().push(help);
    }
    out.push("{");
    for (index, (name, helps)) in helps.iter().take(metrics_max).enumerate() {
        if index > 0 {
            out.push(",");
        }
        push_json_string(&mut out.open, name);
        out.push(":[");
        for (index, help) in helps.iter().take(helps_max).enumerate() {
            out.push(if index > 0 {
                ",{\"type\":\"gauge\",\"help\":"
            } else {
                "{\"type\":\"gauge\",\"help\":"
            });
            push_json_string(&mut out.open, help);
            out.push(",\"unit\":\"\"}");
        }
        out.push("]");
    }
    out.push("}");
    Ok(())
}

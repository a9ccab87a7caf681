//! The section `metrics`: name → frequency and aggregation (SPEC section 7).
//!
//! After the file has been taken apart into sections; what it makes is shared by all cores.

use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};
use engine::limits::FREQUENCY_SECONDS_MAX;
use serde_json::Value;

use super::object::{Findings, Object};
use super::problem::Problem;

const KEYS: &[&str] = &["frequency", "aggregation"];
const AGGREGATIONS: &[&str] = &["sum", "avg"];

/// Reads the section. `None` only after a problem has been reported.
pub(super) fn read(value: Option<&Value>, findings: &Findings) -> Option<Arc<Metrics>> {
    let Some(value) = value else {
        let hint = "name the metrics to keep, as in \"metrics\": {\"cpu_load\": {\"frequency\": 60, \"aggregation\": null}}";
        findings.problem(Problem::Missing { path: "metrics".to_owned(), hint });
        return None;
    };
    let Value::Object(entries) = value else {
        let (path, found) = ("metrics".to_owned(), "something else".to_owned());
        findings.problem(Problem::WrongType { path, expected: "an object of metrics", found });
        return None;
    };
    if entries.is_empty() {
        findings.note("metrics: none is configured: every line will be skipped");
    }
    let metrics = entries.iter().filter_map(|(name, entry)| read_metric(name, entry, findings)).collect();
    match Metrics::new(metrics) {
        Ok(metrics) => Some(metrics),
        Err(error) => {
            findings.problem(Problem::Metrics(error));
            None
        }
    }
}

fn read_metric(name: &str, entry: &Value, findings: &Findings) -> Option<Metric> {
    let object = Object::new(format!("metrics.{name}"), entry, KEYS, findings)?;
    let aggregation = match object.choice("aggregation", AGGREGATIONS) {
        Some(0) => Aggregation::Sum,
        Some(_) => Aggregation::Avg,
        None => Aggregation::None,
    };
    if object.value("frequency").is_none() {
        let hint = "write the seconds between two samples, as in \"frequency\": 60";
        findings.problem(Problem::Missing { path: object.path_of("frequency"), hint });
        return None;
    }
    let max = u64::try_from(FREQUENCY_SECONDS_MAX).expect("a bound above zero");
    let frequency = object.integer_within("frequency", 1, max, " seconds")?;
    let frequency = i64::try_from(frequency).expect("at most FREQUENCY_SECONDS_MAX");
    Some(Metric { name: name.into(), frequency, aggregation })
}

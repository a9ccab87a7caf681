//! The metrics of the made-up site: all aggregations, frequencies of one second to a minute, one of them odd.

use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};

/// Where the made-up samples are, about.
pub(crate) const BASE: i64 = 1_700_000_000;
/// The metrics of the site.
pub(crate) const METRICS: [(&str, i64, Aggregation); 7] = [
    ("s60", 60, Aggregation::Sum),
    ("a60", 60, Aggregation::Avg),
    ("n60", 60, Aggregation::None),
    ("s10", 10, Aggregation::Sum),
    ("a7", 7, Aggregation::Avg),
    ("s1", 1, Aggregation::Sum),
    ("n1", 1, Aggregation::None),
];

/// The same, as the engine takes them.
pub(crate) fn metrics() -> Arc<Metrics> {
    let metric = |(name, frequency, aggregation): (&str, i64, Aggregation)| Metric {
        name: name.into(),
        frequency,
        aggregation,
    };
    Metrics::new(METRICS.map(metric).to_vec()).expect("the metrics are valid")
}

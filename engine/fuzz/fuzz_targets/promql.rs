//! Any text as a question in PromQL, or as a selector: refused or understood, and nothing in the parser behind it breaks.

#![no_main]

use std::sync::{Arc, LazyLock};

use engine::config::{Aggregation, Metric, Metrics};
use engine::promql::grid::Grid;
use engine::promql::plan::Plan;
use libfuzzer_sys::fuzz_target;

static METRICS: LazyLock<Arc<Metrics>> = LazyLock::new(|| {
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    Metrics::new(["cpu_load", "cpu_user", "nv-temp"].map(metric).to_vec()).expect("the metrics are valid")
});

fuzz_target!(|text: &str| {
    // A panic of the parser is caught by the daemon; here libFuzzer sees it first.
    let _ = Plan::parse(text, &METRICS, Grid::instant(1_700_000_000_000), 1_700_000_000_000);
    let _ = Plan::parse_selector(text, &METRICS);
});

//! The simulated site: its hosts, metrics and the lines each host sends every interval.
//!
//! Comes before [`crate::body`], which turns a host into bytes, and gives [`crate::daemon`] its metrics and
//! [`crate::verify`] its selectors.

use serde_json::{Value, json};

use crate::options::SiteOptions;

/// The cluster all hosts belong to.
pub const CLUSTER: &str = "bench";

/// Names collectors use for metrics per hardware thread; more are numbered.
const THREAD_NAMES: [&str; 10] = [
    "cpu_user",
    "cpu_sys",
    "cpu_iowait",
    "clock",
    "ipc",
    "flops_any",
    "flops_dp",
    "flops_sp",
    "mem_bw",
    "core_power",
];

/// Names collectors use for metrics of a whole node; more are numbered.
const NODE_NAMES: [&str; 20] = [
    "load_one",
    "load_five",
    "mem_used",
    "mem_cached",
    "mem_buffers",
    "swap_used",
    "proc_run",
    "proc_total",
    "net_bytes_in",
    "net_bytes_out",
    "net_pkts_in",
    "net_pkts_out",
    "ib_recv",
    "ib_xmit",
    "nfs4_read",
    "nfs4_write",
    "lustre_open",
    "lustre_read_bw",
    "lustre_write_bw",
    "node_temp",
];

/// One line of every host: which series it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The metric.
    pub metric: &'a str,
    /// The hardware thread, or none for a metric of the node.
    pub thread: Option<u32>,
}

/// What every host of the site sends each interval.
#[derive(Clone, Debug)]
pub struct Site {
    hosts: u32,
    threads: u32,
    thread_metrics: Vec<String>,
    node_metrics: Vec<String>,
}

impl Site {
    /// The site these options describe.
    #[must_use]
    pub fn new(options: &SiteOptions) -> Self {
        Self {
            hosts: options.hosts,
            threads: options.threads,
            thread_metrics: names(&THREAD_NAMES, "hwt_metric", options.thread_metrics),
            node_metrics: names(&NODE_NAMES, "node_metric", options.node_metrics),
        }
    }

    /// How many hosts there are.
    #[must_use]
    pub fn hosts(&self) -> u32 {
        self.hosts
    }

    /// The name of a host: `f0000`, `f0001`, ….
    #[must_use]
    pub fn host_name(&self, host: u32) -> String {
        format!("f{host:04}")
    }

    /// Lines (series) of one host.
    #[must_use]
    pub fn lines_per_host(&self) -> u32 {
        self.first_node_line() + self.node_metrics.len() as u32
    }

    /// The lines of node metrics are `first_node_line()..lines_per_host()`; those before are per thread.
    #[must_use]
    pub fn first_node_line(&self) -> u32 {
        self.threads * self.thread_metrics.len() as u32
    }

    /// Line `line` of any host. Metric by metric, threads in order, as collectors walk their counters.
    ///
    /// # Panics
    /// If `line` is not below [`Self::lines_per_host`].
    #[must_use]
    pub fn line(&self, line: u32) -> Line<'_> {
        match line.checked_sub(self.first_node_line()) {
            Some(index) => Line { metric: &self.node_metrics[index as usize], thread: None },
            None => Line {
                metric: &self.thread_metrics[(line / self.threads) as usize],
                thread: Some(line % self.threads),
            },
        }
    }

    /// Names of all metrics.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        self.thread_metrics.iter().chain(&self.node_metrics).map(String::as_str)
    }

    /// The `metrics` section of a configuration (SPEC section 7): everything the load uses.
    #[must_use]
    pub fn metrics_json(&self, interval_seconds: u32) -> Value {
        let mut metrics = serde_json::Map::new();
        for name in &self.thread_metrics {
            metrics.insert(name.clone(), json!({"frequency": interval_seconds, "aggregation": "avg"}));
        }
        for name in &self.node_metrics {
            metrics.insert(name.clone(), json!({"frequency": interval_seconds, "aggregation": null}));
        }
        Value::Object(metrics)
    }
}

/// The first `count` of `known`, then numbered names.
fn names(known: &[&str], prefix: &str, count: u32) -> Vec<String> {
    (0..count as usize)
        .map(|index| known.get(index).map_or_else(|| format!("{prefix}_{index:02}"), ToString::to_string))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_another_series_and_every_metric_is_configured() {
        let site = Site::new(&SiteOptions { hosts: 3, threads: 7, thread_metrics: 13, node_metrics: 22 });
        assert_eq!(site.lines_per_host(), 7 * 13 + 22);
        let configured = site.metrics_json(10);
        let mut seen = HashSet::new();
        for index in 0..site.lines_per_host() {
            let line = site.line(index);
            assert!(seen.insert((line.metric, line.thread)), "{line:?} comes twice");
            assert_eq!(configured[line.metric]["frequency"], 10, "{}", line.metric);
            assert_eq!(line.thread.is_none(), index >= site.first_node_line());
        }
        assert_eq!(configured.as_object().unwrap().len(), 13 + 22);
    }

    #[test]
    fn a_site_without_threads_has_node_lines_only() {
        let site = Site::new(&SiteOptions { hosts: 1, threads: 0, thread_metrics: 10, node_metrics: 2 });
        assert_eq!(site.lines_per_host(), 2);
        assert_eq!(site.line(1), Line { metric: "load_five", thread: None });
    }
}

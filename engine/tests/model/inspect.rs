//! The model's debug dump and health check (SPEC section 3).

use super::chain::Chain;
use super::{Model, join};

impl Model {
    /// The dump at a selector; `None` if there is nothing.
    pub(crate) fn debug(&self, selector: &[String]) -> Option<String> {
        let found = selector.is_empty() || self.exists(selector);
        found.then(|| format!("{{\"data\":{}}}\n", self.dump(selector, 1)))
    }

    fn dump(&self, path: &[String], depth: usize) -> String {
        let mut lines = Vec::new();
        for (metric, chain) in self.levels.get(path).into_iter().flatten() {
            let buffers: Vec<String> = chain
                .buffers
                .iter()
                .map(|buffer| {
                    let (start, len) = (buffer.start, buffer.values.len() as i64);
                    format!(r#"{{"start":{start},"len":{len},"end":{}}}"#, start + len * chain.frequency)
                })
                .collect();
            lines.push(format!("\"{metric}\":[{}]", buffers.join(",")));
        }
        for name in self.children(path) {
            lines.push(format!("\"{name}\":{}", self.dump(&join(path, &name), depth + 1)));
        }
        let indent = "\t".repeat(depth);
        let body: Vec<String> = lines.iter().map(|line| format!("{indent}{line}")).collect();
        let newline = if body.is_empty() { "" } else { "\n" };
        format!("{{\n{}{newline}{}}}", body.join(",\n"), "\t".repeat(depth - 1))
    }

    /// The health of nodes, in their order.
    pub(crate) fn health(&self, cluster: &str, nodes: &[String], metrics: &[String], now: i64) -> String {
        let nodes: Vec<String> = nodes.iter().map(|node| self.node(cluster, node, metrics, now)).collect();
        format!("{{{}}}", nodes.join(","))
    }

    /// Times at which some series is about to be degraded.
    pub(crate) fn degraded_behind(&self) -> Vec<i64> {
        self.levels.values().flat_map(|series| series.values().map(degraded_behind)).collect()
    }

    fn node(&self, cluster: &str, node: &str, metrics: &[String], now: i64) -> String {
        let path = vec![cluster.to_owned(), node.to_owned()];
        if !self.exists(&path) {
            return format!(r#""{node}":{{"State":"failed","HealthMetrics":""}}"#);
        }
        let (mut degraded, mut missing) = (Vec::new(), Vec::new());
        for metric in metrics {
            let below = self.levels.iter().filter(|(level, _)| level.starts_with(&path));
            let ages: Vec<i64> = below
                .filter_map(|(_, series)| series.get(metric))
                .map(|chain| now - degraded_behind(chain))
                .collect();
            if ages.is_empty() {
                missing.push(format!("\\\"{metric}\\\""));
            } else if ages.iter().any(|&age| age > 0) {
                degraded.push(format!("\\\"{metric}\\\""));
            }
        }
        let state = match degraded.len() + missing.len() {
            0 => "full",
            ill if ill == metrics.len() => "failed",
            _ => "partial",
        };
        let (degraded, missing) = (degraded.join(","), missing.join(","));
        let lists = format!(r#"{{\"degraded\":[{degraded}],\"missing\":[{missing}]}}"#);
        format!(r#""{node}":{{"State":"{state}","HealthMetrics":"{lists}"}}"#)
    }
}

/// The last time at which a series still counts as up to date: five slots behind its last one.
fn degraded_behind(chain: &Chain) -> i64 {
    let newest = chain.buffers.last().expect("a chain in the model has data");
    newest.start + newest.values.len() as i64 * chain.frequency + 5 * chain.frequency
}

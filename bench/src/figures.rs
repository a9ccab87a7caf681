//! The figures of a run and their medians; every one a float, so that medians and JSON need no cases.
//!
//! Made from what [`crate::run`] measured, printed by [`crate::report`].

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::{Measured, Outcome};

/// A pause of the daemon that is worth counting.
const STALL_NS: u64 = 100_000_000;

/// Figures of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the units and the JSON keys; see the crate's documentation")]
pub struct PhaseFigures {
    pub lines: f64,
    pub bytes: f64,
    pub requests: f64,
    pub errors: f64,
    pub wall_seconds: f64,
    pub lines_per_second: f64,
    pub server_cpu_seconds: f64,
    /// None when the daemon used less than the 10 ms that can be measured.
    pub lines_per_server_cpu_second: Option<f64>,
    pub generator_cpu_seconds: f64,
    pub rss_growth_bytes: f64,
    pub latency_ms_p50: f64,
    pub latency_ms_p90: f64,
    pub latency_ms_p99: f64,
    pub latency_ms_p99_9: f64,
    pub latency_ms_max: f64,
    pub requests_over_100_ms: f64,
}

/// Ten seconds of a run with `--duration`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the units and the JSON keys")]
pub struct Window {
    /// Since the phase began.
    pub at_seconds: f64,
    pub lines: f64,
    pub seconds: f64,
    pub latency_ms_max: f64,
    pub server_cpu_seconds: f64,
    pub rss_bytes: f64,
}

/// Figures of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFigures {
    /// The seed of its values.
    pub seed: u64,
    /// The interval in which every series was new.
    pub first_interval: PhaseFigures,
    /// All other intervals.
    pub rest: Option<PhaseFigures>,
    /// Everything.
    pub total: PhaseFigures,
    /// Resident memory of the daemon at the end.
    pub rss_bytes: f64,
    /// Largest resident memory of the daemon.
    pub rss_peak_bytes: f64,
    /// Series read back.
    pub verified_series: f64,
    /// Values read back.
    pub verified_values: f64,
    /// From SIGTERM to exit with 0; none for a daemon that was running already.
    pub stop_seconds: Option<f64>,
    /// Every ten seconds of a run with `--duration`.
    pub windows: Vec<Window>,
}

impl PhaseFigures {
    /// The figures of one measured phase.
    #[must_use]
    pub fn new(measured: &Measured) -> Self {
        let latency_ms = |quantile: f64| measured.latency_ns.value_at_quantile(quantile) as f64 / 1e6;
        let lines = measured.lines as f64;
        let wall_seconds = measured.wall.as_secs_f64();
        let server_cpu_seconds = measured.server_cpu.as_secs_f64();
        Self {
            lines,
            bytes: measured.bytes as f64,
            requests: measured.requests as f64,
            errors: measured.errors as f64,
            wall_seconds,
            lines_per_second: lines / wall_seconds,
            server_cpu_seconds,
            lines_per_server_cpu_second: (server_cpu_seconds > 0.0).then(|| lines / server_cpu_seconds),
            generator_cpu_seconds: measured.generator_cpu.as_secs_f64(),
            rss_growth_bytes: measured.after.rss_bytes as f64 - measured.before.rss_bytes as f64,
            latency_ms_p50: latency_ms(0.5),
            latency_ms_p90: latency_ms(0.9),
            latency_ms_p99: latency_ms(0.99),
            latency_ms_p99_9: latency_ms(0.999),
            latency_ms_max: measured.latency_ns.max() as f64 / 1e6,
            requests_over_100_ms: measured.latency_ns.count_between(STALL_NS, u64::MAX) as f64,
        }
    }
}

impl RunFigures {
    /// The figures of a run; what was read back and the stop are filled in later.
    #[must_use]
    pub fn new(seed: u64, outcome: &Outcome) -> Self {
        let last = outcome.rest.as_ref().unwrap_or(&outcome.first);
        let total = outcome.rest.as_ref().map_or_else(
            || PhaseFigures::new(&outcome.first),
            |rest| PhaseFigures::new(&outcome.first.joined(rest)),
        );
        Self {
            seed,
            first_interval: PhaseFigures::new(&outcome.first),
            rest: outcome.rest.as_ref().map(PhaseFigures::new),
            total,
            rss_bytes: last.after.rss_bytes as f64,
            rss_peak_bytes: last.after.rss_peak_bytes as f64,
            verified_series: 0.0,
            verified_values: 0.0,
            stop_seconds: None,
            windows: outcome.windows.clone(),
        }
    }

    /// Every figure's median over `runs`; seed and windows are those of the first run.
    ///
    /// # Panics
    /// Without any run.
    #[must_use]
    pub fn median(runs: &[Self]) -> Self {
        let values: Vec<Value> = runs
            .iter()
            .map(|run| serde_json::to_value(Self { windows: Vec::new(), ..run.clone() }))
            .collect::<Result<_, _>>()
            .expect("figures are plain numbers");
        let median = median(&values.iter().collect::<Vec<_>>());
        let median: Self = serde_json::from_value(median).expect("medians have the shape of figures");
        Self { windows: runs[0].windows.clone(), ..median }
    }
}

impl Measured {
    /// This phase and the one after it as one.
    #[must_use]
    pub fn joined(&self, next: &Self) -> Self {
        let mut latency_ns = self.latency_ns.clone();
        latency_ns.add(&next.latency_ns).expect("all histograms have the same bounds");
        Self {
            requests: self.requests + next.requests,
            lines: self.lines + next.lines,
            bytes: self.bytes + next.bytes,
            errors: self.errors + next.errors,
            first_error: self.first_error.clone().or_else(|| next.first_error.clone()),
            latency_ns,
            wall: self.wall + next.wall,
            server_cpu: self.server_cpu + next.server_cpu,
            generator_cpu: self.generator_cpu + next.generator_cpu,
            before: self.before,
            after: next.after,
        }
    }
}

/// Medians of all floats in values of the same shape; anything else is taken from the first.
fn median(values: &[&Value]) -> Value {
    match values[0] {
        Value::Object(first) => {
            let keys = first.keys().map(|key| {
                let each: Vec<&Value> = values.iter().map(|value| &value[key]).collect();
                (key.clone(), median(&each))
            });
            Value::Object(keys.collect())
        }
        Value::Number(number) if number.is_f64() => {
            let mut numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
            numbers.sort_by(f64::total_cmp);
            let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
            Value::from((low + high) / 2.0)
        }
        other => other.clone(),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7.0} s  {:>11.0} lines  {:>9.0} lines/s  latency max {:>8.3} ms  server CPU {:>5.2} s  RSS {:>7.1} MB",
            self.at_seconds,
            self.lines,
            self.lines / self.seconds,
            self.latency_ms_max,
            self.server_cpu_seconds,
            self.rss_bytes / 1e6
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::Histogram;

    use super::*;
    use crate::procfs::Usage;

    fn measured(lines: u64, wall_ms: u64, cpu_ms: u64, latencies_ms: &[u64]) -> Measured {
        let mut latency_ns = Histogram::new_with_bounds(1, 600_000_000_000, 3).unwrap();
        for latency in latencies_ms {
            latency_ns.record(latency * 1_000_000).unwrap();
        }
        let usage = Usage { cpu: Duration::ZERO, rss_bytes: 1000, rss_peak_bytes: 1000 };
        Measured {
            requests: latencies_ms.len() as u64,
            lines,
            bytes: lines * 85,
            errors: 0,
            first_error: None,
            latency_ns,
            wall: Duration::from_millis(wall_ms),
            server_cpu: Duration::from_millis(cpu_ms),
            generator_cpu: Duration::ZERO,
            before: usage,
            after: Usage { rss_bytes: 1000 + lines, ..usage },
        }
    }

    fn run(lines: u64, cpu_ms: u64) -> RunFigures {
        let rest = Some(measured(lines, 1000, cpu_ms, &[1, 2, 3, 250]));
        RunFigures::new(
            1,
            &Outcome { first: measured(1000, 500, 500, &[5]), rest, rounds: vec![], windows: vec![] },
        )
    }

    #[test]
    fn totals_are_over_both_phases() {
        let run = run(9000, 1500);
        assert_eq!(run.total.lines, 10_000.0);
        assert!((run.total.lines_per_second - 10_000.0 / 1.5).abs() < 1e-6);
        assert_eq!(run.total.lines_per_server_cpu_second, Some(5000.0));
        assert_eq!(run.rest.as_ref().unwrap().lines_per_server_cpu_second, Some(6000.0));
        assert_eq!((run.total.requests, run.total.requests_over_100_ms), (5.0, 1.0));
        assert!((run.total.latency_ms_p50 - 3.0).abs() < 0.01);
        assert!((run.total.latency_ms_max - 250.0).abs() < 0.5);
    }

    #[test]
    fn medians_are_taken_figure_by_figure() {
        let runs = [run(1000, 10), run(5000, 30), run(3000, 20)];
        let median = RunFigures::median(&runs);
        assert_eq!(median.rest.as_ref().unwrap().lines, 3000.0);
        assert_eq!(median.rest.as_ref().unwrap().server_cpu_seconds, 0.02);
        assert_eq!(RunFigures::median(&runs[..2]).rest.unwrap().lines, 3000.0);
        assert_eq!(RunFigures::median(&runs[1..2]), runs[1]);
    }
}

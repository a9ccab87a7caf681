//! The table for people and the file for programs. The last step of a run, and how programs end.

use std::{fmt::Display, process::ExitCode};

use serde_json::{Value, json};

use crate::{
    figures::{PhaseFigures, RunFigures},
    options::{Extent, Options, Target},
    sender::Transport,
};

/// How a program of this crate ends; an error is printed.
pub fn exit_code(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A table of one run (or of medians): one column per phase.
#[must_use]
pub fn table(title: &str, run: &RunFigures) -> String {
    let mut phases = vec![("first interval", &run.first_interval)];
    phases.extend(run.rest.as_ref().map(|rest| ("rest", rest)));
    phases.push(("total", &run.total));
    let mut text = format!("{title:<32}");
    for (name, _) in &phases {
        text.push_str(&format!("{name:>16}"));
    }
    text.push('\n');
    for (label, cell) in ROWS {
        text.push_str(&format!("{label:<32}"));
        for (_, phase) in &phases {
            text.push_str(&format!("{:>16}", cell(phase)));
        }
        text.push('\n');
    }
    let growth = run.total.rss_growth_bytes / run.total.lines;
    text.push_str(&format!(
        "RSS at the end {:.1} MB, peak {:.1} MB, growth {growth:.1} bytes per line sent\n",
        run.rss_bytes / 1e6,
        run.rss_peak_bytes / 1e6
    ));
    text.push_str(&format!(
        "read back and as sent: {} values of {} series\n",
        run.verified_values, run.verified_series
    ));
    if let Some(seconds) = run.stop_seconds {
        text.push_str(&format!("exit code 0, {seconds:.3} s after SIGTERM\n"));
    }
    text
}

/// One line of the table: label, and how a phase's figure is written.
type Row = (&'static str, fn(&PhaseFigures) -> String);

const ROWS: [Row; 15] = [
    ("lines", |phase| grouped(phase.lines)),
    ("requests", |phase| grouped(phase.requests)),
    ("errors", |phase| grouped(phase.errors)),
    ("bytes per request", |phase| grouped(phase.bytes / phase.requests)),
    ("wall time, s", |phase| format!("{:.3}", phase.wall_seconds)),
    ("lines/s", |phase| grouped(phase.lines_per_second)),
    ("server CPU, s", |phase| format!("{:.2}", phase.server_cpu_seconds)),
    ("lines per server CPU-second", |phase| {
        phase.lines_per_server_cpu_second.map_or_else(|| "-".into(), grouped)
    }),
    ("generator CPU, s", |phase| format!("{:.2}", phase.generator_cpu_seconds)),
    ("RSS growth, MB", |phase| format!("{:.1}", phase.rss_growth_bytes / 1e6)),
    ("latency p50, ms", |phase| format!("{:.3}", phase.latency_ms_p50)),
    ("latency p90, ms", |phase| format!("{:.3}", phase.latency_ms_p90)),
    ("latency p99 / p99.9, ms", |phase| format!("{:.3}/{:.3}", phase.latency_ms_p99, phase.latency_ms_p99_9)),
    ("latency max, ms", |phase| format!("{:.3}", phase.latency_ms_max)),
    ("requests over 100 ms", |phase| grouped(phase.requests_over_100_ms)),
];

/// A whole number with separators: `2960000` → `2,960,000`.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number < 0.0 { String::from("-") } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What the load is, in one line.
#[must_use]
pub fn headline(options: &Options) -> String {
    let site = options.site;
    let per_host = site.threads * site.thread_metrics + site.node_metrics;
    let extent = match options.extent {
        Extent::Intervals(intervals) => format!("{intervals} intervals"),
        Extent::Duration { time, window_intervals } => {
            format!("{} s over a window of {window_intervals} intervals", time.as_secs())
        }
    };
    let pace = options.rate_lines_per_second.map_or_else(
        || String::from("closed loop"),
        |rate| format!("{} lines/s, latency from the due time", grouped(rate)),
    );
    format!(
        "{} hosts × {per_host} lines, {extent} of {} s, {} {} connections, {pace}, seed {}",
        site.hosts,
        options.interval_seconds,
        options.connections,
        transport_name(options.transport),
        options.seed
    )
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "HTTP",
        Transport::Tcp => "TCP",
    }
}

/// All figures: the load, every run, and the medians.
///
/// # Panics
/// Without any run.
#[must_use]
pub fn json(options: &Options, runs: &[RunFigures]) -> Value {
    let target = match &options.target {
        Target::Start { binary, main_json, store_json, .. } => {
            json!({"binary": binary, "main": main_json, "metric-store": store_json})
        }
        Target::Running { addr, tcp_addr, pid } => json!({"addr": addr, "tcp-addr": tcp_addr, "pid": pid}),
    };
    let site = options.site;
    json!({
        "load": {
            "target": target,
            "hosts": site.hosts,
            "threads": site.threads,
            "thread_metrics": site.thread_metrics,
            "node_metrics": site.node_metrics,
            "extent": match options.extent {
                Extent::Intervals(intervals) => json!({"intervals": intervals}),
                Extent::Duration { time, window_intervals } => {
                    json!({"duration_seconds": time.as_secs(), "window_intervals": window_intervals})
                }
            },
            "interval_seconds": options.interval_seconds,
            "connections": options.connections,
            "transport": transport_name(options.transport),
            "rate_lines_per_second": options.rate_lines_per_second,
            "seed": options.seed,
        },
        "median": RunFigures::median(runs),
        "runs": runs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in
            [(0.0, "0"), (999.0, "999"), (1000.4, "1,000"), (2_960_000.0, "2,960,000"), (-12345.0, "-12,345")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
